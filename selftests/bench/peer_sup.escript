#!/usr/bin/env escript
%% SPDX-License-Identifier: GPL-2.0-only
%% peer_sup.escript - the cases of bench_sup.c with children that are actors,
%% which starts it, with Erlang's supervisor; children are gen_servers, for which
%% it waits until their init is over, as it does for that of an actor. Says the
%% 10th, 50th and 90th percentile in microseconds a child. A supervisor looks
%% through its restarts of the last second, so each does only a few of them; what
%% a crash would print is not printed.
%% usage: peer_sup.escript CHILDREN ROUNDS PAUSE_MS
-mode(compile).
-export([init/1, start/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(EACH, 20).

main(Args) ->
    logger:set_primary_config(level, none),
    [Nr, Rounds, Pause] = [list_to_integer(A) || A <- Args],
    process_flag(trap_exit, true),
    Us = lists:append([some(Nr, Pause) || _ <- lists:seq(1, Rounds div ?EACH)]),
    Sorted = lists:sort(Us),
    N = length(Sorted),
    io:format("~.3f ~.3f ~.3f~n", [lists:nth(N div 10 + 1, Sorted),
                                   lists:nth(N div 2 + 1, Sorted),
                                   lists:nth(N - N div 10, Sorted)]).

some(Nr, Pause) ->
    {ok, Sup} = supervisor:start_link(?MODULE, {Nr, self()}),
    {Us, _} = lists:mapfoldl(fun(_, Alive) -> timer:sleep(Pause), restart(Nr, Alive) end,
                             ups(Nr), lists:seq(1, ?EACH)),
    unlink(Sup),
    exit(Sup, shutdown),
    Us.

%% All children start again where there are many, else the one.
restart(Nr, Alive) ->
    {First, _} = hd(Alive),
    First ! crash,
    Died = receive {died, At} -> At end,
    New = ups(Nr),
    Last = lists:max([At2 || {_, At2} <- New]),
    {(Last - Died) / 1000 / Nr, New}.

ups(0) -> [];
ups(N) -> receive {up, Pid, At} -> [{Pid, At} | ups(N - 1)] end.

init({Nr, Main}) ->
    Strategy = if Nr > 1 -> one_for_all; true -> one_for_one end,
    {ok, {#{strategy => Strategy, intensity => 1000000, period => 1},
          [#{id => I, start => {?MODULE, start, [Main]}, shutdown => 5000}
           || I <- lists:seq(1, Nr)]}};
init(Main) ->
    Main ! {up, self(), erlang:monotonic_time(nanosecond)},
    {ok, Main}.

start(Main) -> gen_server:start_link(?MODULE, Main, []).

handle_call(_, _, Main) -> {reply, ok, Main}.
handle_cast(_, Main) -> {noreply, Main}.
handle_info(crash, Main) ->
    Main ! {died, erlang:monotonic_time(nanosecond)},
    {stop, crash, Main}.

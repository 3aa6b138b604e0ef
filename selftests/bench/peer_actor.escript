#!/usr/bin/env escript
%% SPDX-License-Identifier: GPL-2.0-only
%% peer_actor.escript - the cases of bench_actor.c, which starts it, with Erlang.
%% Says nanoseconds or bytes. usage: peer_actor.escript CASE
-mode(compile).

%% As in bench_actor.h.
-define(PINGS, 200000).
-define(MESSAGES, 500000).
-define(SENDERS, 20).
-define(FAN_MESSAGES, 25000).
-define(RING, 100).
-define(HOPS, 500000).
-define(SPAWNS, 100000).
-define(IDLE, 200000).

main([Case]) ->
    Value = run(Case),
    io:format("~.1f~n", [float(Value)]).

now_ns() -> erlang:monotonic_time(nanosecond).

wait() -> receive done -> ok end.

pass_on(Main) ->
    receive {next, Next} -> pass_on(Main, Next) end.
pass_on(Main, Next) ->
    receive
        0 -> Main ! done, pass_on(Main, Next);
        N -> Next ! N - 1, pass_on(Main, Next)
    end.

count_down(Main, 0) -> Main ! done;
count_down(Main, N) -> receive _ -> count_down(Main, N - 1) end.

flood(_, 0) -> ok;
flood(To, N) -> To ! 1, flood(To, N - 1).

circle(Nr, Start, Per) ->
    Main = self(),
    All = [spawn(fun() -> pass_on(Main) end) || _ <- lists:seq(1, Nr)],
    [A ! {next, B} || {A, B} <- lists:zip(All, tl(All) ++ [hd(All)])],
    T = now_ns(),
    hd(All) ! Start,
    wait(),
    (now_ns() - T) / Per.

run("ping-pong") -> circle(2, 2 * ?PINGS, ?PINGS);
run("ring") -> circle(?RING, ?HOPS, ?HOPS);
run("mailbox") ->
    Main = self(),
    T = now_ns(),
    To = spawn(fun() -> count_down(Main, ?MESSAGES) end),
    spawn(fun() -> flood(To, ?MESSAGES) end),
    wait(),
    (now_ns() - T) / ?MESSAGES;
run("fan-in") ->
    Main = self(),
    T = now_ns(),
    To = spawn(fun() -> count_down(Main, ?SENDERS * ?FAN_MESSAGES) end),
    [spawn(fun() -> flood(To, ?FAN_MESSAGES) end) || _ <- lists:seq(1, ?SENDERS)],
    wait(),
    (now_ns() - T) / (?SENDERS * ?FAN_MESSAGES);
run("spawn") ->
    Main = self(),
    T = now_ns(),
    Last = spawn(fun() -> count_down(Main, ?SPAWNS) end),
    spawns(Last, ?SPAWNS),
    wait(),
    (now_ns() - T) / ?SPAWNS;
run("idle") ->
    Before = erlang:memory(total),
    idles(?IDLE),
    (erlang:memory(total) - Before) / ?IDLE.

spawns(_, 0) -> ok;
spawns(Last, N) ->
    P = spawn(fun() -> receive _ -> Last ! 1 end end),
    P ! 0,
    spawns(Last, N - 1).

idles(0) -> ok;
idles(N) -> spawn(fun() -> receive _ -> ok end end), idles(N - 1).

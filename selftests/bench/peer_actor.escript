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
-define(BIG, 120).
-define(BIG_ASKS, 2000).
-define(CREATURES, 100).
-define(MEETINGS, 200000).
-define(FORK_DEPTH, 16).
-define(FORKED, ((2 bsl ?FORK_DEPTH) - 1)).

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
run("big") ->
    Main = self(),
    All = [spawn(fun() -> receive {go, All} -> big(Main, All, I, ?BIG_ASKS) end end)
           || I <- lists:seq(1, ?BIG)],
    Tuple = list_to_tuple(All),
    T = now_ns(),
    [P ! {go, Tuple} || P <- All],
    [wait() || _ <- All],
    (now_ns() - T) / (?BIG * ?BIG_ASKS);
run("chameneos") ->
    Main = self(),
    T = now_ns(),
    Place = spawn(fun() -> place(Main, ?MEETINGS) end),
    [spawn(fun() -> creature(Place, I rem 3) end) || I <- lists:seq(1, ?CREATURES)],
    wait(),
    (now_ns() - T) / ?MEETINGS;
run("fork-join") ->
    Main = self(),
    T = now_ns(),
    spawn(fun() -> forks(Main, ?FORK_DEPTH) end),
    receive ?FORKED -> ok end,
    (now_ns() - T) / ?FORKED;
run("idle") ->
    Before = erlang:memory(total),
    idles(?IDLE),
    (erlang:memory(total) - Before) / ?IDLE.

big(Main, All, Chance, Left) ->
    Next = (Chance * 1103515245 + 12345) band 16#7fffffff,
    element(Next rem ?BIG + 1, All) ! {ask, self()},
    big_wait(Main, All, Next, Left - 1).
big_wait(Main, All, Chance, Left) ->
    receive
        {ask, From} -> From ! answer, big_wait(Main, All, Chance, Left);
        answer when Left > 0 -> big(Main, All, Chance, Left);
        answer -> Main ! done, big_wait(Main, All, Chance, Left)
    end.

place(Main, 0) -> Main ! done, receive never -> ok end;
place(Main, Left) ->
    receive
        {A, ColourA} ->
            receive
                {B, ColourB} ->
                    A ! ColourB,
                    B ! ColourA,
                    place(Main, Left - 1)
            end
    end.

creature(Place, Colour) ->
    Place ! {self(), Colour},
    receive
        Colour -> creature(Place, Colour);
        Other -> creature(Place, 3 - Colour - Other)
    end.

forks(Parent, 0) -> Parent ! 1;
forks(Parent, Depth) ->
    Self = self(),
    spawn(fun() -> forks(Self, Depth - 1) end),
    spawn(fun() -> forks(Self, Depth - 1) end),
    receive A -> receive B -> Parent ! A + B + 1 end end.

spawns(_, 0) -> ok;
spawns(Last, N) ->
    P = spawn(fun() -> receive _ -> Last ! 1 end end),
    P ! 0,
    spawns(Last, N - 1).

idles(0) -> ok;
idles(N) -> spawn(fun() -> receive _ -> ok end end), idles(N - 1).

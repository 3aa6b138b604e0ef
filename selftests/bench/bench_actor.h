/* SPDX-License-Identifier: GPL-2.0-only */
/* bench_actor.h - how much of each case bench_actor.c and its peers do. */
#ifndef PULSE_BENCH_ACTOR_H
#define PULSE_BENCH_ACTOR_H

#define PINGS		200000
#define MESSAGES	500000
#define SENDERS		20
#define FAN_MESSAGES	25000
#define RING		100
#define HOPS		500000
#define SPAWNS		100000
#define IDLE		200000
#define BIG		120	/* actors, each of which asks so often: */
#define BIG_ASKS	2000
#define CREATURES	100
#define MEETINGS	200000
#define FORK_DEPTH	16
#define FORKED		((2 << FORK_DEPTH) - 1)

/* A chance that costs all of them the same. */
#define CHANCE(x)	(((x) * 1103515245 + 12345) & 0x7fffffff)

#endif

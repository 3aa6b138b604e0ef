/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * contend.h - contenders of a benchmark, run turn about: each round runs every
 * contender once, so that what disturbs the machine disturbs them alike. The
 * figure is the median of the rounds, with the lowest and the highest.
 */
#ifndef PULSE_BENCH_CONTEND_H
#define PULSE_BENCH_CONTEND_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind.h"
#include "by_value.h"

#define MAX_ROUNDS	101
#define MAX_CONTENDERS	10

struct contender {
	const char *name;
	double (*run)(void);		/* nanoseconds; negative: not to be had */
	bool peer;
	double ns[MAX_ROUNDS];
};

struct group {
	const char *name, *title;
	struct contender c[MAX_CONTENDERS];
};

/*
 * Times @nr of an expression with i from 1; gives nanoseconds each. In slices,
 * of which it is the median: a slice in which another process had the CPU says
 * nothing. peer_queues.cc does the same.
 */
#define SLICES 64
#define TIME_EACH(nr, pair)						\
	({								\
		const uintptr_t each_ = ((nr) + SLICES - 1) / SLICES;	\
		double slice_[SLICES];					\
									\
		for (int s_ = 0; s_ < SLICES; s_++) {			\
			int64_t start_ = pulse_now_ns();		\
									\
			for (uintptr_t i = 1; i <= each_; i++) {	\
				pair;					\
				__asm__ __volatile__("" ::: "memory");	\
			}						\
			slice_[s_] = (double)(pulse_now_ns() - start_) /\
				     (double)each_;			\
		}							\
		qsort(slice_, SLICES, sizeof(*slice_), by_value);	\
		slice_[SLICES / 2];					\
	})

static inline void wait_a_bit(unsigned int *misses)
{
	if (++*misses % 64)
		__builtin_ia32_pause();
	else
		sched_yield();
}

/* Where the threads of a crowd run. */
enum crowd_place {
	CROWD_ANY,	/* where the scheduler puts them */
	CROWD_APART,	/* bound, each to a CPU of its own while there are any */
	CROWD_ONE_CPU,	/* bound to one CPU, so that they take turns */
};

struct crowd {
	pthread_barrier_t start;
	enum crowd_place place;
	unsigned int bound;		/* threads so far */
	uint64_t each;			/* elements of each thread */
	int64_t began, ended;		/* of the first thread, and of the last */
};

/*
 * The threads look at the clock themselves: who waits for them may get a CPU
 * only after they are done.
 */
static inline void crowd_begins(struct crowd *c)
{
	int64_t now, first = INT64_MAX;
	unsigned int nth = __atomic_fetch_add(&c->bound, 1, __ATOMIC_RELAXED);

	if (c->place != CROWD_ANY)
		bind_to_nth(c->place == CROWD_APART ? nth : 0);
	pthread_barrier_wait(&c->start);
	now = pulse_now_ns();
	__atomic_compare_exchange_n(&c->began, &first, now, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static inline void crowd_ends(struct crowd *c)
{
	int64_t now = pulse_now_ns();
	int64_t seen = __atomic_load_n(&c->ended, __ATOMIC_RELAXED);

	while (seen < now &&
	       !__atomic_compare_exchange_n(&c->ended, &seen, now, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/*
 * Defines NAME_produce and NAME_consume: threads that move c->each elements.
 * OPEN and CLOSE are statements around; TRY says how many elements it moved of
 * the up to @left that are wanted, the next being number i.
 */
#define CROWD_SIDE(name, OPEN, TRY, CLOSE)				\
	static void *name(void *arg)					\
	{								\
		struct crowd *c = arg;					\
		unsigned int misses = 0;				\
		OPEN;							\
		crowd_begins(c);					\
		for (uint64_t i = 1; i <= c->each;) {			\
			uint64_t left = c->each - i + 1;		\
			uint64_t n_ = (uint64_t)(TRY);			\
			(void)left;					\
			if (__builtin_expect(n_ != 0, 1))		\
				i += n_;				\
			else						\
				wait_a_bit(&misses);			\
		}							\
		crowd_ends(c);						\
		CLOSE;							\
		return NULL;						\
	}

static inline double crowd_once(void *(*produce)(void *),
				void *(*consume)(void *), int pairs,
				uint64_t total, enum crowd_place place)
{
	struct crowd c = { .each = total / (uint64_t)pairs, .began = INT64_MAX,
			   .place = place };
	pthread_t t[16];

	pthread_barrier_init(&c.start, NULL, 2U * (unsigned int)pairs);
	for (int i = 0; i < 2 * pairs; i++) {
		if (pthread_create(&t[i], NULL, i & 1 ? produce : consume, &c))
			abort();
	}
	for (int i = 0; i < 2 * pairs; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&c.start);
	return (double)(c.ended - c.began) / (double)total;
}

/*
 * @pairs producers and as many consumers; nanoseconds an element, the median
 * of some runs that are short beside what else may disturb them. One to one they
 * are apart: a scheduler that sees two threads wake each other puts them on one
 * CPU more often than not, where a ring is filled and emptied in turns and what
 * is measured is how long a full one and an empty one are looked at.
 */
#define RUNS 9
static inline double crowd_run_at(enum crowd_place place,
				  void *(*produce)(void *),
				  void *(*consume)(void *), int pairs,
				  uint64_t total)
{
	double ns[RUNS];

	for (int i = 0; i < RUNS; i++)
		ns[i] = crowd_once(produce, consume, pairs,
				   total / (RUNS * 2) * 2, place);
	qsort(ns, RUNS, sizeof(*ns), by_value);
	return ns[RUNS / 2];
}

static inline double crowd_run(void *(*produce)(void *), void *(*consume)(void *),
			       int pairs, uint64_t total)
{
	return crowd_run_at(pairs == 1 ? CROWD_APART : CROWD_ANY, produce,
			    consume, pairs, total);
}

static inline void report_ratio(const char *bench, const struct group *g,
				const struct contender *c,
				const struct contender *peer, int rounds)
{
	double ns = c->ns[rounds / 2], other = peer->ns[rounds / 2];

	printf("  %s / %s: %.2f (lowest by lowest %.2f)\n", c->name, peer->name,
	       ns / other, c->ns[0] / peer->ns[0]);
	printf("JSON {\"bench\":\"%s\",\"figure\":\"%s\",\"unit\":\"ns\",\"name\":\"%s\",\"value\":%.2f,\"low\":%.2f,\"high\":%.2f,\"peer\":\"%s\",\"peer_value\":%.2f,\"peer_low\":%.2f,\"peer_high\":%.2f,\"ratio\":%.3f,\"rounds\":%d}\n",
	       bench, g->name, c->name, ns, c->ns[0], c->ns[rounds - 1],
	       peer->name, other, peer->ns[0], peer->ns[rounds - 1],
	       ns / other, rounds);
}

/* The table of a group, and what of it is the ratio to each peer. */
static inline void report(const char *bench, struct group *g, int rounds)
{
	int nr = 0;

	printf("%s\n", g->title);
	for (; nr < MAX_CONTENDERS && g->c[nr].name; nr++) {
		struct contender *c = &g->c[nr];

		qsort(c->ns, (size_t)rounds, sizeof(c->ns[0]), by_value);
		if (c->ns[0] < 0)
			printf("  %-22s not to be had\n", c->name);
		else
			printf("  %-22s %8.2f ns   (%.2f to %.2f)\n", c->name,
			       c->ns[rounds / 2], c->ns[0],
			       c->ns[rounds - 1]);
	}
	for (int i = 0; i < nr; i++) {
		for (int p = 0; p < nr; p++) {
			if (!g->c[i].peer && g->c[p].peer &&
			    g->c[i].ns[0] >= 0 && g->c[p].ns[0] >= 0)
				report_ratio(bench, g, &g->c[i], &g->c[p],
					     rounds);
		}
	}
}

static inline void run_rounds(struct group *groups, size_t nr, int rounds,
			      const char *only)
{
	for (int r = -1; r < rounds; r++) {	/* one to warm up */
		for (size_t g = 0; g < nr; g++) {
			struct contender *c = groups[g].c;

			if (only && strcmp(only, groups[g].name))
				continue;
			for (int i = 0; i < MAX_CONTENDERS && c[i].name; i++) {
				double ns = c[i].run();

				if (r >= 0)
					c[i].ns[r] = ns;
			}
		}
	}
}

/* glibc leaves locks out as long as there was one thread only: not fair. */
static void *nothing(void *arg)
{
	return arg;
}

static inline void end_single_thread(void)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, nothing, NULL))
		pthread_join(t, NULL);
}

#endif /* PULSE_BENCH_CONTEND_H */

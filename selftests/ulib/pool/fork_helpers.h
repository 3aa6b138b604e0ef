/* SPDX-License-Identifier: GPL-2.0-only */
/* fork_helpers.h - trees to be counted, and hearts that beat as tests want. */
#ifndef FORK_HELPERS_H
#define FORK_HELPERS_H

#include <pulse-u/fork.h>

#include "helpers.h"
#include "pool/pool.h"

/* A heart for pool->beats: who says quick() makes the next fork hear a beat. */
static uint64_t quick_heart;

static inline void quick(void)
{
	__atomic_fetch_add(&quick_heart, 1, __ATOMIC_RELAXED);
}

static inline struct pulse_pool *quick_pool(uint32_t workers)
{
	struct pulse_pool *pool = pool_of(workers, 0);

	if (pool)
		pool->beats = &quick_heart;
	return pool;
}

struct fib {
	int n;
	bool quick;
	long result;
};

static inline void fib(void *arg)
{
	struct fib *f = arg, a, b;

	if (f->quick)
		quick();
	if (f->n < 2) {
		f->result = f->n;
		return;
	}
	a = (struct fib){ f->n - 1, f->quick, 0 };
	b = (struct fib){ f->n - 2, f->quick, 0 };
	if (pulse_join2(fib, &a, fib, &b))
		KT_FAIL("pulse_join2 failed");
	f->result = a.result + b.result;
}

static inline long fib_of(int n)
{
	long a = 0, b = 1, c;

	while (n--) {
		c = a + b;
		a = b;
		b = c;
	}
	return a;
}

static inline void nothing_job(void *arg)
{
	(void)arg;
}

/* Enough forks that the worker's heart beats from now on. */
static inline void warm_up(void)
{
	for (int i = 0; i < 300; i++)
		pulse_join2(nothing_job, NULL, nothing_job, NULL);
}

#endif /* FORK_HELPERS_H */

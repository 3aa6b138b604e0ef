/* SPDX-License-Identifier: GPL-2.0-only */
/* threads.h - helpers of the tests of queues: how much, and who waits. */
#ifndef PULSE_SELFTESTS_LOCKFREE_THREADS_H
#define PULSE_SELFTESTS_LOCKFREE_THREADS_H

#include <pthread.h>
#include <sched.h>

#include "base/base.h"
#include "ktap.h"

/* As kt_scale(); a TSan build does a tenth of it. */
static inline uint64_t scaled(uint64_t rounds)
{
#ifdef PULSE__TSAN
	rounds /= 10;
#endif
	return (uint64_t)kt_scale((long)rounds);
}

/* Somebody else has to do something first. */
static inline void give_way(unsigned int *misses)
{
	if (++*misses % 8)
		cpu_relax();
	else
		sched_yield();
}

/* Sums over what went in and what came out: equal if each came out once. */
struct checksum {
	uint64_t nr;
	uint64_t sum;
	uint64_t squares;
};

static inline void checksum_add(struct checksum *c, uint64_t value)
{
	c->nr++;
	c->sum += value;
	c->squares += value * value;
}

static inline void checksum_merge(struct checksum *to, const struct checksum *c)
{
	to->nr += c->nr;
	to->sum += c->sum;
	to->squares += c->squares;
}

static inline void checksum_equal(const struct checksum *a,
				  const struct checksum *b)
{
	KT_EQ(a->nr, b->nr);
	KT_EQ(a->sum, b->sum);
	KT_EQ(a->squares, b->squares);
}

#endif /* PULSE_SELFTESTS_LOCKFREE_THREADS_H */

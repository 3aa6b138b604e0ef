/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * histogram.h - the inside of a histogram.
 *
 * Values under 2^bits have a bucket each. Above, power of two e (from bits on)
 * has 2^bits buckets of 2^(e - bits) values. All words are written with relaxed
 * atomics; a reader sums the buckets it finds, so a percentile is always one of
 * values that were recorded.
 */
#ifndef PULSE__HISTOGRAM_H
#define PULSE__HISTOGRAM_H

#include "base/base.h"

#include <pulse-u/histogram.h>

struct pulse_histogram {
	uint32_t bits;
	uint32_t nr;
	uint64_t sum;
	uint64_t min;		/* of ~value, so that 0 is "none" */
	uint64_t max;
	uint64_t bucket[];
};

static inline uint32_t pulse__hist_index(uint32_t bits, uint64_t value)
{
	uint32_t e;

	if (value >> bits == 0)
		return (uint32_t)value;
	e = 63U - (uint32_t)__builtin_clzll(value);
	return ((e - bits + 1) << bits) +
	       (uint32_t)((value >> (e - bits)) - (1ULL << bits));
}

static inline void pulse__hist_raise(uint64_t *word, uint64_t value)
{
	uint64_t seen = READ_ONCE(*word);

	while (seen < value && !pulse__cas(word, &seen, value, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED))
		;
}

/* By the only thread that records in it: no read-modify-write. */
static inline void pulse__hist_record_own(struct pulse_histogram *h,
					  uint64_t value)
{
	uint64_t *b = &h->bucket[pulse__hist_index(h->bits, value)];

	WRITE_ONCE(*b, *b + 1);
	WRITE_ONCE(h->sum, h->sum + value);
	if (h->max < value)
		WRITE_ONCE(h->max, value);
	if (h->min < ~value)
		WRITE_ONCE(h->min, ~value);
}

#endif /* PULSE__HISTOGRAM_H */

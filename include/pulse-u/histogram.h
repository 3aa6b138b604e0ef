/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * histogram.h - how values are spread, in a fixed amount of memory.
 *
 * Buckets are log-linear: each power of two is cut into the same number of equal
 * parts, so that a value is known to within a bounded part of itself wherever it
 * lies. Any number of threads may record at once, without locks; to read costs
 * as much as there are buckets and disturbs nobody.
 */
#ifndef PULSE_U_HISTOGRAM_H
#define PULSE_U_HISTOGRAM_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_histogram;

/**
 * struct pulse_histogram_opts - options of pulse_histogram_create()
 * @sz: sizeof(struct pulse_histogram_opts)
 * @bits: 1 to 12: 2^bits parts of each power of two; what is read is off by at
 *	most a 2^(bits+1)-th of itself. Memory: about (65 - bits) * 2^bits * 8
 *	bytes. Default 5: 1.6 %, 15 KiB.
 * @reserved: 0
 */
struct pulse_histogram_opts {
	size_t sz;
	uint32_t bits;
	uint32_t reserved;
};

/**
 * pulse_histogram_create() - make an empty histogram
 * @opts: or NULL for the defaults
 * @out: the histogram
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_histogram_create(const struct pulse_histogram_opts *opts,
				     struct pulse_histogram **out);

/**
 * pulse_histogram_destroy() - give a histogram back
 * @h: nobody else may use it any more
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_histogram_destroy(struct pulse_histogram *h);

/**
 * pulse_histogram_record() - count a value
 * @h: the histogram; NULL does nothing
 * @value: any
 */
PULSE_API void pulse_histogram_record(struct pulse_histogram *h,
				      uint64_t value);

/**
 * pulse_histogram_merge() - add all of another one
 * @to: gets them
 * @from: of the same bits; stays as it is
 *
 * Return: 0; -EINVAL also: other bits.
 */
PULSE_API int pulse_histogram_merge(struct pulse_histogram *to,
				    const struct pulse_histogram *from);

/**
 * pulse_histogram_reset() - make it empty
 * @h: what others record meanwhile may be lost in part
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_histogram_reset(struct pulse_histogram *h);

/**
 * pulse_histogram_percentile() - the value that so many do not exceed
 * @h: the histogram
 * @percent: 0 to 100
 * @out: the middle of the bucket where it lies, never outside of the least and
 *	greatest value; 0 in an empty one
 *
 * Return: 0; -EINVAL also: @percent is no such number.
 */
PULSE_API int pulse_histogram_percentile(const struct pulse_histogram *h,
					 double percent, uint64_t *out);

/**
 * struct pulse_histogram_summary - a histogram in a few numbers
 * @sz: sizeof(struct pulse_histogram_summary), set by the caller
 * @count: values
 * @sum: their sum, modulo 2^64
 * @min: the least; 0 where there is none
 * @max: the greatest
 * @mean: @sum / @count
 * @p50: half of them are not greater
 * @p90: 90 % of them
 * @p95: 95 %
 * @p99: 99 %
 * @p999: 99.9 %
 */
struct pulse_histogram_summary {
	size_t sz;
	uint64_t count;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
	uint64_t mean;
	uint64_t p50;
	uint64_t p90;
	uint64_t p95;
	uint64_t p99;
	uint64_t p999;
};

/**
 * pulse_histogram_summary() - read a histogram
 * @h: the histogram
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_histogram_summary(const struct pulse_histogram *h,
				      struct pulse_histogram_summary *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_HISTOGRAM_H */

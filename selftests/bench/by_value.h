/* SPDX-License-Identifier: GPL-2.0-only */
/* by_value.h - orders figures for qsort(): medians, spreads, percentiles. */
#ifndef PULSE_BENCH_BY_VALUE_H
#define PULSE_BENCH_BY_VALUE_H

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#endif

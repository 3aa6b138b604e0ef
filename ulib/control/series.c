// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * series.c - recording: what hot paths call.
 */
#include "control/metrics.h"

static uint64_t *lane_of(struct pulse_series *series)
{
	return series->lanes + series->metric->stride *
	       (pulse__lane() % PULSE__METRIC_LANES);
}

void pulse_series_add(struct pulse_series *series, uint64_t by)
{
	if (likely(series && series->metric->type == PULSE_METRIC_COUNTER))
		pulse__add_relaxed(lane_of(series), by);
}

void pulse_series_follow(struct pulse_series *series, uint64_t value)
{
	if (!series || series->metric->type != PULSE_METRIC_COUNTER)
		return;
	pthread_mutex_lock(&series->metric->metrics->lock);
	if (value < series->followed)
		series->base += series->followed;
	series->followed = value;
	WRITE_ONCE(series->lanes[0], series->base + value);
	pthread_mutex_unlock(&series->metric->metrics->lock);
}

void pulse__series_anew(struct pulse_series *series, uint64_t value)
{
	pthread_mutex_lock(&series->metric->metrics->lock);
	/* Modulo 2^64: base and what is followed together are what is shown. */
	if (series->base + series->followed) {
		series->base += series->followed - value;
		series->followed = value;
	}
	pthread_mutex_unlock(&series->metric->metrics->lock);
}

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static double of_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

void pulse_series_set(struct pulse_series *series, double value)
{
	if (likely(series && series->metric->type == PULSE_METRIC_GAUGE))
		WRITE_ONCE(series->lanes[0], bits_of(value));
}

void pulse_series_change(struct pulse_series *series, double by)
{
	uint64_t seen;

	if (!series || series->metric->type != PULSE_METRIC_GAUGE)
		return;
	seen = READ_ONCE(series->lanes[0]);
	while (!pulse__cas(&series->lanes[0], &seen, bits_of(of_bits(seen) + by),
			   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void pulse_series_observe(struct pulse_series *series, uint64_t value)
{
	const struct pulse_metric *m;
	uint32_t low = 0, high;
	uint64_t *lane;

	if (unlikely(!series || series->metric->type != PULSE_METRIC_HISTOGRAM))
		return;
	m = series->metric;
	/* The first bound that is not below it; nr_bounds: none, +Inf. */
	high = m->nr_bounds;
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (m->bounds[mid] < value)
			low = mid + 1;
		else
			high = mid;
	}
	lane = lane_of(series);
	pulse__add_relaxed(&lane[low], 1);
	pulse__add_relaxed(&lane[m->nr_bounds + 1], value);
}

uint64_t pulse__series_sum(const struct pulse_series *series, size_t word)
{
	const struct pulse_metric *m = series->metric;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->nr_lanes; i++)
		sum += READ_ONCE(series->lanes[i * m->stride + word]);
	return sum;
}

double pulse__series_gauge(const struct pulse_series *series)
{
	return of_bits(READ_ONCE(series->lanes[0]));
}

double pulse_series_read(struct pulse_series *series)
{
	uint64_t sum = 0;

	if (!series)
		return 0;
	switch (series->metric->type) {
	case PULSE_METRIC_COUNTER:
		return (double)pulse__series_sum(series, 0);
	case PULSE_METRIC_GAUGE:
		return pulse__series_gauge(series);
	default:
		for (uint32_t i = 0; i <= series->metric->nr_bounds; i++)
			sum += pulse__series_sum(series, i);
		return (double)sum;
	}
}

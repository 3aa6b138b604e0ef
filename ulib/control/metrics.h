/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * metrics.h - the inside of a registry.
 *
 * A series' words lie in lanes, one for each thread number modulo LANES, each on
 * lines of its own. Of a counter a lane is one word, of a histogram its buckets
 * and a sum, in words of relaxed atomics. A gauge has one lane with one word,
 * the bits of a double.
 *
 * Lists only grow, under the registry's lock; a series is found through its
 * family's list, once, and then used without.
 */
#ifndef PULSE__METRICS_H
#define PULSE__METRICS_H

#include "base/base.h"
#include "base/list.h"
#include "base/snap.h"

#include <pthread.h>

#include <pulse-u/metrics.h>

#define PULSE__METRIC_LANES 8

struct pulse_series {
	struct pulse__list link;	/* metric->series */
	struct pulse_metric *metric;
	char **values;
	/* A counter that follows: where the other stood, and what was before. */
	uint64_t followed, base;
	uint64_t *lanes;
};

struct pulse_metric {
	struct pulse__list link;	/* metrics->families */
	struct pulse_metrics *metrics;
	char *name, *help;
	char **labels;
	uint32_t nr_labels;
	int type;
	double scale;
	uint64_t *bounds;
	uint32_t nr_bounds;
	uint32_t max_series, nr_series;
	uint32_t nr_lanes;
	size_t words;			/* of a lane that are used */
	size_t stride;			/* words from a lane to the next */
	struct pulse__list series;
};

struct pulse__collector {
	struct pulse__list link;
	pulse_collect_fn fn;
	void *arg;
	void (*release)(void *arg);	/* or NULL */
	int id;
};

/*
 * Lock order: reading, then lock. reading is held while collectors run, which
 * take lock to look series up.
 */
struct pulse_metrics {
	pthread_mutex_t reading;	/* collectors, and who reads */
	pthread_mutex_t lock;		/* families and series */
	struct pulse__list collectors;
	struct pulse__list families;
	int next_id;
};

/* As pulse_metrics_collect(), with an end for @arg. */
int pulse__metrics_collect(struct pulse_metrics *metrics, pulse_collect_fn fn,
			   void *arg, void (*release)(void *arg));
/*
 * What a counter follows is another object, which stands at @value: what it
 * counts from now on is added. Of the first object all of it is.
 */
void pulse__series_anew(struct pulse_series *series, uint64_t value);
/* The sum of a word over the lanes. */
uint64_t pulse__series_sum(const struct pulse_series *series, size_t word);
double pulse__series_gauge(const struct pulse_series *series);

#endif /* PULSE__METRICS_H */

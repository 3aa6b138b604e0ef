/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* measure.h - what a pool measures where it was asked to; measure.c. */
#ifndef PULSE__POOL_MEASURE_H
#define PULSE__POOL_MEASURE_H

#include <pulse-u/pool_stats.h>
#include <pulse-u/task.h>

#include "base/histogram.h"
#include "pool/pool.h"

/* Of one worker, which alone writes. */
struct pulse__cells {
	struct pulse_histogram *latency[PULSE_LATENCY_KINDS];
};

int pulse__measure_new(struct pulse_pool *pool, bool latency);
void pulse__measure_free(struct pulse_pool *pool);
/* Runs a job in a pool that does more than run it. */
void pulse__job_run_odd(struct pulse__worker *w, const struct pulse__job *job);
/* The job in hand is this task with a handle. */
void pulse__name_work(struct pulse__worker *w, pulse_work_fn fn, uint64_t id);
/* When it was submitted goes into the epoch's word. */
void pulse__stamp(struct pulse__job *jobs, unsigned int nr);

#endif /* PULSE__POOL_MEASURE_H */

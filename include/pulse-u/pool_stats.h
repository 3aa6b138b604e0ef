/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pool_stats.h - how fast a pool is: latencies, metrics in one look, and
 * statistics of the user's own.
 */
#ifndef PULSE_U_POOL_STATS_H
#define PULSE_U_POOL_STATS_H

#include <pulse-u/base.h>
#include <pulse-u/histogram.h>
#include <pulse-u/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pulse_latency_kind {
	PULSE_LATENCY_QUEUE = 0,	/* from submit to the task's begin */
	PULSE_LATENCY_RUN = 1,		/* from its begin to its end */
	PULSE_LATENCY_TOTAL = 2,	/* from submit to its end */
};
#define PULSE_LATENCY_KINDS 3

/**
 * pulse_pool_latency() - how long tasks take, in nanoseconds
 * @pool: made with enable_latency
 * @kind: enum pulse_latency_kind
 * @out: the answer; its sz must be set
 *
 * Over all tasks that ended so far, each to within 1.6 %. Each worker counts in
 * histograms of its own.
 *
 * Return: 0; -EOPNOTSUPP the pool does not measure; -ENOMEM; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_latency(struct pulse_pool *pool, int kind,
				 struct pulse_histogram_summary *out);

/**
 * pulse_pool_latency_histogram() - all of it
 * @pool: made with enable_latency
 * @kind: enum pulse_latency_kind
 * @into: gets what was counted so far added; made with the default options
 *
 * Return: 0; -EOPNOTSUPP the pool does not measure; -EINVAL; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_pool_latency_histogram(struct pulse_pool *pool, int kind,
					   struct pulse_histogram *into);

/**
 * struct pulse_pool_metrics - a pool in one look
 * @sz: sizeof(struct pulse_pool_metrics), set by the caller
 * @submitted: tasks accepted
 * @completed: tasks run, however they ended
 * @cancelled: tasks that the pool's end cancelled in the queue
 * @work_done: tasks with a handle that ended well
 * @work_failed: ... with an error, those that ran out of time among them
 * @work_cancelled: ... that were cancelled
 * @queue_length: tasks that wait
 * @active_workers: workers inside a task
 * @num_workers: workers
 * @grown: workers that came after the start
 * @shrunk: workers that went before the end
 * @average_ns: mean of PULSE_LATENCY_TOTAL; it and the others are 0 where the
 *	pool does not measure
 * @p50_ns: half of the tasks were faster
 * @p95_ns: 95 % of them
 * @p99_ns: 99 % of them
 */
struct pulse_pool_metrics {
	size_t sz;
	uint64_t submitted;
	uint64_t completed;
	uint64_t cancelled;
	uint64_t work_done;
	uint64_t work_failed;
	uint64_t work_cancelled;
	uint64_t queue_length;
	uint32_t active_workers;
	uint32_t num_workers;
	uint32_t grown;
	uint32_t shrunk;
	uint64_t average_ns;
	uint64_t p50_ns;
	uint64_t p95_ns;
	uint64_t p99_ns;
};

/**
 * pulse_pool_metrics() - read a pool's metrics
 * @pool: the pool
 * @out: the answer; its sz must be set
 *
 * Return: 0; -ENOMEM; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_metrics(struct pulse_pool *pool,
				 struct pulse_pool_metrics *out);

/* ---- the user's own ------------------------------------------------------- */

#define PULSE_POOL_CUSTOM_MAX 32

/**
 * pulse_pool_custom_define() - a statistic of the user's own
 * @pool: the pool
 * @name: copied; one that is there already is found again
 *
 * Each worker counts in a word of its own: to add costs a plain store.
 *
 * Return: its number, 0 or more; -ENOSPC there are PULSE_POOL_CUSTOM_MAX;
 * -ENAMETOOLONG over 31 characters; -ENOMEM; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_pool_custom_define(struct pulse_pool *pool,
				       const char *name);

/**
 * pulse_pool_custom_add() - count
 * @pool: the pool
 * @id: of pulse_pool_custom_define(); another one does nothing
 * @by: how much more
 *
 * From any thread.
 */
PULSE_API void pulse_pool_custom_add(struct pulse_pool *pool, int id,
				     uint64_t by);

/**
 * pulse_pool_custom_read() - read a statistic
 * @pool: the pool
 * @id: of pulse_pool_custom_define()
 * @value: the sum over all threads
 * @name: what it is called, static for the pool's life; or NULL
 *
 * Return: 0; -ENOENT no such statistic; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_custom_read(struct pulse_pool *pool, int id,
				     uint64_t *value, const char **name);

/* ---- live controls ---------------------------------------------------------- */

/**
 * pulse_pool_set_heartbeat() - another heartbeat interval
 * @pool: the pool
 * @interval_us: 20 to 60000000, or 0: forked jobs are not shared
 *
 * A worker whose heart beats takes it over at its next beat, others when they
 * fork next.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_set_heartbeat(struct pulse_pool *pool,
				       unsigned int interval_us);

/**
 * pulse_pool_set_promotion() - when is it worth it to share?
 * @pool: the pool
 * @threshold: after a worker has forked for so many times 5 us; 0: unchanged
 * @min_work_cycles: ... or a quarter as often, about; 0: unchanged
 *
 * From there on its heart beats, and each beat shares a job; it stops when the
 * worker was idle for 2 ms. A heart that beats already is left alone.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_set_promotion(struct pulse_pool *pool,
				       unsigned int threshold,
				       uint64_t min_work_cycles);

/**
 * pulse_pool_force_promotion() - share whatever can be, or by the rules again
 * @pool: the pool
 * @on: 1 or 0
 *
 * On: each fork and poll shares as on a beat, without a heart that beats; for
 * tests, and for few and long jobs. Not with an interval of 0. Taken over as in
 * pulse_pool_set_heartbeat().
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_force_promotion(struct pulse_pool *pool, int on);

/**
 * struct pulse_pool_knobs - the live controls as they are
 * @sz: sizeof(struct pulse_pool_knobs), set by the caller
 * @heartbeat_us: 0: none
 * @promotion_threshold: see pulse_pool_set_promotion()
 * @min_work_cycles: likewise
 * @force_promotion: 1 or 0
 * @reserved: 0
 */
struct pulse_pool_knobs {
	size_t sz;
	uint32_t heartbeat_us;
	uint32_t promotion_threshold;
	uint64_t min_work_cycles;
	uint32_t force_promotion;
	uint32_t reserved;
};

/**
 * pulse_pool_knobs() - read the live controls
 * @pool: the pool
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_knobs(struct pulse_pool *pool,
			       struct pulse_pool_knobs *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_POOL_STATS_H */

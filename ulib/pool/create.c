// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * create.c - making a pool, all of it or nothing, and giving it back.
 */
#include <stdio.h>

#include <pulse-u/timer.h>

#include "pool/det.h"
#include "pool/measure.h"
#include "pool/pool.h"
#include "pool/predict.h"

#define PULSE__POOL_OPTS_VER0	PULSE__END(struct pulse_pool_opts, hook_arg)
/* A deque begins small and grows to task_queue_size. */
#define PULSE__DEQUE_FIRST	64U

static bool pulse__switch(int32_t value, bool by_default)
{
	return value == PULSE_DEFAULT ? by_default : value == PULSE_ON;
}

static bool pulse__is_switch(int32_t value)
{
	return value >= PULSE_OFF && value <= PULSE_ON;
}

/* How many workers there are, may be, and must stay. */
static int pulse__pool_numbers(struct pulse_pool *pool,
			       const struct pulse_pool_opts *o, uint32_t cpus)
{
	uint32_t num, max;

	/* The same on each machine, where the seed is to mean the same. */
	num = o->num_workers ? o->num_workers :
	      o->seed ? PULSE__DET_WORKERS : cpus;
	if (!o->num_workers && o->max_workers && num > o->max_workers)
		num = o->max_workers;
	if (!o->num_workers && num < o->min_workers)
		num = o->min_workers;
	pool->adaptive = pulse__switch(o->enable_adaptive_sizing, false);
	max = o->max_workers;
	if (!max)
		max = pool->adaptive && 2 * cpus > num ? 2 * cpus : num;
	if (max > PULSE_MAX_WORKERS)
		max = o->max_workers ? max : PULSE_MAX_WORKERS;
	pool->floor = o->min_workers ? o->min_workers : num < 2 ? num : 2;
	if (max < num || max > PULSE_MAX_WORKERS || pool->floor > num)
		return -EINVAL;
	/* Threads that come when they like are not deterministic. */
	if (o->seed && pool->adaptive)
		return -EINVAL;
	pool->nr_workers = max;
	pool->target = num;
	return 0;
}

static void pulse__pool_knobs(struct pulse_pool *pool,
			      const struct pulse_pool_opts *o)
{
	struct pulse__knobs *k = &pool->knobs;

	if (pulse__switch(o->enable_heartbeat, true))
		k->heartbeat_us = o->heartbeat_interval_us ?
			o->heartbeat_interval_us : PULSE__BEAT_US;
	k->promotion_threshold = o->promotion_threshold ?
		o->promotion_threshold : PULSE__PROMOTION_THRESHOLD;
	k->min_work_cycles = o->min_work_cycles ? o->min_work_cycles :
		PULSE__MIN_WORK_CYCLES;
}

static int pulse__pool_opts(struct pulse_pool *pool,
			    const struct pulse_pool_opts *o)
{
	uint32_t queue = o->task_queue_size ? o->task_queue_size :
					      PULSE__POOL_QUEUE;
	int cpus, err;

	if (o->reserved || o->num_workers > PULSE_MAX_WORKERS ||
	    queue > PULSE__POOL_QUEUE_MAX || o->spin_us < PULSE_OFF ||
	    !pulse__is_switch(o->enable_work_stealing) ||
	    !pulse__is_switch(o->enable_topology_aware) ||
	    !pulse__is_switch(o->enable_numa_aware) ||
	    !pulse__is_switch(o->enable_statistics) ||
	    !pulse__is_switch(o->pin) ||
	    !pulse__is_switch(o->enable_adaptive_sizing) ||
	    !pulse__is_switch(o->enable_heartbeat) ||
	    !pulse__is_switch(o->enable_latency) ||
	    !pulse__is_switch(o->enable_trace) ||
	    !pulse__is_switch(o->enable_predictive) ||
	    !pulse__is_switch(o->enable_lock_free) ||
	    o->spin_ns < 0 || o->task_timeout_ns < 0 ||
	    o->shutdown_grace_ns < 0 ||
	    (o->heartbeat_interval_us &&
	     (o->heartbeat_interval_us < PULSE__BEAT_US_MIN ||
	      o->heartbeat_interval_us > PULSE__BEAT_US_MAX)))
		return -EINVAL;
	err = pulse__class_load(pool, o);
	if (err)
		return err;
	cpus = pulse__place_default();
	if (cpus < 0)
		return cpus;
	err = pulse__pool_numbers(pool, o, (uint32_t)cpus);
	if (err)
		return err;
	pool->queue_size = (uint32_t)pulse__pow2_up(queue < 2 ? 2 : queue);
	if (o->spin_us == PULSE_DEFAULT)
		pool->spin_ns = cpus > 1 ? PULSE__POOL_SPIN_US *
					   PULSE__NSEC_PER_USEC : 0;
	else if (o->spin_us > 0)
		pool->spin_ns = o->spin_us * PULSE__NSEC_PER_USEC;
	if (o->spin_ns)
		pool->spin_ns = o->spin_ns;
	pool->stealing = pulse__switch(o->enable_work_stealing, true);
	pool->locked = !pulse__switch(o->enable_lock_free, true);
	pool->numa = pulse__switch(o->enable_numa_aware, true);
	pool->statistics = pulse__switch(o->enable_statistics, true);
	pool->pin = pulse__switch(o->pin, false);
	/* Drawn from a seed, who forks runs it all: a beat has no place there. */
	pool->may_share = pool->stealing && pool->nr_workers > 1 && !o->seed;
	pool->on_worker_start = o->on_worker_start;
	pool->on_worker_stop = o->on_worker_stop;
	pool->on_cancel = o->on_cancel;
	pool->on_complete = o->on_complete;
	pool->on_error = o->on_error;
	pool->on_stall = o->on_stall;
	pool->hook_arg = o->hook_arg;
	pool->keep_ns = (o->keep_alive_ms ? o->keep_alive_ms :
			 PULSE__POOL_KEEP_MS) * PULSE__NSEC_PER_MSEC;
	pool->stall_ms = o->stall_ms;
	pool->task_timeout_ns = o->task_timeout_ns;
	pool->grace_ns = o->shutdown_grace_ns ? o->shutdown_grace_ns :
			 PULSE_FOREVER;
	pulse__pool_knobs(pool, o);
	pool->seed = o->seed;
	if (pulse__switch(o->enable_trace, false))
		pool->odd |= PULSE__ODD_TRACE;
	if (o->stall_ms)
		pool->odd |= PULSE__ODD_NAME;
	snprintf(pool->name, sizeof(pool->name), "%s",
		 o->name && *o->name ? o->name : "pulse");
	return 0;
}

static int pulse__pool_ctx(struct pulse_pool *pool, struct pulse_ctx *shared)
{
	/* Its node rings are not used: as small as they can be. */
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = pool->nr_workers,
		   .ring_entries = 2);
	int err = 0;

	pool->ctx = shared;
	if (shared) {
		err = pulse__ctx_check(shared);
	} else {
		err = pulse_ctx_create(&opts, &pool->ctx);
		pool->own_ctx = !err;
	}
	if (err)
		return err;
	pool->members = pulse__calloc(pool->ctx->idle_words,
				      sizeof(*pool->members));
	pool->joiners = pulse__calloc(pool->ctx->idle_words,
				      sizeof(*pool->joiners));
	return pool->members && pool->joiners ? 0 : -ENOMEM;
}

static int pulse__workers_new(struct pulse_pool *pool)
{
	uint32_t first = pool->queue_size < PULSE__DEQUE_FIRST ?
			 pool->queue_size : PULSE__DEQUE_FIRST;

	pool->worker = pulse__calloc(pool->nr_workers,
				     sizeof(struct pulse__worker *));
	if (!pool->worker)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__worker *w;

		w = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*w));
		if (!w)
			return -ENOMEM;
		pool->worker[i] = w;
		w->pool = pool;
		w->number = i;
		w->index = -1;
		w->cpu = -1;
		w->seed = 2654435761U * (i + 1);
		if (pulse__deque_init(&w->deque, first, pool->queue_size, 0))
			return -ENOMEM;
	}
	return 0;
}

static int pulse__pool_slab(struct pulse_pool *pool)
{
	PULSE_OPTS(pulse_slab_opts, opts,
		   .object_bytes = sizeof(struct pulse__task),
		   .align = PULSE_CACHE_LINE);

	return pulse_slab_create(&opts, &pool->slab);
}

/* Starts the threads; all of them run, or none is left. */
static int pulse__pool_start(struct pulse_pool *pool)
{
	uint32_t n = 0;
	int err = 0;

	pool->live = pool->target;
	for (; n < pool->target && !err; n++) {
		struct pulse__worker *w = pool->worker[n];

		err = pulse__worker_spawn(w, &w->thread);
		w->started = !err;
	}
	n -= !!err;
	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = pool->target; i < pool->nr_workers; i++)
		pool->worker[i]->vacant = true;
	while (pool->nr_started < n)
		pthread_cond_wait(&pool->cond, &pool->lock);
	if (!err)
		err = pool->start_err;
	pool->go = err ? -1 : 1;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

static void pulse__pool_join(struct pulse_pool *pool)
{
	for (uint32_t i = 0; pool->worker && i < pool->nr_workers; i++) {
		struct pulse__worker *w = pool->worker[i];
		pthread_t thread;

		if (!w || !w->started)
			continue;
		/* A worker that was replaced in its last moment. */
		pthread_mutex_lock(&pool->lock);
		thread = w->thread;
		pthread_mutex_unlock(&pool->lock);
		pthread_join(thread, NULL);
	}
}

static void pulse__pool_free(struct pulse_pool *pool)
{
	pulse_timer_service_destroy(pool->timers);
	pulse__measure_free(pool);
	pulse__det_free(pool);
	pulse__predict_free(pool);
	for (uint32_t i = 0; pool->worker && i < pool->nr_workers; i++) {
		struct pulse__worker *w = pool->worker[i];

		if (!w)
			continue;
		pulse__sleeper_leave(w);
		pulse__deque_fini(&w->deque);
		pulse__free(w->victims);
		pulse__free(w);
	}
	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		for (int lane = 0; lane < PULSE__LANES; lane++)
			pulse__inject_fini(&pool->node[i]->queue[lane]);
		pulse__free(pool->node[i]);
	}
	if (pool->slab)
		pulse_slab_destroy(pool->slab);
	if (pool->own_ctx)
		pulse_ctx_destroy(pool->ctx);
	pulse__free(pool->worker);
	pulse__free(pool->node);
	pulse__free(pool->order);
	pulse__free(pool->near_row);
	pulse__free(pool->by_node);
	pulse__free(pool->members);
	pulse__free(pool->joiners);
	pulse__warden_free(pool);
	pool->magic = PULSE__MAGIC_DEAD;
	pulse__free(pool);
}

int pulse_pool_create(const struct pulse_pool_opts *user,
		      struct pulse_pool **out)
{
	struct pulse_pool_opts opts;
	struct pulse_pool *pool;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&opts, sizeof(opts), PULSE__POOL_OPTS_VER0,
			       user);
	if (err)
		return err;
	pool = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->magic = PULSE__POOL_MAGIC;
	pool->fork_gen = pulse__fork_generation();
	pthread_mutex_init(&pool->lock, NULL);
	err = pulse__wait_init(pool);
	if (!err)
		err = pulse__pool_opts(pool, &opts);
	if (!err)
		err = pulse__pool_ctx(pool, opts.ctx);
	if (!err)
		err = pulse__workers_new(pool);
	if (!err)
		err = pulse__pool_layout(pool, pulse__switch(
					 opts.enable_topology_aware, true));
	if (!err)
		err = pulse__pool_slab(pool);
	if (!err)
		err = pulse__warden_new(pool);
	if (!err)
		err = pulse__measure_new(pool, pulse__switch(
					 opts.enable_latency, false));
	if (!err)
		err = pulse__det_new(pool);
	if (!err)
		err = pulse__predict_new(pool, pulse__switch(
					 opts.enable_predictive, false));
	if (!err)
		err = pulse__pool_start(pool);
	if (!err) {
		err = pulse__warden_start(pool);
		if (err)
			pulse_pool_stop(pool);
	}
	if (err) {
		pulse__pool_join(pool);
		pthread_cond_destroy(&pool->cond);
		pthread_mutex_destroy(&pool->lock);
		pulse__pool_free(pool);
		return err;
	}
	*out = pool;
	return 0;
}

int pulse_pool_destroy(struct pulse_pool *pool)
{
	int err = pulse__pool_check(pool);

	if (err == -EOWNERDEAD) {
		/* The threads, and who held the lock, are the parent's. */
		pulse__pool_free(pool);
		return err;
	}
	if (err)
		return err;
	if (pulse__pool_self_in(pool))
		return -EDEADLK;
	if (pulse_pool_shutdown(pool, pool->grace_ns) == -ETIMEDOUT)
		pulse_pool_shutdown(pool, PULSE_FOREVER);
	pulse__warden_stop(pool);
	pulse__pool_join(pool);
	pthread_cond_destroy(&pool->cond);
	pthread_mutex_destroy(&pool->lock);
	pulse__pool_free(pool);
	return 0;
}

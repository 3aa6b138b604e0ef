// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stats.c - what a pool tells of itself. Nothing is stopped for it: each word
 * is true, their sum may be a little old.
 */
#include "pool/det.h"
#include "pool/pool.h"

static uint64_t pulse__pool_queued(const struct pulse_pool *pool)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		for (int lane = 0; lane < PULSE__LANES; lane++)
			n += pulse__inject_count(&pool->node[i]->queue[lane]);
	}
	for (uint32_t i = 0; i < pool->nr_workers; i++)
		n += pulse__deque_size(&pool->worker[i]->deque);
	if (pool->det)
		n += pulse__det_queued(pool);
	return n;
}

static uint32_t pulse__pool_active(const struct pulse_pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->nr_workers; i++)
		n += READ_ONCE(pool->worker[i]->in_task);
	return n;
}

int pulse_pool_is_running(const struct pulse_pool *pool)
{
	int err = pulse__pool_check(pool);

	return err ? err : pulse__pool_state(pool) == PULSE__POOL_RUNNING;
}

int pulse_pool_queue_length(const struct pulse_pool *pool)
{
	int err = pulse__pool_check(pool);
	uint64_t n;

	if (err)
		return err;
	n = pulse__pool_queued(pool);
	return n < INT_MAX ? (int)n : INT_MAX;
}

int pulse_pool_active_workers(const struct pulse_pool *pool)
{
	int err = pulse__pool_check(pool);

	return err ? err : (int)pulse__pool_active(pool);
}

int pulse_pool_num_workers(const struct pulse_pool *pool)
{
	int err = pulse__pool_check(pool);

	return err ? err : (int)READ_ONCE(pool->live);
}

struct pulse_pool *pulse_pool_current(void)
{
	struct pulse__worker *w = pulse__pool_self;

	return w ? w->pool : NULL;
}

int pulse_pool_current_worker(void)
{
	struct pulse__worker *w = pulse__pool_self;

	return w ? (int)w->number : -ESRCH;
}

int pulse_pool_stats(struct pulse_pool *pool, struct pulse_pool_stats *out)
{
	struct pulse_pool_stats s = { .sz = sizeof(s) };
	int err = pulse__pool_check(pool);

	if (!err)
		err = pulse__out_check(out, PULSE__END(struct pulse_pool_stats,
						       reserved));
	if (err)
		return err;
	/* Done before submitted, so that it never seems to be more. */
	for (int e = 0; e < 2; e++)
		s.cancelled += pulse__load_acquire(&pool->cancelled[e]);
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		const struct pulse__worker *w = pool->worker[i];

		s.completed += pulse__load_acquire(&w->done[0]) +
			       pulse__load_acquire(&w->done[1]);
		s.stolen += READ_ONCE(w->stolen);
		s.parks += READ_ONCE(w->parks);
		/* Taken before shared, so that it never seems to be more. */
		s.jobs_taken += READ_ONCE(w->jobs_taken);
	}
	for (int e = 0; e < 2; e++) {
		for (uint32_t i = 0; i < pool->nr_workers; i++)
			s.submitted += READ_ONCE(pool->worker[i]->submitted[e]);
		for (uint32_t i = 0; i < pool->nr_nodes; i++)
			s.submitted += READ_ONCE(pool->node[i]->submitted[e]);
	}
	for (uint32_t i = 0; i < pool->nr_workers; i++)
		s.jobs_shared += READ_ONCE(pool->worker[i]->jobs_shared);
	s.wakes = READ_ONCE(pool->wakes);
	s.queued = pulse__pool_queued(pool);
	s.num_workers = READ_ONCE(pool->live);
	s.active_workers = pulse__pool_active(pool);
	s.num_nodes = pool->nr_nodes;
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

int pulse_pool_worker_stats(struct pulse_pool *pool, int worker,
			    struct pulse_pool_worker_stats *out)
{
	struct pulse_pool_worker_stats s = { .sz = sizeof(s) };
	struct pulse_worker_state st = { .sz = sizeof(st) };
	const struct pulse__worker *w;
	int index, err = pulse__pool_check(pool);

	if (!err)
		err = pulse__out_check(out, PULSE__END(
				struct pulse_pool_worker_stats, wait_ns));
	if (err)
		return err;
	if (worker < 0 || (uint32_t)worker >= pool->nr_workers)
		return -EINVAL;
	w = pool->worker[worker];
	s.executed = READ_ONCE(w->executed);
	s.submitted = READ_ONCE(w->submitted[0]) + READ_ONCE(w->submitted[1]);
	s.stolen = READ_ONCE(w->stolen);
	s.parks = READ_ONCE(w->parks);
	s.wakes = READ_ONCE(w->wakes);
	s.queued = pulse__deque_size(&w->deque);
	s.home_node = w->node->id;
	s.pinned_cpu = w->cpu;
	index = READ_ONCE(w->index);
	/* Its thread ended: DEAD, or it never was. */
	st.state = PULSE_STATE_DEAD;
	if (index >= 0)
		pulse_worker_state(pool->ctx, index, &st);
	s.state = st.state;
	s.tid = st.tid;
	s.cpu = st.cpu;
	s.node = st.node;
	s.n_preempt = st.n_preempt;
	s.n_block = st.n_block;
	s.n_migrate = st.n_migrate;
	s.run_ns = st.run_ns;
	s.wait_ns = st.wait_ns;
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stop.c - the end of a pool: drained, stopped, destroyed.
 *
 * RUNNING -> DRAINING -> STOPPED when all is done, or -> STOPPING, from either,
 * when what is queued is to be cancelled. STOPPED and STOPPING are final, and
 * workers leave in them.
 *
 * A submitter counts before it looks at the state, and both are seq_cst: if it
 * still saw RUNNING, the drain that follows our store sees its count and waits
 * for it. Two drains, because it may have counted in either epoch.
 */
#include "pool/det.h"
#include "pool/graph.h"
#include "pool/pipeline.h"
#include "pool/pool.h"
#include "pool/predict.h"
#include "pool/work.h"

void pulse__pool_end(struct pulse_pool *pool, enum pulse__pool_state to)
{
	uint32_t state = pulse__pool_state(pool);

	while (state < to && state < PULSE__POOL_STOPPING) {
		if (pulse__cas(&pool->state, &state, (uint32_t)to,
			       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			break;
	}
	/* Before the look at counts, queues or parked workers that follows. */
	pulse__full_barrier();
}

void pulse__job_cancel(struct pulse_pool *pool, const struct pulse__job *job)
{
	if (job->fn == pulse__call_task)
		pulse__call_cancel(job->data);
	else if (job->fn == pulse__work_run)
		pulse__work_cancel(job->data);
	else if (job->fn == pulse__steered_run)
		pulse__steered_cancel(pool, job->data);
	else if (job->fn == pulse__graph_task)
		pulse__graph_cancel(job->data);
	else if (job->fn == pulse__graph_root)
		pulse__graph_cancel_root(job->data);
	else if (job->fn == pulse__pipe_task)
		pulse__pipe_cancel(job->data);
	else if (pool->on_cancel)
		pool->on_cancel(pool->hook_arg, job->fn, job->data);
	/* Release: what the hook did, to who waits; pairs with wait.c. */
	__atomic_fetch_add(&pool->cancelled[job->epoch & 1], 1, __ATOMIC_SEQ_CST);
}

static uint64_t pulse__sweep_deque(struct pulse_pool *pool,
				   struct pulse__deque *deque)
{
	uint64_t n = 0;
	void *mem;
	int err;

	while ((err = pulse__deque_steal(deque, &mem)) != -ENOENT) {
		struct pulse__task *t = mem;

		if (err) {
			cpu_relax();
			continue;
		}
		pulse__job_cancel(pool, &t->job);
		pulse__task_free(pool, NULL, t);
		n++;
	}
	return n;
}

uint64_t pulse__pool_sweep(struct pulse_pool *pool)
{
	struct pulse__job job;
	uint32_t drain;
	uint64_t n = 0;

	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		for (int lane = 0; lane < PULSE__LANES; lane++) {
			for (; pulse__inject_pop(&pool->node[i]->queue[lane],
						 &job); n++)
				pulse__job_cancel(pool, &job);
		}
	}
	for (uint32_t i = 0; i < pool->nr_workers; i++)
		n += pulse__sweep_deque(pool, &pool->worker[i]->deque);
	if (pool->det)
		n += pulse__det_sweep(pool);
	drain = __atomic_load_n(&pool->drain, __ATOMIC_SEQ_CST);
	if (drain)
		pulse__drain_look(pool, drain);
	return n;
}

int pulse_pool_stop(struct pulse_pool *pool)
{
	uint64_t n = 0;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	pulse__pool_end(pool, PULSE__POOL_STOPPING);
	if (pulse__pool_state(pool) == PULSE__POOL_STOPPING)
		n = pulse__pool_sweep(pool);
	pulse__pool_wake_all(pool);
	return n < INT_MAX ? (int)n : INT_MAX;
}

static uint64_t pulse__pool_cancelled(struct pulse_pool *pool)
{
	return READ_ONCE(pool->cancelled[0]) + READ_ONCE(pool->cancelled[1]);
}

int pulse_pool_shutdown(struct pulse_pool *pool, int64_t grace_ns)
{
	int64_t deadline;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (grace_ns < 0)
		return -EINVAL;
	pulse__pool_end(pool, PULSE__POOL_DRAINING);
	if (pulse__pool_self_in(pool))
		return -EINPROGRESS;
	deadline = pulse__deadline_after(pulse_now_ns(), grace_ns);
	err = pulse__pool_drain(pool, deadline, NULL);
	if (!err)
		err = pulse__pool_drain(pool, deadline, NULL);
	if (err) {
		pulse_pool_stop(pool);
		return err;
	}
	pulse__pool_end(pool, PULSE__POOL_STOPPED);
	pulse__pool_wake_all(pool);
	return pulse__pool_cancelled(pool) ? -ECANCELED : 0;
}

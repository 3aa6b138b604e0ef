// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * resize.c - workers come and go while the pool runs.
 *
 * A pool has places for max_workers, each with its deque and counters; a place
 * without a worker is *vacant*. Counters stay with the place, so sums over all
 * places (wait.c) never lose anything. A new worker of a place first joins the
 * thread that had it before: one thread at a time is the owner.
 *
 * Coming: under the lock, whoever wants more starts a thread; it looks around
 * before anything else, so nobody needs to tell it of work.
 *
 * Going, idle: it parked for keep_alive_ms and nobody woke it; it has looked
 * around and found nothing, and counts as a searcher no more. Then
 *
 *	submitter			who goes
 *	push				search -= 1 (wake.c)
 *	(A) full barrier		full barrier
 *	look at search, idle workers	look at all queues; work: stays
 *
 * Either the submitter sees that it does not search, and its idle bit is clear,
 * so it relies on others; or its push is seen here, and the worker goes back to
 * parking, whose own look finds it. At least one worker stays, and for that one
 * all of wake.c holds. The same with one barrier less is a twin that must fail:
 * selftests/spin/retire.pml.
 *
 * Going, told to: between two tasks, or woken from parking. What is in its
 * deque goes to its node's queue, and it notifies as if it had pushed that.
 */
#include "base/usdt.h"
#include "pool/pool.h"

int pulse__worker_grow(struct pulse_pool *pool)
{
	struct pulse__worker *w = NULL;
	pthread_t before;
	int err;

	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		if (pool->worker[i]->vacant) {
			w = pool->worker[i];
			break;
		}
	}
	if (!w)
		return -ENOSPC;
	before = w->thread;
	w->late = true;
	w->idle_out = false;
	w->vacant = false;
	w->has_replaced = w->started;
	w->replaced = before;
	/* Before it can run: it may be told to leave, or be lost. */
	WRITE_ONCE(pool->live, pool->live + 1);
	err = pulse__alloc_fault() ? -EAGAIN :
	      pulse__worker_spawn(w, &w->thread);
	if (err) {
		WRITE_ONCE(pool->live, pool->live - 1);
		w->thread = before;
		w->has_replaced = false;
		w->vacant = true;
		return err;
	}
	w->started = true;
	pool->grew++;
	PULSE__PROBE2(pool_grow, pool->name, pool->live);
	if (READ_ONCE(pool->odd) & PULSE__ODD_TRACE)
		pulse_log(PULSE_LOG_DEBUG, "pool %s: worker %u comes",
			  pool->name, w->number);
	return 0;
}

void pulse__workers_excess(struct pulse_pool *pool, uint32_t nr, bool any)
{
	for (uint32_t i = pool->nr_workers; i && nr; i--) {
		struct pulse__worker *w = pool->worker[i - 1];

		if (w->vacant || w->leave || (!any && READ_ONCE(w->sleeper)))
			continue;
		WRITE_ONCE(w->leave, 1);
		WRITE_ONCE(pool->nr_leaving, pool->nr_leaving + 1);
		nr--;
	}
	__atomic_fetch_or(&pool->odd, PULSE__ODD_LEAVE, __ATOMIC_SEQ_CST);
}

/* Those who were told to go stay after all: @nr of them. Under the lock. */
static void pulse__workers_stay(struct pulse_pool *pool, uint32_t nr)
{
	for (uint32_t i = 0; i < pool->nr_workers && nr; i++) {
		struct pulse__worker *w = pool->worker[i];

		if (!w->leave)
			continue;
		WRITE_ONCE(w->leave, 0);
		WRITE_ONCE(pool->nr_leaving, pool->nr_leaving - 1);
		nr--;
	}
}

static void pulse__wake_leaving(struct pulse_pool *pool)
{
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__worker *w = pool->worker[i];
		int index = READ_ONCE(w->index);
		uint32_t one = (uint32_t)index;

		if (READ_ONCE(w->leave) && index >= 0)
			pulse_worker_wake(pool->ctx, &one, 1);
	}
}

bool pulse__deque_hand_over(struct pulse__worker *w)
{
	struct pulse__inject *q = &w->node->queue[PULSE__LANE_NORMAL];
	struct pulse_pool *pool = w->pool;
	struct pulse__task *t;

	while ((t = pulse__deque_take(&w->deque))) {
		if (!pulse__inject_push(q, &t->job, 1)) {
			/* There is room again: it was just taken out. */
			pulse__deque_push(&w->deque, t);
			return false;
		}
		pulse__task_free(pool, w, t);
	}
	return true;
}

void pulse__worker_vacate(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;

	if (READ_ONCE(pool->odd) & PULSE__ODD_TRACE)
		pulse_log(PULSE_LOG_DEBUG, "pool %s: worker %u goes",
			  pool->name, w->number);
	pthread_mutex_lock(&pool->lock);
	w->vacant = true;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
}

bool pulse__worker_retire(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	uint32_t drain;
	bool may;

	w->idle_out = false;
	pthread_mutex_lock(&pool->lock);
	may = pulse__pool_state(pool) == PULSE__POOL_RUNNING && !w->leave &&
	      pool->live - pool->nr_leaving > pool->floor;
	if (may)
		WRITE_ONCE(pool->live, pool->live - 1);
	pthread_mutex_unlock(&pool->lock);
	if (!may)
		return false;
	/* pairs with (A) in submit.c; see above, model: retire */
	pulse__full_barrier();
	drain = __atomic_load_n(&pool->drain, __ATOMIC_SEQ_CST);
	if (pulse__pool_has_work(pool) || (drain && w->drain_seen != drain)) {
		pthread_mutex_lock(&pool->lock);
		WRITE_ONCE(pool->live, pool->live + 1);
		pthread_cond_broadcast(&pool->cond);
		pthread_mutex_unlock(&pool->lock);
		return false;
	}
	pthread_mutex_lock(&pool->lock);
	pool->shrank++;
	PULSE__PROBE2(pool_shrink, pool->name, pool->live);
	pthread_mutex_unlock(&pool->lock);
	return true;
}

bool pulse__worker_quit(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	bool quit = false;

	if (!READ_ONCE(w->leave))
		return false;
	/* As one who found something: others may rely on it. */
	if (w->searching)
		pulse__search_found(w);
	if (!pulse__deque_hand_over(w))
		return false;
	pthread_mutex_lock(&pool->lock);
	if (w->leave && pulse__pool_state(pool) < PULSE__POOL_STOPPING) {
		WRITE_ONCE(w->leave, 0);
		WRITE_ONCE(pool->nr_leaving, pool->nr_leaving - 1);
		if (!pool->nr_leaving)
			__atomic_fetch_and(&pool->odd, ~PULSE__ODD_LEAVE,
					   __ATOMIC_SEQ_CST);
		/* Others may have been lost since: then it stays. */
		quit = pool->live > 1;
	}
	if (quit) {
		WRITE_ONCE(pool->live, pool->live - 1);
		pool->shrank++;
		PULSE__PROBE2(pool_shrink, pool->name, pool->live);
	}
	pthread_mutex_unlock(&pool->lock);
	/* (A) for what it handed over; and it looks no more. */
	pulse__full_barrier();
	if (pulse__pool_has_work(pool))
		pulse__pool_notify(pool, w->row, 1);
	if (quit)
		pulse__drain_poll(w, NULL);
	return quit;
}

int pulse_pool_resize(struct pulse_pool *pool, unsigned int num)
{
	uint32_t now;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!num)
		return -EINVAL;
	if (num > pool->nr_workers)
		return -ERANGE;
	if (pool->seed)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&pool->lock);
	if (pulse__pool_state(pool) != PULSE__POOL_RUNNING) {
		pthread_mutex_unlock(&pool->lock);
		return -ESHUTDOWN;
	}
	WRITE_ONCE(pool->target, num);
	if (pool->floor > num)
		WRITE_ONCE(pool->floor, num);
	now = pool->live - pool->nr_leaving;
	if (now < num)
		pulse__workers_stay(pool, num - now);
	while ((now = pool->live - pool->nr_leaving) < num) {
		err = pulse__worker_grow(pool);
		/* Whoever is on the way out is out in a moment, or stays. */
		if (err == -ENOSPC)
			pthread_cond_wait(&pool->cond, &pool->lock);
		else if (err)
			break;
	}
	if (now > num)
		pulse__workers_excess(pool, now - num, true);
	pthread_mutex_unlock(&pool->lock);
	pulse__wake_leaving(pool);
	return now < num ? -EAGAIN : 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shared_worker.c - the workers of a shared pool: their threads, how they sleep
 * and are woken, and who waits for the last task.
 *
 * On the kernel backend threads park in the shared context. Elsewhere all sleep
 * on one futex, seq, workers and waiters told apart by its bitset; each process
 * says how many it has there in its entry of the table, so that what the dead
 * leave behind goes with their entry. Nobody sleeps through it, litmus
 * park_wake_c11:
 *
 *	who sleeps			who wakes
 *	----------			---------
 *	s = seq				bit of the place
 *	sleepers++	(A)		full barrier	(B)
 *	look at the bits		any sleepers?
 *	FUTEX_WAIT(seq, s)		seq++, FUTEX_WAKE
 *
 * A waker that dies between its two columns' steps is a death, and whoever
 * sees one wakes everybody (shared_queue.c:pulse__shared_bury).
 */
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "pool/shared.h"

#define PULSE__FOR_WORKERS	1U	/* bits of the futex */
#define PULSE__FOR_WAITERS	2U
#define PULSE__WAITER_LOOK_NS	PULSE__NSEC_PER_SEC

__thread struct pulse__sworker *pulse__shared_self;

/* ---- waking ----------------------------------------------------------------- */

static bool pulse__shared_asleep(const struct pulse_shared_pool *pool,
				 bool waiters)
{
	uint32_t top = pulse__shared_top(pool);

	/* B: pairs with A in pulse__shared_sleep. litmus: park_wake_c11 */
	pulse__full_barrier();
	for (uint32_t m = 0; m < top; m++) {
		const struct pulse__smember *member = &pool->shm->member[m];

		if (READ_ONCE(member->who) &&
		    (waiters ? READ_ONCE(member->waiters) :
			       READ_ONCE(member->sleepers)))
			return true;
	}
	return false;
}

static void pulse__shared_futex_wake(struct pulse_shared_pool *pool, int nr,
				     uint32_t who)
{
	int saved = errno;

	__atomic_fetch_add(&pool->shm->seq, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &pool->shm->seq, FUTEX_WAKE_BITSET, nr, NULL, NULL,
		who);
	errno = saved;
}

void pulse__shared_wake(struct pulse_shared_pool *pool,
			const struct pulse__sarena *a)
{
	if (pool->ctx)
		pulse_worker_wake_node(pool->ctx, a->node, 1, true);
	else if (pulse__shared_asleep(pool, false))
		pulse__shared_futex_wake(pool, 1, PULSE__FOR_WORKERS);
}

static void pulse__shared_wake_many(struct pulse_shared_pool *pool, uint32_t who)
{
	if (pool->ctx)
		pulse_worker_wake_node(pool->ctx, pool->arena[0].node,
				       PULSE_MAX_WORKERS, true);
	else
		pulse__shared_futex_wake(pool, INT_MAX, who);
}

void pulse__shared_wake_all(struct pulse_shared_pool *pool)
{
	pulse__shared_wake_many(pool, PULSE__FOR_WORKERS | PULSE__FOR_WAITERS);
}

void pulse__shared_wake_waiters(struct pulse_shared_pool *pool)
{
	if (pulse__shared_asleep(pool, true) && pulse__shared_drained(pool))
		pulse__shared_wake_many(pool, PULSE__FOR_WAITERS);
}

/* ---- sleeping ---------------------------------------------------------------- */

static int pulse__shared_futex_sleep(struct pulse_shared_pool *pool,
				     uint32_t who, int64_t deadline_ns,
				     pulse_recheck_fn look, void *arg)
{
	uint32_t seq = __atomic_load_n(&pool->shm->seq, __ATOMIC_SEQ_CST);
	uint32_t *sleepers = who == PULSE__FOR_WORKERS ? &pool->me->sleepers :
							 &pool->me->waiters;
	struct timespec ts, *until = NULL;
	int saved = errno, err = 1;

	if (deadline_ns != PULSE_FOREVER) {
		pulse__ns_to_timespec(deadline_ns, &ts);
		until = &ts;
	}
	/* A: pairs with B in pulse__shared_asleep. litmus: park_wake_c11 */
	__atomic_fetch_add(sleepers, 1, __ATOMIC_SEQ_CST);
	if (!look(arg)) {
		err = 0;
		if (syscall(SYS_futex, &pool->shm->seq, FUTEX_WAIT_BITSET, seq,
			    until, NULL, who) && errno != EAGAIN)
			err = -errno;
	}
	__atomic_fetch_sub(sleepers, 1, __ATOMIC_SEQ_CST);
	errno = saved;
	return err;
}

/* As pulse_worker_park(), and where that one cannot, a nap. */
static int pulse__shared_sleep(struct pulse_shared_pool *pool, int index,
			       uint32_t who, int64_t deadline_ns,
			       pulse_recheck_fn look, void *arg)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	int err;

	if (pool->ctx)
		err = pulse_worker_park(pool->ctx, index, deadline_ns, look, arg);
	else
		err = pulse__shared_futex_sleep(pool, who, deadline_ns, look, arg);
	if (err >= 0 || err == -EINTR || err == -ETIMEDOUT)
		return err;
	/* The descriptor was closed, say: slower, but no task is lost. */
	pulse__warn_once("shared pool %s: sleeping fails, so it polls: %s",
			 pool->name, pulse_strerror(err));
	nanosleep(&nap, NULL);
	return deadline_ns != PULSE_FOREVER && pulse_now_ns() >= deadline_ns ?
	       -ETIMEDOUT : 0;
}

static bool pulse__shared_worker_look(void *arg)
{
	struct pulse__sworker *w = arg;
	struct pulse_shared_pool *pool = w->pool;

	return __atomic_load_n(&pool->stop, __ATOMIC_SEQ_CST) ||
	       pulse__shared_any_ready(pool) || pulse__shared_news(pool);
}

static bool pulse__shared_waiter_look(void *arg)
{
	return pulse__shared_drained(arg);
}

int pulse_shared_pool_wait(struct pulse_shared_pool *pool, int64_t deadline_ns)
{
	int err = pulse__shared_check(pool), index = -1;
	int64_t until = deadline_ns;
	bool drained;

	if (err)
		return err;
	if (deadline_ns < 0)
		return -EINVAL;
	if (pulse__shared_self && pulse__shared_self->pool == pool)
		return -EDEADLK;
	if (pulse__shared_drained(pool))
		return 0;
	if (pool->ctx) {
		index = pulse_worker_register(pool->ctx, -1, 0);
		/* Without a descriptor it polls, as workers do. */
		if (index == -ENOSPC)
			return index;
		__atomic_fetch_add(&pool->me->waiters, 1, __ATOMIC_SEQ_CST);
	}
	do {
		/* A process that lost its descriptor can wake nobody elsewhere. */
		if (pool->ctx)
			until = pulse__deadline_after(pulse_now_ns(),
						      PULSE__WAITER_LOOK_NS);
		if (until > deadline_ns)
			until = deadline_ns;
		err = pulse__shared_sleep(pool, index, PULSE__FOR_WAITERS, until,
					  pulse__shared_waiter_look, pool);
		/* In the context waiters are parked like workers: it was theirs. */
		if (pool->ctx && err != -ETIMEDOUT &&
		    pulse__shared_any_ready(pool))
			pulse__shared_wake_all(pool);
		/* A moment when there is nothing may be a short one. */
		drained = err == 1 || pulse__shared_drained(pool);
	} while (!drained && (err != -ETIMEDOUT || until < deadline_ns));
	if (pool->ctx) {
		__atomic_fetch_sub(&pool->me->waiters, 1, __ATOMIC_SEQ_CST);
		if (index >= 0)
			pulse_worker_unregister(pool->ctx, index);
	}
	return drained ? 0 : -ETIMEDOUT;
}

/* ---- workers ------------------------------------------------------------------ */

static void pulse__shared_loop(struct pulse__sworker *w)
{
	struct pulse_shared_pool *pool = w->pool;

	while (!__atomic_load_n(&pool->stop, __ATOMIC_SEQ_CST)) {
		pulse__shared_news(pool);
		if (!pulse__shared_take(w)) {
			pulse__shared_sleep(pool, w->index, PULSE__FOR_WORKERS,
					    PULSE_FOREVER,
					    pulse__shared_worker_look, w);
			continue;
		}
		/* Who was woken for two wakes one for the second. */
		if (pulse__shared_any_ready(pool))
			pulse__shared_wake(pool, w->at);
		if (w->index >= 0)
			pulse_worker_begin_job(pool->ctx, w->index,
					       (uint64_t)(w->at - pool->arena) << 32 |
					       (w->place + 1));
		pulse__shared_run(w);
		if (unlikely(pulse__forked(pool->fork_gen))) {
			pulse_log(PULSE_LOG_ERROR,
				  "a task forked and returned in the child, which ends");
			_exit(EXIT_FAILURE);
		}
		pulse__shared_done(w);
		if (w->index >= 0)
			pulse_worker_end_job(pool->ctx, w->index);
	}
}

static int pulse__shared_enter(struct pulse__sworker *w)
{
	struct pulse_shared_pool *pool = w->pool;
	unsigned int cpu, node = 0;
	uint64_t job;
	char name[32];

	snprintf(name, sizeof(name), "%.9s-%u", pool->name, w->number);
	name[15] = 0;
	pthread_setname_np(pthread_self(), name);
	getcpu(&cpu, &node);
	w->home = pulse__shared_arena_of(pool, (int)node);
	w->index = -1;
	if (!pool->ctx)
		return 0;
	w->index = pulse_worker_register(pool->ctx, pool->arena[w->home].node,
					 w->number);
	if (w->index < 0)
		return w->index;
	/* What the dead had in hand is known from the places; it only is told. */
	while (pulse_worker_salvage(pool->ctx, w->index, &job) == 1)
		pulse_worker_end_job(pool->ctx, w->index);
	return 0;
}

static void pulse__shared_exit(struct pulse__sworker *w)
{
	if (w->index >= 0)
		pulse_worker_unregister(w->pool->ctx, w->index);
	w->index = -1;
	pulse__shared_self = NULL;
}

static void *pulse__shared_main(void *arg);

/* Nobody takes the worker over. Under pool->lock. */
static void pulse__shared_ended(struct pulse_shared_pool *pool)
{
	pool->nr_ended++;
	pthread_cond_broadcast(&pool->cond);
}

/* A task called pthread_exit(): it is done, and its worker goes on. */
static void pulse__shared_unwound(void *arg)
{
	struct pulse__sworker *w = arg;
	struct pulse_shared_pool *pool = w->pool;
	bool stop;
	int err = 0;

	if (pulse__forked(pool->fork_gen))
		return;
	if (w->at)
		pulse__shared_done(w);
	if (w->index >= 0)
		pulse_worker_end_job(pool->ctx, w->index);
	pulse__shared_exit(w);
	pthread_mutex_lock(&pool->lock);
	stop = __atomic_load_n(&pool->stop, __ATOMIC_SEQ_CST);
	if (!stop) {
		w->replaced = w->thread;
		w->has_replaced = true;
		err = pulse__thread_create(&w->thread, pulse__shared_main, w);
		if (err) {
			w->thread = w->replaced;
			w->has_replaced = false;
		}
	}
	if (stop || err)
		pulse__shared_ended(pool);
	pthread_mutex_unlock(&pool->lock);
	if (err)
		pulse_log(PULSE_LOG_ERROR,
			  "shared pool %s: worker %u ended inside a task and cannot be replaced: %s",
			  pool->name, w->number, pulse_strerror(err));
}

static void *pulse__shared_main(void *arg)
{
	struct pulse__sworker *w = arg;
	struct pulse_shared_pool *pool = w->pool;
	int err, go;

	if (w->has_replaced) {
		pthread_join(w->replaced, NULL);
		w->has_replaced = false;
	}
	err = pulse__shared_enter(w);
	pthread_mutex_lock(&pool->lock);
	if (err && !pool->start_err)
		pool->start_err = err;
	pool->nr_started++;
	pthread_cond_broadcast(&pool->cond);
	while (!pool->go)
		pthread_cond_wait(&pool->cond, &pool->lock);
	go = pool->go;
	pthread_mutex_unlock(&pool->lock);
	if (err && go > 0)
		pulse_log(PULSE_LOG_ERROR,
			  "shared pool %s: worker %u cannot start: %s",
			  pool->name, w->number, pulse_strerror(err));
	pulse__shared_self = w;
	pthread_cleanup_push(pulse__shared_unwound, w);
	if (!err && go > 0)
		pulse__shared_loop(w);
	pthread_cleanup_pop(0);
	pulse__shared_exit(w);
	pthread_mutex_lock(&pool->lock);
	pulse__shared_ended(pool);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int pulse__shared_workers_start(struct pulse_shared_pool *pool)
{
	uint32_t n = 0;
	int err = 0;

	for (; n < pool->nr_workers && !err; n++) {
		struct pulse__sworker *w = &pool->workers[n];

		err = pulse__thread_create(&w->thread, pulse__shared_main, w);
		w->started = !err;
	}
	n -= !!err;
	pthread_mutex_lock(&pool->lock);
	while (pool->nr_started < n)
		pthread_cond_wait(&pool->cond, &pool->lock);
	if (!err)
		err = pool->start_err;
	pool->go = err ? -1 : 1;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

/* Once is enough, but for a peer that scribbles over what it wakes by. */
static void pulse__shared_wake_to_end(struct pulse_shared_pool *pool)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; pool->workers && i < pool->nr_workers; i++)
		nr += pool->workers[i].started;
	pthread_mutex_lock(&pool->lock);
	__atomic_store_n(&pool->stop, 1, __ATOMIC_SEQ_CST);
	while (pool->nr_ended < nr) {
		struct timespec until;

		pthread_mutex_unlock(&pool->lock);
		pulse__shared_wake_all(pool);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_mutex_lock(&pool->lock);
		if (pool->nr_ended < nr)
			pthread_cond_timedwait(&pool->cond, &pool->lock, &until);
	}
	pthread_mutex_unlock(&pool->lock);
}

void pulse__shared_workers_stop(struct pulse_shared_pool *pool)
{
	pulse__shared_wake_to_end(pool);
	for (uint32_t i = 0; pool->workers && i < pool->nr_workers; i++) {
		struct pulse__sworker *w = &pool->workers[i];
		pthread_t thread;

		if (!w->started)
			continue;
		/* One that was replaced in its last moment. */
		pthread_mutex_lock(&pool->lock);
		thread = w->thread;
		pthread_mutex_unlock(&pool->lock);
		pthread_join(thread, NULL);
	}
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * worker.c - a worker's thread: its life, and the loop that runs tasks.
 *
 * A task may end its thread with pthread_exit(). The task then counts as done,
 * and another thread takes the worker over: its deque, its counters, its place.
 * The successor joins its predecessor first, so that one thread at a time is
 * the owner.
 */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "pool/det.h"
#include "pool/measure.h"
#include "pool/pool.h"
#include "pool/work.h"

__thread struct pulse__worker *pulse__pool_self
	__attribute__((tls_model("initial-exec")));

void pulse__task_free(struct pulse_pool *pool, struct pulse__worker *w,
		      struct pulse__task *t)
{
	if (w && w->nr_spare < PULSE__POOL_SPARE) {
		t->next = w->spare;
		w->spare = t;
		w->nr_spare++;
		return;
	}
	pulse_slab_free(pool->slab, t);
}

static void pulse__task_done(struct pulse__worker *w)
{
	uint64_t *done = &w->done[w->epoch];
	struct pulse_uwork *uw = &w->pool->ctx->uwork[w->index];

	WRITE_ONCE(w->in_task, 0);
	pulse__count_own(&w->executed);
	WRITE_ONCE(uw->progress, w->executed);
	w->drain_dirty = true;
	/* Release: what the task wrote, to who waits; pairs with wait.c. */
	pulse__store_release(done, *done + 1);
	if (unlikely(w->pool->fence_done))
		pulse__full_barrier();
	else	/* pairs with the membarrier in wait.c:pulse__flip */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static PULSE__INLINE void pulse__job_do(struct pulse__worker *w,
					const struct pulse__job *job)
{
	if (unlikely(job->fn == pulse__fork_taken)) {
		pulse__fork_run_taken(w, job->data);
		return;
	}
	w->epoch = (uint32_t)job->epoch & 1;
	w->from = job->epoch >> 1;
	WRITE_ONCE(w->in_task, 1);
	if (unlikely(READ_ONCE(w->pool->odd) & PULSE__ODD_RUN))
		pulse__job_run_odd(w, job);
	else
		job->fn(job->data);
	if (unlikely(pulse__forked(w->pool->fork_gen))) {
		/* The queues here are copies; what is in them is the parent's. */
		pulse_log(PULSE_LOG_ERROR,
			  "a task forked and returned in the child, which ends");
		_exit(EXIT_FAILURE);
	}
	if (unlikely(pulse__fork_open()))
		pulse__bug("a task of pool %s returned without joining what it forked",
			   w->pool->name);
	pulse__task_done(w);
}

void pulse__job_run(struct pulse__worker *w, const struct pulse__job *job)
{
	pulse__job_do(w, job);
}

/*
 * What the task that waits forked stays its own: what runs on top of it begins
 * with an empty list, and is told if it leaves something there.
 */
static void pulse__level_begin(struct pulse__worker *w)
{
	struct pulse__level *level = &w->beneath[w->helping++];
	struct pulse_fork_self *self = pulse__fork_self();

	*level = (struct pulse__level){
		.epoch = w->epoch,
		.below = w->below,
		.below_epoch = w->below_epoch,
		.work = pulse__work_top,
		.below_work = w->below_work,
		.held = w->held,
		.call = w->call,
		.frame = w->frame,
		.running = w->running,
		.tail = self->tail,
		.shared = self->shared,
		.first = self->root.next,
	};
	self->tail = &self->root;
	self->shared = &self->root;
	w->running = NULL;
	w->frame = NULL;
	w->call = NULL;
	w->held = NULL;
	pulse__work_top = NULL;
	/* For a job that is taken: there is no task of this level. */
	WRITE_ONCE(w->in_task, 0);
}

/* Back in the task that waits: it counts when it is done itself. */
static void pulse__level_end(struct pulse__worker *w)
{
	struct pulse__level *level = &w->beneath[--w->helping];
	struct pulse_fork_self *self = pulse__fork_self();

	self->root.next = level->first;
	self->shared = level->shared;
	self->tail = level->tail;
	w->running = level->running;
	w->frame = level->frame;
	w->call = level->call;
	w->held = level->held;
	w->below = level->below;
	w->below_epoch = level->below_epoch;
	w->below_work = level->below_work;
	w->epoch = level->epoch;
	pulse__work_top = level->work;
	WRITE_ONCE(w->in_task, 1);
}

bool pulse__worker_help(struct pulse__worker *w)
{
	struct pulse__job job;

	if (w->helping >= PULSE__HELP_DEPTH ||
	    (!pulse__find_local(w, &job) && !pulse__find_around(w, true, &job)))
		return false;
	pulse__level_begin(w);
	pulse__job_run(w, &job);
	pulse__level_end(w);
	return true;
}

/*
 * Whoever submitted its last task from outside did that on this CPU, and cannot
 * go on while the worker looks around there.
 */
static bool pulse__in_the_way(const struct pulse__worker *w)
{
	return w->from && w->from == (uint64_t)sched_getcpu() + 1;
}

static bool pulse__search(struct pulse__worker *w, struct pulse__job *job)
{
	const int64_t spin_ns = w->brief ? 0 : w->pool->spin_ns;
	int64_t until = 0, now;

	for (;;) {
		if (pulse__find_around(w, true, job))
			return true;
		if (!spin_ns || pulse__in_the_way(w))
			return false;
		if (unlikely(w->sleeper) && w->sleeper->look(w->sleeper))
			return false;
		now = pulse_now_ns();
		if (!until)
			until = now + spin_ns;
		if (now >= until ||
		    pulse__pool_state(w->pool) >= PULSE__POOL_STOPPING)
			return false;
		pulse__fork_ask(w, now);
		/* What most wait for, between the looks at everything. */
		for (int i = 0; i < PULSE__PAUSES; i++) {
			cpu_relax();
			if (pulse__inject_ready(
				&w->node->queue[PULSE__LANE_NORMAL]))
				break;
		}
	}
}

static bool pulse__find(struct pulse__worker *w, struct pulse__job *job)
{
	if (w->searching || pulse__search_begin(w))
		return pulse__search(w, job);
	/* Enough are searching. Queues are everybody's all the same. */
	return pulse__find_around(w, false, job);
}

/* True: it leaves while the pool goes on. */
static PULSE__NOINLINE bool pulse__worker_loop(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;

	while (likely(READ_ONCE(pool->state) < PULSE__POOL_STOPPING)) {
		struct pulse__job job;
		bool got;

		if (unlikely(READ_ONCE(pool->odd) & PULSE__ODD_LEAVE) &&
		    pulse__worker_quit(w))
			return true;
		if (unlikely(w->sleeper))
			pulse__sleeper_between(w);
		got = pulse__find_local(w, &job);
		if (!got) {
			pulse__drain_poll(w, NULL);
			got = pulse__find(w, &job);
		}
		if (got) {
			if (unlikely(w->searching)) {
				w->idle_out = false;
				pulse__search_found(w);
			}
			w->gave_way = 0;
			pulse__drain_poll(w, &job);
			if (unlikely(w->sleeper))
				w->sleeper->busy(w->sleeper);
			pulse__job_do(w, &job);
			continue;
		}
		/* Handlers may have submitted, and taken their time. */
		if (pulse__sleeper_handled(w))
			continue;
		if (w->searching)
			pulse__search_nothing(w);
		if (unlikely(w->idle_out) && pulse__worker_retire(w))
			return true;
		/*
		 * Many short ones came: whoever they come from fills the queue
		 * meanwhile. This worker counts as one that runs, so others are
		 * woken; it looks again each time, and parks in the end.
		 */
		if (w->gulp > 1 && w->gave_way < PULSE__MAKE_WAY &&
		    !w->sleeper && pulse__in_the_way(w)) {
			w->gave_way++;
			sched_yield();
			continue;
		}
		pulse__pool_park(w);
	}
	if (w->searching)
		pulse__search_nothing(w);
	if (pulse__pool_state(pool) == PULSE__POOL_STOPPING)
		pulse__pool_sweep(pool);
	pulse__drain_poll(w, NULL);
	return false;
}

/* The thread becomes the worker. 0 or -errno. */
static int pulse__worker_enter(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	char name[32];
	int index;

	snprintf(name, sizeof(name), "%.9s-%u", pool->name, w->number);
	name[15] = 0;
	pthread_setname_np(pthread_self(), name);
	pulse__place_bind(w);
	index = pulse__class_set(pool);
	if (index < 0)
		return index;
	index = pulse_worker_register(pool->ctx, pool->numa ? w->node->id : -1,
				      w->number);
	if (index < 0)
		return index;
	WRITE_ONCE(w->index, index);
	pulse__pool_member(w, pool->members, true);
	pulse__fork_enter(w);
	if (pool->on_worker_start)
		pool->on_worker_start(pool->hook_arg, (int)w->number);
	return 0;
}

static void pulse__worker_leave(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	int index = w->index;

	if (pool->on_worker_stop)
		pool->on_worker_stop(pool->hook_arg, (int)w->number);
	pulse__sleeper_leave(w);
	pulse__fork_leave(w);
	pulse__pool_member(w, pool->members, false);
	WRITE_ONCE(w->index, -1);
	pulse_worker_unregister(pool->ctx, index);
}

/* Nobody takes the worker over. What lies in its deque goes to the others. */
static void pulse__worker_lost(struct pulse__worker *w, const char *what,
			       int err)
{
	struct pulse_pool *pool = w->pool;
	struct pulse__task *t;
	bool last;

	pulse_log(PULSE_LOG_ERROR, "pool %s: worker %u %s: %s", pool->name,
		  w->number, what, pulse_strerror(err));
	pthread_mutex_lock(&pool->lock);
	WRITE_ONCE(pool->live, pool->live - 1);
	last = !pool->live;
	if (w->leave) {
		WRITE_ONCE(w->leave, 0);
		WRITE_ONCE(pool->nr_leaving, pool->nr_leaving - 1);
	}
	pthread_mutex_unlock(&pool->lock);
	if (last) {
		pulse_pool_stop(pool);
	} else {
		if (!pulse__deque_hand_over(w)) {
			while ((t = pulse__deque_take(&w->deque))) {
				pulse__job_cancel(pool, &t->job);
				pulse__task_free(pool, w, t);
			}
		}
		pulse__submitted(pool, w->row, 1, true);
	}
	pulse__drain_poll(w, NULL);
	pulse__worker_vacate(w);
}

/* With its stack go the tasks that waited beneath it, newest first. */
static void pulse__levels_unwound(struct pulse__worker *w)
{
	for (;;) {
		pulse__fork_wind_up(w);
		pulse_future_put(w->held);
		w->held = NULL;
		w->frame = NULL;
		pulse__call_unwound(w);
		if (w->in_task) {
			pulse__work_unwound(pulse__work_top);
			pulse__task_done(w);
		}
		pulse__work_top = NULL;
		if (!w->helping)
			break;
		pulse__level_end(w);
	}
}

/* A task called pthread_exit(), or its thread was cancelled. */
static void pulse__worker_unwound(void *arg)
{
	struct pulse__worker *w = arg;
	struct pulse_pool *pool = w->pool;
	int err = 0;

	if (pulse__forked(pool->fork_gen))
		return;
	/* First of all: the dead frames below are still somebody's. */
	pulse__fork_unwound(w, pulse__levels_unwound);
	if (pool->det)
		pulse__det_unwound(w);
	pulse__worker_leave(w);
	pthread_mutex_lock(&pool->lock);
	/* Once it ends, nobody starts a thread behind the joiner's back. */
	if (pulse__pool_state(pool) < PULSE__POOL_STOPPING) {
		w->replaced = w->thread;
		w->has_replaced = true;
		w->late = true;
		err = pulse__worker_spawn(w, &w->thread);
		if (err) {
			w->thread = w->replaced;
			w->has_replaced = false;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	if (err)
		pulse__worker_lost(w, "ended inside a task and cannot be replaced",
				   err);
	else if (pulse__pool_state(pool) >= PULSE__POOL_STOPPING)
		pulse__drain_poll(w, NULL);
}

/*
 * Room on the stack between pulse__worker_main and the first task, so that
 * pulse__worker_unwound begins without writing over what tasks left below; see
 * join.c:pulse__fork_unwound.
 */
static PULSE__NOINLINE bool pulse__worker_room(struct pulse__worker *w)
{
	volatile char room[2048];
	bool gone;

	room[0] = 0;
	gone = w->pool->det ? pulse__det_loop(w) : pulse__worker_loop(w);
	room[sizeof(room) - 1] = room[0];
	return gone;
}

/* Tells pulse_pool_create() how it went. True: the worker is to run. */
static bool pulse__worker_report(struct pulse_pool *pool, int err)
{
	bool run;

	pthread_mutex_lock(&pool->lock);
	if (err && !pool->start_err)
		pool->start_err = err;
	pool->nr_started++;
	pthread_cond_broadcast(&pool->cond);
	while (!pool->go)
		pthread_cond_wait(&pool->cond, &pool->lock);
	run = pool->go > 0;
	pthread_mutex_unlock(&pool->lock);
	return run;
}

void *pulse__worker_main(void *arg)
{
	struct pulse__worker *w = arg;
	struct pulse_pool *pool = w->pool;
	bool late = w->late, run = true, gone = false;
	int err;

	if (w->has_replaced) {
		pthread_join(w->replaced, NULL);
		w->has_replaced = false;
	}
	pulse__pool_self = w;
	err = pulse__worker_enter(w);
	if (!late) {
		run = pulse__worker_report(pool, err);
	} else if (err) {
		WRITE_ONCE(pool->late_err_ns, pulse_now_ns());
		pulse__worker_lost(w, "cannot start", err);
	}
	if (err)
		return NULL;
	if (run) {
		pthread_cleanup_push(pulse__worker_unwound, w);
		gone = pulse__worker_room(w);
		pthread_cleanup_pop(0);
	}
	pulse__worker_leave(w);
	if (gone)
		pulse__worker_vacate(w);
	pulse__pool_self = NULL;
	return NULL;
}

int pulse__worker_spawn(struct pulse__worker *w, pthread_t *thread)
{
	return pulse__thread_create(thread, pulse__worker_main, w);
}

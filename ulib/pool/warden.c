// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * warden.c - a thread of the pool's that sees to what no worker can see to:
 * that enough of them run while others are blocked, and that a task which does
 * not end is named. Only pools that asked for either have one.
 *
 * It looks at its workers once in a while as long as one of them is awake, and
 * costs the workers nothing: that a task is still the same is seen by its
 * worker's count of tasks. When all are parked it sleeps until one is not:
 *
 *	warden				worker back from parking
 *	asleep = 1			idle bit = 0
 *	full barrier			full barrier (wake.c)
 *	all idle bits set? sleep	asleep? poke
 *
 * One of the two sees the other. The words of the thread are its own but for
 * those under warden->lock, a leaf.
 *
 * How many workers: as many are to *run* as the pool was made for. Who sleeps
 * inside its task (PULSE_STATE_BLOCKED) does not count, so where all are in
 * tasks, some blocked, and work waits, as many more are started; when they come
 * back and there are too many for a while, the surplus is told to go. To be
 * sure of a blocked one, two looks must find it in the same task.
 */
#include <dlfcn.h>
#include <linux/pulse.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/usdt.h"
#include "pool/pool.h"

#define PULSE__WARDEN_TICK_NS	(2 * PULSE__NSEC_PER_MSEC)
#define PULSE__WARDEN_SLOW_NS	(10 * PULSE__NSEC_PER_MSEC)
#define PULSE__RETRY_NS		(5 * PULSE__NSEC_PER_SEC)
#define PULSE__SURPLUS_TICKS	50U	/* so long too many, then one goes */

/* What was seen of a worker at the last look. */
struct pulse__sight {
	uint64_t executed;
	int64_t since_ns;	/* it is in this task since then, or before */
	bool in_task;
	bool told;		/* ... and that was said */
	bool blocked;
};

struct pulse__warden {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	bool running;
	bool stop;		/* under the lock */
	bool poked;		/* under the lock */

	/* the thread's own */
	uint32_t surplus;	/* looks in a row with too many running */
	bool refused;		/* a thread could not be had, and it was said */
	struct pulse__sight sight[];
};

/* "function" or "program+0x1234", and the task's number. */
static void pulse__code_name(const void *code, uint64_t id, char *name,
			     size_t bytes)
{
	char number[24] = "";
	const char *file;
	Dl_info info;

	if (id)
		snprintf(number, sizeof(number), " %llu",
			 (unsigned long long)id);
	memset(&info, 0, sizeof(info));
	if (!code || !dladdr(code, &info) || !info.dli_fname) {
		snprintf(name, bytes, "%p%s", code, number);
		return;
	}
	if (info.dli_sname && info.dli_saddr == code) {
		snprintf(name, bytes, "%s%s", info.dli_sname, number);
		return;
	}
	file = strrchr(info.dli_fname, '/');
	snprintf(name, bytes, "%s+0x%lx%s", file ? file + 1 : info.dli_fname,
		 (unsigned long)((const char *)code -
				 (const char *)info.dli_fbase), number);
}

static void pulse__stall_say(struct pulse_pool *pool, struct pulse__worker *w,
			     int64_t running_ns)
{
	struct pulse_pool_stall s = { .sz = sizeof(s) };
	struct pulse_worker_state st = { .sz = sizeof(st) };
	int index = READ_ONCE(w->index);
	const char *how;
	char name[128];

	st.state = PULSE_STATE_DEAD;
	if (index >= 0)
		pulse_worker_state(pool->ctx, index, &st);
	s.worker = (int32_t)w->number;
	s.state = st.state;
	s.fn = READ_ONCE(w->now_fn);
	s.data = READ_ONCE(w->now_data);
	s.running_ns = running_ns;
	s.task_id = READ_ONCE(w->now_id);
	pulse__code_name(READ_ONCE(w->now_code), s.task_id, name, sizeof(name));
	how = st.state == PULSE_STATE_RUNNING ? "runs" :
	      st.state == PULSE_STATE_PREEMPTED ? "waits for a CPU" :
	      "is blocked";
	pulse_log(PULSE_LOG_WARN,
		  "pool %s: task %s is on worker %u for %lld ms and %s; split it, or raise stall_ms",
		  pool->name, name, w->number,
		  (long long)(running_ns / PULSE__NSEC_PER_MSEC), how);
	PULSE__PROBE3(stall, w->number, s.task_id, running_ns);
	if (pool->on_stall)
		pool->on_stall(pool->hook_arg, &s);
}

/* The same task as at the last look? Since when is in the sight. */
static bool pulse__look_at(struct pulse__worker *w, struct pulse__sight *s,
			   int64_t now)
{
	uint64_t executed = READ_ONCE(w->executed);
	bool in_task = READ_ONCE(w->in_task);
	bool same = in_task && s->in_task && executed == s->executed;

	if (!same) {
		s->since_ns = now;
		s->told = false;
		s->blocked = false;
	}
	s->executed = executed;
	s->in_task = in_task;
	return same;
}

static bool pulse__is_blocked(struct pulse_pool *pool, struct pulse__worker *w)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	int index = READ_ONCE(w->index);

	return index >= 0 && !pulse_worker_state(pool->ctx, index, &st) &&
	       st.state == PULSE_STATE_BLOCKED;
}

static void pulse__warden_grow(struct pulse_pool *pool, uint32_t need)
{
	struct pulse__warden *wd = pool->warden;
	int64_t last = READ_ONCE(pool->late_err_ns);
	int err = 0;

	/* A shared context that is full, say: it has said so. */
	if (last && pulse_now_ns() - last < PULSE__RETRY_NS)
		return;
	pthread_mutex_lock(&pool->lock);
	while (need-- && !err &&
	       pulse__pool_state(pool) < PULSE__POOL_STOPPING)
		err = pulse__worker_grow(pool);
	pthread_mutex_unlock(&pool->lock);
	if (!err || err == -ENOSPC) {
		wd->refused = false;
	} else if (!wd->refused) {
		wd->refused = true;
		pulse_log(PULSE_LOG_WARN,
			  "pool %s: no thread for one more worker: %s; it will be tried again",
			  pool->name, pulse_strerror(err));
	}
}

/* Too many run for a while: one is told to go, and goes after its task. */
static void pulse__warden_shrink(struct pulse_pool *pool, uint32_t running)
{
	struct pulse__warden *wd = pool->warden;

	if (running <= READ_ONCE(pool->target) + READ_ONCE(pool->nr_leaving)) {
		wd->surplus = 0;
		return;
	}
	if (++wd->surplus < PULSE__SURPLUS_TICKS)
		return;
	wd->surplus = 0;
	pthread_mutex_lock(&pool->lock);
	if (pool->live - pool->nr_leaving > pool->target)
		pulse__workers_excess(pool, 1, false);
	pthread_mutex_unlock(&pool->lock);
}

/* Once over all workers. How long until the next look. */
static int64_t pulse__warden_round(struct pulse_pool *pool)
{
	struct pulse__warden *wd = pool->warden;
	uint32_t busy = 0, blocked = 0, live = READ_ONCE(pool->live);
	const uint32_t target = READ_ONCE(pool->target);
	const int64_t now = pulse_now_ns();
	int64_t stall_ns = pool->stall_ms * PULSE__NSEC_PER_MSEC;
	bool waits;

	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__worker *w = pool->worker[i];
		struct pulse__sight *s = &wd->sight[i];
		bool same = pulse__look_at(w, s, now);

		busy += s->in_task;
		if (!same)
			continue;
		if (pool->adaptive) {
			bool before = s->blocked;

			s->blocked = pulse__is_blocked(pool, w);
			blocked += s->blocked && before;
		}
		if (stall_ns && !s->told && now - s->since_ns >= stall_ns) {
			s->told = true;
			pulse__stall_say(pool, w, now - s->since_ns);
		}
	}
	waits = pool->adaptive && pulse__pool_has_work(pool);
	if (blocked > live)	/* read earlier */
		blocked = live;
	if (waits && busy >= live && live - blocked < target &&
	    live < pool->nr_workers)
		pulse__warden_grow(pool, target - (live - blocked));
	else if (pool->adaptive)
		pulse__warden_shrink(pool, busy > blocked ?
				     busy - blocked : 0);
	if (waits || (stall_ns && stall_ns < 4 * PULSE__WARDEN_SLOW_NS))
		return PULSE__WARDEN_TICK_NS;
	return PULSE__WARDEN_SLOW_NS;
}

/* After asleep = 1 and a full barrier. */
static bool pulse__all_idle(const struct pulse_pool *pool)
{
	const struct pulse_ctx *ctx = pool->ctx;

	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		const struct pulse__worker *w = pool->worker[i];
		int index = READ_ONCE(w->index);
		bool idle = false;

		/* A task may park by itself: that is no idleness. */
		if (READ_ONCE(w->in_task))
			return false;
		if (index < 0)
			continue;
		for (unsigned int row = 0; row < ctx->nr_nodes; row++)
			idle |= READ_ONCE(ctx->idle[row * ctx->idle_words +
						    (unsigned)index / 64]) >>
				(index % 64) & 1;
		if (!idle)
			return false;
	}
	return true;
}

/* Under warden->lock. */
static void pulse__warden_sleep(struct pulse_pool *pool, int64_t ns)
{
	struct pulse__warden *wd = pool->warden;
	struct timespec ts;

	__atomic_store_n(&pool->warden_asleep, 1, __ATOMIC_SEQ_CST);
	/* pairs with wake.c:pulse__pool_park */
	pulse__full_barrier();
	if (pulse__all_idle(pool)) {
		while (!wd->poked && !wd->stop)
			pthread_cond_wait(&wd->cond, &wd->lock);
	}
	__atomic_store_n(&pool->warden_asleep, 0, __ATOMIC_SEQ_CST);
	wd->poked = false;
	pulse__ns_to_timespec(pulse_now_ns() + ns, &ts);
	while (!wd->stop &&
	       pthread_cond_timedwait(&wd->cond, &wd->lock, &ts) != ETIMEDOUT)
		;
}

static void *pulse__warden_main(void *arg)
{
	struct pulse_pool *pool = arg;
	struct pulse__warden *wd = pool->warden;
	char name[32];
	int64_t ns;

	snprintf(name, sizeof(name), "%.8s-ward", pool->name);
	pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&wd->lock);
	while (!wd->stop) {
		pthread_mutex_unlock(&wd->lock);
		ns = pulse__warden_round(pool);
		pthread_mutex_lock(&wd->lock);
		if (!wd->stop)
			pulse__warden_sleep(pool, ns);
	}
	pthread_mutex_unlock(&wd->lock);
	return NULL;
}

void pulse__warden_poke(struct pulse_pool *pool)
{
	struct pulse__warden *wd = pool->warden;

	pthread_mutex_lock(&wd->lock);
	wd->poked = true;
	pthread_cond_signal(&wd->cond);
	pthread_mutex_unlock(&wd->lock);
}

/* Before the workers run: they look at pool->warden. */
int pulse__warden_new(struct pulse_pool *pool)
{
	pthread_condattr_t attr;
	struct pulse__warden *wd;

	if (!pool->adaptive && !pool->stall_ms)
		return 0;
	wd = pulse__calloc(1, sizeof(*wd) +
			   pool->nr_workers * sizeof(wd->sight[0]));
	if (!wd)
		return -ENOMEM;
	pthread_mutex_init(&wd->lock, NULL);
	if (pthread_condattr_init(&attr)) {
		pulse__free(wd);
		return -ENOMEM;
	}
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wd->cond, &attr);
	pthread_condattr_destroy(&attr);
	pool->warden = wd;
	return 0;
}

int pulse__warden_start(struct pulse_pool *pool)
{
	struct pulse__warden *wd = pool->warden;
	sigset_t all, old;
	int err;

	if (!wd)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&wd->thread, NULL, pulse__warden_main, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	wd->running = !err;
	return -err;
}

void pulse__warden_stop(struct pulse_pool *pool)
{
	struct pulse__warden *wd = pool->warden;

	if (!wd || !wd->running)
		return;
	pthread_mutex_lock(&wd->lock);
	wd->stop = true;
	pthread_cond_signal(&wd->cond);
	pthread_mutex_unlock(&wd->lock);
	pthread_join(wd->thread, NULL);
	wd->running = false;
}

void pulse__warden_free(struct pulse_pool *pool)
{
	/* In a forked child its lock may be held by a thread that is not there. */
	pulse__free(pool->warden);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * service.c - one wheel for all threads: a mutex around it, and a thread that
 * sleeps until the first deadline and calls the callbacks.
 *
 * svc->lock protects the wheel, every timer armed with it, and all words of
 * the service that change. It is a leaf, and not held while a callback runs;
 * a clock of the caller's is asked under it.
 *
 * The sleeper says in sleep_until for how long it sleeps, INT64_MIN while it
 * is awake: then it looks at the wheel once more before it sleeps, under the
 * lock, so that whoever arms a timer meanwhile need not wake it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "timer/timer.h"

#define SERVICE_MAGIC	0x54535643U	/* "TSVC" */
#define AWAKE		INT64_MIN

struct pulse_timer_service {
	uint32_t magic;
	uint32_t fork_gen;
	pthread_t thread;
	bool joined;			/* the thread has ended and been joined */

	pthread_mutex_t lock;
	pthread_cond_t wake;		/* the sleeper: earlier deadline, kick, stop */
	pthread_cond_t ended;		/* of a callback, for cancel_sync */
	int64_t sleep_until;
	bool stop;
	bool kicked;
	unsigned int waiters;		/* for ended */
	uint64_t wakeups;
	const struct pulse_timer *calling; /* only compared: it may be freed */
	uint64_t calls;			/* that have ended */
	struct pulse_timers wheel;
};

static int service_check(const struct pulse_timer_service *svc)
{
	if (!svc)
		return -EINVAL;
	pulse__obj_check(svc, SERVICE_MAGIC, "struct pulse_timer_service");
	return pulse__forked(svc->fork_gen) ? -EOWNERDEAD : 0;
}

static bool on_own_thread(const struct pulse_timer_service *svc)
{
	return pthread_equal(svc->thread, pthread_self());
}

/* ---- the thread --------------------------------------------------------- */

static void call(struct pulse_timer_service *svc, struct pulse_timer *t)
{
	pulse_timer_fn fn = t->fn;
	void *arg = t->arg;

	svc->calling = t;
	pthread_mutex_unlock(&svc->lock);
	fn(t, arg);
	/* From here on the timer may be gone. */
	pthread_mutex_lock(&svc->lock);
	svc->calling = NULL;
	svc->calls++;
	if (svc->waiters)
		pthread_cond_broadcast(&svc->ended);
}

/* Lets others have the lock, after so much work under it. */
static void breathe(struct pulse_timer_service *svc)
{
	pthread_mutex_unlock(&svc->lock);
	sched_yield();
	pthread_mutex_lock(&svc->lock);
}

static void service_sleep(struct pulse_timer_service *svc)
{
	int64_t next = pulse_timers_next(&svc->wheel);
	struct timespec until;

	if (svc->kicked || svc->stop) {
		svc->kicked = false;
		return;
	}
	/* Due already, by whatever clock: do not sleep. */
	if (next <= pulse__timers_clock(&svc->wheel))
		return;
	svc->sleep_until = next;
	if (svc->wheel.now || next == PULSE_FOREVER) {
		pthread_cond_wait(&svc->wake, &svc->lock);
	} else {
		pulse__ns_to_timespec(next, &until);
		pthread_cond_timedwait(&svc->wake, &svc->lock, &until);
	}
	svc->sleep_until = AWAKE;
}

static void *service_main(void *arg)
{
	struct pulse_timer_service *svc = arg;
	struct pulse_timer *t;

	prctl(PR_SET_NAME, "pulse-timers");
	/* The default slack, 50 us, is nothing to a tick of a millisecond. */
	if (svc->wheel.resolution_ns < PULSE__NSEC_PER_MSEC)
		prctl(PR_SET_TIMERSLACK, 1UL);
	pthread_mutex_lock(&svc->lock);
	while (!svc->stop) {
		int64_t now = pulse__timers_clock(&svc->wheel);
		unsigned int moves = PULSE__TIMERS_BATCH;
		unsigned int calls = PULSE__TIMERS_BATCH;

		pulse__timers_begin(&svc->wheel);
		while (!svc->stop && calls &&
		       (t = pulse__timers_pop(&svc->wheel, now, &moves))) {
			calls--;
			call(svc, t);
		}
		if (!moves)
			breathe(svc);
		else if (calls)
			service_sleep(svc);
	}
	pthread_mutex_unlock(&svc->lock);
	return NULL;
}

/* With all signals blocked: they are the program's, not ours. */
static int service_start(struct pulse_timer_service *svc)
{
	sigset_t all, before;
	int err;

	if (pulse__alloc_fault())
		return -ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&svc->thread, NULL, service_main, svc);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

/* ---- life --------------------------------------------------------------- */

int pulse_timer_service_create(const struct pulse_timer_service_opts *opts,
			       struct pulse_timer_service **out)
{
	struct pulse_timer_service_opts o;
	struct pulse_timers_opts wheel = { .sz = sizeof(wheel) };
	struct pulse_timer_service *svc;
	pthread_condattr_t attr;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), now_arg),
			       opts);
	if (err)
		return err;
	svc = pulse__calloc(1, sizeof(*svc));
	if (!svc)
		return -ENOMEM;
	wheel.resolution_ns = o.resolution_ns;
	wheel.now = o.now;
	wheel.now_arg = o.now_arg;
	err = pulse__timers_setup(&svc->wheel, &wheel);
	if (err) {
		pulse__free(svc);
		return err;
	}
	svc->magic = SERVICE_MAGIC;
	svc->fork_gen = pulse__fork_generation();
	svc->sleep_until = AWAKE;
	pthread_mutex_init(&svc->lock, NULL);
	pthread_cond_init(&svc->ended, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&svc->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = service_start(svc);
	if (err) {
		pthread_cond_destroy(&svc->wake);
		pthread_cond_destroy(&svc->ended);
		pthread_mutex_destroy(&svc->lock);
		pulse__free(svc);
		return err;
	}
	*out = svc;
	return 0;
}

/* Ends the thread; the wheel stays as it is. 0, -EINVAL, -EDEADLK. */
int pulse__timer_service_stop(struct pulse_timer_service *svc)
{
	int err = service_check(svc);

	if (err)
		return err;
	if (on_own_thread(svc))
		return -EDEADLK;
	if (svc->joined)
		return 0;
	pthread_mutex_lock(&svc->lock);
	svc->stop = true;
	pthread_cond_signal(&svc->wake);
	pthread_mutex_unlock(&svc->lock);
	pthread_join(svc->thread, NULL);
	svc->joined = true;
	return 0;
}

struct pulse_timers *pulse__timer_service_wheel(struct pulse_timer_service *svc)
{
	return &svc->wheel;
}

int pulse_timer_service_destroy(struct pulse_timer_service *svc)
{
	int err = pulse__timer_service_stop(svc);
	uint64_t armed = 0;

	if (err && err != -EOWNERDEAD)
		return err;
	if (!err) {
		armed = svc->wheel.armed;
		while (pulse__timers_drain(&svc->wheel))
			;
		pthread_cond_destroy(&svc->wake);
		pthread_cond_destroy(&svc->ended);
		pthread_mutex_destroy(&svc->lock);
	}
	svc->magic = PULSE__MAGIC_DEAD;
	pulse__free(svc);
	return armed > INT_MAX ? INT_MAX : (int)armed;
}

/* ---- arm and cancel ----------------------------------------------------- */

int pulse_timer_service_arm(struct pulse_timer_service *svc,
			    struct pulse_timer *t, int64_t deadline_ns,
			    int64_t period_ns)
{
	int err = service_check(svc);
	int64_t at;

	if (err)
		return err;
	if (!t || !t->fn || period_ns < 0)
		return -EINVAL;
	pthread_mutex_lock(&svc->lock);
	err = pulse__timers_arm(&svc->wheel, t, deadline_ns, period_ns);
	if (!err && __builtin_mul_overflow((int64_t)t->tick,
					   svc->wheel.resolution_ns, &at))
		at = PULSE_FOREVER;
	if (!err && at < svc->sleep_until) {
		/* Once: who comes next with a later one need not. */
		svc->sleep_until = at;
		svc->wakeups++;
		pthread_cond_signal(&svc->wake);
	}
	pthread_mutex_unlock(&svc->lock);
	return err;
}

int pulse_timer_service_cancel(struct pulse_timer_service *svc,
			       struct pulse_timer *t)
{
	int ret = service_check(svc);

	if (ret)
		return ret;
	if (!t)
		return -EINVAL;
	pthread_mutex_lock(&svc->lock);
	ret = pulse__timers_cancel(&svc->wheel, t);
	pthread_mutex_unlock(&svc->lock);
	return ret;
}

int pulse_timer_service_cancel_sync(struct pulse_timer_service *svc,
				    struct pulse_timer *t)
{
	bool inside;
	uint64_t call_nr;
	int ret = service_check(svc), again;

	if (ret)
		return ret;
	if (!t)
		return -EINVAL;
	inside = on_own_thread(svc);
	pthread_mutex_lock(&svc->lock);
	ret = pulse__timers_cancel(&svc->wheel, t);
	while (ret >= 0 && svc->calling == t && !inside) {
		svc->waiters++;
		for (call_nr = svc->calls; svc->calls == call_nr; )
			pthread_cond_wait(&svc->ended, &svc->lock);
		svc->waiters--;
		/* The callback may have armed it again. */
		again = pulse__timers_cancel(&svc->wheel, t);
		if (again)
			ret = again;
	}
	pthread_mutex_unlock(&svc->lock);
	return ret;
}

int pulse_timer_service_pending(struct pulse_timer_service *svc,
				const struct pulse_timer *t)
{
	int ret = service_check(svc);

	if (ret)
		return ret;
	pthread_mutex_lock(&svc->lock);
	ret = pulse_timers_pending(&svc->wheel, t);
	pthread_mutex_unlock(&svc->lock);
	return ret;
}

int pulse_timer_service_kick(struct pulse_timer_service *svc)
{
	int err = service_check(svc);

	if (err)
		return err;
	pthread_mutex_lock(&svc->lock);
	svc->kicked = true;
	pthread_cond_signal(&svc->wake);
	pthread_mutex_unlock(&svc->lock);
	return 0;
}

int64_t pulse_timer_service_now(const struct pulse_timer_service *svc)
{
	return svc ? pulse__timers_clock(&svc->wheel) : -EINVAL;
}

int pulse_timer_service_stats(struct pulse_timer_service *svc,
			      struct pulse_timers_stats *out)
{
	struct pulse_timers_stats s;
	int err = service_check(svc);

	if (err)
		return err;
	err = pulse__out_check(out, pulse__size_to(typeof(s), wakeups));
	if (err)
		return err;
	pthread_mutex_lock(&svc->lock);
	pulse__timers_sum(&svc->wheel, &s);
	s.wakeups = svc->wakeups;
	pthread_mutex_unlock(&svc->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

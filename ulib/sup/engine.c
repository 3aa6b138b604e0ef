// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * engine.c - a tree's thread, lock, timers and inbox; who drives.
 *
 * Whoever leaves work calls pulse__drive(). If somebody drives already, that
 * one looks at the inbox and the run list again before it stops, under the
 * lock, so the work is seen. A driver that meets what only the thread may do
 * sets want_thread, stops, and wakes the thread.
 *
 * The thread sleeps in the poller until the first timer. It says until when in
 * sleep_until, under the lock; a driver that arms an earlier timer wakes it.
 * With a clock of the caller's own it sleeps until it is kicked.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sup/sup_int.h"

#define AWAKE	INT64_MIN

static int64_t wheel_now(void *arg)
{
	return pulse__engine_now(arg);
}

static void engine_free(struct pulse__engine *e)
{
	pulse__watch_close(e);
	if (e->poller)
		pulse_poller_destroy(e->poller);
	if (e->timers)
		pulse_timers_destroy(e->timers);
	pulse__free(e->spare);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	pulse__free(e);
}

int pulse__engine_create(const struct pulse_sup_opts *o,
			 struct pulse__engine **out)
{
	struct pulse__engine *e = pulse__calloc(1, sizeof(*e));
	struct pulse_timers_opts wheel = { .sz = sizeof(wheel) };
	pthread_condattr_t attr;
	int err;

	if (!e)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->changed, &attr);
	pthread_condattr_destroy(&attr);
	e->refs = 1;
	pulse__list_init(&e->run);
	pulse__list_init(&e->inbox);
	pulse__list_init(&e->watched);
	e->now = o->now;
	e->now_arg = o->now_arg;
	e->sleep_until = AWAKE;
	wheel.now = o->now ? wheel_now : NULL;
	wheel.now_arg = e;
	err = pulse_timers_create(&wheel, &e->timers);
	if (err) {
		engine_free(e);
		return err;
	}
	*out = e;
	return 0;
}

void pulse__engine_get(struct pulse__engine *e)
{
	pulse__add_relaxed(&e->refs, 1);
}

void pulse__engine_put(struct pulse__engine *e)
{
	/* The last one sees what all others did with it. */
	if (!__atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL))
		engine_free(e);
}

bool pulse__on_thread(const struct pulse__engine *e)
{
	return e->thread_up && pthread_equal(e->thread, pthread_self());
}

bool pulse__in_driver(const struct pulse__engine *e)
{
	return e->driving && pthread_equal(e->driver, pthread_self());
}

void pulse__engine_kick(struct pulse__engine *e)
{
	if (e->poller)
		pulse_poller_stop(e->poller);
}

void pulse__timer_arm(struct pulse__engine *e, struct pulse_timer *t,
		      int64_t delay_ns, int64_t period_ns)
{
	pulse_timers_arm(e->timers, t,
			 pulse__deadline_after(pulse__engine_now(e), delay_ns),
			 period_ns);
}

void pulse__timer_off(struct pulse__engine *e, struct pulse_timer *t)
{
	if (t->place)
		pulse_timers_cancel(e->timers, t);
}

void pulse__sup_wake(struct pulse_sup *sup)
{
	if (sup->queued)
		return;
	sup->queued = true;
	pulse__list_add_tail(&sup->e->run, &sup->run_link);
}

void pulse__post(struct pulse_child *inc, uint32_t bits)
{
	if (!inc->entry) {	/* given up: nobody asks */
		inc->exited = true;
		return;
	}
	if (bits & PULSE__POST_EXIT) {
		inc->exited = true;
		if (!inc->why.time_ns)
			inc->why.time_ns = pulse_now_ns();
	}
	if (!inc->posted) {
		/* The inbox holds it: it may be all that is left. */
		pulse__child_get(inc);
		pulse__list_add_tail(&inc->e->inbox, &inc->post);
	}
	inc->posted |= bits;
}

void pulse__post_drive(struct pulse_child *inc, uint32_t bits)
{
	struct pulse__engine *e = inc->e;

	pulse__engine_get(e);
	pthread_mutex_lock(&e->lock);
	pulse__post(inc, bits);
	pulse__drive(e);
	pthread_mutex_unlock(&e->lock);
	pulse__engine_put(e);
}

static void deliver(struct pulse__engine *e)
{
	struct pulse__list *l;

	while ((l = pulse__list_pop(&e->inbox))) {
		struct pulse_child *inc = container_of(l, struct pulse_child,
						       post);

		pulse__entry_posted(inc);
	}
}

void pulse__drive_at(struct pulse__engine *e, int64_t now_ns)
{
	struct pulse__list *l;

	/* Without the thread, nothing of the tree runs. */
	if (e->driving || !e->thread_up)
		return;
	e->driving = true;
	e->moment = now_ns;
	e->driver = pthread_self();
	for (;;) {
		deliver(e);
		e->kicked = false;
		/* The clock costs more than to see that there is no timer. */
		if (pulse_timers_next(e->timers) != PULSE_FOREVER)
			pulse_timers_run(e->timers, -1, 0);
		l = pulse__list_pop(&e->run);
		if (l) {
			struct pulse_sup *sup =
				container_of(l, struct pulse_sup, run_link);

			sup->queued = false;
			pulse__sup_run(sup);
		}
		if (e->want_thread && !pulse__on_thread(e))
			break;
		e->want_thread = false;
		if (pulse__list_empty(&e->run) && pulse__list_empty(&e->inbox) &&
		    !e->kicked)
			break;
	}
	e->driving = false;
	/* The thread has slept too long, or has something to do. */
	if (!pulse__on_thread(e) && e->sleep_until != AWAKE &&
	    (e->want_thread || (!e->now &&
				pulse_timers_next(e->timers) < e->sleep_until)))
		pulse__engine_kick(e);
}

void pulse__drive(struct pulse__engine *e)
{
	pulse__drive_at(e, 0);
}

static void *engine_main(void *arg)
{
	struct pulse__engine *e = arg;

	prctl(PR_SET_NAME, "pulse-sup");
	pthread_mutex_lock(&e->lock);
	while (!e->stop) {
		pulse__drive(e);
		/* Somebody else drives: it wakes us, should we be needed. */
		e->sleep_until = e->now ? PULSE_FOREVER :
				 pulse_timers_next(e->timers);
		if (!e->driving && (e->want_thread ||
				    !pulse__list_empty(&e->run) ||
				    !pulse__list_empty(&e->inbox)))
			e->sleep_until = AWAKE;
		if (e->sleep_until == AWAKE || e->stop)
			continue;
		pthread_mutex_unlock(&e->lock);
		pulse_poller_run_once(e->poller, e->sleep_until);
		pthread_mutex_lock(&e->lock);
		e->sleep_until = AWAKE;
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

int pulse__engine_up(struct pulse__engine *e, const struct pulse_sup_opts *o)
{
	sigset_t all, mask;
	int err;

	if (e->thread_up)
		return 0;
	if (!e->poller) {
		err = pulse_poller_create(NULL, &e->poller);
		if (err)
			return err;
	}
	e->pid = getpid();
	e->stop = false;
	err = pulse__watch_open(e, o);
	if (err)
		return err;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	e->mask = mask;
	pthread_mutex_lock(&e->lock);
	err = pulse__alloc_fault() ? ENOMEM :
	      pthread_create(&e->thread, NULL, engine_main, e);
	e->thread_up = !err;
	pthread_mutex_unlock(&e->lock);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return -err;
}

void pulse__engine_down(struct pulse__engine *e)
{
	pthread_mutex_lock(&e->lock);
	if (!e->thread_up) {
		pthread_mutex_unlock(&e->lock);
		return;
	}
	e->stop = true;
	pthread_mutex_unlock(&e->lock);
	pulse__engine_kick(e);
	pthread_join(e->thread, NULL);
	pthread_mutex_lock(&e->lock);
	e->thread_up = false;
	pthread_mutex_unlock(&e->lock);
	pulse__health_close(e);
}

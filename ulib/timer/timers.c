// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * timers.c - the wheel as one loop uses it: by one thread at a time, without a
 * lock. Mostly checks around wheel.c.
 */
#include "timer/timer.h"

int pulse_timer_init(struct pulse_timer *t, pulse_timer_fn fn, void *arg)
{
	if (!t || !fn)
		return -EINVAL;
	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->arg = arg;
	return 0;
}

int pulse_timers_create(const struct pulse_timers_opts *opts,
			struct pulse_timers **out)
{
	struct pulse_timers_opts o;
	struct pulse_timers *w;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), reserved),
			       opts);
	if (err)
		return err;
	w = pulse__malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	err = pulse__timers_setup(w, &o);
	if (err) {
		pulse__free(w);
		return err;
	}
	*out = w;
	return 0;
}

int pulse_timers_destroy(struct pulse_timers *w)
{
	uint64_t armed;

	if (!w)
		return -EINVAL;
	pulse__obj_check(w, PULSE__TIMERS_MAGIC, "pulse_timers_destroy");
	if (w->running)
		return -EBUSY;
	armed = w->armed;
	while (pulse__timers_drain(w))
		;
	w->magic = PULSE__MAGIC_DEAD;
	pulse__free(w);
	return armed > INT_MAX ? INT_MAX : (int)armed;
}

int pulse_timers_arm(struct pulse_timers *w, struct pulse_timer *t,
		     int64_t deadline_ns, int64_t period_ns)
{
	if (!w || !t || !t->fn || period_ns < 0)
		return -EINVAL;
	pulse__obj_check(w, PULSE__TIMERS_MAGIC, "pulse_timers_arm");
	return pulse__timers_arm(w, t, deadline_ns, period_ns);
}

int pulse_timers_cancel(struct pulse_timers *w, struct pulse_timer *t)
{
	if (!w || !t)
		return -EINVAL;
	pulse__obj_check(w, PULSE__TIMERS_MAGIC, "pulse_timers_cancel");
	return pulse__timers_cancel(w, t);
}

int pulse_timers_pending(const struct pulse_timers *w,
			 const struct pulse_timer *t)
{
	if (!w || !t)
		return -EINVAL;
	return t->place && t->owner == w;
}

int pulse_timers_run(struct pulse_timers *w, int64_t now_ns, unsigned int max)
{
	unsigned int moves, fired = 0;
	struct pulse_timer *t;

	if (!w || max > INT_MAX)
		return -EINVAL;
	pulse__obj_check(w, PULSE__TIMERS_MAGIC, "pulse_timers_run");
	if (w->running)
		return -EBUSY;
	if (now_ns < 0)
		now_ns = pulse__timers_clock(w);
	if (!max)
		max = w->batch;
	moves = max > UINT_MAX / PULSE__TIMERS_MOVES ? UINT_MAX :
		max * PULSE__TIMERS_MOVES;
	w->running = true;
	pulse__timers_begin(w);
	while (fired < max && (t = pulse__timers_pop(w, now_ns, &moves))) {
		fired++;
		t->fn(t, t->arg);
	}
	w->running = false;
	return (int)fired;
}

int64_t pulse_timers_now(const struct pulse_timers *w)
{
	return w ? pulse__timers_clock(w) : -EINVAL;
}

int pulse_timers_stats(const struct pulse_timers *w,
		       struct pulse_timers_stats *out)
{
	struct pulse_timers_stats s;
	int err;

	if (!w)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), wakeups));
	if (err)
		return err;
	pulse__timers_sum(w, &s);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

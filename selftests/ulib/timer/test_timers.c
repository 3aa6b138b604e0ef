// SPDX-License-Identifier: GPL-2.0-only
/* The wheel of one loop, by a clock of the test's own. */
#include "wheel.h"

#define YEAR	(365LL * 24 * 3600 * 1000 * MS)

struct probe {
	struct pulse_timer timer;
	int64_t at;		/* fake time of the last call */
	int calls;
};

static void probe_fn(struct pulse_timer *t, void *arg)
{
	struct probe *p = arg;

	KT_CHECK(&p->timer == t);
	p->at = fake_now;
	p->calls++;
}

static void probe_init(struct probe *p)
{
	memset(p, 0, sizeof(*p));
	KT_EQ(pulse_timer_init(&p->timer, probe_fn, p), 0);
}

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	struct pulse_timers *w = new_wheel(0, 0);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timer_init(NULL, probe_fn, NULL), -EINVAL);
	KT_EQ(pulse_timer_init(&p.timer, NULL, NULL), -EINVAL);
	probe_init(&p);
	KT_EQ(pulse_timers_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_timers_destroy(NULL), -EINVAL);
	KT_EQ(pulse_timers_arm(NULL, &p.timer, 0, 0), -EINVAL);
	KT_EQ(pulse_timers_arm(w, NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_timers_arm(w, &p.timer, 0, -1), -EINVAL);
	KT_EQ(pulse_timers_cancel(NULL, &p.timer), -EINVAL);
	KT_EQ(pulse_timers_cancel(w, NULL), -EINVAL);
	KT_EQ(pulse_timers_pending(NULL, &p.timer), -EINVAL);
	KT_EQ(pulse_timers_pending(w, NULL), -EINVAL);
	KT_EQ(pulse_timers_next(NULL), PULSE_FOREVER);
	KT_EQ(pulse_timers_run(NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_timers_run(w, 0, UINT_MAX), -EINVAL);
	KT_EQ(pulse_timers_now(NULL), -EINVAL);
	KT_EQ(pulse_timers_stats(NULL, &s), -EINVAL);
	KT_EQ(pulse_timers_stats(w, NULL), -EINVAL);
	s.sz = 0;
	KT_EQ(pulse_timers_stats(w, &s), -EINVAL);
	memset(&p, 0, sizeof(p));	/* never initialised */
	KT_EQ(pulse_timers_arm(w, &p.timer, 0, 0), -EINVAL);
	KT_EQ(pulse_timers_destroy(w), 0);
}

/* U02 */
KT_TEST(options_of_any_version_are_judged)
{
	struct { struct pulse_timers_opts o; uint64_t more; } big = {
		.o.sz = sizeof(big) };
	struct pulse_timers *w = (void *)1;
	PULSE_OPTS(pulse_timers_opts, o);

	o.sz = 0;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	KT_CHECK(!w);
	o.sz = 1;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_timers_create(&o, &w), -E2BIG);
	o.sz = sizeof(o);
	o.resolution_ns = 999;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	o.resolution_ns = 1000000001;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	o.resolution_ns = -1;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	o.resolution_ns = 0;
	o.batch = 1000001;
	KT_EQ(pulse_timers_create(&o, &w), -EINVAL);
	KT_EQ(pulse_timers_create(&big.o, &w), 0);
	KT_EQ(pulse_timers_destroy(w), 0);
	big.more = 1;
	KT_EQ(pulse_timers_create(&big.o, &w), -E2BIG);
}

/* U04 */
KT_TEST(a_wheel_without_memory_is_no_wheel)
{
	struct pulse_timers *w = NULL;

	pulse__alloc_fail_at(1);
	KT_EQ(pulse_timers_create(NULL, &w), -ENOMEM);
	KT_CHECK(pulse__alloc_failed() && !w);
	pulse__alloc_fail_at(0);
}

KT_TEST(arming_and_firing_allocate_nothing)
{
	struct pulse_timers *w = new_wheel(0, 0);
	struct probe p;

	probe_init(&p);
	pulse__alloc_fail_at(1);
	for (int i = 0; i < 100; i++) {
		KT_EQ(pulse_timers_arm(w, &p.timer, fake_now + i * MS, 0), 0);
		run_until(w, fake_now + 200 * MS, NULL);
	}
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(p.calls, 100);
	pulse_timers_destroy(w);
}

KT_TEST(never_early_and_at_most_a_tick_late_at_any_distance)
{
	static const int64_t resolutions[] = { 1000, 1000000, 1000000000 };

	for (unsigned int r = 0; r < 3; r++) {
		int64_t res = resolutions[r];

		for (int64_t far = 1; far < 90 * YEAR; far *= 3) {
			struct pulse_timers *w = new_wheel(7 * res + 5, res);
			int64_t deadline = fake_now + far;
			struct probe p;
			long sleeps = 0;

			probe_init(&p);
			KT_EQ(pulse_timers_arm(w, &p.timer, deadline, 0), 0);
			KT_CHECK(pulse_timers_next(w) >= deadline);
			KT_EQ(run_until(w, deadline + 2 * res, &sleeps), 1);
			KT_CHECKF(p.at >= deadline && p.at < deadline + res,
				  "far %lld: %lld late", (long long)far,
				  (long long)(p.at - deadline));
			/* A lone timer wakes nobody in between. */
			KT_EQ(sleeps, 1);
			KT_EQ(pulse_timers_next(w), PULSE_FOREVER);
			KT_EQ(pulse_timers_destroy(w), 0);
		}
	}
}

KT_TEST(one_run_at_its_tick_is_enough_from_whatever_level)
{
	for (int64_t tick = 1; tick < 1LL << 40; tick *= 2) {
		struct pulse_timers *w = new_wheel(0, 0);
		struct probe p;

		probe_init(&p);
		KT_EQ(pulse_timers_arm(w, &p.timer, tick * MS, 0), 0);
		KT_EQ(pulse_timers_run(w, tick * MS - 1, 0), 0);
		KT_EQ(pulse_timers_run(w, tick * MS, 0), 1);
		KT_EQ(pulse_timers_destroy(w), 0);
	}
}

KT_TEST(what_is_past_fires_with_the_next_run)
{
	struct pulse_timers *w = new_wheel(1000 * MS, 0);
	static const int64_t past[] = { INT64_MIN, -1, 0, 1, 999 * MS,
					1000 * MS };
	struct probe p;

	for (unsigned int i = 0; i < ARRAY_SIZE(past); i++) {
		probe_init(&p);
		KT_EQ(pulse_timers_arm(w, &p.timer, past[i], 0), 0);
		KT_CHECK(pulse_timers_next(w) <= fake_now);
		KT_EQ(pulse_timers_run(w, -1, 0), 1);
		KT_EQ(p.calls, 1);
		KT_EQ(pulse_timers_pending(w, &p.timer), 0);
	}
	KT_EQ(pulse_timers_destroy(w), 0);
}

KT_TEST(forever_never_comes)
{
	struct pulse_timers *w = new_wheel(0, 1000);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timers_arm(w, &p.timer, PULSE_FOREVER, 0), 0);
	KT_EQ(pulse_timers_next(w), PULSE_FOREVER);
	KT_EQ(pulse_timers_run(w, 250 * YEAR, 0), 0);
	KT_EQ(pulse_timers_pending(w, &p.timer), 1);
	KT_EQ(pulse_timers_cancel(w, &p.timer), 1);
	KT_EQ(pulse_timers_destroy(w), 0);
}

/* ---- periods ------------------------------------------------------------ */

KT_TEST(a_period_does_not_drift)
{
	struct pulse_timers *w = new_wheel(3, 0);
	int64_t start = fake_now + 333333;
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timers_arm(w, &p.timer, start, 7777777), 0);
	for (int i = 0; i < 1000; i++) {
		int64_t due = start + i * 7777777LL;

		/* Somewhat late each time, never by a whole period. */
		fake_now = due + 2 * MS;
		KT_EQ(pulse_timers_run(w, -1, 0), 1);
		KT_EQ(p.timer.deadline_ns, due + 7777777);
	}
	KT_EQ(p.timer.missed, 0);
	KT_EQ(pulse_timers_cancel(w, &p.timer), 1);
	KT_EQ(pulse_timers_destroy(w), 0);
}

KT_TEST(missed_periods_are_counted_and_the_phase_is_kept)
{
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	struct pulse_timers *w = new_wheel(0, 0);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timers_arm(w, &p.timer, 10 * MS, 10 * MS), 0);
	/* 10, 20, ... 100 were due: one call for 10, nine left out. */
	fake_now = 105 * MS;
	KT_EQ(pulse_timers_run(w, -1, 0), 1);
	KT_EQ(p.timer.missed, 9);
	KT_EQ(p.timer.deadline_ns, 110 * MS);
	/* Due exactly now: that one is left out as well. */
	fake_now = 120 * MS;
	KT_EQ(pulse_timers_run(w, -1, 0), 1);
	KT_EQ(p.timer.missed, 10);
	KT_EQ(p.timer.deadline_ns, 130 * MS);
	/* A period below the resolution: once a tick, the rest is counted. */
	KT_EQ(pulse_timers_arm(w, &p.timer, fake_now, MS / 4), 0);
	p.timer.missed = 0;
	p.calls = 0;
	for (int i = 0; i < 8; i++) {
		fake_now += MS;
		KT_CHECK(pulse_timers_run(w, -1, 0) <= 1);
	}
	KT_EQ(p.calls, 8);
	KT_EQ(p.calls + (int)p.timer.missed, 33);
	KT_EQ(pulse_timers_stats(w, &s), 0);
	KT_EQ(s.missed, 10 + p.timer.missed);
	KT_EQ(s.armed, 1);
	KT_EQ(pulse_timers_destroy(w), 1);
}

KT_TEST(a_period_beyond_the_end_of_time_ends)
{
	struct pulse_timers *w = new_wheel(0, 0);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timers_arm(w, &p.timer, 5 * MS, INT64_MAX - MS), 0);
	KT_EQ(pulse_timers_run(w, 6 * MS, 0), 1);
	KT_EQ(p.timer.deadline_ns, PULSE_FOREVER);
	KT_EQ(pulse_timers_next(w), PULSE_FOREVER);
	KT_EQ(pulse_timers_destroy(w), 1);
}

/* ---- what callbacks may do ---------------------------------------------- */

static struct pulse_timers *the_wheel;
static struct pulse_timer *victim;
static int callback_ret;

static void cancel_self(struct pulse_timer *t, void *arg)
{
	++*(int *)arg;
	callback_ret = pulse_timers_cancel(the_wheel, t);
}

KT_TEST(cancel_in_the_callback_ends_a_period)
{
	struct pulse_timer t;
	int calls = 0;

	the_wheel = new_wheel(0, 0);
	pulse_timer_init(&t, cancel_self, &calls);
	KT_EQ(pulse_timers_arm(the_wheel, &t, MS, MS), 0);
	run_until(the_wheel, 100 * MS, NULL);
	KT_EQ(calls, 1);
	KT_EQ(callback_ret, 1);
	/* A one-shot timer's only call is under way. */
	KT_EQ(pulse_timers_arm(the_wheel, &t, MS, 0), 0);
	run_until(the_wheel, 200 * MS, NULL);
	KT_EQ(calls, 2);
	KT_EQ(callback_ret, 0);
	KT_EQ(pulse_timers_destroy(the_wheel), 0);
}

static void cancel_victim(struct pulse_timer *t, void *arg)
{
	(void)t;
	(void)arg;
	callback_ret = pulse_timers_cancel(the_wheel, victim);
}

KT_TEST(cancel_reaches_a_timer_that_is_due_in_the_same_tick)
{
	struct pulse_timer killer[2];
	struct probe p;

	the_wheel = new_wheel(0, 0);
	probe_init(&p);
	victim = &p.timer;
	pulse_timer_init(&killer[0], cancel_victim, NULL);
	pulse_timer_init(&killer[1], cancel_victim, NULL);
	/* One before and one after it, whichever the order is. */
	pulse_timers_arm(the_wheel, &killer[0], 5 * MS, 0);
	pulse_timers_arm(the_wheel, &p.timer, 5 * MS, 0);
	pulse_timers_arm(the_wheel, &killer[1], 5 * MS, 0);
	KT_EQ(pulse_timers_run(the_wheel, 5 * MS, 0), 2);
	KT_EQ(p.calls, 0);
	KT_EQ(pulse_timers_destroy(the_wheel), 0);
}

static void rearm_past(struct pulse_timer *t, void *arg)
{
	++*(int *)arg;
	KT_EQ(pulse_timers_arm(the_wheel, t, 0, 0), 0);
}

KT_TEST(a_callback_that_arms_itself_for_the_past_does_not_spin)
{
	struct pulse_timer t;
	int calls = 0;

	the_wheel = new_wheel(0, 0);
	pulse_timer_init(&t, rearm_past, &calls);
	KT_EQ(pulse_timers_arm(the_wheel, &t, 0, 0), 0);
	for (int i = 1; i <= 10; i++) {
		KT_EQ(pulse_timers_run(the_wheel, MS, 0), 1);
		KT_EQ(calls, i);
		KT_EQ(pulse_timers_next(the_wheel), 0);
	}
	KT_EQ(pulse_timers_destroy(the_wheel), 1);
}

static void misuse(struct pulse_timer *t, void *arg)
{
	(void)arg;
	KT_EQ(pulse_timers_run(the_wheel, -1, 0), -EBUSY);
	KT_EQ(pulse_timers_destroy(the_wheel), -EBUSY);
	free(t);
}

KT_TEST(a_callback_may_free_its_timer_but_not_the_wheel)
{
	struct pulse_timer *t = malloc(sizeof(*t));

	KT_REQUIRE(t != NULL);
	the_wheel = new_wheel(0, 0);
	pulse_timer_init(t, misuse, NULL);
	KT_EQ(pulse_timers_arm(the_wheel, t, MS, 0), 0);
	KT_EQ(pulse_timers_run(the_wheel, MS, 0), 1);
	KT_EQ(pulse_timers_destroy(the_wheel), 0);
}

KT_TEST(a_timer_belongs_to_one_wheel_at_a_time)
{
	struct pulse_timers *a = new_wheel(0, 0), *b = new_wheel(0, 0);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_timers_arm(a, &p.timer, 5 * MS, 0), 0);
	KT_EQ(pulse_timers_arm(b, &p.timer, 5 * MS, 0), -EBUSY);
	KT_EQ(pulse_timers_cancel(b, &p.timer), -EINVAL);
	KT_EQ(pulse_timers_pending(b, &p.timer), 0);
	KT_EQ(pulse_timers_pending(a, &p.timer), 1);
	/* Not armed any more when its wheel is gone. */
	KT_EQ(pulse_timers_destroy(a), 1);
	KT_EQ(pulse_timers_arm(b, &p.timer, 5 * MS, 0), 0);
	KT_EQ(pulse_timers_run(b, 5 * MS, 0), 1);
	KT_EQ(p.calls, 1);
	KT_EQ(pulse_timers_destroy(b), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* The wheel with many timers: against a model, a million, bounded runs. */
#include "wheel.h"

/* ---- against a model ---------------------------------------------------- */

#define NR_MODEL 200

static struct model {
	struct pulse_timer timer;
	int64_t deadline;	/* -1: not armed */
	int fired;
} model[NR_MODEL];

static int64_t model_res;

static void model_fn(struct pulse_timer *t, void *arg)
{
	struct model *m = arg;

	(void)t;
	KT_CHECKF(m->deadline >= 0, "called, though it is not armed");
	KT_CHECKF(m->deadline <= fake_now, "early by %lld",
		  (long long)(m->deadline - fake_now));
	m->deadline = -1;
	m->fired++;
}

static int64_t some_delay(unsigned int *seed)
{
	/* Any magnitude alike, from nothing to days. */
	int64_t d = ((int64_t)rand_r(seed) << 31 | rand_r(seed)) &
		    ((1LL << rand_r(seed) % 48) - 1);

	return d;
}

KT_TEST(random_arming_cancelling_and_waiting_agrees_with_a_model)
{
	for (int round = 0; round < 4; round++) {
		unsigned int seed = 77 + (unsigned int)round;
		struct pulse_timers *w;

		model_res = round & 1 ? 1000 : 1000000;
		w = new_wheel(some_delay(&seed), model_res);
		for (int i = 0; i < NR_MODEL; i++) {
			pulse_timer_init(&model[i].timer, model_fn, &model[i]);
			model[i].deadline = -1;
		}
		for (long n = kt_scale(100000); n > 0; n--) {
			struct model *m = &model[rand_r(&seed) % NR_MODEL];
			int64_t first = PULSE_FOREVER, next;

			switch (rand_r(&seed) % 4) {
			case 0:
			case 1:
				m->deadline = fake_now + some_delay(&seed);
				KT_EQ(pulse_timers_arm(w, &m->timer,
						       m->deadline, 0), 0);
				break;
			case 2:
				KT_EQ(pulse_timers_cancel(w, &m->timer),
				      m->deadline >= 0);
				m->deadline = -1;
				break;
			default:
				fake_now += some_delay(&seed);
				while (pulse_timers_next(w) <= fake_now)
					KT_CHECK(pulse_timers_run(w, -1, 3) >= 0);
			}
			if (n % 16)
				continue;
			for (int i = 0; i < NR_MODEL; i++) {
				if (model[i].deadline >= 0 &&
				    model[i].deadline < first)
					first = model[i].deadline;
			}
			next = pulse_timers_next(w);
			KT_CHECKF(first == PULSE_FOREVER ?
				  next == PULSE_FOREVER : next < first + model_res,
				  "sleeps too long: %lld, first is %lld",
				  (long long)next, (long long)first);
		}
		pulse_timers_destroy(w);
	}
}

/* ---- many --------------------------------------------------------------- */

static void count_fn(struct pulse_timer *t, void *arg)
{
	(void)t;
	++*(unsigned char *)arg;
}

KT_TEST(a_million_timers_fire_once_each_or_never)
{
	long nr = kt_scale(1000000), want = 0, cancelled = 0, fired;
	struct pulse_timers *w = new_wheel(12345, 0);
	struct pulse_timer *t = calloc((size_t)nr, sizeof(*t));
	unsigned char *calls = calloc((size_t)nr, 1);
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	unsigned int seed = 1;

	KT_REQUIRE(t && calls);
	for (long i = 0; i < nr; i++) {
		pulse_timer_init(&t[i], count_fn, &calls[i]);
		if (pulse_timers_arm(w, &t[i], fake_now + rand_r(&seed) % 3600 *
				     1000LL * MS, 0))
			KT_FAIL("arm %ld", i);
	}
	for (long i = 0; i < nr; i += 3) {
		cancelled += pulse_timers_cancel(w, &t[i]);
		/* Every second of these comes back at another time. */
		if (i & 1 && !pulse_timers_arm(w, &t[i], fake_now + i, 0))
			want++;
	}
	want += nr - (nr + 2) / 3;
	KT_EQ(cancelled, (nr + 2) / 3);
	fired = run_until(w, fake_now + 4000000 * MS, NULL);
	KT_EQ(fired, want);
	for (long i = 0; i < nr; i++) {
		if (calls[i] != (i % 3 || i & 1)) {
			KT_FAIL("timer %ld was called %d times", i, calls[i]);
			break;
		}
	}
	KT_EQ(pulse_timers_stats(w, &s), 0);
	KT_EQ(s.armed, 0);
	KT_EQ(s.fired, fired);
	/* At most a move for each level it may have been filed at. */
	KT_CHECK(s.moved <= 8 * (uint64_t)nr);
	KT_EQ(pulse_timers_destroy(w), 0);
	free(t);
	free(calls);
}

KT_TEST(one_run_is_bounded_however_much_is_due)
{
	long nr = kt_scale(100000), fired = 0, runs = 0;
	struct pulse_timers *w = new_wheel(0, 0);
	struct pulse_timer *t = calloc((size_t)nr, sizeof(*t));
	struct pulse_timers_stats before = { .sz = sizeof(before) }, s = before;
	unsigned char *calls = calloc((size_t)nr, 1);

	KT_REQUIRE(t && calls);
	/* All in one tick, far enough to be moved down twice. */
	for (long i = 0; i < nr; i++) {
		pulse_timer_init(&t[i], count_fn, &calls[i]);
		pulse_timers_arm(w, &t[i], 12345 * MS, 0);
	}
	while (pulse_timers_next(w) <= 12345 * MS) {
		int n;

		pulse_timers_stats(w, &before);
		n = pulse_timers_run(w, 12345 * MS, 10);
		pulse_timers_stats(w, &s);
		KT_CHECK(n >= 0 && n <= 10);
		KT_CHECK(s.moved - before.moved <= 160);
		fired += n;
		if (++runs > nr)
			break;
	}
	KT_EQ(fired, nr);
	KT_CHECK(runs >= nr / 10);
	KT_EQ(pulse_timers_destroy(w), 0);
	free(t);
	free(calls);
}

KT_TEST(timers_that_are_half_moved_down_can_be_cancelled)
{
	struct pulse_timers *w = new_wheel(0, 0);
	struct pulse_timer t[100];
	unsigned char calls = 0;

	for (int i = 0; i < 100; i++) {
		pulse_timer_init(&t[i], count_fn, &calls);
		pulse_timers_arm(w, &t[i], (4096 + i % 3) * MS, 0);
	}
	/* 16 moves allowed: most are on their way now. */
	KT_EQ(pulse_timers_run(w, 4096 * MS, 1), 0);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_timers_cancel(w, &t[i]), 1);
	KT_EQ(pulse_timers_next(w), PULSE_FOREVER);
	KT_EQ(pulse_timers_run(w, 5000 * MS, 0), 0);
	KT_EQ(calls, 0);
	KT_EQ(pulse_timers_destroy(w), 0);
}

KT_MAIN()

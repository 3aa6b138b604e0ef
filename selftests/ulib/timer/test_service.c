// SPDX-License-Identifier: GPL-2.0-only
/* One wheel for all threads: earlier deadlines, races of cancel, its end. */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/timer.h>

#define MS	1000000LL

static struct pulse_timer_service *svc;

static void nap(int64_t ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(ns, &ts);
	nanosleep(&ts, NULL);
}

static void start(void)
{
	PULSE_OPTS(pulse_timer_service_opts, o, .resolution_ns = 100000);

	svc = NULL;
	KT_EQ(pulse_timer_service_create(&o, &svc), 0);
}

static void count_fn(struct pulse_timer *t, void *arg)
{
	(void)t;
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE);
}

static bool comes_to(int *count, int want)
{
	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(count, __ATOMIC_ACQUIRE) >= want)
			return true;
		nap(MS);
	}
	return false;
}

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	struct pulse_timer t, raw;
	int calls = 0;

	memset(&raw, 0, sizeof(raw));
	pulse_timer_init(&t, count_fn, &calls);
	KT_EQ(pulse_timer_service_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_timer_service_destroy(NULL), -EINVAL);
	KT_EQ(pulse_timer_service_arm(NULL, &t, 0, 0), -EINVAL);
	KT_EQ(pulse_timer_service_cancel(NULL, &t), -EINVAL);
	KT_EQ(pulse_timer_service_cancel_sync(NULL, &t), -EINVAL);
	KT_EQ(pulse_timer_service_pending(NULL, &t), -EINVAL);
	KT_EQ(pulse_timer_service_kick(NULL), -EINVAL);
	KT_EQ(pulse_timer_service_now(NULL), -EINVAL);
	KT_EQ(pulse_timer_service_stats(NULL, &s), -EINVAL);
	start();
	KT_EQ(pulse_timer_service_arm(svc, NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_timer_service_arm(svc, &raw, 0, 0), -EINVAL);
	KT_EQ(pulse_timer_service_arm(svc, &t, 0, -1), -EINVAL);
	KT_EQ(pulse_timer_service_cancel(svc, NULL), -EINVAL);
	KT_EQ(pulse_timer_service_cancel_sync(svc, NULL), -EINVAL);
	KT_EQ(pulse_timer_service_pending(svc, NULL), -EINVAL);
	KT_EQ(pulse_timer_service_stats(svc, NULL), -EINVAL);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

/* U02, U04 */
KT_TEST(bad_options_and_no_memory_leave_nothing_behind)
{
	PULSE_OPTS(pulse_timer_service_opts, o);
	long n;

	svc = (void *)1;
	o.sz = 0;
	KT_EQ(pulse_timer_service_create(&o, &svc), -EINVAL);
	KT_CHECK(!svc);
	o.sz = 1;
	KT_EQ(pulse_timer_service_create(&o, &svc), -EINVAL);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_timer_service_create(&o, &svc), -E2BIG);
	o.sz = sizeof(o);
	o.resolution_ns = 1;
	KT_EQ(pulse_timer_service_create(&o, &svc), -EINVAL);
	for (n = 1; n < 100; n++) {
		pulse__alloc_fail_at(n);
		if (!pulse_timer_service_create(NULL, &svc))
			break;
		KT_CHECK(!svc);
	}
	pulse__alloc_fail_at(0);
	KT_CHECK(n > 2 && n < 100);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

struct when {
	struct pulse_timer timer;
	int64_t at;
	int calls;
};

static void when_fn(struct pulse_timer *t, void *arg)
{
	struct when *w = arg;

	(void)t;
	w->at = pulse_now_ns();
	__atomic_fetch_add(&w->calls, 1, __ATOMIC_RELEASE);
}

KT_TEST(fires_and_is_never_early)
{
	struct when w[50];
	int64_t now = pulse_now_ns();

	start();
	for (int i = 0; i < 50; i++) {
		memset(&w[i], 0, sizeof(w[i]));
		pulse_timer_init(&w[i].timer, when_fn, &w[i]);
		KT_EQ(pulse_timer_service_arm(svc, &w[i].timer,
					      now + i * 777777LL, 0), 0);
	}
	for (int i = 0; i < 50; i++) {
		KT_CHECK(comes_to(&w[i].calls, 1));
		KT_CHECK(w[i].at >= now + i * 777777LL);
		KT_EQ(pulse_timer_service_pending(svc, &w[i].timer), 0);
	}
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

KT_TEST(only_an_earlier_deadline_wakes_the_sleeper)
{
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	int64_t hour = pulse_now_ns() + 3600000 * MS;
	struct pulse_timer far[20], near;
	uint64_t before;
	int calls = 0;

	start();
	nap(20 * MS);
	/* The first finds the sleeper, or is early enough that it need not. */
	for (int i = 0; i < 20; i++) {
		pulse_timer_init(&far[i], count_fn, &calls);
		KT_EQ(pulse_timer_service_arm(svc, &far[i], hour + i * MS, 0), 0);
		/* Asleep again, so that each one has to decide. */
		nap(2 * MS);
	}
	KT_EQ(pulse_timer_service_stats(svc, &s), 0);
	KT_EQ(s.armed, 20);
	KT_CHECKF(s.wakeups <= 1, "%llu wake-ups", (unsigned long long)s.wakeups);
	before = s.wakeups;
	pulse_timer_init(&near, count_fn, &calls);
	KT_EQ(pulse_timer_service_arm(svc, &near, pulse_now_ns() + 5 * MS, 0), 0);
	KT_CHECK(comes_to(&calls, 1));
	KT_EQ(pulse_timer_service_stats(svc, &s), 0);
	KT_EQ(s.wakeups, before + 1);
	KT_EQ(s.fired, 1);
	KT_EQ(pulse_timer_service_destroy(svc), 20);
	KT_EQ(far[0].place, 0);
}

KT_TEST(a_period_goes_on_until_it_is_cancelled)
{
	struct pulse_timer t;
	int calls = 0, seen;

	start();
	pulse_timer_init(&t, count_fn, &calls);
	KT_EQ(pulse_timer_service_arm(svc, &t, pulse_now_ns(), MS), 0);
	KT_CHECK(comes_to(&calls, 20));
	KT_EQ(pulse_timer_service_cancel_sync(svc, &t), 1);
	seen = calls;
	nap(10 * MS);
	KT_EQ(__atomic_load_n(&calls, __ATOMIC_ACQUIRE), seen);
	KT_EQ(pulse_timer_service_cancel_sync(svc, &t), 0);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

/* ---- a clock of the test's own ------------------------------------------ */

static int64_t fake_now;

static int64_t fake_clock(void *arg)
{
	return __atomic_load_n((const int64_t *)arg, __ATOMIC_ACQUIRE);
}

KT_TEST(a_clock_of_ones_own_moves_the_service)
{
	PULSE_OPTS(pulse_timer_service_opts, o, .now = fake_clock,
		   .now_arg = &fake_now);
	int64_t day = 24 * 3600 * 1000 * MS;
	struct pulse_timer t;
	int calls = 0;

	KT_REQUIRE(!pulse_timer_service_create(&o, &svc));
	pulse_timer_init(&t, count_fn, &calls);
	KT_EQ(pulse_timer_service_arm(svc, &t, day, day), 0);
	for (int i = 1; i <= 100; i++) {
		__atomic_store_n(&fake_now, i * day - 1, __ATOMIC_RELEASE);
		KT_EQ(pulse_timer_service_kick(svc), 0);
		KT_EQ(__atomic_load_n(&calls, __ATOMIC_ACQUIRE), i - 1);
		__atomic_store_n(&fake_now, i * day, __ATOMIC_RELEASE);
		KT_EQ(pulse_timer_service_kick(svc), 0);
		KT_REQUIRE(comes_to(&calls, i));
	}
	KT_EQ(pulse_timer_service_now(svc), 100 * day);
	KT_EQ(pulse_timer_service_destroy(svc), 1);
}

/* ---- cancelling a callback under way ------------------------------------ */

struct gate {
	struct pulse_timer timer;
	int entered;
	int open;
	int left;
	bool again;
};

static void gate_fn(struct pulse_timer *t, void *arg)
{
	struct gate *g = arg;

	__atomic_fetch_add(&g->entered, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE))
		nap(MS / 10);
	if (g->again)
		pulse_timer_service_arm(svc, t, 0, 0);
	/* Not atomic: cancel_sync is what orders it before the reader. */
	g->left++;
}

static void *open_later(void *arg)
{
	nap(20 * MS);
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	return NULL;
}

KT_TEST(cancel_does_not_wait_and_cancel_sync_does)
{
	struct gate *g = calloc(1, sizeof(*g));
	pthread_t t;

	KT_REQUIRE(g != NULL);
	start();
	pulse_timer_init(&g->timer, gate_fn, g);
	KT_EQ(pulse_timer_service_arm(svc, &g->timer, 0, 0), 0);
	KT_CHECK(comes_to(&g->entered, 1));
	KT_EQ(pulse_timer_service_cancel(svc, &g->timer), 0);
	KT_EQ(__atomic_load_n(&g->open, __ATOMIC_RELAXED), 0);
	pthread_create(&t, NULL, open_later, &g->open);
	KT_EQ(pulse_timer_service_cancel_sync(svc, &g->timer), 0);
	KT_EQ(g->left, 1);
	pthread_join(t, NULL);
	free(g);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

KT_TEST(cancel_sync_stops_a_timer_that_arms_itself)
{
	for (int i = 0; i < 20; i++) {
		struct gate *g = calloc(1, sizeof(*g));
		int ret;

		KT_REQUIRE(g != NULL);
		if (!i)
			start();
		g->again = true;
		g->open = 1;
		pulse_timer_init(&g->timer, gate_fn, g);
		KT_EQ(pulse_timer_service_arm(svc, &g->timer, 0, 0), 0);
		KT_CHECK(comes_to(&g->entered, 3));
		ret = pulse_timer_service_cancel_sync(svc, &g->timer);
		KT_EQ(ret, 1);
		KT_EQ(g->left, g->entered);
		KT_EQ(pulse_timer_service_pending(svc, &g->timer), 0);
		free(g);
	}
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

static int inside_ret[3];

static void from_inside(struct pulse_timer *t, void *arg)
{
	inside_ret[0] = pulse_timer_service_cancel(svc, t);
	inside_ret[1] = pulse_timer_service_cancel_sync(svc, t);
	inside_ret[2] = pulse_timer_service_destroy(svc);
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE);
}

KT_TEST(cancel_from_inside_does_not_wait_for_itself)
{
	struct pulse_timer t;
	int calls = 0;

	start();
	pulse_timer_init(&t, from_inside, &calls);
	KT_EQ(pulse_timer_service_arm(svc, &t, 0, MS), 0);
	KT_CHECK(comes_to(&calls, 1));
	KT_EQ(inside_ret[0], 1);
	KT_EQ(inside_ret[1], 0);
	KT_EQ(inside_ret[2], -EDEADLK);
	nap(5 * MS);
	KT_EQ(calls, 1);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

static void free_self(struct pulse_timer *t, void *arg)
{
	free(t);
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE);
}

KT_TEST(a_callback_may_free_its_timer)
{
	int calls = 0;

	start();
	for (int i = 0; i < 100; i++) {
		struct pulse_timer *t = malloc(sizeof(*t));

		KT_REQUIRE(t != NULL);
		pulse_timer_init(t, free_self, &calls);
		KT_EQ(pulse_timer_service_arm(svc, t, 0, 0), 0);
	}
	KT_CHECK(comes_to(&calls, 100));
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

/* ---- races -------------------------------------------------------------- */

#define RACERS	3
#define TIMERS	16

struct racer {
	pthread_t thread;
	unsigned int seed;
	long rounds;
	struct {
		struct pulse_timer timer;
		long armed;	/* and not moved from a place where it was armed */
		long cancelled;
		int calls;
	} t[TIMERS];
};

static void *race(void *arg)
{
	struct racer *r = arg;

	for (long n = 0; n < r->rounds; n++) {
		unsigned int i = rand_r(&r->seed) % TIMERS;
		int64_t at = pulse_now_ns() + rand_r(&r->seed) % 300000;
		int ret;

		switch (rand_r(&r->seed) % 3) {
		case 0:
			ret = pulse_timer_service_cancel(svc, &r->t[i].timer);
			break;
		case 1:
			ret = pulse_timer_service_cancel_sync(svc,
							      &r->t[i].timer);
			break;
		default:
			/* Off first, so that each arming counts once. */
			ret = pulse_timer_service_cancel(svc, &r->t[i].timer);
			KT_EQ(pulse_timer_service_arm(svc, &r->t[i].timer, at,
						      0), 0);
			r->t[i].armed++;
		}
		KT_CHECK(ret == 0 || ret == 1);
		r->t[i].cancelled += ret;
	}
	for (unsigned int i = 0; i < TIMERS; i++)
		r->t[i].cancelled +=
			pulse_timer_service_cancel_sync(svc, &r->t[i].timer);
	return NULL;
}

KT_TEST(each_arming_is_called_or_cancelled_and_never_both)
{
	static struct racer racers[RACERS];
	struct pulse_timers_stats s = { .sz = sizeof(s) };
	long calls = 0, cancelled = 0;

	start();
	memset(racers, 0, sizeof(racers));
	for (unsigned int i = 0; i < RACERS; i++) {
		racers[i].seed = i + 1;
		racers[i].rounds = kt_scale(100000);
		for (unsigned int k = 0; k < TIMERS; k++)
			pulse_timer_init(&racers[i].t[k].timer, count_fn,
					 &racers[i].t[k].calls);
		KT_REQUIRE(!pthread_create(&racers[i].thread, NULL, race,
					   &racers[i]));
	}
	for (unsigned int i = 0; i < RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	for (unsigned int i = 0; i < RACERS; i++) {
		for (unsigned int k = 0; k < TIMERS; k++) {
			KT_EQ(racers[i].t[k].calls + racers[i].t[k].cancelled,
			      racers[i].t[k].armed);
			calls += racers[i].t[k].calls;
			cancelled += racers[i].t[k].cancelled;
		}
	}
	KT_EQ(pulse_timer_service_stats(svc, &s), 0);
	KT_EQ(s.fired, calls);
	KT_EQ(s.cancelled, cancelled);
	KT_EQ(s.armed, 0);
	KT_EQ(pulse_timer_service_destroy(svc), 0);
}

/* U09 */
KT_TEST(a_forked_child_is_told_and_can_destroy)
{
	struct pulse_timer t;
	int calls = 0, status = 0;
	pid_t pid;

	start();
	pulse_timer_init(&t, count_fn, &calls);
	KT_EQ(pulse_timer_service_arm(svc, &t, PULSE_FOREVER, 0), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok = pulse_timer_service_arm(svc, &t, 0, 0) == -EOWNERDEAD;

		ok &= pulse_timer_service_cancel(svc, &t) == -EOWNERDEAD;
		ok &= pulse_timer_service_cancel_sync(svc, &t) == -EOWNERDEAD;
		ok &= pulse_timer_service_kick(svc) == -EOWNERDEAD;
		ok &= pulse_timer_service_destroy(svc) == 0;
		_exit(ok ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_EQ(pulse_timer_service_destroy(svc), 1);
}

KT_MAIN()

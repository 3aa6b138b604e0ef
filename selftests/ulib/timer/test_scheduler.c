// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler contract, kept by whatever stands below: a service of its own,
 * one that is shared, the wheel of a loop, and a table of the user's, which is
 * a mock here: a list, and a clock that the test moves.
 */
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/timer.h>

#define MS	1000000LL
#define SEC	(1000 * MS)

struct kind {
	const char *name;
	struct pulse_scheduler *s;
	void (*pass)(int64_t ns);	/* lets time pass */
};

static int64_t fake_now;
static struct pulse_timers *wheel;
static struct pulse_timer_service *shared;

static int64_t fake_clock(void *arg)
{
	(void)arg;
	return fake_now;
}

static void pass_real(int64_t ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(ns, &ts);
	nanosleep(&ts, NULL);
}

static void pass_wheel(int64_t ns)
{
	fake_now += ns;
	while (pulse_timers_next(wheel) <= fake_now)
		pulse_timers_run(wheel, -1, 0);
}

/* The mock keeps its jobs in a list, by the links of their timers. */
static struct pulse_scheduler_job *mock_first;

static int mock_schedule(void *impl, struct pulse_scheduler_job *job,
			 int64_t delay_ns)
{
	if (impl != &mock_first || delay_ns < 0)
		return -EINVAL;
	job->timer.deadline_ns = fake_now + delay_ns;
	job->timer.node.next = (void *)mock_first;
	mock_first = job;
	return 0;
}

static struct pulse_scheduler_job *mock_take(struct pulse_scheduler_job *want,
					     int64_t until)
{
	struct pulse_scheduler_job **p = &mock_first, *job;

	while ((job = *p) && job != want && job->timer.deadline_ns > until)
		p = (void *)&job->timer.node.next;
	if (job)
		*p = (void *)job->timer.node.next;
	return job;
}

static int mock_cancel(void *impl, struct pulse_scheduler_job *job)
{
	(void)impl;
	mock_take(job, INT64_MIN);
	return 0;
}

static int64_t mock_now(void *impl)
{
	(void)impl;
	return fake_now;
}

static void pass_mock(int64_t ns)
{
	struct pulse_scheduler_job *job;

	fake_now += ns;
	while ((job = mock_take(NULL, fake_now)))
		pulse_scheduler_job_run(job);
}

static const struct pulse_scheduler_ops mock_ops = {
	.sz = sizeof(mock_ops),
	.schedule = mock_schedule,
	.cancel = mock_cancel,
	.now = mock_now,
};

static void make(struct kind kinds[4])
{
	PULSE_OPTS(pulse_timers_opts, wo, .now = fake_clock);
	PULSE_OPTS(pulse_scheduler_opts, own, .resolution_ns = MS / 10);
	PULSE_OPTS(pulse_scheduler_opts, on_shared);
	PULSE_OPTS(pulse_scheduler_opts, on_wheel);
	PULSE_OPTS(pulse_scheduler_opts, on_mock, .ops = &mock_ops,
		   .impl = &mock_first);

	kinds[0] = (struct kind){ "own service", NULL, pass_real };
	kinds[1] = (struct kind){ "shared service", NULL, pass_real };
	kinds[2] = (struct kind){ "wheel", NULL, pass_wheel };
	kinds[3] = (struct kind){ "mock", NULL, pass_mock };
	KT_EQ(pulse_timer_service_create(NULL, &shared), 0);
	KT_EQ(pulse_timers_create(&wo, &wheel), 0);
	on_shared.service = shared;
	on_wheel.timers = wheel;
	KT_EQ(pulse_scheduler_create(&own, &kinds[0].s), 0);
	KT_EQ(pulse_scheduler_create(&on_shared, &kinds[1].s), 0);
	KT_EQ(pulse_scheduler_create(&on_wheel, &kinds[2].s), 0);
	KT_EQ(pulse_scheduler_create(&on_mock, &kinds[3].s), 0);
}

static void unmake(struct kind kinds[4])
{
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_scheduler_destroy(kinds[i].s), 0);
	KT_EQ(pulse_timer_service_destroy(shared), 0);
	KT_EQ(pulse_timers_destroy(wheel), 0);
}

#define FOR_EACH_KIND(k)						\
	struct kind kinds[4];						\
									\
	make(kinds);							\
	for (struct kind *k = kinds; k < kinds + 4; k++)

struct call {
	struct pulse_scheduler_job job;
	struct pulse_scheduler *s;
	int64_t at;
	int calls;
};

static void call_fn(void *arg)
{
	struct call *c = arg;

	c->at = pulse_scheduler_now(c->s);
	__atomic_fetch_add(&c->calls, 1, __ATOMIC_RELEASE);
}

static bool ends(struct kind *k, struct pulse_scheduler_job *job)
{
	for (int i = 0; i < 20000; i++) {
		if (pulse_scheduler_job_done(job) == 1)
			return true;
		k->pass(MS);
	}
	KT_FAIL("%s: job does not end", k->name);
	return false;
}

/* U01, U02 */
KT_TEST(missing_handles_and_bad_options_are_refused)
{
	struct pulse_scheduler_ops half = mock_ops;
	struct pulse_scheduler_job job;
	struct pulse_scheduler *s = (void *)1;
	PULSE_OPTS(pulse_scheduler_opts, o);

	memset(&job, 0, sizeof(job));
	KT_EQ(pulse_scheduler_create(NULL, NULL), -EINVAL);
	o.sz = 1;
	KT_EQ(pulse_scheduler_create(&o, &s), -EINVAL);
	KT_CHECK(!s);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_scheduler_create(&o, &s), -E2BIG);
	o.sz = sizeof(o);
	half.cancel = NULL;
	o.ops = &half;
	KT_EQ(pulse_scheduler_create(&o, &s), -EINVAL);
	o.timers = (void *)1;
	KT_EQ(pulse_scheduler_create(&o, &s), -EINVAL);
	KT_EQ(pulse_scheduler_destroy(NULL), -EINVAL);
	KT_EQ(pulse_scheduler_schedule(NULL, 0, call_fn, NULL, &job), -EINVAL);
	KT_EQ(pulse_scheduler_cancel(NULL, &job), -EINVAL);
	KT_EQ(pulse_scheduler_now(NULL), -EINVAL);
	KT_EQ(pulse_scheduler_job_done(NULL), -EINVAL);
	KT_EQ(pulse_scheduler_job_err(NULL), -EINVAL);
	KT_EQ(pulse_scheduler_job_run(NULL), -EINVAL);
	KT_EQ(pulse_scheduler_job_run(&job), 0);
	KT_EQ(pulse_scheduler_job_err(&job), -ENOENT);
	KT_EQ(pulse_scheduler_create(NULL, &s), 0);
	KT_EQ(pulse_scheduler_schedule(s, 0, NULL, NULL, &job), -EINVAL);
	KT_EQ(pulse_scheduler_cancel(s, NULL), -EINVAL);
	KT_EQ(pulse_scheduler_cancel(s, &job), -ENOENT);
	KT_EQ(pulse_scheduler_destroy(s), 0);
}

/* U04 */
KT_TEST(without_memory_nothing_is_scheduled)
{
	struct pulse_scheduler *s = NULL;
	long n;

	for (n = 1; n < 100; n++) {
		pulse__alloc_fail_at(n);
		if (!pulse_scheduler_create(NULL, &s))
			break;
		KT_CHECK(!s);
	}
	KT_CHECK(n > 3 && n < 100);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_scheduler_schedule(s, 0, call_fn, NULL, NULL), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_scheduler_destroy(s), 0);
}

KT_TEST(now_is_monotonic)
{
	FOR_EACH_KIND(k) {
		int64_t last = pulse_scheduler_now(k->s);

		for (int i = 0; i < 100; i++) {
			int64_t now = pulse_scheduler_now(k->s);

			KT_CHECK(now >= last);
			last = now;
			if (i % 10 == 0)
				k->pass(MS / 10);
		}
	}
	unmake(kinds);
}

KT_TEST(a_job_runs_once_and_not_before_its_time)
{
	static const int64_t delays[] = { INT64_MIN, -1, 0, 1, MS, 20 * MS };

	FOR_EACH_KIND(k) {
		for (unsigned int i = 0; i < ARRAY_SIZE(delays); i++) {
			struct call c = { .s = k->s };
			int64_t before = pulse_scheduler_now(k->s);

			KT_EQ(pulse_scheduler_schedule(k->s, delays[i], call_fn,
						       &c, &c.job), 0);
			if (!ends(k, &c.job))
				return;
			KT_EQ(c.calls, 1);
			KT_EQ(pulse_scheduler_job_err(&c.job), 0);
			KT_CHECK(c.at >= before && (delays[i] < 0 ||
						    c.at >= before + delays[i]));
			k->pass(2 * MS);
			KT_EQ(c.calls, 1);
			KT_EQ(pulse_scheduler_cancel(k->s, &c.job), -EALREADY);
		}
	}
	unmake(kinds);
}

KT_TEST(a_job_is_cancelled_once_and_is_done_after)
{
	FOR_EACH_KIND(k) {
		struct call c = { .s = k->s };

		for (int i = 0; i < 3; i++) {
			KT_EQ(pulse_scheduler_schedule(k->s, 3600 * SEC, call_fn,
						       &c, &c.job), 0);
			KT_EQ(pulse_scheduler_job_done(&c.job), 0);
			KT_EQ(pulse_scheduler_job_err(&c.job), -EINPROGRESS);
			KT_EQ(pulse_scheduler_schedule(k->s, 0, call_fn, &c,
						       &c.job), -EBUSY);
			KT_EQ(pulse_scheduler_cancel(kinds[(k == kinds)].s,
						     &c.job), -EINVAL);
			KT_EQ(pulse_scheduler_cancel(k->s, &c.job), 0);
			KT_EQ(pulse_scheduler_job_done(&c.job), 1);
			KT_EQ(pulse_scheduler_job_err(&c.job), -ECANCELED);
			KT_EQ(pulse_scheduler_cancel(k->s, &c.job), -EALREADY);
		}
		KT_EQ(c.calls, 0);
		/* The same memory serves again. */
		KT_EQ(pulse_scheduler_schedule(k->s, 0, call_fn, &c, &c.job), 0);
		KT_CHECK(ends(k, &c.job));
		KT_EQ(c.calls, 1);
	}
	unmake(kinds);
}

static int loose_calls;

static void loose_fn(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&loose_calls, 1, __ATOMIC_RELEASE);
}

KT_TEST(a_job_that_nobody_names_runs_too)
{
	FOR_EACH_KIND(k) {
		loose_calls = 0;
		for (int i = 0; i < 10; i++)
			KT_EQ(pulse_scheduler_schedule(k->s, i * MS / 10,
						       loose_fn, NULL, NULL), 0);
		for (int i = 0; i < 20000 && __atomic_load_n(&loose_calls,
				__ATOMIC_ACQUIRE) < 10; i++)
			k->pass(MS);
		KT_EQ(loose_calls, 10);
		k->pass(2 * MS);
	}
	/* The last one may still be about to say that it ended. */
	while (pulse_scheduler_destroy(kinds[1].s) == -EBUSY)
		pass_real(MS);
	KT_EQ(pulse_scheduler_create(NULL, &kinds[1].s), 0);
	unmake(kinds);
}

KT_TEST(destroy_cancels_what_is_its_own_and_refuses_otherwise)
{
	struct call c[4];

	memset(c, 0, sizeof(c));
	FOR_EACH_KIND(k) {
		struct call *mine = &c[k - kinds];

		KT_EQ(pulse_scheduler_schedule(k->s, 3600 * SEC, call_fn, mine,
					       &mine->job), 0);
		if (k == kinds) {
			KT_EQ(pulse_scheduler_schedule(k->s, 3600 * SEC, call_fn,
						       mine, NULL), 0);
			KT_EQ(pulse_scheduler_destroy(k->s), 2);
			KT_EQ(pulse_scheduler_job_err(&mine->job), -ECANCELED);
			KT_EQ(pulse_scheduler_create(NULL, &k->s), 0);
			continue;
		}
		KT_EQ(pulse_scheduler_destroy(k->s), -EBUSY);
		KT_EQ(pulse_scheduler_cancel(k->s, &mine->job), 0);
	}
	unmake(kinds);
}

/* ---- many, and races ---------------------------------------------------- */

static long many_calls;

static void many_fn(void *arg)
{
	++*(unsigned char *)arg;
	__atomic_fetch_add(&many_calls, 1, __ATOMIC_RELEASE);
}

KT_TEST(a_million_jobs_run_once_or_are_cancelled)
{
	long nr = kt_scale(1000000);
	struct pulse_scheduler_job *jobs = malloc((size_t)nr * sizeof(*jobs));
	unsigned char *calls = malloc((size_t)nr);
	unsigned int seed = 3;

	KT_REQUIRE(jobs && calls);
	/* The mock's list is no match for a million. */
	FOR_EACH_KIND(k) {
		long cancelled = 0, bad = 0;

		if (k - kinds == 3)
			break;
		many_calls = 0;
		memset(jobs, 0, (size_t)nr * sizeof(*jobs));
		memset(calls, 0, (size_t)nr);
		for (long i = 0; i < nr; i++)
			bad += pulse_scheduler_schedule(k->s,
				rand_r(&seed) % (2000 * 1000000LL), many_fn,
				&calls[i], &jobs[i]) != 0;
		KT_EQ(bad, 0);
		for (long i = 0; i < nr; i += 2)
			cancelled += !pulse_scheduler_cancel(k->s, &jobs[i]);
		for (int i = 0; i < 40000 && __atomic_load_n(&many_calls,
				__ATOMIC_ACQUIRE) + cancelled < nr; i++)
			k->pass(MS);
		for (long i = 0; i < nr; i++) {
			if (!ends(k, &jobs[i]))
				return;
			bad += calls[i] != !pulse_scheduler_job_err(&jobs[i]);
		}
		KT_EQ(bad, 0);
		KT_EQ(many_calls + cancelled, nr);
		kt_note("%s: %ld run, %ld cancelled", k->name, many_calls,
			cancelled);
	}
	unmake(kinds);
	free(jobs);
	free(calls);
}

struct racer {
	pthread_t thread;
	struct pulse_scheduler *s;
	long rounds;
	unsigned int seed;
	long cancelled;
	long ran;
	int calls;
};

static void race_fn(void *arg)
{
	++*(int *)arg;
}

static void *race(void *arg)
{
	struct racer *r = arg;

	for (long i = 0; i < r->rounds; i++) {
		/* Its memory goes as soon as the job is said to be over. */
		struct pulse_scheduler_job *job = calloc(1, sizeof(*job));
		int ret;

		if (!job || pulse_scheduler_schedule(r->s, rand_r(&r->seed) %
				200000, race_fn, &r->calls, job)) {
			KT_FAIL("schedule");
			free(job);
			break;
		}
		if (rand_r(&r->seed) & 1)
			pass_real(rand_r(&r->seed) % 200000);
		ret = pulse_scheduler_cancel(r->s, job);
		while (!pulse_scheduler_job_done(job))
			sched_yield();
		KT_CHECK(!ret || ret == -EALREADY || ret == -EINPROGRESS);
		KT_EQ(pulse_scheduler_job_err(job), ret ? 0 : -ECANCELED);
		r->cancelled += !ret;
		r->ran += ret != 0;
		free(job);
	}
	return NULL;
}

KT_TEST(the_race_of_cancel_and_call_has_one_winner)
{
	struct kind kinds[4];
	struct racer r[4];

	make(kinds);
	memset(r, 0, sizeof(r));
	for (unsigned int i = 0; i < 4; i++) {
		r[i].s = kinds[i & 1].s;
		r[i].seed = i + 9;
		r[i].rounds = kt_scale(10000);
		KT_REQUIRE(!pthread_create(&r[i].thread, NULL, race, &r[i]));
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		KT_EQ(r[i].calls, r[i].ran);
		KT_EQ(r[i].ran + r[i].cancelled, r[i].rounds);
		kt_note("%ld ran, %ld cancelled", r[i].ran, r[i].cancelled);
	}
	unmake(kinds);
}

KT_MAIN()

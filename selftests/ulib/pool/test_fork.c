// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fork and join: right results on any number of workers and with any heart,
 * from outside, from tasks, from other pools; what is refused.
 */
#include "fork_helpers.h"

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

KT_TEST(without_a_pool_forks_run_in_turn)
{
	struct fib f = { .n = 15 };
	struct pulse_job job[3];
	long n = 0;

	fib(&f);
	KT_EQ(f.result, 610);
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_fork(&job[i], count_task, &n), 0);
	KT_EQ(n, 0);
	for (int i = 3; i--;)
		KT_EQ(pulse_join(&job[i]), 0);
	KT_EQ(n, 3);
	pulse_fork_poll();
}

static void *fib_thread(void *arg)
{
	fib(arg);
	return NULL;
}

KT_TEST(any_thread_may_fork)
{
	struct fib f[4] = { { .n = 12 }, { .n = 13 }, { .n = 14 }, { .n = 15 } };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, fib_thread, &f[i]));
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		KT_EQ(f[i].result, fib_of(f[i].n));
	}
}

KT_TEST(fib_on_any_number_of_workers)
{
	static const uint32_t workers[] = { 1, 2, 3, 4, 8 };

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		struct pulse_pool *pool = pool_of(workers[i], 0);
		int n = kt_scale(100) < 50 ? 20 : 25;
		struct fib f = { .n = n };

		KT_REQUIRE(pool);
		for (int r = 0; r < 5; r++) {
			KT_EQ(pulse_fork_run(pool, fib, &f), 0);
			KT_EQ(f.result, fib_of(n));
		}
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(stats_of(pool).completed, 5);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* Every fork shares what it may, so thieves, take-backs and waits are many. */
KT_TEST(a_heart_that_beats_at_every_fork)
{
	for (uint32_t workers = 2; workers <= 8; workers += 2) {
		struct pulse_pool *pool = quick_pool(workers);
		struct pulse_pool_stats s;
		struct fib f = { .n = 16, .quick = true };
		int rounds = 0;

		KT_REQUIRE(pool);
		do {
			KT_EQ(pulse_fork_run(pool, fib, &f), 0);
			KT_EQ(f.result, 987);
			s = stats_of(pool);
		} while (!s.jobs_taken && ++rounds < 20000);
		KT_CHECK(s.jobs_shared > 0);
		KT_CHECK(s.jobs_taken > 0);
		KT_CHECK(s.jobs_taken <= s.jobs_shared);
		kt_note("%u workers: %llu shared, %llu taken", workers,
			(unsigned long long)s.jobs_shared,
			(unsigned long long)s.jobs_taken);
		KT_EQ(pulse_pool_wait(pool), 0);
		s = stats_of(pool);
		KT_EQ(s.completed, s.submitted);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* The backend's own heart: given time, something is shared and taken. */
static bool shared_in_time(struct pulse_pool *pool)
{
	uint64_t before = stats_of(pool).jobs_taken;
	int64_t end = pulse_now_ns() + 20000000000LL;
	struct fib f = { .n = 20 };

	while (stats_of(pool).jobs_taken == before && pulse_now_ns() < end) {
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, 6765);
	}
	return stats_of(pool).jobs_taken > before;
}

KT_TEST(the_heart_beats_and_jobs_are_taken)
{
	struct pulse_pool *pool = pool_of(2, 0);

	KT_REQUIRE(pool);
	KT_CHECK(shared_in_time(pool));
	/* Long enough asleep for the hearts to stop, and they begin again. */
	for (int i = 0; i < 2; i++)
		KT_CHECK(EVENTUALLY(!READ_ONCE(pool->worker[i]->beating)));
	KT_CHECK(shared_in_time(pool));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Tasks that come again and again, so that no worker parks for long. */
#define AGAIN		8
#define AGAIN_RUNS	20000

struct again {
	struct pulse_pool *pool;
	struct pulse__worker *worker;	/* whose heart it is about */
	bool forks;			/* each task does, and hears a beat */
	bool was;			/* it beat when it was looked last */
	bool stop;
	uint32_t rests;			/* so often it did not any more */
	uint32_t runs;			/* tasks of that worker */
	uint32_t over;			/* tasks that do not come again */
};

static void again_task(void *arg)
{
	struct again *a = arg;
	struct pulse__worker *w = pulse__pool_self;

	if (w == a->worker) {
		a->runs++;
		a->rests += a->was && !w->beating;
		a->was = w->beating;
		quick();
		if (a->forks)
			pulse_join2(nothing_job, NULL, nothing_job, NULL);
		if (a->runs == AGAIN_RUNS || (!a->forks && a->rests))
			WRITE_ONCE(a->stop, true);
	}
	if (READ_ONCE(a->stop) || pulse_pool_submit(a->pool, again_task, a))
		ATOMIC_INC(a->over);
}

static void again_begin(void *arg)
{
	struct again *a = arg;

	a->worker = pulse__pool_self;
	warm_up();
	a->was = a->worker->beating;
	for (int i = 0; i < AGAIN; i++) {
		if (pulse_pool_submit(a->pool, again_task, a))
			ATOMIC_INC(a->over);
	}
}

static struct again again_and_again(bool forks)
{
	struct again a = { .pool = quick_pool(2), .forks = forks };

	if (!a.pool)
		return a;
	KT_EQ(pulse_pool_submit(a.pool, again_begin, &a), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(a.over) == AGAIN));
	KT_EQ(pulse_pool_destroy(a.pool), 0);
	kt_note("%u tasks, %u rests", a.runs, a.rests);
	return a;
}

KT_TEST(a_heart_rests_when_tasks_come_that_fork_no_more)
{
	struct again a = again_and_again(false);

	KT_REQUIRE(a.pool);
	KT_CHECK(a.rests == 1);
	KT_CHECK(a.runs < AGAIN_RUNS);
}

KT_TEST(a_heart_beats_on_while_tasks_fork)
{
	struct again a = again_and_again(true);

	KT_REQUIRE(a.pool);
	/* One that parked for long, perhaps; not each few hundred tasks. */
	KT_CHECK(a.rests <= AGAIN_RUNS / 2000);
}

static void never_shared(const struct pulse_pool_opts *opts)
{
	struct fib f = { .n = 16, .quick = true };
	struct pulse_pool *pool;

	KT_REQUIRE(!pulse_pool_create(opts, &pool));
	pool->beats = &quick_heart;
	for (int i = 0; i < 3; i++) {
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, 987);
	}
	KT_EQ(stats_of(pool).jobs_shared, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(nothing_is_shared_where_it_must_not_be)
{
	PULSE_OPTS(pulse_pool_opts, one, .num_workers = 1);
	PULSE_OPTS(pulse_pool_opts, off, .num_workers = 3,
		   .enable_heartbeat = PULSE_OFF);
	PULSE_OPTS(pulse_pool_opts, own, .num_workers = 3,
		   .enable_work_stealing = PULSE_OFF);

	never_shared(&one);
	never_shared(&off);
	never_shared(&own);
}

KT_TEST(options_out_of_range_are_refused)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1);
	struct pulse_pool *pool;

	opts.heartbeat_interval_us = 19;
	KT_EQ(pulse_pool_create(&opts, &pool), -EINVAL);
	opts.heartbeat_interval_us = 60000001;
	KT_EQ(pulse_pool_create(&opts, &pool), -EINVAL);
	opts.heartbeat_interval_us = 60000000;
	opts.enable_heartbeat = 2;
	KT_EQ(pulse_pool_create(&opts, &pool), -EINVAL);
	opts.enable_heartbeat = PULSE_ON;
	opts.num_workers = 2;
	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	KT_EQ(pulse_pool_destroy(pool), 0);
	/* Faster than a backend will: as fast as it does. */
	opts.heartbeat_interval_us = 20;
	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	KT_CHECK(shared_in_time(pool));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Jobs that hold each other up: only where both run at once do they end. */
struct meet {
	int here, there;
	bool met;
};

static void meet_a(void *arg)
{
	struct meet *m = arg;
	struct pulse_job job;

	ATOMIC_SET(m->here, 1);
	/* The forks hear the beats that share what waits outside. */
	m->met = EVENTUALLY((quick(), pulse_fork(&job, nothing_job, NULL),
			     pulse_join(&job), ATOMIC_GET(m->there)));
}

static void meet_b(void *arg)
{
	struct meet *m = arg;

	m->met &= EVENTUALLY(ATOMIC_GET(m->here));
	ATOMIC_SET(m->there, 1);
}

static void meet_task(void *arg)
{
	warm_up();
	KT_EQ(pulse_join2(meet_a, arg, meet_b, arg), 0);
}

KT_TEST(the_oldest_job_runs_beside_its_forker)
{
	struct pulse_pool *pool = quick_pool(2);
	struct meet m = { .here = 0 };

	KT_REQUIRE(pool);
	KT_EQ(pulse_fork_run(pool, meet_task, &m), 0);
	KT_CHECK(m.met && m.there);
	KT_CHECK(stats_of(pool).jobs_taken >= 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void poll_a(void *arg)
{
	struct meet *m = arg;

	m->met = EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(m->there)));
}

static void poll_b(void *arg)
{
	ATOMIC_SET(((struct meet *)arg)->there, 1);
}

static void poll_task(void *arg)
{
	warm_up();
	KT_EQ(pulse_join2(poll_a, arg, poll_b, arg), 0);
}

KT_TEST(a_loop_that_polls_shares_what_was_forked)
{
	struct pulse_pool *pool = quick_pool(2);
	struct meet m = { .here = 0 };

	KT_REQUIRE(pool);
	KT_EQ(pulse_fork_run(pool, poll_task, &m), 0);
	KT_CHECK(m.met);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct many {
	long ran[64];
	int nr;
};

static void many_task(void *arg)
{
	struct many *m = arg;
	struct pulse_job job[64];

	for (int i = 0; i < m->nr; i++) {
		quick();
		KT_EQ(pulse_fork(&job[i], count_task, &m->ran[i]), 0);
	}
	for (int i = m->nr; i--;)
		KT_EQ(pulse_join(&job[i]), 0);
}

KT_TEST(many_jobs_of_one_function)
{
	struct pulse_pool *pool = quick_pool(4);
	long rounds = kt_scale(2000);

	KT_REQUIRE(pool);
	for (long r = 0; r < rounds; r++) {
		struct many m = { .nr = (int)(r % 64) + 1 };

		KT_EQ(pulse_fork_run(pool, many_task, &m), 0);
		for (int i = 0; i < 64; i++) {
			if (m.ran[i] != (i < m.nr))
				KT_FAIL("job %d ran %ld times", i, m.ran[i]);
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Other languages call the symbols; so does this, through pointers. */
KT_TEST(the_exported_twins_do_the_same)
{
	int (*volatile join2)(pulse_task_fn, void *, pulse_task_fn, void *) =
		pulse_join2;
	int (*volatile fork_)(struct pulse_job *, pulse_task_fn, void *) =
		pulse_fork;
	int (*volatile join)(struct pulse_job *) = pulse_join;
	void (*volatile poll)(void) = pulse_fork_poll;
	struct pulse_job job;
	long n = 0;

	KT_EQ(join2(count_task, &n, count_task, &n), 0);
	KT_EQ(fork_(&job, count_task, &n), 0);
	poll();
	KT_EQ(n, 2);
	KT_EQ(join(&job), 0);
	KT_EQ(n, 3);
}

KT_TEST(null_is_refused)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_pcall *call;
	struct pulse_job job;
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_join2(NULL, NULL, count_task, &n), -EINVAL);
	KT_EQ(pulse_join2(count_task, &n, NULL, NULL), -EINVAL);
	KT_EQ(pulse_fork(NULL, count_task, &n), -EINVAL);
	KT_EQ(pulse_fork(&job, NULL, &n), -EINVAL);
	KT_EQ(pulse_join(NULL), -EINVAL);
	KT_EQ(pulse_fork_run(NULL, count_task, &n), -EINVAL);
	KT_EQ(pulse_fork_run(pool, NULL, &n), -EINVAL);
	KT_EQ(pulse_pcall(NULL, count_task, &n, &call), -EINVAL);
	KT_EQ(pulse_pcall(pool, NULL, &n, &call), -EINVAL);
	KT_EQ(pulse_pcall(pool, count_task, &n, NULL), -EINVAL);
	KT_EQ(pulse_pcall_join(NULL), 0);
	KT_EQ(n, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct inner {
	struct pulse_pool *pool;
	struct fib f;
	int ret;
};

static void inner_task(void *arg)
{
	struct inner *in = arg;

	in->ret = pulse_fork_run(in->pool, fib, &in->f);
}

KT_TEST(from_tasks_and_from_other_pools)
{
	struct pulse_pool *one = pool_of(2, 0), *two = pool_of(2, 0);
	struct inner same = { one, { .n = 18 }, -1 };
	struct inner other = { two, { .n = 18 }, -1 };

	KT_REQUIRE(one && two);
	KT_EQ(pulse_pool_submit(one, inner_task, &same), 0);
	KT_EQ(pulse_pool_submit(one, inner_task, &other), 0);
	KT_EQ(pulse_pool_wait(one), 0);
	KT_EQ(same.ret, 0);
	KT_EQ(other.ret, 0);
	KT_EQ(same.f.result, 2584);
	KT_EQ(other.f.result, 2584);
	KT_EQ(stats_of(one).completed, 2);
	KT_EQ(pulse_pool_wait(two), 0);
	KT_EQ(stats_of(two).completed, 1);
	KT_EQ(pulse_pool_destroy(one), 0);
	KT_EQ(pulse_pool_destroy(two), 0);
}

/* One link a call, shared all of them: as deep as the stack allows. */
static void chain(void *arg)
{
	long *left = arg, mine, none = 0;

	quick();
	if (!*left)
		return;
	mine = *left - 1;
	if (pulse_join2(chain, &mine, chain, &none))
		KT_FAIL("pulse_join2 failed");
	*left = mine + 1;
}

KT_TEST(a_deep_chain_of_forks)
{
	struct pulse_pool *pool = quick_pool(4);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	long depth = 2000;
#else
	long depth = 20000;
#endif
	long links = depth;

	KT_REQUIRE(pool);
	for (int i = 0; i < 3; i++) {
		KT_EQ(pulse_fork_run(pool, chain, &links), 0);
		KT_EQ(links, depth);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct hook {
	struct pulse_pool *pool;
	int ret;
};

static void fork_in_hook(void *arg, int worker)
{
	struct fib f = { .n = 10 };
	struct hook *h = arg;

	(void)worker;
	fib(&f);
	KT_EQ(f.result, 55);
	if (h->pool)
		ATOMIC_SET(h->ret, pulse_fork_run(h->pool, fib, &f));
}

KT_TEST(in_a_hook_forks_run_in_turn)
{
	struct hook h = { .ret = 1 };
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .on_worker_start = fork_in_hook,
		   .on_worker_stop = fork_in_hook, .hook_arg = &h);
	struct pulse_pool *pool;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	h.pool = pool;		/* before the workers' end, which comes next */
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(h.ret, -EDEADLK);
}

#ifndef __SANITIZE_THREAD__	/* which allows no threads after a fork */
static void forgets(void *arg)
{
	struct pulse_job job;

	(void)arg;
	pulse_fork(&job, nothing_job, NULL);
}

static void wrong_order(void *arg)
{
	struct pulse_job a, b;

	(void)arg;
	pulse_fork(&a, nothing_job, NULL);
	pulse_fork(&b, nothing_job, NULL);
	pulse_join(&a);
}

static int misuse(void *task)
{
	struct pulse_pool *pool = pool_of(1, 0);

	(void)!freopen("/dev/null", "w", stderr);
	pulse_pool_submit(pool, *(pulse_task_fn *)task, NULL);
	pulse_pool_wait(pool);
	return 0;
}

KT_TEST(unjoined_or_joined_out_of_order_aborts)
{
	pulse_task_fn task = forgets;

	KT_EQ(in_child(misuse, &task), -SIGABRT);
	task = wrong_order;
	KT_EQ(in_child(misuse, &task), -SIGABRT);
}

static void forks_process(void *arg)
{
	struct fib f = { .n = 10 };
	int status = -1;
	pid_t pid;

	warm_up();
	pid = fork();
	if (!pid) {
		/* Alone here, without a heart: in turn, and right. */
		fib(&f);
		_exit(f.result == 55 ? 42 : 1);
	}
	waitpid(pid, &status, 0);
	*(int *)arg = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

KT_TEST(a_forked_child_may_still_fork_jobs)
{
	struct pulse_pool *pool = pool_of(2, 0);
	int code = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_fork_run(pool, forks_process, &code), 0);
	KT_EQ(code, 42);
	KT_EQ(pulse_pool_destroy(pool), 0);
}
#endif

KT_MAIN()

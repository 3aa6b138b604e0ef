// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forked jobs in tasks with handles: tasks that wait and run others meanwhile,
 * that fail with jobs open, that are contained; and the live controls.
 */
#include "fork_helpers.h"
#include "works.h"

static struct pulse_pool *quick_told(uint32_t workers, struct told *t)
{
	struct pulse_pool *pool = told_pool(workers, t, 0);

	if (pool)
		pool->beats = &quick_heart;
	return pool;
}

/* ---- waiting with open forks ---------------------------------------------- */

struct nest {
	struct pulse_pool *pool;
	int depth;
	bool quick;
	long jobs, bad;
};

static int nest_work(void *arg, void **value);

/* Forks, waits for tasks that do the same, and joins what it forked. */
static void nest_run(struct nest *n)
{
	struct pulse_job jobs[3];
	struct nest next = { n->pool, n->depth - 1, n->quick, 0, 0 };
	struct pulse_work w = WORK(nest_work, &next);
	struct fib f = { .n = 5, .quick = n->quick };
	long ran[3] = { 0, 0, 0 };

	for (int i = 0; i < 3; i++) {
		if (n->quick)
			quick();
		pulse_fork(&jobs[i], count_task, &ran[i]);
		if (n->depth && pulse_pool_submit_wait(n->pool, &w,
						       PULSE_FOREVER, NULL))
			n->bad++;
		fib(&f);
		if (f.result != 5)
			n->bad++;
	}
	for (int i = 2; i >= 0; i--)
		n->bad += pulse_join(&jobs[i]) != 0;
	for (int i = 0; i < 3; i++)
		n->bad += ran[i] != 1;
	n->jobs += 3 + next.jobs;
	n->bad += next.bad;
}

static int nest_work(void *arg, void **value)
{
	(void)value;
	nest_run(arg);
	return 0;
}

static void waits_with_forks(uint32_t workers, bool fast)
{
	struct pulse_pool *pool = quick_pool(workers);
	struct nest n = { .pool = pool, .depth = 4, .quick = fast };
	struct pulse_work w = WORK(nest_work, &n);

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(n.bad, 0);
	KT_EQ(n.jobs, 3 + 9 + 27 + 81 + 243);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).submitted, stats_of(pool).completed);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_task_with_open_forks_waits_and_runs_others)
{
	waits_with_forks(1, false);
	waits_with_forks(4, false);
	waits_with_forks(2, true);
	waits_with_forks(4, true);
}

/* And pulse_fork_run() lets the pool get on while it waits. */
KT_TEST(where_a_seed_draws_forked_jobs_run_in_place)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3, .seed = 7);
	struct pulse_pool *pool;
	struct nest n = { .depth = 2 };
	struct pulse_work w = WORK(nest_work, &n);
	struct fib f = { .n = 12 };

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	n.pool = pool;
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(n.bad, 0);
	KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	KT_EQ(f.result, fib_of(12));
	KT_EQ(stats_of(pool).jobs_shared, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- failing with open forks ---------------------------------------------- */

enum how { FAILS, CRASHES };

static void ends_badly(enum how how)
{
	static int *volatile nowhere;

	if (how == CRASHES)
		*nowhere = 1;
	pulse_task_fail(-EIO);
}

/* The forker fails while a thief uses what lies on its stack. */
struct fail {
	enum how how;
	int taken, failing, ended;
	long sum, ran;
	int ret;
	uint64_t id;
};

struct fail_frame {
	struct fail *l;
	long data[64];
};

static void taken_until_it_fails(void *arg)
{
	struct fail_frame *f = arg;
	struct fail *l = f->l;
	long sum = 0;

	ATOMIC_SET(l->taken, 1);
	EVENTUALLY(ATOMIC_GET(l->failing));
	for (int i = 0; i < 10; i++) {
		nap_us(500);
		for (int k = 0; k < 64; k++)
			sum += f->data[k];
	}
	l->sum = sum;
	ATOMIC_SET(l->ended, 1);
}

static void deep_fail(struct fail *l, int depth)
{
	struct pulse_job job;

	pulse_fork(&job, count_task, &l->ran);
	if (depth) {
		deep_fail(l, depth - 1);
	} else {
		ATOMIC_SET(l->failing, 1);
		ends_badly(l->how);
	}
	KT_FAIL("a task came back from its failure");
}

static int fails_with_forks(void *arg, void **value)
{
	struct fail_frame f = { .l = arg };
	struct pulse_job job;

	(void)value;
	for (int i = 0; i < 64; i++)
		f.data[i] = i;
	warm_up();
	pulse_fork(&job, taken_until_it_fails, &f);
	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(f.l->taken)));
	deep_fail(f.l, 20);
	return 0;
}

/* The first is the one that is not counted in ran. */
static long taken_since(struct pulse_pool *pool, long before)
{
	return (long)stats_of(pool).jobs_taken - before;
}

static void fail_with_forks(enum how how, uint32_t flags, int err)
{
	struct told t;
	struct pulse_pool *pool = quick_told(2, &t);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++) {
		struct fail l = { .how = how };
		struct pulse_work w = WORK(fails_with_forks, &l, .flags = flags);
		long before = taken_since(pool, 0);
		struct fib f = { .n = 10 };

		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      err);
		KT_EQ(ATOMIC_GET(l.ended), 1);
		KT_EQ(l.sum, 10 * 64 * 63 / 2);
		/* What nobody took nobody ran. */
		KT_CHECK(l.ran < taken_since(pool, before));
		/* Its worker, and the other, are none the worse for it. */
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, 55);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).completed, 20);
	KT_EQ(t.errors, 10);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_task_fails_while_others_run_its_jobs)
{
	fail_with_forks(FAILS, 0, -EIO);
}

/* A job that somebody took fails alone; of what task it is it knows. */
static void until_taken(void *arg)
{
	struct fail *l = arg;

	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(l->taken)));
}

static void taken_fails(void *arg)
{
	struct fail *l = arg;

	l->id = pulse_task_id();
	ATOMIC_SET(l->taken, 1);
	deep_fail(l, 5);
}

static int joins_what_failed(void *arg, void **value)
{
	struct fail *l = arg;

	(void)value;
	warm_up();
	l->ret = pulse_join2(until_taken, l, taken_fails, l);
	return pulse_task_id() == 77 ? -EBADMSG : 0;
}

static void fail_taken(enum how how, uint32_t flags)
{
	struct told t;
	struct pulse_pool *pool = quick_told(2, &t);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++) {
		struct fail l = { .how = how };
		struct pulse_work w = WORK(joins_what_failed, &l, .task_id = 77,
					   .flags = flags);
		long before = taken_since(pool, 0);

		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      -EBADMSG);
		KT_EQ(l.ret, -ECANCELED);
		KT_EQ(l.id, 77);
		KT_CHECK(l.ran < taken_since(pool, before));
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).completed, 10);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_job_that_was_taken_fails_alone)
{
	fail_taken(FAILS, 0);
}

/* The handlers of sanitizers come first, and stop at each by design. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
static void count_contained(int level, const char *line, void *arg)
{
	(void)level;
	if (strstr(line, "was contained"))
		ATOMIC_INC(*(int *)arg);
}

KT_TEST(contained_signals_leave_jobs_in_order)
{
	int contained = 0;

	pulse_log_set_sink(count_contained, &contained);
	fail_with_forks(CRASHES, PULSE_WORK_CONTAIN, PULSE_ETASK_PANICKED);
	KT_EQ(contained, 10);
	fail_taken(CRASHES, PULSE_WORK_CONTAIN);
	KT_EQ(contained, 20);
	pulse_log_set_sink(NULL, NULL);
}
#endif

/* ---- a thread that ends on top of one that waits --------------------------- */

static int exits_on_top(void *arg, void **value)
{
	struct fail *l = arg;

	(void)value;
	ATOMIC_SET(l->failing, 1);
	pthread_exit(NULL);
}

struct on_top {
	struct pulse_pool *pool;
	struct fail l;
};

static int waits_for_who_exits(void *arg, void **value)
{
	struct on_top *o = arg;
	struct fail_frame f = { .l = &o->l };
	struct pulse_work w = WORK(exits_on_top, &o->l);
	struct pulse_job job;

	(void)value;
	for (int i = 0; i < 64; i++)
		f.data[i] = i;
	warm_up();
	pulse_fork(&job, taken_until_it_fails, &f);
	/* The other worker is inside the job now: nobody but us runs it. */
	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(o->l.taken)));
	pulse_pool_submit_wait(o->pool, &w, PULSE_FOREVER, NULL);
	KT_FAIL("a task came back that went with its stack");
	return 0;
}

KT_TEST(a_stack_stays_as_long_as_a_thief_needs_it_on_all_levels)
{
	struct told t;
	struct pulse_pool *pool = quick_told(2, &t);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++) {
		struct on_top o = { .pool = pool };
		struct pulse_work w = WORK(waits_for_who_exits, &o);

		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      PULSE_ETASK_LOST);
		KT_EQ(ATOMIC_GET(o.l.ended), 1);
		KT_EQ(o.l.sum, 10 * 64 * 63 / 2);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).completed, 20);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- live controls --------------------------------------------------------- */

struct knob {
	struct pulse_pool *pool;
	bool shared;
};

static bool more_shared(struct pulse_pool *pool, uint64_t than)
{
	return stats_of(pool).jobs_shared > than;
}

static void fork_some(void)
{
	struct fib f = { .n = 8 };

	fib(&f);
}

static void forks_until_it_shares(void *arg)
{
	struct knob *k = arg;
	uint64_t before = stats_of(k->pool).jobs_shared;

	k->shared = EVENTUALLY((fork_some(), more_shared(k->pool, before)));
}

static void forks_a_lot(void *arg)
{
	struct knob *k = arg;
	uint64_t before = stats_of(k->pool).jobs_shared;

	for (int i = 0; i < 1000; i++) {
		fork_some();
		quick();
	}
	k->shared = more_shared(k->pool, before);
}

KT_TEST(live_controls_say_when_to_share)
{
	/* A heart that would need a minute for its first beat. */
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .heartbeat_interval_us = 60000000,
		   .promotion_threshold = UINT32_MAX,
		   .min_work_cycles = UINT64_MAX);
	struct pulse_pool *pool;
	struct knob k;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	k.pool = pool;
	KT_EQ(pulse_fork_run(pool, forks_a_lot, &k), 0);
	KT_CHECK(!k.shared);
	KT_EQ(pulse_pool_force_promotion(pool, 1), 0);
	KT_EQ(pulse_fork_run(pool, forks_until_it_shares, &k), 0);
	KT_CHECK(k.shared);
	KT_EQ(pulse_pool_force_promotion(pool, 0), 0);
	KT_EQ(pulse_fork_run(pool, forks_a_lot, &k), 0);
	KT_CHECK(!k.shared);
	/* Off, also for who is forced; on again is heard by who was off. */
	KT_EQ(pulse_pool_force_promotion(pool, 1), 0);
	KT_EQ(pulse_pool_set_heartbeat(pool, 0), 0);
	KT_EQ(pulse_fork_run(pool, forks_a_lot, &k), 0);
	KT_CHECK(!k.shared);
	KT_EQ(pulse_pool_set_heartbeat(pool, 100), 0);
	KT_EQ(pulse_fork_run(pool, forks_until_it_shares, &k), 0);
	KT_CHECK(k.shared);
	/* And by the heart alone, soon. */
	KT_EQ(pulse_pool_force_promotion(pool, 0), 0);
	KT_EQ(pulse_pool_set_promotion(pool, 1, 1), 0);
	KT_EQ(pulse_fork_run(pool, forks_until_it_shares, &k), 0);
	KT_CHECK(k.shared);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- workers that come and go ----------------------------------------------- */

static struct pulse_pool *coming_and_going(uint32_t keep_alive_ms)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 4, .min_workers = 1,
		   .enable_adaptive_sizing = PULSE_ON, .max_workers = 6,
		   .keep_alive_ms = keep_alive_ms,
		   .heartbeat_interval_us = 20);
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

KT_TEST(workers_whose_hearts_beat_go_and_come_back)
{
	struct pulse_pool *pool = coming_and_going(5);
	struct fib f = { .n = 20 };

	KT_REQUIRE(pool);
	for (int i = 0; i < 5; i++) {
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, fib_of(20));
		KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 1));
		KT_EQ(pulse_pool_resize(pool, 4), 0);
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, fib_of(20));
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static bool hearts_rest(struct pulse_pool *pool)
{
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		if (READ_ONCE(pool->worker[i]->beating))
			return false;
	}
	return true;
}

/* A heart rests after a moment, its worker goes after keep_alive_ms. */
KT_TEST(a_heart_that_rests_is_no_worker_that_goes)
{
	struct pulse_pool *pool = coming_and_going(600000);
	struct knob k = { .pool = pool };

	KT_REQUIRE(pool);
	for (int i = 0; i < 5; i++) {
		KT_EQ(pulse_fork_run(pool, forks_until_it_shares, &k), 0);
		KT_CHECK(k.shared);
		KT_CHECK(EVENTUALLY(hearts_rest(pool)));
		nap_us(2000);
		KT_CHECK(pulse_pool_num_workers(pool) >= 4);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends, while jobs are under way: threads that exit inside them, pools that are
 * stopped, shut down and destroyed; and what waits for whom.
 */
#include <sched.h>

#include "fork_helpers.h"

static long hooked;

static void count_cancel(void *arg, pulse_task_fn fn, void *data)
{
	(void)arg;
	(void)fn;
	(void)data;
	ATOMIC_INC(hooked);
}

struct run {
	struct pulse_pool *pool;
	pulse_task_fn fn;
	void *arg;
	int ret;
	pthread_t thread;
};

static void *run_main(void *arg)
{
	struct run *r = arg;

	r->ret = pulse_fork_run(r->pool, r->fn, r->arg);
	return NULL;
}

KT_TEST(a_pool_that_is_stopped_lets_go_who_waits)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .on_cancel = count_cancel);
	struct run runs[3] = { { .ret = 1 }, { .ret = 1 }, { .ret = 1 } };
	struct pulse_pool *pool;
	struct gate g;
	int stopped;
	long n = 0;

	hooked = 0;
	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	KT_REQUIRE(gate_close(&g, pool));
	for (int i = 0; i < 3; i++) {
		runs[i].pool = pool;
		runs[i].fn = count_task;
		runs[i].arg = &n;
		KT_REQUIRE(!pthread_create(&runs[i].thread, NULL, run_main,
					   &runs[i]));
	}
	KT_CHECK(EVENTUALLY(pulse_pool_queue_length(pool) == 3));
	/* One still on its way out of its push cancels its own. */
	stopped = pulse_pool_stop(pool);
	KT_CHECK(stopped >= 0 && stopped <= 3);
	for (int i = 0; i < 3; i++) {
		pthread_join(runs[i].thread, NULL);
		KT_EQ(runs[i].ret, -ECANCELED);
	}
	KT_EQ(stats_of(pool).cancelled, 3);
	/* Whoever waits is told; the hook is for tasks that nobody waits for. */
	KT_EQ(ATOMIC_GET(hooked), 0);
	KT_EQ(n, 0);
	KT_EQ(pulse_fork_run(pool, count_task, &n), -ESHUTDOWN);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(deferred_calls_of_a_stopped_pool)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_pcall *first, *call = NULL;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	gate_init(&g);
	/* The worker searches or parks, takes the gate, and the next one waits. */
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	KT_EQ(pulse_pcall(pool, gate_task, &g, &first), 0);
	KT_REQUIRE(first);
	sem_wait_all(&g.inside, 1);
	/* By hand: nothing is hungry now, so pulse_pcall() would not defer. */
	pool->search++;
	KT_EQ(pulse_pcall(pool, count_task, &n, &call), 0);
	pool->search--;
	KT_REQUIRE(call);
	KT_EQ(pulse_pool_stop(pool), 1);
	KT_EQ(pulse_pcall_join(call), -ECANCELED);
	KT_EQ(n, 0);
	KT_EQ(pulse_pcall(pool, count_task, &n, &call), -ESHUTDOWN);
	KT_CHECK(!call);
	sem_post(&g.open);
	KT_EQ(pulse_pcall_join(first), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_call_nobody_began_is_run_by_who_joins_it)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_pcall *call = NULL;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	pool->search++;
	KT_EQ(pulse_pcall(pool, count_task, &n, &call), 0);
	pool->search--;
	KT_REQUIRE(call);
	KT_EQ(n, 0);
	KT_EQ(pulse_pcall_join(call), 0);
	KT_EQ(n, 1);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- the pool goes while trees grow --------------------------------------- */

struct endless {
	int stop;
	long jobs;
};

static void grow_until(void *arg)
{
	struct endless *e = arg;

	quick();
	__atomic_fetch_add(&e->jobs, 1, __ATOMIC_RELAXED);
	for (int i = 0; !ATOMIC_GET(e->stop) && i < 50; i++) {
		struct fib f = { .n = 8, .quick = true };

		fib(&f);
		if (f.result != 21)
			KT_FAIL("fib(8) is %ld", f.result);
	}
	if (!ATOMIC_GET(e->stop))
		pulse_join2(grow_until, e, grow_until, e);
}

static void *stopper_main(void *arg)
{
	struct run *r = arg;

	r->ret = pulse_pool_stop(r->pool);
	return NULL;
}

KT_TEST(stop_and_shutdown_while_trees_grow)
{
	for (int round = 0; round < (int)kt_scale(60); round++) {
		struct pulse_pool *pool = quick_pool(2 + (uint32_t)round % 3);
		struct endless e = { .stop = 0 };
		struct run tree = { .pool = pool, .fn = grow_until, .arg = &e };
		struct run stop = { .pool = pool };

		KT_REQUIRE(pool);
		KT_REQUIRE(!pthread_create(&tree.thread, NULL, run_main,
					   &tree));
		KT_CHECK(EVENTUALLY(ATOMIC_GET(e.jobs) > 2));
		if (round & 1) {
			KT_REQUIRE(!pthread_create(&stop.thread, NULL,
						   stopper_main, &stop));
			pthread_join(stop.thread, NULL);
		} else {
			KT_EQ(pulse_pool_shutdown(pool, 1000000), -ETIMEDOUT);
		}
		nap_us(200);
		ATOMIC_SET(e.stop, 1);
		pthread_join(tree.thread, NULL);
		KT_EQ(tree.ret, 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

struct wide {
	struct pulse_pool *pool;
	long tasks, jobs;
};

static void submits_a_task(void *arg)
{
	struct wide *w = arg;

	quick();
	while (pulse_pool_submit(w->pool, count_task, &w->tasks) == -EAGAIN)
		sched_yield();
	__atomic_fetch_add(&w->jobs, 1, __ATOMIC_RELAXED);
}

static void submits_level(void *arg, size_t begin, size_t end)
{
	if (begin % 32 == 0)
		sched_yield();		/* so that thieves get there */
	for (size_t i = begin; i < end; i++)
		submits_a_task(arg);
}

static void submits_tree(void *arg)
{
	struct wide *w = arg;

	KT_EQ(pulse_parallel_for(w->pool, 0, 500, 1, submits_level, w), 0);
}

/* What a taken job submits belongs to the epoch of the job's task. */
KT_TEST(a_pool_waits_for_jobs_and_for_what_they_submit)
{
	struct pulse_pool *pool = quick_pool(4);
	long rounds = kt_scale(200);

	KT_REQUIRE(pool);
	for (long i = 0; i < rounds; i++) {
		struct wide w = { .pool = pool };

		KT_EQ(pulse_pool_submit(pool, submits_tree, &w), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		if (w.jobs != 500 || w.tasks != 500) {
			KT_FAIL("%ld jobs and %ld tasks of 500", w.jobs,
				w.tasks);
			break;
		}
	}
	kt_note("%llu taken", (unsigned long long)stats_of(pool).jobs_taken);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- threads that end inside jobs ----------------------------------------- */

static void exits(void *arg)
{
	ATOMIC_SET(*(int *)arg, 1);
	pthread_exit(NULL);
}

KT_TEST(a_task_that_exits_its_thread_lets_go_who_waits)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct fib f = { .n = 10 };
	int begun = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_fork_run(pool, exits, &begun), -ECANCELED);
	KT_EQ(begun, 1);
	KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	KT_EQ(f.result, 55);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct broken {
	int begun, ret;
	bool seen;
};

static void broken_a(void *arg)
{
	struct broken *b = arg;

	b->seen = EVENTUALLY((quick(), pulse_fork_poll(),
			      ATOMIC_GET(b->begun)));
}

static void broken_task(void *arg)
{
	struct broken *b = arg;

	warm_up();
	b->ret = pulse_join2(broken_a, b, exits, &b->begun);
}

KT_TEST(a_job_that_exits_its_thread_lets_go_who_joins)
{
	struct pulse_pool *pool = quick_pool(2);

	KT_REQUIRE(pool);
	for (int i = 0; i < 20; i++) {
		struct broken b = { .ret = 1 };

		KT_EQ(pulse_fork_run(pool, broken_task, &b), 0);
		KT_CHECK(b.seen);
		KT_EQ(b.ret, -ECANCELED);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).completed, 20);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* The forker's thread ends while a thief uses what lies on its stack. */
struct left {
	int taken, go, ended;
	long sum;
};

struct left_frame {
	struct left *l;
	long data[64];
};

static void left_job(void *arg)
{
	struct left_frame *f = arg;
	struct left *l = f->l;
	long sum = 0;

	ATOMIC_SET(l->taken, 1);
	for (int i = 0; i < 20; i++) {
		nap_us(500);
		for (int k = 0; k < 64; k++)
			sum += f->data[k];
	}
	l->sum = sum;
	ATOMIC_SET(l->ended, 1);
}

static void left_exit(void *arg)
{
	struct left_frame *f = arg;

	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(f->l->taken)));
	pthread_exit(NULL);
}

static void left_task(void *arg)
{
	struct left_frame f = { .l = arg };

	for (int i = 0; i < 64; i++)
		f.data[i] = i;
	warm_up();
	pulse_join2(left_exit, &f, left_job, &f);
	KT_FAIL("a thread came back from pthread_exit()");
}

KT_TEST(a_stack_stays_as_long_as_a_thief_needs_it)
{
	struct pulse_pool *pool = quick_pool(2);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++) {
		struct left l = { .taken = 0 };

		KT_EQ(pulse_fork_run(pool, left_task, &l), -ECANCELED);
		KT_EQ(ATOMIC_GET(l.ended), 1);
		KT_EQ(l.sum, 20 * 64 * 63 / 2);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/*
 * A's join waits for a job of B's, and helps B with a part of that job, which
 * ends A's thread: B must learn of it before A waits for B.
 */
struct crossed {
	int job, part, ret;
};

static void crossed_part(void *arg)
{
	ATOMIC_SET(((struct crossed *)arg)->part, 1);
	pthread_exit(NULL);
}

static void crossed_until_part(void *arg)
{
	struct crossed *c = arg;

	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(c->part)));
}

static void crossed_job(void *arg)
{
	struct crossed *c = arg;

	ATOMIC_SET(c->job, 1);
	warm_up();
	ATOMIC_SET(c->ret, pulse_join2(crossed_until_part, c, crossed_part, c));
}

static void crossed_until_job(void *arg)
{
	struct crossed *c = arg;

	EVENTUALLY((quick(), pulse_fork_poll(), ATOMIC_GET(c->job)));
}

static void crossed_task(void *arg)
{
	warm_up();
	pulse_join2(crossed_until_job, arg, crossed_job, arg);
	KT_FAIL("a thread came back from pthread_exit()");
}

KT_TEST(who_exits_while_it_helps_lets_go_before_it_waits)
{
	struct pulse_pool *pool = quick_pool(2);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++) {
		struct crossed c = { .ret = 1 };

		KT_EQ(pulse_fork_run(pool, crossed_task, &c), -ECANCELED);
		KT_EQ(ATOMIC_GET(c.part), 1);
		KT_EQ(ATOMIC_GET(c.ret), -ECANCELED);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct storm {
	int depth;
	unsigned int seed;
	long *ran;
};

/* A tree in which one node in 400 ends its thread, wherever it runs. */
static void storm(void *arg)
{
	struct storm *s = arg, a, b;

	quick();
	__atomic_fetch_add(s->ran, 1, __ATOMIC_RELAXED);
	if (s->seed % 400 == 7)
		pthread_exit(NULL);
	if (!s->depth)
		return;
	a = (struct storm){ s->depth - 1, s->seed * 5 + 3, s->ran };
	b = (struct storm){ s->depth - 1, s->seed * 7 + 1, s->ran };
	pulse_join2(storm, &a, storm, &b);
}

KT_TEST(a_storm_of_exits)
{
	struct pulse_pool *pool = quick_pool(4);
	long ran = 0, rounds = kt_scale(100), lost = 0;
	struct fib f = { .n = 15, .quick = true };

	KT_REQUIRE(pool);
	for (long i = 0; i < rounds; i++) {
		struct storm s = { 9, (unsigned int)i * 2654435761u, &ran };
		int ret = pulse_fork_run(pool, storm, &s);

		KT_CHECK(ret == 0 || ret == -ECANCELED);
		lost += ret != 0;
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(lost > 0);
	kt_note("%ld jobs, %ld of %ld trees cut off", ran, lost, rounds);
	KT_EQ(stats_of(pool).completed, rounds);
	KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	KT_EQ(f.result, 610);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

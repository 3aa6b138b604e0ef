// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks with a handle: how each of them can end, and what its future, the hooks
 * and the metrics say then; time limits, cancelling, waiting inside tasks.
 */
#include <sched.h>

#include "works.h"

static int refuses(void *arg, void **value)
{
	*value = arg;	/* not looked at */
	return -(int)(intptr_t)arg;
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct { struct pulse_work w; uint64_t tail; } big;
	struct pulse_work w = WORK(gives, NULL);
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_future *f = (void *)1;
	struct pulse_result r;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_spawn(NULL, &w, &f), -EINVAL);
	KT_CHECK(!f);
	KT_EQ(pulse_pool_spawn(pool, NULL, &f), -EINVAL);
	KT_EQ(pulse_pool_submit_wait(NULL, &w, PULSE_FOREVER, &r), -EINVAL);
	KT_EQ(pulse_pool_submit_wait(pool, NULL, PULSE_FOREVER, &r), -EINVAL);
	KT_EQ(pulse_pool_submit_wait(pool, &w, -1, &r), -EINVAL);
	w.fn = NULL;
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -EINVAL);
	w = WORK(gives, NULL, .timeout_ns = -1);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -EINVAL);
	w = WORK(gives, NULL, .flags = 2);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -EINVAL);
	w = WORK(gives, NULL, .priority = 2);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -EINVAL);
	w = WORK(gives, NULL, .node = -1);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -EINVAL);
	memset(&big, 0, sizeof(big));
	KT_EQ(pulse_pool_spawn(pool, &big.w, &f), -EINVAL);
	big.w = WORK(gives, NULL);
	big.w.sz = sizeof(big);
	big.tail = 1;
	KT_EQ(pulse_pool_spawn(pool, &big.w, &f), -E2BIG);
	KT_CHECK(!f);
	KT_EQ(pulse_task_status(NULL), -EINVAL);
	KT_EQ(pulse_task_cancelled(), 0);
	KT_EQ(pulse_task_id(), 0);
	KT_EQ(pulse_task_fail(-EIO), -ESRCH);
	KT_EQ(pulse_task_fail(5), -EINVAL);
	pulse_task_yield();
	KT_STREQ(pulse_task_status_name(PULSE_TASK_CANCELLED), "cancelled");
	KT_STREQ(pulse_task_status_name(-1), "unknown");
	KT_STREQ(pulse_task_status_name(5), "unknown");
	KT_EQ(stats_of(pool).submitted, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_value_an_error_and_what_is_told_of_them)
{
	struct told t;
	struct pulse_pool *pool = told_pool(2, &t, 0);
	struct pulse_work w = WORK(gives, (void *)77, .task_id = 5);
	struct pulse_future *f;
	struct pulse_result r;
	void *value;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	KT_EQ(pulse_future_get(f, &value), 0);
	KT_EQ((intptr_t)value, 77);
	KT_EQ(pulse_task_status(f), PULSE_TASK_COMPLETED);
	KT_EQ(pulse_future_result(f, &r), 0);
	KT_EQ(r.task_id, 5);
	KT_CHECK(r.duration_ns > 0);
	pulse_future_put(f);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.completed, 1);
	KT_EQ(t.errors, 0);
	KT_EQ(t.id, 5);
	w = WORK(refuses, (void *)EIO, .task_id = 6);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	KT_EQ(pulse_future_get(f, &value), -EIO);
	KT_EQ(pulse_task_status(f), PULSE_TASK_FAILED);
	pulse_future_put(f);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.completed, 2);
	KT_EQ(t.errors, 1);
	KT_EQ(t.err, -EIO);
	KT_EQ(t.err_id, 6);
	/* Neither 0 nor a negative errno. */
	w = WORK(refuses, (void *)-3);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, &r), -EINVAL);
	KT_EQ(r.err, -EINVAL);
	KT_CHECK(!r.value);
	KT_EQ(pulse_pool_wait(pool), 0);
	/* Nobody wants the handle. */
	w = WORK(gives, NULL, .task_id = 9);
	KT_EQ(pulse_pool_spawn(pool, &w, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.id, 9);
	KT_EQ(metrics_of(pool).work_done, 2);
	KT_EQ(metrics_of(pool).work_failed, 2);
	KT_EQ(metrics_of(pool).completed, 4);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int opens(void *arg, void **value)
{
	(void)value;
	gate_task(arg);
	return 0;
}

KT_TEST(each_status_on_the_way)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_future *f[2];
	struct pulse_work w;
	struct gate g;

	KT_REQUIRE(pool);
	gate_init(&g);
	w = WORK(opens, &g);
	KT_EQ(pulse_pool_spawn(pool, &w, &f[0]), 0);
	sem_wait_all(&g.inside, 1);
	w = WORK(gives, NULL);
	KT_EQ(pulse_pool_spawn(pool, &w, &f[1]), 0);
	KT_EQ(pulse_task_status(f[0]), PULSE_TASK_RUNNING);
	KT_EQ(pulse_task_status(f[1]), PULSE_TASK_PENDING);
	KT_EQ(pulse_future_cancel(f[1], 0), 0);
	KT_EQ(pulse_task_status(f[1]), PULSE_TASK_CANCELLED);
	sem_post(&g.open);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_task_status(f[0]), PULSE_TASK_COMPLETED);
	KT_EQ(metrics_of(pool).work_cancelled, 1);
	pulse_future_put(f[0]);
	pulse_future_put(f[1]);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_task_that_runs_sees_that_it_is_cancelled)
{
	struct told t;
	struct pulse_pool *pool = told_pool(1, &t, 0);
	struct pulse_token *token;
	struct pulse_future *f;
	struct pulse_work w;
	int inside = 0;

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	w = WORK(until_cancelled, &inside);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside) == 1));
	KT_EQ(pulse_future_cancel(f, -EINTR), -EINPROGRESS);
	KT_EQ(pulse_future_get(f, NULL), -EINTR);
	KT_EQ(pulse_task_status(f), PULSE_TASK_CANCELLED);
	pulse_future_put(f);
	/* By its token. */
	w.token = token;
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside) == 2));
	KT_EQ(pulse_token_cancel(token, 0), 0);
	KT_EQ(pulse_future_get(f, NULL), -ECANCELED);
	KT_EQ(pulse_task_status(f), PULSE_TASK_CANCELLED);
	pulse_future_put(f);
	/* One that is cancelled lets nothing begin. */
	KT_EQ(pulse_pool_spawn(pool, &w, &f), -ECANCELED);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.errors, 2);
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(inside, 2);
}

static int freed;

static void count_free(void *value)
{
	KT_EQ((intptr_t)value, 33);
	ATOMIC_INC(freed);
}

static int ignores_it(void *arg, void **value)
{
	struct gate *g = arg;

	gate_task(g);
	*value = (void *)33;
	return 0;
}

KT_TEST(a_task_whose_time_is_over_is_given_up_and_told)
{
	struct told t;
	struct pulse_pool *pool = told_pool(2, &t, 20000000);
	struct pulse_future *f;
	struct pulse_work w;
	int inside = 0;
	struct gate g;

	KT_REQUIRE(pool);
	w = WORK(until_cancelled, &inside, .task_id = 3);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	KT_EQ(pulse_future_get(f, NULL), -ETIMEDOUT);
	KT_EQ(pulse_task_status(f), PULSE_TASK_FAILED);
	pulse_future_put(f);
	KT_EQ(pulse_pool_wait(pool), 0);	/* it saw it, and ended */
	/* Told by the timer's thread. */
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.completed) == 1));
	KT_EQ(t.err, PULSE_ETASK_TIMEOUT);
	/* One that does not look: who waits is free, the task runs on. */
	gate_init(&g);
	freed = 0;
	w = WORK(ignores_it, &g, .value_free = count_free,
		 .timeout_ns = 1000000);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
	      -ETIMEDOUT);
	KT_EQ(pulse_pool_active_workers(pool), 1);
	sem_post(&g.open);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(freed, 1);
	/* Told by the timer's thread. */
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.completed) == 2));
	/* And one that is in time. */
	gate_init(&g);
	sem_post(&g.open);
	w.timeout_ns = PULSE_FOREVER;
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(freed, 2);
}

/* Timers that fire just as the task ends. */
KT_TEST(the_end_and_the_end_of_time_meet)
{
	struct told t;
	struct pulse_pool *pool = told_pool(2, &t, 0);
	long n = kt_scale(3000), late = 0;

	KT_REQUIRE(pool);
	freed = 0;
	for (long i = 0; i < n; i++) {
		struct gate g;
		struct pulse_work w = WORK(ignores_it, &g,
					   .value_free = count_free,
					   .timeout_ns = 1 + i % 100 * 1000);
		int err;

		gate_init(&g);
		sem_post(&g.open);
		err = pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL);
		KT_CHECK(err == 0 || err == -ETIMEDOUT);
		late += err != 0;
		KT_EQ(pulse_pool_wait(pool), 0);	/* g is on the stack */
	}
	kt_note("%ld of %ld were too late", late, n);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(freed, n);
	KT_EQ(t.completed, n);
	KT_EQ(t.errors, late);
}

KT_TEST(who_waits_may_give_up)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_result r;
	struct pulse_work w;
	int inside = 0;
	struct gate g;

	KT_REQUIRE(pool);
	w = WORK(until_cancelled, &inside);
	KT_EQ(pulse_pool_submit_wait(pool, &w, pulse_now_ns() + 20000000, &r),
	      -ETIMEDOUT);
	KT_EQ(r.err, -ETIMEDOUT);
	KT_EQ(pulse_pool_wait(pool), 0);	/* it was cancelled with that */
	/* Before it began: it does not begin. */
	KT_REQUIRE(gate_close(&g, pool));
	inside = 0;
	KT_EQ(pulse_pool_submit_wait(pool, &w, 0, NULL), -ETIMEDOUT);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(inside, 0);
}

/* ---- the pool's end ----------------------------------------------------------- */

KT_TEST(a_stopped_pool_cancels_what_is_queued)
{
	struct told t;
	struct pulse_pool *pool = told_pool(1, &t, 0);
	struct pulse_work w = WORK(gives, NULL);
	struct pulse_future *f[10];
	struct gate g;

	KT_REQUIRE(pool && gate_close(&g, pool));
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_spawn(pool, &w, &f[i]), 0);
	KT_EQ(pulse_pool_stop(pool), 10);
	for (int i = 0; i < 10; i++) {
		KT_EQ(pulse_future_get(f[i], NULL), PULSE_ETASK_CANCELLED);
		KT_EQ(pulse_task_status(f[i]), PULSE_TASK_CANCELLED);
		pulse_future_put(f[i]);
	}
	KT_EQ(pulse_pool_spawn(pool, &w, &f[0]), PULSE_EPOOL_SHUTDOWN);
	KT_EQ(t.errors, 10);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_grace_ends_destroy)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .shutdown_grace_ns = 20000000);
	struct pulse_pool *pool;
	struct pulse_work w;
	struct pulse_future *f, *g;
	int inside = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	w = WORK(until_cancelled, &inside, .timeout_ns = 200000000);
	KT_EQ(pulse_pool_spawn(pool, &w, &f), 0);
	w = WORK(gives, NULL);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside)));
	KT_EQ(pulse_pool_spawn(pool, &w, &g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	/* A handle outlives its pool. */
	KT_EQ(pulse_future_get(f, NULL), -ETIMEDOUT);
	KT_EQ(pulse_future_get(g, NULL), -ECANCELED);
	pulse_future_put(f);
	pulse_future_put(g);
}

KT_TEST(a_full_pool_says_so_and_tells_nobody)
{
	struct told t;
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .task_queue_size = 2, .on_complete = on_complete,
		   .hook_arg = &t);
	struct pulse_work w = WORK(gives, NULL);
	struct pulse_pool *pool;
	struct gate g;
	int in = 0, err;

	memset(&t, 0, sizeof(t));
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0 &&
		   gate_close(&g, pool));
	while (!(err = pulse_pool_spawn(pool, &w, NULL)) && in < 100)
		in++;
	KT_EQ(err, PULSE_EPOOL_FULL);
	KT_EQ(in, 2);
	KT_EQ(t.completed, 0);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(t.completed, 2);
}

/* U04 */
KT_TEST(spawn_survives_each_failing_allocation)
{
	struct told t;
	struct pulse_pool *pool = told_pool(1, &t, 0);
	struct pulse_work w = WORK(gives, NULL, .timeout_ns = 1000000000,
				   .flags = PULSE_WORK_CONTAIN);
	int failed = 0;

	KT_REQUIRE(pool);
	for (long i = 1; i < 100; i++) {
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			break;
		}
		KT_CHECK(err == -ENOMEM || err == 0);
		failed += err != 0;
	}
	pulse__alloc_fail_at(0);
	KT_CHECK(failed >= 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- inside tasks ------------------------------------------------------------- */

struct nest {
	struct pulse_pool *pool;
	long leaves;
	int depth;
};

static int nests(void *arg, void **value)
{
	struct nest *n = arg, kid = *n;
	struct pulse_work w = WORK(nests, &kid);

	(void)value;
	KT_CHECK(pulse_pool_current() == n->pool);
	if (!n->depth)
		return 0;
	kid.depth--;
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_pool_submit_wait(n->pool, &w, PULSE_FOREVER, NULL),
		      0);
	return 0;
}

/* One worker, and each task waits for others: it runs them itself. */
KT_TEST(a_task_that_waits_for_tasks_runs_them)
{
	for (uint32_t workers = 1; workers <= 3; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);
		struct nest n = { .pool = pool, .depth = 7 };
		struct pulse_work w = WORK(nests, &n);

		KT_REQUIRE(pool);
		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(stats_of(pool).completed, 255);
		KT_EQ(pulse_pool_active_workers(pool), 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

static int waits_beneath(void *arg, void **value)
{
	struct pulse_work w = WORK(exits_its_thread, NULL);

	(void)value;
	/* Runs it in this very thread, which does not come back. */
	pulse_pool_submit_wait(arg, &w, PULSE_FOREVER, NULL);
	return 0;
}

KT_TEST(tasks_beneath_one_that_ends_its_thread_are_counted)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w = WORK(waits_beneath, pool);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      PULSE_ETASK_LOST);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).completed, 20);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- draining ------------------------------------------------------------------ */

static void *cancels_soon(void *arg)
{
	nap_us(20000);
	pulse_token_cancel(arg, -EINTR);
	return NULL;
}

KT_TEST(waiting_for_the_drain_ends_by_drain_time_or_token)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_token *token;
	pthread_t t;
	struct gate g;

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	KT_EQ(pulse_pool_wait_for_drain(NULL, NULL, 1), -EINVAL);
	KT_EQ(pulse_pool_wait_for_drain(pool, NULL, -1), -EINVAL);
	KT_EQ(pulse_pool_wait_for_drain(pool, NULL, PULSE_FOREVER), 0);
	KT_REQUIRE(gate_close(&g, pool));
	KT_EQ(pulse_pool_wait_for_drain(pool, token,
					pulse_now_ns() + 10000000), -ETIMEDOUT);
	KT_REQUIRE(!pthread_create(&t, NULL, cancels_soon, token));
	KT_EQ(pulse_pool_wait_for_drain(pool, token, PULSE_FOREVER), -EINTR);
	pthread_join(t, NULL);
	KT_EQ(pulse_pool_wait_for_drain(pool, token, PULSE_FOREVER), -EINTR);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait_for_drain(pool, NULL, PULSE_FOREVER), 0);
	KT_EQ(stats_of(pool).completed, stats_of(pool).submitted);
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Cancelling from another thread as tasks begin and end. */
struct racer {
	struct pulse_future *f;
	pthread_barrier_t *go;
};

static void *racer_main(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->go);
	pulse_future_cancel(r->f, 0);
	pulse_future_put(r->f);
	return NULL;
}

KT_TEST(each_end_is_told_once_whoever_wins)
{
	struct told t;
	struct pulse_pool *pool = told_pool(2, &t, 0);
	long n = kt_scale(1000);

	KT_REQUIRE(pool);
	for (long i = 0; i < n; i++) {
		struct pulse_work w = WORK(gives, NULL);
		pthread_barrier_t go;
		struct racer r = { .go = &go };
		pthread_t th;

		pthread_barrier_init(&go, NULL, 2);
		KT_EQ(pulse_pool_spawn(pool, &w, &r.f), 0);
		KT_REQUIRE(!pthread_create(&th, NULL, racer_main, &r));
		pthread_barrier_wait(&go);
		pthread_join(th, NULL);
		pthread_barrier_destroy(&go);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.completed, n);
	KT_EQ(metrics_of(pool).work_done + metrics_of(pool).work_cancelled, n);
	KT_EQ(t.errors, metrics_of(pool).work_cancelled);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool as an executor (the contract holds for the inline one too), and
 * steering by expected run times.
 */
#include <pulse-u/executor.h>
#include <pulse-u/task.h>

#include "helpers.h"
#include "pool/predict.h"

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* ---- executors ---------------------------------------------------------------- */

/* U01 */
KT_TEST(no_executor_is_refused)
{
	struct pulse_executor none = pulse_pool_executor(NULL);
	struct pulse_executor in = pulse_executor_inline();
	struct pulse_future *f = (void *)1;

	for (int i = 0; i < 2; i++) {
		const struct pulse_executor *ex = i ? &none : NULL;

		KT_EQ(pulse_executor_submit(ex, nothing_task, NULL), -EINVAL);
		KT_EQ(pulse_executor_submit_on(ex, nothing_task, NULL, 0),
		      -EINVAL);
		KT_EQ(pulse_executor_call(ex, NULL, NULL, NULL, &f), -EINVAL);
		KT_CHECK(!f);
		KT_EQ(pulse_executor_resize(ex, 1), -EINVAL);
		KT_EQ(pulse_executor_num_workers(ex), -EINVAL);
		KT_EQ(pulse_executor_pending(ex), -EINVAL);
		KT_EQ(pulse_executor_drain(ex, 1), -EINVAL);
		KT_EQ(pulse_executor_shutdown(ex, 1), -EINVAL);
		KT_CHECK(!pulse_executor_submitter(ex).submit);
	}
	KT_EQ(pulse_executor_submit(&in, NULL, NULL), -EINVAL);
	KT_EQ(pulse_executor_submit_on(&in, nothing_task, NULL, -2), -EINVAL);
	KT_EQ(pulse_executor_resize(&in, 0), -EINVAL);
	KT_EQ(pulse_executor_resize(&in, 2), -EOPNOTSUPP);
	KT_EQ(pulse_executor_drain(&in, -1), -EINVAL);
	KT_EQ(pulse_executor_shutdown(&in, -1), -EINVAL);
}

static int adds_one(void *arg, void **value)
{
	*value = (char *)arg + 1;
	return 0;
}

static int refuses(void *arg, void **value)
{
	(void)value;
	return -(int)(intptr_t)arg;
}

static int then_adds(const struct pulse_result *in, void *arg, void **value)
{
	*value = (char *)in->value + (intptr_t)arg;
	return 0;
}

static void contract(const struct pulse_executor *ex)
{
	struct pulse_then_opts on = { .sz = sizeof(on) };
	struct pulse_future *f, *g;
	void *value;
	long n = 0;
	int failed = 0;

	for (int i = 0; i < 200; i++)
		KT_EQ(pulse_executor_submit_on(ex, count_task, &n, i % 3 - 1),
		      0);
	KT_EQ(pulse_executor_drain(ex, PULSE_FOREVER), 0);
	KT_EQ(n, 200);
	KT_EQ(pulse_executor_pending(ex), 0);
	KT_CHECK(pulse_executor_num_workers(ex) >= 1);
	KT_EQ(pulse_executor_call(ex, adds_one, (void *)5, NULL, &f), 0);
	on.on = pulse_executor_submitter(ex);
	KT_EQ(pulse_future_then(f, then_adds, (void *)10, &on, &g), 0);
	KT_EQ(pulse_future_get(g, &value), 0);
	KT_EQ((intptr_t)value, 16);
	pulse_future_put(f);
	pulse_future_put(g);
	KT_EQ(pulse_executor_call(ex, refuses, (void *)EIO, NULL, &f), 0);
	KT_EQ(pulse_future_get(f, NULL), -EIO);
	pulse_future_put(f);
	KT_EQ(pulse_executor_call(ex, refuses, (void *)-1, NULL, &f), 0);
	KT_EQ(pulse_future_get(f, NULL), -EINVAL);
	pulse_future_put(f);
	KT_EQ(pulse_executor_call(ex, NULL, NULL, NULL, &f), -EINVAL);
	KT_EQ(pulse_executor_call(ex, adds_one, NULL, NULL, NULL), -EINVAL);
	/* U04 */
	for (long i = 1; i < 10; i++) {
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_executor_call(ex, adds_one, NULL, NULL, &f);
		KT_CHECK(err == (pulse__alloc_failed() ? -ENOMEM : 0));
		pulse__alloc_fail_at(0);
		failed += err != 0;
		pulse_future_put(f);
	}
	KT_CHECK(failed >= 2);
	KT_EQ(pulse_executor_shutdown(ex, PULSE_FOREVER), 0);
	KT_EQ(pulse_executor_shutdown(ex, PULSE_FOREVER), 0);
}

static void one_more(void *arg, int worker)
{
	(void)worker;
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
}

KT_TEST(the_contract_holds_for_pools_and_inline)
{
	int up = 0;
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 4,
		   .on_worker_start = one_more, .hook_arg = &up);
	struct pulse_executor ex = pulse_executor_inline();
	struct pulse_future *f;
	struct pulse_pool *pool;

	contract(&ex);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	ex = pulse_pool_executor(pool);
	KT_EQ(pulse_executor_resize(&ex, 4), 0);
	KT_EQ(pulse_executor_num_workers(&ex), 4);
	/* Who starts allocates too, and would take a failure meant for a call. */
	KT_CHECK(EVENTUALLY(READ_ONCE(up) == 4));
	KT_EQ(pulse_executor_resize(&ex, 5), -ERANGE);
	KT_EQ(pulse_executor_resize(&ex, 1), 0);
	contract(&ex);
	KT_EQ(pulse_executor_submit(&ex, nothing_task, NULL), -ESHUTDOWN);
	KT_EQ(pulse_executor_call(&ex, adds_one, NULL, NULL, &f), -ESHUTDOWN);
	KT_CHECK(!f);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_pools_shutdown_says_what_it_dropped)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_executor ex = pulse_pool_executor(pool);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	KT_EQ(pulse_executor_submit(&ex, count_task, &n), 0);
	KT_EQ(pulse_executor_pending(&ex), 1);
	KT_EQ(pulse_executor_drain(&ex, pulse_now_ns() + 1000000), -ETIMEDOUT);
	KT_EQ(pulse_executor_shutdown(&ex, 1000000), -ETIMEDOUT);
	gate_open(&g, pool);
	KT_EQ(pulse_executor_shutdown(&ex, PULSE_FOREVER), -ETIMEDOUT);
	KT_EQ(n, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- steering ------------------------------------------------------------------ */

static struct pulse_pool *learning(uint32_t workers)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .enable_predictive = PULSE_ON);
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

static uint64_t predicted(struct pulse_pool *pool, unsigned int type)
{
	uint64_t ns = 0;

	KT_CHECK(pulse_pool_predicted(pool, type, &ns) >= 0);
	return ns;
}

/* U01 */
KT_TEST(bad_arguments_are_refused)
{
	struct pulse_pool *pool = learning(1), *plain = pool_of(1, 0);
	uint64_t ns;
	long n = 0;

	KT_REQUIRE(pool && plain);
	KT_EQ(pulse_pool_run_or_submit(NULL, 0, nothing_task, NULL), -EINVAL);
	KT_EQ(pulse_pool_run_or_submit(pool, 0, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_run_or_submit(pool, PULSE_TASK_TYPES, nothing_task,
				       NULL), -EINVAL);
	KT_EQ(pulse_pool_predicted(NULL, 0, &ns), -EINVAL);
	KT_EQ(pulse_pool_predicted(pool, 0, NULL), -EINVAL);
	KT_EQ(pulse_pool_predicted(pool, PULSE_TASK_TYPES, &ns), -EINVAL);
	KT_EQ(pulse_pool_predicted(plain, 0, &ns), -EOPNOTSUPP);
	KT_EQ(pulse_pool_predicted(pool, 0, &ns), 0);
	/* A pool that does not learn submits. */
	KT_EQ(pulse_pool_run_or_submit(plain, 0, count_task, &n),
	      PULSE_STEERED_LOCAL);
	KT_EQ(pulse_pool_wait(plain), 0);
	KT_EQ(n, 1);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), 0);
	KT_EQ(pulse_pool_run_or_submit(pool, 0, count_task, &n), -ESHUTDOWN);
	KT_EQ(pulse_pool_destroy(plain), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(the_estimate_smooths_noise_and_follows_a_change)
{
	struct pulse_pool *pool = learning(1);
	unsigned int seed = 1;
	int after = 0;

	KT_REQUIRE(pool);
	/* 1000 ns, now and then three times as much. */
	for (int i = 0; i < 500; i++) {
		seed = seed * 1103515245 + 12345;
		pulse__predict_sample(pool, 7, seed >> 16 & 7 ? 1000 : 3000);
	}
	KT_CHECKF(predicted(pool, 7) > 800 && predicted(pool, 7) < 2000,
		  "%llu", (unsigned long long)predicted(pool, 7));
	/* A hundred times as long from now on. */
	while (predicted(pool, 7) < 80000 && after < 1000) {
		pulse__predict_sample(pool, 7, 100000);
		after++;
	}
	KT_CHECKF(after <= 10, "followed after %d", after);
	KT_EQ(predicted(pool, 8), 0);		/* each kind for itself */
	/* Extremes. */
	for (int i = 0; i < 100; i++)
		pulse__predict_sample(pool, 9, i & 1 ? 0 : UINT64_MAX);
	for (int i = 0; i < 200; i++)
		pulse__predict_sample(pool, 9, 50000);
	KT_CHECKF(predicted(pool, 9) > 45000 && predicted(pool, 9) < 55000,
		  "%llu", (unsigned long long)predicted(pool, 9));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(kinds_are_steered_by_what_is_known_of_them)
{
	struct pulse_pool *pool = learning(2);
	int in[4] = { 0 };
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 100; i++) {
		pulse__predict_sample(pool, 1, 100);
		pulse__predict_sample(pool, 2, 20000);
		pulse__predict_sample(pool, 3, 5000000);
	}
	for (int i = 0; i < 5; i++)
		in[0] += pulse_pool_run_or_submit(pool, 0, count_task, &n) ==
			 PULSE_STEERED_LOCAL;	/* nothing is known */
	KT_EQ(in[0], 5);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 5);
	KT_CHECK(pulse_pool_run_or_submit(pool, 1, count_task, &n) ==
		 PULSE_STEERED_INLINE);
	KT_EQ(n, 6);		/* before it came back */
	KT_CHECK(pulse_pool_run_or_submit(pool, 2, count_task, &n) ==
		 PULSE_STEERED_LOCAL);
	KT_CHECK(pulse_pool_run_or_submit(pool, 3, count_task, &n) ==
		 PULSE_STEERED_REMOTE);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 8);
	/* Inline ones are submitted now and then, and all of them run. */
	for (int i = 0; i < 4; i++)
		in[i] = 0;
	for (int i = 0; i < 500; i++) {
		int how = pulse_pool_run_or_submit(pool, 1, count_task, &n);

		KT_CHECK(how > 0);
		if (how > 0 && how < 4)
			in[how]++;
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 508);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void naps(void *arg)
{
	(void)arg;
	nap_us(1000);
}

static void long_ones_from_inside(void *arg)
{
	struct pulse_pool *pool = pulse_pool_current();

	/* Past the own deque: nobody may steal here, and yet others get it. */
	KT_EQ(pulse_pool_run_or_submit(pool, 3, gate_task, arg),
	      PULSE_STEERED_REMOTE);
	sem_wait_all(&((struct gate *)arg)->inside, 1);
	sem_post(&((struct gate *)arg)->open);
}

KT_TEST(run_times_are_learnt_and_long_ones_are_shared)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .enable_work_stealing = PULSE_OFF,
		   .enable_predictive = PULSE_ON);
	struct pulse_pool *pool;
	struct gate g;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 20; i++)
		KT_CHECK(pulse_pool_run_or_submit(pool, 3, naps, NULL) > 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(predicted(pool, 3) > 900000);
	gate_init(&g);
	KT_EQ(pulse_pool_submit(pool, long_ones_from_inside, &g), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static long dropped;

static void on_cancel(void *arg, pulse_task_fn fn, void *data)
{
	(void)arg;
	KT_CHECK(fn == count_task && data);
	dropped++;
}

KT_TEST(a_stopped_pool_names_the_tasks_themselves)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .enable_predictive = PULSE_ON, .on_cancel = on_cancel);
	struct pulse_pool *pool;
	struct gate g;
	long n = 0;

	dropped = 0;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0 &&
		   gate_close(&g, pool));
	for (int i = 0; i < 5; i++)
		KT_CHECK(pulse_pool_run_or_submit(pool, 0, count_task, &n) > 0);
	/* U04: without memory it goes in all the same, and is not timed. */
	pulse__alloc_fail_at(1);
	KT_CHECK(pulse_pool_run_or_submit(pool, 0, count_task, &n) > 0);
	KT_CHECK(pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_pool_stop(pool), 6);
	KT_EQ(dropped, 6);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

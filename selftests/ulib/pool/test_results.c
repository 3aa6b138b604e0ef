// SPDX-License-Identifier: GPL-2.0-only
/* Many at once: batches and their stream of results, parallel calls, map. */
#include <sched.h>

#include <pulse-u/task.h>

#include "helpers.h"

#define WORK(f, a, ...)							\
	((struct pulse_work){ .sz = sizeof(struct pulse_work), .fn = (f), \
			      .arg = (a), __VA_ARGS__ })

static int gives(void *arg, void **value)
{
	*value = arg;
	return 0;
}

static int opens(void *arg, void **value)
{
	gate_task(arg);
	*value = arg;
	return 0;
}

static int refuses(void *arg, void **value)
{
	(void)value;
	return -(int)(intptr_t)arg;
}

static int until_cancelled(void *arg, void **value)
{
	(void)value;
	ATOMIC_INC(*(int *)arg);
	while (!pulse_task_cancelled())
		nap_us(200);
	return pulse_task_cancelled();
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w[2] = { WORK(gives, NULL), WORK(gives, NULL) };
	const pulse_work_fn fns[1] = { gives };
	struct pulse_results *r = (void *)1;
	struct pulse_map map = { .sz = sizeof(map) };
	struct pulse_result one;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_spawn_batch(NULL, w, 2, &r), -EINVAL);
	KT_CHECK(!r);
	KT_EQ(pulse_pool_spawn_batch(pool, NULL, 2, &r), -EINVAL);
	KT_EQ(pulse_pool_spawn_batch(pool, w, 0, &r), -EINVAL);
	KT_EQ(pulse_pool_spawn_batch(pool, w, 2, NULL), -EINVAL);
	KT_EQ(pulse_pool_spawn_batch(pool, w, SIZE_MAX / 2, &r), -EINVAL);
	KT_EQ(pulse_pool_batch_wait(pool, w, 2, -1, NULL), -EINVAL);
	KT_EQ(pulse_pool_batch_wait(NULL, w, 2, 1, NULL), -EINVAL);
	KT_EQ(pulse_results_next(NULL, 0, &one, NULL), -EINVAL);
	KT_EQ(pulse_results_wait(NULL, 0, NULL), -EINVAL);
	KT_EQ(pulse_results_cancel(NULL, 0), -EINVAL);
	KT_EQ(pulse_results_destroy(NULL), -EINVAL);
	KT_EQ(pulse_pool_parallel(NULL, fns, NULL, 1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_parallel(pool, NULL, NULL, 1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_parallel(pool, fns, NULL, 0, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_map(NULL, &map), -EINVAL);
	KT_EQ(pulse_pool_map(pool, NULL), -EINVAL);
	KT_EQ(pulse_pool_map(pool, &map), -EINVAL);
	map.sz = 0;
	KT_EQ(pulse_pool_map(pool, &map), -EINVAL);
	w[1].sz = sizeof(w[0]) - 8;
	KT_EQ(pulse_pool_spawn_batch(pool, w, 2, &r), -EINVAL);
	KT_CHECK(!r);
	w[1] = WORK(NULL, NULL);
	KT_EQ(pulse_pool_spawn_batch(pool, w, 2, &r), -EINVAL);
	KT_EQ(pulse_pool_spawn_batch(pool, &w[0], 1, &r), 0);
	KT_EQ(pulse_results_next(r, -1, &one, NULL), -EINVAL);
	KT_EQ(pulse_results_next(r, 0, NULL, NULL), -EINVAL);
	KT_EQ(pulse_results_wait(r, -1, NULL), -EINVAL);
	KT_EQ(pulse_results_cancel(r, 1), -EINVAL);
	KT_EQ(pulse_results_destroy(r), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(results_come_in_the_order_of_their_ends)
{
	struct pulse_pool *pool = pool_of(3, 0);
	struct pulse_results *r;
	struct pulse_result one;
	struct pulse_work w[3];
	struct gate g[3];
	size_t index;

	KT_REQUIRE(pool);
	for (int i = 0; i < 3; i++) {
		gate_init(&g[i]);
		w[i] = WORK(opens, &g[i], .task_id = 100 + (uint64_t)i);
	}
	KT_EQ(pulse_pool_spawn_batch(pool, w, 3, &r), 0);
	KT_EQ(pulse_results_next(r, 0, &one, NULL), -ETIMEDOUT);
	KT_EQ(pulse_results_next(r, pulse_now_ns() + 1000000, &one, NULL),
	      -ETIMEDOUT);
	for (int i = 2; i >= 0; i--) {
		sem_post(&g[i].open);
		KT_EQ(pulse_results_next(r, PULSE_FOREVER, &one, &index), 0);
		KT_EQ(index, i);
		KT_EQ(one.task_id, 100 + i);
		KT_CHECK(one.value == &g[i]);
	}
	KT_EQ(pulse_results_next(r, PULSE_FOREVER, &one, NULL), -ENODATA);
	KT_EQ(pulse_results_wait(r, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_results_destroy(r), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int freed;

static void count_free(void *value)
{
	KT_CHECK((intptr_t)value > 0);
	ATOMIC_INC(freed);
}

KT_TEST(waiting_for_all_gives_them_in_the_order_of_the_tasks)
{
	enum { NR = 200 };
	struct pulse_pool *pool = pool_of(3, 0);
	static struct pulse_result out[NR];
	static struct pulse_work w[NR];
	struct pulse_results *r;
	long sum = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < NR; i++)
		w[i] = WORK(i == 50 || i == 60 ? refuses : gives,
			    (void *)(intptr_t)(i + 1),
			    .value_free = count_free,
			    .task_id = (uint64_t)i);
	freed = 0;
	KT_EQ(pulse_pool_spawn_batch(pool, w, NR, &r), 0);
	KT_EQ(pulse_results_wait(r, PULSE_FOREVER, out), -51);
	for (int i = 0; i < NR; i++) {
		KT_EQ(out[i].task_id, i);
		sum += out[i].err ? -out[i].err : (intptr_t)out[i].value;
	}
	KT_EQ(sum, NR * (NR + 1) / 2);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(freed, 0);	/* they live with the results */
	KT_EQ(pulse_results_destroy(r), 0);
	KT_EQ(freed, NR - 2);
	/* In one call the values are the caller's. */
	freed = 0;
	KT_EQ(pulse_pool_batch_wait(pool, w, NR, PULSE_FOREVER, out), -51);
	KT_EQ((intptr_t)out[NR - 1].value, NR);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(freed, 0);
	KT_EQ(pulse_pool_batch_wait(pool, w, NR, PULSE_FOREVER, NULL), -51);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(freed, NR - 2);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(who_gives_up_cancels_the_batch)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w[4];
	int inside = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 4; i++)
		w[i] = WORK(until_cancelled, &inside);
	KT_EQ(pulse_pool_batch_wait(pool, w, 4, pulse_now_ns() + 20000000,
				    NULL), -ETIMEDOUT);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(inside <= 1);		/* the others did not begin */
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_batch_that_does_not_fit_is_taken_back)
{
	struct pulse_pool *pool = pool_of(1, 4);
	struct pulse_work w[10];
	struct pulse_results *r;
	struct gate g;
	int ran = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	for (int i = 0; i < 10; i++)
		w[i] = WORK(until_cancelled, &ran);
	KT_EQ(pulse_pool_spawn_batch(pool, w, 10, &r), -EAGAIN);
	KT_CHECK(!r);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(ran, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(results_may_be_destroyed_while_tasks_run)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_results *r;
	struct pulse_work w[2];
	struct gate g;

	KT_REQUIRE(pool);
	gate_init(&g);
	w[0] = w[1] = WORK(opens, &g);
	KT_EQ(pulse_pool_spawn_batch(pool, w, 2, &r), 0);
	sem_wait_all(&g.inside, 2);
	KT_EQ(pulse_results_cancel(r, 0), 2);
	KT_EQ(pulse_results_destroy(r), 0);
	sem_post(&g.open);
	sem_post(&g.open);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(parallel_calls_and_the_first_error)
{
	struct pulse_pool *pool = pool_of(2, 0);
	const pulse_work_fn good[3] = { gives, gives, gives };
	const pulse_work_fn bad[3] = { until_cancelled, refuses, until_cancelled };
	void *const args[3] = { (void *)1, (void *)2, (void *)3 };
	int inside = 0;
	void *const bad_args[3] = { &inside, (void *)EIO, &inside };
	struct pulse_result out[3];
	struct pulse_token *token;

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	KT_EQ(pulse_pool_parallel(pool, good, args, 3, NULL, out), 0);
	for (int i = 0; i < 3; i++)
		KT_CHECK(out[i].value == args[i] && !out[i].err);
	KT_EQ(pulse_pool_parallel(pool, good, NULL, 3, token, out), 0);
	KT_CHECK(!out[2].value);
	KT_EQ(pulse_pool_parallel(pool, bad, bad_args, 3, token, out), -EIO);
	KT_EQ(out[0].err, -ECANCELED);
	KT_EQ(out[1].err, -EIO);
	KT_EQ(out[2].err, -ECANCELED);
	pulse_token_cancel(token, -EINTR);
	KT_EQ(pulse_pool_parallel(pool, good, NULL, 3, token, out), -EINTR);
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- map ---------------------------------------------------------------------- */

struct crowd {
	long now, most, calls;
	int fail_at;
};

static int doubles(const void *item, void *out, void *arg)
{
	struct crowd *c = arg;
	long now = ATOMIC_INC(c->now) + 1, most = ATOMIC_GET(c->most);
	int in = *(const int *)item;

	while (now > most &&
	       !__atomic_compare_exchange_n(&c->most, &most, now, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	ATOMIC_INC(c->calls);
	if (in % 16 == 0)
		nap_us(200);
	if (out)
		*(int *)out = 2 * in;
	__atomic_fetch_sub(&c->now, 1, __ATOMIC_SEQ_CST);
	return c->fail_at && in == c->fail_at ? -EDOM : 0;
}

static void map_of(struct pulse_pool *pool, size_t nr, size_t limit)
{
	struct crowd c = { .now = 0 };
	int *in = calloc(nr + 1, sizeof(*in)), *out = calloc(nr + 1, sizeof(*out));
	struct pulse_map map = {
		.sz = sizeof(map), .items = in, .item_bytes = sizeof(*in),
		.nr = nr, .out = out, .out_bytes = sizeof(*out),
		.limit = limit, .fn = doubles, .arg = &c,
	};

	KT_REQUIRE(in && out);
	for (size_t i = 0; i < nr; i++)
		in[i] = (int)i + 1;
	KT_EQ(pulse_pool_map(pool, &map), 0);
	KT_EQ(c.calls, nr);
	KT_EQ(c.now, 0);
	if (limit)
		KT_CHECKF(c.most <= (long)limit, "%ld at a time", c.most);
	for (size_t i = 0; i < nr; i++)
		KT_EQ(out[i], 2 * in[i]);
	/* Without places for outcomes. */
	map.out = NULL;
	KT_EQ(pulse_pool_map(pool, &map), 0);
	KT_EQ(c.calls, 2 * nr);
	free(in);
	free(out);
}

KT_TEST(map_does_each_item_once_and_no_more_than_so_many_at_a_time)
{
	struct pulse_pool *pool = pool_of(4, 0);

	KT_REQUIRE(pool);
	map_of(pool, 0, 3);
	map_of(pool, 1, 3);
	map_of(pool, 500, 1);
	map_of(pool, 500, 2);
	map_of(pool, 500, 3);
	map_of(pool, 500, 0);
	map_of(pool, 3, 100);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int maps_inside(void *arg, void **value)
{
	(void)value;
	map_of(arg, 100, 2);
	return 0;
}

KT_TEST(map_inside_a_task_works_with_one_worker_too)
{
	for (uint32_t n = 1; n <= 3; n++) {
		struct pulse_pool *pool = pool_of(n, 0);
		struct pulse_work w[3];

		KT_REQUIRE(pool);
		for (int i = 0; i < 3; i++)
			w[i] = WORK(maps_inside, pool);
		KT_EQ(pulse_pool_batch_wait(pool, w, 3, PULSE_FOREVER, NULL),
		      0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

KT_TEST(map_stops_at_the_first_error)
{
	enum { NR = 10000 };
	struct pulse_pool *pool = pool_of(2, 0);
	struct crowd c = { .fail_at = 10 };
	static int in[NR];
	struct pulse_map map = {
		.sz = sizeof(map), .items = in, .item_bytes = sizeof(*in),
		.nr = NR, .fn = doubles, .arg = &c,
	};
	struct pulse_token *token;

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	for (int i = 0; i < NR; i++)
		in[i] = i + 1;
	KT_EQ(pulse_pool_map(pool, &map), -EDOM);
	KT_CHECK(c.calls >= 10 && c.calls < NR);
	map.token = token;
	pulse_token_cancel(token, -EINTR);
	KT_EQ(pulse_pool_map(pool, &map), -EINTR);
	map.token = NULL;
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), 0);
	KT_EQ(pulse_pool_map(pool, &map), -ESHUTDOWN);
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* U04 */
KT_TEST(each_failing_allocation_unwinds)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_work w[4];
	const pulse_work_fn fns[3] = { gives, gives, gives };
	int failed = 0, maps = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 4; i++)
		w[i] = WORK(gives, (void *)1);
	for (long i = 1; i < 20; i++) {
		struct crowd c = { .now = 0 };
		int in[4] = { 1, 2, 3, 4 };
		struct pulse_map map = {
			.sz = sizeof(map), .items = in,
			.item_bytes = sizeof(*in), .nr = 4, .fn = doubles,
			.arg = &c,
		};
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_pool_batch_wait(pool, w, 4, PULSE_FOREVER, NULL);
		/* A worker may have had the failure, and have done without. */
		KT_CHECK(!err || (err == -ENOMEM && pulse__alloc_failed()));
		failed += err != 0;
		pulse__alloc_fail_at(i);
		err = pulse_pool_parallel(pool, fns, NULL, 3, NULL, NULL);
		KT_CHECK(!err || (err == -ENOMEM && pulse__alloc_failed()));
		failed += err != 0;
		pulse__alloc_fail_at(i);
		err = pulse_pool_map(pool, &map);
		KT_CHECK(!err || (err == -ENOMEM && pulse__alloc_failed()));
		/* One that works is enough. */
		maps += err != 0;
		if (!err)
			KT_EQ(c.calls, 4);
		failed += err != 0;
		pulse__alloc_fail_at(0);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_CHECK(failed > 8);
	KT_CHECK(maps < 10);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

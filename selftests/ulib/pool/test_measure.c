// SPDX-License-Identifier: GPL-2.0-only
/* Latencies, metrics, custom statistics, tracing, live controls. */
#include <pulse-u/pool_stats.h>
#include <pulse-u/task.h>

#include "helpers.h"

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct pulse_histogram_summary h = { .sz = sizeof(h) };
	struct pulse_pool_metrics m = { .sz = sizeof(m) };
	struct pulse_pool_knobs k = { .sz = sizeof(k) };
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_histogram *into;
	uint64_t v;

	KT_REQUIRE(pool && !pulse_histogram_create(NULL, &into));
	KT_EQ(pulse_pool_latency(NULL, 0, &h), -EINVAL);
	KT_EQ(pulse_pool_latency(pool, 0, NULL), -EINVAL);
	KT_EQ(pulse_pool_latency(pool, -1, &h), -EINVAL);
	KT_EQ(pulse_pool_latency(pool, 3, &h), -EINVAL);
	KT_EQ(pulse_pool_latency(pool, 0, &h), -EOPNOTSUPP);
	KT_EQ(pulse_pool_latency_histogram(pool, 0, NULL), -EINVAL);
	KT_EQ(pulse_pool_latency_histogram(pool, 0, into), -EOPNOTSUPP);
	KT_EQ(pulse_pool_metrics(NULL, &m), -EINVAL);
	KT_EQ(pulse_pool_metrics(pool, NULL), -EINVAL);
	m.sz = 8;
	KT_EQ(pulse_pool_metrics(pool, &m), -EINVAL);
	KT_EQ(pulse_pool_custom_define(NULL, "a"), -EINVAL);
	KT_EQ(pulse_pool_custom_define(pool, NULL), -EINVAL);
	KT_EQ(pulse_pool_custom_define(pool, ""), -EINVAL);
	KT_EQ(pulse_pool_custom_define(pool,
				       "a name that is longer than what fits"),
	      -ENAMETOOLONG);
	KT_EQ(pulse_pool_custom_read(NULL, 0, &v, NULL), -EINVAL);
	KT_EQ(pulse_pool_custom_read(pool, 0, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_custom_read(pool, 0, &v, NULL), -ENOENT);
	pulse_pool_custom_add(NULL, 0, 1);
	pulse_pool_custom_add(pool, 0, 1);
	KT_EQ(pulse_pool_set_heartbeat(NULL, 0), -EINVAL);
	KT_EQ(pulse_pool_set_heartbeat(pool, 19), -EINVAL);
	KT_EQ(pulse_pool_set_heartbeat(pool, 60000001), -EINVAL);
	KT_EQ(pulse_pool_set_promotion(NULL, 1, 1), -EINVAL);
	KT_EQ(pulse_pool_force_promotion(NULL, 1), -EINVAL);
	KT_EQ(pulse_pool_force_promotion(pool, 2), -EINVAL);
	KT_EQ(pulse_pool_knobs(NULL, &k), -EINVAL);
	KT_EQ(pulse_pool_knobs(pool, NULL), -EINVAL);
	pulse_histogram_destroy(into);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void sleeps(void *arg)
{
	(void)arg;
	nap_us(2000);
}

KT_TEST(latencies_count_each_task_and_its_time)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .enable_latency = PULSE_ON);
	struct pulse_histogram_summary q = { .sz = sizeof(q) }, r = q, t = q;
	struct pulse_pool_metrics m = { .sz = sizeof(m) };
	struct pulse_histogram *into;
	struct pulse_pool *pool;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_TOTAL, &t), 0);
	KT_EQ(t.count, 100);
	for (int i = 0; i < 20; i++)
		KT_EQ(pulse_pool_submit(pool, sleeps, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_RUN, &r), 0);
	KT_EQ(r.count, 120);
	KT_CHECK(r.max >= 2000000 && r.p99 >= 1900000);
	KT_CHECK(r.p50 < r.p99);
	/* One that waits at least as long as the gate is closed. */
	KT_REQUIRE(gate_close(&g, pool));
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	nap_us(5000);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_QUEUE, &q), 0);
	KT_EQ(q.count, 123);
	KT_CHECK(q.max >= 5000000);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_TOTAL, &t), 0);
	KT_CHECK(t.max >= q.max);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_RUN, &r), 0);
	KT_EQ(t.sum, r.sum + q.sum);
	KT_EQ(pulse_pool_metrics(pool, &m), 0);
	KT_EQ(m.completed, 123);
	KT_EQ(m.average_ns, t.mean);
	KT_EQ(m.p50_ns, t.p50);
	KT_EQ(m.p95_ns, t.p95);
	KT_EQ(m.p99_ns, t.p99);
	KT_REQUIRE(!pulse_histogram_create(NULL, &into));
	KT_EQ(pulse_pool_latency_histogram(pool, PULSE_LATENCY_RUN, into), 0);
	KT_EQ(pulse_pool_latency_histogram(pool, PULSE_LATENCY_RUN, into), 0);
	KT_EQ(pulse_histogram_summary(into, &r), 0);
	KT_EQ(r.count, 246);
	pulse_histogram_destroy(into);
	/* U04 */
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_pool_latency(pool, PULSE_LATENCY_RUN, &r), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void submits_in_turn(void *arg)
{
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pulse_pool_current(), count_task, arg),
		      0);
}

/* The time of the submit shares a word with the epoch: waits stay right. */
KT_TEST(waits_are_right_while_latencies_are_measured)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3,
		   .enable_latency = PULSE_ON);
	struct pulse_pool *pool;
	long n = 0, rounds = kt_scale(500);

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (long i = 1; i <= rounds; i++) {
		struct pulse_task batch[3];

		for (int k = 0; k < 3; k++)
			batch[k] = (struct pulse_task){ .sz = sizeof(*batch),
				.fn = submits_in_turn, .data = &n,
				.priority = k - 1 };
		KT_EQ(pulse_pool_submit_batch(pool, batch, 3), 3);
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(n, 30 * i);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int custom_id;

static void counts(void *arg)
{
	pulse_pool_custom_add(arg, custom_id, 3);
}

KT_TEST(statistics_of_ones_own)
{
	struct pulse_pool *pool = pool_of(4, 0);
	const char *name;
	uint64_t v;
	char text[16];

	KT_REQUIRE(pool);
	/* U04 */
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_pool_custom_define(pool, "rows"), -ENOMEM);
	pulse__alloc_fail_at(0);
	custom_id = pulse_pool_custom_define(pool, "rows");
	KT_EQ(custom_id, 0);
	KT_EQ(pulse_pool_custom_define(pool, "bytes"), 1);
	KT_EQ(pulse_pool_custom_define(pool, "rows"), 0);
	for (int i = 0; i < 1000; i++)
		while (pulse_pool_submit(pool, counts, pool) == -EAGAIN)
			nap_us(100);
	pulse_pool_custom_add(pool, 1, 5);
	pulse_pool_custom_add(pool, 2, 5);
	pulse_pool_custom_add(pool, -1, 5);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_custom_read(pool, 0, &v, &name), 0);
	KT_EQ(v, 3000);
	KT_STREQ(name, "rows");
	KT_EQ(pulse_pool_custom_read(pool, 1, &v, &name), 0);
	KT_EQ(v, 5);
	KT_EQ(pulse_pool_custom_read(pool, 2, &v, NULL), -ENOENT);
	KT_EQ(pulse_pool_custom_read(pool, -1, &v, NULL), -ENOENT);
	for (int i = 2; i < PULSE_POOL_CUSTOM_MAX; i++) {
		snprintf(text, sizeof(text), "s%d", i);
		KT_EQ(pulse_pool_custom_define(pool, text), i);
	}
	KT_EQ(pulse_pool_custom_define(pool, "one more"), -ENOSPC);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int begins, ends;

static void count_trace(int level, const char *line, void *arg)
{
	(void)arg;
	if (level != PULSE_LOG_DEBUG)
		return;
	if (strstr(line, "begins a task"))
		ATOMIC_INC(begins);
	if (strstr(line, "ends a task"))
		ATOMIC_INC(ends);
}

KT_TEST(tracing_says_each_begin_and_end)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .enable_trace = PULSE_ON);
	struct pulse_pool *pool;
	long n = 0;
	int level;

	pulse_log_set_sink(count_trace, NULL);
	level = pulse_log_set_level(PULSE_LOG_DEBUG);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 50; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(begins, 50);
	KT_EQ(ends, 50);
	pulse_log_set_level(level);
	pulse_log_set_sink(NULL, NULL);
}

KT_TEST(live_controls_begin_as_the_options_say_and_change)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .heartbeat_interval_us = 250, .promotion_threshold = 20,
		   .min_work_cycles = 5000);
	struct pulse_pool_knobs k = { .sz = sizeof(k) };
	struct pulse_pool *pool = pool_of(1, 0);

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_knobs(pool, &k), 0);
	KT_EQ(k.heartbeat_us, 100);
	KT_EQ(k.promotion_threshold, 10);
	KT_EQ(k.min_work_cycles, 1000);
	KT_EQ(k.force_promotion, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_knobs(pool, &k), 0);
	KT_EQ(k.heartbeat_us, 250);
	KT_EQ(k.promotion_threshold, 20);
	KT_EQ(k.min_work_cycles, 5000);
	KT_EQ(pulse_pool_set_heartbeat(pool, 1000), 0);
	KT_EQ(pulse_pool_set_promotion(pool, 7, 0), 0);
	KT_EQ(pulse_pool_force_promotion(pool, 1), 0);
	KT_EQ(pulse_pool_knobs(pool, &k), 0);
	KT_EQ(k.heartbeat_us, 1000);
	KT_EQ(k.promotion_threshold, 7);
	KT_EQ(k.min_work_cycles, 5000);
	KT_EQ(k.force_promotion, 1);
	KT_EQ(pulse_pool_set_heartbeat(pool, 0), 0);
	KT_EQ(pulse_pool_set_promotion(pool, 0, 1), 0);
	KT_EQ(pulse_pool_knobs(pool, &k), 0);
	KT_EQ(k.heartbeat_us, 0);
	KT_EQ(k.min_work_cycles, 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
	opts.enable_heartbeat = PULSE_OFF;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_knobs(pool, &k), 0);
	KT_EQ(k.heartbeat_us, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

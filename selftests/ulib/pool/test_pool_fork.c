// SPDX-License-Identifier: GPL-2.0-only
/*
 * U09: a child of a program with pools that do all they can gets -EOWNERDEAD
 * from each call, gives their memory back, and does not hang.
 */
#include "works.h"

static struct pulse_pool *inherited;
static struct pulse_results *results;

static int item(const void *in, void *out, void *arg)
{
	(void)in;
	(void)out;
	(void)arg;
	return 0;
}

static int each_call(void *arg)
{
	struct pulse_histogram_summary h = { .sz = sizeof(h) };
	struct pulse_pool_metrics m = { .sz = sizeof(m) };
	struct pulse_pool_knobs k = { .sz = sizeof(k) };
	struct pulse_map map = { .sz = sizeof(map), .nr = 1, .fn = item };
	struct pulse_executor ex = pulse_pool_executor(inherited);
	struct pulse_work w = WORK(gives, NULL);
	const pulse_work_fn fn = gives;
	struct pulse_pool *p = inherited;
	struct pulse_results *r;
	struct pulse_result one;
	struct pulse_future *f;
	uint64_t v;
	int bad = 0;

	(void)arg;
	bad += pulse_pool_spawn(p, &w, &f) != -EOWNERDEAD;
	bad += pulse_pool_submit_wait(p, &w, 0, &one) != -EOWNERDEAD;
	bad += pulse_pool_spawn_batch(p, &w, 1, &r) != -EOWNERDEAD;
	bad += pulse_pool_batch_wait(p, &w, 1, 0, NULL) != -EOWNERDEAD;
	bad += pulse_pool_parallel(p, &fn, NULL, 1, NULL, NULL) != -EOWNERDEAD;
	bad += pulse_pool_map(p, &map) != -EOWNERDEAD;
	bad += pulse_pool_resize(p, 1) != -EOWNERDEAD;
	bad += pulse_pool_wait_for_drain(p, NULL, 1) != -EOWNERDEAD;
	bad += pulse_pool_latency(p, 0, &h) != -EOWNERDEAD;
	bad += pulse_pool_metrics(p, &m) != -EOWNERDEAD;
	bad += pulse_pool_custom_define(p, "x") != -EOWNERDEAD;
	bad += pulse_pool_custom_read(p, 0, &v, NULL) != -EOWNERDEAD;
	pulse_pool_custom_add(p, 0, 1);
	bad += pulse_pool_knobs(p, &k) != -EOWNERDEAD;
	bad += pulse_pool_set_heartbeat(p, 0) != -EOWNERDEAD;
	bad += pulse_pool_set_promotion(p, 1, 1) != -EOWNERDEAD;
	bad += pulse_pool_force_promotion(p, 1) != -EOWNERDEAD;
	bad += pulse_pool_run_or_submit(p, 0, nothing_task, NULL) !=
	       -EOWNERDEAD;
	bad += pulse_pool_predicted(p, 0, &v) != -EOWNERDEAD;
	bad += pulse_executor_submit(&ex, nothing_task, NULL) != -EOWNERDEAD;
	bad += pulse_executor_call(&ex, gives, NULL, NULL, &f) != -EOWNERDEAD;
	bad += pulse_executor_resize(&ex, 1) != -EOWNERDEAD;
	bad += pulse_executor_num_workers(&ex) != -EOWNERDEAD;
	bad += pulse_executor_pending(&ex) != -EOWNERDEAD;
	bad += pulse_executor_drain(&ex, 1) != -EOWNERDEAD;
	bad += pulse_executor_shutdown(&ex, 1) != -EOWNERDEAD;
	if (results) {
		bad += pulse_results_next(results, 0, &one, NULL) !=
		       -EOWNERDEAD;
		bad += pulse_results_wait(results, 0, NULL) != -EOWNERDEAD;
	}
	bad += pulse_pool_destroy(p) != -EOWNERDEAD;
	return bad;
}

KT_TEST(a_child_of_a_pool_that_does_all_it_can)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 4,
		   .enable_adaptive_sizing = PULSE_ON, .stall_ms = 1000,
		   .enable_latency = PULSE_ON, .enable_predictive = PULSE_ON,
		   .task_timeout_ns = 20000000000);
	struct pulse_result one;
	struct pulse_work w;
	struct gate g;
	int inside = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &inherited) == 0);
	KT_EQ(pulse_pool_custom_define(inherited, "rows"), 0);
	gate_init(&g);
	w = WORK(until_cancelled, &inside);
	KT_REQUIRE(!pulse_pool_spawn_batch(inherited, &w, 1, &results));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside)));	/* a timer is armed */
	KT_EQ(in_child(each_call, NULL), 0);
	/* And the parent goes on. */
	KT_EQ(pulse_results_cancel(results, 0), 1);
	KT_EQ(pulse_results_next(results, PULSE_FOREVER, &one, NULL), 0);
	KT_EQ(one.err, -ECANCELED);
	KT_EQ(pulse_results_destroy(results), 0);
	KT_EQ(pulse_pool_destroy(inherited), 0);
	results = NULL;
}

KT_TEST(a_child_of_a_seeded_pool)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .seed = 4);
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &inherited) == 0);
	KT_EQ(pulse_pool_submit(inherited, count_task, &n), 0);
	KT_EQ(in_child(each_call, NULL), 0);
	KT_EQ(pulse_pool_destroy(inherited), 0);
	KT_EQ(n, 1);
}

static void forks_and_returns(void *arg)
{
	*(pid_t *)arg = fork();
}

static int forks_in_a_handle(void *arg, void **value)
{
	(void)value;
	forks_and_returns(arg);
	return 0;
}

static void drop_line(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
}

/* U07 */
KT_TEST(a_child_that_returns_from_a_task_with_a_handle_ends_there)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w;
	pid_t pid = -1;
	int status = 0;

	KT_REQUIRE(pool);
	pulse_log_set_sink(drop_line, NULL);
	fflush(stdout);
	w = WORK(forks_in_a_handle, &pid, .timeout_ns = 20000000000);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_CHECK(pid > 0);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

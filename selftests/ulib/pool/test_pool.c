// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool from outside: arguments, submit in each form, priorities, node hints,
 * a full queue, statistics, an idle pool. On whichever backend there is.
 */
#include "helpers.h"

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U01 */
KT_TEST(null_handles_and_results_are_refused)
{
	struct pulse_pool_worker_stats ws = { .sz = sizeof(ws) };
	struct pulse_pool_stats st = { .sz = sizeof(st) };
	struct pulse_task task = { .sz = sizeof(task), .fn = nothing_task };
	struct pulse_pool *pool = pool_of(1, 0);

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_destroy(NULL), -EINVAL);
	KT_EQ(pulse_pool_submit(NULL, nothing_task, NULL), -EINVAL);
	KT_EQ(pulse_pool_submit(pool, NULL, NULL), -EINVAL);
	KT_EQ(pulse_pool_submit_task(NULL, &task), -EINVAL);
	KT_EQ(pulse_pool_submit_task(pool, NULL), -EINVAL);
	KT_EQ(pulse_pool_submit_batch(NULL, &task, 1), -EINVAL);
	KT_EQ(pulse_pool_submit_batch(pool, NULL, 1), -EINVAL);
	KT_EQ(pulse_pool_submit_batch(pool, &task, 0), -EINVAL);
	KT_EQ(pulse_pool_wait(NULL), -EINVAL);
	KT_EQ(pulse_pool_wait_until(NULL, 1), -EINVAL);
	KT_EQ(pulse_pool_wait_until(pool, -1), -EINVAL);
	KT_EQ(pulse_pool_shutdown(NULL, 0), -EINVAL);
	KT_EQ(pulse_pool_shutdown(pool, -1), -EINVAL);
	KT_EQ(pulse_pool_stop(NULL), -EINVAL);
	KT_EQ(pulse_pool_is_running(NULL), -EINVAL);
	KT_EQ(pulse_pool_queue_length(NULL), -EINVAL);
	KT_EQ(pulse_pool_active_workers(NULL), -EINVAL);
	KT_EQ(pulse_pool_num_workers(NULL), -EINVAL);
	KT_EQ(pulse_pool_stats(NULL, &st), -EINVAL);
	KT_EQ(pulse_pool_stats(pool, NULL), -EINVAL);
	KT_EQ(pulse_pool_worker_stats(NULL, 0, &ws), -EINVAL);
	KT_EQ(pulse_pool_worker_stats(pool, 0, NULL), -EINVAL);
	KT_EQ(pulse_pool_worker_stats(pool, -1, &ws), -EINVAL);
	KT_EQ(pulse_pool_worker_stats(pool, 1, &ws), -EINVAL);
	KT_CHECK(!pulse_pool_current());
	KT_EQ(pulse_pool_current_worker(), -ESRCH);
	task.sz = 0;
	KT_EQ(pulse_pool_submit_task(pool, &task), -EINVAL);
	task.sz = sizeof(task);
	task.priority = 2;
	KT_EQ(pulse_pool_submit_task(pool, &task), -EINVAL);
	task.priority = -2;
	KT_EQ(pulse_pool_submit_task(pool, &task), -EINVAL);
	task.priority = 0;
	task.node = -1;
	KT_EQ(pulse_pool_submit_task(pool, &task), -EINVAL);
	KT_EQ(stats_of(pool).submitted, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* U02 */
KT_TEST(options_of_each_size_and_value)
{
	struct { struct pulse_pool_opts opts; uint64_t tail[4]; } big;
	struct pulse_pool *pool;

	memset(&big, 0, sizeof(big));
	KT_EQ(pulse_pool_create(&big.opts, &pool), -EINVAL);
	big.opts.sz = 1;
	KT_EQ(pulse_pool_create(&big.opts, &pool), -EINVAL);
	big.opts.sz = (size_t)-1;
	KT_EQ(pulse_pool_create(&big.opts, &pool), -E2BIG);
	big.opts.sz = sizeof(big);
	KT_EQ(pulse_pool_create(&big.opts, &pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	big.tail[0] = 1;
	KT_EQ(pulse_pool_create(&big.opts, &pool), -E2BIG);
	KT_CHECK(!pool);
	big.opts.sz = sizeof(big.opts);

#define REFUSED(field, value)						\
	do {								\
		struct pulse_pool_opts o = big.opts;			\
									\
		o.field = (value);					\
		KT_CHECKF(pulse_pool_create(&o, &pool) == -EINVAL,	\
			  #field " = %lld", (long long)(value));	\
	} while (0)
	REFUSED(num_workers, 4097);
	REFUSED(num_workers, 10000);	/* U06 */
	REFUSED(num_workers, UINT32_MAX);
	REFUSED(task_queue_size, (1 << 20) + 1);
	REFUSED(task_queue_size, UINT32_MAX);
	REFUSED(spin_us, -2);
	REFUSED(enable_work_stealing, 2);
	REFUSED(enable_topology_aware, -2);
	REFUSED(enable_numa_aware, 7);
	REFUSED(enable_statistics, 2);
	REFUSED(pin, -7);
	REFUSED(reserved, 1);
}

KT_TEST(the_default_is_a_worker_a_core_at_most_a_cpu)
{
	struct pulse_pool *pool;
	int n;

	KT_REQUIRE(pulse_pool_create(NULL, &pool) == 0);
	n = pulse_pool_num_workers(pool);
	KT_CHECK(n >= 1 && n <= sysconf(_SC_NPROCESSORS_ONLN));
	KT_EQ(pulse_pool_is_running(pool), 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(each_switch_off_and_on_runs_tasks)
{
	for (unsigned int bits = 0; bits < 32; bits++) {
		PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3,
			.enable_work_stealing = bits & 1 ? PULSE_ON : PULSE_OFF,
			.enable_topology_aware = bits & 2 ? PULSE_ON : PULSE_OFF,
			.enable_numa_aware = bits & 4 ? PULSE_ON : PULSE_OFF,
			.enable_statistics = bits & 8 ? PULSE_ON : PULSE_OFF,
			.pin = bits & 16 ? PULSE_ON : PULSE_OFF,
			.spin_us = bits & 1 ? PULSE_OFF : 50);
		struct pulse_pool *pool;
		long n = 0;

		KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
		for (int i = 0; i < 50; i++)
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(n, 50);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

static void who_am_i(void *arg)
{
	struct pulse_pool *pool = arg;

	KT_CHECK(pulse_pool_current() == pool);
	KT_CHECK(pulse_pool_current_worker() >= 0 &&
		 pulse_pool_current_worker() < 2);
	KT_EQ(pulse_pool_wait(pool), -EDEADLK);
	KT_EQ(pulse_pool_destroy(pool), -EDEADLK);
	KT_EQ(pulse_pool_active_workers(pool) >= 1, 1);
}

KT_TEST(a_task_knows_its_worker_and_may_not_wait_for_itself)
{
	struct pulse_pool *pool = pool_of(2, 0);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pool, who_am_i, pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int order[512], nr_order;

static void order_task(void *arg)
{
	order[nr_order++] = (int)(intptr_t)arg;
}

static int submit_prio(struct pulse_pool *pool, int prio)
{
	struct pulse_task task = { .sz = sizeof(task), .fn = order_task,
				   .data = (void *)(intptr_t)prio,
				   .priority = prio };

	return pulse_pool_submit_task(pool, &task);
}

KT_TEST(priorities_are_strict_but_for_one_in_64)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct gate g;
	int out_of_turn = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	nr_order = 0;
	for (int i = 0; i < 60; i++)
		KT_EQ(submit_prio(pool, i % 3 - 1), 0);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(nr_order, 60);
	for (int i = 0; i < nr_order; i++) {
		bool better_later = false;

		for (int k = i + 1; k < nr_order; k++)
			better_later |= order[k] > order[i];
		out_of_turn += better_later;
	}
	KT_CHECKF(out_of_turn <= 1, "%d tasks out of turn", out_of_turn);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct flood {
	struct pulse_pool *pool;
	int low_ran, normal_ran;
	long spins;
};

static void flood_low(void *arg)
{
	ATOMIC_SET(((struct flood *)arg)->low_ran, 1);
}

static void flood_normal(void *arg)
{
	ATOMIC_SET(((struct flood *)arg)->normal_ran, 1);
}

/* Comes back at high priority until the others had their turn. */
static void flood_high(void *arg)
{
	struct flood *f = arg;
	struct pulse_task task = { .sz = sizeof(task), .fn = flood_high,
				   .data = f, .priority = PULSE_PRIO_HIGH };

	f->spins++;
	if (ATOMIC_GET(f->low_ran) && ATOMIC_GET(f->normal_ran))
		return;
	KT_EQ(pulse_pool_submit_task(f->pool, &task), 0);
}

KT_TEST(a_flood_of_high_ones_does_not_starve_the_others)
{
	struct flood f = { .pool = pool_of(1, 0) };
	struct pulse_task task = { .sz = sizeof(task), .fn = flood_high,
				   .data = &f, .priority = PULSE_PRIO_HIGH };
	struct gate g;

	KT_REQUIRE(f.pool && gate_close(&g, f.pool));
	KT_EQ(pulse_pool_submit_task(f.pool, &task), 0);
	task.fn = flood_low;
	task.priority = PULSE_PRIO_LOW;
	KT_EQ(pulse_pool_submit_task(f.pool, &task), 0);
	KT_EQ(pulse_pool_submit(f.pool, flood_normal, &f), 0);
	gate_open(&g, f.pool);
	KT_EQ(pulse_pool_wait(f.pool), 0);
	KT_CHECK(f.low_ran && f.normal_ran);
	kt_note("after %ld high ones", f.spins);
	KT_EQ(pulse_pool_destroy(f.pool), 0);
}

static void chain_until(void *arg)
{
	struct flood *f = arg;

	if (!ATOMIC_GET(f->normal_ran))
		KT_EQ(pulse_pool_submit(f->pool, chain_until, f), 0);
}

/* At the bottom of its own deque, under a task that keeps coming back. */
static void bottom_first(void *arg)
{
	struct flood *f = arg;

	KT_EQ(pulse_pool_submit(f->pool, flood_normal, f), 0);
	KT_EQ(pulse_pool_submit(f->pool, chain_until, f), 0);
}

KT_TEST(the_bottom_of_a_deque_is_not_forgotten)
{
	struct flood f = { .pool = pool_of(1, 0) };

	KT_REQUIRE(f.pool);
	KT_EQ(pulse_pool_submit(f.pool, bottom_first, &f), 0);
	KT_EQ(pulse_pool_wait(f.pool), 0);
	KT_CHECK(f.normal_ran);
	KT_EQ(pulse_pool_destroy(f.pool), 0);
}

struct at_home {
	struct pulse_pool *pool;
	int home;
	uint32_t left;		/* tasks that are to run before it ends */
};

/* In the queue of its worker's own node, again and again. */
static void stay_at_home(void *arg)
{
	struct at_home *h = arg;
	struct pulse_task task = { .sz = sizeof(task), .fn = stay_at_home,
				   .data = h,
				   .node = PULSE_TASK_NODE(h->home) };

	if (ATOMIC_GET(h->left))
		KT_EQ(pulse_pool_submit_task(h->pool, &task), 0);
}

static void away(void *arg)
{
	struct at_home *h = arg;

	__atomic_sub_fetch(&h->left, 1, __ATOMIC_RELAXED);
}

KT_TEST(a_queue_of_another_node_is_not_forgotten)
{
	struct at_home h = { .pool = pool_of(1, 0) };
	struct pulse_task task = { .sz = sizeof(task), .fn = away, .data = &h };
	struct gate g;

	KT_REQUIRE(h.pool && gate_close(&g, h.pool));
	h.home = worker_of(h.pool, 0).home_node;
	h.left = stats_of(h.pool).num_nodes;
	stay_at_home(&h);
	for (uint32_t i = 0; i < stats_of(h.pool).num_nodes; i++) {
		task.node = PULSE_TASK_NODE((int32_t)i);
		KT_EQ(pulse_pool_submit_task(h.pool, &task), 0);
	}
	gate_open(&g, h.pool);
	KT_EQ(pulse_pool_wait(h.pool), 0);
	KT_EQ(h.left, 0);
	KT_EQ(pulse_pool_destroy(h.pool), 0);
}

static void home_node(void *arg)
{
	struct pulse_pool *pool = pulse_pool_current();

	ATOMIC_SET(*(int *)arg,
		   worker_of(pool, pulse_pool_current_worker()).home_node);
}

KT_TEST(a_hint_wakes_a_worker_of_that_node)
{
	uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	struct pulse_pool *pool = pool_of(cpus < 4 ? 4 : cpus, 0);
	int homes[64], nr = 0, ran;

	KT_REQUIRE(pool);
	for (int i = 0; i < pulse_pool_num_workers(pool) && i < 64; i++) {
		homes[i] = worker_of(pool, i).home_node;
		nr++;
	}
	kt_note("%u nodes", stats_of(pool).num_nodes);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < nr; i++) {
			struct pulse_task task = {
				.sz = sizeof(task), .fn = home_node,
				.data = &ran,
				.node = PULSE_TASK_NODE(homes[i]),
			};

			KT_CHECK(EVENTUALLY(all_parked(pool)));
			ATOMIC_SET(ran, -1);
			KT_EQ(pulse_pool_submit_task(pool, &task), 0);
			KT_EQ(pulse_pool_wait(pool), 0);
			KT_EQ(ran, homes[i]);
		}
	}
	/* A node that is not there is as good as no hint. */
	{
		struct pulse_task task = { .sz = sizeof(task), .fn = home_node,
					   .data = &ran,
					   .node = PULSE_TASK_NODE(1000) };

		KT_EQ(pulse_pool_submit_task(pool, &task), 0);
		task.node = INT32_MAX;
		KT_EQ(pulse_pool_submit_task(pool, &task), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_full_queue_says_so_and_loses_nothing)
{
	struct pulse_pool *pool = pool_of(2, 64);
	uint32_t nodes;
	struct gate g;
	long n = 0;
	int in = 0, err;

	KT_REQUIRE(pool && gate_close(&g, pool));
	nodes = stats_of(pool).num_nodes;
	while ((err = pulse_pool_submit(pool, count_task, &n)) == 0)
		in++;
	KT_EQ(err, -EAGAIN);
	KT_EQ(in, 64 * nodes);
	KT_EQ(pulse_pool_queue_length(pool), in);
	KT_EQ(stats_of(pool).submitted, in + 2);
	KT_EQ(pulse_pool_active_workers(pool), 2);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, in);
	KT_EQ(pulse_pool_queue_length(pool), 0);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, in + 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct inside {
	struct pulse_pool *pool;
	long ran;
	int in, err;
};

static void fill_from_inside(void *arg)
{
	struct inside *f = arg;

	while (!(f->err = pulse_pool_submit(f->pool, count_task, &f->ran)))
		f->in++;
}

KT_TEST(a_task_that_fills_its_deque_goes_on_into_the_queue)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .task_queue_size = 100);	/* rounded up to 128 */
	struct inside f = { 0 };

	KT_REQUIRE(pulse_pool_create(&opts, &f.pool) == 0);
	KT_EQ(pulse_pool_submit(f.pool, fill_from_inside, &f), 0);
	KT_EQ(pulse_pool_wait(f.pool), 0);
	KT_EQ(f.err, -EAGAIN);
	KT_EQ(f.in, 256);
	KT_EQ(f.ran, 256);
	KT_EQ(pulse_pool_destroy(f.pool), 0);
}

KT_TEST(a_batch_goes_in_as_far_as_there_is_room)
{
	struct pulse_pool *pool = pool_of(1, 64);
	struct pulse_task tasks[100];
	struct gate g;
	long n = 0;
	int got;

	KT_REQUIRE(pool && gate_close(&g, pool));
	memset(tasks, 0, sizeof(tasks));
	for (int i = 0; i < 100; i++) {
		tasks[i].sz = sizeof(tasks[i]);
		tasks[i].fn = count_task;
		tasks[i].data = &n;
	}
	got = pulse_pool_submit_batch(pool, tasks, 50);
	KT_EQ(got, 50);
	got = pulse_pool_submit_batch(pool, tasks, 50);
	KT_EQ(got, 14);
	KT_EQ(pulse_pool_submit_batch(pool, tasks, 50), -EAGAIN);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 64);
	tasks[10].fn = NULL;	/* the ten before it go in */
	KT_EQ(pulse_pool_submit_batch(pool, tasks, 50), 10);
	tasks[0].fn = NULL;
	KT_EQ(pulse_pool_submit_batch(pool, tasks, 50), -EINVAL);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 74);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_batch_wakes_as_many_as_it_needs)
{
	struct pulse_pool *pool = pool_of(4, 0);
	struct pulse_task tasks[4];
	struct gate g;

	KT_REQUIRE(pool);
	gate_init(&g);
	for (int i = 0; i < 4; i++)
		tasks[i] = (struct pulse_task){ .sz = sizeof(*tasks),
						.fn = gate_task, .data = &g };
	for (int round = 0; round < 20; round++) {
		if (round & 1)
			KT_CHECK(EVENTUALLY(all_parked(pool)));
		KT_EQ(pulse_pool_submit_batch(pool, tasks, 4), 4);
		sem_wait_all(&g.inside, 4);	/* all at once, or it hangs */
		KT_EQ(pulse_pool_active_workers(pool), 4);
		gate_open(&g, pool);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(an_idle_pool_does_not_wake_up)
{
	struct pulse_pool *pool = pool_of(4, 0);
	uint64_t before[4], parks;
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	nap_us(50000);
	parks = stats_of(pool).parks;
	for (int i = 0; i < 4; i++)
		before[i] = worker_of(pool, i).n_block;
	nap_us(1000000);
	for (int i = 0; i < 4; i++)
		KT_EQ(worker_of(pool, i).n_block, before[i]);
	KT_EQ(stats_of(pool).parks, parks);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void spawn_8(void *arg)
{
	for (int i = 0; i < 8; i++)
		KT_EQ(pulse_pool_submit(pulse_pool_current(), gate_task, arg),
		      0);
}

KT_TEST(what_a_task_submits_is_stolen_by_idle_workers)
{
	struct pulse_pool *pool = pool_of(8, 0);
	struct pulse_pool_stats s;
	struct gate g;

	KT_REQUIRE(pool);
	gate_init(&g);
	KT_EQ(pulse_pool_submit(pool, spawn_8, &g), 0);
	/* All eight at once: seven of them stolen, or it hangs. */
	sem_wait_all(&g.inside, 8);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	s = stats_of(pool);
	KT_CHECKF(s.stolen >= 7, "%llu stolen", (unsigned long long)s.stolen);
	KT_EQ(s.completed, 9);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void submit_100(void *arg)
{
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pulse_pool_current(), count_task, arg),
		      0);
}

KT_TEST(without_stealing_a_deque_is_its_owners_and_wakes_nobody)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3,
		   .enable_work_stealing = PULSE_OFF);
	struct pulse_pool *pool;
	struct pulse_pool_stats s;
	uint64_t wakes;
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	wakes = stats_of(pool).wakes;
	KT_EQ(pulse_pool_submit(pool, submit_100, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	s = stats_of(pool);
	KT_EQ(n, 100);
	KT_EQ(s.stolen, 0);
	KT_EQ(s.wakes, wakes + 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(statistics_add_up)
{
	struct pulse_pool *pool = pool_of(3, 4096);
	struct pulse_pool_stats s;
	uint64_t executed = 0, stolen = 0, parks = 0;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 1000; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(gate_close(&g, pool));
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	s = stats_of(pool);
	KT_EQ(s.submitted, 1013);
	KT_EQ(s.completed, 1000);
	KT_EQ(s.queued, 10);
	KT_EQ(s.active_workers, 3);
	KT_EQ(s.num_workers, 3);
	KT_CHECK(s.num_nodes >= 1);
	KT_EQ(pulse_pool_stop(pool), 10);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	s = stats_of(pool);
	KT_EQ(s.submitted, 1013);
	KT_EQ(s.completed, 1003);
	KT_EQ(s.cancelled, 10);
	KT_EQ(s.queued, 0);
	for (int i = 0; i < 3; i++) {
		struct pulse_pool_worker_stats w = worker_of(pool, i);

		executed += w.executed;
		stolen += w.stolen;
		parks += w.parks;
		KT_EQ(w.submitted, 0);
		KT_EQ(w.queued, 0);
	}
	KT_EQ(executed, s.completed);
	KT_EQ(stolen, s.stolen);
	KT_CHECK(parks >= s.wakes || parks <= s.parks);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_workers_place_and_state_are_told)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .pin = PULSE_ON,
		   .name = "placed");
	struct pulse_pool *pool;
	struct gate g;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	for (int i = 0; i < 2; i++) {
		struct pulse_pool_worker_stats w = worker_of(pool, i);
		char path[64], name[32] = "";
		FILE *f;

		KT_CHECK(w.pinned_cpu >= 0);
		KT_EQ(w.cpu, w.pinned_cpu);
		KT_EQ(w.node, w.home_node);
		snprintf(path, sizeof(path), "/proc/self/task/%d/comm", w.tid);
		f = fopen(path, "r");
		KT_CHECK(f && fgets(name, sizeof(name), f));
		KT_STREQ(name, i ? "placed-1\n" : "placed-0\n");
		if (f)
			fclose(f);
	}
	KT_REQUIRE(gate_close(&g, pool));
	for (int i = 0; i < 2; i++)
		KT_CHECK(EVENTUALLY(worker_of(pool, i).state ==
				    PULSE_STATE_BLOCKED));
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* A foreign worker in the same context is none of the pool's business. */
struct foreign {
	struct pulse_ctx *ctx;
	int index, stop;
	long returns;
};

static bool foreign_stop(void *arg)
{
	return ATOMIC_GET(((struct foreign *)arg)->stop);
}

static void *foreign_main(void *arg)
{
	struct foreign *f = arg;
	int i = pulse_worker_register(f->ctx, -1, 0);

	ATOMIC_SET(f->index, i);
	while (!ATOMIC_GET(f->stop)) {
		pulse_worker_park(f->ctx, i, PULSE_FOREVER, foreign_stop, f);
		ATOMIC_INC(f->returns);
	}
	pulse_worker_unregister(f->ctx, i);
	return NULL;
}

KT_TEST(a_shared_context_keeps_its_other_workers_asleep)
{
	PULSE_OPTS(pulse_ctx_opts, copts, .max_workers = 3);
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2);
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct foreign f = { .index = -1 };
	struct pulse_pool *pool, *none;
	uint32_t index;
	pthread_t t;
	long n = 0;

	KT_REQUIRE(pulse_ctx_create(&copts, &f.ctx) == 0);
	KT_REQUIRE(pthread_create(&t, NULL, foreign_main, &f) == 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(f.index) >= 0));
	KT_CHECK(EVENTUALLY(!pulse_worker_state(f.ctx, f.index, &st) &&
			    st.state == PULSE_STATE_PARKED));
	opts.ctx = f.ctx;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_create(&opts, &none), -ENOSPC);
	KT_EQ(pulse_ctx_destroy(f.ctx), -EBUSY);
	for (int i = 0; i < 500; i++) {
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		if (i % 10 == 0)
			KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 500);
	KT_EQ(ATOMIC_GET(f.returns), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	ATOMIC_SET(f.stop, 1);
	index = (uint32_t)f.index;
	pulse_worker_wake(f.ctx, &index, 1);
	pthread_join(t, NULL);
	KT_EQ(pulse_ctx_destroy(f.ctx), 0);
}

KT_TEST(a_lost_descriptor_does_not_stop_the_pool)
{
	PULSE_OPTS(pulse_ctx_opts, copts, .max_workers = 2);
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2);
	struct pulse_pool *pool;
	long n = 0;

	/* U12, as far as a process can do it to itself */
	KT_REQUIRE(pulse_ctx_create(&copts, &opts.ctx) == 0);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	close(pulse_ctx_fd(opts.ctx));
	for (int i = 0; i < 500; i++) {
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		if (i % 10 == 0)
			KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 500);
	KT_EQ(pulse_ctx_destroy(opts.ctx), 0);
}

KT_MAIN()

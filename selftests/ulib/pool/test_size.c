// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers come and go: resizing, adaptive sizing (more while workers are
 * blocked, fewer when idle), and that no task is lost on the way. The stall
 * detector.
 */
#include <sched.h>

#include "helpers.h"
#include "pool/pool.h"

static struct pulse_pool *adaptive_of(uint32_t min, uint32_t num, uint32_t max,
				      uint32_t keep_ms)
{
	PULSE_OPTS(pulse_pool_opts, opts, .min_workers = min,
		   .num_workers = num, .max_workers = max,
		   .enable_adaptive_sizing = PULSE_ON,
		   .keep_alive_ms = keep_ms);
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U01, U02 */
KT_TEST(numbers_of_workers_must_fit)
{
	struct pulse_pool *pool;

#define REFUSED(...)							\
	do {								\
		PULSE_OPTS(pulse_pool_opts, o, __VA_ARGS__);		\
		KT_CHECKF(pulse_pool_create(&o, &pool) == -EINVAL,	\
			  #__VA_ARGS__);				\
	} while (0)
	REFUSED(.num_workers = 4, .max_workers = 3);
	REFUSED(.num_workers = 4, .min_workers = 5);
	REFUSED(.max_workers = 4097);
	REFUSED(.min_workers = 4097);
	REFUSED(.min_workers = 5, .max_workers = 4);
	REFUSED(.enable_adaptive_sizing = 2);
	REFUSED(.enable_heartbeat = -2);
	REFUSED(.enable_latency = 3);
	REFUSED(.enable_trace = 3);
	REFUSED(.enable_predictive = 3);
	REFUSED(.heartbeat_interval_us = 19);
	REFUSED(.heartbeat_interval_us = 60000001);
	REFUSED(.spin_ns = -1);
	REFUSED(.task_timeout_ns = -1);
	REFUSED(.shutdown_grace_ns = -1);
	REFUSED(.enable_lock_free = 2);
	REFUSED(.seed = 1, .enable_adaptive_sizing = PULSE_ON);
	KT_EQ(pulse_pool_resize(NULL, 1), -EINVAL);
	pool = pool_of(2, 0);
	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_resize(pool, 0), -EINVAL);
	KT_EQ(pulse_pool_resize(pool, 3), -ERANGE);	/* no room was asked for */
	KT_EQ(pulse_pool_resize(pool, 2), 0);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), 0);
	KT_EQ(pulse_pool_resize(pool, 1), -ESHUTDOWN);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* An older program's options end before all of this. */
KT_TEST(options_of_the_first_version_are_taken)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 1);
	struct pulse_pool *pool;

	opts.sz = offsetof(struct pulse_pool_opts, min_workers);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_pool_is_resized_up_and_down_while_it_works)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 6);
	struct pulse_pool *pool;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int round = 0; round < 5; round++) {
		KT_EQ(pulse_pool_resize(pool, 6), 0);
		KT_EQ(pulse_pool_num_workers(pool), 6);
		KT_REQUIRE(gate_close(&g, pool));	/* six at once */
		KT_EQ(pulse_pool_active_workers(pool), 6);
		/* Told to go inside their tasks: they finish them. */
		KT_EQ(pulse_pool_resize(pool, 1), 0);
		KT_EQ(pulse_pool_num_workers(pool), 6);
		for (int i = 0; i < 50; i++)
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		for (int i = 0; i < 6; i++)
			sem_post(&g.open);
		KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 1));
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(n, 50 * (round + 1));
		/* The one that is left, from its sleep. */
		KT_CHECK(EVENTUALLY(pulse_pool_active_workers(pool) == 0));
	}
	KT_EQ(pulse_pool_resize(pool, 4), 0);
	KT_EQ(pulse_pool_num_workers(pool), 4);
	/* Who is told to go and called back stays. */
	for (int i = 0; i < 200; i++)
		KT_EQ(pulse_pool_resize(pool, i & 1 ? 4 : 2), 0);
	KT_EQ(pulse_pool_num_workers(pool), 4);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 250);
}

struct leaves {
	struct pulse_pool *pool;
	long ran;
	sem_t stuffed, go;
};

static void stuffs_its_deque(void *arg)
{
	struct leaves *l = arg;

	for (int i = 0; i < 40; i++)
		KT_EQ(pulse_pool_submit(l->pool, count_task, &l->ran), 0);
	sem_post(&l->stuffed);
	sem_wait_all(&l->go, 1);
}

/* Without stealing nobody else can get at a deque: it has to be handed over. */
KT_TEST(who_goes_leaves_its_deque_to_the_others)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 4,
		   .enable_work_stealing = PULSE_OFF);
	struct leaves l = { .ran = 0 };

	sem_init(&l.stuffed, 0, 0);
	sem_init(&l.go, 0, 0);
	KT_REQUIRE(pulse_pool_create(&opts, &l.pool) == 0);
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_pool_submit(l.pool, stuffs_its_deque, &l), 0);
	sem_wait_all(&l.stuffed, 4);
	KT_EQ(pulse_pool_resize(l.pool, 1), 0);
	for (int i = 0; i < 4; i++)
		sem_post(&l.go);
	KT_EQ(pulse_pool_wait(l.pool), 0);
	KT_EQ(l.ran, 160);
	KT_CHECK(EVENTUALLY(pulse_pool_num_workers(l.pool) == 1));
	KT_EQ(pulse_pool_destroy(l.pool), 0);
}

/* How many of the first @nr places have no worker. */
static unsigned int places_without(struct pulse_pool *pool, unsigned int nr)
{
	unsigned int dead = 0;

	for (unsigned int i = 0; i < nr; i++)
		dead += worker_of(pool, i).state == PULSE_STATE_DEAD;
	return dead;
}

KT_TEST(blocked_workers_are_made_up_for_and_idle_ones_go)
{
	struct pulse_pool *pool = adaptive_of(1, 2, 6, 50);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	for (int round = 0; round < 3; round++) {
		gate_init(&g);
		/* Each sleeps inside its task, so that two may run besides. */
		for (int i = 0; i < 6; i++)
			KT_EQ(pulse_pool_submit(pool, gate_task, &g), 0);
		sem_wait_all(&g.inside, 6);
		KT_EQ(pulse_pool_num_workers(pool), 6);
		/* There is no room for more: these wait. */
		for (int i = 0; i < 20; i++)
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		for (int i = 0; i < 6; i++)
			sem_post(&g.open);
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(n, 20 * (round + 1));
		KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 1));
		KT_EQ(pulse_pool_num_workers(pool), 1);
	}
	/* Places without a worker, once their threads have left: any but one. */
	KT_CHECK(EVENTUALLY(places_without(pool, 6) == 5));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int stop_spinning;

static void spins(void *arg)
{
	ATOMIC_INC(*(int *)arg);
	while (!ATOMIC_GET(stop_spinning))
		cpu_relax();
}

/* The opposite: those that run are not made up for. */
KT_TEST(workers_that_run_are_enough)
{
	struct pulse_pool *pool = adaptive_of(1, 2, 8, 60000);
	int inside = 0;
	long n = 0;

	KT_REQUIRE(pool);
	stop_spinning = 0;
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_pool_submit(pool, spins, &inside), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside) == 2));
	for (int i = 0; i < 20; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	nap_us(200000);		/* many looks of whoever would start more */
	KT_EQ(pulse_pool_num_workers(pool), 2);
	KT_EQ(__atomic_load_n(&n, __ATOMIC_RELAXED), 0);
	ATOMIC_SET(stop_spinning, 1);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 20);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* After the block there are too many for the CPUs, though none is ever idle. */
KT_TEST(a_surplus_goes_even_when_the_pool_is_never_idle)
{
	struct pulse_pool *pool = adaptive_of(1, 2, 6, 600000);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	gate_init(&g);
	for (int i = 0; i < 6; i++)
		KT_EQ(pulse_pool_submit(pool, gate_task, &g), 0);
	sem_wait_all(&g.inside, 6);
	for (int i = 0; i < 6; i++)
		sem_post(&g.open);
	stop_spinning = 0;
	{
		int inside = 0;

		for (int i = 0; i < 6; i++)
			KT_EQ(pulse_pool_submit(pool, spins, &inside), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(inside) >= 3));
		KT_CHECK(EVENTUALLY(ATOMIC_GET(inside) == 6));
		for (int i = 0; i < 20; i++)
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		/* All but the two that are wanted are told to go, one by one. */
		KT_CHECK(EVENTUALLY(READ_ONCE(pool->nr_leaving) == 4));
		ATOMIC_SET(stop_spinning, 1);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(n, 20);
	KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 2));
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 120);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static unsigned char *ran;

static void mark(void *arg)
{
	__atomic_fetch_add(&ran[(uintptr_t)arg], 1, __ATOMIC_RELAXED);
	/* Now and then it sleeps, so that workers come for it. */
	if ((uintptr_t)arg % 257 == 0)
		nap_us(3000);
}

/* Workers that go after a millisecond of idleness, amid submits and sleeps. */
KT_TEST(each_task_is_run_once_while_workers_come_and_go)
{
	struct pulse_pool *pool = adaptive_of(1, 3, 8, 1);
	const long nr = kt_scale(60000);
	long never = 0, twice = 0;

	KT_REQUIRE(pool);
	ran = calloc((size_t)nr, 1);
	KT_REQUIRE(ran);
	for (long i = 0; i < nr; i++) {
		while (pulse_pool_submit(pool, mark, (void *)i) == -EAGAIN)
			sched_yield();
		if (i % 509 == 0)
			nap_us(i % 5 * 700);	/* about as long as they stay */
		if (i % 4001 == 0)
			KT_EQ(pulse_pool_wait(pool), 0);
		if (i % 1009 == 0)
			pulse_pool_resize(pool, (unsigned int)(1 + i % 5));
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	for (long i = 0; i < nr; i++) {
		never += ran[i] == 0;
		twice += ran[i] > 1;
	}
	KT_CHECKF(!never && !twice, "%ld never, %ld more than once", never,
		  twice);
	KT_EQ(stats_of(pool).submitted, nr);
	KT_EQ(stats_of(pool).completed, nr);
	KT_EQ(pulse_pool_destroy(pool), 0);
	free(ran);
}

/* One at a time, so that a lost wake-up is not made good by the next submit. */
KT_TEST(no_task_waits_for_a_worker_that_has_gone)
{
	struct pulse_pool *pool = adaptive_of(1, 2, 3, 1);
	long n = 0, total = kt_scale(2000);

	KT_REQUIRE(pool);
	for (long i = 0; i < total; i++) {
		struct timespec ts = { 0, 900000 + i % 400 * 500 };

		if (i % 3 == 0)		/* so that there is one too many */
			pulse_pool_resize(pool, i % 2 ? 2 : 3);
		nanosleep(&ts, NULL);
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		if (n != 2 * (i + 1))
			break;
	}
	KT_EQ(n, 2 * total);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static long started, ended;

static void on_start(void *arg, int worker)
{
	(void)arg;
	KT_CHECK(worker >= 0 && worker < 6);
	ATOMIC_INC(started);
}

static void on_stop(void *arg, int worker)
{
	(void)arg;
	KT_CHECK(worker >= 0 && worker < 6);
	ATOMIC_INC(ended);
}

KT_TEST(hooks_are_called_for_those_who_come_and_go)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 6,
		   .on_worker_start = on_start, .on_worker_stop = on_stop);
	struct pulse_pool *pool;

	started = ended = 0;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_resize(pool, 6), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(started) == 6));
	KT_EQ(pulse_pool_resize(pool, 2), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(ended) == 4));
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(started, ended);
}

KT_TEST(an_adaptive_pool_that_is_idle_does_not_wake_up)
{
	struct pulse_pool *pool = adaptive_of(1, 2, 4, 20);
	uint64_t parks;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit(pool, nothing_task, NULL), 0);
	KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 1));
	KT_CHECK(EVENTUALLY(worker_of(pool, 0).state == PULSE_STATE_PARKED ||
			    worker_of(pool, 1).state == PULSE_STATE_PARKED));
	nap_us(50000);
	parks = stats_of(pool).parks;
	nap_us(300000);
	KT_EQ(stats_of(pool).parks, parks);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- stalls ---------------------------------------------------------------- */

static struct pulse_pool_stall seen[4];
static int stalls, log_lines;
static char log_line[256];

static void on_stall(void *arg, const struct pulse_pool_stall *s)
{
	KT_EQ((intptr_t)arg, 11);
	if (ATOMIC_GET(stalls) < 4)
		seen[ATOMIC_GET(stalls)] = *s;
	ATOMIC_INC(stalls);
}

static void keep_line(int level, const char *line, void *arg)
{
	(void)arg;
	if (level == PULSE_LOG_WARN && strstr(line, "stall_ms")) {
		snprintf(log_line, sizeof(log_line), "%s", line);
		ATOMIC_INC(log_lines);
	}
}

KT_TEST(a_task_that_takes_too_long_is_named_once)
{
	PULSE_OPTS(pulse_pool_opts, opts, .name = "slow", .num_workers = 2,
		   .stall_ms = 1000, .on_stall = on_stall,
		   .hook_arg = (void *)11);
	struct pulse_pool *pool;
	int inside = 0;
	struct gate g;
	long n = 0;

	stalls = log_lines = 0;
	pulse_log_set_sink(keep_line, NULL);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 1000; i++)	/* short ones are not */
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	gate_init(&g);
	KT_EQ(pulse_pool_submit(pool, gate_task, &g), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(stalls) == 1));
	KT_CHECK(seen[0].fn == gate_task && seen[0].data == &g);
	KT_EQ(seen[0].state, PULSE_STATE_BLOCKED);
	KT_CHECK(seen[0].running_ns >= 1000000000);
	KT_CHECK(seen[0].worker >= 0 && seen[0].worker < 2);
	nap_us(1500000);
	KT_EQ(ATOMIC_GET(stalls), 1);	/* not again and again */
	sem_post(&g.open);
	KT_EQ(pulse_pool_wait(pool), 0);
	stop_spinning = 0;
	KT_EQ(pulse_pool_submit(pool, spins, &inside), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(stalls) == 2));
	KT_CHECK(seen[1].fn == spins);
	KT_CHECK(seen[1].state != PULSE_STATE_BLOCKED);
	ATOMIC_SET(stop_spinning, 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(log_lines, 2);
	KT_CHECKF(strstr(log_line, "pool slow: task ") &&
		  strstr(log_line, "on worker"), "%s", log_line);
}

/* U04: with all there is switched on. */
KT_TEST(create_survives_each_failing_allocation)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 4,
		   .enable_adaptive_sizing = PULSE_ON, .stall_ms = 1000,
		   .enable_latency = PULSE_ON);
	int failed = 0;

	for (long i = 1; i < 1000; i++) {
		struct pulse_pool *pool;
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_pool_create(&opts, &pool);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			KT_EQ(pulse_pool_destroy(pool), 0);
			break;
		}
		if (err) {
			KT_EQ(err, -ENOMEM);
			KT_CHECK(!pool);
			failed++;
		} else {
			KT_EQ(pulse_pool_destroy(pool), 0);
		}
	}
	KT_CHECK(failed > 20);
}

static bool not_all_can_be_had(struct pulse_pool *pool)
{
	int err;

	KT_EQ(pulse_pool_resize(pool, 1), 0);
	KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 1));
	pulse__alloc_fail_at(2);
	err = pulse_pool_resize(pool, 3);
	pulse__alloc_fail_at(0);
	return err == -EAGAIN;
}

/* U05: the thread that grow wanted is not to be had, then it is. */
KT_TEST(a_thread_that_cannot_be_had_now_is_had_later)
{
	struct pulse_pool *pool = adaptive_of(1, 1, 3, 60000);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	pulse_log_set_level(PULSE_LOG_ERROR);
	gate_init(&g);
	KT_EQ(pulse_pool_submit(pool, gate_task, &g), 0);
	sem_wait_all(&g.inside, 1);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&n, __ATOMIC_RELAXED) == 1));
	KT_CHECK(pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_pool_num_workers(pool), 2);
	sem_post(&g.open);
	pulse_log_set_level(PULSE_LOG_INFO);
	KT_EQ(pulse_pool_destroy(pool), 0);
	pool = NULL;
	{
		PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
			   .max_workers = 3);

		KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
		/* Unless what fails is something that the first one can do without. */
		KT_CHECK(EVENTUALLY(not_all_can_be_had(pool)));
		KT_EQ(pulse_pool_num_workers(pool), 2);
		KT_EQ(pulse_pool_resize(pool, 3), 0);
		KT_EQ(pulse_pool_num_workers(pool), 3);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

static void count_errors(int level, const char *line, void *arg)
{
	if (level == PULSE_LOG_ERROR && strstr(line, "cannot start"))
		ATOMIC_INC(*(int *)arg);
}

/* There is a place in the pool, but none in the context it shares. */
KT_TEST(a_full_context_is_said_once_not_again_and_again)
{
	PULSE_OPTS(pulse_ctx_opts, copts, .max_workers = 2);
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .max_workers = 4,
		   .min_workers = 1, .enable_adaptive_sizing = PULSE_ON);
	struct pulse_ctx *ctx;
	struct pulse_pool *pool;
	int errors = 0;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pulse_ctx_create(&copts, &ctx) == 0);
	opts.ctx = ctx;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	pulse_log_set_sink(count_errors, &errors);
	KT_REQUIRE(gate_close(&g, pool));
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(errors) >= 1));
	nap_us(300000);
	KT_CHECKF(ATOMIC_GET(errors) <= 2, "%d lines", errors);
	KT_CHECK(EVENTUALLY(pulse_pool_num_workers(pool) == 2));
	sem_post(&g.open);
	sem_post(&g.open);
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(n, 10);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_MAIN()

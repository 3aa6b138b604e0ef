// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers that look around ask those who fork for a job: no beat is needed, they
 * ask seldom, and who has gone is not asked.
 */
#include <pulse-u/pool_stats.h>

#include "fork_helpers.h"

/* So long that who found nothing is still looking when it is asked about. */
#define LOOKS_AROUND_US		30000000U

static struct pulse_pool *looking_pool(uint32_t workers, uint32_t beat_us)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .spin_us = LOOKS_AROUND_US,
		   .heartbeat_interval_us = beat_us);
	struct pulse_pool *pool = NULL;

	if (pulse_pool_create(&opts, &pool))
		return NULL;
	return pool;
}

struct forking {
	struct pulse_pool *pool;
	uint64_t until;		/* jobs are taken */
	int64_t end;
	bool ok;
};

/* Its heart begins after so few forks that it shares nothing of itself. */
static void fork_until_taken(void *arg)
{
	struct forking *f = arg;
	struct fib fib20 = { .n = 20 };

	while (stats_of(f->pool).jobs_taken < f->until && pulse_now_ns() < f->end)
		fib(&fib20);
	f->ok = stats_of(f->pool).jobs_taken >= f->until && fib20.result == 6765;
}

static bool jobs_are_taken(struct pulse_pool *pool, uint64_t nr)
{
	struct forking f = { pool, stats_of(pool).jobs_taken + nr,
			     until_end_ns(), false };

	return !pulse_fork_run(pool, fork_until_taken, &f) && f.ok;
}

KT_TEST(a_heart_that_stands_still_is_made_up_for)
{
	struct pulse_pool *pool = looking_pool(2, 100);

	KT_REQUIRE(pool);
	pool->beats = &quick_heart;	/* never changes here */
	KT_CHECK(jobs_are_taken(pool, 20));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void fork_much(void *arg)
{
	struct fib f = { .n = 20 };

	(void)arg;
	for (int i = 0; i < 300; i++)
		fib(&f);
}

KT_TEST(nobody_asks_more_than_four_times_a_beat)
{
	struct pulse_pool *pool = looking_pool(3, 60000000);
	int64_t start = pulse_now_ns();
	uint64_t nr;

	KT_REQUIRE(pool);
	pool->beats = &quick_heart;
	KT_EQ(pulse_fork_run(pool, fork_much, NULL), 0);
	/*
	 * Each of three may be asked at once, and then every 15 s; and a heart that
	 * begins late shares a job of itself.
	 */
	nr = stats_of(pool).jobs_shared;
	kt_note("%llu shared", (unsigned long long)nr);
	KT_CHECK(nr <= 20 + 3 * (uint64_t)(pulse_now_ns() - start) /
		       15000000000U);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(nothing_is_shared_on_request_without_a_heart)
{
	struct pulse_pool *pool = looking_pool(2, 100);
	struct fib f = { .n = 25 };
	uint64_t before;

	KT_REQUIRE(pool);
	KT_CHECK(jobs_are_taken(pool, 1));
	KT_EQ(pulse_pool_set_heartbeat(pool, 0), 0);
	KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	/* Each worker that forks has heard of it by now. */
	KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	before = stats_of(pool).jobs_shared;
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
	KT_EQ(stats_of(pool).jobs_shared, before);
	KT_EQ(pulse_pool_set_heartbeat(pool, 100), 0);
	KT_CHECK(jobs_are_taken(pool, 3));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct telling {
	struct pulse_pool *pool;
	bool wanted;		/* that its heart is told */
	bool told;
};

/* After so many beats, what the worker has said about the last one. */
static void hear_some(void *arg)
{
	struct telling *t = arg;
	struct pulse__worker *w = pulse__pool_self;
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse_ctx *ctx = t->pool->ctx;
	int64_t end = until_end_ns();
	uint64_t behind;

	warm_up();
	do {
		quick();
		pulse_join2(nothing_job, NULL, nothing_job, NULL);
		behind = READ_ONCE(self->seen) - READ_ONCE(ctx->uwork[w->index].heard);
		t->told = behind == 0;
	} while (t->told != t->wanted && pulse_now_ns() < end);
}

KT_TEST(a_heart_is_told_of_what_was_heard_while_somebody_is_parked)
{
	struct pulse_pool *pool = quick_pool(2);
	struct telling t = { .pool = pool, .wanted = true };

	KT_REQUIRE(pool);
	KT_EQ(pulse_fork_run(pool, hear_some, &t), 0);
	KT_CHECK(t.told);
	KT_EQ(pulse_pool_destroy(pool), 0);

	pool = looking_pool(2, 100);
	KT_REQUIRE(pool);
	pool->beats = &quick_heart;
	t = (struct telling){ .pool = pool, .wanted = false };
	KT_EQ(pulse_fork_run(pool, hear_some, &t), 0);
	KT_CHECK(!t.told);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- those who go ----------------------------------------------------------- */

#define LEAVERS		100

static void fork_and_leave(void *arg)
{
	struct fib f = { .n = 14 };

	warm_up();
	fib(&f);
	ATOMIC_INC(*(long *)arg);
	pthread_exit(NULL);
}

KT_TEST(threads_end_while_they_are_asked)
{
	struct pulse_pool *pool = looking_pool(3, 20);
	long left = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < LEAVERS; i++)
		KT_EQ(pulse_pool_submit(pool, fork_and_leave, &left), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(left) == LEAVERS));
	KT_CHECK(jobs_are_taken(pool, 3));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_pool_that_grows_and_shrinks_asks)
{
	struct pulse_pool *pool = looking_pool(4, 20);
	struct fib f = { .n = 18 };

	KT_REQUIRE(pool);
	for (int i = 0; i < 30; i++) {
		KT_EQ(pulse_pool_resize(pool, 1 + (uint32_t)i % 4), 0);
		KT_EQ(pulse_fork_run(pool, fib, &f), 0);
		KT_EQ(f.result, 2584);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

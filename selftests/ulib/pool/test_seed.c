// SPDX-License-Identifier: GPL-2.0-only
/*
 * The deterministic mode: the same seed runs the same interleaving, others run
 * others; it finds a race that needs a certain order; and all that a pool does
 * works in it.
 */
#include <pulse-u/task.h>

#include "helpers.h"

#define WORK(f, a, ...)							\
	((struct pulse_work){ .sz = sizeof(struct pulse_work), .fn = (f), \
			      .arg = (a), __VA_ARGS__ })

static struct pulse_pool *seeded(uint64_t seed, uint32_t workers)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers, .seed = seed);
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

/* What happened, in order; no lock: only one runs at a time. */
static struct {
	uint16_t step[4096];
	unsigned int nr;
} journal;

static void note(int task, int what)
{
	if (journal.nr < ARRAY_SIZE(journal.step))
		journal.step[journal.nr++] =
			(uint16_t)(task * 64 + what * 16 +
				   pulse_pool_current_worker());
}

static void child_task(void *arg)
{
	note((int)(intptr_t)arg, 3);
}

static void parent_task(void *arg)
{
	int me = (int)(intptr_t)arg;

	note(me, 0);
	pulse_pool_submit(pulse_pool_current(), child_task, arg);
	note(me, 1);
	pulse_task_yield();
	note(me, 2);
}

static uint64_t history(uint64_t seed, unsigned int *nr)
{
	struct pulse_pool *pool = seeded(seed, 3);
	uint64_t hash = 14695981039346656037ULL;

	journal.nr = 0;
	for (intptr_t i = 0; i < 12; i++)
		KT_EQ(pulse_pool_submit(pool, parent_task, (void *)i), 0);
	nap_us((long)(seed % 3) * 500);	/* nothing runs meanwhile */
	KT_EQ(journal.nr, 0);
	KT_EQ(pulse_pool_queue_length(pool), 12);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	for (unsigned int i = 0; i < journal.nr; i++)
		hash = (hash ^ journal.step[i]) * 1099511628211ULL;
	*nr = journal.nr;
	return hash;
}

KT_TEST(the_same_seed_runs_the_same_history)
{
	uint64_t first[20];
	unsigned int nr, same = 0;

	for (uint64_t s = 0; s < 20; s++) {
		first[s] = history(s + 1, &nr);
		KT_EQ(nr, 48);
	}
	for (int round = 0; round < 3; round++) {
		for (uint64_t s = 0; s < 20; s++)
			KT_CHECKF(history(s + 1, &nr) == first[s],
				  "seed %d", (int)s + 1);
	}
	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < i; k++)
			same += first[i] == first[k];
	}
	KT_EQ(same, 0);
}

/* Lost update: only where one reads between the other's read and write. */
static int account;

static void deposits(void *arg)
{
	int seen = account;

	(void)arg;
	pulse_task_yield();
	account = seen + 1;
}

static int deposits_with(uint64_t seed)
{
	struct pulse_pool *pool = seeded(seed, 2);

	account = 0;
	KT_EQ(pulse_pool_submit(pool, deposits, NULL), 0);
	KT_EQ(pulse_pool_submit(pool, deposits, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	return account;
}

KT_TEST(a_race_is_found_and_found_again)
{
	uint64_t bad = 0, good = 0;

	for (uint64_t s = 1; s < 100 && !(bad && good); s++) {
		if (deposits_with(s) == 2)
			good = s;
		else
			bad = s;
	}
	KT_CHECK(bad && good);
	for (int i = 0; i < 20; i++) {
		KT_EQ(deposits_with(bad), 1);
		KT_EQ(deposits_with(good), 2);
	}
}

static void prios(void *arg)
{
	note((int)(intptr_t)arg, 0);
}

KT_TEST(priorities_hold)
{
	struct pulse_pool *pool = seeded(7, 3);

	KT_REQUIRE(pool);
	journal.nr = 0;
	for (int i = 0; i < 30; i++) {
		struct pulse_task t = { .sz = sizeof(t), .fn = prios,
					.data = (void *)(intptr_t)(i % 3),
					.priority = i % 3 - 1 };

		KT_EQ(pulse_pool_submit_task(pool, &t), 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(journal.nr, 30);
	for (int i = 0; i < 30; i++)
		KT_EQ(journal.step[i] / 64, 2 - i / 10);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct nest {
	struct pulse_pool *pool;
	int depth;
};

static int nests(void *arg, void **value)
{
	struct nest *n = arg, kid = *n;
	struct pulse_work w = WORK(nests, &kid);

	(void)value;
	if (!n->depth)
		return 0;
	kid.depth--;
	KT_EQ(pulse_pool_submit_wait(n->pool, &w, PULSE_FOREVER, NULL), 0);
	return 0;
}

static int item(const void *in, void *out, void *arg)
{
	(void)arg;
	pulse_task_yield();
	*(int *)out = *(const int *)in + 1;
	return 0;
}

static void exits(void *arg)
{
	count_task(arg);
	pthread_exit(NULL);
}

KT_TEST(handles_maps_and_lost_threads_work_there_too)
{
	struct pulse_pool *pool = seeded(3, 4);
	struct nest n = { .pool = pool, .depth = 3 };
	struct pulse_work w = WORK(nests, &n);
	int in[10] = { 0 }, out[10] = { 0 };
	struct pulse_map map = { .sz = sizeof(map), .items = in,
				 .item_bytes = sizeof(*in), .nr = 10,
				 .out = out, .out_bytes = sizeof(*out),
				 .fn = item };
	struct pulse_results *r;
	struct pulse_result one;
	long count = 0;
	int err;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_pool_map(pool, &map), 0);
	for (int i = 0; i < 10; i++)
		KT_EQ(out[i], 1);
	KT_EQ(pulse_pool_spawn_batch(pool, &w, 1, &r), 0);
	/* Its turn may have come and gone by now. */
	err = pulse_results_next(r, 0, &one, NULL);
	if (err) {
		KT_EQ(err, -ETIMEDOUT);
		KT_EQ(pulse_results_next(r, PULSE_FOREVER, &one, NULL), 0);
	}
	KT_EQ(pulse_results_destroy(r), 0);
	for (int i = 0; i < 10; i++) {
		KT_EQ(pulse_pool_submit(pool, exits, &count), 0);
		KT_EQ(pulse_pool_submit(pool, count_task, &count), 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(count, 20);
	KT_EQ(pulse_pool_resize(pool, 2), -EOPNOTSUPP);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(the_end_drains_and_stop_cancels)
{
	struct pulse_pool *pool = seeded(5, 0);
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_num_workers(pool), 4);	/* on each machine */
	for (int i = 0; i < 50; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 50);
	pool = seeded(5, 2);
	KT_REQUIRE(pool);
	for (int i = 0; i < 50; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_stop(pool), 50);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 50);
}

KT_TEST(a_full_queue_says_so)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .seed = 9,
		   .task_queue_size = 8);
	struct pulse_pool *pool;
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 8; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), -EAGAIN);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 8);
}

/* U04 */
KT_TEST(create_survives_each_failing_allocation)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .seed = 1);
	int failed = 0;

	for (long i = 1; i < 1000; i++) {
		struct pulse_pool *pool;
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_pool_create(&opts, &pool);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(pulse_pool_destroy(pool), 0);
			break;
		}
		if (err)
			failed++;
		else
			KT_EQ(pulse_pool_destroy(pool), 0);
	}
	KT_CHECK(failed > 10);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * U06: ten thousand workers in a process, in pools of as many as one takes: all are
 * there at once, each takes part, and all end.
 */
#include "helpers.h"

#include <pulse-u/backend.h>

#define POOLS_MAX	16

static struct pulse_pool *pools[POOLS_MAX];
static struct gate gates[POOLS_MAX];

/* Threads of this process, as the system counts them. */
static long threads(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long n = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Threads: %ld", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

/* As many of @left as fit into one more pool. */
static int one_more(struct pulse_pool **out, long left)
{
	PULSE_OPTS(pulse_pool_opts, o, .task_queue_size = 64,
		   .spin_us = PULSE_OFF, .num_workers =
		   left < PULSE_MAX_WORKERS ? (uint32_t)left : PULSE_MAX_WORKERS);

	return pulse_pool_create(&o, out);
}

/* A queue is shorter than its workers are many. */
static bool submit(struct pulse_pool *pool, pulse_task_fn fn, void *arg)
{
	return EVENTUALLY(pulse_pool_submit(pool, fn, arg) != -EAGAIN);
}

static void all_inside(struct gate *g, struct pulse_pool *pool)
{
	int n = pulse_pool_num_workers(pool);

	gate_init(g);
	for (int i = 0; i < n; i++)
		KT_REQUIRE(submit(pool, gate_task, g));
	sem_wait_all(&g->inside, n);
}

static void use_and_end(int nr, long workers)
{
	long ran = 0, before = threads();

	KT_CHECK(before > workers);
	/* All of them at once. */
	for (int i = 0; i < nr; i++)
		all_inside(&gates[i], pools[i]);
	for (int i = 0; i < nr; i++) {
		KT_EQ(pulse_pool_active_workers(pools[i]),
		      pulse_pool_num_workers(pools[i]));
		gate_open(&gates[i], pools[i]);
	}
	for (long n = 0; n < 10 * workers; n++)
		KT_REQUIRE(submit(pools[n % nr], count_task, &ran));
	for (int i = 0; i < nr; i++)
		KT_EQ(pulse_pool_wait(pools[i]), 0);
	KT_EQ(ran, 10 * workers);
	for (int i = 0; i < nr; i++)
		KT_EQ(pulse_pool_destroy(pools[i]), 0);
	KT_CHECK(EVENTUALLY(threads() <= before - workers));
}

KT_TEST(ten_thousand_workers)
{
	const long workers = kt_scale(10000);
	long left = workers;
	int nr = 0, err = 0;

	while (left && nr < POOLS_MAX && !err) {
		err = one_more(&pools[nr], left);
		if (!err)
			left -= pulse_pool_num_workers(pools[nr++]);
	}
	if (err) {
		while (nr)
			KT_EQ(pulse_pool_destroy(pools[--nr]), 0);
		/* More threads than this machine lets us have are told as that. */
		KT_CHECK(err == -EAGAIN || err == -ENOMEM);
		KT_SKIP("no %ld threads: %s", workers, pulse_strerror(err));
	}
	KT_EQ(left, 0);
	KT_CHECK(workers < 10000 || nr == 3);
	use_and_end(nr, workers);
}

KT_MAIN()

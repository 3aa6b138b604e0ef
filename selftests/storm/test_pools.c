// SPDX-License-Identifier: GPL-2.0-only
/*
 * L14: many pools of many threads in one process, each with a context of its own.
 * Their tasks block, give way and make more tasks; pools are ended with work in them
 * and begun again. No task is lost or run twice, and the module's books are empty
 * afterwards.
 *
 *	PULSE_TEST_SCALE	percent of 64 pools; each has 64 threads
 *	PULSE_STORM_SECONDS	how long, 10 if not said; 600 for the long one
 */
#include <pulse-u/backend.h>
#include <pulse-u/pool.h>

#include "base/base.h"
#include "ktap.h"
#include "../kmod/dev.h"

#define POOLS	64
#define THREADS	64
#define BATCH	128

/* A pool, and the count of tasks that it accepted and that were run. */
static struct home {
	struct pulse_pool *pool;
	long accepted, run, refused, failed;
	int ending;		/* from here on it may be shut */
} homes[POOLS];

static int nr_homes;

static bool give(struct home *to, pulse_task_fn fn)
{
	int err = pulse_pool_submit(to->pool, fn, to);

	if (!err)
		__atomic_fetch_add(&to->accepted, 1, __ATOMIC_RELAXED);
	else if (err == -EAGAIN ||
		 (err == -ESHUTDOWN && __atomic_load_n(&to->ending, __ATOMIC_RELAXED)))
		__atomic_fetch_add(&to->refused, 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&to->failed, 1, __ATOMIC_RELAXED);
	return !err;
}

static void leaf_task(void *arg)
{
	struct home *own = arg;

	__atomic_fetch_add(&own->run, 1, __ATOMIC_RELAXED);
}

/* Some work, a little sleep now and then, and another task for its own pool. */
static void busy_task(void *arg)
{
	struct home *own = arg;
	long n = __atomic_fetch_add(&own->run, 1, __ATOMIC_RELAXED);

	if (n % 64 == 0)
		usleep(500);
	else if (n % 16 == 0)
		sched_yield();
	give(own, leaf_task);
}

static bool home_begin(struct home *h)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = THREADS,
		   .task_queue_size = 256);

	memset(h, 0, sizeof(*h));
	return KT_CHECK(pulse_pool_create(&opts, &h->pool) == 0);
}

static void home_end(struct home *h)
{
	__atomic_store_n(&h->ending, 1, __ATOMIC_RELAXED);
	KT_EQ(pulse_pool_destroy(h->pool), 0);
	h->pool = NULL;
	KT_EQ(h->failed, 0);
	KT_CHECKF(h->run == h->accepted, "%ld accepted, %ld run", h->accepted, h->run);
}

static long long number(const char *name, long long other)
{
	const char *text = getenv(name);

	return text && *text ? strtoll(text, NULL, 0) : other;
}

KT_TEST(many_pools_of_many_threads_lose_no_task)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	long long seconds = number("PULSE_STORM_SECONDS", 10), end;
	long rounds = 0, refused = 0;
	long long contexts = sysfs_read("contexts");
	long total = 0;
	int i;

	nr_homes = (int)kt_scale(POOLS);
	nr_homes = nr_homes < 2 ? 2 : nr_homes > POOLS ? POOLS : nr_homes;
	alarm(0);		/* how long it takes is said above */
	pulse_backend_info(&info);
	for (i = 0; i < nr_homes; i++)
		KT_REQUIRE(home_begin(&homes[i]));
	end = now_ns() + seconds * NS_PER_SEC;
	do {
		struct home *next = &homes[rounds++ % nr_homes];

		for (i = 0; i < nr_homes; i++)
			for (int n = 0; n < BATCH; n++)
				if (!give(&homes[i], busy_task))
					break;
		/* one is ended with all it has, and another comes in its place */
		total += next->accepted;
		refused += next->refused;
		home_end(next);
		KT_REQUIRE(home_begin(next));
	} while (now_ns() < end);
	for (i = 0; i < nr_homes; i++) {
		home_end(&homes[i]);
		total += homes[i].accepted;
		refused += homes[i].refused;
	}
	kt_note("backend %s, %d pools of %d threads, %ld rounds, %ld tasks, %ld refused",
		info.name, nr_homes, THREADS, rounds, total, refused);
	KT_CHECK(total > nr_homes);
	if (contexts >= 0)
		KT_CHECK(EVENTUALLY(sysfs_read("contexts") <= contexts + 1));
}

KT_MAIN()

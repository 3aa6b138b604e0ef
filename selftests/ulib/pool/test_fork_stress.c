// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forks for a while: trees of random shape from several threads into pools that
 * run tasks as well, four workers a CPU, hearts quick and slow. Each leaf of a
 * tree counts once.
 */
#include <sched.h>

#include "fork_helpers.h"

struct tree {
	uint64_t seed;
	uint32_t leaves;
	bool quick;
	uint64_t sum;		/* out */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	return x;
}

/* What the leaf there is worth. */
static uint64_t leaf(uint64_t seed)
{
	return mix(seed) & 0xffff;
}

static void tree(void *arg)
{
	struct tree *t = arg, a, b;
	uint64_t r = mix(t->seed);

	if (t->quick && r % 4 == 0)
		quick();
	if (t->leaves == 1) {
		if (r % 1024 == 0)
			sched_yield();
		t->sum = leaf(t->seed);
		return;
	}
	a = (struct tree){ .seed = t->seed * 3 + 1, .quick = t->quick };
	a.leaves = 1 + (uint32_t)(r % (t->leaves - 1));
	b = (struct tree){ .seed = t->seed * 5 + 2, .quick = t->quick };
	b.leaves = t->leaves - a.leaves;
	if (r & (1ULL << 40)) {
		pulse_join2(tree, &a, tree, &b);
	} else {
		struct pulse_job job;

		pulse_fork(&job, tree, &b);
		tree(&a);
		pulse_join(&job);
	}
	t->sum = a.sum + b.sum;
}

static uint64_t tree_of(uint64_t seed, uint32_t leaves)
{
	uint64_t r = mix(seed);
	uint32_t left;

	if (leaves == 1)
		return leaf(seed);
	left = 1 + (uint32_t)(r % (leaves - 1));
	return tree_of(seed * 3 + 1, left) + tree_of(seed * 5 + 2,
						     leaves - left);
}

struct grower {
	struct pulse_pool *pool;
	pthread_t thread;
	uint64_t seed;
	long rounds, wrong;
	bool quick;
};

static void *grower_main(void *arg)
{
	struct grower *g = arg;

	for (long i = 0; i < g->rounds; i++) {
		uint32_t leaves = 1 + (uint32_t)(mix(g->seed + (uint64_t)i) %
						 3000);
		struct tree t = { .seed = g->seed + (uint64_t)i,
				  .leaves = leaves, .quick = g->quick };
		int ret;

		while ((ret = pulse_fork_run(g->pool, tree, &t)) == -EAGAIN)
			sched_yield();
		g->wrong += ret || t.sum != tree_of(t.seed, leaves);
	}
	return NULL;
}

static void grow(uint32_t workers, int threads, long rounds, bool quick,
		 int spin_us)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .spin_us = spin_us);
	struct pulse_pool *pool;
	struct grower g[8];
	long tasks = 0, sent = 0;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	if (quick)
		pool->beats = &quick_heart;
	for (int i = 0; i < threads; i++) {
		g[i] = (struct grower){ .pool = pool, .rounds = rounds,
					.quick = quick,
					.seed = (uint64_t)i << 32 };
		KT_REQUIRE(!pthread_create(&g[i].thread, NULL, grower_main,
					   &g[i]));
	}
	/* Plain tasks in between: a waiter must not swallow their wake-ups. */
	for (; sent < rounds * 2; sent++) {
		KT_EQ(pulse_pool_submit(pool, count_task, &tasks), 0);
		if (!EVENTUALLY(__atomic_load_n(&tasks, __ATOMIC_RELAXED) >
				sent)) {
			KT_FAIL("task %ld was left lying", sent);
			break;
		}
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(g[i].thread, NULL);
		KT_EQ(g[i].wrong, 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	kt_note("%u workers, %d trees at once: %llu shared, %llu taken",
		workers, threads,
		(unsigned long long)stats_of(pool).jobs_shared,
		(unsigned long long)stats_of(pool).jobs_taken);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

KT_TEST(trees_with_the_backends_heart)
{
	grow(2, 1, kt_scale(1000), false, PULSE_DEFAULT);
	grow(4, 3, kt_scale(500), false, PULSE_DEFAULT);
}

KT_TEST(trees_with_a_quick_heart)
{
	grow(2, 1, kt_scale(500), true, PULSE_DEFAULT);
	grow(3, 2, kt_scale(300), true, PULSE_OFF);
	grow(4, 4, kt_scale(200), true, 200);
}

KT_TEST(four_workers_a_cpu)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t workers = (uint32_t)(cpus > 8 ? 32 : cpus * 4);

	grow(workers, 3, kt_scale(200), true, PULSE_DEFAULT);
	grow(workers, 3, kt_scale(200), false, PULSE_OFF);
}

/* Two workers, one slot, nothing else: the last step of each tree is a race. */
static void tiny_wait(void *arg)
{
	struct tree *t = arg;

	/* As long as a thief may need, a little more or less. */
	for (uint64_t i = mix(t->seed) % 64; i; i--)
		cpu_relax();
	t->sum = leaf(1);
}

static void tiny(void *arg)
{
	struct tree *t = arg, a = { .seed = t->seed }, b = { .seed = 2 };

	quick();
	b.leaves = 1;
	pulse_join2(tiny_wait, &a, tree, &b);
	t->sum = a.sum + b.sum;
}

static void tinies(void *arg)
{
	struct tree *t = arg;
	uint64_t want = leaf(1) + leaf(2);

	warm_up();
	for (uint32_t i = 0; i < t->leaves; i++) {
		struct tree one = { .seed = i };

		tiny(&one);
		t->sum += one.sum != want;
	}
}

KT_TEST(one_job_taken_or_taken_back)
{
	struct tree t = { .leaves = (uint32_t)kt_scale(300000) };
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .spin_us = 1000000);
	struct pulse_pool *pool;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	pool->beats = &quick_heart;
	KT_EQ(pulse_fork_run(pool, tinies, &t), 0);
	KT_EQ(t.sum, 0);
	kt_note("%llu taken of %llu",
		(unsigned long long)stats_of(pool).jobs_taken,
		(unsigned long long)stats_of(pool).jobs_shared);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

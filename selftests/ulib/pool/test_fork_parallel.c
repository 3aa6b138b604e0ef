// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops, reductions and calls on top of fork and join: every index once, parts
 * in order, the same bits each time; calls immediate, deferred, taken back.
 */
#include "fork_helpers.h"

struct loop {
	unsigned char *seen;
	size_t begin, end, grain;
	long parts, bad;
	bool quick;
};

static void loop_body(void *arg, size_t begin, size_t end)
{
	struct loop *l = arg;

	if (l->quick)
		quick();
	__atomic_fetch_add(&l->parts, 1, __ATOMIC_RELAXED);
	if (begin >= end || begin < l->begin || end > l->end ||
	    (l->grain && ((begin - l->begin) % l->grain ||
			  (end != l->end && end - begin != l->grain))))
		__atomic_fetch_add(&l->bad, 1, __ATOMIC_RELAXED);
	for (size_t i = begin; i < end; i++)
		l->seen[i - l->begin]++;
}

static void loop_check(struct pulse_pool *pool, size_t begin, size_t nr,
		       size_t grain, bool quick)
{
	struct loop l = { .begin = begin, .end = begin + nr, .grain = grain,
			  .quick = quick };
	size_t wrong = 0;

	l.seen = calloc(nr + 1, 1);
	KT_REQUIRE(l.seen);
	KT_EQ(pulse_parallel_for(pool, begin, begin + nr, grain, loop_body, &l),
	      0);
	for (size_t i = 0; i < nr; i++)
		wrong += l.seen[i] != 1;
	if (grain)
		KT_EQ(l.parts, nr / grain + !!(nr % grain));
	else
		KT_CHECK(l.parts <= 2048 && (nr > 2048 || l.parts == (long)nr));
	KT_CHECKF(!wrong && !l.bad, "%zu from %zu by %zu: %zu indices, %ld parts",
		  nr, begin, grain, wrong, l.bad);
	free(l.seen);
}

static void loops(struct pulse_pool *pool, bool quick)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 7, 64, 1000, 2047, 2048,
					2049, 65537, 100003 };
	static const size_t grains[] = { 0, 1, 2, 3, 10, 64, 999, 200000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(grains); k++)
			loop_check(pool, i * 13, sizes[i], grains[k], quick);
	}
	loop_check(pool, SIZE_MAX - 1000, 1000, 7, quick);
}

KT_TEST(a_loop_sees_each_index_once)
{
	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		loops(pool, false);
		KT_EQ(pulse_pool_destroy(pool), 0);
		pool = quick_pool(workers);
		KT_REQUIRE(pool);
		loops(pool, true);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

static void loops_task(void *arg)
{
	loops(arg, true);
}

KT_TEST(a_loop_from_a_task)
{
	struct pulse_pool *pool = quick_pool(3);

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit(pool, loops_task, pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Four parts, each of them long: the last two begin while the second waits. */
struct coarse {
	int begun, met;
};

static void coarse_body(void *arg, size_t begin, size_t end)
{
	struct coarse *c = arg;

	(void)end;
	if (begin == 0)
		nap_us(1000);
	else if (begin == 1)
		ATOMIC_SET(c->met, EVENTUALLY(ATOMIC_GET(c->begun)));
	else
		ATOMIC_SET(c->begun, 1);
}

KT_TEST(a_loop_of_few_long_parts_is_shared)
{
	struct pulse_pool *pool = pool_of(2, 0);

	KT_REQUIRE(pool);
	for (int i = 0; i < 5; i++) {
		struct coarse c = { .begun = 0 };

		KT_EQ(pulse_parallel_for(pool, 0, 4, 1, coarse_body, &c), 0);
		KT_EQ(c.met, 1);
		nap_us(10000);		/* the heart stops in between */
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct grid {
	struct pulse_pool *pool;
	long cells;
};

static void grid_row(void *arg, size_t begin, size_t end)
{
	struct grid *g = arg;

	quick();
	__atomic_fetch_add(&g->cells, (long)(end - begin), __ATOMIC_RELAXED);
}

static void grid_rows(void *arg, size_t begin, size_t end)
{
	struct grid *g = arg;

	for (size_t i = begin; i < end; i++)
		KT_EQ(pulse_parallel_for(g->pool, 0, 100 + i, 3, grid_row, g),
		      0);
}

KT_TEST(loops_in_loops)
{
	struct grid g = { .pool = quick_pool(4) };

	KT_REQUIRE(g.pool);
	KT_EQ(pulse_parallel_for(g.pool, 0, 100, 1, grid_rows, &g), 0);
	KT_EQ(g.cells, 100 * 100 + 99 * 100 / 2);
	KT_EQ(pulse_pool_destroy(g.pool), 0);
}

/* x -> m x + c, modulo 2^64: composition is associative, not commutative. */
struct affine {
	uint64_t m, c;
};

static const struct affine affine_one = { 1, 0 };

static void affine_fold(void *arg, size_t begin, size_t end, void *acc)
{
	const uint64_t more = *(const uint64_t *)arg;
	struct affine *a = acc;

	quick();
	for (size_t i = begin; i < end; i++) {
		uint64_t m = 2 * i + more, c = i * i + 1;

		a->c = a->c * m + c;
		a->m *= m;
	}
}

static void affine_combine(void *arg, void *left, const void *right)
{
	const struct affine *r = right;
	struct affine *l = left;

	KT_EQ(*(const uint64_t *)arg, 3);
	l->c = l->c * r->m + r->c;
	l->m *= r->m;
}

KT_TEST(a_reduction_keeps_the_order)
{
	static const size_t sizes[] = { 1, 2, 3, 100, 1023, 4097, 30011 };
	struct pulse_pool *pool = quick_pool(4);
	uint64_t three = 3;

	KT_REQUIRE(pool);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t grain = 0; grain < 5; grain++) {
			struct pulse_reduce how = {
				.sz = sizeof(how), .begin = 5,
				.end = 5 + sizes[i], .grain = grain,
				.acc_bytes = sizeof(struct affine),
				.identity = &affine_one, .fold = affine_fold,
				.combine = affine_combine, .arg = &three,
			};
			struct affine want = affine_one, got = { 0, 0 };

			affine_fold(&three, 5, 5 + sizes[i], &want);
			KT_EQ(pulse_parallel_reduce(pool, &how, &got), 0);
			KT_CHECK(got.m == want.m && got.c == want.c);
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void float_fold(void *arg, size_t begin, size_t end, void *acc)
{
	(void)arg;
	for (size_t i = begin; i < end; i++)
		*(double *)acc += 1.0 / (double)(i + 1);
}

static void float_combine(void *arg, void *left, const void *right)
{
	(void)arg;
	*(double *)left += *(const double *)right;
}

KT_TEST(a_reduction_gives_the_same_bits_each_time)
{
	struct pulse_reduce how = {
		.sz = sizeof(how), .end = 1000003, .acc_bytes = sizeof(double),
		.fold = float_fold, .combine = float_combine,
	};
	double first = 0, next;

	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		for (int r = 0; r < 5; r++) {
			next = 0;
			KT_EQ(pulse_parallel_reduce(pool, &how, &next), 0);
			if (first == 0)
				first = next;
			KT_CHECK(!memcmp(&first, &next, sizeof(first)));
		}
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
	KT_CHECK(first > 14.39 && first < 14.40);
}

/* The greatest result there may be: how often each byte value was seen. */
struct histogram {
	uint32_t n[PULSE_REDUCE_MAX_BYTES / sizeof(uint32_t)];
};

static void histogram_fold(void *arg, size_t begin, size_t end, void *acc)
{
	struct histogram *h = acc;

	(void)arg;
	quick();
	for (size_t i = begin; i < end; i++)
		h->n[i * 7919 % ARRAY_SIZE(h->n)]++;
}

static void histogram_combine(void *arg, void *left, const void *right)
{
	const struct histogram *r = right;
	struct histogram *l = left;

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(l->n); i++)
		l->n[i] += r->n[i];
}

KT_TEST(a_large_result)
{
	struct pulse_reduce how = {
		.sz = sizeof(how), .end = 1024 * 100,
		.acc_bytes = sizeof(struct histogram), .fold = histogram_fold,
		.combine = histogram_combine, .grain = 100,
	};
	struct pulse_pool *pool = quick_pool(3);
	static struct histogram h;
	int wrong = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_parallel_reduce(pool, &how, &h), 0);
	for (size_t i = 0; i < ARRAY_SIZE(h.n); i++)
		wrong += h.n[i] != 100;
	KT_EQ(wrong, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(bad_loops_and_reductions_are_refused)
{
	struct pulse_reduce good = {
		.sz = sizeof(good), .begin = 3, .end = 3,
		.acc_bytes = sizeof(struct affine), .identity = &affine_one,
		.fold = affine_fold, .combine = affine_combine,
	}, bad;
	struct { struct pulse_reduce how; uint64_t more; } longer;
	struct pulse_pool *pool = pool_of(1, 0);
	struct affine got = { 0, 0 };
	struct loop l = { .begin = 0 };

	KT_REQUIRE(pool);
	KT_EQ(pulse_parallel_for(NULL, 0, 1, 0, loop_body, &l), -EINVAL);
	KT_EQ(pulse_parallel_for(pool, 2, 1, 0, loop_body, &l), -EINVAL);
	KT_EQ(pulse_parallel_for(pool, 0, 1, 0, NULL, &l), -EINVAL);
	KT_EQ(pulse_parallel_reduce(pool, &good, &got), 0);
	KT_CHECK(got.m == 1 && got.c == 0);
	KT_EQ(pulse_parallel_reduce(NULL, &good, &got), -EINVAL);
	KT_EQ(pulse_parallel_reduce(pool, NULL, &got), -EINVAL);
	KT_EQ(pulse_parallel_reduce(pool, &good, NULL), -EINVAL);
	bad = good;
	bad.fold = NULL;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	bad = good;
	bad.combine = NULL;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	bad = good;
	bad.acc_bytes = 0;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	bad.acc_bytes = PULSE_REDUCE_MAX_BYTES + 1;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	bad = good;
	bad.begin = 4;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	bad = good;
	bad.sz = 0;
	KT_EQ(pulse_parallel_reduce(pool, &bad, &got), -EINVAL);
	longer.how = good;
	longer.how.sz = sizeof(longer);
	longer.more = 0;
	KT_EQ(pulse_parallel_reduce(pool, &longer.how, &got), 0);
	longer.more = 1;
	KT_EQ(pulse_parallel_reduce(pool, &longer.how, &got), -E2BIG);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- calls ---------------------------------------------------------------- */

KT_TEST(a_call_is_immediate_where_all_are_busy)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_pcall *call = (void *)1;
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	KT_EQ(pulse_pcall(pool, count_task, &n, &call), 0);
	KT_CHECK(!call);
	KT_EQ(n, 1);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void where_task(void *arg)
{
	ATOMIC_SET(*(int *)arg, pulse_pool_current_worker() + 1);
}

KT_TEST(a_call_is_deferred_where_a_worker_is_idle)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_pcall *call;
	int where = 0;

	KT_REQUIRE(pool);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	KT_EQ(pulse_pcall(pool, where_task, &where, &call), 0);
	KT_REQUIRE(call);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(where) > 0));
	KT_EQ(pulse_pcall_join(call), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct caller {
	struct pulse_pool *pool;
	long n, deferred, rounds;
};

static void caller_task(void *arg)
{
	struct caller *c = arg;

	for (long i = 0; i < c->rounds; i++) {
		struct pulse_pcall *a, *b;

		if (i % 64 == 0)
			nap_us(50);	/* let somebody fall idle */
		KT_EQ(pulse_pcall(c->pool, count_task, &c->n, &a), 0);
		KT_EQ(pulse_pcall(c->pool, count_task, &c->n, &b), 0);
		c->deferred += !!a + !!b;
		KT_EQ(pulse_pcall_join(a), 0);
		KT_EQ(pulse_pcall_join(b), 0);
		if (c->n != 2 * (i + 1)) {
			KT_FAIL("%ld calls ran, not %ld", c->n, 2 * (i + 1));
			break;
		}
	}
}

/* Who joins first, worker or caller: each call once, none left behind. */
KT_TEST(calls_from_tasks_and_from_outside)
{
	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct caller in = { .pool = pool_of(workers, 0),
				     .rounds = kt_scale(5000) }, out = in;

		KT_REQUIRE(in.pool);
		KT_CHECK(EVENTUALLY(all_parked(in.pool)));
		KT_EQ(pulse_pool_submit(in.pool, caller_task, &in), 0);
		caller_task(&out);
		KT_EQ(pulse_pool_wait(in.pool), 0);
		KT_EQ(in.n, 2 * in.rounds);
		kt_note("%u workers: %ld and %ld of %ld deferred", workers,
			in.deferred, out.deferred, 2 * in.rounds);
		KT_EQ(pulse_pool_destroy(in.pool), 0);
	}
}

KT_TEST(a_call_without_memory_is_immediate)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_pcall *call;
	long n = 0;

	KT_REQUIRE(pool);
	KT_CHECK(EVENTUALLY(all_parked(pool)));
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_pcall(pool, count_task, &n, &call), 0);
	KT_CHECK(pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_CHECK(!call);
	KT_EQ(n, 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

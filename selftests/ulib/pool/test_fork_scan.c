// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running results and sorting on top of fork and join: each index in its order,
 * whatever is shared; equal elements as they were.
 */
#include <stdlib.h>

#include "fork_helpers.h"

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* ---- scans ------------------------------------------------------------------ */

/* x -> a * x + b, put together left to right: not commutative. */
struct map {
	uint32_t a, b;
};

struct scan {
	size_t begin;
	const struct map *in;
	struct map *before, *after;
	int *seen;
	bool quick;
};

static void then(struct map *left, const struct map *right)
{
	left->b = left->b * right->a + right->b;
	left->a *= right->a;
}

static void scan_fold(void *arg, size_t begin, size_t end, void *acc)
{
	const struct scan *s = arg;

	if (s->quick)
		quick();
	for (size_t i = begin; i < end; i++)
		then(acc, &s->in[i - s->begin]);
}

static void scan_combine(void *arg, void *left, const void *right)
{
	(void)arg;
	then(left, right);
}

static void scan_emit(void *arg, size_t begin, size_t end, void *acc)
{
	const struct scan *s = arg;
	struct map *m = acc;

	for (size_t i = begin; i < end; i++) {
		s->before[i - s->begin] = *m;
		then(m, &s->in[i - s->begin]);
		s->after[i - s->begin] = *m;
		s->seen[i - s->begin]++;
	}
}

static const struct map same = { 1, 0 };

static struct pulse_scan scan_of(struct scan *s, size_t nr, size_t grain)
{
	return (struct pulse_scan){
		.sz = sizeof(struct pulse_scan), .begin = s->begin,
		.end = s->begin + nr, .grain = grain,
		.acc_bytes = sizeof(struct map), .identity = &same,
		.fold = scan_fold, .combine = scan_combine, .emit = scan_emit,
		.arg = s,
	};
}

static void scan_check(struct pulse_pool *pool, size_t begin, size_t nr,
		       size_t grain, bool quick)
{
	struct scan s = { .begin = begin, .quick = quick };
	struct map *in = calloc(nr + 1, sizeof(*in)), total = { 7, 7 };
	struct map now = same;
	struct pulse_scan how;
	uint32_t seed = (uint32_t)(nr + grain);
	size_t wrong = 0;

	s.before = calloc(nr + 1, sizeof(*s.before));
	s.after = calloc(nr + 1, sizeof(*s.after));
	s.seen = calloc(nr + 1, sizeof(*s.seen));
	KT_REQUIRE(in && s.before && s.after && s.seen);
	for (size_t i = 0; i < nr; i++)
		in[i] = (struct map){ dice(&seed) | 1, dice(&seed) };
	s.in = in;
	how = scan_of(&s, nr, grain);
	KT_EQ(pulse_parallel_scan(pool, &how, &total), 0);
	for (size_t i = 0; i < nr; i++) {
		wrong += memcmp(&s.before[i], &now, sizeof(now)) != 0;
		then(&now, &in[i]);
		wrong += memcmp(&s.after[i], &now, sizeof(now)) != 0;
		wrong += s.seen[i] != 1;
	}
	KT_CHECKF(!wrong && !memcmp(&total, &now, sizeof(now)),
		  "%zu from %zu by %zu: %zu are wrong", nr, begin, grain, wrong);
	free(in);
	free(s.before);
	free(s.after);
	free(s.seen);
}

static void scans(struct pulse_pool *pool, bool quick)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 64, 2047, 2049, 30011 };
	static const size_t grains[] = { 0, 1, 2, 7, 999, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(grains); k++)
			scan_check(pool, i * 13, sizes[i], grains[k], quick);
	}
	scan_check(pool, SIZE_MAX - 1000, 1000, 7, quick);
}

KT_TEST(a_scan_gives_each_index_what_is_before_it)
{
	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		scans(pool, false);
		KT_EQ(pulse_pool_destroy(pool), 0);
		pool = quick_pool(workers);
		KT_REQUIRE(pool);
		scans(pool, true);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* U01, U02 */
KT_TEST(bad_scans_and_sorts_are_refused)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct map in = { 3, 4 }, total;
	struct scan s = { .in = &in };
	struct pulse_scan how = scan_of(&s, 0, 0);
	int x[2] = { 0 };

	KT_REQUIRE(pool);
	KT_EQ(pulse_parallel_scan(pool, &how, &total), 0);
	KT_CHECK(!memcmp(&total, &same, sizeof(same)));
	KT_EQ(pulse_parallel_scan(pool, &how, NULL), 0);
	KT_EQ(pulse_parallel_scan(NULL, &how, &total), -EINVAL);
	KT_EQ(pulse_parallel_scan(pool, NULL, &total), -EINVAL);
#define REFUSED(member, value)						\
	do {								\
		struct pulse_scan bad = how;				\
									\
		bad.member = (value);					\
		KT_EQ(pulse_parallel_scan(pool, &bad, &total), -EINVAL); \
	} while (0)
	REFUSED(fold, NULL);
	REFUSED(combine, NULL);
	REFUSED(emit, NULL);
	REFUSED(acc_bytes, 0);
	REFUSED(acc_bytes, PULSE_REDUCE_MAX_BYTES + 1);
	REFUSED(begin, 1);
	REFUSED(sz, 0);
	/* Results of all parts cannot be had. */
	how.end = SIZE_MAX;
	how.grain = 1;
	KT_EQ(pulse_parallel_scan(pool, &how, &total), -ENOMEM);

	KT_EQ(pulse_parallel_sort(NULL, x, 2, 4, (pulse_compare_fn)1, NULL),
	      -EINVAL);
	KT_EQ(pulse_parallel_sort(pool, NULL, 2, 4, (pulse_compare_fn)1, NULL),
	      -EINVAL);
	KT_EQ(pulse_parallel_sort(pool, x, 2, 0, (pulse_compare_fn)1, NULL),
	      -EINVAL);
	KT_EQ(pulse_parallel_sort(pool, x, 2, 4, NULL, NULL), -EINVAL);
	KT_EQ(pulse_parallel_sort(pool, x, SIZE_MAX, 4, (pulse_compare_fn)1,
				  NULL), -EINVAL);
	KT_EQ(pulse_parallel_sort(pool, NULL, 0, 4, (pulse_compare_fn)1, NULL),
	      0);
	KT_EQ(pulse_parallel_sort(pool, x, 1, 4, (pulse_compare_fn)1, NULL), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- sorting ------------------------------------------------------------------ */

struct order {
	size_t bytes;
	uint32_t keys;		/* so many different ones */
	bool quick;
};

/* The key is in the first two bytes, or the only one; the rest says where it was. */
static uint32_t key_of(const unsigned char *at, size_t bytes)
{
	return bytes < 2 ? at[0] : at[0] + 256u * at[1];
}

static int by_key(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	uint32_t x = key_of(a, o->bytes), y = key_of(b, o->bytes);

	if (o->quick)
		quick();
	return x < y ? -1 : x > y;
}

static size_t place_of(const unsigned char *at, size_t bytes)
{
	size_t place = 0;

	for (size_t i = 2; i < bytes && i < 6; i++)
		place |= (size_t)at[i] << (8 * (i - 2));
	return place;
}

static void sort_check(struct pulse_pool *pool, size_t nr, struct order o,
		       int shape)
{
	unsigned char *at = calloc(nr + 1, o.bytes);
	uint32_t seed = (uint32_t)(nr * 31 + o.bytes), *left;
	size_t wrong = 0;

	left = calloc(65536, sizeof(*left));
	KT_REQUIRE(at && left);
	for (size_t i = 0; i < nr; i++) {
		uint32_t key = shape == 0 ? dice(&seed) % o.keys :
			       shape == 1 ? (uint32_t)(i * o.keys / nr) :
			       (uint32_t)((nr - i) * (o.keys - 1) / nr);
		unsigned char *to = at + i * o.bytes;

		to[0] = (unsigned char)key;
		if (o.bytes > 1)
			to[1] = (unsigned char)(key >> 8);
		for (size_t k = 2; k < o.bytes; k++)
			to[k] = (unsigned char)(k < 6 ? i >> (8 * (k - 2)) : key);
		left[key_of(to, o.bytes)]++;
	}
	at[nr * o.bytes] = 0xa5;	/* behind the end */
	KT_EQ(pulse_parallel_sort(pool, at, nr, o.bytes, by_key, &o), 0);
	for (size_t i = 0; i < nr; i++) {
		const unsigned char *now = at + i * o.bytes;
		const unsigned char *next = now + o.bytes;
		uint32_t key = key_of(now, o.bytes);

		wrong += !left[key]--;
		for (size_t k = 6; k < o.bytes; k++)
			wrong += now[k] != (unsigned char)key;
		if (i + 1 == nr)
			break;
		wrong += key > key_of(next, o.bytes);
		wrong += o.bytes >= 5 && key == key_of(next, o.bytes) &&
			 place_of(now, o.bytes) >= place_of(next, o.bytes);
	}
	KT_CHECKF(!wrong && at[nr * o.bytes] == 0xa5,
		  "%zu of %zu bytes, shape %d: %zu are wrong", nr, o.bytes,
		  shape, wrong);
	free(left);
	free(at);
}

static void sorts(struct pulse_pool *pool, bool quick)
{
	static const size_t sizes[] = { 2, 3, 15, 16, 17, 33, 1000, 4096, 4097,
					8192, 20011 };
	static const size_t bytes[] = { 1, 4, 5, 8, 16, 24 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(bytes); k++) {
			struct order o = { bytes[k], bytes[k] > 1 ? 300 : 200,
					   quick };

			sort_check(pool, sizes[i], o, (int)(i + k) % 3);
			sort_check(pool, sizes[i], o, 0);
		}
	}
}

KT_TEST(a_sort_sorts_and_equals_keep_their_order)
{
	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		sorts(pool, false);
		KT_EQ(pulse_pool_destroy(pool), 0);
		pool = quick_pool(workers);
		KT_REQUIRE(pool);
		sorts(pool, true);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* All keys alike, or all different: where a merge is cut, nothing is lost. */
KT_TEST(long_merges_are_cut_where_equals_stay_in_order)
{
	struct pulse_pool *pool = quick_pool(3);
	static const uint32_t keys[] = { 1, 2, 65536 };

	KT_REQUIRE(pool);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (int shape = 0; shape < 3; shape++) {
			struct order o = { 8, keys[i], false };

			sort_check(pool, 100003, o, shape);
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void inside_task(void *arg)
{
	struct order o = { 8, 300, true };

	sort_check(arg, 20000, o, 0);
	scan_check(arg, 5, 20000, 3, true);
}

KT_TEST(from_tasks_and_in_turn_where_a_seed_draws)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .seed = 3);
	struct pulse_pool *pool = quick_pool(2);

	KT_REQUIRE(pool);
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_pool_submit(pool, inside_task, pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	KT_EQ(pulse_pool_submit(pool, inside_task, pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* U04 */
KT_TEST(without_memory_nothing_is_done)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct order o = { 4, 0, false };
	uint32_t x[3] = { 3, 2, 1 };
	struct map in = { 3, 4 }, total = { 9, 9 };
	struct scan s = { .in = &in };
	struct pulse_scan how = scan_of(&s, 1, 0);

	KT_REQUIRE(pool);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_parallel_sort(pool, x, 3, 4, by_key, &o), -ENOMEM);
	KT_CHECK(pulse__alloc_failed());
	KT_EQ(x[0], 3);
	KT_EQ(x[2], 1);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_parallel_scan(pool, &how, &total), -ENOMEM);
	KT_CHECK(pulse__alloc_failed());
	KT_EQ(total.a, 9);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_parallel_sort(pool, x, 3, 4, by_key, &o), 0);
	KT_EQ(x[0], 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

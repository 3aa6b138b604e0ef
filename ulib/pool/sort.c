// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * sort.c - a stable merge sort by fork and join.
 *
 * Halves are sorted into the other one of two arrays and merged back. A long
 * merge is forked too: the middle of the longer side is looked up in the shorter
 * one, and what comes before it and what comes after are merged on their own.
 * Where equal ones meet, those of the first side stay in front.
 *
 * All is written once for elements of any size, and made for a few sizes in
 * which a copy is a move.
 */
#include "pool/pool.h"

#define PULSE__SORT_FEW		16U	/* elements sorted by insertion */
#define PULSE__SORT_MERGE	4096U	/* elements merged in one go */

struct pulse__sort {
	pulse_compare_fn compare;
	void *arg;
	size_t bytes;
	pulse_task_fn halves, merge;	/* for this size */
	int err;
};

/* From @at, with @spare as long beside it; the result goes to one of them. */
struct pulse__sort_part {
	struct pulse__sort *sort;
	char *at, *spare;
	size_t nr;
	bool to_spare;
};

struct pulse__sort_merge {
	struct pulse__sort *sort;
	const char *a, *b;
	size_t nr_a, nr_b;
	char *to;
};

static PULSE__INLINE void pulse__sort_move(char *to, const char *from,
					   size_t bytes)
{
	memcpy(to, from, bytes);
}

static PULSE__INLINE bool pulse__sort_less(const struct pulse__sort *sort,
					   const char *a, const char *b)
{
	return sort->compare(a, b, sort->arg) < 0;
}

/* @hole: room for one element. */
static PULSE__INLINE void pulse__sort_few(const struct pulse__sort *sort,
					  char *at, size_t nr, char *hole,
					  size_t bytes)
{
	for (size_t i = 1; i < nr; i++) {
		size_t k = i;

		if (!pulse__sort_less(sort, at + i * bytes,
				      at + (i - 1) * bytes))
			continue;
		pulse__sort_move(hole, at + i * bytes, bytes);
		do {
			pulse__sort_move(at + k * bytes, at + (k - 1) * bytes,
					 bytes);
			k--;
		} while (k && pulse__sort_less(sort, hole,
					       at + (k - 1) * bytes));
		pulse__sort_move(at + k * bytes, hole, bytes);
	}
}

/* How many of @at come before @pivot; with @equal also those that equal it. */
static PULSE__INLINE size_t pulse__sort_before(const struct pulse__sort *sort,
					       const char *at, size_t nr,
					       const char *pivot, bool equal,
					       size_t bytes)
{
	size_t low = 0;

	while (nr) {
		size_t half = nr / 2;
		const char *mid = at + (low + half) * bytes;

		if (equal ? !pulse__sort_less(sort, pivot, mid) :
			    pulse__sort_less(sort, mid, pivot)) {
			low += half + 1;
			nr -= half + 1;
		} else {
			nr = half;
		}
	}
	return low;
}

static PULSE__INLINE void
pulse__sort_merge_here(const struct pulse__sort_merge *m, size_t bytes)
{
	const char *a = m->a, *b = m->b;
	const char *end_a = a + m->nr_a * bytes, *end_b = b + m->nr_b * bytes;
	char *to = m->to;

	while (a != end_a && b != end_b) {
		if (pulse__sort_less(m->sort, b, a)) {
			pulse__sort_move(to, b, bytes);
			b += bytes;
		} else {
			pulse__sort_move(to, a, bytes);
			a += bytes;
		}
		to += bytes;
	}
	memcpy(to, a, (size_t)(end_a - a));
	memcpy(to + (end_a - a), b, (size_t)(end_b - b));
}

static PULSE__INLINE void pulse__sort_merge(const struct pulse__sort_merge *m,
					    size_t bytes)
{
	struct pulse__sort_merge left = *m, right = *m;
	int err;

	if (m->nr_a + m->nr_b <= PULSE__SORT_MERGE) {
		pulse_fork_poll();
		pulse__sort_merge_here(m, bytes);
		return;
	}
	if (m->nr_a >= m->nr_b) {
		left.nr_a = m->nr_a / 2;
		left.nr_b = pulse__sort_before(m->sort, m->b, m->nr_b,
					       m->a + left.nr_a * bytes, false,
					       bytes);
	} else {
		left.nr_b = m->nr_b / 2;
		left.nr_a = pulse__sort_before(m->sort, m->a, m->nr_a,
					       m->b + left.nr_b * bytes, true,
					       bytes);
	}
	right.a += left.nr_a * bytes;
	right.b += left.nr_b * bytes;
	right.nr_a -= left.nr_a;
	right.nr_b -= left.nr_b;
	right.to += (left.nr_a + left.nr_b) * bytes;
	err = pulse_join2(m->sort->merge, &left, m->sort->merge, &right);
	if (unlikely(err))
		WRITE_ONCE(m->sort->err, err);
}

static PULSE__INLINE void pulse__sort_halves(const struct pulse__sort_part *p,
					     size_t bytes)
{
	struct pulse__sort *sort = p->sort;
	struct pulse__sort_part left = *p, right = *p;
	struct pulse__sort_merge m;
	int err;

	if (p->nr <= PULSE__SORT_FEW) {
		pulse__sort_few(sort, p->at, p->nr, p->spare, bytes);
		if (p->to_spare)
			memcpy(p->spare, p->at, p->nr * bytes);
		return;
	}
	left.nr = p->nr / 2;
	right.nr = p->nr - left.nr;
	right.at += left.nr * bytes;
	right.spare += left.nr * bytes;
	left.to_spare = !p->to_spare;
	right.to_spare = left.to_spare;
	err = pulse_join2(sort->halves, &left, sort->halves, &right);
	if (unlikely(err)) {
		WRITE_ONCE(sort->err, err);
		return;
	}
	m.sort = sort;
	m.a = p->to_spare ? left.at : left.spare;
	m.b = p->to_spare ? right.at : right.spare;
	m.nr_a = left.nr;
	m.nr_b = right.nr;
	m.to = p->to_spare ? p->spare : p->at;
	/* In order already, as a whole. */
	if (!pulse__sort_less(sort, m.b, m.a + (m.nr_a - 1) * bytes))
		memcpy(m.to, m.a, p->nr * bytes);
	else
		sort->merge(&m);
}

#define PULSE__SORT_FOR(name, size)					\
static void pulse__sort_halves_##name(void *data)			\
{									\
	const struct pulse__sort_part *p = data;			\
									\
	pulse__sort_halves(p, size(p));					\
}									\
									\
static void pulse__sort_merge_##name(void *data)			\
{									\
	const struct pulse__sort_merge *m = data;			\
									\
	pulse__sort_merge(m, size(m));					\
}

#define PULSE__SORT_SIZE(part)	((part)->sort->bytes)
#define PULSE__SORT_4(part)	4
#define PULSE__SORT_8(part)	8
#define PULSE__SORT_16(part)	16

PULSE__SORT_FOR(4, PULSE__SORT_4)
PULSE__SORT_FOR(8, PULSE__SORT_8)
PULSE__SORT_FOR(16, PULSE__SORT_16)
PULSE__SORT_FOR(any, PULSE__SORT_SIZE)

int pulse_parallel_sort(struct pulse_pool *pool, void *base, size_t nr,
			size_t bytes, pulse_compare_fn compare, void *arg)
{
	struct pulse__sort sort = { .compare = compare, .arg = arg,
				    .bytes = bytes };
	struct pulse__sort_part all = { .sort = &sort, .at = base, .nr = nr };
	int err = pulse__pool_check(pool);
	size_t total;

	if (err)
		return err;
	if (!compare || !bytes || (nr && !base))
		return -EINVAL;
	if (nr < 2)
		return 0;
	if (__builtin_mul_overflow(nr, bytes, &total))
		return -EINVAL;
	switch (bytes) {
	case 4:
		sort.halves = pulse__sort_halves_4;
		sort.merge = pulse__sort_merge_4;
		break;
	case 8:
		sort.halves = pulse__sort_halves_8;
		sort.merge = pulse__sort_merge_8;
		break;
	case 16:
		sort.halves = pulse__sort_halves_16;
		sort.merge = pulse__sort_merge_16;
		break;
	default:
		sort.halves = pulse__sort_halves_any;
		sort.merge = pulse__sort_merge_any;
	}
	all.spare = pulse__malloc(total);
	if (!all.spare)
		return -ENOMEM;
	err = pulse_fork_run(pool, sort.halves, &all);
	if (!err)
		err = READ_ONCE(sort.err);
	pulse__free(all.spare);
	return err;
}

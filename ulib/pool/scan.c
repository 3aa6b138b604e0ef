// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * scan.c - running results of a range, in two passes.
 *
 * First each part but the last is folded on its own. One thread then goes over
 * these results, few as they are, and turns each into that of all parts before
 * it; from there each part goes on in the second pass. The last part's result in
 * the second pass is that of the whole.
 */
#include "pool/pool.h"

struct pulse__scan {
	struct pulse_scan how;
	struct pulse_pool *pool;
	size_t parts;
	size_t stride;		/* from one result to the next */
	char *acc;
	int err;
};

static void *pulse__scan_acc(const struct pulse__scan *scan, size_t part)
{
	return scan->acc + part * scan->stride;
}

static void pulse__scan_zero(const struct pulse_scan *how, void *acc)
{
	if (how->identity)
		memcpy(acc, how->identity, how->acc_bytes);
	else
		memset(acc, 0, how->acc_bytes);
}

static size_t pulse__scan_end(const struct pulse__scan *scan, size_t part)
{
	return part + 1 == scan->parts ? scan->how.end :
	       scan->how.begin + (part + 1) * scan->how.grain;
}

static void pulse__scan_fold(void *data, size_t begin, size_t end)
{
	const struct pulse__scan *scan = data;
	const struct pulse_scan *how = &scan->how;

	for (size_t part = begin; part < end; part++) {
		void *acc = pulse__scan_acc(scan, part);

		pulse__scan_zero(how, acc);
		how->fold(how->arg, how->begin + part * how->grain,
			  pulse__scan_end(scan, part), acc);
	}
}

static void pulse__scan_emit(void *data, size_t begin, size_t end)
{
	const struct pulse__scan *scan = data;
	const struct pulse_scan *how = &scan->how;

	for (size_t part = begin; part < end; part++)
		how->emit(how->arg, how->begin + part * how->grain,
			  pulse__scan_end(scan, part),
			  pulse__scan_acc(scan, part));
}

/* Each result becomes that of what lies before it. */
static void pulse__scan_sums(const struct pulse__scan *scan, void *sum,
			     void *swap)
{
	const struct pulse_scan *how = &scan->how;

	pulse__scan_zero(how, sum);
	for (size_t part = 0; part < scan->parts; part++) {
		void *acc = pulse__scan_acc(scan, part);

		if (part + 1 == scan->parts) {
			memcpy(acc, sum, how->acc_bytes);
			break;
		}
		memcpy(swap, acc, how->acc_bytes);
		memcpy(acc, sum, how->acc_bytes);
		how->combine(how->arg, sum, swap);
	}
}

/* In one of the pool's tasks. */
static void pulse__scan_run(void *data)
{
	struct pulse__scan *scan = data;

	scan->err = pulse_parallel_for(scan->pool, 0, scan->parts - 1, 1,
				       pulse__scan_fold, scan);
	if (scan->err)
		return;
	/* Behind the parts' results there is room for two more. */
	pulse__scan_sums(scan, pulse__scan_acc(scan, scan->parts),
			 pulse__scan_acc(scan, scan->parts + 1));
	scan->err = pulse_parallel_for(scan->pool, 0, scan->parts, 1,
				       pulse__scan_emit, scan);
}

int pulse_parallel_scan(struct pulse_pool *pool, const struct pulse_scan *user,
			void *result)
{
	struct pulse__scan scan = { .pool = pool };
	struct pulse_scan *how = &scan.how;
	int err = pulse__pool_check(pool);
	size_t nr, bytes;

	if (err)
		return err;
	if (!user)
		return -EINVAL;
	err = pulse__opts_load(how, sizeof(*how),
			       pulse__size_to(struct pulse_scan, arg), user);
	if (err)
		return err;
	if (!how->fold || !how->combine || !how->emit || !how->acc_bytes ||
	    how->acc_bytes > PULSE_REDUCE_MAX_BYTES || how->begin > how->end)
		return -EINVAL;
	nr = how->end - how->begin;
	if (!nr) {
		if (result)
			pulse__scan_zero(how, result);
		return 0;
	}
	how->grain = pulse__grain(nr, how->grain);
	scan.parts = nr / how->grain + !!(nr % how->grain);
	/* Several threads fold at a time, each into a line of its own. */
	scan.stride = (how->acc_bytes + PULSE_CACHE_LINE - 1) /
		      PULSE_CACHE_LINE * PULSE_CACHE_LINE;
	if (__builtin_add_overflow(scan.parts, 2, &bytes) ||
	    __builtin_mul_overflow(bytes, scan.stride, &bytes))
		return -ENOMEM;
	scan.acc = pulse__aligned_alloc(PULSE_CACHE_LINE, bytes);
	if (!scan.acc)
		return -ENOMEM;
	err = pulse_fork_run(pool, pulse__scan_run, &scan);
	if (!err)
		err = scan.err;
	if (!err && result)
		memcpy(result, pulse__scan_acc(&scan, scan.parts - 1),
		       how->acc_bytes);
	pulse__free(scan.acc);
	return err;
}

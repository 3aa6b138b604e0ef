// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * parallel.c - loops and reductions by halves.
 *
 * The tree of halves depends on the range and the grain alone, so a reduction
 * puts the same parts together in the same way in every run. A fork costs next
 * to nothing, so there may be many more parts than workers. Before a part the
 * worker looks whether its heart has beaten: the part may take long.
 */
#include "pool/pool.h"

/* Where to cut a range of more than a grain: half of the parts. */
static size_t pulse__middle(size_t begin, size_t end, size_t grain)
{
	size_t nr = end - begin;
	size_t parts = nr / grain + !!(nr % grain);

	return begin + parts / 2 * grain;
}

/* ---- loops ---------------------------------------------------------------- */

struct pulse__for {
	pulse_range_fn body;
	void *arg;
	size_t grain;
	int err;
};

struct pulse__for_part {
	struct pulse__for *loop;
	size_t begin, end;
};

static void pulse__for_run(void *data)
{
	const struct pulse__for_part *p = data;
	struct pulse__for *loop = p->loop;
	struct pulse__for_part left, right;
	int err;

	if (p->end - p->begin <= loop->grain) {
		pulse_fork_poll();
		loop->body(loop->arg, p->begin, p->end);
		return;
	}
	left.loop = loop;
	left.begin = p->begin;
	left.end = pulse__middle(p->begin, p->end, loop->grain);
	right.loop = loop;
	right.begin = left.end;
	right.end = p->end;
	err = pulse_join2(pulse__for_run, &left, pulse__for_run, &right);
	if (unlikely(err))
		WRITE_ONCE(loop->err, err);
}

int pulse_parallel_for(struct pulse_pool *pool, size_t begin, size_t end,
		       size_t grain, pulse_range_fn body, void *arg)
{
	struct pulse__for loop = { .body = body, .arg = arg };
	struct pulse__for_part all = { &loop, begin, end };
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!body || begin > end)
		return -EINVAL;
	if (begin == end)
		return 0;
	loop.grain = pulse__grain(end - begin, grain);
	err = pulse_fork_run(pool, pulse__for_run, &all);
	return err ? err : READ_ONCE(loop.err);
}

/* ---- reductions ----------------------------------------------------------- */

struct pulse__reduce {
	struct pulse_reduce how;
	int err;
};

struct pulse__reduce_part {
	struct pulse__reduce *red;
	size_t begin, end;
	void *acc;		/* out */
};

static void pulse__reduce_run(void *data);

/* In a function of its own, so that a part's frame holds no result. */
static PULSE__NOINLINE void
pulse__reduce_halves(const struct pulse__reduce_part *p)
{
	struct pulse__reduce *red = p->red;
	const struct pulse_reduce *how = &red->how;
	void *acc = __builtin_alloca_with_align(how->acc_bytes,
						PULSE_CACHE_LINE * 8);
	struct pulse__reduce_part left = *p, right = *p;
	int err;

	left.end = pulse__middle(p->begin, p->end, how->grain);
	right.begin = left.end;
	right.acc = acc;
	err = pulse_join2(pulse__reduce_run, &left, pulse__reduce_run, &right);
	if (unlikely(err))
		WRITE_ONCE(red->err, err);
	else
		how->combine(how->arg, left.acc, right.acc);
}

static void pulse__reduce_run(void *data)
{
	const struct pulse__reduce_part *p = data;
	const struct pulse_reduce *how = &p->red->how;

	if (p->end - p->begin > how->grain) {
		pulse__reduce_halves(p);
		return;
	}
	if (how->identity)
		memcpy(p->acc, how->identity, how->acc_bytes);
	else
		memset(p->acc, 0, how->acc_bytes);
	pulse_fork_poll();
	how->fold(how->arg, p->begin, p->end, p->acc);
}

int pulse_parallel_reduce(struct pulse_pool *pool,
			  const struct pulse_reduce *user, void *result)
{
	struct pulse__reduce red = { .err = 0 };
	struct pulse__reduce_part all = { .red = &red };
	struct pulse_reduce *how = &red.how;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!user || !result)
		return -EINVAL;
	err = pulse__opts_load(how, sizeof(*how),
			       pulse__size_to(struct pulse_reduce, arg), user);
	if (err)
		return err;
	if (!how->fold || !how->combine || !how->acc_bytes ||
	    how->acc_bytes > PULSE_REDUCE_MAX_BYTES || how->begin > how->end)
		return -EINVAL;
	if (how->begin == how->end) {
		if (how->identity)
			memcpy(result, how->identity, how->acc_bytes);
		else
			memset(result, 0, how->acc_bytes);
		return 0;
	}
	how->grain = pulse__grain(how->end - how->begin, how->grain);
	all.begin = how->begin;
	all.end = how->end;
	all.acc = __builtin_alloca_with_align(how->acc_bytes,
					      PULSE_CACHE_LINE * 8);
	err = pulse_fork_run(pool, pulse__reduce_run, &all);
	if (!err)
		err = READ_ONCE(red.err);
	if (!err)
		memcpy(result, all.acc, how->acc_bytes);
	return err;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * predict.c - how long each kind of task takes, and what to do about it.
 *
 * A one-euro filter (Casiez et al., CHI 2012) for each kind, over the logarithm
 * of the run time: times differ by factors, not by sums. Its smoothing gives way
 * as the estimate moves: noise is averaged out, and a kind that changes is
 * followed within a few runs. Samples count as equally far apart.
 *
 * Whoever runs a task of a kind updates its filter if nobody else does just
 * then (busy, a try-lock); a sample that is dropped is no loss. Readers take the
 * estimate from a word of its own.
 */
#include "base/usdt.h"
#include "pool/pool.h"
#include "pool/predict.h"

#define PULSE__LEARN_RUNS	8U	/* before that nothing is known */
/*
 * Handing a task over costs its giver about HOT_NS where the workers are awake,
 * and as much as INLINE_NS where one must be woken. But who gives one task after
 * another should have it woken, once: a stream is what comes within STREAM_NS.
 */
#define PULSE__HOT_NS		150U
#define PULSE__INLINE_NS	2000U
#define PULSE__STREAM_NS	50000
/* From here on it pays that an idle worker need not steal it. */
#define PULSE__REMOTE_NS	200000U
/* One in so many that are timed is submitted all the same. */
#define PULSE__PROBE_MASK	63U
/*
 * Once a kind is known, one in so many is timed. Those that are run in place
 * must not go on when they have grown; but two readings of the clock are as much
 * as a short one.
 */
#define PULSE__TIME_INLINE	7U
#define PULSE__TIME_OTHER	63U

#define PULSE__EURO_MIN_CUTOFF	0.05
#define PULSE__EURO_BETA	0.5
#define PULSE__EURO_D_CUTOFF	0.2

struct pulse__kind {
	uint64_t estimate_ns;		/* atomic */
	uint32_t runs;			/* atomic */
	uint32_t busy;			/* atomic: somebody updates what follows */
	double level, slope;		/* of the logarithm */
} PULSE__ALIGNED(PULSE_CACHE_LINE);

struct pulse__predict {
	int64_t last_ns PULSE__PAIR_ALIGNED;	/* when somebody was asleep; atomic */
	struct pulse__kind kind[PULSE_TASK_TYPES];
};

int pulse__predict_new(struct pulse_pool *pool, bool on)
{
	if (!on)
		return 0;
	pool->predict = pulse__aligned_alloc(PULSE_CACHE_PAIR,
					     sizeof(*pool->predict));
	return pool->predict ? 0 : -ENOMEM;
}

void pulse__predict_free(struct pulse_pool *pool)
{
	pulse__free(pool->predict);
}

/* log2 and its inverse, good to a percent, without libm. */
static double pulse__log2d(uint64_t x)
{
	int e = 63 - __builtin_clzll(x | 1);
	double m = (double)(x | 1) / (double)(1ULL << e);	/* 1 to 2 */

	return e + (2 - m / 3) * m - 5.0 / 3;
}

static uint64_t pulse__exp2d(double y)
{
	int e = (int)y;
	double f = y - e;

	if (y <= 0)
		return 1;
	if (e > 62)
		return UINT64_MAX / 2;
	return (uint64_t)((double)(1ULL << e) * (1 + f * (0.6565 + 0.3435 * f)));
}

/* The weight of a sample at a cutoff, the distance of samples being 1. */
static double pulse__euro_alpha(double cutoff)
{
	const double tau = 1 / (6.283185307179586 * cutoff);

	return 1 / (1 + tau);
}

static void pulse__learn(struct pulse__kind *k, uint64_t ns)
{
	double x = pulse__log2d(ns), a;
	uint32_t runs;

	/* pairs with the release below */
	if (__atomic_exchange_n(&k->busy, 1, __ATOMIC_ACQUIRE))
		return;
	runs = READ_ONCE(k->runs);
	if (!runs) {
		k->level = x;
	} else {
		a = pulse__euro_alpha(PULSE__EURO_D_CUTOFF);
		k->slope = a * (x - k->level) + (1 - a) * k->slope;
		a = pulse__euro_alpha(PULSE__EURO_MIN_CUTOFF +
				      PULSE__EURO_BETA *
				      (k->slope < 0 ? -k->slope : k->slope));
		k->level = a * x + (1 - a) * k->level;
	}
	WRITE_ONCE(k->estimate_ns, pulse__exp2d(k->level));
	if (runs < INT_MAX)
		WRITE_ONCE(k->runs, runs + 1);
	pulse__store_release(&k->busy, 0);
}

/* For tests: what a run of so long would teach. */
void pulse__predict_sample(struct pulse_pool *pool, unsigned int type,
			   uint64_t ns)
{
	pulse__learn(&pool->predict->kind[type], ns);
}

/*
 * Kind and task travel in memory of the pool's slab, in a job of its own: the
 * wrapper times the task. Where there is none, it goes untimed.
 */
struct pulse__steered {
	struct pulse_pool *pool;
	pulse_task_fn fn;
	void *data;
	uint32_t type;
};

static void pulse__run_timed(struct pulse_pool *pool, uint32_t type,
			     pulse_task_fn fn, void *data)
{
	int64_t begin = pulse_now_ns();

	fn(data);
	pulse__learn(&pool->predict->kind[type],
		     (uint64_t)(pulse_now_ns() - begin));
}

void pulse__steered_run(void *arg)
{
	struct pulse__steered s = *(struct pulse__steered *)arg;

	pulse_slab_free(s.pool->slab, arg);
	pulse__run_timed(s.pool, s.type, s.fn, s.data);
}

void pulse__steered_cancel(struct pulse_pool *pool, void *arg)
{
	struct pulse__steered s = *(struct pulse__steered *)arg;

	pulse_slab_free(pool->slab, arg);
	if (pool->on_cancel)
		pool->on_cancel(pool->hook_arg, s.fn, s.data);
}

/*
 * Is running it here cheaper for the caller, and no loss for the whole? A worker
 * with nothing in its deque has nothing that a thief could take: what it gives
 * then is put there, however short (lazy binary splitting; Tzannes et al., PPoPP
 * 2010, section 3), or one worker would run a whole tree of short tasks.
 */
static bool pulse__pays_inline(struct pulse_pool *pool, uint64_t ns)
{
	const struct pulse__worker *self = pulse__pool_self_in(pool);
	struct pulse__predict *p = pool->predict;
	int64_t now, last;

	if (ns <= PULSE__HOT_NS)
		return !self || !pool->stealing ||
		       pulse__deque_size(&self->deque);
	if (ns > PULSE__INLINE_NS || READ_ONCE(pool->search) ||
	    !pulse__any_idle(pool->ctx, pool->members))
		return false;
	now = pulse_now_ns();
	last = READ_ONCE(p->last_ns);
	WRITE_ONCE(p->last_ns, now);
	return now - last >= PULSE__STREAM_NS;
}

/* Drawn, not counted: kinds may take turns. */
static bool pulse__time_this(bool here, uint64_t ns)
{
	static __thread uint32_t state;

	state = state * 1664525U + 1013904223U;
	return !(state >> 16 & (here && ns > PULSE__HOT_NS ? PULSE__TIME_INLINE :
							     PULSE__TIME_OTHER));
}

static PULSE__INLINE int pulse__steer(struct pulse_pool *pool,
				      unsigned int type, pulse_task_fn fn,
				      void *data)
{
	struct pulse__steered *s;
	struct pulse__kind *k;
	uint64_t ns;
	uint32_t runs;
	void *mem;
	int how = PULSE_STEERED_LOCAL, err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!fn || type >= PULSE_TASK_TYPES)
		return -EINVAL;
	if (!pool->predict) {
		err = pulse_pool_submit(pool, fn, data);
		return err ? err : PULSE_STEERED_LOCAL;
	}
	if (pulse__pool_state(pool) != PULSE__POOL_RUNNING)
		return -ESHUTDOWN;
	k = &pool->predict->kind[type];
	runs = READ_ONCE(k->runs);
	ns = READ_ONCE(k->estimate_ns);
	if (runs >= PULSE__LEARN_RUNS) {
		bool here = pulse__pays_inline(pool, ns);
		bool timed = ns >= PULSE__REMOTE_NS || pulse__time_this(here, ns);

		if (here && !(timed && !(runs & PULSE__PROBE_MASK))) {
			if (timed)
				pulse__run_timed(pool, type, fn, data);
			else
				fn(data);
			return PULSE_STEERED_INLINE;
		}
		if (!timed) {
			err = pulse_pool_submit(pool, fn, data);
			return err ? err : PULSE_STEERED_LOCAL;
		}
		if (ns >= PULSE__REMOTE_NS)
			how = PULSE_STEERED_REMOTE;
	}
	if (pulse__alloc_fault() || pulse_slab_alloc(pool->slab, &mem)) {
		err = pulse_pool_submit(pool, fn, data);
		return err ? err : PULSE_STEERED_LOCAL;
	}
	s = mem;
	*s = (struct pulse__steered){ pool, fn, data, type };
	err = pulse__submit_steered(pool, pulse__steered_run, s,
				    how == PULSE_STEERED_REMOTE);
	if (err) {
		pulse_slab_free(pool->slab, s);
		return err;
	}
	return how;
}

int pulse_pool_run_or_submit(struct pulse_pool *pool, unsigned int type,
			     pulse_task_fn fn, void *data)
{
	int how = pulse__steer(pool, type, fn, data);

	PULSE__PROBE2(steer, type, how);
	return how;
}

int pulse_pool_predicted(struct pulse_pool *pool, unsigned int type,
			 uint64_t *ns)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!ns || type >= PULSE_TASK_TYPES)
		return -EINVAL;
	if (!pool->predict)
		return -EOPNOTSUPP;
	*ns = READ_ONCE(pool->predict->kind[type].estimate_ns);
	return (int)READ_ONCE(pool->predict->kind[type].runs);
}

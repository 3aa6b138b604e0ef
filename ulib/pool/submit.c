// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * submit.c - how a task gets into a pool.
 *
 * Count, look whether the pool still takes tasks, push, full barrier, notify.
 * The count comes first, so that a shutdown that we do not see sees us: our
 * count and our look at the state are both seq_cst, as are its store of the
 * state and (after a full barrier) its look at the counts.
 */
#include <sched.h>

#include <pulse-u/affinity.h>

#include "pool/det.h"
#include "pool/measure.h"
#include "pool/pool.h"
#include "pool/predict.h"

/* Where a task goes. */
struct pulse__route {
	struct pulse__worker *self;	/* inside a task of this pool, or NULL */
	uint32_t row;
	uint32_t epoch;
	uint32_t from;		/* 0; from outside: the thread's CPU, and one */
	enum pulse__lane lane;
	bool own_deque;
	bool shared;		/* some went where others can take them */
};

/* Who submits: does not change within a batch. */
static uint32_t pulse__route_from(struct pulse_pool *pool,
				  struct pulse__route *r)
{
	uint32_t node;

	r->self = pulse__pool_self_in(pool);
	/*
	 * A task that runs keeps its epoch from ending, so what it counts
	 * needs no order of its own. In a hook a worker is like anybody else.
	 */
	if (r->self && !r->self->in_task)
		r->self = NULL;
	if (r->self) {
		r->epoch = r->self->epoch;
		r->from = 0;
		return r->self->row;
	}
	r->from = (uint32_t)sched_getcpu() + 1;
	r->epoch = __atomic_load_n(&pool->epoch, __ATOMIC_SEQ_CST);
	if (pool->nr_nodes == 1)
		return 0;
	node = (uint32_t)pulse_node_current();
	return node < pool->nr_near_row ? pool->near_row[node] : 0;
}

/* The word that a job carries. */
static inline uint64_t pulse__route_epoch(const struct pulse__route *r)
{
	return (uint64_t)r->from << 1 | r->epoch;
}

/* What is wished for. */
static inline int pulse__route_to(struct pulse_pool *pool, uint32_t home,
				  int32_t priority, int32_t hint,
				  struct pulse__route *r)
{
	uint32_t node;

	if (unlikely(priority < PULSE_PRIO_LOW || priority > PULSE_PRIO_HIGH ||
		     hint < 0))
		return -EINVAL;
	r->lane = (enum pulse__lane)(PULSE_PRIO_HIGH - priority);
	r->row = home;
	if (unlikely(hint && pool->numa)) {
		node = (uint32_t)hint - 1;
		r->row = node < pool->nr_near_row ? pool->near_row[node] : home;
	}
	r->own_deque = r->self && r->lane == PULSE__LANE_NORMAL &&
		       r->row == home && !pool->locked;
	return 0;
}

/* Own deque. 0; -EAGAIN full; -ENOMEM. */
static PULSE__INLINE int pulse__push_own(struct pulse_pool *pool,
					 struct pulse__worker *self,
					 const struct pulse__job *job)
{
	struct pulse__task *t = self->spare;
	void *mem;
	int err;

	if (likely(t)) {
		self->spare = t->next;
		self->nr_spare--;
	} else {
		err = pulse__alloc_fault() ? -ENOMEM :
		      pulse_slab_alloc(pool->slab, &mem);
		if (unlikely(err))
			return err;
		t = mem;
	}
	t->job = *job;
	err = pulse__deque_push(&self->deque, t);
	if (unlikely(err))
		pulse__task_free(pool, self, t);
	return err;
}

/*
 * The first of @nr jobs of one route; how many, or -EAGAIN. Where the deque is
 * full or cannot grow, and where a node is full, the next place will do: a hint
 * is a hint.
 */
static PULSE__INLINE int pulse__push(struct pulse_pool *pool,
				     struct pulse__route *r,
				     const struct pulse__job *jobs,
				     unsigned int nr)
{
	const uint16_t *order = pool->order + (size_t)r->row * pool->nr_nodes;
	unsigned int n = 0;

	while (r->own_deque && n < nr &&
	       !pulse__push_own(pool, r->self, &jobs[n]))
		n++;
	r->shared = n < nr || pool->stealing;
	for (uint32_t k = 0; k < pool->nr_nodes && n < nr; k++)
		n += pulse__inject_push(&pool->node[order[k]]->queue[r->lane],
					jobs + n, nr - n);
	return n ? (int)n : -EAGAIN;
}

/* A pool that measures, or that draws who is next. */
static PULSE__NOINLINE int pulse__push_odd(struct pulse_pool *pool,
					   struct pulse__route *r,
					   struct pulse__job *jobs,
					   unsigned int nr)
{
	unsigned int n;

	if (pool->odd & PULSE__ODD_STAMP)
		pulse__stamp(jobs, nr);
	if (!pool->det)
		return pulse__push(pool, r, jobs, nr);
	r->shared = false;
	n = pulse__det_push(pool, r->lane, jobs, nr);
	if (r->self)
		pulse__det_point(r->self);
	return n ? (int)n : -EAGAIN;
}

/* @by tasks more, or less, as submitted. */
static void pulse__count_submit(struct pulse_pool *pool,
				const struct pulse__route *r, int64_t by)
{
	uint64_t *own;

	if (r->self) {
		own = &r->self->submitted[r->epoch];
		__atomic_store_n(own, *own + (uint64_t)by, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&pool->node[r->row]->submitted[r->epoch],
				   (uint64_t)by, __ATOMIC_SEQ_CST);
	}
}

/* Counted and did not go in: who waits may have seen the count. */
static PULSE__NOINLINE void pulse__uncount_submit(struct pulse_pool *pool,
						  const struct pulse__route *r,
						  unsigned int nr)
{
	uint32_t drain;

	pulse__count_submit(pool, r, -(int64_t)nr);
	if (r->self) {
		r->self->drain_dirty = true;	/* it looks after its task */
		return;
	}
	pulse__full_barrier();
	drain = READ_ONCE(pool->drain);
	if (unlikely(drain))
		pulse__drain_look(pool, drain);
}

/*
 * The epoch may have ended since it was looked up, and the next waiter, who may
 * be this very thread, waits for the other one. So: count, then look again
 * (both seq_cst, as is the flip). Where the epoch is still the same after the
 * count, the flip that ends it comes later and waits for the count.
 */
static PULSE__NOINLINE void pulse__follow_epoch(struct pulse_pool *pool,
						struct pulse__route *r,
						struct pulse__job *jobs,
						unsigned int nr, uint32_t epoch)
{
	do {
		pulse__uncount_submit(pool, r, nr);
		r->epoch = epoch;
		pulse__count_submit(pool, r, nr);
		epoch = __atomic_load_n(&pool->epoch, __ATOMIC_SEQ_CST);
	} while (epoch != r->epoch);
	for (unsigned int i = 0; i < nr; i++)
		jobs[i].epoch = pulse__route_epoch(r);
}

/* Everything but to see that somebody looks for them. How many, or -errno. */
static int pulse__submit_jobs(struct pulse_pool *pool, struct pulse__route *r,
			      struct pulse__job *jobs, unsigned int nr)
{
	uint32_t epoch;
	int n;

	if (!r->own_deque)
		pulse__inject_aim(&pool->node[r->row]->queue[r->lane]);
	pulse__count_submit(pool, r, nr);
	epoch = __atomic_load_n(&pool->epoch, __ATOMIC_SEQ_CST);
	if (unlikely(epoch != r->epoch && !r->self))
		pulse__follow_epoch(pool, r, jobs, nr, epoch);
	if (unlikely(__atomic_load_n(&pool->state, __ATOMIC_SEQ_CST) !=
		     PULSE__POOL_RUNNING))
		n = -ESHUTDOWN;
	else if (unlikely(READ_ONCE(pool->odd) & PULSE__ODD_SUBMIT))
		n = pulse__push_odd(pool, r, jobs, nr);
	else
		n = pulse__push(pool, r, jobs, nr);
	if (unlikely(n != (int)nr))
		pulse__uncount_submit(pool, r, nr - (n < 0 ? 0 : (unsigned)n));
	return n;
}

void pulse__submitted(struct pulse_pool *pool, uint32_t row, unsigned int nr,
		      bool shared)
{
	/* (A): pairs with (B) in backend/park.c, litmus: park_wake */
	pulse__full_barrier();
	/*
	 * Stopped between our look at the state and the push: whoever swept
	 * the queues may have been before it, so do it again.
	 */
	if (unlikely(__atomic_load_n(&pool->state, __ATOMIC_SEQ_CST) ==
		     PULSE__POOL_STOPPING)) {
		pulse__pool_sweep(pool);
		return;
	}
	if (shared)
		pulse__pool_notify(pool, row, nr);
}

int pulse_pool_submit(struct pulse_pool *pool, pulse_task_fn fn, void *data)
{
	struct pulse__job job = { .fn = fn, .data = data };
	struct pulse__route r;
	int n = pulse__pool_check(pool);

	if (unlikely(n))
		return n;
	if (unlikely(!fn))
		return -EINVAL;
	pulse__route_to(pool, pulse__route_from(pool, &r), PULSE_PRIO_NORMAL,
			0, &r);
	job.epoch = pulse__route_epoch(&r);
	n = pulse__submit_jobs(pool, &r, &job, 1);
	if (unlikely(n < 0))
		return n;
	pulse__submitted(pool, r.row, 1, r.shared);
	return 0;
}

int pulse__submit_steered(struct pulse_pool *pool, pulse_task_fn fn, void *data,
			  bool shared)
{
	struct pulse__job job = { .fn = fn, .data = data };
	struct pulse__route r;
	int n;

	pulse__route_to(pool, pulse__route_from(pool, &r), PULSE_PRIO_NORMAL,
			0, &r);
	if (shared)
		r.own_deque = false;
	job.epoch = pulse__route_epoch(&r);
	n = pulse__submit_jobs(pool, &r, &job, 1);
	if (n < 0)
		return n;
	pulse__submitted(pool, r.row, 1, r.shared);
	return 0;
}

int pulse_pool_submit_task(struct pulse_pool *pool,
			   const struct pulse_task *task)
{
	int ret = pulse_pool_submit_batch(pool, task, 1);

	return ret < 0 ? ret : 0;
}

/* Jobs of one route that lie next to each other go in together. */
#define PULSE__RUN	32U

struct pulse__run {
	struct pulse__route route;
	struct pulse__job jobs[PULSE__RUN];
	unsigned int nr;
	bool shared;
};

/* True: all of the run went in; else *@err says why, and the rest is dropped. */
static bool pulse__run_flush(struct pulse_pool *pool, struct pulse__run *run,
			     unsigned int *in, int *err)
{
	unsigned int nr = run->nr;
	int n;

	run->nr = 0;
	if (!nr)
		return true;
	n = pulse__submit_jobs(pool, &run->route, run->jobs, nr);
	if (n > 0) {
		*in += (unsigned int)n;
		run->shared |= run->route.shared;
	}
	if (n == (int)nr)
		return true;
	*err = n < 0 ? n : -EAGAIN;
	return false;
}

int pulse_pool_submit_batch(struct pulse_pool *pool,
			    const struct pulse_task *tasks, unsigned int nr)
{
	const char *at = (const char *)tasks;
	struct pulse__run run;
	unsigned int in = 0;
	uint32_t home, first = 0;
	int err = pulse__pool_check(pool);

	if (unlikely(err))
		return err;
	if (unlikely(!tasks || !nr || nr > INT_MAX))
		return -EINVAL;
	run.nr = 0;
	run.shared = false;
	home = pulse__route_from(pool, &run.route);
	for (unsigned int i = 0; i < nr; i++, at += tasks->sz) {
		struct pulse__route to = run.route;
		struct pulse_task task;

		err = pulse__opts_load(&task, sizeof(task),
				       PULSE__END(struct pulse_task, node), at);
		if (!err && (!task.fn ||
			     ((const struct pulse_task *)(const void *)at)->sz !=
			     tasks->sz))
			err = -EINVAL;
		if (!err)
			err = pulse__route_to(pool, home, task.priority,
					      task.node, &to);
		if (err)
			break;
		if (run.nr == PULSE__RUN ||
		    (run.nr && (to.lane != run.route.lane ||
				to.row != run.route.row))) {
			if (!pulse__run_flush(pool, &run, &in, &err))
				break;
		}
		run.route = to;
		if (!i)
			first = to.row;
		run.jobs[run.nr++] = (struct pulse__job){
			.fn = task.fn, .data = task.data,
			.epoch = pulse__route_epoch(&to),
		};
	}
	/* What was good before a bad one goes in. */
	pulse__run_flush(pool, &run, &in, &err);
	if (!in)
		return err;
	pulse__submitted(pool, first, in, run.shared);
	return (int)in;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * submit.c - how a task gets into a pool.
 *
 * Count, look whether the pool still takes tasks, push, full barrier, notify.
 * The count comes first, so that a shutdown that we do not see sees us: our
 * count and our look at the state are both seq_cst, as are its store of the
 * state and (after a full barrier) its look at the counts.
 */
#include <pulse-u/affinity.h>

#include "pool/pool.h"

/* Where a task goes. */
struct pulse__route {
	struct pulse__worker *self;	/* a worker of this pool, or NULL */
	uint32_t row;
	uint32_t epoch;
	enum pulse__lane lane;
	bool own_deque;
};

static int pulse__route(struct pulse_pool *pool, const struct pulse_task *task,
			struct pulse__route *r)
{
	uint32_t home, node;

	if (task->priority < PULSE_PRIO_LOW || task->priority > PULSE_PRIO_HIGH ||
	    task->node < 0)
		return -EINVAL;
	r->lane = (enum pulse__lane)(PULSE_PRIO_HIGH - task->priority);
	r->self = pulse__pool_self_in(pool);
	/*
	 * A task that runs keeps its epoch from ending, so what it counts
	 * needs no order of its own. In a hook a worker is like anybody else.
	 */
	if (r->self && !r->self->in_task)
		r->self = NULL;
	if (r->self) {
		home = r->self->row;
		r->epoch = r->self->epoch;
	} else {
		home = 0;
		if (pool->nr_nodes > 1 && !task->node) {
			node = (uint32_t)pulse_node_current();
			if (node < pool->nr_near_row)
				home = pool->near_row[node];
		}
		r->epoch = __atomic_load_n(&pool->epoch, __ATOMIC_SEQ_CST);
	}
	r->row = home;
	if (task->node && pool->numa) {
		node = (uint32_t)task->node - 1;
		r->row = node < pool->nr_near_row ? pool->near_row[node] : home;
	}
	r->own_deque = r->self && r->lane == PULSE__LANE_NORMAL &&
		       r->row == home;
	return 0;
}

static int pulse__task_new(struct pulse_pool *pool, struct pulse__worker *self,
			   struct pulse__task **out)
{
	struct pulse__task *t;
	void *mem;
	int err;

	if (self && self->spare) {
		t = self->spare;
		self->spare = t->next;
		self->nr_spare--;
		*out = t;
		return 0;
	}
	if (unlikely(pulse__alloc_fault()))
		return -ENOMEM;
	err = pulse_slab_alloc(pool->slab, &mem);
	*out = mem;
	return err;
}

/* -EAGAIN when it fits nowhere. The hint is a hint: near nodes will do. */
static int pulse__push(struct pulse_pool *pool, const struct pulse__route *r,
		       struct pulse__task *t)
{
	const uint16_t *order = pool->order + (size_t)r->row * pool->nr_nodes;

	if (r->own_deque && !pulse__deque_push(&r->self->deque, t))
		return 0;
	for (uint32_t k = 0; k < pool->nr_nodes; k++) {
		if (!pulse__mpmc_push(&pool->node[order[k]]->queue[r->lane], t))
			return 0;
	}
	return -EAGAIN;
}

/* In or out by @by tasks of an epoch, as submitted. */
static void pulse__count_submit(struct pulse_pool *pool,
				const struct pulse__route *r, int64_t by)
{
	uint64_t *own;

	if (r->self) {
		own = &r->self->submitted[r->epoch];
		__atomic_store_n(own, *own + (uint64_t)by, __ATOMIC_RELAXED);
		if (by < 0)
			r->self->drain_dirty = true;
	} else {
		__atomic_fetch_add(&pool->node[r->row]->submitted[r->epoch],
				   (uint64_t)by, __ATOMIC_SEQ_CST);
	}
}

/* It was counted and did not go in: who waits may have seen the count. */
static void pulse__uncount_submit(struct pulse_pool *pool,
				  const struct pulse__route *r)
{
	uint32_t drain;

	pulse__count_submit(pool, r, -1);
	if (r->self)
		return;		/* looks when its task is done */
	pulse__full_barrier();
	drain = READ_ONCE(pool->drain);
	if (unlikely(drain))
		pulse__drain_look(pool, drain);
}

/* Everything but to see that somebody looks for it. */
static int pulse__submit_one(struct pulse_pool *pool,
			     const struct pulse_task *task, uint32_t *row)
{
	struct pulse__route r;
	struct pulse__task *t;
	int err;

	if (unlikely(!task->fn))
		return -EINVAL;
	err = pulse__route(pool, task, &r);
	if (unlikely(err))
		return err;
	/* Not worth a count; the look that matters comes after it. */
	if (unlikely(pulse__pool_state(pool) != PULSE__POOL_RUNNING))
		return -ESHUTDOWN;
	err = pulse__task_new(pool, r.self, &t);
	if (unlikely(err))
		return err;
	t->fn = task->fn;
	t->data = task->data;
	t->epoch = r.epoch;

	pulse__count_submit(pool, &r, 1);
	if (unlikely(__atomic_load_n(&pool->state, __ATOMIC_SEQ_CST) !=
		     PULSE__POOL_RUNNING))
		err = -ESHUTDOWN;
	else
		err = pulse__push(pool, &r, t);
	if (unlikely(err)) {
		pulse__task_free(pool, r.self, t);
		pulse__uncount_submit(pool, &r);
		return err;
	}
	*row = r.row;
	return 0;
}

static void pulse__submitted(struct pulse_pool *pool, uint32_t row,
			     unsigned int nr)
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
	pulse__pool_notify(pool, row, nr);
}

int pulse_pool_submit(struct pulse_pool *pool, pulse_task_fn fn, void *data)
{
	const struct pulse_task task = { .fn = fn, .data = data };
	uint32_t row;
	int err = pulse__pool_check(pool);

	if (unlikely(err))
		return err;
	err = pulse__submit_one(pool, &task, &row);
	if (likely(!err))
		pulse__submitted(pool, row, 1);
	return err;
}

int pulse_pool_submit_task(struct pulse_pool *pool,
			   const struct pulse_task *task)
{
	int ret = pulse_pool_submit_batch(pool, task, 1);

	return ret < 0 ? ret : 0;
}

int pulse_pool_submit_batch(struct pulse_pool *pool,
			    const struct pulse_task *tasks, unsigned int nr)
{
	const char *at = (const char *)tasks;
	uint32_t row = 0, first = 0;
	unsigned int n;
	int err = pulse__pool_check(pool);

	if (unlikely(err))
		return err;
	if (unlikely(!tasks || !nr || nr > INT_MAX))
		return -EINVAL;
	for (n = 0; n < nr; n++) {
		struct pulse_task task;

		err = pulse__opts_load(&task, sizeof(task),
				       PULSE__END(struct pulse_task, node), at);
		if (!err && ((const struct pulse_task *)(const void *)at)->sz !=
		    tasks->sz)
			err = -EINVAL;
		if (!err)
			err = pulse__submit_one(pool, &task, &row);
		if (err)
			break;
		if (!n)
			first = row;
		at += tasks->sz;
	}
	if (!n)
		return err;
	pulse__submitted(pool, first, n);
	return (int)n;
}

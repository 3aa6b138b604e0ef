// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * find.c - where a worker's next task comes from.
 *
 * Order: high ones of any node, the own deque (last in first out, for the
 * cache), the own node's queue, then around: node after node by distance, its
 * queue before its workers' deques; low ones last. One task in 64 is taken the
 * other way round, so that neither low ones, nor a node's queue, nor the bottom
 * of a deque whose owner keeps refilling it, can wait for ever.
 */
#include "pool/pool.h"

/* Tries at a victim that others are stealing from too. */
#define PULSE__STEAL_TRIES 4

static struct pulse__task *pulse__pop_lane(struct pulse__worker *w,
					   enum pulse__lane lane)
{
	const struct pulse_pool *pool = w->pool;
	const uint16_t *order = pool->order + (size_t)w->row * pool->nr_nodes;

	for (uint32_t k = 0; k < pool->nr_nodes; k++) {
		void *t = pulse__mpmc_pop(&pool->node[order[k]]->queue[lane]);

		if (t)
			return t;
	}
	return NULL;
}

/* From the other end: the oldest of the own deque, as a thief would. */
static struct pulse__task *pulse__take_oldest(struct pulse__worker *w)
{
	void *t;

	return pulse__deque_steal(&w->deque, &t) ? NULL : t;
}

/* The one in 64. */
static struct pulse__task *pulse__find_out_of_turn(struct pulse__worker *w)
{
	struct pulse__task *t = NULL;

	for (uint32_t i = 0; i < 3 && !t; i++) {
		switch ((w->tick / (PULSE__GUARD_MASK + 1) + i) % 3) {
		case 0:
			t = pulse__pop_lane(w, PULSE__LANE_LOW);
			break;
		case 1:
			t = pulse__pop_lane(w, PULSE__LANE_NORMAL);
			break;
		default:
			t = pulse__take_oldest(w);
		}
	}
	return t;
}

struct pulse__task *pulse__find_local(struct pulse__worker *w)
{
	struct pulse__task *t;

	if (unlikely(!(++w->tick & PULSE__GUARD_MASK))) {
		t = pulse__find_out_of_turn(w);
		if (t)
			return t;
	}
	t = pulse__pop_lane(w, PULSE__LANE_HIGH);
	if (t)
		return t;
	t = pulse__deque_take(&w->deque);
	if (t)
		return t;
	return pulse__mpmc_pop(&w->node->queue[PULSE__LANE_NORMAL]);
}

static struct pulse__task *pulse__steal_from(struct pulse__worker *w,
					     struct pulse__worker *victim)
{
	void *t;

	for (int i = 0; i < PULSE__STEAL_TRIES; i++) {
		switch (pulse__deque_steal(&victim->deque, &t)) {
		case 0:
			pulse__stat_own(w, stolen);
			return t;
		case -EAGAIN:
			cpu_relax();
			continue;
		default:
			return NULL;
		}
	}
	return NULL;
}

/* @first to @first + @nr - 1 of the victims, from a place by chance. */
static struct pulse__task *pulse__steal_some(struct pulse__worker *w,
					     uint32_t first, uint32_t nr,
					     bool rotate)
{
	struct pulse__worker **worker = w->pool->worker;
	uint32_t start = 0;

	if (!nr)
		return NULL;
	if (rotate) {
		/* xorshift32: all thieves at one victim would be a queue. */
		w->seed ^= w->seed << 13;
		w->seed ^= w->seed >> 17;
		w->seed ^= w->seed << 5;
		start = w->seed % nr;
	}
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t k = start + i < nr ? start + i : start + i - nr;
		struct pulse__task *t =
			pulse__steal_from(w, worker[w->victims[first + k]]);

		if (t)
			return t;
	}
	return NULL;
}

struct pulse__task *pulse__find_around(struct pulse__worker *w, bool steal)
{
	const struct pulse_pool *pool = w->pool;
	const uint16_t *order = pool->order + (size_t)w->row * pool->nr_nodes;
	struct pulse__task *t = pulse__pop_lane(w, PULSE__LANE_HIGH);
	uint32_t first = 0;

	for (uint32_t k = 0; k < pool->nr_nodes && !t; k++) {
		struct pulse__pnode *node = pool->node[order[k]];
		uint32_t nr = k ? node->nr : w->nr_near;

		t = pulse__mpmc_pop(&node->queue[PULSE__LANE_NORMAL]);
		/* Pinned neighbours are in the order of their distance. */
		if (!t && steal && pool->stealing)
			t = pulse__steal_some(w, first, nr, k || !pool->pin);
		first += nr;
	}
	return t ? t : pulse__pop_lane(w, PULSE__LANE_LOW);
}

/*
 * Could a pop succeed? One that is being pushed does not count: its producer
 * has its notify still before it.
 */
static bool pulse__mpmc_ready(const struct pulse__mpmc *q)
{
	uint64_t pos = __atomic_load_n(&q->dequeue,
				       PULSE__FENCED(__ATOMIC_RELAXED));

	for (;;) {
		const struct pulse__mpmc_slot *slot = &q->slots[pos & q->mask];
		uint64_t now;

		if (__atomic_load_n(&slot->turn,
				    PULSE__FENCED(__ATOMIC_ACQUIRE)) ==
		    pulse__mpmc_turn(pos, q->shift) + 1)
			return true;
		now = __atomic_load_n(&q->dequeue,
				      PULSE__FENCED(__ATOMIC_RELAXED));
		if (now == pos)
			return false;
		pos = now;
	}
}

bool pulse__pool_has_work(const struct pulse_pool *pool)
{
	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		for (int lane = 0; lane < PULSE__LANES; lane++) {
			if (pulse__mpmc_ready(&pool->node[i]->queue[lane]))
				return true;
		}
	}
	for (uint32_t i = 0; pool->stealing && i < pool->nr_workers; i++) {
		if (pulse__deque_size(&pool->worker[i]->deque))
			return true;
	}
	return false;
}

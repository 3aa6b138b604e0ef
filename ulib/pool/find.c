// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * find.c - where a worker's next task comes from.
 *
 * Order: high ones of any node, the own deque (last in first out, for the
 * cache), the own node's queue, then around: node after node by distance, its
 * queue before its workers' deques, of these first one whose owner has lost its
 * CPU; low ones last. One task in 64 is taken the other way round, so that
 * neither low ones, nor a node's queue, nor the bottom of a deque whose owner
 * keeps refilling it, can wait for ever.
 */
#include "base/usdt.h"
#include "pool/pool.h"

/* Tries at a victim that others are stealing from too. */
#define PULSE__STEAL_TRIES 4
/* Victims looked at behind one that has something, for one that is stuck. */
#define PULSE__STEAL_BEYOND 8U

/* Nodes by distance, but those before the @first come last. */
static bool pulse__pop_lane_from(struct pulse__worker *w, enum pulse__lane lane,
				 uint32_t first, struct pulse__job *job)
{
	const struct pulse_pool *pool = w->pool;
	const uint16_t *order = pool->order + (size_t)w->row * pool->nr_nodes;

	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		uint32_t k = first + i < pool->nr_nodes ? first + i :
			     first + i - pool->nr_nodes;

		if (pulse__inject_pop(&pool->node[order[k]]->queue[lane], job))
			return true;
	}
	return false;
}

static bool pulse__pop_lane(struct pulse__worker *w, enum pulse__lane lane,
			    struct pulse__job *job)
{
	return pulse__pop_lane_from(w, lane, 0, job);
}

/* Out of a deque: the memory stays here, for what the task may submit. */
static bool pulse__unwrap(struct pulse__worker *w, struct pulse__task *t,
			  struct pulse__job *job)
{
	if (!t)
		return false;
	*job = t->job;
	pulse__task_free(w->pool, w, t);
	return true;
}

/* From the other end: the oldest of the own deque, as a thief would. */
static bool pulse__take_oldest(struct pulse__worker *w, struct pulse__job *job)
{
	void *t;

	return !pulse__deque_steal(&w->deque, &t) && pulse__unwrap(w, t, job);
}

/*
 * The one in 64. Each time from another node on: the queue of a near one that
 * never gets empty must not hide those behind it.
 */
static bool pulse__find_out_of_turn(struct pulse__worker *w,
				    struct pulse__job *job)
{
	uint32_t turn = w->tick / (PULSE__GUARD_MASK + 1);
	uint32_t first = turn / 3 % w->pool->nr_nodes;
	bool got = false;

	if (w->beating)
		pulse__fork_still(w);
	for (uint32_t i = 0; i < 3 && !got; i++) {
		switch ((turn + i) % 3) {
		case 0:
			got = pulse__pop_lane_from(w, PULSE__LANE_LOW, first,
						   job);
			break;
		case 1:
			got = pulse__pop_lane_from(w, PULSE__LANE_NORMAL, first,
						   job);
			break;
		default:
			got = pulse__take_oldest(w, job);
		}
	}
	return got;
}

/* ---- several at a time ---------------------------------------------------- */

/* Are its tasks so short that to take them one by one is what costs? */
static PULSE__NOINLINE void pulse__gulp_judge(struct pulse__worker *w)
{
	int64_t now = pulse_now_ns();

	w->gulp = w->pool->stealing && !w->pool->locked &&
		  now - w->gulp_at < (int64_t)w->gulped * PULSE__GULP_NS ?
		  PULSE__GULP : 1;
	w->gulp_at = now;
	w->gulped = 0;
}

/* At least @nr free tasks, or as many as there is memory for. */
static uint32_t pulse__spare_for(struct pulse__worker *w, uint32_t nr)
{
	void *mem;

	while (w->nr_spare < nr && !pulse__alloc_fault() &&
	       !pulse_slab_alloc(w->pool->slab, &mem))
		pulse__task_free(w->pool, w, mem);
	return w->nr_spare < nr ? w->nr_spare : nr;
}

/*
 * Several of its node's queue: one to run, and the others into the own deque,
 * which is empty, in the order in which they come out as they came in. Between
 * the two nobody sees them, so whoever looked then for work and parked is made
 * up for.
 */
static PULSE__NOINLINE bool pulse__pop_gulp(struct pulse__worker *w,
					    struct pulse__job *job)
{
	struct pulse__inject *q = &w->node->queue[PULSE__LANE_NORMAL];
	struct pulse__job jobs[PULSE__GULP];
	uint32_t room = pulse__spare_for(w, w->gulp - 1), n;

	n = pulse__inject_pop_n(q, jobs, room + 1);
	if (!n)
		return false;
	w->gulped += n;
	if (w->gulped >= PULSE__GULP_LOOK)
		pulse__gulp_judge(w);
	*job = jobs[0];
	if (n == 1)
		return true;
	while (--n) {
		struct pulse__task *t = w->spare;

		w->spare = t->next;
		w->nr_spare--;
		t->job = jobs[n];
		/* Who submitted it has it in another cache. */
		pulse__fetch_to_write(t->job.data);
		/* There is room: it is empty, and holds no less to begin with. */
		pulse__deque_push(&w->deque, t);
	}
	/* (A): pairs with (B) in backend/park.c, litmus: park_wake */
	pulse__full_barrier();
	pulse__pool_notify(w->pool, w->row, 1);
	return true;
}

/* The next of its node's queue; the own deque is empty. */
static inline bool pulse__pop_node(struct pulse__worker *w,
				   struct pulse__job *job)
{
	if (w->gulp > 1)
		return pulse__pop_gulp(w, job);
	if (!pulse__inject_pop(&w->node->queue[PULSE__LANE_NORMAL], job))
		return false;
	if (unlikely(++w->gulped >= PULSE__GULP_LOOK))
		pulse__gulp_judge(w);
	return true;
}

/* ---- all of them ---------------------------------------------------------- */

bool pulse__find_local(struct pulse__worker *w, struct pulse__job *job)
{
	if (unlikely(!(++w->tick & PULSE__GUARD_MASK)) &&
	    pulse__find_out_of_turn(w, job))
		return true;
	return pulse__pop_lane(w, PULSE__LANE_HIGH, job) ||
	       pulse__unwrap(w, pulse__deque_take(&w->deque), job) ||
	       pulse__pop_node(w, job);
}

static bool pulse__steal_from(struct pulse__worker *w,
			      struct pulse__worker *victim,
			      struct pulse__job *job)
{
	struct pulse_job *forked = pulse__fork_take(victim);
	void *t;

	/* A part of a task that runs goes before a task that does not. */
	if (unlikely(forked)) {
		*job = (struct pulse__job){ .fn = pulse__fork_taken,
					    .data = forked,
					    .epoch = forked->epoch };
		return true;
	}
	for (int i = 0; i < PULSE__STEAL_TRIES; i++) {
		switch (pulse__deque_steal(&victim->deque, &t)) {
		case 0:
			pulse__stat_own(w, stolen);
			/* The victim's thread may end meanwhile. */
			PULSE__PROBE2(steal, w->index,
				      READ_ONCE(victim->index));
			return pulse__unwrap(w, t, job);
		case -EAGAIN:
			cpu_relax();
			continue;
		default:
			return false;
		}
	}
	return false;
}

/* About; what it says is wrong soon, and who parks looks again. */
static bool pulse__has_loot(const struct pulse__worker *w)
{
	return pulse__deque_size(&w->deque) || READ_ONCE(w->slot);
}

/*
 * It has no CPU, so nobody runs what is in its deque until it has one again. As
 * the module says; without it nobody is ever seen like that.
 */
static bool pulse__stuck(const struct pulse__worker *w)
{
	int index = READ_ONCE(w->index);

	return index >= 0 && READ_ONCE(w->pool->ctx->kstate[index].state) ==
			     PULSE_STATE_PREEMPTED;
}

/*
 * @first to @first + @nr - 1 of the victims, from a place by chance. Those who
 * have nothing are passed over, and of those who have, one that is stuck comes
 * first if it is not far behind.
 */
static bool pulse__steal_some(struct pulse__worker *w, uint32_t first,
			      uint32_t nr, bool rotate, struct pulse__job *job)
{
	struct pulse__worker **worker = w->pool->worker, *usual = NULL;
	uint32_t start = 0, seen = 0;

	if (!nr)
		return false;
	if (rotate) {
		/* xorshift32: all thieves at one victim would be a queue. */
		w->seed ^= w->seed << 13;
		w->seed ^= w->seed >> 17;
		w->seed ^= w->seed << 5;
		start = w->seed % nr;
	}
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t k = start + i < nr ? start + i : start + i - nr;
		struct pulse__worker *v = worker[w->victims[first + k]];

		if (usual && i - seen > PULSE__STEAL_BEYOND)
			break;
		if (!pulse__has_loot(v))
			continue;
		if (!pulse__stuck(v)) {
			if (!usual) {
				usual = v;
				seen = i;
			}
			continue;
		}
		if (pulse__steal_from(w, v, job))
			return true;
	}
	if (!usual)
		return false;
	if (pulse__steal_from(w, usual, job))
		return true;
	/* Others were faster: whoever there is. */
	for (uint32_t i = 0; i < nr; i++) {
		struct pulse__worker *v = worker[w->victims[first + i]];

		if (pulse__has_loot(v) && pulse__steal_from(w, v, job))
			return true;
	}
	return false;
}

bool pulse__find_around(struct pulse__worker *w, bool steal,
			struct pulse__job *job)
{
	const struct pulse_pool *pool = w->pool;
	const uint16_t *order = pool->order + (size_t)w->row * pool->nr_nodes;
	uint32_t first = 0;

	if (pulse__pop_lane(w, PULSE__LANE_HIGH, job))
		return true;
	for (uint32_t k = 0; k < pool->nr_nodes; k++) {
		struct pulse__pnode *node = pool->node[order[k]];
		uint32_t nr = k ? node->nr : w->nr_near;

		if (k ? pulse__inject_pop(&node->queue[PULSE__LANE_NORMAL],
					  job) :
			pulse__pop_node(w, job))
			return true;
		/* Pinned neighbours are in the order of their distance. */
		if (steal && pool->stealing &&
		    pulse__steal_some(w, first, nr, k || !pool->pin, job))
			return true;
		first += nr;
	}
	return pulse__pop_lane(w, PULSE__LANE_LOW, job);
}

bool pulse__pool_has_work(const struct pulse_pool *pool)
{
	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		for (int lane = 0; lane < PULSE__LANES; lane++) {
			if (pulse__inject_ready(&pool->node[i]->queue[lane]))
				return true;
		}
	}
	for (uint32_t i = 0; pool->stealing && i < pool->nr_workers; i++) {
		if (pulse__deque_size(&pool->worker[i]->deque) ||
		    READ_ONCE(pool->worker[i]->slot))
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * inject.h - a node's queue of tasks of one priority.
 *
 * The turn scheme of lockfree/ring_inline.h (litmus: mpmc_turn, barriers A to D
 * there), with the task itself in the slot: what comes from outside needs no
 * memory of its own, and lies in one cache line with its turn. Several tasks
 * may be put in at once, next to each other.
 *
 * A pool that is not to be lock-free has a mutex around each push and pop, and
 * the turns then say what is there. Who looks whether there is something takes
 * none: it would be old in any case.
 */
#ifndef PULSE__POOL_INJECT_H
#define PULSE__POOL_INJECT_H

#include <pthread.h>

#include <pulse-u/pool.h>

#include "lockfree/ring_inline.h"

/*
 * Position p is in slot p * STRIDE: odd, so that each slot has its turn, and far
 * enough for neighbours to lie in different pages. Where they lie side by side, a
 * worker that takes several has its CPU fetch ahead of them what the submitter is
 * about to write, and takes it away from there: three times as dear, measured. (A
 * queue whose elements come out one by one gains nothing by it, and loses.)
 */
#define PULSE__STRIDE	409U

/* A worker wrote a lap ago what a submitter writes: fetched so far ahead. */
#define PULSE__AHEAD	8U

/* A task by value: what it is once it is out of a queue. */
struct pulse__job {
	pulse_task_fn fn;
	void *data;
	/*
	 * Bit 0: the epoch. Above it the CPU of the thread outside that submitted
	 * it, and one; where a pool measures, when that was; else 0.
	 */
	uint64_t epoch;
};

struct pulse__inject_slot {
	uint64_t turn;
	struct pulse__job job;
};

struct pulse__inject {
	uint64_t enqueue PULSE__PAIR_ALIGNED;	/* producers write */
	uint64_t dequeue PULSE__PAIR_ALIGNED;	/* consumers write */

	/* constant */
	struct pulse__inject_slot *slots PULSE__PAIR_ALIGNED;
	uint64_t mask;
	unsigned int shift;
	bool locked;

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;	/* if locked */
};

static inline struct pulse__inject_slot *
pulse__inject_at(const struct pulse__inject *q, uint64_t pos)
{
	return &q->slots[pos * PULSE__STRIDE & q->mask];
}

/*
 * The slot that a push comes to: who looks around for work has it in its cache.
 * To be fetched while the push is counted.
 */
static inline void pulse__inject_aim(const struct pulse__inject *q)
{
	pulse__fetch_to_write(pulse__inject_at(q, READ_ONCE(q->enqueue)));
}

/* @entries: a power of two from 2. 0 or -ENOMEM. */
static inline int pulse__inject_init(struct pulse__inject *q, uint64_t entries,
				     bool locked)
{
	q->locked = locked;
	pthread_mutex_init(&q->lock, NULL);
	q->enqueue = 0;
	q->dequeue = 0;
	q->mask = entries - 1;
	q->shift = pulse__log2(entries);
	q->slots = pulse__aligned_alloc(PULSE_CACHE_PAIR,
					entries * sizeof(*q->slots));
	return q->slots ? 0 : -ENOMEM;
}

static inline void pulse__inject_fini(struct pulse__inject *q)
{
	/* In a forked child somebody may have held the lock: it is left alone. */
	pulse__free(q->slots);
}

/*
 * The first of @nr jobs, as many as there are free slots for in a row. A slot
 * that is free for a position stays so until that position is claimed.
 * Return: how many; 0: full.
 */
static inline unsigned int pulse__inject_put(struct pulse__inject *q,
					     const struct pulse__job *jobs,
					     unsigned int nr)
{
	uint64_t pos = READ_ONCE(q->enqueue), seen;
	unsigned int n;

	for (;;) {
		for (n = 0; n < nr; n++) {
			const struct pulse__inject_slot *slot =
				pulse__inject_at(q, pos + n);

			/* D: pairs with C in pulse__inject_pop */
			if (pulse__load_acquire(&slot->turn) !=
			    pulse__mpmc_turn(pos + n, q->shift))
				break;
		}
		if (n) {
			/* On failure pos becomes the position to try next. */
			if (pulse__cas(&q->enqueue, &pos, pos + n,
				       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
			cpu_relax();
			continue;
		}
		/* Full, unless somebody took the place meanwhile. */
		seen = pos;
		pos = READ_ONCE(q->enqueue);
		if (pos == seen)
			return 0;
	}
	for (unsigned int i = 0; i < n; i++, pos++) {
		struct pulse__inject_slot *slot = pulse__inject_at(q, pos);

		slot->job = jobs[i];
		/* A: pairs with B in pulse__inject_pop */
		pulse__store_release(&slot->turn,
				     pulse__mpmc_turn(pos, q->shift) + 1);
	}
	pulse__fetch_to_write(pulse__inject_at(q, pos + PULSE__AHEAD));
	return n;
}

/*
 * The oldest, up to @nr of those that are in without a gap. A slot that is ready
 * for a position stays so until that position is claimed. How many; 0: empty, or
 * the oldest is still being put in.
 */
static PULSE__INLINE unsigned int pulse__inject_pop_n(struct pulse__inject *q,
						      struct pulse__job *jobs,
						      unsigned int nr)
{
	uint64_t pos = READ_ONCE(q->dequeue), seen;
	unsigned int n;

	for (;;) {
		for (n = 0; n < nr; n++) {
			const struct pulse__inject_slot *slot =
				pulse__inject_at(q, pos + n);

			/* B: pairs with A in pulse__inject_push */
			if (pulse__load_acquire(&slot->turn) !=
			    pulse__mpmc_turn(pos + n, q->shift) + 1)
				break;
		}
		if (n) {
			if (pulse__cas(&q->dequeue, &pos, pos + n,
				       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
			cpu_relax();
			continue;
		}
		seen = pos;
		pos = READ_ONCE(q->dequeue);
		if (pos == seen)
			return 0;
	}
	for (unsigned int i = 0; i < n; i++, pos++) {
		struct pulse__inject_slot *slot = pulse__inject_at(q, pos);

		jobs[i] = slot->job;
		/* C: pairs with D in pulse__inject_push */
		pulse__store_release(&slot->turn,
				     pulse__mpmc_turn(pos + q->mask + 1,
						      q->shift));
	}
	return n;
}

/* inject.c: the same under the lock. */
unsigned int pulse__inject_put_locked(struct pulse__inject *q,
				      const struct pulse__job *jobs,
				      unsigned int nr);
bool pulse__inject_pop_locked(struct pulse__inject *q, struct pulse__job *job);

/* As pulse__inject_put(). */
static inline unsigned int pulse__inject_push(struct pulse__inject *q,
					      const struct pulse__job *jobs,
					      unsigned int nr)
{
	return likely(!q->locked) ? pulse__inject_put(q, jobs, nr) :
				    pulse__inject_put_locked(q, jobs, nr);
}

/* The oldest; false: as 0 of pulse__inject_pop_n(). */
static inline bool pulse__inject_pop(struct pulse__inject *q,
				     struct pulse__job *job)
{
	return likely(!q->locked) ? pulse__inject_pop_n(q, job, 1) :
				    pulse__inject_pop_locked(q, job);
}

/*
 * Could a pop succeed? After a full barrier. One that is still being put in
 * does not count: its producer has its notify before it.
 */
static inline bool pulse__inject_ready(const struct pulse__inject *q)
{
	uint64_t pos = READ_ONCE(q->dequeue), seen;

	do {
		const struct pulse__inject_slot *slot = pulse__inject_at(q, pos);

		if (pulse__load_acquire(&slot->turn) ==
		    pulse__mpmc_turn(pos, q->shift) + 1)
			return true;
		seen = pos;
		pos = READ_ONCE(q->dequeue);
	} while (pos != seen);
	return false;
}

/* Exact when nobody else uses it. */
static inline uint64_t pulse__inject_count(const struct pulse__inject *q)
{
	uint64_t deq = pulse__load_acquire(&q->dequeue);
	uint64_t used = READ_ONCE(q->enqueue) - deq;

	if ((int64_t)used < 0)
		return 0;
	return used > q->mask ? q->mask + 1 : used;
}

#endif /* PULSE__POOL_INJECT_H */

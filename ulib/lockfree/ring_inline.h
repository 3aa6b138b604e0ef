/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ring_inline.h - bounded MPMC queue of pointers, to be embedded and inlined.
 *
 * The turn scheme of struct pulse_nring_hdr in <linux/pulse.h>, for threads
 * that trust each other: position p = lap * N + i may be pushed when slot i
 * says 2 * lap, and popped when it says 2 * lap + 1. What is shared with other
 * processes goes through ring.c, which believes nothing.
 *
 * litmus: mpmc_turn
 *
 *   producer                          consumer
 *   --------                          --------
 *   turn == 2 * lap      (acquire D)  turn == 2 * lap + 1  (acquire B)
 *   CAS enqueue p -> p + 1            CAS dequeue p -> p + 1
 *   item                              item
 *   turn = 2 * lap + 1   (release A)  turn = 2 * (lap + 1) (release C)
 *
 * A pairs with B: who sees the turn sees the item. C pairs with D: who may
 * write the slot again does so after it was read. The positions only deal out
 * places; whoever wins one owns the slot until it moves the turn.
 */
#ifndef PULSE__RING_INLINE_H
#define PULSE__RING_INLINE_H

#include "base/base.h"

struct pulse__mpmc_slot {
	uint64_t turn;
	void *item;
};

struct pulse__mpmc {
	uint64_t enqueue PULSE__PAIR_ALIGNED;	/* producers write */
	uint64_t dequeue PULSE__PAIR_ALIGNED;	/* consumers write */

	/* Never written after init. */
	struct pulse__mpmc_slot *slots PULSE__PAIR_ALIGNED;
	uint64_t mask;
	unsigned int shift;
};

/**
 * pulse__mpmc_init() - make an empty queue in memory of the caller's
 * @q: aligned to PULSE_CACHE_PAIR
 * @entries: a power of two from 2
 * @start: first position
 *
 * Return: 0 or -ENOMEM.
 */
int pulse__mpmc_init(struct pulse__mpmc *q, uint64_t entries, uint64_t start);

/* Gives the slots back; nobody may use the queue any more. */
void pulse__mpmc_fini(struct pulse__mpmc *q);

/* The turn at which position @pos may be pushed; right over the wrap too. */
static inline uint64_t pulse__mpmc_turn(uint64_t pos, unsigned int shift)
{
	return (pos >> shift) * 2;
}

/* Any thread. 0, or -EAGAIN full. */
static inline int pulse__mpmc_push(struct pulse__mpmc *q, void *item)
{
	uint64_t pos = READ_ONCE(q->enqueue);
	struct pulse__mpmc_slot *slot;
	uint64_t want, seen;

	for (;;) {
		slot = &q->slots[pos & q->mask];
		want = pulse__mpmc_turn(pos, q->shift);
		/* D: pairs with C in pulse__mpmc_pop. litmus: mpmc_turn */
		if (pulse__load_acquire(&slot->turn) == want) {
			/* On failure pos becomes the position to try next. */
			if (pulse__cas(&q->enqueue, &pos, pos + 1,
				       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
			cpu_relax();
			continue;
		}
		/* Full, unless somebody took the place meanwhile. */
		seen = pos;
		pos = READ_ONCE(q->enqueue);
		if (pos == seen)
			return -EAGAIN;
	}
	slot->item = item;
	/* A: pairs with B in pulse__mpmc_pop. litmus: mpmc_turn */
	pulse__store_release(&slot->turn, want + 1);
	return 0;
}

/* Any thread. The oldest item, or NULL: empty. */
static inline void *pulse__mpmc_pop(struct pulse__mpmc *q)
{
	uint64_t pos = READ_ONCE(q->dequeue);
	struct pulse__mpmc_slot *slot;
	uint64_t want, seen;
	void *item;

	for (;;) {
		slot = &q->slots[pos & q->mask];
		want = pulse__mpmc_turn(pos, q->shift) + 1;
		/* B: pairs with A in pulse__mpmc_push. litmus: mpmc_turn */
		if (pulse__load_acquire(&slot->turn) == want) {
			if (pulse__cas(&q->dequeue, &pos, pos + 1,
				       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				break;
			cpu_relax();
			continue;
		}
		seen = pos;
		pos = READ_ONCE(q->dequeue);
		if (pos == seen)
			return NULL;
	}
	item = slot->item;
	/* C: pairs with D in pulse__mpmc_push. litmus: mpmc_turn */
	pulse__store_release(&slot->turn,
			     pulse__mpmc_turn(pos + q->mask + 1, q->shift));
	return item;
}

/* Any thread; exact when nobody else uses it. */
static inline uint64_t pulse__mpmc_count(const struct pulse__mpmc *q)
{
	uint64_t deq = pulse__load_acquire(&q->dequeue);
	uint64_t used = READ_ONCE(q->enqueue) - deq;

	if ((int64_t)used < 0)
		return 0;
	return used > q->mask ? q->mask + 1 : used;
}

#endif /* PULSE__RING_INLINE_H */

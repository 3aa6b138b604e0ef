/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * deque_inline.h - the work-stealing deque itself, to be embedded and inlined.
 *
 * D. Chase, Y. Lev, SPAA 2005, with the C11 orderings of N. M. Le, A. Pop,
 * A. Cohen, F. Zappa Nardelli, PPoPP 2013, figure 1. What differs from there:
 *
 *  - The owner remembers the last top it saw, so that most pushes do not load
 *    the line that thieves write. An old top is smaller: it errs on the full
 *    side, and is looked up before that is believed.
 *  - take and steal look before they fence: an empty deque costs no fence.
 *    Only the owner raises bottom, and top never passes it but for the moment
 *    of a take, so "top has reached bottom" is final for the owner; for a thief
 *    it is true at the time of its second load.
 *  - Every store of bottom is a release, also those of take: a thief may learn
 *    of an item from any of them, and C++20 took same-thread relaxed stores
 *    out of the release sequence (the paper's release fence covered them).
 *  - Positions are 64-bit and compared by their signed difference, so that
 *    they may wrap.
 *
 * litmus: chase_lev
 *
 *   owner, take                       thief, steal
 *   -----------                       ------------
 *   bottom = b - 1                    t = top            (acquire)
 *   fence seq_cst   (A)               fence seq_cst  (B)
 *   t = top                           b = bottom         (acquire)
 *   t < b: the item is mine           t < b: item = buf[t]
 *   t == b: CAS top t -> t + 1        CAS top t -> t + 1
 *
 * A pairs with B: of an owner and a thief that are after the same last item,
 * at least one sees the other's word, so that not both skip the CAS.
 *
 * An asymmetric deque (d->asym) has a light barrier for A and a heavy one for B
 * (base/asym.h): take costs no fence, steal a system call that interrupts the
 * owner. The owner's loads and stores around A may then be seen the other way
 * round, until B; and all that the thief does after B is behind that. The
 * owner's next take loads top after a store of bottom that B has emptied out,
 * or after B itself, and so sees what the thief's earlier CAS left.
 *
 * And it has its last item without a CAS. A thief says that it is about before
 * its barrier, and unsays it after its CAS:
 *
 *   owner, take                       thief, steal
 *   -----------                       ------------
 *   bottom = b - 1                    t = top            (acquire)
 *   light barrier   (A)               thieves + 1
 *   thieves == 0?      (acquire E)    heavy barrier  (B)
 *   t = top                           b = bottom         (acquire)
 *   t == b: the item is mine          ... CAS top
 *                                     thieves - 1        (release F)
 *
 * Of an owner and a thief that are after the same last item, either the owner
 * sees the thief, and takes part in the CAS; or the thief sees that bottom was
 * lowered, and finds nothing. E pairs with F: where nobody is left, top is what
 * they left. Bottom stays lowered then, at top. spin: deque (case asym)
 */
#ifndef PULSE__DEQUE_INLINE_H
#define PULSE__DEQUE_INLINE_H

#include "base/asym.h"
#include "base/base.h"

struct pulse__deque_buf {
	struct pulse__deque_buf *outgrown;	/* the one before, or NULL */
	uint64_t mask;
	void *slot[];
};

struct pulse__deque {
	/* Thieves write, the owner for the last item. */
	uint64_t top PULSE__PAIR_ALIGNED;
	uint32_t thieves;		/* past their first look, where asym */

	/* The owner writes, thieves read. */
	uint64_t bottom PULSE__PAIR_ALIGNED;
	struct pulse__deque_buf *buf;

	/* The owner's own. */
	uint64_t top_seen;
	uint64_t stop;			/* full there, as far as it saw */
	void **slot;			/* of buf, as is mask */
	uint64_t mask;
	uint64_t max_capacity;

	/* Never written while thieves are about. */
	bool asym;
};

/**
 * pulse__deque_init() - make an empty deque in memory of the caller's
 * @d: aligned to PULSE_CACHE_PAIR
 * @capacity: to begin with, a power of two from 2
 * @max_capacity: a power of two, at least @capacity
 * @start: first position
 *
 * Return: 0 or -ENOMEM.
 */
int pulse__deque_init(struct pulse__deque *d, uint64_t capacity,
		      uint64_t max_capacity, uint64_t start);

/* Gives the buffers back; nobody may use the deque any more. */
void pulse__deque_fini(struct pulse__deque *d);

/* The owner found it full: twice the size. 0, -EAGAIN or -ENOMEM. */
int pulse__deque_grow(struct pulse__deque *d);

/* Owner only. 0, -EAGAIN full at its greatest size, -ENOMEM. */
static inline int pulse__deque_push(struct pulse__deque *d, void *item)
{
	uint64_t b = READ_ONCE(d->bottom);

	if (unlikely(b == d->stop)) {
		/*
		 * pairs with pulse__deque_steal: its CAS; the thief has read
		 * the slot before we write it again. litmus: chase_lev
		 */
		d->top_seen = pulse__load_acquire(&d->top);
		if (b - d->top_seen > d->mask) {
			int err = pulse__deque_grow(d);

			if (err)
				return err;
		}
		d->stop = d->top_seen + d->mask + 1;
	}
	__atomic_store_n(&d->slot[b & d->mask], item, __ATOMIC_RELAXED);
	/*
	 * pairs with pulse__deque_steal: its load of bottom; the slot, and all
	 * that the item points to, come before. litmus: chase_lev
	 */
	__atomic_store_n(&d->bottom, b + 1, PULSE__FENCED(__ATOMIC_RELEASE));
	return 0;
}

/*
 * The end of a take that lowered bottom to @b, past A, and then saw top at @t, not
 * below @b: the last item, or none.
 */
static inline void *pulse__deque_take_last(struct pulse__deque *d, uint64_t b,
					   uint64_t t)
{
	void *item = NULL;

	if (t == b) {
		/* The last one: a race with the thieves, on their word. */
		item = __atomic_load_n(&d->slot[b & d->mask], __ATOMIC_RELAXED);
		if (!pulse__cas(&d->top, &t, t + 1, __ATOMIC_SEQ_CST,
				__ATOMIC_RELAXED))
			item = NULL;
	}
	/*
	 * Bottom comes back up over a slot that is empty; a thief that sees it
	 * finds top there too, or fails its CAS.
	 */
	__atomic_store_n(&d->bottom, b + 1, PULSE__FENCED(__ATOMIC_RELEASE));
	return item;
}

/* As pulse__deque_take_last(), where no thief is about; false: not that way. */
static inline bool pulse__deque_take_alone(struct pulse__deque *d, uint64_t b)
{
	/*
	 * E: pairs with F in pulse__deque_steal. spin: deque (case asym)
	 * What was seen of top before that says nothing.
	 */
	return d->asym && !pulse__load_acquire(&d->thieves) &&
	       READ_ONCE(d->top) == b;
}

/* Owner only. The item pushed last, or NULL. */
static inline void *pulse__deque_take(struct pulse__deque *d)
{
	uint64_t b = READ_ONCE(d->bottom);
	uint64_t t = READ_ONCE(d->top);

	if (t == b)
		return NULL;
	b--;
	__atomic_store_n(&d->bottom, b, PULSE__FENCED(__ATOMIC_RELEASE));
	/* A: pairs with B in pulse__deque_steal. litmus: chase_lev */
	if (d->asym)
		pulse__asym_light();
	else
		pulse__fence(__ATOMIC_SEQ_CST);
	t = __atomic_load_n(&d->top, PULSE__FENCED(__ATOMIC_RELAXED));

	if (likely((int64_t)(b - t) > 0 || pulse__deque_take_alone(d, b)))
		return __atomic_load_n(&d->slot[b & d->mask], __ATOMIC_RELAXED);
	return pulse__deque_take_last(d, b, t);
}

/* What a steal does once there seemed to be something: from B on. */
static inline int pulse__deque_steal_from(struct pulse__deque *d, uint64_t t,
					  void **item)
{
	/* pairs with pulse__deque_push: its store of bottom. litmus: chase_lev */
	uint64_t b = __atomic_load_n(&d->bottom, PULSE__FENCED(__ATOMIC_ACQUIRE));
	struct pulse__deque_buf *buf;
	void *mine;

	if ((int64_t)(b - t) <= 0)
		return -ENOENT;
	/* pairs with pulse__deque_grow: the copied slots come before it. */
	buf = pulse__load_acquire(&d->buf);
	mine = __atomic_load_n(&buf->slot[t & buf->mask], __ATOMIC_RELAXED);
	/* Release side: the owner may reuse the slot, see pulse__deque_push. */
	if (!pulse__cas(&d->top, &t, t + 1, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED))
		return -EAGAIN;
	*item = mine;
	return 0;
}

/* Any thread. 0, -EAGAIN lost the race, -ENOENT empty. */
static inline int pulse__deque_steal(struct pulse__deque *d, void **item)
{
	/*
	 * Acquire: keeps the first load of bottom behind it.
	 * pairs with pulse__deque_steal, pulse__deque_take: their CAS.
	 */
	uint64_t t = __atomic_load_n(&d->top, PULSE__FENCED(__ATOMIC_ACQUIRE));
	uint64_t b = READ_ONCE(d->bottom);
	int err;

	if ((int64_t)(b - t) <= 0)
		return -ENOENT;
	/* B: pairs with A in pulse__deque_take. litmus: chase_lev */
	if (!d->asym) {
		pulse__fence(__ATOMIC_SEQ_CST);
		return pulse__deque_steal_from(d, t, item);
	}
	__atomic_fetch_add(&d->thieves, 1, __ATOMIC_RELAXED);
	pulse__asym_heavy(PULSE__ASYM_LOCAL);
	err = pulse__deque_steal_from(d, t, item);
	/* F: pairs with E in pulse__deque_take_alone. spin: deque (case asym) */
	__atomic_fetch_sub(&d->thieves, 1, __ATOMIC_RELEASE);
	return err;
}

/* Any thread; exact when nobody else uses it. */
static inline uint64_t pulse__deque_size(const struct pulse__deque *d)
{
	uint64_t t = pulse__load_acquire(&d->top);
	uint64_t b = READ_ONCE(d->bottom);

	return (int64_t)(b - t) > 0 ? b - t : 0;
}

#endif /* PULSE__DEQUE_INLINE_H */

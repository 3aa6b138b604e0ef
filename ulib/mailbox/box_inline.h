/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * box_inline.h - the way into a mailbox: many senders, one receiver at a time,
 * one word. To be embedded and inlined.
 *
 * The word holds the newest node of a stack, and tags:
 *
 *	CLOSED	no more nodes; what is there stays to be taken
 *	WAITED	the receiver found nothing, and sleeps or is about to
 *	ARMED	the receiver found nothing, and has gone
 *
 *   sender                              receiver
 *   ------                              --------
 *   in = word; CLOSED: -ESRCH           (1) seq is noted
 *   node->next = in's node              (2) CAS 0 -> WAITED            (B)
 *   CAS in -> node, tags gone  (A)          fails: there is a node
 *   WAITED was there: raises seq and    (3) sleeps while seq is as noted
 *   wakes                               takes all: CAS word -> CLOSED or 0 (C)
 *
 * WAITED and ARMED are set only where no node is, and go with the next node: so
 * one sender, the one that took the tag away, owes the wake-up, and the others
 * pay nothing. A pairs with B: seq is raised after it was noted; and with C: who
 * takes the node sees what is in it. spin: mailbox; litmus: box_push, box_seq
 *
 * Nodes of one sender come out in its order: the stack is turned over when it
 * is taken, as a whole. A node is never taken out of its middle, so that an
 * address that comes again does no harm.
 */
#ifndef PULSE__MAILBOX_BOX_INLINE_H
#define PULSE__MAILBOX_BOX_INLINE_H

#include "base/base.h"

#define PULSE__BOX_WAITED	1UL
#define PULSE__BOX_CLOSED	2UL
#define PULSE__BOX_ARMED	4UL
#define PULSE__BOX_TAGS		7UL

/* Aligned to 8. */
struct pulse__box_node {
	struct pulse__box_node *next;
};

/* All zero is empty and open. */
struct pulse__box {
	uintptr_t in;
};

/*
 * Any thread. The tags that it took away (0, or whom to wake); -ESRCH closed.
 * The node is the box's as soon as the exchange is done.
 */
static inline int pulse__box_push(struct pulse__box *box,
				  struct pulse__box_node *node)
{
	uintptr_t in = READ_ONCE(box->in);

	do {
		if (unlikely(in & PULSE__BOX_CLOSED))
			return -ESRCH;
		node->next = (struct pulse__box_node *)(in & ~PULSE__BOX_TAGS);
		/* A: pairs with B, C. litmus: box_push, box_seq */
	} while (!__atomic_compare_exchange_n(&box->in, &in, (uintptr_t)node,
					      true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return (int)(in & PULSE__BOX_TAGS);
}

static inline bool pulse__box_any(const struct pulse__box *box)
{
	return READ_ONCE(box->in) & ~PULSE__BOX_TAGS;
}

static inline bool pulse__box_closed(const struct pulse__box *box)
{
	return pulse__load_acquire(&box->in) & PULSE__BOX_CLOSED;
}

/* The receiver. All nodes, oldest first; NULL: none. */
static inline struct pulse__box_node *pulse__box_take(struct pulse__box *box)
{
	uintptr_t in = READ_ONCE(box->in);
	struct pulse__box_node *node, *older, *first = NULL;

	do {
		if (!(in & ~PULSE__BOX_TAGS))
			return NULL;
		/* C: pairs with A in pulse__box_push. litmus: box_push */
	} while (!pulse__cas(&box->in, &in, in & PULSE__BOX_CLOSED,
			     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	node = (struct pulse__box_node *)(in & ~PULSE__BOX_TAGS);
	for (; node; node = older) {
		older = node->next;
		node->next = first;
		first = node;
	}
	return first;
}

/*
 * The receiver, which found nothing. 0: the next push takes @tag away (0: it
 * only asks); -EAGAIN there is a node; -ESHUTDOWN there is none and will be none.
 */
static inline int pulse__box_announce(struct pulse__box *box, uintptr_t tag)
{
	uintptr_t in = READ_ONCE(box->in);

	do {
		if (in & ~PULSE__BOX_TAGS)
			return -EAGAIN;
		if (in & PULSE__BOX_CLOSED)
			return -ESHUTDOWN;
		if (!tag)
			return 0;
		/* B: pairs with A in pulse__box_push. litmus: box_seq */
	} while (!pulse__cas(&box->in, &in, in | tag, __ATOMIC_ACQ_REL,
			     __ATOMIC_RELAXED));
	return 0;
}

/* Any thread. The tags that were there: CLOSED, or whom to wake. */
static inline int pulse__box_close(struct pulse__box *box)
{
	uintptr_t in = READ_ONCE(box->in);

	while (!pulse__cas(&box->in, &in,
			   (in & ~PULSE__BOX_TAGS) | PULSE__BOX_CLOSED,
			   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	return (int)(in & PULSE__BOX_TAGS);
}

/* False: it was open. */
static inline bool pulse__box_reopen(struct pulse__box *box)
{
	return __atomic_fetch_and(&box->in, ~PULSE__BOX_CLOSED,
				  __ATOMIC_ACQ_REL) & PULSE__BOX_CLOSED;
}

#endif /* PULSE__MAILBOX_BOX_INLINE_H */

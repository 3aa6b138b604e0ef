/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * queue_int.h - the parts of a queue.
 *
 *   queue.c       making, attaching, figures
 *   queue_open.c  senders and receivers come and go; the dead are followed
 *   queue_io.c    push, pop, reserve, peek, overflow
 *   queue_wait.c  sleeping and waking
 *   owner.c       who a process is, and whether it lives
 *
 * In shared memory: struct pulse__queue_shm, the lanes, the slots of all
 * lanes. Who waits: see queue_wait.c.
 */
#ifndef PULSE__QUEUE_INT_H
#define PULSE__QUEUE_INT_H

#include <pthread.h>

#include <pulse-u/queue.h>

#include "base/asym.h"
#include "lockfree/lane_inline.h"

#define PULSE__QUEUE_MAGIC	0x3165756575715055ULL	/* "UPqueue1" */

/* Bits of the words rx_wait and tx_wait. */
#define PULSE__WAIT_SLEEP	1U	/* somebody sleeps on the word */
#define PULSE__WAIT_FD		2U	/* somebody polls the eventfd */

struct pulse__queue_shm {
	/* Written by format, read once by attach. Untrusted. */
	uint64_t magic PULSE__PAIR_ALIGNED;
	uint32_t kind;
	uint32_t overflow;
	uint32_t entries;
	uint32_t elem_bytes;
	uint32_t lanes;
	uint32_t asym;			/* heavy barriers stand for light ones */
	int64_t block_ns;
	uint64_t start;

	uint64_t receiver PULSE__PAIR_ALIGNED;	/* untrusted; the only one's process */
	uint32_t rx_wait PULSE__PAIR_ALIGNED;	/* untrusted; receivers set, senders clear */
	uint32_t tx_wait PULSE__PAIR_ALIGNED;	/* untrusted; senders set, receivers clear */

	struct pulse__lane lane[];
};

struct pulse_queue {
	/* Never written after create. */
	struct pulse__queue_shm *shm;
	unsigned char *data;
	uint64_t mask;
	uint32_t kind;
	uint32_t overflow;
	uint32_t elem_bytes;
	uint32_t stride;
	uint32_t lanes;
	uint32_t fork_gen;
	uint32_t magic;
	bool asym;			/* as in shm */
	bool heavy;			/* ... and this process may do its part */
	bool light;			/* ... and was registered for it */
	bool claims;			/* head moves by compare-exchange */
	int64_t block_ns;
	uint64_t start;			/* what positions began at */
	size_t own_bytes;		/* memory of its own; 0: the caller's */

	int fd PULSE__PAIR_ALIGNED;	/* eventfd, or -1; set once */
	bool bias;			/* a receiver that is alone needs no exchange */
	pthread_mutex_t rx_lock;	/* MPMC: receivers come and go */
	uint32_t receivers;		/* under rx_lock */
	struct pulse_queue_rx *alone;	/* under rx_lock; whose gate may be open */
	uint32_t open;			/* senders and receivers, atomic */
	uint64_t signals;		/* atomic */
	uint64_t errors;		/* atomic */
};

/* As it begins: struct pulse_queue_tx_words. */
struct pulse_queue_tx {
	struct pulse__lane_tx t;
	const uint32_t *slow;		/* pulse__fork_word() */
	const uint32_t *waits;		/* shm->rx_wait */
	unsigned int reserved;		/* slots given out by reserve */
	uint64_t reserved_at;		/* a tail: reserved counts there only */
	struct pulse_queue *q;
	uint32_t fork_gen;
	uint32_t magic;
	uint32_t overflow;
};

/*
 * As it begins: struct pulse_queue_rx_words. @gate: open (1) while this is the
 * only receiver of a queue for many. It is shut for good by the second that
 * opens, which then waits until no store that saw it open can come any more.
 * See base/rseq.h; spin: bias
 */
struct pulse_queue_rx {
	const uint32_t *slow;		/* pulse__fork_word() */
	struct pulse_queue *q;
	uint64_t peeked_at;		/* a head: peeked counts there only */
	unsigned int peeked;		/* slots given out by peek */
	uint32_t fork_gen;
	uint32_t magic;
	uint32_t elem_bytes;
	uint32_t cur;			/* lane whose turn it is */
	uint32_t left;			/* ... for so many elements more */
	uint32_t gate;
	bool plain;			/* one lane, one receiver, nobody waits for room */
	bool biased;			/* has a gate */
	bool words_alone;		/* ... elements of 8 bytes, and nobody waits for room */
	struct pulse__lane_rx r[];	/* the first is that of the inlines */
};

_Static_assert(PULSE__QUEUE_NONE == -EAGAIN, "what an empty queue answers");
PULSE__SAME_PLACE(pulse_queue_tx, t.tail, pulse_queue_tx_words, tail);
PULSE__SAME_PLACE(pulse_queue_tx, t.stop, pulse_queue_tx_words, stop);
PULSE__SAME_PLACE(pulse_queue_tx, t.m.lane, pulse_queue_tx_words, published);
PULSE__SAME_PLACE(pulse_queue_tx, t.m.data, pulse_queue_tx_words, slot);
PULSE__SAME_PLACE(pulse_queue_tx, t.m.mask, pulse_queue_tx_words, mask);
PULSE__SAME_PLACE(pulse_queue_tx, slow, pulse_queue_tx_words, slow);
PULSE__SAME_PLACE(pulse_queue_tx, waits, pulse_queue_tx_words, waits);
PULSE__SAME_PLACE(pulse_queue_rx, slow, pulse_queue_rx_words, slow);
_Static_assert(offsetof(struct pulse_queue_rx, r) ==
	       offsetof(struct pulse_queue_rx_words, lane),
	       "the inlines see the first lane");
PULSE__SAME_PLACE(pulse__lane_rx, head, pulse_queue_lane_words, head);
PULSE__SAME_PLACE(pulse__lane_rx, tail_seen, pulse_queue_lane_words, tail_seen);
PULSE__SAME_PLACE(pulse__lane_rx, m.lane, pulse_queue_lane_words, published);
PULSE__SAME_PLACE(pulse__lane_rx, m.data, pulse_queue_lane_words, slot);
PULSE__SAME_PLACE(pulse__lane_rx, m.mask, pulse_queue_lane_words, mask);
_Static_assert(offsetof(struct pulse__lane, tail) == 0 &&
	       offsetof(struct pulse__lane, head) == PULSE_CACHE_PAIR,
	       "the inlines find tail and head");

#define PULSE__QUEUE_OBJ	0x51554555U	/* "QUEU" */
#define PULSE__QUEUE_TX		0x51554554U
#define PULSE__QUEUE_RX		0x51554552U
#define PULSE__QUEUE_TURN	64U	/* elements until the next lane's turn */

static inline PULSE__UNUSED int pulse__queue_eproto(struct pulse_queue *q)
{
	pulse__add_relaxed(&q->errors, 1);
	return -EPROTO;
}

/* owner.c */

/* This process: pid and start time in one word, never 0. */
uint64_t pulse__owner_self(void);
/* Is it certain that the process ended? */
bool pulse__owner_dead(uint64_t owner);
/* Its pidfd, readable once its last thread ended; -ESRCH it is gone; -errno. */
int pulse__owner_pidfd(uint64_t owner);

/* queue_wait.c */

void pulse__queue_wake(struct pulse_queue *q, uint32_t *word);
/* Room for @tx, or a reason: 0, -ETIMEDOUT, -EPIPE, -EPROTO. */
int pulse__queue_wait_room(struct pulse_queue_tx *tx);

/* After a publication: whoever waits for it hears of it. */
static inline void pulse__queue_tell(struct pulse_queue *q, uint32_t *word)
{
	/* A: pairs with B in pulse__queue_announce. spin: asym_wake */
	if (likely(q->light))
		pulse__asym_light();
	else
		pulse__full_barrier();
	if (unlikely(READ_ONCE(*word)))
		pulse__queue_wake(q, word);
}

/* queue.c */
struct pulse__lane_map pulse__queue_map(const struct pulse_queue *q,
					uint32_t lane);

#endif /* PULSE__QUEUE_INT_H */

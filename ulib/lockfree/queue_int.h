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
	uint32_t open;			/* senders and receivers, atomic */
	uint64_t signals;		/* atomic */
	uint64_t errors;		/* atomic */
};

struct pulse_queue_tx {
	struct pulse__lane_tx t;
	struct pulse_queue *q;
	uint32_t fork_gen;
	uint32_t magic;
	uint32_t overflow;
	unsigned int reserved;		/* slots given out by reserve */
};

struct pulse_queue_rx {
	struct pulse_queue *q;
	uint32_t fork_gen;
	uint32_t magic;
	uint32_t elem_bytes;
	bool plain;			/* one lane, one receiver, nobody waits for room */
	uint32_t cur;			/* lane whose turn it is */
	uint32_t left;			/* ... for so many elements more */
	unsigned int peeked;		/* slots given out by peek */
	struct pulse__lane_rx r[];
};

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

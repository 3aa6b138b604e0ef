/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * shmbox.h - the inside of a mailbox between processes.
 *
 * In shared memory: the head, then five queues (<pulse-u/queue.h>), one a
 * priority. Each sender has a lane in each, each receiver is the only one of
 * all. A message is an element: struct pulse__wire, texts, payload. A sixth
 * queue, where asked for, has the dead letters: the receiver is its sender, and
 * whoever looks at them its receiver for that time.
 *
 *   sender (of room: receiver)        receiver (of room: sender)
 *   --------------------------        --------------------------
 *   tail (head) is moved              bell (room_bell) = 1
 *   full barrier           (A)        full barrier            (B)
 *   bell: take it to 0, wake          looks at all queues: nothing: sleeps
 *                                     while bell is 1, for a nap at most
 *
 * A pairs with B: not both miss. spin: asym_wake (fenced). The nap is for who is
 * killed between taking the bell and waking. Futexes do not work on the
 * module's pages: there the receiver parks, and a sender that waits for room
 * looks again after a short sleep.
 */
#ifndef PULSE__MAILBOX_SHMBOX_H
#define PULSE__MAILBOX_SHMBOX_H

#include <pulse-u/mailbox_shared.h>
#include <pulse-u/queue.h>

#include "mailbox/message.h"

#define PULSE__SHMBOX_SHM	0x32786f626d537550ULL	/* "PuSmbox2" */
#define PULSE__SHMBOX_MAGIC	0x53424f58U		/* "SBOX" */
#define PULSE__SHMBOX_TX	0x53424f54U
#define PULSE__SHMBOX_RX	0x53424f52U
#define PULSE__SHMBOX_NAP_NS	(100 * PULSE__NSEC_PER_MSEC)
#define PULSE__SHMBOX_POLL_NS	(PULSE__NSEC_PER_MSEC / 2)

struct pulse__shmbox_shm {
	/* Written by format, read once by attach. Untrusted. */
	uint64_t magic PULSE__PAIR_ALIGNED;
	uint32_t slots;
	uint32_t slot_bytes;
	uint32_t senders;
	uint32_t overflow;
	int64_t block_ns;
	int64_t default_ttl_ns;
	uint32_t dead_letters;

	/* Untrusted; the receiver sets, senders clear. */
	uint32_t bell PULSE__PAIR_ALIGNED;
	uint32_t closed;		/* untrusted; whoever closes sets */
	int32_t worker;			/* untrusted; the receiver's, or -1 */
	uint32_t room_bell PULSE__PAIR_ALIGNED;	/* untrusted; senders set */
	uint64_t expired;		/* untrusted; the receiver writes */
	uint64_t malformed;		/* untrusted; the receiver writes */
	uint64_t rejected;		/* untrusted; the receiver writes */
	uint64_t dead;			/* untrusted; the receiver writes */
};

/* An element begins with it. */
struct pulse__wire {
	uint32_t all;			/* bytes, with this */
	uint32_t payload;
	uint16_t text[PULSE__TEXTS];	/* bytes with the 0; 0 none */
	uint16_t signal;
	uint8_t queue;
	uint8_t dead;			/* of a dead letter: why */
	uint8_t zero[4];
	uint64_t tag;
	int64_t expires_ns;
	int64_t ttl_ns;
	int64_t created_ns;
	int64_t sent_ns;
	uint64_t reserved[2];
};

_Static_assert(sizeof(struct pulse__wire) == 80, "what the header says");

/* A memfd that cannot shrink, and where it is mapped. */
struct pulse__memfd {
	void *mem;
	size_t bytes;	/* 0: nowhere */
	int fd;		/* -1: none */
};

struct pulse_shmbox {
	/* Never written after create. */
	struct pulse__shmbox_shm *shm;
	struct pulse_queue *queue[PULSE_MESSAGE_PRIORITIES];
	struct pulse_queue *dead;	/* or NULL */
	struct pulse_ctx *ctx;		/* NULL: futexes */
	uint32_t slot_bytes;
	uint32_t overflow;
	int64_t block_ns;		/* PULSE_FOREVER: for ever */
	int64_t default_ttl_ns;
	struct pulse__memfd own;	/* or the memory is its user's */
	uint32_t fork_gen;
	uint32_t magic;
	uint32_t open;			/* atomic */
};

struct pulse_shmbox_tx {
	struct pulse_shmbox *mb;
	struct pulse_queue_tx *tx[PULSE_MESSAGE_PRIORITIES];
	uint32_t fork_gen;
	uint32_t magic;
	unsigned char slot[] PULSE__ALIGNED(16);
};

struct pulse_shmbox_rx {
	struct pulse_shmbox *mb;
	struct pulse_queue_rx *rx[PULSE_MESSAGE_PRIORITIES];
	struct pulse_queue_rx *in_hand;	/* whose element is looked at; or NULL */
	struct pulse_queue_tx *dead;	/* or NULL */
	int worker;			/* -1: none */
	bool popped;			/* slot holds one that there was no memory for */
	uint32_t fork_gen;
	uint32_t magic;
	unsigned char slot[] PULSE__ALIGNED(16);
};

static inline bool pulse__shmbox_closed(const struct pulse_shmbox *mb)
{
	return pulse__load_acquire(&mb->shm->closed);
}

/* shmbox.c */

int pulse__memfd_make(struct pulse__memfd *m, const char *name, size_t bytes);
/* One of somebody else's, which may not be able to shrink: a duplicate. */
int pulse__memfd_map(struct pulse__memfd *m, int fd);
void pulse__memfd_end(const struct pulse__memfd *m);
/* 0: from now on it is @to's; else it is ended. Return: @err. */
int pulse__memfd_settle(const struct pulse__memfd *m, int err,
			struct pulse__memfd *to);
/* The heap behind a node's ring, as <linux/pulse.h> lays it out. */
int pulse__shmbox_heap(struct pulse_ctx *ctx, int node, void **mem,
		       size_t *bytes);

/* shmbox_wait.c */

/* A, and the rest of that side. */
void pulse__shmbox_ring(struct pulse_shmbox *mb);
void pulse__shmbox_ring_room(struct pulse_shmbox *mb);
/* B is done in here. 0 perhaps; or as pulse_worker_park(). */
int pulse__shmbox_sleep(struct pulse_shmbox_rx *rx, int64_t deadline_ns);
/* Before the sender's last look for room, and its sleep after that. */
void pulse__shmbox_want_room(struct pulse_shmbox *mb);
void pulse__shmbox_sleep_for_room(struct pulse_shmbox *mb, int64_t deadline_ns);
/* There is a receiver, and it died. */
bool pulse__shmbox_orphaned(const struct pulse_shmbox *mb);

/* shmbox_dead.c */

/* What stands in the receiver's slot becomes a dead letter. */
void pulse__shmbox_bury(struct pulse_shmbox_rx *rx, int reason);

/* shmbox_io.c */

/* The message in hand is done, and its place is its sender's again. */
void pulse__shmbox_done(struct pulse_shmbox_rx *rx);
/* The receiver waits as this worker of the context from now on; or -1. */
void pulse__shmbox_rx_worker(struct pulse_shmbox_rx *rx, int index);

/* wire.c */

/* Bytes of @msg as an element; 0 it does not fit into @room. */
size_t pulse__wire_write(unsigned char *slot, size_t room,
			 const struct pulse_message *msg, int64_t sent_ns,
			 int64_t default_ttl_ns);
/* A message of what stands in @slot, which nobody else writes. 0, -EPROTO, -ENOMEM. */
int pulse__wire_read(const unsigned char *slot, size_t bytes,
		     struct pulse_message **out);

#endif /* PULSE__MAILBOX_SHMBOX_H */

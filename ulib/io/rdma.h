/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * rdma.h - the RDMA carrier inside.
 *
 * Each side posts a number of receive slots and tells the other how many, and how
 * large; a slot is a credit. A message is a head and bytes, takes one slot of the
 * receiver's, and gives back those that the sender has emptied meanwhile. Who has
 * emptied half of them and has nothing to send gives them back with a message of
 * no bytes; the last credit is kept for such a one. It is consumed at once,
 * whether anybody reads there or not, so neither side can be left without: half
 * of the slots are two at least, hence who got them back has one for bytes, which
 * brings the other's back.
 */
#ifndef PULSE__IO_RDMA_H
#define PULSE__IO_RDMA_H

#include "io/plugin/rdma.h"
#include "io/poller_int.h"
#include "io/stream.h"

#define PULSE__RDMA_RING_MIN	(4U << 10)
#define PULSE__RDMA_RING_MAX	(64U << 20)
/* What a listener's side has at most, whatever the other one asks for. */
#define PULSE__RDMA_RING_GUEST	(1U << 20)

/* What the sides tell each other before anything; all little-endian. */
struct pulse__rdma_hello {
	uint32_t magic;
	uint16_t version;
	uint16_t slots;
	uint32_t slot_bytes;	/* the head of a message included */
	uint32_t reserved;
};

#define PULSE__RDMA_MAGIC	0x616d6472	/* "rdma" */

struct pulse__rdma_head {
	uint32_t bytes;		/* that follow */
	uint16_t credits;	/* given back */
	uint16_t flags;
};

#define PULSE__RDMA_END		1	/* the last message of this direction */

/* A message that was received and not read yet. */
struct pulse__rdma_message {
	uint32_t slot, bytes;
};

struct pulse__rdma;

/* A task of the poller; of nobody once what posted it has moved. */
struct pulse__rdma_again {
	struct pulse_poller_task task;
	struct pulse__rdma *rdma;
};

struct pulse__rdma {
	struct pulse_transport t;
	const struct pulse__rdma_engine *engine;
	void *end;		/* of the engine; NULL: given up */
	int news_fd, done_fd;
	uint64_t news_id, done_id;
	struct pulse_poller_timer timer; /* to connect, or to be through with all */
	struct pulse__rdma_again *again;
	struct pulse__poller_end loop_end;
	struct pulse__list link;	/* of its listener, until it is handed out */
	struct pulse_listener *of;

	/* Receive slots, then as many to send from. */
	unsigned char *memory;
	uint32_t slot_bytes, slots, ring_bytes;
	struct pulse__rdma_message *inbox;	/* a ring of @slots */
	uint32_t in_head, in_tail, in_at;
	bool held;		/* the oldest has been handed out whole */
	uint32_t owed;

	uint32_t room;		/* of a message: what both sides' slots hold */
	uint32_t peer_slots, credits;
	uint32_t sent, done;	/* sends that were posted, that are through */

	uint32_t watched, calls;
	bool *moved;		/* of the handler that is under way */
	int err;
	bool posted, open, ended, shut, end_due, gone, leaving;
	bool closed, err_told, err_taken, more;
	bool away;		/* moved, and not watched yet */
};

/* rdma_meet.c: the engine has news. */
void pulse__rdma_news(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg);

/* A transport without an endpoint; NULL: no memory. */
struct pulse__rdma *pulse__rdma_new(struct pulse_poller *poller,
				    const struct pulse__rdma_engine *engine);
/* Takes up memory and posts what is to be received; before connect, accept. */
int pulse__rdma_prepare(struct pulse__rdma *r, uint32_t ring_bytes);
/* What the peer's slots are: 0 or -EPROTO. */
int pulse__rdma_meet(struct pulse__rdma *r, const void *hello, size_t len);
void pulse__rdma_hello(const struct pulse__rdma *r,
		       struct pulse__rdma_hello *out);
/* Takes over what was done; tells nobody. */
void pulse__rdma_pull(struct pulse__rdma *r);
/* Tells the handler of @more and what else there is; may free @r. */
void pulse__rdma_tell(struct pulse__rdma *r, uint32_t more);
/* It is broken; the first reason counts. */
void pulse__rdma_fail(struct pulse__rdma *r, int err);

/* For tests: an engine in the place of the plug-in's; NULL: that one again. */
void pulse__rdma_use(const struct pulse__rdma_engine *engine);

extern const struct pulse__carrier pulse__carrier_rdma;

#endif /* PULSE__IO_RDMA_H */

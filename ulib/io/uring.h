/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * uring.h - the io_uring side of a poller, shared by its parts:
 *
 *	poller_uring.c	the ring, descriptors that are watched, waiting
 *	tcp_uring.c	TCP streams: multishot receives
 *	tcp_uring_recv.c	... and what is received without
 *	tcp_uring_send.c	... and sends of a batch
 *	uring_ops.c	accepting and connecting
 *
 * Whose is the ring? It was made for one thread (SINGLE_ISSUER), and only runs
 * its completions when that thread enters it (DEFER_TASKRUN). A poller may be
 * used by any thread as long as nobody runs it, so whoever is not the ring's
 * owner changes the registrations alone, and where something would have to be
 * taken back, gives the whole ring up: pulse__uring_retire(). The next run makes
 * a new one and arms all anew. Nothing that was received is lost: completions
 * are read out of the old ring, and what the system had not handed out yet is
 * still in the sockets.
 *
 * One enter a turn submits what the turn before has prepared and waits. Sends
 * are tried at that moment or fail (MSG_DONTWAIT), and a success is silent
 * (CQE_SKIP_SUCCESS): after the enter each send without a completion is through,
 * and the next batch begins. What they send was copied into an outbox, which is
 * emptied once the failures of a batch are seen, or lies in a buffer that a receive has
 * brought (poller->sends_view), which is not given back before.
 */
#ifndef PULSE__IO_URING_H
#define PULSE__IO_URING_H

#include "base/base.h"
#include "base/list.h"
#include "io/poller_int.h"

#include <liburing.h>

#include <pulse-u/transport.h>

/* The low bits of user_data: what a completion is of. The rest: a stream, or a token. */
enum pulse__uring_tag {
	PULSE__URING_NONE = 0,
	PULSE__URING_WAKE = 1,
	PULSE__URING_POLL = 2,
	PULSE__URING_RECV = 3,
	PULSE__URING_SEND = 4,
	PULSE__URING_WRITABLE = 5,
	PULSE__URING_OP = 6,
};
#define PULSE__URING_TAGS	7ULL

#define PULSE__URING_BUFS	256U	/* a power of two */
#define PULSE__URING_HELD	(PULSE__URING_BUFS / 2)
#define PULSE__URING_OUTBOX	(256U << 10)

struct pulse__uring {
	struct io_uring ring;
	bool live;
	bool enabled;		/* owner is set */
	bool stale;		/* something is to be armed: look at all */
	bool woken;
	void *calling;		/* whose handler runs, unless it has moved */
	pid_t owner;
	int wakefd;
	int sparefd;		/* kept for the ring, so that there is one left */
	uint64_t wake_count;
	struct io_uring_buf_ring *bufs;
	uint8_t *mem;
	size_t buf_bytes, buf_stride;
	uint32_t nr_bufs;	/* given to the ring so far */
	int lent;		/* buffer that a handler may still look at, or -1 */
	bool lent_is_sent;	/* ... and of which a request of this batch sends */
	uint32_t nr_held;	/* others of which one does */
	uint16_t held[PULSE__URING_HELD];
	void *lent_spill;	/* likewise, of what was put aside */
	struct pulse__list streams;
	struct pulse__list ops;		/* uring_ops.c */
	bool kept;			/* some of them were accepted in an old ring */
	struct pulse__list ready;	/* streams to be called without a completion */
	uint8_t *outbox;
	size_t outbox_used;
	uint64_t batch;
	bool has_sends;			/* of this batch */
	void *last_sender;		/* whose send is the last request, or NULL */
	struct io_uring_sqe *last_send;
	uint32_t first_due;		/* slot + 1 to be armed at the next wait */
	uint32_t *by_fd;	/* slot + 1 of a watched descriptor */
	size_t nr_by_fd;
};

/* May the caller prepare requests, now or at once? */
bool pulse__uring_mine(const struct pulse__uring *u);
/* A request to fill in; NULL: the system takes none. */
struct io_uring_sqe *pulse__uring_sqe(struct pulse__uring *u);
/* Takes back what was prepared with this user_data. */
void pulse__uring_cancel(struct pulse__uring *u, uint64_t user_data);
/* Submits all, runs what is due of it, and sees to sends that failed. */
void pulse__uring_flush(struct pulse__uring *u);
void pulse__uring_retire(struct pulse_poller *p);
void pulse__uring_recycle(struct pulse__uring *u, int bid);
/* A handler has this one now; the one before is given back, when it is sent. */
void pulse__uring_lend(struct pulse__uring *u, int bid);
/* A receive found no buffer: have more of them. */
void pulse__uring_more_bufs(struct pulse__uring *u);

static inline uint8_t *pulse__uring_buf(const struct pulse__uring *u, int bid)
{
	return u->mem + (size_t)bid * u->buf_stride;
}

static inline struct pulse__uring *pulse__uring_of(struct pulse_poller *p)
{
	return p->sys;
}

/* ---- tcp_uring.c ---------------------------------------------------------- */

/* ops->adopt: a transport of a connected socket. */
int pulse__uring_set_peer(struct pulse_transport *t, const char *text);
int pulse__uring_adopt(struct pulse_poller *p, int fd,
		       struct pulse_transport **out);
/* A completion; returns whether a handler was called. */
bool pulse__uring_completed(struct pulse_poller *p, uint64_t user_data, int res,
			    uint32_t flags);
/* tcp_uring_send.c: the result of a send that did not go through whole. */
void pulse__uring_send_failed(uint64_t user_data, int res);
/* Calls the streams that were ready when it began; how many. */
int pulse__uring_call_ready(struct pulse_poller *p);
/* Arms what every stream wants. */
void pulse__uring_arm_streams(struct pulse_poller *p);
/* The ring is gone: keeps what completed, forgets what was armed. */
void pulse__uring_keep(struct pulse_poller *p, uint64_t user_data, int res,
		       uint32_t flags);
void pulse__uring_disarm_streams(struct pulse_poller *p);
void pulse__uring_drop_streams(struct pulse_poller *p);

/* ---- uring_ops.c ---------------------------------------------------------- */

/* ops->accept, ops->dial, ops->op_hold, ops->op_end */
int pulse__uring_accept(struct pulse_poller *p, int fd, pulse__poller_op_fn fn,
			void *arg, void **out);
int pulse__uring_dial(struct pulse_poller *p, int fd, const struct sockaddr *sa,
		      socklen_t len, int64_t deadline_ns, pulse__poller_op_fn fn,
		      void *arg, void **out);
void pulse__uring_op_hold(void *op, bool on);
void pulse__uring_op_end(void *op);
/* A completion; returns whether somebody was told. */
bool pulse__uring_op_done(uint64_t user_data, int res, uint32_t flags);
/* The ring is gone: as with the streams. */
void pulse__uring_op_keep(uint64_t user_data, int res);
void pulse__uring_arm_ops(struct pulse_poller *p);
void pulse__uring_disarm_ops(struct pulse_poller *p);
void pulse__uring_drop_ops(struct pulse_poller *p);
/* Tells one of what the old ring had accepted; how many. */
int pulse__uring_call_kept(struct pulse_poller *p);

#endif /* PULSE__IO_URING_H */

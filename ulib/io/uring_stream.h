/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * uring_stream.h - a TCP stream on an io_uring poller, between the files that it
 * is made of: tcp_uring.c, its life, what is armed, receiving; tcp_uring_send.c;
 * tcp_uring_move.c.
 */
#ifndef PULSE__IO_URING_STREAM_H
#define PULSE__IO_URING_STREAM_H

#include "io/stream.h"
#include "io/uring.h"

/* Bytes that are kept: received and not taken yet, or taken and not sent yet. */
struct pulse__spill {
	struct pulse__spill *next;
	size_t at, len;
	uint8_t data[];
};

struct pulse__uring_stream {
	struct pulse_transport t;
	struct pulse__list link;	/* uring->streams */
	struct pulse__list ready;	/* uring->ready, or empty */
	int fd;
	int err;			/* that receiving has met; told once */
	uint8_t watched;
	uint8_t misfits;		/* receives in a row that speak for the other way */
	uint8_t writable_for;		/* events of the poll that is armed */
	bool receiving : 1;		/* the multishot request is armed */
	bool asking : 1;		/* ... or in its place a poll */
	bool stopping : 1;		/* ... and was asked to end */
	bool direct : 1;		/* its owner receives, from the next request on */
	bool polling : 1;
	bool eof : 1;
	bool closed : 1;
	bool in_call : 1;
	bool shut : 1;			/* end our side behind the backlog */
	struct pulse__spill *spill, **spill_last;
	uint8_t *now;			/* what a completion has just brought */
	size_t now_bytes;
	uint64_t tx_batch;		/* the batch of the last send */
	const uint8_t *tx;		/* ... where it lies in the outbox */
	size_t tx_bytes;
	struct pulse__spill *backlog;
	char *peer;			/* as a proxy has said; or NULL */
};

_Static_assert(_Alignof(struct pulse__uring_stream) > PULSE__URING_TAGS,
	       "a stream's address leaves room for tags");

static inline struct pulse__uring_stream *
pulse__uring_to_stream(struct pulse_transport *t)
{
	return container_of(t, struct pulse__uring_stream, t);
}

static inline struct pulse__uring_stream *pulse__uring_stream_of(uint64_t data)
{
	return (struct pulse__uring_stream *)(uintptr_t)(data & ~PULSE__URING_TAGS);
}

static inline uint64_t pulse__uring_data(const struct pulse__uring_stream *s,
					 enum pulse__uring_tag tag)
{
	return (uint64_t)(uintptr_t)s | tag;
}

static inline struct pulse__uring *
pulse__uring_owner(const struct pulse__uring_stream *s)
{
	return pulse__uring_of(s->t.poller);
}

/* ---- tcp_uring.c ---------------------------------------------------------- */

/* Its handler is called at the next turn without a completion. */
void pulse__uring_make_ready(struct pulse__uring_stream *s);
/* Arms what it waits for: now, or when the ring is its caller's. */
void pulse__uring_arm(struct pulse__uring_stream *s);
/* Keeps bytes that were received, behind all that are kept. */
void pulse__uring_put_aside(struct pulse__uring_stream *s, const uint8_t *p,
			    size_t n);
/* Asks the request that receives to end. */
void pulse__uring_stop_receiving(struct pulse__uring_stream *s);
/* Closes a stream without a backlog of which nothing is armed. */
void pulse__uring_drop(struct pulse__uring_stream *s, bool reset);

extern const struct pulse_transport_ops pulse__uring_ops;

#define PULSE__URING_FEATURES						\
	(PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |		\
	 PULSE_TRANSPORT_RESET | PULSE_TRANSPORT_ORDERED |		\
	 PULSE_TRANSPORT_HALF_CLOSE | PULSE_TRANSPORT_ZERO_COPY |	\
	 PULSE_TRANSPORT_MOVES)

/* ---- tcp_uring_recv.c ----------------------------------------------------- */

/* pulse_transport_ops.recv, .view */
ssize_t pulse__uring_recv(struct pulse_transport *t, const struct iovec *iov,
			  int nr);
ssize_t pulse__uring_view(struct pulse_transport *t, void **data);
/* What receiving has met, which is told once. */
ssize_t pulse__uring_take_error(struct pulse__uring_stream *s);

/* ---- tcp_uring_send.c ----------------------------------------------------- */

/* pulse_transport_ops.send */
ssize_t pulse__uring_send(struct pulse_transport *t, const struct iovec *iov,
			  int nr);
/* True: all of it is out, or will never be. */
bool pulse__uring_send_backlog(struct pulse__uring_stream *s);
/* Is a send of this stream prepared, and not tried yet? */
bool pulse__uring_send_is_due(const struct pulse__uring_stream *s);

/* ---- tcp_uring_move.c ----------------------------------------------------- */

/* pulse_transport_ops.move */
int pulse__uring_move(struct pulse_transport *t, struct pulse_poller *to);

#endif /* PULSE__IO_URING_STREAM_H */

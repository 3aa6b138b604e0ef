/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tx_quick.h - the inner part of sending, for those that every message passes.
 */
#ifndef PULSE__WS_TX_QUICK_H
#define PULSE__WS_TX_QUICK_H

#include "ws/tx_int.h"

/* Buffers of the standard size that a loop keeps. */
#define PULSE__WS_MAX_SPARE	4

/* True: it is kept for the next. */
static inline bool pulse__ws_obuf_keep(struct pulse__ws_loop *loop,
				       struct pulse__ws_obuf *buf)
{
	if (buf->room != PULSE__WS_OBUF || buf->is_shared ||
	    loop->nr_spare >= PULSE__WS_MAX_SPARE)
		return false;
	buf->head = buf->tail = 0;
	buf->next = loop->spare;
	loop->spare = buf;
	loop->nr_spare++;
	return true;
}

/* Is this the message in hand, which may be sent back from where it lies? */
static inline bool pulse__ws_in_hand(const struct pulse__ws_loop *loop,
				     const void *data, size_t len)
{
	return data == loop->view_msg && len == loop->view_len;
}

/* ... then it is an answer now, before which there is room for its header. */
static inline void pulse__ws_put_ref(struct pulse__ws_loop *loop, uint8_t first,
				     size_t len)
{
	size_t bytes = len + pulse__ws_frame_head(len);
	struct iovec *span = loop->span;
	uint8_t *at = loop->place;

	pulse__ws_frame_write(at, first, len);
	if (span) {
		span->iov_len += bytes;
	} else {
		span = &loop->ref[loop->nr_refs++];
		*span = (struct iovec){ at, bytes };
		loop->span = span;
	}
	loop->ref_bytes += bytes;
	loop->place = at + bytes;
	loop->view_len = SIZE_MAX;
}

/* Are there such answers, and do all lie in one piece? */
static inline bool pulse__ws_refs_are_one(const struct pulse__ws_loop *loop)
{
	return loop->span == loop->ref;
}

/* Sends that piece, with nothing queued before it. False: a part of it is queued. */
static inline bool pulse__ws_refs_sent(struct pulse_ws_conn *conn,
				       struct pulse__ws_loop *loop)
{
	ssize_t n;

	pulse__ws_count(loop, sends, 1);
	loop->poller->sends_view = true;
	n = conn->t->ops->send(conn->t, loop->ref, 1);
	loop->poller->sends_view = false;
	loop->span = NULL;
	loop->nr_refs = 0;
	loop->ref_bytes = 0;
	if (likely(n == (ssize_t)loop->ref[0].iov_len))
		return true;
	pulse__ws_refs_left(conn, n);
	return false;
}

/* After a read: its answers that lie in it. */
static inline void pulse__ws_refs_out(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;

	if (likely(pulse__ws_refs_are_one(loop) && !conn->out_first &&
		   !conn->doomed))
		(void)pulse__ws_refs_sent(conn, loop);
	else
		pulse__ws_flush_refs(conn);
}

/* After a read of an ordinary one whose answers are out: is that all? */
static inline bool pulse__ws_is_done(struct pulse_ws_conn *conn)
{
	return !((uintptr_t)conn->more | (uintptr_t)conn->stash |
		 (uintptr_t)conn->strand) &&
	       conn->watched == PULSE_TRANSPORT_READ &&
	       /* pairs with refuse_now(), as in pulse__ws_maybe_drained() */
	       !__atomic_load_n(&conn->want_drain, __ATOMIC_SEQ_CST);
}

/*
 * After a read, where all is as ordinary as it was: sends the one buffer of its
 * batch, as pulse__ws_flush() would. False: pulse__ws_after() has to see to it.
 */
static inline bool pulse__ws_out(struct pulse_ws_conn *conn)
{
	struct pulse__ws_obuf *buf = conn->out_first;
	struct pulse__ws_loop *loop = conn->loop;
	struct iovec iov;
	ssize_t n;

	if (unlikely(!pulse__ws_is_ordinary(conn)))
		return false;
	if (likely(buf)) {
		if (unlikely(buf->next || buf->is_shared))
			return false;
		iov.iov_base = buf->data + buf->head;
		iov.iov_len = buf->tail - buf->head;
		pulse__ws_count(loop, sends, 1);
		n = conn->t->ops->send(conn->t, &iov, 1);
		if (unlikely(n != (ssize_t)iov.iov_len)) {
			pulse__ws_taken(conn, n, iov.iov_len);
			return false;
		}
		conn->out_first = conn->out_last = NULL;
		WRITE_ONCE(conn->out_bytes, 0);
		if (unlikely(!pulse__ws_obuf_keep(loop, buf)))
			pulse__free(buf);
	}
	return pulse__ws_is_done(conn);
}

#endif /* PULSE__WS_TX_QUICK_H */

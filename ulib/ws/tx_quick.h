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

	if (unlikely(!pulse__ws_is_ordinary(conn) ||
		     (uintptr_t)conn->more | (uintptr_t)conn->stash |
		     (uintptr_t)conn->strand ||
		     conn->watched != PULSE_TRANSPORT_READ))
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
	/* pairs with refuse_now(), as in pulse__ws_maybe_drained() */
	return !__atomic_load_n(&conn->want_drain, __ATOMIC_SEQ_CST);
}

#endif /* PULSE__WS_TX_QUICK_H */

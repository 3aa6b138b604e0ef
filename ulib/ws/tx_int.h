/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tx_int.h - what is queued to be sent, between tx.c and tx_ref.c.
 */
#ifndef PULSE__WS_TX_INT_H
#define PULSE__WS_TX_INT_H

#include "ws/ws_int.h"

/* Buffers that one send takes. */
#define PULSE__WS_PIECES	16

/* ---- tx.c ----------------------------------------------------------------- */

static inline struct pulse__ws_ref *pulse__ws_shared_of(struct pulse__ws_obuf *buf)
{
	return (struct pulse__ws_ref *)(void *)buf->data;
}

/* The first PULSE__WS_PIECES buffers of the queue; how many. */
int pulse__ws_gather(const struct pulse_ws_conn *conn, struct iovec *iov,
		     size_t *bytes);
/* So much of the queue is out. */
void pulse__ws_consume(struct pulse_ws_conn *conn, size_t bytes);
/* What it said to so many bytes of the queue; false: it is broken. */
bool pulse__ws_taken(struct pulse_ws_conn *conn, ssize_t n, size_t bytes);
/* The transport takes no more now. */
void pulse__ws_block(struct pulse_ws_conn *conn);

/* From now on, what the rest of this read brings is answered by copies. */
static inline void pulse__ws_no_place(const struct pulse_ws_conn *conn)
{
	if (conn->loop->view_conn != conn)
		return;
	conn->loop->place = NULL;
	conn->loop->view_len = SIZE_MAX;
}

/* ---- tx_ref.c ------------------------------------------------------------- */

/* May a message of this length be sent from where it lies? */
bool pulse__ws_direct(const struct pulse_ws_conn *conn, size_t len);
/* ... then it is: the queue, and the frame behind it. As pulse__ws_put(). */
int pulse__ws_send_direct(struct pulse_ws_conn *conn, uint8_t op,
			  const void *data, size_t len);
/* Answers that lie in the read come before what is to be queued now. */
void pulse__ws_queue_refs(struct pulse_ws_conn *conn);
/* What the transport said to the only one; not that it has taken it all. */
void pulse__ws_refs_left(struct pulse_ws_conn *conn, ssize_t n);
/* The message in hand back to where it came from; false: it cannot be. */
bool pulse__ws_send_back(struct pulse_ws_conn *conn, uint8_t op,
			 const void *data, size_t len);

#endif /* PULSE__WS_TX_INT_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * rx_int.h - frames under way, between rx.c and rx_large.c.
 */
#ifndef PULSE__WS_RX_INT_H
#define PULSE__WS_RX_INT_H

#include "ws/ws_int.h"

/* From here on the rest of a frame is received into its message. */
#define PULSE__WS_STRAIGHT	4096
/* After a message of a frame of this size the next is taken to be as long. */
#define PULSE__WS_EXPECT	(128U << 10)

/* ---- rx.c ----------------------------------------------------------------- */

extern const struct pulse__ws_rules pulse__ws_all_rules[2][2];

static inline const struct pulse__ws_rules *
pulse__ws_rules_of(const struct pulse_ws_conn *conn)
{
	return &pulse__ws_all_rules[conn->client][conn->pmd != NULL];
}

/* A frame begins; may fail the connection. */
void pulse__ws_begin_frame(struct pulse_ws_conn *conn,
			   const struct pulse__ws_frame *f);
/* Unmasks and checks the next bytes where they lie; false: it has failed. */
bool pulse__ws_decode(struct pulse_ws_conn *conn, uint8_t *p, size_t n);
/* The end of a frame whose bytes lie in conn->msg. */
void pulse__ws_frame_done(struct pulse_ws_conn *conn);
/* Handles what a read brought; what is sent back of it may lie in it until then. */
void pulse__ws_rx_view(struct pulse_ws_conn *conn, uint8_t *data, size_t n);
/* The same behind the end of a frame whose bytes lie in conn->msg; @n may be 0. */
void pulse__ws_rx_own(struct pulse_ws_conn *conn, uint8_t *data, size_t n);

/* ---- rx_large.c ----------------------------------------------------------- */

/* Is the rest of its frame to be received into its message? */
static inline bool pulse__ws_is_straight(const struct pulse_ws_conn *conn)
{
	return conn->in_frame && conn->left >= PULSE__WS_STRAIGHT && conn->msg &&
	       !pulse__ws_is_control(conn->op) && !conn->packed &&
	       conn->msg->room - conn->msg->len >= conn->left &&
	       pulse__ws_state(conn) == PULSE__WS_OPEN;
}

/* Both receive and handle it; the result is pulse_transport_recv()'s. */
ssize_t pulse__ws_receive_straight(struct pulse_ws_conn *conn);
/* Where it is ordinary, between two messages, and conn->expect is set. */
ssize_t pulse__ws_receive_expected(struct pulse_ws_conn *conn);

#endif /* PULSE__WS_RX_INT_H */

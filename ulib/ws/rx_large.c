// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rx_large.c - frames that are received into buffers of their size.
 *
 * The rest of a large frame goes straight into its message. Who sends one large
 * message often sends another that is as long: the next read is made into a buffer
 * for it and its header, so that not even its beginning is copied. Where it was
 * something else, what came is handled as from any read.
 */
#include "ws/rx_int.h"

/* The header of such a frame; PULSE__WS_EXPECT is told in eight bytes. */
#define HEAD		10
#define HEAD_MASKED	14

_Static_assert(PULSE__WS_EXPECT >= 65536, "the header's length is known");

ssize_t pulse__ws_receive_straight(struct pulse_ws_conn *conn)
{
	struct pulse__ws_msg *msg = conn->msg;
	uint8_t *at = msg->data + msg->len;
	struct iovec iov[2];
	size_t first;
	int nr = 1;
	ssize_t n;

	iov[0].iov_base = at;
	iov[0].iov_len = (size_t)conn->left;
	/* What follows into the loop's buffer; another large one waits. */
	if (!msg->skip) {
		iov[1].iov_base = pulse_poller_buffer(conn->loop->poller,
						      &iov[1].iov_len);
		nr += iov[1].iov_base != NULL;
	}
	n = pulse_transport_recv(conn->t, iov, nr);
	if (n <= 0)
		return n;
	first = (size_t)n < conn->left ? (size_t)n : (size_t)conn->left;
	msg->len += first;
	conn->left -= first;
	if (!pulse__ws_decode(conn, at, first))
		return n;
	if (!conn->left)
		pulse__ws_rx_own(conn, iov[1].iov_base, (size_t)n - first);
	return n;
}

/* Do these bytes begin with the header of what was expected? */
static bool as_expected(const struct pulse_ws_conn *conn, const uint8_t *data,
			size_t n, struct pulse__ws_frame *f)
{
	size_t head = conn->client ? HEAD : HEAD_MASKED;
	const char *why;

	return n >= head &&
	       pulse__ws_frame_read(data, head, pulse__ws_rules_of(conn), f,
				    &why) == (int)head &&
	       f->fin && !f->rsv && f->len == conn->expect &&
	       (f->op == PULSE__WS_TEXT || f->op == PULSE__WS_BINARY);
}

ssize_t pulse__ws_receive_expected(struct pulse_ws_conn *conn)
{
	uint32_t head = conn->client ? HEAD : HEAD_MASKED;
	struct pulse__ws_loop *loop = conn->loop;
	struct pulse__ws_msg *msg = NULL;
	struct pulse__ws_frame f;
	struct iovec iov;
	ssize_t n;

	if (!pulse__ws_msg_grow(loop, &msg, head + conn->expect, true)) {
		conn->expect = 0;	/* the ordinary way needs less memory */
		return -EAGAIN;
	}
	iov.iov_base = msg->data;
	iov.iov_len = head + conn->expect;
	n = pulse_transport_recv(conn->t, &iov, 1);
	if (n > 0 && as_expected(conn, msg->data, (size_t)n, &f)) {
		conn->msg = msg;
		msg->skip = head;
		msg->len = (size_t)n;
		pulse__ws_begin_frame(conn, &f);
		if (pulse__ws_state(conn) != PULSE__WS_OPEN)
			return n;	/* too long by now */
		conn->left -= msg->len - head;
		if (pulse__ws_decode(conn, msg->data + head, msg->len - head) &&
		    !conn->left)
			pulse__ws_rx_own(conn, NULL, 0);
		return n;
	}
	if (n > 0) {
		conn->expect = 0;
		pulse__ws_rx_view(conn, msg->data, (size_t)n);
	}
	pulse__ws_msg_free(loop, msg);
	return n;
}

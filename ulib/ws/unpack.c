// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * unpack.c - compressed messages on their way in: inflated as their bytes come,
 * into the connection's message, never beyond the limit on messages.
 */
#include "ws/ws_int.h"

#define ROOM_MIN	512
#define ROOM_MAX	(64U << 10)
/*
 * Bytes that give nothing (empty blocks) are free of that limit, so they have
 * one of their own: a message may be so much longer compressed than not.
 */
#define SLACK		(64U << 10)

static uint8_t *room(void *arg, size_t *bytes)
{
	struct pulse_ws_conn *conn = arg;
	struct pulse__ws_msg *msg = conn->msg;
	uint64_t want = msg ? msg->len : ROOM_MIN;

	if (!msg || msg->room == msg->len) {
		want = want < ROOM_MIN ? ROOM_MIN : want;
		want = want > ROOM_MAX ? ROOM_MAX : want;
		if (!pulse__ws_msg_grow(conn->loop, &conn->msg, want, false))
			return NULL;
		msg = conn->msg;
	}
	*bytes = msg->room - msg->len;
	return msg->data + msg->len;
}

static bool wrote(void *arg, size_t bytes)
{
	struct pulse_ws_conn *conn = arg;
	struct pulse__ws_msg *msg = conn->msg;
	const uint8_t *data = msg->data + msg->len;
	uint64_t before = pulse__ws_in_chunks(conn) ? conn->more->rx_bytes : 0;

	msg->len += bytes;
	if (before + msg->len > conn->loop->cfg->max_message) {
		pulse__ws_fail(conn, PULSE_WS_TOO_BIG, "message too big");
		return false;
	}
	if (conn->msg_op == PULSE__WS_TEXT &&
	    !conn->loop->codec->utf8(&conn->utf8, data, bytes)) {
		pulse__ws_fail(conn, PULSE_WS_BAD_DATA, "text is not UTF-8");
		return false;
	}
	if (conn->loop->cfg->h.on_chunk && bytes) {
		msg->len = 0;
		pulse__ws_chunk(conn, data, bytes, false);
		return pulse__ws_state(conn) < PULSE__WS_ENDING;
	}
	return true;
}

bool pulse__ws_unpack(struct pulse_ws_conn *conn, const uint8_t *data,
		      size_t bytes, bool last)
{
	struct pulse__ws_sink sink = { .room = room, .wrote = wrote,
				       .arg = conn };
	uint64_t max = conn->loop->cfg->max_message;
	int err = 0;

	/* max >> 3: blocks of a poor compressor, stored ones for example. */
	if (conn->pmd->bytes > max &&
	    conn->pmd->bytes - max > (max >> 3) + SLACK) {
		pulse__ws_fail(conn, PULSE_WS_TOO_BIG,
			       "compressed message too big");
		return false;
	}
	/* No byte at all is no stream (it takes one), but what it says is clear. */
	if (last && !conn->pmd->bytes) {
		if (!pulse__ws_msg_grow(conn->loop, &conn->msg, 1, true))
			err = -ENOMEM;
	} else {
		err = pulse__ws_inflate(conn->pmd, &conn->loop->shared, data,
					bytes, last, &sink);
	}
	if (err == -ENOMEM)
		pulse__ws_fail(conn, PULSE_WS_INTERNAL_ERROR, "out of memory");
	else if (err == -EBADMSG)
		pulse__ws_fail(conn, PULSE_WS_BAD_DATA,
			       "not a deflate stream");
	if (err)
		return false;
	if (last) {
		pulse__ws_count(conn->loop, inflated, 1);
		pulse__ws_count(conn->loop, inflated_from, conn->pmd->bytes);
	}
	return true;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stream.c - messages that come and go in pieces, and receiving that is paused.
 *
 * One message in pieces may be under way to the peer: conn->streaming, which
 * whoever begins takes and whoever ends gives back; conn->tx_stream is the
 * loop's own view of it. What else is sent meanwhile waits behind it.
 */
#include "ws/ws_int.h"

/* ---- receiving --------------------------------------------------------------- */

void pulse__ws_chunk(struct pulse_ws_conn *conn, const uint8_t *data, size_t len,
		     bool last)
{
	struct pulse__ws_more *more = pulse__ws_more(conn);
	uint8_t op = conn->msg_op;
	int piece = last ? PULSE_WS_CHUNK_END : 0;

	if (!more) {
		pulse__ws_fail(conn, PULSE_WS_INTERNAL_ERROR, "out of memory");
		return;
	}
	if (last && conn->utf8) {
		pulse__ws_fail(conn, PULSE_WS_BAD_DATA,
			       "text ends within a character");
		return;
	}
	if (!more->rx_open)
		piece |= PULSE_WS_CHUNK_BEGIN;
	more->rx_open = !last;
	more->rx_bytes = last ? 0 : more->rx_bytes + len;
	pulse__ws_count(conn->loop, bytes_in, len);
	if (last) {
		conn->msg_op = 0;
		pulse__ws_count(conn->loop, messages_in, 1);
	}
	if ((len || piece) && pulse__ws_state(conn) == PULSE__WS_OPEN)
		pulse__ws_deliver_piece(conn, op, data, len, piece);
}

/* ---- what has to wait ---------------------------------------------------------- */

struct pulse__ws_held {
	struct pulse__ws_held *next;
	struct pulse_ws_prepared *msg;
};

static size_t cost(const struct pulse__ws_held *h)
{
	return sizeof(*h) + h->msg->len;
}

int pulse__ws_hold(struct pulse_ws_conn *conn, struct pulse_ws_prepared *msg)
{
	struct pulse__ws_more *more = pulse__ws_more(conn);
	struct pulse__ws_held *h = more ? pulse__malloc(sizeof(*h)) : NULL;

	if (!h)
		return -ENOMEM;
	h->next = NULL;
	h->msg = pulse_ws_prepared_get(msg);
	if (more->held_last)
		more->held_last->next = h;
	else
		more->held_first = h;
	more->held_last = h;
	__atomic_fetch_add(&conn->posted_bytes, cost(h), __ATOMIC_SEQ_CST);
	return 0;
}

/* The oldest one goes out, or away. */
static bool let_go(struct pulse_ws_conn *conn, bool send)
{
	struct pulse__ws_more *more = conn->more;
	struct pulse__ws_held *h = more->held_first;

	if (!h)
		return false;
	more->held_first = h->next;
	if (!h->next)
		more->held_last = NULL;
	if (send && pulse__ws_state(conn) == PULSE__WS_OPEN && !conn->doomed)
		pulse__ws_send_shared(conn, h->msg);
	/* After it is in out_bytes, as in inbox.c:run_all() */
	__atomic_fetch_sub(&conn->posted_bytes, cost(h), __ATOMIC_SEQ_CST);
	pulse_ws_prepared_put(h->msg);
	pulse__free(h);
	return true;
}

void pulse__ws_release(struct pulse_ws_conn *conn)
{
	if (!conn->more || conn->more->holding || conn->tx_stream)
		return;
	while (let_go(conn, true))
		;
	pulse__ws_mark_dirty(conn);
}

void pulse__ws_held_free(struct pulse_ws_conn *conn)
{
	while (let_go(conn, false))
		;
}

/* ---- sending -------------------------------------------------------------------- */

enum step { BEGIN, PIECE, END, PAUSE, RESUME };

static int take_step(struct pulse_ws_conn *conn, enum step step, int op,
		     const void *data, size_t len)
{
	uint8_t next = conn->tx_stream & (uint8_t)~PULSE__WS_STREAM;
	int err;

	switch (step) {
	case BEGIN:
		conn->tx_stream = (uint8_t)(PULSE__WS_STREAM | (unsigned int)op);
		return 0;
	case PIECE:
		err = pulse__ws_put(conn, next | PULSE__WS_UNFINISHED, data, len);
		if (err)
			return err;
		conn->tx_stream = PULSE__WS_STREAM;	/* continuations */
		pulse__ws_count(conn->loop, bytes_out, len);
		return 0;
	case END:
		err = pulse__ws_put(conn, next, NULL, 0);
		if (err)
			return err;
		conn->tx_stream = 0;
		pulse__ws_count(conn->loop, messages_out, 1);
		pulse__ws_release(conn);
		return 0;
	case PAUSE:
		conn->stop |= PULSE__WS_STOP_USER;
		break;
	case RESUME:
		conn->stop &= (uint8_t)~PULSE__WS_STOP_USER;
		pulse__ws_arm(conn);
		break;
	}
	pulse__ws_mark_dirty(conn);
	return 0;
}

/* A step on its way to the loop. */
struct post {
	struct pulse__ws_item item;
	enum step step;
	int op;
	size_t len;
	uint8_t data[];
};

static void run_post(struct pulse__ws_item *item, bool drop)
{
	struct post *p = container_of(item, struct post, item);
	struct pulse_ws_conn *conn = item->conn;

	/* A piece that is missing would make another message of it. */
	if (!drop && pulse__ws_state(conn) == PULSE__WS_OPEN && !conn->doomed &&
	    take_step(conn, p->step, p->op, p->data, p->len))
		pulse__ws_doom(conn, conn->end);
	pulse__free(p);
}

static int step_or_post(struct pulse_ws_conn *conn, enum step step, int op,
			const void *data, size_t len)
{
	struct post *p;

	/* What was posted before comes first. */
	if (pulse__ws_mine(conn) && !pulse__load_acquire(&conn->inbox))
		return conn->doomed ? -EPIPE :
		       take_step(conn, step, op, data, len);
	p = pulse__malloc(sizeof(*p) + len);
	if (!p)
		return -ENOMEM;
	*p = (struct post){ .item = { .run = run_post, .cost = sizeof(*p) + len },
			    .step = step, .op = op, .len = len };
	if (len)
		memcpy(p->data, data, len);
	return pulse__ws_inbox_put(conn, &p->item);
}

static int is_open(const struct pulse_ws_conn *conn)
{
	uint8_t state;

	if (!conn)
		return -EINVAL;
	state = pulse__ws_state(conn);
	if (likely(state == PULSE__WS_OPEN))
		return 0;
	return state == PULSE__WS_GONE ? -ESRCH : -EPIPE;
}

int pulse_ws_send_begin(struct pulse_ws_conn *conn, int opcode)
{
	bool no = false;
	int err = is_open(conn);

	if (err)
		return err;
	if (opcode != PULSE_WS_TEXT && opcode != PULSE_WS_BINARY)
		return -EINVAL;
	/* acquire: after the end of the one before */
	if (!pulse__cas(&conn->streaming, &no, true, __ATOMIC_ACQUIRE,
			__ATOMIC_RELAXED))
		return -EBUSY;
	err = step_or_post(conn, BEGIN, opcode, NULL, 0);
	if (err)
		pulse__store_release(&conn->streaming, false);
	return err;
}

int pulse_ws_send_piece(struct pulse_ws_conn *conn, const void *data, size_t len)
{
	bool on_loop;
	int err;

	if (!conn || (!data && len))
		return -EINVAL;
	if (len > UINT32_MAX - PULSE__WS_HEADER_MAX)
		return -EMSGSIZE;
	err = pulse__ws_may_send(conn, &on_loop);
	if (err)
		return err;
	if (!pulse__load_acquire(&conn->streaming))
		return -EINVAL;
	return len ? step_or_post(conn, PIECE, 0, data, len) : 0;
}

int pulse_ws_send_end(struct pulse_ws_conn *conn)
{
	int err = is_open(conn);

	if (err)
		return err;
	if (!pulse__load_acquire(&conn->streaming))
		return -EINVAL;
	err = step_or_post(conn, END, 0, NULL, 0);
	if (!err)	/* pairs with pulse_ws_send_begin() */
		pulse__store_release(&conn->streaming, false);
	return err;
}

/* ---- pausing -------------------------------------------------------------------- */

int pulse_ws_pause(struct pulse_ws_conn *conn)
{
	return is_open(conn) ?: step_or_post(conn, PAUSE, 0, NULL, 0);
}

int pulse_ws_resume(struct pulse_ws_conn *conn)
{
	return is_open(conn) ?: step_or_post(conn, RESUME, 0, NULL, 0);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shared.c - messages that are built once and sent to many.
 *
 * A stream that refers to nothing before the message inflates right behind
 * whatever a peer's window holds, so its bytes do for all peers whose windows
 * have its size or more, context takeover or not. What such a connection
 * compresses by itself next must then begin anew, too (pmd->stale): its own
 * window has not seen the message.
 */
#include "ws/ws_int.h"

/* Shorter frames are copied: a reference takes as much. */
#define COPIED	256

/* A frame with a compressed payload; none (len 0) where that did not pay. */
struct pulse__ws_packed {
	size_t len;
	uint8_t frame[];
};

int pulse_ws_prepare(int opcode, const void *data, size_t len,
		     struct pulse_ws_prepared **out)
{
	uint8_t hdr[PULSE__WS_HEADER_MAX];
	struct pulse_ws_prepared *msg;
	size_t n;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if ((!data && len) ||
	    (opcode != PULSE_WS_TEXT && opcode != PULSE_WS_BINARY))
		return -EINVAL;
	if (len > UINT32_MAX / 2)
		return -EMSGSIZE;
	n = pulse__ws_frame_write(hdr, PULSE__WS_FIN | (unsigned int)opcode, len);
	msg = pulse__malloc(sizeof(*msg) + n + len);
	if (!msg)
		return -ENOMEM;
	*msg = (struct pulse_ws_prepared){ .refs = 1, .op = (uint8_t)opcode,
					   .len = len, .frame_len = n + len };
	msg->frame = msg->data;
	memcpy(msg->data, hdr, n);
	if (len)
		memcpy(msg->data + n, data, len);
	*out = msg;
	return 0;
}

struct pulse_ws_prepared *pulse_ws_prepared_get(struct pulse_ws_prepared *msg)
{
	if (msg)
		__atomic_fetch_add(&msg->refs, 1, __ATOMIC_RELAXED);
	return msg;
}

void pulse_ws_prepared_put(struct pulse_ws_prepared *msg)
{
	if (!msg)
		return;
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&msg->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	for (int i = PULSE__WS_BITS_MIN; i <= PULSE__WS_BITS_MAX; i++)
		pulse__free(msg->packed[i]);
	pulse__free(msg);
}

static const uint8_t *payload(const struct pulse_ws_prepared *msg)
{
	return msg->frame + msg->frame_len - msg->len;
}

/* NULL: no memory. */
static struct pulse__ws_packed *pack(struct pulse__ws_loop *loop,
				     const struct pulse_ws_prepared *msg,
				     uint8_t bits)
{
	struct pulse__ws_pmd alone = { .tx = { bits, true },
				       .level = loop->cfg->deflate.level };
	uint8_t hdr[PULSE__WS_HEADER_MAX];
	struct pulse__ws_packed *p;
	int64_t len = pulse__ws_deflate(&alone, &loop->shared, payload(msg),
					msg->len);
	size_t n = 0;

	if (len < 0 && len != -E2BIG)
		return NULL;
	if (len > 0)
		n = pulse__ws_frame_write(hdr, PULSE__WS_FIN | PULSE__WS_RSV1 |
					  msg->op, (uint64_t)len);
	else
		len = 0;
	p = pulse__malloc(sizeof(*p) + n + (size_t)len);
	if (!p)
		return NULL;
	p->len = n + (size_t)len;
	memcpy(p->frame, hdr, n);
	memcpy(p->frame + n, loop->shared.scratch, (size_t)len);
	pulse__ws_count(loop, deflated, n != 0);
	pulse__ws_count(loop, deflated_to, (uint64_t)len);
	return p;
}

static const struct pulse__ws_packed *packed(struct pulse_ws_conn *conn,
					     struct pulse_ws_prepared *msg)
{
	struct pulse__ws_packed **at = &msg->packed[conn->pmd->tx.bits];
	struct pulse__ws_packed *p, *have = NULL;

	/* pairs with the exchange below, of another loop */
	p = pulse__load_acquire(at);
	if (likely(p))
		return p;
	p = pack(conn->loop, msg, conn->pmd->tx.bits);
	if (!p || pulse__cas(at, &have, p, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return p;
	pulse__free(p);
	return have;
}

int pulse__ws_send_shared(struct pulse_ws_conn *conn,
			  struct pulse_ws_prepared *msg)
{
	const struct pulse__ws_packed *p = NULL;
	const uint8_t *frame = msg->frame;
	size_t len = msg->frame_len;
	int err;

	if (unlikely(conn->tx_stream))
		return pulse__ws_hold(conn, msg);
	/* A client's frames have a mask each. */
	if (unlikely(conn->client))
		return pulse__ws_send_now(conn, msg->op, payload(msg), msg->len);
	if (conn->pmd && msg->len >= conn->loop->cfg->deflate.min_bytes)
		p = packed(conn, msg);
	if (p && p->len) {
		frame = p->frame;
		len = p->len;
	}
	if (len < COPIED)
		err = pulse__ws_put_raw(conn, frame, len);
	else
		err = pulse__ws_put_shared(conn, msg, frame, len);
	if (unlikely(err))
		return err;
	if (frame != msg->frame)
		conn->pmd->stale = !conn->pmd->tx.forget;
	pulse__ws_count(conn->loop, messages_out, 1);
	pulse__ws_count(conn->loop, bytes_out, msg->len);
	pulse__ws_mark_dirty(conn);
	return 0;
}

/* ---- one connection ------------------------------------------------------- */

/* A prepared message on its way to the loop. */
struct post {
	struct pulse__ws_item item;
	struct pulse_ws_prepared *msg;
};

static void run_post(struct pulse__ws_item *item, bool drop)
{
	struct post *post = container_of(item, struct post, item);
	struct pulse_ws_conn *conn = item->conn;

	if (!drop && pulse__ws_state(conn) == PULSE__WS_OPEN && !conn->doomed)
		pulse__ws_send_shared(conn, post->msg);
	pulse_ws_prepared_put(post->msg);
	pulse__free(post);
}

int pulse_ws_send_prepared(struct pulse_ws_conn *conn,
			   struct pulse_ws_prepared *msg)
{
	struct post *post;
	bool on_loop;
	int err;

	if (!conn || !msg)
		return -EINVAL;
	err = pulse__ws_may_send(conn, &on_loop);
	if (err)
		return err;
	if (on_loop)
		return pulse__ws_send_shared(conn, msg);
	post = pulse__malloc(sizeof(*post));
	if (!post)
		return -ENOMEM;
	*post = (struct post){
		.item = { .run = run_post, .cost = sizeof(*post) + msg->len },
		.msg = pulse_ws_prepared_get(msg),
	};
	return pulse__ws_inbox_put(conn, &post->item);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rx.c - from the transport to messages.
 *
 * Everything that one read brought is handled before the next. A message that
 * lies in it whole is unmasked to where its answer would lie if it were the same
 * (tx_ref.c), and handed out from there; of others, the connection holds a buffer
 * of their size, into which rx_large.c receives the rest.
 */
#include "base/usdt.h"
#include "ws/rx_int.h"
#include "ws/tx_quick.h"

/* By whether we are the client, and whether messages may be compressed. */
const struct pulse__ws_rules pulse__ws_all_rules[2][2] = {
	{ { .masked = true },
	  { .masked = true, .rsv = PULSE__WS_RSV1 } },	/* RFC 7692, section 6 */
	{ { .masked = false },
	  { .masked = false, .rsv = PULSE__WS_RSV1 } },
};

void pulse__ws_rx_free(struct pulse_ws_conn *conn)
{
	pulse__ws_msg_free(conn->loop, conn->msg);
	if (unlikely(conn->more)) {
		pulse__free(conn->more->ctl);
		conn->more->ctl = NULL;
	}
	pulse__free(conn->stash);
	conn->msg = NULL;
	conn->stash = NULL;
	pulse__ws_pmd_free(conn->pmd);
	conn->pmd = NULL;
	if (conn->head) {
		pulse__ws_head_free(conn->head);
		pulse__free(conn->head);
		conn->head = NULL;
	}
}

static void no_memory(struct pulse_ws_conn *conn)
{
	pulse__ws_fail(conn, PULSE_WS_INTERNAL_ERROR, "out of memory");
}

/* ---- payload ------------------------------------------------------------- */

static void control(struct pulse_ws_conn *conn, uint8_t op, const uint8_t *data,
		    size_t len)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	unsigned int code = PULSE_WS_NO_CODE;

	if (op != PULSE__WS_CLOSE) {
		if (pulse__ws_state(conn) != PULSE__WS_OPEN)
			return;
		if (op == PULSE__WS_PING &&
		    pulse__ws_put_frame(conn, PULSE__WS_PONG, data, len))
			no_memory(conn);
		else if (op == PULSE__WS_PING && cfg->h.on_ping)
			cfg->h.on_ping(conn, data, len, cfg->arg);
		else if (op == PULSE__WS_PONG && cfg->h.on_pong)
			cfg->h.on_pong(conn, data, len, cfg->arg);
		return;
	}
	if (len >= 2) {
		uint32_t utf8 = 0;

		code = (unsigned int)data[0] << 8 | data[1];
		if (!pulse__ws_code_valid(code)) {
			pulse__ws_fail(conn, PULSE_WS_PROTOCOL_ERROR,
				       "invalid close code");
			return;
		}
		if (!conn->loop->codec->utf8(&utf8, data + 2, len - 2) || utf8) {
			pulse__ws_fail(conn, PULSE_WS_BAD_DATA,
				       "close reason is not UTF-8");
			return;
		}
	} else if (len) {
		pulse__ws_fail(conn, PULSE_WS_PROTOCOL_ERROR,
			       "close frame of one byte");
		return;
	}
	if (pulse__ws_state(conn) == PULSE__WS_OPEN) {
		pulse__ws_note_close(conn, (int)code,
				     len > 2 ? (const char *)data + 2 : NULL,
				     len > 2 ? len - 2 : 0);
		conn->end = PULSE_WS_END_PEER;
		/* The same code back; where there is no memory, just the end. */
		(void)pulse__ws_put_frame(conn, PULSE__WS_CLOSE, data,
					  len < 2 ? 0 : 2);
	}
	pulse__ws_end(conn, conn->end);
}

/* One that comes in pieces: the next of them, unmasked. */
static PULSE__NOINLINE void control_piece(struct pulse_ws_conn *conn,
					  const uint8_t *p, size_t n)
{
	struct pulse__ws_more *more = pulse__ws_more(conn);
	struct pulse__ws_msg *ctl;

	if (!more || !pulse__ws_msg_grow(conn->loop, &more->ctl, conn->left, true)) {
		no_memory(conn);
		return;
	}
	ctl = more->ctl;
	memcpy(ctl->data + ctl->len, p, n);
	ctl->len += n;
	conn->left -= n;
	if (conn->left)
		return;
	conn->in_frame = false;
	more->ctl = NULL;
	control(conn, conn->op, ctl->data, ctl->len);
	pulse__free(ctl);
}

static size_t control_payload(struct pulse_ws_conn *conn, uint8_t *p, size_t n)
{
	size_t take = n < conn->left ? n : (size_t)conn->left;

	conn->loop->codec->mask(p, p, take, conn->key);
	conn->key = pulse__ws_key_after(conn->key, take);
	if (likely(take == conn->left && (!conn->more || !conn->more->ctl))) {
		conn->left = 0;
		conn->in_frame = false;
		control(conn, conn->op, p, take);
		return take;
	}
	control_piece(conn, p, take);
	return take;
}

static void not_utf8(struct pulse_ws_conn *conn)
{
	pulse__ws_fail(conn, PULSE_WS_BAD_DATA, "text is not UTF-8");
}

static void cut_character(struct pulse_ws_conn *conn)
{
	pulse__ws_fail(conn, PULSE_WS_BAD_DATA, "text ends within a character");
}

/* May answers go out from where they lie? */
static inline bool takes_refs(const struct pulse_ws_conn *conn)
{
	return !conn->client && !conn->blocked && !conn->in_flight &&
	       !(conn->t->ops->features & PULSE_TRANSPORT_ASYNC_SEND);
}

/* A message is complete. */
static void complete(struct pulse_ws_conn *conn, uint8_t *data, size_t len)
{
	uint8_t op = conn->msg_op;

	conn->msg_op = 0;
	if (unlikely(conn->utf8)) {
		cut_character(conn);
		return;
	}
	pulse__ws_count(conn->loop, messages_in, 1);
	pulse__ws_count(conn->loop, bytes_in, len);
	PULSE__PROBE3(ws_message, conn, op, len);
	pulse__ws_deliver(conn, op, data, len);
}

static void complete_msg(struct pulse_ws_conn *conn)
{
	struct pulse__ws_msg *msg = conn->msg;
	struct pulse__ws_loop *loop = conn->loop;
	size_t len = msg->len - msg->skip;

	conn->msg = NULL;
	if (conn->fragments == 1 && !conn->packed && len >= PULSE__WS_EXPECT &&
	    len <= PULSE__WS_SPARE_MAX / 2)
		conn->expect = (uint32_t)len;
	if (unlikely(loop->cfg->h.on_chunk)) {
		pulse__ws_chunk(conn, msg->data, msg->len, true);
	} else {
		if (len >= PULSE__WS_DIRECT && loop->view_conn == conn &&
		    takes_refs(conn) && !loop->nr_refs) {
			loop->view_msg = msg->data + msg->skip;
			loop->view_len = len;
			loop->view_own = msg;
			loop->quick = NULL;	/* knows no such one */
		}
		complete(conn, msg->data + msg->skip, len);
		loop->view_len = SIZE_MAX;
		loop->view_own = NULL;
	}
	if (loop->ref_own != msg)
		pulse__ws_msg_free(loop, msg);
}

static bool decode_to(struct pulse_ws_conn *conn, uint8_t *to, const uint8_t *p,
		      size_t n)
{
	conn->loop->codec->mask(to, p, n, conn->key);
	conn->key = pulse__ws_key_after(conn->key, n);
	if (conn->msg_op == PULSE__WS_TEXT &&
	    unlikely(!conn->loop->codec->utf8(&conn->utf8, to, n))) {
		not_utf8(conn);
		return false;
	}
	return true;
}

/* Unmasks and checks the next bytes where they lie. */
bool pulse__ws_decode(struct pulse_ws_conn *conn, uint8_t *p, size_t n)
{
	return decode_to(conn, p, p, n);
}

/* The end of a frame whose bytes lie in conn->msg. */
void pulse__ws_frame_done(struct pulse_ws_conn *conn)
{
	conn->in_frame = false;
	if (conn->fin)
		complete_msg(conn);
}

static size_t packed_payload(struct pulse_ws_conn *conn, uint8_t *p,
			     size_t take)
{
	bool last = take == conn->left && conn->fin;

	conn->loop->codec->mask(p, p, take, conn->key);
	conn->key = pulse__ws_key_after(conn->key, take);
	conn->pmd->bytes += take;
	if (!pulse__ws_unpack(conn, p, take, last))
		return take;
	conn->left -= take;
	if (!conn->left)
		pulse__ws_frame_done(conn);
	return take;
}

/* All of a message that is one frame. */
static void whole_payload(struct pulse_ws_conn *conn, uint8_t *p, size_t len)
{
	struct pulse__ws_loop *loop = conn->loop;
	size_t head = pulse__ws_frame_head(len);
	uint8_t *to = p;

	/* A header that came in the read before leaves no room for the answer's. */
	if (loop->view_conn == conn && loop->place &&
	    (size_t)(p - loop->place) >= head) {
		to = loop->place + head;
		loop->view_msg = to;
		loop->view_len = len;
	}
	if (likely(decode_to(conn, to, p, len))) {
		conn->left = 0;
		conn->in_frame = false;
		complete(conn, to, len);
	}
	loop->view_len = SIZE_MAX;
}

static size_t data_payload(struct pulse_ws_conn *conn, uint8_t *p, size_t n)
{
	size_t take = n < conn->left ? n : (size_t)conn->left;

	if (unlikely(pulse__ws_state(conn) != PULSE__WS_OPEN)) {
		conn->left -= take;	/* came after our close: dropped */
		conn->in_frame = conn->left;
		return take;
	}
	if (unlikely(conn->packed))
		return packed_payload(conn, p, take);
	if (likely(take == conn->left && conn->fin && !conn->msg &&
		   !pulse__ws_in_chunks(conn))) {
		whole_payload(conn, p, take);
		return take;
	}
	if (unlikely(!pulse__ws_decode(conn, p, take)))
		return take;
	if (unlikely(conn->loop->cfg->h.on_chunk)) {
		conn->left -= take;
		conn->in_frame = conn->left;
		pulse__ws_chunk(conn, p, take, !conn->left && conn->fin);
		return take;
	}
	if (!pulse__ws_msg_grow(conn->loop, &conn->msg, conn->left, conn->fin)) {
		no_memory(conn);
		return take;
	}
	memcpy(conn->msg->data + conn->msg->len, p, take);
	conn->msg->len += take;
	conn->left -= take;
	if (!conn->left)
		pulse__ws_frame_done(conn);
	return take;
}

/* ---- headers ------------------------------------------------------------- */

void pulse__ws_begin_frame(struct pulse_ws_conn *conn,
			   const struct pulse__ws_frame *f)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	uint64_t before = conn->msg ? conn->msg->len :
			  pulse__ws_in_chunks(conn) ? conn->more->rx_bytes : 0;

	conn->op = f->op;
	conn->fin = f->fin;
	conn->left = f->len;
	conn->key = f->key;
	conn->in_frame = true;
	PULSE__PROBE3(ws_frame, conn, f->op, f->len);
	if (unlikely(pulse__ws_is_control(f->op)))
		return;
	if (unlikely((f->op == PULSE__WS_CONT) != (conn->msg_op != 0))) {
		pulse__ws_fail(conn, PULSE_WS_PROTOCOL_ERROR,
			       f->op == PULSE__WS_CONT ?
			       "continuation of nothing" :
			       "new message within a fragmented one");
		return;
	}
	if (f->op != PULSE__WS_CONT) {
		conn->msg_op = f->op;
		conn->utf8 = 0;
		conn->packed = f->rsv;
		if (f->rsv)
			conn->pmd->bytes = 0;
		conn->fragments = 1;
	} else if (unlikely(cfg->max_fragments) &&
		   ++conn->fragments > cfg->max_fragments) {
		pulse__ws_fail(conn, PULSE_WS_POLICY, "too many fragments");
		return;
	} else if (unlikely(f->rsv)) {
		pulse__ws_fail(conn, PULSE_WS_PROTOCOL_ERROR,
			       "reserved bit set in a continuation");
		return;
	}
	/* Of a compressed one, what comes of it is judged (unpack.c). */
	if (unlikely(conn->packed))
		return;
	/* The limit may have become less than what has come of it. */
	if (unlikely(before > cfg->max_message ||
		     f->len > cfg->max_message - before))
		pulse__ws_fail(conn, PULSE_WS_TOO_BIG, "message too big");
}

/* Returns how many bytes it took; in_frame tells whether that was a header. */
static size_t header(struct pulse_ws_conn *conn, const uint8_t *p, size_t n)
{
	const struct pulse__ws_rules *rules = pulse__ws_rules_of(conn);
	struct pulse__ws_frame f;
	const char *why = NULL;
	size_t used = 0;
	int r;

	if (likely(!conn->hdr_len)) {
		r = pulse__ws_frame_read(p, n, rules, &f, &why);
		used = r > 0 ? (size_t)r : n;
		if (!r) {
			memcpy(conn->hdr, p, n);
			conn->hdr_len = (uint8_t)n;
		}
	} else {
		do {
			conn->hdr[conn->hdr_len++] = p[used++];
			r = pulse__ws_frame_read(conn->hdr, conn->hdr_len,
						 rules, &f, &why);
		} while (!r && used < n);
		if (r)
			conn->hdr_len = 0;
	}
	if (likely(r > 0))
		pulse__ws_begin_frame(conn, &f);
	else if (r < 0)
		pulse__ws_fail(conn, PULSE_WS_PROTOCOL_ERROR, why);
	return used;
}

/*
 * A whole text or binary message of less than PULSE__WS_SHORT bytes, which most
 * are that a server gets: as header() and data_payload() would, without keeping
 * anything on the way. Returns its bytes; 0: it is something else. @ordinary: the
 * connection is known to be.
 */
static PULSE__INLINE size_t short_message(struct pulse_ws_conn *conn,
					  struct pulse__ws_loop *loop, uint8_t *p,
					  size_t n, bool ordinary)
{
	size_t len, head = 6;
	uint8_t op, *to;

	/* Final, without reserved bits, text or binary; masked. */
	op = p[0] - PULSE__WS_FIN;
	if (n < 6 || (uint8_t)(op - PULSE__WS_TEXT) > 1 ||
	    (!ordinary && conn->client))
		return 0;
	len = p[1] - 0x80U;	/* without a mask it wraps to a large number */
	if (len == 126) {
		len = (size_t)p[2] << 8 | p[3];
		head = 8;
		if (len < 126 || len >= PULSE__WS_SHORT)
			return 0;
	} else if (len > 126) {
		return 0;
	}
	if (n < head + len || len > loop->cfg->max_message || conn->msg_op ||
	    (!ordinary && pulse__ws_state(conn) != PULSE__WS_OPEN))
		return 0;
	p += head;
	to = p;
	if (likely(loop->place)) {	/* a server's header is 4 bytes less */
		to = loop->place + head - 4;
		loop->view_msg = to;
		loop->view_len = len;
	}
	if (unlikely(!pulse__ws_mask_short(to, p, len, pulse__ws_key(p - 4))))
		loop->codec->mask(to, p, len, pulse__ws_key(p - 4));
	if (op == PULSE__WS_TEXT && unlikely(!pulse__ws_ascii_short(to, len))) {
		uint32_t utf8 = 0;

		if (unlikely(!loop->codec->utf8(&utf8, to, len))) {
			not_utf8(conn);
			return len + head;
		}
		if (unlikely(utf8)) {
			cut_character(conn);
			return len + head;
		}
	}
	pulse__ws_count(loop, messages_in, 1);
	pulse__ws_count(loop, bytes_in, len);
	if (likely(loop->on_message))
		loop->on_message(conn, op, to, len, loop->cfg->arg);
	else
		pulse__ws_deliver(conn, op, to, len);
	return len + head;
}

/* ---- what was received --------------------------------------------------- */

static size_t request_body(struct pulse_ws_conn *conn, const uint8_t *p,
			   size_t n)
{
	int64_t used = pulse__ws_body_feed(conn->head, p, n);

	if (used < 0) {
		pulse__ws_doom(conn, conn->end);
		return n;
	}
	if (!conn->head->body_left)
		pulse__ws_upgrade(conn);
	return (size_t)used;
}

static size_t request_head(struct pulse_ws_conn *conn, const uint8_t *p,
			   size_t n)
{
	int64_t used;

	if (unlikely(conn->head && conn->head->body_left))
		return request_body(conn, p, n);
	if (unlikely(conn->head && conn->head->done)) {
		conn->stop |= PULSE__WS_STOP_VERDICT;
		return 0;
	}
	if (!conn->head) {
		conn->head = pulse__malloc(sizeof(*conn->head));
		if (!conn->head) {
			pulse__ws_doom(conn, conn->end);
			return n;
		}
		if (conn->client)
			pulse__ws_head_init_response(conn->head,
						     conn->loop->cfg->max_head);
		else
			pulse__ws_head_init(conn->head,
					    conn->loop->cfg->max_head);
	}
	used = pulse__ws_head_feed(conn->head, p, n);
	if (used < 0) {
		if (conn->client)
			pulse__ws_dial_fail(conn, (int)used);
		else if (used == -ENOMEM)
			pulse__ws_doom(conn, conn->end);
		else
			pulse__ws_refuse(conn, used == -E2BIG ? 431 : 400);
		return n;
	}
	if (conn->head->done && conn->client)
		pulse__ws_answered(conn);
	else if (conn->head->done)
		pulse__ws_upgrade(conn);
	return (size_t)used;
}

static void put_aside(struct pulse_ws_conn *conn, const uint8_t *p, size_t n)
{
	struct pulse__ws_stash *stash = pulse__malloc(sizeof(*stash) + n);

	if (!stash) {
		no_memory(conn);
		return;
	}
	stash->at = 0;
	stash->len = n;
	memcpy(stash->data, p, n);
	conn->stash = stash;
}

/* Returns how many bytes were handled before something said stop. */
static size_t handle(struct pulse_ws_conn *conn, uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n || (conn->in_frame && !conn->left)) {
		uint8_t state = pulse__ws_state(conn);
		size_t used;

		if (unlikely(conn->doomed || state >= PULSE__WS_ENDING))
			return n;	/* nobody wants the rest */
		if (unlikely(conn->stop))
			return at;
		if (unlikely(state == PULSE__WS_HEAD))
			at += request_head(conn, p + at, n - at);
		else if (!conn->in_frame && !conn->hdr_len &&
			 likely((used = short_message(conn, conn->loop, p + at,
						      n - at, false))))
			at += used;
		else if (!conn->in_frame)
			at += header(conn, p + at, n - at);
		else if (unlikely(pulse__ws_is_control(conn->op)))
			at += control_payload(conn, p + at, n - at);
		else
			at += data_payload(conn, p + at, n - at);
	}
	return at;
}

void pulse__ws_rx(struct pulse_ws_conn *conn, uint8_t *data, size_t bytes)
{
	size_t used = handle(conn, data, bytes);

	if (unlikely(used < bytes))
		put_aside(conn, data + used, bytes - used);
}

void pulse__ws_resume(struct pulse_ws_conn *conn)
{
	struct pulse__ws_stash *stash = conn->stash;

	conn->in_rx = true;
	conn->stash = NULL;
	stash->at += handle(conn, stash->data + stash->at,
			    stash->len - stash->at);
	if (stash->at < stash->len && pulse__ws_state(conn) < PULSE__WS_ENDING)
		conn->stash = stash;
	else
		pulse__free(stash);
	conn->in_rx = false;
}

/* ---- the transport ------------------------------------------------------- */

static inline void begin_view(struct pulse_ws_conn *conn,
			      struct pulse__ws_loop *loop, uint8_t *data,
			      bool takes)
{
	loop->view_conn = conn;
	loop->quick = (uintptr_t)conn->pmd | (uintptr_t)conn->more ? NULL : conn;
	loop->place = takes ? data : NULL;
	loop->view_len = SIZE_MAX;
}

static inline void close_view(struct pulse__ws_loop *loop)
{
	loop->view_conn = loop->quick = NULL;
	loop->place = NULL;
}

static inline void end_view(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;

	if (loop->nr_refs)
		pulse__ws_refs_out(conn);
	close_view(loop);
}

void pulse__ws_rx_view(struct pulse_ws_conn *conn, uint8_t *data, size_t n)
{
	begin_view(conn, conn->loop, data, takes_refs(conn));
	pulse__ws_rx(conn, data, n);
	end_view(conn);
}

void pulse__ws_rx_own(struct pulse_ws_conn *conn, uint8_t *data, size_t n)
{
	begin_view(conn, conn->loop, NULL, false);
	pulse__ws_frame_done(conn);
	if (n) {
		begin_view(conn, conn->loop, data, takes_refs(conn));
		pulse__ws_rx(conn, data, n);
	}
	end_view(conn);
}

static void peer_ended(struct pulse_ws_conn *conn)
{
	conn->eof = true;
	if (pulse__ws_state(conn) == PULSE__WS_HEAD)
		pulse__ws_doom(conn, conn->end);
	else
		pulse__ws_end(conn, conn->end);
}

/* Nothing was received: the end, an error, or a false alarm. */
static void not_received(struct pulse_ws_conn *conn, ssize_t n)
{
	if (n == 0)
		peer_ended(conn);
	else if (n != -EAGAIN)
		pulse__ws_doom(conn, conn->end);
}

/* What is left to do after any other read than the one below. */
static PULSE__NOINLINE void read_over(struct pulse_ws_conn *conn)
{
	end_view(conn);
	conn->in_rx = false;
	if (unlikely(!pulse__ws_out(conn)))
		pulse__ws_after(conn);
}

static PULSE__NOINLINE void nothing_read(struct pulse_ws_conn *conn, ssize_t n)
{
	not_received(conn, n);
	conn->in_rx = false;
	pulse__ws_after(conn);
}

/*
 * What most events are: whole short messages, to a handler that answers at once
 * with what it got. As pulse__ws_readable() and pulse__ws_after() would, and what
 * has no need to be looked at is not, where the connection is as ordinary as it was.
 */
void pulse__ws_read_ordinary(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;
	uint8_t *data, *end;
	size_t used;
	ssize_t n;

	conn->in_rx = true;
	pulse__ws_count(loop, reads, 1);
	n = conn->t->ops->view(conn->t, (void **)&data);
	if (unlikely(n <= 0)) {
		nothing_read(conn, n);
		return;
	}
	/* Of takes_refs(), all the rest is ordinary. */
	begin_view(conn, loop, data, !(conn->t->ops->features &
				       PULSE_TRANSPORT_ASYNC_SEND));
	end = data + n;
	do {
		used = short_message(conn, loop, data, (size_t)(end - data), true);
		data += used;
	} while (used && data < end && pulse__ws_is_ordinary(conn));
	if (unlikely(data < end))
		pulse__ws_rx(conn, data, (size_t)(end - data));
	conn->heard_tick = pulse__ws_tick(loop);
	if (likely(pulse__ws_is_ordinary(conn) && !conn->out_first &&
		   pulse__ws_refs_are_one(loop) &&
		   pulse__ws_refs_sent(conn, loop) && pulse__ws_is_done(conn))) {
		close_view(loop);
		conn->in_rx = false;
	} else {
		read_over(conn);
	}
}

void pulse__ws_readable(struct pulse_ws_conn *conn)
{
	uint8_t *data;
	ssize_t n;

	conn->in_rx = true;
	pulse__ws_count(conn->loop, reads, 1);
	if (unlikely(pulse__ws_is_straight(conn))) {
		n = pulse__ws_receive_straight(conn);
	} else if (unlikely(conn->expect) && pulse__ws_is_ordinary(conn) &&
		   !conn->msg_op) {
		n = pulse__ws_receive_expected(conn);
	} else {
		n = pulse_transport_view(conn->t, (void **)&data);
		if (likely(n > 0))
			pulse__ws_rx_view(conn, data, (size_t)n);
	}
	if (likely(n > 0)) {
		if (likely(pulse__ws_state(conn) == PULSE__WS_OPEN)) {
			conn->heard_tick = pulse__ws_tick(conn->loop);
			/* The timer is otherwise left to find out itself. */
			if (unlikely(conn->pinged)) {
				conn->pinged = false;
				pulse__ws_arm(conn);
			}
		}
	} else {
		not_received(conn, n);
	}
	conn->in_rx = false;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tx.c - from messages to the transport.
 *
 * While a batch of frames is handled, answers gather in one buffer of the
 * loop's, which is given to the transport once, at the end of the read. What a
 * transport does not take stays with the connection. Large messages, and those
 * that are sent back as they came, go out from where they lie (tx_ref.c).
 *
 * Other threads: a send looks at posted_bytes + out_bytes without a lock, and
 * where that is too much sets want_drain and looks again. What moves from posted
 * to out is for a moment in both, and they are read in this order, so that it is
 * seen in one of them at least: what is unsent is never taken for less than it
 * is, though it may be taken for more while it moves. The loop stores the
 * lower count and then looks at want_drain, so one of the two sees the other:
 * no sleeper waits for an on_drain that has been. Answers that lie in a read are
 * counted from its end on, as far as they are unsent then.
 */
#include "ws/tx_quick.h"

#include <sys/random.h>

/* ---- buffers ------------------------------------------------------------- */

static struct pulse__ws_obuf *obuf_new(struct pulse__ws_loop *loop,
				       size_t room)
{
	struct pulse__ws_obuf *buf;

	if (room == PULSE__WS_OBUF && loop->spare) {
		buf = loop->spare;
		loop->spare = buf->next;
		loop->nr_spare--;
	} else {
		buf = pulse__malloc(sizeof(*buf) + room);
		if (!buf)
			return NULL;
		buf->room = (uint32_t)room;
	}
	buf->next = NULL;
	buf->head = buf->tail = 0;
	buf->is_shared = false;
	return buf;
}

static void obuf_free(struct pulse__ws_loop *loop, struct pulse__ws_obuf *buf)
{
	if (unlikely(buf->is_shared))
		pulse_ws_prepared_put(pulse__ws_shared_of(buf)->msg);
	else if (pulse__ws_obuf_keep(loop, buf))
		return;
	pulse__free(buf);
}

/*
 * In a batch the loop's large buffer, which comes back at its end; otherwise
 * one that fits, so that a message to thousands does not take thousands of
 * large ones, growing where more and more is unsent.
 */
static size_t room_for(const struct pulse_ws_conn *conn, size_t bytes)
{
	size_t room = 1024;

	if (conn->in_rx)
		room = PULSE__WS_OBUF;
	else if (conn->out_last)
		room = 2 * (size_t)conn->out_last->room;
	if (room > PULSE__WS_OBUF)
		room = PULSE__WS_OBUF;
	return bytes > room ? bytes : room;
}

static void append(struct pulse_ws_conn *conn, struct pulse__ws_obuf *buf)
{
	if (conn->out_last)
		conn->out_last->next = buf;
	else
		conn->out_first = buf;
	conn->out_last = buf;
}

/* What is to go out by reference comes before anything that is queued now. */
static inline void refs_first(struct pulse_ws_conn *conn)
{
	if (unlikely(conn->loop->nr_refs) && conn->loop->view_conn == conn)
		pulse__ws_queue_refs(conn);
}

static uint8_t *reserve(struct pulse_ws_conn *conn, size_t bytes)
{
	struct pulse__ws_obuf *buf;

	refs_first(conn);
	buf = conn->out_last;
	if (likely(buf && buf->room - buf->tail >= bytes))
		return buf->data + buf->tail;
	buf = obuf_new(conn->loop, room_for(conn, bytes));
	if (!buf)
		return NULL;
	append(conn, buf);
	return buf->data;
}

static void look_at_high(struct pulse_ws_conn *conn)
{
	if (unlikely(conn->out_bytes >= pulse__ws_high(conn))) {
		conn->over = true;
		conn->stop |= PULSE__WS_STOP_OUT;
	}
}

static void commit(struct pulse_ws_conn *conn, size_t bytes)
{
	conn->out_last->tail += (uint32_t)bytes;
	WRITE_ONCE(conn->out_bytes, conn->out_bytes + bytes);
	look_at_high(conn);
}

void pulse__ws_marks_changed(struct pulse_ws_conn *conn)
{
	conn->loop->quick = NULL;
	look_at_high(conn);
	pulse__ws_mark_dirty(conn);	/* looks at the low one */
}

void pulse__ws_consume(struct pulse_ws_conn *conn, size_t bytes)
{
	WRITE_ONCE(conn->out_bytes, conn->out_bytes - bytes);
	while (conn->out_first) {
		struct pulse__ws_obuf *buf = conn->out_first;
		size_t have = buf->tail - buf->head;

		if (bytes < have) {
			buf->head += (uint32_t)bytes;
			return;
		}
		bytes -= have;
		conn->out_first = buf->next;
		obuf_free(conn->loop, buf);
	}
	conn->out_last = NULL;
}

/* What is left may stay for long: no large buffer for a small rest. */
static void shrink(struct pulse_ws_conn *conn)
{
	struct pulse__ws_obuf *buf = conn->out_first, *small;
	size_t have;

	if (!buf || buf->next || buf->room != PULSE__WS_OBUF || buf->is_shared)
		return;
	have = buf->tail - buf->head;
	if (have > PULSE__WS_OBUF / 4)
		return;
	small = obuf_new(conn->loop, have);
	if (!small)
		return;
	memcpy(small->data, buf->data + buf->head, have);
	small->tail = (uint32_t)have;
	conn->out_first = conn->out_last = small;
	obuf_free(conn->loop, buf);
}

void pulse__ws_tx_free(struct pulse_ws_conn *conn)
{
	while (conn->out_first) {
		struct pulse__ws_obuf *buf = conn->out_first;

		conn->out_first = buf->next;
		obuf_free(conn->loop, buf);
	}
	conn->out_last = NULL;
	WRITE_ONCE(conn->out_bytes, 0);
}

int pulse__ws_put_raw(struct pulse_ws_conn *conn, const void *data, size_t len)
{
	uint8_t *to = reserve(conn, len);

	if (!to)
		return -ENOMEM;
	memcpy(to, data, len);
	commit(conn, len);
	return 0;
}

int pulse__ws_put_shared(struct pulse_ws_conn *conn,
			 struct pulse_ws_prepared *msg, const uint8_t *bytes,
			 size_t len)
{
	struct pulse__ws_obuf *buf = pulse__malloc(sizeof(*buf) +
						   sizeof(struct pulse__ws_ref));

	if (!buf)
		return -ENOMEM;
	refs_first(conn);
	*buf = (struct pulse__ws_obuf){ .room = (uint32_t)len,
					.is_shared = true };
	*pulse__ws_shared_of(buf) = (struct pulse__ws_ref){
		pulse_ws_prepared_get(msg), bytes };
	append(conn, buf);
	commit(conn, len);	/* full: nothing is put behind it */
	return 0;
}

/* A mask nobody can foresee, so that no proxy takes payload for a request. */
static uint32_t new_key(struct pulse__ws_loop *loop)
{
	if (!loop->nr_keys) {
		size_t have = 0;

		while (have < sizeof(loop->keys)) {
			ssize_t n = getrandom((uint8_t *)loop->keys + have,
					      sizeof(loop->keys) - have, 0);

			if (n > 0)
				have += (size_t)n;
		}
		loop->nr_keys = ARRAY_SIZE(loop->keys);
	}
	return loop->keys[--loop->nr_keys];
}

/* What a client sends is masked on its way to the place behind its key. */
static size_t mask_frame(struct pulse_ws_conn *conn, uint8_t *frame, size_t n,
			 const void *data, size_t len)
{
	uint32_t key = new_key(conn->loop);

	frame[1] |= 0x80;
	memcpy(frame + n, &key, sizeof(key));
	n += sizeof(key);
	if (len)
		conn->loop->codec->mask(frame + n, data, len, key);
	return n + len;
}

int pulse__ws_put_frame(struct pulse_ws_conn *conn, uint8_t op,
			const void *data, size_t len)
{
	uint8_t *to = reserve(conn, len + PULSE__WS_HEADER_MAX);
	size_t n;

	if (unlikely(!to))
		return -ENOMEM;
	n = pulse__ws_frame_write(to, PULSE__WS_FIN ^ op, len);
	if (unlikely(conn->client)) {
		commit(conn, mask_frame(conn, to, n, data, len));
		return 0;
	}
	if (len)
		memcpy(to + n, data, len);
	commit(conn, n + len);
	return 0;
}

/* ---- the transport ------------------------------------------------------- */

int pulse__ws_gather(const struct pulse_ws_conn *conn, struct iovec *iov,
		     size_t *bytes)
{
	int n = 0;

	*bytes = 0;
	for (struct pulse__ws_obuf *buf = conn->out_first;
	     buf && n < PULSE__WS_PIECES; buf = buf->next, n++) {
		iov[n].iov_base = (uint8_t *)(uintptr_t)(buf->is_shared ?
				  pulse__ws_shared_of(buf)->bytes : buf->data) + buf->head;
		iov[n].iov_len = buf->tail - buf->head;
		*bytes += iov[n].iov_len;
	}
	return n;
}

uint32_t pulse__ws_moved_bytes(const struct pulse_ws_conn *conn, bool *more)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };

	(void)pulse_transport_stats(conn->t, &s);
	if (more)
		*more = s.unsent > 0;
	return (uint32_t)(s.tx_bytes - s.unsent);
}

void pulse__ws_block(struct pulse_ws_conn *conn)
{
	conn->blocked = true;
	pulse__ws_no_place(conn);
	conn->moved_tick = pulse__ws_tick(conn->loop);
	conn->moved_bytes = pulse__ws_moved_bytes(conn, NULL);
	shrink(conn);
	pulse__ws_arm(conn);
}

static void lowered(struct pulse_ws_conn *conn)
{
	if (likely(!conn->over) || conn->out_bytes > pulse__ws_low(conn))
		return;
	conn->over = false;
	conn->stop &= (uint8_t)~PULSE__WS_STOP_OUT;
	/* pairs with refuse_now(): the lower count before want_drain */
	__atomic_store_n(&conn->out_bytes, conn->out_bytes, __ATOMIC_SEQ_CST);
}

bool pulse__ws_taken(struct pulse_ws_conn *conn, ssize_t n, size_t bytes)
{
	if (likely(n > 0)) {
		pulse__ws_consume(conn, (size_t)n);
		if (unlikely((size_t)n < bytes))
			pulse__ws_block(conn);
	} else if (n == -EINPROGRESS) {
		conn->in_flight = true;
		conn->out_first->flight = bytes;
		conn->moved_tick = pulse__ws_tick(conn->loop);
		pulse__ws_arm(conn);
	} else if (n == -EAGAIN) {
		pulse__ws_block(conn);
	} else {
		pulse__ws_doom(conn, conn->end);
		return false;
	}
	return true;
}

void pulse__ws_flush(struct pulse_ws_conn *conn)
{
	struct iovec iov[PULSE__WS_PIECES];

	while (conn->out_first && !conn->blocked && !conn->in_flight) {
		size_t bytes;
		int nr = pulse__ws_gather(conn, iov, &bytes);

		/* Before, so that who has the answer finds it counted. */
		pulse__ws_count(conn->loop, sends, 1);
		if (!pulse__ws_taken(conn, pulse_transport_send(conn->t, iov, nr), bytes))
			return;
	}
	lowered(conn);
}

void pulse__ws_sent(struct pulse_ws_conn *conn)
{
	if (!conn->in_flight)
		return;
	conn->in_flight = false;
	pulse__ws_consume(conn, conn->out_first->flight);
	lowered(conn);
}

void pulse__ws_maybe_drained(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	pulse__ws_strand_resume(conn);
	/* pairs with refuse_now() */
	if (likely(!__atomic_load_n(&conn->want_drain, __ATOMIC_SEQ_CST)) ||
	    pulse__ws_state(conn) != PULSE__WS_OPEN ||
	    pulse_ws_conn_queued(conn) > pulse__ws_low(conn) ||
	    !__atomic_exchange_n(&conn->want_drain, 0, __ATOMIC_SEQ_CST))
		return;
	if (cfg->h.on_drain)
		cfg->h.on_drain(conn, cfg->arg);
}

/* ---- the send API -------------------------------------------------------- */

size_t pulse_ws_conn_queued(const struct pulse_ws_conn *conn)
{
	if (!conn)
		return 0;
	size_t posted = __atomic_load_n(&conn->posted_bytes, __ATOMIC_SEQ_CST);

	return posted + __atomic_load_n(&conn->out_bytes, __ATOMIC_SEQ_CST);
}

/* Too much is unsent: ask for on_drain, unless there is room by now. */
static bool refuse_now(struct pulse_ws_conn *conn)
{
	uint64_t high = pulse__ws_high(conn);
	size_t posted = pulse__load_acquire(&conn->posted_bytes);

	/*
	 * There was room when the handler began, and others may have taken it
	 * since: it may go beyond, but not without bound.
	 */
	if (pulse__ws_in_strand == conn)
		high *= 2;
	if (likely(posted + READ_ONCE(conn->out_bytes) < high))
		return false;
	/* pairs with lowered() and pulse__ws_maybe_drained() */
	__atomic_store_n(&conn->want_drain, 1, __ATOMIC_SEQ_CST);
	return pulse_ws_conn_queued(conn) >= high;
}

/*
 * Puts the compressed message in the place of the message, where that pays. The
 * peer's stream has then seen it: it must go out.
 */
static int pack(struct pulse_ws_conn *conn, uint8_t *op, const void **data,
		size_t *len)
{
	struct pulse__ws_loop *loop = conn->loop;
	int64_t n;

	if (*len < loop->cfg->deflate.min_bytes)
		return 0;
	n = pulse__ws_deflate(conn->pmd, &loop->shared, *data, *len);
	if (n == -ENOMEM || n == -E2BIG)
		return 0;
	if (n < 0) {
		pulse__ws_doom(conn, conn->end);
		return -EPIPE;
	}
	pulse__ws_count(loop, deflated, 1);
	pulse__ws_count(loop, deflated_to, (uint64_t)n);
	*op |= PULSE__WS_RSV1;
	*data = loop->shared.scratch;
	*len = (size_t)n;
	return 0;
}

int pulse__ws_put(struct pulse_ws_conn *conn, uint8_t op, const void *data,
		  size_t len)
{
	int err;

	refs_first(conn);
	if (unlikely(pulse__ws_direct(conn, len)))
		err = pulse__ws_send_direct(conn, op, data, len);
	else
		err = pulse__ws_put_frame(conn, op, data, len);
	if (likely(!err))
		pulse__ws_mark_dirty(conn);
	return err;
}

/* Behind a message that is sent in pieces. */
static PULSE__NOINLINE int send_later(struct pulse_ws_conn *conn, uint8_t op,
				      const void *data, size_t len)
{
	struct pulse_ws_prepared *msg;
	int err = pulse_ws_prepare(op, data, len, &msg);

	if (!err)
		err = pulse__ws_hold(conn, msg);
	pulse_ws_prepared_put(msg);
	return err;
}

int pulse__ws_send_now(struct pulse_ws_conn *conn, uint8_t op, const void *data,
		       size_t len)
{
	int err;

	if (unlikely(conn->tx_stream) && !pulse__ws_is_control(op))
		return send_later(conn, op, data, len);
	if (likely(!pulse__ws_is_control(op))) {
		pulse__ws_count(conn->loop, messages_out, 1);
		pulse__ws_count(conn->loop, bytes_out, len);
	}
	if (unlikely(conn->pmd) && !pulse__ws_is_control(op)) {
		err = pack(conn, &op, &data, &len);
		if (err)
			return err;
	}
	if (pulse__ws_send_back(conn, op, data, len))
		return 0;
	err = pulse__ws_put(conn, op, data, len);
	/* Its window has moved, the peer's not. */
	if (unlikely(err) && op & PULSE__WS_RSV1)
		pulse__ws_doom(conn, conn->end);
	return err;
}

/* A message, or a close (op is PULSE__WS_CLOSE), on its way to the loop. */
struct post {
	struct pulse__ws_item item;
	size_t len;
	int code;
	uint8_t op;
	uint8_t data[];
};

static void run_post(struct pulse__ws_item *item, bool drop)
{
	struct post *post = container_of(item, struct post, item);
	struct pulse_ws_conn *conn = item->conn;

	if (!drop && post->op == PULSE__WS_CLOSE)
		pulse__ws_start_close(conn, post->code,
				      (const char *)post->data, post->len,
				      PULSE_WS_END_LOCAL);
	else if (!drop && pulse__ws_state(conn) == PULSE__WS_OPEN &&
		 !conn->doomed)
		pulse__ws_send_now(conn, post->op, post->data, post->len);
	pulse__free(post);
}

static int post(struct pulse_ws_conn *conn, uint8_t op, int code,
		const void *data, size_t len)
{
	struct post *p = pulse__malloc(sizeof(*p) + len);

	if (!p)
		return -ENOMEM;
	/* Small messages weigh what they take. */
	*p = (struct post){ .item = { .run = run_post,
				      .cost = sizeof(*p) + len },
			    .len = len, .code = code, .op = op };
	if (len)
		memcpy(p->data, data, len);
	return pulse__ws_inbox_put(conn, &p->item);
}

/* 0 in states that can send. The loop's own word is final, a stranger's not. */
static int may_send(const struct pulse_ws_conn *conn)
{
	uint8_t state = pulse__ws_state(conn);

	if (likely(state == PULSE__WS_OPEN))
		return 0;
	return state == PULSE__WS_GONE ? -ESRCH : -EPIPE;
}

int pulse__ws_may_send(struct pulse_ws_conn *conn, bool *on_loop)
{
	int err;

	/* In this order: a loop whose thread has ended has no connections left. */
	*on_loop = pulse__ws_mine(conn);
	err = may_send(conn);
	if (err)
		return err;
	if (refuse_now(conn))
		return -EAGAIN;
	return *on_loop && conn->doomed ? -EPIPE : 0;
}

/*
 * A short answer by a handler, into the batch that is being gathered: what
 * send_slowly() does in that case, in one piece. False: it is another case.
 */
static inline bool send_quickly(struct pulse_ws_conn *conn, int opcode,
				const void *data, size_t len)
{
	struct pulse__ws_loop *loop = pulse__ws_loop_of(conn);
	struct pulse__ws_obuf *buf;
	uint8_t *at, *to;

	if (unlikely(pulse__poller_current != loop->poller ||
		     loop->quick != conn ||
		     conn->ordinary != PULSE__WS_ORDINARY ||
		     (unsigned int)opcode - PULSE_WS_TEXT > 1 ||
		     conn->out_bytes + loop->ref_bytes + len + 4 +
		     READ_ONCE(conn->posted_bytes) >= READ_ONCE(loop->cfg->high)))
		return false;
	buf = conn->out_last;
	if (likely(pulse__ws_in_hand(loop, data, len) && !buf)) {
		pulse__ws_count(loop, messages_out, 1);
		pulse__ws_count(loop, bytes_out, len);
		pulse__ws_put_ref(loop, (uint8_t)(PULSE__WS_FIN |
						  (unsigned int)opcode), len);
		return true;
	}
	if (unlikely(len - 1 >= PULSE__WS_SHORT - 1 || !data || loop->nr_refs))
		return false;
	if (!buf) {		/* the first of the batch */
		buf = loop->spare;
		if (unlikely(!buf))
			return false;
		loop->spare = buf->next;
		loop->nr_spare--;
		buf->next = NULL;
		conn->out_first = conn->out_last = buf;
	} else if (unlikely(buf->room - buf->tail < len + 4)) {
		return false;
	}
	pulse__ws_count(loop, messages_out, 1);
	pulse__ws_count(loop, bytes_out, len);
	at = buf->data + buf->tail;
	to = at + pulse__ws_frame_write(at, (uint8_t)(PULSE__WS_FIN |
						      (unsigned int)opcode), len);
	len += (size_t)(to - at);
	buf->tail += (uint32_t)len;
	WRITE_ONCE(conn->out_bytes, conn->out_bytes + len);
	pulse__ws_copy_short(to, data, len - (size_t)(to - at));
	return true;
}

static PULSE__NOINLINE int send_slowly(struct pulse_ws_conn *conn, int opcode,
				       const void *data, size_t len)
{
	bool on_loop;
	int err;

	if (!conn || (!data && len) ||
	    (opcode != PULSE_WS_TEXT && opcode != PULSE_WS_BINARY &&
	     opcode != PULSE_WS_PING && opcode != PULSE_WS_PONG))
		return -EINVAL;
	if (opcode >= PULSE_WS_PING && len > PULSE__WS_CONTROL_MAX)
		return -EMSGSIZE;
	if (len > UINT32_MAX - PULSE__WS_HEADER_MAX)
		return -EMSGSIZE;
	/* In this order: a loop whose thread has ended has no connections left. */
	on_loop = pulse__ws_mine(conn);
	err = may_send(conn);
	if (unlikely(err))
		return err;
	if (unlikely(refuse_now(conn)))
		return -EAGAIN;
	if (unlikely(!on_loop))
		return post(conn, (uint8_t)opcode, 0, data, len);
	if (unlikely(conn->doomed))
		return -EPIPE;
	return pulse__ws_send_now(conn, (uint8_t)opcode, data, len);
}

int pulse_ws_send(struct pulse_ws_conn *conn, int opcode, const void *data,
		  size_t len)
{
	if (likely(conn && send_quickly(conn, opcode, data, len)))
		return 0;
	return send_slowly(conn, opcode, data, len);
}

int pulse_ws_close(struct pulse_ws_conn *conn, int code, const char *reason,
		   size_t len)
{
	bool on_loop;
	int err;

	if (!conn || (!reason && len) || (!code && len) ||
	    (code && (code < 0 || !pulse__ws_code_valid((unsigned int)code))))
		return -EINVAL;
	if (len > PULSE__WS_CONTROL_MAX - 2)
		return -EMSGSIZE;
	on_loop = pulse__ws_mine(conn);
	err = may_send(conn);
	if (err)
		return err;
	if (!on_loop)
		return post(conn, PULSE__WS_CLOSE, code, reason, len);
	return pulse__ws_start_close(conn, code, reason, len,
				     PULSE_WS_END_LOCAL);
}

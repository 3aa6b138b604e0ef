// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * conn.c - a connection's life: its states, timers, closing and references.
 *
 *	HEAD -> OPEN -> CLOSING -> ENDING -> GONE
 *
 * HEAD goes to ENDING where the request is answered with a page or refused,
 * OPEN where the peer closes first or breaks the rules. ENDING sends what is
 * left, ends our side and drops what still comes until the peer ends its own:
 * a close with unread bytes would be a reset, which may overtake our last
 * words. Any state may fall to GONE.
 */
#include "base/usdt.h"
#include "ws/ws_int.h"

static void set_state(struct pulse_ws_conn *conn, enum pulse__ws_state state)
{
	__atomic_store_n(&conn->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* ---- references ----------------------------------------------------------- */

struct pulse_ws_conn *pulse_ws_get(struct pulse_ws_conn *conn)
{
	if (conn)
		__atomic_fetch_add(&conn->refs, 1, __ATOMIC_RELAXED);
	return conn;
}

void pulse_ws_put(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop;

	if (!conn)
		return;
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&conn->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	loop = conn->loop;
	pulse__ws_strand_free(conn);
	if (conn->close_code)
		pulse__free(conn->close_reason);
	for (uint32_t i = 0; conn->more && i < loop->server->nr_loops; i++)
		if (conn->more->been[i / 64] >> i % 64 & 1)
			pulse__ws_loop_put(loop->server->loops[i]);
	if (conn->more)
		pulse__free(conn->more->trace);
	pulse__free(conn->more);
	pulse__free(conn);
	pulse__ws_loop_put(loop);
}

void *pulse_ws_conn_user(const struct pulse_ws_conn *conn)
{
	return conn ? READ_ONCE(conn->user) : NULL;
}

int pulse_ws_conn_set_user(struct pulse_ws_conn *conn, void *user)
{
	if (!conn)
		return -EINVAL;
	WRITE_ONCE(conn->user, user);
	return 0;
}

const char *pulse_ws_conn_subprotocol(const struct pulse_ws_conn *conn)
{
	if (!conn || !conn->subprotocol)
		return NULL;
	return pulse__ws_loop_of(conn)->cfg->subprotocols[conn->subprotocol - 1];
}

bool pulse_ws_conn_deflates(const struct pulse_ws_conn *conn)
{
	return conn && READ_ONCE(conn->deflates);
}

int pulse_ws_conn_address(struct pulse_ws_conn *conn, char *buf, size_t len)
{
	if (!conn || !buf || !len)
		return -EINVAL;
	if (!pulse__ws_mine(conn))
		return -EPERM;
	if (!conn->t)
		return -ESRCH;
	return pulse_transport_address(conn->t, true, buf, len);
}

struct pulse__ws_more *pulse__ws_more(struct pulse_ws_conn *conn)
{
	struct pulse__ws_more *more = conn->more;

	if (likely(more))
		return more;
	more = pulse__calloc(1, sizeof(*more));
	if (!more)
		return NULL;
	pulse__list_init(&more->subs);
	/* pairs with pulse_ws_conn_dropped() */
	pulse__store_release(&conn->more, more);
	return more;
}

/* ---- timers --------------------------------------------------------------- */

/* What is merely not flushed yet is not the peer's doing. */
static bool waits_for_peer(const struct pulse_ws_conn *conn)
{
	return conn->blocked || conn->in_flight;
}

static void earlier(uint32_t now, uint32_t base, uint32_t after, int32_t *left)
{
	int32_t mine = (int32_t)(base + after - now);

	if (after && mine < *left)
		*left = mine;
}

/*
 * In ticks; 0: no end. What is taken off by chance is the same at each call, from
 * where and when the connection was made (multiplicative hashing, Knuth, TAOCP
 * 6.4), and follows limits that change.
 */
static uint32_t lifetime(const struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	uint64_t chance = ((uintptr_t)conn >> 4 ^ (uint64_t)conn->born_tick << 32) *
			  0x9e3779b97f4a7c15ULL >> 32;

	if (likely(!cfg->life_ticks) || conn->client || conn->close_code)
		return 0;
	return cfg->life_ticks - (uint32_t)(chance * cfg->jitter_ticks >> 32);
}

/* When it is to be looked at for its age. */
static void age_left(const struct pulse_ws_conn *conn, uint32_t now,
		     int32_t *left)
{
	uint32_t life = lifetime(conn), age = now - conn->born_tick;

	if (!life)
		return;
	if (conn->aged) {
		if (!conn->loop->cfg->close_ticks)
			return;
		life += conn->loop->cfg->close_ticks;
	}
	if (age >= life)
		*left = 0;
	else if (life - age < (uint32_t)*left)
		*left = (int32_t)(life - age);
}

void pulse__ws_arm(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse_poller *poller = conn->loop->poller;
	uint64_t now = (uint64_t)pulse_poller_now(poller) >> PULSE__WS_TICK_SHIFT;
	int32_t left = INT32_MAX;
	uint32_t t = (uint32_t)now;

	switch (pulse__ws_state(conn)) {
	case PULSE__WS_HEAD:
		earlier(t, conn->heard_tick, cfg->handshake_ticks, &left);
		break;
	case PULSE__WS_OPEN:
		age_left(conn, t, &left);
		if (waits_for_peer(conn))
			earlier(t, conn->moved_tick, cfg->write_ticks, &left);
		if (conn->stop)		/* not the peer's silence */
			break;
		earlier(t, conn->heard_tick, cfg->idle_ticks, &left);
		if (!conn->pinged)
			earlier(t, conn->heard_tick, cfg->ping_ticks, &left);
		break;
	default:
		earlier(t, conn->heard_tick, cfg->close_ticks, &left);
		break;
	}
	if (left < 1)
		left = 1;
	if (left == INT32_MAX)
		pulse_poller_timer_cancel(poller, &conn->timer);
	else
		pulse_poller_timer_arm(poller, &conn->timer,
				       (int64_t)((now + (uint32_t)left) <<
						 PULSE__WS_TICK_SHIFT));
}

static bool passed(const struct pulse_ws_conn *conn, uint32_t base,
		   uint32_t ticks)
{
	return ticks && pulse__ws_tick(conn->loop) - base >= ticks;
}

/*
 * A socket says that it is writable when much of what it holds is gone, which
 * may take a slow peer longer than it is given: has it taken anything?
 */
static bool moves_on(struct pulse_ws_conn *conn)
{
	bool more;
	uint32_t bytes = pulse__ws_moved_bytes(conn, &more);

	if (bytes == conn->moved_bytes)
		return false;
	conn->moved_bytes = bytes;
	conn->moved_tick = pulse__ws_tick(conn->loop);
	/* A ping that its system has taken is no sign of life of the peer. */
	return more || waits_for_peer(conn);
}

/* What it is asked for, a pong say, may lie behind what it is still taking. */
static bool still_takes(struct pulse_ws_conn *conn)
{
	return moves_on(conn) ||
	       (waits_for_peer(conn) &&
		!passed(conn, conn->moved_tick, conn->loop->cfg->idle_ticks));
}

static void close_now(struct pulse_ws_conn *conn)
{
	static const char old[] = "lifetime is over";

	if (pulse__ws_start_close(conn, conn->aged ? PULSE_WS_GOING_AWAY :
				  conn->loop->cfg->drain_code,
				  conn->aged ? old : NULL,
				  conn->aged ? sizeof(old) - 1 : 0,
				  PULSE_WS_END_LOCAL))
		pulse__ws_doom(conn, PULSE_WS_END_CUT);
}

/* Closes what has lived for long enough, in order if that is soon; did it? */
static bool too_old(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	uint32_t life = lifetime(conn);

	if (!life || !passed(conn, conn->born_tick, life))
		return false;
	if (!conn->aged) {
		conn->aged = true;
		pulse__ws_count(conn->loop, aged, 1);
		pulse__ws_conn_drain(conn);
		return true;
	}
	if (!cfg->close_ticks ||
	    !passed(conn, conn->born_tick, life + cfg->close_ticks))
		return false;
	close_now(conn);	/* its handlers take too long */
	return true;
}

static void open_timer(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (too_old(conn))
		return;
	if (waits_for_peer(conn) &&
	    passed(conn, conn->moved_tick, cfg->write_ticks) &&
	    !moves_on(conn)) {
		pulse__ws_note_close(conn, PULSE_WS_ABNORMAL,
				     "peer does not read", 18);
		pulse__ws_doom(conn, PULSE_WS_END_SLOW);
	} else if (conn->stop) {
		return;
	} else if (passed(conn, conn->heard_tick, cfg->idle_ticks)) {
		if (still_takes(conn))
			conn->heard_tick = pulse__ws_tick(conn->loop);
		else
			pulse__ws_start_close(conn, PULSE_WS_GOING_AWAY, "idle", 4,
				      PULSE_WS_END_IDLE);
	} else if (!conn->pinged &&
		   passed(conn, conn->heard_tick, cfg->ping_ticks)) {
		conn->pinged = true;
		conn->moved_bytes = pulse__ws_moved_bytes(conn, NULL);
		(void)pulse__ws_put_frame(conn, PULSE__WS_PING, NULL, 0);
	}
}

static void timer_fired(struct pulse_poller *poller,
			struct pulse_poller_timer *timer)
{
	struct pulse_ws_conn *conn = container_of(timer, struct pulse_ws_conn,
						  timer);
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	(void)poller;
	switch (pulse__ws_state(conn)) {
	case PULSE__WS_OPEN:
		open_timer(conn);
		break;
	case PULSE__WS_HEAD:
		if (!passed(conn, conn->heard_tick, cfg->handshake_ticks))
			break;
		if (conn->client) {
			pulse__ws_dial_fail(conn, -ETIMEDOUT);
		} else if (pulse__ws_is_deferred(conn)) {
			pulse__ws_defer_over(conn, -ETIMEDOUT, 503);
			pulse__ws_refuse(conn, 503);
		} else {
			pulse__ws_doom(conn, PULSE_WS_END_REFUSED);
		}
		break;
	default:
		if (!passed(conn, conn->heard_tick, cfg->close_ticks))
			break;
		if (waits_for_peer(conn) && moves_on(conn)) {
			conn->heard_tick = pulse__ws_tick(conn->loop);
			break;
		}
		/* Where all was said and only the peer's end is awaited: no harm. */
		pulse__ws_doom(conn, conn->shut ? conn->end : PULSE_WS_END_CUT);
		break;
	}
	pulse__ws_arm(conn);
	pulse__ws_after(conn);
}

/* ---- closing -------------------------------------------------------------- */

void pulse__ws_note_close(struct pulse_ws_conn *conn, int code,
			  const char *reason, size_t len)
{
	if (conn->close_code)
		return;		/* the first one counts */
	conn->close_code = (uint16_t)code;
	conn->close_reason = NULL;	/* the age does not matter any more */
	if (!len)
		return;
	/* Without memory, without a reason. */
	conn->close_reason = pulse__malloc(len + 1);
	if (!conn->close_reason)
		return;
	memcpy(conn->close_reason, reason, len);
	conn->close_reason[len] = 0;
}

static void call_close(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	const char *reason;

	/* Handlers that wait for room: there is nothing to wait for. */
	pulse__ws_strand_resume(conn);
	if (!conn->opened)
		return;
	conn->opened = false;
	pulse__ws_note_close(conn, PULSE_WS_ABNORMAL, NULL, 0);
	PULSE__PROBE2(ws_close, conn, conn->close_code);
	if (!cfg->h.on_close || pulse__ws_strand_close(conn))
		return;
	reason = conn->close_reason ? conn->close_reason : "";
	cfg->h.on_close(conn, conn->close_code, reason, strlen(reason),
			cfg->arg);
}

void pulse__ws_end(struct pulse_ws_conn *conn, int end)
{
	if (pulse__ws_state(conn) >= PULSE__WS_ENDING)
		return;
	set_state(conn, PULSE__WS_ENDING);
	conn->end = (uint8_t)end;
	conn->stop = 0;
	conn->heard_tick = pulse__ws_tick(conn->loop);
	pulse__ws_arm(conn);
	call_close(conn);
	pulse__ws_defer_over(conn, -ECONNRESET, 0);
}

void pulse__ws_fail(struct pulse_ws_conn *conn, int code, const char *why)
{
	uint8_t frame[PULSE__WS_CONTROL_MAX];
	size_t len = strlen(why);
	int end = conn->end;

	if (pulse__ws_state(conn) == PULSE__WS_OPEN) {
		frame[0] = (uint8_t)(code >> 8);
		frame[1] = (uint8_t)code;
		memcpy(frame + 2, why, len);
		(void)pulse__ws_put_frame(conn, PULSE__WS_CLOSE, frame, len + 2);
		pulse__ws_note_close(conn, code, why, len);
		end = code == PULSE_WS_TOO_BIG ? PULSE_WS_END_TOO_BIG :
		      code == PULSE_WS_INTERNAL_ERROR ? PULSE_WS_END_LOCAL :
		      PULSE_WS_END_PROTOCOL;
	}
	pulse__ws_end(conn, end);
}

int pulse__ws_start_close(struct pulse_ws_conn *conn, int code,
			  const char *reason, size_t len, int end)
{
	uint8_t frame[PULSE__WS_CONTROL_MAX];
	int err;

	if (pulse__ws_state(conn) != PULSE__WS_OPEN || conn->doomed)
		return pulse__ws_state(conn) == PULSE__WS_GONE ? -ESRCH : -EPIPE;
	frame[0] = (uint8_t)(code >> 8);
	frame[1] = (uint8_t)code;
	if (len)
		memcpy(frame + 2, reason, len);
	err = pulse__ws_put_frame(conn, PULSE__WS_CLOSE, frame,
				  code ? len + 2 : 0);
	if (err)
		return err;
	pulse__ws_note_close(conn, code ? code : PULSE_WS_NO_CODE, reason, len);
	set_state(conn, PULSE__WS_CLOSING);
	conn->end = (uint8_t)end;
	/* Messages that come from now on are dropped, so nothing piles up. */
	conn->stop = 0;
	conn->heard_tick = pulse__ws_tick(conn->loop);
	pulse__ws_arm(conn);
	pulse__ws_mark_dirty(conn);
	return 0;
}

void pulse__ws_conn_drain(struct pulse_ws_conn *conn)
{
	switch (pulse__ws_state(conn)) {
	case PULSE__WS_HEAD:
		if (conn->client) {
			pulse__ws_dial_fail(conn, -ESHUTDOWN);
			break;
		}
		pulse__ws_defer_over(conn, -ESHUTDOWN, 503);
		pulse__ws_refuse(conn, 503);
		pulse__ws_mark_dirty(conn);
		break;
	case PULSE__WS_OPEN:
		conn->drain = true;
		conn->stop |= PULSE__WS_STOP_DRAIN;
		/* In this order: a handler that is through has sent its answer. */
		if (!pulse__ws_strand_idle(conn) ||
		    pulse__load_acquire(&conn->inbox)) {
			pulse__ws_mark_dirty(conn);
			break;	/* the strand, the inbox come back to it */
		}
		close_now(conn);
		break;
	default:
		break;
	}
}

/* ---- the top of the stack ------------------------------------------------- */

/* Somebody is dirty or buried: seen to before the loop waits. */
static void settle_later(struct pulse__ws_loop *loop)
{
	if (loop->hook_due)
		return;
	loop->hook_due = true;
	pulse__poller_hook_once(loop->poller, &loop->hook);
}

void pulse__ws_mark_dirty(struct pulse_ws_conn *conn)
{
	if (likely(conn->in_rx) || conn->is_dirty)
		return;
	conn->is_dirty = true;
	conn->next = conn->loop->dirty;
	conn->loop->dirty = conn;
	settle_later(conn->loop);
}

void pulse__ws_doom(struct pulse_ws_conn *conn, int end)
{
	if (conn->doomed)
		return;
	conn->doomed = true;
	conn->end = (uint8_t)end;
	pulse__ws_mark_dirty(conn);
}

void pulse__ws_bury(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;
	struct pulse_ws_server *server = loop->server;

	if (pulse__ws_state(conn) == PULSE__WS_GONE)
		return;
	set_state(conn, PULSE__WS_GONE);
	pulse_poller_timer_cancel(loop->poller, &conn->timer);
	/* What a peer does not read must not stay in the system's buffers. */
	if (conn->t)
		pulse_transport_close(conn->t,
				      conn->end == PULSE_WS_END_SLOW ||
				      conn->end == PULSE_WS_END_CUT);
	conn->t = NULL;
	pulse__ws_rx_free(conn);
	pulse__ws_tx_free(conn);
	if (unlikely(conn->more)) {
		pulse__ws_leave_topics(conn);
		pulse__ws_late_free(conn);
		pulse__ws_held_free(conn);
	}
	call_close(conn);
	if (!conn->client)
		pulse__ws_defer_over(conn, loop->cut ? -ESHUTDOWN : -ECONNRESET,
				     0);
	else if (conn->dial)
		pulse__ws_dial_over(conn);
	if (unlikely(conn->more) && conn->more->link)
		pulse__ws_link_down(conn);
	pulse__ws_go_out(conn);
	pulse__ws_count(loop, ended[conn->end], 1);
	pulse__list_del(&conn->link);
	pulse__list_add_tail(&loop->buried, &conn->link);
	settle_later(loop);
	__atomic_fetch_sub(&server->live, 1, __ATOMIC_SEQ_CST);
	pulse__ws_tell(server);
}

void pulse__ws_watch(struct pulse_ws_conn *conn)
{
	uint32_t events = 0;

	if (!conn->eof && !conn->stop)
		events |= PULSE_TRANSPORT_READ;
	if (conn->blocked && !conn->in_flight)
		events |= PULSE_TRANSPORT_WRITE;
	if (likely(events == conn->watched))
		return;
	if (pulse_transport_watch(conn->t, events))
		pulse__ws_doom(conn, conn->end);
	else
		conn->watched = (uint8_t)events;
}

/* All is out: end our side, and then it depends on the peer. */
static void last_words_out(struct pulse_ws_conn *conn)
{
	if (!conn->shut && !conn->eof) {
		conn->shut = true;
		if (!pulse_transport_shutdown(conn->t))
			return;
		pulse__ws_doom(conn, conn->end);
	} else if (conn->eof) {
		pulse__ws_doom(conn, conn->end);
	}
}

void pulse__ws_after(struct pulse_ws_conn *conn)
{
	if (unlikely(pulse__ws_state(conn) == PULSE__WS_GONE))
		return;
	while (!conn->doomed) {
		pulse__ws_flush(conn);
		if (unlikely(conn->more) && pulse__ws_late_go(conn))
			continue;
		if (likely(!conn->stash) || conn->stop || conn->doomed)
			break;
		pulse__ws_resume(conn);
	}
	pulse__ws_maybe_drained(conn);
	if (unlikely(conn->more) && unlikely(conn->more->dropped !=
					     conn->more->dropped_told))
		pulse__ws_tell_drops(conn);
	if (unlikely(pulse__ws_state(conn) == PULSE__WS_ENDING) &&
	    !conn->out_first)
		last_words_out(conn);
	if (likely(!conn->doomed))
		pulse__ws_watch(conn);
	if (unlikely(conn->doomed))
		pulse__ws_bury(conn);
	else if (unlikely(conn->more) && unlikely(conn->more->wanted))
		pulse__ws_move(conn);
}

/* Out of the way of the ordinary one, which needs no registers saved. */
static PULSE__NOINLINE void any_event(struct pulse_transport *t,
				      uint32_t events,
				      struct pulse_ws_conn *conn)
{
	if (unlikely(conn->client) && conn->dial) {
		if (events & PULSE_TRANSPORT_OPEN)
			pulse__ws_dialed(conn);
		else if (events & PULSE_TRANSPORT_ERROR)
			pulse__ws_dial_fail(conn, pulse_transport_error(t));
	}
	if (unlikely(events & (PULSE_TRANSPORT_WRITE | PULSE_TRANSPORT_SENT))) {
		conn->blocked = false;
		conn->moved_tick = pulse__ws_tick(conn->loop);
		if (events & PULSE_TRANSPORT_SENT)
			pulse__ws_sent(conn);
	}
	if (likely(events & PULSE_TRANSPORT_READ) && !conn->stop && !conn->eof)
		pulse__ws_readable(conn);
	else if (events & PULSE_TRANSPORT_ERROR)
		pulse__ws_doom(conn, conn->end);
	pulse__ws_after(conn);
}

void pulse__ws_event(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct pulse_ws_conn *conn = arg;

	if (likely(events == PULSE_TRANSPORT_READ &&
		   pulse__ws_is_ordinary(conn) && !conn->expect))
		pulse__ws_read_ordinary(conn);
	else
		any_event(t, events, conn);
}

struct pulse_ws_conn *pulse__ws_conn_alloc(struct pulse__ws_loop *loop)
{
	struct pulse_ws_conn *conn = pulse__calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->loop = loop;
	conn->refs = 1;
	conn->end = PULSE_WS_END_REFUSED;
	conn->timer.fn = timer_fired;
	__atomic_fetch_add(&loop->refs, 1, __ATOMIC_RELAXED);
	return conn;
}

int pulse__ws_conn_new(struct pulse__ws_loop *loop, struct pulse_transport *t,
		       struct pulse_ws_conn **out)
{
	struct pulse_ws_conn *conn = pulse__ws_conn_alloc(loop);
	int err;

	if (!conn)
		return -ENOMEM;
	conn->t = t;
	conn->heard_tick = pulse__ws_tick(loop);
	conn->born_tick = conn->heard_tick;
	conn->watched = PULSE_TRANSPORT_READ;
	pulse_transport_set_handler(t, pulse__ws_event, conn);
	err = pulse_transport_watch(t, PULSE_TRANSPORT_READ);
	if (err) {
		pulse_ws_put(conn);
		return err;
	}
	__atomic_fetch_add(&loop->server->live, 1, __ATOMIC_RELAXED);
	pulse__list_add_tail(&loop->conns, &conn->link);
	pulse__ws_count(loop, accepted, 1);
	pulse__ws_arm(conn);
	*out = conn;
	return 0;
}

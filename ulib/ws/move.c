// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * move.c - connections that change their loop.
 *
 * It happens at the top of the old loop's stack, where nothing but the
 * connection itself names it: the transport leaves the poller, conn->loop and
 * conn->moving are changed, and a task takes all of it to the new loop. Between
 * the two nobody owns it but that task; what other threads ask waits in the inbox.
 * A loop that was left stays as long as the connection does, for those who
 * have just looked at conn->loop.
 */
#include "ws/ws_int.h"

static void run_arrive(struct pulse_poller *poller,
		       struct pulse_poller_task *task)
{
	struct pulse__ws_more *more = container_of(task, struct pulse__ws_more,
						   task);
	struct pulse_ws_conn *conn = more->conn;
	struct pulse__ws_loop *loop = conn->loop;

	(void)poller;
	WRITE_ONCE(conn->moving, false);
	pulse__list_add_tail(&loop->conns, &conn->link);
	pulse__ws_unpack_topics(conn);
	if (unlikely(loop->cut)) {
		/* Behind its end there is no turn whose end would do it. */
		conn->end = PULSE_WS_END_CUT;
		conn->doomed = true;
		pulse__ws_bury(conn);
		return;
	}
	if (unlikely(loop->closing))
		pulse__ws_conn_drain(conn);
	pulse__ws_arm(conn);
	pulse__ws_mark_dirty(conn);	/* flushes, and watches */
}

static bool can_move(const struct pulse_ws_conn *conn)
{
	return !conn->is_dirty && !conn->in_rx && !conn->in_flight &&
	       !conn->more->holding && !conn->more->late_first;
}

void pulse__ws_move(struct pulse_ws_conn *conn)
{
	struct pulse__ws_more *more = conn->more;
	struct pulse__ws_loop *from = conn->loop, *to;
	struct pulse__ws_farewell *farewell;
	uint64_t bit = 1ULL << from->index % 64;
	uint64_t *been = &more->been[from->index / 64];
	bool none;
	int err;

	if (!can_move(conn))
		return;		/* whatever ends that comes by here again */
	to = from->server->loops[more->wanted - 1];
	more->wanted = 0;
	if (to == from || pulse__ws_state(conn) != PULSE__WS_OPEN)
		return;
	farewell = pulse__ws_pack_topics(conn, &none);
	if (!farewell && !none)
		return;
	err = pulse_transport_move(conn->t, to->poller);
	if (err) {		/* such a carrier stays, or goes the next time */
		if (err == -EBUSY)
			more->wanted = to->index + 1;
		pulse__ws_farewell_free(farewell);
		return;
	}
	conn->watched = 0;
	pulse_poller_timer_cancel(from->poller, &conn->timer);
	pulse__list_del(&conn->link);
	__atomic_fetch_add(&to->refs, 1, __ATOMIC_RELAXED);
	if (*been & bit)	/* it holds a reference already */
		__atomic_fetch_sub(&from->refs, 1, __ATOMIC_RELAXED);
	*been |= bit;
	more->conn = conn;
	more->task.fn = run_arrive;
	if (farewell) {
		err = pulse__ws_move_topics(conn, farewell, to, &more->task);
	} else {
		WRITE_ONCE(conn->moving, true);
		/* pairs with pulse__ws_loop_of() */
		__atomic_store_n(&conn->loop, to, __ATOMIC_RELEASE);
		err = pulse_poller_post_task(to->poller, &more->task);
		if (err)
			__atomic_store_n(&conn->loop, from, __ATOMIC_RELEASE);
	}
	if (!err)
		return;		/* not ours any more */
	/* That loop has ended, and so does this one. */
	WRITE_ONCE(conn->moving, false);
	__atomic_fetch_add(&from->refs, 1, __ATOMIC_RELAXED);
	pulse__list_add_tail(&from->conns, &conn->link);
	conn->end = PULSE_WS_END_CUT;
	conn->doomed = true;
	pulse__ws_bury(conn);
	pulse__ws_loop_put(to);		/* the transport named its poller */
}

/* ---- what programs ask for --------------------------------------------------- */

struct wish {
	struct pulse__ws_item item;
	uint32_t loop;
};

static void want(struct pulse_ws_conn *conn, uint32_t loop)
{
	struct pulse__ws_more *more = pulse__ws_more(conn);

	if (!more)
		return;
	more->wanted = loop + 1;
	pulse__ws_mark_dirty(conn);
}

static void run_wish(struct pulse__ws_item *item, bool drop)
{
	struct wish *w = container_of(item, struct wish, item);

	if (!drop && pulse__ws_state(item->conn) == PULSE__WS_OPEN)
		want(item->conn, w->loop);
	pulse__free(w);
}

int pulse_ws_migrate(struct pulse_ws_conn *conn, uint32_t loop)
{
	uint8_t state;
	struct wish *w;

	if (!conn || loop >= pulse__ws_loop_of(conn)->server->nr_loops)
		return -EINVAL;
	state = pulse__ws_state(conn);
	if (state != PULSE__WS_OPEN)
		return state == PULSE__WS_GONE ? -ESRCH : -EPIPE;
	if (pulse__ws_mine(conn)) {
		want(conn, loop);
		return conn->more ? 0 : -ENOMEM;
	}
	w = pulse__malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct wish){ .item = { .run = run_wish, .cost = sizeof(*w) },
			    .loop = loop };
	return pulse__ws_inbox_put(conn, &w->item);
}

int pulse_ws_conn_loop(const struct pulse_ws_conn *conn)
{
	return conn ? (int)pulse__ws_loop_of(conn)->index : -EINVAL;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * topic_late.c - what waits for a slow subscriber, where the oldest is dropped.
 *
 * What is in a connection's queue may be on the wire in part, so nothing can be
 * taken out of it: a message without room there waits beside it, up to the high
 * mark again, and the oldest of those that wait makes room for the newest. They
 * follow as the queue sinks to its low mark, which leaves the connection below
 * its high mark, and read. As long as any waits, later ones get behind it. All
 * of it is the loop thread's; a connection with some does not move.
 *
 * A message is counted once, when it goes or when it is dropped.
 */
#include "ws/topic.h"

struct pulse__ws_late {
	struct pulse__ws_late *next;
	struct pulse__ws_topic *topic;	/* a reference */
	struct pulse_ws_prepared *msg;
};

static size_t cost(const struct pulse_ws_prepared *msg)
{
	return sizeof(struct pulse__ws_late) + msg->len;
}

/* The oldest one is out of the list, the caller's. */
static struct pulse__ws_late *take(struct pulse__ws_more *more)
{
	struct pulse__ws_late *late = more->late_first;

	more->late_first = late->next;
	if (!late->next)
		more->late_last = NULL;
	more->late_bytes -= cost(late->msg);
	return late;
}

static void put_late(struct pulse_ws_conn *conn, struct pulse__ws_late *late)
{
	struct pulse__ws_hub *hub = &conn->loop->server->hub;

	pthread_mutex_lock(&hub->lock);
	pulse__ws_topic_put(hub, late->topic);
	pthread_mutex_unlock(&hub->lock);
	pulse_ws_prepared_put(late->msg);
	pulse__free(late);
}

void pulse__ws_drop(struct pulse_ws_conn *conn)
{
	struct pulse__ws_more *more = conn->more;

	WRITE_ONCE(more->dropped, more->dropped + 1);
	if (unlikely(conn->loop->cfg->h.on_drop))
		pulse__ws_mark_dirty(conn);
}

void pulse__ws_tell_drops(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse__ws_more *more = conn->more;
	uint64_t count = more->dropped - more->dropped_told;

	more->dropped_told = more->dropped;
	if (count && cfg->h.on_drop && pulse__ws_state(conn) == PULSE__WS_OPEN)
		cfg->h.on_drop(conn, count, cfg->arg);
}

static void count_dropped(struct pulse_ws_conn *conn,
			  struct pulse__ws_topic *topic)
{
	pulse__ws_drop(conn);
	__atomic_fetch_add(&topic->dropped, 1, __ATOMIC_RELAXED);
	pulse__ws_count(conn->loop, dropped, 1);
}

int pulse__ws_late_put(struct pulse_ws_conn *conn, struct pulse__ws_topic *topic,
		       struct pulse_ws_prepared *msg)
{
	struct pulse__ws_hub *hub = &conn->loop->server->hub;
	struct pulse__ws_late *late = pulse__malloc(sizeof(*late));
	struct pulse__ws_more *more = conn->more;

	if (!late)
		return -ENOMEM;
	*late = (struct pulse__ws_late){ .topic = topic,
					 .msg = pulse_ws_prepared_get(msg) };
	pthread_mutex_lock(&hub->lock);
	topic->refs++;
	pthread_mutex_unlock(&hub->lock);
	while (more->late_first &&
	       more->late_bytes + cost(msg) > pulse__ws_high(conn)) {
		struct pulse__ws_late *oldest = take(more);

		count_dropped(conn, oldest->topic);
		put_late(conn, oldest);
	}
	if (more->late_last)
		more->late_last->next = late;
	else
		more->late_first = late;
	more->late_last = late;
	more->late_bytes += cost(msg);
	return 0;
}

bool pulse__ws_late_go(struct pulse_ws_conn *conn)
{
	struct pulse__ws_more *more = conn->more;
	bool any = false;

	/* What is held back, by a stream or a move, is older. */
	if (more->holding || more->held_first || conn->tx_stream)
		return false;
	while (more->late_first && !conn->doomed &&
	       pulse__ws_state(conn) == PULSE__WS_OPEN &&
	       pulse_ws_conn_queued(conn) <= pulse__ws_low(conn)) {
		struct pulse__ws_late *late = take(more);

		if (pulse__ws_send_shared(conn, late->msg)) {
			count_dropped(conn, late->topic);
		} else {
			__atomic_fetch_add(&late->topic->delivered, 1,
					   __ATOMIC_RELAXED);
			pulse__ws_count(conn->loop, delivered, 1);
			any = true;
		}
		put_late(conn, late);
	}
	return any;
}

void pulse__ws_late_free(struct pulse_ws_conn *conn)
{
	while (conn->more->late_first)
		put_late(conn, take(conn->more));
}

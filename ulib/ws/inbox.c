// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * inbox.c - what other threads ask of a connection, in order.
 *
 * Items are pushed on the connection's own list. Who pushes on an empty one has
 * its loop come: there is one task on its way exactly while the list is not
 * empty, and it may follow the connection to another loop without a change of
 * the order.
 */
#include "ws/ws_int.h"

/* The items, oldest first. */
static struct pulse__ws_item *take_all(struct pulse_ws_conn *conn)
{
	/* pairs with pulse__ws_inbox_put(): the items' content */
	struct pulse__ws_item *newest = __atomic_exchange_n(&conn->inbox, NULL,
							    __ATOMIC_ACQUIRE);
	struct pulse__ws_item *oldest = NULL;

	while (newest) {
		struct pulse__ws_item *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void run_all(struct pulse_ws_conn *conn, bool drop)
{
	struct pulse__ws_item *item = take_all(conn), *next;

	for (; item; item = next) {
		size_t cost = item->cost;

		next = item->next;
		item->run(item, drop);
		/*
		 * After it is in out_bytes: pairs with pulse_ws_conn_queued().
		 * Less is posted before want_drain is read: with refuse_now().
		 */
		__atomic_fetch_sub(&conn->posted_bytes, cost, __ATOMIC_SEQ_CST);
		if (next)	/* the last one's reference is the caller's */
			pulse_ws_put(conn);
	}
}

static void run_inbox(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_item *item = container_of(task, struct pulse__ws_item,
						   task);
	struct pulse_ws_conn *conn = item->conn;

	struct pulse__ws_loop *loop = pulse__ws_loop_of(conn);

	/* It has moved, or is just arriving: after it. */
	if (unlikely(loop->poller != poller || conn->moving)) {
		if (!pulse_poller_post_task(loop->poller, task))
			return;
		run_all(conn, true);
		pulse_ws_put(conn);
		return;
	}
	run_all(conn, false);
	if (unlikely(conn->drain) && pulse__ws_state(conn) == PULSE__WS_OPEN)
		pulse__ws_conn_drain(conn);
	if (pulse__ws_state(conn) != PULSE__WS_GONE)
		pulse__ws_mark_dirty(conn);
	pulse_ws_put(conn);
}

int pulse__ws_inbox_put(struct pulse_ws_conn *conn, struct pulse__ws_item *item)
{
	struct pulse__ws_item *head;

	item->conn = pulse_ws_get(conn);
	item->task.fn = run_inbox;
	__atomic_fetch_add(&conn->posted_bytes, item->cost, __ATOMIC_SEQ_CST);
	head = READ_ONCE(conn->inbox);
	do {
		item->next = head;
		/* release: the item, pairs with take_all() */
	} while (!pulse__cas(&conn->inbox, &head, item, __ATOMIC_ACQ_REL,
			     __ATOMIC_RELAXED));
	if (head || !pulse_poller_post_task(pulse__ws_loop_of(conn)->poller,
					    &item->task))
		return 0;
	run_all(conn, true);
	pulse_ws_put(conn);
	return -ESRCH;
}

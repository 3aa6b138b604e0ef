// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * topic_move.c - what becomes of subscriptions when a connection moves.
 *
 * A connection moves from loop A to B at one moment under the hub's lock: what is
 * published later is posted to B behind its arrival, what was before is in A's
 * queue. There a ghost sends it on through the connection's inbox, and a task
 * behind it all (the farewell) ends the ghosts and says so in the inbox, too.
 * Until then B puts aside what it is to hand out: nothing is lost, sent twice,
 * or overtaken.
 */
#include "ws/topic.h"

/* What a ghost has for its connection, or the end of it (msg NULL). */
struct onward {
	struct pulse__ws_item item;
	struct pulse_ws_prepared *msg;
};

static void run_onward(struct pulse__ws_item *item, bool drop)
{
	struct onward *o = container_of(item, struct onward, item);
	struct pulse_ws_conn *conn = item->conn;

	drop |= pulse__ws_state(conn) != PULSE__WS_OPEN || conn->doomed;
	if (o->msg && !drop)
		pulse__ws_send_shared(conn, o->msg);
	if (!o->msg) {
		conn->more->holding = false;
		if (!drop)
			pulse__ws_release(conn);
	}
	pulse_ws_prepared_put(o->msg);
	pulse__free(o);
}

int pulse__ws_topic_send_on(struct pulse_ws_conn *conn,
			    struct pulse_ws_prepared *msg)
{
	struct onward *o = pulse__malloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	*o = (struct onward){
		.item = { .run = run_onward, .cost = sizeof(*o) + msg->len },
		.msg = pulse_ws_prepared_get(msg),
	};
	return pulse__ws_inbox_put(conn, &o->item);
}

/* ---- the moment ------------------------------------------------------------- */

struct pulse__ws_farewell {
	struct pulse_poller_task task;	/* behind what is on its way to loop */
	struct pulse__ws_loop *loop;
	struct pulse_ws_conn *conn;	/* a reference */
	struct pulse__list ghosts;	/* by in_conn */
	struct pulse__list subs;	/* by in_conn: those for the new loop */
	struct onward *end;
};

void pulse__ws_farewell_free(struct pulse__ws_farewell *f)
{
	struct pulse__list *pos;

	if (!f)
		return;
	while ((pos = pulse__list_pop(&f->subs)))
		pulse__free(container_of(pos, struct pulse__ws_sub, in_conn));
	while ((pos = pulse__list_pop(&f->ghosts))) {
		struct pulse__ws_sub *s = container_of(pos, struct pulse__ws_sub, in_conn);

		pulse__list_del(&s->in_topic);
		pthread_mutex_lock(&f->loop->server->hub.lock);
		pulse__ws_topic_put(&f->loop->server->hub, s->topic);
		pthread_mutex_unlock(&f->loop->server->hub.lock);
		pulse__free(s);
	}
	pulse__free(f->end);
	pulse__free(f);
}

static void run_farewell(struct pulse_poller *poller,
			 struct pulse_poller_task *task)
{
	struct pulse__ws_farewell *f = container_of(task,
						    struct pulse__ws_farewell,
						    task);
	struct pulse_ws_conn *conn = f->conn;

	(void)poller;
	pulse__ws_inbox_put(conn, &f->end->item);
	f->end = NULL;
	pulse__ws_farewell_free(f);
	pulse_ws_put(conn);
}

struct pulse__ws_farewell *pulse__ws_pack_topics(struct pulse_ws_conn *conn,
						 bool *none)
{
	struct pulse__ws_farewell *f;
	struct pulse__ws_sub *s, *copy;

	*none = pulse__list_empty(&conn->more->subs);
	if (*none)
		return NULL;
	f = pulse__calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->task.fn = run_farewell;
	f->loop = conn->loop;
	f->conn = conn;
	pulse__list_init(&f->ghosts);
	pulse__list_init(&f->subs);
	f->end = pulse__calloc(1, sizeof(*f->end));
	if (!f->end)
		goto fail;
	f->end->item.run = run_onward;
	pulse__list_for_each_entry(s, &conn->more->subs, in_conn) {
		copy = pulse__malloc(sizeof(*copy));
		if (!copy)
			goto fail;
		*copy = *s;
		pulse__list_init(&copy->in_topic);
		pulse__list_add_tail(&f->subs, &copy->in_conn);
	}
	return f;
fail:
	pulse__ws_farewell_free(f);
	return NULL;
}

int pulse__ws_move_topics(struct pulse_ws_conn *conn,
			  struct pulse__ws_farewell *f,
			  struct pulse__ws_loop *to,
			  struct pulse_poller_task *arrive)
{
	struct pulse__ws_hub *hub = &to->server->hub;
	struct pulse__ws_sub *s, *copy;
	int err;

	copy = pulse__list_first_entry(&f->subs, struct pulse__ws_sub,
				       in_conn);
	pthread_mutex_lock(&hub->lock);
	pulse__list_for_each_entry(s, &conn->more->subs, in_conn) {
		s->topic->at[f->loop->index].interest--;
		s->topic->at[to->index].interest++;
		s->topic->refs++;	/* the ghost's */
		s->ghost = true;
		copy->seq = s->until = s->topic->seq;
		copy = pulse__list_first_entry(&copy->in_conn,
					       struct pulse__ws_sub, in_conn);
	}
	pulse__list_splice_tail(&f->ghosts, &conn->more->subs);
	pulse__list_splice_tail(&conn->more->subs, &f->subs);
	conn->more->holding = true;
	pulse_ws_get(conn);		/* the farewell's */
	conn->moving = true;
	/* pairs with pulse__ws_loop_of(): moving, and all of the connection */
	__atomic_store_n(&conn->loop, to, __ATOMIC_RELEASE);
	err = pulse_poller_post_task(to->poller, arrive);
	if (err) {
		__atomic_store_n(&conn->loop, f->loop, __ATOMIC_RELEASE);
		conn->moving = false;
		pulse__list_for_each_entry(s, &conn->more->subs, in_conn) {
			s->topic->at[f->loop->index].interest++;
			s->topic->at[to->index].interest--;
			pulse__list_add_tail(&s->topic->at[f->loop->index].subs,
					     &s->in_topic);
		}
	}
	pthread_mutex_unlock(&hub->lock);
	/* Where it stays it is a ghost's as well, which is soon over. */
	if (pulse_poller_post_task(f->loop->poller, &f->task))
		run_farewell(f->loop->poller, &f->task);
	return err;
}

void pulse__ws_unpack_topics(struct pulse_ws_conn *conn)
{
	struct pulse__ws_sub *s;

	pulse__list_for_each_entry(s, &conn->more->subs, in_conn)
		pulse__list_add_tail(&s->topic->at[conn->loop->index].subs,
				     &s->in_topic);
}

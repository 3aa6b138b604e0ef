// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * topic.c - topics: who is subscribed, and how a message gets there.
 *
 * A topic has a list of subscriptions for each loop, which only that loop's
 * thread touches, and a count of them ("interest") under the hub's lock, raised
 * before the list grows. A message is numbered and posted to all interested
 * loops under that lock, so each loop hands out a topic's messages in the order
 * of their numbers; also the loop that the publisher runs on.
 *
 * A topic lives while it has subscriptions, or messages on their way.
 *
 * How subscriptions move to another loop stands in topic_move.c, what waits for
 * a slow subscriber in topic_late.c.
 */
#include "ws/topic.h"

#define FIRST_BUCKETS	64

/* ---- the hub --------------------------------------------------------------- */

static uint64_t hash_of(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;	/* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

void pulse__ws_hub_free(struct pulse__ws_hub *hub)
{
	pulse__free(hub->buckets);
	pthread_mutex_destroy(&hub->lock);
}

static struct pulse__ws_topic **bucket(struct pulse__ws_hub *hub, uint64_t hash)
{
	return &hub->buckets[hash & (hub->nr_buckets - 1)];
}

/* Under the lock. */
static struct pulse__ws_topic *find(struct pulse__ws_hub *hub, const char *name,
				    uint64_t hash)
{
	struct pulse__ws_topic *t;

	if (!hub->nr_buckets)
		return NULL;
	for (t = *bucket(hub, hash); t; t = t->next)
		if (t->hash == hash && !strcmp(t->name, name))
			return t;
	return NULL;
}

/* Under the lock: as many buckets as topics, or a few more to a bucket. */
static bool more_buckets(struct pulse__ws_hub *hub)
{
	uint32_t old = hub->nr_buckets, n = old ? 2 * old : FIRST_BUCKETS;
	struct pulse__ws_topic **from = hub->buckets, *t, *next;

	hub->buckets = pulse__calloc(n, sizeof(struct pulse__ws_topic *));
	if (!hub->buckets) {
		hub->buckets = from;
		return old;
	}
	hub->nr_buckets = n;
	for (uint32_t i = 0; i < old; i++)
		for (t = from[i]; t; t = next) {
			next = t->next;
			t->next = *bucket(hub, t->hash);
			*bucket(hub, t->hash) = t;
		}
	pulse__free(from);
	return true;
}

/* Under the lock; NULL and *err: -ENOSPC, -ENOMEM. */
static struct pulse__ws_topic *add(struct pulse_ws_server *server,
				   const char *name, uint64_t hash, int *err)
{
	struct pulse__ws_hub *hub = &server->hub;
	struct pulse__ws_topic *t;
	size_t places = server->nr_loops * sizeof(t->at[0]);

	*err = -ENOSPC;
	if (hub->nr_topics >= server->cfg.max_topics)
		return NULL;
	*err = -ENOMEM;
	if (hub->nr_topics >= hub->nr_buckets && !more_buckets(hub))
		return NULL;
	t = pulse__calloc(1, sizeof(*t) + places + strlen(name) + 1);
	if (!t)
		return NULL;
	t->name = (char *)t->at + places;
	strcpy(t->name, name);
	t->hash = hash;
	for (uint32_t i = 0; i < server->nr_loops; i++)
		pulse__list_init(&t->at[i].subs);
	t->next = *bucket(hub, hash);
	*bucket(hub, hash) = t;
	hub->nr_topics++;
	*err = 0;
	return t;
}

void pulse__ws_topic_put(struct pulse__ws_hub *hub, struct pulse__ws_topic *t)
{
	struct pulse__ws_topic **at;

	if (--t->refs)
		return;
	for (at = bucket(hub, t->hash); *at != t; at = &(*at)->next)
		;
	*at = t->next;
	hub->nr_topics--;
	pulse__free(t);
}

static int check_name(const char *name)
{
	size_t len = name ? strnlen(name, PULSE_WS_TOPIC_MAX + 1) : 0;

	if (!len)
		return -EINVAL;
	return len > PULSE_WS_TOPIC_MAX ? -ENAMETOOLONG : 0;
}

/* ---- subscriptions ---------------------------------------------------------- */

/* A place on a topic, for a connection of this loop; 0 or -errno. */
static int take_place(struct pulse__ws_loop *loop, const char *name,
		      struct pulse__ws_topic **out, uint64_t *seq)
{
	struct pulse_ws_server *server = loop->server;
	uint64_t hash = hash_of(name);
	struct pulse__ws_topic *t;
	int err = 0;

	pthread_mutex_lock(&server->hub.lock);
	t = find(&server->hub, name, hash) ?: add(server, name, hash, &err);
	if (t) {
		t->refs++;
		t->subscribers++;
		t->at[loop->index].interest++;
		*seq = t->seq;
	}
	pthread_mutex_unlock(&server->hub.lock);
	*out = t;
	return err;
}

static void give_place(struct pulse__ws_loop *loop, struct pulse__ws_topic *t)
{
	struct pulse__ws_hub *hub = &loop->server->hub;

	pthread_mutex_lock(&hub->lock);
	t->at[loop->index].interest--;
	t->subscribers--;
	pulse__ws_topic_put(hub, t);
	pthread_mutex_unlock(&hub->lock);
}

static struct pulse__ws_sub *sub_of(const struct pulse_ws_conn *conn,
				    const char *name)
{
	struct pulse__ws_sub *s;

	if (conn->more)
		pulse__list_for_each_entry(s, &conn->more->subs, in_conn)
			if (!strcmp(s->topic->name, name))
				return s;
	return NULL;
}

/* On the loop; the place is the subscription's, or given back. */
static int enter(struct pulse_ws_conn *conn, struct pulse__ws_topic *t,
		 uint64_t seq)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse__ws_more *more = pulse__ws_more(conn);
	struct pulse__ws_sub *s;
	int err = 0;

	if (sub_of(conn, t->name))
		goto give_back;		/* one is enough */
	err = more ? -EDQUOT : -ENOMEM;
	if (!more || more->nr_subs >= cfg->max_subscriptions)
		goto give_back;
	err = -ENOMEM;
	s = pulse__malloc(sizeof(*s));
	if (!s)
		goto give_back;
	*s = (struct pulse__ws_sub){ .topic = t, .conn = conn, .seq = seq };
	pulse__list_add_tail(&t->at[conn->loop->index].subs, &s->in_topic);
	pulse__list_add_tail(&more->subs, &s->in_conn);
	more->nr_subs++;
	return 0;
give_back:
	give_place(conn->loop, t);
	return err;
}

static void leave(struct pulse__ws_sub *s)
{
	struct pulse_ws_conn *conn = s->conn;

	pulse__list_del(&s->in_topic);
	pulse__list_del(&s->in_conn);
	conn->more->nr_subs--;
	give_place(conn->loop, s->topic);
	pulse__free(s);
}

void pulse__ws_leave_topics(struct pulse_ws_conn *conn)
{
	while (!pulse__list_empty(&conn->more->subs))
		leave(pulse__list_first_entry(&conn->more->subs, struct pulse__ws_sub,
					      in_conn));
}

/* A wish of another thread, on its way to the loop. */
struct wish {
	struct pulse__ws_item item;
	struct pulse__ws_loop *loop;	/* whose place it holds */
	struct pulse__ws_topic *topic;	/* NULL: to unsubscribe */
	uint64_t seq;
	char name[];
};

static void run_wish(struct pulse__ws_item *item, bool drop)
{
	struct wish *w = container_of(item, struct wish, item);
	struct pulse_ws_conn *conn = item->conn;
	struct pulse__ws_sub *s;
	int err = 0;

	drop |= pulse__ws_state(conn) != PULSE__WS_OPEN || conn->doomed;
	if (w->topic && !drop && w->loop != conn->loop) {
		give_place(w->loop, w->topic);	/* it has moved */
		err = take_place(conn->loop, w->name, &w->topic, &w->seq);
	}
	if (w->topic && !drop && !err) {
		err = enter(conn, w->topic, w->seq);
	} else if (w->topic && drop) {
		give_place(w->loop, w->topic);
	} else if (!drop && !err) {
		s = sub_of(conn, w->name);
		if (s)
			leave(s);
	}
	if (err)
		pulse_log(PULSE_LOG_WARN, "cannot subscribe to %s: %s", w->name,
			  pulse_strerror(err));
	pulse__free(w);
}

static int wish(struct pulse_ws_conn *conn, const char *name, bool subscribe)
{
	size_t len = strlen(name) + 1;
	struct wish *w = pulse__malloc(sizeof(*w) + len);
	int err;

	if (!w)
		return -ENOMEM;
	*w = (struct wish){ .item = { .run = run_wish,
				      .cost = sizeof(*w) + len },
			    .loop = conn->loop };
	memcpy(w->name, name, len);
	if (subscribe) {
		/* From here on it counts, so that nothing later passes it by. */
		err = take_place(w->loop, name, &w->topic, &w->seq);
		if (err) {
			pulse__free(w);
			return err;
		}
	}
	return pulse__ws_inbox_put(conn, &w->item);
}

static int check_conn(struct pulse_ws_conn *conn, const char *topic,
		      bool *on_loop)
{
	uint8_t state;
	int err = conn ? check_name(topic) : -EINVAL;

	if (err)
		return err;
	*on_loop = pulse__ws_on_loop(conn->loop);
	state = pulse__ws_state(conn);
	if (state == PULSE__WS_OPEN)
		return *on_loop && conn->doomed ? -EPIPE : 0;
	return state == PULSE__WS_GONE ? -ESRCH : -EPIPE;
}

int pulse_ws_subscribe(struct pulse_ws_conn *conn, const char *topic)
{
	struct pulse__ws_topic *t;
	uint64_t seq;
	bool on_loop;
	int err = check_conn(conn, topic, &on_loop);

	if (err)
		return err;
	if (!on_loop)
		return wish(conn, topic, true);
	err = take_place(conn->loop, topic, &t, &seq);
	return err ?: enter(conn, t, seq);
}

int pulse_ws_unsubscribe(struct pulse_ws_conn *conn, const char *topic)
{
	struct pulse__ws_hub *hub;
	struct pulse__ws_topic *t;
	struct pulse__ws_sub *s;
	bool on_loop;
	int err = check_conn(conn, topic, &on_loop);

	if (err)
		return err;
	if (!on_loop) {
		hub = &conn->loop->server->hub;
		pthread_mutex_lock(&hub->lock);
		t = find(hub, topic, hash_of(topic));
		pthread_mutex_unlock(&hub->lock);
		return t ? wish(conn, topic, false) : -ENOENT;
	}
	s = sub_of(conn, topic);
	if (!s)
		return -ENOENT;
	leave(s);
	return 0;
}

/* ---- publishing ------------------------------------------------------------- */

/* A message on its way to the loops. */
struct news {
	struct pulse__ws_topic *topic;
	struct pulse_ws_prepared *msg;
	const struct pulse_ws_conn *except;	/* compared only */
	uint64_t seq;
	uint32_t refs;			/* loops it is still on its way to */
	struct to {
		struct pulse_poller_task task;
		struct news *news;
		struct pulse__ws_loop *loop;
	} to[];
};

static size_t cost(const struct news *n)
{
	return sizeof(*n) + n->msg->len;
}

static void hand_out(struct pulse__ws_loop *loop, const struct news *n)
{
	struct pulse__ws_topic *t = n->topic;
	uint64_t delivered = 0, dropped = 0;
	struct pulse__ws_sub *s;

	pulse__list_for_each_entry(s, &t->at[loop->index].subs, in_topic) {
		struct pulse_ws_conn *conn = s->conn;

		if (s->seq >= n->seq)	/* it subscribed later, or has it */
			continue;
		if (unlikely(s->ghost)) {
			if (n->seq <= s->until && conn != n->except)
				delivered += !pulse__ws_topic_send_on(conn, n->msg);
			continue;
		}
		s->seq = n->seq;
		if (conn == n->except || conn->doomed ||
		    pulse__ws_state(conn) != PULSE__WS_OPEN)
			continue;
		if (likely(!conn->more->late_first) &&
		    likely(pulse_ws_conn_queued(conn) < pulse__ws_high(conn)) &&
		    likely(!(conn->more->holding ?
			     pulse__ws_hold(conn, n->msg) :
			     pulse__ws_send_shared(conn, n->msg)))) {
			delivered++;
			continue;
		}
		if (loop->cfg->slow == PULSE_WS_SLOW_DROP_OLDEST &&
		    !pulse__ws_late_put(conn, t, n->msg))
			continue;	/* counted when it goes, or is dropped */
		dropped++;
		pulse__ws_drop(conn);
		if (loop->cfg->slow == PULSE_WS_SLOW_CLOSE)
			pulse__ws_start_close(conn, PULSE_WS_TRY_LATER,
					      "too slow", 8,
					      PULSE_WS_END_SLOW);
	}
	__atomic_fetch_add(&t->delivered, delivered, __ATOMIC_RELAXED);
	__atomic_fetch_add(&t->dropped, dropped, __ATOMIC_RELAXED);
	pulse__ws_count(loop, published, 1);
	pulse__ws_count(loop, delivered, delivered);
	pulse__ws_count(loop, dropped, dropped);
}

static void put_news(struct pulse_ws_server *server, struct news *n)
{
	/* release: what this loop did; acquire: what the others did */
	if (__atomic_fetch_sub(&n->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pthread_mutex_lock(&server->hub.lock);
	pulse__ws_topic_put(&server->hub, n->topic);
	pthread_mutex_unlock(&server->hub.lock);
	pulse_ws_prepared_put(n->msg);
	pulse__free(n);
}

static void run_news(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct to *to = container_of(task, struct to, task);
	struct pulse__ws_loop *loop = to->loop;

	(void)poller;
	__atomic_fetch_sub(&loop->publish_bytes, cost(to->news),
			   __ATOMIC_RELAXED);
	hand_out(loop, to->news);
	put_news(loop->server, to->news);
}

/* Under the lock: all loops that have subscribers, or none. */
static int post_news(struct pulse_ws_server *server, struct news *n)
{
	struct pulse__ws_topic *t = n->topic;
	int posted = 0;

	for (uint32_t i = 0; i < server->nr_loops; i++)
		if (t->at[i].interest &&
		    READ_ONCE(server->loops[i]->publish_bytes) >=
		    server->cfg.high)
			return -EAGAIN;
	n->seq = ++t->seq;
	t->published++;
	t->refs++;
	for (uint32_t i = 0; i < server->nr_loops; i++) {
		struct pulse__ws_loop *loop = server->loops[i];
		struct to *to = &n->to[i];

		if (!t->at[i].interest)
			continue;
		*to = (struct to){ { .fn = run_news }, n, loop };
		__atomic_fetch_add(&n->refs, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&loop->publish_bytes, cost(n),
				   __ATOMIC_RELAXED);
		if (!pulse_poller_post_task(loop->poller, &to->task)) {
			posted++;
			continue;
		}
		__atomic_fetch_sub(&n->refs, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&loop->publish_bytes, cost(n),
				   __ATOMIC_RELAXED);
	}
	return posted ? (int)t->subscribers : -ESHUTDOWN;
}

int pulse_ws_publish_prepared(struct pulse_ws_server *server, const char *topic,
			      const struct pulse_ws_conn *except,
			      struct pulse_ws_prepared *msg)
{
	int err = server && msg ? check_name(topic) : -EINVAL;
	struct pulse__ws_hub *hub;
	uint64_t hash;
	struct news *n;

	if (err)
		return err;
	hub = &server->hub;
	hash = hash_of(topic);
	n = pulse__malloc(sizeof(*n) + server->nr_loops * sizeof(n->to[0]));
	if (!n)
		return -ENOMEM;
	pthread_mutex_lock(&hub->lock);
	*n = (struct news){ .topic = find(hub, topic, hash), .except = except,
			    .msg = pulse_ws_prepared_get(msg), .refs = 1 };
	err = n->topic && n->topic->subscribers ? post_news(server, n) : 0;
	if (err == -EAGAIN || !err)
		n->topic = NULL;
	pthread_mutex_unlock(&hub->lock);
	if (n->topic) {
		put_news(server, n);
	} else {
		pulse_ws_prepared_put(msg);
		pulse__free(n);
	}
	return err;
}

int pulse_ws_publish(struct pulse_ws_server *server, const char *topic,
		     const struct pulse_ws_conn *except, int opcode,
		     const void *data, size_t len)
{
	struct pulse_ws_prepared *msg;
	int err;

	if (!server)
		return -EINVAL;
	err = check_name(topic) ?: pulse_ws_prepare(opcode, data, len, &msg);
	if (err)
		return err;
	err = pulse_ws_publish_prepared(server, topic, except, msg);
	pulse_ws_prepared_put(msg);
	return err;
}

/* ---- figures ----------------------------------------------------------------- */

int pulse_ws_topic_stats(struct pulse_ws_server *server, const char *topic,
			 struct pulse_ws_topic_stats *out)
{
	int err = server && out ? check_name(topic) : -EINVAL;
	struct pulse_ws_topic_stats s = { 0 };
	struct pulse__ws_topic *t;

	if (!err)
		err = pulse__out_check(out, pulse__size_to(typeof(*out), dropped));
	if (err)
		return err;
	pthread_mutex_lock(&server->hub.lock);
	t = find(&server->hub, topic, hash_of(topic));
	if (t) {
		s.subscribers = t->subscribers;
		s.published = t->published;
		s.delivered = __atomic_load_n(&t->delivered, __ATOMIC_RELAXED);
		s.dropped = __atomic_load_n(&t->dropped, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&server->hub.lock);
	if (!t)
		return -ENOENT;
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

uint64_t pulse_ws_conn_dropped(const struct pulse_ws_conn *conn)
{
	/* pairs with pulse__ws_more() */
	const struct pulse__ws_more *more =
		conn ? pulse__load_acquire(&conn->more) : NULL;

	return more ? READ_ONCE(more->dropped) : 0;
}

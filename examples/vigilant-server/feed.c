// SPDX-License-Identifier: GPL-2.0-only
/*
 * feed.c - who watches, and what they are told.
 *
 * The lock protects the list of watchers alone. A watcher that does not read
 * is skipped (-EAGAIN): the next figures are as good as these.
 */
#include "feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "web.h"

struct feed {
	struct pulse_ctx *ctx;
	struct pulse_pool *pool;
	struct pulse_backend_info backend;
	int64_t started_ns;
	pthread_mutex_t lock;
	struct pulse_ws_conn **watchers;
	size_t nr, room;
	struct text text;
};

struct feed *feed_create(struct pulse_ctx *ctx, struct pulse_pool *pool,
			 const struct pulse_backend_info *backend)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	feed->ctx = ctx;
	feed->pool = pool;
	feed->backend = *backend;
	feed->started_ns = pulse_now_ns();
	pthread_mutex_init(&feed->lock, NULL);
	return feed;
}

void feed_destroy(struct feed *feed)
{
	for (size_t i = 0; i < feed->nr; i++)
		pulse_ws_put(feed->watchers[i]);
	pthread_mutex_destroy(&feed->lock);
	free(feed->watchers);
	text_free(&feed->text);
	free(feed);
}

int feed_join(struct feed *feed, struct pulse_ws_conn *conn)
{
	int err = 0;

	pthread_mutex_lock(&feed->lock);
	if (feed->nr == feed->room) {
		size_t room = feed->room ? 2 * feed->room : 16;
		void *more = realloc(feed->watchers,
				     room * sizeof(*feed->watchers));

		if (more) {
			feed->watchers = more;
			feed->room = room;
		} else {
			err = -ENOMEM;
		}
	}
	if (!err)
		feed->watchers[feed->nr++] = pulse_ws_get(conn);
	pthread_mutex_unlock(&feed->lock);
	return err;
}

void feed_leave(struct feed *feed, struct pulse_ws_conn *conn)
{
	bool found = false;

	pthread_mutex_lock(&feed->lock);
	for (size_t i = 0; i < feed->nr && !found; i++) {
		if (feed->watchers[i] == conn) {
			feed->watchers[i] = feed->watchers[--feed->nr];
			found = true;
		}
	}
	pthread_mutex_unlock(&feed->lock);
	if (found)
		pulse_ws_put(conn);
}

/* One worker, as the page wants it. */
struct line {
	const char *kind;
	unsigned int nr;
	int home;
	uint64_t tasks, steals;
	struct pulse_worker_state st;
};

static void say_worker(struct text *t, const struct line *w)
{
	const struct pulse_worker_state *st = &w->st;

	text_add(t, "%s{\"i\":\"%s%u\",\"name\":\"%s %u\",\"home\":%d,"
	    "\"tid\":%d,\"state\":\"%s\",\"cpu\":%u,\"node\":%d,"
	    "\"tasks\":%llu,\"steals\":%llu,\"parks\":%llu,"
	    "\"preempted\":%llu,\"blocked\":%llu,\"migrated\":%llu,"
	    "\"run_ns\":%llu,\"wait_ns\":%llu}",
	    t->at[t->len - 1] == '[' ? "" : ",", w->kind, w->nr,
	    w->kind, w->nr, w->home, st->tid, pulse_state_name(st->state),
	    st->cpu, st->node, (unsigned long long)w->tasks,
	    (unsigned long long)w->steals, (unsigned long long)st->n_park,
	    (unsigned long long)st->n_preempt, (unsigned long long)st->n_block,
	    (unsigned long long)st->n_migrate, (unsigned long long)st->run_ns,
	    (unsigned long long)st->wait_ns);
}

/*
 * Everyone who is registered: the pool's workers, known by their thread ids,
 * and what is left are the loops.
 */
static void say_workers(struct feed *feed)
{
	struct pulse_pool_worker_stats *of_pool;
	int n = pulse_pool_num_workers(feed->pool);
	unsigned int loops = 0;

	of_pool = n > 0 ? calloc((size_t)n, sizeof(*of_pool)) : NULL;
	if (!of_pool)
		return;
	for (int i = 0; i < n; i++) {
		of_pool[i].sz = sizeof(of_pool[i]);
		pulse_pool_worker_stats(feed->pool, i, &of_pool[i]);
	}
	for (int index = 0; index < FEED_WORKERS; index++) {
		struct line w = { .kind = "loop", .st.sz = sizeof(w.st) };
		bool known = false;

		if (pulse_worker_state(feed->ctx, index, &w.st))
			continue;
		for (int i = 0; i < n && !known; i++) {
			if (of_pool[i].tid != w.st.tid)
				continue;
			known = true;
			w.kind = "worker";
			w.nr = (unsigned int)i;
			w.home = of_pool[i].home_node;
			w.tasks = of_pool[i].executed;
			w.steals = of_pool[i].stolen;
		}
		if (!known) {
			w.nr = loops++;
			w.home = w.st.node;
		}
		say_worker(&feed->text, &w);
	}
	free(of_pool);
}

void feed_send(struct feed *feed, const struct pulse_ws_server *server,
	       struct web *web, struct house *house)
{
	struct pulse_ws_stats stats = { .sz = sizeof(stats) };
	struct pulse_ws_conn **to = NULL;
	size_t nr;

	pthread_mutex_lock(&feed->lock);
	nr = feed->nr;
	if (nr)
		to = malloc(nr * sizeof(*to));
	for (size_t i = 0; to && i < nr; i++)
		to[i] = pulse_ws_get(feed->watchers[i]);
	pthread_mutex_unlock(&feed->lock);
	if (!to)
		return;

	if (!pulse_ws_server_stats(server, &stats)) {
		struct text *t = &feed->text;

		t->len = 0;
		t->cut = 0;
		text_add(t, "{\"ms\":%lld,\"backend\":\"%s\",\"reason\":",
			 (long long)(pulse_now_ns() - feed->started_ns) / 1000000,
			 feed->backend.name);
		text_string(t, feed->backend.reason,
			    strlen(feed->backend.reason));
		text_add(t, ",\"fix\":");
		text_string(t, feed->backend.fix, strlen(feed->backend.fix));
		text_add(t, ",\"connections\":%llu,\"messages\":%llu,"
			 "\"bytes\":%llu,", (unsigned long long)stats.connections,
			 (unsigned long long)stats.messages_in,
			 (unsigned long long)stats.bytes_in);
		web_figures(web, t);
		text_add(t, ",");
		house_text(house, t);
		text_add(t, ",\"workers\":[");
		say_workers(feed);
		text_add(t, "]}");
		for (size_t i = 0; i < nr && !t->cut; i++)
			pulse_ws_send(to[i], PULSE_WS_TEXT, t->at, t->len);
	}
	for (size_t i = 0; i < nr; i++)
		pulse_ws_put(to[i]);
	free(to);
}

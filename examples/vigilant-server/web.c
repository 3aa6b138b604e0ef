// SPDX-License-Identifier: GPL-2.0-only
/*
 * web.c - the handlers.
 *
 * Handlers of one connection are called one after another, so that a visitor
 * needs no lock.
 */
#include "web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char _binary_page_html_start[], _binary_page_html_end[];

enum role { ECHO_MESSAGES, WATCH, CHAT };

/* In place of a visitor, until the connection is open. */
static const enum role roles[] = { ECHO_MESSAGES, WATCH, CHAT };

struct visitor {
	enum role role;
	struct room *room;
};

struct web {
	struct feed *feed;
	struct house *house;
	struct pulse_slab *visitors;
	uint64_t max, here, refused;	/* atomic; here: reserved places */
};

struct web *web_create(struct feed *feed, struct house *house,
		       unsigned int max_visitors)
{
	PULSE_OPTS(pulse_slab_opts, opts, .object_bytes = sizeof(struct visitor));
	struct web *w = calloc(1, sizeof(*w));

	if (!w || pulse_slab_create(&opts, &w->visitors)) {
		free(w);
		return NULL;
	}
	w->feed = feed;
	w->house = house;
	w->max = max_visitors;
	return w;
}

void web_destroy(struct web *w)
{
	pulse_slab_destroy(w->visitors);
	free(w);
}

void web_figures(struct web *w, struct text *t)
{
	struct pulse_slab_stats st = { .sz = sizeof(st) };

	pulse_slab_stats(w->visitors, &st);
	text_add(t, "\"pooled\":%llu,\"hits\":%.0f,\"refused\":%llu,"
		 "\"places\":%llu", (unsigned long long)st.in_use,
		 st.hit_percent, (unsigned long long)
		 __atomic_load_n(&w->refused, __ATOMIC_RELAXED),
		 (unsigned long long)w->max);
}

/*
 * A page of another site may open connections to here too, from the browser of
 * who looks at it: what is not from this server's own page is refused. Programs
 * send no Origin.
 */
static bool own_page(const struct pulse_ws_request *request)
{
	const char *origin = pulse_ws_request_header(request, "Origin", 0);
	const char *host = pulse_ws_request_header(request, "Host", 0);
	const char *at = origin ? strstr(origin, "://") : NULL;

	return !origin || (at && host && !strcmp(at + 3, host));
}

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	static const char *const paths[] = { "/echo", "/feed", "/room" };
	const char *path = pulse_ws_request_path(request);
	struct web *w = arg;

	(void)conn;
	if (!own_page(request))
		return 403;
	for (int i = 0; i < 3; i++) {
		if (strcmp(path, paths[i]))
			continue;
		if (__atomic_load_n(&w->here, __ATOMIC_RELAXED) >= w->max) {
			__atomic_fetch_add(&w->refused, 1, __ATOMIC_RELAXED);
			return 503;
		}
		answer->user = (void *)&roles[i];
		return 0;
	}
	return 404;
}

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	const enum role *role = pulse_ws_conn_user(conn);
	struct web *w = arg;
	struct visitor *v = NULL;
	void *mem;

	if (!pulse_slab_alloc(w->visitors, &mem)) {
		v = mem;
		*v = (struct visitor){ .role = *role };
		__atomic_fetch_add(&w->here, 1, __ATOMIC_RELAXED);
	}
	pulse_ws_conn_set_user(conn, v);
	if (!v || (v->role == WATCH && feed_join(w->feed, conn)))
		pulse_ws_close(conn, PULSE_WS_TRY_LATER, NULL, 0);
}

/* {"event":"refused"}: a request that was not accepted, and why. */
static void refuse(struct pulse_ws_conn *conn, int err)
{
	const char *why = err == -EINVAL ? "that is no such request" :
			  err == -ENOSPC ? "there are as many rooms as can be" :
			  err == -EAGAIN ? "busy, try again" :
			  err == -ENOENT ? "there is nobody of that name" :
			  err == -ESHUTDOWN ? "the server is closing" :
			  pulse_strerror(err);
	struct text t = { 0 };

	text_add(&t, "{\"event\":\"refused\",\"why\":");
	text_string(&t, why, strlen(why));
	text_add(&t, "}");
	if (!t.cut)
		pulse_ws_send(conn, PULSE_WS_TEXT, t.at, t.len);
	text_free(&t);
}

/* "join ROOM NICK", "say TEXT", "leave". */
static int chat(struct web *w, struct pulse_ws_conn *conn, struct visitor *v,
		const char *text, size_t len)
{
	char name[ROOM_NAME], nick[24], line[80];
	int end = 0;

	if (len > 4 && !memcmp(text, "say ", 4))
		return v->room ? room_say(v->room, conn, text + 4, len - 4) :
		       -EINVAL;
	if (len == 5 && !memcmp(text, "leave", 5)) {
		if (v->room)
			room_leave(v->room, conn);
		v->room = NULL;
		return 0;
	}
	if (len >= sizeof(line) || memchr(text, 0, len))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	if (sscanf(line, "join %31s %23s%n", name, nick, &end) != 2 ||
	    (size_t)end != len)
		return -EINVAL;
	if (v->room)
		room_leave(v->room, conn);
	v->room = NULL;
	return rooms_join(house_rooms(w->house), conn, name, nick, &v->room);
}

/* "crash WHO WAY". */
static int order(struct web *w, const char *text, size_t len)
{
	char who[ROOM_NAME], way[16], line[80];
	int end = 0;

	if (len >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	if (sscanf(line, "crash %31s %15s%n", who, way, &end) != 2 ||
	    (size_t)end != len)
		return -EINVAL;
	return house_crash(w->house, who, way);
}

static void on_message(struct pulse_ws_conn *conn, int opcode,
		       const void *data, size_t len, void *arg)
{
	struct visitor *v = pulse_ws_conn_user(conn);
	struct web *w = arg;
	int err;

	if (!v)
		return;
	if (v->role == ECHO_MESSAGES) {
		pulse_ws_send(conn, opcode, data, len);
		return;
	}
	err = opcode != PULSE_WS_TEXT ? -EINVAL :
	      v->role == CHAT ? chat(w, conn, v, data, len) :
	      order(w, data, len);
	if (err)
		refuse(conn, err);
}

static void on_close(struct pulse_ws_conn *conn, int code, const char *reason,
		     size_t len, void *arg)
{
	struct visitor *v = pulse_ws_conn_user(conn);
	struct web *w = arg;

	(void)code;
	(void)reason;
	(void)len;
	if (!v)
		return;
	if (v->role == WATCH)
		feed_leave(w->feed, conn);
	if (v->room)
		room_leave(v->room, conn);
	pulse_slab_free(w->visitors, v);
	__atomic_fetch_sub(&w->here, 1, __ATOMIC_RELAXED);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	const char *path = pulse_ws_request_path(request), *health;
	struct text t = { 0 };
	struct web *w = arg;

	if (!strcmp(path, "/")) {
		pulse_ws_http_reply(conn, 200, "text/html; charset=utf-8",
				    _binary_page_html_start,
				    (size_t)(_binary_page_html_end -
					     _binary_page_html_start));
	} else if (!strcmp(path, "/health")) {
		health = house_health(w->house);
		text_add(&t, "{");
		house_text(w->house, &t);
		text_add(&t, "}\n");
		pulse_ws_http_reply(conn, strcmp(health, "ok") ? 503 : 200,
				    "application/json", t.at, t.len);
	} else if (!strcmp(path, "/metrics")) {
		house_metrics(w->house, &t);
		text_add(&t, "# TYPE vigilant_visitors gauge\n"
			 "vigilant_visitors %llu\n", (unsigned long long)
			 __atomic_load_n(&w->here, __ATOMIC_RELAXED));
		pulse_ws_http_reply(conn, 200, "text/plain; version=0.0.4",
				    t.at, t.len);
	}
	text_free(&t);
}

const struct pulse_ws_handlers *web_handlers(void)
{
	static const struct pulse_ws_handlers handlers = {
		.sz = sizeof(handlers),
		.on_request = on_request,
		.on_open = on_open,
		.on_message = on_message,
		.on_close = on_close,
		.on_http = on_http,
	};

	return &handlers;
}

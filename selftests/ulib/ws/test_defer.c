// SPDX-License-Identifier: GPL-2.0-only
/* W01: opening handshakes that are decided later, by any thread, or too late. */
#include "peer.h"

#include <pulse-u/poller.h>
#include <pulse-u/ws_defer.h>
#include <pulse-u/ws_live.h>
#include <pulse-u/ws_route.h>

#define MAX_WAITING 64

/* What the handlers have seen; conns has a reference to each that was put off. */
static struct {
	struct pulse_ws_conn *conn[MAX_WAITING];
	uint32_t waiting, opened, failed, closed, messages;
	int err, status;
	void *user;
	char subprotocol[32];
	char last[32];
} seen;

#define COUNT(field)	__atomic_fetch_add(&seen.field, 1, __ATOMIC_RELEASE)
#define SEEN(field)	__atomic_load_n(&seen.field, __ATOMIC_ACQUIRE)

static void forget(void)
{
	for (uint32_t i = 0; i < seen.waiting && i < MAX_WAITING; i++)
		pulse_ws_put(seen.conn[i]);
	memset(&seen, 0, sizeof(seen));
}

static int put_off(struct pulse_ws_conn *conn,
		   const struct pulse_ws_request *request,
		   struct pulse_ws_answer *answer, void *arg)
{
	const char *path = pulse_ws_request_path(request);

	(void)arg;
	if (!strcmp(path, "/now"))
		return 0;
	KT_EQ(pulse_ws_accept(conn, NULL), -EINVAL);
	KT_EQ(pulse_ws_defer(conn), 0);
	KT_EQ(pulse_ws_defer(conn), -EALREADY);
	KT_EQ(pulse_ws_http_field(conn, "X-Asked", "yes"), 0);
	answer->user = &seen;
	answer->subprotocol = "one";
	if (!strcmp(path, "/at-once"))
		KT_EQ(pulse_ws_accept(conn, NULL), 0);
	if (!strcmp(path, "/both"))
		KT_EQ(pulse_ws_refuse(conn, 418, NULL, NULL), 0);
	if (!strcmp(path, "/bad"))
		answer->subprotocol = "none of ours";
	if (seen.waiting < MAX_WAITING)
		seen.conn[seen.waiting] = pulse_ws_get(conn);
	COUNT(waiting);
	return !strcmp(path, "/no") || !strcmp(path, "/both") ? 403 : 0;
}

static void opened(struct pulse_ws_conn *conn, void *arg)
{
	const char *sub = pulse_ws_conn_subprotocol(conn);

	(void)arg;
	seen.user = pulse_ws_conn_user(conn);
	snprintf(seen.subprotocol, sizeof(seen.subprotocol), "%s", sub ? sub : "");
	KT_EQ(pulse_ws_defer(conn), -EINVAL);
	COUNT(opened);
}

static void failed(struct pulse_ws_conn *conn, int err, int status, void *arg)
{
	(void)arg;
	KT_CHECK(pulse_ws_send(conn, PULSE_WS_TEXT, "x", 1) < 0);
	seen.user = pulse_ws_conn_user(conn);
	seen.err = err;
	seen.status = status;
	COUNT(failed);
}

static void closed(struct pulse_ws_conn *conn, int code, const char *reason,
		   size_t len, void *arg)
{
	(void)conn, (void)code, (void)reason, (void)len, (void)arg;
	COUNT(closed);
}

static void message(struct pulse_ws_conn *conn, int opcode, const void *data,
		    size_t len, void *arg)
{
	(void)arg;
	if (opcode == PULSE_WS_TEXT)
		pulse_ws_send(conn, opcode, data, len);
	else
		snprintf(seen.last, sizeof(seen.last), "%.*s", (int)len,
			 (const char *)data);
	COUNT(messages);
}

static const char *const subprotocols[] = { "one", "two", NULL };

static const struct pulse_ws_handlers handlers = {
	.sz = sizeof(handlers), .on_request = put_off, .on_open = opened,
	.on_fail = failed, .on_close = closed, .on_message = message,
};

static struct pulse_ws_server *serve_later(void)
{
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &handlers,
		   .subprotocols = subprotocols,
		   .handshake_timeout_ms = -1);

	return serve(&o);
}

static struct peer asks_for(struct pulse_ws_server *server, const char *path)
{
	struct peer p = peer_connect(server);
	char text[512];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n"
		 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
		 "Sec-WebSocket-Protocol: two, one\r\n\r\n", path);
	KT_CHECK(peer_say(&p, text));
	return p;
}

/* A peer whose handshake was put off. */
static struct peer waits(struct pulse_ws_server *server)
{
	uint32_t before = SEEN(waiting);
	struct peer p = asks_for(server, "/later");

	KT_CHECK(EVENTUALLY(SEEN(waiting) > before));
	return p;
}

/* Which kinds of poller there are here. */
static int serve_on(int kind, struct pulse_ws_server **server)
{
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &handlers, .poller = kind,
		   .subprotocols = subprotocols, .handshake_timeout_ms = -1);
	int err = pulse_ws_server_create(&o, server);

	return err ? err : pulse_ws_server_start(*server);
}

KT_TEST(a_handshake_is_accepted_later_by_another_thread)
{
	static const char *const fields[] = { "X-Level: 7", "Set-Cookie:a=b", NULL };
	PULSE_OPTS(pulse_ws_accept_opts, o, .subprotocol = "two",
		   .fields = fields, .user = &o);
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server);
	char *head;

	KT_EQ(stats_of(server).connections, 1);
	KT_EQ(SEEN(opened), 0);
	KT_EQ(pulse_ws_send(seen.conn[0], PULSE_WS_TEXT, "x", 1), -EPIPE);
	KT_EQ(pulse_ws_accept(seen.conn[0], &o), 0);
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 101 ", 13), "%s", head);
	KT_CHECKF(strstr(head, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n") &&
		  strstr(head, "\r\nSec-WebSocket-Protocol: two\r\n") &&
		  strstr(head, "\r\nX-Asked: yes\r\n") &&
		  strstr(head, "\r\nX-Level: 7\r\n") &&
		  strstr(head, "\r\nSet-Cookie: a=b\r\n"), "%s", head);
	KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	KT_EQ(SEEN(opened), 1);
	KT_CHECK(seen.user == &o);
	KT_STREQ(seen.subprotocol, "two");
	KT_EQ(pulse_ws_accept(seen.conn[0], &o), -EALREADY);
	KT_EQ(pulse_ws_refuse(seen.conn[0], 403, NULL, NULL), -EALREADY);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(SEEN(closed)));
	KT_EQ(pulse_ws_accept(seen.conn[0], &o), -EALREADY);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(failed), 0);
	forget();
}

KT_TEST(what_the_decision_leaves_open_is_as_on_request_left_it)
{
	struct pulse_ws_server *server = serve_later();
	PULSE_OPTS(pulse_ws_accept_opts, none, .subprotocol = "");
	struct peer p = waits(server);
	char *head;

	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), 0);
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECKF(strstr(head, "\r\nSec-WebSocket-Protocol: one\r\n"), "%s", head);
	KT_CHECK(EVENTUALLY(SEEN(opened) == 1));
	KT_CHECK(seen.user == &seen);
	KT_STREQ(seen.subprotocol, "one");
	peer_close(&p);
	p = waits(server);
	KT_EQ(pulse_ws_accept(seen.conn[1], &none), 0);
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECKF(!strstr(head, "Sec-WebSocket-Protocol"), "%s", head);
	peer_close(&p);
	/* In on_request itself: it holds all the same. */
	p = asks_for(server, "/at-once");
	KT_EQ(peer_status(&p), 101);
	KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(opened), 3);
	KT_EQ(SEEN(failed), 0);
	forget();
}

KT_TEST(a_handshake_is_refused_later_with_a_reason)
{
	static const char *const fields[] = { "WWW-Authenticate: Bearer", NULL };
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server);
	char *head;

	KT_EQ(pulse_ws_refuse(seen.conn[0], 401, "who are you?", fields), 0);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -EALREADY);
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 401 ", 13) &&
		  strstr(head, "\r\nWWW-Authenticate: Bearer\r\n") &&
		  strstr(head, "\r\nX-Asked: yes\r\n") &&
		  strstr(head, "\r\nContent-Length: 12\r\n"), "%s", head);
	KT_CHECK(peer_fill(&p, 12) &&
		 !memcmp(p.in + p.at, "who are you?", 12));
	peer_close(&p);
	p = waits(server);
	KT_EQ(pulse_ws_refuse(seen.conn[1], 404, NULL, NULL), 0);
	KT_EQ(peer_status(&p), 404);
	KT_CHECK(peer_fill(&p, 4) && !memcmp(p.in + p.at, "404 ", 4));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], 2);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(opened), 0);
	KT_EQ(SEEN(failed), 0);
	KT_EQ(SEEN(closed), 0);
	forget();
}

/* What cannot be said changes nothing: it can be decided still. */
KT_TEST(decisions_that_cannot_be_are_refused_and_leave_it_undecided)
{
	static const char *const bad[][2] = {
		{ "no colon" }, { ": no name" }, { "Bad Name: x" },
		{ "Connection: close" }, { "Sec-WebSocket-Accept: x" },
		{ "X-Evil: a\r\nX-Evil: b" }, { "X-Evil: \x01" },
	};
	static char large[9000], larger[65538];
	const char *const many[] = { large, NULL };
	const char *const names[] = { larger, NULL };
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server), q;
	PULSE_OPTS(pulse_ws_accept_opts, o);
	struct pulse_ws_conn *conn = seen.conn[0];
	char *head;

	KT_REQUIRE(conn);
	memset(larger, 'n', sizeof(larger) - 1);
	memset(large, 'v', sizeof(large) - 1);
	memcpy(large, "X-Evil: ", 8);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		o.fields = bad[i];
		KT_EQ(pulse_ws_accept(conn, &o), -EINVAL);
		KT_EQ(pulse_ws_refuse(conn, 403, NULL, bad[i]), -EINVAL);
	}
	o.fields = many;
	KT_EQ(pulse_ws_accept(conn, &o), -EMSGSIZE);
	larger[300] = ':';
	o.fields = names;
	KT_EQ(pulse_ws_accept(conn, &o), -EINVAL);
	larger[300] = 'n';
	KT_EQ(pulse_ws_refuse(conn, 403, larger, NULL), -EMSGSIZE);
	o.fields = NULL;
	o.subprotocol = "three";
	KT_EQ(pulse_ws_accept(conn, &o), -EINVAL);
	KT_EQ(pulse_ws_refuse(conn, 299, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_refuse(conn, 600, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_refuse(NULL, 403, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_accept(NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_defer(conn), -EINVAL);		/* another thread */
	KT_EQ(pulse_ws_defer(NULL), -EINVAL);
	o.sz = 1;
	KT_EQ(pulse_ws_accept(conn, &o), -EINVAL);
	KT_EQ(pulse_ws_accept(conn, NULL), 0);
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 101 ", 13) && !strstr(head, "Evil"),
		  "%s", head);
	peer_close(&p);
	/* on_request says yes to what the server does not speak. */
	q = asks_for(server, "/bad");
	KT_EQ(peer_status(&q), 500);
	KT_CHECK(EVENTUALLY(SEEN(failed) == 1));
	KT_EQ(seen.err, -ECONNREFUSED);
	KT_EQ(seen.status, 500);
	peer_close(&q);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	forget();
}

KT_TEST(who_never_waited_cannot_be_decided_on)
{
	struct pulse_ws_server *server = serve_later();
	PULSE_OPTS(pulse_ws_opts, co, .listen = "");
	struct pulse_ws_server *client = serve(&co);
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 32];
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	struct pulse_ws_conn *conn = NULL;

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	snprintf(url, sizeof(url), "ws://%s/now", where);
	KT_EQ(pulse_ws_connect(client, &to, &conn), 0);
	KT_EQ(pulse_ws_accept(conn, NULL), -EINVAL);
	KT_EQ(pulse_ws_refuse(conn, 403, NULL, NULL), -EINVAL);
	KT_CHECK(EVENTUALLY(SEEN(opened) == 1));
	KT_EQ(pulse_ws_accept(conn, NULL), -EINVAL);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	forget();
}

KT_TEST(on_request_that_refuses_after_all_has_the_last_word)
{
	struct pulse_ws_server *server = serve_later();
	struct peer p = asks_for(server, "/no");

	KT_EQ(peer_status(&p), 403);
	KT_CHECK(EVENTUALLY(SEEN(failed) == 1));
	KT_EQ(seen.err, -ECONNREFUSED);
	KT_EQ(seen.status, 403);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -ECONNREFUSED);
	peer_close(&p);
	/* Who was refused by the decision, too, is not told of it. */
	p = asks_for(server, "/both");
	KT_EQ(peer_status(&p), 403);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(failed), 1);
	KT_EQ(SEEN(opened), 0);
	forget();
}

/* ---- too late ----------------------------------------------------------------- */

KT_TEST(a_decision_after_the_handshakes_time_is_too_late)
{
	PULSE_OPTS(pulse_ws_limits, soon, .handshake_timeout_ms = 1);
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server);
	int mine;

	KT_EQ(pulse_ws_server_set_limits(server, &soon), 0);
	KT_EQ(peer_status(&p), 503);
	KT_CHECK(EVENTUALLY(SEEN(failed) == 1));
	KT_EQ(seen.err, -ETIMEDOUT);
	KT_EQ(seen.status, 503);
	KT_CHECK(seen.user == &seen);
	{
		PULSE_OPTS(pulse_ws_accept_opts, o, .user = &mine);

		KT_EQ(pulse_ws_accept(seen.conn[0], &o), -ETIMEDOUT);
	}
	KT_EQ(pulse_ws_refuse(seen.conn[0], 403, NULL, NULL), -ETIMEDOUT);
	KT_CHECK(pulse_ws_conn_user(seen.conn[0]) == &seen);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(opened), 0);
	forget();
}

static void leaves(bool reset)
{
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server);

	if (reset)
		peer_reset(&p);
	else
		peer_close(&p);
	KT_CHECK(EVENTUALLY(SEEN(failed) == 1));
	KT_EQ(seen.err, -ECONNRESET);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -ECONNRESET);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -ECONNRESET);
	KT_EQ(SEEN(opened), 0);
	forget();
}

KT_TEST(a_peer_that_leaves_meanwhile_is_told_of)
{
	leaves(false);
	leaves(true);
}

static void *drain_it(void *server)
{
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    50 * PULSE__NSEC_PER_SEC), 0);
	return NULL;
}

KT_TEST(a_drain_refuses_what_is_undecided)
{
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server), q = waits(server);
	pthread_t t;

	KT_EQ(pulse_ws_accept(seen.conn[1], NULL), 0);
	KT_EQ(pthread_create(&t, NULL, drain_it, server), 0);
	KT_EQ(peer_status(&p), 503);
	peer_close(&p);
	peer_close(&q);
	pthread_join(t, NULL);
	KT_EQ(SEEN(failed) + SEEN(opened), 2);	/* the other one may be open */
	KT_EQ(SEEN(opened), SEEN(closed));
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -ESHUTDOWN);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_refuse(seen.conn[0], 403, NULL, NULL), -ESHUTDOWN);
	forget();
}

KT_TEST(a_server_that_ends_tells_of_what_is_undecided)
{
	struct pulse_ws_server *server = serve_later();
	struct peer p = waits(server);
	uint8_t byte;

	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(failed), 1);
	KT_EQ(seen.err, -ESHUTDOWN);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), -ESHUTDOWN);
	KT_CHECK(recv(p.fd, &byte, 1, 0) <= 0);
	peer_close(&p);
	forget();
}

/* ---- limits ------------------------------------------------------------------- */

KT_TEST(who_waits_counts_as_a_connection)
{
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &handlers, .max_connections = 1,
		   .handshake_timeout_ms = -1, .subprotocols = subprotocols);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = waits(server), q = peer_connect(server);

	KT_EQ(peer_status(&q), 503);
	peer_close(&q);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), 0);
	KT_EQ(peer_status(&p), 101);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	forget();
}

/* Sends numbers until the system takes no more of them; how many, rest in *rest. */
static uint32_t pour(struct peer *p, uint8_t *rest, size_t *rest_len)
{
	uint8_t frame[4096];
	char body[4000];
	uint32_t n = 0;

	memset(body, '.', sizeof(body));
	*rest_len = 0;
	for (int idle = 0; idle < 20 && n < 20000;) {
		struct pollfd pfd = { .fd = p->fd, .events = POLLOUT };
		size_t len, at = 0;

		if (!poll(&pfd, 1, 10)) {	/* more may fit in a moment */
			idle++;
			continue;
		}
		memcpy(body, "          ", 10);
		snprintf(body, sizeof(body), "%u", n++);
		len = peer_frame(frame, 0x82, body, sizeof(body));
		while (at < len) {
			ssize_t put = send(p->fd, frame + at, len - at,
					   MSG_NOSIGNAL | MSG_DONTWAIT);

			if (put <= 0)
				break;
			at += (size_t)put;
		}
		if (at == len)
			continue;
		memcpy(rest, frame + at, len - at);
		*rest_len = len - at;
		break;
	}
	return n;
}

static void pours(int kind)
{
	struct pulse_ws_server *server = NULL;
	int err = serve_on(kind, &server);
	uint8_t rest[4096];
	uint64_t reads;
	char last[32];
	size_t len;
	struct peer p;
	uint32_t n;

	if (err == -ENOSYS || err == -EPERM) {
		kt_note("poller %d: %s", kind, pulse_strerror(err));
		return;
	}
	KT_REQUIRE(!err);
	p = waits(server);
	KT_CHECK(peer_say(&p, ""));
	n = pour(&p, rest, &len);
	KT_CHECKF(n > 10, "%u frames", n);
	/* One that brought the head, one that was put aside, and no more. */
	reads = stats_of(server).reads;
	KT_CHECKF(reads <= 3, "%llu reads", (unsigned long long)reads);
	KT_EQ(SEEN(messages), 0);
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), 0);
	KT_CHECK(peer_send(&p, rest, len));
	KT_CHECKF(EVENTUALLY(SEEN(messages) == n), "%u of %u", SEEN(messages), n);
	snprintf(last, sizeof(last), "%u", n - 1);
	KT_CHECKF(!strncmp(seen.last, last, strlen(last)), "%s", seen.last);
	KT_EQ(peer_status(&p), 101);
	KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(opened), 1);
	forget();
}

KT_TEST(what_comes_ahead_of_the_decision_is_kept_within_bounds)
{
	pours(PULSE_POLLER_EPOLL);
	pours(PULSE_POLLER_IO_URING);
}

/* The same request in one piece with what follows it; and dropped if refused. */
KT_TEST(frames_behind_the_head_wait_for_the_decision)
{
	struct pulse_ws_server *server = serve_later();

	for (uint32_t i = 0; i < 2; i++) {
		uint8_t text[1024];
		size_t len = strlen(UPGRADE);
		struct peer p = peer_connect(server);

		memcpy(text, UPGRADE, len);
		len += peer_frame(text + len, 0x81, "first", 5);
		len += peer_frame(text + len, 0x81, "second", 6);
		KT_CHECK(peer_send(&p, text, len));
		KT_CHECK(EVENTUALLY(SEEN(waiting) == i + 1));
		if (i) {
			KT_EQ(pulse_ws_refuse(seen.conn[i], 403, NULL, NULL), 0);
			KT_EQ(peer_status(&p), 403);
		} else {
			KT_EQ(pulse_ws_accept(seen.conn[i], NULL), 0);
			KT_EQ(peer_status(&p), 101);
			KT_CHECK(peer_expect(&p, 0x81, "first", 5));
			KT_CHECK(peer_expect(&p, 0x81, "second", 6));
		}
		peer_close(&p);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(SEEN(messages), 2);
	forget();
}

/* ---- races -------------------------------------------------------------------- */

struct racer {
	pthread_t thread;
	struct pulse_ws_conn *conn;
	pthread_barrier_t *start;
	bool accepts;
	int got;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->start);
	r->got = r->accepts ? pulse_ws_accept(r->conn, NULL) :
		 pulse_ws_refuse(r->conn, 403, "no", NULL);
	return NULL;
}

KT_TEST(of_those_who_decide_at_once_exactly_one_is_taken)
{
	struct pulse_ws_server *server = serve_later();

	for (long round = 0; round < kt_scale(100); round++) {
		struct peer p = waits(server);
		struct racer r[4];
		pthread_barrier_t start;
		int taken = 0, status = 0;

		pthread_barrier_init(&start, NULL, ARRAY_SIZE(r));
		for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
			r[i] = (struct racer){ .conn = seen.conn[0],
					       .start = &start,
					       .accepts = i % 2 };
			KT_EQ(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
			pthread_join(r[i].thread, NULL);
			KT_CHECK(!r[i].got || r[i].got == -EALREADY);
			if (!r[i].got)
				status = r[i].accepts ? 101 : 403;
			taken += !r[i].got;
		}
		KT_EQ(taken, 1);
		KT_EQ(peer_status(&p), status);
		peer_close(&p);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
		pthread_barrier_destroy(&start);
		forget();
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- memory ------------------------------------------------------------------- */

/* U04 */
KT_TEST(each_allocation_of_a_decision_may_fail)
{
	static const char *const fields[] = { "X-Level: 7", NULL };
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_opts, so, .handlers = &handlers, .deflate = &d,
		   .subprotocols = subprotocols, .handshake_timeout_ms = -1);
	PULSE_OPTS(pulse_ws_accept_opts, o, .fields = fields, .user = &o);
	struct pulse_ws_server *server = serve(&so);
	bool had = true;
	long n = 0;

	while (had && n < 100) {
		struct peer p = peer_connect(server);
		int err;

		KT_CHECK(peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\n"
			 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: " KEY "\r\n"
			 "Sec-WebSocket-Extensions: permessage-deflate\r\n"
			 "Sec-WebSocket-Version: 13\r\n\r\n"));
		KT_REQUIRE(EVENTUALLY(SEEN(waiting) == 1));
		pulse__alloc_fail_at(++n);
		err = pulse_ws_accept(seen.conn[0], &o);
		KT_CHECK(!err || err == -ENOMEM);
		if (err) {	/* it waits as before */
			KT_EQ(SEEN(opened) + SEEN(failed), 0);
			KT_EQ(pulse_ws_accept(seen.conn[0], &o), 0);
		}
		KT_CHECK(EVENTUALLY(SEEN(opened) + SEEN(failed) == 1));
		KT_CHECK(seen.user == &o);
		had = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		if (SEEN(failed))
			KT_EQ(seen.err, -ENOMEM);
		peer_close(&p);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
		forget();
	}
	KT_CHECKF(n > 3, "%ld allocations", n - 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	forget();
}

/* ---- routes ------------------------------------------------------------------- */

static int by_route(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request,
		    struct pulse_ws_answer *answer, void *arg)
{
	return pulse_ws_router_request(arg, conn, request, answer);
}

static int then_no(struct pulse_chain_event *event,
		   const struct pulse_next *next, void *arg)
{
	int ret = pulse_next_run(next, event);

	(void)arg;
	return ret ? ret : 451;
}

KT_TEST(a_route_puts_off_and_middleware_may_still_refuse)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = by_route,
		   .on_open = opened, .on_fail = failed, .on_close = closed);
	PULSE_OPTS(pulse_ws_route, later, .path = "/rooms/:room",
		   .on_request = put_off);
	PULSE_OPTS(pulse_ws_route, no, .path = "/closed/:room",
		   .on_request = put_off);
	PULSE_OPTS(pulse_link, link, .name = "no", .fn = then_no);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .subprotocols = subprotocols);
	struct pulse_ws_router *router;
	struct pulse_ws_server *server;
	struct peer p;

	KT_EQ(pulse_ws_router_create(&router), 0);
	KT_EQ(pulse_ws_router_add(router, &later), 0);
	KT_EQ(pulse_ws_router_add(router, &no), 0);
	KT_EQ(pulse_ws_router_use(router, "/closed", &link), 0);
	o.arg = router;
	server = serve(&o);
	p = asks_for(server, "/rooms/1");
	KT_REQUIRE(EVENTUALLY(SEEN(waiting) == 1));
	KT_EQ(pulse_ws_accept(seen.conn[0], NULL), 0);
	KT_EQ(peer_status(&p), 101);
	peer_close(&p);
	p = asks_for(server, "/closed/1");
	KT_EQ(peer_status(&p), 451);
	KT_CHECK(EVENTUALLY(SEEN(failed) == 1));
	KT_EQ(seen.status, 451);
	KT_EQ(pulse_ws_accept(seen.conn[1], NULL), -ECONNREFUSED);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
	forget();
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* Header fields of a program's in answers to handshakes and page requests. */
#include "peer.h"

#include <pulse-u/ws_route.h>

static char long_value[8192];

/* What is refused, whatever the answer; none of it may show. */
static void try_bad_fields(struct pulse_ws_conn *conn)
{
	static const char *const ours[] = {
		"Connection", "content-length", "Content-Type",
		"TRANSFER-ENCODING", "Upgrade", "Sec-WebSocket-Accept",
		"sec-websocket-protocol", "Sec-WebSocket-",
	};
	static const char *const names[] = {
		"", "X Evil", "X-Evil:", "X-Evil\r\nX-Other", "X-Evil\n", "X-\x80",
	};
	static const char *const values[] = {
		"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\r", "\x01", "a\x7f",
		"\r\n\r\nHTTP/1.1 200 OK",
	};
	char name[300];

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		KT_EQ(pulse_ws_http_field(conn, ours[i], "Evil"), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		KT_EQ(pulse_ws_http_field(conn, names[i], "Evil"), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		KT_EQ(pulse_ws_http_field(conn, "X-Ok", values[i]), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[257] = 0;
	KT_EQ(pulse_ws_http_field(conn, name, "Evil"), -EINVAL);
	memset(long_value, 'E', sizeof(long_value) - 1);
	KT_EQ(pulse_ws_http_field(conn, "X-Evil", long_value), -EMSGSIZE);
	KT_EQ(pulse_ws_http_field(conn, NULL, "Evil"), -EINVAL);
	KT_EQ(pulse_ws_http_field(conn, "X-Evil", NULL), -EINVAL);
	KT_EQ(pulse_ws_http_field(NULL, "X-Evil", "Evil"), -EINVAL);
}

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	const char *path = pulse_ws_request_path(request);

	(void)answer;
	(void)arg;
	try_bad_fields(conn);
	if (!strcmp(path, "/moved")) {
		KT_EQ(pulse_ws_http_field(conn, "Location", "wss://b.example/x"), 0);
		return 302;
	}
	if (!strcmp(path, "/secret")) {
		KT_EQ(pulse_ws_http_field(conn, "WWW-Authenticate",
					  "Bearer\trealm=\"a\""), 0);
		return 401;
	}
	KT_EQ(pulse_ws_http_field(conn, "Set-Cookie", "a=1; Secure"), 0);
	KT_EQ(pulse_ws_http_field(conn, "Set-Cookie", "b=2"), 0);
	KT_EQ(pulse_ws_http_field(conn, "X-Empty", ""), 0);
	return strcmp(path, "/odd") ? 0 : 299;
}

/* Behind the handshake there is nothing to answer. */
static void too_late(struct pulse_ws_conn *conn, int opcode, const void *data,
		     size_t len, void *arg)
{
	(void)arg;
	KT_EQ(pulse_ws_http_field(conn, "X-Late", "1"), -EINVAL);
	pulse_ws_send(conn, opcode, data, len);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	(void)arg;
	try_bad_fields(conn);
	KT_EQ(pulse_ws_http_field(conn, "Cache-Control", "no-store"), 0);
	if (!strcmp(pulse_ws_request_path(request), "/none"))
		return;
	KT_EQ(pulse_ws_http_reply(conn, 200, "text/plain", "page", 4), 0);
	KT_EQ(pulse_ws_http_field(conn, "X-Late", "1"), -EINVAL);
}

static struct pulse_ws_server *serve_fields(void)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_http = on_http, .on_message = too_late);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);

	return serve(&o);
}

static bool has_line(const char *head, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "\r\n%s\r\n", line);
	return strstr(head, text);
}

/* Asks for a path; the head of the answer, as long as the peer. */
static const char *ask(struct pulse_ws_server *server, struct peer *p,
		       const char *path, bool upgrade)
{
	char text[512], *head;

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path,
		 upgrade ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			   "Sec-WebSocket-Key: " KEY "\r\n"
			   "Sec-WebSocket-Version: 13\r\n" : "");
	*p = peer_connect(server);
	KT_CHECK(peer_say(p, text));
	head = peer_head(p);
	if (!KT_CHECK(head))
		return "";
	KT_CHECKF(!strcasestr(head, "evil") && !strstr(head, "X-Ok") &&
		  !strstr(head, "EEEE"), "%s", head);
	return head;
}

KT_TEST(a_handshake_is_sent_elsewhere)
{
	struct pulse_ws_server *server = serve_fields();
	struct peer p;
	const char *head = ask(server, &p, "/moved", true);

	KT_CHECKF(!strncmp(head, "HTTP/1.1 302 Found\r\n", 20), "%s", head);
	KT_CHECKF(has_line(head, "Location: wss://b.example/x"), "%s", head);
	KT_CHECKF(has_line(head, "Connection: close"), "%s", head);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_refusal_says_how_to_come_in)
{
	struct pulse_ws_server *server = serve_fields();
	struct peer p;
	const char *head = ask(server, &p, "/secret", true);

	KT_CHECKF(!strncmp(head, "HTTP/1.1 401 ", 13), "%s", head);
	KT_CHECKF(has_line(head, "WWW-Authenticate: Bearer\trealm=\"a\""), "%s",
		  head);
	KT_CHECK(peer_fill(&p, 4) && !memcmp(p.in + p.at, "401 ", 4));
	peer_close(&p);
	/* No status of a refusal. */
	head = ask(server, &p, "/odd", true);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 500 ", 13), "%s", head);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(an_upgrade_has_fields_of_the_programs)
{
	struct pulse_ws_server *server = serve_fields();
	struct peer p;
	const char *head = ask(server, &p, "/", true);

	KT_CHECKF(!strncmp(head, "HTTP/1.1 101 ", 13), "%s", head);
	KT_CHECKF(has_line(head, "Sec-WebSocket-Accept: " ACCEPT), "%s", head);
	KT_CHECKF(has_line(head, "Set-Cookie: a=1; Secure"), "%s", head);
	KT_CHECKF(has_line(head, "Set-Cookie: b=2"), "%s", head);
	KT_CHECKF(has_line(head, "X-Empty: "), "%s", head);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_CHECK(peer_expect(&p, 0x81, "x", 1));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_page_has_fields_of_the_programs)
{
	struct pulse_ws_server *server = serve_fields();
	struct peer p;
	const char *head = ask(server, &p, "/page", false);

	KT_CHECKF(!strncmp(head, "HTTP/1.1 200 ", 13), "%s", head);
	KT_CHECKF(has_line(head, "Cache-Control: no-store") &&
		  has_line(head, "Content-Length: 4"), "%s", head);
	KT_CHECK(!strstr(head, "X-Late"));
	KT_CHECK(peer_fill(&p, 4) && !memcmp(p.in + p.at, "page", 4));
	peer_close(&p);
	head = ask(server, &p, "/none", false);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 404 ", 13) &&
		  has_line(head, "Cache-Control: no-store"), "%s", head);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- routes ----------------------------------------------------------------- */

static int routed(struct pulse_ws_conn *conn,
		  const struct pulse_ws_request *request,
		  struct pulse_ws_answer *answer, void *arg)
{
	return pulse_ws_router_request(arg, conn, request, answer);
}

static int go_away(struct pulse_ws_conn *conn,
		   const struct pulse_ws_request *request,
		   struct pulse_ws_answer *answer, void *arg)
{
	(void)request;
	(void)answer;
	(void)arg;
	KT_EQ(pulse_ws_http_field(conn, "Location", "/new"), 0);
	return 308;
}

KT_TEST(a_route_sends_elsewhere)
{
	PULSE_OPTS(pulse_ws_route, r, .path = "/old", .on_request = go_away);
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = routed);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_router *router;
	struct pulse_ws_server *server;
	struct peer p;
	const char *head;

	KT_EQ(pulse_ws_router_create(&router), 0);
	KT_EQ(pulse_ws_router_add(router, &r), 0);
	o.arg = router;
	server = serve(&o);
	head = ask(server, &p, "/old", true);
	KT_CHECKF(!strncmp(head, "HTTP/1.1 308 Permanent Redirect\r\n", 33), "%s",
		  head);
	KT_CHECKF(has_line(head, "Location: /new"), "%s", head);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* W01: opening handshakes, right and wrong, and plain pages, over real sockets. */
#include "peer.h"

/* The status of a request sent in pieces; 0 pieces: at once. */
static int ask(struct pulse_ws_server *server, const char *text, size_t piece)
{
	struct peer p = peer_connect(server);
	size_t len = strlen(text);
	int status;

	for (size_t at = 0; at < len && p.fd >= 0; at += piece ? piece : len) {
		size_t n = piece && piece < len - at ? piece : len - at;

		if (!peer_send(&p, text + at, n))
			break;
	}
	status = peer_status(&p);
	peer_close(&p);
	return status;
}

#define WITH(method, host, upgrade, connection, key, version)		\
	method "\r\n" host upgrade connection key version "\r\n"
#define M "GET / HTTP/1.1"
#define H "Host: a\r\n"
#define U "Upgrade: websocket\r\n"
#define C "Connection: Upgrade\r\n"
#define K "Sec-WebSocket-Key: " KEY "\r\n"
#define V "Sec-WebSocket-Version: 13\r\n"

static const struct {
	const char *request;
	int status;
	const char *what;
} table[] = {
	{ WITH(M, H, U, C, K, V), 101, "all in order" },
	{ WITH(M, "HOST: a\r\n", "upgrade: WebSocket\r\n",
	       "CONNECTION: keep-alive, UPGRADE\r\n", K, V), 101, "any case" },
	{ WITH(M, H, "Upgrade: h2c\r\nUpgrade: websocket\r\n",
	       "Connection: keep-alive\r\nConnection: x , upgrade\r\n", K, V),
	  101, "lists in several fields" },
	{ WITH("GET http://a/b?c HTTP/1.1", H, U, C, K, V), 101, "absolute form" },
	{ WITH(M, H, U, C, "", V), 400, "no key" },
	{ WITH(M, H, U, C, "Sec-WebSocket-Key: YWJj\r\n", V), 400, "short key" },
	{ WITH(M, H, U, C, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n", V),
	  400, "key of 17 bytes" },
	{ WITH(M, H, U, C, "Sec-WebSocket-Key: dGhlIHNhbX*sZSBub25jZQ==\r\n", V),
	  400, "key not base64" },
	{ WITH(M, H, U, C, K K, V), 400, "two keys" },
	{ WITH(M, H, U, C, K, "Sec-WebSocket-Version: 12\r\n"), 426, "version 12" },
	{ WITH(M, H, U, C, K, ""), 426, "no version" },
	{ WITH(M, H, U, "", K, V), 400, "no Connection" },
	{ WITH(M, H, U, "Connection: close\r\n", K, V), 400, "Connection: close" },
	{ WITH(M, H, "", C, K, V), 426, "no Upgrade" },
	{ WITH(M, H, "Upgrade: websockets\r\n", C, K, V), 426, "other Upgrade" },
	{ WITH(M, "", U, C, K, V), 400, "no Host" },
	{ WITH(M, H H, U, C, K, V), 400, "two Hosts" },
	{ WITH("GET / HTTP/1.0", H, U, C, K, V), 400, "HTTP/1.0" },
	{ WITH("GET / HTTP/2.0", H, U, C, K, V), 400, "HTTP/2.0" },
	{ WITH("GET * HTTP/1.1", H, U, C, K, V), 400, "target *" },
	{ WITH("POST / HTTP/1.1", H, U, C, K, V), 405, "POST" },
	{ WITH("POST / HTTP/1.1", H, "", "", "Content-Length: 3\r\n", ""), 405,
	  "POST without upgrade" },
	{ WITH("HEAD / HTTP/1.1", H, U, C, K, V), 400, "HEAD" },
	{ WITH("BREW / HTTP/1.1", H, "", "", "", ""), 405, "unknown method" },
	{ WITH(M, H, U, C, K "Content-Length: 5\r\n", V), 400, "with a body" },
	{ WITH(M, H, U, C, K "Transfer-Encoding: chunked\r\n", V), 400, "chunked" },
	{ WITH(M, H, U, C, K " folded\r\n", V), 400, "folded line" },
	{ "GET / HTTP/1.1\nHost: a\n\n", 400, "bare line feeds" },
	{ "hello there, this is no HTTP at all\r\n", 400, "no HTTP" },
};

KT_TEST(each_request_gets_its_status)
{
	struct pulse_ws_server *server = serve_echo();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int status = ask(server, table[i].request, 0);

		KT_CHECKF(status == table[i].status, "%s: %d, should be %d",
			  table[i].what, status, table[i].status);
		status = ask(server, table[i].request, 1);
		KT_CHECKF(status == table[i].status,
			  "%s, byte by byte: %d, should be %d", table[i].what,
			  status, table[i].status);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_request_may_be_split_at_each_byte)
{
	struct pulse_ws_server *server = serve_echo();
	size_t len = strlen(UPGRADE);

	for (size_t cut = 1; cut < len; cut++) {
		struct peer p = peer_connect(server);

		KT_CHECK(peer_send(&p, UPGRADE, cut));
		if (cut % 16 == 0)
			peer_nap(1);
		KT_CHECK(peer_send(&p, UPGRADE + cut, len - cut));
		KT_EQ(peer_status(&p), 101);
		peer_close(&p);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(the_answer_has_what_it_must)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_connect(server);
	uint8_t both[512];
	size_t n = strlen(UPGRADE);
	char *head;

	/* A first message right behind the request. */
	memcpy(both, UPGRADE, n);
	n += peer_frame(both + n, 0x81, "early", 5);
	KT_CHECK(peer_send(&p, both, n));
	head = peer_head(&p);
	KT_REQUIRE(head);
	KT_CHECK(strstr(head, "HTTP/1.1 101 "));
	KT_CHECK(strcasestr(head, "\r\nupgrade: websocket\r\n"));
	KT_CHECK(strcasestr(head, "\r\nconnection: upgrade\r\n"));
	KT_CHECK(strstr(head, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"));
	KT_CHECK(!strcasestr(head, "sec-websocket-protocol"));
	KT_CHECK(!strcasestr(head, "sec-websocket-extensions"));
	KT_CHECK(peer_expect(&p, 0x81, "early", 5));
	peer_close(&p);

	p = peer_connect(server);
	KT_CHECK(peer_say(&p, WITH(M, H, U, C, K, "Sec-WebSocket-Version: 8\r\n")));
	head = peer_head(&p);
	KT_CHECK(head && strcasestr(head, "\r\nsec-websocket-version: 13\r\n"));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(only_bytes_limit_a_head)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_connect(server);
	char *big = malloc(1 << 20);
	size_t n;

	/* Sixty fields of 6 KiB, and thousands of short ones: in order. */
	KT_REQUIRE(big);
	KT_CHECK(peer_say(&p, "GET / HTTP/1.1\r\n" H U C K));
	memset(big, 'v', 6 << 10);
	memcpy(big + (6 << 10), "\r\n", 3);
	for (int i = 0; i < 60; i++) {
		KT_CHECK(peer_say(&p, "X-Big: "));
		KT_CHECK(peer_say(&p, big));
	}
	/* 5,000, a hundred at a time: slow kernels take 2 ms a packet */
	for (n = 0; n < 100; n++)
		memcpy(big + 5 * n, "a:b\r\n", 6);
	for (int i = 0; i < 50; i++)
		KT_CHECK(peer_say(&p, big));
	KT_CHECK(peer_say(&p, V "\r\n"));
	KT_EQ(peer_status(&p), 101);
	peer_close(&p);

	/* 64 KiB in one field passes, over 512 KiB in all gets 431. */
	memset(big, 'v', 1 << 20);
	n = (size_t)sprintf(big, "GET / HTTP/1.1\r\n" H U C K V "X-Big: ");
	big[n] = 'v';
	memcpy(big + (64 << 10), "\r\n\r\n", 5);
	KT_EQ(ask(server, big, 0), 101);
	big[64 << 10] = 'v';
	memset(big + (64 << 10), 'v', 5);
	big[(1 << 20) - 1] = 0;
	KT_EQ(ask(server, big, 0), 431);
	free(big);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- hooks ---------------------------------------------------------------- */

static char seen[256];

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *r,
		      struct pulse_ws_answer *a, void *arg)
{
	const char *who = pulse_ws_request_header(r, "X-Who", 0);

	snprintf(seen, sizeof(seen), "%s|%s|%s|%s|%s", pulse_ws_request_method(r),
		 pulse_ws_request_path(r),
		 pulse_ws_request_query(r) ? pulse_ws_request_query(r) : "-",
		 who ? who : "-", a->subprotocol ? a->subprotocol : "-");
	KT_CHECK(!pulse_ws_request_header(r, "X-Who", 1));
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "x", 1), -EPIPE);
	a->user = arg;
	if (who && !strcmp(who, "none"))
		a->subprotocol = NULL;
	if (who && !strcmp(who, "liar"))
		a->subprotocol = "no such";
	return who && !strcmp(who, "mallory") ? 401 :
	       who && !strcmp(who, "zero") ? -EPERM : 0;
}

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	const char *sub = pulse_ws_conn_subprotocol(conn);
	char peer[PULSE_ADDRESS_MAX];

	KT_CHECK(pulse_ws_conn_user(conn) == arg);
	KT_EQ(pulse_ws_conn_address(conn, peer, sizeof(peer)), 0);
	KT_CHECK(!strncmp(peer, "127.0.0.1:", 10));
	pulse_ws_send(conn, PULSE_WS_TEXT, sub ? sub : "", sub ? strlen(sub) : 0);
}

static int ask_hooked(struct pulse_ws_server *server, const char *who,
		      const char *more, const char *hello)
{
	struct peer p = peer_connect(server);
	char text[1024];
	int status;

	snprintf(text, sizeof(text), "GET /a/b?q=1 HTTP/1.1\r\n" H U C K V
		 "x-who: %s\r\n%s\r\n", who, more);
	KT_CHECK(peer_say(&p, text));
	status = peer_status(&p);
	if (status == 101)
		KT_CHECK(peer_expect(&p, 0x81, hello, strlen(hello)));
	peer_close(&p);
	return status;
}

KT_TEST(subprotocols_origins_and_the_programs_word)
{
	static const char *const subs[] = { "chat.v1", "chat.v2", NULL };
	static const char *const origins[] = { "https://good.example", NULL };
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_open = on_open);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .subprotocols = subs,
		   .origins = origins, .arg = seen);
	struct pulse_ws_server *server = serve(&o);
	struct pulse_ws_stats s;

	KT_EQ(ask_hooked(server, "alice", "", ""), 101);
	KT_STREQ(seen, "GET|/a/b|q=1|alice|-");
	KT_EQ(ask_hooked(server, "bob", "Sec-WebSocket-Protocol: x, chat.v2\r\n"
			 "Sec-WebSocket-Protocol: chat.v1\r\n", "chat.v2"), 101);
	KT_STREQ(seen, "GET|/a/b|q=1|bob|chat.v2");
	KT_EQ(ask_hooked(server, "none", "Sec-WebSocket-Protocol: chat.v1\r\n",
			 ""), 101);
	KT_EQ(ask_hooked(server, "mallory", "", ""), 401);
	KT_EQ(ask_hooked(server, "zero", "", ""), 500);
	KT_EQ(ask_hooked(server, "liar", "", ""), 500);
	KT_EQ(ask_hooked(server, "a", "Origin: https://good.example\r\n", ""), 101);
	KT_EQ(ask_hooked(server, "a", "Origin: https://evil.example\r\n", ""), 403);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	s = stats_of(server);
	KT_EQ(s.accepted, 8);
	KT_EQ(s.opened, 4);
	KT_EQ(s.ended[PULSE_WS_END_REFUSED], 4);
	KT_EQ(s.ended[PULSE_WS_END_LOST], 4);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

static void on_http(struct pulse_ws_conn *conn, const struct pulse_ws_request *r,
		    void *arg)
{
	const char *path = pulse_ws_request_path(r);
	static char big[300000];

	(void)arg;
	if (!strcmp(path, "/")) {
		KT_EQ(pulse_ws_http_reply(conn, 200, "text/html", "<p>hi", 5), 0);
		KT_EQ(pulse_ws_http_reply(conn, 200, "text/html", "x", 1), -EINVAL);
	} else if (!strcmp(path, "/big")) {
		memset(big, 'b', sizeof(big));
		KT_EQ(pulse_ws_http_reply(conn, 200, "a/b", big, sizeof(big)), 0);
	} else if (!strcmp(path, "/bad")) {
		KT_EQ(pulse_ws_http_reply(conn, 200, "a\r\nb: c", "x", 1), -EINVAL);
		KT_EQ(pulse_ws_http_reply(conn, 99, "a/b", "x", 1), -EINVAL);
		KT_EQ(pulse_ws_http_reply(conn, 200, NULL, "x", 1), -EINVAL);
		KT_EQ(pulse_ws_http_reply(conn, 204, "a/b", NULL, 0), 0);
	}
}

KT_TEST(pages_on_the_same_port)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_http = on_http);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_connect(server);
	char *head;

	KT_CHECK(peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	head = peer_head(&p);
	KT_CHECK(head && strstr(head, "HTTP/1.1 200 OK\r\n"));
	KT_CHECK(head && strstr(head, "\r\nContent-Type: text/html\r\n"));
	KT_CHECK(head && strstr(head, "\r\nContent-Length: 5\r\n"));
	KT_CHECK(head && strstr(head, "\r\nConnection: close\r\n"));
	KT_CHECK(peer_fill(&p, 5) && !memcmp(p.in + p.at, "<p>hi", 5));
	p.at += 5;
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);

	p = peer_connect(server);
	KT_CHECK(peer_say(&p, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
	head = peer_head(&p);
	KT_CHECK(head && strstr(head, "\r\nContent-Length: 5\r\n"));
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);

	p = peer_connect(server);
	KT_CHECK(peer_say(&p, "GET /big HTTP/1.0\r\n\r\n"));
	KT_EQ(peer_status(&p), 200);
	KT_CHECK(peer_fill(&p, 300000));
	p.at += 300000;
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);

	KT_EQ(ask(server, "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n", 0), 204);
	KT_EQ(ask(server, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 3), 404);
	KT_EQ(ask(server, UPGRADE, 0), 101);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_HTTP], 4);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_slow_request_is_cut_off)
{
	PULSE_OPTS(pulse_ws_opts, o, .handshake_timeout_ms = 100);
	struct pulse_ws_server *server = serve(&o);
	struct peer p[20];
	bool open = true;

	for (int i = 0; i < 20; i++)
		p[i] = peer_connect(server);
	/* One byte now and then does not prolong it. */
	for (int n = 0; open && n < 1000; n++) {
		open = false;
		for (int i = 0; i < 20; i++)
			open |= send(p[i].fd, "G", 1, MSG_NOSIGNAL) == 1;
		peer_nap(10);
	}
	KT_CHECK(!open);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], 20);
	for (int i = 0; i < 20; i++)
		peer_close(&p[i]);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

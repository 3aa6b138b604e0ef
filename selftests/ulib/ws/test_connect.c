// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client: it opens, says and hears everything a client may, against our own
 * server; and against servers that answer wrongly, played by this file.
 */
#include "peer.h"

#include "ws/key.h"

static struct pulse_ws_conn *last;
static int opens, fails, fail_err, fail_status, closes, close_code, pongs;
static long messages;
static size_t last_len;
static uint64_t sum;

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	__atomic_store_n(&last, conn, __ATOMIC_RELEASE);
	__atomic_add_fetch(&opens, 1, __ATOMIC_RELEASE);
}

static void on_message(struct pulse_ws_conn *conn, int op, const void *data,
		       size_t len, void *arg)
{
	(void)conn;
	(void)arg;
	for (size_t i = 0; i < len; i += 1 + len / 64)
		__atomic_add_fetch(&sum, ((const uint8_t *)data)[i],
				   __ATOMIC_RELAXED);
	__atomic_store_n(&last_len, len + (op == PULSE_WS_TEXT ? 1U << 31 : 0),
			 __ATOMIC_RELAXED);
	__atomic_add_fetch(&messages, 1, __ATOMIC_RELEASE);
}

static void on_pong(struct pulse_ws_conn *conn, const void *data, size_t len,
		    void *arg)
{
	(void)conn;
	(void)data;
	(void)len;
	(void)arg;
	__atomic_add_fetch(&pongs, 1, __ATOMIC_RELEASE);
}

static void on_close(struct pulse_ws_conn *conn, int code, const char *reason,
		     size_t len, void *arg)
{
	(void)conn;
	(void)reason;
	(void)len;
	(void)arg;
	__atomic_store_n(&close_code, code, __ATOMIC_RELAXED);
	__atomic_add_fetch(&closes, 1, __ATOMIC_RELEASE);
}

static void on_fail(struct pulse_ws_conn *conn, int err, int status, void *arg)
{
	(void)conn;
	(void)arg;
	__atomic_store_n(&fail_err, err, __ATOMIC_RELAXED);
	__atomic_store_n(&fail_status, status, __ATOMIC_RELAXED);
	__atomic_add_fetch(&fails, 1, __ATOMIC_RELEASE);
}

#define GET(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

static struct pulse_ws_server *client_of(struct pulse_ws_opts *o)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = on_open, .on_fail = on_fail,
		   .on_message = on_message, .on_close = on_close,
		   .on_pong = on_pong);

	opens = fails = fail_err = fail_status = closes = close_code = 0;
	pongs = 0;
	messages = 0;
	sum = 0;
	o->listen = "";
	o->handlers = &h;
	return serve(o);
}

static int dial(struct pulse_ws_server *client, const char *url,
		struct pulse_ws_conn **out)
{
	PULSE_OPTS(pulse_ws_connect_opts, o, .url = url, .user = &opens);

	return pulse_ws_connect(client, &o, out);
}

static void url_of(struct pulse_ws_server *server, char *url, const char *path)
{
	char where[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	sprintf(url, "ws://%s%s", where, path);
}

static void there_and_back(struct pulse_ws_opts *so, struct pulse_ws_opts *co,
			   bool deflates)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 1000, 65535, 65536, 300000 };
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	struct pulse_ws_server *server, *client;
	struct pulse_ws_conn *conn;
	char url[128], *text = malloc(300001);
	uint64_t want = 0;
	long n = 0;

	for (size_t i = 0; i < 300000; i++)
		text[i] = (char)('a' + i * i % 23);
	so->handlers = &h;
	server = serve(so);
	client = client_of(co);
	url_of(server, url, "/path?query");
	KT_EQ(dial(client, url, &conn), 0);
	KT_CHECK(EVENTUALLY(GET(opens) == 1));
	KT_CHECK(GET(last) == conn && pulse_ws_conn_user(conn) == &opens);
	KT_CHECK(pulse_ws_conn_deflates(conn) == deflates);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int op = PULSE_WS_TEXT; op <= PULSE_WS_BINARY; op++) {
			size_t len = sizes[i];

			KT_EQ(pulse_ws_send(conn, op, text, len), 0);
			n++;
			KT_CHECK(EVENTUALLY(GET(messages) == n));
			KT_EQ(last_len, len + (op == 1 ? 1U << 31 : 0));
			for (size_t k = 0; k < len; k += 1 + len / 64)
				want += (uint8_t)text[k];
			KT_EQ(sum, want);
		}
	}
	KT_EQ(pulse_ws_send(conn, PULSE_WS_PING, "p", 1), 0);
	KT_CHECK(EVENTUALLY(GET(pongs) == 1));
	KT_EQ(pulse_ws_close(conn, 3001, "bye", 3), 0);
	KT_CHECK(EVENTUALLY(GET(closes) == 1));
	KT_EQ(close_code, 3001);
	KT_CHECK(EVENTUALLY(!stats_of(client).connections));
	KT_EQ(stats_of(client).ended[PULSE_WS_END_LOCAL], 1);
	KT_EQ(stats_of(client).accepted, 0);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_PEER], 1);
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "x", 1), -ESRCH);
	pulse_ws_put(conn);
	free(text);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(fails, 0);
}

KT_TEST(messages_there_and_back)
{
	PULSE_OPTS(pulse_ws_opts, so, .threads = 1);
	PULSE_OPTS(pulse_ws_opts, co, .threads = 1);

	there_and_back(&so, &co, false);
}

KT_TEST(compressed_with_any_wishes_of_either_side)
{
	static const struct { uint32_t flags, server, client; } w[] = {
		{ 0, 0, 0 }, { 3, 0, 0 }, { 1, 9, 0 }, { 2, 0, 9 }, { 0, 12, 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		PULSE_OPTS(pulse_ws_deflate_opts, a, .flags = w[i].flags,
			   .server_window_bits = w[i].server,
			   .client_window_bits = w[i].client);
		PULSE_OPTS(pulse_ws_deflate_opts, b, .level = 1);
		PULSE_OPTS(pulse_ws_opts, so, .deflate = &a);
		PULSE_OPTS(pulse_ws_opts, co, .deflate = &b);
		PULSE_OPTS(pulse_ws_opts, s2, .deflate = &b);
		PULSE_OPTS(pulse_ws_opts, c2, .deflate = &a);
		PULSE_OPTS(pulse_ws_opts, none, .threads = 1);
		PULSE_OPTS(pulse_ws_opts, none2, .threads = 1);

		/* A server cannot hold a client to less than 9. */
		if (w[i].client != 8)
			there_and_back(&so, &co, true);
		there_and_back(&s2, &c2, true);
		if (i)
			continue;
		there_and_back(&none, &c2, false);
		there_and_back(&so, &none2, false);
	}
}

KT_TEST(subprotocols_are_offered_and_chosen)
{
	const char *mine[] = { "v3", "v2", NULL }, *theirs[] = { "v1", "v2", NULL };
	PULSE_OPTS(pulse_ws_opts, so, .subprotocols = theirs);
	PULSE_OPTS(pulse_ws_opts, co, .subprotocols = mine);
	struct pulse_ws_server *server = serve(&so), *client = client_of(&co);
	struct pulse_ws_conn *conn;
	char url[128];

	url_of(server, url, "");
	KT_EQ(dial(client, url, &conn), 0);
	KT_CHECK(EVENTUALLY(GET(opens) == 1));
	KT_STREQ(pulse_ws_conn_subprotocol(conn), "v2");
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* A listener whose queue is full: who asks hears nothing. */
static int deaf_listener(char *url, int *fillers, int nr)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	KT_EQ(bind(fd, (struct sockaddr *)&sin, len), 0);
	KT_EQ(listen(fd, 0), 0);
	KT_EQ(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	for (int i = 0; i < nr; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
				    SOCK_CLOEXEC, 0);
		connect(fillers[i], (struct sockaddr *)&sin, len);
	}
	sprintf(url, "ws://127.0.0.1:%d/", ntohs(sin.sin_port));
	return fd;
}

/* Its default is 30 s from now; this asks for what is over at once. */
KT_TEST(a_connect_ends_at_its_deadline)
{
	PULSE_OPTS(pulse_ws_opts, co, .threads = 1);
	PULSE_OPTS(pulse_ws_connect_opts, o);
	struct pulse_ws_server *client = client_of(&co);
	int64_t start = pulse_now_ns();
	struct pulse_ws_conn *conn;
	int fillers[8], fd;
	char url[64];

	fd = deaf_listener(url, fillers, 8);
	o.url = url;
	o.deadline_ns = -1;
	KT_EQ(pulse_ws_connect(client, &o, &conn), -EINVAL);
	o.deadline_ns = start + 20 * PULSE__NSEC_PER_MSEC;
	KT_EQ(pulse_ws_connect(client, &o, &conn), 0);
	KT_CHECK(EVENTUALLY(GET(fails) == 1));
	KT_CHECK(pulse_now_ns() - start < 29 * PULSE__NSEC_PER_SEC);
	KT_EQ(fail_err, -ETIMEDOUT);
	KT_EQ(opens, 0);
	pulse_ws_put(conn);
	for (int i = 0; i < 8; i++)
		close(fillers[i]);
	close(fd);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

KT_TEST(many_at_once_and_a_drain_of_either_side)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, so, .threads = 2, .handlers = &h);
	PULSE_OPTS(pulse_ws_opts, co, .threads = 2);
	struct pulse_ws_server *server = serve(&so), *client = client_of(&co);
	struct pulse_ws_conn *conn[40];
	char url[128];

	url_of(server, url, "/");
	for (int i = 0; i < 40; i++)
		KT_EQ(dial(client, url, &conn[i]), 0);
	KT_CHECK(EVENTUALLY(GET(opens) == 40));
	for (int i = 0; i < 40; i++)
		KT_EQ(pulse_ws_send(conn[i], PULSE_WS_BINARY, "abc", 3), 0);
	KT_CHECK(EVENTUALLY(GET(messages) == 40));
	KT_EQ(pulse_ws_server_drain(client, pulse_now_ns() +
				    60 * PULSE__NSEC_PER_SEC), 0);
	KT_EQ(closes, 40);
	KT_EQ(close_code, PULSE_WS_GOING_AWAY);
	pulse_ws_put(conn[0]);
	KT_EQ(dial(client, url, &conn[0]), 0);
	KT_CHECK(EVENTUALLY(GET(fails) == 1));
	KT_EQ(fail_err, -ESHUTDOWN);
	pulse_ws_put(conn[0]);
	for (int i = 1; i < 40; i++)
		pulse_ws_put(conn[i]);
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    60 * PULSE__NSEC_PER_SEC), 0);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- what is wrong --------------------------------------------------------- */

KT_TEST(urls_and_options)
{
	static const struct { const char *url; int err; } t[] = {
		{ "", -EINVAL }, { "http://localhost/", -EINVAL },
		{ "ws:/localhost", -EINVAL }, { "ws://", -EINVAL },
		{ "ws://:80/", -EINVAL }, { "ws://localhost:/", -EINVAL },
		{ "ws://localhost:x/", -EINVAL }, { "ws://localhost:123456/", -EINVAL },
		{ "ws://localhost/a b", -EINVAL }, { "ws://localhost/\r\nX: y", -EINVAL },
		{ "ws://localhost/#frag", -EINVAL }, { "ws://[::1/", -EINVAL },
		{ "ws://localhost:80x", -EINVAL },
		{ "wss://", -EINVAL }, { "wss://:443/", -EINVAL },
		{ "ws://no.such.host.invalid/", -ENXIO },
	};
	static const char *const bad_fields[][2] = {
		{ "NoColon", NULL }, { "X: a\r\nY: b", NULL }, { ": x", NULL },
		{ "X Y: z", NULL },
	};
	PULSE_OPTS(pulse_ws_opts, co, .threads = 1);
	struct pulse_ws_server *client = client_of(&co);
	struct pulse_ws_conn *conn;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int err = dial(client, t[i].url, &conn);

		/* Without a network a resolver may not even say no. */
		KT_CHECKF(err == t[i].err || (t[i].err == -ENXIO && err == -EAGAIN),
			  "%s: %d", t[i].url, err);
		KT_CHECK(!conn);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_fields); i++) {
		PULSE_OPTS(pulse_ws_connect_opts, o, .url = "ws://127.0.0.1:1/",
			   .fields = bad_fields[i]);

		KT_EQ(pulse_ws_connect(client, &o, &conn), -EINVAL);
	}
	KT_EQ(pulse_ws_connect(NULL, NULL, &conn), -EINVAL);
	KT_EQ(pulse_ws_connect(client, NULL, &conn), -EINVAL);
	KT_EQ(pulse_ws_connect(client, NULL, NULL), -EINVAL);
	KT_EQ(stats_of(client).connections, 0);
	/* Nobody listens there. */
	KT_EQ(dial(client, "ws://127.0.0.1:1/", &conn), 0);
	KT_CHECK(EVENTUALLY(GET(fails) == 1));
	KT_EQ(fail_err, -ECONNREFUSED);
	KT_EQ(fail_status, 0);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

/* A server that says what it is told to whoever comes, once. */
struct liar {
	int fd;
	const char *answer;	/* %s: the right accept value */
	char request[4096];
	pthread_t thread;
};

static void *liar_main(void *arg)
{
	struct liar *l = arg;
	int fd = accept(l->fd, NULL, NULL);
	struct peer p = { .fd = fd };
	char accept_value[29] = "", out[4096], *head = peer_head(&p), *key;

	if (head) {
		snprintf(l->request, sizeof(l->request), "%s", head);
		key = strstr(head, "Sec-WebSocket-Key: ");
		if (key) {
			char k[25] = "";

			memcpy(k, key + 19, 24);
			pulse__ws_key_accept(k, accept_value);
		}
		snprintf(out, sizeof(out), l->answer, accept_value);
		peer_say(&p, out);
		/* Until the client has had enough. */
		while (peer_fill(&p, p.have - p.at + 1))
			;
	}
	peer_close(&p);
	return NULL;
}

#define YES	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"	\
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"

static void lied_to(const char *answer, int err, int status, char *request)
{
	const char *protocols[] = { "chat", NULL };
	PULSE_OPTS(pulse_ws_opts, co, .subprotocols = protocols,
		   .max_head_bytes = 2048, .handshake_timeout_ms = 20000);
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct pulse_ws_server *client = client_of(&co);
	socklen_t len = sizeof(sin);
	struct liar l = { .answer = answer };
	struct pulse_ws_conn *conn;
	char url[64];

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	KT_REQUIRE(!bind(l.fd, (struct sockaddr *)&sin, len) && !listen(l.fd, 1) &&
		   !getsockname(l.fd, (struct sockaddr *)&sin, &len));
	KT_REQUIRE(!pthread_create(&l.thread, NULL, liar_main, &l));
	sprintf(url, "ws://127.0.0.1:%u/x", ntohs(sin.sin_port));
	KT_EQ(dial(client, url, &conn), 0);
	if (err) {
		KT_CHECK(EVENTUALLY(GET(fails) == 1));
		KT_CHECKF(fail_err == err && fail_status == status,
			  "%.60s: %d, %d", answer, fail_err, fail_status);
		KT_EQ(opens, 0);
	} else {
		KT_CHECKF(EVENTUALLY(GET(closes) == 1) && close_code == status,
			  "%.300s: %d, %d fails", answer, close_code, fails);
	}
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	pthread_join(l.thread, NULL);
	close(l.fd);
	if (request)
		strcpy(request, l.request);
}

KT_TEST(answers_that_are_wrong)
{
	static const struct { const char *answer; int err, status; } t[] = {
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", -ECONNREFUSED, 400 },
		{ "HTTP/1.1 200 OK\r\n\r\n", -ECONNREFUSED, 200 },
		{ "HTTP/1.1 503\r\n\r\n", -ECONNREFUSED, 503 },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		  "\r\n", -EPROTO, 101 },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
		  -EPROTO, 101 },
		{ "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n"
		  "Sec-WebSocket-Accept: %s\r\n\r\n", -EPROTO, 101 },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Accept: %s\r\n\r\n", -EPROTO, 101 },
		{ "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		  "Sec-WebSocket-Accept: %s\r\n\r\n", -EPROTO, 101 },
		{ YES "Sec-WebSocket-Accept: x\r\n\r\n", -EPROTO, 101 },
		{ YES "Sec-WebSocket-Protocol: other\r\n\r\n", -EPROTO, 101 },
		{ YES "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		  -EPROTO, 101 },
		{ "HTTP/1.1 1x1\r\n\r\n", -EPROTO, 0 },
		{ "HTTP/2 101\r\n\r\n", -EPROTO, 0 },
		{ "SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, 0 },
		/* Right, and then frames that are not. */
		{ YES "Sec-WebSocket-Protocol: chat\r\n\r\n\x81\x81""abcdx", 0, 1002 },
		{ YES "\r\n\xc1\x01x", 0, 1002 },
		{ YES "\r\n\x81\x01\xff", 0, 1007 },
	};
	char request[4096], big[4000];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		lied_to(t[i].answer, t[i].err, t[i].status, request);
	KT_CHECK(!strncmp(request, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:", 33));
	KT_CHECK(strstr(request, "\r\nSec-WebSocket-Protocol: chat\r\n"));
	memset(big, 'x', sizeof(big));
	memcpy(big, "HTTP/1.1 200 OK\r\nX: ", 20);
	big[sizeof(big) - 1] = 0;
	lied_to(big, -E2BIG, 0, NULL);
}

KT_TEST(a_server_that_says_nothing)
{
	PULSE_OPTS(pulse_ws_opts, co, .handshake_timeout_ms = 100);
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct pulse_ws_server *client = client_of(&co);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);
	struct pulse_ws_conn *conn;
	char url[64];

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	KT_REQUIRE(!bind(fd, (struct sockaddr *)&sin, len) && !listen(fd, 5) &&
		   !getsockname(fd, (struct sockaddr *)&sin, &len));
	sprintf(url, "ws://127.0.0.1:%u", ntohs(sin.sin_port));
	KT_EQ(dial(client, url, &conn), 0);
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "x", 1), -EPIPE);
	KT_CHECK(EVENTUALLY(GET(fails) == 1));
	KT_EQ(fail_err, -ETIMEDOUT);
	pulse_ws_put(conn);
	/* And one that ends meanwhile, or whose client does. */
	KT_EQ(dial(client, url, &conn), 0);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(fails, 2);
	close(fd);
}

KT_MAIN()

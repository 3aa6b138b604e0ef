// SPDX-License-Identifier: GPL-2.0-only
/* Whom a request is of that came through proxies: what they say first, and in it. */
#include "peer.h"

#include "io/nets.h"
#include "io/stream.h"
#include "ws/forwarded.h"

/* ---- fields, without a server --------------------------------------------------- */

/* Whom the fields of @text lead to, from @peer; "-": no further than that. */
static const char *leads_to(const char *text, int by, const char *from,
			    const char *peer)
{
	static char buf[PULSE_ADDRESS_MAX];
	struct pulse__ws_head head;
	struct pulse__nets *nets;
	struct pulse__addr addr;
	char all[1024];
	int n = snprintf(all, sizeof(all), "GET / HTTP/1.1\r\n%s\r\n", text);
	bool other;

	pulse__ws_head_init(&head, 4096);
	KT_EQ(pulse__ws_head_feed(&head, (const uint8_t *)all, (size_t)n), n);
	KT_CHECK(head.done);
	KT_EQ(pulse__nets_parse(from, &nets), 0);
	KT_EQ(pulse__addr_parse(peer, &addr), 0);
	other = pulse__ws_forwarded(&head, by, nets, &addr.sa);
	KT_EQ(pulse__addr_format(&addr.sa, buf, sizeof(buf)), 0);
	pulse__ws_head_free(&head);
	pulse__free(nets);
	return other ? buf : "-";
}

#define X	"X-Forwarded-For: "
#define F	"Forwarded: "

KT_TEST(the_list_is_read_from_its_end)
{
	static const struct {
		const char *fields, *want;
	} x[] = {
		{ "", "-" }, { X "\r\n", "-" }, { X ", ,\r\n", "-" },
		{ X "1.2.3.4\r\n", "1.2.3.4:0" },
		{ X "1.2.3.4:567\r\n", "1.2.3.4:567" },
		{ X "2001:db8::1\r\n", "[2001:db8::1]:0" },
		{ X "[2001:db8::1]:9\r\n", "[2001:db8::1]:9" },
		/* What the last trusted one says counts, not what was said to it. */
		{ X "6.6.6.6, 1.2.3.4\r\n", "1.2.3.4:0" },
		{ X "6.6.6.6\r\n" X "1.2.3.4\r\n", "1.2.3.4:0" },
		{ X "6.6.6.6, 1.2.3.4, 10.0.0.2\r\n", "1.2.3.4:0" },
		{ X "1.2.3.4\r\n" X "10.0.0.3 , 10.0.0.2\r\n", "1.2.3.4:0" },
		{ X "10.0.0.3, 10.0.0.2\r\n", "10.0.0.3:0" },
		/* What is no address ends it. */
		{ X "unknown\r\n", "-" }, { X "1.2.3.4, junk\r\n", "-" },
		{ X "1.2.3.4, junk, 10.0.0.2\r\n", "10.0.0.2:0" },
		{ X "junk, 1.2.3.4, 10.0.0.2\r\n", "1.2.3.4:0" },
		{ X "1.2.3.4:99999\r\n", "-" }, { X "1.2.3.4:\r\n", "-" },
		{ X "1.2.3\r\n", "-" }, { X "[::1\r\n", "-" },
		{ X "::1]\r\n", "-" }, { X "[1.2.3.4]\r\n", "-" },
		{ X "1.2.3.4 5.6.7.8\r\n", "-" }, { X "\"1.2.3.4\"\r\n", "-" },
		/* The other field is anybody's. */
		{ F "for=6.6.6.6\r\n", "-" },
		{ X "1.2.3.4\r\n" F "for=6.6.6.6\r\n", "1.2.3.4:0" },
	};
	static const struct {
		const char *fields, *want;
	} f[] = {
		{ "", "-" }, { X "6.6.6.6\r\n", "-" },
		{ F "for=1.2.3.4\r\n", "1.2.3.4:0" },
		{ F "For=\"1.2.3.4:80\"\r\n", "1.2.3.4:80" },
		{ F "FOR=\"[2001:db8::1]:80\"\r\n", "[2001:db8::1]:80" },
		{ F "for=\"[2001:db8::1]\"\r\n", "[2001:db8::1]:0" },
		{ F "for=\"1.2.3.4:_a\"\r\n", "1.2.3.4:0" },
		{ F "for=\"\\1.2.3.4\"\r\n", "1.2.3.4:0" },
		{ F "proto=https;for=1.2.3.4;by=10.0.0.1\r\n", "1.2.3.4:0" },
		{ F "by=_x ; for=1.2.3.4\r\n", "1.2.3.4:0" },
		{ F "for=6.6.6.6, for=1.2.3.4;proto=http\r\n", "1.2.3.4:0" },
		{ F "for=6.6.6.6\r\n" F ",for=1.2.3.4 , for=10.0.0.2,\r\n",
		  "1.2.3.4:0" },
		/* A comma within quotes divides nothing. */
		{ F "for=1.2.3.4;host=\"a,for=6.6.6.6\"\r\n", "1.2.3.4:0" },
		{ F "for=unknown\r\n", "-" }, { F "for=_hidden\r\n", "-" },
		{ F "for=1.2.3.4, for=_hidden\r\n", "-" },
		{ F "for=1.2.3.4, proto=http\r\n", "-" },
		{ F "for=1.2.3.4;for=5.6.7.8\r\n", "-" },
		{ F "for=1.2.3.4:80\r\n", "-" },	/* is to be quoted */
		{ F "for=\"1.2.3.4\r\n", "-" }, { F "for=\r\n", "-" },
		{ F "for\r\n", "-" }, { F "=1.2.3.4\r\n", "-" },
		{ F "for=1.2.3.4;\r\n", "-" }, { F "for= 1.2.3.4\r\n", "-" },
		{ F "for=1.2.3.4 x\r\n", "-" }, { F "for=\"\\\r\n", "-" },
		{ F "for=\"\"\r\n", "-" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(x); i++) {
		const char *to = leads_to(x[i].fields, PULSE_WS_FORWARDED_X,
					  "10.0.0.0/8", "10.0.0.1:5");

		KT_CHECKF(!strcmp(to, x[i].want), "%s%s", x[i].fields, to);
	}
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		const char *to = leads_to(f[i].fields, PULSE_WS_FORWARDED_RFC7239,
					  "10.0.0.0/8", "10.0.0.1:5");

		KT_CHECKF(!strcmp(to, f[i].want), "%s%s", f[i].fields, to);
	}
	/* Of one that is not trusted nothing is believed. */
	KT_STREQ(leads_to(X "1.2.3.4\r\n", 0, "10.0.0.0/8", "11.0.0.1:5"), "-");
	KT_STREQ(leads_to(X "1.2.3.4\r\n", 0, "unix", "10.0.0.1:5"), "-");
}

/* ---- with a server ---------------------------------------------------------------- */

static void whoami(struct pulse_ws_conn *conn,
		   const struct pulse_ws_request *request, void *arg)
{
	char client[PULSE_ADDRESS_MAX] = "", conn_is[PULSE_ADDRESS_MAX] = "";
	char text[2 * PULSE_ADDRESS_MAX + 8], small[4];

	(void)arg;
	KT_EQ(pulse_ws_request_client(conn, request, client, sizeof(client)), 0);
	KT_EQ(pulse_ws_conn_address(conn, conn_is, sizeof(conn_is)), 0);
	KT_EQ(pulse_ws_request_client(conn, request, small, sizeof(small)),
	      -ENOSPC);
	KT_EQ(pulse_ws_request_client(NULL, request, small, sizeof(small)),
	      -EINVAL);
	KT_EQ(pulse_ws_request_client(conn, NULL, client, sizeof(client)), -EINVAL);
	snprintf(text, sizeof(text), "%s %s", client, conn_is);
	pulse_ws_http_reply(conn, 200, "text/plain", text, strlen(text));
}

/* The answer's text, or its status. */
static const char *ask(struct pulse_ws_server *server, const char *first,
		       const char *fields)
{
	static char answer[512];
	struct peer p = peer_connect(server);
	char text[512];
	int status;

	snprintf(text, sizeof(text), "%sGET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
		 first, fields);
	KT_CHECK(peer_say(&p, text));
	status = peer_status(&p);
	snprintf(answer, sizeof(answer), "%d", status);
	if (status == 200) {
		while (peer_fill(&p, p.have - p.at + 1))
			;
		snprintf(answer, sizeof(answer), "%.*s", (int)(p.have - p.at),
			 (char *)p.in + p.at);
	}
	peer_close(&p);
	return answer;
}

#define PROXY "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"

static void asks(int poller, uint32_t threads)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_http = whoami);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .poller = poller,
		   .threads = threads, .forwarded_from = "127.0.0.0/8");
	struct pulse_ws_server *server = serve(&o);
	const char *a = ask(server, "", X "1.2.3.4\r\n");

	KT_CHECKF(!strncmp(a, "1.2.3.4:0 127.0.0.1:", 20), "%s", a);
	a = ask(server, "", "");
	KT_CHECKF(!strncmp(a, "127.0.0.1:", 10), "%s", a);
	KT_STREQ(ask(server, PROXY, ""), "400");
	KT_EQ(pulse_ws_server_destroy(server), 0);

	o.forwarded_from = NULL;
	o.proxy_from = "127.0.0.1";
	server = serve(&o);
	KT_STREQ(ask(server, PROXY, X "1.2.3.4\r\n"),
		 "192.0.2.1:4711 192.0.2.1:4711");
	KT_STREQ(ask(server, "", ""), "-1");
	KT_EQ(pulse_ws_server_destroy(server), 0);

	/* A proxy behind a proxy. */
	o.forwarded_from = "192.0.2.1";
	o.forwarded_by = PULSE_WS_FORWARDED_RFC7239;
	server = serve(&o);
	KT_STREQ(ask(server, PROXY, F "for=\"[2001:db8::1]:7\"\r\n"),
		 "[2001:db8::1]:7 192.0.2.1:4711");
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_server_says_whom_a_request_is_of)
{
	asks(PULSE_POLLER_EPOLL, 1);
	asks(PULSE_POLLER_AUTO, 2);
}

/* Limits are on those behind the proxy, each for itself. */
KT_TEST(limits_are_on_whom_the_proxy_names)
{
	PULSE_OPTS(pulse_ws_opts, o, .proxy_from = "127.0.0.1",
		   .max_per_address = 1);
	struct pulse_ws_server *server = serve(&o);
	struct peer p[3];

	for (int i = 0; i < 3; i++) {
		char first[64];

		p[i] = peer_connect(server);
		snprintf(first, sizeof(first),
			 "PROXY TCP4 192.0.2.%d 192.0.2.9 %d 443\r\n", 1 + i % 2,
			 100 + i);
		KT_CHECK(peer_say(&p[i], first));
		KT_CHECK(peer_say(&p[i], UPGRADE));
		KT_EQ(peer_status(&p[i]), i < 2 ? 101 : 429);
	}
	for (int i = 0; i < 3; i++)
		peer_close(&p[i]);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(options_that_cannot_be)
{
	PULSE_OPTS(pulse_ws_opts, o, .forwarded_from = "everybody");
	struct pulse_ws_server *server;

	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
	o.forwarded_from = NULL;
	o.proxy_from = "everybody";
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
	o.proxy_from = NULL;
	o.forwarded_by = 2;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
}

KT_TEST(each_allocation_of_a_proxied_connection_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .proxy_from = "127.0.0.1",
		   .forwarded_from = "10.0.0.0/8", .max_per_address = 5);
	struct pulse_ws_server *server = NULL;
	bool failed = true;
	long n = 0;

	while (failed && n < 100) {
		int err;

		pulse__alloc_fail_at(++n);
		err = pulse_ws_server_create(&o, &server);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECK(err == 0 || err == -ENOMEM);
		if (!err)
			KT_EQ(pulse_ws_server_destroy(server), 0);
	}
	KT_CHECK(n > 5);
	server = serve(&o);
	for (n = 0, failed = true; failed && n < 100;) {
		struct peer p = peer_connect(server);
		struct timeval soon = { 0, 200000 };

		setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
		pulse__alloc_fail_at(++n);
		if (peer_say(&p, PROXY) && peer_say(&p, UPGRADE))
			(void)peer_status(&p);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		peer_close(&p);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	}
	KT_CHECKF(n > 4, "%ld allocations", n - 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* A client's connection that comes back: waits, limits, subscribing again. */
#include "keeping.h"

#include <pulse-u/ws_link.h>

static struct {
	int ups, downs, err, echoes;
	int32_t wait[64];
} seen;

static int count(const int *n)
{
	return __atomic_load_n(n, __ATOMIC_ACQUIRE);
}

static void on_up(struct pulse_ws_link *link, struct pulse_ws_conn *conn,
		  void *arg)
{
	(void)link;
	(void)arg;
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "subscribe", 9), 0);
	__atomic_fetch_add(&seen.ups, 1, __ATOMIC_RELEASE);
}

static void on_down(struct pulse_ws_link *link, int err, int32_t wait_ms,
		    void *arg)
{
	(void)link;
	(void)arg;
	seen.err = err;
	seen.wait[seen.downs & 63] = wait_ms;
	__atomic_fetch_add(&seen.downs, 1, __ATOMIC_RELEASE);
}

static void on_echo(struct pulse_ws_conn *conn, int op, const void *data,
		    size_t len, void *arg)
{
	(void)conn;
	(void)op;
	(void)arg;
	KT_CHECK(len == 9 && !memcmp(data, "subscribe", 9));
	__atomic_fetch_add(&seen.echoes, 1, __ATOMIC_RELEASE);
}

static struct pulse_ws_server *dialler(void)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = on_echo);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .handlers = &h);

	memset(&seen, 0, sizeof(seen));
	return serve(&o);
}

static struct pulse_ws_link_stats stats(struct pulse_ws_link *link)
{
	struct pulse_ws_link_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_ws_link_stats(link, &s), 0);
	return s;
}

/* An echo server at an address that was chosen before. */
static struct pulse_ws_server *serve_at(const char *where)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .listen = where, .handlers = &h);

	return serve(&o);
}

static void comes_back(const char *host)
{
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 32];
	struct pulse_ws_server *client = dialler(), *server = serve_echo();
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to, .on_up = on_up,
		   .on_down = on_down, .wait_min_ms = 2, .wait_max_ms = 20);
	struct pulse_ws_link *link = NULL;
	struct pulse_ws_conn *conn;

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	snprintf(url, sizeof(url), "ws://%s%s/feed", host,
		 strrchr(where, ':'));
	KT_EQ(pulse_ws_link_open(client, &o, &link), 0);
	url[0] = 0;	/* nothing of it is needed any more */
	for (int r = 1; r <= 3; r++) {
		KT_CHECK(EVENTUALLY(count(&seen.ups) == r));
		KT_CHECK(EVENTUALLY(count(&seen.echoes) == r));
		KT_EQ(stats(link).up, 1);
		KT_EQ(stats(link).failures, 0);
		conn = pulse_ws_link_conn(link);
		KT_CHECK(conn);
		pulse_ws_put(conn);
		pulse_ws_server_destroy(server);
		/* Until it has seen that nobody listens. */
		KT_CHECK(EVENTUALLY(stats(link).failures >= 2));
		KT_EQ(pulse_ws_link_send(link, PULSE_WS_TEXT, "x", 1), -ENOTCONN);
		KT_CHECK(!pulse_ws_link_conn(link));
		server = serve_at(where);
	}
	KT_CHECK(EVENTUALLY(count(&seen.echoes) == 4));
	KT_EQ(pulse_ws_link_send(link, PULSE_WS_TEXT, "subscribe", 9), 0);
	KT_CHECK(EVENTUALLY(count(&seen.echoes) == 5));
	KT_EQ(stats(link).opened, 4);
	KT_CHECK(stats(link).attempts >= 10);
	for (int i = 0; i < count(&seen.downs) && i < 64; i++)
		KT_CHECKF(seen.wait[i] >= 1 && seen.wait[i] <= 20, "%d ms",
			  seen.wait[i]);
	KT_EQ(pulse_ws_link_close(link), 0);
	KT_CHECK(EVENTUALLY(!stats_of(client).connections));
	KT_CHECK(EVENTUALLY(stats_of(server).ended[PULSE_WS_END_PEER] == 1));
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_link_comes_back_and_subscribes_again)
{
	comes_back("127.0.0.1");
}

KT_TEST(so_does_one_with_a_name)
{
	comes_back("localhost");
}

KT_TEST(waits_grow_and_differ_and_end_where_they_should)
{
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = "ws://127.0.0.1:1/");
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to, .on_up = on_up,
		   .on_down = on_down, .wait_min_ms = 8, .wait_max_ms = 100,
		   .max_failures = 7);
	static const int most[] = { 8, 16, 32, 64, 100, 100 };
	struct pulse_ws_server *client = dialler();
	struct pulse_ws_link *link = NULL;

	KT_EQ(pulse_ws_link_open(client, &o, &link), 0);
	KT_CHECK(EVENTUALLY(count(&seen.downs) == 7));
	for (size_t i = 0; i < ARRAY_SIZE(most); i++)
		KT_CHECKF(seen.wait[i] >= most[i] / 2 &&
			  seen.wait[i] <= most[i], "%d ms", seen.wait[i]);
	KT_EQ(seen.wait[6], -1);
	KT_EQ(seen.err, -ECONNREFUSED);
	peer_nap(200);
	KT_EQ(count(&seen.downs), 7);
	KT_EQ(stats(link).attempts, 7);
	KT_EQ(pulse_ws_link_close(link), 0);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

KT_TEST(a_name_that_is_none_is_asked_for_again)
{
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = "ws://no-such.invalid/");
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to, .on_down = on_down,
		   .wait_min_ms = 1, .wait_max_ms = 1, .max_failures = 2);
	struct pulse_ws_server *client = dialler();
	struct pulse_ws_link *link = NULL;

	KT_EQ(pulse_ws_link_open(client, &o, &link), 0);
	KT_CHECK(EVENTUALLY(count(&seen.downs) == 2));
	KT_EQ(seen.err, -ENXIO);
	KT_EQ(pulse_ws_link_close(link), 0);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

KT_TEST(links_end_at_any_moment_before_or_after_their_server)
{
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 32];
	struct pulse_ws_server *server = serve_echo();
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to, .on_up = on_up,
		   .on_down = on_down, .wait_min_ms = 1, .wait_max_ms = 2);

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	for (long r = 0; r < kt_scale(100); r++) {
		struct pulse_ws_server *client = dialler();
		struct pulse_ws_link *link = NULL, *other = NULL;

		snprintf(url, sizeof(url), "ws://%s/", r % 3 ? where :
			 "127.0.0.1:1");
		KT_EQ(pulse_ws_link_open(client, &o, &link), 0);
		KT_EQ(pulse_ws_link_open(client, &o, &other), 0);
		peer_nap(r % 4);
		KT_EQ(pulse_ws_link_close(other), 0);
		if (r % 2)
			KT_EQ(pulse_ws_link_close(link), 0);
		KT_EQ(pulse_ws_server_destroy(client), 0);
		if (!(r % 2))
			KT_EQ(pulse_ws_link_close(link), 0);
	}
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_link_of_nonsense_is_refused)
{
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = "http://127.0.0.1/");
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to);
	struct pulse_ws_server *client = dialler();
	struct pulse_ws_link *link = NULL;

	KT_EQ(pulse_ws_link_open(client, &o, &link), -EINVAL);
	to.url = "wss://127.0.0.1/";
	KT_CHECK(pulse_ws_link_open(client, &o, &link) != 0);
	to.url = NULL;
	KT_EQ(pulse_ws_link_open(client, &o, &link), -EINVAL);
	to.url = "ws://127.0.0.1:1/";
	o.wait_min_ms = 100;
	o.wait_max_ms = 99;
	KT_EQ(pulse_ws_link_open(client, &o, &link), -EINVAL);
	KT_EQ(pulse_ws_link_open(NULL, &o, &link), -EINVAL);
	KT_EQ(pulse_ws_link_open(client, &o, NULL), -EINVAL);
	KT_EQ(pulse_ws_link_close(NULL), -EINVAL);
	KT_EQ(pulse_ws_link_send(NULL, PULSE_WS_TEXT, "", 0), -EINVAL);
	KT_EQ(pulse_ws_link_stats(NULL, NULL), -EINVAL);
	KT_CHECK(!pulse_ws_link_conn(NULL));
	KT_CHECK(!link);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

/* The backlog of a listener that never accepts is full: no SYN is answered. */
KT_TEST(an_attempt_that_nobody_answers_ends_at_its_time)
{
	struct pulse_ws_server *client = dialler();
	char url[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	PULSE_OPTS(pulse_ws_link_opts, o, .connect = &to, .on_down = on_down,
		   .wait_min_ms = 1, .wait_max_ms = 1, .attempt_ms = 20);
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[8];
	socklen_t len = sizeof(sin);
	struct pulse_ws_link *link;

	KT_EQ(bind(deaf, (struct sockaddr *)&sin, sizeof(sin)), 0);
	KT_EQ(listen(deaf, 1), 0);
	KT_EQ(getsockname(deaf, (struct sockaddr *)&sin, &len), 0);
	for (int i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&sin, sizeof(sin));
	}
	snprintf(url, sizeof(url), "ws://127.0.0.1:%d/", ntohs(sin.sin_port));
	KT_EQ(pulse_ws_link_open(client, &o, &link), 0);
	KT_CHECK(EVENTUALLY(count(&seen.downs) >= 2));
	KT_EQ(seen.err, -ETIMEDOUT);
	KT_CHECK(stats(link).attempts >= 2);
	KT_EQ(stats(link).opened, 0);
	KT_EQ(pulse_ws_link_close(link), 0);
	for (int i = 0; i < 8; i++)
		close(fill[i]);
	close(deaf);
	KT_EQ(pulse_ws_server_destroy(client), 0);
}

KT_MAIN()

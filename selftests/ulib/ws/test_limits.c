// SPDX-License-Identifier: GPL-2.0-only
/* Limits on connections, on those of an address, and on fragments. */
#include "cut_sends.h"
#include "keeping.h"

#include <pulse-u/ws_live.h>

#define MAX 5

static bool echoes(struct peer *p)
{
	return peer_send_frame(p, 0x81, "x", 1) && peer_expect(p, 0x81, "x", 1);
}

/* What is cut may be so before connect() has returned. */
static void cut_at_once(struct pulse_ws_server *server)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char where[PULSE_ADDRESS_MAX], byte;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
	sin.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		KT_CHECK(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

static void too_many(struct pulse_ws_opts *o, int status)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	struct pulse_ws_server *server;
	struct peer p[MAX], q[MAX];

	o->handlers = &h;
	o->threads = 2;
	o->close_timeout_ms = 20000;
	server = serve(o);
	for (int r = 0; r < 3; r++) {
		for (int i = 0; i < MAX; i++) {
			p[i] = peer_open(server);
			KT_CHECK(echoes(&p[i]));
		}
		/* They are told, as long as there are not too many of them. */
		for (int i = 0; i < MAX; i++) {
			q[i] = peer_connect(server);
			KT_EQ(peer_status(&q[i]), status);
		}
		cut_at_once(server);
		for (int i = 0; i < MAX; i++) {
			KT_CHECK(echoes(&p[i]));
			peer_close(&p[i]);
			peer_close(&q[i]);
		}
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	}
	KT_EQ(stats_of(server).opened, 3 * MAX);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], 3 * MAX);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_CUT], 3);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(more_connections_than_the_limit_get_503)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_connections = MAX);

	too_many(&o, 503);
}

KT_TEST(more_of_one_address_than_the_limit_get_429)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_per_address = MAX);

	too_many(&o, 429);
}

KT_TEST(another_address_is_not_concerned)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .max_per_address = 1,
		   .listen = "127.0.0.1:0");
	struct pulse_ws_server *server = serve(&o);
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct peer one = peer_open(server), two = { .fd = -1 };
	char where[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	two.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "127.0.0.2", &sin.sin_addr);
	KT_CHECK(!bind(two.fd, (struct sockaddr *)&sin, sizeof(sin)));
	inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
	sin.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	KT_CHECK(!connect(two.fd, (struct sockaddr *)&sin, sizeof(sin)));
	KT_CHECK(peer_say(&two, UPGRADE));
	KT_EQ(peer_status(&two), 101);
	KT_CHECK(echoes(&one));
	KT_CHECK(echoes(&two));
	peer_close(&one);
	peer_close(&two);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(more_fragments_than_the_limit_close_with_1008)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .max_fragments = 100);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_open(server);
	uint8_t body[100];

	memset(body, 'a', sizeof(body));
	for (int r = 0; r < 3; r++) {
		for (int i = 0; i < 100; i++) {
			KT_CHECK(peer_send_frame(&p, (uint8_t)(i ? 0 : 1) |
						 (i == 99 ? 0x80 : 0), "a", 1));
			if (i == 50)	/* a ping is none of them */
				KT_CHECK(peer_send_frame(&p, 0x89, NULL, 0));
		}
		KT_CHECK(peer_expect(&p, 0x8a, NULL, 0));
		KT_CHECK(peer_expect(&p, 0x81, body, 100));
	}
	for (int i = 0; i < 101; i++)
		KT_CHECK(peer_send_frame(&p, i ? 0 : 1, "a", 1));
	KT_EQ(peer_close_code(&p), 1008);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Set while it serves; until then they are out of reach. */
KT_TEST(times_that_are_set_while_it_serves_hold)
{
	PULSE_OPTS(pulse_ws_opts, o, .handshake_timeout_ms = PULSE_OFF,
		   .close_timeout_ms = PULSE_OFF, .write_timeout_ms = PULSE_OFF,
		   .idle_timeout_ms = PULSE_OFF, .ping_interval_ms = PULSE_OFF,
		   .send_high_bytes = 64 << 20);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_limits, l, .handshake_timeout_ms = 100,
		   .close_timeout_ms = 100, .write_timeout_ms = 500);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	static uint8_t big[1 << 20];
	struct peer p;

	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	/* says nothing, and is asked no longer */
	p = peer_connect(server);
	KT_CHECK(EVENTUALLY(stats_of(server).ended[PULSE_WS_END_REFUSED] == 1));
	peer_close(&p);
	/* does not answer a close */
	p = peer_open(server);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_close(kept_conn(), PULSE_WS_NORMAL, NULL, 0), 0);
	KT_CHECK(EVENTUALLY(stats_of(server).ended[PULSE_WS_END_CUT] == 1));
	peer_close(&p);
	pulse_ws_put(kept_conn());
	/* does not read */
	__atomic_store_n(&kept, NULL, __ATOMIC_RELEASE);
	p = peer_open(server);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (int i = 0; i < 20; i++)
		pulse_ws_send(kept_conn(), PULSE_WS_BINARY, big, sizeof(big));
	KT_CHECK(EVENTUALLY(stats_of(server).ended[PULSE_WS_END_SLOW] == 1));
	peer_close(&p);
	pulse_ws_put(kept_conn());
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_mark_that_is_set_while_it_serves_holds)
{
	PULSE_OPTS(pulse_ws_opts, o, .write_timeout_ms = PULSE_OFF,
		   .idle_timeout_ms = PULSE_OFF);
	PULSE_OPTS(pulse_ws_handlers, h);
	PULSE_OPTS(pulse_ws_limits, l, .send_high_bytes = 5000,
		   .send_low_bytes = 1000);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	uint8_t some[1000] = { 0 };
	struct frame f;
	int taken = 0;
	long turn;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	cut_spared = true;
	/* Nothing goes out for now, as the loop has seen. */
	cut_begin((struct cut){ .err = EAGAIN, .times = 1L << 40 });
	KT_EQ(pulse_ws_send(kept_conn(), PULSE_WS_BINARY, some, sizeof(some)), 0);
	KT_CHECK(EVENTUALLY(cut_refused() > 1));
	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	turn = cut_refused();		/* each loop takes them at its next turn */
	KT_CHECK(EVENTUALLY(cut_refused() > turn + 3));
	while (taken < 100 &&
	       !pulse_ws_send(kept_conn(), PULSE_WS_BINARY, some, sizeof(some)))
		taken++;
	/* One that is moved may be seen twice for a moment: none too many. */
	KT_CHECKF(taken >= 2 && taken <= 6, "%d were taken", taken);
	KT_EQ(pulse_ws_send(kept_conn(), PULSE_WS_BINARY, some, 1), -EAGAIN);
	cut_end();
	for (int i = 0; i <= taken; i++)
		KT_CHECK(peer_next(&p, &f) && f.len == sizeof(some));
	KT_CHECK(EVENTUALLY(!pulse_ws_send(kept_conn(), PULSE_WS_BINARY, some, 1)));
	peer_close(&p);
	pulse_ws_put(kept_conn());
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

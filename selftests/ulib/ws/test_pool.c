// SPDX-License-Identifier: GPL-2.0-only
/* Handlers on a pool: each connection's order, and a drain that waits for it. */
#include "keeping.h"

#include <pulse-u/pool.h>
#include <sys/wait.h>

struct strand_check {
	long next;	/* of this connection */
	int inside;
	bool ended;
};

static void strand_open(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	pulse_ws_conn_set_user(conn, calloc(1, sizeof(struct strand_check)));
}

static void strand_message(struct pulse_ws_conn *conn, int op, const void *data,
			   size_t len, void *arg)
{
	struct strand_check *c = pulse_ws_conn_user(conn);
	long n;

	(void)arg;
	KT_CHECK(pulse_pool_current());
	if (__atomic_fetch_add(&c->inside, 1, __ATOMIC_RELAXED))
		KT_FAIL("two messages of a connection at once");
	KT_CHECK(!c->ended);
	memcpy(&n, data, sizeof(n));
	if (n != c->next)
		KT_FAIL("%ld came, not %ld", n, c->next);
	c->next++;
	if (n % 100 == 0)
		peer_nap(1);
	pulse_ws_send(conn, op, data, len);
	__atomic_fetch_sub(&c->inside, 1, __ATOMIC_RELAXED);
}

static void strand_close(struct pulse_ws_conn *conn, int code,
			 const char *reason, size_t len, void *arg)
{
	struct strand_check *c = pulse_ws_conn_user(conn);

	(void)reason;
	(void)len;
	c->ended = true;
	__atomic_fetch_add((long *)arg, c->next, __ATOMIC_RELAXED);
	note_code(code);
	free(c);
}

KT_TEST(on_a_pool_each_connection_keeps_its_order)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 4);
	long handled = 0, n = kt_scale(3000);
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = strand_open,
		   .on_message = strand_message, .on_close = strand_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .arg = &handled,
		   .threads = 2, .send_high_bytes = 20000);
	struct pulse_ws_server *server;
	struct peer p[8];
	int rest = 0;

	closing = closes = 0;
	KT_EQ(pulse_pool_create(&po, &o.pool), 0);
	server = serve(&o);
	for (int i = 0; i < 8; i++)
		p[i] = peer_open(server);
	/* Some ahead, so that the strands have something to do. */
	for (long m = 0; m < n + 20; m++) {
		for (int i = 0; i < 8; i++) {
			long want = m - 20;

			if (m < n)
				KT_REQUIRE(peer_send_frame(&p[i], 0x82, &m,
							   sizeof(m)));
			if (want >= 0)
				KT_REQUIRE(peer_expect(&p[i], 0x82, &want,
						       sizeof(want)));
		}
	}
	/* on_close comes after the messages before it. */
	for (int i = 0; i < 8; i++) {
		for (long m = n; m < n + 50; m++)
			KT_CHECK(peer_send_frame(&p[i], 0x82, &m, sizeof(m)));
		KT_CHECK(peer_send_close(&p[i], 1000, ""));
	}
	KT_CHECK(EVENTUALLY(closed() == 8));
	KT_EQ(handled, 8 * (n + 50));
	for (int i = 0; i < 8; i++) {
		rest += closed_codes[i] != 1000;
		peer_close(&p[i]);
	}
	KT_EQ(rest, 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

static void strand_slow(struct pulse_ws_conn *conn, int op, const void *data,
			size_t len, void *arg)
{
	(void)arg;
	peer_nap(20);
	pulse_ws_send(conn, op, data, len);
}

KT_TEST(a_drain_waits_for_what_the_pool_has)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = strand_slow);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server;
	struct peer p;

	KT_EQ(pulse_pool_create(NULL, &o.pool), 0);
	server = serve_keeping(&o, &h);
	p = peer_open(server);
	for (char i = 0; i < 5; i++)
		KT_CHECK(peer_send_frame(&p, 0x82, &i, 1));
	KT_CHECK(EVENTUALLY(stats_of(server).messages_in == 5));
	/* The peer answers the close only after it has read: from a child. */
	if (!fork()) {
		bool ok = true;

		for (char i = 0; i < 5; i++)
			ok = ok && peer_expect(&p, 0x82, &i, 1);
		ok = ok && peer_close_code(&p) == 1001 &&
		     peer_send_close(&p, 1001, "") && peer_at_end(&p);
		_exit(ok ? 0 : 1);
	}
	peer_close(&p);
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    30 * PULSE__NSEC_PER_SEC), 0);
	{
		int status = -1;

		wait(&status);
		KT_EQ(status, 0);
	}
	KT_EQ(closed(), 1);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* Connections that change their loop under load: nothing lost or reordered. */
#include "keeping.h"

#include <pulse-u/pool.h>
#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>

#define LOOPS 3

static uint64_t moves;

static void subscribe_all(struct pulse_ws_conn *conn, void *arg)
{
	KT_EQ(pulse_ws_subscribe(conn, "t"), 0);
	KT_EQ(pulse_ws_subscribe(conn, "u"), 0);
	keep(conn, arg);
}

/* Echoes, and asks for another loop now and then. */
static void echo_and_go(struct pulse_ws_conn *conn, int op, const void *data,
			size_t len, void *arg)
{
	uint32_t n;

	(void)arg;
	memcpy(&n, data, sizeof(n));
	KT_EQ(pulse_ws_send(conn, op, data, len), 0);
	if (n % 7 == 0)
		KT_EQ(pulse_ws_migrate(conn, n / 7 % LOOPS), 0);
}

struct mover {
	struct pulse_ws_server *server;
	bool stop;
};

static void *move_all_the_time(void *arg)
{
	struct mover *m = arg;
	uint32_t n = 0;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		int before = pulse_ws_conn_loop(kept), err;

		err = pulse_ws_migrate(kept, n++ % LOOPS);
		if (err && err != -ESRCH && err != -EPIPE)
			KT_FAIL("migrate: %d", err);
		peer_nap(1);
		__atomic_fetch_add(&moves, before != pulse_ws_conn_loop(kept),
				   __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint32_t number_of(const struct frame *f)
{
	uint32_t n = 0;

	memcpy(&n, f->data, sizeof(n));
	return n;
}

/*
 * Echoes, direct sends of a thread and two topics run at once; each of the four
 * arrives whole and in order.
 */
static void under_load(struct pulse_pool *pool)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_and_go);
	PULSE_OPTS(pulse_ws_opts, o, .threads = LOOPS, .pool = pool,
		   .send_high_bytes = 64 << 20);
	uint32_t n = (uint32_t)kt_scale(3000), next[4] = { 0 };
	struct pulse_ws_server *server;
	struct mover m = { 0 };
	uint8_t big[600] = { 0 };
	struct peer p;
	pthread_t t;

	kept = NULL;
	moves = 0;
	h.on_open = subscribe_all;
	h.on_close = count_close;
	closing = closes = 0;
	o.handlers = &h;
	server = serve(&o);
	p = peer_open(server);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	m.server = server;
	KT_EQ(pthread_create(&t, NULL, move_all_the_time, &m), 0);
	for (uint32_t i = 0; i < n; i++) {
		int topics;

		KT_CHECK(peer_send_frame(&p, 0x82, &i, sizeof(i)));
		memcpy(big, &i, sizeof(i));
		topics = pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, big,
					  500);
		KT_EQ(topics, 1);
		topics = pulse_ws_publish(server, "u", NULL, PULSE_WS_BINARY, big,
					  20);
		KT_EQ(topics, 1);
		KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, big, 100), 0);
	}
	for (uint32_t left = 4 * n; left; left--) {
		struct frame f;
		int k;

		if (!KT_CHECK(peer_next(&p, &f)))
			break;
		k = f.len == 4 ? 0 : f.len == 500 ? 1 : f.len == 20 ? 2 : 3;
		if (number_of(&f) != next[k]++) {
			KT_FAIL("kind %d: %u, not %u", k, number_of(&f),
				next[k] - 1);
			break;
		}
	}
	for (int k = 0; k < 4; k++)
		KT_EQ(next[k], n);
	KT_EQ(stats_of(server).dropped, 0);
	KT_EQ(closed(), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&moves, __ATOMIC_RELAXED)));
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	pulse_ws_put(kept);
}

KT_TEST(a_connection_that_moves_under_load_loses_and_reorders_nothing)
{
	under_load(NULL);
}

KT_TEST(nor_does_one_whose_handlers_are_on_a_pool)
{
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	under_load(pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_drain_finds_a_connection_that_is_on_its_way)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .threads = LOOPS);

	for (long r = 0; r < kt_scale(100); r++) {
		struct pulse_ws_server *server;
		struct mover m = { 0 };
		struct peer p;
		pthread_t t;

		server = serve_keeping(&o, &h);
		p = peer_open(server);
		KT_REQUIRE(EVENTUALLY(kept_conn()));
		KT_EQ(pthread_create(&t, NULL, move_all_the_time, &m), 0);
		peer_nap(r % 3);
		/* Every other time it is cut off. */
		KT_EQ(pulse_ws_server_drain(server, r % 2 ? 1 :
					    pulse_now_ns() + PULSE__NSEC_PER_MSEC),
		      -ETIMEDOUT);
		KT_EQ(closed(), 1);
		KT_EQ(pulse_ws_server_destroy(server), 0);
		__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
		pthread_join(t, NULL);
		peer_close(&p);
		pulse_ws_put(kept);
	}
}

KT_TEST(where_a_connection_cannot_go)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	int at;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	at = pulse_ws_conn_loop(kept);
	KT_EQ(pulse_ws_migrate(kept, 2), -EINVAL);
	KT_EQ(pulse_ws_migrate(NULL, 0), -EINVAL);
	KT_EQ(pulse_ws_conn_loop(NULL), -EINVAL);
	KT_EQ(pulse_ws_migrate(kept, (uint32_t)at), 0);
	KT_EQ(pulse_ws_migrate(kept, (uint32_t)!at), 0);
	KT_CHECK(EVENTUALLY(pulse_ws_conn_loop(kept) == !at));
	KT_CHECK(peer_send_frame(&p, 0x81, "still there", 11));
	KT_CHECK(peer_expect(&p, 0x81, "still there", 11));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(pulse_ws_migrate(kept, 0) == -ESRCH));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	pulse_ws_put(kept);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * U04: each allocation fails in turn where a thread of the program's does all
 * that it may to a connection, and a pool has its messages. Whatever comes of
 * it, who asked is told and the connection ends once.
 */
#include "keeping.h"

#include <pulse-u/pool.h>
#include <pulse-u/ws_live.h>
#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>

static int told;			/* -ENOMEM, since the test began */

/* Errors but want of memory are of a connection that ended for want of it. */
static void may_fail(int err)
{
	told += err == -ENOMEM;
	KT_CHECKF(!err || err == -ENOMEM ||
		  ((err == -EPIPE || err == -ESRCH || err == -EINVAL) &&
		   pulse__alloc_failed()), "%d", err);
}

static void do_all(struct pulse_ws_conn *conn)
{
	static const char text[600] = "some text";
	struct pulse_ws_prepared *msg = NULL;
	int err;

	may_fail(pulse_ws_send(conn, PULSE_WS_BINARY, text, sizeof(text)));
	err = pulse_ws_subscribe(conn, "t");
	may_fail(err);
	may_fail(pulse_ws_conn_set_marks(conn, 100000, 1000));
	err = pulse_ws_prepare(PULSE_WS_BINARY, text, sizeof(text), &msg);
	may_fail(err);
	if (!err)
		may_fail(pulse_ws_send_prepared(conn, msg));
	pulse_ws_prepared_put(msg);
	err = pulse_ws_send_begin(conn, PULSE_WS_BINARY);
	may_fail(err);
	if (!err) {
		may_fail(pulse_ws_send_piece(conn, text, sizeof(text)));
		may_fail(pulse_ws_send_end(conn));
	}
	may_fail(pulse_ws_migrate(conn, !pulse_ws_conn_loop(conn)));
}

/* The peer says something and goodbye, and hears what it is told. */
static void peer_life(struct peer *p)
{
	struct timeval soon = { 2, 0 };
	uint8_t body[300] = { 1 };
	struct frame f;

	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	for (int i = 0; i < 3; i++)
		peer_send_frame(p, 0x82, body, sizeof(body));
	peer_send_close(p, 1000, "");
	while (peer_next(p, &f))
		;
}

KT_TEST(each_allocation_of_what_a_thread_does_to_a_connection_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2, .max_per_address = 100);
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 1);
	struct pulse_ws_server *server;
	bool failed = true;
	long n = 0;

	KT_EQ(pulse_pool_create(&po, &o.pool), 0);
	server = serve_keeping(&o, &h);
	while (failed && n < 200) {
		struct peer p;

		__atomic_store_n(&kept, NULL, __ATOMIC_RELEASE);
		p = peer_open(server);
		KT_CHECK(EVENTUALLY(kept_conn()));
		pulse__alloc_fail_at(++n);
		do_all(kept_conn());
		pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "x", 1);
		peer_life(&p);
		peer_close(&p);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
		KT_CHECK(EVENTUALLY(closed() == n));
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		pulse_ws_put(kept_conn());
	}
	KT_CHECKF(!failed && told > 3, "%ld allocations, %d told", n - 1, told);
	kt_note("%ld allocations, %d told of", n - 1, told);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* U04: each allocation of topics, streams, moves and links may fail. */
#include "keeping.h"

#include <pulse-u/ws_link.h>
#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>

static void take_piece(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, int piece, void *arg)
{
	(void)arg;
	if (piece & PULSE_WS_CHUNK_BEGIN) {
		pulse_ws_subscribe(conn, "t");
		pulse_ws_migrate(conn, !pulse_ws_conn_loop(conn));
		if (pulse_ws_send_begin(conn, opcode))
			return;
	}
	pulse_ws_send_piece(conn, data, len);
	pulse_ws_publish(arg ? *(void **)arg : NULL, "t", NULL, PULSE_WS_TEXT,
			 data, len < 300 ? len : 300);
	if (piece & PULSE_WS_CHUNK_END)
		pulse_ws_send_end(conn);
}

#define WHOLE	4	/* frames that a life brings its peer, at least */

/* A life of a connection; whatever comes of it, it ends. True: all of it came. */
static bool one_life(struct pulse_ws_server *server)
{
	static uint8_t body[3000];
	int frames = 0;
	struct peer p = peer_connect(server);
	struct timeval soon = { 0, 100000 };
	struct frame f;

	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	if (peer_say(&p, UPGRADE) && peer_status(&p) == 101) {
		for (int i = 0; i < 3; i++) {
			peer_send_frame(&p, 0x02, body, 1000);
			peer_send_frame(&p, 0x80, body, 2000);
			pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "x",
					 1);
		}
		while (frames < WHOLE && peer_next(&p, &f))
			frames++;
		peer_send_close(&p, 1000, "");
	}
	peer_close(&p);
	return frames == WHOLE;
}

KT_TEST(each_allocation_of_a_connection_that_does_much_may_fail)
{
	struct pulse_ws_server *server = NULL;
	PULSE_OPTS(pulse_ws_handlers, h, .on_chunk = take_piece);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2,
		   .arg = &server, .deflate = &d, .max_per_address = 100);
	bool failed, whole = false;
	long n = 0;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	/* A life that was too slow to come so far is lived again. */
	while (!whole && n < 300) {
		pulse__alloc_fail_at(n + 1);
		whole = one_life(server);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		if (failed) {
			whole = false;
			n++;
		}
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	}
	KT_CHECKF(whole && n > 10, "%ld allocations", n);
	/* Nobody is left on a topic, and all works as before. */
	KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "x", 1), 0);
	KT_CHECK(EVENTUALLY(one_life(server)));
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

static int downs;

static void on_down(struct pulse_ws_link *link, int err, int32_t wait_ms,
		    void *arg)
{
	(void)link;
	(void)err;
	(void)wait_ms;
	(void)arg;
	__atomic_fetch_add(&downs, 1, __ATOMIC_RELEASE);
}

KT_TEST(each_allocation_of_a_link_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .handlers = &h);
	static const char *const fields[] = { "X-A: b", "X-C: d", NULL };
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 32];
	struct pulse_ws_server *server = serve_echo(), *client = serve(&o);
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url, .origin = "http://a",
		   .fields = fields);
	PULSE_OPTS(pulse_ws_link_opts, l, .connect = &to, .on_down = on_down,
		   .wait_min_ms = 1, .wait_max_ms = 2);
	struct pulse_ws_link *link;
	bool failed = true;
	long n = 0;

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	snprintf(url, sizeof(url), "ws://%s/", where);
	while (failed && n < 100) {
		int err;

		link = NULL;
		pulse__alloc_fail_at(++n);
		err = pulse_ws_link_open(client, &l, &link);
		KT_CHECK(err == 0 || err == -ENOMEM);
		KT_CHECK(!err == (link != NULL));
		/* One that has begun gets there in the end. */
		if (!err) {
			struct pulse_ws_link_stats s = { .sz = sizeof(s) };

			KT_CHECK(EVENTUALLY(!pulse_ws_link_stats(link, &s) &&
					    s.up));
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		if (link)
			KT_EQ(pulse_ws_link_close(link), 0);
		KT_CHECK(EVENTUALLY(!stats_of(client).connections));
	}
	KT_CHECKF(n > 5, "%ld allocations", n - 1);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

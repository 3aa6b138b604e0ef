// SPDX-License-Identifier: GPL-2.0-only
/*
 * U04: each allocation fails in turn where a connection is compressed and traced,
 * and its peer so slow that what it says and what it is told have to wait. It ends
 * or goes on, once, and nothing is left of it.
 */
#include "cut_sends.h"
#include "keeping.h"

#include <pulse-u/ws_live.h>
#include <pulse-u/ws_topic.h>

#define HEAD								\
	"Sec-WebSocket-Extensions: permessage-deflate\r\n"		\
	"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" \
	"tracestate: a=b\r\n\r\n"

static int opened;

/* Somebody looks on: so what a peer says of its trace is kept. */
static void look_on(struct pulse_ws_conn *conn, int where, int opcode,
		    uint64_t value, void *arg)
{
	(void)conn;
	(void)where;
	(void)opcode;
	(void)value;
	(void)arg;
}

static int ask(struct pulse_ws_conn *conn, const struct pulse_ws_request *request,
	       struct pulse_ws_answer *answer, void *arg)
{
	(void)request;
	(void)answer;
	(void)arg;
	return pulse_ws_http_field(conn, "X-A", "b") ? 503 : 0;
}

static void subscribe(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	__atomic_fetch_add(&opened, 1, __ATOMIC_RELEASE);
	pulse_ws_subscribe(conn, "t");
}

static bool gone(struct pulse_ws_server *server)
{
	return !stats_of(server).connections;
}

/* Its loop has tried in vain to send, so often from now on; or it is gone. */
static bool tried(struct pulse_ws_server *server, long times)
{
	long from = cut_refused();

	return EVENTUALLY(cut_refused() >= from + times || gone(server));
}

/* Says much and hears nothing for a while. */
static void be_slow(struct pulse_ws_server *server, struct peer *p)
{
	static uint8_t body[600];
	uint8_t frames[20 * 700];
	struct frame f;
	size_t n = 0;

	pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, body, sizeof(body));
	cut_begin((struct cut){ .err = EAGAIN, .times = 1L << 40 });
	for (int i = 0; i < 20; i++) {
		body[0] = (uint8_t)i;
		for (size_t k = 1; k < sizeof(body); k++)
			body[k] = (uint8_t)(body[k - 1] * 5 + 7 * i + 1);
		n += peer_frame(frames + n, 0x82, body, sizeof(body));
	}
	peer_send(p, frames, n);
	KT_CHECK(tried(server, 3));
	for (int i = 0; i < 12; i++) {
		body[1] = (uint8_t)i;
		pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, body, sizeof(body));
	}
	KT_CHECK(tried(server, 3));
	cut_end();
	peer_send_close(p, 1000, "");
	while (peer_next(p, &f))
		;
}

KT_TEST(each_allocation_for_a_slow_compressed_peer_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = ask, .on_open = subscribe,
		   .on_message = echo_back, .on_close = count_close);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1, .min_bytes = 1);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .deflate = &d, .threads = 1,
		   .slow = PULSE_WS_SLOW_DROP_OLDEST, .send_high_bytes = 3000,
		   .send_low_bytes = 1000, .max_per_address = 100);
	struct pulse_ws_server *server = NULL;
	bool failed = true;
	char head[1024];
	int ends = 0;
	long n = 0;

	opened = closing = closes = 0;
	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_set_hook(server, look_on, NULL), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	cut_spared = true;
	snprintf(head, sizeof(head), "%.*s" HEAD, (int)strlen(UPGRADE) - 2, UPGRADE);
	while (failed && n < 300) {
		struct peer p = peer_connect(server);

		pulse__alloc_fail_at(++n);
		if (peer_say(&p, head) && peer_status(&p) == 101)
			be_slow(server, &p);
		else
			ends++;
		peer_close(&p);
		KT_CHECK(EVENTUALLY(gone(server)));
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(closed(), __atomic_load_n(&opened, __ATOMIC_ACQUIRE));
		/* Nobody is left on its topic. */
		KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "x", 1), 0);
	}
	KT_CHECKF(!failed && n > 15 && ends > 2, "%ld allocations, %d ended at once",
		  n - 1, ends);
	KT_CHECK(stats_of(server).deflated > 0 && stats_of(server).dropped > 0);
	kt_note("%ld allocations", n - 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

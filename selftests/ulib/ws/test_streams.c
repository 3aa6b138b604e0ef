// SPDX-License-Identifier: GPL-2.0-only
/* Messages in pieces, both ways; receiving that is paused. */
#include "keeping.h"

#include <pulse-u/pool.h>
#include <pulse-u/ws_stream.h>
#include <zlib.h>

/* ---- receiving -------------------------------------------------------------- */

static struct {
	uint8_t data[1 << 20];
	size_t len;
	int begins, ends, pieces, opcode;
} got;

static int ends(void)
{
	return __atomic_load_n(&got.ends, __ATOMIC_ACQUIRE);
}

static void take_piece(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, int piece, void *arg)
{
	(void)conn;
	(void)arg;
	if (piece & PULSE_WS_CHUNK_BEGIN) {
		got.begins++;
		got.len = 0;
		got.opcode = opcode;
	}
	KT_CHECK(got.opcode == opcode && got.len + len <= sizeof(got.data));
	memcpy(got.data + got.len, data, len);
	got.len += len;
	got.pieces++;
	if (piece & PULSE_WS_CHUNK_END)
		__atomic_fetch_add(&got.ends, 1, __ATOMIC_RELEASE);
}

static uint8_t *body(size_t len)
{
	static uint8_t bytes[1 << 20];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)('a' + (i * 7 + i / 999) % 26);
	return bytes;
}

static struct pulse_ws_server *serve_pieces(struct pulse_ws_opts *o,
					    struct pulse_ws_handlers *h)
{
	memset(&got, 0, sizeof(got));
	h->on_chunk = take_piece;
	return serve_keeping(o, h);
}

static void receive_all(struct pulse_pool *pool)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 5000, 70000, 1000000 };
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .pool = pool);
	struct pulse_ws_server *server = serve_pieces(&o, &h);
	struct peer p = peer_open(server);
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t len = sizes[i], third = len / 3;
		uint8_t *b = body(len);

		KT_CHECK(peer_send_frame(&p, 0x81, b, len));
		n++;
		KT_CHECK(EVENTUALLY(ends() == n));
		KT_CHECK(got.len == len && !memcmp(got.data, b, len));
		KT_EQ(got.opcode, PULSE_WS_TEXT);
		/* In fragments, with a ping between them. */
		KT_CHECK(peer_send_frame(&p, 0x02, b, third));
		KT_CHECK(peer_send_frame(&p, 0x89, "x", 1));
		KT_CHECK(peer_send_frame(&p, 0x00, b + third, third));
		KT_CHECK(peer_send_frame(&p, 0x80, b + 2 * third,
					 len - 2 * third));
		KT_CHECK(peer_expect(&p, 0x8a, "x", 1));
		n++;
		KT_CHECK(EVENTUALLY(ends() == n));
		KT_CHECK(got.len == len && !memcmp(got.data, b, len));
		KT_EQ(got.opcode, PULSE_WS_BINARY);
	}
	KT_EQ(got.begins, n);
	KT_CHECK(got.pieces > n);	/* a million bytes are no one read */
	KT_EQ(stats_of(server).messages_in, n);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(messages_are_received_in_pieces)
{
	receive_all(NULL);
}

KT_TEST(messages_are_received_in_pieces_by_a_pool)
{
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	receive_all(pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* FAULTS W02: bad text is found wherever it is cut, and has no end. */
KT_TEST(text_in_pieces_is_checked_across_them)
{
	static const char good[] = "\xe2\x82\xac\xf0\x9f\x98\x80";
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);

	for (size_t cut = 1; cut < 7; cut++) {
		struct pulse_ws_server *server = serve_pieces(&o, &h);
		struct peer p = peer_open(server);

		KT_CHECK(peer_send_frame(&p, 0x01, good, cut));
		KT_CHECK(peer_send_frame(&p, 0x80, good + cut, 7 - cut));
		KT_CHECK(EVENTUALLY(ends() == 1));
		KT_CHECK(got.len == 7 && !memcmp(got.data, good, 7));
		KT_CHECK(peer_send_frame(&p, 0x01, good, cut));
		if (cut == 3) {		/* a whole character: another sin */
			KT_CHECK(peer_send_frame(&p, 0x80, "\xff", 1));
		} else {
			KT_CHECK(peer_send_frame(&p, 0x80, NULL, 0));
		}
		KT_EQ(peer_close_code(&p), 1007);
		KT_EQ(ends(), 1);
		peer_close(&p);
		KT_CHECK(EVENTUALLY(closed() == 1));
		pulse_ws_put(kept);
		KT_EQ(pulse_ws_server_destroy(server), 0);
	}
}

KT_TEST(a_limit_holds_for_messages_in_pieces)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = 1000, .deflate = &d);
	struct pulse_ws_server *server = serve_pieces(&o, &h);
	struct peer p = peer_open(server);

	for (int i = 0; i < 10; i++)
		KT_CHECK(peer_send_frame(&p, i ? 0x00 : 0x02, body(100), 100));
	KT_CHECK(peer_send_frame(&p, 0x00, "x", 1));
	KT_EQ(peer_close_code(&p), 1009);
	KT_EQ(ends(), 0);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	/* Both handlers: which one should it be? */
	h.on_message = echo_back;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
}

KT_TEST(compressed_messages_are_received_in_pieces)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_opts, o, .deflate = &d, .max_message_bytes = 400000);
	struct pulse_ws_server *server = serve_pieces(&o, &h);
	struct peer p = peer_connect(server);
	static uint8_t packed[500000];
	z_stream z = { 0 };
	size_t len;

	KT_CHECK(peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
		"Sec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
	KT_EQ(peer_status(&p), 101);
	KT_EQ(deflateInit2(&z, 1, Z_DEFLATED, -15, 8, 0), Z_OK);
	for (int i = 1; i <= 4; i++) {
		size_t bytes = i == 4 ? 400001 : 130000 * (size_t)i;

		z.next_in = body(bytes);
		z.avail_in = (unsigned int)bytes;
		z.next_out = packed;
		z.avail_out = sizeof(packed);
		KT_EQ(deflate(&z, Z_SYNC_FLUSH), Z_OK);
		len = sizeof(packed) - z.avail_out - 4;
		KT_CHECK(peer_send_frame(&p, 0x41, packed, len / 2));
		KT_CHECK(peer_send_frame(&p, 0x80, packed + len / 2,
					 len - len / 2));
		if (i == 4)
			break;
		KT_CHECK(EVENTUALLY(ends() == i));
		KT_CHECK(got.len == bytes && !memcmp(got.data, body(bytes),
						      bytes));
	}
	KT_EQ(peer_close_code(&p), 1009);
	KT_EQ(ends(), 3);
	deflateEnd(&z);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- sending ---------------------------------------------------------------- */

/* A message as its frames make it; pings and pongs between are left out. */
static size_t peer_message(struct peer *p, uint8_t op, uint8_t *to, int *frames)
{
	struct frame f;
	size_t len = 0;

	*frames = 0;
	do {
		if (!KT_CHECK(peer_next(p, &f)))
			return 0;
		if (f.first & 8)
			continue;
		if (!KT_CHECK((f.first & 0x7f) == (*frames ? 0 : op)))
			return 0;
		memcpy(to + len, f.data, f.len);
		len += f.len;
		++*frames;
	} while (!(f.first & 0x80) || f.first & 8);
	return len;
}

KT_TEST(a_message_in_pieces_is_one_message_and_others_wait_behind_it)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	static uint8_t back[200000];
	uint8_t *b = body(150000);
	int frames;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_send_piece(kept, "x", 1), -EINVAL);
	KT_EQ(pulse_ws_send_end(kept), -EINVAL);
	KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_PING), -EINVAL);
	for (int r = 0; r < 10; r++) {
		KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_BINARY), 0);
		KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_TEXT), -EBUSY);
		KT_EQ(pulse_ws_send_piece(kept, b, 10), 0);
		KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "later", 5), 0);
		KT_EQ(pulse_ws_send(kept, PULSE_WS_PING, "now", 3), 0);
		KT_EQ(pulse_ws_send_piece(kept, b + 10, 100000), 0);
		KT_EQ(pulse_ws_send_piece(kept, NULL, 0), 0);
		KT_EQ(pulse_ws_send_piece(kept, b + 100010, 49990), 0);
		KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "at last", 7), 0);
		KT_EQ(pulse_ws_send_end(kept), 0);
		KT_EQ(peer_message(&p, 2, back, &frames), 150000);
		KT_EQ(frames, 4);
		KT_CHECK(!memcmp(back, b, 150000));
		KT_CHECK(peer_expect(&p, 0x81, "later", 5));
		KT_CHECK(peer_expect(&p, 0x81, "at last", 7));
	}
	/* Of no pieces: an empty one. What is cut off is given back. */
	KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_TEXT), 0);
	KT_EQ(pulse_ws_send_end(kept), 0);
	KT_CHECK(peer_expect(&p, 0x81, NULL, 0));
	KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_TEXT), 0);
	KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "never", 5), 0);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(pulse_ws_send_end(kept) == -ESRCH));
	KT_EQ(pulse_ws_send_begin(NULL, PULSE_WS_TEXT), -EINVAL);
	KT_EQ(pulse_ws_send_end(NULL), -EINVAL);
	KT_EQ(pulse_ws_send_piece(NULL, "x", 1), -EINVAL);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(pieces_are_refused_while_the_peer_does_not_read)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 50000);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_connect_buf(server, 64 << 10);
	long refused = 0, sent = 0;
	static uint8_t back[20000];
	struct frame f;
	int err;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_send_begin(kept, PULSE_WS_BINARY), 0);
	while (refused < 200) {
		err = pulse_ws_send_piece(kept, body(10000), 10000);
		if (err == -EAGAIN) {
			refused++;
			peer_nap(1);
		} else if (KT_CHECK(!err)) {
			sent++;
		} else {
			break;
		}
		/* More is shown while it moves to the loop. */
		KT_CHECK(EVENTUALLY(pulse_ws_conn_queued(kept) <= 50000 + 11000));
	}
	KT_EQ(pulse_ws_send_end(kept), 0);
	for (long i = 0; i < sent; i++) {
		KT_CHECK(peer_next(&p, &f) && f.len == 10000);
		memcpy(back, f.data, f.len);
		KT_CHECK(!memcmp(back, body(10000), 10000));
	}
	KT_CHECK(peer_expect(&p, 0x80, NULL, 0));
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- pausing ---------------------------------------------------------------- */

static int heard;

static void hear_and_pause(struct pulse_ws_conn *conn, int op, const void *data,
			   size_t len, void *arg)
{
	(void)op;
	(void)data;
	(void)len;
	(void)arg;
	__atomic_fetch_add(&heard, 1, __ATOMIC_RELEASE);
	KT_EQ(pulse_ws_pause(conn), 0);
}

KT_TEST(a_paused_connection_receives_nothing_and_nothing_is_lost)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = hear_and_pause);
	PULSE_OPTS(pulse_ws_opts, o, .idle_timeout_ms = 1500);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	uint8_t bytes[200];
	size_t n = 0;

	heard = 0;
	for (int i = 0; i < 10; i++)
		n += peer_frame(bytes + n, 0x82, &i, sizeof(i));
	KT_CHECK(peer_send(&p, bytes, n));	/* all in one read */
	for (int i = 1; i <= 10; i++) {
		KT_CHECK(EVENTUALLY(__atomic_load_n(&heard, __ATOMIC_ACQUIRE) ==
				    i));
		peer_nap(i == 5 ? 3000 : 10);
		KT_EQ(__atomic_load_n(&heard, __ATOMIC_ACQUIRE), i);
		KT_EQ(closed(), 0);	/* it is not the peer that is silent */
		KT_EQ(pulse_ws_resume(kept), 0);
	}
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_EQ(pulse_ws_pause(NULL), -EINVAL);
	KT_EQ(pulse_ws_resume(NULL), -EINVAL);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* W02: frames, right and wrong, over real sockets, with exact close codes. */
#include "peer.h"

#define B(text) text, sizeof(text) - 1
#define KEY4 "\1\2\3\4"

/* ---- what breaks the rules ------------------------------------------------ */

static const struct {
	const char *bytes;
	size_t len;
	int code;
	const char *what;
} bad[] = {
	{ B("\x81\x05hello"), 1002, "not masked" },
	{ B("\xc1\x80" KEY4), 1002, "RSV1" },
	{ B("\xa1\x80" KEY4), 1002, "RSV2" },
	{ B("\x91\x80" KEY4), 1002, "RSV3" },
	{ B("\x83\x80" KEY4), 1002, "opcode 3" },
	{ B("\x84\x80" KEY4), 1002, "opcode 4" },
	{ B("\x85\x80" KEY4), 1002, "opcode 5" },
	{ B("\x86\x80" KEY4), 1002, "opcode 6" },
	{ B("\x87\x80" KEY4), 1002, "opcode 7" },
	{ B("\x8b\x80" KEY4), 1002, "opcode B" },
	{ B("\x8c\x80" KEY4), 1002, "opcode C" },
	{ B("\x8d\x80" KEY4), 1002, "opcode D" },
	{ B("\x8e\x80" KEY4), 1002, "opcode E" },
	{ B("\x8f\x80" KEY4), 1002, "opcode F" },
	{ B("\x89\xfe\x00\x7e"), 1002, "ping of 126 bytes" },
	{ B("\x8a\xff"), 1002, "pong of 64-bit length" },
	{ B("\x88\xfe"), 1002, "close of 126 bytes" },
	{ B("\x09\x80" KEY4), 1002, "fragmented ping" },
	{ B("\x08\x80" KEY4), 1002, "fragmented close" },
	{ B("\x82\xff\x80\0\0\0\0\0\0\1"), 1002, "length 2^63" },
	{ B("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1002, "length 2^64-1" },
	{ B("\x82\xfe\x00\x7d"), 1002, "16-bit length of 125" },
	{ B("\x82\xff\0\0\0\0\0\0\xff\xff"), 1002, "64-bit length of 65535" },
	{ B("\x80\x80" KEY4), 1002, "continuation of nothing" },
	{ B("\x00\x81" KEY4 "x"), 1002, "continuation of nothing, not final" },
	{ B("\x01\x80" KEY4 "\x81\x80" KEY4), 1002, "new text within a series" },
	{ B("\x02\x80" KEY4 "\x01\x80" KEY4), 1002, "new series within a series" },
	{ B("\x81\x80" KEY4 "\x80\x80" KEY4), 1002, "continuation after the end" },
	{ B("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" KEY4), 1009,
	  "length 2^63-1" },
	{ B("\x82\xff\0\0\0\0\1\0\0\1" KEY4), 1009, "one byte over the limit" },
	{ B("\x88\x81" KEY4 "x"), 1002, "close of one byte" },
};

static int code_for(struct pulse_ws_server *server, const char *bytes,
		    size_t len, size_t piece)
{
	struct peer p = peer_open(server);
	int code;

	for (size_t at = 0; at < len; at += piece)
		if (!peer_send(&p, bytes + at,
			       piece < len - at ? piece : len - at))
			break;
	/* An echo may come before. */
	do {
		struct frame f;

		code = -1;
		if (!peer_next(&p, &f))
			break;
		code = f.first == 0x88 && f.len >= 2 ?
		       f.data[0] << 8 | f.data[1] : 0;
	} while (!code);
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	return code;
}

KT_TEST(each_broken_rule_has_its_code)
{
	struct pulse_ws_server *server = serve_echo();
	struct pulse_ws_stats s;
	unsigned int too_big = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int code = code_for(server, bad[i].bytes, bad[i].len, 1000);

		KT_CHECKF(code == bad[i].code, "%s: %d, should be %d",
			  bad[i].what, code, bad[i].code);
		code = code_for(server, bad[i].bytes, bad[i].len, 1);
		KT_CHECKF(code == bad[i].code,
			  "%s, byte by byte: %d, should be %d", bad[i].what,
			  code, bad[i].code);
		too_big += 2 * (bad[i].code == 1009);
	}
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	s = stats_of(server);
	KT_EQ(s.ended[PULSE_WS_END_TOO_BIG], too_big);
	KT_EQ(s.ended[PULSE_WS_END_PROTOCOL], 2 * ARRAY_SIZE(bad) - too_big);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(close_codes_of_the_peer)
{
	static const struct { int sent, answer; } t[] = {
		{ 0, 1002 }, { 999, 1002 }, { 1000, 1000 }, { 1001, 1001 },
		{ 1002, 1002 }, { 1003, 1003 }, { 1004, 1002 }, { 1005, 1002 },
		{ 1006, 1002 }, { 1007, 1007 }, { 1010, 1010 }, { 1011, 1011 },
		{ 1012, 1012 }, { 1014, 1014 }, { 1015, 1002 }, { 1016, 1002 },
		{ 1100, 1002 }, { 2000, 1002 }, { 2999, 1002 }, { 3000, 3000 },
		{ 4999, 4999 }, { 5000, 1002 }, { 65535, 1002 },
	};
	struct pulse_ws_server *server = serve_echo();
	struct peer p;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int code;

		p = peer_open(server);
		KT_CHECK(peer_send_close(&p, t[i].sent, "why"));
		code = peer_close_code(&p);
		KT_CHECKF(code == t[i].answer, "%d: %d, should be %d",
			  t[i].sent, code, t[i].answer);
		KT_CHECK(peer_at_end(&p));
		peer_close(&p);
	}
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x88, NULL, 0));
	KT_EQ(peer_close_code(&p), 1005);
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	p = peer_open(server);
	KT_CHECK(peer_send_close(&p, 1000, "bad \xff"));
	KT_EQ(peer_close_code(&p), 1007);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(the_code_arrives_though_the_peer_goes_on_sending)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = 1000);
	struct pulse_ws_server *server = serve(&o);
	uint8_t *lots = calloc(1, 4 << 20);
	struct peer p = peer_open(server);

	KT_REQUIRE(lots);
	KT_CHECK(peer_send_frame(&p, 0x82, lots, 1000));
	KT_CHECK(peer_send_frame(&p, 0x82, lots, 4 << 20));
	KT_EQ(peer_close_code(&p), 1009);
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	/* Over the limit in fragments, each of them under it. */
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x02, lots, 600));
	KT_CHECK(peer_send_frame(&p, 0x00, lots, 400));
	KT_CHECK(peer_send_frame(&p, 0x80, lots, 1));
	KT_EQ(peer_close_code(&p), 1009);
	peer_close(&p);
	free(lots);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- UTF-8 ---------------------------------------------------------------- */

KT_TEST(text_is_checked_over_fragments)
{
	static const char good[] = "\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80.";
	static const char *const wrong[] = {
		"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"ok then \xe2\x82", "\xf0\x9f\x98", "\x80",
	};
	struct pulse_ws_server *server = serve_echo();
	size_t len = sizeof(good) - 1;
	struct peer p = peer_open(server);

	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			KT_CHECK(peer_send_frame(&p, 0x01, good, a));
			KT_CHECK(peer_send_frame(&p, 0x00, good + a, b - a));
			KT_CHECK(peer_send_frame(&p, 0x80, good + b, len - b));
			KT_CHECK(peer_expect(&p, 0x81, good, len));
		}
	}
	peer_close(&p);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		size_t n = strlen(wrong[i]);

		for (size_t cut = 0; cut <= n; cut++) {
			p = peer_open(server);
			KT_CHECK(peer_send_frame(&p, 0x01, wrong[i], cut));
			peer_send_frame(&p, 0x80, wrong[i] + cut, n - cut);
			KT_EQ(peer_close_code(&p), 1007);
			peer_close(&p);
		}
	}
	/* What cannot become right is told before the message ends. */
	p = peer_open(server);
	KT_CHECK(peer_send(&p, "\x81\x8a\0\0\0\0ab\xff", 9));
	KT_EQ(peer_close_code(&p), 1007);
	peer_close(&p);
	/* Binary may be anything, and text after it is judged afresh. */
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x82, "\xff\xf0", 2));
	KT_CHECK(peer_expect(&p, 0x82, "\xff\xf0", 2));
	KT_CHECK(peer_send_frame(&p, 0x81, good, len));
	KT_CHECK(peer_expect(&p, 0x81, good, len));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- pings, closing ------------------------------------------------------- */

static char said[4096];

static void note(const char *what, const void *data, size_t len)
{
	size_t at = strlen(said);

	snprintf(said + at, sizeof(said) - at, "%s(%.*s) ", what, (int)len,
		 (const char *)data);
}

static void note_ping(struct pulse_ws_conn *c, const void *d, size_t n, void *arg)
{
	(void)c;
	(void)arg;
	note("ping", d, n);
}

static void note_pong(struct pulse_ws_conn *c, const void *d, size_t n, void *arg)
{
	(void)c;
	(void)arg;
	note("pong", d, n);
}

static void note_message(struct pulse_ws_conn *c, int op, const void *d,
			 size_t n, void *arg)
{
	(void)arg;
	note(op == PULSE_WS_TEXT ? "text" : "binary", d, n);
	if (n == 3 && !memcmp(d, "bye", 3)) {
		KT_EQ(pulse_ws_send(c, PULSE_WS_TEXT, "last", 4), 0);
		KT_EQ(pulse_ws_close(c, 4001, "had enough", 10), 0);
		KT_EQ(pulse_ws_send(c, PULSE_WS_TEXT, "more", 4), -EPIPE);
		KT_EQ(pulse_ws_close(c, 1000, NULL, 0), -EPIPE);
	}
}

static void note_close(struct pulse_ws_conn *c, int code, const char *reason,
		       size_t len, void *arg)
{
	char text[200];

	(void)arg;
	KT_EQ(strlen(reason), len);
	KT_CHECK(pulse_ws_send(c, PULSE_WS_TEXT, "x", 1) < 0);
	snprintf(text, sizeof(text), "%d %s", code, reason);
	note("close", text, strlen(text));
}

static struct pulse_ws_server *serve_notes(void)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = note_message,
		   .on_ping = note_ping, .on_pong = note_pong,
		   .on_close = note_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);

	said[0] = 0;
	return serve(&o);
}

KT_TEST(the_peer_closes)
{
	struct pulse_ws_server *server = serve_notes();
	struct peer p = peer_open(server);

	KT_CHECK(peer_send_frame(&p, 0x89, "hey", 3));
	KT_CHECK(peer_expect(&p, 0x8a, "hey", 3));
	KT_CHECK(peer_send_frame(&p, 0x8a, "ho", 2));
	KT_CHECK(peer_send_close(&p, 3333, "going home"));
	KT_CHECK(peer_send_frame(&p, 0x81, "too late", 8));
	KT_EQ(peer_close_code(&p), 3333);
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_STREQ(said, "ping(hey) pong(ho) close(3333 going home) ");
}

KT_TEST(the_server_closes)
{
	struct pulse_ws_server *server = serve_notes();
	struct peer p = peer_open(server);
	uint8_t both[64];
	size_t n = peer_frame(both, 0x81, "bye", 3);

	n += peer_frame(both + n, 0x81, "dropped", 7);
	KT_CHECK(peer_send(&p, both, n));
	KT_CHECK(peer_expect(&p, 0x81, "last", 4));
	KT_CHECK(peer_expect(&p, 0x88, "\x0f\xa1had enough", 12));
	/* Messages and pings on their way are dropped, the close ends it. */
	KT_CHECK(peer_send_frame(&p, 0x01, "part", 4));
	KT_CHECK(peer_send_frame(&p, 0x89, "ping", 4));
	KT_CHECK(peer_send_close(&p, 4001, ""));
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOCAL], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_STREQ(said, "text(bye) close(4001 had enough) ");
}

KT_TEST(a_peer_that_does_not_answer_a_close_is_cut_off)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = note_message,
		   .on_close = note_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .close_timeout_ms = 500);
	struct pulse_ws_server *server;
	struct peer p;

	said[0] = 0;
	server = serve(&o);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "bye", 3));
	KT_CHECK(peer_expect(&p, 0x81, "last", 4));
	KT_EQ(peer_close_code(&p), 4001);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_CUT], 1);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_STREQ(said, "text(bye) close(4001 had enough) ");
}

KT_TEST(resets_and_half_closes)
{
	struct pulse_ws_server *server = serve_notes();
	struct peer p = peer_open(server);

	peer_reset(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));

	/* The peer's end without a close; what was asked is still answered. */
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x89, "last ping", 9));
	shutdown(p.fd, SHUT_WR);
	KT_CHECK(peer_expect(&p, 0x8a, "last ping", 9));
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOST], 2);

	/* In the middle of a frame, and of a request. */
	p = peer_open(server);
	KT_CHECK(peer_send(&p, "\x81\x85\1", 3));
	peer_close(&p);
	p = peer_connect(server);
	KT_CHECK(peer_say(&p, "GET / HT"));
	shutdown(p.fd, SHUT_WR);
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	p = peer_connect(server);
	KT_CHECK(peer_say(&p, "GET / HT"));
	peer_reset(&p);
	/* It may be gone before it is accepted. */
	KT_CHECK(EVENTUALLY(stats_of(server).ended[PULSE_WS_END_REFUSED] == 2));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOST], 3);
	KT_EQ(stats_of(server).connections, 0);

	/* And it goes on serving. */
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x89, "x", 1));
	KT_CHECK(peer_expect(&p, 0x8a, "x", 1));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_STREQ(said, "close(1006 ) ping(last ping) close(1006 ) "
		 "close(1006 ) ping(x) close(1006 ) ");
}

KT_MAIN()

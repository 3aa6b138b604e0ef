// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large messages one after another: the next is taken to be as long as the last,
 * and whatever comes instead is handled as if nobody had guessed. Their buffers
 * are kept for the next.
 */
#include "mock.h"
#include "peer.h"

#define LONG 140000U		/* a length that is expected again */
#define HEAD 14U		/* its header, masked */

static uint8_t body[3 * LONG];

/* What a peer sends, and what must come back for it. */
struct talk {
	uint8_t *in, *out;
	size_t in_len, out_len;
};

static void talk_begin(struct talk *t)
{
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)('a' + (i * 7 + i / 256) % 26);
	t->in = malloc(8 << 20);
	t->out = malloc(8 << 20);
	t->in_len = strlen(UPGRADE);
	t->out_len = 0;
	memcpy(t->in, UPGRADE, t->in_len);
}

static void talk_end(struct talk *t)
{
	free(t->in);
	free(t->out);
}

static void talk_in(struct talk *t, uint8_t first, const void *data, size_t len)
{
	t->in_len += peer_frame(t->in + t->in_len, first, data, len);
}

static void talk_out(struct talk *t, uint8_t first, const void *data, size_t len)
{
	t->out_len += pulse__ws_frame_write(t->out + t->out_len, first, len);
	memcpy(t->out + t->out_len, data, len);
	t->out_len += len;
}

static void say(struct talk *t, uint8_t first, size_t len)
{
	talk_in(t, first, body, len);
	talk_out(t, first == 0x89 ? 0x8a : first, body, len);
}

static void say_close(struct talk *t)
{
	talk_in(t, 0x88, "\x03\xe8", 2);
	talk_out(t, 0x88, "\x03\xe8", 2);
}

static struct pulse_ws_server *quiet_server(struct pulse_ws_opts *o)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	struct pulse_ws_server *server = NULL;

	o->handlers = &h;
	o->handshake_timeout_ms = o->ping_interval_ms = PULSE_OFF;
	o->idle_timeout_ms = o->write_timeout_ms = PULSE_OFF;
	o->close_timeout_ms = PULSE_OFF;
	KT_EQ(pulse_ws_server_create(o, &server), 0);
	return server;
}

/* Does it come back so, with reads of at most @read_max bytes? */
static void check_talk(struct pulse_ws_server *server, const struct talk *t,
		       size_t read_max, bool async)
{
	struct mock m = { .in = t->in, .in_len = t->in_len,
			  .read_max = read_max, .async = async };
	const uint8_t *answers;

	KT_EQ(mock_connect(&m, server), 0);
	mock_run(&m);
	KT_CHECK(!m.broken);
	KT_CHECK(m.closed);
	answers = m.out ? memmem(m.out, m.out_len, "\r\n\r\n", 4) : NULL;
	if (KT_CHECK(answers)) {
		answers += 4;
		KT_CHECKF((size_t)(m.out + m.out_len - answers) == t->out_len &&
			  !memcmp(answers, t->out, t->out_len),
			  "reads of %zu: %zu bytes, not %zu", read_max,
			  (size_t)(m.out + m.out_len - answers), t->out_len);
	}
	free(m.out);
}

static void check_reads(const struct talk *t, size_t least)
{
	static const size_t reads[] = {
		0, 13, 14, 15, 3000, 65536, LONG - 1, LONG, LONG + HEAD - 1,
		LONG + HEAD, LONG + HEAD + 1, 2 * LONG,
	};
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = 0);
	struct pulse_ws_server *server = quiet_server(&o);

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		if (reads[i] && reads[i] < least)
			continue;
		check_talk(server, t, reads[i], false);
		check_talk(server, t, reads[i], true);
	}
	KT_EQ(stats_of(server).connections, 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(large_ones_in_a_row_come_back_as_they_were)
{
	struct talk t;

	talk_begin(&t);
	for (int i = 0; i < 3; i++)
		say(&t, i % 2 ? 0x81 : 0x82, LONG);
	say_close(&t);
	check_reads(&t, 13);
	talk_end(&t);
}

/* After each large one something that nobody could expect. */
KT_TEST(another_one_than_was_expected_is_no_matter)
{
	static const size_t others[] = { 0, 1, 20, 126, 3000, 70000, LONG - 1,
					 LONG + 1, 2 * LONG };
	struct talk t;

	talk_begin(&t);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		say(&t, 0x82, LONG);
		say(&t, 0x81, others[i]);
	}
	say(&t, 0x82, LONG);
	say(&t, 0x89, 30);
	/* The same length, in two frames. */
	talk_in(&t, 0x02, body, LONG / 2);
	say(&t, 0x89, 5);
	talk_in(&t, 0x80, body + LONG / 2, LONG / 2);
	talk_out(&t, 0x82, body, LONG);
	say(&t, 0x82, LONG);
	/* ... and the first frame as long as the message before. */
	talk_in(&t, 0x02, body, LONG);
	talk_in(&t, 0x80, body, 9);
	talk_out(&t, 0x82, body, LONG);
	t.out_len -= LONG + 10;
	talk_out(&t, 0x82, body, LONG + 9);
	memcpy(t.out + t.out_len - 9, body, 9);
	say_close(&t);
	check_reads(&t, 3000);
	talk_end(&t);
}

static void fails_with(struct pulse_ws_opts *o, int code, const uint8_t *frame,
		       size_t len, const char *what)
{
	static const size_t reads[] = { 0, 10, 14, 5000, LONG + HEAD };
	struct pulse_ws_server *server = quiet_server(o);
	uint8_t close[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		struct mock m = { .read_max = reads[i] };
		struct talk t;

		talk_begin(&t);
		say(&t, 0x81, LONG);
		say(&t, 0x81, LONG);
		memcpy(t.in + t.in_len, frame, len);
		t.in_len += len;
		m.in = t.in;
		m.in_len = t.in_len;
		KT_EQ(mock_connect(&m, server), 0);
		mock_run(&m);
		KT_CHECK(m.closed && !m.broken);
		KT_CHECKF(m.out_len > t.out_len + 4 &&
			  memmem(m.out + m.out_len - 60, 60, close, 2),
			  "%s: no close with %d", what, code);
		talk_end(&t);
		free(m.out);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* What is wrong is wrong where another was expected, too: RFC 6455, 5.1, 8.1. */
KT_TEST(rules_hold_where_one_is_expected)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = LONG);
	uint8_t *frame = malloc(2 * LONG);
	size_t n = peer_frame(frame, 0x81, body, LONG);

	frame[n - 1] ^= 0x80;		/* no character ends so */
	fails_with(&o, 1007, frame, n, "not UTF-8");
	n = peer_frame(frame, 0xc1, body, LONG);
	fails_with(&o, 1002, frame, n, "RSV1");
	n = peer_frame(frame, 0x80, body, LONG);
	fails_with(&o, 1002, frame, n, "continuation of nothing");
	n = peer_frame(frame, 0x82, body, LONG + 1);
	fails_with(&o, 1009, frame, n, "one byte over the limit");
	n = peer_frame(frame, 0x82, body, LONG);
	frame[1] &= 0x7f;
	fails_with(&o, 1002, frame, n, "not masked");
	free(frame);
}

/* A limit that became less after the message that is expected again. */
KT_TEST(a_lower_limit_holds_for_the_next)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = LONG);
	struct pulse_ws_server *server = quiet_server(&o);
	struct mock m = { .keep_open = true, .read_max = 65536 };
	struct talk t;
	size_t first;

	talk_begin(&t);
	say(&t, 0x82, LONG);
	first = t.in_len;
	say(&t, 0x82, LONG);
	m.in = t.in;
	m.in_len = first;
	KT_EQ(mock_connect(&m, server), 0);
	mock_run(&m);
	KT_CHECK(!m.closed && m.out_len > LONG);
	server->loops[0]->own.max_message = LONG - 1;
	m.in_len = t.in_len;
	m.keep_open = false;
	mock_run(&m);
	KT_CHECK(m.closed);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_TOO_BIG], 1);
	KT_EQ(stats_of(server).messages_in, 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	free(m.out);
	talk_end(&t);
}

/* Between two large ones a connection is as small as any other. */
KT_TEST(nothing_is_held_for_the_one_expected)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = LONG);
	struct pulse_ws_server *server = quiet_server(&o);
	struct mock m = { .keep_open = true, .read_max = 65536 };
	struct pulse_ws_conn *conn;
	struct talk t;

	talk_begin(&t);
	say(&t, 0x82, LONG);
	say(&t, 0x82, LONG);
	m.in = t.in;
	m.in_len = t.in_len;
	KT_EQ(mock_connect(&m, server), 0);
	conn = pulse__list_first_entry(&server->loops[0]->conns,
				       struct pulse_ws_conn, link);
	mock_run(&m);
	KT_EQ(conn->expect, LONG);
	KT_CHECK(!conn->msg && !conn->stash && !conn->out_first);
	/* A header that is all that comes keeps its own bytes and no more. */
	memcpy(t.in, "\x82\xff\0\0", 4);
	m.in = t.in;
	m.in_at = 0;
	m.in_len = 4;
	mock_run(&m);
	KT_CHECK(!conn->msg && conn->hdr_len == 4);
	m.keep_open = false;
	mock_run(&m);
	KT_CHECK(m.closed);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	free(m.out);
	talk_end(&t);
}

/* ---- buffers of their own ------------------------------------------------ */

#define MANY	8U

static void take(struct pulse__ws_loop *loop, struct pulse__ws_msg **msgs)
{
	for (unsigned int i = 0; i < MANY; i++) {
		msgs[i] = NULL;
		KT_REQUIRE(pulse__ws_msg_grow(loop, &msgs[i], 1 << 20, true));
	}
}

static void give(struct pulse__ws_loop *loop, struct pulse__ws_msg **msgs)
{
	for (unsigned int i = 0; i < MANY; i++)
		pulse__ws_msg_free(loop, msgs[i]);
}

/* As many as are used at a time are kept, and no longer than they are. */
KT_TEST(buffers_are_kept_while_they_are_used)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_message_bytes = 0);
	struct pulse_ws_server *server = quiet_server(&o);
	struct pulse__ws_loop *loop = server->loops[0];
	struct pulse__ws_msg *msgs[MANY];

	take(loop, msgs);
	give(loop, msgs);
	KT_EQ(loop->spare_bytes, MANY << 20);
	KT_CHECK(loop->spare_timer.link);
	take(loop, msgs);
	KT_EQ(loop->spare_bytes, 0);
	give(loop, msgs);
	for (int used = 1; used >= 0; used--) {
		pulse_poller_timer_cancel(loop->poller, &loop->spare_timer);
		loop->spare_timer.fn(loop->poller, &loop->spare_timer);
		KT_EQ(loop->spare_bytes, used ? MANY << 20 : PULSE__WS_SPARE_MAX);
		KT_EQ(!!loop->spare_timer.link, used);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

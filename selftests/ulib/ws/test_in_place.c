// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers that lie in what was read. Whatever a handler sends besides the message
 * it was lent, before it or behind it, to the same connection or another, by
 * whatever transport: each peer has what was accepted, as it was at that moment and
 * in that order, and the handler's message stays as it was.
 */
#include "mock.h"
#include "peer.h"

#define TALK	(4U << 20)
#define LARGE	70000U

/* What a peer was promised. */
struct promised {
	struct pulse_ws_conn *conn;
	uint8_t *bytes;
	size_t len;
};

static struct promised here, there;
static uint8_t own[LARGE], was[LARGE];
static unsigned int seen[256];
static const uint8_t *lent;		/* the last message */
static unsigned int close_up;		/* times it began behind the one before */

static void promise(struct promised *to, int first, const void *data, size_t len)
{
	to->len += pulse__ws_frame_write(to->bytes + to->len, (uint8_t)first, len);
	if (len)
		memcpy(to->bytes + to->len, data, len);
	to->len += len;
}

static void send_to(struct promised *to, int opcode, const void *data, size_t len)
{
	int err = to->conn ? pulse_ws_send(to->conn, opcode, data, len) : -ESRCH;

	if (!err)
		promise(to, 0x80 | opcode, data, len);
	else
		KT_CHECK(err == -EAGAIN || err == -EPIPE || err == -ESRCH);
}

static void send_shared(struct promised *to, int opcode, const void *data, size_t len)
{
	struct pulse_ws_prepared *msg = NULL;

	KT_EQ(pulse_ws_prepare(opcode, data, len, &msg), 0);
	if (!pulse_ws_send_prepared(to->conn, msg))
		promise(to, 0x80 | opcode, data, len);
	pulse_ws_prepared_put(msg);
}

/* By the first byte of the message. */
static void answer(struct pulse_ws_conn *conn, int opcode, const void *data,
		   size_t len, void *arg)
{
	const uint8_t *p = data;
	int other = opcode == PULSE_WS_TEXT ? PULSE_WS_BINARY : PULSE_WS_TEXT;

	(void)arg;
	if (conn != here.conn || !KT_CHECK(len && len <= LARGE))
		return;
	memcpy(was, data, len);
	seen[*p]++;
	close_up += p == lent;
	lent = p + len + pulse__ws_frame_head(len);	/* of the same length */
	switch (*p) {
	case 'n':		/* nothing */
		break;
	case 'd':		/* twice */
		send_to(&here, opcode, data, len);
		send_to(&here, opcode, data, len);
		break;
	case 'o':		/* as of the other kind */
		send_to(&here, other, data, len);
		break;
	case 'b':		/* behind another */
		send_to(&here, PULSE_WS_TEXT, "before", 6);
		send_to(&here, opcode, data, len);
		break;
	case 'a':		/* before others, one of which is large */
		send_to(&here, opcode, data, len);
		send_to(&here, PULSE_WS_PING, "after", 5);
		send_to(&here, opcode, own, 20000);
		break;
	case 'm':		/* in the middle of prepared ones */
		send_shared(&here, opcode, own, 100);
		send_to(&here, opcode, data, len);
		send_shared(&here, opcode, own, 3000);
		send_shared(&here, opcode, data, len);
		send_to(&here, opcode, data, len);
		break;
	case 'h':		/* parts of it */
		send_to(&here, opcode, data, len - 1);
		send_to(&here, opcode, p + 1, len - 1);
		send_to(&here, opcode, p + len / 2, len - len / 2);
		break;
	case 't':		/* to another, and back */
		send_to(&there, opcode, data, len);
		send_to(&here, opcode, data, len);
		send_to(&there, other, data, len);
		break;
	case 'u':		/* to another only */
		send_to(&there, opcode, data, len);
		break;
	case 'c':		/* back, and the end */
		send_to(&here, opcode, data, len);
		if (!pulse_ws_close(conn, PULSE_WS_NORMAL, "bye", 3))
			promise(&here, 0x88, "\x03\xe8" "bye", 5);
		break;
	default:
		send_to(&here, opcode, data, len);
		break;
	}
	KT_CHECK(!memcmp(was, data, len));
}

static void pinged(struct pulse_ws_conn *conn, const void *data, size_t len, void *arg)
{
	(void)arg;
	if (conn == here.conn)
		promise(&here, 0x8a, data, len);
}

static void over(struct pulse_ws_conn *conn, int code, const char *reason, size_t len,
		 void *arg)
{
	struct promised *to = conn == here.conn ? &here : &there;

	(void)code;
	(void)reason;
	(void)len;
	(void)arg;
	to->conn = NULL;
}

static struct pulse_ws_server *quiet_server(uint32_t high, bool deflate)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = answer, .on_ping = pinged,
		   .on_close = over);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .min_bytes = 1 << 20);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .send_high_bytes = high,
		   .deflate = deflate ? &d : NULL,
		   .handshake_timeout_ms = PULSE_OFF,
		   .ping_interval_ms = PULSE_OFF, .idle_timeout_ms = PULSE_OFF,
		   .write_timeout_ms = PULSE_OFF, .close_timeout_ms = PULSE_OFF);
	struct pulse_ws_server *server = NULL;

	for (size_t i = 0; i < sizeof(own); i++)
		own[i] = (uint8_t)('A' + (i * 7 + i / 256) % 26);
	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	return server;
}

/* ---- what a peer says ---------------------------------------------------- */

static uint8_t said[TALK];
static size_t said_len;

static void say_upgrade(bool deflate)
{
	said_len = (size_t)sprintf((char *)said, "%.*s%s\r\n",
				   (int)strlen(UPGRADE) - 2, UPGRADE, !deflate ? "" :
				   "Sec-WebSocket-Extensions: permessage-deflate\r\n");
}

static void say(uint8_t first, char what, size_t len)
{
	static uint8_t body[LARGE];

	for (size_t i = 0; i < len; i++)
		body[i] = (uint8_t)('a' + (i * 11 + i / 256 + said_len) % 26);
	if (len)
		body[0] = (uint8_t)what;
	said_len += peer_frame(said + said_len, first, body, len);
}

static uint32_t chance(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525U + 1013904223U;	/* Knuth, TAOCP 3.3.4 */
	return (*state >> 8) % n;
}

static void say_anything(uint32_t *state, size_t max)
{
	static const size_t sizes[] = { 1, 2, 8, 20, 31, 125, 126, 127, 512, 2047, 2048,
					2049, 4100, 16384, 20000, 65535, 65536, LARGE };
	static const char kinds[] = "eeeeeeeeeeednobamhtu";
	char what = kinds[chance(state, sizeof(kinds) - 1)];
	size_t len = sizes[chance(state, ARRAY_SIZE(sizes))];
	uint8_t op = (uint8_t)(1 + chance(state, 2));

	len = len > max ? len % max + 1 : len;
	switch (chance(state, 12)) {
	case 0:
		say(0x89, 'e', chance(state, 125));
		break;
	case 1:			/* in pieces, with something between them */
		say(op, what, len / 2 + 1);
		say(0x89, 'e', 3);
		say(0x80, 'x', len - len / 2 - 1 ? len - len / 2 - 1 : 1);
		break;
	default:
		say(0x80 | op, what, len);
		break;
	}
}

static const uint8_t *answers(const struct mock *m, size_t *len)
{
	const uint8_t *at = m->out ? memmem(m->out, m->out_len, "\r\n\r\n", 4) : NULL;

	*len = at ? m->out_len - (size_t)(at + 4 - m->out) : 0;
	return at ? at + 4 : NULL;
}

static void check_promised(const struct mock *m, const struct promised *to,
			   const char *who)
{
	size_t len, i = 0;
	const uint8_t *got = answers(m, &len);

	if (!KT_CHECK(got))
		return;
	while (i < len && i < to->len && got[i] == to->bytes[i])
		i++;
	KT_CHECKF(len == to->len && i == len,
		  "%s: reads %zu sends %zu refuse %u async %d: %zu bytes, not %zu; the first that is wrong: %zu",
		  who, m->read_max, m->send_max, m->refuse, m->async, len, to->len, i);
}

static void opened(struct promised *to, struct mock *m, struct pulse_ws_server *server)
{
	static const char upgrade[] = UPGRADE;
	const uint8_t *in = m->in;
	size_t len = m->in_len;
	bool keep = m->keep_open;

	if (!to->bytes)
		to->bytes = malloc(16U << 20);
	to->len = 0;
	KT_EQ(mock_connect(m, server), 0);
	to->conn = pulse__list_entry(server->loops[0]->conns.prev,
				     struct pulse_ws_conn, link);
	if (in)
		return;
	m->in = (const uint8_t *)upgrade;
	m->in_len = sizeof(upgrade) - 1;
	m->keep_open = true;
	mock_run(m);
	m->in_len = len;
	m->in_at = 0;
	m->keep_open = keep;
}

/* One connection that says it all, and one that only hears. */
static void check(struct pulse_ws_server *server, struct mock mood)
{
	struct mock m = mood, quiet = { .keep_open = true, .send_max = mood.send_max };

	m.in = said;
	m.in_len = said_len;
	opened(&there, &quiet, server);
	opened(&here, &m, server);
	mock_run(&m);
	mock_run(&quiet);
	KT_CHECK(!m.broken && !quiet.broken);
	KT_CHECK(m.closed);
	check_promised(&m, &here, "here");
	check_promised(&quiet, &there, "there");
	quiet.keep_open = false;
	quiet.in_len = quiet.in_at = 0;
	mock_run(&quiet);
	KT_CHECK(quiet.closed);
	free(m.out);
	free(quiet.out);
}

static void check_moods(struct pulse_ws_server *server)
{
	static const struct mock moods[] = {
		{ .read_max = 0 },
		{ .read_max = 100 },
		{ .read_max = 5000 },
		{ .read_max = 65536 },
		{ .send_max = 900 },
		{ .send_max = 30000 },
		{ .refuse = 2 },
		{ .refuse = 3, .send_max = 5000, .read_max = 20000 },
		{ .async = true },
		{ .async = true, .read_max = 5000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(moods); i++)
		check(server, moods[i]);
}

static void check_anything(uint32_t high, size_t max, bool deflate)
{
	struct pulse_ws_server *server = quiet_server(high, deflate);
	uint32_t state = 17 + high;

	memset(seen, 0, sizeof(seen));
	for (long round = 0; round < kt_scale(12); round++) {
		say_upgrade(deflate);
		for (int i = 0; i < 100; i++)
			say_anything(&state, max);
		/* An end of the server's, or of the peer's. */
		if (round % 2) {
			say(0x82, 'c', 30);
			said_len += peer_frame(said + said_len, 0x88, "\x03\xe8", 2);
		}
		check_moods(server);
	}
	for (const char *k = "ednobamhtu"; *k; k++)
		KT_CHECKF(seen[(uint8_t)*k] || kt_scale(100) < 100, "no '%c'", *k);
	KT_EQ(stats_of(server).connections, 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(small_ones_come_back_as_they_were_with_whatever_else_is_sent)
{
	check_anything(64 << 20, 600, false);
}

KT_TEST(all_sizes_come_back_as_they_were_with_whatever_else_is_sent)
{
	check_anything(64 << 20, LARGE, false);
}

KT_TEST(so_they_do_where_much_is_refused)
{
	check_anything(3000, 600, false);
	check_anything(40000, LARGE, false);
}

KT_TEST(so_they_do_where_others_would_be_compressed)
{
	check_anything(64 << 20, LARGE, true);
}

/* ---- one send for one read ------------------------------------------------ */

static void sends_for(struct pulse_ws_server *server, unsigned int nr, size_t size,
		      size_t read_max, uint64_t want)
{
	struct mock m = { .keep_open = true, .read_max = read_max };
	struct mock quiet = { .keep_open = true };
	uint64_t before;

	opened(&there, &quiet, server);
	opened(&here, &m, server);
	said_len = 0;
	for (unsigned int i = 0; i < nr; i++)
		say(0x82, 'e', size);
	m.in = said;
	m.in_len = said_len;
	before = server->loops[0]->n.sends;
	lent = NULL;
	close_up = 0;
	mock_run(&m);
	KT_CHECKF(server->loops[0]->n.sends - before == want,
		  "%u of %zu bytes: %llu sends", nr, size,
		  (unsigned long long)(server->loops[0]->n.sends - before));
	check_promised(&m, &here, "echo");
	m.in_len = m.in_at = quiet.in_len = quiet.in_at = 0;
	m.keep_open = quiet.keep_open = false;
	mock_run(&m);
	mock_run(&quiet);
	KT_CHECK(m.closed && quiet.closed);
	free(m.out);
	free(quiet.out);
}

KT_TEST(answers_of_one_read_are_one_send)
{
	static const size_t sizes[] = { 1, 20, 125, 126, 512, 2047, 2048, 5000, 16384 };
	struct pulse_ws_server *server = quiet_server(64 << 20, false);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		sends_for(server, 16, sizes[i], 0, 1);
		KT_EQ(close_up, 15);	/* without a copy */
	}
	sends_for(server, 400, 1000, 0, 1);
	/* More than may be unsent: each time it is as much. */
	sends_for(server, 16, 5000, 0, 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	server = quiet_server(20000, false);
	sends_for(server, 16, 5000, 0, 6);
	sends_for(server, 3, 25000, 0, 3);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* One that came in part before goes out with those that came with its rest. */
KT_TEST(answers_behind_one_that_was_cut_are_the_same_send)
{
	struct pulse_ws_server *server = quiet_server(64 << 20, false);

	sends_for(server, 3, 20000, 35000, 2);
	sends_for(server, 4, 20000, 21000, 4);
	sends_for(server, 8, LARGE, 2 * LARGE + 100, 4);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

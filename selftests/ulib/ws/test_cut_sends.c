// SPDX-License-Identifier: GPL-2.0-only
/*
 * W03, W07: whatever the system takes of each send, and whatever it says instead
 * at any byte, frames come whole and in order, of whatever kind they are; or the
 * connection ends once, and the peer has what came before.
 */
#include "cut_sends.h"
#include "keeping.h"

#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>

#define TALK	(1U << 20)

static uint8_t body[200000];

/* What a peer says in one connection, and what it hears. */
struct talk {
	uint8_t *say, *hear;
	size_t say_len, hear_len;
};

/* Answers of every kind there is, by the first byte of what comes. */
static void answer(struct pulse_ws_conn *conn, int opcode, const void *data,
		   size_t len, void *arg)
{
	struct pulse_ws_prepared *msg = NULL;
	const uint8_t *p = data;

	(void)arg;
	switch (len ? p[0] : 0) {
	case 'P':		/* by reference, as to many */
		KT_EQ(pulse_ws_prepare(opcode, data, len, &msg), 0);
		pulse_ws_send(conn, opcode, "before", 6);
		pulse_ws_send_prepared(conn, msg);
		pulse_ws_send(conn, opcode, "after", 5);
		pulse_ws_prepared_put(msg);
		break;
	case 'S':		/* in pieces, with another behind it */
		pulse_ws_send_begin(conn, opcode);
		for (size_t at = 0; at < len; at += 700) {
			pulse_ws_send_piece(conn, p + at, len - at < 700 ? len - at : 700);
			pulse_ws_send(conn, PULSE_WS_PING, "in between", 10);
		}
		pulse_ws_send(conn, opcode, "behind", 6);
		pulse_ws_send_end(conn);
		break;
	case 'C':		/* of the program's own memory */
		pulse_ws_send(conn, opcode, body, len);
		break;
	default:
		pulse_ws_send(conn, opcode, data, len);
		break;
	}
}

static struct pulse_ws_server *begin(struct pulse_ws_deflate_opts *d)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = answer);
	PULSE_OPTS(pulse_ws_opts, o, .deflate = d, .max_per_address = 1000,
		   .send_high_bytes = 8 << 20, .ping_interval_ms = PULSE_OFF);
	struct pulse_ws_server *s;

	cut_spared = true;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)('a' + (i * 7 + i / 251) % 26);
	kept = NULL;
	closing = closes = 0;
	h.on_close = count_close;
	o.handlers = &h;
	s = serve(&o);
	return s;
}

static void talk_begin(struct talk *t, bool deflate)
{
	*t = (struct talk){ .say = malloc(TALK), .hear = malloc(TALK) };
	t->say_len = (size_t)sprintf((char *)t->say, "%.*s%s\r\n",
				     (int)strlen(UPGRADE) - 2, UPGRADE, !deflate ? "" :
				     "Sec-WebSocket-Extensions: permessage-deflate\r\n");
}

static void talk_add(struct talk *t, uint8_t first, char what, size_t len)
{
	uint8_t was = body[0];

	body[0] = (uint8_t)what;
	t->say_len += peer_frame(t->say + t->say_len, first, body, len);
	body[0] = was;
}

static void talk_close(struct talk *t)
{
	t->say_len += peer_frame(t->say + t->say_len, 0x88, "\x03\xe8", 2);
}

static void talk_end(struct talk *t)
{
	free(t->say);
	free(t->hear);
}

/* One connection to its end; how many bytes the peer has got. */
static size_t talk(struct pulse_ws_server *server, const struct talk *t,
		   uint8_t *hear)
{
	int before = closed();
	struct peer p = peer_connect(server);
	size_t got = 0, at = 0;
	uint64_t left = 1;

	while (left) {
		struct pollfd pfd = { p.fd, POLLIN, 0 };
		ssize_t n;

		if (at < t->say_len)
			pfd.events |= POLLOUT;
		if (poll(&pfd, 1, 60000) < 1)
			break;
		if (pfd.revents & POLLOUT) {
			n = send(p.fd, t->say + at, t->say_len - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
			at = n > 0 ? at + (size_t)n : n < 0 && errno == EAGAIN ? at :
			     t->say_len;
		}
		if (!(pfd.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = recv(p.fd, hear + got, TALK - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	/* A handshake that was not answered has opened nothing. */
	KT_CHECK(closed() - before <= 1);
	return got;
}

/* The same bytes as without any of it. */
static bool same(struct pulse_ws_server *server, const struct talk *t, long where)
{
	static uint8_t hear[TALK];
	size_t n = talk(server, t, hear);
	size_t i = 0;

	if (n == t->hear_len && !memcmp(hear, t->hear, n))
		return KT_CHECK(true);
	while (i < n && i < t->hear_len && hear[i] == t->hear[i])
		i++;
	KT_FAIL("at %ld: %zu bytes, not %zu; the first that is wrong: %zu", where,
		n, t->hear_len, i);
	return false;
}

static void listen_to(struct pulse_ws_server *server, struct talk *t, size_t least)
{
	cut_begin((struct cut){ 0 });
	t->hear_len = talk(server, t, t->hear);
	KT_CHECKF(t->hear_len > least, "%zu bytes", t->hear_len);
	cut_end();
}

/* From one place to the next: each byte, or fewer where time is dear. */
static long step(void)
{
	long percent = kt_scale(100);

	return percent < 100 ? 100 / percent : 1;
}

/* Little of all kinds: each byte is a place to be cut at. */
static void little_talk(struct talk *t, bool deflate)
{
	talk_begin(t, deflate);
	talk_add(t, 0x81, 'x', 1);
	talk_add(t, 0x82, 'x', 20);
	talk_add(t, 0x89, 'x', 9);
	talk_add(t, 0x82, 'x', 125);
	talk_add(t, 0x81, 'x', 126);
	talk_add(t, 0x82, 'P', 90);
	talk_close(t);
}

static void large_talk(struct talk *t)
{
	talk_begin(t, false);
	talk_add(t, 0x82, 'x', 3000);
	talk_add(t, 0x82, 'x', 5000);
	talk_add(t, 0x81, 'S', 2500);
	talk_add(t, 0x82, 'P', 40000);
	talk_add(t, 0x82, 'C', 66000);
	talk_add(t, 0x82, 'x', 120000);
	talk_close(t);
}

static void said_at_each_byte(int err, bool deflate)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1, .min_bytes = 1);
	struct pulse_ws_server *server = begin(deflate ? &d : NULL);
	struct talk t;
	long cuts = 0, n = 0;

	little_talk(&t, deflate);
	listen_to(server, &t, 250);
	KT_EQ(!!memmem(t.hear, t.hear_len, "permessage-deflate", 18), deflate);
	for (long at = 0; at < (long)t.hear_len; at += step(), n++) {
		cut_begin((struct cut){ .at = at, .err = err, .times = 1 + n % 2 });
		if (!same(server, &t, at))
			break;
		cuts += cut_end() > 0;
	}
	KT_EQ(cuts, n);
	talk_end(&t);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(full_at_each_byte_frames_come_whole)
{
	said_at_each_byte(EAGAIN, false);
}

KT_TEST(short_of_memory_at_each_byte_frames_come_whole)
{
	said_at_each_byte(ENOBUFS, false);
}

KT_TEST(interrupted_at_each_byte_frames_come_whole)
{
	said_at_each_byte(EINTR, false);
}

KT_TEST(full_at_each_byte_compressed_frames_come_whole)
{
	said_at_each_byte(EAGAIN, true);
}

KT_TEST(taken_a_few_bytes_at_a_time_frames_come_whole)
{
	static const size_t most[] = { 1, 2, 3, 7, 125, 4097, 70001 };
	struct pulse_ws_server *server = begin(NULL);
	struct talk little, large;

	little_talk(&little, false);
	large_talk(&large);
	listen_to(server, &little, 300);
	listen_to(server, &large, 230000);
	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		cut_begin((struct cut){ .at_most = most[i] });
		same(server, most[i] < 100 ? &little : &large, (long)most[i]);
		KT_CHECK(cut_end() > 0);
	}
	talk_end(&little);
	talk_end(&large);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Around each edge of the large ones, and here and there within. */
KT_TEST(large_frames_come_whole_wherever_they_are_cut)
{
	static const int errs[] = { EAGAIN, ENOBUFS, EINTR };
	struct pulse_ws_server *server = begin(NULL);
	long cuts = 0, n = 0;
	struct talk t;

	large_talk(&t);
	listen_to(server, &t, 230000);
	for (long at = 0; at < (long)t.hear_len; at += step() * (1 + at % 1499)) {
		cut_begin((struct cut){ .at = at, .err = errs[n++ % 3], .times = 2 });
		if (!same(server, &t, at))
			break;
		cuts += cut_end() > 0;
	}
	for (long every = 2; every < 6; every++) {
		cut_begin((struct cut){ .every = every, .err = EAGAIN, .at_most = 9000 });
		same(server, &t, every);
		cuts += cut_end() > 0;
		n++;
	}
	KT_EQ(cuts, n);
	talk_end(&t);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* It ends once, the peer has a beginning of it, and nothing is left. */
static void broken_at(struct pulse_ws_server *server, const struct talk *t, long at)
{
	static uint8_t hear[TALK];
	size_t n;

	cut_begin((struct cut){ .at = at, .err = ECONNRESET, .times = 1L << 30 });
	n = talk(server, t, hear);
	KT_CHECKF((long)n <= at && !memcmp(hear, t->hear, n),
		  "broken at %ld: %zu bytes", at, n);
	KT_CHECKF(cut_end() > 0, "not broken at %ld", at);
}

KT_TEST(broken_at_each_byte_it_ends_once_and_nothing_is_left)
{
	struct pulse_ws_server *server = begin(NULL);
	struct talk little, large;

	little_talk(&little, false);
	large_talk(&large);
	listen_to(server, &little, 300);
	listen_to(server, &large, 230000);
	for (long at = 0; at < (long)little.hear_len; at += step())
		broken_at(server, &little, at);
	for (long at = 1; at < (long)large.hear_len; at += 4999)
		broken_at(server, &large, at);
	/* and all works as before */
	same(server, &little, -1);
	talk_end(&little);
	talk_end(&large);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- the other role ------------------------------------------------------------- */

static long heard, wrong, opens;

static void client_opens(struct pulse_ws_conn *conn, void *arg)
{
	(void)conn;
	(void)arg;
	__atomic_store_n(&opens, 1, __ATOMIC_RELEASE);
}

static void client_hears(struct pulse_ws_conn *conn, int opcode, const void *data,
			 size_t len, void *arg)
{
	long n = __atomic_load_n(&heard, __ATOMIC_RELAXED);

	(void)conn;
	(void)arg;
	wrong += opcode != PULSE_WS_BINARY || len != (size_t)(n * 331 % 30000) ||
		 memcmp(data, body, len);
	__atomic_store_n(&heard, n + 1, __ATOMIC_RELEASE);
}

/* Masked frames are cut as well; what comes back is what was sent, in order. */
KT_TEST(what_a_client_sends_comes_back_whole_and_in_order)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = client_opens,
		   .on_message = client_hears);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .handlers = &h,
		   .send_high_bytes = 64 << 20);
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 32];
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	struct pulse_ws_server *server = begin(NULL), *client = serve(&o);
	struct pulse_ws_conn *conn = NULL;
	long total = kt_scale(300);

	heard = wrong = opens = 0;
	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	snprintf(url, sizeof(url), "ws://%s/", where);
	cut_begin((struct cut){ .every = 3, .err = EAGAIN, .at_most = 1777 });
	KT_EQ(pulse_ws_connect(client, &to, &conn), 0);
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&opens, __ATOMIC_ACQUIRE)));
	for (long i = 0; i < total; i++)
		KT_EQ(pulse_ws_send(conn, PULSE_WS_BINARY, body,
				    (size_t)(i * 331 % 30000)), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&heard, __ATOMIC_ACQUIRE) == total));
	KT_EQ(wrong, 0);
	KT_CHECK(cut_end() > 0);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

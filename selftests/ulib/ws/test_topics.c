// SPDX-License-Identifier: GPL-2.0-only
/* Messages for many: prepared ones, topics, drops that are counted. */
#include "keeping.h"

#include <pulse-u/ws_topic.h>
#include <zlib.h>

#include "ws/ws_int.h"

#define MANY 40

/* Subscribes each connection to the path it asked for. */
static int by_path(struct pulse_ws_conn *conn,
		   const struct pulse_ws_request *request,
		   struct pulse_ws_answer *answer, void *arg)
{
	(void)conn;
	(void)arg;
	answer->user = strdup(pulse_ws_request_path(request) + 1);
	return 0;
}

/* The first one since kept was NULL. */
static void keep_first(struct pulse_ws_conn *conn)
{
	struct pulse_ws_conn *none = NULL;

	if (!__atomic_compare_exchange_n(&kept, &none, pulse_ws_get(conn), false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		pulse_ws_put(conn);
}

static void subscribe_to_path(struct pulse_ws_conn *conn, void *arg)
{
	char *topic = pulse_ws_conn_user(conn);

	KT_EQ(pulse_ws_subscribe(conn, topic), 0);
	KT_EQ(pulse_ws_subscribe(conn, topic), 0);	/* once is enough */
	free(topic);
	(void)arg;
	keep_first(conn);
}

static uint64_t told_drops;

static void count_drops(struct pulse_ws_conn *conn, uint64_t count, void *arg)
{
	(void)conn;
	(void)arg;
	KT_CHECK(count > 0);
	__atomic_fetch_add(&told_drops, count, __ATOMIC_RELAXED);
}

static bool drops_told(uint64_t want)
{
	return __atomic_load_n(&told_drops, __ATOMIC_RELAXED) == want;
}

static struct pulse_ws_server *serve_topics(struct pulse_ws_opts *o)
{
	static struct pulse_ws_handlers h;

	h = (struct pulse_ws_handlers){ .sz = sizeof(h),
		.on_request = by_path, .on_open = subscribe_to_path,
		.on_close = count_close, .on_drop = count_drops };
	o->handlers = &h;
	told_drops = 0;
	kept = NULL;
	closing = closes = 0;
	return serve(o);
}

static struct peer peer_on(struct pulse_ws_server *server, const char *topic,
			   const char *more, int rcvbuf)
{
	struct peer p = peer_connect_buf(server, rcvbuf);
	char text[512];

	snprintf(text, sizeof(text),
		 "GET /%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
		 "Sec-WebSocket-Version: 13\r\n%s\r\n", topic, more);
	KT_CHECK(peer_say(&p, text));
	KT_EQ(peer_status(&p), 101);
	return p;
}

static struct pulse_ws_topic_stats topic_of(struct pulse_ws_server *server,
					    const char *topic)
{
	struct pulse_ws_topic_stats s = { .sz = sizeof(s) };

	if (pulse_ws_topic_stats(server, topic, &s))
		s.subscribers = 0;
	return s;
}

KT_TEST(a_message_reaches_all_subscribers_of_its_topic_on_all_loops)
{
	PULSE_OPTS(pulse_ws_opts, o, .threads = 3);
	struct pulse_ws_server *server = serve_topics(&o);
	long rounds = kt_scale(50);
	struct peer p[MANY];

	for (int i = 0; i < MANY; i++)
		p[i] = peer_on(server, i % 2 ? "odd" : "even", "", 0);
	KT_CHECK(EVENTUALLY(topic_of(server, "odd").subscribers == MANY / 2 &&
			    topic_of(server, "even").subscribers == MANY / 2));
	for (long r = 0; r < rounds; r++) {
		KT_EQ(pulse_ws_publish(server, "odd", NULL, PULSE_WS_BINARY, &r,
				       sizeof(r)), MANY / 2);
		KT_EQ(pulse_ws_publish(server, "even", NULL, PULSE_WS_TEXT,
				       "even", 4), MANY / 2);
		KT_EQ(pulse_ws_publish(server, "none", NULL, PULSE_WS_TEXT, "x",
				       1), 0);
		for (int i = 0; i < MANY; i++)
			KT_CHECK(i % 2 ?
				 peer_expect(&p[i], 0x82, &r, sizeof(r)) :
				 peer_expect(&p[i], 0x81, "even", 4));
	}
	KT_CHECK(EVENTUALLY(stats_of(server).delivered ==
			    (uint64_t)rounds * MANY));
	KT_EQ(topic_of(server, "odd").published, rounds);
	KT_EQ(topic_of(server, "odd").delivered, rounds * MANY / 2);
	KT_EQ(stats_of(server).dropped, 0);
	for (int i = 0; i < MANY; i++)
		peer_close(&p[i]);
	/* A topic ends with its last subscription. */
	KT_CHECK(EVENTUALLY(!topic_of(server, "odd").subscribers));
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

struct publisher {
	struct pulse_ws_server *server;
	uint8_t who;
	long n;
};

static void *publish_many(void *arg)
{
	struct publisher *p = arg;

	for (long i = 0; i < p->n; i++) {
		uint8_t m[9] = { p->who };
		int err;

		memcpy(m + 1, &i, sizeof(i));
		while ((err = pulse_ws_publish(p->server, "t", NULL,
					       PULSE_WS_BINARY, m,
					       sizeof(m))) == -EAGAIN)
			peer_nap(1);
		if (err < 0)
			KT_FAIL("publish: %d", err);
	}
	return NULL;
}

KT_TEST(all_subscribers_get_a_topics_messages_in_the_same_order)
{
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2, .send_high_bytes = 8 << 20);
	struct pulse_ws_server *server = serve_topics(&o);
	long n = kt_scale(3000), got = 0;
	struct publisher pub[3];
	pthread_t t[3];
	struct peer p[4];
	struct frame f;
	uint8_t first[9];

	for (int i = 0; i < 4; i++)
		p[i] = peer_on(server, "t", "", 0);
	KT_CHECK(EVENTUALLY(topic_of(server, "t").subscribers == 4));
	for (int i = 0; i < 3; i++) {
		pub[i] = (struct publisher){ server, (uint8_t)i, n };
		KT_EQ(pthread_create(&t[i], NULL, publish_many, &pub[i]), 0);
	}
	for (; got < 3 * n; got++) {
		if (!KT_CHECK(peer_next(&p[0], &f) && f.len == 9))
			break;
		memcpy(first, f.data, 9);
		for (int i = 1; i < 4; i++)
			if (!peer_expect(&p[i], 0x82, first, 9))
				KT_FAIL("subscriber %d, message %ld", i, got);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	KT_EQ(got, 3 * n);
	for (int i = 0; i < 4; i++)
		peer_close(&p[i]);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* From another thread than the loop's: what it publishes afterwards comes. */
KT_TEST(a_thread_that_subscribes_a_connection_gets_what_it_publishes)
{
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2, .max_topics = 2,
		   .max_subscriptions = 2);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer p = peer_on(server, "first", "", 0);
	char name[PULSE_WS_TOPIC_MAX + 2];

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_subscribe(kept, "second"), 0);
	KT_EQ(pulse_ws_publish(server, "second", NULL, PULSE_WS_TEXT, "hello",
			       5), 1);
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	/* Its own message, and two limits. */
	KT_EQ(pulse_ws_publish(server, "second", kept, PULSE_WS_TEXT, "own", 3),
	      1);
	KT_EQ(pulse_ws_subscribe(kept, "third"), -ENOSPC);
	KT_EQ(pulse_ws_unsubscribe(kept, "third"), -ENOENT);
	KT_EQ(pulse_ws_unsubscribe(kept, "second"), 0);
	KT_CHECK(EVENTUALLY(!topic_of(server, "second").subscribers));
	KT_EQ(pulse_ws_publish(server, "second", NULL, PULSE_WS_TEXT, "no", 2),
	      0);
	KT_EQ(pulse_ws_publish(server, "first", NULL, PULSE_WS_TEXT, "yes", 3),
	      1);
	KT_CHECK(peer_expect(&p, 0x81, "yes", 3));
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = 0;
	KT_EQ(pulse_ws_subscribe(kept, name), -ENAMETOOLONG);
	KT_EQ(pulse_ws_subscribe(kept, ""), -EINVAL);
	KT_EQ(pulse_ws_subscribe(NULL, "x"), -EINVAL);
	KT_EQ(pulse_ws_unsubscribe(NULL, "x"), -EINVAL);
	KT_EQ(pulse_ws_publish(NULL, "x", NULL, PULSE_WS_TEXT, "", 0), -EINVAL);
	KT_EQ(pulse_ws_publish(server, "x", NULL, PULSE_WS_PING, "", 0),
	      -EINVAL);
	KT_EQ(pulse_ws_publish_prepared(server, "x", NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_topic_stats(server, "x", NULL), -EINVAL);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(pulse_ws_subscribe(kept, "first") == -ESRCH));
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/*
 * FAULTS W03, for topics: one of two never reads. What it loses is counted, to the
 * last message, and the other one gets all.
 */
KT_TEST(what_a_slow_subscriber_loses_is_counted_exactly)
{
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 40000);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer slow = peer_on(server, "t", "", 64 << 10);
	struct pulse_ws_conn *slow_conn;
	static uint8_t m[5000];
	struct peer fast;
	uint64_t n = (uint64_t)kt_scale(2000), got = 0, lost;
	struct frame f;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	slow_conn = kept;
	kept = NULL;
	fast = peer_on(server, "t", "", 0);
	KT_CHECK(EVENTUALLY(topic_of(server, "t").subscribers == 2));
	for (uint64_t i = 0; i < n; i++) {
		memcpy(m, &i, sizeof(i));
		KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, m,
				       sizeof(m)), 2);
		KT_CHECK(peer_expect(&fast, 0x82, m, sizeof(m)));
	}
	KT_CHECK(EVENTUALLY(topic_of(server, "t").delivered +
			    topic_of(server, "t").dropped == 2 * n));
	lost = pulse_ws_conn_dropped(slow_conn);
	/* What the sockets hold is up to the kernel, some megabytes. */
	KT_CHECK(lost > 0 || n < 2000);
	KT_EQ(pulse_ws_conn_dropped(kept), 0);
	KT_EQ(topic_of(server, "t").dropped, lost);
	KT_EQ(stats_of(server).dropped, lost);
	KT_CHECK(EVENTUALLY(drops_told(lost)));
	KT_CHECKF(pulse_ws_conn_queued(slow_conn) <= 40000 + 6000,
		  "%zu unsent", pulse_ws_conn_queued(slow_conn));
	/* All that was not dropped is there, in order, and no more. */
	for (uint64_t last = 0; got < n - lost; got++) {
		uint64_t i;

		if (!KT_CHECK(peer_next(&slow, &f) && f.len == sizeof(m)))
			break;
		memcpy(&i, f.data, sizeof(i));
		KT_CHECK(got == 0 || i > last);
		last = i;
	}
	KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "end", 3), 2);
	KT_CHECK(peer_expect(&slow, 0x81, "end", 3));
	peer_close(&slow);
	peer_close(&fast);
	pulse_ws_put(slow_conn);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Reads numbered messages up to the one that is @last; how many, 0: wrong. */
static uint64_t read_numbers(struct peer *p, size_t len, uint64_t last,
			     uint64_t *in_a_row)
{
	uint64_t i = 0, before = 0, got = 0;
	struct frame f;

	*in_a_row = 0;
	do {
		if (!KT_CHECK(peer_next(p, &f) && f.len == len))
			return 0;
		memcpy(&i, f.data, sizeof(i));
		if (got && !KT_CHECK(i > before))
			return 0;
		*in_a_row = got && i == before + 1 ? *in_a_row + 1 : 1;
		before = i;
		got++;
	} while (i < last);
	return got;
}

/*
 * FAULTS W03: who reads late gets what is newest, and each message is counted
 * once, as delivered or as dropped; also of two topics that drop each other's.
 */
KT_TEST(the_oldest_that_wait_are_dropped_where_the_policy_says_so)
{
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 40000,
		   .slow = PULSE_WS_SLOW_DROP_OLDEST);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer slow = peer_on(server, "t", "", 64 << 10);
	uint64_t n = (uint64_t)kt_scale(2000), lost, got, in_a_row;
	struct pulse_ws_conn *slow_conn;
	static uint8_t m[5000];
	struct peer fast;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	slow_conn = kept;
	KT_EQ(pulse_ws_subscribe(slow_conn, "u"), 0);
	kept = NULL;
	fast = peer_on(server, "t", "", 0);
	KT_CHECK(EVENTUALLY(topic_of(server, "t").subscribers == 2));
	for (uint64_t i = 0; i < n; i++) {
		bool odd = i % 2;

		memcpy(m, &i, sizeof(i));
		KT_EQ(pulse_ws_publish(server, odd ? "u" : "t", NULL,
				       PULSE_WS_BINARY, m, sizeof(m)),
		      odd ? 1 : 2);
		if (!odd)
			KT_CHECK(peer_expect(&fast, 0x82, m, sizeof(m)));
	}
	/* "u" is the slow one's alone: behind it, all is handed out. */
	KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, m,
			       sizeof(m)), 2);
	KT_CHECK(peer_expect(&fast, 0x82, m, sizeof(m)));
	KT_CHECKF(pulse_ws_conn_queued(slow_conn) <= 40000 + 6000,
		  "%zu unsent", pulse_ws_conn_queued(slow_conn));
	got = read_numbers(&slow, sizeof(m), n - 1, &in_a_row);
	KT_CHECKF(in_a_row >= 6 || in_a_row == n, "%llu in a row at the end",
		  (unsigned long long)in_a_row);
	KT_CHECK(peer_expect(&slow, 0x82, m, sizeof(m)));
	KT_CHECK(EVENTUALLY(stats_of(server).delivered +
			    stats_of(server).dropped ==
			    n + (n + 1) / 2 + 2));
	lost = pulse_ws_conn_dropped(slow_conn);
	KT_CHECK(EVENTUALLY(drops_told(lost)));
	KT_EQ(got + lost, n);
	KT_CHECK(lost > 0 || n < 500);
	KT_EQ(pulse_ws_conn_dropped(kept), 0);
	KT_EQ(topic_of(server, "t").dropped + topic_of(server, "u").dropped,
	      lost);
	KT_EQ(topic_of(server, "t").delivered + topic_of(server, "t").dropped,
	      2 * ((n + 1) / 2) + 2);
	KT_EQ(topic_of(server, "u").delivered + topic_of(server, "u").dropped,
	      n / 2);
	KT_EQ(stats_of(server).dropped, lost);
	peer_close(&slow);
	peer_close(&fast);
	pulse_ws_put(slow_conn);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* What still waits is nobody's when the connection goes, nor is its topic. */
KT_TEST(what_waits_ends_with_its_connection)
{
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 10000,
		   .slow = PULSE_WS_SLOW_DROP_OLDEST);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer p = peer_on(server, "t", "", 64 << 10);
	static uint8_t m[5000];

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (int i = 0; i < 100000 && !pulse_ws_conn_dropped(kept); i++) {
		pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, m,
				 sizeof(m));
		if (!(i & 15))
			peer_nap(1);
	}
	KT_CHECK(pulse_ws_conn_dropped(kept) > 0);
	peer_reset(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(!topic_of(server, "t").subscribers));
	KT_CHECK(EVENTUALLY(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT,
					     "x", 1) == 0));
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_slow_subscriber_is_closed_where_the_policy_says_so)
{
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 40000,
		   .slow = PULSE_WS_SLOW_CLOSE, .close_timeout_ms = 200);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer p = peer_on(server, "t", "", 64 << 10);
	static uint8_t m[5000];

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (int i = 0; i < 100000 && !closed(); i++) {
		pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, m,
				 sizeof(m));
		if (!(i & 15))
			peer_nap(1);
	}
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_EQ(closed_codes[0], PULSE_WS_TRY_LATER);
	KT_EQ(pulse_ws_conn_dropped(kept), 1);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- compression ----------------------------------------------------------- */

/* Undoes a message's compression with the peer's own window. */
static bool unpacked_is(z_stream *z, struct frame *f, const char *text,
			size_t len)
{
	static uint8_t in[70000], out[70000];

	if (f->first != 0xc1)
		return false;
	memcpy(in, f->data, f->len);
	memcpy(in + f->len, "\0\0\xff\xff", 4);
	z->next_in = in;
	z->avail_in = (unsigned int)f->len + 4;
	z->next_out = out;
	z->avail_out = sizeof(out);
	return inflate(z, Z_SYNC_FLUSH) == Z_OK && !z->avail_in &&
	       sizeof(out) - z->avail_out == len && !memcmp(out, text, len);
}

/*
 * Connections with context takeover, without, with small windows and none at
 * all; published messages and each one's own, in turn.
 */
KT_TEST(a_message_is_compressed_once_for_a_window_and_fits_each_peers_stream)
{
	static const char *const offers[] = {
		"", "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; "
			"server_no_context_takeover\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; "
			"server_max_window_bits=9\r\n",
	};
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 6);
	PULSE_OPTS(pulse_ws_opts, o, .deflate = &d);
	struct pulse_ws_server *server = serve_topics(&o);
	struct pulse_ws_conn *conn[ARRAY_SIZE(offers)];
	struct peer p[ARRAY_SIZE(offers)];
	z_stream z[ARRAY_SIZE(offers)] = { 0 };
	uint64_t before;
	char text[600];
	struct frame f;

	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		kept = NULL;
		p[i] = peer_on(server, "t", offers[i], 0);
		KT_REQUIRE(EVENTUALLY(kept_conn()));
		conn[i] = kept;
		KT_EQ(inflateInit2(&z[i], i == 4 ? -9 : -15), Z_OK);
	}
	for (int r = 0; r < 20; r++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('a' + (i * i + (size_t)r) % 26 % 7);
		before = stats_of(server).deflated;
		KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, text,
				       sizeof(text)), 5);
		for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
			KT_CHECK(peer_next(&p[i], &f));
			if (!i)
				KT_CHECK(f.first == 0x81 &&
					 f.len == sizeof(text) &&
					 !memcmp(f.data, text, f.len));
			else if (!unpacked_is(&z[i], &f, text, sizeof(text)))
				KT_FAIL("peer %zu, round %d", i, r);
		}
		/* Four compress: three windows of 15 bits, one of 9. */
		KT_EQ(stats_of(server).deflated - before, 2);
		text[0] = 'Z';
		for (size_t i = 0; i < ARRAY_SIZE(offers); i++)
			KT_EQ(pulse_ws_send(conn[i], PULSE_WS_TEXT, text,
					    sizeof(text)), 0);
		for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
			KT_CHECK(peer_next(&p[i], &f));
			if (i && !unpacked_is(&z[i], &f, text, sizeof(text)))
				KT_FAIL("peer %zu, round %d, own", i, r);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		inflateEnd(&z[i]);
		peer_close(&p[i]);
		pulse_ws_put(conn[i]);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- prepared messages ------------------------------------------------------ */

KT_TEST(a_prepared_message_goes_to_many_and_outlives_its_owner)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 300, 65535, 65536,
					200000 };
	struct pulse_ws_prepared *m;
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_topics(&o);
	struct peer p = peer_on(server, "t", "", 0);
	static uint8_t data[200000];

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		KT_EQ(pulse_ws_prepare(PULSE_WS_BINARY, data, sizes[i], &m), 0);
		for (int k = 0; k < 3; k++)
			KT_EQ(pulse_ws_send_prepared(kept, m), 0);
		KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "between", 7), 0);
		pulse_ws_prepared_put(m);
		for (int k = 0; k < 3; k++)
			KT_CHECK(peer_expect(&p, 0x82, data, sizes[i]));
		KT_CHECK(peer_expect(&p, 0x81, "between", 7));
	}
	KT_EQ(pulse_ws_prepare(PULSE_WS_PING, "", 0, &m), -EINVAL);
	KT_EQ(pulse_ws_prepare(PULSE_WS_TEXT, NULL, 1, &m), -EINVAL);
	KT_EQ(pulse_ws_prepare(PULSE_WS_TEXT, "", 0, NULL), -EINVAL);
	KT_EQ(pulse_ws_send_prepared(kept, NULL), -EINVAL);
	KT_CHECK(!pulse_ws_prepared_get(NULL));
	pulse_ws_prepared_put(NULL);
	/* Unsent when all ends: nothing leaks. */
	KT_EQ(pulse_ws_prepare(PULSE_WS_BINARY, data, sizeof(data), &m), 0);
	while (!pulse_ws_send_prepared(kept, m))
		;
	pulse_ws_prepared_put(m);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	peer_close(&p);
	pulse_ws_put(kept);
}

KT_MAIN()

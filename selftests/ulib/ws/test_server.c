// SPDX-License-Identifier: GPL-2.0-only
/* Servers: threads, other threads' sends, back-pressure, timers, drain, errors. */
#include "peer.h"

#include <fcntl.h>
#include <pulse-u/pool.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- sends from other threads --------------------------------------------- */

static struct pulse_ws_conn *kept;
static int closed_codes[16], closing, closes;

static void keep(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	__atomic_store_n(&kept, pulse_ws_get(conn), __ATOMIC_RELEASE);
}

static struct pulse_ws_conn *kept_conn(void)
{
	return __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
}

static void note_code(int code)
{
	int i = __atomic_fetch_add(&closing, 1, __ATOMIC_RELAXED);

	closed_codes[i & 15] = code;
	__atomic_fetch_add(&closes, 1, __ATOMIC_RELEASE);
}

static void count_close(struct pulse_ws_conn *conn, int code,
			const char *reason, size_t len, void *arg)
{
	(void)conn;
	(void)reason;
	(void)len;
	(void)arg;
	note_code(code);
}

static int closed(void)
{
	return __atomic_load_n(&closes, __ATOMIC_ACQUIRE);
}

static struct pulse_ws_server *serve_keeping(struct pulse_ws_opts *o,
					     struct pulse_ws_handlers *h)
{
	kept = NULL;
	closing = closes = 0;
	h->on_open = keep;
	h->on_close = count_close;
	o->handlers = h;
	return serve(o);
}

static void *send_many(void *arg)
{
	long n = *(long *)arg;

	for (long i = 0; i < n; i++) {
		uint8_t m[9];
		int err;

		memcpy(m, &arg, 1);
		memcpy(m + 1, &i, 8);
		while ((err = pulse_ws_send(kept_conn(), PULSE_WS_BINARY, m,
					    sizeof(m))) == -EAGAIN)
			peer_nap(1);
		if (err) {
			KT_FAIL("send: %d", err);
			break;
		}
	}
	return NULL;
}

KT_TEST(messages_of_other_threads_arrive_in_order)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 65536);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	long n[4], next[4] = { 0 }, total = 0;
	pthread_t t[4];

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (int i = 0; i < 4; i++) {
		n[i] = kt_scale(20000);
		total += n[i];
		KT_EQ(pthread_create(&t[i], NULL, send_many, &n[i]), 0);
	}
	while (total) {
		struct frame f;
		uint8_t low;
		long i;

		if (!KT_CHECK(peer_next(&p, &f) && f.len == 9))
			break;
		memcpy(&i, f.data + 1, 8);
		for (int k = 0; k < 4; k++) {
			long *who = &n[k];

			memcpy(&low, &who, 1);
			if (low != f.data[0])
				continue;
			if (next[k]++ != i)
				KT_FAIL("thread %d: %ld", k, i);
		}
		total--;
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		KT_EQ(next[i], n[i]);
	}
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_kept_connection_is_safe_when_all_is_gone)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);
	char where[PULSE_ADDRESS_MAX];
	int err;

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "hello", 5), 0);
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	KT_EQ(pulse_ws_conn_address(kept, where, sizeof(where)), -EPERM);
	KT_EQ(pulse_ws_close(kept, 1000, "done", 4), 0);
	KT_CHECK(peer_expect(&p, 0x88, "\x03\xe8" "done", 6));
	err = pulse_ws_send(kept, PULSE_WS_TEXT, "late", 4);
	KT_CHECKF(err == -EPIPE, "%d", err);
	KT_CHECK(peer_send_close(&p, 1000, ""));
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(pulse_ws_send(kept, PULSE_WS_TEXT, "x", 1) == -ESRCH));
	KT_EQ(pulse_ws_close(kept, 1000, NULL, 0), -ESRCH);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	/* The server is gone, the reference is not. */
	KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "x", 1), -ESRCH);
	KT_EQ(pulse_ws_conn_queued(kept), 0);
	KT_EQ(pulse_ws_conn_address(kept, where, sizeof(where)), -ESRCH);
	pulse_ws_put(kept);
}

/* ---- back-pressure -------------------------------------------------------- */

static void echo_counting_refusals(struct pulse_ws_conn *conn, int op,
				   const void *data, size_t len, void *arg)
{
	if (pulse_ws_send(conn, op, data, len))
		__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

KT_TEST(a_peer_that_never_reads_is_bounded_and_dropped)
{
	int refused = 0;
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_counting_refusals);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 100000,
		   .write_timeout_ms = 300, .arg = &refused);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_connect_buf(server, 64 << 10);
	static uint8_t bytes[64 * 1032];
	static uint8_t message[1024];
	size_t n = 0, most = 0;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	for (int i = 0; i < 64; i++)
		n += peer_frame(bytes + n, 0x82, message, sizeof(message));
	fcntl(p.fd, F_SETFL, O_NONBLOCK);
	/* Sends for as long as the server takes anything. */
	while (closed() == 0) {
		size_t queued = pulse_ws_conn_queued(kept_conn());
		struct pollfd pfd = { p.fd, POLLOUT, 0 };
		static size_t at;

		most = queued > most ? queued : most;
		if (poll(&pfd, 1, 20) == 1) {
			ssize_t k = send(p.fd, bytes + at, n - at, MSG_NOSIGNAL);

			if (k < 0 && errno != EAGAIN)
				break;
			at = k > 0 ? (at + (size_t)k) % n : at;
		}
	}
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_EQ(closed_codes[0], 1006);
	KT_CHECKF(most >= 50000 && most <= 100000 + 70000, "%zu unsent", most);
	KT_EQ(refused, 0);	/* reading paused before a send was refused */
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_SLOW], 1);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_slow_reader_gets_all_in_the_end)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 50000);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_connect_buf(server, 64 << 10);
	long n = kt_scale(20000), sent = 0, got = 0;
	uint8_t bytes[1100], body[1000] = { 0 };
	size_t len = 0, at = 0;
	struct frame f;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	while (got < n) {
		struct pollfd pfd = { p.fd, sent < n ? POLLIN | POLLOUT : POLLIN,
				      0 };

		if (sent < n && at == len) {
			memcpy(body, &sent, sizeof(sent));
			len = peer_frame(bytes, 0x82, body, sizeof(body));
			at = 0;
		}
		/* Frames may have come along with the last one. */
		if (!KT_CHECK(poll(&pfd, 1, p.at < p.have ? 0 : 30000) >= 0))
			break;
		if (sent < n && pfd.revents & POLLOUT) {
			ssize_t k = send(p.fd, bytes + at, len - at,
					 MSG_NOSIGNAL | MSG_DONTWAIT);

			at += k > 0 ? (size_t)k : 0;
			sent += at == len;
			continue;	/* writes for as long as it can */
		}
		if (!KT_CHECK(peer_next(&p, &f) && f.len == sizeof(body)))
			break;
		if (memcmp(f.data, &got, sizeof(got)))
			KT_FAIL("message %ld is another", got);
		got++;
	}
	KT_EQ(got, n);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

static int drains;

static void on_drain(struct pulse_ws_conn *conn, void *arg)
{
	(void)conn;
	(void)arg;
	__atomic_fetch_add(&drains, 1, __ATOMIC_RELEASE);
}

KT_TEST(a_refused_send_is_followed_by_on_drain)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_drain = on_drain);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 40000);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_connect_buf(server, 64 << 10);
	static uint8_t data[5000];
	long taken = 0, got = 0, rounds = kt_scale(200);
	struct frame f;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	while (rounds--) {
		int before = __atomic_load_n(&drains, __ATOMIC_ACQUIRE);
		int err;

		while (!(err = pulse_ws_send(kept_conn(), PULSE_WS_BINARY, data,
					     sizeof(data))))
			taken++;
		if (!KT_CHECK(err == -EAGAIN))
			break;
		while (got < taken && peer_next(&p, &f))
			got += f.len == sizeof(data);
		if (!KT_CHECK(EVENTUALLY(__atomic_load_n(&drains,
				__ATOMIC_ACQUIRE) != before)))
			break;
	}
	KT_EQ(got, taken);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- several loops, several connections ----------------------------------- */

struct broadcast {
	pthread_mutex_t lock;
	struct pulse_ws_conn *conns[64];
	int nr;
};

static void join_all(struct pulse_ws_conn *conn, void *arg)
{
	struct broadcast *b = arg;

	pthread_mutex_lock(&b->lock);
	b->conns[b->nr++] = pulse_ws_get(conn);
	pthread_mutex_unlock(&b->lock);
}

static void tell_all(struct pulse_ws_conn *conn, int op, const void *data,
		     size_t len, void *arg)
{
	struct broadcast *b = arg;

	(void)conn;
	pthread_mutex_lock(&b->lock);
	for (int i = 0; i < b->nr; i++)
		pulse_ws_send(b->conns[i], op, data, len);
	pthread_mutex_unlock(&b->lock);
}

static int in_broadcast(struct broadcast *b)
{
	int n;

	pthread_mutex_lock(&b->lock);
	n = b->nr;
	pthread_mutex_unlock(&b->lock);
	return n;
}

KT_TEST(a_message_to_all_over_several_loops)
{
	struct broadcast b = { .lock = PTHREAD_MUTEX_INITIALIZER };
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = join_all,
		   .on_message = tell_all);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 3, .handlers = &h, .arg = &b);
	struct pulse_ws_server *server = serve(&o);
	long rounds = kt_scale(50);
	struct peer p[40];

	for (int i = 0; i < 40; i++)
		p[i] = peer_open(server);
	KT_CHECK(EVENTUALLY(in_broadcast(&b) == 40));
	for (long r = 0; r < rounds; r++) {
		KT_CHECK(peer_send_frame(&p[r % 40], 0x82, &r, sizeof(r)));
		for (int i = 0; i < 40; i++)
			KT_CHECK(peer_expect(&p[i], 0x82, &r, sizeof(r)));
	}
	KT_EQ(stats_of(server).connections, 40);
	for (int i = 0; i < 40; i++) {
		peer_close(&p[i]);
		pulse_ws_put(b.conns[i]);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(several_servers_in_a_process)
{
	struct pulse_ws_server *s[5];
	struct peer p[5];

	for (int i = 0; i < 5; i++) {
		s[i] = serve_echo();
		p[i] = peer_open(s[i]);
	}
	for (int i = 0; i < 5; i++) {
		KT_CHECK(peer_send_frame(&p[i], 0x81, "x", 1));
		KT_CHECK(peer_expect(&p[i], 0x81, "x", 1));
		KT_EQ(pulse_ws_server_destroy(s[i]), 0);
		peer_close(&p[i]);
	}
}

/* ---- timers --------------------------------------------------------------- */

KT_TEST(a_silent_peer_is_pinged_and_then_closed)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .ping_interval_ms = 50,
		   .idle_timeout_ms = 400);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);

	/* Who answers stays, for longer than the limit. */
	for (int i = 0; i < 12; i++) {
		KT_CHECK(peer_expect(&p, 0x89, NULL, 0));
		KT_CHECK(peer_send_frame(&p, 0x8a, NULL, 0));
	}
	KT_EQ(closed(), 0);
	/* Who does not gets one more ping and then a close. */
	KT_CHECK(peer_expect(&p, 0x89, NULL, 0));
	KT_EQ(peer_close_code(&p), 1001);
	KT_CHECK(peer_send_close(&p, 1001, ""));
	KT_CHECK(peer_at_end(&p));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_IDLE], 1);
	KT_EQ(closed(), 1);
	KT_EQ(closed_codes[0], 1001);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- pool ----------------------------------------------------------------- */

struct strand_check {
	long next;	/* of this connection */
	int inside;
	bool ended;
};

static void strand_open(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	pulse_ws_conn_set_user(conn, calloc(1, sizeof(struct strand_check)));
}

static void strand_message(struct pulse_ws_conn *conn, int op, const void *data,
			   size_t len, void *arg)
{
	struct strand_check *c = pulse_ws_conn_user(conn);
	long n;

	(void)arg;
	KT_CHECK(pulse_pool_current());
	if (__atomic_fetch_add(&c->inside, 1, __ATOMIC_RELAXED))
		KT_FAIL("two messages of a connection at once");
	KT_CHECK(!c->ended);
	memcpy(&n, data, sizeof(n));
	if (n != c->next)
		KT_FAIL("%ld came, not %ld", n, c->next);
	c->next++;
	if (n % 100 == 0)
		peer_nap(1);
	pulse_ws_send(conn, op, data, len);
	__atomic_fetch_sub(&c->inside, 1, __ATOMIC_RELAXED);
}

static void strand_close(struct pulse_ws_conn *conn, int code,
			 const char *reason, size_t len, void *arg)
{
	struct strand_check *c = pulse_ws_conn_user(conn);

	(void)reason;
	(void)len;
	c->ended = true;
	__atomic_fetch_add((long *)arg, c->next, __ATOMIC_RELAXED);
	note_code(code);
	free(c);
}

KT_TEST(on_a_pool_each_connection_keeps_its_order)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 4);
	long handled = 0, n = kt_scale(3000);
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = strand_open,
		   .on_message = strand_message, .on_close = strand_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .arg = &handled,
		   .threads = 2, .send_high_bytes = 20000);
	struct pulse_ws_server *server;
	struct peer p[8];
	int rest = 0;

	closing = closes = 0;
	KT_EQ(pulse_pool_create(&po, &o.pool), 0);
	server = serve(&o);
	for (int i = 0; i < 8; i++)
		p[i] = peer_open(server);
	/* Some ahead, so that the strands have something to do. */
	for (long m = 0; m < n + 20; m++) {
		for (int i = 0; i < 8; i++) {
			long want = m - 20;

			if (m < n)
				KT_REQUIRE(peer_send_frame(&p[i], 0x82, &m,
							   sizeof(m)));
			if (want >= 0)
				KT_REQUIRE(peer_expect(&p[i], 0x82, &want,
						       sizeof(want)));
		}
	}
	/* on_close comes after the messages before it. */
	for (int i = 0; i < 8; i++) {
		for (long m = n; m < n + 50; m++)
			KT_CHECK(peer_send_frame(&p[i], 0x82, &m, sizeof(m)));
		KT_CHECK(peer_send_close(&p[i], 1000, ""));
	}
	KT_CHECK(EVENTUALLY(closed() == 8));
	KT_EQ(handled, 8 * (n + 50));
	for (int i = 0; i < 8; i++) {
		rest += closed_codes[i] != 1000;
		peer_close(&p[i]);
	}
	KT_EQ(rest, 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

static void strand_slow(struct pulse_ws_conn *conn, int op, const void *data,
			size_t len, void *arg)
{
	(void)arg;
	peer_nap(20);
	pulse_ws_send(conn, op, data, len);
}

KT_TEST(a_drain_waits_for_what_the_pool_has)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = strand_slow);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server;
	struct peer p;

	KT_EQ(pulse_pool_create(NULL, &o.pool), 0);
	server = serve_keeping(&o, &h);
	p = peer_open(server);
	for (char i = 0; i < 5; i++)
		KT_CHECK(peer_send_frame(&p, 0x82, &i, 1));
	KT_CHECK(EVENTUALLY(stats_of(server).messages_in == 5));
	/* The peer answers the close only after it has read: from a child. */
	if (!fork()) {
		bool ok = true;

		for (char i = 0; i < 5; i++)
			ok = ok && peer_expect(&p, 0x82, &i, 1);
		ok = ok && peer_close_code(&p) == 1001 &&
		     peer_send_close(&p, 1001, "") && peer_at_end(&p);
		_exit(ok ? 0 : 1);
	}
	peer_close(&p);
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    30 * PULSE__NSEC_PER_SEC), 0);
	{
		int status = -1;

		wait(&status);
		KT_EQ(status, 0);
	}
	KT_EQ(closed(), 1);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

/* ---- drain ---------------------------------------------------------------- */

static void *drain_now(void *server)
{
	return (void *)(intptr_t)pulse_ws_server_drain(server,
			pulse_now_ns() + 20 * PULSE__NSEC_PER_SEC);
}

KT_TEST(drain_closes_each_with_1001)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p[10], half = peer_connect(server), late;
	pthread_t t, t2;
	void *rc;

	KT_CHECK(peer_say(&half, "GET / HT"));
	for (int i = 0; i < 10; i++) {
		p[i] = peer_open(server);
		KT_CHECK(peer_send_frame(&p[i], 0x81, "x", 1));
		KT_CHECK(peer_expect(&p[i], 0x81, "x", 1));
		pulse_ws_put(kept_conn());
	}
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 11));
	KT_EQ(pthread_create(&t, NULL, drain_now, server), 0);
	KT_EQ(pthread_create(&t2, NULL, drain_now, server), 0);
	KT_EQ(peer_status(&half), 503);
	peer_close(&half);
	for (int i = 0; i < 10; i++) {
		KT_EQ(peer_close_code(&p[i]), 1001);
		KT_CHECK(peer_send_close(&p[i], 1001, ""));
		KT_CHECK(peer_at_end(&p[i]));
	}
	for (int i = 0; i < 10; i++)
		peer_close(&p[i]);
	pthread_join(t, &rc);
	KT_EQ((intptr_t)rc, 0);
	pthread_join(t2, &rc);
	KT_EQ((intptr_t)rc, 0);
	KT_EQ(closed(), 10);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOCAL], 10);
	KT_EQ(pulse_ws_server_start(server), -ESHUTDOWN);
	/* Nobody listens any more. */
	late = (struct peer){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	peer_close(&late);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(drain_cuts_off_who_does_not_answer)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    50 * PULSE__NSEC_PER_MSEC), -ETIMEDOUT);
	KT_EQ(closed(), 1);
	KT_EQ(closed_codes[0], 1001);
	KT_EQ(stats_of(server).connections, 0);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_CUT], 1);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(destroy_tells_on_close)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "x", 1), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(closed(), 1);
	KT_EQ(closed_codes[0], 1006);
	pulse_ws_put(kept);
	peer_close(&p);
}

static int from_handler[2];

static void end_from_handler(struct pulse_ws_conn *conn, int op,
			     const void *data, size_t len, void *arg)
{
	(void)op;
	(void)data;
	(void)len;
	from_handler[0] = pulse_ws_server_drain(*(void **)arg, 0);
	from_handler[1] = pulse_ws_server_destroy(*(void **)arg);
	pulse_ws_close(conn, 0, NULL, 0);
}

KT_TEST(a_handler_cannot_end_its_server)
{
	struct pulse_ws_server *server = NULL;
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = end_from_handler);
	PULSE_OPTS(pulse_ws_opts, o, .arg = &server, .handlers = &h);
	struct peer p;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_EQ(peer_close_code(&p), 1005);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(from_handler[0], -EDEADLK);
	KT_EQ(from_handler[1], -EDEADLK);
}

/* ---- shortages and nonsense ----------------------------------------------- */

KT_TEST(without_descriptors_it_keeps_serving)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server), q;
	struct rlimit old, low;
	int spare;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* The peer's own end takes the last descriptor there is. */
	spare = dup(0);
	low = old;
	low.rlim_cur = (rlim_t)spare + 1;
	close(spare);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	q = peer_connect(server);
	KT_CHECK(peer_say(&q, UPGRADE));
	for (int i = 0; i < 50; i++) {
		KT_CHECK(peer_send_frame(&p, 0x82, &i, sizeof(i)));
		KT_CHECK(peer_expect(&p, 0x82, &i, sizeof(i)));
		peer_nap(5);
	}
	KT_EQ(stats_of(server).accepted, 1);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	KT_EQ(peer_status(&q), 101);
	peer_close(&p);
	peer_close(&q);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* A life of a connection; how far it came does not matter, that it ends does. */
static bool one_life(struct pulse_ws_server *server)
{
	static uint8_t body[70000];
	struct peer p = peer_connect(server);
	struct frame f;
	bool ok = false;

	if (peer_say(&p, UPGRADE) && peer_status(&p) == 101)
		ok = peer_send_frame(&p, 0x02, body, 100) &&
		     peer_send_frame(&p, 0x00, body, 30000) &&
		     peer_send(&p, "\x89\x83\0\0\0\0p", 7) &&
		     (peer_nap(2), peer_send(&p, "in", 2)) &&
		     peer_send_frame(&p, 0x80, body, 39900) &&
		     peer_next(&p, &f) && f.len == 3 && peer_next(&p, &f) &&
		     f.len == 70000 && peer_send_close(&p, 1000, "with reason") &&
		     peer_close_code(&p) == 1000 && peer_at_end(&p);
	peer_close(&p);
	return ok;
}

KT_TEST(each_allocation_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back,
		   .on_close = count_close);
	static const char *const subs[] = { "a", "b", NULL };
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .subprotocols = subs);
	bool failed = true;
	long n = 0;

	while (failed && n < 200) {
		struct pulse_ws_server *server = NULL;
		bool lived = false;
		int err;

		pulse__alloc_fail_at(++n);
		err = pulse_ws_server_create(&o, &server);
		if (!err)
			err = pulse_ws_server_start(server);
		if (!err) {
			lived = one_life(server);
			failed = pulse__alloc_failed();
			pulse__alloc_fail_at(0);
			/* It serves the next one all the same. */
			KT_CHECK(one_life(server));
		}
		failed = failed || pulse__alloc_failed();
		KT_CHECK(failed || lived);
		if (err)
			KT_EQ(err, -ENOMEM);
		pulse__alloc_fail_at(0);
		if (server)
			KT_EQ(pulse_ws_server_destroy(server), 0);
		if (lived)
			failed = false;
	}
	KT_CHECKF(n > 10, "%ld allocations", n - 1);
}

KT_TEST(no_descriptors_at_all)
{
	struct pulse_ws_server *server = NULL;
	struct rlimit old, low;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t more = 0; more < 3; more++) {
		int spare = dup(0);

		low = old;
		low.rlim_cur = (rlim_t)spare + more;
		close(spare);
		KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
		KT_EQ(pulse_ws_server_create(NULL, &server), -EMFILE);
		KT_CHECK(!server);
	}
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

KT_TEST(ports_in_use)
{
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2);
	struct pulse_ws_server *a = NULL, *b = NULL;
	char where[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_ws_server_create(&o, &a), 0);
	KT_EQ(pulse_ws_server_address(a, where, sizeof(where)), 0);
	o.listen = where;
	KT_EQ(pulse_ws_server_create(&o, &b), -EADDRINUSE);
	o.threads = 1;
	KT_EQ(pulse_ws_server_create(&o, &b), -EADDRINUSE);
	KT_CHECK(!b);
	KT_EQ(pulse_ws_server_destroy(a), 0);
	KT_EQ(pulse_ws_server_create(&o, &a), 0);
	KT_EQ(pulse_ws_server_destroy(a), 0);
}

KT_TEST(a_forked_child_is_told)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p;
	int status = -1;

	if (!fork())
		_exit(pulse_ws_server_drain(server, 0) != -EOWNERDEAD ||
		      pulse_ws_server_start(server) != -EOWNERDEAD ||
		      pulse_ws_server_destroy(server));
	wait(&status);
	KT_EQ(status, 0);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_CHECK(peer_expect(&p, 0x81, "x", 1));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(null_and_nonsense_are_refused)
{
	static const char *const bad_subs[] = { "a, b", NULL };
	struct { struct pulse_ws_opts o; char more[64]; } big = { 0 };
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	struct pulse_ws_stats s = { .sz = 1 };
	struct pulse_ws_server *server;
	char buf[4];

	KT_EQ(pulse_ws_server_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_server_start(NULL), -EINVAL);
	KT_EQ(pulse_ws_server_drain(NULL, 0), -EINVAL);
	KT_EQ(pulse_ws_server_destroy(NULL), -EINVAL);
	KT_EQ(pulse_ws_server_address(NULL, buf, 4), -EINVAL);
	KT_EQ(pulse_ws_server_stats(NULL, &s), -EINVAL);
	KT_CHECK(!pulse_ws_get(NULL));
	pulse_ws_put(NULL);
	KT_EQ(pulse_ws_send(NULL, PULSE_WS_TEXT, "x", 1), -EINVAL);
	KT_EQ(pulse_ws_close(NULL, 1000, NULL, 0), -EINVAL);
	KT_CHECK(!pulse_ws_conn_user(NULL));
	KT_EQ(pulse_ws_conn_set_user(NULL, NULL), -EINVAL);
	KT_CHECK(!pulse_ws_conn_subprotocol(NULL));
	KT_EQ(pulse_ws_conn_queued(NULL), 0);
	KT_EQ(pulse_ws_conn_address(NULL, buf, 4), -EINVAL);
	KT_CHECK(!pulse_ws_request_method(NULL));
	KT_CHECK(!pulse_ws_request_path(NULL));
	KT_CHECK(!pulse_ws_request_query(NULL));
	KT_CHECK(!pulse_ws_request_header(NULL, "a", 0));
	KT_EQ(pulse_ws_http_reply(NULL, 200, "a/b", NULL, 0), -EINVAL);

	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.sz = 1;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.sz = sizeof(big);
	KT_EQ(pulse_ws_server_create(&big.o, &server), 0);
	KT_EQ(pulse_ws_server_address(server, buf, 4), -ENOSPC);
	KT_EQ(pulse_ws_server_stats(server, &s), -EINVAL);
	KT_EQ(pulse_ws_server_stats(server, NULL), -EINVAL);
	KT_EQ(pulse_ws_server_start(server), 0);
	KT_EQ(pulse_ws_server_start(server), -EALREADY);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	big.more[60] = 1;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -E2BIG);
	big.o.sz = sizeof(big.o);
	h.sz = 1;
	big.o.handlers = &h;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.handlers = NULL;
	big.o.listen = "nowhere";
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.listen = NULL;
	big.o.threads = 257;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.threads = 0;
	big.o.max_head_bytes = 10;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.max_head_bytes = 0;
	big.o.send_high_bytes = 10;
	big.o.send_low_bytes = 10;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.send_low_bytes = 0;
	big.o.subprotocols = bad_subs;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	/* Never started, and drained: both are fine. */
	KT_EQ(pulse_ws_server_create(NULL, &server), 0);
	KT_EQ(pulse_ws_server_drain(server, 0), 0);
	KT_EQ(pulse_ws_server_start(server), -ESHUTDOWN);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

static int bad_calls[8];

static void misuse(struct pulse_ws_conn *c, int op, const void *data, size_t len,
		   void *arg)
{
	char long_reason[124] = "";
	int *b = bad_calls;

	(void)arg;
	*b++ = pulse_ws_send(c, 3, "x", 1) != -EINVAL;
	*b++ = pulse_ws_send(c, PULSE_WS_TEXT, NULL, 1) != -EINVAL;
	*b++ = pulse_ws_send(c, PULSE_WS_PING, data, 126) != -EMSGSIZE;
	*b++ = pulse_ws_close(c, 1005, NULL, 0) != -EINVAL;
	*b++ = pulse_ws_close(c, 0, "x", 1) != -EINVAL;
	*b++ = pulse_ws_close(c, 1000, NULL, 1) != -EINVAL;
	*b++ = pulse_ws_close(c, 1000, long_reason, 124) != -EMSGSIZE;
	*b++ = pulse_ws_http_reply(c, 200, "a/b", NULL, 0) != -EINVAL;
	pulse_ws_send(c, op, data, len);
}

KT_TEST(misuse_of_a_connection_is_refused)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = misuse);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_open(server);
	uint8_t body[200] = { 1 };

	KT_CHECK(peer_send_frame(&p, 0x82, body, sizeof(body)));
	KT_CHECK(peer_expect(&p, 0x82, body, sizeof(body)));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	for (int i = 0; i < 8; i++)
		KT_CHECKF(!bad_calls[i], "call %d", i);
}

KT_MAIN()

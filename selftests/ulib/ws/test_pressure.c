// SPDX-License-Identifier: GPL-2.0-only
/* Other threads' sends, peers that do not read, peers that say nothing. */
#include "keeping.h"

#include <pulse-u/ws_live.h>

#include <fcntl.h>
#include <pulse-u/pool.h>

/* ---- sends from other threads --------------------------------------------- */

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
		   .write_timeout_ms = 2000, .arg = &refused);
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
	/* How far it comes within that time is up to who else runs. */
	KT_CHECKF(most > 0 && most <= 100000 + 70000, "%zu unsent", most);
	KT_EQ(refused, 0);	/* reading paused before a send was refused */
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_SLOW], 1);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Sends all the time, and reads only when it cannot send. */
static void slow_reader(struct pulse_pool *pool)
{
	int refused = 0;
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_counting_refusals);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 50000, .pool = pool,
		   .arg = &refused);
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
	KT_EQ(refused, 0);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_slow_reader_gets_all_in_the_end)
{
	slow_reader(NULL);
}

/* The handlers wait, not the messages: no answer is refused. */
KT_TEST(a_slow_reader_gets_all_from_a_pool)
{
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	slow_reader(pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Many connections end while their handlers wait for room. */
KT_TEST(a_reader_that_goes_away_frees_what_waits_for_it)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back,
		   .on_close = count_close);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 20000, .handlers = &h);
	struct pulse_ws_server *server;
	uint8_t bytes[1100], body[1000] = { 0 };
	size_t len = peer_frame(bytes, 0x82, body, sizeof(body));
	long n = kt_scale(40);

	KT_EQ(pulse_pool_create(NULL, &o.pool), 0);
	closing = closes = 0;
	server = serve(&o);
	for (long i = 0; i < n; i++) {
		struct peer p = peer_connect_buf(server, 64 << 10);
		int full = 0;

		KT_CHECK(peer_say(&p, UPGRADE));
		KT_EQ(peer_status(&p), 101);
		/* Until nothing goes any more: all buffers are full. */
		while (full < 3) {
			struct pollfd pfd = { p.fd, POLLOUT, 0 };

			if (poll(&pfd, 1, 10) < 1)
				full++;
			else if (send(p.fd, bytes, len, MSG_NOSIGNAL |
				      MSG_DONTWAIT) != (ssize_t)len)
				full++;
		}
		peer_close(&p);
	}
	KT_CHECK(EVENTUALLY(closed() == n));
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
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

/* Sends until it is refused; the most that was unsent. */
static size_t send_until_refused(struct pulse_ws_conn *conn, long *taken)
{
	static uint8_t data[5000];
	int err;

	while (!(err = pulse_ws_send(conn, PULSE_WS_BINARY, data, sizeof(data))))
		(*taken)++;
	KT_EQ(err, -EAGAIN);
	return pulse_ws_conn_queued(conn);
}

KT_TEST(a_connection_may_have_marks_of_its_own)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_drain = on_drain);
	PULSE_OPTS(pulse_ws_opts, o, .send_high_bytes = 400000);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_connect_buf(server, 64 << 10);
	struct frame f = { 0 };
	long taken = 0, got = 0;
	int before;
	size_t n;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_conn_set_marks(NULL, 100, 10), -EINVAL);
	KT_EQ(pulse_ws_conn_set_marks(kept, 100, 100), -EINVAL);
	KT_EQ(pulse_ws_conn_set_marks(kept, 0, 1), -EINVAL);
	/* The server's, until nothing goes out any more. */
	do {
		n = send_until_refused(kept, &taken);
		peer_nap(20);
	} while (pulse_ws_conn_queued(kept) < 400000);
	KT_CHECKF(n >= 400000 && n < 500000, "%zu unsent", n);
	/* More room: whoever waits is told, though nothing was read. */
	before = __atomic_load_n(&drains, __ATOMIC_ACQUIRE);
	KT_EQ(pulse_ws_conn_set_marks(kept, 4000000, 3000000), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&drains, __ATOMIC_ACQUIRE) != before));
	do {
		n = send_until_refused(kept, &taken);
		peer_nap(20);
	} while (pulse_ws_conn_queued(kept) < 4000000);
	KT_CHECKF(n >= 4000000 && n < 5000000, "%zu unsent", n);
	/* Less: on_drain comes at the low mark, a quarter of 40000, not before. */
	KT_EQ(pulse_ws_conn_set_marks(kept, 40000, 0), 0);
	before = __atomic_load_n(&drains, __ATOMIC_ACQUIRE);
	while (got < taken && peer_next(&p, &f))
		got += f.len == 5000;
	KT_EQ(got, taken);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&drains, __ATOMIC_ACQUIRE) != before));
	do {
		n = send_until_refused(kept, &taken);
		peer_nap(20);
	} while (pulse_ws_conn_queued(kept) < 40000);
	KT_CHECKF(n < 100000, "%zu unsent", n);
	/* And the server's again. */
	KT_EQ(pulse_ws_conn_set_marks(kept, 0, 0), 0);
	KT_CHECK(EVENTUALLY(send_until_refused(kept, &taken) >= 400000));
	peer_close(&p);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(pulse_ws_conn_set_marks(kept, 100, 10) == -ESRCH));
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- timers --------------------------------------------------------------- */

KT_TEST(a_silent_peer_is_pinged_and_then_closed)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .ping_interval_ms = 250,
		   .idle_timeout_ms = 2500);
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

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* TCP over loopback: the transport contract, listeners, connects, shortages. */
#include "base/base.h"
#include "ktap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pulse-u/transport.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

struct end {
	struct pulse_transport *t;
	uint32_t seen;		/* events told so far */
	int err;
	long got;
	bool eof;
	bool broken;
};

static struct pulse_poller *poller;
static struct pulse_listener *listener;
static char where[PULSE_ADDRESS_MAX];
static struct end server, client;
static int accepted;

/* Reads all there is and checks that it counts up, as send_some() sends it. */
static void take(struct end *e)
{
	unsigned char *data;
	ssize_t n = pulse_transport_view(e->t, (void **)&data);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		e->eof = n == 0;
		e->broken = n < 0;
		e->err = (int)n;
		pulse_transport_watch(e->t, 0);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		if (data[i] != (unsigned char)((e->got + i) % 251)) {
			KT_FAIL("byte %ld is wrong", e->got + (long)i);
			break;
		}
	e->got += n;
}

static void on_end(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct end *e = arg;

	KT_CHECK(e->t == t || events & PULSE_TRANSPORT_ERROR);
	e->seen |= events;
	if (events & PULSE_TRANSPORT_READ)
		take(e);
	if (events & PULSE_TRANSPORT_WRITE)
		pulse_transport_watch(t, PULSE_TRANSPORT_READ);
	if (events & PULSE_TRANSPORT_ERROR && !e->broken) {
		e->err = pulse_transport_error(t);
		e->broken = true;
		pulse_transport_watch(t, 0);
	}
}

static void on_accept(struct pulse_listener *l, struct pulse_transport *t,
		      void *arg)
{
	struct end *e = arg;

	(void)l;
	accepted++;
	if (e->t) {
		pulse_transport_close(t, false);
		return;
	}
	e->t = t;
	KT_EQ(pulse_transport_set_handler(t, on_end, e), 0);
	KT_EQ(pulse_transport_watch(t, PULSE_TRANSPORT_READ), 0);
}

/* Turns of the loop until it holds, or ten seconds have gone. */
#define UNTIL(cond)							\
	do {								\
		int64_t end_ = pulse_now_ns() + 10 * PULSE__NSEC_PER_SEC; \
									\
		while (!(cond) && pulse_now_ns() < end_)		\
			pulse_poller_run_once(poller, end_);		\
		KT_CHECK(cond);						\
	} while (0)

static void begin(const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = 0;
	listener = NULL;
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, &server, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
}

static int dial(void)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	int err = pulse_transport_connect(poller, &co, on_end, &client,
					  &client.t);

	if (!err)
		err = pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
	return err;
}

static void meet(void)
{
	KT_EQ(dial(), 0);
	UNTIL(server.t && client.seen & PULSE_TRANSPORT_OPEN);
}

static void end(void)
{
	if (server.t)
		pulse_transport_close(server.t, false);
	if (client.t)
		pulse_transport_close(client.t, false);
	KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

/* Sends what the transport takes, from @from on; returns how much. */
static long send_some(struct end *e, long from, long bytes)
{
	static unsigned char pattern[251 * 512];
	struct iovec iov[2];
	long sent = 0;

	if (!pattern[1])
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (unsigned char)(i % 251);
	while (sent < bytes) {
		long skip = (from + sent) % 251, left = bytes - sent;
		long len = (long)sizeof(pattern) - skip;
		ssize_t n;

		len = len < left ? len : left;
		iov[0] = (struct iovec){ pattern + skip, (size_t)len / 3 };
		iov[1] = (struct iovec){ pattern + skip + len / 3,
					 (size_t)(len - len / 3) };
		n = pulse_transport_send(e->t, iov, 2);
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			e->err = (int)n;
			break;
		}
		sent += n;
	}
	return sent;
}

KT_TEST(bytes_arrive_in_order_both_ways)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };
	long total = 8 << 20, sent = 0;

	begin("127.0.0.1:0");
	meet();
	KT_STREQ(pulse_transport_name(client.t), "tcp");
	KT_CHECK(pulse_transport_features(client.t) & PULSE_TRANSPORT_ORDERED);
	while (sent < total) {
		sent += send_some(&client, sent, total - sent);
		pulse_poller_run_once(poller, 0);
	}
	UNTIL(server.got == total);
	sent = 0;
	while (sent < total) {
		sent += send_some(&server, sent, total - sent);
		pulse_poller_run_once(poller, 0);
	}
	UNTIL(client.got == total);
	KT_EQ(pulse_transport_stats(server.t, &s), 0);
	KT_EQ(s.rx_bytes, total);
	KT_EQ(s.tx_bytes, total);
	end();
}

KT_TEST(a_full_peer_says_again_and_then_write)
{
	long sent = 0, more;

	begin("127.0.0.1:0");
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	do {
		more = send_some(&client, sent, 1 << 20);
		sent += more;
	} while (more == 1 << 20);
	KT_EQ(client.err, 0);
	client.seen = 0;
	KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_WRITE), 0);
	pulse_poller_run_once(poller, 0);
	KT_EQ(client.seen & PULSE_TRANSPORT_WRITE, 0);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_WRITE);
	UNTIL(server.got == sent);
	end();
}

KT_TEST(half_close_leaves_the_other_direction)
{
	begin("127.0.0.1:0");
	meet();
	KT_EQ(send_some(&client, 0, 1000), 1000);
	KT_EQ(pulse_transport_shutdown(client.t), 0);
	UNTIL(server.eof);
	KT_EQ(server.got, 1000);
	KT_EQ(send_some(&server, 0, 5000), 5000);
	UNTIL(client.got == 5000);
	KT_EQ(send_some(&client, 1000, 1), 0);
	KT_EQ(client.err, -EPIPE);
	end();
}

KT_TEST(a_reset_is_told)
{
	begin("127.0.0.1:0");
	meet();
	pulse_transport_close(client.t, true);
	client.t = NULL;
	UNTIL(server.broken);
	KT_EQ(server.err, -ECONNRESET);
	end();
}

KT_TEST(recv_fills_the_pieces_in_order)
{
	unsigned char a[10] = { 0 }, b[200] = { 0 };
	struct iovec iov[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	ssize_t n = -EAGAIN;

	begin("127.0.0.1:0");
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	KT_EQ(pulse_transport_recv(server.t, iov, 2), -EAGAIN);
	KT_EQ(send_some(&client, 0, 100), 100);
	for (int i = 0; i < 1000 && n == -EAGAIN; i++) {
		n = pulse_transport_recv(server.t, iov, 2);
		usleep(1000);
	}
	KT_EQ(n, 100);
	KT_EQ(a[9], 9);
	KT_EQ(b[0], 10);
	KT_EQ(b[89], 99);
	end();
}

KT_TEST(addresses)
{
	static const char *const bad[] = {
		"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1:8x", "1.2.3:80", "[::1]", "[::1:80",
		"::1:80", "example.org:80", "127.0.0.1:000080", "udp:127.0.0.1:80",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
	};
	PULSE_OPTS(pulse_listener_opts, lo, .address = "tcp:localhost:0");
	struct pulse_listener *l;
	char small[8], peer[PULSE_ADDRESS_MAX];

	begin("127.0.0.1:0");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		lo.address = bad[i];
		KT_CHECKF(pulse_listener_open(poller, &lo, on_accept, NULL,
					      &l) == -EINVAL, "\"%s\"", bad[i]);
	}
	lo.address = "tcp:localhost:0";
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), 0);
	KT_EQ(pulse_listener_address(l, small, sizeof(small)), -ENOSPC);
	KT_EQ(pulse_listener_close(l), 0);
	lo.address = "*:0";
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), 0);
	KT_EQ(pulse_listener_close(l), 0);
	meet();
	KT_EQ(pulse_transport_address(client.t, true, peer, sizeof(peer)), 0);
	KT_STREQ(peer, where);
	end();
}

KT_TEST(ipv6)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int err = bind(fd, (struct sockaddr *)&six, sizeof(six));

	close(fd);
	if (err)
		KT_SKIP("no IPv6 in this kernel");
	begin("[::1]:0");
	KT_CHECK(!strncmp(where, "[::1]:", 6));
	meet();
	end();
}

KT_TEST(a_port_in_use_is_refused_and_a_shared_one_is_not)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = where);
	struct pulse_listener *a = NULL, *b = NULL;

	begin("127.0.0.1:0");
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &a), -EADDRINUSE);
	lo.reuse_port = PULSE_ON;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &a), -EADDRINUSE);
	lo.address = "127.0.0.1:0";
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &a), 0);
	KT_EQ(pulse_listener_address(a, where, sizeof(where)), 0);
	lo.address = where;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &b), 0);
	KT_EQ(pulse_listener_close(a), 0);
	KT_EQ(pulse_listener_close(b), 0);
	end();
}

KT_TEST(a_refused_connect_is_told)
{
	int err;

	begin("127.0.0.1:0");
	KT_EQ(pulse_listener_close(listener), 0);
	err = dial();
	if (!err) {
		UNTIL(client.broken);
		err = client.err;
	}
	KT_EQ(err, -ECONNREFUSED);
	if (client.t)
		pulse_transport_close(client.t, false);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

KT_TEST(a_connect_that_nobody_answers_times_out)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0",
		   .backlog = 1);
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	struct pulse_transport *fill[8] = { 0 };
	struct end ignored[8] = { 0 };
	struct pulse_poller *deaf;
	struct pulse_listener *l;

	/* A listener whose loop never runs, its backlog filled. */
	begin("127.0.0.1:0");
	KT_EQ(pulse_poller_create(NULL, &deaf), 0);
	KT_EQ(pulse_listener_open(deaf, &lo, on_accept, &server, &l), 0);
	KT_EQ(pulse_listener_address(l, where, sizeof(where)), 0);
	for (int i = 0; i < 8; i++)
		KT_EQ(pulse_transport_connect(poller, &co, on_end, &ignored[i],
					      &fill[i]), 0);
	for (int i = 0; i < 8; i++)
		ignored[i].t = fill[i];
	co.deadline_ns = pulse_now_ns() + 50 * PULSE__NSEC_PER_MSEC;
	KT_EQ(pulse_transport_connect(poller, &co, on_end, &client, &client.t), 0);
	UNTIL(client.seen & (PULSE_TRANSPORT_ERROR | PULSE_TRANSPORT_OPEN));
	KT_EQ(client.seen, PULSE_TRANSPORT_ERROR);
	KT_EQ(client.err, -ETIMEDOUT);
	for (int i = 0; i < 8; i++)
		pulse_transport_close(fill[i], false);
	KT_EQ(pulse_listener_close(l), 0);
	KT_EQ(pulse_poller_destroy(deaf), 0);
	end();
}

static long cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

KT_TEST(without_descriptors_it_waits_and_then_goes_on)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct pulse_poller_stats ps = { .sz = sizeof(ps) };
	struct rlimit old, low;
	uint64_t turns;
	int64_t until;
	long cpu;
	int spare;

	begin("127.0.0.1:0");
	KT_EQ(dial(), 0);
	spare = dup(0);
	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
	cpu = cpu_ms();
	pulse_poller_stats(poller, &ps);
	turns = ps.turns;
	until = pulse_now_ns() + 300 * PULSE__NSEC_PER_MSEC;
	while (pulse_now_ns() < until)
		pulse_poller_run_once(poller, until);
	pulse_poller_stats(poller, &ps);
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	KT_EQ(accepted, 0);
	KT_CHECKF(ls.pauses >= 1 && ls.pauses <= 10, "%llu pauses",
		  (unsigned long long)ls.pauses);
	KT_CHECKF(ps.turns - turns < 40, "%llu turns: it spins",
		  (unsigned long long)(ps.turns - turns));
	kt_note("300 ms without descriptors took %ld ms of CPU", cpu_ms() - cpu);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	UNTIL(accepted == 1);
	close(spare);
	end();
}

KT_TEST(each_allocation_may_fail)
{
	long n = 0;
	bool failed;

	do {
		begin("127.0.0.1:0");
		pulse__alloc_fail_at(++n);
		if (!dial()) {
			int64_t late = pulse_now_ns() + PULSE__NSEC_PER_SEC * 10;

			while (!server.t && !client.eof && !client.broken &&
			       pulse_now_ns() < late)
				pulse_poller_run_once(poller, late);
			KT_CHECK(server.t || client.eof || client.broken);
			if (server.t && send_some(&client, 0, 100) == 100)
				UNTIL(server.got || server.broken);
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		end();
	} while (failed && n < 100);
	KT_CHECKF(n > 3, "%ld allocations", n - 1);
}

KT_TEST(null_and_nonsense_are_refused)
{
	struct pulse_transport_stats s = { .sz = 1 };
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	PULSE_OPTS(pulse_connect_opts, co, .address = "*:80");
	struct pulse_transport *t;
	struct pulse_listener *l;
	struct iovec iov = { &s, sizeof(s) };
	char buf[4];
	void *data;

	begin("127.0.0.1:0");
	meet();
	KT_EQ(pulse_listener_open(NULL, &lo, on_accept, NULL, &l), -EINVAL);
	KT_EQ(pulse_listener_open(poller, NULL, on_accept, NULL, &l), -EINVAL);
	KT_EQ(pulse_listener_open(poller, &lo, NULL, NULL, &l), -EINVAL);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, NULL), -EINVAL);
	lo.sz = 1;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	KT_EQ(pulse_listener_close(NULL), -EINVAL);
	KT_EQ(pulse_listener_address(NULL, buf, 4), -EINVAL);
	KT_EQ(pulse_listener_stats(listener, NULL), -EINVAL);
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	KT_EQ(pulse_transport_connect(poller, NULL, on_end, NULL, &t), -EINVAL);
	co.sz = 0;
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	KT_EQ(pulse_transport_send(NULL, &iov, 1), -EINVAL);
	KT_EQ(pulse_transport_send(client.t, NULL, 1), -EINVAL);
	KT_EQ(pulse_transport_send(client.t, &iov, 0), -EINVAL);
	KT_EQ(pulse_transport_send(client.t, &iov, 65), -EINVAL);
	KT_EQ(pulse_transport_recv(client.t, &iov, 0), -EINVAL);
	KT_EQ(pulse_transport_view(client.t, NULL), -EINVAL);
	KT_EQ(pulse_transport_view(NULL, &data), -EINVAL);
	KT_EQ(pulse_transport_watch(client.t, 64), -EINVAL);
	KT_EQ(pulse_transport_watch(NULL, 0), -EINVAL);
	KT_EQ(pulse_transport_shutdown(NULL), -EINVAL);
	KT_EQ(pulse_transport_close(NULL, false), -EINVAL);
	KT_EQ(pulse_transport_error(NULL), -EINVAL);
	KT_EQ(pulse_transport_error(client.t), 0);
	KT_EQ(pulse_transport_set_handler(client.t, NULL, NULL), -EINVAL);
	KT_EQ(pulse_transport_stats(client.t, &s), -EINVAL);
	KT_EQ(pulse_transport_address(client.t, true, buf, 4), -ENOSPC);
	KT_EQ(pulse_transport_features(NULL), 0);
	KT_CHECK(!pulse_transport_name(NULL));
	end();
}

KT_MAIN()

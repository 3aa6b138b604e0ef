// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams, through a network that loses, doubles, reorders and changes them:
 * a relay of this file, and netem where the kernel has it. W06.
 */
#include "base/base.h"
#include "ktap.h"
#include "turns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pulse-u/batch.h>
#include <pulse-u/buffer.h>
#include <pulse-u/transport.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MAX_NUMBERS	20000

struct side {
	struct pulse_transport *t;
	uint32_t seen;
	int err;
	long got, bad, repeated, backwards;
	uint32_t last;
	size_t last_len;
	uint8_t had[MAX_NUMBERS];
};

static struct pulse_poller *poller;
static struct pulse_listener *listener;
static char where[PULSE_ADDRESS_MAX];
static struct side client, server;
static int accepted;

/* A number, and bytes that follow from it. */
static size_t make_message(uint8_t *to, uint32_t n, size_t len)
{
	memcpy(to, &n, 4);
	for (size_t i = 4; i < len; i++)
		to[i] = (uint8_t)(n + i);
	return len;
}

static void take(struct side *s, const uint8_t *data, size_t len)
{
	uint32_t n;

	s->last_len = len;
	s->got++;
	if (len < 4)
		return;
	memcpy(&n, data, 4);
	for (size_t i = 4; i < len; i++)
		if (data[i] != (uint8_t)(n + i)) {
			s->bad++;
			return;
		}
	if (n >= MAX_NUMBERS) {
		s->bad++;
		return;
	}
	s->repeated += s->had[n]++;
	s->backwards += n < s->last;
	s->last = n;
}

static void on_side(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct side *s = arg;

	s->seen |= events;
	if (events & PULSE_TRANSPORT_ERROR)
		s->err = pulse_transport_error(t);
	while (events & PULSE_TRANSPORT_READ) {
		void *data;
		ssize_t n = pulse_transport_view(t, &data);

		if (n < 0) {
			if (n != -EAGAIN)
				s->err = (int)n;
			break;
		}
		take(s, data, (size_t)n);
	}
}

static void on_accept(struct pulse_listener *l, struct pulse_transport *t,
		      void *arg)
{
	(void)l;
	(void)arg;
	accepted++;
	if (server.t) {
		pulse_transport_close(t, false);
		return;
	}
	server.t = t;
	pulse_transport_set_handler(t, on_side, &server);
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
}

static void settle(void)
{
	for (int i = 0; i < 10; i++)
		pulse_poller_run_once(poller, pulse_now_ns() +
				      2 * PULSE__NSEC_PER_MSEC);
}

static void begin(int sequenced)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "udp:127.0.0.1:0",
		   .sequenced = sequenced);

	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	accepted = 0;
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
	KT_CHECK(!strncmp(where, "udp:127.0.0.1:", 14));
}

static void dial(const char *to, int sequenced)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = to,
		   .sequenced = sequenced);

	KT_EQ(pulse_transport_connect(poller, &co, on_side, &client, &client.t),
	      0);
	KT_EQ(client.seen, 0);
	KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
}

static void end(void)
{
	if (client.t)
		pulse_transport_close(client.t, false);
	if (server.t)
		pulse_transport_close(server.t, false);
	if (listener)
		KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

static ssize_t send_number(struct side *s, uint32_t n, size_t len)
{
	static uint8_t buf[70000];
	struct iovec iov[2] = { { buf, len / 2 }, { buf + len / 2,
						    len - len / 2 } };

	make_message(buf, n, len);
	return pulse_transport_send(s->t, iov, 2);
}

static struct pulse_transport_stats stats(struct side *s)
{
	struct pulse_transport_stats out = { .sz = sizeof(out) };

	KT_EQ(pulse_transport_stats(s->t, &out), 0);
	return out;
}

KT_TEST(a_datagram_is_one_message_each_way)
{
	for (int seq = 0; seq < 2; seq++) {
		begin(seq);
		dial(where, seq);
		KT_STREQ(pulse_transport_name(client.t), "udp");
		KT_EQ(pulse_transport_features(client.t),
		      seq ? PULSE_TRANSPORT_ORDERED : 0);
		for (uint32_t i = 0; i < 100; i++)
			KT_EQ(send_number(&client, i, 10 + i), 10 + i);
		UNTIL(server.got == 100);
		KT_EQ(server.last_len, 109);
		KT_EQ(accepted, 1);
		KT_EQ(send_number(&server, 7, 60000), 60000);
		UNTIL(client.got == 1);
		KT_EQ(client.last_len, 60000);
		KT_EQ(server.bad + server.repeated + server.backwards +
		      client.bad, 0);
		KT_EQ(send_number(&client, 1, 65508), -EMSGSIZE);
		KT_EQ(send_number(&client, 1, 65507), seq ? -EMSGSIZE : 65507);
		KT_EQ(pulse_transport_shutdown(client.t), -EOPNOTSUPP);
		KT_EQ(stats(&server).lost + stats(&server).late +
		      stats(&server).corrupt, 0);
		end();
	}
}

KT_TEST(each_buffer_of_a_batch_is_a_datagram)
{
	struct pulse_buffer *outs[10], *ins[4];
	struct pulse_batch out = PULSE_BATCH_ON(outs), in = PULSE_BATCH_ON(ins);
	struct pulse_buffer_pool *pool;
	size_t at = 0, filled = 0, got = 0;
	struct pulse_buffer *b;
	int64_t late;

	begin(0);
	dial(where, 0);
	KT_EQ(send_number(&client, 1, 100), 100);
	UNTIL(server.got == 1);
	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
	for (uint32_t i = 0; i < 10; i++) {
		KT_EQ(pulse_buffer_pool_get(pool, 20 + i, PULSE_NODE_HERE, &b), 0);
		make_message(pulse_buffer_data(b), i + 2, 20 + i);
		KT_EQ(pulse_batch_append_ptr(&out, b), 0);
	}
	KT_EQ(pulse_transport_send_batch(client.t, &out, &at), 10 * 20 + 45);
	KT_EQ(out.len, 0);
	UNTIL(server.got == 11);
	KT_EQ(server.last_len, 29);
	KT_EQ(server.bad + server.repeated + server.backwards, 0);

	KT_EQ(pulse_transport_watch(client.t, 0), 0);
	for (uint32_t i = 0; i < 6; i++)
		KT_EQ(send_number(&server, i + 1, 30 + i), 30 + i);
	for (int i = 0; i < 4; i++) {
		KT_EQ(pulse_buffer_pool_get(pool, 100, PULSE_NODE_HERE, &b), 0);
		KT_EQ(pulse_batch_append_ptr(&in, b), 0);
	}
	late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;
	while (got < 6 && pulse_now_ns() < late) {
		ssize_t n = pulse_transport_recv_batch(client.t, &in, &filled);

		KT_CHECK(n > 0 || n == -EAGAIN);
		KT_CHECK(filled <= 4);
		for (size_t i = 0; n > 0 && i < filled; i++)
			KT_EQ(pulse_buffer_len(ins[i]), 30 + got++);
		for (size_t i = filled; i < 4; i++)
			KT_EQ(pulse_buffer_len(ins[i]), 0);
		pulse_poller_run_once(poller, 0);
	}
	KT_EQ(got, 6);
	for (int i = 0; i < 4; i++)
		pulse_buffer_put(ins[i]);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	end();
}

KT_TEST(each_peer_has_its_own_transport)
{
	struct side more[5] = { 0 };
	PULSE_OPTS(pulse_connect_opts, co, .address = where);

	begin(0);
	dial(where, 0);
	for (int i = 0; i < 5; i++) {
		KT_EQ(pulse_transport_connect(poller, &co, on_side, &more[i],
					      &more[i].t), 0);
		KT_EQ(send_number(&more[i], (uint32_t)i, 100), 100);
	}
	UNTIL(accepted == 5);
	KT_EQ(accepted, 5);
	for (int i = 0; i < 5; i++)
		pulse_transport_close(more[i].t, false);
	end();
}

/* W06: ICMP port unreachable */
KT_TEST(a_port_where_nobody_listens_is_an_error)
{
	begin(0);
	KT_EQ(pulse_listener_close(listener), 0);
	listener = NULL;
	dial(where, 0);
	send_number(&client, 1, 10);
	UNTIL(client.err);
	KT_EQ(client.err, -ECONNREFUSED);
	KT_CHECK(send_number(&client, 2, 10) == 10);
	end();
}

/* Nobody else can take the port, not even while peers arrive. */
KT_TEST(the_address_is_not_shared)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = where);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct pulse_listener *l;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	begin(0);
	dial(where, 0);
	send_number(&client, 1, 10);
	UNTIL(server.got == 1);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EADDRINUSE);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	in.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	KT_EQ(bind(fd, (struct sockaddr *)&in, sizeof(in)), -1);
	close(fd);
	end();
}

/* ---- a network by hand -------------------------------------------------------- */

static struct {
	int front, back;
	uint64_t front_id, back_id;
	struct sockaddr_in from;
	uint32_t seed;
	uint8_t held[2048];
	ssize_t nr_held;
	long lost, doubled, swapped, changed;
} net;

static uint32_t roll(uint32_t n)
{
	net.seed = net.seed * 1664525 + 1013904223;
	return (net.seed >> 8) % n;
}

static void pass_on(struct pulse_poller *p, int fd, uint32_t events, void *arg)
{
	socklen_t len = sizeof(net.from);
	uint8_t buf[2048];
	ssize_t n;

	(void)p;
	(void)events;
	(void)arg;
	n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT,
		     (struct sockaddr *)&net.from, &len);
	if (n <= 0)
		return;
	if (roll(100) < 20) {
		net.lost++;
		return;
	}
	if (roll(100) < 5) {
		buf[roll((uint32_t)n)] ^= (uint8_t)(1 << roll(8));
		net.changed++;
	}
	if (!net.nr_held && roll(100) < 10) {
		memcpy(net.held, buf, (size_t)n);
		net.nr_held = n;
		net.swapped++;
		return;
	}
	send(net.back, buf, (size_t)n, 0);
	if (roll(100) < 10) {
		send(net.back, buf, (size_t)n, 0);
		net.doubled++;
	}
	if (net.nr_held)
		send(net.back, net.held, (size_t)net.nr_held, 0);
	net.nr_held = 0;
}

/* Its own address as text; it sends on to @where. */
static void begin_net(char *text, size_t room)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	memset(&net, 0, sizeof(net));
	net.seed = 1;
	net.front = socket(AF_INET, SOCK_DGRAM, 0);
	net.back = socket(AF_INET, SOCK_DGRAM, 0);
	KT_EQ(bind(net.front, (struct sockaddr *)&in, len), 0);
	getsockname(net.front, (struct sockaddr *)&in, &len);
	snprintf(text, room, "udp:127.0.0.1:%u", ntohs(in.sin_port));
	in.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	KT_EQ(connect(net.back, (struct sockaddr *)&in, len), 0);
	KT_EQ(pulse_poller_add(poller, net.front, PULSE_POLLER_IN, pass_on, NULL,
			       &net.front_id), 0);
}

static void send_through(int sequenced, uint32_t nr)
{
	char relay[64];

	begin(sequenced);
	begin_net(relay, sizeof(relay));
	dial(relay, sequenced);
	for (uint32_t i = 1; i <= nr; i++) {
		send_number(&client, i, 20 + i % 500);
		pulse_poller_run_once(poller, 0);
	}
	settle();
	pulse_poller_del(poller, net.front_id);
	close(net.front);
	close(net.back);
	kt_note("%ld got; lost %ld, doubled %ld, swapped %ld, changed %ld",
		server.got, net.lost, net.doubled, net.swapped, net.changed);
	KT_CHECK(net.lost && net.doubled && net.swapped && net.changed);
}

/* W06: the documented guarantee */
KT_TEST(sequenced_is_never_doubled_reordered_or_changed)
{
	uint32_t nr = (uint32_t)kt_scale(5000);
	struct pulse_transport_stats s;

	nr = nr < 500 ? 500 : nr > MAX_NUMBERS - 1 ? MAX_NUMBERS - 1 : nr;
	send_through(PULSE_ON, nr);
	s = stats(&server);
	KT_EQ(server.repeated, 0);
	KT_EQ(server.backwards, 0);
	KT_EQ(server.bad, 0);
	KT_CHECK(server.got > nr / 3);
	KT_CHECK(s.late > 0 && s.corrupt > 0 && s.lost > 0);
	/* All that did not come is counted, up to the last one that did. */
	KT_EQ((long)s.lost, (long)server.last - server.got);
	kt_note("lost %llu, late %llu, corrupt %llu", (unsigned long long)s.lost,
		(unsigned long long)s.late, (unsigned long long)s.corrupt);
	end();
}

KT_TEST(without_it_the_network_shows)
{
	send_through(PULSE_OFF, 3000);
	KT_CHECK(server.repeated && server.backwards && server.bad);
	end();
}

/* ---- a network of our own ------------------------------------------------------ */

/* Runs @fn in a child with a network namespace; 77: not to be had. */
static int in_own_net(const char *setup, int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWNET) || system(setup))
			_exit(77);
		alarm(50);
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int big_ones(void)
{
	begin(1);
	dial(where, 1);
	for (uint32_t i = 1; i <= 100; i++) {
		KT_EQ(send_number(&client, i, 5000), 5000);
		settle();
		if (i == 3 && !server.got)
			return 1;
	}
	UNTIL(server.got == 100);
	end();
	return kt_failed || server.bad ? 1 : 0;
}

/* W06: an MTU of 576 */
KT_TEST(a_small_mtu_cuts_nothing_off)
{
	int rc = in_own_net("ip link set lo mtu 576 up 2>/dev/null", big_ones);

	if (rc == 77)
		KT_SKIP("no network namespace to be had, or no ip command");
	KT_EQ(rc, 0);
}

static int noisy(void)
{
	begin(1);
	dial(where, 1);
	for (uint32_t i = 1; i <= 3000; i++) {
		send_number(&client, i, 200);
		pulse_poller_run_once(poller, 0);
	}
	for (int i = 0; i < 30; i++)
		settle();
	if (server.repeated || server.backwards || server.bad ||
	    server.got < 500 || !stats(&server).lost)
		return 1;
	end();
	return kt_failed ? 1 : 0;
}

/* W06: the same by the kernel's own netem */
KT_TEST(netem_changes_nothing_of_that)
{
	int rc = in_own_net("ip link set lo up && tc qdisc add dev lo root netem "
			    "delay 1ms 1ms loss 20% duplicate 10% reorder 20% "
			    "corrupt 5% 2>/dev/null", noisy);

	if (rc == 77)
		KT_SKIP("no network namespace, or the kernel has no netem");
	KT_EQ(rc, 0);
}

KT_TEST(each_allocation_may_fail)
{
	bool failed;
	long n = 0;

	do {
		begin(1);
		dial(where, 1);
		pulse__alloc_fail_at(++n);
		for (uint32_t i = 1; i < 10; i++) {
			send_number(&client, i, 10);
			settle();
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECK(server.got > 0);
		end();
	} while (failed && n < 50);
	KT_CHECKF(n > 3, "%ld allocations", n - 1);
}

KT_MAIN()

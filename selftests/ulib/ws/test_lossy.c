// SPDX-License-Identifier: GPL-2.0-only
/*
 * W07: networks that lose, double and reorder packets, peers that vanish, and a
 * flood of SYNs, in a network of its own.
 *
 * All packets to 10.9.0.2 come to a thread here, which sends them back with
 * their addresses swapped, if it does not drop them: 10.9.0.2 is this machine
 * over a bad line. (Swapping changes no checksum.)
 */
#include "keeping.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

static struct {
	int fd;
	unsigned int lose;	/* in 100 */
	uint64_t seen, lost;
	uint32_t stop;
} line = { .fd = -1 };

static uint32_t dice(void)
{
	static uint32_t x = 12345;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % 100;
}

static void *reflect(void *arg)
{
	uint8_t p[2][2048];
	unsigned int in_turn = 0;
	ssize_t held = 0;

	(void)arg;
	while (!__atomic_load_n(&line.stop, __ATOMIC_ACQUIRE)) {
		struct pollfd pfd = { line.fd, POLLIN, 0 };
		unsigned int lose = __atomic_load_n(&line.lose, __ATOMIC_ACQUIRE);
		uint8_t swap[4];
		ssize_t n;

		if (poll(&pfd, 1, 20) < 1) {
			if (held)
				(void)!write(line.fd, p[1], (size_t)held);
			held = 0;
			continue;
		}
		n = read(line.fd, p[0], sizeof(p[0]));
		if (n < 20 || p[0][0] >> 4 != 4)
			continue;
		memcpy(swap, p[0] + 12, 4);
		memcpy(p[0] + 12, p[0] + 16, 4);
		memcpy(p[0] + 16, swap, 4);
		pulse__add_relaxed(&line.seen, 1);
		/*
		 * Not more than three in a row of a line that only loses some:
		 * TCP waits twice as long each time, up to minutes.
		 */
		if (dice() < lose && (lose == 100 || in_turn < 3)) {
			pulse__add_relaxed(&line.lost, 1);
			in_turn++;
			continue;
		}
		in_turn = 0;
		if (!held && lose && dice() < 10) {
			memcpy(p[1], p[0], (size_t)n);	/* behind the next one */
			held = n;
			continue;
		}
		(void)!write(line.fd, p[0], (size_t)n);
		if (lose && dice() < 5)
			(void)!write(line.fd, p[0], (size_t)n);
		if (held)
			(void)!write(line.fd, p[1], (size_t)held);
		held = 0;
	}
	return NULL;
}

static int up(int s, struct ifreq *ifr)
{
	ifr->ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(s, SIOCSIFFLAGS, ifr);
}

static void set_address(struct ifreq *ifr, const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &sin.sin_addr);
	memcpy(&ifr->ifr_addr, &sin, sizeof(sin));
}

/* NULL, or why there is no such network. Once, for all tests. */
static const char *network(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	pthread_t t;
	int s, fd;

	if (line.fd >= 0)
		return NULL;
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
		return "no network namespace";
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	strcpy(ifr.ifr_name, "bad0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		return "no tunnel device";
	set_address(&ifr, "10.9.0.1");
	if (ioctl(s, SIOCSIFADDR, &ifr))
		return "no address";
	set_address(&ifr, "255.255.0.0");
	if (ioctl(s, SIOCSIFNETMASK, &ifr) || up(s, &ifr))
		return "no network mask";
	strcpy(ifr.ifr_name, "lo");
	up(s, &ifr);
	close(s);
	line.fd = fd;
	if (pthread_create(&t, NULL, reflect, NULL))
		return "no thread";
	pthread_detach(t);
	return NULL;
}

static struct peer dial(struct pulse_ws_server *server)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct timeval limit = { 60, 0 };
	char where[PULSE_ADDRESS_MAX];
	struct peer p = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	int on = 1;

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	inet_pton(AF_INET, "10.9.0.2", &sin.sin_addr);
	sin.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	KT_CHECK(!connect(p.fd, (struct sockaddr *)&sin, sizeof(sin)));
	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	setsockopt(p.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	return p;
}

KT_TEST(over_a_line_that_loses_a_fifth_all_arrives_in_order)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "10.9.0.1:0", .handlers = &h,
		   .idle_timeout_ms = PULSE_OFF, .write_timeout_ms = PULSE_OFF);
	const char *why = network();
	struct pulse_ws_server *server;
	static uint8_t body[3000];
	long n = kt_scale(100);
	struct peer p;

	if (why)
		KT_SKIP("%s", why);
	server = serve(&o);
	p = dial(server);
	__atomic_store_n(&line.lose, 20, __ATOMIC_RELEASE);
	for (long i = 0; i < n; i++) {
		size_t len = 8 + (size_t)(i * 37 % 2900);

		memcpy(body, &i, sizeof(i));
		KT_CHECK(peer_send_frame(&p, 0x82, body, len));
		if (i % 8 != 7)
			continue;
		for (long k = i - 7; k <= i; k++) {
			memcpy(body, &k, sizeof(k));
			if (!KT_CHECK(peer_expect(&p, 0x82, body, 8 +
						  (size_t)(k * 37 % 2900))))
				i = n;
		}
	}
	__atomic_store_n(&line.lose, 0, __ATOMIC_RELEASE);
	KT_CHECK(READ_ONCE(line.lost) * 100 > READ_ONCE(line.seen) * 5);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Nothing of it comes any more, not even its end. */
static void vanish(struct pulse_ws_opts *o, int end)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	struct pulse_ws_server *server;
	struct peer p;

	o->listen = "10.9.0.1:0";
	server = serve_keeping(o, &h);
	p = dial(server);
	/* What is not acknowledged is sent again, for long, instead of probes. */
	KT_CHECK(peer_send_frame(&p, 0x82, "x", 1));
	KT_CHECK(peer_expect(&p, 0x82, "x", 1));
	peer_nap(500);
	__atomic_store_n(&line.lose, 100, __ATOMIC_RELEASE);
	KT_CHECK(EVENTUALLY(closed() == 1));
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[end], 1);
	__atomic_store_n(&line.lose, 0, __ATOMIC_RELEASE);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_peer_that_vanishes_is_found_by_tcps_probes)
{
	const char *why = network();
	PULSE_OPTS(pulse_ws_opts, o, .keepalive_s = 1,
		   .idle_timeout_ms = PULSE_OFF, .ping_interval_ms = PULSE_OFF);

	if (why)
		KT_SKIP("%s", why);
	vanish(&o, PULSE_WS_END_LOST);
}

KT_TEST(a_peer_that_vanishes_is_found_by_pings)
{
	const char *why = network();
	PULSE_OPTS(pulse_ws_opts, o, .ping_interval_ms = 200,
		   .idle_timeout_ms = 800, .close_timeout_ms = 300);

	if (why)
		KT_SKIP("%s", why);
	vanish(&o, PULSE_WS_END_CUT);
}

static uint16_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A SYN of someone who will never be heard of again. */
static void syn(uint32_t i, uint16_t port)
{
	uint8_t p[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0,
			  10, 9, (uint8_t)(1 + (i >> 8) % 200), (uint8_t)i,
			  10, 9, 0, 1 };
	uint8_t *tcp = p + 20;

	put16(p + 10, sum(p, 20, 0));
	put16(tcp, (uint16_t)(1024 + i));
	put16(tcp + 2, port);
	memcpy(tcp + 4, &i, 4);
	tcp[12] = 0x50;
	tcp[13] = 2;
	put16(tcp + 14, 65535);
	put16(tcp + 16, sum(p + 12, 28, 6 + 20));
	(void)!write(line.fd, p, sizeof(p));
}

KT_TEST(a_flood_of_syns_keeps_nobody_out)
{
	const char *why = network();
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "10.9.0.1:0", .handlers = &h,
		   .backlog = 16);
	struct pulse_ws_server *server;
	char where[PULSE_ADDRESS_MAX];
	struct peer p, q;

	if (why)
		KT_SKIP("%s", why);
	server = serve(&o);
	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	p = dial(server);
	for (uint32_t i = 0; i < 20000; i++) {
		syn(i, (uint16_t)atoi(strrchr(where, ':') + 1));
		if (i % 2000)
			continue;
		KT_CHECK(peer_send_frame(&p, 0x82, &i, sizeof(i)));
		KT_CHECK(peer_expect(&p, 0x82, &i, sizeof(i)));
	}
	q = dial(server);
	KT_CHECK(peer_send_frame(&q, 0x82, "x", 1));
	KT_CHECK(peer_expect(&q, 0x82, "x", 1));
	KT_EQ(stats_of(server).accepted, 2);
	peer_close(&p);
	peer_close(&q);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	__atomic_store_n(&line.stop, 1, __ATOMIC_RELEASE);
}

KT_MAIN()

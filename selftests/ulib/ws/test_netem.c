// SPDX-License-Identifier: GPL-2.0-only
/*
 * W03, W07: all at once in a network of its own, over the kernel's netem, which
 * loses a fifth of all packets, doubles and reorders others: peers that drip their
 * request, peers that never read, and one between them that is served, in order.
 */
#include "keeping.h"

#include <pulse-u/ws_topic.h>
#include <sched.h>

#define DRIPPERS	20
#define DEAF		5

static void echo_or_subscribe(struct pulse_ws_conn *conn, int op, const void *data,
			      size_t len, void *arg)
{
	if (len == 3)
		KT_EQ(pulse_ws_subscribe(conn, "t"), 0);
	else
		echo_back(conn, op, data, len, arg);
}

/* A network of this test's: 0, or why not. Once. */
static const char *network(void)
{
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
		return "no network namespace";
	if (system("ip link set lo up 2>/dev/null"))
		return "no ip command";
	/* For a look only, because peers are to come in first. */
	if (system("tc qdisc add dev lo root netem delay 1us 2>/dev/null && "
		   "tc qdisc del dev lo root 2>/dev/null"))
		return "no netem in this kernel, or no tc command";
	return NULL;
}

static unsigned long dropped_by_netem(void)
{
	unsigned long dropped = 0;
	char line[256];
	FILE *f = popen("tc -s qdisc show dev lo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "dropped ");

		if (at)
			dropped += strtoul(at + 8, NULL, 10);
	}
	if (f)
		pclose(f);
	return dropped;
}

/* Eight messages go, and eight come back in their order. */
static bool eight(struct peer *p, uint32_t from)
{
	static uint8_t body[3000];

	for (uint32_t n = from; n < from + 8; n++) {
		memcpy(body, &n, sizeof(n));
		if (!peer_send_frame(p, 0x82, body, 8 + n * 37 % 2900))
			return false;
	}
	for (uint32_t n = from; n < from + 8; n++) {
		memcpy(body, &n, sizeof(n));
		if (!peer_expect(p, 0x82, body, 8 + n * 37 % 2900))
			return false;
	}
	return true;
}

KT_TEST(over_netem_who_drips_or_never_reads_is_ended_and_the_rest_is_served_in_order)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_or_subscribe,
		   .on_close = count_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .handshake_timeout_ms = 3000,
		   .slow = PULSE_WS_SLOW_CLOSE, .send_high_bytes = 200000,
		   .idle_timeout_ms = PULSE_OFF, .write_timeout_ms = PULSE_OFF,
		   .ping_interval_ms = PULSE_OFF, .close_timeout_ms = 500);
	struct peer dripper[DRIPPERS], deaf[DEAF], good;
	uint32_t rounds = (uint32_t)kt_scale(20), i = 0;
	/* However few rounds there are time for, more than a socket keeps. */
	static uint8_t big[100000];
	const char *why = network();
	struct pulse_ws_server *server;
	struct pulse_ws_stats s;
	struct timeval limit = { 60, 0 };

	if (why)
		KT_SKIP("%s", why);
	server = serve(&o);
	good = peer_open(server);
	setsockopt(good.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (int k = 0; k < DEAF; k++) {
		deaf[k] = peer_connect_buf(server, 64 << 10);
		KT_CHECK(peer_say(&deaf[k], UPGRADE));
		KT_EQ(peer_status(&deaf[k]), 101);
		KT_CHECK(peer_send_frame(&deaf[k], 0x82, "sub", 3));
	}
	for (int k = 0; k < DRIPPERS; k++) {
		dripper[k] = peer_connect(server);
		KT_CHECK(peer_say(&dripper[k], "GET / HTTP/1.1\r\nX-Slow: "));
	}
	KT_EQ(system("tc qdisc add dev lo root netem delay 1ms 1ms loss 20% "
		     "duplicate 5% reorder 10%"), 0);
	/* Until all of them are gone, and as often as was asked for. */
	for (int64_t late = pulse_now_ns() + 45 * PULSE__NSEC_PER_SEC;
	     pulse_now_ns() < late; i++) {
		for (int k = 0; k < DRIPPERS; k++)
			(void)!send(dripper[k].fd, "s", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		pulse_ws_publish(server, "t", NULL, PULSE_WS_BINARY, big, sizeof(big));
		if (!KT_CHECK(eight(&good, 8 * i)))
			break;
		s = stats_of(server);
		if (i >= rounds && s.ended[PULSE_WS_END_REFUSED] == DRIPPERS &&
		    closed() == DEAF)
			break;
	}
	s = stats_of(server);
	KT_EQ(s.ended[PULSE_WS_END_REFUSED], DRIPPERS);
	KT_EQ(closed(), DEAF);
	KT_EQ(s.ended[PULSE_WS_END_SLOW] + s.ended[PULSE_WS_END_CUT], DEAF);
	KT_CHECK(dropped_by_netem() > 0);
	kt_note("%u messages, %lu packets lost", 8 * i, dropped_by_netem());
	KT_EQ(system("tc qdisc del dev lo root"), 0);
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 1));
	KT_CHECK(eight(&good, 8 * i));
	for (int k = 0; k < DRIPPERS; k++)
		peer_close(&dripper[k]);
	for (int k = 0; k < DEAF; k++)
		peer_close(&deaf[k]);
	peer_close(&good);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* W03, W07: peers that are slow, deaf, rude or too many; the server goes on. */
#include "keeping.h"
#include "nofile.h"

#include <fcntl.h>
#include <sys/resource.h>

static bool echoes(struct peer *p, uint32_t n)
{
	return peer_send_frame(p, 0x82, &n, sizeof(n)) &&
	       peer_expect(p, 0x82, &n, sizeof(n));
}

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * PULSE__NSEC_PER_SEC + ts.tv_nsec;
}

/* ---- W03 --------------------------------------------------------------------- */

/* W03: a thousand that send their request byte by byte, for ever. */
KT_TEST(a_thousand_slow_requests_are_ended_while_others_are_served)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handshake_timeout_ms = 1500);
	long n = kt_scale(1000);
	struct pulse_ws_server *server;
	struct peer *slow = calloc((size_t)n, sizeof(*slow)), good;
	struct rlimit files = { 8192, 8192 };
	uint32_t rounds = 0;
	long alive = n;

	setrlimit(RLIMIT_NOFILE, &files);
	o.handlers = &h;
	server = serve(&o);
	for (long i = 0; i < n; i++) {
		slow[i] = peer_connect(server);
		KT_CHECK(peer_say(&slow[i], "GET / HTTP/1.1\r\nX-Slow: "));
	}
	good = peer_open(server);
	while (alive && rounds < 300) {
		alive = 0;
		for (long i = 0; i < n; i++)
			alive += send(slow[i].fd, "s", 1, MSG_NOSIGNAL |
				      MSG_DONTWAIT) == 1;
		KT_CHECK(echoes(&good, rounds++));
		peer_nap(100);
	}
	KT_EQ(alive, 0);
	KT_CHECK(echoes(&good, rounds));
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 1));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], n);
	for (long i = 0; i < n; i++)
		peer_close(&slow[i]);
	peer_close(&good);
	free(slow);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* W03: open connections that drip a message cost no more than they have sent. */
KT_TEST(messages_that_drip_take_what_they_have_brought)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h,
		   .max_message_bytes = 64 << 20);
	/* A frame of 60 MiB, of which the first bytes come. */
	static const uint8_t begin[] = { 0x82, 0xff, 0, 0, 0, 0, 3, 0xc0, 0, 0,
					 1, 2, 3, 4, 'x' };
	struct pulse_ws_server *server = serve(&o);
	long n = kt_scale(200);
	struct peer *p = calloc((size_t)n, sizeof(*p)), good;
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	for (long i = 0; i < n; i++) {
		p[i] = peer_open(server);
		KT_CHECK(peer_send(&p[i], begin, sizeof(begin)));
	}
	for (int r = 0; r < 5; r++)
		for (long i = 0; i < n; i++)
			KT_CHECK(peer_send(&p[i], "y", 1));
	good = peer_open(server);
	KT_CHECK(echoes(&good, 1));
	getrusage(RUSAGE_SELF, &after);
	KT_CHECKF(after.ru_maxrss - before.ru_maxrss < n * 128 + 65536,
		  "%ld KiB", after.ru_maxrss - before.ru_maxrss);
	for (long i = 0; i < n; i++)
		peer_close(&p[i]);
	peer_close(&good);
	free(p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* W03: many that ask and never read: each is dropped, and counted as slow. */
KT_TEST(those_that_never_read_are_dropped_one_by_one)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back,
		   .on_close = count_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .send_high_bytes = 50000,
		   .write_timeout_ms = 500);
	long n = kt_scale(50);
	struct pulse_ws_server *server;
	struct peer *deaf = calloc((size_t)n, sizeof(*deaf)), good;
	static uint8_t bytes[66000];
	size_t len = peer_frame(bytes, 0x82, bytes + 100, 60000);
	uint32_t rounds = 0;

	closing = closes = 0;
	server = serve(&o);
	for (long i = 0; i < n; i++) {
		deaf[i] = peer_connect_buf(server, 64 << 10);
		KT_CHECK(peer_say(&deaf[i], UPGRADE));
		KT_EQ(peer_status(&deaf[i]), 101);
	}
	good = peer_open(server);
	while (closed() < n && rounds < 3000) {
		for (long i = 0; i < n; i++)
			if (send(deaf[i].fd, bytes, len,
				 MSG_NOSIGNAL | MSG_DONTWAIT) == 0)
				break;
		KT_CHECK(echoes(&good, rounds++));
		peer_nap(10);
	}
	KT_EQ(closed(), n);
	/* Frames cut short by a full socket are no frames: some sinned first. */
	KT_CHECK(stats_of(server).ended[PULSE_WS_END_SLOW] +
		 stats_of(server).ended[PULSE_WS_END_CUT] +
		 stats_of(server).ended[PULSE_WS_END_PROTOCOL] == (uint64_t)n);
	KT_CHECK(echoes(&good, rounds));
	for (long i = 0; i < n; i++)
		peer_close(&deaf[i]);
	peer_close(&good);
	free(deaf);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- W07 --------------------------------------------------------------------- */

/* W07: resets in each state, many at once. */
KT_TEST(resets_at_any_moment_are_survived)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2);
	struct pulse_ws_server *server = serve(&o);
	struct peer good = peer_open(server);
	uint8_t bytes[1100], body[1000] = { 0 };
	size_t len = peer_frame(bytes, 0x82, body, sizeof(body));

	for (long r = 0; r < kt_scale(300); r++) {
		struct peer p = peer_connect(server);

		switch (r % 6) {
		case 0:
			break;
		case 1:
			peer_say(&p, "GET / HT");
			break;
		case 2:
			peer_say(&p, UPGRADE);
			break;
		case 3:
			peer_say(&p, UPGRADE);
			peer_send(&p, bytes, len / 2);
			break;
		case 4:
			peer_say(&p, UPGRADE);
			KT_EQ(peer_status(&p), 101);
			for (int i = 0; i < 20; i++)
				peer_send(&p, bytes, len);
			break;
		case 5:
			peer_say(&p, UPGRADE);
			peer_send_close(&p, 1000, "");
			break;
		}
		peer_reset(&p);
		if (!(r % 50))
			KT_CHECK(echoes(&good, (uint32_t)r));
	}
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 1));
	KT_CHECK(echoes(&good, 0));
	peer_close(&good);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* W07: the peer's half is closed, ours still says what it has to. */
KT_TEST(a_half_closed_connection_gets_its_answers)
{
	struct pulse_ws_server *server = serve_echo();

	for (long r = 0; r < kt_scale(50); r++) {
		struct peer p = peer_open(server);
		uint32_t n = (uint32_t)r;

		KT_CHECK(peer_send_frame(&p, 0x82, &n, sizeof(n)));
		shutdown(p.fd, SHUT_WR);
		KT_CHECK(peer_expect(&p, 0x82, &n, sizeof(n)));
		KT_CHECK(peer_at_end(&p));
		peer_close(&p);
	}
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOST], kt_scale(50));
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/*
 * W07: more connects than the backlog takes, before anyone accepts: those that
 * got in are served, and so is who comes later.
 */
KT_TEST(a_flood_of_connects_beyond_the_backlog_is_survived)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .backlog = 4);
	struct pulse_ws_server *server = NULL;
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char where[PULSE_ADDRESS_MAX];
	struct peer good;
	int fd[200];

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	sin.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
			       SOCK_CLOEXEC, 0);
		KT_CHECK(connect(fd[i], (struct sockaddr *)&sin, sizeof(sin)) ==
			 0 || errno == EINPROGRESS);
	}
	KT_EQ(pulse_ws_server_start(server), 0);
	good = peer_open(server);
	KT_CHECK(echoes(&good, 1));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	KT_CHECK(echoes(&good, 2));
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 1));
	peer_close(&good);
	good = peer_open(server);
	KT_CHECK(echoes(&good, 3));
	peer_close(&good);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* W07: no descriptor to accept with: no spin, and served when there is one. */
KT_TEST(a_shortage_of_descriptors_is_waited_for_without_spinning)
{
	struct pulse_ws_server *server;
	struct nofile none;
	struct peer p, q;
	int64_t cpu, wall;

	KT_CHECK(nofile_begin(&none));
	server = serve_echo();
	p = peer_open(server);
	nofile_take_all(&none);
	close(none.fd[--none.nr]);	/* the last one is the peer's own end */
	q = peer_connect(server);
	KT_CHECK(peer_say(&q, UPGRADE));
	cpu = cpu_ns();
	wall = pulse_now_ns();
	peer_nap(1000);
	cpu = cpu_ns() - cpu;
	wall = pulse_now_ns() - wall;
	/* One that spins takes as much as it gets; this is a few turns. */
	KT_CHECKF(cpu < wall / 4, "%lld ms of %lld ms",
		  (long long)(cpu / 1000000), (long long)(wall / 1000000));
	KT_CHECK(echoes(&p, 1));
	KT_EQ(stats_of(server).accepted, 1);
	nofile_end(&none);
	KT_EQ(peer_status(&q), 101);
	KT_CHECK(echoes(&q, 2));
	peer_close(&p);
	peer_close(&q);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

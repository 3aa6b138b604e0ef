// SPDX-License-Identifier: GPL-2.0-only
/* Addresses, listeners and connects; what all carriers do stands in carriers.h. */
#include "ends.h"

#include "io/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

KT_TEST(addresses)
{
	static const char *const bad[] = {
		"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1:8x", "1.2.3:80", "[::1]", "[::1:80",
		"::1:80", "example.org:80", "127.0.0.1:000080", "udp:127.0.0.1:80x",
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

KT_TEST(a_unix_socket_has_a_path_or_a_name)
{
	static const char *const bad[] = { "unix:", "unix:@" };
	char path[64], own[96], name[96], peer[PULSE_ADDRESS_MAX], far[200];
	PULSE_OPTS(pulse_listener_opts, lo, .address = own);
	PULSE_OPTS(pulse_connect_opts, co, .address = far);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct pulse_listener *l, *other;
	struct pulse_transport *t;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/tmp/pulse-test-%d", getpid());
	snprintf(own, sizeof(own), "unix:%s", path);
	snprintf(name, sizeof(name), "unix:@pulse-test-%d", getpid());
	begin(name);
	KT_STREQ(where, name);
	meet();
	KT_STREQ(pulse_transport_name(server.t), "unix");
	KT_EQ(pulse_transport_address(client.t, true, peer, sizeof(peer)), 0);
	KT_STREQ(peer, name);
	KT_EQ(pulse_transport_address(server.t, true, peer, sizeof(peer)), 0);
	KT_STREQ(peer, "unix:");
	/* What one that was killed has left is taken over; a live one is not. */
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	KT_EQ(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, &server, &l), 0);
	lo.reuse_port = PULSE_ON;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &other),
	      -EOPNOTSUPP);
	lo.reuse_port = PULSE_OFF;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &other),
	      -EADDRINUSE);
	KT_EQ(stat(path, &st), 0);
	KT_EQ(pulse_listener_close(l), 0);
	KT_EQ(stat(path, &st), -1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		lo.address = bad[i];
		KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l),
		      -EINVAL);
	}
	memset(far, 'x', sizeof(far) - 1);
	far[sizeof(far) - 1] = 0;
	memcpy(far, "unix:/", 6);
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t),
	      -ENAMETOOLONG);
	strcpy(far, "unix:/tmp/pulse-test-nobody-is-here");
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t),
	      -ENOENT);
	end();
}

KT_TEST(a_full_unix_backlog_is_waited_for)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = where, .backlog = 1);
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	struct pulse_poller *deaf;
	struct end many[4] = { 0 };
	struct pulse_listener *l;

	begin("127.0.0.1:0");
	snprintf(where, sizeof(where), "unix:@pulse-test-full-%d", getpid());
	KT_EQ(pulse_poller_create(NULL, &deaf), 0);
	KT_EQ(pulse_listener_open(deaf, &lo, on_accept, &server, &l), 0);
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_transport_connect(poller, &co, on_end, &many[i],
					      &many[i].t), 0);
	co.deadline_ns = pulse_now_ns() + 50 * PULSE__NSEC_PER_MSEC;
	KT_EQ(pulse_transport_connect(poller, &co, on_end, &client, &client.t), 0);
	UNTIL(client.seen);
	KT_EQ(client.seen, PULSE_TRANSPORT_ERROR);
	KT_EQ(client.err, -ETIMEDOUT);
	KT_EQ(many[3].seen, 0);
	for (int i = 0; i < 4; i++) {
		while (accepted <= i) {
			pulse_poller_run_once(deaf, 0);
			pulse_poller_run_once(poller, 0);
		}
	}
	for (int i = 0; i < 4; i++) {
		UNTIL(many[i].seen & PULSE_TRANSPORT_OPEN);
		pulse_transport_close(many[i].t, false);
	}
	KT_EQ(pulse_listener_close(l), 0);
	if (server.t)
		pulse_transport_close(server.t, false);
	server.t = NULL;
	KT_EQ(pulse_poller_destroy(deaf), 0);
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

/* The socket of a connection of this process, whoever has it. */
static int socket_of(struct pulse_transport *t)
{
	char mine[PULSE_ADDRESS_MAX], text[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_transport_address(t, false, mine, sizeof(mine)), 0);
	for (int fd = 3; fd < 1024; fd++)
		if (!pulse__addr_of(fd, false, text, sizeof(text)) &&
		    !strcmp(text, mine) && !pulse__addr_of(fd, true, text, sizeof(text)))
			return fd;
	return -1;
}

static int sockopt(struct pulse_transport *t, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	KT_EQ(getsockopt(socket_of(t), level, name, &value, &len), 0);
	return value;
}

/* Both sides have what was asked for, and by default small pieces do not wait. */
KT_TEST(sockets_are_tuned_as_the_options_say)
{
	static const struct {
		int nodelay;
		uint32_t keepalive_s, idle;
	} cases[] = {
		{ 0, 0, 0 }, { PULSE_ON, 0, 0 }, { PULSE_OFF, 0, 0 },
		{ PULSE_OFF, 1, 1 }, { 0, 77, 77 }, { 0, UINT32_MAX, 32767 },
	};
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct end *ends[2] = { &client, &server };

		lo.nodelay = how.nodelay = cases[i].nodelay;
		lo.keepalive_s = how.keepalive_s = cases[i].keepalive_s;
		begin_opts(&lo);
		meet();
		for (int k = 0; k < 2; k++) {
			struct pulse_transport *t = ends[k]->t;

			KT_EQ(!!sockopt(t, IPPROTO_TCP, TCP_NODELAY),
			      cases[i].nodelay != PULSE_OFF);
			KT_EQ(!!sockopt(t, SOL_SOCKET, SO_KEEPALIVE),
			      !!cases[i].keepalive_s);
			if (!cases[i].keepalive_s)
				continue;
			KT_EQ(sockopt(t, IPPROTO_TCP, TCP_KEEPIDLE), cases[i].idle);
			KT_CHECK(sockopt(t, IPPROTO_TCP, TCP_KEEPINTVL) > 0);
			KT_CHECK(sockopt(t, IPPROTO_TCP, TCP_KEEPINTVL) <=
				 (int)cases[i].idle);
		}
		end();
	}
	how.nodelay = 0;
	how.keepalive_s = 0;
}

/* So many connections a turn and no more, so that others of the loop have theirs. */
KT_TEST(a_turn_accepts_no_more_than_its_batch)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_EPOLL);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	struct end ends[10] = { 0 };
	struct pulse_poller *accepts;
	struct pulse_listener *l;

	begin("127.0.0.1:0");
	server.t = (void *)&server;	/* on_accept() closes what comes */
	for (uint32_t batch = 1; batch <= 4; batch += 3) {
		int max = 0, turns = 0;

		lo.accept_batch = batch;
		KT_EQ(pulse_poller_create(&po, &accepts), 0);
		KT_EQ(pulse_listener_open(accepts, &lo, on_accept, &server, &l), 0);
		KT_EQ(pulse_listener_address(l, where, sizeof(where)), 0);
		accepted = 0;
		memset(ends, 0, sizeof(ends));
		for (int i = 0; i < 10; i++) {
			KT_EQ(pulse_transport_connect(poller, &co, on_end, &ends[i],
						      &ends[i].t), 0);
			UNTIL(ends[i].seen & PULSE_TRANSPORT_OPEN);
		}
		for (; accepted < 10 && turns < 10000; turns++) {
			int before = accepted;

			pulse_poller_run_once(accepts, pulse_now_ns() +
					      10 * PULSE__NSEC_PER_MSEC);
			max = accepted - before > max ? accepted - before : max;
		}
		KT_EQ(accepted, 10);
		KT_EQ(max, batch);
		for (int i = 0; i < 10; i++)
			pulse_transport_close(ends[i].t, false);
		KT_EQ(pulse_listener_close(l), 0);
		KT_EQ(pulse_poller_destroy(accepts), 0);
	}
	server.t = NULL;
	end();
}

/* What io_uring receives for stays with its kind; a socket goes anywhere. */
KT_TEST(a_move_to_another_kind_of_poller_is_refused_where_it_has_to_be)
{
	PULSE_OPTS(pulse_poller_opts, uo, .kind = PULSE_POLLER_IO_URING);
	PULSE_OPTS(pulse_poller_opts, eo, .kind = PULSE_POLLER_EPOLL);
	struct pulse_poller *uring, *epoll;
	bool stays;

	if (pulse_poller_create(&uo, &uring))
		KT_SKIP("no io_uring");
	KT_EQ(pulse_poller_create(&eo, &epoll), 0);
	begin("127.0.0.1:0");
	meet();
	stays = !strcmp(pulse_poller_name(poller), "io_uring");
	KT_EQ(send_some(&client, 0, 1000), 1000);
	KT_EQ(pulse_transport_move(server.t, epoll), stays ? -EOPNOTSUPP : 0);
	if (!stays)
		KT_EQ(pulse_transport_move(server.t, poller), 0);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(server.got == 1000);
	/* Twice at once: the first loop never sees it. */
	KT_EQ(pulse_transport_move(server.t, stays ? uring : epoll), 0);
	KT_EQ(pulse_transport_move(server.t, poller), 0);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	KT_EQ(send_some(&client, 1000, 1000), 1000);
	UNTIL(server.got == 2000);
	/* Closed where it has not arrived, the peer sees the end after all of it. */
	KT_EQ(send_some(&server, 0, 100), 100);
	KT_EQ(pulse_transport_move(server.t, stays ? uring : epoll), 0);
	pulse_transport_close(server.t, false);
	server.t = NULL;
	UNTIL(client.eof);
	KT_EQ(client.got, 100);
	end();
	KT_EQ(pulse_poller_destroy(uring), 0);
	KT_EQ(pulse_poller_destroy(epoll), 0);
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

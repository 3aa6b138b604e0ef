/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring_side.h - a stream that an io_uring listener has accepted, and its peer, a
 * socket of the system's own that sends bytes which count up. What has arrived is
 * received in the turns after it, so that a test says how much one receive brings.
 */
#ifndef PULSE_SELFTESTS_IO_URING_SIDE_H
#define PULSE_SELFTESTS_IO_URING_SIDE_H

#include "ends.h"
#include "io/uring_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LONG_ONE	40000L	/* brings more than a short one at a time */

struct peer_side {
	int fd;
	long sent, heard;
};

static inline bool on_uring(void)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_IO_URING);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	int err;

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	err = pulse_poller_create(&po, &poller);
	if (err == -ENOSYS || err == -EPERM)
		return false;
	KT_EQ(err, 0);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, &server, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
	return true;
}

#define BEGIN()								\
	do {								\
		if (!on_uring())					\
			KT_SKIP("io_uring is not to be had");		\
	} while (0)

static inline struct pulse__uring_stream *stream_of(const struct end *e)
{
	return pulse__uring_to_stream(e->t);
}

/* Its server's end is @e, which has none so far. Not paced, whatever is usual here. */
static inline struct peer_side peer_of(struct end *e)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1)) };
	struct peer_side p = {
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	};

	setsockopt(p.fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	KT_EQ(connect(p.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(p.fd, F_SETFL, O_NONBLOCK);
	UNTIL(e->t);
	return p;
}

static inline long waiting(const struct end *e)
{
	int n = 0;

	ioctl(stream_of(e)->fd, FIONREAD, &n);
	return n;
}

/* All of it lies in the socket, if nobody receives. */
static inline void arrive(struct peer_side *p, const struct end *e, long n)
{
	static uint8_t bytes[LONG_ONE];

	for (long i = 0; i < n; i++)
		bytes[i] = (uint8_t)((p->sent + i) % 251);
	KT_EQ(write(p->fd, bytes, (size_t)n), n);	/* test_uring_lent cuts send() */
	p->sent += n;
	KT_CHECK(EVENTUALLY(waiting(e) >= n));
}

/* ... and is received. */
static inline void bring(struct peer_side *p, const struct end *e, long n)
{
	arrive(p, e, n);
	UNTIL(e->got == p->sent);
}

static inline void finish(void)
{
	if (server.t)
		pulse_transport_close(server.t, false);
	KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

#endif /* PULSE_SELFTESTS_IO_URING_SIDE_H */

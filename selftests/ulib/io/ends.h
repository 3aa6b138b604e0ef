/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ends.h - a listener and the two ends of a connection on one loop, for tests
 * of transports.
 */
#ifndef PULSE_SELFTESTS_IO_ENDS_H
#define PULSE_SELFTESTS_IO_ENDS_H

#include "base/base.h"
#include "ktap.h"
#include "turns.h"

#include <pulse-u/transport.h>

struct end {
	struct pulse_transport *t;
	uint32_t seen;		/* events told so far */
	int err;
	long got;
	bool eof;
	bool broken;
};

/* A carrier, and what it needs beside an address. */
struct kind {
	const char *name;
	const char *address;		/* of a listener; %d: this process */
	uint32_t features;
	/* Fills in more options; why it cannot be had here, or NULL. */
	const char *(*prepare)(struct pulse_listener_opts *lo,
			       struct pulse_connect_opts *co);
	/* Do its ends have to be of one thread? May be NULL: no. */
	bool (*one_thread)(void);
};

static struct pulse_poller *poller;
static struct pulse_listener *listener;
static char where[PULSE_ADDRESS_MAX];
static struct end server, client;
static int accepted;

/* Reads all there is and checks that it counts up, as send_some() sends it. */
static inline void take(struct end *e)
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

static inline void on_end(struct pulse_transport *t, uint32_t events, void *arg)
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

static inline void on_accept(struct pulse_listener *l, struct pulse_transport *t,
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

static struct pulse_connect_opts how = {
	.sz = sizeof(how), .address = where,
};

static inline void begin_opts(const struct pulse_listener_opts *lo)
{

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = 0;
	listener = NULL;
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_listener_open(poller, lo, on_accept, &server, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
}

static inline void begin(const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);

	begin_opts(&lo);
}

static inline int dial(void)
{
	int err = pulse_transport_connect(poller, &how, on_end, &client,
					  &client.t);

	if (!err)
		err = pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
	return err;
}

static inline void meet(void)
{
	KT_EQ(dial(), 0);
	UNTIL(server.t && client.seen & PULSE_TRANSPORT_OPEN);
}

static inline void end(void)
{
	if (server.t)
		pulse_transport_close(server.t, false);
	if (client.t)
		pulse_transport_close(client.t, false);
	KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

/* Sends what the transport takes, from @from on; returns how much. */
static inline long send_some(struct end *e, long from, long bytes)
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

#endif /* PULSE_SELFTESTS_IO_ENDS_H */

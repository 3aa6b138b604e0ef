/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mock.h - a transport made of memory, with moods: short reads and sends,
 * refusals, sends that keep the memory until later.
 *
 * Drives connections of a server that was created but never started, on the
 * caller's thread: no sockets, no clock, the same each time.
 */
#ifndef PULSE_SELFTESTS_WS_MOCK_H
#define PULSE_SELFTESTS_WS_MOCK_H

#include <stdio.h>

#include "ws/ws_int.h"

struct mock {
	struct pulse_transport t;
	const uint8_t *in;	/* what the peer sends, and then its end */
	size_t in_len, in_at;
	size_t read_max;	/* bytes a read, 0: no limit */
	size_t send_max;	/* bytes a send, 0: no limit */
	unsigned int refuse;	/* every n-th send is refused, 0: none */
	unsigned int sends;
	bool async;		/* sends keep the memory */
	bool keep_open;		/* the peer's end never comes */
	uint8_t *out;		/* what the peer has got */
	size_t out_len, out_room;
	struct iovec flight[64];
	int nr_flight;
	size_t flight_at;	/* a copy of what is in flight begins here */
	uint32_t watched;
	bool shut, closed, broken;
	uint64_t unsent;	/* not with the peer yet, as stats say */
};

static inline struct mock *to_mock(struct pulse_transport *t)
{
	return container_of(t, struct mock, t);
}

static inline void mock_take(struct mock *m, const void *data, size_t len)
{
	if (m->out_len + len > m->out_room) {
		m->out_room = 2 * (m->out_len + len);
		m->out = realloc(m->out, m->out_room);
	}
	if (len)
		memcpy(m->out + m->out_len, data, len);
	m->out_len += len;
}

static inline ssize_t mock_send(struct pulse_transport *t,
				const struct iovec *iov, int nr)
{
	struct mock *m = to_mock(t);
	size_t left = m->send_max ? m->send_max : SIZE_MAX, taken = 0;

	if (m->nr_flight || m->shut)
		m->broken = true;	/* against the contract */
	if (m->refuse && ++m->sends % m->refuse == 0)
		return -EAGAIN;
	if (m->async) {
		m->flight_at = m->out_len;
		left = SIZE_MAX;
	}
	for (int i = 0; i < nr && left; i++) {
		size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;

		mock_take(m, iov[i].iov_base, n);
		left -= n;
		taken += n;
	}
	if (!m->async)
		return (ssize_t)taken;
	memcpy(m->flight, iov, (size_t)nr * sizeof(*iov));
	m->nr_flight = nr;
	return -EINPROGRESS;
}

/* The send in flight is through; was its memory left alone? */
static inline void mock_landed(struct mock *m)
{
	size_t at = m->flight_at;

	for (int i = 0; i < m->nr_flight; i++) {
		if (memcmp(m->out + at, m->flight[i].iov_base,
			   m->flight[i].iov_len))
			m->broken = true;
		at += m->flight[i].iov_len;
	}
	m->nr_flight = 0;
}

static inline ssize_t mock_recv(struct pulse_transport *t,
				const struct iovec *iov, int nr)
{
	struct mock *m = to_mock(t);
	size_t left = m->read_max ? m->read_max : SIZE_MAX, got = 0;

	if (m->in_at == m->in_len)
		return m->keep_open ? -EAGAIN : 0;
	for (int i = 0; i < nr && left && m->in_at < m->in_len; i++) {
		size_t n = m->in_len - m->in_at;

		n = n < iov[i].iov_len ? n : iov[i].iov_len;
		n = n < left ? n : left;
		memcpy(iov[i].iov_base, m->in + m->in_at, n);
		m->in_at += n;
		left -= n;
		got += n;
	}
	return (ssize_t)got;
}

static inline ssize_t mock_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	*data = iov.iov_base;
	return mock_recv(t, &iov, 1);
}

static inline int mock_watch(struct pulse_transport *t, uint32_t events)
{
	to_mock(t)->watched = events;
	return 0;
}

static inline int mock_shutdown(struct pulse_transport *t)
{
	to_mock(t)->shut = true;
	return 0;
}

static inline void mock_close(struct pulse_transport *t, bool reset)
{
	(void)reset;
	to_mock(t)->closed = true;	/* the memory is the test's */
}

static inline int mock_error(struct pulse_transport *t)
{
	(void)t;
	return 0;
}

static inline int mock_address(struct pulse_transport *t, bool peer, char *buf,
			       size_t len)
{
	(void)t;
	(void)peer;
	return snprintf(buf, len, "mock") < (int)len ? 0 : -ENOSPC;
}

static inline void mock_stats(const struct pulse_transport *t,
			      struct pulse_transport_stats *out)
{
	out->unsent = container_of(t, const struct mock, t)->unsent;
}

static const struct pulse_transport_ops mock_ops = {
	.sz = sizeof(mock_ops), .name = "mock",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED,
	.send = mock_send, .recv = mock_recv, .view = mock_view,
	.watch = mock_watch, .shutdown = mock_shutdown, .close = mock_close,
	.error = mock_error, .address = mock_address, .stats = mock_stats,
};

static const struct pulse_transport_ops mock_async_ops = {
	.sz = sizeof(mock_async_ops), .name = "mock",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_ASYNC_SEND,
	.send = mock_send, .recv = mock_recv, .view = mock_view,
	.watch = mock_watch, .shutdown = mock_shutdown, .close = mock_close,
	.error = mock_error, .address = mock_address, .stats = mock_stats,
};

/* A connection of the server's first loop over the mock; 0 or -errno. */
static inline int mock_connect(struct mock *m, struct pulse_ws_server *server)
{
	struct pulse__ws_loop *loop = server->loops[0];
	struct pulse_ws_conn *conn;

	m->t.ops = m->async ? &mock_async_ops : &mock_ops;
	m->t.poller = loop->poller;
	return pulse__ws_conn_new(loop, &m->t, &conn);
}

/* Lets things happen until nothing more does, or it is closed. */
static inline void mock_run(struct mock *m)
{
	bool more = true;

	while (more && !m->closed) {
		more = false;
		if (m->nr_flight) {
			mock_landed(m);
			m->t.fn(&m->t, PULSE_TRANSPORT_SENT, m->t.arg);
			more = true;
		}
		if (!m->closed && m->watched & PULSE_TRANSPORT_WRITE) {
			m->t.fn(&m->t, PULSE_TRANSPORT_WRITE, m->t.arg);
			more = true;
		}
		if (!m->closed && m->watched & PULSE_TRANSPORT_READ &&
		    !(m->keep_open && m->in_at == m->in_len)) {
			m->t.fn(&m->t, PULSE_TRANSPORT_READ, m->t.arg);
			more = true;
		}
		pulse_poller_run_once(m->t.poller, 0);	/* the hook */
	}
}

#endif /* PULSE_SELFTESTS_WS_MOCK_H */

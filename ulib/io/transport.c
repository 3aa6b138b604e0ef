// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * transport.c - the functions of transport.h, over any carrier's ops.
 */
#include "io/poller_int.h"

#include <pulse-u/transport.h>

#define MAX_PIECES	64

int pulse_transport_set_handler(struct pulse_transport *t,
				pulse_transport_fn fn, void *arg)
{
	if (!t || !fn)
		return -EINVAL;
	t->fn = fn;
	t->arg = arg;
	return 0;
}

uint32_t pulse_transport_features(const struct pulse_transport *t)
{
	return t ? t->ops->features : 0;
}

const char *pulse_transport_name(const struct pulse_transport *t)
{
	return t ? t->ops->name : NULL;
}

ssize_t pulse_transport_send(struct pulse_transport *t, const struct iovec *iov,
			     int nr)
{
	if (!t || !iov || nr < 1 || nr > MAX_PIECES)
		return -EINVAL;
	return t->ops->send(t, iov, nr);
}

ssize_t pulse_transport_recv(struct pulse_transport *t, const struct iovec *iov,
			     int nr)
{
	if (!t || !iov || nr < 1 || nr > MAX_PIECES)
		return -EINVAL;
	return t->ops->recv(t, iov, nr);
}

ssize_t pulse_transport_view(struct pulse_transport *t, void **data)
{
	if (!t || !data)
		return -EINVAL;
	return t->ops->view(t, data);
}

int pulse_transport_watch(struct pulse_transport *t, uint32_t events)
{
	if (!t || !t->fn ||
	    events & ~(uint32_t)(PULSE_TRANSPORT_READ | PULSE_TRANSPORT_WRITE))
		return -EINVAL;
	return t->ops->watch(t, events);
}

int pulse_transport_shutdown(struct pulse_transport *t)
{
	if (!t)
		return -EINVAL;
	return t->ops->shutdown(t);
}

int pulse_transport_close(struct pulse_transport *t, bool reset)
{
	if (!t)
		return -EINVAL;
	t->ops->close(t, reset);
	return 0;
}

int pulse_transport_error(struct pulse_transport *t)
{
	if (!t)
		return -EINVAL;
	return t->ops->error(t);
}

int pulse_transport_address(struct pulse_transport *t, bool peer, char *buf,
			    size_t len)
{
	if (!t || !buf || !len)
		return -EINVAL;
	return t->ops->address(t, peer, buf, len);
}

int pulse_transport_move(struct pulse_transport *t, struct pulse_poller *to)
{
	if (!t || !to)
		return -EINVAL;
	if (!pulse__poller_mine(t->poller))
		return -EPERM;
	if (t->ops->sz < sizeof(*t->ops) || !t->ops->move)
		return -EOPNOTSUPP;
	return t->ops->move(t, to);
}

int pulse_transport_stats(const struct pulse_transport *t,
			  struct pulse_transport_stats *out)
{
	struct pulse_transport_stats s = { 0 };
	int err;

	if (!t || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), tx_bytes));
	if (err)
		return err;
	s.rx_bytes = t->rx_bytes;
	s.tx_bytes = t->tx_bytes;
	if (t->ops->sz >= pulse__size_to(struct pulse_transport_ops, stats) &&
	    t->ops->stats)
		t->ops->stats(t, &s);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

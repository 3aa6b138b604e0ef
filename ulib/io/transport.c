// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * transport.c - the functions of transport.h, over any carrier's ops.
 */
#include "io/poller_int.h"

#include <pulse-u/batch.h>
#include <pulse-u/buffer.h>
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

/* ---- batches of buffers --------------------------------------------------- */

static bool of_buffers(const struct pulse_batch *batch)
{
	if (!batch || !batch->len || batch->item_bytes != sizeof(void *))
		return false;
	for (size_t i = 0; i < batch->len; i++)
		if (!pulse_batch_get_ptr(batch, i))
			return false;
	return true;
}

/* One call takes so many: of a carrier of messages each is a message. */
static int pieces_of(const struct pulse_transport *t,
		     const struct pulse_batch *batch)
{
	if (!(t->ops->features & PULSE_TRANSPORT_STREAM))
		return 1;
	return batch->len < MAX_PIECES ? (int)batch->len : MAX_PIECES;
}

/* The first @bytes from @at on are out: those that are whole leave. */
static void leave_batch(struct pulse_batch *batch, size_t bytes, size_t *at)
{
	struct pulse_buffer **all = batch->items;
	size_t n = 0;

	bytes += *at;
	while (n < batch->len && bytes >= pulse_buffer_len(all[n])) {
		bytes -= pulse_buffer_len(all[n]);
		pulse_buffer_put(all[n++]);
	}
	*at = bytes;
	batch->len -= n;
	memmove(all, all + n, batch->len * sizeof(*all));
}

/* Bytes that were taken, and how many could have been. */
static ssize_t send_pieces(struct pulse_transport *t, struct pulse_batch *batch,
			   size_t *at, size_t *bytes)
{
	struct pulse_buffer **all = batch->items;
	int nr = pieces_of(t, batch), pieces = 0;
	struct iovec iov[MAX_PIECES];
	size_t skip = *at;
	ssize_t n;

	*bytes = 0;
	iov[0] = (struct iovec){ NULL, 0 };
	for (int i = 0; i < nr; i++, skip = 0) {
		size_t len = pulse_buffer_len(all[i]) - skip;

		iov[pieces].iov_base = (char *)pulse_buffer_data(all[i]) + skip;
		iov[pieces].iov_len = len;
		pieces += len || nr == 1;
		*bytes += len;
	}
	n = *bytes || !(t->ops->features & PULSE_TRANSPORT_STREAM) ?
	    t->ops->send(t, iov, pieces) : 0;
	if (n >= 0)
		leave_batch(batch, (size_t)n, at);
	return n;
}

ssize_t pulse_transport_send_batch(struct pulse_transport *t,
				   struct pulse_batch *batch, size_t *at)
{
	bool once = t && t->ops->features & PULSE_TRANSPORT_ASYNC_SEND;
	ssize_t total = 0, n;
	size_t bytes;

	if (!t || !of_buffers(batch) || !at ||
	    *at > pulse_buffer_len(pulse_batch_get_ptr(batch, 0)))
		return -EINVAL;
	do {
		n = send_pieces(t, batch, at, &bytes);
		total += n > 0 ? n : 0;
	} while (n >= 0 && (size_t)n == bytes && batch->len && !once);
	return total ? total : n;
}

static size_t room_of(const struct pulse_batch *batch)
{
	size_t bytes = 0;

	for (size_t i = 0; i < batch->len; i++)
		bytes += pulse_buffer_capacity(pulse_batch_get_ptr(batch, i));
	return bytes;
}

/* Sets lengths, and counts what was filled. */
static ssize_t recv_pieces(struct pulse_transport *t,
			   const struct pulse_batch *rest, size_t *filled)
{
	struct pulse_buffer **all = rest->items;
	struct iovec iov[MAX_PIECES];
	int nr = pieces_of(t, rest);
	size_t left;
	ssize_t n;

	iov[0] = (struct iovec){ NULL, 0 };
	for (int i = 0; i < nr; i++) {
		iov[i].iov_base = pulse_buffer_data(all[i]);
		iov[i].iov_len = pulse_buffer_capacity(all[i]);
	}
	n = t->ops->recv(t, iov, nr);
	left = n > 0 ? (size_t)n : 0;
	for (int i = 0; i < nr && left; i++) {
		size_t len = left < iov[i].iov_len ? left : iov[i].iov_len;

		pulse_buffer_set_len(all[i], len);
		left -= len;
		++*filled;
	}
	return n;
}

ssize_t pulse_transport_recv_batch(struct pulse_transport *t,
				   const struct pulse_batch *batch,
				   size_t *filled)
{
	struct pulse_batch rest;
	ssize_t total = 0, n;

	if (!t || !of_buffers(batch) || !filled || !room_of(batch))
		return -EINVAL;
	*filled = 0;
	for (size_t i = 0; i < batch->len; i++)
		pulse_buffer_set_len(pulse_batch_get_ptr(batch, i), 0);
	do {
		pulse_batch_slice(batch, *filled, batch->len, &rest);
		n = recv_pieces(t, &rest, filled);
		total += n > 0 ? n : 0;
	} while (n > 0 && *filled < batch->len &&
		 !(t->ops->features & PULSE_TRANSPORT_STREAM));
	return total ? total : n;
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

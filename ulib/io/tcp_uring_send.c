// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tcp_uring_send.c - what TCP streams on an io_uring poller send.
 *
 * What is small is copied into the outbox of the batch and tried with the turn's
 * enter; or it lies in what was received, and its sender says that it stays there
 * as it is: then it goes out from there, and the buffer is held until the batch is
 * over. Where the socket takes only a part the rest becomes a backlog, which goes
 * as the socket becomes writable, before anything else and before the end: a
 * stream that is closed with a backlog lives on until that is out. Large sends are
 * made at once: there a system call is the smaller cost.
 */
#include "io/sys.h"
#include "io/uring_stream.h"

/* Longer sends are not copied but made at once. */
#define SEND_NOW	(16U << 10)
/* Shorter ones are copied in any case: fewer buffers are in use then. */
#define SEND_LENT	(2U << 10)

static void send_broke(struct pulse__uring_stream *s, int err)
{
	pulse__free(s->backlog);
	s->backlog = NULL;
	s->err = err;
	if (!s->closed)
		pulse__uring_make_ready(s);
}

bool pulse__uring_send_backlog(struct pulse__uring_stream *s)
{
	struct pulse__spill *rest = s->backlog;
	ssize_t n;

	do {
		n = send(s->fd, rest->data + rest->at, rest->len - rest->at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && pulse__sys_send_error(errno) != -EAGAIN) {
		send_broke(s, -errno);
		return true;
	}
	rest->at += n > 0 ? (size_t)n : 0;
	if (rest->at < rest->len)
		return false;
	pulse__free(rest);
	s->backlog = NULL;
	if (s->shut)
		shutdown(s->fd, SHUT_WR);
	return true;
}

void pulse__uring_send_failed(uint64_t data, int res)
{
	struct pulse__uring_stream *s = pulse__uring_stream_of(data);
	size_t done = res > 0 ? (size_t)res : 0, left = s->tx_bytes - done;
	struct pulse__spill *rest;

	if (res < 0 && res != -EINTR && pulse__sys_send_error(-res) != -EAGAIN) {
		send_broke(s, res);
		return;
	}
	rest = pulse__malloc(sizeof(*rest) + left);
	if (!rest) {
		send_broke(s, -ENOMEM);
		return;
	}
	*rest = (struct pulse__spill){ .len = left };
	memcpy(rest->data, s->tx + done, left);
	s->backlog = rest;
	pulse__uring_arm(s);
}

static ssize_t send_now(struct pulse__uring_stream *s, const struct iovec *iov,
			int nr)
{
	ssize_t n;

	do {
		n = nr == 1 ? pulse__sys_send(s->fd, iov->iov_base, iov->iov_len) :
		    pulse__sys_sendmsg(s->fd, iov, nr);
	} while (unlikely(n == -EINTR));
	if (n < 0)
		return pulse__sys_send_error((int)-n);
	s->t.tx_bytes += (uint64_t)n;
	return n;
}

static void into_outbox(struct pulse__uring *u, const struct iovec *iov, int nr)
{
	for (int i = 0; i < nr; i++) {
		memcpy(u->outbox + u->outbox_used, iov[i].iov_base,
		       iov[i].iov_len);
		u->outbox_used += iov[i].iov_len;
	}
}

/* Does it lie in the buffer that was handed out last, and stays there as it is? */
static bool is_lent(const struct pulse__uring_stream *s,
		    const struct pulse__uring *u, const struct iovec *iov, int nr)
{
	return s->t.poller->sends_view && nr == 1 && u->lent >= 0 &&
	       (uintptr_t)iov->iov_base -
	       (uintptr_t)pulse__uring_buf(u, u->lent) < u->buf_bytes &&
	       u->nr_held < PULSE__URING_HELD;
}

ssize_t pulse__uring_send(struct pulse_transport *t, const struct iovec *iov,
			  int nr)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	struct pulse__uring *u = pulse__uring_owner(s);
	struct io_uring_sqe *sqe;
	size_t bytes = 0;
	bool again, lent = false;

	for (int i = 0; i < nr; i++)
		bytes += iov[i].iov_len;
	again = s->tx_batch == u->batch;
	if (unlikely(again && (bytes > SEND_NOW || u->last_sender != s ||
			       bytes > PULSE__URING_OUTBOX - u->outbox_used))) {
		/* In their order: the one before has to be out. */
		pulse__uring_flush(u);
		again = false;
	}
	if (unlikely(s->backlog))
		return -EAGAIN;
	if (!again && bytes >= SEND_LENT)
		lent = is_lent(s, u, iov, nr);
	if (bytes > SEND_NOW || unlikely(!pulse__uring_mine(u)) ||
	    (!lent && bytes > PULSE__URING_OUTBOX - u->outbox_used))
		return send_now(s, iov, nr);
	if (again) {		/* more of the last request */
		into_outbox(u, iov, nr);
		s->tx_bytes += bytes;
		u->last_send->len = (uint32_t)s->tx_bytes;
		t->tx_bytes += bytes;
		return (ssize_t)bytes;
	}
	sqe = pulse__uring_sqe(u);
	if (unlikely(!sqe))
		return send_now(s, iov, nr);
	s->tx = lent ? iov->iov_base : u->outbox + u->outbox_used;
	s->tx_bytes = bytes;
	s->tx_batch = u->batch;
	if (lent)
		u->lent_is_sent = true;
	else
		into_outbox(u, iov, nr);
	io_uring_prep_send(sqe, s->fd, s->tx, bytes,
			   MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, pulse__uring_data(s, PULSE__URING_SEND));
	u->has_sends = true;
	u->last_sender = lent ? NULL : s;	/* nothing is put behind it */
	u->last_send = sqe;
	t->tx_bytes += bytes;
	return (ssize_t)bytes;
}

bool pulse__uring_send_is_due(const struct pulse__uring_stream *s)
{
	const struct pulse__uring *u = pulse__uring_owner(s);

	return u->has_sends && s->tx_batch == u->batch;
}

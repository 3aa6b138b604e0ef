// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tcp_uring_move.c - TCP streams that go from one io_uring poller to another.
 *
 * The old loop's thread takes back what it has armed, and puts what had been
 * received by then aside, behind what was there before; the rest is still in the
 * socket, behind both. It touches nothing of the new loop: the stream's ops are
 * those of a stream that arrives until the new loop's thread uses the first of
 * them, which puts it into that loop's list. Whatever hands the stream over orders
 * the two. A handler that moves its own stream is known by uring->calling, because
 * by then the stream may be in use elsewhere.
 */
#include "io/uring_stream.h"

/* Each try ends what is armed, but for a completion that comes in between. */
#define TRIES	8

/* What has completed of this stream, before anybody else gets to see it. */
static void gather(struct pulse__uring_stream *s)
{
	struct pulse__uring *u = pulse__uring_owner(s);
	unsigned int head = *u->ring.cq.khead, mask = *u->ring.cq.kring_mask;
	unsigned int n = io_uring_cq_ready(&u->ring);

	for (unsigned int i = 0; i < n; i++) {
		struct io_uring_cqe *cqe = &u->ring.cq.cqes[(head + i) & mask];

		if (cqe->user_data == pulse__uring_data(s, PULSE__URING_RECV)) {
			pulse__uring_keep(s->t.poller, cqe->user_data, cqe->res,
					  cqe->flags);
			if (cqe->flags & IORING_CQE_F_BUFFER)
				pulse__uring_recycle(u, (int)(cqe->flags >>
						     IORING_CQE_BUFFER_SHIFT));
			if (!(cqe->flags & IORING_CQE_F_MORE))
				s->receiving = false;
		} else if (cqe->user_data ==
			   pulse__uring_data(s, PULSE__URING_WRITABLE)) {
			s->polling = false;	/* asked for again there */
		} else {
			continue;
		}
		cqe->user_data = PULSE__URING_NONE;
	}
}

/* Nothing of it is under way any more; false: not yet. */
static bool let_go(struct pulse__uring_stream *s)
{
	struct pulse__uring *u = pulse__uring_owner(s);

	if (!pulse__uring_mine(u)) {
		if (s->receiving || s->polling)
			pulse__uring_retire(s->t.poller);
		return true;
	}
	if (pulse__uring_send_is_due(s))
		pulse__uring_flush(u);
	for (int i = 0; i < TRIES && (s->receiving || s->polling); i++) {
		if (s->receiving) {
			s->stopping = true;
			pulse__uring_cancel(u, pulse__uring_data(s, PULSE__URING_RECV));
		}
		if (s->polling)
			pulse__uring_cancel(u, pulse__uring_data(s, PULSE__URING_WRITABLE));
		pulse__uring_flush(u);
		gather(s);
	}
	return !s->receiving && !s->polling;
}

/* ---- at the new loop ------------------------------------------------------ */

static void arrive(struct pulse_transport *t)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	t->ops = &pulse__uring_ops;
	pulse__list_add_tail(&pulse__uring_owner(s)->streams, &s->link);
}

static ssize_t arriving_send(struct pulse_transport *t, const struct iovec *iov,
			     int nr)
{
	arrive(t);
	return t->ops->send(t, iov, nr);
}

static ssize_t arriving_recv(struct pulse_transport *t, const struct iovec *iov,
			     int nr)
{
	arrive(t);
	return t->ops->recv(t, iov, nr);
}

static ssize_t arriving_view(struct pulse_transport *t, void **data)
{
	arrive(t);
	return t->ops->view(t, data);
}

static int arriving_watch(struct pulse_transport *t, uint32_t events)
{
	if (!pulse__poller_mine(t->poller))
		return -EPERM;
	arrive(t);
	return t->ops->watch(t, events);
}

static int arriving_shutdown(struct pulse_transport *t)
{
	arrive(t);
	return t->ops->shutdown(t);
}

/* That loop may have ended before, and only a backlog has to go through it. */
static void arriving_close(struct pulse_transport *t, bool reset)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	if (s->backlog && !reset) {
		arrive(t);
		t->ops->close(t, reset);
	} else {
		pulse__uring_drop(s, reset);
	}
}

static int arriving_error(struct pulse_transport *t)
{
	return pulse__uring_ops.error(t);
}

static int arriving_address(struct pulse_transport *t, bool peer, char *buf,
			    size_t len)
{
	return pulse__uring_ops.address(t, peer, buf, len);
}

static int arriving_move(struct pulse_transport *t, struct pulse_poller *to)
{
	if (to->ops != &pulse__poller_uring)
		return -EOPNOTSUPP;
	t->poller = to;
	return 0;
}

static void arriving_stats(const struct pulse_transport *t,
			   struct pulse_transport_stats *out)
{
	pulse__uring_ops.stats(t, out);
}

static const struct pulse_transport_ops arriving_ops = {
	.sz = sizeof(arriving_ops),
	.name = "tcp",
	.features = PULSE__URING_FEATURES,
	.send = arriving_send,
	.recv = arriving_recv,
	.view = arriving_view,
	.watch = arriving_watch,
	.shutdown = arriving_shutdown,
	.close = arriving_close,
	.error = arriving_error,
	.address = arriving_address,
	.move = arriving_move,
	.stats = arriving_stats,
};

/* ---- at the old loop ------------------------------------------------------ */

int pulse__uring_move(struct pulse_transport *t, struct pulse_poller *to)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	struct pulse__uring *u = pulse__uring_owner(s);

	if (to->ops != &pulse__poller_uring)
		return -EOPNOTSUPP;
	if (s->now_bytes) {
		pulse__uring_put_aside(s, s->now, s->now_bytes);
		s->now_bytes = 0;
	}
	if (!let_go(s)) {
		pulse__uring_arm(s);
		return -EBUSY;
	}
	pulse__list_del(&s->ready);
	pulse__list_del(&s->link);
	if (u->calling == s)
		u->calling = NULL;
	s->in_call = false;
	s->stopping = false;
	s->watched = 0;
	s->tx_batch = 0;	/* no batch of any ring */
	t->ops = &arriving_ops;
	t->poller = to;
	return 0;
}

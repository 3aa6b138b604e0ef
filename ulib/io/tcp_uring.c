// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tcp_uring.c - the TCP carrier on an io_uring poller: a stream's life and what is
 * armed of it. What owners receive stands in tcp_uring_recv.c, sending in
 * tcp_uring_send.c, going to another poller in tcp_uring_move.c.
 *
 * One multishot request a stream puts what comes into buffers that all streams
 * share; view() hands such a buffer out as it is. What a handler does not take, or
 * what came while nothing was to be received, is copied aside, so that no stream
 * keeps a buffer from the others.
 *
 * Where much comes at once the owner receives it himself, and the request in the
 * place of the multishot one asks when there is something: tcp_uring_recv.c says why.
 * Either has the same user_data, and the one is over before the other begins.
 */
#include "io/uring_stream.h"

#include <poll.h>
#include <unistd.h>

static bool listed(const struct pulse__list *link)
{
	return link->next != link;
}

static void unlist(struct pulse__list *link)
{
	pulse__list_del(link);
	pulse__list_init(link);
}

void pulse__uring_make_ready(struct pulse__uring_stream *s)
{
	if (!listed(&s->ready))
		pulse__list_add_tail(&pulse__uring_owner(s)->ready, &s->ready);
}

/* The last completion of a closed stream has come. */
static void maybe_free(struct pulse__uring_stream *s)
{
	if (!s->closed || s->receiving || s->polling || s->in_call ||
	    s->backlog)
		return;
	while (s->spill) {
		struct pulse__spill *spill = s->spill;

		s->spill = spill->next;
		pulse__free(spill);
	}
	unlist(&s->ready);
	pulse__list_del(&s->link);
	if (s->fd >= 0)
		close(s->fd);
	pulse__free(s->peer);
	pulse__free(s);
}

/* ---- what is armed -------------------------------------------------------- */

static void cancel(struct pulse__uring_stream *s, enum pulse__uring_tag tag)
{
	pulse__uring_cancel(pulse__uring_owner(s), pulse__uring_data(s, tag));
}

void pulse__uring_stop_receiving(struct pulse__uring_stream *s)
{
	s->stopping = true;
	cancel(s, PULSE__URING_RECV);
}

static void arm_receive(struct pulse__uring_stream *s)
{
	struct pulse__uring *u = pulse__uring_owner(s);
	struct io_uring_sqe *sqe = pulse__uring_sqe(u);

	if (!sqe) {
		u->stale = true;
		return;
	}
	s->asking = s->direct;
	if (unlikely(s->asking)) {
		io_uring_prep_poll_add(sqe, s->fd, POLLIN);
	} else {
		io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 0;
	}
	io_uring_sqe_set_data64(sqe, pulse__uring_data(s, PULSE__URING_RECV));
	s->receiving = true;
	s->stopping = false;
}

static void arm_poll(struct pulse__uring_stream *s, uint8_t events)
{
	struct pulse__uring *u = pulse__uring_owner(s);
	struct io_uring_sqe *sqe = pulse__uring_sqe(u);

	if (!sqe) {
		u->stale = true;
		return;
	}
	io_uring_prep_poll_add(sqe, s->fd, events);
	io_uring_sqe_set_data64(sqe,
				pulse__uring_data(s, PULSE__URING_WRITABLE));
	s->polling = true;
	s->writable_for = events;
}

/*
 * Errors of a stream that receives nothing are seen by a poll for nothing, as
 * epoll would tell them.
 */
static void arm(struct pulse__uring_stream *s)
{
	bool read = s->watched & PULSE_TRANSPORT_READ;
	bool write = s->watched & PULSE_TRANSPORT_WRITE || s->backlog;
	uint8_t events = write ? POLLOUT : 0;

	if (s->closed && !s->backlog)
		return;
	if (read && !s->receiving && !s->eof && !s->err && !s->spill)
		arm_receive(s);
	if (!read && s->receiving && !s->stopping)
		pulse__uring_stop_receiving(s);
	if (s->polling && s->writable_for != events && write)
		cancel(s, PULSE__URING_WRITABLE);
	else if (!s->polling && (write || !read))
		arm_poll(s, events);
}

void pulse__uring_arm(struct pulse__uring_stream *s)
{
	if (likely(pulse__uring_mine(pulse__uring_owner(s))))
		arm(s);
	else
		pulse__uring_owner(s)->stale = true;
}

void pulse__uring_arm_streams(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__list *pos;

	pulse__list_for_each(pos, &u->streams)
		arm(pulse__list_entry(pos, struct pulse__uring_stream, link));
}

void pulse__uring_disarm_streams(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__list *pos, *tmp;

	pulse__list_for_each_safe(pos, tmp, &u->streams) {
		struct pulse__uring_stream *s =
			pulse__list_entry(pos, struct pulse__uring_stream, link);

		s->receiving = s->stopping = s->polling = false;
		maybe_free(s);
	}
}

/* The poller ends: what is still unsent of closed streams is lost. */
void pulse__uring_drop_streams(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__list *pos, *tmp;

	pulse__list_for_each_safe(pos, tmp, &u->streams) {
		struct pulse__uring_stream *s =
			pulse__list_entry(pos, struct pulse__uring_stream, link);

		pulse__free(s->closed ? s->backlog : NULL);
		if (s->closed)
			s->backlog = NULL;
		maybe_free(s);
	}
}

/* ---- calls ---------------------------------------------------------------- */

/* False: its handler has moved it, and it is another thread's from then on. */
static bool call(struct pulse__uring_stream *s, uint32_t events)
{
	struct pulse__uring *u = pulse__uring_owner(s);

	u->calling = s;
	s->in_call = true;
	s->t.fn(&s->t, events, s->t.arg);
	if (unlikely(u->calling != s))
		return false;
	u->calling = NULL;
	s->in_call = false;
	return true;
}

void pulse__uring_put_aside(struct pulse__uring_stream *s, const uint8_t *p,
			    size_t n)
{
	struct pulse__spill *spill = pulse__malloc(sizeof(*spill) + n);

	if (!spill) {
		s->err = -ENOMEM;
		pulse__uring_make_ready(s);
		return;
	}
	spill->next = NULL;
	spill->at = 0;
	spill->len = n;
	memcpy(spill->data, p, n);
	if (!s->spill)
		s->spill_last = &s->spill;
	*s->spill_last = spill;
	s->spill_last = &spill->next;
}

/*
 * Something is there to be taken: the handler, as long as it wants to hear.
 * False: it has moved the stream.
 */
static bool tell_read(struct pulse__uring_stream *s, bool *told)
{
	uint32_t events = (s->watched & PULSE_TRANSPORT_READ) |
			  (s->err ? PULSE_TRANSPORT_ERROR : 0U);

	*told = events && !s->closed;
	if (*told && unlikely(!call(s, events)))
		return false;
	if (s->now_bytes && !s->closed)
		pulse__uring_put_aside(s, s->now, s->now_bytes);
	s->now_bytes = 0;
	if (s->spill || s->err || s->eof)
		pulse__uring_make_ready(s);
	return true;
}

/* There is something, or the end of it, for who receives it himself. */
static bool readable(struct pulse__uring_stream *s, int res)
{
	bool told = false;

	if (!s->closed && res != -ECANCELED && res != -EINTR) {
		if (unlikely(res < 0))
			s->err = res;
		if (unlikely(!tell_read(s, &told)))
			return true;
	}
	pulse__uring_arm(s);
	maybe_free(s);
	return told;
}

static bool received(struct pulse_poller *p, struct pulse__uring_stream *s,
		     int res, uint32_t flags)
{
	struct pulse__uring *u = pulse__uring_of(p);
	bool told = false;

	if (flags & IORING_CQE_F_BUFFER)
		pulse__uring_lend(u, (int)(flags >> IORING_CQE_BUFFER_SHIFT));
	if (!(flags & IORING_CQE_F_MORE))
		s->receiving = false;
	if (unlikely(s->asking))
		return readable(s, res);
	if (!s->closed) {
		if (likely(res > 0)) {
			uint8_t *at = pulse__uring_buf(u, u->lent);

			if (unlikely(s->spill)) {
				pulse__uring_put_aside(s, at, (size_t)res);
				pulse__uring_make_ready(s);
			} else {
				s->now = at;
				s->now_bytes = (size_t)res;
				if (unlikely(!tell_read(s, &told)))
					return true;
			}
		} else if (res == -ENOBUFS) {
			pulse__uring_more_bufs(u);
		} else if (res != -ECANCELED && res != -EINTR) {
			s->eof = !res;
			s->err = res;
			if (!tell_read(s, &told))
				return true;
		}
	}
	if (unlikely(!s->receiving)) {
		pulse__uring_arm(s);
		maybe_free(s);
	} else if (unlikely(s->closed)) {
		maybe_free(s);
	}
	return told;
}

static bool writable(struct pulse__uring_stream *s, int res)
{
	uint32_t events = 0;

	s->polling = false;
	if (res != -ECANCELED) {
		if (s->backlog && !pulse__uring_send_backlog(s))
			res &= ~POLLOUT;
		if (res < 0 || res & (POLLERR | POLLHUP))
			events |= PULSE_TRANSPORT_ERROR;
		if (res > 0 && res & POLLOUT)
			events |= s->watched & PULSE_TRANSPORT_WRITE;
		if (events && !s->closed && unlikely(!call(s, events)))
			return true;
	}
	pulse__uring_arm(s);
	maybe_free(s);
	return events;
}

bool pulse__uring_completed(struct pulse_poller *p, uint64_t data, int res,
			    uint32_t flags)
{
	struct pulse__uring_stream *s = pulse__uring_stream_of(data);

	switch (data & PULSE__URING_TAGS) {
	case PULSE__URING_RECV:
		return received(p, s, res, flags);
	case PULSE__URING_WRITABLE:
		return writable(s, res);
	default:
		return false;
	}
}

void pulse__uring_keep(struct pulse_poller *p, uint64_t data, int res,
		       uint32_t flags)
{
	struct pulse__uring_stream *s = pulse__uring_stream_of(data);

	switch (data & PULSE__URING_TAGS) {
	case PULSE__URING_SEND:
		pulse__uring_send_failed(data, res);
		break;
	case PULSE__URING_RECV:
		if (s->closed || s->asking)
			break;
		if (res > 0)
			pulse__uring_put_aside(s, pulse__uring_buf(pulse__uring_of(p),
				(int)(flags >> IORING_CQE_BUFFER_SHIFT)), (size_t)res);
		else if (!res)
			s->eof = true;
		else if (res != -ECANCELED && res != -ENOBUFS && res != -EINTR)
			s->err = res;
		pulse__uring_make_ready(s);
		break;
	default:
		break;
	}
}

int pulse__uring_call_ready(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__list now;
	int n = 0;

	if (likely(pulse__list_empty(&u->ready)))
		return 0;
	pulse__list_init(&now);
	pulse__list_splice_tail(&now, &u->ready);
	while (!pulse__list_empty(&now)) {
		struct pulse__uring_stream *s =
			pulse__list_first_entry(&now, struct pulse__uring_stream,
						ready);

		unlist(&s->ready);
		if (s->watched & PULSE_TRANSPORT_READ || s->err) {
			bool told, here = tell_read(s, &told);

			n += told;
			if (unlikely(!here))
				continue;
		}
		/* It is armed again when all that was put aside is taken. */
		pulse__uring_arm(s);
		maybe_free(s);
	}
	return n;
}

/* ---- the rest ------------------------------------------------------------- */

static int stream_watch(struct pulse_transport *t, uint32_t events)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	if (!pulse__poller_mine(t->poller))
		return -EPERM;
	s->watched = (uint8_t)events;
	if (events & PULSE_TRANSPORT_READ && (s->spill || s->err || s->eof))
		pulse__uring_make_ready(s);
	if (!pulse__uring_mine(pulse__uring_owner(s)) && s->receiving &&
	    !(events & PULSE_TRANSPORT_READ))
		pulse__uring_retire(t->poller);
	pulse__uring_arm(s);
	return 0;
}

/* A send that is prepared has to be before the end of our side. */
static int stream_shutdown(struct pulse_transport *t)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	if (pulse__uring_send_is_due(s))
		pulse__uring_flush(pulse__uring_owner(s));
	if (s->backlog) {
		s->shut = true;
		return 0;
	}
	return shutdown(s->fd, SHUT_WR) ? -errno : 0;
}

/* What is unsent is thrown away. */
static void cut(struct pulse__uring_stream *s)
{
	struct linger now = { .l_onoff = 1 };

	pulse__free(s->backlog);
	s->backlog = NULL;
	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void pulse__uring_drop(struct pulse__uring_stream *s, bool reset)
{
	if (reset)
		cut(s);
	s->closed = true;
	maybe_free(s);
}

static void stream_close(struct pulse_transport *t, bool reset)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	struct pulse__uring *u = pulse__uring_owner(s);
	bool was_in_call = s->in_call;

	s->now_bytes = 0;
	s->in_call = true;		/* it is freed below */
	if (pulse__uring_send_is_due(s))
		pulse__uring_flush(u);
	s->closed = true;
	s->watched = 0;
	if (reset)
		cut(s);
	/* They hold the file: it is to be closed when close() returns. */
	if (pulse__uring_mine(u)) {
		if (s->receiving)
			cancel(s, PULSE__URING_RECV);
		if (s->polling && !s->backlog)
			cancel(s, PULSE__URING_WRITABLE);
		if (s->receiving || s->polling)
			pulse__uring_flush(u);
	} else if (s->receiving || s->polling) {
		pulse__uring_retire(t->poller);
		if (!reset && !s->backlog)
			shutdown(s->fd, SHUT_RDWR);
	}
	if (!s->backlog) {
		close(s->fd);
		s->fd = -1;
	}
	s->in_call = was_in_call;
	maybe_free(s);
}

static int stream_error(struct pulse_transport *t)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	socklen_t len = sizeof(int);
	int err = 0;

	if (s->err)
		return (int)pulse__uring_take_error(s);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static int stream_address(struct pulse_transport *t, bool peer, char *buf,
			  size_t len)
{
	const struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	if (peer && unlikely(s->peer))
		return pulse__addr_rename(s->peer, "", "", buf, len);
	return pulse__addr_of(s->fd, peer, buf, len);
}

static void stream_stats(const struct pulse_transport *t,
			 struct pulse_transport_stats *out)
{
	const struct pulse__uring_stream *s = container_of(t, struct pulse__uring_stream, t);

	out->unsent = pulse__socket_unsent(s->fd);
	if (s->backlog)
		out->unsent += s->backlog->len - s->backlog->at;
}

const struct pulse_transport_ops pulse__uring_ops = {
	.sz = sizeof(pulse__uring_ops),
	.name = "tcp",
	.features = PULSE__URING_FEATURES,
	.send = pulse__uring_send,
	.recv = pulse__uring_recv,
	.view = pulse__uring_view,
	.watch = stream_watch,
	.shutdown = stream_shutdown,
	.close = stream_close,
	.error = stream_error,
	.address = stream_address,
	.move = pulse__uring_move,
	.stats = stream_stats,
};

int pulse__uring_adopt(struct pulse_poller *p, int fd,
		       struct pulse_transport **out)
{
	struct pulse__uring_stream *s = pulse__calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->t.ops = &pulse__uring_ops;
	s->t.poller = p;
	s->fd = fd;
	s->spill_last = &s->spill;
	pulse__list_init(&s->ready);
	pulse__list_add_tail(&pulse__uring_of(p)->streams, &s->link);
	*out = &s->t;
	return 0;
}

int pulse__uring_set_peer(struct pulse_transport *t, const char *text)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);

	s->peer = pulse__strdup(text);
	return s->peer ? 0 : -ENOMEM;
}

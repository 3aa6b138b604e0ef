// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stream.c - TCP and unix sockets as transports: connected, or on their way.
 *
 * A connect that is under way has a struct dial beside it, which holds its
 * deadline; it is gone once the connection stands, so that an idle connection
 * carries nothing of it. A unix socket whose peer's backlog is full cannot wait
 * for its turn; it knocks again every few milliseconds.
 */
#include "io/poller_int.h"
#include "io/stream.h"
#include "io/sys.h"

#include <netinet/in.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct dial {
	struct pulse_poller_timer timer;
	struct stream *stream;
	int64_t deadline_ns;
	int err;
	void *op;		/* the poller's, which connects by itself */
	struct pulse__addr addr;
};

long (*pulse__sys_stand_in)(long nr, int fd, const void *what, size_t bytes,
			    int flags);

#define KNOCK_NS	(5 * PULSE__NSEC_PER_MSEC)

struct stream {
	struct pulse_transport t;
	uint64_t id;		/* at the poller; 0: never watched */
	union {
		struct dial *dial;
		char *peer;	/* as a proxy has said */
	};
	int fd;
	uint16_t watched;
	bool named;		/* there is a peer, and never was a dial */
};

static inline struct dial *dial_of(const struct stream *stream)
{
	return stream->named ? NULL : stream->dial;
}

static struct stream *to_stream(struct pulse_transport *t)
{
	return container_of(t, struct stream, t);
}

static PULSE__NOINLINE ssize_t send_any(struct pulse_transport *t,
					const struct iovec *iov, int nr)
{
	int fd = to_stream(t)->fd;
	ssize_t n;

	do {
		n = nr == 1 ?
		    pulse__sys_send(fd, iov->iov_base, iov->iov_len) :
		    pulse__sys_sendmsg(fd, iov, nr);
	} while (unlikely(n == -EINTR));
	if (n < 0)
		return pulse__sys_send_error((int)-n);
	t->tx_bytes += (uint64_t)n;
	return n;
}

static ssize_t stream_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	int fd = to_stream(t)->fd;
	ssize_t n;

	do {
		n = nr == 1 ? pulse__sys_recv(fd, iov->iov_base, iov->iov_len) :
		    pulse__sys_result(readv(fd, iov, nr));
	} while (unlikely(n == -EINTR));
	if (n < 0)
		return n;
	t->rx_bytes += (uint64_t)n;
	return n;
}

static PULSE__NOINLINE ssize_t view_any(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse__poller_buffer(t->poller, &iov.iov_len);
	if (unlikely(!iov.iov_base))
		return -ENOMEM;
	*data = iov.iov_base;
	return stream_recv(t, &iov, 1);
}

static PULSE__NOINLINE ssize_t not_sent(struct pulse_transport *t,
					const struct iovec *iov, ssize_t err)
{
	return err == -EINTR ? send_any(t, iov, 1) :
	       pulse__sys_send_error((int)-err);
}

static ssize_t stream_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	ssize_t n;

	if (unlikely(nr != 1 || pulse__sys_stand_in))
		return send_any(t, iov, nr);
	n = pulse__sys_send_real(to_stream(t)->fd, iov->iov_base, iov->iov_len);
	if (unlikely(n < 0))
		return not_sent(t, iov, n);
	t->tx_bytes += (uint64_t)n;
	return n;
}

static ssize_t stream_view(struct pulse_transport *t, void **data)
{
	struct pulse_poller *p = t->poller;
	ssize_t n;

	if (unlikely(!p->buffer))
		return view_any(t, data);
	*data = p->buffer;
	n = pulse__sys_recv(to_stream(t)->fd, p->buffer, p->buffer_bytes);
	if (unlikely(n < 0))	/* the poller tells again */
		return n == -EINTR ? -EAGAIN : n;
	t->rx_bytes += (uint64_t)n;
	return n;
}

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static void drop_dial(struct stream *stream)
{
	if (!dial_of(stream))
		return;
	pulse_poller_timer_cancel(stream->t.poller, &stream->dial->timer);
	if (stream->dial->op)
		stream->t.poller->ops->op_end(stream->dial->op);
	pulse__free(stream->dial);
	stream->dial = NULL;
}

static uint32_t poller_events(uint32_t events)
{
	return (events & PULSE_TRANSPORT_READ ? PULSE_POLLER_IN : 0U) |
	       (events & PULSE_TRANSPORT_WRITE ? PULSE_POLLER_OUT : 0U);
}

/* It failed: told once, and not heard of again until it is closed. */
static void dial_failed(struct stream *stream, int err)
{
	stream->dial->err = err;
	pulse_poller_timer_cancel(stream->t.poller, &stream->dial->timer);
	if (stream->id)
		pulse_poller_del(stream->t.poller, stream->id);
	stream->id = 0;
	stream->t.fn(&stream->t, PULSE_TRANSPORT_ERROR, stream->t.arg);
}

/* Something happened to a connect that is under way. */
static void dialled(struct stream *stream, uint32_t events)
{
	int err = so_error(stream->fd);

	if (err) {
		dial_failed(stream, err);
		return;
	}
	if (!(events & PULSE_POLLER_OUT))
		return;
	drop_dial(stream);
	pulse_poller_mod(stream->t.poller, stream->id, poller_events(stream->watched));
	stream->t.fn(&stream->t, PULSE_TRANSPORT_OPEN, stream->t.arg);
}

static const struct pulse_transport_ops unix_ops;

/*
 * A unix socket whose peer is gone says so for ever, with bytes still to be
 * read: no error yet. Whoever is not interested now hears of it when he is.
 */
static void hung_up(struct stream *stream)
{
	if (stream->watched) {
		stream->t.fn(&stream->t, stream->watched, stream->t.arg);
		return;
	}
	pulse_poller_del(stream->t.poller, stream->id);
	stream->id = 0;
}

static PULSE__NOINLINE void other_event(struct stream *stream, uint32_t events)
{
	uint32_t told;

	if (unlikely(dial_of(stream))) {
		dialled(stream, events);
		return;
	}
	if (unlikely(events & PULSE_POLLER_ERR) && stream->t.ops == &unix_ops) {
		hung_up(stream);
		return;
	}
	told = (events & PULSE_POLLER_IN ? PULSE_TRANSPORT_READ : 0U) |
	       (events & PULSE_POLLER_OUT ? PULSE_TRANSPORT_WRITE : 0U) |
	       (events & PULSE_POLLER_ERR ? PULSE_TRANSPORT_ERROR : 0U);
	stream->t.fn(&stream->t, told, stream->t.arg);
}

static void stream_event(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg)
{
	struct stream *stream = arg;

	(void)poller;
	(void)fd;
	if (likely(events == PULSE_POLLER_IN && !stream->dial))
		stream->t.fn(&stream->t, PULSE_TRANSPORT_READ, stream->t.arg);
	else
		other_event(stream, events);
}

static int stream_watch(struct pulse_transport *t, uint32_t events)
{
	struct stream *stream = to_stream(t);
	int err;

	if (dial_of(stream)) {		/* from when it stands */
		stream->watched = (uint16_t)events;
		return 0;
	}
	if (likely(stream->id))
		err = pulse_poller_mod(t->poller, stream->id,
				       poller_events(events));
	else
		err = pulse_poller_add(t->poller, stream->fd,
				       poller_events(events), stream_event, stream,
				       &stream->id);
	if (!err)
		stream->watched = (uint16_t)events;
	return err;
}

static int stream_shutdown(struct pulse_transport *t)
{
	return shutdown(to_stream(t)->fd, SHUT_WR) ? -errno : 0;
}

static void stream_close(struct pulse_transport *t, bool reset)
{
	struct stream *stream = to_stream(t);
	struct linger now = { .l_onoff = 1 };

	if (stream->id)
		pulse_poller_del(t->poller, stream->id);
	drop_dial(stream);
	if (reset)
		setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(stream->fd);
	if (unlikely(stream->named))
		pulse__free(stream->peer);
	pulse__free(stream);
}

static int stream_error(struct pulse_transport *t)
{
	struct stream *stream = to_stream(t);
	const struct dial *dial = dial_of(stream);

	return dial && dial->err ? dial->err : so_error(stream->fd);
}

static int stream_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	const struct stream *stream = to_stream(t);

	if (peer && unlikely(stream->named))
		return pulse__addr_rename(stream->peer, "", "", buf, len);
	return pulse__addr_of(stream->fd, peer, buf, len);
}

static int stream_move(struct pulse_transport *t, struct pulse_poller *to)
{
	struct stream *stream = to_stream(t);

	if (dial_of(stream))
		return -EBUSY;
	if (stream->id)
		pulse_poller_del(t->poller, stream->id);
	stream->id = 0;
	stream->watched = 0;
	t->poller = to;
	return 0;
}

uint64_t pulse__socket_unsent(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCOUTQ, &bytes))
		return 0;
	return (uint64_t)bytes;
}

static void stream_stats(const struct pulse_transport *t,
			 struct pulse_transport_stats *out)
{
	const struct stream *stream = container_of(t, struct stream, t);

	out->unsent = pulse__socket_unsent(stream->fd);
}

#define STREAM_OPS(name_, more)						\
	{								\
		.sz = sizeof(struct pulse_transport_ops),		\
		.name = name_,						\
		.features = PULSE_TRANSPORT_STREAM |			\
			    PULSE_TRANSPORT_RELIABLE |			\
			    PULSE_TRANSPORT_ORDERED |			\
			    PULSE_TRANSPORT_HALF_CLOSE |		\
			    PULSE_TRANSPORT_MOVES | (more),		\
		.send = stream_send,					\
		.recv = stream_recv,					\
		.view = stream_view,					\
		.watch = stream_watch,					\
		.shutdown = stream_shutdown,				\
		.close = stream_close,					\
		.error = stream_error,					\
		.address = stream_address,				\
		.move = stream_move,					\
		.stats = stream_stats,					\
	}

static const struct pulse_transport_ops tcp_ops =
	STREAM_OPS("tcp", PULSE_TRANSPORT_RESET);
static const struct pulse_transport_ops unix_ops = STREAM_OPS("unix", 0);

void pulse__tcp_tune(int fd, int nodelay, uint32_t keepalive_s)
{
	int on = 1, probes = 3;
	/* The system takes no more. */
	int idle = keepalive_s < 32767 ? (int)keepalive_s : 32767;
	int interval = idle / 3 ? idle / 3 : 1;

	if (nodelay != PULSE_OFF)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!keepalive_s)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

int pulse__stream_fd(const struct pulse_transport *t)
{
	if (t->ops != &tcp_ops && t->ops != &unix_ops)
		return -1;
	return container_of(t, struct stream, t)->fd;
}

int pulse__stream_adopt(struct pulse_poller *poller, int fd, int family,
			struct pulse_transport **out)
{
	struct stream *stream = pulse__calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->t.ops = family == AF_UNIX ? &unix_ops : &tcp_ops;
	stream->t.poller = poller;
	stream->fd = fd;
	*out = &stream->t;
	return 0;
}

int pulse__stream_set_peer(struct pulse_transport *t, const char *text)
{
	struct stream *stream;

	if (t->ops != &tcp_ops && t->ops != &unix_ops)
		return t->poller->ops->set_peer(t, text);
	stream = to_stream(t);
	stream->peer = pulse__strdup(text);
	stream->named = stream->peer;
	return stream->named ? 0 : -ENOMEM;
}

int pulse__stream_accept(struct pulse_poller *poller, int fd, int family,
			 struct pulse_transport **out)
{
	int us = (int)(poller->spin_ns / PULSE__NSEC_PER_USEC);

	if (family == AF_UNIX)
		return pulse__stream_adopt(poller, fd, family, out);
	if (us)		/* where it is not allowed the loop alone looks */
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
	return poller->ops->adopt ? poller->ops->adopt(poller, fd, out) :
	       pulse__stream_adopt(poller, fd, family, out);
}

/* ---- connect ------------------------------------------------------------ */

/* 0; -EAGAIN knock again; or why it cannot be. */
static int knock(struct dial *dial)
{
	struct stream *stream = dial->stream;

	if (connect(stream->fd, (const struct sockaddr *)&dial->addr.sa,
		    dial->addr.len) && errno != EINPROGRESS && errno != EINTR)
		return -errno;
	/* A connection that stands at once is writable, and so told the same way. */
	return pulse_poller_add(stream->t.poller, stream->fd, PULSE_POLLER_OUT,
				stream_event, stream, &stream->id);
}

static void dial_over(void *arg, int err)
{
	struct stream *stream = arg;

	stream->dial->op = NULL;
	if (!err)
		err = pulse_poller_add(stream->t.poller, stream->fd,
				       poller_events(stream->watched),
				       stream_event, stream, &stream->id);
	if (err) {
		dial_failed(stream, err);
		return;
	}
	drop_dial(stream);
	stream->t.fn(&stream->t, PULSE_TRANSPORT_OPEN, stream->t.arg);
}

static int arm_dial(struct dial *dial)
{
	int64_t at = dial->deadline_ns;

	if (!dial->stream->id) {
		int64_t again = pulse_now_ns() + KNOCK_NS;

		at = again < at ? again : at;
	}
	return pulse_poller_timer_arm(dial->stream->t.poller, &dial->timer, at);
}

static void dial_late(struct pulse_poller *poller,
		      struct pulse_poller_timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, timer);
	int err = -EAGAIN;

	(void)poller;
	if (!dial->stream->id && pulse_now_ns() < dial->deadline_ns) {
		err = knock(dial);
		if (!err || err == -EAGAIN)
			err = arm_dial(dial);
		if (!err)
			return;
	}
	dial_failed(dial->stream, err == -EAGAIN ? -ETIMEDOUT : err);
}

static int start_dial(struct stream *stream, const struct pulse__addr *addr,
		      int64_t deadline_ns)
{
	struct dial *dial;
	int err;

	dial = pulse__calloc(1, sizeof(*dial));
	if (!dial)
		return -ENOMEM;
	stream->dial = dial;
	dial->stream = stream;
	dial->addr = *addr;
	dial->deadline_ns = deadline_ns;
	dial->timer.fn = dial_late;
	if (addr->sa.ss_family != AF_UNIX && stream->t.poller->ops->dial)
		return stream->t.poller->ops->dial(stream->t.poller, stream->fd,
			(const struct sockaddr *)&addr->sa, addr->len,
			deadline_ns, dial_over, stream, &dial->op);
	err = knock(dial);
	if (err && (err != -EAGAIN || addr->sa.ss_family != AF_UNIX))
		return err;
	return arm_dial(dial);
}

static int stream_connect(struct pulse_poller *poller,
			  const struct pulse_connect_opts *o,
			  pulse_transport_fn fn, void *arg,
			  struct pulse_transport **out)
{
	struct pulse__addr addr;
	struct pulse_transport *t;
	int err, fd, family;

	err = pulse__addr_parse(o->address, &addr);
	if (err)
		return err;
	if (addr.any)
		return -EINVAL;
	family = addr.sa.ss_family;
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (family != AF_UNIX)
		pulse__tcp_tune(fd, o->nodelay, o->keepalive_s);
	err = pulse__stream_adopt(poller, fd, family, &t);
	if (err) {
		close(fd);
		return err;
	}
	pulse_transport_set_handler(t, fn, arg);
	err = start_dial(to_stream(t), &addr, o->deadline_ns);
	if (err) {
		stream_close(t, false);
		return err;
	}
	*out = t;
	return 0;
}

const struct pulse__carrier pulse__carrier_stream = {
	.name = "tcp",
	.connect = stream_connect,
	.listen = pulse__listener_stream,
};

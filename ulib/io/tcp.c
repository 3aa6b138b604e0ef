// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tcp.c - the TCP carrier of transport.h: a connected socket, or one on its way.
 *
 * A connect that is under way has a struct dial beside it, which holds its
 * deadline; it is gone once the connection stands, so that an idle connection
 * carries nothing of it.
 */
#include "io/poller_int.h"
#include "io/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct dial {
	struct pulse_poller_timer timer;
	struct tcp *tcp;
	int err;
};

struct tcp {
	struct pulse_transport t;
	uint64_t id;		/* at the poller; 0: never watched */
	struct dial *dial;
	int fd;
	uint32_t watched;
};

static struct tcp *to_tcp(struct pulse_transport *t)
{
	return container_of(t, struct tcp, t);
}

static bool retry(ssize_t n)
{
	return n < 0 && errno == EINTR;
}

static ssize_t tcp_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct tcp *tcp = to_tcp(t);
	ssize_t n;

	do {
		if (nr == 1) {
			n = send(tcp->fd, iov->iov_base, iov->iov_len,
				 MSG_NOSIGNAL);
		} else {
			struct msghdr msg = {
				.msg_iov = (struct iovec *)iov,
				.msg_iovlen = (size_t)nr,
			};

			n = sendmsg(tcp->fd, &msg, MSG_NOSIGNAL);
		}
	} while (unlikely(retry(n)));
	if (n < 0)
		return -errno;
	t->tx_bytes += (uint64_t)n;
	return n;
}

static ssize_t tcp_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct tcp *tcp = to_tcp(t);
	ssize_t n;

	do {
		if (nr == 1)
			n = recv(tcp->fd, iov->iov_base, iov->iov_len, 0);
		else
			n = readv(tcp->fd, iov, nr);
	} while (unlikely(retry(n)));
	if (n < 0)
		return -errno;
	t->rx_bytes += (uint64_t)n;
	return n;
}

static ssize_t tcp_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (unlikely(!iov.iov_base))
		return -ENOMEM;
	*data = iov.iov_base;
	return tcp_recv(t, &iov, 1);
}

static int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static void drop_dial(struct tcp *tcp)
{
	if (!tcp->dial)
		return;
	pulse_poller_timer_cancel(tcp->t.poller, &tcp->dial->timer);
	pulse__free(tcp->dial);
	tcp->dial = NULL;
}

static uint32_t poller_events(uint32_t events)
{
	return (events & PULSE_TRANSPORT_READ ? PULSE_POLLER_IN : 0U) |
	       (events & PULSE_TRANSPORT_WRITE ? PULSE_POLLER_OUT : 0U);
}

/* It failed: told once, and not heard of again until it is closed. */
static void dial_failed(struct tcp *tcp, int err)
{
	tcp->dial->err = err;
	pulse_poller_timer_cancel(tcp->t.poller, &tcp->dial->timer);
	pulse_poller_del(tcp->t.poller, tcp->id);
	tcp->id = 0;
	tcp->t.fn(&tcp->t, PULSE_TRANSPORT_ERROR, tcp->t.arg);
}

/* Something happened to a connect that is under way. */
static void dialled(struct tcp *tcp, uint32_t events)
{
	int err = so_error(tcp->fd);

	if (err) {
		dial_failed(tcp, err);
		return;
	}
	if (!(events & PULSE_POLLER_OUT))
		return;
	drop_dial(tcp);
	pulse_poller_mod(tcp->t.poller, tcp->id, poller_events(tcp->watched));
	tcp->t.fn(&tcp->t, PULSE_TRANSPORT_OPEN, tcp->t.arg);
}

static void tcp_event(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg)
{
	struct tcp *tcp = arg;
	uint32_t told;

	(void)poller;
	(void)fd;
	if (unlikely(tcp->dial)) {
		dialled(tcp, events);
		return;
	}
	told = (events & PULSE_POLLER_IN ? PULSE_TRANSPORT_READ : 0U) |
	       (events & PULSE_POLLER_OUT ? PULSE_TRANSPORT_WRITE : 0U) |
	       (events & PULSE_POLLER_ERR ? PULSE_TRANSPORT_ERROR : 0U);
	tcp->t.fn(&tcp->t, told, tcp->t.arg);
}

static int tcp_watch(struct pulse_transport *t, uint32_t events)
{
	struct tcp *tcp = to_tcp(t);
	int err;

	if (tcp->dial) {		/* from when it stands */
		tcp->watched = events;
		return 0;
	}
	if (likely(tcp->id))
		err = pulse_poller_mod(t->poller, tcp->id,
				       poller_events(events));
	else
		err = pulse_poller_add(t->poller, tcp->fd,
				       poller_events(events), tcp_event, tcp,
				       &tcp->id);
	if (!err)
		tcp->watched = events;
	return err;
}

static int tcp_shutdown(struct pulse_transport *t)
{
	return shutdown(to_tcp(t)->fd, SHUT_WR) ? -errno : 0;
}

static void tcp_close(struct pulse_transport *t, bool reset)
{
	struct tcp *tcp = to_tcp(t);
	struct linger now = { .l_onoff = 1 };

	if (tcp->id)
		pulse_poller_del(t->poller, tcp->id);
	drop_dial(tcp);
	if (reset)
		setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(tcp->fd);
	pulse__free(tcp);
}

static int tcp_error(struct pulse_transport *t)
{
	struct tcp *tcp = to_tcp(t);

	return tcp->dial && tcp->dial->err ? tcp->dial->err : so_error(tcp->fd);
}

static int tcp_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	return pulse__addr_of(to_tcp(t)->fd, peer, buf, len);
}

static const struct pulse_transport_ops tcp_ops = {
	.sz = sizeof(tcp_ops),
	.name = "tcp",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE,
	.send = tcp_send,
	.recv = tcp_recv,
	.view = tcp_view,
	.watch = tcp_watch,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
	.error = tcp_error,
	.address = tcp_address,
};

void pulse__tcp_tune(int fd, int nodelay, uint32_t keepalive_s)
{
	int on = 1, idle = (int)keepalive_s, probes = 3;
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

static int adopt(struct pulse_poller *poller, int fd,
		 struct pulse_transport **out)
{
	struct tcp *tcp = pulse__calloc(1, sizeof(*tcp));

	if (!tcp)
		return -ENOMEM;
	tcp->t.ops = &tcp_ops;
	tcp->t.poller = poller;
	tcp->fd = fd;
	*out = &tcp->t;
	return 0;
}

int pulse__tcp_adopt(struct pulse_poller *poller, int fd,
		     struct pulse_transport **out)
{
	int us = (int)(poller->spin_ns / PULSE__NSEC_PER_USEC);

	if (us)		/* where it is not allowed the loop alone looks */
		setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
	return poller->ops->adopt ? poller->ops->adopt(poller, fd, out) :
	       adopt(poller, fd, out);
}

/* ---- connect ------------------------------------------------------------ */

static void dial_late(struct pulse_poller *poller,
		      struct pulse_poller_timer *timer)
{
	(void)poller;
	dial_failed(container_of(timer, struct dial, timer)->tcp, -ETIMEDOUT);
}

static int start_dial(struct tcp *tcp, const struct pulse__addr *addr,
		      int64_t deadline_ns)
{
	struct pulse_poller *poller = tcp->t.poller;
	struct dial *dial;
	int err;

	dial = pulse__calloc(1, sizeof(*dial));
	if (!dial)
		return -ENOMEM;
	tcp->dial = dial;
	dial->tcp = tcp;
	dial->timer.fn = dial_late;
	if (connect(tcp->fd, (const struct sockaddr *)&addr->sa, addr->len) &&
	    errno != EINPROGRESS && errno != EINTR)
		return -errno;
	/* A connection that stands at once is writable, and so told the same way. */
	err = pulse_poller_add(poller, tcp->fd, PULSE_POLLER_OUT, tcp_event,
			       tcp, &tcp->id);
	if (err)
		return err;
	return pulse_poller_timer_arm(poller, &dial->timer, deadline_ns);
}

int pulse_transport_connect(struct pulse_poller *poller,
			    const struct pulse_connect_opts *opts,
			    pulse_transport_fn fn, void *arg,
			    struct pulse_transport **out)
{
	struct pulse_connect_opts o;
	struct pulse__addr addr;
	struct pulse_transport *t;
	int err, fd;

	if (!poller || !opts || !fn || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), keepalive_s), opts);
	if (!err)
		err = pulse__addr_parse(o.address, &addr);
	if (err)
		return err;
	if (addr.any)
		return -EINVAL;
	if (!pulse__poller_mine(poller))
		return -EPERM;
	fd = socket(addr.sa.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	pulse__tcp_tune(fd, o.nodelay, o.keepalive_s);
	err = adopt(poller, fd, &t);
	if (err) {
		close(fd);
		return err;
	}
	pulse_transport_set_handler(t, fn, arg);
	if (!o.deadline_ns)
		o.deadline_ns = pulse_now_ns() + 30 * PULSE__NSEC_PER_SEC;
	err = start_dial(to_tcp(t), &addr, o.deadline_ns);
	if (err) {
		tcp_close(t, false);
		return err;
	}
	*out = t;
	return 0;
}

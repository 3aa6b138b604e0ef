// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * listener.c - listening sockets: a bounded number of accepts a turn, and a
 * pause where descriptors or memory run out.
 *
 * The pause rather than a spare descriptor: another thread may take the spare
 * one first, and a connection that waits in the backlog is still served when
 * the shortage is over.
 */
#include "io/poller_int.h"
#include "io/tcp.h"

#include <netinet/in.h>
#include <unistd.h>

#define PAUSE_NS	(100 * PULSE__NSEC_PER_MSEC)

struct pulse_listener {
	struct pulse_poller *poller;
	pulse_accept_fn fn;
	void *arg;
	uint64_t id;
	struct pulse_poller_timer pause;
	int fd;
	int nodelay;
	uint32_t keepalive_s;
	uint32_t batch;
	/* Written by the loop's thread, read by any: WRITE_ONCE. */
	uint64_t n_accepted, n_failed, n_pauses;
};

static void pause_over(struct pulse_poller *poller,
		       struct pulse_poller_timer *timer)
{
	struct pulse_listener *l = container_of(timer, struct pulse_listener,
						pause);

	pulse_poller_mod(poller, l->id, PULSE_POLLER_IN);
}

static void pause_accepting(struct pulse_listener *l, int err)
{
	if (!l->n_pauses)
		pulse_log(PULSE_LOG_WARN,
			  "accept: %s; new connections wait until there is room",
			  pulse_strerror(err));
	WRITE_ONCE(l->n_pauses, l->n_pauses + 1);
	pulse_poller_mod(l->poller, l->id, 0);
	pulse_poller_timer_arm(l->poller, &l->pause,
			       pulse_poller_now(l->poller) + PAUSE_NS);
}

static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS ||
	       err == ENOMEM;
}

static void hand_out(struct pulse_listener *l, int fd)
{
	struct pulse_transport *t;

	pulse__tcp_tune(fd, l->nodelay, l->keepalive_s);
	if (pulse__tcp_adopt(l->poller, fd, &t)) {
		close(fd);
		WRITE_ONCE(l->n_failed, l->n_failed + 1);
		return;
	}
	WRITE_ONCE(l->n_accepted, l->n_accepted + 1);
	l->fn(l, t, l->arg);
}

static void can_accept(struct pulse_poller *poller, int lfd, uint32_t events,
		       void *arg)
{
	struct pulse_listener *l = arg;

	(void)poller;
	(void)events;
	for (uint32_t i = 0; i < l->batch; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			hand_out(l, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (is_shortage(errno)) {
			pause_accepting(l, errno);
			return;
		}
		/* ECONNABORTED and network errors: that one is gone. */
		if (errno != EINTR)
			WRITE_ONCE(l->n_failed, l->n_failed + 1);
	}
}

static int open_socket(struct pulse__addr *addr)
{
	int off = 0;
	int fd = socket(addr->sa.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && addr->any) {
		struct sockaddr_in6 six = *(struct sockaddr_in6 *)&addr->sa;
		struct sockaddr_in *four = (struct sockaddr_in *)&addr->sa;

		memset(&addr->sa, 0, sizeof(addr->sa));
		four->sin_family = AF_INET;
		four->sin_port = six.sin6_port;
		addr->len = sizeof(*four);
		addr->any = false;
		return open_socket(addr);
	}
	if (fd < 0)
		return -errno;
	if (addr->any)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return fd;
}

static int start_listening(struct pulse__addr *addr,
			   const struct pulse_listener_opts *o)
{
	int on = 1, err;
	int fd = open_socket(addr);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (o->reuse_port == PULSE_ON &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		goto fail;
	if (bind(fd, (const struct sockaddr *)&addr->sa, addr->len))
		goto fail;
	if (listen(fd, o->backlog ? (int)o->backlog : 4096))
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

int pulse__listener_port_free(const char *address)
{
	struct pulse__addr addr;
	int on = 1, fd, err;

	err = pulse__addr_parse(address, &addr);
	if (err)
		return err;
	fd = open_socket(&addr);
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&addr.sa, addr.len)) {
		err = -errno;
		pulse_log(PULSE_LOG_WARN, "cannot listen on %s: %s", address,
			  pulse_strerror(err));
	}
	close(fd);
	return err;
}

static int load_opts(struct pulse_listener_opts *o, struct pulse__addr *addr,
		     const struct pulse_listener_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), reserved), opts);

	if (err)
		return err;
	if (o->backlog > INT_MAX || o->reserved)
		return -EINVAL;
	return pulse__addr_parse(o->address, addr);
}

int pulse_listener_open(struct pulse_poller *poller,
			const struct pulse_listener_opts *opts,
			pulse_accept_fn fn, void *arg,
			struct pulse_listener **out)
{
	struct pulse_listener_opts o;
	struct pulse__addr addr;
	struct pulse_listener *l;
	int err;

	if (!poller || !opts || !fn || !out)
		return -EINVAL;
	*out = NULL;
	err = load_opts(&o, &addr, opts);
	if (err)
		return err;
	if (!pulse__poller_mine(poller))
		return -EPERM;
	l = pulse__calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->poller = poller;
	l->fn = fn;
	l->arg = arg;
	l->pause.fn = pause_over;
	l->nodelay = o.nodelay;
	l->keepalive_s = o.keepalive_s;
	l->batch = o.accept_batch ? o.accept_batch : 64;
	l->fd = start_listening(&addr, &o);
	if (l->fd < 0) {
		err = l->fd;
		pulse_log(PULSE_LOG_WARN, "cannot listen on %s: %s", o.address,
			  pulse_strerror(err));
		goto free_listener;
	}
	err = pulse_poller_add(poller, l->fd, PULSE_POLLER_IN, can_accept, l,
			       &l->id);
	if (err)
		goto close_socket;
	*out = l;
	return 0;
close_socket:
	close(l->fd);
free_listener:
	pulse__free(l);
	return err;
}

int pulse_listener_close(struct pulse_listener *l)
{
	if (!l)
		return -EINVAL;
	if (!pulse__poller_mine(l->poller))
		return -EPERM;
	pulse_poller_del(l->poller, l->id);
	pulse_poller_timer_cancel(l->poller, &l->pause);
	close(l->fd);
	pulse__free(l);
	return 0;
}

int pulse_listener_address(struct pulse_listener *l, char *buf, size_t len)
{
	if (!l || !buf || !len)
		return -EINVAL;
	return pulse__addr_of(l->fd, false, buf, len);
}

int pulse_listener_stats(const struct pulse_listener *l,
			 struct pulse_listener_stats *out)
{
	struct pulse_listener_stats s = { 0 };
	int err;

	if (!l || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), pauses));
	if (err)
		return err;
	s.accepted = READ_ONCE(l->n_accepted);
	s.failed = READ_ONCE(l->n_failed);
	s.pauses = READ_ONCE(l->n_pauses);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

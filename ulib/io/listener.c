// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * listener.c - listening sockets: a bounded number of accepts a turn, and a
 * pause where descriptors or memory run out.
 *
 * The pause rather than a spare descriptor: another thread may take the spare
 * one first, and a connection that waits in the backlog is still served when
 * the shortage is over.
 */
#include "io/nets.h"
#include "io/poller_int.h"
#include "io/proxy.h"
#include "io/stream.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_NS	(100 * PULSE__NSEC_PER_MSEC)

static void pause_over(struct pulse_poller *poller,
		       struct pulse_poller_timer *timer)
{
	struct pulse_listener *l = container_of(timer, struct pulse_listener,
						pause);

	if (l->op)
		poller->ops->op_hold(l->op, false);
	else
		pulse_poller_mod(poller, l->id, PULSE_POLLER_IN);
}

static void pause_accepting(struct pulse_listener *l, int err)
{
	if (!l->n_pauses)
		pulse_log(PULSE_LOG_WARN,
			  "accept: %s; new connections wait until there is room",
			  pulse_strerror(err));
	WRITE_ONCE(l->n_pauses, l->n_pauses + 1);
	if (l->op)
		l->poller->ops->op_hold(l->op, true);
	else
		pulse_poller_mod(l->poller, l->id, 0);
	pulse_poller_timer_arm(l->poller, &l->pause,
			       pulse_poller_now(l->poller) + PAUSE_NS);
}

static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS ||
	       err == ENOMEM;
}

void pulse__listener_hand_out(struct pulse_listener *l,
			      struct pulse_transport *t)
{
	WRITE_ONCE(l->n_accepted, l->n_accepted + 1);
	l->fn(l, t, l->arg);
}

void pulse__listener_lost(struct pulse_listener *l)
{
	WRITE_ONCE(l->n_failed, l->n_failed + 1);
}

static const struct pulse__listener_ops plain_ops = {
	.accepted = pulse__listener_hand_out,
};

void pulse__listener_take(struct pulse_listener *l, int fd, const char *peer)
{
	struct pulse_transport *t;
	int err;

	if (l->family != AF_UNIX)
		pulse__tcp_tune(fd, l->nodelay, l->keepalive_s);
	err = l->ops == &plain_ops ?
	      pulse__stream_accept(l->poller, fd, l->family, &t) :
	      pulse__stream_adopt(l->poller, fd, l->family, &t);
	if (err) {
		close(fd);
		pulse__listener_lost(l);
		return;
	}
	if (peer && pulse__stream_set_peer(t, peer)) {
		pulse_transport_close(t, true);
		pulse__listener_lost(l);
		return;
	}
	l->ops->accepted(l, t);
}

static void got(struct pulse_listener *l, int fd)
{
	if (l->ops->accepted_fd)
		l->ops->accepted_fd(l, fd);
	else if (unlikely(l->proxy_from) && pulse__proxy_wanted(l, fd))
		pulse__proxy_wait(l, fd);
	else
		pulse__listener_take(l, fd, NULL);
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
			got(l, fd);
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
			pulse__listener_lost(l);
	}
}

/* From a poller that accepts by itself. */
static void accepted(void *arg, int res)
{
	struct pulse_listener *l = arg;

	if (res >= 0)
		got(l, res);
	else if (is_shortage(-res))
		pause_accepting(l, -res);
	else if (res != -EINTR)
		pulse__listener_lost(l);
}

static int watch(struct pulse_listener *l, int type, pulse_poller_fn event,
		 void *event_arg)
{
	struct pulse_poller *p = l->poller;

	if (type == SOCK_STREAM && p->ops->accept)
		return p->ops->accept(p, l->fd, accepted, l, &l->op);
	return pulse_poller_add(p, l->fd, PULSE_POLLER_IN, event, event_arg,
				&l->id);
}

static int open_socket(struct pulse__addr *addr, int type)
{
	int off = 0;
	int fd = socket(addr->sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd < 0 && errno == EAFNOSUPPORT && addr->any) {
		struct sockaddr_in6 six = *(struct sockaddr_in6 *)&addr->sa;
		struct sockaddr_in *four = (struct sockaddr_in *)&addr->sa;

		memset(&addr->sa, 0, sizeof(addr->sa));
		four->sin_family = AF_INET;
		four->sin_port = six.sin6_port;
		addr->len = sizeof(*four);
		addr->any = false;
		return open_socket(addr, type);
	}
	if (fd < 0)
		return -errno;
	if (addr->any)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return fd;
}

/* A file of a listener that did not tidy up: nobody answers there. */
static bool is_stale(const struct pulse__addr *addr)
{
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&addr->sa;
	struct stat st;
	bool stale;
	int fd;

	if (addr->sa.ss_family != AF_UNIX || !sun->sun_path[0] ||
	    lstat(sun->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)&addr->sa, addr->len) &&
		errno == ECONNREFUSED;
	close(fd);
	return stale && !unlink(sun->sun_path);
}

int pulse__listener_bind(struct pulse__addr *addr, int type, bool reuse_port)
{
	const struct sockaddr *sa = (const struct sockaddr *)&addr->sa;
	int fd = open_socket(addr, type);
	int on = 1, err;

	if (fd < 0)
		return fd;
	if (addr->sa.ss_family == AF_UNIX && reuse_port) {
		close(fd);
		return -EOPNOTSUPP;
	}
	/* Of datagrams it would let others take the address. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (reuse_port &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		goto fail;
	if (bind(fd, sa, addr->len) &&
	    !(errno == EADDRINUSE && is_stale(addr) && !bind(fd, sa, addr->len)))
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
	const char *rest;
	int fd, err;

	pulse__carrier_of(address, &rest);
	if (pulse__passed_name(rest))
		return 0;	/* all share the one that there is */
	err = pulse__addr_parse(rest, &addr);
	if (err)
		return err;
	if (addr.sa.ss_family == AF_UNIX)
		return -EOPNOTSUPP;
	fd = pulse__listener_bind(&addr, SOCK_STREAM, false);
	if (fd < 0) {
		pulse_log(PULSE_LOG_WARN, "cannot listen on %s: %s", address,
			  pulse_strerror(fd));
		return fd;
	}
	close(fd);
	return 0;
}

/* Which file the socket is, so that it is unlinked and no other. */
static int own_path(struct pulse_listener *l, const struct pulse__addr *addr)
{
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&addr->sa;
	struct stat st;

	if (addr->sa.ss_family != AF_UNIX || !sun->sun_path[0])
		return 0;
	l->path = pulse__strdup(sun->sun_path);
	if (!l->path) {
		unlink(sun->sun_path);
		return -ENOMEM;
	}
	if (!lstat(l->path, &st))
		l->inode = st.st_ino;
	return 0;
}

static void disown_path(struct pulse_listener *l)
{
	struct stat st;

	if (l->path && !lstat(l->path, &st) && st.st_ino == l->inode)
		unlink(l->path);
	pulse__free(l->path);
	l->path = NULL;
}

static void set_up(struct pulse_listener *l, struct pulse_poller *poller,
		   const struct pulse_listener_opts *o)
{
	l->poller = poller;
	l->pause.fn = pause_over;
	l->nodelay = o->nodelay;
	l->keepalive_s = o->keepalive_s;
	l->batch = o->accept_batch ? o->accept_batch : 64;
	l->proxy_ns = (int64_t)(o->proxy_timeout_ms ? o->proxy_timeout_ms :
				5000) * PULSE__NSEC_PER_MSEC;
	pulse__list_init(&l->proxies);
}

/* What a listener of any kind of socket begins with. */
static int begin(struct pulse_listener *l, struct pulse_poller *poller,
		 const struct pulse_listener_opts *o, const char *address,
		 int type, pulse_poller_fn event, void *event_arg)
{
	const char *passed = type == SOCK_STREAM ? pulse__passed_name(address) :
			     NULL;
	struct pulse__addr addr = { 0 };
	int err = passed ? 0 : pulse__addr_parse(address, &addr);

	if (!err && type == SOCK_DGRAM && addr.sa.ss_family == AF_UNIX)
		err = -EINVAL;
	if (err)
		return err;
	set_up(l, poller, o);
	l->family = addr.sa.ss_family;
	l->fd = passed ? pulse__passed_open(passed, &l->family) :
		pulse__listener_bind(&addr, type, o->reuse_port == PULSE_ON);
	if (l->fd < 0) {
		err = l->fd;
		goto say;
	}
	if (!passed)
		err = own_path(l, &addr);
	if (!err && !passed && type == SOCK_STREAM &&
	    listen(l->fd, o->backlog ? (int)o->backlog : 4096))
		err = -errno;
	if (!err)
		err = watch(l, type, event, event_arg);
	if (!err)
		return 0;
	disown_path(l);
	close(l->fd);
say:
	pulse_log(PULSE_LOG_WARN, "cannot listen on %s: %s", o->address,
		  pulse_strerror(err));
	return err;
}

int pulse__listener_begin(struct pulse_listener *l, struct pulse_poller *poller,
			  const struct pulse_listener_opts *o,
			  const char *address, pulse_accept_fn fn, void *arg)
{
	int err;

	l->fn = fn;
	l->arg = arg;
	if (o->proxy_from) {
		err = pulse__nets_parse(o->proxy_from, &l->proxy_from);
		if (err) {
			pulse_log(PULSE_LOG_WARN,
				  "cannot listen on %s: proxy_from: %s",
				  o->address, pulse_strerror(err));
			return err;
		}
	}
	err = begin(l, poller, o, address, SOCK_STREAM, can_accept, l);
	if (err)
		pulse__free(l->proxy_from);
	return err;
}

int pulse__listener_begin_udp(struct pulse_listener *l,
			      struct pulse_poller *poller,
			      const struct pulse_listener_opts *o,
			      const char *address, pulse_accept_fn fn, void *arg,
			      pulse_poller_fn event, void *event_arg)
{
	l->fn = fn;
	l->arg = arg;
	return begin(l, poller, o, address, SOCK_DGRAM, event, event_arg);
}

int pulse__listener_begin_own(struct pulse_listener *l,
			      struct pulse_poller *poller,
			      const struct pulse_listener_opts *o, int fd,
			      pulse_accept_fn fn, void *arg,
			      pulse_poller_fn event, void *event_arg)
{
	int err;

	set_up(l, poller, o);
	l->fn = fn;
	l->arg = arg;
	l->fd = fd;
	err = pulse_poller_add(poller, fd, PULSE_POLLER_IN, event, event_arg,
			       &l->id);
	if (err)
		close(fd);
	return err;
}

void pulse__listener_shortage(struct pulse_listener *l, int err)
{
	if (is_shortage(err))
		pause_accepting(l, err);
}

int pulse__listener_stream(struct pulse_poller *poller,
			   const struct pulse_listener_opts *opts,
			   pulse_accept_fn fn, void *arg,
			   struct pulse_listener **out)
{
	struct pulse_listener *l = pulse__calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->ops = &plain_ops;
	err = pulse__listener_begin(l, poller, opts, opts->address, fn, arg);
	if (err)
		pulse__free(l);
	else
		*out = l;
	return err;
}

int pulse_listener_close(struct pulse_listener *l)
{
	if (!l)
		return -EINVAL;
	if (!pulse__poller_mine(l->poller))
		return -EPERM;
	if (l->op)
		l->poller->ops->op_end(l->op);
	else
		pulse_poller_del(l->poller, l->id);
	pulse_poller_timer_cancel(l->poller, &l->pause);
	pulse__proxy_end(l);
	disown_path(l);
	close(l->fd);
	if (l->ops->close)
		l->ops->close(l);
	else
		pulse__free(l);
	return 0;
}

int pulse_listener_address(struct pulse_listener *l, char *buf, size_t len)
{
	struct sockaddr_storage sa;
	char text[PULSE_ADDRESS_MAX];
	int err;

	if (!l || !buf || !len)
		return -EINVAL;
	if (!l->ops->address) {
		err = pulse__addr_of(l->fd, false, text, sizeof(text));
	} else {
		err = l->ops->address(l, &sa);
		if (!err)
			err = pulse__addr_format(&sa, text, sizeof(text));
	}
	if (err)
		return err;
	return pulse__addr_rename(text, l->ops->own ? l->ops->own : "",
				  l->ops->prefix ? l->ops->prefix : "", buf,
				  len);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * stream.h - the carriers inside: address texts, stream sockets, listeners.
 *
 * An address names its carrier before the first colon; without one it is TCP.
 */
#ifndef PULSE__IO_STREAM_H
#define PULSE__IO_STREAM_H

#include "base/base.h"
#include "base/list.h"

#include <sys/socket.h>

#include <pulse-u/transport.h>

/* ---- addr.c ------------------------------------------------------------- */

struct pulse__addr {
	struct sockaddr_storage sa;
	socklen_t len;
	bool any;		/* "*": IPv6 that takes IPv4 too, where there is IPv6 */
};

/*
 * An address, with or without its carrier's name before it. 0 or -EINVAL;
 * -ENAMETOOLONG a path that no socket can have.
 */
int pulse__addr_parse(const char *text, struct pulse__addr *addr);
/* 0 or -ENOSPC. */
int pulse__addr_format(const struct sockaddr_storage *sa, char *buf,
		       size_t len);
/* The same for one whose length says where it ends. */
int pulse__addr_format_len(const struct sockaddr_storage *sa, socklen_t salen,
			   char *buf, size_t len);
/* @text with @with in the place of @what, which it begins with; or -EINVAL. */
int pulse__addr_rename(const char *text, const char *what, const char *with,
		       char *buf, size_t len);
/* The text of a socket's own or its peer's address; 0 or -errno. */
int pulse__addr_of(int fd, bool peer, char *buf, size_t len);

/* ---- passed.c ----------------------------------------------------------- */

/* The name in "fd:name"; NULL: it is another address. */
const char *pulse__passed_name(const char *address);
/*
 * A copy of the socket of this name, or number, that listens and was handed to this
 * process, with its family; -ENOENT there is none; -EINVAL, -ENOTSOCK, -EBADF it is
 * no such socket; -EMFILE.
 */
int pulse__passed_open(const char *name, int *family);
/* Where they begin: 3, but in tests. */
extern int pulse__passed_first;

/* ---- carrier.c ---------------------------------------------------------- */

/* How a carrier gets its transports; opts are loaded, the thread is right. */
struct pulse__carrier {
	const char *name;
	int (*connect)(struct pulse_poller *poller,
		       const struct pulse_connect_opts *opts,
		       pulse_transport_fn fn, void *arg,
		       struct pulse_transport **out);
	int (*listen)(struct pulse_poller *poller,
		      const struct pulse_listener_opts *opts,
		      pulse_accept_fn fn, void *arg,
		      struct pulse_listener **out);
};

extern const struct pulse__carrier pulse__carrier_stream;	/* tcp, unix */

/* The carrier of an address, and what stands behind its name; NULL: none. */
const struct pulse__carrier *pulse__carrier_of(const char *address,
					       const char **rest);

/* ---- stream.c ----------------------------------------------------------- */

/*
 * Makes a transport of a connected socket (non-blocking, close-on-exec) and
 * owns the socket from then on; on failure it stays the caller's.
 */
int pulse__stream_adopt(struct pulse_poller *poller, int fd, int family,
			struct pulse_transport **out);
/* The same by the poller's own means, where it has some for streams. */
int pulse__stream_accept(struct pulse_poller *poller, int fd, int family,
			 struct pulse_transport **out);
void pulse__tcp_tune(int fd, int nodelay, uint32_t keepalive_s);
/* What a socket has taken and its peer has not, in units of the system's. */
uint64_t pulse__socket_unsent(int fd);
/* Whom a transport that was accepted is of, as a proxy says; 0 or -ENOMEM. */
int pulse__stream_set_peer(struct pulse_transport *transport, const char *text);
/* The socket of a tcp or unix transport; -1: it is neither. */
int pulse__stream_fd(const struct pulse_transport *transport);

/* ---- listener.c --------------------------------------------------------- */

struct pulse_listener;

/* What a listener does other than accepting sockets of tcp and unix. */
struct pulse__listener_ops {
	/* Owns @t, which has just been accepted; hands it out when it is ready. */
	void (*accepted)(struct pulse_listener *l, struct pulse_transport *t);
	/* Owns the socket itself; instead of @accepted, where it is set. */
	void (*accepted_fd)(struct pulse_listener *l, int fd);
	/* Gives up what is under way and frees it; its socket is closed. NULL: free. */
	void (*close)(struct pulse_listener *l);
	/* Where it listens, if @fd does not know it. */
	int (*address)(struct pulse_listener *l, struct sockaddr_storage *out);
	/* In its address @prefix stands before the socket's, or for @own. */
	const char *prefix, *own;
};

/* Carriers with ops embed it; pulse__listener_init() fills it in. */
struct pulse_listener {
	const struct pulse__listener_ops *ops;
	struct pulse_poller *poller;
	pulse_accept_fn fn;
	void *arg;
	uint64_t id;
	void *op;		/* accepts in place of @id, where the poller can */
	struct pulse_poller_timer pause;
	char *path;		/* of a unix socket that is ours to unlink */
	uint64_t inode;		/* and which file it is */
	int fd;
	int family;
	int nodelay;
	uint32_t keepalive_s;
	uint32_t batch;
	struct pulse__nets *proxy_from;	/* proxy.c; NULL: nobody */
	struct pulse__list proxies;
	int64_t proxy_ns;
	bool proxy_said;
	/* Written by the loop's thread, read by any: WRITE_ONCE. */
	uint64_t n_accepted, n_failed, n_pauses;
};

/*
 * Opens the socket and begins to accept, for a listener that is zeroed but
 * for its ops. On failure nothing is left; the memory is the caller's.
 */
int pulse__listener_begin(struct pulse_listener *l, struct pulse_poller *poller,
			  const struct pulse_listener_opts *opts,
			  const char *address, pulse_accept_fn fn, void *arg);
/* The same for datagrams: @event is told that there are some. */
int pulse__listener_begin_udp(struct pulse_listener *l,
			      struct pulse_poller *poller,
			      const struct pulse_listener_opts *opts,
			      const char *address, pulse_accept_fn fn, void *arg,
			      pulse_poller_fn event, void *event_arg);
/* The same for one with a descriptor @fd that is no socket, its own in any case. */
int pulse__listener_begin_own(struct pulse_listener *l,
			      struct pulse_poller *poller,
			      const struct pulse_listener_opts *opts, int fd,
			      pulse_accept_fn fn, void *arg,
			      pulse_poller_fn event, void *event_arg);
/* Pauses where @err, an errno, says that something has run out. */
void pulse__listener_shortage(struct pulse_listener *l, int err);
/* pulse__carrier.listen for them */
int pulse__listener_stream(struct pulse_poller *poller,
			   const struct pulse_listener_opts *opts,
			   pulse_accept_fn fn, void *arg,
			   struct pulse_listener **out);
/* Makes a transport of a socket that was accepted; @peer: whom it is of, or NULL. */
void pulse__listener_take(struct pulse_listener *l, int fd, const char *peer);
/* A connection is ready, or it came to nothing. */
void pulse__listener_hand_out(struct pulse_listener *l,
			      struct pulse_transport *t);
void pulse__listener_lost(struct pulse_listener *l);
/* A socket that is bound to @addr, non-blocking, or -errno. */
int pulse__listener_bind(struct pulse__addr *addr, int type, bool reuse_port);

/*
 * 0 when nobody listens there. A listener that shares its port would share it
 * with any other of the same user, a forgotten one too: ask before the first.
 */
int pulse__listener_port_free(const char *address);

#endif /* PULSE__IO_STREAM_H */

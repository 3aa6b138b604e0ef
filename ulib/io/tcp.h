/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tcp.h - the TCP carrier inside: address texts, sockets, transports.
 */
#ifndef PULSE__IO_TCP_H
#define PULSE__IO_TCP_H

#include "base/base.h"

#include <sys/socket.h>

#include <pulse-u/transport.h>

/* ---- addr.c ------------------------------------------------------------- */

struct pulse__addr {
	struct sockaddr_storage sa;
	socklen_t len;
	bool any;		/* "*": IPv6 that takes IPv4 too, where there is IPv6 */
};

/* 0 or -EINVAL. */
int pulse__addr_parse(const char *text, struct pulse__addr *addr);
/* 0 or -ENOSPC. */
int pulse__addr_format(const struct sockaddr_storage *sa, char *buf,
		       size_t len);
/* The text of a socket's own or its peer's address; 0 or -errno. */
int pulse__addr_of(int fd, bool peer, char *buf, size_t len);

/* ---- tcp.c -------------------------------------------------------------- */

/*
 * Makes a transport of a connected socket (non-blocking, close-on-exec) and
 * owns the socket from then on; on failure it stays the caller's.
 */
int pulse__tcp_adopt(struct pulse_poller *poller, int fd,
		     struct pulse_transport **out);
void pulse__tcp_tune(int fd, int nodelay, uint32_t keepalive_s);

/* ---- listener.c --------------------------------------------------------- */

/*
 * 0 when nobody listens there. A listener that shares its port would share it
 * with any other of the same user, a forgotten one too: ask before the first.
 */
int pulse__listener_port_free(const char *address);

#endif /* PULSE__IO_TCP_H */

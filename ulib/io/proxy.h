/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * proxy.h - what a proxy says first of a connection that it hands on: the PROXY
 * protocol (haproxy, proxy-protocol.txt, versions 1 and 2).
 */
#ifndef PULSE__IO_PROXY_H
#define PULSE__IO_PROXY_H

#include "io/stream.h"

/* Of version 2, its options included. */
#define PULSE__PROXY_MAX	4096

/* ---- proxy_head.c --------------------------------------------------------- */

/*
 * A header at the beginning of @n bytes: how long it is, and whom it is of: @from->len
 * is 0 where it says that nobody is behind the proxy, or not who. -EAGAIN: all of it
 * is of a header, which is not complete; -EPROTO.
 */
ssize_t pulse__proxy_parse(const uint8_t *p, size_t n, struct pulse__addr *from);

/* ---- proxy.c -------------------------------------------------------------- */

struct pulse__nets;

/* Has the peer of a socket that was just accepted to begin with one? */
bool pulse__proxy_wanted(const struct pulse_listener *l, int fd);
/* Owns @fd, and gives it to pulse__listener_take() when it has come. */
void pulse__proxy_wait(struct pulse_listener *l, int fd);
/* The listener is closed. */
void pulse__proxy_end(struct pulse_listener *l);

#endif /* PULSE__IO_PROXY_H */

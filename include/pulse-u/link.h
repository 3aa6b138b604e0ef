/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * link.h - a stream that can change its carrier while it is in use.
 *
 * A link is a transport (transport.h) over another one, its carrier. The side
 * that connected may move it to another carrier at any time, any reliable and
 * ordered stream to any other: tcp to shm, shm to tls. Nothing is lost, doubled
 * or reordered; both directions go on meanwhile; a move that fails leaves the
 * link where it was. Both sides must use links: what is sent stands in frames.
 *
 *	hub = ...; pulse_link_hub_listen(hub, &tcp_opts, NULL);
 *		   pulse_link_hub_listen(hub, &shm_opts, NULL);
 *	...
 *	pulse_link_connect(poller, &tcp_address, fn, arg, &link);
 *	pulse_link_swap(link, &shm_address, swapped, arg);
 */
#ifndef PULSE_U_LINK_H
#define PULSE_U_LINK_H

#include <pulse-u/base.h>
#include <pulse-u/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_link_hub;

/**
 * pulse_link_connect() - connect, as a link
 * @poller: the loop
 * @opts: as for pulse_transport_connect(); the peer is a hub
 * @fn: the handler, as for pulse_transport_connect()
 * @arg: for @fn
 * @out: the link, for all functions of transport.h
 *
 * Return: as of pulse_transport_connect(); -EOPNOTSUPP the carrier is no
 * reliable stream.
 */
PULSE_API int pulse_link_connect(struct pulse_poller *poller,
				 const struct pulse_connect_opts *opts,
				 pulse_transport_fn fn, void *arg,
				 struct pulse_transport **out);

/**
 * typedef pulse_link_swap_fn - a move is over
 * @link: the link
 * @err: 0: it has moved, and the old carrier is closed; otherwise why not: it
 *	is where it was
 * @arg: as given
 */
typedef void (*pulse_link_swap_fn)(struct pulse_transport *link, int err,
				   void *arg);

/**
 * pulse_link_swap() - move a link to another carrier
 * @link: of pulse_link_connect(), and open
 * @to: another address of the same hub; its deadline is the move's
 * @fn: called once, never from within this call, and not after the link's close
 * @arg: for @fn
 *
 * The link stays usable meanwhile.
 *
 * Return: 0; -EINVAL; -EPERM the other side connected; -EBUSY it is moving;
 * -ENOTCONN; -EOPNOTSUPP the carrier is no reliable stream; or why the connect
 * could not even begin.
 */
PULSE_API int pulse_link_swap(struct pulse_transport *link,
			      const struct pulse_connect_opts *to,
			      pulse_link_swap_fn fn, void *arg);

/**
 * pulse_link_carrier() - what carries a link now
 * @link: the link
 *
 * Return: "tcp" and the like, what sends go to; NULL: not a link.
 */
PULSE_API const char *pulse_link_carrier(const struct pulse_transport *link);

/**
 * typedef pulse_link_accept_fn - somebody has connected
 * @hub: the hub
 * @link: the receiver's now, to be closed; has no handler yet
 * @arg: as given
 */
typedef void (*pulse_link_accept_fn)(struct pulse_link_hub *hub,
				     struct pulse_transport *link, void *arg);

/**
 * pulse_link_hub_create() - where links arrive, and move
 * @poller: the loop of all of them
 * @fn: gets each new link
 * @arg: for @fn
 * @out: the hub; it listens nowhere yet
 *
 * Return: 0; -EINVAL; -EPERM; -ENOMEM.
 */
PULSE_API int pulse_link_hub_create(struct pulse_poller *poller,
				    pulse_link_accept_fn fn, void *arg,
				    struct pulse_link_hub **out);

/**
 * pulse_link_hub_listen() - let links come by one more address
 * @hub: the hub
 * @opts: as for pulse_listener_open()
 * @out: the listener, to ask for its address; the hub's, which closes it; or
 *	NULL
 *
 * Whoever knows the 128 random bits by which a link is called can move it:
 * listen where only those connect who may.
 *
 * Return: as of pulse_listener_open().
 */
PULSE_API int pulse_link_hub_listen(struct pulse_link_hub *hub,
				    const struct pulse_listener_opts *opts,
				    struct pulse_listener **out);

/**
 * pulse_link_hub_destroy() - accept no longer
 * @hub: the hub; not from within its pulse_link_accept_fn. Links that were
 *	handed out go on, and move no more
 *
 * Return: 0; -EINVAL; -EPERM.
 */
PULSE_API int pulse_link_hub_destroy(struct pulse_link_hub *hub);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_LINK_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_link.h - a client's connection that is made again whenever it ends.
 *
 *	static void up(struct pulse_ws_link *link, struct pulse_ws_conn *conn,
 *		       void *arg)
 *	{
 *		pulse_ws_send(conn, PULSE_WS_TEXT, "subscribe news", 14);
 *	}
 *	...
 *	PULSE_OPTS(pulse_ws_connect_opts, to, .url = "ws://10.0.0.7:9000/feed");
 *	PULSE_OPTS(pulse_ws_link_opts, opts, .connect = &to, .on_up = up);
 *	err = pulse_ws_link_open(server, &opts, &link);
 *
 * Between attempts it waits, each time twice as long up to a limit, and a random
 * part less, so that those who lost the same server do not come back at once
 * ("equal jitter"; M. Brooker, Exponential Backoff And Jitter, 2015). Messages,
 * pings and time limits are those of the server object whose loops it uses.
 */
#ifndef PULSE_U_WS_LINK_H
#define PULSE_U_WS_LINK_H

#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ws_link;

/**
 * struct pulse_ws_link_opts - what to connect to, and how often
 * @sz: sizeof(struct pulse_ws_link_opts)
 * @connect: the URL at least; copied. Its deadline_ns is not used
 * @on_up: a connection is open, after its on_open: the place to subscribe again
 *	to what the last one had; or NULL
 * @on_down: a connection ended, or did not open (@err, as on_fail has it; 0: it
 *	was open); the next attempt is in @wait_ms, -1: there is none; or NULL
 * @arg: for these two
 * @wait_min_ms: before the first attempt after an end; default 250
 * @wait_max_ms: the longest; default 30 s
 * @attempt_ms: time for an attempt, until the TCP connection stands; default 10 s
 * @max_failures: so many attempts in a row that fail are the end of it; default
 *	0: it never gives up
 *
 * A connection that was open for longer than the wait before it makes the next
 * wait short again.
 */
struct pulse_ws_link_opts {
	size_t sz;
	const struct pulse_ws_connect_opts *connect;
	void (*on_up)(struct pulse_ws_link *link, struct pulse_ws_conn *conn,
		      void *arg);
	void (*on_down)(struct pulse_ws_link *link, int err, int32_t wait_ms,
			void *arg);
	void *arg;
	uint32_t wait_min_ms;
	uint32_t wait_max_ms;
	uint32_t attempt_ms;
	uint32_t max_failures;
};

/**
 * pulse_ws_link_open() - have a connection, again and again
 * @server: whose loops and handlers are to be used
 * @opts: the URL at least
 * @out: the link; to be closed by pulse_ws_link_close()
 *
 * The first attempt begins at once. Names are looked up for each attempt, on a
 * thread of their own if they are no numbers.
 *
 * Return: 0; -EINVAL not such a URL, or a line break in a field;
 * -EPROTONOSUPPORT wss:; -ENOMEM; -EAGAIN no thread; -ESHUTDOWN the server has
 * ended; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ws_link_open(struct pulse_ws_server *server,
				 const struct pulse_ws_link_opts *opts,
				 struct pulse_ws_link **out);

/**
 * pulse_ws_link_close() - no more attempts
 * @link: the link; gone afterwards. From its own functions, too
 *
 * A connection that is open is closed with 1000. A function of the link that runs
 * on another thread just now may still be running when this returns, none begins.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_ws_link_close(struct pulse_ws_link *link);

/**
 * pulse_ws_link_conn() - the connection, if there is one
 * @link: the link
 *
 * Return: an open connection with a reference: pulse_ws_put() it; NULL: none
 * now.
 */
PULSE_API struct pulse_ws_conn *pulse_ws_link_conn(struct pulse_ws_link *link);

/**
 * pulse_ws_link_send() - send on the connection there is
 * @link: the link
 * @opcode: as pulse_ws_send()
 * @data: likewise
 * @len: likewise
 *
 * Return: as pulse_ws_send(); -ENOTCONN there is none now.
 */
PULSE_API int pulse_ws_link_send(struct pulse_ws_link *link, int opcode,
				 const void *data, size_t len);

/**
 * struct pulse_ws_link_stats - how a link fares
 * @sz: sizeof(struct pulse_ws_link_stats), set by the caller
 * @attempts: since it was opened
 * @opened: of them, those that led to an open connection
 * @failures: attempts in a row that did not
 * @up: 1: a connection is open
 */
struct pulse_ws_link_stats {
	size_t sz;
	uint64_t attempts;
	uint64_t opened;
	uint32_t failures;
	uint32_t up;
};

/**
 * pulse_ws_link_stats() - look at a link's figures
 * @link: the link
 * @out: the figures; its sz must be set
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_ws_link_stats(struct pulse_ws_link *link,
				  struct pulse_ws_link_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_LINK_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_live.h - what can be changed and watched of a WebSocket server that runs.
 *
 * Limits are changed without dropping a connection. Hooks are told of what
 * happens at the places where a trace begins and ends.
 */
#ifndef PULSE_U_WS_LIVE_H
#define PULSE_U_WS_LIVE_H

#include <pulse-u/base.h>
#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_ws_limits - the limits of a server
 * @sz: sizeof(struct pulse_ws_limits), set by the caller
 * @max_message_bytes: as in struct pulse_ws_opts, as all of these
 * @max_head_bytes: and so on
 * @send_high_bytes: and so on
 * @send_low_bytes: and so on
 * @reserved: 0
 * @handshake_timeout_ms: and so on; below 0: no such limit
 * @ping_interval_ms: and so on
 * @idle_timeout_ms: and so on
 * @write_timeout_ms: and so on
 * @close_timeout_ms: and so on
 * @reserved2: 0
 * @max_lifetime_ms: and so on; of connections that are open already, too
 * @lifetime_jitter_ms: and so on
 *
 * A field that is 0 means: as it is.
 */
struct pulse_ws_limits {
	size_t sz;
	uint64_t max_message_bytes;
	uint32_t max_head_bytes;
	uint32_t send_high_bytes;
	uint32_t send_low_bytes;
	uint32_t reserved;
	int32_t handshake_timeout_ms;
	int32_t ping_interval_ms;
	int32_t idle_timeout_ms;
	int32_t write_timeout_ms;
	int32_t close_timeout_ms;
	uint32_t reserved2;
	int32_t max_lifetime_ms;
	int32_t lifetime_jitter_ms;
};

/**
 * pulse_ws_server_limits() - the limits as they were set last
 * @server: the server
 * @out: its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_ws_server_limits(struct pulse_ws_server *server,
				     struct pulse_ws_limits *out);

/**
 * pulse_ws_server_set_limits() - change limits
 * @server: the server, running or not
 * @limits: what is to change
 *
 * From any thread, handlers too. All of it or nothing; each loop has it from
 * its next turn on, and looks at its connections' times again. A connection is
 * closed for a smaller limit only when it goes beyond that from then on: the
 * message under way, a time that has passed.
 *
 * Return: 0; -EINVAL a value that cannot be, said in the log; -E2BIG unknown
 * limits; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ws_server_set_limits(struct pulse_ws_server *server,
					 const struct pulse_ws_limits *limits);

/**
 * pulse_ws_conn_set_marks() - a connection's own high and low marks
 * @conn: the connection
 * @high: bytes; instead of send_high_bytes of the server; 0: the server's again
 * @low: bytes, less than @high, instead of send_low_bytes; 0: a quarter of @high
 *
 * From any thread; another thread's than the loop's has its effect in order with
 * that thread's sends. Then a connection that has more unsent than @high is read
 * no further, and one that waits for on_drain and has no more than @low unsent
 * is told. A later change of the server's limits does not touch them.
 *
 * Return: 0; -EINVAL; -EPIPE it is not open; -ESRCH it is gone; -ENOMEM.
 */
PULSE_API int pulse_ws_conn_set_marks(struct pulse_ws_conn *conn, uint32_t high,
				      uint32_t low);

/* Where a hook is called. */
enum pulse_ws_hook {
	PULSE_WS_HOOK_ACCEPT = 0,	/* a connection was accepted; value: 0 */
	PULSE_WS_HOOK_OPEN = 1,		/* its handshake succeeded; value: 0 */
	PULSE_WS_HOOK_MESSAGE = 2,	/* on_message is about to be called; value: bytes */
	PULSE_WS_HOOK_HANDLED = 3,	/* it has returned; value: bytes */
	PULSE_WS_HOOK_CLOSE = 4,	/* it has ended; value: the code of on_close */
};

/**
 * typedef pulse_ws_hook_fn - is told that a server is at a place
 * @conn: the connection
 * @where: enum pulse_ws_hook
 * @opcode: of a message; else 0
 * @value: see enum pulse_ws_hook
 * @arg: as given to pulse_ws_server_set_hook()
 *
 * Called by the thread that is there: the loop's, or the pool's around
 * on_message. The pair MESSAGE and HANDLED are called by the same thread one
 * after the other. It must be quick, and must not wait.
 */
typedef void (*pulse_ws_hook_fn)(struct pulse_ws_conn *conn, int where,
				 int opcode, uint64_t value, void *arg);

/**
 * pulse_ws_server_set_hook() - be told of what happens
 * @server: the server, not started yet
 * @fn: the function; NULL: nobody any more
 * @arg: for @fn
 *
 * Return: 0; -EINVAL; -EBUSY it was started.
 */
PULSE_API int pulse_ws_server_set_hook(struct pulse_ws_server *server,
				       pulse_ws_hook_fn fn, void *arg);

/**
 * pulse_ws_conn_trace() - the trace that a peer's handshake belongs to
 * @conn: a connection of a server with a hook
 * @tracestate: out: what tracestate says, "" for nothing; or NULL
 *
 * For pulse_trace_extract() of tracer.h, which says whether it is one.
 *
 * Return: the traceparent of the request; NULL where it had none, or several, or
 * no hook is set. Both last as long as the connection is valid.
 */
PULSE_API const char *pulse_ws_conn_trace(const struct pulse_ws_conn *conn,
					  const char **tracestate);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_LIVE_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws.h - WebSocket server and client (RFC 6455, compression by RFC 7692), and
 * plain HTTP pages on the same port.
 *
 *	static void echo(struct pulse_ws_conn *conn, int opcode,
 *			 const void *data, size_t len, void *arg)
 *	{
 *		pulse_ws_send(conn, opcode, data, len);
 *	}
 *	...
 *	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo);
 *	PULSE_OPTS(pulse_ws_opts, opts, .listen = "127.0.0.1:8080",
 *		   .handlers = &h);
 *	err = pulse_ws_server_create(&opts, &server);
 *	if (!err)
 *		err = pulse_ws_server_start(server);
 *
 * The same object reaches other servers, pulse_ws_connect(): on its loops, with
 * its handlers. One that only does that listens at "".
 *
 * A server runs one or more loops, each on a thread of its own; a connection
 * belongs to one of them until it is moved (ws_stream.h). Handlers of one
 * connection are called one after another by that thread (on_message and
 * on_close by the pool's threads where a pool is given), those of different
 * connections at the same time. A handler may do anything to any connection, but
 * must not wait for a server.
 */
#ifndef PULSE_U_WS_H
#define PULSE_U_WS_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ctx;
struct pulse_pool;
struct pulse_tls;
struct pulse_ws_server;
struct pulse_ws_conn;
struct pulse_ws_request;

/* What a message or a control frame is. */
enum pulse_ws_opcode {
	PULSE_WS_TEXT = 1,	/* the sender says that it is UTF-8 */
	PULSE_WS_BINARY = 2,
	PULSE_WS_PING = 9,
	PULSE_WS_PONG = 10,
};

/* Why a connection was closed: RFC 6455, section 7.4. 3000 to 4999 are free. */
enum pulse_ws_code {
	PULSE_WS_NORMAL = 1000,
	PULSE_WS_GOING_AWAY = 1001,
	PULSE_WS_PROTOCOL_ERROR = 1002,
	PULSE_WS_UNSUPPORTED = 1003,
	PULSE_WS_NO_CODE = 1005,	/* never sent: the peer gave none */
	PULSE_WS_ABNORMAL = 1006,	/* never sent: ended without a close */
	PULSE_WS_BAD_DATA = 1007,
	PULSE_WS_POLICY = 1008,
	PULSE_WS_TOO_BIG = 1009,
	PULSE_WS_INTERNAL_ERROR = 1011,
	PULSE_WS_RESTART = 1012,
	PULSE_WS_TRY_LATER = 1013,
};

/**
 * struct pulse_ws_answer - what a server says to an opening handshake
 * @subprotocol: in: chosen from the lists of both sides, or NULL; out: one of
 *	the server's list, or NULL for none
 * @user: out: see pulse_ws_conn_user()
 */
struct pulse_ws_answer {
	const char *subprotocol;
	void *user;
};

/* Where in its message a piece stands; a message in one piece has both. */
enum pulse_ws_chunk {
	PULSE_WS_CHUNK_BEGIN = 1 << 0,
	PULSE_WS_CHUNK_END = 1 << 1,	/* may be a piece of no bytes */
};

/**
 * struct pulse_ws_handlers - what a program does with its connections
 * @sz: sizeof(struct pulse_ws_handlers)
 * @on_request: an opening handshake is in order: 0 accepts it, an HTTP status
 *	from 300 to 599 refuses it, or sends the peer elsewhere; see
 *	pulse_ws_http_field(), and ws_defer.h for what is decided later;
 *	default: accept
 * @on_open: a connection is open
 * @on_message: a whole message; @data lasts until the handler returns and is
 *	not to be written to: what is sent of it may go out from where it lies
 * @on_ping: a ping came; it was answered already
 * @on_pong: a pong came
 * @on_drain: a send was refused with -EAGAIN; now there is room again
 * @on_close: an open connection has ended: @code of the first close frame that
 *	was seen, PULSE_WS_NO_CODE where that had none, PULSE_WS_ABNORMAL
 *	where there was no such frame; @reason is @len bytes of UTF-8 and a 0.
 *	Nothing follows on this connection
 * @on_http: a GET or HEAD without an upgrade, any_method of the options: of any
 *	method; answer it in the handler with pulse_ws_http_reply(), otherwise it
 *	becomes 404; default: 426
 * @on_fail: a connection of pulse_ws_connect() did not open, and never will:
 *	-ECONNREFUSED, with the @status of the answer where there was one;
 *	-EKEYREJECTED the server's certificate is not believed;
 *	-ETIMEDOUT, -EHOSTUNREACH and the like; -EPROTO the answer is against
 *	the rules; -ECONNRESET; -ESHUTDOWN; -ENOMEM. Likewise one whose
 *	handshake was put off, pulse_ws_defer()
 * @on_chunk: instead of @on_message: messages as they come, of any length up to
 *	max_message_bytes, in pieces; @piece is of enum pulse_ws_chunk. Text
 *	was UTF-8 so far, and may be cut within a character; where the rest is
 *	not, no PULSE_WS_CHUNK_END follows but @on_close. With the pool as
 *	@on_message
 * @on_drop: since it was told last, so many messages of topics were dropped for want
 *	of room (ws_topic.h); on the loop, soon after, while it is open
 *
 * @arg is what the options say. A connection stays valid during a call; to
 * keep it for longer, take a reference with pulse_ws_get().
 */
struct pulse_ws_handlers {
	size_t sz;
	int (*on_request)(struct pulse_ws_conn *conn,
			  const struct pulse_ws_request *request,
			  struct pulse_ws_answer *answer, void *arg);
	void (*on_open)(struct pulse_ws_conn *conn, void *arg);
	void (*on_message)(struct pulse_ws_conn *conn, int opcode,
			   const void *data, size_t len, void *arg);
	void (*on_ping)(struct pulse_ws_conn *conn, const void *data,
			size_t len, void *arg);
	void (*on_pong)(struct pulse_ws_conn *conn, const void *data,
			size_t len, void *arg);
	void (*on_drain)(struct pulse_ws_conn *conn, void *arg);
	void (*on_close)(struct pulse_ws_conn *conn, int code,
			 const char *reason, size_t len, void *arg);
	void (*on_http)(struct pulse_ws_conn *conn,
			const struct pulse_ws_request *request, void *arg);
	void (*on_fail)(struct pulse_ws_conn *conn, int err, int status,
			void *arg);
	void (*on_chunk)(struct pulse_ws_conn *conn, int opcode,
			 const void *data, size_t len, int piece, void *arg);
	void (*on_drop)(struct pulse_ws_conn *conn, uint64_t count, void *arg);
};

/* What a direction of permessage-deflate forgets between messages. */
enum pulse_ws_deflate_flags {
	PULSE_WS_SERVER_FORGETS = 1 << 0,	/* server_no_context_takeover */
	PULSE_WS_CLIENT_FORGETS = 1 << 1,	/* client_no_context_takeover */
};

/**
 * struct pulse_ws_deflate_opts - compression of messages (RFC 7692)
 * @sz: sizeof(struct pulse_ws_deflate_opts)
 * @flags: of enum pulse_ws_deflate_flags. A direction that forgets compresses
 *	worse and needs no memory for each connection: at 15 bits some 256 KiB
 *	to send, 40 KiB to receive, from the first compressed message on
 * @level: 1 (fast) to 9 (small); default 6
 * @server_window_bits: the window of what is sent, 9 to 15; default 15. The
 *	peer may ask for less; one that insists on 8 gets no compression
 * @client_window_bits: of what is received, 8 to 15; default 15. Only peers
 *	that say they can do it are told
 * @min_bytes: shorter messages are sent as they are; default 64
 */
struct pulse_ws_deflate_opts {
	size_t sz;
	uint32_t flags;
	uint32_t level;
	uint32_t server_window_bits;
	uint32_t client_window_bits;
	uint32_t min_bytes;
	uint32_t reserved;
};

/* What becomes of a message of a topic that a subscriber has no room for. */
enum pulse_ws_slow {
	PULSE_WS_SLOW_DROP = 0,		/* it is dropped, and counted */
	PULSE_WS_SLOW_CLOSE = 1,	/* and the connection closed with 1013 */
	/*
	 * It waits beside what is unsent, in up to send_high_bytes more, and the
	 * oldest that waits is dropped for it: a slow peer gets what is newest.
	 */
	PULSE_WS_SLOW_DROP_OLDEST = 2,
};

/* Where proxies say whom a request is of. */
enum pulse_ws_forwarded {
	PULSE_WS_FORWARDED_X = 0,	/* X-Forwarded-For */
	PULSE_WS_FORWARDED_RFC7239 = 1,	/* Forwarded */
};

/**
 * struct pulse_ws_opts - a server's options
 * @sz: sizeof(struct pulse_ws_opts)
 * @listen: address, see transport.h; "": none, it only connects to others;
 *	default "127.0.0.1:0"
 * @handlers: copied; default: none, every message is dropped
 * @arg: for the handlers
 * @pool: on_message and on_close run as tasks of it, in order for each
 *	connection, or on the loop where it has no room. It must outlive the
 *	server, and is not stopped before. Default NULL: on the loops
 * @ctx: the loops' threads become workers of it, so that their state shows;
 *	it must outlive the server. Default NULL: none
 * @subprotocols: those the server speaks, NULL at the end; the first of the
 *	client's list that is among them is chosen; copied; default: none
 * @origins: values of the Origin header that are let in, NULL at the end;
 *	others get 403, requests without the header are let in; copied;
 *	default NULL: all
 * @threads: loops, 1 to 256; default 1
 * @backlog: connections that may wait to be accepted; default 4096
 * @max_message_bytes: longer messages close with 1009; default 16 MiB
 * @max_head_bytes: longer request heads get 431, at least 1 KiB; default
 *	512 KiB
 * @send_high_bytes: with so much unsent, sends are refused with -EAGAIN and
 *	the connection is read no further; one message may go beyond;
 *	default 1 MiB
 * @send_low_bytes: with no more than this unsent it goes on; default a
 *	quarter of @send_high_bytes
 * @handshake_timeout_ms: for the whole request head, and a body; default 10 s
 * @ping_interval_ms: a connection that was silent for so long is pinged;
 *	default 30 s
 * @idle_timeout_ms: a connection that was silent for so long, answers to
 *	pings included, is closed with 1001, unless it is still taking what it
 *	was sent; default 90 s
 * @write_timeout_ms: a peer that takes nothing for so long of what is unsent
 *	is dropped; however slow, one that takes something is not; default 30 s
 * @close_timeout_ms: how long a peer may take for its part of closing, once it
 *	takes nothing more of what is unsent; default 5 s
 * @keepalive_s: TCP probes a silent peer after so many seconds; default 0: no
 * @deflate: compress messages with peers that can; copied; default NULL: no.
 *	@max_message_bytes bounds what a message inflates to
 * @tls: certificates and rules (tls.h) of a @listen that begins with "tls:",
 *	and of connects to wss: addresses; default NULL: such connects believe
 *	the system's authorities
 * @max_topics: topics that have subscribers, at most; default 65536
 * @max_subscriptions: of one connection; default 1024
 * @slow: enum pulse_ws_slow: a subscriber with @send_high_bytes unsent;
 *	default PULSE_WS_SLOW_DROP
 * @max_connections: of those that came in; more get 503, far more are reset;
 *	default 0: no such limit
 * @max_per_address: likewise of one peer's address, more get 429; default 0
 * @max_fragments: of one message, more close with 1008; default 0: only its
 *	length is limited
 * @reserved2: 0
 * @poller: enum pulse_poller_kind of poller.h: what the loops wait with;
 *	default PULSE_POLLER_AUTO
 * @spin_us: a loop with nothing to do looks for so long before it sleeps, see
 *	struct pulse_poller_opts; default 0
 * @any_method: enum pulse_switch: @on_http of the handlers is called for requests
 *	of any method; default off: what is neither GET nor HEAD gets 405
 * @max_lifetime_ms: a connection that came in so long ago is read no further,
 *	and closed with 1001 and the reason "lifetime is over" as soon as its
 *	messages are handled, after @close_timeout_ms at the latest; on_close
 *	is told the same. Default 0: no such limit
 * @lifetime_jitter_ms: each connection's lifetime is shorter by something up to
 *	this, so that those that came at once do not come again at once; no
 *	more than half of @max_lifetime_ms counts; default 0: all the same
 * @max_body_bytes: of a plain request, see pulse_ws_request_body(): longer ones
 *	get 413, those that do not say how long they are 411; up to 2^31 - 1.
 *	Default 0: what comes with a GET or HEAD is dropped, with others 413
 * @forwarded_by: enum pulse_ws_forwarded: the field that all of @forwarded_from
 *	write; one that a client could write through them must not be it
 * @proxy_from: proxies that begin each connection with a header of the PROXY
 *	protocol, see struct pulse_listener_opts; the peer's address is then what
 *	that says, and @handshake_timeout_ms holds for it, too; default: nobody
 * @forwarded_from: proxies whose word is believed about whom a request is of, see
 *	pulse_ws_request_client(); written as @proxy_from; default: nobody
 * @drain_code: what pulse_ws_server_drain() closes with, as pulse_ws_close() takes it:
 *	PULSE_WS_RESTART tells clients to come again; default PULSE_WS_GOING_AWAY
 * @reserved4: 0
 *
 * A time below 0 means: no such limit.
 */
struct pulse_ws_opts {
	size_t sz;
	const char *listen;
	const struct pulse_ws_handlers *handlers;
	void *arg;
	struct pulse_pool *pool;
	struct pulse_ctx *ctx;
	const char *const *subprotocols;
	const char *const *origins;
	uint32_t threads;
	uint32_t backlog;
	uint64_t max_message_bytes;
	uint32_t max_head_bytes;
	uint32_t send_high_bytes;
	uint32_t send_low_bytes;
	int32_t handshake_timeout_ms;
	int32_t ping_interval_ms;
	int32_t idle_timeout_ms;
	int32_t write_timeout_ms;
	int32_t close_timeout_ms;
	uint32_t keepalive_s;
	uint32_t reserved;
	const struct pulse_ws_deflate_opts *deflate;
	struct pulse_tls *tls;
	uint32_t max_topics;
	uint32_t max_subscriptions;
	int slow;
	uint32_t max_connections;
	uint32_t max_per_address;
	uint32_t max_fragments;
	uint32_t reserved2;
	int poller;
	uint32_t spin_us;
	int any_method;
	int32_t max_lifetime_ms;
	int32_t lifetime_jitter_ms;
	uint32_t max_body_bytes;
	int forwarded_by;
	const char *proxy_from;
	const char *forwarded_from;
	uint32_t drain_code;
	uint32_t reserved4;
};

/* ---- server ------------------------------------------------------------- */

/**
 * pulse_ws_server_create() - make a server; it listens, but does not run yet
 * @opts: or NULL for the defaults
 * @out: the server
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EMFILE; -EADDRINUSE,
 * -EADDRNOTAVAIL, -EACCES (said in the log, too); -ENOSYS, -EPERM no such
 * poller.
 */
PULSE_API int pulse_ws_server_create(const struct pulse_ws_opts *opts,
				     struct pulse_ws_server **out);

/**
 * pulse_ws_server_start() - start the loops' threads
 * @server: the server
 *
 * Return: 0; -EINVAL; -EALREADY; -EAGAIN no thread to be had, or why one could
 * not become a worker of the context (none runs then);
 * -ESHUTDOWN it was drained; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ws_server_start(struct pulse_ws_server *server);

/**
 * pulse_ws_server_drain() - close every connection, then the server
 * @server: the server
 * @deadline_ns: absolute CLOCK_MONOTONIC; what has not closed until then is
 *	cut off; 0 or the past: cut off at once
 *
 * Accepts nobody any more, sends each connection what is unsent and a close
 * frame with 1001 (or drain_code), and waits for the connections and for their handlers, those
 * on the pool too. Not from a handler.
 *
 * Return: 0 all have closed in order and no handler runs any more; -ETIMEDOUT
 * some were cut off, or a handler on the pool still runs; -EINVAL;
 * -EDEADLK called by a handler; -EOWNERDEAD.
 */
PULSE_API int pulse_ws_server_drain(struct pulse_ws_server *server,
				    int64_t deadline_ns);

/**
 * pulse_ws_server_destroy() - end a server
 * @server: the server
 *
 * Cuts off what was not drained, with on_close for each, and waits for the
 * threads and for tasks in the pool. Not from a handler. References to
 * connections may outlive it.
 *
 * Return: 0; -EINVAL; -EDEADLK called by a handler.
 */
PULSE_API int pulse_ws_server_destroy(struct pulse_ws_server *server);

/**
 * pulse_ws_server_address() - where it listens, with the port that was chosen
 * @server: the server
 * @buf: out: the address as text
 * @len: room in @buf; PULSE_ADDRESS_MAX of transport.h is always enough
 *
 * Return: 0; -EINVAL; -ENOSPC.
 */
PULSE_API int pulse_ws_server_address(struct pulse_ws_server *server,
				      char *buf, size_t len);

/* How connections ended, as counted in struct pulse_ws_stats. */
enum pulse_ws_end {
	PULSE_WS_END_PEER = 0,		/* the peer closed */
	PULSE_WS_END_LOCAL = 1,		/* the program closed, or a drain */
	PULSE_WS_END_PROTOCOL = 2,	/* closed with 1002 or 1007 */
	PULSE_WS_END_TOO_BIG = 3,	/* closed with 1009 */
	PULSE_WS_END_IDLE = 4,		/* silent for too long */
	PULSE_WS_END_SLOW = 5,		/* did not read what it was sent */
	PULSE_WS_END_LOST = 6,		/* reset, or ended without a close */
	PULSE_WS_END_CUT = 7,		/* cut off, or closing took too long */
	PULSE_WS_END_REFUSED = 8,	/* never opened: refused or too slow */
	PULSE_WS_END_HTTP = 9,		/* never opened: a plain page */
	PULSE_WS_END_COUNT = 10,
};

/**
 * struct pulse_ws_stats - what a server has done
 * @sz: sizeof(struct pulse_ws_stats), set by the caller
 * @connections: now, those in their handshake included
 * @accepted: connections since the start
 * @opened: handshakes that succeeded
 * @messages_in: whole messages received
 * @messages_out: messages given for sending
 * @bytes_in: payload of those received
 * @bytes_out: payload of those
 * @reads: receives from the system
 * @sends: sends to the system
 * @ended: by enum pulse_ws_end
 * @inflated: messages that came compressed
 * @inflated_from: their bytes before that was undone
 * @deflated: messages compressed for sending
 * @deflated_to: their bytes after that
 * @published: messages published on topics that a loop had subscribers of
 * @delivered: copies of those given to subscribers
 * @dropped: copies of those dropped, for want of room
 * @aged: connections that reached the end of their lifetime; how they ended
 *	is counted besides, PULSE_WS_END_LOCAL if in order
 */
struct pulse_ws_stats {
	size_t sz;
	uint64_t connections;
	uint64_t accepted;
	uint64_t opened;
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t reads;
	uint64_t sends;
	uint64_t ended[PULSE_WS_END_COUNT];
	uint64_t inflated;
	uint64_t inflated_from;
	uint64_t deflated;
	uint64_t deflated_to;
	uint64_t published;
	uint64_t delivered;
	uint64_t dropped;
	uint64_t aged;
};

/**
 * pulse_ws_server_stats() - look at a server's figures
 * @server: the server
 * @out: the figures; its sz must be set
 *
 * From any thread; each figure is right, together they may be a moment apart.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_ws_server_stats(const struct pulse_ws_server *server,
				    struct pulse_ws_stats *out);

/**
 * struct pulse_ws_connect_opts - how to reach another server
 * @sz: sizeof(struct pulse_ws_connect_opts)
 * @url: "ws://host:port/path?query"; the port is 80 where there is none.
 *	"wss:" the same over TLS, with port 443
 * @origin: value of an Origin field, or NULL
 * @fields: more header fields, "Name: value" each, NULL at the end; or NULL
 * @deadline_ns: of the connect, absolute CLOCK_MONOTONIC; default: 30 s from
 *	now. The handshake has the server's handshake_timeout_ms in all
 * @user: see pulse_ws_conn_user()
 *
 * Nothing of it is needed when the call returns. Subprotocols and compression
 * are offered as the server's options have them, by their names on the wire.
 */
struct pulse_ws_connect_opts {
	size_t sz;
	const char *url;
	const char *origin;
	const char *const *fields;
	int64_t deadline_ns;
	void *user;
};

/**
 * pulse_ws_connect() - open a connection to a server
 * @server: whose loops and handlers are to be used; started, or started later
 * @opts: the URL at least
 * @out: the connection, with a reference for the caller: pulse_ws_put() it
 *
 * A name is looked up before this returns, which may take as long as the
 * resolver does. on_open or on_fail follows, on the loop's thread; until then
 * sends answer -EPIPE.
 *
 * Return: 0; -EINVAL not such a URL, or a line break in a field;
 * -EOPNOTSUPP wss: without the TLS plug-in (the log says what is missing);
 * -ENXIO no such host; -EAGAIN the resolver does not answer; -ENOMEM;
 * -ESHUTDOWN the server has ended; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ws_connect(struct pulse_ws_server *server,
			       const struct pulse_ws_connect_opts *opts,
			       struct pulse_ws_conn **out);

/* ---- connections, from any thread ---------------------------------------- */

/**
 * pulse_ws_get() - take a reference
 * @conn: a connection that is valid now
 *
 * Return: @conn; NULL for NULL.
 */
PULSE_API struct pulse_ws_conn *pulse_ws_get(struct pulse_ws_conn *conn);

/**
 * pulse_ws_put() - give a reference back
 * @conn: the connection, or NULL
 */
PULSE_API void pulse_ws_put(struct pulse_ws_conn *conn);

/**
 * pulse_ws_send() - send a message, a ping or a pong
 * @conn: the connection
 * @opcode: enum pulse_ws_opcode; text must be UTF-8
 * @data: copied, or sent, before this returns; may be NULL where @len is 0
 * @len: bytes; up to 125 for a ping or a pong
 *
 * Messages of one thread arrive in their order. What a handler sends while a
 * batch of messages is handled goes out together.
 *
 * Return: 0 taken; -EAGAIN too much is unsent, wait for on_drain; -EPIPE it
 * is closing; -ESRCH it is gone; -EINVAL; -EMSGSIZE; -ENOMEM.
 */
PULSE_API int pulse_ws_send(struct pulse_ws_conn *conn, int opcode,
			    const void *data, size_t len);

/**
 * pulse_ws_close() - close a connection
 * @conn: the connection
 * @code: PULSE_WS_NORMAL and the like, or 0 for none
 * @reason: text for the peer, UTF-8, or NULL
 * @len: bytes of @reason, up to 123
 *
 * What was sent before is still delivered. Messages that come afterwards are
 * dropped; on_close follows.
 *
 * Return: 0; -EPIPE it is closing already; -ESRCH it is gone; -EINVAL a code
 * that must not be sent; -EMSGSIZE; -ENOMEM.
 */
PULSE_API int pulse_ws_close(struct pulse_ws_conn *conn, int code,
			     const char *reason, size_t len);

/**
 * pulse_ws_conn_user() - the program's own pointer
 * @conn: the connection
 *
 * Return: what on_request or pulse_ws_conn_set_user() set, at first NULL.
 */
PULSE_API void *pulse_ws_conn_user(const struct pulse_ws_conn *conn);

/**
 * pulse_ws_conn_set_user() - set the program's own pointer
 * @conn: the connection
 * @user: anything; what it points to is the program's
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_ws_conn_set_user(struct pulse_ws_conn *conn, void *user);

/**
 * pulse_ws_conn_subprotocol() - what both sides agreed on
 * @conn: the connection
 *
 * Return: as long as @conn; NULL: none.
 */
PULSE_API const char *
pulse_ws_conn_subprotocol(const struct pulse_ws_conn *conn);

/**
 * pulse_ws_conn_deflates() - do both sides compress?
 * @conn: the connection
 *
 * Return: true: permessage-deflate was agreed on, and messages of min_bytes
 * and more go out compressed. In on_open and later; false for NULL.
 */
PULSE_API bool pulse_ws_conn_deflates(const struct pulse_ws_conn *conn);

/**
 * pulse_ws_conn_queued() - what is unsent
 * @conn: the connection
 *
 * Return: bytes; 0 for NULL. Stale when it is read, and never less than what is
 * unsent at that moment; more by what moves from a thread to the loop just then.
 */
PULSE_API size_t pulse_ws_conn_queued(const struct pulse_ws_conn *conn);

/**
 * pulse_ws_conn_address() - where the peer is
 * @conn: the connection
 * @buf: out: the address as text
 * @len: room in @buf; PULSE_ADDRESS_MAX of transport.h is always enough
 *
 * In a handler on the loop's thread, on_open for one.
 *
 * Return: 0; -EINVAL; -EPERM another thread; -ESRCH it is gone; -ENOSPC.
 */
PULSE_API int pulse_ws_conn_address(struct pulse_ws_conn *conn, char *buf,
				    size_t len);

/* ---- requests, in on_request and on_http ---------------------------------- */

/**
 * pulse_ws_request_method() - "GET" or "HEAD", or what any_method lets in
 * @request: the request
 *
 * Return: lasts until the handler returns; NULL for NULL.
 */
PULSE_API const char *
pulse_ws_request_method(const struct pulse_ws_request *request);

/**
 * pulse_ws_request_path() - what is asked for, without the query
 * @request: the request
 *
 * Return: as it came, not decoded, begins with "/"; lasts until the handler
 * returns; NULL for NULL.
 */
PULSE_API const char *
pulse_ws_request_path(const struct pulse_ws_request *request);

/**
 * pulse_ws_request_query() - what stands behind the "?"
 * @request: the request
 *
 * Return: as it came, not decoded; NULL: none. Lasts until the handler returns.
 */
PULSE_API const char *
pulse_ws_request_query(const struct pulse_ws_request *request);

/**
 * pulse_ws_request_header() - a header field's value
 * @request: the request
 * @name: in any case
 * @n: 0 for the first of this name, 1 for the second, ...
 *
 * Return: without blanks around it, lasts until the handler returns; NULL:
 * there are not so many.
 */
PULSE_API const char *
pulse_ws_request_header(const struct pulse_ws_request *request,
			const char *name, unsigned int n);

/**
 * pulse_ws_request_body() - what came with a plain request; in on_http
 * @request: the request
 * @len: out: its bytes; or NULL
 *
 * All of it has come, as max_body_bytes of the options lets it.
 *
 * Return: it, with a 0 behind, lasts until the handler returns; NULL: there is
 * none, or it was not to be kept.
 */
PULSE_API const void *
pulse_ws_request_body(const struct pulse_ws_request *request, size_t *len);

/**
 * pulse_ws_request_client() - whom a request comes from, behind proxies
 * @conn: as the handler was given it
 * @request: the request
 * @buf: out: the address as text, with port 0 where none is said
 * @len: room in @buf; PULSE_ADDRESS_MAX of transport.h is always enough
 *
 * Where the peer is one of forwarded_from, whom it says that it had the request
 * from; and where that is one of them too, whom that one had it from, and so on. As
 * far as it is said as it must be: what stands there otherwise ends it.
 *
 * Return: as pulse_ws_conn_address(), whose answer it is without such proxies.
 */
PULSE_API int pulse_ws_request_client(struct pulse_ws_conn *conn,
				      const struct pulse_ws_request *request,
				      char *buf, size_t len);

/**
 * pulse_ws_http_reply() - answer a plain request; in on_http
 * @conn: the connection
 * @status: 200 to 599
 * @type: content type, "text/html; charset=utf-8" for one
 * @body: copied; may be NULL where @len is 0; left out for HEAD
 * @len: bytes
 *
 * The connection is closed when the answer is out.
 *
 * Return: 0; -EINVAL, also where there is nothing to answer; -ENOMEM.
 */
PULSE_API int pulse_ws_http_reply(struct pulse_ws_conn *conn, int status,
				  const char *type, const void *body,
				  size_t len);

/**
 * pulse_ws_http_field() - add a header field to the answer; in on_request, on_http
 * @conn: the connection
 * @name: a token of RFC 9110, of up to 256 bytes; "Location" for one
 * @value: without line breaks and other control signs but the tab; copied
 *
 * Whatever the answer will be, it has the field: the upgrade, a refusal, a page
 * of pulse_ws_http_reply() that follows. Several of one name are sent all. What
 * the server says itself is refused: Connection, Content-Length, Content-Type,
 * Transfer-Encoding, Upgrade, and all that begin with Sec-WebSocket-.
 *
 * Return: 0; -EINVAL such a name or value, said in the log, or there is nothing
 * to answer; -EMSGSIZE more than 8 KiB of them; -ENOMEM.
 */
PULSE_API int pulse_ws_http_field(struct pulse_ws_conn *conn, const char *name,
				  const char *value);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * transport.h - what carries bytes between two peers, and who opens it.
 *
 * The contract is one for all carriers: those below, and any that brings its own
 * struct pulse_transport_ops. A transport belongs to the thread of its poller
 * as everything of a poller does. Its owner sets a handler, says what it
 * wants to hear of, and closes it, which the handler may do as well.
 *
 * Addresses are texts: "127.0.0.1:80", "[::1]:80", "localhost:80", "*:80" (any
 * address, IPv6 and IPv4), with or without "tcp:" before them. Port 0 of a
 * listener lets the system choose. Names are not looked up. Others:
 *
 * "unix:/path", "unix:@name" (an abstract one): stream sockets of this machine.
 * A listener takes over the file of one that is gone, and removes its own file
 * when it is closed. reuse_port is -EOPNOTSUPP there.
 *
 * "fd:name", "tls:fd:name", of a listener: the socket, of tcp or unix, that the service
 * manager has opened and called so (FileDescriptorName= of systemd.socket(5)), or
 * whose number it is among those it has handed over, from 0. Listeners share it;
 * what nobody accepts waits in it, also when the last one is closed. -ENOENT where
 * none was handed to this process: it may open one of its own then.
 *
 * "tls:127.0.0.1:443", "tls:unix:/path": TLS over that (tls.h). Open means that
 * the handshake is over; an end that the peer has not announced is -ECONNRESET.
 * What close() has not sent yet is sent for up to ten seconds.
 *
 * "shm:/path", "shm:@name": memory shared with a process of this machine, found
 * by a unix socket of that address. Before it waits a loop spins for a moment if
 * that has paid off lately, and sleeps then. A peer that breaks the rules of the
 * rings is -EPROTO, one that was killed -ECONNRESET after all that it sent.
 *
 * "udp:127.0.0.1:53": datagrams. A send is one, of all its pieces, up to 65507
 * bytes (16 less when sequenced), -EMSGSIZE beyond; a receive is one, and what
 * does not fit is lost. Datagrams may be lost, doubled, reordered. With
 * "sequenced" on both sides none is doubled, reordered or changed, and those that
 * were lost are counted. A port where nobody listens is PULSE_TRANSPORT_ERROR
 * with -ECONNREFUSED, after which it goes on. A listener hands out one transport
 * for each peer that it hears of; close() tells the peer nothing.
 *
 * "rdma:10.0.0.1:7000": messages of reliable RDMA connections, as a stream: memory
 * of each side that the device reads and writes (rdma_cm; a plug-in). The address
 * is one of the device's. view() hands out that memory. reuse_port is -EOPNOTSUPP
 * there, and so is all of it, at once, without the plug-in or a device: the log
 * says what is missing. A peer that breaks the rules of the slots is -EPROTO. What
 * close() has not sent yet is sent for up to ten seconds, while its loop runs.
 */
#ifndef PULSE_U_TRANSPORT_H
#define PULSE_U_TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <pulse-u/base.h>
#include <pulse-u/poller.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_batch;
struct pulse_transport;
struct pulse_transport_stats;
struct pulse_listener;
struct pulse_tls;

/* Room for any address as text, its final 0 included. */
#define PULSE_ADDRESS_MAX 128

/* What a transport does; each bit holds for its whole life. */
enum pulse_transport_feature {
	/* Bytes without borders between messages. */
	PULSE_TRANSPORT_STREAM = 1 << 0,
	/* What was taken arrives, or the transport fails. */
	PULSE_TRANSPORT_RELIABLE = 1 << 1,
	/* ... and in the order it was sent. */
	PULSE_TRANSPORT_ORDERED = 1 << 2,
	/* shutdown() ends one direction only. */
	PULSE_TRANSPORT_HALF_CLOSE = 1 << 3,
	/* send() may keep the memory: -EINPROGRESS until PULSE_TRANSPORT_SENT. */
	PULSE_TRANSPORT_ASYNC_SEND = 1 << 4,
	/* view() hands out memory of the transport's own: no copy was made. */
	PULSE_TRANSPORT_ZERO_COPY = 1 << 5,
	/* close() with reset is -ECONNRESET to the peer, elsewhere an end. */
	PULSE_TRANSPORT_RESET = 1 << 6,
	/* move() takes it to another loop. */
	PULSE_TRANSPORT_MOVES = 1 << 7,
};

/* What a handler is told; the first two are asked for with watch(). */
enum pulse_transport_event {
	PULSE_TRANSPORT_READ = 1 << 0,	/* something can be received, or the end */
	PULSE_TRANSPORT_WRITE = 1 << 1,	/* something can be sent */
	PULSE_TRANSPORT_OPEN = 1 << 2,	/* a connect has succeeded */
	PULSE_TRANSPORT_SENT = 1 << 3,	/* the send in progress is through */
	PULSE_TRANSPORT_ERROR = 1 << 4,	/* broken; see pulse_transport_error() */
};

/**
 * typedef pulse_transport_fn - a transport's handler
 * @transport: the transport
 * @events: enum pulse_transport_event, one or more
 * @arg: as set
 *
 * Called again as long as a condition that is watched holds.
 */
typedef void (*pulse_transport_fn)(struct pulse_transport *transport,
				   uint32_t events, void *arg);

/**
 * struct pulse_transport_ops - what a carrier does
 * @sz: sizeof(struct pulse_transport_ops)
 * @name: "tcp"
 * @features: enum pulse_transport_feature
 * @send: take bytes from up to 64 pieces, in their order. How many were taken,
 *	at least 1; -EAGAIN none now, also for want of memory in the system (ask
 *	for PULSE_TRANSPORT_WRITE); -EINPROGRESS all are taken, but the memory is in use until
 *	PULSE_TRANSPORT_SENT, and there is no other send until then; -EPIPE;
 *	-ECONNRESET and others: broken
 * @recv: put bytes into up to 64 pieces. How many; 0 the peer's end; -EAGAIN;
 *	-ECONNRESET and others: broken
 * @view: receive into memory that the transport or its poller provides;
 *	results as of @recv. The bytes may be changed, and last until anyone
 *	else of this poller receives
 * @watch: tell the handler of these: PULSE_TRANSPORT_READ, PULSE_TRANSPORT_WRITE
 * @shutdown: nothing more is sent; the peer sees the end after all that was
 * @close: free the transport; with @reset what is unsent is thrown away and
 *	the peer sees a reset, otherwise it is still sent. Memory of a send in
 *	progress is not touched after it
 * @error: why it is broken, a negative errno, or 0; takes it off
 * @address: the own or the @peer's address as text
 * @move: leave the poller for @to, on whose thread it is watched from then on; 0,
 *	-EBUSY not now. NULL: it cannot
 * @stats: fills in what it counts beyond bytes; may be NULL
 */
struct pulse_transport_ops {
	size_t sz;
	const char *name;
	uint32_t features;
	uint32_t reserved;
	ssize_t (*send)(struct pulse_transport *transport,
			const struct iovec *iov, int nr);
	ssize_t (*recv)(struct pulse_transport *transport,
			const struct iovec *iov, int nr);
	ssize_t (*view)(struct pulse_transport *transport, void **data);
	int (*watch)(struct pulse_transport *transport, uint32_t events);
	int (*shutdown)(struct pulse_transport *transport);
	void (*close)(struct pulse_transport *transport, bool reset);
	int (*error)(struct pulse_transport *transport);
	int (*address)(struct pulse_transport *transport, bool peer, char *buf,
		       size_t len);
	int (*move)(struct pulse_transport *transport, struct pulse_poller *to);
	void (*stats)(const struct pulse_transport *transport,
		      struct pulse_transport_stats *out);
};

/**
 * struct pulse_transport - the part that all transports begin with
 * @ops: the carrier
 * @poller: its loop
 * @fn: the handler; see pulse_transport_set_handler()
 * @arg: for @fn
 * @rx_bytes: received so far; the carrier counts
 * @tx_bytes: taken for sending so far; the carrier counts
 *
 * Carriers embed it; others use the functions below.
 */
struct pulse_transport {
	const struct pulse_transport_ops *ops;
	struct pulse_poller *poller;
	pulse_transport_fn fn;
	void *arg;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
};

/**
 * pulse_transport_set_handler() - who is told of events
 * @transport: the transport
 * @fn: the handler
 * @arg: for @fn
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_transport_set_handler(struct pulse_transport *transport,
					  pulse_transport_fn fn, void *arg);

/**
 * pulse_transport_features() - what the transport does
 * @transport: the transport
 *
 * Return: enum pulse_transport_feature; 0 for NULL.
 */
PULSE_API uint32_t
pulse_transport_features(const struct pulse_transport *transport);

/**
 * pulse_transport_name() - which carrier it is
 * @transport: the transport
 *
 * Return: "tcp" and the like, static; NULL for NULL.
 */
PULSE_API const char *
pulse_transport_name(const struct pulse_transport *transport);

/**
 * pulse_transport_send() - send pieces of memory, in their order
 * @transport: the transport
 * @iov: the pieces
 * @nr: how many, 1 to 64
 *
 * Return: bytes taken, at least 1; -EAGAIN; -EINPROGRESS; -EINVAL; -EPIPE,
 * -ECONNRESET and others: broken. See struct pulse_transport_ops.
 */
PULSE_API ssize_t pulse_transport_send(struct pulse_transport *transport,
				       const struct iovec *iov, int nr);

/**
 * pulse_transport_recv() - receive into pieces of memory
 * @transport: the transport
 * @iov: the pieces
 * @nr: how many, 1 to 64
 *
 * Return: bytes received; 0 the peer has ended; -EAGAIN; -EINVAL; others:
 * broken.
 */
PULSE_API ssize_t pulse_transport_recv(struct pulse_transport *transport,
				       const struct iovec *iov, int nr);

/**
 * pulse_transport_view() - receive into memory of the loop's or the carrier's
 * @transport: the transport
 * @data: out: the bytes, the caller's to change, until anyone else of this
 *	loop receives
 *
 * Return: as for pulse_transport_recv(); -ENOMEM.
 */
PULSE_API ssize_t pulse_transport_view(struct pulse_transport *transport,
				       void **data);

/**
 * pulse_transport_send_batch() - send a batch of buffers, in their order
 * @transport: the transport
 * @batch: one or more pointers to struct pulse_buffer (pulse_batch_append_ptr()).
 *	Buffers that were taken whole are put, and leave it; the others move up
 * @at: bytes of its first buffer that are out already; set to what is afterwards;
 *	0 to begin with
 *
 * A carrier of messages (no PULSE_TRANSPORT_STREAM) sends each as one.
 *
 * Return: bytes taken; -EAGAIN none now; -EINPROGRESS of a carrier with
 * PULSE_TRANSPORT_ASYNC_SEND: its first 64, or as many as there are, are taken and
 * stay in the batch, to be put after PULSE_TRANSPORT_SENT; -EINVAL, for a batch of
 * something else, too; others as pulse_transport_send(). What goes wrong behind
 * something that was taken is told by the next call.
 */
PULSE_API ssize_t pulse_transport_send_batch(struct pulse_transport *transport,
					     struct pulse_batch *batch, size_t *at);

/**
 * pulse_transport_recv_batch() - receive into a batch of buffers
 * @transport: the transport
 * @batch: one or more pointers to struct pulse_buffer that nobody else uses; what
 *	they held is lost
 * @filled: out: how many of them have got something, from the first on. Each is
 *	filled up to its capacity before the next, or with one message of a carrier
 *	of messages; its length says how far, 0 for the others
 *
 * Return: bytes received; 0 the peer has ended; -EAGAIN; -EINVAL, for buffers
 * without any room, too; others: broken.
 */
PULSE_API ssize_t
pulse_transport_recv_batch(struct pulse_transport *transport,
			   const struct pulse_batch *batch, size_t *filled);

/**
 * pulse_transport_watch() - choose what the handler is told of
 * @transport: the transport; its handler is set
 * @events: PULSE_TRANSPORT_READ, PULSE_TRANSPORT_WRITE, both, or 0
 *
 * PULSE_TRANSPORT_OPEN, _SENT and _ERROR are told in any case.
 *
 * Return: 0; -EINVAL; -EPERM wrong thread; -ENOMEM; -ENOSPC.
 */
PULSE_API int pulse_transport_watch(struct pulse_transport *transport,
				    uint32_t events);

/**
 * pulse_transport_shutdown() - nothing more will be sent
 * @transport: the transport
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP; -ENOTCONN.
 */
PULSE_API int pulse_transport_shutdown(struct pulse_transport *transport);

/**
 * pulse_transport_close() - end and free a transport
 * @transport: the transport; from its own handler, too
 * @reset: throw away what is unsent and let the peer see a reset
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_transport_close(struct pulse_transport *transport,
				    bool reset);

/**
 * pulse_transport_error() - why the transport is broken
 * @transport: the transport
 *
 * Return: a negative errno, once; 0; -EINVAL. A connect that was not through
 * by its deadline: -ETIMEDOUT.
 */
PULSE_API int pulse_transport_error(struct pulse_transport *transport);

/**
 * pulse_transport_address() - where one of the ends is
 * @transport: the transport
 * @peer: the other end, not the own
 * @buf: out: the address as text
 * @len: room in @buf; PULSE_ADDRESS_MAX is always enough
 *
 * Return: 0; -EINVAL; -ENOSPC; -ENOTCONN.
 */
PULSE_API int pulse_transport_address(struct pulse_transport *transport,
				      bool peer, char *buf, size_t len);

/**
 * pulse_transport_move() - take a transport to another loop
 * @transport: the transport; watched for nothing afterwards
 * @to: the loop
 *
 * By the thread of its loop, from its own handler, too. What comes next, a
 * watch for one, is done by the thread of @to. Nothing that was sent or received
 * is lost or changes its place. "tcp", "unix", "tls" and "rdma" move; "shm" and
 * "udp", whose loops have a part in their carrier, do not (PULSE_TRANSPORT_MOVES
 * says so). What io_uring receives for moves between pollers of that kind.
 *
 * Return: 0; -EINVAL; -EPERM wrong thread; -EOPNOTSUPP the carrier stays where it
 * is, or @to is of another kind; -EBUSY something is in flight, a handshake for
 * one: try again later; -ENOMEM. Unless 0 it stays, and is watched as before.
 */
PULSE_API int pulse_transport_move(struct pulse_transport *transport,
				   struct pulse_poller *to);

/**
 * struct pulse_transport_stats - what went through
 * @sz: sizeof(struct pulse_transport_stats), set by the caller
 * @rx_bytes: received
 * @tx_bytes: taken for sending
 * @lost: datagrams that never came, those that came too late included; of a
 *	sequenced transport, as are the next two
 * @late: datagrams that came twice or behind a newer one, and were dropped
 * @corrupt: datagrams that were changed on their way, and were dropped
 * @unsent: of what was taken, bytes the peer's side has not taken yet, in units
 *	of the carrier's; 0 where it cannot tell
 */
struct pulse_transport_stats {
	size_t sz;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	uint64_t lost;
	uint64_t late;
	uint64_t corrupt;
	uint64_t unsent;
};

/**
 * pulse_transport_stats() - look at a transport's figures
 * @transport: the transport
 * @out: the figures; its sz must be set
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_transport_stats(const struct pulse_transport *transport,
				    struct pulse_transport_stats *out);

/**
 * struct pulse_connect_opts - how to reach a peer
 * @sz: sizeof(struct pulse_connect_opts)
 * @address: where
 * @deadline_ns: give up then, absolute CLOCK_MONOTONIC; default: 30 s from now
 * @nodelay: enum pulse_switch: send small pieces at once; default on
 * @keepalive_s: probe a silent peer after so many seconds, 32767 at most; default
 *	0: never
 * @tls: for "tls:"; default NULL: a client that believes the system's
 *	authorities
 * @server_name: for "tls:", whom the peer must prove to be, a host's name or an
 *	IP address; default: the host of @address
 * @ring_bytes: for "shm:" and "rdma:", of each direction: a power of two, 4 KiB
 *	to 64 MiB; default 256 KiB. A listener of "rdma:" takes up as much, up to
 *	1 MiB; there it is memory that cannot be swapped (RLIMIT_MEMLOCK)
 * @spin_us: for "shm:", how long its loop spins at most before it sleeps, for
 *	all its transports the longest that was asked for; default 50; below 0
 *	(PULSE_OFF): it does not ask for any
 * @sequenced: enum pulse_switch: for "udp:", number the datagrams; as the peer
 *	does; default off
 * @reserved: 0
 */
struct pulse_connect_opts {
	size_t sz;
	const char *address;
	int64_t deadline_ns;
	int nodelay;
	uint32_t keepalive_s;
	struct pulse_tls *tls;
	const char *server_name;
	uint32_t ring_bytes;
	int32_t spin_us;
	int sequenced;
	uint32_t reserved;
};

/**
 * pulse_transport_connect() - reach a peer, without waiting for it
 * @poller: the loop
 * @opts: the address at least
 * @fn: told PULSE_TRANSPORT_OPEN or PULSE_TRANSPORT_ERROR, never from within
 *	this call
 * @arg: for @fn
 * @out: the transport; close it to give up
 *
 * Return: 0; -EINVAL not an address; -ENAMETOOLONG; -E2BIG; -EPERM; -ENOMEM;
 * -EMFILE; or what the system knew at once, -ECONNREFUSED for one.
 */
PULSE_API int pulse_transport_connect(struct pulse_poller *poller,
				      const struct pulse_connect_opts *opts,
				      pulse_transport_fn fn, void *arg,
				      struct pulse_transport **out);

/**
 * typedef pulse_accept_fn - somebody has connected
 * @listener: the listener
 * @transport: the receiver's now, to be closed; has no handler yet
 * @arg: as given to pulse_listener_open()
 */
typedef void (*pulse_accept_fn)(struct pulse_listener *listener,
				struct pulse_transport *transport, void *arg);

/**
 * struct pulse_listener_opts - where and how to listen
 * @sz: sizeof(struct pulse_listener_opts)
 * @address: where
 * @backlog: connections that may wait to be accepted; default 4096, cut by
 *	net.core.somaxconn
 * @accept_batch: connections accepted a turn, at most; default 64. With io_uring
 *	the system accepts as they come, and max_events of the poller limits how
 *	many are told a turn
 * @reuse_port: enum pulse_switch: share the port with other listeners of this
 *	user; the system deals connections out to them; default off
 * @nodelay: enum pulse_switch: send small pieces at once; default on
 * @keepalive_s: probe a silent peer after so many seconds, 32767 at most; default
 *	0: never
 * @reserved: 0
 * @tls: for "tls:": has a certificate
 * @spin_us: as in struct pulse_connect_opts
 * @sequenced: likewise
 * @proxy_from: for tcp and unix sockets, and TLS over them: who hands on connections
 *	of others and says first of each whom it is of (the PROXY protocol, versions
 *	1 and 2): "10.0.0.0/8, 192.0.2.7, 2001:db8::/32, unix", addresses and networks
 *	between commas or blanks. pulse_transport_address() then tells that. From
 *	there a connection without such a header is closed and counted as failed;
 *	from elsewhere one is not expected. Default: nobody
 * @proxy_timeout_ms: for that header; default 5 s
 * @reserved2: 0
 */
struct pulse_listener_opts {
	size_t sz;
	const char *address;
	uint32_t backlog;
	uint32_t accept_batch;
	int reuse_port;
	int nodelay;
	uint32_t keepalive_s;
	uint32_t reserved;
	struct pulse_tls *tls;
	int32_t spin_us;
	int sequenced;
	const char *proxy_from;
	uint32_t proxy_timeout_ms;
	uint32_t reserved2;
};

/**
 * pulse_listener_open() - listen for connections
 * @poller: the loop that accepts them
 * @opts: the address at least
 * @fn: gets each connection
 * @arg: for @fn
 * @out: the listener
 *
 * Where descriptors or memory run out while accepting, it pauses for a tenth
 * of a second and tries again; connections wait in the backlog meanwhile.
 *
 * Return: 0; -EINVAL not an address; -ENAMETOOLONG; -E2BIG; -EADDRINUSE,
 * -EADDRNOTAVAIL, -EACCES, -EOPNOTSUPP (each also said in the log, with the
 * address); -EPERM; -ENOMEM; -EMFILE.
 */
PULSE_API int pulse_listener_open(struct pulse_poller *poller,
				  const struct pulse_listener_opts *opts,
				  pulse_accept_fn fn, void *arg,
				  struct pulse_listener **out);

/**
 * pulse_listener_close() - listen no longer
 * @listener: the listener; not from within its pulse_accept_fn
 *
 * Connections that were not accepted yet are reset by the system.
 *
 * Return: 0; -EINVAL; -EPERM.
 */
PULSE_API int pulse_listener_close(struct pulse_listener *listener);

/**
 * pulse_listener_address() - where it listens, with the port that was chosen
 * @listener: the listener
 * @buf: out: the address as text
 * @len: room in @buf; PULSE_ADDRESS_MAX is always enough
 *
 * Return: 0; -EINVAL; -ENOSPC.
 */
PULSE_API int pulse_listener_address(struct pulse_listener *listener,
				     char *buf, size_t len);

/**
 * struct pulse_listener_stats - what a listener has done
 * @sz: sizeof(struct pulse_listener_stats), set by the caller
 * @accepted: connections handed out
 * @failed: connections that were gone or had to be closed at once
 * @pauses: times it had to pause for want of descriptors or memory
 */
struct pulse_listener_stats {
	size_t sz;
	uint64_t accepted;
	uint64_t failed;
	uint64_t pauses;
};

/**
 * pulse_listener_stats() - look at a listener's figures
 * @listener: the listener
 * @out: the figures; its sz must be set
 *
 * From any thread.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_listener_stats(const struct pulse_listener *listener,
				   struct pulse_listener_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TRANSPORT_H */

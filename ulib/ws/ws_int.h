/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_int.h - servers, loops and connections inside.
 *
 * server <- loop <- connection, each holding a reference on the one before,
 * so that a connection someone kept is safe to use when all is over. All of a
 * connection is its loop thread's, but for the words marked "any thread".
 *
 *	server.c  options, threads, drain, figures
 *	loop.c    a loop's thread: accepting, turns, the end
 *	conn.c    a connection's life: states, timers, closing, references
 *	rx.c      from the transport to messages, rx_large.c into buffers of
 *	their size; msg.c these
 *	tx.c      from messages to the transport; the send API; tx_ref.c from
 *	where they lie
 *	upgrade.c the opening handshake, defer.c what is decided later; http.c
 *	plain answers, body.c what comes with requests; offer.c the words
 *	of permessage-deflate, deflate.c its streams
 *	strand.c  handlers on a pool, in order
 *	inbox.c   what other threads ask of a connection, in order
 *	shared.c  messages built once for many; topic.c who gets them
 *	guest.c   limits on who comes in, forwarded.c whom proxies say it is
 *	stream.c  messages in pieces, pausing; move.c to another loop
 *	connect.c connections to other servers; link.c again and again
 *	live.c    limits that change, hooks
 *
 * A connection is torn down only at the top of its loop's stack (the end of a
 * read, a timer, the hook): what fails deeper marks it doomed.
 */
#ifndef PULSE__WS_INT_H
#define PULSE__WS_INT_H

#include "base/base.h"
#include "base/list.h"
#include "io/poller_int.h"
#include "ws/codec.h"
#include "ws/deflate.h"
#include "ws/frame.h"
#include "ws/head.h"

#include <pthread.h>

#include <pulse-u/poller.h>
#include <pulse-u/transport.h>
#include <pulse-u/ws.h>
#include <pulse-u/ws_stream.h>
#include <pulse-u/ws_topic.h>
#include <pulse-u/ws_live.h>

/*
 * Message buffers from SPARE_MIN up are kept by the loop for the next message:
 * fresh pages cost more than the bytes put into them. Of what is more than
 * SPARE_MAX bytes in all, what nobody needs for some seconds is given back (msg.c).
 */
#define PULSE__WS_SPARE_MIN	(32U << 10)
#define PULSE__WS_SPARE_MAX	(4U << 20)
/* An output buffer of a batch; what does not fit gets one of its own size. */
#define PULSE__WS_OBUF		(68U << 10)
/* Messages from here on are sent from where they lie, if they can be. */
#define PULSE__WS_DIRECT	(16U << 10)
/* Messages from here on are none that the short ways in and out are made for. */
#define PULSE__WS_SHORT		2048U
/* Pieces that are sent back at once: a header, its message, and those of a read. */
#define PULSE__WS_REFS		3
/* Times are told in ticks of 2^20 ns, as the poller's wheel counts. */
#define PULSE__WS_TICK_SHIFT	20

/* ---- server ------------------------------------------------------------- */

/* The options as they hold, and what handlers need; set once. */
struct pulse__ws_cfg {
	struct pulse_ws_handlers h;
	void *arg;
	struct pulse_tls *tls;	/* a reference, or NULL */
	struct pulse_pool *pool;
	char **subprotocols;
	char **origins;
	struct pulse__ws_deflate_cfg deflate;
	uint64_t max_message;
	uint32_t max_head;
	uint32_t high;
	uint32_t low;
	/* Ticks; 0: no such limit. */
	uint32_t handshake_ticks;
	uint32_t ping_ticks;
	uint32_t idle_ticks;
	uint32_t write_ticks;
	uint32_t close_ticks;
	uint32_t life_ticks;
	uint32_t jitter_ticks;		/* no more than half of it */
	uint32_t max_topics;
	uint32_t max_subscriptions;
	int slow;			/* enum pulse_ws_slow */
	/* live.c; NULL: nobody is told, and program is not used. */
	pulse_ws_hook_fn hook;
	void *hook_arg;
	struct pulse_ws_handlers program;
	uint32_t max_connections;
	uint32_t max_per_address;
	uint32_t max_fragments;
	struct pulse__nets *forwarded_from;	/* forwarded.c; NULL: nobody */
	int forwarded_by;
	uint32_t max_body;		/* bytes; 0: none is read */
	bool any_method;		/* of plain requests */
	uint16_t drain_code;
};

struct pulse__ws_loop;
struct pulse__ws_topic;

/* The topics of a server by their names; its lock is taken last. */
struct pulse__ws_hub {
	pthread_mutex_t lock;		/* all of it, and what topic.c says */
	struct pulse__ws_topic **buckets;
	uint32_t nr_buckets, nr_topics;
};

struct pulse__ws_guest;

/* Who is connected, by address; where that is limited. */
struct pulse__ws_guests {
	pthread_mutex_t lock;		/* the buckets */
	struct pulse__ws_guest *buckets[256];
};

struct pulse_ws_server {
	struct pulse__ws_cfg cfg;
	struct pulse__ws_hub hub;
	struct pulse__ws_guests guests;
	struct pulse__ws_loop **loops;
	uint32_t nr_loops;
	uint32_t magic;
	uint32_t fork_gen;
	uint32_t refs;			/* any thread */
	uint32_t next_loop;		/* any thread: takes the next connection */
	char address[PULSE_ADDRESS_MAX];

	pthread_mutex_t lock;		/* the words below */
	struct pulse_ws_limits limits;	/* as set last; loops have copies */
	pthread_cond_t changed;
	bool started;
	bool drained;			/* the loops were told */
	bool cut;			/* ... to cut off what is left */
	int start_err;
	unsigned int running;		/* loops that run, or have failed to */
	unsigned int acks;		/* loops that have heard of a drain */
	/* any thread; a change that a waiter may wait for is told by pulse__ws_tell() */
	uint64_t live;			/* connections */
	uint64_t came_in;		/* of them, those that were accepted */
	uint64_t strands;		/* strands with a task in the pool */
	bool waiting;			/* somebody waits for these two */
};

/* Wakes whoever waits in drain or destroy for the counts to fall. */
void pulse__ws_tell(struct pulse_ws_server *server);
void pulse__ws_server_put(struct pulse_ws_server *server);

/* ---- loop --------------------------------------------------------------- */

/*
 * Bytes on their way out: [head, tail) of data, or of a message that others
 * send too, which is full from the beginning.
 */
struct pulse__ws_obuf {
	struct pulse__ws_obuf *next;
	size_t flight;			/* in flight, from the first one on: there */
	uint32_t head, tail, room;
	bool is_shared;			/* data begins with a struct pulse__ws_ref */
	uint8_t data[] __attribute__((aligned(sizeof(void *))));
};

struct pulse__ws_ref {
	struct pulse_ws_prepared *msg;
	const uint8_t *bytes;
};

/* A message that comes in parts, or a part of one. */
struct pulse__ws_msg {
	struct pulse__ws_msg *next;	/* loop->spare_msgs */
	uint64_t len, room;
	uint32_t skip;			/* bytes before it, counted in len */
	uint8_t data[] __attribute__((aligned(8)));
};

struct pulse__ws_figures {
	uint64_t accepted, opened, messages_in, messages_out, bytes_in,
		 bytes_out, reads, sends, ended[PULSE_WS_END_COUNT],
		 inflated, inflated_from, deflated, deflated_to, published,
		 delivered, dropped, aged;
};

struct pulse__ws_loop {
	struct pulse_poller *poller;
	struct pulse_ws_server *server;
	const struct pulse__ws_cfg *cfg;	/* own */
	const struct pulse__ws_codec *codec;
	/* cfg->h's, where it is called here and now; NULL: pulse__ws_deliver(). */
	void (*on_message)(struct pulse_ws_conn *conn, int opcode, const void *data,
			   size_t len, void *arg);
	struct pulse_ws_conn *dirty;	/* to flush before the loop waits */
	struct pulse__list buried;	/* to put, once nothing names them */
	struct pulse__ws_obuf *spare;	/* of the standard size */
	uint32_t nr_spare;
	uint32_t refs;			/* any thread */
	struct pulse__ws_msg *spare_msgs;	/* SPARE_MIN bytes and more */
	size_t spare_bytes;
	size_t spare_unused;		/* the least of it since the last look */
	struct pulse_poller_timer spare_timer;	/* ... of which more will come */
	struct pulse__ws_shared shared;	/* streams of compression */
	/*
	 * While the bytes of a read are handled: whose they are, the message in
	 * hand, and answers that lie among them, ref[]: see tx_ref.c. They are out,
	 * or copied, before the next read.
	 */
	struct pulse_ws_conn *view_conn;
	/*
	 * The same, as long as it answers in short messages, not compressed and
	 * not masked, to the server's own marks; NULL: pulse_ws_send() has to ask.
	 */
	struct pulse_ws_conn *quick;
	uint8_t *place;			/* of the next answer; NULL: elsewhere */
	const uint8_t *view_msg;
	size_t view_len;		/* SIZE_MAX: it is to be copied */
	struct pulse__ws_msg *view_own;	/* it lies in this; NULL: in the read */
	uint32_t nr_refs;
	size_t ref_bytes;
	struct iovec *span;		/* of ref[], which the next prolongs, or NULL */
	struct iovec ref[PULSE__WS_REFS];
	struct pulse__ws_msg *ref_own;	/* one of them lies in it; or NULL */
	uint8_t ref_head[10];		/* ... behind this */
	struct pulse__list conns;
	bool closing;			/* nobody is let in, nobody dials */
	bool cut;			/* nobody stays */
	uint8_t nr_keys;		/* masks left in keys[] */
	uint32_t keys[64];		/* random (RFC 6455, section 10.3) */
	struct pulse_listener *listener;	/* NULL: it only dials */
	struct pulse_poller_hook hook;	/* due while somebody is dirty or buried */
	bool hook_due;
	/* Posted by the server, each once. */
	struct pulse_poller_task hello_task, drain_task, cut_task, end_task;
	/* live.c: posted again and again, while the flag is not set. */
	struct pulse_poller_task tune_task;
	uint32_t tune_posted;			/* any thread */
	/* Limits: the loop's thread writes, others READ_ONCE; the rest is fixed. */
	struct pulse__ws_cfg own;
	pthread_t thread;
	uint32_t index;			/* in server->loops */
	size_t publish_bytes;		/* any thread: published, not handled yet */
	/* Written by the loop's thread, read by any. */
	struct pulse__ws_figures n;
};

#define pulse__ws_count(loop, field, v)					\
	pulse__add_own(&(loop)->n.field, (uint64_t)(v))

int pulse__ws_loop_create(struct pulse_ws_server *server,
			  const struct pulse_ws_opts *opts,
			  const char *address,
			  struct pulse__ws_loop **out);
void pulse__ws_loop_put(struct pulse__ws_loop *loop);
/* Whenever the handlers have been set. */
void pulse__ws_choose_handler(struct pulse__ws_loop *loop);
/* The thread of a loop, to be given to pthread_create(). */
void *pulse__ws_loop_thread(void *loop);
/* The loop's end, after its thread's; puts it. */
void pulse__ws_loop_end(struct pulse__ws_loop *loop);

static inline uint32_t pulse__ws_tick(const struct pulse__ws_loop *loop)
{
	return (uint32_t)((uint64_t)loop->poller->now_ns >>
			  PULSE__WS_TICK_SHIFT);
}

static inline bool pulse__ws_on_loop(const struct pulse__ws_loop *loop)
{
	return pulse__poller_mine(loop->poller);
}

/* live.c */
int pulse__ws_limits_check(const struct pulse_ws_limits *limits);
void pulse__ws_limits_apply(struct pulse__ws_cfg *cfg,
			    const struct pulse_ws_limits *limits);
void pulse__ws_tune(struct pulse_poller *poller, struct pulse_poller_task *task);

/* ---- connection --------------------------------------------------------- */

enum pulse__ws_state {
	PULSE__WS_HEAD,		/* its request is being read */
	PULSE__WS_OPEN,
	PULSE__WS_CLOSING,	/* our close frame is out, the peer's is awaited */
	PULSE__WS_ENDING,	/* all is said: flush, end our side, read to the end */
	PULSE__WS_GONE,
};

/* Why nothing is received at the moment. */
enum pulse__ws_stop {
	PULSE__WS_STOP_OUT = 1,		/* too much is unsent */
	PULSE__WS_STOP_STRAND = 2,	/* the pool is behind */
	PULSE__WS_STOP_DRAIN = 4,	/* the strand is to become empty */
	PULSE__WS_STOP_USER = 8,	/* pulse_ws_pause() */
	PULSE__WS_STOP_VERDICT = 16,	/* the handshake is undecided: defer.c */
};

/* Bytes that were received while they could not be handled. */
struct pulse__ws_stash {
	size_t at, len;
	uint8_t data[];
};

struct pulse__ws_strand;
struct pulse__ws_dial;
struct pulse__ws_item;

/* What few connections need, made when they do; the loop's, gone with it. */
struct pulse__ws_more {
	struct pulse__list subs;	/* topic.c */
	uint32_t nr_subs;
	uint64_t dropped;		/* any thread reads */
	uint64_t dropped_told;		/* of them, on_drop */
	/* Messages of topics that wait for room, oldest first: topic_late.c */
	struct pulse__ws_late *late_first, *late_last;
	size_t late_bytes;
	/* Its own: the high one in the upper half; 0: the server's; any thread */
	uint64_t marks;

	struct pulse__ws_msg *ctl;	/* a control frame that comes in pieces */

	/* stream.c: a message that comes in pieces */
	uint64_t rx_bytes;		/* of it so far */
	bool rx_open;			/* its first piece was handed out */
	/* Messages that wait for the end of a stream, or of a move. */
	struct pulse__ws_held *held_first, *held_last;

	/* move.c */
	bool holding;			/* topics wait for what is older */
	uint32_t wanted;		/* the loop to go to, + 1 */
	struct pulse_poller_task task;
	struct pulse_ws_conn *conn;	/* for the task */
	uint64_t been[256 / 64];	/* loops it has left: their references */

	struct pulse__ws_guest *guest;	/* guest.c */

	/* upgrade.c: traceparent, 0, tracestate, 0, as the request had them */
	char *trace;

	/* link.c: whose connection it is; a reference */
	struct pulse_ws_link *link;
	int dial_err;
};

struct pulse_ws_conn {
	struct pulse__ws_loop *loop;
	struct pulse_transport *t;	/* NULL: gone */
	void *user;
	struct pulse__list link;	/* loop->conns or loop->buried */
	struct pulse_poller_timer timer;
	struct pulse_ws_conn *next;	/* loop->dirty */
	uint32_t refs;			/* any thread */
	uint32_t expect;		/* the next message is as long; 0: unknown */
	/*
	 * Two words that tell at once whether anything is out of the ordinary;
	 * only the loop reads them as such.
	 */
	union {
		struct {
			uint8_t state;	/* enum pulse__ws_state; any thread reads */
			uint8_t stop;	/* enum pulse__ws_stop */
			bool in_frame;	/* a header is read, its frame's end is not */
			bool doomed;	/* to be torn down */
			bool moving;	/* between two loops; any thread reads */
			bool client;	/* we are; set once */
			uint8_t tx_stream;	/* PULSE__WS_STREAM | opcode of its next frame */
			uint8_t hdr_len;	/* of hdr, below */
		};
		uint64_t ordinary;	/* PULSE__WS_ORDINARY: open, and no more */
	};
	union {
		struct {
			bool is_dirty : 1;
			bool blocked : 1;	/* the transport takes no more now */
			bool in_flight : 1;	/* ... until it says so (asynchronous) */
			bool shut : 1;		/* our side has ended */
			bool eof : 1;		/* the peer's side has ended */
			bool pinged : 1;	/* since the peer was last heard of */
			bool over : 1;		/* out_bytes has reached the high mark */
			bool drain : 1;		/* close when the strand is empty */
		};
		uint8_t odd;		/* any of them */
	};
	uint8_t end;			/* enum pulse_ws_end, if it ended now */
	bool in_rx;			/* rx flushes when it is through */
	bool deflates;			/* as agreed; any thread reads */
	bool opened : 1;		/* on_close is owed */
	bool head_only : 1;		/* HEAD: leave the body out */
	bool in_http : 1;		/* may be answered with a page */
	bool guest : 1;			/* counted by guest.c */
	bool packed : 1;		/* the message under way is compressed */
	bool aged : 1;			/* its lifetime is over, it drains */
	uint8_t watched;		/* what the transport was told */

	/* receiving: the frame under way */
	uint8_t hdr[PULSE__WS_HEADER_MAX];
	uint8_t op;			/* of the frame */
	uint8_t msg_op;			/* of the message, 0: none under way */
	bool fin;
	bool streaming;			/* any thread: pulse_ws_send_begin() */
	uint64_t left;			/* bytes of its payload to come */
	uint32_t key;			/* as it stands at the next byte */
	uint32_t utf8;			/* as it stands at the next byte */
	uint32_t fragments;		/* of the message so far */
	uint16_t close_code;		/* as on_close will be told */
	uint16_t subprotocol;		/* index + 1 */
	struct pulse__ws_msg *msg;	/* message so far; control frame: more->ctl */
	struct pulse__ws_stash *stash;
	struct pulse__ws_head *head;	/* state HEAD */
	struct pulse__ws_strand *strand;
	union {
		struct pulse__ws_dial *dial;	/* a client's that is not open yet */
		uintptr_t verdict;	/* a server's: defer.c; any thread */
	};
	struct pulse__ws_pmd *pmd;	/* NULL: no compression was agreed on */
	union {
		uint32_t born_tick;	/* until close_code is set: when it came in */
		char *close_reason;	/* from then on */
	};
	struct pulse__ws_more *more;	/* any thread reads */
	struct pulse__ws_item *inbox;	/* any thread: newest first */

	/* sending */
	struct pulse__ws_obuf *out_first, *out_last;
	size_t out_bytes;		/* any thread reads */
	size_t posted_bytes;		/* any thread: posted, not in out yet */
	uint32_t want_drain;		/* any thread: somebody got -EAGAIN */
	uint32_t heard_tick;		/* when the peer last sent something */
	uint32_t moved_tick;		/* when it last took something */
	uint32_t moved_bytes;		/* how much it had taken by then */
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PULSE__WS_ORDINARY	((uint64_t)PULSE__WS_OPEN)
#else
#define PULSE__WS_ORDINARY	((uint64_t)PULSE__WS_OPEN << 56)
#endif

/*
 * Open, being read between two frames, and nothing is asked of it or owed by it
 * but what a message needs. On the loop.
 */
static inline bool pulse__ws_is_ordinary(const struct pulse_ws_conn *conn)
{
	return conn->ordinary == PULSE__WS_ORDINARY && !conn->odd;
}

/* Has the message under way begun to be handed out in pieces? */
static inline bool pulse__ws_in_chunks(const struct pulse_ws_conn *conn)
{
	return unlikely(conn->more) && conn->more->rx_open;
}

/* A connection may move to another loop, if rarely: for other threads. */
static inline struct pulse__ws_loop *
pulse__ws_loop_of(const struct pulse_ws_conn *conn)
{
	/* pairs with pulse__ws_move(): moving, and all it has left behind */
	return __atomic_load_n(&conn->loop, __ATOMIC_ACQUIRE);
}

/* Between which counts of unsent bytes it is full, and has room again. */
static inline uint64_t pulse__ws_marks(const struct pulse_ws_conn *conn)
{
	/* pairs with pulse__ws_more() */
	const struct pulse__ws_more *more = pulse__load_acquire(&conn->more);

	return unlikely(more) ? READ_ONCE(more->marks) : 0;
}

static inline uint32_t pulse__ws_high(const struct pulse_ws_conn *conn)
{
	uint64_t marks = pulse__ws_marks(conn);

	return unlikely(marks) ? (uint32_t)(marks >> 32) :
	       READ_ONCE(pulse__ws_loop_of(conn)->cfg->high);
}

static inline uint32_t pulse__ws_low(const struct pulse_ws_conn *conn)
{
	uint64_t marks = pulse__ws_marks(conn);

	return unlikely(marks) ? (uint32_t)marks :
	       READ_ONCE(pulse__ws_loop_of(conn)->cfg->low);
}

/* Is all of the connection the calling thread's? */
static inline bool pulse__ws_mine(const struct pulse_ws_conn *conn)
{
	return pulse__ws_on_loop(pulse__ws_loop_of(conn)) &&
	       likely(!READ_ONCE(conn->moving));
}

static inline uint8_t pulse__ws_state(const struct pulse_ws_conn *conn)
{
	return __atomic_load_n(&conn->state, __ATOMIC_RELAXED);
}

/* conn.c */
int pulse__ws_conn_new(struct pulse__ws_loop *loop, struct pulse_transport *t,
		       struct pulse_ws_conn **out);
/* One of a loop, with one reference; any thread. It has no transport yet. */
struct pulse_ws_conn *pulse__ws_conn_alloc(struct pulse__ws_loop *loop);
/* What its transport tells, pulse__ws_dialed() but for the beginning. */
void pulse__ws_event(struct pulse_transport *t, uint32_t events, void *conn);
/* Makes it ENDING: nothing more is handled; tells on_close if that is owed. */
void pulse__ws_end(struct pulse_ws_conn *conn, int end);
/* A close frame with this, then ENDING. */
void pulse__ws_fail(struct pulse_ws_conn *conn, int code, const char *why);
/* To be torn down at the top of the stack; ABNORMAL unless closed before. */
void pulse__ws_doom(struct pulse_ws_conn *conn, int end);
/* Tears down; at the top of the stack only. */
void pulse__ws_bury(struct pulse_ws_conn *conn);
/* At the top of the stack, after anything: flush, go on, or tear down. */
void pulse__ws_after(struct pulse_ws_conn *conn);
/* Starts closing from our side; 0, -EPIPE, -ESRCH, -ENOMEM. */
int pulse__ws_start_close(struct pulse_ws_conn *conn, int code,
			  const char *reason, size_t len, int end);
/* A drain: close as soon as the strand is empty. */
void pulse__ws_conn_drain(struct pulse_ws_conn *conn);
/* Sets the timer to whatever is due first. */
void pulse__ws_arm(struct pulse_ws_conn *conn);
/* Tells the transport what is wanted now. */
void pulse__ws_watch(struct pulse_ws_conn *conn);
/* Remembers what on_close will be told; @reason may be NULL. */
void pulse__ws_note_close(struct pulse_ws_conn *conn, int code,
			  const char *reason, size_t len);
void pulse__ws_mark_dirty(struct pulse_ws_conn *conn);

/* rx.c */
/* Where a connection is ordinary and has something to be received: all of it. */
void pulse__ws_read_ordinary(struct pulse_ws_conn *conn);
void pulse__ws_readable(struct pulse_ws_conn *conn);
/* Handles bytes in any state; they may be changed. */
void pulse__ws_rx(struct pulse_ws_conn *conn, uint8_t *data, size_t bytes);
/* A reason to stop has gone: handles what was put aside. */
void pulse__ws_resume(struct pulse_ws_conn *conn);
void pulse__ws_rx_free(struct pulse_ws_conn *conn);

/* unpack.c */
/*
 * Inflates bytes of a message into conn->msg, and checks what comes of them;
 * @last: it ends with them. False: the connection has failed.
 */
bool pulse__ws_unpack(struct pulse_ws_conn *conn, const uint8_t *data,
		      size_t bytes, bool last);

/* msg.c */
/* Room for so many bytes more, all there will be if @last; false: no memory. */
bool pulse__ws_msg_grow(struct pulse__ws_loop *loop, struct pulse__ws_msg **msg,
			uint64_t more, bool last);
void pulse__ws_msg_free(struct pulse__ws_loop *loop, struct pulse__ws_msg *msg);
void pulse__ws_spare_free(struct pulse__ws_loop *loop);
void pulse__ws_spare_look(struct pulse_poller *poller,
			  struct pulse_poller_timer *timer);

/* tx.c */
/* In the op of a frame: not the last of its message. */
#define PULSE__WS_UNFINISHED	PULSE__WS_FIN
/* Appends a frame; @op may hold PULSE__WS_RSV1 and PULSE__WS_UNFINISHED. */
int pulse__ws_put_frame(struct pulse_ws_conn *conn, uint8_t op,
			const void *data, size_t len);
/* Appends bytes as they are. */
int pulse__ws_put_raw(struct pulse_ws_conn *conn, const void *data,
		      size_t len);
/* Sends the answers that lie in the read, or copies what is left of them. */
void pulse__ws_flush_refs(struct pulse_ws_conn *conn);
/* The marks have changed: is it full now, or has it room again? */
void pulse__ws_marks_changed(struct pulse_ws_conn *conn);
/* Gives the transport what it takes. */
void pulse__ws_flush(struct pulse_ws_conn *conn);
/*
 * What the peer's side has taken so far, as far as the transport can tell, and
 * whether there is @more for it; or NULL.
 */
uint32_t pulse__ws_moved_bytes(const struct pulse_ws_conn *conn, bool *more);
/* The send that was in flight is through. */
void pulse__ws_sent(struct pulse_ws_conn *conn);
/* Tells on_drain, if somebody waits for it and there is room. */
void pulse__ws_maybe_drained(struct pulse_ws_conn *conn);
void pulse__ws_tx_free(struct pulse_ws_conn *conn);

/* Queues a frame, or sends it from where it lies; @op as above. */
int pulse__ws_put(struct pulse_ws_conn *conn, uint8_t op, const void *data,
		  size_t len);
/* A frame that is complete, of a message the queue gets a reference to. */
int pulse__ws_put_shared(struct pulse_ws_conn *conn,
			 struct pulse_ws_prepared *msg, const uint8_t *bytes,
			 size_t len);
/* On the loop, open, not doomed: counts, compresses, queues. */
int pulse__ws_send_now(struct pulse_ws_conn *conn, uint8_t op, const void *data,
		       size_t len);

/*
 * Any thread: 0, or why a message cannot be sent now; whether this is the loop's
 * thread. The loop's own word is final, a stranger's not.
 */
int pulse__ws_may_send(struct pulse_ws_conn *conn, bool *on_loop);

/* inbox.c */
/*
 * Something for a connection's loop to do, from any thread: those of one thread
 * are done in their order.
 */
struct pulse__ws_item {
	struct pulse__ws_item *next;
	struct pulse_poller_task task;
	struct pulse_ws_conn *conn;	/* a reference, the inbox's own */
	size_t cost;			/* weighs so much in posted_bytes */
	/* Frees the item; @drop: nothing is to be done any more. */
	void (*run)(struct pulse__ws_item *item, bool drop);
};

/* 0: the item is the inbox's; -ESRCH: the loop has ended, it was dropped. */
int pulse__ws_inbox_put(struct pulse_ws_conn *conn, struct pulse__ws_item *item);

/* shared.c */
struct pulse_ws_prepared {
	uint32_t refs;			/* any thread */
	uint8_t op;
	size_t len;			/* of the payload */
	uint8_t *frame;			/* not compressed, header and payload */
	size_t frame_len;
	/* Compressed without a past, by bits; any thread: set once. */
	struct pulse__ws_packed *packed[PULSE__WS_BITS_MAX + 1];
	uint8_t data[];
};

/* On the loop, open, not doomed: as pulse__ws_send_now(), built at most once. */
int pulse__ws_send_shared(struct pulse_ws_conn *conn,
			  struct pulse_ws_prepared *msg);

/* guest.c */
/* A connection has come in: 0; 503 or 429 there are too many; -EBUSY far too many. */
int pulse__ws_come_in(struct pulse_ws_conn *conn);
void pulse__ws_go_out(struct pulse_ws_conn *conn);

/* stream.c */
#define PULSE__WS_STREAM	0x80U
/*
 * The next bytes of a message for on_chunk, checked; @last: it ends with them.
 * Only where the connection is open.
 */
void pulse__ws_chunk(struct pulse_ws_conn *conn, const uint8_t *data, size_t len,
		     bool last);
/* Puts a message aside until the stream, or the move, is over. */
int pulse__ws_hold(struct pulse_ws_conn *conn, struct pulse_ws_prepared *msg);
/* Sends what was put aside, if nothing is in the way any more. */
void pulse__ws_release(struct pulse_ws_conn *conn);
void pulse__ws_held_free(struct pulse_ws_conn *conn);

/* move.c */
/* At the top of the stack: off to the loop that is wanted, if that can be now. */
void pulse__ws_move(struct pulse_ws_conn *conn);

/* topic_late.c */
/* A message of a topic is dropped: counts it, and has on_drop told. */
void pulse__ws_drop(struct pulse_ws_conn *conn);
/* At the top of the stack, for one that has conn->more: tells on_drop. */
void pulse__ws_tell_drops(struct pulse_ws_conn *conn);
/*
 * Queues what waits, as far as there is room; were there any? For one that has
 * conn->more.
 */
bool pulse__ws_late_go(struct pulse_ws_conn *conn);
void pulse__ws_late_free(struct pulse_ws_conn *conn);

/* topic_move.c */
struct pulse__ws_farewell;
/* What a move takes along; NULL: no memory, or (*none) nothing. */
struct pulse__ws_farewell *pulse__ws_pack_topics(struct pulse_ws_conn *conn,
						 bool *none);
void pulse__ws_farewell_free(struct pulse__ws_farewell *farewell);
/*
 * The moment of the move: what is published from now on goes to the new loop,
 * behind @arrive, which is posted there; the rest is sent on. 0; -ESHUTDOWN
 * that loop has ended, nothing has changed.
 */
int pulse__ws_move_topics(struct pulse_ws_conn *conn,
			  struct pulse__ws_farewell *farewell,
			  struct pulse__ws_loop *to,
			  struct pulse_poller_task *arrive);
/* On the new loop. */
void pulse__ws_unpack_topics(struct pulse_ws_conn *conn);

/* topic.c */
void pulse__ws_hub_free(struct pulse__ws_hub *hub);
/* The connection ends: takes it off all its topics. */
void pulse__ws_leave_topics(struct pulse_ws_conn *conn);

/* conn.c */
/* conn->more, made now if need be; NULL: no memory. On the loop. */
struct pulse__ws_more *pulse__ws_more(struct pulse_ws_conn *conn);

/* link.c */
/* It is open, or over. */
void pulse__ws_link_up(struct pulse_ws_conn *conn);
void pulse__ws_link_down(struct pulse_ws_conn *conn);

/* connect.c */
/* A client's connection that is to be dialled, the caller's; any thread. */
int pulse__ws_dial_new(struct pulse__ws_loop *loop,
		       const struct pulse_ws_connect_opts *o,
		       struct pulse_ws_conn **out);
/* Its name needs no looking up, which may take long. */
bool pulse__ws_dial_is_numeric(struct pulse_ws_conn *conn);
/* Looks the name up and begins; where that fails it is to be dropped. */
int pulse__ws_dial_go(struct pulse_ws_conn *conn);
void pulse__ws_dial_drop(struct pulse_ws_conn *conn);
/* The transport of a client's connection stands: asks for the upgrade. */
void pulse__ws_dialed(struct pulse_ws_conn *conn);
/* The answer's head is complete: opens, or fails. */
void pulse__ws_answered(struct pulse_ws_conn *conn);
/* Not to be opened, for this reason; tells on_fail when it is torn down. */
void pulse__ws_dial_fail(struct pulse_ws_conn *conn, int err);
/* Torn down before it was open. */
void pulse__ws_dial_over(struct pulse_ws_conn *conn);

/* upgrade.c */
/* All is agreed on; false: no memory. */
bool pulse__ws_opened(struct pulse_ws_conn *conn,
		      const struct pulse__ws_agreed *agreed);
/* The place of a name in the list of subprotocols, from 1; 0: not there. */
unsigned int pulse__ws_subprotocol(const struct pulse__ws_cfg *cfg,
				   const char *name, size_t len);
/* The head is complete: open, answer or refuse. */
void pulse__ws_upgrade(struct pulse_ws_conn *conn);
/* Nothing is against it: 101, and open; -ENOMEM. */
int pulse__ws_upgrade_go(struct pulse_ws_conn *conn);

/* defer.c; on the loop */
/* It is to be decided, or to be done as was decided. */
bool pulse__ws_is_deferred(const struct pulse_ws_conn *conn);
/*
 * Nothing comes of it: later decisions are told @err, and on_fail, with @status.
 * For any connection, before it leaves the state HEAD without being open.
 */
void pulse__ws_defer_over(struct pulse_ws_conn *conn, int err, int status);

struct pulse__ws_fit;

struct pulse_ws_request {
	const struct pulse__ws_head *head;
	const char *path;
	const char *query;	/* NULL: none */
	const struct pulse__ws_fit *fit;	/* route.c; or NULL */
};

/* http.c */
/* An answer with the status's own words, then the end. */
void pulse__ws_refuse(struct pulse_ws_conn *conn, int status);
/* ... with a text of the program's. */
void pulse__ws_refuse_with(struct pulse_ws_conn *conn, int status,
			   const char *text, size_t len);
/* All fields that are added to an answer at once, in bytes. */
#define PULSE__WS_REPLY_MAX	8192
/* May it be added to an answer? The log says why not. */
bool pulse__ws_field_ok(const char *name, const char *value);
/* Room for so many bytes more of lines that the answer has besides, or NULL. */
char *pulse__ws_reply_grow(struct pulse__ws_head *head, size_t len);
/* The end of an answer's head: what pulse_ws_http_field() has added. */
int pulse__ws_end_head(struct pulse_ws_conn *conn);
/*
 * Is there a body to be read? 0 no, or it has come; -EAGAIN it is awaited, and
 * pulse__ws_upgrade() called again with its last byte; an HTTP status.
 */
int pulse__ws_body_begin(struct pulse_ws_conn *conn);
/* Takes bytes of it, and how many; -ENOMEM. */
int64_t pulse__ws_body_feed(struct pulse__ws_head *head, const uint8_t *data,
			    size_t bytes);
/* A request without an upgrade. */
void pulse__ws_plain(struct pulse_ws_conn *conn,
		     const struct pulse_ws_request *request);

/* strand.c */
/* Runs on_message, or has it run by the pool. */
void pulse__ws_deliver(struct pulse_ws_conn *conn, int op, const void *data,
		       size_t len);
/* As pulse__ws_deliver() for a piece; enum pulse_ws_chunk. */
void pulse__ws_deliver_piece(struct pulse_ws_conn *conn, int op,
			     const void *data, size_t len, int piece);
/* on_close after all messages: false when the caller has to call it now. */
bool pulse__ws_strand_close(struct pulse_ws_conn *conn);
bool pulse__ws_strand_idle(const struct pulse_ws_conn *conn);
/* Whose handler the calling thread runs as a task; NULL on loops. */
extern __thread const struct pulse_ws_conn *pulse__ws_in_strand
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
/* There is room again, or the connection is not open any more. */
void pulse__ws_strand_resume(struct pulse_ws_conn *conn);
void pulse__ws_strand_free(struct pulse_ws_conn *conn);

#endif /* PULSE__WS_INT_H */

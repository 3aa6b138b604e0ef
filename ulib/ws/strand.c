// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * strand.c - handlers on a pool, one after another for each connection.
 *
 * The loop pushes copies of messages; whoever raises the count of unfinished
 * ones from 0 submits a task, and the task that lowers it to 0 is through, so
 * there is never more than one. What the task has taken off but not run is in
 * rest, which the count hands from one task to the next.
 *
 *	loop				task
 *	push onto in			run the oldest of rest (or of in)
 *	count++ was 0 ? submit  (A)	count-- was 1 ? through	(B)
 *
 * A and B are acq_rel: the next task sees rest as the one before left it.
 *
 * Back-pressure: the loop says that it has paused and looks at the weight
 * again; the task lowers the weight and then looks whether somebody paused
 * (all seq_cst, so one sees the other) and has the loop come back.
 *
 * The other way round, a task does not begin a message while too much is
 * unsent: its answer would be refused. It stalls: says so, looks again, and
 * leaves without lowering the count. The loop, once there is room or the
 * connection is no longer open, looks whether somebody stalled, and who takes
 * the flag back (the loop, or the task itself) goes on. Full barriers on both
 * sides; the flag hands rest over as the count does.
 */
#include "backend/backend.h"
#include "ws/ws_int.h"

#include <pulse-u/pool.h>

/* Messages that one task runs before others of the pool get their turn. */
#define BATCH	64

struct item {
	struct item *next;
	uint8_t op;		/* PULSE__WS_CLOSE: on_close */
	uint8_t piece;		/* enum pulse_ws_chunk */
	size_t len;
	uint8_t data[];
};

struct pulse__ws_strand {
	struct pulse_ws_conn *conn;
	struct item *in;		/* newest first */
	struct item *rest;		/* oldest first; the running task's */
	uint32_t count;
	uint32_t paused;		/* the loop waits for less weight */
	uint32_t stalled;		/* the task waits for room to send */
	uint32_t idle_wanted;		/* the loop waits for count 0 */
	uint32_t kicked;		/* the task below is posted */
	size_t weight;			/* bytes of unfinished items */
	struct pulse_poller_task kick;
	struct item close;
};

static size_t weight_of(const struct item *item)
{
	return sizeof(*item) + item->len;
}

__thread const struct pulse_ws_conn *pulse__ws_in_strand
	__attribute__((tls_model("initial-exec")));

static void run_strand(void *data);

/* ---- the loop's side ------------------------------------------------------ */

/* Light enough again, or empty: what was the loop waiting for? */
static void run_kick(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_strand *s = container_of(task, struct pulse__ws_strand,
						  kick);
	struct pulse_ws_conn *conn = s->conn;
	struct pulse__ws_loop *loop = pulse__ws_loop_of(conn);
	uint8_t state = pulse__ws_state(conn);

	/* It has moved, or is just arriving: after it. */
	if (unlikely(loop->poller != poller || conn->moving)) {
		if (pulse_poller_post_task(loop->poller, task))
			pulse_ws_put(conn);
		return;
	}
	__atomic_store_n(&s->kicked, 0, __ATOMIC_SEQ_CST);
	if (state != PULSE__WS_GONE) {
		if (!__atomic_load_n(&s->paused, __ATOMIC_SEQ_CST))
			conn->stop &= (uint8_t)~PULSE__WS_STOP_STRAND;
		if (conn->drain && state == PULSE__WS_OPEN)
			pulse__ws_conn_drain(conn);
		pulse__ws_mark_dirty(conn);
	}
	pulse_ws_put(conn);
}

static void kick(struct pulse__ws_strand *s)
{
	if (__atomic_exchange_n(&s->kicked, 1, __ATOMIC_SEQ_CST))
		return;
	pulse_ws_get(s->conn);
	if (pulse_poller_post_task(pulse__ws_loop_of(s->conn)->poller, &s->kick))
		pulse_ws_put(s->conn);	/* the loop has ended */
}

static struct pulse__ws_strand *strand_of(struct pulse_ws_conn *conn)
{
	struct pulse__ws_strand *s = conn->strand;

	if (s)
		return s;
	s = pulse__calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->conn = conn;
	s->kick.fn = run_kick;
	s->close.op = PULSE__WS_CLOSE;
	conn->strand = s;
	return s;
}

static void push(struct pulse__ws_strand *s, struct item *item)
{
	struct pulse_ws_conn *conn = s->conn;
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	size_t weight;

	weight = __atomic_add_fetch(&s->weight, weight_of(item),
				    __ATOMIC_SEQ_CST);
	item->next = READ_ONCE(s->in);
	while (!pulse__cas(&s->in, &item->next, item, __ATOMIC_RELEASE,
			   __ATOMIC_RELAXED))
		;
	/* (A) */
	if (!__atomic_fetch_add(&s->count, 1, __ATOMIC_ACQ_REL)) {
		pulse_ws_get(conn);
		__atomic_fetch_add(&conn->loop->server->strands, 1,
				   __ATOMIC_SEQ_CST);
		/* A full pool: the loop does it, which slows the peers down. */
		if (pulse_pool_submit(cfg->pool, run_strand, s))
			run_strand(s);
	}
	if (likely(weight < cfg->high))
		return;
	conn->stop |= PULSE__WS_STOP_STRAND;
	__atomic_store_n(&s->paused, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&s->weight, __ATOMIC_SEQ_CST) <= cfg->low &&
	    __atomic_exchange_n(&s->paused, 0, __ATOMIC_SEQ_CST))
		conn->stop &= (uint8_t)~PULSE__WS_STOP_STRAND;
}

static PULSE__NOINLINE void deliver_to_pool(struct pulse_ws_conn *conn, int op,
					    const void *data, size_t len,
					    int piece)
{
	struct pulse__ws_strand *s = strand_of(conn);
	struct item *item = s ? pulse__malloc(sizeof(*item) + len) : NULL;

	if (!item) {
		pulse__ws_fail(conn, PULSE_WS_INTERNAL_ERROR, "out of memory");
		return;
	}
	item->op = (uint8_t)op;
	item->piece = (uint8_t)piece;
	item->len = len;
	if (len)
		memcpy(item->data, data, len);
	push(s, item);
}

void pulse__ws_deliver(struct pulse_ws_conn *conn, int op, const void *data,
		       size_t len)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (unlikely(!cfg->h.on_message))	/* and so it is with on_chunk */
		pulse__ws_deliver_piece(conn, op, data, len,
					PULSE_WS_CHUNK_BEGIN |
					PULSE_WS_CHUNK_END);
	else if (likely(!cfg->pool))
		cfg->h.on_message(conn, op, data, len, cfg->arg);
	else
		deliver_to_pool(conn, op, data, len, 0);
}

void pulse__ws_deliver_piece(struct pulse_ws_conn *conn, int op,
			     const void *data, size_t len, int piece)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (!cfg->h.on_chunk)
		return;
	if (!cfg->pool)
		cfg->h.on_chunk(conn, op, data, len, piece, cfg->arg);
	else
		deliver_to_pool(conn, op, data, len, piece);
}

bool pulse__ws_strand_close(struct pulse_ws_conn *conn)
{
	/* No message has come: there is nothing that it could overtake. */
	if (!conn->strand)
		return false;
	push(conn->strand, &conn->strand->close);
	return true;
}

bool pulse__ws_strand_idle(const struct pulse_ws_conn *conn)
{
	struct pulse__ws_strand *s = conn->strand;

	if (!s || !__atomic_load_n(&s->count, __ATOMIC_SEQ_CST))
		return true;
	/* pairs with through(): said before the count is read again */
	__atomic_store_n(&s->idle_wanted, 1, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&s->count, __ATOMIC_SEQ_CST);
}

void pulse__ws_strand_resume(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse__ws_strand *s = conn->strand;

	if (likely(!s))
		return;
	/* What was lowered, or the state, before stalled; see stall(). */
	pulse__full_barrier();
	if (likely(!__atomic_load_n(&s->stalled, __ATOMIC_SEQ_CST)))
		return;
	if (pulse__ws_state(conn) == PULSE__WS_OPEN &&
	    pulse_ws_conn_queued(conn) > pulse__ws_low(conn))
		return;
	if (__atomic_exchange_n(&s->stalled, 0, __ATOMIC_SEQ_CST) &&
	    pulse_pool_submit(cfg->pool, run_strand, s))
		run_strand(s);
}

void pulse__ws_strand_free(struct pulse_ws_conn *conn)
{
	pulse__free(conn->strand);
}

/* ---- the task's side ------------------------------------------------------ */

static struct item *take(struct pulse__ws_strand *s)
{
	struct item *item = s->rest;

	if (!item) {
		/* pairs with push(): the items' content */
		struct item *newest = __atomic_exchange_n(&s->in, NULL,
							  __ATOMIC_ACQUIRE);

		while (newest) {
			struct item *next = newest->next;

			newest->next = item;
			item = newest;
			newest = next;
		}
	}
	s->rest = item->next;
	return item;
}

static void run_item(struct pulse_ws_conn *conn, const struct item *item)
{
	const struct pulse__ws_cfg *cfg = pulse__ws_loop_of(conn)->cfg;
	const char *reason;

	if (item->op != PULSE__WS_CLOSE && cfg->h.on_chunk) {
		cfg->h.on_chunk(conn, item->op, item->data, item->len,
				item->piece, cfg->arg);
	} else if (item->op != PULSE__WS_CLOSE) {
		cfg->h.on_message(conn, item->op, item->data, item->len,
				  cfg->arg);
	} else {	/* only now it is not the loop's any more */
		reason = conn->close_reason;
		cfg->h.on_close(conn, conn->close_code, reason ? reason : "",
				reason ? strlen(reason) : 0, cfg->arg);
	}
}

/* The last one is run; the strand may have its next task already. */
static void through(struct pulse__ws_strand *s)
{
	struct pulse_ws_conn *conn = s->conn;
	struct pulse_ws_server *server = pulse__ws_loop_of(conn)->server;

	/* pairs with pulse__ws_strand_idle(): the count was lowered before */
	if (__atomic_exchange_n(&s->idle_wanted, 0, __ATOMIC_SEQ_CST))
		kick(s);
	/* The server lasts as long as its connections. */
	__atomic_fetch_add(&server->refs, 1, __ATOMIC_RELAXED);
	pulse_ws_put(conn);
	__atomic_fetch_sub(&server->strands, 1, __ATOMIC_SEQ_CST);
	pulse__ws_tell(server);
	pulse__ws_server_put(server);
}

/* True: no room for an answer; this task is over, another will go on. */
static PULSE__NOINLINE bool stall(struct pulse__ws_strand *s)
{
	struct pulse_ws_conn *conn = pulse_ws_get(s->conn);
	bool over = true;

	__atomic_store_n(&s->stalled, 1, __ATOMIC_SEQ_CST);
	/* Pairs with the barrier in pulse__ws_strand_resume(). */
	pulse__full_barrier();
	if (pulse__ws_state(conn) != PULSE__WS_OPEN ||
	    pulse_ws_conn_queued(conn) <= pulse__ws_low(conn))
		over = !__atomic_exchange_n(&s->stalled, 0, __ATOMIC_SEQ_CST);
	/* Where the other is through already, the last one that knew of it. */
	pulse_ws_put(conn);
	return over;
}

static void run_strand(void *data)
{
	struct pulse__ws_strand *s = data;
	const struct pulse__ws_cfg *cfg = pulse__ws_loop_of(s->conn)->cfg;

	for (int i = 1;; i++) {
		struct item *item;
		size_t weight, mine;

		if (unlikely(pulse_ws_conn_queued(s->conn) >=
			     pulse__ws_high(s->conn)) &&
		    pulse__ws_state(s->conn) == PULSE__WS_OPEN && stall(s))
			return;
		item = take(s);
		mine = weight_of(item);
		pulse__ws_in_strand = s->conn;
		run_item(s->conn, item);
		pulse__ws_in_strand = NULL;
		if (item != &s->close)
			pulse__free(item);
		weight = __atomic_sub_fetch(&s->weight, mine, __ATOMIC_SEQ_CST);
		if (unlikely(__atomic_load_n(&s->paused, __ATOMIC_SEQ_CST)) &&
		    weight <= READ_ONCE(cfg->low) &&
		    __atomic_exchange_n(&s->paused, 0, __ATOMIC_SEQ_CST))
			kick(s);
		/* (B) */
		if (__atomic_fetch_sub(&s->count, 1, __ATOMIC_ACQ_REL) == 1) {
			through(s);
			return;
		}
		if (!(i % BATCH) && !pulse_pool_submit(cfg->pool, run_strand, s))
			return;
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * bus.h - the inside of a bus.
 *
 * Who writes what
 *	bus->lock	buckets, wild, subs, and which matches are remembered
 *	sub->lock	a subscription's queue, state and counts; the filter is
 *			called under it, so that it is not called any more once
 *			the state is GONE
 *	bus->run_lock	ready, active, due, the asynchronous ring
 * Lock order: bus->lock, sub->lock, run_lock. None is held while a handler runs
 * or a publisher waits.
 *
 * A publisher looks up the *match* of a type (all subscriptions it goes to; a
 * reference to each) under bus->lock, and walks it without. Who subscribes or
 * unsubscribes makes the bus forget the matches concerned; a publisher that
 * still walks an old one finds a subscription that is gone in state GONE.
 *
 * References: of a bus: its handle, each subscription, each runner that is
 * due. Of a subscription: its handle, each match, being scheduled.
 *
 * Closing: publishers count themselves in, then look at the state; who closes
 * moves the state to CLOSING, then looks at the count. All four are seq_cst, so
 * one of them sees the other. Whoever sees CLOSING and nobody inside moves it
 * to ENDED: only then are receivers told that nothing more will come.
 */
#ifndef PULSE__BUS_H
#define PULSE__BUS_H

#include <pthread.h>

#include <pulse-u/bus.h>
#include <pulse-u/timer.h>

#include "base/list.h"

#define PULSE__BUS_MAGIC	0x53554250U	/* "PBUS" */
#define PULSE__BUS_BUCKETS	1024U
#define PULSE__BUS_MATCHES	4096U	/* remembered at most */
#define PULSE__BUS_FIRST	8U	/* slots of a queue to begin with */
#define PULSE__BUS_BATCH	64U	/* calls of a handler in a row */
#define PULSE__BUS_CELLS	16U
#define PULSE__BUS_SIZE_MAX	(1U << 20)

struct pulse__meta {
	struct pulse__meta *next;
	char *value;		/* behind the key */
	char key[];
};

struct pulse_bus_event {
	uint32_t refs;
	uint32_t hash;		/* of the type */
	uint64_t id;
	int64_t time_ns;
	const char *type, *source, *trace_id;
	char *own_trace;	/* came later, on its own; or NULL */
	void *payload;
	size_t bytes;
	void (*payload_free)(void *payload);
	struct pulse__meta *meta;
	bool published;		/* once set, nobody writes */
	/* Bytes that were copied follow. */
	char data[] PULSE__ALIGNED(16);
};

enum pulse__sub_state {
	PULSE__SUB_LIVE,
	PULSE__SUB_CUT,		/* was slow */
	PULSE__SUB_ENDED,	/* the bus closed */
	PULSE__SUB_GONE,	/* unsubscribed */
};

/* One type or pattern of a subscription. */
struct pulse__want {
	struct pulse__list link;	/* in its topic, or bus->wild */
	struct pulse_bus_sub *sub;
	struct pulse__topic *topic;	/* NULL: a pattern */
	const char *pattern;
};

struct pulse_bus_sub {
	pthread_mutex_t lock;
	uint32_t refs;
	uint32_t fork_gen;
	uint32_t state;		/* enum; written under the lock */
	uint32_t policy;
	/* The queue: slots grow up to what holds limit events. */
	struct pulse_bus_event **slot;
	uint32_t room, head, nr, limit;
	uint32_t seq, waiters;	/* futex word; whoever waits for a change */
	uint32_t spun_for_nothing, sleeps;
	bool scheduled;		/* in ready, or a runner has it */
	bool running;		/* in the handler */
	bool end_called;
	bool folded;		/* its counts are the bus's now */
	int64_t block_ns;	/* 0: the bus's */
	pulse_bus_handler_fn handler;
	pulse_bus_filter_fn filter;
	void (*on_end)(void *arg);
	void *arg;
	struct pulse_bus *bus;
	/*
	 * Of who made it scheduled, until it is in bus->ready (queued); from
	 * then on under run_lock.
	 */
	struct pulse__list ready;
	bool queued;
	struct pulse__list all;		/* bus->lock */
	uint64_t mark;			/* bus->lock; is in the match being made */
	uint64_t delivered, consumed, dropped, filtered, timeouts;
	uint32_t most;
	uint32_t nr_wants;
	struct pulse__want want[];
};

struct pulse__topic {
	struct pulse__topic *next;
	struct pulse__list wants;
	uint32_t hash;
	uint32_t nr;
	char type[];
};

struct pulse__match {
	struct pulse__match *next;
	uint32_t refs;
	uint32_t hash;
	uint64_t wild_gen;
	bool used;		/* since the last cleanup */
	uint32_t nr;
	const char *type;	/* behind the array */
	struct pulse_bus_sub *sub[];
};

struct pulse__bucket {
	struct pulse__topic *topics;
	struct pulse__match *matches;
	uint32_t wants;		/* under the lock; publishers look without */
};

enum pulse__bus_state {
	PULSE__BUS_OPEN,
	PULSE__BUS_CLOSING,
	PULSE__BUS_ENDED,
};

struct pulse__bus_cell {
	uint64_t heard;
	uint64_t unheard;
} PULSE__ALIGNED(PULSE_CACHE_LINE);

struct pulse_bus {
	/* constant, or seldom written */
	uint32_t magic;
	uint32_t fork_gen;
	uint32_t refs;
	uint32_t state;		/* futex word of who closes */
	uint32_t nr_wild;	/* under the lock; publishers look without */
	uint32_t buffer_size, max_subscribers, policy, num_workers, async_size;
	int64_t publish_timeout_ns;
	struct pulse_pool *pool;	/* made under the lock, then constant */
	bool own_pool;
	struct pulse_timer_service *timers;	/* or NULL */
	struct pulse_timer cleanup, retry;

	uint32_t publishing PULSE__PAIR_ALIGNED;

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;
	uint64_t wild_gen, marks;
	uint32_t nr_subs, nr_matches;
	struct pulse__list wild, subs;
	/* Of those who are gone. */
	struct pulse_bus_sub_stats gone;
	uint64_t disconnected;

	pthread_mutex_t run_lock PULSE__PAIR_ALIGNED;
	struct pulse__list ready;
	struct pulse__list async_ready;	/* its place in ready */
	bool async_scheduled;
	uint32_t active, due, max_runners;
	uint32_t idle_seq;		/* futex word; moves when active goes to 0 */
	struct pulse_bus_event **async;
	uint32_t async_room, async_head, async_nr;
	uint64_t async_lost;		/* no memory */

	struct pulse__bus_cell cell[PULSE__BUS_CELLS];
	struct pulse__bucket bucket[PULSE__BUS_BUCKETS];
};

/* ---- topic.c -------------------------------------------------------------- */

uint32_t pulse__topic_hash(const char *type);
/* 0: a type; 1: a pattern; -EINVAL. */
int pulse__topic_check(const char *type);
bool pulse__topic_match(const char *pattern, const char *type);

/* ---- match.c -------------------------------------------------------------- */

static inline struct pulse__bucket *pulse__bucket(struct pulse_bus *bus,
						  uint32_t hash)
{
	return &bus->bucket[hash & (PULSE__BUS_BUCKETS - 1)];
}

/* A reference, or NULL: no memory. */
struct pulse__match *pulse__match_get(struct pulse_bus *bus,
				      const struct pulse_bus_event *ev);
void pulse__match_put(struct pulse__match *m);
/* All under the lock. Adds all wants of a subscription. 0 or -ENOMEM. */
int pulse__wants_add(struct pulse_bus *bus, struct pulse_bus_sub *sub);
/* The first @nr of them. */
void pulse__wants_del(struct pulse_bus *bus, struct pulse_bus_sub *sub,
		      uint32_t nr);
/* Forgets matches; @all, or those not used since the last time. How many. */
int pulse__matches_drop(struct pulse_bus *bus, bool all);

/* ---- publish.c ------------------------------------------------------------ */

int pulse__bus_check(const struct pulse_bus *bus);
/* In place of a deadline: as subscriber and bus say. */
#define PULSE__BUS_OWN_TIME	INT64_MIN

/* Whether the bus is closed or not. */
int pulse__publish(struct pulse_bus *bus, struct pulse_bus_event *ev,
		   int64_t deadline_ns);
/* May one publish? Then counted in until _leave. 0 or -ESHUTDOWN. */
int pulse__publish_enter(struct pulse_bus *bus);
void pulse__publish_leave(struct pulse_bus *bus);

/* ---- run.c ---------------------------------------------------------------- */

/* A thread inside a handler. */
struct pulse__bus_frame {
	const struct pulse_bus *bus;
	const struct pulse_bus_sub *sub;
	struct pulse__bus_frame *prev;
};

extern __thread struct pulse__bus_frame *pulse__bus_inside
	__attribute__((tls_model("initial-exec")));

/* Is the calling thread inside a handler of the bus (@sub: this one's)? */
bool pulse__bus_is_inside(const struct pulse_bus *bus,
			  const struct pulse_bus_sub *sub);
/* The pool, made if need be. 0 or as pulse_pool_create(). */
int pulse__bus_need_pool(struct pulse_bus *bus);
/* Subscriptions that have something to run; empties the list. */
void pulse__bus_schedule(struct pulse_bus *bus, struct pulse__list *subs);
/* Takes one that waits for a runner and runs it here. */
bool pulse__bus_help(struct pulse_bus *bus, struct pulse_bus_sub *sub);
/* Runs all that is ready, and waits for those inside. */
void pulse__bus_run_out(struct pulse_bus *bus);
/* Publishes here what waits to be published asynchronously. */
void pulse__bus_help_async(struct pulse_bus *bus);
int pulse__bus_async(struct pulse_bus *bus, struct pulse_bus_event *ev);
void pulse__bus_retry(struct pulse_timer *timer, void *arg);

/* ---- sub.c ---------------------------------------------------------------- */

void pulse__sub_put(struct pulse_bus_sub *sub);
/* Under its lock: somebody waits for a change; wake them. */
void pulse__sub_wake(struct pulse_bus_sub *sub);
/* The same in two steps: under the lock; where it says so, after it. */
bool pulse__sub_call(struct pulse_bus_sub *sub);
void pulse__sub_called(struct pulse_bus_sub *sub);
/* Under its lock, which is let go meanwhile. False: the time is over. */
bool pulse__sub_sleep(struct pulse_bus_sub *sub, int64_t deadline_ns);
/* Up to @nr events out of the queue, under its lock. */
uint32_t pulse__sub_take(struct pulse_bus_sub *sub,
			 struct pulse_bus_event **out, uint32_t nr);
/* Under its lock: its last call is over. True: on_end is to be called. */
bool pulse__sub_over(struct pulse_bus_sub *sub);

/* ---- bus.c ---------------------------------------------------------------- */

void pulse__bus_put(struct pulse_bus *bus);

#endif /* PULSE__BUS_H */

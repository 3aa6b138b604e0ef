/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * actor.h - the inside of a system of actors.
 *
 * Actors lie in chunks that are never given back while the system lives, so a
 * stale reference leads to memory that is an actor, if another one: each message
 * names its target, and who finds another's message in its mailbox drops it.
 *
 * The mailbox is one word, inbox:
 *	REST	nobody runs the actor and there is nothing; who puts a message in
 *		place of it sees to it that somebody does
 *	a list	of messages, newest first, or 0: somebody runs it; that one takes
 *		all of them with one exchange and turns them around
 *	... | QUEUED	nobody runs it, but it is in the pool's queues, a worker's
 *		slot or queue, a thread's list or the overflow: who takes the
 *		bit away, and with it the messages, runs it
 *	... | QUEUED | KEPT	likewise, but it has older messages in local
 *	CLOSED	there is no actor
 * Senders write with a compare-exchange (release; pairs with the runner's
 * exchange, acquire). A place where a waiting actor is found without QUEUED
 * forgets it. So a caller may run the actor it waits for, an actor may stand in
 * several places, and what is left of it in them comes to nothing.
 * spin: actor_inbox.
 *
 * An actor that is muted has waits set and is in no queue: nobody runs it until
 * the one that muted it lets it go.
 *
 * stop is a flag beside the mailbox, so that stopping takes no memory:
 *	who stops			the runner
 *	stop = reason			inbox: 0 -> REST
 *	inbox: REST -> 0, then	(A)	stop set?		(B)
 *	it runs it			inbox: REST -> 0, then it goes on
 * All of these are seq_cst: A or B sees what the other one did before it.
 *
 * urgent is a second list beside the mailbox, newest first, CLOSED where there is
 * no actor; who puts a message there does then as who sets stop, and B looks at
 * both. The runner takes all of it when none of the last lot is left, and puts it
 * before what is in local, marked AHEAD; some of that goes in between.
 *
 * A worker of the pool has a slot for one actor that it runs next, without the
 * pool: an actor that is sent to while another runs, which finds its message in
 * the cache. Those that had to make room, or have spent their budget, wait in
 * its queue, which others steal from: queue.c.
 *
 * An actor whose turn was spent on many short messages to actors that another
 * worker runs goes there: a message to another CPU costs as much as several to
 * one's own. It is a gift to that worker: queue.c.
 *
 * Locks: type->lock, sys->lock, bin->lock, sys->bonds, sys->over_lock,
 * thread->lock: none inside another, but sys->lock inside a bin's; and none while
 * something goes to the pool (in whose deterministic mode that may let another
 * worker go on).
 */
#ifndef PULSE__ACTOR_H
#define PULSE__ACTOR_H

#include <pthread.h>

#include <pulse-u/actor_handle.h>
#include <pulse-u/memory.h>
#include <pulse-u/pool.h>
#include <pulse-u/timer.h>

#include "base/list.h"
#include "lockfree/deque_inline.h"

#define PULSE__ACTORS_MAGIC	0x52544341U	/* "ACTR" */
#define PULSE__CHUNK_SHIFT	10
#define PULSE__CHUNK		(1U << PULSE__CHUNK_SHIFT)
#define PULSE__ACTORS_MAX	(1U << 24)
#define PULSE__ACTOR_THREADS	256
#define PULSE__ACTOR_BUDGET	64U
#define PULSE__ACTOR_GIFTS	32U
/* Free places that a bin holds at most; go in and out at once; are fetched ahead. */
#define PULSE__BIN		64U
#define PULSE__BIN_BATCH	32U
#define PULSE__BIN_AHEAD	2U
#define PULSE__ACTOR_BINS	8U
#define PULSE__PLACE_NONE	UINT32_MAX
/* Who has sent messages to another worker in less than that each goes there. */
#define PULSE__FOLLOW_NS	300
#define PULSE__ACTOR_MORE_NS	(200 * PULSE__NSEC_PER_USEC)

#define PULSE__INBOX_REST	((uintptr_t)1)
#define PULSE__INBOX_CLOSED	((uintptr_t)2)
#define PULSE__INBOX_QUEUED	((uintptr_t)4)
#define PULSE__INBOX_KEPT	((uintptr_t)8)
#define PULSE__URGENT_CLOSED	((struct pulse__amsg *)PULSE__INBOX_CLOSED)
/* So many urgent ones in a row overtake those that wait. */
#define PULSE__URGENT_ROW	8U
#define PULSE__BECOME_MAX	32
#define PULSE__INBOX_LIST(word)	((struct pulse__amsg *)((word) & ~(uintptr_t)15))

/*
 * Bytes of data that two of the slabs have room for; the third, tiny, has none: a
 * message that is a tag alone is one cache line.
 */
#define PULSE__MSG_SMALL	64U
#define PULSE__MSG_MIDDLE	192U
/* Of each of the two small kinds a worker keeps so many for its next ones. */
#define PULSE__MSG_SPARE	2048U

#define PULSE__AMSG_COUNTED	1U	/* in queued */
#define PULSE__AMSG_AHEAD	2U	/* before what is not */

struct pulse__amsg {
	struct pulse__amsg *next;
	uint64_t target;
	struct pulse__acall *call;	/* a reference, or NULL */
	struct pulse_actor_msg view;	/* reserved: PULSE__AMSG_* */
	char data[];
};

struct pulse__acall {
	uint32_t refs;
	uint32_t state;		/* futex word, enum in call.c */
	uint32_t sleeping;
	int err;
	void *buf;		/* the caller's, while state is not GIVEN_UP */
	size_t room, bytes;
	/* In place of all that: the end of a message from another process. */
	void (*answered)(struct pulse__acall *call, int err, const void *data,
			 size_t bytes);
};

/* Memory of pulse_actor_alloc(). */
struct pulse__amem {
	struct pulse__list link;
	size_t bytes;
} PULSE__ALIGNED(16);

/* What an actor was before it became something else. */
struct pulse__abehave {
	struct pulse__abehave *under;
	pulse_actor_fn receive;
};

struct pulse__atype;
struct pulse__athread;
struct pulse_child;

struct pulse_actor {
	/* Senders write; of the rest they read what does not change. */
	uintptr_t inbox;
	uint16_t waits;		/* muted */
	uint16_t home;		/* number + 1 of the worker that ran it last; or 0 */
	uint32_t queued;	/* where the type counts */
	uint64_t ref;		/* of the one that is here; 0 none */
	struct pulse_actor *muted;	/* those that wait for this one to empty */
	struct pulse_actors *sys;
	struct pulse__atype *type;
	struct pulse__athread *thread;	/* or NULL: the pool */
	struct pulse_actor *next;	/* thread's list, or overflow */

	/* Whoever runs it: another line, which senders leave alone. */
	struct pulse__amsg *local;	/* oldest first */
	struct pulse__amsg *now;	/* in its handler; NULL: nothing, or stashed */
	uint64_t stop;		/* PULSE__STOP(); anybody writes, once */
	struct pulse__amsg *urgent;	/* anybody writes */
	pulse_actor_fn receive;		/* the type's, or what it became */
	void *state;
	uint64_t handled;
	struct pulse_actor *mute_on;	/* to be muted after this message */
	/* ... and no more of this line for each message. */
	void (*destroy)(void *state);
	struct pulse__list mem;
	size_t mem_bytes;
	struct pulse_actor *mute_next;	/* in its muted */
	struct pulse__atimeout *timeout;
	struct pulse_child *child;	/* to be told of its end, or NULL */
	uint64_t calling;	/* whom it waits for; anybody reads */
	struct pulse__abehave *under;

	struct pulse__list bonds;	/* sys->bonds */
	uint32_t place;			/* in type->ref, or NONE; type->lock */
	uint32_t number;		/* in the table; constant */
	uint32_t generation;
	int32_t node;
	uint32_t stashed;
	uint16_t overtook_at;		/* low bits of handled, after the last lot */
	uint16_t overtook;		/* ... whose last so many were urgent */
	struct pulse__amsg *stash;	/* newest first */
	bool batch;			/* in receive_batch, which has the head of local */
	bool listed;			/* by next; that list's lock */
	bool begun;			/* to be found by its type: type.c */
	uint8_t ending, bonded;		/* bond.c */
} PULSE__ALIGNED(PULSE_CACHE_LINE);

#define PULSE__ASPAWN_VER0	pulse__size_to(struct pulse_actor_opts, link)

/* Of the incarnation that has this reference, and of no other. */
#define PULSE__STOP(ref, reason) \
	(((ref) & ~(uint64_t)UINT32_MAX) | (uint32_t)(reason))
#define PULSE__STOP_REASON(word) ((int)(uint32_t)(word))

struct pulse__atype {
	struct pulse__atype *next;	/* written once */
	struct pulse_actor_type opts;
	char *name;
	bool counts;			/* queued is kept */
	bool indexed;			/* somebody asked for them: see type.c */
	bool whole;			/* ... and all are in ref; lock */
	pthread_mutex_t lock;
	uint64_t *ref;			/* instances, once indexed */
	uint32_t nr, room;
	uint64_t turn;
};

/* Free places of the table, of one worker or a share of the others: table.c. */
struct pulse__abin {
	pthread_mutex_t lock PULSE__PAIR_ALIGNED;
	uint32_t nr;
	uint64_t spawned, ended;	/* by way of this one */
	uint32_t number[PULSE__BIN];
};

/* A thread of the system. */
struct pulse__athread {
	pthread_mutex_t lock;
	struct pulse_actors *sys;
	struct pulse_actor *first, **last;
	uint32_t seq;			/* futex word */
	uint32_t asleep, stop;
	int number, cpu;
	char name[16];
	pthread_t thread;
	uint64_t handled;
};

/* One of the pool's workers; who writes what: queue.c. */
struct pulse__arunner {
	struct pulse__deque queue;	/* it pushes, anybody steals */
	uint32_t asked PULSE__PAIR_ALIGNED;	/* anybody exchanges */

	/* It alone writes, the timer reads. */
	struct pulse_actor *slot PULSE__PAIR_ALIGNED;
	uint32_t depth;			/* tasks of ours it is inside */
	uint32_t turns;			/* actors it began */
	uint64_t handled;

	/* Nobody else's business. */
	struct pulse_actors *sys;	/* constant */
	struct pulse__amsg *spare[2];	/* tiny, small */
	uint32_t nr_spare[2];
	bool watched;			/* the timer is told of this task */
	bool coarse;			/* others waited long the last time */
	uint16_t home;			/* constant */
	uint16_t abroad_to;		/* home of whom it last sent to, elsewhere */
	uint32_t abroad;		/* messages elsewhere in this turn */
	int64_t abroad_since;		/* when one that had many ended */
	uint64_t mark;			/* what stood in the queue then ... */
	int64_t since;			/* ... when nobody else had work */

	/* The timer's. */
	uint32_t seen;			/* of turns */
	uint64_t stood;			/* how far the queue reached */
	struct pulse_actor *given;	/* of slot */

	struct pulse__abin bin;

	/* Anybody fills what is NULL, anybody empties. */
	struct pulse_actor *gift[PULSE__ACTOR_GIFTS] PULSE__PAIR_ALIGNED;
	uint32_t gifts;			/* filled; seq_cst */
	uint32_t gift_at;		/* where the next one is put */
} PULSE__PAIR_ALIGNED;

struct pulse_actors {
	/* constant */
	uint32_t magic;
	uint32_t fork_gen;
	struct pulse_pool *pool;
	bool own_pool;
	bool det;			/* no slots: the seed draws */
	bool asym;			/* light barriers do */
	bool many_nodes;		/* the machine has */
	uint32_t max_actors;
	uint32_t nr_runners;
	int64_t follow_ns;
	struct pulse__arunner *runner;
	struct pulse_slab *tiny, *small, *middle;
	struct pulse_timer_service *timers;
	pulse_actor_trace_fn trace;
	void *trace_arg;

	struct pulse__atype *types;	/* only grows; release, acquire */
	uint32_t stopping;
	uint32_t ticking;
	struct pulse_timer tick;
	struct pulse_actor *chunk[PULSE__ACTORS_MAX / PULSE__CHUNK];

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;	/* table, types, threads */
	uint32_t *free;			/* numbers of places that no bin has */
	uint32_t nr_free, free_room;
	uint32_t used;			/* numbers given out ever, to bins */
	uint32_t nr;			/* alive, while stopping; futex word */
	uint32_t nr_threads;
	struct pulse__athread *thread[PULSE__ACTOR_THREADS];

	struct pulse__abin bin[PULSE__ACTOR_BINS];	/* of no worker */

	pthread_mutex_t bonds;
	struct pulse__list atimers;	/* bonds: all of pulse_actor_send_at() */
	uint64_t monitors;		/* numbers of them */

	pthread_mutex_t over_lock PULSE__PAIR_ALIGNED;
	struct pulse_actor *over, **over_last;	/* the pool was full */
	uint32_t nr_over;		/* read without */

	uint64_t tasks;			/* in a pool of others' */
	uint64_t dead_letters, muted, rescued;
};

extern __thread struct pulse_actor *pulse__actor_self
	__attribute__((tls_model("initial-exec")));
/* The worker's, inside a task of a system's. */
extern __thread struct pulse__arunner *pulse__actor_runner
	__attribute__((tls_model("initial-exec")));

static inline int pulse__actors_check(const struct pulse_actors *sys)
{
	if (unlikely(!sys))
		return -EINVAL;
	pulse__obj_check(sys, PULSE__ACTORS_MAGIC, "struct pulse_actors");
	return pulse__forked(sys->fork_gen) ? -EOWNERDEAD : 0;
}

/* The place of a reference, whoever is there; NULL there is none such. */
static inline struct pulse_actor *pulse__actor_at(struct pulse_actors *sys,
						  uint64_t ref)
{
	uint32_t n = (uint32_t)ref;
	struct pulse_actor *chunk;

	if (unlikely(n >= PULSE__ACTORS_MAX))
		return NULL;
	/* pairs with spawn.c:pulse__actor_take */
	chunk = pulse__load_acquire(&sys->chunk[n >> PULSE__CHUNK_SHIFT]);
	return likely(chunk) ? &chunk[n & (PULSE__CHUNK - 1)] : NULL;
}

/* Likewise, but only where it is alive. */
static inline struct pulse_actor *pulse__actor_of(struct pulse_actors *sys,
						  uint64_t ref)
{
	struct pulse_actor *a = pulse__actor_at(sys, ref);

	/* pairs with the release in spawn.c */
	return a && ref && pulse__load_acquire(&a->ref) == ref ? a : NULL;
}

/* The calling worker's, where it is inside a task of this system; or NULL. */
static inline struct pulse__arunner *pulse__arunner_self(struct pulse_actors *sys)
{
	struct pulse__arunner *r = pulse__actor_runner;

	return r && r->sys == sys ? r : NULL;
}

/* The sender of what the calling thread sends. */
static inline uint64_t pulse__actor_from(const struct pulse_actors *sys)
{
	const struct pulse_actor *self = pulse__actor_self;

	return self && self->sys == sys ? self->ref : PULSE_ACTOR_NONE;
}

/* ---- send.c ---------------------------------------------------------------- */

/* A message with a copy of @data. 0; -ENOMEM; -EMSGSIZE; -EINVAL. */
int pulse__amsg_new(struct pulse_actors *sys, uint64_t target, int kind,
		    uint64_t tag, const void *data, size_t bytes,
		    struct pulse__amsg **out);
/* Gives it back; a call in it that nobody answered gets @err. */
void pulse__amsg_free(struct pulse_actors *sys, struct pulse__amsg *m, int err);
/* Into the mailbox of its target. 0 or -ESRCH: it is still the caller's. */
int pulse__amsg_push(struct pulse_actors *sys, struct pulse_actor *a,
		     struct pulse__amsg *m);
/* Likewise a DOWN or an EXIT; ahead of others where the type wants it so. */
int pulse__amsg_signal(struct pulse_actor *a, struct pulse__amsg *m);
/* As pulse_actor_send(), of any kind and with a call. */
int pulse__actor_post(struct pulse_actors *sys, uint64_t ref,
		      struct pulse__acall *call, uint64_t tag,
		      const void *data, size_t bytes);
/* As pulse_actor_send_urgent(), likewise. */
int pulse__actor_post_urgent(struct pulse_actors *sys, uint64_t ref,
			     struct pulse__acall *call, uint64_t tag,
			     const void *data, size_t bytes);

/* Does this word of stop mean the incarnation @ref? */
static inline bool pulse__actor_stopped(uint64_t stop, uint64_t ref)
{
	return stop >> 32 == ref >> 32;
}

/*
 * Somebody stops the one that is, or was, here by the reference @ref, or has
 * something urgent for whoever is. A and B: see the head.
 */
static inline bool pulse__actor_wanted(struct pulse_actor *a, uint64_t ref)
{
	return pulse__actor_stopped(__atomic_load_n(&a->stop, __ATOMIC_SEQ_CST),
				    ref) ||
	       __atomic_load_n(&a->urgent, __ATOMIC_SEQ_CST);
}

/* ---- call.c ---------------------------------------------------------------- */

/* Sets its end and gives a reference back. 0 or -ECANCELED. */
int pulse__acall_end(struct pulse_actors *sys, struct pulse__acall *call,
		     int err, const void *data, size_t bytes);

/* ---- queue.c --------------------------------------------------------------- */

/* An actor that is QUEUED: to where it will be run. @fair: behind all others. */
void pulse__actor_place(struct pulse_actor *a, bool fair);
/* Its turn is over, of the worker that ran it: to where most of it went to. */
bool pulse__arunner_follow(struct pulse__arunner *r, struct pulse_actor *a);
/* What the worker runs next, after so many; NULL: its task is to end. */
struct pulse_actor *pulse__arunner_next(struct pulse__arunner *r, uint32_t hops,
					int64_t *until);
/* Some of what waits at another one; NULL: none. */
struct pulse_actor *pulse__arunner_steal(struct pulse__arunner *r,
					 struct pulse__arunner *from);
/* Its task ended: somebody comes for what is left. */
void pulse__arunner_leave(struct pulse__arunner *r);
/* It ends and must not stay in a list. */
void pulse__actor_unlist(struct pulse_actor *a);
void pulse__actors_tick(struct pulse_timer *timer, void *sys);

/* ---- run.c ----------------------------------------------------------------- */

/* Runs it here if it is queued. */
bool pulse__actor_run_here(struct pulse_actor *a);
/* Who runs it does not any more: it waits to be run again. */
void pulse__actor_requeue(struct pulse_actor *a, bool fair);
/* stop is set: see that somebody looks. */
void pulse__actor_nudge(struct pulse_actor *a);
/* All that wait for it go on. */
void pulse__actor_unmute(struct pulse_actor *a);
/* Tasks: an actor to be run; a runner with others waiting in its queue. */
void pulse__actor_task(void *actor);
void pulse__actor_more(void *runner);
void *pulse__athread_main(void *thread);
/* Into its list, whose lock the caller holds. */
void pulse__athread_put(struct pulse__athread *t, struct pulse_actor *a);
/* The thread's number, for people. */
int pulse__actor_thread_id(const struct pulse_actor *a);

/* ---- table.c --------------------------------------------------------------- */

void pulse__table_init(struct pulse_actors *sys);
void pulse__table_fini(struct pulse_actors *sys);
/* A free place. 0; -ESHUTDOWN; -ENOSPC; -ENOMEM. */
int pulse__table_take(struct pulse_actors *sys, struct pulse_actor **out);
/* Its ref is 0 since. */
void pulse__table_give(struct pulse_actor *a);
void pulse__table_sum(struct pulse_actors *sys, uint64_t *alive,
		      uint64_t *spawned);

/* ---- spawn.c --------------------------------------------------------------- */

/* As pulse_actor_spawn(); @ref is set before it runs. */
int pulse__actor_spawn(struct pulse_actors *sys,
		       const struct pulse_actor_opts *opts,
		       struct pulse_child *child, uint64_t *ref);
/* It is running and ends here. */
void pulse__actor_die(struct pulse_actor *a, int reason);

/* ---- child.c --------------------------------------------------------------- */

void pulse__achild_ended(struct pulse_child *child, int reason);

/* ---- type.c ---------------------------------------------------------------- */

struct pulse__atype *pulse__atype_find(struct pulse_actors *sys,
				       const char *name);
/* It can be found by its type, and cannot any more. 0 or -ENOMEM. */
int pulse__atype_add(struct pulse__atype *t, struct pulse_actor *a);
void pulse__atype_del(struct pulse__atype *t, struct pulse_actor *a);
/* Locks a type with all its instances in ref. 0, or -ENOMEM and no lock. */
int pulse__atype_lock(struct pulse_actors *sys, struct pulse__atype *t);

/* ---- bond.c ---------------------------------------------------------------- */

/* Two become linked, of which the caller runs the first. 0; -ESRCH; -ENOMEM. */
int pulse__actor_bind(struct pulse_actor *a, uint64_t ref);
/* It ended: tells all that wanted to know. */
void pulse__bonds_end(struct pulse_actor *a, uint64_t ref, int reason);

/* ---- self.c ---------------------------------------------------------------- */

void pulse__actor_forget(struct pulse_actor *a);

/* ---- time.c ---------------------------------------------------------------- */

/* It ends: no more timeouts. */
void pulse__timeout_end(struct pulse_actor *a);
/* It handled messages. */
void pulse__timeout_active(struct pulse_actor *a);
bool pulse__timeout_stands(struct pulse_actor *a);
/* The timers that are left; the service is gone. */
void pulse__atimers_free(struct pulse_actors *sys);

#endif /* PULSE__ACTOR_H */

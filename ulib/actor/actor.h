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
 *	0	somebody runs it or will, there is nothing new
 *	a message	... newest first; the runner takes all with one exchange and
 *		turns them around
 *	CLOSED	there is no actor
 * Senders write with a compare-exchange (release; pairs with the runner's
 * exchange, acquire). spin: actor_inbox.
 *
 * run says who may run it: QUEUED it is in the pool's queues, a slot, a thread's
 * list or the overflow, RUNNING somebody does, MUTED nobody does until the one
 * that muted it lets it go. Whoever moves QUEUED to RUNNING runs it; a place
 * that finds it otherwise forgets it. So a caller may run the actor it waits
 * for, and what lies in the queue for it comes to nothing.
 *
 * stop is a flag beside the mailbox, so that stopping takes no memory:
 *	who stops			the runner
 *	stop = reason			inbox: 0 -> REST
 *	inbox: REST -> 0, then	(A)	stop set?		(B)
 *	it runs it			inbox: REST -> 0, then it goes on
 * All of these are seq_cst: A or B sees what the other one did before it.
 *
 * A worker of the pool has a slot for one actor that it runs next, without the
 * pool: an actor that is sent to while another runs. A worker that stays in one
 * handler does not come to its slot, so a timer looks after it (run.c).
 *
 * Locks: type->lock, sys->lock, sys->bonds, sys->over_lock, thread->lock: none
 * inside another, and none while something goes to the pool (in whose
 * deterministic mode that may let another worker go on).
 */
#ifndef PULSE__ACTOR_H
#define PULSE__ACTOR_H

#include <pthread.h>

#include <pulse-u/actor.h>
#include <pulse-u/memory.h>
#include <pulse-u/pool.h>
#include <pulse-u/timer.h>

#include "base/list.h"

#define PULSE__ACTORS_MAGIC	0x52544341U	/* "ACTR" */
#define PULSE__CHUNK_SHIFT	10
#define PULSE__CHUNK		(1U << PULSE__CHUNK_SHIFT)
#define PULSE__ACTORS_MAX	(1U << 24)
#define PULSE__ACTOR_THREADS	256
#define PULSE__ACTOR_BUDGET	64U
#define PULSE__ACTOR_HOPS	64	/* actors by way of the slot in one task */
#define PULSE__ACTOR_TICK_NS	(10 * PULSE__NSEC_PER_MSEC)

#define PULSE__INBOX_REST	((uintptr_t)1)
#define PULSE__INBOX_CLOSED	((uintptr_t)2)

enum pulse__actor_run {
	PULSE__RUN_REST,
	PULSE__RUN_QUEUED,
	PULSE__RUN_RUNNING,
	PULSE__RUN_MUTED,
};

/*
 * Bytes of data that two of the slabs have room for; the third, tiny, has none: a
 * message that is a tag alone is one cache line.
 */
#define PULSE__MSG_SMALL	64U
#define PULSE__MSG_MIDDLE	192U

struct pulse__amsg {
	struct pulse__amsg *next;
	uint64_t target;
	struct pulse__acall *call;	/* a reference, or NULL */
	struct pulse_actor_msg view;	/* reserved: counted in queued */
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

struct pulse__atype;
struct pulse__athread;
struct pulse_child;

struct pulse_actor {
	/* Senders write. */
	uintptr_t inbox;
	uint32_t run;		/* enum */
	uint32_t queued;	/* where the type counts */
	uint64_t ref;		/* of the one that is here; 0 none */
	uint64_t stop;		/* 0, or STOP | reason */
	struct pulse_actor *muted;	/* those that wait for this one to empty */

	/* Whoever runs it. */
	struct pulse__amsg *local;	/* oldest first */
	struct pulse__amsg *now;
	struct pulse_actors *sys;
	struct pulse__atype *type;
	struct pulse__athread *thread;	/* or NULL: the pool */
	void *state;
	void (*destroy)(void *state);
	struct pulse__list mem;
	size_t mem_bytes;
	uint64_t handled;
	struct pulse_actor *mute_on;	/* to be muted after this message */
	struct pulse_actor *mute_next;	/* in its muted; dead: free list */
	struct pulse__atimeout *timeout;
	struct pulse_child *child;	/* to be told of its end, or NULL */
	uint64_t calling;	/* whom it waits for; anybody reads */

	struct pulse_actor *next;	/* thread's list, or overflow */
	struct pulse__list bonds;	/* sys->bonds */
	uint32_t place;			/* in type->ref; type->lock */
	uint32_t number;		/* in the table; constant */
	uint32_t generation;
	int32_t node;
	bool over;			/* over_lock: is in the overflow */
	bool ending;			/* sys->bonds: no more of them */
} PULSE__ALIGNED(PULSE_CACHE_LINE);

#define PULSE__ASPAWN_VER0	pulse__size_to(struct pulse_actor_opts, link)

#define PULSE__STOP(reason)	(1ULL << 32 | (uint32_t)(reason))
#define PULSE__STOP_REASON(word) ((int)(uint32_t)(word))

struct pulse__atype {
	struct pulse__atype *next;	/* written once */
	struct pulse_actor_type opts;
	char *name;
	bool counts;			/* queued is kept */
	pthread_mutex_t lock;
	uint64_t *ref;			/* instances */
	uint32_t nr, room;
	uint64_t turn;
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

/* One of the pool's workers. */
struct pulse__arunner {
	struct pulse_actor *slot;	/* anybody takes, it puts */
	uint32_t depth;			/* tasks of ours it is inside */
	uint32_t turns;			/* actors it began */
	uint32_t seen;			/* of turns; the timer's */
	uint64_t handled;
} PULSE__PAIR_ALIGNED;

struct pulse_actors {
	/* constant */
	uint32_t magic;
	uint32_t fork_gen;
	struct pulse_pool *pool;
	bool own_pool;
	bool det;			/* no slots: the seed draws */
	uint32_t max_actors;
	uint32_t nr_runners;
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
	struct pulse_actor *free;
	uint32_t used;			/* numbers given out ever */
	uint32_t nr;			/* alive; futex word */
	uint64_t spawned;
	uint32_t nr_threads;
	struct pulse__athread *thread[PULSE__ACTOR_THREADS];

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
/* As pulse_actor_send(), of any kind and with a call. */
int pulse__actor_post(struct pulse_actors *sys, uint64_t ref,
		      struct pulse__acall *call, uint64_t tag,
		      const void *data, size_t bytes);

/* ---- call.c ---------------------------------------------------------------- */

/* Sets its end and gives a reference back. 0 or -ECANCELED. */
int pulse__acall_end(struct pulse_actors *sys, struct pulse__acall *call,
		     int err, const void *data, size_t bytes);

/* ---- run.c ----------------------------------------------------------------- */

/* Whose inbox the caller moved from REST: it will be run. */
void pulse__actor_activate(struct pulse_actor *a);
/* Runs it here if it is queued. */
bool pulse__actor_run_here(struct pulse_actor *a);
/* stop is set: see that somebody looks. */
void pulse__actor_nudge(struct pulse_actor *a);
/* All that wait for it go on. */
void pulse__actor_unmute(struct pulse_actor *a);
void pulse__actor_task(void *actor);
void *pulse__athread_main(void *thread);
void pulse__actors_tick(struct pulse_timer *timer, void *sys);
/* The thread's number, for people. */
int pulse__actor_thread_id(const struct pulse_actor *a);

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
int pulse__atype_add(struct pulse__atype *t, struct pulse_actor *a);
void pulse__atype_del(struct pulse__atype *t, struct pulse_actor *a);

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
/* The timers that are left; the service is gone. */
void pulse__atimers_free(struct pulse_actors *sys);

#endif /* PULSE__ACTOR_H */

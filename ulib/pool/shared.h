/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * shared.h - the parts of a shared pool.
 *
 *   shared.c         making, attaching, leaving
 *   shared_queue.c   places: claimed, filled, run, and taken from the dead
 *   shared_member.c  processes come and go; the thread that watches them
 *   shared_worker.c  workers, sleeping, waking, waiting
 *
 * The queue is a set of places. A place's state word says everything that
 * matters: FREE, FILLING or RUNNING by the process with this ticket, or READY.
 * Each step is a compare-exchange of that word, so a process can be killed
 * between any two instructions and leaves either a state that stands for
 * itself or one with its ticket in it. Who sees the death strikes the process
 * from the table of members, and then turns back every place whose ticket
 * stands there no more: FILLING to FREE, RUNNING to READY. A ticket is in the
 * table before it is in a place, and is never drawn again, so a slow witness
 * of a death cannot take from the living.
 *
 * Bitmaps of places that may be FREE, and of places that may be READY at each
 * priority, only say where to look. The state is changed first, then the bit
 * is set; a taker clears the bit first, then changes the state. A bit too many
 * costs a look; a bit too few can only be left by one who died in between, and
 * the witness of the death sets it again. Model: selftests/spin/shared_pool.pml.
 *
 * All words of the shared memory are untrusted; see shared_pool.h.
 */
#ifndef PULSE__SHARED_H
#define PULSE__SHARED_H

#include <pulse-u/backend.h>
#include <pulse-u/shared_pool.h>

#include <pthread.h>

#include "backend/backend.h"

#define PULSE__SHARED_MAGIC	0x316c6f6f50537550ULL	/* "PuSPool1" */
#define PULSE__SHARED_OBJ	0x53504f4fU		/* "SPOO" */
#define PULSE__SHARED_PRIOS	3
#define PULSE__SHARED_ROOM	(64ULL << 20)	/* of a node's memory, at most */
#define PULSE__SHARED_NODES	64
/* Before the queue: what the kernel's header takes for a ring of two entries. */
#define PULSE__SHARED_SKIP	4096U

/* The low word of a place's state; the high one is a ticket, or 0. */
enum pulse__place_state {
	PULSE__PLACE_FREE = 0,
	PULSE__PLACE_FILLING = 1,
	PULSE__PLACE_READY = 2,
	PULSE__PLACE_RUNNING = 3,
};

#define PULSE__PLACE(state, ticket)	((uint64_t)(ticket) << 32 | (state))
#define PULSE__PLACE_STATE(word)	((uint32_t)(word))
#define PULSE__PLACE_TICKET(word)	((uint32_t)((word) >> 32))

/* In shared memory; untrusted. Written by who has the place, but for state. */
struct pulse__splace {
	uint64_t state;			/* whoever, by compare-exchange */
	uint32_t id;
	uint32_t bytes;
	uint32_t attempts;
	uint32_t priority;
	uint64_t reserved;
	unsigned char payload[];
};

/*
 * A process; untrusted. Who it is and its ticket are one word, which is there
 * or not. The time of its start, by which a pid that is used again is known,
 * counts only with the same ticket beside it.
 */
struct pulse__smember {
	uint64_t who;		/* pid and ticket, 0 nobody; compare-exchange */
	uint64_t start;		/* start time and ticket; its own */
	uint32_t sleepers;	/* workers asleep on seq, or on the way; its own */
	uint32_t waiters;	/* threads in pulse_shared_pool_wait(); its own */
} PULSE__ALIGNED(PULSE_CACHE_LINE);

#define PULSE__WHO(pid, ticket)	((uint64_t)(uint32_t)(pid) << 32 | (ticket))
#define PULSE__WHO_PID(who)	((uint32_t)((who) >> 32))
#define PULSE__WHO_TICKET(who)	((uint32_t)(who))

/* At the head of each node's memory; only the first node's is used whole. */
struct pulse__shm {
	/* Written by create, read once by attach. Untrusted. */
	uint64_t magic PULSE__PAIR_ALIGNED;
	uint64_t digest;		/* of the functions' numbers */
	uint32_t entries;
	uint32_t payload_bytes;
	uint32_t nr_nodes;
	uint32_t max_attempts;

	uint32_t closed PULSE__PAIR_ALIGNED;	/* set by shutdown */
	uint32_t gen;			/* processes that came; each adds one */
	uint32_t tickets;		/* drawn so far */
	uint32_t top;			/* members above were never used */
	uint32_t seq;			/* the futex; wakers without the module add one */

	uint32_t put_hint PULSE__PAIR_ALIGNED;	/* where who submits looks first */
	uint32_t get_hint PULSE__PAIR_ALIGNED;	/* where who runs looks first */

	struct pulse__smember member[PULSE_SHARED_PROCESSES_MAX];

	uint64_t bits[];	/* free, then ready at each priority, lowest first */
};

/* One node's memory, as this process sees it. */
struct pulse__sarena {
	struct pulse__shm *shm;
	uint64_t *free;
	uint64_t *ready[PULSE__SHARED_PRIOS];
	unsigned char *places;
	int node;
};

struct pulse__sworker {
	struct pulse_shared_pool *pool;
	pthread_t thread, replaced;
	unsigned int number;
	unsigned int turn;		/* tasks run; each 64th is out of turn */
	unsigned int home;		/* its node's arena */
	int index;			/* in the context, or -1 */
	bool started;
	bool has_replaced;
	struct pulse__sarena *at;	/* what it runs, or NULL */
	uint32_t place;
	unsigned char *payload;		/* the copy */
};

struct pulse_shared_pool {
	uint32_t magic;
	uint32_t fork_gen;
	/* Never written after create. */
	struct pulse_ctx *ctx;		/* NULL: a memfd */
	int fd;
	unsigned char *mem;		/* the memfd's */
	size_t mem_bytes;
	struct pulse__shm *shm;		/* the first arena's */
	struct pulse__sarena *arena;
	uint32_t nr_arenas;
	uint32_t entries;
	uint32_t words;
	uint32_t payload_bytes;
	uint32_t stride;
	uint32_t max_attempts;
	struct pulse_shared_fn *fns;	/* by number */
	uint32_t nr_fns;
	char name[16];
	struct pulse__smember *me;
	uint32_t ticket;		/* never 0 */

	struct pulse__sworker *workers;
	uint32_t nr_workers;

	pthread_mutex_t lock;		/* the next five, and replaced threads */
	pthread_cond_t cond;
	uint32_t nr_started;
	uint32_t nr_ended;		/* workers that nobody takes over */
	int start_err;
	int go;				/* workers that started: 1 run, -1 end */
	pthread_t keeper;
	bool has_keeper;
	int bell;			/* eventfd: the keeper is to look */
	uint32_t seen_gen;		/* of the keeper */
	uint32_t stop;			/* workers and keeper are to end */

	/* statistics, atomic */
	uint64_t submitted PULSE__PAIR_ALIGNED;
	uint64_t completed PULSE__PAIR_ALIGNED;
	uint64_t recovered;
	uint64_t dropped;
	uint64_t errors;
};

extern __thread struct pulse__sworker *pulse__shared_self;

/* shared.c: 0, -EINVAL or -EOWNERDEAD */
int pulse__shared_check(const struct pulse_shared_pool *pool);

/* shared_queue.c */

static inline struct pulse__splace *
pulse__splace(const struct pulse_shared_pool *pool,
	      const struct pulse__sarena *a, uint32_t i)
{
	return (struct pulse__splace *)(void *)(a->places +
						(size_t)i * pool->stride);
}

/* The arena of a node; -1: of where the caller runs. The first by default. */
uint32_t pulse__shared_arena_of(const struct pulse_shared_pool *pool, int node);
/* All places are FREE. */
void pulse__shared_format(struct pulse_shared_pool *pool);
/* A READY place becomes RUNNING by @w; at, place of @w name it. */
bool pulse__shared_take(struct pulse__sworker *w);
/* Runs what @w took. */
void pulse__shared_run(struct pulse__sworker *w);
/* What @w was running is done. */
void pulse__shared_done(struct pulse__sworker *w);
/* May anything be READY? */
bool pulse__shared_any_ready(const struct pulse_shared_pool *pool);
/* Is every place FREE? */
bool pulse__shared_drained(const struct pulse_shared_pool *pool);
/* Takes everything from tickets that no member has, and mends the bitmaps. */
void pulse__shared_bury(struct pulse_shared_pool *pool);

/* shared_member.c */

/* How many entries of the table are to be looked at. */
static inline uint32_t pulse__shared_top(const struct pulse_shared_pool *pool)
{
	uint32_t top = __atomic_load_n(&pool->shm->top, __ATOMIC_SEQ_CST);

	return top < PULSE_SHARED_PROCESSES_MAX ? top :
						  PULSE_SHARED_PROCESSES_MAX;
}

/* This process becomes a member, and sees to what the dead left. */
int pulse__shared_join(struct pulse_shared_pool *pool);
void pulse__shared_leave(struct pulse_shared_pool *pool);
int pulse__shared_keeper_start(struct pulse_shared_pool *pool);
void pulse__shared_keeper_stop(struct pulse_shared_pool *pool);
/* Has somebody come whom the keeper has not seen? Rings, if so. */
bool pulse__shared_news(struct pulse_shared_pool *pool);

/* shared_worker.c */

int pulse__shared_workers_start(struct pulse_shared_pool *pool);
void pulse__shared_workers_stop(struct pulse_shared_pool *pool);
/* After a task was made READY: wakes a worker near that node. */
void pulse__shared_wake(struct pulse_shared_pool *pool,
			const struct pulse__sarena *a);
/* Everybody looks at everything once more. */
void pulse__shared_wake_all(struct pulse_shared_pool *pool);
/* After a task was done: wakes who waits for the last. */
void pulse__shared_wake_waiters(struct pulse_shared_pool *pool);

#endif /* PULSE__SHARED_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pool.h - the inside of a pool: who writes which word.
 *
 *   pool ---- node[] (those with a worker) ---- queue[priority]: inject.h
 *     |                                          what is submitted from
 *     |                                          outside, or with a wish
 *     +------ worker[] ---- deque: what its own tasks submit
 *
 * A task is in one queue or in one worker's hands; who gets it out of a queue
 * owns it. In a node's queue it lies in the slot itself; in a deque it is an
 * object of the pool's slab, or one that its worker had left over.
 *
 * Counting. Each task belongs to one of two epochs, and each epoch counts what
 * was submitted and what is done; equal sums mean that the epoch is empty
 * (wait.c). Workers count in words of their own; other threads in their node's.
 * A task is counted as submitted before it can be seen by a worker, so done
 * never overtakes submitted.
 *
 * Forked jobs lie on their forkers' stacks; who writes what of them stands at
 * the head of fork.c.
 *
 * Lock order: pool->lock is a leaf but for the context's lock and malloc.
 */
#ifndef PULSE__POOL_H
#define PULSE__POOL_H

#include <pthread.h>

#include <pulse-u/fork.h>
#include <pulse-u/memory.h>
#include <pulse-u/pool.h>

#include "backend/backend.h"
#include "lockfree/deque_inline.h"
#include "pool/inject.h"

#define PULSE__POOL_MAGIC	0x4c4f4f50U	/* "POOL" */
#define PULSE__POOL_QUEUE	1024U		/* default task_queue_size */
#define PULSE__POOL_QUEUE_MAX	(1U << 20)
#define PULSE__POOL_SPIN_US	20		/* default spin_us */
#define PULSE__HELP_DEPTH	32U		/* tasks that wait run others, so deep */
#define PULSE__DET_WORKERS	4U		/* ... in the deterministic mode */
#define PULSE__POOL_KEEP_MS	5000U		/* default keep_alive_ms */
#define PULSE__POOL_SPARE	512U		/* free tasks a worker keeps */
#define PULSE__BEAT_US		100U		/* default heartbeat_interval_us */
#define PULSE__BEAT_US_MIN	20U
#define PULSE__BEAT_US_MAX	60000000U
#define PULSE__PROMOTION_THRESHOLD 10U
#define PULSE__MIN_WORK_CYCLES	1000U
#define PULSE__GUARD_MASK	63U		/* one task in 64 out of turn */
/*
 * Tasks that a worker takes out of its node's queue at a time, where tasks are as
 * short as GULP_NS on average of the last GULP_LOOK or more.
 */
#define PULSE__GULP		16U
#define PULSE__GULP_LOOK	8U
#define PULSE__GULP_NS		1000
/* So often a worker lets others have its CPU before it parks: see worker.c. */
#define PULSE__MAKE_WAY		4
/*
 * From one look for work, or at the clock, to the next: what came is found half
 * of that later. A pause takes 14 to 45 ns, and the clock about as long as two.
 */
#define PULSE__PAUSES		4

/* Places in pulse__pnode.queue, most urgent first. */
enum pulse__lane {
	PULSE__LANE_HIGH,
	PULSE__LANE_NORMAL,
	PULSE__LANE_LOW,
	PULSE__LANES,
};

struct pulse__work;
struct pulse_future;

/* In a deque. */
struct pulse__task {
	struct pulse__job job;
	struct pulse__task *next;	/* in a list of free ones */
} PULSE__ALIGNED(PULSE_CACHE_LINE);

enum pulse__pool_state {
	PULSE__POOL_RUNNING,
	PULSE__POOL_DRAINING,	/* takes no more, does what there is */
	PULSE__POOL_STOPPING,	/* what is queued is cancelled */
	PULSE__POOL_STOPPED,	/* drained: nothing is queued, nothing comes */
};

/* How far a shared job is; pulse_job.state. */
enum pulse__job_state {
	PULSE__JOB_OPEN,	/* in the slot, or with a thief */
	PULSE__JOB_DONE,
	PULSE__JOB_BROKEN,	/* the thief's thread ended inside it */
};

struct pulse__call;

/* A NUMA node with at least one worker. */
struct pulse__pnode {
	struct pulse__inject queue[PULSE__LANES];
	uint64_t submitted[2] PULSE__PAIR_ALIGNED; /* by non-workers; atomic */

	/* constant */
	int id PULSE__PAIR_ALIGNED;	/* node number */
	uint32_t ctx_row;
	uint32_t first, nr;		/* workers, in pool->by_node */
};

struct pulse__cells;

/* Where a task waits and others run on its stack: what was its worker's then. */
struct pulse__level {
	uint32_t epoch;
	uint32_t below;
	uint32_t below_epoch;
	struct pulse__work *work;
	struct pulse__work *below_work;
	struct pulse_future *held;
	struct pulse__call *call;
	struct pulse__frame *frame;
	struct pulse_job *running;
	struct pulse_job *tail, *shared, *first; /* of struct pulse_fork_self */
};

struct pulse__worker;

/*
 * What a worker waits for besides tasks, of a level above (io/worker.c); sleep.c
 * says when each is called. The worker's thread alone, outside of tasks.
 */
struct pulse__sleeper {
	/* Sees to what is there, and calls pulse__sleeper_awake() before that. */
	bool (*look)(struct pulse__sleeper *s);
	/* It may sleep next: what is to be done before that. */
	void (*prepare)(struct pulse__sleeper *s);
	/* Waits for something, for the bell, or until then; and likewise. */
	void (*sleep)(struct pulse__sleeper *s, int64_t deadline_ns);
	/* A task is next, which may take long. */
	void (*busy)(struct pulse__sleeper *s);
	/* The worker ends, or its pool does: gives itself back. */
	void (*leave)(struct pulse__sleeper *s);
	struct pulse__worker *worker;
	int64_t looked_ns;
	uint32_t tasks;			/* since then */
	bool parked;
	bool woken;			/* by a waker, when it parked last */
	bool handled;			/* something, since it was asked last */
};

struct pulse__worker {
	struct pulse__deque deque;

	/* One job for the others: it puts it in, who exchanges it for NULL has it. */
	struct pulse_job *slot PULSE__PAIR_ALIGNED;
	/* Where it is asked for one while its heart beats, else NULL; ask.c. */
	struct pulse_fork_self *ask;
	uint32_t askers;		/* who may be writing there; atomic */
	int64_t asked_at;		/* by anybody; racy */

	/* Its own words: it alone writes, anybody reads. */
	uint64_t submitted[2] PULSE__PAIR_ALIGNED;
	uint64_t done[2];
	uint64_t executed;
	uint64_t stolen;
	uint64_t parks;
	uint64_t wakes;
	uint64_t jobs_shared;
	uint64_t jobs_taken;
	uint32_t in_task;
	uint32_t leave;			/* is to go; under pool->lock, anybody reads */
	struct pulse__cells *cells;	/* what is measured, or NULL; metrics.c */
	pulse_task_fn now_fn;		/* PULSE__ODD_NAME: the task in hand */
	void *now_data;
	const void *now_code;
	uint64_t now_id;

	/* Nobody else's business. */
	struct pulse__task *spare PULSE__PAIR_ALIGNED;
	uint32_t nr_spare;
	uint32_t epoch;			/* of the task in hand */
	uint64_t from;			/* ... and the rest of that word */
	uint32_t tick;
	uint32_t seed;
	uint32_t gulp;			/* takes so many at a time, where over 1 */
	uint32_t gulped;		/* so many since gulp_at */
	int64_t gulp_at;
	bool searching;			/* counted in pool->search */
	bool brief;			/* ... for one look around only */
	bool idle_out;			/* parked for as long as an idle one may */
	uint8_t gave_way;		/* so often since it ran something */
	bool drain_dirty;		/* finished something since the check */
	uint32_t drain_seen;
	bool beating;			/* its heart beats, every beat_us */
	uint32_t beat_us;
	uint32_t warm;			/* forks while it does not */
	int64_t warm_since;
	uint64_t heard;			/* the beat heard last, when it was looked */
	uint64_t heard_at;		/* ... the tasks run until it was heard */
	uintptr_t half_stack;		/* helps no more below it; 0: not known */
	struct pulse_job *running;	/* others' jobs on its stack, newest first */
	uint32_t below;			/* in_task before the first of them */
	uint32_t below_epoch;		/* ... and the epoch */
	struct pulse__work *below_work;	/* ... and the task with a handle */
	struct pulse__call *call;	/* the one it is inside of, or NULL */
	struct pulse__frame *frame;	/* where a failure leads, or NULL */
	uint32_t helping;		/* tasks beneath the one in hand */
	struct pulse_future *held;	/* what it waits for; its reference */
	struct pulse__sleeper *sleeper;	/* or NULL */
	struct pulse__level beneath[PULSE__HELP_DEPTH];

	/* constant once it runs; index changes when a thread is replaced */
	struct pulse_pool *pool PULSE__PAIR_ALIGNED;
	struct pulse__pnode *node;
	uint32_t *victims;		/* other workers, nearest first */
	uint32_t nr_near;		/* so many of them are of its node */
	uint32_t number;
	uint32_t row;			/* node, in pool->node */
	int cpu;			/* bound to it, or -1 */
	int index;			/* in the context */
	pthread_t thread;		/* under pool->lock */
	pthread_t replaced;		/* to be joined by its successor */
	bool has_replaced;
	bool started;			/* there is a thread to join */
	bool late;			/* started when the pool ran already */
	bool vacant;			/* a place without a worker; under pool->lock */
};

/*
 * What a pool does beyond the plain: one word to look at on the way, next to
 * the state. Constant but for ODD_LEAVE.
 */
enum pulse__odd {
	PULSE__ODD_STAMP = 1 << 0,	/* jobs carry when they were submitted */
	PULSE__ODD_NAME = 1 << 1,	/* workers say what they run */
	PULSE__ODD_TRACE = 1 << 2,
	PULSE__ODD_DET = 1 << 3,	/* deterministic mode, det.c */
	PULSE__ODD_LEAVE = 1 << 4,	/* some worker is to go, resize.c */
};

/* ... at a submit, and at a run. */
#define PULSE__ODD_SUBMIT	(PULSE__ODD_STAMP | PULSE__ODD_DET)
#define PULSE__ODD_RUN		(PULSE__ODD_STAMP | PULSE__ODD_NAME | \
				 PULSE__ODD_TRACE)

struct pulse__warden;
struct pulse__report;
struct pulse__custom;
struct pulse__det;
struct pulse__predict;
struct pulse_timer_service;

/* Live controls of the heartbeat; read by whoever shares. */
struct pulse__knobs {
	uint32_t heartbeat_us;		/* 0: off */
	uint32_t promotion_threshold;
	uint64_t min_work_cycles;
	uint32_t force_promotion;
	uint64_t changed;		/* so often; a heart for who has none */
};

struct pulse_pool {
	/* constant */
	struct pulse_ctx *ctx;
	struct pulse_slab *slab;
	struct pulse__worker **worker;
	struct pulse__pnode **node;
	uint32_t magic;		/* past what free() writes over */
	uint32_t fork_gen;
	int32_t nice;			/* of workers; see class.c */
	uint32_t sched_class;
	uint64_t slice_ns;
	bool own_ctx;
	bool stealing;
	bool locked;		/* all tasks go through queues under a mutex */
	bool statistics;
	bool numa;
	bool bind_node;
	bool pin;
	bool may_share;		/* somebody else could take a forked job */
	bool fence_done;	/* no membarrier: fence after each task */
	bool adaptive;
	uint32_t nr_workers;	/* places for workers: max_workers */
	uint32_t nr_nodes;
	uint32_t queue_size;
	uint32_t stall_ms;
	int64_t spin_ns;
	const uint64_t *beats;	/* tests: in place of the backend's, or NULL */
	int64_t keep_ns;
	int64_t task_timeout_ns;
	int64_t grace_ns;
	uint64_t seed;
	struct pulse__warden *warden;	/* or NULL */
	struct pulse__report *report;
	struct pulse__custom *custom;	/* or NULL; set once, measure.c */
	struct pulse__det *det;		/* or NULL */
	struct pulse__predict *predict;	/* or NULL */
	uint16_t *order;	/* [row][k]: nodes of the pool, nearest first */
	uint16_t *near_row;	/* [node number]: the pool's nearest node */
	uint32_t nr_near_row;
	uint32_t *by_node;	/* worker numbers, node after node */
	pulse_pool_worker_fn on_worker_start;
	pulse_pool_worker_fn on_worker_stop;
	pulse_pool_cancel_fn on_cancel;
	pulse_pool_complete_fn on_complete;
	pulse_pool_error_fn on_error;
	pulse_pool_stall_fn on_stall;
	void *hook_arg;
	char name[16];

	/* Read at each task, written seldom. */
	uint32_t state PULSE__PAIR_ALIGNED;	/* enum pulse__pool_state */
	uint32_t epoch;		/* of what is submitted from outside: 0 or 1 */
	uint32_t drain;		/* not 0: somebody waits, see wait.c */
	uint32_t odd;		/* enum pulse__odd */
	uint32_t live;		/* workers; under the lock, anybody reads */
	uint32_t warden_asleep;	/* nobody is awake, so neither is it */
	int64_t late_err_ns;	/* when a late worker could not start; atomic */
	struct pulse__knobs knobs;
	uint64_t *members;	/* bit i: worker i of the context is ours */
	uint64_t *joiners;	/* ... and parks in a join */

	/* Searchers, and wakes that nobody took yet; see wake.c. */
	uint32_t search PULSE__PAIR_ALIGNED;

	/* Seldom. */
	uint64_t cancelled[2] PULSE__PAIR_ALIGNED;	/* atomic */
	uint64_t wakes;					/* atomic */

	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t cond;	/* CLOCK_MONOTONIC; all that is waited for */
	uint32_t nr_started;
	int start_err;
	int go;			/* workers: 0 wait, 1 run, -1 leave again */
	uint32_t target;	/* workers that are to run */
	uint32_t floor;		/* ... and to stay when idle */
	uint32_t nr_leaving;	/* anybody reads */
	uint32_t grew, shrank;
	struct pulse_timer_service *timers;	/* made when first needed */
	uint64_t flips_begun, flips_done;
	bool flip_led;		/* somebody sleeps for the current flip */
	uint32_t drain_seq;
};

/* The calling thread's worker, of whichever pool; NULL outside. */
extern __thread struct pulse__worker *pulse__pool_self
	__attribute__((tls_model("initial-exec")));

static inline struct pulse__worker *
pulse__pool_self_in(const struct pulse_pool *pool)
{
	struct pulse__worker *w = pulse__pool_self;

	return w && w->pool == pool ? w : NULL;
}

/* 0, -EINVAL or -EOWNERDEAD: may this pool be used here? */
static inline int pulse__pool_check(const struct pulse_pool *pool)
{
	if (unlikely(!pool))
		return -EINVAL;
	pulse__obj_check(pool, PULSE__POOL_MAGIC, "struct pulse_pool");
	if (pulse__forked(pool->fork_gen))
		return -EOWNERDEAD;
	return 0;
}

static inline uint32_t pulse__pool_state(const struct pulse_pool *pool)
{
	return __atomic_load_n(&pool->state, __ATOMIC_ACQUIRE);
}

/* One writer: no read-modify-write, nothing for the others to wait for. */
#define pulse__count_own(p)						\
	__atomic_store_n((p), *(p) + 1, __ATOMIC_RELAXED)
#define pulse__stat_own(w, field)					\
	do {								\
		if ((w)->pool->statistics)				\
			pulse__count_own(&(w)->field);			\
	} while (0)

/* ---- worker.c ---------------------------------------------------------- */

void *pulse__worker_main(void *arg);
/* Starts a thread with the signals that belong to it. 0 or -errno. */
int pulse__worker_spawn(struct pulse__worker *w, pthread_t *thread);
void pulse__task_free(struct pulse_pool *pool, struct pulse__worker *w,
		      struct pulse__task *t);
void pulse__job_run(struct pulse__worker *w, const struct pulse__job *job);
/* Inside a task that waits: run another one, if there is one. */
bool pulse__worker_help(struct pulse__worker *w);

/* ---- resize.c: workers come and go -------------------------------------- */

/* Starts a worker in a free place. Under the lock. 0; -ENOSPC; -EAGAIN. */
int pulse__worker_grow(struct pulse_pool *pool);
/*
 * Marks the last @nr workers to leave; not @any: without those that have a
 * sleeper. Under the lock.
 */
void pulse__workers_excess(struct pulse_pool *pool, uint32_t nr, bool any);
/* Has an idle worker nothing to stay for? Then it is counted out. */
bool pulse__worker_retire(struct pulse__worker *w);
/* Was it told to go? Likewise. */
bool pulse__worker_quit(struct pulse__worker *w);
/* Its deque goes to its node's queue. False: there is no room for all of it. */
bool pulse__deque_hand_over(struct pulse__worker *w);
/* Nobody is inside any more: the place is free. */
void pulse__worker_vacate(struct pulse__worker *w);

/* ---- warden.c: who sees to blocked workers and stalled tasks ------------- */

int pulse__warden_new(struct pulse_pool *pool);
int pulse__warden_start(struct pulse_pool *pool);
void pulse__warden_stop(struct pulse_pool *pool);
void pulse__warden_free(struct pulse_pool *pool);
void pulse__warden_poke(struct pulse_pool *pool);

/* ---- find.c: where the next task comes from ---------------------------- */

/* High ones, the own deque, the own node's queue. */
bool pulse__find_local(struct pulse__worker *w, struct pulse__job *job);
/* Once around everywhere; @steal: other workers' deques too. */
bool pulse__find_around(struct pulse__worker *w, bool steal,
			struct pulse__job *job);
/* Is there a task that somebody could take now? After a full barrier. */
bool pulse__pool_has_work(const struct pulse_pool *pool);

/* ---- wake.c: who looks for work, who is woken --------------------------- */

/* After a push and a full barrier: see that somebody looks for it. */
void pulse__pool_notify(struct pulse_pool *pool, uint32_t row, unsigned int nr);
/* A worker without work: may it search? Then it is counted. */
bool pulse__search_begin(struct pulse__worker *w);
/* It does not search any more: it found something, or nothing. */
void pulse__search_found(struct pulse__worker *w);
void pulse__search_nothing(struct pulse__worker *w);
/* It comes back from parking, one way or another: a searcher from now on. */
void pulse__pool_unparked(struct pulse__worker *w);
void pulse__pool_park(struct pulse__worker *w);
/* In or out of the set of workers that one may wake. */
void pulse__pool_member(const struct pulse__worker *w, uint64_t *set, bool in);
/* Parks inside a task: may be woken for shared jobs, not for tasks. */
void pulse__pool_park_joining(struct pulse__worker *w, pulse_recheck_fn recheck,
			      void *arg);
/* After a shared job and a full barrier. */
void pulse__pool_notify_job(struct pulse__worker *w);
/* Is there a worker without work, and no work for it? */
bool pulse__pool_hungry(const struct pulse_pool *pool);
void pulse__pool_wake_all(struct pulse_pool *pool);

/* ---- sleep.c: workers that wait for more than tasks ---------------------- */

/*
 * The calling worker sleeps there from now on; @bell: an eventfd that ends its
 * sleep. 0; -EOPNOTSUPP the deterministic mode, a shared context; -EMFILE.
 */
int pulse__sleeper_set(struct pulse__worker *w, struct pulse__sleeper *s,
		       int bell);
void pulse__sleeper_leave(struct pulse__worker *w);
/*
 * The wait is over, before anything of it is handled; @something: there is
 * something to handle.
 */
void pulse__sleeper_awake(struct pulse__sleeper *s, bool something);
/* Between two tasks: is it time for a look? Then takes it. */
void pulse__sleeper_between(struct pulse__worker *w);
/* In place of parking; answers as pulse_worker_park(). */
int pulse__sleeper_park(struct pulse__worker *w, int64_t deadline_ns,
			pulse_recheck_fn recheck);
/* Was something handled since the last call? Not where there is no sleeper. */
static inline bool pulse__sleeper_handled(struct pulse__worker *w)
{
	bool handled = w->sleeper && w->sleeper->handled;

	if (handled)
		w->sleeper->handled = false;
	return handled;
}

/* ---- submit.c ---------------------------------------------------------- */

/*
 * After a push of @nr to the queues of a node: whoever stopped the pool since
 * may have swept them before it. @shared: others could take them.
 */
void pulse__submitted(struct pulse_pool *pool, uint32_t row, unsigned int nr,
		      bool shared);

/* ---- wait.c: when all is done ------------------------------------------ */

int pulse__wait_init(struct pulse_pool *pool);
int pulse__pool_drain(struct pulse_pool *pool, int64_t deadline_ns,
		      const int *give_up);
/* Somebody waits, and perhaps for what was just done. */
void pulse__drain_look(struct pulse_pool *pool, uint32_t drain);

/*
 * After a task, before the next one (NULL: there is none at hand).
 *
 * The load of drain may pass the store of done before it: the waiter's
 * membarrier is the barrier between the two, see wait.c.
 */
static inline void pulse__drain_poll(struct pulse__worker *w,
				     const struct pulse__job *next)
{
	uint32_t drain = READ_ONCE(w->pool->drain);

	if (likely(!drain))
		return;
	/* More of that epoch at hand: it is not empty yet. */
	if (next && (next->epoch & 1) == (drain & 1))
		return;
	if (!w->drain_dirty && w->drain_seen == drain)
		return;
	w->drain_dirty = false;
	w->drain_seen = drain;
	pulse__drain_look(w->pool, drain);
}

/* ---- stop.c ------------------------------------------------------------ */

/* Cancels what is queued; how many. In STOPPING only. */
uint64_t pulse__pool_sweep(struct pulse_pool *pool);
void pulse__job_cancel(struct pulse_pool *pool, const struct pulse__job *job);
/* Moves the state to STOPPING or STOPPED where it is not there yet. */
void pulse__pool_end(struct pulse_pool *pool, enum pulse__pool_state state);

/* ---- fork.c: forking, sharing ------------------------------------------ */

static inline struct pulse_fork_self *pulse__fork_self(void)
{
	struct pulse_fork_self *self;

	PULSE__FORK_SELF(&self);
	return self;
}

/* Has the calling thread, a worker, jobs that are not joined? */
static inline bool pulse__fork_open(void)
{
	struct pulse_fork_self *self = pulse__fork_self();

	return self->tail != &self->root;
}

/* The calling thread becomes a worker, or is one no more. */
void pulse__fork_enter(struct pulse__worker *w);
void pulse__fork_leave(struct pulse__worker *w);
/* It was parked for long: its heart stops until it forks again. */
void pulse__fork_rest(struct pulse__worker *w);
/* Now and then, while its heart beats: does it still fork? If not, it rests. */
void pulse__fork_still(struct pulse__worker *w);
/* How long the worker may park before that. */
int64_t pulse__fork_rest_at(const struct pulse__worker *w);

/* ---- ask.c: a hungry worker asks for a forked job ---------------------- */

/* @w found nothing: one that forks is asked to share, if it was not just now. */
void pulse__fork_ask(struct pulse__worker *w, int64_t now);
/* The calling worker may be asked from now on; no more. */
void pulse__ask_begin(struct pulse__worker *w, struct pulse_fork_self *self);
void pulse__ask_end(struct pulse__worker *w);

/* ---- join.c: taking, waiting ------------------------------------------- */

/* Stands for a job in struct pulse__job, with the job as data. */
void pulse__fork_taken(void *job);
/* Another worker's job, or NULL. */
struct pulse_job *pulse__fork_take(struct pulse__worker *victim);
void pulse__fork_run_taken(struct pulse__worker *w, struct pulse_job *job);
/*
 * The calling thread leaves the frames of all that it forked after these two
 * were self->shared and self->tail: not begun, nobody runs it; else waits.
 */
void pulse__fork_drop(struct pulse__worker *w, const struct pulse_job *shared,
		      struct pulse_job *tail);
/*
 * The thread ends inside jobs: the rest of them, and who waits for them. Then
 * it is where it was before it took others' jobs, inside a task or not; of the
 * newest level.
 */
void pulse__fork_wind_up(struct pulse__worker *w);
/* Calls @fn so that dead frames which thieves still use are not written over. */
void pulse__fork_unwound(struct pulse__worker *w,
			 void (*fn)(struct pulse__worker *w));

/* ---- parallel.c, scan.c: loops ------------------------------------------- */

/* Without a grain: enough for the parts to even out, few enough to be free. */
#define PULSE__PARTS 2048U

static inline size_t pulse__grain(size_t nr, size_t grain)
{
	return grain ? grain : nr / PULSE__PARTS + !!(nr % PULSE__PARTS);
}

/* ---- call.c: functions that somebody waits for ------------------------- */

void pulse__call_task(void *call);
void pulse__call_cancel(void *call);
void pulse__call_unwound(struct pulse__worker *w);

/* ---- place.c, quota.c: how many workers, and where --------------------- */

/* CPUs that the cgroup's quota allows, rounded up; 0 = no limit. */
unsigned int pulse__quota_cpus(const char *proc_self_cgroup,
			       const char *cgroup_root);

struct pulse__place {
	int cpu;
	int node;
};

/* Default number of workers. 1 or more, or -errno. */
int pulse__place_default(void);
/* Places for @nr workers; @spread: over cores and nodes. 0 or -errno. */
int pulse__place(uint32_t nr, bool spread, struct pulse__place *out);
/* Nodes, victims and members of a pool whose worker[] is allocated. */
int pulse__pool_layout(struct pulse_pool *pool, bool by_distance);
/* What the calling worker may run on. */
void pulse__place_bind(struct pulse__worker *w);

/* ---- class.c: workers and the scheduler --------------------------------- */

/* 0 or -EINVAL. */
int pulse__class_load(struct pulse_pool *pool, const struct pulse_pool_opts *o);
/* For the calling thread. 0 or -errno. */
int pulse__class_set(const struct pulse_pool *pool);

#endif /* PULSE__POOL_H */

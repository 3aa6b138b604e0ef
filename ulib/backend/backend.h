/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * backend.h - the inside of a context: what the two backends share, and the
 * table of what they do differently.
 *
 * Who writes what
 *	struct pulse_ctx	constant after pulse_ctx_create(), but for the
 *				words that say otherwise below
 *	slot			its owner, the thread that registered; .owner and
 *				.tid also whoever reclaims a dead owner's slot,
 *				under ctx->lock
 *	idle bitmap		owners set and clear their own bit, anybody reads
 *	park word		owner and wakers, see park.c
 *
 * Lock order: ctx->lock, then the lock of beat.c.
 */
#ifndef PULSE__BACKEND_H
#define PULSE__BACKEND_H

#include <pthread.h>

#include <linux/pulse.h>
#include <pulse-u/backend.h>

#include "base/base.h"

#define PULSE__CTX_MAGIC	0x58544350U	/* "PCTX" */
#define PULSE__CTX_WORKERS	64U		/* default max_workers */
#define PULSE__CTX_ENTRIES	1024U		/* default ring_entries */
#define PULSE__MAX_NODES	1024		/* the kernel's own limit */

/* Size of a struct up to and with a member: that of its first version. */
#define PULSE__END(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))

/* One worker as this process knows it. */
struct pulse__slot {
	const void *owner;		/* names the thread; NULL = free */
	struct pulse_ctx *ctx;
	struct pulse__slot *next;	/* of the same thread; owner only */
	uint32_t index;
	uint32_t epoch;			/* of the park word; owner only */
	bool outside;			/* parks at its bell; park.c */
	int bell;			/* descriptor + 1; 0: none; owner writes */
	uint32_t row;			/* home node, as a row of the idle bitmap */
	int32_t tid;
	uint32_t incarnation;		/* of KSTATE when it registered */
	bool adopted;			/* its job is a dead worker's; owner only */
	uint64_t cookie;
	/* What the thread had done before it registered (user backend). */
	uint64_t base_run_ns;
	uint64_t base_wait_ns;
	uint64_t base_preempt;
	uint64_t base_block;
	uint64_t base_migrate;
	/* Its heartbeat on the user backend; see beat.c. */
	struct pulse__slot *beat_next;
	uint64_t beat_period_ns;	/* 0: none */
	uint64_t beat_due_ns;
	uint64_t beat_idle_ns;		/* 0, or so long between two; anybody reads */
	uint64_t beat_skip;		/* periods left out before the next beat */
	bool beat_listens;		/* it writes UWORK.heard */
} PULSE__PAIR_ALIGNED;

struct pulse_ctx {
	const struct pulse__backend_ops *ops;
	uint64_t features;
	int fd;
	uint32_t futex_only;	/* kernel backend that lost its descriptor */
	bool shared;		/* workers of other processes: see salvage.c */
	uint32_t has_bells;	/* some slot has one; never 0 again */
	struct pulse__slot *slots;
	uint32_t magic;		/* past what free() writes over */
	uint32_t fork_gen;

	/* shared pages; UWORK and the node rings are untrusted */
	struct pulse_hdr *hdr;
	struct pulse_kstate *kstate;
	struct pulse_uwork *uwork;
	void **nring;		/* one a row */
	size_t hdr_bytes;
	size_t kstate_bytes;
	size_t uwork_bytes;
	size_t nring_bytes;

	uint32_t max_workers;
	uint32_t ring_entries;
	uint32_t heap_bytes;
	uint32_t event_bytes;
	struct pulse__events *events;	/* or NULL; events.h */

	/* a row is a node: nodes[row] is its number */
	unsigned int nr_nodes;
	int *nodes;
	uint16_t *order;	/* [row][k]: the rows, nearest first, itself first */

	/* bit i of a row: worker i of that node parks, or is about to */
	uint64_t *idle;
	unsigned int idle_words;

	pthread_mutex_t lock;	/* giving out and reclaiming slots */
	uint32_t live;		/* slots taken */
	uint32_t rover;		/* where the next free slot is looked for */

	struct pulse__nodes *sys;	/* user backend: CPUs to nodes */
};

struct pulse_event;
struct pulse_watch_opts;

/**
 * struct pulse__backend_ops - what the kernel and the user backend do each in
 * their own way
 * @name: "kernel" or "user"
 * @kind: enum pulse_backend_kind
 * @open: sizes are set in the context; fill in fd, shared pages, nodes and
 *	idle bitmap. On failure @close is called.
 * @attach: as @open, for a duplicate of another process's descriptor; sets the
 *	sizes too. NULL: there is no such thing.
 * @close: give back what @open or @attach made, also a part of it. In a forked child
 *	(@forked) the pages are not there: give back the rest.
 * @worker_add: register the calling thread; its index and home row
 * @worker_del: the calling thread's; no failure that matters
 * @alive: is the slot's thread still there? Called under ctx->lock.
 * @reclaim: its thread is gone without unregistering. Under ctx->lock.
 * @park: sleep while the park word is @word and no permit is there
 * @handoff: @wake of @target, whose word the caller moved, then @park
 * @yield_to: let that thread run in place of the caller
 * @wake: give a permit to each; the caller moved their words to NOTIFIED
 * @outside: the calling worker sleeps at its bell from now on, or no more; or
 *	NULL: the backend sees that by itself
 * @wake_node: as pulse_worker_wake_node(), or NULL: it is done with the idle
 *	bitmap and @wake. Somebody is idle, barrier (A) is done.
 * @state: fill in @out, all zero but its sz
 * @beat: begin (@period_ns) or end (0) the calling worker's heartbeat;
 *	@listens: as pulse__worker_listen()
 * @hint: nice value and PULSE_CLASS_* of a worker of this process; or NULL
 */
struct pulse__backend_ops {
	const char *name;
	int kind;
	int (*open)(struct pulse_ctx *ctx);
	int (*attach)(struct pulse_ctx *ctx, int fd);
	void (*close)(struct pulse_ctx *ctx, bool forked);
	int (*worker_add)(struct pulse_ctx *ctx, int node, uint64_t cookie,
			  uint32_t *index, uint32_t *row);
	void (*worker_del)(struct pulse_ctx *ctx, uint32_t index);
	bool (*alive)(struct pulse_ctx *ctx, const struct pulse__slot *slot);
	void (*reclaim)(struct pulse_ctx *ctx, uint32_t index);
	int (*park)(struct pulse_ctx *ctx, uint32_t index, uint32_t word,
		    int64_t deadline_ns);
	int (*handoff)(struct pulse_ctx *ctx, uint32_t index, uint32_t target,
		       uint32_t word, int64_t deadline_ns);
	int (*yield_to)(struct pulse_ctx *ctx, uint32_t index);
	void (*wake)(struct pulse_ctx *ctx, const uint32_t *indices,
		     unsigned int nr);
	void (*outside)(struct pulse_ctx *ctx, uint32_t index, bool begins);
	int (*wake_node)(struct pulse_ctx *ctx, uint32_t row, unsigned int nr,
			 bool spill);
	int (*state)(struct pulse_ctx *ctx, const struct pulse__slot *slot,
		     struct pulse_worker_state *out);
	/* Events: the first two on a context that has some, the others under its
	 * events' lock. event_next: 1 or 0. watch: an id or -errno. */
	int (*events_open)(struct pulse_ctx *ctx);
	void (*events_close)(struct pulse_ctx *ctx, bool forked);
	int (*events_signal)(struct pulse_ctx *ctx, int fd);
	int (*event_next)(struct pulse_ctx *ctx, struct pulse_event *out);
	int (*watch)(struct pulse_ctx *ctx, uint32_t kind, int target,
		     const struct pulse_watch_opts *opts);
	int (*unwatch)(struct pulse_ctx *ctx, int id);
	int (*beat)(struct pulse_ctx *ctx, struct pulse__slot *slot,
		    uint64_t period_ns, bool listens);
	int (*hint)(struct pulse_ctx *ctx, uint32_t index, int nice,
		    uint32_t sched_class);
};

extern const struct pulse__backend_ops pulse__kernel_ops;
extern const struct pulse__backend_ops pulse__user_ops;

/* ---- choose.c, probe.c ------------------------------------------------- */

/* What looking for the module found. Texts are static. */
struct pulse__probe {
	int err;		/* 0 or a negative errno */
	const char *reason;
	const char *fix;
	uint32_t abi;
	uint64_t features;
};

/* At which step it failed; the same errno means something else at each. */
enum pulse__probe_step {
	PULSE__PROBE_OPEN,
	PULSE__PROBE_INFO,
};

/* Looks at a device node; @path is PULSE_DEVICE_PATH outside of tests. */
int pulse__probe(const char *path, struct pulse__probe *out);
/* Names a failure of a step. */
void pulse__probe_explain(enum pulse__probe_step step, int err,
			  struct pulse__probe *out);
/* Is what a module says of itself enough for this library? */
int pulse__probe_judge(const struct pulse_info *info, struct pulse__probe *out);
/* The backend of this process, choosing it if need be. */
int pulse__backend_ops(const struct pulse__backend_ops **ops,
		       uint64_t *features);

/* ---- ctx.c ------------------------------------------------------------- */

/* Slots for ctx->max_workers. 0 or -ENOMEM. */
int pulse__ctx_slots(struct pulse_ctx *ctx);
/* Rows by distance: fills ctx->order from @dist[nr_nodes][nr_nodes]. */
int pulse__ctx_order(struct pulse_ctx *ctx, const uint8_t *dist);
/* Row of a node number, or -1. */
int pulse__ctx_row(const struct pulse_ctx *ctx, int node);

/* 0, -EINVAL or -EOWNERDEAD: may this context be used here? */
static inline int pulse__ctx_check(const struct pulse_ctx *ctx)
{
	if (unlikely(!ctx))
		return -EINVAL;
	pulse__obj_check(ctx, PULSE__CTX_MAGIC, "struct pulse_ctx");
	if (pulse__forked(ctx->fork_gen))
		return -EOWNERDEAD;
	return 0;
}

/*
 * Has a slot a thread that can still do something? DEAD: it is off its CPU for
 * the last time. Seq_cst for salvage.c, whose order it is part of.
 */
static inline bool pulse__kstate_lives(const struct pulse_kstate *ks)
{
	uint32_t state = __atomic_load_n(&ks->state, __ATOMIC_SEQ_CST);

	return state != PULSE_STATE_FREE && state != PULSE_STATE_DEAD;
}

/* ---- worker.c ---------------------------------------------------------- */

/* The calling thread's own slot, or NULL and why in *@err. */
struct pulse__slot *pulse__own_slot(struct pulse_ctx *ctx, int index, int *err);
/* Takes the slots of threads that ended unseen; the number of live ones left. */
uint32_t pulse__reap(struct pulse_ctx *ctx);
bool pulse__worker_live(struct pulse_ctx *ctx, uint32_t index);

/* ---- salvage.c: contexts of several processes --------------------------- */

/* The index may have been another process's. Under ctx->lock, by its owner. */
void pulse__salvage_adopt(struct pulse_ctx *ctx, struct pulse__slot *slot);
/* Has any worker, of whichever process, announced that it parks? */
bool pulse__shared_any_parking(const struct pulse_ctx *ctx);

/* ---- events.c, user_events.c ------------------------------------------- */

int pulse__events_open(struct pulse_ctx *ctx);
void pulse__events_close(struct pulse_ctx *ctx, bool forked);
/* A slot of a thread that ended unseen is taken back. Under ctx->lock. */
void pulse__events_reaped(struct pulse_ctx *ctx, const struct pulse__slot *slot);

/* ---- park.c ------------------------------------------------------------ */

/* Does any worker of the set park? NULL: all workers. After barrier (A). */
bool pulse__any_idle(const struct pulse_ctx *ctx, const uint64_t *set);

/**
 * pulse__park_retire() - take back what a worker that leaves announced
 * @ctx: the context, its lock is held
 * @slot: the calling thread's, or that of a thread that ended
 *
 * Nobody can notify this word any more, and its idle bit is clear.
 */
void pulse__park_retire(struct pulse_ctx *ctx, struct pulse__slot *slot);

/**
 * pulse__worker_bell() - the calling worker may sleep elsewhere from now on
 * @ctx: the context
 * @index: the calling worker
 * @fd: an eventfd, which stays the caller's: the context keeps a duplicate
 *
 * Called again, the new eventfd takes the place of the old one.
 *
 * Return: 0; -EOPNOTSUPP a shared context; -EMFILE; -ESRCH; -EPERM.
 */
int pulse__worker_bell(struct pulse_ctx *ctx, int index, int fd);
void pulse__bells_close(struct pulse_ctx *ctx);

/**
 * pulse__park_begin() - pulse_worker_park() up to the sleep
 * @ctx: the context
 * @index: the calling worker, which has a bell
 * @recheck: as for pulse_worker_park()
 * @arg: for @recheck
 *
 * Return: 1 @recheck found work: it does not park; 0 it does: the caller sleeps
 * until its bell is readable, or something else of its own is there, and calls
 * pulse__park_end(); -ESRCH; -EPERM.
 */
int pulse__park_begin(struct pulse_ctx *ctx, int index, pulse_recheck_fn recheck,
		      void *arg);
/* True: somebody woke it, and may rely on that. A full barrier. */
bool pulse__park_end(struct pulse_ctx *ctx, int index);

/**
 * pulse__park_pass_on() - wake one more, in place of a worker that left
 * @ctx: the context
 * @row: where the worker was at home
 *
 * A waker may have chosen the worker between its last look and its leaving;
 * the wake-up must not go with it. Models: selftests/spin/leave.pml.
 */
void pulse__park_pass_on(struct pulse_ctx *ctx, uint32_t row);

/**
 * pulse__wake_set() - pulse_worker_wake_node() among some workers only
 * @ctx: the context
 * @set: idle_words words, bit i: worker i may be chosen; NULL: all
 * @row: the node to begin with
 * @nr: how many at most
 * @spill: go on with the other nodes, nearest first
 *
 * Does not contain barrier (A): the caller had one after it published.
 *
 * Return: how many were parked and are woken.
 */
unsigned int pulse__wake_set(struct pulse_ctx *ctx, const uint64_t *set,
			     uint32_t row, unsigned int nr, bool spill);

/**
 * pulse__ctx_lost_fd() - the descriptor is gone; go on with futexes
 * @ctx: a context whose park answered -ECANCELED
 *
 * The pages outlive the descriptor, and the park word serves both backends.
 * For an owner that must not stop; says so in the log, once a context.
 */
void pulse__ctx_lost_fd(struct pulse_ctx *ctx);

/* ---- futex.c ----------------------------------------------------------- */

/*
 * How a worker of this process is scheduled. 0; -EOPNOTSUPP the backend has no
 * such thing; -EPERM and the like: as sched_setattr(2).
 */
int pulse__worker_hint(struct pulse_ctx *ctx, int index, int nice,
		       uint32_t sched_class);

/* Memory for others to map, of a size that stays; a descriptor or -errno. */
int pulse__memfd(off_t bytes);
int pulse__futex_wait(uint32_t *word, uint32_t value, int64_t deadline_ns);
int pulse__futex_wake(uint32_t *word, int nr);
int pulse__futex_prepare(struct pulse_ctx *ctx, uint32_t index, uint32_t word,
			 int64_t deadline_ns);
int pulse__futex_park(struct pulse_ctx *ctx, uint32_t index, uint32_t word,
		      int64_t deadline_ns);
void pulse__futex_unpark(struct pulse_ctx *ctx, const uint32_t *indices,
			 unsigned int nr);

/* ---- beat.c: heartbeats, and who makes them on the user backend --------- */

/*
 * As pulse_worker_beat(), for a worker that calls pulse__beat_heard() with each
 * count of beats that it has seen. Until it does the next beat may come late.
 */
int pulse__worker_listen(struct pulse_ctx *ctx, int index, uint64_t period_ns);

/* The next beat of a worker of the user backend comes after a period, not later. */
void pulse__beat_soon(struct pulse__slot *slot);

/*
 * Read by the kernel's timer, or the library's thread; either may be late. And
 * where beats had become rare on the user backend, they come as wished for again.
 */
static inline void pulse__beat_heard(struct pulse_ctx *ctx, int index,
				     uint64_t beats)
{
	WRITE_ONCE(ctx->uwork[index].heard, beats);
	if (unlikely(READ_ONCE(ctx->slots[index].beat_idle_ns)))
		pulse__beat_soon(&ctx->slots[index]);
}

/* It listens, but an eighth of the beats will do. */
static inline void pulse__beat_enough(struct pulse_ctx *ctx, int index,
				      uint64_t beats)
{
	WRITE_ONCE(ctx->uwork[index].heard, beats - 1);
}

/* 0; -EINVAL; -ENOMEM or -EAGAIN where the thread cannot be had. */
int pulse__beat_begin(struct pulse__slot *slot, uint64_t period_ns,
		      bool listens);
/* Also for a slot that does not beat, and under ctx->lock. */
void pulse__beat_end(struct pulse__slot *slot);

/* ---- nodes.c: what the user backend knows of NUMA ---------------------- */

struct pulse__nodes {
	unsigned int nr;	/* at least 1 */
	int *node;		/* [nr] numbers, ascending */
	uint8_t *dist;		/* [nr][nr], the kernel's, 10 = local */
	unsigned int nr_cpus;
	int16_t *cpu_node;	/* [nr_cpus] */
};

/* @root: "/sys/devices/system/node" outside of tests. */
int pulse__nodes_read(const char *root, struct pulse__nodes **out);
void pulse__nodes_free(struct pulse__nodes *n);
/* Node of a CPU; the first node where it is not known. */
int pulse__nodes_of_cpu(const struct pulse__nodes *n, unsigned int cpu);
/* "0-3,8": calls @fn with each number; false where the text is no list. */
bool pulse__parse_list(const char *text, unsigned int limit,
		       void (*fn)(unsigned int nr, void *arg), void *arg);

/* ---- proc.c: what /proc knows of a thread ------------------------------ */

struct pulse__proc {
	char state;		/* as in /proc/<pid>/stat, 0 = not known */
	uint32_t cpu;
	uint64_t run_ns;
	uint64_t wait_ns;
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t migrations;	/* 0 where the kernel does not tell */
};

/* 0; -ESRCH no such thread; -ENOENT no /proc. */
int pulse__proc_read(int tid, struct pulse__proc *out);
/* pulse_worker_state() out of /proc; @parked: it says so itself. */
int pulse__proc_state(struct pulse_ctx *ctx, const struct pulse__slot *slot,
		      struct pulse_worker_state *out);
/* Sets the slot's base_* to now. */
void pulse__proc_base(struct pulse__slot *slot);

#endif /* PULSE__BACKEND_H */

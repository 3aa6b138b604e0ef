/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * sup_int.h - a tree of supervisors from the inside.
 *
 * One *engine* a tree: a lock, a thread, a wheel of timers. Everything below
 * is protected by the engine's lock, but for the words that say otherwise.
 *
 * The tree is changed by its *driver* alone, the one thread that is inside of
 * pulse__drive(): mostly the engine's own thread, but also whoever reports an
 * exit or calls in while nobody drives. The driver gives up the lock around
 * each operation of a child (ops), and nothing moves meanwhile: others read,
 * and leave work in the inbox, the lists of commands and the flags of a
 * supervisor. What must happen on the engine's thread (whatever is not
 * PULSE_CHILD_OPS_INLINE) makes another driver stop and wake that thread.
 *
 * A supervisor does one *plan* at a time: stop some children in reverse, then
 * start some in order. Exits that come meanwhile wait, as in OTP's mailbox. A
 * plan that must wait returns; it is taken up again when a child's status moves.
 *
 * Lifetimes: an incarnation (struct pulse_child) is held by its entry and by
 * whoever runs it, and holds the spec and the engine's memory. A thread that
 * even force did not end keeps its incarnation and nothing else.
 */
#ifndef PULSE__SUP_INT_H
#define PULSE__SUP_INT_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include <pulse-u/poller.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/timer.h>

#include "base/base.h"
#include "base/list.h"

#define PULSE__SUP_MAGIC	0x50555350U	/* "PSUP" */
#define PULSE__MAX_RESTARTS	65535
#define PULSE__MAX_RLIMITS	16

/* From an operation that only the engine's thread may do: it is asked to. */
#define PULSE__ELSEWHERE	3

struct pulse__entry;
struct pulse__doctor;

/* A spec as we keep it; constant, but for the references. */
struct pulse__spec {
	struct pulse_child_spec s;	/* its pointers lead to copies */
	const struct pulse_child_ops *ops;
	uint32_t refs;			/* atomic */
	struct pulse_child_rlimit rlimits[PULSE__MAX_RLIMITS];
	bool owns_arg;			/* ops->free is to be called at the end */
};

struct pulse__engine {
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* a command is done, a root ended */
	uint32_t refs;			/* atomic: the root, incarnations */
	bool driving;
	bool stop;
	bool want_thread;		/* work that only the thread may do */
	bool kicked;		/* the clock has moved: who drives looks once more */
	bool thread_up;
	pthread_t driver;		/* while driving */
	pthread_t thread;
	pid_t pid;			/* of the process, for its children */
	sigset_t mask;			/* for children: the starter's */
	int64_t sleep_until;		/* the thread; INT64_MIN: it is awake */
	struct pulse__list run;		/* supervisors that may get on */
	struct pulse__list inbox;	/* incarnations that ended or are ready */
	struct pulse__list watched;	/* incarnations that the module knows */
	struct pulse_timers *timers;
	struct pulse_poller *poller;
	int64_t (*now)(void *arg);
	void *now_arg;
	struct pulse_ctx *ctx;		/* or NULL; constant while threads run */
	bool own_ctx;
	bool verdicts;			/* the module watches workers */
	uint64_t events_id;		/* of the poller */
	uint64_t serial;		/* of incarnations */
	struct pulse__doctor *doctor;	/* health.c */
	struct pulse_child *spare;	/* atomic; memory for an incarnation */
	int64_t moment;			/* see pulse__engine_moment() */
};

/* Bits of pulse_child.posted. */
#define PULSE__POST_READY	(1U << 0)
#define PULSE__POST_EXIT	(1U << 1)
#define PULSE__POST_HEALTH	(1U << 2)	/* a check ended */
#define PULSE__POST_MEMORY	(1U << 3)	/* over its limit */
#define PULSE__POST_HANG	(1U << 4)	/* the module's verdict */

/* Of pulse_child.stopping, which is also a futex. */
enum { PULSE__GO = 0, PULSE__ASKED = 1, PULSE__FORCED = 2 };

struct pulse__block;

struct pulse_child {
	uint32_t refs;			/* atomic */
	uint32_t stopping;		/* atomic; the driver writes */
	uint64_t beats;			/* atomic; the child writes */
	uint32_t waiting;		/* atomic; in pulse_child_wait() */
	int32_t tid;			/* atomic */
	struct pulse__engine *e;
	struct pulse__spec *spec;
	struct pulse__entry *entry;	/* NULL: given up */
	uint64_t number;
	uint64_t serial;
	void *data;			/* the kind's own */
	void *left;			/* the state, of one that was given up */
	void (*left_free)(void *state);

	struct pulse__list post;	/* in e->inbox */
	uint32_t posted;
	bool exited;
	bool healthy;			/* what the check said */
	struct pulse_exit why;
	uint32_t verdict;

	/* pulse_child_alloc(): under mem_lock, which is a leaf. */
	pthread_mutex_t mem_lock;
	struct pulse__block *blocks;
	uint64_t mem_bytes;		/* atomic reads */

	/* thread */
	pthread_t thread;
	bool joinable;
	int worker;			/* its index in e->ctx, or -1 */
	struct pulse__list watched;	/* in e->watched */
	bool hang_watch;		/* atomic; the module gives verdicts */

	struct pulse__list check;	/* with a doctor, under its lock */

	/* process; what the forked side uses is set before the fork */
	pid_t pid;
	int pidfd;
	int ctl;			/* our end of its pipe, or -1 */
	uint64_t pidfd_id, ctl_id;
	bool in_child;
	int child_ctl;			/* its end, in the child */
	struct pulse_ctx *child_ctx;	/* in the child: where it is a worker */
	int64_t oom_kills;		/* of its cgroup, at the start */
	int watch;			/* of the module, or 0 */
	int hang_id;			/* likewise, of its worker */
	bool unwaited;			/* it ended, and could not be waited for */
	bool told;			/* the module said how: in why */
};

struct pulse__entry {
	struct pulse__list link;	/* sup->children, in the order of start */
	struct pulse__entry *hash_next;
	struct pulse_sup *sup;
	struct pulse__spec *spec;
	struct pulse_child *inc;	/* lives, or NULL */
	int status;			/* enum pulse_child_status */
	bool start_failed;		/* the plan's start of it */
	bool counted;			/* its restart is in the budget already */
	bool forced;
	bool checking;			/* a health check is under way */
	bool ended;			/* in sup->exits: not dealt with yet */
	uint32_t verdict;		/* enum pulse_exit_kind that we decided on */
	uint32_t level;			/* of the backoff */
	struct pulse__list on_list;	/* in sup->exits or sup->retries */
	struct pulse_timer timer;	/* by status: start, stop or restart */
	struct pulse_timer tick;	/* health and memory */
	struct pulse_timer check;	/* a health check's time is up */
	struct pulse_timer hang;
	uint64_t beats_seen;
	int64_t beats_at;
	struct pulse_exit last_exit;
	uint64_t number;
	uint64_t restarts;
	int64_t started_ns;
	uint64_t rss_bytes;
	void *state;
	void (*state_free)(void *state);
};

enum pulse__plan_kind {
	PULSE__PLAN_NONE,
	PULSE__PLAN_START,		/* all, for the first time */
	PULSE__PLAN_START_ONE,		/* for a command */
	PULSE__PLAN_RESTART,
	PULSE__PLAN_STOP_ONE,		/* for a command */
	PULSE__PLAN_END,		/* stop all, and end */
};

struct pulse__plan {
	enum pulse__plan_kind kind;
	bool starting;			/* else stopping */
	bool single;			/* nobody but one */
	bool at_once;			/* stop all without waiting for each */
	int64_t delay_ns;		/* of a restart: stop now, start then */
	struct pulse__list *at;		/* the next one */
	struct pulse__list *end;	/* not this one any more */
	struct pulse__entry *one;	/* the only one, or the one that failed */
	struct pulse__cmd *cmd;
};

enum pulse__cmd_kind {
	PULSE__CMD_START,
	PULSE__CMD_START_CHILD,
	PULSE__CMD_TERMINATE,
	PULSE__CMD_DELETE,
	PULSE__CMD_RESTART,
};

struct pulse__cmd {
	struct pulse__list link;
	enum pulse__cmd_kind kind;
	const char *id;
	struct pulse__entry *entry;	/* START_CHILD: prepared by the caller */
	int err;
	bool done;
};

enum pulse__sup_state {
	PULSE__SUP_IDLE,		/* not started, or stopped */
	PULSE__SUP_STARTING,
	PULSE__SUP_RUNNING,
	PULSE__SUP_ENDING,
	PULSE__SUP_ENDED,		/* by itself; a root only */
};

struct pulse_sup {
	uint32_t magic;
	uint32_t fork_gen;
	struct pulse__engine *e;	/* of the tree it is in */
	struct pulse__engine *own;	/* for as long as it is in none */
	struct pulse_sup_opts o;
	char name[64];
	struct pulse__entry *parent;	/* or NULL: a root */
	struct pulse_sup *above;	/* the parent's supervisor */
	bool adopted;			/* is in somebody's spec */
	enum pulse__sup_state state;
	bool queued;			/* in e->run */
	struct pulse__list run_link;
	struct pulse__plan plan;
	struct pulse__list cmds;
	struct pulse__list children;
	struct pulse__list exits;	/* to be dealt with */
	struct pulse__list retries;	/* starts to be tried again */
	struct pulse__entry **hash;
	uint32_t hash_size;		/* a power of two, or 0 */
	uint32_t nr_children;
	uint32_t nr_running;
	uint32_t nr_live;		/* with an incarnation */
	uint32_t nr_specs;		/* of the start; specs[] */
	uint32_t specs_room;
	struct pulse__spec **specs;
	uint64_t dyn_serial;		/* of simple_one_for_one */

	bool want_start;		/* by its parent */
	bool want_end;
	bool brutal;			/* end by force */
	bool late;			/* the time of the shutdown is over */
	int64_t end_within_ns;		/* of a root: asked for, or 0 */
	bool monitor;			/* of a root */
	struct pulse_exit end_why;
	int start_err;
	struct pulse_timer deadline;	/* of a root's shutdown */

	/* restarts within the period: the last max + 1, oldest first */
	int64_t *times;
	uint32_t times_room, times_head, times_nr;
	uint64_t rng;

	int64_t started_ns;
	int64_t last_failure_ns;
	uint64_t total_restarts, failures, kills, abandoned;
};

/* ---- engine.c ------------------------------------------------------------ */

int pulse__engine_create(const struct pulse_sup_opts *o,
			 struct pulse__engine **out);
void pulse__engine_get(struct pulse__engine *e);
void pulse__engine_put(struct pulse__engine *e);
/* Starts the thread, if it does not run. Called by a starter of a root. */
int pulse__engine_up(struct pulse__engine *e, const struct pulse_sup_opts *o);
void pulse__engine_down(struct pulse__engine *e);
static inline int64_t pulse__engine_now(const struct pulse__engine *e)
{
	return e->now ? e->now(e->now_arg) : pulse_now_ns();
}

/*
 * The driver's: the time, read once for as long as it keeps the lock. For what a
 * restart writes down; nothing that takes long lies between.
 */
static inline int64_t pulse__engine_moment(struct pulse__engine *e)
{
	if (e->now || !e->moment)
		e->moment = pulse__engine_now(e);
	return e->moment;
}

/* After the driver gave up the lock. */
static inline void pulse__relock(struct pulse__engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->moment = 0;
}

/* Under the lock: does what there is to do, if nobody is at it. */
void pulse__drive(struct pulse__engine *e);
/* Likewise; the clock was just read, CLOCK_MONOTONIC. */
void pulse__drive_at(struct pulse__engine *e, int64_t now_ns);
/* Wakes the thread, under the lock or not. */
void pulse__engine_kick(struct pulse__engine *e);
bool pulse__on_thread(const struct pulse__engine *e);
/* The supervisor may get on; under the lock. */
void pulse__sup_wake(struct pulse_sup *sup);
/* Tells the driver something of an incarnation; under the lock. */
void pulse__post(struct pulse_child *inc, uint32_t bits);
/* The same from outside, and drives. */
void pulse__post_drive(struct pulse_child *inc, uint32_t bits);
/* Is the caller inside of an operation of this tree? Under the lock. */
bool pulse__in_driver(const struct pulse__engine *e);
void pulse__timer_arm(struct pulse__engine *e, struct pulse_timer *t,
		      int64_t delay_ns, int64_t period_ns);
void pulse__timer_off(struct pulse__engine *e, struct pulse_timer *t);

/* ---- spec.c -------------------------------------------------------------- */

int pulse__spec_create(const struct pulse_sup *sup,
		       const struct pulse_child_spec *spec,
		       struct pulse__spec **out);
/* For simple_one_for_one: the template with another id and arg. */
int pulse__spec_derive(struct pulse__spec *from, uint64_t number, void *arg,
		       struct pulse__spec **out);
void pulse__spec_get(struct pulse__spec *spec);
void pulse__spec_put(struct pulse__spec *spec);

/* ---- child.c: incarnations ------------------------------------------------ */

/* Whose thread this is, or NULL. */
extern __thread struct pulse_child *pulse__child_current
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* With two references: the entry's, and that of who runs it. */
struct pulse_child *pulse__child_create(struct pulse__entry *en);
void pulse__child_get(struct pulse_child *inc);
void pulse__child_put(struct pulse_child *inc);

/* ---- entry.c: children of a supervisor ------------------------------------ */

struct pulse__entry *pulse__entry_create(struct pulse_sup *sup,
					 struct pulse__spec *spec);
/* In no list, nothing lives. Gives up the lock for the owner's functions. */
void pulse__entry_destroy(struct pulse__entry *en);
int pulse__entry_add(struct pulse_sup *sup, struct pulse__entry *en);
void pulse__entry_remove(struct pulse__entry *en);
struct pulse__entry *pulse__entry_find(const struct pulse_sup *sup,
				       const char *id);
/*
 * By the driver. 0 runs, or will (its status tells); PULSE_CHILD_IGNORE;
 * PULSE__ELSEWHERE; -errno.
 */
int pulse__entry_start(struct pulse__entry *en);
void pulse__entry_stop(struct pulse__entry *en);
/* It must go, and will be dealt with as if it had failed. */
void pulse__entry_condemn(struct pulse__entry *en, enum pulse_exit_kind why,
			  uint32_t verdict);
/* What a posted incarnation has to say. */
void pulse__entry_posted(struct pulse_child *inc);
/* Its end is dealt with: nothing of it is queued, it is just not running. */
void pulse__entry_settle(struct pulse__entry *en);
/* What lives is ended by force, in a supervisor that ends. */
void pulse__entry_force(struct pulse__entry *en);
void pulse__entry_status(struct pulse__entry *en, int status);

/* ---- plan.c: what a supervisor does --------------------------------------- */

/* Goes on for as long as it can. By the driver. */
void pulse__sup_run(struct pulse_sup *sup);
/* Asks a supervisor to end, by the driver; a parent is told of it. */
void pulse__sup_end(struct pulse_sup *sup, bool brutal);
/* It and all supervisors below may get on. */
void pulse__wake_below(struct pulse_sup *sup);
/* Of one that was not started: the child that was added last. */
void pulse__sup_forget_last(struct pulse_sup *sup);
/* Nobody refers to it any more. */
void pulse__sup_free(struct pulse_sup *sup);
void pulse__tell(struct pulse_sup *sup, int event, const char *id,
		 const struct pulse_exit *why);

/* ---- restart.c: how often, and when ---------------------------------------- */

/* One more restart: is the intensity exceeded? */
bool pulse__restart_too_many(struct pulse_sup *sup);
uint32_t pulse__restarts_in_period(struct pulse_sup *sup);
/* How long to wait before this restart. */
int64_t pulse__restart_delay_ns(struct pulse__entry *en);

/* ---- kinds ----------------------------------------------------------------- */

extern const struct pulse_child_ops pulse__thread_ops;
extern const struct pulse_child_ops pulse__process_ops;
extern const struct pulse_child_ops pulse__nested_ops;

/* thread.c: the thread is gone, or is given up. */
void pulse__thread_reap(struct pulse_child *inc, bool gone);
/* It ended without telling (a bare exit system call)? */
bool pulse__thread_vanished(struct pulse_child *inc);
/* process.c: all is closed. On the engine's thread. */
void pulse__process_reap(struct pulse_child *inc);
/* With the lock: it ended, could not be waited for, and is over now. */
void pulse__process_unwaited(struct pulse_child *inc);
uint64_t pulse__process_rss(const struct pulse_child *inc);

/* spawn.c: the child's side of a process. */
struct pulse__spawn {
	struct pulse_child *inc;
	const struct pulse_child_spec *s;
	char **argv, **envp;
	int cgroup_fd;			/* cgroup.procs, or -1 */
	int report_fd;			/* errors go there, or -1 */
	int err;			/* written by a vforked child */
	pid_t parent;
	sigset_t mask;
};
pid_t pulse__spawn_program(struct pulse__spawn *sp);
pid_t pulse__spawn_function(struct pulse__spawn *sp);
void pulse__set_priority(int priority, struct pulse_ctx *ctx, int worker);
/* A forked child's side of pulse_child_*(). */
int pulse__forked_say(struct pulse_child *self, char what);
int pulse__forked_wait(struct pulse_child *self, int64_t deadline_ns);

/* ---- watch.c: hangs, memory, the module's events ---------------------------- */

int pulse__watch_open(struct pulse__engine *e, const struct pulse_sup_opts *o);
void pulse__watch_close(struct pulse__engine *e);
void pulse__watch_begin(struct pulse__entry *en);
void pulse__watch_end(struct pulse__entry *en);
/* Its worker is @index: have the module's verdict. The watch, or 0: none. */
int pulse__watch_hangs(struct pulse_child *inc, int index);
/* With the lock: a forked child said that it is a worker. */
void pulse__watch_forked(struct pulse_child *inc);
void pulse__watch_forget(struct pulse_child *inc);
void pulse__watch_init(struct pulse__entry *en);

/* ---- health.c ---------------------------------------------------------------- */

int pulse__health_submit(struct pulse__engine *e, struct pulse_child *inc);
/* The check has not come back: leave its thread behind. False: it did not begin. */
bool pulse__health_stuck(struct pulse__engine *e, struct pulse_child *inc);
void pulse__health_close(struct pulse__engine *e);

#endif /* PULSE__SUP_INT_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * child.h - what a supervisor looks after: threads, processes, supervisors,
 * and whatever else brings its own table of operations (an actor, say).
 *
 * A child is described once, by a struct pulse_child_spec, and lives many
 * times: each start makes a new *incarnation*, a struct pulse_child, which the
 * child's function is given. Restart types, shutdown and significance mean
 * what they mean in Erlang/OTP's supervisor (OTP Design Principles, chapter
 * "Supervisor Behaviour").
 */
#ifndef PULSE_U_CHILD_H
#define PULSE_U_CHILD_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_child;
struct pulse_sup;

/* ---- how a child ended --------------------------------------------------- */

/**
 * enum pulse_exit_kind - why an incarnation ended
 * @PULSE_EXIT_NONE: it did not end
 * @PULSE_EXIT_NORMAL: returned 0, exited with 0
 * @PULSE_EXIT_SHUTDOWN: ended because it was asked to, or returned -ESHUTDOWN;
 *	a supervisor: shut down, by itself or by its own supervisor
 * @PULSE_EXIT_CODE: exited with another code, which is in code
 * @PULSE_EXIT_SIGNAL: a signal ended the process, which is in signal
 * @PULSE_EXIT_KILLED: its supervisor ended it by force: brutal kill, or it
 *	did not end in its time
 * @PULSE_EXIT_HANG: ended by its supervisor, because it did not get on
 * @PULSE_EXIT_MEMORY: ended by its supervisor, because it took too much memory
 * @PULSE_EXIT_HEALTH: ended by its supervisor, because a health check failed
 * @PULSE_EXIT_OOM: the kernel ended it when its cgroup ran out of memory
 * @PULSE_EXIT_START: it could not be started; code is a negative errno
 * @PULSE_EXIT_LOST: it ended, and somebody else took its exit status (SIGCHLD
 *	ignored, a wait() for any child); with the module the reason is known all
 *	the same
 *
 * NORMAL and SHUTDOWN are not failures: a transient child is not restarted.
 */
enum pulse_exit_kind {
	PULSE_EXIT_NONE = 0,
	PULSE_EXIT_NORMAL = 1,
	PULSE_EXIT_SHUTDOWN = 2,
	PULSE_EXIT_CODE = 3,
	PULSE_EXIT_SIGNAL = 4,
	PULSE_EXIT_KILLED = 5,
	PULSE_EXIT_HANG = 6,
	PULSE_EXIT_MEMORY = 7,
	PULSE_EXIT_HEALTH = 8,
	PULSE_EXIT_OOM = 9,
	PULSE_EXIT_START = 10,
	PULSE_EXIT_LOST = 11,
};

/* pulse_exit.flags */
#define PULSE_EXIT_CORE		(1U << 0) /* the process left a core dump */
#define PULSE_EXIT_TOO_MANY	(1U << 1) /* supervisor: too many restarts */
#define PULSE_EXIT_AUTO		(1U << 2) /* supervisor: its significant children ended */
#define PULSE_EXIT_MODULE	(1U << 3) /* of a process, as the module told: it could not be waited for */

/**
 * struct pulse_exit - how an incarnation ended
 * @kind: enum pulse_exit_kind
 * @code: what its function returned or the process exited with
 * @signal: that ended the process, also where the kind is another one; or 0
 * @flags: PULSE_EXIT_CORE and the like
 * @verdict: of a hang: PULSE_HANG_* of <linux/pulse.h> where the module saw
 *	it, 0 where a deadline passed
 * @reserved: 0
 * @time_ns: CLOCK_MONOTONIC
 */
struct pulse_exit {
	uint32_t kind;
	int32_t code;
	int32_t signal;
	uint32_t flags;
	uint32_t verdict;
	uint32_t reserved;
	int64_t time_ns;
};

/**
 * pulse_exit_text() - a reason in words
 * @why: the reason
 * @buf: out: "killed by SIGSEGV (core dumped)", always terminated
 * @bytes: room in @buf
 *
 * Return: the length of the text without a bound, as snprintf(); -EINVAL.
 */
PULSE_API int pulse_exit_text(const struct pulse_exit *why, char *buf,
			      size_t bytes);

/* ---- what a child is ----------------------------------------------------- */

enum pulse_child_restart {
	PULSE_CHILD_PERMANENT = 0,	/* always restarted; the default */
	PULSE_CHILD_TRANSIENT = 1,	/* only after a failure */
	PULSE_CHILD_TEMPORARY = 2,	/* never, and forgotten when it ends */
};

enum pulse_child_kind {
	PULSE_CHILD_THREAD = 0,		/* fn on a thread of its own; the default */
	PULSE_CHILD_PROCESS = 1,	/* fn in a forked child, or a program */
	PULSE_CHILD_SUPERVISOR = 2,	/* another supervisor */
	PULSE_CHILD_OPS = 3,		/* what ops says */
};

/*
 * Hints, each best effort: nice values -10, -5, 0, 5 and 19, the last in class
 * BATCH; of threads by the module's HINT where there is one.
 */
enum pulse_child_priority {
	PULSE_CHILD_PRIO_NORMAL = 0,
	PULSE_CHILD_PRIO_CRITICAL = 1,
	PULSE_CHILD_PRIO_HIGH = 2,
	PULSE_CHILD_PRIO_LOW = 3,
	PULSE_CHILD_PRIO_BATCH = 4,
};

/* pulse_child_spec.shutdown_ms; positive values are milliseconds. */
#define PULSE_SHUTDOWN_BRUTAL	(-1)	/* end it by force at once */
#define PULSE_SHUTDOWN_INFINITY	(-2)	/* wait for as long as it takes */

/* pulse_child_spec.flags */
#define PULSE_CHILD_SIGNIFICANT	(1U << 0) /* see enum pulse_auto_shutdown */
#define PULSE_CHILD_READY	(1U << 1) /* started once it said pulse_child_ready() */
#define PULSE_CHILD_CANCEL	(1U << 2) /* thread: force is pthread_cancel() */
#define PULSE_CHILD_GROUP	(1U << 3) /* process: leads a process group; signals go to it */
#define PULSE_CHILD_CATCH_STOP	(1U << 4) /* forked fn: SIGTERM sets pulse_child_stopping() */
#define PULSE_CHILD_NO_NEW_PRIVS (1U << 5) /* process: prctl(PR_SET_NO_NEW_PRIVS) */

/* A function of the ops, or the start of one, that has nothing to run. */
#define PULSE_CHILD_IGNORE	1
/* It will say pulse_child_ready() or pulse_child_exited() later. */
#define PULSE_CHILD_PENDING	2

/**
 * typedef pulse_child_fn - what a thread or a forked process runs
 * @self: this incarnation; valid until the function returns
 * @arg: as in the spec
 *
 * Should look at pulse_child_stopping() now and then, or sleep in
 * pulse_child_wait(). A thread may also end by pthread_exit(): PULSE_EXIT_CODE
 * with code -ECANCELED.
 *
 * Return: 0 normal; -ESHUTDOWN as asked; anything else is a failure, and the
 * code. A forked child's exit code has 8 bits: -ESHUTDOWN becomes 0, other
 * negative values 255.
 */
typedef int (*pulse_child_fn)(struct pulse_child *self, void *arg);

/**
 * typedef pulse_health_fn - is the child well?
 * @self: the incarnation, which may be ending meanwhile
 * @arg: as in the spec
 *
 * Runs on a thread of the supervisor's that is there for health checks; one
 * that does not return in health_timeout_ms is a failed one.
 *
 * Return: true it is.
 */
typedef bool (*pulse_health_fn)(struct pulse_child *self, void *arg);

/**
 * struct pulse_child_ops - children of another kind
 * @sz: sizeof(struct pulse_child_ops)
 * @name: of the kind, static
 * @flags: PULSE_CHILD_OPS_INLINE or 0
 * @reserved: 0
 * @start: begin an incarnation; it is @arg's to hold from here until
 *	pulse_child_exited(), which may come before this returns. Return 0 it
 *	runs; PULSE_CHILD_PENDING; PULSE_CHILD_IGNORE; or a negative errno. After
 *	the last two pulse_child_exited() must not be called.
 * @stop: ask the incarnation to end; must not wait for it. May come when it
 *	is ending by itself.
 * @kill: end it by force, soon; NULL: @stop
 * @free: the child is deleted; NULL: nothing to do
 *
 * Called by one thread at a time for all of a tree of supervisors, without a
 * lock held, @free excepted. They must not call pulse_sup_*() on the same tree:
 * these answer -EDEADLK there, but for queries.
 */
struct pulse_child_ops {
	size_t sz;
	const char *name;
	uint32_t flags;
	uint32_t reserved;
	int (*start)(struct pulse_child *self, void *arg);
	void (*stop)(struct pulse_child *self, void *arg);
	void (*kill)(struct pulse_child *self, void *arg);
	void (*free)(void *arg);
};

/*
 * The operations are quick and may run on whatever thread reports an exit or
 * calls the supervisor: a restart then costs no switch of threads.
 */
#define PULSE_CHILD_OPS_INLINE	(1U << 0)

/* One limit of a process, as setrlimit(). */
struct pulse_child_rlimit {
	int32_t resource;	/* RLIMIT_* */
	uint32_t reserved;
	uint64_t soft;
	uint64_t hard;
};

/**
 * struct pulse_child_spec - a child of a supervisor
 * @sz: sizeof(struct pulse_child_spec)
 * @id: its name, unique in its supervisor, at most 255 bytes; copied. A
 *	supervisor that is simple_one_for_one appends a number.
 * @kind: enum pulse_child_kind
 * @restart: enum pulse_child_restart
 * @shutdown_ms: how long it may take to end when it is asked to, 1 to
 *	2^31 - 1; PULSE_SHUTDOWN_BRUTAL; PULSE_SHUTDOWN_INFINITY; default 5000,
 *	and infinity for a supervisor
 * @priority: enum pulse_child_priority
 * @flags: PULSE_CHILD_SIGNIFICANT and the like
 * @start_timeout_ms: with PULSE_CHILD_READY: when a start has failed; default:
 *	never
 * @fn: what it runs; of a process only where @path is NULL
 * @arg: for @fn, @health and the ops
 * @ops: of PULSE_CHILD_OPS; must stay valid
 * @supervisor: of PULSE_CHILD_SUPERVISOR: made, not started; becomes the
 *	parent's if the call that was given the spec returns 0
 * @path: program of a process; no search in PATH; copied
 * @argv: its arguments, NULL at their end; default @path alone; copied
 * @envp: its environment, copied; default: the process's as it is at the start
 * @max_memory_bytes: 0: no limit. A process: resident memory, looked at each
 *	@health_interval_ms, by the module where there is one. A thread: what
 *	pulse_child_alloc() gave.
 * @health: NULL: none
 * @health_interval_ms: default 1000
 * @health_timeout_ms: default @health_interval_ms
 * @hang_ms: the child hangs if it does not call pulse_child_beat() for so
 *	long; 0: not looked at. On the kernel backend the module tells a thread
 *	or forked function (by the thread that runs it) that works without getting
 *	on from one that waits for a CPU and from one that is asleep outside of
 *	pulse_child_wait(). A program's hang, and that of a process of another
 *	user, is told by the deadline alone.
 * @stop_signal: of a process: what asks it to end; default SIGTERM
 * @uid: of a process: user id + 1; 0: stays
 * @gid: of a process: group id + 1, also the only supplementary group; 0: stays
 * @rlimits: of a process; copied
 * @nr_rlimits: how many, at most 16
 * @reserved: 0
 * @chdir: of a process; copied; NULL: stays
 * @cgroup: of a process: folder of the cgroup v2 it is put into; copied. Only
 *	then an end by the kernel's OOM killer can be told: PULSE_EXIT_OOM.
 * @state: what pulse_child_state() of the first incarnation finds
 * @state_free: ends it when the child is deleted, or NULL
 */
struct pulse_child_spec {
	size_t sz;
	const char *id;
	int32_t kind;
	int32_t restart;
	int32_t shutdown_ms;
	int32_t priority;
	uint32_t flags;
	uint32_t start_timeout_ms;
	pulse_child_fn fn;
	void *arg;
	const struct pulse_child_ops *ops;
	struct pulse_sup *supervisor;
	const char *path;
	char *const *argv;
	char *const *envp;
	uint64_t max_memory_bytes;
	pulse_health_fn health;
	uint32_t health_interval_ms;
	uint32_t health_timeout_ms;
	uint32_t hang_ms;
	int32_t stop_signal;
	uint32_t uid;
	uint32_t gid;
	const struct pulse_child_rlimit *rlimits;
	uint32_t nr_rlimits;
	uint32_t reserved;
	const char *chdir;
	const char *cgroup;
	void *state;
	void (*state_free)(void *state);
};

/* ---- what a child can say and ask ---------------------------------------- */

/**
 * pulse_child_id() - the child's name
 * @self: the incarnation
 *
 * Return: the name, valid as long as @self; NULL for NULL.
 */
PULSE_API const char *pulse_child_id(const struct pulse_child *self);

/**
 * pulse_child_incarnation() - which life is this?
 * @self: the incarnation
 *
 * Return: 1 for the first, 2 after one restart and so on; 0 for NULL.
 */
PULSE_API uint64_t pulse_child_incarnation(const struct pulse_child *self);

/**
 * pulse_child_stopping() - was the child asked to end?
 * @self: the incarnation
 *
 * A load. In a forked process only with PULSE_CHILD_CATCH_STOP.
 *
 * Return: true it was.
 */
PULSE_API bool pulse_child_stopping(const struct pulse_child *self);

/**
 * pulse_child_wait() - sleep until the child is asked to end
 * @self: the calling thread's or forked process's own incarnation
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 *
 * Counts as getting on, for as long as it takes.
 *
 * Return: 0 it was asked; -ETIMEDOUT; -EINVAL.
 */
PULSE_API int pulse_child_wait(struct pulse_child *self, int64_t deadline_ns);

/**
 * pulse_child_ready() - the start is done, with PULSE_CHILD_READY
 * @self: the incarnation
 *
 * The next child is started after it. A program does the same by writing the
 * byte R to the descriptor whose number is in the environment as
 * PULSE_CHILD_FD.
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_child_ready(struct pulse_child *self);

/**
 * pulse_child_beat() - the child gets on
 * @self: the incarnation; from any of its threads
 *
 * A store for a thread; a forked process also writes a byte. A program writes
 * the byte B to PULSE_CHILD_FD.
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_child_beat(struct pulse_child *self);

/**
 * pulse_child_exited() - an incarnation of ops ended
 * @self: the incarnation; the caller may not use it any more
 * @why: kind, code, signal and flags count; NULL: PULSE_EXIT_NORMAL
 *
 * From any thread, once. With PULSE_CHILD_OPS_INLINE the restart may happen
 * before this returns. Where the supervisor ended the child, the reason it
 * gives is the supervisor's.
 *
 * Return: 0; -EINVAL; -EALREADY.
 */
PULSE_API int pulse_child_exited(struct pulse_child *self,
				 const struct pulse_exit *why);

/**
 * pulse_child_state() - what the incarnation before left
 * @self: the incarnation
 *
 * Return: as pulse_child_keep() was given, or the spec's; NULL if there is none,
 * or where the incarnation before is a thread that could not be ended: it may
 * still use it.
 */
PULSE_API void *pulse_child_state(const struct pulse_child *self);

/**
 * pulse_child_keep() - leave something to the next incarnation
 * @self: the incarnation
 * @state: anything; what was kept before, if it is another one, is ended with
 *	its own function
 * @state_free: ends @state when the child is deleted, or NULL
 *
 * The owner of what must outlive an incarnation (a mailbox, a cache) is the
 * child, not its incarnation. In a forked process it has no effect on the
 * parent's.
 *
 * Return: 0; -EINVAL; -ESTALE @self was given up.
 */
PULSE_API int pulse_child_keep(struct pulse_child *self, void *state,
			       void (*state_free)(void *state));

/**
 * pulse_child_set_data() - a pointer of the ops's own
 * @self: the incarnation
 * @data: told by pulse_child_data(), else untouched
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_child_set_data(struct pulse_child *self, void *data);

/**
 * pulse_child_data() - the pointer of pulse_child_set_data()
 * @self: the incarnation
 *
 * Return: the pointer; NULL in a new incarnation.
 */
PULSE_API void *pulse_child_data(const struct pulse_child *self);

/**
 * pulse_child_alloc() - memory that counts, and ends with the incarnation
 * @self: the incarnation
 * @bytes: how many
 * @out: zeroed memory, aligned for anything
 *
 * Over max_memory_bytes nothing is given, and the child is ended with
 * PULSE_EXIT_MEMORY. What is not freed is freed after the incarnation's end.
 *
 * Return: 0; -ENOMEM; -EDQUOT over the limit; -EINVAL.
 */
PULSE_API int pulse_child_alloc(struct pulse_child *self, size_t bytes,
				void **out);

/**
 * pulse_child_free() - give memory of pulse_child_alloc() back
 * @self: the incarnation
 * @ptr: the memory, or NULL
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_child_free(struct pulse_child *self, void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_CHILD_H */

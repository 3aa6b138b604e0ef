/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * supervisor.h - supervisors: children are started in order, stopped in
 * reverse, and restarted when they fail; who fails too often takes its
 * supervisor down, which is a child itself.
 *
 * The semantics are those of Erlang/OTP's supervisor: strategies, restart
 * types, intensity and period, shutdown, significant children, what each call
 * answers. Beyond them: processes, threads and anything else in one tree,
 * delays between restarts, one budget of restarts for a subtree, health checks
 * and hang verdicts, state that outlives its owner, and answers at any time:
 * queries do not wait for a child that takes long to start or stop.
 *
 * A tree has one thread, which is the parent of all its processes. Calls may
 * be made from any thread where nothing else is said.
 */
#ifndef PULSE_U_SUPERVISOR_H
#define PULSE_U_SUPERVISOR_H

#include <pulse-u/child.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ctx;

enum pulse_sup_strategy {
	PULSE_ONE_FOR_ONE = 0,		/* only the child that ended; the default */
	PULSE_ONE_FOR_ALL = 1,		/* all of them */
	PULSE_REST_FOR_ONE = 2,		/* it and those started after it */
	PULSE_SIMPLE_ONE_FOR_ONE = 3,	/* many children of one spec */
};

/*
 * Does the supervisor end when significant children (PULSE_CHILD_SIGNIFICANT,
 * not permanent) end by themselves? It then ends with PULSE_EXIT_SHUTDOWN.
 */
enum pulse_auto_shutdown {
	PULSE_AUTO_NEVER = 0,
	PULSE_AUTO_ANY = 1,		/* with the first */
	PULSE_AUTO_ALL = 2,		/* with the last */
};

/* What a pulse_sup_event_fn is told. */
enum pulse_sup_event {
	PULSE_SUP_CHILD_STARTED = 1,
	PULSE_SUP_CHILD_ENDED = 2,
	PULSE_SUP_CHILD_START_FAILED = 3,
	PULSE_SUP_CHILD_DELAYED = 4,	/* its restart comes after a delay */
	PULSE_SUP_CHILD_KILLED = 5,	/* force was needed */
	PULSE_SUP_CHILD_ABANDONED = 6,	/* a thread that even force does not end */
	PULSE_SUP_ENDED = 7,		/* the supervisor itself; no child */
};

/**
 * typedef pulse_sup_event_fn - hears what happens in a supervisor
 * @sup: the supervisor
 * @event: enum pulse_sup_event
 * @id: the child, or NULL; valid during the call
 * @why: of an end or a failed start, or NULL
 * @arg: as in the options
 *
 * Called in order, by one thread at a time, without a lock held; must not call
 * back but for queries.
 */
typedef void (*pulse_sup_event_fn)(struct pulse_sup *sup, int event,
				   const char *id, const struct pulse_exit *why,
				   void *arg);

/* pulse_sup_opts.flags */
#define PULSE_SUP_SHARED_BUDGET	(1U << 0) /* restarts of the whole subtree count here */
#define PULSE_SUP_NO_MONITOR	(1U << 1) /* see pulse_sup_start_monitoring() */

/**
 * struct pulse_sup_opts - options of pulse_sup_create()
 * @sz: sizeof(struct pulse_sup_opts)
 * @name: for logs, at most 63 bytes; copied; default "supervisor"
 * @strategy: enum pulse_sup_strategy
 * @max_restarts: the intensity: so many restarts in the period are survived,
 *	one more ends the supervisor; default 1; PULSE_OFF: none is
 * @period_ms: default 5000
 * @auto_shutdown: enum pulse_auto_shutdown
 * @flags: PULSE_SUP_* or 0
 * @backoff_min_ms: delay before the first restart of a child; default none
 * @backoff_max_ms: it doubles with each restart up to this; default
 *	@backoff_min_ms
 * @backoff_reset_ms: a child that ran for so long begins anew; default the
 *	greater of @period_ms and @backoff_max_ms
 * @backoff_jitter: per cent of a delay, 0 to 100, that chance may take off
 * @seed: of that chance; default from the clock
 * @ctx: of a root: threads register as workers of it and the module tells of
 *	their ends and hangs. It must have events, which the supervisor reads
 *	from then on. Where it is shared, forked functions with hang_ms attach
 *	and register too. Default: on the kernel backend one of the supervisor's
 *	own, shared.
 * @max_threads: room for those workers in a context of its own, default 256
 * @now: clock of a root, for tests: intensity, delays and time limits; default
 *	CLOCK_MONOTONIC. pulse_sup_kick() after it moved.
 * @now_arg: for @now
 * @on_event: or NULL
 * @event_arg: for @on_event
 * @kill_wait_ms: how long to wait for a thread to end after force was used,
 *	before it is given up; default 1000
 * @reserved: 0
 */
struct pulse_sup_opts {
	size_t sz;
	const char *name;
	int32_t strategy;
	int32_t max_restarts;
	uint32_t period_ms;
	int32_t auto_shutdown;
	uint32_t flags;
	uint32_t backoff_min_ms;
	uint32_t backoff_max_ms;
	uint32_t backoff_reset_ms;
	uint32_t backoff_jitter;
	uint32_t max_threads;
	uint64_t seed;
	struct pulse_ctx *ctx;
	int64_t (*now)(void *arg);
	void *now_arg;
	pulse_sup_event_fn on_event;
	void *event_arg;
	uint32_t kill_wait_ms;
	uint32_t reserved;
};

/**
 * pulse_sup_create() - make a supervisor; nothing runs yet
 * @opts: or NULL for the defaults
 * @out: the supervisor
 *
 * Until it is started, or given to a parent that is, one thread at a time may
 * use it.
 *
 * Return: 0; -EINVAL; -E2BIG; -ENOMEM.
 */
PULSE_API int pulse_sup_create(const struct pulse_sup_opts *opts,
			       struct pulse_sup **out);

/**
 * pulse_sup_destroy() - stop a supervisor, with pulse_sup_stop(), and free it
 * @sup: a root: a supervisor that is nobody's child
 *
 * Threads that could not be ended go on, and free what is theirs when they
 * end.
 *
 * Return: 0; -EINVAL; -EBUSY it is a child; -EDEADLK from a thread of the tree;
 * in a forked child only the memory is given back: -EOWNERDEAD.
 */
PULSE_API int pulse_sup_destroy(struct pulse_sup *sup);

/**
 * pulse_sup_start_child() - add a child, and start it if the supervisor runs
 * @sup: the supervisor
 * @spec: the child. Of a simple_one_for_one supervisor that runs: the spec's id
 *	is that of its template (or NULL), its arg is the new child's, all else is
 *	ignored.
 * @id: out: its name as the supervisor knows it, valid until it is deleted;
 *	may be NULL
 *
 * What is added before the start is started again with each start of the
 * supervisor; what is added later ends with the run. A child that cannot be
 * started is not added.
 *
 * Return: 0; -EINVAL (the log says which field and why); -E2BIG; -ENOMEM;
 * -EALREADY there is such a child and it runs; -EEXIST there is one and it
 * does not; -ESHUTDOWN the supervisor ended or is ending; -EDEADLK from an
 * operation of the tree; or why it could not be started.
 */
PULSE_API int pulse_sup_start_child(struct pulse_sup *sup,
				    const struct pulse_child_spec *spec,
				    const char **id);

/**
 * pulse_sup_start() - start all children, in order
 * @sup: a root
 *
 * If one cannot be started, those that were are stopped in reverse order.
 *
 * Return: 0; -EINVAL; -EALREADY it runs; -EPERM it is a child; -ENOMEM; -EAGAIN
 * no thread to be had; -EMFILE; or why the child could not be started.
 */
PULSE_API int pulse_sup_start(struct pulse_sup *sup);

/**
 * pulse_sup_stop() - stop all children in reverse order: 5 seconds for it all
 * @sup: a root
 *
 * Return: as pulse_sup_shutdown().
 */
PULSE_API int pulse_sup_stop(struct pulse_sup *sup);

/**
 * pulse_sup_shutdown() - stop all children in reverse order
 * @sup: a root
 * @timeout_ms: for all of it; each child has its shutdown_ms besides; < 0: no
 *	limit
 *
 * May be started again after.
 *
 * Return: 0; -ETIMEDOUT the time passed, and force ended the rest;
 * -ENOTRECOVERABLE it had ended by itself before, of too many restarts;
 * -EINVAL; -EPERM it is a child; -EDEADLK.
 */
PULSE_API int pulse_sup_shutdown(struct pulse_sup *sup, int64_t timeout_ms);

/**
 * pulse_sup_wait() - wait until the supervisor has ended
 * @sup: a root
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 * @why: out: how, may be NULL
 *
 * Return: 0; -ETIMEDOUT; -EINVAL; -EDEADLK.
 */
PULSE_API int pulse_sup_wait(struct pulse_sup *sup, int64_t deadline_ns,
			     struct pulse_exit *why);

/**
 * pulse_sup_start_monitoring() - act on failures, from now on
 * @sup: a root that was made with PULSE_SUP_NO_MONITOR, or after
 *	pulse_sup_stop_monitoring()
 *
 * What failed meanwhile is dealt with now.
 *
 * Return: 0; -EALREADY; -EINVAL.
 */
PULSE_API int pulse_sup_start_monitoring(struct pulse_sup *sup);

/**
 * pulse_sup_stop_monitoring() - let failures lie
 * @sup: a root
 *
 * Return: 0; -EALREADY; -EINVAL.
 */
PULSE_API int pulse_sup_stop_monitoring(struct pulse_sup *sup);

/**
 * pulse_sup_terminate_child() - stop a child, without restarting it
 * @sup: the supervisor
 * @id: of the child
 *
 * Its spec stays, for pulse_sup_restart_child(), but that of a temporary child
 * and of a child of simple_one_for_one. Significance has no part in it.
 *
 * Return: 0, also if it did not run; -ENOENT; -EINVAL; -ESHUTDOWN; -EDEADLK.
 */
PULSE_API int pulse_sup_terminate_child(struct pulse_sup *sup, const char *id);

/**
 * pulse_sup_delete_child() - forget a child that does not run
 * @sup: the supervisor
 * @id: of the child
 *
 * Return: 0; -ENOENT; -EBUSY it runs; -EAGAIN it is about to be restarted;
 * -EOPNOTSUPP simple_one_for_one; -EINVAL; -ESHUTDOWN; -EDEADLK.
 */
PULSE_API int pulse_sup_delete_child(struct pulse_sup *sup, const char *id);

/**
 * pulse_sup_restart_child() - start a child that does not run
 * @sup: the supervisor
 * @id: of the child
 *
 * Return: as pulse_sup_delete_child(); or why it could not be started.
 */
PULSE_API int pulse_sup_restart_child(struct pulse_sup *sup, const char *id);

enum pulse_child_status {
	PULSE_CHILD_STOPPED = 0,	/* does not run, and nobody means to change that */
	PULSE_CHILD_STARTING = 1,
	PULSE_CHILD_RUNNING = 2,
	PULSE_CHILD_STOPPING = 3,
	PULSE_CHILD_RESTARTING = 4,	/* does not run, but will */
};

/**
 * pulse_child_status_text() - how a child is, in a word
 * @status: enum pulse_child_status
 *
 * Return: "stopped", "starting", "running", "stopping" or "restarting"; "other"
 * for anything else. Lasts for ever.
 */
PULSE_API const char *pulse_child_status_text(int status);

/**
 * pulse_child_kind_text() - what a child is, in a word
 * @kind: enum pulse_child_kind
 *
 * Return: "thread", "process", "supervisor" or "ops"; "other" for anything else.
 * Lasts for ever.
 */
PULSE_API const char *pulse_child_kind_text(int kind);

/**
 * struct pulse_child_info - a child, at one moment
 * @sz: sizeof(struct pulse_child_info), set by the caller
 * @id: its name, cut to fit
 * @kind: enum pulse_child_kind
 * @status: enum pulse_child_status
 * @restart: enum pulse_child_restart
 * @pid: of a process, else 0
 * @tid: of a thread, else 0
 * @worker: its index in the context, or -1; of a process only while the module
 *	watches it for hangs
 * @supervisor: of a supervisor, else NULL; for queries and the calls that name
 *	a child of it
 * @incarnation: starts so far
 * @restarts: of those, by the supervisor after an end
 * @started_ns: when this incarnation began; CLOCK_MONOTONIC
 * @memory_bytes: of a thread: what pulse_child_alloc() gave; of a process what
 *	was found at the last look
 * @last_exit: how the last one ended
 */
struct pulse_child_info {
	size_t sz;
	char id[256];
	int32_t kind;
	int32_t status;
	int32_t restart;
	int32_t pid;
	int32_t tid;
	int32_t worker;
	struct pulse_sup *supervisor;
	uint64_t incarnation;
	uint64_t restarts;
	int64_t started_ns;
	uint64_t memory_bytes;
	struct pulse_exit last_exit;
};

/**
 * pulse_sup_find_child() - look at a child
 * @sup: the supervisor
 * @id: of the child
 * @out: its sz must be set
 *
 * Does not wait for anything that is under way; from anywhere.
 *
 * Return: 0; -ENOENT; -EINVAL.
 */
PULSE_API int pulse_sup_find_child(struct pulse_sup *sup, const char *id,
				   struct pulse_child_info *out);

/**
 * pulse_sup_which_children() - look at all children
 * @sup: the supervisor
 * @out: room for @max of them, in the order of their start; the sz of the
 *	first must be set
 * @max: how many; 0: @out may be NULL
 *
 * As pulse_sup_find_child().
 *
 * Return: how many there are; -EINVAL.
 */
PULSE_API int pulse_sup_which_children(struct pulse_sup *sup,
				       struct pulse_child_info *out, int max);

/**
 * struct pulse_sup_count - children, counted
 * @sz: sizeof(struct pulse_sup_count), set by the caller
 * @specs: specs, of children that run or not; 1 for simple_one_for_one
 * @active: children that run
 * @supervisors: children that are supervisors, running or not
 * @workers: all others, running or not
 */
struct pulse_sup_count {
	size_t sz;
	uint32_t specs;
	uint32_t active;
	uint32_t supervisors;
	uint32_t workers;
};

/**
 * pulse_sup_count_children() - count the children
 * @sup: the supervisor
 * @out: its sz must be set
 *
 * As pulse_sup_find_child().
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_sup_count_children(struct pulse_sup *sup,
				       struct pulse_sup_count *out);

/**
 * struct pulse_sup_stats - what a supervisor has done
 * @sz: sizeof(struct pulse_sup_stats), set by the caller
 * @total_restarts: restarts of children, since it was made
 * @uptime_ns: since the last start; 0 where it does not run
 * @last_failure_ns: when a child failed last, CLOCK_MONOTONIC; 0: never
 * @active_children: that run
 * @failures: ends of children that were failures
 * @kills: times force was needed
 * @abandoned: threads that even force did not end
 * @in_period: restarts that count at this moment
 */
struct pulse_sup_stats {
	size_t sz;
	uint64_t total_restarts;
	int64_t uptime_ns;
	int64_t last_failure_ns;
	uint64_t active_children;
	uint64_t failures;
	uint64_t kills;
	uint64_t abandoned;
	uint64_t in_period;
};

/**
 * pulse_sup_stats() - look at a supervisor's figures
 * @sup: the supervisor
 * @out: its sz must be set
 *
 * As pulse_sup_find_child().
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_sup_stats(struct pulse_sup *sup,
			      struct pulse_sup_stats *out);

/**
 * pulse_sup_kick() - look at the clock again
 * @sup: the supervisor
 *
 * For clocks of the caller's own.
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_sup_kick(struct pulse_sup *sup);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_SUPERVISOR_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * shared_pool.h - a pool whose workers are threads of several processes.
 *
 * The queue lies in memory that outlives each of them: in the node rings of a
 * shared context on the kernel backend, in a memfd elsewhere. A process may be
 * killed at any step. Tasks that it had accepted stay queued, tasks that it was
 * running are run again by the others: each task is run *at least once*, and
 * twice only where its process died before it said that it was done.
 *
 * Processes have no addresses in common, so a task is the number of a function
 * and some bytes. Each process brings its own table of functions; the numbers
 * in it are the same everywhere.
 *
 * Trust: all words of the shared memory are untrusted. Sizes are read once and
 * kept, indices are bounded, loops end, a payload is copied before a function
 * sees it. A hostile process of the same user, whom nothing else keeps out
 * either, can lose, forge or repeat tasks; the others go on.
 *
 * A process is dead when its last thread has ended, which its pidfd tells: all
 * should be in one pid namespace. One that calls exec without
 * pulse_shared_pool_destroy() is not dead, and what it had in hand stays so
 * until it ends. One that is stopped (SIGSTOP) keeps the tasks that it runs.
 */
#ifndef PULSE_U_SHARED_POOL_H
#define PULSE_U_SHARED_POOL_H

#include <pulse-u/base.h>
#include <pulse-u/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PULSE_SHARED_PROCESSES_MAX	64	/* processes at a time */
#define PULSE_SHARED_FUNCTIONS_MAX	4096	/* in a table */
#define PULSE_SHARED_PAYLOAD_MAX	65504	/* bytes of a task's payload */

struct pulse_shared_pool;

/**
 * struct pulse_shared_run - one run of a task
 * @sz: sizeof(struct pulse_shared_run)
 * @payload: as it was submitted; a copy, aligned to 8, lent for the call
 * @bytes: its length
 * @id: the function's number
 * @attempt: 1, and one more for each process that died while it ran this task
 */
struct pulse_shared_run {
	size_t sz;
	const void *payload;
	size_t bytes;
	uint32_t id;
	uint32_t attempt;
};

/**
 * typedef pulse_shared_task_fn - what a task does
 * @arg: of struct pulse_shared_fn in this process
 * @run: what it is about
 *
 * It may submit, block, call pthread_exit() (then it is done, and its worker is
 * replaced). A run may follow one that was cut off anywhere: what it does must
 * bear being done twice.
 */
typedef void (*pulse_shared_task_fn)(void *arg,
				     const struct pulse_shared_run *run);

/**
 * struct pulse_shared_fn - a function that tasks may name
 * @fn: what to run
 * @arg: for @fn, in this process
 * @id: its number in all processes, not 0; see pulse_shared_fn_id()
 * @reserved: 0
 */
struct pulse_shared_fn {
	pulse_shared_task_fn fn;
	void *arg;
	uint32_t id;
	uint32_t reserved;
};

/**
 * pulse_shared_fn_id() - a number for a function that has a name
 * @name: any text
 *
 * Return: FNV-1a of the text, the same in each process and version; 0 for NULL,
 * never 0 otherwise. Two functions whose numbers are the same are refused when
 * they come in one table.
 */
PULSE_API uint32_t pulse_shared_fn_id(const char *name);

/**
 * struct pulse_shared_pool_opts - options of a shared pool
 * @sz: sizeof(struct pulse_shared_pool_opts)
 * @functions: the functions of this process; copied
 * @nr_functions: 1 to PULSE_SHARED_FUNCTIONS_MAX
 * @num_workers: threads of this process, up to 1024; default as for
 *	pulse_pool_create(); PULSE_OFF: none, it only submits
 * @name: first part of the threads' names; copied; default "shared"
 * @entries: tasks that may be queued or running on each node, a power of two
 *	from 64 to 65536; default 1024
 * @payload_bytes: the most a task can carry, 1 to PULSE_SHARED_PAYLOAD_MAX;
 *	default 96. Rounded up so that a task fills cache lines.
 * @max_workers: threads of all processes, those in pulse_shared_pool_wait() too,
 *	1 to 4096; default 64. Only the kernel backend limits them.
 * @max_attempts: a task whose process died so many times is dropped, with a
 *	line in the log; default 0: it is run again for ever
 *
 * A process that attaches leaves the last four 0, or says what they are. The
 * @id of all functions must be the same set in all processes.
 */
struct pulse_shared_pool_opts {
	size_t sz;
	const struct pulse_shared_fn *functions;
	uint32_t nr_functions;
	int32_t num_workers;
	const char *name;
	uint32_t entries;
	uint32_t payload_bytes;
	uint32_t max_workers;
	uint32_t max_attempts;
};

/**
 * pulse_shared_pool_create() - make a pool that other processes can attach to
 * @opts: functions must be set
 * @out: the pool; the workers of this process run
 *
 * Return: 0; -EINVAL also: the queue would be over 64 MiB a node, two functions
 * have the same number; -E2BIG unknown options; -ENOMEM, on the kernel backend
 * also over RLIMIT_MEMLOCK; -EAGAIN no more threads can be had; -EMFILE; or as
 * pulse_ctx_create().
 */
PULSE_API int pulse_shared_pool_create(const struct pulse_shared_pool_opts *opts,
				       struct pulse_shared_pool **out);

/**
 * pulse_shared_pool_attach() - take part in a pool that another process made
 * @fd: of pulse_shared_pool_fd() there, inherited or received by SCM_RIGHTS; it
 *	stays the caller's, the pool keeps a duplicate
 * @opts: functions must be set
 * @out: the pool; the workers of this process run
 *
 * What processes left that died before is seen to first.
 *
 * Return: 0; -EINVAL also: @fd is no shared pool's, other functions or sizes
 * than it has; -EPROTO what it holds cannot be true, or can shrink; -EBADF;
 * -ENOSPC so many processes are there already; otherwise as
 * pulse_shared_pool_create() and pulse_ctx_attach().
 */
PULSE_API int pulse_shared_pool_attach(int fd,
				       const struct pulse_shared_pool_opts *opts,
				       struct pulse_shared_pool **out);

/**
 * pulse_shared_pool_destroy() - leave the pool
 * @pool: nobody else in this process may use it any more
 *
 * Waits for what this process's workers are running. What is queued stays for
 * the others, and is gone with the last process: pulse_shared_pool_wait() first.
 *
 * Return: 0; -EINVAL; -EDEADLK from inside one of its tasks; -EOWNERDEAD in a
 * forked child (its memory is given back all the same).
 */
PULSE_API int pulse_shared_pool_destroy(struct pulse_shared_pool *pool);

/**
 * pulse_shared_pool_fd() - the descriptor to hand to other processes
 * @pool: the pool
 *
 * Return: it stays the pool's; -EINVAL; -EOWNERDEAD in a forked child, which
 * asks before it forks.
 */
PULSE_API int pulse_shared_pool_fd(const struct pulse_shared_pool *pool);

/**
 * struct pulse_shared_task - a task
 * @sz: sizeof(struct pulse_shared_task)
 * @payload: what its function is given; copied; may be NULL with 0 @bytes
 * @bytes: its length, up to payload_bytes
 * @id: the function's number
 * @priority: enum pulse_priority
 * @node: PULSE_TASK_NODE(n): lie and run on NUMA node n, or as near as may be;
 *	0: near the thread that submits
 * @reserved: 0
 */
struct pulse_shared_task {
	size_t sz;
	const void *payload;
	size_t bytes;
	uint32_t id;
	int32_t priority;
	int32_t node;
	uint32_t reserved;
};

/**
 * pulse_shared_pool_submit() - have a task run, in whichever process
 * @pool: the pool
 * @task: copied
 *
 * From any thread, also from inside tasks. Never blocks. Once it returned 0 the
 * task is run at least once, whoever dies, as long as a process with workers is
 * there or comes. There is no order between tasks of one priority, but none is
 * passed over for ever.
 *
 * Return: 0; -EAGAIN all places are taken, try again later; -ENOENT no such
 * function; -EMSGSIZE over payload_bytes; -ESHUTDOWN; -EINVAL also: no such
 * priority, a negative node; -E2BIG unknown wishes; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_shared_pool_submit(struct pulse_shared_pool *pool,
				       const struct pulse_shared_task *task);

/**
 * pulse_shared_pool_wait() - until nothing is queued and nothing runs
 * @pool: the pool
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 *
 * In all of its processes. With no process left that has workers it waits for
 * one to come.
 *
 * Return: 0; -ETIMEDOUT; -EDEADLK from inside one of its tasks; -ENOSPC over
 * max_workers threads; -EINVAL also: a negative deadline; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_shared_pool_wait(struct pulse_shared_pool *pool,
				     int64_t deadline_ns);

/**
 * pulse_shared_pool_shutdown() - nobody may submit any more
 * @pool: the pool
 *
 * In all of its processes, for good. What is queued is run.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shared_pool_shutdown(struct pulse_shared_pool *pool);

/**
 * struct pulse_shared_pool_stats - what a shared pool has done
 * @sz: sizeof(struct pulse_shared_pool_stats), set by the caller
 * @submitted: tasks this process submitted
 * @completed: tasks this process ran
 * @recovered: tasks of dead processes that this process put back to be run again
 * @dropped: tasks this process dropped: max_attempts was reached
 * @errors: tasks this process found not to be true (no such function, say)
 * @queued: tasks waiting, in all processes
 * @running: tasks running, in all processes
 * @capacity: tasks there is room for
 * @processes: processes that are there
 * @num_workers: threads of this process
 * @kernel: 1 the memory is the module's, 0 a memfd
 * @reserved: 0
 */
struct pulse_shared_pool_stats {
	size_t sz;
	uint64_t submitted;
	uint64_t completed;
	uint64_t recovered;
	uint64_t dropped;
	uint64_t errors;
	uint64_t queued;
	uint64_t running;
	uint64_t capacity;
	uint32_t processes;
	uint32_t num_workers;
	uint32_t kernel;
	uint32_t reserved;
};

/**
 * pulse_shared_pool_stats() - read a shared pool's statistics
 * @pool: the pool
 * @out: the answer; its sz must be set
 *
 * Looks at each place of the queue, without stopping anybody.
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shared_pool_stats(struct pulse_shared_pool *pool,
				      struct pulse_shared_pool_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_SHARED_POOL_H */

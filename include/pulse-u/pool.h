/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pool.h - a pool of worker threads that run tasks.
 *
 * A task is a function and its argument; it is run exactly once, or cancelled
 * (pulse_pool_stop()), or refused when it is submitted. A task that a worker
 * submits goes to the worker's own deque, from which idle workers steal; other
 * tasks go to the queue of a NUMA node, one for each priority. Workers without
 * work look around for a short time, then park: an idle pool costs nothing.
 *
 * What a task must not do: longjmp out of itself. A C++ exception that leaves it
 * ends the process, as it does in any thread. What it may do: submit, block,
 * call pthread_exit() (its worker is replaced), exit the process. A process that
 * it forks must exec or _exit; if the task returns there, the child ends with
 * EXIT_FAILURE.
 */
#ifndef PULSE_U_POOL_H
#define PULSE_U_POOL_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ctx;
struct pulse_pool;
struct pulse_token;

/**
 * typedef pulse_task_fn - what a task does
 * @data: as it was submitted
 */
typedef void (*pulse_task_fn)(void *data);

/**
 * typedef pulse_pool_worker_fn - a worker begins or ends
 * @hook_arg: of struct pulse_pool_opts
 * @worker: its index in the pool
 *
 * Called in the worker's thread.
 */
typedef void (*pulse_pool_worker_fn)(void *hook_arg, int worker);

/**
 * typedef pulse_pool_cancel_fn - a task will not be run
 * @hook_arg: of struct pulse_pool_opts
 * @fn: the task's function
 * @data: its argument, which this call may give back
 *
 * Called in any thread, once for each task that is cancelled.
 */
typedef void (*pulse_pool_cancel_fn)(void *hook_arg, pulse_task_fn fn,
				     void *data);

struct pulse_result;

/**
 * typedef pulse_pool_complete_fn - a task that has a handle came to its end
 * @hook_arg: of struct pulse_pool_opts
 * @result: how; its value is lent for the call
 *
 * Called once for each task of pulse_pool_spawn(), in the thread that ends it:
 * a worker, or who cancels it, or the timer that saw it run out of time.
 */
typedef void (*pulse_pool_complete_fn)(void *hook_arg,
				       const struct pulse_result *result);

/**
 * typedef pulse_pool_error_fn - a task that has a handle ended with an error
 * @hook_arg: of struct pulse_pool_opts
 * @task_id: which one
 * @err: why, see <pulse-u/task.h>
 *
 * Called before on_complete, in the same thread.
 */
typedef void (*pulse_pool_error_fn)(void *hook_arg, uint64_t task_id, int err);

/**
 * struct pulse_pool_stall - a task that runs for too long
 * @sz: sizeof(struct pulse_pool_stall)
 * @worker: the worker inside it
 * @state: PULSE_STATE_* of <linux/pulse.h>: it runs without end, was preempted
 *	and starves, or is blocked
 * @fn: the task's function; NULL for one with a handle
 * @data: its argument, not to be looked into unless the caller knows it lives
 * @task_id: of a task that has a handle, else 0
 * @running_ns: for how long, at least
 */
struct pulse_pool_stall {
	size_t sz;
	int32_t worker;
	uint32_t state;
	pulse_task_fn fn;
	void *data;
	uint64_t task_id;
	int64_t running_ns;
};

/**
 * typedef pulse_pool_stall_fn - a task runs for longer than stall_ms
 * @hook_arg: of struct pulse_pool_opts
 * @stall: which, where, how long; lent for the call
 *
 * Called once for each such task, in a thread of the pool's that is no worker.
 */
typedef void (*pulse_pool_stall_fn)(void *hook_arg,
				    const struct pulse_pool_stall *stall);

/**
 * struct pulse_pool_opts - options of pulse_pool_create()
 * @sz: sizeof(struct pulse_pool_opts)
 * @name: first part of the threads' names; copied; default "pulse"
 * @ctx: a context to share, with room for the workers; it must outlive the
 *	pool. NULL: the pool makes one of its own.
 * @num_workers: 1 to 4096; default: the physical cores that the process may
 *	use, but no more than its cgroup's CPU quota
 * @task_queue_size: how many tasks each worker's deque holds, and each node's
 *	queue of each priority; 1 to 1048576, rounded up to a power of two from
 *	2; default 1024
 * @spin_us: how long a worker without work looks around before it parks;
 *	default 20, or none where the process may use one CPU only; PULSE_OFF:
 *	not at all. On the CPU of the thread that submitted its last task from
 *	outside it does not either, as it would keep that thread from going on.
 * @enable_work_stealing: take tasks from other workers' deques, and jobs that
 *	they forked; default on
 * @enable_topology_aware: spread workers over cores before hardware threads,
 *	and look for work nearby first; default on
 * @enable_numa_aware: a queue for each node, workers bound to their nodes,
 *	node hints; default on. Off: the pool is one node.
 * @enable_statistics: count steals, parks and wakes; default on
 * @pin: bind each worker to one CPU; default off
 * @reserved: 0
 * @on_worker_start: called before a worker's first task, or NULL
 * @on_worker_stop: called after its last, or NULL
 * @on_cancel: called for each task that is cancelled, or NULL
 * @hook_arg: for all hooks
 * @min_workers: as few as adaptive sizing may leave, 1 or more; default 2, or
 *	num_workers where that is less
 * @max_workers: as many as there may ever be, up to 4096: by adaptive sizing,
 *	or pulse_pool_resize(). Memory for all of them is taken at once. Default:
 *	num_workers; with adaptive sizing twice the physical cores, but no less
 *	than num_workers.
 * @enable_adaptive_sizing: keep num_workers *running*: where tasks block (sleep
 *	in the kernel) and others wait, more workers come, up to max_workers;
 *	workers that are idle for keep_alive_ms go, down to min_workers. Default
 *	off: num_workers, come what may.
 * @keep_alive_ms: default 5000
 * @stall_ms: name tasks that run for longer: a line in the log, and @on_stall;
 *	default 0: nobody looks
 * @enable_heartbeat: share forked jobs, see fork.h; default on. Off: who forks
 *	runs them.
 * @heartbeat_interval_us: from one beat to the next of a worker that forks; 20 to
 *	60000000; default 100. Where the backend cannot beat as fast, as fast as
 *	it can.
 * @promotion_threshold: a worker's heart begins to beat when it has forked for
 *	so many times 5 us, about what that costs; default 10
 * @min_work_cycles: ... or so often that forking alone took about as many
 *	cycles, at 4 a fork; default 1000
 * @spin_ns: as @spin_us but in nanoseconds; where it is not 0 it comes first
 * @task_timeout_ns: for tasks with a handle that name no time of their own;
 *	default 0: none
 * @shutdown_grace_ns: how long pulse_pool_destroy() waits for tasks before it
 *	cancels what is queued; default 0: for ever
 * @enable_latency: measure how long tasks wait and run, see
 *	pulse_pool_latency(); default off
 * @enable_trace: a line at level PULSE_LOG_DEBUG for each task that begins and
 *	ends, and each worker that comes and goes; default off
 * @enable_predictive: learn how long each kind of task takes and run short ones
 *	in place, see pulse_pool_run_or_submit(); default off
 * @enable_lock_free: tasks lie in deques of the workers and queues without a lock;
 *	default on. Off: in the queues alone, each under a mutex, first in
 *	first out; what tasks fork is not concerned.
 * @seed: not 0: the deterministic mode, see <pulse-u/task.h>. Only one worker
 *	runs at a time, and the seed decides which, and what it takes.
 * @on_complete: called for each task with a handle that ends, or NULL
 * @on_error: called for each of them that ends with an error, or NULL
 * @on_stall: called for each task that takes too long, or NULL
 * @nice: of the workers, -20 to 19: how much of a CPU they get beside others that
 *	want it, another pool's workers say; default 0: as the thread that creates
 *	the pool
 * @sched_class: PULSE_CLASS_NORMAL, _BATCH (they preempt nobody as they wake) or
 *	_IDLE (what is left over) of <linux/pulse.h>; default: as the thread that
 *	creates the pool
 * @slice_ns: how long a worker runs before others of its weight, 100000 to
 *	100000000; a short slice comes sooner. Default 0: the scheduler's own.
 *	Kernels before 6.12 do nothing with it.
 */
struct pulse_pool_opts {
	size_t sz;
	const char *name;
	struct pulse_ctx *ctx;
	uint32_t num_workers;
	uint32_t task_queue_size;
	int32_t spin_us;
	int32_t enable_work_stealing;
	int32_t enable_topology_aware;
	int32_t enable_numa_aware;
	int32_t enable_statistics;
	int32_t pin;
	uint64_t reserved;
	pulse_pool_worker_fn on_worker_start;
	pulse_pool_worker_fn on_worker_stop;
	pulse_pool_cancel_fn on_cancel;
	void *hook_arg;
	uint32_t min_workers;
	uint32_t max_workers;
	int32_t enable_adaptive_sizing;
	uint32_t keep_alive_ms;
	uint32_t stall_ms;
	int32_t enable_heartbeat;
	uint32_t heartbeat_interval_us;
	uint32_t promotion_threshold;
	uint64_t min_work_cycles;
	int64_t spin_ns;
	int64_t task_timeout_ns;
	int64_t shutdown_grace_ns;
	int32_t enable_latency;
	int32_t enable_trace;
	int32_t enable_predictive;
	int32_t enable_lock_free;
	uint64_t seed;
	pulse_pool_complete_fn on_complete;
	pulse_pool_error_fn on_error;
	pulse_pool_stall_fn on_stall;
	int32_t nice;
	uint32_t sched_class;
	uint64_t slice_ns;
};

/**
 * pulse_pool_create() - start a pool
 * @opts: or NULL for the defaults
 * @out: the pool; its workers run
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -ENOSPC the shared
 * context has not room enough; -EAGAIN no more threads can be had (those that
 * could are ended again); -EPERM a nice value that the process may not have; or as
 * pulse_ctx_create().
 */
PULSE_API int pulse_pool_create(const struct pulse_pool_opts *opts,
				struct pulse_pool **out);

/**
 * pulse_pool_destroy() - end a pool and give all of it back
 * @pool: the pool; nobody else may use it any more
 *
 * Waits until all tasks that were accepted are done, as pulse_pool_shutdown()
 * does without a limit; to drop what is queued, call pulse_pool_stop() before.
 * With shutdown_grace_ns what is still queued then is cancelled; what runs is
 * waited for all the same.
 *
 * Return: 0; -EINVAL; -EDEADLK from inside one of its tasks (nothing was
 * done); -EOWNERDEAD in a forked child (its memory is given back all the same).
 */
PULSE_API int pulse_pool_destroy(struct pulse_pool *pool);

/**
 * pulse_pool_submit() - have a task run, at normal priority
 * @pool: the pool
 * @fn: the task
 * @data: its argument
 *
 * From any thread, also from inside tasks. Never blocks, and does not fail for
 * want of memory. Wakes at most one worker.
 *
 * Return: 0; -EAGAIN the queues are full, try again later; -ESHUTDOWN;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_submit(struct pulse_pool *pool, pulse_task_fn fn,
				void *data);

/*
 * Priorities are strict: no worker begins a task while it sees one of a higher
 * priority. So that nothing starves, one task in 64 is taken out of turn.
 */
enum pulse_priority {
	PULSE_PRIO_LOW = -1,
	PULSE_PRIO_NORMAL = 0,
	PULSE_PRIO_HIGH = 1,
};

/* For struct pulse_task.node; 0 there is no hint. */
#define PULSE_TASK_NODE(n)	((n) + 1)

/**
 * struct pulse_task - a task with its wishes
 * @sz: sizeof(struct pulse_task)
 * @fn: what to run
 * @data: its argument
 * @priority: enum pulse_priority
 * @node: PULSE_TASK_NODE(n): run it on NUMA node n, or as near as there is a
 *	free worker; 0: near the thread that submits
 */
struct pulse_task {
	size_t sz;
	pulse_task_fn fn;
	void *data;
	int32_t priority;
	int32_t node;
};

/**
 * pulse_pool_submit_task() - have a task run, with its wishes
 * @pool: the pool
 * @task: copied
 *
 * Return: as pulse_pool_submit(); -EINVAL also: no such priority; -E2BIG
 * unknown wishes.
 */
PULSE_API int pulse_pool_submit_task(struct pulse_pool *pool,
				     const struct pulse_task *task);

/**
 * pulse_pool_submit_batch() - have several tasks run
 * @pool: the pool
 * @tasks: an array whose elements have the sz of the first; copied
 * @nr: its length, at least 1
 *
 * As many calls of pulse_pool_submit_task() until one fails, but with one look
 * for parked workers, and one call that wakes as many as there are tasks.
 *
 * Return: how many were accepted, the first ones, 1 to @nr; or, where the
 * first was not, as pulse_pool_submit_task().
 */
PULSE_API int pulse_pool_submit_batch(struct pulse_pool *pool,
				      const struct pulse_task *tasks,
				      unsigned int nr);

/**
 * pulse_pool_wait() - until all tasks submitted so far are done
 * @pool: the pool
 *
 * Those that they submit count too, and those that these submit, and so on.
 * What others submit meanwhile does not. Cancelled is done.
 *
 * Return: 0; -EDEADLK from inside one of the pool's workers; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_wait(struct pulse_pool *pool);

/**
 * pulse_pool_wait_until() - likewise, but not longer than that
 * @pool: the pool
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 *
 * Return: as pulse_pool_wait(); -ETIMEDOUT; -EINVAL also: a negative deadline.
 */
PULSE_API int pulse_pool_wait_until(struct pulse_pool *pool,
				    int64_t deadline_ns);

/**
 * pulse_pool_shutdown() - take no more tasks, finish those there are
 * @pool: the pool
 * @grace_ns: how long to wait for them, or PULSE_FOREVER; then what is still
 *	queued is cancelled, as by pulse_pool_stop()
 *
 * From the call on every submit answers -ESHUTDOWN, from inside tasks too.
 * Several threads may call it; all get their answer when the work is done.
 * From inside a task it begins the shutdown and does not wait.
 *
 * Return: 0 all was done; -ETIMEDOUT the grace was over: what was queued is
 * cancelled, tasks may still run; -ECANCELED none runs any more, but tasks were
 * cancelled by somebody else; -EINPROGRESS from inside one of the pool's
 * workers; -EINVAL also: a negative grace; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_shutdown(struct pulse_pool *pool, int64_t grace_ns);

/**
 * pulse_pool_stop() - take no more tasks, cancel those that are queued
 * @pool: the pool
 *
 * Does not wait for tasks that run. From any thread, also from inside tasks.
 *
 * Return: how many tasks this call cancelled (0 or more); -EINVAL; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int pulse_pool_stop(struct pulse_pool *pool);

/**
 * pulse_pool_is_running() - does it take tasks?
 * @pool: the pool
 *
 * Return: 1 or 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_is_running(const struct pulse_pool *pool);

/**
 * pulse_pool_queue_length() - tasks that wait for a worker, about
 * @pool: the pool
 *
 * Return: 0 or more; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_queue_length(const struct pulse_pool *pool);

/**
 * pulse_pool_active_workers() - workers that are inside a task now
 * @pool: the pool
 *
 * Return: 0 or more; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_active_workers(const struct pulse_pool *pool);

/**
 * pulse_pool_num_workers() - workers there are
 * @pool: the pool
 *
 * Return: 1 or more (0 where the last one could not be replaced); -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_num_workers(const struct pulse_pool *pool);

/**
 * pulse_pool_resize() - have so many workers from now on
 * @pool: the pool
 * @num_workers: 1 to max_workers
 *
 * New ones are there when it returns; those who are too many leave after the
 * task they are in, and what lies in their deques goes to the others. With
 * adaptive sizing it is the number that is to be running, and min_workers goes
 * down to it where it was above.
 *
 * Return: 0; -ERANGE over max_workers; -EAGAIN not all threads could be had;
 * -ESHUTDOWN; -EOPNOTSUPP in the deterministic mode; -EINVAL; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_pool_resize(struct pulse_pool *pool,
				unsigned int num_workers);

/**
 * pulse_pool_wait_for_drain() - until nothing is queued and nothing runs
 * @pool: the pool
 * @token: give up when this is cancelled; NULL: nobody does that
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 *
 * As pulse_pool_wait_until(), and then again for what was submitted meanwhile,
 * until a moment was seen when there was nothing.
 *
 * Return: 0; -ETIMEDOUT; the reason of @token; -EDEADLK from inside one of the
 * pool's workers; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_wait_for_drain(struct pulse_pool *pool,
					struct pulse_token *token,
					int64_t deadline_ns);

/**
 * pulse_pool_current() - the pool whose worker the calling thread is
 *
 * Return: the pool, or NULL.
 */
PULSE_API struct pulse_pool *pulse_pool_current(void);

/**
 * pulse_pool_current_worker() - which worker the calling thread is
 *
 * Return: its index in its pool, 0 or more; -ESRCH it is no pool's worker.
 */
PULSE_API int pulse_pool_current_worker(void);

/**
 * struct pulse_pool_stats - what a pool has done
 * @sz: sizeof(struct pulse_pool_stats), set by the caller
 * @submitted: tasks accepted
 * @completed: tasks run
 * @cancelled: tasks cancelled
 * @stolen: tasks run by another worker than the one that submitted them, taken
 *	out of its deque
 * @parks: times a worker parked
 * @wakes: workers woken because there was work
 * @queued: tasks waiting
 * @num_workers: workers
 * @active_workers: workers inside a task
 * @num_nodes: NUMA nodes that have a worker
 * @reserved: 0
 * @jobs_shared: forked jobs that were made others' to take, at a heartbeat or when asked
 * @jobs_taken: those that another worker took
 *
 * Summed up without stopping anybody. When nothing is under way, @submitted is
 * @completed + @cancelled. @stolen, @parks and @wakes are 0 with
 * enable_statistics off.
 */
struct pulse_pool_stats {
	size_t sz;
	uint64_t submitted;
	uint64_t completed;
	uint64_t cancelled;
	uint64_t stolen;
	uint64_t parks;
	uint64_t wakes;
	uint64_t queued;
	uint32_t num_workers;
	uint32_t active_workers;
	uint32_t num_nodes;
	uint32_t reserved;
	uint64_t jobs_shared;
	uint64_t jobs_taken;
};

/**
 * pulse_pool_stats() - read a pool's statistics
 * @pool: the pool
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_stats(struct pulse_pool *pool,
			       struct pulse_pool_stats *out);

/**
 * struct pulse_pool_worker_stats - what a worker has done, and what it does
 * @sz: sizeof(struct pulse_pool_worker_stats), set by the caller
 * @executed: tasks it ran
 * @submitted: tasks it submitted
 * @stolen: tasks it took out of others' deques
 * @parks: times it parked
 * @wakes: times it was woken from that
 * @queued: tasks in its deque
 * @state: PULSE_STATE_* of <linux/pulse.h>, and the rest as in struct
 *	pulse_worker_state of <pulse-u/backend.h>
 * @tid: thread id
 * @cpu: where it runs or ran last
 * @node: that CPU's node
 * @home_node: the node whose queue is its own
 * @pinned_cpu: the CPU it is bound to, or -1
 * @n_preempt: times it lost the CPU while runnable
 * @n_block: times it went to sleep
 * @n_migrate: times it changed the CPU
 * @run_ns: time on a CPU
 * @wait_ns: time runnable without a CPU
 */
struct pulse_pool_worker_stats {
	size_t sz;
	uint64_t executed;
	uint64_t submitted;
	uint64_t stolen;
	uint64_t parks;
	uint64_t wakes;
	uint64_t queued;
	uint32_t state;
	int32_t tid;
	uint32_t cpu;
	int32_t node;
	int32_t home_node;
	int32_t pinned_cpu;
	uint64_t n_preempt;
	uint64_t n_block;
	uint64_t n_migrate;
	uint64_t run_ns;
	uint64_t wait_ns;
};

/**
 * pulse_pool_worker_stats() - look at a worker
 * @pool: the pool
 * @worker: its index, from 0; up to max_workers: a place without a worker is
 *	PULSE_STATE_DEAD
 * @out: the answer; its sz must be set
 *
 * Costs what pulse_worker_state() costs.
 *
 * Return: 0; -EINVAL also: no such worker; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_worker_stats(struct pulse_pool *pool, int worker,
				      struct pulse_pool_worker_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_POOL_H */

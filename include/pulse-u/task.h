/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * task.h - tasks with a handle: status, result, cancelling, time limits; batches
 * of them; map.
 *
 * pulse_pool_submit() of <pulse-u/pool.h> is the cheap way in: nobody can ask
 * afterwards how the task went. pulse_pool_spawn() costs one allocation more and
 * gives a future (<pulse-u/future.h>), which is the task's handle: it can be
 * waited for, cancelled, continued.
 *
 * How a task ends, and what its future says:
 *
 *	its function returns 0		the value it gave
 *	... returns a negative errno	that
 *	PULSE_ETASK_PANICKED		pulse_task_fail(0), or a fatal signal that
 *					the task asked to have contained
 *	pulse_task_fail(err)		err
 *	PULSE_ETASK_CANCELLED		cancelled: before it began, or it said so
 *					itself when it saw pulse_task_cancelled()
 *	PULSE_ETASK_TIMEOUT		its time was over; its function may still run
 *	PULSE_ETASK_LOST		it ended its thread with pthread_exit()
 *	PULSE_EPOOL_FULL		was not accepted: try again later
 *	PULSE_EPOOL_SHUTDOWN		was not accepted: the pool takes no more
 *
 * A task that waits in one of the calls below for others of its pool runs them,
 * or yet others, on its own stack meanwhile. Where one of these ends its thread
 * with pthread_exit() the one that waits is lost with it (PULSE_ETASK_LOST), and
 * what still runs elsewhere must not use what was on its stack.
 *
 * The deterministic mode (pulse_pool_opts.seed). Nothing runs but while a
 * thread that is no worker waits in pulse_pool_wait(), _wait_until(),
 * _shutdown(), pulse_fork_run() or one of the waiting calls below. One worker
 * runs at a time. At each task's begin and end, submit, and pulse_task_yield()
 * the next is drawn from the seed: one of the tasks under way, or one of the
 * most urgent that are queued. So the same program with the same seed runs the
 * same interleaving, and another seed runs another. Forked jobs are run by who
 * forked them, and deferred calls at once. A task must not wait for another by
 * anything that the pool does not know (a mutex that is held across a
 * pulse_task_yield(), a semaphore): nobody else runs meanwhile. Let it call
 * pulse_task_yield() in a loop.
 */
#ifndef PULSE_U_TASK_H
#define PULSE_U_TASK_H

#include <pulse-u/base.h>
#include <pulse-u/executor.h>
#include <pulse-u/future.h>
#include <pulse-u/pool.h>
#include <pulse-u/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Errors of tasks and pools; numbers of <errno.h>. */
#define PULSE_ETASK_PANICKED	(-ENOTRECOVERABLE)
#define PULSE_ETASK_CANCELLED	(-ECANCELED)
#define PULSE_ETASK_TIMEOUT	(-ETIMEDOUT)
#define PULSE_ETASK_LOST	(-EPIPE)
#define PULSE_EPOOL_FULL	(-EAGAIN)
#define PULSE_EPOOL_SHUTDOWN	(-ESHUTDOWN)

enum pulse_task_status {
	PULSE_TASK_PENDING = 0,
	PULSE_TASK_RUNNING = 1,
	PULSE_TASK_COMPLETED = 2,
	PULSE_TASK_FAILED = 3,
	PULSE_TASK_CANCELLED = 4,
};

/**
 * typedef pulse_work_fn - what a task with a handle does
 * @arg: as it was given
 * @value: where to put its value; NULL to begin with
 *
 * Return: 0, or a negative errno: then the value is not looked at.
 */
typedef int (*pulse_work_fn)(void *arg, void **value);

/*
 * PULSE_WORK_CONTAIN: SIGSEGV, SIGBUS, SIGFPE, SIGILL that the task brings about
 * itself, and its own abort(), end the task and not the process.
 *
 * Its limits. The task is left where it stood: what it had locked stays locked,
 * what it had allocated is lost, what it was writing is half written. If that
 * was inside malloc() or stdio, the next call of these in any thread may hang or
 * crash. Use it to answer, log and end in order. A stack overflow is contained
 * too. Signals that others send are not. The handlers are installed at the first
 * use and stay; what was installed before is called for everything else.
 */
#define PULSE_WORK_CONTAIN	(1U << 0)

/**
 * struct pulse_work - a task with a handle
 * @sz: sizeof(struct pulse_work)
 * @fn: what to run
 * @arg: its argument
 * @priority: enum pulse_priority
 * @node: as in struct pulse_task
 * @task_id: for results, hooks and logs
 * @timeout_ns: how long it may run; then its future is set to
 *	PULSE_ETASK_TIMEOUT and pulse_task_cancelled() tells it. Default: the
 *	pool's task_timeout_ns; PULSE_FOREVER: no limit.
 * @token: cancelled with it; the task holds a reference. NULL: none
 * @value_free: gets its value when nobody wants it any more, or NULL
 * @flags: PULSE_WORK_*
 * @reserved: 0
 */
struct pulse_work {
	size_t sz;
	pulse_work_fn fn;
	void *arg;
	int32_t priority;
	int32_t node;
	uint64_t task_id;
	int64_t timeout_ns;
	struct pulse_token *token;
	void (*value_free)(void *value);
	uint32_t flags;
	uint32_t reserved;
};

/**
 * pulse_pool_spawn() - have a task run, and keep a handle
 * @pool: the pool
 * @work: copied
 * @out: its future, one reference; or NULL where nobody wants it
 *
 * Cancelling the future before the task begins keeps it from running.
 *
 * Return: 0; -ENOMEM; -EAGAIN also: no thread for its time limit; the reason of
 * its token, where that is cancelled; or as
 * pulse_pool_submit_task().
 */
PULSE_API int pulse_pool_spawn(struct pulse_pool *pool,
			       const struct pulse_work *work,
			       struct pulse_future **out);

/**
 * pulse_pool_submit_wait() - have a task run, and wait for it
 * @pool: the pool
 * @work: copied
 * @deadline_ns: when to give up, absolute, or PULSE_FOREVER; the task is then
 *	cancelled, and where it has begun it may still run: what @work->arg
 *	points to must last as long
 * @out: its result, or NULL. A value is the caller's, and value_free is not
 *	called for it.
 *
 * Inside one of the pool's own tasks it runs other tasks while it waits.
 *
 * Return: 0 or the task's error; -ETIMEDOUT also: given up; or as
 * pulse_pool_spawn().
 */
PULSE_API int pulse_pool_submit_wait(struct pulse_pool *pool,
				     const struct pulse_work *work,
				     int64_t deadline_ns,
				     struct pulse_result *out);

/**
 * pulse_task_status() - where a task stands
 * @task: its future
 *
 * Return: enum pulse_task_status; -EINVAL.
 */
PULSE_API int pulse_task_status(const struct pulse_future *task);

/**
 * pulse_task_status_name() - name of a status
 * @status: enum pulse_task_status
 *
 * Return: "pending", "running", "completed", "failed", "cancelled" or
 * "unknown"; static.
 */
PULSE_API const char *pulse_task_status_name(int status);

/* ---- inside a task ------------------------------------------------------- */

/**
 * pulse_task_cancelled() - should the calling task stop?
 *
 * Cheap enough for a loop. Forked jobs are told as their task is, whoever runs
 * them.
 *
 * Return: 0: go on, also outside of tasks with a handle; else the reason:
 * -ECANCELED, -ETIMEDOUT its time is over, its token's reason.
 */
PULSE_API int pulse_task_cancelled(void);

/**
 * pulse_task_fail() - end the calling task from any depth
 * @err: a negative errno; 0: PULSE_ETASK_PANICKED
 *
 * Leaves the task's functions without coming back to them: pthread cleanup
 * handlers and C++ destructors on the way are not run. A task without a handle
 * ends its thread, as by pthread_exit(): its worker is replaced. In a forked job
 * that another worker took (<pulse-u/fork.h>) it ends the job, and pulse_join()
 * gives -ECANCELED. Within pulse_task_contain() it ends what that has called.
 *
 * Return: not, inside a task; -ESRCH elsewhere; -EINVAL @err is positive.
 */
PULSE_API int pulse_task_fail(int err);

/**
 * pulse_task_contain() - call a function, and come back whatever it does
 * @fn: called once, by the calling thread; any thread, in a task or not
 * @arg: for @fn
 *
 * Fatal signals that it brings about and its own abort() end the function, and so
 * does pulse_task_fail(); the limits are those of PULSE_WORK_CONTAIN. May be used
 * within itself: the innermost call comes back. Jobs that it forked and other
 * workers run are not contained by it.
 *
 * Return: what @fn did; the error of pulse_task_fail(); PULSE_ETASK_PANICKED a
 * signal, which the log names; -EINVAL; -ENOMEM no stack for signals: @fn was
 * not called.
 */
PULSE_API int pulse_task_contain(int (*fn)(void *arg), void *arg);

/**
 * pulse_task_id() - the calling task's task_id
 *
 * Return: it; 0 outside of tasks with a handle.
 */
PULSE_API uint64_t pulse_task_id(void);

/**
 * pulse_task_yield() - let others run
 *
 * In the deterministic mode: whoever the seed says, perhaps the caller. In
 * others, and outside of tasks, sched_yield().
 */
PULSE_API void pulse_task_yield(void);

/* ---- many at once -------------------------------------------------------- */

/**
 * struct pulse_results - the results of a batch, as they come
 *
 * One thread at a time may read from it.
 */
struct pulse_results;

/**
 * pulse_pool_spawn_batch() - have several tasks run
 * @pool: the pool
 * @works: an array whose elements have the sz of the first; copied
 * @nr: its length, at least 1
 * @out: where their results will come
 *
 * All or nothing: where one is not accepted, those before it are cancelled.
 *
 * Return: 0; or as pulse_pool_spawn().
 */
PULSE_API int pulse_pool_spawn_batch(struct pulse_pool *pool,
				     const struct pulse_work *works, size_t nr,
				     struct pulse_results **out);

/**
 * pulse_results_next() - the next task that has ended
 * @results: of pulse_pool_spawn_batch()
 * @deadline_ns: when to give up, absolute; 0 or past: only look; PULSE_FOREVER
 * @out: its result; a value lives until pulse_results_destroy()
 * @index: which of the tasks it is, or NULL
 *
 * In the order in which they end.
 *
 * Return: 0; -ENODATA all have been given; -ETIMEDOUT; -EINVAL; -EOWNERDEAD in
 * a forked child.
 */
PULSE_API int pulse_results_next(struct pulse_results *results,
				 int64_t deadline_ns, struct pulse_result *out,
				 size_t *index);

/**
 * pulse_results_wait() - until all of a batch have ended
 * @results: of pulse_pool_spawn_batch()
 * @deadline_ns: as for pulse_results_next()
 * @out: room for the results of all, in the order of the tasks; or NULL
 *
 * Takes nothing away from pulse_results_next().
 *
 * Return: 0 all ended well; else the error of the first task, in their order,
 * that did not; -ETIMEDOUT also: given up, @out is not filled in; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_results_wait(struct pulse_results *results,
				 int64_t deadline_ns, struct pulse_result *out);

/**
 * pulse_results_cancel() - cancel what is left of a batch
 * @results: of pulse_pool_spawn_batch()
 * @reason: a negative errno; 0 means -ECANCELED
 *
 * Return: how many had not ended; -EINVAL.
 */
PULSE_API int pulse_results_cancel(struct pulse_results *results, int reason);

/**
 * pulse_results_destroy() - give the results of a batch back
 * @results: nobody reads from it any more; tasks that still run go on
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_results_destroy(struct pulse_results *results);

/**
 * pulse_pool_batch_wait() - have several tasks run, and wait for all
 * @pool: the pool
 * @works: as for pulse_pool_spawn_batch(). Values are the caller's, and
 *	value_free is not called for those that are handed out.
 * @nr: its length
 * @deadline_ns: when to give up and cancel them
 * @out: room for @nr results, or NULL
 *
 * Return: 0; the error of the first that failed (the others are run all the
 * same); -ETIMEDOUT also: given up, @out is not filled in; or as
 * pulse_pool_spawn_batch().
 */
PULSE_API int pulse_pool_batch_wait(struct pulse_pool *pool,
				    const struct pulse_work *works, size_t nr,
				    int64_t deadline_ns,
				    struct pulse_result *out);

/**
 * pulse_pool_parallel() - run functions in parallel, and wait for all
 * @pool: the pool
 * @fns: the functions
 * @args: their arguments, or NULL: all get NULL
 * @nr: how many
 * @token: cancelled with it, or NULL
 * @out: room for @nr results, or NULL
 *
 * At the first error the others are cancelled.
 *
 * Return: 0; the error that came first; or as pulse_pool_spawn_batch().
 */
PULSE_API int pulse_pool_parallel(struct pulse_pool *pool,
				  const pulse_work_fn *fns, void *const *args,
				  size_t nr, struct pulse_token *token,
				  struct pulse_result *out);

/**
 * typedef pulse_map_fn - what is done with an item
 * @item: in the array of items
 * @out: its place in the array of outcomes, or NULL
 * @arg: of struct pulse_map
 *
 * Return: 0, or a negative errno: then no more items are begun.
 */
typedef int (*pulse_map_fn)(const void *item, void *out, void *arg);

/**
 * struct pulse_map - a map over an array
 * @sz: sizeof(struct pulse_map)
 * @items: the array; may be NULL where @item_bytes is 0
 * @item_bytes: from one item to the next
 * @nr: how many; 0 is done at once
 * @out: the outcomes, or NULL
 * @out_bytes: from one to the next
 * @limit: so many items at a time; default: as many as there are workers
 * @fn: what to do
 * @arg: its last argument
 * @token: no more items are begun once it is cancelled, and tasks see it; or NULL
 */
struct pulse_map {
	size_t sz;
	const void *items;
	size_t item_bytes;
	size_t nr;
	void *out;
	size_t out_bytes;
	size_t limit;
	pulse_map_fn fn;
	void *arg;
	struct pulse_token *token;
};

/**
 * pulse_pool_map() - call a function for each item of an array, some at a time
 * @pool: the pool
 * @map: what, and how many at a time
 *
 * Inside one of the pool's own tasks the caller is one of those that work.
 *
 * Return: 0 all were done; the error that came first; -ENOMEM; the token's
 * reason; -EINVAL; or as pulse_pool_spawn(), where no task was accepted.
 */
PULSE_API int pulse_pool_map(struct pulse_pool *pool,
			     const struct pulse_map *map);

/* ---- steering ------------------------------------------------------------- */

#define PULSE_TASK_TYPES	256

/* What pulse_pool_run_or_submit() did. */
enum pulse_steered {
	PULSE_STEERED_INLINE = 1,	/* ran it, in the caller */
	PULSE_STEERED_LOCAL = 2,	/* as pulse_pool_submit() does */
	PULSE_STEERED_REMOTE = 3,	/* where any idle worker finds it first */
};

/**
 * pulse_pool_run_or_submit() - run a task here, or have it run
 * @pool: made with enable_predictive; others submit
 * @type: what kind of task it is, 0 to PULSE_TASK_TYPES - 1: those of a kind are
 *	expected to take about as long as each other
 * @fn: the task
 * @data: its argument
 *
 * The pool learns how long each kind takes: a one-euro filter over the run times
 * of what was run this way, which follows a change at once and smooths what is
 * noise; of those it knows it times a few. Once it knows, a task shorter than
 * what handing it over costs is run inside the call: some 150 ns, or 2 us where a
 * worker would have to be woken and no other task came just before. One that is
 * long goes to a queue that all workers look at; what is between goes the usual
 * way, inside a task to the worker's own deque.
 * The caller must hold no lock that the task takes. Where a queue is full a task
 * of a known kind is not run in place of it: that is the caller's choice.
 *
 * Return: enum pulse_steered; or as pulse_pool_submit().
 */
PULSE_API int pulse_pool_run_or_submit(struct pulse_pool *pool,
				       unsigned int type, pulse_task_fn fn,
				       void *data);

/**
 * pulse_pool_predicted() - how long is a kind of task expected to run?
 * @pool: made with enable_predictive
 * @type: which kind
 * @ns: the estimate
 *
 * Return: how many runs it stands on, up to INT_MAX; -EOPNOTSUPP the pool does
 * not learn; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pool_predicted(struct pulse_pool *pool, unsigned int type,
				   uint64_t *ns);

/* ---- a pool as an executor ------------------------------------------------- */

/**
 * pulse_pool_executor() - a pool as an executor
 * @pool: must last as long as what is returned is used
 *
 * Return: the view; with no ops where @pool is NULL.
 */
PULSE_API struct pulse_executor pulse_pool_executor(struct pulse_pool *pool);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TASK_H */

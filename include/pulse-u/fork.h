/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * fork.h - fork and join: divide and conquer on a pool, without a cut-off.
 *
 * A fork writes a job down in a list on the stack, a join crosses it out and
 * runs it: no allocation, no atomic read-modify-write, no other thread. Only
 * when the worker's heart beats (<pulse-u/backend.h>) the *oldest* job of the
 * list, the one with the most work behind it, is shared; a worker without work
 * takes it, else its join takes it back. So the costs of parallelism are paid
 * once a beat, however small the jobs are (U. Acar et al., Heartbeat
 * scheduling, PLDI 2018). A worker that looks around and finds nothing asks for a
 * job and is heard like a beat, up to four times as often; while none is parked,
 * hearts beat at an eighth of their rate.
 *
 *	static void sum(void *arg)
 *	{
 *		struct part *p = arg, left, right;
 *		...
 *		pulse_join2(sum, &left, sum, &right);
 *		p->total = left.total + right.total;
 *	}
 *	...
 *	pulse_fork_run(pool, sum, &whole);
 *
 * A beat is heard by the next fork, or pulse_fork_poll(), so a function that does
 * neither for long keeps to itself what was forked before it. The heart begins
 * with a worker's 256th fork, or one that comes 50 us or more after the first,
 * and stops when the worker was parked for 2 ms.
 *
 * Where jobs are shared: in the tasks of a pool that may have more than one
 * worker, enable_work_stealing and enable_heartbeat on, and no seed. Anywhere
 * else, also in a thread that is no worker, the same calls run one after the
 * other. Live controls: pulse_pool_set_heartbeat() and its neighbours.
 *
 * The rules. Jobs are joined in the reverse order of their forks, by the thread
 * that forked them, before the function returns that holds them; a task or job
 * that returns with a job unjoined aborts the program. A job may do what a task
 * may. A thread that waits in a join for a job that somebody took runs other
 * shared jobs meanwhile, of whatever task: a job must not rely on locks that
 * its own thread holds. Jobs belong to their task: pulse_pool_wait() waits for
 * them, and pulse_pool_stop() lets them end.
 *
 * pthread_exit() inside a job ends the thread with all that it has begun: its
 * unshared jobs are not run; those that others took are waited for before the
 * stack goes; who waits for a job that this thread took gets -ECANCELED. For
 * the thread's own frames the rule is pthread_exit()'s: what they hold is lost.
 *
 * pulse_task_fail() and contained signals (<pulse-u/task.h>) end the task where
 * its own thread is inside it: what it forked and nobody took is not run, what
 * others took is waited for first. In a job that another worker took they end
 * the job alone, and who waits for it gets -ECANCELED. A task that waits for
 * others (pulse_pool_submit_wait() and the like) and runs tasks meanwhile keeps
 * its jobs to itself as long.
 *
 * ABI: the first words of struct pulse_fork_self and of struct pulse_job are
 * read and written by the inline functions below and never change. Each inline
 * function exists as a symbol of the library too.
 */
#ifndef PULSE_U_FORK_H
#define PULSE_U_FORK_H

#include <pulse-u/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_job - a job, as it lies on the forker's stack
 * @fn: what to run; NULL: it is shared
 * @arg: for @fn
 * @next: the job that was forked after it
 * @prev: the one before
 * @run: what @fn was, and all that follows: the library's, once it is shared
 * @older: the shared job before it
 * @running: the one below it that its thief runs
 * @base: the newest job that the thief had shared before
 * @owner: the worker that forked it
 * @work: its task, where that has a handle
 * @low: so far down went the forker's stack
 * @epoch: of its task
 * @state: 0, or how it ended
 *
 * Not to be looked at or copied, and need not be initialized.
 */
struct pulse_job {
	pulse_task_fn fn;
	void *arg;
	struct pulse_job *next;
	struct pulse_job *prev;
	pulse_task_fn run;
	struct pulse_job *older;
	struct pulse_job *running;
	struct pulse_job *base;
	void *owner;
	void *work;
	uintptr_t low;
	uint32_t epoch;
	uint32_t state;
};

/**
 * struct pulse_fork_self - what a thread has forked and not joined
 * @tail: the newest job
 * @beats: the word that changes when the heart beats
 * @seen: its value when it was looked at last; other threads may change it
 * @shared: the newest job that is shared; the library's, as what follows
 * @root: before the oldest
 *
 * For the inline functions only.
 */
struct pulse_fork_self {
	struct pulse_job *tail;
	const uint64_t *beats;
	uint64_t seen;
	struct pulse_job *shared;
	struct pulse_job root;
};

#define PULSE__TLS __thread __attribute__((tls_model("initial-exec")))
PULSE_API extern PULSE__TLS struct pulse_fork_self pulse_fork_self;

/**
 * pulse_join2() - run two functions, at the same time perhaps
 * @a: run by the caller, first
 * @arg_a: its argument
 * @b: run after @a, or meanwhile by another worker
 * @arg_b: its argument
 *
 * What both wrote is visible to the caller afterwards.
 *
 * Return: 0 both ran; -ECANCELED who took @b failed or ended inside it;
 * -EINVAL one of them is NULL.
 */
PULSE_API int pulse_join2(pulse_task_fn a, void *arg_a, pulse_task_fn b,
			  void *arg_b);

/**
 * pulse_fork() - let a function run meanwhile, perhaps
 * @job: memory for it, until pulse_join() returned
 * @fn: what to run
 * @arg: its argument
 *
 * Return: 0; -EINVAL: there is nothing to join then.
 */
PULSE_API int pulse_fork(struct pulse_job *job, pulse_task_fn fn, void *arg);

/**
 * pulse_join() - see that a forked function has run
 * @job: the newest job of this thread that is not joined; another one aborts
 *
 * Runs it now, unless another worker took it: then waits for that, and runs
 * other shared jobs meanwhile.
 *
 * Return: 0; -ECANCELED who took it failed or ended inside it; -EINVAL.
 */
PULSE_API int pulse_join(struct pulse_job *job);

/**
 * pulse_fork_poll() - has the heart beaten?
 *
 * If so, shares the oldest job. Every fork does that; this is for long loops
 * that do not fork while forked jobs wait.
 */
PULSE_API void pulse_fork_poll(void);

/**
 * pulse_fork_run() - run a function in a pool, and wait for it
 * @pool: the pool
 * @fn: the function, that forks
 * @arg: its argument
 *
 * In a task of @pool that is @fn(@arg). From elsewhere it becomes a task; where
 * pulse_pool_stop() cancels it, the pool's on_cancel is not called.
 *
 * Return: 0; -ECANCELED the pool was stopped before it began, or its thread
 * ended inside it; -EAGAIN the queues are full; -ESHUTDOWN; -EDEADLK from the
 * pool's own on_worker_start or on_worker_stop; -EINVAL; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_fork_run(struct pulse_pool *pool, pulse_task_fn fn,
			     void *arg);

/**
 * typedef pulse_range_fn - a part of a loop
 * @arg: as it was given
 * @begin: the first index
 * @end: behind the last one; more than @begin
 */
typedef void (*pulse_range_fn)(void *arg, size_t begin, size_t end);

/**
 * pulse_parallel_for() - a loop over a range
 * @pool: the pool; from outside as pulse_fork_run()
 * @begin: the first index
 * @end: behind the last one; @begin: nothing to do
 * @grain: how many indices a part has, but for the last part of the range; 0:
 *	as many as make 2048 parts
 * @body: is given the parts, each index once
 * @arg: for @body
 *
 * Return: 0; -EINVAL also: @begin is more than @end; or as pulse_fork_run(),
 * where -ECANCELED may also mean one part of them.
 */
PULSE_API int pulse_parallel_for(struct pulse_pool *pool, size_t begin,
				 size_t end, size_t grain, pulse_range_fn body,
				 void *arg);

/**
 * typedef pulse_fold_fn - a part of a reduction
 * @arg: as it was given
 * @begin: the first index
 * @end: behind the last one; more than @begin
 * @acc: folds these into it, in order; it begins as a copy of the identity
 */
typedef void (*pulse_fold_fn)(void *arg, size_t begin, size_t end, void *acc);

/**
 * typedef pulse_combine_fn - one result out of two
 * @arg: as it was given
 * @left: of the lower indices; becomes the result of both
 * @right: of those that follow
 */
typedef void (*pulse_combine_fn)(void *arg, void *left, const void *right);

/* The greatest result; for more, let it be a pointer. */
#define PULSE_REDUCE_MAX_BYTES 4096

/**
 * struct pulse_reduce - a reduction
 * @sz: sizeof(struct pulse_reduce)
 * @begin: the first index
 * @end: behind the last one
 * @grain: as in pulse_parallel_for()
 * @acc_bytes: size of a result, 1 to PULSE_REDUCE_MAX_BYTES; copied with memcpy
 * @identity: what a fold begins with; NULL: all zero
 * @fold: folds a part
 * @combine: puts two neighbours together; need not be commutative
 * @arg: for @fold and @combine
 */
struct pulse_reduce {
	size_t sz;
	size_t begin;
	size_t end;
	size_t grain;
	size_t acc_bytes;
	const void *identity;
	pulse_fold_fn fold;
	pulse_combine_fn combine;
	void *arg;
};

/**
 * pulse_parallel_reduce() - fold a range into one result
 * @pool: the pool; from outside as pulse_fork_run()
 * @how: the reduction
 * @result: out, acc_bytes: of an empty range the identity
 *
 * Parts are combined in the order of their indices, and always the same way for
 * the same range and grain: two runs give the same bits, floating point too,
 * whoever ran what.
 *
 * Return: as pulse_parallel_for(); -E2BIG unknown options. @result is written
 * only where it is 0.
 */
PULSE_API int pulse_parallel_reduce(struct pulse_pool *pool,
				    const struct pulse_reduce *how,
				    void *result);

/**
 * struct pulse_scan - the running result of a range
 * @sz: sizeof(struct pulse_scan)
 * @begin: the first index
 * @end: behind the last one
 * @grain: as in pulse_parallel_for()
 * @acc_bytes: as in struct pulse_reduce
 * @identity: as in struct pulse_reduce
 * @fold: folds a part; must not depend on what @emit writes
 * @combine: puts two neighbours together; need not be commutative
 * @emit: is given each part once, and in its acc the result of all before it;
 *	folds the part into it as @fold does, and on the way writes what it wants
 *	for each index: before the index is folded, or after that
 * @arg: for all three
 */
struct pulse_scan {
	size_t sz;
	size_t begin;
	size_t end;
	size_t grain;
	size_t acc_bytes;
	const void *identity;
	pulse_fold_fn fold;
	pulse_combine_fn combine;
	pulse_fold_fn emit;
	void *arg;
};

/**
 * pulse_parallel_scan() - running results: of each index and all before it
 * @pool: the pool; from outside as pulse_fork_run()
 * @how: the scan
 * @result: out, acc_bytes: of the whole range, of an empty one the identity; or
 *	NULL
 *
 * All parts but the last are folded, and then all are emitted, so that each index
 * is looked at twice. What is combined depends on range and grain alone, as in
 * pulse_parallel_reduce().
 *
 * Return: as pulse_parallel_for(); -ENOMEM there must be room for the results of
 * all parts; -E2BIG unknown options.
 */
PULSE_API int pulse_parallel_scan(struct pulse_pool *pool,
				  const struct pulse_scan *how, void *result);

/**
 * typedef pulse_compare_fn - which one comes first?
 * @a: an element
 * @b: another one
 * @arg: as it was given
 *
 * Return: less than 0: @a does; more: @b; 0: they stay as they are.
 */
typedef int (*pulse_compare_fn)(const void *a, const void *b, void *arg);

/**
 * pulse_parallel_sort() - sort an array; equal elements keep their order
 * @pool: the pool; from outside as pulse_fork_run()
 * @base: the array
 * @nr: its elements
 * @bytes: size of one, at least 1; copied with memcpy
 * @compare: asked by several threads at once
 * @arg: for @compare
 *
 * Takes as much memory again as long as it runs.
 *
 * Return: 0; -EINVAL; -ENOMEM; or as pulse_fork_run(). With -ECANCELED elements
 * may be there twice, and others not at all; with all others the array is as it
 * was.
 */
PULSE_API int pulse_parallel_sort(struct pulse_pool *pool, void *base,
				  size_t nr, size_t bytes,
				  pulse_compare_fn compare, void *arg);

struct pulse_pcall;

/**
 * pulse_pcall() - call a function, or have it called
 * @pool: the pool
 * @fn: the function
 * @arg: its argument; where the call is deferred, until pulse_pcall_join()
 * @out: NULL: immediate, @fn has returned. Else deferred: it is a task now, and
 *	this must be given to pulse_pcall_join()
 *
 * Deferred where a worker has nothing to do, immediate where all are busy, or
 * want of memory or room keeps it from being deferred.
 *
 * Return: 0; -ESHUTDOWN, but not in the pool's own tasks; -EINVAL; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int pulse_pcall(struct pulse_pool *pool, pulse_task_fn fn, void *arg,
			  struct pulse_pcall **out);

/**
 * pulse_pcall_join() - see that a deferred call is done, and give it back
 * @call: of pulse_pcall(), or NULL, which is done
 *
 * Once, from any thread. A call that no worker began is run here, in place.
 *
 * Return: 0; -ECANCELED the pool was stopped before the call began, or its
 * thread ended inside it; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pcall_join(struct pulse_pcall *call);

/* ---- the inline functions ---------------------------------------------- */

/* What they call when it is not the usual case. */
PULSE_API int pulse_join2_slow(pulse_task_fn a, void *arg_a, pulse_task_fn b,
			       void *arg_b);
PULSE_API int pulse_fork_slow(struct pulse_job *job, pulse_task_fn fn,
			      void *arg);
PULSE_API int pulse_join_slow(struct pulse_job *job);
PULSE_API void pulse_fork_heard(void);

#ifdef PULSE__FORK_TWINS
#define PULSE__FORK_INLINE
#else
#define PULSE__FORK_INLINE						\
	extern __inline__ __attribute__((__gnu_inline__, __always_inline__))
#endif

#define PULSE__RARE(cond) __builtin_expect(!!(cond), 0)

/* The heart has beaten, somebody asks, or this is the thread's first fork. */
#define PULSE__FORK_DUE(self)						\
	(__atomic_load_n((self)->beats, __ATOMIC_RELAXED) !=		\
	 __atomic_load_n(&(self)->seen, __ATOMIC_RELAXED))

/*
 * *(out) = &pulse_fork_self, looked up anew each time: cheaper than a register
 * that every function which forks must save. And -fsanitize=null asks whether
 * the address is 0 by the flags of an addition that the linker then relaxes to
 * one without flags; this it does not see.
 */
#if defined(__x86_64__) && defined(__LP64__)
#define PULSE__FORK_SELF(out)						\
	__asm__ __volatile__("movq pulse_fork_self@gottpoff(%%rip), %0\n\t" \
			     "addq %%fs:0, %0" : "=r" (*(out)) : : "cc")
#else
#define PULSE__FORK_SELF(out) (*(out) = &pulse_fork_self)
#endif

PULSE__FORK_INLINE int pulse_join2(pulse_task_fn a, void *arg_a,
				   pulse_task_fn b, void *arg_b)
{
	struct pulse_job *prev, *mine, job;
	struct pulse_fork_self *self;

	PULSE__FORK_SELF(&self);
	if (PULSE__RARE(PULSE__FORK_DUE(self) || !a || !b))
		return pulse_join2_slow(a, arg_a, b, arg_b);
	prev = self->tail;
	job.fn = b;
	job.arg = arg_b;
	job.prev = prev;
	prev->next = &job;
	self->tail = &job;
	a(arg_a);
	/* All that was forked since is joined, so this is &job. */
	PULSE__FORK_SELF(&self);
	mine = self->tail;
	if (PULSE__RARE(!mine->fn))
		return pulse_join_slow(mine);
	self->tail = mine->prev;
	b(mine->arg);
	return 0;
}

PULSE__FORK_INLINE int pulse_fork(struct pulse_job *job, pulse_task_fn fn,
				  void *arg)
{
	struct pulse_fork_self *self;
	struct pulse_job *prev;

	PULSE__FORK_SELF(&self);
	if (PULSE__RARE(PULSE__FORK_DUE(self) || !job || !fn))
		return pulse_fork_slow(job, fn, arg);
	prev = self->tail;
	job->fn = fn;
	job->arg = arg;
	job->prev = prev;
	prev->next = job;
	self->tail = job;
	return 0;
}

PULSE__FORK_INLINE int pulse_join(struct pulse_job *job)
{
	struct pulse_fork_self *self;
	pulse_task_fn fn;

	PULSE__FORK_SELF(&self);
	if (PULSE__RARE(!job || self->tail != job || !job->fn))
		return pulse_join_slow(job);
	fn = job->fn;
	self->tail = job->prev;
	fn(job->arg);
	return 0;
}

PULSE__FORK_INLINE void pulse_fork_poll(void)
{
	struct pulse_fork_self *self;

	PULSE__FORK_SELF(&self);
	if (PULSE__RARE(PULSE__FORK_DUE(self)))
		pulse_fork_heard();
}

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_FORK_H */

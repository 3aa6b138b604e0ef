/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * timer.h - timers by the million: a wheel for one loop, the same as a service
 * for all threads, and the scheduler contract on top.
 *
 * The wheel is hierarchical: G. Varghese, A. Lauck: Hashed and Hierarchical
 * Timing Wheels, SOSP 1987, scheme 7; a level has 64 slots and the nine levels
 * reach as far as an int64_t of nanoseconds does, 292 years. Arming, moving
 * and cancelling take constant time; a timer moves down at most eight times
 * before it fires.
 *
 * Deadlines are absolute nanoseconds of CLOCK_MONOTONIC (pulse_now_ns()). A
 * timer is never early; it is late by up to the resolution, and by what its
 * thread is kept from running.
 */
#ifndef PULSE_U_TIMER_H
#define PULSE_U_TIMER_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_timers;
struct pulse_timer;

/**
 * typedef pulse_timer_fn - called when a timer expires
 * @timer: the timer; a one-shot timer is no longer armed, a periodic one is
 *	armed for its next period. It may be armed, cancelled or, when it is
 *	not armed, freed here: the library does not touch it after the call
 *	began.
 * @arg: as given to pulse_timer_init()
 *
 * Must return: no longjmp() and no pthread_exit() out of it.
 */
typedef void (*pulse_timer_fn)(struct pulse_timer *timer, void *arg);

/**
 * typedef pulse_timer_now_fn - a clock in place of CLOCK_MONOTONIC
 * @arg: as given with it
 *
 * Return: nanoseconds, 0 or more, never less than before.
 */
typedef int64_t (*pulse_timer_now_fn)(void *arg);

/* Links of a timer; the library's. */
struct pulse_timer_node {
	struct pulse_timer_node *next;
	struct pulse_timer_node *prev;
};

/**
 * struct pulse_timer - one timer, in memory of the caller
 * @node: the library's
 * @owner: the library's
 * @tick: the library's
 * @deadline_ns: when it expires next, absolute; read only
 * @period_ns: 0 for a one-shot timer; read only
 * @missed: periods that passed without a call of their own since the timer
 *	was initialised; to be read in the callback or while it is not armed
 * @fn: as given to pulse_timer_init()
 * @arg: as given to pulse_timer_init()
 * @place: the library's; 0 while it is not armed
 * @reserved: 0
 *
 * Its memory must stay while it is armed. Arming allocates nothing.
 */
struct pulse_timer {
	struct pulse_timer_node node;
	struct pulse_timers *owner;
	uint64_t tick;
	int64_t deadline_ns;
	int64_t period_ns;
	uint64_t missed;
	pulse_timer_fn fn;
	void *arg;
	uint32_t place;
	uint32_t reserved;
};

/**
 * pulse_timer_init() - make a timer ready to be armed
 * @timer: the timer; not armed
 * @fn: called when it expires
 * @arg: for @fn
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_timer_init(struct pulse_timer *timer, pulse_timer_fn fn,
			       void *arg);

/* ---- the wheel of one loop ---------------------------------------------- */

/**
 * struct pulse_timers - a timing wheel without a thread and without a lock
 *
 * For a loop: sleep until pulse_timers_next(), then pulse_timers_run(). One
 * thread at a time may use it; callbacks may do anything to any timer of it,
 * but not run or destroy the wheel.
 */

/**
 * struct pulse_timers_opts - options of pulse_timers_create()
 * @sz: sizeof(struct pulse_timers_opts)
 * @resolution_ns: length of a tick, 1000 (1 us) to 1000000000 (1 s); default
 *	1000000 (1 ms)
 * @now: clock; default CLOCK_MONOTONIC
 * @now_arg: for @now
 * @batch: callbacks of one pulse_timers_run() that names no number, 1 to
 *	1000000; default 1024
 * @reserved: 0
 */
struct pulse_timers_opts {
	size_t sz;
	int64_t resolution_ns;
	pulse_timer_now_fn now;
	void *now_arg;
	uint32_t batch;
	uint32_t reserved;
};

/**
 * pulse_timers_create() - make a wheel
 * @opts: or NULL for the defaults
 * @out: the wheel
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_timers_create(const struct pulse_timers_opts *opts,
				  struct pulse_timers **out);

/**
 * pulse_timers_destroy() - end a wheel
 * @timers: the wheel
 *
 * Timers that are still armed are disarmed; their callbacks are not called.
 *
 * Return: how many those were; -EINVAL; -EBUSY called by a callback.
 */
PULSE_API int pulse_timers_destroy(struct pulse_timers *timers);

/**
 * pulse_timers_arm() - let a timer expire at a time
 * @timers: the wheel
 * @timer: an initialised timer; one that is armed is moved
 * @deadline_ns: absolute. What is past expires with the next
 *	pulse_timers_run(), not within the one under way; PULSE_FOREVER never.
 * @period_ns: 0: once; else again each @period_ns after @deadline_ns, which
 *	does not drift. Periods that nobody had the time to call for are left
 *	out and counted in @timer's missed.
 *
 * Return: 0; -EINVAL; -EBUSY armed with another wheel.
 */
PULSE_API int pulse_timers_arm(struct pulse_timers *timers,
			       struct pulse_timer *timer, int64_t deadline_ns,
			       int64_t period_ns);

/**
 * pulse_timers_cancel() - do not let a timer expire
 * @timers: the wheel it is armed with
 * @timer: the timer
 *
 * Return: 1 it was armed and will not be called any more; 0 it was not armed:
 * its only call has been or, where its own callback asks, is under way;
 * -EINVAL, also where it is armed with another wheel.
 */
PULSE_API int pulse_timers_cancel(struct pulse_timers *timers,
				  struct pulse_timer *timer);

/**
 * pulse_timers_pending() - is a timer armed?
 * @timers: the wheel
 * @timer: the timer
 *
 * Return: 1 or 0; -EINVAL.
 */
PULSE_API int pulse_timers_pending(const struct pulse_timers *timers,
				   const struct pulse_timer *timer);

/**
 * pulse_timers_next() - until when may a loop sleep?
 * @timers: the wheel
 *
 * Return: absolute nanoseconds, rounded up to a tick: no timer expires before.
 * With many timers far away it may be earlier than the first of them, and
 * pulse_timers_run() then calls nobody but brings the answer closer. 0 where
 * something is due now; PULSE_FOREVER where nothing is armed or @timers is
 * NULL.
 */
PULSE_API int64_t pulse_timers_next(const struct pulse_timers *timers);

/**
 * pulse_timers_run() - call what is due
 * @timers: the wheel
 * @now_ns: the time; negative: ask the wheel's clock
 * @max: callbacks to call at most; 0: the batch of the options
 *
 * Bounded: moving timers down the wheel counts too, 16 moves for a callback.
 * What is left over is due still, which pulse_timers_next() tells by 0.
 * Timers expire in the order of their ticks; within a tick in no certain
 * order.
 *
 * Return: callbacks called; -EINVAL; -EBUSY called by a callback.
 */
PULSE_API int pulse_timers_run(struct pulse_timers *timers, int64_t now_ns,
			       unsigned int max);

/**
 * pulse_timers_now() - the wheel's clock
 * @timers: the wheel
 *
 * Return: nanoseconds; -EINVAL.
 */
PULSE_API int64_t pulse_timers_now(const struct pulse_timers *timers);

/**
 * struct pulse_timers_stats - what a wheel has done
 * @sz: sizeof(struct pulse_timers_stats), set by the caller
 * @armed: timers that are armed now
 * @fired: callbacks called so far
 * @cancelled: timers that were cancelled while they were armed
 * @missed: periods left out, all timers together
 * @moved: moves of a timer to a finer level
 * @wakeups: times the sleeper of a service was woken for an earlier deadline;
 *	0 for a wheel of its own
 */
struct pulse_timers_stats {
	size_t sz;
	uint64_t armed;
	uint64_t fired;
	uint64_t cancelled;
	uint64_t missed;
	uint64_t moved;
	uint64_t wakeups;
};

/**
 * pulse_timers_stats() - read a wheel's statistics
 * @timers: the wheel
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_timers_stats(const struct pulse_timers *timers,
				 struct pulse_timers_stats *out);

/* ---- a service for all threads ------------------------------------------ */

/**
 * struct pulse_timer_service - a wheel behind a mutex, with a thread that
 * sleeps until the first deadline and calls the callbacks
 *
 * All calls but destroy may be made from any thread at any time, and from
 * callbacks. The sleeper is woken only by a deadline that is earlier than the
 * one it sleeps for. Callbacks run one at a time and without the mutex: one
 * that takes long delays the others.
 *
 * What happens to a timer that is cancelled while its callback runs:
 *	pulse_timer_service_cancel() does not wait. A one-shot timer: 0. A
 *	periodic one: 1, and no further call begins.
 *	pulse_timer_service_cancel_sync() returns when the call has ended and
 *	the timer is not armed, although the callback may have armed it again:
 *	its memory may be freed. The caller must hold no lock that the callback
 *	takes. In the callback itself it is the same as cancel.
 */
struct pulse_timer_service;

/**
 * struct pulse_timer_service_opts - options of pulse_timer_service_create()
 * @sz: sizeof(struct pulse_timer_service_opts)
 * @resolution_ns: as in struct pulse_timers_opts
 * @now: clock in place of CLOCK_MONOTONIC, for tests. The thread cannot sleep
 *	by it: it looks at it when a timer is armed and when it is told to by
 *	pulse_timer_service_kick().
 * @now_arg: for @now, which is called by any thread and must not call the
 *	service
 */
struct pulse_timer_service_opts {
	size_t sz;
	int64_t resolution_ns;
	pulse_timer_now_fn now;
	void *now_arg;
};

/**
 * pulse_timer_service_create() - start a timer service
 * @opts: or NULL for the defaults
 * @out: the service
 *
 * Its thread has all signals blocked.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EAGAIN no thread.
 */
PULSE_API int
pulse_timer_service_create(const struct pulse_timer_service_opts *opts,
			   struct pulse_timer_service **out);

/**
 * pulse_timer_service_destroy() - stop a timer service
 * @service: the service; nobody uses it any more
 *
 * Waits for a callback under way. Timers that are still armed are disarmed
 * and not called. Allowed in a forked child, where it frees the memory and
 * leaves the timers alone.
 *
 * Return: how many were armed; -EINVAL; -EDEADLK called by a callback.
 */
PULSE_API int pulse_timer_service_destroy(struct pulse_timer_service *service);

/**
 * pulse_timer_service_arm() - let a timer expire at a time
 * @service: the service
 * @timer: an initialised timer; one that is armed is moved
 * @deadline_ns: as for pulse_timers_arm()
 * @period_ns: as for pulse_timers_arm()
 *
 * Return: 0; -EINVAL; -EBUSY armed elsewhere; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_timer_service_arm(struct pulse_timer_service *service,
				      struct pulse_timer *timer,
				      int64_t deadline_ns, int64_t period_ns);

/**
 * pulse_timer_service_cancel() - do not let a timer expire; do not wait
 * @service: the service
 * @timer: the timer
 *
 * Return: 1 it was armed and no further call begins; 0 it was not armed: its
 * call has been or is under way; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_timer_service_cancel(struct pulse_timer_service *service,
					 struct pulse_timer *timer);

/**
 * pulse_timer_service_cancel_sync() - cancel, and wait for a call under way
 * @service: the service
 * @timer: the timer
 *
 * Return: as pulse_timer_service_cancel(); the rules stand at struct
 * pulse_timer_service.
 */
PULSE_API int
pulse_timer_service_cancel_sync(struct pulse_timer_service *service,
				struct pulse_timer *timer);

/**
 * pulse_timer_service_pending() - is a timer armed?
 * @service: the service
 * @timer: the timer
 *
 * Return: 1 or 0, true at the time of asking; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_timer_service_pending(struct pulse_timer_service *service,
					  const struct pulse_timer *timer);

/**
 * pulse_timer_service_kick() - look at the clock again
 * @service: the service
 *
 * After a clock of the caller's own was moved.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_timer_service_kick(struct pulse_timer_service *service);

/**
 * pulse_timer_service_now() - the service's clock
 * @service: the service
 *
 * Return: nanoseconds; -EINVAL.
 */
PULSE_API int64_t
pulse_timer_service_now(const struct pulse_timer_service *service);

/**
 * pulse_timer_service_stats() - read a service's statistics
 * @service: the service
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_timer_service_stats(struct pulse_timer_service *service,
					struct pulse_timers_stats *out);

/* ---- the scheduler contract ---------------------------------------------- */

/**
 * struct pulse_scheduler - "call this after so long": schedule, cancel, now
 *
 * One contract over any source of time: a service, the wheel of a loop, or a
 * table of functions of the user's, a mock for example. What the contract
 * says, whatever is below:
 *	- a job runs once, not before its time, or it is cancelled, once;
 *	- when pulse_scheduler_cancel() answers 0 it does not run and its
 *	  memory is the caller's again;
 *	- now is monotonic.
 *
 * From any thread, unless it stands on the wheel of a loop.
 */
struct pulse_scheduler;

/* What became of a job; pulse_scheduler_job_err() tells it as an errno. */
enum pulse_scheduler_job_state {
	PULSE_JOB_IDLE = 0,		/* never scheduled */
	PULSE_JOB_PENDING = 1,
	PULSE_JOB_RUNNING = 2,
	PULSE_JOB_DONE = 3,
	PULSE_JOB_CANCELLED = 4,
};

/**
 * struct pulse_scheduler_job - one scheduled call, in memory of the caller
 * @timer: the implementation's
 * @scheduler: the library's
 * @fn: the library's
 * @arg: the library's
 * @state: enum pulse_scheduler_job_state, atomic; the library's
 * @flags: the library's
 *
 * All zero to begin with. Its memory must stay until the job is done or
 * cancelled; it may then be used again. Not to be freed by its own function.
 */
struct pulse_scheduler_job {
	struct pulse_timer timer;
	struct pulse_scheduler *scheduler;
	void (*fn)(void *arg);
	void *arg;
	uint32_t state;
	uint32_t flags;
};

/**
 * struct pulse_scheduler_ops - what an implementation brings
 * @sz: sizeof(struct pulse_scheduler_ops)
 * @schedule: call pulse_scheduler_job_run() for @job, once, when @delay_ns
 *	have passed; 0 or a negative errno
 * @cancel: do not; on return no such call is under way in another thread nor
 *	comes. The job is not RUNNING. 0 or a negative errno.
 * @now: the time in nanoseconds, monotonic
 */
struct pulse_scheduler_ops {
	size_t sz;
	int (*schedule)(void *impl, struct pulse_scheduler_job *job,
			int64_t delay_ns);
	int (*cancel)(void *impl, struct pulse_scheduler_job *job);
	int64_t (*now)(void *impl);
};

/**
 * struct pulse_scheduler_opts - options of pulse_scheduler_create()
 * @sz: sizeof(struct pulse_scheduler_opts)
 * @service: stand on this service, which must outlive the scheduler
 * @timers: stand on this wheel; all calls by its thread
 * @ops: stand on these functions; the table is copied
 * @impl: for @ops
 * @resolution_ns: of a service of its own; default 1 ms
 *
 * At most one of @service, @timers and @ops; default a service of its own.
 */
struct pulse_scheduler_opts {
	size_t sz;
	struct pulse_timer_service *service;
	struct pulse_timers *timers;
	const struct pulse_scheduler_ops *ops;
	void *impl;
	int64_t resolution_ns;
};

/**
 * pulse_scheduler_create() - make a scheduler
 * @opts: or NULL for the defaults
 * @out: the scheduler
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EAGAIN no thread.
 */
PULSE_API int pulse_scheduler_create(const struct pulse_scheduler_opts *opts,
				     struct pulse_scheduler **out);

/**
 * pulse_scheduler_destroy() - end a scheduler
 * @scheduler: the scheduler
 *
 * With a service of its own: jobs that are pending are cancelled.
 *
 * Return: 0, or how many were cancelled; -EINVAL; -EDEADLK called by a job;
 * -EBUSY jobs are pending on a service or wheel that is not its own (nothing
 * was done).
 */
PULSE_API int pulse_scheduler_destroy(struct pulse_scheduler *scheduler);

/**
 * pulse_scheduler_schedule() - have a function called after a while
 * @scheduler: the scheduler
 * @delay_ns: nanoseconds from now; 0 or less: as soon as can be
 * @fn: the function
 * @arg: for @fn
 * @job: names the call; or NULL where nobody will cancel it, which allocates
 *
 * Return: 0; -EINVAL; -ENOMEM; -EBUSY @job is pending or running; or what the
 * implementation says.
 */
PULSE_API int pulse_scheduler_schedule(struct pulse_scheduler *scheduler,
				       int64_t delay_ns,
				       void (*fn)(void *arg), void *arg,
				       struct pulse_scheduler_job *job);

/**
 * pulse_scheduler_cancel() - do not call a function after all
 * @scheduler: the scheduler
 * @job: the call; pulse_scheduler_schedule() has returned
 *
 * Return: 0 it will not be called; -EALREADY it has been called or cancelled;
 * -EINPROGRESS it is being called now; -ENOENT it was never scheduled;
 * -EINVAL.
 */
PULSE_API int pulse_scheduler_cancel(struct pulse_scheduler *scheduler,
				     struct pulse_scheduler_job *job);

/**
 * pulse_scheduler_now() - the scheduler's clock
 * @scheduler: the scheduler
 *
 * Return: nanoseconds; -EINVAL.
 */
PULSE_API int64_t pulse_scheduler_now(struct pulse_scheduler *scheduler);

/**
 * pulse_scheduler_job_done() - has a job come to its end?
 * @job: the job
 *
 * Return: 1 it was called, and the call has returned, or it was cancelled; 0
 * not yet; -EINVAL.
 */
PULSE_API int pulse_scheduler_job_done(const struct pulse_scheduler_job *job);

/**
 * pulse_scheduler_job_err() - how did a job end?
 * @job: the job
 *
 * Return: 0 it was called; -ECANCELED; -EINPROGRESS pending or running;
 * -ENOENT never scheduled; -EINVAL.
 */
PULSE_API int pulse_scheduler_job_err(const struct pulse_scheduler_job *job);

/**
 * pulse_scheduler_job_run() - for implementations: a job's time has come
 * @job: the job, as it was given to the table's schedule
 *
 * Calls the function unless the job was cancelled meanwhile. Afterwards the
 * job is no longer the implementation's to touch.
 *
 * Return: 1 it was called; 0 it was not; -EINVAL.
 */
PULSE_API int pulse_scheduler_job_run(struct pulse_scheduler_job *job);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TIMER_H */

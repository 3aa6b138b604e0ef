/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * poller.h - one event loop: descriptors, posted functions, coarse timers.
 *
 * A poller belongs to the thread that runs it. Whatever is not said to be
 * callable "from any thread" is called by that thread, or while nobody runs
 * the poller; from elsewhere it answers -EPERM. Handlers may do anything to
 * any registration, their own included, and may stop the poller; they must
 * not run or destroy it.
 *
 * One turn of the loop: hooks, wait, descriptors, posted functions, timers.
 */
#ifndef PULSE_U_POLLER_H
#define PULSE_U_POLLER_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ctx;
struct pulse_poller;

/* What a descriptor is watched for, and what happened to it. */
enum pulse_poller_event {
	PULSE_POLLER_IN = 1 << 0,	/* can be read, or the peer ended */
	PULSE_POLLER_OUT = 1 << 1,	/* can be written */
	PULSE_POLLER_ERR = 1 << 2,	/* error or hang-up; always reported */
};

/* Which system interface does the waiting. */
enum pulse_poller_kind {
	PULSE_POLLER_AUTO = 0,		/* epoll, or what PULSE_POLLER says */
	PULSE_POLLER_EPOLL = 1,
	PULSE_POLLER_IO_URING = 2,	/* Linux 6.1 and later */
};

/**
 * struct pulse_poller_opts - how a poller is made
 * @sz: sizeof(struct pulse_poller_opts)
 * @kind: enum pulse_poller_kind; default PULSE_POLLER_AUTO: what the
 *	environment's PULSE_POLLER names (epoll, io_uring), where that is to be
 *	had, else epoll
 * @reserved: 0
 * @ctx: pulse_poller_run() registers its thread as a worker of it, so that
 *	the loop's state shows; default NULL: none
 * @cookie: the worker's cookie, told in traces
 * @max_events: descriptors handled a turn, 1 to 4096; default 256
 * @buffer_bytes: the loop's shared receive buffer, 4 KiB to 16 MiB; default
 *	64 KiB; allocated at its first use
 * @spin_us: before it sleeps the loop looks again and again for so many
 *	microseconds, up to 1000000; default 0. Answers come faster by what it
 *	takes to wake a thread, and a core is busy for that long after each
 *	event. Sockets are asked to look at their device (SO_BUSY_POLL), where
 *	that is allowed
 * @reserved2: 0
 */
struct pulse_poller_opts {
	size_t sz;
	int kind;
	int reserved;
	struct pulse_ctx *ctx;
	uint64_t cookie;
	uint32_t max_events;
	uint32_t buffer_bytes;
	uint32_t spin_us;
	uint32_t reserved2;
};

/**
 * pulse_poller_create() - make an event loop
 * @opts: or NULL for the defaults
 * @out: the poller
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EMFILE, -ENFILE;
 * -ENOSYS, -EPERM there is no io_uring, which was asked for by name (the log
 * says why, and what to do).
 */
PULSE_API int pulse_poller_create(const struct pulse_poller_opts *opts,
				  struct pulse_poller **out);

/**
 * pulse_poller_of_worker() - the poller of the pool's worker that calls
 * @opts: for the first call, which makes it; or NULL. No ctx, cookie or spin_us:
 *	the loop is the worker's, and spins as long as its pool says
 * @out: the poller; the worker's
 *
 * From inside a task, or the pool's on_worker_start. From then on the worker has
 * one sleep for both: without a task it waits for the poller's descriptors,
 * timers and posted functions, and a task that is submitted ends that wait as it
 * ends any worker's. With tasks at hand it looks at the poller between two of
 * them, at least once in 64 tasks, or after the task in which 100 us were over;
 * a task that takes long keeps the poller waiting. Hooks are called before each
 * look.
 *
 * Handlers run outside of tasks: what they submit goes to the queue of the node,
 * and waiting in them keeps a worker from its work. The worker's tasks use the
 * poller as the thread that runs it; other threads post. It cannot be run,
 * prepared for another loop, or destroyed (-EBUSY), and the worker's tasks run
 * no other one (-EDEADLK).
 *
 * It ends with the worker, when on_worker_stop has returned: that is the place
 * to close what it serves, and to keep others from posting. A worker whose
 * thread ends (pthread_exit() in a task, or in the handler of a descriptor; not in a
 * posted function, whose poster may not be through yet) leaves with its poller; its
 * successor has none.
 * Adaptive sizing lets no worker go that has one; pulse_pool_resize() does.
 *
 * Return: 0; -ESRCH the caller is no pool's worker; -EDEADLK it runs another
 * poller; -EOPNOTSUPP the pool's context is shared with other processes, or the
 * pool is deterministic; or as pulse_poller_create().
 */
PULSE_API int pulse_poller_of_worker(const struct pulse_poller_opts *opts,
				     struct pulse_poller **out);

/**
 * pulse_poller_destroy() - end an event loop
 * @poller: the poller; nobody runs it
 *
 * Functions that were posted and did not run yet are run now, by the caller.
 * Registered descriptors stay open, they are the caller's.
 *
 * Return: 0; -EINVAL; -EBUSY somebody runs it (nothing was done).
 */
PULSE_API int pulse_poller_destroy(struct pulse_poller *poller);

/**
 * pulse_poller_name() - which system interface does the waiting
 * @poller: the poller
 *
 * Return: "epoll" or "io_uring"; static; NULL for a NULL @poller.
 */
PULSE_API const char *pulse_poller_name(const struct pulse_poller *poller);

/**
 * typedef pulse_poller_fn - a descriptor's handler
 * @poller: the poller
 * @fd: the descriptor
 * @events: enum pulse_poller_event, one or more
 * @arg: as registered
 */
typedef void (*pulse_poller_fn)(struct pulse_poller *poller, int fd,
				uint32_t events, void *arg);

/**
 * pulse_poller_add() - watch a descriptor
 * @poller: the poller
 * @fd: the descriptor; stays the caller's
 * @events: PULSE_POLLER_IN, PULSE_POLLER_OUT, both, or 0
 * @fn: called as long as the condition holds (level, not edge)
 * @arg: for @fn
 * @id: out: names the registration; never reused, never 0
 *
 * Return: 0; -EINVAL; -EPERM wrong thread, or a file that cannot be watched;
 * -EEXIST @fd is registered already; -EBADF; -ENOMEM; -ENOSPC.
 */
PULSE_API int pulse_poller_add(struct pulse_poller *poller, int fd,
			       uint32_t events, pulse_poller_fn fn, void *arg,
			       uint64_t *id);

/**
 * pulse_poller_mod() - watch a descriptor for something else
 * @poller: the poller
 * @id: the registration
 * @events: as for pulse_poller_add()
 *
 * Return: 0; -EINVAL; -EPERM; -ENOENT no such registration.
 */
PULSE_API int pulse_poller_mod(struct pulse_poller *poller, uint64_t id,
			       uint32_t events);

/**
 * pulse_poller_del() - watch a descriptor no longer
 * @poller: the poller
 * @id: the registration
 *
 * Call it before the descriptor is closed. The handler is not called again,
 * not even for an event that was fetched already, and not when the number of
 * the descriptor is used anew.
 *
 * Return: 0; -EINVAL; -EPERM; -ENOENT no such registration.
 */
PULSE_API int pulse_poller_del(struct pulse_poller *poller, uint64_t id);

/**
 * struct pulse_poller_watch - one of several to be watched at once
 * @fd: as for pulse_poller_add(), as are the next three
 * @events: likewise
 * @fn: likewise
 * @arg: likewise
 * @id: out: names the registration
 */
struct pulse_poller_watch {
	int fd;
	uint32_t events;
	pulse_poller_fn fn;
	void *arg;
	uint64_t id;
};

/**
 * pulse_poller_add_all() - watch several descriptors, or none of them
 * @poller: the poller
 * @watches: the descriptors; on failure each id is 0
 * @nr: how many; 0 is nothing to do
 *
 * Return: 0; -EINVAL; why one of them cannot be watched, as for
 * pulse_poller_add(): then none is.
 */
PULSE_API int pulse_poller_add_all(struct pulse_poller *poller,
				   struct pulse_poller_watch *watches,
				   size_t nr);

/**
 * pulse_poller_del_all() - watch several descriptors no longer
 * @poller: the poller
 * @watches: the registrations, by their id; each id is 0 afterwards
 * @nr: how many; 0 is nothing to do
 *
 * As pulse_poller_del() of each, with fewer system calls. From a handler, too,
 * its own registration among them.
 *
 * Return: 0; -EINVAL; -EPERM; -ENOENT one or more were not there: those that
 * were are gone all the same.
 */
PULSE_API int pulse_poller_del_all(struct pulse_poller *poller,
				   struct pulse_poller_watch *watches,
				   size_t nr);

/**
 * pulse_poller_run() - run the loop until it is stopped
 * @poller: the poller
 *
 * Return: 0 stopped; -EINVAL; -EBUSY somebody runs it; -EDEADLK this thread
 * runs another one; -EOWNERDEAD in a forked child; or why the thread could not
 * become a worker of the context; -ENOMEM, -EMFILE no ring for this thread
 * (io_uring).
 */
PULSE_API int pulse_poller_run(struct pulse_poller *poller);

/**
 * pulse_poller_run_once() - one turn of the loop
 * @poller: the poller
 * @deadline_ns: when to give up waiting, absolute CLOCK_MONOTONIC; 0: do not
 *	wait; PULSE_FOREVER
 *
 * Return: descriptors, posted functions and timers handled, 0 for none until
 * @deadline_ns or when a signal or pulse_poller_stop() ended the wait;
 * -EINVAL; -EBUSY; -EDEADLK; -EOWNERDEAD; -ENOMEM; -EMFILE.
 */
PULSE_API int pulse_poller_run_once(struct pulse_poller *poller,
				    int64_t deadline_ns);

/**
 * pulse_poller_prepare() - get ready to be waited for by another loop
 * @poller: the poller; the caller runs it with pulse_poller_run_once() and 0
 * @fd: out: to be watched for reading by that loop; stays the poller's, and
 *	may be another one after the next call
 * @deadline_ns: out: when to run the poller at the latest, PULSE_FOREVER
 *
 * For a program that has an event loop already: call this before that loop
 * sleeps, watch @fd until @deadline_ns, then pulse_poller_run_once(poller, 0).
 * Other threads that post or stop make @fd readable from this call on. Hooks
 * are called.
 *
 * Return: 0 sleep; 1 there is something to do: run it now; -EINVAL; -EBUSY
 * somebody runs it; -EDEADLK; -EOWNERDEAD; -ENOMEM; -EMFILE.
 */
PULSE_API int pulse_poller_prepare(struct pulse_poller *poller, int *fd,
				   int64_t *deadline_ns);

/**
 * pulse_poller_stop() - make pulse_poller_run() return
 * @poller: the poller
 *
 * From any thread, and from a handler; the turn under way is finished. Ends
 * the run that is under way or, if there is none, the next one.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_poller_stop(struct pulse_poller *poller);

/**
 * pulse_poller_now() - the time this turn began to handle events
 * @poller: the poller
 *
 * Return: CLOCK_MONOTONIC in nanoseconds, without asking the clock; 0 for a
 * NULL @poller.
 */
PULSE_API int64_t pulse_poller_now(const struct pulse_poller *poller);

/**
 * pulse_poller_buffer() - the loop's shared receive buffer
 * @poller: the poller
 * @bytes: out: its length
 *
 * For handlers that receive, look at what came and return: its content lasts
 * until anyone else of this loop receives.
 *
 * Return: the buffer, or NULL when there is no memory for it.
 */
PULSE_API void *pulse_poller_buffer(struct pulse_poller *poller, size_t *bytes);

/**
 * typedef pulse_poller_task_fn - a posted function
 * @poller: the poller that runs it
 * @arg: as posted
 */
typedef void (*pulse_poller_task_fn)(struct pulse_poller *poller, void *arg);

/**
 * pulse_poller_post() - have a function run by the loop's thread
 * @poller: the poller
 * @fn: the function
 * @arg: for @fn
 *
 * From any thread. Functions of one thread run in the order they were posted.
 * A sleeping loop is woken once for all that is posted until it runs.
 *
 * Return: 0; -EINVAL; -ENOMEM; -ESHUTDOWN the loop has ended for good.
 */
PULSE_API int pulse_poller_post(struct pulse_poller *poller,
				pulse_poller_task_fn fn, void *arg);

/**
 * struct pulse_poller_task - a posted function whose memory is the caller's
 * @next: the poller's
 * @fn: runs on the loop's thread, once for each post
 */
struct pulse_poller_task {
	struct pulse_poller_task *next;
	void (*fn)(struct pulse_poller *poller, struct pulse_poller_task *task);
};

/**
 * pulse_poller_post_task() - pulse_poller_post() without an allocation
 * @poller: the poller
 * @task: fn is set; not posted now; the poller's until fn is called
 *
 * From any thread.
 *
 * Return: 0; -EINVAL; -ESHUTDOWN the loop has ended for good.
 */
PULSE_API int pulse_poller_post_task(struct pulse_poller *poller,
				     struct pulse_poller_task *task);

/**
 * struct pulse_poller_timer - a coarse timer (a millisecond or so)
 * @next: the poller's
 * @link: the poller's; NULL when the timer is not armed
 * @tick: the poller's
 * @fn: called once by the loop, not before the time; may arm it again
 *
 * Lives in the caller's own struct; all zero but fn to begin with.
 */
struct pulse_poller_timer {
	struct pulse_poller_timer *next;
	struct pulse_poller_timer **link;
	uint64_t tick;
	void (*fn)(struct pulse_poller *poller,
		   struct pulse_poller_timer *timer);
};

/**
 * pulse_poller_timer_arm() - have a timer fire once
 * @poller: the poller
 * @timer: armed already: moved
 * @deadline_ns: absolute CLOCK_MONOTONIC
 *
 * Arming and cancelling take a few instructions each, and no system call.
 *
 * Return: 0; -EINVAL; -EPERM.
 */
PULSE_API int pulse_poller_timer_arm(struct pulse_poller *poller,
				     struct pulse_poller_timer *timer,
				     int64_t deadline_ns);

/**
 * pulse_poller_timer_cancel() - have a timer not fire
 * @poller: the poller
 * @timer: armed or not
 *
 * Return: 1 it was armed; 0 it was not; -EINVAL; -EPERM.
 */
PULSE_API int pulse_poller_timer_cancel(struct pulse_poller *poller,
					struct pulse_poller_timer *timer);

/**
 * struct pulse_poller_hook - called once a turn, before the loop waits
 * @next: the poller's
 * @fn: where work that was gathered in the turn before is finished
 */
struct pulse_poller_hook {
	struct pulse_poller_hook *next;
	void (*fn)(struct pulse_poller *poller, struct pulse_poller_hook *hook);
};

/**
 * pulse_poller_hook_add() - call something before each wait
 * @poller: the poller
 * @hook: fn is set; the poller's until it is deleted
 *
 * Return: 0; -EINVAL; -EPERM.
 */
PULSE_API int pulse_poller_hook_add(struct pulse_poller *poller,
				    struct pulse_poller_hook *hook);

/**
 * pulse_poller_hook_del() - call it no more
 * @poller: the poller
 * @hook: not from within a hook's function
 *
 * Return: 0; -EINVAL; -EPERM; -ENOENT.
 */
PULSE_API int pulse_poller_hook_del(struct pulse_poller *poller,
				    struct pulse_poller_hook *hook);

/**
 * struct pulse_poller_stats - what a loop has done
 * @sz: sizeof(struct pulse_poller_stats), set by the caller
 * @turns: turns of the loop
 * @events: descriptors handled
 * @posted: posted functions run
 * @wakes: times a sleeping loop had to be woken for them
 * @timers: timers that fired
 * @fds: descriptors registered now
 */
struct pulse_poller_stats {
	size_t sz;
	uint64_t turns;
	uint64_t events;
	uint64_t posted;
	uint64_t wakes;
	uint64_t timers;
	uint64_t fds;
};

/**
 * pulse_poller_stats() - look at a loop's figures
 * @poller: the poller
 * @out: the figures; its sz must be set
 *
 * From any thread.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_poller_stats(const struct pulse_poller *poller,
				 struct pulse_poller_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_POLLER_H */

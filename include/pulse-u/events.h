/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * events.h - what a context is told: workers and processes that ended, workers
 * that hang, memory over a limit; and what it wants to be told.
 *
 * A context has events if it was made with pulse_ctx_opts.event_bytes. There is
 * one stream, in order, and each event is read once, by whoever comes first.
 *
 * On the kernel backend the stream is the kernel's. Without the module the
 * library looks for itself: a worker whose thread ended without unregistering
 * (a bare exit system call; a thread that ends by returning is unregistered) is
 * found by pulse_ctx_events_next() and not before; the end of a process comes
 * at once, by pidfd; its exit status is known of children that nobody has
 * waited for; there are no verdicts and no limits. PULSE_FEAT_EVENTS and
 * PULSE_FEAT_WATCH in pulse_backend_info.features tell which.
 */
#ifndef PULSE_U_EVENTS_H
#define PULSE_U_EVENTS_H

#include <pulse-u/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

/* pulse_event.exit_code where it cannot be known */
#define PULSE_EXIT_UNKNOWN	(-1)

/**
 * struct pulse_event - one event
 * @sz: sizeof(struct pulse_event), set by the caller
 * @type: PULSE_EVENT_* of <linux/pulse.h>
 * @watch: id of the watch, or -1: the death of a worker
 * @time_ns: CLOCK_MONOTONIC
 * @cookie: of the watch; of the worker where it died
 * @index: of the worker, or -1
 * @incarnation: of its slot
 * @tid: thread id, or 0
 * @pid: process id, or 0
 * @exit_code: as in wait(2), or PULSE_EXIT_UNKNOWN
 * @signal: that ended it, or 0
 * @state: PULSE_STATE_*: of a hang; of a death, where the thread came from
 * @verdict: PULSE_HANG_* of a hang
 * @job: the job in hand
 * @progress: the progress counter
 * @run_ns: time on a CPU
 * @wait_ns: time runnable without a CPU, of a hang
 * @for_ns: how long it hangs
 * @rss_bytes: resident memory
 * @limit_bytes: and its limit
 *
 * What an event does not have is 0 where nothing else is said.
 */
struct pulse_event {
	size_t sz;
	uint32_t type;
	int32_t watch;
	int64_t time_ns;
	uint64_t cookie;
	int32_t index;
	uint32_t incarnation;
	int32_t tid;
	int32_t pid;
	int32_t exit_code;
	int32_t signal;
	uint32_t state;
	uint32_t verdict;
	uint64_t job;
	uint64_t progress;
	uint64_t run_ns;
	uint64_t wait_ns;
	uint64_t for_ns;
	uint64_t rss_bytes;
	uint64_t limit_bytes;
};

/**
 * pulse_ctx_events_next() - take the next event
 * @ctx: the context
 * @out: the event; its sz must be set
 *
 * Does not wait, see pulse_ctx_events_fd(). From any thread.
 *
 * Return: 1 an event; 0 there is none; -ENODEV the context has no events;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_events_next(struct pulse_ctx *ctx,
				    struct pulse_event *out);

/**
 * pulse_ctx_events_fd() - a descriptor that is readable while there are events
 * @ctx: the context
 *
 * For poll() and epoll; not to be read. It stays the context's.
 *
 * Return: the descriptor; -ENODEV; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_events_fd(struct pulse_ctx *ctx);

/**
 * pulse_ctx_events_signal() - have an eventfd told of events
 * @ctx: the context
 * @fd: an eventfd, to which 1 is added for each event from now on; or -1: none
 *	any more
 *
 * For a loop that waits for one eventfd already. A context tells one or none;
 * another one takes its place, and the caller may close the descriptor. Events
 * that are there are not told again: take them with pulse_ctx_events_next(). An
 * event that found no room is not told. A counter that is full stays full.
 *
 * On the user backend a thread of the library's looks for the ends of processes
 * from the first eventfd to the end of the context; that of a worker is found,
 * and told, by pulse_ctx_events_next(). A program that is out of threads gets
 * EAGAIN.
 *
 * Return: 0; -EBADF no descriptor; -EINVAL no eventfd; -ENODEV the context has
 * no events; -EMFILE; -EAGAIN; -ENOMEM; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_events_signal(struct pulse_ctx *ctx, int fd);

/**
 * pulse_ctx_events_dropped() - events that found no room
 * @ctx: the context
 *
 * Return: how many, since the context was made; -ENODEV; -EINVAL; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int64_t pulse_ctx_events_dropped(struct pulse_ctx *ctx);

/**
 * struct pulse_watch_opts - what is to be told
 * @sz: sizeof(struct pulse_watch_opts)
 * @flags: PULSE_WATCH_KILL_* of <linux/pulse.h>
 * @reserved: 0
 * @cookie: the caller's own, told back
 * @stuck_ns: of a worker: time on a CPU without progress; 0: never
 * @starved_ns: likewise time without a CPU though it could run
 * @blocked_ns: likewise time asleep and not parked
 * @rss_bytes: memory of the process; 0: never
 */
struct pulse_watch_opts {
	size_t sz;
	uint32_t flags;
	uint32_t reserved;
	uint64_t cookie;
	uint64_t stuck_ns;
	uint64_t starved_ns;
	uint64_t blocked_ns;
	uint64_t rss_bytes;
};

/**
 * pulse_ctx_watch_worker() - look after a worker
 * @ctx: the context
 * @index: of any worker of it; its death is told in any case
 * @opts: what else is to be told
 *
 * The watch ends with the worker.
 *
 * Return: its id, above 0; -EOPNOTSUPP without PULSE_FEAT_WATCH; -ESRCH;
 * -ENOSPC; -ENOMEM; -ENODEV; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_watch_worker(struct pulse_ctx *ctx, int index,
				     const struct pulse_watch_opts *opts);

/**
 * pulse_ctx_watch_process() - look after a process
 * @ctx: the context
 * @pid: of this user's, or of anybody's with CAP_KILL
 * @opts: what is to be told besides its end, or NULL: nothing
 *
 * The watch ends with the event of the process's end.
 *
 * Return: its id, above 0; -EOPNOTSUPP a limit, without PULSE_FEAT_WATCH;
 * -ESRCH; -EPERM; -ENOSPC; -ENOMEM; -EMFILE; -ENODEV; -EINVAL; -E2BIG;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_watch_process(struct pulse_ctx *ctx, int pid,
				      const struct pulse_watch_opts *opts);

/**
 * pulse_ctx_unwatch() - end a watch
 * @ctx: the context
 * @id: of the watch
 *
 * Return: 0; -ESRCH no such watch, or it ended; -ENODEV; -EINVAL; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int pulse_ctx_unwatch(struct pulse_ctx *ctx, int id);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_EVENTS_H */

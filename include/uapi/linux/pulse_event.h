/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Pulse kernel ABI: the event ring, regions EVCONS and EVPROD of a context, what
 * is told there, and the commands about it. Part of <linux/pulse.h>.
 */
#ifndef _UAPI_LINUX_PULSE_EVENT_H
#define _UAPI_LINUX_PULSE_EVENT_H

#include <linux/types.h>

/* pulse_watch.kind */
#define PULSE_WATCH_WORKER	0U	/* target: index of a worker of the context */
#define PULSE_WATCH_PROCESS	1U	/* target: process id in the caller's namespace */

/* WATCH: with the event goes a SIGKILL. */
#define PULSE_WATCH_KILL_HANG	(1U << 0)
#define PULSE_WATCH_KILL_RSS	(1U << 1)

/**
 * struct pulse_watch - PULSE_IOC_WATCH: look after a worker or a process
 * @size: bytes of this struct as the caller knows it
 * @flags: PULSE_WATCH_KILL_*
 * @kind: PULSE_WATCH_WORKER or PULSE_WATCH_PROCESS
 * @target: see there
 * @id: out: names the watch in its events and for UNWATCH
 * @reserved: must be 0
 * @cookie: told back in its events
 * @stuck_ns: of a worker: a hang when it had a CPU for so long and neither
 *	raised UWORK.progress nor parked; 0: never
 * @starved_ns: likewise when it could run for so long and had no CPU
 * @blocked_ns: likewise when it slept for so long, and not in PARK
 * @rss_bytes: tell when the process has more memory resident; 0: never
 *
 * There is a look each watch_interval_ms (sysfs), so that a verdict comes so
 * much late, and a worker's shortest troubles are not seen. Each hang is told
 * once. A worker's watch ends with the worker, whose death is told in any case;
 * a process's ends with its PROCESS_DEATH. A process may be anybody's descendant
 * or nobody's, and exit status and signal are told though the caller is not its
 * parent. A caller with a pidfd asks it, after WATCH, whether the process still
 * lives: then the number meant that one.
 *
 * Errors: ENODEV the context has no event ring; EINVAL no such kind, or
 * thresholds and flags that are a worker's; ESRCH no such worker or process;
 * EPERM a process with another uid, without CAP_KILL; ENOSPC PULSE_MAX_WATCHES.
 */
struct pulse_watch {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__s32 target;
	__u32 id;
	__u32 reserved;
	__u64 cookie;
	__u64 stuck_ns;
	__u64 starved_ns;
	__u64 blocked_ns;
	__u64 rss_bytes;
};

#define PULSE_WATCH_SIZE_VER0	64

/**
 * struct pulse_unwatch - PULSE_IOC_UNWATCH: end a watch
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @id: what WATCH gave
 * @reserved: must be 0
 *
 * An event that is in the ring already stays there.
 *
 * Errors: ESRCH no such watch, or it ended.
 */
struct pulse_unwatch {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

#define PULSE_UNWATCH_SIZE_VER0	16

/**
 * struct pulse_eventfd - PULSE_IOC_EVENTFD: be told of events by an eventfd
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @fd: an eventfd, which gets 1 added for each new event; or -1: none any more
 * @reserved: must be 0
 *
 * A context has one or none; another one takes its place. poll() and epoll on
 * the context's own descriptor need none: it is readable while the ring is not
 * empty.
 *
 * Errors: ENODEV the context has no event ring, EBADF no descriptor, EINVAL no
 * eventfd.
 */
struct pulse_eventfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

#define PULSE_EVENTFD_SIZE_VER0	16

/*
 * The event ring: kernel to user, one reader. EVPROD is a page with struct
 * pulse_evprod and, from data_off on, the data twice in a row, so that a record
 * which goes over the end goes on behind it. Records lie between the two
 * positions, which only grow: the record at position p is at data_off + (p &
 * (event_bytes - 1)). A record is a struct pulse_event_hdr and len bytes, and
 * the next one begins at the next multiple of 8. The reader
 *
 *	loads pulse_evprod.pos (acquire); stops if that is its own position;
 *	loads hdr.len (acquire); stops if it is BUSY; skips what is DISCARDed;
 *	reads the record, as much of it as it knows and hdr.len says;
 *	stores its position behind it in pulse_evcons.pos (release).
 *
 * The kernel waits for nobody: an event that finds no room is dropped and
 * counted. A position that cannot be leaves no room.
 */
#define PULSE_EVENT_BUSY	(1U << 31)	/* still being written */
#define PULSE_EVENT_DISCARD	(1U << 30)	/* nothing in it */
#define PULSE_EVENT_LEN(len)	((len) & ~(PULSE_EVENT_BUSY | PULSE_EVENT_DISCARD))
#define PULSE_EVENT_ALIGN	8U

/* pulse_event_hdr.type; a reader skips those it does not know */
#define PULSE_EVENT_WORKER_DEATH	1U	/* struct pulse_event_worker_death */
#define PULSE_EVENT_PROCESS_DEATH	2U	/* struct pulse_event_process_death */
#define PULSE_EVENT_HANG		3U	/* struct pulse_event_hang */
#define PULSE_EVENT_RSS			4U	/* struct pulse_event_rss */

/**
 * struct pulse_evcons - region EVCONS: the reader writes
 * @pos: position of the next record to read; untrusted
 */
struct pulse_evcons {
	__u64 pos;
};

/**
 * struct pulse_evprod - head of region EVPROD: the kernel writes
 * @pos: position behind the last record
 * @dropped: events that found no room
 * @data_off: offset of the data in the region
 * @data_bytes: event_bytes
 */
struct pulse_evprod {
	__u64 pos;
	__u64 dropped;
	__u32 data_off;
	__u32 data_bytes;
};

/**
 * struct pulse_event_hdr - in front of each record
 * @len: bytes that follow, and PULSE_EVENT_BUSY, PULSE_EVENT_DISCARD
 * @type: PULSE_EVENT_*
 */
struct pulse_event_hdr {
	__u32 len;
	__u32 type;
};

/**
 * struct pulse_event_worker_death - a worker's thread ended
 * @time_ns: CLOCK_MONOTONIC of its last moment on a CPU
 * @run_ns: its time on a CPU
 * @job: UWORK.job as it was left: the job in hand, or 0
 * @progress: UWORK.progress as it was left
 * @cookie: of WORKER_ADD
 * @index: of the worker
 * @incarnation: of the slot, as in KSTATE
 * @tid: thread id, as in KSTATE
 * @pid: process id in the same namespace
 * @exit_code: as in wait(2)
 * @signal: that ended it, or 0
 * @last_state: PULSE_STATE_* from which it came to its last stay on a CPU
 * @park: UWORK.park as it was left
 *
 * Told after the permits that the worker owed were given, and before its slot
 * is given out again; UWORK stays as it was left until the next owner writes
 * there.
 */
struct pulse_event_worker_death {
	__u64 time_ns;
	__u64 run_ns;
	__u64 job;
	__u64 progress;
	__u64 cookie;
	__u32 index;
	__u32 incarnation;
	__s32 tid;
	__s32 pid;
	__s32 exit_code;
	__u32 signal;
	__u32 last_state;
	__u32 park;
};

/**
 * struct pulse_event_process_death - a watched process ended
 * @time_ns: CLOCK_MONOTONIC when that was seen
 * @cookie: of WATCH
 * @watch: its id; the watch is over
 * @pid: process id in the namespace of the context's creator
 * @exit_code: as in wait(2)
 * @signal: that ended it, or 0
 */
struct pulse_event_process_death {
	__u64 time_ns;
	__u64 cookie;
	__u32 watch;
	__s32 pid;
	__s32 exit_code;
	__u32 signal;
};

/* pulse_event_hang.verdict */
#define PULSE_HANG_STUCK	1U	/* running without progress */
#define PULSE_HANG_STARVED	2U	/* runnable without a CPU */
#define PULSE_HANG_BLOCKED	3U	/* asleep, not in PARK */

/**
 * struct pulse_event_hang - a watched worker does not get on
 * @time_ns: CLOCK_MONOTONIC of the look
 * @cookie: of WATCH
 * @for_ns: since when; stuck: time on a CPU, otherwise time without
 * @run_ns: of KSTATE
 * @wait_ns: of KSTATE
 * @progress: of UWORK
 * @job: of UWORK, the job in hand
 * @watch: its id
 * @index: of the worker
 * @incarnation: of the slot, as in KSTATE
 * @tid: thread id, as in KSTATE
 * @verdict: PULSE_HANG_*
 * @state: PULSE_STATE_*
 */
struct pulse_event_hang {
	__u64 time_ns;
	__u64 cookie;
	__u64 for_ns;
	__u64 run_ns;
	__u64 wait_ns;
	__u64 progress;
	__u64 job;
	__u32 watch;
	__u32 index;
	__u32 incarnation;
	__s32 tid;
	__u32 verdict;
	__u32 state;
};

/**
 * struct pulse_event_rss - a watched process has more memory than it should
 * @time_ns: CLOCK_MONOTONIC of the look
 * @cookie: of WATCH
 * @rss_bytes: resident
 * @limit_bytes: of WATCH
 * @watch: its id
 * @pid: process id in the namespace of the context's creator
 *
 * Told again only after it was under the limit.
 */
struct pulse_event_rss {
	__u64 time_ns;
	__u64 cookie;
	__u64 rss_bytes;
	__u64 limit_bytes;
	__u32 watch;
	__s32 pid;
};

#endif /* _UAPI_LINUX_PULSE_EVENT_H */

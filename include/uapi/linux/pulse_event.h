/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Pulse kernel ABI: the event ring, regions EVCONS and EVPROD of a context, and
 * what is told there. Part of <linux/pulse.h>.
 */
#ifndef _UAPI_LINUX_PULSE_EVENT_H
#define _UAPI_LINUX_PULSE_EVENT_H

#include <linux/types.h>

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

/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Pulse kernel ABI: commands and shared pages of /dev/pulse.
 *
 * This header is the manual of the ABI; what has to do with events stands in
 * <linux/pulse_event.h>, and the commands of io_uring in <linux/pulse_uring.h>,
 * both of which it includes. A *context* is one open of
 * /dev/pulse that was set up once; the file descriptor is the authority. A
 * *worker* is a thread that registered itself and is named by its index in
 * the context. Nodes are always the kernel's NUMA node numbers.
 *
 * Life and death
 *   A context lives as long as its open file: descriptors, mappings and
 *   workers each hold it. A worker ends with WORKER_DEL, with its thread, or
 *   with exec; so closing the last descriptor ends its PARKs (ECANCELED) and
 *   not the worker. Open with O_CLOEXEC: nothing forces it, but a program after
 *   exec can do nothing with a descriptor of the program before it. A forked
 *   child is no worker, has no mappings, and gets EPERM for each command, but
 *   for JOIN on a context that was set up with PULSE_CTX_SHARED.
 *
 * Growing without breaking
 *   Each command's argument begins with its own size. Shorter than this
 *   kernel knows: the missing fields take their defaults (zero). Longer: all
 *   that the kernel does not know must be zero, otherwise E2BIG. Smaller than
 *   the first version of the struct: EINVAL. Unknown flag, or a reserved field
 *   that is not zero: EINVAL. The command numbers carry the size of the first
 *   version for ever, so that a number never changes; any other size or
 *   direction in a number is another, unknown command: ENOTTY.
 *
 * Errors that every command shares, in the order of the checks
 *   ENOTTY  unknown command
 *   EBADF   the descriptor was opened without write access (all but INFO)
 *   ENXIO   the context was not set up yet (all but INFO and SETUP)
 *   EPERM   the caller does not share the mm that set the context up, and did
 *           not JOIN (all but JOIN)
 *   EFAULT  the argument cannot be read or written; nothing was changed
 *   EINVAL, E2BIG  see above
 *
 * open() itself says EDQUOT when the user has as many contexts as it may.
 */
#ifndef _UAPI_LINUX_PULSE_H
#define _UAPI_LINUX_PULSE_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/pulse_event.h>
#include <linux/pulse_uring.h>

#define PULSE_DEVICE_NAME	"pulse"
#define PULSE_DEVICE_PATH	"/dev/pulse"

/* Raised only for a change that old programs must be told of. */
#define PULSE_ABI_VERSION	1

#define PULSE_MAX_WORKERS	4096	/* workers a context, at most */
#define PULSE_MAX_RING_ENTRIES	65536	/* entries a node ring, at most */
#define PULSE_MAX_HEAP_BYTES	(64U << 20)	/* payload heap a node, at most */
#define PULSE_MAX_JOINED	64	/* processes that JOIN a context, at most */
#define PULSE_MAX_WATCHES	1024	/* watches a context, at most */
#define PULSE_MAX_EVENT_BYTES	(4U << 20)	/* event ring, at most */

/* "any node" where a node may be left open. */
#define PULSE_NODE_ANY		(-1)

/* "no deadline"; every other deadline is absolute CLOCK_MONOTONIC. */
#define PULSE_NO_DEADLINE	0x7fffffffffffffffLL

/*
 * Feature bits: what this kernel module really does, here and now.
 */
#define PULSE_FEAT_KSTATE	(1ULL << 0)	/* the kernel keeps KSTATE */
#define PULSE_FEAT_PREEMPTED	(1ULL << 1)	/* ... and tells preempted from running */
#define PULSE_FEAT_NRING	(1ULL << 2)	/* a ring in the memory of each node */
#define PULSE_FEAT_WAKE_NODE	(1ULL << 3)	/* WAKE_NODE with spill-over */
#define PULSE_FEAT_DEATH	(1ULL << 4)	/* a dead worker's slot is reclaimed */
#define PULSE_FEAT_KSTATE_PROBE	(1ULL << 5)	/* KSTATE by a probe of sched_switch */
#define PULSE_FEAT_BEAT		(1ULL << 8)	/* BEAT */
#define PULSE_FEAT_HANDOFF	(1ULL << 9)	/* HANDOFF */
#define PULSE_FEAT_HANDOFF_CPU	(1ULL << 10)	/* ... onto the caller's CPU */
#define PULSE_FEAT_YIELD_TO	(1ULL << 11)	/* YIELD_TO */
#define PULSE_FEAT_HINT		(1ULL << 12)	/* HINT: class, nice, home node */
#define PULSE_FEAT_HINT_SLICE	(1ULL << 13)	/* ... and the slice */
#define PULSE_FEAT_HINT_UCLAMP	(1ULL << 14)	/* ... and utilisation clamps */
#define PULSE_FEAT_BEAT_HEARD	(1ULL << 15)	/* PULSE_BEAT_HEARD */
#define PULSE_FEAT_EVENTS	(1ULL << 16)	/* event ring, poll, EVENTFD */
#define PULSE_FEAT_SHARED	(1ULL << 17)	/* PULSE_CTX_SHARED and JOIN */
#define PULSE_FEAT_WATCH	(1ULL << 18)	/* WATCH and UNWATCH */
#define PULSE_FEAT_URING	(1ULL << 19)	/* commands of io_uring */

/*
 * Commands
 */
#define PULSE_IOC_MAGIC		0xD7

/**
 * struct pulse_info - PULSE_IOC_INFO: what there is; allowed before SETUP
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @abi: PULSE_ABI_VERSION of the module
 * @nr_nodes: online NUMA nodes that have a ring
 * @features: PULSE_FEAT_*
 * @limit_workers: the most that SETUP accepts
 * @limit_ring_entries: the most that SETUP accepts
 * @limit_heap_bytes: the most that SETUP accepts, a node
 * @max_workers: as set up, or 0 before SETUP
 * @ring_entries: as set up, or 0
 * @heap_bytes: as set up (rounded up to whole pages), or 0
 * @hdr_bytes: exact length for mmap of PULSE_REGION_HDR, or 0 before SETUP
 * @kstate_bytes: likewise for PULSE_REGION_KSTATE
 * @uwork_bytes: likewise for PULSE_REGION_UWORK
 * @nring_bytes: likewise for each PULSE_REGION_NRING(node)
 * @event_bytes: as set up, or 0
 * @limit_event_bytes: the most that SETUP accepts
 * @evcons_bytes: exact length for mmap of PULSE_REGION_EVCONS, or 0
 * @evprod_bytes: likewise for PULSE_REGION_EVPROD
 */
struct pulse_info {
	__u32 size;
	__u32 flags;
	__u32 abi;
	__u32 nr_nodes;
	__u64 features;
	__u32 limit_workers;
	__u32 limit_ring_entries;
	__u32 limit_heap_bytes;
	__u32 max_workers;
	__u32 ring_entries;
	__u32 heap_bytes;
	__u64 hdr_bytes;
	__u64 kstate_bytes;
	__u64 uwork_bytes;
	__u64 nring_bytes;
	/* end of the first version */
	__u32 event_bytes;
	__u32 limit_event_bytes;
	__u64 evcons_bytes;
	__u64 evprod_bytes;
};

#define PULSE_INFO_SIZE_VER0	80

/* SETUP: processes of the same user may JOIN. */
#define PULSE_CTX_SHARED	(1U << 0)

/**
 * struct pulse_setup - PULSE_IOC_SETUP: give the context its memory, once
 * @size: bytes of this struct as the caller knows it
 * @flags: PULSE_CTX_SHARED or 0
 * @max_workers: worker slots, 1 to limit_workers
 * @ring_entries: entries of each node ring, a power of two from 2 to
 *	limit_ring_entries
 * @heap_bytes: payload heap behind each node ring, 0 to limit_heap_bytes;
 *	rounded up to whole pages
 * @reserved: must be 0
 * @event_bytes: the event ring's data: 0 for no ring, or a power of two from a
 *	page to limit_event_bytes
 * @reserved1: must be 0
 *
 * Binds the context to the caller's mm. All memory is charged to the caller
 * (RLIMIT_MEMLOCK, the per-user quota and the memory cgroup) before it is
 * allocated.
 *
 * Errors: EBUSY set up already, EINVAL a value outside its range, ENOMEM
 * (RLIMIT_MEMLOCK, cgroup or memory), EDQUOT the user's quota.
 */
struct pulse_setup {
	__u32 size;
	__u32 flags;
	__u32 max_workers;
	__u32 ring_entries;
	__u32 heap_bytes;
	__u32 reserved;
	/* end of the first version */
	__u32 event_bytes;
	__u32 reserved1;
};

#define PULSE_SETUP_SIZE_VER0	24

/**
 * struct pulse_join - PULSE_IOC_JOIN: use a shared context in another process
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 *
 * For a process that was handed the descriptor, by fork or by SCM_RIGHTS. From
 * then on it may do all that the context's creator may: map, add workers, park
 * and wake. It must have the uid that set the context up; nobody else's uid
 * serves, root's neither. The context's memory is charged to its RLIMIT_MEMLOCK
 * as well. JOIN ends with the process's memory: by its end, or by exec.
 *
 * A worker of a process that crashed leaves its UWORK as it was, until the slot
 * is given out again; what it had in hand is in the event of its death, too.
 *
 * Errors: EPERM the context is not shared, or another uid's; EEXIST the process
 * is in already; ENOSPC PULSE_MAX_JOINED processes are; ENOMEM RLIMIT_MEMLOCK.
 */
struct pulse_join {
	__u32 size;
	__u32 flags;
};

#define PULSE_JOIN_SIZE_VER0	8

/**
 * struct pulse_worker_add - PULSE_IOC_WORKER_ADD: register the calling thread
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @node: home node for WAKE_NODE, or PULSE_NODE_ANY: the node it last ran on
 * @index: out: the worker's index, and that of its KSTATE and UWORK
 * @cookie: told back in traces and events, never interpreted
 *
 * Errors: EEXIST this thread is a worker of this context already, ENOSPC no
 * free slot, EINVAL no such node online, EDQUOT the user's quota, ENOMEM.
 */
struct pulse_worker_add {
	__u32 size;
	__u32 flags;
	__s32 node;
	__u32 index;
	__u64 cookie;
};

#define PULSE_WORKER_ADD_SIZE_VER0	24

/**
 * struct pulse_worker_del - PULSE_IOC_WORKER_DEL: unregister the calling thread
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @index: what WORKER_ADD gave to this thread
 * @reserved: must be 0
 *
 * Errors: ESRCH no such worker, EPERM the worker is another thread.
 */
struct pulse_worker_del {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 reserved;
};

#define PULSE_WORKER_DEL_SIZE_VER0	16

/**
 * struct pulse_park - PULSE_IOC_PARK: sleep until a permit comes
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @index: the calling worker
 * @word: the value that the caller left in its park word (see
 *	struct pulse_uwork); if the word differs, PARK does not sleep
 * @deadline_ns: absolute CLOCK_MONOTONIC, 0 to PULSE_NO_DEADLINE
 *
 * Returns 0 when a permit was taken, also one that came before. A signal ends
 * it with EINTR, or restarts it where SA_RESTART says so; the deadline is
 * absolute, so a restart does not move it. A permit goes before the park word,
 * and that before a deadline that is past (0: look, do not sleep).
 *
 * Errors: EAGAIN the park word moved, ETIMEDOUT, EINTR, EINVAL a negative
 * deadline, ESRCH no such worker, EPERM another thread's worker, ECANCELED a
 * descriptor of the context was closed in this mm since the worker's last PARK:
 * look whether it was yours; EBUSY io_uring holds a PARK of the worker.
 */
struct pulse_park {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 word;
	__s64 deadline_ns;
};

#define PULSE_PARK_SIZE_VER0	24

/**
 * struct pulse_wake - PULSE_IOC_WAKE: give a permit to each worker of a list
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @indices: address of an array of __u32 worker indices
 * @nr: length of the array, 0 to limit_workers
 * @woken: out: live workers of the list, each counted once; the rest of the
 *	list named nobody
 *
 * Permits do not add up: a worker has one or none. The order of the list is of
 * no account.
 *
 * Errors: E2BIG @nr over the limit, ESRCH @nr is not 0 and no entry named a
 * live worker.
 */
struct pulse_wake {
	__u32 size;
	__u32 flags;
	__u64 indices;
	__u32 nr;
	__u32 woken;
};

#define PULSE_WAKE_SIZE_VER0	24

/* WAKE_NODE: go on with the other nodes, nearest first. */
#define PULSE_WAKE_SPILL	(1U << 0)

/**
 * struct pulse_wake_node - PULSE_IOC_WAKE_NODE: wake up to nr workers of a node
 * @size: bytes of this struct as the caller knows it
 * @flags: PULSE_WAKE_SPILL or 0
 * @node: an online node
 * @nr: how many, 1 to limit_workers
 * @woken: out: how many workers were given a permit; those that had one
 *	already are awake, or as good as, and do not count
 * @reserved: must be 0
 *
 * Chooses workers that are parked, or whose park word says PARKING (they are
 * on the way; the permit makes their PARK return at once), so that work
 * published before the call is never missed.
 *
 * Errors: EINVAL no such node online, or @nr outside its range.
 */
struct pulse_wake_node {
	__u32 size;
	__u32 flags;
	__s32 node;
	__u32 nr;
	__u32 woken;
	__u32 reserved;
};

#define PULSE_WAKE_NODE_SIZE_VER0	24

/**
 * struct pulse_handoff - PULSE_IOC_HANDOFF: wake that worker, park this one
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @target: the worker that is given a permit, another one than @index
 * @index: the calling worker
 * @word: as in PARK
 * @reserved: must be 0
 * @deadline_ns: as in PARK
 *
 * As WAKE of @target and then PARK, in one call, and with a hint to the
 * scheduler that the caller is about to sleep: where PULSE_FEAT_HANDOFF_CPU is
 * set, @target comes up on the caller's CPU if its affinity allows that. A
 * @target that is not parked keeps the permit for its next PARK.
 *
 * The permit is given before the caller looks whether it has to sleep: also a
 * HANDOFF that returns EAGAIN, ETIMEDOUT, EINTR or ECANCELED has woken. A signal
 * always ends it with EINTR, since a restart would wake once more; go on with
 * PARK. Priority is not handed over: who waits for a worker of lower priority
 * waits as long as that one needs to get a CPU.
 *
 * Errors: those of PARK; ESRCH also: no worker @target (nothing was done, nobody
 * slept), EINVAL also: @target is @index.
 */
struct pulse_handoff {
	__u32 size;
	__u32 flags;
	__u32 target;
	__u32 index;
	__u32 word;
	__u32 reserved;
	__s64 deadline_ns;
};

#define PULSE_HANDOFF_SIZE_VER0	32

/**
 * struct pulse_yield_to - PULSE_IOC_YIELD_TO: let a preempted worker go first
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @index: the worker that should run; the caller need not be a worker
 * @reserved: must be 0
 *
 * For a caller that waits for what a preempted worker holds, see
 * PULSE_STATE_PREEMPTED. The scheduler takes it as a wish.
 *
 * Errors: ESRCH no such worker, EINVAL the calling thread's own, EAGAIN there was
 * nothing to yield: the worker runs, or sleeps, or is of another scheduling
 * class, or each of the two has a CPU of its own.
 */
struct pulse_yield_to {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 reserved;
};

#define PULSE_YIELD_TO_SIZE_VER0	16

/* HINT.mask: what is to be set */
#define PULSE_HINT_CLASS	(1U << 0)
#define PULSE_HINT_NICE		(1U << 1)
#define PULSE_HINT_SLICE	(1U << 2)
#define PULSE_HINT_UCLAMP	(1U << 3)
#define PULSE_HINT_NODE		(1U << 4)

/* HINT.sched_class: as SCHED_* of the same names */
#define PULSE_CLASS_NORMAL	0U
#define PULSE_CLASS_BATCH	1U
#define PULSE_CLASS_IDLE	2U
#define PULSE_CLASS_FIFO	3U	/* of the lowest priority, 1 */

#define PULSE_MIN_SLICE_NS	100000ULL
#define PULSE_MAX_SLICE_NS	100000000ULL
#define PULSE_MAX_UCLAMP	1024U

/**
 * struct pulse_hint - PULSE_IOC_HINT: how a worker wants to be scheduled
 * @size: bytes of this struct as the caller knows it
 * @flags: must be 0
 * @index: the calling worker, or another one of the same process
 * @mask: PULSE_HINT_*, at least one; the other fields are not looked at
 * @sched_class: PULSE_CLASS_*
 * @nice: -20 to 19
 * @slice_ns: PULSE_MIN_SLICE_NS to PULSE_MAX_SLICE_NS, or 0: the scheduler's own
 * @uclamp_min: 0 to @uclamp_max
 * @uclamp_max: up to PULSE_MAX_UCLAMP
 * @node: home node for WAKE_NODE, of the calling worker only; memory and
 *	affinity stay as they are
 * @reserved: must be 0
 *
 * All of it or none. What is not in @mask stays as it is. What the caller may do
 * is what sched_setattr(2) would let it do: CAP_SYS_NICE, or RLIMIT_NICE for a
 * better nice value and for leaving IDLE, RLIMIT_RTPRIO for FIFO.
 *
 * Errors: EINVAL a value outside its range, no such node online, a nice value or
 * slice for IDLE or FIFO, or a thread that is of none of these classes; EBUSY a
 * new home while io_uring holds a PARK of the worker; EOPNOTSUPP this
 * kernel has no such thing (see PULSE_FEAT_HINT_*); ESRCH no such worker; EPERM
 * it may not, or a worker of another process.
 */
struct pulse_hint {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 mask;
	__u32 sched_class;
	__s32 nice;
	__u64 slice_ns;
	__u32 uclamp_min;
	__u32 uclamp_max;
	__s32 node;
	__u32 reserved;
};

#define PULSE_HINT_SIZE_VER0	48

/* The range of BEAT's period; most users have a higher floor, see there. */
#define PULSE_MIN_BEAT_NS	20000ULL
#define PULSE_MAX_BEAT_NS	60000000000ULL

/* A thread that is a worker of several contexts may beat in so many of them. */
#define PULSE_MAX_BEATS		8

/* pulse_beat.flags: the worker writes each count of beats it saw to UWORK.heard */
#define PULSE_BEAT_HEARD	(1U << 0)

/**
 * struct pulse_beat - PULSE_IOC_BEAT: let the calling worker's heart beat
 * @size: bytes of this struct as the caller knows it
 * @flags: PULSE_BEAT_HEARD or 0
 * @index: the calling worker
 * @reserved: must be 0
 * @period_ns: between two beats, or 0: no more of them
 *
 * A beat is one store by the kernel: KSTATE.beats is raised by one each time
 * the worker has had a CPU for another period. The worker polls that word; it
 * is interrupted for some hundred instructions and by no signal. While it sleeps
 * or waits for a CPU there is no beat and no timer. A beat that comes a whole
 * period late, or later, is one beat, and raises KSTATE.missed by the periods
 * that went without one; beats + missed is the time on a CPU, in periods.
 *
 * There is one timer a CPU, whatever the number of workers, and it interrupts
 * the CPU once a period of the worker that runs there, at most.
 *
 * With PULSE_BEAT_HEARD a worker that does not listen is interrupted less: when
 * a beat is due and UWORK.heard is not yet KSTATE.beats, it is given all the
 * same, but the next is due after 2 periods, then 4, then 8 each, until it is.
 * The periods left out are counted in KSTATE.missed with the next beat.
 *
 * The floor is beat_floor_us of sysfs (100 us), with CAP_SYS_NICE it is
 * PULSE_MIN_BEAT_NS. A new call starts a new period. Beats end with the worker.
 *
 * Errors: EINVAL a period under the floor or over PULSE_MAX_BEAT_NS, ESRCH no
 * such worker, EPERM another thread's worker, EBUSY the thread beats in
 * PULSE_MAX_BEATS other contexts.
 */
struct pulse_beat {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 reserved;
	__u64 period_ns;
};

#define PULSE_BEAT_SIZE_VER0	24

#define PULSE__IOC(nr, bytes) \
	_IOC(_IOC_READ | _IOC_WRITE, PULSE_IOC_MAGIC, (nr), (bytes))

#define PULSE_IOC_INFO		PULSE__IOC(0x00, PULSE_INFO_SIZE_VER0)
#define PULSE_IOC_SETUP		PULSE__IOC(0x01, PULSE_SETUP_SIZE_VER0)
#define PULSE_IOC_JOIN		PULSE__IOC(0x02, PULSE_JOIN_SIZE_VER0)
#define PULSE_IOC_WORKER_ADD	PULSE__IOC(0x10, PULSE_WORKER_ADD_SIZE_VER0)
#define PULSE_IOC_WORKER_DEL	PULSE__IOC(0x11, PULSE_WORKER_DEL_SIZE_VER0)
#define PULSE_IOC_PARK		PULSE__IOC(0x20, PULSE_PARK_SIZE_VER0)
#define PULSE_IOC_WAKE		PULSE__IOC(0x21, PULSE_WAKE_SIZE_VER0)
#define PULSE_IOC_WAKE_NODE	PULSE__IOC(0x22, PULSE_WAKE_NODE_SIZE_VER0)
#define PULSE_IOC_HANDOFF	PULSE__IOC(0x23, PULSE_HANDOFF_SIZE_VER0)
#define PULSE_IOC_YIELD_TO	PULSE__IOC(0x24, PULSE_YIELD_TO_SIZE_VER0)
#define PULSE_IOC_BEAT		PULSE__IOC(0x30, PULSE_BEAT_SIZE_VER0)
#define PULSE_IOC_HINT		PULSE__IOC(0x31, PULSE_HINT_SIZE_VER0)
#define PULSE_IOC_WATCH		PULSE__IOC(0x40, PULSE_WATCH_SIZE_VER0)
#define PULSE_IOC_UNWATCH	PULSE__IOC(0x41, PULSE_UNWATCH_SIZE_VER0)
#define PULSE_IOC_EVENTFD	PULSE__IOC(0x42, PULSE_EVENTFD_SIZE_VER0)

/*
 * Shared pages
 *
 * mmap(NULL, exact length from INFO, prot, MAP_SHARED, fd, offset of region).
 * HDR, KSTATE and EVPROD are read-only and stay so; UWORK, EVCONS and the node
 * rings are read and write. No region can be made executable, grown or inherited
 * by fork.
 * The pages live until the last mapping goes, also after close().
 *
 * Errors: ENXIO, EPERM as for commands; EINVAL no such region, another length,
 * MAP_PRIVATE; EPERM writing to what is read-only, execution of any.
 *
 * A futex in these pages must be a private one (FUTEX_PRIVATE_FLAG): the pages
 * belong to no file and no address space, which a shared futex is found by.
 */
#define PULSE_REGION_HDR	0U
#define PULSE_REGION_KSTATE	1U
#define PULSE_REGION_UWORK	2U
#define PULSE_REGION_EVCONS	3U
#define PULSE_REGION_EVPROD	4U
#define PULSE_REGION_NRING_BASE	16U
#define PULSE_REGION_NRING(node) (PULSE_REGION_NRING_BASE + (node))
#define PULSE_REGION_SHIFT	32
#define PULSE_REGION_OFFSET(region) ((__u64)(region) << PULSE_REGION_SHIFT)

#define PULSE_HDR_MAGIC		0x31534c5550ULL	/* "PULS1", little endian */

/**
 * struct pulse_hdr - region HDR: the kernel writes, the user reads
 * @magic: PULSE_HDR_MAGIC
 * @abi: PULSE_ABI_VERSION
 * @hdr_bytes: bytes of this struct
 * @features: PULSE_FEAT_*
 * @max_workers: worker slots
 * @nr_nodes: entries of the node map
 * @ring_entries: entries a node ring
 * @heap_bytes: payload heap a node ring
 * @nodes_off: offset in the region of __s32[nr_nodes], the node numbers
 * @dist_off: offset of __u8[nr_nodes][nr_nodes], the kernel's node distances
 *	(10 = local), in the order of the node map
 * @idle_off: offset of __u64[nr_nodes][idle_words], bit i of a row: worker i is
 *	parked and belongs to that node; advice, may be stale when it is read
 * @idle_words: words a row
 * @nr_workers: live workers now
 * @generation: raised by one for each WORKER_ADD, WORKER_DEL and death
 */
struct pulse_hdr {
	__u64 magic;
	__u32 abi;
	__u32 hdr_bytes;
	__u64 features;
	__u32 max_workers;
	__u32 nr_nodes;
	__u32 ring_entries;
	__u32 heap_bytes;
	__u32 nodes_off;
	__u32 dist_off;
	__u32 idle_off;
	__u32 idle_words;
	__u32 nr_workers;
	__u32 generation;
};

/* KSTATE.state */
#define PULSE_STATE_FREE	0U	/* nobody's slot */
#define PULSE_STATE_RUNNING	1U	/* on a CPU */
#define PULSE_STATE_PREEMPTED	2U	/* runnable, but another task has the CPU */
#define PULSE_STATE_BLOCKED	3U	/* asleep, not in PARK */
#define PULSE_STATE_PARKED	4U	/* asleep in PARK, or while io_uring holds it */
#define PULSE_STATE_DEAD	5U	/* the thread ended; the slot is being reclaimed */

/**
 * struct pulse_kstate - region KSTATE, one a worker: what the kernel knows
 * @seq: odd while the kernel is writing; a reader that wants fields that
 *	belong together reads seq (acquire), the fields, then seq again (after
 *	an acquire fence), and repeats while it was odd or moved. Single words
 *	need no seq on 64-bit.
 * @state: PULSE_STATE_*
 * @cpu: CPU it runs on, or ran on last
 * @node: that CPU's node
 * @tid: thread id in the pid namespace of the context's creator
 * @exit_code: as in wait(2), once DEAD, and until the slot is given out again
 * @beats: heartbeats that were delivered; see BEAT. Not covered by seq: poll
 *	it as a word
 * @missed: heartbeats that came too late to be delivered one by one, or that
 *	were left out for who did not listen; likewise
 * @n_preempt: times it lost the CPU while it was runnable
 * @n_block: times it went to sleep (parks included)
 * @n_migrate: times it came back on another CPU
 * @n_park: times PARK really slept, or the thread did while io_uring held its
 *	PARK
 * @run_ns: time on a CPU, up to the last switch
 * @wait_ns: time runnable without a CPU, up to the last switch
 * @last_in_ns: CLOCK_MONOTONIC when it last got a CPU
 * @last_out_ns: CLOCK_MONOTONIC when it last lost a CPU
 * @incarnation: raised each time the slot is given out; survives reuse
 * @reserved: 0
 *
 * Written by the kernel on the CPU that switches the worker. It is advice: it
 * may be stale by the time it is read. 128 bytes, because the adjacent-line
 * prefetcher makes pairs of cache lines out of neighbours.
 */
struct pulse_kstate {
	__u32 seq;
	__u32 state;
	__u32 cpu;
	__s32 node;
	__s32 tid;
	__s32 exit_code;
	__u64 beats;
	__u64 missed;
	__u64 n_preempt;
	__u64 n_block;
	__u64 n_migrate;
	__u64 n_park;
	__u64 run_ns;
	__u64 wait_ns;
	__u64 last_in_ns;
	__u64 last_out_ns;
	__u32 incarnation;
	__u32 reserved[5];
};

/*
 * The park word: state in the low 8 bits, epoch in the high 24. The owner
 * moves RUNNING -> PARKING and back, a waker moves PARKING -> NOTIFIED; the
 * epoch is raised by the owner each time it begins to park.
 */
#define PULSE_PARK_RUNNING	0U
#define PULSE_PARK_PARKING	1U
#define PULSE_PARK_NOTIFIED	2U
#define PULSE_PARK_STATE(word)	((word) & 0xffU)
#define PULSE_PARK_EPOCH(word)	((word) >> 8)
#define PULSE_PARK_WORD(epoch, state) \
	(((__u32)(epoch) << 8) | ((__u32)(state) & 0xffU))

/**
 * struct pulse_uwork - region UWORK, one a worker: written by user space
 * @park: park word; the worker and its wakers write it
 * @reserved0: 0
 * @progress: raised by the worker as it gets on; watched for hangs
 * @job: the job in hand, 0 = none; found by whoever salvages after a crash
 * @cookie: the user's own
 * @from: the job comes from this worker's, its index plus 1; 0 but for the
 *	moment of a salvage
 * @salvor: in worker 0's: who salvages, incarnation and index plus 1; 0 nobody.
 *	The order of the steps: ulib/backend/salvage.c
 * @heard: the last count of KSTATE.beats that the worker saw; see
 *	PULSE_BEAT_HEARD
 * @reserved: 0
 *
 * What the last owner left is here until the next one changes it: the kernel
 * does not clear it.
 *
 * Untrusted: the kernel reads a word of it once, bounds it, and never lets it
 * decide more than whether a worker of this context sleeps, and how soon its
 * own next heartbeat comes.
 */
struct pulse_uwork {
	__u32 park;
	__u32 reserved0;
	__u64 progress;
	__u64 job;
	__u64 cookie;
	__u64 from;
	__u64 salvor;
	__u64 heard;
	__u64 reserved[9];
};

/**
 * struct pulse_nring_hdr - head of region NRING: users write, the kernel never
 * parses it
 * @enqueue: position of the next push
 * @dequeue: position of the next pop
 * @heap_next: user's allocator of the payload heap
 * @pad0: own cache-line pair for the producers' side
 * @pad1: own cache-line pair for the consumers' side
 * @pad2: own cache-line pair for the heap
 *
 * All zero is an empty ring: entry i of N carries a turn; position p = lap * N
 * + i is pushed when the turn is 2 * lap and leaves it at 2 * lap + 1, is
 * popped then and leaves it at 2 * (lap + 1). After the head come N struct
 * pulse_nring_entry, then the payload heap at the next page boundary.
 */
struct pulse_nring_hdr {
	__u64 enqueue;
	__u64 pad0[15];
	__u64 dequeue;
	__u64 pad1[15];
	__u64 heap_next;
	__u64 pad2[15];
};

/**
 * struct pulse_nring_entry - one entry, a cache line
 * @turn: see struct pulse_nring_hdr
 * @data: the users' own
 */
struct pulse_nring_entry {
	__u64 turn;
	__u64 data[7];
};

/*
 * Layouts are checked on both sides and never change; new fields go to the end
 * of what is not an array element, or into what is reserved.
 */
#if defined(__cplusplus)
#define PULSE__ABI_ASSERT(x) static_assert(x, #x)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define PULSE__ABI_ASSERT(x) _Static_assert(x, #x)
#else
#define PULSE__ABI_ASSERT(x) extern int pulse__abi_assert[(x) ? 1 : -1]
#endif

PULSE__ABI_ASSERT(PULSE_INFO_SIZE_VER0 == 80 && sizeof(struct pulse_info) == 104);
PULSE__ABI_ASSERT(PULSE_SETUP_SIZE_VER0 == 24 && sizeof(struct pulse_setup) == 32);
PULSE__ABI_ASSERT(sizeof(struct pulse_join) == PULSE_JOIN_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_worker_add) == PULSE_WORKER_ADD_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_worker_del) == PULSE_WORKER_DEL_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_park) == PULSE_PARK_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_wake) == PULSE_WAKE_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_wake_node) == PULSE_WAKE_NODE_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_handoff) == PULSE_HANDOFF_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_yield_to) == PULSE_YIELD_TO_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_beat) == PULSE_BEAT_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_hint) == PULSE_HINT_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_watch) == PULSE_WATCH_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_unwatch) == PULSE_UNWATCH_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_eventfd) == PULSE_EVENTFD_SIZE_VER0);
PULSE__ABI_ASSERT(sizeof(struct pulse_uring_park) == PULSE_URING_CMD_BYTES);
PULSE__ABI_ASSERT(sizeof(struct pulse_uring_event_wait) == PULSE_URING_CMD_BYTES);
PULSE__ABI_ASSERT(sizeof(struct pulse_hdr) == 64);
PULSE__ABI_ASSERT(sizeof(struct pulse_kstate) == 128);
PULSE__ABI_ASSERT(sizeof(struct pulse_uwork) == 128);
PULSE__ABI_ASSERT(sizeof(struct pulse_event_hdr) == 8);
PULSE__ABI_ASSERT(sizeof(struct pulse_event_worker_death) == 72);
PULSE__ABI_ASSERT(sizeof(struct pulse_event_process_death) == 32);
PULSE__ABI_ASSERT(sizeof(struct pulse_event_hang) == 80);
PULSE__ABI_ASSERT(sizeof(struct pulse_event_rss) == 40);
PULSE__ABI_ASSERT(sizeof(struct pulse_nring_hdr) == 384);
PULSE__ABI_ASSERT(sizeof(struct pulse_nring_entry) == 64);

#endif /* _UAPI_LINUX_PULSE_H */

/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Pulse kernel ABI: the generic netlink family "pulse", for tools that look at
 * all contexts, set knobs and listen. Programs that use a context need none of
 * it: they have the descriptor, its pages and its event ring.
 *
 * Who may do what
 *   The family is there in the initial network namespace alone. Contexts and
 *   workers are told to the user who set them up, by uid, and to whoever has
 *   CAP_SYS_ADMIN or CAP_SYS_PTRACE; to others they do not exist (ENOENT, or no
 *   line in a dump). Knobs are read by everybody, as in sysfs, and set with
 *   CAP_NET_ADMIN and CAP_SYS_ADMIN together. The group of events is joined
 *   with CAP_NET_ADMIN; who has it not says LISTEN and is told what happens to
 *   contexts of his own. Capabilities are those in the initial user namespace;
 *   of a message that was sent without an address, sender and opener of the
 *   socket must both have them. Contexts are one's own if both are that user.
 *
 * How requests are read
 *   Strictly: an attribute that the command does not know, one of a wrong
 *   length or outside its range, or one that comes twice is EINVAL (ERANGE
 *   where the range is the policy's), and the extended acknowledgment points
 *   at it and says why. From Linux 6.2 on the text names the bad value too;
 *   before, what a dump does not go by is told without a text.
 *
 * Dumps
 *   go on where the message before ended. Contexts and workers may come and go
 *   meanwhile; then NLM_F_DUMP_INTR is set from there on, and who wants a
 *   picture of one moment asks again. Process and thread ids are those of the
 *   pid namespace of whoever asked, 0 where a process is not visible there.
 *
 * Events
 *   wait for nobody. Who does not read, and whose socket is full, loses some and
 *   is told so by ENOBUFS. SEQ says how many: it goes up by one with each event of
 *   the group, and for who said LISTEN with each event for him.
 *
 * Numbers are in host order. Attributes of 64 bits are aligned with the PAD of
 * their kind. New attributes and commands go to the end; a reader skips what it
 * does not know.
 */
#ifndef _UAPI_LINUX_PULSE_NETLINK_H
#define _UAPI_LINUX_PULSE_NETLINK_H

#define PULSE_NL_FAMILY		"pulse"
#define PULSE_NL_VERSION	1
#define PULSE_NL_GROUP_EVENTS	"events"

/**
 * enum pulse_nl_cmd - requests and their answers; and events
 * @PULSE_NL_CMD_UNSPEC: none
 * @PULSE_NL_CMD_CTX_GET: a context (CTX_ID), or the dump of all; PULSE_NL_CTX_*
 * @PULSE_NL_CMD_WORKER_GET: a worker (CTX_ID, INDEX), or the dump of a context's
 *	(CTX_ID) or all; PULSE_NL_WORKER_*
 * @PULSE_NL_CMD_KNOB_GET: a knob (NAME, and CTX_ID for a context's own), or the
 *	dump of all the module's or (CTX_ID) all a context's; PULSE_NL_KNOB_*
 * @PULSE_NL_CMD_KNOB_SET: set a knob (NAME, VALUE, CTX_ID likewise)
 * @PULSE_NL_CMD_CTX_NEW: event: a context was set up
 * @PULSE_NL_CMD_CTX_DEL: event: it is gone
 * @PULSE_NL_CMD_WORKER_NEW: event: a thread registered itself
 * @PULSE_NL_CMD_WORKER_DEL: event: it left, by WORKER_DEL or exec
 * @PULSE_NL_CMD_WORKER_DEATH: event: it ended
 * @PULSE_NL_CMD_HANG: event: a watched worker does not get on
 * @PULSE_NL_CMD_RSS: event: a watched process has more memory than it should
 * @PULSE_NL_CMD_PROCESS_DEATH: event: a watched process ended
 * @PULSE_NL_CMD_KNOB_CHANGED: event: a knob was set, through netlink or sysfs
 * @PULSE_NL_CMD_LISTEN: send this socket, until it is closed, the events of all
 *	contexts of the user who asks, those of now and of later; no attribute.
 *	Needs no capability. PULSE_NL_MAX_LISTENERS sockets may, and
 *	PULSE_NL_MAX_LISTENERS_PER_USER of one user: ENOSPC, EDQUOT; EEXIST this
 *	one does
 *
 * Errors: ENOENT no such context to see, or no such knob; ESRCH no such worker;
 * EPERM; ERANGE a knob's value outside its range; EINVAL see above.
 */
enum pulse_nl_cmd {
	PULSE_NL_CMD_UNSPEC,
	PULSE_NL_CMD_CTX_GET,
	PULSE_NL_CMD_WORKER_GET,
	PULSE_NL_CMD_KNOB_GET,
	PULSE_NL_CMD_KNOB_SET,
	PULSE_NL_CMD_CTX_NEW,
	PULSE_NL_CMD_CTX_DEL,
	PULSE_NL_CMD_WORKER_NEW,
	PULSE_NL_CMD_WORKER_DEL,
	PULSE_NL_CMD_WORKER_DEATH,
	PULSE_NL_CMD_HANG,
	PULSE_NL_CMD_RSS,
	PULSE_NL_CMD_PROCESS_DEATH,
	PULSE_NL_CMD_KNOB_CHANGED,
	PULSE_NL_CMD_LISTEN,
};

#define PULSE_NL_MAX_LISTENERS		64
#define PULSE_NL_MAX_LISTENERS_PER_USER	4

/**
 * enum pulse_nl_ctx - a context
 * @PULSE_NL_CTX_UNSPEC: none
 * @PULSE_NL_CTX_PAD: alignment
 * @PULSE_NL_CTX_ID: u32, its name in traces, sysfs (ctx<id>) and here; from 1
 * @PULSE_NL_CTX_UID: u32, whose it is, in the asker's user namespace
 * @PULSE_NL_CTX_PID: u32, the process that set it up
 * @PULSE_NL_CTX_FLAGS: u32, of SETUP
 * @PULSE_NL_CTX_MAX_WORKERS: u32, slots
 * @PULSE_NL_CTX_WORKERS: u32, registered now
 * @PULSE_NL_CTX_NODES: u32, NUMA nodes that have a ring
 * @PULSE_NL_CTX_RING_ENTRIES: u32, a node ring
 * @PULSE_NL_CTX_HEAP_BYTES: u32, behind each node ring
 * @PULSE_NL_CTX_EVENT_BYTES: u32, the event ring, 0: none
 * @PULSE_NL_CTX_PAGES: u64, on its user's account
 * @PULSE_NL_CTX_WATCHES: u32, now
 * @PULSE_NL_CTX_DROPPED: u64, events that found no room in its ring
 * @PULSE_NL_CTX_SPIN_US: u32, knob
 * @PULSE_NL_CTX_WAKE_SPILL: u32, knob
 */
enum pulse_nl_ctx {
	PULSE_NL_CTX_UNSPEC,
	PULSE_NL_CTX_PAD,
	PULSE_NL_CTX_ID,
	PULSE_NL_CTX_UID,
	PULSE_NL_CTX_PID,
	PULSE_NL_CTX_FLAGS,
	PULSE_NL_CTX_MAX_WORKERS,
	PULSE_NL_CTX_WORKERS,
	PULSE_NL_CTX_NODES,
	PULSE_NL_CTX_RING_ENTRIES,
	PULSE_NL_CTX_HEAP_BYTES,
	PULSE_NL_CTX_EVENT_BYTES,
	PULSE_NL_CTX_PAGES,
	PULSE_NL_CTX_WATCHES,
	PULSE_NL_CTX_DROPPED,
	PULSE_NL_CTX_SPIN_US,
	PULSE_NL_CTX_WAKE_SPILL,
	__PULSE_NL_CTX_MAX
};

#define PULSE_NL_CTX_MAX	(__PULSE_NL_CTX_MAX - 1)

/**
 * enum pulse_nl_worker - a worker; what is of KSTATE is told there
 * @PULSE_NL_WORKER_UNSPEC: none
 * @PULSE_NL_WORKER_PAD: alignment
 * @PULSE_NL_WORKER_CTX_ID: u32
 * @PULSE_NL_WORKER_INDEX: u32
 * @PULSE_NL_WORKER_TID: u32, thread id
 * @PULSE_NL_WORKER_PID: u32, process id
 * @PULSE_NL_WORKER_COMM: string, the thread's name
 * @PULSE_NL_WORKER_STATE: u32, PULSE_STATE_*
 * @PULSE_NL_WORKER_CPU: u32
 * @PULSE_NL_WORKER_HOME: s32, its home node
 * @PULSE_NL_WORKER_INCARNATION: u32
 * @PULSE_NL_WORKER_COOKIE: u64, of WORKER_ADD
 * @PULSE_NL_WORKER_BEATS: u64
 * @PULSE_NL_WORKER_MISSED: u64
 * @PULSE_NL_WORKER_N_PREEMPT: u64
 * @PULSE_NL_WORKER_N_BLOCK: u64
 * @PULSE_NL_WORKER_N_MIGRATE: u64
 * @PULSE_NL_WORKER_N_PARK: u64
 * @PULSE_NL_WORKER_RUN_NS: u64
 * @PULSE_NL_WORKER_WAIT_NS: u64
 */
enum pulse_nl_worker {
	PULSE_NL_WORKER_UNSPEC,
	PULSE_NL_WORKER_PAD,
	PULSE_NL_WORKER_CTX_ID,
	PULSE_NL_WORKER_INDEX,
	PULSE_NL_WORKER_TID,
	PULSE_NL_WORKER_PID,
	PULSE_NL_WORKER_COMM,
	PULSE_NL_WORKER_STATE,
	PULSE_NL_WORKER_CPU,
	PULSE_NL_WORKER_HOME,
	PULSE_NL_WORKER_INCARNATION,
	PULSE_NL_WORKER_COOKIE,
	PULSE_NL_WORKER_BEATS,
	PULSE_NL_WORKER_MISSED,
	PULSE_NL_WORKER_N_PREEMPT,
	PULSE_NL_WORKER_N_BLOCK,
	PULSE_NL_WORKER_N_MIGRATE,
	PULSE_NL_WORKER_N_PARK,
	PULSE_NL_WORKER_RUN_NS,
	PULSE_NL_WORKER_WAIT_NS,
	__PULSE_NL_WORKER_MAX
};

#define PULSE_NL_WORKER_MAX	(__PULSE_NL_WORKER_MAX - 1)

/* The longest name of a knob, with its NUL. */
#define PULSE_NL_KNOB_NAME_BYTES	32

/**
 * enum pulse_nl_knob - a knob
 * @PULSE_NL_KNOB_UNSPEC: none
 * @PULSE_NL_KNOB_CTX_ID: u32, whose; without, the module's
 * @PULSE_NL_KNOB_NAME: string, as in sysfs
 * @PULSE_NL_KNOB_VALUE: u32
 * @PULSE_NL_KNOB_MIN: u32, the least that it takes
 * @PULSE_NL_KNOB_MAX_VALUE: u32, the most
 */
enum pulse_nl_knob {
	PULSE_NL_KNOB_UNSPEC,
	PULSE_NL_KNOB_CTX_ID,
	PULSE_NL_KNOB_NAME,
	PULSE_NL_KNOB_VALUE,
	PULSE_NL_KNOB_MIN,
	PULSE_NL_KNOB_MAX_VALUE,
	__PULSE_NL_KNOB_MAX
};

#define PULSE_NL_KNOB_MAX	(__PULSE_NL_KNOB_MAX - 1)

/**
 * enum pulse_nl_event - an event of the group
 * @PULSE_NL_EVENT_UNSPEC: none
 * @PULSE_NL_EVENT_PAD: alignment
 * @PULSE_NL_EVENT_SEQ: u64, raised by one with each event while anybody listens,
 *	or for a socket that said LISTEN, from 1 on, with each event for it: a
 *	step of more is what the reader lost, whether its socket had no room
 *	(ENOBUFS) or the kernel no memory (netlink_drops in sysfs)
 * @PULSE_NL_EVENT_TIME_NS: u64, CLOCK_MONOTONIC
 * @PULSE_NL_EVENT_CTX_ID: u32, all but the module's KNOB_CHANGED
 * @PULSE_NL_EVENT_UID: u32, CTX_NEW: whose, in the initial user namespace
 * @PULSE_NL_EVENT_PID: u32, process id in the initial pid namespace
 * @PULSE_NL_EVENT_TID: u32, thread id likewise: WORKER_*, HANG
 * @PULSE_NL_EVENT_INDEX: u32, of the worker: WORKER_*, HANG
 * @PULSE_NL_EVENT_INCARNATION: u32, of its slot, likewise
 * @PULSE_NL_EVENT_COOKIE: u64, of WORKER_ADD: WORKER_*; of WATCH: the others
 * @PULSE_NL_EVENT_EXIT_CODE: u32, as in wait(2): *_DEATH
 * @PULSE_NL_EVENT_SIGNAL: u32, that ended it, or 0: *_DEATH
 * @PULSE_NL_EVENT_STATE: u32, PULSE_STATE_*: HANG; the last one: WORKER_DEATH
 * @PULSE_NL_EVENT_JOB: u64, of UWORK, the job in hand: WORKER_DEATH, HANG
 * @PULSE_NL_EVENT_VERDICT: u32, PULSE_HANG_*: HANG
 * @PULSE_NL_EVENT_FOR_NS: u64, since when: HANG
 * @PULSE_NL_EVENT_WATCH: u32, its id: HANG, RSS, PROCESS_DEATH
 * @PULSE_NL_EVENT_RSS_BYTES: u64, resident: RSS
 * @PULSE_NL_EVENT_LIMIT_BYTES: u64, of WATCH: RSS
 * @PULSE_NL_EVENT_KNOB_NAME: string: KNOB_CHANGED
 * @PULSE_NL_EVENT_KNOB_VALUE: u32: KNOB_CHANGED
 */
enum pulse_nl_event {
	PULSE_NL_EVENT_UNSPEC,
	PULSE_NL_EVENT_PAD,
	PULSE_NL_EVENT_SEQ,
	PULSE_NL_EVENT_TIME_NS,
	PULSE_NL_EVENT_CTX_ID,
	PULSE_NL_EVENT_UID,
	PULSE_NL_EVENT_PID,
	PULSE_NL_EVENT_TID,
	PULSE_NL_EVENT_INDEX,
	PULSE_NL_EVENT_INCARNATION,
	PULSE_NL_EVENT_COOKIE,
	PULSE_NL_EVENT_EXIT_CODE,
	PULSE_NL_EVENT_SIGNAL,
	PULSE_NL_EVENT_STATE,
	PULSE_NL_EVENT_JOB,
	PULSE_NL_EVENT_VERDICT,
	PULSE_NL_EVENT_FOR_NS,
	PULSE_NL_EVENT_WATCH,
	PULSE_NL_EVENT_RSS_BYTES,
	PULSE_NL_EVENT_LIMIT_BYTES,
	PULSE_NL_EVENT_KNOB_NAME,
	PULSE_NL_EVENT_KNOB_VALUE,
	__PULSE_NL_EVENT_MAX
};

#define PULSE_NL_EVENT_MAX	(__PULSE_NL_EVENT_MAX - 1)

#endif /* _UAPI_LINUX_PULSE_NETLINK_H */

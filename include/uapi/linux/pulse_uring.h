/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Pulse kernel ABI: the commands of io_uring. Part of <linux/pulse.h>.
 */
#ifndef _UAPI_LINUX_PULSE_URING_H
#define _UAPI_LINUX_PULSE_URING_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Commands of io_uring
 *
 * Where PULSE_FEAT_URING is set (Linux 6.7 and later; before, io_uring says
 * EOPNOTSUPP, and IORING_OP_POLL_ADD waits for events) IORING_OP_URING_CMD on the
 * context's descriptor does what one of the PULSE_URING_* in cmd_op says. The 16
 * bytes of the entry's cmd area are the command's struct; the number carries its
 * size, as those of ioctl do. All else in the entry that a command could use -
 * addr, len, uring_cmd_flags, buf_index, file_index - must be 0: EINVAL; and so
 * must be the second half of an entry of 128 bytes: E2BIG. The result is in
 * cqe.res, 0 or an error. The errors that all commands share are those of ioctl,
 * in the same order, and come at once.
 *
 * What waits ends with ECANCELED when the ring goes (its last close, exec, exit),
 * when a descriptor of the context is closed in the mm that submitted it, and a
 * PARK with its worker. IORING_OP_ASYNC_CANCEL and linked timeouts do not reach
 * it: each has a deadline of its own, and a WAKE ends a PARK. Rings with
 * IORING_SETUP_IOPOLL say EOPNOTSUPP.
 */

/* PULSE_URING_EVENT_WAITs of a context, at most */
#define PULSE_MAX_EVENT_WAITS	64

#define PULSE__URING(nr, bytes) \
	_IOC(_IOC_WRITE, PULSE_IOC_MAGIC, (nr), (bytes))

#define PULSE_URING_CMD_BYTES	16	/* of each struct of a command */

#define PULSE_URING_PARK	PULSE__URING(0x20, PULSE_URING_CMD_BYTES)
#define PULSE_URING_EVENT_WAIT	PULSE__URING(0x43, PULSE_URING_CMD_BYTES)

/**
 * struct pulse_uring_park - PULSE_URING_PARK: a permit, as a completion
 * @index: the worker; the thread that submits must be it
 * @word: as in PARK
 * @deadline_ns: as in PARK
 *
 * PARK, but the thread need not sleep: it can wait for its ring, and so for a
 * permit and for I/O at the same time. From here to its completion the worker
 * counts as parked: WAKE_NODE may choose it, and KSTATE says PARKED while the
 * thread sleeps, wherever. A worker has one such PARK at a time, and until it is
 * over no other.
 *
 * The command must be issued by the worker itself, which an entry that goes to a
 * thread of io_uring (IORING_SETUP_SQPOLL, IOSQE_ASYNC) is not.
 *
 * Results: 0 a permit was taken; EAGAIN, ETIMEDOUT, EINVAL, ESRCH, EPERM as in
 * PARK; ECANCELED as in PARK, and see above; EBUSY the worker has one already.
 */
struct pulse_uring_park {
	__u32 index;
	__u32 word;
	__s64 deadline_ns;
};

/**
 * struct pulse_uring_event_wait - PULSE_URING_EVENT_WAIT: wait for an event
 * @flags: must be 0
 * @reserved: must be 0
 * @deadline_ns: absolute CLOCK_MONOTONIC, 0 to PULSE_NO_DEADLINE
 *
 * Over as soon as the event ring is not empty, as far as the reader's position
 * says, as poll() is; each event ends all that wait. For whoever may use the
 * context, worker or not.
 *
 * Results: 0 there is an event; ETIMEDOUT; ECANCELED see above; EINVAL a
 * negative deadline; ENODEV the context has no event ring; ENOSPC
 * PULSE_MAX_EVENT_WAITS wait already.
 */
struct pulse_uring_event_wait {
	__u32 flags;
	__u32 reserved;
	__s64 deadline_ns;
};

#endif /* _UAPI_LINUX_PULSE_URING_H */

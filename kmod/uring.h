/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_URING_H
#define PULSE_URING_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/spinlock.h>

#include "pulse.h"

struct io_uring_cmd;
struct mm_struct;
struct pulse_events;

#if PULSE_HAVE_URING

/**
 * struct pulse_pending - the PARK of a worker that io_uring holds
 * @lock: protects the rest; taken by a timer too
 * @cmd: the command, or NULL. Who takes it out completes it
 * @deadline: when it is over without a permit
 * @timer: queued while there is a command with a deadline
 */
struct pulse_pending {
	spinlock_t lock;	/* the rest */
	struct io_uring_cmd *cmd;
	ktime_t deadline;
	struct hrtimer timer;
};

/**
 * struct pulse_event_waits - commands that wait for an event
 * @lock: protects the rest; taken by a timer too
 * @nr: how many, PULSE_MAX_EVENT_WAITS at most
 * @list: struct pulse_uring_state; who takes one out completes it
 * @timer: queued for the first deadline of them
 */
struct pulse_event_waits {
	spinlock_t lock;	/* the rest */
	unsigned int nr;
	struct list_head list;
	struct hrtimer timer;
};

/**
 * struct pulse_uring_state - what we keep in a command
 * @worker: of a PARK; its memory stays while the command is not completed,
 *	which holds the file
 * @link: of a wait: in pulse_event_waits.list
 * @mm: of a wait: whose it is, compared, never used; NULL: it waits no more
 * @deadline_ns: of a wait
 * @ret: of a command that was taken out: its result
 */
struct pulse_uring_state {
	union {
		struct pulse_worker *worker;
		struct list_head link;
	};
	const struct mm_struct *mm;
	union {
		s64 deadline_ns;
		int ret;
	};
};

/**
 * pulse_uring_parked() - does io_uring hold a PARK of the worker
 * @pending: of the calling thread's worker
 *
 * (L): false is said after what the command had changed was undone; pairs with
 * uring_park.c:pulse_pending_take
 */
#define pulse_uring_parked(w)						\
	(!!smp_load_acquire(&(w)->pending.cmd)) /* (L): see above */

int pulse_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
void pulse_uring_complete(struct io_uring_cmd *cmd);
void pulse_uring_complete_at_once(struct io_uring_cmd *cmd, int ret,
				  unsigned int issue_flags);

void pulse_uring_prepare(struct pulse_worker *w);
int pulse_uring_park(struct pulse_ctx *ctx, struct io_uring_cmd *cmd,
		     unsigned int issue_flags);
bool pulse_uring_park_cancel(struct io_uring_cmd *cmd);
void pulse_uring_kick(struct pulse_worker *w);
void pulse_uring_leave(struct pulse_worker *w);

void pulse_uring_events_prepare(struct pulse_events *ev);
int pulse_uring_event_wait(struct pulse_ctx *ctx, struct io_uring_cmd *cmd,
			   unsigned int issue_flags);
bool pulse_uring_event_cancel(struct io_uring_cmd *cmd);
void pulse_uring_events_kick(struct pulse_events *ev);
void pulse_uring_events_cancel(struct pulse_events *ev,
			       const struct mm_struct *mm);
void pulse_uring_events_end(struct pulse_events *ev);

#else /* !PULSE_HAVE_URING */

struct pulse_pending { };
struct pulse_event_waits { };

#define pulse_uring_parked(w)	false

static inline void pulse_uring_prepare(struct pulse_worker *w) { }
static inline void pulse_uring_kick(struct pulse_worker *w) { }
static inline void pulse_uring_leave(struct pulse_worker *w) { }
static inline void pulse_uring_events_prepare(struct pulse_events *ev) { }
static inline void pulse_uring_events_kick(struct pulse_events *ev) { }
static inline void pulse_uring_events_cancel(struct pulse_events *ev,
					     const struct mm_struct *mm) { }
static inline void pulse_uring_events_end(struct pulse_events *ev) { }

#endif /* PULSE_HAVE_URING */

#endif /* PULSE_URING_H */

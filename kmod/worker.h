/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_WORKER_H
#define PULSE_WORKER_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/preempt.h>
#include <linux/task_work.h>

#include "pulse.h"
#include "uring.h"

enum pulse_slot_state {
	PULSE_SLOT_FREE,
	PULSE_SLOT_RESERVED,	/* being added */
	PULSE_SLOT_LIVE,
	PULSE_SLOT_DYING,	/* the thread is gone, or on its way out */
};

/* pulse_worker.wake_bits */
#define PULSE_PERMIT	1	/* the next PARK returns 0 */
#define PULSE_CANCEL	2	/* the next PARK returns ECANCELED */

/**
 * struct pulse_worker - a slot, and the thread that has it
 * @notifier: calls notifier.c when the thread is switched
 * @tracked_link: instead: in the list that probe.c follows
 * @tracked: of the thread
 * @kstate: its entry of KSTATE
 * @mm: the thread's when it was added; compared, never used
 * @wait_base_ns: the scheduler's run delay when it was added
 * @parking: set by the thread around its sleep in PARK, or from when io_uring
 *	holds its PARK to when that is over
 * @leaving: set once by the state source when it saw an exec
 * @beat_period_ns: of its heartbeats, 0: none; written by the thread
 * @came_from: PULSE_STATE_* when it last got a CPU
 * @wake_bits: PULSE_PERMIT, PULSE_CANCEL; set by anybody, taken by the thread
 * @index: of the slot
 * @node: home, an index into the context's nodes
 * @state: enum pulse_slot_state
 * @sleeper: the thread while it is in PARK, otherwise NULL; RCU
 * @uwork: its entry of UWORK, untrusted
 * @ctx: what it is part of
 * @task: the thread, referenced; compared, never used
 * @file: the context's file, referenced
 * @pending: its PARK that io_uring holds
 * @cookie: the user's
 * @pid: its process, in the context's namespace
 * @dead_irq: from the last switch to where reaping can be queued
 * @dead_link: in the reaper's list
 * @exec_work: from the state source to the thread's way back to user mode
 * @beat_due_ns: when its next beat is due, while it is on a CPU; beat.c
 * @beat_left_ns: until its next beat, while it is on none
 * @beat_skip: periods that are left out before its next beat
 * @beat_listens: it writes to UWORK.heard what it heard
 * @beat_next: the same thread's next worker that beats
 *
 * The first cache line is the state source's, the second the wakers'.
 */
struct pulse_worker {
	union {
#if PULSE_HAVE_NOTIFIERS
		struct preempt_notifier notifier;
#endif
		struct {
			struct hlist_node tracked_link;
			struct pulse_tracked *tracked;
		};
	};
	struct pulse_kstate *kstate;
	struct mm_struct *mm;
	u64 wait_base_ns;
	bool parking;
	bool leaving;
	u64 beat_period_ns;
	u8 came_from;

	atomic_t wake_bits ____cacheline_aligned;
	u32 index;
	u32 node;
	int state;
	struct task_struct __rcu *sleeper;
	struct pulse_uwork *uwork;
	struct pulse_ctx *ctx;
	struct task_struct *task;
	struct file *file;
	struct pulse_pending pending;

	u64 cookie ____cacheline_aligned;
	s32 pid;
	struct irq_work dead_irq;
	struct llist_node dead_link;
	struct callback_head exec_work;

	u64 beat_due_ns;
	u64 beat_left_ns;
	u8 beat_skip;
	bool beat_listens;
	struct pulse_worker *beat_next;
} __aligned(256);

/**
 * pulse_worker_is_live() - does a thread have this slot
 * @w: any slot of a context that is live
 */
static inline bool pulse_worker_is_live(const struct pulse_worker *w)
{
	return READ_ONCE(w->state) == PULSE_SLOT_LIVE;
}

void pulse_workers_prepare(struct pulse_ctx *ctx);

struct pulse_worker *pulse_worker_reserve(struct pulse_ctx *ctx,
					  const struct pulse_worker_add *arg);
void pulse_worker_cancel(struct pulse_worker *w);
void pulse_worker_commit(struct pulse_worker *w, struct file *file);
struct task_struct *pulse_worker_task(struct pulse_ctx *ctx, u32 index);
struct pulse_worker *pulse_worker_self(struct pulse_ctx *ctx, u32 index);
int pulse_worker_del(struct pulse_ctx *ctx, u32 index);
void pulse_worker_execed(struct pulse_ctx *ctx);

void pulse_worker_exit(void);

#endif /* PULSE_WORKER_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wait for events as a command of io_uring: it is over when the event ring
 * is not empty.
 *
 * Called by uring.c, by who puts an event (event.c), by a close (ctx.c). Who
 * waits is in a list of bounded length, whose lock orders all of it: an event is
 * in the ring before its writer takes the lock to look who waits, and who begins
 * to wait looks at the ring under the lock. So one of the two finds the other.
 */
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "ctx.h"
#include "event.h"
#include "uring.h"

#if PULSE_HAVE_URING

static struct io_uring_cmd *pulse_wait_cmd(struct pulse_uring_state *wait)
{
	return container_of((void *)wait, struct io_uring_cmd, pdu);
}

/* Set the timer for the first deadline. The lock is held. */
static void pulse_waits_arm(struct pulse_event_waits *waits)
{
	s64 first_ns = PULSE_NO_DEADLINE;
	struct pulse_uring_state *wait;

	list_for_each_entry(wait, &waits->list, link)
		first_ns = min(first_ns, wait->deadline_ns);
	if (first_ns != PULSE_NO_DEADLINE)
		hrtimer_start(&waits->timer, ns_to_ktime(first_ns),
			      HRTIMER_MODE_ABS);
	else
		hrtimer_try_to_cancel(&waits->timer);
}

/* Take one out, with a result. The lock is held. */
static void pulse_wait_take(struct pulse_event_waits *waits,
			    struct pulse_uring_state *wait, int ret)
{
	list_del(&wait->link);
	waits->nr--;
	wait->mm = NULL;
	wait->ret = ret;
}

/*
 * End those whose deadline is not after @until_ns, of one process or of all
 * (@mm NULL).
 */
static void pulse_waits_end(struct pulse_event_waits *waits, s64 until_ns,
			    const struct mm_struct *mm, int ret)
{
	struct pulse_uring_state *wait, *next;
	unsigned long flags;
	LIST_HEAD(over);

	spin_lock_irqsave(&waits->lock, flags);
	list_for_each_entry_safe(wait, next, &waits->list, link) {
		if (wait->deadline_ns > until_ns || (mm && wait->mm != mm))
			continue;
		pulse_wait_take(waits, wait, ret);
		list_add_tail(&wait->link, &over);
	}
	pulse_waits_arm(waits);
	spin_unlock_irqrestore(&waits->lock, flags);

	/* Each may be gone as soon as it is completed. */
	list_for_each_entry_safe(wait, next, &over, link)
		pulse_uring_complete(pulse_wait_cmd(wait));
}

static enum hrtimer_restart pulse_waits_timer(struct hrtimer *timer)
{
	struct pulse_event_waits *waits =
		container_of(timer, struct pulse_event_waits, timer);

	pulse_waits_end(waits, ktime_get_ns(), NULL, -ETIMEDOUT);
	return HRTIMER_NORESTART;
}

/**
 * pulse_uring_events_prepare() - nobody waits
 * @ev: of a new context
 */
void pulse_uring_events_prepare(struct pulse_events *ev)
{
	struct pulse_event_waits *waits = &ev->waits;

	spin_lock_init(&waits->lock);
	INIT_LIST_HEAD(&waits->list);
	pulse_hrtimer_setup(&waits->timer, pulse_waits_timer, CLOCK_MONOTONIC,
			    HRTIMER_MODE_ABS);
}

/**
 * pulse_uring_events_end() - wait for the timer's end
 * @ev: of a context without a file: nobody waits
 */
void pulse_uring_events_end(struct pulse_events *ev)
{
	hrtimer_cancel(&ev->waits.timer);
}

/**
 * pulse_uring_events_kick() - an event was put into the ring
 * @ev: of a live context
 */
void pulse_uring_events_kick(struct pulse_events *ev)
{
	pulse_waits_end(&ev->waits, PULSE_NO_DEADLINE, NULL, 0);
}

/**
 * pulse_uring_events_cancel() - a process closed a descriptor
 * @ev: of a live context
 * @mm: of the process
 */
void pulse_uring_events_cancel(struct pulse_events *ev,
			       const struct mm_struct *mm)
{
	pulse_waits_end(&ev->waits, PULSE_NO_DEADLINE, mm, -ECANCELED);
}

/**
 * pulse_uring_event_cancel() - io_uring wants a wait to end
 * @cmd: the command
 *
 * Return: true if the caller has to complete it.
 */
bool pulse_uring_event_cancel(struct io_uring_cmd *cmd)
{
	struct pulse_ctx *ctx = cmd->file->private_data;
	struct pulse_event_waits *waits = &ctx->events.waits;
	struct pulse_uring_state *wait =
		io_uring_cmd_to_pdu(cmd, struct pulse_uring_state);
	unsigned long flags;
	bool mine;

	spin_lock_irqsave(&waits->lock, flags);
	mine = wait->mm;
	if (mine)
		pulse_wait_take(waits, wait, -ECANCELED);
	spin_unlock_irqrestore(&waits->lock, flags);
	return mine;
}

/* Put a command into the list, unless it is over at once: then its result. */
static int pulse_wait_begin(struct pulse_ctx *ctx,
			    struct pulse_uring_state *wait, s64 deadline_ns)
{
	struct pulse_event_waits *waits = &ctx->events.waits;
	int ret = -EIOCBQUEUED;
	unsigned long flags;

	spin_lock_irqsave(&waits->lock, flags);
	if (pulse_events_ready(ctx)) {
		ret = 0;
	} else if (ktime_get_ns() >= deadline_ns) {
		ret = -ETIMEDOUT;
	} else if (waits->nr == PULSE_MAX_EVENT_WAITS) {
		ret = -ENOSPC;
	} else {
		wait->mm = current->mm;
		wait->deadline_ns = deadline_ns;
		list_add_tail(&wait->link, &waits->list);
		waits->nr++;
		if (deadline_ns != PULSE_NO_DEADLINE)
			pulse_waits_arm(waits);
	}
	spin_unlock_irqrestore(&waits->lock, flags);
	return ret;
}

/**
 * pulse_uring_event_wait() - PULSE_URING_EVENT_WAIT
 * @ctx: the context, live
 * @cmd: the command, checked but for its own fields
 * @issue_flags: of io_uring's call
 *
 * Return: -EIOCBQUEUED, -EINVAL, -ENODEV.
 */
int pulse_uring_event_wait(struct pulse_ctx *ctx, struct io_uring_cmd *cmd,
			   unsigned int issue_flags)
{
	const struct pulse_uring_event_wait *arg = (const void *)cmd->sqe->cmd;
	struct pulse_uring_state *wait =
		io_uring_cmd_to_pdu(cmd, struct pulse_uring_state);
	s64 deadline_ns = READ_ONCE(arg->deadline_ns);
	int ret;

	if (deadline_ns < 0 || READ_ONCE(arg->flags) || READ_ONCE(arg->reserved))
		return -EINVAL;
	if (!ctx->events.bytes)
		return -ENODEV;

	wait->mm = NULL;	/* before it can be cancelled */
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	ret = pulse_wait_begin(ctx, wait, deadline_ns);
	if (ret != -EIOCBQUEUED)
		pulse_uring_complete_at_once(cmd, ret, issue_flags);
	return -EIOCBQUEUED;
}

#endif /* PULSE_HAVE_URING */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * PARK as a command of io_uring: the worker goes on, or sleeps in the ring's own
 * wait for whatever comes first, and the permit comes as a completion.
 *
 * Called by uring.c; by who gives permits (park.c) and by the end of the worker
 * (worker.c). The proof is part 5 of that at the head of park.c. The slot's
 * pending.lock orders all of it, and nothing is called under it that sleeps or
 * takes another lock of ours.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "ctx.h"
#include "node.h"
#include "park.h"
#include "sysfs.h"
#include "trace.h"
#include "worker.h"

#if PULSE_HAVE_URING

/* Take the command out of its slot, with a result. The lock is held. */
static struct io_uring_cmd *pulse_pending_take(struct pulse_worker *w, int ret)
{
	struct io_uring_cmd *cmd = w->pending.cmd;

	io_uring_cmd_to_pdu(cmd, struct pulse_uring_state)->ret = ret;
	/* One that runs right now waits for the lock, and finds nothing. */
	hrtimer_try_to_cancel(&w->pending.timer);
	WRITE_ONCE(w->parking, false);
	pulse_node_busy(w);
	pulse_count(parks);
	trace_park(w, ret, true);
	/* (L): pairs with pulse_uring_parked() */
	smp_store_release(&w->pending.cmd, NULL);
	return cmd;
}

/* Why a command is over that has no permit, or -EIOCBQUEUED: it is not. */
static int pulse_pending_why(struct pulse_worker *w)
{
	if (pulse_take(w, PULSE_CANCEL))
		return -ECANCELED;
	return ktime_get() >= w->pending.deadline ? -ETIMEDOUT : -EIOCBQUEUED;
}

/**
 * pulse_uring_kick() - something may have ended the PARK that io_uring holds
 * @w: any slot of a live context
 *
 * Any context. The caller has written what it has to say, and a full barrier
 * came after that, (D).
 */
void pulse_uring_kick(struct pulse_worker *w)
{
	struct io_uring_cmd *cmd = NULL;
	unsigned long flags;
	int ret;

	if (!READ_ONCE(w->pending.cmd))
		return;
	spin_lock_irqsave(&w->pending.lock, flags);
	if (w->pending.cmd) {
		ret = pulse_take(w, PULSE_PERMIT) ? 0 : pulse_pending_why(w);
		if (ret != -EIOCBQUEUED)
			cmd = pulse_pending_take(w, ret);
	}
	spin_unlock_irqrestore(&w->pending.lock, flags);
	if (cmd)
		pulse_uring_complete(cmd);
}

static enum hrtimer_restart pulse_pending_timer(struct hrtimer *timer)
{
	pulse_uring_kick(container_of(timer, struct pulse_worker,
				      pending.timer));
	return HRTIMER_NORESTART;
}

/**
 * pulse_uring_prepare() - write into a slot what never changes
 * @w: of a context that is being set up
 */
void pulse_uring_prepare(struct pulse_worker *w)
{
	spin_lock_init(&w->pending.lock);
	pulse_hrtimer_setup(&w->pending.timer, pulse_pending_timer,
			    CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
}

/**
 * pulse_uring_leave() - a worker ends: end its PARK
 * @w: the calling thread's, or a dead one; gets no command any more
 *
 * When it returns, the timer does not run. A command that somebody else has
 * taken out may not be completed yet; it knows nothing of the slot.
 */
void pulse_uring_leave(struct pulse_worker *w)
{
	struct io_uring_cmd *cmd = NULL;
	unsigned long flags;

	spin_lock_irqsave(&w->pending.lock, flags);
	if (w->pending.cmd)
		cmd = pulse_pending_take(w, -ECANCELED);
	spin_unlock_irqrestore(&w->pending.lock, flags);
	hrtimer_cancel(&w->pending.timer);
	if (cmd)
		pulse_uring_complete(cmd);
}

/**
 * pulse_uring_park_cancel() - io_uring wants a PARK to end
 * @cmd: of a slot of that time; the slot may have another one by now
 *
 * A permit that comes at the same moment stays with the worker.
 *
 * Return: true if the caller has to complete it.
 */
bool pulse_uring_park_cancel(struct io_uring_cmd *cmd)
{
	struct pulse_worker *w =
		io_uring_cmd_to_pdu(cmd, struct pulse_uring_state)->worker;
	unsigned long flags;
	bool mine;

	spin_lock_irqsave(&w->pending.lock, flags);
	mine = w->pending.cmd == cmd;
	if (mine)
		pulse_pending_take(w, -ECANCELED);
	spin_unlock_irqrestore(&w->pending.lock, flags);
	return mine;
}

/* Put a command into the slot, unless it is over at once: then its result. */
static int pulse_pending_begin(struct pulse_worker *w, struct io_uring_cmd *cmd,
			       u32 word, s64 deadline_ns)
{
	struct pulse_pending *pending = &w->pending;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&pending->lock, flags);
	pending->deadline = ns_to_ktime(deadline_ns);
	WRITE_ONCE(pending->cmd, cmd);
	/*
	 * (K): the command before the looks at the permit and the word. Pairs
	 * with (D) in pulse_give_by(), litmus: park_permit
	 */
	smp_mb();
	if (pulse_take(w, PULSE_PERMIT))
		ret = 0;
	else if (READ_ONCE(w->uwork->park) != word)	/* untrusted */
		ret = -EAGAIN;
	else
		ret = pulse_pending_why(w);

	if (ret == -EIOCBQUEUED) {
		pulse_node_idle(w);
		WRITE_ONCE(w->parking, true);
		if (pending->deadline != KTIME_MAX)
			hrtimer_start(&pending->timer, pending->deadline,
				      HRTIMER_MODE_ABS);
	} else {
		trace_park(w, ret, false);
		WRITE_ONCE(pending->cmd, NULL);
	}
	spin_unlock_irqrestore(&pending->lock, flags);
	return ret;
}

/**
 * pulse_uring_park() - PULSE_URING_PARK
 * @ctx: the context, live
 * @cmd: the command, checked but for its own fields
 * @issue_flags: of io_uring's call
 *
 * Return: -EIOCBQUEUED, -EINVAL, -ESRCH, -EPERM, -EBUSY.
 */
int pulse_uring_park(struct pulse_ctx *ctx, struct io_uring_cmd *cmd,
		     unsigned int issue_flags)
{
	const struct pulse_uring_park *arg = (const void *)cmd->sqe->cmd;
	s64 deadline_ns = READ_ONCE(arg->deadline_ns);
	u32 word = READ_ONCE(arg->word);
	struct pulse_worker *w;
	int ret;

	if (deadline_ns < 0)
		return -EINVAL;
	w = pulse_worker_self(ctx, READ_ONCE(arg->index));
	if (IS_ERR(w))
		return PTR_ERR(w);
	if (pulse_uring_parked(w))
		return -EBUSY;

	io_uring_cmd_to_pdu(cmd, struct pulse_uring_state)->worker = w;
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	ret = pulse_pending_begin(w, cmd, word, deadline_ns);
	if (ret != -EIOCBQUEUED)
		pulse_uring_complete_at_once(cmd, ret, issue_flags);
	return -EIOCBQUEUED;
}

#endif /* PULSE_HAVE_URING */

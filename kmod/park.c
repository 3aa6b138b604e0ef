// SPDX-License-Identifier: GPL-2.0-only
/*
 * Park and wake.
 *
 * Three places take part: the work, in user memory; the park word, in UWORK,
 * written by its worker and by wakers, untrusted; and the permit, a bit of
 * pulse_worker.wake_bits that user space cannot reach. Spurious returns are
 * allowed everywhere, lost wake-ups nowhere. No lock is taken.
 *
 * 1. By the park word and WAKE
 *
 *	CPU 0 (the parker)			CPU 1 (a waker)
 *
 *	user space:				user space:
 *	xchg(word, PARKING);			publish the work;
 *	  full barrier			(B)	  full barrier		(A)
 *	look at the queues: nothing		load word
 *	PARK(word):				  not PARKING: done
 *	kernel:					  cmpxchg(word, NOTIFIED)
 *	sleeper = current;			    lost: done, the winner does
 *	state = PARKED;				    won: WAKE:
 *	  full barrier			(C)	kernel:
 *	take permit? return 0			permit = 1;
 *	read word: moved? EAGAIN		  full barrier		(D)
 *	schedule()				load sleeper
 *						  not NULL: wake it
 *
 *   (A) against (B): either the waker finds PARKING, or the parker finds the
 *   work when it looks again. litmus: park_wake
 *
 *   (C) against (D): either the waker finds the sleeper, whose state is then
 *   one that wake_up_process() ends (the state is written before (C) as well),
 *   or the parker finds the permit. A parker that was woken goes round and
 *   looks at the permit again. litmus: park_permit
 *
 *   Reading the word is for those who come late: it saves the sleep when a
 *   waker has won already and its WAKE is still on the way.
 *
 * 2. By WAKE_NODE (node.c), which takes no cmpxchg
 *
 *	CPU 0 (the parker)			CPU 1 (a waker)
 *
 *	xchg(word, PARKING);			publish the work;
 *	  full barrier			(B)	WAKE_NODE:
 *	look at the queues: nothing		  full barrier		(E)
 *	PARK: as above				permit is set: skip it
 *						idle, or word is PARKING:
 *						  permit = 1, (D), as above
 *
 *   (B) against (E): a parker that did not see the work is found PARKING. A
 *   parker that is skipped because its permit is set has yet to take it, with
 *   a full barrier, and looks at the queues after that. litmus: wake_node
 *
 * 3. A waker that dies between its cmpxchg and its WAKE
 *
 *   Whoever sweeps after the death of a worker gives a permit to each worker
 *   whose word says NOTIFIED. The death comes after the cmpxchg, and so does
 *   the sweep. A parker that read the word before the cmpxchg gets the permit
 *   by (C) and (D); one that reads it after does not sleep.
 *
 * 4. HANDOFF (handoff.c)
 *
 *   The caller is a waker of the target first, and a parker after that, each
 *   as above and with nothing between the two to rely on: (D) of the one comes
 *   before (C) of the other, so that a target that hands straight back finds
 *   the caller's sleeper, or the caller the permit. In user space the caller's
 *   (B) stands for (A) as well: it comes after the work was published, and
 *   before the look at the target's word. How the target is woken, and where
 *   it comes up, is a hint to the scheduler that no proof needs.
 *
 * 5. PARK through io_uring (uring_park.c)
 *
 *	CPU 0 (the parker)			CPU 1 (a waker)
 *
 *	lock;					permit = 1;
 *	pending = command;			  full barrier		(D)
 *	  full barrier			(K)	load pending
 *	take permit? over: 0			  not NULL: lock;
 *	read word: moved? over: EAGAIN		    pending still there, and
 *	over: pending = NULL;			    a permit to take?
 *	unlock; complete, or leave it		    over: pending = NULL;
 *						  unlock; complete
 *
 *   (K) against (D) as (C) against (D), with the pending command in place of
 *   the sleeper: either the waker finds the command, or the parker the permit.
 *   litmus: park_permit. What ends a command - a permit, its deadline, a close,
 *   the worker's end, io_uring itself - takes it out of the slot under the lock
 *   of the slot, so that one of them completes it, and the permit is taken by
 *   the one that does. Which worker a command belongs to is looked at no more
 *   after that: the slot may be another thread's by the time the command is
 *   completed. A worker has one PARK at a time: while a command is pending,
 *   PARK and HANDOFF say EBUSY, and so nobody else takes its permits.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "compat.h"
#include "ctx.h"
#include "knob.h"
#include "node.h"
#include "park.h"
#include "sysfs.h"
#include "trace.h"
#include "worker.h"

/* Indices are copied in by so many at a time. */
#define PULSE_WAKE_CHUNK	64

/* With flags: an entry of no queue is the way to the scheduler's own. */
static __always_inline void pulse_wake_by(struct task_struct *sleeper, int wake_flags)
{
	struct wait_queue_entry entry;

	if (!wake_flags) {
		wake_up_process(sleeper);
		return;
	}
	init_waitqueue_entry(&entry, sleeper);
	default_wake_function(&entry, TASK_NORMAL, wake_flags, NULL);
}

/**
 * pulse_give_by() - pulse_give() with a hint to the scheduler
 * @w: as there
 * @bit: as there
 * @wake_flags: PULSE_WF_HANDOFF or 0
 *
 * Return: as there.
 */
bool pulse_give_by(struct pulse_worker *w, int bit, int wake_flags)
{
	struct task_struct *sleeper;

	/* (D): pairs with (C) in pulse_park_sleep(), litmus: park_permit */
	if (atomic_fetch_or(bit, &w->wake_bits) & bit)
		return false;

	/*
	 * A task that is sleeper has not left pulse_park_self(), and is freed a
	 * grace period after it exited at the earliest.
	 */
	rcu_read_lock_sched();
	sleeper = rcu_dereference_sched(w->sleeper);
	if (sleeper)
		pulse_wake_by(sleeper, wake_flags);
	rcu_read_unlock_sched();
	pulse_uring_kick(w);
	return true;
}

/**
 * pulse_give() - give a worker a permit, or cancel its park
 * @w: any slot of a live context; a dead one does no harm
 * @bit: PULSE_PERMIT or PULSE_CANCEL
 *
 * Return: false if it had that already; then whoever gave it wakes.
 */
bool pulse_give(struct pulse_worker *w, int bit)
{
	return pulse_give_by(w, bit, 0);
}

/**
 * pulse_take() - take a permit, or a cancellation, if there is one
 * @w: the calling thread's, or one whose PARK is pending
 * @bit: PULSE_PERMIT or PULSE_CANCEL
 *
 * Return: true if there was; a full barrier then.
 */
bool pulse_take(struct pulse_worker *w, int bit)
{
	return atomic_read(&w->wake_bits) & bit &&
	       atomic_fetch_andnot(bit, &w->wake_bits) & bit;
}

/* Why a parker to whom nothing was given must not sleep on, or 0. */
static int pulse_park_over(ktime_t deadline)
{
	if (deadline != KTIME_MAX && ktime_get() >= deadline)
		return -ETIMEDOUT;
	return signal_pending(current) ? -ERESTARTSYS : 0;
}

static int pulse_park_sleep(struct pulse_worker *w, const struct pulse_park *arg,
			    bool *slept)
{
	ktime_t deadline = ns_to_ktime(arg->deadline_ns);
	int ret, given;

	for (;;) {
		/*
		 * (C): the full barrier orders sleeper and state before the
		 * permit and the word. Pairs with (D) in pulse_give(), litmus:
		 * park_permit
		 */
		set_current_state(PULSE_TASK_PARKED);
		given = atomic_read(&w->wake_bits);
		if (given & PULSE_PERMIT && pulse_take(w, PULSE_PERMIT))
			return 0;
		/* Untrusted, and read this once. */
		if (!*slept && READ_ONCE(w->uwork->park) != arg->word)
			return -EAGAIN;
		if (given & PULSE_CANCEL && pulse_take(w, PULSE_CANCEL))
			return -ECANCELED;
		ret = pulse_park_over(deadline);
		if (ret)
			return ret;
		if (!*slept) {
			*slept = true;
			pulse_node_idle(w);
			w->parking = true;
		}
		if (deadline == KTIME_MAX)
			schedule();
		else
			schedule_hrtimeout_range(&deadline, current->timer_slack_ns,
						 HRTIMER_MODE_ABS);
	}
}

/*
 * Looks for a permit before the CPU is given up, for spin_us at most and while
 * nobody else wants it. Nothing hangs on what is seen here: the sleep that
 * follows looks at all of it anew.
 */
static void pulse_park_spin(struct pulse_worker *w, const struct pulse_park *arg)
{
	u32 spin_us = pulse_ctx_knob(w->ctx, PULSE_KNOB_SPIN_US);
	u64 until;

	if (likely(!spin_us))
		return;
	until = min_t(u64, ktime_get_ns() + (u64)spin_us * NSEC_PER_USEC,
		      arg->deadline_ns);
	while (!atomic_read(&w->wake_bits) && !need_resched() &&
	       single_task_running() && !signal_pending(current) &&
	       ktime_get_ns() < until)
		cpu_relax();
}

/**
 * pulse_park_self() - sleep until a permit comes
 * @w: the calling thread's
 * @arg: of PARK; its deadline is not negative
 *
 * Return: as pulse_park().
 */
int pulse_park_self(struct pulse_worker *w, const struct pulse_park *arg)
{
	bool slept = false;
	int ret;

	pulse_park_spin(w, arg);
	rcu_assign_pointer(w->sleeper, current);
	ret = pulse_park_sleep(w, arg, &slept);
	__set_current_state(TASK_RUNNING);
	RCU_INIT_POINTER(w->sleeper, NULL);

	if (slept) {
		w->parking = false;
		pulse_node_busy(w);
		pulse_count(parks);
	}
	trace_park(w, ret, slept);
	return ret;
}

/**
 * pulse_park() - PARK: sleep until a permit comes
 * @ctx: the context, live
 * @arg: of PARK
 *
 * A restarted call begins anew with the same argument; the deadline is
 * absolute, and a permit that came meanwhile is kept.
 *
 * Return: 0 a permit was taken; -EINVAL, -ESRCH, -EPERM, -EBUSY, -EAGAIN,
 * -ECANCELED, -ETIMEDOUT, -ERESTARTSYS.
 */
int pulse_park(struct pulse_ctx *ctx, const struct pulse_park *arg)
{
	struct pulse_worker *w;

	if (arg->deadline_ns < 0)
		return -EINVAL;
	w = pulse_worker_self(ctx, arg->index);
	if (IS_ERR(w))
		return PTR_ERR(w);
	return pulse_uring_parked(w) ? -EBUSY : pulse_park_self(w, arg);
}

/* Untrusted indices from user space, as a set of those that can be slots. */
static int pulse_wake_fetch(struct pulse_ctx *ctx, const struct pulse_wake *arg,
			    unsigned long *set)
{
	const u32 __user *list = u64_to_user_ptr(arg->indices);
	u32 chunk[PULSE_WAKE_CHUNK];
	u32 done, n, i;

	for (done = 0; done < arg->nr; done += n) {
		n = min_t(u32, arg->nr - done, PULSE_WAKE_CHUNK);
		if (copy_from_user(chunk, list + done, n * sizeof(*chunk)))
			return -EFAULT;
		for (i = 0; i < n; i++) {
			u32 index = chunk[i];

			if (index >= ctx->max_workers)
				continue;
			index = array_index_nospec(index, ctx->max_workers);
			__set_bit(index, set);
		}
	}
	return 0;
}

/* A permit for the worker of this slot; how many there are: 1 or 0. */
static u32 pulse_wake_slot(struct pulse_ctx *ctx, unsigned int i)
{
	struct pulse_worker *w = &ctx->workers[i];

	if (!pulse_worker_is_live(w))
		return 0;
	if (pulse_give(w, PULSE_PERMIT))
		pulse_count(wakes);
	return 1;
}

/* Not inlined: a set is half a KiB of stack, which kernels may clear each time. */
static noinline int pulse_wake_list(struct pulse_ctx *ctx, struct pulse_wake *arg)
{
	DECLARE_BITMAP(set, PULSE_MAX_WORKERS);
	unsigned int i;
	int ret;

	bitmap_zero(set, ctx->max_workers);
	ret = pulse_wake_fetch(ctx, arg, set);
	if (ret)
		return ret;
	for_each_set_bit(i, set, ctx->max_workers) {
		arg->woken += pulse_wake_slot(ctx, i);
		cond_resched();
	}
	return 0;
}

/* As above, of the one entry, which most lists are made of. */
static int pulse_wake_single(struct pulse_ctx *ctx, struct pulse_wake *arg)
{
	u32 index;

	if (get_user(index, (u32 __user *)u64_to_user_ptr(arg->indices)))
		return -EFAULT;
	if (index < ctx->max_workers)
		arg->woken = pulse_wake_slot(ctx, array_index_nospec(index,
								     ctx->max_workers));
	return 0;
}

/**
 * pulse_wake() - WAKE: give a permit to each worker of a list
 * @ctx: the context, live
 * @arg: of WAKE; gets the number of woken
 *
 * The whole list is read before the first permit is given, so that -EFAULT
 * means nobody was woken.
 *
 * Return: 0, -E2BIG, -EFAULT, -ESRCH.
 */
int pulse_wake(struct pulse_ctx *ctx, struct pulse_wake *arg)
{
	int ret;

	arg->woken = 0;
	if (arg->nr > PULSE_MAX_WORKERS)
		return -E2BIG;
	ret = arg->nr == 1 ? pulse_wake_single(ctx, arg) : pulse_wake_list(ctx, arg);
	if (ret)
		return ret;
	trace_wake(ctx, NUMA_NO_NODE, arg->nr, arg->woken);
	return arg->nr && !arg->woken ? -ESRCH : 0;
}

/**
 * pulse_sweep() - pay the permits that a worker owed when it died
 * @ctx: its context; kept alive by the caller
 *
 * A permit too many makes one PARK return early. At most one look at each
 * slot.
 */
void pulse_sweep(struct pulse_ctx *ctx)
{
	unsigned int i;

	for_each_set_bit(i, ctx->slots, ctx->max_workers) {
		struct pulse_worker *w = &ctx->workers[i];
		u32 word;

		if (!pulse_worker_is_live(w))
			continue;
		word = READ_ONCE(w->uwork->park);
		if (PULSE_PARK_STATE(word) == PULSE_PARK_NOTIFIED)
			pulse_give(w, PULSE_PERMIT);
		cond_resched();
	}
}

/**
 * pulse_cancel_parks() - end each PARK of a process that closed a descriptor
 * @ctx: the context, live
 * @mm: of the process
 *
 * It stays with those who are not in PARK until their next one: a PARK that
 * got past the descriptor table before the close must not sleep for ever on a
 * context that nobody can name any more.
 */
void pulse_cancel_parks(struct pulse_ctx *ctx, const struct mm_struct *mm)
{
	unsigned int i;

	for_each_set_bit(i, ctx->slots, ctx->max_workers) {
		struct pulse_worker *w = &ctx->workers[i];

		if (pulse_worker_is_live(w) && READ_ONCE(w->mm) == mm)
			pulse_give(w, PULSE_CANCEL);
		cond_resched();
	}
}

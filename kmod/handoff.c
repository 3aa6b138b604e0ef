// SPDX-License-Identifier: GPL-2.0-only
/*
 * From one worker to another: HANDOFF wakes one and parks the caller, YIELD_TO
 * lets one that was preempted go first. Called by the dispatch (ctx.c).
 *
 * HANDOFF is pulse_give() and pulse_park_self(); the proof at the head of park.c
 * holds for each of them. What it adds is that the scheduler is told of both:
 * the target need not be spread to another CPU when this one is about to be
 * free.
 */
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "ctx.h"
#include "handoff.h"
#include "park.h"
#include "sysfs.h"
#include "trace.h"
#include "worker.h"

/**
 * pulse_handoff() - HANDOFF: wake that worker, park this one
 * @ctx: the context, live
 * @arg: of HANDOFF
 *
 * All that can be refused is refused before the permit is given. A call that a
 * signal ended is not restarted: it would give another permit.
 *
 * Return: as pulse_park(), but -EINTR for -ERESTARTSYS.
 */
int pulse_handoff(struct pulse_ctx *ctx, const struct pulse_handoff *arg)
{
	const struct pulse_park park = {
		.index = arg->index,
		.word = arg->word,
		.deadline_ns = arg->deadline_ns,
	};
	struct pulse_worker *w, *target;
	int ret;

	if (arg->deadline_ns < 0 || arg->target == arg->index)
		return -EINVAL;
	w = pulse_worker_self(ctx, arg->index);
	if (IS_ERR(w))
		return PTR_ERR(w);
	if (pulse_uring_parked(w))
		return -EBUSY;
	if (arg->target >= ctx->max_workers)
		return -ESRCH;
	target = &ctx->workers[array_index_nospec(arg->target,
						  ctx->max_workers)];
	if (!pulse_worker_is_live(target))
		return -ESRCH;

	trace_handoff(w, target->index);
	if (pulse_give_by(target, PULSE_PERMIT, PULSE_WF_HANDOFF))
		pulse_count(wakes);
	ret = pulse_park_self(w, &park);
	return ret == -ERESTARTSYS ? -EINTR : ret;
}

/**
 * pulse_yield_to() - YIELD_TO: let a preempted worker go first
 * @ctx: the context, live
 * @index: as user space says
 *
 * Return: 0, -ESRCH, -EINVAL, -EAGAIN.
 */
int pulse_yield_to(struct pulse_ctx *ctx, u32 index)
{
	struct task_struct *task = pulse_worker_task(ctx, index);
	int ret = -EINVAL;

	if (!task)
		return -ESRCH;
	if (task != current)
		ret = yield_to(task, true) > 0 ? 0 : -EAGAIN;
	put_task_struct(task);
	return ret;
}

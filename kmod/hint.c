// SPDX-License-Identifier: GPL-2.0-only
/*
 * HINT: class, nice value, slice, clamps and home node of a worker. Called by
 * the dispatch (ctx.c).
 *
 * sched_setattr_nocheck() checks nothing and sets everything: so what
 * sched_setattr(2) would check is checked here, and what is not asked for is
 * filled in from the thread as it is. A thread of another process is refused,
 * since the security modules' check cannot be asked from here. No lock: another
 * thread that sets the same one's attributes at the same time wins or loses, as
 * with two system calls.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <uapi/linux/sched/types.h>

#include "compat.h"
#include "ctx.h"
#include "hint.h"
#include "node.h"
#include "worker.h"

#define PULSE_HINT_ALL							\
	(PULSE_HINT_CLASS | PULSE_HINT_NICE | PULSE_HINT_SLICE |	\
	 PULSE_HINT_UCLAMP | PULSE_HINT_NODE)

/* Those that the scheduler is asked for. */
#define PULSE_HINT_SCHED	(PULSE_HINT_ALL & ~PULSE_HINT_NODE)

#define PULSE_FIFO_PRIO		1

static const int pulse_policies[] = {
	[PULSE_CLASS_NORMAL]	= SCHED_NORMAL,
	[PULSE_CLASS_BATCH]	= SCHED_BATCH,
	[PULSE_CLASS_IDLE]	= SCHED_IDLE,
	[PULSE_CLASS_FIFO]	= SCHED_FIFO,
};

/* The scheduler takes nice values and slices for these alone. */
static bool pulse_has_nice(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH;
}

static bool pulse_is_rt(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* Values alone: neither the thread nor the caller is looked at. */
static int pulse_hint_check(const struct pulse_hint *arg)
{
	if (!arg->mask || arg->mask & ~PULSE_HINT_ALL)
		return -EINVAL;
	if (arg->mask & PULSE_HINT_CLASS &&
	    arg->sched_class >= ARRAY_SIZE(pulse_policies))
		return -EINVAL;
	if (arg->mask & PULSE_HINT_NICE &&
	    (arg->nice < MIN_NICE || arg->nice > MAX_NICE))
		return -EINVAL;
	if (arg->mask & PULSE_HINT_SLICE) {
		if (!PULSE_HAVE_SLICE)
			return -EOPNOTSUPP;
		if (arg->slice_ns && (arg->slice_ns < PULSE_MIN_SLICE_NS ||
				      arg->slice_ns > PULSE_MAX_SLICE_NS))
			return -EINVAL;
	}
	if (arg->mask & PULSE_HINT_UCLAMP) {
		if (!IS_ENABLED(CONFIG_UCLAMP_TASK))
			return -EOPNOTSUPP;
		if (arg->uclamp_min > arg->uclamp_max ||
		    arg->uclamp_max > PULSE_MAX_UCLAMP)
			return -EINVAL;
	}
	return 0;
}

/* What the thread has, changed by what is asked for. */
static int pulse_hint_attr(struct task_struct *task,
			   const struct pulse_hint *arg,
			   struct sched_attr *attr)
{
	int policy = READ_ONCE(task->policy);

	if (!pulse_has_nice(policy) && !pulse_is_rt(policy) &&
	    policy != SCHED_IDLE)
		return -EINVAL;
	attr->sched_priority = task->rt_priority;
	if (arg->mask & PULSE_HINT_CLASS) {
		policy = pulse_policies[array_index_nospec(arg->sched_class,
					ARRAY_SIZE(pulse_policies))];
		attr->sched_priority = policy == SCHED_FIFO ?
			PULSE_FIFO_PRIO : 0;
	}
	if (!pulse_has_nice(policy) &&
	    arg->mask & (PULSE_HINT_NICE | PULSE_HINT_SLICE))
		return -EINVAL;

	attr->size = sizeof(*attr);
	attr->sched_policy = policy;
	attr->sched_nice = arg->mask & PULSE_HINT_NICE ?
		arg->nice : task_nice(task);
	if (pulse_has_nice(policy))
		attr->sched_runtime = arg->mask & PULSE_HINT_SLICE ?
			arg->slice_ns : pulse_task_slice_ns(task);
	if (task->sched_reset_on_fork)
		attr->sched_flags |= SCHED_FLAG_RESET_ON_FORK;
	if (arg->mask & PULSE_HINT_UCLAMP) {
		attr->sched_flags |= SCHED_FLAG_UTIL_CLAMP;
		attr->sched_util_min = arg->uclamp_min;
		attr->sched_util_max = arg->uclamp_max;
	}
	return 0;
}

/* Threads of one process may have different users, by the bare system call. */
static bool pulse_hint_same_owner(struct task_struct *task)
{
	const struct cred *cred;
	bool same;

	rcu_read_lock();
	cred = __task_cred(task);
	same = uid_eq(current_euid(), cred->euid) ||
	       uid_eq(current_euid(), cred->uid);
	rcu_read_unlock();
	return same;
}

/* The rules of sched_setattr(2). */
static bool pulse_hint_may(struct task_struct *task,
			   const struct sched_attr *attr)
{
	int policy = attr->sched_policy;

	if (pulse_has_nice(policy) && attr->sched_nice < task_nice(task) &&
	    !can_nice(task, attr->sched_nice))
		return false;
	if (task->policy == SCHED_IDLE && policy != SCHED_IDLE &&
	    !can_nice(task, task_nice(task)))
		return false;
	if (pulse_is_rt(policy) && policy != task->policy &&
	    task_rlimit(task, RLIMIT_RTPRIO) < PULSE_FIFO_PRIO &&
	    !capable(CAP_SYS_NICE))
		return false;
	return pulse_hint_same_owner(task) || capable(CAP_SYS_NICE);
}

static int pulse_hint_sched(struct task_struct *task,
			    const struct pulse_hint *arg)
{
	struct sched_attr attr = {};
	int ret;

	if (!same_thread_group(task, current))
		return -EPERM;
	ret = pulse_hint_attr(task, arg, &attr);
	if (ret)
		return ret;
	if (!pulse_hint_may(task, &attr))
		return -EPERM;
	return sched_setattr_nocheck(task, &attr);
}

/**
 * pulse_hint() - HINT: how a worker wants to be scheduled
 * @ctx: the context, live
 * @arg: of HINT
 *
 * The home node comes last: all that could refuse it was asked before the
 * scheduler was.
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP, -ESRCH, -EPERM, or what the scheduler says.
 */
int pulse_hint(struct pulse_ctx *ctx, const struct pulse_hint *arg)
{
	struct pulse_node *node = NULL;
	struct pulse_worker *w = NULL;
	struct task_struct *task;
	int ret;

	ret = pulse_hint_check(arg);
	if (ret)
		return ret;
	if (arg->mask & PULSE_HINT_NODE) {
		w = pulse_worker_self(ctx, arg->index);
		if (IS_ERR(w))
			return PTR_ERR(w);
		/* Whoever ends its PARK looks at its home. */
		if (pulse_uring_parked(w))
			return -EBUSY;
		node = pulse_node_find(ctx, arg->node);
		if (!node)
			return -EINVAL;
	}
	task = pulse_worker_task(ctx, arg->index);
	if (!task)
		return -ESRCH;
	if (arg->mask & PULSE_HINT_SCHED)
		ret = pulse_hint_sched(task, arg);
	put_task_struct(task);
	if (!ret && node)
		pulse_node_move(w, node);
	return ret;
}

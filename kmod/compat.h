/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where kernels from 6.1 on differ. No other file looks at the version, and
 * what is named here has a pulse_ name of its own, so that a stable branch that
 * takes a function back breaks nothing.
 */
#ifndef PULSE_COMPAT_H
#define PULSE_COMPAT_H

#include <linux/eventfd.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/version.h>
#include <net/genetlink.h>

/*
 * Commands of io_uring that can be cancelled: 6.7. Before, one that waits keeps
 * its file, and with it the module, until the machine goes down: there are none.
 */
#if defined(CONFIG_IO_URING) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define PULSE_HAVE_URING	1
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/io_uring.h>
#else
#include <linux/io_uring/cmd.h>
#endif
#else
#define PULSE_HAVE_URING	0
#endif

/*
 * Preempt notifiers (CONFIG_KVM selects them), if they are there and modules may
 * use them; kmod/Kbuild finds out. Without them there are tracepoints.
 */
#if defined(CONFIG_PREEMPT_NOTIFIERS) && !defined(PULSE_NO_NOTIFIERS)
#define PULSE_HAVE_NOTIFIERS	1
#else
#define PULSE_HAVE_NOTIFIERS	0
#endif
#ifndef CONFIG_TRACEPOINTS
#error "pulse needs CONFIG_TRACEPOINTS (CONFIG_PERF_EVENTS or CONFIG_FTRACE)"
#endif
#ifndef CONFIG_64BIT
#error "pulse supports 64-bit kernels"
#endif

/* eventfd_signal() without a count: 6.8. */
static inline void pulse_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* Sleeping in this state, a task can be frozen where it is. */
#ifdef TASK_FREEZABLE
#define PULSE_TASK_PARKED	(TASK_INTERRUPTIBLE | TASK_FREEZABLE)
#else
#define PULSE_TASK_PARKED	TASK_INTERRUPTIBLE
#endif

/* vm_flags_mod() and read-only vm_flags: 6.3. */
static inline void pulse_vm_flags_mod(struct vm_area_struct *vma,
				      unsigned long set, unsigned long clear)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#else
	vm_flags_mod(vma, set, clear);
#endif
}

/*
 * Wake flags for default_wake_function(), which are told in
 * kernel/sched/sched.h alone: "the waker goes to sleep" and, from 6.6 on, "put
 * it on this CPU". A flag that the scheduler does not know makes it warn.
 */
#define PULSE_WF_SYNC		0x10
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define PULSE_WF_HANDOFF	PULSE_WF_SYNC
#define PULSE_HAVE_HANDOFF_CPU	0
#else
#define PULSE_WF_CURRENT_CPU	0x40
#define PULSE_WF_HANDOFF	(PULSE_WF_SYNC | PULSE_WF_CURRENT_CPU)
#define PULSE_HAVE_HANDOFF_CPU	1
#endif

/* A slice of its own, or 0: 6.12. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define PULSE_HAVE_SLICE	0
static inline u64 pulse_task_slice_ns(struct task_struct *task)
{
	return 0;
}
#else
#define PULSE_HAVE_SLICE	1
static inline u64 pulse_task_slice_ns(struct task_struct *task)
{
	return task->se.custom_slice ? task->se.slice : 0;
}
#endif

/* hrtimer_init() and a member to set, up to 6.12; hrtimer_setup() from 6.13. */
static inline void
pulse_hrtimer_setup(struct hrtimer *timer,
		    enum hrtimer_restart (*fn)(struct hrtimer *timer),
		    clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#else
	hrtimer_setup(timer, fn, clock, mode);
#endif
}

/*
 * Would the task run if it were given a CPU? For the switch, when on_rq is
 * settled. Since 6.12 a task that went to sleep may stay queued for a while
 * (delayed dequeue), and on_rq alone is not the answer.
 */
static inline bool pulse_task_runnable(struct task_struct *task)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return READ_ONCE(task->on_rq);
#else
	return task_is_runnable(task);
#endif
}

/*
 * Time that a task stood on a run queue without a CPU, from when the scheduler
 * began to count: the current task, or the one that is about to be and whose
 * last wait is not yet in the sum.
 */
#ifdef CONFIG_SCHED_INFO
#define PULSE_HAVE_RUN_DELAY	1
static inline u64 pulse_run_delay_ns(struct task_struct *task)
{
	u64 queued = task->sched_info.last_queued;
	u64 now = queued ? local_clock() : 0;

	return task->sched_info.run_delay + (now > queued ? now - queued : 0);
}
#else
#define PULSE_HAVE_RUN_DELAY	0
static inline u64 pulse_run_delay_ns(struct task_struct *task)
{
	return 0;
}
#endif

/* What kobj_type.get_ownership() is given is const: 6.2. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define pulse_kobj_const
#else
#define pulse_kobj_const	const
#endif

/* The attributes of a dump's request moved: 6.6. */
static inline struct nlattr **
pulse_genl_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	return genl_dumpit_info(cb)->attrs;
#else
	return genl_info_dump(cb)->attrs;
#endif
}

/*
 * An error that points at an attribute, with a text. Texts with values in them:
 * 6.2; before, @plain, which must live as long as the module.
 */
#ifdef NL_SET_ERR_MSG_ATTR_FMT
#define pulse_nl_err_attr(extack, nla, plain, fmt, ...)			\
	NL_SET_ERR_MSG_ATTR_FMT(extack, nla, fmt, ##__VA_ARGS__)
#else
#define pulse_nl_err_attr(extack, nla, plain, fmt, ...)			\
	do {								\
		NL_SET_BAD_ATTR(extack, nla);				\
		if (extack)						\
			(extack)->_msg = (plain);			\
	} while (0)
#endif

#if PULSE_HAVE_URING
/* io_uring_cmd_done() without a second result: 6.18. */
static inline void pulse_uring_cmd_done(struct io_uring_cmd *cmd, int ret,
					unsigned int issue_flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	io_uring_cmd_done(cmd, ret, 0, issue_flags);
#else
	io_uring_cmd_done(cmd, ret, issue_flags);
#endif
}

/* What io_uring calls in the command's task has another shape from 6.19 on. */
#ifdef IO_URING_CMD_TASK_WORK_ISSUE_FLAGS
#define PULSE_URING_IN_TASK(name, fn)					\
	static void name(struct io_tw_req req, io_tw_token_t tw)	\
	{								\
		fn(io_uring_cmd_from_tw(req),				\
		   IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);			\
	}
#else
#define PULSE_URING_IN_TASK(name, fn)					\
	static void name(struct io_uring_cmd *cmd, unsigned int issue_flags) \
	{								\
		fn(cmd, issue_flags);					\
	}
#endif
#endif /* PULSE_HAVE_URING */

#endif /* PULSE_COMPAT_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * State source "notifier": each worker has a preempt notifier, which the
 * scheduler calls when it takes the thread off a CPU or puts it on one. Nobody
 * else's switch costs more than a look at an empty list.
 *
 * sched_out runs with the run queue's lock held and interrupts off, sched_in
 * with preemption off. The list that the notifier is on belongs to its thread,
 * and is never changed inside a callback.
 */
#include <linux/preempt.h>
#include <linux/sched.h>

#include "source.h"
#include "state.h"
#include "worker.h"

static void pulse_notifier_in(struct preempt_notifier *notifier, int cpu)
{
	struct pulse_worker *w =
		container_of(notifier, struct pulse_worker, notifier);
	struct mm_struct *mm;

	pulse_state_in(w, current, cpu);

	/*
	 * Another mm: the thread went through exec. It may not be taken off
	 * the list that is being walked; its way to user mode does it.
	 */
	mm = READ_ONCE(current->mm);
	if (unlikely(mm != w->mm) && mm)
		pulse_state_execed(w);
}

static void pulse_notifier_out(struct preempt_notifier *notifier,
			       struct task_struct *next)
{
	pulse_state_out(container_of(notifier, struct pulse_worker, notifier),
			current);
}

static struct preempt_ops pulse_preempt_ops = {
	.sched_in	= pulse_notifier_in,
	.sched_out	= pulse_notifier_out,
};

static void pulse_notifier_arm(struct pulse_worker *w)
{
	preempt_notifier_init(&w->notifier, &pulse_preempt_ops);
	preempt_notifier_register(&w->notifier);
}

static void pulse_notifier_disarm(struct pulse_worker *w)
{
	preempt_notifier_unregister(&w->notifier);
}

/* Let the scheduler look for notifiers. */
static int pulse_notifier_init(void)
{
	preempt_notifier_inc();
	return 0;
}

static void pulse_notifier_exit(void)
{
	preempt_notifier_dec();
}

const struct pulse_source pulse_source_notifier = {
	.name		= "notifier",
	.init		= pulse_notifier_init,
	.exit		= pulse_notifier_exit,
	.arm		= pulse_notifier_arm,
	.disarm		= pulse_notifier_disarm,
};

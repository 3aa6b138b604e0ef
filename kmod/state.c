// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a worker does, told in KSTATE: the preempt notifier of each worker
 * writes it when the scheduler takes the worker off a CPU or puts it on one.
 *
 * sched_out runs with the run queue's lock held and interrupts off, sched_in
 * with preemption off. Both are paid at each switch of a worker: a clock, a
 * handful of stores to one pair of cache lines, no lock, no wake-up, no
 * allocation, and never a change to the list that the notifier is on.
 *
 * KSTATE has one writer at a time: the CPU that switches the worker, or the
 * thread itself with preemption off when it is added or taken away, or the
 * reaper when the thread is dead. User space can only read it, so that the
 * kernel may count in place.
 */
#include <linux/irq_work.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>

#include "beat.h"
#include "compat.h"
#include "ctx.h"
#include "state.h"
#include "trace.h"
#include "worker.h"

/*
 * (F): readers take an odd seq for "being written". The first barrier keeps
 * the odd value before the fields, the second the fields before the even one;
 * they pair with the acquire load and the acquire fence of the reader.
 */
static __always_inline void pulse_kstate_begin(struct pulse_kstate *ks)
{
	WRITE_ONCE(ks->seq, ks->seq + 1);
	smp_wmb();
}

static __always_inline void pulse_kstate_end(struct pulse_kstate *ks)
{
	smp_wmb();
	WRITE_ONCE(ks->seq, ks->seq + 1);
}

#define pulse_kstate_add(ks, field, n) \
	WRITE_ONCE((ks)->field, (ks)->field + (n))

/* The fast clock may step back by a little when it is adjusted. */
static __always_inline u64 pulse_elapsed(u64 now, u64 since)
{
	return now > since ? now - since : 0;
}

static void pulse_sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct pulse_worker *w =
		container_of(notifier, struct pulse_worker, notifier);
	struct pulse_kstate *ks = w->kstate;
	u64 now = ktime_get_mono_fast_ns();
	struct mm_struct *mm;

	pulse_kstate_begin(ks);
	if (PULSE_HAVE_RUN_DELAY)
		WRITE_ONCE(ks->wait_ns,
			   pulse_run_delay_ns(current) - w->wait_base_ns);
	else if (ks->state == PULSE_STATE_PREEMPTED)
		pulse_kstate_add(ks, wait_ns,
				 pulse_elapsed(now, ks->last_out_ns));
	w->came_from = ks->state;
	WRITE_ONCE(ks->state, PULSE_STATE_RUNNING);
	if (ks->cpu != cpu) {
		WRITE_ONCE(ks->cpu, cpu);
		WRITE_ONCE(ks->node, cpu_to_node(cpu));
		pulse_kstate_add(ks, n_migrate, 1);
	}
	WRITE_ONCE(ks->last_in_ns, now);
	pulse_kstate_end(ks);

	trace_sched_in(w, cpu);
	if (w->beat_period_ns)
		pulse_beat_in(w, now);

	/*
	 * Another mm: the thread went through exec. It may not be taken off
	 * the list that is being walked; its way to user mode does it. Where
	 * task_work_add() fails, the thread is dying and sched_out will see.
	 */
	mm = READ_ONCE(current->mm);
	if (unlikely(mm != w->mm) && mm && !w->leaving) {
		w->leaving = true;
		task_work_add(current, &w->exec_work, TWA_RESUME);
	}
}

static void pulse_sched_out(struct preempt_notifier *notifier,
			    struct task_struct *next)
{
	struct pulse_worker *w =
		container_of(notifier, struct pulse_worker, notifier);
	struct pulse_kstate *ks = w->kstate;
	u64 now = ktime_get_mono_fast_ns();
	u32 state;

	/* Before the new state: a worker that is seen off has all its beats. */
	if (w->beat_period_ns)
		pulse_beat_out(w, now);

	pulse_kstate_begin(ks);
	if (unlikely(READ_ONCE(current->__state) == TASK_DEAD)) {
		state = PULSE_STATE_DEAD;
		WRITE_ONCE(ks->exit_code, current->exit_code);
	} else if (pulse_task_runnable(current)) {
		state = PULSE_STATE_PREEMPTED;
		pulse_kstate_add(ks, n_preempt, 1);
	} else {
		state = PULSE_STATE_BLOCKED;
		if (w->parking) {
			state = PULSE_STATE_PARKED;
			pulse_kstate_add(ks, n_park, 1);
		}
		pulse_kstate_add(ks, n_block, 1);
	}
	WRITE_ONCE(ks->state, state);
	pulse_kstate_add(ks, run_ns, pulse_elapsed(now, ks->last_in_ns));
	WRITE_ONCE(ks->last_out_ns, now);
	pulse_kstate_end(ks);

	trace_sched_out(w, state);

	/*
	 * This was the last switch. The interrupt comes on this CPU when the
	 * run queue's lock is dropped, that is when nobody walks the notifiers
	 * of this task any more; from there the slot can be reaped.
	 */
	if (unlikely(state == PULSE_STATE_DEAD)) {
		WRITE_ONCE(w->state, PULSE_SLOT_DYING);
		irq_work_queue(&w->dead_irq);
	}
}

static struct preempt_ops pulse_preempt_ops = {
	.sched_in	= pulse_sched_in,
	.sched_out	= pulse_sched_out,
};

/**
 * pulse_state_arm() - start to tell what the calling thread does
 * @w: its slot, reserved
 */
void pulse_state_arm(struct pulse_worker *w)
{
	struct pulse_kstate *ks = w->kstate;
	struct pulse_kstate fresh = {
		.state = PULSE_STATE_RUNNING,
		.tid = task_pid_nr_ns(current, w->ctx->pid_ns),
		.incarnation = ks->incarnation + 1,
	};

	preempt_notifier_init(&w->notifier, &pulse_preempt_ops);
	w->beat_period_ns = 0;
	preempt_disable();
	w->wait_base_ns = pulse_run_delay_ns(current);
	fresh.last_in_ns = ktime_get_mono_fast_ns();
	fresh.cpu = smp_processor_id();
	fresh.node = cpu_to_node(fresh.cpu);

	pulse_kstate_begin(ks);
	fresh.seq = ks->seq;
	*ks = fresh;
	pulse_kstate_end(ks);

	preempt_notifier_register(&w->notifier);
	preempt_enable();
}

/**
 * pulse_state_disarm() - stop it
 * @w: the calling thread's
 *
 * Return: false if the notifier sent the thread to do it on its way to user
 * mode; then it is not done here.
 */
bool pulse_state_disarm(struct pulse_worker *w)
{
	bool mine;

	preempt_disable();
	mine = !w->leaving;
	if (mine) {
		pulse_beat_stop(w);
		preempt_notifier_unregister(&w->notifier);
	}
	preempt_enable();
	return mine;
}

/**
 * pulse_state_free() - the slot has no thread any more
 * @w: a slot whose notifier is off or was called for the last time
 *
 * The rest of KSTATE stays as it was, exit_code above all, until the slot is
 * given out again.
 */
void pulse_state_free(struct pulse_worker *w)
{
	struct pulse_kstate *ks = w->kstate;

	preempt_disable();
	pulse_kstate_begin(ks);
	WRITE_ONCE(ks->state, PULSE_STATE_FREE);
	pulse_kstate_end(ks);
	preempt_enable();
}

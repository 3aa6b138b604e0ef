// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a worker does, told in KSTATE when the scheduler takes it off a CPU or
 * puts it on one. Who tells of that is the state source: notifier.c or probe.c,
 * chosen when the module is loaded.
 *
 * A source calls pulse_state_out() and pulse_state_in() at each switch of a
 * worker, with preemption off at least, mostly with the run queue's lock held:
 * a clock, a handful of stores to one pair of cache lines, no lock, no wake-up,
 * no allocation.
 *
 * KSTATE has one writer at a time: the CPU that switches the worker, or the
 * thread itself with preemption off when it is added or taken away, or the
 * reaper when the thread is dead. User space can only read it, so that the
 * kernel may count in place.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>

#include "beat.h"
#include "compat.h"
#include "ctx.h"
#include "source.h"
#include "state.h"
#include "trace.h"
#include "worker.h"

static char *pulse_source_wanted =
	PULSE_HAVE_NOTIFIERS ? "notifier" : "tracepoint";
module_param_named(state_source, pulse_source_wanted, charp, 0444);
MODULE_PARM_DESC(state_source, "who tells of switches: notifier or tracepoint");

/* Written before the device appears. */
static const struct pulse_source *pulse_source;

/*
 * (F): readers take an odd seq for "being written". The first barrier keeps
 * the odd value before the fields, the second the fields before the even one;
 * they pair with the acquire load and the acquire fence of the reader.
 */
static __always_inline void pulse_kstate_begin(struct pulse_kstate *ks)
{
	WRITE_ONCE(ks->seq, ks->seq + 1);
	smp_wmb();	/* (F): odd before the fields */
}

static __always_inline void pulse_kstate_end(struct pulse_kstate *ks)
{
	smp_wmb();	/* (F): the fields before even */
	WRITE_ONCE(ks->seq, ks->seq + 1);
}

/* All of it, but for seq. Who looks at one word of it does not look at seq. */
static void pulse_kstate_store(struct pulse_kstate *ks,
			       struct pulse_kstate *fresh)
{
	u64 *to = (u64 *)ks, *from = (u64 *)fresh;
	unsigned int i;

	pulse_kstate_begin(ks);
	fresh->seq = ks->seq;
	for (i = 0; i < sizeof(*ks) / sizeof(*to); i++)
		WRITE_ONCE(to[i], from[i]);
	pulse_kstate_end(ks);
}

#define pulse_kstate_add(ks, field, n) \
	WRITE_ONCE((ks)->field, (ks)->field + (n))

/* The fast clock may step back by a little when it is adjusted. */
static __always_inline u64 pulse_elapsed(u64 now, u64 since)
{
	return now > since ? now - since : 0;
}

/**
 * pulse_state_in() - a worker gets a CPU; preemption is off
 * @w: the worker
 * @task: its thread, current or about to be
 * @cpu: this one
 */
void pulse_state_in(struct pulse_worker *w, struct task_struct *task, int cpu)
{
	struct pulse_kstate *ks = w->kstate;
	u64 now = ktime_get_mono_fast_ns();

	pulse_kstate_begin(ks);
	/* Before the switch the last wait is read off another clock: max(). */
	if (PULSE_HAVE_RUN_DELAY)
		WRITE_ONCE(ks->wait_ns,
			   max_t(u64, ks->wait_ns,
				 pulse_run_delay_ns(task) - w->wait_base_ns));
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
}

/**
 * pulse_state_out() - a worker loses its CPU; interrupts are off
 * @w: the worker
 * @task: its thread, current
 */
void pulse_state_out(struct pulse_worker *w, struct task_struct *task)
{
	struct pulse_kstate *ks = w->kstate;
	u64 now = ktime_get_mono_fast_ns();
	u32 state;

	/* Before the new state: a worker that is seen off has all its beats. */
	if (w->beat_period_ns)
		pulse_beat_out(w, now);

	pulse_kstate_begin(ks);
	if (unlikely(READ_ONCE(task->__state) == TASK_DEAD)) {
		state = PULSE_STATE_DEAD;
		WRITE_ONCE(ks->exit_code, task->exit_code);
	} else if (pulse_task_runnable(task)) {
		state = PULSE_STATE_PREEMPTED;
		pulse_kstate_add(ks, n_preempt, 1);
	} else {
		state = PULSE_STATE_BLOCKED;
		if (READ_ONCE(w->parking)) {
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
	 * run queue's lock is dropped, that is when nobody walks the workers
	 * of this task any more; from there the slot can be reaped.
	 */
	if (unlikely(state == PULSE_STATE_DEAD)) {
		WRITE_ONCE(w->state, PULSE_SLOT_DYING);
		irq_work_queue(&w->dead_irq);
	}
}

/**
 * pulse_state_execed() - the calling thread is a worker from before exec
 * @w: the worker
 *
 * It cannot be taken away while the source walks the thread's workers; on its
 * way to user mode it can. Where task_work_add() fails, the thread is dying and
 * its last switch will tell.
 */
void pulse_state_execed(struct pulse_worker *w)
{
	if (w->leaving)
		return;
	w->leaving = true;
	task_work_add(current, &w->exec_work, TWA_RESUME);
}

/**
 * pulse_state_prepare() - the calling thread is about to become a worker
 * @w: its slot, reserved
 *
 * Return: 0 or -ENOMEM. 0 is for pulse_state_forget() to undo.
 */
int pulse_state_prepare(struct pulse_worker *w)
{
	return pulse_source->prepare ? pulse_source->prepare(w) : 0;
}

/**
 * pulse_state_forget() - undo pulse_state_prepare()
 * @w: never armed, or disarmed, or of a thread that is dead
 */
void pulse_state_forget(struct pulse_worker *w)
{
	if (pulse_source->forget)
		pulse_source->forget(w);
}

/**
 * pulse_state_arm() - start to tell what the calling thread does
 * @w: its slot, prepared
 */
void pulse_state_arm(struct pulse_worker *w)
{
	struct pulse_kstate *ks = w->kstate;
	struct pulse_kstate fresh = {
		.state = PULSE_STATE_RUNNING,
		.tid = task_pid_nr_ns(current, w->ctx->pid_ns),
		.incarnation = ks->incarnation + 1,
	};

	w->beat_period_ns = 0;
	preempt_disable();
	w->wait_base_ns = pulse_run_delay_ns(current);
	fresh.last_in_ns = ktime_get_mono_fast_ns();
	fresh.cpu = smp_processor_id();
	fresh.node = cpu_to_node(fresh.cpu);

	pulse_kstate_store(ks, &fresh);
	pulse_source->arm(w);
	preempt_enable();
}

/**
 * pulse_state_disarm() - stop it
 * @w: the calling thread's
 *
 * Return: false if the thread was sent to do it on its way to user mode; then it
 * is not done here.
 */
bool pulse_state_disarm(struct pulse_worker *w)
{
	bool mine;

	preempt_disable();
	mine = !w->leaving;
	if (mine) {
		pulse_beat_stop(w);
		pulse_source->disarm(w);
	}
	preempt_enable();
	return mine;
}

/**
 * pulse_state_free() - the slot has no thread any more
 * @w: a slot that is disarmed, or whose thread made its last switch
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

/**
 * pulse_state_source_name() - who tells of switches
 *
 * Return: "notifier" or "tracepoint".
 */
const char *pulse_state_source_name(void)
{
	return pulse_source->name;
}

/**
 * pulse_features() - what the module does here and now
 *
 * Return: bits of PULSE_FEAT_*.
 */
u64 pulse_features(void)
{
	return PULSE_FEATURES | pulse_source->feature;
}

/**
 * pulse_state_init() - begin with the source that the module parameter names
 *
 * Return: 0, -EINVAL no such source, -EOPNOTSUPP not on this kernel, or what the
 * source says.
 */
int pulse_state_init(void)
{
	if (!strcmp(pulse_source_wanted, "tracepoint")) {
		pulse_source = &pulse_source_tracepoint;
	} else if (strcmp(pulse_source_wanted, "notifier")) {
		pr_err("state_source=%.32s: use notifier or tracepoint\n",
		       pulse_source_wanted);
		return -EINVAL;
	} else if (PULSE_HAVE_NOTIFIERS) {
		pulse_source = &pulse_source_notifier;
	} else {
		pr_err("state_source=notifier: not for modules on this kernel; use tracepoint\n");
		return -EOPNOTSUPP;
	}
	return pulse_source->init();
}

/**
 * pulse_state_exit() - end it; no worker is left
 */
void pulse_state_exit(void)
{
	pulse_source->exit();
}

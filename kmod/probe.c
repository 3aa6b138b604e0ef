// SPDX-License-Identifier: GPL-2.0-only
/*
 * State source "tracepoint": for kernels that have no preempt notifiers, or none
 * for modules. A probe of sched_switch sees every switch of the machine and
 * looks up whether it is a worker's; one of sched_process_exec finds workers
 * that went through exec.
 *
 * A thread that has workers is *tracked*: a struct pulse_tracked in a hash table
 * by its task, with the list of its workers. The probe looks for the next task
 * only, and not for kernel threads; who leaves the CPU is known from when it
 * came. The table resizes itself, so that a look costs the same whatever number
 * of workers there is, takes no lock, and is over at the first bucket for nearly
 * all who are no workers.
 *
 * Who may do what
 *
 *	the table	inserted into by the thread, removed from by the thread
 *			or, when it is dead, by the reaper; read under RCU by
 *			the probes of all CPUs.
 *	a pulse_tracked	found by any CPU that searches a bucket, which reads its
 *			key and its link, so it is freed a grace period after
 *			it was removed.
 *	its workers	changed by its thread with preemption off, and by the
 *			reaper when it is dead; followed by the probe for
 *			switches of that thread alone, which happen on its CPU
 *			and not while it does the former. So a slot can be
 *			given out again at once: no other CPU follows a pointer
 *			to it.
 *	the task	referenced by each worker, so that no other thread can
 *			have the same key while it is in the table.
 *
 * sched_switch comes with the run queue's lock held and interrupts off, before
 * the switch, and the previous task is still current; the last one of a thread
 * says TASK_DEAD. Nothing here sleeps, takes a lock or allocates.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/sched.h>

#include "source.h"
#include "state.h"
#include "worker.h"

/**
 * struct pulse_tracked - a thread that has workers
 * @task: it, the key
 * @node: in the table
 * @workers: those that are armed
 * @users: workers that are prepared and not forgotten
 * @rcu: its end
 */
struct pulse_tracked {
	struct task_struct *task;
	struct rhash_head node;
	struct hlist_head workers;
	unsigned int users;
	struct rcu_head rcu;
};

/**
 * struct pulse_probe_cpu - who has a CPU, where it is a thread with workers
 * @task: the thread, or NULL; compared, never used
 * @tracked: its; valid while @task runs here, because it is taken away from here
 *	before it is forgotten
 *
 * Written on its CPU with preemption off.
 */
struct pulse_probe_cpu {
	struct task_struct *task;
	struct pulse_tracked *tracked;
};

static DEFINE_PER_CPU(struct pulse_probe_cpu, pulse_probe_cpus);

/* A task's address does: nobody can choose one, and the seed is not told. */
static u32 pulse_tracked_hash(const void *key, u32 len, u32 seed)
{
	return hash_64(*(const u64 *)key ^ ((u64)seed << 32 | seed), 32);
}

static int pulse_tracked_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct pulse_tracked *t = obj;

	return t->task != *(struct task_struct *const *)arg->key;
}

static const struct rhashtable_params pulse_tracked_params = {
	.key_len	= sizeof(struct task_struct *),
	.key_offset	= offsetof(struct pulse_tracked, task),
	.head_offset	= offsetof(struct pulse_tracked, node),
	.hashfn		= pulse_tracked_hash,
	.obj_cmpfn	= pulse_tracked_cmp,
	.automatic_shrinking = true,
};

static struct rhashtable pulse_tracked_tasks;

/* Under RCU. */
static __always_inline struct pulse_tracked *
pulse_tracked_find(struct task_struct *task)
{
	return rhashtable_lookup(&pulse_tracked_tasks, &task,
				 pulse_tracked_params);
}

static void pulse_switch_out(struct pulse_tracked *t, struct task_struct *prev)
{
	struct pulse_worker *w;

	hlist_for_each_entry(w, &t->workers, tracked_link)
		pulse_state_out(w, prev);
}

static void pulse_switch_in(struct pulse_tracked *t, struct task_struct *next)
{
	struct pulse_worker *w;

	hlist_for_each_entry(w, &t->workers, tracked_link)
		pulse_state_in(w, next, smp_processor_id());
}

static void pulse_probe_switch(void *data, bool preempt,
			       struct task_struct *prev,
			       struct task_struct *next,
			       unsigned int prev_state)
{
	struct pulse_probe_cpu *pc = this_cpu_ptr(&pulse_probe_cpus);
	struct pulse_tracked *t;

	if (unlikely(pc->task)) {
		if (likely(pc->task == prev))
			pulse_switch_out(pc->tracked, prev);
		pc->task = NULL;
	}
	if (next->flags & PF_KTHREAD ||
	    !atomic_read(&pulse_tracked_tasks.nelems))
		return;

	rcu_read_lock();
	t = pulse_tracked_find(next);
	if (unlikely(t && !hlist_empty(&t->workers))) {
		pulse_switch_in(t, next);
		pc->tracked = t;
		pc->task = next;
	}
	rcu_read_unlock();
}

/* The thread itself, after it got its new mm and closed what is closed. */
static void pulse_probe_exec(void *data, struct task_struct *task, pid_t old_pid,
			     struct linux_binprm *bprm)
{
	struct pulse_tracked *t;
	struct pulse_worker *w;

	rcu_read_lock();
	t = pulse_tracked_find(task);
	if (t)
		hlist_for_each_entry(w, &t->workers, tracked_link)
			pulse_state_execed(w);
	rcu_read_unlock();
}

/*
 * The search ends with the thread's own entry or none: only it puts itself
 * there, and it is not removed before the reaper sees that the thread is dead.
 */
static struct pulse_tracked *pulse_tracked_current(void)
{
	struct pulse_tracked *t;

	rcu_read_lock();
	t = pulse_tracked_find(current);
	rcu_read_unlock();
	return t;
}

static int pulse_probe_prepare(struct pulse_worker *w)
{
	struct pulse_tracked *t = pulse_tracked_current();
	int ret;

	if (!t) {
		t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
		if (!t)
			return -ENOMEM;
		t->task = current;
		ret = rhashtable_insert_fast(&pulse_tracked_tasks, &t->node,
					     pulse_tracked_params);
		if (ret) {
			kfree(t);
			return -ENOMEM;
		}
	}
	t->users++;
	w->tracked = t;
	INIT_HLIST_NODE(&w->tracked_link);
	return 0;
}

static void pulse_probe_arm(struct pulse_worker *w)
{
	struct pulse_probe_cpu *pc = this_cpu_ptr(&pulse_probe_cpus);

	hlist_add_head(&w->tracked_link, &w->tracked->workers);
	pc->tracked = w->tracked;
	pc->task = current;
}

static void pulse_probe_disarm(struct pulse_worker *w)
{
	hlist_del_init(&w->tracked_link);
	if (hlist_empty(&w->tracked->workers))
		this_cpu_write(pulse_probe_cpus.task, NULL);
}

static void pulse_probe_forget(struct pulse_worker *w)
{
	struct pulse_tracked *t = w->tracked;

	/* Of a dead thread; it was armed to the end. */
	if (!hlist_unhashed(&w->tracked_link))
		hlist_del_init(&w->tracked_link);
	w->tracked = NULL;
	if (--t->users)
		return;
	rhashtable_remove_fast(&pulse_tracked_tasks, &t->node,
			       pulse_tracked_params);
	kfree_rcu(t, rcu);
}

/* The tracepoints, which are exported to nobody and found by name. */
static struct {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} pulse_probes[] = {
	{ "sched_switch", pulse_probe_switch },
	{ "sched_process_exec", pulse_probe_exec },
};

static void pulse_probe_match(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(pulse_probes); i++)
		if (!strcmp(tp->name, pulse_probes[i].name))
			pulse_probes[i].tp = tp;
}

static void pulse_probe_detach(int n)
{
	while (n--)
		tracepoint_probe_unregister(pulse_probes[n].tp,
					    pulse_probes[n].probe, NULL);
	/* For the probes that are under way. */
	tracepoint_synchronize_unregister();
}

static int pulse_probe_init(void)
{
	int i, ret;

	/* The compiler compares the arguments. */
	check_trace_callback_type_sched_switch(pulse_probe_switch);
	check_trace_callback_type_sched_process_exec(pulse_probe_exec);

	ret = rhashtable_init(&pulse_tracked_tasks, &pulse_tracked_params);
	if (ret)
		return ret;
	for_each_kernel_tracepoint(pulse_probe_match, NULL);
	for (i = 0; i < ARRAY_SIZE(pulse_probes); i++) {
		if (!pulse_probes[i].tp) {
			pr_err("state_source=tracepoint: this kernel has no tracepoint %s\n",
			       pulse_probes[i].name);
			ret = -EOPNOTSUPP;
			break;
		}
		ret = tracepoint_probe_register(pulse_probes[i].tp,
						pulse_probes[i].probe, NULL);
		if (ret)
			break;
	}
	if (ret) {
		pulse_probe_detach(i);
		rhashtable_destroy(&pulse_tracked_tasks);
	}
	return ret;
}

static void pulse_probe_exit(void)
{
	pulse_probe_detach(ARRAY_SIZE(pulse_probes));
	rhashtable_destroy(&pulse_tracked_tasks);
}

const struct pulse_source pulse_source_tracepoint = {
	.name		= "tracepoint",
	.feature	= PULSE_FEAT_KSTATE_PROBE,
	.init		= pulse_probe_init,
	.exit		= pulse_probe_exit,
	.prepare	= pulse_probe_prepare,
	.arm		= pulse_probe_arm,
	.disarm		= pulse_probe_disarm,
	.forget		= pulse_probe_forget,
};

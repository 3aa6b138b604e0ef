// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: how a slot is given to a thread, and how it comes back.
 *
 * A thread registers itself and holds the context's file from then on, so that
 * neither the context nor the module can go while its switches are told of. It
 * comes back in three ways, of which one happens:
 *
 *	WORKER_DEL	by the thread;
 *	exec		by the thread, from the close of a descriptor that was
 *			O_CLOEXEC, or on its way to user mode after the state
 *			source saw the exec;
 *	death		its last switch -> irq_work on that CPU -> list -> work
 *			item, here called the reaper.
 *
 * Slots change hands under pulse_ctx.lock. What is in a slot belongs to its
 * thread; wakers look at it without a lock (park.c, node.c), which is safe
 * because slots are not freed before the context.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/nospec.h>
#include <linux/preempt.h>
#include <linux/sched/task.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include <linux/pulse_netlink.h>

#include "ctx.h"
#include "event.h"
#include "nl_event.h"
#include "node.h"
#include "park.h"
#include "quota.h"
#include "state.h"
#include "sysfs.h"
#include "trace.h"
#include "worker.h"

static LLIST_HEAD(pulse_dead);

/* The slot of the calling thread, or NULL. Only the thread puts itself there. */
static struct pulse_worker *pulse_worker_of_current(struct pulse_ctx *ctx)
{
	unsigned int i;

	for_each_set_bit(i, ctx->slots, ctx->max_workers)
		if (READ_ONCE(ctx->workers[i].task) == current)
			return &ctx->workers[i];
	return NULL;
}

static void pulse_worker_unreserve(struct pulse_worker *w)
{
	struct pulse_ctx *ctx = w->ctx;

	spin_lock(&ctx->lock);
	WRITE_ONCE(w->state, PULSE_SLOT_FREE);
	clear_bit(w->index, ctx->slots);
	spin_unlock(&ctx->lock);
	pulse_quota_uncharge(ctx->user, PULSE_QUOTA_WORKERS, 1);
}

/**
 * pulse_worker_reserve() - a free slot for the calling thread
 * @ctx: the context, live
 * @arg: of WORKER_ADD
 *
 * Return: a slot for pulse_worker_commit() or pulse_worker_cancel(), or an
 * ERR_PTR of -EINVAL, -EEXIST, -EDQUOT, -ENOSPC, -ENOMEM.
 */
struct pulse_worker *pulse_worker_reserve(struct pulse_ctx *ctx,
					  const struct pulse_worker_add *arg)
{
	struct pulse_worker *w;
	struct pulse_node *node;
	unsigned int i;
	int ret;

	node = arg->node == PULSE_NODE_ANY ?
		pulse_node_nearest(ctx, numa_node_id()) :
		pulse_node_find(ctx, arg->node);
	if (!node)
		return ERR_PTR(-EINVAL);
	if (pulse_worker_of_current(ctx))
		return ERR_PTR(-EEXIST);
	ret = pulse_quota_charge(ctx->user, PULSE_QUOTA_WORKERS, 1);
	if (ret)
		return ERR_PTR(ret);

	spin_lock(&ctx->lock);
	i = find_first_zero_bit(ctx->slots, ctx->max_workers);
	if (i < ctx->max_workers) {
		set_bit(i, ctx->slots);
		WRITE_ONCE(ctx->workers[i].state, PULSE_SLOT_RESERVED);
	}
	spin_unlock(&ctx->lock);
	if (i >= ctx->max_workers) {
		pulse_quota_uncharge(ctx->user, PULSE_QUOTA_WORKERS, 1);
		return ERR_PTR(-ENOSPC);
	}

	w = &ctx->workers[i];
	WRITE_ONCE(w->node, node - ctx->nodes);
	WRITE_ONCE(w->cookie, arg->cookie);
	ret = pulse_state_prepare(w);
	if (ret) {
		pulse_worker_unreserve(w);
		return ERR_PTR(ret);
	}
	return w;
}

/**
 * pulse_worker_cancel() - give a reserved slot back
 * @w: from pulse_worker_reserve()
 */
void pulse_worker_cancel(struct pulse_worker *w)
{
	pulse_state_forget(w);
	pulse_worker_unreserve(w);
}

/**
 * pulse_worker_commit() - make the calling thread the worker of a slot
 * @w: from pulse_worker_reserve()
 * @file: the context's
 */
void pulse_worker_commit(struct pulse_worker *w, struct file *file)
{
	struct pulse_ctx *ctx = w->ctx;

	w->file = get_file(file);
	w->parking = false;
	w->leaving = false;
	w->came_from = PULSE_STATE_FREE;
	WRITE_ONCE(w->mm, current->mm);
	w->pid = task_tgid_nr_ns(current, ctx->pid_ns);
	atomic_set(&w->wake_bits, 0);
	WRITE_ONCE(w->task, get_task_struct(current));
	pulse_state_arm(w);

	spin_lock(&ctx->lock);
	WRITE_ONCE(w->state, PULSE_SLOT_LIVE);
	WRITE_ONCE(ctx->nr_workers, ctx->nr_workers + 1);
	pulse_node_join(w);
	pulse_hdr_count(ctx);
	spin_unlock(&ctx->lock);

	atomic_inc(&pulse_nr_workers);
	trace_worker_add(w);
	pulse_nl_worker_event(w, PULSE_NL_CMD_WORKER_NEW);
}

/*
 * Free the slot of a thread whose switches are not told any more, and what it
 * held. The context may be gone when this returns.
 *
 * A permit that the thread did not take goes on to another worker. So does one
 * that it may have taken and made nothing of, when it did not leave by itself
 * (@gone). The bits are read when no WAKE_NODE can choose the slot any more,
 * and reset, so that the next owner begins without.
 */
static void pulse_worker_release(struct pulse_worker *w, bool gone)
{
	struct pulse_ctx *ctx = w->ctx;
	struct task_struct *task = w->task;
	struct file *file = w->file;
	u32 node = w->node;

	pulse_uring_leave(w);
	pulse_state_forget(w);
	spin_lock(&ctx->lock);
	pulse_state_free(w);
	pulse_node_leave(w);
	WRITE_ONCE(ctx->nr_workers, ctx->nr_workers - 1);
	pulse_hdr_count(ctx);
	WRITE_ONCE(w->task, NULL);
	WRITE_ONCE(w->state, PULSE_SLOT_FREE);
	/* (H): a full barrier. Pairs with node.c:pulse_give_live() */
	if (atomic_xchg(&w->wake_bits, 0) & PULSE_PERMIT)
		gone = true;
	clear_bit(w->index, ctx->slots);
	spin_unlock(&ctx->lock);

	if (gone)
		pulse_node_pass_on(ctx, node);
	pulse_quota_uncharge(ctx->user, PULSE_QUOTA_WORKERS, 1);
	atomic_dec(&pulse_nr_workers);
	put_task_struct(task);
	fput(file);
}

/**
 * pulse_worker_self() - the slot of the calling thread, by its index
 * @ctx: the context, live
 * @index: as user space says
 *
 * Return: the slot, or an ERR_PTR: -ESRCH no worker there, -EPERM another
 * thread's.
 */
struct pulse_worker *pulse_worker_self(struct pulse_ctx *ctx, u32 index)
{
	struct pulse_worker *w;

	if (index >= ctx->max_workers)
		return ERR_PTR(-ESRCH);
	w = &ctx->workers[array_index_nospec(index, ctx->max_workers)];
	if (likely(READ_ONCE(w->task) == current))
		return w;
	return ERR_PTR(pulse_worker_is_live(w) ? -EPERM : -ESRCH);
}

/**
 * pulse_worker_task() - the thread of a worker
 * @ctx: the context, live
 * @index: as user space says
 *
 * The lock keeps pulse_worker_release() from dropping the last reference.
 *
 * Return: a reference for put_task_struct(), or NULL: no worker there.
 */
struct task_struct *pulse_worker_task(struct pulse_ctx *ctx, u32 index)
{
	struct task_struct *task = NULL;
	struct pulse_worker *w;

	if (index >= ctx->max_workers)
		return NULL;
	w = &ctx->workers[array_index_nospec(index, ctx->max_workers)];
	spin_lock(&ctx->lock);
	if (pulse_worker_is_live(w))
		task = get_task_struct(w->task);
	spin_unlock(&ctx->lock);
	return task;
}

/**
 * pulse_worker_del() - WORKER_DEL
 * @ctx: the context, live
 * @index: as user space says
 *
 * Return: 0, -ESRCH, -EPERM.
 */
int pulse_worker_del(struct pulse_ctx *ctx, u32 index)
{
	struct pulse_worker *w = pulse_worker_self(ctx, index);

	if (IS_ERR(w))
		return PTR_ERR(w);
	if (!pulse_state_disarm(w))
		return -ESRCH;
	WRITE_ONCE(w->state, PULSE_SLOT_DYING);
	trace_worker_del(w);
	pulse_nl_worker_event(w, PULSE_NL_CMD_WORKER_DEL);
	pulse_worker_release(w, false);
	return 0;
}

/* What the thread owed to sleepers when it left by exec, it owes for ever. */
static void pulse_worker_leave(struct pulse_worker *w)
{
	WRITE_ONCE(w->state, PULSE_SLOT_DYING);
	trace_worker_del(w);
	pulse_nl_worker_event(w, PULSE_NL_CMD_WORKER_DEL);
	pulse_sweep(w->ctx);
	pulse_worker_release(w, true);
}

/**
 * pulse_worker_execed() - the calling thread may be a worker from before exec
 * @ctx: a context that it just closed a descriptor of
 */
void pulse_worker_execed(struct pulse_ctx *ctx)
{
	struct pulse_worker *w = pulse_worker_of_current(ctx);

	if (w && pulse_state_disarm(w))
		pulse_worker_leave(w);
}

/* On the way to user mode, or to death, of a thread that went through exec. */
static void pulse_exec_work(struct callback_head *head)
{
	struct pulse_worker *w =
		container_of(head, struct pulse_worker, exec_work);

	/* A switch right here may see the exec again, and send us back here. */
	w->leaving = false;
	if (pulse_state_disarm(w))
		pulse_worker_leave(w);
}

/*
 * The reaper. First the sweep, once a context and batch, while each of the dead
 * still holds its context; then their slots, and with the last worker's maybe
 * the context.
 */
static void pulse_reap(struct work_struct *work)
{
	static u64 batch;
	struct llist_node *dead = llist_del_all(&pulse_dead);
	struct pulse_worker *w, *next;

	batch++;
	llist_for_each_entry(w, dead, dead_link) {
		if (w->ctx->sweep_batch == batch)
			continue;
		w->ctx->sweep_batch = batch;
		pulse_sweep(w->ctx);
	}
	dead = llist_reverse_order(dead);
	llist_for_each_entry_safe(w, next, dead, dead_link) {
		/* It may still be on its way out of pulse_dead_irq(). */
		irq_work_sync(&w->dead_irq);
		trace_death(w);
		pulse_event_death(w);
		pulse_count(deaths);
		pulse_worker_release(w, true);
		cond_resched();
	}
}

static DECLARE_WORK(pulse_reaper, pulse_reap);

/* Hard interrupt, also on PREEMPT_RT. */
static void pulse_dead_irq(struct irq_work *irq)
{
	struct pulse_worker *w =
		container_of(irq, struct pulse_worker, dead_irq);

	if (llist_add(&w->dead_link, &pulse_dead))
		schedule_work(&pulse_reaper);
}

/**
 * pulse_workers_prepare() - write into the slots what never changes
 * @ctx: being set up
 */
void pulse_workers_prepare(struct pulse_ctx *ctx)
{
	struct pulse_kstate *kstate = ctx->kstate_pages.kaddr;
	struct pulse_uwork *uwork = ctx->uwork_pages.kaddr;
	u32 i;

	for (i = 0; i < ctx->max_workers; i++) {
		struct pulse_worker *w = &ctx->workers[i];

		w->ctx = ctx;
		w->index = i;
		w->kstate = &kstate[i];
		w->uwork = &uwork[i];
		w->dead_irq = IRQ_WORK_INIT_HARD(pulse_dead_irq);
		init_task_work(&w->exec_work, pulse_exec_work);
		pulse_uring_prepare(w);
	}
}

/**
 * pulse_worker_exit() - wait for the reaper; no worker is left
 *
 * A worker holds the module through its file, and the reaper drops the file
 * last, so that all there can be is the end of the reaper itself.
 */
void pulse_worker_exit(void)
{
	flush_work(&pulse_reaper);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watch: what workers and processes are at, looked at in rounds.
 *
 * A work item a context makes a round each watch_interval_ms while there is
 * something to watch. It looks at each watched thing once and tells
 * what it finds by the event ring (verdicts: hang.c, ends of processes: here).
 * The list is not held meanwhile; what is looked at has a reference. Only the
 * round writes the fields it keeps from one look to the next, and the context's
 * release waits for it.
 *
 * A process is a reference to its leader and its pid. The struct outlives the
 * thread, with the exit code in it, so that nothing is missed between rounds,
 * not even a process that was reaped at once; only the news is late.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "ctx.h"
#include "event.h"
#include "hang.h"
#include "knob.h"
#include "nl_event.h"
#include "watch.h"
#include "worker.h"

/*
 * A round must not wait for the CPU whose being taken is what it is to tell. So
 * its queue is bound to no CPU, and its timer expires in the interrupt itself:
 * that of a delayed work item would expire in a thread on a PREEMPT_RT kernel,
 * which who takes the CPU at SCHED_FIFO keeps out.
 */
static struct workqueue_struct *pulse_watch_wq;

static void pulse_watch_put(struct pulse_watched *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;
	if (p->task)
		put_task_struct(p->task);
	put_pid(p->tgid);
	kfree(p);
}

/* Is everything that this process may do the watcher's to know and to end? */
static bool pulse_watch_same_user(struct task_struct *task, kuid_t uid)
{
	const struct cred *cred;
	bool same;

	rcu_read_lock();
	cred = __task_cred(task);
	same = uid_eq(cred->uid, uid) && uid_eq(cred->euid, uid) &&
	       uid_eq(cred->suid, uid);
	rcu_read_unlock();
	return same;
}

static bool pulse_watch_capable(struct task_struct *task)
{
	bool capable;

	rcu_read_lock();
	capable = ns_capable(__task_cred(task)->user_ns, CAP_KILL);
	rcu_read_unlock();
	return capable;
}

static int pulse_watch_process(struct pulse_watched *p,
			       const struct pulse_watch *arg)
{
	if (arg->target < 1 || arg->stuck_ns || arg->starved_ns ||
	    arg->blocked_ns || arg->flags & PULSE_WATCH_KILL_HANG)
		return -EINVAL;
	p->tgid = find_get_pid(arg->target);
	p->task = get_pid_task(p->tgid, PIDTYPE_TGID);
	if (!p->task)
		return -ESRCH;
	p->pid = task_tgid_nr_ns(p->task, p->ctx->pid_ns);
	p->uid = current_euid();
	if (pulse_watch_same_user(p->task, p->uid))
		return 0;
	p->any_user = pulse_watch_capable(p->task);
	return p->any_user ? 0 : -EPERM;
}

static int pulse_watch_worker(struct pulse_watched *p,
			      const struct pulse_watch *arg)
{
	struct pulse_ctx *ctx = p->ctx;
	u32 index = arg->target;
	int ret = -ESRCH;

	if (index >= ctx->max_workers)
		return -ESRCH;
	p->worker = &ctx->workers[array_index_nospec(index, ctx->max_workers)];
	spin_lock(&ctx->lock);
	if (pulse_worker_is_live(p->worker)) {
		p->incarnation = READ_ONCE(p->worker->kstate->incarnation);
		ret = 0;
	}
	spin_unlock(&ctx->lock);
	return ret;
}

/**
 * pulse_watch_new() - WATCH, all but the last step
 * @ctx: the context, live
 * @arg: of WATCH; gets the name
 *
 * Return: for pulse_watch_add() or pulse_watch_cancel(), or an ERR_PTR: -ENODEV,
 * -EINVAL, -ESRCH, -EPERM, -ENOSPC, -ENOMEM.
 */
struct pulse_watched *pulse_watch_new(struct pulse_ctx *ctx,
				      struct pulse_watch *arg)
{
	struct pulse_watches *all = &ctx->watches;
	struct pulse_watched *p;
	int ret;

	if (!ctx->events.bytes)
		return ERR_PTR(-ENODEV);
	if (arg->kind > PULSE_WATCH_PROCESS || arg->reserved)
		return ERR_PTR(-EINVAL);

	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return ERR_PTR(-ENOMEM);
	refcount_set(&p->refs, 1);
	INIT_LIST_HEAD(&p->link);
	p->ctx = ctx;
	p->flags = arg->flags;
	p->cookie = arg->cookie;
	p->stuck_ns = arg->stuck_ns;
	p->starved_ns = arg->starved_ns;
	p->blocked_ns = arg->blocked_ns;
	p->rss_bytes = arg->rss_bytes;
	ret = arg->kind == PULSE_WATCH_WORKER ? pulse_watch_worker(p, arg) :
						pulse_watch_process(p, arg);
	if (ret)
		goto put;

	spin_lock(&all->lock);
	if (all->nr < PULSE_MAX_WATCHES) {
		WRITE_ONCE(all->nr, all->nr + 1);
		p->id = ++all->last_id;
	}
	spin_unlock(&all->lock);
	ret = -ENOSPC;
	if (!p->id)
		goto put;
	arg->id = p->id;
	return p;

put:
	pulse_watch_put(p);
	return ERR_PTR(ret);
}

static enum hrtimer_restart pulse_watch_timer(struct hrtimer *timer)
{
	struct pulse_watches *all =
		container_of(timer, struct pulse_watches, timer);

	queue_work(pulse_watch_wq, &all->tick);
	return HRTIMER_NORESTART;
}

/* Under all->lock. */
static void pulse_watch_later(struct pulse_watches *all)
{
	all->ticking = true;
	hrtimer_start(&all->timer,
		      ms_to_ktime(pulse_knob(PULSE_KNOB_WATCH_INTERVAL_MS)),
		      HRTIMER_MODE_REL_HARD);
}

/**
 * pulse_watch_add() - WATCH, the last step
 * @ctx: the context, live
 * @p: from pulse_watch_new(); the reference goes to the list
 */
void pulse_watch_add(struct pulse_ctx *ctx, struct pulse_watched *p)
{
	struct pulse_watches *all = &ctx->watches;

	spin_lock(&all->lock);
	p->round = all->round;
	list_add_tail(&p->link, &all->list);
	if (!all->ticking)
		pulse_watch_later(all);
	spin_unlock(&all->lock);
}

/**
 * pulse_watch_cancel() - undo pulse_watch_new()
 * @ctx: the context, live
 * @p: from pulse_watch_new()
 */
void pulse_watch_cancel(struct pulse_ctx *ctx, struct pulse_watched *p)
{
	spin_lock(&ctx->watches.lock);
	WRITE_ONCE(ctx->watches.nr, ctx->watches.nr - 1);
	spin_unlock(&ctx->watches.lock);
	pulse_watch_put(p);
}

/* Take it off the list, if it is still there. */
static bool pulse_watch_unlink(struct pulse_watched *p)
{
	struct pulse_watches *all = &p->ctx->watches;
	bool mine;

	spin_lock(&all->lock);
	mine = !list_empty(&p->link);
	if (mine) {
		list_del_init(&p->link);
		WRITE_ONCE(all->nr, all->nr - 1);
	}
	spin_unlock(&all->lock);
	if (mine)
		pulse_watch_put(p);
	return mine;
}

/**
 * pulse_watch_del() - UNWATCH
 * @ctx: the context, live
 * @id: as user space says
 *
 * Return: 0 or -ESRCH.
 */
int pulse_watch_del(struct pulse_ctx *ctx, u32 id)
{
	struct pulse_watches *all = &ctx->watches;
	struct pulse_watched *p, *found = NULL;
	bool mine;

	spin_lock(&all->lock);
	list_for_each_entry(p, &all->list, link) {
		if (p->id == id) {
			found = p;
			refcount_inc(&p->refs);
			break;
		}
	}
	spin_unlock(&all->lock);
	if (!found)
		return -ESRCH;
	mine = pulse_watch_unlink(found);
	pulse_watch_put(found);
	return mine ? 0 : -ESRCH;
}

/* The next one that was not looked at in this round, with a reference. */
static struct pulse_watched *pulse_watch_next(struct pulse_watches *all)
{
	struct pulse_watched *p;

	spin_lock(&all->lock);
	p = list_first_entry_or_null(&all->list, struct pulse_watched, link);
	if (p && p->round == all->round)
		p = NULL;
	if (p) {
		p->round = all->round;
		list_move_tail(&p->link, &all->list);
		refcount_inc(&p->refs);
	}
	spin_unlock(&all->lock);
	return p;
}

/* An exec by another thread makes that one the leader. */
static void pulse_watch_follow(struct pulse_watched *p)
{
	struct task_struct *leader = get_pid_task(p->tgid, PIDTYPE_TGID);

	if (leader) {
		put_task_struct(p->task);
		p->task = leader;
	}
}

/*
 * Look at a process. Its end is told by whoever takes the watch off the list,
 * after that: nobody hears of an end and then finds its watch still there, and
 * one that UNWATCH took away is never told.
 */
static void pulse_look_process(struct pulse_watched *p)
{
	struct pulse_event_process_death death = {
		.cookie = p->cookie,
		.watch = p->id,
		.pid = p->pid,
	};
	struct signal_struct *sig;

	pulse_watch_follow(p);
	sig = p->task->signal;
	if (atomic_read(&sig->live) || !READ_ONCE(p->task->exit_state)) {
		if (p->any_user || pulse_watch_same_user(p->task, p->uid))
			pulse_look_rss(p, p->task);
		return;
	}
	if (!pulse_watch_unlink(p))
		return;
	/* Nobody writes these any more. */
	death.time_ns = ktime_get_ns();
	death.exit_code = sig->flags & SIGNAL_GROUP_EXIT ?
		sig->group_exit_code : p->task->exit_code;
	death.signal = death.exit_code & 0x7f;
	pulse_event_put(p->ctx, PULSE_EVENT_PROCESS_DEATH, &death,
			sizeof(death));
	pulse_nl_process_death(p, &death);
}

/* A round. At most one look at each of PULSE_MAX_WATCHES. */
static void pulse_watch_tick(struct work_struct *work)
{
	struct pulse_watches *all =
		container_of(work, struct pulse_watches, tick);
	struct pulse_watched *p;

	spin_lock(&all->lock);
	all->round++;
	spin_unlock(&all->lock);
	while ((p = pulse_watch_next(all))) {
		if (!p->worker)
			pulse_look_process(p);
		else if (!pulse_look_worker(p))
			pulse_watch_unlink(p);
		pulse_watch_put(p);
		cond_resched();
	}

	spin_lock(&all->lock);
	all->ticking = false;
	if (!list_empty(&all->list))
		pulse_watch_later(all);
	spin_unlock(&all->lock);
}

/**
 * pulse_watches_prepare() - nothing is watched yet
 * @ctx: being opened
 */
void pulse_watches_prepare(struct pulse_ctx *ctx)
{
	spin_lock_init(&ctx->watches.lock);
	INIT_LIST_HEAD(&ctx->watches.list);
	INIT_WORK(&ctx->watches.tick, pulse_watch_tick);
	pulse_hrtimer_setup(&ctx->watches.timer, pulse_watch_timer,
			    CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
}

/**
 * pulse_watches_end() - stop the rounds, forget what was watched
 * @ctx: being released
 */
void pulse_watches_end(struct pulse_ctx *ctx)
{
	struct pulse_watched *p, *next;
	LIST_HEAD(old);

	/* A round that is under way arms no timer for an empty list. */
	spin_lock(&ctx->watches.lock);
	list_splice_init(&ctx->watches.list, &old);
	spin_unlock(&ctx->watches.lock);
	hrtimer_cancel(&ctx->watches.timer);
	cancel_work_sync(&ctx->watches.tick);
	list_for_each_entry_safe(p, next, &old, link) {
		list_del_init(&p->link);
		pulse_watch_put(p);
	}
}

/**
 * pulse_watch_init() - the queue of rounds
 *
 * Return: 0 or -ENOMEM.
 */
int pulse_watch_init(void)
{
	pulse_watch_wq = alloc_workqueue("pulse_watch",
					 WQ_UNBOUND | WQ_HIGHPRI, 0);
	return pulse_watch_wq ? 0 : -ENOMEM;
}

/**
 * pulse_watch_exit() - undo pulse_watch_init(), after the last context
 */
void pulse_watch_exit(void)
{
	destroy_workqueue(pulse_watch_wq);
}

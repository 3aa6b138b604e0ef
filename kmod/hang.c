// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verdicts: what a look at a watched worker says, and how much memory its
 * process has. Called by the watch's round (watch.c), process context.
 *
 *	stuck	it had a CPU for so long and neither raised UWORK.progress nor
 *		parked
 *	starved	it could run for so long and had no CPU
 *	blocked	it slept for so long, and not in PARK
 *
 * Each is told once: stuck until it gets on, the others until it next runs.
 * KSTATE is the kernel's word; progress is the user's, untrusted, and decides
 * about his own verdict.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "ctx.h"
#include "event.h"
#include "hang.h"
#include "nl_event.h"
#include "trace.h"
#include "worker.h"

/* Tries to read KSTATE between two switches. */
#define PULSE_LOOKS	16

/**
 * pulse_kstate_copy() - a worker's KSTATE, all of one moment
 * @w: any slot of a live context
 * @copy: gets it, also when it is of several moments
 *
 * Return: false when it is never quiet.
 */
bool pulse_kstate_copy(const struct pulse_worker *w, struct pulse_kstate *copy)
{
	const struct pulse_kstate *ks = w->kstate;
	int i;

	for (i = 0; i < PULSE_LOOKS; i++) {
		/* (F): pairs with state.c:pulse_kstate_end() */
		u32 seq = smp_load_acquire(&ks->seq);

		/* What a switch meanwhile makes of it is thrown away. */
		data_race(memcpy(copy, ks, sizeof(*copy)));
		smp_rmb();	/* (F): pairs with state.c:pulse_kstate_begin() */
		if (!(seq & 1) && READ_ONCE(ks->seq) == seq)
			return true;
		cpu_relax();
	}
	return false;
}

/* The thread of the slot, if it still is the one that is watched. */
static struct task_struct *pulse_watched_task(struct pulse_watched *p)
{
	struct pulse_worker *w = p->worker;
	struct task_struct *task = NULL;

	spin_lock(&p->ctx->lock);
	if (pulse_worker_is_live(w) &&
	    READ_ONCE(w->kstate->incarnation) == p->incarnation)
		task = get_task_struct(w->task);
	spin_unlock(&p->ctx->lock);
	return task;
}

static void pulse_kill(struct pulse_watched *p, struct task_struct *task,
		       u32 flag)
{
	if (p->flags & flag)
		send_sig(SIGKILL, task, 1);
}

static void pulse_tell_hang(struct pulse_watched *p, struct task_struct *task,
			    const struct pulse_kstate *ks, u64 now, u32 verdict,
			    u64 for_ns)
{
	struct pulse_event_hang hang = {
		.time_ns = now,
		.cookie = p->cookie,
		.for_ns = for_ns,
		.run_ns = ks->run_ns,
		.wait_ns = ks->wait_ns,
		.progress = p->progress,
		.job = READ_ONCE(p->worker->uwork->job),	/* untrusted */
		.watch = p->id,
		.index = p->worker->index,
		.incarnation = p->incarnation,
		.tid = ks->tid,
		.verdict = verdict,
		.state = ks->state,
	};

	trace_hang(p->worker, verdict, for_ns);
	pulse_event_put(p->ctx, PULSE_EVENT_HANG, &hang, sizeof(hang));
	pulse_nl_hang(p, task, &hang);
	pulse_kill(p, task, PULSE_WATCH_KILL_HANG);
}

static u64 pulse_since(u64 now, u64 then)
{
	return now > then ? now - then : 0;
}

/* The worker has a CPU, or had one until it was preempted. */
static void pulse_look_stuck(struct pulse_watched *p, struct task_struct *task,
			     const struct pulse_kstate *ks, u64 now)
{
	u64 progress = READ_ONCE(p->worker->uwork->progress);	/* untrusted */
	u64 run_ns = ks->run_ns;

	if (ks->state == PULSE_STATE_RUNNING)
		run_ns += pulse_since(now, ks->last_in_ns);
	if (progress != p->progress || ks->n_park != p->n_park ||
	    !p->base_run_ns) {
		p->progress = progress;
		p->n_park = ks->n_park;
		p->base_run_ns = run_ns;
		p->stuck_told = false;
	}
	run_ns = pulse_since(run_ns, p->base_run_ns);
	if (!p->stuck_ns || p->stuck_told || run_ns < p->stuck_ns)
		return;
	if (ks->state != PULSE_STATE_RUNNING &&
	    ks->state != PULSE_STATE_PREEMPTED)
		return;
	p->stuck_told = true;
	pulse_tell_hang(p, task, ks, now, PULSE_HANG_STUCK, run_ns);
}

/* The worker has no CPU. */
static void pulse_look_off_cpu(struct pulse_watched *p, struct task_struct *task,
			       const struct pulse_kstate *ks, u64 now)
{
	u64 off_ns = pulse_since(now, ks->last_out_ns);
	u32 verdict = PULSE_HANG_BLOCKED;
	u64 limit_ns = p->blocked_ns;

	if (ks->state == PULSE_STATE_PREEMPTED) {
		verdict = PULSE_HANG_STARVED;
		limit_ns = p->starved_ns;
		p->woken_ns = 0;
	} else if (pulse_task_runnable(task)) {
		/* Woken, and still waiting; from when, only the rounds tell. */
		if (!p->woken_ns)
			p->woken_ns = now;
		verdict = PULSE_HANG_STARVED;
		limit_ns = p->starved_ns;
		off_ns = pulse_since(now, p->woken_ns);
	} else {
		p->woken_ns = 0;
		if (ks->state != PULSE_STATE_BLOCKED)
			return;
	}
	if (!limit_ns || off_ns < limit_ns || p->told_out_ns == ks->last_out_ns)
		return;
	p->told_out_ns = ks->last_out_ns;
	pulse_tell_hang(p, task, ks, now, verdict, off_ns);
}

/**
 * pulse_look_worker() - look at a worker
 * @p: a watch of one
 *
 * Return: false when it is gone; its death is told by the reaper.
 */
bool pulse_look_worker(struct pulse_watched *p)
{
	struct task_struct *task = pulse_watched_task(p);
	struct pulse_kstate ks;
	u64 now;

	if (!task)
		return false;
	if (pulse_kstate_copy(p->worker, &ks) &&
	    ks.incarnation == p->incarnation) {
		now = ktime_get_mono_fast_ns();
		pulse_look_stuck(p, task, &ks, now);
		if (ks.state == PULSE_STATE_RUNNING)
			p->woken_ns = 0;
		else
			pulse_look_off_cpu(p, task, &ks, now);
	}
	pulse_look_rss(p, task);
	put_task_struct(task);
	return true;
}

/**
 * pulse_look_rss() - does a process have more memory than it should
 * @p: a watch
 * @task: a thread of it, referenced
 */
void pulse_look_rss(struct pulse_watched *p, struct task_struct *task)
{
	struct pulse_event_rss rss = {
		.cookie = p->cookie,
		.limit_bytes = p->rss_bytes,
		.watch = p->id,
	};
	struct mm_struct *mm;

	if (!p->rss_bytes)
		return;
	mm = get_task_mm(task);
	if (!mm)
		return;
	rss.rss_bytes = (u64)get_mm_rss(mm) << PAGE_SHIFT;
	mmput(mm);
	if (rss.rss_bytes <= p->rss_bytes) {
		p->rss_told = false;
		return;
	}
	if (p->rss_told)
		return;
	p->rss_told = true;
	rss.time_ns = ktime_get_ns();
	rss.pid = task_tgid_nr_ns(task, p->ctx->pid_ns);
	pulse_event_put(p->ctx, PULSE_EVENT_RSS, &rss, sizeof(rss));
	pulse_nl_rss(p, task, &rss);
	pulse_kill(p, task, PULSE_WATCH_KILL_RSS);
}

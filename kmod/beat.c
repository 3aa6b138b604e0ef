// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heartbeats: a store to KSTATE.beats each time that a worker has had a CPU for
 * another period. Called by the notifier (state.c) and by BEAT (ctx.c).
 *
 * One timer a CPU, never one a worker: a timer that each switch starts anew
 * costs a thousand instructions a switch, and never fires where switches come
 * faster than beats. sched_in names the CPU's worker and starts the timer only
 * if it is not queued, sched_out just takes the name away. The timer beats whom
 * it finds, or finds nobody and stops.
 *
 * A worker's clock is its time on a CPU: due while it has one, left while it
 * has none. Whoever looks first pays the beats that are due, the timer or
 * sched_out, so that no rhythm of switches starves anybody.
 *
 * Nine tenths of a beat's cost are the kernel's own for any timer, so what a
 * worker does not listen to is worth leaving out (PULSE_BEAT_HEARD): a beat that
 * comes while the one before is not heard puts the next off. UWORK.heard is the
 * user's to write: whatever is in it, beats come at least every
 * PULSE_BEAT_SKIP_MAX + 1 periods and at most every period.
 *
 * What is here belongs to one CPU at a time: its struct pulse_beat_cpu, and the
 * beat_ fields and the words beats and missed of the workers in it. They are
 * touched with interrupts off, or by the timer, which is a hard one also on
 * PREEMPT_RT. beats and missed are single words that only this CPU writes, so
 * they need no KSTATE.seq, and the timer may come in the middle of one.
 */
#include <linux/capability.h>
#include <linux/cpuhotplug.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>

#include "beat.h"
#include "compat.h"
#include "ctx.h"
#include "knob.h"
#include "trace.h"
#include "worker.h"

/* Periods left out between two beats that nobody hears, at most; 2^n - 1. */
#define PULSE_BEAT_SKIP_MAX	7

/**
 * struct pulse_beat_cpu - the heartbeat of a CPU
 * @timer: queued while it may be needed
 * @running: workers of the current task that beat, at most PULSE_MAX_BEATS,
 *	linked by beat_next
 * @last_ns: when the timer was last due
 */
struct pulse_beat_cpu {
	struct hrtimer timer;
	struct pulse_worker *running;
	u64 last_ns;
};

static DEFINE_PER_CPU(struct pulse_beat_cpu, pulse_beat_cpus);
static enum cpuhp_state pulse_beat_hotplug;

/* Pay what is due. One beat, however late; the rest of the periods is missed. */
static void pulse_beat_settle(struct pulse_worker *w, u64 now)
{
	struct pulse_kstate *ks = w->kstate;
	u64 late = 0, missed;

	if (now < w->beat_due_ns)
		return;
	if (unlikely(now - w->beat_due_ns >= w->beat_period_ns))
		late = div64_u64(now - w->beat_due_ns, w->beat_period_ns);
	missed = late + w->beat_skip;
	if (missed)
		WRITE_ONCE(ks->missed, ks->missed + missed);
	if (w->beat_listens)
		w->beat_skip = READ_ONCE(w->uwork->heard) == ks->beats ? 0 :
			min(2 * w->beat_skip + 1, PULSE_BEAT_SKIP_MAX);
	WRITE_ONCE(ks->beats, ks->beats + 1);
	w->beat_due_ns += (late + 1 + w->beat_skip) * w->beat_period_ns;
	trace_beat(w, missed);
}

/*
 * When the timer must come for a worker: when its beat is due, but no sooner
 * than a period after the timer was last due, whomever for. That bounds the
 * interrupts whatever runs here in turn; a beat is late by less than a period.
 */
static u64 pulse_beat_when(const struct pulse_beat_cpu *bc,
			   const struct pulse_worker *w)
{
	return max(w->beat_due_ns, bc->last_ns + w->beat_period_ns);
}

static enum hrtimer_restart pulse_beat_timer(struct hrtimer *timer)
{
	struct pulse_beat_cpu *bc =
		container_of(timer, struct pulse_beat_cpu, timer);
	u64 next = U64_MAX, now;
	struct pulse_worker *w;

	/* Of a CPU that went offline while it was queued; nobody runs there. */
	if (unlikely(bc != this_cpu_ptr(&pulse_beat_cpus)))
		return HRTIMER_NORESTART;
	if (!bc->running)
		return HRTIMER_NORESTART;

	/*
	 * When it was due, not now: what each comes late would add up. And the
	 * fast clock may be a little behind the timer's.
	 */
	bc->last_ns = ktime_to_ns(hrtimer_get_expires(timer));
	now = max_t(u64, ktime_get_mono_fast_ns(), bc->last_ns);
	for (w = bc->running; w; w = w->beat_next) {
		pulse_beat_settle(w, now);
		next = min(next, pulse_beat_when(bc, w));
	}
	hrtimer_set_expires(timer, ns_to_ktime(next));
	return HRTIMER_RESTART;
}

/* Interrupts are off, and the current task is the worker's. */
static void pulse_beat_link(struct pulse_worker *w, u64 now)
{
	struct pulse_beat_cpu *bc = this_cpu_ptr(&pulse_beat_cpus);
	u64 when, first;

	w->beat_due_ns = now + w->beat_left_ns;
	w->beat_next = bc->running;
	bc->running = w;

	/*
	 * A timer that is queued for somebody else's sake will do, unless it is
	 * of a longer period. One of a worker that does not listen may be.
	 */
	first = hrtimer_is_queued(&bc->timer) ?
		ktime_to_ns(hrtimer_get_expires(&bc->timer)) : U64_MAX;
	if (first <= now + w->beat_period_ns)
		return;
	when = pulse_beat_when(bc, w);
	if (when < first)
		hrtimer_start(&bc->timer, ns_to_ktime(when),
			      HRTIMER_MODE_ABS_PINNED_HARD);
}

/* Likewise. The timer finds out by itself. */
static void pulse_beat_unlink(struct pulse_worker *w)
{
	struct pulse_worker **link = this_cpu_ptr(&pulse_beat_cpus.running);

	while (*link && *link != w)
		link = &(*link)->beat_next;
	if (*link)
		*link = w->beat_next;
}

/**
 * pulse_beat_in() - a worker that beats got this CPU
 * @w: of the current task
 * @now: ktime_get_mono_fast_ns()
 */
void pulse_beat_in(struct pulse_worker *w, u64 now)
{
	unsigned long flags;

	local_irq_save(flags);
	pulse_beat_link(w, now);
	local_irq_restore(flags);
}

/**
 * pulse_beat_out() - a worker that beats loses this CPU; interrupts are off
 * @w: of the current task, all of whose workers go now
 * @now: ktime_get_mono_fast_ns()
 */
void pulse_beat_out(struct pulse_worker *w, u64 now)
{
	pulse_beat_settle(w, now);
	w->beat_left_ns = w->beat_due_ns - now;
	this_cpu_write(pulse_beat_cpus.running, NULL);
}

/**
 * pulse_beat_stop() - end the beats of a worker
 * @w: the calling thread's
 */
void pulse_beat_stop(struct pulse_worker *w)
{
	unsigned long flags;

	local_irq_save(flags);
	pulse_beat_unlink(w);
	w->beat_period_ns = 0;
	local_irq_restore(flags);
}

static int pulse_beat_start(struct pulse_worker *w, u64 period_ns,
			    bool listens)
{
	struct pulse_worker *other;
	unsigned long flags;
	unsigned int n = 0;
	int ret = -EBUSY;

	local_irq_save(flags);
	pulse_beat_unlink(w);
	w->beat_period_ns = 0;
	for (other = this_cpu_read(pulse_beat_cpus.running); other;
	     other = other->beat_next)
		n++;
	if (n < PULSE_MAX_BEATS) {
		w->beat_period_ns = period_ns;
		w->beat_left_ns = period_ns;
		w->beat_skip = 0;
		w->beat_listens = listens;
		pulse_beat_link(w, ktime_get_mono_fast_ns());
		ret = 0;
	}
	local_irq_restore(flags);
	return ret;
}

/**
 * pulse_beat_set() - BEAT: begin, change or end the beats of a worker
 * @ctx: the context, live
 * @arg: of BEAT
 *
 * Return: 0, -EINVAL, -ESRCH, -EPERM, -EBUSY.
 */
int pulse_beat_set(struct pulse_ctx *ctx, const struct pulse_beat *arg)
{
	struct pulse_worker *w = pulse_worker_self(ctx, arg->index);

	if (IS_ERR(w))
		return PTR_ERR(w);
	if (!arg->period_ns) {
		pulse_beat_stop(w);
		return 0;
	}
	if (arg->period_ns < PULSE_MIN_BEAT_NS ||
	    arg->period_ns > PULSE_MAX_BEAT_NS)
		return -EINVAL;
	if (arg->period_ns < (u64)pulse_knob(PULSE_KNOB_BEAT_FLOOR_US) * NSEC_PER_USEC &&
	    !capable(CAP_SYS_NICE))
		return -EINVAL;
	return pulse_beat_start(w, arg->period_ns,
				arg->flags & PULSE_BEAT_HEARD);
}

/*
 * A CPU comes back. Its timer may still be queued where it was taken to when
 * the CPU went, and would look as if it needed no start. No worker is here yet.
 */
static int pulse_beat_online(unsigned int cpu)
{
	hrtimer_cancel(&per_cpu(pulse_beat_cpus, cpu).timer);
	return 0;
}

/**
 * pulse_beat_init() - prepare the timers
 *
 * Return: 0 or what cpuhp_setup_state() says.
 */
int pulse_beat_init(void)
{
	int cpu, ret;

	for_each_possible_cpu(cpu)
		pulse_hrtimer_setup(&per_cpu(pulse_beat_cpus, cpu).timer,
				    pulse_beat_timer, CLOCK_MONOTONIC,
				    HRTIMER_MODE_ABS_PINNED_HARD);
	ret = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
					"pulse/beat:online",
					pulse_beat_online, NULL);
	if (ret < 0)
		return ret;
	pulse_beat_hotplug = ret;
	return 0;
}

/**
 * pulse_beat_exit() - stop the timers; no worker is left
 */
void pulse_beat_exit(void)
{
	int cpu;

	cpuhp_remove_state_nocalls(pulse_beat_hotplug);
	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu(pulse_beat_cpus, cpu).timer);
}

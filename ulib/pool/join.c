// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * join.c - shared jobs: taken, taken back, waited for, and left by a thread
 * that ends. The protocol stands at the head of fork.c.
 *
 * Who waits helps: it runs other workers' shared jobs. That cannot end in a
 * circle of waiters. A thread's newest frame waits for a job that this frame
 * forked; whoever runs that job has it below its own newest frame, whose wait is
 * for a job forked later than that. Along the chain jobs get younger, so it
 * ends at somebody who runs.
 *
 * All that a waiter forked and did not join is shared and taken: the oldest go
 * first, and the one it waits for is its newest. So what it shares while it
 * helps belongs to what it helps with.
 */
#include <unistd.h>

#include "base/usdt.h"
#include "pool/pool.h"
#include "pool/work.h"

/* Never called: its address says that data is a shared job. */
void pulse__fork_taken(void *job)
{
	pulse__fork_run_taken(pulse__pool_self, job);
}

struct pulse_job *pulse__fork_take(struct pulse__worker *victim)
{
	struct pulse_job *job = READ_ONCE(victim->slot);

	/*
	 * L: pairs with fork.c:pulse__fork_share, litmus: fork_slot. Another
	 * job may come to lie at the same place meanwhile; then it is that.
	 */
	if (likely(!job) || !pulse__cas(&victim->slot, &job, NULL,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return NULL;
	return job;
}

/* The job may be gone right after. */
static void pulse__fork_end(struct pulse_job *job, enum pulse__job_state how)
{
	struct pulse__worker *owner = job->owner;
	uint32_t index = (uint32_t)owner->index;

	/* M: pairs with pulse__fork_wait, litmus: fork_done */
	pulse__store_release(&job->state, (uint32_t)how);
	/* With a full barrier before it looks whether the owner parks. */
	pulse_worker_wake(owner->pool->ctx, &index, 1);
}

static PULSE__COLD void pulse__fork_in_child(void)
{
	pulse_log(PULSE_LOG_ERROR,
		  "a job forked a process and returned in the child, which ends");
	_exit(EXIT_FAILURE);
}

/* On its own, so that no local of another function is lost by the jump. */
static PULSE__NOINLINE int pulse__fork_call(struct pulse_job *job,
					    struct pulse__frame *frame)
{
	if (_setjmp(frame->env))
		return frame->err;
	job->run(job->arg);
	return 0;
}

/*
 * A job is a part of its task, wherever it runs: it knows whether that is to
 * stop. But it fails alone: the frame to go back to is its own.
 */
void pulse__fork_run_taken(struct pulse__worker *w, struct pulse_job *job)
{
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse_job *tail = self->tail;
	struct pulse__work *work = pulse__work_top, *whole = job->work;
	struct pulse__frame frame, *before = w->frame;
	uint32_t epoch = w->epoch, in_task = w->in_task;
	int err;

	pulse__count_own(&w->jobs_taken);
	PULSE__PROBE2(fork_take, w->number,
		      ((const struct pulse__worker *)job->owner)->number);
	if (!w->running) {
		w->below = in_task;
		w->below_epoch = epoch;
		w->below_work = work;
	}
	job->running = w->running;
	job->base = self->shared;
	w->running = job;
	/* Its task is not done before it is: that keeps the epoch. */
	w->epoch = job->epoch;
	WRITE_ONCE(w->in_task, 1);
	pulse__work_top = whole;
	/* Where it has no stack of its own for signals, a full one is not caught. */
	if (whole && whole->flags & PULSE_WORK_CONTAIN)
		pulse__contain_thread();
	pulse__frame_begin(w, &frame);
	err = pulse__fork_call(job, &frame);
	w->frame = before;
	pulse__work_top = work;
	if (unlikely(frame.sig))
		pulse__frame_tell(whole, &frame);
	if (unlikely(pulse__forked(w->pool->fork_gen)))
		pulse__fork_in_child();
	if (unlikely(self->tail != tail))
		pulse__bug("a job in pool %s returned without joining what it forked",
			   w->pool->name);
	w->running = job->running;
	w->epoch = epoch;
	WRITE_ONCE(w->in_task, in_task);
	pulse__fork_end(job, err ? PULSE__JOB_BROKEN : PULSE__JOB_DONE);
}

/* ---- waiting ------------------------------------------------------------ */

struct pulse__waiting {
	struct pulse__worker *w;
	struct pulse_job *job;
	bool help;
};

static bool pulse__fork_over(const struct pulse_job *job)
{
	/* pairs with M in pulse__fork_end, litmus: fork_done */
	return pulse__load_acquire(&job->state) != PULSE__JOB_OPEN;
}

/* N: after the full barrier of parking. */
static bool pulse__fork_recheck(void *arg)
{
	const struct pulse__waiting *wait = arg;
	const struct pulse_pool *pool = wait->w->pool;

	if (pulse__fork_over(wait->job))
		return true;
	for (uint32_t i = 0; wait->help && i < pool->nr_workers; i++) {
		if (READ_ONCE(pool->worker[i]->slot))
			return true;
	}
	return false;
}

/*
 * What it helps with comes on top of the stack it has. So that jobs which go
 * deep do not go deeper than they would alone, and the half is left.
 */
static bool pulse__fork_may_help(struct pulse__worker *w)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	void *low = NULL;
	size_t size = 0;

	if (unlikely(!w->half_stack)) {
		w->half_stack = UINTPTR_MAX;
		if (!pthread_getattr_np(pthread_self(), &attr)) {
			if (!pthread_attr_getstack(&attr, &low, &size))
				w->half_stack = (uintptr_t)low + size / 2;
			pthread_attr_destroy(&attr);
		}
	}
	return here > w->half_stack;
}

static bool pulse__fork_help(struct pulse__worker *w)
{
	const struct pulse_pool *pool = w->pool;

	for (uint32_t i = 0; i + 1 < pool->nr_workers; i++) {
		struct pulse_job *job =
			pulse__fork_take(pool->worker[w->victims[i]]);

		if (job) {
			pulse__fork_run_taken(w, job);
			return true;
		}
	}
	return false;
}

static int pulse__fork_wait(struct pulse__worker *w, struct pulse_job *job)
{
	struct pulse__waiting wait = { .w = w, .job = job,
				       .help = pulse__fork_may_help(w) };
	int64_t until = 0, now;

	while (!pulse__fork_over(job)) {
		if (wait.help && pulse__fork_help(w)) {
			until = 0;
			continue;
		}
		now = w->pool->spin_ns ? pulse_now_ns() : 0;
		if (!until)
			until = now + w->pool->spin_ns;
		if (wait.help && now)
			pulse__fork_ask(w, now);
		if (now >= until) {
			pulse__pool_park_joining(w, pulse__fork_recheck,
						 &wait);
			until = 0;
			continue;
		}
		for (int i = 0; i < PULSE__PAUSES; i++)
			cpu_relax();
	}
	return job->state == PULSE__JOB_BROKEN ? -ECANCELED : 0;
}

/* Out of the slot again? Its own stores: no order is needed. */
static bool pulse__fork_take_back(struct pulse__worker *w,
				  struct pulse_job *job)
{
	struct pulse_job *mine = job;

	if (!pulse__cas(&w->slot, &mine, NULL, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED))
		return false;
	/* For pulse__fork_abandon: nobody else has it. */
	WRITE_ONCE(job->state, (uint32_t)PULSE__JOB_DONE);
	return true;
}

int pulse_join_slow(struct pulse_job *job)
{
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse__worker *w = pulse__pool_self;
	int err = 0;

	if (!job)
		return -EINVAL;
	if (self->tail != job)
		pulse__bug("pulse_join: not the newest job that this thread forked; join in the reverse order of the forks");
	if (pulse__fork_take_back(w, job)) {
		job->run(job->arg);
	} else {
		if (unlikely(pulse__forked(w->pool->fork_gen)))
			pulse__fork_in_child();
		err = pulse__fork_wait(w, job);
	}
	self->shared = job->older;
	self->tail = job->older;
	return err;
}

/* ---- a task that fails, a thread that ends ------------------------------ */

/* Its own jobs, newest first: not begun, nobody runs them; begun, to the end. */
static void pulse__fork_abandon(struct pulse__worker *w,
				const struct pulse_job *until)
{
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse__waiting wait = { .w = w };

	for (; self->shared != until; self->shared = self->shared->older) {
		wait.job = self->shared;
		if (pulse__fork_take_back(w, wait.job))
			continue;
		while (!pulse__fork_over(wait.job))
			pulse__pool_park_joining(w, pulse__fork_recheck,
						 &wait);
	}
}

void pulse__fork_drop(struct pulse__worker *w, const struct pulse_job *shared,
		      struct pulse_job *tail)
{
	pulse__fork_abandon(w, shared);
	pulse__fork_self()->tail = tail;
}

/*
 * From the newest frame to the oldest, as returns would go: first what a taken
 * job had forked in its turn, then that job, then what was forked below it.
 * Another order could wait for somebody who waits for us.
 */
void pulse__fork_wind_up(struct pulse__worker *w)
{
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse_job *job;

	while ((job = w->running)) {
		pulse__fork_abandon(w, job->base);
		w->running = job->running;
		if (!w->running) {
			WRITE_ONCE(w->in_task, w->below);
			w->epoch = w->below_epoch;
		}
		pulse__work_top = w->running ? w->running->work : w->below_work;
		pulse__fork_end(job, PULSE__JOB_BROKEN);
	}
	pulse__fork_drop(w, &self->root, &self->root);
}

static uintptr_t pulse__fork_lowest(const struct pulse_job *shared,
				    uintptr_t low)
{
	const struct pulse_fork_self *self = pulse__fork_self();

	for (; shared != &self->root; shared = shared->older)
		low = shared->low < low ? shared->low : low;
	return low;
}

/*
 * The stack is unwound to the thread's first frame, and the frames that were
 * below it hold what thieves still use: nothing wrote over them yet, as this
 * function and its caller lie in pulse__worker_room. So: a hole as deep as those
 * frames go, and all the rest below it.
 */
void pulse__fork_unwound(struct pulse__worker *w,
			 void (*fn)(struct pulse__worker *w))
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), low = here;
	volatile char *hole;

	low = pulse__fork_lowest(pulse__fork_self()->shared, low);
	for (uint32_t i = 0; i < w->helping; i++)
		low = pulse__fork_lowest(w->beneath[i].shared, low);
	hole = __builtin_alloca(here - low + 512);
	hole[0] = 0;
	fn(w);
	hole[0] = 1;
}

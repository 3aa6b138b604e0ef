// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fork.c - the list of forked jobs of a thread, and what a beat does to it.
 *
 * The list is chained by next from self->root to self->tail, oldest first. Its
 * first part, up to self->shared, is shared: those jobs' fn is NULL. They stay
 * in the list until they are joined, so that a join finds prev as it left it.
 *
 * Who writes what
 *	self, fn, arg, next, prev	the forker
 *	run, older, owner, work, low, epoch	the forker, before the job is in its slot
 *	w->slot		NULL -> job: the forker, a release store; job -> NULL:
 *			whoever has it then, by compare-exchange: a thief, or
 *			the forker, who takes it back
 *	running, base, state	who has the job; the thief's last touch of it is its
 *			store of state
 *
 *	forker				thief
 *
 *	write the job			job = CAS(slot, job, NULL)	(L)
 *	(K) slot = job		release	    acquire
 *	    full barrier		read the job, run it
 *	    wake somebody idle	    (M)	state = DONE		release
 *	...				    full barrier
 *	join: CAS(slot, job, NULL)?	    wake the forker, if it parks
 *	  won: run it
 *	  lost: state == DONE?	acquire
 *	        no: help, or announce, full barrier, look again, sleep	(N)
 *
 * K pairs with L: who has the job sees what the forker wrote before. M pairs
 * with the acquire of state: the forker sees what the job wrote. Between M and
 * N it is the parking protocol of backend/park.c. litmus: fork_slot, fork_done;
 * spin: fork_join.
 */
#define PULSE__FORK_TWINS
#include <pulse-u/fork.h>

#include "base/usdt.h"
#include "pool/pool.h"
#include "pool/work.h"

/*
 * So many forks before a heart begins to beat, or a few in so long a time: a
 * small tree is not worth it. The defaults make it 256, or 50 us.
 */
#define PULSE__FORKS(cycles)	((cycles) * 256 / 1000)
#define PULSE__FORK_CYCLES_MAX	(1ULL << 32)
#define PULSE__FORK_HEART_NS	(5 * PULSE__NSEC_PER_USEC)
/* So many tasks in which no beat was heard, and none follows. */
#define PULSE__FORK_DEAF_TASKS	256
/* A worker parks so long with a beating heart. */
#define PULSE__FORK_LINGER_NS	(2 * PULSE__NSEC_PER_MSEC)

/* Words that stand for a heart: not looked at yet, and none. */
static const uint64_t pulse__fork_new = 1, pulse__fork_none;

PULSE__TLS struct pulse_fork_self pulse_fork_self = {
	.beats = &pulse__fork_new,
};

static pthread_once_t pulse__fork_once = PTHREAD_ONCE_INIT;

/* A heart is not there in a forked child: its word may not even be mapped. */
static void pulse__fork_child(void)
{
	struct pulse_fork_self *self = pulse__fork_self();

	if (!self->tail)
		return;
	self->beats = &pulse__fork_none;
	WRITE_ONCE(self->seen, 0);
}

static void pulse__fork_init(void)
{
	pthread_atfork(NULL, NULL, pulse__fork_child);
}

static void pulse__fork_reset(struct pulse_fork_self *self,
			      const uint64_t *beats)
{
	self->tail = &self->root;
	self->shared = &self->root;
	self->beats = beats;
	WRITE_ONCE(self->seen, 0);
}

void pulse__fork_enter(struct pulse__worker *w)
{
	pthread_once(&pulse__fork_once, pulse__fork_init);
	w->running = NULL;
	w->call = NULL;
	w->frame = NULL;
	WRITE_ONCE(w->beating, false);
	w->warm = 0;
	w->half_stack = 0;
	pulse__fork_reset(pulse__fork_self(), w->pool->may_share ?
			  &pulse__fork_new : &pulse__fork_none);
}

void pulse__fork_leave(struct pulse__worker *w)
{
	pulse__ask_end(w);
	/* The beats end with the worker. */
	WRITE_ONCE(w->beating, false);
	pulse__fork_reset(pulse__fork_self(), &pulse__fork_none);
}

int64_t pulse__fork_rest_at(const struct pulse__worker *w)
{
	return likely(!w->beating) ? PULSE_FOREVER :
	       pulse_now_ns() + PULSE__FORK_LINGER_NS;
}

void pulse__fork_rest(struct pulse__worker *w)
{
	struct pulse_fork_self *self = pulse__fork_self();

	if (!w->beating)
		return;
	WRITE_ONCE(w->beating, false);
	pulse__ask_end(w);
	if (!w->pool->beats)
		pulse_worker_beat(w->pool->ctx, w->index, 0);
	self->beats = &pulse__fork_new;
	WRITE_ONCE(self->seen, 0);
}

void pulse__fork_still(struct pulse__worker *w)
{
	const struct pulse_fork_self *self = pulse__fork_self();
	uint64_t seen = READ_ONCE(self->seen);

	/* Whoever forks hears the beat that waits. */
	if (seen != w->heard || READ_ONCE(*self->beats) == seen) {
		w->heard = seen;
		w->heard_at = w->executed;
	} else if (w->executed - w->heard_at >= PULSE__FORK_DEAF_TASKS) {
		pulse__fork_rest(w);
	}
}

/* As fast as it was wished for, or as the backend will do. */
static int pulse__fork_begin_beat(const struct pulse__worker *w)
{
	uint64_t ns = w->beat_us * 1000ULL;
	int err;

	do {
		err = pulse__worker_listen(w->pool->ctx, w->index, ns);
		ns *= 2;
	} while (err == -EINVAL && ns <= PULSE_MAX_BEAT_NS);
	return err;
}

/* Nothing will beat; but a knob may be turned. */
static void pulse__fork_deaf(struct pulse__worker *w,
			     struct pulse_fork_self *self, uint64_t changed)
{
	self->beats = &w->pool->knobs.changed;
	WRITE_ONCE(self->seen, changed);
}

static bool pulse__fork_parked(const struct pulse_pool *pool)
{
	return pulse__any_idle(pool->ctx, pool->members) ||
	       pulse__any_idle(pool->ctx, pool->joiners);
}

/*
 * What has been heard. While nobody is parked its heart is not told, but that the
 * beat before was, and beats less: who is awake and wants something asks.
 */
static void pulse__fork_hear(const struct pulse__worker *w,
			     struct pulse_fork_self *self)
{
	struct pulse_ctx *ctx = w->pool->ctx;
	uint64_t beats = READ_ONCE(*self->beats);

	WRITE_ONCE(self->seen, beats);
	if (pulse__fork_parked(w->pool))
		pulse__beat_heard(ctx, w->index, beats);
	else
		pulse__beat_enough(ctx, w->index, beats);
}

enum pulse__warm {
	PULSE__WARM_NOT,
	PULSE__WARM_LONG,	/* a few forks, but long ones */
	PULSE__WARM_MANY,
};

/* One more fork, or poll. Is it time? Looks at the clock at powers of two. */
static enum pulse__warm pulse__fork_warm(struct pulse__worker *w)
{
	const struct pulse__knobs *k = &w->pool->knobs;
	uint64_t cycles = READ_ONCE(k->min_work_cycles);
	uint32_t n = ++w->warm;

	if (cycles > PULSE__FORK_CYCLES_MAX)
		cycles = PULSE__FORK_CYCLES_MAX;
	if (n >= PULSE__FORKS(cycles))
		return PULSE__WARM_MANY;
	if (n == 1)
		w->warm_since = pulse_now_ns();
	if (n & (n - 1) || pulse_now_ns() - w->warm_since <
			   READ_ONCE(k->promotion_threshold) *
			   PULSE__FORK_HEART_NS)
		return PULSE__WARM_NOT;
	return PULSE__WARM_LONG;
}

/* The worker forks and its heart does not beat. True: a beat is over. */
static bool pulse__fork_start(struct pulse__worker *w,
			      struct pulse_fork_self *self, uint64_t changed)
{
	enum pulse__warm warm = pulse__fork_warm(w);
	int err;

	if (likely(warm == PULSE__WARM_NOT))
		return false;
	w->warm = 0;
	self->beats = w->pool->beats;
	if (!self->beats) {
		err = pulse__fork_begin_beat(w);
		if (err) {
			pulse__warn_once("pool %s: no heartbeat, so forked jobs are not shared: %s",
					 w->pool->name, pulse_strerror(err));
			pulse__fork_deaf(w, self, changed);
			return false;
		}
		self->beats = pulse_worker_beats(w->pool->ctx, w->index);
	}
	pulse__fork_hear(w, self);
	w->heard = READ_ONCE(self->seen);
	w->heard_at = w->executed;
	WRITE_ONCE(w->beating, true);
	pulse__ask_begin(w, self);
	return warm == PULSE__WARM_LONG;
}

/* Is it time to share? */
static bool pulse__fork_beat(struct pulse__worker *w,
			     struct pulse_fork_self *self)
{
	const struct pulse__knobs *k = &w->pool->knobs;
	/* pairs with knobs.c:pulse__knobs_changed */
	uint64_t changed = pulse__load_acquire(&k->changed);
	uint32_t us = READ_ONCE(k->heartbeat_us);

	if (!us) {
		pulse__fork_rest(w);
		pulse__fork_deaf(w, self, changed);
		return false;
	}
	if (unlikely(READ_ONCE(k->force_promotion))) {
		/* Without a heart each fork asks. */
		pulse__fork_rest(w);
		self->beats = &pulse__fork_new;
		WRITE_ONCE(self->seen, 0);
		return true;
	}
	if (!w->beating) {
		WRITE_ONCE(w->beat_us, us);
		self->beats = &pulse__fork_new;
		WRITE_ONCE(self->seen, 0);
		return pulse__fork_start(w, self, changed);
	}
	if (unlikely(us != w->beat_us))
		pulse__fork_rest(w);	/* begins anew, as it is wished for now */
	else
		pulse__fork_hear(w, self);
	return true;
}

static void pulse__fork_share(struct pulse__worker *w,
			      struct pulse_fork_self *self)
{
	struct pulse_job *job;

	if (pulse__pool_state(w->pool) >= PULSE__POOL_STOPPING)
		return;
	/* While one lies there, nobody was hungry, or nobody was told. */
	if (!READ_ONCE(w->slot)) {
		if (self->shared == self->tail)
			return;
		job = self->shared->next;
		job->run = job->fn;
		job->older = self->shared;
		job->owner = w;
		job->low = (uintptr_t)__builtin_frame_address(0);
		job->epoch = w->epoch;
		job->work = pulse__work_top;
		job->state = PULSE__JOB_OPEN;
		job->fn = NULL;
		self->shared = job;
		pulse__count_own(&w->jobs_shared);
		PULSE__PROBE2(fork_share, w->number, job->run);
		/* K: pairs with join.c:pulse__fork_take, litmus: fork_slot */
		pulse__store_release(&w->slot, job);
	}
	/* (A): pairs with (B) in backend/park.c, litmus: park_wake */
	pulse__full_barrier();
	pulse__pool_notify_job(w);
}

void pulse_fork_heard(void)
{
	struct pulse_fork_self *self = pulse__fork_self();
	struct pulse__worker *w = pulse__pool_self;

	if (unlikely(!self->tail))
		pulse__fork_reset(self, &pulse__fork_none);
	/* In a hook there is no task that the job could belong to. */
	if (!w || !w->in_task || !w->pool->may_share)
		return;
	if (pulse__fork_beat(w, self))
		pulse__fork_share(w, self);
}

int pulse_fork_slow(struct pulse_job *job, pulse_task_fn fn, void *arg)
{
	struct pulse_fork_self *self = pulse__fork_self();

	if (!job || !fn)
		return -EINVAL;
	if (unlikely(!self->tail))
		pulse__fork_reset(self, &pulse__fork_none);
	job->fn = fn;
	job->arg = arg;
	job->prev = self->tail;
	job->prev->next = job;
	self->tail = job;
	/* It counts already: it may be the oldest. */
	if (PULSE__FORK_DUE(self))
		pulse_fork_heard();
	return 0;
}

int pulse_join2_slow(pulse_task_fn a, void *arg_a, pulse_task_fn b, void *arg_b)
{
	struct pulse_job job;
	int err = a ? pulse_fork_slow(&job, b, arg_b) : -EINVAL;

	if (err)
		return err;
	a(arg_a);
	return pulse_join(&job);
}

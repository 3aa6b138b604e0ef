// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * run.c - from mailbox to handler.
 */
#include <pulse-u/affinity.h>

#include "actor/actor.h"
#include "backend/backend.h"
#include "pool/pool.h"
#include "pool/predict.h"

__thread struct pulse_actor *pulse__actor_self
	__attribute__((tls_model("initial-exec")));

#define PULSE__OVER_BATCH	16

/* The calling worker's, where it is inside a task of this system; or NULL. */
static struct pulse__arunner *pulse__arunner_self(struct pulse_actors *sys)
{
	struct pulse__worker *w = pulse__pool_self;

	if (!w || w->pool != sys->pool || !sys->runner[w->number].depth)
		return NULL;
	return &sys->runner[w->number];
}

/* ---- into the pool ----------------------------------------------------------- */

/* The timer looks after slots and overflow while there is anything going on. */
static void pulse__actors_tick_on(struct pulse_actors *sys)
{
	if (likely(READ_ONCE(sys->ticking)) ||
	    __atomic_exchange_n(&sys->ticking, 1, __ATOMIC_SEQ_CST))
		return;
	pulse_timer_service_arm(sys->timers, &sys->tick,
				pulse_now_ns() + PULSE__ACTOR_TICK_NS, 0);
}

static void pulse__actor_to_overflow(struct pulse_actor *a)
{
	struct pulse_actors *sys = a->sys;

	pthread_mutex_lock(&sys->over_lock);
	/* Perhaps it is there still: somebody ran it where it was not queued. */
	if (!a->over) {
		a->over = true;
		a->next = NULL;
		*sys->over_last = a;
		sys->over_last = &a->next;
		WRITE_ONCE(sys->nr_over, sys->nr_over + 1);
	}
	pthread_mutex_unlock(&sys->over_lock);
	pulse__actors_tick_on(sys);
}

static struct pulse_actor *pulse__overflow_pop(struct pulse_actors *sys)
{
	struct pulse_actor *a;

	if (likely(!READ_ONCE(sys->nr_over)))
		return NULL;
	pthread_mutex_lock(&sys->over_lock);
	a = sys->over;
	if (a) {
		a->over = false;
		sys->over = a->next;
		if (!sys->over)
			sys->over_last = &sys->over;
		WRITE_ONCE(sys->nr_over, sys->nr_over - 1);
	}
	pthread_mutex_unlock(&sys->over_lock);
	return a;
}

/* @fair: behind all others, not on top of the own deque. */
static int pulse__actor_submit(struct pulse_actor *a, bool fair)
{
	struct pulse_actors *sys = a->sys;
	int err;

	if (!sys->own_pool)
		__atomic_fetch_add(&sys->tasks, 1, __ATOMIC_RELAXED);
	err = fair ? pulse__submit_steered(sys->pool, pulse__actor_task, a, true) :
		     pulse_pool_submit(sys->pool, pulse__actor_task, a);
	if (err && !sys->own_pool)
		__atomic_fetch_sub(&sys->tasks, 1, __ATOMIC_RELEASE);
	return err;
}

static void pulse__actor_to_pool(struct pulse_actor *a, bool fair)
{
	if (unlikely(pulse__actor_submit(a, fair)))
		pulse__actor_to_overflow(a);
}

static void pulse__actor_to_thread(struct pulse_actor *a)
{
	struct pulse__athread *t = a->thread;

	pthread_mutex_lock(&t->lock);
	a->next = NULL;
	*t->last = a;
	t->last = &a->next;
	if (t->asleep) {
		t->asleep = 0;
		__atomic_fetch_add(&t->seq, 1, __ATOMIC_RELAXED);
		pulse__futex_wake(&t->seq, 1);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Somewhere where it will be run. */
static void pulse__actor_queue(struct pulse_actor *a, bool fair)
{
	struct pulse_actors *sys = a->sys;
	struct pulse__arunner *r;

	/* release: who runs it sees what it is */
	__atomic_store_n(&a->run, PULSE__RUN_QUEUED, __ATOMIC_RELEASE);
	if (a->thread) {
		pulse__actor_to_thread(a);
		return;
	}
	r = fair || sys->det ? NULL : pulse__arunner_self(sys);
	if (r) {
		/* acquire and release: for the one that takes it, and ours */
		a = __atomic_exchange_n(&r->slot, a, __ATOMIC_ACQ_REL);
		pulse__actors_tick_on(sys);
		if (!a)
			return;
	}
	pulse__actor_to_pool(a, fair);
}

void pulse__actor_activate(struct pulse_actor *a)
{
	pulse__actor_queue(a, false);
}

void pulse__actor_nudge(struct pulse_actor *a)
{
	uintptr_t rest = PULSE__INBOX_REST;

	/* A: pairs with B in pulse__actor_rest */
	if (pulse__cas(&a->inbox, &rest, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		pulse__actor_activate(a);
}

/* ---- muting ------------------------------------------------------------------- */

/*
 *	who is muted			on whom
 *	run = MUTED			queued goes down to half
 *	into its list			takes the list
 *	queued low already? takes
 *	the list itself
 * All seq_cst: one of them takes it; whoever is in it goes on.
 */
void pulse__actor_unmute(struct pulse_actor *a)
{
	struct pulse_actor *m, *next;

	if (likely(!__atomic_load_n(&a->muted, __ATOMIC_SEQ_CST)))
		return;
	m = __atomic_exchange_n(&a->muted, NULL, __ATOMIC_SEQ_CST);
	for (; m; m = next) {
		next = m->mute_next;
		pulse__actor_queue(m, true);
	}
}

static bool pulse__actor_low(struct pulse_actor *a)
{
	const struct pulse__atype *t = READ_ONCE(a->type);

	return __atomic_load_n(&a->queued, __ATOMIC_SEQ_CST) <=
	       t->opts.mailbox_limit / 2;
}

/* It is nobody's afterwards. */
static void pulse__actor_mute(struct pulse_actor *a)
{
	struct pulse_actor *on = a->mute_on;

	a->mute_on = NULL;
	pulse__add_relaxed(&a->sys->muted, 1);
	__atomic_store_n(&a->run, PULSE__RUN_MUTED, __ATOMIC_SEQ_CST);
	/* Who waits for one that waits could wait for itself. */
	pulse__actor_unmute(a);
	a->mute_next = __atomic_load_n(&on->muted, __ATOMIC_RELAXED);
	while (!pulse__cas(&on->muted, &a->mute_next, a, __ATOMIC_SEQ_CST,
			   __ATOMIC_RELAXED))
		;
	if (pulse__actor_low(on) ||
	    __atomic_load_n(&on->run, __ATOMIC_SEQ_CST) == PULSE__RUN_MUTED)
		pulse__actor_unmute(on);
}

/* ---- running one ---------------------------------------------------------------- */

/* All new messages, oldest first. False: none. */
static bool pulse__actor_fetch(struct pulse_actor *a)
{
	struct pulse__amsg *m, *next, *oldest = NULL;

	if (!READ_ONCE(a->inbox))
		return false;
	/* acquire: pairs with the release of send.c:pulse__amsg_push */
	m = (struct pulse__amsg *)__atomic_exchange_n(&a->inbox, 0,
						      __ATOMIC_ACQUIRE);
	for (; m; m = next) {
		next = m->next;
		m->next = oldest;
		oldest = m;
	}
	a->local = oldest;
	return oldest;
}

/* Nothing to do. True: it rests, and is not the caller's any more. */
static bool pulse__actor_rest(struct pulse_actor *a)
{
	uintptr_t none = 0, rest = PULSE__INBOX_REST;

	__atomic_store_n(&a->run, PULSE__RUN_REST, __ATOMIC_RELAXED);
	/* also a release: the next one to run it sees all that we did */
	if (!pulse__cas(&a->inbox, &none, PULSE__INBOX_REST, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED)) {
		__atomic_store_n(&a->run, PULSE__RUN_RUNNING, __ATOMIC_RELAXED);
		return false;
	}
	/* B: pairs with A in pulse__actor_nudge */
	if (likely(!__atomic_load_n(&a->stop, __ATOMIC_SEQ_CST)) ||
	    !pulse__cas(&a->inbox, &rest, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return true;
	__atomic_store_n(&a->run, PULSE__RUN_RUNNING, __ATOMIC_RELAXED);
	return false;
}

static void pulse__actor_done(struct pulse_actor *a, uint32_t counted)
{
	if (!counted)
		return;
	__atomic_fetch_sub(&a->queued, counted, __ATOMIC_SEQ_CST);
	if (unlikely(READ_ONCE(a->muted)) && pulse__actor_low(a))
		pulse__actor_unmute(a);
}

/* Several of the next messages, where the type wants them so. How many. */
static uint32_t pulse__actor_batch(struct pulse_actor *a, uint32_t budget)
{
	const struct pulse_actor_msg *view[PULSE__ACTOR_BUDGET];
	struct pulse__amsg *m = a->local, *next;
	uint32_t n = 0, counted = 0;

	if (budget > PULSE__ACTOR_BUDGET)
		budget = PULSE__ACTOR_BUDGET;
	for (; m && n < budget && m->view.kind == PULSE_ACTOR_SEND &&
	       m->target == a->ref; m = m->next)
		view[n++] = &m->view;
	if (!n)
		return 0;
	a->handled += n;
	a->type->opts.receive_batch(a, view, n);
	for (uint32_t i = 0; i < n; i++) {
		next = a->local->next;
		counted += a->local->view.reserved;
		pulse__amsg_free(a->sys, a->local, 0);
		a->local = next;
	}
	pulse__actor_done(a, counted);
	return n;
}

static PULSE__INLINE void pulse__actor_one(struct pulse_actor *a)
{
	struct pulse__amsg *m = a->local;
	uint32_t counted = m->view.reserved;

	a->local = m->next;
	if (a->local)
		__builtin_prefetch(a->local);
	if (unlikely(m->target != a->ref)) {
		/* For one that was here before. */
		pulse__add_relaxed(&a->sys->dead_letters, 1);
		pulse__amsg_free(a->sys, m, -ESRCH);
	} else {
		a->now = m;
		a->handled++;
		a->type->opts.receive(a, &m->view);
		a->now = NULL;
		pulse__amsg_free(a->sys, m, READ_ONCE(a->stop) ? -ESRCH : -ENOMSG);
	}
	pulse__actor_done(a, counted);
}

/*
 * Runs an actor that the caller moved to RUNNING, for as long as its budget
 * lasts; then it rests, is queued again, muted or dead. How many messages.
 */
static uint32_t pulse__actor_run(struct pulse_actor *a)
{
	struct pulse_actor *outer = pulse__actor_self;
	const struct pulse__atype *t = a->type;
	uint32_t left = t->opts.budget, n = 0, got;

	pulse__actor_self = a;
	for (;;) {
		uint64_t stop = READ_ONCE(a->stop);

		if (unlikely(stop)) {
			pulse__actor_die(a, PULSE__STOP_REASON(stop));
			break;
		}
		if (!a->local && !pulse__actor_fetch(a)) {
			if (unlikely(a->timeout) && n)
				pulse__timeout_active(a);
			if (pulse__actor_rest(a))
				break;
			continue;
		}
		if (!left) {
			if (unlikely(a->timeout))
				pulse__timeout_active(a);
			pulse__actor_queue(a, true);
			break;
		}
		got = t->opts.receive_batch ? pulse__actor_batch(a, left) : 0;
		if (!got) {
			pulse__actor_one(a);
			got = 1;
		}
		left -= got;
		n += got;
		if (unlikely(a->mute_on)) {
			if (READ_ONCE(a->stop))
				continue;
			pulse__actor_mute(a);
			break;
		}
	}
	pulse__actor_self = outer;
	return n;
}

/* Moves it to RUNNING where it is queued. */
static bool pulse__actor_claim(struct pulse_actor *a)
{
	uint32_t queued = PULSE__RUN_QUEUED;

	/* acquire: pairs with pulse__actor_queue */
	return pulse__cas(&a->run, &queued, PULSE__RUN_RUNNING,
			  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

bool pulse__actor_run_here(struct pulse_actor *a)
{
	struct pulse__arunner *r;
	uint32_t nr;

	if (a->thread || !pulse__actor_claim(a))
		return false;
	r = pulse__arunner_self(a->sys);
	if (r) {
		WRITE_ONCE(r->turns, r->turns + 1);
		nr = pulse__actor_run(a);
		WRITE_ONCE(r->handled, r->handled + nr);
	} else {
		pulse__actor_run(a);
	}
	return true;
}

void pulse__actor_task(void *arg)
{
	struct pulse_actor *a = arg;
	struct pulse_actors *sys = a->sys;
	struct pulse__arunner *r = &sys->runner[pulse__pool_self->number];
	int hops = 0;
	uint32_t nr;

	WRITE_ONCE(r->depth, r->depth + 1);
	do {
		WRITE_ONCE(r->turns, r->turns + 1);
		if (pulse__actor_claim(a)) {
			nr = pulse__actor_run(a);
			WRITE_ONCE(r->handled, r->handled + nr);
		}
		a = NULL;
		if (READ_ONCE(r->slot))
			a = __atomic_exchange_n(&r->slot, NULL,
						__ATOMIC_ACQ_REL);
		if (!a)
			a = pulse__overflow_pop(sys);
	} while (a && ++hops < PULSE__ACTOR_HOPS);
	WRITE_ONCE(r->depth, r->depth - 1);
	if (a)
		pulse__actor_to_pool(a, true);
	if (!sys->own_pool)
		/* release: pairs with the wait of pulse_actors_destroy */
		__atomic_fetch_sub(&sys->tasks, 1, __ATOMIC_RELEASE);
}

/*
 * A worker that began nothing since the last time stays in a handler: what
 * waits in its slot goes to the others. What did not get into the pool tries
 * again.
 */
void pulse__actors_tick(struct pulse_timer *timer, void *arg)
{
	struct pulse_actors *sys = arg;
	bool busy = READ_ONCE(sys->nr_over) != 0;
	struct pulse_actor *a;

	for (uint32_t i = 0; i < sys->nr_runners; i++) {
		struct pulse__arunner *r = &sys->runner[i];
		uint32_t turns = READ_ONCE(r->turns);

		busy |= READ_ONCE(r->depth) || READ_ONCE(r->slot);
		if (turns == r->seen && READ_ONCE(r->slot)) {
			a = __atomic_exchange_n(&r->slot, NULL, __ATOMIC_ACQ_REL);
			if (a) {
				pulse__add_relaxed(&sys->rescued, 1);
				pulse__actor_to_pool(a, false);
			}
		}
		r->seen = turns;
	}
	for (int i = 0; i < PULSE__OVER_BATCH; i++) {
		a = pulse__overflow_pop(sys);
		if (!a)
			break;
		if (pulse__actor_submit(a, false)) {
			pulse__actor_to_overflow(a);
			break;
		}
	}
	if (!busy) {
		__atomic_store_n(&sys->ticking, 0, __ATOMIC_SEQ_CST);
		/* Put in between the look and the store? */
		for (uint32_t i = 0; i < sys->nr_runners; i++)
			busy |= READ_ONCE(sys->runner[i].slot) != NULL;
		if ((!busy && !READ_ONCE(sys->nr_over)) ||
		    __atomic_exchange_n(&sys->ticking, 1, __ATOMIC_SEQ_CST))
			return;
	}
	pulse_timer_service_arm(sys->timers, timer,
				pulse_now_ns() + PULSE__ACTOR_TICK_NS, 0);
}

/* ---- threads of the system --------------------------------------------------------- */

void *pulse__athread_main(void *arg)
{
	struct pulse__athread *t = arg;
	struct pulse_actor *a;
	uint32_t cpu;

	pthread_setname_np(pthread_self(), t->name);
	cpu = (uint32_t)t->cpu;
	if (t->cpu >= 0 && pulse_thread_set_current_affinity(&cpu, 1))
		pulse_log(PULSE_LOG_WARN, "%s: cannot be bound to CPU %d",
			  t->name, t->cpu);
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		uint32_t seq;

		a = t->first;
		if (a) {
			t->first = a->next;
			if (!t->first)
				t->last = &t->first;
			pthread_mutex_unlock(&t->lock);
			if (pulse__actor_claim(a))
				WRITE_ONCE(t->handled,
					   t->handled + pulse__actor_run(a));
			pthread_mutex_lock(&t->lock);
			continue;
		}
		t->asleep = 1;
		seq = READ_ONCE(t->seq);
		pthread_mutex_unlock(&t->lock);
		pulse__futex_wait(&t->seq, seq, PULSE_FOREVER);
		pthread_mutex_lock(&t->lock);
		t->asleep = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int pulse__actor_thread_id(const struct pulse_actor *a)
{
	const struct pulse__worker *w = pulse__pool_self;

	if (a->thread)
		return a->thread->number;
	return PULSE__ACTOR_THREADS + (w ? (int)w->number : 0);
}

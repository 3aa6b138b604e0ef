// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * run.c - from mailbox to handler.
 */
#include <pulse-u/affinity.h>

#include "actor/actor.h"
#include "backend/backend.h"
#include "pool/pool.h"

__thread struct pulse_actor *pulse__actor_self
	__attribute__((tls_model("initial-exec")));

__thread struct pulse__arunner *pulse__actor_runner
	__attribute__((tls_model("initial-exec")));

void pulse__actor_requeue(struct pulse_actor *a, bool fair)
{
	/* release: who runs it sees what it is */
	__atomic_fetch_or(&a->inbox, PULSE__INBOX_QUEUED |
			  (a->local ? PULSE__INBOX_KEPT : 0), __ATOMIC_ACQ_REL);
	pulse__actor_place(a, fair);
}

void pulse__actor_nudge(struct pulse_actor *a)
{
	uintptr_t rest = PULSE__INBOX_REST;

	/* A: pairs with B in pulse__actor_rest */
	if (pulse__cas(&a->inbox, &rest, PULSE__INBOX_QUEUED, __ATOMIC_SEQ_CST,
		       __ATOMIC_SEQ_CST))
		pulse__actor_place(a, false);
}

/* ---- muting ------------------------------------------------------------------- */

/*
 *	who is muted			on whom
 *	waits = 1			queued goes down to half
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
		__atomic_store_n(&m->waits, 0, __ATOMIC_RELAXED);
		pulse__actor_requeue(m, true);
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
	__atomic_store_n(&a->waits, 1, __ATOMIC_SEQ_CST);
	/* Who waits for one that waits could wait for itself. */
	pulse__actor_unmute(a);
	a->mute_next = __atomic_load_n(&on->muted, __ATOMIC_RELAXED);
	while (!pulse__cas(&on->muted, &a->mute_next, a, __ATOMIC_SEQ_CST,
			   __ATOMIC_RELAXED))
		;
	if (pulse__actor_low(on) || __atomic_load_n(&on->waits, __ATOMIC_SEQ_CST))
		pulse__actor_unmute(on);
}

/* ---- running one ---------------------------------------------------------------- */

/* Newest first to oldest first. */
static PULSE__INLINE struct pulse__amsg *pulse__turned(struct pulse__amsg *m)
{
	struct pulse__amsg *next, *oldest = NULL;

	for (; m; m = next) {
		next = m->next;
		m->next = oldest;
		oldest = m;
	}
	return oldest;
}

/* All new messages, oldest first. False: none. */
static bool pulse__actor_fetch(struct pulse_actor *a)
{
	if (!READ_ONCE(a->inbox))
		return false;
	/* acquire: pairs with the release of send.c:pulse__amsg_push */
	a->local = pulse__turned((struct pulse__amsg *)
		__atomic_exchange_n(&a->inbox, 0, __ATOMIC_ACQUIRE));
	return a->local;
}

/*
 * All urgent ones, in their order, go before the others; but after so many of
 * them one of the others has its turn. The whole lot is AHEAD, and the next lot
 * is not taken before this one is done: so they stay in their order.
 */
static PULSE__NOINLINE void pulse__actor_ahead(struct pulse_actor *a)
{
	struct pulse__amsg *u, *m, *first = NULL, **last = &first;
	uint32_t row, nr = 0;

	if (!a->local)
		pulse__actor_fetch(a);
	/* acquire: pairs with send.c:pulse__amsg_put_urgent */
	u = pulse__turned(__atomic_exchange_n(&a->urgent, NULL,
					      __ATOMIC_ACQUIRE));
	row = (uint16_t)a->handled == a->overtook_at ? a->overtook : 0;
	for (; u; nr++, last = &m->next) {
		if (row >= PULSE__URGENT_ROW && a->local) {
			m = a->local;
			a->local = m->next;
			row = 0;
		} else {
			m = u;
			u = m->next;
			row++;
		}
		m->view.reserved |= PULSE__AMSG_AHEAD;
		*last = m;
	}
	*last = a->local;
	a->local = first;
	a->overtook_at = (uint16_t)(a->handled + nr);
	a->overtook = (uint16_t)row;
}

/* Nothing to do. True: it rests, and is not the caller's any more. */
static bool pulse__actor_rest(struct pulse_actor *a, uint64_t ref)
{
	uintptr_t none = 0, rest = PULSE__INBOX_REST;

	/* also a release: the next one to run it sees all that we did */
	if (!pulse__cas(&a->inbox, &none, PULSE__INBOX_REST, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED))
		return false;
	/* B: pairs with A in pulse__actor_nudge */
	if (likely(!pulse__actor_wanted(a, ref)) ||
	    !pulse__cas(&a->inbox, &rest, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return true;
	if (likely(READ_ONCE(a->ref) == ref))
		return false;
	/* While it rested it ended, and another one began and rests here. */
	pulse__actor_requeue(a, false);
	return true;
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
	a->batch = true;
	a->type->opts.receive_batch(a, view, n);
	a->batch = false;
	for (uint32_t i = 0; i < n; i++) {
		next = a->local->next;
		counted += a->local->view.reserved & PULSE__AMSG_COUNTED;
		pulse__amsg_free(a->sys, a->local, 0);
		a->local = next;
	}
	pulse__actor_done(a, counted);
	return n;
}

static PULSE__INLINE void pulse__actor_one(struct pulse_actor *a,
					   struct pulse_actors *sys,
					   uint64_t ref)
{
	struct pulse__amsg *m = a->local;
	uint32_t counted = m->view.reserved & PULSE__AMSG_COUNTED;

	a->local = m->next;
	if (a->local)
		__builtin_prefetch(a->local);
	if (unlikely(m->target != ref)) {
		/* For one that was here before. */
		pulse__add_relaxed(&sys->dead_letters, 1);
		pulse__amsg_free(sys, m, -ESRCH);
	} else if (unlikely(a->timeout) && m->view.kind == PULSE_ACTOR_TIMEOUT &&
		   !pulse__timeout_stands(a)) {
		pulse__amsg_free(sys, m, 0);
	} else {
		a->now = m;
		a->handled++;
		a->receive(a, &m->view);
		if (likely(a->now)) {
			a->now = NULL;
			pulse__amsg_free(sys, m, pulse__actor_stopped(
				READ_ONCE(a->stop), ref) ? -ESRCH : -ENOMSG);
		}
	}
	pulse__actor_done(a, counted);
}

/* As many once more, and then for as long as that is short. */
static PULSE__NOINLINE bool pulse__actor_more_time(int64_t *until)
{
	int64_t now = pulse_now_ns();

	if (*until)
		return now < *until;
	*until = now + PULSE__ACTOR_MORE_NS;
	return true;
}

/* Others have their turn first: here, or where its messages go. */
static void pulse__actor_turn_over(struct pulse_actor *a)
{
	struct pulse__arunner *r = pulse__arunner_self(a->sys);
	bool follow = r && r->abroad && !a->thread;

	if (likely(!follow) || !pulse__arunner_follow(r, a))
		pulse__actor_requeue(a, true);
}

/*
 * Runs an actor that the caller claimed, for as long as its budget lasts; then
 * it rests, is queued again, muted or dead. How many messages. Of those that it
 * has taken out of its mailbox already it may do more: who gets less in its turn
 * than its senders send in theirs never comes to the end.
 */
static uint32_t pulse__actor_run(struct pulse_actor *a)
{
	struct pulse_actor *outer = pulse__actor_self;
	/* What senders' writes would take from this CPU again and again. */
	struct pulse_actors *const sys = a->sys;
	const struct pulse__atype *const t = a->type;
	const uint64_t ref = a->ref;
	uint32_t left = t->opts.budget, n = 0, got;
	int64_t until = 0;

	pulse__actor_self = a;
	for (;;) {
		/* acquire: pairs with who stops it; its end sees what that one did */
		uint64_t stop = pulse__load_acquire(&a->stop);

		if (unlikely(pulse__actor_stopped(stop, ref))) {
			pulse__actor_die(a, PULSE__STOP_REASON(stop));
			break;
		}
		if (unlikely(READ_ONCE(a->urgent)) &&
		    !(a->local && a->local->view.reserved & PULSE__AMSG_AHEAD))
			pulse__actor_ahead(a);
		if (unlikely(!left)) {
			if (a->local && pulse__actor_more_time(&until)) {
				left = t->opts.budget;
			} else if (a->local || READ_ONCE(a->inbox)) {
				if (unlikely(a->timeout))
					pulse__timeout_active(a);
				pulse__actor_turn_over(a);
				break;
			}
		}
		if (!a->local && !pulse__actor_fetch(a)) {
			if (unlikely(a->timeout) && n)
				pulse__timeout_active(a);
			if (pulse__actor_rest(a, ref))
				break;
			continue;
		}
		got = t->opts.receive_batch && a->receive == t->opts.receive ?
		      pulse__actor_batch(a, left) : 0;
		if (!got) {
			pulse__actor_one(a, sys, ref);
			got = 1;
		}
		left -= got;
		n += got;
		if (unlikely(a->mute_on)) {
			if (pulse__actor_stopped(READ_ONCE(a->stop), ref))
				continue;
			pulse__actor_mute(a);
			break;
		}
	}
	pulse__actor_self = outer;
	return n;
}

/* It is the caller's to run, where it is queued; with what it has in local. */
static PULSE__INLINE bool pulse__actor_claim(struct pulse_actor *a)
{
	uintptr_t old = READ_ONCE(a->inbox), new;

	do {
		if (!(old & PULSE__INBOX_QUEUED))
			return false;
		new = unlikely(old & PULSE__INBOX_KEPT) ?
		      (uintptr_t)PULSE__INBOX_LIST(old) : 0;
		/*
		 * acquire: pairs with whoever queued it, and by way of that with
		 * who ran it last
		 */
	} while (!pulse__cas(&a->inbox, &old, new, __ATOMIC_ACQUIRE,
			     __ATOMIC_RELAXED));
	if (likely(!(old & PULSE__INBOX_KEPT)))
		a->local = pulse__turned(PULSE__INBOX_LIST(old));
	return true;
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

/* In a list of threads' only once, and only while it is queued. Lock held. */
void pulse__athread_put(struct pulse__athread *t, struct pulse_actor *a)
{
	if (a->listed)
		return;
	a->listed = true;
	a->next = NULL;
	*t->last = a;
	t->last = &a->next;
	if (!t->asleep)
		return;
	t->asleep = 0;
	__atomic_fetch_add(&t->seq, 1, __ATOMIC_RELAXED);
	pulse__futex_wake(&t->seq, 1);
}

/*
 * The pool had still a note of another actor that was here, and what it claimed
 * belongs to a thread. That one perhaps found it claimed, and forgot it.
 */
static PULSE__COLD void pulse__actor_put_back(struct pulse_actor *a)
{
	struct pulse__athread *t = a->thread;

	pthread_mutex_lock(&t->lock);
	__atomic_fetch_or(&a->inbox, PULSE__INBOX_QUEUED |
			  (a->local ? PULSE__INBOX_KEPT : 0), __ATOMIC_ACQ_REL);
	pulse__athread_put(t, a);
	pthread_mutex_unlock(&t->lock);
}

static void pulse__arunner_go(struct pulse_actors *sys, struct pulse_actor *a,
			      struct pulse__arunner *from)
{
	struct pulse__arunner *r = &sys->runner[pulse__pool_self->number];
	struct pulse__arunner *outer = pulse__actor_runner;
	uint32_t hops = 0;
	int64_t until = 0;

	if (!r->depth)
		r->watched = false;
	WRITE_ONCE(r->depth, r->depth + 1);
	pulse__actor_runner = r;
	if (from)
		a = pulse__arunner_steal(r, from);
	for (; a; a = pulse__arunner_next(r, ++hops, &until)) {
		WRITE_ONCE(r->turns, r->turns + 1);
		if (!pulse__actor_claim(a))
			continue;
		if (a->home != r->home)
			WRITE_ONCE(a->home, r->home);
		r->abroad = 0;
		if (unlikely(a->thread))
			pulse__actor_put_back(a);
		else
			WRITE_ONCE(r->handled, r->handled + pulse__actor_run(a));
	}
	pulse__arunner_leave(r);
	pulse__actor_runner = outer;
	if (!sys->own_pool)
		/* release: pairs with the wait of pulse_actors_destroy */
		__atomic_fetch_sub(&sys->tasks, 1, __ATOMIC_RELEASE);
}

void pulse__actor_task(void *arg)
{
	struct pulse_actor *a = arg;

	/* It comes from another CPU, perhaps: all of it at once. */
	for (size_t at = 0; at < sizeof(*a); at += PULSE_CACHE_LINE)
		pulse__fetch_to_write((char *)arg + at);
	pulse__arunner_go(a->sys, a, NULL);
}

void pulse__actor_more(void *arg)
{
	struct pulse__arunner *from = arg;

	pulse__arunner_go(from->sys, NULL, from);
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
			a->listed = false;
			/* Under the lock: see pulse__actor_put_back. */
			if (!pulse__actor_claim(a))
				continue;
			pthread_mutex_unlock(&t->lock);
			WRITE_ONCE(t->handled, t->handled + pulse__actor_run(a));
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

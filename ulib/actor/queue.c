// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * queue.c - where an actor waits until it is run.
 *
 * An actor that a running one sends to stays with its worker: in the slot, run
 * next; who stood there goes behind those in the worker's queue. Nobody else
 * need know of them, so a message costs what it costs in one thread. For others
 * to have work too there is a task of the pool's for each runner, "more": who
 * runs it steals half of the runner's queue. It is asked for
 *
 *  - when the worker's task ends and its queue is not empty;
 *  - when a worker has nothing to do, and those in the queue have waited longer
 *    than it takes to bring them to another cache: the worker notes how far the
 *    queue reached and when, and looks whether it has come so far (surplus);
 *  - by the timer, for a worker that stays in one handler, or in several long ones.
 *
 *	the runner's worker		who runs more
 *	depth = 0			asked = 0 (exchange)
 *	queue not empty?		steals
 *	asked = 1 (exchange)		queue not empty and depth 0?
 *	it was 0? submits		asks again
 *
 * Both exchanges are seq_cst: a worker that finds asked set left depth before
 * more looks at it. So what is in a queue has a worker inside, or more on its
 * way. spin: actor_share
 *
 * What a worker gives to another one lies in that one's gifts until it looks, on
 * its way to the next actors. Who runs more looks, too. As for its queue:
 *
 *	who gives			the runner's worker
 *	gifts + 1			depth = 0
 *	depth = 0? asks			gifts? asks
 *
 * The slot is the worker's own word. The timer does not take an actor out of it
 * but queues it in the pool as well; whoever comes first runs it. The timer is
 * on while there is a task that used its slot or queue:
 *
 *	worker				timer
 *	depth = 1			ticking = 0
 *	full barrier			full barrier
 *	ticking == 0? arms it		a depth or a queue? goes on
 */
#include "actor/actor.h"
#include "backend/backend.h"
#include "pool/pool.h"
#include "pool/predict.h"

#define PULSE__OVER_BATCH	16
#define PULSE__ACTOR_TICK_NS	(2 * PULSE__NSEC_PER_MSEC)
#define PULSE__STEAL_MAX	256U
/* Waiting so long in a queue is worth a worker that has to fetch it all. */
#define PULSE__SURPLUS_NS	(250 * PULSE__NSEC_PER_USEC)
/* A worker looks so often, in actors, at its queue first; at the pool. */
#define PULSE__QUEUE_TURN	16U
#define PULSE__POOL_TURN	64U
/* So many messages of its turn, at least. */
#define PULSE__FOLLOW_MSGS	32U
/* Who has so many waiting gets no gifts. */
#define PULSE__FOLLOW_QUEUE	128U
/* A task of ours is not longer than that, and one actor's turn. */
#define PULSE__TASK_NS		PULSE__NSEC_PER_MSEC

/* ---- the timer, and the pool that is full ------------------------------------- */

static void pulse__actors_tick_on(struct pulse_actors *sys)
{
	if (likely(READ_ONCE(sys->ticking)) ||
	    __atomic_exchange_n(&sys->ticking, 1, __ATOMIC_SEQ_CST))
		return;
	pulse_timer_service_arm(sys->timers, &sys->tick,
				pulse_now_ns() + PULSE__ACTOR_TICK_NS, 0);
}

static void pulse__arunner_watch(struct pulse__arunner *r)
{
	if (likely(r->watched))
		return;
	r->watched = true;
	/* see the head */
	pulse__full_barrier();
	pulse__actors_tick_on(r->sys);
}

static void pulse__actor_to_overflow(struct pulse_actor *a)
{
	struct pulse_actors *sys = a->sys;

	pthread_mutex_lock(&sys->over_lock);
	/* Perhaps it is there still: somebody ran it where it was not queued. */
	if (!a->listed) {
		WRITE_ONCE(a->listed, true);
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
		WRITE_ONCE(a->listed, false);
		sys->over = a->next;
		if (!sys->over)
			sys->over_last = &sys->over;
		WRITE_ONCE(sys->nr_over, sys->nr_over - 1);
	}
	pthread_mutex_unlock(&sys->over_lock);
	return a;
}

/* A thread's list has it only while it is queued, so it is in none. */
void pulse__actor_unlist(struct pulse_actor *a)
{
	struct pulse_actors *sys = a->sys;
	struct pulse_actor **at;

	if (likely(!READ_ONCE(a->listed)))
		return;
	pthread_mutex_lock(&sys->over_lock);
	for (at = &sys->over; *at && *at != a; at = &(*at)->next)
		;
	if (*at) {
		*at = a->next;
		if (!*at)
			sys->over_last = at;
		WRITE_ONCE(sys->nr_over, sys->nr_over - 1);
		WRITE_ONCE(a->listed, false);
	}
	pthread_mutex_unlock(&sys->over_lock);
}

/* @fair: behind all others, not on top of the own deque. */
static int pulse__actors_submit(struct pulse_actors *sys, pulse_task_fn fn,
				void *arg, bool fair)
{
	int err;

	if (!sys->own_pool)
		__atomic_fetch_add(&sys->tasks, 1, __ATOMIC_RELAXED);
	err = pulse__submit_steered(sys->pool, fn, arg, fair);
	if (err && !sys->own_pool)
		__atomic_fetch_sub(&sys->tasks, 1, __ATOMIC_RELEASE);
	return err;
}

static void pulse__actor_to_pool(struct pulse_actor *a, bool fair)
{
	if (unlikely(pulse__actors_submit(a->sys, pulse__actor_task, a, fair)))
		pulse__actor_to_overflow(a);
}

/* ---- a worker's queue ---------------------------------------------------------- */

static void pulse__arunner_ask(struct pulse__arunner *r)
{
	if (__atomic_exchange_n(&r->asked, 1, __ATOMIC_SEQ_CST) ||
	    likely(!pulse__actors_submit(r->sys, pulse__actor_more, r, true)))
		return;
	/* The pool is full: the timer asks again. */
	__atomic_store_n(&r->asked, 0, __ATOMIC_SEQ_CST);
	pulse__actors_tick_on(r->sys);
}

/* There is somebody in the queue. Should another worker have them? */
static PULSE__NOINLINE void pulse__arunner_surplus(struct pulse__arunner *r)
{
	int64_t now;

	if (READ_ONCE(r->asked) || !pulse__pool_hungry(r->sys->pool)) {
		r->since = 0;
		return;
	}
	now = pulse_now_ns();
	if (r->since && now - r->since >= PULSE__SURPLUS_NS) {
		r->coarse = (int64_t)(READ_ONCE(r->queue.top) - r->mark) < 0;
		r->since = 0;
		if (r->coarse) {
			pulse__arunner_ask(r);
			return;
		}
	} else if (r->coarse) {
		pulse__arunner_ask(r);
		return;
	}
	if (!r->since || (int64_t)(READ_ONCE(r->queue.top) - r->mark) >= 0) {
		r->since = now;
		r->mark = READ_ONCE(r->queue.bottom);
	}
}

static struct pulse_actor *pulse__arunner_pop(struct pulse__arunner *r)
{
	void *a;
	int err;

	do {
		err = pulse__deque_steal(&r->queue, &a);
	} while (unlikely(err == -EAGAIN));
	return err ? NULL : a;
}

/* ---- gifts ----------------------------------------------------------------------- */

static struct pulse_actor *pulse__arunner_unwrap(struct pulse__arunner *r)
{
	struct pulse_actor *a = NULL;

	if (likely(!READ_ONCE(r->gifts)))
		return NULL;
	for (uint32_t i = 0; i < PULSE__ACTOR_GIFTS && !a; i++) {
		if (READ_ONCE(r->gift[i]))
			a = __atomic_exchange_n(&r->gift[i], NULL,
						__ATOMIC_ACQUIRE);
	}
	if (a)
		__atomic_fetch_sub(&r->gifts, 1, __ATOMIC_SEQ_CST);
	return a;
}

static bool pulse__arunner_has(struct pulse__arunner *r)
{
	return pulse__deque_size(&r->queue) ||
	       __atomic_load_n(&r->gifts, __ATOMIC_SEQ_CST);
}

/* An actor that is QUEUED. False: there is no room. */
static bool pulse__arunner_give(struct pulse__arunner *to, struct pulse_actor *a)
{
	struct pulse_actor *none = NULL;
	uint32_t i = __atomic_fetch_add(&to->gift_at, 1, __ATOMIC_RELAXED) &
		     (PULSE__ACTOR_GIFTS - 1);

	if (!pulse__cas(&to->gift[i], &none, a, __ATOMIC_RELEASE,
			__ATOMIC_RELAXED))
		return false;
	__atomic_fetch_add(&to->gifts, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&to->depth, __ATOMIC_SEQ_CST))
		pulse__arunner_ask(to);
	/* It may stay in a handler: see the head, the fetch_add is the barrier. */
	pulse__actors_tick_on(to->sys);
	return true;
}

bool pulse__arunner_follow(struct pulse__arunner *r, struct pulse_actor *a)
{
	struct pulse__arunner *to = &r->sys->runner[r->abroad_to - 1];
	int64_t now, since = r->abroad_since;

	if (r->sys->det || r->abroad < PULSE__FOLLOW_MSGS ||
	    pulse__deque_size(&to->queue) > PULSE__FOLLOW_QUEUE)
		return false;
	now = pulse_now_ns();
	r->abroad_since = now;
	if (now - since > (int64_t)r->abroad * r->sys->follow_ns)
		return false;
	__atomic_fetch_or(&a->inbox, PULSE__INBOX_QUEUED |
			  (a->local ? PULSE__INBOX_KEPT : 0), __ATOMIC_ACQ_REL);
	if (!pulse__arunner_give(to, a))
		pulse__actor_place(a, true);
	return true;
}

struct pulse_actor *pulse__arunner_steal(struct pulse__arunner *r,
					 struct pulse__arunner *from)
{
	struct pulse_actor *first, *a;
	uint64_t nr;

	__atomic_exchange_n(&from->asked, 0, __ATOMIC_SEQ_CST);
	first = pulse__arunner_pop(from);
	if (!first)
		first = pulse__arunner_unwrap(from);
	nr = r == from ? 0 : pulse__deque_size(&from->queue) / 2;
	if (nr > PULSE__STEAL_MAX)
		nr = PULSE__STEAL_MAX;
	if (nr)
		pulse__arunner_watch(r);
	for (; nr; nr--) {
		a = pulse__arunner_pop(from);
		if (!a)
			break;
		if (unlikely(pulse__deque_push(&r->queue, a)))
			pulse__actor_to_pool(a, true);
	}
	if (r != from && pulse__arunner_has(from) &&
	    !__atomic_load_n(&from->depth, __ATOMIC_SEQ_CST))
		pulse__arunner_ask(from);
	return first;
}

/* At the end of a task's share. */
static bool pulse__arunner_over(struct pulse__arunner *r, int64_t *until)
{
	struct pulse_pool *pool = r->sys->pool;
	int64_t now;

	if (pulse__pool_state(pool) != PULSE__POOL_RUNNING ||
	    READ_ONCE(pool->odd) || pulse__pool_has_work(pool))
		return true;
	now = pulse_now_ns();
	if (!*until)
		*until = now + PULSE__TASK_NS;
	return now >= *until;
}

struct pulse_actor *pulse__arunner_next(struct pulse__arunner *r, uint32_t hops,
					int64_t *until)
{
	struct pulse_actor *a = NULL;

	if (unlikely(!(hops % PULSE__QUEUE_TURN))) {
		if (!(hops % PULSE__POOL_TURN)) {
			if (pulse__arunner_over(r, until))
				return NULL;
			a = pulse__overflow_pop(r->sys);
		}
		if (!a)
			a = pulse__arunner_unwrap(r);
		if (!a)
			a = pulse__arunner_pop(r);
		if (pulse__deque_size(&r->queue))
			pulse__arunner_surplus(r);
		if (a)
			return a;
	}
	a = r->slot;
	if (a) {
		WRITE_ONCE(r->slot, NULL);
		return a;
	}
	a = pulse__arunner_pop(r);
	if (!a)
		a = pulse__arunner_unwrap(r);
	return a ? a : pulse__overflow_pop(r->sys);
}

static void pulse__arunner_push(struct pulse__arunner *r, struct pulse_actor *a)
{
	pulse__arunner_watch(r);
	if (unlikely(pulse__deque_push(&r->queue, a))) {
		pulse__actor_to_pool(a, true);
		return;
	}
	if (unlikely(r->coarse))
		pulse__arunner_surplus(r);
}

void pulse__arunner_leave(struct pulse__arunner *r)
{
	struct pulse_actor *a = r->slot;

	if (a) {
		WRITE_ONCE(r->slot, NULL);
		pulse__arunner_push(r, a);
	}
	__atomic_store_n(&r->depth, r->depth - 1, __ATOMIC_SEQ_CST);
	if (pulse__arunner_has(r))
		pulse__arunner_ask(r);
}

/* ---- where an actor goes ---------------------------------------------------------- */

static void pulse__actor_to_thread(struct pulse_actor *a)
{
	struct pulse__athread *t = a->thread;

	pthread_mutex_lock(&t->lock);
	pulse__athread_put(t, a);
	pthread_mutex_unlock(&t->lock);
}

void pulse__actor_place(struct pulse_actor *a, bool fair)
{
	struct pulse_actors *sys = a->sys;
	struct pulse_actor *before;
	struct pulse__arunner *r;

	if (unlikely(a->thread)) {
		pulse__actor_to_thread(a);
		return;
	}
	/* The seed draws who is next. */
	r = likely(!sys->det) ? pulse__arunner_self(sys) : NULL;
	if (!r) {
		pulse__actor_to_pool(a, fair);
		return;
	}
	if (!fair) {
		before = r->slot;
		pulse__arunner_watch(r);
		/* release: the timer sees what it is; pairs with its load */
		pulse__store_release(&r->slot, a);
		if (!before)
			return;
		a = before;
	}
	pulse__arunner_push(r, a);
}

/* A worker that began nothing since the last time stays in a handler. */
static bool pulse__tick_runner(struct pulse_actors *sys,
			       struct pulse__arunner *r)
{
	/* acquire: pairs with pulse__actor_place */
	struct pulse_actor *a = pulse__load_acquire(&r->slot);
	uint32_t turns = READ_ONCE(r->turns), depth = READ_ONCE(r->depth);
	uint64_t top = READ_ONCE(r->queue.top);
	bool queue = pulse__arunner_has(r);
	bool stays = turns == r->seen;
	/* Some have been in it since the last time. */
	bool slow = (int64_t)(top - r->stood) < 0;

	if (!stays || !a)
		r->given = NULL;
	if (stays && a && a != r->given) {
		r->given = a;
		pulse__add_relaxed(&sys->rescued, 1);
		pulse__actor_to_pool(a, false);
	}
	if (queue && (stays || !depth ||
		      (slow && pulse__pool_hungry(sys->pool))))
		pulse__arunner_ask(r);
	r->seen = turns;
	r->stood = READ_ONCE(r->queue.bottom);
	return depth || queue;
}

static bool pulse__tick_look(struct pulse_actors *sys)
{
	bool busy = READ_ONCE(sys->nr_over) != 0;

	for (uint32_t i = 0; i < sys->nr_runners; i++)
		busy |= READ_ONCE(sys->runner[i].depth) ||
			pulse__arunner_has(&sys->runner[i]);
	return busy;
}

/* What did not get into the pool tries again, too. */
void pulse__actors_tick(struct pulse_timer *timer, void *arg)
{
	struct pulse_actors *sys = arg;
	bool busy = READ_ONCE(sys->nr_over) != 0;
	struct pulse_actor *a;

	for (uint32_t i = 0; i < sys->nr_runners; i++)
		busy |= pulse__tick_runner(sys, &sys->runner[i]);
	for (int i = 0; i < PULSE__OVER_BATCH; i++) {
		a = pulse__overflow_pop(sys);
		if (!a)
			break;
		if (pulse__actors_submit(sys, pulse__actor_task, a, false)) {
			pulse__actor_to_overflow(a);
			break;
		}
	}
	if (!busy) {
		__atomic_store_n(&sys->ticking, 0, __ATOMIC_SEQ_CST);
		/* see the head */
		pulse__full_barrier();
		if (!pulse__tick_look(sys) ||
		    __atomic_exchange_n(&sys->ticking, 1, __ATOMIC_SEQ_CST))
			return;
	}
	pulse_timer_service_arm(sys->timers, timer,
				pulse_now_ns() + PULSE__ACTOR_TICK_NS, 0);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * sleep.c - workers that wait for more than tasks, with one sleep for both.
 *
 * A worker with a sleeper (an event loop of its own, io/worker.c)
 *
 *  - looks there between tasks, once in LOOK_NS or LOOK_TASKS, and each round that
 *    it spins for work;
 *  - parks by the pool's own protocol, but sleeps in the sleeper's wait, where
 *    its bell is one of the things it waits for: whoever wakes it for a task
 *    rings (backend/park.c), and what the sleeper waits for by itself ends the
 *    sleep as well.
 *
 * The wait ends before anything is handled: pulse__sleeper_awake() takes the
 * announcement back first, so that nobody wakes a worker for a task that is
 * going to be inside handlers. It is a searcher then, as whoever comes back
 * from parking, with the grant of who woke it; where there is something to
 * handle it leaves the search as one that found something, which sees to it that
 * somebody else looks for the tasks (wake.c).
 *
 * No lost wake-up: a submitter's side is the same as for any worker, and so is
 * the worker's: announce, (B), look at all queues, sleep while no permit is there.
 * The sleeper's own events are as its wait keeps them: what became ready before
 * it sleeps makes it return at once.
 */
#include "pool/pool.h"

#define LOOK_TASKS	64U
#define LOOK_NS		(100 * PULSE__NSEC_PER_USEC)

int pulse__sleeper_set(struct pulse__worker *w, struct pulse__sleeper *s,
		       int bell)
{
	int err;

	if (w->pool->det)
		return -EOPNOTSUPP;
	err = pulse__worker_bell(w->pool->ctx, w->index, bell);
	if (err)
		return err;
	s->worker = w;
	WRITE_ONCE(w->sleeper, s);	/* read by workers_excess() */
	return 0;
}

void pulse__sleeper_leave(struct pulse__worker *w)
{
	struct pulse__sleeper *s = w->sleeper;

	WRITE_ONCE(w->sleeper, NULL);
	if (s)
		s->leave(s);
}

void pulse__sleeper_awake(struct pulse__sleeper *s, bool something)
{
	struct pulse__worker *w = s->worker;

	if (s->parked) {
		s->parked = false;
		s->woken = pulse__park_end(w->pool->ctx, w->index);
		pulse__pool_unparked(w);
	}
	if (!something)
		return;
	s->handled = true;
	if (w->searching) {
		w->idle_out = false;
		pulse__search_found(w);
	}
}

void pulse__sleeper_between(struct pulse__worker *w)
{
	struct pulse__sleeper *s = w->sleeper;
	int64_t now;

	if (w->searching)
		return;		/* it looks as it searches, or sleeps */
	now = pulse_now_ns();
	if (++s->tasks < LOOK_TASKS && now - s->looked_ns < LOOK_NS)
		return;
	s->tasks = 0;
	s->looked_ns = now;
	s->look(s);
	s->handled = false;
}

int pulse__sleeper_park(struct pulse__worker *w, int64_t deadline_ns,
			pulse_recheck_fn recheck)
{
	struct pulse__sleeper *s = w->sleeper;
	int ret;

	s->prepare(s);
	ret = pulse__park_begin(w->pool->ctx, w->index, recheck, w);
	if (ret)
		return ret;
	s->parked = true;
	s->sleep(s, deadline_ns);
	/* A wait that failed before it began. */
	if (s->parked)
		pulse__sleeper_awake(s, false);
	s->handled = false;
	if (s->woken)
		return 0;
	return deadline_ns != PULSE_FOREVER && pulse_now_ns() >= deadline_ns ?
	       -ETIMEDOUT : -EINTR;
}

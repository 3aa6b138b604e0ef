// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ask.c - a worker without work asks one that forks to share a job now.
 *
 * A beat shares a job whether somebody wants one or not; who wants one knows it
 * sooner, and then no beat is needed. So while all workers run or look around,
 * hearts beat at an eighth of their rate (fork.c:pulse__fork_hear), and who looks
 * around and finds nothing asks: it writes into the word that the other one
 * compares with its beats at each fork, which then looks like a beat. (Requests
 * of thieves: U. Acar, A. Chargueraud, M. Rainey, Scheduling parallel programs
 * by work stealing with private deques, PPoPP 2013, section 3.)
 *
 * What it costs stays bounded: a worker is asked four times a beat at most,
 * whoever asks, so a job is shared for each quarter of a beat's work.
 *
 * The word is in the other thread's own memory (struct pulse_fork_self), and goes
 * with the thread.
 *
 *	asker				the one asked, leaving
 *
 *	askers += 1			ask = NULL
 *	ask?				askers == 0? else wait
 *	  self: self->seen = ASKED	...
 *	askers -= 1	release		the memory goes
 *
 * The first two of each are one order of all (seq_cst): either the asker sees
 * NULL, or the one that leaves sees it in askers, and waits for its release.
 * spin: fork_ask.
 *
 * seen is also its thread's to write at any time: a request that is lost to that
 * came while the thread was about to share, or had nothing to share.
 * Nothing depends on it; the asker asks again, or parks, and then hearts beat at
 * their rate.
 */
#include <sched.h>

#include "pool/pool.h"

/* Equal to no count of beats. */
#define PULSE__FORK_ASKED	UINT64_MAX

/* From one request to the next, whoever asks; racy. */
static bool pulse__ask_due(const struct pulse__worker *v, int64_t now)
{
	int64_t period = READ_ONCE(v->beat_us) * PULSE__NSEC_PER_USEC;

	return now - READ_ONCE(v->asked_at) >= period / 4;
}

static void pulse__ask(struct pulse__worker *v)
{
	struct pulse_fork_self *self;

	__atomic_fetch_add(&v->askers, 1, __ATOMIC_SEQ_CST);
	self = __atomic_load_n(&v->ask, __ATOMIC_SEQ_CST);
	if (self && READ_ONCE(self->seen) != PULSE__FORK_ASKED)
		WRITE_ONCE(self->seen, PULSE__FORK_ASKED);
	__atomic_fetch_sub(&v->askers, 1, __ATOMIC_RELEASE);
}

void pulse__fork_ask(struct pulse__worker *w, int64_t now)
{
	const struct pulse_pool *pool = w->pool;

	if (!pool->may_share)
		return;
	for (uint32_t i = 0; i + 1 < pool->nr_workers; i++) {
		struct pulse__worker *v = pool->worker[w->victims[i]];

		if (!READ_ONCE(v->ask) || READ_ONCE(v->slot) ||
		    !pulse__ask_due(v, now))
			continue;
		WRITE_ONCE(v->asked_at, now);
		pulse__ask(v);
		return;
	}
}

void pulse__ask_begin(struct pulse__worker *w, struct pulse_fork_self *self)
{
	__atomic_store_n(&w->ask, self, __ATOMIC_RELEASE);
}

void pulse__ask_end(struct pulse__worker *w)
{
	if (!w->ask)
		return;
	__atomic_store_n(&w->ask, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&w->askers, __ATOMIC_SEQ_CST))
		sched_yield();
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wake.c - who looks for work, who parks, who is woken.
 *
 * A worker without work *searches*: it looks around for spin_ns, then parks. (On
 * the CPU of the thread outside whose task it ran last it looks once: that one
 * could not submit meanwhile; worker.c:pulse__in_the_way.)
 * No more than half of the workers spin like that. As long as one searches,
 * nobody needs to be woken: the searcher finds what is there, and the last one
 * that finds something wakes the next if there is more.
 *
 * pool->search counts searchers in its low half. A waker counts a searcher in
 * before it wakes one, and leaves a *grant* in the high half; whoever comes
 * back from parking takes a grant, and with it the place that was counted. So
 * the time a woken worker takes to come up counts as search, and a burst of
 * submits wakes one worker, not all. Who comes back and finds no grant counts
 * itself, for one look around: everybody who was woken is a searcher until it
 * has found something or parks again, so that each wake keeps the chain going.
 *
 * Who moves tasks from its node's queue into its deque (find.c:pulse__pop_gulp)
 * does as a submitter does, for between the two nobody sees them.
 *
 * No lost wake-up. A submitter pushes, (A) full barrier, looks. A worker
 * that parks announces it, (B) full barrier, and looks at all queues
 * (backend/park.c; litmus: park_wake). The cases of the submitter's look:
 *
 *  - Nobody parks: whoever parks later has its (B) after our (A) and sees the
 *    push.
 *  - Somebody searches: it leaves by a read-modify-write of search after our
 *    look, then a full barrier; if it found nothing it parks and so looks at
 *    all queues; if it found something and was the last, it looks whether there
 *    is more, and notifies as if it had pushed that; if it was not the last,
 *    the same goes for those who are left.
 *  - What we took for a searcher was a grant, and its waker took it back
 *    because it found nobody to wake: the waker looks after that whether there
 *    is work, and wakes without a grant, so that nobody relies on it again.
 *    Whom it does not find parking then will announce it later than this look,
 *    and sees the push. (It may be another waker's grant that it takes back;
 *    that one's worker then counts itself.)
 *  - Somebody parks, nobody searches: we wake it, and it searches.
 */
#include "pool/det.h"
#include "pool/pool.h"

#define PULSE__SEARCHER		1U
#define PULSE__GRANT		(1U << 16)
#define PULSE__SEARCHERS(s)	((s) & 0xffffU)

/* Takes up to @nr grants back, with the searchers they stand for. */
static void pulse__grants_return(struct pulse_pool *pool, uint32_t nr)
{
	uint32_t s = READ_ONCE(pool->search), n;

	do {
		/* Less where others took them: those really search. */
		n = s / PULSE__GRANT < nr ? s / PULSE__GRANT : nr;
	} while (n && !pulse__cas(&pool->search, &s,
				  s - n * (PULSE__GRANT + PULSE__SEARCHER),
				  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static bool pulse__grant_take(struct pulse_pool *pool)
{
	uint32_t s = READ_ONCE(pool->search);

	while (s >= PULSE__GRANT) {
		if (pulse__cas(&pool->search, &s, s - PULSE__GRANT,
			       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static unsigned int pulse__wake_some(struct pulse_pool *pool, uint32_t row,
				     unsigned int nr)
{
	unsigned int woken = pulse__wake_set(pool->ctx, pool->members,
					     pool->node[row]->ctx_row, nr,
					     true);

	if (woken && pool->statistics)
		pulse__add_relaxed(&pool->wakes, woken);
	return woken;
}

void pulse__pool_notify(struct pulse_pool *pool, uint32_t row, unsigned int nr)
{
	uint32_t none = 0;
	unsigned int woken;

	/*
	 * In any order, and this one first: while nobody parks, the line of search
	 * stays with the workers, and to leave a search costs them no wait for it.
	 */
	if (!pulse__any_idle(pool->ctx, pool->members))
		return;
	if (__atomic_load_n(&pool->search, PULSE__FENCED(__ATOMIC_RELAXED)))
		return;
	if (nr > READ_ONCE(pool->live))
		nr = READ_ONCE(pool->live);
	if (!nr)
		return;
	if (!pulse__cas(&pool->search, &none,
			nr * (PULSE__GRANT + PULSE__SEARCHER),
			__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;		/* somebody searches since */
	woken = pulse__wake_some(pool, row, nr);
	if (woken == nr)
		return;
	pulse__grants_return(pool, nr - woken);
	if (woken)
		return;
	/* Others may have relied on the grant meanwhile. */
	pulse__full_barrier();
	if (pulse__pool_has_work(pool))
		pulse__wake_some(pool, row, 1);
}

/* @w was woken, or saw work as it was about to sleep. */
static void pulse__search_enter(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;

	w->brief = !pulse__grant_take(pool);
	if (w->brief)
		__atomic_fetch_add(&pool->search, PULSE__SEARCHER,
				   __ATOMIC_SEQ_CST);
	w->searching = true;
}

bool pulse__search_begin(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	uint32_t s = READ_ONCE(pool->search);

	if (PULSE__SEARCHERS(s) &&
	    2 * (PULSE__SEARCHERS(s) + 1) > READ_ONCE(pool->live))
		return false;
	__atomic_fetch_add(&pool->search, PULSE__SEARCHER, __ATOMIC_SEQ_CST);
	w->searching = true;
	w->brief = false;
	return true;
}

void pulse__search_nothing(struct pulse__worker *w)
{
	w->searching = false;
	__atomic_fetch_sub(&w->pool->search, PULSE__SEARCHER,
			   __ATOMIC_SEQ_CST);
	/* It parks next: (B) and the look at all queues come after this. */
}

void pulse__search_found(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	uint32_t s;

	w->searching = false;
	s = __atomic_fetch_sub(&pool->search, PULSE__SEARCHER,
			       __ATOMIC_SEQ_CST);
	if (PULSE__SEARCHERS(s) != 1)
		return;
	/* The last one: who relied on it pushed before its look at search. */
	pulse__full_barrier();
	if (pulse__any_idle(pool->ctx, pool->members) &&
	    pulse__pool_has_work(pool))
		pulse__pool_notify(pool, w->row, 1);
}

/* After (B). All queues, whoever else may be searching. */
static bool pulse__recheck(void *arg)
{
	struct pulse__worker *w = arg;
	struct pulse_pool *pool = w->pool;
	uint32_t drain = __atomic_load_n(&pool->drain, __ATOMIC_SEQ_CST);

	if (__atomic_load_n(&pool->state, __ATOMIC_SEQ_CST) >=
	    PULSE__POOL_STOPPING)
		return true;
	if (drain && w->drain_seen != drain)
		return true;
	if (READ_ONCE(w->leave))
		return true;
	return pulse__pool_has_work(pool);
}

void pulse__pool_member(const struct pulse__worker *w, uint64_t *set, bool in)
{
	uint64_t *word = &set[w->index / 64];
	uint64_t bit = 1ULL << (w->index % 64);

	if (in)
		__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
}

/* Those who are too many for an idle pool do not sleep for ever. */
static int64_t pulse__park_until(const struct pulse__worker *w)
{
	const struct pulse_pool *pool = w->pool;

	/* Who waits for descriptors is not idle. */
	if (likely(!pool->adaptive) || w->sleeper ||
	    READ_ONCE(pool->live) <= READ_ONCE(pool->floor))
		return PULSE_FOREVER;
	return pulse__deadline_after(pulse_now_ns(), pool->keep_ns);
}

/* Nobody woke it: one of two deadlines is over. */
static void pulse__park_over(struct pulse__worker *w, int64_t rest,
			     int64_t idle)
{
	int64_t now = pulse_now_ns();

	if (now >= rest)
		pulse__fork_rest(w);
	if (now >= idle)
		w->idle_out = true;
}

void pulse__pool_unparked(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;

	if (pool->warden) {
		/* Our idle bit is clear; pairs with warden.c:pulse__all_idle */
		pulse__full_barrier();
		if (READ_ONCE(pool->warden_asleep))
			pulse__warden_poke(pool);
	}
	pulse__search_enter(w);
}

void pulse__pool_park(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	int64_t rest = pulse__fork_rest_at(w), idle = pulse__park_until(w);
	int64_t until = rest < idle ? rest : idle;
	int ret = w->sleeper ?
		pulse__sleeper_park(w, until, pulse__recheck) :
		pulse_worker_park(pool->ctx, w->index, until, pulse__recheck, w);

	w->warm = 0;
	if (ret != 1) {
		pulse__stat_own(w, parks);
		if (ret == 0)
			pulse__stat_own(w, wakes);
		else if (ret == -ETIMEDOUT)
			pulse__park_over(w, rest, idle);
		else if (unlikely(ret != -EINTR))
			pulse__ctx_lost_fd(pool->ctx);
	}
	/* At its sleeper it is one already, and has perhaps found something. */
	if (!w->sleeper || ret == 1)
		pulse__pool_unparked(w);
	pulse__drain_poll(w, NULL);
}

/*
 * A joiner is no member while it parks: it cannot run tasks, so whoever wakes
 * it for one would wake nobody. A waker that chose it just before has counted a
 * searcher for it; it takes that place, and leaves it as one that found
 * something, which sees to what is left.
 */
void pulse__pool_park_joining(struct pulse__worker *w, pulse_recheck_fn recheck,
			      void *arg)
{
	struct pulse_pool *pool = w->pool;
	int ret;

	pulse__pool_member(w, pool->members, false);
	pulse__pool_member(w, pool->joiners, true);
	ret = pulse_worker_park(pool->ctx, w->index, PULSE_FOREVER, recheck,
				arg);
	pulse__pool_member(w, pool->joiners, false);
	pulse__pool_member(w, pool->members, true);
	if (ret == 1 || ret == -EINTR)
		return;
	if (unlikely(ret))
		pulse__ctx_lost_fd(pool->ctx);
	pulse__search_enter(w);
	pulse__search_found(w);
}

/*
 * Whom this does not find is found at the next beat, or the job's forker runs
 * it: nothing depends on this wake-up.
 */
void pulse__pool_notify_job(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;

	if (pulse__any_idle(pool->ctx, pool->members))
		pulse__pool_notify(pool, w->row, 1);
	else if (pulse__any_idle(pool->ctx, pool->joiners))
		pulse__wake_set(pool->ctx, pool->joiners, w->node->ctx_row, 1,
				true);
}

bool pulse__pool_hungry(const struct pulse_pool *pool)
{
	return (READ_ONCE(pool->search) ||
		pulse__any_idle(pool->ctx, pool->members)) &&
	       !pulse__pool_has_work(pool);
}

void pulse__pool_wake_all(struct pulse_pool *pool)
{
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		int index = READ_ONCE(pool->worker[i]->index);
		uint32_t one = (uint32_t)index;

		if (index >= 0)
			pulse_worker_wake(pool->ctx, &one, 1);
	}
	if (pool->det)
		pulse__det_wake(pool);
}

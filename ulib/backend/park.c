// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * park.c - park and wake without a lost wake-up: steps 1 and 2, and the whole
 * of the waker's side, once for both backends.
 *
 * The park word of a worker (struct pulse_uwork) holds an epoch and a state.
 * Its owner moves it RUNNING -> PARKING and back to RUNNING, a waker moves it
 * PARKING -> NOTIFIED. A waker that wins that step owes one permit, and pays it
 * with ops->wake(); nobody else pays. "Work" is whatever the parker's recheck
 * looks at.
 *
 *	CPU 0: waker				CPU 1: parker
 *
 *	publish work				idle bit = 1
 *	(A) full barrier			(B) park = PARKING, full barrier
 *	look at park (or at the idle bit,	recheck: look for work
 *	  then at park)				  found: PARKING -> RUNNING, done
 *	  not PARKING: done			ops->park(word)
 *	  PARKING -> NOTIFIED: ops->wake()	park = RUNNING, idle bit = 0
 *
 * Either CPU 0's look comes after CPU 1's (B) and sees PARKING, or it comes
 * before, then (A) comes before (B) in the order of full barriers and CPU 1's
 * recheck sees the work. (A) pairs with (B); litmus: park_wake, and
 * park_wake_c11 for the words of this file: a seq_cst exchange alone is no
 * barrier in C11, so a fence follows it.
 *
 * The idle bit is set before (B), so whoever does not see it has its (A) before
 * this (B), and the recheck sees the work just the same.
 *
 * Between ops->park() and a wake: the sleeper sleeps only while the word is
 * what it left there and no permit is there, and both backends look at that
 * after they became visible as a sleeper (kmod/park.c; futex: under the hash
 * bucket's lock). A waker that moved the word before is seen as a word that
 * moved, one that moves it later finds the sleeper.
 *
 * A worker may also sleep where more can wake it than a waker: outside of the
 * backend, in a wait of its own for descriptors, one of which is its *bell*
 * (pulse__park_begin(), pulse__park_end()). Then a permit is a ring of the bell
 * in place of ops->wake(), and an eventfd keeps it as the kernel keeps its. How
 * it sleeps stands in slot->outside, which its owner writes before (B): the
 * waker that wins the word reads it after that, and so finds what belongs to
 * this announcement, or to a later one, and then nobody sleeps who was owed
 * something: a permit that goes the wrong way is a spurious one. The descriptor
 * of a bell, once made, stays open as long as the context, so that who pays late
 * rings no other file. Model: selftests/spin/park_bell.pml.
 *
 * The word is untrusted only in that a wild writer in this process (or, in a
 * shared context, another) makes workers sleep or wake wrongly; nothing is
 * indexed by it.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/usdt.h"
#include "backend/backend.h"

/* Winners of one round; more than that are woken in further rounds. */
#define PULSE__WAKE_BATCH 64U

/* The step PARKING -> NOTIFIED. True: the caller owes the worker a permit. */
static bool pulse__notify(struct pulse_ctx *ctx, uint32_t index)
{
	uint32_t *park = &ctx->uwork[index].park;
	uint32_t word = __atomic_load_n(park, PULSE__FENCED(__ATOMIC_RELAXED));

	if (PULSE_PARK_STATE(word) != PULSE_PARK_PARKING)
		return false;
	/*
	 * Release: what the waker published; pairs with the acquire of the
	 * parker's exchange back to RUNNING, for a woken worker that goes by
	 * the wake-up alone. A failure means that another waker won or that
	 * the owner left by itself: after its recheck, or to a newer epoch,
	 * and so past another (B).
	 */
	return pulse__cas(park, &word,
			  PULSE_PARK_WORD(PULSE_PARK_EPOCH(word),
					  PULSE_PARK_NOTIFIED),
			  __ATOMIC_SEQ_CST, PULSE__FENCED(__ATOMIC_RELAXED));
}

/* Does it sleep at its bell? Of the announcement that the caller has won. */
static bool pulse__outside(const struct pulse_ctx *ctx, uint32_t index)
{
	return READ_ONCE(ctx->has_bells) && READ_ONCE(ctx->slots[index].outside);
}

static void pulse__ring(const struct pulse_ctx *ctx, uint32_t index)
{
	int saved = errno;

	/* A counter that is full wakes as well. */
	while (eventfd_write(READ_ONCE(ctx->slots[index].bell) - 1, 1) &&
	       errno == EINTR)
		;
	errno = saved;
}

/* A permit to each: the caller has won their words. Sorts @won. */
static void pulse__pay(struct pulse_ctx *ctx, uint32_t *won, unsigned int nr)
{
	unsigned int n = 0;

	if (unlikely(READ_ONCE(ctx->has_bells))) {
		for (unsigned int i = 0; i < nr; i++) {
			if (pulse__outside(ctx, won[i]))
				pulse__ring(ctx, won[i]);
			else
				won[n++] = won[i];
		}
		nr = n;
	}
	if (nr)
		ctx->ops->wake(ctx, won, nr);
}

static void pulse__idle_set(struct pulse_ctx *ctx,
			    const struct pulse__slot *slot)
{
	uint64_t *row = ctx->idle + (size_t)slot->row * ctx->idle_words;

	__atomic_fetch_or(&row[slot->index / 64], 1ULL << (slot->index % 64),
			  PULSE__FENCED(__ATOMIC_RELAXED));
}

static void pulse__idle_clear(struct pulse_ctx *ctx,
			      const struct pulse__slot *slot)
{
	uint64_t *row = ctx->idle + (size_t)slot->row * ctx->idle_words;

	__atomic_fetch_and(&row[slot->index / 64],
			   ~(1ULL << (slot->index % 64)), __ATOMIC_RELAXED);
}

/*
 * What the backend's answer means to the caller. @notified: a waker took this
 * worker for woken, and perhaps woke nobody else, so woken it is, whatever
 * else came in between.
 */
static int pulse__park_result(struct pulse_ctx *ctx, int err, bool notified)
{
	if (notified)
		return 0;
	switch (err) {
	case 0:
	case -EAGAIN:
		return 0;
	case -ETIMEDOUT:
	case -EINTR:
	case -ESRCH:
	case -EPERM:
		return err;
	case -ECANCELED:
		/* Some copy of the descriptor was closed, perhaps a child's. */
		return fcntl(ctx->fd, F_GETFD) < 0 ? -ECANCELED : 0;
	default:
		/* EBADF, ENOTTY, ENODEV...: the descriptor is ours no more. */
		return -ECANCELED;
	}
}

/* Nobody is to be woken: no worker has that index. */
#define PULSE__NOBODY	UINT32_MAX

/* The parker's side up to (B); the word it parks with. */
static uint32_t pulse__announce(struct pulse_ctx *ctx, struct pulse__slot *slot,
				bool outside)
{
	uint32_t word;

	slot->epoch++;
	word = PULSE_PARK_WORD(slot->epoch, PULSE_PARK_PARKING);
	WRITE_ONCE(slot->outside, outside);
	pulse__idle_set(ctx, slot);
	/* (B): pairs with (A), litmus: park_wake, park_wake_c11 */
	__atomic_exchange_n(&ctx->uwork[slot->index].park, word,
			    __ATOMIC_SEQ_CST);
	pulse__full_barrier();
	return word;
}

/* It parks no more. True: a waker took it for woken. */
static bool pulse__park_over(struct pulse_ctx *ctx, struct pulse__slot *slot)
{
	uint32_t seen;

	/* Acquire: pairs with the release in pulse__notify(). */
	seen = __atomic_exchange_n(&ctx->uwork[slot->index].park,
				   PULSE_PARK_WORD(slot->epoch,
						   PULSE_PARK_RUNNING),
				   __ATOMIC_ACQ_REL);
	/*
	 * RUNNING before the caller's next look at the queues: a waker that
	 * still saw PARKING relied on that look. litmus: pass_on
	 */
	pulse__full_barrier();
	pulse__idle_clear(ctx, slot);
	return PULSE_PARK_STATE(seen) == PULSE_PARK_NOTIFIED;
}

/* There was work. False: a waker owes a permit; go and take it, no sleep. */
static bool pulse__withdraw(struct pulse_ctx *ctx, struct pulse__slot *slot,
			    uint32_t word)
{
	if (!pulse__cas(&ctx->uwork[slot->index].park, &word,
			PULSE_PARK_WORD(slot->epoch, PULSE_PARK_RUNNING),
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	pulse__full_barrier();	/* as in pulse__park_over() */
	pulse__idle_clear(ctx, slot);
	return true;
}

/*
 * The parker's side, and that of a waker before it. @target: to be woken on the
 * way, or PULSE__NOBODY. Barrier (B) is (A) for the target as well: it comes
 * after what the caller published, and before the look at the target's word.
 */
static int pulse__park(struct pulse_ctx *ctx, struct pulse__slot *slot,
		       uint32_t target, int64_t deadline_ns,
		       pulse_recheck_fn recheck, void *arg)
{
	uint32_t word = pulse__announce(ctx, slot, false);
	bool notified;
	int err;

	/* Not parking, or another waker's: then there is nothing to hand off. */
	if (target != PULSE__NOBODY && !pulse__notify(ctx, target))
		target = PULSE__NOBODY;

	if (recheck && recheck(arg) && pulse__withdraw(ctx, slot, word)) {
		if (target != PULSE__NOBODY)
			pulse__pay(ctx, &target, 1);
		return 1;
	}
	if (target != PULSE__NOBODY && unlikely(pulse__outside(ctx, target))) {
		pulse__ring(ctx, target);
		target = PULSE__NOBODY;
	}
	PULSE__PROBE2(park, ctx, slot->index);
	err = target == PULSE__NOBODY ?
		ctx->ops->park(ctx, slot->index, word, deadline_ns) :
		ctx->ops->handoff(ctx, slot->index, target, word, deadline_ns);
	PULSE__PROBE3(unpark, ctx, slot->index, err);
	notified = pulse__park_over(ctx, slot);
	return pulse__park_result(ctx, err, notified);
}

int pulse_worker_park(struct pulse_ctx *ctx, int index, int64_t deadline_ns,
		      pulse_recheck_fn recheck, void *arg)
{
	struct pulse__slot *slot;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (unlikely(!slot))
		return err;
	if (unlikely(deadline_ns < 0))
		return -EINVAL;
	return pulse__park(ctx, slot, PULSE__NOBODY, deadline_ns, recheck, arg);
}

int pulse__worker_bell(struct pulse_ctx *ctx, int index, int fd)
{
	struct pulse__slot *slot;
	int err, bell;

	slot = pulse__own_slot(ctx, index, &err);
	if (!slot)
		return err;
	/* A waker in another process has no way to it. */
	if (ctx->shared)
		return -EOPNOTSUPP;
	bell = slot->bell ? dup3(fd, slot->bell - 1, O_CLOEXEC) :
			    fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (bell < 0)
		return -errno;
	WRITE_ONCE(slot->bell, bell + 1);
	/* Before the first (B) of this slot; pairs with (A). */
	__atomic_store_n(&ctx->has_bells, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void pulse__bells_close(struct pulse_ctx *ctx)
{
	for (uint32_t i = 0; ctx->slots && i < ctx->max_workers; i++) {
		if (ctx->slots[i].bell)
			close(ctx->slots[i].bell - 1);
	}
}

int pulse__park_begin(struct pulse_ctx *ctx, int index, pulse_recheck_fn recheck,
		      void *arg)
{
	struct pulse__slot *slot;
	uint32_t word;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (unlikely(!slot))
		return err;
	word = pulse__announce(ctx, slot, true);
	if (recheck(arg) && pulse__withdraw(ctx, slot, word))
		return 1;
	PULSE__PROBE2(park, ctx, slot->index);
	if (ctx->ops->outside)
		ctx->ops->outside(ctx, slot->index, true);
	return 0;
}

bool pulse__park_end(struct pulse_ctx *ctx, int index)
{
	struct pulse__slot *slot = &ctx->slots[index];
	bool notified = pulse__park_over(ctx, slot);

	if (ctx->ops->outside)
		ctx->ops->outside(ctx, slot->index, false);
	PULSE__PROBE3(unpark, ctx, slot->index, notified ? 0 : -EINTR);
	return notified;
}

int pulse_worker_handoff(struct pulse_ctx *ctx, int index, int target,
			 int64_t deadline_ns, pulse_recheck_fn recheck,
			 void *arg)
{
	struct pulse__slot *slot;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (unlikely(!slot))
		return err;
	if (unlikely(deadline_ns < 0 || target == index))
		return -EINVAL;
	if (unlikely(target < 0 || !pulse__worker_live(ctx, (uint32_t)target)))
		return -ESRCH;
	return pulse__park(ctx, slot, (uint32_t)target, deadline_ns, recheck,
			   arg);
}

int pulse_worker_yield_to(struct pulse_ctx *ctx, int index)
{
	int err = pulse__ctx_check(ctx);

	if (err)
		return err;
	if (index < 0 || !pulse__worker_live(ctx, (uint32_t)index))
		return index < 0 ? -EINVAL : -ESRCH;
	if (pulse__own_slot(ctx, index, &err))
		return -EINVAL;
	return ctx->ops->yield_to(ctx, (uint32_t)index);
}

int pulse_worker_wake(struct pulse_ctx *ctx, const uint32_t *indices,
		      unsigned int nr)
{
	uint32_t won[PULSE__WAKE_BATCH];
	unsigned int n = 0, woken = 0;
	bool live = false;
	int err = pulse__ctx_check(ctx);

	if (unlikely(err))
		return err;
	if (unlikely(!nr))
		return 0;
	if (unlikely(!indices || nr > INT_MAX))
		return -EINVAL;

	/* (A): pairs with (B), litmus: park_wake, park_wake_c11 */
	pulse__full_barrier();
	for (unsigned int i = 0; i < nr; i++) {
		if (indices[i] >= ctx->max_workers ||
		    !pulse__notify(ctx, indices[i]))
			continue;
		PULSE__PROBE2(wake, ctx, indices[i]);
		won[n++] = indices[i];
		woken++;
		if (n == PULSE__WAKE_BATCH) {
			pulse__pay(ctx, won, n);
			n = 0;
		}
	}
	if (n)
		pulse__pay(ctx, won, n);
	if (woken)
		return (int)woken;
	for (unsigned int i = 0; i < nr && !live; i++)
		live = pulse__worker_live(ctx, indices[i]);
	return live ? 0 : -ESRCH;
}

bool pulse__any_idle(const struct pulse_ctx *ctx, const uint64_t *set)
{
	const uint64_t *word = ctx->idle;

	/* The bits are this process's; a set is of its own workers. */
	if (unlikely(ctx->shared) && !set)
		return pulse__shared_any_parking(ctx);
	for (unsigned int row = 0; row < ctx->nr_nodes; row++) {
		for (unsigned int i = 0; i < ctx->idle_words; i++, word++) {
			uint64_t bits = __atomic_load_n(word,
					PULSE__FENCED(__ATOMIC_RELAXED));

			if (bits & (set ? READ_ONCE(set[i]) : ~0ULL))
				return true;
		}
	}
	return false;
}

unsigned int pulse__wake_set(struct pulse_ctx *ctx, const uint64_t *set,
			     uint32_t row, unsigned int nr, bool spill)
{
	const uint16_t *order = ctx->order + (size_t)row * ctx->nr_nodes;
	unsigned int rows = spill ? ctx->nr_nodes : 1;
	uint32_t won[PULSE__WAKE_BATCH];
	unsigned int n = 0, woken = 0;

	for (unsigned int k = 0; k < rows && woken < nr; k++) {
		uint64_t *idle = ctx->idle + (size_t)order[k] * ctx->idle_words;

		for (unsigned int i = 0; i < ctx->idle_words; i++) {
			uint64_t bits = __atomic_load_n(&idle[i],
					PULSE__FENCED(__ATOMIC_RELAXED));

			bits &= set ? READ_ONCE(set[i]) : ~0ULL;
			while (bits && woken < nr) {
				uint32_t index = i * 64U +
					(uint32_t)__builtin_ctzll(bits);

				bits &= bits - 1;
				if (index >= ctx->max_workers ||
				    !pulse__notify(ctx, index))
					continue;
				PULSE__PROBE2(wake, ctx, index);
				won[n++] = index;
				woken++;
				if (n == PULSE__WAKE_BATCH) {
					pulse__pay(ctx, won, n);
					n = 0;
				}
			}
		}
	}
	if (n)
		pulse__pay(ctx, won, n);
	return woken;
}

int pulse_worker_wake_node(struct pulse_ctx *ctx, int node, unsigned int nr,
			   bool spill)
{
	int row, err = pulse__ctx_check(ctx);

	if (unlikely(err))
		return err;
	row = pulse__ctx_row(ctx, node);
	if (unlikely(row < 0 || !nr || nr > PULSE_MAX_WORKERS))
		return -EINVAL;

	/* (A): pairs with (B), litmus: park_wake, wake_node */
	pulse__full_barrier();
	if (!pulse__any_idle(ctx, NULL))
		return 0;
	/* The module knows no bells; a bell after this look: see the recheck. */
	if (ctx->ops->wake_node &&
	    !__atomic_load_n(&ctx->has_bells, __ATOMIC_SEQ_CST))
		return ctx->ops->wake_node(ctx, (uint32_t)row, nr, spill);
	return (int)pulse__wake_set(ctx, NULL, (uint32_t)row, nr, spill);
}

void pulse__park_retire(struct pulse_ctx *ctx, struct pulse__slot *slot)
{
	slot->epoch++;
	__atomic_exchange_n(&ctx->uwork[slot->index].park,
			    PULSE_PARK_WORD(slot->epoch, PULSE_PARK_RUNNING),
			    __ATOMIC_SEQ_CST);
	pulse__idle_clear(ctx, slot);
}

void pulse__park_pass_on(struct pulse_ctx *ctx, uint32_t row)
{
	/* After the last look of the one who left; pairs with (B). */
	pulse__full_barrier();
	if (!pulse__any_idle(ctx, NULL))
		return;
	if (unlikely(ctx->shared))
		ctx->ops->wake_node(ctx, row, 1, true);
	else
		pulse__wake_set(ctx, NULL, row, 1, true);
}

void pulse__ctx_lost_fd(struct pulse_ctx *ctx)
{
	/*
	 * Before the next (B) of whoever calls this: a waker that wins against
	 * that announcement sees the flag and uses the futex.
	 */
	if (!__atomic_exchange_n(&ctx->futex_only, 1, __ATOMIC_SEQ_CST) &&
	    ctx->ops->kind == PULSE_BACKEND_KERNEL)
		pulse_log(PULSE_LOG_ERROR,
			  "the descriptor of a context was closed under it; it goes on with futexes, without the module");
}

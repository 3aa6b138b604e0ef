// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * salvage.c - the job in hand, and how it outlives its worker.
 *
 * UWORK is the kernel's memory and outlives a process. A worker writes the job
 * that it has into its slot; who finds the slot of a dead worker with a job in
 * it takes the job over. Any process may be killed between any two steps, the
 * one that salvages too. No job may be lost then, and none may be in the hands
 * of two living workers.
 *
 * The lock is UWORK[0].salvor: who has it, as incarnation and index + 1, 0
 * nobody. A holder whose KSTATE says that it is dead has none: the next one
 * takes the lock from it and first looks where it stopped. To take over, the
 * holder M does, with D's job:
 *
 *	M.from = D	M.job = job	D.job = 0	M.from = 0
 *
 * The third step is the one that counts. Wherever M.from is not 0 under the
 * lock, its owner died within: where D.job is still there, D has the job and
 * M.job is void; where D.job is 0, it is M's.
 *
 * A slot may be given out again by the kernel meanwhile. Its new owner takes the
 * lock before it is a worker, so D and M above are either dead or wait; then the
 * job that it finds in its slot is its own (slot->adopted). Under the lock a
 * slot's owner is read from KSTATE after the lock was taken: who was a worker
 * before has published its first job after it had the lock itself.
 *
 * All of it is seq_cst and rare. Model: selftests/spin/salvage.pml.
 *
 * The words are untrusted: who scribbles on them loses or doubles the jobs of
 * his own context; nothing is indexed by them unchecked.
 */
#include <sched.h>
#include <time.h>

#include "backend/backend.h"

#define PULSE__SALVAGE_SPINS	64	/* looks, with yields, before sleeping */

static uint64_t pulse__word(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void pulse__set_word(__u64 *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}

static bool pulse__salvor_lives(const struct pulse_ctx *ctx, uint64_t salvor)
{
	uint32_t index = (uint32_t)salvor - 1;

	return index < ctx->max_workers && pulse__kstate_lives(&ctx->kstate[index]) &&
	       READ_ONCE(ctx->kstate[index].incarnation) ==
	       (uint32_t)(salvor >> 32);
}

/* What holders that died have left half done. Under the salvage lock. */
static void pulse__salvage_mend(struct pulse_ctx *ctx)
{
	for (uint32_t i = 0; i < ctx->max_workers; i++) {
		struct pulse_uwork *m = &ctx->uwork[i];
		uint64_t from = pulse__word(&m->from);

		if (likely(!from))
			continue;
		if (from <= ctx->max_workers &&
		    pulse__word(&ctx->uwork[from - 1].job))
			pulse__set_word(&m->job, 0);
		pulse__set_word(&m->from, 0);
	}
}

static void pulse__salvage_lock(struct pulse_ctx *ctx,
				const struct pulse__slot *slot)
{
	const struct timespec nap = { .tv_nsec = 100000 };
	__u64 *lock = &ctx->uwork[0].salvor;
	__u64 me = (__u64)slot->incarnation << 32 | (slot->index + 1);

	for (unsigned int i = 0;; i++) {
		__u64 holder = pulse__word(lock);

		if ((!holder || !pulse__salvor_lives(ctx, holder)) &&
		    pulse__cas(lock, &holder, me, __ATOMIC_SEQ_CST,
			       __ATOMIC_RELAXED))
			break;
		if (i < PULSE__SALVAGE_SPINS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
	pulse__salvage_mend(ctx);
}

static void pulse__salvage_unlock(struct pulse_ctx *ctx)
{
	pulse__set_word(&ctx->uwork[0].salvor, 0);
}

void pulse__salvage_adopt(struct pulse_ctx *ctx, struct pulse__slot *slot)
{
	uint32_t word = READ_ONCE(ctx->uwork[slot->index].park);

	pulse__salvage_lock(ctx, slot);
	slot->adopted = pulse__word(&ctx->uwork[slot->index].job) != 0;
	pulse__salvage_unlock(ctx);
	/* Past the epoch of an owner in another process. */
	slot->epoch = PULSE_PARK_EPOCH(word) + 1;
}

bool pulse__shared_any_parking(const struct pulse_ctx *ctx)
{
	/* pairs with (B) in park.c, of whichever process */
	for (uint32_t i = 0; i < ctx->max_workers; i++) {
		uint32_t word = __atomic_load_n(&ctx->uwork[i].park,
						__ATOMIC_SEQ_CST);

		if (PULSE_PARK_STATE(word) == PULSE_PARK_PARKING)
			return true;
	}
	return false;
}

int pulse_worker_begin_job(struct pulse_ctx *ctx, int index, uint64_t job)
{
	struct pulse_uwork *uw;
	int err;

	if (unlikely(!pulse__own_slot(ctx, index, &err)))
		return err;
	if (unlikely(!job))
		return -EINVAL;
	uw = &ctx->uwork[index];
	if (unlikely(READ_ONCE(uw->job)))
		return -EBUSY;
	/* Release: what the job is about, to whoever salvages it. */
	pulse__store_release(&uw->job, job);
	return 0;
}

int pulse_worker_end_job(struct pulse_ctx *ctx, int index)
{
	struct pulse__slot *slot;
	struct pulse_uwork *uw;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (unlikely(!slot))
		return err;
	uw = &ctx->uwork[index];
	if (unlikely(!READ_ONCE(uw->job) || slot->adopted))
		return -ENOENT;
	WRITE_ONCE(uw->progress, uw->progress + 1);
	/* Release: what was done, before it is nobody's job any more. */
	pulse__store_release(&uw->job, 0);
	return 0;
}

/* Under the salvage lock. */
static uint64_t pulse__salvage_one(struct pulse_ctx *ctx, uint32_t index)
{
	struct pulse_uwork *m = &ctx->uwork[index];

	for (uint32_t n = 1; n < ctx->max_workers; n++) {
		uint32_t i = (index + n) % ctx->max_workers;
		struct pulse_uwork *d = &ctx->uwork[i];
		uint64_t job = pulse__word(&d->job);

		if (likely(!job) || pulse__kstate_lives(&ctx->kstate[i]))
			continue;
		/* Dead now: what it did last comes before. */
		job = pulse__word(&d->job);
		if (!job)
			continue;
		pulse__set_word(&m->from, i + 1);
		pulse__set_word(&m->job, job);
		pulse__set_word(&d->job, 0);
		pulse__set_word(&m->from, 0);
		return job;
	}
	return 0;
}

int pulse_worker_salvage(struct pulse_ctx *ctx, int index, uint64_t *job)
{
	struct pulse__slot *slot;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (!slot)
		return err;
	if (!job)
		return -EINVAL;
	if (!ctx->shared)
		return -EOPNOTSUPP;
	if (slot->adopted) {
		slot->adopted = false;
		*job = pulse__word(&ctx->uwork[index].job);
		return 1;
	}
	if (pulse__word(&ctx->uwork[index].job))
		return -EBUSY;
	pulse__salvage_lock(ctx, slot);
	*job = pulse__salvage_one(ctx, (uint32_t)index);
	pulse__salvage_unlock(ctx);
	return *job != 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may use a context: the process that set it up and, where that asked for
 * it, processes of the same user that were handed the descriptor and said JOIN.
 *
 * A process is known by its mm. The record keeps the struct, not the memory, so
 * that the address cannot come to mean another process; it ends with the
 * context, or when a place is wanted and the process is gone. The caller's own
 * record stays as long as the caller does, which is why looking for it needs no
 * lock. Each mm that joined is charged with the context's pages, as its creator
 * is: the pages stay when the creator goes.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "ctx.h"
#include "share.h"

/**
 * pulse_share_alloc() - who may use the context
 * @ctx: being set up
 * @shared: processes may join
 *
 * Return: 0 or -ENOMEM. pulse_share_free() takes what there is.
 */
int pulse_share_alloc(struct pulse_ctx *ctx, bool shared)
{
	struct pulse_share *share = &ctx->share;

	share->shared = shared;
	share->uid = current_uid();
	if (!shared)
		return 0;
	share->joined = kcalloc(PULSE_MAX_JOINED, sizeof(*share->joined),
				GFP_KERNEL_ACCOUNT);
	return share->joined ? 0 : -ENOMEM;
}

static void pulse_share_drop(struct pulse_ctx *ctx, struct mm_struct *mm)
{
	account_locked_vm(mm, ctx->locked_pages, false);
	mmdrop(mm);
}

/**
 * pulse_share_free() - nobody may use the context any more
 * @ctx: its pages are still charged
 */
void pulse_share_free(struct pulse_ctx *ctx)
{
	struct pulse_share *share = &ctx->share;
	unsigned int i;

	for (i = 0; share->joined && i < PULSE_MAX_JOINED; i++)
		if (share->joined[i])
			pulse_share_drop(ctx, share->joined[i]);
	kfree(share->joined);
	share->joined = NULL;
}

/**
 * pulse_share_has() - may a process use the context
 * @ctx: live
 * @mm: of the process; the caller keeps it
 *
 * Return: true for the creator and those that joined.
 */
bool pulse_share_has(struct pulse_ctx *ctx, const struct mm_struct *mm)
{
	unsigned int i;

	if (likely(mm == ctx->mm))
		return true;
	for (i = 0; ctx->share.joined && mm && i < PULSE_MAX_JOINED; i++)
		if (READ_ONCE(ctx->share.joined[i]) == mm)
			return true;
	return false;
}

/* Make room: a process without users of its mm never comes back. */
static void pulse_share_prune(struct pulse_ctx *ctx)
{
	struct pulse_share *share = &ctx->share;
	unsigned int i;

	for (i = 0; i < PULSE_MAX_JOINED; i++) {
		struct mm_struct *mm;

		spin_lock(&ctx->lock);
		mm = share->joined[i];
		if (mm && !atomic_read(&mm->mm_users))
			WRITE_ONCE(share->joined[i], NULL);
		else
			mm = NULL;
		spin_unlock(&ctx->lock);
		if (mm)
			pulse_share_drop(ctx, mm);
	}
}

/* A place for the caller, who has none, or -EEXIST, -ENOSPC. */
static int pulse_share_enter(struct pulse_ctx *ctx, struct mm_struct *mm)
{
	struct pulse_share *share = &ctx->share;
	int i, place = -ENOSPC;

	spin_lock(&ctx->lock);
	for (i = PULSE_MAX_JOINED - 1; i >= 0; i--) {
		if (!share->joined[i]) {
			place = i;
		} else if (share->joined[i] == mm) {
			place = -EEXIST;
			break;
		}
	}
	if (place >= 0) {
		mmgrab(mm);
		WRITE_ONCE(share->joined[place], mm);
	}
	spin_unlock(&ctx->lock);
	return min(place, 0);
}

/**
 * pulse_share_join() - JOIN
 * @ctx: the context, live
 *
 * Return: 0, -EEXIST, -EPERM, -ENOSPC, -ENOMEM.
 */
int pulse_share_join(struct pulse_ctx *ctx)
{
	struct mm_struct *mm = current->mm;
	int ret;

	if (!ctx->share.shared || !uid_eq(current_uid(), ctx->share.uid))
		return -EPERM;
	if (pulse_share_has(ctx, mm))
		return -EEXIST;
	pulse_share_prune(ctx);
	ret = account_locked_vm(mm, ctx->locked_pages, true);
	if (ret)
		return ret;
	ret = pulse_share_enter(ctx, mm);
	if (ret)
		account_locked_vm(mm, ctx->locked_pages, false);
	return ret;
}

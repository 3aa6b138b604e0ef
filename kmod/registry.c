// SPDX-License-Identifier: GPL-2.0-only
/*
 * All contexts that were set up, by number. For who looks at them from outside
 * (netlink.c); commands never come here, they have the file.
 *
 * The mutex keeps what is found from being released: SETUP adds before the
 * context is LIVE, and release takes it off before it frees anything. It is held
 * for one answer, or one message of a dump, and never across a user access.
 * Process context, outside of all spinlocks.
 */
#include <linux/limits.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "ctx.h"
#include "registry.h"

static DEFINE_MUTEX(pulse_registry_mutex);
static DEFINE_XARRAY_ALLOC1(pulse_contexts);

atomic_t pulse_registry_changes = ATOMIC_INIT(0);

/**
 * pulse_registry_add() - give a context its number
 * @ctx: being set up, all of it made
 *
 * Numbers go upwards and are not used again for a long time.
 *
 * Return: 0 or -ENOMEM.
 */
int pulse_registry_add(struct pulse_ctx *ctx)
{
	static u32 next;
	int ret;

	mutex_lock(&pulse_registry_mutex);
	ret = xa_alloc_cyclic(&pulse_contexts, &ctx->id, ctx,
			      XA_LIMIT(1, S32_MAX), &next, GFP_KERNEL_ACCOUNT);
	mutex_unlock(&pulse_registry_mutex);
	if (ret < 0)
		return ret;
	pulse_registry_changed();
	return 0;
}

/**
 * pulse_registry_del() - nobody finds the context any more
 * @ctx: from pulse_registry_add()
 */
void pulse_registry_del(struct pulse_ctx *ctx)
{
	mutex_lock(&pulse_registry_mutex);
	xa_erase(&pulse_contexts, ctx->id);
	mutex_unlock(&pulse_registry_mutex);
	pulse_registry_changed();
}

/**
 * pulse_registry_lock() - what is found stays, until pulse_registry_unlock()
 */
void pulse_registry_lock(void)
{
	mutex_lock(&pulse_registry_mutex);
}

/**
 * pulse_registry_unlock() - and may go again
 */
void pulse_registry_unlock(void)
{
	mutex_unlock(&pulse_registry_mutex);
}

/**
 * pulse_registry_find() - a context by its number
 * @id: as user space says
 *
 * Return: a live context, or NULL. The registry is locked.
 */
struct pulse_ctx *pulse_registry_find(u32 id)
{
	struct pulse_ctx *ctx;

	lockdep_assert_held(&pulse_registry_mutex);
	ctx = xa_load(&pulse_contexts, id);
	return ctx && pulse_ctx_is_live(ctx) ? ctx : NULL;
}

/**
 * pulse_registry_next() - the first context from a number on
 * @id: the number; gets that of the context
 *
 * Return: a live context, or NULL: none. The registry is locked.
 */
struct pulse_ctx *pulse_registry_next(unsigned long *id)
{
	struct pulse_ctx *ctx;

	lockdep_assert_held(&pulse_registry_mutex);
	for (ctx = xa_find(&pulse_contexts, id, S32_MAX, XA_PRESENT); ctx;
	     ctx = xa_find_after(&pulse_contexts, id, S32_MAX, XA_PRESENT))
		if (pulse_ctx_is_live(ctx))
			return ctx;
	return NULL;
}

/**
 * pulse_registry_generation() - moves with each context and worker that comes
 * or goes
 *
 * Return: never 0, as netlink wants it.
 */
unsigned int pulse_registry_generation(void)
{
	return (unsigned int)atomic_read(&pulse_registry_changes) ?: 1;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * worker.c - threads as workers: registering, leaving, dying, being looked at.
 *
 * Each thread keeps the list of its own slots. When it ends, a destructor of a
 * pthread key unregisters what it left; a thread that ends by a bare exit
 * system call is found by pulse__reap() when a slot or the end of the context
 * is wanted.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/backend.h"

struct pulse__thread {
	uint32_t fork_gen;
	int32_t tid;
	struct pulse__slot *slots;
};

/* Its address is the name of the thread. */
static __thread struct pulse__thread pulse__self;

static pthread_once_t pulse__key_once = PTHREAD_ONCE_INIT;
static pthread_key_t pulse__key;
static int pulse__key_err;

static void pulse__slot_release(struct pulse__slot *slot)
{
	struct pulse_ctx *ctx = slot->ctx;
	struct pulse__slot **link = &pulse__self.slots;
	uint32_t row = slot->row;

	while (*link && *link != slot)
		link = &(*link)->next;
	if (*link)
		*link = slot->next;
	/*
	 * Before the index can be given out again, and under the lock so that
	 * pulse__reap() does not count the same leave. A thread that ends in
	 * the middle of parking leaves no word behind that could be notified.
	 */
	pthread_mutex_lock(&ctx->lock);
	slot->next = NULL;
	pulse__park_retire(ctx, slot);
	pulse__store_release(&slot->owner, NULL);
	pthread_mutex_unlock(&ctx->lock);
	ctx->ops->worker_del(ctx, slot->index);
	/* Somebody may have chosen this worker, and counts on it. spin: leave */
	pulse__park_pass_on(ctx, row);
	/* Release: the last touch of the context; pulse__reap() acquires. */
	__atomic_fetch_sub(&ctx->live, 1, __ATOMIC_RELEASE);
}

static void pulse__thread_ends(void *arg)
{
	(void)arg;
	/* In a forked child the contexts may be gone. */
	if (pulse__forked(pulse__self.fork_gen))
		return;
	while (pulse__self.slots)
		pulse__slot_release(pulse__self.slots);
}

static void pulse__key_init(void)
{
	pulse__key_err = -pthread_key_create(&pulse__key, pulse__thread_ends);
}

/* Makes the calling thread known; what it inherited by fork is forgotten. */
static int pulse__thread_enter(void)
{
	pthread_once(&pulse__key_once, pulse__key_init);
	if (pulse__key_err)
		return pulse__key_err;
	if (pulse__forked(pulse__self.fork_gen)) {
		pulse__self.slots = NULL;
		pulse__self.tid = (int32_t)syscall(SYS_gettid);
		pulse__self.fork_gen = pulse__fork_generation();
	}
	return -pthread_setspecific(pulse__key, &pulse__self);
}

struct pulse__slot *pulse__own_slot(struct pulse_ctx *ctx, int index, int *err)
{
	struct pulse__slot *slot;
	const void *owner;

	*err = pulse__ctx_check(ctx);
	if (unlikely(*err))
		return NULL;
	if (unlikely((uint32_t)index >= ctx->max_workers)) {
		*err = index < 0 ? -EINVAL : -ESRCH;
		return NULL;
	}
	slot = &ctx->slots[index];
	owner = READ_ONCE(slot->owner);
	if (likely(owner == &pulse__self && slot->tid == pulse__self.tid))
		return slot;
	*err = owner ? -EPERM : -ESRCH;
	return NULL;
}

int pulse_worker_register(struct pulse_ctx *ctx, int node, uint64_t cookie)
{
	struct pulse__slot *slot;
	struct pulse_uwork *uw;
	uint32_t index, row;
	int err = pulse__ctx_check(ctx);

	if (err)
		return err;
	if (node < PULSE_NODE_ANY)
		return -EINVAL;
	err = pulse__thread_enter();
	if (err)
		return err;
	for (slot = pulse__self.slots; slot; slot = slot->next) {
		if (slot->ctx == ctx)
			return -EEXIST;
	}
	err = ctx->ops->worker_add(ctx, node, cookie, &index, &row);
	if (err == -ENOSPC && pulse__reap(ctx) < ctx->max_workers)
		err = ctx->ops->worker_add(ctx, node, cookie, &index, &row);
	if (err)
		return err;

	slot = &ctx->slots[index];
	uw = &ctx->uwork[index];
	pthread_mutex_lock(&ctx->lock);
	/* Not free where the kernel saw a death that this process did not. */
	if (!READ_ONCE(slot->owner))
		__atomic_fetch_add(&ctx->live, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(slot->tid, pulse__self.tid);
	slot->row = row;
	slot->cookie = cookie;
	if (ctx->ops->state == pulse__proc_state)
		pulse__proc_base(slot);
	slot->incarnation = READ_ONCE(ctx->kstate[index].incarnation);
	/* A new epoch: a waker that still means the last owner fails. */
	slot->epoch++;
	if (ctx->shared)
		pulse__salvage_adopt(ctx, slot);
	else
		WRITE_ONCE(uw->job, 0);
	__atomic_store_n(&uw->park,
			 PULSE_PARK_WORD(slot->epoch, PULSE_PARK_RUNNING),
			 __ATOMIC_SEQ_CST);
	WRITE_ONCE(uw->progress, 0);
	WRITE_ONCE(uw->cookie, cookie);
	slot->next = pulse__self.slots;
	pulse__self.slots = slot;
	/* Release: the slot's fields, to pulse_worker_state(). */
	pulse__store_release(&slot->owner, &pulse__self);
	pthread_mutex_unlock(&ctx->lock);
	return (int)index;
}

int pulse_worker_unregister(struct pulse_ctx *ctx, int index)
{
	struct pulse__slot *slot;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (!slot)
		return err;
	pulse__slot_release(slot);
	return 0;
}

bool pulse__worker_live(struct pulse_ctx *ctx, uint32_t index)
{
	const struct pulse__slot *slot;

	if (index >= ctx->max_workers)
		return false;
	slot = &ctx->slots[index];
	if (ctx->shared)	/* perhaps another process's */
		return pulse__kstate_lives(&ctx->kstate[index]);
	/*
	 * Acquire: pairs with the release in pulse_worker_register(). Asked on
	 * the way of a wake: no system call, so the user backend knows only of
	 * those who left by themselves.
	 */
	return pulse__load_acquire(&slot->owner) &&
	       (ctx->ops->kind == PULSE_BACKEND_USER ||
		ctx->ops->alive(ctx, slot));
}

uint32_t pulse__reap(struct pulse_ctx *ctx)
{
	/* Acquire: all that those who left did to the context. */
	uint32_t live = pulse__load_acquire(&ctx->live), dead = 0, row = 0;

	if (!live)
		return 0;
	pthread_mutex_lock(&ctx->lock);
	for (uint32_t i = 0; i < ctx->max_workers; i++) {
		struct pulse__slot *slot = &ctx->slots[i];

		if (!READ_ONCE(slot->owner) || ctx->ops->alive(ctx, slot))
			continue;
		row = slot->row;
		dead++;
		pulse__events_reaped(ctx, slot);
		pulse__park_retire(ctx, slot);
		pulse__store_release(&slot->owner, NULL);
		ctx->ops->reclaim(ctx, i);
		__atomic_fetch_sub(&ctx->live, 1, __ATOMIC_RELAXED);
	}
	live = READ_ONCE(ctx->live);
	pthread_mutex_unlock(&ctx->lock);
	while (dead--)	/* as in pulse__slot_release() */
		pulse__park_pass_on(ctx, row);
	return live;
}

int pulse_worker_state(struct pulse_ctx *ctx, int index,
		       struct pulse_worker_state *out)
{
	struct pulse_worker_state got = { .sz = sizeof(got) };
	const struct pulse__slot *slot;
	int err = pulse__ctx_check(ctx);

	if (err)
		return err;
	err = pulse__out_check(out, PULSE__END(struct pulse_worker_state,
					       missed));
	if (err)
		return err;
	if (index < 0 || (uint32_t)index >= ctx->max_workers)
		return -EINVAL;
	slot = &ctx->slots[index];
	/* Acquire: pairs with the release in pulse_worker_register(). */
	if (ctx->ops->state == pulse__proc_state &&
	    !pulse__load_acquire(&slot->owner))
		return -ESRCH;
	err = ctx->ops->state(ctx, slot, &got);
	if (!err)
		pulse__out_store(out, &got, sizeof(got));
	return err;
}

const char *pulse_state_name(uint32_t state)
{
	static const char *const names[] = {
		[PULSE_STATE_FREE]	= "free",
		[PULSE_STATE_RUNNING]	= "running",
		[PULSE_STATE_PREEMPTED]	= "preempted",
		[PULSE_STATE_BLOCKED]	= "blocked",
		[PULSE_STATE_PARKED]	= "parked",
		[PULSE_STATE_DEAD]	= "dead",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

int pulse__worker_hint(struct pulse_ctx *ctx, int index, int nice,
		       uint32_t sched_class)
{
	if (!ctx || index < 0 || (uint32_t)index >= ctx->max_workers)
		return -EINVAL;
	if (!ctx->ops->hint || READ_ONCE(ctx->futex_only))
		return -EOPNOTSUPP;
	return ctx->ops->hint(ctx, (uint32_t)index, nice, sched_class);
}

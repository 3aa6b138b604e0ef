// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * class.c - what the workers of a pool are to the scheduler: their class, their
 * weight beside others, and the slice that they run for.
 *
 * A worker sets it for itself as its thread begins, by sched_setattr(2), which
 * needs no module. Before 6.12 the kernel takes a slice and does nothing with it.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/pulse.h>

#include "pool/pool.h"

/* As the kernel has it; glibc names no such thing before 2.41. */
struct pulse__sched_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

#define PULSE__RESET_ON_FORK	1U

int pulse__class_load(struct pulse_pool *pool, const struct pulse_pool_opts *o)
{
	if (o->nice < -20 || o->nice > 19 || o->sched_class > PULSE_CLASS_IDLE ||
	    (o->slice_ns && (o->slice_ns < PULSE_MIN_SLICE_NS ||
			     o->slice_ns > PULSE_MAX_SLICE_NS)))
		return -EINVAL;
	/* Nothing is less than that. */
	if (o->sched_class == PULSE_CLASS_IDLE && (o->nice || o->slice_ns))
		return -EINVAL;
	pool->nice = o->nice;
	pool->sched_class = o->sched_class;
	pool->slice_ns = o->slice_ns;
	return 0;
}

int pulse__class_set(const struct pulse_pool *pool)
{
	static const uint32_t policy[] = {
		[PULSE_CLASS_BATCH] = SCHED_BATCH,
		[PULSE_CLASS_IDLE] = SCHED_IDLE,
	};
	struct pulse__sched_attr attr = { .size = sizeof(attr) };

	if (likely(!pool->nice && !pool->sched_class && !pool->slice_ns))
		return 0;
	/* What is not asked for stays as the thread has it from its creator. */
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0))
		return -errno;
	attr.size = sizeof(attr);
	attr.flags &= PULSE__RESET_ON_FORK;
	if (pool->sched_class)
		attr.policy = policy[pool->sched_class];
	if (pool->nice)
		attr.nice = pool->nice;
	if (pool->slice_ns)
		attr.runtime = pool->slice_ns;
	return syscall(SYS_sched_setattr, 0, &attr, 0) ? -errno : 0;
}

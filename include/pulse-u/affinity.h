/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * affinity.h - which CPUs a thread may use, and where it is now.
 *
 * The kernel intersects every mask with the cgroup's cpuset: a mask never
 * gets wider than that. CPU numbers are the kernel's.
 */
#ifndef PULSE_U_AFFINITY_H
#define PULSE_U_AFFINITY_H

#include <pthread.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * pulse_thread_set_affinity() - allow a thread these CPUs only
 * @thread: a thread of this process that has not ended
 * @cpus: CPU numbers
 * @nr: length of @cpus, at least 1
 *
 * Return: 0; -EINVAL no CPU, or none of them can be used; -ESRCH; -ENOMEM.
 */
PULSE_API int pulse_thread_set_affinity(pthread_t thread, const uint32_t *cpus,
					size_t nr);

/**
 * pulse_thread_set_current_affinity() - allow the calling thread these CPUs only
 * @cpus: CPU numbers
 * @nr: length of @cpus, at least 1
 *
 * Return: as pulse_thread_set_affinity().
 */
PULSE_API int pulse_thread_set_current_affinity(const uint32_t *cpus,
						size_t nr);

/**
 * pulse_thread_get_affinity() - the CPUs a thread may use
 * @thread: a thread of this process that has not ended
 * @cpus: out: CPU numbers, ascending; may be NULL where @max is 0
 * @max: room in @cpus
 *
 * Return: how many there are, which may be more than @max; -EINVAL; -ESRCH;
 * -ENOMEM.
 */
PULSE_API int pulse_thread_get_affinity(pthread_t thread, uint32_t *cpus,
					int max);

/**
 * pulse_cpu_current() - the CPU the calling thread runs on
 *
 * Old as soon as it is known, unless the thread is pinned. A few nanoseconds,
 * no system call.
 *
 * Return: CPU number.
 */
PULSE_API int pulse_cpu_current(void);

/**
 * pulse_node_current() - the NUMA node the calling thread runs on
 *
 * Return: node number; 0 where the kernel knows no nodes.
 */
PULSE_API int pulse_node_current(void);

/**
 * struct pulse_affinity - a thread's pin, and what it may use without it
 *
 * Belongs to the thread that made it: pin, unpin and destroy are its alone.
 */
struct pulse_affinity;

/**
 * pulse_affinity_create() - remember what the calling thread may use
 * @out: the object, not pinned yet
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_affinity_create(struct pulse_affinity **out);

/**
 * pulse_affinity_pin() - bind the calling thread to CPUs
 * @aff: the object
 * @cpus: CPU numbers
 * @nr: length of @cpus, at least 1
 *
 * The first pin remembers the mask before it; a further one replaces the
 * CPUs and keeps what is remembered. On error nothing has changed.
 *
 * Return: 0; -EINVAL; -EPERM another thread's object; -ENOMEM.
 */
PULSE_API int pulse_affinity_pin(struct pulse_affinity *aff,
				 const uint32_t *cpus, size_t nr);

/**
 * pulse_affinity_unpin() - restore the mask from before the first pin
 * @aff: the object; may be pinned again
 *
 * Return: 0; -EALREADY it is not pinned; -EINVAL also: none of the old CPUs
 * can be used any more; -EPERM another thread's object.
 */
PULSE_API int pulse_affinity_unpin(struct pulse_affinity *aff);

/**
 * pulse_affinity_get() - the CPUs it is pinned to
 * @aff: the object
 * @cpus: out: CPU numbers, ascending; may be NULL where @max is 0
 * @max: room in @cpus
 *
 * Return: how many there are, 0 = not pinned; -EINVAL; -EPERM another thread's
 * object.
 */
PULSE_API int pulse_affinity_get(const struct pulse_affinity *aff,
				 uint32_t *cpus, int max);

/**
 * pulse_affinity_destroy() - unpin if it is pinned, and forget it
 * @aff: the object
 *
 * Return: 0; -EINVAL; -EPERM another thread's object.
 */
PULSE_API int pulse_affinity_destroy(struct pulse_affinity *aff);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_AFFINITY_H */

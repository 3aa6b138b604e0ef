// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * affinity.c - masks of threads, pins, and where a thread is now.
 *
 * cpu_set_t stops at 1024 CPUs, so all sets here are allocated to measure. An
 * affinity object belongs to its thread; nothing else is shared.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pulse-u/affinity.h>

#include "topo/topo.h"

#define PULSE__AFFINITY_MAGIC	0x41464649U	/* "AFFI" */

struct pulse_affinity {
	uint32_t magic;
	pid_t tid;		/* the thread it belongs to */
	cpu_set_t *before;	/* mask before the first pin; NULL: not pinned */
	size_t before_bytes;
	cpu_set_t *pinned;
	size_t pinned_bytes;
};

/* ---- sets -------------------------------------------------------------- */

static cpu_set_t *pulse__set_alloc(uint32_t nr_cpus, size_t *bytes)
{
	cpu_set_t *set;

	if (pulse__alloc_fault())
		return NULL;
	set = CPU_ALLOC(nr_cpus);
	*bytes = CPU_ALLOC_SIZE(nr_cpus);
	if (set)
		CPU_ZERO_S(*bytes, set);
	return set;
}

/* A set from a list. 0, -EINVAL, -ENOMEM. */
static int pulse__set_from(const uint32_t *cpus, size_t nr, cpu_set_t **set,
			   size_t *bytes)
{
	uint32_t most = 0;

	if (!cpus || !nr)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		if (cpus[i] >= PULSE__TOPO_MAX_CPUS)
			return -EINVAL;
		most = cpus[i] > most ? cpus[i] : most;
	}
	*set = pulse__set_alloc(most + 1, bytes);
	if (!*set)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		CPU_SET_S(cpus[i], *bytes, *set);
	return 0;
}

static int pulse__set_list(const cpu_set_t *set, size_t bytes, uint32_t *cpus,
			   int max)
{
	int n = 0;

	for (size_t cpu = 0; cpu < bytes * CHAR_BIT; cpu++) {
		if (!CPU_ISSET_S(cpu, bytes, set))
			continue;
		if (n < max)
			cpus[n] = (uint32_t)cpu;
		n++;
	}
	return n;
}

/*
 * Reads a mask with @get (0 or a positive errno), which says EINVAL as long as
 * the set is shorter than the kernel's.
 */
static int pulse__set_read(int (*get)(void *who, size_t bytes, cpu_set_t *set),
			   void *who, cpu_set_t **set, size_t *bytes)
{
	for (uint32_t cpus = 1024; cpus <= PULSE__TOPO_MAX_CPUS; cpus *= 2) {
		int err;

		*set = pulse__set_alloc(cpus, bytes);
		if (!*set)
			return -ENOMEM;
		err = get(who, *bytes, *set);
		if (!err)
			return 0;
		CPU_FREE(*set);
		if (err != EINVAL)
			return -err;
	}
	return -EINVAL;
}

static int pulse__get_by_tid(void *who, size_t bytes, cpu_set_t *set)
{
	return sched_getaffinity(*(pid_t *)who, bytes, set) ? errno : 0;
}

static int pulse__get_by_thread(void *who, size_t bytes, cpu_set_t *set)
{
	return pthread_getaffinity_np(*(pthread_t *)who, bytes, set);
}

int pulse__affinity_read(int tid, void **set, size_t *bytes)
{
	cpu_set_t *read = NULL;
	int err = pulse__set_read(pulse__get_by_tid, &tid, &read, bytes);

	*set = err ? NULL : read;
	return err;
}

/* ---- threads ----------------------------------------------------------- */

int pulse_thread_set_affinity(pthread_t thread, const uint32_t *cpus, size_t nr)
{
	cpu_set_t *set;
	size_t bytes;
	int err;

	err = pulse__set_from(cpus, nr, &set, &bytes);
	if (err)
		return err;
	err = -pthread_setaffinity_np(thread, bytes, set);
	CPU_FREE(set);
	return err;
}

int pulse_thread_set_current_affinity(const uint32_t *cpus, size_t nr)
{
	return pulse_thread_set_affinity(pthread_self(), cpus, nr);
}

int pulse_thread_get_affinity(pthread_t thread, uint32_t *cpus, int max)
{
	cpu_set_t *set;
	size_t bytes;
	int n;

	if (!thread || max < 0 || (max && !cpus))
		return -EINVAL;
	n = pulse__set_read(pulse__get_by_thread, &thread, &set, &bytes);
	if (n)
		return n;
	n = pulse__set_list(set, bytes, cpus, max);
	CPU_FREE(set);
	return n;
}

int pulse_cpu_current(void)
{
	/* glibc reads it from the thread's rseq area, else from the vDSO. */
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : cpu;
}

int pulse_node_current(void)
{
	unsigned int cpu, node;

	return getcpu(&cpu, &node) ? 0 : (int)node;
}

/* ---- pins -------------------------------------------------------------- */

/* -EINVAL or -EPERM where the caller may not use it. */
static int pulse__affinity_mine(const struct pulse_affinity *aff)
{
	if (!aff)
		return -EINVAL;
	pulse__obj_check(aff, PULSE__AFFINITY_MAGIC, "pulse_affinity");
	return aff->tid == gettid() ? 0 : -EPERM;
}

int pulse_affinity_create(struct pulse_affinity **out)
{
	struct pulse_affinity *aff;

	if (!out)
		return -EINVAL;
	aff = pulse__calloc(1, sizeof(*aff));
	if (aff) {
		aff->magic = PULSE__AFFINITY_MAGIC;
		aff->tid = gettid();
	}
	*out = aff;
	return aff ? 0 : -ENOMEM;
}

int pulse_affinity_pin(struct pulse_affinity *aff, const uint32_t *cpus,
		       size_t nr)
{
	cpu_set_t *before = NULL, *set;
	size_t before_bytes = 0, bytes;
	int err;

	err = pulse__affinity_mine(aff);
	if (err)
		return err;
	err = pulse__set_from(cpus, nr, &set, &bytes);
	if (err)
		return err;
	if (!aff->before) {
		pid_t self = 0;

		err = pulse__set_read(pulse__get_by_tid, &self, &before,
				      &before_bytes);
	}
	if (!err && sched_setaffinity(0, bytes, set)) {
		err = -errno;
		if (before)
			CPU_FREE(before);
	}
	if (err) {
		CPU_FREE(set);
		return err;
	}
	if (before) {
		aff->before = before;
		aff->before_bytes = before_bytes;
	}
	if (aff->pinned)
		CPU_FREE(aff->pinned);
	aff->pinned = set;
	aff->pinned_bytes = bytes;
	return 0;
}

int pulse_affinity_unpin(struct pulse_affinity *aff)
{
	int err = pulse__affinity_mine(aff);

	if (err)
		return err;
	if (!aff->before)
		return -EALREADY;
	if (sched_setaffinity(0, aff->before_bytes, aff->before))
		return -errno;
	CPU_FREE(aff->before);
	CPU_FREE(aff->pinned);
	aff->before = NULL;
	aff->pinned = NULL;
	return 0;
}

int pulse_affinity_get(const struct pulse_affinity *aff, uint32_t *cpus,
		       int max)
{
	int err = pulse__affinity_mine(aff);

	if (err)
		return err;
	if (max < 0 || (max && !cpus))
		return -EINVAL;
	if (!aff->pinned)
		return 0;
	return pulse__set_list(aff->pinned, aff->pinned_bytes, cpus, max);
}

int pulse_affinity_destroy(struct pulse_affinity *aff)
{
	int err = pulse__affinity_mine(aff);

	if (err)
		return err;
	/* If the old CPUs are gone, there is no better mask to go back to. */
	if (aff->before && pulse_affinity_unpin(aff)) {
		CPU_FREE(aff->before);
		CPU_FREE(aff->pinned);
	}
	aff->magic = PULSE__MAGIC_DEAD;
	pulse__free(aff);
	return 0;
}

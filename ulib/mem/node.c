// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * node.c - memory of a NUMA node: mmap() and the mbind() system call itself,
 * so that libnuma is not needed. No state; any thread.
 */
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pulse-u/memory.h>

#include "mem/node.h"

#define PULSE__HUGE_PAGE	(2UL << 20)
#define PULSE__MASK_BITS	(CHAR_BIT * sizeof(unsigned long))

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

static size_t pulse__page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void pulse__here(int *cpu, int *node)
{
	unsigned int c, n;

	if (getcpu(&c, &n)) {
		*cpu = -1;
		*node = -1;
		return;
	}
	*cpu = (int)c;
	*node = (int)n;
}

bool pulse__node_exists(int node)
{
	char path[64];

	if (node < 0 || node >= PULSE__MAX_NODES)
		return false;
	/* Node 0 is there also where the kernel knows no nodes. */
	if (!node)
		return true;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	return !access(path, F_OK);
}

/* Makes @node the preferred one of a fresh mapping. */
static int pulse__prefer_node(void *mem, size_t bytes, int node)
{
	unsigned long mask[PULSE__MAX_NODES / PULSE__MASK_BITS] = { 0 };

	if (node < 0 || node >= PULSE__MAX_NODES)
		return -EINVAL;
	mask[(size_t)node / PULSE__MASK_BITS] =
		1UL << ((size_t)node % PULSE__MASK_BITS);
	/* The kernel takes one bit less than it is told. */
	if (!syscall(SYS_mbind, mem, bytes, MPOL_PREFERRED, mask,
		     PULSE__MAX_NODES + 1UL, 0UL))
		return 0;
	/*
	 * EINVAL: no such node, or it has no memory, or the cpuset forbids it.
	 * EPERM, ENOSYS: a container, or a kernel without NUMA. The pages are
	 * usable all the same, from where the kernel sees fit.
	 */
	return pulse__node_exists(node) ? 0 : -EINVAL;
}

static void pulse__populate(unsigned char *mem, size_t bytes, size_t page)
{
	if (!madvise(mem, bytes, MADV_POPULATE_WRITE))
		return;
	/* Before Linux 5.14; or the end of memory, which then shows here. */
	for (size_t at = 0; at < bytes; at += page)
		__atomic_store_n(mem + at, 0, __ATOMIC_RELAXED);
}

int pulse__map_on_node(size_t bytes, size_t align, int node,
		       unsigned int flags, void **out)
{
	size_t page = pulse__page_bytes(), span, skip;
	unsigned char *mem;
	int err, cpu;

	if (bytes > SIZE_MAX / 2 || align > SIZE_MAX / 4)
		return -ENOMEM;
	bytes = pulse__align_up(bytes, page);
	if (flags & PULSE_MEM_HUGE && bytes >= PULSE__HUGE_PAGE &&
	    align < PULSE__HUGE_PAGE)
		align = PULSE__HUGE_PAGE;
	span = align > page ? bytes + align : bytes;
	if (pulse__alloc_fault())
		return -ENOMEM;
	mem = mmap(NULL, span, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	if (span > bytes) {
		/* Cut off what is before and behind the aligned part. */
		skip = pulse__align_up((uintptr_t)mem, align) - (uintptr_t)mem;
		if (skip)
			munmap(mem, skip);
		if (span - skip > bytes)
			munmap(mem + skip + bytes, span - skip - bytes);
		mem += skip;
	}
	if (node == PULSE_NODE_HERE)
		pulse__here(&cpu, &node);
	else if (node < 0) {
		munmap(mem, bytes);
		return -EINVAL;
	}
	err = node < 0 ? 0 : pulse__prefer_node(mem, bytes, node);
	if (err) {
		munmap(mem, bytes);
		return err;
	}
	/* A wish: kernels without transparent huge pages say EINVAL. */
	if (flags & PULSE_MEM_HUGE)
		madvise(mem, bytes, MADV_HUGEPAGE);
	if (flags & PULSE_MEM_POPULATE)
		pulse__populate(mem, bytes, page);
	*out = mem;
	return 0;
}

int pulse_alloc_on_node(size_t bytes, int node, unsigned int flags, void **out)
{
	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!bytes || flags & ~(PULSE_MEM_HUGE | PULSE_MEM_POPULATE))
		return -EINVAL;
	return pulse__map_on_node(bytes, 1, node, flags, out);
}

int pulse_free_on_node(void *ptr, size_t bytes)
{
	size_t page = pulse__page_bytes();

	if (!ptr)
		return 0;
	if (!bytes || bytes > SIZE_MAX / 2 || !pulse__is_aligned(ptr, page))
		return -EINVAL;
	return munmap(ptr, pulse__align_up(bytes, page)) ? -errno : 0;
}

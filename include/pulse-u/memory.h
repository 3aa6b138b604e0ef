/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * memory.h - memory of a NUMA node, and slabs of equal objects in it.
 *
 * Nodes are the kernel's node numbers. A node without memory, or a kernel
 * without NUMA, is served from the nearest memory there is: a node is a wish
 * for speed, never a reason to fail.
 */
#ifndef PULSE_U_MEMORY_H
#define PULSE_U_MEMORY_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "Whatever node the calling thread runs on" where a node is asked for. */
#define PULSE_NODE_HERE (-1)

/* Flags of pulse_alloc_on_node(). */
#define PULSE_MEM_HUGE		(1U << 0) /* huge pages where they can be had */
#define PULSE_MEM_POPULATE	(1U << 1) /* fault all pages in now */

/**
 * pulse_alloc_on_node() - whole pages of a node's memory
 * @bytes: at least 1; rounded up to whole pages
 * @node: node number, or PULSE_NODE_HERE
 * @flags: PULSE_MEM_* or 0
 * @out: the memory, zeroed, page aligned; the caller's until
 *	pulse_free_on_node()
 *
 * From any thread. Costs a system call or three: for small objects there is
 * struct pulse_slab.
 *
 * Return: 0; -EINVAL @bytes is 0, unknown flag, or no such node; -ENOMEM.
 */
PULSE_API int pulse_alloc_on_node(size_t bytes, int node, unsigned int flags,
				  void **out);

/**
 * pulse_free_on_node() - give back what pulse_alloc_on_node() gave
 * @ptr: the memory; NULL does nothing
 * @bytes: as it was asked for
 *
 * Return: 0; -EINVAL @ptr and @bytes are not of such an allocation.
 */
PULSE_API int pulse_free_on_node(void *ptr, size_t bytes);

/**
 * struct pulse_slab - a pool of objects of one size
 *
 * Objects are carved from blocks of node memory. Each thread keeps a magazine
 * of free objects of the node it is on, so that most calls touch no line that
 * another thread writes and need no atomic instruction (where membarrier(2) is
 * refused: each CPU, with one); what a magazine cannot hold or give goes to and
 * comes from the free list of the node (J. Bonwick, J. Adams: Magazines and
 * Vmem, USENIX 2001). An object that is freed on another node goes home. Memory
 * goes back to the system with pulse_slab_trim(), and when the slab is
 * destroyed.
 *
 * All calls but destroy may be made from any thread at any time.
 */
struct pulse_slab;

/**
 * struct pulse_slab_opts - options of pulse_slab_create()
 * @sz: sizeof(struct pulse_slab_opts)
 * @object_bytes: size of an object, 1 to 65536; required
 * @align: alignment of each object, a power of two up to 4096; default 16, or
 *	64 where @object_bytes is at least 64
 * @max_bytes: the most memory the slab may take from the system; default no
 *	limit. At least one block is needed for each node that is used.
 * @magazine: objects a thread may keep to itself, 1 to 1024; default 32;
 *	%PULSE_OFF for none
 * @flags: PULSE_SLAB_* or 0
 */
struct pulse_slab_opts {
	size_t sz;
	size_t object_bytes;
	size_t align;
	size_t max_bytes;
	int32_t magazine;
	uint32_t flags;
};

#define PULSE_SLAB_HUGE	(1U << 0) /* huge pages where they can be had */

/**
 * pulse_slab_create() - make a slab
 * @opts: options; required, as there is no default size
 * @out: the slab
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_slab_create(const struct pulse_slab_opts *opts,
				struct pulse_slab **out);

/**
 * pulse_slab_destroy() - give all memory back
 * @slab: the slab; no other thread may use it any more
 *
 * Objects that were not freed go with it.
 *
 * Return: the number of objects that were never freed (0 or more), as far as
 * an int can say; -EINVAL. Allowed in a forked child.
 */
PULSE_API int pulse_slab_destroy(struct pulse_slab *slab);

/**
 * pulse_slab_alloc() - take an object, of the node where the caller runs
 * @slab: the slab
 * @out: the object; its content is undefined
 *
 * Other nodes are asked when the node's memory is at its end.
 *
 * Return: 0; -ENOMEM; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_slab_alloc(struct pulse_slab *slab, void **out);

/**
 * pulse_slab_alloc_on() - take an object of a certain node
 * @slab: the slab
 * @node: node number, or PULSE_NODE_HERE
 * @out: the object; its content is undefined
 *
 * Return: 0; -ENOMEM; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_slab_alloc_on(struct pulse_slab *slab, int node,
				  void **out);

/**
 * pulse_slab_free() - give an object back
 * @slab: the slab it came from
 * @object: the object; NULL does nothing
 *
 * From any thread. A debug build of the library (PULSE_DEBUG) aborts with a
 * message where @object is free already, is none of @slab's, or was written
 * to after an earlier free.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_slab_free(struct pulse_slab *slab, void *object);

/**
 * pulse_slab_trim() - give back to the system what is not in use
 * @slab: the slab
 *
 * Empties the magazines, also those of other threads, and unmaps the blocks of
 * which no object is in use. Takes time for each free object. From any thread,
 * also while others use the slab.
 *
 * Return: bytes given back; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int64_t pulse_slab_trim(struct pulse_slab *slab);

/**
 * pulse_slab_node_of() - the node an object belongs to
 * @slab: the slab it came from
 * @object: the object
 *
 * Return: node number; -EINVAL.
 */
PULSE_API int pulse_slab_node_of(struct pulse_slab *slab, const void *object);

/**
 * struct pulse_slab_stats - what a slab has done
 * @sz: sizeof(struct pulse_slab_stats), set by the caller
 * @allocations: objects given out so far
 * @frees: objects given back so far
 * @in_use: objects given out and not given back
 * @hits: allocations that a magazine served
 * @misses: allocations that went to a node's list or to the system
 * @remote_frees: frees of an object whose home is another node
 * @failed: allocations that answered -ENOMEM
 * @bytes: memory taken from the system
 * @hit_percent: 100 * @hits / (@hits + @misses); 0 before the first
 *
 * Summed up without stopping anybody: the figures may differ by what was under
 * way. When nobody uses the slab they are exact.
 */
struct pulse_slab_stats {
	size_t sz;
	uint64_t allocations;
	uint64_t frees;
	uint64_t in_use;
	uint64_t hits;
	uint64_t misses;
	uint64_t remote_frees;
	uint64_t failed;
	uint64_t bytes;
	double hit_percent;
};

/**
 * pulse_slab_stats() - read a slab's statistics
 * @slab: the slab
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_slab_stats(struct pulse_slab *slab,
			       struct pulse_slab_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MEMORY_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* node.h - pages of a node's memory, with an alignment of one's choice. */
#ifndef PULSE__MEM_NODE_H
#define PULSE__MEM_NODE_H

#include "base/base.h"

/* Node numbers of Linux are below this on every architecture. */
#define PULSE__MAX_NODES 1024

/**
 * pulse__map_on_node() - map zeroed pages that shall come from a node
 * @bytes: rounded up to whole pages
 * @align: a power of two; pages are aligned to it, at least to a page
 * @node: node number, or PULSE_NODE_HERE
 * @flags: PULSE_MEM_*
 * @out: the pages; given back with pulse_free_on_node()
 *
 * The node is preferred, not forced: MPOL_PREFERRED, so that a full node or
 * one without memory is served from its neighbours.
 *
 * Return: 0; -EINVAL no such node; -ENOMEM.
 */
int pulse__map_on_node(size_t bytes, size_t align, int node,
		       unsigned int flags, void **out);

/* The calling thread's CPU and node, from one look; -1 if there is no telling. */
void pulse__here(int *cpu, int *node);

/* Is there such a node, with or without memory? */
bool pulse__node_exists(int node);

#endif /* PULSE__MEM_NODE_H */

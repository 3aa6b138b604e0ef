/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * topology.h - the machine: CPUs, cores, caches, sockets and NUMA nodes.
 *
 * CPUs and nodes are named by the kernel's numbers (those of taskset and
 * numactl), cores and packages by small numbers from 0. A topology never
 * changes once it is made: all queries may be made from any thread, without a
 * lock and without a system call.
 *
 * *Usable* CPUs are those that the process may run on: online, allowed by its
 * cgroup's cpuset and by the affinity of its first thread (not of the caller,
 * which may be pinned). Counts are of usable CPUs; questions about one CPU may
 * name any CPU. A topology may also be used in a forked child.
 *
 * Lists are written to an array of the caller's with room for @max numbers, in
 * ascending order where nothing else is said; the return value is how many
 * there are, which may be more than @max. With @max 0 the array may be NULL.
 */
#ifndef PULSE_U_TOPOLOGY_H
#define PULSE_U_TOPOLOGY_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_topology;

/**
 * struct pulse_topology_opts - options of pulse_topology_create()
 * @sz: sizeof(struct pulse_topology_opts)
 * @synthetic: describes a machine that is not there, in hwloc's words, for
 *	example "pack:2 numa:1 l3:1 core:4 pu:2", or as lstopo exports it in
 *	XML; NULL: the real one. Needed during the call only.
 * @cpus: use only these of the usable CPUs; NULL: all of them
 * @nr_cpus: length of @cpus
 */
struct pulse_topology_opts {
	size_t sz;
	const char *synthetic;
	const uint32_t *cpus;
	size_t nr_cpus;
};

/**
 * pulse_topology_create() - look at the machine
 * @opts: or NULL for the real machine
 * @out: the topology
 *
 * Where the system does not say, or what it says cannot be, the answer is one
 * node with all usable CPUs, each a core of its own (@fallback of struct
 * pulse_topology_info says so).
 *
 * Return: 0; -EINVAL the synthetic description is wrong, or none of @cpus is
 * usable; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_topology_create(const struct pulse_topology_opts *opts,
				    struct pulse_topology **out);

/**
 * pulse_topology_destroy() - forget a topology
 * @topo: from pulse_topology_create(), not the default one
 *
 * Return: 0; -EINVAL; -EBUSY it is the default one.
 */
PULSE_API int pulse_topology_destroy(struct pulse_topology *topo);

/**
 * pulse_topology_default() - the topology of the real machine
 * @out: the topology; it stays the library's
 *
 * Made at the first call and kept until the process ends. It does not notice
 * CPUs that come or go later.
 *
 * Return: 0; -EINVAL; -ENOMEM (the next call tries again).
 */
PULSE_API int pulse_topology_default(struct pulse_topology **out);

/**
 * struct pulse_topology_info - a topology in figures
 * @sz: sizeof(struct pulse_topology_info), set by the caller
 * @physical_cores: cores with at least one usable CPU
 * @total_cores: usable CPUs (hardware threads)
 * @nr_nodes: NUMA nodes, with those that have no CPU or no memory
 * @nr_packages: sockets
 * @max_cpu: highest CPU number, usable or not
 * @max_node: highest node number
 * @synthetic: 1 if it was described by the caller
 * @fallback: 1 if the system's own description could not be used
 */
struct pulse_topology_info {
	size_t sz;
	uint32_t physical_cores;
	uint32_t total_cores;
	uint32_t nr_nodes;
	uint32_t nr_packages;
	uint32_t max_cpu;
	uint32_t max_node;
	uint32_t synthetic;
	uint32_t fallback;
};

/**
 * pulse_topology_info() - a topology in figures
 * @topo: the topology
 * @info: out; its sz must be set
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_topology_info(const struct pulse_topology *topo,
				  struct pulse_topology_info *info);

/**
 * pulse_topology_physical_cores() - cores with at least one usable CPU
 * @topo: the topology
 *
 * Return: 1 or more; -EINVAL.
 */
PULSE_API int pulse_topology_physical_cores(const struct pulse_topology *topo);

/**
 * pulse_topology_total_cores() - usable CPUs, hardware threads
 * @topo: the topology
 *
 * Return: 1 or more; -EINVAL.
 */
PULSE_API int pulse_topology_total_cores(const struct pulse_topology *topo);

/**
 * pulse_topology_nodes() - the NUMA nodes
 * @topo: the topology
 * @nodes: out: node numbers
 * @max: room in @nodes
 *
 * Return: how many there are, at least 1; -EINVAL.
 */
PULSE_API int pulse_topology_nodes(const struct pulse_topology *topo,
				   int *nodes, int max);

/**
 * pulse_topology_cpus() - the usable CPUs
 * @topo: the topology
 * @cpus: out: CPU numbers
 * @max: room in @cpus
 *
 * Return: how many there are, at least 1; -EINVAL.
 */
PULSE_API int pulse_topology_cpus(const struct pulse_topology *topo,
				  uint32_t *cpus, int max);

/**
 * pulse_topology_node_cpus() - the usable CPUs of a node
 * @topo: the topology
 * @node: node number
 * @cpus: out: CPU numbers
 * @max: room in @cpus
 *
 * Return: how many there are, 0 for a node without a usable CPU; -EINVAL no
 * such node.
 */
PULSE_API int pulse_topology_node_cpus(const struct pulse_topology *topo,
				       int node, uint32_t *cpus, int max);

/**
 * pulse_topology_node_of_cpu() - the node a CPU belongs to
 * @topo: the topology
 * @cpu: CPU number, usable or not
 *
 * Return: node number; -EINVAL no such CPU.
 */
PULSE_API int pulse_topology_node_of_cpu(const struct pulse_topology *topo,
					 uint32_t cpu);

/**
 * pulse_topology_node_bytes() - memory of a node
 * @topo: the topology
 * @node: node number
 *
 * Return: bytes, 0 for a node without memory or of unknown size; -EINVAL.
 */
PULSE_API int64_t pulse_topology_node_bytes(const struct pulse_topology *topo,
					    int node);

/**
 * pulse_topology_node_distance() - how far a node's memory is from another
 * @topo: the topology
 * @from: node number
 * @to: node number
 *
 * Return: as in the firmware's table: 10 local, 20 twice as slow; where there
 * is no table, 10 and 20. -EINVAL no such node.
 */
PULSE_API int pulse_topology_node_distance(const struct pulse_topology *topo,
					   int from, int to);

/**
 * pulse_topology_nodes_from() - all nodes, nearest first
 * @topo: the topology
 * @node: where to start; it comes out first
 * @nodes: out: node numbers by distance, equals by number
 * @max: room in @nodes
 *
 * Return: how many there are; -EINVAL no such node.
 */
PULSE_API int pulse_topology_nodes_from(const struct pulse_topology *topo,
					int node, int *nodes, int max);

/* What pulse_topology_core_distance() answers. */
#define PULSE_DISTANCE_CORE	0	/* the same core: SMT siblings */
#define PULSE_DISTANCE_L2	10	/* share an L2 cache */
#define PULSE_DISTANCE_L3	20	/* share an L3 cache */
#define PULSE_DISTANCE_PACKAGE	50	/* in the same socket */
#define PULSE_DISTANCE_REMOTE	100	/* in different sockets */

/**
 * pulse_topology_core_distance() - how far apart two CPUs are
 * @topo: the topology
 * @cpu1: CPU number
 * @cpu2: CPU number
 *
 * Return: PULSE_DISTANCE_*, 0 to 100; -EINVAL no such CPU.
 */
PULSE_API int pulse_topology_core_distance(const struct pulse_topology *topo,
					   uint32_t cpu1, uint32_t cpu2);

/**
 * struct pulse_topology_cpu - where a CPU lies
 * @sz: sizeof(struct pulse_topology_cpu), set by the caller
 * @cpu: its number
 * @core: its core, from 0 over the whole machine
 * @package: its socket, from 0
 * @node: its NUMA node
 * @smt: its place among the CPUs of its core, from 0
 * @kind: on a machine with unlike cores, the more the faster, from 0; -1: all
 *	alike or not known
 * @usable: 1 if the process may run on it
 */
struct pulse_topology_cpu {
	size_t sz;
	uint32_t cpu;
	uint32_t core;
	uint32_t package;
	int32_t node;
	uint32_t smt;
	int32_t kind;
	uint32_t usable;
	uint32_t reserved;
};

/**
 * pulse_topology_cpu() - where a CPU lies
 * @topo: the topology
 * @cpu: CPU number, usable or not
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL also: no such CPU.
 */
PULSE_API int pulse_topology_cpu(const struct pulse_topology *topo,
				 uint32_t cpu, struct pulse_topology_cpu *out);

/**
 * struct pulse_topology_cache - a data or unified cache
 * @sz: sizeof(struct pulse_topology_cache), set by the caller
 * @bytes: its size, 0 = not known
 * @line_bytes: its line, 0 = not known
 * @level: 1, 2 or 3
 */
struct pulse_topology_cache {
	size_t sz;
	uint64_t bytes;
	uint32_t line_bytes;
	uint32_t level;
};

/**
 * pulse_topology_cache() - a cache that a CPU uses
 * @topo: the topology
 * @cpu: CPU number
 * @level: 1, 2 or 3
 * @out: the answer, its sz must be set; or NULL
 * @cpus: out: all CPUs that share it, usable or not
 * @max: room in @cpus
 *
 * Return: how many CPUs share it, 1 or more; -ENOENT no such cache; -EINVAL.
 */
PULSE_API int pulse_topology_cache(const struct pulse_topology *topo,
				   uint32_t cpu, int level,
				   struct pulse_topology_cache *out,
				   uint32_t *cpus, int max);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TOPOLOGY_H */

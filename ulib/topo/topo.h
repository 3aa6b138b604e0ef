/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * topo.h - the tables of a topology.
 *
 * Filled in once by discover.c (from hwloc) or by pulse__topo_fallback(), then
 * never written again: that is what protects it.
 */
#ifndef PULSE__TOPO_H
#define PULSE__TOPO_H

#include <pulse-u/topology.h>

#include "base/base.h"

#define PULSE__TOPO_MAGIC	0x544f504fU	/* "TOPO" */
#define PULSE__TOPO_LEVELS	3
/* Beyond these the description is a lie; Linux has at most 8192 and 1024. */
#define PULSE__TOPO_MAX_CPUS	16384U
#define PULSE__TOPO_MAX_NODES	1024U

struct pulse__topo_cpu {
	bool present;
	bool usable;
	uint32_t core;
	uint32_t package;
	uint32_t smt;
	uint32_t node;		/* place in node[], not the number */
	int32_t kind;
	int32_t cache[PULSE__TOPO_LEVELS];	/* place in cache[], -1 none */
};

struct pulse__topo_node {
	int id;
	int64_t bytes;
};

struct pulse__topo_cache {
	uint64_t bytes;
	uint32_t line_bytes;
	uint32_t level;
};

struct pulse_topology {
	uint32_t magic;
	bool is_default;
	bool synthetic;
	bool fallback;

	uint32_t nr_cpus;	/* length of cpu[]: highest number + 1 */
	uint32_t nr_nodes;
	uint32_t nr_caches;
	uint32_t nr_packages;
	uint32_t nr_cores;	/* of the whole machine */
	uint32_t usable_cpus;
	uint32_t usable_cores;

	struct pulse__topo_cpu *cpu;		/* by number */
	struct pulse__topo_node *node;		/* ascending */
	struct pulse__topo_cache *cache;
	uint32_t *distance;			/* nr_nodes x nr_nodes */
};

/**
 * pulse__topo_discover() - fill the tables in from hwloc
 * @t: zeroed
 * @synthetic: description, or NULL for the machine
 *
 * Return: 0; -EINVAL a wrong description; -ENOMEM; -EIO the machine's own
 * description cannot be read, or cannot be.
 */
int pulse__topo_discover(struct pulse_topology *t, const char *synthetic);

/* 0 hwloc can read this sysfs without harm to the process; -EIO; -ENOMEM. */
int pulse__sysfs_check(void);
/* "0-3,8" with numbers up to @most, not empty. */
bool pulse__cpulist_sane(const char *text, uint32_t most);

/* One node, and each CPU of the process a core. 0 or -ENOMEM. */
int pulse__topo_fallback(struct pulse_topology *t);

/* Frees the tables and zeroes @t. */
void pulse__topo_clear(struct pulse_topology *t);

/* Tables of these sizes; distances 10 and 20. 0 or -ENOMEM. */
int pulse__topo_tables(struct pulse_topology *t, uint32_t nr_cpus,
		       uint32_t nr_nodes, uint32_t nr_caches);

/**
 * pulse__affinity_read() - the CPUs a thread may use
 * @tid: thread id, 0: the calling thread
 * @set: out: a cpu_set_t of *@bytes bytes, given back with CPU_FREE()
 * @bytes: out
 *
 * Return: 0 or -errno.
 */
int pulse__affinity_read(int tid, void **set, size_t *bytes);

#endif /* PULSE__TOPO_H */

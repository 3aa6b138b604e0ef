// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* query.c - questions to a topology: reads of tables that never change. */
#include "topo/topo.h"

static const struct pulse__topo_cpu *
pulse__topo_cpu(const struct pulse_topology *t, uint32_t cpu)
{
	if (!t || cpu >= t->nr_cpus || !t->cpu[cpu].present)
		return NULL;
	return &t->cpu[cpu];
}

/* Place of a node, or -EINVAL. */
static int pulse__topo_place(const struct pulse_topology *t, int node)
{
	for (uint32_t i = 0; t && i < t->nr_nodes; i++) {
		if (t->node[i].id == node)
			return (int)i;
	}
	return -EINVAL;
}

static bool pulse__list_ok(const void *list, int max)
{
	return max == 0 || (max > 0 && list);
}

int pulse_topology_info(const struct pulse_topology *t,
			struct pulse_topology_info *info)
{
	struct pulse_topology_info i;
	int err;

	if (!t)
		return -EINVAL;
	err = pulse__out_check(info, pulse__size_to(typeof(i), fallback));
	if (err)
		return err;
	memset(&i, 0, sizeof(i));
	i.physical_cores = t->usable_cores;
	i.total_cores = t->usable_cpus;
	i.nr_nodes = t->nr_nodes;
	i.nr_packages = t->nr_packages;
	i.max_cpu = t->nr_cpus - 1;
	i.max_node = (uint32_t)t->node[t->nr_nodes - 1].id;
	i.synthetic = t->synthetic;
	i.fallback = t->fallback;
	pulse__out_store(info, &i, sizeof(i));
	return 0;
}

int pulse_topology_physical_cores(const struct pulse_topology *t)
{
	return t ? (int)t->usable_cores : -EINVAL;
}

int pulse_topology_total_cores(const struct pulse_topology *t)
{
	return t ? (int)t->usable_cpus : -EINVAL;
}

int pulse_topology_nodes(const struct pulse_topology *t, int *nodes, int max)
{
	if (!t || !pulse__list_ok(nodes, max))
		return -EINVAL;
	for (int i = 0; i < max && (uint32_t)i < t->nr_nodes; i++)
		nodes[i] = t->node[i].id;
	return (int)t->nr_nodes;
}

int pulse_topology_cpus(const struct pulse_topology *t, uint32_t *cpus, int max)
{
	int n = 0;

	if (!t || !pulse__list_ok(cpus, max))
		return -EINVAL;
	for (uint32_t cpu = 0; cpu < t->nr_cpus; cpu++) {
		if (!t->cpu[cpu].usable)
			continue;
		if (n < max)
			cpus[n] = cpu;
		n++;
	}
	return n;
}

int pulse_topology_node_cpus(const struct pulse_topology *t, int node,
			     uint32_t *cpus, int max)
{
	int place = pulse__topo_place(t, node), n = 0;

	if (place < 0 || !pulse__list_ok(cpus, max))
		return -EINVAL;
	for (uint32_t cpu = 0; cpu < t->nr_cpus; cpu++) {
		if (!t->cpu[cpu].usable || t->cpu[cpu].node != (uint32_t)place)
			continue;
		if (n < max)
			cpus[n] = cpu;
		n++;
	}
	return n;
}

int pulse_topology_node_of_cpu(const struct pulse_topology *t, uint32_t cpu)
{
	const struct pulse__topo_cpu *c = pulse__topo_cpu(t, cpu);

	return c ? t->node[c->node].id : -EINVAL;
}

int64_t pulse_topology_node_bytes(const struct pulse_topology *t, int node)
{
	int place = pulse__topo_place(t, node);

	return place < 0 ? -EINVAL : t->node[place].bytes;
}

int pulse_topology_node_distance(const struct pulse_topology *t, int from,
				 int to)
{
	int a = pulse__topo_place(t, from), b = pulse__topo_place(t, to);

	if (a < 0 || b < 0)
		return -EINVAL;
	return (int)t->distance[(uint32_t)a * t->nr_nodes + (uint32_t)b];
}

/* Does place @a come before place @b, seen from @from? Itself comes first. */
static bool pulse__nearer(const struct pulse_topology *t, uint32_t from,
			  uint32_t a, uint32_t b)
{
	uint32_t da = t->distance[from * t->nr_nodes + a];
	uint32_t db = t->distance[from * t->nr_nodes + b];

	if (a == from || b == from)
		return a == from && b != from;
	return da != db ? da < db : a < b;
}

int pulse_topology_nodes_from(const struct pulse_topology *t, int node,
			      int *nodes, int max)
{
	int place = pulse__topo_place(t, node);

	if (place < 0 || !pulse__list_ok(nodes, max))
		return -EINVAL;
	for (uint32_t i = 0; i < t->nr_nodes; i++) {
		int rank = 0;

		for (uint32_t j = 0; j < t->nr_nodes; j++)
			rank += pulse__nearer(t, (uint32_t)place, j, i);
		if (rank < max)
			nodes[rank] = t->node[i].id;
	}
	return (int)t->nr_nodes;
}

static bool pulse__share(const struct pulse__topo_cpu *a,
			 const struct pulse__topo_cpu *b, int level)
{
	return a->cache[level - 1] >= 0 &&
	       a->cache[level - 1] == b->cache[level - 1];
}

int pulse_topology_core_distance(const struct pulse_topology *t, uint32_t cpu1,
				 uint32_t cpu2)
{
	const struct pulse__topo_cpu *a = pulse__topo_cpu(t, cpu1);
	const struct pulse__topo_cpu *b = pulse__topo_cpu(t, cpu2);

	if (!a || !b)
		return -EINVAL;
	if (a->core == b->core)
		return PULSE_DISTANCE_CORE;
	if (pulse__share(a, b, 2))
		return PULSE_DISTANCE_L2;
	if (pulse__share(a, b, 3))
		return PULSE_DISTANCE_L3;
	return a->package == b->package ? PULSE_DISTANCE_PACKAGE :
					  PULSE_DISTANCE_REMOTE;
}

int pulse_topology_cpu(const struct pulse_topology *t, uint32_t cpu,
		       struct pulse_topology_cpu *out)
{
	const struct pulse__topo_cpu *c = pulse__topo_cpu(t, cpu);
	struct pulse_topology_cpu o;
	int err;

	if (!c)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(o), reserved));
	if (err)
		return err;
	memset(&o, 0, sizeof(o));
	o.cpu = cpu;
	o.core = c->core;
	o.package = c->package;
	o.node = t->node[c->node].id;
	o.smt = c->smt;
	o.kind = c->kind;
	o.usable = c->usable;
	pulse__out_store(out, &o, sizeof(o));
	return 0;
}

int pulse_topology_cache(const struct pulse_topology *t, uint32_t cpu,
			 int level, struct pulse_topology_cache *out,
			 uint32_t *cpus, int max)
{
	const struct pulse__topo_cpu *c = pulse__topo_cpu(t, cpu);
	const struct pulse__topo_cache *cache;
	struct pulse_topology_cache o;
	int n = 0;

	if (!c || level < 1 || level > PULSE__TOPO_LEVELS ||
	    !pulse__list_ok(cpus, max))
		return -EINVAL;
	if (out) {
		int err = pulse__out_check(out,
					   pulse__size_to(typeof(o), level));

		if (err)
			return err;
	}
	if (c->cache[level - 1] < 0)
		return -ENOENT;
	cache = &t->cache[c->cache[level - 1]];
	if (out) {
		memset(&o, 0, sizeof(o));
		o.bytes = cache->bytes;
		o.line_bytes = cache->line_bytes;
		o.level = cache->level;
		pulse__out_store(out, &o, sizeof(o));
	}
	for (uint32_t other = 0; other < t->nr_cpus; other++) {
		if (!t->cpu[other].present ||
		    !pulse__share(c, &t->cpu[other], level))
			continue;
		if (n < max)
			cpus[n] = other;
		n++;
	}
	return n;
}

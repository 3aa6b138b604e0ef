// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * discover.c - from hwloc to our tables.
 *
 * The only file that knows hwloc. Its topology is loaded, copied and thrown
 * away, so that later questions cost an array access and nothing of it shows
 * in a public header. Whatever it says is checked before it is believed:
 * sysfs of containers and hypervisors is known to lie.
 */
#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

#include "topo/topo.h"

/* Loads what there is to know. 0, -EINVAL, -EIO, -ENOMEM. */
static int pulse__hwloc_load(hwloc_topology_t *out, const char *synthetic)
{
	hwloc_topology_t h;
	int err = synthetic ? 0 : pulse__sysfs_check();

	if (err)
		return err;
	if (pulse__alloc_fault() || hwloc_topology_init(&h))
		return -ENOMEM;
	/* CPUs outside of our cpuset too: they have a node all the same. */
	hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
	if (synthetic && synthetic[0] == '<') {
		size_t bytes = strlen(synthetic) + 1;

		err = bytes > INT_MAX ? -1 :
		      hwloc_topology_set_xmlbuffer(h, synthetic, (int)bytes);
	} else if (synthetic) {
		err = hwloc_topology_set_synthetic(h, synthetic);
	}
	if (err || hwloc_topology_load(h)) {
		hwloc_topology_destroy(h);
		return synthetic ? -EINVAL : -EIO;
	}
	*out = h;
	return 0;
}

/* The place in node[] of the node that a CPU belongs to. */
static uint32_t pulse__node_place(const struct pulse_topology *t,
				  hwloc_topology_t h, hwloc_obj_t pu)
{
	/* The lowest number where there are several: ordinary memory first. */
	for (uint32_t i = 0; i < t->nr_nodes; i++) {
		hwloc_obj_t node = hwloc_get_numanode_obj_by_os_index(
			h, (unsigned int)t->node[i].id);

		if (node && hwloc_bitmap_isset(node->cpuset, pu->os_index))
			return i;
	}
	return 0;
}

static void pulse__copy_nodes(struct pulse_topology *t, hwloc_topology_t h)
{
	hwloc_obj_t node = NULL;
	uint32_t n = 0;

	while ((node = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE,
						  node))) {
		uint32_t i = n++;

		/* In order of their numbers. */
		while (i && t->node[i - 1].id > (int)node->os_index) {
			t->node[i] = t->node[i - 1];
			i--;
		}
		t->node[i].id = (int)node->os_index;
		t->node[i].bytes = node->attr->numanode.local_memory > INT64_MAX ?
			INT64_MAX : (int64_t)node->attr->numanode.local_memory;
	}
}

static int pulse__place_of_node(const struct pulse_topology *t, unsigned int id)
{
	for (uint32_t i = 0; i < t->nr_nodes; i++) {
		if (t->node[i].id == (int)id)
			return (int)i;
	}
	return -1;
}

/* The firmware's table, where hwloc found one that can be. */
static void pulse__copy_distances(struct pulse_topology *t, hwloc_topology_t h)
{
	struct hwloc_distances_s *d = NULL;
	unsigned int nr = 1;

	if (hwloc_distances_get_by_type(h, HWLOC_OBJ_NUMANODE, &nr, &d,
					HWLOC_DISTANCES_KIND_MEANS_LATENCY,
					0) || !nr || !d)
		return;
	for (unsigned int i = 0; i < d->nbobjs; i++) {
		for (unsigned int j = 0; j < d->nbobjs; j++) {
			uint64_t value = d->values[i * d->nbobjs + j];
			int from, to;

			if (!d->objs[i] || !d->objs[j] || !value ||
			    value > 255)
				continue;
			from = pulse__place_of_node(t, d->objs[i]->os_index);
			to = pulse__place_of_node(t, d->objs[j]->os_index);
			if (from >= 0 && to >= 0)
				t->distance[(uint32_t)from * t->nr_nodes +
					    (uint32_t)to] = (uint32_t)value;
		}
	}
	hwloc_distances_release(h, d);
}

static void pulse__copy_caches(struct pulse_topology *t, hwloc_topology_t h)
{
	static const hwloc_obj_type_t types[PULSE__TOPO_LEVELS] = {
		HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
	};
	uint32_t n = 0;

	for (int level = 0; level < PULSE__TOPO_LEVELS; level++) {
		hwloc_obj_t obj = NULL;

		while (n < t->nr_caches &&
		       (obj = hwloc_get_next_obj_by_type(h, types[level],
							 obj))) {
			unsigned int cpu;

			hwloc_bitmap_foreach_begin(cpu, obj->cpuset)
				if (cpu < t->nr_cpus)
					t->cpu[cpu].cache[level] = (int)n;
			hwloc_bitmap_foreach_end();
			t->cache[n].bytes = obj->attr->cache.size;
			t->cache[n].line_bytes = obj->attr->cache.linesize;
			t->cache[n].level = (uint32_t)level + 1;
			n++;
		}
	}
}

/* Unlike cores: hwloc's rank of efficiency, where it found one. */
static int32_t pulse__kind_of(hwloc_topology_t h, hwloc_obj_t pu)
{
	int nr = hwloc_cpukinds_get_nr(h, 0), kind, rank = -1;

	if (nr < 2)
		return -1;
	kind = hwloc_cpukinds_get_by_cpuset(h, pu->cpuset, 0);
	if (kind < 0 || hwloc_cpukinds_get_info(h, (unsigned int)kind, NULL,
						&rank, NULL, NULL, 0))
		return -1;
	return rank;
}

static void pulse__copy_cpus(struct pulse_topology *t, hwloc_topology_t h)
{
	hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(h);
	uint32_t lone_cores = 0, cores, packages;
	hwloc_obj_t pu = NULL;

	cores = (uint32_t)hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_CORE);
	packages = (uint32_t)hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PACKAGE);
	while ((pu = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_PU, pu))) {
		struct pulse__topo_cpu *c = &t->cpu[pu->os_index];
		hwloc_obj_t core, package;

		core = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_CORE, pu);
		package = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_PACKAGE,
							 pu);
		c->present = true;
		c->usable = hwloc_bitmap_isset(allowed, pu->os_index);
		/* Without a core above it, a CPU is one. */
		c->core = core ? core->logical_index : cores + lone_cores++;
		c->smt = core ? (uint32_t)hwloc_get_obj_index_inside_cpuset(
					h, core->cpuset, pu) : 0;
		c->package = package ? package->logical_index : 0;
		c->node = pulse__node_place(t, h, pu);
		c->kind = pulse__kind_of(h, pu);
	}
	t->nr_cores = cores + lone_cores;
	t->nr_packages = packages ? packages : 1;
}

/*
 * On the machine itself: no CPU that the process may not use, and every one
 * that it may. What hwloc does not know of, it cannot have described.
 */
static int pulse__apply_affinity(struct pulse_topology *t)
{
	bool stranger = false;
	size_t bytes;
	void *set;
	int err;

	/*
	 * The first thread stands for the process: whoever asks first may be
	 * a worker that is pinned to one CPU already.
	 */
	err = pulse__affinity_read(getpid(), &set, &bytes);
	if (err && err != -ENOMEM)
		err = pulse__affinity_read(0, &set, &bytes);
	if (err)
		return err == -ENOMEM ? err : 0;
	for (size_t cpu = 0; cpu < bytes * CHAR_BIT; cpu++) {
		bool may = CPU_ISSET_S(cpu, bytes, (cpu_set_t *)set);

		if (cpu < t->nr_cpus && t->cpu[cpu].present)
			t->cpu[cpu].usable &= may;
		else
			stranger |= may;
	}
	CPU_FREE(set);
	return stranger ? -EIO : 0;
}

/* How long the tables have to be. -EIO: what hwloc says cannot be. */
static int pulse__topo_measure(hwloc_topology_t h, uint32_t *nr_cpus,
			       uint32_t *nr_nodes, uint32_t *nr_caches)
{
	static const hwloc_obj_type_t types[] = {
		HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
	};
	hwloc_obj_t obj = NULL;

	*nr_cpus = *nr_nodes = *nr_caches = 0;
	while ((obj = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_PU, obj))) {
		if (obj->os_index >= PULSE__TOPO_MAX_CPUS)
			return -EIO;
		if (obj->os_index >= *nr_cpus)
			*nr_cpus = obj->os_index + 1;
	}
	while ((obj = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, obj))) {
		if (obj->os_index >= PULSE__TOPO_MAX_NODES)
			return -EIO;
		++*nr_nodes;
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int nr = hwloc_get_nbobjs_by_type(h, types[i]);

		*nr_caches += nr > 0 ? (uint32_t)nr : 0;
	}
	return *nr_cpus && *nr_nodes ? 0 : -EIO;
}

int pulse__topo_discover(struct pulse_topology *t, const char *synthetic)
{
	uint32_t nr_cpus, nr_nodes, nr_caches;
	hwloc_topology_t h;
	int err;

	err = pulse__hwloc_load(&h, synthetic);
	if (err)
		return err;
	err = pulse__topo_measure(h, &nr_cpus, &nr_nodes, &nr_caches);
	if (!err)
		err = pulse__topo_tables(t, nr_cpus, nr_nodes, nr_caches);
	if (!err) {
		pulse__copy_nodes(t, h);
		pulse__copy_distances(t, h);
		pulse__copy_caches(t, h);
		pulse__copy_cpus(t, h);
		if (hwloc_topology_is_thissystem(h))
			err = pulse__apply_affinity(t);
	}
	hwloc_topology_destroy(h);
	if (err == -EIO && synthetic)
		err = -EINVAL;
	if (err)
		pulse__topo_clear(t);
	return err;
}

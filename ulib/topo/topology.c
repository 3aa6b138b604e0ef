// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * topology.c - a topology's life. Where the tables come from stands in
 * discover.c, what is asked of them in query.c.
 */
#include <sched.h>

#include "topo/topo.h"

/* The default topology: set once, never freed, never changed. */
static struct pulse_topology *pulse__topo_default;

void pulse__topo_clear(struct pulse_topology *t)
{
	pulse__free(t->cpu);
	pulse__free(t->node);
	pulse__free(t->cache);
	pulse__free(t->distance);
	memset(t, 0, sizeof(*t));
}

int pulse__topo_tables(struct pulse_topology *t, uint32_t nr_cpus,
		       uint32_t nr_nodes, uint32_t nr_caches)
{
	t->cpu = pulse__calloc(nr_cpus, sizeof(*t->cpu));
	t->node = pulse__calloc(nr_nodes, sizeof(*t->node));
	t->cache = pulse__calloc(nr_caches, sizeof(*t->cache));
	t->distance = pulse__calloc((size_t)nr_nodes * nr_nodes,
				    sizeof(*t->distance));
	if (!t->cpu || !t->node || !t->cache || !t->distance) {
		pulse__topo_clear(t);
		return -ENOMEM;
	}
	t->nr_cpus = nr_cpus;
	t->nr_nodes = nr_nodes;
	t->nr_caches = nr_caches;
	for (uint32_t i = 0; i < nr_cpus; i++) {
		t->cpu[i].kind = -1;
		for (int l = 0; l < PULSE__TOPO_LEVELS; l++)
			t->cpu[i].cache[l] = -1;
	}
	for (uint32_t i = 0; i < nr_nodes; i++) {
		for (uint32_t j = 0; j < nr_nodes; j++)
			t->distance[i * nr_nodes + j] = i == j ? 10 : 20;
	}
	return 0;
}

int pulse__topo_fallback(struct pulse_topology *t)
{
	uint32_t last = 0;
	size_t bytes = 0;
	void *set = NULL;
	int err;

	err = pulse__affinity_read(0, &set, &bytes);
	if (err == -ENOMEM)
		return err;
	/* Not even that is said: then there is the CPU we run on. */
	for (size_t cpu = 0; !err && cpu < bytes * CHAR_BIT; cpu++) {
		if (CPU_ISSET_S(cpu, bytes, (cpu_set_t *)set))
			last = (uint32_t)cpu;
	}
	if (pulse__topo_tables(t, last + 1, 1, 0)) {
		if (!err)
			CPU_FREE(set);
		return -ENOMEM;
	}
	t->fallback = true;
	t->nr_packages = 1;
	for (uint32_t cpu = 0; cpu <= last; cpu++) {
		bool may = err ? cpu == last :
			   CPU_ISSET_S(cpu, bytes, (cpu_set_t *)set);

		t->cpu[cpu].present = may;
		t->cpu[cpu].usable = may;
		t->cpu[cpu].core = may ? t->nr_cores++ : 0;
	}
	if (!err)
		CPU_FREE(set);
	return 0;
}

/* Of the usable CPUs only those of a list. */
static void pulse__topo_restrict(struct pulse_topology *t, const uint32_t *cpus,
				 size_t nr)
{
	for (uint32_t cpu = 0; cpu < t->nr_cpus; cpu++) {
		bool listed = false;

		for (size_t i = 0; t->cpu[cpu].usable && i < nr; i++)
			listed |= cpus[i] == cpu;
		t->cpu[cpu].usable &= listed;
	}
}

static void pulse__topo_count(struct pulse_topology *t)
{
	t->usable_cpus = 0;
	t->usable_cores = 0;
	for (uint32_t cpu = 0; cpu < t->nr_cpus; cpu++) {
		bool first = true;

		if (!t->cpu[cpu].usable)
			continue;
		t->usable_cpus++;
		for (uint32_t other = 0; other < cpu && first; other++)
			first = !t->cpu[other].usable ||
				t->cpu[other].core != t->cpu[cpu].core;
		t->usable_cores += first;
	}
}

static int pulse__topo_build(struct pulse_topology *t,
			     const struct pulse_topology_opts *o)
{
	int err = pulse__topo_discover(t, o->synthetic);

	if (!err)
		pulse__topo_count(t);
	/* A cpuset that allows nothing is no answer either. */
	if (err == -EIO || (!err && !t->usable_cpus && !o->synthetic)) {
		pulse__topo_clear(t);
		pulse_log(PULSE_LOG_INFO,
			  "topology: the system's description cannot be used; one node is assumed");
		err = pulse__topo_fallback(t);
	}
	if (err)
		return err;
	t->synthetic = o->synthetic != NULL;
	if (o->cpus)
		pulse__topo_restrict(t, o->cpus, o->nr_cpus);
	pulse__topo_count(t);
	return t->usable_cpus ? 0 : -EINVAL;
}

int pulse_topology_create(const struct pulse_topology_opts *opts,
			  struct pulse_topology **out)
{
	struct pulse_topology_opts o;
	struct pulse_topology *t;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), nr_cpus), opts);
	if (err)
		return err;
	if (!o.cpus != !o.nr_cpus)
		return -EINVAL;
	t = pulse__calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = pulse__topo_build(t, &o);
	if (err) {
		pulse__topo_clear(t);
		pulse__free(t);
		return err;
	}
	t->magic = PULSE__TOPO_MAGIC;
	*out = t;
	return 0;
}

int pulse_topology_destroy(struct pulse_topology *t)
{
	if (!t)
		return -EINVAL;
	pulse__obj_check(t, PULSE__TOPO_MAGIC, "pulse_topology_destroy");
	if (t->is_default)
		return -EBUSY;
	pulse__topo_clear(t);
	t->magic = PULSE__MAGIC_DEAD;
	pulse__free(t);
	return 0;
}

int pulse_topology_default(struct pulse_topology **out)
{
	struct pulse_topology *t, *there = NULL;
	int err;

	if (!out)
		return -EINVAL;
	/* pairs with the CAS below: the tables are complete */
	*out = pulse__load_acquire(&pulse__topo_default);
	if (*out)
		return 0;
	err = pulse_topology_create(NULL, &t);
	if (err)
		return err;
	t->is_default = true;
	/* No lock, so that a fork meanwhile cannot leave it locked. */
	if (!pulse__cas(&pulse__topo_default, &there, t, __ATOMIC_ACQ_REL,
			__ATOMIC_ACQUIRE)) {
		t->is_default = false;
		pulse_topology_destroy(t);
		t = there;
	}
	*out = t;
	return 0;
}

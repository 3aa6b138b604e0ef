// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * place.c - how many workers a pool has, and where each of them lives.
 *
 * Where: one worker a core on each node in turn, the fastest kind of core
 * first, then the cores' other hardware threads, then over again. The CPUs are
 * those that the creating thread may use now.
 */
#include <pulse-u/affinity.h>
#include <pulse-u/topology.h>

#include "pool/pool.h"

struct pulse__seat {
	uint32_t cpu;
	uint32_t core;
	int node;
	int kind;	/* the more, the faster */
	uint32_t smt;	/* among the allowed CPUs of its core */
	uint32_t rank;	/* among the like ones of its node */
};

/* Compares by a list of keys: the first that differs decides. */
#define PULSE__BY(a, b, key)						\
	do {								\
		if ((a)->key != (b)->key)				\
			return (a)->key < (b)->key ? -1 : 1;		\
	} while (0)

static int pulse__by_core(const void *x, const void *y)
{
	const struct pulse__seat *a = x, *b = y;

	PULSE__BY(a, b, core);
	PULSE__BY(a, b, cpu);
	return 0;
}

static int pulse__by_node(const void *x, const void *y)
{
	const struct pulse__seat *a = x, *b = y;

	PULSE__BY(a, b, node);
	PULSE__BY(a, b, smt);
	PULSE__BY(b, a, kind);
	PULSE__BY(a, b, cpu);
	return 0;
}

static int pulse__by_turn(const void *x, const void *y)
{
	const struct pulse__seat *a = x, *b = y;

	PULSE__BY(a, b, smt);
	PULSE__BY(b, a, kind);
	PULSE__BY(a, b, rank);
	PULSE__BY(a, b, node);
	return 0;
}

/* The CPUs that the calling thread may use. Their number or -errno. */
static int pulse__seats(struct pulse__seat **out)
{
	int nr = pulse_thread_get_affinity(pthread_self(), NULL, 0), got;
	struct pulse_topology *topo;
	struct pulse__seat *seats;
	uint32_t *cpus;
	int err;

	if (nr < 1)
		return nr ? nr : -EINVAL;
	err = pulse_topology_default(&topo);
	if (err)
		return err;
	cpus = pulse__calloc((size_t)nr, sizeof(*cpus));
	seats = pulse__calloc((size_t)nr, sizeof(*seats));
	if (!cpus || !seats) {
		pulse__free(cpus);
		pulse__free(seats);
		return -ENOMEM;
	}
	got = pulse_thread_get_affinity(pthread_self(), cpus, nr);
	if (got > 0 && got < nr)	/* it shrank in between */
		nr = got;
	for (int i = 0; i < nr; i++) {
		struct pulse_topology_cpu cpu = { .sz = sizeof(cpu) };

		seats[i].cpu = cpus[i];
		seats[i].core = cpus[i];
		if (pulse_topology_cpu(topo, cpus[i], &cpu))
			continue;
		seats[i].core = cpu.core;
		seats[i].node = cpu.node;
		seats[i].kind = cpu.kind;
	}
	pulse__free(cpus);
	qsort(seats, (size_t)nr, sizeof(*seats), pulse__by_core);
	for (int i = 1; i < nr; i++) {
		if (seats[i].core == seats[i - 1].core)
			seats[i].smt = seats[i - 1].smt + 1;
	}
	*out = seats;
	return nr;
}

int pulse__place_default(void)
{
	struct pulse__seat *seats;
	int nr = pulse__seats(&seats), cores = 0;
	unsigned int quota;

	if (nr < 0)
		return nr;
	for (int i = 0; i < nr; i++)
		cores += !seats[i].smt;
	pulse__free(seats);
	quota = pulse__quota_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
	if (quota && (unsigned int)cores > quota)
		cores = (int)quota;
	return cores < (int)PULSE_MAX_WORKERS ? cores : (int)PULSE_MAX_WORKERS;
}

int pulse__place(uint32_t nr, bool spread, struct pulse__place *out)
{
	struct pulse__seat *seats;
	int n = pulse__seats(&seats);

	if (n < 0)
		return n;
	qsort(seats, (size_t)n, sizeof(*seats), pulse__by_node);
	for (int i = 1; i < n; i++) {
		if (seats[i].node == seats[i - 1].node &&
		    seats[i].smt == seats[i - 1].smt)
			seats[i].rank = seats[i - 1].rank + 1;
	}
	if (spread)
		qsort(seats, (size_t)n, sizeof(*seats), pulse__by_turn);
	for (uint32_t i = 0; i < nr; i++) {
		out[i].cpu = (int)seats[i % (uint32_t)n].cpu;
		out[i].node = seats[i % (uint32_t)n].node;
	}
	pulse__free(seats);
	return 0;
}

void pulse__place_bind(struct pulse__worker *w)
{
	const struct pulse_pool *pool = w->pool;
	uint32_t cpu = (uint32_t)w->cpu, *cpus;
	struct pulse_topology *topo;
	int nr, err = 0;

	if (pool->pin) {
		err = pulse_thread_set_current_affinity(&cpu, 1);
	} else if (pool->bind_node && !pulse_topology_default(&topo)) {
		nr = pulse_topology_node_cpus(topo, w->node->id, NULL, 0);
		cpus = nr > 0 ? pulse__calloc((size_t)nr, sizeof(*cpus)) : NULL;
		if (cpus) {
			nr = pulse_topology_node_cpus(topo, w->node->id, cpus, nr);
			err = pulse_thread_set_current_affinity(cpus, (size_t)nr);
			pulse__free(cpus);
		} else if (nr > 0) {
			err = -ENOMEM;
		}
	}
	/* The cpuset shrank, say. It runs, though not where it should. */
	if (err)
		pulse__warn_once("pool %s: worker %u cannot be bound: %s",
				 pool->name, w->number, pulse_strerror(err));
}

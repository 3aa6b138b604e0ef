// SPDX-License-Identifier: GPL-2.0-only
/* Machines that are not there, described in hwloc's words; and the real one. */
#include <pthread.h>
#include <sched.h>

#include <pulse-u/affinity.h>
#include <pulse-u/topology.h>

#include "base/base.h"
#include "ktap.h"

static struct pulse_topology *describe(const char *synthetic)
{
	struct pulse_topology *t = NULL;

	PULSE_OPTS(pulse_topology_opts, opts, .synthetic = synthetic);
	KT_EQ(pulse_topology_create(&opts, &t), 0);
	return t;
}

static struct pulse_topology_info info_of(const struct pulse_topology *t)
{
	struct pulse_topology_info info = { .sz = sizeof(info) };

	KT_EQ(pulse_topology_info(t, &info), 0);
	return info;
}

/* U01 */
KT_TEST(nothing_given_is_an_error_not_a_crash)
{
	struct pulse_topology_info info = { .sz = sizeof(info) };
	struct pulse_topology_cpu cpu = { .sz = sizeof(cpu) };
	struct pulse_topology *t = describe("pu:2");
	uint32_t cpus[2];
	int nodes[2];

	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_topology_destroy(NULL), -EINVAL);
	KT_EQ(pulse_topology_default(NULL), -EINVAL);
	KT_EQ(pulse_topology_info(NULL, &info), -EINVAL);
	KT_EQ(pulse_topology_info(t, NULL), -EINVAL);
	KT_EQ(pulse_topology_physical_cores(NULL), -EINVAL);
	KT_EQ(pulse_topology_total_cores(NULL), -EINVAL);
	KT_EQ(pulse_topology_nodes(NULL, nodes, 2), -EINVAL);
	KT_EQ(pulse_topology_nodes(t, NULL, 2), -EINVAL);
	KT_EQ(pulse_topology_nodes(t, nodes, -1), -EINVAL);
	KT_EQ(pulse_topology_nodes(t, NULL, 0), 1);
	KT_EQ(pulse_topology_cpus(NULL, cpus, 2), -EINVAL);
	KT_EQ(pulse_topology_cpus(t, NULL, 2), -EINVAL);
	KT_EQ(pulse_topology_node_cpus(NULL, 0, cpus, 2), -EINVAL);
	KT_EQ(pulse_topology_node_cpus(t, 1, cpus, 2), -EINVAL);
	KT_EQ(pulse_topology_node_cpus(t, -1, cpus, 2), -EINVAL);
	KT_EQ(pulse_topology_node_of_cpu(NULL, 0), -EINVAL);
	KT_EQ(pulse_topology_node_of_cpu(t, 2), -EINVAL);
	KT_EQ(pulse_topology_node_of_cpu(t, UINT32_MAX), -EINVAL);
	KT_EQ(pulse_topology_node_bytes(NULL, 0), -EINVAL);
	KT_EQ(pulse_topology_node_distance(NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_topology_node_distance(t, 0, 1), -EINVAL);
	KT_EQ(pulse_topology_nodes_from(NULL, 0, nodes, 2), -EINVAL);
	KT_EQ(pulse_topology_nodes_from(t, 7, nodes, 2), -EINVAL);
	KT_EQ(pulse_topology_core_distance(NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_topology_core_distance(t, 0, 2), -EINVAL);
	KT_EQ(pulse_topology_cpu(NULL, 0, &cpu), -EINVAL);
	KT_EQ(pulse_topology_cpu(t, 0, NULL), -EINVAL);
	KT_EQ(pulse_topology_cpu(t, 9, &cpu), -EINVAL);
	KT_EQ(pulse_topology_cache(NULL, 0, 1, NULL, NULL, 0), -EINVAL);
	KT_EQ(pulse_topology_cache(t, 0, 0, NULL, NULL, 0), -EINVAL);
	KT_EQ(pulse_topology_cache(t, 0, 4, NULL, NULL, 0), -EINVAL);
	info.sz = 1;
	KT_EQ(pulse_topology_info(t, &info), -EINVAL);
	KT_EQ(pulse_topology_destroy(t), 0);
}

KT_TEST(descriptions_that_make_no_sense_are_refused)
{
	static const char *const bad[] = {
		"nonsense", "core:0", "pack:2 core:-1", "pu:2 pu:2 pu:", "<xml",
		"<?xml version=\"1.0\"?><topology/>",
	};
	struct pulse_topology *t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		PULSE_OPTS(pulse_topology_opts, opts, .synthetic = bad[i]);
		KT_CHECKF(pulse_topology_create(&opts, &t) == -EINVAL, "%s",
			  bad[i]);
		KT_CHECK(t == NULL);
	}
	PULSE_OPTS(pulse_topology_opts, opts, .nr_cpus = 1);
	KT_EQ(pulse_topology_create(&opts, &t), -EINVAL);
	opts.sz = 3;
	KT_EQ(pulse_topology_create(&opts, &t), -EINVAL);
}

KT_TEST(smt_caches_and_sockets_make_the_distances_of_the_table)
{
	/* Per socket: one L3, two L2 over two cores each, two threads a core. */
	struct pulse_topology *t =
		describe("pack:2 numa:1 l3:1 l2:2 l1:1 core:2 pu:2");
	struct pulse_topology_cpu cpu = { .sz = sizeof(cpu) };
	struct pulse_topology_info info;

	KT_REQUIRE(t != NULL);
	info = info_of(t);
	KT_EQ(info.physical_cores, 8);
	KT_EQ(info.total_cores, 16);
	KT_EQ(info.nr_nodes, 2);
	KT_EQ(info.nr_packages, 2);
	KT_EQ(info.max_cpu, 15);
	KT_EQ(info.max_node, 1);
	KT_EQ(info.synthetic, 1);
	KT_EQ(info.fallback, 0);
	KT_EQ(pulse_topology_physical_cores(t), 8);
	KT_EQ(pulse_topology_total_cores(t), 16);
	KT_EQ(pulse_topology_core_distance(t, 0, 0), 0);
	KT_EQ(pulse_topology_core_distance(t, 0, 1), 0);
	KT_EQ(pulse_topology_core_distance(t, 0, 2), 10);
	KT_EQ(pulse_topology_core_distance(t, 3, 0), 10);
	KT_EQ(pulse_topology_core_distance(t, 0, 4), 20);
	KT_EQ(pulse_topology_core_distance(t, 7, 1), 20);
	KT_EQ(pulse_topology_core_distance(t, 0, 8), 100);
	KT_EQ(pulse_topology_core_distance(t, 15, 7), 100);
	KT_EQ(pulse_topology_node_of_cpu(t, 7), 0);
	KT_EQ(pulse_topology_node_of_cpu(t, 8), 1);
	KT_EQ(pulse_topology_cpu(t, 11, &cpu), 0);
	KT_EQ(cpu.cpu, 11);
	KT_EQ(cpu.core, 5);
	KT_EQ(cpu.package, 1);
	KT_EQ(cpu.node, 1);
	KT_EQ(cpu.smt, 1);
	KT_EQ(cpu.kind, -1);
	KT_EQ(cpu.usable, 1);
	pulse_topology_destroy(t);

	/* Two L3 in a socket, as on some chiplets. */
	t = describe("pack:2 l3:2 core:2 pu:1");
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_core_distance(t, 0, 1), 20);
	KT_EQ(pulse_topology_core_distance(t, 0, 2), 50);
	KT_EQ(pulse_topology_core_distance(t, 0, 4), 100);
	pulse_topology_destroy(t);
}

KT_TEST(distances_are_symmetric)
{
	struct pulse_topology *t =
		describe("pack:2 numa:2 l3:1 l2:2 core:2 pu:2");

	KT_REQUIRE(t != NULL);
	for (uint32_t a = 0; a < 32; a++) {
		for (uint32_t b = 0; b < 32; b++)
			KT_EQ(pulse_topology_core_distance(t, a, b),
			      pulse_topology_core_distance(t, b, a));
	}
	pulse_topology_destroy(t);
}

KT_TEST(four_nodes_have_their_cpus_and_an_order)
{
	struct pulse_topology *t = describe("numa:4(memory=2GB) core:3 pu:1");
	static const int order[4][4] = {
		{ 0, 1, 2, 3 }, { 1, 0, 2, 3 }, { 2, 0, 1, 3 }, { 3, 0, 1, 2 },
	};
	uint32_t cpus[16];
	int nodes[8];

	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_nodes(t, nodes, 8), 4);
	for (int n = 0; n < 4; n++) {
		KT_EQ(nodes[n], n);
		KT_EQ(pulse_topology_node_cpus(t, n, cpus, 16), 3);
		for (uint32_t i = 0; i < 3; i++)
			KT_EQ(cpus[i], (uint32_t)n * 3 + i);
		KT_CHECK(pulse_topology_node_bytes(t, n) > 1000000000);
		KT_EQ(pulse_topology_node_distance(t, n, n), 10);
		KT_EQ(pulse_topology_node_distance(t, n, (n + 1) % 4), 20);
		KT_EQ(pulse_topology_nodes_from(t, n, nodes, 8), 4);
		for (int i = 0; i < 4; i++)
			KT_EQ(nodes[i], order[n][i]);
		for (int i = 0; i < 4; i++)
			nodes[i] = i;
	}
	/* Less room than there is: what fits, and the whole count. */
	memset(cpus, 0xff, sizeof(cpus));
	KT_EQ(pulse_topology_cpus(t, cpus, 2), 12);
	KT_EQ(cpus[1], 1);
	KT_EQ(cpus[2], UINT32_MAX);
	pulse_topology_destroy(t);
}

KT_TEST(caches_say_their_size_and_who_shares_them)
{
	struct pulse_topology_cache c = { .sz = sizeof(c) };
	struct pulse_topology *t =
		describe("pack:1 l3:2(size=8MB) l2:2(size=512kB) "
			 "l1:1(size=32kB) core:1 pu:2");
	uint32_t cpus[8];

	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_cache(t, 5, 1, &c, cpus, 8), 2);
	KT_EQ(c.bytes, 32000);
	KT_EQ(c.level, 1);
	KT_EQ(cpus[0], 4);
	KT_EQ(cpus[1], 5);
	KT_EQ(pulse_topology_cache(t, 5, 2, &c, NULL, 0), 2);
	KT_EQ(c.bytes, 512000);
	KT_EQ(pulse_topology_cache(t, 5, 3, &c, cpus, 8), 4);
	KT_EQ(c.bytes, 8000000);
	KT_EQ(cpus[0], 4);
	KT_EQ(cpus[3], 7);
	pulse_topology_destroy(t);
	t = describe("core:2 pu:1");
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_cache(t, 0, 3, &c, NULL, 0), -ENOENT);
	pulse_topology_destroy(t);
}

KT_TEST(a_list_restricts_what_is_usable)
{
	static const uint32_t some[] = { 5, 1, 4, 4, 900 }, none[] = { 77 };
	struct pulse_topology_cpu cpu = { .sz = sizeof(cpu) };
	struct pulse_topology *t = NULL;
	uint32_t cpus[8];

	PULSE_OPTS(pulse_topology_opts, opts, .cpus = some, .nr_cpus = 5);
	opts.synthetic = "numa:2 core:2 pu:2";
	KT_EQ(pulse_topology_create(&opts, &t), 0);
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_cpus(t, cpus, 8), 3);
	KT_EQ(cpus[0], 1);
	KT_EQ(cpus[1], 4);
	KT_EQ(cpus[2], 5);
	KT_EQ(pulse_topology_total_cores(t), 3);
	KT_EQ(pulse_topology_physical_cores(t), 2);
	KT_EQ(pulse_topology_node_cpus(t, 0, cpus, 8), 1);
	/* The rest is still known. */
	KT_EQ(pulse_topology_node_of_cpu(t, 7), 1);
	KT_EQ(pulse_topology_cpu(t, 7, &cpu), 0);
	KT_EQ(cpu.usable, 0);
	pulse_topology_destroy(t);
	opts.cpus = none;
	opts.nr_cpus = 1;
	KT_EQ(pulse_topology_create(&opts, &t), -EINVAL);
}

/* U04 */
KT_TEST(each_allocation_that_fails_is_told)
{
	static const char *const what[] = { NULL, "numa:2 l3:1 core:2 pu:1" };
	struct pulse_topology *t;

	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		PULSE_OPTS(pulse_topology_opts, opts, .synthetic = what[i]);
		int err = 0;
		long n;

		for (n = 1; n < 50; n++) {
			pulse__alloc_fail_at(n);
			err = pulse_topology_create(&opts, &t);
			if (!pulse__alloc_failed())
				break;
			KT_EQ(err, -ENOMEM);
			KT_CHECK(t == NULL);
		}
		pulse__alloc_fail_at(0);
		KT_CHECK(n > 5);
		KT_EQ(err, 0);
		pulse_topology_destroy(t);
	}
}

KT_TEST(the_real_machine_has_the_cpus_we_may_use)
{
	uint32_t cpus[1024], mine[1024];
	struct pulse_topology *t = NULL;
	int n, nodes[64];

	KT_EQ(pulse_topology_create(NULL, &t), 0);
	KT_REQUIRE(t != NULL);
	n = pulse_topology_cpus(t, cpus, 1024);
	KT_EQ(n, pulse_thread_get_affinity(pthread_self(), mine, 1024));
	for (int i = 0; i < n; i++)
		KT_EQ(cpus[i], mine[i]);
	KT_EQ(pulse_topology_total_cores(t), n);
	KT_CHECK(pulse_topology_physical_cores(t) <= n);
	KT_CHECK(pulse_topology_nodes(t, nodes, 64) >= 1);
	KT_CHECK(pulse_topology_node_of_cpu(
			 t, (uint32_t)pulse_cpu_current()) >= 0);
	KT_EQ(info_of(t).synthetic, 0);
	kt_note("%d cores, %d CPUs, %d nodes", pulse_topology_physical_cores(t),
		n, pulse_topology_nodes(t, NULL, 0));
	pulse_topology_destroy(t);
}

static void *get_default(void *out)
{
	pulse_topology_default(out);
	return NULL;
}

KT_TEST(the_default_is_one_for_all_and_stays)
{
	struct pulse_topology *seen[4] = { NULL };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		KT_EQ(pthread_create(&t[i], NULL, get_default, &seen[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	KT_REQUIRE(seen[0] != NULL);
	for (int i = 1; i < 4; i++)
		KT_CHECK(seen[i] == seen[0]);
	KT_EQ(pulse_topology_destroy(seen[0]), -EBUSY);
	KT_CHECK(pulse_topology_total_cores(seen[0]) >= 1);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machines as their sysfs tells of them, in a folder of our own that hwloc
 * takes for the root (HWLOC_FSROOT): nodes without CPU or memory, unlike
 * cores, and descriptions that lie. U06
 */
#include <ftw.h>
#include <sys/stat.h>

#include <pulse-u/topology.h>

#include "base/base.h"
#include "ktap.h"

static char root[64];

static void put(const char *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Writes a file below the root, folders included. */
static void put(const char *text, const char *fmt, ...)
{
	char path[256], rest[192];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%s", root, rest);
	for (char *slash = strchr(path + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	if (KT_CHECKF(f != NULL, "%s: %s", path, strerror(errno))) {
		fputs(text, f);
		fclose(f);
	}
}

static void put_mask(unsigned int mask, const char *dir, int nr,
		     const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), "%08x\n", mask);
	put(text, "sys/devices/system/%s%d/%s", dir, nr, name);
}

static void put_number(long value, const char *dir, int nr, const char *name)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	put(text, "sys/devices/system/%s%d/%s", dir, nr, name);
}

/* @cpus CPUs in one package, each a core. */
static void put_cpus(int cpus)
{
	char list[16];

	snprintf(list, sizeof(list), "0-%d\n", cpus - 1);
	put(list, "sys/devices/system/cpu/online");
	put(list, "sys/devices/system/cpu/possible");
	put("\n", "proc/cpuinfo");
	put("MemTotal:    4194304 kB\n", "proc/meminfo");
	for (int cpu = 0; cpu < cpus; cpu++) {
		put_number(cpu, "cpu/cpu", cpu, "topology/core_id");
		put_number(0, "cpu/cpu", cpu, "topology/physical_package_id");
		put_mask(1U << cpu, "cpu/cpu", cpu, "topology/core_cpus");
		put_mask(1U << cpu, "cpu/cpu", cpu, "topology/thread_siblings");
		put_mask((1U << cpus) - 1, "cpu/cpu", cpu,
			 "topology/package_cpus");
		put_mask((1U << cpus) - 1, "cpu/cpu", cpu,
			 "topology/core_siblings");
	}
}

static void put_node(int node, unsigned int cpus, long kib,
		     const char *distances)
{
	char text[128];

	put_mask(cpus, "node/node", node, "cpumap");
	snprintf(text, sizeof(text), "Node %d MemTotal:    %ld kB\n", node, kib);
	put(text, "sys/devices/system/node/node%d/meminfo", node);
	put(distances, "sys/devices/system/node/node%d/distance", node);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void root_open(void)
{
	strcpy(root, "/tmp/pulse-root-XXXXXX");
	KT_CHECK(mkdtemp(root) != NULL);
}

static struct pulse_topology *root_read(void)
{
	struct pulse_topology *t = NULL;

	setenv("HWLOC_FSROOT", root, 1);
	setenv("HWLOC_HIDE_ERRORS", "2", 1);	/* we know that it lies */
	KT_EQ(pulse_topology_create(NULL, &t), 0);
	unsetenv("HWLOC_FSROOT");
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return t;
}

KT_TEST(nodes_without_cpu_and_without_memory_are_nodes)
{
	struct pulse_topology *t;
	int nodes[4];

	root_open();
	put_cpus(4);
	put("0-2\n", "sys/devices/system/node/online");
	put("0-2\n", "sys/devices/system/node/possible");
	put_node(0, 0x3, 1048576, "10 21 31\n");
	put_node(1, 0x0, 2097152, "21 10 41\n");	/* memory only */
	put_node(2, 0xc, 0, "31 41 10\n");		/* CPUs only */
	t = root_read();
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_nodes(t, nodes, 4), 3);
	KT_EQ(nodes[2], 2);
	KT_EQ(pulse_topology_node_cpus(t, 0, NULL, 0), 2);
	KT_EQ(pulse_topology_node_cpus(t, 1, NULL, 0), 0);
	KT_EQ(pulse_topology_node_cpus(t, 2, NULL, 0), 2);
	KT_EQ(pulse_topology_node_bytes(t, 1), 2097152LL * 1024);
	KT_EQ(pulse_topology_node_bytes(t, 2), 0);
	KT_EQ(pulse_topology_node_of_cpu(t, 3), 2);
	KT_EQ(pulse_topology_node_distance(t, 0, 1), 21);
	KT_EQ(pulse_topology_node_distance(t, 2, 1), 41);
	KT_EQ(pulse_topology_nodes_from(t, 2, nodes, 4), 3);
	KT_EQ(nodes[0], 2);
	KT_EQ(nodes[1], 0);
	KT_EQ(nodes[2], 1);
	KT_EQ(pulse_topology_core_distance(t, 0, 3), PULSE_DISTANCE_PACKAGE);
	pulse_topology_destroy(t);
}

KT_TEST(unlike_cores_are_ranked)
{
	struct pulse_topology_cpu cpu = { .sz = sizeof(cpu) };
	struct pulse_topology *t;
	int slow;

	root_open();
	put_cpus(4);
	put("0\n", "sys/devices/system/node/online");
	put_node(0, 0xf, 1048576, "10\n");
	for (int i = 0; i < 4; i++)
		put_number(i < 2 ? 512 : 1024, "cpu/cpu", i, "cpu_capacity");
	t = root_read();
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_cpu(t, 0, &cpu), 0);
	slow = cpu.kind;
	KT_EQ(slow, 0);
	KT_EQ(pulse_topology_cpu(t, 1, &cpu), 0);
	KT_EQ(cpu.kind, slow);
	KT_EQ(pulse_topology_cpu(t, 3, &cpu), 0);
	KT_CHECK(cpu.kind > slow);
	pulse_topology_destroy(t);
}

KT_TEST(node_numbers_may_have_gaps)
{
	struct pulse_topology_info info = { .sz = sizeof(info) };
	struct pulse_topology *t;
	int nodes[4];

	root_open();
	put_cpus(2);
	put("0,7\n", "sys/devices/system/node/online");
	put("0-7\n", "sys/devices/system/node/possible");
	put_node(0, 0x1, 1048576, "10 20\n");
	put_node(7, 0x2, 1048576, "20 10\n");
	t = root_read();
	KT_REQUIRE(t != NULL);
	KT_EQ(pulse_topology_nodes(t, nodes, 4), 2);
	KT_EQ(nodes[1], 7);
	KT_EQ(pulse_topology_node_of_cpu(t, 1), 7);
	KT_EQ(pulse_topology_node_distance(t, 7, 0), 20);
	KT_EQ(pulse_topology_info(t, &info), 0);
	KT_EQ(info.max_node, 7);
	pulse_topology_destroy(t);
}

/* Whatever it says: some CPU, one node or more, and every CPU has a node. */
static void check_sane(struct pulse_topology *t)
{
	uint32_t cpus[64];
	int n, nodes;

	KT_REQUIRE(t != NULL);
	n = pulse_topology_cpus(t, cpus, 64);
	nodes = pulse_topology_nodes(t, NULL, 0);
	KT_CHECK(n >= 1 && nodes >= 1);
	for (int i = 0; i < n && i < 64; i++)
		KT_CHECK(pulse_topology_node_of_cpu(t, cpus[i]) >= 0);
	KT_CHECK(pulse_topology_physical_cores(t) >= 1);
	pulse_topology_destroy(t);
}

KT_TEST(a_root_without_sysfs_falls_back)
{
	root_open();
	check_sane(root_read());
}

KT_TEST(lists_that_lie_do_no_harm)
{
	static const char *const lies[] = {
		"0-", "", "-1", "0-99999999", "4294967295", "3-1", "x", ",,,",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		root_open();
		put_cpus(2);
		put(lies[i], "sys/devices/system/cpu/online");
		put(lies[i], "sys/devices/system/cpu/possible");
		put(lies[i], "sys/devices/system/node/online");
		put(lies[i], "sys/devices/system/node/possible");
		put_node(0, 0x3, 1048576, lies[i]);
		check_sane(root_read());
	}
}

KT_TEST(masks_and_ids_that_lie_do_no_harm)
{
	static const char *const lies[] = {
		"", "zzzz", "ffffffff,ffffffff,ffffffff,ffffffff", "-7",
		"99999999999999999999",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		root_open();
		put_cpus(2);
		put("0\n", "sys/devices/system/node/online");
		put_node(0, 0x3, 1048576, "10\n");
		put(lies[i], "sys/devices/system/node/node0/cpumap");
		put(lies[i], "sys/devices/system/node/node0/meminfo");
		put(lies[i], "sys/devices/system/cpu/cpu1/topology/core_cpus");
		put(lies[i], "sys/devices/system/cpu/cpu1/topology/core_id");
		put(lies[i],
		    "sys/devices/system/cpu/cpu1/topology/package_cpus");
		check_sane(root_read());
	}
}

KT_TEST(a_file_of_ten_megabytes_does_no_harm)
{
	size_t bytes = 10U << 20;
	char *big = malloc(bytes + 1);

	KT_REQUIRE(big != NULL);
	memset(big, '0', bytes);
	big[bytes] = 0;
	root_open();
	put_cpus(2);
	put("0\n", "sys/devices/system/node/online");
	put_node(0, 0x3, 1048576, big);
	put(big, "sys/devices/system/cpu/online");
	put(big, "sys/devices/system/node/node0/cpumap");
	check_sane(root_read());
	free(big);
}

KT_MAIN()

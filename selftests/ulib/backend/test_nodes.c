// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the user backend believes of NUMA: sysfs that is whole, missing or
 * lying (U06), and the order of nodes by distance.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "helpers.h"
#include "backend/backend.h"

static char root[64];

static void put(const char *name, const char *text)
{
	char path[256], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	slash = strrchr(path, '/');
	*slash = 0;
	mkdir(path, 0755);
	*slash = '/';
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void fresh_root(void)
{
	strcpy(root, "/tmp/pulse-nodes-XXXXXX");
	if (!mkdtemp(root))
		abort();
}

static void remove_root(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	if (system(cmd))
		kt_note("%s is left behind", root);
}

static void two_nodes(void)
{
	fresh_root();
	put("online", "0,2\n");
	put("node0/cpulist", "0-3,8\n");
	put("node0/distance", "10 21\n");
	put("node2/cpulist", "4-7\n");
	put("node2/distance", "21 10\n");
}

KT_TEST(nodes_distances_and_cpus_are_read)
{
	struct pulse__nodes *n;

	two_nodes();
	KT_REQUIRE(pulse__nodes_read(root, &n) == 0);
	KT_EQ(n->nr, 2);
	KT_EQ(n->node[0], 0);
	KT_EQ(n->node[1], 2);
	KT_EQ(n->dist[0], 10);
	KT_EQ(n->dist[1], 21);
	KT_EQ(pulse__nodes_of_cpu(n, 8), 0);
	KT_EQ(pulse__nodes_of_cpu(n, 5), 2);
	KT_EQ(pulse__nodes_of_cpu(n, 9), 0);
	KT_EQ(pulse__nodes_of_cpu(n, 1u << 30), 0);
	pulse__nodes_free(n);
	remove_root();
}

/* NULL: 10 MB. */
static void one_node_after(const char *name, const char *text)
{
	struct pulse__nodes *n;
	char path[256];

	two_nodes();
	put(name, text ? text : "0,2");
	if (!text) {
		snprintf(path, sizeof(path), "%s/%s", root, name);
		KT_EQ(truncate(path, 10 << 20), 0);
		text = "10 MB";
	}
	if (KT_CHECK(pulse__nodes_read(root, &n) == 0)) {
		KT_CHECKF(n->nr == 1 && n->node[0] == 0 && n->dist[0] == 10,
			  "%s = \"%.20s\" was believed", name, text);
		KT_EQ(pulse__nodes_of_cpu(n, 5), 0);
		pulse__nodes_free(n);
	}
	remove_root();
}

KT_TEST(a_lying_sysfs_is_one_node)
{
	one_node_after("online", "");
	one_node_after("online", "0-\n");
	one_node_after("online", "x\n");
	one_node_after("online", "2-0\n");
	one_node_after("online", "0,99999999999999999999\n");
	one_node_after("online", NULL);
	one_node_after("online", "0,2,5\n");		/* node5 has no folder */
	one_node_after("node0/cpulist", "0-\n");
	one_node_after("node0/cpulist", "0-99999999\n");
	one_node_after("node2/cpulist", "-3\n");
	one_node_after("node2/distance", "21\n");	/* too few */
	one_node_after("node2/distance", "21 9\n");	/* under local */
	one_node_after("node2/distance", "21 1000\n");
	one_node_after("node2/distance", NULL);
}

KT_TEST(a_missing_sysfs_is_one_node)
{
	struct pulse__nodes *n;

	KT_REQUIRE(pulse__nodes_read("/nonexistent", &n) == 0);
	KT_EQ(n->nr, 1);
	pulse__nodes_free(n);
}

KT_TEST(a_node_without_cpus_is_a_node)
{
	struct pulse__nodes *n;

	two_nodes();
	put("node2/cpulist", "\n");
	KT_REQUIRE(pulse__nodes_read(root, &n) == 0);
	KT_EQ(n->nr, 2);
	pulse__nodes_free(n);
	remove_root();
}

/* U04 */
KT_TEST(reading_nodes_survives_each_failing_allocation)
{
	two_nodes();
	for (long i = 1; i < 100; i++) {
		struct pulse__nodes *n = NULL;
		int err;

		pulse__alloc_fail_at(i);
		err = pulse__nodes_read(root, &n);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			pulse__nodes_free(n);
			break;
		}
		KT_EQ(err, -ENOMEM);
	}
	remove_root();
}

KT_TEST(rows_are_ordered_by_distance_itself_first)
{
	/* four nodes in a line; the last row says a lie about itself */
	const uint8_t dist[] = {
		10, 15, 20, 25,
		15, 10, 15, 20,
		20, 15, 10, 15,
		25, 20, 15, 99,
	};
	const uint16_t want[] = {
		0, 1, 2, 3,
		1, 0, 2, 3,
		2, 1, 3, 0,
		3, 2, 1, 0,
	};
	struct pulse_ctx ctx = { .nr_nodes = 4 };

	KT_REQUIRE(pulse__ctx_order(&ctx, dist) == 0);
	for (int i = 0; i < 16; i++)
		KT_CHECKF(ctx.order[i] == want[i], "order[%d] is %d", i,
			  ctx.order[i]);
	pulse__free(ctx.order);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* Pages of a node: that they are there, and where they come from. */
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include <pulse-u/memory.h>

#include "base/base.h"
#include "ktap.h"
#include "mem/node.h"

/* The node that a touched page lies on, or -1. */
static int node_of_page(void *page)
{
	int node = -1;

	if (syscall(SYS_get_mempolicy, &node, NULL, 0, page,
		    MPOL_F_NODE | MPOL_F_ADDR))
		return -1;
	return node;
}

/* U01 */
KT_TEST(what_cannot_be_asked_for_is_refused)
{
	char local[64];
	void *p;

	KT_EQ(pulse_alloc_on_node(4096, 0, 0, NULL), -EINVAL);
	KT_EQ(pulse_alloc_on_node(0, 0, 0, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, 0, 1U << 31, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, -2, 0, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, INT_MIN, 0, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, 1023, 0, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, 1024, 0, &p), -EINVAL);
	KT_EQ(pulse_alloc_on_node(4096, INT_MAX, 0, &p), -EINVAL);
	KT_CHECK(p == NULL);
	KT_EQ(pulse_alloc_on_node(SIZE_MAX, 0, 0, &p), -ENOMEM);
	KT_EQ(pulse_alloc_on_node(SIZE_MAX / 2, 0, 0, &p), -ENOMEM);
	KT_EQ(pulse_free_on_node(NULL, 0), 0);
	KT_EQ(pulse_free_on_node(local + 1, 64), -EINVAL);
}

KT_TEST(memory_is_zero_aligned_and_writable_to_its_end)
{
	static const unsigned int flags[] = {
		0, PULSE_MEM_POPULATE, PULSE_MEM_HUGE,
		PULSE_MEM_HUGE | PULSE_MEM_POPULATE,
	};
	static const size_t sizes[] = { 1, 4096, 4097, 100000, 5U << 20 };

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			unsigned char *bytes;
			bool zero = true;
			void *p;

			KT_EQ(pulse_alloc_on_node(sizes[s], PULSE_NODE_HERE,
						  flags[f], &p), 0);
			KT_REQUIRE(p != NULL);
			KT_CHECK(pulse__is_aligned(p, 4096));
			if (flags[f] & PULSE_MEM_HUGE && sizes[s] >= 2U << 20)
				KT_CHECK(pulse__is_aligned(p, 2U << 20));
			bytes = p;
			for (size_t i = 0; i < sizes[s]; i++)
				zero &= !bytes[i];
			KT_CHECK(zero);
			memset(p, 0xff, sizes[s]);
			KT_EQ(pulse_free_on_node(p, sizes[s]), 0);
		}
	}
}

KT_TEST(any_power_of_two_may_be_asked_for_as_alignment)
{
	for (size_t align = 1; align <= 16U << 20; align *= 2) {
		void *p = NULL;

		KT_EQ(pulse__map_on_node(10000, align, 0, 0, &p), 0);
		KT_REQUIRE(p != NULL);
		KT_CHECK(pulse__is_aligned(p, align));
		memset(p, 1, 10000);
		KT_EQ(pulse_free_on_node(p, 10000), 0);
	}
}

/* Where there are several nodes, as in the VM. */
KT_TEST(pages_come_from_the_node_that_was_named)
{
	int nodes = 0;

	for (int node = 0; node < PULSE__MAX_NODES; node++) {
		int got;
		void *p;

		if (!pulse__node_exists(node))
			continue;
		nodes++;
		KT_EQ(pulse_alloc_on_node(1U << 20, node, PULSE_MEM_POPULATE,
					  &p), 0);
		KT_REQUIRE(p != NULL);
		got = node_of_page(p);
		/* A node that is full or has no memory is served by another. */
		if (got >= 0 && got != node)
			kt_note("node %d was served from node %d", node, got);
		KT_CHECK(got == -1 || pulse__node_exists(got));
		if (nodes == 1 && got >= 0)
			KT_EQ(got, node);
		KT_EQ(pulse_free_on_node(p, 1U << 20), 0);
	}
	kt_note("%d node(s)", nodes);
	KT_CHECK(nodes >= 1);
}

/* U04 */
KT_TEST(a_failed_mapping_is_told)
{
	void *p;

	pulse__alloc_fail_at(1);
	KT_EQ(pulse_alloc_on_node(4096, 0, 0, &p), -ENOMEM);
	KT_CHECK(p == NULL);
	pulse__alloc_fail_at(0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA nodes: the map in HDR, where ring pages lie, WAKE_NODE and its spilling.
 * With one node the tests show what can be shown with one.
 */

#include "dev.h"

#define WORD	PULSE_PARK_WORD(9, PULSE_PARK_PARKING)
#define MAXN	16

static struct dev d;

static const __s32 *node_map(void)
{
	return (const void *)((const char *)d.hdr + d.hdr->nodes_off);
}

static int distance(unsigned int a, unsigned int b)
{
	const __u8 *dist = (const void *)((const char *)d.hdr + d.hdr->dist_off);

	return dist[a * d.hdr->nr_nodes + b];
}

static bool idle_bit(unsigned int m, int index)
{
	const __u64 *row = (const void *)((const char *)d.hdr + d.hdr->idle_off);

	row += (size_t)m * d.hdr->idle_words + index / 64;
	return __atomic_load_n(row, __ATOMIC_ACQUIRE) >> index % 64 & 1;
}

/* The node numbers that /sys tells of, in order; how many. */
static int sys_nodes(int *out)
{
	int n = 0;

	for (int i = 0; i < 1024 && n < MAXN; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", i);
		if (!access(path, F_OK))
			out[n++] = i;
	}
	return n;
}

/* A CPU of a node, or -1. */
static int cpu_of_node(int node)
{
	for (int cpu = 0; cpu < nr_cpus(); cpu++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpu%d",
			 node, cpu);
		if (!access(path, F_OK))
			return cpu;
	}
	return -1;
}

KT_TEST(the_header_tells_the_nodes_and_their_distances)
{
	int nodes[MAXN], n;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 100));
	n = sys_nodes(nodes);
	kt_note("%d nodes", n);
	KT_EQ(d.hdr->magic, PULSE_HDR_MAGIC);
	KT_EQ(d.hdr->abi, PULSE_ABI_VERSION);
	KT_EQ(d.hdr->hdr_bytes, sizeof(struct pulse_hdr));
	KT_EQ(d.hdr->features, d.info.features);
	KT_EQ(d.hdr->max_workers, 100);
	KT_EQ(d.hdr->ring_entries, 64);
	KT_EQ(d.hdr->nr_nodes, n);
	KT_EQ(d.info.nr_nodes, n);
	KT_CHECK(d.hdr->idle_words * 64 >= 100);
	KT_CHECK(d.hdr->idle_off + 8ULL * n * d.hdr->idle_words <= d.info.hdr_bytes);
	for (int i = 0; i < n; i++) {
		char path[64], line[256];
		char *at = line;
		FILE *f;

		KT_EQ(node_map()[i], nodes[i]);
		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%d/distance", nodes[i]);
		f = fopen(path, "re");
		KT_REQUIRE(f && fgets(line, sizeof(line), f));
		fclose(f);
		for (int j = 0; j < n; j++)
			KT_EQ(distance((unsigned int)i, (unsigned int)j),
			      strtol(at, &at, 10));
	}
	dev_end(&d);
}

KT_TEST(each_page_of_a_ring_lies_on_its_node)
{
	struct pulse_info info;
	int nodes[MAXN], n, fd;

	NEED_DEVICE();
	n = sys_nodes(nodes);
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(dev_setup(fd, 8, 1024, 1 << 20), 0);
	KT_EQ(dev_info(fd, &info), 0);
	for (int i = 0; i < n; i++) {
		size_t count = info.nring_bytes / 4096;
		char *ring = dev_mmap(fd, PULSE_REGION_NRING((unsigned int)nodes[i]),
				      info.nring_bytes, PROT_READ | PROT_WRITE);
		void **pages = calloc(count, sizeof(*pages));
		int *status = calloc(count, sizeof(*status));
		int wrong = 0;

		KT_REQUIRE(ring != MAP_FAILED && pages && status);
		for (size_t p = 0; p < count; p++)
			pages[p] = ring + p * 4096;
		KT_EQ(syscall(SYS_move_pages, 0, count, pages, NULL, status, 0), 0);
		for (size_t p = 0; p < count; p++) {
			int where = -1;

			wrong += status[p] != nodes[i];
			/* MPOL_F_NODE | MPOL_F_ADDR */
			KT_EQ(syscall(SYS_get_mempolicy, &where, NULL, 0, pages[p],
				      3), 0);
			wrong += where != nodes[i];
		}
		KT_CHECKF(!wrong, "node %d: %d answers are wrong, first %d",
			  nodes[i], wrong, status[0]);
		munmap(ring, info.nring_bytes);
		free(pages);
		free(status);
	}
	close(fd);
}

KT_TEST(rings_of_different_nodes_are_different_memory)
{
	int nodes[MAXN], n;
	char *ring[MAXN];

	NEED_DEVICE();
	n = sys_nodes(nodes);
	KT_REQUIRE(!dev_begin(&d, 8));
	for (int i = 0; i < n; i++) {
		ring[i] = dev_mmap(d.fd, PULSE_REGION_NRING((unsigned int)nodes[i]),
				   d.info.nring_bytes, PROT_READ | PROT_WRITE);
		KT_REQUIRE(ring[i] != MAP_FAILED);
		KT_EQ(ring[i][0], 0);
		memset(ring[i], i + 1, d.info.nring_bytes);
	}
	for (int i = 0; i < n; i++) {
		KT_EQ(ring[i][0], i + 1);
		KT_EQ(ring[i][d.info.nring_bytes - 1], i + 1);
		munmap(ring[i], d.info.nring_bytes);
	}
	dev_end(&d);
}

KT_TEST(a_worker_without_a_home_is_at_home_where_it_runs)
{
	int nodes[MAXN], n;

	NEED_DEVICE();
	n = sys_nodes(nodes);
	KT_REQUIRE(!dev_begin(&d, 8));
	for (int i = 0; i < n; i++) {
		int cpu = cpu_of_node(nodes[i]);

		if (cpu < 0)
			continue;
		KT_REQUIRE(!pin_to_cpu(cpu));
		KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
		KT_EQ(kstate_read(&d, 0).node, nodes[i]);
		set_word(&d, 0, WORD);
		for (int j = 0; j < n; j++)
			KT_EQ(wake_node(d.fd, nodes[j], 1, 0), i == j);
		KT_EQ(worker_del(d.fd, 0), 0);
		d.self = -1;
	}
	dev_end(&d);
}

KT_TEST(wake_node_wakes_as_many_as_it_was_told)
{
	struct parker p[6] = { { .word = WORD }, { .word = WORD }, { .word = WORD },
			       { .word = WORD }, { .word = WORD }, { .word = WORD } };
	int sum = 0;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	for (int i = 0; i < 6; i++) {
		KT_REQUIRE(parker_start(&p[i], &d, 0));
		KT_CHECK(idle_bit(0, p[i].index));
	}
	KT_EQ(wake_node(d.fd, 0, 4, 0), 4);
#define all_returns() (parker_returns(&p[0]) + parker_returns(&p[1]) +	\
		       parker_returns(&p[2]) + parker_returns(&p[3]) +	\
		       parker_returns(&p[4]) + parker_returns(&p[5]))
	KT_CHECK(EVENTUALLY(all_returns() == 4));
	sleep_ms(20);
	KT_EQ(all_returns(), 4);
	for (int i = 0; i < 6; i++) {
		KT_CHECK(EVENTUALLY(state_of(&d, p[i].index) == PULSE_STATE_PARKED));
		sum += parker_returns(&p[i]) > 1;
	}
	KT_EQ(sum, 0);
	KT_EQ(wake_node(d.fd, 0, PULSE_MAX_WORKERS, 0), 6);
	KT_CHECK(EVENTUALLY(all_returns() == 10));
	for (int i = 0; i < 6; i++)
		parker_stop(&p[i]);
	KT_EQ(wake_node(d.fd, 0, 8, PULSE_WAKE_SPILL), 0);
	for (int i = 0; i < 6; i++)
		KT_CHECK(!idle_bit(0, p[i].index));
	dev_end(&d);
}

KT_TEST(wake_node_counts_a_permit_once)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_EQ(dev_join(&d, 0), 0);

	/* running: nobody to wake */
	set_word(&d, 0, PULSE_PARK_WORD(9, PULSE_PARK_RUNNING));
	KT_EQ(wake_node(d.fd, 0, 1, 0), 0);
	/* notified already: whoever did that gives the permit */
	set_word(&d, 0, PULSE_PARK_WORD(9, PULSE_PARK_NOTIFIED));
	KT_EQ(wake_node(d.fd, 0, 1, 0), 0);
	/* on the way to PARK: it gets a permit, once */
	set_word(&d, 0, WORD);
	KT_EQ(wake_node(d.fd, 0, 1, 0), 1);
	KT_EQ(wake_node(d.fd, 0, 1, 0), 0);
	KT_EQ(park(d.fd, 0, WORD, PULSE_NO_DEADLINE), 0);
	KT_EQ(wake_node(d.fd, 0, 1, 0), 1);
	KT_EQ(park(d.fd, 0, WORD, PULSE_NO_DEADLINE), 0);
	KT_EQ(park(d.fd, 0, WORD, 0), -ETIMEDOUT);
	dev_end(&d);
}

/* The word is what the user says; who sleeps is what the kernel knows. */
KT_TEST(wake_node_finds_a_sleeper_whose_word_lies)
{
	struct parker p = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, 0));
	set_word(&d, p.index, PULSE_PARK_WORD(1, PULSE_PARK_RUNNING));
	/* It may not leave at once: who has left when it is counted is not. */
	KT_EQ(wake_node(d.fd, 0, 1, 0), 1);
	KT_CHECK(EVENTUALLY(parker_returns(&p) > 0));
	KT_EQ(p.first, 0);
	parker_stop(&p);
	dev_end(&d);
}

/* How many came back since they were last asked; all sleep again after it. */
static int came_back(struct parker *p, int n, bool *who)
{
	int sum = 0;

	for (int i = 0; i < n; i++) {
		who[i] = __atomic_exchange_n(&p[i].returns, 0, __ATOMIC_SEQ_CST) > 0;
		sum += who[i];
		KT_CHECK(EVENTUALLY(state_of(&d, p[i].index) == PULSE_STATE_PARKED));
	}
	return sum;
}

static int sum_returns(struct parker *p, int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum += parker_returns(&p[i]);
	return sum;
}

/* One parker a node; from each node one more is woken each time. */
KT_TEST(wake_node_spills_to_the_nearest_node_first)
{
	struct parker p[MAXN];
	int nodes[MAXN], n;

	NEED_DEVICE();
	n = sys_nodes(nodes);
	if (n < 2)
		kt_note("one node: nowhere to spill to");
	KT_REQUIRE(!dev_begin(&d, MAXN));
	memset(p, 0, sizeof(p));
	for (int i = 0; i < n; i++) {
		p[i].word = WORD;
		KT_REQUIRE(parker_start(&p[i], &d, nodes[i]));
	}
	for (int from = 0; from < n; from++) {
		bool before[MAXN] = { false }, now[MAXN];
		int last = 0;

		for (int nr = 1; nr <= n; nr++) {
			KT_EQ(wake_node(d.fd, nodes[from], (__u32)nr,
					PULSE_WAKE_SPILL), nr);
			KT_CHECK(EVENTUALLY(sum_returns(p, n) == nr));
			KT_EQ(came_back(p, n, now), nr);
			for (int i = 0; i < n; i++) {
				int far = distance((unsigned int)from,
						   (unsigned int)i);

				if (now[i] == before[i])
					continue;
				/* the new one is no nearer than those before */
				KT_CHECK(now[i]);
				KT_CHECKF(far >= last, "from %d: %d at %d, after %d",
					  nodes[from], nodes[i], far, last);
				last = far;
			}
			memcpy(before, now, sizeof(before));
		}
		/* without SPILL only its own */
		KT_EQ(wake_node(d.fd, nodes[from], MAXN, 0), 1);
		KT_CHECK(EVENTUALLY(parker_returns(&p[from]) == 1));
		KT_EQ(came_back(p, n, now), 1);
	}
	for (int i = 0; i < n; i++)
		parker_stop(&p[i]);
	dev_end(&d);
}

KT_MAIN()

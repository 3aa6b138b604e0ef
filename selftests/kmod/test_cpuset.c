// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that a worker may use: a cpuset that confines it, one that shrinks under
 * it, and a thread that is moved between nodes as fast as can be.
 */
#include "dev.h"
#include "cgroup.h"

#define WORD	PULSE_PARK_WORD(4, PULSE_PARK_PARKING)
#define GROUP	"pulse-cpuset"

static struct dev d;

/* A worker that spins, or parks when it is told to. */
static struct mover {
	pthread_t thread;
	int index;
	int tid;
	int park;		/* 1: it parks, and again, until 0 */
	int end;
	int bad;
} mover;

static void *mover_main(void *arg)
{
	struct mover *m = arg;

	m->tid = (int)syscall(SYS_gettid);
	m->bad = 0;
	__atomic_store_n(&m->index, worker_add(d.fd, 0), __ATOMIC_RELEASE);
	set_word(&d, m->index, WORD);
	m->bad |= beat(d.fd, m->index, NS_PER_MS);
	while (!__atomic_load_n(&m->end, __ATOMIC_ACQUIRE)) {
		if (!__atomic_load_n(&m->park, __ATOMIC_ACQUIRE))
			continue;
		m->bad |= park(d.fd, m->index, WORD, PULSE_NO_DEADLINE);
	}
	worker_del(d.fd, m->index);
	return NULL;
}

static bool mover_start(void)
{
	memset(&mover, 0, sizeof(mover));
	mover.index = -1000;
	return !pthread_create(&mover.thread, NULL, mover_main, &mover) &&
	       EVENTUALLY(__atomic_load_n(&mover.index, __ATOMIC_ACQUIRE) != -1000) &&
	       mover.index >= 0;
}

static void mover_stop(void)
{
	__atomic_store_n(&mover.park, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&mover.end, 1, __ATOMIC_RELEASE);
	wake_one(d.fd, mover.index);
	pthread_join(mover.thread, NULL);
	KT_EQ(mover.bad, 0);
}

/* The node of a CPU, as the kernel tells it in sysfs. */
static int node_of(int cpu)
{
	char path[96];

	for (int node = 0; node < 64; node++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!access(path, F_OK))
			return node;
	}
	return 0;
}

static int cpu_of(int index)
{
	return (int)kstate_read(&d, index).cpu;
}

static void move_to(int tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	KT_EQ(sched_setaffinity(tid, sizeof(set), &set), 0);
}

/* Into a group of some CPUs; what is done there, in a child. */
static int in_cpuset(int (*fn)(void *), const char *cpus)
{
	int ret;

	if (cgroup_begin(GROUP, "cpuset"))
		return 77;
	ret = cgroup_put(GROUP, "cpuset.cpus", cpus) ? 77 : in_child(fn, NULL);
	KT_CHECK(cgroup_end(GROUP));
	return ret;
}

#define NEED_CPUSET(fn, cpus)						\
	do {								\
		int got_;						\
									\
		NEED_DEVICE();						\
		if (nr_cpus() < 2)					\
			KT_SKIP("one CPU");				\
		got_ = in_cpuset(fn, cpus);				\
		if (got_ == 77)						\
			KT_SKIP("no cpusets of cgroup version 2 here");	\
		KT_EQ(got_, 0);						\
	} while (0)

static int stays_within(void *arg)
{
	struct pulse_hint h = { .size = sizeof(h), .mask = PULSE_HINT_NODE };
	cpu_set_t all, now;

	(void)arg;
	if (cgroup_enter(GROUP) || dev_begin(&d, 4))
		return 1;
	if (dev_join(&d, PULSE_NODE_ANY) != 0)
		return 2;
	/* no home, wherever it lies, takes it out of its CPUs */
	for (h.node = 0; h.node < (int)d.hdr->nr_nodes; h.node++) {
		if (dev_ioctl(d.fd, PULSE_IOC_HINT, &h))
			return 3;
		sched_getaffinity(0, sizeof(now), &now);
		if (CPU_COUNT(&now) != 1 || !CPU_ISSET(0, &now))
			return 4;
		for (int i = 0; i < 20; i++) {
			sleep_ms(1);
			if (cpu_of(0))
				return 5;
		}
	}
	/* what it asks for itself is cut down to them, or refused */
	CPU_ZERO(&all);
	for (int c = 0; c < nr_cpus(); c++)
		CPU_SET(c, &all);
	if (sched_setaffinity(0, sizeof(all), &all))
		return 6;
	sched_getaffinity(0, sizeof(now), &now);
	if (CPU_COUNT(&now) != 1 || !CPU_ISSET(0, &now))
		return 7;
	CPU_CLR(0, &all);
	if (!sched_setaffinity(0, sizeof(all), &all) || errno != EINVAL)
		return 8;
	dev_end(&d);
	return 0;
}

/* S04 */
KT_TEST(a_home_node_never_widens_the_cpus_of_a_worker)
{
	NEED_CPUSET(stays_within, "0");
}

static int shrinks(void *arg)
{
	int last = nr_cpus() - 1;
	struct parker p = { .word = WORD };
	__u64 beats;

	(void)arg;
	if (cgroup_enter(GROUP) || dev_begin(&d, 4) || !mover_start())
		return 1;
	/* parked while it shrinks, on a CPU that will be taken */
	if (!parker_start(&p, &d, PULSE_NODE_ANY))
		return 2;
	for (int n = 0; n < 10; n++) {
		/* only the last CPU, then only the first */
		char one[16];

		snprintf(one, sizeof(one), "%d", last);
		if (cgroup_put(GROUP, "cpuset.cpus", one) ||
		    !EVENTUALLY(cpu_of(mover.index) == last))
			return 3;
		if (wake_one(d.fd, p.index) != 1 ||
		    !EVENTUALLY(parker_returns(&p) == 2 * n + 1) ||
		    cpu_of(p.index) != last)
			return 4;
		if (!EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED))
			return 5;
		if (cgroup_put(GROUP, "cpuset.cpus", "0") ||
		    !EVENTUALLY(cpu_of(mover.index) == 0))
			return 6;
		if ((int)kstate_read(&d, mover.index).node != node_of(0))
			return 7;
		if (wake_node(d.fd, 0, 4, PULSE_WAKE_SPILL) < 1 ||
		    !EVENTUALLY(parker_returns(&p) == 2 * n + 2))
			return 8;
		if (!EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED))
			return 9;
		beats = kstate_read(&d, mover.index).beats;
		if (!EVENTUALLY(kstate_read(&d, mover.index).beats > beats))
			return 10;
	}
	mover_stop();
	parker_stop(&p);
	dev_end(&d);
	return kt_failed ? 11 : 0;
}

/* S09 */
KT_TEST(a_cpuset_that_shrinks_moves_its_workers_and_loses_none)
{
	char all[16];

	snprintf(all, sizeof(all), "0-%d", nr_cpus() - 1);
	NEED_CPUSET(shrinks, all);
}

static volatile int reader_end;
static long told_wrong;

/* CPU and node of one moment belong together, however it is moved. */
static void *reader(void *arg)
{
	int *nodes = arg;

	while (!reader_end) {
		struct pulse_kstate k = kstate_read(&d, mover.index);

		if (k.cpu >= (__u32)nr_cpus() || (int)k.node != nodes[k.cpu])
			told_wrong++;
	}
	return NULL;
}

/* S11 */
KT_TEST(a_worker_moved_between_nodes_without_rest_is_told_of_rightly)
{
	int last = nr_cpus() - 1, nodes[64] = { 0 };
	long moves = kt_scale(10000);
	struct pulse_kstate a, b;
	pthread_t t;

	NEED_DEVICE();
	if (last < 1)
		KT_SKIP("one CPU");
	KT_REQUIRE(!dev_begin(&d, 4));
	for (int c = 0; c <= last && c < 64; c++)
		nodes[c] = node_of(c);
	KT_REQUIRE(mover_start());
	reader_end = 0;
	told_wrong = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, reader, nodes));
	a = kstate_read(&d, mover.index);
	for (long n = 0; n < moves; n++) {
		int cpu = n & 1 ? 0 : last;

		/* mostly away again before it got there; now and then not */
		move_to(mover.tid, cpu);
		if (n % 16 == 0 || n % 16 == 7)
			KT_CHECK(EVENTUALLY(cpu_of(mover.index) == cpu));
	}
	move_to(mover.tid, last);
	KT_CHECK(EVENTUALLY(cpu_of(mover.index) == last));
	b = kstate_read(&d, mover.index);
	KT_EQ(b.node, nodes[last]);
	KT_CHECK(b.n_migrate - a.n_migrate >= (__u64)moves / 8 - 1);
	/* each of them put it on another CPU once, at most */
	KT_CHECK(b.n_migrate - a.n_migrate <= (__u64)moves + 2);
	kt_note("%ld moves, %llu seen on another CPU", moves,
		(unsigned long long)(b.n_migrate - a.n_migrate));
	/* and when it rests, in a park, it stays right */
	__atomic_store_n(&mover.park, 1, __ATOMIC_RELEASE);
	KT_CHECK(EVENTUALLY(state_of(&d, mover.index) == PULSE_STATE_PARKED));
	move_to(mover.tid, 0);
	KT_EQ(wake_one(d.fd, mover.index), 1);
	KT_CHECK(EVENTUALLY(cpu_of(mover.index) == 0));
	KT_EQ(kstate_read(&d, mover.index).node, nodes[0]);
	reader_end = 1;
	pthread_join(t, NULL);
	KT_EQ(told_wrong, 0);
	mover_stop();
	dev_end(&d);
}

KT_MAIN()

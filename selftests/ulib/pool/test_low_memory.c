// SPDX-License-Identifier: GPL-2.0-only
/*
 * U14: a million tasks, and memory for a few of them. And S09: CPUs that are
 * taken away under a pool. In a cgroup where there is version 2 of them, as in a
 * VM; elsewhere memory is limited by RLIMIT_DATA, and CPUs are not taken away.
 */
#include <sched.h>
#include <sys/resource.h>

#include "helpers.h"
#include "cgroup.h"
#include "works.h"

#define MILLION	1000000L
#define ROOM	(32L << 20)
#define GROUP	"pulse-low-memory"
#define CPUS	"pulse-fewer-cpus"

static bool in_group;

/* Little memory from here on; what it was limited by. */
static const char *squeeze(void)
{
	struct rlimit room;
	long long kb;

	if (in_group)
		return cgroup_enter(GROUP) ? NULL : "cgroup";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return "nothing: a sanitizer has more than that itself";
#endif
	kb = file_number("/proc/self/status", "VmData:");
	room.rlim_cur = room.rlim_max = (rlim_t)(kb * 1024 + ROOM);
	return kb < 0 || setrlimit(RLIMIT_DATA, &room) ? NULL : "RLIMIT_DATA";
}

static long ran;

static int counted(void *arg, void **value)
{
	(void)value;
	count_task(arg);
	return 0;
}

/* 0, or the number of what was wrong. */
static int million_tasks(void *arg)
{
	bool handles = *(bool *)arg;
	struct pulse_work work = WORK(counted, &ran);
	long accepted = 0, again = 0, other = 0;
	struct pulse_pool *pool;
	struct gate gate;
	const char *by = squeeze();

	if (!by)
		return 1;
	pool = pool_of(2, 0);
	if (!pool || !gate_close(&gate, pool))
		return 2;
	ran = 0;
	for (long i = 0; i < MILLION; i++) {
		int err = handles ? pulse_pool_spawn(pool, &work, NULL) :
				    pulse_pool_submit(pool, count_task, &ran);

		accepted += !err;
		again += err == -EAGAIN;
		other += err && err != -EAGAIN && !(handles && err == -ENOMEM);
	}
	gate_open(&gate, pool);
	/* it takes more again when there is room, and all it took is done */
	if (!EVENTUALLY(ATOMIC_GET(ran) == accepted))
		return 3;
	if (pulse_pool_submit(pool, count_task, &ran))
		return 4;
	if (pulse_pool_destroy(pool))
		return 5;
	kt_note("limited by %s: %ld taken, %ld refused", by, accepted, again);
	if (other || !accepted || !again || accepted + again > MILLION)
		return 6;
	return ran == accepted + 1 ? 0 : 7;
}

static void try_million(bool handles)
{
	char room[32];

	snprintf(room, sizeof(room), "%ld", ROOM);
	in_group = in_vm() && !cgroup_begin(GROUP, "memory") &&
		   !cgroup_put(GROUP, "memory.max", room);
	if (in_group)
		cgroup_put(GROUP, "memory.swap.max", "0");
	KT_EQ(in_child(million_tasks, &handles), 0);
	if (in_group) {
		KT_EQ(file_number(CGROUPS GROUP "/memory.events", "oom_kill "), 0);
		KT_CHECK(cgroup_end(GROUP));
	}
}

KT_TEST(a_million_tasks_in_little_memory_are_refused_and_nobody_is_killed)
{
	try_million(false);
}

KT_TEST(nor_is_anybody_for_a_million_tasks_with_handles)
{
	try_million(true);
}

/* Tasks of a pool whose workers are bound to CPUs that go. */
static int fewer_cpus(void *arg)
{
	int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = (uint32_t)last + 1, .pin = 1);
	long want = 0;
	char one[16];
	struct pulse_pool *pool;

	(void)arg;
	if (cgroup_enter(CPUS) || pulse_pool_create(&opts, &pool))
		return 1;
	snprintf(one, sizeof(one), "%d", last);
	for (int round = 0; round < 10; round++) {
		cpu_set_t now;

		if (cgroup_put(CPUS, "cpuset.cpus", round & 1 ? "0" : one))
			return 2;
		for (int i = 0; i < 200; i++)
			want += !pulse_pool_submit(pool, count_task, &ran);
		if (!EVENTUALLY(ATOMIC_GET(ran) == want))
			return 3;
		if (sched_getaffinity(0, sizeof(now), &now) || CPU_COUNT(&now) != 1)
			return 4;
	}
	/* and a new one makes do with what is left */
	if (pulse_pool_destroy(pool) || pulse_pool_create(&opts, &pool))
		return 5;
	want += !pulse_pool_submit(pool, count_task, &ran);
	return pulse_pool_destroy(pool) || ran != want || want < 1000;
}

KT_TEST(a_pool_whose_cpus_are_taken_away_does_all_its_work)
{
	if (!in_vm())
		KT_SKIP("only in a machine of its own");
	if (cgroup_begin(CPUS, "cpuset"))
		KT_SKIP("no cpusets of cgroup version 2 here");
	ran = 0;
	KT_EQ(in_child(fewer_cpus, NULL), 0);
	KT_CHECK(cgroup_end(CPUS));
}

KT_MAIN()

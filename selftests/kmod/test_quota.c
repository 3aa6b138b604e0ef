// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user may have: RLIMIT_MEMLOCK, and contexts, workers and pages a user.
 * Runs as root, whose capabilities would lift RLIMIT_MEMLOCK, so the tests of
 * that run in a child that is somebody else.
 */
#include <grp.h>
#include <sys/resource.h>

#include "dev.h"
#include "cgroup.h"

#define UID_A	4001
#define UID_B	4002

/* One limit, lowered for a test and put back after it. */
static long long kept;

static int lower(const char *name, long long value)
{
	kept = sysfs_read(name);
	return sysfs_write(name, value);
}

static void put_back(const char *name)
{
	KT_EQ(sysfs_write(name, kept), 0);
	KT_EQ(sysfs_read(name), kept);
}

/* VmLck of this process, in kB. */
static long locked_kb(void)
{
	return (long)file_number("/proc/self/status", "VmLck:");
}

static int memlock_child(void *arg)
{
	struct rlimit lim = { 64 << 10, 64 << 10 };
	struct pulse_info info;
	int fd, other;

	(void)arg;
	setrlimit(RLIMIT_MEMLOCK, &lim);
	if (become(UID_A))
		_exit(99);
	fd = dev_open(O_RDWR);
	other = dev_open(O_RDWR);
	if (fd < 0 || other < 0)
		return 1;
	if (dev_setup(fd, 4, 1024, 1 << 20) != -ENOMEM)
		return 2;
	if (locked_kb() != 0)
		return 3;
	/* refused for want of room, it is as new */
	if (dev_setup(fd, 4, 16, 0) != 0)
		return 4;
	if (dev_info(fd, &info))
		return 5;
	if (locked_kb() * 1024 != (long)(info.hdr_bytes + info.kstate_bytes +
			info.uwork_bytes + info.nr_nodes * info.nring_bytes))
		return 6;
	/* what is left is not enough for another with four times as much */
	if (dev_setup(other, 256, 256, 0) != -ENOMEM)
		return 7;
	close(fd);
	if (!EVENTUALLY(locked_kb() == 0))
		return 8;
	return dev_setup(other, 4, 16, 0) ? 9 : 0;
}

static void open_to_all(bool yes)
{
	KT_EQ(chmod(PULSE_DEVICE_PATH, yes ? 0666 : 0600), 0);
}

KT_TEST(the_device_is_for_root_alone_by_default)
{
	struct stat st;

	NEED_DEVICE();
	KT_EQ(stat(PULSE_DEVICE_PATH, &st), 0);
	KT_EQ(st.st_mode & 07777, 0600);
	KT_EQ(st.st_uid, 0);
	KT_EQ(st.st_gid, 0);
}

KT_TEST(memory_is_charged_to_rlimit_memlock_and_given_back)
{
	NEED_DEVICE();
	open_to_all(true);
	KT_EQ(in_child(memlock_child, NULL), 0);
	open_to_all(false);
}

static int open_child(void *arg)
{
	int want = *(int *)arg, fd, last = -1, n = 0;

	if (become(UID_A))
		_exit(99);
	while ((fd = dev_open(O_RDWR)) >= 0) {
		last = fd;
		if (++n > want)
			return 1;
	}
	if (fd != -EDQUOT || n != want)
		return 2;
	/* one back, one again */
	close(last);
	if (!EVENTUALLY((fd = dev_open(O_RDWR)) >= 0))
		return 3;
	return dev_open(O_RDWR) != -EDQUOT;
}

/* L06: the process's own limit of descriptors may come before the quota */
static int open_until_emfile(void *arg)
{
	struct rlimit few = { 32, 32 };
	int fd, last = -1;

	(void)arg;
	setrlimit(RLIMIT_NOFILE, &few);
	if (become(UID_A))
		_exit(99);
	while ((fd = dev_open(O_RDWR)) >= 0)
		last = fd;
	if (fd != -EMFILE || last < 0)
		return 1;
	close(last);
	return dev_open(O_RDWR) < 0;
}

KT_TEST(a_process_without_descriptors_left_is_told_so)
{
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	open_to_all(true);
	KT_EQ(in_child(open_until_emfile, NULL), 0);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	open_to_all(false);
}

static int other_child(void *arg)
{
	(void)arg;
	if (become(UID_B))
		_exit(99);
	return dev_open(O_RDWR) < 0;
}

/* L06, L07 */
KT_TEST(a_user_at_the_quota_of_contexts_stops_no_other)
{
	int want = 5;
	pid_t pid;
	int fds[2], status;
	char c;

	NEED_DEVICE();
	open_to_all(true);
	KT_EQ(lower("max_contexts_per_user", want), 0);
	KT_EQ(in_child(open_child, &want), 0);
	/* all was given back when the process ended */
	KT_EQ(in_child(open_child, &want), 0);

	/* A holds all it may; B opens; A is killed; A may open again */
	KT_REQUIRE(!pipe(fds));
	pid = fork();
	if (!pid) {
		if (become(UID_A))
		_exit(99);
		while (dev_open(O_RDWR) >= 0)
			;
		(void)!write(fds[1], "x", 1);
		for (;;)
			pause();
	}
	KT_EQ(read(fds[0], &c, 1), 1);
	KT_EQ(in_child(other_child, NULL), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	KT_CHECK(EVENTUALLY(in_child(open_child, &want) == 0));
	close(fds[0]);
	close(fds[1]);
	put_back("max_contexts_per_user");
	open_to_all(false);
}

static struct dev d;

static int workers_child(void *arg)
{
	struct parker p[4];
	int want = *(int *)arg;

	if (become(UID_A))
		_exit(99);
	memset(p, 0, sizeof(p));
	if (dev_begin(&d, 16))
		return 1;
	for (int i = 0; i < want; i++) {
		p[i].word = 1;
		if (!parker_start(&p[i], &d, PULSE_NODE_ANY))
			return 2;
	}
	if (worker_add(d.fd, PULSE_NODE_ANY) != -EDQUOT)
		return 3;
	if (d.hdr->nr_workers != (__u32)want)
		return 4;
	parker_stop(&p[0]);
	if (worker_add(d.fd, PULSE_NODE_ANY) < 0)
		return 5;
	return 0;
}

KT_TEST(workers_a_user_are_limited)
{
	int want = 3;

	NEED_DEVICE();
	open_to_all(true);
	KT_EQ(lower("max_workers_per_user", want), 0);
	KT_EQ(in_child(workers_child, &want), 0);
	KT_CHECK(EVENTUALLY(in_child(workers_child, &want) == 0));
	put_back("max_workers_per_user");
	open_to_all(false);
}

KT_TEST(pages_a_user_are_limited_and_a_refused_setup_can_be_tried_again)
{
	struct pulse_info info;
	int fd, other;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	other = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0 && other >= 0);
	KT_REQUIRE(!dev_info(fd, &info));
	/* room for one context with heaps of 64 KiB, not for two */
	KT_EQ(lower("max_pages_per_user", 10 + 20 * info.nr_nodes), 0);
	KT_EQ(dev_setup(fd, 4, 16, 1 << 20), -EDQUOT);
	KT_EQ(dev_setup(fd, PULSE_MAX_WORKERS, 16, 0), -EDQUOT);
	KT_EQ(dev_setup(fd, 4, 16, 64 << 10), 0);
	KT_EQ(dev_setup(other, 4, 16, 64 << 10), -EDQUOT);
	close(fd);
	KT_CHECK(EVENTUALLY(dev_setup(other, 4, 16, 64 << 10) == 0));
	close(other);
	put_back("max_pages_per_user");
}

#define GROUP	"pulse-test"

/* S08 */
static int cgroup_child(void *arg)
{
	int fd;

	(void)arg;
	if (cgroup_enter(GROUP))
		return 1;
	fd = dev_open(O_RDWR);
	if (fd < 0)
		return 2;
	if (dev_setup(fd, 4, 65536, 32 << 20) != -ENOMEM)
		return 3;
	return dev_setup(fd, 4, 16, 0) ? 4 : 0;
}

/* A group of a few MiB of memory, or the test is skipped. */
#define NEED_SMALL_GROUP()						\
	do {								\
		NEED_DEVICE();						\
		if (cgroup_begin(GROUP, "memory") ||			\
		    cgroup_put(GROUP, "memory.max", "8388608")) {	\
			rmdir(CGROUPS GROUP);				\
			KT_SKIP("no memory cgroup (version 2) here");	\
		}							\
	} while (0)

KT_TEST(a_small_memory_cgroup_means_enomem_and_no_oom_kill)
{
	NEED_SMALL_GROUP();
	KT_EQ(in_child(cgroup_child, NULL), 0);
	KT_EQ(file_number(CGROUPS GROUP "/memory.events", "oom_kill "), 0);
	KT_CHECK(cgroup_end(GROUP));
}

/* S08: what was charged to it is used on when it is gone, and by others */
static int outlive_group(void *arg)
{
	struct parker p = { .word = 1 };

	(void)arg;
	if (cgroup_enter(GROUP) || dev_begin_events(&d, 8, 4096, 0) ||
	    !parker_start(&p, &d, PULSE_NODE_ANY))
		return 1;
	if (cgroup_enter("") || !cgroup_end(GROUP))
		return 2;
	for (int i = 1; i <= 20; i++) {
		if (wake_one(d.fd, p.index) != 1 ||
		    !EVENTUALLY(parker_returns(&p) == i) ||
		    !EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED))
			return 3;
		memset(&d.uwork[p.index].cookie, i, sizeof(d.uwork[0].cookie));
	}
	parker_stop(&p);
	if (!event_next(&d) && d.hdr->nr_workers)
		return 4;
	dev_end(&d);
	/* and a new one is charged to where it is now */
	return dev_begin(&d, 8) ? 5 : 0;
}

KT_TEST(a_context_outlives_the_cgroup_that_it_was_charged_to)
{
	long long contexts;

	NEED_SMALL_GROUP();
	contexts = sysfs_read("contexts");
	KT_EQ(in_child(outlive_group, NULL), 0);
	KT_CHECK(access(CGROUPS GROUP, F_OK));
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()

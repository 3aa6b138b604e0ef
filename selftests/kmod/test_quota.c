// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user may have: RLIMIT_MEMLOCK, and contexts, workers and pages a user.
 * Runs as root, whose capabilities would lift RLIMIT_MEMLOCK, so the tests of
 * that run in a child that is somebody else.
 */
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "dev.h"

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

static void become(uid_t uid)
{
	if (setgroups(0, NULL) || setgid(uid) || setuid(uid))
		_exit(99);
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
	become(UID_A);
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

	become(UID_A);
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

static int other_child(void *arg)
{
	(void)arg;
	become(UID_B);
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
		become(UID_A);
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

	become(UID_A);
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

/* S08 */
static int cgroup_child(void *arg)
{
	int fd;

	(void)arg;
	fd = open("/sys/fs/cgroup/pulse-test/cgroup.procs", O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return 1;
	fd = dev_open(O_RDWR);
	if (fd < 0)
		return 2;
	if (dev_setup(fd, 4, 65536, 32 << 20) != -ENOMEM)
		return 3;
	return dev_setup(fd, 4, 16, 0) ? 4 : 0;
}

KT_TEST(a_small_memory_cgroup_means_enomem_and_no_oom_kill)
{
	NEED_DEVICE();
	file_put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir("/sys/fs/cgroup/pulse-test", 0755) ||
	    file_put("/sys/fs/cgroup/pulse-test/memory.max", "8388608")) {
		rmdir("/sys/fs/cgroup/pulse-test");
		KT_SKIP("no memory cgroup (version 2) here");
	}
	KT_EQ(in_child(cgroup_child, NULL), 0);
	KT_CHECK(EVENTUALLY(!rmdir("/sys/fs/cgroup/pulse-test")));
}

KT_MAIN()

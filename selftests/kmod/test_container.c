// SPDX-License-Identifier: GPL-2.0-only
/*
 * L11: a process in namespaces of its own. Whoever is given the device there is
 * the user that he is outside, with his quota, and no capability of the
 * namespace counts for more; names are those of the namespace.
 */
#include <grp.h>
#include <sys/stat.h>

#include "nl.h"

#define WORD	PULSE_PARK_WORD(2, PULSE_PARK_PARKING)
#define SOMEBODY 4001

static struct dev d;
static struct nl n;

static int map_ids(void)
{
	char text[64];

	snprintf(text, sizeof(text), "0 %d 1", SOMEBODY);
	return file_put("/proc/self/setgroups", "deny") ||
	       file_put("/proc/self/uid_map", text) ||
	       file_put("/proc/self/gid_map", text);
}

/* The first process of the container: root there, with every capability. */
static int as_root_inside(void *arg)
{
	struct pulse_hint nice = {
		.size = sizeof(nice),
		.mask = PULSE_HINT_NICE,
		.nice = -5,
	};
	struct pulse_hint fifo = {
		.size = sizeof(fifo),
		.mask = PULSE_HINT_CLASS,
		.sched_class = PULSE_CLASS_FIFO,
	};
	int floor_us = *(int *)arg;

	if (getuid() || getpid() != 1)
		return 1;
	if (dev_begin_events(&d, 4, 4096, 0) || dev_join(&d, PULSE_NODE_ANY) != 0)
		return 2;
	if (kstate_read(&d, 0).tid != 1)
		return 3;
	set_word(&d, 0, WORD);
	if (wake_one(d.fd, 0) != 1 || park(d.fd, 0, WORD, PULSE_NO_DEADLINE))
		return 4;
	/* what root outside may, and root here may not */
	if (beat(d.fd, 0, (__u64)floor_us * 1000 - 1) != -EINVAL ||
	    beat(d.fd, 0, (__u64)floor_us * 1000))
		return 5;
	if (dev_ioctl(d.fd, PULSE_IOC_HINT, &nice) != -EPERM ||
	    dev_ioctl(d.fd, PULSE_IOC_HINT, &fifo) != -EPERM)
		return 6;
	if (sysfs_write("max_contexts_per_user", 1000) != -EACCES)
		return 7;
	if (watch(d.fd, (struct pulse_watch){ .kind = PULSE_WATCH_PROCESS,
					      .target = 1 }) < 1)
		return 8;
	/* a process outside has no name in here */
	if (watch(d.fd, (struct pulse_watch){ .kind = PULSE_WATCH_PROCESS,
					      .target = 4000000 }) != -ESRCH)
		return 9;
	/* another network namespace: there is no such family */
	if (nl_open(&n) != -ENOENT)
		return 10;
	/* the quota is that of the user outside: two, and one is taken there */
	if (dev_open(O_RDWR) != -EDQUOT)
		return 11;
	dev_end(&d);
	return 0;
}

static int in_container(void *arg)
{
	int held;

	if (become(SOMEBODY))
		return 99;
	held = dev_open(O_RDWR);
	if (held < 0)
		return 98;
	/* who changed his user cannot write his own maps otherwise */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS |
		    CLONE_NEWIPC))
		return 77;
	if (map_ids())
		return 97;
	return in_child(as_root_inside, arg);
}

KT_TEST(root_of_a_container_is_the_user_that_it_is_outside)
{
	long long limit;
	int floor_us, ret;

	NEED_DEVICE();
	floor_us = (int)sysfs_read("beat_floor_us");
	limit = sysfs_read("max_contexts_per_user");
	KT_EQ(sysfs_write("max_contexts_per_user", 2), 0);
	KT_EQ(chmod(PULSE_DEVICE_PATH, 0666), 0);
	ret = in_child(in_container, &floor_us);
	KT_EQ(chmod(PULSE_DEVICE_PATH, 0600), 0);
	KT_EQ(sysfs_write("max_contexts_per_user", limit), 0);
	if (ret == 77)
		KT_SKIP("this kernel makes no user namespaces");
	KT_EQ(ret, 0);
}

/* The device as it is by default: root inside is nobody to it. */
static int in_user_namespace(void *arg)
{
	(void)arg;
	if (become(SOMEBODY))
		return 99;
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		return 77;
	if (map_ids() || getuid())
		return 97;
	return dev_open(O_RDWR) == -EACCES && dev_open(O_RDONLY) == -EACCES ? 0 : 1;
}

KT_TEST(root_of_a_user_namespace_does_not_open_the_device)
{
	int ret;

	NEED_DEVICE();
	ret = in_child(in_user_namespace, NULL);
	if (ret == 77)
		KT_SKIP("this kernel makes no user namespaces");
	KT_EQ(ret, 0);
}

/* A root of its own, with the device carried in as an open descriptor. */
static int in_chroot(void *arg)
{
	(void)arg;
	d.fd = dev_open(O_RDWR);
	d.self = -1;
	if (d.fd < 0 || chroot("/proc/self/fdinfo") || chdir("/"))
		return 99;
	if (dev_open(O_RDWR) != -ENOENT)
		return 1;
	if (dev_setup(d.fd, 4, 16, 0) || dev_map(&d))
		return 2;
	if (dev_join(&d, PULSE_NODE_ANY) != 0)
		return 3;
	set_word(&d, 0, WORD);
	if (wake_one(d.fd, 0) != 1 || park(d.fd, 0, WORD, PULSE_NO_DEADLINE))
		return 4;
	dev_end(&d);
	return 0;
}

KT_TEST(a_chroot_uses_what_was_opened_before)
{
	NEED_DEVICE();
	KT_EQ(in_child(in_chroot, NULL), 0);
}

KT_MAIN()

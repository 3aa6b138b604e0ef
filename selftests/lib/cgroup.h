/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup.h - groups of cgroup version 2 for tests: made below the root, gone
 * afterwards.
 */
#ifndef PULSE_SELFTESTS_CGROUP_H
#define PULSE_SELFTESTS_CGROUP_H

#include <sys/stat.h>

#include "files.h"
#include "until.h"

#define CGROUPS	"/sys/fs/cgroup/"

/* 0 or -errno; one write to a file of a group. */
static inline int cgroup_put(const char *group, const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), CGROUPS "%s/%s", group, file);
	return file_put(path, text);
}

/* Makes a group that has this controller; 0 or -errno. */
static inline int cgroup_begin(const char *group, const char *controller)
{
	char path[160], enable[32];

	snprintf(enable, sizeof(enable), "+%s", controller);
	file_put(CGROUPS "cgroup.subtree_control", enable);
	snprintf(path, sizeof(path), CGROUPS "%s", group);
	return mkdir(path, 0755) ? -errno : 0;
}

/* Who is in it goes back to the root; false when it does not go. */
static inline bool cgroup_end(const char *group)
{
	char path[160];

	snprintf(path, sizeof(path), CGROUPS "%s", group);
	return EVENTUALLY(!rmdir(path));
}

/* The calling process, with all its threads, goes to a group; "" is the root. */
static inline int cgroup_enter(const char *group)
{
	return cgroup_put(group, "cgroup.procs", "0");
}

#endif /* PULSE_SELFTESTS_CGROUP_H */

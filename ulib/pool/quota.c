// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * quota.c - how many CPUs the cgroup pays for.
 *
 * cgroup v2: cpu.max, "max 100000" or "150000 100000"; v1: cpu.cfs_quota_us
 * and cpu.cfs_period_us. The tightest from the process's own group up to the
 * root counts. What cannot be read does not limit.
 */
#include <stdio.h>

#include "pool/pool.h"

#define PULSE__QUOTA_PATH 4096

static bool pulse__read_line(const char *path, char *line, int room)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, room, f);

	if (f)
		fclose(f);
	return ok;
}

static unsigned int pulse__cpus_of(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	quota = (quota + period - 1) / period;
	return quota > INT_MAX ? 0 : (unsigned int)quota;
}

/* What one group allows, 0 = no limit. */
static unsigned int pulse__group_cpus(const char *group, bool v2)
{
	char path[PULSE__QUOTA_PATH + 32], line[128];
	long long quota, period;

	if (v2) {
		snprintf(path, sizeof(path), "%s/cpu.max", group);
		if (!pulse__read_line(path, line, sizeof(line)) ||
		    sscanf(line, "%lld %lld", &quota, &period) != 2)
			return 0;
		return pulse__cpus_of(quota, period);
	}
	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", group);
	if (!pulse__read_line(path, line, sizeof(line)) ||
	    sscanf(line, "%lld", &quota) != 1)
		return 0;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", group);
	if (!pulse__read_line(path, line, sizeof(line)) ||
	    sscanf(line, "%lld", &period) != 1)
		return 0;
	return pulse__cpus_of(quota, period);
}

/* @group and all above it down to @mount. */
static unsigned int pulse__walk_up(char *group, size_t mount_len, bool v2)
{
	unsigned int least = 0, cpus;

	for (;;) {
		char *slash;

		cpus = pulse__group_cpus(group, v2);
		if (cpus && (!least || cpus < least))
			least = cpus;
		slash = strrchr(group, '/');
		if (!slash || (size_t)(slash - group) < mount_len)
			return least;
		*slash = 0;
	}
}

/* Does "cpu,cpuacct" name the cpu controller? */
static bool pulse__has_cpu(const char *controllers)
{
	const char *s = controllers;

	while (*s) {
		size_t n = strcspn(s, ",");

		if (n == 3 && !memcmp(s, "cpu", 3))
			return true;
		s += n + (s[n] == ',');
	}
	return false;
}

unsigned int pulse__quota_cpus(const char *proc_self_cgroup,
			       const char *cgroup_root)
{
	char line[PULSE__QUOTA_PATH], group[PULSE__QUOTA_PATH];
	unsigned int least = 0;
	FILE *f = fopen(proc_self_cgroup, "re");

	/* "hierarchy:controllers:path"; v2 is "0::path" */
	while (f && fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'), *path;
		unsigned int cpus;
		size_t mount;
		bool v2;

		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*controllers++ = 0;
		*path++ = 0;
		path[strcspn(path, "\n")] = 0;
		v2 = !*controllers;
		if (!v2 && !pulse__has_cpu(controllers))
			continue;
		mount = strlen(cgroup_root) + (v2 ? 0 : strlen("/cpu"));
		if (snprintf(group, sizeof(group), "%s%s%s", cgroup_root,
			     v2 ? "" : "/cpu", strcmp(path, "/") ? path : "") >=
		    (int)sizeof(group))
			continue;
		cpus = pulse__walk_up(group, mount, v2);
		if (cpus && (!least || cpus < least))
			least = cpus;
	}
	if (f)
		fclose(f);
	return least;
}

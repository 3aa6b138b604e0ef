// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * sysfs.c - may hwloc be let loose on this sysfs?
 *
 * hwloc (2.9) asserts where the list of online nodes is empty or endless: a
 * container that shows such a file would end the process. So the two lists
 * that it builds upon are looked at first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "topo/topo.h"

/* A list of thousands of single numbers fits. */
#define PULSE__LIST_BYTES 65536

/* One number, not over @most; the text moves on. -1: none. */
static long pulse__list_number(const char **text, uint32_t most)
{
	long value = 0;
	bool any = false;

	for (; **text >= '0' && **text <= '9'; ++*text) {
		value = value * 10 + (**text - '0');
		if (value > (long)most)
			return -1;
		any = true;
	}
	return any ? value : -1;
}

bool pulse__cpulist_sane(const char *text, uint32_t most)
{
	long first, last;

	for (;;) {
		first = pulse__list_number(&text, most);
		if (first < 0)
			return false;
		if (*text == '-') {
			text++;
			last = pulse__list_number(&text, most);
			if (last < first)
				return false;
		}
		if (*text != ',')
			break;
		text++;
	}
	while (*text == '\n' || *text == ' ')
		text++;
	return !*text;
}

/* 0 the list in this file is one, or there is none; -EIO; -ENOMEM. */
static int pulse__list_file_check(const char *path, uint32_t most)
{
	const char *root = getenv("HWLOC_FSROOT");
	char full[PATH_MAX], *text;
	size_t have = 0;
	bool sane;
	int fd;

	if (snprintf(full, sizeof(full), "%s%s", root ? root : "", path) >=
	    (int)sizeof(full))
		return -EIO;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -EIO;
	text = pulse__malloc(PULSE__LIST_BYTES);
	while (text && have < PULSE__LIST_BYTES - 1) {
		ssize_t n = read(fd, text + have, PULSE__LIST_BYTES - 1 - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	if (!text)
		return -ENOMEM;
	text[have] = 0;
	/* A NUL in the middle is none of a list's letters either. */
	sane = have < PULSE__LIST_BYTES - 1 && strlen(text) == have &&
	       pulse__cpulist_sane(text, most);
	pulse__free(text);
	return sane ? 0 : -EIO;
}

int pulse__sysfs_check(void)
{
	int err = pulse__list_file_check("/sys/devices/system/node/online",
					 PULSE__TOPO_MAX_NODES - 1);

	if (err)
		return err;
	return pulse__list_file_check("/sys/devices/system/cpu/online",
				      PULSE__TOPO_MAX_CPUS - 1);
}

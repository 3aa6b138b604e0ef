/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.h - what tests do to small files of the kernel: one write, one number.
 */
#ifndef PULSE_SELFTESTS_FILES_H
#define PULSE_SELFTESTS_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 0 or -errno; one write() of this text. */
static inline int file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* The number behind @key in a file of lines "key number", or -1. */
static inline long long file_number(const char *path, const char *key)
{
	long long value = -1;
	char line[512];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtoll(line + strlen(key), NULL, 0);
	if (f)
		fclose(f);
	return value;
}

/* Are we in a machine that is ours alone, to do with what we like? */
static inline bool in_vm(void)
{
	return getenv("PULSE_VM") != NULL;
}

#endif /* PULSE_SELFTESTS_FILES_H */

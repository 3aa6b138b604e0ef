// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * passed.c - sockets that the service manager has opened and hands to the program it
 * starts, sd_listen_fds(3): descriptors from 3 on, and in the environment whom they
 * are for, how many there are, and what they are called. No library of systemd's.
 *
 * Each listener has a copy. The original stays as it was handed over, for a listener
 * that comes later; connections that nobody accepts meanwhile wait in it.
 */
#include "io/stream.h"

#include <fcntl.h>
#include <unistd.h>

int pulse__passed_first = 3;

/* Digits and nothing else; -1. */
static long number(const char *text)
{
	long value = 0;

	if (!text || !*text || strlen(text) > 9)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

/* How many are for this process. */
static long count(void)
{
	long nr = number(getenv("LISTEN_FDS"));

	if (nr < 1 || number(getenv("LISTEN_PID")) != (long)getpid())
		return 0;
	return nr;
}

/* The place of a name among those between ":"; -1: it is none. */
static long place_of(const char *name, long nr)
{
	const char *at = getenv("LISTEN_FDNAMES");
	size_t len = strlen(name), n;

	for (long i = 0; at && i < nr; i++) {
		n = strcspn(at, ":");
		if (n == len && !memcmp(at, name, n))
			return i;
		at = at[n] ? at + n + 1 : NULL;
	}
	return -1;
}

static int option(int fd, int what)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return getsockopt(fd, SOL_SOCKET, what, &value, &len) ? -errno : value;
}

int pulse__passed_open(const char *name, int *family)
{
	long nr = count(), place = place_of(name, nr);
	int fd, type, flags;

	if (place < 0)
		place = number(name);
	if (place < 0 || place >= nr)
		return -ENOENT;
	fd = pulse__passed_first + (int)place;
	type = option(fd, SO_TYPE);
	if (type < 0)
		return type;
	if (type != SOCK_STREAM || option(fd, SO_ACCEPTCONN) != 1)
		return -EINVAL;
	*family = option(fd, SO_DOMAIN);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, pulse__passed_first);
	return fd < 0 ? -errno : fd;
}

const char *pulse__passed_name(const char *address)
{
	return !strncmp(address, "fd:", 3) ? address + 3 : NULL;
}

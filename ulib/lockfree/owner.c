// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * owner.c - a process as one word in shared memory: its pid above, the low half
 * of its start time (clock ticks since boot) below, so that a pid that is used
 * again is not taken for the one before.
 *
 * Dead is said of nobody who may live: a peer whose pid cannot be seen from
 * here, or of whom /proc hides everything, lives. A zombie is dead: no
 * instruction of it will run.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lockfree/queue_int.h"

/* State and start time out of /proc/PID/stat; false: it says nothing. */
static bool pulse__proc_stat(int pid, char *state, uint32_t *start)
{
	unsigned long long ticks;
	char path[32], text[1024], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	/* The name may hold anything, also parentheses: the last one ends it. */
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1,
			  " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			  state, &ticks) != 2)
		return false;
	*start = (uint32_t)ticks;
	return true;
}

uint64_t pulse__owner_self(void)
{
	uint32_t start = 0;
	int pid = getpid();
	char state;

	/* Without /proc only a pid that is gone is known to be dead. */
	if (!pulse__proc_stat(pid, &state, &start))
		start = 0;
	return (uint64_t)(uint32_t)pid << 32 | start;
}

bool pulse__owner_dead(uint64_t owner)
{
	uint32_t start;
	int pid = (int)(owner >> 32);
	char state;

	if (pid <= 0)
		return false;
	if (pulse__proc_stat(pid, &state, &start))
		return state == 'Z' || state == 'X' || state == 'x' ||
		       ((uint32_t)owner && start != (uint32_t)owner);
	/* EPERM: it is there, /proc only does not show it. */
	return kill(pid, 0) && errno == ESRCH;
}

int pulse__owner_pidfd(uint64_t owner)
{
	int fd = (int)syscall(SYS_pidfd_open, (int)(owner >> 32), 0);
	uint32_t start;
	char state;

	/* EINVAL: the number is a thread's by now. */
	if (fd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	if (!(uint32_t)owner ||
	    !pulse__proc_stat((int)(owner >> 32), &state, &start) ||
	    start == (uint32_t)owner)
		return fd;
	close(fd);
	return -ESRCH;
}

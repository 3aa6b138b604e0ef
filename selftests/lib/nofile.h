/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nofile.h - no descriptor left. The limit is low from the start and then all are
 * taken: who accepts by io_uring goes by the limit of when it began.
 */
#ifndef PULSE_SELFTESTS_NOFILE_H
#define PULSE_SELFTESTS_NOFILE_H

#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

struct nofile {
	struct rlimit old;
	int fd[256];
	int nr;
};

static inline bool nofile_begin(struct nofile *n)
{
	struct rlimit low;

	n->nr = 0;
	if (getrlimit(RLIMIT_NOFILE, &n->old))
		return false;
	low = n->old;
	low.rlim_cur = sizeof(n->fd) / sizeof(n->fd[0]);
	return !setrlimit(RLIMIT_NOFILE, &low);
}

static inline void nofile_take_all(struct nofile *n)
{
	int fd;

	while (n->nr < (int)(sizeof(n->fd) / sizeof(n->fd[0])) && (fd = dup(0)) >= 0)
		n->fd[n->nr++] = fd;
}

static inline void nofile_end(struct nofile *n)
{
	while (n->nr)
		close(n->fd[--n->nr]);
	setrlimit(RLIMIT_NOFILE, &n->old);
}

#endif /* PULSE_SELFTESTS_NOFILE_H */

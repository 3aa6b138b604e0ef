/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watch.h - a pipe that a poller watches.
 */
#ifndef PULSE_SELFTESTS_IO_WATCH_H
#define PULSE_SELFTESTS_IO_WATCH_H

#include "base/base.h"
#include "ktap.h"

#include <fcntl.h>

#include <pulse-u/poller.h>

static inline struct pulse_poller *make(void)
{
	struct pulse_poller *p = NULL;

	KT_EQ(pulse_poller_create(NULL, &p), 0);
	return p;
}

struct watch {
	int pipe[2];
	uint64_t id;
	int calls;
	uint32_t last;
	void (*then)(struct pulse_poller *p, struct watch *w);
	struct watch *other;
};

static inline void on_event(struct pulse_poller *p, int fd, uint32_t events, void *arg)
{
	struct watch *w = arg;

	KT_EQ(fd, w->pipe[0]);
	w->calls++;
	w->last = events;
	if (w->then)
		w->then(p, w);
}

static inline int watch_pipe(struct pulse_poller *p, struct watch *w)
{
	if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	return pulse_poller_add(p, w->pipe[0], PULSE_POLLER_IN, on_event, w,
				&w->id);
}

static inline void end_pipe(struct watch *w)
{
	close(w->pipe[0]);
	close(w->pipe[1]);
}

static inline void ring(struct watch *w)
{
	KT_EQ(write(w->pipe[1], "x", 1), 1);
}

#endif /* PULSE_SELFTESTS_IO_WATCH_H */

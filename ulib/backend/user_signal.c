// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * user_signal.c - an eventfd of the caller's that is told of events, without the
 * module: pulse__event_push() adds to it, and a thread, the watcher, waits for
 * the ends of processes, which nobody else would see before the next look.
 *
 * ev->lock protects all of it, but for the watcher's wait and its end: it begins
 * with the first eventfd and ends with the context, which no caller uses then.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/events.h"

/* Under ev->lock. A counter that is full would make the writer wait. */
void pulse__user_signal(struct pulse__events *ev)
{
	struct pollfd p = { .fd = ev->signal, .events = POLLOUT };

	if (ev->signal >= 0 && poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		eventfd_write(ev->signal, 1);
}

static void *pulse__watcher_main(void *arg)
{
	struct pulse__events *ev = arg;
	struct pollfd p[] = {
		{ .fd = ev->pidset, .events = POLLIN },
		{ .fd = ev->stop, .events = POLLIN },
	};

	for (;;) {
		p[0].revents = p[1].revents = 0;
		poll(p, 2, -1);
		if (p[1].revents)
			return NULL;
		pthread_mutex_lock(&ev->lock);
		pulse__processes_look(ev);
		pthread_mutex_unlock(&ev->lock);
	}
}

/* Under ev->lock. With all signals blocked: they are the program's. */
static int pulse__watcher_start(struct pulse__events *ev)
{
	sigset_t all, before;
	int err;

	if (pulse__alloc_fault())
		return -ENOMEM;
	ev->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->stop < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&ev->watcher, NULL, pulse__watcher_main, ev);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		close(ev->stop);
		ev->stop = -1;
	}
	return -err;
}

/* A descriptor of ours for the caller's eventfd, or -errno. */
static int pulse__eventfd_dup(int fd)
{
	char path[40], what[32] = "";
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	/* Without /proc the caller's word is taken for it. */
	if (readlink(path, what, sizeof(what) - 1) > 0 &&
	    strcmp(what, "anon_inode:[eventfd]")) {
		close(own);
		return -EINVAL;
	}
	return own;
}

int pulse__user_events_signal(struct pulse_ctx *ctx, int fd)
{
	struct pulse__events *ev = ctx->events;
	int own = -1, err = 0;

	if (fd >= 0) {
		own = pulse__eventfd_dup(fd);
		if (own < 0)
			return own;
		if (ev->stop < 0)
			err = pulse__watcher_start(ev);
		if (err) {
			close(own);
			return err;
		}
	}
	if (ev->signal >= 0)
		close(ev->signal);
	ev->signal = own;
	return 0;
}

void pulse__user_signal_end(struct pulse__events *ev, bool forked)
{
	if (ev->stop >= 0) {
		if (!forked) {
			eventfd_write(ev->stop, 1);
			pthread_join(ev->watcher, NULL);
		}
		close(ev->stop);
	}
	if (ev->signal >= 0)
		close(ev->signal);
}

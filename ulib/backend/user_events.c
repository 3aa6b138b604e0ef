// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * user_events.c - events without the module: a queue in this process, workers
 * that pulse__reap() finds dead, and processes by pidfd.
 *
 * The context's events descriptor is an epoll set of the set of pidfds, and of
 * an eventfd that says whether the queue is empty.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/events.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct pulse__process {
	struct pulse__process *next;
	int id;
	int pid;
	int pidfd;
	uint64_t cookie;
};

int pulse__user_events_open(struct pulse_ctx *ctx)
{
	struct pulse__events *ev = ctx->events;
	struct epoll_event in = { .events = EPOLLIN };

	ev->room = ctx->event_bytes / 64;
	ev->queue = pulse__calloc(ev->room, sizeof(*ev->queue));
	if (!ev->queue)
		return -ENOMEM;
	ev->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (ev->epfd < 0)
		return -errno;
	ev->pidset = epoll_create1(EPOLL_CLOEXEC);
	if (ev->pidset < 0)
		return -errno;
	ev->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->bell < 0)
		return -errno;
	if (epoll_ctl(ev->epfd, EPOLL_CTL_ADD, ev->pidset, &in) ||
	    epoll_ctl(ev->epfd, EPOLL_CTL_ADD, ev->bell, &in))
		return -errno;
	return 0;
}

void pulse__user_events_close(struct pulse_ctx *ctx, bool forked)
{
	struct pulse__events *ev = ctx->events;

	pulse__user_signal_end(ev, forked);
	while (ev->processes) {
		struct pulse__process *p = ev->processes;

		ev->processes = p->next;
		close(p->pidfd);
		pulse__free(p);
	}
	if (ev->bell >= 0)
		close(ev->bell);
	if (ev->pidset >= 0)
		close(ev->pidset);
	if (ev->epfd >= 0)
		close(ev->epfd);
	pulse__free(ev->queue);
}

/* Under ev->lock. */
static void pulse__event_push(struct pulse__events *ev,
			      const struct pulse_event *event)
{
	if (ev->used == ev->room) {
		ev->dropped++;
		return;
	}
	ev->queue[(ev->head + ev->used) % ev->room] = *event;
	if (!ev->used++)
		eventfd_write(ev->bell, 1);
	pulse__user_signal(ev);
}

/* Under ctx->lock; the slot's thread ended, and its UWORK is as it left it. */
void pulse__events_reaped(struct pulse_ctx *ctx, const struct pulse__slot *slot)
{
	struct pulse__events *ev = ctx->events;
	const struct pulse_uwork *uw = &ctx->uwork[slot->index];
	struct pulse_event event = {
		.type = PULSE_EVENT_WORKER_DEATH,
		.watch = -1,
		.time_ns = pulse_now_ns(),
		.cookie = slot->cookie,
		.index = (int32_t)slot->index,
		.incarnation = READ_ONCE(ctx->kstate[slot->index].incarnation),
		.tid = slot->tid,
		.pid = getpid(),
		.exit_code = PULSE_EXIT_UNKNOWN,
		.job = READ_ONCE(uw->job),
		.progress = READ_ONCE(uw->progress),
	};

	if (!ev || ctx->ops->kind != PULSE_BACKEND_USER)
		return;
	pthread_mutex_lock(&ev->lock);
	pulse__event_push(ev, &event);
	pthread_mutex_unlock(&ev->lock);
}

/* How it ended, if this process is its parent and has not waited for it. */
static void pulse__process_status(const struct pulse__process *p,
				  struct pulse_event *event)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	event->exit_code = PULSE_EXIT_UNKNOWN;
	if (waitid((idtype_t)P_PIDFD, (id_t)p->pidfd, &si,
		   WEXITED | WNOHANG | WNOWAIT) || !si.si_pid)
		return;
	if (si.si_code == CLD_EXITED) {
		event->exit_code = (si.si_status & 0xff) << 8;
	} else {
		event->signal = si.si_status & 0x7f;
		event->exit_code = event->signal |
				   (si.si_code == CLD_DUMPED ? 0x80 : 0);
	}
}

/* Under ev->lock: processes whose pidfd is readable are over. */
void pulse__processes_look(struct pulse__events *ev)
{
	struct epoll_event ready[16];
	int n = epoll_wait(ev->pidset, ready, 16, 0);

	for (int i = 0; i < n; i++) {
		struct pulse__process **link = &ev->processes, *p;
		struct pulse_event event = {
			.type = PULSE_EVENT_PROCESS_DEATH,
			.time_ns = pulse_now_ns(),
			.index = -1,
		};

		while ((p = *link) && p->id != (int)ready[i].data.u32)
			link = &p->next;
		if (!p)
			continue;
		event.watch = p->id;
		event.cookie = p->cookie;
		event.pid = p->pid;
		pulse__process_status(p, &event);
		pulse__event_push(ev, &event);
		*link = p->next;
		close(p->pidfd);
		pulse__free(p);
	}
}

int pulse__user_event_next(struct pulse_ctx *ctx, struct pulse_event *out)
{
	struct pulse__events *ev = ctx->events;
	eventfd_t rung;

	if (!ev->used)
		pulse__processes_look(ev);
	if (!ev->used)
		return 0;
	*out = ev->queue[ev->head];
	ev->head = (ev->head + 1) % ev->room;
	if (!--ev->used)
		eventfd_read(ev->bell, &rung);
	return 1;
}

static int pulse__process_add(struct pulse__events *ev, int pid,
			      struct pulse__process *p)
{
	struct epoll_event in = { .events = EPOLLIN };

	if (ev->last_id == INT32_MAX)
		return -ENOSPC;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd < 0)
		return -errno;
	/* May this process signal it? The number means it while pidfd lives. */
	if (syscall(SYS_pidfd_send_signal, p->pidfd, 0, NULL, 0) &&
	    errno == EPERM)
		return -EPERM;
	in.data.u32 = (uint32_t)ev->last_id + 1;
	if (epoll_ctl(ev->pidset, EPOLL_CTL_ADD, p->pidfd, &in))
		return -errno;
	p->id = ++ev->last_id;
	return p->id;
}

int pulse__user_watch(struct pulse_ctx *ctx, uint32_t kind, int target,
		      const struct pulse_watch_opts *opts)
{
	struct pulse__events *ev = ctx->events;
	struct pulse__process *p;
	int id;

	if (kind != PULSE_WATCH_PROCESS || opts->rss_bytes)
		return -EOPNOTSUPP;
	p = pulse__calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->pidfd = -1;
	p->pid = target;
	p->cookie = opts->cookie;
	id = pulse__process_add(ev, target, p);
	if (id < 0) {
		if (p->pidfd >= 0)
			close(p->pidfd);
		pulse__free(p);
		return id;
	}
	p->next = ev->processes;
	ev->processes = p;
	return id;
}

int pulse__user_unwatch(struct pulse_ctx *ctx, int id)
{
	struct pulse__process **link = &ctx->events->processes, *p;

	while ((p = *link) && p->id != id)
		link = &p->next;
	if (!p)
		return -ESRCH;
	*link = p->next;
	close(p->pidfd);
	pulse__free(p);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * events.h - the events of a context, inside: one of these a context that has
 * any. @lock orders readers, and on the user backend all else; it is taken
 * inside ctx->lock.
 */
#ifndef PULSE__EVENTS_H
#define PULSE__EVENTS_H

#include <pulse-u/events.h>

#include "backend/backend.h"

struct pulse__events {
	pthread_mutex_t lock;

	/* kernel.c's: the mapped ring */
	struct pulse_evcons *cons;
	struct pulse_evprod *prod;
	size_t cons_bytes;
	size_t prod_bytes;
	uint32_t data_bytes;

	/* the user backend's: a queue, and pidfds in an epoll set */
	struct pulse_event *queue;
	uint32_t room;
	uint32_t head;
	uint32_t used;
	uint64_t dropped;
	int epfd;
	int bell;		/* eventfd: the queue is not empty */
	int pidset;		/* epoll set of the pidfds; in epfd */
	int signal;		/* the caller's eventfd, or -1 */
	int stop;		/* eventfd: ends the watcher; -1: there is none */
	pthread_t watcher;
	struct pulse__process *processes;
	int last_id;
};

/* kernel_events.c, on a context whose fd is set up */
int pulse__kernel_events_open(struct pulse_ctx *ctx);
void pulse__kernel_events_close(struct pulse_ctx *ctx, bool forked);
int pulse__kernel_events_signal(struct pulse_ctx *ctx, int fd);
int pulse__kernel_event_next(struct pulse_ctx *ctx, struct pulse_event *out);
int pulse__kernel_watch(struct pulse_ctx *ctx, uint32_t kind, int target,
			const struct pulse_watch_opts *opts);
int pulse__kernel_unwatch(struct pulse_ctx *ctx, int id);

/* user_events.c */
int pulse__user_events_open(struct pulse_ctx *ctx);
void pulse__user_events_close(struct pulse_ctx *ctx, bool forked);
int pulse__user_events_signal(struct pulse_ctx *ctx, int fd);
int pulse__user_event_next(struct pulse_ctx *ctx, struct pulse_event *out);
int pulse__user_watch(struct pulse_ctx *ctx, uint32_t kind, int target,
		      const struct pulse_watch_opts *opts);
int pulse__user_unwatch(struct pulse_ctx *ctx, int id);
void pulse__processes_look(struct pulse__events *ev);

/* user_signal.c */
void pulse__user_signal(struct pulse__events *ev);
void pulse__user_signal_end(struct pulse__events *ev, bool forked);

#endif /* PULSE__EVENTS_H */

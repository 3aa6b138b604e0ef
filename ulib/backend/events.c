// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * events.c - what a context is told: the public side, for both backends.
 */
#include "backend/events.h"

#define PULSE__WATCH_OPTS_VER0	PULSE__END(struct pulse_watch_opts, rss_bytes)
#define PULSE__EVENT_VER0	PULSE__END(struct pulse_event, limit_bytes)

int pulse__events_open(struct pulse_ctx *ctx)
{
	struct pulse__events *ev;

	if (!ctx->event_bytes)
		return 0;
	ev = pulse__calloc(1, sizeof(*ev));
	if (!ev)
		return -ENOMEM;
	ev->epfd = ev->bell = ev->pidset = ev->signal = ev->stop = -1;
	pthread_mutex_init(&ev->lock, NULL);
	ctx->events = ev;
	return ctx->ops->events_open(ctx);
}

void pulse__events_close(struct pulse_ctx *ctx, bool forked)
{
	if (!ctx->events)
		return;
	ctx->ops->events_close(ctx, forked);
	pthread_mutex_destroy(&ctx->events->lock);
	pulse__free(ctx->events);
	ctx->events = NULL;
}

static int pulse__events_check(const struct pulse_ctx *ctx)
{
	int err = pulse__ctx_check(ctx);

	return err ? err : ctx->events ? 0 : -ENODEV;
}

int pulse_ctx_events_next(struct pulse_ctx *ctx, struct pulse_event *out)
{
	struct pulse_event event = { .sz = sizeof(event) };
	int ret = pulse__events_check(ctx);

	if (ret)
		return ret;
	ret = pulse__out_check(out, PULSE__EVENT_VER0);
	if (ret)
		return ret;
	/* Without the module, this is where the dead are found. */
	if (ctx->ops->kind == PULSE_BACKEND_USER)
		pulse__reap(ctx);
	pthread_mutex_lock(&ctx->events->lock);
	ret = ctx->ops->event_next(ctx, &event);
	pthread_mutex_unlock(&ctx->events->lock);
	if (ret > 0) {
		event.sz = sizeof(event);
		pulse__out_store(out, &event, sizeof(event));
	}
	return ret;
}

int pulse_ctx_events_fd(struct pulse_ctx *ctx)
{
	int err = pulse__events_check(ctx);

	if (err)
		return err;
	return ctx->ops->kind == PULSE_BACKEND_USER ? ctx->events->epfd :
						      ctx->fd;
}

int pulse_ctx_events_signal(struct pulse_ctx *ctx, int fd)
{
	int ret = pulse__events_check(ctx);

	if (ret)
		return ret;
	if (fd < -1)
		return -EBADF;
	pthread_mutex_lock(&ctx->events->lock);
	ret = ctx->ops->events_signal(ctx, fd);
	pthread_mutex_unlock(&ctx->events->lock);
	return ret;
}

int64_t pulse_ctx_events_dropped(struct pulse_ctx *ctx)
{
	int64_t dropped = pulse__events_check(ctx);

	if (dropped)
		return dropped;
	if (ctx->events->prod)
		return (int64_t)READ_ONCE(ctx->events->prod->dropped);
	pthread_mutex_lock(&ctx->events->lock);
	dropped = (int64_t)ctx->events->dropped;
	pthread_mutex_unlock(&ctx->events->lock);
	return dropped;
}

static int pulse__watch(struct pulse_ctx *ctx, uint32_t kind, int target,
			const struct pulse_watch_opts *user)
{
	struct pulse_watch_opts opts;
	int ret = pulse__events_check(ctx);

	if (ret)
		return ret;
	ret = pulse__opts_load(&opts, sizeof(opts), PULSE__WATCH_OPTS_VER0,
			       user);
	if (ret)
		return ret;
	if (opts.reserved ||
	    opts.flags & ~(PULSE_WATCH_KILL_HANG | PULSE_WATCH_KILL_RSS))
		return -EINVAL;
	if (kind == PULSE_WATCH_PROCESS &&
	    (opts.stuck_ns || opts.starved_ns || opts.blocked_ns ||
	     opts.flags & PULSE_WATCH_KILL_HANG))
		return -EINVAL;
	pthread_mutex_lock(&ctx->events->lock);
	ret = ctx->ops->watch(ctx, kind, target, &opts);
	pthread_mutex_unlock(&ctx->events->lock);
	return ret;
}

int pulse_ctx_watch_worker(struct pulse_ctx *ctx, int index,
			   const struct pulse_watch_opts *opts)
{
	if (index < 0 || !opts)
		return -EINVAL;
	return pulse__watch(ctx, PULSE_WATCH_WORKER, index, opts);
}

int pulse_ctx_watch_process(struct pulse_ctx *ctx, int pid,
			    const struct pulse_watch_opts *opts)
{
	if (pid < 1)
		return -EINVAL;
	return pulse__watch(ctx, PULSE_WATCH_PROCESS, pid, opts);
}

int pulse_ctx_unwatch(struct pulse_ctx *ctx, int id)
{
	int ret = pulse__events_check(ctx);

	if (ret)
		return ret;
	if (id < 1)
		return -ESRCH;
	pthread_mutex_lock(&ctx->events->lock);
	ret = ctx->ops->unwatch(ctx, id);
	pthread_mutex_unlock(&ctx->events->lock);
	return ret;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * kernel_events.c - the kernel's event ring, read. The format and the rules of
 * the reader stand in <linux/pulse.h>; EVPROD is the kernel's word.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "backend/kernel.h"

int pulse__kernel_events_open(struct pulse_ctx *ctx)
{
	struct pulse__events *ev = ctx->events;
	struct pulse_info info = { .size = sizeof(info) };
	int err = pulse__ioctl(ctx->fd, PULSE_IOC_INFO, &info);

	if (err)
		return err;
	err = pulse__map(ctx, PULSE_REGION_EVCONS, info.evcons_bytes,
				PROT_READ | PROT_WRITE, &ev->cons);
	if (err)
		return err;
	ev->cons_bytes = info.evcons_bytes;
	err = pulse__map(ctx, PULSE_REGION_EVPROD, info.evprod_bytes,
				PROT_READ, &ev->prod);
	if (err)
		return err;
	ev->prod_bytes = info.evprod_bytes;
	ev->data_bytes = info.event_bytes;
	return 0;
}

void pulse__kernel_events_close(struct pulse_ctx *ctx, bool forked)
{
	struct pulse__events *ev = ctx->events;

	if (forked)
		return;
	if (ev->cons)
		munmap(ev->cons, ev->cons_bytes);
	if (ev->prod)
		munmap(ev->prod, ev->prod_bytes);
}

/* One record as an event; false for a type that this library does not know. */
static bool pulse__event_parse(const struct pulse_event_hdr *hdr, uint32_t len,
			       struct pulse_event *out)
{
	union {
		struct pulse_event_worker_death death;
		struct pulse_event_process_death process;
		struct pulse_event_hang hang;
		struct pulse_event_rss rss;
	} rec;

	memset(&rec, 0, sizeof(rec));
	memcpy(&rec, hdr + 1, len < sizeof(rec) ? len : sizeof(rec));
	out->type = hdr->type;
	out->watch = out->index = -1;
	switch (hdr->type) {
	case PULSE_EVENT_WORKER_DEATH:
		out->time_ns = (int64_t)rec.death.time_ns;
		out->cookie = rec.death.cookie;
		out->index = (int32_t)rec.death.index;
		out->incarnation = rec.death.incarnation;
		out->tid = rec.death.tid;
		out->pid = rec.death.pid;
		out->exit_code = rec.death.exit_code;
		out->signal = (int32_t)rec.death.signal;
		out->state = rec.death.last_state;
		out->job = rec.death.job;
		out->progress = rec.death.progress;
		out->run_ns = rec.death.run_ns;
		return true;
	case PULSE_EVENT_PROCESS_DEATH:
		out->time_ns = (int64_t)rec.process.time_ns;
		out->cookie = rec.process.cookie;
		out->watch = (int32_t)rec.process.watch;
		out->pid = rec.process.pid;
		out->exit_code = rec.process.exit_code;
		out->signal = (int32_t)rec.process.signal;
		return true;
	case PULSE_EVENT_HANG:
		out->time_ns = (int64_t)rec.hang.time_ns;
		out->cookie = rec.hang.cookie;
		out->watch = (int32_t)rec.hang.watch;
		out->index = (int32_t)rec.hang.index;
		out->incarnation = rec.hang.incarnation;
		out->tid = rec.hang.tid;
		out->state = rec.hang.state;
		out->verdict = rec.hang.verdict;
		out->job = rec.hang.job;
		out->progress = rec.hang.progress;
		out->run_ns = rec.hang.run_ns;
		out->wait_ns = rec.hang.wait_ns;
		out->for_ns = rec.hang.for_ns;
		return true;
	case PULSE_EVENT_RSS:
		out->time_ns = (int64_t)rec.rss.time_ns;
		out->cookie = rec.rss.cookie;
		out->watch = (int32_t)rec.rss.watch;
		out->pid = rec.rss.pid;
		out->rss_bytes = rec.rss.rss_bytes;
		out->limit_bytes = rec.rss.limit_bytes;
		return true;
	}
	return false;
}

int pulse__kernel_event_next(struct pulse_ctx *ctx, struct pulse_event *out)
{
	struct pulse__events *ev = ctx->events;
	const char *data = (const char *)ev->prod + ev->prod->data_off;
	uint64_t pos = READ_ONCE(ev->cons->pos);
	bool found = false;

	/* Acquire: the record behind the position; pairs with kmod/event.c (I). */
	while (!found && pos != pulse__load_acquire(&ev->prod->pos)) {
		const struct pulse_event_hdr *hdr = (const void *)
			(data + (pos & (ev->data_bytes - 1)));
		uint32_t len = pulse__load_acquire(&hdr->len);

		if (len & PULSE_EVENT_BUSY)
			break;
		if (!(len & PULSE_EVENT_DISCARD))
			found = pulse__event_parse(hdr, len, out);
		pos += pulse__align_up(sizeof(*hdr) + PULSE_EVENT_LEN(len),
				       PULSE_EVENT_ALIGN);
		/* Release: it was read; pairs with kmod/event.c (J). */
		pulse__store_release(&ev->cons->pos, pos);
	}
	return found;
}

int pulse__kernel_events_signal(struct pulse_ctx *ctx, int fd)
{
	struct pulse_eventfd eventfd = { .size = sizeof(eventfd), .fd = fd };

	return pulse__ioctl(ctx->fd, PULSE_IOC_EVENTFD, &eventfd);
}

int pulse__kernel_watch(struct pulse_ctx *ctx, uint32_t kind, int target,
			const struct pulse_watch_opts *opts)
{
	struct pulse_watch watch = {
		.size = sizeof(watch),
		.flags = opts->flags,
		.kind = kind,
		.target = target,
		.cookie = opts->cookie,
		.stuck_ns = opts->stuck_ns,
		.starved_ns = opts->starved_ns,
		.blocked_ns = opts->blocked_ns,
		.rss_bytes = opts->rss_bytes,
	};
	int err;

	if (!(ctx->features & PULSE_FEAT_WATCH))
		return -EOPNOTSUPP;
	err = pulse__ioctl(ctx->fd, PULSE_IOC_WATCH, &watch);
	return err ? err : (int)watch.id;
}

int pulse__kernel_unwatch(struct pulse_ctx *ctx, int id)
{
	struct pulse_unwatch unwatch = {
		.size = sizeof(unwatch),
		.id = (uint32_t)id,
	};

	return pulse__ioctl(ctx->fd, PULSE_IOC_UNWATCH, &unwatch);
}

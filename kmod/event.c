// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event ring: what the kernel tells a context, in order. The format stands
 * in the ABI; it is that of the BPF ring buffer.
 *
 * Events come from work items: the reaper and the watch. They are rare, so that
 * a lock orders them, and a record is whole before its position is published.
 * The ring's memory is the kernel's: the one word that the user writes, the
 * consumer's position, says how much room there is and nothing else. Who writes
 * nonsense there loses events of his own.
 *
 *	kernel					user
 *
 *	load cons.pos		acquire	(J)	read the record
 *	write the record			cons.pos = behind it	release	(J)
 *	prod.pos = behind it	release	(I)	load prod.pos		acquire	(I)
 *						read the record
 *
 * litmus: event_record (I), event_room (J), event_busy (what the ABI allows a
 * writer besides); spin: event_ring
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>

#include "compat.h"
#include "ctx.h"
#include "event.h"
#include "nl_event.h"
#include "trace.h"
#include "worker.h"

/**
 * pulse_events_size_ok() - can a ring be of this size
 * @bytes: as user space says
 *
 * Return: true for 0, no ring, and powers of two within the limits.
 */
bool pulse_events_size_ok(u32 bytes)
{
	return !bytes || (is_power_of_2(bytes) && bytes >= PAGE_SIZE &&
			  bytes <= PULSE_MAX_EVENT_BYTES);
}

/**
 * pulse_events_pages() - what the ring will need
 * @ctx: planned
 *
 * Return: pages: a position each for consumer and producer, and the data.
 */
unsigned long pulse_events_pages(struct pulse_ctx *ctx)
{
	return ctx->events.bytes ? 2 + (ctx->events.bytes >> PAGE_SHIFT) : 0;
}

/**
 * pulse_events_alloc() - make the ring, if there is to be one
 * @ctx: planned and charged
 *
 * Return: 0, -ENOMEM, -EINTR. pulse_events_free() takes what there is.
 */
int pulse_events_alloc(struct pulse_ctx *ctx)
{
	struct pulse_events *ev = &ctx->events;
	struct pulse_evprod *prod;
	int ret;

	if (!ev->bytes)
		return 0;
	ret = pulse_region_alloc(&ev->cons, 1, NUMA_NO_NODE) ?:
	      pulse_region_alloc_twice(&ev->prod, 1, ev->bytes >> PAGE_SHIFT) ?:
	      pulse_region_kmap(&ev->cons) ?:
	      pulse_region_kmap(&ev->prod);
	if (ret)
		return ret;

	prod = ev->prod.kaddr;
	prod->data_off = PAGE_SIZE;
	prod->data_bytes = ev->bytes;
	return 0;
}

/**
 * pulse_events_free() - free the ring, also a half made one
 * @ctx: nobody puts events into it any more
 */
void pulse_events_free(struct pulse_ctx *ctx)
{
	struct pulse_events *ev = &ctx->events;
	struct eventfd_ctx *efd = rcu_dereference_protected(ev->eventfd, true);

	if (efd)
		eventfd_ctx_put(efd);
	RCU_INIT_POINTER(ev->eventfd, NULL);
	pulse_region_free(&ev->cons);
	pulse_region_free(&ev->prod);
	ev->bytes = 0;
}

/* How far the reader is. Untrusted. (J): what it read may be written over. */
static u64 pulse_events_consumed(struct pulse_events *ev)
{
	struct pulse_evcons *cons = ev->cons.kaddr;

	return smp_load_acquire(&cons->pos);	/* (J) */
}

/**
 * pulse_events_ready() - is there something to read
 * @ctx: any state
 *
 * Return: true if the ring is not empty, as far as the reader says.
 */
bool pulse_events_ready(struct pulse_ctx *ctx)
{
	struct pulse_events *ev = &ctx->events;

	return pulse_ctx_is_live(ctx) && ev->bytes &&
	       READ_ONCE(ev->pos) != pulse_events_consumed(ev);
}

/**
 * pulse_events_eventfd() - EVENTFD
 * @ctx: the context, live
 * @fd: an eventfd, or -1
 *
 * Return: 0, -ENODEV, -EBADF, -EINVAL.
 */
int pulse_events_eventfd(struct pulse_ctx *ctx, int fd)
{
	struct pulse_events *ev = &ctx->events;
	struct eventfd_ctx *efd = NULL;

	if (!ev->bytes)
		return -ENODEV;
	if (fd < -1)
		return -EBADF;
	if (fd >= 0) {
		efd = eventfd_ctx_fdget(fd);
		if (IS_ERR(efd))
			return PTR_ERR(efd);
	}

	spin_lock(&ev->lock);
	efd = rcu_replace_pointer(ev->eventfd, efd,
				  lockdep_is_held(&ev->lock));
	spin_unlock(&ev->lock);
	if (efd) {
		synchronize_rcu();
		eventfd_ctx_put(efd);
	}
	return 0;
}

/* Write a record; false if there is no room. */
static bool pulse_event_write(struct pulse_events *ev, u32 type,
			      const void *payload, u32 len)
{
	struct pulse_evprod *prod = ev->prod.kaddr;
	u32 total = ALIGN(sizeof(struct pulse_event_hdr) + len,
			  PULSE_EVENT_ALIGN);
	struct pulse_event_hdr *hdr;

	lockdep_assert_held(&ev->lock);
	if (ev->pos - pulse_events_consumed(ev) > ev->bytes - total) {
		WRITE_ONCE(ev->dropped, ev->dropped + 1);
		WRITE_ONCE(prod->dropped, ev->dropped);
		return false;
	}
	hdr = ev->prod.kaddr + PAGE_SIZE + (ev->pos & (ev->bytes - 1));
	hdr->type = type;
	hdr->len = len;
	memcpy(hdr + 1, payload, len);
	WRITE_ONCE(ev->pos, ev->pos + total);
	/*
	 * (I): the record before the position; pairs with the reader's acquire,
	 * litmus: event_record
	 */
	smp_store_release(&prod->pos, ev->pos);
	return true;
}

/**
 * pulse_event_put() - tell a context something
 * @ctx: the context, live; kept alive by the caller
 * @type: PULSE_EVENT_*
 * @payload: struct of that type
 * @len: its bytes, less than a page
 *
 * Process context; waits for nobody. Without a ring, nothing happens.
 */
void pulse_event_put(struct pulse_ctx *ctx, u32 type, const void *payload,
		     u32 len)
{
	struct pulse_events *ev = &ctx->events;
	struct eventfd_ctx *efd;
	bool done;

	if (!ev->bytes)
		return;
	spin_lock(&ev->lock);
	done = pulse_event_write(ev, type, payload, len);
	spin_unlock(&ev->lock);
	if (!done) {
		trace_event_drop(ctx, type);
		return;
	}

	wake_up_interruptible_poll(&ctx->poll_wait, EPOLLIN | EPOLLRDNORM);
	pulse_uring_events_kick(ev);
	rcu_read_lock();
	efd = rcu_dereference(ev->eventfd);
	if (efd)
		pulse_eventfd_signal(efd);
	rcu_read_unlock();
}

/**
 * pulse_event_death() - tell of a worker that died
 * @w: dead, its slot not yet free
 */
void pulse_event_death(struct pulse_worker *w)
{
	const struct pulse_kstate *ks = w->kstate;
	struct pulse_event_worker_death death = {
		.time_ns = ks->last_out_ns,
		.run_ns = ks->run_ns,
		/* Untrusted: each read once, told as it is, used for nothing. */
		.job = READ_ONCE(w->uwork->job),
		.progress = READ_ONCE(w->uwork->progress),
		.park = READ_ONCE(w->uwork->park),
		.cookie = w->cookie,
		.index = w->index,
		.incarnation = ks->incarnation,
		.tid = ks->tid,
		.pid = w->pid,
		.exit_code = ks->exit_code,
		.signal = ks->exit_code & 0x7f,
		.last_state = w->came_from,
	};

	pulse_event_put(w->ctx, PULSE_EVENT_WORKER_DEATH, &death, sizeof(death));
	pulse_nl_death(w, &death);
}

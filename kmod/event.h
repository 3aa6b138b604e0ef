/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_EVENT_H
#define PULSE_EVENT_H

#include <linux/spinlock.h>

#include "mmap.h"
#include "pulse.h"
#include "uring.h"

struct eventfd_ctx;

/**
 * struct pulse_events - the event ring of a context
 * @cons: region EVCONS, untrusted
 * @prod: region EVPROD
 * @bytes: of data, or 0: the context has no ring
 * @lock: protects what follows, and the writing of records
 * @pos: the kernel's own copy of the position
 * @dropped: and of the events that found no room
 * @eventfd: told of each event, or NULL; RCU
 * @waits: commands of io_uring that wait for an event
 *
 * Up to @bytes made by SETUP; @waits has a lock of its own.
 */
struct pulse_events {
	struct pulse_region cons;
	struct pulse_region prod;
	u32 bytes;

	spinlock_t lock;	/* protects what follows, and the data */
	u64 pos;
	u64 dropped;
	struct eventfd_ctx __rcu *eventfd;
	struct pulse_event_waits waits;
};

bool pulse_events_size_ok(u32 bytes);
unsigned long pulse_events_pages(struct pulse_ctx *ctx);
int pulse_events_alloc(struct pulse_ctx *ctx);
void pulse_events_free(struct pulse_ctx *ctx);
bool pulse_events_ready(struct pulse_ctx *ctx);
int pulse_events_eventfd(struct pulse_ctx *ctx, int fd);

void pulse_event_put(struct pulse_ctx *ctx, u32 type, const void *payload,
		     u32 len);
void pulse_event_death(struct pulse_worker *w);

#endif /* PULSE_EVENT_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_WATCH_H
#define PULSE_WATCH_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pulse.h"

/**
 * struct pulse_watches - what a context watches
 * @lock: protects what follows
 * @list: of struct pulse_watched; the looked at of this round behind the others
 * @nr: length of the list
 * @last_id: names are given out upwards
 * @round: raised with each round
 * @ticking: @timer is armed, or @tick is queued or at work
 * @timer: to the next round, watch_interval_ms after the last one
 * @tick: a round
 */
struct pulse_watches {
	spinlock_t lock;	/* protects what follows */
	struct list_head list;
	u32 nr;
	u32 last_id;
	u32 round;
	bool ticking;
	struct hrtimer timer;
	struct work_struct tick;
};

struct pulse_watched;

void pulse_watches_prepare(struct pulse_ctx *ctx);
void pulse_watches_end(struct pulse_ctx *ctx);

struct pulse_watched *pulse_watch_new(struct pulse_ctx *ctx,
				      struct pulse_watch *arg);
void pulse_watch_add(struct pulse_ctx *ctx, struct pulse_watched *p);
void pulse_watch_cancel(struct pulse_ctx *ctx, struct pulse_watched *p);
int pulse_watch_del(struct pulse_ctx *ctx, u32 id);

int pulse_watch_init(void);
void pulse_watch_exit(void);

#endif /* PULSE_WATCH_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wheel.h - the coarse timer wheel of a loop.
 *
 * Four levels of 64 slots; a tick is 2^20 ns (1.05 ms), so the last level
 * reaches 4.8 hours ahead, and what lies beyond is looked at again then. Only
 * the loop's thread touches it. A timer carries no slot number: an entry that
 * is the first of its slot is linked from the slot itself, which names it.
 */
#ifndef PULSE__IO_WHEEL_H
#define PULSE__IO_WHEEL_H

#include "base/base.h"

#include <pulse-u/poller.h>

#define PULSE__WHEEL_LEVELS	4
#define PULSE__WHEEL_SLOTS	64
#define PULSE__WHEEL_TICK_SHIFT	20

struct pulse__wheel {
	uint64_t now_tick;	/* all up to this one has fired */
	/*
	 * The next tick at which a slot has to be looked at, UINT64_MAX: none,
	 * 0: not known. It is found anew only when a slot has become empty, so
	 * that a turn without timers costs one comparison.
	 */
	uint64_t next;
	uint64_t armed;
	uint64_t used[PULSE__WHEEL_LEVELS];	/* slots that are not empty */
	struct pulse_poller_timer *slot[PULSE__WHEEL_LEVELS][PULSE__WHEEL_SLOTS];
};

/* Begins at @now_ns; @wheel is zeroed. */
void pulse__wheel_init(struct pulse__wheel *wheel, int64_t now_ns);
/* Moves a timer that is armed already. */
void pulse__wheel_arm(struct pulse__wheel *wheel,
		      struct pulse_poller_timer *timer, int64_t deadline_ns);
/* Was it armed? */
bool pulse__wheel_cancel(struct pulse__wheel *wheel,
			 struct pulse_poller_timer *timer);
/* Finds wheel->next. */
void pulse__wheel_look(struct pulse__wheel *wheel);
/* pulse__wheel_next(), where it is not known or there is none. */
int64_t pulse__wheel_far(struct pulse__wheel *wheel);
/* Fires what is due by this tick; wheel->next is not beyond it, or not known. */
unsigned int pulse__wheel_fire(struct pulse__wheel *wheel, uint64_t now_tick,
			       struct pulse_poller *of);

/* When to call pulse__wheel_advance() at the latest; PULSE_FOREVER. */
static inline int64_t pulse__wheel_next(struct pulse__wheel *wheel)
{
	/* 0 wraps: both are out of the ordinary. */
	if (unlikely(wheel->next - 1 >=
		     (uint64_t)INT64_MAX >> PULSE__WHEEL_TICK_SHIFT))
		return pulse__wheel_far(wheel);
	return (int64_t)(wheel->next << PULSE__WHEEL_TICK_SHIFT);
}

/* Fires what is due, in the order of ticks; returns how many. */
static inline unsigned int pulse__wheel_advance(struct pulse__wheel *wheel,
						int64_t now_ns,
						struct pulse_poller *of)
{
	uint64_t now = (uint64_t)now_ns >> PULSE__WHEEL_TICK_SHIFT;

	if (unlikely(wheel->next <= now))
		return pulse__wheel_fire(wheel, now, of);
	if (wheel->now_tick < now)
		wheel->now_tick = now;
	return 0;
}

#endif /* PULSE__IO_WHEEL_H */

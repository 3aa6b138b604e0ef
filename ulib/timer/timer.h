/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * timer.h - the inside of a timing wheel.
 *
 * Time is counted in ticks; all ticks up to @tick have been dealt with. Read a
 * tick as nine digits of six bits. A timer is filed by the highest digit in
 * which its tick differs from the wheel's: that digit says the level, its
 * value the slot. So, at all times:
 *
 *	- all timers of a level share the higher digits with the wheel, and have
 *	  a larger digit of this level: slots never wrap around;
 *	- a timer of a lower level expires before any of a higher one, and the
 *	  first slot in use of the lowest level in use comes next: two ctz.
 *
 * When the wheel's tick reaches the start of a slot of a higher level, the
 * slot's timers are moved down, through the list "moving" so that the work can
 * be cut into pieces.
 *
 * Nothing here locks; the service does so around it.
 */
#ifndef PULSE__TIMER_TIMER_H
#define PULSE__TIMER_TIMER_H

#include "base/base.h"

#include <pulse-u/timer.h>

#define PULSE__TIMERS_BITS	6
#define PULSE__TIMERS_SLOTS	(1U << PULSE__TIMERS_BITS)
#define PULSE__TIMERS_LEVELS	9
#define PULSE__TIMERS_MAGIC	0x54494d52U	/* "TIMR" */
#define PULSE__TIMERS_MOVES	16U		/* as much work as a callback */
#define PULSE__TIMERS_BATCH	1024U

/* pulse_timer.place: 0 not armed, else 1 + level * SLOTS + slot, or this. */
#define PULSE__TIMER_LISTED	UINT32_MAX

struct pulse_timers {
	uint32_t magic;
	uint32_t batch;
	int64_t resolution_ns;
	pulse_timer_now_fn now;
	void *now_arg;

	uint64_t tick;
	uint32_t levels;		/* a bit a level: has slots in use */
	bool running;			/* a callback of pulse_timers_run() */
	uint64_t used[PULSE__TIMERS_LEVELS];	/* a bit a slot */

	struct pulse_timer_node due;	/* to be called now */
	struct pulse_timer_node late;	/* armed with a tick that is past */
	struct pulse_timer_node moving;	/* on their way down */

	uint64_t armed;
	uint64_t fired;
	uint64_t cancelled;
	uint64_t missed;
	uint64_t moved;

	struct pulse_timer_node slot[PULSE__TIMERS_LEVELS][PULSE__TIMERS_SLOTS];
};

/* Checks the options and fills in an empty wheel. 0 or -EINVAL. */
int pulse__timers_setup(struct pulse_timers *w,
			const struct pulse_timers_opts *opts);

static inline int64_t pulse__timers_clock(const struct pulse_timers *w)
{
	return w->now ? w->now(w->now_arg) : pulse_now_ns();
}

/* As pulse_timers_arm(); arguments are checked but for the owner. */
int pulse__timers_arm(struct pulse_timers *w, struct pulse_timer *t,
		      int64_t deadline_ns, int64_t period_ns);
/* 1 it was armed; 0; -EINVAL not this wheel's. */
int pulse__timers_cancel(struct pulse_timers *w, struct pulse_timer *t);
/* What was armed too late for the last batch belongs to the one that begins. */
void pulse__timers_begin(struct pulse_timers *w);

/**
 * pulse__timers_pop() - take the next timer that is due
 * @w: the wheel
 * @now_ns: the time
 * @moves: how many timers may be moved down; counted down
 *
 * A periodic timer is armed again before it is returned.
 *
 * Return: the timer, whose callback is to be called; NULL: none is due, or
 * *@moves is 0 and there may be more.
 */
struct pulse_timer *pulse__timers_pop(struct pulse_timers *w, int64_t now_ns,
				      unsigned int *moves);

/* Takes any armed timer off, for the end of a wheel; NULL: none is left. */
struct pulse_timer *pulse__timers_drain(struct pulse_timers *w);
void pulse__timers_sum(const struct pulse_timers *w,
		       struct pulse_timers_stats *s);

/* service.c, for scheduler.c: the wheel of a service that has stopped. */
int pulse__timer_service_stop(struct pulse_timer_service *svc);
struct pulse_timers *pulse__timer_service_wheel(struct pulse_timer_service *svc);

#endif /* PULSE__TIMER_TIMER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/* wheel.h - a wheel by a clock of the test's own. */
#ifndef TIMER_WHEEL_H
#define TIMER_WHEEL_H

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/timer.h>

#define MS	1000000LL

static int64_t fake_now;

static inline int64_t fake_clock(void *arg)
{
	return *(const int64_t *)arg;
}

static inline struct pulse_timers *new_wheel(int64_t start, int64_t resolution)
{
	struct pulse_timers *w = NULL;
	PULSE_OPTS(pulse_timers_opts, o, .now = fake_clock, .now_arg = &fake_now,
		   .resolution_ns = resolution);

	fake_now = start;
	KT_EQ(pulse_timers_create(&o, &w), 0);
	return w;
}

/* Sleeps and runs as a loop would until @end; returns callbacks called. */
static inline long run_until(struct pulse_timers *w, int64_t end, long *sleeps)
{
	long fired = 0;

	for (;;) {
		int64_t next = pulse_timers_next(w);
		int n;

		if (next > end)
			break;
		if (next > fake_now) {
			fake_now = next;
			if (sleeps)
				++*sleeps;
		}
		n = pulse_timers_run(w, -1, 0);
		if (n < 0)
			return n;
		fired += n;
	}
	fake_now = end;
	return fired;
}

#endif /* TIMER_WHEEL_H */

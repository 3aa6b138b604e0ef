/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * until.h - waiting for what somebody else brings about.
 *
 *	KT_CHECK(EVENTUALLY(ready));
 *	KT_CHECK(EVENTUALLY_BY(turn_of_the_loop(), ready));
 *
 * True as soon as it holds, false when it did not for two thirds of what the
 * test has (KT_TIMEOUT, which slow machines raise): then the test says what is
 * missing before the watchdog says that it hangs. The condition is looked at
 * once a round, and may do something itself.
 */
#ifndef PULSE_SELFTESTS_UNTIL_H
#define PULSE_SELFTESTS_UNTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "ktap.h"

static inline int64_t until_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t until_end_ns(void)
{
	return until_now_ns() + (int64_t)kt_limit() * 1000000000 * 2 / 3;
}

/* Between two looks at what needs none of our help. */
static inline void until_nap(void)
{
	struct timespec ts = { .tv_nsec = 300000 };

	nanosleep(&ts, NULL);
}

/* @round is done before each further look. */
#define EVENTUALLY_BY(round, cond)					\
	({								\
		int64_t until_end_ = until_end_ns();			\
		bool until_ok_;						\
									\
		while (!(until_ok_ = !!(cond)) &&			\
		       until_now_ns() < until_end_)			\
			round;						\
		until_ok_;						\
	})

#define EVENTUALLY(cond) EVENTUALLY_BY(until_nap(), cond)

#endif /* PULSE_SELFTESTS_UNTIL_H */

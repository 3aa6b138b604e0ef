/* SPDX-License-Identifier: GPL-2.0-only */
/* turns.h - waiting in a thread that has to turn the loop itself. */
#ifndef PULSE_SELFTESTS_IO_TURNS_H
#define PULSE_SELFTESTS_IO_TURNS_H

#include <pulse-u/poller.h>

#include "base/base.h"
#include "until.h"

/* Turns of the test's poller until it holds; a failed check when it never does. */
#define UNTIL(cond)							\
	({								\
		bool until_held_ =					\
			EVENTUALLY_BY(pulse_poller_run_once(poller,	\
				pulse_now_ns() +			\
				10 * PULSE__NSEC_PER_MSEC), cond);	\
									\
		KT_CHECKF(until_held_, "it never became so: %s", #cond);\
	})

#endif /* PULSE_SELFTESTS_IO_TURNS_H */

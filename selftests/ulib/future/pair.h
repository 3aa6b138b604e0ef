/* SPDX-License-Identifier: GPL-2.0-only */
/* pair.h - a promise and its future, and a nap. */
#ifndef FUTURE_PAIR_H
#define FUTURE_PAIR_H

#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/future.h>

#define MS	1000000LL

static struct pulse_promise *p;
static struct pulse_future *f;

static inline void pair(void)
{
	p = NULL;
	f = NULL;
	KT_EQ(pulse_future_create(NULL, &p, &f), 0);
}

static inline void unpair(void)
{
	pulse_promise_put(p);
	pulse_future_put(f);
}

static inline void nap(int64_t ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(ns, &ts);
	nanosleep(&ts, NULL);
}

#endif /* FUTURE_PAIR_H */

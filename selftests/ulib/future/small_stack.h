/* SPDX-License-Identifier: GPL-2.0-only */
/* small_stack.h - what must not recurse, on a stack that it would not fit in. */
#ifndef FUTURE_SMALL_STACK_H
#define FUTURE_SMALL_STACK_H

#include <pthread.h>

#include "ktap.h"

/* Runs @fn on a thread with a stack that a recursion would not fit in. */
static inline void on_small_stack(void *(*fn)(void *))
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	if (KT_CHECK(!pthread_create(&t, &attr, fn, NULL)))
		pthread_join(t, NULL);
	pthread_attr_destroy(&attr);
}

#define CHAIN 100000

#endif /* FUTURE_SMALL_STACK_H */

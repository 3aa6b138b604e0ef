/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* thread.h - threads of the library's own. */
#ifndef PULSE__THREAD_H
#define PULSE__THREAD_H

#include <pthread.h>

/**
 * pulse__thread_create() - start a thread to which no signal of the program's goes
 * @thread: out
 * @main_fn: what it runs
 * @arg: for @main_fn
 *
 * Signals that a thread brings upon itself are its own, and SIGPROF.
 *
 * Return: 0 or -EAGAIN.
 */
int pulse__thread_create(pthread_t *thread, void *(*main_fn)(void *), void *arg);

#endif /* PULSE__THREAD_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * thread.c - threads of the library's own: the program's signals go to the
 * program's threads.
 */
#include <signal.h>

#include "base/base.h"
#include "base/thread.h"

int pulse__thread_create(pthread_t *thread, void *(*main_fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGPROF);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, main_fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * contain.c - fatal signals of tasks that asked to have them contained.
 *
 * The handlers stand for the whole process, from the first such task on. One
 * acts only where the signal was brought about by the thread itself and that
 * thread is inside a task with PULSE_WORK_CONTAIN: it jumps to the task's frame.
 * Everything else goes to whoever was there before. What the task forked and
 * others took is waited for in the handler, as long as its frames are whole: the
 * thread is where the task called, not inside of a list or a lock of ours.
 *
 * The handler runs on a stack of its own, so that a stack that is full is
 * contained too; a thread that has such a stack keeps its own.
 */
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include "pool/work.h"

#define PULSE__ALT_BYTES	(64U * 1024)

static const int pulse__contained[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
					SIGABRT };
static struct sigaction pulse__before[ARRAY_SIZE(pulse__contained)];
static pthread_once_t pulse__contain_once = PTHREAD_ONCE_INIT;
static pthread_key_t pulse__alt_key;
static int pulse__contain_err;

const char *pulse__contain_name(int sig)
{
	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	default:
		return "SIGABRT";
	}
}

/* Did this thread bring it about? Only reads; async-signal-safe. */
static bool pulse__own_signal(int sig, const siginfo_t *info)
{
	if (sig == SIGABRT)
		return info->si_code == SI_TKILL && info->si_pid == getpid();
	/* Faults have positive codes, SI_KERNEL among them. */
	return info->si_code > 0;
}

static void pulse__pass_on(int sig, siginfo_t *info, void *uc)
{
	size_t i = 0;

	while (pulse__contained[i] != sig)
		i++;
	if (pulse__before[i].sa_flags & SA_SIGINFO) {
		pulse__before[i].sa_sigaction(sig, info, uc);
		return;
	}
	if (pulse__before[i].sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (pulse__before[i].sa_handler == SIG_DFL ||
	    pulse__before[i].sa_handler == SIG_IGN) {
		/* Comes again when we return, and ends the process. */
		signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			raise(sig);
		return;
	}
	pulse__before[i].sa_handler(sig);
}

static void pulse__contain(int sig, siginfo_t *info, void *uc)
{
	struct pulse__work *work = pulse__work_top;
	struct pulse__worker *w = pulse__pool_self;

	if (work && w->frame && (work->flags & PULSE_WORK_CONTAIN) &&
	    pulse__own_signal(sig, info)) {
		w->frame->sig = sig;
		w->frame->addr = info->si_addr;
		pulse__frame_fail(w, PULSE_ETASK_PANICKED);
	}
	pulse__pass_on(sig, info, uc);
}

static void pulse__alt_free(void *alt)
{
	stack_t off = { .ss_flags = SS_DISABLE };

	sigaltstack(&off, NULL);
	free(alt);
}

static void pulse__contain_init(void)
{
	struct sigaction sa = { .sa_sigaction = pulse__contain };

	/* Not blocked while it runs: it does not come back from there. */
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	pulse__contain_err = -pthread_key_create(&pulse__alt_key,
						 pulse__alt_free);
	for (size_t i = 0; !pulse__contain_err &&
	     i < ARRAY_SIZE(pulse__contained); i++)
		sigaction(pulse__contained[i], &sa, &pulse__before[i]);
}

int pulse__contain_thread(void)
{
	stack_t now, alt = { .ss_size = PULSE__ALT_BYTES };
	int err;

	pthread_once(&pulse__contain_once, pulse__contain_init);
	if (pulse__contain_err)
		return pulse__contain_err;
	if (pthread_getspecific(pulse__alt_key))
		return 0;
	if (!sigaltstack(NULL, &now) && !(now.ss_flags & SS_DISABLE))
		return 0;
	alt.ss_sp = pulse__malloc(PULSE__ALT_BYTES);
	if (!alt.ss_sp)
		return -ENOMEM;
	err = pthread_setspecific(pulse__alt_key, alt.ss_sp);
	if (err) {
		pulse__free(alt.ss_sp);
		return -err;
	}
	sigaltstack(&alt, NULL);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * contain.c - fatal signals of tasks that asked to have them contained, and of
 * functions that are called so.
 *
 * The handlers stand for the whole process, from the first such task on. One
 * acts only where the signal was brought about by the thread itself and that
 * thread is inside a task with PULSE_WORK_CONTAIN, or in pulse_task_contain(): it
 * jumps to the newest frame.
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

static __thread bool pulse__contain_ready;
__thread struct pulse__frame *pulse__frame_lone
	__attribute__((tls_model("initial-exec")));

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
	struct pulse__frame *frame = pulse__frame_of(w);

	if (frame && (frame->contains ||
		      (work && work->flags & PULSE_WORK_CONTAIN)) &&
	    pulse__own_signal(sig, info)) {
		frame->sig = sig;
		frame->addr = info->si_addr;
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

/* A stack for signals, unless the thread has one. */
static int pulse__contain_stack(void)
{
	stack_t now, alt = { .ss_size = PULSE__ALT_BYTES };
	int err;

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

int pulse__contain_thread(void)
{
	sigset_t faults;
	int err;

	if (likely(pulse__contain_ready))
		return 0;
	pthread_once(&pulse__contain_once, pulse__contain_init);
	err = pulse__contain_err;
	if (!err)
		err = pulse__contain_stack();
	if (err)
		return err;
	/* A fault that is blocked ends the process, whatever handler there is. */
	sigemptyset(&faults);
	for (size_t i = 0; i < ARRAY_SIZE(pulse__contained); i++)
		sigaddset(&faults, pulse__contained[i]);
	pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
	pulse__contain_ready = true;
	return 0;
}

/* ---- any thread ------------------------------------------------------------ */

/* On its own, so that no local of another function is lost by the jump. */
static PULSE__NOINLINE int pulse__contain_call(int (*fn)(void *arg), void *arg,
					       struct pulse__frame *frame)
{
	if (_setjmp(frame->env))
		return frame->err;
	return fn(arg);
}

int pulse_task_contain(int (*fn)(void *arg), void *arg)
{
	struct pulse__worker *w = pulse__pool_self;
	struct pulse__frame frame, *before = pulse__frame_of(w);
	int err;

	if (!fn)
		return -EINVAL;
	err = pulse__contain_thread();
	if (err)
		return err;
	if (w) {
		pulse__frame_begin(w, &frame);
	} else {
		frame.err = 0;
		frame.sig = 0;
		frame.addr = NULL;
		pulse__frame_lone = &frame;
	}
	frame.contains = true;
	err = pulse__contain_call(fn, arg, &frame);
	if (w)
		w->frame = before;
	else
		pulse__frame_lone = before;
	if (unlikely(frame.sig))
		pulse_log(PULSE_LOG_ERROR,
			  "%s at %p was contained; what the function held is lost",
			  pulse__contain_name(frame.sig), frame.addr);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* helpers.h - threads and children for the backend's tests. */
#ifndef BACKEND_HELPERS_H
#define BACKEND_HELPERS_H

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/pulse.h>
#include <pulse-u/backend.h>

#include "ktap.h"
#include "until.h"

static inline const char *backend_name(void)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	pulse_backend_info(&info);
	return info.name ? info.name : "(none)";
}

static inline bool on_kernel(void)
{
	return !strcmp(backend_name(), "kernel");
}

static inline void nap_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

/* Runs @fn in a child: its return value, or -signal. */
static inline int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A worker that registers, then parks until it is told to end. */
struct sleeper {
	struct pulse_ctx *ctx;
	pthread_t thread;
	int node;
	int index;		/* once ready */
	int ready;
	int stop;		/* what the recheck looks at */
	int64_t deadline_ns;
	int last;		/* last answer of park */
	long returns;
	bool once;		/* end after the first return */
};

static inline bool sleeper_recheck(void *arg)
{
	struct sleeper *s = arg;

	return __atomic_load_n(&s->stop, __ATOMIC_SEQ_CST);
}

static inline void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	int ret;

	s->index = pulse_worker_register(s->ctx, s->node, 0);
	__atomic_store_n(&s->ready, 1, __ATOMIC_SEQ_CST);
	if (s->index < 0)
		return NULL;
	do {
		ret = pulse_worker_park(s->ctx, s->index, s->deadline_ns,
					sleeper_recheck, s);
		__atomic_store_n(&s->last, ret, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&s->returns, 1, __ATOMIC_SEQ_CST);
	} while (!s->once && !__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST) &&
		 ret != -ECANCELED);
	pulse_worker_unregister(s->ctx, s->index);
	return NULL;
}

static inline bool sleeper_start(struct sleeper *s, struct pulse_ctx *ctx)
{
	s->ctx = ctx;
	if (!s->deadline_ns)
		s->deadline_ns = PULSE_FOREVER;
	if (pthread_create(&s->thread, NULL, sleeper_main, s))
		return false;
	return EVENTUALLY(__atomic_load_n(&s->ready, __ATOMIC_SEQ_CST)) &&
	       s->index >= 0;
}

static inline uint32_t state_of(struct pulse_ctx *ctx, int index)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };

	return pulse_worker_state(ctx, index, &st) ? PULSE_STATE_FREE :
						     st.state;
}

static inline bool sleeper_parked(struct sleeper *s)
{
	return EVENTUALLY(state_of(s->ctx, s->index) == PULSE_STATE_PARKED);
}

static inline void sleeper_end(struct sleeper *s)
{
	uint32_t index = (uint32_t)s->index;

	__atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
	pulse_worker_wake(s->ctx, &index, 1);
	pthread_join(s->thread, NULL);
}

#endif /* BACKEND_HELPERS_H */

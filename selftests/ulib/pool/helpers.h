/* SPDX-License-Identifier: GPL-2.0-only */
/* helpers.h - gates, counters and children for the pool's tests. */
#ifndef POOL_HELPERS_H
#define POOL_HELPERS_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/pulse.h>
#include <pulse-u/backend.h>
#include <pulse-u/pool.h>

#include "base/base.h"
#include "ktap.h"
#include "until.h"

static inline void nap_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

#define ATOMIC_GET(x)	__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define ATOMIC_SET(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
#define ATOMIC_INC(x)	__atomic_fetch_add(&(x), 1, __ATOMIC_SEQ_CST)

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

static inline void note_backend(void)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	pulse_backend_info(&info);
	kt_note("backend: %s", info.name ? info.name : "(none)");
}

static inline struct pulse_pool *pool_of(uint32_t workers, uint32_t queue)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .task_queue_size = queue);
	struct pulse_pool *pool = NULL;
	int err = pulse_pool_create(&opts, &pool);

	if (err)
		kt_note("pulse_pool_create: %s", pulse_strerror(err));
	return pool;
}

/* A task that says it began, and ends when it may. */
struct gate {
	sem_t inside, open;
};

static inline void gate_init(struct gate *g)
{
	sem_init(&g->inside, 0, 0);
	sem_init(&g->open, 0, 0);
}

static inline void sem_wait_all(sem_t *s, int n)
{
	while (n) {
		if (!sem_wait(s))
			n--;
	}
}

static inline void gate_task(void *arg)
{
	struct gate *g = arg;

	sem_post(&g->inside);
	sem_wait_all(&g->open, 1);
}

/* All of the pool's workers are inside the gate. */
static inline bool gate_close(struct gate *g, struct pulse_pool *pool)
{
	int n = pulse_pool_num_workers(pool);

	gate_init(g);
	for (int i = 0; i < n; i++) {
		if (pulse_pool_submit(pool, gate_task, g))
			return false;
	}
	sem_wait_all(&g->inside, n);
	return true;
}

static inline void gate_open(struct gate *g, struct pulse_pool *pool)
{
	for (int i = pulse_pool_num_workers(pool); i; i--)
		sem_post(&g->open);
}

static inline void count_task(void *arg)
{
	__atomic_fetch_add((long *)arg, 1, __ATOMIC_RELAXED);
}

static inline void nothing_task(void *arg)
{
	(void)arg;
}

static inline struct pulse_pool_stats stats_of(struct pulse_pool *pool)
{
	struct pulse_pool_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_pool_stats(pool, &s), 0);
	return s;
}

static inline struct pulse_pool_worker_stats worker_of(struct pulse_pool *pool,
						       int i)
{
	struct pulse_pool_worker_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_pool_worker_stats(pool, i, &s), 0);
	return s;
}

static inline bool all_parked(struct pulse_pool *pool)
{
	for (int i = 0; i < pulse_pool_num_workers(pool); i++) {
		struct pulse_pool_worker_stats s = { .sz = sizeof(s) };

		pulse_pool_worker_stats(pool, i, &s);
		if (s.state != PULSE_STATE_PARKED)
			return false;
	}
	return true;
}

#endif /* POOL_HELPERS_H */

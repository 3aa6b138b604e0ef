/* SPDX-License-Identifier: GPL-2.0-only */
/* works.h - tasks with handles, and who is told of them, for tests. */
#ifndef POOL_WORKS_H
#define POOL_WORKS_H

#include <pulse-u/pool_stats.h>
#include <pulse-u/task.h>

#include "helpers.h"

/* The hooks may be called by several threads at once. */
struct told {
	int completed, errors, err;
	uint64_t id, err_id;
};

static inline void on_complete(void *arg, const struct pulse_result *r)
{
	struct told *t = arg;

	ATOMIC_SET(t->id, r->task_id);
	ATOMIC_INC(t->completed);
}

static inline void on_error(void *arg, uint64_t id, int err)
{
	struct told *t = arg;

	ATOMIC_SET(t->err, err);
	ATOMIC_SET(t->err_id, id);
	ATOMIC_INC(t->errors);
}

static inline struct pulse_pool *told_pool(uint32_t workers, struct told *t,
					   int64_t timeout_ns)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .on_complete = on_complete, .on_error = on_error,
		   .hook_arg = t, .task_timeout_ns = timeout_ns);
	struct pulse_pool *pool = NULL;

	memset(t, 0, sizeof(*t));
	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

#define WORK(f, a, ...)							\
	((struct pulse_work){ .sz = sizeof(struct pulse_work), .fn = (f), \
			      .arg = (a), __VA_ARGS__ })

static inline int gives(void *arg, void **value)
{
	*value = arg;
	return 0;
}

static inline int until_cancelled(void *arg, void **value)
{
	(void)value;
	ATOMIC_INC(*(int *)arg);
	for (;;) {
		int err = pulse_task_cancelled();

		if (err)
			return err;
		nap_us(200);
	}
}

static inline int exits_its_thread(void *arg, void **value)
{
	(void)arg;
	(void)value;
	pthread_exit(NULL);
}

static inline struct pulse_pool_metrics metrics_of(struct pulse_pool *pool)
{
	struct pulse_pool_metrics m = { .sz = sizeof(m) };

	KT_EQ(pulse_pool_metrics(pool, &m), 0);
	return m;
}

#endif /* POOL_WORKS_H */

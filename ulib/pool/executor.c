// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* executor.c - a pool as an executor. */
#include <pulse-u/executor.h>
#include <pulse-u/task.h>

#include "pool/pool.h"

static int pulse__pool_ex_submit(void *self, void (*fn)(void *arg), void *arg,
				 int node)
{
	struct pulse_task task = { .sz = sizeof(task), .fn = fn, .data = arg };

	if (node < 0)
		return pulse_pool_submit(self, fn, arg);
	task.node = PULSE_TASK_NODE(node);
	return pulse_pool_submit_task(self, &task);
}

static int pulse__pool_ex_resize(void *self, unsigned int num_workers)
{
	return pulse_pool_resize(self, num_workers);
}

static int pulse__pool_ex_num_workers(void *self)
{
	return pulse_pool_num_workers(self);
}

static int pulse__pool_ex_pending(void *self)
{
	return pulse_pool_queue_length(self);
}

static int pulse__pool_ex_drain(void *self, int64_t deadline_ns)
{
	return pulse_pool_wait_for_drain(self, NULL, deadline_ns);
}

static int pulse__pool_ex_shutdown(void *self, int64_t grace_ns)
{
	int err = pulse_pool_shutdown(self, grace_ns);

	/* Dropped by an earlier call: the contract has one word for both. */
	return err == -ECANCELED ? -ETIMEDOUT : err;
}

struct pulse_executor pulse_pool_executor(struct pulse_pool *pool)
{
	static const struct pulse_executor_ops ops = {
		.sz = sizeof(ops),
		.submit = pulse__pool_ex_submit,
		.resize = pulse__pool_ex_resize,
		.num_workers = pulse__pool_ex_num_workers,
		.pending = pulse__pool_ex_pending,
		.drain = pulse__pool_ex_drain,
		.shutdown = pulse__pool_ex_shutdown,
	};
	struct pulse_executor ex = { pool ? &ops : NULL, pool };

	return ex;
}

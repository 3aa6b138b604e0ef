/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * pipeline.h - items that go through stages, several at a time, on a pool.
 *
 * The first stage makes items, each other one is given them one after the other.
 * A stage may be called for several items at once, or for one at a time, or for
 * one at a time in the order in which the first stage made them. Whoever has to
 * wait for its turn waits without a thread: its worker does something else.
 *
 *	static const struct pulse_stage stages[] = {
 *		{ .fn = read_block, .arg = &in },
 *		{ .fn = compress },
 *		{ .fn = write_block, .arg = &out, .order = PULSE_STAGE_ORDERED },
 *	};
 *	PULSE_OPTS(pulse_pipeline, line, .stages = stages, .nr = 3);
 *
 *	err = pulse_pipeline_run(pool, &line);
 */
#ifndef PULSE_U_PIPELINE_H
#define PULSE_U_PIPELINE_H

#include <pulse-u/base.h>
#include <pulse-u/pool.h>
#include <pulse-u/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef pulse_stage_fn - what a stage does with an item
 * @arg: of struct pulse_stage
 * @item: in: the item; out: what the next stage is given, the same unless it is
 *	changed; NULL: there is nothing for those that follow. For the first stage
 *	NULL to begin with, and where it stays so, there are no more items.
 *
 * Return: 0, or a negative errno: the pipeline fails.
 */
typedef int (*pulse_stage_fn)(void *arg, void **item);

enum pulse_stage_order {
	PULSE_STAGE_PARALLEL = 0,	/* several items at once */
	PULSE_STAGE_ORDERED = 1,	/* one at a time, in order */
	PULSE_STAGE_SINGLE = 2,		/* one at a time, as they come */
};

/**
 * struct pulse_stage - a stage
 * @fn: what it does
 * @arg: its first argument
 * @order: enum pulse_stage_order; of the first stage nobody asks, it is called
 *	once at a time
 * @reserved: 0
 *
 * Its layout does not change.
 */
struct pulse_stage {
	pulse_stage_fn fn;
	void *arg;
	uint32_t order;
	uint32_t reserved;
};

#define PULSE_PIPELINE_LIMIT	65536	/* items under way */

/**
 * struct pulse_pipeline - a pipeline
 * @sz: sizeof(struct pulse_pipeline)
 * @stages: the stages, used until it ends
 * @nr: how many, 1 or more
 * @limit: so many items are under way at most, 1 to PULSE_PIPELINE_LIMIT;
 *	default twice the workers there are
 * @drop: given the items that were under way when it failed, that of the stage
 *	that failed too unless it took it; or NULL
 * @drop_arg: for @drop
 * @token: no more items are made once it is cancelled, and no stage is called; or
 *	NULL
 * @task_id: for hooks and logs: the whole is one task with a handle
 * @priority: enum pulse_priority
 * @flags: PULSE_WORK_CONTAIN of <pulse-u/task.h>, or 0
 */
struct pulse_pipeline {
	size_t sz;
	const struct pulse_stage *stages;
	size_t nr;
	size_t limit;
	void (*drop)(void *arg, void *item);
	void *drop_arg;
	struct pulse_token *token;
	uint64_t task_id;
	int32_t priority;
	uint32_t flags;
};

/**
 * pulse_pipeline_run() - run a pipeline until its first stage makes no more
 * @pool: who runs it
 * @line: the pipeline
 *
 * In one of the pool's own tasks the caller runs tasks while it waits. Stages may
 * do what tasks with a handle may: pulse_task_fail() and contained signals fail
 * the pipeline, a stage that ends its thread loses its item.
 *
 * Return: 0 all items went through all stages; the error of the stage that failed
 * first, PULSE_ETASK_LOST for a thread that ended; the reason of the token;
 * -ECANCELED the pool was stopped; -EAGAIN the queues are full; -ESHUTDOWN;
 * -ENOMEM; -E2BIG unknown options; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_pipeline_run(struct pulse_pool *pool,
				 const struct pulse_pipeline *line);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_PIPELINE_H */

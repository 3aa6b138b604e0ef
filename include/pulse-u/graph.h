/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * graph.h - steps that wait for each other, run by a pool.
 *
 * A step is a function; an edge says that one comes after another. Steps that
 * wait for nobody begin; each other one is run as soon as all that it waits for
 * are done, by the worker that did the last of them where that is best. A graph
 * is built once and run as often as it is needed: a run allocates one object,
 * and nothing for each step.
 *
 *	pulse_graph_create(&g);
 *	int load = pulse_graph_step(g, load_fn, &x, 0);
 *	int left = pulse_graph_step(g, left_fn, &x, 0);
 *	int right = pulse_graph_step(g, right_fn, &x, 0);
 *	int save = pulse_graph_step(g, save_fn, &x, 0);
 *
 *	pulse_graph_edge(g, load, left);
 *	pulse_graph_edge(g, load, right);
 *	pulse_graph_edge(g, left, save);
 *	pulse_graph_edge(g, right, save);
 *	err = pulse_graph_run(g, pool, NULL);
 *
 * A step with PULSE_STEP_CHOICE says by what it returns which one of those
 * behind it begins, and begins it at once: nobody waits for such an edge, it may
 * lead back, and so there are branches and loops. A step may build another graph
 * and run it (pulse_graph_run() in a task runs others meanwhile): steps that are
 * not known before.
 *
 * The first step that fails ends the run: no other is begun, those that have
 * begun are waited for, and their error is the run's. Steps may do what tasks
 * with a handle may (<pulse-u/task.h>): pulse_task_fail() and contained signals
 * fail the step, pulse_task_cancelled() tells it that the run was cancelled.
 *
 * One thread at a time builds; while it runs a graph cannot be changed. In the
 * deterministic mode each step is a task that the seed draws.
 */
#ifndef PULSE_U_GRAPH_H
#define PULSE_U_GRAPH_H

#include <pulse-u/base.h>
#include <pulse-u/future.h>
#include <pulse-u/pool.h>
#include <pulse-u/result.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_graph;

/**
 * typedef pulse_step_fn - what a step does
 * @arg: as it was given
 *
 * Return: 0, or a negative errno: the run fails. With PULSE_STEP_CHOICE also
 * the number of the edge to follow, from 0 in the order in which they were made;
 * where there are not so many, none.
 */
typedef int (*pulse_step_fn)(void *arg);

/* Flags of pulse_graph_step(). */
#define PULSE_STEP_CHOICE	(1U << 0)	/* one of those behind it begins */

/**
 * pulse_graph_create() - a graph without steps
 * @out: the graph
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_graph_create(struct pulse_graph **out);

/**
 * pulse_graph_destroy() - give a graph back
 * @graph: the graph
 *
 * Return: 0; -EBUSY it runs (nothing was done); -EINVAL.
 */
PULSE_API int pulse_graph_destroy(struct pulse_graph *graph);

/**
 * pulse_graph_step() - one more step
 * @graph: the graph
 * @fn: what it does
 * @arg: for @fn
 * @flags: PULSE_STEP_* or 0
 *
 * Return: its number, from 0; -EBUSY the graph runs; -ENOMEM; -ENOSPC there are
 * INT_MAX; -EINVAL.
 */
PULSE_API int pulse_graph_step(struct pulse_graph *graph, pulse_step_fn fn,
			       void *arg, unsigned int flags);

/**
 * pulse_graph_edge() - one step comes after another
 * @graph: the graph
 * @before: the first one; where it has PULSE_STEP_CHOICE, @after does not wait
 *	for it, but is begun where it says so
 * @after: the other one
 *
 * Return: 0; -EBUSY the graph runs; -ENOMEM; -ENOSPC; -EINVAL also: no such step.
 */
PULSE_API int pulse_graph_edge(struct pulse_graph *graph, int before,
			       int after);

/**
 * struct pulse_graph_opts - how a graph is run
 * @sz: sizeof(struct pulse_graph_opts)
 * @token: no more steps are begun once it is cancelled; the run holds a
 *	reference; NULL: none
 * @task_id: for results, hooks and logs: the run as a whole is one task
 * @priority: enum pulse_priority, of all steps
 * @flags: PULSE_WORK_CONTAIN of <pulse-u/task.h>, or 0
 */
struct pulse_graph_opts {
	size_t sz;
	struct pulse_token *token;
	uint64_t task_id;
	int32_t priority;
	uint32_t flags;
};

/**
 * pulse_graph_start() - run a graph
 * @graph: the graph; one run at a time
 * @pool: who runs it
 * @how: or NULL for the defaults
 * @out: set when the last step has ended, to no value or the error that came
 *	first; cancelling it asks: steps that have begun are told. Or NULL.
 *
 * Once it is set nobody is inside the graph any more. pulse_pool_wait() waits
 * for the run too. Where the pool is stopped the run ends with -ECANCELED, and a
 * pool that is shut down finishes it.
 *
 * Return: 0; -EBUSY it runs; -ELOOP steps wait for each other in a circle, or
 * none is the first; the reason of the token, where that is cancelled; -ENOMEM;
 * -E2BIG unknown options; -EAGAIN the queues are full; -ESHUTDOWN; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_graph_start(struct pulse_graph *graph,
				struct pulse_pool *pool,
				const struct pulse_graph_opts *how,
				struct pulse_future **out);

/**
 * pulse_graph_run() - run a graph, and wait for it
 * @graph: the graph
 * @pool: who runs it
 * @how: or NULL for the defaults
 *
 * In one of the pool's own tasks the caller runs tasks while it waits.
 *
 * Return: 0; the error of the step that failed first; or as
 * pulse_graph_start().
 */
PULSE_API int pulse_graph_run(struct pulse_graph *graph,
			      struct pulse_pool *pool,
			      const struct pulse_graph_opts *how);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_GRAPH_H */

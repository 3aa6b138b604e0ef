/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * graph.h - the inside of a graph of steps.
 *
 * Built by one thread; pulse_graph_start() takes it (running, by
 * compare-exchange) and nothing but left, flying, err and the backlog changes
 * until the last step gives it back.
 *
 *  - left of a step counts those that it still waits for; who takes it to 0 has
 *    the step. Each takes off with acquire and release: the step sees all that
 *    those before it wrote. It is set anew when the step begins, for loops.
 *  - flying counts the steps that are ready or run. A step that ends has its own
 *    count for the first one that it makes ready, and adds one for each other
 *    before that can be had; so whoever takes it to 0 is the last, sees what all
 *    did, and ends the run. Who took it to something else must not touch the
 *    graph any more.
 *  - What finds no room in the pool's queues waits in the backlog, under the lock.
 *    It is left there by somebody who flies, and each looks there before it
 *    stops to.
 *  - Where err is set a step is passed over: it ends with it, and makes none
 *    ready.
 */
#ifndef PULSE__POOL_GRAPH_H
#define PULSE__POOL_GRAPH_H

#include <pthread.h>

#include <pulse-u/graph.h>

#include "pool/pool.h"

#define PULSE__GRAPH_MAGIC	0x47525048U	/* "GRPH" */

struct pulse__step {
	pulse_step_fn fn;
	void *arg;
	struct pulse_graph *graph;
	uint32_t flags;
	uint32_t first, nr;		/* those behind it, in graph->behind */
	uint32_t needs;			/* those it waits for */
	uint32_t left;			/* atomic */
	uint32_t waiting;		/* times it is in the backlog */
	struct pulse__step *next;	/* there */
	bool begins;			/* no edge leads to it */
};

struct pulse__edge {
	uint32_t from, to;
};

struct pulse_graph {
	uint32_t magic;
	uint32_t running;		/* atomic */
	uint32_t fork_gen;
	bool sealed;			/* behind, needs and begins are right */

	struct pulse__step *steps;
	struct pulse__edge *edges;
	uint32_t *behind;
	uint32_t nr_steps, steps_room;
	uint32_t nr_edges, edges_room;

	/* a run */
	struct pulse_pool *pool;
	struct pulse__work *work;
	int32_t priority;
	pthread_mutex_t lock;
	struct pulse__step *backlog;

	uint32_t flying PULSE__PAIR_ALIGNED;	/* atomic */
	int err;				/* atomic: the first */
};

/* graph.c: edges in order, and can it be run? 0, -ELOOP or -ENOMEM. */
int pulse__graph_seal(struct pulse_graph *g);

/* graph_run.c: jobs of the pool, and what is done for those that are not run */
void pulse__graph_root(void *data);
void pulse__graph_task(void *data);
void pulse__graph_cancel_root(void *data);
void pulse__graph_cancel(void *data);
/* A step's thread ended inside it. */
void pulse__graph_lost(struct pulse_graph *g);

#endif /* PULSE__POOL_GRAPH_H */

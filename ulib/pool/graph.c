// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * graph.c - a graph is built: steps, edges, and whether it can be run.
 */
#include "pool/graph.h"

int pulse_graph_create(struct pulse_graph **out)
{
	struct pulse_graph *g;

	if (!out)
		return -EINVAL;
	*out = NULL;
	g = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*g));
	if (!g)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	g->magic = PULSE__GRAPH_MAGIC;
	*out = g;
	return 0;
}

/* In a forked child nobody is left that could run it. */
static bool pulse__graph_runs(const struct pulse_graph *g)
{
	/* pairs with graph_run.c:pulse__graph_end */
	return pulse__load_acquire(&g->running) && !pulse__forked(g->fork_gen);
}

int pulse_graph_destroy(struct pulse_graph *g)
{
	if (!g)
		return -EINVAL;
	pulse__obj_check(g, PULSE__GRAPH_MAGIC, "pulse_graph_destroy");
	if (pulse__graph_runs(g))
		return -EBUSY;
	g->magic = PULSE__MAGIC_DEAD;
	pthread_mutex_destroy(&g->lock);
	pulse__free(g->steps);
	pulse__free(g->edges);
	pulse__free(g->behind);
	pulse__free(g);
	return 0;
}

/* Room for one more of @bytes. NULL: there is none, and all is as before. */
static void *pulse__graph_room(void *array, uint32_t nr, uint32_t *room,
			       size_t bytes)
{
	uint32_t more = *room ? *room * 2 : 16;

	if (nr < *room)
		return array;
	array = pulse__realloc(array, more * bytes);
	if (array)
		*room = more;
	return array;
}

int pulse_graph_step(struct pulse_graph *g, pulse_step_fn fn, void *arg,
		     unsigned int flags)
{
	void *steps;

	if (!g || !fn || (flags & ~PULSE_STEP_CHOICE))
		return -EINVAL;
	pulse__obj_check(g, PULSE__GRAPH_MAGIC, "pulse_graph_step");
	if (pulse__graph_runs(g))
		return -EBUSY;
	if (g->nr_steps == INT_MAX)
		return -ENOSPC;
	steps = pulse__graph_room(g->steps, g->nr_steps, &g->steps_room,
				  sizeof(*g->steps));
	if (!steps)
		return -ENOMEM;
	g->steps = steps;
	g->steps[g->nr_steps] = (struct pulse__step){
		.fn = fn, .arg = arg, .graph = g, .flags = flags,
	};
	g->sealed = false;
	return (int)g->nr_steps++;
}

int pulse_graph_edge(struct pulse_graph *g, int before, int after)
{
	void *edges;

	if (!g || before < 0 || after < 0 || (uint32_t)before >= g->nr_steps ||
	    (uint32_t)after >= g->nr_steps)
		return -EINVAL;
	pulse__obj_check(g, PULSE__GRAPH_MAGIC, "pulse_graph_edge");
	if (pulse__graph_runs(g))
		return -EBUSY;
	if (g->nr_edges == INT_MAX)
		return -ENOSPC;
	edges = pulse__graph_room(g->edges, g->nr_edges, &g->edges_room,
				  sizeof(*g->edges));
	if (!edges)
		return -ENOMEM;
	g->edges = edges;
	g->edges[g->nr_edges++] = (struct pulse__edge){ (uint32_t)before,
							(uint32_t)after };
	g->sealed = false;
	return 0;
}

/* Edges by their first step, in the order in which they were made. */
static void pulse__graph_sort(struct pulse_graph *g)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->nr_steps; i++) {
		g->steps[i].nr = 0;
		g->steps[i].needs = 0;
		g->steps[i].begins = true;
	}
	for (uint32_t i = 0; i < g->nr_edges; i++)
		g->steps[g->edges[i].from].nr++;
	for (uint32_t i = 0; i < g->nr_steps; i++) {
		g->steps[i].first = at;
		at += g->steps[i].nr;
		g->steps[i].nr = 0;
	}
	for (uint32_t i = 0; i < g->nr_edges; i++) {
		struct pulse__step *from = &g->steps[g->edges[i].from];
		struct pulse__step *to = &g->steps[g->edges[i].to];

		g->behind[from->first + from->nr++] = g->edges[i].to;
		to->begins = false;
		if (!(from->flags & PULSE_STEP_CHOICE))
			to->needs++;
	}
}

/* Takes away who waits for nobody until there is none. Those left are a circle. */
static bool pulse__graph_circle(struct pulse_graph *g, uint32_t *queue)
{
	uint32_t head = 0, tail = 0;

	for (uint32_t i = 0; i < g->nr_steps; i++) {
		g->steps[i].left = g->steps[i].needs;
		if (!g->steps[i].left)
			queue[tail++] = i;
	}
	while (head < tail) {
		const struct pulse__step *s = &g->steps[queue[head++]];

		if (s->flags & PULSE_STEP_CHOICE)
			continue;
		for (uint32_t i = 0; i < s->nr; i++) {
			uint32_t to = g->behind[s->first + i];

			if (!--g->steps[to].left)
				queue[tail++] = to;
		}
	}
	return tail < g->nr_steps;
}

int pulse__graph_seal(struct pulse_graph *g)
{
	uint32_t *behind, *queue;
	bool begins = !g->nr_steps, circle;

	if (g->sealed)
		return 0;
	behind = pulse__realloc(g->behind,
				((size_t)g->nr_edges + 1) * sizeof(*behind));
	if (!behind)
		return -ENOMEM;
	g->behind = behind;
	queue = pulse__malloc(((size_t)g->nr_steps + 1) * sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	pulse__graph_sort(g);
	circle = pulse__graph_circle(g, queue);
	pulse__free(queue);
	for (uint32_t i = 0; i < g->nr_steps && !begins; i++)
		begins = g->steps[i].begins;
	if (circle || !begins)
		return -ELOOP;
	g->sealed = true;
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * layout.c - a pool's nodes, and in which order its workers look around.
 *
 * Nodes of the pool are those with a worker, in rows of their own; distances
 * come from the context, so that wakes and looks go the same way.
 */
#include <pulse-u/topology.h>

#include "pool/pool.h"

static int pulse__row_of(const struct pulse_pool *pool, uint32_t ctx_row)
{
	for (uint32_t i = 0; i < pool->nr_nodes; i++) {
		if (pool->node[i]->ctx_row == ctx_row)
			return (int)i;
	}
	return -1;
}

static int pulse__node_new(struct pulse_pool *pool, int id, uint32_t ctx_row)
{
	struct pulse__pnode *node;
	int err = 0;

	node = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->id = id;
	node->ctx_row = ctx_row;
	pool->node[pool->nr_nodes++] = node;
	for (int lane = 0; lane < PULSE__LANES && !err; lane++)
		err = pulse__inject_init(&node->queue[lane], pool->queue_size,
					 pool->locked);
	return err;
}

static int pulse__nodes_new(struct pulse_pool *pool,
			    const struct pulse__place *places)
{
	const struct pulse_ctx *ctx = pool->ctx;
	int row, err;

	pool->node = pulse__calloc(ctx->nr_nodes, sizeof(struct pulse__pnode *));
	if (!pool->node)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__worker *w = pool->worker[i];
		int ctx_row = pool->numa ?
			pulse__ctx_row(ctx, places[i].node) : 0;

		if (ctx_row < 0)	/* a node that the context lacks */
			ctx_row = 0;
		row = pulse__row_of(pool, (uint32_t)ctx_row);
		if (row < 0) {
			row = (int)pool->nr_nodes;
			err = pulse__node_new(pool, ctx->nodes[ctx_row],
					      (uint32_t)ctx_row);
			if (err)
				return err;
		}
		w->row = (uint32_t)row;
		w->node = pool->node[row];
		w->node->nr++;
		w->cpu = pool->pin ? places[i].cpu : -1;
	}
	return 0;
}

/* Order of the pool's rows by the context's, and the nearest row of any node. */
static int pulse__orders_new(struct pulse_pool *pool)
{
	const struct pulse_ctx *ctx = pool->ctx;
	const uint32_t nr = pool->nr_nodes;
	int top = 0;

	for (unsigned int i = 0; i < ctx->nr_nodes; i++) {
		if (ctx->nodes[i] > top)
			top = ctx->nodes[i];
	}
	pool->nr_near_row = (uint32_t)top + 1;
	pool->near_row = pulse__calloc(pool->nr_near_row,
				       sizeof(*pool->near_row));
	pool->order = pulse__calloc((size_t)nr * nr, sizeof(*pool->order));
	if (!pool->near_row || !pool->order)
		return -ENOMEM;
	for (unsigned int i = 0; i < ctx->nr_nodes; i++) {
		const uint16_t *o = ctx->order + (size_t)i * ctx->nr_nodes;
		int own = pulse__row_of(pool, i);
		uint32_t n = 0;

		for (unsigned int k = 0; k < ctx->nr_nodes; k++) {
			int row = pulse__row_of(pool, o[k]);

			if (row < 0)
				continue;
			if (!n)
				pool->near_row[ctx->nodes[i]] = (uint16_t)row;
			if (own >= 0)
				pool->order[(uint32_t)own * nr + n] =
					(uint16_t)row;
			n++;
		}
	}
	return 0;
}

static int pulse__by_node_new(struct pulse_pool *pool)
{
	uint32_t at = 0, n;

	pool->by_node = pulse__calloc(pool->nr_workers,
				      sizeof(*pool->by_node));
	if (!pool->by_node)
		return -ENOMEM;
	for (uint32_t row = 0; row < pool->nr_nodes; row++) {
		pool->node[row]->first = at;
		for (n = 0; n < pool->nr_workers; n++) {
			if (pool->worker[n]->row == row)
				pool->by_node[at++] = n;
		}
	}
	return 0;
}

/* Pinned neighbours by the caches they share; insertion, as they are few. */
static void pulse__sort_near(const struct pulse_pool *pool,
			     struct pulse__worker *w)
{
	struct pulse_topology *topo;

	if (pulse_topology_default(&topo))
		return;
	for (uint32_t i = 1; i < w->nr_near; i++) {
		uint32_t v = w->victims[i], k = i;
		int d = pulse_topology_core_distance(topo, (uint32_t)w->cpu,
					(uint32_t)pool->worker[v]->cpu);

		for (; k && pulse_topology_core_distance(topo,
				(uint32_t)w->cpu, (uint32_t)
				pool->worker[w->victims[k - 1]]->cpu) > d; k--)
			w->victims[k] = w->victims[k - 1];
		w->victims[k] = v;
	}
}

static int pulse__victims_new(struct pulse_pool *pool, struct pulse__worker *w,
			      bool by_distance)
{
	const uint16_t *order = pool->order + (size_t)w->row * pool->nr_nodes;
	uint32_t n = 0;

	w->victims = pulse__calloc(pool->nr_workers, sizeof(*w->victims));
	if (!w->victims)
		return -ENOMEM;
	w->nr_near = w->node->nr - 1;
	for (uint32_t k = 0; k < pool->nr_nodes; k++) {
		const struct pulse__pnode *node = pool->node[order[k]];

		for (uint32_t i = 0; i < node->nr; i++) {
			uint32_t v = pool->by_node[node->first + i];

			if (v != w->number)
				w->victims[n++] = v;
		}
	}
	if (by_distance && pool->pin)
		pulse__sort_near(pool, w);
	return 0;
}

int pulse__pool_layout(struct pulse_pool *pool, bool by_distance)
{
	struct pulse__place *places;
	int err;

	places = pulse__calloc(pool->nr_workers, sizeof(*places));
	if (!places)
		return -ENOMEM;
	err = pulse__place(pool->nr_workers, by_distance, places);
	if (!err)
		err = pulse__nodes_new(pool, places);
	pulse__free(places);
	if (!err)
		err = pulse__orders_new(pool);
	if (!err)
		err = pulse__by_node_new(pool);
	for (uint32_t i = 0; i < pool->nr_workers && !err; i++)
		err = pulse__victims_new(pool, pool->worker[i], by_distance);
	pool->bind_node = pool->numa && by_distance && pool->nr_nodes > 1;
	return err;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * slab_node.c - a node's part of a slab: its blocks, its free list, and the
 * stack of objects that came back without a lock.
 */
#include "mem/slab.h"

int pulse__slab_node_get(struct pulse_slab *slab, int id,
			 struct pulse__slab_node **out)
{
	struct pulse__slab_node *node;
	int err = 0;

	if (id < 0 || id >= PULSE__MAX_NODES)
		return -EINVAL;
	/* pairs with the store below: the node is complete */
	node = pulse__load_acquire(&slab->nodes[id]);
	if (likely(node)) {
		*out = node;
		return 0;
	}
	if (!pulse__node_exists(id))
		return -EINVAL;
	pthread_mutex_lock(&slab->lock);
	node = slab->nodes[id];
	if (!node) {
		node = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*node));
		if (node) {
			pthread_mutex_init(&node->lock, NULL);
			node->id = id;
			pulse__store_release(&slab->nodes[id], node);
		} else {
			err = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&slab->lock);
	*out = node;
	return err;
}

/* Counts a block against the limit; false: over it. */
static bool pulse__slab_charge(struct pulse_slab *slab)
{
	uint64_t bytes = READ_ONCE(slab->bytes);

	do {
		if (slab->max_bytes - bytes < slab->block_bytes)
			return false;
	} while (!pulse__cas(&slab->bytes, &bytes, bytes + slab->block_bytes,
			     __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* Under the node's mutex, with no fresh objects left. */
static bool pulse__slab_grow(struct pulse_slab *slab,
			     struct pulse__slab_node *node)
{
	struct pulse__slab_block *block;
	void *mem;

	if (!pulse__slab_charge(slab))
		return false;
	if (pulse__map_on_node(slab->block_bytes, slab->block_bytes, node->id,
			       slab->map_flags, &mem)) {
		__atomic_fetch_sub(&slab->bytes, slab->block_bytes,
				   __ATOMIC_RELAXED);
		return false;
	}
	block = mem;
	block->magic = PULSE__BLOCK_MAGIC;
	block->slab = slab;
	block->node = node;
	block->first = (unsigned char *)mem + slab->first_offset;
	block->next = node->blocks;
	node->blocks = block;
	node->fresh = block->first;
	node->nr_fresh = slab->per_block;
	return true;
}

uint32_t pulse__slab_node_take(struct pulse_slab *slab,
			       struct pulse__slab_node *node,
			       void **objs, uint32_t nr)
{
	uint32_t n = 0;

	pthread_mutex_lock(&node->lock);
	while (n < nr) {
		struct pulse__slab_obj *obj = node->free;

		if (!obj) {
			/*
			 * All at once, so that there is no ABA.
			 * pairs with pulse__slab_node_return: its CAS
			 */
			obj = __atomic_exchange_n(&node->returned, NULL,
						  __ATOMIC_ACQUIRE);
			node->free = obj;
		}
		if (obj) {
			node->free = obj->next;
			pulse__slab_debug_unlink(obj);
			objs[n++] = obj;
			continue;
		}
		/* For a few there is no need of another block. */
		if (!node->nr_fresh && (n || !pulse__slab_grow(slab, node)))
			break;
		pulse__slab_debug_fresh(slab, node->fresh);
		objs[n++] = node->fresh;
		node->fresh += slab->stride;
		node->nr_fresh--;
	}
	pthread_mutex_unlock(&node->lock);
	return n;
}

void pulse__slab_node_give(struct pulse__slab_node *node, void **objs,
			   uint32_t nr)
{
	pthread_mutex_lock(&node->lock);
	for (uint32_t i = 0; i < nr; i++) {
		struct pulse__slab_obj *obj = objs[i];

		obj->next = node->free;
		node->free = obj;
	}
	pthread_mutex_unlock(&node->lock);
}

void pulse__slab_node_return(struct pulse__slab_node *node, void *object)
{
	struct pulse__slab_obj *obj = object;
	struct pulse__slab_obj *top = READ_ONCE(node->returned);

	do {
		obj->next = top;
		/* pairs with pulse__slab_node_take: its exchange */
	} while (!pulse__cas(&node->returned, &top, obj, __ATOMIC_RELEASE,
			     __ATOMIC_RELAXED));
}

uint64_t pulse__slab_node_trim(struct pulse_slab *slab,
			       struct pulse__slab_node *node)
{
	struct pulse__slab_block *block, **at;
	struct pulse__slab_obj *obj, *next, **end;
	uint64_t bytes = 0;

	pthread_mutex_lock(&node->lock);
	/* pairs with pulse__slab_node_return: its CAS */
	obj = __atomic_exchange_n(&node->returned, NULL, __ATOMIC_ACQUIRE);
	for (end = &node->free; *end; end = &(*end)->next)
		;
	*end = obj;
	for (block = node->blocks; block; block = block->next)
		block->nr_free = 0;
	if (node->nr_fresh)
		pulse__slab_block_of(slab, node->fresh)->nr_free =
			node->nr_fresh;
	for (obj = node->free; obj; obj = obj->next)
		pulse__slab_block_of(slab, obj)->nr_free++;
	/* First the objects leave the list, then the blocks their memory. */
	for (obj = node->free, end = &node->free; obj; obj = next) {
		next = obj->next;
		if (pulse__slab_block_of(slab, obj)->nr_free < slab->per_block) {
			*end = obj;
			end = &obj->next;
		}
	}
	*end = NULL;
	if (node->nr_fresh && pulse__slab_block_of(slab, node->fresh)->nr_free ==
	    slab->per_block)
		node->nr_fresh = 0;
	for (at = &node->blocks; (block = *at);) {
		if (block->nr_free < slab->per_block) {
			at = &block->next;
			continue;
		}
		*at = block->next;
		pulse_free_on_node(block, slab->block_bytes);
		bytes += slab->block_bytes;
	}
	__atomic_fetch_sub(&slab->bytes, bytes, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&node->lock);
	return bytes;
}

void pulse__slab_nodes_free(struct pulse_slab *slab)
{
	for (int i = 0; i < PULSE__MAX_NODES; i++) {
		struct pulse__slab_node *node = slab->nodes[i];
		struct pulse__slab_block *block, *next;

		if (!node)
			continue;
		for (block = node->blocks; block; block = next) {
			next = block->next;
			pulse_free_on_node(block, slab->block_bytes);
		}
		pthread_mutex_destroy(&node->lock);
		pulse__free(node);
	}
}

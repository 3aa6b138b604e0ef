// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * slab_debug.c - debug builds: free objects are poisoned, and each block has a
 * map of what is given out. A double free, a foreign pointer or a write after
 * free ends the program with a message.
 */
#include "mem/slab.h"

#ifdef PULSE_DEBUG

#define PULSE__POISON_FREE	0x6b
#define PULSE__POISON_ALLOC	0x5a
size_t pulse__slab_map_words(uint32_t per_block)
{
	return (per_block + 63) / 64;
}

void pulse__slab_debug_fresh(const struct pulse_slab *slab, void *object)
{
	memset(object, PULSE__POISON_FREE, slab->stride);
}

void pulse__slab_debug_unlink(void *object)
{
	memset(object, PULSE__POISON_FREE, sizeof(struct pulse__slab_obj));
}

/* The object's place in its block, checked. */
static struct pulse__slab_block *pulse__slab_locate(const struct pulse_slab *slab,
						    const void *object,
						    size_t *index)
{
	struct pulse__slab_block *block = pulse__slab_block_of(slab, object);
	size_t offset = (size_t)((const unsigned char *)object -
				 (const unsigned char *)block);

	if (offset < slab->first_offset || block->magic != PULSE__BLOCK_MAGIC ||
	    block->slab != slab)
		pulse__bug("pulse_slab: object is not of this slab");
	offset -= slab->first_offset;
	*index = offset / slab->stride;
	if (offset % slab->stride || *index >= slab->per_block)
		pulse__bug("pulse_slab: pointer into the middle of an object");
	return block;
}

void pulse__slab_debug_alloc(const struct pulse_slab *slab, void *object)
{
	const unsigned char *bytes = object;
	struct pulse__slab_block *block;
	size_t index;

	block = pulse__slab_locate(slab, object, &index);
	for (size_t i = 0; i < slab->stride; i++) {
		if (bytes[i] != PULSE__POISON_FREE)
			pulse__bug("pulse_slab: object was written to after it was freed (offset %zu)",
				   i);
	}
	memset(object, PULSE__POISON_ALLOC, slab->stride);
	__atomic_fetch_or(&block->in_use[index / 64], 1ULL << (index % 64),
			  __ATOMIC_RELAXED);
}

void pulse__slab_debug_free(const struct pulse_slab *slab, void *object)
{
	struct pulse__slab_block *block;
	uint64_t bit, old;
	size_t index;

	block = pulse__slab_locate(slab, object, &index);
	bit = 1ULL << (index % 64);
	old = __atomic_fetch_and(&block->in_use[index / 64], ~bit,
				 __ATOMIC_RELAXED);
	if (!(old & bit))
		pulse__bug("pulse_slab_free: object is free already (double free)");
	memset(object, PULSE__POISON_FREE, slab->stride);
}

#endif /* PULSE_DEBUG */

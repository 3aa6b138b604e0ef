/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * slab.h - the parts of a slab.
 *
 *   mag (one a thread)       a magazine that only its thread uses, without an
 *     |   ^                  atomic instruction; others get at it by membarrier
 *     |   |                  (slab_mag.c). Where that is refused: none.
 *     |   |
 *   lane (one a CPU)         a magazine: pointers to free objects of the node
 *     |   ^                  its CPU is on. Taken by try-lock only; who does
 *     v   |                  not get it goes on to the node.
 *   node (one a NUMA node)   free list and fresh blocks, under a mutex; and
 *     |   ^                  "returned", a stack without a lock for frees that
 *     v   |                  cannot use a lane
 *   block                    aligned to its own size, so that an object leads
 *                            to its block and thus to its node
 *
 * Locks: that of all mags, then a lane's or a mag, then a node's, then the
 * slab's. A lane's lock is never waited for while another is held.
 */
#ifndef PULSE__MEM_SLAB_H
#define PULSE__MEM_SLAB_H

#include <pthread.h>

#include <pulse-u/memory.h>

#include "base/asym.h"
#include "mem/node.h"

/* A free object, while it lies in a list rather than in a magazine. */
struct pulse__slab_obj {
	struct pulse__slab_obj *next;
};

#define PULSE__BLOCK_MAGIC	0x50554c5345534c42ULL	/* "PULSESLB" */

/* Head of a block; the objects follow. Never changes but for trim and debug's map. */
struct pulse__slab_block {
	uint64_t magic;
	struct pulse_slab *slab;
	struct pulse__slab_node *node;
	struct pulse__slab_block *next;		/* of the same node */
	unsigned char *first;			/* object */
	uint64_t nr_free;			/* trim: under the node's mutex */
	uint64_t in_use[];			/* debug: a bit an object */
};

struct pulse__slab_lane {
	uint32_t lock PULSE__PAIR_ALIGNED;
	uint32_t nr;			/* objects in the magazine */
	int node;			/* of this lane's CPU; -1 not known yet */
	/* Written under the lock, read by statistics without. */
	uint64_t hits;
	uint64_t misses;
	uint64_t frees;
	void **obj;
};

/*
 * A thread's magazine. Its thread alone moves objects in and out while it says
 * busy; another does while it says claimed. Who owns which word, and how they
 * keep apart: slab_mag.c.
 */
struct pulse__slab_mag {
	uint32_t busy PULSE__PAIR_ALIGNED;	/* its thread writes */
	uint32_t claimed;		/* others write, under the lock of all */
	uint32_t nr;
	int cpu;			/* where it was last, with many nodes */
	int node;			/* of all objects in it */
	/* Written by its thread, read by statistics. */
	uint64_t hits;
	uint64_t misses;
	uint64_t frees;

	struct pulse_slab *slab;	/* NULL: destroyed; lock of all */
	struct pulse__slab_mag *next;	/* of the slab; lock of all */
	struct pulse__slab_mag **prev;
	struct pulse__slab_mag *other;	/* of the thread; its own */
	void *obj[];
};

#define PULSE__MAG_SLOTS 64

/* A thread's way to its mags; slabs have numbers that are never used again. */
struct pulse__slab_thread {
	struct {
		uint64_t uid;
		struct pulse__slab_mag *mag;
	} slot[PULSE__MAG_SLOTS];
	struct pulse__slab_mag *mags;
	uint32_t fork_gen;
};

extern __thread struct pulse__slab_thread *pulse__slab_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

struct pulse__slab_node {
	/* Frees without a lane, by anybody; taken as a whole under the mutex. */
	struct pulse__slab_obj *returned PULSE__PAIR_ALIGNED;
	uint64_t frees;			/* atomic */
	uint64_t remote_frees;		/* atomic */
	uint64_t misses;		/* atomic */

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;
	struct pulse__slab_obj *free;
	unsigned char *fresh;		/* never given out yet, in blocks->... */
	uint32_t nr_fresh;
	struct pulse__slab_block *blocks;
	int id;
};

struct pulse_slab {
	/* Never written after create. */
	size_t stride;			/* object, aligned */
	size_t block_bytes;
	size_t max_bytes;		/* SIZE_MAX: no limit */
	size_t first_offset;		/* of the first object in a block */
	uint32_t per_block;
	uint32_t magazine;		/* 0: none */
	uint32_t map_flags;
	uint32_t nr_lanes;
	uint32_t fork_gen;
	uint32_t magic;
	uint64_t uid;			/* of this slab alone, never 0 */
	bool mags;			/* threads have magazines */
	bool many_nodes;		/* the machine has */
	struct pulse__slab_lane *lanes;
	void **lane_objs;		/* room of all magazines */

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;	/* nodes[], when adding */
	uint64_t bytes;			/* atomic: taken from the system */
	uint64_t failed;		/* atomic */
	/* Of threads that ended; lock of all mags. */
	uint64_t old_hits, old_misses, old_frees;
	struct pulse__slab_mag *mag_list;
	struct pulse__slab_node *nodes[PULSE__MAX_NODES]; /* set once */
};

static inline struct pulse__slab_block *
pulse__slab_block_of(const struct pulse_slab *slab, const void *object)
{
	return (void *)pulse__align_down((uintptr_t)object, slab->block_bytes);
}

/* slab_mag.c */

/* Does this slab have mags, and its uid. */
void pulse__slab_mags_init(struct pulse_slab *slab);
void pulse__slab_mags_end(struct pulse_slab *slab);
/* The thread's mag, made at its first use and entered; NULL: none to be had. */
struct pulse__slab_mag *pulse__mag_enter_slow(struct pulse_slab *slab);
/* The thread is on another CPU than last time. */
void pulse__mag_moved(struct pulse_slab *slab, struct pulse__slab_mag *mag,
		      int cpu);
/* Takes what all threads' mags hold back to the nodes. */
void pulse__slab_mags_reclaim(struct pulse_slab *slab);
void pulse__slab_mags_sum(struct pulse_slab *slab, struct pulse_slab_stats *s);

/* The calling thread's mag, or NULL. Until leave nobody else is in it. */
static inline struct pulse__slab_mag *pulse__mag_enter(struct pulse_slab *slab)
{
	struct pulse__slab_thread *self = pulse__slab_self;
	unsigned int slot = slab->uid % PULSE__MAG_SLOTS;
	struct pulse__slab_mag *mag;

	if (unlikely(!self || self->slot[slot].uid != slab->uid))
		return slab->mags ? pulse__mag_enter_slow(slab) : NULL;
	mag = self->slot[slot].mag;
	/* A signal handler of this thread, in the middle of it: not for us. */
	if (unlikely(mag->busy))
		return NULL;
	WRITE_ONCE(mag->busy, 1);
	/* A: pairs with B in pulse__slab_mags_reclaim. spin: asym_lock */
	pulse__asym_light();
	if (unlikely(pulse__load_acquire(&mag->claimed))) {
		pulse__store_release(&mag->busy, 0);
		return NULL;
	}
	return mag;
}

static inline void pulse__mag_leave(struct pulse__slab_mag *mag)
{
	/* pairs with pulse__slab_mags_reclaim: its load of busy */
	pulse__store_release(&mag->busy, 0);
}

/* slab_node.c */

/* The node's part, made at its first use. 0, -EINVAL, -ENOMEM. */
int pulse__slab_node_get(struct pulse_slab *slab, int id,
			 struct pulse__slab_node **out);
/* Up to @nr free objects to @objs; 0: the node has none and gets no more. */
uint32_t pulse__slab_node_take(struct pulse_slab *slab,
			       struct pulse__slab_node *node,
			       void **objs, uint32_t nr);
/* The same objects back, under the mutex. */
void pulse__slab_node_give(struct pulse__slab_node *node, void **objs,
			   uint32_t nr);
/* One object back without a lock. */
void pulse__slab_node_return(struct pulse__slab_node *node, void *object);
/* Blocks of which nothing is in use go back to the system. How many bytes. */
uint64_t pulse__slab_node_trim(struct pulse_slab *slab,
			       struct pulse__slab_node *node);
void pulse__slab_nodes_free(struct pulse_slab *slab);

/* slab_debug.c; nothing in builds without PULSE_DEBUG */
#ifdef PULSE_DEBUG
size_t pulse__slab_map_words(uint32_t per_block);
void pulse__slab_debug_fresh(const struct pulse_slab *slab, void *object);
void pulse__slab_debug_alloc(const struct pulse_slab *slab, void *object);
void pulse__slab_debug_free(const struct pulse_slab *slab, void *object);
/* An object leaves a list: its link word is poison again. */
void pulse__slab_debug_unlink(void *object);
#else
#define pulse__slab_map_words(per_block)	((void)(per_block), (size_t)0)
#define pulse__slab_debug_fresh(slab, object)	((void)0)
#define pulse__slab_debug_alloc(slab, object)	((void)0)
#define pulse__slab_debug_free(slab, object)	((void)0)
#define pulse__slab_debug_unlink(object)	((void)0)
#endif

#endif /* PULSE__MEM_SLAB_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * slab.c - equal objects of node memory: making, taking, giving back. How the
 * parts hang together stands in slab.h.
 */
#include <sched.h>
#include <unistd.h>

#include "mem/slab.h"

#define PULSE__SLAB_MAGIC	0x534c4142U	/* "SLAB" */
#define PULSE__SLAB_MAGAZINE	32
#define PULSE__SLAB_BLOCK	65536UL
#define PULSE__SLAB_BLOCK_HUGE	(2UL << 20)
#define PULSE__SLAB_PER_BLOCK	15U	/* at least so many objects in one */
#define PULSE__SLAB_MAX_LANES	4096

/* ---- lanes ------------------------------------------------------------- */

static bool pulse__lane_trylock(struct pulse__slab_lane *lane)
{
	/* pairs with pulse__lane_unlock */
	return !READ_ONCE(lane->lock) &&
	       !__atomic_exchange_n(&lane->lock, 1, __ATOMIC_ACQUIRE);
}

static void pulse__lane_unlock(struct pulse__slab_lane *lane)
{
	/* pairs with pulse__lane_trylock */
	pulse__store_release(&lane->lock, 0);
}

/* A counter of which its lane's lock makes us the only writer. */
static void pulse__count(uint64_t *counter)
{
	WRITE_ONCE(*counter, *counter + 1);
}

/*
 * The lane of the CPU we are on, locked; NULL: none, or somebody was preempted
 * inside of it. After a migration it is still a lane, only another CPU's.
 * (A neighbour's lane instead was tried and won nothing: it is busy.)
 */
static struct pulse__slab_lane *pulse__lane_get(struct pulse_slab *slab)
{
	int cpu = sched_getcpu(), now, node;
	struct pulse__slab_lane *lane;

	if (unlikely(cpu < 0 || (uint32_t)cpu >= slab->nr_lanes))
		return NULL;
	lane = &slab->lanes[cpu];
	if (!pulse__lane_trylock(lane))
		return NULL;
	if (likely(lane->node >= 0))
		return lane;
	/* Its first use: only from the CPU itself is there a way to know. */
	pulse__here(&now, &node);
	if (now == cpu && node >= 0) {
		WRITE_ONCE(lane->node, node);
		return lane;
	}
	pulse__lane_unlock(lane);
	return NULL;
}

/* Takes what the magazines of others hold back to the nodes. */
static void pulse__slab_reclaim(struct pulse_slab *slab)
{
	pulse__slab_mags_reclaim(slab);
	for (uint32_t i = 0; i < slab->nr_lanes; i++) {
		struct pulse__slab_lane *lane = &slab->lanes[i];
		int tries = 0;

		if (READ_ONCE(lane->node) < 0)
			continue;
		/* Held for a moment only, unless its holder was preempted. */
		while (!pulse__lane_trylock(lane)) {
			if (++tries > 100)
				break;
			sched_yield();
		}
		if (tries > 100)
			continue;
		if (lane->nr) {
			pulse__slab_node_give(slab->nodes[lane->node],
					      lane->obj, lane->nr);
			lane->nr = 0;
		}
		pulse__lane_unlock(lane);
	}
}

/* ---- allocation -------------------------------------------------------- */

/* Past the lanes: the node itself; then, where @others, any node. */
static int pulse__slab_alloc_slow(struct pulse_slab *slab, int id, bool others,
				  void **out)
{
	struct pulse__slab_node *node;
	int err;

	err = pulse__slab_node_get(slab, id, &node);
	if (err == -EINVAL)
		return err;
	for (int round = 0; !err && round < 2; round++) {
		if (pulse__slab_node_take(slab, node, out, 1))
			goto taken;
		for (int i = 0; others && i < PULSE__MAX_NODES; i++) {
			node = pulse__load_acquire(&slab->nodes[i]);
			if (node && pulse__slab_node_take(slab, node, out, 1))
				goto taken;
		}
		node = pulse__load_acquire(&slab->nodes[id]);
		if (!round)
			pulse__slab_reclaim(slab);
	}
	pulse__add_relaxed(&slab->failed, 1);
	return -ENOMEM;
taken:
	pulse__add_relaxed(&node->misses, 1);
	pulse__slab_debug_alloc(slab, *out);
	return 0;
}

/*
 * Out of the calling thread's magazine: true it did. Else there is none, it is
 * of another node, or the node has nothing to fill it with.
 */
static inline bool pulse__slab_alloc_mag(struct pulse_slab *slab, int want,
					 void **out)
{
	struct pulse__slab_mag *mag = pulse__mag_enter(slab);
	struct pulse__slab_node *node;

	if (unlikely(!mag))
		return false;
	if (unlikely(slab->many_nodes)) {
		int cpu = sched_getcpu();

		if (unlikely(cpu != mag->cpu))
			pulse__mag_moved(slab, mag, cpu);
	}
	if (unlikely(want != PULSE_NODE_HERE && want != mag->node)) {
		pulse__mag_leave(mag);
		return false;
	}
	if (likely(mag->nr)) {
		pulse__count(&mag->hits);
	} else {
		if (!pulse__slab_node_get(slab, mag->node, &node))
			mag->nr = pulse__slab_node_take(slab, node, mag->obj,
							(slab->magazine + 1) /
							2);
		if (!mag->nr) {
			pulse__mag_leave(mag);
			return false;
		}
		pulse__count(&mag->misses);
	}
	*out = mag->obj[--mag->nr];
	pulse__mag_leave(mag);
	pulse__slab_debug_alloc(slab, *out);
	return true;
}

/* The older half goes to the node, the warm one stays. How many stay. */
static PULSE__NOINLINE uint32_t pulse__slab_halve(struct pulse_slab *slab,
						  struct pulse__slab_node *node,
						  void **obj, uint32_t nr)
{
	uint32_t half = (slab->magazine + 1) / 2;

	pulse__slab_node_give(node, obj, half);
	memmove(obj, obj + half, (nr - half) * sizeof(void *));
	return nr - half;
}

/* Likewise back into it; of another node's, or without one: false. */
static inline bool pulse__slab_free_mag(struct pulse_slab *slab,
					struct pulse__slab_node *node,
					void *object)
{
	struct pulse__slab_mag *mag = pulse__mag_enter(slab);
	bool mine;

	if (unlikely(!mag))
		return false;
	mine = likely(mag->node == node->id);
	if (mine) {
		if (unlikely(mag->nr == slab->magazine))
			mag->nr = pulse__slab_halve(slab, node, mag->obj,
						    mag->nr);
		mag->obj[mag->nr++] = object;
		pulse__count(&mag->frees);
	}
	pulse__mag_leave(mag);
	return mine;
}

static PULSE__NOINLINE int pulse__slab_alloc(struct pulse_slab *slab, int want,
					     void **out)
{
	struct pulse__slab_lane *lane = pulse__lane_get(slab);
	struct pulse__slab_node *node;
	int id = want, cpu;

	if (likely(lane)) {
		if (want == PULSE_NODE_HERE)
			id = lane->node;
		if (id == lane->node) {
			if (likely(lane->nr)) {
				pulse__count(&lane->hits);
				goto from_lane;
			}
			if (!pulse__slab_node_get(slab, id, &node))
				lane->nr = pulse__slab_node_take(
					slab, node, lane->obj,
					(slab->magazine + 1) / 2);
			if (lane->nr) {
				pulse__count(&lane->misses);
				goto from_lane;
			}
		}
		pulse__lane_unlock(lane);
	} else if (want == PULSE_NODE_HERE) {
		pulse__here(&cpu, &id);
		if (id < 0)
			id = 0;
	}
	return pulse__slab_alloc_slow(slab, id, want == PULSE_NODE_HERE, out);

from_lane:
	*out = lane->obj[--lane->nr];
	pulse__lane_unlock(lane);
	pulse__slab_debug_alloc(slab, *out);
	return 0;
}

int pulse_slab_alloc(struct pulse_slab *slab, void **out)
{
	if (unlikely(!slab || !out))
		return -EINVAL;
	*out = NULL;
	if (pulse__forked(slab->fork_gen))
		return -EOWNERDEAD;
	if (likely(pulse__slab_alloc_mag(slab, PULSE_NODE_HERE, out)))
		return 0;
	return pulse__slab_alloc(slab, PULSE_NODE_HERE, out);
}

int pulse_slab_alloc_on(struct pulse_slab *slab, int node, void **out)
{
	if (!slab || !out || node < PULSE_NODE_HERE || node >= PULSE__MAX_NODES)
		return -EINVAL;
	*out = NULL;
	if (pulse__forked(slab->fork_gen))
		return -EOWNERDEAD;
	if (likely(pulse__slab_alloc_mag(slab, node, out)))
		return 0;
	return pulse__slab_alloc(slab, node, out);
}

/* Past the thread's magazine. */
static PULSE__NOINLINE int pulse__slab_free(struct pulse_slab *slab,
					    struct pulse__slab_node *node,
					    void *object)
{
	struct pulse__slab_lane *lane;
	bool remote = false;

	lane = pulse__lane_get(slab);
	if (likely(lane)) {
		if (likely(lane->node == node->id)) {
			if (unlikely(lane->nr == slab->magazine))
				lane->nr = pulse__slab_halve(slab, node,
							     lane->obj,
							     lane->nr);
			lane->obj[lane->nr++] = object;
			pulse__count(&lane->frees);
			pulse__lane_unlock(lane);
			return 0;
		}
		pulse__lane_unlock(lane);
		remote = true;
	}
	pulse__slab_node_return(node, object);
	pulse__add_relaxed(&node->frees, 1);
	if (remote)
		pulse__add_relaxed(&node->remote_frees, 1);
	return 0;
}

int pulse_slab_free(struct pulse_slab *slab, void *object)
{
	struct pulse__slab_node *node;

	if (unlikely(!slab))
		return -EINVAL;
	if (!object)
		return 0;
	if (pulse__forked(slab->fork_gen))
		return -EOWNERDEAD;
	pulse__slab_debug_free(slab, object);
	node = pulse__slab_block_of(slab, object)->node;
	if (likely(pulse__slab_free_mag(slab, node, object)))
		return 0;
	return pulse__slab_free(slab, node, object);
}

int64_t pulse_slab_trim(struct pulse_slab *slab)
{
	uint64_t bytes = 0;

	if (!slab)
		return -EINVAL;
	if (pulse__forked(slab->fork_gen))
		return -EOWNERDEAD;
	pulse__slab_reclaim(slab);
	for (int i = 0; i < PULSE__MAX_NODES; i++) {
		struct pulse__slab_node *node =
			pulse__load_acquire(&slab->nodes[i]);

		if (node)
			bytes += pulse__slab_node_trim(slab, node);
	}
	return (int64_t)bytes;
}

int pulse_slab_node_of(struct pulse_slab *slab, const void *object)
{
	if (!slab || !object)
		return -EINVAL;
	return pulse__slab_block_of(slab, object)->node->id;
}

/* ---- statistics -------------------------------------------------------- */

static void pulse__slab_sum(struct pulse_slab *slab, struct pulse_slab_stats *s)
{
	memset(s, 0, sizeof(*s));
	pulse__slab_mags_sum(slab, s);
	for (uint32_t i = 0; i < slab->nr_lanes; i++) {
		const struct pulse__slab_lane *lane = &slab->lanes[i];

		s->hits += READ_ONCE(lane->hits);
		s->misses += READ_ONCE(lane->misses);
		s->frees += READ_ONCE(lane->frees);
	}
	for (int i = 0; i < PULSE__MAX_NODES; i++) {
		const struct pulse__slab_node *node =
			pulse__load_acquire(&slab->nodes[i]);

		if (!node)
			continue;
		s->misses += READ_ONCE(node->misses);
		s->frees += READ_ONCE(node->frees);
		s->remote_frees += READ_ONCE(node->remote_frees);
	}
	s->allocations = s->hits + s->misses;
	/* Frees may be seen before the allocations they end. */
	if (s->allocations > s->frees)
		s->in_use = s->allocations - s->frees;
	s->failed = READ_ONCE(slab->failed);
	s->bytes = READ_ONCE(slab->bytes);
	if (s->allocations)
		s->hit_percent = 100.0 * (double)s->hits /
				 (double)s->allocations;
}

int pulse_slab_stats(struct pulse_slab *slab, struct pulse_slab_stats *out)
{
	struct pulse_slab_stats s;
	int err;

	if (!slab)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), hit_percent));
	if (err)
		return err;
	pulse__slab_sum(slab, &s);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

/* ---- life -------------------------------------------------------------- */

static int pulse__slab_lanes_new(struct pulse_slab *slab)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	size_t bytes;

	if (!slab->magazine)
		return 0;
	if (cpus < 1)
		cpus = 1;
	if (cpus > PULSE__SLAB_MAX_LANES)
		cpus = PULSE__SLAB_MAX_LANES;
	slab->lanes = pulse__aligned_alloc(PULSE_CACHE_PAIR,
					   (size_t)cpus * sizeof(*slab->lanes));
	if (!slab->lanes)
		return -ENOMEM;
	/* Each magazine on lines of its own. */
	bytes = pulse__align_up(slab->magazine * sizeof(void *),
				PULSE_CACHE_PAIR);
	slab->lane_objs = pulse__aligned_alloc(PULSE_CACHE_PAIR,
					       (size_t)cpus * bytes);
	if (!slab->lane_objs)
		return -ENOMEM;
	for (long i = 0; i < cpus; i++) {
		slab->lanes[i].node = -1;
		slab->lanes[i].obj = slab->lane_objs +
				     (size_t)i * bytes / sizeof(void *);
	}
	slab->nr_lanes = (uint32_t)cpus;
	return 0;
}

/* Sizes of object and block from checked options. */
static void pulse__slab_layout(struct pulse_slab *slab,
			       const struct pulse_slab_opts *o)
{
	size_t align = o->align, head, block = PULSE__SLAB_BLOCK;

	if (align < sizeof(struct pulse__slab_obj))
		align = sizeof(struct pulse__slab_obj);
	slab->stride = pulse__align_up(o->object_bytes, align);
	if (o->flags & PULSE_SLAB_HUGE) {
		block = PULSE__SLAB_BLOCK_HUGE;
		slab->map_flags = PULSE_MEM_HUGE;
	}
	while (block < slab->stride * PULSE__SLAB_PER_BLOCK + 4096)
		block *= 2;
	/* The map is as large as if the head took no room. */
	head = sizeof(struct pulse__slab_block) + sizeof(uint64_t) *
	       pulse__slab_map_words((uint32_t)(block / slab->stride));
	slab->first_offset = pulse__align_up(head, align);
	slab->per_block = (uint32_t)((block - slab->first_offset) /
				     slab->stride);
	slab->block_bytes = block;
}

static bool pulse__slab_opts_ok(struct pulse_slab_opts *o)
{
	if (!o->align)
		o->align = o->object_bytes >= PULSE_CACHE_LINE ?
			   PULSE_CACHE_LINE : 16;
	if (!o->magazine)
		o->magazine = PULSE__SLAB_MAGAZINE;
	return o->object_bytes && o->object_bytes <= 65536 &&
	       pulse__is_pow2(o->align) && o->align <= 4096 &&
	       o->magazine >= PULSE_OFF && o->magazine <= 1024 &&
	       !(o->flags & ~PULSE_SLAB_HUGE);
}

int pulse_slab_create(const struct pulse_slab_opts *opts,
		      struct pulse_slab **out)
{
	struct pulse_slab_opts o;
	struct pulse_slab *slab;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!opts)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), flags),
			       opts);
	if (err)
		return err;
	if (!pulse__slab_opts_ok(&o))
		return -EINVAL;
	slab = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*slab));
	if (!slab)
		return -ENOMEM;
	pthread_mutex_init(&slab->lock, NULL);
	slab->magazine = o.magazine > 0 ? (uint32_t)o.magazine : 0;
	slab->max_bytes = o.max_bytes ? o.max_bytes : SIZE_MAX;
	slab->fork_gen = pulse__fork_generation();
	slab->magic = PULSE__SLAB_MAGIC;
	pulse__slab_layout(slab, &o);
	pulse__slab_mags_init(slab);
	err = pulse__slab_lanes_new(slab);
	if (err) {
		pulse_slab_destroy(slab);
		return err;
	}
	*out = slab;
	return 0;
}

int pulse_slab_destroy(struct pulse_slab *slab)
{
	struct pulse_slab_stats s;

	if (!slab)
		return -EINVAL;
	pulse__obj_check(slab, PULSE__SLAB_MAGIC, "pulse_slab_destroy");
	slab->magic = PULSE__MAGIC_DEAD;
	pulse__slab_sum(slab, &s);
	pulse__slab_mags_end(slab);
	pulse__slab_nodes_free(slab);
	pthread_mutex_destroy(&slab->lock);
	pulse__free(slab->lane_objs);
	pulse__free(slab->lanes);
	pulse__free(slab);
	return s.in_use > INT_MAX ? INT_MAX : (int)s.in_use;
}

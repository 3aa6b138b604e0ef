// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * queue.c - making and ending a queue, attaching to one, its figures. What is
 * where stands in queue_int.h.
 */
#include <unistd.h>

#include <pulse-u/memory.h>

#include "lockfree/queue_int.h"

#define PULSE__QUEUE_ENTRIES	1024U
#define PULSE__QUEUE_LIMIT	(1U << 20)
#define PULSE__QUEUE_ELEM	8U
#define PULSE__QUEUE_LANES	16U

static bool pulse__queue_sizes_ok(uint32_t kind, uint32_t overflow,
				  uint32_t entries, uint32_t elem_bytes,
				  uint32_t lanes, int64_t block_ns)
{
	return kind <= PULSE_QUEUE_MPMC && overflow <= PULSE_QUEUE_BLOCK &&
	       entries >= 2 && entries <= PULSE__QUEUE_LIMIT &&
	       pulse__is_pow2(entries) && elem_bytes &&
	       elem_bytes <= PULSE_QUEUE_ELEM_MAX && lanes &&
	       lanes <= PULSE_QUEUE_LANES_MAX &&
	       (kind != PULSE_QUEUE_SPSC || lanes == 1) && block_ns >= 0;
}

static int pulse__queue_opts(struct pulse_queue_opts *o,
			     const struct pulse_queue_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), start), opts);

	if (err)
		return err;
	if (!o->entries)
		o->entries = PULSE__QUEUE_ENTRIES;
	if (!o->elem_bytes)
		o->elem_bytes = PULSE__QUEUE_ELEM;
	if (o->kind == PULSE_QUEUE_SPSC)
		o->lanes = 1;
	else if (!o->lanes)
		o->lanes = PULSE__QUEUE_LANES;
	if (o->flags & ~(PULSE_QUEUE_ON_NODE | PULSE_QUEUE_HUGE) ||
	    o->reserved ||
	    (o->block_ns && o->overflow != PULSE_QUEUE_BLOCK) ||
	    !pulse__queue_sizes_ok(o->kind, o->overflow, o->entries,
				   o->elem_bytes, o->lanes, o->block_ns))
		return -EINVAL;
	return 0;
}

/* The head with its lanes, and the slots. Up to 2^44: cannot overflow. */
static size_t pulse__queue_head_bytes(uint32_t lanes)
{
	return sizeof(struct pulse__queue_shm) +
	       (size_t)lanes * sizeof(struct pulse__lane);
}

static size_t pulse__queue_need(uint32_t entries, uint32_t elem_bytes,
				uint32_t lanes)
{
	return pulse__queue_head_bytes(lanes) + (size_t)lanes * entries *
	       pulse__align_up(elem_bytes, sizeof(uint64_t));
}

size_t pulse_queue_bytes(const struct pulse_queue_opts *opts)
{
	struct pulse_queue_opts o;

	if (pulse__queue_opts(&o, opts))
		return 0;
	return pulse__queue_need(o.entries, o.elem_bytes, o.lanes);
}

struct pulse__lane_map pulse__queue_map(const struct pulse_queue *q,
					uint32_t lane)
{
	return (struct pulse__lane_map){
		.lane = &q->shm->lane[lane],
		.data = q->data + (size_t)lane * (q->mask + 1) * q->stride,
		.mask = q->mask,
		.stride = q->stride,
		.elem_bytes = q->elem_bytes,
	};
}

/* A handle on @mem, whose sizes are checked and given in @s. */
static struct pulse_queue *pulse__queue_new(void *mem,
					    const struct pulse__queue_shm *s)
{
	struct pulse_queue *q;

	q = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*q));
	if (!q)
		return NULL;
	q->shm = mem;
	q->data = (unsigned char *)mem + pulse__queue_head_bytes(s->lanes);
	q->mask = s->entries - 1;
	q->kind = s->kind;
	q->overflow = s->overflow;
	q->elem_bytes = s->elem_bytes;
	q->stride = (uint32_t)pulse__align_up(s->elem_bytes, sizeof(uint64_t));
	q->lanes = s->lanes;
	q->fork_gen = pulse__fork_generation();
	q->magic = PULSE__QUEUE_OBJ;
	q->asym = s->asym;
	q->heavy = q->asym && pulse__asym_global();
	q->light = q->heavy;
	q->claims = s->kind == PULSE_QUEUE_MPMC ||
		    s->overflow == PULSE_QUEUE_DROP_OLD;
	q->block_ns = s->block_ns;
	q->start = s->start;
	q->fd = -1;
	pthread_mutex_init(&q->rx_lock, NULL);
	return q;
}

/* Writes the head of an empty queue. */
static void pulse__queue_write(struct pulse__queue_shm *shm,
			       const struct pulse_queue_opts *o)
{
	memset(shm, 0, pulse__queue_head_bytes(o->lanes));
	shm->kind = o->kind;
	shm->overflow = o->overflow;
	shm->entries = o->entries;
	shm->elem_bytes = o->elem_bytes;
	shm->lanes = o->lanes;
	shm->block_ns = o->block_ns;
	shm->start = o->start;
	shm->asym = pulse__asym_global();
	for (uint32_t i = 0; i < o->lanes; i++) {
		shm->lane[i].tail = o->start;
		shm->lane[i].head = o->start;
	}
	/* pairs with pulse_queue_attach: the head is whole */
	pulse__store_release(&shm->magic, PULSE__QUEUE_MAGIC);
}

int pulse_queue_create(const struct pulse_queue_opts *opts,
		       struct pulse_queue **out)
{
	struct pulse_queue_opts o;
	size_t bytes;
	void *mem = NULL;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__queue_opts(&o, opts);
	if (err)
		return err;
	bytes = pulse__queue_need(o.entries, o.elem_bytes, o.lanes);
	/* Whole pages, for a node's memory: what is never used is never there. */
	err = pulse_alloc_on_node(bytes, o.flags & PULSE_QUEUE_ON_NODE ?
				  o.node : PULSE_NODE_HERE,
				  o.flags & PULSE_QUEUE_HUGE ?
				  PULSE_MEM_HUGE : 0, &mem);
	if (err)
		return err;
	pulse__queue_write(mem, &o);
	*out = pulse__queue_new(mem, mem);
	if (!*out) {
		pulse_free_on_node(mem, bytes);
		return -ENOMEM;
	}
	(*out)->own_bytes = bytes;
	/* Nobody else has the memory, and no sender moves head. */
	(*out)->bias = o.kind == PULSE_QUEUE_MPMC &&
		       o.overflow != PULSE_QUEUE_DROP_OLD &&
		       pulse__rseq_ready();
	return 0;
}

int pulse_queue_format(void *mem, size_t bytes,
		       const struct pulse_queue_opts *opts,
		       struct pulse_queue **out)
{
	struct pulse_queue_opts o;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__queue_opts(&o, opts);
	if (err)
		return err;
	if (!mem || !pulse__is_aligned(mem, PULSE_CACHE_PAIR) || o.flags ||
	    bytes < pulse__queue_need(o.entries, o.elem_bytes, o.lanes))
		return -EINVAL;
	pulse__queue_write(mem, &o);
	*out = pulse__queue_new(mem, mem);
	return *out ? 0 : -ENOMEM;
}

int pulse_queue_attach(void *mem, size_t bytes, struct pulse_queue **out)
{
	const struct pulse__queue_shm *shm = mem;
	struct pulse__queue_shm s;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!mem || !pulse__is_aligned(mem, PULSE_CACHE_PAIR))
		return -EINVAL;
	if (bytes < sizeof(s))
		return -EPROTO;
	/* pairs with pulse__queue_write */
	if (pulse__load_acquire(&shm->magic) != PULSE__QUEUE_MAGIC)
		return -EPROTO;
	/* Each word once: a peer may change it between check and use. */
	memset(&s, 0, sizeof(s));
	s.kind = READ_ONCE(shm->kind);
	s.overflow = READ_ONCE(shm->overflow);
	s.entries = READ_ONCE(shm->entries);
	s.elem_bytes = READ_ONCE(shm->elem_bytes);
	s.lanes = READ_ONCE(shm->lanes);
	s.asym = READ_ONCE(shm->asym);
	s.block_ns = READ_ONCE(shm->block_ns);
	s.start = READ_ONCE(shm->start);
	if (!pulse__queue_sizes_ok(s.kind, s.overflow, s.entries, s.elem_bytes,
				   s.lanes, s.block_ns) ||
	    bytes < pulse__queue_need(s.entries, s.elem_bytes, s.lanes))
		return -EPROTO;
	*out = pulse__queue_new(mem, &s);
	return *out ? 0 : -ENOMEM;
}

int pulse_queue_destroy(struct pulse_queue *q)
{
	if (!q)
		return -EINVAL;
	pulse__obj_check(q, PULSE__QUEUE_OBJ, "pulse_queue_destroy");
	if (!pulse__forked(q->fork_gen) && READ_ONCE(q->open))
		return -EBUSY;
	q->magic = PULSE__MAGIC_DEAD;
	pthread_mutex_destroy(&q->rx_lock);
	if (q->fd >= 0)
		close(q->fd);
	if (q->own_bytes)
		pulse_free_on_node(q->shm, q->own_bytes);
	pulse__free(q);
	return 0;
}

/* ---- figures ----------------------------------------------------------- */

size_t pulse_queue_count(const struct pulse_queue *q)
{
	size_t sum = 0;

	if (!q || pulse__forked(q->fork_gen))
		return 0;
	for (uint32_t i = 0; i < q->lanes; i++) {
		const struct pulse__lane *lane = &q->shm->lane[i];
		uint64_t head = pulse__load_acquire(&lane->head);
		uint64_t used = pulse__load_acquire(&lane->tail) - head;

		if (used <= q->mask + 1)
			sum += used;
		else if ((int64_t)used > 0)	/* head moved meanwhile */
			sum += q->mask + 1;
	}
	return sum;
}

size_t pulse_queue_capacity(const struct pulse_queue *q)
{
	return q ? q->mask + 1 : 0;
}

size_t pulse_queue_elem_bytes(const struct pulse_queue *q)
{
	return q ? q->elem_bytes : 0;
}

size_t pulse_queue_stride(const struct pulse_queue *q)
{
	return q ? q->stride : 0;
}

int pulse_queue_stats(const struct pulse_queue *q,
		      struct pulse_queue_stats *out)
{
	struct pulse_queue_stats s;
	int err;

	if (!q)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), errors));
	if (err)
		return err;
	memset(&s, 0, sizeof(s));
	for (uint32_t i = 0; i < q->lanes; i++) {
		const struct pulse__lane *lane = &q->shm->lane[i];

		s.pushed += READ_ONCE(lane->tail) - q->start;
		s.popped += READ_ONCE(lane->head) - q->start;
		s.dropped_new += READ_ONCE(lane->dropped_new);
		s.dropped_old += READ_ONCE(lane->dropped_old);
		s.takeovers += READ_ONCE(lane->takeovers);
	}
	s.signals = READ_ONCE(q->signals);
	s.errors = READ_ONCE(q->errors);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ring.h - bounded queue, many producers and many consumers.
 *
 * Each entry carries a turn, as described at struct pulse_nring_hdr in
 * <linux/pulse.h> (after D. Vyukov's bounded MPMC queue, 2010, with turns that
 * start at zero). First in, first out over all producers, in the order in
 * which they claimed their places. Everything a producer wrote before a push
 * is visible to who pops the element.
 *
 * One that is stopped between claiming a place and publishing it hides what
 * comes after it, as in all rings of this kind (in the head-tail modes of
 * others it stops everybody). With PULSE_RING_NO_STALL nobody claims: an
 * element and its turn are exchanged as one, and positions are moved by whoever
 * comes next (after J. Valois, 1994, and P. Tsigas and Y. Zhang, 2001). Then a
 * thread or process that is stopped or killed at any moment holds up nobody,
 * and an element is either in or not. It costs a second locked instruction for
 * each element, elements have 8 bytes at most, and nothing can be reserved.
 *
 * A ring lies in memory of its own, or is attached to memory that several
 * processes share. Attached, all words in that memory are untrusted: the
 * handle keeps its own size and mask, every index is bounded by them, every
 * loop ends. A hostile peer can take, forge or lose elements of this ring and
 * make it answer -EPROTO; it can do no more.
 */
#ifndef PULSE_U_RING_H
#define PULSE_U_RING_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most bytes an element can have: an entry is one cache line. */
#define PULSE_RING_ELEM_MAX 56

struct pulse_ring;

/* Flags of struct pulse_ring_opts. */
#define PULSE_RING_ON_NODE  (1U << 0)	/* @node counts */
#define PULSE_RING_NO_STALL (1U << 1)	/* one stopped in the middle holds up nobody */

/* What a push does that finds the ring full. */
enum pulse_ring_overflow {
	PULSE_RING_ERROR = 0,	 /* say -EAGAIN */
	PULSE_RING_DROP_NEW = 1, /* drop what was to be pushed, and count it */
	PULSE_RING_DROP_OLD = 2, /* drop the oldest, and count it */
};

/**
 * struct pulse_ring_opts - options of pulse_ring_create()
 * @sz: sizeof(struct pulse_ring_opts)
 * @entries: a power of two from 2 to 2^20; default 1024
 * @elem_bytes: size of an element, 1 to PULSE_RING_ELEM_MAX; default 8
 * @flags: PULSE_RING_* or 0
 * @node: with PULSE_RING_ON_NODE: lie in the memory of this node
 * @start: first position, for tests of the wrap of counters; default 0
 * @overflow: enum pulse_ring_overflow; default PULSE_RING_ERROR
 * @reserved: 0
 */
struct pulse_ring_opts {
	size_t sz;
	uint32_t entries;
	uint32_t elem_bytes;
	uint32_t flags;
	int32_t node;
	uint64_t start;
	/* end of the first version */
	uint32_t overflow;
	uint32_t reserved;
};

/**
 * pulse_ring_create() - make a ring in memory of its own
 * @opts: or NULL for the defaults
 * @out: the ring
 *
 * Return: 0; -EINVAL also: no such node, or PULSE_RING_NO_STALL with elements of
 * more than 8 bytes; -EOPNOTSUPP this CPU cannot do PULSE_RING_NO_STALL (it needs
 * x86-64 with cmpxchg16b); -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_ring_create(const struct pulse_ring_opts *opts,
				struct pulse_ring **out);

/**
 * pulse_ring_attach() - use a ring that lies in shared memory
 * @mem: struct pulse_nring_hdr and its entries, aligned to 64; all zero is an
 *	empty ring. Stays the caller's and must outlive the handle.
 * @bytes: length of @mem
 * @entries: a power of two from 2 to 2^20, the same for all who attach
 * @out: a handle; elements have PULSE_RING_ELEM_MAX bytes
 *
 * Return: 0; -EINVAL also: @mem is too small for @entries; -ENOMEM.
 */
PULSE_API int pulse_ring_attach(void *mem, size_t bytes, uint32_t entries,
				struct pulse_ring **out);

/**
 * pulse_ring_attach_opts() - the same, with options
 * @mem: as pulse_ring_attach()
 * @bytes: length of @mem
 * @opts: or NULL for the defaults; entries, elem_bytes and PULSE_RING_NO_STALL
 *	the same for all who attach; PULSE_RING_ON_NODE and a start are refused
 * @out: a handle
 *
 * Return: as pulse_ring_create() and pulse_ring_attach().
 */
PULSE_API int pulse_ring_attach_opts(void *mem, size_t bytes,
				     const struct pulse_ring_opts *opts,
				     struct pulse_ring **out);

/**
 * pulse_ring_destroy() - give the handle back, and memory of its own
 * @ring: nobody may use the handle any more; attached memory is left as it is
 *
 * Return: 0; -EINVAL. Allowed in a forked child.
 */
PULSE_API int pulse_ring_destroy(struct pulse_ring *ring);

/**
 * pulse_ring_push() - put an element in
 * @ring: the ring
 * @elem: copied
 * @bytes: length of @elem; what is missing to a whole element is zero
 *
 * From any thread. Never waits: one that was stopped in the middle of a pop
 * lets the ring look full when its entry comes up again.
 *
 * Return: 0 (also where it was dropped, see pulse_ring_dropped()); -EAGAIN
 * full, or too many others at work; -EMSGSIZE @bytes is more than an element
 * has; -EPROTO the shared words cannot be true; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_ring_push(struct pulse_ring *ring, const void *elem,
			      size_t bytes);

/**
 * pulse_ring_pop() - take the oldest element out
 * @ring: the ring
 * @elem: out: the element
 * @bytes: in: room in @elem; out: bytes of the element. NULL: there is room
 *	for a whole element.
 *
 * From any thread. Never waits: one that was stopped in the middle of a push
 * hides what was pushed after it until it goes on.
 *
 * Return: 0; -EAGAIN empty, or too many others at work; -EMSGSIZE not room
 * enough (the element stays); -EPROTO the shared words cannot be true;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ring_pop(struct pulse_ring *ring, void *elem,
			     size_t *bytes);

/**
 * pulse_ring_push_n() - put several elements in, neighbours in the queue
 * @ring: the ring
 * @elems: whole elements, one after the other
 * @nr: how many, at least 1
 *
 * With PULSE_RING_NO_STALL others' elements may come in between.
 *
 * Return: how many went in, 1 to @nr; or as pulse_ring_push().
 */
PULSE_API int pulse_ring_push_n(struct pulse_ring *ring, const void *elems,
				unsigned int nr);

/**
 * pulse_ring_pop_n() - take several elements out
 * @ring: the ring
 * @elems: out: whole elements, one after the other
 * @nr: room for how many, at least 1
 *
 * Return: how many came out, 1 to @nr; or as pulse_ring_pop().
 */
PULSE_API int pulse_ring_pop_n(struct pulse_ring *ring, void *elems,
			       unsigned int nr);

/**
 * struct pulse_ring_span - places of a ring that one has claimed
 * @first: position of the first
 * @nr: how many
 *
 * Filled in by pulse_ring_reserve(), given back by pulse_ring_commit().
 */
struct pulse_ring_span {
	uint64_t first;
	uint32_t nr;
};

/**
 * pulse_ring_reserve() - claim places, to write elements in them
 * @ring: the ring
 * @nr: how many are wanted, at least 1
 * @span: out: the places, neighbours in the queue
 *
 * What is pushed after them comes out after them, hence is hidden until the
 * commit, which must come: there is no way to give a place back.
 *
 * Return: how many, 1 to @nr; or as pulse_ring_push(), where full is -EAGAIN
 * with PULSE_RING_DROP_NEW too; -EOPNOTSUPP with PULSE_RING_NO_STALL.
 */
PULSE_API int pulse_ring_reserve(struct pulse_ring *ring, unsigned int nr,
				 struct pulse_ring_span *span);

/**
 * pulse_ring_at() - where an element of a span lies
 * @ring: the ring
 * @span: as pulse_ring_reserve() filled it in
 * @index: which one, below its nr
 *
 * Return: room for a whole element, aligned to 8; NULL there is none.
 */
PULSE_API void *pulse_ring_at(struct pulse_ring *ring,
			      const struct pulse_ring_span *span,
			      unsigned int index);

/**
 * pulse_ring_commit() - publish all elements of a span
 * @ring: the ring
 * @span: as pulse_ring_reserve() filled it in; empty afterwards
 *
 * Return: 0; -EINVAL also: it is empty; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ring_commit(struct pulse_ring *ring,
				struct pulse_ring_span *span);

/**
 * pulse_ring_dropped() - how many elements this handle dropped
 * @ring: the ring
 *
 * Return: a count, of new or old ones as the ring was made; 0 for NULL.
 */
PULSE_API uint64_t pulse_ring_dropped(const struct pulse_ring *ring);

/**
 * pulse_ring_count() - elements in it, about
 * @ring: the ring
 *
 * Return: 0 to the capacity, exact when nobody else uses it; 0 for NULL.
 */
PULSE_API size_t pulse_ring_count(const struct pulse_ring *ring);

/**
 * pulse_ring_capacity() - elements it can hold
 * @ring: the ring
 *
 * Return: its entries; 0 for NULL.
 */
PULSE_API size_t pulse_ring_capacity(const struct pulse_ring *ring);

/**
 * pulse_ring_elem_bytes() - size of an element
 * @ring: the ring
 *
 * Return: 1 to PULSE_RING_ELEM_MAX; 0 for NULL.
 */
PULSE_API size_t pulse_ring_elem_bytes(const struct pulse_ring *ring);

/**
 * pulse_ring_errors() - how often this handle answered -EPROTO
 * @ring: the ring
 *
 * Return: a count; 0 for NULL.
 */
PULSE_API uint64_t pulse_ring_errors(const struct pulse_ring *ring);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_RING_H */

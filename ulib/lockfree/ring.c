// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ring.c - the bounded MPMC ring over memory that may be shared.
 *
 * The layout and the turns are those of struct pulse_nring_hdr; the protocol
 * and its litmus test (mpmc_turn) are told in ring_inline.h. What is different
 * here: every word of the ring is untrusted. So
 *
 *  - size, mask and element size are the handle's own;
 *  - a position is used for nothing but pos & mask and comparing;
 *  - a loop ends after PULSE__RING_TRIES rounds, whatever the words say;
 *  - when there is no getting on, the words are held against what they can be
 *    at all (pulse__ring_stuck), and -EPROTO says that they are not.
 *
 * Contents of elements are bytes to us and never interpreted.
 */
#include <pulse-u/memory.h>

#include "lockfree/ring_int.h"

#define PULSE__RING_MAGIC	0x52494e47U	/* "RING" */
#define PULSE__RING_ENTRIES	1024U
#define PULSE__RING_LIMIT	(1U << 20)
#define PULSE__RING_ELEM	8U

_Static_assert(sizeof(((struct pulse_nring_entry *)0)->data) ==
	       PULSE_RING_ELEM_MAX, "an element fills an entry");

/* ---- claiming places --------------------------------------------------- */

PULSE__NOINLINE int pulse__ring_weigh(struct pulse_ring *r, uint64_t slack)
{
	uint64_t deq, enq;

	/*
	 * If dequeue stood still around it, enqueue belongs to the same
	 * moment. The CAS on either word is a release after an acquire of the
	 * turn, hence what it must not outrun is visible to us:
	 * pairs with pulse__ring_claim. litmus: mpmc_turn
	 */
	deq = pulse__load_acquire(&r->hdr->dequeue);
	enq = pulse__load_acquire(&r->hdr->enqueue);
	if (pulse__load_acquire(&r->hdr->dequeue) != deq)
		return 0;
	if (enq - deq + slack > r->mask + 1 + 2 * slack)
		return pulse__ring_eproto(r);
	return -EAGAIN;
}

/*
 * The entry at @pos says @turn and is not ready; @off is 0 for the producers'
 * side, 1 for the consumers'. Why?
 *
 * Return: 0 the position moved meanwhile, look again; -EAGAIN full or empty,
 * or a peer is in the middle; -EPROTO it cannot be.
 */
static PULSE__NOINLINE int pulse__ring_stuck(struct pulse_ring *r,
					     const __u64 *side, uint64_t pos,
					     unsigned int off, uint64_t turn)
{
	uint64_t lap = pulse__mpmc_turn(pos, r->shift);
	uint64_t lap_before = pulse__mpmc_turn(pos - r->mask - 1, r->shift);

	if (pulse__load_acquire(side) != pos)
		return 0;
	/*
	 * The position stood still while the turn was read. What pushes here
	 * finds the lap before at most pushed (its turn is even or odd); what
	 * pops here finds it being popped (odd), or this lap not pushed yet.
	 */
	if (turn != lap_before + 1 && turn != (off ? lap : lap_before))
		return pulse__ring_eproto(r);
	return pulse__ring_weigh(r, 0);
}

/*
 * Claims up to @nr neighbouring places on one side; @nr at most the size.
 *
 * Return: how many, at least 1, from *@first on; -EAGAIN; -EPROTO.
 */
static inline int pulse__ring_claim(struct pulse_ring *r, __u64 *side,
				    unsigned int off, unsigned int nr,
				    uint64_t *first)
{
	for (int tries = 0; tries < PULSE__RING_TRIES; tries++) {
		__u64 pos = __atomic_load_n(side, __ATOMIC_RELAXED);
		uint64_t turn = 0;
		unsigned int n;
		int err;

		for (n = 0; n < nr; n++) {
			/*
			 * D or B: pairs with C or A in pulse__ring_yield.
			 * litmus: mpmc_turn
			 */
			turn = pulse__load_acquire(
				&r->entry[(pos + n) & r->mask].turn);
			if (turn != pulse__mpmc_turn(pos + n, r->shift) + off)
				break;
		}
		if (!n) {
			err = pulse__ring_stuck(r, side, pos, off, turn);
			if (err < 0)
				return err;
		/*
		 * Ready entries stay so while the position stands still: the
		 * claim takes all of them or nothing. Release: see stuck.
		 */
		} else if (pulse__cas(side, &pos, pos + n, __ATOMIC_RELEASE,
				      __ATOMIC_RELAXED)) {
			*first = pos;
			return (int)n;
		}
		cpu_relax();
	}
	return -EAGAIN;
}

/* A or C: hands the entry on. pairs with B or D in pulse__ring_claim. */
static inline void pulse__ring_yield(struct pulse_ring *r, uint64_t pos,
				     uint64_t turn)
{
	__u64 *word = &r->entry[pos & r->mask].turn;

	pulse__store_release(word, turn);	/* litmus: mpmc_turn */
}

static inline void pulse__ring_put(struct pulse_ring *r, uint64_t pos,
				   const void *elem, size_t bytes)
{
	unsigned char *data = (void *)r->entry[pos & r->mask].data;

	if (bytes == sizeof(uint64_t))		/* one store, no call */
		memcpy(data, elem, sizeof(uint64_t));
	else
		memcpy(data, elem, bytes);
	if (bytes < r->elem_bytes)
		memset(data + bytes, 0, r->elem_bytes - bytes);
	pulse__ring_yield(r, pos, pulse__mpmc_turn(pos, r->shift) + 1);
}

static inline void pulse__ring_get(struct pulse_ring *r, uint64_t pos,
				   void *elem)
{
	const void *data = r->entry[pos & r->mask].data;

	if (r->elem_bytes == sizeof(uint64_t))
		memcpy(elem, data, sizeof(uint64_t));
	else
		memcpy(elem, data, r->elem_bytes);
	pulse__ring_yield(r, pos,
			  pulse__mpmc_turn(pos + r->mask + 1, r->shift));
}

/* ---- push and pop ------------------------------------------------------ */

/* @nr, but no more than there are entries, nor than an int can tell. */
static unsigned int pulse__ring_most(const struct pulse_ring *r,
				     unsigned int nr)
{
	return nr <= r->mask ? nr : (unsigned int)(r->mask + 1);
}

/*
 * The ring is full, and the oldest are to make room: claims them as a pop does,
 * hands their entries on unread, and claims places. A pop that is under way is
 * in front of them: then it is -EAGAIN in the end.
 */
static PULSE__COLD int pulse__ring_drop_old(struct pulse_ring *r,
					    unsigned int nr, uint64_t *first)
{
	for (int tries = 0; tries < PULSE__RING_TRIES; tries++) {
		uint64_t old = 0;
		int n;

		n = pulse__ring_claim(r, &r->hdr->dequeue, 1, nr, &old);
		for (int i = 0; i < n; i++) {
			uint64_t pos = old + (unsigned int)i;

			pulse__ring_yield(r, pos,
					  pulse__mpmc_turn(pos + r->mask + 1,
							   r->shift));
		}
		if (n > 0)
			pulse__add_relaxed(&r->dropped, (uint64_t)n);
		else if (n != -EAGAIN)
			return n;
		n = pulse__ring_claim(r, &r->hdr->enqueue, 0, nr, first);
		if (n != -EAGAIN)
			return n;
	}
	return -EAGAIN;
}

/* Places for a push. As pulse__ring_claim(). */
static inline int pulse__ring_room(struct pulse_ring *r, unsigned int nr,
				   uint64_t *first)
{
	int n = pulse__ring_claim(r, &r->hdr->enqueue, 0, nr, first);

	if (unlikely(n == -EAGAIN) && r->overflow == PULSE_RING_DROP_OLD)
		return pulse__ring_drop_old(r, nr, first);
	return n;
}

/* No room for @nr: dropped, where that is what is wanted. 0 or @err. */
static int pulse__ring_drop_new(struct pulse_ring *r, unsigned int nr, int err)
{
	if (err != -EAGAIN || r->overflow != PULSE_RING_DROP_NEW)
		return err;
	pulse__add_relaxed(&r->dropped, nr);
	return 0;
}

int pulse_ring_push(struct pulse_ring *r, const void *elem, size_t bytes)
{
	uint64_t pos;
	int n;

	if (unlikely(!r || !elem || !bytes))
		return -EINVAL;
	if (unlikely(bytes > r->elem_bytes))
		return -EMSGSIZE;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	if (unlikely(r->no_stall)) {
		n = pulse__ring_push_word(r, elem, bytes);
		return n < 0 ? pulse__ring_drop_new(r, 1, n) : 0;
	}
	n = pulse__ring_room(r, 1, &pos);
	if (unlikely(n < 0))
		return pulse__ring_drop_new(r, 1, n);
	pulse__ring_put(r, pos, elem, bytes);
	return 0;
}

int pulse_ring_pop(struct pulse_ring *r, void *elem, size_t *bytes)
{
	uint64_t pos;
	int n;

	if (unlikely(!r || !elem))
		return -EINVAL;
	if (unlikely(bytes && *bytes < r->elem_bytes))
		return -EMSGSIZE;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	if (unlikely(r->no_stall)) {
		n = pulse__ring_pop_word(r, elem);
		if (n < 0)
			return n;
	} else {
		n = pulse__ring_claim(r, &r->hdr->dequeue, 1, 1, &pos);
		if (n < 0)
			return n;
		pulse__ring_get(r, pos, elem);
	}
	if (bytes)
		*bytes = r->elem_bytes;
	return 0;
}

int pulse_ring_push_n(struct pulse_ring *r, const void *elems, unsigned int nr)
{
	const unsigned char *from = elems;
	uint64_t pos = 0;
	int n;

	if (unlikely(!r || !elems || !nr))
		return -EINVAL;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	if (unlikely(r->no_stall))
		n = pulse__ring_push_words(r, elems, pulse__ring_most(r, nr));
	else
		n = pulse__ring_room(r, pulse__ring_most(r, nr), &pos);
	if (unlikely(n < 0))
		return pulse__ring_drop_new(r, nr, n);
	if (unlikely(r->no_stall))
		return n;
	for (int i = 0; i < n; i++, from += r->elem_bytes)
		pulse__ring_put(r, pos + (unsigned int)i, from, r->elem_bytes);
	return n;
}

int pulse_ring_pop_n(struct pulse_ring *r, void *elems, unsigned int nr)
{
	unsigned char *to = elems;
	uint64_t pos = 0;
	int n;

	if (unlikely(!r || !elems || !nr))
		return -EINVAL;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	if (unlikely(r->no_stall))
		return pulse__ring_pop_words(r, elems, pulse__ring_most(r, nr));
	n = pulse__ring_claim(r, &r->hdr->dequeue, 1, pulse__ring_most(r, nr),
			      &pos);
	for (int i = 0; i < n; i++, to += r->elem_bytes)
		pulse__ring_get(r, pos + (unsigned int)i, to);
	return n;
}

/* ---- in place ---------------------------------------------------------- */

int pulse_ring_reserve(struct pulse_ring *r, unsigned int nr,
		       struct pulse_ring_span *span)
{
	int n;

	if (!span)
		return -EINVAL;
	memset(span, 0, sizeof(*span));
	if (!r || !nr)
		return -EINVAL;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	if (r->no_stall)
		return -EOPNOTSUPP;
	n = pulse__ring_room(r, pulse__ring_most(r, nr), &span->first);
	if (n > 0)
		span->nr = (uint32_t)n;
	return n;
}

void *pulse_ring_at(struct pulse_ring *r, const struct pulse_ring_span *span,
		    unsigned int index)
{
	if (!r || !span || index >= span->nr)
		return NULL;
	return r->entry[(span->first + index) & r->mask].data;
}

int pulse_ring_commit(struct pulse_ring *r, struct pulse_ring_span *span)
{
	if (!r || !span || !span->nr || span->nr > r->mask + 1)
		return -EINVAL;
	if (pulse__forked(r->fork_gen))
		return -EOWNERDEAD;
	for (uint32_t i = 0; i < span->nr; i++) {
		uint64_t pos = span->first + i;

		pulse__ring_yield(r, pos, pulse__mpmc_turn(pos, r->shift) + 1);
	}
	span->nr = 0;
	return 0;
}

/* ---- figures ----------------------------------------------------------- */

size_t pulse_ring_count(const struct pulse_ring *r)
{
	uint64_t deq, used;

	if (!r || pulse__forked(r->fork_gen))
		return 0;
	deq = pulse__load_acquire(&r->hdr->dequeue);
	used = pulse__load_acquire(&r->hdr->enqueue) - deq;
	if ((int64_t)used < 0)
		return 0;
	return used > r->mask ? r->mask + 1 : used;
}

size_t pulse_ring_capacity(const struct pulse_ring *r)
{
	return r ? r->mask + 1 : 0;
}

size_t pulse_ring_elem_bytes(const struct pulse_ring *r)
{
	return r ? r->elem_bytes : 0;
}

uint64_t pulse_ring_errors(const struct pulse_ring *r)
{
	return r ? READ_ONCE(r->errors) : 0;
}

uint64_t pulse_ring_dropped(const struct pulse_ring *r)
{
	return r ? READ_ONCE(r->dropped) : 0;
}

/* ---- life -------------------------------------------------------------- */

static size_t pulse__ring_bytes(uint32_t entries)
{
	/* Cannot overflow: entries are limited. */
	return sizeof(struct pulse_nring_hdr) +
	       (size_t)entries * sizeof(struct pulse_nring_entry);
}

static struct pulse_ring *pulse__ring_new(const struct pulse_ring_opts *o)
{
	struct pulse_ring *r;

	r = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*r));
	if (!r)
		return NULL;
	r->mask = o->entries - 1;
	r->shift = pulse__log2(o->entries);
	r->elem_bytes = o->elem_bytes;
	r->overflow = o->overflow;
	r->no_stall = o->flags & PULSE_RING_NO_STALL;
	r->fork_gen = pulse__fork_generation();
	r->magic = PULSE__RING_MAGIC;
	return r;
}

static void pulse__ring_set_memory(struct pulse_ring *r, void *mem)
{
	r->hdr = mem;
	r->entry = (void *)(r->hdr + 1);
}

static bool pulse__ring_entries_ok(uint32_t entries)
{
	return entries >= 2 && entries <= PULSE__RING_LIMIT &&
	       pulse__is_pow2(entries);
}

/* @opts with what they leave open filled in. 0 or -errno. */
static int pulse__ring_load(struct pulse_ring_opts *o,
			    const struct pulse_ring_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), start), opts);

	if (err)
		return err;
	if (!o->entries)
		o->entries = PULSE__RING_ENTRIES;
	if (!o->elem_bytes)
		o->elem_bytes = PULSE__RING_ELEM;
	if (!pulse__ring_entries_ok(o->entries) ||
	    o->elem_bytes > PULSE_RING_ELEM_MAX ||
	    o->flags & ~(PULSE_RING_ON_NODE | PULSE_RING_NO_STALL) ||
	    o->overflow > PULSE_RING_DROP_OLD || o->reserved)
		return -EINVAL;
	if (!(o->flags & PULSE_RING_NO_STALL))
		return 0;
	if (o->elem_bytes > sizeof(uint64_t))
		return -EINVAL;
	return pulse__ring_words_ready() ? 0 : -EOPNOTSUPP;
}

int pulse_ring_create(const struct pulse_ring_opts *opts,
		      struct pulse_ring **out)
{
	struct pulse_ring_opts o;
	struct pulse_ring *r;
	void *mem = NULL;
	size_t bytes;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__ring_load(&o, opts);
	if (err)
		return err;
	r = pulse__ring_new(&o);
	if (!r)
		return -ENOMEM;
	bytes = pulse__ring_bytes(o.entries);
	if (o.flags & PULSE_RING_ON_NODE) {
		err = pulse_alloc_on_node(bytes, o.node, 0, &mem);
		r->node_bytes = bytes;
	} else {
		mem = pulse__aligned_alloc(PULSE_CACHE_PAIR, bytes);
		err = mem ? 0 : -ENOMEM;
	}
	if (err) {
		pulse__free(r);
		return err;
	}
	pulse__ring_set_memory(r, mem);
	r->hdr->enqueue = o.start;
	r->hdr->dequeue = o.start;
	/* Each entry waits for the first position from start on that is its. */
	for (uint64_t i = 0; o.start && i <= r->mask; i++) {
		uint64_t pos = o.start + ((i - o.start) & r->mask);

		r->entry[i].turn = pulse__mpmc_turn(pos, r->shift);
	}
	*out = r;
	return 0;
}

int pulse_ring_attach_opts(void *mem, size_t bytes,
			   const struct pulse_ring_opts *opts,
			   struct pulse_ring **out)
{
	struct pulse_ring_opts o;
	struct pulse_ring *r;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__ring_load(&o, opts);
	if (err)
		return err;
	if (!mem || !pulse__is_aligned(mem, PULSE_CACHE_LINE) ||
	    o.flags & PULSE_RING_ON_NODE || o.start ||
	    bytes < pulse__ring_bytes(o.entries))
		return -EINVAL;
	r = pulse__ring_new(&o);
	if (!r)
		return -ENOMEM;
	r->attached = true;
	pulse__ring_set_memory(r, mem);
	*out = r;
	return 0;
}

int pulse_ring_attach(void *mem, size_t bytes, uint32_t entries,
		      struct pulse_ring **out)
{
	PULSE_OPTS(pulse_ring_opts, opts, .entries = entries,
		   .elem_bytes = PULSE_RING_ELEM_MAX);

	if (out)
		*out = NULL;
	if (!entries)
		return -EINVAL;
	return pulse_ring_attach_opts(mem, bytes, &opts, out);
}

int pulse_ring_destroy(struct pulse_ring *r)
{
	if (!r)
		return -EINVAL;
	pulse__obj_check(r, PULSE__RING_MAGIC, "pulse_ring_destroy");
	r->magic = PULSE__MAGIC_DEAD;
	if (r->node_bytes)
		pulse_free_on_node(r->hdr, r->node_bytes);
	else if (!r->attached)
		pulse__free(r->hdr);
	pulse__free(r);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * deque.c - making, growing and ending a work-stealing deque, and its exported
 * face. The protocol stands in deque_inline.h.
 */
/* The inline functions of deque.h have their exported twins here. */
#define PULSE__DEQUE_TWINS
#include <pulse-u/deque.h>

#include "lockfree/deque_inline.h"

#define PULSE__DEQUE_MAGIC	0x44455155U	/* "DEQU" */
#define PULSE__DEQUE_CAPACITY	256U
#define PULSE__DEQUE_MAX	65536U
#define PULSE__DEQUE_LIMIT	(1U << 30)

/* As it begins: struct pulse_deque_words. */
struct pulse_deque {
	struct pulse__deque d;
	const uint32_t *slow;		/* pulse__fork_word() */
	uint32_t fork_gen;
	uint32_t magic;
};

PULSE__SAME_PLACE(pulse_deque, d.top, pulse_deque_words, top);
PULSE__SAME_PLACE(pulse_deque, d.bottom, pulse_deque_words, bottom);
PULSE__SAME_PLACE(pulse_deque, d.slot, pulse_deque_words, slot);
PULSE__SAME_PLACE(pulse_deque, d.mask, pulse_deque_words, mask);
PULSE__SAME_PLACE(pulse_deque, d.thieves, pulse_deque_words, thieves);
PULSE__SAME_PLACE(pulse_deque, d.stop, pulse_deque_words, stop);
PULSE__SAME_PLACE(pulse_deque, slow, pulse_deque_words, slow);

static struct pulse__deque_buf *pulse__deque_buf_new(uint64_t capacity)
{
	struct pulse__deque_buf *buf;
	size_t bytes;

	if (pulse__mul_overflow(capacity, sizeof(buf->slot[0]), &bytes) ||
	    pulse__add_overflow(bytes, sizeof(*buf), &bytes))
		return NULL;
	buf = pulse__malloc(bytes);
	if (!buf)
		return NULL;
	buf->outgrown = NULL;
	buf->mask = capacity - 1;
	return buf;
}

int pulse__deque_init(struct pulse__deque *d, uint64_t capacity,
		      uint64_t max_capacity, uint64_t start)
{
	d->buf = pulse__deque_buf_new(capacity);
	if (!d->buf)
		return -ENOMEM;
	d->top = start;
	d->bottom = start;
	d->slot = d->buf->slot;
	d->mask = capacity - 1;
	d->top_seen = start;
	d->stop = start + capacity;
	d->thieves = 0;
	d->max_capacity = max_capacity;
	d->asym = false;
	return 0;
}

void pulse__deque_fini(struct pulse__deque *d)
{
	struct pulse__deque_buf *buf = d->buf;

	while (buf) {
		struct pulse__deque_buf *outgrown = buf->outgrown;

		pulse__free(buf);
		buf = outgrown;
	}
	d->buf = NULL;
}

int pulse__deque_grow(struct pulse__deque *d)
{
	struct pulse__deque_buf *old = d->buf, *buf;
	uint64_t b = d->bottom;

	if (old->mask + 1 >= d->max_capacity)
		return -EAGAIN;
	buf = pulse__deque_buf_new((old->mask + 1) * 2);
	if (!buf)
		return -ENOMEM;
	for (uint64_t pos = d->top_seen; pos != b; pos++) {
		void *item = __atomic_load_n(&old->slot[pos & old->mask],
					     __ATOMIC_RELAXED);

		__atomic_store_n(&buf->slot[pos & buf->mask], item,
				 __ATOMIC_RELAXED);
	}
	/* A thief may be reading the old one: it stays until the end. */
	buf->outgrown = old;
	/* pairs with pulse__deque_steal: its load of buf. litmus: chase_lev */
	pulse__store_release(&d->buf, buf);
	d->slot = buf->slot;
	d->mask = buf->mask;
	return 0;
}

int pulse_deque_create(const struct pulse_deque_opts *opts,
		       struct pulse_deque **out)
{
	struct pulse_deque_opts o;
	struct pulse_deque *deque;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), start),
			       opts);
	if (err)
		return err;
	if (!o.capacity)
		o.capacity = PULSE__DEQUE_CAPACITY;
	if (!o.max_capacity)
		o.max_capacity = o.capacity > PULSE__DEQUE_MAX ?
				 o.capacity : PULSE__DEQUE_MAX;
	if (o.capacity < 2 || !pulse__is_pow2(o.capacity) ||
	    !pulse__is_pow2(o.max_capacity) || o.max_capacity < o.capacity ||
	    o.max_capacity > PULSE__DEQUE_LIMIT ||
	    o.flags & ~PULSE_DEQUE_ASYMMETRIC || o.reserved)
		return -EINVAL;
	deque = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*deque));
	if (!deque)
		return -ENOMEM;
	err = pulse__deque_init(&deque->d, o.capacity, o.max_capacity, o.start);
	if (err) {
		pulse__free(deque);
		return err;
	}
	/* Where membarrier is refused it has its fences. */
	if (o.flags & PULSE_DEQUE_ASYMMETRIC)
		deque->d.asym = pulse__asym_local();
	deque->magic = PULSE__DEQUE_MAGIC;
	deque->fork_gen = pulse__fork_generation();
	deque->slow = pulse__fork_word(deque->d.asym);
	*out = deque;
	return 0;
}

int pulse_deque_destroy(struct pulse_deque *deque)
{
	if (!deque)
		return -EINVAL;
	pulse__obj_check(deque, PULSE__DEQUE_MAGIC, "pulse_deque_destroy");
	deque->magic = PULSE__MAGIC_DEAD;
	pulse__deque_fini(&deque->d);
	pulse__free(deque);
	return 0;
}

int pulse_deque_push_slow(struct pulse_deque *deque, void *item)
{
	if (unlikely(!deque || !item))
		return -EINVAL;
	if (pulse__forked(deque->fork_gen))
		return -EOWNERDEAD;
	return pulse__deque_push(&deque->d, item);
}

void *pulse_deque_take_slow(struct pulse_deque *deque)
{
	if (unlikely(!deque) || pulse__forked(deque->fork_gen))
		return NULL;
	return pulse__deque_take(&deque->d);
}

void *pulse_deque_take_last(struct pulse_deque *deque, uint64_t bottom,
			    uint64_t top)
{
	return pulse__deque_take_last(&deque->d, bottom, top);
}

int pulse_deque_steal(struct pulse_deque *deque, void **item)
{
	if (unlikely(!deque || !item))
		return -EINVAL;
	if (pulse__forked(deque->fork_gen))
		return -EOWNERDEAD;
	return pulse__deque_steal(&deque->d, item);
}

int pulse_deque_steal_half(struct pulse_deque *deque, void **items,
			   unsigned int nr)
{
	uint64_t half;
	int n = 0, err = 0;

	if (unlikely(!deque || !items || !nr))
		return -EINVAL;
	if (pulse__forked(deque->fork_gen))
		return -EOWNERDEAD;
	half = (pulse__deque_size(&deque->d) + 1) / 2;
	if (half > nr)
		half = nr;
	if (half > INT_MAX)
		half = INT_MAX;
	do {
		err = pulse__deque_steal(&deque->d, &items[n]);
		n += !err;
	} while (!err && (uint64_t)n < half);
	return n ? n : err;
}

bool pulse_deque_asymmetric(const struct pulse_deque *deque)
{
	return deque && deque->d.asym;
}

size_t pulse_deque_size(const struct pulse_deque *deque)
{
	return deque ? pulse__deque_size(&deque->d) : 0;
}

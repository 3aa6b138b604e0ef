/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * deque.h - work-stealing deque: one owner, any number of thieves.
 *
 * D. Chase, Y. Lev: Dynamic circular work-stealing deque, SPAA 2005; with the
 * orderings of N. M. Le, A. Pop, A. Cohen, F. Zappa Nardelli: Correct and
 * efficient work-stealing for weak memory models, PPoPP 2013.
 *
 * The owner pushes and takes at the bottom (last in, first out), thieves steal
 * at the top (oldest first). The owner is one thread at a time; who it is may
 * change where the change itself is synchronised. Everything an owner wrote
 * before a push is visible to who gets the item.
 */
#ifndef PULSE_U_DEQUE_H
#define PULSE_U_DEQUE_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_deque;

/* Flags of struct pulse_deque_opts. */
#define PULSE_DEQUE_ASYMMETRIC (1U << 0)	/* steal pays for the fence of take */

/**
 * struct pulse_deque_opts - options of pulse_deque_create()
 * @sz: sizeof(struct pulse_deque_opts)
 * @capacity: room to begin with, a power of two from 2; default 256
 * @max_capacity: room it may grow to, a power of two from @capacity to 2^30;
 *	default 65536, or @capacity where that is more
 * @start: first position, for tests of the wrap of counters; default 0
 * @flags: PULSE_DEQUE_ASYMMETRIC or 0
 * @reserved: 0
 *
 * Asymmetric, a take is a few times cheaper and a steal that finds something
 * some hundred times dearer (membarrier(2) interrupts the owner): for deques
 * that are hardly ever stolen from. Where membarrier is refused the flag does
 * nothing.
 *
 * It grows by doubling, in push. Outgrown buffers are kept until destroy, as a
 * thief may still be reading: no more than the last one's size in all.
 */
struct pulse_deque_opts {
	size_t sz;
	uint32_t capacity;
	uint32_t max_capacity;
	uint64_t start;
	/* end of the first version */
	uint32_t flags;
	uint32_t reserved;
};

/**
 * pulse_deque_create() - make a deque
 * @opts: or NULL for the defaults
 * @out: the deque
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_deque_create(const struct pulse_deque_opts *opts,
				 struct pulse_deque **out);

/**
 * pulse_deque_destroy() - give the deque back
 * @deque: nobody may use it any more; items left in it are forgotten
 *
 * Return: 0; -EINVAL. Allowed in a forked child.
 */
PULSE_API int pulse_deque_destroy(struct pulse_deque *deque);

/**
 * pulse_deque_push() - put an item at the bottom; owner only
 * @deque: the deque
 * @item: not NULL
 *
 * Return: 0; -EAGAIN full at its greatest size; -ENOMEM it had to grow and
 * could not (it is as before); -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_deque_push(struct pulse_deque *deque, void *item);

/**
 * pulse_deque_take() - take the item at the bottom; owner only
 * @deque: the deque
 *
 * Return: the item pushed last; NULL there is none, or @deque is NULL, or in a
 * forked child.
 */
PULSE_API void *pulse_deque_take(struct pulse_deque *deque);

/**
 * pulse_deque_steal() - take the item at the top; any thread
 * @deque: the deque
 * @item: out: the oldest item
 *
 * Return: 0; -EAGAIN another thread was faster, there may be more; -ENOENT
 * empty; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_deque_steal(struct pulse_deque *deque, void **item);

/**
 * pulse_deque_steal_half() - take about half of the items, from the top
 * @deque: the deque
 * @items: out: the oldest items, oldest first
 * @nr: room for how many, at least 1
 *
 * One after the other: the owner takes its own without asking, so that several
 * cannot be claimed at once. Ends where another thread is faster.
 *
 * Return: how many, 1 to @nr; or as pulse_deque_steal().
 */
PULSE_API int pulse_deque_steal_half(struct pulse_deque *deque, void **items,
				     unsigned int nr);

/**
 * pulse_deque_asymmetric() - does a steal pay for the fence of take?
 * @deque: the deque
 *
 * Return: true where PULSE_DEQUE_ASYMMETRIC was asked for and membarrier is
 * allowed.
 */
PULSE_API bool pulse_deque_asymmetric(const struct pulse_deque *deque);

/**
 * pulse_deque_size() - items in it, about; any thread
 * @deque: the deque
 *
 * Return: exact when nobody else uses it; 0 for NULL.
 */
PULSE_API size_t pulse_deque_size(const struct pulse_deque *deque);

/* ---- the inline functions ---------------------------------------------- */

/* What they call when it is not the usual case. */
PULSE_API int pulse_deque_push_slow(struct pulse_deque *deque, void *item);
PULSE_API void *pulse_deque_take_slow(struct pulse_deque *deque);
PULSE_API void *pulse_deque_take_last(struct pulse_deque *deque,
				      uint64_t bottom, uint64_t top);

/*
 * How a deque begins. For the functions below; nothing in here is anybody else's,
 * and it may grow at the end only.
 */
struct pulse_deque_words {
	uint64_t top;
	uint32_t thieves;
	uint32_t pad0;
	uint64_t pad1[PULSE_CACHE_PAIR / sizeof(uint64_t) - 2];
	uint64_t bottom;
	void *buf;
	uint64_t top_seen;
	uint64_t stop;
	void **slot;
	uint64_t mask;
	uint64_t pad2[PULSE_CACHE_PAIR / sizeof(uint64_t) - 6];
	const uint32_t *slow;
};

#ifdef PULSE__DEQUE_TWINS
#define PULSE__DEQUE_INLINE
#else
#define PULSE__DEQUE_INLINE						\
	extern __inline__ __attribute__((__gnu_inline__, __always_inline__))
#endif

#define PULSE__DEQUE_RARE(cond) __builtin_expect(!!(cond), 0)

/*
 * The protocol, and what pairs with what: ulib/lockfree/deque_inline.h. slow is
 * not 0 in a child, and where the deque is not asymmetric.
 */
PULSE__DEQUE_INLINE int pulse_deque_push(struct pulse_deque *deque, void *item)
{
	struct pulse_deque_words *d = (struct pulse_deque_words *)deque;
	uint64_t b;

	if (PULSE__DEQUE_RARE(!d || !item || *d->slow))
		return pulse_deque_push_slow(deque, item);
	b = __atomic_load_n(&d->bottom, __ATOMIC_RELAXED);
	if (PULSE__DEQUE_RARE(b == d->stop))
		return pulse_deque_push_slow(deque, item);
	__atomic_store_n(&d->slot[b & d->mask], item, __ATOMIC_RELAXED);
	__atomic_store_n(&d->bottom, b + 1, __ATOMIC_RELEASE);
	return 0;
}

PULSE__DEQUE_INLINE void *pulse_deque_take(struct pulse_deque *deque)
{
	struct pulse_deque_words *d = (struct pulse_deque_words *)deque;
	uint64_t b, t;

	if (PULSE__DEQUE_RARE(!d || *d->slow))
		return pulse_deque_take_slow(deque);
	b = __atomic_load_n(&d->bottom, __ATOMIC_RELAXED);
	if (b == __atomic_load_n(&d->top, __ATOMIC_RELAXED))
		return NULL;
	b--;
	__atomic_store_n(&d->bottom, b, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* A */
	t = __atomic_load_n(&d->top, __ATOMIC_RELAXED);
	if ((int64_t)(b - t) <= 0 &&
	    PULSE__DEQUE_RARE(__atomic_load_n(&d->thieves, __ATOMIC_ACQUIRE) ||
			      __atomic_load_n(&d->top, __ATOMIC_RELAXED) != b))
		return pulse_deque_take_last(deque, b, t);
	return __atomic_load_n(&d->slot[b & d->mask], __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_DEQUE_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ring_word.c - the turns of ring_inline.h with PULSE_RING_NO_STALL: nobody
 * claims a place before he fills it, so that nobody can be stopped with one.
 *
 *   push                                  pop
 *   ----                                  ---
 *   p = enqueue                           p = dequeue
 *   turn == 2 * lap: free                 turn == 2 * lap + 1: there is a word
 *   {turn, word} = {2 * lap + 1, new},    read the word
 *      both by one exchange of 16 bytes   turn = 2 * (lap + 1) by an exchange
 *   enqueue = p + 1 by an exchange        dequeue = p + 1 by an exchange
 *
 * The exchange on the turn is the whole operation: before it nothing happened,
 * after it the word is in, or out. The position follows, and whoever finds an
 * entry that is ahead of the position moves it in the other's stead. So one that
 * was stopped or killed between any two steps holds up nobody, and somebody
 * always gets on; at most one position is behind by one. A turn never comes
 * again, so no exchange succeeds for one who slept. spin: ring_word
 *
 * The price: two locked instructions for an element, elements of up to 8 bytes,
 * and each goes on its own, also in a batch. As in ring.c, no word is believed.
 */
#include "lockfree/ring_int.h"

#if defined(__x86_64__) && defined(__LP64__)
#define PULSE__RING_PAIRS 1
#include <cpuid.h>
#endif

#ifdef PULSE__TSAN
void __tsan_release(void *word);
#endif

bool pulse__ring_words_ready(void)
{
#ifdef PULSE__RING_PAIRS
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_CMPXCHG16B;
#else
	return false;
#endif
}

/*
 * Turn and word of an entry, which are @turn and @was, become @next and @word.
 * A full barrier. False: they are something else by now.
 */
static inline bool pulse__ring_swap(struct pulse_nring_entry *entry,
				    uint64_t turn, uint64_t was, uint64_t next,
				    uint64_t word)
{
#ifdef PULSE__RING_PAIRS
	bool done;

#ifdef PULSE__TSAN	/* it does not see into the assembly */
	__tsan_release(&entry->turn);
#endif
	__asm__ __volatile__("lock cmpxchg16b %[entry]"
			     : "=@ccz" (done), [entry] "+m" (*entry),
			       "+a" (turn), "+d" (was)
			     : "b" (next), "c" (word)
			     : "memory");
	return done;
#else
	(void)entry, (void)turn, (void)was, (void)next, (void)word;
	return false;
#endif
}

static inline uint64_t *pulse__ring_word(struct pulse_nring_entry *entry)
{
	return (uint64_t *)(void *)entry->data;
}

_Static_assert(offsetof(struct pulse_nring_entry, turn) == 0 &&
	       offsetof(struct pulse_nring_entry, data) == sizeof(uint64_t),
	       "a turn and its word are exchanged together");

/* The position follows, whoever moves it; who comes late moves nothing. */
static inline void pulse__ring_follow(__u64 *side, __u64 pos)
{
	pulse__cas(side, &pos, pos + 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static int pulse__ring_put_word(struct pulse_ring *r, uint64_t word)
{
	__u64 *side = &r->hdr->enqueue;

	for (int tries = 0; tries < PULSE__RING_TRIES; tries++) {
		__u64 pos = pulse__load_acquire(side);
		struct pulse_nring_entry *entry = &r->entry[pos & r->mask];
		uint64_t free = pulse__mpmc_turn(pos, r->shift);
		/* D: pairs with C in pulse__ring_get_word */
		uint64_t turn = pulse__load_acquire(&entry->turn);
		uint64_t was = READ_ONCE(*pulse__ring_word(entry));
		int err;

		if (turn == free) {
			/* A: pairs with B in pulse__ring_get_word */
			if (pulse__ring_swap(entry, turn, was, free + 1, word)) {
				pulse__ring_follow(side, pos);
				return 0;
			}
		} else if (turn == free + 1 ||
			   turn == pulse__mpmc_turn(pos + r->mask + 1, r->shift)) {
			pulse__ring_follow(side, pos);
		} else if (pulse__load_acquire(side) == pos) {
			/* Full: what was pushed a lap ago is still there. */
			if (turn != pulse__mpmc_turn(pos - r->mask - 1,
						     r->shift) + 1)
				return pulse__ring_eproto(r);
			err = pulse__ring_weigh(r, 1);
			if (err)
				return err;
		}
		cpu_relax();
	}
	return -EAGAIN;
}

static int pulse__ring_get_word(struct pulse_ring *r, uint64_t *word)
{
	__u64 *side = &r->hdr->dequeue;

	for (int tries = 0; tries < PULSE__RING_TRIES; tries++) {
		__u64 pos = pulse__load_acquire(side);
		struct pulse_nring_entry *entry = &r->entry[pos & r->mask];
		uint64_t empty = pulse__mpmc_turn(pos, r->shift);
		uint64_t next = pulse__mpmc_turn(pos + r->mask + 1, r->shift);
		/* B: pairs with A in pulse__ring_put_word */
		__u64 turn = pulse__load_acquire(&entry->turn);
		int err;

		if (turn == empty + 1) {
			/* It stays as long as the turn does. */
			*word = READ_ONCE(*pulse__ring_word(entry));
			/* C: pairs with D in pulse__ring_put_word */
			if (pulse__cas(&entry->turn, &turn, next,
				       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
				pulse__ring_follow(side, pos);
				return 0;
			}
		} else if (turn == next || turn == next + 1) {
			pulse__ring_follow(side, pos);
		} else if (pulse__load_acquire(side) == pos) {
			if (turn != empty)
				return pulse__ring_eproto(r);
			err = pulse__ring_weigh(r, 1);
			if (err)
				return err;
		}
		cpu_relax();
	}
	return -EAGAIN;
}

int pulse__ring_push_word(struct pulse_ring *r, const void *elem, size_t bytes)
{
	uint64_t word = 0, old;
	int err;

	memcpy(&word, elem, bytes);
	err = pulse__ring_put_word(r, word);
	if (likely(err != -EAGAIN) || r->overflow != PULSE_RING_DROP_OLD)
		return err;
	for (int tries = 0; tries < PULSE__RING_TRIES; tries++) {
		err = pulse__ring_get_word(r, &old);
		if (!err)
			pulse__add_relaxed(&r->dropped, 1);
		else if (err != -EAGAIN)
			return err;
		err = pulse__ring_put_word(r, word);
		if (err != -EAGAIN)
			return err;
	}
	return -EAGAIN;
}

int pulse__ring_pop_word(struct pulse_ring *r, void *elem)
{
	uint64_t word;
	int err = pulse__ring_get_word(r, &word);

	if (!err)
		memcpy(elem, &word, r->elem_bytes);
	return err;
}

int pulse__ring_push_words(struct pulse_ring *r, const void *elems,
			   unsigned int nr)
{
	const unsigned char *from = elems;
	unsigned int n;
	int err = 0;

	for (n = 0; n < nr; n++, from += r->elem_bytes) {
		err = pulse__ring_push_word(r, from, r->elem_bytes);
		if (err)
			break;
	}
	return n ? (int)n : err;
}

int pulse__ring_pop_words(struct pulse_ring *r, void *elems, unsigned int nr)
{
	unsigned char *to = elems;
	unsigned int n;
	int err = 0;

	for (n = 0; n < nr; n++, to += r->elem_bytes) {
		err = pulse__ring_pop_word(r, to);
		if (err)
			break;
	}
	return n ? (int)n : err;
}

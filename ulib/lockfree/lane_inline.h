/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * lane_inline.h - the lane of queue.h: a ring with one sender, to be embedded
 * and inlined.
 *
 *   sender                            receiver
 *   ------                            --------
 *   head                 (acquire D)  tail                 (acquire B)
 *   tail - head < N: there is room    head != tail: there is an element
 *   slot[tail & mask] = element       element = slot[head & mask]
 *   tail = tail + 1      (release A)  head = head + 1      (release C)
 *
 * A pairs with B: who sees the tail sees the element. litmus: lane_push
 * C pairs with D: who may write the slot again does so after it was read.
 * litmus: lane_reuse
 *
 * Many receivers, or a sender that drops the oldest: head is then moved by
 * compare-exchange only, and a receiver copies the element *before* it claims
 * it (as a thief of deque_inline.h). What it copied may be torn, for the
 * slot may be written again meanwhile; then head has moved, the exchange fails
 * and the copy is thrown away. So there is no moment in which an element is
 * claimed and not had: who dies on the way has taken nothing. Slots are copied
 * in words by relaxed atomics. spin: lane
 *
 * Sender and receiver keep what they saw last of the other side, so that most
 * calls touch no line that the other writes. Positions are 64-bit and compared
 * by their difference, so that they may wrap. The words in struct pulse__lane
 * are untrusted: a distance over N is -EPROTO, and the one who owns a word goes
 * by its own copy.
 */
#ifndef PULSE__LANE_INLINE_H
#define PULSE__LANE_INLINE_H

#include "base/base.h"
#include "base/rseq.h"

#define PULSE__FETCH_MOST 512U	/* bytes; what may be under way at a time */

/* Words: a line is fetched so far before it is written, and read. */
#define PULSE__LANE_WORDS	(PULSE_CACHE_LINE / sizeof(uint64_t))
#define PULSE__LANE_TX_AHEAD	(4 * PULSE__LANE_WORDS)
#define PULSE__LANE_RX_AHEAD	(2 * PULSE__LANE_WORDS)

struct pulse__lane {
	uint64_t tail PULSE__PAIR_ALIGNED;	/* untrusted; the sender writes */
	uint64_t head PULSE__PAIR_ALIGNED;	/* untrusted; receivers write */

	/* Seldom written. */
	uint64_t owner PULSE__PAIR_ALIGNED;	/* untrusted; the sender's process */
	uint64_t dropped_new;			/* untrusted; the sender writes */
	uint64_t dropped_old;			/* untrusted; the sender writes */
	uint64_t takeovers;			/* untrusted; the sender writes */
};

/* What each side knows of its lane; never changes. */
struct pulse__lane_map {
	struct pulse__lane *lane;
	unsigned char *data;
	uint64_t mask;
	uint32_t stride;		/* of slots: a multiple of 8 */
	uint32_t elem_bytes;
};

struct pulse__lane_tx {
	uint64_t tail;			/* the truth; lane->tail is a copy */
	uint64_t stop;			/* N after the head it saw last: full there */
	struct pulse__lane_map m;
	bool words;			/* receivers copy before they claim */
};

struct pulse__lane_rx {
	uint64_t head;			/* the truth, where there is one receiver */
	uint64_t tail_seen;
	struct pulse__lane_map m;
};

static inline unsigned char *pulse__lane_slot(const struct pulse__lane_map *m,
					      uint64_t pos)
{
	return m->data + (pos & m->mask) * m->stride;
}

/* ---- copying ----------------------------------------------------------- */

static inline void pulse__lane_put(const struct pulse__lane_map *m, bool words,
				   uint64_t pos, const void *elem, size_t bytes)
{
	unsigned char *slot;
	uint64_t w;

	if (likely(bytes == sizeof(w) && m->stride == sizeof(w))) {
		memcpy(&w, elem, sizeof(w));
		__atomic_store_n((uint64_t *)(void *)m->data + (pos & m->mask),
				 w, __ATOMIC_RELAXED);
		return;
	}
	slot = pulse__lane_slot(m, pos);
	if (!words) {
		memcpy(slot, elem, bytes);
		memset(slot + bytes, 0, m->stride - bytes);
		return;
	}
	for (size_t at = 0; at < m->stride; at += sizeof(w)) {
		size_t n = at < bytes ? bytes - at : 0;

		w = 0;
		memcpy(&w, (const unsigned char *)elem + at,
		       n < sizeof(w) ? n : sizeof(w));
		__atomic_store_n((uint64_t *)(void *)(slot + at), w,
				 __ATOMIC_RELAXED);
	}
}

static inline void pulse__lane_get(const struct pulse__lane_map *m, bool words,
				   uint64_t pos, void *elem)
{
	const unsigned char *slot;
	uint64_t w;

	if (likely(m->elem_bytes == sizeof(w))) {
		w = __atomic_load_n((const uint64_t *)(const void *)m->data +
				    (pos & m->mask), __ATOMIC_RELAXED);
		memcpy(elem, &w, sizeof(w));
		return;
	}
	slot = pulse__lane_slot(m, pos);
	if (!words) {
		memcpy(elem, slot, m->elem_bytes);
		return;
	}
	for (size_t at = 0; at < m->elem_bytes; at += sizeof(w)) {
		size_t n = m->elem_bytes - at;

		w = __atomic_load_n((const uint64_t *)(const void *)(slot + at),
				    __ATOMIC_RELAXED);
		memcpy((unsigned char *)elem + at, &w,
		       n < sizeof(w) ? n : sizeof(w));
	}
}

/* Where all elements are words, as the caller knows. */
static inline void pulse__lane_put_word(const struct pulse__lane_map *m,
					uint64_t pos, uint64_t word)
{
	__atomic_store_n((uint64_t *)(void *)m->data + (pos & m->mask), word,
			 __ATOMIC_RELAXED);
}

static inline uint64_t pulse__lane_get_word(const struct pulse__lane_map *m,
					    uint64_t pos)
{
	return __atomic_load_n((const uint64_t *)(const void *)m->data +
			       (pos & m->mask), __ATOMIC_RELAXED);
}

/* Slots from @pos to the end of the ring, up to @nr. */
static inline unsigned int pulse__lane_run(const struct pulse__lane_map *m,
					   uint64_t pos, unsigned int nr)
{
	uint64_t to_end = m->mask + 1 - (pos & m->mask);

	return nr < to_end ? nr : (unsigned int)to_end;
}

/* Several whole elements, one after the other. */
static inline void pulse__lane_put_n(const struct pulse__lane_map *m,
				     bool words, uint64_t pos,
				     const void *elems, unsigned int nr)
{
	const unsigned char *from = elems;

	if (!words && m->elem_bytes == m->stride) {
		unsigned int run = pulse__lane_run(m, pos, nr);
		size_t bytes = (size_t)run * m->stride;

		memcpy(pulse__lane_slot(m, pos), from, bytes);
		if (unlikely(run < nr))
			memcpy(m->data, from + bytes,
			       (size_t)(nr - run) * m->stride);
		return;
	}
	for (unsigned int i = 0; i < nr; i++, from += m->elem_bytes)
		pulse__lane_put(m, words, pos + i, from, m->elem_bytes);
}

static inline void pulse__lane_get_n(const struct pulse__lane_map *m,
				     bool words, uint64_t pos, void *elems,
				     unsigned int nr)
{
	unsigned char *to = elems;

	if (!words && m->elem_bytes == m->stride) {
		unsigned int run = pulse__lane_run(m, pos, nr);
		size_t bytes = (size_t)run * m->stride;

		memcpy(to, pulse__lane_slot(m, pos), bytes);
		if (unlikely(run < nr))
			memcpy(to + bytes, m->data,
			       (size_t)(nr - run) * m->stride);
		return;
	}
	for (unsigned int i = 0; i < nr; i++, to += m->elem_bytes)
		pulse__lane_get(m, words, pos + i, to);
}

/* ---- sender ------------------------------------------------------------ */

/* Looks at head again. Room there is: 0 to N; -EPROTO. */
static PULSE__NOINLINE int64_t pulse__lane_look(struct pulse__lane_tx *tx)
{
	/* D: pairs with C in pulse__lane_done. litmus: lane_reuse */
	uint64_t head = pulse__load_acquire(&tx->m.lane->head);
	uint64_t used = tx->tail - head;

	if (unlikely(used > tx->m.mask + 1))
		return -EPROTO;
	tx->stop = head + tx->m.mask + 1;
	return (int64_t)(tx->m.mask + 1 - used);
}

/* Room for elements, as far as is worth knowing: 0 full, or -EPROTO. */
static inline int64_t pulse__lane_room(struct pulse__lane_tx *tx, uint64_t want)
{
	uint64_t room = tx->stop - tx->tail;

	return likely(room >= want) ? (int64_t)room : pulse__lane_look(tx);
}

/* A: what was put into the next @nr slots can be seen. */
static inline void pulse__lane_publish(struct pulse__lane_tx *tx, uint64_t nr)
{
	tx->tail += nr;
	/* pairs with B in pulse__lane_ready, pulse__lane_claim. litmus: lane_push */
	pulse__store_release(&tx->m.lane->tail, tx->tail);
}

/*
 * Drops the oldest @nr of a full lane; fewer where receivers did so.
 *
 * Acquire: the slots are written after whoever moved head has read them.
 */
static inline int pulse__lane_drop(struct pulse__lane_tx *tx, uint64_t nr)
{
	uint64_t head = tx->stop - tx->m.mask - 1;

	if (pulse__cas(&tx->m.lane->head, &head, head + nr, __ATOMIC_ACQ_REL,
		       __ATOMIC_ACQUIRE)) {
		tx->stop += nr;
		WRITE_ONCE(tx->m.lane->dropped_old,
			   READ_ONCE(tx->m.lane->dropped_old) + nr);
		return 0;
	}
	if (tx->tail - head > tx->m.mask + 1)
		return -EPROTO;
	tx->stop = head + tx->m.mask + 1;
	return 0;
}

/*
 * The slots of the next burst, or the line of a word some lines on, are with the
 * receiver, who read them a lap ago: have them fetched while this one is written.
 * Not where they may be full: it is about to read them.
 */
static inline void pulse__lane_tx_ahead(const struct pulse__lane_tx *tx,
					unsigned int nr)
{
	const unsigned char *at = pulse__lane_slot(&tx->m, tx->tail + nr);
	size_t bytes = (size_t)nr * tx->m.stride;

	if (tx->stop - tx->tail < 2 * (uint64_t)nr)
		return;
	if (bytes > PULSE__FETCH_MOST)
		bytes = PULSE__FETCH_MOST;
	for (size_t i = 0; i < bytes; i += PULSE_CACHE_LINE)
		pulse__fetch_to_write(at + i);
}

static inline void pulse__lane_tx_word_ahead(const struct pulse__lane_tx *tx)
{
	if (!(tx->tail % PULSE__LANE_WORDS) &&
	    tx->stop - tx->tail > PULSE__LANE_TX_AHEAD)
		pulse__fetch_to_write((const uint64_t *)(const void *)
				      tx->m.data +
				      ((tx->tail + PULSE__LANE_TX_AHEAD) &
				       tx->m.mask));
}

/* ---- the only receiver ------------------------------------------------- */

/* Elements there are, as far as is worth knowing: 0 none, or -EPROTO. */
static inline int64_t pulse__lane_ready(struct pulse__lane_rx *rx, uint64_t want)
{
	uint64_t ready = rx->tail_seen - rx->head;

	if (ready < want) {
		/* B: pairs with A in pulse__lane_publish. litmus: lane_push */
		uint64_t tail = pulse__load_acquire(&rx->m.lane->tail);

		ready = tail - rx->head;
		if (unlikely(ready > rx->m.mask + 1))
			return -EPROTO;
		rx->tail_seen = tail;
	}
	return (int64_t)ready;
}

/* The sender wrote them: have the next ones fetched while these are read. */
static inline void pulse__lane_rx_ahead(const struct pulse__lane_rx *rx,
					unsigned int nr)
{
	const unsigned char *at = pulse__lane_slot(&rx->m, rx->head + nr);
	size_t bytes = (size_t)nr * rx->m.stride;

	if (rx->tail_seen - rx->head < 2 * (uint64_t)nr)
		return;
	if (bytes > PULSE__FETCH_MOST)
		bytes = PULSE__FETCH_MOST;
	for (size_t i = 0; i < bytes; i += PULSE_CACHE_LINE)
		pulse__fetch_to_read(at + i);
}

static inline void pulse__lane_rx_word_ahead(const struct pulse__lane_rx *rx)
{
	if (!(rx->head % PULSE__LANE_WORDS) &&
	    rx->tail_seen - rx->head > PULSE__LANE_RX_AHEAD)
		pulse__fetch_to_read((const uint64_t *)(const void *)
				     rx->m.data +
				     ((rx->head + PULSE__LANE_RX_AHEAD) &
				      rx->m.mask));
}

/* C: the next @nr slots were read. pairs with D. litmus: lane_reuse */
static inline void pulse__lane_done(struct pulse__lane_rx *rx, uint64_t nr)
{
	rx->head += nr;
	pulse__store_release(&rx->m.lane->head, rx->head);
}

/* ---- one of many receivers --------------------------------------------- */

#define PULSE__LANE_TRIES 64

/*
 * C: pairs with D. Fails where the copy may be torn. @gate, or NULL: open as long
 * as there is no other receiver, and then a store is enough; where it is shut, or
 * the store was interrupted, the exchange is right in any case. spin: bias
 */
static inline bool pulse__lane_move(uint64_t *head, uint64_t *from, uint64_t to,
				    const uint32_t *gate)
{
	if (gate && pulse__rseq_store(gate, head, to))
		return true;
	return pulse__cas(head, from, to, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/*
 * Up to @nr elements, copied and then claimed. How many, at least 1; 0 empty,
 * or others are faster all the time; -EPROTO.
 */
static inline int pulse__lane_claim(struct pulse__lane_rx *rx, void *elems,
				    unsigned int nr, const uint32_t *gate)
{
	struct pulse__lane *lane = rx->m.lane;
	uint64_t head = READ_ONCE(lane->head);

	for (int tries = 0; tries < PULSE__LANE_TRIES; tries++) {
		uint64_t ready = rx->tail_seen - head;
		unsigned int n;

		if (!ready || ready > rx->m.mask + 1) {
			/* B: pairs with A in pulse__lane_publish */
			uint64_t tail = pulse__load_acquire(&lane->tail);

			ready = tail - head;
			rx->tail_seen = tail;
			if (!ready)
				return 0;
			if (ready > rx->m.mask + 1) {
				uint64_t now = pulse__load_acquire(&lane->head);

				/* Ours was old, or a word is a lie. */
				if (now == head)
					return -EPROTO;
				head = now;
				continue;
			}
		}
		n = ready < nr ? (unsigned int)ready : nr;
		pulse__lane_get_n(&rx->m, true, head, elems, n);
		if (likely(pulse__lane_move(&lane->head, &head, head + n, gate)))
			return (int)n;
		cpu_relax();
	}
	return 0;
}

#endif /* PULSE__LANE_INLINE_H */

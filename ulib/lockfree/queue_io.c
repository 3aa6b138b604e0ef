// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * queue_io.c - elements go in and come out. The protocol of a lane stands in
 * lane_inline.h; here is what to do with a full one, and whose turn it is.
 */
/* The inline functions of queue.h have their exported twins here. */
#define PULSE__QUEUE_TWINS

#include "lockfree/queue_int.h"

#define PULSE__DROP_TRIES 64

/* ---- in ---------------------------------------------------------------- */

/* Drops the oldest until there is room for @want. As pulse__queue_room(). */
static int pulse__queue_drop_old(struct pulse_queue_tx *tx, unsigned int want)
{
	int64_t room = 0;

	for (int tries = 0; tries < PULSE__DROP_TRIES; tries++) {
		room = pulse__lane_look(&tx->t);
		if (room < 0 || room >= want)
			break;
		if (pulse__lane_drop(&tx->t, want - (unsigned int)room))
			return pulse__queue_eproto(tx->q);
	}
	if (room < 0)
		return pulse__queue_eproto(tx->q);
	if (room > want)
		return (int)want;
	return room ? (int)room : -EAGAIN;
}

/* With _DROP_OLD and _BLOCK. */
static PULSE__NOINLINE int pulse__queue_full(struct pulse_queue_tx *tx,
					     unsigned int want)
{
	int err;

	if (tx->overflow == PULSE_QUEUE_DROP_OLD)
		return pulse__queue_drop_old(tx, want);
	err = pulse__queue_wait_room(tx);
	if (err)
		return err;
	err = (int)pulse__lane_room(&tx->t, want);
	return err > (int)want ? (int)want : err;
}

/* Room for up to @want, which a lane can hold: 1 to @want, or a reason. */
static inline int pulse__queue_room(struct pulse_queue_tx *tx,
				    unsigned int want)
{
	int64_t room = pulse__lane_room(&tx->t, want);

	if (likely(room >= want))
		return (int)want;
	if (unlikely(room < 0))
		return pulse__queue_eproto(tx->q);
	if (room && tx->overflow != PULSE_QUEUE_DROP_OLD)
		return (int)room;
	if (tx->overflow <= PULSE_QUEUE_DROP_NEW)
		return -EAGAIN;
	return pulse__queue_full(tx, want);
}

static int pulse__queue_dropped(struct pulse_queue_tx *tx, unsigned int nr)
{
	uint64_t *word = &tx->t.m.lane->dropped_new;

	WRITE_ONCE(*word, READ_ONCE(*word) + nr);
	return 0;
}

int pulse_queue_push(struct pulse_queue_tx *tx, const void *elem, size_t bytes)
{
	int n;

	if (unlikely(!tx || !elem || !bytes))
		return -EINVAL;
	if (unlikely(bytes > tx->t.m.elem_bytes))
		return -EMSGSIZE;
	if (pulse__forked(tx->fork_gen))
		return -EOWNERDEAD;
	n = pulse__queue_room(tx, 1);
	if (unlikely(n < 0)) {
		if (n == -EAGAIN && tx->overflow == PULSE_QUEUE_DROP_NEW)
			return pulse__queue_dropped(tx, 1);
		return n;
	}
	pulse__lane_put(&tx->t.m, tx->t.words, tx->t.tail, elem, bytes);
	pulse__lane_publish(&tx->t, 1);
	tx->reserved = 0;
	pulse__queue_tell(tx->q, &tx->q->shm->rx_wait);
	return 0;
}

int pulse_queue_push_word_slow(struct pulse_queue_tx *tx, uint64_t word)
{
	if (unlikely(!tx))
		return -EINVAL;
	if (unlikely(tx->t.m.elem_bytes != sizeof(word)))
		return -EMSGSIZE;
	return pulse_queue_push(tx, &word, sizeof(word));
}

void pulse_queue_push_heard(struct pulse_queue_tx *tx)
{
	pulse__queue_wake(tx->q, &tx->q->shm->rx_wait);
}

/* @nr, but no more than a lane has entries, which an int can tell. */
static unsigned int pulse__lane_most(const struct pulse__lane_map *m,
				     unsigned int nr)
{
	return nr <= m->mask ? nr : (unsigned int)(m->mask + 1);
}

int pulse_queue_push_n(struct pulse_queue_tx *tx, const void *elems,
		       unsigned int nr)
{
	const struct pulse__lane_map *m;
	unsigned int most;
	int n;

	if (unlikely(!tx || !elems || !nr))
		return -EINVAL;
	if (pulse__forked(tx->fork_gen))
		return -EOWNERDEAD;
	m = &tx->t.m;
	most = pulse__lane_most(m, nr);
	n = pulse__queue_room(tx, most);
	if (unlikely(n < 0)) {
		if (n == -EAGAIN && tx->overflow == PULSE_QUEUE_DROP_NEW)
			return pulse__queue_dropped(tx, nr);
		return n;
	}
	if (unlikely((unsigned int)n < nr) &&
	    tx->overflow == PULSE_QUEUE_DROP_NEW)
		pulse__queue_dropped(tx, nr - (unsigned int)n);
	pulse__lane_tx_ahead(&tx->t, (unsigned int)n);
	pulse__lane_put_n(m, tx->t.words, tx->t.tail, elems, (unsigned int)n);
	pulse__lane_publish(&tx->t, (unsigned int)n);
	tx->reserved = 0;
	pulse__queue_tell(tx->q, &tx->q->shm->rx_wait);
	return n;
}

int pulse_queue_reserve(struct pulse_queue_tx *tx, unsigned int nr, void **out)
{
	const struct pulse__lane_map *m;
	uint64_t to_end;
	int n;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!tx || !nr)
		return -EINVAL;
	if (pulse__forked(tx->fork_gen))
		return -EOWNERDEAD;
	m = &tx->t.m;
	to_end = m->mask + 1 - (tx->t.tail & m->mask);
	n = pulse__queue_room(tx, nr < to_end ? nr : (unsigned int)to_end);
	if (n < 0)
		return n;
	tx->reserved = (unsigned int)n;
	tx->reserved_at = tx->t.tail;
	*out = pulse__lane_slot(m, tx->t.tail);
	return n;
}

int pulse_queue_commit(struct pulse_queue_tx *tx, unsigned int nr)
{
	if (!tx)
		return -EINVAL;
	if (pulse__forked(tx->fork_gen))
		return -EOWNERDEAD;
	if (nr && (nr > tx->reserved || tx->t.tail != tx->reserved_at))
		return -EINVAL;
	tx->reserved = 0;
	if (!nr)
		return 0;
	pulse__lane_publish(&tx->t, nr);
	pulse__queue_tell(tx->q, &tx->q->shm->rx_wait);
	return 0;
}

/* ---- out --------------------------------------------------------------- */

/* Up to @nr elements of a lane whose only receiver this is. As below. */
static inline int pulse__lane_take_own(struct pulse__lane_rx *r, void *elems,
				       unsigned int nr)
{
	int64_t ready = pulse__lane_ready(r, nr);
	int n;

	if (unlikely(ready <= 0))
		return (int)ready;
	n = ready < nr ? (int)ready : (int)nr;
	if (n == 1) {
		pulse__lane_get(&r->m, false, r->head, elems);
	} else {
		pulse__lane_rx_ahead(r, (unsigned int)n);
		pulse__lane_get_n(&r->m, false, r->head, elems,
				  (unsigned int)n);
	}
	pulse__lane_done(r, (unsigned int)n);
	return n;
}

/* Up to @nr elements of the lane. How many; 0 none; -EPROTO. */
static inline int pulse__lane_take(struct pulse_queue_rx *rx,
				   struct pulse__lane_rx *r, void *elems,
				   unsigned int nr)
{
	if (rx->q->claims)
		return pulse__lane_claim(r, elems, nr,
					 rx->biased ? &rx->gate : NULL);
	return pulse__lane_take_own(r, elems, nr);
}

static inline void pulse__queue_next_lane(struct pulse_queue_rx *rx)
{
	if (++rx->cur >= rx->q->lanes)
		rx->cur = 0;
	rx->left = PULSE__QUEUE_TURN;
}

/* Tries each lane once, from the one whose turn it is. */
static inline int pulse__queue_take_n(struct pulse_queue_rx *rx, void *elems,
				      unsigned int nr)
{
	struct pulse_queue *q = rx->q;
	int n = 0, err = -EAGAIN;

	if (!rx->left)
		pulse__queue_next_lane(rx);
	for (uint32_t i = 0; i < q->lanes; i++) {
		n = pulse__lane_take(rx, &rx->r[rx->cur], elems, nr);
		if (likely(n > 0))
			break;
		if (n < 0)
			err = n;
		pulse__queue_next_lane(rx);
	}
	if (n <= 0)
		return err == -EPROTO ? pulse__queue_eproto(q) : err;
	rx->left -= rx->left < (unsigned int)n ? rx->left : (unsigned int)n;
	rx->peeked = 0;
	if (q->overflow == PULSE_QUEUE_BLOCK)
		pulse__queue_tell(q, &q->shm->tx_wait);
	return n;
}

int pulse_queue_pop(struct pulse_queue_rx *rx, void *elem, size_t *bytes)
{
	int n;

	if (unlikely(!rx || !elem))
		return -EINVAL;
	if (unlikely(bytes && *bytes < rx->elem_bytes))
		return -EMSGSIZE;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	if (likely(rx->plain)) {
		struct pulse__lane_rx *r = &rx->r[0];
		int64_t ready = pulse__lane_ready(r, 1);

		if (ready <= 0)
			return ready ? pulse__queue_eproto(rx->q) : -EAGAIN;
		pulse__lane_get(&r->m, false, r->head, elem);
		pulse__lane_done(r, 1);
		rx->peeked = 0;
	} else {
		n = pulse__queue_take_n(rx, elem, 1);
		if (n < 0)
			return n;
	}
	if (bytes)
		*bytes = rx->elem_bytes;
	return 0;
}

/*
 * As pulse__queue_take_n(), for one word of the lane whose turn it is. False:
 * it is not to be had like this, or there is none.
 */
static inline bool pulse__queue_take_alone(struct pulse_queue_rx *rx,
					   uint64_t *word)
{
	struct pulse__lane_rx *r = &rx->r[rx->cur];
	uint64_t *at = &r->m.lane->head;
	uint64_t head = READ_ONCE(*at), value;

	if (r->tail_seen - head - 1 > r->m.mask) {
		/* B: pairs with A in pulse__lane_publish. litmus: lane_push */
		r->tail_seen = pulse__load_acquire(&r->m.lane->tail);
		if (r->tail_seen - head - 1 > r->m.mask)
			return false;
	}
	value = pulse__lane_get_word(&r->m, head);
	if (unlikely(!pulse__rseq_store(&rx->gate, at, head + 1)))
		return false;
	*word = value;
	rx->left--;
	rx->peeked = 0;
	return true;
}

int pulse_queue_pop_word_slow(struct pulse_queue_rx *rx, uint64_t *word)
{
	if (unlikely(!rx))
		return -EINVAL;
	if (rx->words_alone && word && rx->left &&
	    !pulse__forked(rx->fork_gen) && pulse__queue_take_alone(rx, word))
		return 0;
	if (unlikely(rx->elem_bytes != sizeof(*word)))
		return -EMSGSIZE;
	return pulse_queue_pop(rx, word, NULL);
}

int pulse_queue_pop_n(struct pulse_queue_rx *rx, void *elems, unsigned int nr)
{
	int n;

	if (unlikely(!rx || !elems || !nr))
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	nr = pulse__lane_most(&rx->r[0].m, nr);
	if (unlikely(!rx->plain))
		return pulse__queue_take_n(rx, elems, nr);
	n = pulse__lane_take_own(&rx->r[0], elems, nr);
	if (unlikely(n <= 0))
		return n ? pulse__queue_eproto(rx->q) : -EAGAIN;
	rx->peeked = 0;
	return n;
}

int pulse_queue_peek(struct pulse_queue_rx *rx, unsigned int nr,
		     const void **out)
{
	struct pulse_queue *q;
	int64_t ready = 0;
	int err = -EAGAIN;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!rx || !nr)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	q = rx->q;
	if (q->claims)
		return -EOPNOTSUPP;
	if (!rx->left && !rx->peeked)
		pulse__queue_next_lane(rx);
	for (uint32_t i = 0; i < q->lanes; i++) {
		struct pulse__lane_rx *r = &rx->r[rx->cur];
		uint64_t to_end = r->m.mask + 1 - (r->head & r->m.mask);

		ready = pulse__lane_ready(r, nr);
		if (ready > 0) {
			if ((uint64_t)ready > to_end)
				ready = (int64_t)to_end;
			if (ready > nr)
				ready = nr;
			rx->peeked = (unsigned int)ready;
			rx->peeked_at = r->head;
			*out = pulse__lane_slot(&r->m, r->head);
			return (int)ready;
		}
		if (ready < 0)
			err = -EPROTO;
		pulse__queue_next_lane(rx);
	}
	return err == -EPROTO ? pulse__queue_eproto(q) : err;
}

int pulse_queue_release(struct pulse_queue_rx *rx, unsigned int nr)
{
	struct pulse_queue *q;

	if (!rx)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	if (nr && (nr > rx->peeked ||
		   rx->r[rx->cur].head != rx->peeked_at))
		return -EINVAL;
	rx->peeked = 0;
	if (!nr)
		return 0;
	q = rx->q;
	pulse__lane_done(&rx->r[rx->cur], nr);
	rx->left -= rx->left < nr ? rx->left : nr;
	if (q->overflow == PULSE_QUEUE_BLOCK)
		pulse__queue_tell(q, &q->shm->tx_wait);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * queue_open.c - senders and receivers come and go, and the dead are followed.
 *
 * A lane belongs to the process in its owner word, which is taken by
 * compare-exchange from 0 or from a process that ended. The new owner goes on
 * where the lane's tail stands: what the old one had not published was never
 * there.
 */
#include "lockfree/queue_int.h"

/*
 * Takes an owner word. 0, 1 it was a dead one's, -EBUSY a living one's.
 * Acquire on success: what the owner before wrote under it is seen.
 * pairs with pulse__queue_yield
 */
static int pulse__queue_take(uint64_t *word, uint64_t self)
{
	uint64_t owner = READ_ONCE(*word);
	int dead = 0;

	if (owner) {
		if (!pulse__owner_dead(owner))
			return -EBUSY;
		dead = 1;
	}
	return pulse__cas(word, &owner, self, __ATOMIC_ACQUIRE,
			  __ATOMIC_RELAXED) ? dead : -EBUSY;
}

/* A word that a peer has scribbled over is not ours to give any more. */
static void pulse__queue_yield(uint64_t *word, uint64_t self)
{
	pulse__cas(word, &self, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int pulse_queue_tx_open(struct pulse_queue *q, struct pulse_queue_tx **out)
{
	uint64_t self, head;
	struct pulse_queue_tx *tx;
	uint32_t i;
	int err = -EBUSY;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!q)
		return -EINVAL;
	if (pulse__forked(q->fork_gen))
		return -EOWNERDEAD;
	tx = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*tx));
	if (!tx)
		return -ENOMEM;
	self = pulse__owner_self();
	for (i = 0; i < q->lanes && err < 0; i++)
		err = pulse__queue_take(&q->shm->lane[i].owner, self);
	if (err < 0) {
		pulse__free(tx);
		return err;
	}
	tx->q = q;
	tx->fork_gen = q->fork_gen;
	tx->slow = pulse__fork_word(q->light &&
				    q->elem_bytes == sizeof(uint64_t));
	tx->waits = &q->shm->rx_wait;
	tx->magic = PULSE__QUEUE_TX;
	tx->overflow = q->overflow;
	tx->t.m = pulse__queue_map(q, i - 1);
	tx->t.words = q->claims;
	tx->t.tail = READ_ONCE(tx->t.m.lane->tail);
	head = pulse__load_acquire(&tx->t.m.lane->head);
	tx->t.stop = head + q->mask + 1;
	if (tx->t.tail - head > q->mask + 1) {
		pulse__queue_yield(&tx->t.m.lane->owner, self);
		pulse__free(tx);
		return pulse__queue_eproto(q);
	}
	if (err)
		pulse__add_relaxed(&tx->t.m.lane->takeovers, 1);
	pulse__add_relaxed(&q->open, 1);
	*out = tx;
	return 0;
}

int pulse_queue_tx_close(struct pulse_queue_tx *tx)
{
	if (!tx)
		return -EINVAL;
	pulse__obj_check(tx, PULSE__QUEUE_TX, "pulse_queue_tx_close");
	tx->magic = PULSE__MAGIC_DEAD;
	/* A child has only a copy: the lane is its parent's. */
	if (!pulse__forked(tx->fork_gen)) {
		pulse__queue_yield(&tx->t.m.lane->owner, pulse__owner_self());
		__atomic_fetch_sub(&tx->q->open, 1, __ATOMIC_RELAXED);
	}
	pulse__free(tx);
	return 0;
}

/*
 * One more receiver of a queue for many. The first is alone, and where it may
 * has a gate that is open. The second shuts that.
 */
static int pulse__queue_join(struct pulse_queue *q, struct pulse_queue_rx *rx)
{
	int err = 0;

	pthread_mutex_lock(&q->rx_lock);
	if (!q->receivers && q->bias) {
		rx->biased = true;
		rx->gate = 1;
		q->alone = rx;
	} else if (q->alone) {
		WRITE_ONCE(q->alone->gate, 0);
		/* B: pairs with A in base/rseq.h */
		err = pulse__rseq_fence();
		if (!err)
			q->alone = NULL;
	}
	if (!err)
		q->receivers++;
	pthread_mutex_unlock(&q->rx_lock);
	return err;
}

static void pulse__queue_part(struct pulse_queue *q, struct pulse_queue_rx *rx)
{
	pthread_mutex_lock(&q->rx_lock);
	if (q->alone == rx)
		q->alone = NULL;
	q->receivers--;
	pthread_mutex_unlock(&q->rx_lock);
}

int pulse_queue_rx_open(struct pulse_queue *q, struct pulse_queue_rx **out)
{
	struct pulse_queue_rx *rx;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!q)
		return -EINVAL;
	if (pulse__forked(q->fork_gen))
		return -EOWNERDEAD;
	rx = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*rx) +
				  q->lanes * sizeof(rx->r[0]));
	if (!rx)
		return -ENOMEM;
	err = q->kind == PULSE_QUEUE_MPMC ? pulse__queue_join(q, rx) :
	      pulse__queue_take(&q->shm->receiver, pulse__owner_self());
	if (err < 0) {
		pulse__free(rx);
		return err;
	}
	rx->q = q;
	rx->fork_gen = q->fork_gen;
	rx->magic = PULSE__QUEUE_RX;
	for (uint32_t i = 0; i < q->lanes; i++) {
		rx->r[i].m = pulse__queue_map(q, i);
		rx->r[i].head = pulse__load_acquire(&rx->r[i].m.lane->head);
		rx->r[i].tail_seen = rx->r[i].head;
	}
	/* Receivers begin at different lanes, so as not to meet. */
	rx->cur = pulse__add_relaxed(&q->open, 1) % q->lanes;
	rx->left = PULSE__QUEUE_TURN;
	rx->elem_bytes = q->elem_bytes;
	rx->plain = q->lanes == 1 && !q->claims &&
		    q->overflow != PULSE_QUEUE_BLOCK;
	rx->slow = pulse__fork_word(rx->plain &&
				    q->elem_bytes == sizeof(uint64_t));
	rx->words_alone = rx->biased && q->elem_bytes == sizeof(uint64_t) &&
			  q->overflow != PULSE_QUEUE_BLOCK;
	*out = rx;
	return 0;
}

int pulse_queue_rx_close(struct pulse_queue_rx *rx)
{
	if (!rx)
		return -EINVAL;
	pulse__obj_check(rx, PULSE__QUEUE_RX, "pulse_queue_rx_close");
	rx->magic = PULSE__MAGIC_DEAD;
	if (!pulse__forked(rx->fork_gen)) {
		if (rx->q->kind == PULSE_QUEUE_MPMC)
			pulse__queue_part(rx->q, rx);
		else
			pulse__queue_yield(&rx->q->shm->receiver,
					   pulse__owner_self());
		__atomic_fetch_sub(&rx->q->open, 1, __ATOMIC_RELAXED);
	}
	pulse__free(rx);
	return 0;
}

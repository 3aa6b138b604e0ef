// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shmbox_io.c - senders and receivers of a mailbox between processes.
 */
#include "mailbox/shmbox.h"

/* ---- in ---------------------------------------------------------------- */

int pulse_shmbox_tx_open(struct pulse_shmbox *mb, struct pulse_shmbox_tx **out)
{
	struct pulse_shmbox_tx *tx;
	int err = 0;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!mb)
		return -EINVAL;
	if (pulse__forked(mb->fork_gen))
		return -EOWNERDEAD;
	tx = pulse__aligned_alloc(16, sizeof(*tx) + mb->slot_bytes);
	if (!tx)
		return -ENOMEM;
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES && !err; i++)
		err = pulse_queue_tx_open(mb->queue[i], &tx->tx[i]);
	if (err) {
		for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
			pulse_queue_tx_close(tx->tx[i]);
		pulse__free(tx);
		return err;
	}
	tx->mb = mb;
	tx->fork_gen = mb->fork_gen;
	tx->magic = PULSE__SHMBOX_TX;
	pulse__add_relaxed(&mb->open, 1);
	*out = tx;
	return 0;
}

int pulse_shmbox_tx_close(struct pulse_shmbox_tx *tx)
{
	if (!tx)
		return -EINVAL;
	pulse__obj_check(tx, PULSE__SHMBOX_TX, "pulse_shmbox_tx_close");
	tx->magic = PULSE__MAGIC_DEAD;
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		pulse_queue_tx_close(tx->tx[i]);
	if (!pulse__forked(tx->fork_gen))
		__atomic_fetch_sub(&tx->mb->open, 1, __ATOMIC_RELAXED);
	pulse__free(tx);
	return 0;
}

/* A lane is full, and the policy is to wait. */
static int pulse__shmbox_push_wait(struct pulse_shmbox_tx *tx,
				   struct pulse_queue_tx *lane, size_t bytes)
{
	struct pulse_shmbox *mb = tx->mb;
	int64_t deadline = pulse__deadline_after(pulse_now_ns(), mb->block_ns);
	int err;

	for (;;) {
		pulse__shmbox_want_room(mb);
		if (pulse__shmbox_closed(mb))
			return -ESRCH;
		err = pulse_queue_push(lane, tx->slot, bytes);
		if (err != -EAGAIN)
			return err;
		if (deadline != PULSE_FOREVER && pulse_now_ns() >= deadline)
			return -ETIMEDOUT;
		if (pulse__shmbox_orphaned(mb))
			return -ESRCH;
		pulse__shmbox_sleep_for_room(mb, deadline);
	}
}

int pulse_shmbox_send(struct pulse_shmbox_tx *tx,
		      const struct pulse_message *msg)
{
	struct pulse_queue_tx *lane;
	struct pulse_shmbox *mb;
	int64_t now;
	size_t bytes;
	int err;

	if (!tx || !msg)
		return -EINVAL;
	if (pulse__forked(tx->fork_gen))
		return -EOWNERDEAD;
	mb = tx->mb;
	if (pulse__shmbox_closed(mb))
		return -ESRCH;
	now = pulse_now_ns();
	if (pulse__message_over(msg, &now))
		return -ETIME;
	bytes = pulse__wire_write(tx->slot, mb->slot_bytes, msg, now,
				  mb->default_ttl_ns);
	if (!bytes)
		return -EMSGSIZE;
	lane = tx->tx[msg->queue];
	err = pulse_queue_push(lane, tx->slot, bytes);
	if (err == -EAGAIN && mb->overflow == PULSE_MAILBOX_BLOCK)
		err = pulse__shmbox_push_wait(tx, lane, bytes);
	if (!err)
		pulse__shmbox_ring(mb);
	return err;
}

/* ---- out --------------------------------------------------------------- */

int pulse_shmbox_rx_open(struct pulse_shmbox *mb, int index,
			 struct pulse_shmbox_rx **out)
{
	struct pulse_shmbox_rx *rx;
	int err = 0;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!mb || index < -1 || (index >= 0 && !mb->ctx))
		return -EINVAL;
	if (pulse__forked(mb->fork_gen))
		return -EOWNERDEAD;
	rx = pulse__aligned_alloc(16, sizeof(*rx) + mb->slot_bytes);
	if (!rx)
		return -ENOMEM;
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES && !err; i++)
		err = pulse_queue_rx_open(mb->queue[i], &rx->rx[i]);
	if (!err && mb->dead)
		err = pulse_queue_tx_open(mb->dead, &rx->dead);
	if (err) {
		for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
			pulse_queue_rx_close(rx->rx[i]);
		pulse__free(rx);
		return err;
	}
	rx->mb = mb;
	rx->fork_gen = mb->fork_gen;
	rx->magic = PULSE__SHMBOX_RX;
	pulse__shmbox_rx_worker(rx, index);
	pulse__add_relaxed(&mb->open, 1);
	*out = rx;
	return 0;
}

void pulse__shmbox_rx_worker(struct pulse_shmbox_rx *rx, int index)
{
	rx->worker = index;
	/* pairs with pulse__shmbox_ring: read behind the bell */
	pulse__store_release(&rx->mb->shm->worker, index);
}

void pulse__shmbox_done(struct pulse_shmbox_rx *rx)
{
	if (!rx->in_hand)
		return;
	pulse_queue_release(rx->in_hand, 1);
	rx->in_hand = NULL;
	pulse__shmbox_ring_room(rx->mb);
}

int pulse_shmbox_ack(struct pulse_shmbox_rx *rx)
{
	if (!rx)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	if (!rx->in_hand)
		return -ENOENT;
	pulse__shmbox_done(rx);
	return 0;
}

int pulse_shmbox_rx_close(struct pulse_shmbox_rx *rx)
{
	if (!rx)
		return -EINVAL;
	pulse__obj_check(rx, PULSE__SHMBOX_RX, "pulse_shmbox_rx_close");
	rx->magic = PULSE__MAGIC_DEAD;
	if (!pulse__forked(rx->fork_gen)) {
		pulse__shmbox_done(rx);
		__atomic_fetch_sub(&rx->mb->open, 1, __ATOMIC_RELAXED);
	}
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		pulse_queue_rx_close(rx->rx[i]);
	pulse_queue_tx_close(rx->dead);
	pulse__free(rx);
	return 0;
}

/* The element of a queue whose turn it is, copied to rx->slot. Bytes, or why not. */
static int pulse__shmbox_fetch(struct pulse_shmbox_rx *rx,
			       struct pulse_queue_rx *queue)
{
	struct pulse_shmbox *mb = rx->mb;
	const unsigned char *elem;
	const void *at;
	uint32_t bytes;
	int err;

	/* Dropped as the oldest perhaps, while it is looked at: not in place. */
	if (mb->overflow == PULSE_MAILBOX_DROP_OLD) {
		if (rx->popped) {
			rx->popped = false;
			return (int)mb->slot_bytes;
		}
		err = pulse_queue_pop(queue, rx->slot, NULL);
		return err ? err : (int)mb->slot_bytes;
	}
	err = pulse_queue_peek(queue, 1, &at);
	if (err < 0)
		return err;
	rx->in_hand = queue;
	elem = at;
	/* Its sender may write it still: copied first, then read. */
	bytes = READ_ONCE(*(const uint32_t *)at);
	if (bytes > mb->slot_bytes || bytes < sizeof(struct pulse__wire))
		bytes = sizeof(struct pulse__wire);
	memcpy(rx->slot, elem, bytes);
	return (int)bytes;
}

/* 0; -EAGAIN nothing is there; -EPROTO, -ENOMEM. */
static int pulse__shmbox_take(struct pulse_shmbox_rx *rx,
			      struct pulse_message **msg)
{
	struct pulse__shmbox_shm *shm = rx->mb->shm;
	int64_t now = 0;

	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++) {
		int n, err;

		while ((n = pulse__shmbox_fetch(rx, rx->rx[i])) >= 0) {
			err = pulse__wire_read(rx->slot, (size_t)n, msg);
			if (err == -ENOMEM) {
				/* Not done, and not in hand either. */
				if (rx->in_hand)
					pulse_queue_release(rx->in_hand, 0);
				else
					rx->popped = true;
				rx->in_hand = NULL;
				return err;
			}
			if (err) {
				WRITE_ONCE(shm->malformed,
					   READ_ONCE(shm->malformed) + 1);
				pulse__shmbox_done(rx);
				return err;
			}
			if (likely(!pulse__message_over(*msg, &now)))
				return 0;
			WRITE_ONCE(shm->expired, READ_ONCE(shm->expired) + 1);
			pulse__shmbox_bury(rx, PULSE_DEAD_EXPIRED);
			pulse_message_put(*msg);
			*msg = NULL;
			pulse__shmbox_done(rx);
		}
		if (n != -EAGAIN)
			return n;
	}
	return -EAGAIN;
}

int pulse_shmbox_receive(struct pulse_shmbox_rx *rx, int64_t deadline_ns,
			 struct pulse_message **msg)
{
	if (!msg)
		return -EINVAL;
	*msg = NULL;
	if (!rx || deadline_ns < 0)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	pulse__shmbox_done(rx);
	for (;;) {
		/* Before the look: what was sent before it was closed is seen. */
		bool closed = pulse__shmbox_closed(rx->mb);
		int err = pulse__shmbox_take(rx, msg);

		if (err != -EAGAIN)
			return err;
		if (closed)
			return -ESHUTDOWN;
		if (!deadline_ns)
			return -EAGAIN;
		if (deadline_ns != PULSE_FOREVER &&
		    pulse_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		err = pulse__shmbox_sleep(rx, deadline_ns);
		if (err)
			return err;
	}
}

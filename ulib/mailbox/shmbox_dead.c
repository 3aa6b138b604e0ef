// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shmbox_dead.c - dead letters of a mailbox between processes.
 *
 * A dead letter is copied into the dead letters' queue first and then done with
 * in its own: who is killed between the two leaves it in both.
 */
#include "lockfree/queue_int.h"
#include "mailbox/shmbox.h"

void pulse__shmbox_bury(struct pulse_shmbox_rx *rx, int reason)
{
	struct pulse__shmbox_shm *shm = rx->mb->shm;
	struct pulse__wire w;

	WRITE_ONCE(shm->dead, READ_ONCE(shm->dead) + 1);
	if (!rx->dead)
		return;
	/* Read as a message before, so its lengths are true. */
	memcpy(&w, rx->slot, sizeof(w));
	w.dead = (uint8_t)reason;
	memcpy(rx->slot, &w, sizeof(w));
	/* -EAGAIN: as many are kept as may be */
	pulse_queue_push(rx->dead, rx->slot, w.all);
}

int pulse_shmbox_reject(struct pulse_shmbox_rx *rx)
{
	if (!rx)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	if (!rx->in_hand)
		return -ENOENT;
	WRITE_ONCE(rx->mb->shm->rejected, READ_ONCE(rx->mb->shm->rejected) + 1);
	pulse__shmbox_bury(rx, PULSE_DEAD_REJECTED);
	pulse__shmbox_done(rx);
	return 0;
}

size_t pulse_shmbox_dead_count(const struct pulse_shmbox *mb)
{
	return mb ? pulse_queue_count(mb->dead) : 0;
}

/* Become who looks at them. */
static int pulse__dead_open(struct pulse_shmbox *mb, struct pulse_queue_rx **rx)
{
	if (!mb)
		return -EINVAL;
	if (pulse__forked(mb->fork_gen))
		return -EOWNERDEAD;
	if (!mb->dead)
		return -EAGAIN;
	return pulse_queue_rx_open(mb->dead, rx);
}

/* The letter in @slot, which others may write: it is copied to @own first. */
static int pulse__dead_read(const struct pulse_shmbox *mb, const void *slot,
			    unsigned char *own, struct pulse_message **msg,
			    int *reason)
{
	struct pulse__wire w;

	memcpy(own, slot, mb->slot_bytes);
	memcpy(&w, own, sizeof(w));
	if (w.dead != PULSE_DEAD_EXPIRED && w.dead != PULSE_DEAD_REJECTED)
		return -EPROTO;
	*reason = w.dead;
	return pulse__wire_read(own, mb->slot_bytes, msg);
}

int pulse_shmbox_dead_each(struct pulse_shmbox *mb, pulse_dead_fn fn, void *arg)
{
	struct pulse_queue_rx *rx;
	struct pulse_message *msg;
	unsigned char *own;
	uint64_t tail;
	int reason, err;

	if (!fn)
		return -EINVAL;
	err = pulse__dead_open(mb, &rx);
	if (err)
		return err == -EAGAIN ? 0 : err;
	own = pulse__aligned_alloc(16, mb->slot_bytes);
	if (!own)
		err = -ENOMEM;
	/* pairs with the push of pulse__shmbox_bury */
	tail = pulse__load_acquire(&rx->r[0].m.lane->tail);
	if (tail - rx->r[0].head > rx->r[0].m.mask + 1)
		err = -EPROTO;
	for (uint64_t at = rx->r[0].head; !err && at != tail; at++) {
		err = pulse__dead_read(mb, pulse__lane_slot(&rx->r[0].m, at),
				       own, &msg, &reason);
		if (!err) {
			err = fn(msg, reason, arg);
			pulse_message_put(msg);
		} else if (err == -EPROTO) {
			err = 0;
		}
	}
	pulse__free(own);
	pulse_queue_rx_close(rx);
	return err;
}

/*
 * The oldest one, which @fn may keep (0) or refuse; where it keeps it, or it is
 * no message, it is taken out.
 */
static int pulse__dead_first(struct pulse_shmbox *mb, struct pulse_queue_rx *rx,
			     int (*fn)(struct pulse_message *msg, int reason,
				       void *arg), void *arg)
{
	struct pulse_message *msg;
	unsigned char *own;
	const void *slot;
	int reason, err;

	err = pulse_queue_peek(rx, 1, &slot);
	if (err < 0)
		return err;
	own = pulse__aligned_alloc(16, mb->slot_bytes);
	if (!own)
		return -ENOMEM;
	err = pulse__dead_read(mb, slot, own, &msg, &reason);
	if (!err)
		err = fn(msg, reason, arg);
	pulse_queue_release(rx, !err || err == -EPROTO);
	pulse__free(own);
	return err;
}

struct pulse__dead_taken {
	struct pulse_message *msg;
	int reason;
};

static int pulse__dead_take(struct pulse_message *msg, int reason, void *arg)
{
	struct pulse__dead_taken *t = arg;

	t->msg = msg;
	t->reason = reason;
	return 0;
}

int pulse_shmbox_dead_take(struct pulse_shmbox *mb, struct pulse_message **msg,
			   int *reason)
{
	struct pulse__dead_taken t;
	struct pulse_queue_rx *rx;
	int err;

	if (!msg)
		return -EINVAL;
	*msg = NULL;
	err = pulse__dead_open(mb, &rx);
	if (err)
		return err;
	err = pulse__dead_first(mb, rx, pulse__dead_take, &t);
	pulse_queue_rx_close(rx);
	if (err)
		return err;
	*msg = t.msg;
	if (reason)
		*reason = t.reason;
	return 0;
}

static int pulse__dead_send(struct pulse_message *msg, int reason, void *arg)
{
	int err;

	(void)reason;
	if (msg->ttl_ns)
		msg->expires_ns = pulse__deadline_after(pulse_now_ns(),
							msg->ttl_ns);
	err = pulse_shmbox_send(arg, msg);
	pulse_message_put(msg);
	return err;
}

int pulse_shmbox_redeliver(struct pulse_shmbox *mb, struct pulse_shmbox_tx *to,
			   unsigned int max)
{
	struct pulse_queue_rx *rx;
	int err, n = 0;

	if (!to || !max || max > INT_MAX)
		return -EINVAL;
	err = pulse__dead_open(mb, &rx);
	if (err)
		return err;
	while ((unsigned int)n < max) {
		err = pulse__dead_first(mb, rx, pulse__dead_send, to);
		if (err == -EPROTO)
			continue;
		if (err)
			break;
		n++;
	}
	pulse_queue_rx_close(rx);
	return n ? n : err;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * send.c - a message goes in: what is refused, what a full mailbox does. The
 * rule is a place, a push, and nobody to be woken.
 */
#include <sched.h>

#include "mailbox/mailbox.h"

static int pulse__mailbox_refuse(uint64_t *counter, int err)
{
	pulse__add_relaxed(counter, 1);
	return err;
}

/*
 * Takes the oldest of the least urgent out, if it is not more urgent than @msg.
 * True: there may be room now; false: @msg is what has to go.
 */
static bool pulse__mailbox_drop_old(struct pulse_mailbox *mb,
				    const struct pulse_message *msg)
{
	struct pulse_message *victim = NULL;
	bool other = true;

	pulse__mailbox_lock(mb);
	pulse__mailbox_move(mb);
	for (int i = PULSE_MESSAGE_PRIORITIES - 1; i >= 0 && !victim; i--) {
		if (!pulse__list_empty(&mb->queue[i]))
			victim = pulse__message_of(mb->queue[i].next);
	}
	if (victim && pulse__mailbox_full(mb)) {
		other = victim->queue >= msg->queue ||
			mb->flags & PULSE_MAILBOX_ONE_QUEUE;
		if (other) {
			pulse__mailbox_unlink(mb, victim);
			pulse__mailbox_add(mb->dropped_old, 1);
		}
	} else {
		/* There is room, or all places are taken and not filled yet. */
		victim = NULL;
	}
	pulse__mailbox_unlock(mb);
	if (!victim)
		sched_yield();
	else if (other)
		pulse__mailbox_bury(mb, victim, PULSE_DEAD_DROPPED_OLD);
	return other;
}

/* A place in a full one. 0; 1 the message is to be dropped; or an error. */
static PULSE__NOINLINE int pulse__mailbox_overflow(struct pulse_mailbox *mb,
						   struct pulse_message *msg,
						   const int64_t *deadline_ns)
{
	int64_t until;
	int err;

	if (pulse__box_closed(&mb->box))
		return -ESRCH;
	if (!deadline_ns && mb->overflow == PULSE_MAILBOX_DROP_NEW)
		return 1;
	if (!deadline_ns && mb->overflow == PULSE_MAILBOX_DROP_OLD) {
		do {
			if (!pulse__mailbox_drop_old(mb, msg))
				return 1;
		} while (!pulse__mailbox_room(mb));
		return 0;
	}
	if (!deadline_ns && mb->overflow == PULSE_MAILBOX_ERROR)
		return pulse__mailbox_refuse(&mb->refused_full, -EAGAIN);
	until = deadline_ns ? *deadline_ns :
		pulse__deadline_after(pulse_now_ns(), mb->block_ns);
	err = pulse__mailbox_wait_room(mb, until);
	if (err == -ETIMEDOUT)
		pulse__add_relaxed(&mb->refused_full, 1);
	return err;
}

/* Its id is among those in the mailbox from now on. */
static int pulse__mailbox_name(struct pulse_mailbox *mb,
			       struct pulse_message *msg)
{
	int err;

	pthread_mutex_lock(&mb->lock);
	err = pulse__ids_add(mb->ids, msg);
	pthread_mutex_unlock(&mb->lock);
	return err ? pulse__mailbox_refuse(&mb->refused_duplicate, err) : 0;
}

static void pulse__mailbox_unname(struct pulse_mailbox *mb,
				  struct pulse_message *msg)
{
	pthread_mutex_lock(&mb->lock);
	pulse__ids_del(mb->ids, msg);
	pthread_mutex_unlock(&mb->lock);
}

/* Its times, as this mailbox has them. -ETIME: it is worth nothing. */
static int pulse__mailbox_stamp(struct pulse_mailbox *mb,
				struct pulse_message *msg)
{
	int64_t now = 0;

	if (unlikely(pulse__message_over(msg, &now)))
		return pulse__mailbox_refuse(&mb->refused_expired, -ETIME);
	if (mb->flags & PULSE_MAILBOX_TIMES) {
		if (!now)
			now = pulse_now_ns();
		msg->sent_ns = now;
	}
	if (mb->default_ttl_ns && !msg->ttl_ns) {
		if (!now)
			now = pulse_now_ns();
		msg->ttl_ns = mb->default_ttl_ns;
		msg->expires_ns = pulse__deadline_after(now, msg->ttl_ns);
	}
	return 0;
}

/* What pulse__mailbox_stamp() gave it is taken back: it is the caller's. */
static void pulse__mailbox_unstamp(struct pulse_message *msg, int64_t ttl_ns)
{
	WRITE_ONCE(msg->lies, 0);
	msg->sent_ns = 0;
	if (!ttl_ns) {
		msg->ttl_ns = 0;
		msg->expires_ns = PULSE_FOREVER;
	}
}

static int pulse__mailbox_send(struct pulse_mailbox *mb,
			       struct pulse_message *msg,
			       const int64_t *deadline_ns)
{
	bool bounded, held = false;
	int64_t ttl_ns;
	int err = pulse__mailbox_check(mb);

	if (unlikely(err))
		return err;
	if (unlikely(!msg))
		return -EINVAL;
	pulse__obj_check(msg, PULSE__MESSAGE_MAGIC, "pulse_mailbox_send");
	if (unlikely(READ_ONCE(msg->lies)))
		return -EBUSY;
	if (unlikely(msg->bytes > mb->max_bytes))
		return pulse__mailbox_refuse(&mb->refused_size, -EMSGSIZE);
	if (unlikely(pulse__box_closed(&mb->box)))
		return pulse__mailbox_refuse(&mb->refused_closed, -ESRCH);
	bounded = mb->capacity != UINT64_MAX;
	ttl_ns = msg->ttl_ns;
	err = pulse__mailbox_stamp(mb, msg);
	if (unlikely(err))
		return err;
	WRITE_ONCE(msg->lies, 1);
	if (unlikely(mb->ids)) {
		err = pulse__mailbox_name(mb, msg);
		if (err) {
			pulse__mailbox_unstamp(msg, ttl_ns);
			return err;
		}
	}
	if (bounded && unlikely(!pulse__mailbox_room(mb))) {
		/* Who sleeps in it may see others give it up. */
		held = !pulse_mailbox_get(mb);
		err = held ? pulse__mailbox_overflow(mb, msg, deadline_ns) :
		      -EOVERFLOW;
	}
	if (likely(!err)) {
		err = pulse__box_push(&mb->box, &msg->node);
		if (unlikely(err < 0 && bounded))
			__atomic_fetch_sub(&mb->put, 1, __ATOMIC_RELAXED);
		else if (unlikely(err > 0))
			pulse__mailbox_wake(mb, err,
					    pulse__mailbox_wake_nr(mb));
		if (likely(err >= 0))
			goto out;
	}
	if (mb->ids)
		pulse__mailbox_unname(mb, msg);
	if (err > 0) {
		pulse__add_relaxed(&mb->dropped_new, 1);
		pulse__mailbox_bury(mb, msg, PULSE_DEAD_DROPPED_NEW);
	} else {
		pulse__mailbox_unstamp(msg, ttl_ns);
		if (err == -ESRCH)
			pulse__add_relaxed(&mb->refused_closed, 1);
	}
out:
	if (unlikely(held))
		pulse_mailbox_put(mb);
	return err < 0 ? err : 0;
}

int pulse_mailbox_send(struct pulse_mailbox *mb, struct pulse_message *msg)
{
	return pulse__mailbox_send(mb, msg, NULL);
}

int pulse_mailbox_send_until(struct pulse_mailbox *mb,
			     struct pulse_message *msg, int64_t deadline_ns)
{
	return pulse__mailbox_send(mb, msg, &deadline_ns);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * dead.c - dead letters: the newest are kept, to be looked at, taken or sent
 * once more.
 */
#include "mailbox/mailbox.h"

void pulse__mailbox_bury(struct pulse_mailbox *mb, struct pulse_message *msg,
			 enum pulse_dead_reason reason)
{
	pulse__add_relaxed(&mb->nr_dead_ever, 1);
	msg->reason = (uint8_t)reason;
	if (mb->max_dead) {
		WRITE_ONCE(msg->lies, 1);
		pthread_mutex_lock(&mb->dead_lock);
		pulse__list_add_tail(&mb->dead, &msg->link);
		msg = NULL;
		if (mb->nr_dead == mb->max_dead)
			msg = pulse__message_of(pulse__list_pop(&mb->dead));
		else
			mb->nr_dead++;
		pthread_mutex_unlock(&mb->dead_lock);
	}
	if (!msg)
		return;
	/* Somebody else's reference may keep it. */
	WRITE_ONCE(msg->lies, 0);
	pulse_message_put(msg);
}

void pulse__mailbox_bury_all(struct pulse_mailbox *mb, struct pulse__list *gone,
			     enum pulse_dead_reason reason)
{
	struct pulse__list *link;

	while ((link = pulse__list_pop(gone)))
		pulse__mailbox_bury(mb, pulse__message_of(link), reason);
}

int pulse_mailbox_reject(struct pulse_mailbox *mb, struct pulse_message *msg)
{
	int err = pulse__mailbox_check(mb);

	if (err)
		return err;
	if (!msg)
		return -EINVAL;
	if (READ_ONCE(msg->lies))
		return -EBUSY;
	pulse__add_relaxed(&mb->rejected, 1);
	pulse__mailbox_bury(mb, msg, PULSE_DEAD_REJECTED);
	return 0;
}

int pulse_mailbox_dead_each(struct pulse_mailbox *mb, pulse_dead_fn fn,
			    void *arg)
{
	int ret = pulse__mailbox_check(mb);
	struct pulse__list *at;

	if (ret)
		return ret;
	if (!fn)
		return -EINVAL;
	pthread_mutex_lock(&mb->dead_lock);
	pulse__list_for_each(at, &mb->dead) {
		const struct pulse_message *msg = pulse__message_of(at);

		ret = fn(msg, msg->reason, arg);
		if (ret)
			break;
	}
	pthread_mutex_unlock(&mb->dead_lock);
	return ret;
}

static struct pulse_message *pulse__mailbox_exhume(struct pulse_mailbox *mb)
{
	struct pulse_message *msg = NULL;
	struct pulse__list *link;

	pthread_mutex_lock(&mb->dead_lock);
	link = pulse__list_pop(&mb->dead);
	if (link) {
		mb->nr_dead--;
		msg = pulse__message_of(link);
		WRITE_ONCE(msg->lies, 0);
	}
	pthread_mutex_unlock(&mb->dead_lock);
	return msg;
}

/* What was taken out and could not be sent is the oldest again. */
static void pulse__mailbox_return(struct pulse_mailbox *mb,
				  struct pulse_message *msg)
{
	WRITE_ONCE(msg->lies, 1);
	pthread_mutex_lock(&mb->dead_lock);
	if (mb->nr_dead < mb->max_dead) {
		pulse__list_add(&mb->dead, &msg->link);
		mb->nr_dead++;
		msg = NULL;
	}
	pthread_mutex_unlock(&mb->dead_lock);
	if (!msg)
		return;
	/* Newer ones have taken its place meanwhile. */
	WRITE_ONCE(msg->lies, 0);
	pulse_message_put(msg);
}

int pulse_mailbox_dead_take(struct pulse_mailbox *mb,
			    struct pulse_message **msg, int *reason)
{
	int err = pulse__mailbox_check(mb);

	if (msg)
		*msg = NULL;
	if (err)
		return err;
	if (!msg)
		return -EINVAL;
	*msg = pulse__mailbox_exhume(mb);
	if (!*msg)
		return -EAGAIN;
	if (reason)
		*reason = (*msg)->reason;
	return 0;
}

int pulse_mailbox_redeliver(struct pulse_mailbox *mb, struct pulse_mailbox *to,
			    unsigned int max)
{
	int err = pulse__mailbox_check(mb), sent = 0;
	size_t left;

	if (err)
		return err;
	if (!max || max > INT_MAX)
		return -EINVAL;
	/* No more than there are now: what is dropped comes back here. */
	left = pulse_mailbox_dead_count(mb);
	if (left > max)
		left = max;
	for (; left; left--) {
		struct pulse_message *msg = pulse__mailbox_exhume(mb);
		int64_t before;

		if (!msg)
			break;
		before = msg->expires_ns;
		if (msg->ttl_ns)
			msg->expires_ns =
				pulse__deadline_after(pulse_now_ns(),
						      msg->ttl_ns);
		err = pulse_mailbox_send(to ? to : mb, msg);
		if (err) {
			msg->expires_ns = before;
			pulse__mailbox_return(mb, msg);
			return sent ? sent : err;
		}
		sent++;
	}
	return sent ? sent : -EAGAIN;
}

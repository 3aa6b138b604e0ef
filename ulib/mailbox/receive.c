// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * receive.c - the receiver's part: messages move from the box to the queues, and
 * are taken from these in their order or by what they are.
 */
#include "mailbox/mailbox.h"

/* What a receive looks for, and what it comes across. */
struct pulse__taking {
	struct pulse_selector *sel;	/* NULL: any */
	struct pulse_message **msgs;
	unsigned int max;
	const void *me;
	struct pulse__list gone;	/* the expired, to be buried */
	int64_t now_ns;			/* 0: not known yet */
};

void pulse__mailbox_move(struct pulse_mailbox *mb)
{
	struct pulse__box_node *node = pulse__box_take(&mb->box), *next;
	uint64_t nr = 0, bytes = 0, usage;

	if (!node)
		return;
	for (; node; node = next) {
		struct pulse_message *msg =
			container_of(node, struct pulse_message, node);
		int queue = mb->flags & PULSE_MAILBOX_ONE_QUEUE ? 0 :
			    msg->queue;

		next = node->next;
		msg->number = ++mb->number;
		bytes += msg->bytes;
		nr++;
		pulse__list_add_tail(&mb->queue[queue], &msg->link);
	}
	pulse__mailbox_add(mb->moved, nr);
	pulse__mailbox_add(mb->total_bytes, bytes);
	pulse__mailbox_add(mb->held_bytes, bytes);
	usage = mb->moved - mb->got;
	if (usage > mb->peak)
		WRITE_ONCE(mb->peak, usage);
}

/* One place more is free: a sender that waits for it hears of it. */
static inline void pulse__mailbox_gave(struct pulse_mailbox *mb)
{
	/* pairs with pulse__mailbox_room: no more than the number is told */
	pulse__store_release(&mb->got, mb->got + 1);
	if (mb->capacity == UINT64_MAX)
		return;
	/* D: pairs with E in pulse__mailbox_wait_room. spin: asym_wake */
	if (likely(mb->light))
		pulse__asym_light();
	else
		pulse__full_barrier();
	if (unlikely(READ_ONCE(mb->room_wait)) &&
	    READ_ONCE(mb->put) - mb->got <= mb->low)
		pulse__mailbox_wake_senders(mb);
}

void pulse__mailbox_unlink(struct pulse_mailbox *mb, struct pulse_message *msg)
{
	pulse__list_del(&msg->link);
	if (unlikely(mb->ids))
		pulse__ids_del(mb->ids, msg);
	pulse__mailbox_add(mb->held_bytes, -(uint64_t)msg->bytes);
	pulse__mailbox_gave(mb);
}

/* True: it was worth nothing any more, and is out. */
static inline bool pulse__mailbox_over(struct pulse_mailbox *mb,
				       struct pulse_message *msg,
				       struct pulse__taking *t)
{
	if (likely(!pulse__message_over(msg, &t->now_ns)))
		return false;
	pulse__mailbox_unlink(mb, msg);
	pulse__mailbox_add(mb->expired, 1);
	pulse__list_add_tail(&t->gone, &msg->link);
	return true;
}

static void pulse__mailbox_hand_out(struct pulse_mailbox *mb,
				    struct pulse_message *msg,
				    struct pulse__taking *t)
{
	pulse__mailbox_unlink(mb, msg);
	pulse__mailbox_add(mb->received, 1);
	if (mb->flags & PULSE_MAILBOX_TIMES) {
		if (!t->now_ns)
			t->now_ns = pulse_now_ns();
		msg->received_ns = t->now_ns;
	}
	WRITE_ONCE(msg->lies, 0);
}

/* How many were taken in their order. */
static unsigned int pulse__mailbox_pick(struct pulse_mailbox *mb,
					struct pulse__taking *t)
{
	unsigned int nr = 0;

	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES && nr < t->max; i++) {
		struct pulse__list *queue = &mb->queue[i];

		while (nr < t->max && !pulse__list_empty(queue)) {
			struct pulse_message *msg =
				pulse__message_of(queue->next);

			if (unlikely(pulse__mailbox_over(mb, msg, t)))
				continue;
			pulse__mailbox_hand_out(mb, msg, t);
			t->msgs[nr++] = msg;
		}
	}
	return nr;
}

/*
 * The first message that is wanted, of those that the selector has not seen:
 * numbers rise in a queue, so these are at its end.
 */
static unsigned int pulse__mailbox_search(struct pulse_mailbox *mb,
					  struct pulse__taking *t)
{
	struct pulse_selector *sel = t->sel;

	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++) {
		struct pulse__list *queue = &mb->queue[i];
		struct pulse__list *at = queue->prev, *next;

		while (at != queue &&
		       pulse__message_of(at)->number > sel->seen[i])
			at = at->prev;
		for (at = at->next; at != queue; at = next) {
			struct pulse_message *msg = pulse__message_of(at);

			next = at->next;
			sel->seen[i] = msg->number;
			if (pulse__mailbox_over(mb, msg, t) ||
			    !sel->match(msg, sel->arg))
				continue;
			pulse__mailbox_hand_out(mb, msg, t);
			t->msgs[0] = msg;
			return 1;
		}
	}
	return 0;
}

/* With the lock. How many; 0 none. */
static unsigned int pulse__mailbox_look(struct pulse_mailbox *mb,
					struct pulse__taking *t)
{
	/* Only a more urgent one could come before what is in the first. */
	if (!(mb->flags & PULSE_MAILBOX_ONE_QUEUE) || t->sel ||
	    pulse__list_empty(&mb->queue[0]))
		pulse__mailbox_move(mb);
	t->now_ns = 0;
	return t->sel ? pulse__mailbox_search(mb, t) :
	       pulse__mailbox_pick(mb, t);
}

/*
 * With the lock, after a message was taken, while others sleep: true: the next
 * is to be woken; false: they are announced, or nothing will come.
 */
static bool pulse__mailbox_pass_on(struct pulse_mailbox *mb)
{
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++) {
		if (!pulse__list_empty(&mb->queue[i]))
			return true;
	}
	return pulse__box_announce(&mb->box, PULSE__BOX_WAITED) == -EAGAIN;
}

/*
 * With the lock, where nothing was found: (2) of box_inline.h. 0 announced, to
 * sleep; or why not.
 */
static int pulse__mailbox_announce(struct pulse_mailbox *mb,
				   const struct pulse__taking *t,
				   int64_t deadline_ns)
{
	int err;

	if (!deadline_ns) {
		err = pulse__box_announce(&mb->box, 0);
		return err ? err : -ENODATA;
	}
	/* Before it is announced: who takes the tag away then sees it. */
	mb->waiters++;
	if (t->sel)
		WRITE_ONCE(mb->choosy, mb->choosy + 1);
	err = pulse__box_announce(&mb->box, PULSE__BOX_WAITED);
	if (!err && deadline_ns != PULSE_FOREVER &&
	    pulse_now_ns() >= deadline_ns)
		err = -ETIMEDOUT;
	if (!err)
		pulse__mailbox_add(mb->waits, 1);
	return err;
}

static void pulse__mailbox_back(struct pulse_mailbox *mb,
				const struct pulse__taking *t)
{
	mb->waiters--;
	if (t->sel)
		WRITE_ONCE(mb->choosy, mb->choosy - 1);
}

/* How many were taken, at least 1; or an error. */
static int pulse__mailbox_take(struct pulse_mailbox *mb,
			       struct pulse__taking *t, int64_t deadline_ns)
{
	bool held = false, waiting = false, next;
	unsigned int nr;
	int err;

	t->msgs[0] = NULL;
	pulse__list_init(&t->gone);
	for (;;) {
		/* (1) of box_inline.h: before the box is looked at. */
		uint32_t seq = pulse__load_acquire(&mb->seq);

		pulse__mailbox_lock(mb);
		if (!mb->locked && READ_ONCE(mb->receiver) != t->me)
			WRITE_ONCE(mb->receiver, t->me);
		if (waiting)
			pulse__mailbox_back(mb, t);
		waiting = false;
		nr = pulse__mailbox_look(mb, t);
		err = 0;
		next = false;
		if (!nr) {
			err = pulse__mailbox_announce(mb, t, deadline_ns);
			waiting = !err;
			if (err && deadline_ns)
				pulse__mailbox_back(mb, t);
		} else if (unlikely(mb->waiters)) {
			next = pulse__mailbox_pass_on(mb);
		}
		pulse__mailbox_unlock(mb);
		if (unlikely(next))
			pulse__mailbox_wake_receivers(mb,
						      pulse__mailbox_wake_nr(mb));
		if (unlikely(!pulse__list_empty(&t->gone)))
			pulse__mailbox_bury_all(mb, &t->gone,
						PULSE_DEAD_EXPIRED);
		if (nr)
			break;
		if (err == -EAGAIN)
			continue;	/* one came meanwhile */
		if (!err && !held) {
			/* Others may give it up while this one sleeps. */
			err = pulse_mailbox_get(mb);
			held = !err;
		}
		if (!err)
			err = pulse__mailbox_sleep(mb, seq, deadline_ns);
		if (err)
			break;
	}
	if (unlikely(waiting)) {
		pulse__mailbox_lock(mb);
		pulse__mailbox_back(mb, t);
		pulse__mailbox_unlock(mb);
	}
	if (unlikely(held))
		pulse_mailbox_put(mb);
	if (nr)
		return (int)nr;
	return err == -ENODATA ? -EAGAIN : err;
}

static int pulse__mailbox_receive(struct pulse_mailbox *mb,
				  struct pulse_selector *sel,
				  int64_t deadline_ns,
				  struct pulse_message **msg)
{
	struct pulse__taking t = { .sel = sel, .msgs = msg, .max = 1,
				   .me = pulse__mailbox_me() };
	int err;

	if (unlikely(!msg))
		return -EINVAL;
	*msg = NULL;
	err = pulse__mailbox_check(mb);
	if (unlikely(err))
		return err;
	err = pulse__mailbox_take(mb, &t, deadline_ns);
	return err < 0 ? err : 0;
}

int pulse_mailbox_receive(struct pulse_mailbox *mb, struct pulse_message **msg)
{
	return pulse__mailbox_receive(mb, NULL, PULSE_FOREVER, msg);
}

int pulse_mailbox_receive_until(struct pulse_mailbox *mb, int64_t deadline_ns,
				struct pulse_message **msg)
{
	/* A deadline of 0 is one that is past. */
	return pulse__mailbox_receive(mb, NULL, deadline_ns > 0 ? deadline_ns :
				      1, msg);
}

int pulse_mailbox_try_receive(struct pulse_mailbox *mb,
			      struct pulse_message **msg)
{
	return pulse__mailbox_receive(mb, NULL, 0, msg);
}

int pulse_mailbox_receive_n(struct pulse_mailbox *mb,
			    struct pulse_message **msgs, unsigned int max,
			    int64_t deadline_ns)
{
	struct pulse__taking t = { .msgs = msgs, .max = max,
				   .me = pulse__mailbox_me() };
	int err = pulse__mailbox_check(mb);

	if (err)
		return err;
	if (!msgs || !max || max > INT_MAX || deadline_ns < 0)
		return -EINVAL;
	return pulse__mailbox_take(mb, &t, deadline_ns);
}

int pulse_mailbox_select(struct pulse_mailbox *mb, struct pulse_selector *sel,
			 int64_t deadline_ns, struct pulse_message **msg)
{
	if (!sel || !sel->match || deadline_ns < 0) {
		if (msg)
			*msg = NULL;
		return -EINVAL;
	}
	return pulse__mailbox_receive(mb, sel, deadline_ns, msg);
}

int pulse_mailbox_arm(struct pulse_mailbox *mb)
{
	int err = pulse__mailbox_check(mb);
	bool some = false;

	if (err)
		return err;
	if (!mb->notify)
		return -EINVAL;
	pulse__mailbox_lock(mb);
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		some |= !pulse__list_empty(&mb->queue[i]);
	err = some ? -EAGAIN : pulse__box_announce(&mb->box, PULSE__BOX_ARMED);
	pulse__mailbox_unlock(mb);
	return err;
}

int pulse_mailbox_expire(struct pulse_mailbox *mb)
{
	struct pulse__taking t = { .max = 0 };
	int err = pulse__mailbox_check(mb), nr = 0;
	struct pulse__list *at, *next;

	if (err)
		return err;
	pulse__list_init(&t.gone);
	pulse__mailbox_lock(mb);
	pulse__mailbox_move(mb);
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++) {
		pulse__list_for_each_safe(at, next, &mb->queue[i])
			nr += pulse__mailbox_over(mb, pulse__message_of(at),
						  &t);
	}
	pulse__mailbox_unlock(mb);
	pulse__mailbox_bury_all(mb, &t.gone, PULSE_DEAD_EXPIRED);
	return nr;
}

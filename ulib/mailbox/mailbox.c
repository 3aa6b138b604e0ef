// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mailbox.c - a mailbox is made, shared, closed and given back; its figures.
 */
#include "mailbox/mailbox.h"

#define PULSE__MAILBOX_CAPACITY	1000U

static int pulse__mailbox_opts(struct pulse_mailbox_opts *o,
			       const struct pulse_mailbox_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), notify_arg),
				   opts);

	if (err)
		return err;
	if (!o->capacity)
		o->capacity = PULSE__MAILBOX_CAPACITY;
	if ((o->capacity > 1U << 31 &&
	     o->capacity != PULSE_MAILBOX_UNBOUNDED) ||
	    o->overflow > PULSE_MAILBOX_BLOCK || o->block_ns < 0 ||
	    (o->block_ns && o->overflow != PULSE_MAILBOX_BLOCK) ||
	    o->default_ttl_ns < 0 || (o->notify_arg && !o->notify) ||
	    o->flags & ~(PULSE_MAILBOX_UNIQUE | PULSE_MAILBOX_ONE_RECEIVER |
			 PULSE_MAILBOX_ONE_QUEUE | PULSE_MAILBOX_TIMES))
		return -EINVAL;
	return 0;
}

int pulse_mailbox_create(const struct pulse_mailbox_opts *opts,
			 struct pulse_mailbox **out)
{
	struct pulse_mailbox_opts o;
	struct pulse_mailbox *mb;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__mailbox_opts(&o, opts);
	if (err)
		return err;
	mb = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*mb));
	if (!mb)
		return -ENOMEM;
	mb->capacity = o.capacity == PULSE_MAILBOX_UNBOUNDED ? UINT64_MAX :
		       o.capacity;
	mb->low = mb->capacity - (o.capacity < 8 ? 1 : mb->capacity / 4);
	if (o.flags & PULSE_MAILBOX_UNIQUE) {
		err = pulse__ids_create(mb->capacity, &mb->ids);
		if (err) {
			pulse__free(mb);
			return err;
		}
	}
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		pulse__list_init(&mb->queue[i]);
	pulse__list_init(&mb->dead);
	pthread_mutex_init(&mb->lock, NULL);
	pthread_mutex_init(&mb->dead_lock, NULL);
	mb->refs = 1;
	mb->block_ns = o.block_ns ? o.block_ns : PULSE_FOREVER;
	mb->default_ttl_ns = o.default_ttl_ns;
	mb->max_bytes = o.max_message_bytes ? o.max_message_bytes : UINT64_MAX;
	mb->notify = o.notify;
	mb->notify_arg = o.notify_arg;
	mb->overflow = o.overflow;
	mb->flags = o.flags;
	mb->max_dead = o.dead_letters;
	mb->fork_gen = pulse__fork_generation();
	mb->magic = PULSE__MAILBOX_MAGIC;
	mb->locked = !(o.flags & PULSE_MAILBOX_ONE_RECEIVER) || mb->ids ||
		     o.overflow == PULSE_MAILBOX_DROP_OLD;
	mb->light = pulse__asym_local();
	*out = mb;
	return 0;
}

static void pulse__list_put(struct pulse__list *list)
{
	struct pulse__list *link;

	while ((link = pulse__list_pop(list)))
		pulse_message_put(pulse__message_of(link));
}

/* Nobody else has it. */
static void pulse__mailbox_free(struct pulse_mailbox *mb)
{
	struct pulse__box_node *node = pulse__box_take(&mb->box), *next;

	for (; node; node = next) {
		next = node->next;
		pulse_message_put(container_of(node, struct pulse_message,
					       node));
	}
	for (int i = 0; i < PULSE_MESSAGE_PRIORITIES; i++)
		pulse__list_put(&mb->queue[i]);
	pulse__list_put(&mb->dead);
	pulse__ids_destroy(mb->ids);
	mb->magic = PULSE__MAGIC_DEAD;
	pthread_mutex_destroy(&mb->lock);
	pthread_mutex_destroy(&mb->dead_lock);
	pulse__free(mb);
}

int pulse_mailbox_get(struct pulse_mailbox *mb)
{
	if (!mb)
		return -EINVAL;
	pulse__obj_check(mb, PULSE__MAILBOX_MAGIC, "pulse_mailbox_get");
	return pulse__refs_get(&mb->refs);
}

void pulse_mailbox_put(struct pulse_mailbox *mb)
{
	if (!mb)
		return;
	pulse__obj_check(mb, PULSE__MAILBOX_MAGIC, "pulse_mailbox_put");
	/* What others did in it is over when it goes. */
	if (__atomic_fetch_sub(&mb->refs, 1, __ATOMIC_ACQ_REL) == 1)
		pulse__mailbox_free(mb);
}

int pulse_mailbox_destroy(struct pulse_mailbox *mb)
{
	if (!mb)
		return -EINVAL;
	pulse__obj_check(mb, PULSE__MAILBOX_MAGIC, "pulse_mailbox_destroy");
	/* A child has a copy, and none of the threads that have references. */
	if (pulse__forked(mb->fork_gen)) {
		pulse__mailbox_free(mb);
		return 0;
	}
	pulse_mailbox_close(mb);
	pulse_mailbox_put(mb);
	return 0;
}

int pulse_mailbox_close(struct pulse_mailbox *mb)
{
	int tags = pulse__mailbox_check(mb);

	if (tags)
		return tags;
	tags = pulse__box_close(&mb->box);
	if (tags & (int)PULSE__BOX_CLOSED)
		return -EALREADY;
	if (tags)
		pulse__mailbox_wake(mb, tags, INT_MAX);
	/* Some may sleep though the tag is gone: a message's wake-up is on its way. */
	if (!mb->ctx)
		pulse__mailbox_wake_receivers(mb, INT_MAX);
	/* pairs with pulse__mailbox_wait_room: raised after it was closed */
	__atomic_store_n(&mb->room_wait, 1, __ATOMIC_RELEASE);
	pulse__mailbox_wake_senders(mb);
	return 0;
}

int pulse_mailbox_closed(const struct pulse_mailbox *mb)
{
	return mb ? pulse__box_closed(&mb->box) : -EINVAL;
}

int pulse_mailbox_reopen(struct pulse_mailbox *mb)
{
	int err = pulse__mailbox_check(mb);

	if (err)
		return err;
	return pulse__box_reopen(&mb->box) ? 0 : -EALREADY;
}

int pulse_mailbox_bind(struct pulse_mailbox *mb, struct pulse_ctx *ctx,
		       int index)
{
	int err = pulse__mailbox_check(mb);

	if (err)
		return err;
	if (!(mb->flags & PULSE_MAILBOX_ONE_RECEIVER) || (ctx && index < 0))
		return -EINVAL;
	mb->worker = ctx ? (uint32_t)index : 0;
	mb->ctx = ctx;
	return 0;
}

/* ---- figures ----------------------------------------------------------- */

size_t pulse_mailbox_count(const struct pulse_mailbox *mb)
{
	uint64_t got, count;

	if (!mb)
		return 0;
	got = pulse__load_acquire(&mb->got);
	count = (mb->capacity == UINT64_MAX ? READ_ONCE(mb->moved) :
		 READ_ONCE(mb->put)) - got;
	return (int64_t)count > 0 ? count : 0;
}

size_t pulse_mailbox_dead_count(struct pulse_mailbox *mb)
{
	size_t nr;

	if (pulse__mailbox_check(mb))
		return 0;
	pthread_mutex_lock(&mb->dead_lock);
	nr = mb->nr_dead;
	pthread_mutex_unlock(&mb->dead_lock);
	return nr;
}

int pulse_mailbox_stats(struct pulse_mailbox *mb,
			struct pulse_mailbox_stats *out)
{
	struct pulse_mailbox_stats s;
	int err = pulse__mailbox_check(mb);

	if (err)
		return err;
	err = pulse__out_check(out, pulse__size_to(typeof(s), blocked));
	if (err)
		return err;
	memset(&s, 0, sizeof(s));
	if (mb->locked) {
		pthread_mutex_lock(&mb->lock);
		pulse__mailbox_move(mb);
	}
	s.messages_received = READ_ONCE(mb->received);
	s.messages_sent = READ_ONCE(mb->moved);
	s.messages_expired = READ_ONCE(mb->expired);
	s.dropped_old = READ_ONCE(mb->dropped_old);
	s.peak_usage = READ_ONCE(mb->peak);
	s.total_size_bytes = READ_ONCE(mb->total_bytes);
	s.held_bytes = READ_ONCE(mb->held_bytes);
	s.waits = READ_ONCE(mb->waits);
	s.count = pulse_mailbox_count(mb);
	pulse__mailbox_unlock(mb);
	s.dropped_new = READ_ONCE(mb->dropped_new);
	s.messages_dropped = s.dropped_new + s.dropped_old;
	s.rejected = READ_ONCE(mb->rejected);
	s.refused_full = READ_ONCE(mb->refused_full);
	s.refused_expired = READ_ONCE(mb->refused_expired);
	s.refused_size = READ_ONCE(mb->refused_size);
	s.refused_duplicate = READ_ONCE(mb->refused_duplicate);
	s.refused_closed = READ_ONCE(mb->refused_closed);
	s.dead_letters = READ_ONCE(mb->nr_dead_ever);
	s.wakeups = READ_ONCE(mb->wakeups);
	s.blocked = READ_ONCE(mb->blocked);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

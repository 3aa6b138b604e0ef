/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * mailbox.h - the inside of a mailbox.
 *
 * Senders push to the box (box_inline.h). Whoever receives moves what is there to
 * the queues, one a priority, and takes from these: that is the receiver's part,
 * under the lock, or without one where the mailbox has one receiver.
 *
 * Where many receive, a message wakes one of those that sleep. Whoever takes one
 * then sees to the rest: are there more messages, it wakes the next; if not, it
 * announces those that sleep once more (box_inline.h, 2). spin: mailbox
 *
 * Room: a send takes a place before it pushes (put, by compare-exchange), and the
 * receiver's part gives it back (got). A sender that finds none sleeps on
 * room_seq:
 *
 *   receiver                          sender
 *   --------                          ------
 *   got is raised                     room_seq is noted
 *   light barrier          (D)        room_wait = 1
 *   room_wait, and room for a few:    heavy barrier          (E)
 *   take it to 0, raise room_seq,     looks at got: still no room: sleeps
 *   wake all                          while room_seq is as noted, for a nap
 *
 * A switch to and fro for each place would cost more than the messages: senders
 * are woken when a quarter of the places is free, and look now and then.
 *
 * D pairs with E (asym.h): not both miss. spin: asym_wake
 *
 * Lock order: lock, then dead_lock. Functions of the program run under neither
 * but where the header says so.
 */
#ifndef PULSE__MAILBOX_MAILBOX_H
#define PULSE__MAILBOX_MAILBOX_H

#include <pthread.h>

#include <pulse-u/mailbox.h>

#include "base/asym.h"
#include "mailbox/message.h"

#define PULSE__MAILBOX_MAGIC	0x4d41494cU	/* "MAIL" */

struct pulse__ids;

struct pulse_mailbox {
	/* Senders write. */
	struct pulse__box box PULSE__PAIR_ALIGNED;
	uint64_t put;			/* atomic: places taken, ever */
	uint64_t got_seen;		/* atomic: got, as a sender saw it last */

	/* The receiver's part. */
	uint64_t got PULSE__PAIR_ALIGNED;	/* atomic: places given back */
	struct pulse__list queue[PULSE_MESSAGE_PRIORITIES];
	uint64_t number;		/* of the last message moved */
	/* Written by the receiver's part alone, read by statistics. */
	uint64_t moved;			/* from the box to the queues */
	uint64_t received;
	uint64_t expired;
	uint64_t dropped_old;
	uint64_t peak;
	uint64_t total_bytes;
	uint64_t held_bytes;
	uint64_t waits;
	uint32_t waiters;		/* receivers that sleep or are about to */
	uint32_t choosy;		/* ... of those by selector; atomic */
	const void *receiver;		/* atomic: with one receiver, its thread */

	pthread_mutex_t lock PULSE__PAIR_ALIGNED;	/* the receiver's part */
	uint32_t seq;			/* futex: receivers */
	uint32_t room_seq;		/* futex: senders */
	uint32_t room_wait;		/* atomic: senders wait */
	uint32_t refs;			/* atomic */

	/* Never written after create, but for the worker (by its thread). */
	uint64_t capacity;		/* UINT64_MAX: no limit */
	uint64_t low;			/* senders are woken at so many or less */
	int64_t block_ns;
	int64_t default_ttl_ns;
	uint64_t max_bytes;
	void (*notify)(struct pulse_mailbox *mb, void *arg);
	void *notify_arg;
	struct pulse__ids *ids;		/* NULL: not unique; under lock */
	struct pulse_ctx *ctx;		/* of the worker that receives, or NULL */
	uint32_t worker;
	uint32_t overflow;
	uint32_t flags;
	uint32_t fork_gen;
	uint32_t magic;
	bool locked;			/* the receiver's part takes the lock */
	bool light;			/* D and E by membarrier */

	/* Dead letters. */
	pthread_mutex_t dead_lock PULSE__PAIR_ALIGNED;
	struct pulse__list dead;
	uint32_t nr_dead;
	uint32_t max_dead;

	/* Atomic counters of what is not the rule. */
	uint64_t nr_dead_ever;
	uint64_t dropped_new;
	uint64_t rejected;
	uint64_t refused_full;
	uint64_t refused_expired;
	uint64_t refused_size;
	uint64_t refused_duplicate;
	uint64_t refused_closed;
	uint64_t wakeups;
	uint64_t blocked;
};

/* 0, -EINVAL or -EOWNERDEAD: may it be used here? */
static inline int pulse__mailbox_check(const struct pulse_mailbox *mb)
{
	if (unlikely(!mb))
		return -EINVAL;
	pulse__obj_check(mb, PULSE__MAILBOX_MAGIC, "struct pulse_mailbox");
	return pulse__forked(mb->fork_gen) ? -EOWNERDEAD : 0;
}

static inline void pulse__mailbox_lock(struct pulse_mailbox *mb)
{
	if (mb->locked)
		pthread_mutex_lock(&mb->lock);
}

static inline void pulse__mailbox_unlock(struct pulse_mailbox *mb)
{
	if (mb->locked)
		pthread_mutex_unlock(&mb->lock);
}

/* The calling thread, by an address of its own; never dereferenced. */
static inline const void *pulse__mailbox_me(void)
{
	return (const void *)pthread_self();
}

/* A counter that only the receiver's part writes. */
#define pulse__mailbox_add(counter, n)	WRITE_ONCE(counter, (counter) + (n))

/* wake.c */

/* After a push or a close that took @tags away; @nr receivers at most. */
void pulse__mailbox_wake(struct pulse_mailbox *mb, int tags, int nr);
/* So many receivers look again, though nobody took a tag away. */
void pulse__mailbox_wake_receivers(struct pulse_mailbox *mb, int nr);
/* How many to wake for a message: one, unless it may not be wanted there. */
int pulse__mailbox_wake_nr(const struct pulse_mailbox *mb);
void pulse__mailbox_wake_senders(struct pulse_mailbox *mb);
/* The receiver sleeps until WAITED goes, spuriously perhaps. 0 or an error. */
int pulse__mailbox_sleep(struct pulse_mailbox *mb, uint32_t seq,
			 int64_t deadline_ns);
/* A place in the mailbox: 0, -ESRCH closed, -ETIMEDOUT, -EDEADLK its own. */
int pulse__mailbox_wait_room(struct pulse_mailbox *mb, int64_t deadline_ns);
/* A place, without waiting. */
bool pulse__mailbox_room(struct pulse_mailbox *mb);
bool pulse__mailbox_full(const struct pulse_mailbox *mb);

/* receive.c: the receiver's part */

/* From the box to the queues. */
void pulse__mailbox_move(struct pulse_mailbox *mb);
/* Out of its queue; the caller has a reference and counts. */
void pulse__mailbox_unlink(struct pulse_mailbox *mb, struct pulse_message *msg);

/* dead.c */

/* The mailbox's reference goes with it. Not under the lock. */
void pulse__mailbox_bury(struct pulse_mailbox *mb, struct pulse_message *msg,
			 enum pulse_dead_reason reason);
void pulse__mailbox_bury_all(struct pulse_mailbox *mb, struct pulse__list *gone,
			     enum pulse_dead_reason reason);

/* ids.c: the ids of the messages in the mailbox, under the lock */

int pulse__ids_create(uint64_t capacity, struct pulse__ids **out);
void pulse__ids_destroy(struct pulse__ids *ids);
/* 0 or -EEXIST. */
int pulse__ids_add(struct pulse__ids *ids, struct pulse_message *msg);
void pulse__ids_del(struct pulse__ids *ids, struct pulse_message *msg);

#endif /* PULSE__MAILBOX_MAILBOX_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * mailbox.h - where messages wait for whom they are sent to.
 *
 * Any thread sends, without a lock: a message is linked in with one
 * compare-exchange. Receivers get the most urgent messages first, and among
 * those of one priority what one sender sent in its order. The expired are never
 * given out; they, and what finds no room, are counted, and kept as dead letters
 * where that is asked for.
 *
 * Between processes: <pulse-u/mailbox_shared.h>. Bytes in, bytes out:
 * <pulse-u/inbox.h>.
 */
#ifndef PULSE_U_MAILBOX_H
#define PULSE_U_MAILBOX_H

#include <stdbool.h>

#include <pulse-u/backend.h>
#include <pulse-u/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_mailbox;

/* What a send does that finds the mailbox full. */
enum pulse_mailbox_overflow {
	PULSE_MAILBOX_ERROR = 0,	/* say -EAGAIN */
	PULSE_MAILBOX_DROP_NEW = 1,	/* drop what was to be sent */
	PULSE_MAILBOX_DROP_OLD = 2,	/* drop the oldest of the least urgent */
	PULSE_MAILBOX_BLOCK = 3,	/* wait until there is room */
};

/* Flags of struct pulse_mailbox_opts. */
#define PULSE_MAILBOX_UNIQUE	   (1U << 0) /* no two messages of one id in it */
#define PULSE_MAILBOX_ONE_RECEIVER (1U << 1) /* one thread at a time receives */
#define PULSE_MAILBOX_ONE_QUEUE	   (1U << 2) /* priorities are not looked at */
#define PULSE_MAILBOX_TIMES	   (1U << 3) /* note when messages come and go */

#define PULSE_MAILBOX_UNBOUNDED	UINT32_MAX

/**
 * struct pulse_mailbox_opts - options of a mailbox
 * @sz: sizeof(struct pulse_mailbox_opts)
 * @capacity: messages it has room for, up to 2^31; default 1000;
 *	PULSE_MAILBOX_UNBOUNDED for no limit
 * @overflow: enum pulse_mailbox_overflow
 * @block_ns: with PULSE_MAILBOX_BLOCK: how long a send waits at most; default
 *	for ever
 * @default_ttl_ns: time to live of messages that have none of their own, from
 *	when they are sent; default for ever
 * @max_message_bytes: longest payload; default no limit
 * @dead_letters: how many dead letters are kept, the newest; default none, they
 *	are only counted
 * @flags: PULSE_MAILBOX_* or 0
 * @notify: called by a send that finds the receiver gone after
 *	pulse_mailbox_arm(), once for each time it was armed, and when the mailbox
 *	is closed. Must not block. NULL: there is no pulse_mailbox_arm().
 * @notify_arg: for @notify
 *
 * With PULSE_MAILBOX_ONE_RECEIVER a receive takes no lock; all calls but sends,
 * close and statistics are for one thread at a time then. It is only a promise
 * where PULSE_MAILBOX_UNIQUE or PULSE_MAILBOX_DROP_OLD need a lock.
 *
 * PULSE_MAILBOX_DROP_OLD looks at priorities: of the messages in the mailbox and
 * the one to be sent, the least urgent go first, of those the oldest.
 */
struct pulse_mailbox_opts {
	size_t sz;
	uint32_t capacity;
	uint32_t overflow;
	int64_t block_ns;
	int64_t default_ttl_ns;
	uint64_t max_message_bytes;
	uint32_t dead_letters;
	uint32_t flags;
	void (*notify)(struct pulse_mailbox *mb, void *arg);
	void *notify_arg;
};

/**
 * pulse_mailbox_create() - make a mailbox
 * @opts: or NULL for the defaults
 * @out: the mailbox, with one reference
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_mailbox_create(const struct pulse_mailbox_opts *opts,
				   struct pulse_mailbox **out);

/**
 * pulse_mailbox_destroy() - close it, and give the creator's reference back
 * @mb: the mailbox; it goes with the last reference, and the messages in it too
 *
 * Who waits in it has a reference meanwhile.
 *
 * Return: 0; -EINVAL. Allowed in a forked child.
 */
PULSE_API int pulse_mailbox_destroy(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_get() - take another reference
 * @mb: the mailbox
 *
 * A thread that sends or receives while others may destroy the mailbox must
 * have a reference.
 *
 * Return: 0; -EINVAL; -EOVERFLOW there are 2^31 - 1.
 */
PULSE_API int pulse_mailbox_get(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_put() - give a reference back
 * @mb: the mailbox; NULL does nothing
 */
PULSE_API void pulse_mailbox_put(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_close() - no more messages
 * @mb: the mailbox
 *
 * Sends say -ESRCH from now on, also those that wait for room. Receivers get
 * what is in it, and then -ESHUTDOWN; those that wait are woken. From any
 * thread, more than once.
 *
 * Return: 0; -EINVAL; -EALREADY it was closed.
 */
PULSE_API int pulse_mailbox_close(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_closed() - was it closed?
 * @mb: the mailbox
 *
 * Return: 1, 0 or -EINVAL.
 */
PULSE_API int pulse_mailbox_closed(const struct pulse_mailbox *mb);

/**
 * pulse_mailbox_reopen() - take messages again
 * @mb: a closed mailbox; for who comes after its owner
 *
 * What was in it is still there.
 *
 * Return: 0; -EINVAL; -EALREADY it is open; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_reopen(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_bind() - the receiver is a worker, and waits by parking
 * @mb: a mailbox with PULSE_MAILBOX_ONE_RECEIVER
 * @ctx: the worker's context; must outlive the mailbox's use. NULL: no worker
 *	any more.
 * @index: the worker
 *
 * Who supervises workers then sees "parked" where it waits for messages, not
 * "blocked". Only that thread may wait in the mailbox. To be called before
 * others send, or by a receiver while nothing is sent.
 *
 * Return: 0; -EINVAL also: no such flag; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_bind(struct pulse_mailbox *mb,
				 struct pulse_ctx *ctx, int index);

/**
 * pulse_mailbox_send() - put a message in
 * @mb: the mailbox
 * @msg: the message; the caller's reference goes to the mailbox where this
 *	returns 0, and stays the caller's otherwise
 *
 * Return: 0 it was sent, or dropped as the mailbox's policy says; -EAGAIN full;
 * -ETIMEDOUT still full after block_ns; -ETIME it has expired; -EMSGSIZE its
 * payload is longer than the mailbox takes; -EEXIST a message of its id is in
 * it; -ESRCH the mailbox is closed; -EBUSY @msg lies in a mailbox; -EDEADLK it
 * would wait for room, and the caller is the one receiver; -ENOMEM; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_send(struct pulse_mailbox *mb,
				 struct pulse_message *msg);

/**
 * pulse_mailbox_send_until() - put a message in, and wait for room if need be
 * @mb: the mailbox
 * @msg: as for pulse_mailbox_send()
 * @deadline_ns: absolute, as pulse_now_ns(), or PULSE_FOREVER
 *
 * Waits whatever the mailbox's policy is.
 *
 * Return: as pulse_mailbox_send(); -ETIMEDOUT instead of -EAGAIN.
 */
PULSE_API int pulse_mailbox_send_until(struct pulse_mailbox *mb,
				       struct pulse_message *msg,
				       int64_t deadline_ns);

/**
 * pulse_mailbox_receive() - take a message out, and wait for one if need be
 * @mb: the mailbox
 * @msg: out: the message; its reference is the caller's
 *
 * Return: 0; -ESHUTDOWN the mailbox is closed, and nothing is in it;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_receive(struct pulse_mailbox *mb,
				    struct pulse_message **msg);

/**
 * pulse_mailbox_receive_until() - take a message out, and wait until then
 * @mb: the mailbox
 * @deadline_ns: absolute, as pulse_now_ns(), or PULSE_FOREVER
 * @msg: out: the message
 *
 * Return: as pulse_mailbox_receive(); -ETIMEDOUT.
 */
PULSE_API int pulse_mailbox_receive_until(struct pulse_mailbox *mb,
					  int64_t deadline_ns,
					  struct pulse_message **msg);

/**
 * pulse_mailbox_try_receive() - take a message out, if there is one
 * @mb: the mailbox
 * @msg: out: the message
 *
 * Return: as pulse_mailbox_receive(); -EAGAIN empty.
 */
PULSE_API int pulse_mailbox_try_receive(struct pulse_mailbox *mb,
					struct pulse_message **msg);

/**
 * pulse_mailbox_receive_n() - take several messages out
 * @mb: the mailbox
 * @msgs: out: the messages, in the order in which single calls would give them
 * @max: room in @msgs, at least 1
 * @deadline_ns: how long to wait for the first; 0 does not wait
 *
 * Return: how many, 1 to @max; -EAGAIN empty, with a @deadline_ns of 0; or as
 * pulse_mailbox_receive_until().
 */
PULSE_API int pulse_mailbox_receive_n(struct pulse_mailbox *mb,
				      struct pulse_message **msgs,
				      unsigned int max, int64_t deadline_ns);

/**
 * typedef pulse_match_fn - is this the message that is wanted?
 * @msg: a message; for looking at only
 * @arg: of the selector
 *
 * Must not use the mailbox, and must say the same of a message each time.
 */
typedef bool (*pulse_match_fn)(const struct pulse_message *msg, void *arg);

/**
 * struct pulse_selector - what pulse_mailbox_select() looks for
 * @match: says which message is wanted
 * @arg: for @match
 * @seen: all 0 at first: how far it has looked. Where it is wanted to look at
 *	all messages again, as @match looks for something else, set it to 0.
 *
 * Messages that a selector did not want are not shown to it again, so that a
 * selector that is kept looks at each message once, however many lie there.
 * A selector is used with one mailbox.
 */
struct pulse_selector {
	pulse_match_fn match;
	void *arg;
	uint64_t seen[PULSE_MESSAGE_PRIORITIES];
};

/**
 * pulse_mailbox_select() - take out a message that is wanted, wherever it lies
 * @mb: the mailbox
 * @sel: what is wanted; for one thread at a time
 * @deadline_ns: absolute, as pulse_now_ns(); 0 does not wait
 * @msg: out: the first such message, of the highest priority
 *
 * The others stay, in their order. Runs @sel->match under the mailbox's lock.
 *
 * Return: 0; -EAGAIN none, with a @deadline_ns of 0; -ETIMEDOUT; -ESHUTDOWN
 * closed, and none is in it; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_select(struct pulse_mailbox *mb,
				   struct pulse_selector *sel,
				   int64_t deadline_ns,
				   struct pulse_message **msg);

/**
 * pulse_mailbox_arm() - have the next send call notify
 * @mb: a mailbox with a notify function
 *
 * For a receiver that has others run it, in place of waiting: when it has taken
 * all, it arms the mailbox and goes. Exactly one send, or close, notifies then.
 *
 * Return: 0 armed; -EAGAIN there are messages; -ESHUTDOWN closed, and nothing is
 * in it; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_arm(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_expire() - take the expired out now, not when their turn comes
 * @mb: the mailbox
 *
 * They take up room until then. Looks at each message.
 *
 * Return: how many; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_expire(struct pulse_mailbox *mb);

/**
 * pulse_mailbox_count() - messages in it, about
 * @mb: the mailbox
 *
 * Return: exact when nobody uses it; for an unbounded one without what was sent
 * since the last receive; 0 for NULL.
 */
PULSE_API size_t pulse_mailbox_count(const struct pulse_mailbox *mb);

/* Why a message is a dead letter. */
enum pulse_dead_reason {
	PULSE_DEAD_NONE = 0,
	PULSE_DEAD_EXPIRED = 1,		/* its time to live was over */
	PULSE_DEAD_DROPPED_OLD = 2,	/* had to make room */
	PULSE_DEAD_DROPPED_NEW = 3,	/* found no room */
	PULSE_DEAD_REJECTED = 4,	/* pulse_mailbox_reject() */
};

/**
 * pulse_mailbox_reject() - a receiver cannot do anything with a message
 * @mb: the mailbox
 * @msg: the message, as it was received; its reference goes to the mailbox
 *
 * Return: 0; -EINVAL; -EBUSY @msg lies in a mailbox; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_mailbox_reject(struct pulse_mailbox *mb,
				   struct pulse_message *msg);

/**
 * pulse_mailbox_dead_count() - dead letters that are kept
 * @mb: the mailbox
 *
 * Return: how many; 0 for NULL.
 */
PULSE_API size_t pulse_mailbox_dead_count(struct pulse_mailbox *mb);

/**
 * typedef pulse_dead_fn - is shown a dead letter
 * @msg: the message; for looking at only
 * @reason: enum pulse_dead_reason
 * @arg: as given to pulse_mailbox_dead_each()
 *
 * Must not use the mailbox. Return: 0 to go on, anything else to stop.
 */
typedef int (*pulse_dead_fn)(const struct pulse_message *msg, int reason,
			     void *arg);

/**
 * pulse_mailbox_dead_each() - look at the dead letters, oldest first
 * @mb: the mailbox
 * @fn: called for each
 * @arg: for @fn
 *
 * Return: 0, or what @fn stopped with; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_dead_each(struct pulse_mailbox *mb,
				      pulse_dead_fn fn, void *arg);

/**
 * pulse_mailbox_dead_take() - take the oldest dead letter out
 * @mb: the mailbox
 * @msg: out: the message; its reference is the caller's
 * @reason: out: enum pulse_dead_reason; may be NULL
 *
 * Return: 0; -EAGAIN none; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_dead_take(struct pulse_mailbox *mb,
				      struct pulse_message **msg, int *reason);

/**
 * pulse_mailbox_redeliver() - send dead letters once more, oldest first
 * @mb: the mailbox they died in
 * @to: where to; NULL: @mb
 * @max: how many at most
 *
 * A time to live begins anew. Stops at the first that cannot be sent, which
 * stays a dead letter.
 *
 * Return: how many were sent; or, where the first was not, why, as
 * pulse_mailbox_send(); -EAGAIN there are none; -EINVAL; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_mailbox_redeliver(struct pulse_mailbox *mb,
				      struct pulse_mailbox *to,
				      unsigned int max);

/**
 * struct pulse_mailbox_stats - what happened to a mailbox
 * @sz: sizeof(struct pulse_mailbox_stats), set by the caller
 * @messages_received: messages that receivers took out
 * @messages_sent: messages that went in
 * @messages_expired: messages in it whose time to live was over
 * @messages_dropped: messages that were dropped, new or old
 * @peak_usage: the most messages that were in it
 * @total_size_bytes: payload of all messages that went in
 * @held_bytes: payload of the messages in it
 * @count: messages in it
 * @dropped_new: those of @messages_dropped that found no room
 * @dropped_old: those that had to make room
 * @rejected: messages that receivers rejected
 * @refused_full: sends that answered -EAGAIN or -ETIMEDOUT
 * @refused_expired: sends that answered -ETIME
 * @refused_size: sends that answered -EMSGSIZE
 * @refused_duplicate: sends that answered -EEXIST
 * @refused_closed: sends that answered -ESRCH: letters to the dead
 * @dead_letters: messages that became dead letters, kept or not
 * @wakeups: sends that woke a receiver or called notify
 * @waits: times a receiver slept
 * @blocked: times a sender slept for room
 *
 * Each message that went in was received, expired, was dropped as an old one, or
 * is in it.
 */
struct pulse_mailbox_stats {
	size_t sz;
	uint64_t messages_received;
	uint64_t messages_sent;
	uint64_t messages_expired;
	uint64_t messages_dropped;
	uint64_t peak_usage;
	uint64_t total_size_bytes;
	uint64_t held_bytes;
	uint64_t count;
	uint64_t dropped_new;
	uint64_t dropped_old;
	uint64_t rejected;
	uint64_t refused_full;
	uint64_t refused_expired;
	uint64_t refused_size;
	uint64_t refused_duplicate;
	uint64_t refused_closed;
	uint64_t dead_letters;
	uint64_t wakeups;
	uint64_t waits;
	uint64_t blocked;
};

/**
 * pulse_mailbox_stats() - read a mailbox's statistics
 * @mb: the mailbox
 * @out: the answer; its sz must be set
 *
 * Exact when nobody uses it. With PULSE_MAILBOX_ONE_RECEIVER what was sent since
 * the last receive is counted at the next one.
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_mailbox_stats(struct pulse_mailbox *mb,
				  struct pulse_mailbox_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MAILBOX_H */

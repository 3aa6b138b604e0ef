/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * mailbox_shared.h - a mailbox between processes: in a memfd, in the memory that
 * the module keeps for a context's node, or in any shared memory.
 *
 * Messages are copied in and out. There is one receiver at a time and up to so
 * many senders; either side may be killed anywhere:
 *
 *  - what a dead sender had sent comes out, and its place goes to the next;
 *  - a message that a receiver had in hand, that is until its next receive or
 *    pulse_shmbox_ack(), is given to its successor again; all others once.
 *
 * Priorities, order, expiry and overflow are as in <pulse-u/mailbox.h>, but for
 * room: each sender has so many slots for each priority.
 *
 * All shared words are untrusted: a hostile peer can take, forge or lose messages
 * of this mailbox, and can make it answer -EPROTO; it can do no more. Who is
 * dead is known as in <pulse-u/queue.h>.
 */
#ifndef PULSE_U_MAILBOX_SHARED_H
#define PULSE_U_MAILBOX_SHARED_H

#include <pulse-u/mailbox.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_shmbox;
struct pulse_shmbox_tx;
struct pulse_shmbox_rx;

/**
 * struct pulse_shmbox_opts - options of a shared mailbox
 * @sz: sizeof(struct pulse_shmbox_opts)
 * @slots: messages that each sender has room for, of each priority: a power of
 *	two from 2 to 65536; default 64
 * @slot_bytes: room for one message, its texts and 80 bytes of its own included:
 *	128 to 65536; default 1024
 * @senders: senders at a time, 1 to 256; default 8
 * @overflow: enum pulse_mailbox_overflow; DROP_OLD drops the oldest of the
 *	sender's own messages of that priority
 * @block_ns: with PULSE_MAILBOX_BLOCK: how long a send waits at most; default
 *	for ever
 * @default_ttl_ns: time to live of messages that have none; default for ever
 * @dead_letters: how many dead letters are kept, the oldest: a power of two from
 *	2 to 65536; default none, they are only counted. See
 *	pulse_shmbox_reject().
 * @reserved: 0
 */
struct pulse_shmbox_opts {
	size_t sz;
	uint32_t slots;
	uint32_t slot_bytes;
	uint32_t senders;
	uint32_t overflow;
	int64_t block_ns;
	int64_t default_ttl_ns;
	uint32_t dead_letters;
	uint32_t reserved;
};

/**
 * pulse_shmbox_bytes() - how much memory pulse_shmbox_format() needs
 * @opts: or NULL for the defaults
 *
 * Return: bytes; 0 for options that cannot be.
 */
PULSE_API size_t pulse_shmbox_bytes(const struct pulse_shmbox_opts *opts);

/**
 * pulse_shmbox_create() - make a mailbox in a memfd
 * @opts: or NULL for the defaults
 * @out: a handle
 *
 * Pages that are never used are never there.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EMFILE and the like.
 */
PULSE_API int pulse_shmbox_create(const struct pulse_shmbox_opts *opts,
				  struct pulse_shmbox **out);

/**
 * pulse_shmbox_fd() - the memfd, to be inherited or sent to others
 * @mb: a mailbox of pulse_shmbox_create() or pulse_shmbox_open()
 *
 * Return: the descriptor, which stays the mailbox's; -EINVAL also: it has none;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_fd(const struct pulse_shmbox *mb);

/**
 * pulse_shmbox_open() - use a mailbox that another process made
 * @fd: its memfd; duplicated, the caller keeps its own
 * @out: a handle
 *
 * Return: 0; -EINVAL @fd is no memfd; -EPERM it is not sealed against
 * shrinking, so that its owner could kill who uses it; -EPROTO there is no
 * mailbox in it; -ENOMEM; -EMFILE and the like.
 */
PULSE_API int pulse_shmbox_open(int fd, struct pulse_shmbox **out);

/**
 * pulse_shmbox_format() - make a mailbox in memory that others may share
 * @mem: aligned to PULSE_CACHE_PAIR; stays the caller's and must outlive the
 *	handle
 * @bytes: length of @mem
 * @opts: or NULL for the defaults
 * @out: a handle
 *
 * Nobody else may use the memory until this returned.
 *
 * Return: 0; -EINVAL also: @mem is too small; -E2BIG; -ENOMEM.
 */
PULSE_API int pulse_shmbox_format(void *mem, size_t bytes,
				  const struct pulse_shmbox_opts *opts,
				  struct pulse_shmbox **out);

/**
 * pulse_shmbox_attach() - use a mailbox that somebody else formatted
 * @mem: where it is mapped here
 * @bytes: length of @mem
 * @out: a handle
 *
 * Return: 0; -EINVAL; -EPROTO there is no mailbox in @mem, or one that would not
 * fit; -ENOMEM.
 */
PULSE_API int pulse_shmbox_attach(void *mem, size_t bytes,
				  struct pulse_shmbox **out);

/**
 * pulse_shmbox_format_on() - make a mailbox in the memory of a context's node
 * @ctx: the context, made with heap_bytes of at least pulse_shmbox_bytes(); with
 *	PULSE_CTX_OPT_SHARED other processes reach it. Outlives the handle.
 * @node: whose heap it takes, from its beginning
 * @opts: or NULL for the defaults
 * @out: a handle
 *
 * Kernel memory, on the kernel backend: it is there as long as anybody has the
 * context. The receiver waits by parking there.
 *
 * Return: as pulse_shmbox_format(); -EINVAL also: the heap is too small;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_format_on(struct pulse_ctx *ctx, int node,
				     const struct pulse_shmbox_opts *opts,
				     struct pulse_shmbox **out);

/**
 * pulse_shmbox_attach_on() - use a mailbox in the memory of a context's node
 * @ctx: the context, in another process that of pulse_ctx_attach()
 * @node: the node
 * @out: a handle
 *
 * Return: as pulse_shmbox_attach(); -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_attach_on(struct pulse_ctx *ctx, int node,
				     struct pulse_shmbox **out);

/**
 * pulse_shmbox_destroy() - give the handle back, and memory of its own
 * @mb: the mailbox; what is in it stays for those who have other handles
 *
 * Return: 0; -EINVAL; -EBUSY senders or receivers of this handle are open.
 * Always allowed in a forked child.
 */
PULSE_API int pulse_shmbox_destroy(struct pulse_shmbox *mb);

/**
 * pulse_shmbox_close() - no more messages, for all processes
 * @mb: the mailbox
 *
 * Sends say -ESRCH from now on. The receiver gets what is in it, and then
 * -ESHUTDOWN; it is woken. A message that is sent at this very moment may
 * stay.
 *
 * Return: 0; -EALREADY; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_close(struct pulse_shmbox *mb);

/**
 * pulse_shmbox_tx_open() - become a sender
 * @mb: the mailbox
 * @out: the sender; for one thread at a time
 *
 * Return: 0; -EBUSY all places have senders that live; -EPROTO; -EINVAL;
 * -ENOMEM; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_tx_open(struct pulse_shmbox *mb,
				   struct pulse_shmbox_tx **out);

/**
 * pulse_shmbox_tx_close() - stop sending
 * @tx: the sender; what it sent stays
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_shmbox_tx_close(struct pulse_shmbox_tx *tx);

/**
 * pulse_shmbox_send() - put a copy of a message in
 * @tx: the sender
 * @msg: the message; stays the caller's
 *
 * Return: 0 (also where it was dropped); -EAGAIN no room; -ETIMEDOUT still none
 * after block_ns; -EMSGSIZE it does not fit into a slot; -ETIME it has expired;
 * -ESRCH the mailbox is closed, or it would wait for a receiver that died;
 * -EPROTO the shared words cannot be true; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_shmbox_send(struct pulse_shmbox_tx *tx,
				const struct pulse_message *msg);

/**
 * pulse_shmbox_rx_open() - become the receiver
 * @mb: the mailbox
 * @index: in a context: the calling thread's worker, by which it waits; else -1
 * @out: the receiver; for one thread at a time
 *
 * Return: 0; -EBUSY there is one, and it lives; -EPROTO; -EINVAL; -ENOMEM;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_rx_open(struct pulse_shmbox *mb, int index,
				   struct pulse_shmbox_rx **out);

/**
 * pulse_shmbox_rx_close() - stop receiving
 * @rx: the receiver; the message that it has in hand counts as done
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_shmbox_rx_close(struct pulse_shmbox_rx *rx);

/**
 * pulse_shmbox_receive() - take a message, and wait for one if need be
 * @rx: the receiver; the message before counts as done
 * @deadline_ns: absolute, as pulse_now_ns(), or PULSE_FOREVER; 0 does not wait
 * @msg: out: a copy; the caller's
 *
 * Return: 0; -EAGAIN none, with a @deadline_ns of 0; -ETIMEDOUT; -ESHUTDOWN
 * closed, and nothing is in it; -EPROTO what a sender left there is no message
 * (it is gone now), or the shared words cannot be true; -ENOMEM (it stays);
 * -EINVAL; -EOWNERDEAD in a forked child; or as pulse_worker_park().
 */
PULSE_API int pulse_shmbox_receive(struct pulse_shmbox_rx *rx,
				   int64_t deadline_ns,
				   struct pulse_message **msg);

/**
 * pulse_shmbox_ack() - the message in hand is done
 * @rx: the receiver
 *
 * From here on it does not come again, should the receiver be killed. With
 * PULSE_MAILBOX_DROP_OLD a message is done when it is received.
 *
 * Return: 0; -ENOENT there is none in hand; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_shmbox_ack(struct pulse_shmbox_rx *rx);

/**
 * pulse_shmbox_reject() - the message in hand becomes a dead letter
 * @rx: the receiver
 *
 * Dead letters are what the receiver rejects and what it finds expired. They lie
 * in the shared memory too: whoever is killed, each is there once, or for a
 * moment twice. Where there is no room for one more it is only counted. What a
 * send found no room for is its sender's, who knows, and no dead letter.
 *
 * Return: 0; -ENOENT there is none in hand, as with PULSE_MAILBOX_DROP_OLD;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_reject(struct pulse_shmbox_rx *rx);

/**
 * pulse_shmbox_dead_count() - dead letters that are kept
 * @mb: the mailbox
 *
 * Return: how many, about; 0 for NULL.
 */
PULSE_API size_t pulse_shmbox_dead_count(const struct pulse_shmbox *mb);

/**
 * pulse_shmbox_dead_each() - look at the dead letters, oldest first
 * @mb: the mailbox
 * @fn: called for each, see <pulse-u/mailbox.h>; the reasons are
 *	PULSE_DEAD_EXPIRED and PULSE_DEAD_REJECTED
 * @arg: for @fn
 *
 * From any process that has the mailbox, one at a time; what is no message is
 * passed over.
 *
 * Return: 0, or what @fn stopped with; -EBUSY somebody else is at them; -ENOMEM;
 * -EPROTO; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_dead_each(struct pulse_shmbox *mb, pulse_dead_fn fn,
				     void *arg);

/**
 * pulse_shmbox_dead_take() - take the oldest dead letter out
 * @mb: the mailbox
 * @msg: out: a copy; the caller's
 * @reason: out: enum pulse_dead_reason; may be NULL
 *
 * Return: 0; -EAGAIN none; -EPROTO what is there is no message (it is gone now);
 * or as pulse_shmbox_dead_each().
 */
PULSE_API int pulse_shmbox_dead_take(struct pulse_shmbox *mb,
				     struct pulse_message **msg, int *reason);

/**
 * pulse_shmbox_redeliver() - send dead letters once more, oldest first
 * @mb: the mailbox they died in
 * @to: a sender of it, or of another one
 * @max: how many at most
 *
 * A time to live begins anew. Stops at the first that cannot be sent, which
 * stays a dead letter.
 *
 * Return: how many were sent; or, where the first was not, why, as
 * pulse_shmbox_send(); -EAGAIN also: there are none; or as
 * pulse_shmbox_dead_each().
 */
PULSE_API int pulse_shmbox_redeliver(struct pulse_shmbox *mb,
				     struct pulse_shmbox_tx *to,
				     unsigned int max);

/**
 * pulse_shmbox_count() - messages in it, about, and that in hand
 * @mb: the mailbox
 *
 * Return: exact when nobody uses it; 0 for NULL.
 */
PULSE_API size_t pulse_shmbox_count(const struct pulse_shmbox *mb);

/**
 * struct pulse_shmbox_stats - what happened to a shared mailbox
 * @sz: sizeof(struct pulse_shmbox_stats), set by the caller
 * @sent: messages that went in
 * @done: messages that came out, expired, or were dropped as the oldest
 * @expired: messages in it whose time to live was over
 * @dropped_new: messages that found no room
 * @dropped_old: messages that had to make room
 * @malformed: what senders left there that was no message
 * @takeovers: places taken over from senders that died
 * @rejected: messages that receivers rejected
 * @dead_letters: messages that became dead letters, kept or not
 *
 * Over all processes since it was formatted.
 */
struct pulse_shmbox_stats {
	size_t sz;
	uint64_t sent;
	uint64_t done;
	uint64_t expired;
	uint64_t dropped_new;
	uint64_t dropped_old;
	uint64_t malformed;
	uint64_t takeovers;
	uint64_t rejected;
	uint64_t dead_letters;
};

/**
 * pulse_shmbox_stats() - read a shared mailbox's statistics
 * @mb: the mailbox
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_shmbox_stats(const struct pulse_shmbox *mb,
				 struct pulse_shmbox_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MAILBOX_SHARED_H */

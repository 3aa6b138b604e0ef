/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * inbox.h - a channel between threads: payloads in, messages out.
 *
 * A mailbox for those who need no more than this. All else can be had through
 * pulse_inbox_mailbox().
 */
#ifndef PULSE_U_INBOX_H
#define PULSE_U_INBOX_H

#include <pulse-u/mailbox.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_inbox;

/**
 * pulse_inbox_create() - make an inbox
 * @opts: options of its mailbox, or NULL for the defaults
 * @out: the inbox
 *
 * Return: as pulse_mailbox_create().
 */
PULSE_API int pulse_inbox_create(const struct pulse_mailbox_opts *opts,
				 struct pulse_inbox **out);

/**
 * pulse_inbox_destroy() - close it, and give it back
 * @inbox: the inbox; threads that wait in it get -ESHUTDOWN, and it goes with
 *	the last of them
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_inbox_destroy(struct pulse_inbox *inbox);

/**
 * pulse_inbox_mailbox() - the mailbox behind it
 * @inbox: the inbox
 *
 * Return: the mailbox, which stays the inbox's; NULL for NULL.
 */
PULSE_API struct pulse_mailbox *pulse_inbox_mailbox(struct pulse_inbox *inbox);

/**
 * pulse_inbox_send() - put a payload in
 * @inbox: the inbox
 * @payload: copied; NULL with 0 @bytes is an empty message
 * @bytes: its length
 *
 * Return: as pulse_message_create() and pulse_mailbox_send().
 */
PULSE_API int pulse_inbox_send(struct pulse_inbox *inbox, const void *payload,
			       size_t bytes);

/**
 * pulse_inbox_recv() - take a message out, and wait for one if need be
 * @inbox: the inbox
 * @msg: out: the message; to be given back with pulse_message_put()
 *
 * Return: 0; -ESHUTDOWN the inbox is closed, and nothing is in it; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_inbox_recv(struct pulse_inbox *inbox,
			       struct pulse_message **msg);

/**
 * pulse_inbox_recv_timeout() - take a message out, and wait so long at most
 * @inbox: the inbox
 * @timeout_ms: milliseconds from now, 0 or more
 * @msg: out: the message
 *
 * Return: as pulse_inbox_recv(); -ETIMEDOUT.
 */
PULSE_API int pulse_inbox_recv_timeout(struct pulse_inbox *inbox,
				       int64_t timeout_ms,
				       struct pulse_message **msg);

/**
 * pulse_inbox_close() - no more messages
 * @inbox: the inbox
 *
 * Return: as pulse_mailbox_close().
 */
PULSE_API int pulse_inbox_close(struct pulse_inbox *inbox);

/**
 * pulse_inbox_is_closed() - was it closed?
 * @inbox: the inbox
 *
 * Return: 1, 0 or -EINVAL.
 */
PULSE_API int pulse_inbox_is_closed(const struct pulse_inbox *inbox);

/**
 * pulse_inbox_stats() - read the statistics of its mailbox
 * @inbox: the inbox
 * @out: the answer; its sz must be set
 *
 * Return: as pulse_mailbox_stats().
 */
PULSE_API int pulse_inbox_stats(struct pulse_inbox *inbox,
				struct pulse_mailbox_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_INBOX_H */

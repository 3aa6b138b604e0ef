/* SPDX-License-Identifier: GPL-2.0-only */
/* helpers.h - what the tests of mailboxes share. */
#ifndef PULSE_SELFTESTS_MAILBOX_HELPERS_H
#define PULSE_SELFTESTS_MAILBOX_HELPERS_H

#include <pthread.h>
#include <sched.h>

#include <pulse-u/inbox.h>
#include <pulse-u/mailbox.h>

#include "base/base.h"
#include "ktap.h"
#include "until.h"

static inline int64_t ms_from_now(int64_t ms)
{
	return pulse_now_ns() + ms * PULSE__NSEC_PER_MSEC;
}

/* A message with a number as its tag; priority 0 is the default. */
static inline struct pulse_message *numbered(uint64_t tag, uint32_t priority)
{
	PULSE_OPTS(pulse_message_opts, opts, .tag = tag, .priority = priority);
	struct pulse_message *msg;

	return pulse_message_create(&opts, &msg) ? NULL : msg;
}

static inline int send_tag(struct pulse_mailbox *mb, uint64_t tag,
			   uint32_t priority)
{
	struct pulse_message *msg = numbered(tag, priority);
	int err = pulse_mailbox_send(mb, msg);

	if (err)
		pulse_message_put(msg);
	return err;
}

/* The tag of what comes next, or a negative errno. */
static inline int64_t next_tag(struct pulse_mailbox *mb)
{
	struct pulse_message *msg;
	int err = pulse_mailbox_try_receive(mb, &msg);
	int64_t tag;

	if (err)
		return err;
	tag = (int64_t)pulse_message_tag(msg);
	pulse_message_put(msg);
	return tag;
}

static inline struct pulse_mailbox_stats stats_of(struct pulse_mailbox *mb)
{
	struct pulse_mailbox_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_mailbox_stats(mb, &s), 0);
	return s;
}

/* All that went in is accounted for. */
static inline void balanced(struct pulse_mailbox *mb)
{
	struct pulse_mailbox_stats s = stats_of(mb);

	KT_EQ(s.messages_sent, s.messages_received + s.messages_expired +
	      s.dropped_old + s.count);
	KT_EQ(s.messages_dropped, s.dropped_new + s.dropped_old);
}

#endif /* PULSE_SELFTESTS_MAILBOX_HELPERS_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * inbox.c - a mailbox by another name: struct pulse_inbox is never defined, and
 * its address is that of the mailbox.
 */
#include <pulse-u/inbox.h>

#include "mailbox/mailbox.h"

static struct pulse_mailbox *pulse__inbox_of(const struct pulse_inbox *inbox)
{
	return (struct pulse_mailbox *)(uintptr_t)inbox;
}

int pulse_inbox_create(const struct pulse_mailbox_opts *opts,
		       struct pulse_inbox **out)
{
	struct pulse_mailbox *mb;
	int err;

	if (!out)
		return -EINVAL;
	err = pulse_mailbox_create(opts, &mb);
	*out = (struct pulse_inbox *)mb;
	return err;
}

int pulse_inbox_destroy(struct pulse_inbox *inbox)
{
	return pulse_mailbox_destroy(pulse__inbox_of(inbox));
}

struct pulse_mailbox *pulse_inbox_mailbox(struct pulse_inbox *inbox)
{
	return pulse__inbox_of(inbox);
}

int pulse_inbox_send(struct pulse_inbox *inbox, const void *payload,
		     size_t bytes)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = payload,
		   .payload_bytes = bytes);
	struct pulse_message *msg;
	int err;

	if (!inbox || (!payload && bytes))
		return -EINVAL;
	err = pulse_message_create(&opts, &msg);
	if (err)
		return err;
	err = pulse_mailbox_send(pulse__inbox_of(inbox), msg);
	if (err)
		pulse_message_put(msg);
	return err;
}

int pulse_inbox_recv(struct pulse_inbox *inbox, struct pulse_message **msg)
{
	return pulse_mailbox_receive(pulse__inbox_of(inbox), msg);
}

int pulse_inbox_recv_timeout(struct pulse_inbox *inbox, int64_t timeout_ms,
			     struct pulse_message **msg)
{
	int64_t ns;

	if (timeout_ms < 0) {
		if (msg)
			*msg = NULL;
		return -EINVAL;
	}
	if (pulse__mul_overflow(timeout_ms, PULSE__NSEC_PER_MSEC, &ns))
		ns = PULSE_FOREVER;
	return pulse_mailbox_receive_until(pulse__inbox_of(inbox),
					   pulse__deadline_after(pulse_now_ns(),
								 ns), msg);
}

int pulse_inbox_close(struct pulse_inbox *inbox)
{
	return pulse_mailbox_close(pulse__inbox_of(inbox));
}

int pulse_inbox_is_closed(const struct pulse_inbox *inbox)
{
	return pulse_mailbox_closed(pulse__inbox_of(inbox));
}

int pulse_inbox_stats(struct pulse_inbox *inbox,
		      struct pulse_mailbox_stats *out)
{
	return pulse_mailbox_stats(pulse__inbox_of(inbox), out);
}

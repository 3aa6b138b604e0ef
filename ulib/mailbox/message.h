/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * message.h - the inside of a message.
 *
 * One piece of memory: this head, the payload with a 0 after it, the texts. The
 * link is the box's while it is on its way in, the receiver's queue's then, the
 * list of dead letters' in the end; "lies" says that it is in use.
 */
#ifndef PULSE__MAILBOX_MESSAGE_H
#define PULSE__MAILBOX_MESSAGE_H

#include <pulse-u/message.h>

#include "base/list.h"
#include "mailbox/box_inline.h"

#define PULSE__MESSAGE_MAGIC	0x4d455353U	/* "MESS" */
#define PULSE__REFS_MAX		0x7fffffffU

enum pulse__text {
	PULSE__TEXT_SENDER,
	PULSE__TEXT_ID,
	PULSE__TEXT_CORRELATION,
	PULSE__TEXT_REPLY_TO,
	PULSE__TEXTS,
};

struct pulse_message {
	union {
		struct pulse__box_node node;
		struct pulse__list link;
	};
	uint64_t number;		/* in its mailbox: rises in each queue */
	int64_t expires_ns;		/* PULSE_FOREVER: never */
	uint32_t refs;			/* atomic */
	uint32_t bytes;
	void *payload;
	uint64_t tag;
	uint16_t signal;
	uint8_t queue;			/* priority, from 0 */
	uint8_t lies;			/* atomic; in a mailbox, or among its dead */
	uint8_t reason;			/* enum pulse_dead_reason */
	uint8_t owned;			/* bit i: text[i] is memory of its own */
	uint8_t handed_over;
	uint32_t magic;
	const char *text[PULSE__TEXTS];
	int64_t ttl_ns;			/* 0: none */
	int64_t created_ns;
	int64_t sent_ns;
	int64_t received_ns;
	void (*release)(void *payload, size_t bytes, void *arg);
	void *release_arg;
	struct pulse_slab *slab;	/* NULL: heap */
	struct pulse_message *parent;	/* whose payload and texts it shows */
	struct pulse_message *id_next;	/* in the table of ids */
	uint32_t id_hash;
	unsigned char data[] PULSE__ALIGNED(16);
};

static inline struct pulse_message *pulse__message_of(struct pulse__list *link)
{
	return container_of(link, struct pulse_message, link);
}

/* Looks at the clock only where it must. */
static inline bool pulse__message_over(const struct pulse_message *msg,
				       int64_t *now_ns)
{
	if (likely(msg->expires_ns == PULSE_FOREVER))
		return false;
	if (!*now_ns)
		*now_ns = pulse_now_ns();
	return *now_ns >= msg->expires_ns;
}

/*
 * What is in shared memory between processes becomes one: the texts are @text,
 * times and time to live as they were. The payload is copied.
 */
int pulse__message_make(const struct pulse_message_opts *o, int64_t now_ns,
			struct pulse_message **out);

/* Raises a counter of references. 0 or -EOVERFLOW. */
int pulse__refs_get(uint32_t *refs);

#endif /* PULSE__MAILBOX_MESSAGE_H */

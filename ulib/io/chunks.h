/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * chunks.h - bytes that wait for a transport, in the order they came. Its loop's.
 */
#ifndef PULSE__IO_CHUNKS_H
#define PULSE__IO_CHUNKS_H

#include "base/base.h"

struct pulse__chunk {
	struct pulse__chunk *next;
	size_t at, len, room;
	unsigned char data[];
};

struct pulse__chunks {
	struct pulse__chunk *first, **last;
};

static inline void pulse__chunks_init(struct pulse__chunks *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static inline void pulse__chunks_free(struct pulse__chunks *q)
{
	while (q->first) {
		struct pulse__chunk *c = q->first;

		q->first = c->next;
		pulse__free(c);
	}
	q->last = &q->first;
}

/* @flying: the first one is in use, and must not grow. 0 or -ENOMEM. */
static inline int pulse__chunks_put(struct pulse__chunks *q, bool flying,
				    const void *data, size_t len)
{
	struct pulse__chunk *c = q->first ?
		container_of(q->last, struct pulse__chunk, next) : NULL;

	if (!c || (flying && c == q->first) || c->room - c->len < len) {
		size_t room = len > 4096 ? len : 4096;

		c = pulse__malloc(sizeof(*c) + room);
		if (!c)
			return -ENOMEM;
		*c = (struct pulse__chunk){ .room = room };
		*q->last = c;
		q->last = &c->next;
	}
	memcpy(c->data + c->len, data, len);
	c->len += len;
	return 0;
}

/* So much of the first one is out. */
static inline void pulse__chunks_sent(struct pulse__chunks *q, size_t n)
{
	struct pulse__chunk *c = q->first;

	c->at += n;
	if (c->at < c->len)
		return;
	q->first = c->next;
	if (!q->first)
		q->last = &q->first;
	pulse__free(c);
}

#endif /* PULSE__IO_CHUNKS_H */

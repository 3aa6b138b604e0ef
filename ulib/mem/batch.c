// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* batch.c - an array with a length, and views of it. No state, no lock. */
#include "base/base.h"

#include <pulse-u/batch.h>

static bool is_batch(const struct pulse_batch *b)
{
	return b && b->item_bytes && (b->items || !b->capacity);
}

static unsigned char *item_at(const struct pulse_batch *b, size_t index)
{
	return (unsigned char *)b->items + index * b->item_bytes;
}

int pulse_batch_init(struct pulse_batch *b, void *items, size_t item_bytes,
		     size_t capacity)
{
	size_t bytes;

	if (!b || !item_bytes || (!items && capacity) ||
	    pulse__mul_overflow(item_bytes, capacity, &bytes))
		return -EINVAL;
	b->items = items;
	b->len = 0;
	b->capacity = capacity;
	b->item_bytes = item_bytes;
	return 0;
}

int pulse_batch_append(struct pulse_batch *b, const void *item)
{
	if (!is_batch(b) || !item)
		return -EINVAL;
	if (b->len >= b->capacity)
		return -ENOBUFS;
	memcpy(item_at(b, b->len), item, b->item_bytes);
	b->len++;
	return 0;
}

int pulse_batch_append_ptr(struct pulse_batch *b, void *ptr)
{
	if (!b || b->item_bytes != sizeof(ptr))
		return -EINVAL;
	return pulse_batch_append(b, &ptr);
}

void *pulse_batch_get(const struct pulse_batch *b, size_t index)
{
	return is_batch(b) && index < b->len ? item_at(b, index) : NULL;
}

void *pulse_batch_get_ptr(const struct pulse_batch *b, size_t index)
{
	void *ptr = NULL, *item = pulse_batch_get(b, index);

	if (item && b->item_bytes == sizeof(ptr))
		memcpy(&ptr, item, sizeof(ptr));
	return ptr;
}

size_t pulse_batch_len(const struct pulse_batch *b)
{
	return b ? b->len : 0;
}

/* The part is there. */
static struct pulse_batch view(const struct pulse_batch *b, size_t from,
			       size_t to)
{
	struct pulse_batch v = {
		.items = to > from ? item_at(b, from) : b->items,
		.len = to - from,
		.capacity = to - from,
		.item_bytes = b->item_bytes,
	};

	return v;
}

int pulse_batch_slice(const struct pulse_batch *b, size_t from, size_t to,
		      struct pulse_batch *out)
{
	if (!is_batch(b) || !out || from > to || to > b->len)
		return -EINVAL;
	*out = view(b, from, to);
	return 0;
}

int pulse_batch_split(const struct pulse_batch *b, size_t at,
		      struct pulse_batch *head, struct pulse_batch *tail)
{
	struct pulse_batch whole;

	if (!is_batch(b) || at > b->len || (head && head == tail))
		return -EINVAL;
	/* One of the views may take the place of the batch. */
	whole = *b;
	if (head)
		*head = view(&whole, 0, at);
	if (tail)
		*tail = view(&whole, at, whole.len);
	return 0;
}

int pulse_batch_reset(struct pulse_batch *b)
{
	if (!is_batch(b))
		return -EINVAL;
	b->len = 0;
	return 0;
}

void *pulse_batch_underlying(const struct pulse_batch *b)
{
	return b ? b->items : NULL;
}

int pulse_batch_each(const struct pulse_batch *b, pulse_batch_fn fn, void *arg)
{
	int ret = 0;

	if (!is_batch(b) || !fn)
		return -EINVAL;
	for (size_t i = 0; !ret && i < b->len; i++)
		ret = fn(item_at(b, i), i, arg);
	return ret;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * buffer.c - references to buffers, slices, wrapped memory, copies.
 *
 * A slice refers to the buffer that has the memory, never to another slice, so
 * that putting the last of a long row of slices goes two steps and no more.
 */
#include "mem/buffer_int.h"

int pulse__buffer_ref(struct pulse_buffer *buf)
{
	uint32_t old = READ_ONCE(buf->refs);

	do {
		if (unlikely(old >= PULSE__BUFFER_REFS_MAX)) {
#ifdef PULSE_DEBUG
			pulse__bug("pulse_buffer_get: reference count overflows");
#endif
			return -EOVERFLOW;
		}
		/* Who takes one has one already: nothing to order. */
	} while (!pulse__cas(&buf->refs, &old, old + 1, __ATOMIC_RELAXED,
			     __ATOMIC_RELAXED));
	return 0;
}

int pulse_buffer_get(struct pulse_buffer *buf)
{
	if (!buf)
		return -EINVAL;
	pulse__buffer_check(buf, "pulse_buffer_get");
	return pulse__buffer_ref(buf);
}

/* A handle without memory of its own goes; what it kept is put. */
static void view_return(struct pulse_buffer *buf)
{
	struct pulse_buffer_pool *pool = buf->pool;
	struct pulse_buffer *root = NULL;

	if (buf->kind == PULSE__BUFFER_SLICE)
		root = buf->root;
	else if (buf->release)
		buf->release(buf->data, buf->arg);
	buf->magic = PULSE__MAGIC_DEAD;
	if (!pulse__forked(pool->fork_gen))
		pulse_slab_free(pool->views, buf);
	/* Has the memory: not a slice, so this goes no deeper. */
	pulse_buffer_put(root);
}

void pulse_buffer_put(struct pulse_buffer *buf)
{
	if (!buf)
		return;
	pulse__buffer_check(buf, "pulse_buffer_put");
	/* pairs with itself: the last one sees all that the others did */
	if (__atomic_fetch_sub(&buf->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (buf->kind < PULSE__BUFFER_CLASSES)
		pulse__buffer_return(buf);
	else
		view_return(buf);
}

static int view_get(struct pulse_buffer_pool *pool, unsigned int kind,
		    void *data, size_t bytes, struct pulse_buffer **out)
{
	struct pulse_buffer *buf;
	void *mem;
	int err = pulse_slab_alloc(pool->views, &mem);

	if (err) {
		if (err == -ENOMEM)
			pulse__add_relaxed(&pool->failed, 1);
		return err;
	}
	buf = mem;
	buf->magic = PULSE__BUFFER_MAGIC;
	buf->refs = 1;
	buf->pool = pool;
	buf->data = data;
	buf->len = (uint32_t)bytes;
	buf->capacity = (uint32_t)bytes;
	buf->kind = kind;
	buf->node = -ENOENT;
	*out = buf;
	return 0;
}

int pulse_buffer_slice(struct pulse_buffer *buf, size_t from, size_t to,
		       struct pulse_buffer **out)
{
	struct pulse_buffer *root, *slice;
	int err;

	if (out)
		*out = NULL;
	if (!buf || !out)
		return -EINVAL;
	pulse__buffer_check(buf, "pulse_buffer_slice");
	if (from > to || to > buf->len)
		return -EINVAL;
	root = buf->kind == PULSE__BUFFER_SLICE ? buf->root : buf;
	err = pulse__buffer_ref(root);
	if (err)
		return err;
	err = view_get(buf->pool, PULSE__BUFFER_SLICE, buf->data + from,
		       to - from, &slice);
	if (err) {
		pulse_buffer_put(root);
		return err;
	}
	slice->root = root;
	slice->node = root->node;
	*out = slice;
	return 0;
}

int pulse_buffer_wrap(struct pulse_buffer_pool *pool, void *data, size_t bytes,
		      void (*release)(void *data, void *arg), void *arg,
		      struct pulse_buffer **out)
{
	int err;

	if (out)
		*out = NULL;
	if (!pool || !out || (!data && bytes))
		return -EINVAL;
	pulse__obj_check(pool, PULSE__BUFPOOL_MAGIC, "pulse_buffer_wrap");
	if (bytes > UINT32_MAX)
		return -EMSGSIZE;
	err = view_get(pool, PULSE__BUFFER_WRAP, data, bytes, out);
	if (err)
		return err;
	(*out)->release = release;
	(*out)->arg = arg;
	return 0;
}

int pulse_buffer_copy(const struct pulse_buffer *buf, int node,
		      struct pulse_buffer **out)
{
	int err;

	if (out)
		*out = NULL;
	if (!buf || !out)
		return -EINVAL;
	pulse__buffer_check(buf, "pulse_buffer_copy");
	err = pulse_buffer_pool_get(buf->pool, buf->len, node, out);
	if (err)
		return err;
	if (buf->len)
		memcpy((*out)->data, buf->data, buf->len);
	return 0;
}

void *pulse_buffer_data(const struct pulse_buffer *buf)
{
	if (!buf)
		return NULL;
	pulse__buffer_check(buf, "pulse_buffer_data");
	return buf->data;
}

size_t pulse_buffer_len(const struct pulse_buffer *buf)
{
	if (!buf)
		return 0;
	pulse__buffer_check(buf, "pulse_buffer_len");
	return buf->len;
}

size_t pulse_buffer_capacity(const struct pulse_buffer *buf)
{
	if (!buf)
		return 0;
	pulse__buffer_check(buf, "pulse_buffer_capacity");
	return buf->capacity;
}

int pulse_buffer_set_len(struct pulse_buffer *buf, size_t bytes)
{
	if (!buf)
		return -EINVAL;
	pulse__buffer_check(buf, "pulse_buffer_set_len");
	if (bytes > buf->capacity)
		return -EINVAL;
	buf->len = (uint32_t)bytes;
	return 0;
}

int pulse_buffer_node(const struct pulse_buffer *buf)
{
	if (!buf)
		return -EINVAL;
	pulse__buffer_check(buf, "pulse_buffer_node");
	return buf->node;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* buffers.h - a pool of buffers, and what it says of itself. */
#ifndef MEM_BUFFERS_H
#define MEM_BUFFERS_H

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/buffer.h>

#include "mem/buffer_int.h"

static struct pulse_buffer_pool *pool;

static inline void start(void)
{
	pool = NULL;
	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
}

static inline struct pulse_buffer *take(size_t bytes)
{
	struct pulse_buffer *buf = NULL;

	KT_EQ(pulse_buffer_pool_get(pool, bytes, PULSE_NODE_HERE, &buf), 0);
	return buf;
}

static inline struct pulse_buffer_stats stats(void)
{
	struct pulse_buffer_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_buffer_pool_stats(pool, &s), 0);
	return s;
}

#endif /* MEM_BUFFERS_H */

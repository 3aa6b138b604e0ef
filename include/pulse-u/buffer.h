/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * buffer.h - reference counted buffers of node memory, and slices of them
 * without copying.
 *
 * A pool hands out buffers in sizes of powers of two, from slabs of the NUMA
 * node that is asked for; what is larger than 32 KiB comes as pages, of which
 * the pool keeps some. A buffer goes back when its last reference is put, by
 * whatever thread, to the node it came from. A slice is a buffer like others;
 * it holds a reference to the one that has the memory, so that this lives as
 * long as any slice of it.
 *
 * Pools may be used from any thread. So may the reference count of a buffer;
 * its content and its length are for those who have it to agree about.
 *
 * A debug build of the library (PULSE_DEBUG) aborts with a message where a
 * buffer is put once too often, is used after it was released, or is
 * referenced more often than the counter goes.
 */
#ifndef PULSE_U_BUFFER_H
#define PULSE_U_BUFFER_H

#include <pulse-u/base.h>
#include <pulse-u/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_buffer;
struct pulse_buffer_pool;

/* Alignment of a buffer's data, in bytes. */
#define PULSE_BUFFER_ALIGN	64

#define PULSE_BUFFER_HUGE	(1U << 0) /* huge pages where they can be had */

/**
 * struct pulse_buffer_pool_opts - options of pulse_buffer_pool_create()
 * @sz: sizeof(struct pulse_buffer_pool_opts)
 * @largest_bytes: the largest buffer there is, up to 1 GiB; default 1 MiB
 * @limit_bytes: capacity of all buffers in use together; default no limit
 * @limit_buffers: how many may be in use; default no limit
 * @keep: pages of large buffers to keep for the next one, per size, up to
 *	1024; default 8; %PULSE_OFF for none
 * @flags: PULSE_BUFFER_* or 0
 *
 * Slices and wrapped memory do not count for the limits.
 */
struct pulse_buffer_pool_opts {
	size_t sz;
	size_t largest_bytes;
	uint64_t limit_bytes;
	uint64_t limit_buffers;
	int32_t keep;
	uint32_t flags;
};

/**
 * pulse_buffer_pool_create() - make a pool of buffers
 * @opts: or NULL for the defaults
 * @out: the pool
 *
 * Takes no memory for buffers yet.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int
pulse_buffer_pool_create(const struct pulse_buffer_pool_opts *opts,
			 struct pulse_buffer_pool **out);

/**
 * pulse_buffer_pool_destroy() - give all memory back
 * @pool: the pool; no other thread uses it any more
 *
 * Return: 0; -EINVAL; -EBUSY buffers or slices are in use (nothing was done).
 * Allowed in a forked child, where buffers in use go too.
 */
PULSE_API int pulse_buffer_pool_destroy(struct pulse_buffer_pool *pool);

/**
 * pulse_buffer_pool_get() - take a buffer
 * @pool: the pool
 * @bytes: its length, 0 or more; its capacity is at least that
 * @node: NUMA node, or PULSE_NODE_HERE
 * @out: the buffer, with one reference; its content is undefined
 *
 * Return: 0; -ENOBUFS the pool's limit is reached; -EMSGSIZE larger than the
 * pool's buffers may be; -ENOMEM; -EINVAL, also where there is no such node;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_buffer_pool_get(struct pulse_buffer_pool *pool,
				    size_t bytes, int node,
				    struct pulse_buffer **out);

/**
 * pulse_buffer_wrap() - make a buffer of memory that is there
 * @pool: the pool that the handle comes from
 * @data: the memory; needs no alignment
 * @bytes: its length, up to 4 GiB - 1
 * @release: called with @data and @arg when the last reference is put, by
 *	that thread; or NULL
 * @arg: for @release
 * @out: the buffer, with one reference
 *
 * For shared memory, mapped files, memory of a device.
 *
 * Return: 0; -EINVAL; -EMSGSIZE; -ENOMEM; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_buffer_wrap(struct pulse_buffer_pool *pool, void *data,
				size_t bytes,
				void (*release)(void *data, void *arg),
				void *arg, struct pulse_buffer **out);

/**
 * pulse_buffer_get() - take another reference
 * @buf: the buffer
 *
 * Return: 0; -EINVAL; -EOVERFLOW there are 2^31 - 1 (a debug build aborts).
 */
PULSE_API int pulse_buffer_get(struct pulse_buffer *buf);

/**
 * pulse_buffer_put() - give a reference back
 * @buf: the buffer; NULL does nothing. With the last reference it goes back to
 *	the pool.
 */
PULSE_API void pulse_buffer_put(struct pulse_buffer *buf);

/**
 * pulse_buffer_slice() - a part of a buffer, without copying
 * @buf: the buffer, or a slice
 * @from: where the part begins
 * @to: where it ends, not included; up to the length of @buf
 * @out: the slice, with one reference of its own
 *
 * The slice shows the same memory and keeps it; @buf may be put before it.
 * Its handle comes from the pool, not from the heap.
 *
 * Return: 0; -EINVAL, also for a part that is not there; -ENOMEM; -EOVERFLOW
 * as pulse_buffer_get(); -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_buffer_slice(struct pulse_buffer *buf, size_t from,
				 size_t to, struct pulse_buffer **out);

/**
 * pulse_buffer_copy() - a new buffer with the same content
 * @buf: the buffer or slice
 * @node: NUMA node of the copy, or PULSE_NODE_HERE
 * @out: the copy, with one reference
 *
 * Return: as pulse_buffer_pool_get().
 */
PULSE_API int pulse_buffer_copy(const struct pulse_buffer *buf, int node,
				struct pulse_buffer **out);

/**
 * pulse_buffer_data() - where the content is
 * @buf: the buffer
 *
 * Return: its first byte; NULL for a NULL @buf.
 */
PULSE_API void *pulse_buffer_data(const struct pulse_buffer *buf);

/**
 * pulse_buffer_len() - how long the content is
 * @buf: the buffer
 *
 * Return: bytes; 0 for a NULL @buf.
 */
PULSE_API size_t pulse_buffer_len(const struct pulse_buffer *buf);

/**
 * pulse_buffer_capacity() - how long the content may become
 * @buf: the buffer
 *
 * Return: bytes; that of a slice or of wrapped memory is its first length.
 */
PULSE_API size_t pulse_buffer_capacity(const struct pulse_buffer *buf);

/**
 * pulse_buffer_set_len() - say how much of a buffer is content
 * @buf: the buffer; slices that are there keep their length
 * @bytes: up to its capacity
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_buffer_set_len(struct pulse_buffer *buf, size_t bytes);

/**
 * pulse_buffer_node() - the node whose memory was asked for
 * @buf: the buffer
 *
 * Return: node number; -ENOENT for wrapped memory; -EINVAL.
 */
PULSE_API int pulse_buffer_node(const struct pulse_buffer *buf);

/**
 * struct pulse_buffer_stats - what a pool has done
 * @sz: sizeof(struct pulse_buffer_stats), set by the caller
 * @gets: buffers handed out so far
 * @puts: buffers that came back
 * @in_use: buffers handed out and not come back
 * @views: slices and wrapped memory in use
 * @exhausted: times the answer was -ENOBUFS
 * @failed: times the answer was -ENOMEM
 * @remote_puts: buffers that came back on another node than theirs
 * @bytes: memory taken from the system
 * @hit_percent: how many of @gets were served from what a CPU or the pool
 *	kept; 0 before the first
 *
 * Summed up without stopping anybody: exact when nobody uses the pool.
 */
struct pulse_buffer_stats {
	size_t sz;
	uint64_t gets;
	uint64_t puts;
	uint64_t in_use;
	uint64_t views;
	uint64_t exhausted;
	uint64_t failed;
	uint64_t remote_puts;
	uint64_t bytes;
	double hit_percent;
};

/**
 * pulse_buffer_pool_stats() - read a pool's statistics
 * @pool: the pool
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_buffer_pool_stats(struct pulse_buffer_pool *pool,
				      struct pulse_buffer_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BUFFER_H */

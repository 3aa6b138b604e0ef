/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * buffer_int.h - the inside of buffers and their pool.
 *
 *   slab class i (0..7)	256 << i bytes of data behind the handle, from a
 *				slab: any node, any thread
 *   large class i		pages; some are kept in a list a class, under a
 *				mutex, to be used again on the same node
 *   views			handles alone: slices and wrapped memory
 *
 * Handle and data are one object, the handle in the first cache line.
 */
#ifndef PULSE__MEM_BUFFER_INT_H
#define PULSE__MEM_BUFFER_INT_H

#include <pthread.h>

#include <pulse-u/buffer.h>

#include "mem/node.h"

#define PULSE__BUFFER_MAGIC	0x42554646U	/* "BUFF" */
#define PULSE__BUFPOOL_MAGIC	0x42504f4cU	/* "BPOL" */
#define PULSE__BUFFER_REFS_MAX	INT32_MAX

#define PULSE__BUFFER_SHIFT	8U		/* the smallest: 256 bytes */
#define PULSE__BUFFER_SLABS	8U		/* up to 32 KiB */
#define PULSE__BUFFER_CLASSES	23U		/* up to 1 GiB */
/* pulse_buffer.kind: a class, or one of these. */
#define PULSE__BUFFER_SLICE	0x100U
#define PULSE__BUFFER_WRAP	0x101U

struct pulse_buffer {
	uint32_t magic;
	uint32_t refs;			/* atomic */
	struct pulse_buffer_pool *pool;
	union {
		struct pulse_buffer *root;	/* slice: whose memory it is */
		struct pulse_buffer *next;	/* large, while it is kept */
		void (*release)(void *data, void *arg);	/* wrapped */
	};
	void *arg;			/* wrapped: for release */
	unsigned char *data;
	uint32_t len;
	uint32_t capacity;
	uint32_t kind;
	int32_t node;
};

_Static_assert(sizeof(struct pulse_buffer) <= PULSE_BUFFER_ALIGN,
	       "the handle fits before the data");

struct pulse__buffer_large {
	pthread_mutex_t lock;
	struct pulse_buffer *kept;
	uint32_t nr_kept;
	uint64_t gets;
	uint64_t puts;
	uint64_t hits;
	uint64_t remote_puts;
	uint64_t bytes;
};

struct pulse_buffer_pool {
	uint32_t magic;
	uint32_t fork_gen;
	uint32_t keep;
	uint32_t map_flags;
	size_t largest_bytes;
	uint64_t limit_bytes;		/* UINT64_MAX: none */
	uint64_t limit_buffers;
	bool limited;

	struct pulse_slab *slab[PULSE__BUFFER_SLABS];
	struct pulse_slab *views;
	struct pulse__buffer_large large[PULSE__BUFFER_CLASSES];

	/* atomic, and only written where there is a limit */
	uint64_t used_bytes PULSE__PAIR_ALIGNED;
	uint64_t used_buffers;
	/* atomic */
	uint64_t exhausted PULSE__PAIR_ALIGNED;
	uint64_t failed;
};

#ifdef PULSE_DEBUG
#define pulse__buffer_check(buf, what)					\
	do {								\
		if ((buf)->magic != PULSE__BUFFER_MAGIC ||		\
		    !READ_ONCE((buf)->refs))				\
			pulse__bug("%s: buffer was released before (double put or use after release)", \
				   what);				\
	} while (0)
#else
#define pulse__buffer_check(buf, what)	((void)0)
#endif

/* One reference more; 0 or -EOVERFLOW. */
int pulse__buffer_ref(struct pulse_buffer *buf);

/* buffer_pool.c */

/* The handle's last reference is gone; not for slices and wrapped memory. */
void pulse__buffer_return(struct pulse_buffer *buf);

#endif /* PULSE__MEM_BUFFER_INT_H */

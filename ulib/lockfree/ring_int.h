/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ring_int.h - what a handle of a ring.h knows, for ring.c and ring_word.c.
 */
#ifndef PULSE__RING_INT_H
#define PULSE__RING_INT_H

#include <linux/pulse.h>
#include <pulse-u/ring.h>

#include "lockfree/ring_inline.h"

#define PULSE__RING_TRIES	128

struct pulse_ring {
	/* Never written after create. */
	struct pulse_nring_hdr *hdr;		/* untrusted */
	struct pulse_nring_entry *entry;	/* untrusted */
	uint64_t mask;
	unsigned int shift;
	uint32_t elem_bytes;
	uint32_t fork_gen;
	uint32_t magic;
	size_t node_bytes;	/* own memory, of a node; 0: heap or attached */
	bool attached;
	bool no_stall;		/* elements go by ring_word.c */
	uint32_t overflow;

	uint64_t errors PULSE__PAIR_ALIGNED;	/* -EPROTO answered */
	uint64_t dropped;			/* atomic */
};

static inline PULSE__UNUSED int pulse__ring_eproto(struct pulse_ring *r)
{
	pulse__add_relaxed(&r->errors, 1);
	return -EPROTO;
}

/*
 * ring.c: there is no getting on. 0 the words moved meanwhile, look again;
 * -EAGAIN they may be; -EPROTO they cannot: each position may lag by @slack.
 */
int pulse__ring_weigh(struct pulse_ring *r, uint64_t slack);

/* ---- ring_word.c: the ring that nobody can stall ------------------------ */

/* Can this CPU exchange a turn and a word in one step? */
bool pulse__ring_words_ready(void);
/* As the public functions, which have looked at what they were given. */
int pulse__ring_push_word(struct pulse_ring *r, const void *elem, size_t bytes);
int pulse__ring_pop_word(struct pulse_ring *r, void *elem);
int pulse__ring_push_words(struct pulse_ring *r, const void *elems,
			   unsigned int nr);
int pulse__ring_pop_words(struct pulse_ring *r, void *elems, unsigned int nr);

#endif /* PULSE__RING_INT_H */

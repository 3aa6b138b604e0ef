// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* mpmc.c - making and ending the queue of ring_inline.h. */
#include "lockfree/ring_inline.h"

int pulse__mpmc_init(struct pulse__mpmc *q, uint64_t entries, uint64_t start)
{
	size_t bytes;

	if (pulse__mul_overflow(entries, sizeof(*q->slots), &bytes))
		return -ENOMEM;
	q->slots = pulse__aligned_alloc(PULSE_CACHE_PAIR, bytes);
	if (!q->slots)
		return -ENOMEM;
	q->mask = entries - 1;
	q->shift = pulse__log2(entries);
	q->enqueue = start;
	q->dequeue = start;
	/* Each slot waits for the first position from start on that is its. */
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t pos = start + ((i - start) & q->mask);

		q->slots[i].turn = pulse__mpmc_turn(pos, q->shift);
	}
	return 0;
}

void pulse__mpmc_fini(struct pulse__mpmc *q)
{
	pulse__free(q->slots);
	q->slots = NULL;
}

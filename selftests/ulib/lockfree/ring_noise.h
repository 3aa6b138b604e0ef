/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring in memory that another process writes to as it likes.
 */
#ifndef PULSE_SELFTESTS_RING_NOISE_H
#define PULSE_SELFTESTS_RING_NOISE_H

#include <pulse-u/ring.h>

#include "threads.h"

/* Each call comes back with an answer that it may give; no count is over @most. */
static inline void ring_bears_noise(struct pulse_ring *r, uint64_t rounds,
				    uint32_t most)
{
	uint64_t elems[3][PULSE_RING_ELEM_MAX / 8] = { { 0 } };

	for (uint64_t i = 0; i < rounds; i++) {
		int err;

		switch (i & 3) {
		case 0:
			elems[0][0] = i;
			err = pulse_ring_push(r, elems, sizeof(uint64_t));
			break;
		case 1:
			err = pulse_ring_pop(r, elems, NULL);
			break;
		case 2:
			err = pulse_ring_push_n(r, elems, 3);
			break;
		default:
			err = pulse_ring_pop_n(r, elems, 3);
		}
		if (err < 0 && err != -EAGAIN && err != -EPROTO) {
			KT_FAIL("answered %d", err);
			break;
		}
		if (pulse_ring_count(r) > most) {
			KT_FAIL("counted more than there is room for");
			break;
		}
	}
}

#endif /* PULSE_SELFTESTS_RING_NOISE_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * fork.c - counts forks, so that objects notice that they are in a child.
 *
 * Installed when the library is loaded: an object made before the first look
 * at the generation would otherwise miss a fork.
 */
#include <pthread.h>

#include "base/base.h"

#define PULSE__FORK_WORDS 64U

uint32_t pulse__fork_gen = 1;

/* [generation]: 1 in its children. [0] stands for those there is no word for. */
static uint32_t pulse__fork_left[PULSE__FORK_WORDS] = { 1 };

const uint32_t *pulse__fork_word(bool known)
{
	uint32_t gen = pulse__fork_generation();

	return &pulse__fork_left[known && gen < PULSE__FORK_WORDS ? gen : 0];
}

static void pulse__fork_child(void)
{
	if (pulse__fork_gen < PULSE__FORK_WORDS)
		WRITE_ONCE(pulse__fork_left[pulse__fork_gen], 1);
	/* The child is alone: no atomic add needed, but readers come later. */
	WRITE_ONCE(pulse__fork_gen, pulse__fork_gen + 1);
}

__attribute__((constructor))
static void pulse__fork_init(void)
{
	if (pthread_atfork(NULL, NULL, pulse__fork_child))
		pulse_log(PULSE_LOG_ERROR,
			  "cannot detect forks: out of memory at start");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * asym.h - asymmetric barriers: a hot side that pays nothing, a cold side that
 * pays for both with membarrier(2).
 *
 *   hot                               cold
 *   ---                               ----
 *   store X                           store Y
 *   pulse__asym_light()      (A)      pulse__asym_heavy()      (B)
 *   load Y                            load X
 *
 * A pairs with B: not both loads miss the other's store. B runs a full barrier
 * on each CPU that runs a thread concerned, at some moment between its start
 * and its return; the hot side's store is either before that moment, and seen,
 * or its load is after it, and sees. spin: asym_wake, deque (case asym).
 *
 * LOCAL concerns the threads of this process, GLOBAL those of all processes
 * that registered for it. What a process is refused (an old kernel, a seccomp
 * filter) stays refused; then both sides use a fence.
 */
#ifndef PULSE__ASYM_H
#define PULSE__ASYM_H

#include "base/base.h"

enum pulse__asym {
	PULSE__ASYM_NONE,	/* refused: pulse__full_barrier() on both sides */
	PULSE__ASYM_LOCAL,
	PULSE__ASYM_GLOBAL,
};

/* Registers this process; true: light and heavy of that kind work here. */
bool pulse__asym_local(void);
bool pulse__asym_global(void);

/* The hot side: keeps the compiler from moving what the CPU is told about. */
static inline void pulse__asym_light(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The cold side, of a kind that works here: a system call. */
void pulse__asym_heavy(enum pulse__asym kind);

#endif /* PULSE__ASYM_H */

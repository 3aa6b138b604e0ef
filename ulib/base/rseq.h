/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * rseq.h - look at a gate and store a word, as if in one step, without a
 * read-modify-write: a restartable sequence (rseq(2), registered by glibc).
 *
 *   hot                               cold
 *   ---                               ----
 *   begin                             gate = 0
 *   gate open?       (A)              pulse__rseq_fence()   (B)
 *   word = value; end                 read, write word by compare-exchange
 *
 * A pairs with B: a thread between begin and end that is preempted, or on a CPU
 * that B interrupts, does not go on but begins again, and then sees the gate
 * closed. So after B nobody stores because of an open gate any more; and what was
 * stored before is seen, as B is a full barrier on each CPU concerned. Threads of
 * one process only. spin: bias
 *
 * Where it is not to be had (another CPU than x86-64, a libc that does not
 * register, a kernel before 5.10, a seccomp filter) pulse__rseq_ready() says so.
 * A TSan build does without: it does not see into the assembly.
 */
#ifndef PULSE__RSEQ_H
#define PULSE__RSEQ_H

#include "base/base.h"

#if defined(__x86_64__) && defined(__LP64__) && !defined(PULSE__TSAN) &&	\
	defined(__has_include)
#if __has_include(<sys/rseq.h>)
#define PULSE__RSEQ 1
#include <sys/rseq.h>
#endif
#endif

/* Registers this process; true: the store and the fence work here. */
bool pulse__rseq_ready(void);

/*
 * B. 0; -EPERM the kernel refuses what it granted before: somebody may still be
 * about to store.
 */
int pulse__rseq_fence(void);

/*
 * *@word = @value while *@gate is not 0. False: it is, or the thread was
 * interrupted; nothing was stored. Only after pulse__rseq_ready().
 */
static inline bool pulse__rseq_store(const uint32_t *gate, uint64_t *word,
				     uint64_t value)
{
#ifdef PULSE__RSEQ
	struct rseq *self = (struct rseq *)((char *)
			    __builtin_thread_pointer() + __rseq_offset);
	uint64_t *cs = (uint64_t *)(void *)&self->rseq_cs;

	/* A thread that was not made by libc is not registered. */
	if (unlikely((int32_t)READ_ONCE(self->cpu_id) < 0))
		return false;
	__asm__ __volatile__ goto(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n\t"
		"3:\n\t"
		".long 0, 0\n\t"			/* version, flags */
		".quad 1f, 2f - 1f, 4f\n\t"		/* from, length, abort */
		".popsection\n\t"
		"leaq 3b(%%rip), %%rax\n\t"
		"movq %%rax, %[cs]\n\t"
		"1:\n\t"
		"cmpl $0, %[gate]\n\t"			/* A */
		"je %l[no]\n\t"
		"movq %[value], %[word]\n\t"		/* a release, on x86 */
		"2:\n\t"
		".pushsection __rseq_failure, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"		/* ud1, and a signature */
		".long %c[sig]\n\t"
		"4:\n\t"
		"jmp %l[no]\n\t"
		".popsection"
		: : [cs] "m" (*cs), [gate] "m" (*gate), [word] "m" (*word),
		    [value] "r" (value), [sig] "i" (RSEQ_SIG)
		: "rax", "cc", "memory" : no);
	/* The library may be unloaded: leave no address of it behind. */
	WRITE_ONCE(*cs, 0);
	return true;
no:
	WRITE_ONCE(*cs, 0);
	return false;
#else
	(void)gate;
	(void)word;
	(void)value;
	return false;
#endif
}

#endif /* PULSE__RSEQ_H */

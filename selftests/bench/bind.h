/* SPDX-License-Identifier: GPL-2.0-only */
/* bind.h - threads of benchmarks, and of their peers in C++, on CPUs of their own. */
#ifndef PULSE_BENCH_BIND_H
#define PULSE_BENCH_BIND_H

#include <sched.h>

/* Binds the calling thread to the @nth CPU of those that the process may use. */
static inline void bind_to_nth(unsigned int nth)
{
	cpu_set_t may, one;

	if (sched_getaffinity(0, sizeof(may), &may))
		return;
	nth %= (unsigned int)CPU_COUNT(&may);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &may) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

#endif /* PULSE_BENCH_BIND_H */

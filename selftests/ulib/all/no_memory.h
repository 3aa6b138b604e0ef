/* SPDX-License-Identifier: GPL-2.0-only */
/* no_memory.h - lives in which each allocation fails in turn. */
#ifndef PULSE_SELFTESTS_NO_MEMORY_H
#define PULSE_SELFTESTS_NO_MEMORY_H

#include "base/base.h"
#include "ktap.h"

static long nth;

/* What a life needs and this is not about is there: from here on it counts. */
static inline void from_here(void)
{
	pulse__alloc_fail_at(nth);
}

/* Lives it with each allocation failing in turn; a life gives 0 or -errno. */
static inline void each_may_fail(const char *what, int (*life)(void))
{
	bool failed = true;
	int told = 0;
	long n;

	for (n = 1; failed && n < 2000; n++) {
		int err;

		nth = n;
		err = life();
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECKF(!err || (failed && err == -ENOMEM),
			  "%s, allocation %ld: %d", what, n, err);
		told += err != 0;
	}
	KT_CHECKF(!failed && told, "%s: %ld allocations", what, n - 2);
	kt_note("%s: %ld allocations, %d that cannot be done without", what,
		n - 2, told);
}

#endif /* PULSE_SELFTESTS_NO_MEMORY_H */

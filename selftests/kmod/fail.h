/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fail.h - the n-th allocation or user copy of this task fails. A kernel without
 * fault injection says so, and nothing is made to fail.
 *
 *	fail_nth_open();
 *	fail_at(n); failing = true;
 *	what is tried
 *	stop_failing();		failed: something did fail
 *	fail_nth_close();
 */
#ifndef PULSE_SELFTESTS_FAIL_H
#define PULSE_SELFTESTS_FAIL_H

#include "dev.h"

static int nth = -1;		/* /proc/self/task/TID/fail-nth, or -1 */

static char loglevel[16];	/* of the console, to be put back */

static inline void console_off(void)
{
	FILE *f = fopen("/proc/sys/kernel/printk", "re");

	if (f && fscanf(f, "%15s", loglevel) == 1)
		file_put("/proc/sys/kernel/printk", "1");
	if (f)
		fclose(f);
}

static inline void fail_nth_open(void)
{
	char path[64];

	/*
	 * The console is a serial line behind a sleeping lock; kmemleak, whose
	 * own allocations fail too, says so with a raw one held. It stays in
	 * the log.
	 */
	console_off();
	/* sleeping allocations and order 0 are spared unless told otherwise */
	file_put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	file_put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	file_put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	file_put("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	file_put("/sys/kernel/debug/failslab/verbose", "0");
	file_put("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	file_put("/sys/kernel/debug/fail_usercopy/verbose", "0");
	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
		 syscall(SYS_gettid));
	nth = open(path, O_RDWR | O_CLOEXEC);
	if (nth < 0)
		kt_note("no fault injection in this kernel: nothing is made to fail");
}

static inline void fail_nth_close(void)
{
	if (nth >= 0)
		close(nth);
	nth = -1;
	if (*loglevel)
		file_put("/proc/sys/kernel/printk", loglevel);
}

/* A count that is left over may hit this very write: then it is over. */
static inline void fail_at(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	for (int tries = 0; nth >= 0 && tries < 2; tries++)
		if (pwrite(nth, text, (size_t)len, 0) == len)
			return;
	KT_CHECK(nth < 0);
}

/* How many are left of the count that fail_at() set. */
static inline int fail_left(void)
{
	char text[16] = "";

	return pread(nth, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

static bool failing, failed;

/* Ends it, once: did something fail since fail_at()? */
static inline void stop_failing(void)
{
	char text[16] = "";
	ssize_t n;

	if (nth < 0 || !failing)
		return;
	failing = false;
	n = pread(nth, text, sizeof(text) - 1, 0);
	if (n < 0)			/* the last one left hit this very read */
		return;
	if (n > 0 && text[0] != '0')
		fail_at(0);
	else
		failed = true;
}

#endif /* PULSE_SELFTESTS_FAIL_H */

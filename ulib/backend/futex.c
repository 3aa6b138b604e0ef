// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * futex.c - sleeping on a park word without the module.
 *
 * The permit of the user backend is the word itself: NOTIFIED is a permit
 * given. FUTEX_WAIT compares the word under the kernel's lock, so a waker that
 * moves it before the sleeper sleeps makes the wait return at once. Called by
 * user.c, and by kernel.c when the descriptor is gone.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"

/* 0 woken, spuriously perhaps; -EAGAIN the word differs; -ETIMEDOUT; -EINTR. */
int pulse__futex_wait(uint32_t *word, uint32_t value, int64_t deadline_ns)
{
	struct timespec ts, *until = NULL;
	int saved = errno, err = 0;

	if (deadline_ns != PULSE_FOREVER) {
		pulse__ns_to_timespec(deadline_ns, &ts);
		until = &ts;
	}
	/* The bitset form takes an absolute CLOCK_MONOTONIC. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
		    value, until, NULL, FUTEX_BITSET_MATCH_ANY))
		err = -errno;
	errno = saved;
	return err;
}

int pulse__futex_wake(uint32_t *word, int nr)
{
	int saved = errno;
	long woken = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
			     nr, NULL, NULL, 0);
	int ret = woken < 0 ? -errno : (int)woken;

	errno = saved;
	return ret;
}

/* May it sleep? 0 or why not: the word moved, or the deadline is past. */
int pulse__futex_prepare(struct pulse_ctx *ctx, uint32_t index, uint32_t word,
			 int64_t deadline_ns)
{
	if (READ_ONCE(ctx->uwork[index].park) != word)
		return -EAGAIN;
	if (deadline_ns != PULSE_FOREVER && deadline_ns <= pulse_now_ns())
		return -ETIMEDOUT;
	return 0;
}

int pulse__futex_park(struct pulse_ctx *ctx, uint32_t index, uint32_t word,
		      int64_t deadline_ns)
{
	return pulse__futex_wait(&ctx->uwork[index].park, word, deadline_ns);
}

void pulse__futex_unpark(struct pulse_ctx *ctx, const uint32_t *indices,
			 unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pulse__futex_wake(&ctx->uwork[indices[i]].park, 1);
}

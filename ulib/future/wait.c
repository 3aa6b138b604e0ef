// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wait.c - the consumer's side: looking at a future, sleeping until it is set.
 * Sleeping is FUTEX_WAIT on the state word; see future.h for why no wake-up is
 * lost.
 */
#include "backend/backend.h"
#include "future/future.h"

int pulse_future_done(const struct pulse_future *f)
{
	if (!f)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_done");
	return pulse__future_is_done(f);
}

int pulse_future_result(const struct pulse_future *f, struct pulse_result *out)
{
	if (!f || !out)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_result");
	if (!pulse__future_is_done(f))
		return -EAGAIN;
	*out = f->result;
	return 0;
}

/* The waiter's token was cancelled: have it look again. */
static void nudge(int reason, void *arg)
{
	struct pulse_future *f = arg;

	(void)reason;
	/*
	 * The word differs from the one that wait_on sleeps on. release: pairs
	 * with its load, so that who sees the nudge sees the token cancelled.
	 */
	__atomic_fetch_add(&f->state, PULSE__FUTURE_NUDGE, __ATOMIC_RELEASE);
	pulse__futex_wake(&f->state, INT_MAX);
}

static int wait_on(struct pulse_future *f, const struct pulse_token *token,
		   int64_t deadline_ns)
{
	int64_t until = deadline_ns;
	uint32_t s;
	int err;

	if (pulse_token_deadline(token) < until)
		until = pulse_token_deadline(token);
	for (;;) {
		/* pairs with finish, in future.c, and with nudge */
		s = pulse__load_acquire(&f->state);
		if ((s & PULSE__FUTURE_PHASE) == PULSE__FUTURE_DONE)
			return 0;
		err = pulse_token_err(token);
		if (err)
			return err;
		if (deadline_ns != PULSE_FOREVER &&
		    deadline_ns <= pulse_now_ns())
			return -ETIMEDOUT;
		if (pulse__forked(f->fork_gen))
			return -EOWNERDEAD;
		if (!(s & PULSE__FUTURE_WAITERS)) {
			/* Only says that we are here, so relaxed; see future.h. */
			if (!pulse__cas(&f->state, &s, s | PULSE__FUTURE_WAITERS,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
				continue;
			s |= PULSE__FUTURE_WAITERS;
		}
		pulse__futex_wait(&f->state, s, until);
	}
}

int pulse_future_wait(struct pulse_future *f, struct pulse_token *token,
		      int64_t deadline_ns)
{
	struct pulse_token_hook hook = { .fn = nudge, .arg = f };
	int err;

	if (!f)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_wait");
	if (pulse__future_is_done(f))
		return 0;
	if (pulse__future_inside(f))
		return -EDEADLK;
	while (!pulse__future_is_done(f) && pulse__future_help())
		;
	if (!token)
		return wait_on(f, NULL, deadline_ns);
	/* Cancelled already: the first look says so. */
	err = pulse_token_on(token, &hook);
	if (err && err != -EALREADY)
		return err;
	err = wait_on(f, token, deadline_ns);
	pulse_token_off(token, &hook);
	return err;
}

static int value_of(const struct pulse_future *f, void **value)
{
	if (value)
		*value = f->result.value;
	return f->result.err;
}

int pulse_future_get_until(struct pulse_future *f, void **value,
			   int64_t deadline_ns)
{
	int err;

	if (value)
		*value = NULL;
	err = pulse_future_wait(f, NULL, deadline_ns);
	return err ? err : value_of(f, value);
}

int pulse_future_get(struct pulse_future *f, void **value)
{
	return pulse_future_get_until(f, value, PULSE_FOREVER);
}

int pulse_future_try(struct pulse_future *f, void **value)
{
	if (value)
		*value = NULL;
	if (!f)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_try");
	return pulse__future_is_done(f) ? value_of(f, value) : -EAGAIN;
}

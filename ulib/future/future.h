/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * future.h - the inside of a future.
 *
 * The state word decides everything. Its phase goes
 *
 *	PENDING -> RUNNING -> SETTING -> DONE	RUNNING may be left out
 *
 * by compare-exchange, so that one setter wins; only that one writes the
 * result, between SETTING and DONE. Waiters sleep on the same word:
 *
 *	waiter				setter
 *	------				------
 *	s = state; not DONE?		result = ...
 *	cmpxchg s -> s | WAITERS	old = xchg(state, DONE)
 *	futex_wait(state, s | WAITERS)	if (old & WAITERS) futex_wake(all)
 *
 * Either the waiter's exchange comes first and the setter sees WAITERS, or the
 * setter's comes first and the waiter's exchange fails; and the kernel compares
 * the word again before it lets the waiter sleep. So no wake-up is lost. A
 * nudge (a waiter's token was cancelled) adds to the upper bits: the word
 * differs from what the waiter is about to sleep on. All interleavings of this:
 * selftests/ulib/future/test_wait_model.c, with twins that must fail.
 *
 * Continuations are pushed on a stack by compare-exchange; the setter takes it
 * as a whole and leaves CLOSED, which tells those who come later that they
 * have to see to themselves.
 */
#ifndef PULSE__FUTURE_FUTURE_H
#define PULSE__FUTURE_FUTURE_H

#include "base/base.h"

#include <pulse-u/future.h>

#define PULSE__FUTURE_MAGIC	0x46555452U	/* "FUTR" */

#define PULSE__FUTURE_PENDING	0U
#define PULSE__FUTURE_RUNNING	1U
#define PULSE__FUTURE_SETTING	2U
#define PULSE__FUTURE_DONE	3U
#define PULSE__FUTURE_PHASE	3U
#define PULSE__FUTURE_WAITERS	4U
#define PULSE__FUTURE_NUDGE	256U

/* Something that happens after a future is set. */
struct pulse__cont {
	struct pulse__cont *next;	/* of the stack, then of the queue */
	void (*run)(struct pulse__cont *cont);
};

#define PULSE__CONT_CLOSED	((struct pulse__cont *)1)

struct pulse_future {
	uint32_t magic;
	uint32_t state;			/* futex */
	uint32_t refs;			/* handles; all promises count as one */
	uint32_t producers;		/* promises */
	int32_t asked;			/* why it was cancelled; 0 it was not */
	uint32_t fork_gen;
	struct pulse__cont *conts;
	struct pulse_result result;	/* the setter's until DONE, then nobody's */
	int64_t start_ns;
	void (*value_free)(void *value);
	/* Objects that embed a future: what else to give back. */
	void (*release)(struct pulse_future *f);
	struct pulse_future *next_dead;
};

/* The same object, as its producers see it. */
struct pulse_promise {
	struct pulse_future future;
};

static inline struct pulse_future *pulse__future_of(const struct pulse_promise *p)
{
	return (struct pulse_future *)&p->future;
}

static inline bool pulse__future_is_done(const struct pulse_future *f)
{
	/* pairs with pulse__future_set: the result is there */
	return (pulse__load_acquire(&f->state) & PULSE__FUTURE_PHASE) ==
	       PULSE__FUTURE_DONE;
}

/* Zeroed memory becomes a future with a promise and one handle. */
void pulse__future_init(struct pulse_future *f);

/**
 * pulse__future_set() - set it, if nobody has
 * @f: the future; the caller's reference keeps it
 * @value: the value
 * @err: or the error
 * @task_id: for the result; NULL: leave it as it is
 *
 * Return: 0 or -EALREADY.
 */
int pulse__future_set(struct pulse_future *f, void *value, int err,
		      const uint64_t *task_id);

/* then.c */

/* Has @cont run after @f is set, or soon when it is. */
void pulse__future_after(struct pulse_future *f, struct pulse__cont *cont);
/* @f was set: its continuations are due. */
void pulse__future_fire(struct pulse_future *f);
/* Runs one continuation that this thread owes; false: there is none. */
bool pulse__future_help(void);
/* Is this thread inside the continuation that @f waits for? */
bool pulse__future_inside(const struct pulse_future *f);

#endif /* PULSE__FUTURE_FUTURE_H */

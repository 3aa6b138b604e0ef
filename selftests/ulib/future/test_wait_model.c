// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol of a future's state word (ulib/future/future.h), as a model:
 * two waiters, one who sets it and one who cancels their token, and all ways
 * in which their steps can interleave. No way may end with a waiter asleep.
 * Twins with one thing left out must end like that, or the model shows nothing.
 *
 * Steps are sequentially consistent; what the orders of the atomics are for
 * stands at each of them, and TSan looks at the real thing.
 */
#include "base/base.h"
#include "ktap.h"

#define DONE	1U
#define WAITERS	2U
#define NUDGE	4U	/* one is enough: the token is cancelled once */

enum twin {
	RIGHT,
	SLEEP_WITHOUT_COMPARING,	/* a wait that is not a futex */
	READ_AGAIN_BEFORE_SLEEP,	/* compares with what it never looked at */
	STORE_INSTEAD_OF_EXCHANGE,	/* setter: old = state; state = DONE */
	NO_NUDGE,			/* canceller only wakes */
	WAKE_BEFORE_NUDGE,
	SAY_WAITING_BLINDLY,		/* waiter stores s | WAITERS */
};

enum { LOOK, ASK_TOKEN, ANNOUNCE, SLEEP, ASLEEP, AWAKE };

/* All there is, so that two equal ones go on alike. */
struct world {
	uint8_t state;
	uint8_t cancelled;
	uint8_t waiter[2];	/* where it is */
	uint8_t seen[2];	/* its s */
	uint8_t setter;
	uint8_t old;
	uint8_t canceller;
};

static enum twin twin;
static bool been[1 << 21];
static long worlds, lost;

static unsigned int key_of(const struct world *w)
{
	unsigned int key = w->state;

	key = key << 1 | w->cancelled;
	for (int i = 0; i < 2; i++)
		key = (key << 3 | w->waiter[i]) << 3 | w->seen[i];
	return ((key << 2 | w->setter) << 1 | (w->old >> 1)) << 2 | w->canceller;
}

static void wake(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		if (w->waiter[i] == ASLEEP)
			w->waiter[i] = LOOK;
	}
}

/* One step of a waiter; false: it cannot. */
static bool wait_step(struct world *w, int i)
{
	switch (w->waiter[i]) {
	case LOOK:
		w->seen[i] = w->state;
		w->waiter[i] = w->state & DONE ? AWAKE : ASK_TOKEN;
		return true;
	case ASK_TOKEN:
		w->waiter[i] = w->cancelled ? AWAKE : ANNOUNCE;
		return true;
	case ANNOUNCE:
		w->waiter[i] = SLEEP;
		if (w->seen[i] & WAITERS)
			return true;
		if (w->state != w->seen[i] && twin != SAY_WAITING_BLINDLY) {
			w->waiter[i] = LOOK;
			return true;
		}
		w->seen[i] |= WAITERS;
		w->state = w->seen[i];
		return true;
	case SLEEP:
		/* The kernel compares and queues under one lock. */
		if (twin == READ_AGAIN_BEFORE_SLEEP)
			w->seen[i] = w->state;
		w->waiter[i] = w->state == w->seen[i] ||
			       twin == SLEEP_WITHOUT_COMPARING ? ASLEEP : LOOK;
		return true;
	}
	return false;
}

static bool set_step(struct world *w)
{
	switch (w->setter) {
	case 0:
		w->old = w->state & WAITERS;
		w->setter = 1;
		if (twin != STORE_INSTEAD_OF_EXCHANGE) {
			w->state = DONE;
			w->setter = 2;
		}
		return true;
	case 1:
		w->state = DONE;
		w->setter = 2;
		return true;
	case 2:
		if (w->old)
			wake(w);
		w->setter = 3;
		return true;
	}
	return false;
}

static bool cancel_step(struct world *w)
{
	bool wakes = w->canceller == (twin == WAKE_BEFORE_NUDGE ? 1 : 2);

	if (w->canceller == 3)
		return false;
	if (!w->canceller)
		w->cancelled = 1;
	else if (wakes)
		wake(w);
	else if (twin != NO_NUDGE)
		w->state |= NUDGE;
	w->canceller++;
	return true;
}

static void explore(struct world w)
{
	struct world next;
	bool stuck = true;

	if (been[key_of(&w)])
		return;
	been[key_of(&w)] = true;
	worlds++;
	for (int who = 0; who < 4; who++) {
		bool can;

		next = w;
		if (who < 2)
			can = wait_step(&next, who);
		else
			can = who == 2 ? set_step(&next) : cancel_step(&next);
		if (can) {
			stuck = false;
			explore(next);
		}
	}
	if (stuck && (w.waiter[0] == ASLEEP || w.waiter[1] == ASLEEP))
		lost++;
}

/* Returns how many ends have a waiter asleep. */
static long run(enum twin which, bool setter, bool canceller)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	memset(been, 0, sizeof(been));
	twin = which;
	worlds = lost = 0;
	/* Who is not there has done all it does. */
	w.setter = setter ? 0 : 3;
	w.canceller = canceller ? 0 : 3;
	explore(w);
	kt_note("%ld worlds, %ld with a waiter left asleep", worlds, lost);
	return lost;
}

KT_TEST(no_interleaving_leaves_a_waiter_asleep)
{
	KT_EQ(run(RIGHT, true, false), 0);
	KT_EQ(run(RIGHT, false, true), 0);
	KT_EQ(run(RIGHT, true, true), 0);
	KT_CHECK(worlds > 500);
}

KT_TEST(a_sleep_that_does_not_compare_loses_wakeups)
{
	KT_CHECK(run(SLEEP_WITHOUT_COMPARING, true, false) > 0);
}

KT_TEST(a_word_read_again_before_the_sleep_loses_wakeups)
{
	KT_CHECK(run(READ_AGAIN_BEFORE_SLEEP, true, false) > 0);
	KT_CHECK(run(READ_AGAIN_BEFORE_SLEEP, false, true) > 0);
}

KT_TEST(a_setter_that_does_not_exchange_loses_wakeups)
{
	KT_CHECK(run(STORE_INSTEAD_OF_EXCHANGE, true, false) > 0);
}

KT_TEST(a_canceller_that_does_not_nudge_loses_wakeups)
{
	KT_CHECK(run(NO_NUDGE, false, true) > 0);
	KT_CHECK(run(WAKE_BEFORE_NUDGE, false, true) > 0);
}

KT_TEST(a_waiter_that_stores_blindly_undoes_the_setting)
{
	KT_CHECK(run(SAY_WAITING_BLINDLY, true, false) > 0);
}

KT_MAIN()

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wheel.c - arm, cancel and fire coarse timers; see wheel.h.
 */
#include "io/wheel.h"

#define LEVEL_BITS	6
#define SLOT_MASK	(PULSE__WHEEL_SLOTS - 1)
#define REACH		(1ULL << (LEVEL_BITS * PULSE__WHEEL_LEVELS))

static uint64_t tick_up(int64_t ns)
{
	uint64_t t = ns > 0 ? (uint64_t)ns : 0;

	return (t + ((1ULL << PULSE__WHEEL_TICK_SHIFT) - 1)) >>
	       PULSE__WHEEL_TICK_SHIFT;
}

static void link_into(struct pulse_poller_timer **head,
		      struct pulse_poller_timer *timer)
{
	timer->next = *head;
	timer->link = head;
	if (*head)
		(*head)->link = &timer->next;
	*head = timer;
}

/* @at: the tick it is filed under, now_tick or later. */
static void file(struct pulse__wheel *w, struct pulse_poller_timer *timer,
		 uint64_t at)
{
	uint64_t delta = at - w->now_tick;
	unsigned int level = 0, i;

	if (delta >= REACH) {
		delta = REACH - 1;
		at = w->now_tick + delta;
	}
	while (delta >> (LEVEL_BITS * (level + 1)))
		level++;
	i = (at >> (LEVEL_BITS * level)) & SLOT_MASK;
	link_into(&w->slot[level][i], timer);
	w->used[level] |= 1ULL << i;
	at &= ~0ULL << (LEVEL_BITS * level);
	if (at < w->next)
		w->next = at;
}

/* Takes a slot's list off; its entries stay cancellable through @head. */
static void detach(struct pulse__wheel *w, unsigned int level, unsigned int i,
		   struct pulse_poller_timer **head)
{
	*head = w->slot[level][i];
	w->slot[level][i] = NULL;
	w->used[level] &= ~(1ULL << i);
	if (*head)
		(*head)->link = head;
}

static void unlink_timer(struct pulse_poller_timer *timer)
{
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	timer->link = NULL;
	timer->next = NULL;
}

void pulse__wheel_init(struct pulse__wheel *w, int64_t now_ns)
{
	w->now_tick = (uint64_t)now_ns >> PULSE__WHEEL_TICK_SHIFT;
	w->next = UINT64_MAX;
}

void pulse__wheel_arm(struct pulse__wheel *w, struct pulse_poller_timer *timer,
		      int64_t deadline_ns)
{
	pulse__wheel_cancel(w, timer);
	timer->tick = tick_up(deadline_ns);
	if (timer->tick <= w->now_tick)
		timer->tick = w->now_tick + 1;
	file(w, timer, timer->tick);
	w->armed++;
}

bool pulse__wheel_cancel(struct pulse__wheel *w,
			 struct pulse_poller_timer *timer)
{
	uintptr_t first = (uintptr_t)&w->slot[0][0];
	uintptr_t at = (uintptr_t)timer->link - first;

	if (!timer->link)
		return false;
	/* First and last of its slot: the slot is empty now. */
	if (at < sizeof(w->slot) && !timer->next) {
		unsigned int n = (unsigned int)(at / sizeof(w->slot[0][0]));

		w->used[n >> LEVEL_BITS] &= ~(1ULL << (n & SLOT_MASK));
		w->next = 0;
	}
	unlink_timer(timer);
	w->armed--;
	return true;
}

void pulse__wheel_look(struct pulse__wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int level = 0; w->armed && level < PULSE__WHEEL_LEVELS;
	     level++) {
		unsigned int shift = LEVEL_BITS * level;
		uint64_t here = w->now_tick >> shift;
		unsigned int turn = (here + 1) & SLOT_MASK;
		uint64_t used = w->used[level], at;

		if (!used)
			continue;
		used = used >> turn | used << (-turn & SLOT_MASK);
		at = (here + 1 + (unsigned int)__builtin_ctzll(used)) << shift;
		if (at < best)
			best = at;
	}
	w->next = best;
}

int64_t pulse__wheel_far(struct pulse__wheel *w)
{
	if (!w->next)
		pulse__wheel_look(w);
	if (w->next > (uint64_t)INT64_MAX >> PULSE__WHEEL_TICK_SHIFT)
		return PULSE_FOREVER;
	return (int64_t)(w->next << PULSE__WHEEL_TICK_SHIFT);
}

/* Moves the slots that begin at this tick down to finer levels. */
static void cascade(struct pulse__wheel *w)
{
	for (unsigned int level = PULSE__WHEEL_LEVELS - 1; level; level--) {
		unsigned int shift = LEVEL_BITS * level;
		struct pulse_poller_timer *list;

		if (w->now_tick & ((1ULL << shift) - 1))
			continue;
		detach(w, level, (w->now_tick >> shift) & SLOT_MASK, &list);
		while (list) {
			struct pulse_poller_timer *t = list;

			unlink_timer(t);
			file(w, t, t->tick > w->now_tick ? t->tick : w->now_tick);
		}
	}
}

unsigned int pulse__wheel_fire(struct pulse__wheel *w, uint64_t now,
			       struct pulse_poller *poller)
{
	unsigned int fired = 0;

	if (!w->next)
		pulse__wheel_look(w);
	while (w->next <= now) {
		struct pulse_poller_timer *list;

		w->now_tick = w->next;
		cascade(w);
		detach(w, 0, w->now_tick & SLOT_MASK, &list);
		while (list) {
			struct pulse_poller_timer *t = list;

			unlink_timer(t);
			w->armed--;
			fired++;
			t->fn(poller, t);
		}
		pulse__wheel_look(w);
	}
	if (w->now_tick < now)
		w->now_tick = now;
	return fired;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * restart.c - how many restarts a supervisor survives, and how long it waits
 * before one.
 *
 * As OTP's supervisor:add_restart(): a restart that is exactly one period old
 * still counts, and the supervisor ends when more than max_restarts count. Of
 * the times only the last max_restarts + 1 can matter, so a ring of that size
 * is all there is to keep.
 *
 * A budget that is shared is that of the nearest supervisor above which has
 * PULSE_SUP_SHARED_BUDGET. Who exceeds it ends; its parent counts into the
 * same budget, exceeds it too, and so on up to the owner.
 */
#include "sup/sup_int.h"

static struct pulse_sup *budget_of(struct pulse_sup *sup)
{
	for (struct pulse_sup *s = sup; s; s = s->above) {
		if (s->o.flags & PULSE_SUP_SHARED_BUDGET)
			return s;
	}
	return sup;
}

static void forget_old(struct pulse_sup *b, int64_t now)
{
	int64_t from = now - (int64_t)b->o.period_ms * PULSE__NSEC_PER_MSEC;

	while (b->times_nr && b->times[b->times_head] < from) {
		b->times_head = (b->times_head + 1) % b->times_room;
		b->times_nr--;
	}
}

bool pulse__restart_too_many(struct pulse_sup *sup)
{
	struct pulse_sup *b = budget_of(sup);
	int64_t now = pulse__engine_moment(sup->e);

	forget_old(b, now);
	if (b->times_nr == b->times_room) {	/* it has ended once already */
		b->times_head = (b->times_head + 1) % b->times_room;
		b->times_nr--;
	}
	b->times[(b->times_head + b->times_nr++) % b->times_room] = now;
	return b->times_nr == b->times_room;
}

uint32_t pulse__restarts_in_period(struct pulse_sup *sup)
{
	struct pulse_sup *b = budget_of(sup);

	forget_old(b, pulse__engine_now(sup->e));
	return b->times_nr;
}

/* xorshift64: chance enough to keep children from restarting in step. */
static uint64_t chance(struct pulse_sup *sup)
{
	sup->rng ^= sup->rng << 13;
	sup->rng ^= sup->rng >> 7;
	sup->rng ^= sup->rng << 17;
	return sup->rng;
}

int64_t pulse__restart_delay_ns(struct pulse__entry *en)
{
	const struct pulse_sup_opts *o = &en->sup->o;
	uint64_t delay_us, off;
	int64_t ran;

	if (!o->backoff_min_ms)
		return 0;
	ran = pulse__engine_now(en->sup->e) - en->started_ns;
	if (ran >= (int64_t)o->backoff_reset_ms * PULSE__NSEC_PER_MSEC)
		en->level = 0;
	delay_us = (uint64_t)o->backoff_min_ms * 1000;
	/* 2^32 ms is the most there can be: 32 doublings reach any maximum. */
	delay_us <<= en->level < 22 ? en->level : 22;
	if (delay_us > (uint64_t)o->backoff_max_ms * 1000)
		delay_us = (uint64_t)o->backoff_max_ms * 1000;
	else
		en->level++;
	off = delay_us * o->backoff_jitter / 100;
	if (off)
		delay_us -= chance(en->sup) % (off + 1);
	return (int64_t)delay_us * PULSE__NSEC_PER_USEC;
}

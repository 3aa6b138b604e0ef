// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * knobs.c - a pool's live controls: plain words, read by who hears a beat
 * (fork.c). A worker without a heart listens to the count of changes instead.
 */
#include <pulse-u/pool_stats.h>

#include "pool/pool.h"

static int pulse__knobs_changed(struct pulse_pool *pool)
{
	/* Release: pairs with fork.c:pulse__fork_beat, which reads it first */
	__atomic_fetch_add(&pool->knobs.changed, 1, __ATOMIC_RELEASE);
	return 0;
}

int pulse_pool_set_heartbeat(struct pulse_pool *pool, unsigned int us)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (us && (us < PULSE__BEAT_US_MIN || us > PULSE__BEAT_US_MAX))
		return -EINVAL;
	WRITE_ONCE(pool->knobs.heartbeat_us, us);
	return pulse__knobs_changed(pool);
}

int pulse_pool_set_promotion(struct pulse_pool *pool, unsigned int threshold,
			     uint64_t min_work_cycles)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (threshold)
		WRITE_ONCE(pool->knobs.promotion_threshold, threshold);
	if (min_work_cycles)
		WRITE_ONCE(pool->knobs.min_work_cycles, min_work_cycles);
	return pulse__knobs_changed(pool);
}

int pulse_pool_force_promotion(struct pulse_pool *pool, int on)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (on != 0 && on != 1)
		return -EINVAL;
	WRITE_ONCE(pool->knobs.force_promotion, (uint32_t)on);
	return pulse__knobs_changed(pool);
}

int pulse_pool_knobs(struct pulse_pool *pool, struct pulse_pool_knobs *out)
{
	struct pulse_pool_knobs k = { .sz = sizeof(k) };
	int err = pulse__pool_check(pool);

	if (!err)
		err = pulse__out_check(out, PULSE__END(struct pulse_pool_knobs,
						       reserved));
	if (err)
		return err;
	k.heartbeat_us = READ_ONCE(pool->knobs.heartbeat_us);
	k.promotion_threshold = READ_ONCE(pool->knobs.promotion_threshold);
	k.min_work_cycles = READ_ONCE(pool->knobs.min_work_cycles);
	k.force_promotion = READ_ONCE(pool->knobs.force_promotion);
	pulse__out_store(out, &k, sizeof(k));
	return 0;
}

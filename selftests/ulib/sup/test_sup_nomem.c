// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation fails in turn while children are asked how they are, and one
 * never answers: who comes behind it is asked all the same, later perhaps. U04
 */
#include "../all/no_memory.h"
#include "helpers.h"

static long lives, over;		/* so many began; checks of these may end */
static int hung, well;

static bool hangs_once(struct pulse_child *self, void *arg)
{
	long mine = GET(lives);

	(void)self;
	(void)arg;
	if (!INC(hung))
		while (GET(over) < mine)
			nap_ms(1);
	return true;
}

static bool is_well(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	INC(well);
	return true;
}

static int stays(struct pulse_child *self, void *arg)
{
	(void)arg;
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

static int life_of_checks(void)
{
	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 60000, .backoff_min_ms = 1,
		   .backoff_max_ms = 2);
	PULSE_OPTS(pulse_child_spec, stuck, .id = "stuck", .fn = stays,
		   .health = hangs_once, .health_interval_ms = 5,
		   .health_timeout_ms = 50);
	PULSE_OPTS(pulse_child_spec, other, .id = "other", .fn = stays,
		   .health = is_well, .health_interval_ms = 5,
		   .health_timeout_ms = 50);
	struct pulse_sup *sup;
	int err, before;

	INC(lives);
	SET(hung, 0);
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	from_here();
	err = pulse_sup_start_child(sup, &stuck, NULL);
	if (!err)
		err = pulse_sup_start_child(sup, &other, NULL);
	if (!err) {
		KT_CHECK(EVENTUALLY(GET(hung)));
		before = GET(well);
		/* Not by the thread that hangs: by one that took over. */
		KT_CHECK(EVENTUALLY(GET(well) > before + 2));
	}
	SET(over, GET(lives));
	KT_EQ(pulse_sup_destroy(sup), 0);
	return err;
}

KT_TEST(a_check_that_hangs_with_each_allocation_failing)
{
	each_may_fail("checks", life_of_checks);
}

KT_MAIN()

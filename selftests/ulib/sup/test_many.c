// SPDX-License-Identifier: GPL-2.0-only
/*
 * U06: ten thousand children of one supervisor. They start in their order, those
 * that fail come back, the others do not notice, and they stop in reverse.
 */
#include "helpers.h"

struct one {
	struct pulse_child *self;
	uint32_t starts, order;
};

static struct one *all;
static uint32_t started, stopped, wrong_order, expected_stop;
static bool in_order;

static int one_start(struct pulse_child *self, void *arg)
{
	struct one *o = arg;

	o->order = INC(started);
	INC(o->starts);
	SET(o->self, self);
	return 0;
}

static void one_end(struct one *o, uint32_t kind)
{
	struct pulse_exit why = { .kind = kind, .code = 1 };
	struct pulse_child *self = __atomic_exchange_n(&o->self, NULL,
						       __ATOMIC_SEQ_CST);

	if (self)
		pulse_child_exited(self, &why);
}

static void one_stop(struct pulse_child *self, void *arg)
{
	struct one *o = arg;

	(void)self;
	INC(stopped);
	if (in_order && (uint32_t)(o - all) != --expected_stop)
		wrong_order++;
	one_end(o, PULSE_EXIT_SHUTDOWN);
}

static const struct pulse_child_ops one_ops = {
	.sz = sizeof(one_ops), .name = "one", .flags = PULSE_CHILD_OPS_INLINE,
	.start = one_start, .stop = one_stop, .kill = one_stop,
};

static struct pulse_sup *sup_of(int strategy, uint32_t nr, uint32_t threads)
{
	PULSE_OPTS(pulse_sup_opts, o, .strategy = strategy,
		   .max_restarts = (int)nr, .period_ms = 3600000,
		   .max_threads = threads);
	struct pulse_sup *sup = NULL;

	all = calloc(nr, sizeof(*all));
	started = stopped = wrong_order = 0;
	in_order = false;
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	return sup;
}

static bool all_run(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (!GET(all[i].self))
			return false;
	return true;
}

static uint32_t active(struct pulse_sup *sup)
{
	struct pulse_sup_count c = { .sz = sizeof(c) };

	KT_EQ(pulse_sup_count_children(sup, &c), 0);
	return c.active;
}

KT_TEST(ten_thousand_children)
{
	const uint32_t nr = (uint32_t)kt_scale(10000);
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, nr, 0);
	uint32_t failed = 0;
	char id[16];

	KT_REQUIRE(sup && all);
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(id, sizeof(id), "c%u", i);
		PULSE_OPTS(pulse_child_spec, spec, .id = id, .ops = &one_ops,
			   .kind = PULSE_CHILD_OPS, .arg = &all[i]);
		KT_REQUIRE(!pulse_sup_start_child(sup, &spec, NULL));
	}
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(all_run(nr)));
	KT_EQ(active(sup), nr);
	for (uint32_t i = 0; i < nr; i++)
		KT_CHECK(all[i].order == i);
	KT_EQ(status_of(sup, id), PULSE_CHILD_RUNNING);

	for (uint32_t i = 0; i < nr; i += 7, failed++)
		one_end(&all[i], PULSE_EXIT_CODE);
	KT_CHECK(EVENTUALLY(stats_of(sup).total_restarts == failed && all_run(nr)));
	for (uint32_t i = 0; i < nr; i++)
		KT_CHECK(all[i].starts == (i % 7 ? 1 : 2));

	expected_stop = nr;
	in_order = true;
	KT_EQ(pulse_sup_shutdown(sup, 60000), 0);
	KT_EQ(stopped, nr);
	KT_EQ(wrong_order, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
	free(all);
}

KT_TEST(ten_thousand_children_of_one_kind)
{
	const uint32_t nr = (uint32_t)kt_scale(10000);
	struct pulse_sup *sup = sup_of(PULSE_SIMPLE_ONE_FOR_ONE, nr, 0);

	KT_REQUIRE(sup && all);
	PULSE_OPTS(pulse_child_spec, spec, .id = "one", .ops = &one_ops,
		   .kind = PULSE_CHILD_OPS);
	KT_REQUIRE(!pulse_sup_start_child(sup, &spec, NULL));
	KT_EQ(pulse_sup_start(sup), 0);
	for (uint32_t i = 0; i < nr; i++) {
		spec.arg = &all[i];
		KT_REQUIRE(!pulse_sup_start_child(sup, &spec, NULL));
	}
	KT_CHECK(EVENTUALLY(all_run(nr)));
	KT_EQ(active(sup), nr);
	for (uint32_t i = 0; i < nr; i += 3)
		one_end(&all[i], PULSE_EXIT_CODE);
	KT_CHECK(EVENTUALLY(stats_of(sup).total_restarts == (nr + 2) / 3 &&
			    all_run(nr)));
	KT_EQ(pulse_sup_shutdown(sup, 60000), 0);
	KT_EQ(stopped, nr);
	KT_EQ(pulse_sup_destroy(sup), 0);
	free(all);
}

static uint32_t threads_in, threads_out;

static int thread_child(struct pulse_child *self, void *arg)
{
	int err;

	(void)arg;
	INC(threads_in);
	err = pulse_child_wait(self, PULSE_FOREVER);
	INC(threads_out);
	return err;
}

/* A thread each: a tenth of them, as each is a thread of the machine's. */
KT_TEST(a_thousand_threads)
{
	const uint32_t nr = (uint32_t)kt_scale(1000);
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 1, nr);
	char id[16];

	KT_REQUIRE(sup);
	threads_in = threads_out = 0;
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(id, sizeof(id), "t%u", i);
		PULSE_OPTS(pulse_child_spec, spec, .id = id, .fn = thread_child);
		KT_REQUIRE(!pulse_sup_start_child(sup, &spec, NULL));
	}
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(threads_in) == nr));
	KT_EQ(active(sup), nr);
	KT_EQ(pulse_sup_shutdown(sup, 60000), 0);
	KT_EQ(GET(threads_out), nr);
	KT_EQ(pulse_sup_destroy(sup), 0);
	free(all);
}

KT_MAIN()

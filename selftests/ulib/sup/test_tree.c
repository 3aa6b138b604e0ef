// SPDX-License-Identifier: GPL-2.0-only
/*
 * Supervisors under supervisors, and what OTP has not: budgets of a subtree,
 * delays (V13), state that is handed over, monitoring that can be paused; bad
 * specs (each refused with a reason); memory that is not to be had.
 */
#include <sched.h>

#include "helpers.h"

static struct pulse_sup *sup_with(const char *name, int strategy, int max,
				  uint32_t flags, bool root)
{
	struct pulse_sup *sup = NULL;

	PULSE_OPTS(pulse_sup_opts, o, .name = name, .strategy = strategy,
		   .max_restarts = max, .period_ms = 10000, .flags = flags);
	if (root)
		o.now = fake_now;
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	recorded();
	return sup;
}

static int put_below(struct pulse_sup *sup, struct pulse_sup *sub,
		     const char *id, int restart)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = id, .restart = restart,
		   .kind = PULSE_CHILD_SUPERVISOR, .supervisor = sub);
	return pulse_sup_start_child(sup, &spec, NULL);
}

/* V12: each level survives so many; the storm ends where it is to end. */
KT_TEST(a_storm_five_deep_stops_at_the_level_that_can_bear_it)
{
	struct pulse_sup *level[5];
	struct toy leaf = { .id = "leaf" }, mate[5];
	static const char *const mates[] = { "m0", "m1", "m2", "m3", "m4" };

	/* Levels 2 to 4 bear one restart each, level 1 a thousand. */
	for (int i = 0; i < 5; i++) {
		level[i] = sup_with("level", PULSE_ONE_FOR_ALL,
				    i == 1 ? 1000 : 1, 0, i == 0);
		mate[i] = (struct toy){ .id = mates[i] };
		KT_EQ(add_toy(level[i], &mate[i], 0), 0);
	}
	KT_EQ(add_toy(level[4], &leaf, 0), 0);
	for (int i = 4; i; i--)
		KT_EQ(put_below(level[i - 1], level[i], "sub", 0), 0);
	KT_EQ(pulse_sup_start(level[0]), 0);
	for (int i = 0; i < 16; i++) {
		int before = GET(leaf.starts);

		toy_end(&leaf, PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(GET(leaf.starts) > before &&
				    status_of(level[4], "leaf") ==
				    PULSE_CHILD_RUNNING &&
				    status_of(level[0], "sub") ==
				    PULSE_CHILD_RUNNING));
	}
	/* 2 deaths a restart of level 4, 4 of level 3, 8 of level 2. */
	KT_EQ(stats_of(level[3]).total_restarts, 4);
	KT_EQ(stats_of(level[2]).total_restarts, 2);
	KT_EQ(stats_of(level[1]).total_restarts, 2);
	KT_EQ(stats_of(level[0]).total_restarts, 0);
	KT_EQ(mate[0].starts, 1);
	KT_EQ(mate[1].starts, 1 + 2);
	KT_EQ(pulse_sup_destroy(level[0]), 0);
}

/* Intensities multiply; a budget of the subtree does not. */
KT_TEST(a_shared_budget_counts_the_whole_subtree)
{
	for (int shared = 0; shared < 2; shared++) {
		struct pulse_sup *top = sup_with("top", 0, 4,
						 shared ? PULSE_SUP_SHARED_BUDGET
						 : 0, true);
		struct pulse_sup *mid = sup_with("mid", 0, 4, 0, false);
		struct pulse_sup *low = sup_with("low", 0, 4, 0, false);
		struct toy leaf = { .id = "leaf" };
		int deaths = 0;

		KT_EQ(add_toy(low, &leaf, 0), 0);
		KT_EQ(put_below(mid, low, "low", 0), 0);
		KT_EQ(put_below(top, mid, "mid", 0), 0);
		KT_EQ(pulse_sup_start(top), 0);
		while (pulse_sup_wait(top, 0, NULL) == -ETIMEDOUT &&
		       deaths < 1000) {
			if (!EVENTUALLY(GET(leaf.self) ||
					!pulse_sup_wait(top, 0, NULL)))
				break;
			if (!GET(leaf.self))
				break;
			toy_end(&leaf, PULSE_EXIT_CODE, 1);
			deaths++;
		}
		KT_EQ(deaths, shared ? 5 : 5 * 5 * 5);
		KT_EQ(pulse_sup_destroy(top), -0);
	}
}

/* Shutdown is no failure: a transient supervisor is not started again. */
KT_TEST(a_transient_supervisor_that_gave_up_stays_down)
{
	struct pulse_sup *top = sup_with("top", 0, 5, 0, true);
	struct pulse_sup *sub = sup_with("sub", 0, 1, 0, false);
	struct toy leaf = { .id = "leaf" };

	KT_EQ(add_toy(sub, &leaf, 0), 0);
	KT_EQ(put_below(top, sub, "sub", PULSE_CHILD_TRANSIENT), 0);
	KT_EQ(pulse_sup_start(top), 0);
	toy_end(&leaf, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(GET(leaf.self)));
	toy_end(&leaf, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(top, "sub") == PULSE_CHILD_STOPPED));
	KT_EQ(info_of(top, "sub").last_exit.flags, PULSE_EXIT_TOO_MANY);
	KT_EQ(info_of(top, "sub").last_exit.kind, PULSE_EXIT_SHUTDOWN);
	KT_EQ(pulse_sup_restart_child(top, "sub"), 0);
	KT_EQ(status_of(sub, "leaf"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_destroy(top), 0);
}

KT_TEST(a_tree_starts_and_stops_in_order_and_forgets_what_came_later)
{
	struct pulse_sup *top = sup_with("top", 0, 5, 0, true);
	struct pulse_sup *sub = sup_with("sub", 0, 5, 0, false);
	struct toy a = { .id = "a" }, b = { .id = "b" }, c = { .id = "c" };
	struct toy later = { .id = "later" };

	KT_EQ(add_toy(top, &a, 0), 0);
	KT_EQ(add_toy(sub, &b, 0), 0);
	KT_EQ(put_below(top, sub, "sub", 0), 0);
	KT_EQ(put_below(top, sub, "twice", 0), -EINVAL);
	KT_EQ(put_below(sub, top, "ring", 0), -EINVAL);
	KT_EQ(add_toy(top, &c, 0), 0);
	KT_EQ(pulse_sup_start(top), 0);
	KT_EQ(add_toy(sub, &later, 0), 0);
	KT_STREQ(recorded(), "+a +b +c +later ");
	KT_EQ(pulse_sup_stop(top), 0);
	KT_STREQ(recorded(), "-c -later -b -a ");
	KT_EQ(pulse_sup_start(top), 0);
	KT_STREQ(recorded(), "+a +b +c ");
	KT_EQ(status_of(sub, "later"), -ENOENT);
	/* Below that fails to start takes all down again. */
	KT_EQ(pulse_sup_stop(top), 0);
	recorded();
	SET(b.fail, 1);
	KT_EQ(pulse_sup_start(top), -EIO);
	KT_STREQ(recorded(), "+a !b -a ");
	KT_EQ(pulse_sup_destroy(top), 0);
}

KT_TEST(a_supervisor_may_be_added_to_a_tree_that_runs_and_deleted)
{
	struct pulse_sup *top = sup_with("top", 0, 5, 0, true);
	struct pulse_sup *sub = sup_with("sub", 0, 5, 0, false);
	struct toy b = { .id = "b", .fail = 1 };

	KT_EQ(add_toy(sub, &b, 0), 0);
	KT_EQ(pulse_sup_start(top), 0);
	KT_EQ(put_below(top, sub, "sub", 0), -EIO);
	KT_EQ(put_below(top, sub, "sub", 0), 0);	/* it is still ours */
	KT_EQ(status_of(sub, "b"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_terminate_child(top, "sub"), 0);
	KT_CHECK(!b.self);
	KT_EQ(pulse_sup_delete_child(top, "sub"), 0);
	KT_EQ(pulse_sup_destroy(top), 0);
}

/* V13 */
KT_TEST(backoff_doubles_to_its_limit_and_begins_anew)
{
	static const int delays[] = { 100, 200, 400, 500, 500, 500 };
	struct toy a = { .id = "a" };
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 1000, .now = fake_now,
		   .backoff_min_ms = 100, .backoff_max_ms = 500,
		   .backoff_reset_ms = 60000);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
			toy_end(&a, PULSE_EXIT_CODE, 1);
			KT_CHECK(EVENTUALLY(status_of(sup, "a") ==
					    PULSE_CHILD_RESTARTING));
			fake_pass(sup, delays[i] - 2);
			nap_ms(5);
			KT_EQ(status_of(sup, "a"), PULSE_CHILD_RESTARTING);
			KT_EQ(pulse_sup_delete_child(sup, "a"), -EAGAIN);
			fake_pass(sup, 3);
			KT_CHECK(EVENTUALLY(status_of(sup, "a") ==
					    PULSE_CHILD_RUNNING));
		}
		fake_pass(sup, 60000);	/* it ran well: from the beginning */
	}
	/* What waits can be called off. */
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_EQ(pulse_sup_terminate_child(sup, "a"), 0);
	fake_pass(sup, 10000);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPED);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* V13: never longer than the delay, never shorter than what jitter leaves. */
KT_TEST(jitter_takes_off_no_more_than_its_share)
{
	struct toy a = { .id = "a" };
	struct pulse_sup *sup;
	int seen[3] = { 0 };

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 65535, .now = fake_now,
		   .backoff_min_ms = 1000, .backoff_jitter = 50, .seed = 42);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	for (int i = 0; i < 60; i++) {
		int64_t began = GET(fake_ms);
		int64_t took;

		toy_end(&a, PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(status_of(sup, "a") ==
				    PULSE_CHILD_RESTARTING));
		for (int k = 0; k < 1000 && !GET(a.self); k += 10) {
			int looks = GET(fake_looks);

			fake_pass(sup, 10);
			/* nobody looks once its timer has expired */
			while (GET(fake_looks) == looks && !GET(a.self))
				sched_yield();
		}
		took = GET(fake_ms) - began;
		KT_CHECKF(took >= 500, "%lld ms", (long long)took);
		/* However slow the supervisor is, no more need pass. */
		KT_CHECK(EVENTUALLY(GET(a.self)));
		seen[took < 700 ? 0 : took < 850 ? 1 : 2]++;
	}
	KT_CHECK(seen[0] && seen[1] && seen[2]);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(a_delayed_restart_for_all_stops_the_others_first)
{
	struct toy a = { .id = "a" }, b = { .id = "b" };
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .strategy = PULSE_ONE_FOR_ALL,
		   .max_restarts = 10, .now = fake_now, .backoff_min_ms = 100);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(add_toy(sup, &b, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	recorded();
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_RESTARTING));
	KT_STREQ(recorded(), "-b ");
	fake_pass(sup, 101);
	KT_CHECK(EVENTUALLY(status_of(sup, "b") == PULSE_CHILD_RUNNING));
	KT_STREQ(recorded(), "+a +b ");
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int freed;

static void count_free(void *state)
{
	freed += *(int *)state;
}

KT_TEST(state_outlives_incarnations_and_ends_with_the_child)
{
	struct pulse_sup *sup = sup_with("sup", 0, 5, 0, true);
	struct toy a = { .id = "a" };
	int first = 1, second = 10;

	TOY_SPEC(spec, &a, .state = &first, .state_free = count_free);
	freed = 0;
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(pulse_child_state(a.self) == &first);
	KT_EQ(pulse_child_incarnation(a.self), 1);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(GET(a.self)));
	KT_EQ(pulse_child_incarnation(a.self), 2);
	KT_CHECK(pulse_child_state(a.self) == &first);
	KT_CHECK(!pulse_child_data(a.self));
	KT_EQ(pulse_child_keep(a.self, &second, count_free), 0);
	KT_EQ(freed, 1);
	KT_EQ(pulse_child_keep(a.self, &second, count_free), 0);
	KT_EQ(freed, 1);
	KT_EQ(pulse_sup_terminate_child(sup, "a"), 0);
	KT_EQ(pulse_sup_restart_child(sup, "a"), 0);
	KT_CHECK(pulse_child_state(a.self) == &second);
	KT_EQ(pulse_sup_terminate_child(sup, "a"), 0);
	KT_EQ(freed, 1);
	KT_EQ(pulse_sup_delete_child(sup, "a"), 0);
	KT_EQ(freed, 11);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static void count_ops_free(void *arg)
{
	INC(((struct toy *)arg)->fail_after);
}

KT_TEST(operations_are_told_when_their_child_is_deleted)
{
	struct pulse_child_ops ops = toy_ops;
	struct pulse_sup *sup = sup_with("sup", 0, 5, 0, true);
	struct toy a = { .id = "a" }, b = { .id = "b" };

	TOY_SPEC(deleted, &a);
	TOY_SPEC(kept, &b);
	ops.free = count_ops_free;
	deleted.ops = kept.ops = &ops;
	/* Those of before the start belong to the supervisor until it ends. */
	KT_EQ(pulse_sup_start_child(sup, &kept, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_start_child(sup, &deleted, NULL), 0);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(GET(a.self)));
	KT_EQ(pulse_sup_terminate_child(sup, "a"), 0);
	KT_EQ(GET(a.fail_after), 0);
	KT_EQ(pulse_sup_delete_child(sup, "a"), 0);
	KT_CHECK(EVENTUALLY(GET(a.fail_after) == 1));
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_EQ(pulse_sup_delete_child(sup, "b"), 0);
	KT_EQ(GET(b.fail_after), 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(GET(a.fail_after), 1);
	KT_EQ(GET(b.fail_after), 1);
}

KT_TEST(failures_lie_while_nobody_monitors)
{
	struct pulse_sup *sup = sup_with("sup", 0, 5, PULSE_SUP_NO_MONITOR, true);
	struct toy a = { .id = "a" };

	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPED);
	KT_EQ(a.starts, 1);
	KT_EQ(pulse_sup_stop_monitoring(sup), -EALREADY);
	KT_EQ(pulse_sup_start_monitoring(sup), 0);
	KT_CHECK(EVENTUALLY(GET(a.self)));
	KT_EQ(pulse_sup_start_monitoring(sup), -EALREADY);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static struct pulse_sup *own_tree;
static int own_answer[4];

static int asks_at_start(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	own_answer[0] = pulse_sup_terminate_child(own_tree, "other");
	own_answer[1] = pulse_sup_stop(own_tree);
	own_answer[2] = status_of(own_tree, "asks");
	own_answer[3] = pulse_sup_wait(own_tree, 0, NULL);
	return PULSE_CHILD_IGNORE;
}

KT_TEST(an_operation_may_look_at_its_tree_but_not_wait_for_it)
{
	static const struct pulse_child_ops ops = {
		.sz = sizeof(ops), .name = "asks", .start = asks_at_start,
		.stop = toy_stop,
	};

	own_tree = sup_with("sup", 0, 5, 0, true);
	PULSE_OPTS(pulse_child_spec, spec, .id = "asks", .ops = &ops,
		   .kind = PULSE_CHILD_OPS);
	KT_EQ(pulse_sup_start_child(own_tree, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(own_tree), 0);
	KT_EQ(own_answer[0], -EDEADLK);
	KT_EQ(own_answer[1], -EDEADLK);
	KT_EQ(own_answer[2], PULSE_CHILD_STARTING);
	KT_EQ(own_answer[3], -EDEADLK);
	KT_EQ(pulse_sup_destroy(own_tree), 0);
}

static int nothing(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	return 0;
}

static void no_log(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	INC(*(int *)arg);
}

KT_TEST(bad_specs_and_options_are_refused_with_a_reason)
{
	struct pulse_child_spec good = { .sz = sizeof(good), .id = "x",
					 .fn = nothing }, bad;
	struct pulse_sup *sup = sup_with("sup", 0, 5, 0, true), *none;
	int said = 0, n = 0;
	char name[300];

#define BAD(field, value)						\
	do {								\
		bad = good;						\
		bad.field = (value);					\
		KT_EQ(pulse_sup_start_child(sup, &bad, NULL), -EINVAL);	\
		n++;							\
	} while (0)
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	pulse_log_set_sink(no_log, &said);
	BAD(id, NULL);
	BAD(id, "");
	BAD(id, name);
	BAD(kind, 4);
	BAD(kind, PULSE_CHILD_OPS);
	BAD(kind, PULSE_CHILD_SUPERVISOR);
	BAD(restart, 3);
	BAD(shutdown_ms, -3);
	BAD(priority, 5);
	BAD(flags, 1U << 20);
	BAD(flags, PULSE_CHILD_SIGNIFICANT);
	BAD(fn, NULL);
	good.kind = PULSE_CHILD_PROCESS;
	BAD(path, "/bin/true");			/* and fn */
	BAD(stop_signal, 99);
	BAD(nr_rlimits, 1);
	BAD(nr_rlimits, 17);
	good.fn = NULL;
	BAD(path, "true");
	KT_EQ(said, n);
	good.sz = 8;
	KT_EQ(pulse_sup_start_child(sup, &good, NULL), -EINVAL);
	KT_EQ(pulse_sup_start_child(sup, NULL, NULL), -EINVAL);
	KT_EQ(pulse_sup_start_child(NULL, &good, NULL), -EINVAL);
	PULSE_OPTS(pulse_sup_opts, o, .strategy = 4);
	KT_EQ(pulse_sup_create(&o, &none), -EINVAL);
	o.strategy = 0;
	o.max_restarts = 65536;
	KT_EQ(pulse_sup_create(&o, &none), -EINVAL);
	o.max_restarts = 0;
	o.backoff_jitter = 101;
	KT_EQ(pulse_sup_create(&o, &none), -EINVAL);
	KT_EQ(said, n + 3);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(pulse_sup_destroy(NULL), -EINVAL);
}

/* A supervisor that is made, filled, started, hit and ended. */
static int whole_life(void)
{
	struct toy a = { .id = "a" }, b = { .id = "b" }, c = { .id = "c" };
	struct pulse_sup *sup, *sub;
	int err, err2;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 50);
	err = pulse_sup_create(&o, &sup);
	if (err)
		return err;
	err = add_toy(sup, &a, 0);
	if (!err)
		err = pulse_sup_create(NULL, &sub);
	if (!err) {
		err = add_toy(sub, &b, 0);
		err2 = put_below(sup, sub, "sub", 0);
		if (err2)
			pulse_sup_destroy(sub);
		err = err ? err : err2;
	}
	if (!err)
		err = pulse_sup_start(sup);
	if (!err) {
		/* A restart without memory is one more failure, no more. */
		toy_end(&a, PULSE_EXIT_CODE, 1);
		toy_end(&b, PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(GET(a.self) && GET(b.self)));
		err = add_toy(sup, &c, 0);
	}
	KT_EQ(pulse_sup_destroy(sup), 0);
	return err;
}

KT_TEST(allocation_failing_at_each_n)
{
	int failed = 0;

	for (long i = 1; i < 1000; i++) {
		int err;

		pulse__alloc_fail_at(i);
		err = whole_life();
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			kt_note("%ld places that can fail, %ld did no harm",
				i - 1, i - 1 - failed);
			break;
		}
		KT_CHECKF(!err || err == -ENOMEM, "n = %ld: %d", i, err);
		failed += err != 0;
	}
	KT_CHECK(failed > 10);
}

KT_MAIN()

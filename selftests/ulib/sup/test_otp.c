// SPDX-License-Identifier: GPL-2.0-only
/*
 * What OTP's supervisor does, row by row (lib/stdlib/test/supervisor_SUITE.erl
 * says which rows there are): V05, V06, V07, V08, V12 and the calls.
 *
 * Children are toys: inline operations, so all that a death brings about has
 * happened when pulse_child_exited() returns.
 */
#include "helpers.h"

static struct pulse_sup *sup_of(int strategy, int max, uint32_t flags)
{
	struct pulse_sup *sup = NULL;

	PULSE_OPTS(pulse_sup_opts, o, .strategy = strategy, .max_restarts = max,
		   .period_ms = 10000, .flags = flags, .now = fake_now);
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	recorded();
	return sup;
}

/* A call that does not return at once, and a death that drives for long. */
static pthread_t ender;
static struct pulse_sup *ender_sup;

static void *end_it(void *arg)
{
	toy_end(arg, PULSE_EXIT_CODE, 1);
	return NULL;
}

static void toy_end_from_thread(struct toy *t)
{
	KT_EQ(pthread_create(&ender, NULL, end_it, t), 0);
}

static void *terminate_it(void *arg)
{
	KT_EQ(pulse_sup_terminate_child(ender_sup, arg), 0);
	return NULL;
}

static void terminate_from_thread(struct pulse_sup *sup, const char *id)
{
	ender_sup = sup;
	KT_EQ(pthread_create(&ender, NULL, terminate_it, (void *)id), 0);
}

static void *shut_it(void *arg)
{
	KT_EQ(pulse_sup_shutdown(arg, 2000), -ETIMEDOUT);
	return NULL;
}

static void shutdown_from_thread(struct pulse_sup *sup)
{
	KT_EQ(pthread_create(&ender, NULL, shut_it, sup), 0);
}

static void join_ender(void)
{
	KT_EQ(pthread_join(ender, NULL), 0);
}

/* V07: nine cells. */
KT_TEST(restart_type_by_exit_kind)
{
	static const struct {
		int restart;
		uint32_t kind;
		bool again, known;
	} cell[] = {
		{ PULSE_CHILD_PERMANENT, PULSE_EXIT_NORMAL, true, true },
		{ PULSE_CHILD_PERMANENT, PULSE_EXIT_SHUTDOWN, true, true },
		{ PULSE_CHILD_PERMANENT, PULSE_EXIT_CODE, true, true },
		{ PULSE_CHILD_TRANSIENT, PULSE_EXIT_NORMAL, false, true },
		{ PULSE_CHILD_TRANSIENT, PULSE_EXIT_SHUTDOWN, false, true },
		{ PULSE_CHILD_TRANSIENT, PULSE_EXIT_CODE, true, true },
		{ PULSE_CHILD_TEMPORARY, PULSE_EXIT_NORMAL, false, false },
		{ PULSE_CHILD_TEMPORARY, PULSE_EXIT_SHUTDOWN, false, false },
		{ PULSE_CHILD_TEMPORARY, PULSE_EXIT_CODE, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cell); i++) {
		struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 5, 0);
		struct toy t = { .id = "a" };
		int want = cell[i].again ? PULSE_CHILD_RUNNING :
			   cell[i].known ? PULSE_CHILD_STOPPED : -ENOENT;

		KT_EQ(add_toy(sup, &t, cell[i].restart), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		toy_end(&t, cell[i].kind, 3);
		KT_CHECKF(EVENTUALLY(status_of(sup, "a") == want),
			  "cell %zu: status %d", i, status_of(sup, "a"));
		KT_EQ(t.starts, cell[i].again ? 2 : 1);
		KT_EQ(stats_of(sup).total_restarts, cell[i].again);
		if (cell[i].known)
			KT_EQ(info_of(sup, "a").last_exit.kind, cell[i].kind);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

/* V05 */
KT_TEST(intensity_survives_r_and_ends_at_r_plus_1)
{
	for (int r = 0; r <= 4; r++) {
		struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE,
					       r ? r : PULSE_OFF, 0);
		struct toy a = { .id = "a" }, b = { .id = "b" };
		struct pulse_exit why;

		KT_EQ(add_toy(sup, &a, 0), 0);
		KT_EQ(add_toy(sup, &b, 0), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		for (int i = 0; i < r; i++) {
			toy_end(i & 1 ? &a : &b, PULSE_EXIT_CODE, 1);
			KT_CHECK(EVENTUALLY(GET(a.self) && GET(b.self)));
			KT_EQ(pulse_sup_wait(sup, 0, NULL), -ETIMEDOUT);
		}
		recorded();
		toy_end(&a, PULSE_EXIT_CODE, 1);
		KT_EQ(pulse_sup_wait(sup, PULSE_FOREVER, &why), 0);
		KT_EQ(why.kind, PULSE_EXIT_SHUTDOWN);
		KT_EQ(why.flags, PULSE_EXIT_TOO_MANY);
		KT_STREQ(recorded(), "-b ");
		KT_EQ(pulse_sup_stop(sup), -ENOTRECOVERABLE);
		/* And once more from the beginning, with an empty window. */
		KT_EQ(pulse_sup_start(sup), 0);
		KT_STREQ(recorded(), "+a +b ");
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

/* V05: exactly one period apart still counts, as in OTP. */
KT_TEST(deaths_that_are_spaced_never_end_it)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 1, 0);
	struct toy a = { .id = "a" };

	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	for (int i = 0; i < 100; i++) {
		toy_end(&a, PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(GET(a.self)));
		KT_EQ(stats_of(sup).in_period, 1);
		fake_pass(sup, 10001);
	}
	KT_EQ(stats_of(sup).total_restarts, 100);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	fake_pass(sup, 10000);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_EQ(pulse_sup_wait(sup, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* V06: sets, order, and who is left alone. */
KT_TEST(strategies_restart_their_set_in_their_order)
{
	static const struct {
		int strategy;
		const char *text;
		int starts[4];
	} row[] = {
		{ PULSE_ONE_FOR_ONE, "+b ", { 1, 2, 1, 1 } },
		{ PULSE_REST_FOR_ONE, "-d -c +b +c +d ", { 1, 2, 2, 2 } },
		{ PULSE_ONE_FOR_ALL, "-d -c -a +a +b +c +d ", { 2, 2, 2, 2 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct pulse_sup *sup = sup_of(row[i].strategy, 3, 0);
		struct toy t[4] = { { .id = "a" }, { .id = "b" }, { .id = "c" },
				    { .id = "d" } };
		struct pulse_child *before[4];

		for (int k = 0; k < 4; k++)
			KT_EQ(add_toy(sup, &t[k], 0), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		KT_STREQ(recorded(), "+a +b +c +d ");
		for (int k = 0; k < 4; k++)
			before[k] = t[k].self;
		toy_end(&t[1], PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(status_of(sup, "d") == PULSE_CHILD_RUNNING &&
				    status_of(sup, "b") == PULSE_CHILD_RUNNING));
		KT_STREQ(recorded(), row[i].text);
		for (int k = 0; k < 4; k++) {
			KT_EQ(t[k].starts, row[i].starts[k]);
			if (t[k].starts == 1)
				KT_CHECK(t[k].self == before[k]);
		}
		KT_EQ(pulse_sup_stop(sup), 0);
		KT_STREQ(recorded(), "-d -c -b -a ");
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

/* What one_for_all stops for others' sake is not started if it is temporary. */
KT_TEST(a_temporary_sibling_is_stopped_and_forgotten)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ALL, 3, 0);
	struct toy a = { .id = "a" }, b = { .id = "b" }, c = { .id = "c" };

	KT_EQ(add_toy(sup, &a, PULSE_CHILD_TEMPORARY), 0);
	KT_EQ(add_toy(sup, &b, PULSE_CHILD_PERMANENT), 0);
	KT_EQ(add_toy(sup, &c, PULSE_CHILD_TRANSIENT), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	recorded();
	toy_end(&b, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(sup, "c") == PULSE_CHILD_RUNNING &&
			    status_of(sup, "b") == PULSE_CHILD_RUNNING));
	KT_STREQ(recorded(), "-c -a +b +c ");
	KT_EQ(status_of(sup, "a"), -ENOENT);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(a_start_that_fails_stops_what_was_started)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy t[3] = { { .id = "a" }, { .id = "b" },
			    { .id = "c", .fail = 1 } };

	for (int k = 0; k < 3; k++)
		KT_EQ(add_toy(sup, &t[k], 0), 0);
	KT_EQ(pulse_sup_start(sup), -EIO);
	KT_STREQ(recorded(), "+a +b !c -b -a ");
	KT_EQ(pulse_sup_start(sup), 0);
	KT_STREQ(recorded(), "+a +b +c ");
	KT_EQ(pulse_sup_start(sup), -EALREADY);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* V08: each try counts; the last one takes the siblings along. */
KT_TEST(a_start_that_fails_during_a_restart_is_tried_until_it_escalates)
{
	for (int strategy = PULSE_ONE_FOR_ONE; strategy <= PULSE_REST_FOR_ONE;
	     strategy++) {
		struct pulse_sup *sup = sup_of(strategy, 3, 0);
		struct toy t[3] = { { .id = "a" },
				    { .id = "b", .fail = 100, .fail_after = 1 },
				    { .id = "c" } };
		struct pulse_exit why;

		for (int k = 0; k < 3; k++)
			KT_EQ(add_toy(sup, &t[k], 0), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		toy_end(&t[1], PULSE_EXIT_CODE, 1);
		KT_EQ(pulse_sup_wait(sup, PULSE_FOREVER, &why), 0);
		KT_EQ(why.flags, PULSE_EXIT_TOO_MANY);
		KT_EQ(t[1].starts, 1 + 3);
		KT_CHECK(!t[0].self && !t[2].self);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

KT_TEST(a_start_that_fails_less_often_than_the_intensity_is_survived)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ALL, 4, 0);
	struct toy t[3] = { { .id = "a" }, { .id = "b", .fail = 3, .fail_after = 1 },
			    { .id = "c" } };

	for (int k = 0; k < 3; k++)
		KT_EQ(add_toy(sup, &t[k], 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	recorded();
	toy_end(&t[0], PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(sup, "c") == PULSE_CHILD_RUNNING));
	/* The first round stops c, the later ones a, which b's failure left. */
	KT_STREQ(recorded(), "-c -b +a !b -a +a !b -a +a !b -a +a +b +c ");
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static void *answer(void *arg)
{
	struct pulse_sup *sup = arg;
	struct pulse_sup_count c = { .sz = sizeof(c) };

	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STARTING);
	KT_EQ(pulse_sup_count_children(sup, &c), 0);
	KT_EQ(c.specs, 2);
	KT_EQ(pulse_sup_which_children(sup, NULL, 0), 2);
	return NULL;
}

KT_TEST(a_supervisor_answers_while_a_restart_hangs_and_can_be_stopped)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy a = { .id = "a" }, b = { .id = "b" };

	KT_EQ(add_toy(sup, &b, 0), 0);
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	SET(a.hang_start, true);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_STARTING));
	answer(sup);
	recorded();
	KT_EQ(pulse_sup_stop(sup), 0);
	KT_STREQ(recorded(), "-a -b ");
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(a_supervisor_answers_in_a_loop_of_failing_restarts)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 65535, 0);
	struct toy a = { .id = "a", .fail = 1 << 30, .fail_after = 1 };
	struct toy b = { .id = "b" };

	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	/* Restarts are tried until somebody says no; who says it gets in. */
	SET(a.hang_start, false);
	toy_end_from_thread(&a);
	KT_CHECK(EVENTUALLY(GET(a.starts) > 3));
	KT_EQ(status_of(sup, "a") == PULSE_CHILD_RESTARTING ||
	      status_of(sup, "a") == PULSE_CHILD_STARTING ||
	      status_of(sup, "a") == PULSE_CHILD_STOPPED, 1);
	KT_EQ(add_toy(sup, &b, 0), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "a"), 0);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPED);
	KT_EQ(status_of(sup, "b"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_delete_child(sup, "a"), 0);
	join_ender();
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(start_terminate_restart_delete)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy a = { .id = "a" }, b = { .id = "b" }, c = { .id = "c" };

	KT_EQ(pulse_sup_terminate_child(sup, "a"), -ESHUTDOWN);
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(add_toy(sup, &a, 0), -EEXIST);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(add_toy(sup, &b, 0), 0);
	KT_EQ(add_toy(sup, &b, 0), -EALREADY);
	KT_EQ(pulse_sup_terminate_child(sup, "x"), -ENOENT);
	KT_EQ(pulse_sup_delete_child(sup, "b"), -EBUSY);
	KT_EQ(pulse_sup_restart_child(sup, "b"), -EBUSY);
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_EQ(add_toy(sup, &b, 0), -EEXIST);
	KT_EQ(pulse_sup_restart_child(sup, "b"), 0);
	KT_EQ(status_of(sup, "b"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	SET(b.fail, 1);
	KT_EQ(pulse_sup_restart_child(sup, "b"), -EIO);
	KT_EQ(status_of(sup, "b"), PULSE_CHILD_STOPPED);
	KT_EQ(pulse_sup_delete_child(sup, "b"), 0);
	KT_EQ(pulse_sup_delete_child(sup, "b"), -ENOENT);
	KT_EQ(pulse_sup_restart_child(sup, "b"), -ENOENT);
	/* A start that fails adds nothing. */
	SET(c.fail, 1);
	KT_EQ(add_toy(sup, &c, 0), -EIO);
	KT_EQ(status_of(sup, "c"), -ENOENT);
	/* A temporary child is forgotten when it is terminated. */
	KT_EQ(add_toy(sup, &c, PULSE_CHILD_TEMPORARY), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "c"), 0);
	KT_EQ(status_of(sup, "c"), -ENOENT);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(a_child_with_nothing_to_run_is_kept_unless_it_is_temporary)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy a = { .id = "a", .ignore = true };
	struct toy b = { .id = "b", .ignore = true };

	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPED);
	KT_EQ(add_toy(sup, &b, PULSE_CHILD_TEMPORARY), 0);
	KT_EQ(status_of(sup, "b"), -ENOENT);
	SET(a.ignore, false);
	KT_EQ(pulse_sup_restart_child(sup, "a"), 0);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(which_and_count)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0), *sub;
	struct toy a = { .id = "a" }, b = { .id = "b" };
	struct pulse_child_info info[4] = { { .sz = sizeof(info[0]) } };
	struct pulse_sup_count c = { .sz = sizeof(c) };

	KT_REQUIRE(!pulse_sup_create(NULL, &sub));
	PULSE_OPTS(pulse_child_spec, nested, .id = "sub",
		   .kind = PULSE_CHILD_SUPERVISOR, .supervisor = sub);
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start_child(sup, &nested, NULL), 0);
	KT_EQ(add_toy(sup, &b, PULSE_CHILD_TRANSIENT), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_EQ(pulse_sup_which_children(sup, info, 4), 3);
	KT_STREQ(info[0].id, "a");
	KT_STREQ(info[1].id, "sub");
	KT_CHECK(info[1].supervisor == sub);
	KT_EQ(info[1].status, PULSE_CHILD_RUNNING);
	KT_STREQ(info[2].id, "b");
	KT_EQ(info[2].status, PULSE_CHILD_STOPPED);
	KT_EQ(info[2].last_exit.kind, PULSE_EXIT_SHUTDOWN);
	KT_EQ(pulse_sup_count_children(sup, &c), 0);
	KT_EQ(c.specs, 3);
	KT_EQ(c.active, 2);
	KT_EQ(c.supervisors, 1);
	KT_EQ(c.workers, 2);
	KT_EQ(pulse_sup_start(sub), -EPERM);
	KT_EQ(pulse_sup_stop(sub), -EPERM);
	KT_EQ(pulse_sup_destroy(sub), -EBUSY);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(simple_one_for_one)
{
	struct pulse_sup *sup = sup_of(PULSE_SIMPLE_ONE_FOR_ONE, 10, 0);
	struct toy t[5] = { { .id = "t" }, { .id = "t" }, { .id = "t" },
			    { .id = "t" }, { .id = "t" } };
	struct pulse_sup_count c = { .sz = sizeof(c) };
	const char *id[5];
	char gone[64];

	TOY_SPEC(spec, &t[0], .restart = PULSE_CHILD_TRANSIENT);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_STREQ(recorded(), "");
	for (int i = 0; i < 5; i++) {
		spec.arg = &t[i];
		KT_EQ(pulse_sup_start_child(sup, &spec, &id[i]), 0);
	}
	KT_STREQ(id[0], "t_0");
	KT_STREQ(id[4], "t_4");
	KT_EQ(pulse_sup_count_children(sup, &c), 0);
	KT_EQ(c.specs, 1);
	KT_EQ(c.active, 5);
	KT_EQ(c.workers, 5);
	KT_EQ(pulse_sup_delete_child(sup, id[1]), -EOPNOTSUPP);
	KT_EQ(pulse_sup_restart_child(sup, id[1]), -EOPNOTSUPP);
	snprintf(gone, sizeof(gone), "%s", id[1]);
	KT_EQ(pulse_sup_terminate_child(sup, gone), 0);
	KT_EQ(status_of(sup, gone), -ENOENT);
	KT_EQ(pulse_sup_terminate_child(sup, gone), -ENOENT);
	toy_end(&t[2], PULSE_EXIT_CODE, 1);	/* again */
	KT_CHECK(EVENTUALLY(GET(t[2].self)));
	toy_end(&t[3], PULSE_EXIT_NORMAL, 0);	/* forgotten */
	KT_CHECK(EVENTUALLY(status_of(sup, "t_3") == -ENOENT));
	KT_EQ(pulse_sup_which_children(sup, NULL, 0), 3);
	/* A restart that fails is tried again, and can be called off. */
	SET(t[4].fail_after, 1);
	SET(t[4].fail, 2);
	toy_end(&t[4], PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(status_of(sup, "t_4") == PULSE_CHILD_RUNNING));
	KT_EQ(t[4].starts, 4);
	/* All are asked before the first is waited for. */
	SET(t[0].deaf, true);
	recorded();
	shutdown_from_thread(sup);
	KT_CHECK(EVENTUALLY(status_of(sup, "t_0") == PULSE_CHILD_STOPPING &&
			    !GET(t[2].self) && !GET(t[4].self)));
	fake_pass(sup, 2001);
	join_ender();
	KT_STREQ(recorded(), "-t -t -t xt ");
	KT_CHECK(!t[0].self && !t[2].self && !t[4].self);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(significant_children_end_their_supervisor)
{
	for (int how = PULSE_AUTO_ANY; how <= PULSE_AUTO_ALL; how++) {
		struct toy t[3] = { { .id = "a" }, { .id = "b" }, { .id = "c" } };
		struct pulse_sup *sup;
		struct pulse_exit why;

		PULSE_OPTS(pulse_sup_opts, o, .auto_shutdown = how,
			   .max_restarts = 5);
		KT_REQUIRE(!pulse_sup_create(&o, &sup));
		for (int k = 0; k < 3; k++) {
			TOY_SPEC(spec, &t[k], .restart = k ? PULSE_CHILD_TRANSIENT :
				 PULSE_CHILD_PERMANENT,
				 .flags = k ? PULSE_CHILD_SIGNIFICANT : 0);
			KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
		}
		KT_EQ(pulse_sup_start(sup), 0);
		/* Neither a restart nor a call counts. */
		toy_end(&t[1], PULSE_EXIT_CODE, 1);
		KT_CHECK(EVENTUALLY(GET(t[1].self)));
		KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
		KT_EQ(pulse_sup_wait(sup, 0, NULL), -ETIMEDOUT);
		KT_EQ(pulse_sup_restart_child(sup, "b"), 0);
		toy_end(&t[1], PULSE_EXIT_NORMAL, 0);
		if (how == PULSE_AUTO_ALL) {
			KT_CHECK(EVENTUALLY(status_of(sup, "b") ==
					    PULSE_CHILD_STOPPED));
			KT_EQ(pulse_sup_wait(sup, 0, NULL), -ETIMEDOUT);
			toy_end(&t[2], PULSE_EXIT_SHUTDOWN, 0);
		}
		KT_EQ(pulse_sup_wait(sup, PULSE_FOREVER, &why), 0);
		KT_EQ(why.kind, PULSE_EXIT_SHUTDOWN);
		KT_EQ(why.flags, PULSE_EXIT_AUTO);
		KT_CHECK(!t[0].self);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

/* A sibling's restart stops it: that is no end of its own. */
KT_TEST(a_significant_child_stopped_for_a_sibling_does_not_count)
{
	struct toy a = { .id = "a" }, b = { .id = "b" };
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .auto_shutdown = PULSE_AUTO_ANY,
		   .strategy = PULSE_ONE_FOR_ALL, .max_restarts = 5);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	TOY_SPEC(spec, &b, .restart = PULSE_CHILD_TEMPORARY,
		 .flags = PULSE_CHILD_SIGNIFICANT);
	KT_EQ(add_toy(sup, &a, 0), 0);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(GET(a.starts) == 2));
	KT_EQ(pulse_sup_wait(sup, 0, NULL), -ETIMEDOUT);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* V09 */
KT_TEST(who_does_not_hear_is_ended_by_force_after_its_time)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy a = { .id = "a", .deaf = true };
	struct toy b = { .id = "b", .deaf = true };
	struct toy c = { .id = "c" };

	TOY_SPEC(timed, &a, .shutdown_ms = 700);
	TOY_SPEC(brutal, &b, .shutdown_ms = PULSE_SHUTDOWN_BRUTAL);
	TOY_SPEC(patient, &c, .shutdown_ms = PULSE_SHUTDOWN_INFINITY);
	KT_EQ(pulse_sup_start_child(sup, &timed, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &brutal, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &patient, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	recorded();
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_STREQ(recorded(), "xb ");
	KT_EQ(info_of(sup, "b").last_exit.kind, PULSE_EXIT_KILLED);

	SET(c.deaf, true);
	terminate_from_thread(sup, "c");
	KT_CHECK(EVENTUALLY(status_of(sup, "c") == PULSE_CHILD_STOPPING));
	fake_pass(sup, 100 * 3600 * 1000LL);
	nap_ms(20);
	KT_EQ(status_of(sup, "c"), PULSE_CHILD_STOPPING);
	toy_end(&c, PULSE_EXIT_SHUTDOWN, 0);
	join_ender();
	KT_STREQ(recorded(), "-c ");

	terminate_from_thread(sup, "a");
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_STOPPING));
	fake_pass(sup, 690);
	nap_ms(20);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPING);
	fake_pass(sup, 20);
	join_ender();
	KT_STREQ(recorded(), "-a xa ");
	KT_EQ(info_of(sup, "a").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(stats_of(sup).kills, 2);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(what_even_force_does_not_end_is_given_up)
{
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE, 3, 0);
	struct toy a = { .id = "a", .deaf = true, .immortal = true };
	struct pulse_child *old;

	TOY_SPEC(spec, &a, .shutdown_ms = PULSE_SHUTDOWN_BRUTAL);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	old = a.self;
	terminate_from_thread(sup, "a");
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_STOPPING));
	fake_pass(sup, 1001);
	join_ender();
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPED);
	KT_EQ(stats_of(sup).abandoned, 1);
	KT_EQ(pulse_sup_restart_child(sup, "a"), 0);
	KT_CHECK(a.self != old);
	/* It ends at last; that is nobody's business any more. */
	KT_EQ(pulse_child_keep(old, old, NULL), -ESTALE);
	KT_EQ(pulse_child_exited(old, NULL), 0);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_RUNNING);
	SET(a.immortal, false);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_MAIN()

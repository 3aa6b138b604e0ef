// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that are threads: their ends, being stopped and forced (V09), hangs,
 * memory, health, state; and that 1,000 restarts leave nothing behind.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/pulse.h>
#include <pulse-u/backend.h>

#include "helpers.h"

static struct pulse_sup *sup_of(int max, uint32_t kill_wait_ms)
{
	struct pulse_sup *sup = NULL;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = max, .period_ms = 600000,
		   .kill_wait_ms = kill_wait_ms);
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	return sup;
}

KT_TEST(which_backend)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	pulse_backend_info(&info);
	kt_note("backend: %s", info.name ? info.name : "(none)");
	KT_CHECK(1);
}

static struct {
	int starts;
	int how;
	int go;
	int left;		/* a thread that was given up has ended */
} script;

static int follow_script(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(script.starts);
	pulse_child_wait(self, PULSE_FOREVER - 1);
	return 0;
}

static int end_as_told(struct pulse_child *self, void *arg)
{
	(void)arg;
	if (INC(script.starts))		/* only the first one ends */
		return pulse_child_wait(self, PULSE_FOREVER);
	switch (script.how) {
	case 1:
		return -ESHUTDOWN;
	case 2:
		return 7;
	case 3:
		pthread_exit(NULL);
	default:
		return 0;
	}
}

KT_TEST(ends_of_a_thread_are_told_exactly)
{
	static const struct { uint32_t kind; int code; } want[] = {
		{ PULSE_EXIT_NORMAL, 0 }, { PULSE_EXIT_SHUTDOWN, -ESHUTDOWN },
		{ PULSE_EXIT_CODE, 7 }, { PULSE_EXIT_CODE, -ECANCELED },
	};

	for (int how = 0; how < 4; how++) {
		struct pulse_sup *sup = sup_of(5, 0);
		PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = end_as_told);

		script.starts = 0;
		script.how = how;
		KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
		KT_EQ(info_of(sup, "t").last_exit.kind, want[how].kind);
		KT_EQ(info_of(sup, "t").last_exit.code, want[how].code);
		KT_EQ(info_of(sup, "t").incarnation, 2);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

static int vanish(struct pulse_child *self, void *arg)
{
	(void)arg;
	if (INC(script.starts))
		return pulse_child_wait(self, PULSE_FOREVER);
	syscall(SYS_exit, 3);
	return 0;
}

/* Nobody in the process hears of it: the module does, or a look now and then. */
KT_TEST(a_thread_that_vanishes_is_found_and_restarted)
{
	struct pulse_sup *sup = sup_of(5, 0);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = vanish,
		   .health_interval_ms = 50);

#if defined(PULSE__TSAN) || defined(__SANITIZE_ADDRESS__)
	pulse_sup_destroy(sup);
	KT_SKIP("sanitizers keep count of threads by their ends");
#endif
	script.starts = 0;
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_LOST);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int deaf(struct pulse_child *self, void *arg)
{
	int n = INC(script.starts);

	(void)self;
	(void)arg;
	while (!GET(script.go))
		nap_ms(1);
	if (!n)
		INC(script.left);
	return 0;
}

static int heeds(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(script.starts);
	while (!pulse_child_stopping(self))
		nap_ms(1);
	INC(script.how);
	return 0;
}

/* V09 */
KT_TEST(a_deaf_thread_is_left_to_itself_and_a_new_one_takes_over)
{
	struct pulse_sup *sup = sup_of(5, 20);
	int kept = 1;

	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = deaf,
		   .shutdown_ms = 20, .state = &kept);
	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "t"), 0);
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(stats_of(sup).abandoned, 1);
	KT_EQ(pulse_sup_restart_child(sup, "t"), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	SET(script.go, 1);
	KT_CHECK(EVENTUALLY(GET(script.left) == 1));
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_CHECK(EVENTUALLY(THREADS() <= 2 + 1 + 2));	/* ., .., main, TSan's */
}

KT_TEST(brutal_tells_a_thread_once_and_waits_for_nothing_more)
{
	struct pulse_sup *sup = sup_of(5, 60000);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = heeds,
		   .shutdown_ms = PULSE_SHUTDOWN_BRUTAL);

	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "t"), 0);
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(script.how, 1);
	KT_EQ(stats_of(sup).abandoned, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int sleeps_for_ever(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	INC(script.starts);
	while (!GET(script.go))
		nap_ms(1000);	/* a cancellation point */
	return 0;
}

KT_TEST(a_thread_that_may_be_cancelled_is)
{
	struct pulse_sup *sup = sup_of(5, 60000);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = sleeps_for_ever,
		   .shutdown_ms = 10, .flags = PULSE_CHILD_CANCEL);

#ifdef PULSE__TSAN
	pulse_sup_destroy(sup);
	KT_SKIP("ThreadSanitizer does not see locks of a thread cancelled in a call");
#endif
	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 1));
	KT_EQ(pulse_sup_terminate_child(sup, "t"), 0);
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(stats_of(sup).abandoned, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int ready_late(struct pulse_child *self, void *arg)
{
	record("%s", (const char *)arg);
	nap_ms(30);
	record("%c", *(const char *)arg + ('A' - 'a'));
	pulse_child_ready(self);
	return pulse_child_wait(self, PULSE_FOREVER);
}

static int never_ready(struct pulse_child *self, void *arg)
{
	(void)arg;
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

static int fails_before(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	return -EACCES;
}

KT_TEST(the_next_one_is_started_when_the_last_one_is_ready)
{
	struct pulse_sup *sup = sup_of(5, 0);
	PULSE_OPTS(pulse_child_spec, a, .id = "a", .fn = ready_late, .arg = "a",
		   .flags = PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, b, .id = "b", .fn = ready_late, .arg = "b",
		   .flags = PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, c, .id = "c", .fn = never_ready,
		   .flags = PULSE_CHILD_READY, .start_timeout_ms = 20);
	PULSE_OPTS(pulse_child_spec, d, .id = "d", .fn = fails_before,
		   .flags = PULSE_CHILD_READY);

	recorded();
	KT_EQ(pulse_sup_start_child(sup, &a, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &b, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_STREQ(recorded(), "aAbB");
	KT_EQ(pulse_sup_start_child(sup, &c, NULL), -ETIMEDOUT);
	KT_EQ(pulse_sup_start_child(sup, &d, NULL), -EACCES);
	KT_EQ(pulse_sup_which_children(sup, NULL, 0), 2);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int hang_pipe[2];

static int beats_then_hangs(struct pulse_child *self, void *arg)
{
	int first = !INC(script.starts);

	(void)arg;
	for (int i = 0; i < 10; i++) {
		pulse_child_beat(self);
		nap_ms(5);
	}
	if (first) {	/* asleep, and not for want of work */
		char c;

		KT_EQ(read(hang_pipe[0], &c, 1), 1);
		INC(script.left);
	}
	return first ? 0 : pulse_child_wait(self, PULSE_FOREVER);
}

/* Hung by the module's verdict, or by a deadline without it. */
KT_TEST(a_thread_that_hangs_is_replaced_and_one_that_waits_is_not)
{
	struct pulse_sup *sup = sup_of(5, 20);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = beats_then_hangs,
		   .hang_ms = 2000);
	struct pulse_backend_info b = { .sz = sizeof(b) };
	struct pulse_exit why;

	KT_REQUIRE(!pipe(hang_pipe));
	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	why = info_of(sup, "t").last_exit;
	KT_EQ(why.kind, PULSE_EXIT_HANG);
	pulse_backend_info(&b);
	if (b.features & PULSE_FEAT_WATCH)
		KT_EQ(why.verdict, PULSE_HANG_BLOCKED);
	else
		KT_EQ(why.verdict, 0);
	/* The second one waits for twice the time, by pulse_child_wait(). */
	nap_ms(4000);
	KT_EQ(script.starts, 2);
	KT_EQ(write(hang_pipe[1], "", 1), 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.left) == 1));
	close(hang_pipe[0]);
	close(hang_pipe[1]);
}

static int eats(struct pulse_child *self, void *arg)
{
	int err = 0, n = INC(script.starts);
	void *p;

	(void)arg;
	for (int i = 0; !n && !err; i++) {
		err = pulse_child_alloc(self, 1000, &p);
		if (!err && i & 1)
			KT_EQ(pulse_child_free(self, p), 0);
	}
	if (err) {
		KT_EQ(err, -EDQUOT);
		KT_CHECK(!p);
	}
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(a_thread_over_its_memory_is_restarted_with_none)
{
	struct pulse_sup *sup = sup_of(5, 0);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = eats,
		   .max_memory_bytes = 20000);

	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_MEMORY);
	KT_EQ(info_of(sup, "t").memory_bytes, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static bool well_for_a_while(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	return INC(script.how) != 3;
}

static bool never_returns(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	if (!INC(script.how)) {
		while (!GET(script.go))
			nap_ms(1);
	}
	return true;
}

KT_TEST(a_failed_health_check_restarts_the_child)
{
	struct pulse_sup *sup = sup_of(5, 0);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = follow_script,
		   .health = well_for_a_while, .health_interval_ms = 5,
		   .health_timeout_ms = 20000);

	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_HEALTH);
	KT_CHECK(EVENTUALLY(GET(script.how) > 6));	/* and is asked again */
	KT_EQ(script.starts, 2);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(a_health_check_that_hangs_is_a_failed_one_and_keeps_nobody_else_waiting)
{
	struct pulse_sup *sup = sup_of(5, 0);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = follow_script,
		   .health = never_returns, .health_interval_ms = 10,
		   .health_timeout_ms = 300);

	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	KT_EQ(info_of(sup, "t").last_exit.kind, PULSE_EXIT_HEALTH);
	KT_CHECK(EVENTUALLY(GET(script.how) > 3));
	SET(script.go, 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int priority_seen[5];

static int tells_priority(struct pulse_child *self, void *arg)
{
	errno = 0;
	SET(priority_seen[(long)arg], getpriority(PRIO_PROCESS, 0) + 100);
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(priorities_are_hints_to_the_scheduler)
{
	static const char *const id[] = { "0", "1", "2", "3", "4" };
	struct pulse_sup *sup = sup_of(5, 0);

	memset(priority_seen, 0, sizeof(priority_seen));
	for (long p = 0; p < 5; p++) {
		PULSE_OPTS(pulse_child_spec, spec, .id = id[p], .arg = (void *)p,
			   .fn = tells_priority, .priority = (int)p);
		KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	}
	KT_EQ(pulse_sup_start(sup), 0);
	for (int p = 0; p < 5; p++)
		KT_CHECK(EVENTUALLY(GET(priority_seen[p])));
	/* Steps are from 0, so they are smaller for who is nice already. */
	KT_CHECK(priority_seen[PULSE_CHILD_PRIO_LOW] >=
		 priority_seen[PULSE_CHILD_PRIO_NORMAL]);
	if (!getpriority(PRIO_PROCESS, 0))
		KT_EQ(priority_seen[PULSE_CHILD_PRIO_LOW] -
		      priority_seen[PULSE_CHILD_PRIO_NORMAL], 5);
	KT_EQ(priority_seen[PULSE_CHILD_PRIO_BATCH], 119);
	/* Up is for those who may. */
	KT_CHECK(priority_seen[PULSE_CHILD_PRIO_CRITICAL] <=
		 priority_seen[PULSE_CHILD_PRIO_HIGH]);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int dies_at_once(struct pulse_child *self, void *arg)
{
	long n = INC(script.starts);
	void *p;

	pulse_child_alloc(self, 100, &p);
	if (n < (long)arg)
		return 1;
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(a_thousand_restarts_leave_nothing_behind)
{
	long n = kt_scale(1000);
	int fds = OPEN_FDS(), threads = THREADS();
	struct pulse_sup *sup = sup_of(65535, 0);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = dies_at_once,
		   .arg = (void *)n);

	memset(&script, 0, sizeof(script));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == n + 1));
	KT_EQ(stats_of(sup).total_restarts, n);
	KT_CHECK(EVENTUALLY(THREADS() <= threads + 2));
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(OPEN_FDS(), fds);
	KT_CHECK(EVENTUALLY(THREADS() <= threads));
}

/* A context of the caller's, on either backend. */
KT_TEST(threads_are_workers_of_a_context_that_is_given)
{
	PULSE_OPTS(pulse_ctx_opts, c, .max_workers = 8, .event_bytes = 4096);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = end_as_told);
	struct pulse_sup *sup;
	struct pulse_ctx *ctx;

	KT_REQUIRE(!pulse_ctx_create(&c, &ctx));
	PULSE_OPTS(pulse_sup_opts, o, .ctx = ctx, .max_restarts = 5);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	script.starts = 0;
	script.how = 2;
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(script.starts) == 2));
	KT_CHECK(EVENTUALLY(info_of(sup, "t").worker >= 0));
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	c.event_bytes = 0;
	KT_REQUIRE(!pulse_ctx_create(&c, &ctx));
	o.ctx = ctx;
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(pulse_sup_start(sup), -ENODEV);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a supervisor tells: events in their order, figures by its own clock, how
 * a start failed, whether a core was dumped; and the signal that asks a process
 * to end.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "helpers.h"
#include "sup/sup_int.h"

static int64_t clock_of(void *arg)
{
	return GET(*(int64_t *)arg) * 1000000;
}

static void note_event(struct pulse_sup *sup, int event, const char *id,
		       const struct pulse_exit *why, void *arg)
{
	static const char letters[] = {
		[PULSE_SUP_CHILD_STARTED] = 'S',
		[PULSE_SUP_CHILD_ENDED] = 'E',
		[PULSE_SUP_CHILD_START_FAILED] = 'F',
		[PULSE_SUP_CHILD_DELAYED] = 'D',
		[PULSE_SUP_CHILD_KILLED] = 'K',
		[PULSE_SUP_CHILD_ABANDONED] = 'A',
		[PULSE_SUP_ENDED] = 'X',
	};
	struct pulse_sup_stats s = { .sz = sizeof(s) };

	/* Queries are allowed. */
	KT_EQ(pulse_sup_stats(sup, &s), 0);
	KT_EQ(pulse_sup_stop(sup), -EDEADLK);
	KT_CHECK(event >= PULSE_SUP_CHILD_STARTED && event <= PULSE_SUP_ENDED);
	record("%c%s", letters[event], id ? id : "");
	if (why)
		record("%u/%d", why->kind, why->code);
	record(" ");
	INC(*(int *)arg);
}

/* Toys record what they do; here only what is told is looked at. */
static int quiet_start(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;

	if (INC(t->starts) >= t->fail_after && GET(t->fail) > 0) {
		__atomic_fetch_sub(&t->fail, 1, __ATOMIC_SEQ_CST);
		return -EIO;
	}
	KT_CHECK(!pulse_child_data(self));
	KT_EQ(pulse_child_set_data(self, t), 0);
	SET(t->self, self);
	return 0;
}

static void quiet_stop(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;

	KT_CHECK(pulse_child_data(self) == t);
	if (!GET(t->deaf))
		toy_end(t, PULSE_EXIT_SHUTDOWN, 0);
}

static void quiet_kill(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;

	(void)self;
	if (!GET(t->immortal))
		toy_end(t, PULSE_EXIT_CODE, 9);
}

static const struct pulse_child_ops quiet_ops = {
	.sz = sizeof(quiet_ops), .name = "quiet",
	.flags = PULSE_CHILD_OPS_INLINE,
	.start = quiet_start, .stop = quiet_stop, .kill = quiet_kill,
};

static int add_quiet(struct pulse_sup *sup, struct toy *t, int32_t shutdown_ms)
{
	TOY_SPEC(spec, t, .shutdown_ms = shutdown_ms);

	spec.ops = &quiet_ops;
	return pulse_sup_start_child(sup, &spec, NULL);
}

static int does_nothing(struct pulse_child *self, void *arg)
{
	(void)arg;
	return pulse_child_wait(self, PULSE_FOREVER);
}

/* Of a supervisor as in OTP, of a child as child.h has it. */
KT_TEST(what_is_not_said_has_its_default)
{
	PULSE_OPTS(pulse_child_spec, plain, .id = "plain", .fn = does_nothing);
	PULSE_OPTS(pulse_child_spec, process, .id = "process",
		   .fn = does_nothing, .kind = PULSE_CHILD_PROCESS);
	struct pulse_child_spec *spec;
	struct pulse_sup *sup, *sub;

	KT_REQUIRE(!pulse_sup_create(NULL, &sup));
	KT_REQUIRE(!pulse_sup_create(NULL, &sub));
	PULSE_OPTS(pulse_child_spec, nested, .id = "nested",
		   .kind = PULSE_CHILD_SUPERVISOR, .supervisor = sub);
	KT_EQ(sup->o.strategy, PULSE_ONE_FOR_ONE);
	KT_EQ(sup->o.max_restarts, 1);
	KT_EQ(sup->o.period_ms, 5000);
	KT_EQ(sup->o.auto_shutdown, PULSE_AUTO_NEVER);
	KT_EQ(pulse_sup_start_child(sup, &plain, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &process, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &nested, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	spec = &pulse__entry_find(sup, "plain")->spec->s;
	KT_EQ(spec->kind, PULSE_CHILD_THREAD);
	KT_EQ(spec->restart, PULSE_CHILD_PERMANENT);
	KT_EQ(spec->priority, PULSE_CHILD_PRIO_NORMAL);
	KT_EQ(spec->shutdown_ms, 5000);
	KT_EQ(spec->health_interval_ms, 1000);
	KT_EQ(spec->max_memory_bytes, 0);
	KT_EQ(pulse__entry_find(sup, "process")->spec->s.stop_signal, SIGTERM);
	KT_EQ(pulse__entry_find(sup, "nested")->spec->s.shutdown_ms,
	      PULSE_SHUTDOWN_INFINITY);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static struct pulse_sup *caller_sup;

static void *terminate_b(void *arg)
{
	KT_EQ(pulse_sup_terminate_child(caller_sup, arg), 0);
	return NULL;
}

KT_TEST(each_event_is_told_in_its_order)
{
	struct toy a = { .id = "a" }, b = { .id = "b", .deaf = true };
	struct toy c = { .id = "c", .deaf = true, .immortal = true };
	int64_t ms = 1000;
	int heard = 0;
	struct pulse_sup *sup;
	pthread_t t;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 100, .now = clock_of,
		   .now_arg = &ms, .on_event = note_event, .event_arg = &heard,
		   .backoff_min_ms = 100);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	recorded();
	KT_EQ(add_quiet(sup, &a, 0), 0);
	KT_EQ(add_quiet(sup, &b, 700), 0);
	KT_EQ(add_quiet(sup, &c, PULSE_SHUTDOWN_BRUTAL), 0);
	KT_STREQ(recorded(), "");
	KT_EQ(pulse_sup_start(sup), 0);
	KT_STREQ(recorded(), "Sa Sb Sc ");

	/* An end, a delay, a start that fails, one more delay, a start. */
	toy_end(&a, PULSE_EXIT_CODE, 3);
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_RESTARTING));
	KT_STREQ(recorded(), "Ea3/3 Da3/3 ");
	SET(a.fail, 1);
	__atomic_fetch_add(&ms, 101, __ATOMIC_SEQ_CST);
	KT_EQ(pulse_sup_kick(sup), 0);
	KT_CHECK(EVENTUALLY(!GET(a.fail) &&
			    status_of(sup, "a") == PULSE_CHILD_RESTARTING));
	KT_STREQ(recorded(), "Fa10/-5 Da10/-5 ");
	KT_EQ(info_of(sup, "a").last_exit.kind, PULSE_EXIT_START);
	KT_EQ(info_of(sup, "a").last_exit.code, -EIO);
	__atomic_fetch_add(&ms, 101, __ATOMIC_SEQ_CST);
	KT_EQ(pulse_sup_kick(sup), 0);
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_RUNNING));
	KT_STREQ(recorded(), "Sa ");

	/* Force; and what even force does not end. */
	for (int i = 0; i < 2; i++) {
		caller_sup = sup;
		KT_EQ(pthread_create(&t, NULL, terminate_b,
				     (void *)(i ? "c" : "b")), 0);
		KT_CHECK(EVENTUALLY(status_of(sup, i ? "c" : "b") ==
				    PULSE_CHILD_STOPPING));
		__atomic_fetch_add(&ms, 1001, __ATOMIC_SEQ_CST);
		KT_EQ(pulse_sup_kick(sup), 0);
		pthread_join(t, NULL);
		KT_STREQ(recorded(), i ? "Kc Ac Ec5/-110 " : "Kb Eb5/9 ");
	}
	pulse_child_exited(__atomic_exchange_n(&c.self, NULL, __ATOMIC_SEQ_CST),
			   NULL);
	KT_EQ(pulse_sup_stop(sup), 0);
	KT_STREQ(recorded(), "Ea2/0 X2/0 ");
	KT_EQ(heard, 15);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(figures_are_those_of_its_clock_and_its_children)
{
	struct toy a = { .id = "a" }, b = { .id = "b" };
	int64_t ms = 5000, before;
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 100, .now = clock_of,
		   .now_arg = &ms);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(add_quiet(sup, &a, 0), 0);
	KT_EQ(add_quiet(sup, &b, 0), 0);
	KT_EQ(stats_of(sup).uptime_ns, 0);
	KT_EQ(stats_of(sup).active_children, 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(stats_of(sup).uptime_ns, 0);
	KT_EQ(stats_of(sup).active_children, 2);
	KT_EQ(stats_of(sup).last_failure_ns, 0);
	KT_EQ(info_of(sup, "a").started_ns, 5000 * 1000000LL);
	SET(ms, 5250);
	KT_EQ(stats_of(sup).uptime_ns, 250 * 1000000LL);

	/* One that ends well is none that failed. */
	before = pulse_now_ns();
	toy_end(&a, PULSE_EXIT_NORMAL, 0);
	KT_CHECK(EVENTUALLY(GET(a.self)));
	KT_EQ(stats_of(sup).failures, 0);
	KT_EQ(stats_of(sup).last_failure_ns, 0);
	KT_EQ(stats_of(sup).total_restarts, 1);
	toy_end(&a, PULSE_EXIT_CODE, 1);
	KT_CHECK(EVENTUALLY(GET(a.self)));
	KT_EQ(stats_of(sup).failures, 1);
	KT_CHECK(stats_of(sup).last_failure_ns >= before &&
		 stats_of(sup).last_failure_ns <= pulse_now_ns());
	KT_EQ(stats_of(sup).total_restarts, 2);
	KT_EQ(info_of(sup, "a").restarts, 2);
	KT_EQ(info_of(sup, "b").restarts, 0);
	KT_EQ(pulse_sup_terminate_child(sup, "b"), 0);
	KT_EQ(stats_of(sup).active_children, 1);
	KT_EQ(pulse_sup_stop(sup), 0);
	KT_EQ(stats_of(sup).active_children, 0);
	KT_EQ(stats_of(sup).uptime_ns, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static void *stops_it(void *arg)
{
	KT_EQ(pulse_sup_stop(arg), -ETIMEDOUT);
	return NULL;
}

KT_TEST(a_stop_takes_five_seconds_at_most)
{
	struct toy a = { .id = "a", .deaf = true };
	int64_t ms = 1000;
	struct pulse_sup *sup;
	pthread_t t;

	PULSE_OPTS(pulse_sup_opts, o, .now = clock_of, .now_arg = &ms);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(add_quiet(sup, &a, PULSE_SHUTDOWN_INFINITY), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pthread_create(&t, NULL, stops_it, sup), 0);
	KT_CHECK(EVENTUALLY(status_of(sup, "a") == PULSE_CHILD_STOPPING));
	SET(ms, 5990);
	KT_EQ(pulse_sup_kick(sup), 0);
	nap_ms(20);
	KT_EQ(status_of(sup, "a"), PULSE_CHILD_STOPPING);
	SET(ms, 6010);
	KT_EQ(pulse_sup_kick(sup), 0);
	pthread_join(t, NULL);
	KT_EQ(stats_of(sup).kills, 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* ---- processes ------------------------------------------------------------------ */

/* Shared with the children. */
static struct { int starts; int asked; } *sh;

__attribute__((constructor)) static void share(void)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int waits(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(sh->starts);
	pulse_child_ready(self);
	if (!pulse_child_wait(self, PULSE_FOREVER))
		INC(sh->asked);
	return 6;
}

KT_TEST(a_process_is_asked_by_the_signal_that_its_spec_names)
{
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 5, .period_ms = 600000);
	PULSE_OPTS(pulse_child_spec, plain, .id = "plain", .fn = waits,
		   .kind = PULSE_CHILD_PROCESS, .stop_signal = SIGUSR2,
		   .flags = PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, caught, .id = "caught", .fn = waits,
		   .kind = PULSE_CHILD_PROCESS, .stop_signal = SIGHUP,
		   .flags = PULSE_CHILD_READY | PULSE_CHILD_CATCH_STOP);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	memset(sh, 0, sizeof(*sh));
	KT_EQ(pulse_sup_start_child(sup, &plain, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &caught, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	/* Another signal than that is a failure, from whoever. */
	KT_EQ(kill(info_of(sup, "plain").pid, SIGTERM), 0);
	KT_CHECK(EVENTUALLY(info_of(sup, "plain").incarnation == 2 &&
			    status_of(sup, "plain") == PULSE_CHILD_RUNNING));
	KT_EQ(info_of(sup, "plain").last_exit.kind, PULSE_EXIT_SIGNAL);
	KT_EQ(info_of(sup, "plain").last_exit.signal, SIGTERM);
	KT_EQ(pulse_sup_terminate_child(sup, "plain"), 0);
	KT_EQ(info_of(sup, "plain").last_exit.kind, PULSE_EXIT_SHUTDOWN);
	KT_EQ(info_of(sup, "plain").last_exit.signal, SIGUSR2);
	KT_EQ(GET(sh->asked), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "caught"), 0);
	KT_EQ(info_of(sup, "caught").last_exit.kind, PULSE_EXIT_CODE);
	KT_EQ(info_of(sup, "caught").last_exit.code, 6);
	KT_EQ(GET(sh->asked), 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int dumps_core(struct pulse_child *self, void *arg)
{
	struct rlimit lim;

	if (self && INC(sh->starts))
		return pulse_child_wait(self, PULSE_FOREVER);
	getrlimit(RLIMIT_CORE, &lim);
	lim.rlim_cur = lim.rlim_max < 65536 ? lim.rlim_max : 65536;
	setrlimit(RLIMIT_CORE, &lim);
	if (chdir(arg))
		return 1;
	signal(SIGQUIT, SIG_DFL);
	raise(SIGQUIT);
	return 2;
}

/* The same end of a child of ours says whether this system dumps cores at all. */
KT_TEST(a_core_that_was_dumped_is_told)
{
	char dir[] = "/tmp/pulse-core-XXXXXX", cmd[64], text[80];
	struct pulse_child_info i;
	struct pulse_sup *sup;
	int status = 0;
	bool dumps;
	pid_t pid;

	KT_REQUIRE(mkdtemp(dir));
	memset(sh, 0, sizeof(*sh));
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(dumps_core(NULL, dir));
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	dumps = WIFSIGNALED(status) && WCOREDUMP(status);
	kt_note("cores are %sdumped here", dumps ? "" : "not ");

	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = dumps_core,
		   .arg = dir, .kind = PULSE_CHILD_PROCESS);
	KT_REQUIRE(!pulse_sup_create(NULL, &sup));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) == 2 &&
			    status_of(sup, "p") == PULSE_CHILD_RUNNING));
	i = info_of(sup, "p");
	KT_EQ(i.last_exit.kind, PULSE_EXIT_SIGNAL);
	KT_EQ(i.last_exit.signal, SIGQUIT);
	KT_EQ(!!(i.last_exit.flags & PULSE_EXIT_CORE), dumps);
	KT_CHECK(pulse_exit_text(&i.last_exit, text, sizeof(text)) > 0);
	KT_STREQ(text, dumps ? "ended by SIGQUIT (core dumped)" :
		 "ended by SIGQUIT");
	KT_EQ(pulse_sup_destroy(sup), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	KT_EQ(system(cmd), 0);
}

KT_TEST(each_reason_has_its_words)
{
	static const struct {
		struct pulse_exit why;
		const char *text;
	} words[] = {
		{ { .kind = PULSE_EXIT_NONE }, "did not end" },
		{ { .kind = PULSE_EXIT_NORMAL }, "normal" },
		{ { .kind = PULSE_EXIT_SHUTDOWN }, "shutdown" },
		{ { .kind = PULSE_EXIT_SHUTDOWN, .flags = PULSE_EXIT_TOO_MANY },
		  "shutdown: too many restarts" },
		{ { .kind = PULSE_EXIT_SHUTDOWN, .flags = PULSE_EXIT_AUTO },
		  "shutdown: significant children ended" },
		{ { .kind = PULSE_EXIT_CODE, .code = 7 }, "ended with code 7" },
		{ { .kind = PULSE_EXIT_SIGNAL, .signal = SIGKILL },
		  "ended by SIGKILL" },
		{ { .kind = PULSE_EXIT_SIGNAL, .signal = SIGSEGV,
		    .flags = PULSE_EXIT_CORE },
		  "ended by SIGSEGV (core dumped)" },
		{ { .kind = PULSE_EXIT_SIGNAL, .signal = 40 },
		  "ended by signal 40" },
		{ { .kind = PULSE_EXIT_KILLED }, "ended by force" },
		{ { .kind = PULSE_EXIT_HANG }, "hung: no beat in its time" },
		{ { .kind = PULSE_EXIT_MEMORY }, "over its memory limit" },
		{ { .kind = PULSE_EXIT_HEALTH }, "health check failed" },
		{ { .kind = PULSE_EXIT_OOM }, "its cgroup ran out of memory" },
		{ { .kind = PULSE_EXIT_START, .code = -ENOENT }, NULL },
		{ { .kind = PULSE_EXIT_LOST }, "ended, nobody knows how" },
		{ { .kind = 77 }, "reason 77" },
	};
	char text[128], cut[5], want[128];

	snprintf(want, sizeof(want), "could not be started: %s",
		 pulse_strerror(-ENOENT));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *expected = words[i].text ? words[i].text : want;
		int n = pulse_exit_text(&words[i].why, text, sizeof(text));

		KT_STREQ(text, expected);
		KT_EQ(n, strlen(expected));
		KT_EQ(pulse_exit_text(&words[i].why, cut, sizeof(cut)), n);
		KT_CHECK(strlen(cut) == 4 && !strncmp(cut, expected, 4));
	}
	KT_EQ(pulse_exit_text(NULL, text, 1), -EINVAL);
	KT_EQ(pulse_exit_text(&words[0].why, text, 0), -EINVAL);
}

KT_TEST(each_kind_and_status_has_its_word)
{
	static const char *const kinds[] = { "thread", "process", "supervisor", "ops" };
	static const char *const how[] = {
		"stopped", "starting", "running", "stopping", "restarting",
	};

	for (int i = 0; i < 4; i++)
		KT_STREQ(pulse_child_kind_text(i), kinds[i]);
	for (int i = 0; i < 5; i++)
		KT_STREQ(pulse_child_status_text(i), how[i]);
	KT_STREQ(pulse_child_kind_text(PULSE_CHILD_PROCESS), "process");
	KT_STREQ(pulse_child_status_text(PULSE_CHILD_RESTARTING), "restarting");
	KT_STREQ(pulse_child_kind_text(4), "other");
	KT_STREQ(pulse_child_kind_text(-1), "other");
	KT_STREQ(pulse_child_status_text(5), "other");
	KT_STREQ(pulse_child_status_text(INT_MIN), "other");
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Applications: presets, pools with numbered names, the order of calls, the
 * service manager, signals.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pulse-u/mailbox.h>

#include "helpers.h"
#include "sup/sup_int.h"

static int running;

static int works(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(running);
	pulse_child_wait(self, PULSE_FOREVER);
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	return 0;
}

KT_TEST(presets_have_the_values_of_the_table)
{
	static const struct pulse_preset want[] = {
		[PULSE_PRESET_PRODUCTION] = { 0, 3, 60000, 5000, 30000, 1000, 0 },
		[PULSE_PRESET_DEVELOPMENT] = { 0, 10, 5000, 1000, 5000, 100, 1 },
		[PULSE_PRESET_HIGH_AVAILABILITY] = { 0, 5, 30000, 2000, 20000, 5000, 0 },
		[PULSE_PRESET_TESTING] = { 0, 1, 10000, 100, 1000, 50, 0 },
	};
	struct pulse_preset p = { .sz = sizeof(p) };
	struct pulse_app *app;

	for (int i = 0; i < 4; i++) {
		KT_EQ(pulse_preset_get(i, &p), 0);
		KT_EQ(p.max_restarts, want[i].max_restarts);
		KT_EQ(p.period_ms, want[i].period_ms);
		KT_EQ(p.health_interval_ms, want[i].health_interval_ms);
		KT_EQ(p.shutdown_ms, want[i].shutdown_ms);
		KT_EQ(p.mailbox_capacity, want[i].mailbox_capacity);
		KT_EQ(p.verbose, want[i].verbose);
		KT_EQ(pulse_app_create(i, &app), 0);
		KT_EQ(pulse_app_preset(app, &p), 0);
		KT_EQ(p.max_restarts, want[i].max_restarts);
		KT_EQ(pulse_app_shutdown(app), 0);
	}
	KT_EQ(pulse_preset_get(4, &p), -EINVAL);
	KT_EQ(pulse_preset_get(-1, &p), -EINVAL);
	KT_EQ(pulse_app_create(4, &app), -EINVAL);
	KT_CHECK(!app);
}

KT_TEST(workers_and_pools_with_numbered_names)
{
	struct pulse_child_info info[6] = { { .sz = sizeof(info[0]) } };
	struct pulse_app *app;

	KT_REQUIRE(!pulse_app_create(PULSE_PRESET_TESTING, &app));
	KT_EQ(pulse_app_worker(app, "service", works, NULL), 0);
	KT_EQ(pulse_app_worker(app, "service", works, NULL), -EEXIST);
	KT_EQ(pulse_app_worker_pool(app, "handlers", works, NULL, 4), 0);
	KT_EQ(pulse_app_worker_pool(app, "none", works, NULL, 0), -EINVAL);
	/* All or none: other_1 is there already. */
	KT_EQ(pulse_app_worker(app, "other_1", works, NULL), 0);
	KT_EQ(pulse_app_worker_pool(app, "other", works, NULL, 3), -EEXIST);
	KT_EQ(pulse_app_build(app), 0);
	KT_EQ(pulse_app_build(app), -EBUSY);
	KT_EQ(pulse_app_worker(app, "late", works, NULL), -EBUSY);
	KT_EQ(pulse_app_start(app), 0);
	KT_EQ(pulse_app_start(app), -EALREADY);
	KT_CHECK(EVENTUALLY(GET(running) == 6));
	KT_EQ(pulse_sup_which_children(pulse_app_supervisor(app), info, 6), 6);
	KT_STREQ(info[0].id, "service");
	KT_STREQ(info[1].id, "handlers_0");
	KT_STREQ(info[4].id, "handlers_3");
	KT_STREQ(info[5].id, "other_1");
	KT_EQ(pulse_app_stop(app), 0);
	KT_EQ(running, 0);
	KT_EQ(pulse_app_start(app), 0);
	KT_CHECK(EVENTUALLY(GET(running) == 6));
	KT_EQ(pulse_app_shutdown(app), 0);
	KT_EQ(running, 0);
	KT_EQ(pulse_app_shutdown(NULL), -EINVAL);
}

static char log_text[4096];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_log(int level, const char *line, void *arg)
{
	(void)arg;
	if (level != PULSE_LOG_INFO)
		return;
	pthread_mutex_lock(&log_lock);
	snprintf(log_text + strlen(log_text), sizeof(log_text) -
		 strlen(log_text), "%s\n", line);
	pthread_mutex_unlock(&log_lock);
}

static int fails_once(struct pulse_child *self, void *arg)
{
	if (pulse_child_incarnation(self) == 1)
		return 9;
	return works(self, arg);
}

/* Development tells each start and end in the log, the others tell nothing. */
KT_TEST(a_verbose_preset_tells_the_log)
{
	for (int preset = 0; preset < 4; preset++) {
		struct pulse_app *app;
		bool verbose = preset == PULSE_PRESET_DEVELOPMENT;

		log_text[0] = 0;
		running = 0;
		pulse_log_set_level(PULSE_LOG_INFO);
		KT_REQUIRE(!pulse_app_create(preset, &app));
		KT_EQ(pulse_app_worker(app, "w", fails_once, NULL), 0);
		pulse_log_set_sink(keep_log, NULL);
		KT_EQ(pulse_app_start(app), 0);
		KT_CHECK(EVENTUALLY(GET(running) == 1));
		KT_EQ(pulse_app_shutdown(app), 0);
		pulse_log_set_sink(NULL, NULL);
		KT_EQ(!!strstr(log_text, "app: w started\n"), verbose);
		KT_EQ(!!strstr(log_text, "app: w ended: ended with code 9\n"),
		      verbose);
		KT_EQ(!!strstr(log_text, "app: supervisor ended: shutdown\n"),
		      verbose);
	}
}

static int asked;

static bool asks(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	INC(asked);
	return true;
}

/* Of what a child's spec leaves open the preset decides. */
KT_TEST(a_child_has_the_presets_times_unless_it_names_its_own)
{
	static const struct { int32_t shutdown_ms; uint32_t health_ms; } own[] = {
		{ 0, 0 }, { 77, 300 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		PULSE_OPTS(pulse_child_spec, spec, .id = "w", .fn = works,
			   .health = asks, .shutdown_ms = own[i].shutdown_ms,
			   .health_interval_ms = own[i].health_ms,
			   .health_timeout_ms = 60000);
		struct pulse_app *app;
		struct pulse__entry *en;

		running = asked = 0;
		KT_REQUIRE(!pulse_app_create(PULSE_PRESET_TESTING, &app));
		KT_EQ(pulse_app_child(app, &spec), 0);
		KT_EQ(pulse_app_child(app, &spec), -EEXIST);
		KT_EQ(pulse_app_start(app), 0);
		KT_EQ(pulse_app_child(app, &spec), -EBUSY);
		KT_CHECK(EVENTUALLY(GET(asked) >= 3));
		en = pulse__entry_find(pulse_app_supervisor(app), "w");
		KT_EQ(en->spec->s.shutdown_ms,
		      own[i].shutdown_ms ? own[i].shutdown_ms : 1000);
		KT_EQ(en->spec->s.health_interval_ms,
		      own[i].health_ms ? own[i].health_ms : 100);
		KT_EQ(pulse_app_shutdown(app), 0);
	}
	KT_EQ(pulse_app_child(NULL, NULL), -EINVAL);
}

static int twice_told;

static void count_event(struct pulse_sup *sup, int event, const char *id,
			const struct pulse_exit *why, void *arg)
{
	(void)sup;
	(void)id;
	(void)why;
	if (event == PULSE_SUP_CHILD_STARTED)
		INC(*(int *)arg);
}

static int fails(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	return 1;
}

KT_TEST(options_stand_in_place_of_the_presets_values)
{
	/* Production bears three restarts; this one bears one. */
	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 1,
		   .on_event = count_event, .event_arg = &twice_told);
	struct pulse_app *app;
	struct pulse_exit why;

	KT_REQUIRE(!pulse_app_create_opts(PULSE_PRESET_PRODUCTION, &o, &app));
	KT_EQ(pulse_app_worker(app, "w", fails, NULL), 0);
	KT_EQ(pulse_app_start(app), 0);
	KT_EQ(pulse_sup_wait(pulse_app_supervisor(app), PULSE_FOREVER, &why), 0);
	KT_EQ(why.flags, PULSE_EXIT_TOO_MANY);
	KT_EQ(GET(twice_told), 2);
	KT_EQ(pulse_app_shutdown(app), -ENOTRECOVERABLE);
	o.strategy = 99;
	KT_EQ(pulse_app_create_opts(PULSE_PRESET_PRODUCTION, &o, &app), -EINVAL);
	KT_CHECK(!app);
	o.sz = 1;
	KT_EQ(pulse_app_create_opts(PULSE_PRESET_PRODUCTION, &o, &app), -EINVAL);
}

static int taken;

/* Knows nothing of stopping: its mailbox's end is its own. */
static int takes_all(struct pulse_child *self, void *arg)
{
	struct pulse_mailbox *mb = pulse_app_find_mailbox(arg, "work");
	struct pulse_message *msg;
	int err;

	(void)self;
	INC(running);
	while (!(err = pulse_mailbox_receive(mb, &msg))) {
		pulse_message_put(msg);
		INC(taken);
	}
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	return err == -ESHUTDOWN ? 0 : 1;
}

KT_TEST(mailboxes_are_as_large_as_the_preset_says)
{
	static const uint32_t want[] = { 1000, 100, 5000, 50 };

	for (int preset = 0; preset < 4; preset++) {
		PULSE_OPTS(pulse_mailbox_opts, o, .capacity = 3);
		struct pulse_mailbox *mb[2], *none;
		struct pulse_message *msg;
		struct pulse_app *app;
		char name[PULSE_APP_MAILBOX_NAME_MAX + 2];

		KT_REQUIRE(!pulse_app_create(preset, &app));
		KT_EQ(pulse_app_mailbox(app, "all", NULL, &mb[0]), 0);
		KT_EQ(pulse_app_mailbox(app, "few", &o, &mb[1]), 0);
		KT_EQ(pulse_app_mailbox(app, "few", &o, &none), -EEXIST);
		KT_CHECK(!none);
		for (int i = 0; i < 2; i++) {
			uint32_t n = 0;

			KT_REQUIRE(!pulse_message_create(NULL, &msg));
			while (!pulse_mailbox_send(mb[i], msg)) {
				n++;
				KT_REQUIRE(!pulse_message_create(NULL, &msg));
			}
			pulse_message_put(msg);
			KT_EQ(n, i ? 3 : want[preset]);
		}
		KT_CHECK(pulse_app_find_mailbox(app, "all") == mb[0]);
		KT_CHECK(!pulse_app_find_mailbox(app, "none"));
		KT_CHECK(!pulse_app_find_mailbox(NULL, "all"));
		KT_EQ(pulse_app_mailbox(app, "", NULL, &none), -EINVAL);
		KT_EQ(pulse_app_mailbox(app, "x", NULL, NULL), -EINVAL);
		KT_EQ(pulse_app_mailbox(NULL, "x", NULL, &none), -EINVAL);
		memset(name, 'n', sizeof(name));
		name[sizeof(name) - 1] = 0;
		KT_EQ(pulse_app_mailbox(app, name, NULL, &none), -EINVAL);
		name[sizeof(name) - 2] = 0;
		KT_EQ(pulse_app_mailbox(app, name, NULL, &none), 0);
		o.overflow = 9;
		KT_EQ(pulse_app_mailbox(app, "bad", &o, &none), -EINVAL);
		for (long n = 1; n < 20; n++) {
			int err;

			pulse__alloc_fail_at(n);
			err = pulse_app_mailbox(app, "memory", NULL, &none);
			if (!pulse__alloc_failed()) {
				pulse__alloc_fail_at(0);
				KT_EQ(err, 0);
				break;
			}
			KT_EQ(err, -ENOMEM);
			KT_CHECK(!pulse_app_find_mailbox(app, "memory"));
		}
		KT_EQ(pulse_app_shutdown(app), 0);
	}
}

KT_TEST(who_waits_in_a_mailbox_ends_with_the_application_and_loses_nothing)
{
	struct pulse_sup_stats s = { .sz = sizeof(s) };
	struct pulse_mailbox *mb;
	struct pulse_message *msg;
	struct pulse_app *app;
	uint32_t how;

	running = taken = 0;
	KT_REQUIRE(!pulse_app_create(PULSE_PRESET_PRODUCTION, &app));
	KT_EQ(pulse_app_mailbox(app, "work", NULL, &mb), 0);
	KT_EQ(pulse_app_worker_pool(app, "taker", takes_all, app, 3), 0);
	for (int round = 1; round <= 2; round++) {
		KT_EQ(pulse_app_start(app), 0);
		KT_CHECK(EVENTUALLY(GET(running) == 3));
		for (int i = 0; i < 500; i++) {
			KT_REQUIRE(!pulse_message_create(NULL, &msg));
			KT_EQ(pulse_mailbox_send(mb, msg), 0);
		}
		/* They end by themselves, long before force would come. */
		KT_EQ(pulse_app_stop(app), 0);
		KT_EQ(GET(running), 0);
		KT_EQ(GET(taken), 500 * round);
		KT_EQ(pulse_mailbox_closed(mb), 1);
		how = info_of(pulse_app_supervisor(app), "taker_2").last_exit.kind;
		KT_CHECK(how == PULSE_EXIT_SHUTDOWN || how == PULSE_EXIT_NORMAL);
		/* Nobody was started again for it, nor ended by force. */
		KT_EQ(pulse_sup_stats(pulse_app_supervisor(app), &s), 0);
		KT_EQ(s.total_restarts, 0);
		KT_EQ(s.kills, 0);
	}
	KT_EQ(pulse_app_shutdown(app), 0);
}

static bool hears(int fd, const char *want)
{
	char text[64] = "";

	return recv(fd, text, sizeof(text) - 1, 0) > 0 && !strcmp(text, want);
}

KT_TEST(the_service_manager_is_told)
{
	for (int abstract = 0; abstract < 2; abstract++) {
		struct sockaddr_un at = { .sun_family = AF_UNIX };
		socklen_t bytes = sizeof(at);
		int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		char name[64];
		struct pulse_app *app;

		snprintf(name, sizeof(name), "%s/tmp/pulse-notify-%d",
			 abstract ? "@" : "", getpid());
		strcpy(at.sun_path, name);
		if (abstract) {
			at.sun_path[0] = 0;
			bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					    strlen(name));
		}
		KT_REQUIRE(!bind(fd, (struct sockaddr *)&at, bytes));
		setenv("NOTIFY_SOCKET", name, 1);
		KT_REQUIRE(!pulse_app_create(PULSE_PRESET_TESTING, &app));
		KT_EQ(pulse_app_worker(app, "w", works, NULL), 0);
		KT_EQ(pulse_app_start(app), 0);
		KT_CHECK(hears(fd, "READY=1"));
		KT_EQ(pulse_app_notify("STATUS=fine"), 1);
		KT_CHECK(hears(fd, "STATUS=fine"));
		KT_EQ(pulse_app_shutdown(app), 0);
		KT_CHECK(hears(fd, "STOPPING=1"));
		close(fd);
		KT_EQ(pulse_app_notify("X=1"), -ECONNREFUSED);
		if (!abstract)
			unlink(name);
		setenv("NOTIFY_SOCKET", "relative", 1);
		KT_EQ(pulse_app_notify("X=1"), -EINVAL);
		unsetenv("NOTIFY_SOCKET");
	}
	KT_EQ(pulse_app_notify("READY=1"), 0);
	KT_EQ(pulse_app_notify(""), -EINVAL);
	KT_EQ(pulse_app_notify(NULL), -EINVAL);
}

static int up[2];

static int says_it_is_up(struct pulse_child *self, void *arg)
{
	if (write(up[1], "", 1) != 1)
		return 1;
	return works(self, arg);
}

static int runs_until_told(int sig)
{
	struct pulse_app *app;
	int err;

	if (pulse_app_create(PULSE_PRESET_TESTING, &app) ||
	    pulse_app_worker(app, "w", sig ? says_it_is_up : fails, NULL))
		return 1;
	err = pulse_app_run(app);
	if (err != (sig ? 0 : -ENOTRECOVERABLE))
		return 2;
	err = pulse_app_shutdown(app);
	return running ? 3 : 0;
}

KT_TEST(run_ends_with_a_signal_or_with_the_supervisor)
{
	static const int sigs[] = { SIGTERM, SIGINT, 0 };

	for (int i = 0; i < 3; i++) {
		int status = -1;
		pid_t pid;
		char c;

		KT_REQUIRE(!pipe(up));
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(runs_until_told(sigs[i]));
		KT_REQUIRE(pid > 0);
		if (sigs[i]) {
			KT_EQ(read(up[0], &c, 1), 1);
			KT_EQ(kill(pid, sigs[i]), 0);
		}
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_CHECKF(!status, "status %#x", status);
		close(up[0]);
		close(up[1]);
	}
}

/* WatchdogSec= of systemd: told while all is well, to that process alone. */
KT_TEST(the_service_manager_hears_that_it_is_alive)
{
	for (int other = 0; other < 2; other++) {
		struct sockaddr_un at = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct timeval patience = { .tv_sec = other ? 1 : 30 };
		int status = -1, told = 0;
		char name[64], text[64];
		pid_t pid;
		char c;

		snprintf(name, sizeof(name), "@pulse-alive-%d", getpid());
		strcpy(at.sun_path, name);
		at.sun_path[0] = 0;
		KT_REQUIRE(!bind(fd, (struct sockaddr *)&at, (socklen_t)
				 (offsetof(struct sockaddr_un, sun_path) +
				  strlen(name))));
		KT_REQUIRE(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				       sizeof(patience)));
		KT_REQUIRE(!pipe(up));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			char self[24];

			snprintf(self, sizeof(self), "%d", getpid() + other);
			setenv("NOTIFY_SOCKET", name, 1);
			setenv("WATCHDOG_USEC", "20000", 1);
			setenv("WATCHDOG_PID", self, 1);
			_exit(runs_until_told(SIGTERM));
		}
		KT_REQUIRE(pid > 0);
		KT_EQ(read(up[0], &c, 1), 1);
		KT_CHECK(hears(fd, "READY=1"));
		for (;;) {
			ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

			if (n <= 0)
				break;
			text[n] = 0;
			KT_STREQ(text, "WATCHDOG=1");
			if (++told == 5)
				break;
		}
		KT_EQ(told, other ? 0 : 5);
		KT_EQ(kill(pid, SIGTERM), 0);
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_CHECKF(!status, "status %#x", status);
		close(up[0]);
		close(up[1]);
		close(fd);
	}
}

KT_MAIN()

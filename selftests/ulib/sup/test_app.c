// SPDX-License-Identifier: GPL-2.0-only
/*
 * Applications: presets, pools with numbered names, the order of calls, the
 * service manager, signals.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "helpers.h"

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

static int fails(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	return 1;
}

static int runs_until_told(int sig)
{
	struct pulse_app *app;
	int err;

	if (pulse_app_create(PULSE_PRESET_TESTING, &app) ||
	    pulse_app_worker(app, "w", sig ? works : fails, NULL))
		return 1;
	if (sig)
		kill(getpid(), 0);
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

		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(runs_until_told(sigs[i]));
		nap_ms(300);
		for (int k = 0; sigs[i] && k < 1; k++)
			kill(pid, sigs[i]);
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_CHECKF(WIFEXITED(status) || WTERMSIG(status) == sigs[i],
			  "status %#x", status);
		if (WIFEXITED(status))
			KT_EQ(WEXITSTATUS(status), 0);
	}
}

KT_MAIN()

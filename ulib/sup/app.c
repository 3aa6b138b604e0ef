// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * app.c - applications: a supervisor, a preset, and the order of the calls.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "sup/app_int.h"

#define PRESET_VER0	pulse__size_to(struct pulse_preset, verbose)
#define SPEC_VER0	pulse__size_to(struct pulse_child_spec, state_free)
#define OPTS_VER0	pulse__size_to(struct pulse_sup_opts, reserved)
#define APP_MAGIC	0x50504150U	/* "PAPP" */
#define MAX_POOL	4096U
#define SLICE_NS	(100 * PULSE__NSEC_PER_MSEC)

static const struct pulse_preset presets[] = {
	[PULSE_PRESET_PRODUCTION] = { sizeof(struct pulse_preset),
		3, 60000, 5000, 30000, 1000, 0 },
	[PULSE_PRESET_DEVELOPMENT] = { sizeof(struct pulse_preset),
		10, 5000, 1000, 5000, 100, 1 },
	[PULSE_PRESET_HIGH_AVAILABILITY] = { sizeof(struct pulse_preset),
		5, 30000, 2000, 20000, 5000, 0 },
	[PULSE_PRESET_TESTING] = { sizeof(struct pulse_preset),
		1, 10000, 100, 1000, 50, 0 },
};

int pulse_preset_get(int kind, struct pulse_preset *out)
{
	int err = pulse__out_check(out, PRESET_VER0);

	if (err)
		return err;
	if (kind < 0 || (size_t)kind >= ARRAY_SIZE(presets))
		return -EINVAL;
	pulse__out_store(out, &presets[kind], sizeof(presets[kind]));
	return 0;
}

static void tell_log(struct pulse_sup *sup, int event, const char *id,
		     const struct pulse_exit *why, void *arg)
{
	static const char *const what[] = {
		[PULSE_SUP_CHILD_STARTED] = "started",
		[PULSE_SUP_CHILD_ENDED] = "ended",
		[PULSE_SUP_CHILD_START_FAILED] = "failed to start",
		[PULSE_SUP_CHILD_DELAYED] = "will be restarted later",
		[PULSE_SUP_CHILD_KILLED] = "does not end: using force",
		[PULSE_SUP_CHILD_ABANDONED] = "does not end by force",
		[PULSE_SUP_ENDED] = "supervisor ended",
	};
	char text[96] = "";

	(void)sup;
	(void)arg;
	if (why)
		pulse_exit_text(why, text, sizeof(text));
	pulse_log(PULSE_LOG_INFO, "app: %s%s%s%s%s", id ? id : "",
		  id ? " " : "", what[event], *text ? ": " : "", text);
}

int pulse_app_create_opts(int preset, const struct pulse_sup_opts *opts,
			  struct pulse_app **out)
{
	struct pulse_sup_opts o;
	struct pulse_app *app;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (preset < 0 || (size_t)preset >= ARRAY_SIZE(presets)) {
		pulse_log(PULSE_LOG_ERROR, "app: preset is %d; use a PULSE_PRESET_*",
			  preset);
		return -EINVAL;
	}
	err = pulse__opts_load(&o, sizeof(o), OPTS_VER0, opts);
	if (err)
		return err;
	app = pulse__calloc(1, sizeof(*app));
	if (!app)
		return -ENOMEM;
	app->magic = APP_MAGIC;
	app->preset = presets[preset];
	pthread_mutex_init(&app->box_lock, NULL);
	pulse__list_init(&app->boxes);
	if (!o.name)
		o.name = "app";
	if (!o.max_restarts)
		o.max_restarts = app->preset.max_restarts;
	if (!o.period_ms)
		o.period_ms = app->preset.period_ms;
	if (!o.on_event && app->preset.verbose)
		o.on_event = tell_log;
	err = pulse_sup_create(&o, &app->sup);
	if (err) {
		pthread_mutex_destroy(&app->box_lock);
		pulse__free(app);
		return err;
	}
	*out = app;
	return 0;
}

int pulse_app_create(int preset, struct pulse_app **out)
{
	return pulse_app_create_opts(preset, NULL, out);
}

int pulse_app_child(struct pulse_app *app, const struct pulse_child_spec *spec)
{
	struct pulse_child_spec s;
	int err;

	if (!app || !spec)
		return -EINVAL;
	if (app->built)
		return -EBUSY;
	err = pulse__opts_load(&s, sizeof(s), SPEC_VER0, spec);
	if (err)
		return err;
	if (!s.shutdown_ms && s.kind != PULSE_CHILD_SUPERVISOR)
		s.shutdown_ms = app->preset.shutdown_ms;
	if (!s.health_interval_ms)
		s.health_interval_ms = app->preset.health_interval_ms;
	return pulse_sup_start_child(app->sup, &s, NULL);
}

int pulse_app_worker(struct pulse_app *app, const char *id, pulse_child_fn fn,
		     void *arg)
{
	struct pulse_child_spec s = { .sz = sizeof(s), .id = id, .fn = fn,
				      .arg = arg };

	return pulse_app_child(app, &s);
}

int pulse_app_worker_pool(struct pulse_app *app, const char *prefix,
			  pulse_child_fn fn, void *arg, unsigned int count)
{
	char id[256];
	int err = 0;

	if (!app || !prefix)
		return -EINVAL;
	if (!count || count > MAX_POOL) {
		pulse_log(PULSE_LOG_ERROR, "app: a pool of %u workers; use 1 to %u",
			  count, MAX_POOL);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < count; i++) {
		if (snprintf(id, sizeof(id), "%s_%u", prefix, i) >=
		    (int)sizeof(id))
			err = -EINVAL;
		if (!err)
			err = pulse_app_worker(app, id, fn, arg);
		if (!err)
			continue;
		while (i--)
			pulse__sup_forget_last(app->sup);
		return err;
	}
	return 0;
}

int pulse_app_build(struct pulse_app *app)
{
	if (!app)
		return -EINVAL;
	if (app->built)
		return -EBUSY;
	app->built = true;
	return 0;
}

int pulse_app_start(struct pulse_app *app)
{
	int err;

	if (!app)
		return -EINVAL;
	app->built = true;
	pulse__app_boxes_open(app);
	err = pulse_sup_start(app->sup);
	if (!err)
		pulse_app_notify("READY=1");
	return err;
}

int pulse_app_stop(struct pulse_app *app)
{
	bool watched;
	int err;

	if (!app)
		return -EINVAL;
	/* Who may not stop it does nothing else to it either. */
	err = pulse_sup_wait(app->sup, 0, NULL);
	if (err == -EDEADLK || err == -EOWNERDEAD)
		return err;
	pulse_app_notify("STOPPING=1");
	/* Who ends because its mailbox does is not to be started again. */
	watched = !pulse_sup_stop_monitoring(app->sup);
	pulse__app_boxes_close(app);
	err = pulse_sup_shutdown(app->sup, app->preset.shutdown_ms);
	if (watched)
		pulse_sup_start_monitoring(app->sup);
	return err;
}

int pulse_app_run(struct pulse_app *app)
{
	int64_t alive_ns = pulse__watchdog_ns(), next = 0;
	struct pulse_sup_stats s = { .sz = sizeof(s) };
	struct timespec slice;
	sigset_t mine;
	int err, stopped;

	if (!app)
		return -EINVAL;
	sigemptyset(&mine);
	sigaddset(&mine, SIGTERM);
	sigaddset(&mine, SIGINT);
	pthread_sigmask(SIG_BLOCK, &mine, NULL);
	err = pulse_app_start(app);
	if (err)
		return err;
	pulse__ns_to_timespec(alive_ns && alive_ns < SLICE_NS ? alive_ns :
			      SLICE_NS, &slice);
	do {
		/* Told by a supervisor that answers, and not otherwise. */
		if (alive_ns && pulse_now_ns() >= next &&
		    !pulse_sup_stats(app->sup, &s)) {
			pulse_app_notify("WATCHDOG=1");
			next = pulse_now_ns() + alive_ns;
		}
		if (sigtimedwait(&mine, NULL, &slice) > 0)
			break;
		err = pulse_sup_wait(app->sup, 0, NULL);
	} while (err == -ETIMEDOUT);
	stopped = pulse_app_stop(app);
	return err && err != -ETIMEDOUT ? err : stopped;
}

int pulse_app_shutdown(struct pulse_app *app)
{
	int err;

	if (!app)
		return -EINVAL;
	pulse__obj_check(app, APP_MAGIC, "pulse_app_shutdown");
	err = pulse_app_stop(app);
	if (err == -EDEADLK)
		return err;
	pulse_sup_destroy(app->sup);
	pulse__app_boxes_free(app);
	app->magic = PULSE__MAGIC_DEAD;
	pulse__free(app);
	return err;
}

struct pulse_sup *pulse_app_supervisor(struct pulse_app *app)
{
	return app ? app->sup : NULL;
}

int pulse_app_preset(const struct pulse_app *app, struct pulse_preset *out)
{
	int err = app ? pulse__out_check(out, PRESET_VER0) : -EINVAL;

	if (!err)
		pulse__out_store(out, &app->preset, sizeof(app->preset));
	return err;
}

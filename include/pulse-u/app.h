/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * app.h - a whole application: workers under one supervisor, with defaults for
 * where it runs.
 *
 *	struct pulse_app *app;
 *
 *	pulse_app_create(PULSE_PRESET_PRODUCTION, &app);
 *	pulse_app_worker(app, "service", service, NULL);
 *	pulse_app_worker_pool(app, "handlers", handler, NULL, 4);
 *	err = pulse_app_run(app);	// until SIGTERM or SIGINT
 *	pulse_app_shutdown(app);
 *
 * One thread builds, starts and ends an application; queries of its supervisor
 * may come from any.
 */
#ifndef PULSE_U_APP_H
#define PULSE_U_APP_H

#include <pulse-u/mailbox.h>
#include <pulse-u/supervisor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_app;

enum pulse_preset_kind {
	PULSE_PRESET_PRODUCTION = 0,	/* few restarts, long timeouts */
	PULSE_PRESET_DEVELOPMENT = 1,	/* many quick restarts, all told in the log */
	PULSE_PRESET_HIGH_AVAILABILITY = 2, /* uptime first */
	PULSE_PRESET_TESTING = 3,	/* one restart, quick health checks */
};

/**
 * struct pulse_preset - what a preset sets
 * @sz: sizeof(struct pulse_preset), set by the caller
 * @max_restarts: of the supervisor
 * @period_ms: of the supervisor
 * @health_interval_ms: of each worker
 * @shutdown_ms: for each worker to end, and for the application
 * @mailbox_capacity: of the application's mailboxes, see pulse_app_mailbox()
 * @verbose: 1: each start and end is told in the log
 *
 * preset                max_restarts  period  health  shutdown  mailbox
 * production                       3    60 s     5 s      30 s     1000
 * development                     10     5 s     1 s       5 s      100
 * high availability                5    30 s     2 s      20 s     5000
 * testing                          1    10 s   0.1 s       1 s       50
 */
struct pulse_preset {
	size_t sz;
	int32_t max_restarts;
	uint32_t period_ms;
	uint32_t health_interval_ms;
	int32_t shutdown_ms;
	uint32_t mailbox_capacity;
	uint32_t verbose;
};

/**
 * pulse_preset_get() - the values of a preset
 * @kind: enum pulse_preset_kind
 * @out: its sz must be set
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_preset_get(int kind, struct pulse_preset *out);

/**
 * pulse_app_create() - make an application
 * @preset: enum pulse_preset_kind
 * @out: the application
 *
 * Its supervisor is one_for_one.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_app_create(int preset, struct pulse_app **out);

/**
 * pulse_app_create_opts() - make an application of other values
 * @preset: enum pulse_preset_kind
 * @opts: of the supervisor; fields that are 0 are the preset's; or NULL
 * @out: the application
 *
 * Return: as pulse_app_create(); -E2BIG.
 */
PULSE_API int pulse_app_create_opts(int preset,
				    const struct pulse_sup_opts *opts,
				    struct pulse_app **out);

/**
 * pulse_app_worker() - add a thread, permanent
 * @app: not built yet
 * @id: its name; copied
 * @fn: what it runs
 * @arg: for @fn
 *
 * Return: 0; -EINVAL; -EEXIST; -ENOMEM; -EBUSY it is built already.
 */
PULSE_API int pulse_app_worker(struct pulse_app *app, const char *id,
			       pulse_child_fn fn, void *arg);

/**
 * pulse_app_worker_pool() - add equal threads, named @prefix _0, @prefix _1, ...
 * @app: not built yet
 * @prefix: of their names; copied
 * @fn: what each runs
 * @arg: for @fn
 * @count: how many, 1 to 4096
 *
 * All of them or, where it fails, none.
 *
 * Return: as pulse_app_worker().
 */
PULSE_API int pulse_app_worker_pool(struct pulse_app *app, const char *prefix,
				    pulse_child_fn fn, void *arg,
				    unsigned int count);

/**
 * pulse_app_child() - add any child
 * @app: not built yet
 * @spec: the child; shutdown_ms and health_interval_ms that are 0 are the preset's
 *
 * Return: as pulse_app_worker(); -E2BIG.
 */
PULSE_API int pulse_app_child(struct pulse_app *app,
			      const struct pulse_child_spec *spec);

/* Longest name of a mailbox of an application, in bytes. */
#define PULSE_APP_MAILBOX_NAME_MAX	255

/**
 * pulse_app_mailbox() - make a mailbox of the application's
 * @app: built or not, running or not
 * @name: unique among them, 1 to PULSE_APP_MAILBOX_NAME_MAX bytes; copied
 * @opts: or NULL; a capacity of 0 is the preset's
 * @out: the mailbox, which stays the application's
 *
 * When the application stops it is closed first, so that children who wait in
 * it get what is in it, then -ESHUTDOWN, and end. The next start opens it again.
 * It goes with pulse_app_shutdown().
 *
 * Return: 0; -EINVAL; -EEXIST; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_app_mailbox(struct pulse_app *app, const char *name,
				const struct pulse_mailbox_opts *opts,
				struct pulse_mailbox **out);

/**
 * pulse_app_find_mailbox() - a mailbox by its name
 * @app: the application
 * @name: of pulse_app_mailbox()
 *
 * From any thread.
 *
 * Return: the mailbox, which stays the application's; NULL there is none.
 */
PULSE_API struct pulse_mailbox *
pulse_app_find_mailbox(struct pulse_app *app, const char *name);

/**
 * pulse_app_build() - that was all of it
 * @app: the application
 *
 * Return: 0; -EINVAL; -EBUSY it is built already; what a child's spec was
 * refused for.
 */
PULSE_API int pulse_app_build(struct pulse_app *app);

/**
 * pulse_app_start() - start all children, in order
 * @app: built; else it is built now
 *
 * Tells the service manager READY=1, see pulse_app_notify().
 *
 * Return: as pulse_sup_start().
 */
PULSE_API int pulse_app_start(struct pulse_app *app);

/**
 * pulse_app_stop() - stop all children in reverse order, in the preset's time
 * @app: the application
 *
 * May be started again. Tells the service manager STOPPING=1.
 *
 * Return: as pulse_sup_shutdown().
 */
PULSE_API int pulse_app_stop(struct pulse_app *app);

/**
 * pulse_app_run() - start, wait for SIGTERM, SIGINT or the end, stop
 * @app: the application
 *
 * The two signals are blocked in the calling thread and those it makes from
 * here on, and taken here. To be called by the first thread, before others.
 * Where the environment has WATCHDOG_USEC (WatchdogSec= of systemd), the service
 * manager is told WATCHDOG=1 twice in that time, as long as the supervisor
 * answers.
 *
 * Return: 0 a signal came, and all stopped in time; as pulse_app_start();
 * as pulse_app_stop().
 */
PULSE_API int pulse_app_run(struct pulse_app *app);

/**
 * pulse_app_shutdown() - stop and free
 * @app: the application
 *
 * Return: as pulse_app_stop(); it is freed in any case but -EINVAL, -EDEADLK.
 */
PULSE_API int pulse_app_shutdown(struct pulse_app *app);

/**
 * pulse_app_supervisor() - the supervisor of an application
 * @app: the application
 *
 * Return: the supervisor, which stays the application's; NULL for NULL.
 */
PULSE_API struct pulse_sup *pulse_app_supervisor(struct pulse_app *app);

/**
 * pulse_app_preset() - the values of the application's preset
 * @app: the application
 * @out: its sz must be set
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_app_preset(const struct pulse_app *app,
			       struct pulse_preset *out);

/**
 * pulse_app_notify() - tell the service manager something, as sd_notify(3)
 * @state: "READY=1", "STATUS=...", lines divided by newlines
 *
 * Goes to the datagram socket that the environment names in NOTIFY_SOCKET, as
 * systemd sets it.
 *
 * Return: 1 told; 0 there is nobody to tell; -EINVAL; why the socket refused.
 */
PULSE_API int pulse_app_notify(const char *state);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_APP_H */

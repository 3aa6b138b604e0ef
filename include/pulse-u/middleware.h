/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * middleware.h - links that many chains need: a log, figures, and one behind which
 * a handler that goes wrong does not end the program.
 *
 *	pulse_middleware_log(NULL, &log);
 *	pulse_middleware_recover(NULL, &recover);
 *	PULSE_OPTS(pulse_chain_opts, o, .handler = handle);
 *	pulse_chain_create(&o, &chain);
 *	pulse_chain_use(chain, &log, NULL);
 *	pulse_chain_use(chain, &recover, NULL);
 *	...
 *	static void on_message(conn, opcode, data, len, arg)
 *	{
 *		pulse_ws_chain_run(chain, conn, opcode, data, len);
 *	}
 *
 * Each makes a link that is used once: given to pulse_chain_use(), _set(), or
 * pulse_ws_router_use(), or given up by calling its release with its arg.
 *
 * The one that recovers stands next to the handler, so that those before it see
 * how it went.
 */
#ifndef PULSE_U_MIDDLEWARE_H
#define PULSE_U_MIDDLEWARE_H

#include <pulse-u/base.h>
#include <pulse-u/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_metrics;
struct pulse_series;

/* What the events of a chain are, as these links tell of them. */
enum pulse_middleware_events {
	PULSE_EVENTS_ANY = 0,		/* by the number of their type */
	PULSE_EVENTS_MESSAGES = 1,	/* of pulse_ws_chain_run() */
	PULSE_EVENTS_VISITS = 2,	/* of a router's groups, ws_route.h */
};

/**
 * struct pulse_middleware_log_opts - options of pulse_middleware_log()
 * @sz: sizeof(struct pulse_middleware_log_opts)
 * @name: of the link, as long as that is used; default "log"
 * @chain: what its lines begin with; copied; default "chain"
 * @events: enum pulse_middleware_events
 * @level: enum pulse_log_level from PULSE_LOG_WARN on; default PULSE_LOG_INFO. What
 *	failed is logged as PULSE_LOG_WARN
 * @slow_ns: what took less and did not fail is not logged; default 0: all is
 */
struct pulse_middleware_log_opts {
	size_t sz;
	const char *name;
	const char *chain;
	int events;
	int level;
	int64_t slow_ns;
};

/**
 * pulse_middleware_log() - a link that logs each event, how it went, how long it took
 * @opts: or NULL for the defaults
 * @out: the link
 *
 * "rooms: GET /rooms/red (/rooms/:room) of 127.0.0.1:5123: 0, 12 us"; of messages
 * the opcode and the length, never the data.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int
pulse_middleware_log(const struct pulse_middleware_log_opts *opts,
		     struct pulse_link *out);

/**
 * struct pulse_middleware_metrics_opts - options of pulse_middleware_metrics()
 * @sz: sizeof(struct pulse_middleware_metrics_opts)
 * @name: of the link, as long as that is used; default "metrics"
 * @metrics: where they are shown; outlives the link
 * @chain: value of the label "chain"; copied; default "chain"
 * @events: enum pulse_middleware_events
 * @reserved: 0
 */
struct pulse_middleware_metrics_opts {
	size_t sz;
	const char *name;
	struct pulse_metrics *metrics;
	const char *chain;
	int events;
	uint32_t reserved;
};

/**
 * pulse_middleware_metrics() - a link that counts events and how long they take
 * @opts: the metrics at least
 * @out: the link
 *
 * pulse_handled_total with the labels "chain", "what" and "result", and
 * pulse_handler_seconds, a histogram, with the first two. "what" is "text", "binary"
 * or "other" of messages, the route of visits ("-" where none fits), else "event";
 * "result" is "ok" or "failed", of visits that were refused "3xx" to "5xx".
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -EEXIST there are other families of
 * these names; -EILSEQ, -EMSGSIZE, -ENOSPC as pulse_metric_series(); -ENOMEM.
 */
PULSE_API int
pulse_middleware_metrics(const struct pulse_middleware_metrics_opts *opts,
			 struct pulse_link *out);

/**
 * struct pulse_middleware_recover_opts - options of pulse_middleware_recover()
 * @sz: sizeof(struct pulse_middleware_recover_opts)
 * @name: of the link, as long as that is used; default "recover"
 * @on_failure: told of each that failed, by the thread that ran it; or NULL
 * @arg: for @on_failure
 * @failures: a counter that counts them, or NULL
 */
struct pulse_middleware_recover_opts {
	size_t sz;
	const char *name;
	void (*on_failure)(struct pulse_chain_event *event, int err, void *arg);
	void *arg;
	struct pulse_series *failures;
};

/**
 * pulse_middleware_recover() - a link behind which a failure is that of its event
 * @opts: or NULL for the defaults
 * @out: the link
 *
 * The rest of the chain runs in pulse_task_contain() (task.h, which says what that
 * cannot do): pulse_task_fail() and fatal signals become the event's error. So a
 * message whose handler goes wrong closes its connection with 1011, a visit gets
 * 500, and the others are served as before.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int
pulse_middleware_recover(const struct pulse_middleware_recover_opts *opts,
			 struct pulse_link *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MIDDLEWARE_H */

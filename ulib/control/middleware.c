// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * middleware.c - links that log, count and recover.
 *
 * Nothing here is changed once a link is made, so that threads run it without a
 * lock; but for series of routes, which the registry looks up under its own.
 */
#include "base/base.h"

#include <pulse-u/metrics.h>
#include <pulse-u/middleware.h>
#include <pulse-u/task.h>
#include <pulse-u/transport.h>
#include <pulse-u/ws_route.h>

#include <stdio.h>

static bool events_ok(int events)
{
	return events >= PULSE_EVENTS_ANY && events <= PULSE_EVENTS_VISITS;
}

static void make(struct pulse_link *out, const char *name,
		 pulse_middleware_fn fn, void *arg, void (*release)(void *arg))
{
	*out = (struct pulse_link){ .sz = sizeof(*out), .name = name, .fn = fn,
				    .arg = arg, .release = release };
}

/* "text", "binary"; another opcode, or a number that is none. */
static const char *opcode_name(int type)
{
	return type == PULSE_WS_TEXT ? "text" :
	       type == PULSE_WS_BINARY ? "binary" : "other";
}

/* NULL: it is none, or a link made an event of its own of it. */
static const struct pulse_ws_visit *visit_of(int events,
					     const struct pulse_chain_event *event)
{
	return events == PULSE_EVENTS_VISITS ? event->reply : NULL;
}

/* ---- log ------------------------------------------------------------------ */

struct log {
	int events, level;
	int64_t slow_ns;
	char chain[];
};

static void describe(const struct log *log,
		     const struct pulse_chain_event *event, char *buf, size_t len)
{
	const struct pulse_ws_visit *visit = visit_of(log->events, event);
	char peer[PULSE_ADDRESS_MAX];

	if (visit) {
		if (pulse_ws_conn_address(event->source, peer, sizeof(peer)))
			strcpy(peer, "?");
		snprintf(buf, len, "%s %.200s (%.100s) of %s",
			 pulse_ws_request_method(visit->request),
			 pulse_ws_request_path(visit->request),
			 visit->route ? visit->route : "-", peer);
	} else if (log->events == PULSE_EVENTS_MESSAGES) {
		snprintf(buf, len, "%s of %zu bytes", opcode_name(event->type),
			 event->len);
	} else {
		snprintf(buf, len, "event %d of %zu bytes", event->type,
			 event->len);
	}
}

static int run_log(struct pulse_chain_event *event, const struct pulse_next *next,
		   void *arg)
{
	const struct log *log = arg;
	int64_t begin = pulse_now_ns(), took;
	char what[512];
	int ret;

	/* Those behind may change the event. */
	describe(log, event, what, sizeof(what));
	ret = pulse_next_run(next, event);
	took = pulse_now_ns() - begin;
	if (ret < 0)
		pulse_log(PULSE_LOG_WARN, "%s: %s: %s, %lld us", log->chain,
			  what, pulse_strerror(ret), (long long)(took / 1000));
	else if (took >= log->slow_ns)
		pulse_log(log->level, "%s: %s: %d, %lld us", log->chain, what,
			  ret, (long long)(took / 1000));
	return ret;
}

int pulse_middleware_log(const struct pulse_middleware_log_opts *opts,
			 struct pulse_link *out)
{
	struct pulse_middleware_log_opts o;
	struct log *log;
	int err;

	if (!out)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), slow_ns),
			       opts);
	if (err)
		return err;
	if (!events_ok(o.events) || o.slow_ns < 0 || o.level < PULSE_LOG_ERROR ||
	    o.level > PULSE_LOG_DEBUG)
		return -EINVAL;
	if (!o.chain)
		o.chain = "chain";
	log = pulse__malloc(sizeof(*log) + strlen(o.chain) + 1);
	if (!log)
		return -ENOMEM;
	log->events = o.events;
	log->level = o.level ? o.level : PULSE_LOG_INFO;
	log->slow_ns = o.slow_ns;
	strcpy(log->chain, o.chain);
	make(out, o.name ? o.name : "log", run_log, log, pulse__free);
	return 0;
}

/* ---- figures -------------------------------------------------------------- */

enum { WHAT_MAX = 3 };		/* what, where it is known beforehand */

struct figures {
	int events;
	struct pulse_metric *total, *seconds;
	/* Of messages: text, binary, other; of any events: the first alone. */
	struct pulse_series *ok[WHAT_MAX], *failed[WHAT_MAX], *took[WHAT_MAX];
	char chain[];
};

static const char *class_of(int ret)
{
	static const char *const refused[] = { "3xx", "4xx", "5xx" };

	if (ret < 0)
		return "failed";
	return ret >= 300 && ret <= 599 ? refused[ret / 100 - 3] : "ok";
}

/* NULL where it cannot be had, which counts nothing. */
static struct pulse_series *of_route(struct pulse_metric *metric,
				     const char *chain, const char *route,
				     const char *result)
{
	const char *values[] = { chain, route, result, NULL };
	struct pulse_series *series;

	return pulse_metric_series(metric, values, &series) ? NULL : series;
}

static void count_visit(const struct figures *f, const char *route, int ret,
			uint64_t took)
{
	pulse_series_add(of_route(f->total, f->chain, route, class_of(ret)), 1);
	pulse_series_observe(of_route(f->seconds, f->chain, route, NULL), took);
}

static void count_known(const struct figures *f, int type, int ret, uint64_t took)
{
	size_t i = 0;

	if (f->events == PULSE_EVENTS_MESSAGES)
		i = type == PULSE_WS_TEXT ? 0 : type == PULSE_WS_BINARY ? 1 : 2;
	pulse_series_add(ret < 0 ? f->failed[i] : f->ok[i], 1);
	pulse_series_observe(f->took[i], took);
}

static int run_figures(struct pulse_chain_event *event,
		       const struct pulse_next *next, void *arg)
{
	const struct figures *f = arg;
	const struct pulse_ws_visit *visit = visit_of(f->events, event);
	int64_t begin = pulse_now_ns();
	int type = event->type, ret = pulse_next_run(next, event);
	uint64_t took = (uint64_t)(pulse_now_ns() - begin);

	if (visit)
		count_visit(f, visit->route ? visit->route : "-", ret, took);
	else
		count_known(f, type, ret, took);
	return ret;
}

static int define(struct figures *f, struct pulse_metrics *metrics)
{
	static const char *const labels[] = { "chain", "what", "result", NULL };
	static const char *const two[] = { "chain", "what", NULL };
	PULSE_OPTS(pulse_metric_opts, total, .name = "pulse_handled_total",
		   .help = "Events that a chain has handled.",
		   .type = PULSE_METRIC_COUNTER, .labels = labels);
	PULSE_OPTS(pulse_metric_opts, seconds, .name = "pulse_handler_seconds",
		   .help = "How long the rest of a chain took.",
		   .type = PULSE_METRIC_HISTOGRAM, .labels = two, .scale = 1e-9);
	int err = pulse_metrics_define(metrics, &total, &f->total);

	return err ? err : pulse_metrics_define(metrics, &seconds, &f->seconds);
}

/* Those that are known beforehand, so that to count takes no lock. */
static int prepare(struct figures *f)
{
	bool messages = f->events == PULSE_EVENTS_MESSAGES;
	int n = messages ? WHAT_MAX : f->events == PULSE_EVENTS_ANY, err = 0;

	for (int i = 0; i < n && !err; i++) {
		const char *what = messages ? opcode_name(i + 1) : "event";
		const char *values[] = { f->chain, what, "ok", NULL };

		err = pulse_metric_series(f->total, values, &f->ok[i]);
		values[2] = "failed";
		if (!err)
			err = pulse_metric_series(f->total, values,
						  &f->failed[i]);
		values[2] = NULL;
		if (!err)
			err = pulse_metric_series(f->seconds, values,
						  &f->took[i]);
	}
	return err;
}

int pulse_middleware_metrics(const struct pulse_middleware_metrics_opts *opts,
			     struct pulse_link *out)
{
	struct pulse_middleware_metrics_opts o;
	struct figures *f;
	int err;

	if (!out)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), opts);
	if (err)
		return err;
	if (!o.metrics || !events_ok(o.events) || o.reserved)
		return -EINVAL;
	if (!o.chain)
		o.chain = "chain";
	f = pulse__calloc(1, sizeof(*f) + strlen(o.chain) + 1);
	if (!f)
		return -ENOMEM;
	f->events = o.events;
	strcpy(f->chain, o.chain);
	err = define(f, o.metrics);
	if (!err)
		err = prepare(f);
	if (err) {
		pulse__free(f);
		return err;
	}
	make(out, o.name ? o.name : "metrics", run_figures, f, pulse__free);
	return 0;
}

/* ---- recover -------------------------------------------------------------- */

struct recover {
	void (*on_failure)(struct pulse_chain_event *event, int err, void *arg);
	void *arg;
	struct pulse_series *failures;
};

struct contained {
	struct pulse_chain_event *event;
	const struct pulse_next *next;
};

static int run_rest(void *arg)
{
	const struct contained *c = arg;

	return pulse_next_run(c->next, c->event);
}

static int run_recover(struct pulse_chain_event *event,
		       const struct pulse_next *next, void *arg)
{
	const struct recover *r = arg;
	struct contained c = { .event = event, .next = next };
	int ret = pulse_task_contain(run_rest, &c);

	if (likely(ret >= 0))
		return ret;
	pulse_series_add(r->failures, 1);
	if (r->on_failure)
		r->on_failure(event, ret, r->arg);
	return ret;
}

int pulse_middleware_recover(const struct pulse_middleware_recover_opts *opts,
			     struct pulse_link *out)
{
	struct pulse_middleware_recover_opts o;
	struct recover *r;
	int err;

	if (!out)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), failures),
			       opts);
	if (err)
		return err;
	r = pulse__malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct recover){ o.on_failure, o.arg, o.failures };
	make(out, o.name ? o.name : "recover", run_recover, r, pulse__free);
	return 0;
}

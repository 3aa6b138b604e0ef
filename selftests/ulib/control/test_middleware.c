// SPDX-License-Identifier: GPL-2.0-only
/* Links that log, count and recover, alone and around a server's handlers. */
#include "base/base.h"
#include "../ws/peer.h"

#include <pulse-u/metrics.h>
#include <pulse-u/middleware.h>
#include <pulse-u/pool.h>
#include <pulse-u/task.h>
#include <pulse-u/ws_route.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
#define SIGNALS 1	/* the handlers of sanitizers come first */
#endif

static char lines[4096];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_line(int level, const char *line, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lines_lock);
	snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%d %s\n",
		 level, line);
	pthread_mutex_unlock(&lines_lock);
}

static bool was_logged(const char *what)
{
	bool found;

	pthread_mutex_lock(&lines_lock);
	found = strstr(lines, what);
	pthread_mutex_unlock(&lines_lock);
	return found;
}

static void forget_lines(void)
{
	pthread_mutex_lock(&lines_lock);
	lines[0] = 0;
	pthread_mutex_unlock(&lines_lock);
}

static double value_of(struct pulse_metrics *metrics, const char *want)
{
	char text[8192], *at;

	KT_CHECK(pulse_metrics_text(metrics, text, sizeof(text)) <
		 (int64_t)sizeof(text));
	at = strstr(text, want);
	return at ? atof(at + strlen(want)) : -1;
}

static int handle(struct pulse_chain_event *event, void *arg)
{
	(void)arg;
	switch (event->type) {
	case 100:
		return -EIO;
	case 101:
		return pulse_task_fail(-EXDEV);
	case 102:
		return pulse_task_fail(0);
	default:
		return event->type;
	}
}

static struct pulse_chain *chain_of(const struct pulse_link *link)
{
	PULSE_OPTS(pulse_chain_opts, o, .handler = handle);
	struct pulse_chain *chain = NULL;

	KT_EQ(pulse_chain_create(&o, &chain), 0);
	KT_EQ(pulse_chain_use(chain, link, NULL), 0);
	return chain;
}

static int run(struct pulse_chain *chain, int type)
{
	PULSE_OPTS(pulse_chain_event, e, .type = type, .data = "abc", .len = 3);

	return pulse_chain_run(chain, &e);
}

KT_TEST(what_was_handled_is_logged)
{
	PULSE_OPTS(pulse_middleware_log_opts, o, .chain = "jobs");
	struct pulse_link link;
	struct pulse_chain *chain;

	KT_EQ(pulse_middleware_log(&o, &link), 0);
	chain = chain_of(&link);
	pulse_log_set_sink(keep_line, NULL);
	KT_EQ(run(chain, 7), 7);
	KT_CHECKF(was_logged("2 jobs: event 7 of 3 bytes: 7, "), "%s", lines);
	KT_EQ(run(chain, 100), -EIO);
	KT_CHECKF(was_logged("1 jobs: event 100 of 3 bytes: Input/output error, "),
		  "%s", lines);
	KT_EQ(pulse_chain_destroy(chain), 0);
	/* What is quick is not worth a line, what fails is. */
	o.events = PULSE_EVENTS_MESSAGES;
	o.slow_ns = 1000000000000;
	KT_EQ(pulse_middleware_log(&o, &link), 0);
	chain = chain_of(&link);
	forget_lines();
	KT_EQ(run(chain, 2), 2);
	KT_CHECKF(!*lines, "%s", lines);
	KT_EQ(run(chain, 100), -EIO);
	KT_CHECKF(was_logged("jobs: other of 3 bytes: "), "%s", lines);
	KT_EQ(pulse_chain_destroy(chain), 0);
	pulse_log_set_sink(NULL, NULL);
	forget_lines();
}

KT_TEST(what_was_handled_is_counted)
{
	struct pulse_metrics *metrics;
	struct pulse_chain *chain;
	struct pulse_link link;

	KT_EQ(pulse_metrics_create(&metrics), 0);
	PULSE_OPTS(pulse_middleware_metrics_opts, o, .metrics = metrics,
		   .chain = "jobs");
	KT_EQ(pulse_middleware_metrics(&o, &link), 0);
	chain = chain_of(&link);
	for (int i = 0; i < 5; i++)
		KT_EQ(run(chain, i), i);
	KT_EQ(run(chain, 100), -EIO);
	KT_EQ(pulse_chain_destroy(chain), 0);
#define LABELS(what) "{chain=\"jobs\",what=\"" what "\""
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("event")
		       ",result=\"ok\"} "), 5);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("event")
		       ",result=\"failed\"} "), 1);
	KT_EQ(value_of(metrics, "pulse_handler_seconds_count" LABELS("event")
		       "} "), 6);
	/* Made again under the same name it goes on. */
	o.events = PULSE_EVENTS_MESSAGES;
	KT_EQ(pulse_middleware_metrics(&o, &link), 0);
	chain = chain_of(&link);
	KT_EQ(run(chain, PULSE_WS_TEXT), 1);
	KT_EQ(run(chain, PULSE_WS_BINARY), 2);
	KT_EQ(run(chain, PULSE_WS_BINARY), 2);
	KT_EQ(run(chain, 100), -EIO);
	KT_EQ(pulse_chain_destroy(chain), 0);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("text")
		       ",result=\"ok\"} "), 1);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("binary")
		       ",result=\"ok\"} "), 2);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("other")
		       ",result=\"failed\"} "), 1);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("event")
		       ",result=\"ok\"} "), 5);
	KT_EQ(pulse_metrics_destroy(metrics), 0);
}

static int failed_with;

static void note_failure(struct pulse_chain_event *event, int err, void *arg)
{
	KT_CHECK(event->type >= 100);
	KT_CHECK(arg == &failed_with);
	failed_with = err;
}

KT_TEST(a_failure_is_that_of_its_event)
{
	PULSE_OPTS(pulse_metric_opts, m, .name = "failures",
		   .type = PULSE_METRIC_COUNTER);
	struct pulse_link_stats s = { .sz = sizeof(s) };
	struct pulse_metrics *metrics;
	struct pulse_series *failures;
	struct pulse_metric *family;
	struct pulse_chain *chain;
	struct pulse_link link;

	KT_EQ(pulse_metrics_create(&metrics), 0);
	KT_EQ(pulse_metrics_define(metrics, &m, &family), 0);
	KT_EQ(pulse_metric_series(family, NULL, &failures), 0);
	PULSE_OPTS(pulse_middleware_recover_opts, o, .failures = failures,
		   .on_failure = note_failure, .arg = &failed_with);
	KT_EQ(pulse_middleware_recover(&o, &link), 0);
	chain = chain_of(&link);
	KT_EQ(run(chain, 3), 3);
	KT_EQ(pulse_series_read(failures), 0);
	KT_EQ(run(chain, 100), -EIO);
	KT_EQ(failed_with, -EIO);
	KT_EQ(run(chain, 101), -EXDEV);
	KT_EQ(failed_with, -EXDEV);
	KT_EQ(run(chain, 102), PULSE_ETASK_PANICKED);
	KT_EQ(run(chain, 4), 4);
	KT_EQ(pulse_series_read(failures), 3);
	KT_EQ(pulse_chain_link_stats(chain, "recover", &s), 0);
	KT_EQ(s.runs, 5);
	KT_EQ(s.failed, 3);
	KT_EQ(pulse_chain_destroy(chain), 0);
	KT_EQ(pulse_metrics_destroy(metrics), 0);
}

KT_TEST(options_that_cannot_be)
{
	PULSE_OPTS(pulse_middleware_log_opts, log);
	PULSE_OPTS(pulse_middleware_metrics_opts, figures);
	PULSE_OPTS(pulse_middleware_recover_opts, recover);
	struct pulse_metrics *metrics;
	struct pulse_link link;

	KT_EQ(pulse_middleware_log(NULL, NULL), -EINVAL);
	log.level = 4;
	KT_EQ(pulse_middleware_log(&log, &link), -EINVAL);
	log.level = -1;
	KT_EQ(pulse_middleware_log(&log, &link), -EINVAL);
	log.level = 0;
	log.events = 3;
	KT_EQ(pulse_middleware_log(&log, &link), -EINVAL);
	log.events = 0;
	log.slow_ns = -1;
	KT_EQ(pulse_middleware_log(&log, &link), -EINVAL);
	log.sz = 3;
	KT_EQ(pulse_middleware_log(&log, &link), -EINVAL);
	KT_EQ(pulse_middleware_recover(NULL, NULL), -EINVAL);
	recover.sz = 3;
	KT_EQ(pulse_middleware_recover(&recover, &link), -EINVAL);
	KT_EQ(pulse_middleware_metrics(&figures, &link), -EINVAL);
	KT_EQ(pulse_middleware_metrics(NULL, &link), -EINVAL);
	KT_EQ(pulse_metrics_create(&metrics), 0);
	figures.metrics = metrics;
	KT_EQ(pulse_middleware_metrics(&figures, NULL), -EINVAL);
	figures.events = -1;
	KT_EQ(pulse_middleware_metrics(&figures, &link), -EINVAL);
	figures.events = 0;
	figures.reserved = 1;
	KT_EQ(pulse_middleware_metrics(&figures, &link), -EINVAL);
	figures.reserved = 0;
	figures.chain = "\xff";
	KT_EQ(pulse_middleware_metrics(&figures, &link), -EILSEQ);
	{
		/* The name is somebody else's. */
		PULSE_OPTS(pulse_metric_opts, m, .name = "pulse_handler_seconds",
			   .type = PULSE_METRIC_GAUGE);
		struct pulse_metrics *other;
		struct pulse_metric *family;

		KT_EQ(pulse_metrics_create(&other), 0);
		KT_EQ(pulse_metrics_define(other, &m, &family), 0);
		figures.metrics = other;
		figures.chain = NULL;
		KT_EQ(pulse_middleware_metrics(&figures, &link), -EEXIST);
		KT_EQ(pulse_metrics_destroy(other), 0);
	}
	KT_EQ(pulse_metrics_destroy(metrics), 0);
}

KT_TEST(each_allocation_may_fail)
{
	bool failed = true;
	long n;

	for (n = 1; failed && n < 100; n++) {
		struct pulse_link log, figures, recover;
		struct pulse_metrics *metrics;
		int err;

		KT_EQ(pulse_metrics_create(&metrics), 0);
		PULSE_OPTS(pulse_middleware_metrics_opts, o, .metrics = metrics,
			   .events = PULSE_EVENTS_MESSAGES);
		pulse__alloc_fail_at(n);
		err = pulse_middleware_log(NULL, &log);
		if (!err) {
			err = pulse_middleware_recover(NULL, &recover);
			if (!err) {
				err = pulse_middleware_metrics(&o, &figures);
				if (!err)
					figures.release(figures.arg);
				recover.release(recover.arg);
			}
			log.release(log.arg);
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		KT_EQ(pulse_metrics_destroy(metrics), 0);
	}
	KT_CHECK(!failed && n > 5);
}

/* ---- around a server's handlers ------------------------------------------------ */

static struct pulse_chain *messages;
static struct pulse_ws_router *router;
#ifdef SIGNALS
static void *volatile nowhere;
#endif

static int answer(struct pulse_chain_event *event, void *arg)
{
	const char *text = event->data;

	(void)arg;
	if (event->len == 4 && !memcmp(text, "fail", 4))
		return -EIO;
	if (event->len == 5 && !memcmp(text, "panic", 5))
		return pulse_task_fail(0);
#ifdef SIGNALS
	if (event->len == 5 && !memcmp(text, "crash", 5))
		*(volatile int *)nowhere = 1;
#endif
	return pulse_ws_send(event->source, event->type, text, event->len);
}

static void on_message(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, void *arg)
{
	(void)arg;
	pulse_ws_chain_run(messages, conn, opcode, data, len);
}

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *ws_answer, void *arg)
{
	(void)arg;
	return pulse_ws_router_request(router, conn, request, ws_answer);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	(void)arg;
	pulse_ws_router_http(router, conn, request);
}

static int enter(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request,
		 struct pulse_ws_answer *ws_answer, void *arg)
{
	(void)conn;
	(void)ws_answer;
	(void)arg;
	return pulse_ws_request_query(request) ? pulse_task_fail(-EIO) : 0;
}

static void page(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request, void *arg)
{
	(void)arg;
	if (pulse_ws_request_query(request))
		pulse_task_fail(-EIO);
	pulse_ws_http_reply(conn, 200, "text/plain", "p", 1);
}

static void use(int (*give)(const struct pulse_link *link),
		struct pulse_metrics *metrics, int events)
{
	PULSE_OPTS(pulse_middleware_log_opts, log, .events = events,
		   .chain = "test");
	PULSE_OPTS(pulse_middleware_metrics_opts, figures, .events = events,
		   .metrics = metrics, .chain = "jobs");
	struct pulse_link link;

	KT_EQ(pulse_middleware_log(&log, &link), 0);
	KT_EQ(give(&link), 0);
	KT_EQ(pulse_middleware_metrics(&figures, &link), 0);
	KT_EQ(give(&link), 0);
	KT_EQ(pulse_middleware_recover(NULL, &link), 0);
	KT_EQ(give(&link), 0);
}

static int give_chain(const struct pulse_link *link)
{
	return pulse_chain_use(messages, link, NULL);
}

static int give_router(const struct pulse_link *link)
{
	return pulse_ws_router_use(router, "/", link);
}

/* A handler that goes wrong ends its connection, and nothing else. */
static void goes_on(struct pulse_pool *pool)
{
	static const char *const bad[] = { "fail", "panic",
#ifdef SIGNALS
		"crash",
#endif
	};
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = on_message);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .pool = pool);
	PULSE_OPTS(pulse_chain_opts, co, .handler = answer);
	struct pulse_metrics *metrics;
	struct pulse_ws_server *server;
	struct peer good;

	KT_EQ(pulse_metrics_create(&metrics), 0);
	KT_EQ(pulse_chain_create(&co, &messages), 0);
	use(give_chain, metrics, PULSE_EVENTS_MESSAGES);
	server = serve(&o);
	good = peer_open(server);
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			struct peer p = peer_open(server);

			KT_CHECK(peer_send_frame(&p, 0x81, bad[i],
						 strlen(bad[i])));
			KT_EQ(peer_close_code(&p), PULSE_WS_INTERNAL_ERROR);
			peer_close(&p);
			KT_CHECK(peer_send_frame(&good, 0x82, "on", 2));
			KT_CHECK(peer_expect(&good, 0x82, "on", 2));
		}
	}
	peer_close(&good);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("text")
		       ",result=\"failed\"} "), 5 * ARRAY_SIZE(bad));
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("binary")
		       ",result=\"ok\"} "), 5 * ARRAY_SIZE(bad));
	KT_EQ(pulse_chain_destroy(messages), 0);
	KT_EQ(pulse_metrics_destroy(metrics), 0);
}

KT_TEST(a_handler_that_goes_wrong_closes_its_connection_alone)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 2);
	struct pulse_pool *pool;

	pulse_log_set_sink(keep_line, NULL);
	goes_on(NULL);
	KT_CHECK(was_logged("test: text of 5 bytes: "));
	forget_lines();
	KT_EQ(pulse_pool_create(&po, &pool), 0);
	goes_on(pool);
	KT_CHECK(was_logged("test: binary of 2 bytes: 0, "));
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
	forget_lines();
}

KT_TEST(visits_are_logged_counted_and_survived)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_http = on_http);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	PULSE_OPTS(pulse_ws_route, r, .path = "/rooms/:room",
		   .on_request = enter, .on_http = page);
	struct pulse_metrics *metrics;
	struct pulse_ws_server *server;

	KT_EQ(pulse_metrics_create(&metrics), 0);
	KT_EQ(pulse_ws_router_create(&router), 0);
	KT_EQ(pulse_ws_router_add(router, &r), 0);
	use(give_router, metrics, PULSE_EVENTS_VISITS);
	pulse_log_set_sink(keep_line, NULL);
	server = serve(&o);
	KT_EQ(peer_status_of(server, "/rooms/red", true), 101);
	KT_EQ(peer_status_of(server, "/rooms/red", false), 200);
	KT_EQ(peer_status_of(server, "/rooms/red?x", true), 500);
	KT_EQ(peer_status_of(server, "/rooms/red?x", false), 500);
	KT_EQ(peer_status_of(server, "/none", false), 404);
	KT_EQ(peer_status_of(server, "/rooms/blue", true), 101);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_CHECKF(was_logged("2 test: GET /rooms/red (/rooms/:room) of 127.0.0.1:"),
		  "%s", lines);
	KT_CHECKF(was_logged("2 test: GET /none (-) of 127.0.0.1:"), "%s", lines);
	KT_CHECKF(was_logged("1 test: GET /rooms/red (/rooms/:room) of 127.0.0.1:"),
		  "%s", lines);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("/rooms/:room")
		       ",result=\"ok\"} "), 3);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("/rooms/:room")
		       ",result=\"failed\"} "), 2);
	KT_EQ(value_of(metrics, "pulse_handled_total" LABELS("-")
		       ",result=\"4xx\"} "), 1);
	KT_EQ(value_of(metrics, "pulse_handler_seconds_count"
		       LABELS("/rooms/:room") "} "), 5);
	pulse_log_set_sink(NULL, NULL);
	forget_lines();
	KT_EQ(pulse_ws_router_destroy(router), 0);
	KT_EQ(pulse_metrics_destroy(metrics), 0);
}

KT_TEST(arguments_of_a_run_that_cannot_be)
{
	struct pulse_ws_server *server = serve_echo();
	struct pulse_chain *chain;

	KT_EQ(pulse_chain_create(NULL, &chain), 0);
	KT_EQ(pulse_ws_chain_run(NULL, NULL, 1, NULL, 0), -EINVAL);
	KT_EQ(pulse_ws_chain_run(chain, NULL, 1, NULL, 0), -EINVAL);
	KT_EQ(pulse_chain_destroy(chain), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

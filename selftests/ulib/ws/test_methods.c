// SPDX-License-Identifier: GPL-2.0-only
/* Methods of routes, and bodies that come with requests. */
#include "peer.h"

#include <pulse-u/ws_route.h>

#include "ws/route.h"
#include "ws/ws_int.h"

static struct pulse_ws_router *router;

/* ---- lists of methods, without a server ------------------------------------------ */

static void any_page(struct pulse_ws_conn *conn,
		     const struct pulse_ws_request *request, void *arg)
{
	(void)conn;
	(void)request;
	(void)arg;
}

static int any_open(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request,
		    struct pulse_ws_answer *answer, void *arg)
{
	(void)conn;
	(void)request;
	(void)answer;
	(void)arg;
	return 0;
}

static int add(const char *path, const char *methods)
{
	PULSE_OPTS(pulse_ws_route, r, .path = path, .on_http = any_page,
		   .methods = methods);

	return pulse_ws_router_add(router, &r);
}

static int said;

static void count_log(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
	said++;
}

KT_TEST(lists_of_methods_that_cannot_be)
{
	static const char *const bad[] = {
		"", " ", ",", " , ,", "GET;", "G(T", "GET, P\xc3\xa9T", "GET\nPUT",
		"GET, \"PUT\"",
	};
	char list[PULSE_WS_METHODS_MAX + 8];

	KT_EQ(pulse_ws_router_create(&router), 0);
	pulse_log_set_sink(count_log, NULL);
	said = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		KT_CHECKF(add("/a", bad[i]) == -EINVAL, "\"%s\"", bad[i]);
	memset(list, 'A', sizeof(list));
	list[PULSE_WS_METHODS_MAX + 1] = 0;
	KT_EQ(add("/a", list), -EINVAL);
	KT_EQ(said, ARRAY_SIZE(bad) + 1);
	list[PULSE_WS_METHODS_MAX] = 0;
	KT_EQ(add("/a", list), 0);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(add("/a", " ,POST\t, ,PUT POST,"), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

KT_TEST(routes_of_one_path_have_other_methods)
{
	KT_EQ(pulse_ws_router_create(&router), 0);
	KT_EQ(add("/a/:x", "POST"), 0);
	KT_EQ(add("/a/:y", "POST"), -EEXIST);
	KT_EQ(add("/a/:y", "PUT, POST"), -EEXIST);
	KT_EQ(add("/a/:y", "PUT, DELETE"), 0);
	KT_EQ(add("/a/:z", "DELETE"), -EEXIST);
	KT_EQ(add("/a/:z", NULL), 0);
	/* They are told apart by their signs; HEAD is where GET is. */
	KT_EQ(add("/a/:z", "get"), 0);
	KT_EQ(add("/a/:z", "GET"), -EEXIST);
	KT_EQ(add("/a/:z", "HEAD"), -EEXIST);
	KT_EQ(add("/a/:z", "PATCH, HEAD"), -EEXIST);
	KT_EQ(add("/b", "HEAD"), 0);
	KT_EQ(add("/b", "GET"), -EEXIST);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

/* What is longer than its memory is left out by whole names. */
KT_TEST(what_is_allowed_is_listed_once)
{
	char allow[PULSE__WS_ALLOW_MAX] = "", list[64];

	pulse__ws_methods_allow("PUT\0GET\0", allow);
	pulse__ws_methods_allow("HEAD\0PUT\0PU\0", allow);
	KT_CHECKF(!strcmp(allow, "PUT, GET, HEAD, PU"), "%s", allow);
	for (int i = 0; i < 300; i++) {
		memset(list, 0, sizeof(list));
		snprintf(list, sizeof(list), "M%d", i);
		pulse__ws_methods_allow(list, allow);
	}
	KT_CHECK(strlen(allow) < sizeof(allow));
	KT_CHECKF(strlen(allow) > sizeof(allow) - 10, "%zu", strlen(allow));
	KT_CHECK(strrchr(allow, ',')[1] == ' ' && strrchr(allow, ',')[2] == 'M');
}

/* ---- with a server ------------------------------------------------------------------ */

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	(void)arg;
	return pulse_ws_router_request(router, conn, request, answer);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	(void)arg;
	pulse_ws_router_http(router, conn, request);
}

/* Says who it is, what was asked, and what came with it. */
static void tell(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request, void *arg)
{
	char x[32] = "", text[256];
	size_t len;
	int err;
	const char *body = pulse_ws_request_body(request, &len);

	KT_EQ(body != NULL, len > 0);
	KT_CHECK(pulse_ws_request_body(request, NULL) == body);
	if (body)
		KT_EQ(strlen(body), len);
	pulse_ws_route_param(request, "x", x, sizeof(x));
	snprintf(text, sizeof(text), "%s %s %s %.64s", (const char *)arg,
		 pulse_ws_request_method(request), x, body ? body : "-");
	err = pulse_ws_http_reply(conn, 200, "text/plain", text, strlen(text));
	KT_CHECK(!err || (err == -ENOMEM && pulse__alloc_failed()));
}

static struct pulse_ws_server *serve_methods(uint32_t max_body)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_http = on_http);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .any_method = PULSE_ON,
		   .max_body_bytes = max_body);
	static const struct {
		const char *path, *methods, *name;
	} routes[] = {
		{ "/things/:x", "PUT, DELETE", "change" },
		{ "/things/:x", NULL, "show" },
		{ "/things/all", "DELETE", "clear" },
		{ "/only", "POST", "only" },
	};

	KT_EQ(pulse_ws_router_create(&router), 0);
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		PULSE_OPTS(pulse_ws_route, r, .path = routes[i].path,
			   .methods = routes[i].methods, .on_http = tell,
			   .arg = (void *)routes[i].name);

		KT_EQ(pulse_ws_router_add(router, &r), 0);
	}
	return serve(&o);
}

static void end(struct pulse_ws_server *server)
{
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

/* The whole answer to a request that is sent in pieces of @cut bytes; 0: at once. */
static const char *ask_in(struct pulse_ws_server *server, const char *request,
			  size_t cut)
{
	static char answer[4096];
	struct peer p = peer_connect(server);
	size_t len = strlen(request);

	/* A server that has no memory may be gone before all is sent. */
	for (size_t at = 0; at < len; at += cut ? cut : len)
		if (!peer_send(&p, request + at, cut && cut < len - at ? cut :
			       len - at))
			break;
	answer[0] = 0;
	while (peer_fill(&p, p.have - p.at + 1))
		;
	snprintf(answer, sizeof(answer), "%.*s", (int)(p.have - p.at),
		 (const char *)p.in + p.at);
	peer_close(&p);
	return answer;
}

static const char *ask(struct pulse_ws_server *server, const char *line,
		       const char *rest)
{
	char text[512];

	snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: a\r\n%s", line, rest);
	return ask_in(server, text, 0);
}

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n >= m && !strcmp(text + n - m, with);
}

#define SHOWS(line, want)						\
	do {								\
		const char *a = ask(server, line, "\r\n");		\
									\
		KT_CHECKF(ends(a, "\r\n\r\n" want), "%s: %s", line, a);	\
	} while (0)

/* Refused with this list, which is said once. */
#define ALLOWS(line, rest, list)					\
	do {								\
		const char *a = ask(server, line, rest), *at;		\
									\
		at = strstr(a, "\r\nAllow: " list "\r\n");		\
		KT_CHECKF(!strncmp(a, "HTTP/1.1 405 ", 13) && at &&	\
			  !strstr(at + 1, "\r\nAllow: "), "%s: %s", line, a); \
	} while (0)

#define WS "Upgrade: websocket\r\nConnection: Upgrade\r\n"			\
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n"

KT_TEST(each_method_has_its_route)
{
	struct pulse_ws_server *server = serve_methods(0);

	SHOWS("GET /things/7", "show GET 7 -");
	SHOWS("PUT /things/7", "change PUT 7 -");
	SHOWS("DELETE /things/7", "change DELETE 7 -");
	/* More words first; what these do not take goes to those with fewer. */
	SHOWS("DELETE /things/all", "clear DELETE  -");
	SHOWS("PUT /things/all", "change PUT all -");
	SHOWS("POST /only", "only POST  -");
	/* HEAD as GET, without what it would show. */
	KT_CHECK(ends(ask(server, "HEAD /things/7", "\r\n"), "\r\n\r\n"));
	ALLOWS("PATCH /things/7", "\r\n", "PUT, DELETE, GET, HEAD");
	ALLOWS("PATCH /things/all", "\r\n", "DELETE, PUT, GET, HEAD");
	ALLOWS("GET /only", "\r\n", "POST");
	ALLOWS("HEAD /only", "\r\n", "POST");
	ALLOWS("post /only", "\r\n", "POST");
	ALLOWS("OPTIONS /only", "\r\n", "POST");
	/* Handshakes are GET. */
	ALLOWS("GET /only", WS, "POST");
	ALLOWS("POST /only", WS, "GET, HEAD");
	KT_CHECK(!strncmp(ask(server, "GET /things/7", WS), "HTTP/1.1 404 ", 13));
	KT_CHECK(!strncmp(ask(server, "PUT /none", "\r\n"), "HTTP/1.1 404 ", 13));
	KT_CHECK(!strncmp(ask(server, "PUT /%zz", "\r\n"), "HTTP/1.1 400 ", 13));
	KT_CHECK(!strncmp(ask(server, "CONNECT a:1", "\r\n"), "HTTP/1.1 400 ", 13));
	KT_CHECK(!strncmp(ask(server, "OPTIONS *", "\r\n"), "HTTP/1.1 400 ", 13));
	KT_CHECK(!strncmp(ask(server, "P(T /only", "\r\n"), "HTTP/1.1 400 ", 13));
	end(server);
}

static int ticket(struct pulse_chain_event *event, const struct pulse_next *next,
		  void *arg)
{
	const struct pulse_ws_visit *v = event->reply;
	char text[8];
	int ret;

	if (pulse_ws_request_arg(v->request, "t", text, sizeof(text)) < 0)
		return 401;
	(void)pulse_next_run(next, event);
	ret = pulse_next_run(next, event);	/* twice */
	snprintf(arg, 64, "%s %d", v->route ? v->route : "-", ret);
	return ret;
}

/* Which methods a guarded path has is nobody's business who may not come in. */
KT_TEST(groups_stand_before_the_refusal_of_a_method)
{
	char seen[64] = "";
	PULSE_OPTS(pulse_link, l, .name = "ticket", .fn = ticket, .arg = seen);
	struct pulse_ws_server *server = serve_methods(0);

	KT_EQ(pulse_ws_router_use(router, "/only", &l), 0);
	KT_CHECK(!strncmp(ask(server, "GET /only", "\r\n"), "HTTP/1.1 401 ", 13));
	ALLOWS("GET /only?t=1", "\r\n", "POST");
	KT_CHECKF(!strcmp(seen, "/only 405"), "%s", seen);
	end(server);
}

KT_TEST(other_methods_are_let_in_where_they_are_asked_for)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_http = tell);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .arg = (void *)"all");
	struct pulse_ws_server *server = serve(&o);

	ALLOWS("DELETE /", "\r\n", "GET, HEAD");
	KT_EQ(pulse_ws_server_destroy(server), 0);
	o.any_method = PULSE_ON;
	server = serve(&o);
	SHOWS("DELETE /", "all DELETE  -");
	KT_EQ(pulse_ws_server_destroy(server), 0);
	o.any_method = 2;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
	o.any_method = -2;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
	o.any_method = PULSE_OFF;
	o.max_body_bytes = 1U << 31;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
}

/* ---- bodies -------------------------------------------------------------------------- */

KT_TEST(a_body_comes_whole_however_it_is_cut)
{
	static const char request[] =
		"PUT /things/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
		"hello there, and more that is nobody's";
	struct pulse_ws_server *server = serve_methods(11);

	for (size_t cut = 0; cut < sizeof(request); cut += cut < 4 ? 1 : 7) {
		const char *a = ask_in(server, request, cut);

		KT_CHECKF(ends(a, "\r\n\r\nchange PUT 7 hello there"), "%zu: %s",
			  cut, a);
	}
	KT_CHECK(ends(ask(server, "GET /things/7",
			  "Content-Length: 2\r\n\r\nab"), "show GET 7 ab"));
	end(server);
}

KT_TEST(bodies_that_cannot_be_are_refused)
{
	static const struct {
		const char *rest;
		int status;
	} cases[] = {
		{ "Content-Length: 0\r\n\r\n", 200 },
		{ "Content-Length: 4\r\n\r\nabcd", 200 },
		{ "Content-Length: 004\r\n\r\nabcd", 200 },
		{ "Content-Length: 5\r\n\r\nabcde", 413 },
		{ "Content-Length: 99999999999999999999999999\r\n\r\n", 413 },
		{ "Content-Length: 4294967296\r\n\r\n", 413 },
		{ "Content-Length: -1\r\n\r\n", 400 },
		{ "Content-Length: +4\r\n\r\nabcd", 400 },
		{ "Content-Length: 4a\r\n\r\nabcd", 400 },
		{ "Content-Length: 4, 4\r\n\r\nabcd", 400 },
		{ "Content-Length:\r\n\r\n", 400 },
		{ "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400 },
		{ "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 411 },
		{ "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nabcd", 411 },
	};
	struct pulse_ws_server *server = serve_methods(4);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *a = ask(server, "PUT /things/7", cases[i].rest);

		KT_CHECKF(atoi(a + 9) == cases[i].status, "%s: %s", cases[i].rest,
			  a);
	}
	end(server);
	/* Where none is kept; one that comes with a GET is dropped. */
	server = serve_methods(0);
	KT_CHECK(atoi(ask(server, "PUT /things/7",
			  "Content-Length: 1\r\n\r\na") + 9) == 413);
	KT_CHECK(ends(ask(server, "GET /things/7",
			  "Content-Length: 1\r\n\r\na"), "show GET 7 -"));
	end(server);
}

KT_TEST(who_asks_before_it_sends_is_answered)
{
	struct pulse_ws_server *server = serve_methods(100);
	struct peer p = peer_connect(server);

	KT_CHECK(peer_say(&p, "PUT /things/1 HTTP/1.1\r\nHost: a\r\n"
			  "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
	KT_EQ(peer_status(&p), 100);
	KT_CHECK(peer_say(&p, "abc"));
	KT_EQ(peer_status(&p), 200);
	peer_close(&p);
	end(server);
}

/* It is part of what has to be there in time, and gone with its connection. */
KT_TEST(a_body_that_does_not_come_is_not_waited_for)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_http = tell);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .any_method = PULSE_ON,
		   .max_body_bytes = 1000, .handshake_timeout_ms = 100,
		   .arg = (void *)"t");
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_connect(server);

	KT_CHECK(peer_say(&p, "PUT / HTTP/1.1\r\nHost: a\r\n"
			  "Content-Length: 900\r\n\r\nabc"));
	KT_EQ(peer_status(&p), -1);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_REFUSED], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(each_allocation_of_a_request_with_a_body_may_fail)
{
	struct pulse_ws_server *server = serve_methods(100000);
	char request[20000];
	bool failed = true;
	long n = 0;
	int len = snprintf(request, sizeof(request),
			   "PUT /things/1 HTTP/1.1\r\nHost: a\r\n"
			   "Content-Length: 15000\r\n\r\n");

	memset(request + len, 'x', 15000);
	request[len + 15000] = 0;
	while (failed && n < 100) {
		const char *a;

		pulse__alloc_fail_at(++n);
		a = ask_in(server, request, 4000);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECKF(!*a || !strncmp(a, "HTTP/1.1 200 ", 13), "%s", a);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	}
	KT_CHECKF(n > 4, "%ld allocations", n - 1);
	end(server);
}

KT_TEST(handshakes_of_a_path_beside_its_other_methods)
{
	PULSE_OPTS(pulse_ws_route, ws, .path = "/live", .on_request = any_open);
	PULSE_OPTS(pulse_ws_route, put, .path = "/live", .on_http = tell,
		   .methods = "PUT", .arg = (void *)"put");
	struct pulse_ws_server *server = serve_methods(0);

	KT_EQ(pulse_ws_router_add(router, &ws), 0);
	KT_EQ(pulse_ws_router_add(router, &put), 0);
	KT_CHECK(!strncmp(ask(server, "GET /live", "\r\n"), "HTTP/1.1 426 ", 13));
	SHOWS("PUT /live", "put PUT  -");
	{
		struct peer p = peer_connect(server);

		KT_CHECK(peer_say(&p, "GET /live HTTP/1.1\r\nHost: a\r\n" WS));
		KT_EQ(peer_status(&p), 101);
		peer_close(&p);
	}
	end(server);
}

KT_TEST(arguments_that_cannot_be)
{
	size_t len = 7;

	KT_CHECK(!pulse_ws_request_body(NULL, &len));
	KT_EQ(len, 0);
	KT_CHECK(!pulse_ws_request_body(NULL, NULL));
}

KT_MAIN()

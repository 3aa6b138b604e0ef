// SPDX-License-Identifier: GPL-2.0-only
/* Routes: who answers for a path, parameters, groups and what stands before them. */
#include "peer.h"

#include <pulse-u/ws_route.h>

#include "ws/route.h"
#include "ws/ws_int.h"

static struct pulse_ws_router *router;

/* ---- paths, without a server -------------------------------------------------- */

static void any_page(struct pulse_ws_conn *conn,
		     const struct pulse_ws_request *request, void *arg)
{
	(void)conn;
	(void)request;
	(void)arg;
}

static int add(const char *path)
{
	PULSE_OPTS(pulse_ws_route, r, .path = path, .on_http = any_page);

	return pulse_ws_router_add(router, &r);
}

static int fits(const char *pattern, const char *path, char *params)
{
	PULSE_OPTS(pulse_ws_route, o, .path = pattern, .on_http = any_page);
	struct pulse_ws_request request = { .path = path };
	struct pulse__ws_route *r;
	struct pulse__ws_fit fit;
	char value[64], name[65];
	int ret;

	*params = 0;
	if (!KT_CHECK(!pulse__ws_route_new(&o, &r)))
		return -1;
	ret = pulse__ws_route_fits(r, path, &fit);
	request.fit = &fit;
	for (size_t i = 0; ret > 0 && i < fit.nr; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)fit.param[i].name->len,
			 fit.param[i].name->text);
		KT_EQ(pulse_ws_route_param(&request, name, value, sizeof(value)),
		      strlen(value));
		sprintf(params + strlen(params), "%s=%s ", name, value);
	}
	pulse__ws_route_free(r);
	return ret;
}

KT_TEST(a_path_fits_segment_by_segment)
{
	static const struct {
		const char *pattern, *path;
		int want;
		const char *params;
	} cases[] = {
		{ "/", "/", 1, "" }, { "/", "/a", 0, "" }, { "/a", "/a", 1, "" },
		{ "/a", "/a/", 0, "" }, { "/a/", "/a/", 1, "" },
		{ "/a/", "/a", 0, "" }, { "/a", "/A", 0, "" },
		{ "/a", "/ab", 0, "" }, { "/ab", "/a", 0, "" },
		{ "/a/b", "/a/b", 1, "" }, { "/a/b", "/a//b", 0, "" },
		{ "/:x", "/a", 1, "x=a " }, { "/:x", "/", 0, "" },
		{ "/:x", "/a/b", 0, "" }, { "/:x/:y", "/a/b", 1, "x=a y=b " },
		{ "/:x/b", "/a/b", 1, "x=a " }, { "/:x/b", "//b", 0, "" },
		{ "/*all", "/a/b/c", 1, "all=a/b/c " }, { "/*all", "/", 0, "" },
		{ "/f/*r", "/f/a/", 1, "r=a/ " }, { "/f/*r", "/f/", 0, "" },
		{ "/f/*r", "/f", 0, "" },
		/* However it is spelled it is the same word. */
		{ "/admin", "/%61dmin", 1, "" }, { "/admin", "/%61d%6Din", 1, "" },
		{ "/a b", "/a%20b", 1, "" }, { "/a+b", "/a+b", 1, "" },
		{ "/a b", "/a+b", 0, "" },
		{ "/a/b", "/a%2fb", 0, "" },	/* one segment, not two */
		{ "/:x", "/a%2Fb", 1, "x=a/b " }, { "/:x", "/%c3%a9", 1, "x=\xc3\xa9 " },
		{ "/:x", "/%zz", -EBADMSG, "" }, { "/:x", "/%4", -EBADMSG, "" },
		{ "/:x", "/a%", -EBADMSG, "" }, { "/:x", "/a%00", -EBADMSG, "" },
		{ "/a", "/b%0", -EBADMSG, "" },
	};
	char params[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = fits(cases[i].pattern, cases[i].path, params);

		KT_CHECKF(ret == cases[i].want && !strcmp(params, cases[i].params),
			  "%s %s: %d \"%s\"", cases[i].pattern, cases[i].path, ret,
			  params);
	}
}

static int said;

static void count_log(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
	said++;
}

KT_TEST(routes_that_cannot_be_are_refused_with_a_reason)
{
	static const char *const bad[] = {
		"", "a", "a/b", "//", "//a", "/a//b", "/:", "/*", "/:a b", "/*r/b",
		"/*r/", "/:x/:x", "/:x/*x", "/:\xc3\xa9",
	};
	PULSE_OPTS(pulse_ws_route, nobody, .path = "/x");
	PULSE_OPTS(pulse_ws_route, nowhere, .on_http = any_page);
	PULSE_OPTS(pulse_ws_route, later, .path = "/later", .on_http = any_page);
	char path[PULSE_WS_ROUTE_PATH_MAX + 8], *at = path;

	KT_EQ(pulse_ws_router_create(&router), 0);
	pulse_log_set_sink(count_log, NULL);
	said = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		KT_CHECKF(add(bad[i]) == -EINVAL, "\"%s\"", bad[i]);
	KT_EQ(said, ARRAY_SIZE(bad));
	KT_EQ(pulse_ws_router_add(router, &nobody), -EINVAL);
	KT_EQ(pulse_ws_router_add(router, &nowhere), -EINVAL);
	for (int i = 0; i <= PULSE_WS_ROUTE_PARAMS_MAX; i++)
		at += sprintf(at, "/:p%d", i);
	KT_EQ(add(path), -EINVAL);
	*strrchr(path, '/') = 0;
	KT_EQ(add(path), 0);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[PULSE_WS_ROUTE_PATH_MAX + 1] = 0;
	KT_EQ(add(path), -EINVAL);
	path[PULSE_WS_ROUTE_PATH_MAX] = 0;
	KT_EQ(add(path), 0);
	KT_EQ(said, ARRAY_SIZE(bad) + 4);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(add("/a/:x"), 0);
	KT_EQ(add("/a/:other"), -EEXIST);
	KT_EQ(add("/a/*x"), 0);
	KT_EQ(add("/a/x"), 0);
	KT_EQ(add("/a/x"), -EEXIST);
	later.sz = sizeof(later) + 1000;
	KT_EQ(pulse_ws_router_add(router, NULL), -EINVAL);
	KT_EQ(pulse_ws_router_add(NULL, &nobody), -EINVAL);
	later.sz = 4;
	KT_EQ(pulse_ws_router_add(router, &later), -EINVAL);
	KT_EQ(pulse_ws_router_create(NULL), -EINVAL);
	KT_EQ(pulse_ws_router_destroy(NULL), -EINVAL);
	KT_EQ(pulse_ws_router_request(NULL, NULL, NULL, NULL), 500);
	KT_EQ(pulse_ws_router_http(NULL, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_router_use(router, "a", NULL), -EINVAL);
	KT_EQ(pulse_ws_router_use(router, NULL, NULL), -EINVAL);
	KT_CHECK(!pulse_ws_router_chain(router, "/none"));
	KT_CHECK(!pulse_ws_router_chain(NULL, "/"));
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

KT_TEST(arguments_of_a_query)
{
	static const struct {
		const char *query, *name;
		int want;
		const char *value;
	} cases[] = {
		{ "a=1&b=2", "a", 1, "1" }, { "a=1&b=2", "b", 1, "2" },
		{ "a=1&a=2", "a", 1, "1" }, { "a", "a", 0, "" },
		{ "a=", "a", 0, "" }, { "ab=1", "a", -ENOENT, "" },
		{ "a=1", "ab", -ENOENT, "" }, { NULL, "a", -ENOENT, "" },
		{ "", "a", -ENOENT, "" }, { "&&a=1", "a", 1, "1" },
		{ "a=b=c", "a", 3, "b=c" }, { "a=x+y%2B", "a", 4, "x y+" },
		{ "%61=1", "a", 1, "1" }, { "a+b=1", "a b", 1, "1" },
		{ "a=%4", "a", -EBADMSG, "" }, { "a=x%00", "a", -EBADMSG, "" },
		{ "%4=1&a=2", "a", 1, "2" }, { "a=1234567", "a", 7, "1234567" },
		{ "a=12345678", "a", -ENOSPC, "" },
	};
	struct pulse_ws_request request = { 0 };
	char value[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret;

		request.query = cases[i].query;
		ret = pulse_ws_request_arg(&request, cases[i].name, value,
					   sizeof(value));
		KT_CHECKF(ret == cases[i].want && !strcmp(value, cases[i].value),
			  "%s %s: %d \"%s\"", cases[i].query, cases[i].name, ret,
			  value);
	}
	KT_EQ(pulse_ws_request_arg(NULL, "a", value, 8), -EINVAL);
	KT_EQ(pulse_ws_request_arg(&request, "", value, 8), -EINVAL);
	KT_EQ(pulse_ws_request_arg(&request, "a", value, 0), -EINVAL);
	/* Without a route there are no parameters. */
	KT_EQ(pulse_ws_route_param(&request, "a", value, 8), -ENOENT);
	KT_EQ(pulse_ws_route_param(NULL, "a", value, 8), -EINVAL);
}

KT_TEST(what_is_asked_for_may_be_anything)
{
	static const char *const patterns[] = {
		"/", "/:a/b/*c", "/x/:y", "/*r", "/%41/:b",
	};
	static const char signs[] = "/%:*ax04+&=\xff";
	uint32_t seed = 7;
	char path[24], params[512];
	long fitted = 0;

	for (long i = 0; i < kt_scale(200000); i++) {
		size_t len;

		seed = seed * 1664525 + 1013904223;
		len = 1 + (seed >> 24) % (sizeof(path) - 2);
		path[0] = '/';
		for (size_t k = 1; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			path[k] = signs[(seed >> 16) % (sizeof(signs) - 1)];
		}
		path[len] = 0;
		fitted += fits(patterns[(size_t)i % ARRAY_SIZE(patterns)], path,
			       params) > 0;
	}
	KT_CHECK(fitted > 0);
}

/* ---- with a server -------------------------------------------------------------- */

static char visits[256];
static pthread_mutex_t visits_lock = PTHREAD_MUTEX_INITIALIZER;

static void visit(const char *what)
{
	pthread_mutex_lock(&visits_lock);
	strncat(visits, what, sizeof(visits) - strlen(visits) - 1);
	strncat(visits, " ", sizeof(visits) - strlen(visits) - 1);
	pthread_mutex_unlock(&visits_lock);
}

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	return pulse_ws_router_request(arg, conn, request, answer);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	pulse_ws_router_http(arg, conn, request);
}

static int enter(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request,
		 struct pulse_ws_answer *answer, void *arg)
{
	char room[16];

	(void)conn;
	if (pulse_ws_route_param(request, "room", room, sizeof(room)) < 0)
		return 400;
	if (!strcmp(room, "closed"))
		return 403;
	answer->user = arg;
	visit(room);
	return 0;
}

static void page(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request, void *arg)
{
	char text[128], rest[64] = "", q[16] = "";

	pulse_ws_route_param(request, "rest", rest, sizeof(rest));
	pulse_ws_request_arg(request, "q", q, sizeof(q));
	snprintf(text, sizeof(text), "%s:%s:%s", (const char *)arg, rest, q);
	KT_EQ(pulse_ws_http_reply(conn, 200, "text/plain", text, strlen(text)), 0);
}

static void silent(struct pulse_ws_conn *conn,
		   const struct pulse_ws_request *request, void *arg)
{
	(void)conn;
	(void)request;
	(void)arg;
}

static int note_link(struct pulse_chain_event *event,
		     const struct pulse_next *next, void *arg)
{
	const struct pulse_ws_visit *v = event->reply;
	char what[64];
	int ret;

	KT_CHECK(event->source && v->request);
	KT_EQ(v->answer != NULL, event->type == PULSE_WS_VISIT_OPEN);
	KT_EQ(strlen(pulse_ws_request_path(v->request)), event->len);
	ret = pulse_next_run(next, event);
	snprintf(what, sizeof(what), "%s(%s)=%d", (const char *)arg,
		 v->route ? v->route : "-", ret);
	visit(what);
	return ret;
}

/* Who has no ticket is refused; one page it answers itself. */
static int ticket_link(struct pulse_chain_event *event,
		       const struct pulse_next *next, void *arg)
{
	const struct pulse_ws_visit *v = event->reply;
	char ticket[8];

	(void)arg;
	if (pulse_ws_request_arg(v->request, "ticket", ticket, sizeof(ticket)) > 0)
		return pulse_next_run(next, event);
	if (!strcmp(pulse_ws_request_path(v->request), "/admin/teapot")) {
		KT_EQ(pulse_ws_http_reply(event->source, 418, "text/plain", "t", 1),
		      0);
		return 0;
	}
	return 401;
}

static int broken_link(struct pulse_chain_event *event,
		       const struct pulse_next *next, void *arg)
{
	(void)event;
	(void)next;
	(void)arg;
	return -EIO;
}

static bool shows(struct pulse_ws_server *server, const char *path,
		  const char *want)
{
	struct peer p = peer_connect(server);
	char text[512];
	bool ok;

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	ok = peer_say(&p, text) && peer_status(&p) == 200 &&
	     peer_fill(&p, strlen(want)) &&
	     !memcmp(p.in + p.at, want, strlen(want));
	peer_close(&p);
	return ok;
}

static bool visits_so_far(const char *want)
{
	bool same;

	pthread_mutex_lock(&visits_lock);
	same = !strcmp(visits, want);
	pthread_mutex_unlock(&visits_lock);
	return same;
}

/* A link may be through a moment after the peer has its answer. */
static void visits_are(const char *want)
{
	KT_CHECKF(EVENTUALLY(visits_so_far(want)), "\"%s\"", visits);
	pthread_mutex_lock(&visits_lock);
	visits[0] = 0;
	pthread_mutex_unlock(&visits_lock);
}

static struct pulse_ws_server *serve_routes(void)
{
	static struct pulse_ws_handlers h;
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	PULSE_OPTS(pulse_ws_route, room, .path = "/rooms/:room",
		   .on_request = enter, .arg = visits);
	PULSE_OPTS(pulse_ws_route, lobby, .path = "/rooms/lobby",
		   .on_http = page, .arg = (void *)"lobby");
	PULSE_OPTS(pulse_ws_route, files, .path = "/files/*rest",
		   .on_http = page, .arg = (void *)"files");
	PULSE_OPTS(pulse_ws_route, admin, .path = "/admin/:rest",
		   .on_http = page, .on_request = enter, .arg = (void *)"admin");
	PULSE_OPTS(pulse_ws_route, empty, .path = "/empty", .on_http = silent);

	KT_EQ(pulse_ws_router_create(&router), 0);
	h = (struct pulse_ws_handlers){ .sz = sizeof(h),
		.on_request = on_request, .on_http = on_http,
		.on_message = echo_back };
	o.arg = router;
	KT_EQ(pulse_ws_router_add(router, &room), 0);
	KT_EQ(pulse_ws_router_add(router, &files), 0);
	KT_EQ(pulse_ws_router_add(router, &lobby), 0);
	KT_EQ(pulse_ws_router_add(router, &admin), 0);
	KT_EQ(pulse_ws_router_add(router, &empty), 0);
	visits[0] = 0;
	return serve(&o);
}

KT_TEST(each_path_is_answered_by_its_route)
{
	struct pulse_ws_server *server = serve_routes();

	KT_EQ(peer_status_of(server, "/rooms/red", true), 101);
	KT_EQ(peer_status_of(server, "/rooms/%72ed", true), 101);
	visits_are("red red ");
	KT_EQ(peer_status_of(server, "/rooms/closed", true), 403);
	KT_EQ(peer_status_of(server, "/rooms/red", false), 426);
	/* A word goes before a parameter, whoever was added first. */
	KT_CHECK(shows(server, "/rooms/lobby?q=a+b", "lobby::a b"));
	KT_EQ(peer_status_of(server, "/rooms/lobby", true), 404);
	KT_CHECK(shows(server, "/files/a/b%20c.txt?x=1&q=%41", "files:a/b c.txt:A"));
	KT_EQ(peer_status_of(server, "/files/", false), 404);
	KT_EQ(peer_status_of(server, "/none", false), 404);
	KT_EQ(peer_status_of(server, "/none", true), 404);
	KT_EQ(peer_status_of(server, "/empty", false), 404);
	KT_EQ(peer_status_of(server, "/files/%zz", false), 400);
	KT_EQ(peer_status_of(server, "/files/%00", true), 400);
	/* Whole URLs, as proxies send them. */
	KT_EQ(peer_status_of(server, "http://a/files/x", false), 200);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

KT_TEST(groups_have_middleware_that_no_spelling_passes_by)
{
	PULSE_OPTS(pulse_link, all, .name = "all", .fn = note_link,
		   .arg = (void *)"all");
	PULSE_OPTS(pulse_link, sub, .name = "sub", .fn = note_link,
		   .arg = (void *)"sub");
	PULSE_OPTS(pulse_link, ticket, .name = "ticket", .fn = ticket_link);
	PULSE_OPTS(pulse_link, broken, .name = "broken", .fn = broken_link);
	struct pulse_ws_server *server = serve_routes();

	/* Added in the other order; the shorter prefix stands in front. */
	KT_EQ(pulse_ws_router_use(router, "/admin", &ticket), 0);
	KT_EQ(pulse_ws_router_use(router, "/admin/", &sub), 0);	/* the same */
	KT_EQ(pulse_ws_router_use(router, "/", &all), 0);
	KT_EQ(pulse_ws_router_use(router, "/", &all), -EEXIST);

	KT_CHECK(shows(server, "/admin/x?ticket=1", "admin:x:"));
	visits_are("sub(/admin/:rest)=0 all(/admin/:rest)=0 ");
	KT_EQ(peer_status_of(server, "/admin/x", false), 401);
	KT_EQ(peer_status_of(server, "/%61dmin/x", false), 401);
	KT_EQ(peer_status_of(server, "/admin/x", true), 401);
	KT_EQ(peer_status_of(server, "/admin/teapot", false), 418);
	visits_are("all(/admin/:rest)=401 all(/admin/:rest)=401 "
		 "all(/admin/:rest)=401 all(/admin/:rest)=0 ");
	/* Others are not concerned; what fits nowhere is all's. */
	KT_CHECK(shows(server, "/files/x", "files:x:"));
	KT_EQ(peer_status_of(server, "/administrator/x", false), 404);
	KT_EQ(peer_status_of(server, "/rooms/red", true), 101);
	visits_are("all(/files/*rest)=0 all(-)=404 red "
		 "all(/rooms/:room)=0 ");

	/* Changed while it serves. */
	KT_EQ(pulse_ws_router_use(router, "/rooms/:room", &broken), 0);
	KT_EQ(peer_status_of(server, "/rooms/red", true), 500);
	KT_EQ(pulse_chain_remove(pulse_ws_router_chain(router, "/rooms/:room"),
				 "broken"), 0);
	KT_EQ(peer_status_of(server, "/rooms/red", true), 101);
	KT_EQ(pulse_chain_remove(pulse_ws_router_chain(router, "/admin"),
				 "ticket"), 0);
	KT_CHECK(shows(server, "/admin/x", "admin:x:"));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

/* More groups than there may be. */
KT_TEST(groups_have_a_limit)
{
	PULSE_OPTS(pulse_link, l, .name = "l", .fn = note_link);
	char prefix[16];

	KT_EQ(pulse_ws_router_create(&router), 0);
	for (int i = 0; i < PULSE_WS_GROUPS_MAX; i++) {
		snprintf(prefix, sizeof(prefix), "/g%d", i);
		KT_EQ(pulse_ws_router_use(router, prefix, &l), 0);
	}
	KT_EQ(pulse_ws_router_use(router, "/more", &l), -ENOSPC);
	KT_EQ(pulse_ws_router_use(router, "/g7/", &l), -EEXIST);
	KT_CHECK(pulse_ws_router_chain(router, "/g7"));
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

static void *adds_routes(void *arg)
{
	char path[32];

	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/%s%d/:x", (const char *)arg, i);
		KT_EQ(add(path), 0);
	}
	return NULL;
}

KT_TEST(routes_are_added_while_it_serves)
{
	struct pulse_ws_server *server = serve_routes();
	pthread_t t[2];

	KT_EQ(pthread_create(&t[0], NULL, adds_routes, (void *)"a"), 0);
	KT_EQ(pthread_create(&t[1], NULL, adds_routes, (void *)"z"), 0);
	for (int i = 0; i < 50; i++)
		KT_CHECK(shows(server, "/files/x", "files:x:"));
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	KT_EQ(peer_status_of(server, "/z199/y", false), 404);
	for (int i = 0; i < 200; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/%c%d/:y", i & 1 ? 'a' : 'z', i);
		KT_EQ(add(path), -EEXIST);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_router_destroy(router), 0);
}

KT_TEST(each_allocation_may_fail)
{
	PULSE_OPTS(pulse_link, l, .name = "l", .fn = note_link);
	bool failed = true;

	for (long n = 1; failed && n < 100; n++) {
		int err;

		router = NULL;
		pulse__alloc_fail_at(n);
		err = pulse_ws_router_create(&router);
		if (!err)
			err = add("/a");
		if (!err)
			err = add("/b/:c");
		if (!err)
			err = pulse_ws_router_use(router, "/b", &l);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		if (router)
			KT_EQ(pulse_ws_router_destroy(router), 0);
	}
	KT_CHECK(!failed);
}

KT_MAIN()

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * route.c - routes and groups: who answers for a path, and what stands before it.
 *
 * Routes stand in an array, the more literal ones first, under a lock for reading
 * that is held for the search alone; a route lives as long as its router.
 */
#include "ws/route.h"
#include "ws/ws_int.h"

#include <stdio.h>

struct group {
	char *prefix;
	size_t len;		/* of it; 0: all routes */
	struct pulse_chain *chain;
};

struct pulse_ws_router {
	pthread_rwlock_t lock;		/* the words below */
	size_t nr, room;
	struct pulse__ws_route **route;	/* by pulse__ws_route_order() */
	size_t nr_groups;
	struct group group[PULSE_WS_GROUPS_MAX];	/* by length */
};

/* One request on its way, on its caller's stack. */
struct run {
	struct pulse_ws_visit visit;	/* first: what links see */
	struct pulse_ws_request request;
	struct pulse__ws_fit fit;
	struct pulse_ws_conn *conn;
	const struct pulse__ws_route *route;
	char *allow;			/* not empty: it does not take the method */
	struct pulse_chain *chain[PULSE_WS_GROUPS_MAX];
	size_t nr, at;			/* chains; the next one */
	int type;
	bool said;			/* Allow is in the answer */
};

/* ---- life ----------------------------------------------------------------- */

int pulse_ws_router_create(struct pulse_ws_router **out)
{
	struct pulse_ws_router *r;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	r = pulse__calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = -pthread_rwlock_init(&r->lock, NULL);
	if (err) {
		pulse__free(r);
		return err;
	}
	*out = r;
	return 0;
}

int pulse_ws_router_destroy(struct pulse_ws_router *r)
{
	if (!r)
		return -EINVAL;
	for (size_t i = 0; i < r->nr; i++)
		pulse__ws_route_free(r->route[i]);
	for (size_t i = 0; i < r->nr_groups; i++) {
		pulse_chain_destroy(r->group[i].chain);
		pulse__free(r->group[i].prefix);
	}
	pulse__free(r->route);
	pthread_rwlock_destroy(&r->lock);
	pulse__free(r);
	return 0;
}

/* ---- routes --------------------------------------------------------------- */

/* Under the lock. */
static int insert(struct pulse_ws_router *r, struct pulse__ws_route *route)
{
	struct pulse__ws_route **more;
	size_t at = 0, room;
	int order;

	for (; at < r->nr; at++) {
		order = pulse__ws_route_order(r->route[at], route);
		if (!order && pulse__ws_methods_meet(r->route[at]->methods,
						     route->methods))
			return -EEXIST;
		if (order > 0)
			break;
	}
	if (r->nr == r->room) {
		room = r->room ? 2 * r->room : 8;
		more = pulse__realloc(r->route, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->route = more;
		r->room = room;
	}
	memmove(&r->route[at + 1], &r->route[at],
		(r->nr - at) * sizeof(*r->route));
	r->route[at] = route;
	r->nr++;
	return 0;
}

int pulse_ws_router_add(struct pulse_ws_router *r,
			const struct pulse_ws_route *user)
{
	struct pulse__ws_route *route;
	struct pulse_ws_route o;
	int err;

	if (!r || !user)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), arg),
			       user);
	if (err)
		return err;
	if (!o.path || (!o.on_request && !o.on_http)) {
		pulse_log(PULSE_LOG_ERROR, "ws: route %s: %s", o.path ? o.path : "",
			  o.path ? "set on_request, on_http or both" :
			  "set a path");
		return -EINVAL;
	}
	err = pulse__ws_route_new(&o, &route);
	if (err)
		return err;
	pthread_rwlock_wrlock(&r->lock);
	err = insert(r, route);
	pthread_rwlock_unlock(&r->lock);
	if (err)
		pulse__ws_route_free(route);
	return err;
}

/* ---- groups --------------------------------------------------------------- */

static int go_on(struct pulse_chain_event *event, void *arg);

static bool prefix_ok(const char *prefix, size_t *len)
{
	if (!prefix || *prefix != '/')
		return false;
	*len = strlen(prefix);
	while (*len && prefix[*len - 1] == '/')	/* "/" is "" */
		--*len;
	return *len <= PULSE_WS_ROUTE_PATH_MAX;
}

/* Under the lock. */
static struct group *find_group(struct pulse_ws_router *r, const char *prefix,
				size_t len)
{
	for (size_t i = 0; i < r->nr_groups; i++)
		if (r->group[i].len == len &&
		    !memcmp(r->group[i].prefix, prefix, len))
			return &r->group[i];
	return NULL;
}

/* Under the lock: a new one, in its place. */
static int make_group(struct pulse_ws_router *r, const char *prefix, size_t len,
		      struct group **out)
{
	PULSE_OPTS(pulse_chain_opts, o, .handler = go_on);
	struct group g = { .len = len };
	size_t at = r->nr_groups;
	int err;

	if (at == PULSE_WS_GROUPS_MAX)
		return -ENOSPC;
	g.prefix = pulse__strdup(prefix);
	if (!g.prefix)
		return -ENOMEM;
	err = pulse_chain_create(&o, &g.chain);
	if (err) {
		pulse__free(g.prefix);
		return err;
	}
	for (; at && r->group[at - 1].len > len; at--)
		r->group[at] = r->group[at - 1];
	r->group[at] = g;
	r->nr_groups++;
	*out = &r->group[at];
	return 0;
}

int pulse_ws_router_use(struct pulse_ws_router *r, const char *prefix,
			const struct pulse_link *link)
{
	struct pulse_chain *chain = NULL;
	struct group *g;
	size_t len;
	int err = 0;

	if (!r || !prefix_ok(prefix, &len) || !link)
		return -EINVAL;
	pthread_rwlock_wrlock(&r->lock);
	g = find_group(r, prefix, len);
	if (!g)
		err = make_group(r, prefix, len, &g);
	if (!err)
		chain = g->chain;
	pthread_rwlock_unlock(&r->lock);
	return err ? err : pulse_chain_use(chain, link, NULL);
}

struct pulse_chain *pulse_ws_router_chain(struct pulse_ws_router *r,
					  const char *prefix)
{
	struct pulse_chain *chain = NULL;
	struct group *g;
	size_t len;

	if (!r || !prefix_ok(prefix, &len))
		return NULL;
	pthread_rwlock_rdlock(&r->lock);
	g = find_group(r, prefix, len);
	if (g)
		chain = g->chain;
	pthread_rwlock_unlock(&r->lock);
	return chain;
}

/* ---- a request ------------------------------------------------------------ */

/* Of a route's own path, not of what was asked for: no spelling leads past. */
static bool in_group(const struct group *g, const struct pulse__ws_route *route)
{
	if (!g->len)
		return true;
	return route && !strncmp(route->path, g->prefix, g->len) &&
	       (!route->path[g->len] || route->path[g->len] == '/');
}

/*
 * Under the lock: the first route that fits and takes the method; or the first one
 * that fits, whose groups stand before the refusal. As find_way().
 */
static int find_route(struct pulse_ws_router *r, struct run *run)
{
	const char *path = run->request.path;
	const char *method = pulse_ws_request_method(&run->request);

	for (size_t i = 0; i < r->nr; i++) {
		const struct pulse__ws_route *route = r->route[i];
		struct pulse__ws_fit fit;
		int fits = pulse__ws_route_fits(route, path, &fit);
		bool takes;

		if (fits < 0)
			return 400;
		if (!fits)
			continue;
		takes = pulse__ws_methods_have(route->methods, method);
		if (takes || !run->route) {
			run->route = route;
			run->fit = fit;
		}
		if (takes) {
			*run->allow = 0;
			return 0;
		}
		pulse__ws_methods_allow(route->methods, run->allow);
	}
	return 0;
}

/* 0 or 400. */
static int find_way(struct pulse_ws_router *r, struct run *run)
{
	int ret;

	pthread_rwlock_rdlock(&r->lock);
	ret = find_route(r, run);
	for (size_t i = 0; i < r->nr_groups; i++)
		if (in_group(&r->group[i], run->route))
			run->chain[run->nr++] = r->group[i].chain;
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

/* A link may come here more than once: it is said once. */
static int not_allowed(struct run *run)
{
	if (!run->said)
		(void)pulse_ws_http_field(run->conn, "Allow", run->allow);
	run->said = true;
	return 405;
}

/* The end of all chains. */
static int arrive(struct run *run)
{
	const struct pulse__ws_route *route = run->route;

	if (!route)
		return 404;
	if (unlikely(*run->allow))
		return not_allowed(run);
	if (run->type == PULSE_WS_VISIT_OPEN)
		return route->o.on_request ?
		       route->o.on_request(run->conn, &run->request,
					   run->visit.answer, route->o.arg) : 404;
	if (!route->o.on_http)
		return 426;
	route->o.on_http(run->conn, &run->request, route->o.arg);
	return 0;
}

/* The end of a group's chain, which a link may run more than once. */
static int go_on(struct pulse_chain_event *event, void *arg)
{
	struct run *run = event->reply;
	size_t at;
	int ret;

	(void)arg;
	if (!run)		/* a link made an event of its own without it */
		return -EINVAL;
	at = run->at;
	if (at == run->nr)
		return arrive(run);
	run->at = at + 1;
	ret = pulse_chain_run(run->chain[at], event);
	run->at = at;
	return ret;
}

/* 0 or an HTTP status. */
static int visit(struct pulse_ws_router *r, struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request,
		 struct pulse_ws_answer *answer, int type)
{
	char allow[PULSE__WS_ALLOW_MAX];
	struct run run = { .request = *request, .conn = conn, .type = type,
			   .allow = allow };
	PULSE_OPTS(pulse_chain_event, event, .type = type,
		   .data = request->path, .len = strlen(request->path),
		   .source = conn, .reply = &run);
	int ret;

	*allow = 0;
	run.request.fit = &run.fit;
	run.visit.request = &run.request;
	run.visit.answer = answer;
	ret = find_way(r, &run);
	if (ret)
		return ret;
	run.visit.route = run.route ? run.route->path : NULL;
	ret = go_on(&event, NULL);
	return !ret || (ret >= 300 && ret <= 599) ? ret : 500;
}

int pulse_ws_router_request(struct pulse_ws_router *r,
			    struct pulse_ws_conn *conn,
			    const struct pulse_ws_request *request,
			    struct pulse_ws_answer *answer)
{
	if (!r || !conn || !request || !answer)
		return 500;
	return visit(r, conn, request, answer, PULSE_WS_VISIT_OPEN);
}

int pulse_ws_router_http(struct pulse_ws_router *r, struct pulse_ws_conn *conn,
			 const struct pulse_ws_request *request)
{
	int status;

	if (!r || !conn || !request)
		return -EINVAL;
	status = visit(r, conn, request, NULL, PULSE_WS_VISIT_PAGE);
	/* A link may have answered, and refused all the same. */
	if (status && pulse__ws_state(conn) == PULSE__WS_HEAD && !conn->doomed)
		pulse__ws_refuse(conn, status);
	return status;
}

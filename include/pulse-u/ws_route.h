/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_route.h - which handler a path belongs to: routes with parameters, groups of
 * them with middleware of their own.
 *
 *	pulse_ws_router_create(&router);
 *	PULSE_OPTS(pulse_ws_route, room, .path = "/rooms/:room",
 *		   .on_request = enter);
 *	PULSE_OPTS(pulse_ws_route, files, .path = "/files/" "*name",
 *		   .on_http = send_file);
 *	pulse_ws_router_add(router, &room);
 *	pulse_ws_router_add(router, &files);
 *	pulse_ws_router_use(router, "/rooms", &has_a_ticket);
 *	...
 *	static int on_request(conn, request, answer, arg)
 *	{
 *		return pulse_ws_router_request(router, conn, request, answer);
 *	}
 *
 * A segment ":name" stands for one that is not empty, "*name" at the end for all
 * the rest. Where several routes fit, the one that has words where the others have
 * parameters is taken, from the left. Words are compared with what the path says
 * once its %XX are undone, so that no spelling leads past a route or its group.
 *
 * A route may name the methods it answers, and several routes of one path others
 * each. Where a path fits and its method does not, routes with fewer words are
 * looked at, and then it is 405 with the field Allow. HEAD is answered as GET is,
 * opening handshakes are GET. Methods beside these two come in where any_method
 * of the server's options lets them.
 *
 * Routes may be added and middleware changed while servers run, by any thread.
 */
#ifndef PULSE_U_WS_ROUTE_H
#define PULSE_U_WS_ROUTE_H

#include <pulse-u/handler.h>
#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ws_router;

#define PULSE_WS_ROUTE_PATH_MAX	  1024	/* bytes of a route's path */
#define PULSE_WS_ROUTE_PARAMS_MAX 16	/* parameters of one route */
#define PULSE_WS_GROUPS_MAX	  64	/* groups of one router */
#define PULSE_WS_METHODS_MAX	  256	/* bytes of a route's list of methods */

/**
 * struct pulse_ws_route - a path, and who answers there
 * @sz: sizeof(struct pulse_ws_route)
 * @path: begins with "/"; copied
 * @on_request: as in struct pulse_ws_handlers: an opening handshake comes; NULL:
 *	it gets 404
 * @on_http: as there: a plain request comes; NULL: it gets 426
 * @arg: for both
 * @methods: "GET", "POST, DELETE": tokens between commas or blanks, in capitals as
 *	requests have them; copied; default NULL: GET
 */
struct pulse_ws_route {
	size_t sz;
	const char *path;
	int (*on_request)(struct pulse_ws_conn *conn,
			  const struct pulse_ws_request *request,
			  struct pulse_ws_answer *answer, void *arg);
	void (*on_http)(struct pulse_ws_conn *conn,
			const struct pulse_ws_request *request, void *arg);
	void *arg;
	const char *methods;
};

/**
 * pulse_ws_router_create() - make a router without routes
 * @out: the router
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_ws_router_create(struct pulse_ws_router **out);

/**
 * pulse_ws_router_destroy() - end a router
 * @router: no server asks it any more
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_ws_router_destroy(struct pulse_ws_router *router);

/**
 * pulse_ws_router_add() - add a route
 * @router: the router
 * @route: copied
 *
 * Return: 0; -EINVAL also: nobody answers there, a path or methods that cannot be
 * (the log says why); -EEXIST a route fits the same paths and methods; -E2BIG
 * unknown options; -ENOMEM.
 */
PULSE_API int pulse_ws_router_add(struct pulse_ws_router *router,
				  const struct pulse_ws_route *route);

/* What middleware of a group sees as type of its event. */
enum pulse_ws_visit_type {
	PULSE_WS_VISIT_OPEN = 1,	/* an opening handshake */
	PULSE_WS_VISIT_PAGE = 2,	/* a plain request */
};

/**
 * struct pulse_ws_visit - what middleware of a group finds in its event's reply
 * @request: with the parameters of the route
 * @answer: of an opening handshake; else NULL
 * @route: path of the route, as it was added, also where its methods do not fit;
 *	NULL: none fits
 *
 * The event's type is an enum pulse_ws_visit_type, its source the connection, its
 * data and len the path that was asked for.
 */
struct pulse_ws_visit {
	const struct pulse_ws_request *request;
	struct pulse_ws_answer *answer;
	const char *route;
};

/**
 * pulse_ws_router_use() - add middleware to a group of routes
 * @router: the router
 * @prefix: of the paths of its routes, ending where a segment ends; "/": all, and
 *	paths that no route fits
 * @link: copied; stands behind those that the group has
 *
 * Groups with shorter prefixes come first. A link returns what pulse_next_run()
 * did: 0, or an HTTP status from 300 to 599; one that does not go on refuses with
 * such a status or, where a page was asked for, answers itself and returns 0. A
 * negative errno becomes 500, unless another link recovers it.
 *
 * Return: as pulse_chain_use(); -ENOSPC also PULSE_WS_GROUPS_MAX.
 */
PULSE_API int pulse_ws_router_use(struct pulse_ws_router *router,
				  const char *prefix,
				  const struct pulse_link *link);

/**
 * pulse_ws_router_chain() - the middleware of a group, to be changed
 * @router: the router
 * @prefix: as given to pulse_ws_router_use()
 *
 * Return: the chain, which stays the router's; NULL there is no such group.
 */
PULSE_API struct pulse_chain *
pulse_ws_router_chain(struct pulse_ws_router *router, const char *prefix);

/**
 * pulse_ws_router_request() - answer an opening handshake, in on_request
 * @router: the router
 * @conn: as on_request was given it
 * @request: likewise
 * @answer: likewise
 *
 * Return: what on_request is to return: 0; an HTTP status: 404 where no route
 * fits, 405 where none has GET, 400 where the path has a "%" that makes no sense;
 * 500 for NULL.
 */
PULSE_API int pulse_ws_router_request(struct pulse_ws_router *router,
				      struct pulse_ws_conn *conn,
				      const struct pulse_ws_request *request,
				      struct pulse_ws_answer *answer);

/**
 * pulse_ws_router_http() - answer a plain request, in on_http
 * @router: the router
 * @conn: as on_http was given it
 * @request: likewise
 *
 * Return: 0 it was answered, or is by the server with 404; the status that it was
 * refused with; -EINVAL.
 */
PULSE_API int pulse_ws_router_http(struct pulse_ws_router *router,
				   struct pulse_ws_conn *conn,
				   const struct pulse_ws_request *request);

/**
 * pulse_ws_route_param() - a parameter of the path, with its %XX undone
 * @request: as a route's function or middleware was given it
 * @name: without the ":" or "*"
 * @buf: out: its value and a 0
 * @len: room in @buf
 *
 * Return: bytes of the value; -ENOENT there is none of that name; -ENOSPC no room;
 * -EINVAL.
 */
PULSE_API int pulse_ws_route_param(const struct pulse_ws_request *request,
				   const char *name, char *buf, size_t len);

/**
 * pulse_ws_request_arg() - an argument of the query: "name=value" between "&"
 * @request: any request, with a route or without
 * @name: as it is once its %XX are undone
 * @buf: out: the value of the first one, %XX undone, "+" a blank, and a 0; "" where
 *	there is no "="
 * @len: room in @buf
 *
 * Return: bytes of the value; -ENOENT there is none of that name; -EBADMSG a "%"
 * in it that makes no sense, or stands for 0; -ENOSPC no room; -EINVAL.
 */
PULSE_API int pulse_ws_request_arg(const struct pulse_ws_request *request,
				   const char *name, char *buf, size_t len);

/* ---- messages ------------------------------------------------------------- */

/**
 * pulse_ws_chain_run() - handle a message with a chain, in on_message
 * @chain: its links and its handler find the opcode as the event's type, the
 *	connection as its source, and the message as its data
 * @conn: as on_message was given it
 * @opcode: likewise
 * @data: likewise
 * @len: likewise
 *
 * A run that fails closes the connection with 1011.
 *
 * Return: as pulse_chain_run(); -EINVAL.
 */
PULSE_API int pulse_ws_chain_run(struct pulse_chain *chain,
				 struct pulse_ws_conn *conn, int opcode,
				 const void *data, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_ROUTE_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * routes.c - paths with parameters, and a group that wants a key:
 *
 *	http://HOST:PORT/hello/NAME		a page
 *	ws://HOST:PORT/echo			echo
 *	http://HOST:PORT/admin/PAGE?key=sesame	401 without the key
 *	ws://HOST:PORT/later?key=sesame		echo; another thread decides
 *
 * usage: routes [--listen ADDR:PORT]		until SIGINT or SIGTERM
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse-u/pulse.h>

static void page(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request, void *arg)
{
	char name[100], text[128];
	int n = pulse_ws_route_param(request, "name", name, sizeof(name));

	n = n < 0 ? 0 : snprintf(text, sizeof(text), "%s, %s\n", (char *)arg, name);
	pulse_ws_http_reply(conn, n ? 200 : 400, "text/plain", text, (size_t)n);
}

static int welcome(struct pulse_ws_conn *conn, const struct pulse_ws_request *request,
		   struct pulse_ws_answer *answer, void *arg)
{
	(void)conn, (void)request, (void)answer, (void)arg;
	return 0;
}

struct visitor {
	struct pulse_ws_conn *conn;
	char key[32];
};

/* Somebody who may take his time, while the server goes on. */
static void *judge(void *arg)
{
	struct visitor *v = arg;

	if (strcmp(v->key, "sesame"))
		pulse_ws_refuse(v->conn, 401, "which key?\n", NULL);
	else
		pulse_ws_accept(v->conn, NULL);
	pulse_ws_put(v->conn);
	free(v);
	return NULL;
}

static int ask_later(struct pulse_ws_conn *conn, const struct pulse_ws_request *request,
		     struct pulse_ws_answer *answer, void *arg)
{
	struct visitor *v = calloc(1, sizeof(*v));
	pthread_t thread;

	(void)answer, (void)arg;
	if (!v || pulse_ws_defer(conn)) {
		free(v);
		return 500;
	}
	if (pulse_ws_request_arg(request, "key", v->key, sizeof(v->key)) < 0)
		v->key[0] = 0;
	v->conn = pulse_ws_get(conn);
	if (!pthread_create(&thread, NULL, judge, v))
		return pthread_detach(thread), 0;
	pulse_ws_put(v->conn);
	free(v);
	return 503;
}

static int wants_key(struct pulse_chain_event *event,
		     const struct pulse_next *next, void *arg)
{
	const struct pulse_ws_visit *visit = event->reply;
	char key[32];

	if (pulse_ws_request_arg(visit->request, "key", key, sizeof(key)) < 0 ||
	    strcmp(key, arg))
		return 401;
	return pulse_next_run(next, event);
}

static int on_request(struct pulse_ws_conn *conn, const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *router)
{
	return pulse_ws_router_request(router, conn, request, answer);
}

static void on_http(struct pulse_ws_conn *conn, const struct pulse_ws_request *request,
		    void *router)
{
	pulse_ws_router_http(router, conn, request);
}

static void on_message(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, void *router)
{
	(void)router;
	pulse_ws_send(conn, opcode, data, len);
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_ws_route, hello, .path = "/hello/:name", .on_http = page,
		   .arg = (void *)"hello");
	PULSE_OPTS(pulse_ws_route, admin, .path = "/admin/:name", .on_http = page,
		   .arg = (void *)"at your service");
	PULSE_OPTS(pulse_ws_route, echo, .path = "/echo", .on_request = welcome);
	PULSE_OPTS(pulse_ws_route, later, .path = "/later", .on_request = ask_later);
	PULSE_OPTS(pulse_link, key, .name = "key", .fn = wants_key,
		   .arg = (void *)"sesame");
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_http = on_http, .on_message = on_message);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h,
		   .listen = argc > 2 ? argv[2] : "127.0.0.1:8080");
	struct pulse_ws_server *server;
	struct pulse_ws_router *router;
	char where[PULSE_ADDRESS_MAX];
	sigset_t end;
	int sig, err;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--listen"))) {
		fprintf(stderr, "usage: routes [--listen ADDR:PORT]\n");
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	if (pulse_ws_router_create(&router) || pulse_ws_router_add(router, &hello) ||
	    pulse_ws_router_add(router, &admin) || pulse_ws_router_add(router, &echo) ||
	    pulse_ws_router_add(router, &later) ||
	    pulse_ws_router_use(router, "/admin", &key))
		return 1;
	o.arg = router;
	err = pulse_ws_server_create(&o, &server);
	if (!err)
		err = pulse_ws_server_start(server);
	if (err)
		return fprintf(stderr, "routes: %s: %s\n", o.listen,
			       pulse_strerror(err)), 1;
	pulse_ws_server_address(server, where, sizeof(where));
	printf("routes on http://%s/\n", where);
	fflush(stdout);
	sigwait(&end, &sig);
	pulse_ws_server_drain(server, pulse_now_ns() + 5000000000LL);
	pulse_ws_server_destroy(server);
	return pulse_ws_router_destroy(router) ? 1 : 0;
}

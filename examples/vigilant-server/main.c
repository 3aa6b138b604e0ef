// SPDX-License-Identifier: GPL-2.0-only
/*
 * vigilant-server - the show-piece: echo on /echo, a live page on /.
 *
 * Loops read and write the connections, the pool's workers answer the
 * messages, and both are workers of one context, so that the page can show
 * each of them as the kernel sees it.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "feed.h"

extern const char _binary_page_html_start[], _binary_page_html_end[];

/* What a connection is for; its user pointer says which. */
static const char role_echo, role_feed;

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	const char *path = pulse_ws_request_path(request);

	(void)conn;
	(void)arg;
	if (!strcmp(path, "/echo"))
		answer->user = (void *)&role_echo;
	else if (!strcmp(path, "/feed"))
		answer->user = (void *)&role_feed;
	else
		return 404;
	return 0;
}

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	if (pulse_ws_conn_user(conn) == &role_feed && feed_join(arg, conn))
		pulse_ws_close(conn, PULSE_WS_TRY_LATER, NULL, 0);
}

static void on_message(struct pulse_ws_conn *conn, int opcode,
		       const void *data, size_t len, void *arg)
{
	(void)arg;
	if (pulse_ws_conn_user(conn) == &role_echo)
		pulse_ws_send(conn, opcode, data, len);
}

static void on_close(struct pulse_ws_conn *conn, int code, const char *reason,
		     size_t len, void *arg)
{
	(void)code;
	(void)reason;
	(void)len;
	if (pulse_ws_conn_user(conn) == &role_feed)
		feed_leave(arg, conn);
}

static void on_http(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request, void *arg)
{
	(void)arg;
	if (!strcmp(pulse_ws_request_path(request), "/"))
		pulse_ws_http_reply(conn, 200, "text/html; charset=utf-8",
				    _binary_page_html_start,
				    (size_t)(_binary_page_html_end -
					     _binary_page_html_start));
}

static const char usage[] =
	"usage: vigilant-server [OPTION...]\n"
	"\n"
	"WebSocket echo on /echo, a live page of its workers on /.\n"
	"\n"
	"  --listen ADDR:PORT   where (default 127.0.0.1:8080; port 0: any free one)\n"
	"  --threads N          loops that read and write connections (default 1)\n"
	"  --workers N          workers that answer messages (default: one a core)\n"
	"  --backend KIND       auto, kernel or user (default auto)\n"
	"  --help, --version\n"
	"\n"
	"SIGINT or SIGTERM closes all connections in order, then ends.\n";

struct options {
	const char *listen;
	unsigned int threads, workers;
	int backend;
};

static unsigned int number(const char *name, const char *text, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > max) {
		fprintf(stderr, "vigilant-server: --%s wants a number from 1 to %u, not \"%s\"\n",
			name, max, text);
		exit(2);
	}
	return (unsigned int)n;
}

static int backend_kind(const char *text)
{
	if (!strcmp(text, "auto"))
		return PULSE_BACKEND_AUTO;
	if (!strcmp(text, "kernel"))
		return PULSE_BACKEND_KERNEL;
	if (!strcmp(text, "user"))
		return PULSE_BACKEND_USER;
	fprintf(stderr, "vigilant-server: --backend wants auto, kernel or user, not \"%s\"\n",
		text);
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "threads", required_argument, NULL, 't' },
		{ "workers", required_argument, NULL, 'w' },
		{ "backend", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'l':
			o->listen = optarg;
			break;
		case 't':
			o->threads = number("threads", optarg, 256);
			break;
		case 'w':
			o->workers = number("workers", optarg, 1024);
			break;
		case 'b':
			o->backend = backend_kind(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'v':
			printf("vigilant-server %s\n", pulse_version());
			exit(0);
		default:
			fputs("try --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vigilant-server: unknown argument \"%s\"; try --help\n",
			argv[optind]);
		exit(2);
	}
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "vigilant-server: %s: %s\n", what, pulse_strerror(err));
	return 1;
}

/* Ten times a second the figures go out, until a signal comes. */
static int serve(struct pulse_ws_server *server, struct feed *feed,
		 const sigset_t *ends)
{
	const struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };
	int sig;

	while ((sig = sigtimedwait(ends, NULL, &tick)) < 0)
		if (errno == EAGAIN)
			feed_send(feed, server);
	return sig;
}

int main(int argc, char **argv)
{
	struct options o = { .listen = "127.0.0.1:8080", .threads = 1 };
	struct pulse_backend_info backend = { .sz = sizeof(backend) };
	struct pulse_ws_server *server = NULL;
	struct pulse_pool *pool = NULL;
	struct pulse_ctx *ctx = NULL;
	struct feed *feed = NULL;
	char address[128];
	sigset_t ends;
	int err, rc = 1;

	parse(argc, argv, &o);
	/* Before the first thread: all of them inherit the mask. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	if (o.backend != PULSE_BACKEND_AUTO)
		pulse_backend_select(o.backend);
	err = pulse_backend_info(&backend);
	if (err) {
		fprintf(stderr, "vigilant-server: no kernel backend: %s\nfix: %s\n",
			backend.reason, backend.fix);
		return 1;
	}

	PULSE_OPTS(pulse_ctx_opts, ctx_opts, .max_workers = FEED_WORKERS);
	err = pulse_ctx_create(&ctx_opts, &ctx);
	if (err)
		return fail("context", err);
	PULSE_OPTS(pulse_pool_opts, pool_opts, .num_workers = o.workers,
		   .name = "vigilant", .ctx = ctx);
	err = pulse_pool_create(&pool_opts, &pool);
	if (err) {
		fail("pool", err);
		goto out;
	}
	feed = feed_create(ctx, pool, &backend);
	if (!feed) {
		fail("feed", -ENOMEM);
		goto out;
	}

	PULSE_OPTS(pulse_ws_handlers, handlers, .on_request = on_request,
		   .on_open = on_open, .on_message = on_message,
		   .on_close = on_close, .on_http = on_http);
	PULSE_OPTS(pulse_ws_opts, opts, .listen = o.listen,
		   .handlers = &handlers, .arg = feed, .pool = pool,
		   .ctx = ctx, .threads = o.threads);
	err = pulse_ws_server_create(&opts, &server);
	if (!err)
		err = pulse_ws_server_start(server);
	if (!err)
		err = pulse_ws_server_address(server, address, sizeof(address));
	if (err) {
		fail(o.listen, err);
		goto out;
	}
	printf("vigilant-server: http://%s/ is the live page, ws://%s/echo echoes; Ctrl-C ends\n",
	       address, address);
	fflush(stdout);

	serve(server, feed, &ends);
	printf("\nvigilant-server: closing the connections\n");
	fflush(stdout);
	err = pulse_ws_server_drain(server, pulse_now_ns() + 10 * 1000000000LL);
	if (err)
		fail("some connections were cut off", err);
	rc = err ? 1 : 0;
out:
	if (server)
		pulse_ws_server_destroy(server);
	if (pool)
		pulse_pool_destroy(pool);
	if (feed)
		feed_destroy(feed);
	pulse_ctx_destroy(ctx);
	return rc;
}

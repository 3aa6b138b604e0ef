// SPDX-License-Identifier: GPL-2.0-only
/*
 * vigilant-server - the show-piece: a live page on /, chat rooms on /room, echo
 * on /echo, what is supervised on /health and /metrics.
 *
 * Loops read and write the connections, the pool's workers answer the messages
 * and run the rooms' actors, and both are workers of one context, so that the
 * page can show each of them as the kernel sees it. A process counts what is
 * said, and may be crashed from the page.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "web.h"

static const char usage[] =
	"usage: vigilant-server [OPTION...]\n"
	"\n"
	"A live page on /; WebSockets: chat rooms on /room, echo on /echo.\n"
	"What is supervised: /health (JSON) and /metrics (Prometheus).\n"
	"\n"
	"  --listen ADDR:PORT   where (default 127.0.0.1:8080; port 0: any free one)\n"
	"  --threads N          loops that read and write connections (default 1)\n"
	"  --workers N          workers that answer messages (default: one a core)\n"
	"  --visitors N         connections at a time (default 10000)\n"
	"  --backend KIND       auto, kernel or user (default auto)\n"
	"  --help, --version\n"
	"\n"
	"On SIGINT or SIGTERM what was accepted is told and recorded, all connections\n"
	"are closed in order, and it ends.\n";

struct options {
	const char *listen;
	unsigned int threads, workers, visitors;
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
		{ "visitors", required_argument, NULL, 'n' },
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
		case 'n':
			o->visitors = number("visitors", optarg, 1000000);
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

/* Ten times a second the figures go out, until a signal comes. 0; 1 it failed. */
static int serve(struct pulse_ws_server *server, struct feed *feed,
		 struct web *web, struct house *house, const sigset_t *ends)
{
	const struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };

	while (sigtimedwait(ends, NULL, &tick) < 0) {
		if (errno != EAGAIN)
			continue;
		if (house_ended(house)) {
			fputs("vigilant-server: too many failures\n", stderr);
			return 1;
		}
		feed_send(feed, server, web, house);
	}
	return 0;
}

/* First what was accepted, then the connections, then the children. */
static int drain(struct pulse_ws_server *server, struct house *house)
{
	int64_t until = pulse_now_ns() + 10 * 1000000000LL;
	struct rooms_figures f;
	int err, rc = 0;

	printf("\nvigilant-server: closing the connections\n");
	fflush(stdout);
	err = house_drain(house, until);
	if (err)
		rc = fail("not all lines were recorded", err);
	err = pulse_ws_server_drain(server, until);
	if (err)
		rc = fail("some connections were cut off", err);
	err = house_stop(house);
	if (err)
		rc = fail("children", err);
	rooms_figures(house_rooms(house), &f);
	printf("vigilant-server: %llu lines accepted, %llu told, %llu lost\n",
	       (unsigned long long)f.accepted, (unsigned long long)f.told,
	       (unsigned long long)f.lost);
	return rc;
}

/* Says why there is none, and how to get it. */
static int look_at_backend(const struct options *o,
			   struct pulse_backend_info *backend)
{
	int err;

	if (o->backend != PULSE_BACKEND_AUTO)
		pulse_backend_select(o->backend);
	err = pulse_backend_info(backend);
	if (err)
		fprintf(stderr, "vigilant-server: no kernel backend: %s\nfix: %s\n",
			backend->reason, backend->fix);
	return err;
}

int main(int argc, char **argv)
{
	struct options o = { .listen = "127.0.0.1:8080", .threads = 1,
			     .visitors = 10000 };
	struct pulse_backend_info backend = { .sz = sizeof(backend) };
	struct pulse_ws_server *server = NULL;
	struct pulse_pool *pool = NULL;
	struct pulse_ctx *ctx = NULL;
	struct house *house = NULL;
	struct feed *feed = NULL;
	struct web *web = NULL;
	char address[128];
	sigset_t ends;
	int err, rc = 1;

	parse(argc, argv, &o);
	/* Before the first thread: all of them inherit the mask. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	if (look_at_backend(&o, &backend))
		return 1;
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
	err = house_create(pool, &house);
	if (err) {
		fail("children", err);
		goto out;
	}
	feed = feed_create(ctx, pool, &backend);
	web = feed ? web_create(feed, house, o.visitors) : NULL;
	if (!web) {
		fail("feed", -ENOMEM);
		goto out;
	}

	PULSE_OPTS(pulse_ws_opts, opts, .listen = o.listen,
		   .handlers = web_handlers(), .arg = web, .pool = pool,
		   .ctx = ctx, .threads = o.threads);
	/* It listens before the service manager is told that all is ready. */
	err = pulse_ws_server_create(&opts, &server);
	if (!err)
		err = house_start(house);
	if (!err)
		err = pulse_ws_server_start(server);
	if (!err)
		err = pulse_ws_server_address(server, address, sizeof(address));
	if (err) {
		if (err == -EINVAL)
			fputs("vigilant-server: --listen wants ADDRESS:PORT\n",
			      stderr);
		fail(o.listen, err);
		goto out;
	}
	printf("vigilant-server: http://%s/ is the live page, ws://%s/echo echoes; Ctrl-C ends\n",
	       address, address);
	fflush(stdout);

	rc = serve(server, feed, web, house, &ends);
	rc |= drain(server, house);
out:
	if (server)
		pulse_ws_server_destroy(server);
	if (house)
		house_destroy(house);
	if (pool)
		pulse_pool_destroy(pool);
	if (web)
		web_destroy(web);
	if (feed)
		feed_destroy(feed);
	pulse_ctx_destroy(ctx);
	return rc;
}

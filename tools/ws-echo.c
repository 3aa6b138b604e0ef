// SPDX-License-Identifier: GPL-2.0-only
/*
 * ws-echo - a WebSocket server that sends every message back.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse-u/backend.h>
#include <pulse-u/poller.h>
#include <pulse-u/transport.h>
#include <pulse-u/tls.h>
#include <pulse-u/ws.h>

#define DRAIN_NS	(5 * 1000000000LL)

struct args {
	const char *listen;
	const char *cert;
	const char *key;
	uint32_t threads;
	uint64_t max_message;
	uint32_t level;		/* of compression; 0: none */
	uint32_t spin_us;
	int backend, poller;
};

static void usage(FILE *to)
{
	fputs("usage: ws-echo [--listen ADDR:PORT] [--threads N]\n"
	      "               [--backend auto|kernel|user] [--max-message BYTES]\n"
	      "               [--deflate[=LEVEL]] [--cert FILE [--key FILE]]\n"
	      "               [--poller auto|epoll|io_uring] [--spin MICROSECONDS]\n"
	      "\n"
	      "A WebSocket server that sends every message back, on any path.\n"
	      "\n"
	      "  --listen ADDR:PORT   default 127.0.0.1:8080; port 0: any free one\n"
	      "  --threads N          loops, 1 to 256; default 1\n"
	      "  --backend NAME       where workers are registered; default auto\n"
	      "  --max-message BYTES  longer ones close with 1009; default 16777216\n"
	      "  --deflate[=LEVEL]    permessage-deflate with peers that offer it,\n"
	      "                       level 1 (fast) to 9 (small), default 6\n"
	      "  --cert FILE          serve wss: with this certificate (PEM)\n"
	      "  --key FILE           its key; default: in the same file\n"
	      "  --poller NAME        what loops wait with; default auto\n"
	      "  --spin MICROSECONDS  how long a loop looks before it sleeps; default 0\n"
	      "  --help, --version\n"
	      "\n"
	      "SIGINT and SIGTERM close all connections with 1001 and end it.\n", to);
}

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "ws-echo: %s: %s; see ws-echo --help\n", what, value);
	return 2;
}

static int number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9' ||
	    *out < min || *out > max)
		return -EINVAL;
	return 0;
}

/* Which of three names; the constants of both enums begin so. */
static int which(const char *name, const char *const names[3])
{
	for (int i = 0; i < 3; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -EINVAL;
}

/* 0: go on; otherwise 1 + the exit status. */
static int parse(int argc, char **argv, struct args *a)
{
	static const char *const backends[3] = { "auto", "kernel", "user" };
	static const char *const pollers[3] = { "auto", "epoll", "io_uring" };
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "threads", required_argument, NULL, 't' },
		{ "backend", required_argument, NULL, 'b' },
		{ "max-message", required_argument, NULL, 'm' },
		{ "deflate", optional_argument, NULL, 'd' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "poller", required_argument, NULL, 'p' },
		{ "spin", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			a->listen = optarg;
			break;
		case 't':
			if (number(optarg, 1, 256, &n))
				return 1 + bad("--threads takes 1 to 256", optarg);
			a->threads = (uint32_t)n;
			break;
		case 'b':
			a->backend = which(optarg, backends);
			if (a->backend < 0)
				return 1 + bad("--backend takes auto, kernel or user",
					       optarg);
			break;
		case 'm':
			if (number(optarg, 1, INT64_MAX, &a->max_message))
				return 1 + bad("--max-message takes a number of bytes",
					       optarg);
			break;
		case 'd':
			n = 6;
			if (optarg && number(optarg, 1, 9, &n))
				return 1 + bad("--deflate takes a level from 1 to 9",
					       optarg);
			a->level = (uint32_t)n;
			break;
		case 'c':
			a->cert = optarg;
			break;
		case 'k':
			a->key = optarg;
			break;
		case 'p':
			a->poller = which(optarg, pollers);
			if (a->poller < 0)
				return 1 + bad("--poller takes auto, epoll or io_uring",
					       optarg);
			break;
		case 's':
			if (number(optarg, 0, 1000000, &n))
				return 1 + bad("--spin takes microseconds, 0 to 1000000",
					       optarg);
			a->spin_us = (uint32_t)n;
			break;
		case 'h':
			usage(stdout);
			return 1;
		case 'v':
			printf("ws-echo (Pulse) %s\n", pulse_version());
			return 1;
		default:
			fputs("see ws-echo --help\n", stderr);
			return 1 + 2;
		}
	}
	if (optind < argc)
		return 1 + bad("no such argument", argv[optind]);
	return 0;
}

static void echo(struct pulse_ws_conn *conn, int opcode, const void *data,
		 size_t len, void *arg)
{
	(void)arg;
	pulse_ws_send(conn, opcode, data, len);
}

/*
 * The library's own lines, but for what we say ourselves while starting; what it
 * does not understand of the environment it alone can say.
 */
static void say(int level, const char *line, void *serving)
{
	(void)level;
	if (*(const bool *)serving || !strncmp(line, "PULSE_", 6))
		fprintf(stderr, "ws-echo: %s\n", line);
}

static int choose_backend(int kind)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	int err, info_err;

	err = kind ? pulse_backend_select(kind) : 0;
	info_err = pulse_backend_info(&info);

	if (!err)
		err = info_err;
	if (err) {
		fprintf(stderr, "ws-echo: no %s backend: %s%s%s\n",
			kind == PULSE_BACKEND_KERNEL ? "kernel" : "such",
			info.reason ? info.reason : pulse_strerror(err),
			info.fix && *info.fix ? "; " : "",
			info.fix ? info.fix : "");
		return err;
	}
	printf("backend: %s (%s)\n", info.name, info.reason);
	return 0;
}

static int serve(const struct args *a, struct pulse_ctx *ctx,
		 const sigset_t *signals, bool *serving)
{
	PULSE_OPTS(pulse_ws_handlers, handlers, .on_message = echo);
	PULSE_OPTS(pulse_ws_deflate_opts, deflate, .level = a->level);
	PULSE_OPTS(pulse_ws_opts, opts, .listen = a->listen,
		   .threads = a->threads, .handlers = &handlers, .ctx = ctx,
		   .max_message_bytes = a->max_message,
		   .poller = a->poller, .spin_us = a->spin_us,
		   .deflate = a->level ? &deflate : NULL);
	PULSE_OPTS(pulse_tls_opts, tls, .cert_file = a->cert, .key_file = a->key);
	struct pulse_ws_server *server;
	char where[PULSE_ADDRESS_MAX], listen[PULSE_ADDRESS_MAX];
	int err, sig;

	if (a->cert) {
		snprintf(listen, sizeof(listen), "tls:%s", a->listen);
		opts.listen = listen;
		err = pulse_tls_create(&tls, &opts.tls);
		if (err) {
			fprintf(stderr, "ws-echo: cannot use %s: %s\n", a->cert,
				pulse_strerror(err));
			return 1;
		}
	}
	err = pulse_ws_server_create(&opts, &server);
	if (a->cert)
		pulse_tls_destroy(opts.tls);
	if (err == -EINVAL)
		return bad("--listen takes ADDR:PORT", a->listen);
	if (!err)
		err = pulse_ws_server_start(server);
	if (err) {
		fprintf(stderr, "ws-echo: cannot serve on %s: %s\n", a->listen,
			pulse_strerror(err));
		return 1;
	}
	*serving = true;
	pulse_ws_server_address(server, where, sizeof(where));
	printf("listening on %s\n", where);
	fflush(stdout);
	sigwait(signals, &sig);
	pulse_ws_server_drain(server, pulse_now_ns() + DRAIN_NS);
	pulse_ws_server_destroy(server);
	return 0;
}

int main(int argc, char **argv)
{
	struct args a = { .listen = "127.0.0.1:8080", .threads = 1 };
	PULSE_OPTS(pulse_ctx_opts, co, .max_workers = 0);
	struct pulse_ctx *ctx;
	bool serving = false;
	sigset_t signals;
	int rc = parse(argc, argv, &a);

	if (rc)
		return rc - 1;
	pulse_log_set_sink(say, &serving);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (choose_backend(a.backend))
		return 1;
	co.max_workers = a.threads;
	rc = pulse_ctx_create(&co, &ctx);
	if (rc) {
		fprintf(stderr, "ws-echo: no context: %s\n", pulse_strerror(rc));
		return 1;
	}
	rc = serve(&a, ctx, &signals, &serving);
	pulse_ctx_destroy(ctx);
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * args.c - the command line of pulse-wsbench.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE *to)
{
	fputs("usage: pulse-wsbench [OPTION...] URL\n"
	      "\n"
	      "Sends messages to an echo server, checks what comes back, and tells how\n"
	      "many a second there were and how long they took. URL is\n"
	      "ws://HOST:PORT/PATH, or tcp://HOST:PORT for the same bytes without\n"
	      "WebSocket to a server that sends every byte back.\n"
	      "\n"
	      "  -c, --connections N   default 1, up to 1000000\n"
	      "  -s, --size BYTES      of a message; K and M are understood; default 20\n"
	      "  -d, --depth N         messages under way on each connection; default 1\n"
	      "  -r, --rate N          messages a second in all, sent when they are due,\n"
	      "                        whatever is slow; default 0: as fast as they come\n"
	      "                        back\n"
	      "  -t, --duration SEC    measured time; default 5\n"
	      "  -w, --warmup SEC      before it; default 0.5\n"
	      "  -n, --messages N      end after N messages in all, without a warm-up\n"
	      "  -T, --threads N       default 1\n"
	      "      --text            text messages; default: binary\n"
	      "      --deflate         compressed messages (permessage-deflate, without\n"
	      "                        context takeover)\n"
	      "      --no-verify       do not compare what comes back\n"
	      "      --idle            open the connections and only hold them\n"
	      "      --spin            look for answers without sleeping: a core is busy\n"
	      "      --timeout SEC     to connect all, and for the last answers; default 30\n"
	      "  -j, --json            one JSON object instead of text\n"
	      "      --help, --version\n"
	      "\n"
	      "Exit status: 0 all was well; 1 a connection or a message was not; 2 usage.\n",
	      to);
}

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "pulse-wsbench: %s: '%s'; see pulse-wsbench --help\n",
		what, value);
	return 1 + 2;
}

static int count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;
	uint64_t unit = 1;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*end == 'K' || *end == 'k')
		unit = 1 << 10;
	else if (*end == 'M' || *end == 'm')
		unit = 1 << 20;
	if (unit > 1)
		end++;
	if (errno || *end || *out > UINT64_MAX / unit)
		return -EINVAL;
	*out *= unit;
	return *out < min || *out > max ? -EINVAL : 0;
}

static int real(const char *text, double min, double max, double *out)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '.')
		return -EINVAL;
	errno = 0;
	*out = strtod(text, &end);
	if (errno || *end || !(*out >= min && *out <= max))
		return -EINVAL;
	return 0;
}

/* HOST:PORT, [HOST]:PORT or HOST, of which the port is 80. */
static int resolve(struct args *a, const char *host, size_t len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	char name[256];
	const char *port = "80";
	char *colon, *at = name;

	if (!len || len >= sizeof(name))
		return -EINVAL;
	memcpy(name, host, len);
	name[len] = 0;
	memcpy(a->host, name, len + 1);
	colon = strrchr(name, ':');
	if (*name == '[') {
		char *close = strchr(name, ']');

		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		colon = close[1] ? close + 1 : NULL;
		*close = 0;
		at++;
	}
	if (colon) {
		*colon = 0;
		port = colon + 1;
	}
	if (!*at || !*port || strspn(port, "0123456789") != strlen(port) ||
	    strlen(port) > 5 || atoi(port) > 65535)
		return -EINVAL;
	if (getaddrinfo(at, port, &hints, &found))
		return -ENXIO;
	memcpy(&a->sa, found->ai_addr, found->ai_addrlen);
	a->sa_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int url(struct args *a, const char *text)
{
	const char *host = strstr(text, "://"), *slash;
	size_t scheme = host ? (size_t)(host - text) : 0;
	int err;

	a->url = text;
	a->raw = scheme == 3 && !strncmp(text, "tcp", 3);
	if (!a->raw && (scheme != 2 || strncmp(text, "ws", 2)))
		return bad("URL begins with ws:// or tcp://", text);
	host += 3;
	slash = strchrnul(host, '/');
	err = resolve(a, host, (size_t)(slash - host));
	if (err)
		return bad(err == -ENXIO ? "no such host" :
			   "URL is ws://HOST:PORT/PATH", text);
	if (strlen(slash) >= sizeof(a->path) || strpbrk(slash, " \r\n\t#"))
		return bad("not a path of a URL", slash);
	strcpy(a->path, *slash ? slash : "/");
	return 0;
}

static int seconds(const char *text, double min, const char *what, int64_t *out)
{
	double s;

	if (real(text, min, 86400, &s))
		return bad(what, text);
	*out = (int64_t)(s * (double)NSEC_PER_SEC);
	return 0;
}

static int option(struct args *a, int c)
{
	uint64_t n;

	switch (c) {
	case 'c':
		if (count(optarg, 1, 1000000, &n))
			return bad("--connections takes 1 to 1000000", optarg);
		a->connections = (uint32_t)n;
		return 0;
	case 's':
		if (count(optarg, 0, 64 << 20, &a->size))
			return bad("--size takes 0 to 64M", optarg);
		return 0;
	case 'd':
		if (count(optarg, 1, 65536, &n))
			return bad("--depth takes 1 to 65536", optarg);
		a->depth = (uint32_t)n;
		return 0;
	case 'r':
		if (real(optarg, 0, 1e9, &a->rate))
			return bad("--rate takes messages a second, 0 to 1000000000",
				   optarg);
		return 0;
	case 't':
		return seconds(optarg, 0.01, "--duration takes seconds, 0.01 to 86400",
			       &a->duration_ns);
	case 'w':
		return seconds(optarg, 0, "--warmup takes seconds, up to 86400",
			       &a->warmup_ns);
	case 'o':
		return seconds(optarg, 0.1, "--timeout takes seconds, 0.1 to 86400",
			       &a->timeout_ns);
	case 'n':
		if (count(optarg, 1, UINT64_MAX / 2, &a->messages))
			return bad("--messages takes a number from 1 on", optarg);
		return 0;
	case 'T':
		if (count(optarg, 1, 256, &n))
			return bad("--threads takes 1 to 256", optarg);
		a->threads = (uint32_t)n;
		return 0;
	case 'x':
		a->text = true;
		return 0;
	case 'z':
		a->deflate = true;
		return 0;
	case 'V':
		a->verify = false;
		return 0;
	case 'i':
		a->idle = true;
		return 0;
	case 'S':
		a->spin = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'h':
		usage(stdout);
		return 1;
	case 'v':
		printf("pulse-wsbench (Pulse) %s\n", pulse_version());
		return 1;
	default:
		fputs("see pulse-wsbench --help\n", stderr);
		return 1 + 2;
	}
}

int args_parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "connections", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "depth", required_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ "duration", required_argument, NULL, 't' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "messages", required_argument, NULL, 'n' },
		{ "threads", required_argument, NULL, 'T' },
		{ "timeout", required_argument, NULL, 'o' },
		{ "text", no_argument, NULL, 'x' },
		{ "deflate", no_argument, NULL, 'z' },
		{ "no-verify", no_argument, NULL, 'V' },
		{ "idle", no_argument, NULL, 'i' },
		{ "spin", no_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc;

	*a = (struct args){
		.connections = 1, .depth = 1, .threads = 1, .size = 20,
		.verify = true, .duration_ns = 5 * NSEC_PER_SEC,
		.warmup_ns = NSEC_PER_SEC / 2, .timeout_ns = 30 * NSEC_PER_SEC,
	};
	while ((c = getopt_long(argc, argv, "c:s:d:r:t:w:n:T:j", options,
				NULL)) != -1) {
		rc = option(a, c);
		if (rc)
			return rc;
	}
	if (optind == argc) {
		usage(stderr);
		return 1 + 2;
	}
	if (optind + 1 < argc)
		return bad("one URL, not two", argv[optind + 1]);
	rc = url(a, argv[optind]);
	if (rc)
		return rc;
	if (a->raw && a->deflate)
		return bad("--deflate needs WebSocket, not", a->url);
	if (a->threads > a->connections)
		a->threads = a->connections;
	if ((a->size + 14) * (a->depth + MAX_VARIANTS) > 1U << 30)
		return bad("--size times --depth is over 1 GiB for",
			   a->size > a->depth ? "--size" : "--depth");
	return 0;
}

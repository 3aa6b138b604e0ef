// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_wscast.c - a message to 1,000 subscribers, and messages echoed with
 * compression, beside npm's ws. Figures are the server's CPU time: for each copy
 * a subscriber gets, and for each message echoed. The server has CPU 0, the
 * connections, which are raw sockets here, the last one.
 *
 * usage: bench_wscast [rounds [group]]
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

#include <pulse-u/transport.h>
#include <pulse-u/ws_topic.h>

#include "base/base.h"
#include "contend.h"

#define BYTES	512
#define DEPTH	4

static long messages;		/* of the generator, in a run */
static int conns;
static bool packing;

/* ---- servers: processes of their own ------------------------------------------ */

struct server {
	pid_t pid;
	int port;
	int in;			/* its end is the server's */
};

static void bind_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void subscribe(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	if (!packing)
		pulse_ws_subscribe(conn, "all");
}

static void on_message(struct pulse_ws_conn *conn, int op, const void *data,
		       size_t len, void *arg)
{
	struct pulse_ws_server **server = arg;

	if (packing)
		pulse_ws_send(conn, op, data, len);
	else
		pulse_ws_publish(*server, "all", NULL, op, data, len);
}

static void serve_pulse(int out)
{
	struct pulse_ws_server *server;
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = subscribe,
		   .on_message = on_message);
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 6);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .arg = &server,
		   .deflate = packing ? &d : NULL);
	char where[PULSE_ADDRESS_MAX], c;

	if (pulse_ws_server_create(&o, &server) ||
	    pulse_ws_server_start(server) ||
	    pulse_ws_server_address(server, where, sizeof(where)))
		_exit(1);
	dprintf(out, "%s\n", strrchr(where, ':') + 1);
	while (read(0, &c, 1) > 0)
		;
	pulse_ws_server_destroy(server);
	_exit(0);
}

static struct server start(bool npm)
{
	int to[2], from[2];
	struct server s;
	char line[32] = "";

	if (pipe(to) || pipe(from))
		exit(1);
	s.pid = fork();
	if (!s.pid) {
		bind_to(0);
		dup2(to[0], 0);
		close(to[1]);
		if (!npm)
			serve_pulse(from[1]);
		dup2(from[1], 1);
		execl("/bin/bash", "bash", "-c",
		      "d=$(selftests/interop/npm_ws) || exit 77\n"
		      "NODE_PATH=$d/node_modules exec node "
		      "selftests/bench/peer_ws.js $0", packing ? "pack" : "cast",
		      NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	s.in = to[1];
	s.port = read(from[0], line, sizeof(line) - 1) > 0 ? atoi(line) : 0;
	close(from[0]);
	return s;
}

static void stop(struct server *s)
{
	close(s->in);
	waitpid(s->pid, NULL, 0);
}

static double cpu_of(pid_t pid)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		exit(1);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- the generator -------------------------------------------------------------- */

struct link {
	int fd;
	uint8_t hdr[4];		/* of the frame under way */
	size_t have, left;
};

static int dial(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const char get[] =
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	char text[1024];
	size_t n = 0;

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		exit(1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	dprintf(fd, get, packing ? "Sec-WebSocket-Extensions: permessage-deflate;"
		" client_no_context_takeover\r\n" : "");
	while (n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4))
		if (n == sizeof(text) || recv(fd, text + n++, 1, 0) != 1)
			exit(1);
	if (memcmp(text, "HTTP/1.1 101", 12) ||
	    !!memmem(text, n, "permessage-deflate", 18) != packing) {
		fprintf(stderr, "bench_wscast: %.*s\n", (int)n, text);
		exit(1);
	}
	return fd;
}

/* Half a kilobyte of JSON, as a frame, compressed if need be. */
static size_t make_frame(uint8_t *frame)
{
	uint8_t json[BYTES + 100], packed[BYTES];
	const uint8_t *data = json;
	size_t len = 0, n = 4;

	for (int i = 0; len < BYTES; i++)
		len += (size_t)sprintf((char *)json + len,
				       "%c\"field%d\":{\"id\":%d,\"ok\":%s}",
				       i ? ',' : '{', i, i * 7919 % 10007,
				       i % 3 ? "true" : "false");
	len = BYTES;
	json[BYTES - 1] = '}';
	if (packing) {
		z_stream z = { .next_in = json, .avail_in = BYTES,
			       .next_out = packed, .avail_out = sizeof(packed) };

		if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, 0) != Z_OK ||
		    deflate(&z, Z_SYNC_FLUSH) != Z_OK)
			exit(1);
		len = sizeof(packed) - z.avail_out - 4;
		deflateEnd(&z);
		data = packed;
	}
	frame[0] = packing ? 0xc1 : 0x81;
	if (len > 125) {
		frame[1] = 0x80 | 126;
		frame[2] = (uint8_t)(len >> 8);
		frame[3] = (uint8_t)len;
	} else {
		frame[1] = (uint8_t)(0x80 | len);
		n = 2;
	}
	memset(frame + n, 0, 4);	/* a mask of zeros */
	memcpy(frame + n + 4, data, len);
	return n + 4 + len;
}

/* How many frames end in these bytes. */
static long count_frames(struct link *l, const uint8_t *p, size_t n)
{
	long frames = 0;

	while (n) {
		size_t take;

		if (l->left) {
			take = n < l->left ? n : l->left;
			l->left -= take;
			frames += !l->left;
			p += take;
			n -= take;
			continue;
		}
		l->hdr[l->have++] = *p++;
		n--;
		if (l->have == 2 && l->hdr[1] < 126) {
			l->left = l->hdr[1];
			l->have = 0;
		} else if (l->have == 4) {
			l->left = (size_t)l->hdr[2] << 8 | l->hdr[3];
			l->have = 0;
		}
	}
	return frames;
}

static void put(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k <= 0)
			exit(1);
		p += k;
		n -= (size_t)k;
	}
}

static long receive(int ep, struct link *links, uint8_t *frame, size_t len,
		    long *to_send)
{
	static uint8_t buf[1 << 16];
	struct epoll_event ev[256];
	long got = 0;
	int nr = epoll_wait(ep, ev, 256, 30000);

	if (nr <= 0)
		exit(1);
	for (int i = 0; i < nr; i++) {
		struct link *l = &links[ev[i].data.u32];
		ssize_t n = recv(l->fd, buf, sizeof(buf), MSG_DONTWAIT);
		long frames = n > 0 ? count_frames(l, buf, (size_t)n) : 0;

		if (!n)
			exit(1);
		got += frames;
		for (; packing && frames && *to_send; frames--, --*to_send)
			put(l->fd, frame, len);
	}
	return got;
}

/* Server CPU nanoseconds for each frame that arrives here. */
static double run_load(bool npm)
{
	struct server s = start(npm);
	struct link *links = calloc((size_t)conns, sizeof(*links));
	int ep = epoll_create1(EPOLL_CLOEXEC);
	long got = 0, sent = 0, want, warm, to_send;
	uint8_t frame[BYTES + 16];
	size_t len = make_frame(frame);
	double before = 0;

	if (!s.port) {
		stop(&s);
		free(links);
		close(ep);
		return -1;
	}
	for (int i = 0; i < conns; i++) {
		struct epoll_event ev = { .events = EPOLLIN,
					  .data.u32 = (uint32_t)i };

		links[i].fd = dial(s.port);
		epoll_ctl(ep, EPOLL_CTL_ADD, links[i].fd, &ev);
	}
	want = packing ? messages : messages * conns;
	warm = want / 4;
	to_send = messages;
	for (int i = 0; packing && i < conns * DEPTH; i++, to_send--)
		put(links[i % conns].fd, frame, len);
	while (got < want) {
		/* A few messages to all are under way at any time. */
		while (!packing && sent < messages && sent < got / conns + DEPTH) {
			put(links[sent % conns].fd, frame, len);
			sent++;
		}
		got += receive(ep, links, frame, len, &to_send);
		if (!before && got >= warm) {
			before = cpu_of(s.pid);
			warm = got;
		}
	}
	before = (cpu_of(s.pid) - before) / (double)(want - warm);
	for (int i = 0; i < conns; i++)
		close(links[i].fd);
	close(ep);
	free(links);
	stop(&s);
	return before;
}

static double run_pulse(void)
{
	return run_load(false);
}

static double run_npm(void)
{
	return run_load(true);
}

static struct group cast = {
	"broadcast", "CPU ns for each copy of a message of 512 B to 1,000 subscribers", {
		{ .name = "pulse", .run = run_pulse },
		{ .name = "npm ws", .run = run_npm, .peer = true },
	}
};

static struct group pack = {
	"deflate", "CPU ns for each message of 512 B echoed with permessage-deflate", {
		{ .name = "pulse", .run = run_pulse },
		{ .name = "npm ws", .run = run_npm, .peer = true },
	}
};

static void run_group(struct group *g, int rounds, long n, int links, bool packs)
{
	messages = n;
	conns = links;
	packing = packs;
	for (int r = 0; r < rounds; r++)
		for (int i = 0; g->c[i].name; i++)
			g->c[i].ns[r] = g->c[i].run();
	report("wscast", g, rounds);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	const char *only = argc > 2 ? argv[2] : NULL;
	struct rlimit files = { 8192, 8192 };

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "bench_wscast: 1 to %d rounds, not %s\n",
			MAX_ROUNDS, argv[1]);
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &files);
	bind_to((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (!only || !strcmp(only, "broadcast"))
		run_group(&cast, rounds, 400, 1000, false);
	if (!only || !strcmp(only, "deflate"))
		run_group(&pack, rounds, 60000, 16, true);
	return 0;
}

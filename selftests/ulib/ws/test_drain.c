// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGTERM under load: what a client has the answer of was handled, what was
 * handled is answered, and the answers are there before the close.
 */
#include "keeping.h"

#include <pulse-u/pool.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CLIENTS 8

/* The server is a process of its own; this is what both see. */
static struct {
	uint32_t handled[CLIENTS];
	uint32_t wrong;
	char address[PULSE_ADDRESS_MAX];
	uint32_t ready;
} *seen;

static void handle(struct pulse_ws_conn *conn, int op, const void *data,
		   size_t len, void *arg)
{
	uint32_t m[2];

	(void)arg;
	memcpy(m, data, sizeof(m));
	if (len != sizeof(m) || m[0] >= CLIENTS || seen->handled[m[0]] != m[1])
		seen->wrong++;
	if (pulse_ws_send(conn, op, data, len))
		seen->wrong++;
	__atomic_fetch_add(&seen->handled[m[0]], 1, __ATOMIC_RELEASE);
}

static void serve_until_term(bool pooled)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = handle);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2);
	struct pulse_ws_server *server;
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	if ((pooled && pulse_pool_create(NULL, &o.pool)) ||
	    pulse_ws_server_create(&o, &server) ||
	    pulse_ws_server_start(server) ||
	    pulse_ws_server_address(server, seen->address,
				    sizeof(seen->address)))
		_exit(1);
	__atomic_store_n(&seen->ready, 1, __ATOMIC_RELEASE);
	sigwait(&term, &sig);
	if (pulse_ws_server_drain(server, pulse_now_ns() +
				  25 * PULSE__NSEC_PER_SEC))
		_exit(2);
	_exit(pulse_ws_server_destroy(server) ? 3 : 0);
}

struct client {
	uint32_t who, sent, answered;
	int code;
	bool wrong;
};

static int dial(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { 30, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_port = htons((uint16_t)atoi(strrchr(seen->address, ':') + 1));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	KT_CHECK(!connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
	return fd;
}

/* Sends for as long as it can, with 16 on their way, and reads all there is. */
static void *send_until_closed(void *arg)
{
	struct client *c = arg;
	struct peer p = { .fd = dial() };
	struct frame f;

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	for (;;) {
		uint32_t m[2] = { c->who, c->sent };

		if (c->sent < c->answered + 16 &&
		    peer_send_frame(&p, 0x82, m, sizeof(m))) {
			c->sent++;
			continue;
		}
		if (!peer_next(&p, &f))
			break;
		if (f.first == 0x88) {
			c->code = f.data[0] << 8 | f.data[1];
			peer_send_close(&p, c->code, "");
			break;
		}
		memcpy(m, f.data, sizeof(m));
		c->wrong |= f.len != 8 || m[1] != c->answered;
		c->answered++;
	}
	peer_close(&p);
	return NULL;
}

static void term_under_load(bool pooled, long after_ms)
{
	struct client c[CLIENTS] = { { 0 } };
	pthread_t t[CLIENTS];
	int status = 0;
	pid_t pid;

	memset(seen, 0, sizeof(*seen));
	pid = fork();
	if (!pid)
		serve_until_term(pooled);
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&seen->ready, __ATOMIC_ACQUIRE)));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		c[i].who = i;
		KT_EQ(pthread_create(&t[i], NULL, send_until_closed, &c[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		KT_CHECK(EVENTUALLY(__atomic_load_n(&seen->handled[i],
						    __ATOMIC_ACQUIRE)));
	peer_nap(after_ms);
	kill(pid, SIGTERM);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(t[i], NULL);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_EQ(status, 0);
	KT_EQ(seen->wrong, 0);
	for (int i = 0; i < CLIENTS; i++) {
		KT_CHECK(!c[i].wrong);
		KT_EQ(c[i].code, 1001);
		KT_EQ(c[i].answered, seen->handled[i]);
		KT_CHECK(c[i].sent >= c[i].answered);
	}
}

static void many_times(bool pooled)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(seen != MAP_FAILED);
	for (long i = 0; i < kt_scale(10); i++)
		term_under_load(pooled, i * 7);
	munmap(seen, sizeof(*seen));
}

KT_TEST(sigterm_under_load_loses_no_message_that_was_accepted)
{
	many_times(false);
}

KT_TEST(nor_does_it_with_handlers_on_a_pool)
{
	many_times(true);
}

KT_MAIN()

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * peer.h - a WebSocket client of a few lines, which can do everything wrong.
 *
 * Blocking, with a limit of 30 s on each receive; a test's thread plays the
 * peer while the server runs on its own threads.
 */
#ifndef PULSE_SELFTESTS_WS_PEER_H
#define PULSE_SELFTESTS_WS_PEER_H

#include "base/base.h"
#include "ktap.h"
#include "until.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include <pulse-u/transport.h>
#include <pulse-u/ws.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define UPGRADE								\
	"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"	\
	"Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"		\
	"Sec-WebSocket-Version: 13\r\n\r\n"

struct peer {
	int fd;
	uint8_t *in;
	size_t at, have, room;
};

struct frame {
	uint8_t first;
	uint8_t *data;
	size_t len;
};

static inline void peer_nap(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static inline struct peer peer_connect_buf(struct pulse_ws_server *server,
					   int rcvbuf)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct timeval limit = { 100, 0 };
	char where[PULSE_ADDRESS_MAX], *colon;
	struct peer p = { .fd = -1 };
	int on = 1;

	if (!KT_CHECK(!pulse_ws_server_address(server, where, sizeof(where))))
		return p;
	colon = strrchr(where, ':');
	*colon = 0;
	inet_pton(AF_INET, where, &sin.sin_addr);
	sin.sin_port = htons((uint16_t)atoi(colon + 1));
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(p.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (rcvbuf)
		setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	KT_CHECK(!connect(p.fd, (struct sockaddr *)&sin, sizeof(sin)));
	return p;
}

static inline struct peer peer_connect(struct pulse_ws_server *server)
{
	return peer_connect_buf(server, 0);
}

static inline void peer_close(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->in);
	*p = (struct peer){ .fd = -1 };
}

/* The peer vanishes with a reset. */
static inline void peer_reset(struct peer *p)
{
	struct linger now = { 1, 0 };

	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	peer_close(p);
}

static inline bool peer_send(struct peer *p, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static inline bool peer_say(struct peer *p, const char *text)
{
	return peer_send(p, text, strlen(text));
}

/* Until so many bytes are there; false at the end, after an error, too late. */
static inline bool peer_fill(struct peer *p, size_t want)
{
	while (p->have - p->at < want) {
		ssize_t n;

		if (p->room - p->at < want + 65536) {
			if (p->at)
				memmove(p->in, p->in + p->at, p->have - p->at);
			p->have -= p->at;
			p->at = 0;
			p->room = want + (1 << 17);
			p->in = realloc(p->in, p->room);
		}
		n = recv(p->fd, p->in + p->have, p->room - p->have, 0);
		if (n <= 0)
			return false;
		p->have += (size_t)n;
	}
	return true;
}

/* Is the stream at its end, in order? */
static inline bool peer_at_end(struct peer *p)
{
	uint8_t c;

	return p->at == p->have && recv(p->fd, &c, 1, 0) == 0;
}

/* One response head, cut at its empty line; NULL. Lasts until the next read. */
static inline char *peer_head(struct peer *p)
{
	for (size_t want = 1; peer_fill(p, want); want = p->have - p->at + 1) {
		char *end = memmem(p->in + p->at, p->have - p->at, "\r\n\r\n", 4);

		if (end) {
			char *head = (char *)p->in + p->at;

			end[2] = 0;
			p->at = (size_t)(end + 4 - (char *)p->in);
			return head;
		}
	}
	return NULL;
}

static inline int peer_status(struct peer *p)
{
	char *head = peer_head(p);

	return head && !strncmp(head, "HTTP/1.1 ", 9) ? atoi(head + 9) : -1;
}

/* What a GET of @path is answered, of a peer of its own; @ws: that asks to upgrade. */
static inline int peer_status_of(struct pulse_ws_server *server,
				 const char *path, bool ws)
{
	struct peer p = peer_connect(server);
	char text[512];
	int status;

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path,
		 ws ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n" : "");
	KT_CHECK(peer_say(&p, text));
	status = peer_status(&p);
	peer_close(&p);
	return status;
}

/* A connection that is open. */
static inline struct peer peer_open(struct pulse_ws_server *server)
{
	struct peer p = peer_connect(server);

	KT_CHECK(peer_say(&p, UPGRADE));
	KT_EQ(peer_status(&p), 101);
	return p;
}

/* A frame as bytes; the length in its shortest form; returns its size. */
static inline size_t peer_frame(uint8_t *out, uint8_t first, const void *data,
				size_t len)
{
	static const uint8_t key[4] = { 0x5a, 0xc3, 0x11, 0xee };
	size_t n = 2;

	out[0] = first;
	if (len < 126) {
		out[1] = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		out[1] = 0x80 | 126;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		n = 4;
	} else {
		out[1] = 0x80 | 127;
		for (int i = 0; i < 8; i++)
			out[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
		n = 10;
	}
	memcpy(out + n, key, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		out[n + i] = ((const uint8_t *)data)[i] ^ key[i & 3];
	return n + len;
}

static inline bool peer_send_frame(struct peer *p, uint8_t first,
				   const void *data, size_t len)
{
	uint8_t *buf = malloc(len + 14);
	bool ok = buf && peer_send(p, buf, peer_frame(buf, first, data, len));

	free(buf);
	return ok;
}

static inline bool peer_send_close(struct peer *p, int code, const char *reason)
{
	uint8_t body[125] = { (uint8_t)(code >> 8), (uint8_t)code };
	size_t len = strlen(reason);

	memcpy(body + 2, reason, len);
	return peer_send_frame(p, 0x88, body, len + 2);
}

/* The next frame; false: none came. data lasts until the next read. */
static inline bool peer_next(struct peer *p, struct frame *f)
{
	size_t n = 2;
	uint8_t *b;

	if (!peer_fill(p, 2))
		return false;
	b = p->in + p->at;
	f->first = b[0];
	f->len = b[1] & 0x7f;
	KT_CHECK(!(b[1] & 0x80));	/* a server does not mask */
	if (f->len >= 126) {
		size_t bytes = f->len == 126 ? 2 : 8;

		n += bytes;
		if (!peer_fill(p, n))
			return false;
		b = p->in + p->at;
		f->len = 0;
		for (size_t i = 0; i < bytes; i++)
			f->len = f->len << 8 | b[2 + i];
	}
	if (!peer_fill(p, n + f->len))
		return false;
	f->data = p->in + p->at + n;
	p->at += n + f->len;
	return true;
}

/* The code of the next frame, which is a close; 1005 without one, -1. */
static inline int peer_close_code(struct peer *p)
{
	struct frame f;

	if (!peer_next(p, &f) || f.first != 0x88)
		return -1;
	return f.len < 2 ? 1005 : f.data[0] << 8 | f.data[1];
}

/* Is the next frame this message? */
static inline bool peer_expect(struct peer *p, uint8_t first, const void *data,
			       size_t len)
{
	struct frame f;

	return peer_next(p, &f) && f.first == first && f.len == len &&
	       (!len || !memcmp(f.data, data, len));
}

/* ---- servers -------------------------------------------------------------- */

static inline void echo_back(struct pulse_ws_conn *conn, int opcode,
			     const void *data, size_t len, void *arg)
{
	(void)arg;
	pulse_ws_send(conn, opcode, data, len);
}

static inline struct pulse_ws_server *serve(const struct pulse_ws_opts *opts)
{
	struct pulse_ws_server *server = NULL;

	KT_EQ(pulse_ws_server_create(opts, &server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	return server;
}

static inline struct pulse_ws_server *serve_echo(void)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);

	return serve(&o);
}

static inline struct pulse_ws_stats stats_of(struct pulse_ws_server *server)
{
	struct pulse_ws_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_ws_server_stats(server, &s), 0);
	return s;
}

#endif /* PULSE_SELFTESTS_WS_PEER_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * conn.c - a connection: connect, handshake, sending.
 */
#include "bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HEAD_MAX	8192

void complain(struct thread *t, const char *fmt, ...)
{
	va_list ap;

	if (*t->why)
		return;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
}

static void drop(struct conn *c)
{
	if (c->state == CONN_DIAL || c->state == CONN_HEAD)
		c->th->dialing--;
	if (c->state == CONN_OPEN)
		c->th->opened--;
	c->state = CONN_GONE;
	c->th->gone++;
	c->th->under_way -= c->issued - c->answered;
	close(c->fd);
	free(c->head);
	free(c->part);
	c->head = NULL;
	c->part = NULL;
}

void conn_lost(struct conn *c, const char *why)
{
	struct thread *t = c->th;

	if (c->state == CONN_GONE)
		return;
	complain(t, "%s", why);
	if (c->state == CONN_OPEN)
		t->n.lost += c->issued - c->answered;
	else
		t->n.refused++;
	drop(c);
}

void conn_end(struct conn *c)
{
	/* 1000, with a mask of 0 */
	static const uint8_t bye[] = { 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8 };

	if (c->state == CONN_NEW || c->state == CONN_GONE)
		return;
	if (c->state == CONN_OPEN && !c->th->plan->args->raw &&
	    !c->tx_off && c->sent == c->issued)
		(void)!send(c->fd, bye, sizeof(bye), MSG_NOSIGNAL);
	drop(c);
}

static void wants(struct conn *c, bool out)
{
	struct epoll_event ev = {
		.events = EPOLLIN | (out ? EPOLLOUT : 0U), .data.ptr = c,
	};

	if (c->want_out == out)
		return;
	c->want_out = out;
	epoll_ctl(c->th->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

/* ---- sending -------------------------------------------------------------- */

/* How many bytes went; 0: none now, or it is lost. */
static size_t push(struct conn *c, const void *p, size_t n)
{
	ssize_t did = send(c->fd, p, n, MSG_NOSIGNAL);

	if (did >= 0)
		return (size_t)did;
	if (errno != EAGAIN && errno != EINTR)
		conn_lost(c, strerror(errno));
	return 0;
}

static void sent(struct conn *c, size_t n)
{
	const struct plan *p = c->th->plan;
	size_t v = c->sent % p->variants;

	n += c->tx_off;
	while (c->sent < c->issued && n >= p->out.at[v + 1] - p->out.at[v]) {
		n -= p->out.at[v + 1] - p->out.at[v];
		v = ++c->sent % p->variants;
	}
	c->tx_off = n;
}

void conn_send(struct conn *c)
{
	const struct plan *p = c->th->plan;

	if (c->state != CONN_OPEN)
		return;
	if (c->ctl_len && !c->tx_off) {
		c->ctl_off += (uint8_t)push(c, c->ctl + c->ctl_off,
					    c->ctl_len - c->ctl_off);
		if (c->state != CONN_OPEN)
			return;
		if (c->ctl_off < c->ctl_len) {
			wants(c, true);
			return;
		}
		c->ctl_len = c->ctl_off = 0;
	}
	if (c->sent < c->issued) {
		size_t v = c->sent % p->variants;
		size_t all = p->out.at[v + (c->issued - c->sent)] -
			     p->out.at[v] - c->tx_off;
		size_t n = push(c, p->out.bytes + p->out.at[v] + c->tx_off, all);

		if (c->state != CONN_OPEN)
			return;
		sent(c, n);
	}
	wants(c, c->sent < c->issued);
}

/* ---- opening -------------------------------------------------------------- */

static void opened(struct conn *c)
{
	struct thread *t = c->th;

	t->dialing--;
	t->opened++;
	c->state = CONN_OPEN;
	free(c->head);
	c->head = NULL;
}

static void dialled(struct conn *c)
{
	const struct plan *p = c->th->plan;
	socklen_t len = sizeof(int);
	int err = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		conn_lost(c, strerror(err));
		return;
	}
	wants(c, false);
	if (p->args->raw) {
		opened(c);
		return;
	}
	c->state = CONN_HEAD;
	c->head = malloc(HEAD_MAX + 1);
	/* An empty socket takes a few hundred bytes. */
	if (!c->head || push(c, p->request, p->request_len) != p->request_len)
		conn_lost(c, "the request could not be sent");
}

/* The answer to the handshake; what is behind it is a server's early message. */
static void head(struct conn *c)
{
	const struct plan *p = c->th->plan;
	ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_MAX - c->head_len, 0);
	char *end;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_lost(c, n ? strerror(errno) :
				  "the server ended a connection in its handshake");
		return;
	}
	c->head_len += (uint32_t)n;
	c->head[c->head_len] = 0;
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_len == HEAD_MAX)
			conn_lost(c, "no end of the server's answer");
		return;
	}
	if (strncmp(c->head, "HTTP/1.1 101", 12)) {
		c->head[strcspn(c->head, "\r\n")] = 0;
		complain(c->th, "the server answers: %.100s", c->head);
		conn_lost(c, "");
	} else if (!strstr(c->head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
		conn_lost(c, "the server's Sec-WebSocket-Accept is wrong");
	} else if (p->args->deflate && !strstr(c->head, "permessage-deflate")) {
		conn_lost(c, "the server does not agree on permessage-deflate");
	} else if (end + 4 != c->head + c->head_len) {
		conn_lost(c, "the server speaks first; that is no echo");
	} else {
		opened(c);
	}
}

static void dial(struct conn *c)
{
	const struct args *a = c->th->plan->args;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	int on = 1;

	c->fd = socket(a->sa.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		complain(c->th, "socket: %s", strerror(errno));
		c->state = CONN_GONE;
		c->th->gone++;
		c->th->n.refused++;
		return;
	}
	c->th->dialing++;
	c->state = CONN_DIAL;
	c->want_out = true;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((connect(c->fd, (const struct sockaddr *)&a->sa, a->sa_len) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(c->th->epfd, EPOLL_CTL_ADD, c->fd, &ev))
		conn_lost(c, strerror(errno));
}

void conn_dial_more(struct thread *t)
{
	while (t->next < t->nr && t->dialing < OPEN_LIMIT && !t->n.refused)
		dial(&t->conns[t->next++]);
}

/* ---- events --------------------------------------------------------------- */

static void receive(struct conn *c)
{
	struct thread *t = c->th;
	ssize_t n = recv(c->fd, t->buf, t->buf_bytes, 0);

	t->now = pulse_now_ns();
	if (n > 0)
		check_bytes(c, t->buf, (size_t)n);
	else if (n == 0)
		conn_lost(c, "the server ended a connection");
	else if (errno != EAGAIN && errno != EINTR)
		conn_lost(c, strerror(errno));
	if (c->state == CONN_OPEN)
		conn_issue(c);
}

void conn_event(struct conn *c, uint32_t events)
{
	switch (c->state) {
	case CONN_DIAL:
		dialled(c);
		break;
	case CONN_HEAD:
		head(c);
		break;
	case CONN_OPEN:
		if (events & EPOLLOUT)
			conn_send(c);
		if (c->state == CONN_OPEN && events & ~(uint32_t)EPOLLOUT)
			receive(c);
		break;
	default:
		break;
	}
}

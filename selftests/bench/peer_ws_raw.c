// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_ws_raw.c - every byte back, with epoll and nothing else: what the
 * machine's TCP can do on one core, beside which bench_ws.py puts servers.
 *
 * usage: peer_ws_raw PORT; prints the port it listens on
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS	256
#define BUFFER	(256 << 10)

/* What a peer has not taken yet; nothing is read from it meanwhile. */
struct peer {
	int fd;
	size_t at, len;
	char *rest;
};

static char buf[BUFFER];

static void watch(int epfd, struct peer *p, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = p };

	epoll_ctl(epfd, EPOLL_CTL_MOD, p->fd, &ev);
}

static void end(struct peer *p)
{
	close(p->fd);
	free(p->rest);
	free(p);
}

static void echo(int epfd, struct peer *p)
{
	ssize_t n = recv(p->fd, buf, sizeof(buf), 0), did;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			end(p);
		return;
	}
	did = send(p->fd, buf, (size_t)n, MSG_NOSIGNAL);
	if (did == n)
		return;
	if (did < 0 && errno != EAGAIN) {
		end(p);
		return;
	}
	did = did < 0 ? 0 : did;
	p->at = 0;
	p->len = (size_t)(n - did);
	p->rest = malloc(p->len);
	if (!p->rest)
		exit(1);
	memcpy(p->rest, buf + did, p->len);
	watch(epfd, p, EPOLLOUT);
}

static void rest(int epfd, struct peer *p)
{
	ssize_t did = send(p->fd, p->rest + p->at, p->len - p->at, MSG_NOSIGNAL);

	if (did < 0 && errno != EAGAIN) {
		end(p);
		return;
	}
	p->at += did < 0 ? 0 : (size_t)did;
	if (p->at < p->len)
		return;
	free(p->rest);
	p->rest = NULL;
	watch(epfd, p, EPOLLIN);
}

static void let_in(int epfd, int lfd)
{
	int fd, on = 1;

	while ((fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct peer *p = calloc(1, sizeof(*p));
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };

		if (!p)
			exit(1);
		p->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int listen_on(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	socklen_t len = sizeof(sa);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&sa, &len)) {
		perror("peer_ws_raw");
		exit(1);
	}
	printf("%d\n", ntohs(sa.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	struct rlimit files = { 0 };
	struct epoll_event evs[EVENTS], ev = { .events = EPOLLIN };
	int epfd = epoll_create1(0), lfd;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	lfd = listen_on(argc > 1 ? atoi(argv[1]) : 0);
	epoll_ctl(epfd, EPOLL_CTL_ADD, lfd, &ev);
	for (;;) {
		int n = epoll_wait(epfd, evs, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = evs[i].data.ptr;

			if (!p)
				let_in(epfd, lfd);
			else if (p->rest)
				rest(epfd, p);
			else
				echo(epfd, p);
		}
	}
}

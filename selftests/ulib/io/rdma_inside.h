/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rdma_inside.h - an RDMA engine without a device, whose endpoints are all in
 * this thread: what a device does in order is done at once. A message that finds
 * no receive posted, or too small a one, is what the credits are there against:
 * here it is counted, and the connection breaks.
 */
#ifndef PULSE_SELFTESTS_IO_RDMA_INSIDE_H
#define PULSE_SELFTESTS_IO_RDMA_INSIDE_H

#include "ends.h"
#include "io/rdma.h"

#include <netinet/in.h>
#include <sys/eventfd.h>

#define INSIDE_MAX	8192

struct inside_recv {
	void *at;
	uint32_t len;
	uint64_t tag;
};

struct inside {
	struct pulse__list link;	/* of those that listen */
	struct inside *peer;
	struct sockaddr_storage own, far;
	int news_fd, done_fd;
	bool listens, met, joined, armed;
	struct pulse__rdma_news news[256];
	struct inside_recv recvs[INSIDE_MAX];
	struct pulse__rdma_done dones[INSIDE_MAX];
	uint32_t news_in, news_out, recv_in, recv_out, done_in, done_out;
};

static struct pulse__list inside_all = PULSE__LIST_INIT(inside_all);
static int inside_overruns;	/* messages that found no receive for them */

static inline void inside_ring(int fd)
{
	uint64_t one = 1;

	KT_EQ(write(fd, &one, sizeof(one)), (long)sizeof(one));
}

static inline void inside_hush(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

static inline void inside_tell(struct inside *e, int what, int err, void *end,
			       const void *data, size_t len)
{
	struct pulse__rdma_news *n = &e->news[e->news_in++ % 256];

	KT_CHECK(e->news_in - e->news_out <= 256);
	*n = (struct pulse__rdma_news){ .what = what, .err = err, .end = end,
					.len = len };
	if (len)
		memcpy(n->data, data, len);
	if (e->news_fd >= 0)
		inside_ring(e->news_fd);
}

static inline void inside_done(struct inside *e, struct pulse__rdma_done d)
{
	KT_CHECK(e->done_in - e->done_out < INSIDE_MAX);
	e->dones[e->done_in++ % INSIDE_MAX] = d;
	if (e->armed)
		inside_ring(e->done_fd);
	e->armed = false;
}

static inline struct inside *inside_new(bool fds)
{
	struct inside *e = calloc(1, sizeof(*e));

	pulse__list_init(&e->link);
	e->news_fd = fds ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	e->done_fd = -1;
	return e;
}

/* Both sides hear of it, and what was posted comes back. */
static inline void inside_disconnect(void *arg)
{
	struct inside *both[2] = { arg, ((struct inside *)arg)->peer };

	if (!both[0]->joined)
		return;
	for (int i = 0; i < 2; i++) {
		struct inside *e = both[i];

		while (e->recv_out != e->recv_in)
			inside_done(e, (struct pulse__rdma_done){
				.tag = e->recvs[e->recv_out++ % INSIDE_MAX].tag,
				.err = -ECONNRESET });
		e->joined = false;
		inside_tell(e, PULSE__RDMA_GONE, 0, NULL, NULL, 0);
	}
}

static inline void inside_free(void *arg)
{
	struct inside *e = arg;

	inside_disconnect(e);
	/* Who waits for its answer gets none any more. */
	if (e->peer) {
		e->peer->peer = NULL;
		if (!e->met)
			inside_tell(e->peer, PULSE__RDMA_FAILED, -ECONNREFUSED,
				    NULL, NULL, 0);
	}
	while (e->listens && e->news_out != e->news_in)
		inside_free(e->news[e->news_out++ % 256].end);
	pulse__list_del(&e->link);
	if (e->news_fd >= 0)
		close(e->news_fd);
	if (e->done_fd >= 0)
		close(e->done_fd);
	free(e);
}

static inline int inside_probe(char *why, size_t len)
{
	(void)why;
	(void)len;
	return 0;
}

static inline in_port_t *inside_port(struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ?
	       &((struct sockaddr_in6 *)sa)->sin6_port :
	       &((struct sockaddr_in *)sa)->sin_port;
}

static inline void inside_copy(struct sockaddr_storage *to,
			       const struct sockaddr *sa)
{
	memcpy(to, sa, sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
						   sizeof(struct sockaddr_in));
}

static inline struct inside *inside_find(in_port_t port)
{
	struct inside *e;

	pulse__list_for_each_entry(e, &inside_all, link)
		if (*inside_port(&e->own) == port)
			return e;
	return NULL;
}

static inline int inside_listen(const struct sockaddr *at, int backlog,
				void **out, int *fd)
{
	static uint16_t next = 40000;
	struct inside *e = inside_new(true);

	(void)backlog;
	e->listens = true;
	inside_copy(&e->own, at);
	if (!*inside_port(&e->own))
		*inside_port(&e->own) = htons(next++);
	if (e->news_fd < 0 || inside_find(*inside_port(&e->own))) {
		int err = e->news_fd < 0 ? -errno : -EADDRINUSE;

		inside_free(e);
		return err;
	}
	pulse__list_add_tail(&inside_all, &e->link);
	*out = e;
	*fd = e->news_fd;
	return 0;
}

static inline int inside_dial(const struct sockaddr *to, void **out, int *fd)
{
	struct inside *e = inside_new(true);

	if (e->news_fd < 0) {
		int err = -errno;

		inside_free(e);
		return err;
	}
	e->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	inside_copy(&e->far, to);
	inside_copy(&e->own, to);
	*inside_port(&e->own) = htons(1);
	inside_tell(e, PULSE__RDMA_ROUTED, 0, NULL, NULL, 0);
	*out = e;
	*fd = e->news_fd;
	return 0;
}

static inline int inside_news(void *arg, struct pulse__rdma_news *out)
{
	struct inside *e = arg, *asks;

	memset(out, 0, sizeof(*out));
	if (e->news_out == e->news_in) {
		inside_hush(e->news_fd);
		return 0;
	}
	asks = e->news[e->news_out % 256].end;
	if (asks) {
		asks->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		asks->done_fd = asks->news_fd < 0 ? -1 :
				eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (asks->done_fd < 0) {
			if (asks->news_fd >= 0)
				close(asks->news_fd);
			asks->news_fd = -1;
			return -EMFILE;
		}
		if (asks->news_in != asks->news_out)
			inside_ring(asks->news_fd);
	}
	*out = e->news[e->news_out++ % 256];
	return 0;
}

static inline int inside_prepare(void *arg, void *memory, size_t bytes,
				 uint32_t sends, uint32_t recvs, int *news_fd,
				 int *done_fd)
{
	struct inside *e = arg;

	(void)memory;
	(void)bytes;
	KT_CHECK(sends + recvs < INSIDE_MAX);
	*news_fd = e->news_fd;
	*done_fd = e->done_fd;
	e->armed = true;
	return 0;
}

static inline int inside_connect(void *arg, const void *data, size_t len)
{
	struct inside *e = arg, *l = inside_find(*inside_port(&e->far)), *asks;

	if (!l) {
		inside_tell(e, PULSE__RDMA_FAILED, -ECONNREFUSED, NULL, NULL, 0);
		return 0;
	}
	asks = inside_new(false);
	asks->own = l->own;
	asks->far = e->own;
	asks->peer = e;
	e->peer = asks;
	inside_tell(l, PULSE__RDMA_ASKED, 0, asks, data, len);
	return 0;
}

static inline int inside_accept(void *arg, const void *data, size_t len)
{
	struct inside *e = arg;

	if (!e->peer)
		return -ECONNRESET;
	e->joined = e->peer->joined = true;
	e->met = e->peer->met = true;
	inside_tell(e, PULSE__RDMA_OPEN, 0, NULL, NULL, 0);
	inside_tell(e->peer, PULSE__RDMA_OPEN, 0, NULL, data, len);
	return 0;
}

static inline int inside_post_recv(void *arg, void *at, uint32_t len,
				   uint64_t tag)
{
	struct inside *e = arg;

	e->recvs[e->recv_in++ % INSIDE_MAX] = (struct inside_recv){ at, len, tag };
	return 0;
}

static inline int inside_post_send(void *arg, const void *at, uint32_t len,
				   uint64_t tag)
{
	struct inside *e = arg, *p = e->peer;
	struct inside_recv *r;

	if (!e->joined) {
		inside_done(e, (struct pulse__rdma_done){ .tag = tag,
							  .err = -ECONNRESET });
		return 0;
	}
	r = &p->recvs[p->recv_out % INSIDE_MAX];
	if (p->recv_out == p->recv_in || r->len < len) {
		inside_overruns++;
		inside_disconnect(e);
		return 0;
	}
	p->recv_out++;
	memcpy(r->at, at, len);
	inside_done(p, (struct pulse__rdma_done){ .tag = r->tag, .len = len,
						  .received = true });
	inside_done(e, (struct pulse__rdma_done){ .tag = tag });
	return 0;
}

static inline int inside_poll(void *arg, struct pulse__rdma_done *out, int nr)
{
	struct inside *e = arg;
	int n = 0;

	while (n < nr && e->done_out != e->done_in)
		out[n++] = e->dones[e->done_out++ % INSIDE_MAX];
	return n;
}

static inline int inside_arm(void *arg)
{
	struct inside *e = arg;

	inside_hush(e->done_fd);
	e->armed = true;
	return 0;
}

static inline int inside_address(void *arg, bool peer,
				 struct sockaddr_storage *out)
{
	struct inside *e = arg;

	*out = peer ? e->far : e->own;
	return 0;
}

static const struct pulse__rdma_engine inside_engine = {
	.abi = PULSE__RDMA_ABI,
	.probe = inside_probe,
	.listen = inside_listen,
	.dial = inside_dial,
	.news = inside_news,
	.prepare = inside_prepare,
	.connect = inside_connect,
	.accept = inside_accept,
	.post_recv = inside_post_recv,
	.post_send = inside_post_send,
	.poll = inside_poll,
	.arm = inside_arm,
	.disconnect = inside_disconnect,
	.free = inside_free,
	.address = inside_address,
};

#endif /* PULSE_SELFTESTS_IO_RDMA_INSIDE_H */

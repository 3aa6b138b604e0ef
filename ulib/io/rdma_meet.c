// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rdma_meet.c - how two sides of an RDMA connection come together, and the
 * plug-in that it takes.
 */
#include "io/plugin.h"
#include "io/rdma.h"

#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#define MEET_NS		(10 * PULSE__NSEC_PER_SEC)

static const struct pulse__rdma_engine *used;

void pulse__rdma_use(const struct pulse__rdma_engine *engine)
{
	__atomic_store_n(&used, engine, __ATOMIC_RELEASE);
}

/* NULL: no plug-in or no device, and the log says what is missing. */
static const struct pulse__rdma_engine *load_engine(void)
{
	const struct pulse__rdma_engine *e;
	char why[256] = "";

	e = __atomic_load_n(&used, __ATOMIC_ACQUIRE);
	if (!e)
		e = pulse__plugin_symbol("transport", "rdma", "pulse__rdma_engine");
	if (e && e->abi != PULSE__RDMA_ABI) {
		pulse__warn_once("transport-rdma.so is of another version of the library");
		return NULL;
	}
	if (e && e->probe(why, sizeof(why))) {
		pulse__warn_once("transport \"rdma\" is not to be had: %s", why);
		return NULL;
	}
	return e;
}

static int parse(const char *address, struct pulse__addr *addr)
{
	const char *rest;
	int err;

	pulse__carrier_of(address, &rest);
	err = pulse__addr_parse(rest, addr);
	if (!err && addr->sa.ss_family == AF_UNIX)
		err = -EINVAL;
	return err;
}

/* ---- connect ------------------------------------------------------------------ */

/* There is a way to the peer: this side's slots, and then the peer is asked. */
static void routed(struct pulse__rdma *r)
{
	struct pulse__rdma_hello hello;
	int err = pulse__rdma_prepare(r, r->ring_bytes);

	pulse__rdma_hello(r, &hello);
	if (!err)
		err = r->engine->connect(r->end, &hello, sizeof(hello));
	if (err)
		pulse__rdma_fail(r, err);
}

static void opened(struct pulse__rdma *r, const struct pulse__rdma_news *news)
{
	int err = r->of ? 0 : pulse__rdma_meet(r, news->data, news->len);

	if (err) {
		pulse__rdma_fail(r, err);
		return;
	}
	r->open = true;
	pulse_poller_timer_cancel(r->t.poller, &r->timer);
}

void pulse__rdma_news(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg)
{
	struct pulse__rdma_news news;
	struct pulse__rdma *r = arg;
	bool was_open = r->open;
	uint32_t more = 0;
	int err = r->engine->news(r->end, &news);

	(void)poller;
	(void)fd;
	(void)events;
	if (err)
		pulse__rdma_fail(r, err);
	else if (news.what == PULSE__RDMA_ROUTED)
		routed(r);
	else if (news.what == PULSE__RDMA_OPEN && !r->open)
		opened(r, &news);
	else if (news.what == PULSE__RDMA_GONE)
		r->gone = true;
	else if (news.what == PULSE__RDMA_FAILED)
		pulse__rdma_fail(r, news.err);
	if (r->gone && !r->open)
		pulse__rdma_fail(r, -ECONNREFUSED);
	if (r->open)
		pulse__rdma_pull(r);
	if (r->open && !was_open)
		more = PULSE_TRANSPORT_OPEN;
	else if (r->err && !r->open && !r->err_told)
		more = PULSE_TRANSPORT_ERROR;
	pulse__rdma_tell(r, more);
}

static int rdma_connect(struct pulse_poller *poller,
			const struct pulse_connect_opts *o,
			pulse_transport_fn fn, void *arg,
			struct pulse_transport **out)
{
	uint32_t ring_bytes = o->ring_bytes ? o->ring_bytes : 256 << 10;
	const struct pulse__rdma_engine *engine;
	struct pulse__addr addr;
	struct pulse__rdma *r;
	int err, fd;

	err = parse(o->address, &addr);
	if (err || addr.any || !pulse__is_pow2(ring_bytes) ||
	    ring_bytes < PULSE__RDMA_RING_MIN ||
	    ring_bytes > PULSE__RDMA_RING_MAX)
		return err ? err : -EINVAL;
	engine = load_engine();
	if (!engine)
		return -EOPNOTSUPP;
	r = pulse__rdma_new(poller, engine);
	if (!r)
		return -ENOMEM;
	r->ring_bytes = ring_bytes;
	pulse_transport_set_handler(&r->t, fn, arg);
	err = engine->dial((struct sockaddr *)&addr.sa, &r->end, &fd);
	if (!err)
		err = pulse_poller_add(poller, fd, PULSE_POLLER_IN,
				       pulse__rdma_news, r, &r->news_id);
	if (!err)
		err = pulse_poller_timer_arm(poller, &r->timer, o->deadline_ns);
	if (err)
		pulse_transport_close(&r->t, true);
	else
		*out = &r->t;
	return err;
}

/* ---- listen ------------------------------------------------------------------- */

struct rdma_listener {
	struct pulse_listener l;
	const struct pulse__rdma_engine *engine;
	void *end;
	struct pulse__list meeting;
};

/* A meeting has come to its end, good or bad. */
static void met(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct pulse__rdma *r = container_of(t, struct pulse__rdma, t);
	struct pulse_listener *l = arg;

	pulse__list_del(&r->link);
	pulse__list_init(&r->link);
	if (events & PULSE_TRANSPORT_OPEN) {
		pulse__listener_hand_out(l, t);
		return;
	}
	pulse__listener_lost(l);
	pulse_transport_close(t, true);
}

/* Its own slots are as large as the other side's, in bounds. */
static int welcome(struct pulse__rdma *r, const struct pulse__rdma_news *news)
{
	struct pulse__rdma_hello hello;
	uint64_t ring;
	int err;

	if (news->len < sizeof(hello))
		return -EPROTO;
	memcpy(&hello, news->data, sizeof(hello));
	ring = (uint64_t)le16toh(hello.slots) * le32toh(hello.slot_bytes);
	if (ring < PULSE__RDMA_RING_MIN)
		return -EPROTO;
	if (ring > PULSE__RDMA_RING_GUEST)
		ring = PULSE__RDMA_RING_GUEST;
	err = pulse__rdma_prepare(r, (uint32_t)ring);
	if (!err)
		err = pulse__rdma_meet(r, news->data, news->len);
	pulse__rdma_hello(r, &hello);
	if (!err)
		err = r->engine->accept(r->end, &hello, sizeof(hello));
	if (!err)
		err = pulse_poller_timer_arm(r->t.poller, &r->timer,
					     pulse_now_ns() + MEET_NS);
	return err;
}

static void asked(struct rdma_listener *rl, const struct pulse__rdma_news *news)
{
	struct pulse__rdma *r = pulse__rdma_new(rl->l.poller, rl->engine);

	if (!r) {
		rl->engine->free(news->end);
		pulse__listener_lost(&rl->l);
		return;
	}
	r->end = news->end;
	r->of = &rl->l;
	pulse_transport_set_handler(&r->t, met, &rl->l);
	pulse__list_add_tail(&rl->meeting, &r->link);
	if (welcome(r, news)) {
		pulse__listener_lost(&rl->l);
		pulse_transport_close(&r->t, true);
	}
}

static void somebody_asks(struct pulse_poller *poller, int fd, uint32_t events,
			  void *arg)
{
	struct rdma_listener *rl = arg;

	(void)poller;
	(void)fd;
	(void)events;
	for (uint32_t i = 0; i < rl->l.batch; i++) {
		struct pulse__rdma_news news;
		int err = rl->engine->news(rl->end, &news);

		if (err) {
			pulse__listener_shortage(&rl->l, -err);
			return;
		}
		if (news.what == PULSE__RDMA_NOTHING)
			return;
		if (news.what == PULSE__RDMA_ASKED)
			asked(rl, &news);
	}
}

static void listener_close(struct pulse_listener *l)
{
	struct rdma_listener *rl = container_of(l, struct rdma_listener, l);

	while (!pulse__list_empty(&rl->meeting))
		pulse_transport_close(&pulse__list_first_entry(&rl->meeting,
						struct pulse__rdma, link)->t,
				      true);
	rl->engine->free(rl->end);
	pulse__free(rl);
}

static int listener_address(struct pulse_listener *l,
			    struct sockaddr_storage *out)
{
	struct rdma_listener *rl = container_of(l, struct rdma_listener, l);

	return rl->engine->address(rl->end, false, out);
}

static const struct pulse__listener_ops listener_ops = {
	.close = listener_close, .address = listener_address, .prefix = "rdma:",
};

/* "*" is IPv4 alone where there is no IPv6. */
static int listen_at(struct rdma_listener *rl, struct pulse__addr *addr,
		     int backlog, int *fd)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	int err = rl->engine->listen((struct sockaddr *)&addr->sa, backlog,
				     &rl->end, fd);

	if (!err || !addr->any)
		return err;
	four.sin_port = ((struct sockaddr_in6 *)&addr->sa)->sin6_port;
	return rl->engine->listen((struct sockaddr *)&four, backlog, &rl->end,
				  fd);
}

static int begin(struct rdma_listener *rl, struct pulse_poller *poller,
		 const struct pulse_listener_opts *o, struct pulse__addr *addr,
		 pulse_accept_fn fn, void *arg)
{
	int own, fd, err;

	err = listen_at(rl, addr, o->backlog ? (int)o->backlog : 4096, &fd);
	if (!err) {
		/* The listener closes its own, the engine the other. */
		own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		err = own < 0 ? -errno :
		      pulse__listener_begin_own(&rl->l, poller, o, own, fn, arg,
						somebody_asks, rl);
		if (err)
			rl->engine->free(rl->end);
	}
	if (err)
		pulse_log(PULSE_LOG_WARN, "cannot listen on %s: %s", o->address,
			  pulse_strerror(err));
	return err;
}

static int rdma_listen(struct pulse_poller *poller,
		       const struct pulse_listener_opts *o, pulse_accept_fn fn,
		       void *arg, struct pulse_listener **out)
{
	const struct pulse__rdma_engine *engine;
	struct rdma_listener *rl;
	struct pulse__addr addr;
	int err = parse(o->address, &addr);

	if (err)
		return err;
	engine = load_engine();
	if (!engine || o->reuse_port == PULSE_ON)
		return -EOPNOTSUPP;
	rl = pulse__calloc(1, sizeof(*rl));
	if (!rl)
		return -ENOMEM;
	rl->l.ops = &listener_ops;
	rl->engine = engine;
	pulse__list_init(&rl->meeting);
	err = begin(rl, poller, o, &addr, fn, arg);
	if (err)
		pulse__free(rl);
	else
		*out = &rl->l;
	return err;
}

const struct pulse__carrier pulse__carrier_rdma = {
	.name = "rdma", .connect = rdma_connect, .listen = rdma_listen,
};

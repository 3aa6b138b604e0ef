// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls.c - TLS over another transport: moves records, the plug-in makes them.
 *
 * Out: what a send gives becomes records in a queue of chunks, and the lower
 * transport takes them as it can. A send is refused while any are left, so the
 * queue holds one send's records and what the handshake says. With kTLS the
 * queue is by-passed: the lower transport gets the bytes themselves.
 *
 * In: a record may hold more than the handler has taken while the socket says
 * nothing any more; a posted task tells it again, as a level does. With kTLS the
 * session is by-passed once it has given all that it had read ahead, but for
 * records that are no data (-EIO) and for the end.
 *
 * close() leaves the queue to be sent: the object lingers without its owner
 * until it is empty, for some seconds, or until the loop goes. It is freed when
 * nobody is in it: no handler (calls), no posted task, no lingering.
 *
 * move() takes the session and the queue along as they are, and moves the lower
 * transport. A task that is posted stays behind without us. When the handler is
 * back that did it the object is another thread's: tell() says so.
 */
#include "io/chunks.h"
#include "io/tls.h"

#include <stdio.h>

#define LINGER_NS	(10 * PULSE__NSEC_PER_SEC)
#define RECORD_MAX	16384
/* Plain bytes that a send takes at most. */
#define SEND_MAX	(4 * RECORD_MAX)

struct tls;

/* A task of the poller; of nobody once what posted it has moved. */
struct again {
	struct pulse_poller_task task;
	struct tls *tls;
};

struct tls {
	struct pulse_transport t;
	struct pulse_transport *lower;
	struct pulse_tls *ctx;
	void *session;
	struct pulse__chunks out;
	struct again *again;
	struct pulse_poller_timer timer;	/* handshake, then lingering */
	struct pulse__list link;		/* of the listener */
	struct pulse__poller_end end;
	uint32_t watched;
	uint32_t calls;		/* handlers and lower calls under way */
	bool *moved;		/* of the handler that is under way */
	int err;		/* why it is broken; as it was told */
	bool connecting, shaking, told_err;
	bool flying;		/* the lower transport has our memory */
	bool dry;		/* the session has nothing until the lower reads */
	bool unreadable;	/* a read has failed: no other one may find more */
	bool shut, shut_done;
	bool posted, lingers, closed;
	bool kernel_sends, kernel_receives;
};

static struct tls *to_tls(struct pulse_transport *t)
{
	return container_of(t, struct tls, t);
}

static const struct pulse__tls_engine *engine(const struct tls *tls)
{
	return tls->ctx->engine;
}

static void lower_event(struct pulse_transport *lower, uint32_t events,
			void *arg);

/* ---- life ----------------------------------------------------------------- */

/* A socket that is closed with bytes unread is reset, and so is what it sent. */
static void drain(struct tls *tls)
{
	unsigned char buf[4096];
	struct iovec iov = { buf, sizeof(buf) };

	pulse_transport_shutdown(tls->lower);
	for (int i = 0; i < 64; i++)
		if (pulse_transport_recv(tls->lower, &iov, 1) <= 0)
			break;
}

static void drop_lower(struct tls *tls, bool reset)
{
	if (tls->lower && !reset && !tls->err && !tls->connecting)
		drain(tls);
	if (tls->lower)
		pulse_transport_close(tls->lower, reset);
	tls->lower = NULL;
	tls->lingers = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
}

static void maybe_free(struct tls *tls)
{
	if (!tls->closed || tls->calls || tls->posted || tls->lingers)
		return;
	drop_lower(tls, false);
	pulse__poller_end_del(&tls->end);
	if (tls->session)
		engine(tls)->session_free(tls->session);
	pulse__chunks_free(&tls->out);
	pulse__tls_put(tls->ctx);
	pulse__free(tls->again);
	pulse__free(tls);
}

/* False: its handler has moved it, and nobody here may touch it any more. */
static bool tell(struct tls *tls, uint32_t events)
{
	bool moved = false;

	if (tls->closed || !events)
		return true;
	tls->calls++;
	tls->moved = &moved;
	tls->t.fn(&tls->t, events, tls->t.arg);
	if (moved)
		return false;
	tls->moved = NULL;
	tls->calls--;
	return true;
}

/* ---- out ------------------------------------------------------------------ */

static int put(void *arg, const void *data, size_t len)
{
	struct tls *tls = arg;

	return pulse__chunks_put(&tls->out, tls->flying, data, len);
}

/* 0 all is out; -EAGAIN; broken. */
static int flush(struct tls *tls)
{
	while (tls->out.first && !tls->flying) {
		struct pulse__chunk *c = tls->out.first;
		struct iovec iov = { c->data + c->at, c->len - c->at };
		ssize_t n = pulse_transport_send(tls->lower, &iov, 1);

		if (n == -EINPROGRESS)
			tls->flying = true;
		else if (n < 0)
			return (int)n;
		else
			pulse__chunks_sent(&tls->out, (size_t)n);
	}
	if (tls->out.first)
		return -EAGAIN;
	if (tls->shut && !tls->shut_done) {
		tls->shut_done = true;
		pulse_transport_shutdown(tls->lower);
	}
	return 0;
}

static bool flushed(void *arg)
{
	return flush(arg) == 0;
}

static ssize_t io_recv(void *arg, void *buf, size_t len)
{
	struct tls *tls = arg;
	struct iovec iov = { buf, len };

	return pulse_transport_recv(tls->lower, &iov, 1);
}

static int io_fd(void *arg)
{
	struct tls *tls = arg;

	/* What the kernel encrypts would be the owner's memory in flight. */
	if (pulse_transport_features(tls->lower) & PULSE_TRANSPORT_ASYNC_SEND)
		return -1;
	return pulse__stream_fd(tls->lower);
}

static const struct pulse__tls_io io = {
	.recv = io_recv, .put = put, .flushed = flushed, .fd = io_fd,
};

/* ---- what the lower transport is to tell --------------------------------- */

static bool has_more(const struct tls *tls)
{
	return !tls->dry && engine(tls)->pending(tls->session);
}

static void post_again(struct tls *tls)
{
	if (!tls->posted &&
	    !pulse_poller_post_task(tls->t.poller, &tls->again->task))
		tls->posted = true;
}

/* Follows every change of what is wanted, and of what is left to do. */
static void settle(struct tls *tls)
{
	uint32_t want = 0;

	if (!tls->lower || tls->connecting)
		return;
	if (tls->shaking || tls->watched & PULSE_TRANSPORT_READ)
		want |= PULSE_TRANSPORT_READ;
	if ((tls->out.first && !tls->flying) ||
	    (!tls->out.first && tls->watched & PULSE_TRANSPORT_WRITE))
		want |= PULSE_TRANSPORT_WRITE;
	if (tls->err)
		want = 0;
	pulse_transport_watch(tls->lower, want);
	if (!tls->shaking && tls->watched && (tls->err ||
	    (tls->watched & PULSE_TRANSPORT_READ && has_more(tls))))
		post_again(tls);
}

static void run_again(struct pulse_poller *poller,
		      struct pulse_poller_task *task)
{
	struct again *again = container_of(task, struct again, task);
	struct tls *tls = again->tls;
	uint32_t told = 0;

	(void)poller;
	if (!tls) {
		pulse__free(again);
		return;
	}
	tls->posted = false;
	tls->calls++;
	if (tls->err && !tls->told_err) {
		tls->told_err = true;
		told = PULSE_TRANSPORT_ERROR;
	} else if (tls->err) {
		told = tls->watched;	/* each call says what it is */
	} else if (tls->session && has_more(tls)) {
		told = tls->watched & PULSE_TRANSPORT_READ;
	}
	if (!tell(tls, told))
		return;
	if (!tls->closed && !tls->err)
		settle(tls);
	tls->calls--;
	maybe_free(tls);
}

/* As the session says it, whoever looked at the record. */
static int reason(const struct tls *tls, int err)
{
	if (tls->kernel_receives &&
	    (err == -EBADMSG || err == -EMSGSIZE || err == -EINVAL))
		return -EPROTO;
	return err;
}

/* Nothing can come of it any more; its owner is told once. */
static void broken(struct tls *tls, int err)
{
	if (tls->err)
		return;
	tls->err = reason(tls, err);
	tls->shaking = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
	if (tls->lower && !tls->connecting)
		pulse_transport_watch(tls->lower, 0);
}

/* ---- handshake ------------------------------------------------------------ */

static bool shaken(struct tls *tls)
{
	struct pulse_tls_info info = { 0 };

	tls->shaking = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
	engine(tls)->info(tls->session, &info);
	tls->kernel_sends = info.flags & PULSE_TLS_KERNEL_SENDS;
	tls->kernel_receives = info.flags & PULSE_TLS_KERNEL_RECEIVES;
	return tell(tls, PULSE_TRANSPORT_OPEN);
}

/* This and what else tells: false when the handler has moved it. */
static bool tell_broken(struct tls *tls)
{
	tls->told_err = true;
	return tell(tls, PULSE_TRANSPORT_ERROR);
}

static bool shake(struct tls *tls)
{
	char why[256] = "";
	int err = engine(tls)->handshake(tls->session, why, sizeof(why));
	int out = flush(tls);	/* an alert, too */

	if (!err && out && out != -EAGAIN)
		err = out;
	if (err == -EAGAIN)
		return true;
	if (!err)
		return shaken(tls);
	if (*why)
		pulse_log(PULSE_LOG_DEBUG, "tls: %s", why);
	broken(tls, err);
	return tell_broken(tls);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	struct tls *tls = container_of(timer, struct tls, timer);

	(void)poller;
	tls->calls++;
	if (tls->closed) {
		drop_lower(tls, true);
	} else {
		broken(tls, -ETIMEDOUT);
		if (!tell_broken(tls))
			return;
	}
	tls->calls--;
	maybe_free(tls);
}

/* ---- events --------------------------------------------------------------- */

/* Nobody's any more: only what is left has to go. */
static void linger_on(struct tls *tls)
{
	int err = flush(tls);

	if (err != -EAGAIN)
		drop_lower(tls, false);
	else
		settle(tls);
}

static bool open_event(struct tls *tls, uint32_t events)
{
	uint32_t told = 0;
	int err = 0;

	if (events & PULSE_TRANSPORT_READ) {
		tls->dry = false;
		told |= tls->watched & PULSE_TRANSPORT_READ;
	}
	if (events & (PULSE_TRANSPORT_WRITE | PULSE_TRANSPORT_SENT))
		err = flush(tls);
	if (!err && events & (PULSE_TRANSPORT_WRITE | PULSE_TRANSPORT_SENT))
		told |= tls->watched & PULSE_TRANSPORT_WRITE;
	if (err && err != -EAGAIN) {
		broken(tls, err);
		told |= tls->watched;
	}
	return tell(tls, told);
}

static bool lower_error(struct tls *tls)
{
	int err = pulse_transport_error(tls->lower);

	if (tls->connecting || tls->shaking) {
		tls->connecting = false;
		broken(tls, err ? err : -ECONNRESET);
		return tell_broken(tls);
	}
	/* There may be records before it; a read finds out. */
	tls->dry = false;
	if (err)
		broken(tls, err);
	return tell_broken(tls);
}

static void lower_event(struct pulse_transport *lower, uint32_t events,
			void *arg)
{
	struct tls *tls = arg;
	bool here = true;

	(void)lower;
	tls->calls++;
	if (events & PULSE_TRANSPORT_SENT && tls->flying) {
		struct pulse__chunk *c = tls->out.first;

		tls->flying = false;
		pulse__chunks_sent(&tls->out, c->len - c->at);
	}
	if (events & PULSE_TRANSPORT_OPEN) {
		tls->connecting = false;
		tls->shaking = true;
	}
	if (tls->closed)
		linger_on(tls);
	else if (events & PULSE_TRANSPORT_ERROR)
		here = lower_error(tls);
	else if (tls->shaking)
		here = shake(tls);
	else
		here = open_event(tls, events);
	if (!here)
		return;
	if (!tls->closed)
		settle(tls);
	tls->calls--;
	maybe_free(tls);
}

/* ---- ops ------------------------------------------------------------------ */

/* Makes records of the pieces; how many bytes, or -errno if none. */
static ssize_t encrypt(struct tls *tls, const struct iovec *iov, int nr)
{
	unsigned char pieces[4096];
	size_t taken = 0, in = 0;
	int err = 0;

	for (int i = 0; i < nr && !err && taken < SEND_MAX; i++) {
		const unsigned char *from = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		if (left > sizeof(pieces) - in && in) {
			err = engine(tls)->write(tls->session, pieces, in);
			taken += err ? 0 : in;
			in = 0;
		}
		while (!err && left > sizeof(pieces) && taken < SEND_MAX) {
			size_t n = left < RECORD_MAX ? left : RECORD_MAX;

			err = engine(tls)->write(tls->session, from, n);
			taken += err ? 0 : n;
			from += n;
			left -= n;
		}
		if (err || left > sizeof(pieces))
			break;
		memcpy(pieces + in, from, left);
		in += left;
	}
	if (in && !err) {
		err = engine(tls)->write(tls->session, pieces, in);
		taken += err ? 0 : in;
	}
	if (err) {
		broken(tls, err);
		return err;
	}
	return (ssize_t)taken;
}

static ssize_t tls_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct tls *tls = to_tls(t);
	ssize_t n;
	int err;

	if (tls->shut)
		return -EPIPE;
	if (tls->err)
		return tls->err;
	if (tls->connecting || tls->shaking)
		return -EAGAIN;
	err = flush(tls);
	if (!err && tls->kernel_sends) {
		n = pulse_transport_send(tls->lower, iov, nr);
		if (n > 0)
			t->tx_bytes += (uint64_t)n;
		return n;
	}
	if (err)
		return err;
	n = encrypt(tls, iov, nr);
	if (n <= 0)
		return n ? n : -EAGAIN;
	t->tx_bytes += (uint64_t)n;
	err = flush(tls);
	if (err && err != -EAGAIN)
		broken(tls, err);	/* the next call says so */
	if (err)
		settle(tls);
	return n;
}

static ssize_t tls_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct tls *tls = to_tls(t);
	ssize_t got = 0, n = -EAGAIN;

	if (tls->connecting || tls->shaking)
		return -EAGAIN;
	if (tls->unreadable)
		return tls->err;
	if (tls->kernel_receives && !tls->err &&
	    !engine(tls)->pending(tls->session)) {
		n = pulse_transport_recv(tls->lower, iov, nr);
		if (n > 0) {
			tls->dry = false;
			t->rx_bytes += (uint64_t)n;
			return n;
		}
		if (n && n != -EIO)
			goto out;
	}
	for (int i = 0; i < nr; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len) {
			n = engine(tls)->read(tls->session,
					      (char *)iov[i].iov_base + at,
					      iov[i].iov_len - at);
			if (n <= 0)
				goto out;
			at += (size_t)n;
			got += n;
		}
	}
out:
	tls->dry = n == -EAGAIN;
	if (n < 0 && n != -EAGAIN) {	/* the session forgets why */
		broken(tls, (int)n);
		tls->unreadable = true;
	}
	if (tls->out.first)		/* an answer to what was read */
		flush(tls);
	/* Within an event this is seen to when the handler is back. */
	if (tls->out.first || !tls->calls)
		settle(tls);
	if (!got)
		return n < 0 && tls->err ? tls->err : n;
	t->rx_bytes += (uint64_t)got;
	return got;
}

static ssize_t tls_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (unlikely(!iov.iov_base))
		return -ENOMEM;
	*data = iov.iov_base;
	return tls_recv(t, &iov, 1);
}

static int tls_watch(struct pulse_transport *t, uint32_t events)
{
	struct tls *tls = to_tls(t);

	tls->watched = events;
	settle(tls);
	return 0;
}

static int tls_shutdown(struct pulse_transport *t)
{
	struct tls *tls = to_tls(t);
	int err;

	if (tls->connecting || tls->shaking)
		return -ENOTCONN;
	if (tls->shut)
		return 0;
	tls->shut = true;
	engine(tls)->shutdown(tls->session);
	err = flush(tls);
	settle(tls);
	return err == -EAGAIN ? 0 : err;
}

/* Of one that lingers. */
static void loop_goes(struct pulse__poller_end *end)
{
	struct tls *tls = container_of(end, struct tls, end);

	if (tls->lingers)
		drop_lower(tls, true);
	maybe_free(tls);
}

static void tls_close(struct pulse_transport *t, bool reset)
{
	struct tls *tls = to_tls(t);

	if (!reset && !tls->err && !tls->connecting && !tls->shaking) {
		if (!tls->shut)
			engine(tls)->shutdown(tls->session);
		tls->lingers = flush(tls) == -EAGAIN;
	}
	tls->closed = true;
	tls->watched = 0;
	if (tls->lingers && pulse_poller_timer_arm(t->poller, &tls->timer,
						   pulse_now_ns() + LINGER_NS))
		tls->lingers = false;
	if (tls->lingers) {
		pulse__poller_end_add(t->poller, &tls->end, loop_goes);
		settle(tls);
	} else {
		drop_lower(tls, reset);
	}
	maybe_free(tls);
}

static struct again *again_of(struct tls *tls)
{
	struct again *again = pulse__malloc(sizeof(*again));

	if (again)
		*again = (struct again){ .task.fn = run_again, .tls = tls };
	return again;
}

static int tls_move(struct pulse_transport *t, struct pulse_poller *to)
{
	struct tls *tls = to_tls(t);
	struct again *fresh = NULL;
	int err;

	if (tls->connecting || tls->shaking || tls->flying)
		return -EBUSY;
	if (tls->posted) {
		fresh = again_of(tls);
		if (!fresh)
			return -ENOMEM;
	}
	err = pulse_transport_move(tls->lower, to);
	if (err) {
		pulse__free(fresh);
		return err;
	}
	if (fresh) {
		tls->again->tls = NULL;
		tls->again = fresh;
		tls->posted = false;
	}
	if (tls->moved)
		*tls->moved = true;
	tls->moved = NULL;
	tls->calls = 0;
	tls->watched = 0;
	t->poller = to;
	return 0;
}

static int tls_error(struct pulse_transport *t)
{
	struct tls *tls = to_tls(t);

	return tls->err;
}

static int tls_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	if (len < 5)
		return -ENOSPC;
	memcpy(buf, "tls:", 4);
	return pulse_transport_address(to_tls(t)->lower, peer, buf + 4, len - 4);
}

/* In bytes of the transport below. */
static void tls_stats(const struct pulse_transport *t,
		      struct pulse_transport_stats *out)
{
	const struct tls *tls = container_of(t, struct tls, t);
	struct pulse_transport_stats lower = { .sz = sizeof(lower) };

	if (tls->lower && !pulse_transport_stats(tls->lower, &lower))
		out->unsent = lower.unsent;
	for (const struct pulse__chunk *c = tls->out.first; c; c = c->next)
		out->unsent += c->len - c->at;
}

#define TLS_OPS(more)							\
	{								\
		.sz = sizeof(struct pulse_transport_ops),		\
		.name = "tls",						\
		.features = PULSE_TRANSPORT_STREAM |			\
			    PULSE_TRANSPORT_RELIABLE |			\
			    PULSE_TRANSPORT_ORDERED |			\
			    PULSE_TRANSPORT_HALF_CLOSE |		\
			    PULSE_TRANSPORT_MOVES | (more),		\
		.send = tls_send,					\
		.recv = tls_recv,					\
		.view = tls_view,					\
		.watch = tls_watch,					\
		.shutdown = tls_shutdown,				\
		.close = tls_close,					\
		.error = tls_error,					\
		.address = tls_address,					\
		.move = tls_move,					\
		.stats = tls_stats,					\
	}

static const struct pulse_transport_ops over_tcp =
	TLS_OPS(PULSE_TRANSPORT_RESET);
static const struct pulse_transport_ops over_unix = TLS_OPS(0);

/* ---- making one ----------------------------------------------------------- */

int pulse__tls_wrap(struct pulse_tls *ctx, struct pulse_transport *lower,
		    bool open, const char *name, int64_t deadline_ns,
		    pulse_transport_fn fn, void *arg,
		    struct pulse_transport **out)
{
	struct tls *tls = pulse__calloc(1, sizeof(*tls));
	int err;

	if (!tls)
		return -ENOMEM;
	tls->t.ops = pulse_transport_features(lower) & PULSE_TRANSPORT_RESET ?
		     &over_tcp : &over_unix;
	tls->t.poller = lower->poller;
	tls->t.fn = fn;
	tls->t.arg = arg;
	pulse__chunks_init(&tls->out);
	tls->timer.fn = too_late;
	tls->connecting = !open;
	tls->shaking = open;
	tls->ctx = pulse__tls_get(ctx);
	pulse__list_init(&tls->link);
	pulse__list_init(&tls->end.link);
	tls->again = again_of(tls);
	err = tls->again ? 0 : -ENOMEM;
	if (!err)
		err = engine(tls)->session_new(ctx->ctx, name, &io, tls,
					       &tls->session);
	if (!err)
		err = pulse_poller_timer_arm(lower->poller, &tls->timer,
					     deadline_ns);
	if (!err && open)
		err = pulse_transport_set_handler(lower, lower_event, tls) ?:
		      pulse_transport_watch(lower, PULSE_TRANSPORT_READ);
	if (err) {
		tls->closed = true;
		maybe_free(tls);
		return err;
	}
	pulse_transport_set_handler(lower, lower_event, tls);
	tls->lower = lower;
	*out = &tls->t;
	return 0;
}

struct pulse__list *pulse__tls_link(struct pulse_transport *t)
{
	return &to_tls(t)->link;
}

struct pulse_transport *pulse__tls_of_link(struct pulse__list *link)
{
	return &container_of(link, struct tls, link)->t;
}

int pulse_tls_get_info(const struct pulse_transport *t,
		       struct pulse_tls_info *out)
{
	struct pulse_tls_info info = { 0 };
	int err;

	if (!t || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), alpn));
	if (err)
		return err;
	if (t->ops != &over_tcp && t->ops != &over_unix)
		return -EOPNOTSUPP;
	engine(to_tls((struct pulse_transport *)t))->info(
		container_of(t, struct tls, t)->session, &info);
	pulse__out_store(out, &info, sizeof(info));
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls_carry.c - what goes through a TLS transport: bytes to records and back, the
 * end, and the move; tls.c says how.
 */
#include "io/tls_int.h"

#define LINGER_NS	(10 * PULSE__NSEC_PER_SEC)
#define RECORD_MAX	16384
/* Plain bytes that a send takes at most. */
#define SEND_MAX	(4 * RECORD_MAX)

/* ---- ops ------------------------------------------------------------------ */

/* Makes records of the pieces; how many bytes, or -errno if none. */
static ssize_t encrypt(struct pulse__tls_end *tls, const struct iovec *iov,
		       int nr)
{
	unsigned char pieces[4096];
	size_t taken = 0, in = 0;
	int err = 0;

	for (int i = 0; i < nr && !err && taken < SEND_MAX; i++) {
		const unsigned char *from = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		if (left > sizeof(pieces) - in && in) {
			err = pulse__tls_eng(tls)->write(tls->session, pieces,
							 in);
			taken += err ? 0 : in;
			in = 0;
		}
		while (!err && left > sizeof(pieces) && taken < SEND_MAX) {
			size_t n = left < RECORD_MAX ? left : RECORD_MAX;

			err = pulse__tls_eng(tls)->write(tls->session, from,
							 n);
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
		err = pulse__tls_eng(tls)->write(tls->session, pieces, in);
		taken += err ? 0 : in;
	}
	if (err) {
		pulse__tls_broken(tls, err);
		return err;
	}
	return (ssize_t)taken;
}

static ssize_t tls_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct pulse__tls_end *tls = pulse__tls_of(t);
	ssize_t n;
	int err;

	if (tls->shut)
		return -EPIPE;
	if (tls->err)
		return tls->err;
	if (tls->connecting || tls->shaking)
		return -EAGAIN;
	err = pulse__tls_flush(tls);
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
	err = pulse__tls_flush(tls);
	if (err && err != -EAGAIN)
		pulse__tls_broken(tls, err);	/* the next call says so */
	if (err)
		pulse__tls_settle(tls);
	return n;
}

static ssize_t tls_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct pulse__tls_end *tls = pulse__tls_of(t);
	ssize_t got = 0, n = -EAGAIN;

	if (tls->connecting || tls->shaking)
		return -EAGAIN;
	if (tls->unreadable)
		return tls->err;
	if (tls->kernel_receives && !tls->err &&
	    !pulse__tls_eng(tls)->pending(tls->session)) {
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
			n = pulse__tls_eng(tls)->read(tls->session,
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
		pulse__tls_broken(tls, (int)n);
		tls->unreadable = true;
	}
	if (tls->out.first)		/* an answer to what was read */
		pulse__tls_flush(tls);
	/* Within an event this is seen to when the handler is back. */
	if (tls->out.first || !tls->calls)
		pulse__tls_settle(tls);
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
	struct pulse__tls_end *tls = pulse__tls_of(t);

	tls->watched = events;
	pulse__tls_settle(tls);
	return 0;
}

static int tls_shutdown(struct pulse_transport *t)
{
	struct pulse__tls_end *tls = pulse__tls_of(t);
	int err;

	if (tls->connecting || tls->shaking)
		return -ENOTCONN;
	if (tls->shut)
		return 0;
	tls->shut = true;
	pulse__tls_eng(tls)->shutdown(tls->session);
	err = pulse__tls_flush(tls);
	pulse__tls_settle(tls);
	return err == -EAGAIN ? 0 : err;
}

/* Of one that lingers. */
static void loop_goes(struct pulse__poller_end *end)
{
	struct pulse__tls_end *tls = container_of(end, struct pulse__tls_end, end);

	if (tls->lingers)
		pulse__tls_drop_lower(tls, true);
	pulse__tls_maybe_free(tls);
}

static void tls_close(struct pulse_transport *t, bool reset)
{
	struct pulse__tls_end *tls = pulse__tls_of(t);

	if (!reset && !tls->err && !tls->connecting && !tls->shaking) {
		if (!tls->shut)
			pulse__tls_eng(tls)->shutdown(tls->session);
		tls->lingers = pulse__tls_flush(tls) == -EAGAIN;
	}
	tls->closed = true;
	tls->watched = 0;
	if (tls->lingers && pulse_poller_timer_arm(t->poller, &tls->timer,
						   pulse_now_ns() + LINGER_NS))
		tls->lingers = false;
	if (tls->lingers) {
		pulse__poller_end_add(t->poller, &tls->end, loop_goes);
		pulse__tls_settle(tls);
	} else {
		pulse__tls_drop_lower(tls, reset);
	}
	pulse__tls_maybe_free(tls);
}

static int tls_move(struct pulse_transport *t, struct pulse_poller *to)
{
	struct pulse__tls_end *tls = pulse__tls_of(t);
	struct pulse__tls_again *fresh = NULL;
	int err;

	if (tls->connecting || tls->shaking || tls->flying)
		return -EBUSY;
	if (tls->posted) {
		fresh = pulse__tls_again_of(tls);
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
	struct pulse__tls_end *tls = pulse__tls_of(t);

	return tls->err;
}

static int tls_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	if (len < 5)
		return -ENOSPC;
	memcpy(buf, "tls:", 4);
	return pulse_transport_address(pulse__tls_of(t)->lower, peer, buf + 4,
				       len - 4);
}

/* In bytes of the transport below. */
static void tls_stats(const struct pulse_transport *t,
		      struct pulse_transport_stats *out)
{
	const struct pulse__tls_end *tls = container_of(t, struct pulse__tls_end, t);
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

const struct pulse_transport_ops pulse__tls_over_tcp =
	TLS_OPS(PULSE_TRANSPORT_RESET);
const struct pulse_transport_ops pulse__tls_over_unix = TLS_OPS(0);

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
	if (t->ops != &pulse__tls_over_tcp && t->ops != &pulse__tls_over_unix)
		return -EOPNOTSUPP;
	pulse__tls_eng(pulse__tls_of((struct pulse_transport *)t))->info(
		container_of(t, struct pulse__tls_end, t)->session, &info);
	pulse__out_store(out, &info, sizeof(info));
	return 0;
}

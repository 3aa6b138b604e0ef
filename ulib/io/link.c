// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * link.c - a link as a transport: frames over whatever carries it now.
 *
 * A send becomes one frame. What the carrier did not take of it is kept, for a
 * frame that was begun must be finished; the next send is refused until it is.
 */
#include "io/link_int.h"

#include <endian.h>

#define FRAME_MAX	(64U << 10)
#define LINGER_NS	(10 * PULSE__NSEC_PER_SEC)

static struct pulse__link *to_link(struct pulse_transport *t)
{
	return container_of(t, struct pulse__link, t);
}

/* ---- life ----------------------------------------------------------------- */

static void drop_lowers(struct pulse__link *link, bool reset)
{
	if (link->next && link->next != link->rx && link->next != link->tx)
		pulse_transport_close(link->next, true);
	if (link->rx && link->rx != link->tx)
		pulse_transport_close(link->rx, reset);
	if (link->tx)
		pulse_transport_close(link->tx, reset);
	link->next = link->rx = link->tx = NULL;
	link->lingers = false;
	pulse_poller_timer_cancel(link->t.poller, &link->timer);
	pulse_poller_timer_cancel(link->t.poller, &link->swap_timer);
}

static void maybe_free(struct pulse__link *link)
{
	if (!link->closed || link->calls || link->posted || link->lingers)
		return;
	drop_lowers(link, false);
	pulse__poller_end_del(&link->end);
	pulse__free(link->out);
	pulse__free(link);
}

static void tell(struct pulse__link *link, uint32_t events)
{
	if (link->closed || !events)
		return;
	link->calls++;
	link->t.fn(&link->t, events, link->t.arg);
	link->calls--;
}

void pulse__link_post(struct pulse__link *link)
{
	if (!link->posted &&
	    !pulse_poller_post_task(link->t.poller, &link->again))
		link->posted = true;
}

static void run_again(struct pulse_poller *poller,
		      struct pulse_poller_task *task)
{
	struct pulse__link *link = container_of(task, struct pulse__link, again);

	(void)poller;
	link->posted = false;
	link->calls++;
	if (link->swap_fn && link->swap_told && !link->closed) {
		pulse_link_swap_fn fn = link->swap_fn;

		link->swap_fn = NULL;
		fn(&link->t, link->swap_err, link->swap_arg);
	}
	if (link->rx_err && !link->told_err) {
		link->told_err = true;
		tell(link, PULSE_TRANSPORT_ERROR);
	} else if (link->rx_end || link->rx_err) {
		tell(link, link->watched & PULSE_TRANSPORT_READ);
		if (!link->closed && link->watched & PULSE_TRANSPORT_READ &&
		    !link->rx_err)
			pulse__link_post(link);
	}
	link->calls--;
	maybe_free(link);
}

/* ---- out ------------------------------------------------------------------ */

/* Room for a frame, before any of it is out: it must be finished then. */
static int reserve(struct pulse__link *link, size_t len)
{
	size_t room = link->out_len + len;
	unsigned char *out;

	if (room <= link->out_room)
		return 0;
	out = pulse__realloc(link->out, room);
	if (!out)
		return -ENOMEM;
	link->out = out;
	link->out_room = room;
	return 0;
}

int pulse__link_put(struct pulse__link *link, const void *frame, size_t len)
{
	if (reserve(link, len))
		return -ENOMEM;
	memcpy(link->out + link->out_len, frame, len);
	link->out_len += len;
	return 0;
}

static int put_type(struct pulse__link *link, uint32_t type)
{
	struct pulse__link_head head = { .type = htole32(type) };

	return pulse__link_put(link, &head, sizeof(head));
}

/* The end stands behind all else, a switch included. */
static int put_end(struct pulse__link *link)
{
	int err;

	if (!link->want_end || link->want_switch)
		return 0;
	err = put_type(link, PULSE__LINK_END);
	if (!err)
		link->want_end = false;
	return err;
}

/* 0 all is out; -EAGAIN; broken. */
int pulse__link_flush(struct pulse__link *link)
{
	if (link->flying)
		return -EAGAIN;
	if (put_end(link))
		return -EAGAIN;		/* until there is memory for it */
	while (link->out_at < link->out_len) {
		struct iovec iov = { link->out + link->out_at,
				     link->out_len - link->out_at };
		ssize_t n = pulse_transport_send(link->tx, &iov, 1);

		if (n == -EINPROGRESS) {
			link->flying = true;
			return -EAGAIN;
		}
		if (n < 0)
			return (int)n;
		link->out_at += (size_t)n;
	}
	link->out_at = link->out_len = 0;
	return 0;
}

/* What is left of a frame of which @sent bytes are out; there is room for it. */
static void keep_rest(struct pulse__link *link, const struct iovec *iov, int nr,
		     size_t sent)
{
	size_t at = 0;

	for (int i = 0; i < nr; i++) {
		size_t skip = sent > at ? sent - at : 0;

		at += iov[i].iov_len;
		if (skip < iov[i].iov_len)
			pulse__link_put(link, (char *)iov[i].iov_base + skip,
					iov[i].iov_len - skip);
	}
}

/* One frame of these pieces; bytes taken or -errno. */
static ssize_t send_frame(struct pulse__link *link, const struct iovec *iov,
			  int nr, size_t total)
{
	struct pulse__link_head head = {
		.len = htole32((uint32_t)total),
		.type = htole32(PULSE__LINK_DATA),
	};
	struct iovec all[64] = { { &head, sizeof(head) } };
	size_t left = total;
	ssize_t n = 0;
	int used = 1, err = 0;

	if (reserve(link, total + sizeof(head)))
		return -ENOMEM;
	for (int i = 0; i < nr && left; i++) {
		all[used] = iov[i];
		if (all[used].iov_len > left)
			all[used].iov_len = left;
		left -= all[used++].iov_len;
	}
	/* A carrier that keeps memory gets ours, so that all carriers are alike. */
	if (!(pulse_transport_features(link->tx) & PULSE_TRANSPORT_ASYNC_SEND)) {
		n = pulse_transport_send(link->tx, all, used);
		if (n < 0)
			return n;
	}
	keep_rest(link, all, used, (size_t)n);
	if (!n)
		err = pulse__link_flush(link);
	return err && err != -EAGAIN ? err : (ssize_t)total;
}

static ssize_t link_send(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	struct pulse__link *link = to_link(t);
	size_t total = 0;
	ssize_t n;
	int err;

	if (link->shut)
		return -EPIPE;
	if (link->tx_err)
		return link->tx_err;
	if (link->connecting)
		return -EAGAIN;
	err = pulse__link_flush(link);
	if (!err) {
		pulse__link_try_switch(link);
		err = link->want_switch ? -EAGAIN : 0;
	}
	if (err) {
		if (err != -EAGAIN)
			link->tx_err = err;
		return err;
	}
	if (nr > 63)
		nr = 63;
	for (int i = 0; i < nr && total < FRAME_MAX; i++)
		total += iov[i].iov_len;
	total = total < FRAME_MAX ? total : FRAME_MAX;
	if (!total)
		return -EAGAIN;
	n = send_frame(link, iov, nr, total);
	if (n < 0 && n != -EAGAIN && n != -ENOMEM)
		link->tx_err = (int)n;
	if (n > 0)
		t->tx_bytes += total;
	if (link->out_len && !link->calls)
		pulse__link_settle(link);
	return n;
}

/* ---- in ------------------------------------------------------------------- */

/* A head is whole: 0; -EAGAIN; the end is noted; or against the rules. */
static int take_head(struct pulse__link *link)
{
	uint32_t type = le32toh(link->in.type), len = le32toh(link->in.len);

	link->in_have = 0;
	if (type == PULSE__LINK_DATA && len <= INT32_MAX) {
		link->in_left = len;
		return 0;
	}
	if (len)
		return -EPROTO;
	if (type == PULSE__LINK_SWITCH)
		return pulse__link_peer_switched(link);
	if (type != PULSE__LINK_END)
		return -EPROTO;
	link->rx_end = true;
	return 0;
}

static int read_head(struct pulse__link *link)
{
	struct iovec iov = { (char *)&link->in + link->in_have,
			     sizeof(link->in) - link->in_have };
	ssize_t n = pulse_transport_recv(link->rx, &iov, 1);

	if (n < 0)
		return (int)n;
	if (!n)			/* nobody said that it ends */
		return -ECONNRESET;
	link->in_have += (uint32_t)n;
	return link->in_have == sizeof(link->in) ? take_head(link) : -EAGAIN;
}

/* The bytes of this frame, and the next head behind them if there is room. */
static ssize_t read_frame(struct pulse__link *link, const struct iovec *iov,
			  int nr)
{
	struct iovec all[64];
	size_t left = link->in_left, got;
	int used = 0, err = 0;
	ssize_t n;

	for (int i = 0; i < nr && left && used < 63; i++) {
		all[used] = iov[i];
		if (all[used].iov_len > left)
			all[used].iov_len = left;
		left -= all[used++].iov_len;
	}
	if (!left)
		all[used++] = (struct iovec){ &link->in, sizeof(link->in) };
	n = pulse_transport_recv(link->rx, all, used);
	if (n <= 0)
		return n ? n : -ECONNRESET;
	got = (size_t)n < link->in_left ? (size_t)n : link->in_left;
	link->in_left -= (uint32_t)got;
	link->in_have = (uint32_t)((size_t)n - got);
	if (link->in_have == sizeof(link->in))
		err = take_head(link);
	if (err)
		link->rx_err = err;	/* after these bytes */
	return (ssize_t)got;
}

static ssize_t link_recv(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	struct pulse__link *link = to_link(t);
	ssize_t n = 0;

	if (link->connecting)
		return -EAGAIN;
	while (!link->in_left && !link->rx_end && !link->rx_err) {
		n = read_head(link);
		if (n == -EAGAIN)
			return n;
		if (n)
			link->rx_err = (int)n;
	}
	if (link->in_left) {
		n = read_frame(link, iov, nr);
		if (n > 0) {
			t->rx_bytes += (uint64_t)n;
			if ((link->rx_end || link->rx_err) && !link->in_left)
				pulse__link_post(link);
			return n;
		}
		if (n == -EAGAIN)
			return n;
		link->rx_err = (int)n;
	}
	return link->rx_err ? link->rx_err : 0;
}

static ssize_t link_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (unlikely(!iov.iov_base))
		return -ENOMEM;
	*data = iov.iov_base;
	return link_recv(t, &iov, 1);
}

/* ---- events --------------------------------------------------------------- */

void pulse__link_settle(struct pulse__link *link)
{
	uint32_t in = 0, out = 0;

	if (link->closed && !link->lingers)
		return;
	if (link->connecting)
		return;
	if (link->watched & PULSE_TRANSPORT_READ && !link->rx_err &&
	    !link->rx_end)
		in = PULSE_TRANSPORT_READ;
	if (!link->flying && !link->tx_err &&
	    (link->out_len || link->want_switch || link->want_end ||
	     link->watched & PULSE_TRANSPORT_WRITE))
		out = PULSE_TRANSPORT_WRITE;
	if (link->rx == link->tx) {
		pulse_transport_watch(link->rx, in | out);
	} else {
		pulse_transport_watch(link->rx, in);
		pulse_transport_watch(link->tx, out);
	}
	if (link->watched & PULSE_TRANSPORT_READ &&
	    (link->rx_end || (link->rx_err && !link->told_err)))
		pulse__link_post(link);
}

static void out_event(struct pulse__link *link, uint32_t events)
{
	uint32_t told = 0;
	int err;

	if (events & PULSE_TRANSPORT_SENT && link->flying) {
		link->out_at = link->out_len = 0;
		link->flying = false;
	}
	err = link->tx_err ? link->tx_err : pulse__link_flush(link);
	if (!err) {
		pulse__link_try_switch(link);
		if (!link->want_switch)
			told |= link->watched & PULSE_TRANSPORT_WRITE;
	} else if (err != -EAGAIN) {
		link->tx_err = err;
		told |= link->watched & PULSE_TRANSPORT_WRITE;
	}
	tell(link, told);
}

static void first_carrier(struct pulse__link *link, uint32_t events)
{
	struct pulse__link_hello hello = {
		.head = { htole32(PULSE__LINK_NAME), htole32(PULSE__LINK_OPEN) },
	};
	int err = pulse_transport_error(link->rx);

	if (events & PULSE_TRANSPORT_OPEN) {
		link->connecting = false;
		memcpy(hello.name, link->name, PULSE__LINK_NAME);
		err = pulse__link_put(link, &hello, sizeof(hello));
		if (!err)
			err = pulse__link_flush(link);
		if (!err || err == -EAGAIN) {
			tell(link, PULSE_TRANSPORT_OPEN);
			return;
		}
	}
	link->connecting = false;
	link->rx_err = link->tx_err = err ? err : -ECONNRESET;
	link->told_err = true;
	tell(link, PULSE_TRANSPORT_ERROR);
}

void pulse__link_lower_event(struct pulse_transport *lower, uint32_t events,
			     void *arg)
{
	struct pulse__link *link = arg;

	link->calls++;
	if (link->closed) {
		if (events & PULSE_TRANSPORT_SENT)
			out_event(link, events);
		if (events & PULSE_TRANSPORT_ERROR ||
		    pulse__link_flush(link) != -EAGAIN)
			drop_lowers(link, false);
	} else if (link->connecting) {
		first_carrier(link, events);
	} else if (lower == link->next && lower != link->rx &&
		   lower != link->tx) {
		pulse__link_next_event(link, events);
	} else {
		if (lower == link->tx && events & (PULSE_TRANSPORT_WRITE |
						   PULSE_TRANSPORT_SENT))
			out_event(link, events);
		/* What broke is found by whoever reads or sends. */
		if (!link->closed && lower == link->rx &&
		    events & (PULSE_TRANSPORT_READ | PULSE_TRANSPORT_ERROR))
			tell(link, link->watched & PULSE_TRANSPORT_READ ?
				   PULSE_TRANSPORT_READ :
				   events & PULSE_TRANSPORT_ERROR);
	}
	if (!link->closed)
		pulse__link_settle(link);
	link->calls--;
	maybe_free(link);
}

/* ---- ops ------------------------------------------------------------------ */

static int link_watch(struct pulse_transport *t, uint32_t events)
{
	to_link(t)->watched = events;
	pulse__link_settle(to_link(t));
	return 0;
}

static int link_shutdown(struct pulse_transport *t)
{
	struct pulse__link *link = to_link(t);
	int err;

	if (link->connecting)
		return -ENOTCONN;
	if (link->shut)
		return 0;
	link->shut = link->want_end = true;
	err = pulse__link_flush(link);
	pulse__link_settle(link);
	return err == -EAGAIN ? 0 : err;
}

static void link_close(struct pulse_transport *t, bool reset)
{
	struct pulse__link *link = to_link(t);

	if (!reset && !link->connecting && !link->tx_err) {
		link->want_end |= !link->shut;
		link->want_switch &= link->switch_put;
		link->lingers = pulse__link_flush(link) == -EAGAIN;
		pulse__link_try_switch(link);
		if (!link->lingers)
			link->lingers = pulse__link_flush(link) == -EAGAIN;
	}
	link->closed = true;
	link->watched = 0;
	link->swap_fn = NULL;
	pulse__list_del(&link->hub_link);
	pulse__list_init(&link->hub_link);
	if (link->lingers && pulse_poller_timer_arm(t->poller, &link->timer,
						    pulse_now_ns() + LINGER_NS))
		link->lingers = false;
	if (link->lingers)
		pulse__link_settle(link);
	else
		drop_lowers(link, reset);
	maybe_free(link);
}

static int link_error(struct pulse_transport *t)
{
	return to_link(t)->rx_err ? to_link(t)->rx_err : to_link(t)->tx_err;
}

static int link_address(struct pulse_transport *t, bool peer, char *buf,
			size_t len)
{
	return pulse_transport_address(to_link(t)->tx, peer, buf, len);
}

static const struct pulse_transport_ops link_ops = {
	.sz = sizeof(link_ops),
	.name = "link",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE,
	.send = link_send,
	.recv = link_recv,
	.view = link_view,
	.watch = link_watch,
	.shutdown = link_shutdown,
	.close = link_close,
	.error = link_error,
	.address = link_address,
};

const char *pulse_link_carrier(const struct pulse_transport *t)
{
	if (!t || t->ops != &link_ops)
		return NULL;
	return pulse_transport_name(container_of(t, struct pulse__link, t)->tx);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	struct pulse__link *link = container_of(timer, struct pulse__link, timer);

	(void)poller;
	drop_lowers(link, true);
	maybe_free(link);
}

static void loop_goes(struct pulse__poller_end *end)
{
	struct pulse__link *link = container_of(end, struct pulse__link, end);

	if (link->lingers)
		drop_lowers(link, true);
	maybe_free(link);
}

bool pulse__link_fits(const struct pulse_transport *lower)
{
	uint32_t need = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
			PULSE_TRANSPORT_ORDERED;

	return (pulse_transport_features(lower) & need) == need &&
	       !pulse_link_carrier(lower);
}

int pulse__link_new(struct pulse_poller *poller, struct pulse_transport *lower,
		    const unsigned char *name, struct pulse__link **out)
{
	struct pulse__link *link = pulse__calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	link->t.ops = &link_ops;
	link->t.poller = poller;
	link->rx = link->tx = lower;
	memcpy(link->name, name, PULSE__LINK_NAME);
	link->again.fn = run_again;
	link->timer.fn = too_late;
	pulse__list_init(&link->hub_link);
	pulse__poller_end_add(poller, &link->end, loop_goes);
	pulse_transport_set_handler(lower, pulse__link_lower_event, link);
	*out = link;
	return 0;
}

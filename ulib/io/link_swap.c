// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * link_swap.c - a link moves from one carrier to another; see link_int.h.
 */
#include "io/link_int.h"

#include <endian.h>

static bool moved(const struct pulse__link *link)
{
	return link->next && link->rx == link->next && link->tx == link->next;
}

static void swap_over(struct pulse__link *link, int err)
{
	link->moving = false;
	link->swap_err = err;
	if (!link->swap_fn)
		return;
	link->swap_told = true;
	pulse__link_post(link);
}

/* Both directions have arrived: the old carrier has done its work. */
static void arrived(struct pulse__link *link, struct pulse_transport *old)
{
	link->next = NULL;
	pulse_transport_close(old, false);
	swap_over(link, 0);
}

void pulse__link_swap_failed(struct pulse__link *link, int err)
{
	struct pulse_transport *next = link->next;

	link->next = NULL;
	if (next)
		pulse_transport_close(next, true);
	swap_over(link, err);
}

void pulse__link_try_switch(struct pulse__link *link)
{
	struct pulse__link_head head = { .type = htole32(PULSE__LINK_SWITCH) };
	struct pulse_transport *old = link->tx;

	if (!link->want_switch || link->flying || link->out_len)
		return;
	if (!link->switch_put) {
		if (pulse__link_put(link, &head, sizeof(head)))
			return;		/* the next event tries again */
		link->switch_put = true;
		if (pulse__link_flush(link))
			return;
	}
	link->want_switch = link->switch_put = false;
	link->tx = link->next;
	/* One who is not read from any more has nothing more to tell. */
	if (old != link->rx)
		pulse_transport_watch(old, 0);
	if (moved(link))
		arrived(link, old);
}

int pulse__link_peer_switched(struct pulse__link *link)
{
	struct pulse_transport *old = link->rx;

	if (!link->next || (link->connects && !link->moving))
		return -EPROTO;
	link->rx = link->next;
	if (!link->connects) {
		link->want_switch = true;
		if (!pulse__link_flush(link))
			pulse__link_try_switch(link);
	} else if (moved(link)) {
		arrived(link, old);
	}
	pulse__link_settle(link);
	return 0;
}

/* READY, or nothing at all, from where it wants to go. */
static int answer(struct pulse__link *link)
{
	struct iovec iov = { (char *)&link->next_in + link->next_have,
			     sizeof(link->next_in) - link->next_have };
	ssize_t n = pulse_transport_recv(link->next, &iov, 1);

	if (n <= 0)
		return n ? (int)n : -ECONNREFUSED;
	link->next_have += (uint32_t)n;
	if (link->next_have < sizeof(link->next_in))
		return -EAGAIN;
	return le32toh(link->next_in.type) == PULSE__LINK_READY ? 0 : -EPROTO;
}

static int ask(struct pulse__link *link)
{
	struct pulse__link_hello hello = {
		.head = { htole32(PULSE__LINK_NAME), htole32(PULSE__LINK_JOIN) },
	};
	struct iovec iov = { &hello, sizeof(hello) };
	ssize_t n;

	memcpy(hello.name, link->name, PULSE__LINK_NAME);
	/* A carrier that is new takes so little at once, or is no good. */
	n = pulse_transport_send(link->next, &iov, 1);
	if (n != (ssize_t)sizeof(hello))
		return n < 0 && n != -EINPROGRESS ? (int)n : -EIO;
	link->next_have = 0;
	return pulse_transport_watch(link->next, PULSE_TRANSPORT_READ);
}

void pulse__link_next_event(struct pulse__link *link, uint32_t events)
{
	int err = -EAGAIN;

	if (events & PULSE_TRANSPORT_OPEN)
		err = ask(link) ?: -EAGAIN;
	else if (events & PULSE_TRANSPORT_READ)
		err = answer(link);
	if (err == -EAGAIN && events & PULSE_TRANSPORT_ERROR) {
		err = pulse_transport_error(link->next);
		err = err ? err : -ECONNRESET;
	}
	if (err == -EAGAIN)
		return;
	pulse_poller_timer_cancel(link->t.poller, &link->swap_timer);
	if (!err && link->shut)
		err = -EPIPE;
	if (err) {
		pulse__link_swap_failed(link, err);
		return;
	}
	/* From here on there is no way back: the switch is sent. */
	pulse_transport_watch(link->next, 0);
	link->moving = true;
	link->want_switch = true;
	if (!pulse__link_flush(link))
		pulse__link_try_switch(link);
}

void pulse__link_joined(struct pulse__link *link, struct pulse_transport *lower)
{
	struct pulse__link_head ready = { .type = htole32(PULSE__LINK_READY) };
	struct iovec iov = { &ready, sizeof(ready) };

	/* In the middle of a move, a link cannot begin another one. */
	if (link->connects || link->rx != link->tx || link->want_switch ||
	    link->rx_err || link->tx_err || !pulse__link_fits(lower) ||
	    pulse_transport_send(lower, &iov, 1) != (ssize_t)sizeof(ready)) {
		pulse_transport_close(lower, true);
		return;
	}
	if (link->next)		/* the peer gave that one up */
		pulse_transport_close(link->next, true);
	link->next = lower;
	pulse_transport_set_handler(lower, pulse__link_lower_event, link);
	pulse_transport_watch(lower, 0);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	(void)poller;
	pulse__link_swap_failed(container_of(timer, struct pulse__link,
					     swap_timer), -ETIMEDOUT);
}

int pulse_link_swap(struct pulse_transport *t, const struct pulse_connect_opts *to,
		    pulse_link_swap_fn fn, void *arg)
{
	struct pulse__link *link;
	int64_t deadline_ns;
	int err;

	if (!pulse_link_carrier(t) || !to || !fn)
		return -EINVAL;
	link = container_of(t, struct pulse__link, t);
	if (!link->connects)
		return -EPERM;
	if (link->connecting || link->rx_err || link->tx_err || link->shut)
		return -ENOTCONN;
	if (link->next || link->swap_fn)
		return -EBUSY;
	err = pulse_transport_connect(t->poller, to, pulse__link_lower_event,
				      link, &link->next);
	if (err)
		return err;
	if (!pulse__link_fits(link->next)) {
		pulse_transport_close(link->next, true);
		link->next = NULL;
		return -EOPNOTSUPP;
	}
	deadline_ns = to->deadline_ns ? to->deadline_ns :
		      pulse_now_ns() + 30 * PULSE__NSEC_PER_SEC;
	link->swap_timer.fn = too_late;
	link->swap_fn = fn;
	link->swap_arg = arg;
	link->swap_told = false;
	return pulse_poller_timer_arm(t->poller, &link->swap_timer, deadline_ns);
}

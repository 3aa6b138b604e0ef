// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * proxy.c - connections that were accepted and whose proxy has not said yet whom
 * they are of. Of the socket no byte more is taken than the header has: what comes
 * behind it, a handshake of TLS for one, is found there by whoever gets it.
 */
#include "io/nets.h"
#include "io/poller_int.h"
#include "io/proxy.h"

#include <unistd.h>

struct waiting {
	struct pulse__list link;	/* l->proxies */
	struct pulse_listener *l;
	struct pulse_poller_timer timer;
	uint64_t id;
	int fd;
	size_t have;
	uint8_t head[PULSE__PROXY_MAX];
};

/* Leaves the socket to the caller. */
static int forget(struct waiting *w)
{
	int fd = w->fd;

	if (w->id)
		pulse_poller_del(w->l->poller, w->id);
	pulse_poller_timer_cancel(w->l->poller, &w->timer);
	pulse__list_del(&w->link);
	pulse__free(w);
	return fd;
}

static void failed(struct waiting *w, const char *why)
{
	struct pulse_listener *l = w->l;
	char peer[PULSE_ADDRESS_MAX] = "?";

	(void)pulse__addr_of(w->fd, true, peer, sizeof(peer));
	/* Somebody should know of the first one, and not of a million. */
	pulse_log(l->proxy_said ? PULSE_LOG_DEBUG : PULSE_LOG_WARN,
		  "a connection of %s is to begin with a PROXY header: %s", peer,
		  why);
	l->proxy_said = true;
	close(forget(w));
	pulse__listener_lost(l);
}

static void complete(struct waiting *w, const struct pulse__addr *from)
{
	struct pulse_listener *l = w->l;
	char text[PULSE_ADDRESS_MAX];
	bool known = from->len;

	if (known && pulse__addr_format_len(&from->sa, from->len, text,
					    sizeof(text))) {
		failed(w, "its address is too long");
		return;
	}
	pulse__listener_take(l, forget(w), known ? text : NULL);
}

static void can_read(struct pulse_poller *poller, int fd, uint32_t events,
		     void *arg)
{
	struct waiting *w = arg;
	struct pulse__addr from;
	ssize_t n, len;
	size_t more;

	(void)poller;
	(void)events;
	n = recv(fd, w->head + w->have, sizeof(w->head) - w->have, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		failed(w, n ? pulse_strerror(errno) : "it has ended");
		return;
	}
	len = pulse__proxy_parse(w->head, w->have + (size_t)n, &from);
	if (len < 0 && len != -EAGAIN) {
		failed(w, "this is none");
		return;
	}
	/* Of a part of it all bytes are its own. */
	more = len < 0 ? (size_t)n : (size_t)len - w->have;
	if (recv(fd, w->head + w->have, more, 0) != (ssize_t)more) {
		failed(w, "it has ended");
		return;
	}
	w->have += more;
	if (len > 0)
		complete(w, &from);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	(void)poller;
	failed(container_of(timer, struct waiting, timer), "it has not come");
}

bool pulse__proxy_wanted(const struct pulse_listener *l, int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getpeername(fd, (struct sockaddr *)&sa, &len))
		return false;	/* it is gone, which is found out soon */
	if (l->family == AF_UNIX)
		sa.ss_family = AF_UNIX;
	return pulse__nets_have(l->proxy_from, &sa);
}

void pulse__proxy_wait(struct pulse_listener *l, int fd)
{
	struct waiting *w = pulse__malloc(sizeof(*w));
	int err;

	if (!w) {
		close(fd);
		pulse__listener_lost(l);
		return;
	}
	memset(w, 0, offsetof(struct waiting, head));
	w->l = l;
	w->fd = fd;
	w->timer.fn = too_late;
	pulse__list_add_tail(&l->proxies, &w->link);
	err = pulse_poller_timer_arm(l->poller, &w->timer,
				     pulse_now_ns() + l->proxy_ns);
	if (!err)
		err = pulse_poller_add(l->poller, fd, PULSE_POLLER_IN, can_read,
				       w, &w->id);
	if (err) {
		close(forget(w));
		pulse__listener_lost(l);
	}
}

void pulse__proxy_end(struct pulse_listener *l)
{
	while (!pulse__list_empty(&l->proxies))
		close(forget(pulse__list_first_entry(&l->proxies,
						     struct waiting, link)));
	pulse__free(l->proxy_from);
	l->proxy_from = NULL;
}

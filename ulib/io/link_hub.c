// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * link_hub.c - where links arrive: the first frame of a carrier says whether it
 * is a new link, or which link it wants to carry on.
 */
#include "io/link_int.h"

#include <endian.h>
#include <sys/random.h>

#define BUCKETS		256
#define HELLO_NS	(10 * PULSE__NSEC_PER_SEC)

struct pulse_link_hub {
	struct pulse_poller *poller;
	pulse_link_accept_fn fn;
	void *arg;
	struct pulse__list guests;
	struct pulse__list links[BUCKETS];	/* by name */
	struct pulse_listener **listeners;
	uint32_t nr_listeners;
};

/* A carrier that has not said hello yet. */
struct guest {
	struct pulse__list link;
	struct pulse_link_hub *hub;
	struct pulse_transport *t;
	struct pulse_poller_timer timer;
	struct pulse__link_hello hello;
	uint32_t have;
};

static struct pulse__list *bucket(struct pulse_link_hub *hub,
				  const unsigned char *name)
{
	return &hub->links[name[0] % BUCKETS];
}

static struct pulse__link *find(struct pulse_link_hub *hub,
				const unsigned char *name)
{
	struct pulse__link *link;

	pulse__list_for_each_entry(link, bucket(hub, name), hub_link)
		if (!memcmp(link->name, name, PULSE__LINK_NAME))
			return link;
	return NULL;
}

/* Its transport is closed unless somebody has it now (@t is NULL). */
static void guest_over(struct guest *g)
{
	pulse_poller_timer_cancel(g->hub->poller, &g->timer);
	pulse__list_del(&g->link);
	if (g->t)
		pulse_transport_close(g->t, true);
	pulse__free(g);
}

static void guest_late(struct pulse_poller *poller,
		       struct pulse_poller_timer *timer)
{
	(void)poller;
	guest_over(container_of(timer, struct guest, timer));
}

static void new_link(struct pulse_link_hub *hub, struct guest *g)
{
	struct pulse__link *link;

	if (find(hub, g->hello.name) || !pulse__link_fits(g->t) ||
	    pulse__link_new(hub->poller, g->t, g->hello.name, &link)) {
		guest_over(g);
		return;
	}
	g->t = NULL;
	guest_over(g);
	pulse__list_add_tail(bucket(hub, link->name), &link->hub_link);
	hub->fn(hub, &link->t, hub->arg);
}

static void hello_came(struct guest *g)
{
	uint32_t type = le32toh(g->hello.head.type);
	struct pulse_link_hub *hub = g->hub;
	struct pulse__link *link;

	pulse_transport_watch(g->t, 0);
	if (le32toh(g->hello.head.len) != PULSE__LINK_NAME)
		type = 0;
	if (type == PULSE__LINK_OPEN) {
		new_link(hub, g);
		return;
	}
	link = type == PULSE__LINK_JOIN ? find(hub, g->hello.name) : NULL;
	if (link) {
		pulse__link_joined(link, g->t);
		g->t = NULL;
	}
	guest_over(g);
}

static void guest_speaks(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct guest *g = arg;
	struct iovec iov = { (char *)&g->hello + g->have,
			     sizeof(g->hello) - g->have };
	ssize_t n = -EAGAIN;

	if (events & PULSE_TRANSPORT_READ)
		n = pulse_transport_recv(t, &iov, 1);
	else if (events & PULSE_TRANSPORT_ERROR)
		n = -ECONNRESET;
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		guest_over(g);
		return;
	}
	g->have += (uint32_t)n;
	if (g->have == sizeof(g->hello))
		hello_came(g);
}

static void accepted(struct pulse_listener *l, struct pulse_transport *t,
		     void *arg)
{
	struct pulse_link_hub *hub = arg;
	struct guest *g = pulse__calloc(1, sizeof(*g));

	(void)l;
	if (!g) {
		pulse_transport_close(t, true);
		return;
	}
	g->hub = hub;
	g->t = t;
	g->timer.fn = guest_late;
	pulse__list_add_tail(&hub->guests, &g->link);
	pulse_transport_set_handler(t, guest_speaks, g);
	if (pulse_transport_watch(t, PULSE_TRANSPORT_READ) ||
	    pulse_poller_timer_arm(hub->poller, &g->timer,
				   pulse_now_ns() + HELLO_NS))
		guest_over(g);
}

/* ---- API ------------------------------------------------------------------ */

int pulse_link_hub_create(struct pulse_poller *poller, pulse_link_accept_fn fn,
			  void *arg, struct pulse_link_hub **out)
{
	struct pulse_link_hub *hub;

	if (!poller || !fn || !out)
		return -EINVAL;
	*out = NULL;
	if (!pulse__poller_mine(poller))
		return -EPERM;
	hub = pulse__calloc(1, sizeof(*hub));
	if (!hub)
		return -ENOMEM;
	hub->poller = poller;
	hub->fn = fn;
	hub->arg = arg;
	pulse__list_init(&hub->guests);
	for (int i = 0; i < BUCKETS; i++)
		pulse__list_init(&hub->links[i]);
	*out = hub;
	return 0;
}

int pulse_link_hub_listen(struct pulse_link_hub *hub,
			  const struct pulse_listener_opts *opts,
			  struct pulse_listener **out)
{
	struct pulse_listener **all;
	int err;

	if (!hub)
		return -EINVAL;
	all = pulse__realloc(hub->listeners,
			     (hub->nr_listeners + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	hub->listeners = all;
	err = pulse_listener_open(hub->poller, opts, accepted, hub,
				  &all[hub->nr_listeners]);
	if (err)
		return err;
	if (out)
		*out = all[hub->nr_listeners];
	hub->nr_listeners++;
	return 0;
}

int pulse_link_hub_destroy(struct pulse_link_hub *hub)
{
	if (!hub)
		return -EINVAL;
	if (!pulse__poller_mine(hub->poller))
		return -EPERM;
	for (uint32_t i = 0; i < hub->nr_listeners; i++)
		pulse_listener_close(hub->listeners[i]);
	while (!pulse__list_empty(&hub->guests))
		guest_over(pulse__list_first_entry(&hub->guests, struct guest,
						   link));
	for (int i = 0; i < BUCKETS; i++)
		while (!pulse__list_empty(&hub->links[i]))
			pulse__list_init(pulse__list_pop(&hub->links[i]));
	pulse__free(hub->listeners);
	pulse__free(hub);
	return 0;
}

/* Takes the place of the real handler until there is a link. */
static void nobody_yet(struct pulse_transport *t, uint32_t events, void *arg)
{
	(void)t;
	(void)events;
	(void)arg;
}

int pulse_link_connect(struct pulse_poller *poller,
		       const struct pulse_connect_opts *opts,
		       pulse_transport_fn fn, void *arg,
		       struct pulse_transport **out)
{
	unsigned char name[PULSE__LINK_NAME];
	struct pulse_transport *lower;
	struct pulse__link *link;
	int err;

	if (!fn || !out)
		return -EINVAL;
	*out = NULL;
	if (getrandom(name, sizeof(name), 0) != (ssize_t)sizeof(name))
		return -EIO;
	err = pulse_transport_connect(poller, opts, nobody_yet, NULL, &lower);
	if (err)
		return err;
	err = pulse__link_fits(lower) ? 0 : -EOPNOTSUPP;
	if (!err)
		err = pulse__link_new(poller, lower, name, &link);
	if (err) {
		pulse_transport_close(lower, true);
		return err;
	}
	link->connects = link->connecting = true;
	pulse_transport_set_handler(&link->t, fn, arg);
	*out = &link->t;
	return 0;
}

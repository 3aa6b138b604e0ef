// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls_carrier.c - connects and listeners of TLS: a transport of another carrier
 * below, a handshake, and then the owner hears of it.
 */
#include "io/tls.h"

/* ---- connect -------------------------------------------------------------- */

/* The host of "1.2.3.4:80", "[::1]:80", "localhost:80". */
static int host_of(const char *address, char *host, size_t len)
{
	const char *end = strrchr(address, ':');
	size_t n = end ? (size_t)(end - address) : 0;

	if (n && *address == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (!n || n >= len)
		return -EINVAL;
	memcpy(host, address, n);
	host[n] = 0;
	return 0;
}

/* Takes the place of the real handler until there is one. */
static void nobody_yet(struct pulse_transport *t, uint32_t events, void *arg)
{
	(void)t;
	(void)events;
	(void)arg;
}

static int connect_over(struct pulse_poller *poller, struct pulse_tls *tls,
			const struct pulse_connect_opts *o, const char *below,
			pulse_transport_fn fn, void *arg,
			struct pulse_transport **out)
{
	struct pulse_connect_opts lo = *o;
	struct pulse_transport *lower;
	const char *name = o->server_name;
	char host[64];
	int err;

	if (!strncmp(below, "tls:", 4))
		return -EINVAL;
	if (!name) {
		err = host_of(below, host, sizeof(host));
		if (err)
			return err;
		name = host;
	}
	lo.address = below;
	lo.tls = NULL;
	err = pulse_transport_connect(poller, &lo, nobody_yet, NULL, &lower);
	if (err)
		return err;
	err = pulse__tls_wrap(pulse__tls_rules_get(tls), lower, false, name,
			      o->deadline_ns, fn, arg, out);
	if (err)
		pulse_transport_close(lower, false);
	return err;
}

static int tls_connect(struct pulse_poller *poller,
		       const struct pulse_connect_opts *o,
		       pulse_transport_fn fn, void *arg,
		       struct pulse_transport **out)
{
	struct pulse_tls *tls = o->tls;
	const char *below;
	int err;

	pulse__carrier_of(o->address, &below);
	if (!tls) {
		err = pulse_tls_create(NULL, &tls);
		if (err)
			return err;
	}
	err = connect_over(poller, tls, o, below, fn, arg, out);
	if (!o->tls)
		pulse_tls_destroy(tls);
	return err;
}

/* ---- listen --------------------------------------------------------------- */

struct tls_listener {
	struct pulse_listener l;
	struct pulse_tls *tls;
	struct pulse__list shaking;
};

static struct tls_listener *to_listener(struct pulse_listener *l)
{
	return container_of(l, struct tls_listener, l);
}

/* A handshake has come to its end, good or bad. */
static void shaken(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct pulse_listener *l = arg;
	struct pulse__list *link = pulse__tls_link(t);

	pulse__list_del(link);
	pulse__list_init(link);
	if (events & PULSE_TRANSPORT_OPEN) {
		pulse__listener_hand_out(l, t);
		return;
	}
	pulse__listener_lost(l);
	pulse_transport_close(t, false);
}

static void accepted(struct pulse_listener *l, struct pulse_transport *lower)
{
	struct tls_listener *tl = to_listener(l);
	struct pulse__tls_rules *rules = pulse__tls_rules_get(tl->tls);
	int64_t until = pulse_now_ns() + rules->handshake_ns;
	struct pulse_transport *t;

	if (pulse__tls_wrap(rules, lower, true, NULL, until, shaken, l, &t)) {
		pulse_transport_close(lower, true);
		pulse__listener_lost(l);
		return;
	}
	pulse__list_add_tail(&tl->shaking, pulse__tls_link(t));
}

static void listener_close(struct pulse_listener *l)
{
	struct tls_listener *tl = to_listener(l);

	while (!pulse__list_empty(&tl->shaking)) {
		struct pulse__list *link = pulse__list_pop(&tl->shaking);

		pulse__list_init(link);
		pulse_transport_close(pulse__tls_of_link(link), true);
	}
	pulse__tls_put(tl->tls);
	pulse__free(tl);
}

static const struct pulse__listener_ops listener_ops = {
	.accepted = accepted, .close = listener_close, .prefix = "tls:",
};

static int tls_listen(struct pulse_poller *poller,
		      const struct pulse_listener_opts *o, pulse_accept_fn fn,
		      void *arg, struct pulse_listener **out)
{
	struct pulse__tls_rules *rules = o->tls ? pulse__tls_rules_get(o->tls) :
					 NULL;
	bool can_listen = rules && rules->o.cert_file;
	struct tls_listener *tl;
	const char *below;
	int err;

	pulse__tls_rules_put(rules);
	if (!can_listen) {
		pulse_log(PULSE_LOG_WARN, "cannot listen on %s: no certificate; fix: set tls of the options, with a cert_file",
			  o->address);
		return -EINVAL;
	}
	tl = pulse__calloc(1, sizeof(*tl));
	if (!tl)
		return -ENOMEM;
	tl->l.ops = &listener_ops;
	tl->tls = pulse__tls_get(o->tls);
	pulse__list_init(&tl->shaking);
	pulse__carrier_of(o->address, &below);
	err = pulse__listener_begin(&tl->l, poller, o, below, fn, arg);
	if (err) {
		pulse__tls_put(tl->tls);
		pulse__free(tl);
		return err;
	}
	*out = &tl->l;
	return 0;
}

const struct pulse__carrier pulse__carrier_tls = {
	.name = "tls", .connect = tls_connect, .listen = tls_listen,
};

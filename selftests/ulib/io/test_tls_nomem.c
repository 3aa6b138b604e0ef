// SPDX-License-Identifier: GPL-2.0-only
/* U04: each allocation of what TLS is made with, and of its listeners, may fail. */
#include "certs.h"

#include "../all/no_memory.h"

#include <pulse-u/poller.h>
#include <pulse-u/tls.h>
#include <pulse-u/transport.h>

static void nobody(struct pulse_listener *l, struct pulse_transport *t, void *arg)
{
	(void)l;
	(void)arg;
	pulse_transport_close(t, NULL);
}

static int life_of_a_listener(void)
{
	PULSE_OPTS(pulse_tls_name, other, .name = "other.test",
		   .cert_file = certs_file("other.pem"),
		   .key_file = certs_file("other.key"));
	PULSE_OPTS(pulse_tls_name, wild, .name = "*.wild.test",
		   .cert_file = certs_file("wild.pem"),
		   .key_file = certs_file("wild.key"));
	const struct pulse_tls_name *names[] = { &other, &wild, NULL };
	const char *const alpn[] = { "a", "b", NULL };
	PULSE_OPTS(pulse_tls_opts, o, .cert_file = certs_file("srv.pem"),
		   .key_file = certs_file("srv.key"), .names = names,
		   .ca_file = certs_file("ca.pem"), .alpn = alpn);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "tls:127.0.0.1:0");
	struct pulse_listener *l = NULL;
	struct pulse_poller *p = NULL;
	struct pulse_tls *tls = NULL;
	int err;

	KT_EQ(pulse_poller_create(NULL, &p), 0);
	from_here();
	err = pulse_tls_create(&o, &tls);
	lo.tls = tls;
	if (!err)
		err = pulse_listener_open(p, &lo, nobody, NULL, &l);
	if (!err)
		err = pulse_tls_reload(tls, NULL);
	if (l)
		KT_EQ(pulse_listener_close(l), 0);
	if (tls)
		KT_EQ(pulse_tls_destroy(tls), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
	return err;
}

KT_TEST(a_listener_with_tls)
{
	const char *why = certs_make();
	struct pulse_tls *tls = NULL;

	if (why)
		KT_SKIP("%s", why);
	if (pulse_tls_create(NULL, &tls))
		KT_SKIP("the TLS plug-in is not to be had");
	pulse_tls_destroy(tls);
	each_may_fail("tls", life_of_a_listener);
}

KT_MAIN()

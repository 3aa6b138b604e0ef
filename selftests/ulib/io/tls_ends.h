/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tls_ends.h - two ends of a TLS connection on one loop, and somebody in between.
 */
#ifndef PULSE_SELFTESTS_IO_TLS_ENDS_H
#define PULSE_SELFTESTS_IO_TLS_ENDS_H

#include "certs.h"
#include "ends.h"

#include <pulse-u/tls.h>

static inline struct pulse_tls *make(const char *cert, const char *ca, int verify,
			      const char *const *alpn)
{
	PULSE_OPTS(pulse_tls_opts, o, .verify = verify, .alpn = alpn,
		   .handshake_timeout_ms = 60000);
	struct pulse_tls *tls = NULL;
	char pem[16], key[16];

	if (cert) {
		snprintf(pem, sizeof(pem), "%s.pem", cert);
		snprintf(key, sizeof(key), "%s.key", cert);
		o.cert_file = certs_file(pem);
		o.key_file = certs_file(key);
	}
	if (ca)
		o.ca_file = certs_file(ca);
	KT_EQ(pulse_tls_create(&o, &tls), 0);
	return tls;
}

#define NEED_TLS()							\
	do {								\
		const char *why_ = certs_make();			\
		struct pulse_tls *tls_ = NULL;				\
									\
		if (why_)						\
			KT_SKIP("%s", why_);				\
		if (pulse_tls_create(NULL, &tls_))			\
			KT_SKIP("the TLS plug-in is not to be had");	\
		pulse_tls_destroy(tls_);				\
	} while (0)

/* Of PULSE_TEST_TLS12 (selftests/ulib/io/ktls) OpenSSL has been told nothing newer. */
static inline uint32_t newest(void)
{
	return getenv("PULSE_TEST_TLS12") ? 12 : 13;
}

static inline void listen_tls(struct pulse_tls *tls, const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address, .tls = tls);

	begin_opts(&lo);
	how = (struct pulse_connect_opts){ .sz = sizeof(how),
					   .address = where };
}

/*
 * Between the two: takes what one sends and gives it to the other, in bits, and
 * in one of them, maybe, a bit is not what it was.
 */
struct relay {
	struct pulse_listener *l;
	struct pulse_transport *in, *out;
	size_t max;		/* bytes at once */
	struct pulse_transport **to_spoil;	/* what goes there ... */
	long spoil_at;		/* ... after so many more bytes; below 0: nothing */
	char to[PULSE_ADDRESS_MAX], where[PULSE_ADDRESS_MAX];
};

static struct relay relay;

static inline void pass(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct pulse_transport **to = arg;
	char buf[4096];
	struct iovec iov = { buf, relay.max < sizeof(buf) ? relay.max : 4096 };
	ssize_t n;

	if (events & PULSE_TRANSPORT_OPEN || !*to)
		return;
	n = pulse_transport_recv(t, &iov, 1);
	if (n <= 0) {
		if (n != -EAGAIN)
			pulse_transport_watch(t, 0);
		if (n == 0)
			pulse_transport_shutdown(*to);
		return;
	}
	iov.iov_len = (size_t)n;
	if (to == relay.to_spoil && relay.spoil_at >= 0) {
		if (relay.spoil_at < n)
			buf[relay.spoil_at] ^= 0x40;
		relay.spoil_at -= n;
	}
	KT_EQ(pulse_transport_send(*to, &iov, 1), n);
}

static inline void relay_accept(struct pulse_listener *l, struct pulse_transport *t,
			 void *arg)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = relay.to);

	(void)l;
	(void)arg;
	relay.in = t;
	KT_EQ(pulse_transport_connect(poller, &co, pass, &relay.in, &relay.out),
	      0);
	pulse_transport_set_handler(t, pass, &relay.out);
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
	pulse_transport_watch(relay.out, PULSE_TRANSPORT_READ);
}

static inline void meet_through_relay(struct pulse_tls *srv, struct pulse_tls *cli,
			       size_t max)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");

	relay = (struct relay){ .max = max };
	listen_tls(srv, "tls:127.0.0.1:0");
	strcpy(relay.to, where + 4);
	KT_EQ(pulse_listener_open(poller, &lo, relay_accept, NULL, &relay.l), 0);
	strcpy(where, "tls:");
	KT_EQ(pulse_listener_address(relay.l, where + 4, sizeof(where) - 4), 0);
	how.tls = cli;
	meet();
}

static inline void end_relay(void)
{
	pulse_transport_close(relay.in, true);
	pulse_transport_close(relay.out, true);
	KT_EQ(pulse_listener_close(relay.l), 0);
	end();
}

#endif /* PULSE_SELFTESTS_IO_TLS_ENDS_H */

// SPDX-License-Identifier: GPL-2.0-only
/* The suite of all carriers, over each that needs no device. */
#include "carriers.h"
#include "certs.h"

#include <pulse-u/tls.h>

static const struct kind tcp = {
	.name = "tcp", .address = "127.0.0.1:0",
	.features = STREAM | PULSE_TRANSPORT_RESET | PULSE_TRANSPORT_MOVES,
};
STREAM_TESTS(tcp)

static const struct kind unix_path = {
	.name = "unix", .address = "unix:/tmp/pulse-carriers-%d",
	.features = STREAM | PULSE_TRANSPORT_MOVES,
};
STREAM_TESTS(unix_path)

static struct pulse_tls *tls_server, *tls_client;

__attribute__((destructor)) static void forget_tls(void)
{
	if (tls_server)
		pulse_tls_destroy(tls_server);
	if (tls_client)
		pulse_tls_destroy(tls_client);
}

static const char *with_tls(struct pulse_listener_opts *lo,
			    struct pulse_connect_opts *co)
{
	PULSE_OPTS(pulse_tls_opts, so, .handshake_timeout_ms = 60000);
	PULSE_OPTS(pulse_tls_opts, to);
	const char *why = certs_make();

	if (why)
		return why;
	so.cert_file = certs_file("srv.pem");
	so.key_file = certs_file("srv.key");
	to.ca_file = certs_file("ca.pem");
	if (!tls_server && pulse_tls_create(&so, &tls_server))
		return "the TLS plug-in is not to be had";
	if (!tls_client)
		KT_EQ(pulse_tls_create(&to, &tls_client), 0);
	lo->tls = tls_server;
	co->tls = tls_client;
	co->server_name = "localhost";
	return NULL;
}

static const struct kind tls = {
	.name = "tls", .address = "tls:127.0.0.1:0",
	.features = STREAM | PULSE_TRANSPORT_RESET | PULSE_TRANSPORT_MOVES,
	.prepare = with_tls,
};
STREAM_TESTS(tls)

static const struct kind tls_unix = {
	.name = "tls", .address = "tls:unix:@pulse-carriers-%d",
	.features = STREAM | PULSE_TRANSPORT_MOVES, .prepare = with_tls,
};
STREAM_TESTS(tls_unix)

static const struct kind shm = {
	.name = "shm", .address = "shm:@pulse-carriers-%d",
	.features = STREAM | PULSE_TRANSPORT_RESET,
};
STREAM_TESTS(shm)

KT_MAIN()

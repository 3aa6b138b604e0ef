// SPDX-License-Identifier: GPL-2.0-only
/* wss: our client to our server, and a certificate that it does not believe. */
#include "certs.h"
#include "ktap.h"

#include <pulse-u/tls.h>
#include <pulse-u/transport.h>
#include <pulse-u/ws.h>

static int opens, fails, fail_err, messages;
static size_t bytes;

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	static const char big[100000];

	if (!arg)
		return;
	__atomic_add_fetch(&opens, 1, __ATOMIC_RELEASE);
	pulse_ws_send(conn, PULSE_WS_TEXT, "hello", 5);
	pulse_ws_send(conn, PULSE_WS_BINARY, big, sizeof(big));
}

static void on_message(struct pulse_ws_conn *conn, int op, const void *data,
		       size_t len, void *arg)
{
	if (!arg) {
		pulse_ws_send(conn, op, data, len);
		return;
	}
	__atomic_add_fetch(&bytes, len, __ATOMIC_RELAXED);
	__atomic_add_fetch(&messages, 1, __ATOMIC_RELEASE);
}

static void on_fail(struct pulse_ws_conn *conn, int err, int status, void *arg)
{
	(void)conn;
	(void)status;
	(void)arg;
	__atomic_store_n(&fail_err, err, __ATOMIC_RELAXED);
	__atomic_add_fetch(&fails, 1, __ATOMIC_RELEASE);
}

#define EVENTUALLY(cond)						\
	do {								\
		for (int i_ = 0; i_ < 2000 && !(cond); i_++)		\
			usleep(10000);					\
		KT_CHECK(cond);						\
	} while (0)

static struct pulse_ws_server *run(const char *address, struct pulse_tls *tls,
				   void *arg)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = on_open,
		   .on_message = on_message, .on_fail = on_fail);
	PULSE_OPTS(pulse_ws_opts, o, .listen = address, .handlers = &h,
		   .arg = arg, .tls = tls);
	struct pulse_ws_server *s = NULL;

	KT_EQ(pulse_ws_server_create(&o, &s), 0);
	KT_EQ(pulse_ws_server_start(s), 0);
	return s;
}

static void dial(struct pulse_ws_server *client, const char *url)
{
	PULSE_OPTS(pulse_ws_connect_opts, o, .url = url);
	struct pulse_ws_conn *conn = NULL;

	KT_EQ(pulse_ws_connect(client, &o, &conn), 0);
	pulse_ws_put(conn);
}

KT_TEST(messages_go_over_tls)
{
	struct pulse_ws_server *server, *client, *stranger;
	PULSE_OPTS(pulse_tls_opts, so, .handshake_timeout_ms = 60000);
	PULSE_OPTS(pulse_tls_opts, co);
	struct pulse_tls *stls, *ctls;
	char where[PULSE_ADDRESS_MAX], url[160];
	const char *why = certs_make();

	if (why)
		KT_SKIP("%s", why);
	so.cert_file = certs_file("srv.pem");
	so.key_file = certs_file("srv.key");
	co.ca_file = certs_file("ca.pem");
	if (pulse_tls_create(&so, &stls))
		KT_SKIP("the TLS plug-in is not to be had");
	KT_EQ(pulse_tls_create(&co, &ctls), 0);
	server = run("tls:127.0.0.1:0", stls, NULL);
	client = run("", ctls, &opens);
	stranger = run("", NULL, &opens);
	pulse_tls_destroy(stls);
	pulse_tls_destroy(ctls);
	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	KT_CHECK(!strncmp(where, "tls:127.0.0.1:", 14));
	snprintf(url, sizeof(url), "wss://localhost:%s/", strrchr(where, ':') + 1);
	dial(client, url);
	EVENTUALLY(__atomic_load_n(&messages, __ATOMIC_ACQUIRE) == 2);
	KT_EQ(bytes, 100005);
	dial(stranger, url);
	EVENTUALLY(__atomic_load_n(&fails, __ATOMIC_ACQUIRE) == 1);
	KT_EQ(fail_err, -EKEYREJECTED);
	KT_EQ(opens, 1);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(stranger), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * wss: our client to our server, a certificate that it does not believe, and
 * connections that change their loop.
 */
#include "certs.h"
#include "ktap.h"
#include "until.h"

#include <pulse-u/tls.h>
#include <pulse-u/transport.h>
#include <pulse-u/ws.h>
#include <pulse-u/ws_stream.h>

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

/* Both sides' certificates and authorities; why not, or NULL. */
static const char *with_tls(struct pulse_tls **stls, struct pulse_tls **ctls)
{
	PULSE_OPTS(pulse_tls_opts, so, .handshake_timeout_ms = 60000);
	PULSE_OPTS(pulse_tls_opts, co);
	const char *why = certs_make();

	if (why)
		return why;
	so.cert_file = certs_file("srv.pem");
	so.key_file = certs_file("srv.key");
	co.ca_file = certs_file("ca.pem");
	if (pulse_tls_create(&so, stls))
		return "the TLS plug-in is not to be had";
	KT_EQ(pulse_tls_create(&co, ctls), 0);
	return NULL;
}

static void url_of(struct pulse_ws_server *server, char *url, size_t len)
{
	char where[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_ws_server_address(server, where, sizeof(where)), 0);
	KT_CHECK(!strncmp(where, "tls:127.0.0.1:", 14));
	snprintf(url, len, "wss://localhost:%s/", strrchr(where, ':') + 1);
}

KT_TEST(messages_go_over_tls)
{
	struct pulse_ws_server *server, *client, *stranger;
	struct pulse_tls *stls, *ctls;
	const char *why = with_tls(&stls, &ctls);
	char url[160];

	if (why)
		KT_SKIP("%s", why);
	server = run("tls:127.0.0.1:0", stls, NULL);
	client = run("", ctls, &opens);
	stranger = run("", NULL, &opens);
	pulse_tls_destroy(stls);
	pulse_tls_destroy(ctls);
	url_of(server, url, sizeof(url));
	dial(client, url);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&messages, __ATOMIC_ACQUIRE) == 2));
	KT_EQ(bytes, 100005);
	dial(stranger, url);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&fails, __ATOMIC_ACQUIRE) == 1));
	KT_EQ(fail_err, -EKEYREJECTED);
	KT_EQ(opens, 1);
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(stranger), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

#define LOOPS	3U
#define AHEAD	16U

static uint32_t came, last, hops;
static int told_loop;

static void say(struct pulse_ws_conn *conn, uint32_t n)
{
	static __thread uint8_t body[3000];

	memcpy(body, &n, sizeof(n));
	KT_EQ(pulse_ws_send(conn, PULSE_WS_BINARY, body, sizeof(n) + n * 37 % 2900), 0);
}

static void say_some(struct pulse_ws_conn *conn, void *arg)
{
	for (uint32_t n = 0; arg && n < AHEAD; n++)
		say(conn, n);
}

/* Both sides leave their loop after each message. */
static void hop(struct pulse_ws_conn *conn, int op, const void *data, size_t len,
		void *arg)
{
	uint32_t n;

	memcpy(&n, data, sizeof(n));
	if (!arg) {
		KT_EQ(pulse_ws_send(conn, op, data, len), 0);
	} else {
		KT_EQ(n, came);
		KT_EQ(len, sizeof(n) + n * 37 % 2900);
		if (n + AHEAD < last)
			say(conn, n + AHEAD);
		hops += pulse_ws_conn_loop(conn) != told_loop;
		told_loop = pulse_ws_conn_loop(conn);
		__atomic_store_n(&came, n + 1, __ATOMIC_RELEASE);
	}
	KT_EQ(pulse_ws_migrate(conn, n % LOOPS), 0);
}

static struct pulse_ws_server *run_hopping(const char *address,
					   struct pulse_tls *tls, void *arg)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = say_some, .on_message = hop);
	PULSE_OPTS(pulse_ws_opts, o, .listen = address, .handlers = &h, .arg = arg,
		   .tls = tls, .threads = LOOPS);
	struct pulse_ws_server *s = NULL;

	KT_EQ(pulse_ws_server_create(&o, &s), 0);
	KT_EQ(pulse_ws_server_start(s), 0);
	return s;
}

KT_TEST(connections_over_tls_go_from_loop_to_loop)
{
	struct pulse_ws_server *server, *client;
	struct pulse_tls *stls, *ctls;
	const char *why = with_tls(&stls, &ctls);
	char url[160];

	if (why)
		KT_SKIP("%s", why);
	came = hops = 0;
	last = (uint32_t)kt_scale(2000) + AHEAD;
	server = run_hopping("tls:127.0.0.1:0", stls, NULL);
	client = run_hopping("", ctls, &came);
	pulse_tls_destroy(stls);
	pulse_tls_destroy(ctls);
	url_of(server, url, sizeof(url));
	dial(client, url);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&came, __ATOMIC_ACQUIRE) == last));
	KT_EQ(pulse_ws_server_destroy(client), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_CHECK(hops > 1);
	kt_note("%u hops of %u messages", hops, last);
}

KT_MAIN()

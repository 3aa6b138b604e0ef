// SPDX-License-Identifier: GPL-2.0-only
/*
 * TLS: servers of several names, each with its certificate, and certificates that
 * are replaced while they are used.
 */
#include "tls_ends.h"

#include <pthread.h>
#include <sys/stat.h>

#define NAMES_MAX 4

/* The options of a server, with room for names. */
struct rules {
	struct pulse_tls_opts o;
	struct pulse_tls_name name[NAMES_MAX];
	const struct pulse_tls_name *list[NAMES_MAX + 1];
	int nr;
};

/* A certificate of certs.h and its key. */
static void pair(const char *cert, const char **pem, const char **key)
{
	static char paths[64][128];
	static unsigned int next;
	char *a = paths[next++ % 64], *b = paths[next++ % 64];

	snprintf(a, sizeof(paths[0]), "%s/%s.pem", certs_dir, cert);
	snprintf(b, sizeof(paths[0]), "%s/%s.key", certs_dir, cert);
	*pem = a;
	*key = b;
}

static void begin_rules(struct rules *r, const char *cert)
{
	*r = (struct rules){ .o = { .sz = sizeof(r->o),
				    .handshake_timeout_ms = 60000 } };
	r->o.names = r->list;
	pair(cert, &r->o.cert_file, &r->o.key_file);
}

static void add(struct rules *r, const char *name, const char *cert)
{
	struct pulse_tls_name *n = &r->name[r->nr];

	*n = (struct pulse_tls_name){ .sz = sizeof(*n), .name = name };
	pair(cert, &n->cert_file, &n->key_file);
	r->list[r->nr++] = n;
	r->list[r->nr] = NULL;
}

static struct pulse_tls *made(const struct rules *r)
{
	struct pulse_tls *tls = NULL;

	KT_EQ(pulse_tls_create(&r->o, &tls), 0);
	return tls;
}

/* What a client is told that wants to reach @name: 0, or why not. */
static int reach(struct pulse_tls *srv, struct pulse_tls *cli, const char *name)
{
	struct pulse_tls_info info = { .sz = sizeof(info) };
	int err;

	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = cli;
	how.server_name = name;
	KT_EQ(dial(), 0);
	UNTIL(client.seen & (PULSE_TRANSPORT_OPEN | PULSE_TRANSPORT_ERROR));
	err = client.seen & PULSE_TRANSPORT_OPEN ? 0 : client.err;
	if (!err) {
		UNTIL(server.t);
		KT_EQ(pulse_tls_get_info(server.t, &info), 0);
		/* An address is not asked for by name. */
		KT_STREQ(info.server_name, name ? name : "");
	}
	end();
	return err;
}

KT_TEST(each_name_has_its_certificate)
{
	struct pulse_tls *srv, *cli;
	struct rules r;

	NEED_TLS();
	begin_rules(&r, "srv");
	add(&r, "*.Wild.test", "wild");
	add(&r, "other.test", "other");
	/* What is whole goes before a star, so that this one has the wrong one. */
	add(&r, "x.wild.test", "other");
	srv = made(&r);
	cli = make(NULL, "ca.pem", 0, NULL);
	KT_EQ(reach(srv, cli, "localhost"), 0);
	KT_EQ(reach(srv, cli, NULL), 0);
	KT_EQ(reach(srv, cli, "other.test"), 0);
	KT_EQ(reach(srv, cli, "OTHER.test"), 0);
	KT_EQ(reach(srv, cli, "a.wild.test"), 0);
	KT_EQ(reach(srv, cli, "B.WILD.TEST"), 0);
	KT_EQ(reach(srv, cli, "x.wild.test"), -EKEYREJECTED);
	/* The first certificate is shown, which is not theirs. */
	KT_EQ(reach(srv, cli, "unknown.test"), -EKEYREJECTED);
	KT_EQ(reach(srv, cli, "wild.test"), -EKEYREJECTED);
	KT_EQ(reach(srv, cli, "a.b.wild.test"), -EKEYREJECTED);
	KT_EQ(reach(srv, cli, "a.other.test"), -EKEYREJECTED);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

KT_TEST(who_asks_for_nobody_is_refused_where_that_is_wanted)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct pulse_tls *srv, *any;
	struct rules r;

	NEED_TLS();
	begin_rules(&r, "srv");
	r.o.only_names = PULSE_ON;
	add(&r, "other.test", "other");
	srv = made(&r);
	any = make(NULL, "ca.pem", PULSE_OFF, NULL);
	KT_EQ(reach(srv, any, "other.test"), 0);
	KT_EQ(reach(srv, any, "localhost"), -EPROTO);
	KT_EQ(reach(srv, any, NULL), -EPROTO);
	/* Nobody's connection, and counted. */
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = any;
	how.server_name = "unknown.test";
	KT_EQ(dial(), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_ERROR);
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	KT_EQ(ls.failed, 1);
	KT_EQ(accepted, 0);
	end();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(any);
}

/* Rules that are not the certificate's hold for every name. */
KT_TEST(the_other_rules_hold_for_every_name)
{
	static const char *const both[] = { "h2", "http/1.1", NULL };
	static const char *const one[] = { "http/1.1", NULL };
	static const char *const none[] = { "smtp", NULL };
	struct pulse_tls_info info = { .sz = sizeof(info) };
	struct pulse_tls *srv, *with, *without, *odd;
	struct rules r;

	NEED_TLS();
	begin_rules(&r, "srv");
	add(&r, "other.test", "other");
	r.o.alpn = both;
	r.o.verify = PULSE_ON;
	r.o.ca_file = certs_file("ca.pem");
	srv = made(&r);
	with = make("wild", "ca.pem", 0, one);
	without = make(NULL, "ca.pem", 0, one);
	odd = make("wild", "ca.pem", 0, none);
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = with;
	how.server_name = "other.test";
	meet();
	KT_EQ(pulse_tls_get_info(server.t, &info), 0);
	KT_CHECK(info.flags & PULSE_TLS_VERIFIED);
	KT_STREQ(info.alpn, "http/1.1");
	KT_STREQ(info.server_name, "other.test");
	end();
	KT_CHECK(reach(srv, odd, "other.test") < 0);
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = without;
	KT_EQ(dial(), 0);
	UNTIL(client.broken || client.eof);
	KT_EQ(accepted, 0);
	end();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(with);
	pulse_tls_destroy(without);
	pulse_tls_destroy(odd);
}

static int refused(struct rules *r)
{
	struct pulse_tls *tls;
	int err = pulse_tls_create(&r->o, &tls);

	KT_CHECK(!tls);
	return err;
}

KT_TEST(names_that_cannot_be)
{
	static const char *const bad[] = {
		"", ".", "*", "*.", "a..b", ".a", "a.", "a.*.b", "**.b", "a b", "a/b",
		"*a.b", "a:443", "\xc3\xa9.test", "1.2.3.4/8",
		"0123456789012345678901234567890123456789012345678901234567890123.a",
	};
	char name[300];
	struct rules r;

	NEED_TLS();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin_rules(&r, "srv");
		add(&r, bad[i], "other");
		KT_CHECKF(refused(&r) == -EINVAL, "\"%s\"", bad[i]);
	}
	memset(name, 'a', sizeof(name));
	for (int i = 50; i < 300; i += 50)
		name[i] = '.';
	name[254] = 0;
	begin_rules(&r, "srv");
	add(&r, name, "other");
	KT_EQ(refused(&r), -EINVAL);
	name[253] = 0;
	pulse_tls_destroy(made(&r));
	/* Twice, if not in the same letters. */
	begin_rules(&r, "srv");
	add(&r, "a.test", "other");
	add(&r, "b.test", "other");
	add(&r, "A.TEST", "wild");
	KT_EQ(refused(&r), -EEXIST);
	begin_rules(&r, "srv");
	add(&r, "a.test", "missing");
	KT_EQ(refused(&r), -ENOENT);
	r.name[0].cert_file = NULL;
	KT_EQ(refused(&r), -EINVAL);
	begin_rules(&r, "srv");
	add(&r, "a.test", "other");
	r.name[0].key_file = certs_file("srv.key");
	KT_EQ(refused(&r), -EKEYREJECTED);
	r.name[0].sz = 3;
	KT_EQ(refused(&r), -EINVAL);
	begin_rules(&r, "srv");
	r.o.only_names = PULSE_ON;
	KT_EQ(refused(&r), -EINVAL);	/* there are none */
	add(&r, "a.test", "other");
	r.o.only_names = 2;
	KT_EQ(refused(&r), -EINVAL);
	r.o.only_names = 0;
	r.o.reserved = 1;
	KT_EQ(refused(&r), -EINVAL);
	r.o.reserved = 0;
	r.o.cert_file = r.o.key_file = NULL;
	KT_EQ(refused(&r), -EINVAL);
}

/* ---- while it serves -------------------------------------------------------- */

/* The pair "live" becomes a copy of @cert. */
static void put_in_place(const char *cert)
{
	static const char *const what[] = { "pem", "key" };
	char cmd[256];

	for (size_t i = 0; i < 2; i++) {
		snprintf(cmd, sizeof(cmd), "cp %s/%s.%s %s/live.%s", certs_dir,
			 cert, what[i], certs_dir, what[i]);
		KT_EQ(system(cmd), 0);
	}
}

KT_TEST(files_that_have_changed_are_taken_over_while_it_serves)
{
	PULSE_OPTS(pulse_tls_opts, none);
	struct pulse_tls *srv, *cli;
	struct rules r;

	NEED_TLS();
	put_in_place("srv");
	begin_rules(&r, "live");
	add(&r, "a.wild.test", "live");
	srv = made(&r);
	/* Nothing of the options is needed any more. */
	memset(&r, 0, sizeof(r));
	cli = make(NULL, "ca.pem", 0, NULL);
	KT_EQ(reach(srv, cli, "localhost"), 0);
	KT_EQ(reach(srv, cli, "other.test"), -EKEYREJECTED);
	KT_EQ(pulse_tls_reload(srv, NULL), 0);
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = cli;
	how.server_name = "localhost";
	meet();
	put_in_place("other");
	KT_EQ(pulse_tls_reload(srv, NULL), 0);
	/* One that is open goes on, the listener shows the new one. */
	KT_CHECK(send_some(&client, 0, 1000) == 1000);
	UNTIL(server.got == 1000);
	pulse_transport_close(client.t, false);
	pulse_transport_close(server.t, false);
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	how.server_name = "other.test";
	meet();
	end();
	KT_EQ(reach(srv, cli, "localhost"), -EKEYREJECTED);
	/* The certificate of a name is read again as well. */
	put_in_place("wild");
	KT_EQ(reach(srv, cli, "a.wild.test"), -EKEYREJECTED);
	KT_EQ(pulse_tls_reload(srv, NULL), 0);
	KT_EQ(reach(srv, cli, "a.wild.test"), 0);
	/* What cannot be changes nothing. */
	KT_EQ(truncate(certs_file("live.key"), 10), 0);
	KT_EQ(pulse_tls_reload(srv, NULL), -EKEYREJECTED);
	KT_EQ(unlink(certs_file("live.pem")), 0);
	KT_EQ(pulse_tls_reload(srv, NULL), -ENOENT);
	KT_EQ(pulse_tls_reload(srv, &none), -EINVAL);
	none.sz = 1;
	KT_EQ(pulse_tls_reload(srv, &none), -EINVAL);
	KT_EQ(reach(srv, cli, "a.wild.test"), 0);
	/* Other rules. */
	begin_rules(&r, "srv");
	add(&r, "other.test", "other");
	KT_EQ(pulse_tls_reload(srv, &r.o), 0);
	KT_EQ(reach(srv, cli, "localhost"), 0);
	KT_EQ(reach(srv, cli, "other.test"), 0);
	KT_EQ(reach(srv, cli, "a.wild.test"), -EKEYREJECTED);
	KT_EQ(pulse_tls_reload(NULL, NULL), -EINVAL);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

static bool stop;

static void *reloads(void *arg)
{
	struct rules r[2];
	int err = 0;

	begin_rules(&r[0], "srv");
	begin_rules(&r[1], "srv");
	add(&r[1], "other.test", "other");
	for (int i = 0; !err && !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		err = pulse_tls_reload(arg, &r[i & 1].o);
	return (void *)(intptr_t)err;
}

KT_TEST(handshakes_go_on_while_rules_are_replaced)
{
	struct pulse_tls *srv, *cli;
	struct rules r;
	pthread_t t;
	void *err;

	NEED_TLS();
	begin_rules(&r, "srv");
	srv = made(&r);
	cli = make(NULL, "ca.pem", 0, NULL);
	KT_EQ(pthread_create(&t, NULL, reloads, srv), 0);
	for (int i = 0; i < 30; i++)
		KT_EQ(reach(srv, cli, "localhost"), 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	KT_EQ(pthread_join(t, &err), 0);
	KT_CHECK(!err);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

KT_MAIN()

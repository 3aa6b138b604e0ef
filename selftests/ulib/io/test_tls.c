// SPDX-License-Identifier: GPL-2.0-only
/*
 * TLS: who is believed and who is not, what is agreed on, ends that nobody has
 * announced, and peers that are not ours (the openssl command).
 */
#include "tls_ends.h"

#include <fcntl.h>
#include <sys/wait.h>

/* One handshake; what the client was told: 0 or why not. */
static int try(struct pulse_tls *srv, struct pulse_tls *cli, const char *name)
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
		KT_EQ(pulse_tls_get_info(client.t, &info), 0);
		KT_EQ(info.version, newest());
		KT_CHECK(*info.cipher);
	}
	end();
	return err;
}

KT_TEST(a_certificate_must_be_of_the_authority_and_of_the_name)
{
	struct pulse_tls *srv, *other, *self, *cli, *any;

	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	other = make("other", NULL, 0, NULL);
	self = make("self", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	any = make(NULL, "ca.pem", PULSE_OFF, NULL);
	KT_EQ(try(srv, cli, NULL), 0);
	KT_EQ(try(srv, cli, "localhost"), 0);
	KT_EQ(try(srv, cli, "other.test"), -EKEYREJECTED);
	KT_EQ(try(other, cli, "other.test"), 0);
	KT_EQ(try(other, cli, NULL), -EKEYREJECTED);
	KT_EQ(try(self, cli, "localhost"), -EKEYREJECTED);
	KT_EQ(try(self, any, "localhost"), 0);
	KT_EQ(try(srv, NULL, "localhost"), -EKEYREJECTED);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(other);
	pulse_tls_destroy(self);
	pulse_tls_destroy(cli);
	pulse_tls_destroy(any);
}

KT_TEST(a_server_may_want_certificates_too)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct pulse_tls_info info = { .sz = sizeof(info) };
	struct pulse_tls *srv, *with, *without;

	NEED_TLS();
	srv = make("srv", "ca.pem", PULSE_ON, NULL);
	with = make("other", "ca.pem", 0, NULL);
	without = make(NULL, "ca.pem", 0, NULL);
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = with;
	meet();
	KT_EQ(pulse_tls_get_info(server.t, &info), 0);
	KT_CHECK(info.flags & PULSE_TLS_VERIFIED);
	end();
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = without;
	KT_EQ(dial(), 0);
	/* In TLS 1.3 the client is through before it is refused. */
	UNTIL(client.broken || client.eof);
	KT_EQ(accepted, 0);
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	KT_EQ(ls.failed, 1);
	end();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(with);
	pulse_tls_destroy(without);
}

KT_TEST(a_protocol_is_agreed_on)
{
	static const char *const both[] = { "h2", "http/1.1", NULL };
	static const char *const one[] = { "http/1.1", NULL };
	static const char *const none[] = { "smtp", NULL };
	struct pulse_tls_info info = { .sz = sizeof(info) };
	struct pulse_tls *srv, *cli, *odd;

	NEED_TLS();
	srv = make("srv", NULL, 0, both);
	cli = make(NULL, "ca.pem", 0, one);
	odd = make(NULL, "ca.pem", 0, none);
	listen_tls(srv, "tls:127.0.0.1:0");
	how.tls = cli;
	meet();
	KT_EQ(pulse_tls_get_info(client.t, &info), 0);
	KT_STREQ(info.alpn, "http/1.1");
	KT_EQ(pulse_tls_get_info(server.t, &info), 0);
	KT_STREQ(info.alpn, "http/1.1");
	end();
	KT_CHECK(try(srv, odd, NULL) < 0);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
	pulse_tls_destroy(odd);
}

KT_TEST(options_that_make_no_sense_are_refused)
{
	static const char *const empty[] = { "", NULL };
	PULSE_OPTS(pulse_tls_opts, o);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "tls:127.0.0.1:0");
	PULSE_OPTS(pulse_connect_opts, co, .address = "tls:tls:127.0.0.1:1");
	struct pulse_tls_info info = { .sz = sizeof(info) };
	struct pulse_listener *l;
	struct pulse_transport *t;
	struct pulse_tls *tls, *cli;

	NEED_TLS();
	cli = make(NULL, "ca.pem", 0, NULL);
	o.min_version = 11;
	KT_EQ(pulse_tls_create(&o, &tls), -EINVAL);
	o.min_version = 0;
	o.key_file = certs_file("srv.key");
	KT_EQ(pulse_tls_create(&o, &tls), -EINVAL);
	o.cert_file = "/nowhere/at/all.pem";
	KT_EQ(pulse_tls_create(&o, &tls), -ENOENT);
	o.cert_file = certs_file("other.pem");
	KT_EQ(pulse_tls_create(&o, &tls), -EKEYREJECTED);
	o.cert_file = certs_file("log");
	KT_EQ(pulse_tls_create(&o, &tls), -EKEYREJECTED);
	o.cert_file = NULL;
	o.key_file = NULL;
	o.alpn = empty;
	KT_EQ(pulse_tls_create(&o, &tls), -EINVAL);
	KT_EQ(pulse_tls_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_tls_destroy(NULL), -EINVAL);
	begin("127.0.0.1:0");
	how = (struct pulse_connect_opts){ .sz = sizeof(how),
					   .address = where };
	meet();
	KT_EQ(pulse_tls_get_info(client.t, &info), -EOPNOTSUPP);
	KT_EQ(pulse_tls_get_info(NULL, &info), -EINVAL);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	lo.tls = cli;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	end();
	pulse_tls_destroy(cli);
}

/* Speaks plain TCP to a TLS listener. */
static void plain(const char *text, bool slow)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = where + 4);

	KT_EQ(pulse_transport_connect(poller, &co, on_end, &client, &client.t), 0);
	pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
	for (size_t i = 0; text[i]; i += slow ? 1 : strlen(text)) {
		struct iovec iov = { (char *)text + i,
				     slow ? 1 : strlen(text) };

		KT_CHECK(pulse_transport_send(client.t, &iov, 1) > 0);
		pulse_poller_run_once(poller, 0);
	}
}

/* W07: what is not TLS, what stops in the middle and what never comes */
KT_TEST(a_bad_handshake_is_nobodys_connection)
{
	PULSE_OPTS(pulse_tls_opts, o, .handshake_timeout_ms = 1000);
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct pulse_tls *srv;

	NEED_TLS();
	o.cert_file = certs_file("srv.pem");
	o.key_file = certs_file("srv.key");
	KT_EQ(pulse_tls_create(&o, &srv), 0);
	for (int i = 0; i < 4; i++) {
		int64_t late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;

		listen_tls(srv, "tls:127.0.0.1:0");
		client.got = -1000000;	/* an alert may come */
		plain(i == 0 ? "GET / HTTP/1.1\r\n\r\n" : "\x16\x03\x01",
		      i == 2);
		if (i == 3) {
			pulse_transport_close(client.t, true);
			client.t = NULL;
		}
		do {
			pulse_poller_run_once(poller, late);
			pulse_listener_stats(listener, &ls);
		} while (!ls.failed && pulse_now_ns() < late);
		KT_EQ(ls.failed, 1);
		KT_EQ(accepted, 0);
		if (client.t)
			pulse_transport_close(client.t, true);
		client.t = NULL;
		end();
	}
	/* One that closes its listener in the middle of it. */
	listen_tls(srv, "tls:127.0.0.1:0");
	plain("\x16", false);
	pulse_poller_run_once(poller, 0);
	end();
	pulse_tls_destroy(srv);
}

/* ---- encrypted by the kernel ---------------------------------------------- */

/* A figure of the kernel's, sockets that it encrypts for, ever; -1: it cannot. */
static long kernel_count(const char *name)
{
	FILE *f = fopen("/proc/net/tls_stat", "re");
	char line[128];
	size_t len = strlen(name);
	long n = f ? 0 : -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len))
			n = atol(line + len);
	if (f)
		fclose(f);
	return n;
}

/*
 * PULSE_TEST_KTLS (selftests/ulib/io/ktls): here it must be able to. The count is
 * of the whole machine, and others may raise it too.
 */
KT_TEST(the_kernel_encrypts_where_it_can_and_may)
{
	PULSE_OPTS(pulse_tls_opts, o, .ktls = PULSE_OFF,
		   .handshake_timeout_ms = 60000);
	struct pulse_tls_info info = { .sz = sizeof(info) };
	const long bytes = 3 << 20;
	struct pulse_tls *srv, *cli, *off;
	bool can = getenv("PULSE_TEST_KTLS");

	NEED_TLS();
	o.cert_file = certs_file("srv.pem");
	o.key_file = certs_file("srv.key");
	KT_EQ(pulse_tls_create(&o, &off), 0);
	srv = make("srv", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	for (int i = 0; i < 2; i++) {
		long before = kernel_count("TlsTxSw "), a = 0, b = 0;
		long receivers = kernel_count("TlsRxSw ");

		listen_tls(i ? off : srv, "tls:127.0.0.1:0");
		how.tls = cli;
		meet();
		KT_EQ(pulse_tls_get_info(server.t, &info), 0);
		if (i || before < 0)
			KT_EQ(info.flags & (PULSE_TLS_KERNEL_SENDS |
					    PULSE_TLS_KERNEL_RECEIVES), 0);
		else if (can || info.flags & PULSE_TLS_KERNEL_SENDS)
			KT_CHECK(info.flags & PULSE_TLS_KERNEL_SENDS &&
				 kernel_count("TlsTxSw ") > before);
		if (info.flags & PULSE_TLS_KERNEL_RECEIVES)
			KT_CHECK(kernel_count("TlsRxSw ") > receivers);
		/* Whatever OpenSSL there is gives these keys away. */
		if (!i && can && newest() == 12)
			KT_CHECK(info.flags & PULSE_TLS_KERNEL_RECEIVES);
		/* Whoever encrypts: all of it, in its order, both ways. */
		while ((a < bytes || b < bytes) && !client.broken && !server.broken) {
			a += send_some(&client, a, bytes - a);
			b += send_some(&server, b, bytes - b);
			pulse_poller_run_once(poller, 0);
		}
		UNTIL(server.got == bytes && client.got == bytes);
		KT_EQ(pulse_transport_shutdown(server.t), 0);
		UNTIL(client.eof);
		end();
	}
	pulse_tls_destroy(srv);
	pulse_tls_destroy(off);
	pulse_tls_destroy(cli);
}

/* ---- a byte at a time, and cut off ------------------------------------------ */

KT_TEST(one_byte_at_a_time_is_enough)
{
	const long there = kt_scale(20000), back = kt_scale(3000);
	struct pulse_tls *srv, *cli;

	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	meet_through_relay(srv, cli, 1);
	KT_EQ(send_some(&client, 0, there), there);
	KT_EQ(send_some(&server, 0, back), back);
	UNTIL(server.got == there && client.got == back);
	KT_EQ(pulse_transport_shutdown(client.t), 0);
	UNTIL(server.eof);
	end_relay();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

/* An end without close_notify may be somebody in between who cuts it short. */
KT_TEST(a_truncated_stream_is_an_error_not_an_end)
{
	struct pulse_tls *srv, *cli;

	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	meet_through_relay(srv, cli, 4096);
	KT_EQ(send_some(&client, 0, 1000), 1000);
	UNTIL(server.got == 1000);
	pulse_transport_shutdown(relay.out);
	UNTIL(server.broken || server.eof);
	KT_CHECK(server.broken && !server.eof);
	KT_EQ(server.err, -ECONNRESET);
	end_relay();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

/* ---- the openssl command ----------------------------------------------------- */

static pid_t run(const char *cmd, int *in, int *out)
{
	int a[2], b[2];
	pid_t pid;

	KT_EQ(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		dup2(a[0], 0);
		dup2(b[1], 1);
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	close(a[0]);
	close(b[1]);
	*in = a[1];
	*out = b[0];
	fcntl(b[0], F_SETFL, O_NONBLOCK);
	return pid;
}

KT_TEST(openssl_s_client_is_served)
{
	static const char *const versions[] = { "-tls1_2", "-tls1_3" };
	struct pulse_tls *srv;
	int in, out, status;
	char cmd[512];
	pid_t pid;

	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	for (int i = 0; i < (newest() == 13 ? 2 : 1); i++) {
		char got[8] = "";

		listen_tls(srv, "tls:127.0.0.1:0");
		snprintf(cmd, sizeof(cmd), "exec openssl s_client -quiet %s "
			 "-verify_return_error -CAfile %s -servername localhost "
			 "-verify_hostname localhost -connect %s 2>/dev/null",
			 versions[i], certs_file("ca.pem"), where + 4);
		pid = run(cmd, &in, &out);
		KT_EQ(write(in, "\0\1\2\3\4\5\6\7\10\11", 10), 10);
		UNTIL(server.got == 10);
		KT_EQ(send_some(&server, 65, 5), 5);
		UNTIL(read(out, got, 5) == 5 || *got);
		KT_STREQ(got, "ABCDE");
		close(in);
		pulse_transport_close(server.t, false);
		server.t = NULL;
		for (int n = 0; n < 1000 && !waitpid(pid, &status, WNOHANG); n++)
			pulse_poller_run_once(poller, pulse_now_ns() + 10000000);
		KT_CHECK(WIFEXITED(status));
		close(out);
		end();
	}
	pulse_tls_destroy(srv);
}

/* Its port is told in no way that can be read; a free one is taken. */
KT_TEST(openssl_s_server_serves)
{
	struct pulse_tls *cli;
	int in, out, status;
	char cmd[512];
	pid_t pid;

	NEED_TLS();
	cli = make(NULL, "ca.pem", 0, NULL);
	begin("127.0.0.1:0");
	KT_EQ(pulse_listener_close(listener), 0);
	snprintf(cmd, sizeof(cmd), "exec openssl s_server -quiet -rev -cert %s "
		 "-key %s -accept %s 2>&1", certs_file("srv.pem"),
		 certs_file("srv.key"), where);
	pid = run(cmd, &in, &out);
	memmove(where + 4, where, strlen(where) + 1);
	memcpy(where, "tls:", 4);
	how = (struct pulse_connect_opts){ .sz = sizeof(how),
					   .address = where, .tls = cli,
					   .server_name = "localhost" };
	for (int n = 0; n < 500; n++) {
		struct iovec iov = { "\5\4\3\2\1\n", 6 };

		client = (struct end){ 0 };
		KT_EQ(dial(), 0);
		UNTIL(client.seen);
		if (client.seen & PULSE_TRANSPORT_OPEN) {
			client.got = 1;
			KT_EQ(pulse_transport_send(client.t, &iov, 1), 6);
			break;
		}
		pulse_transport_close(client.t, true);
		usleep(20000);
	}
	/* 1 2 3 4 5, and a line feed that is none of the pattern */
	pulse_transport_watch(client.t, 0);
	{
		unsigned char got[6] = { 0 };
		struct iovec iov = { got, 6 };
		ssize_t have = -EAGAIN;

		for (int n = 0; n < 1000 && have == -EAGAIN; n++) {
			have = pulse_transport_recv(client.t, &iov, 1);
			usleep(1000);
		}
		KT_EQ(have, 6);
		KT_CHECK(!memcmp(got, "\1\2\3\4\5\n", 6));
	}
	pulse_transport_close(client.t, false);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	close(in);
	close(out);
	KT_EQ(pulse_poller_destroy(poller), 0);
	pulse_tls_destroy(cli);
}

/* Without the plug-in it is said so, at once. */
KT_TEST(no_plug_in_is_not_supported)
{
	const char *dir = getenv("PULSE_PLUGIN_DIR");
	PULSE_OPTS(pulse_connect_opts, co, .address = "tls:127.0.0.1:1");
	struct pulse_transport *t;
	struct pulse_tls *tls;
	char was[4096];

	snprintf(was, sizeof(was), "%s", dir ? dir : "");
	setenv("PULSE_PLUGIN_DIR", "/nowhere", 1);
	KT_EQ(pulse_tls_create(NULL, &tls), -EOPNOTSUPP);
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t),
	      -EOPNOTSUPP);
	KT_EQ(pulse_poller_destroy(poller), 0);
	setenv("PULSE_PLUGIN_DIR", was, 1);
}

KT_MAIN()

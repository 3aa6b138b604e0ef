// SPDX-License-Identifier: GPL-2.0-only
/*
 * TLS connections in which a record is not what was sent, or the keys change; also
 * where the kernel encrypts and decrypts (selftests/ulib/io/ktls). Whoever does it:
 * nothing wrong is delivered, the end has a reason, and is told once.
 */
#include "tls_ends.h"
#include "ssl_peer.h"

static struct pulse_tls *srv, *cli;

static int tells;		/* since the record that is spoilt was sent */

static void on_victim(struct pulse_transport *t, uint32_t events, void *arg)
{
	tells++;
	on_end(t, events, arg);
}

static void makes(int ktls)
{
	PULSE_OPTS(pulse_tls_opts, o, .ktls = ktls, .handshake_timeout_ms = 60000);

	o.cert_file = certs_file("srv.pem");
	o.key_file = certs_file("srv.key");
	KT_EQ(pulse_tls_create(&o, &srv), 0);
	o.cert_file = o.key_file = NULL;
	o.ca_file = certs_file("ca.pem");
	KT_EQ(pulse_tls_create(&o, &cli), 0);
}

static uint32_t flags_of(struct pulse_transport *t)
{
	struct pulse_tls_info info = { .sz = sizeof(info) };

	KT_EQ(pulse_tls_get_info(t, &info), 0);
	return info.flags;
}

/* ---- spoilt records ---------------------------------------------------------- */

/* Where in the record: its type, version, length, what it says, and its end. */
static const long spots[] = { 0, 1, 3, 5, 700, 1000 };

static void spoil_one(struct end *from, struct end *to,
		      struct pulse_transport **way, long spot, int ktls,
		      bool at_once)
{
	const long good = at_once ? 1500 : 1000;

	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	uint32_t can;

	makes(ktls);
	meet_through_relay(srv, cli, 4096);
	can = flags_of(to->t) & PULSE_TLS_KERNEL_RECEIVES;
	if (ktls == PULSE_OFF)
		KT_EQ(can, 0);
	else if (getenv("PULSE_TEST_KTLS") && newest() == 12)
		KT_CHECK(can);
	KT_EQ(send_some(from, 0, 1000), 1000);
	UNTIL(to->got == 1000);
	KT_EQ(pulse_transport_set_handler(to->t, on_victim, to), 0);
	tells = 0;
	if (at_once) {
		/* All of it is there before it is read. */
		KT_EQ(pulse_transport_watch(to->t, 0), 0);
		KT_EQ(send_some(from, 1000, 500), 500);
		for (int i = 0; i < 4; i++)
			pulse_poller_run_once(poller, pulse_now_ns() + 2000000);
	}
	relay.to_spoil = way;
	relay.spoil_at = spot;
	KT_EQ(send_some(from, good, 1000), 1000);
	send_some(from, good + 1000, 1000);	/* a good one behind it */
	if (at_once) {
		UNTIL(relay.spoil_at < 0);
		KT_EQ(pulse_transport_watch(to->t, PULSE_TRANSPORT_READ), 0);
	}
	UNTIL(to->broken || to->eof);
	KT_CHECK(to->broken && !to->eof);
	KT_EQ(to->err, -EPROTO);
	KT_EQ(to->got, good);
	KT_EQ(pulse_transport_recv(to->t, &iov, 1), -EPROTO);
	KT_EQ(pulse_transport_send(to->t, &iov, 1), -EPROTO);
	KT_EQ(pulse_transport_error(to->t), -EPROTO);
	/* Told again where it is asked for again, but not for ever. */
	KT_EQ(pulse_transport_watch(to->t, PULSE_TRANSPORT_READ), 0);
	for (int i = 0; i < 10; i++)
		pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
	KT_CHECKF(tells <= 5, "told %d times", tells);
	KT_EQ(to->got, good);
	end_relay();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

static void spoil_all(int ktls)
{
	for (size_t i = 0; i < ARRAY_SIZE(spots); i++) {
		bool twice = spots[i] == 5;

		for (int at_once = 0; at_once < 1 + twice; at_once++) {
			spoil_one(&client, &server, &relay.out, spots[i], ktls,
				  at_once);
			spoil_one(&server, &client, &relay.in, spots[i], ktls,
				  at_once);
		}
	}
}

KT_TEST(nothing_of_a_spoilt_record_is_delivered)
{
	NEED_TLS();
	spoil_all(PULSE_OFF);
}

KT_TEST(nor_by_the_kernel_where_it_decrypts)
{
	NEED_TLS();
	spoil_all(PULSE_DEFAULT);
}

/* ---- new keys ----------------------------------------------------------------- */

#define PIECE	1000

/* Answers as many bytes as came, as they came. */
static void echo_until_it_is_over(struct ssl_peer *p, long *sent)
{
	UNTIL((*sent += send_some(&server, *sent, server.got - *sent),
	       server.broken || server.eof ||
	       __atomic_load_n(&p->done, __ATOMIC_ACQUIRE)));
}

static void new_keys(int kind, int ktls)
{
	struct ssl_peer p = { .kind = kind, .rounds = 5, .piece = PIECE };
	const long bytes = (p.rounds + 1) * (long)PIECE;
	uint32_t kernel;
	long sent = 0;

	makes(ktls);
	listen_tls(srv, "tls:127.0.0.1:0");
	strcpy(p.to, where + 4);
	KT_REQUIRE(!pthread_create(&p.thread, NULL, ssl_run, &p));
	UNTIL(server.t || __atomic_load_n(&p.done, __ATOMIC_ACQUIRE));
	if (KT_CHECK(server.t)) {
		kernel = flags_of(server.t) & (PULSE_TLS_KERNEL_SENDS |
					       PULSE_TLS_KERNEL_RECEIVES);
		echo_until_it_is_over(&p, &sent);
		/* Only the kernel may be unable to go on. */
		if (!kernel || (!kind && kernel == PULSE_TLS_KERNEL_SENDS)) {
			UNTIL(server.broken || server.eof);
			KT_EQ(server.err, 0);
			KT_EQ(server.got, bytes);
			KT_EQ(sent, bytes);
		} else if (server.broken) {
			kt_note("%s, wanted %d: ended with %s after %ld of %ld bytes",
				kernel & PULSE_TLS_KERNEL_RECEIVES ?
				"decrypted by the kernel" : "encrypted by the kernel",
				kind, pulse_strerror(server.err), server.got, bytes);
			KT_CHECK(server.err < 0 && server.err != -EAGAIN);
			KT_CHECK(server.got < bytes || sent < bytes || !p.all);
		}
		if (server.broken)
			pulse_transport_close(server.t, true);
		else
			pulse_transport_close(server.t, false);
		server.t = NULL;
	}
	UNTIL(__atomic_load_n(&p.done, __ATOMIC_ACQUIRE));
	pthread_join(p.thread, NULL);
	KT_CHECK(p.met);
	KT_EQ(p.wrong, 0);
	KT_CHECK(p.all || server.broken || server.eof);
	end();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

KT_TEST(new_keys_are_taken_or_end_it_with_a_reason)
{
	NEED_TLS();
	if (newest() == 12)
		KT_SKIP("TLS 1.2 has no such thing");
	KT_REQUIRE(ssl_load());
	for (int kind = 0; kind < 2; kind++) {
		new_keys(kind, PULSE_DEFAULT);
		new_keys(kind, PULSE_OFF);
	}
}

KT_MAIN()

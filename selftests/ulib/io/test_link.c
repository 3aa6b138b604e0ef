// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: streams that change their carrier while both sides send. W05.
 */
#include "certs.h"
#include "ends.h"

#include <pulse-u/link.h>
#include <pulse-u/tls.h>

enum { TCP, SHM, UNIX, TLS, NR_WAYS };

static struct pulse_link_hub *hub;
static char ways[NR_WAYS][PULSE_ADDRESS_MAX];
static struct pulse_tls *stls, *ctls;
static int swaps, swap_err;

static void on_link(struct pulse_link_hub *h, struct pulse_transport *t,
		    void *arg)
{
	(void)h;
	on_accept(NULL, t, arg);
}

static void add_way(int way, const char *format)
{
	char address[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_listener_opts, lo, .address = address, .tls = stls);
	struct pulse_listener *l;

	snprintf(address, sizeof(address), format, getpid());
	KT_EQ(pulse_link_hub_listen(hub, &lo, &l), 0);
	KT_EQ(pulse_listener_address(l, ways[way], sizeof(ways[way])), 0);
}

/* TLS where there is a plug-in; returns how many ways there are. */
static int begin_hub(void)
{
	PULSE_OPTS(pulse_tls_opts, so, .handshake_timeout_ms = 60000);
	PULSE_OPTS(pulse_tls_opts, co);

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = swaps = 0;
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_link_hub_create(poller, on_link, &server, &hub), 0);
	stls = ctls = NULL;
	if (!certs_make()) {
		so.cert_file = certs_file("srv.pem");
		so.key_file = certs_file("srv.key");
		co.ca_file = certs_file("ca.pem");
		if (!pulse_tls_create(&so, &stls))
			KT_EQ(pulse_tls_create(&co, &ctls), 0);
	}
	add_way(TCP, "127.0.0.1:0");
	add_way(SHM, "shm:@pulse-link-shm-%d");
	add_way(UNIX, "unix:@pulse-link-%d");
	if (stls)
		add_way(TLS, "tls:127.0.0.1:0");
	return stls ? NR_WAYS : NR_WAYS - 1;
}

static void meet_by(int way)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = ways[way], .tls = ctls,
		   .server_name = "localhost");

	KT_EQ(pulse_link_connect(poller, &co, on_end, &client, &client.t), 0);
	KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(server.t && client.seen & PULSE_TRANSPORT_OPEN);
}

static void end_hub(void)
{
	if (server.t)
		pulse_transport_close(server.t, false);
	if (client.t)
		pulse_transport_close(client.t, false);
	KT_EQ(pulse_link_hub_destroy(hub), 0);
	if (stls)
		pulse_tls_destroy(stls);
	if (ctls)
		pulse_tls_destroy(ctls);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

static void swapped(struct pulse_transport *t, int err, void *arg)
{
	KT_CHECK(t == client.t);
	KT_CHECK(arg == &swaps);
	swap_err = err;
	swaps++;
}

static int swap_to(int way)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = ways[way], .tls = ctls,
		   .server_name = "localhost");

	return pulse_link_swap(client.t, &co, swapped, &swaps);
}

/* Both sides send as much as goes; a turn of the loop. */
static long a_sent, b_sent;

static void load(void)
{
	a_sent += send_some(&client, a_sent, 20000 + a_sent % 777);
	b_sent += send_some(&server, b_sent, 15000 + b_sent % 555);
	pulse_poller_run_once(poller, 0);
}

static void load_until_swapped(int n)
{
	int64_t late = pulse_now_ns() + 30 * PULSE__NSEC_PER_SEC;

	while (swaps < n && pulse_now_ns() < late && !client.broken &&
	       !server.broken)
		load();
	KT_EQ(swaps, n);
}

/* W05: 1,000 times there and back, the bytes numbered, both ways loaded */
KT_TEST(tcp_to_shm_to_tcp_under_load_loses_nothing)
{
	int rounds = (int)kt_scale(1000), done = 0;

	begin_hub();
	meet_by(TCP);
	a_sent = b_sent = 0;
	for (int i = 0; i < rounds && !kt_failed; i++) {
		KT_EQ(swap_to(SHM), 0);
		load_until_swapped(++done);
		KT_EQ(swap_err, 0);
		KT_STREQ(pulse_link_carrier(client.t), "shm");
		KT_EQ(swap_to(TCP), 0);
		load_until_swapped(++done);
		KT_EQ(swap_err, 0);
		KT_STREQ(pulse_link_carrier(client.t), "tcp");
	}
	UNTIL(server.got == a_sent && client.got == b_sent);
	kt_note("%d moves, %ld and %ld bytes", done, a_sent, b_sent);
	end_hub();
}

KT_TEST(any_carrier_to_any_other)
{
	int n = begin_hub(), done = 0;

	meet_by(TCP);
	a_sent = b_sent = 0;
	for (int round = 0; round < 3; round++)
		for (int from = 0; from < n; from++)
			for (int to = 0; to < n; to++) {
				KT_EQ(swap_to(from), 0);
				load_until_swapped(++done);
				KT_EQ(swap_to(to), 0);
				load_until_swapped(++done);
				KT_EQ(swap_err, 0);
			}
	UNTIL(server.got == a_sent && client.got == b_sent);
	end_hub();
}

static struct pulse_transport *deaf_end;
static bool hang_up;

static void on_deaf(struct pulse_listener *l, struct pulse_transport *t,
		    void *arg)
{
	(void)l;
	(void)arg;
	if (hang_up)
		pulse_transport_close(t, false);
	else
		deaf_end = t;
}

/* W05: a target that refuses, is nobody's, or never answers */
KT_TEST(a_move_that_fails_stays_where_it_was)
{
	static const char *const nowhere[] = {
		"unix:@pulse-link-nobody", "127.0.0.1:1", "tls:127.0.0.1:1", "x",
	};
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	struct pulse_listener *deaf_listener;
	char deaf[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_connect_opts, co);
	int done = 0;

	begin_hub();
	deaf_end = NULL;
	hang_up = false;
	KT_EQ(pulse_listener_open(poller, &lo, on_deaf, NULL,
				  &deaf_listener), 0);
	pulse_listener_address(deaf_listener, deaf, sizeof(deaf));
	meet_by(TCP);
	a_sent = b_sent = 0;
	for (size_t i = 0; i < ARRAY_SIZE(nowhere) * 3; i++) {
		co.address = nowhere[i % ARRAY_SIZE(nowhere)];
		if (!pulse_link_swap(client.t, &co, swapped, &swaps)) {
			load_until_swapped(++done);
			KT_CHECK(swap_err < 0);
		}
		load();
		KT_STREQ(pulse_link_carrier(client.t), "tcp");
	}
	/* It connects, and nobody says READY. */
	co.address = deaf;
	co.deadline_ns = pulse_now_ns() + 50 * PULSE__NSEC_PER_MSEC;
	KT_EQ(pulse_link_swap(client.t, &co, swapped, &swaps), 0);
	KT_EQ(swap_to(SHM), -EBUSY);
	load_until_swapped(++done);
	KT_EQ(swap_err, -ETIMEDOUT);
	if (deaf_end)
		pulse_transport_close(deaf_end, true);
	/* And one that hangs up. */
	hang_up = true;
	co.deadline_ns = 0;
	KT_EQ(pulse_link_swap(client.t, &co, swapped, &swaps), 0);
	load_until_swapped(++done);
	KT_CHECK(swap_err < 0);
	/* After all that it still moves. */
	KT_EQ(swap_to(SHM), 0);
	load_until_swapped(++done);
	KT_EQ(swap_err, 0);
	UNTIL(server.got == a_sent && client.got == b_sent);
	KT_EQ(pulse_listener_close(deaf_listener), 0);
	end_hub();
}

KT_TEST(it_ends_and_half_ends_as_a_stream_does)
{
	for (int moved = 0; moved < 2; moved++) {
		begin_hub();
		meet_by(TCP);
		a_sent = b_sent = 0;
		if (moved) {
			KT_EQ(swap_to(SHM), 0);
			load_until_swapped(1);
		}
		a_sent += send_some(&client, a_sent, 1000);
		KT_EQ(pulse_transport_shutdown(client.t), 0);
		UNTIL(server.eof);
		KT_EQ(server.got, a_sent);
		b_sent += send_some(&server, b_sent, 5000);
		UNTIL(client.got == b_sent);
		KT_EQ(send_some(&client, a_sent, 1), 0);
		KT_EQ(client.err, -EPIPE);
		KT_EQ(swap_to(TCP), -ENOTCONN);
		pulse_transport_close(server.t, false);
		server.t = NULL;
		UNTIL(client.eof);
		end_hub();
	}
}

/* What was sent before a close is not lost, even in the middle of a move. */
KT_TEST(a_close_in_a_move_loses_nothing_of_what_was_sent)
{
	for (int turns = 0; turns < 30; turns++) {
		begin_hub();
		meet_by(turns % 2 ? TCP : UNIX);
		a_sent = b_sent = 0;
		KT_EQ(swap_to(SHM), 0);
		for (int i = 0; i < turns / 2; i++) {
			a_sent += send_some(&client, a_sent, 3000);
			pulse_poller_run_once(poller, 0);
		}
		a_sent += send_some(&client, a_sent, 3000);
		pulse_transport_close(client.t, false);
		client.t = NULL;
		UNTIL(server.eof || server.broken);
		KT_CHECKF(server.eof && server.got == a_sent,
			  "%d turns: %ld of %ld, %d", turns, server.got, a_sent,
			  server.err);
		end_hub();
	}
}

KT_TEST(what_is_no_link_is_refused)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = ways[TCP]);
	struct pulse_transport *t = NULL;
	static const unsigned char junk[24] = { 16, 0, 0, 0, 2, 0, 0, 0 };
	struct iovec iov = { (void *)junk, sizeof(junk) };
	struct end plain = { 0 };

	begin_hub();
	meet_by(TCP);
	KT_EQ(pulse_link_swap(server.t, &co, swapped, NULL), -EPERM);
	KT_EQ(pulse_link_swap(NULL, &co, swapped, NULL), -EINVAL);
	KT_EQ(pulse_link_swap(client.t, NULL, swapped, NULL), -EINVAL);
	KT_EQ(pulse_link_swap(client.t, &co, NULL, NULL), -EINVAL);
	KT_EQ(pulse_link_connect(poller, &co, NULL, NULL, &t), -EINVAL);
	KT_EQ(pulse_link_hub_create(NULL, on_link, NULL, &hub), -EINVAL);
	KT_EQ(pulse_link_hub_destroy(NULL), -EINVAL);
	/* A name that nobody has. */
	KT_EQ(pulse_transport_connect(poller, &co, on_end, &plain, &plain.t), 0);
	pulse_transport_watch(plain.t, PULSE_TRANSPORT_READ);
	KT_CHECK(!pulse_link_carrier(plain.t));
	UNTIL(plain.seen & PULSE_TRANSPORT_OPEN);
	KT_EQ(pulse_transport_send(plain.t, &iov, 1), sizeof(junk));
	UNTIL(plain.broken || plain.eof);
	pulse_transport_close(plain.t, false);
	end_hub();
}

KT_TEST(each_allocation_of_a_meeting_may_fail)
{
	bool failed = true;
	int met = 0;
	long n = 0;

	while (failed && n < 100) {
		PULSE_OPTS(pulse_connect_opts, co, .address = ways[TCP]);
		int err;

		begin_hub();
		pulse__alloc_fail_at(++n);
		err = pulse_link_connect(poller, &co, on_end, &client, &client.t);
		KT_CHECKF(!err || (err == -ENOMEM && pulse__alloc_failed()),
			  "allocation %ld: %d", n, err);
		if (!err) {
			pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
			UNTIL((server.t && client.seen & PULSE_TRANSPORT_OPEN) ||
			      client.broken || client.eof);
			/* If the other side was given up, this one hears of it. */
			if (!server.t && !client.broken && !client.eof)
				UNTIL(client.broken || client.eof);
			met += server.t && !client.broken;
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		end_hub();
	}
	KT_CHECKF(!failed && n > 4 && met > 0, "%ld allocations, %d met", n - 1, met);
}

KT_TEST(each_allocation_of_a_move_may_fail)
{
	bool failed;
	long n = 0;

	do {
		int err;

		begin_hub();
		meet_by(TCP);
		a_sent = b_sent = 0;
		load();		/* the loop has its buffer */
		UNTIL(server.got == a_sent && client.got == b_sent);
		pulse__alloc_fail_at(++n);
		err = swap_to(SHM);
		if (!err)
			load_until_swapped(1);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		UNTIL(server.got == a_sent && client.got == b_sent);
		KT_STREQ(pulse_link_carrier(client.t),
			 err || swap_err ? "tcp" : "shm");
		end_hub();
	} while (failed && n < 50 && !kt_failed);
	KT_CHECKF(n > 4, "%ld allocations", n - 1);
}

KT_MAIN()

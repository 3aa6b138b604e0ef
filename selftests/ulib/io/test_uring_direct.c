// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams on io_uring that bring much at a time are received by their owners, and by
 * multishot requests again when they bring little: whatever happens to the stream
 * before, between and after, all bytes come once and in order.
 */
#include "uring_side.h"

#include <pthread.h>

#define IN_A_ROW	4	/* long ones until it is direct */
#define BACK		16	/* short ones until it is not */

static struct peer_side peer;

static void make_direct(void)
{
	for (int i = 0; i < IN_A_ROW; i++)
		bring(&peer, &server, LONG_ONE);
	KT_CHECK(stream_of(&server)->direct);
}

/* ... and the request that asks is under way. */
static void make_asking(void)
{
	make_direct();
	UNTIL(stream_of(&server)->asking && stream_of(&server)->receiving);
}

static void begin_one(void)
{
	peer = peer_of(&server);
}

static void end_one(void)
{
	close(peer.fd);
	finish();
}

static void turns(int n)
{
	while (n--)
		pulse_poller_run_once(poller, pulse_now_ns() + PULSE__NSEC_PER_MSEC);
}

KT_TEST(long_ones_make_it_direct_and_short_ones_turn_it_back)
{
	struct pulse__uring_stream *s;

	BEGIN();
	begin_one();
	s = stream_of(&server);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < IN_A_ROW; i++) {
			KT_CHECK(!s->direct);
			bring(&peer, &server, LONG_ONE);
		}
		KT_CHECK(s->direct);
		UNTIL(s->asking && s->receiving);
		for (int i = 0; i < BACK; i++) {
			KT_CHECK(s->direct);
			bring(&peer, &server, 100);
		}
		KT_CHECK(!s->direct);
		UNTIL(!s->asking && s->receiving);
	}
	end_one();
}

KT_TEST(one_long_or_short_one_among_others_changes_nothing)
{
	BEGIN();
	begin_one();
	for (int i = 0; i < 3 * IN_A_ROW; i++)
		bring(&peer, &server, i % IN_A_ROW ? LONG_ONE : 100);
	KT_CHECK(!stream_of(&server)->direct);
	make_asking();
	for (int i = 0; i < 3 * BACK; i++)
		bring(&peer, &server, i % BACK ? 100 : LONG_ONE);
	KT_CHECK(stream_of(&server)->direct);
	end_one();
}

static void in_pieces(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct end *e = arg;
	uint8_t data[1000];
	struct iovec iov = { data, sizeof(data) };
	ssize_t n;

	(void)events;
	while ((n = pulse_transport_recv(t, &iov, 1)) > 0)
		for (ssize_t i = 0; i < n; i++)
			KT_CHECK(data[i] == (uint8_t)(e->got++ % 251));
	KT_EQ(n, -EAGAIN);
}

KT_TEST(who_takes_it_in_pieces_has_them_without_calls)
{
	BEGIN();
	begin_one();
	pulse_transport_set_handler(server.t, in_pieces, &server);
	for (int i = 0; i < 4 * IN_A_ROW; i++)
		bring(&peer, &server, LONG_ONE);
	KT_CHECK(!stream_of(&server)->direct);
	end_one();
}

KT_TEST(nothing_is_told_while_it_is_not_wanted)
{
	BEGIN();
	begin_one();
	make_asking();
	for (int i = 0; i < 20; i++) {
		long got = server.got;

		KT_EQ(pulse_transport_watch(server.t, 0), 0);
		turns(i % 3);
		arrive(&peer, &server, 100 + i);
		turns(3);
		KT_EQ(server.got, got);
		KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
		UNTIL(server.got == peer.sent);
	}
	end_one();
}

static int stops_at;

/* Wants nothing more from the @stops_at'th one on. */
static void takes_and_stops(struct pulse_transport *t, uint32_t events, void *arg)
{
	on_end(t, events, arg);
	if (!--stops_at)
		KT_EQ(pulse_transport_watch(t, 0), 0);
}

KT_TEST(who_stops_as_it_becomes_direct_goes_on_later)
{
	BEGIN();
	begin_one();
	pulse_transport_set_handler(server.t, takes_and_stops, &server);
	for (int k = 0; k < 4; k++) {
		stops_at = IN_A_ROW + k;
		for (int i = 0; i < IN_A_ROW + k; i++)
			bring(&peer, &server, LONG_ONE);
		arrive(&peer, &server, 1000);
		turns(3);
		KT_EQ(server.got, peer.sent - 1000);
		KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
		UNTIL(server.got == peer.sent);
		for (int i = 0; i < BACK; i++)
			bring(&peer, &server, 10);
		KT_CHECK(!stream_of(&server)->direct);
	}
	end_one();
}

/* A receive that nobody was told of: what there is, or -EAGAIN. */
KT_TEST(its_owner_may_receive_whenever_he_likes)
{
	void *data;

	BEGIN();
	begin_one();
	make_asking();
	KT_EQ(pulse_transport_view(server.t, &data), -EAGAIN);
	arrive(&peer, &server, 5000);
	take(&server);
	KT_EQ(server.got, peer.sent);
	bring(&peer, &server, 5000);
	end_one();
}

static void closes(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct end *e = arg;

	(void)events;
	pulse_transport_close(t, false);
	e->t = NULL;
}

/* Leaks and uses of what is gone are a sanitizer's to tell. */
KT_TEST(it_is_closed_at_any_time)
{
	BEGIN();
	for (int i = 0; i < 12; i++) {
		char c;

		begin_one();
		if (i % 3 == 0)
			make_asking();
		else if (i % 3 == 1)
			make_direct();	/* the other request is being ended */
		if (i % 2) {
			pulse_transport_set_handler(server.t, closes, &server);
			arrive(&peer, &server, LONG_ONE);
			UNTIL(!server.t);
		} else {
			pulse_transport_close(server.t, i & 4);
			server.t = NULL;
		}
		KT_CHECK(EVENTUALLY(recv(peer.fd, &c, 1, 0) == 0 || errno != EAGAIN));
		close(peer.fd);
		memset(&server, 0, sizeof(server));
		turns(i % 4);
	}
	finish();
}

KT_TEST(the_end_comes_behind_all_bytes)
{
	BEGIN();
	begin_one();
	make_asking();
	arrive(&peer, &server, LONG_ONE);
	shutdown(peer.fd, SHUT_WR);
	UNTIL(server.eof);
	KT_EQ(server.got, peer.sent);
	end_one();
}

KT_TEST(a_reset_is_told)
{
	struct linger now = { .l_onoff = 1 };

	BEGIN();
	begin_one();
	make_asking();
	setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(peer.fd);
	UNTIL(server.broken);
	KT_EQ(server.err, -ECONNRESET);
	finish();
}

/* Asked for or being changed, with bytes in the socket and without. */
KT_TEST(it_moves_to_another_loop)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_IO_URING);
	struct pulse_poller *loops[2] = { NULL };
	int moves = 0;

	BEGIN();
	KT_EQ(pulse_poller_create(&po, &loops[1]), 0);
	loops[0] = poller;
	begin_one();
	for (int i = 0; i < 40; i++) {
		int err;

		if (i % 4 == 0)
			make_direct();
		else if (i % 4 == 1)
			make_asking();
		if (i % 3)
			arrive(&peer, &server, 100 * i);
		poller = loops[!(moves & 1)];
		err = pulse_transport_move(server.t, poller);
		KT_CHECKF(!err || err == -EBUSY, "move: %d", err);
		moves += !err;
		poller = server.t->poller;
		KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
		UNTIL(server.got == peer.sent);
	}
	KT_CHECKF(moves > 20, "%d moves", moves);
	pulse_transport_close(server.t, false);
	server.t = NULL;
	close(peer.fd);
	poller = loops[0];
	KT_EQ(pulse_poller_destroy(loops[1]), 0);
	finish();
}

static void *other_thread(void *arg)
{
	(void)arg;
	UNTIL(server.got == peer.sent);
	return NULL;
}

/* The ring of the one is given up, with what it was asked for. */
KT_TEST(its_loop_goes_from_thread_to_thread)
{
	BEGIN();
	begin_one();
	for (int i = 0; i < 8; i++) {
		pthread_t th;

		if (i & 1)
			make_asking();
		else
			make_direct();
		arrive(&peer, &server, i & 2 ? 500 : LONG_ONE);
		KT_EQ(pthread_create(&th, NULL, other_thread, NULL), 0);
		pthread_join(th, NULL);
		bring(&peer, &server, LONG_ONE);
	}
	end_one();
}

KT_MAIN()

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * moves.h - a transport that goes from loop to loop while bytes that count up go
 * both ways over it: none is lost, doubled or out of its place. Part of carriers.h.
 */
#ifndef PULSE_SELFTESTS_IO_MOVES_H
#define PULSE_SELFTESTS_IO_MOVES_H

#include <pthread.h>

static struct pulse_poller *loops[2];

static void make_loops(void)
{
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_poller_create(NULL, &loops[i]), 0);
}

/* The server's end is on one of them. */
static void end_loops(void)
{
	pulse_transport_close(server.t, false);
	server.t = NULL;
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_poller_destroy(loops[i]), 0);
	end();
}

/* A carrier that stays says so, and stays. */
static void stays(const struct kind *k)
{
	KT_EQ(pulse_transport_features(server.t) & PULSE_TRANSPORT_MOVES, 0);
	KT_EQ(pulse_transport_move(server.t, loops[0]), -EOPNOTSUPP);
	KT_CHECK(server.t->poller == poller);
	stream_all(&client, &server, 10000);
	KT_STREQ(pulse_transport_name(server.t), k->name);
	end_loops();
}

/* One thread runs all loops, so that each move finds something under way. */
static void goes_to_and_fro_between_two_loops(const struct kind *k)
{
	long rounds = kt_scale(1000), moves = 0, a = 0, b = 0;
	int err;

	BEGIN(k);
	make_loops();
	KT_EQ(dial(), 0);
	if (k->features & PULSE_TRANSPORT_MOVES)
		KT_EQ(pulse_transport_move(client.t, loops[0]), -EBUSY);
	UNTIL(server.t && client.seen & PULSE_TRANSPORT_OPEN);
	if (!(k->features & PULSE_TRANSPORT_MOVES)) {
		stays(k);
		return;
	}
	for (long i = 0; i < rounds; i++) {
		a += send_some(&client, a, 3000 + i % 97);
		b += send_some(&server, b, i % 50 ? 500 : 50000);
		for (int turn = 0; turn < i % 3; turn++) {
			pulse_poller_run_once(poller, 0);
			pulse_poller_run_once(loops[0], 0);
			pulse_poller_run_once(loops[1], 0);
		}
		err = pulse_transport_move(server.t, loops[i & 1]);
		KT_CHECKF(!err || err == -EBUSY, "move: %d", err);
		moves += !err;
		KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	}
	KT_CHECKF(moves > rounds / 2, "%ld moves of %ld", moves, rounds);
	for (int64_t late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;
	     (server.got < a || client.got < b) && pulse_now_ns() < late;) {
		pulse_poller_run_once(loops[0], 0);
		pulse_poller_run_once(loops[1], 0);
		pulse_poller_run_once(poller, 0);
	}
	KT_EQ(server.got, a);
	KT_EQ(client.got, b);
	end_loops();
}

/* What goes from thread to thread with the transport. */
static struct {
	struct end *e;
	long sent;		/* back, of what has come */
	int at;			/* which of the loops */
	bool rest;
	uint32_t moves;		/* read by others */
} hopper;

static void hopper_watch(void)
{
	uint32_t events = PULSE_TRANSPORT_READ;

	if (hopper.sent < hopper.e->got)
		events |= PULSE_TRANSPORT_WRITE;
	KT_EQ(pulse_transport_watch(hopper.e->t, events), 0);
}

static void hopper_arrives(struct pulse_poller *p, void *arg)
{
	(void)arg;
	KT_CHECK(hopper.e->t->poller == p);
	hopper_watch();
}

/* Says back what comes, and goes elsewhere after each event. */
static void hop(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct end *e = arg;
	int err;

	KT_CHECKF(!(events & PULSE_TRANSPORT_ERROR), "%d", pulse_transport_error(t));
	if (events & PULSE_TRANSPORT_READ)
		take(e);
	hopper.sent += send_some(e, hopper.sent, e->got - hopper.sent);
	if (e->eof || e->broken)
		return;
	err = hopper.rest ? -EBUSY : pulse_transport_move(t, loops[!hopper.at]);
	if (err) {
		KT_EQ(err, -EBUSY);
		hopper_watch();
		return;
	}
	hopper.at = !hopper.at;
	pulse__add_relaxed(&hopper.moves, 1);
	/* It is that thread's from here on. */
	KT_EQ(pulse_poller_post(loops[hopper.at], hopper_arrives, NULL), 0);
}

static void *run_loop(void *arg)
{
	KT_EQ(pulse_poller_run(arg), 0);
	return NULL;
}

/* The loops are the threads', or else get their turn here. */
static void hopper_turn(bool threads)
{
	for (int i = 0; !threads && i < 2; i++)
		pulse_poller_run_once(loops[i], 0);
	pulse_poller_run_once(poller, threads ? pulse_now_ns() +
			      PULSE__NSEC_PER_MSEC : 0);
}

static void goes_from_thread_to_thread_under_load(const struct kind *k)
{
	bool split = !k->one_thread || !k->one_thread();
	uint32_t want = (uint32_t)kt_scale(1000);
	pthread_t threads[2];
	int64_t late;
	long sent = 0;

	BEGIN(k);
	meet();
	make_loops();
	if (!(k->features & PULSE_TRANSPORT_MOVES)) {
		stays(k);
		return;
	}
	send_some(&client, 0, 0);	/* what is sent is made once, here */
	memset(&hopper, 0, sizeof(hopper));
	hopper.e = &server;
	pulse_transport_set_handler(server.t, hop, &server);
	KT_EQ(pulse_transport_move(server.t, loops[0]), 0);
	KT_EQ(pulse_poller_post(loops[0], hopper_arrives, NULL), 0);
	for (int i = 0; split && i < 2; i++)
		KT_EQ(pthread_create(&threads[i], NULL, run_loop, loops[i]), 0);
	late = pulse_now_ns() + 20 * PULSE__NSEC_PER_SEC;
	while (__atomic_load_n(&hopper.moves, __ATOMIC_RELAXED) < want &&
	       !client.broken && !client.eof && pulse_now_ns() < late) {
		if (sent - client.got < 256 << 10)
			sent += send_some(&client, sent, 5000);
		hopper_turn(split);
	}
	late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;
	while (client.got < sent && pulse_now_ns() < late)
		hopper_turn(split);
	KT_EQ(client.got, sent);
	for (int i = 0; split && i < 2; i++) {
		KT_EQ(pulse_poller_stop(loops[i]), 0);
		pthread_join(threads[i], NULL);
	}
	hopper.rest = true;
	for (int i = 0; i < 2; i++)	/* it may have been on its way */
		pulse_poller_run_once(loops[i], 0);
	KT_EQ(server.got, sent);
	KT_EQ(hopper.sent, sent);
	/* As many as there was time for. */
	KT_CHECK(hopper.moves > 1);
	kt_note("%u moves, %ld bytes", hopper.moves, sent);
	end_loops();
}

#endif /* PULSE_SELFTESTS_IO_MOVES_H */

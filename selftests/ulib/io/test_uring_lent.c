// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends out of the buffer that was received into, on io_uring: whatever the system
 * takes of them, and however soon others are received, the peers have the bytes as they
 * were when they were sent; and the buffers come back.
 */
#include "cut_sends.h"
#include "uring_side.h"

#define PEERS	150	/* more than may be held at once */
#define BYTES	6000L	/* enough not to be copied, and one request */

static struct end ends[PEERS];
static struct peer_side peers[PEERS];

enum how {
	STAYS,		/* sent from the view, which stays as it is */
	CHANGES,	/* without that promise, and written over at once */
	HALVES,		/* as two, of which the first stays */
	AND_MORE,	/* and the same once more out of other memory */
	AND_LONG,	/* ... so much that it is sent at once */
	CLOSES,		/* and it is closed */
};

static enum how how_to;
static long in_place;	/* sends that were not copied */
static long behind;	/* so often more has arrived when a handler is done */

/* What was refused, until there is room. */
static struct {
	uint8_t bytes[8 * BYTES];
	size_t len;
} left[PEERS];

static void keep(struct end *e, const uint8_t *p, size_t n)
{
	size_t *len = &left[e - ends].len;

	if (!KT_CHECK(*len + n <= sizeof(left->bytes)))
		return;
	memcpy(left[e - ends].bytes + *len, p, n);
	*len += n;
	pulse_transport_watch(e->t, PULSE_TRANSPORT_WRITE);
}

static void say(struct end *e, const uint8_t *p, size_t n, bool stays)
{
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct pulse__uring *u = pulse__uring_of(e->t->poller);
	ssize_t sent;

	e->t->poller->sends_view = stays;
	sent = pulse_transport_send(e->t, &iov, 1);
	e->t->poller->sends_view = false;
	in_place += stays && u->lent_is_sent;
	if (sent == -EAGAIN)
		keep(e, p, n);
	else if (sent < 0)
		e->err = (int)sent;
	else
		KT_EQ(sent, (ssize_t)n);
}

static void room(struct end *e)
{
	size_t n = left[e - ends].len;

	left[e - ends].len = 0;
	pulse_transport_watch(e->t, PULSE_TRANSPORT_READ);
	say(e, left[e - ends].bytes, n, false);
}

static void echo(struct pulse_transport *t, uint32_t events, void *arg)
{
	static uint8_t copy[512 << 10], more[5 * BYTES + BYTES];
	struct end *e = arg;
	uint8_t *data;
	size_t len;
	ssize_t n;

	if (events & PULSE_TRANSPORT_ERROR && !(events & PULSE_TRANSPORT_READ)) {
		e->err = pulse_transport_error(t);
		pulse_transport_watch(t, 0);
		return;
	}
	if (events & PULSE_TRANSPORT_WRITE) {
		room(e);
		return;
	}
	n = pulse_transport_view(t, (void **)&data);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		e->eof = n == 0;
		e->err = (int)n;
		pulse_transport_watch(t, 0);
		return;
	}
	len = (size_t)n;
	e->got += n;
	memcpy(copy, data, len);
	switch (how_to) {
	case STAYS:
		say(e, data, len, true);
		break;
	case CHANGES:
		say(e, data, len, false);
		memset(data, 0xff, len);
		break;
	case HALVES:
		say(e, data, len - len / 3, true);
		say(e, data + len - len / 3, len / 3, false);
		memset(data + len - len / 3, 0xff, len / 3);
		break;
	case AND_MORE:
		say(e, data, len, true);
		say(e, copy, len, false);
		break;
	case AND_LONG:
		for (int i = 0; i < 6; i++)
			memcpy(more + (size_t)i * BYTES, copy, BYTES);
		say(e, data, len, true);
		say(e, more, sizeof(more), false);
		break;
	case CLOSES:
		say(e, data, len, true);
		pulse_transport_close(t, false);
		e->t = NULL;
		break;
	}
	if (behind) {
		behind--;
		arrive(&peers[e - ends], e, BYTES);
	}
}

/* Bytes of a peer; each of @times sends of BYTES comes back so often. */
static void hear(struct peer_side *p, long times)
{
	uint8_t data[4096];
	ssize_t n;

	while ((n = recv(p->fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++, p->heard++) {
			long at = p->heard % BYTES + p->heard / (BYTES * times) * BYTES;

			if (!KT_CHECKF(data[i] == (uint8_t)(at % 251), "byte %ld is %d",
				       p->heard, data[i]))
				return;
		}
}

static void begin_many(enum how way, int nr)
{
	how_to = way;
	in_place = 0;
	memset(ends, 0, sizeof(ends));
	memset(left, 0, sizeof(left));
	for (int i = 0; i < nr; i++) {
		server.t = NULL;
		peers[i] = peer_of(&server);
		ends[i].t = server.t;
		pulse_transport_set_handler(server.t, echo, &ends[i]);
	}
	server.t = NULL;
}

static void end_many(int nr)
{
	for (int i = 0; i < nr; i++) {
		if (ends[i].t)
			pulse_transport_close(ends[i].t, false);
		close(peers[i].fd);
	}
	finish();
}

/* All at once, so that buffers are wanted while others are held. */
static void round_of(int nr, long times)
{
	for (int i = 0; i < nr; i++)
		arrive(&peers[i], &ends[i], BYTES);
	for (int i = 0; i < nr; i++)
		UNTIL((hear(&peers[i], times), peers[i].heard >= peers[i].sent * times));
}

static void many_rounds(enum how way, long times)
{
	begin_many(way, PEERS);
	for (int i = 0; i < 8; i++)
		round_of(PEERS, times);
	KT_CHECK(in_place > 0 || way == CHANGES);
	end_many(PEERS);
}

KT_TEST(what_stays_comes_back_as_it_was)
{
	BEGIN();
	many_rounds(STAYS, 1);
}

KT_TEST(what_does_not_stay_comes_back_as_it_was)
{
	BEGIN();
	many_rounds(CHANGES, 1);
}

KT_TEST(what_stays_in_part_comes_back_as_it_was)
{
	BEGIN();
	many_rounds(HALVES, 1);
}

KT_TEST(what_is_sent_behind_it_comes_behind_it)
{
	BEGIN();
	many_rounds(AND_MORE, 2);
}

KT_TEST(what_is_sent_at_once_behind_it_comes_behind_it)
{
	BEGIN();
	many_rounds(AND_LONG, 7);
}

KT_TEST(it_comes_before_the_end)
{
	BEGIN();
	for (int k = 0; k < 3; k++) {
		begin_many(CLOSES, 20);
		for (int i = 0; i < 20; i++)
			arrive(&peers[i], &ends[i], BYTES);
		for (int i = 0; i < 20; i++) {
			UNTIL((hear(&peers[i], 1), peers[i].heard >= BYTES));
			KT_CHECK(!ends[i].t);
			close(peers[i].fd);
		}
	}
	finish();
}

/* A ring that gets none back has none soon: there are 256 of them. */
KT_TEST(buffers_come_back)
{
	struct pulse__uring *u;

	BEGIN();
	begin_many(STAYS, 20);
	u = pulse__uring_of(poller);
	for (int i = 0; i < 100; i++)
		round_of(20, 1);
	KT_CHECKF(in_place > 1900, "%ld in place", in_place);
	for (int i = 0; i < 3; i++)
		pulse_poller_run_once(poller, 0);
	KT_EQ(u->nr_held, 0);
	KT_CHECK(!u->lent_is_sent);
	end_many(20);
}

/*
 * What is left of them is kept before the buffers are received into again, which they
 * are at once: there are 16 to begin with.
 */
static void cut_so(struct cut cut_how)
{
	begin_many(STAYS, 16);
	for (int i = 0; i < 3; i++) {
		cut_begin(cut_how);
		behind = 100;
		round_of(16, 1);
		KT_CHECK(cut_end() > 0);
	}
	KT_CHECK(in_place > 0);
	end_many(16);
}

KT_TEST(taken_in_part_all_of_it_comes)
{
	static const size_t most[] = { 200, 1000, 5999 };

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		BEGIN();
		cut_so((struct cut){ .at_most = most[i] });
	}
}

KT_TEST(refused_for_now_all_of_it_comes)
{
	static const int errs[] = { EAGAIN, EINTR, ENOBUFS };

	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		BEGIN();
		cut_so((struct cut){ .every = 2, .err = errs[i] });
	}
}

KT_TEST(broken_its_sender_is_told)
{
	BEGIN();
	begin_many(STAYS, 1);
	round_of(1, 1);
	cut_begin((struct cut){ .at = 1000, .err = ECONNRESET, .times = 1L << 30 });
	arrive(&peers[0], &ends[0], BYTES);
	UNTIL(ends[0].err == -ECONNRESET);
	hear(&peers[0], 1);
	KT_EQ(peers[0].heard, BYTES + 1000);
	KT_CHECK(cut_end() > 0);
	end_many(1);
}

/* Moved with what it sends prepared, and with a rest of it. */
KT_TEST(it_moves_with_what_is_left)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_IO_URING);
	struct pulse_poller *loops[2] = { NULL };

	BEGIN();
	KT_EQ(pulse_poller_create(&po, &loops[1]), 0);
	loops[0] = poller;
	begin_many(STAYS, 1);
	cut_begin((struct cut){ .at_most = 1000 });
	for (int i = 0; i < 20; i++) {
		arrive(&peers[0], &ends[0], BYTES);
		UNTIL(ends[0].got == peers[0].sent);
		poller = loops[!(i & 1)];
		KT_EQ(pulse_transport_move(ends[0].t, poller), 0);
		KT_EQ(pulse_transport_watch(ends[0].t, PULSE_TRANSPORT_READ), 0);
		UNTIL((hear(&peers[0], 1), peers[0].heard >= peers[0].sent));
	}
	KT_CHECK(cut_end() > 0);
	KT_CHECK(in_place > 0);
	pulse_transport_close(ends[0].t, false);
	ends[0].t = NULL;
	poller = loops[0];
	KT_EQ(pulse_poller_destroy(loops[1]), 0);
	end_many(1);
}

KT_MAIN()

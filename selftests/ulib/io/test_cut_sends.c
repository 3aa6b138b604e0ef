// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever the system takes of each send, and whatever it says instead at any byte,
 * what was sent arrives whole and in order, or its sender is told that it is broken
 * and the peer has what came before. W07
 */
#include "cut_sends.h"
#include "ends.h"

#define BYTES	400L		/* small sends, of different lengths */
#define LARGE	40000L		/* one send that no batch is made of */

static struct end *tx, *rx;

/* One byte after the other as it comes; whether all of it got through. */
static bool push(long total, long piece)
{
	int64_t late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;
	long from = rx->got, sent = 0;

	while (sent < total && !tx->err && pulse_now_ns() < late) {
		long want = piece ? piece : 1 + sent % 97, n;

		want = want < total - sent ? want : total - sent;
		n = send_some(tx, from + sent, want);
		sent += n;
		if (n == want)
			continue;
		/* Refused: it is told when there is room again. */
		tx->seen = 0;
		pulse_transport_watch(tx->t, PULSE_TRANSPORT_WRITE);
		while (!(tx->seen & PULSE_TRANSPORT_WRITE) && !tx->err &&
		       pulse_now_ns() < late)
			pulse_poller_run_once(poller, pulse_now_ns() +
					      10 * PULSE__NSEC_PER_MSEC);
	}
	while (rx->got < from + total && !tx->err && !rx->eof &&
	       !rx->broken && pulse_now_ns() < late)
		pulse_poller_run_once(poller, pulse_now_ns() +
				      10 * PULSE__NSEC_PER_MSEC);
	return rx->got == from + total;
}

/* What is accepted sends by other means than what has connected. */
static void begin_on(const char *address, bool accepts)
{
	static char own[PULSE_ADDRESS_MAX];

	tx = accepts ? &server : &client;
	rx = accepts ? &client : &server;
	snprintf(own, sizeof(own), address, getpid());
	begin(own);
	meet();
}

static void a_byte_at_a_time(const char *address, bool accepts)
{
	static const size_t most[] = { 1, 2, 13, 1000 };

	begin_on(address, accepts);
	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		cut_begin((struct cut){ .at_most = most[i] });
		KT_CHECKF(push(most[i] < 13 ? 3000 : 300000, 0),
			  "%zu at a time: %ld", most[i], rx->got);
		KT_CHECKF(push(most[i] < 13 ? LARGE / 10 : LARGE * 4,
			       most[i] < 13 ? LARGE / 10 : LARGE),
			  "%zu at a time, large: %ld", most[i], rx->got);
		KT_CHECK(cut_end() > 0 || most[i] > 97);
	}
	end();
}

static void said_at_each_byte(const char *address, bool accepts, int err)
{
	begin_on(address, accepts);
	for (long at = 0; at < BYTES && !tx->err; at++) {
		cut_begin((struct cut){ .at = at, .err = err, .times = 1 + at % 3 });
		if (!KT_CHECKF(push(BYTES, 0), "at byte %ld: %ld", at, rx->got))
			break;
		KT_CHECKF(cut_end() > 0, "at byte %ld it was not said", at);
	}
	for (long at = 0; at < LARGE && !tx->err; at += 1999) {
		cut_begin((struct cut){ .at = at, .err = err, .times = 2 });
		if (!KT_CHECKF(push(LARGE, LARGE), "at byte %ld: %ld", at, rx->got))
			break;
		KT_CHECKF(cut_end() > 0, "at byte %ld it was not said", at);
	}
	KT_EQ(tx->err, 0);
	cut_begin((struct cut){ .every = 2, .err = err });
	KT_CHECK(push(100 * BYTES, 0));
	KT_CHECK(cut_end() > 0);
	end();
}

/* The peer has what went before it, and nothing more. */
static void broken_at_each_byte(const char *address, bool accepts)
{
	for (long at = 0; at < BYTES; at += 1 + at / 20) {
		begin_on(address, accepts);
		cut_begin((struct cut){ .at = at, .err = ECONNRESET, .times = 1L << 30 });
		KT_CHECK(!push(BYTES, 0));
		KT_EQ(tx->err, -ECONNRESET);
		KT_CHECK(cut_end() > 0);
		pulse_transport_close(tx->t, false);
		tx->t = NULL;
		UNTIL(rx->eof || rx->broken);
		KT_EQ(rx->got, at);
		end();
	}
}

/* U04: without memory for what was not taken, all of it arrives, or its sender is told. */
KT_TEST(without_memory_for_the_rest_the_sender_is_told)
{
	bool failed = true;
	int broken = 0;
	long n = 0;

	while (failed && n < 100) {
		begin_on("127.0.0.1:0", true);
		KT_CHECK(push(10, 0));		/* what it needs in any case is there */
		cut_begin((struct cut){ .at = 100, .err = EAGAIN, .times = 1 });
		pulse__alloc_fail_at(++n);
		if (!push(300, 0)) {
			KT_EQ(tx->err, -ENOMEM);
			KT_CHECK(pulse__alloc_failed());
			broken++;
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECK(cut_end() > 0);
		end();
	}
	KT_CHECK(!failed);
	/* Where the loop sends by itself it has to keep the rest. */
	if (getenv("PULSE_POLLER") && !strcmp(getenv("PULSE_POLLER"), "io_uring"))
		KT_CHECK(broken > 0);
}

#define CUT_TESTS(name, address, accepts)				\
	KT_TEST(name##_taken_a_byte_at_a_time_all_arrives)		\
	{								\
		a_byte_at_a_time(address, accepts);			\
	}								\
	KT_TEST(name##_full_at_each_byte_all_arrives)			\
	{								\
		said_at_each_byte(address, accepts, EAGAIN);		\
	}								\
	KT_TEST(name##_interrupted_at_each_byte_all_arrives)		\
	{								\
		said_at_each_byte(address, accepts, EINTR);		\
	}								\
	KT_TEST(name##_short_of_memory_at_each_byte_all_arrives)	\
	{								\
		said_at_each_byte(address, accepts, ENOBUFS);		\
		said_at_each_byte(address, accepts, ENOMEM);		\
	}								\
	KT_TEST(name##_broken_at_each_byte_the_sender_is_told)		\
	{								\
		broken_at_each_byte(address, accepts);			\
	}

CUT_TESTS(tcp, "127.0.0.1:0", false)
CUT_TESTS(tcp_accepted, "127.0.0.1:0", true)
CUT_TESTS(unix, "unix:@pulse-cut-sends-%d", false)

/* W06: a message that was refused is whole when it is sent again, and the next. */
KT_TEST(datagrams_refused_for_now_come_whole_and_in_order)
{
	static const int errs[] = { EAGAIN, EINTR, ENOBUFS, ENOMEM };
	PULSE_OPTS(pulse_listener_opts, lo, .address = "udp:127.0.0.1:0",
		   .sequenced = PULSE_ON);
	long want = 0;

	begin_opts(&lo);
	how.sequenced = PULSE_ON;
	KT_EQ(dial(), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		cut_begin((struct cut){ .every = 3, .err = errs[i] });
		for (int k = 0; k < 100; k++) {
			long len = 1 + k * 7;

			while (send_some(&client, want, len) != len && !client.err)
				pulse_poller_run_once(poller, 0);
			want += len;
			UNTIL(server.got == want);
		}
		KT_CHECK(cut_end() > 0);
	}
	KT_EQ(client.err, 0);
	how.sequenced = 0;
	end();
}

KT_MAIN()

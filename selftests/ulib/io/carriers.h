/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * carriers.h - what every carrier of transport.h does alike: one suite, run over
 * each.
 */
#ifndef PULSE_SELFTESTS_IO_CARRIERS_H
#define PULSE_SELFTESTS_IO_CARRIERS_H

#include "ends.h"

#include <sys/resource.h>
#include <time.h>

#include <pulse-u/batch.h>
#include <pulse-u/buffer.h>

static const char *begin_kind(const struct kind *k)
{
	static char address[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);
	const char *why = NULL;

	snprintf(address, sizeof(address), k->address, getpid());
	how = (struct pulse_connect_opts){ .sz = sizeof(how),
					   .address = where };
	if (k->prepare)
		why = k->prepare(&lo, &how);
	if (!why)
		begin_opts(&lo);
	return why;
}

#define BEGIN(k)							\
	do {								\
		const char *why_ = begin_kind(k);			\
									\
		if (why_)						\
			KT_SKIP("%s", why_);				\
	} while (0)

static void says_what_it_is(const struct kind *k)
{
	char text[PULSE_ADDRESS_MAX], tiny[2];

	BEGIN(k);
	meet();
	KT_STREQ(pulse_transport_name(client.t), k->name);
	KT_STREQ(pulse_transport_name(server.t), k->name);
	KT_EQ(pulse_transport_features(client.t), k->features);
	/* What is accepted on io_uring may hand out its own memory. */
	KT_EQ(pulse_transport_features(server.t) & ~(uint32_t)PULSE_TRANSPORT_ZERO_COPY,
	      k->features & ~(uint32_t)PULSE_TRANSPORT_ZERO_COPY);
	KT_EQ(pulse_transport_address(client.t, true, text, sizeof(text)), 0);
	KT_STREQ(text, where);
	KT_EQ(pulse_transport_address(server.t, false, text, sizeof(text)), 0);
	KT_STREQ(text, where);
	KT_EQ(pulse_transport_address(client.t, true, tiny, 2), -ENOSPC);
	KT_EQ(pulse_transport_error(client.t), 0);
	end();
}

static void stream_all(struct end *from, struct end *to, long total)
{
	long sent = 0;

	while (sent < total && !from->err && !from->broken) {
		long more = send_some(from, sent, total - sent);

		sent += more;
		pulse_poller_run_once(poller, 0);
	}
	UNTIL(to->got == total);
}

static void bytes_arrive_in_order_both_ways(const struct kind *k)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };
	long total = 8 << 20;

	BEGIN(k);
	meet();
	stream_all(&client, &server, total);
	stream_all(&server, &client, total);
	KT_EQ(pulse_transport_stats(server.t, &s), 0);
	KT_EQ(s.rx_bytes, total);
	KT_EQ(s.tx_bytes, total);
	end();
}

/* W05: what is in flight both ways at once keeps its order. */
static void both_ways_at_once(const struct kind *k)
{
	long total = 4 << 20, a = 0, b = 0;

	BEGIN(k);
	meet();
	while (a < total || b < total) {
		if (a < total)
			a += send_some(&client, a, total - a);
		if (b < total)
			b += send_some(&server, b, total - b);
		pulse_poller_run_once(poller, 0);
		if (client.broken || server.broken)
			break;
	}
	UNTIL(server.got == total && client.got == total);
	end();
}

/* W03: a peer that does not read is back-pressure, not memory. */
static void a_full_peer_says_again_and_then_write(const struct kind *k)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };
	long sent = 0, more;

	BEGIN(k);
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	do {
		more = send_some(&client, sent, 1 << 20);
		sent += more;
		pulse_poller_run_once(poller, 0);
	} while (more && sent < 1L << 30);
	KT_CHECK(sent < 1L << 30);
	KT_EQ(client.err, 0);
	KT_EQ(pulse_transport_stats(client.t, &s), 0);
	/* A device has got rid of it once the peer's memory has it. */
	if (strcmp(k->name, "rdma"))
		KT_CHECK(s.unsent > 0);
	client.seen = 0;
	KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_WRITE), 0);
	pulse_poller_run_once(poller, 0);
	KT_EQ(client.seen & PULSE_TRANSPORT_WRITE, 0);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_WRITE);
	UNTIL(server.got == sent);
	/* The last of it may not be acknowledged yet. */
	UNTIL(!pulse_transport_stats(client.t, &s) && !s.unsent);
	end();
}

static void write_is_told_as_long_as_it_holds(const struct kind *k)
{
	BEGIN(k);
	meet();
	for (int i = 0; i < 3; i++) {
		client.seen = 0;
		KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_WRITE), 0);
		UNTIL(client.seen & PULSE_TRANSPORT_WRITE);
	}
	end();
}

static int reads_told;

static void count_reads(struct pulse_transport *t, uint32_t events, void *arg)
{
	(void)t;
	(void)arg;
	reads_told += !!(events & PULSE_TRANSPORT_READ);
}

/* Nobody reads it, and it is told again; one byte at a time, and nothing is lost. */
static void read_is_told_as_long_as_it_holds(const struct kind *k)
{
	struct iovec one;
	char byte;

	BEGIN(k);
	meet();
	KT_EQ(send_some(&client, 0, 100), 100);
	reads_told = 0;
	pulse_transport_set_handler(server.t, count_reads, NULL);
	UNTIL(reads_told >= 3);
	one = (struct iovec){ &byte, 1 };
	for (int i = 0; i < 50; i++) {
		ssize_t n = pulse_transport_recv(server.t, &one, 1);

		KT_CHECKF(n == 1 && byte == i, "byte %d: %zd, %d", i, n, byte);
	}
	server.got = 50;
	reads_told = 0;
	UNTIL(reads_told >= 2);
	pulse_transport_set_handler(server.t, on_end, &server);
	UNTIL(server.got == 100);
	end();
}

static void half_close_leaves_the_other_direction(const struct kind *k)
{
	BEGIN(k);
	meet();
	KT_EQ(send_some(&client, 0, 1000), 1000);
	KT_EQ(pulse_transport_shutdown(client.t), 0);
	UNTIL(server.eof);
	KT_EQ(server.got, 1000);
	KT_EQ(send_some(&server, 0, 5000), 5000);
	UNTIL(client.got == 5000);
	KT_EQ(send_some(&client, 1000, 1), 0);
	KT_EQ(client.err, -EPIPE);
	end();
}

/* What was sent before the end is not lost with it. */
static void an_end_comes_after_all_that_was_sent(const struct kind *k)
{
	long sent = 0;

	BEGIN(k);
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	for (long more = 1; more && sent < 1 << 20; sent += more)
		more = send_some(&client, sent, 100000);
	/* Somebody reads what the transport itself has not got rid of yet. */
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	pulse_transport_close(client.t, false);
	client.t = NULL;
	UNTIL(server.eof || server.broken);
	KT_EQ(server.got, sent);
	KT_CHECK(server.eof);
	end();
}

/* W07 */
static void a_reset_is_told(const struct kind *k)
{
	BEGIN(k);
	meet();
	pulse_transport_close(client.t, true);
	client.t = NULL;
	UNTIL(server.broken || server.eof);
	if (k->features & PULSE_TRANSPORT_RESET)
		KT_EQ(server.err, -ECONNRESET);
	end();
}

static void recv_fills_the_pieces_in_order(const struct kind *k)
{
	unsigned char a[10] = { 0 }, b[200] = { 0 };
	struct iovec iov[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	ssize_t n = -EAGAIN;
	int64_t late;

	BEGIN(k);
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	KT_EQ(pulse_transport_recv(server.t, iov, 2), -EAGAIN);
	KT_EQ(send_some(&client, 0, 100), 100);
	late = pulse_now_ns() + 10 * PULSE__NSEC_PER_SEC;
	while (n == -EAGAIN && pulse_now_ns() < late) {
		n = pulse_transport_recv(server.t, iov, 2);
		pulse_poller_run_once(poller, 0);
	}
	KT_EQ(n, 100);
	KT_EQ(a[9], 9);
	KT_EQ(b[0], 10);
	KT_EQ(b[89], 99);
	end();
}

/* As many pieces as may be, empty ones among them. */
static void a_batch_goes_out_in_order(const struct kind *k)
{
	unsigned char bytes[64];
	struct iovec iov[64];
	ssize_t n;
	long want;

	BEGIN(k);
	meet();
	for (int i = 0; i < 64; i++) {
		bytes[i] = (unsigned char)i;
		iov[i] = (struct iovec){ &bytes[i], 1 };
	}
	n = pulse_transport_send(client.t, iov, 64);
	KT_EQ(n, 64);
	want = n;
	/* 64 to 99 follow, between pieces of nothing */
	for (int i = 0; i < 36; i++)
		bytes[i] = (unsigned char)(64 + i);
	for (int i = 0; i < 36; i++)
		iov[i] = (struct iovec){ &bytes[i], i % 2 ? 2 : 0 };
	for (int i = 1; i < 36; i += 2)
		iov[i].iov_base = &bytes[i - 1];
	n = pulse_transport_send(client.t, iov, 36);
	KT_EQ(n, 36);
	want += n;
	UNTIL(server.got == want);
	end();
}

#define BUFFERS	150

/* Is it what send_some() sends from @from on? */
static bool counts_up(const struct pulse_buffer *b, long from)
{
	const unsigned char *p = pulse_buffer_data(b);

	for (size_t i = 0; i < pulse_buffer_len(b); i++)
		if (p[i] != (unsigned char)((from + (long)i) % 251))
			return false;
	return true;
}

static long fill_batch(struct pulse_buffer_pool *pool, struct pulse_batch *out)
{
	long total = 0;

	for (size_t i = 0; i < BUFFERS; i++) {
		struct pulse_buffer *b;
		size_t len = i * 211 % 3000;
		unsigned char *p;

		KT_EQ(pulse_buffer_pool_get(pool, len, PULSE_NODE_HERE, &b), 0);
		p = pulse_buffer_data(b);
		for (size_t n = 0; n < len; n++)
			p[n] = (unsigned char)((total + (long)n) % 251);
		KT_EQ(pulse_batch_append_ptr(out, b), 0);
		total += (long)len;
	}
	return total;
}

/* More of them than a call takes, empty ones among them, taken as it comes. */
static void buffers_go_through_in_batches(const struct kind *k)
{
	struct pulse_buffer *outs[BUFFERS], *ins[3];
	struct pulse_batch out = PULSE_BATCH_ON(outs), in = PULSE_BATCH_ON(ins);
	struct pulse_buffer_stats bs = { .sz = sizeof(bs) };
	struct pulse_buffer_pool *pool;
	long total, sent = 0, got = 0;
	size_t at = 0, filled;
	int64_t late;

	BEGIN(k);
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
	total = fill_batch(pool, &out);
	for (size_t i = 0; i < ARRAY_SIZE(ins); i++) {
		struct pulse_buffer *b;

		KT_EQ(pulse_buffer_pool_get(pool, 1000 * i + 100, PULSE_NODE_HERE, &b), 0);
		KT_EQ(pulse_batch_append_ptr(&in, b), 0);
	}
	late = pulse_now_ns() + 40 * PULSE__NSEC_PER_SEC;
	while (got < total && pulse_now_ns() < late) {
		ssize_t n = out.len ? pulse_transport_send_batch(client.t, &out, &at) : 0;

		KT_CHECKF(n >= 0 || n == -EAGAIN, "send: %zd", n);
		sent += n > 0 ? n : 0;
		pulse_poller_run_once(poller, 0);
		n = pulse_transport_recv_batch(server.t, &in, &filled);
		KT_CHECKF(n > 0 || n == -EAGAIN, "recv: %zd", n);
		for (size_t i = 0; n > 0 && i < filled; i++) {
			KT_CHECK(counts_up(ins[i], got));
			got += (long)pulse_buffer_len(ins[i]);
		}
	}
	KT_EQ(sent, total);
	KT_EQ(got, total);
	KT_EQ(out.len, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ins); i++)
		pulse_buffer_put(ins[i]);
	KT_EQ(pulse_buffer_pool_stats(pool, &bs), 0);
	KT_EQ(bs.in_use, 0);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	KT_EQ(pulse_transport_send_batch(client.t, &out, &at), -EINVAL);
	KT_EQ(pulse_transport_recv_batch(client.t, NULL, &filled), -EINVAL);
	end();
}

static void close_in_handler(struct pulse_transport *t, uint32_t events,
			     void *arg)
{
	struct end *e = arg;

	(void)events;
	e->seen |= events;
	pulse_transport_close(t, false);
	e->t = NULL;
}

static void may_be_closed_by_its_handler(const struct kind *k)
{
	BEGIN(k);
	meet();
	pulse_transport_set_handler(server.t, close_in_handler, &server);
	KT_EQ(send_some(&client, 0, 10), 10);
	UNTIL(!server.t);
	UNTIL(client.eof || client.broken);
	end();
}

static void a_connect_may_be_given_up(const struct kind *k)
{
	BEGIN(k);
	KT_EQ(dial(), 0);
	pulse_transport_close(client.t, false);
	client.t = NULL;
	for (int i = 0; i < 10; i++)
		pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
	KT_EQ(client.seen, 0);
	KT_EQ(dial(), 0);
	pulse_transport_set_handler(client.t, close_in_handler, &client);
	UNTIL(!client.t);
	end();
}

#define MANY	200

/* W07: each is its own, and closing all at once harms nobody. */
static void many_connections(const struct kind *k)
{
	static struct end ends[MANY];
	int open = 0, n = (int)kt_scale(MANY);

	n = n > MANY ? MANY : n;
	BEGIN(k);
	memset(ends, 0, sizeof(ends));
	server.t = (void *)&server;	/* on_accept() closes what comes */
	for (int i = 0; i < n; i++) {
		KT_EQ(pulse_transport_connect(poller, &how, on_end, &ends[i],
					      &ends[i].t), 0);
		if (ends[i].t)
			pulse_transport_watch(ends[i].t, PULSE_TRANSPORT_READ);
	}
	UNTIL(accepted == n);
	for (int i = 0; i < n; i++)
		UNTIL(ends[i].eof || ends[i].broken);
	for (int i = 0; i < n; i++) {
		open += !!(ends[i].seen & PULSE_TRANSPORT_OPEN);
		pulse_transport_close(ends[i].t, i % 2);
	}
	KT_EQ(open, n);
	server.t = NULL;
	end();
}

static long cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* W07: EMFILE while accepting: it waits, does not spin, and then goes on. */
static void without_descriptors_it_waits_and_then_goes_on(const struct kind *k)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct pulse_poller_stats ps = { .sz = sizeof(ps) };
	struct rlimit old, low;
	uint64_t turns;
	int64_t until;
	long cpu;
	int spare;

	BEGIN(k);
	KT_EQ(dial(), 0);
	spare = dup(0);
	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	do {
		pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
		pulse_listener_stats(listener, &ls);
	} while (!ls.pauses);
	cpu = cpu_ms();
	pulse_poller_stats(poller, &ps);
	turns = ps.turns;
	until = pulse_now_ns() + 300 * PULSE__NSEC_PER_MSEC;
	while (pulse_now_ns() < until)
		pulse_poller_run_once(poller, until);
	pulse_poller_stats(poller, &ps);
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	KT_EQ(accepted, 0);
	KT_CHECKF(ls.pauses >= 1 && ls.pauses <= 10, "%llu pauses",
		  (unsigned long long)ls.pauses);
	KT_CHECKF(ps.turns - turns < 40, "%llu turns: it spins",
		  (unsigned long long)(ps.turns - turns));
	kt_note("300 ms without descriptors took %ld ms of CPU", cpu_ms() - cpu);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	UNTIL(accepted == 1);
	close(spare);
	end();
}

static void each_allocation_may_fail(const struct kind *k)
{
	long n = 0;
	bool failed;

	do {
		BEGIN(k);
		pulse__alloc_fail_at(++n);
		if (!dial()) {
			int64_t late = pulse_now_ns() + PULSE__NSEC_PER_SEC * 10;

			while (!server.t && !client.eof && !client.broken &&
			       pulse_now_ns() < late)
				pulse_poller_run_once(poller, late);
			KT_CHECK(server.t || client.eof || client.broken);
			if (server.t && send_some(&client, 0, 100) == 100)
				UNTIL(server.got || server.broken || server.eof ||
				      client.broken || client.err);
		}
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		end();
	} while (failed && n < 100);
	KT_CHECKF(n > 3, "%ld allocations", n - 1);
}

#include "moves.h"

#define OF(k, what)	KT_TEST(k##_##what) { what(&k); }

#define STREAM_TESTS(k)							\
	OF(k, says_what_it_is)						\
	OF(k, bytes_arrive_in_order_both_ways)				\
	OF(k, both_ways_at_once)					\
	OF(k, a_full_peer_says_again_and_then_write)			\
	OF(k, write_is_told_as_long_as_it_holds)			\
	OF(k, read_is_told_as_long_as_it_holds)				\
	OF(k, half_close_leaves_the_other_direction)			\
	OF(k, an_end_comes_after_all_that_was_sent)			\
	OF(k, a_reset_is_told)						\
	OF(k, recv_fills_the_pieces_in_order)				\
	OF(k, a_batch_goes_out_in_order)				\
	OF(k, buffers_go_through_in_batches)				\
	OF(k, may_be_closed_by_its_handler)				\
	OF(k, a_connect_may_be_given_up)				\
	OF(k, many_connections)						\
	OF(k, without_descriptors_it_waits_and_then_goes_on)		\
	OF(k, each_allocation_may_fail)					\
	OF(k, goes_to_and_fro_between_two_loops)			\
	OF(k, goes_from_thread_to_thread_under_load)

#define STREAM	(PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |	\
		 PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE)

#endif /* PULSE_SELFTESTS_IO_CARRIERS_H */

// SPDX-License-Identifier: GPL-2.0-only
/* The mocks of testing.h: each fault of a script, a loop without time, guards. */
#include "ends.h"

#include <pulse-u/testing.h>

static void begin_pair(const struct pulse_mock_opts *a,
		       const struct pulse_mock_opts *b)
{
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	KT_EQ(pulse_mock_poller(&poller), 0);
	KT_EQ(pulse_mock_pair(poller, a, b, &client.t, &server.t), 0);
	pulse_transport_set_handler(client.t, on_end, &client);
	pulse_transport_set_handler(server.t, on_end, &server);
	pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
	pulse_transport_watch(server.t, PULSE_TRANSPORT_READ);
}

static void end_pair(void)
{
	if (client.t)
		pulse_transport_close(client.t, false);
	if (server.t)
		pulse_transport_close(server.t, false);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

static void turns(int n)
{
	while (n--)
		pulse_poller_run_once(poller, 0);
}

KT_TEST(without_a_script_it_is_a_stream)
{
	long sent = 0;

	begin_pair(NULL, NULL);
	KT_STREQ(pulse_transport_name(client.t), "mock");
	while (sent < 1 << 20) {
		sent += send_some(&client, sent, (1 << 20) - sent);
		turns(1);
	}
	turns(3);
	KT_EQ(server.got, sent);
	KT_EQ(pulse_transport_shutdown(client.t), 0);
	turns(2);
	KT_CHECK(server.eof);
	KT_EQ(send_some(&server, 0, 10), 10);
	turns(2);
	KT_EQ(client.got, 10);
	pulse_transport_close(server.t, true);
	server.t = NULL;
	pulse_transport_watch(client.t, PULSE_TRANSPORT_READ);
	turns(2);
	KT_CHECK(client.broken);
	KT_EQ(client.err, -ECONNRESET);
	end_pair();
}

KT_TEST(short_refused_and_late)
{
	const struct pulse_fault script[] = {
		{ .kind = PULSE_FAULT_SHORT_SEND, .value = 7 },
		{ .kind = PULSE_FAULT_REFUSE, .at = 3 },
		{ .kind = PULSE_FAULT_DELAY, .value = 4 },
	};
	const struct pulse_fault slow[] = {
		{ .kind = PULSE_FAULT_SHORT_RECV, .value = 1 },
	};
	PULSE_OPTS(pulse_mock_opts, a, .faults = script, .nr_faults = 3);
	PULSE_OPTS(pulse_mock_opts, b, .faults = slow, .nr_faults = 1);

	begin_pair(&a, &b);
	KT_EQ(send_some(&client, 0, 100), 14);
	turns(3);
	KT_EQ(server.got, 0);
	turns(1);
	KT_EQ(server.got, 1);
	turns(20);
	KT_EQ(server.got, 14);
	KT_EQ(client.err, 0);
	end_pair();
}

/* W05: at each byte, as an end and as an error */
KT_TEST(it_is_cut_where_the_script_says)
{
	for (uint64_t at = 1; at <= 40; at++) {
		const struct pulse_fault script[] = {
			{ .kind = PULSE_FAULT_CUT, .at = at,
			  .value = at % 2 ? -ECONNRESET : 0 },
		};
		PULSE_OPTS(pulse_mock_opts, a, .faults = script, .nr_faults = 1);

		begin_pair(&a, NULL);
		send_some(&client, 0, 15);
		send_some(&client, 15, 15);
		send_some(&client, 30, 15);
		turns(10);
		KT_EQ(server.got, at);
		KT_EQ(server.eof, at % 2 == 0);
		KT_EQ(server.broken, at % 2);
		KT_CHECK(send_some(&client, 45, 1) == 0 && client.err < 0);
		end_pair();
	}
}

KT_TEST(calls_fail_when_they_are_told_to)
{
	const struct pulse_fault script[] = {
		{ .kind = PULSE_FAULT_SEND_ERROR, .at = 2, .value = -ENOBUFS },
		{ .kind = PULSE_FAULT_RECV_ERROR, .at = 1, .value = -EIO },
	};
	PULSE_OPTS(pulse_mock_opts, a, .faults = script, .nr_faults = 2);
	struct iovec iov = { "", 1 };

	begin_pair(&a, NULL);
	KT_EQ(pulse_transport_send(client.t, &iov, 1), 1);
	KT_EQ(pulse_transport_send(client.t, &iov, 1), -ENOBUFS);
	KT_EQ(pulse_transport_send(server.t, &iov, 1), 1);
	turns(2);
	KT_CHECK(client.broken);
	KT_EQ(client.err, -EIO);
	end_pair();
}

KT_TEST(memory_in_flight_comes_back_later)
{
	const struct pulse_fault script[] = {
		{ .kind = PULSE_FAULT_ASYNC, .value = 3 },
	};
	PULSE_OPTS(pulse_mock_opts, a, .faults = script, .nr_faults = 1);
	struct iovec iov = { "\0\1\2", 3 };

	begin_pair(&a, NULL);
	KT_CHECK(pulse_transport_features(client.t) & PULSE_TRANSPORT_ASYNC_SEND);
	KT_EQ(pulse_transport_send(client.t, &iov, 1), -EINPROGRESS);
	KT_EQ(pulse_transport_send(client.t, &iov, 1), -EAGAIN);
	turns(2);
	KT_EQ(client.seen & PULSE_TRANSPORT_SENT, 0);
	turns(1);
	KT_CHECK(client.seen & PULSE_TRANSPORT_SENT);
	KT_EQ(server.got, 3);
	end_pair();
}

KT_TEST(messages_are_lost_doubled_and_swapped)
{
	const struct pulse_fault script[] = {
		{ .kind = PULSE_FAULT_LOSE, .at = 3 },
		{ .kind = PULSE_FAULT_DOUBLE, .at = 4 },
		{ .kind = PULSE_FAULT_SWAP, .at = 5 },
	};
	PULSE_OPTS(pulse_mock_opts, a, .faults = script, .nr_faults = 3,
		   .features = PULSE_TRANSPORT_HALF_CLOSE);
	char got[8], all[16] = "";

	begin_pair(&a, &a);
	pulse_transport_watch(server.t, 0);
	for (char c = '1'; c <= '6'; c++) {
		struct iovec iov = { &c, 1 };

		KT_EQ(pulse_transport_send(client.t, &iov, 1), 1);
	}
	for (int i = 0; i < 5; i++) {
		struct iovec iov = { got, sizeof(got) };

		KT_EQ(pulse_transport_recv(server.t, &iov, 1), 1);
		all[i] = got[0];
	}
	KT_STREQ(all, "12454");
	end_pair();
}

static int own_sends;

static ssize_t own_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	own_sends++;
	return pulse_mock_ops()->send(t, iov, nr);
}

KT_TEST(operations_of_the_test_take_the_mocks_place)
{
	static const struct pulse_transport_ops own = {
		.sz = sizeof(own), .name = "mine", .send = own_send,
	};
	PULSE_OPTS(pulse_mock_opts, a, .ops = &own);

	begin_pair(&a, NULL);
	KT_STREQ(pulse_transport_name(client.t), "mine");
	KT_EQ(send_some(&client, 0, 10), 10);
	KT_EQ(own_sends, 1);
	turns(2);
	KT_EQ(server.got, 10);
	end_pair();
}

static struct pulse_poller *moved_to;

static int own_move(struct pulse_transport *t, struct pulse_poller *to)
{
	(void)t;
	moved_to = to;
	return -EBUSY;
}

static void own_stats(const struct pulse_transport *t,
		      struct pulse_transport_stats *out)
{
	(void)t;
	out->unsent = 77;
}

/* Also those that the mock has none of, and features that are not its own. */
KT_TEST(all_operations_of_the_test_are_taken)
{
	static const struct pulse_transport_ops own = {
		.sz = sizeof(own), .move = own_move, .stats = own_stats,
		.features = PULSE_TRANSPORT_RELIABLE,
	};
	PULSE_OPTS(pulse_mock_opts, a, .ops = &own);
	PULSE_OPTS(pulse_mock_opts, b, .ops = &own,
		   .features = PULSE_TRANSPORT_ORDERED);
	PULSE_OPTS(pulse_transport_stats, s);

	begin_pair(&a, &b);
	KT_STREQ(pulse_transport_name(client.t), "mock");
	KT_EQ(pulse_transport_features(client.t), PULSE_TRANSPORT_RELIABLE);
	KT_EQ(pulse_transport_features(server.t), PULSE_TRANSPORT_ORDERED);
	KT_EQ(pulse_transport_stats(client.t, &s), 0);
	KT_EQ(s.unsent, 77);
	KT_EQ(pulse_transport_move(client.t, poller), -EBUSY);
	KT_CHECK(moved_to == poller);
	end_pair();
}

KT_TEST(what_is_on_its_way_has_room_and_no_more)
{
	PULSE_OPTS(pulse_mock_opts, a, .room_bytes = 100);

	begin_pair(&a, NULL);
	pulse_transport_watch(server.t, 0);
	KT_EQ(send_some(&client, 0, 99), 99);
	KT_EQ(send_some(&client, 99, 99), 1);
	KT_EQ(send_some(&client, 100, 1), 0);
	KT_EQ(client.err, 0);
	turns(3);
	KT_EQ(send_some(&client, 100, 1), 0);
	pulse_transport_watch(server.t, PULSE_TRANSPORT_READ);
	turns(3);
	KT_EQ(server.got, 100);
	KT_EQ(send_some(&client, 100, 100), 100);
	turns(3);
	KT_EQ(server.got, 200);
	end_pair();
}

static int fired;
static int64_t fired_at;

static void on_timer(struct pulse_poller *p, struct pulse_poller_timer *t)
{
	(void)t;
	fired++;
	fired_at = pulse_poller_now(p);
}

static uint32_t told;

static void on_fd(struct pulse_poller *p, int fd, uint32_t events, void *arg)
{
	(void)p;
	(void)fd;
	(void)arg;
	told = events;
}

KT_TEST(a_loop_without_time_waits_for_nobody)
{
	struct pulse_poller_timer timer = { .fn = on_timer };
	struct pulse_poller *p;
	int64_t begin, real;
	uint64_t id;

	KT_EQ(pulse_mock_poller(&p), 0);
	KT_STREQ(pulse_poller_name(p), "mock");
	begin = pulse_poller_now(p);
	real = pulse_now_ns();
	KT_EQ(pulse_poller_timer_arm(p, &timer, begin +
				     3600 * PULSE__NSEC_PER_SEC), 0);
	for (int i = 0; i < 100 && !fired; i++)
		pulse_poller_run_once(p, PULSE_FOREVER);
	KT_EQ(fired, 1);
	KT_CHECK(fired_at >= begin + 3600 * PULSE__NSEC_PER_SEC);
	KT_CHECK(pulse_now_ns() - real < 600 * PULSE__NSEC_PER_SEC);
	KT_EQ(pulse_poller_add(p, 12345, PULSE_POLLER_IN, on_fd, NULL, &id), 0);
	KT_EQ(pulse_mock_poller_event(p, 12345, PULSE_POLLER_OUT), 0);
	pulse_poller_run_once(p, 0);
	KT_EQ(told, 0);
	KT_EQ(pulse_mock_poller_event(p, 12345, PULSE_POLLER_IN), 0);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(told, PULSE_POLLER_IN);
	KT_EQ(pulse_mock_poller_event(p, 1, PULSE_POLLER_IN), -ENOENT);
	KT_EQ(pulse_mock_poller_event(NULL, 1, PULSE_POLLER_IN), -EINVAL);
	KT_EQ(pulse_poller_del(p, id), 0);
	KT_EQ(pulse_mock_poller_event(p, 12345, PULSE_POLLER_IN), -ENOENT);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(a_buffer_notices_what_is_written_beside_it)
{
	struct pulse_mock_buffer state;
	struct pulse_buffer_pool *pool;
	struct pulse_buffer *buf;

	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
	for (int over = 0; over < 2; over++) {
		KT_EQ(pulse_mock_buffer(pool, 100, &state, &buf), 0);
		memset(pulse_buffer_data(buf), 0, 100U + (unsigned int)over);
		KT_EQ(pulse_buffer_get(buf), 0);
		pulse_buffer_put(buf);
		KT_EQ(state.released, 0);
		pulse_buffer_put(buf);
		KT_EQ(state.released, 1);
		KT_EQ(state.overrun, over);
	}
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(a_batch_of_guarded_buffers_is_accounted_for)
{
	struct pulse_mock_buffer states[8];
	struct pulse_buffer *array[8], *buf;
	struct pulse_batch batch = PULSE_BATCH_ON(array), wrong = batch, head, tail;
	struct pulse_buffer_pool *pool;

	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
	KT_EQ(pulse_mock_batch(pool, 32, 3, states, &batch), 0);
	KT_EQ(pulse_mock_batch(pool, 64, 4, states + 3, &batch), 0);
	KT_EQ(pulse_batch_len(&batch), 7);
	KT_EQ(pulse_mock_batch(pool, 64, 2, states, &batch), -ENOBUFS);
	KT_EQ(pulse_batch_len(&batch), 7);
	/* Split as one that sends would do, and each let go. */
	KT_EQ(pulse_batch_split(&batch, 3, &head, &tail), 0);
	for (size_t i = 0; i < 3; i++)
		pulse_buffer_put(pulse_batch_get_ptr(&head, i));
	KT_EQ(pulse_mock_batch_check(states, 3), 0);
	KT_EQ(pulse_mock_batch_check(states, 7), 4);
	for (size_t i = 0; i < 4; i++) {
		buf = pulse_batch_get_ptr(&tail, i);
		KT_EQ(pulse_buffer_len(buf), 64);
		memset(pulse_buffer_data(buf), 0, i == 2 ? 65 : 64);
		pulse_buffer_put(buf);
	}
	KT_EQ(pulse_mock_batch_check(states, 7), 6);
	KT_EQ(states[5].overrun, 1);

	/* Each allocation may fail: then the batch is as it was. */
	batch.len = 1;
	for (long n = 1; n < 100; n++) {
		int err;

		pulse_mock_alloc_fail(n);
		err = pulse_mock_batch(pool, 16, 5, states, &batch);
		if (!pulse_mock_alloc_failed()) {
			pulse_mock_alloc_fail(0);
			KT_EQ(err, 0);
			KT_CHECK(n > 5);
			break;
		}
		KT_EQ(err, -ENOMEM);
		KT_EQ(pulse_batch_len(&batch), 1);
	}
	for (size_t i = 1; i < 6; i++)
		pulse_buffer_put(pulse_batch_get_ptr(&batch, i));
	KT_EQ(pulse_mock_batch_check(states, 5), 0);
	wrong.item_bytes = 1;
	KT_EQ(pulse_mock_batch(pool, 16, 1, states, &wrong), -EINVAL);
	KT_EQ(pulse_mock_batch(NULL, 16, 1, states, &batch), -EINVAL);
	KT_EQ(pulse_mock_batch(pool, 16, 1, NULL, &batch), -EINVAL);
	KT_EQ(pulse_mock_batch_check(NULL, 1), -EINVAL);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(allocations_fail_when_asked_to)
{
	struct pulse_transport *a, *b;

	KT_EQ(pulse_mock_poller(&poller), 0);
	for (long n = 1; n <= 2; n++) {
		pulse_mock_alloc_fail(n);
		KT_EQ(pulse_mock_pair(poller, NULL, NULL, &a, &b), -ENOMEM);
		KT_EQ(pulse_mock_alloc_failed(), 1);
	}
	pulse_mock_alloc_fail(0);
	KT_EQ(pulse_mock_pair(poller, NULL, NULL, &a, NULL), -EINVAL);
	KT_EQ(pulse_mock_pair(NULL, NULL, NULL, &a, &b), -EINVAL);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

KT_MAIN()

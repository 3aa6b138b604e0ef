// SPDX-License-Identifier: GPL-2.0-only
/* The queue of lanes within a process: order, overflow, bursts, in place. */
#include <poll.h>
#include <sys/wait.h>

#include <pulse-u/queue.h>

#include "threads.h"

struct ends {
	struct pulse_queue *q;
	struct pulse_queue_tx *tx;
	struct pulse_queue_rx *rx;
};

static bool ends_open(struct ends *e, uint32_t kind, uint32_t overflow,
		      uint32_t entries, uint32_t elem_bytes, uint64_t start)
{
	memset(e, 0, sizeof(*e));
	PULSE_OPTS(pulse_queue_opts, opts, .kind = kind, .overflow = overflow,
		   .entries = entries, .elem_bytes = elem_bytes,
		   .start = start);
	if (overflow == PULSE_QUEUE_BLOCK)
		opts.block_ns = 1000000;
	return KT_CHECK(!pulse_queue_create(&opts, &e->q)) &&
	       KT_CHECK(!pulse_queue_tx_open(e->q, &e->tx)) &&
	       KT_CHECK(!pulse_queue_rx_open(e->q, &e->rx));
}

static void ends_close(struct ends *e)
{
	KT_EQ(pulse_queue_destroy(e->q), -EBUSY);
	KT_EQ(pulse_queue_tx_close(e->tx), 0);
	KT_EQ(pulse_queue_rx_close(e->rx), 0);
	KT_EQ(pulse_queue_destroy(e->q), 0);
}

static struct pulse_queue_stats stats_of(struct pulse_queue *q)
{
	struct pulse_queue_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_queue_stats(q, &s), 0);
	return s;
}

static int push(struct ends *e, uint64_t value)
{
	return pulse_queue_push(e->tx, &value, sizeof(value));
}

/* U01, U02 */
KT_TEST(what_cannot_be_is_refused)
{
	static const struct pulse_queue_opts bad[] = {
		{ .sz = 0 },
		{ .sz = 1 },
		{ .sz = sizeof(bad[0]), .kind = 3 },
		{ .sz = sizeof(bad[0]), .overflow = 4 },
		{ .sz = sizeof(bad[0]), .entries = 1 },
		{ .sz = sizeof(bad[0]), .entries = 3 },
		{ .sz = sizeof(bad[0]), .entries = 1U << 21 },
		{ .sz = sizeof(bad[0]), .elem_bytes = 65537 },
		{ .sz = sizeof(bad[0]), .kind = PULSE_QUEUE_MPSC, .lanes = 257 },
		{ .sz = sizeof(bad[0]), .flags = 4 },
		{ .sz = sizeof(bad[0]), .reserved = 1 },
		{ .sz = sizeof(bad[0]), .block_ns = 1 },
		{ .sz = sizeof(bad[0]), .overflow = PULSE_QUEUE_BLOCK,
		  .block_ns = -1 },
		{ .sz = sizeof(bad[0]), .flags = PULSE_QUEUE_ON_NODE,
		  .node = 1023 },
	};
	static unsigned char mem[65536] __attribute__((aligned(128)));
	struct pulse_queue_stats s = { .sz = 0 };
	struct { struct pulse_queue_opts o; uint64_t more[2]; } newer;
	struct pulse_queue_tx *tx;
	struct pulse_queue_rx *rx;
	struct pulse_queue *q;
	const void *in;
	struct ends e;
	uint64_t v = 1;
	void *out;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		KT_EQ(pulse_queue_create(&bad[i], &q), -EINVAL);
		KT_CHECK(q == NULL);
		if (i < ARRAY_SIZE(bad) - 1)
			KT_EQ(pulse_queue_bytes(&bad[i]), 0);
		KT_EQ(pulse_queue_format(mem, sizeof(mem), &bad[i], &q),
		      -EINVAL);
	}
	memset(&newer, 0, sizeof(newer));
	newer.o.sz = sizeof(newer);
	KT_EQ(pulse_queue_create(&newer.o, &q), 0);
	KT_EQ(pulse_queue_destroy(q), 0);
	newer.more[1] = 1;
	KT_EQ(pulse_queue_create(&newer.o, &q), -E2BIG);

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_SPSC, PULSE_QUEUE_ERROR, 0, 0, 0));
	KT_EQ(pulse_queue_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_queue_format(NULL, 65536, NULL, &q), -EINVAL);
	KT_EQ(pulse_queue_format(mem, 64, NULL, &q), -EINVAL);
	KT_EQ(pulse_queue_format(mem + 8, 32768, NULL, &q), -EINVAL);
	KT_EQ(pulse_queue_attach(NULL, 65536, &q), -EINVAL);
	KT_EQ(pulse_queue_attach(mem, 65536, NULL), -EINVAL);
	KT_EQ(pulse_queue_destroy(NULL), -EINVAL);
	KT_EQ(pulse_queue_tx_open(NULL, &tx), -EINVAL);
	KT_EQ(pulse_queue_tx_open(e.q, NULL), -EINVAL);
	KT_EQ(pulse_queue_rx_open(NULL, &rx), -EINVAL);
	KT_EQ(pulse_queue_rx_open(e.q, NULL), -EINVAL);
	KT_EQ(pulse_queue_tx_close(NULL), -EINVAL);
	KT_EQ(pulse_queue_rx_close(NULL), -EINVAL);
	KT_EQ(pulse_queue_push(NULL, &v, 8), -EINVAL);
	KT_EQ(pulse_queue_push(e.tx, NULL, 8), -EINVAL);
	KT_EQ(pulse_queue_push(e.tx, &v, 0), -EINVAL);
	KT_EQ(pulse_queue_push(e.tx, &v, 9), -EMSGSIZE);
	KT_EQ(pulse_queue_push_n(NULL, &v, 1), -EINVAL);
	KT_EQ(pulse_queue_push_n(e.tx, NULL, 1), -EINVAL);
	KT_EQ(pulse_queue_push_n(e.tx, &v, 0), -EINVAL);
	KT_EQ(pulse_queue_reserve(NULL, 1, &out), -EINVAL);
	KT_EQ(pulse_queue_reserve(e.tx, 0, &out), -EINVAL);
	KT_EQ(pulse_queue_reserve(e.tx, 1, NULL), -EINVAL);
	KT_EQ(pulse_queue_commit(NULL, 0), -EINVAL);
	KT_EQ(pulse_queue_commit(e.tx, 1), -EINVAL);
	KT_EQ(pulse_queue_pop(NULL, &v, NULL), -EINVAL);
	KT_EQ(pulse_queue_pop(e.rx, NULL, NULL), -EINVAL);
	KT_EQ(pulse_queue_pop(e.rx, &v, &(size_t){ 7 }), -EMSGSIZE);
	KT_EQ(pulse_queue_pop_n(NULL, &v, 1), -EINVAL);
	KT_EQ(pulse_queue_pop_n(e.rx, NULL, 1), -EINVAL);
	KT_EQ(pulse_queue_pop_n(e.rx, &v, 0), -EINVAL);
	KT_EQ(pulse_queue_peek(NULL, 1, &in), -EINVAL);
	KT_EQ(pulse_queue_peek(e.rx, 0, &in), -EINVAL);
	KT_EQ(pulse_queue_peek(e.rx, 1, NULL), -EINVAL);
	KT_EQ(pulse_queue_release(NULL, 0), -EINVAL);
	KT_EQ(pulse_queue_release(e.rx, 1), -EINVAL);
	KT_EQ(pulse_queue_wait(NULL, 0), -EINVAL);
	KT_EQ(pulse_queue_fd(NULL), -EINVAL);
	KT_EQ(pulse_queue_set_fd(NULL, 0), -EINVAL);
	KT_EQ(pulse_queue_set_fd(e.q, -1), -EINVAL);
	KT_EQ(pulse_queue_set_fd(e.q, 1000000), -EINVAL);
	KT_EQ(pulse_queue_arm(NULL), -EINVAL);
	KT_EQ(pulse_queue_arm(e.rx), -EINVAL);
	KT_EQ(pulse_queue_stats(NULL, &s), -EINVAL);
	KT_EQ(pulse_queue_stats(e.q, NULL), -EINVAL);
	KT_EQ(pulse_queue_stats(e.q, &s), -EINVAL);
	KT_EQ(pulse_queue_count(NULL) | pulse_queue_capacity(NULL) |
	      pulse_queue_elem_bytes(NULL) | pulse_queue_stride(NULL), 0);
	/* One of each, as its kind says. */
	KT_EQ(pulse_queue_tx_open(e.q, &tx), -EBUSY);
	KT_EQ(pulse_queue_rx_open(e.q, &rx), -EBUSY);
	ends_close(&e);
}

KT_TEST(what_goes_in_comes_out_in_order_over_the_wrap)
{
	static const uint64_t starts[] = { 0, (1ULL << 32) - 3, UINT64_MAX - 3 };
	struct pulse_queue_stats s;
	uint64_t v, nine[9], eight[8];
	struct ends e;

	for (uint32_t kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
			KT_REQUIRE(ends_open(&e, kind, 0, 8, 0, starts[i]));
			KT_EQ(pulse_queue_capacity(e.q), 8);
			KT_EQ(pulse_queue_pop(e.rx, &v, NULL), -EAGAIN);
			for (v = 1; v <= 8; v++)
				KT_EQ(push(&e, v), 0);
			KT_EQ(push(&e, 9), -EAGAIN);
			KT_EQ(pulse_queue_count(e.q), 8);
			for (uint64_t want = 1; want <= 8; want++) {
				KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
				KT_EQ(v, want);
			}
			KT_EQ(pulse_queue_pop(e.rx, &v, NULL), -EAGAIN);
			for (int n = 0; n < 9; n++)
				nine[n] = 100 + (uint64_t)n;
			KT_EQ(pulse_queue_push_n(e.tx, nine, 9), 8);
			KT_EQ(pulse_queue_push_n(e.tx, nine, 9), -EAGAIN);
			KT_EQ(pulse_queue_pop_n(e.rx, eight, 5), 5);
			KT_EQ(eight[4], 104);
			KT_EQ(pulse_queue_pop_n(e.rx, eight, 8), 3);
			KT_EQ(eight[2], 107);
			s = stats_of(e.q);
			KT_EQ(s.pushed, 16);
			KT_EQ(s.popped, 16);
			KT_EQ(s.errors | s.dropped_new | s.dropped_old, 0);
			ends_close(&e);
		}
	}
}

KT_TEST(elements_of_every_size_arrive_whole)
{
	static const uint32_t sizes[] = { 1, 7, 8, 9, 24, 56, 100, 4096, 65536 };
	static unsigned char in[65536], out[65536];

	for (uint32_t kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			size_t size = sizes[i], bytes = sizeof(out);
			struct ends e;

			KT_REQUIRE(ends_open(&e, kind, 0, 2, sizes[i], 0));
			KT_EQ(pulse_queue_elem_bytes(e.q), size);
			KT_EQ(pulse_queue_stride(e.q), (size + 7) / 8 * 8);
			for (int round = 0; round < 5; round++) {
				memset(out, 0xee, sizeof(out));
				for (size_t b = 0; b < size; b++)
					in[b] = (unsigned char)(b * 7 + 1);
				KT_EQ(pulse_queue_push(e.tx, in, size), 0);
				KT_EQ(pulse_queue_pop(e.rx, out, &bytes), 0);
				KT_EQ(bytes, size);
				KT_CHECK(!memcmp(in, out, size));
				bytes = sizeof(out);
				/* A short one is filled up with zeros. */
				KT_EQ(pulse_queue_push(e.tx, in, 1), 0);
				KT_EQ(pulse_queue_pop(e.rx, out, &bytes), 0);
				memset(in + 1, 0, size - 1);
				KT_CHECK(!memcmp(in, out, size));
				if (size < sizeof(out))
					KT_EQ(out[size], 0xee);
				bytes = sizeof(out);
			}
			ends_close(&e);
		}
	}
}

/* V01 of queues: exact counts for each policy. */
KT_TEST(each_overflow_policy_does_what_it_says)
{
	uint64_t v, six[6] = { 11, 12, 13, 14, 15, 16 };
	struct ends e;

	for (uint32_t kind = 0; kind < 3; kind++) {
		KT_REQUIRE(ends_open(&e, kind, PULSE_QUEUE_DROP_NEW, 4, 0, 0));
		for (v = 1; v <= 10; v++)
			KT_EQ(push(&e, v), 0);
		KT_EQ(pulse_queue_push_n(e.tx, six, 6), 0);
		for (uint64_t want = 1; want <= 4; want++) {
			KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
			KT_EQ(v, want);
		}
		KT_EQ(pulse_queue_push_n(e.tx, six, 6), 4);
		KT_EQ(stats_of(e.q).dropped_new, 6 + 6 + 2);
		KT_EQ(stats_of(e.q).dropped_old, 0);
		ends_close(&e);

		KT_REQUIRE(ends_open(&e, kind, PULSE_QUEUE_DROP_OLD, 4, 0,
				     UINT64_MAX - 2));
		for (v = 1; v <= 10; v++)
			KT_EQ(push(&e, v), 0);
		KT_EQ(stats_of(e.q).dropped_old, 6);
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
		KT_EQ(v, 7);
		/* 8, 9, 10 lie there; six are offered, a lane holds four. */
		KT_EQ(pulse_queue_push_n(e.tx, six, 6), 4);
		KT_EQ(stats_of(e.q).dropped_old, 9);
		for (uint64_t want = 11; want <= 14; want++) {
			KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
			KT_EQ(v, want);
		}
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), -EAGAIN);
		KT_EQ(stats_of(e.q).pushed, stats_of(e.q).popped);
		ends_close(&e);

		KT_REQUIRE(ends_open(&e, kind, PULSE_QUEUE_BLOCK, 4, 0, 0));
		for (v = 1; v <= 4; v++)
			KT_EQ(push(&e, v), 0);
		KT_EQ(push(&e, 5), -ETIMEDOUT);
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
		KT_EQ(push(&e, 5), 0);
		ends_close(&e);
	}
}

KT_TEST(elements_are_written_and_read_in_place)
{
	const uint64_t *in;
	const void *look;
	uint64_t *out, v;
	struct ends e;
	void *room;

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_SPSC, 0, 8, 24, 0));
	for (unsigned int round = 0; round < 20; round++) {
		/* In one piece: to the end of the ring, then from its start. */
		unsigned int n = 8 - round * 3 % 8;

		if (n > 5)
			n = 5;
		KT_EQ(pulse_queue_reserve(e.tx, 5, &room), n);
		out = room;
		for (int i = 0; i < 3; i++)
			out[i] = round * 100 + (unsigned int)i;
		KT_EQ(pulse_queue_peek(e.rx, 1, &look), -EAGAIN);
		KT_EQ(pulse_queue_commit(e.tx, n + 1), -EINVAL);
		KT_EQ(pulse_queue_commit(e.tx, 1), 0);
		KT_EQ(pulse_queue_commit(e.tx, 1), -EINVAL);
		v = round;
		KT_EQ(push(&e, v), 0);
		KT_EQ(push(&e, v + 1), 0);
		KT_EQ(pulse_queue_peek(e.rx, 1, &look), 1);
		in = look;
		KT_CHECK(look == room);
		KT_EQ(in[2], round * 100 + 2);
		/* Again the same, as it was not released. */
		KT_EQ(pulse_queue_peek(e.rx, 1, &look), 1);
		KT_CHECK(look == room);
		KT_EQ(pulse_queue_release(e.rx, 2), -EINVAL);
		KT_EQ(pulse_queue_release(e.rx, 1), 0);
		KT_EQ(pulse_queue_release(e.rx, 1), -EINVAL);
		for (int left = 2; left;) {
			int got = pulse_queue_peek(e.rx, 8, &look);

			KT_REQUIRE(got > 0);
			KT_EQ(pulse_queue_release(e.rx, (unsigned int)got), 0);
			left -= got;
		}
		KT_EQ(pulse_queue_count(e.q), 0);
	}
	/* What is reserved and given back was never there. */
	KT_CHECK(pulse_queue_reserve(e.tx, 1, &room) == 1);
	KT_EQ(pulse_queue_commit(e.tx, 0), 0);
	KT_EQ(pulse_queue_pop(e.rx, &(uint64_t[3]){ 0 }, NULL), -EAGAIN);
	ends_close(&e);

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_MPMC, 0, 8, 24, 0));
	KT_EQ(pulse_queue_peek(e.rx, 1, &look), -EOPNOTSUPP);
	KT_EQ(pulse_queue_reserve(e.tx, 3, &room), 3);
	memset(room, 1, 3 * 24);
	KT_EQ(pulse_queue_commit(e.tx, 3), 0);
	KT_EQ(pulse_queue_count(e.q), 3);
	ends_close(&e);
	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_SPSC, PULSE_QUEUE_DROP_OLD, 8, 0,
			     0));
	KT_EQ(pulse_queue_peek(e.rx, 1, &look), -EOPNOTSUPP);
	ends_close(&e);
}

KT_TEST(no_sender_keeps_others_from_being_heard)
{
	PULSE_OPTS(pulse_queue_opts, opts, .kind = PULSE_QUEUE_MPSC,
		   .lanes = 3, .entries = 1024);
	struct pulse_queue_tx *tx[3], *fourth;
	uint64_t v, seen[3] = { 0 };
	struct pulse_queue_rx *rx;
	struct pulse_queue *q;

	KT_EQ(pulse_queue_create(&opts, &q), 0);
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_queue_tx_open(q, &tx[i]), 0);
	KT_EQ(pulse_queue_tx_open(q, &fourth), -EBUSY);
	KT_EQ(pulse_queue_rx_open(q, &rx), 0);
	for (v = 0; v < 3000; v++)
		KT_EQ(pulse_queue_push(tx[v / 1000], &v, sizeof(v)), 0);
	for (int i = 0; i < 300; i++) {
		KT_EQ(pulse_queue_pop(rx, &v, NULL), 0);
		seen[v / 1000]++;
	}
	KT_CHECKF(seen[0] >= 60 && seen[1] >= 60 && seen[2] >= 60,
		  "%llu, %llu and %llu of 300", (unsigned long long)seen[0],
		  (unsigned long long)seen[1], (unsigned long long)seen[2]);
	/* A lane given back is another's, with what lies in it. */
	KT_EQ(pulse_queue_tx_close(tx[1]), 0);
	KT_EQ(pulse_queue_tx_open(q, &tx[1]), 0);
	KT_EQ(stats_of(q).takeovers, 0);
	for (int i = 300; i < 3000; i++)
		KT_EQ(pulse_queue_pop(rx, &v, NULL), 0);
	KT_EQ(pulse_queue_pop(rx, &v, NULL), -EAGAIN);
	for (int i = 0; i < 3; i++)
		pulse_queue_tx_close(tx[i]);
	pulse_queue_rx_close(rx);
	KT_EQ(pulse_queue_destroy(q), 0);
}

/* ---- threads ----------------------------------------------------------- */

#define SENDERS		3
#define RECEIVERS	3

struct message {
	uint64_t nr, sender, check;
};

struct market {
	struct pulse_queue *q;
	uint32_t overflow;
	unsigned int burst;
	bool in_place, sleeps, over;
	uint64_t each;
	int nr_rx;
	struct side {
		struct market *m;
		uint64_t id;
		pthread_t thread;
		struct checksum sum;
	} tx[SENDERS], rx[RECEIVERS];
};

static void fill(struct message *msg, uint64_t id, uint64_t nr)
{
	msg->nr = nr;
	msg->sender = id;
	msg->check = ~(id * 31 ^ nr);
}

static void *sender(void *arg)
{
	struct side *s = arg;
	struct market *m = s->m;
	struct pulse_queue_tx *tx;
	struct message msgs[16];
	unsigned int misses = 0;

	if (!KT_CHECK(!pulse_queue_tx_open(m->q, &tx)))
		return NULL;
	for (uint64_t nr = 1; nr <= m->each;) {
		unsigned int want = m->burst;
		void *room = msgs;
		int n = 0;

		if (want > m->each - nr + 1)
			want = (unsigned int)(m->each - nr + 1);
		if (m->in_place) {
			n = pulse_queue_reserve(tx, want, &room);
			if (n > 0)
				want = (unsigned int)n;
		}
		for (unsigned int i = 0; room && i < want; i++)
			fill((struct message *)room + i, s->id, nr + i);
		if (!m->in_place)
			n = pulse_queue_push_n(tx, msgs, want);
		else if (n > 0 && !KT_CHECK(!pulse_queue_commit(tx, want)))
			break;
		if (n == -EAGAIN) {
			give_way(&misses);
			continue;
		}
		if (!KT_CHECKF(n >= 0, "push: %d", n))
			break;
		if (m->overflow == PULSE_QUEUE_DROP_NEW)
			n = (int)want;
		for (int i = 0; i < n; i++, nr++)
			checksum_add(&s->sum, nr * SENDERS + s->id);
	}
	KT_EQ(pulse_queue_tx_close(tx), 0);
	return NULL;
}

static void *receiver(void *arg)
{
	struct side *s = arg;
	struct market *m = s->m;
	uint64_t last[SENDERS] = { 0 };
	struct pulse_queue_rx *rx;
	struct message msgs[16];
	unsigned int misses = 0;

	if (!KT_CHECK(!pulse_queue_rx_open(m->q, &rx)))
		return NULL;
	for (;;) {
		bool over = pulse__load_acquire(&m->over);
		const void *look = msgs;
		int n;

		if (m->in_place && m->nr_rx == 1)
			n = pulse_queue_peek(rx, m->burst, &look);
		else
			n = pulse_queue_pop_n(rx, msgs, m->burst);
		if (n == -EAGAIN) {
			if (over)
				break;
			if (m->sleeps)
				pulse_queue_wait(rx, pulse_now_ns() + 10000000);
			else
				give_way(&misses);
			continue;
		}
		if (!KT_CHECKF(n > 0, "pop: %d", n))
			break;
		for (int i = 0; i < n; i++) {
			const struct message *msg = (const struct message *)look + i;

			if (msg->sender >= SENDERS ||
			    msg->check != ~(msg->sender * 31 ^ msg->nr) ||
			    msg->nr <= last[msg->sender]) {
				KT_FAIL("torn, or out of order");
				goto out;
			}
			last[msg->sender] = msg->nr;
			checksum_add(&s->sum, msg->nr * SENDERS + msg->sender);
		}
		if (look != msgs)
			KT_EQ(pulse_queue_release(rx, (unsigned int)n), 0);
	}
out:
	KT_EQ(pulse_queue_rx_close(rx), 0);
	return NULL;
}

static void trade(uint32_t kind, uint32_t overflow, uint32_t entries,
		  unsigned int burst, bool in_place, bool sleeps, uint64_t each)
{
	int nr_tx = kind == PULSE_QUEUE_SPSC ? 1 : SENDERS;
	struct checksum in = { 0 }, out = { 0 };
	struct pulse_queue_stats s;
	static struct market m;

	PULSE_OPTS(pulse_queue_opts, opts, .kind = kind, .overflow = overflow,
		   .entries = entries, .elem_bytes = sizeof(struct message),
		   .start = UINT64_MAX - 1000);
	memset(&m, 0, sizeof(m));
	m.overflow = overflow;
	m.burst = burst;
	m.in_place = in_place;
	m.sleeps = sleeps;
	m.each = each;
	m.nr_rx = kind == PULSE_QUEUE_MPMC ? RECEIVERS : 1;
	KT_REQUIRE(!pulse_queue_create(&opts, &m.q));
	for (int i = 0; i < m.nr_rx; i++) {
		m.rx[i].m = &m;
		pthread_create(&m.rx[i].thread, NULL, receiver, &m.rx[i]);
	}
	for (int i = 0; i < nr_tx; i++) {
		m.tx[i].m = &m;
		m.tx[i].id = (uint64_t)i;
		pthread_create(&m.tx[i].thread, NULL, sender, &m.tx[i]);
	}
	for (int i = 0; i < nr_tx; i++) {
		pthread_join(m.tx[i].thread, NULL);
		checksum_merge(&in, &m.tx[i].sum);
	}
	pulse__store_release(&m.over, true);
	for (int i = 0; i < m.nr_rx; i++) {
		pthread_join(m.rx[i].thread, NULL);
		checksum_merge(&out, &m.rx[i].sum);
	}
	s = stats_of(m.q);
	KT_EQ(in.nr, each * (uint64_t)nr_tx);
	KT_EQ(out.nr + s.dropped_new + s.dropped_old, in.nr);
	KT_EQ(s.popped, s.pushed);
	KT_EQ(s.errors, 0);
	if (overflow == PULSE_QUEUE_ERROR || overflow == PULSE_QUEUE_BLOCK)
		checksum_equal(&out, &in);
	KT_EQ(pulse_queue_destroy(m.q), 0);
}

/* U10 */
KT_TEST(every_kind_loses_nothing)
{
	for (uint32_t kind = 0; kind < 3; kind++) {
		trade(kind, PULSE_QUEUE_ERROR, 1024, 1, false, false,
		      scaled(200000));
		trade(kind, PULSE_QUEUE_ERROR, 2, 1, false, false,
		      scaled(50000));
		trade(kind, PULSE_QUEUE_ERROR, 64, 13, false, false,
		      scaled(200000));
		trade(kind, PULSE_QUEUE_ERROR, 8, 16, false, false,
		      scaled(100000));
	}
}

KT_TEST(in_place_loses_nothing)
{
	trade(PULSE_QUEUE_SPSC, PULSE_QUEUE_ERROR, 64, 13, true, false,
	      scaled(200000));
	trade(PULSE_QUEUE_MPSC, PULSE_QUEUE_ERROR, 8, 5, true, false,
	      scaled(100000));
}

KT_TEST(sleepers_are_woken)
{
	for (uint32_t kind = 0; kind < 3; kind++) {
		trade(kind, PULSE_QUEUE_BLOCK, 64, 3, false, true,
		      scaled(30000));
		trade(kind, PULSE_QUEUE_BLOCK, 2, 1, false, true,
		      scaled(10000));
	}
}

KT_TEST(what_is_dropped_is_counted_and_nothing_torn)
{
	for (uint32_t kind = 0; kind < 3; kind++) {
		trade(kind, PULSE_QUEUE_DROP_NEW, 16, 3, false, false,
		      scaled(100000));
		trade(kind, PULSE_QUEUE_DROP_OLD, 16, 3, false, false,
		      scaled(100000));
		trade(kind, PULSE_QUEUE_DROP_OLD, 2, 1, false, false,
		      scaled(100000));
	}
}

/* ---- waiting ----------------------------------------------------------- */

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

KT_TEST(the_descriptor_signals_the_first_push_after_arm_and_no_other)
{
	struct ends e;
	uint64_t v;
	int fd;

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_SPSC, 0, 8, 0, 0));
	KT_EQ(push(&e, 1), 0);
	fd = pulse_queue_fd(e.q);
	KT_REQUIRE(fd >= 0);
	KT_EQ(pulse_queue_fd(e.q), fd);
	KT_EQ(pulse_queue_set_fd(e.q, fd), -EEXIST);
	KT_CHECK(!readable(fd));
	KT_EQ(pulse_queue_arm(e.rx), -EAGAIN);
	KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
	/* Nobody waits: no signal. */
	KT_EQ(push(&e, 2), 0);
	KT_CHECK(!readable(fd));
	KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
	for (int round = 0; round < 3; round++) {
		uint64_t before = stats_of(e.q).signals;

		KT_EQ(pulse_queue_arm(e.rx), 0);
		KT_CHECK(!readable(fd));
		KT_EQ(push(&e, 3), 0);
		KT_CHECK(readable(fd));
		KT_EQ(push(&e, 4), 0);
		KT_EQ(stats_of(e.q).signals, before + 1);
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
		KT_EQ(pulse_queue_pop(e.rx, &v, NULL), -EAGAIN);
	}
	KT_EQ(pulse_queue_arm(e.rx), 0);
	KT_CHECK(!readable(fd));
	ends_close(&e);
}

KT_TEST(a_wait_ends_at_its_deadline_or_when_there_is_something)
{
	struct ends e;

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_MPSC, 0, 8, 0, 0));
	KT_EQ(pulse_queue_wait(e.rx, 0), -ETIMEDOUT);
	KT_EQ(pulse_queue_wait(e.rx, pulse_now_ns() + 1000000), -ETIMEDOUT);
	KT_EQ(push(&e, 1), 0);
	KT_EQ(pulse_queue_wait(e.rx, 0), 0);
	KT_EQ(pulse_queue_wait(e.rx, PULSE_FOREVER), 0);
	ends_close(&e);
}

/* U04 */
KT_TEST(each_allocation_that_fails_is_told)
{
	struct pulse_queue_tx *tx;
	struct pulse_queue_rx *rx;
	struct pulse_queue *q;
	long n;
	int err;

	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_queue_create(NULL, &q);
		if (!pulse__alloc_failed())
			break;
		KT_EQ(err, -ENOMEM);
		KT_CHECK(q == NULL);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(n, 3);
	KT_REQUIRE(!err);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_queue_tx_open(q, &tx), -ENOMEM);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_queue_rx_open(q, &rx), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_queue_tx_open(q, &tx), 0);
	KT_EQ(pulse_queue_rx_open(q, &rx), 0);
	pulse_queue_tx_close(tx);
	pulse_queue_rx_close(rx);
	KT_EQ(pulse_queue_destroy(q), 0);
}

/* U09 */
KT_TEST(a_forked_child_is_told)
{
	uint64_t v = 1;
	const void *in;
	struct ends e;
	int status = 0;
	void *out;
	pid_t pid;

	KT_REQUIRE(ends_open(&e, PULSE_QUEUE_SPSC, 0, 8, 0, 0));
	KT_EQ(push(&e, 1), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_queue_tx *tx;
		struct pulse_queue_rx *rx;
		int bad = push(&e, 1) != -EOWNERDEAD;

		bad |= pulse_queue_push_n(e.tx, &v, 1) != -EOWNERDEAD;
		bad |= pulse_queue_reserve(e.tx, 1, &out) != -EOWNERDEAD;
		bad |= pulse_queue_commit(e.tx, 0) != -EOWNERDEAD;
		bad |= pulse_queue_pop(e.rx, &v, NULL) != -EOWNERDEAD;
		bad |= pulse_queue_pop_n(e.rx, &v, 1) != -EOWNERDEAD;
		bad |= pulse_queue_peek(e.rx, 1, &in) != -EOWNERDEAD;
		bad |= pulse_queue_release(e.rx, 0) != -EOWNERDEAD;
		bad |= pulse_queue_wait(e.rx, 0) != -EOWNERDEAD;
		bad |= pulse_queue_arm(e.rx) != -EOWNERDEAD;
		bad |= pulse_queue_fd(e.q) != -EOWNERDEAD;
		bad |= pulse_queue_set_fd(e.q, 0) != -EOWNERDEAD;
		bad |= pulse_queue_tx_open(e.q, &tx) != -EOWNERDEAD;
		bad |= pulse_queue_rx_open(e.q, &rx) != -EOWNERDEAD;
		bad |= pulse_queue_tx_close(e.tx) != 0;
		bad |= pulse_queue_rx_close(e.rx) != 0;
		bad |= pulse_queue_destroy(e.q) != 0;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_EQ(pulse_queue_pop(e.rx, &v, NULL), 0);
	ends_close(&e);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/* The bounded ring, and the queue of pointers with the same turns. */
#include <sys/resource.h>
#include <sys/wait.h>

#include <pulse-u/ring.h>

#include "lockfree/ring_inline.h"
#include "threads.h"

#define PRODUCERS 2
#define CONSUMERS 2

static struct pulse_ring *make(uint32_t entries, uint32_t elem_bytes,
			       uint64_t start)
{
	struct pulse_ring *r = NULL;

	PULSE_OPTS(pulse_ring_opts, opts, .entries = entries,
		   .elem_bytes = elem_bytes, .start = start);
	KT_EQ(pulse_ring_create(&opts, &r), 0);
	return r;
}

/* U01 */
KT_TEST(nothing_given_is_an_error_not_a_crash)
{
	struct pulse_ring *r = make(0, 0, 0);
	uint64_t elem = 1;

	KT_REQUIRE(r != NULL);
	KT_EQ(pulse_ring_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_ring_destroy(NULL), -EINVAL);
	KT_EQ(pulse_ring_push(NULL, &elem, 8), -EINVAL);
	KT_EQ(pulse_ring_push(r, NULL, 8), -EINVAL);
	KT_EQ(pulse_ring_push(r, &elem, 0), -EINVAL);
	KT_EQ(pulse_ring_pop(NULL, &elem, NULL), -EINVAL);
	KT_EQ(pulse_ring_pop(r, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ring_push_n(NULL, &elem, 1), -EINVAL);
	KT_EQ(pulse_ring_push_n(r, NULL, 1), -EINVAL);
	KT_EQ(pulse_ring_push_n(r, &elem, 0), -EINVAL);
	KT_EQ(pulse_ring_pop_n(NULL, &elem, 1), -EINVAL);
	KT_EQ(pulse_ring_pop_n(r, NULL, 1), -EINVAL);
	KT_EQ(pulse_ring_pop_n(r, &elem, 0), -EINVAL);
	KT_EQ(pulse_ring_count(NULL), 0);
	KT_EQ(pulse_ring_capacity(NULL), 0);
	KT_EQ(pulse_ring_elem_bytes(NULL), 0);
	KT_EQ(pulse_ring_errors(NULL), 0);
	KT_EQ(pulse_ring_capacity(r), 1024);
	KT_EQ(pulse_ring_elem_bytes(r), 8);
	KT_EQ(pulse_ring_destroy(r), 0);
}

KT_TEST(sizes_that_cannot_be_are_refused)
{
	static const uint32_t bad[][2] = {
		{ 1, 8 }, { 3, 8 }, { 1U << 21, 8 }, { 1U << 31, 8 },
		{ UINT32_MAX, 8 }, { 8, 57 }, { 8, UINT32_MAX },
	};
	struct pulse_ring *r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		PULSE_OPTS(pulse_ring_opts, opts, .entries = bad[i][0],
			   .elem_bytes = bad[i][1]);
		KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
		KT_CHECK(r == NULL);
	}
	PULSE_OPTS(pulse_ring_opts, opts, .flags = 4);
	KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
	opts.flags = PULSE_RING_ON_NODE;
	opts.node = 1000;
	KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
	opts.node = -2;
	KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
	opts.sz = 1;
	KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
}

/* U04 */
KT_TEST(each_allocation_that_fails_is_told)
{
	struct pulse_ring *r;
	long n;
	int err;

	PULSE_OPTS(pulse_ring_opts, opts, .flags = PULSE_RING_ON_NODE);
	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_ring_create(n & 1 ? &opts : NULL, &r);
		if (!pulse__alloc_failed())
			break;
		KT_EQ(err, -ENOMEM);
		KT_CHECK(r == NULL);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(n, 3);
	KT_EQ(err, 0);
	pulse_ring_destroy(r);
}

KT_TEST(elements_come_out_in_order_and_whole)
{
	for (uint32_t bytes = 1; bytes <= PULSE_RING_ELEM_MAX; bytes++) {
		struct pulse_ring *r = make(4, bytes, bytes);
		unsigned char in[57], out[57];
		size_t room;

		KT_REQUIRE(r != NULL);
		KT_EQ(pulse_ring_pop(r, out, NULL), -EAGAIN);
		for (int i = 0; i < 4; i++) {
			memset(in, 'a' + i, sizeof(in));
			KT_EQ(pulse_ring_push(r, in, bytes), 0);
		}
		KT_EQ(pulse_ring_push(r, in, bytes), -EAGAIN);
		KT_EQ(pulse_ring_push(r, in, bytes + 1), -EMSGSIZE);
		KT_EQ(pulse_ring_count(r), 4);
		room = bytes - 1;
		KT_EQ(pulse_ring_pop(r, out, &room), -EMSGSIZE);
		for (int i = 0; i < 4; i++) {
			memset(out, 0, sizeof(out));
			memset(in, 'a' + i, sizeof(in));
			room = sizeof(out);
			KT_EQ(pulse_ring_pop(r, out, &room), 0);
			KT_EQ(room, bytes);
			KT_EQ(memcmp(in, out, bytes), 0);
			KT_EQ(out[bytes], 0);
		}
		KT_EQ(pulse_ring_pop(r, out, NULL), -EAGAIN);
		KT_EQ(pulse_ring_errors(r), 0);
		pulse_ring_destroy(r);
	}
}

KT_TEST(a_short_element_is_filled_up_with_zeroes)
{
	struct pulse_ring *r = make(2, 16, 0);
	char out[16];

	KT_REQUIRE(r != NULL);
	for (int lap = 0; lap < 2; lap++) {
		memset(out, 'x', sizeof(out));
		KT_EQ(pulse_ring_push(r, out, 16), 0);
		KT_EQ(pulse_ring_push(r, "abc", 3), 0);
		KT_EQ(pulse_ring_pop(r, out, NULL), 0);
		KT_EQ(pulse_ring_pop(r, out, NULL), 0);
		KT_EQ(memcmp(out, "abc\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
	}
	pulse_ring_destroy(r);
}

KT_TEST(batches_take_what_fits)
{
	struct pulse_ring *r = make(8, 8, 3);
	uint64_t in[20], out[20];

	KT_REQUIRE(r != NULL);
	for (uint64_t i = 0; i < 20; i++)
		in[i] = i;
	KT_EQ(pulse_ring_pop_n(r, out, 20), -EAGAIN);
	KT_EQ(pulse_ring_push_n(r, in, 5), 5);
	KT_EQ(pulse_ring_push_n(r, in + 5, 15), 3);
	KT_EQ(pulse_ring_push_n(r, in, 1), -EAGAIN);
	KT_EQ(pulse_ring_pop_n(r, out, 6), 6);
	KT_EQ(pulse_ring_pop_n(r, out + 6, 20 - 6), 2);
	KT_EQ(memcmp(in, out, 8 * sizeof(in[0])), 0);
	KT_EQ(pulse_ring_push_n(r, in, UINT32_MAX), 8);
	KT_EQ(pulse_ring_pop_n(r, out, UINT32_MAX), 8);
	KT_EQ(memcmp(in, out, 8 * sizeof(in[0])), 0);
	pulse_ring_destroy(r);
}

/* H09, U10 */
KT_TEST(positions_may_start_and_wrap_anywhere)
{
	static const uint64_t starts[] = {
		0, 1, 7, (1ULL << 32) - 9, UINT64_MAX - 8, UINT64_MAX,
		(1ULL << 63) - 5,
	};

	for (size_t s = 0; s < ARRAY_SIZE(starts); s++) {
		for (uint32_t entries = 2; entries <= 16; entries *= 2) {
			struct pulse_ring *r = make(entries, 8, starts[s]);
			struct pulse__mpmc q;
			uint64_t in = 0, out = 0, elem;

			KT_REQUIRE(r != NULL);
			KT_EQ(pulse__mpmc_init(&q, entries, starts[s]), 0);
			for (int round = 0; round < 50; round++) {
				for (uint32_t i = 0; i < entries; i++) {
					in++;
					KT_EQ(pulse_ring_push(r, &in, 8), 0);
					KT_EQ(pulse__mpmc_push(
						&q, (void *)(uintptr_t)in), 0);
				}
				KT_EQ(pulse_ring_push(r, &in, 8), -EAGAIN);
				KT_EQ(pulse__mpmc_push(&q, &in), -EAGAIN);
				KT_EQ(pulse_ring_count(r), entries);
				KT_EQ(pulse__mpmc_count(&q), entries);
				for (uint32_t i = 0; i < entries; i++) {
					out++;
					KT_EQ(pulse_ring_pop(r, &elem, NULL), 0);
					KT_EQ(elem, out);
					KT_EQ((uintptr_t)pulse__mpmc_pop(&q),
					      out);
				}
				KT_EQ(pulse_ring_pop(r, &elem, NULL), -EAGAIN);
				KT_CHECK(pulse__mpmc_pop(&q) == NULL);
				KT_EQ(pulse__mpmc_count(&q), 0);
			}
			KT_EQ(pulse_ring_errors(r), 0);
			pulse__mpmc_fini(&q);
			pulse_ring_destroy(r);
		}
	}
}

/* ---- two producers, two consumers -------------------------------------- */

struct message {
	uint64_t producer;
	uint64_t nr;
	uint64_t check;
};

struct market {
	struct pulse_ring *ring;
	struct pulse__mpmc queue;
	bool plain;		/* the queue of pointers instead */
	unsigned int batch;
	uint64_t each;		/* messages a producer */
	uint64_t popped;	/* atomic */
	struct side {
		struct market *m;
		uint64_t id;
		struct checksum sum;
		pthread_t thread;
	} producer[PRODUCERS], consumer[CONSUMERS];
};

static struct message *message_new(uint64_t producer, uint64_t nr)
{
	struct message *msg = malloc(sizeof(*msg));

	*msg = (struct message){ producer, nr, ~(producer ^ nr) };
	return msg;
}

static void *produce(void *arg)
{
	struct side *s = arg;
	struct market *m = s->m;
	struct message msgs[16];
	unsigned int misses = 0;

	for (uint64_t nr = 1; nr <= m->each;) {
		int n = 0;

		if (m->plain) {
			struct message *msg = message_new(s->id, nr);

			while (pulse__mpmc_push(&m->queue, msg))
				give_way(&misses);
			n = 1;
		} else {
			unsigned int want = 0;

			for (; want < m->batch && nr + want <= m->each; want++)
				msgs[want] = (struct message){
					s->id, nr + want, ~(s->id ^ (nr + want))
				};
			while (n <= 0) {
				n = m->batch > 1 ?
				    pulse_ring_push_n(m->ring, msgs, want) :
				    pulse_ring_push(m->ring, msgs,
						    sizeof(msgs[0]));
				if (!n)
					n = 1;
				if (n == -EAGAIN)
					give_way(&misses);
				else if (!KT_CHECKF(n > 0, "push: %d", n))
					return NULL;
			}
		}
		while (n--)
			checksum_add(&s->sum, nr++ * PRODUCERS + s->id);
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct side *s = arg;
	struct market *m = s->m;
	uint64_t last[PRODUCERS] = { 0 };
	struct message msgs[16];
	unsigned int misses = 0;

	while (READ_ONCE(m->popped) < m->each * PRODUCERS) {
		int n;

		if (m->plain) {
			struct message *msg = pulse__mpmc_pop(&m->queue);

			n = msg ? 1 : -EAGAIN;
			if (msg) {
				msgs[0] = *msg;
				free(msg);
			}
		} else if (m->batch > 1) {
			n = pulse_ring_pop_n(m->ring, msgs, m->batch);
		} else {
			n = pulse_ring_pop(m->ring, msgs, NULL);
			if (!n)
				n = 1;
		}
		if (n == -EAGAIN) {
			give_way(&misses);
			continue;
		}
		if (!KT_CHECKF(n > 0, "pop: %d", n))
			return NULL;
		for (int i = 0; i < n; i++) {
			struct message *msg = &msgs[i];

			if (msg->check != ~(msg->producer ^ msg->nr) ||
			    msg->producer >= PRODUCERS ||
			    msg->nr <= last[msg->producer]) {
				KT_FAIL("torn, or out of order");
				return NULL;
			}
			last[msg->producer] = msg->nr;
			checksum_add(&s->sum,
				     msg->nr * PRODUCERS + msg->producer);
		}
		pulse__add_relaxed(&m->popped, (uint64_t)n);
	}
	return NULL;
}

static void trade(bool plain, uint32_t entries, unsigned int batch,
		  uint64_t each, uint64_t start)
{
	struct checksum in = { 0 }, out = { 0 };
	static struct market m;

	memset(&m, 0, sizeof(m));
	m.plain = plain;
	m.batch = batch;
	m.each = each;
	if (plain)
		KT_EQ(pulse__mpmc_init(&m.queue, entries, start), 0);
	else
		m.ring = make(entries, sizeof(struct message), start);
	for (uint64_t i = 0; i < PRODUCERS; i++) {
		m.producer[i].m = m.consumer[i].m = &m;
		m.producer[i].id = m.consumer[i].id = i;
		pthread_create(&m.consumer[i].thread, NULL, consume,
			       &m.consumer[i]);
		pthread_create(&m.producer[i].thread, NULL, produce,
			       &m.producer[i]);
	}
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(m.producer[i].thread, NULL);
		pthread_join(m.consumer[i].thread, NULL);
		checksum_merge(&in, &m.producer[i].sum);
		checksum_merge(&out, &m.consumer[i].sum);
	}
	checksum_equal(&out, &in);
	KT_EQ(in.nr, each * PRODUCERS);
	if (plain) {
		pulse__mpmc_fini(&m.queue);
	} else {
		KT_EQ(pulse_ring_errors(m.ring), 0);
		KT_EQ(pulse_ring_count(m.ring), 0);
		pulse_ring_destroy(m.ring);
	}
}

KT_TEST(two_producers_two_consumers_lose_nothing)
{
	trade(false, 1024, 1, scaled(500000), 0);
}

KT_TEST(a_ring_of_two_entries_is_full_all_the_time)
{
	trade(false, 2, 1, scaled(100000), UINT64_MAX - 1000);
}

KT_TEST(batches_lose_nothing_and_keep_the_order)
{
	trade(false, 64, 13, scaled(500000), (1ULL << 32) - 1000);
	trade(false, 8, 16, scaled(100000), UINT64_MAX - 1000);
}

KT_TEST(the_queue_of_pointers_loses_nothing)
{
	trade(true, 1024, 1, scaled(300000), 0);
	trade(true, 2, 1, scaled(100000), UINT64_MAX - 1000);
	trade(true, 16, 1, scaled(100000), (1ULL << 32) - 1000);
}

static struct pulse_ring *make_dropping(uint32_t entries, uint32_t overflow,
					uint64_t start)
{
	struct pulse_ring *r = NULL;

	PULSE_OPTS(pulse_ring_opts, opts, .entries = entries,
		   .overflow = overflow, .start = start);
	KT_EQ(pulse_ring_create(&opts, &r), 0);
	return r;
}

KT_TEST(a_full_ring_drops_what_it_was_told_to)
{
	uint64_t v, six[6] = { 11, 12, 13, 14, 15, 16 };
	struct pulse_ring *r;

	PULSE_OPTS(pulse_ring_opts, bad, .overflow = 3);
	KT_EQ(pulse_ring_create(&bad, &r), -EINVAL);
	KT_EQ(pulse_ring_dropped(NULL), 0);
	r = make_dropping(4, PULSE_RING_DROP_NEW, 0);
	KT_REQUIRE(r != NULL);
	for (v = 1; v <= 10; v++)
		KT_EQ(pulse_ring_push(r, &v, sizeof(v)), 0);
	KT_EQ(pulse_ring_dropped(r), 6);
	KT_EQ(pulse_ring_push_n(r, six, 6), 0);
	KT_EQ(pulse_ring_dropped(r), 12);
	for (uint64_t want = 1; want <= 4; want++) {
		KT_EQ(pulse_ring_pop(r, &v, NULL), 0);
		KT_EQ(v, want);
	}
	pulse_ring_destroy(r);

	r = make_dropping(4, PULSE_RING_DROP_OLD, UINT64_MAX - 2);
	KT_REQUIRE(r != NULL);
	for (v = 1; v <= 10; v++)
		KT_EQ(pulse_ring_push(r, &v, sizeof(v)), 0);
	KT_EQ(pulse_ring_dropped(r), 6);
	KT_EQ(pulse_ring_push_n(r, six, 3), 3);
	KT_EQ(pulse_ring_dropped(r), 9);
	KT_EQ(pulse_ring_pop(r, &v, NULL), 0);
	KT_EQ(v, 10);
	for (uint64_t want = 11; want <= 13; want++) {
		KT_EQ(pulse_ring_pop(r, &v, NULL), 0);
		KT_EQ(v, want);
	}
	KT_EQ(pulse_ring_pop(r, &v, NULL), -EAGAIN);
	KT_EQ(pulse_ring_errors(r), 0);
	pulse_ring_destroy(r);
}

KT_TEST(places_are_claimed_and_written_in_place)
{
	struct pulse_ring_span span, later;
	struct pulse_ring *r = make(4, 8, UINT64_MAX - 1);
	uint64_t v = 9;

	KT_REQUIRE(r != NULL);
	KT_EQ(pulse_ring_reserve(NULL, 1, &span), -EINVAL);
	KT_EQ(pulse_ring_reserve(r, 0, &span), -EINVAL);
	KT_EQ(pulse_ring_reserve(r, 1, NULL), -EINVAL);
	KT_EQ(pulse_ring_commit(NULL, &span), -EINVAL);
	KT_EQ(pulse_ring_commit(r, NULL), -EINVAL);
	KT_EQ(pulse_ring_reserve(r, 2, &span), 2);
	KT_CHECK(pulse_ring_at(r, &span, 2) == NULL);
	KT_CHECK(pulse_ring_at(NULL, &span, 0) == NULL);
	KT_CHECK(pulse_ring_at(r, NULL, 0) == NULL);
	KT_EQ(pulse_ring_push(r, &v, sizeof(v)), 0);
	KT_EQ(pulse_ring_reserve(r, 9, &later), 1);
	*(uint64_t *)pulse_ring_at(r, &later, 0) = 10;
	KT_EQ(pulse_ring_commit(r, &later), 0);
	KT_EQ(pulse_ring_reserve(r, 1, &later), -EAGAIN);
	KT_EQ(later.nr, 0);
	/* Hidden behind what was claimed before and not committed yet. */
	KT_EQ(pulse_ring_pop(r, &v, NULL), -EAGAIN);
	for (unsigned int i = 0; i < 2; i++)
		*(uint64_t *)pulse_ring_at(r, &span, i) = 7 + i;
	KT_EQ(pulse_ring_commit(r, &span), 0);
	KT_EQ(pulse_ring_commit(r, &span), -EINVAL);
	for (uint64_t want = 7; want <= 10; want++) {
		KT_EQ(pulse_ring_pop(r, &v, NULL), 0);
		KT_EQ(v, want);
	}
	KT_EQ(pulse_ring_pop(r, &v, NULL), -EAGAIN);
	pulse_ring_destroy(r);
}

/* Several push into a full ring and drop its oldest, one takes what it can. */
static void *push_and_drop(void *arg)
{
	struct side *s = arg;

	for (uint64_t nr = 1; nr <= s->m->each; nr++) {
		struct message msg = { .producer = s->id, .nr = nr,
				       .check = ~(s->id ^ nr) };
		int err = pulse_ring_push(s->m->ring, &msg, sizeof(msg));

		/* -EAGAIN: one was stopped in the middle. Not in, not counted. */
		if (!err)
			s->sum.nr++;
		else if (!KT_CHECKF(err == -EAGAIN, "push: %d", err))
			break;
	}
	return NULL;
}

KT_TEST(what_is_dropped_is_counted_and_nothing_torn)
{
	PULSE_OPTS(pulse_ring_opts, opts, .entries = 8,
		   .elem_bytes = sizeof(struct message),
		   .overflow = PULSE_RING_DROP_OLD);
	struct market m = { .each = scaled(100000) };
	uint64_t in = 0, out = 0, last[PRODUCERS] = { 0 };
	unsigned int misses = 0;
	struct message msg;
	bool over = false;

	KT_EQ(pulse_ring_create(&opts, &m.ring), 0);
	for (uint64_t i = 0; i < PRODUCERS; i++) {
		m.producer[i].m = &m;
		m.producer[i].id = i;
		pthread_create(&m.producer[i].thread, NULL, push_and_drop,
			       &m.producer[i]);
	}
	for (;;) {
		if (!pulse_ring_pop(m.ring, &msg, NULL)) {
			out++;
			if (!KT_CHECK(msg.producer < PRODUCERS) ||
			    !KT_CHECK(msg.check == ~(msg.producer ^ msg.nr)) ||
			    !KT_CHECK(msg.nr > last[msg.producer]))
				break;
			last[msg.producer] = msg.nr;
			continue;
		}
		if (over)
			break;
		give_way(&misses);
		if (misses > 20000) {
			for (int i = 0; i < PRODUCERS; i++)
				pthread_join(m.producer[i].thread, NULL);
			over = true;
		}
	}
	for (int i = 0; i < PRODUCERS; i++)
		in += m.producer[i].sum.nr;
	KT_CHECK(over);
	KT_EQ(out + pulse_ring_dropped(m.ring), in);
	KT_EQ(pulse_ring_errors(m.ring), 0);
	pulse_ring_destroy(m.ring);
}

/* U03; where it is ASan that notices, that is as good. */
KT_TEST(debug_builds_end_at_a_second_destroy)
{
#ifdef PULSE_DEBUG
	struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_ring *r = make(2, 8, 0);

		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		pulse_ring_destroy(r);
		pulse_ring_destroy(r);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(!WIFEXITED(status) || WEXITSTATUS(status));
#else
	KT_SKIP("not a debug build (-DPULSE_DEBUG)");
#endif
}

/* U09 */
KT_TEST(a_forked_child_is_told)
{
	struct pulse_ring *r = make(2, 8, 0);
	struct pulse_ring_span span;
	uint64_t elem = 1;
	int status = 0;
	pid_t pid;

	KT_REQUIRE(r != NULL);
	KT_EQ(pulse_ring_push(r, &elem, 8), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int bad = pulse_ring_push(r, &elem, 8) != -EOWNERDEAD;

		bad |= pulse_ring_pop(r, &elem, NULL) != -EOWNERDEAD;
		bad |= pulse_ring_push_n(r, &elem, 1) != -EOWNERDEAD;
		bad |= pulse_ring_pop_n(r, &elem, 1) != -EOWNERDEAD;
		bad |= pulse_ring_reserve(r, 1, &span) != -EOWNERDEAD;
		span.nr = 1;
		bad |= pulse_ring_commit(r, &span) != -EOWNERDEAD;
		bad |= pulse_ring_destroy(r) != 0;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_EQ(pulse_ring_pop(r, &elem, NULL), 0);
	pulse_ring_destroy(r);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of words, and what a receiver that is alone does without: elements are
 * had once each while a second one joins it.
 */
#include <sys/wait.h>
#include <unistd.h>

#include <pulse-u/queue.h>

#include "base/rseq.h"
#include "threads.h"

#define ENTRIES 64U
#define MANY	256U		/* few waits of one for the other */

static struct pulse_queue *queue_of(uint32_t kind, uint32_t elem_bytes,
				    uint32_t overflow, uint32_t entries)
{
	PULSE_OPTS(pulse_queue_opts, opts, .kind = kind, .entries = entries,
		   .elem_bytes = elem_bytes, .overflow = overflow,
		   .lanes = kind == PULSE_QUEUE_SPSC ? 1 : 2,
		   .start = UINT64_MAX - 100);
	struct pulse_queue *q = NULL;

	KT_EQ(pulse_queue_create(&opts, &q), 0);
	return q;
}

struct pair {
	struct pulse_queue *q;
	struct pulse_queue_tx *tx;
	struct pulse_queue_rx *rx;
};

static bool pair_open(struct pair *p, uint32_t kind, uint32_t elem_bytes,
		      uint32_t overflow)
{
	p->q = queue_of(kind, elem_bytes, overflow, ENTRIES);
	return p->q && KT_CHECK(!pulse_queue_tx_open(p->q, &p->tx)) &&
	       KT_CHECK(!pulse_queue_rx_open(p->q, &p->rx));
}

static void pair_close(struct pair *p)
{
	KT_EQ(pulse_queue_tx_close(p->tx), 0);
	KT_EQ(pulse_queue_rx_close(p->rx), 0);
	KT_EQ(pulse_queue_destroy(p->q), 0);
}

static const uint32_t kinds[] = {
	PULSE_QUEUE_SPSC, PULSE_QUEUE_MPSC, PULSE_QUEUE_MPMC,
};

/* Laps over the wrap of the counters; in step with all the other functions. */
KT_TEST(words_are_elements_like_any_other)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct pair p;
		uint64_t in = 0, out = 0, v, w[4];
		void *room;

		KT_REQUIRE(pair_open(&p, kinds[k], 8, 0));
		KT_EQ(pulse_queue_pop_word(p.rx, &v), -EAGAIN);
		for (int lap = 0; lap < 10; lap++) {
			while (in - out < ENTRIES)
				KT_EQ(pulse_queue_push_word(p.tx, ++in), 0);
			KT_EQ(pulse_queue_push_word(p.tx, in), -EAGAIN);
			KT_EQ(pulse_queue_pop(p.rx, &v, NULL), 0);
			KT_EQ(v, ++out);
			KT_EQ(pulse_queue_pop_n(p.rx, w, 4), 4);
			for (int i = 0; i < 4; i++)
				KT_EQ(w[i], ++out);
			v = ++in;
			KT_EQ(pulse_queue_push(p.tx, &v, sizeof(v)), 0);
			KT_EQ(pulse_queue_reserve(p.tx, 1, &room), 1);
			*(uint64_t *)room = 12345;
			/* What is reserved and not committed is given back. */
			KT_EQ(pulse_queue_push_word(p.tx, ++in), 0);
			KT_EQ(pulse_queue_commit(p.tx, 1), -EINVAL);
			while (out < in) {
				KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
				KT_EQ(v, ++out);
			}
			KT_EQ(pulse_queue_pop_word(p.rx, &v), -EAGAIN);
			KT_EQ(pulse_queue_count(p.q), 0);
		}
		pair_close(&p);
	}
}

/* U01; the exported twins, as another language calls them */
KT_TEST(the_twins_answer_as_the_inlines_do)
{
	int (*volatile push)(struct pulse_queue_tx *tx, uint64_t word) =
		pulse_queue_push_word;
	int (*volatile pop)(struct pulse_queue_rx *rx, uint64_t *word) =
		pulse_queue_pop_word;
	struct pair p;
	uint64_t v;

	KT_REQUIRE(pair_open(&p, PULSE_QUEUE_SPSC, 8, 0));
	KT_EQ(push(NULL, 1), -EINVAL);
	KT_EQ(pop(NULL, &v), -EINVAL);
	KT_EQ(pop(p.rx, NULL), -EINVAL);
	KT_EQ(pulse_queue_push_word(NULL, 1), -EINVAL);
	KT_EQ(pulse_queue_pop_word(NULL, &v), -EINVAL);
	KT_EQ(pulse_queue_pop_word(p.rx, NULL), -EINVAL);
	KT_EQ(push(p.tx, 1), 0);
	KT_EQ(pulse_queue_push_word(p.tx, 2), 0);
	KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
	KT_EQ(v, 1);
	KT_EQ(pop(p.rx, &v), 0);
	KT_EQ(v, 2);
	KT_EQ(pop(p.rx, &v), -EAGAIN);
	pair_close(&p);
}

KT_TEST(a_word_is_no_element_of_another_size)
{
	static const uint32_t sizes[] = { 1, 4, 7, 16 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pair p;
		uint64_t v;

		KT_REQUIRE(pair_open(&p, PULSE_QUEUE_SPSC, sizes[i], 0));
		KT_EQ(pulse_queue_push_word(p.tx, 1), -EMSGSIZE);
		KT_EQ(pulse_queue_pop_word(p.rx, &v), -EMSGSIZE);
		KT_EQ(pulse_queue_count(p.q), 0);
		pair_close(&p);
	}
}

KT_TEST(words_that_find_no_room_are_dropped_and_counted)
{
	struct pulse_queue_stats s = { .sz = sizeof(s) };
	struct pair p;
	uint64_t v = 0;

	KT_REQUIRE(pair_open(&p, PULSE_QUEUE_MPMC, 8, PULSE_QUEUE_DROP_OLD));
	for (uint64_t i = 1; i <= ENTRIES + 10; i++)
		KT_EQ(pulse_queue_push_word(p.tx, i), 0);
	KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
	KT_EQ(v, 11);
	KT_EQ(pulse_queue_stats(p.q, &s), 0);
	KT_EQ(s.dropped_old, 10);
	pair_close(&p);
}

/* U09 */
KT_TEST(words_in_a_forked_child_are_refused)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct pair p;
		int status = 0;
		uint64_t v = 0;
		pid_t pid;

		KT_REQUIRE(pair_open(&p, kinds[k], 8, 0));
		KT_EQ(pulse_queue_push_word(p.tx, 7), 0);
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(pulse_queue_push_word(p.tx, 1) != -EOWNERDEAD ||
			      pulse_queue_pop_word(p.rx, &v) != -EOWNERDEAD);
		waitpid(pid, &status, 0);
		KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
		KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
		KT_EQ(v, 7);
		pair_close(&p);
	}
}

/* ---- a receiver is alone, and then is not ---------------------------------- */

struct joint {
	struct pulse_queue *q;
	uint64_t least;			/* so many, and as many when both are there */
	uint64_t sent;			/* of all; 0: not known yet */
	bool second_in;
	unsigned int burst;		/* 0: word by word */
	uint64_t popped;		/* of all, atomic */
	struct checksum sum[2];		/* of each receiver */
};

static int joint_take(struct joint *j, struct pulse_queue_rx *rx,
		      struct checksum *sum)
{
	uint64_t v[8];
	int n;

	n = j->burst ? pulse_queue_pop_n(rx, v, j->burst) :
	    pulse_queue_pop_word(rx, v) ? -EAGAIN : 1;
	for (int i = 0; i < n; i++)
		checksum_add(sum, v[i]);
	if (n > 0)
		pulse__add_relaxed(&j->popped, (uint64_t)n);
	return n;
}

static void joint_until_empty(struct joint *j, struct pulse_queue_rx *rx,
			      struct checksum *sum)
{
	unsigned int misses = 0;

	for (;;) {
		uint64_t sent = pulse__load_acquire(&j->sent);

		if (sent && READ_ONCE(j->popped) >= sent)
			break;
		if (joint_take(j, rx, sum) <= 0)
			give_way(&misses);
	}
	KT_EQ(pulse_queue_rx_close(rx), 0);
}

static void *joint_send(void *arg)
{
	struct joint *j = arg;
	struct pulse_queue_tx *tx;
	uint64_t last = 0, until = j->least;
	unsigned int misses = 0;

	if (!KT_CHECK(!pulse_queue_tx_open(j->q, &tx)))
		return NULL;
	while (last < until) {
		if (pulse_queue_push_word(tx, last + 1))
			give_way(&misses);
		else
			last++;
		if (!READ_ONCE(j->second_in))
			until = last + j->least;
	}
	pulse__store_release(&j->sent, last);
	KT_EQ(pulse_queue_tx_close(tx), 0);
	return NULL;
}

static void *joint_first(void *arg)
{
	struct joint *j = arg;
	struct pulse_queue_rx *rx;

	if (KT_CHECK(!pulse_queue_rx_open(j->q, &rx)))
		joint_until_empty(j, rx, &j->sum[0]);
	return NULL;
}

/* Comes when some are through, some not. */
static void *joint_second(void *arg)
{
	struct joint *j = arg;
	struct pulse_queue_rx *rx;
	unsigned int misses = 0;

	while (READ_ONCE(j->popped) < j->least)
		give_way(&misses);
	if (KT_CHECK(!pulse_queue_rx_open(j->q, &rx))) {
		WRITE_ONCE(j->second_in, true);
		joint_until_empty(j, rx, &j->sum[1]);
	}
	return NULL;
}

static void joined(unsigned int burst)
{
	uint64_t rounds = scaled(100) + 1, both = 0;

	for (uint64_t r = 0; r < rounds; r++) {
		struct joint j = { .least = 600 + r % 64, .burst = burst };
		struct checksum want = { 0 };
		pthread_t t[3];

		j.q = queue_of(PULSE_QUEUE_MPMC, 8, 0, MANY);
		KT_REQUIRE(j.q != NULL);
		pthread_create(&t[0], NULL, joint_first, &j);
		pthread_create(&t[1], NULL, joint_second, &j);
		pthread_create(&t[2], NULL, joint_send, &j);
		for (int i = 0; i < 3; i++)
			pthread_join(t[i], NULL);
		for (uint64_t v = 1; v <= j.sent; v++)
			checksum_add(&want, v);
		both += j.sum[0].nr && j.sum[1].nr;
		checksum_merge(&j.sum[0], &j.sum[1]);
		checksum_equal(&j.sum[0], &want);
		KT_EQ(pulse_queue_destroy(j.q), 0);
	}
	kt_note("%llu of %llu rounds had some for both",
		(unsigned long long)both, (unsigned long long)rounds);
}

KT_TEST(a_second_receiver_joins_the_first_and_nothing_is_had_twice)
{
	kt_note("a store on a condition: %s",
		pulse__rseq_ready() ? "yes" : "no, compare-exchange");
	joined(0);
	joined(5);
}

/* One after the other, each alone: the next goes on where the last stopped. */
KT_TEST(receivers_that_follow_each_other_are_alone_too)
{
	struct pair p;
	struct pulse_queue_rx *more;
	uint64_t v = 0, in = 0, out = 0;

	KT_REQUIRE(pair_open(&p, PULSE_QUEUE_MPMC, 8, 0));
	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < 7; k++)
			KT_EQ(pulse_queue_push_word(p.tx, ++in), 0);
		KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
		KT_EQ(v, ++out);
		KT_EQ(pulse_queue_rx_open(p.q, &more), 0);
		KT_EQ(pulse_queue_pop_word(more, &v), 0);
		KT_EQ(v, ++out);
		KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
		KT_EQ(v, ++out);
		/* The older one goes, then both do. */
		KT_EQ(pulse_queue_rx_close(p.rx), 0);
		KT_EQ(pulse_queue_pop_word(more, &v), 0);
		KT_EQ(v, ++out);
		KT_EQ(pulse_queue_rx_close(more), 0);
		KT_EQ(pulse_queue_rx_open(p.q, &p.rx), 0);
		while (out < in) {
			KT_EQ(pulse_queue_pop_word(p.rx, &v), 0);
			KT_EQ(v, ++out);
		}
		KT_EQ(pulse_queue_pop_word(p.rx, &v), -EAGAIN);
	}
	pair_close(&p);
}

KT_MAIN()

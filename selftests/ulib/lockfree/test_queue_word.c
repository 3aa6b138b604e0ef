// SPDX-License-Identifier: GPL-2.0-only
/*
 * One sender and one receiver: the short ways of words and bursts say what the
 * long ones say, and lose nothing between two processes.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <pulse-u/queue.h>

#include "lockfree/queue_int.h"
#include "threads.h"

#define ENTRIES 8
#define BURST	5

/* The ways to one word. */
static int take_inline(struct pulse_queue_rx *rx, uint64_t *word)
{
	return pulse_queue_pop_word(rx, word);
}

static int take_twin(struct pulse_queue_rx *rx, uint64_t *word)
{
	int (*volatile fn)(struct pulse_queue_rx *rx, uint64_t *word) =
		pulse_queue_pop_word;

	return fn(rx, word);
}

static int take_copy(struct pulse_queue_rx *rx, uint64_t *word)
{
	return pulse_queue_pop(rx, word, NULL);
}

static int take_burst(struct pulse_queue_rx *rx, uint64_t *word)
{
	int n = pulse_queue_pop_n(rx, word, 1);

	return n == 1 ? 0 : n;
}

/* H01: a tail that cannot be is told as such, and not as empty. */
KT_TEST(empty_is_one_thing_and_impossible_another)
{
	static int (*const take[])(struct pulse_queue_rx *, uint64_t *) = {
		take_inline, take_twin, take_copy, take_burst
	};

	for (size_t i = 0; i < ARRAY_SIZE(take); i++) {
		PULSE_OPTS(pulse_queue_opts, opts, .entries = ENTRIES,
			   .start = UINT64_MAX - 1);
		struct pulse_queue_stats s = { .sz = sizeof(s) };
		struct pulse_queue_tx *tx;
		struct pulse_queue_rx *rx;
		struct pulse_queue *q;
		uint64_t v = 77, tail;

		KT_REQUIRE(!pulse_queue_create(&opts, &q));
		KT_REQUIRE(!pulse_queue_tx_open(q, &tx));
		KT_REQUIRE(!pulse_queue_rx_open(q, &rx));
		for (uint64_t nr = 1; nr <= 3 * ENTRIES; nr++) {
			KT_EQ(take[i](rx, &v), -EAGAIN);
			KT_EQ(pulse_queue_push_word(tx, nr), 0);
			KT_EQ(take[i](rx, &v), 0);
			KT_EQ(v, nr);
		}
		KT_EQ(take[i](rx, &v), -EAGAIN);
		KT_EQ(pulse_queue_stats(q, &s), 0);
		KT_EQ(s.errors, 0);
		tail = q->shm->lane[0].tail;
		q->shm->lane[0].tail = tail + ENTRIES + 1;
		KT_EQ(take[i](rx, &v), -EPROTO);
		q->shm->lane[0].tail = tail - 1;
		KT_EQ(take[i](rx, &v), -EPROTO);
		q->shm->lane[0].tail = tail;
		KT_EQ(take[i](rx, &v), -EAGAIN);
		KT_EQ(v, 3 * ENTRIES);
		KT_EQ(pulse_queue_stats(q, &s), 0);
		KT_EQ(s.errors, 2);
		pulse_queue_tx_close(tx);
		pulse_queue_rx_close(rx);
		KT_EQ(pulse_queue_destroy(q), 0);
	}
}

/* A full queue: each policy that does not make room says so at once. */
KT_TEST(full_is_told_whichever_way_it_is_filled)
{
	for (uint32_t overflow = PULSE_QUEUE_ERROR;
	     overflow <= PULSE_QUEUE_DROP_NEW; overflow++) {
		const int full = overflow == PULSE_QUEUE_ERROR ? -EAGAIN : 0;
		PULSE_OPTS(pulse_queue_opts, opts, .entries = ENTRIES,
			   .overflow = overflow);
		struct pulse_queue_stats s = { .sz = sizeof(s) };
		uint64_t v[ENTRIES + 2] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
		uint64_t out[ENTRIES + 2];
		struct pulse_queue_tx *tx;
		struct pulse_queue_rx *rx;
		struct pulse_queue *q;
		void *room;

		KT_REQUIRE(!pulse_queue_create(&opts, &q));
		KT_REQUIRE(!pulse_queue_tx_open(q, &tx));
		KT_REQUIRE(!pulse_queue_rx_open(q, &rx));
		KT_EQ(pulse_queue_push_n(tx, v, ENTRIES + 2), ENTRIES);
		KT_EQ(pulse_queue_push_n(tx, v, 2), full);
		KT_EQ(pulse_queue_push_word(tx, 9), full);
		KT_EQ(pulse_queue_push(tx, v, 8), full);
		KT_EQ(pulse_queue_reserve(tx, 1, &room), -EAGAIN);
		KT_EQ(pulse_queue_count(q), ENTRIES);
		KT_EQ(pulse_queue_stats(q, &s), 0);
		KT_EQ(s.dropped_new, full ? 0 : 6);
		KT_EQ(pulse_queue_pop_n(rx, out, ENTRIES + 2), ENTRIES);
		KT_CHECK(!memcmp(v, out, ENTRIES * sizeof(v[0])));
		KT_EQ(pulse_queue_pop_n(rx, out, 1), -EAGAIN);
		pulse_queue_tx_close(tx);
		pulse_queue_rx_close(rx);
		KT_EQ(pulse_queue_destroy(q), 0);
	}
}

/* The other process: sends 1 to @nr, words and bursts by turns. */
static int send_all(struct pulse_queue *q, uint64_t nr)
{
	struct pulse_queue_tx *tx;
	uint64_t sent = 0;

	if (pulse_queue_tx_open(q, &tx))
		return 1;
	while (sent < nr) {
		uint64_t v[BURST];
		int n;

		if (sent % 3) {
			n = pulse_queue_push_word(tx, sent + 1);
			n = n ? n : 1;
		} else {
			unsigned int want = nr - sent < BURST ?
					    (unsigned int)(nr - sent) : BURST;

			for (unsigned int i = 0; i < want; i++)
				v[i] = sent + 1 + i;
			n = pulse_queue_push_n(tx, v, want);
		}
		if (n > 0)
			sent += (uint64_t)n;
		else if (n == -EAGAIN)
			sched_yield();
		else
			return 2;
	}
	return pulse_queue_tx_close(tx) ? 3 : 0;
}

/* In order and whole, whichever way each side goes, over many laps. */
KT_TEST(words_and_bursts_arrive_in_order_between_processes)
{
	PULSE_OPTS(pulse_queue_opts, opts, .entries = 64,
		   .start = UINT64_MAX - 200);
	size_t bytes = pulse__align_up(pulse_queue_bytes(&opts), 4096);
	uint64_t nr = scaled(300000), got = 0, sum = 0, v[BURST];
	struct pulse_queue_rx *rx;
	struct pulse_queue *q;
	int status = -1;
	void *mem;
	pid_t pid;

	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(mem != MAP_FAILED);
	KT_REQUIRE(!pulse_queue_format(mem, bytes, &opts, &q));
	KT_REQUIRE(!pulse_queue_rx_open(q, &rx));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_queue *again;

		_exit(pulse_queue_attach(mem, bytes, &again) ? 90 :
		      send_all(again, nr));
	}
	while (got < nr) {
		int n;

		if (got % 7 < 3) {
			n = pulse_queue_pop_word(rx, v);
			n = n ? n : 1;
		} else {
			n = pulse_queue_pop_n(rx, v, BURST);
		}
		if (n == -EAGAIN) {
			/* Empty once more after it ended: lost. */
			if (!KT_CHECK(pid))
				break;
			if (waitpid(pid, &status, WNOHANG) == pid) {
				pid = 0;
				if (!KT_EQ(status, 0))
					break;
			}
			sched_yield();
			continue;
		}
		if (!KT_CHECK(n > 0))
			break;
		for (int i = 0; i < n; i++) {
			sum += v[i];
			if (v[i] != ++got) {
				KT_FAIL("%llu in place of %llu",
					(unsigned long long)v[i],
					(unsigned long long)got);
				got = nr;
			}
		}
	}
	KT_EQ(sum, nr * (nr + 1) / 2);
	if (pid) {
		waitpid(pid, &status, 0);
		KT_EQ(status, 0);
	}
	KT_EQ(pulse_queue_count(q), 0);
	pulse_queue_rx_close(rx);
	KT_EQ(pulse_queue_destroy(q), 0);
	munmap(mem, bytes);
}

KT_MAIN()

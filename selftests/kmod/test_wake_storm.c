// SPDX-License-Identifier: GPL-2.0-only
/*
 * No wake-up is lost: threads pass tokens by the whole protocol of the ABI
 * (park word, cmpxchg, WAKE or WAKE_NODE), with and without somebody who
 * scribbles over every word that a user can write.
 */
#include "dev.h"

#define MAXT	8

/* Percent of the usual work: emulated CPUs are slow. */
static long scaled(long n)
{
	const char *scale = getenv("PULSE_TEST_SCALE");
	long percent = scale ? atol(scale) : 100;

	return n * percent / 100 > 100 ? n * percent / 100 : 100;
}

static struct dev d;
static long target, passed;
static int stop, by_node;
static long wakes, sleeps, skipped;

struct player {
	pthread_t thread;
	int index, nr;
	long tokens;		/* work: to be passed on */
	unsigned int seed;
	int error;
} __attribute__((aligned(128)));

static struct player players[MAXT];
static int nr_players;

static void wake_up(struct player *p)
{
	__u32 word;

	__atomic_fetch_add(&p->tokens, 1, __ATOMIC_SEQ_CST);
	if (by_node) {
		__atomic_fetch_add(&wakes, 1, __ATOMIC_RELAXED);
		wake_node(d.fd, 0, PULSE_MAX_WORKERS, PULSE_WAKE_SPILL);
		return;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = word_of(&d, p->index);
	if (PULSE_PARK_STATE(word) != PULSE_PARK_PARKING ||
	    !__atomic_compare_exchange_n(&d.uwork[p->index].park, &word,
			PULSE_PARK_WORD(PULSE_PARK_EPOCH(word), PULSE_PARK_NOTIFIED),
			false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		__atomic_fetch_add(&skipped, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_fetch_add(&wakes, 1, __ATOMIC_RELAXED);
	wake_one(d.fd, p->index);
}

static bool anything(struct player *p)
{
	return __atomic_load_n(&p->tokens, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&stop, __ATOMIC_SEQ_CST);
}

/* Sleeps until there is a token. No deadline: a lost wake-up hangs for ever. */
static void wait_for_token(struct player *p, __u32 *epoch)
{
	while (!anything(p)) {
		__u32 word = PULSE_PARK_WORD(++*epoch, PULSE_PARK_PARKING);
		int ret;

		__atomic_exchange_n(&d.uwork[p->index].park, word, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!anything(p)) {
			ret = park(d.fd, p->index, word, PULSE_NO_DEADLINE);
			__atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
			if (ret && ret != -EAGAIN)
				p->error = ret;
		}
		set_word(&d, p->index, PULSE_PARK_WORD(*epoch, PULSE_PARK_RUNNING));
	}
}

static void *play(void *arg)
{
	struct player *p = arg;
	__u32 epoch = 0xfffff0;		/* wraps in its 24 bits soon */

	for (;;) {
		wait_for_token(p, &epoch);
		if (__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
			break;
		__atomic_fetch_sub(&p->tokens, 1, __ATOMIC_SEQ_CST);
		if (__atomic_add_fetch(&passed, 1, __ATOMIC_SEQ_CST) >= target) {
			__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
			break;
		}
		wake_up(&players[rand_r(&p->seed) % (unsigned int)nr_players]);
	}
	return NULL;
}

static void *play_main(void *arg)
{
	struct player *p = arg;

	p->index = worker_add(d.fd, 0);
	__atomic_fetch_add(&passed, p->index < 0 ? 1000000000L : 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&passed, __ATOMIC_SEQ_CST) < nr_players)
		sched_yield();
	play(p);
	/* the end is a wake-up like any other, for all who still sleep */
	for (int i = 0; i < nr_players; i++)
		wake_up(&players[i]);
	worker_del(d.fd, p->index);
	return NULL;
}

/* A game with a number of tokens among a number of threads. */
static void game(int threads, int tokens, long turns)
{
	long long last_change = now_ns();
	long last = -1;

	KT_REQUIRE(!dev_begin(&d, MAXT));
	memset(players, 0, sizeof(players));
	nr_players = threads;
	passed = wakes = sleeps = skipped = stop = 0;
	target = turns;
	for (int i = 0; i < threads; i++) {
		players[i].nr = i;
		players[i].seed = (unsigned int)i * 7919 + 1;
		players[i].tokens = i < tokens;
		KT_REQUIRE(!pthread_create(&players[i].thread, NULL, play_main,
					   &players[i]));
	}
	/* watchdog: some turn in ten seconds, or a wake-up was lost */
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		long now = __atomic_load_n(&passed, __ATOMIC_SEQ_CST);

		if (now != last) {
			last = now;
			last_change = now_ns();
		}
		if (now_ns() - last_change > 10 * NS_PER_SEC) {
			for (int i = 0; i < threads; i++)
				kt_note("player %d: word %#x tokens %ld state %u", i,
					word_of(&d, players[i].index),
					players[i].tokens,
					state_of(&d, players[i].index));
			KT_FAIL("a wake-up was lost after %ld turns", now);
			abort();
		}
		sleep_ms(10);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(players[i].thread, NULL);
		KT_EQ(players[i].error, 0);
	}
	kt_note("%ld turns, %ld sleeps, %ld wakes, %ld needed none", turns, sleeps,
		wakes, skipped);
	KT_CHECK(sleeps > 0);
	dev_end(&d);
}

/* P02 */
KT_TEST(no_wake_up_is_lost_between_two_threads)
{
	NEED_DEVICE();
	by_node = 0;
	game(2, 1, scaled(200000));
}

/* P02 */
KT_TEST(no_wake_up_is_lost_among_twice_as_many_threads_as_cpus)
{
	NEED_DEVICE();
	by_node = 0;
	game(MAXT, 3, scaled(200000));
}

KT_TEST(no_wake_up_is_lost_by_wake_node)
{
	NEED_DEVICE();
	by_node = 1;
	game(4, 1, scaled(60000));
}

/* ------------------------------------------------------------------ hostile */

static volatile int hostile_end;

/* Writes anything to every word a user can write. */
static void *scribble(void *arg)
{
	unsigned int seed = 4711;

	(void)arg;
	while (!hostile_end) {
		size_t words = d.info.uwork_bytes / 4;
		__u32 *all = (void *)d.uwork;

		for (int n = 0; n < 1000; n++) {
			__u32 what = (__u32)rand_r(&seed);

			/* often what looks like a state, of park words above all */
			if (n & 1)
				what = PULSE_PARK_WORD(what, what >> 8 & 3);
			if (n & 2)
				all[(rand_r(&seed) % (words / 32)) * 32] = what;
			else
				all[rand_r(&seed) % words] = what;
		}
	}
	return NULL;
}

static void *hostile_parker(void *arg)
{
	struct player *p = arg;

	p->index = worker_add(d.fd, PULSE_NODE_ANY);
	while (!hostile_end) {
		int ret = park(d.fd, p->index, word_of(&d, p->index),
			       now_ns() + 2 * NS_PER_MS);

		if (ret && ret != -EAGAIN && ret != -ETIMEDOUT)
			p->error = ret;
		p->tokens++;
	}
	worker_del(d.fd, p->index);
	return NULL;
}

/* H03, H06, H08: bad words hurt only their own context, and never the kernel */
KT_TEST(words_written_by_a_scribbler_harm_nobody_else)
{
	static struct parker other = { .word = PULSE_PARK_WORD(5, 1) };
	pthread_t scribbler;
	struct dev quiet;
	long long end;
	int seen = 0;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&quiet, 4));
	KT_REQUIRE(!dev_begin(&d, MAXT));
	KT_REQUIRE(parker_start(&other, &quiet, PULSE_NODE_ANY));
	memset(players, 0, sizeof(players));
	hostile_end = 0;
	KT_REQUIRE(!pthread_create(&scribbler, NULL, scribble, NULL));
	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&players[i].thread, NULL,
					   hostile_parker, &players[i]));
	end = now_ns() + 2 * NS_PER_SEC;
	while (now_ns() < end) {
		__u32 list[4] = { 0, 1, 2, 3 };
		int ret = wake_node(d.fd, 0, 4, PULSE_WAKE_SPILL);

		KT_CHECKF(ret >= 0 && ret <= 4, "%d", ret);
		ret = wake_list(d.fd, list, 4);
		KT_CHECKF((ret >= 0 && ret <= 4) || ret == -ESRCH, "%d", ret);
		seen++;
	}
	/* the other context noticed nothing */
	KT_EQ(parker_returns(&other), 0);
	KT_EQ(wake_one(quiet.fd, other.index), 1);
	KT_CHECK(EVENTUALLY(parker_returns(&other) == 1));
	hostile_end = 1;
	pthread_join(scribbler, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(players[i].thread, NULL);
		KT_EQ(players[i].error, 0);
		KT_CHECK(players[i].tokens > 0);
	}
	kt_note("%d rounds of wakes", seen);
	parker_stop(&other);
	dev_end(&quiet);
	dev_end(&d);
}

KT_MAIN()

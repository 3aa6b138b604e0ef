// SPDX-License-Identifier: GPL-2.0-only
/*
 * K18: threads that do what only one may do, at the same moment; and the end of
 * a context beside its use.
 */
#include "dev.h"

static int scaled(int n)
{
	const char *scale = getenv("PULSE_TEST_SCALE");
	int percent = scale ? atoi(scale) : 100;

	return n * percent / 100 > 50 ? n * percent / 100 : 50;
}

/* Threads that call fn(i) together, again and again. */
#define RACERS	3

static pthread_barrier_t line;
static int (*race_fn)(int me);
static int race_ret[RACERS];
static int race_on;

static void *racer(void *arg)
{
	int me = (int)(uintptr_t)arg;

	for (;;) {
		pthread_barrier_wait(&line);
		if (!race_on)
			return NULL;
		race_ret[me] = race_fn(me);
		pthread_barrier_wait(&line);
	}
}

static pthread_t racers[RACERS];

static void race_begin(int (*fn)(int me))
{
	race_fn = fn;
	race_on = 1;
	pthread_barrier_init(&line, NULL, RACERS + 1);
	for (int i = 0; i < RACERS; i++)
		pthread_create(&racers[i], NULL, racer, (void *)(uintptr_t)i);
}

static void race_once(void)
{
	pthread_barrier_wait(&line);
	pthread_barrier_wait(&line);
}

static void race_end(void)
{
	race_on = 0;
	pthread_barrier_wait(&line);
	for (int i = 0; i < RACERS; i++)
		pthread_join(racers[i], NULL);
	pthread_barrier_destroy(&line);
}

static int fd;

static int do_setup(int me)
{
	return dev_setup(fd, 1 + (__u32)me, 2, 0);
}

KT_TEST(of_those_who_race_for_setup_one_wins)
{
	long long contexts;
	int n = scaled(10000);

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	race_begin(do_setup);
	while (n--) {
		int won = 0, busy = 0, who = -1;
		struct pulse_info info;

		fd = dev_open(O_RDWR);
		KT_REQUIRE(fd >= 0);
		race_once();
		for (int i = 0; i < RACERS; i++) {
			won += race_ret[i] == 0;
			busy += race_ret[i] == -EBUSY;
			if (!race_ret[i])
				who = i;
		}
		KT_EQ(won, 1);
		KT_EQ(busy, RACERS - 1);
		/* and it is the winner's */
		KT_EQ(dev_info(fd, &info), 0);
		KT_EQ(info.max_workers, who + 1);
		close(fd);
	}
	race_end();
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

static int do_add(int me)
{
	(void)me;
	return worker_add(fd, PULSE_NODE_ANY);
}

KT_TEST(of_those_who_race_for_the_last_slot_one_wins)
{
	int n = scaled(5000);

	NEED_DEVICE();
	race_begin(do_add);
	while (n--) {
		int won = 0, full = 0;

		fd = dev_open(O_RDWR);
		KT_REQUIRE(fd >= 0);
		KT_EQ(dev_setup(fd, 1, 2, 0), 0);
		race_once();
		for (int i = 0; i < RACERS; i++) {
			won += race_ret[i] == 0;
			full += race_ret[i] == -ENOSPC;
		}
		KT_EQ(won, 1);
		KT_EQ(full, RACERS - 1);
		close(fd);
		/* a worker holds its context until its thread ends */
		if (n % 50 == 0) {
			race_end();
			/* ... and the reaper may be far behind */
			KT_CHECK(EVENTUALLY(sysfs_read("contexts") < 100));
			race_begin(do_add);
		}
	}
	race_end();
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == 0));
}

/* One parks, one wakes, one closes and opens again under their feet. */
static int use_and_close(int me)
{
	int index, ret;

	switch (me) {
	case 0:
		close(fd);
		return 0;
	case 1:
		index = worker_add(fd, PULSE_NODE_ANY);
		if (index < 0)
			return index == -EBADF ? 0 : index;
		ret = park(fd, index, 0, PULSE_NO_DEADLINE);
		worker_del(fd, index);
		/* a permit, the cancel, or a descriptor that was gone before */
		return ret == -ECANCELED || ret == -EBADF ? 0 : ret;
	default:
		ret = wake_node(fd, 0, 1, PULSE_WAKE_SPILL);
		return ret >= 0 || ret == -EBADF ? 0 : ret;
	}
}

/* P06, K18: no PARK gets past the close and sleeps for ever */
KT_TEST(a_close_beside_park_and_wake_strands_nobody)
{
	int n = scaled(3000);

	NEED_DEVICE();
	race_begin(use_and_close);
	while (n--) {
		fd = dev_open(O_RDWR);
		KT_REQUIRE(fd >= 0);
		KT_EQ(dev_setup(fd, 2, 2, 0), 0);
		race_once();
		for (int i = 0; i < RACERS; i++)
			KT_EQ(race_ret[i], 0);
		/* who could not unregister any more does it by ending */
		if (n % 50 == 0) {
			race_end();
			race_begin(use_and_close);
		}
	}
	race_end();
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == 0));
}

KT_MAIN()

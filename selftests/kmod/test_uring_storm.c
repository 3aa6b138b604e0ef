// SPDX-License-Identifier: GPL-2.0-only
/*
 * No wake-up is lost, and no command is completed twice or never, whatever comes
 * at the same moment: wakes by list and by node, deadlines, closes, the end of a
 * ring with a command in it, and a worker that goes and comes back.
 */
#include "uring.h"

static struct dev d;
static long rounds;
static unsigned int setup_flags;

/* What the waker publishes; the worker has taken as much as @taken says. */
static long published, taken;
static int worker = -1;

static unsigned int rnd(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

/* Begins to park; false when there was something to do after all. */
static bool begin_to_park(int i, __u32 *word)
{
	__u32 epoch = PULSE_PARK_EPOCH(word_of(&d, i)) + 1;

	*word = PULSE_PARK_WORD(epoch, PULSE_PARK_PARKING);
	__atomic_exchange_n(&d.uwork[i].park, *word, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&published, __ATOMIC_SEQ_CST) ==
	       __atomic_load_n(&taken, __ATOMIC_RELAXED);
}

/* Parks through the ring, once; what it said. */
static int park_by(struct uring *u, int i, __u32 word, unsigned int *seed)
{
	static __u64 data;
	long long deadline = PULSE_NO_DEADLINE;

	if (!rnd(seed, 4))
		deadline = now_ns() + rnd(seed, 300) * 1000;
	data++;
	uring_park(u, d.fd, i, word, deadline, data);
	if (uring_submit(u, 1) != 1)
		return URING_NONE;
	return uring_result(u, data);
}

static void *work(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;
	struct uring u;
	int i, ret;
	__u32 word;

	if (!KT_CHECK(!uring_begin(&u, setup_flags)))
		return NULL;
	i = worker_add(d.fd, PULSE_NODE_ANY);
	KT_CHECK(i >= 0);
	__atomic_store_n(&worker, i, __ATOMIC_RELEASE);
	while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < rounds) {
		if (begin_to_park(i, &word)) {
			ret = park_by(&u, i, word, &seed);
			if (ret && ret != -EAGAIN && ret != -ETIMEDOUT &&
			    ret != -ECANCELED) {
				KT_EQ(ret, 0);
				break;
			}
		}
		set_word(&d, i, 0);
		__atomic_store_n(&taken,
				 __atomic_load_n(&published, __ATOMIC_SEQ_CST),
				 __ATOMIC_RELEASE);
		if (rnd(&seed, 64))
			continue;
		/* a command left in a ring that goes, or with a worker that does */
		uring_park(&u, d.fd, i, 0, now_ns() + rnd(&seed, 200) * 1000, 0);
		uring_submit(&u, 0);
		if (rnd(&seed, 2)) {
			uring_end(&u);
			if (!KT_CHECK(!uring_begin(&u, setup_flags)))
				break;
			/* it is the ring's last work to end it */
			KT_CHECK(EVENTUALLY(park(d.fd, i, 1, 0) != -EBUSY));
		} else {
			KT_EQ(worker_del(d.fd, i), 0);
			KT_EQ(worker_add(d.fd, PULSE_NODE_ANY), i);
			KT_CHECK(uring_result(&u, 0) != URING_NONE);
		}
	}
	worker_del(d.fd, i);
	uring_end(&u);
	return NULL;
}

/* The waker's steps; or all of it in one call, by node. */
static void tell(int i, unsigned int *seed)
{
	__u32 word;

	__atomic_add_fetch(&published, 1, __ATOMIC_SEQ_CST);
	if (rnd(seed, 3) == 0) {
		wake_node(d.fd, (int)d.hdr->nr_nodes - 1, 1, PULSE_WAKE_SPILL);
		return;
	}
	word = word_of(&d, i);
	if (PULSE_PARK_STATE(word) == PULSE_PARK_PARKING &&
	    __atomic_compare_exchange_n(&d.uwork[i].park, &word,
			PULSE_PARK_WORD(PULSE_PARK_EPOCH(word),
					PULSE_PARK_NOTIFIED),
			false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		wake_one(d.fd, i);
}

static void storm(unsigned int flags)
{
	unsigned int seed = (unsigned int)now_ns(), other = seed + 1;
	long long contexts = sysfs_read("contexts");
	pthread_t t;
	bool came = true;

	rounds = kt_scale(10000);
	published = taken = 0;
	worker = -1;
	setup_flags = flags;
	kt_note("seed %u", seed);
	KT_REQUIRE(!dev_begin(&d, 2));
	if (!(d.info.features & PULSE_FEAT_URING)) {
		struct uring u;

		KT_REQUIRE(!uring_begin(&u, 0));
		uring_park(&u, d.fd, 0, 0, 0, 1);
		KT_EQ(uring_submit(&u, 0), 1);
		KT_EQ(uring_result(&u, 1), -EOPNOTSUPP);
		uring_end(&u);
		dev_end(&d);
		return;
	}
	KT_REQUIRE(!pthread_create(&t, NULL, work, &other));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&worker, __ATOMIC_ACQUIRE) >= 0));
	for (long n = 1; n <= rounds && came; n++) {
		tell(worker, &seed);
		if (!rnd(&seed, 50))
			close(dup(d.fd));
		came = EVENTUALLY(__atomic_load_n(&taken, __ATOMIC_ACQUIRE) >= n);
		KT_CHECKF(came, "round %ld of %ld was never seen", n, rounds);
	}
	if (!came)
		_exit(1);
	pthread_join(t, NULL);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* P01, P02 */
KT_TEST(no_wake_is_lost)
{
	NEED_DEVICE();
	storm(0);
}

/* Completions wait for the thread to ask for them. */
KT_TEST(nor_in_a_ring_of_one_issuer)
{
	NEED_DEVICE();
	storm(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
}

static void *wake_without_end(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		for (__u32 i = 0; i < 8; i++)
			wake_one(d.fd, (int)i);
	return NULL;
}

static void park_until_killed(void)
{
	struct uring u;
	int i;

	if (uring_begin(&u, 0) || dev_joins(d.fd))
		_exit(1);
	i = worker_add(d.fd, PULSE_NODE_ANY);
	for (__u64 n = 1; i >= 0; n++) {
		uring_park(&u, d.fd, i, 0,
			   n & 1 ? PULSE_NO_DEADLINE : now_ns() + 50000, n);
		if (uring_submit(&u, 1) != 1)
			break;
		while (!uring_quiet(&u))
			;
	}
	_exit(1);
}

/* While others wake it and time runs out for it. */
KT_TEST(a_process_is_killed_with_a_command_in_flight)
{
	long long contexts, workers;
	int status, done = 0;
	pthread_t t;
	pid_t pid;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	KT_REQUIRE(!dev_begin_events(&d, 8, 0, PULSE_CTX_SHARED));
	KT_REQUIRE(!pthread_create(&t, NULL, wake_without_end, &done));
	for (long n = 0; n < kt_scale(200); n++) {
		pid = fork();
		if (!pid)
			park_until_killed();
		if (d.info.features & PULSE_FEAT_URING)
			KT_CHECK(EVENTUALLY(d.hdr->nr_workers > 0));
		if (n & 1)
			sleep_ms(1);
		kill(pid, SIGKILL);
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

KT_MAIN()

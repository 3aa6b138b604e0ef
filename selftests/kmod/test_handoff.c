// SPDX-License-Identifier: GPL-2.0-only
/*
 * HANDOFF: wake that worker and park this one, and lose neither. YIELD_TO.
 */
#include "dev.h"

#define WORD	PULSE_PARK_WORD(5, PULSE_PARK_PARKING)
#define LONG	(60 * NS_PER_SEC)

static struct dev d;

static int begin_as_worker(void)
{
	return dev_begin_worker(&d, 8, WORD);
}

KT_TEST(the_features_are_told)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 1));
	KT_CHECK(d.info.features & PULSE_FEAT_HANDOFF);
	KT_CHECK(d.info.features & PULSE_FEAT_YIELD_TO);
	dev_end(&d);
}

KT_TEST(it_wakes_the_target_and_parks_the_caller)
{
	struct parker p = { .word = WORD };
	long long wakes;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	wakes = sysfs_read("wakes");
	for (int n = 1; n <= 10; n++) {
		KT_EQ(handoff(d.fd, i, p.index, WORD, now_ns() + 5 * NS_PER_MS),
		      -ETIMEDOUT);
		KT_CHECK(EVENTUALLY(parker_returns(&p) == n));
		KT_EQ(p.last, 0);
		KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	}
	KT_CHECK(sysfs_read("wakes") >= wakes + 10);
	KT_CHECK(kstate_read(&d, i).n_park >= 5);
	parker_stop(&p);
	dev_end(&d);
}

/* P11 */
KT_TEST(a_handoff_to_nobody_does_not_sleep)
{
	struct parker p = { .word = WORD };
	struct pulse_kstate before;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	parker_stop(&p);	/* it is dead now */
	before = kstate_read(&d, i);
	KT_EQ(handoff(d.fd, i, i, WORD, PULSE_NO_DEADLINE), -EINVAL);
	KT_EQ(handoff(d.fd, i, p.index, WORD, PULSE_NO_DEADLINE), -ESRCH);
	KT_EQ(handoff(d.fd, i, 7, WORD, PULSE_NO_DEADLINE), -ESRCH);
	KT_EQ(handoff(d.fd, i, 8, WORD, PULSE_NO_DEADLINE), -ESRCH);
	KT_EQ(handoff(d.fd, i, -1, WORD, PULSE_NO_DEADLINE), -ESRCH);
	KT_EQ(handoff(d.fd, i, p.index, WORD, -1), -EINVAL);
	KT_EQ(kstate_read(&d, i).n_park, before.n_park);
	dev_end(&d);
}

KT_TEST(what_is_refused_wakes_nobody)
{
	struct parker p = { .word = WORD };
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	/* not this thread's, nobody's, none at all; a bad deadline */
	KT_EQ(handoff(d.fd, p.index, i, WORD, 0), -EPERM);
	KT_EQ(handoff(d.fd, 5, p.index, WORD, 0), -ESRCH);
	KT_EQ(handoff(d.fd, 99, p.index, WORD, 0), -ESRCH);
	KT_EQ(handoff(d.fd, i, p.index, WORD, -1), -EINVAL);
	sleep_ms(20);
	KT_EQ(parker_returns(&p), 0);
	parker_stop(&p);
	dev_end(&d);
}

KT_TEST(the_target_is_woken_whether_or_not_the_caller_sleeps)
{
	struct parker p = { .word = WORD };
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	/* the park word moved */
	KT_EQ(handoff(d.fd, i, p.index, WORD + 1, PULSE_NO_DEADLINE), -EAGAIN);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	/* the deadline is past */
	KT_EQ(handoff(d.fd, i, p.index, WORD, 0), -ETIMEDOUT);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 2));
	KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	/* there is a permit */
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(handoff(d.fd, i, p.index, WORD, PULSE_NO_DEADLINE), 0);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 3));
	parker_stop(&p);
	dev_end(&d);
}

static volatile int spin_end;
static int spin_index, spin_park;

static void *spin_then_park(void *arg)
{
	int index = worker_add(d.fd, PULSE_NODE_ANY);

	set_word(&d, index, WORD);
	__atomic_store_n(&spin_index, index, __ATOMIC_RELEASE);
	while (!spin_end)
		;
	spin_park = park(d.fd, index, WORD, now_ns() + LONG);
	worker_del(d.fd, index);
	return arg;
}

/* P11 */
KT_TEST(a_target_that_runs_keeps_the_permit)
{
	pthread_t t;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	spin_end = 0;
	spin_index = -1;
	KT_REQUIRE(!pthread_create(&t, NULL, spin_then_park, NULL));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&spin_index, __ATOMIC_ACQUIRE) >= 0));
	KT_EQ(handoff(d.fd, i, spin_index, WORD, now_ns() + NS_PER_MS),
	      -ETIMEDOUT);
	spin_end = 1;
	pthread_join(t, NULL);
	KT_EQ(spin_park, 0);
	dev_end(&d);
}

static volatile int signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void *handoff_for_ever(void *arg)
{
	struct parker *p = arg;
	int index = worker_add(d.fd, PULSE_NODE_ANY);

	set_word(&d, index, WORD);
	__atomic_store_n(&spin_index, index, __ATOMIC_RELEASE);
	spin_park = handoff(d.fd, index, p->index, WORD, PULSE_NO_DEADLINE);
	worker_del(d.fd, index);
	return NULL;
}

/* A restart would wake once more. */
KT_TEST(a_signal_ends_it_whatever_sa_restart_says)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct parker p = { .word = WORD };
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	sigaction(SIGUSR1, &sa, NULL);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	spin_index = -1;
	KT_REQUIRE(!pthread_create(&t, NULL, handoff_for_ever, &p));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&spin_index, __ATOMIC_ACQUIRE) >= 0 &&
			    state_of(&d, spin_index) == PULSE_STATE_PARKED));
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	KT_EQ(spin_park, -EINTR);
	KT_EQ(signals, 1);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	parker_stop(&p);
	dev_end(&d);
}

/* Workers in a ring, each hands off to the next. */
#define RING	3

static struct ring {
	pthread_t thread;
	int cpu;		/* to be pinned to, or -1 */
	int index;
	int last;
	long rounds;
	long same_cpu;
} ring[RING];

static int ring_n, ring_ready;
static long ring_rounds;
static int ring_over;
static volatile __u32 ring_cpu;

static void *ring_main(void *arg)
{
	struct ring *r = arg;
	struct ring *next = &ring[(r - ring + 1) % ring_n];

	if (r->cpu >= 0)
		pin_to_cpu(r->cpu);
	r->index = worker_add(d.fd, PULSE_NODE_ANY);
	set_word(&d, r->index, WORD);
	__atomic_add_fetch(&ring_ready, 1, __ATOMIC_SEQ_CST);
	/* the first one begins, the others wait for their turn */
	if (r != ring)
		r->last = park(d.fd, r->index, WORD, now_ns() + LONG);
	while (!r->last && !__atomic_load_n(&ring_over, __ATOMIC_SEQ_CST)) {
		__u32 here = d.kstate[r->index].cpu;

		r->same_cpu += here == ring_cpu;
		ring_cpu = here;
		if (++r->rounds >= ring_rounds)
			break;
		r->last = handoff(d.fd, r->index, next->index, WORD,
				  now_ns() + LONG);
	}
	__atomic_store_n(&ring_over, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < ring_n; i++)
		wake_one(d.fd, ring[i].index);
	worker_del(d.fd, r->index);
	return NULL;
}

static void ring_run(int n, int cpu, long rounds)
{
	memset(ring, 0, sizeof(ring));
	ring_n = n;
	ring_rounds = rounds;
	ring_over = ring_ready = 0;
	for (int i = n - 1; i >= 0; i--) {
		ring[i].cpu = cpu;
		pthread_create(&ring[i].thread, NULL, ring_main, &ring[i]);
		EVENTUALLY(__atomic_load_n(&ring_ready, __ATOMIC_SEQ_CST) ==
			   n - i);
	}
	for (int i = 0; i < n; i++)
		pthread_join(ring[i].thread, NULL);
	for (int i = 0; i < n; i++) {
		KT_EQ(ring[i].last, 0);
		KT_CHECK(ring[i].rounds >= rounds - 1);
	}
}

/* P11 */
KT_TEST(two_that_hand_to_each_other_lose_nothing)
{
	long same, rounds = kt_scale(20000);

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	ring_run(2, -1, rounds);
	same = ring[0].same_cpu + ring[1].same_cpu;
	kt_note("%ld of %ld on the same CPU", same, 2 * rounds);
	/* free to run anywhere, they stay together where the kernel can */
	if (d.info.features & PULSE_FEAT_HANDOFF_CPU)
		KT_CHECK(same > rounds);
	dev_end(&d);
}

KT_TEST(three_in_a_ring_on_one_cpu_lose_nothing)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	ring_run(3, nr_cpus() - 1, kt_scale(5000));
	dev_end(&d);
}

static void *spin_on_last_cpu(void *arg)
{
	pin_to_cpu(nr_cpus() - 1);
	while (!spin_end)
		;
	return arg;
}

KT_TEST(a_spinner_on_the_same_cpu_stops_nobody)
{
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	spin_end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, spin_on_last_cpu, NULL));
	ring_run(2, nr_cpus() - 1, kt_scale(200));
	spin_end = 1;
	pthread_join(t, NULL);
	dev_end(&d);
}

static void *die_after_handoff(void *arg)
{
	struct parker *p = arg;
	int index = -ENOSPC;

	/* The slots of those before come back a moment after their end. */
	KT_CHECK(EVENTUALLY((index = worker_add(d.fd, PULSE_NODE_ANY)) != -ENOSPC));
	KT_CHECK(index >= 0);
	if (index < 0)
		return NULL;
	set_word(&d, index, WORD);
	handoff(d.fd, index, p->index, WORD, now_ns() + NS_PER_MS);
	return NULL;	/* and dies as a worker */
}

/* One hands to another that dies, or dies itself: nobody hangs. */
KT_TEST(handing_to_the_dying_hangs_nobody)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	for (long n = kt_scale(200) + 1; n--;) {
		struct parker one = { .index = n & 7 };
		struct parker two = { .index = (n + 1) & 7 };
		pthread_t t[2];

		KT_REQUIRE(!pthread_create(&t[0], NULL, die_after_handoff, &one));
		KT_REQUIRE(!pthread_create(&t[1], NULL, die_after_handoff, &two));
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
	}
	KT_CHECK(EVENTUALLY(!d.hdr->nr_workers));
	dev_end(&d);
}

static int to_fifo(int priority)
{
	struct sched_param p = { .sched_priority = priority };

	return sched_setscheduler(0, SCHED_FIFO, &p) ? -errno : 0;
}

/* A worker of the ordinary class that hands back whatever it is handed. */
static struct servant {
	pthread_t thread;
	int cpu, index, master, end;
	long served;
} servant;

static void *servant_main(void *arg)
{
	struct servant *s = arg;

	pin_to_cpu(s->cpu);
	s->index = worker_add(d.fd, PULSE_NODE_ANY);
	set_word(&d, s->index, WORD);
	__atomic_add_fetch(&ring_ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&s->end, __ATOMIC_SEQ_CST)) {
		park(d.fd, s->index, WORD, PULSE_NO_DEADLINE);
		__atomic_add_fetch(&s->served, 1, __ATOMIC_SEQ_CST);
		wake_one(d.fd, s->master);
	}
	worker_del(d.fd, s->index);
	return NULL;
}

static volatile int hog_end;

static void *fifo_hog(void *arg)
{
	pin_to_cpu(*(int *)arg);
	to_fifo(5);
	__atomic_add_fetch(&ring_ready, 1, __ATOMIC_SEQ_CST);
	while (!hog_end)
		;
	return NULL;
}

/* A realtime worker that has its work done by the servant on its own CPU. */
static struct { int cpu, index, done, late, error; } master;

static void *master_main(void *arg)
{
	long rounds = *(long *)arg;

	pin_to_cpu(master.cpu);
	if (to_fifo(10)) {
		master.error = -EPERM;
		return NULL;
	}
	while (rounds--) {
		int ret = handoff(d.fd, master.index, servant.index, WORD,
				  now_ns() + 20 * NS_PER_MS);

		master.done += !ret;
		master.late += ret == -ETIMEDOUT;
		master.error |= ret && ret != -ETIMEDOUT ? ret : 0;
	}
	return NULL;
}

static void *master_entry(void *arg)
{
	master.index = worker_add(d.fd, PULSE_NODE_ANY);
	set_word(&d, master.index, WORD);
	__atomic_add_fetch(&ring_ready, 1, __ATOMIC_SEQ_CST);
	EVENTUALLY(__atomic_load_n(&servant.master, __ATOMIC_SEQ_CST) >= 0);
	master_main(arg);
	worker_del(d.fd, master.index);
	return NULL;
}

static void master_and_servant(bool inverted, long rounds)
{
	int cpu = nr_cpus() - 1;
	pthread_t hog, t;

	KT_REQUIRE(!dev_begin(&d, 4));
	memset(&servant, 0, sizeof(servant));
	memset(&master, 0, sizeof(master));
	ring_ready = hog_end = 0;
	servant.cpu = master.cpu = cpu;
	servant.master = -1;
	KT_REQUIRE(!pthread_create(&servant.thread, NULL, servant_main, &servant));
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&ring_ready, __ATOMIC_SEQ_CST) == 1));
	KT_CHECK(EVENTUALLY(state_of(&d, servant.index) == PULSE_STATE_PARKED));
	KT_REQUIRE(!pthread_create(&t, NULL, master_entry, &rounds));
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&ring_ready, __ATOMIC_SEQ_CST) == 2));
	if (inverted) {
		KT_REQUIRE(!pthread_create(&hog, NULL, fifo_hog, &cpu));
		KT_REQUIRE(EVENTUALLY(__atomic_load_n(&ring_ready,
						      __ATOMIC_SEQ_CST) == 3));
	}
	__atomic_store_n(&servant.master, master.index, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	hog_end = 1;
	if (inverted)
		pthread_join(hog, NULL);
	kt_note("%d handed back, %d not in time, %ld served", master.done, master.late,
		servant.served);
	KT_EQ(master.error, 0);
	KT_EQ(master.done + master.late, rounds);
	/* what was handed over and could not be done is done when there is a CPU */
	KT_CHECK(EVENTUALLY(__atomic_load_n(&servant.served, __ATOMIC_SEQ_CST) > 0));
	KT_CHECK(EVENTUALLY(state_of(&d, servant.index) == PULSE_STATE_PARKED));
	__atomic_store_n(&servant.end, 1, __ATOMIC_SEQ_CST);
	wake_one(d.fd, servant.index);
	pthread_join(servant.thread, NULL);
	dev_end(&d);
}

/*
 * P14: priority is not handed over, as the ABI says. Who sleeps leaves its CPU
 * to the servant, so that it is served; and where a third one takes that CPU, the
 * deadline ends the wait, whatever the servant does.
 */
KT_TEST(a_realtime_worker_that_waits_for_an_ordinary_one_is_served_or_told)
{
	long rounds = kt_scale(200) + 5;

	NEED_DEVICE();
	if (nr_cpus() < 2)
		KT_SKIP("one CPU: the test would not run either");
	pin_to_cpu(0);
	master_and_servant(false, rounds);
	KT_CHECK(master.done > 0);
	master_and_servant(true, 10);
}

static int handoff_until_killed(void *arg)
{
	struct parker p = { .word = WORD };

	(void)arg;
	if (begin_as_worker() < 0 || !parker_start(&p, &d, PULSE_NODE_ANY))
		return 1;
	signal(SIGALRM, SIG_DFL);
	alarm(1);
	handoff(d.fd, d.self, p.index, WORD, PULSE_NO_DEADLINE);
	return 2;
}

KT_TEST(a_process_can_be_killed_in_it)
{
	long long workers;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	KT_EQ(in_child(handoff_until_killed, NULL), -SIGALRM);
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

static void *spin_as_worker(void *arg)
{
	int index;

	pin_to_cpu(nr_cpus() - 1);
	index = worker_add(d.fd, PULSE_NODE_ANY);
	__atomic_store_n(&spin_index, index, __ATOMIC_RELEASE);
	while (!spin_end)
		;
	worker_del(d.fd, index);
	return arg;
}

KT_TEST(yielding_to_whoever_was_preempted)
{
	struct parker p = { .word = WORD };
	long yielded = 0;
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(begin_as_worker() >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(yield_to(d.fd, p.index), -EAGAIN);
	KT_EQ(yield_to(d.fd, d.self), -EINVAL);
	KT_EQ(yield_to(d.fd, 7), -ESRCH);
	KT_EQ(yield_to(d.fd, 8), -ESRCH);
	KT_EQ(yield_to(d.fd, -1), -ESRCH);

	spin_end = 0;
	spin_index = -1;
	KT_REQUIRE(!pthread_create(&t, NULL, spin_as_worker, NULL));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&spin_index, __ATOMIC_ACQUIRE) >= 0));
	KT_REQUIRE(!pin_to_cpu(nr_cpus() - 1));
	/* while this thread runs here, that one is preempted */
	for (long long end = now_ns() + 10 * NS_PER_SEC;
	     yielded < 5 && now_ns() < end;) {
		int ret = yield_to(d.fd, spin_index);

		KT_CHECKF(ret == 0 || ret == -EAGAIN, "%d", ret);
		yielded += !ret;
	}
	KT_CHECKF(yielded >= 5, "%ld times", yielded);
	spin_end = 1;
	pthread_join(t, NULL);
	KT_EQ(yield_to(d.fd, spin_index), -ESRCH);
	parker_stop(&p);
	dev_end(&d);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * P13: the machine goes to sleep and comes back. The kernel's own test of that
 * stops all processes as a suspend does and lets them go on a second later; what
 * a suspend does to CPUs is in test_beat.c. Only in a machine that is ours.
 */
#include "dev.h"

#define WORD		PULSE_PARK_WORD(4, PULSE_PARK_PARKING)
#define PM		"/sys/power/"
#define PM_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

static struct dev d;

#define NEED_SUSPEND()							\
	do {								\
		NEED_DEVICE();						\
		if (!in_vm())						\
			KT_SKIP("only in a machine of its own");	\
		if (access(PM "pm_test", W_OK) || access(PM "state", W_OK)) \
			KT_SKIP("no suspend in this kernel");		\
	} while (0)

/* Stops all processes for a second and lets them go on; 0 or -errno. */
static int suspend(void)
{
	int ret = file_put(PM "pm_test", "freezer");

	file_put(PM_DELAY, "1");
	if (!ret)
		ret = file_put(PM "state", "freeze");
	file_put(PM "pm_test", "none");
	return ret;
}

static volatile int spin_end;
static int spin_index;

static void *spin_beating(void *arg)
{
	int index = worker_add(d.fd, PULSE_NODE_ANY);

	if (index >= 0 && beat(d.fd, index, NS_PER_MS))
		index = -1;
	__atomic_store_n(&spin_index, index, __ATOMIC_RELEASE);
	while (!spin_end)
		;
	worker_del(d.fd, index);
	return arg;
}

KT_TEST(a_suspend_ends_no_park_and_no_heart)
{
	struct parker p = { .word = WORD }, late = { .word = WORD };
	__u64 before;
	pthread_t t;

	NEED_SUSPEND();
	KT_REQUIRE(!dev_begin(&d, 4));
	spin_end = 0;
	spin_index = -1;
	KT_REQUIRE(!pthread_create(&t, NULL, spin_beating, NULL));
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&spin_index, __ATOMIC_ACQUIRE) >= 0));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	late.deadline_ns = now_ns() + 3600 * NS_PER_SEC;
	KT_REQUIRE(parker_start(&late, &d, PULSE_NODE_ANY));

	KT_EQ(suspend(), 0);
	KT_EQ(parker_returns(&p), 0);
	KT_EQ(parker_returns(&late), 0);
	KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	before = kstate_read(&d, spin_index).beats;
	KT_CHECK(EVENTUALLY(kstate_read(&d, spin_index).beats > before));

	KT_EQ(wake_one(d.fd, p.index), 1);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	KT_EQ(p.last, 0);
	spin_end = 1;
	pthread_join(t, NULL);
	parker_stop(&p);
	parker_stop(&late);
	dev_end(&d);
}

/* Its deadline is reached while nobody may run. */
KT_TEST(a_deadline_that_a_suspend_passes_over_is_kept_after_it)
{
	struct parker p = { .word = WORD, .end = 1 };

	NEED_SUSPEND();
	KT_REQUIRE(!dev_begin(&d, 4));
	p.deadline_ns = now_ns() + 500 * NS_PER_MS;
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(suspend(), 0);
	pthread_join(p.thread, NULL);
	KT_EQ(p.last, -ETIMEDOUT);
	KT_EQ(parker_returns(&p), 1);
	KT_CHECK(now_ns() >= p.deadline_ns);
	dev_end(&d);
}

static int wakes_end;

/* Wakes as fast as it can, also into the middle of the freezing. */
static void *wake_always(void *arg)
{
	struct parker *p = arg;
	long bad = 0;

	while (!__atomic_load_n(&wakes_end, __ATOMIC_ACQUIRE))
		bad += wake_one(p->d->fd, p->index) != 1;
	return (void *)bad;
}

KT_TEST(wakes_into_a_suspend_lose_nothing)
{
	struct parker p = { .word = WORD };
	pthread_t t;
	void *bad;
	int was;

	NEED_SUSPEND();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	wakes_end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, wake_always, &p));
	for (int i = 0; i < 2; i++) {
		was = parker_returns(&p);
		KT_CHECK(EVENTUALLY(parker_returns(&p) > was));
		KT_EQ(suspend(), 0);
	}
	was = parker_returns(&p);
	KT_CHECK(EVENTUALLY(parker_returns(&p) > was));
	__atomic_store_n(&wakes_end, 1, __ATOMIC_RELEASE);
	pthread_join(t, &bad);
	KT_EQ((long)bad, 0);
	parker_stop(&p);
	KT_EQ(p.last, 0);
	dev_end(&d);
}

/* A sleep that the suspend made longer is no hang of the worker's. */
KT_TEST(a_suspend_is_no_hang)
{
	struct parker p = { .word = WORD };

	NEED_SUSPEND();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_CHECK(watch(d.fd, (struct pulse_watch){
			.target = (__u32)p.index, .stuck_ns = 300 * NS_PER_MS,
			.starved_ns = 300 * NS_PER_MS,
			.blocked_ns = 300 * NS_PER_MS }) > 0);
	KT_EQ(suspend(), 0);
	sleep_ms(500);
	KT_CHECK(!event_next(&d));
	parker_stop(&p);
	dev_end(&d);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks that fail: from any depth, by ending their thread, by fatal signals that
 * they asked to have contained.
 */
#include <sys/mman.h>

#include "works.h"

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

static void drop_log(int level, const char *line, void *arg)
{
	(void)level;
	if (strstr(line, "was contained"))
		ATOMIC_INC(*(int *)arg);
}

static int recursion(int depth, int err)
{
	if (!depth)
		return pulse_task_fail(err);
	return recursion(depth - 1, err) + 1;
}

static int fails_deep(void *arg, void **value)
{
	*value = arg;
	recursion(100, (int)(intptr_t)arg);
	KT_FAIL("pulse_task_fail() came back");
	return 0;
}

static void plain_fails(void *arg)
{
	count_task(arg);
	pulse_task_fail(-EIO);
	KT_FAIL("pulse_task_fail() came back");
}

KT_TEST(a_task_fails_from_any_depth)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w = WORK(fails_deep, (void *)-ENOTTY);
	int inside = 0;
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      -ENOTTY);
	w.arg = NULL;
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
	      PULSE_ETASK_PANICKED);
	w.arg = (void *)-5000;
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), -EINVAL);
	/* Without a handle there is no frame: its thread goes, the pool stays. */
	pulse_log_set_sink(drop_log, &inside);
	for (int i = 0; i < 5; i++)
		KT_EQ(pulse_pool_submit(pool, plain_fails, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 5);
	KT_EQ(pulse_pool_num_workers(pool), 1);
	KT_EQ(stats_of(pool).completed, 107);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_task_that_ends_its_thread_is_lost_not_forgotten)
{
	struct told t;
	struct pulse_pool *pool = told_pool(1, &t, 1000000000);
	struct pulse_work w = WORK(exits_its_thread, NULL, .task_id = 8);

	KT_REQUIRE(pool);
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      PULSE_ETASK_LOST);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(t.errors, 10);
	KT_EQ(t.err_id, 8);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* The handlers of sanitizers come first, and stop at each by design. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
static volatile int zero;
static void *volatile nowhere;

static int (*volatile again)(volatile char *above);

static int overflows(volatile char *above)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 0;
	return again(here) + here[0];
}

static int does_wrong(void *arg, void **value)
{
	void *page;

	(void)value;
	switch ((intptr_t)arg) {
	case SIGSEGV:
		*(volatile int *)nowhere = 1;
		break;
	case SIGFPE:
#if defined(__x86_64__) || defined(__i386__)
		return 7 / zero;	/* 1 / x needs no division */
#else
		return pulse_task_fail(0);
#endif
	case SIGILL:
		__builtin_trap();
	case SIGABRT:
		abort();
	case SIGBUS:
		page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE,
			    fileno(tmpfile()), 0);
		return *(volatile char *)page;
	default:
		again = overflows;
		return overflows(NULL);
	}
	return 0;
}

KT_TEST(fatal_signals_end_the_task_that_asked_for_it)
{
	static const int sigs[] = { SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGBUS,
				    0 /* stack overflow */ };
	struct pulse_pool *pool = pool_of(1, 0);
	int contained = 0;
	long n = 0;

	KT_REQUIRE(pool);
	pulse_log_set_sink(drop_log, &contained);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
			struct pulse_work w = WORK(does_wrong,
						   (void *)(intptr_t)sigs[i],
						   .flags = PULSE_WORK_CONTAIN);

			KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER,
						     NULL),
			      PULSE_ETASK_PANICKED);
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		}
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 3 * (long)ARRAY_SIZE(sigs));
#if defined(__x86_64__) || defined(__i386__)
	KT_EQ(contained, n);
#endif
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
}

static int crash_without_asking(void *arg)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w = WORK(does_wrong, (void *)SIGSEGV,
				   .flags = PULSE_WORK_CONTAIN);
	int contained = 0;

	(void)arg;
	pulse_log_set_sink(drop_log, &contained);
	if (pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL) !=
	    PULSE_ETASK_PANICKED)
		return 1;
	w.flags = 0;
	pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL);
	return 2;
}

static int killed_while_asking(void *arg)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w;
	int inside = 0;

	(void)arg;
	w = WORK(until_cancelled, &inside, .flags = PULSE_WORK_CONTAIN);
	pulse_pool_spawn(pool, &w, NULL);
	if (!EVENTUALLY(ATOMIC_GET(inside)))
		return 1;
	kill(getpid(), SIGSEGV);	/* not of the task's doing */
	nap_us(1000000);
	return 2;
}

KT_TEST(others_still_die_of_them)
{
	KT_EQ(in_child(crash_without_asking, NULL), -SIGSEGV);
	KT_EQ(in_child(killed_while_asking, NULL), -SIGSEGV);
}
#endif

KT_MAIN()

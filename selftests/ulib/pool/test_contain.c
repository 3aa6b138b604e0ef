// SPDX-License-Identifier: GPL-2.0-only
/* pulse_task_contain(): a function that fails, on any thread, and who is told. */
#include "works.h"

#include <pulse-u/fork.h>

static int returns(void *arg)
{
	return (int)(intptr_t)arg;
}

static int deeper(int depth, int err)
{
	if (!depth)
		return pulse_task_fail(err);
	return deeper(depth - 1, err) + 1;
}

static int fails(void *arg)
{
	deeper(50, (int)(intptr_t)arg);
	KT_FAIL("pulse_task_fail() came back");
	return 0;
}

static int fails_within(void *arg)
{
	KT_EQ(pulse_task_contain(fails, arg), (int)(intptr_t)arg);
	KT_EQ(pulse_task_contain(returns, (void *)7), 7);
	return pulse_task_fail(-ENOTTY);
}

KT_TEST(a_function_fails_on_any_thread)
{
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_task_contain(fails, (void *)-EIO), -EIO);
	KT_EQ(pulse_task_contain(fails, NULL), PULSE_ETASK_PANICKED);
	KT_EQ(pulse_task_contain(fails_within, (void *)-EIO), -ENOTTY);
	KT_EQ(pulse_task_contain(returns, (void *)-5), -5);
	KT_EQ(pulse_task_contain(returns, NULL), 0);
	KT_EQ(pulse_task_contain(NULL, NULL), -EINVAL);
	/* Outside of it there is nothing to end, as before. */
	KT_EQ(pulse_task_fail(-EIO), -ESRCH);
}

static void plain(void *arg)
{
	KT_EQ(pulse_task_contain(fails_within, (void *)-EIO), -ENOTTY);
	count_task(arg);
}

static int with_handle(void *arg, void **value)
{
	(void)value;
	KT_EQ(pulse_task_contain(fails_within, arg), -ENOTTY);
	return pulse_task_fail(-EXDEV);
}

static void joins(void *arg)
{
	(void)arg;
}

/* What it forked is taken back on the way out. */
static int forks_and_fails(void *arg)
{
	struct pulse_job job;

	pulse_fork(&job, joins, arg);
	return pulse_task_fail(-EIO);
}

static void forks_twice(void *arg)
{
	struct pulse_job job;

	pulse_fork(&job, joins, arg);
	KT_EQ(pulse_task_contain(forks_and_fails, arg), -EIO);
	KT_EQ(pulse_join(&job), 0);
	count_task(arg);
}

static int waits_for_another(void *arg)
{
	struct pulse_work w = WORK(with_handle, (void *)-EIO);

	/* Another task's failing, on this stack, is its own. */
	KT_EQ(pulse_pool_submit_wait(arg, &w, PULSE_FOREVER, NULL), -EXDEV);
	return pulse_task_fail(-EPERM);
}

static int waits(void *arg, void **value)
{
	(void)value;
	KT_EQ(pulse_task_contain(waits_for_another, arg), -EPERM);
	return 0;
}

KT_TEST(in_a_task_it_is_the_innermost_that_comes_back)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_work w = WORK(with_handle, (void *)-EIO);
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 20; i++) {
		KT_EQ(pulse_pool_submit(pool, plain, &n), 0);
		KT_EQ(pulse_pool_submit(pool, forks_twice, &n), 0);
		KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL),
		      -EXDEV);
	}
	w = WORK(waits, pool);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 40);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void *without_memory(void *arg)
{
	bool failed;
	int err;

	pulse__alloc_fail_at(1);
	err = pulse_task_contain(returns, arg);
	failed = pulse__alloc_failed();
	pulse__alloc_fail_at(0);
	/* Sanitizers give each thread a stack for signals themselves. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
	KT_CHECK(failed);
#endif
	KT_EQ(err, failed ? -ENOMEM : 3);
	KT_EQ(pulse_task_contain(returns, arg), 3);
	return NULL;
}

KT_TEST(without_memory_it_is_not_called)
{
	pthread_t t;

	KT_EQ(pthread_create(&t, NULL, without_memory, (void *)3), 0);
	KT_EQ(pthread_join(t, NULL), 0);
}

/* The handlers of sanitizers come first, and stop at each by design. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
static void *volatile nowhere;
static int said;

static void count_said(int level, const char *line, void *arg)
{
	(void)arg;
	if (level == PULSE_LOG_ERROR && strstr(line, "was contained"))
		ATOMIC_INC(said);
}

static int (*volatile again)(volatile char *above);

static int overflows(volatile char *above)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 0;
	return again(here) + here[0];
}

static int does_wrong(void *arg)
{
	switch ((intptr_t)arg) {
	case SIGSEGV:
		*(volatile int *)nowhere = 1;
		break;
	case SIGILL:
		__builtin_trap();
	case SIGABRT:
		abort();
	default:
		again = overflows;
		return overflows(NULL);
	}
	return 0;
}

static const int sigs[] = { SIGSEGV, SIGILL, SIGABRT, 0 /* stack overflow */ };

static void *on_a_thread(void *arg)
{
	sigset_t all;

	(void)arg;
	/* A fault that is blocked would end the process. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		for (int round = 0; round < 3; round++)
			KT_EQ(pulse_task_contain(does_wrong,
						 (void *)(intptr_t)sigs[i]),
			      PULSE_ETASK_PANICKED);
	return NULL;
}

static void on_a_worker(void *arg)
{
	on_a_thread(NULL);	/* the worker is this test's alone */
	count_task(arg);
}

KT_TEST(fatal_signals_end_the_function_alone)
{
	struct pulse_pool *pool = pool_of(1, 0);
	long n = 0;
	pthread_t t;

	KT_REQUIRE(pool);
	pulse_log_set_sink(count_said, NULL);
	KT_EQ(pthread_create(&t, NULL, on_a_thread, NULL), 0);
	KT_EQ(pthread_join(t, NULL), 0);
	KT_EQ(pulse_pool_submit(pool, on_a_worker, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 1);
	KT_EQ(said, 2 * 3 * (int)ARRAY_SIZE(sigs));
	KT_EQ(pulse_pool_num_workers(pool), 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
}

/* Behind it, and in threads that never asked. */
static int crash_afterwards(void *arg)
{
	pulse_log_set_sink(count_said, NULL);
	if (pulse_task_contain(does_wrong, arg) != PULSE_ETASK_PANICKED)
		return 1;
	does_wrong(arg);
	return 2;
}

static int sends_to_itself(void *arg)
{
	(void)arg;
	kill(getpid(), SIGSEGV);	/* not of its own doing */
	nap_us(1000000);
	return 2;
}

static int told_from_outside(void *arg)
{
	return pulse_task_contain(sends_to_itself, arg);
}

KT_TEST(what_is_not_its_own_is_as_before)
{
	KT_EQ(in_child(crash_afterwards, (void *)SIGSEGV), -SIGSEGV);
	KT_EQ(in_child(crash_afterwards, (void *)SIGABRT), -SIGABRT);
	KT_EQ(in_child(told_from_outside, NULL), -SIGSEGV);
}
#endif

KT_MAIN()

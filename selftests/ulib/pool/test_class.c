// SPDX-License-Identifier: GPL-2.0-only
/* What the workers of a pool are to the scheduler: as they were asked to be. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "helpers.h"

struct seen {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void looks(void *arg)
{
	struct seen *s = arg;

	KT_EQ(syscall(SYS_sched_getattr, 0, s, sizeof(*s), 0), 0);
}

static struct seen seen_in(struct pulse_pool *pool)
{
	struct seen s = { 0 };

	KT_EQ(pulse_pool_submit(pool, looks, &s), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	return s;
}

static struct seen seen_with(int nice, uint32_t sched_class, uint64_t slice_ns)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1, .nice = nice,
		   .sched_class = sched_class, .slice_ns = slice_ns);
	struct pulse_pool *pool;
	struct seen s = { 0 };
	int err = pulse_pool_create(&opts, &pool);

	KT_EQ(err, 0);
	if (err)
		return s;
	s = seen_in(pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
	return s;
}

KT_TEST(workers_have_the_class_the_weight_and_the_slice_they_were_given)
{
	struct seen mine, s;

	looks(&mine);
	if (mine.policy != SCHED_OTHER || mine.nice > 10)
		KT_SKIP("this thread is not an ordinary one");
	s = seen_with(0, 0, 0);
	KT_EQ(s.policy, mine.policy);
	KT_EQ(s.nice, mine.nice);
	KT_EQ(s.runtime, mine.runtime);
	s = seen_with(11, 0, 0);
	KT_EQ(s.policy, SCHED_OTHER);
	KT_EQ(s.nice, 11);
	s = seen_with(0, PULSE_CLASS_BATCH, 0);
	KT_EQ(s.policy, SCHED_BATCH);
	KT_EQ(s.nice, mine.nice);
	s = seen_with(12, PULSE_CLASS_BATCH, 0);
	KT_EQ(s.policy, SCHED_BATCH);
	KT_EQ(s.nice, 12);
	s = seen_with(0, PULSE_CLASS_IDLE, 0);
	KT_EQ(s.policy, SCHED_IDLE);
	/* Who asked is as before. */
	looks(&s);
	KT_EQ(s.policy, mine.policy);
	KT_EQ(s.nice, mine.nice);
}

KT_TEST(a_slice_is_taken_where_the_kernel_has_slices)
{
	struct utsname u;
	int major = 0, minor = 0;

	KT_EQ(uname(&u), 0);
	KT_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
	if (major < 6 || (major == 6 && minor < 12)) {
		/* It may be asked for all the same, and is not there. */
		KT_EQ(seen_with(0, 0, 1000000).runtime, 0);
		return;
	}
	KT_EQ(seen_with(0, 0, 1000000).runtime, 1000000);
	KT_EQ(seen_with(0, PULSE_CLASS_BATCH, 20000000).runtime, 20000000);
}

/* 0: it is not there yet. */
static int nice_of(struct pulse_pool *pool, int worker)
{
	int tid = worker_of(pool, worker).tid;

	return tid > 0 ? getpriority(PRIO_PROCESS, (id_t)tid) : 0;
}

static void exits(void *arg)
{
	pthread_exit(arg);
}

/* Those who come later, too: replaced, and grown. */
KT_TEST(every_worker_that_comes_is_like_the_others)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1, .max_workers = 3,
		   .nice = 13);
	struct pulse_pool *pool;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	KT_EQ(pulse_pool_submit(pool, exits, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(seen_in(pool).nice, 13);
	KT_EQ(pulse_pool_resize(pool, 3), 0);
	for (int i = 0; i < 3; i++)
		KT_CHECK(EVENTUALLY(nice_of(pool, i) == 13));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* U01 */
KT_TEST(values_out_of_range_are_refused)
{
	struct pulse_pool *pool;

#define REFUSED(...)							\
	do {								\
		PULSE_OPTS(pulse_pool_opts, o, .num_workers = 1, __VA_ARGS__); \
		KT_CHECKF(pulse_pool_create(&o, &pool) == -EINVAL,	\
			  #__VA_ARGS__);				\
	} while (0)
	REFUSED(.nice = 20);
	REFUSED(.nice = -21);
	REFUSED(.sched_class = PULSE_CLASS_FIFO);
	REFUSED(.sched_class = 4);
	REFUSED(.slice_ns = 99999);
	REFUSED(.slice_ns = 100000001);
	REFUSED(.sched_class = PULSE_CLASS_IDLE, .nice = 3);
	REFUSED(.sched_class = PULSE_CLASS_IDLE, .slice_ns = 1000000);
}

static int without_cap_sys_nice(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps))
		return -errno;
	caps[0].effective &= ~(1u << CAP_SYS_NICE);
	caps[0].permitted &= ~(1u << CAP_SYS_NICE);
	return syscall(SYS_capset, &head, caps) ? -errno : 0;
}

static int greedy(void *arg)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .nice = -10);
	const struct rlimit none = { 0, 0 };
	struct pulse_pool *pool;
	int err;

	(void)arg;
	if (setrlimit(RLIMIT_NICE, &none) || without_cap_sys_nice())
		return 1;
	err = pulse_pool_create(&opts, &pool);
	return err == -EPERM ? 0 : err ? 2 : 3;
}

/* U05 */
KT_TEST(what_the_process_may_not_have_is_told_and_undone)
{
	KT_EQ(in_child(greedy, NULL), 0);
}

KT_MAIN()

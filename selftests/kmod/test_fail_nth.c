// SPDX-License-Identifier: GPL-2.0-only
/*
 * L04, L05: the n-th allocation or user copy fails, for each n, in each step of
 * a context's life: the step says so, nothing is left behind, and the same step
 * succeeds when it is tried again. A kernel without fault injection runs the
 * steps as they are, once.
 */
#include "nl.h"

#define WORD	PULSE_PARK_WORD(8, PULSE_PARK_PARKING)

static struct dev d;
static int nth = -1;		/* /proc/self/task/TID/fail-nth, or -1 */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

static void fail_nth_open(void)
{
	char path[64];

	/* sleeping allocations and order 0 are spared unless told otherwise */
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	put("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	put("/sys/kernel/debug/failslab/verbose", "0");
	put("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	put("/sys/kernel/debug/fail_usercopy/verbose", "0");
	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
		 syscall(SYS_gettid));
	nth = open(path, O_RDWR | O_CLOEXEC);
	if (nth < 0)
		kt_note("no fault injection in this kernel: nothing is made to fail");
}

/* A count that is left over may hit this very write: then it is over. */
static void fail_at(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	for (int tries = 0; nth >= 0 && tries < 2; tries++)
		if (pwrite(nth, text, (size_t)len, 0) == len)
			return;
	KT_CHECK(nth < 0);
}

/* Did something fail since fail_at()? Ends it. */
static bool did_fail(void)
{
	char text[16] = "";
	bool failed;

	if (nth < 0)
		return false;
	if (pread(nth, text, sizeof(text) - 1, 0) < 0)
		return false;
	failed = atoi(text) == 0;
	fail_at(0);
	return failed;
}

/*
 * Runs a step with each n until nothing fails in it any more, or until it was
 * done, when it can be done only once; how many failures there were.
 */
static int sweep(const char *what, int (*step)(void), bool once)
{
	int points = 0;

	for (int n = 1; n < 20000; n++) {
		bool failed;
		int ret;

		fail_at(n);
		ret = step();
		failed = did_fail();
		points += failed;
		KT_CHECKF(ret >= 0 || (failed && (ret == -ENOMEM || ret == -EFAULT)),
			  "%s, failure %d%s: %d", what, n, failed ? "" : " not met",
			  ret);
		if (!failed || (once && ret >= 0))
			break;
	}
	return points;
}

static struct pulse_info info;

static int whole_life(void)
{
	int ret, index;

	ret = dev_begin(&d, 16);
	if (ret)
		return ret;
	index = dev_join(&d, PULSE_NODE_ANY);
	if (index < 0) {
		ret = index;
		goto out;
	}
	set_word(&d, index, WORD);
	ret = wake_one(d.fd, index);
	if (ret >= 0)
		ret = park(d.fd, index, WORD, PULSE_NO_DEADLINE);
	if (!ret)
		ret = wake_node(d.fd, 0, 16, PULSE_WAKE_SPILL);
	if (ret >= 0)
		ret = dev_info(d.fd, &info);
out:
	/* one that failed would leave the worker to the thread's end */
	if (d.self >= 0 && worker_del(d.fd, d.self) == -EFAULT)
		KT_EQ(worker_del(d.fd, d.self), 0);
	d.self = -1;
	dev_end(&d);
	return ret;
}

static int sweep_life(void *arg)
{
	int points;

	(void)arg;
	fail_nth_open();
	points = sweep("life", whole_life, false);
	if (nth >= 0) {
		kt_note("%d points of failure", points);
		KT_CHECK(points > 10);
		fail_at(0);
	}
	KT_EQ(whole_life(), 0);
	fflush(stdout);
	return kt_failed != 0;
}

/* In a process of its own: an munmap() that failed leaves its mapping to the end. */
KT_TEST(whatever_fails_in_the_life_of_a_context_leaves_nothing)
{
	NEED_DEVICE();
	/* what a program before us had may still be on its way out */
	KT_CHECK(EVENTUALLY(!sysfs_read("contexts")));
	KT_EQ(in_child(sweep_life, NULL), 0);
	KT_CHECK(EVENTUALLY(!sysfs_read("contexts")));
	KT_CHECK(EVENTUALLY(!sysfs_read("workers")));
}

static int step_setup(void)
{
	return dev_setup(d.fd, 16, 64, 4096);
}

static int step_add(void)
{
	return worker_add(d.fd, 0);
}

static int step_wake(void)
{
	return wake_one(d.fd, 0);
}

static int step_wake_node(void)
{
	return wake_node(d.fd, 0, 4, PULSE_WAKE_SPILL);
}

static int step_del(void)
{
	return worker_del(d.fd, 0);
}

static int step_info(void)
{
	return dev_info(d.fd, &info);
}

/* L05: an error means that nothing was changed, so it can be tried again. */
KT_TEST(a_command_that_failed_can_be_tried_again)
{
	NEED_DEVICE();
	fail_nth_open();
	memset(&d, 0, sizeof(d));
	d.self = -1;
	d.fd = dev_open(O_RDWR);
	KT_REQUIRE(d.fd >= 0);
	sweep("SETUP", step_setup, true);
	KT_EQ(step_setup(), -EBUSY);
	sweep("INFO", step_info, false);
	KT_EQ(info.max_workers, 16);
	sweep("WORKER_ADD", step_add, true);
	KT_EQ(step_add(), -EEXIST);
	sweep("WAKE", step_wake, false);
	sweep("WAKE_NODE", step_wake_node, false);
	KT_EQ(park(d.fd, 0, 0, PULSE_NO_DEADLINE), 0);
	sweep("WORKER_DEL", step_del, true);
	KT_EQ(step_del(), -ESRCH);
	if (nth >= 0)
		close(nth);
	nth = -1;
	dev_end(&d);
}

static struct nl n;

static void count_message(const struct nl_msg *m, void *arg)
{
	(void)m;
	(*(int *)arg)++;
}

/* A socket of its own each time: a dump that failed leaves its socket busy. */
static int step_dump(void)
{
	int count = 0, ret = nl_open(&n);

	if (ret)
		return ret;
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NLM_F_DUMP);
	ret = nl_talk(&n, count_message, &count);
	if (!ret) {
		nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NLM_F_ACK);
		nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
		ret = nl_talk(&n, count_message, &count);
	}
	nl_close(&n);
	return ret ? ret : count;
}

KT_TEST(netlink_answers_or_says_why_not)
{
	bool failed = true;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_CHECK(step_dump() >= 2);
	fail_nth_open();
	for (int i = 1; failed && i < 2000; i++) {
		int ret;

		fail_at(i);
		ret = step_dump();
		failed = did_fail();
		KT_CHECKF(ret >= 2 || (failed && (ret == -ENOMEM || ret == -ENOBUFS ||
						  ret == -EFAULT || ret == -ENFILE)),
			  "failure %d: %d", i, ret);
	}
	if (nth >= 0)
		close(nth);
	nth = -1;
	KT_CHECK(step_dump() >= 2);
	dev_end(&d);
}

static __u64 seq_of_next(struct nl *listener)
{
	struct nl_msg m;

	return nl_event(listener, &m) ? nl_num(&m, PULSE_NL_EVENT_SEQ) : 0;
}

KT_TEST(an_event_without_memory_is_counted_and_harms_nothing)
{
	long long drops, done = 0;
	__u64 first, last;

	NEED_DEVICE();
	fail_nth_open();
	if (nth < 0)
		KT_SKIP("only a debug build of the kernel has fault injection");
	KT_REQUIRE(!nl_open(&n));
	KT_REQUIRE(!nl_join(&n));
	drops = sysfs_read("netlink_drops");
	KT_EQ(sysfs_write("wake_spill", 0), 0);
	first = seq_of_next(&n);
	KT_CHECK(first);
	for (int i = 1; i < 40; i++) {
		int ret;

		fail_at(i);
		ret = sysfs_write("wake_spill", 0);
		did_fail();
		KT_CHECKF(ret == 0 || ret == -ENOMEM || ret == -EFAULT,
			  "failure %d: %d", i, ret);
		done += ret == 0;
	}
	close(nth);
	nth = -1;
	KT_CHECK(sysfs_read("netlink_drops") > drops);
	while (recv(n.fd, n.in, sizeof(n.in), MSG_DONTWAIT) >= 0 ||
	       errno == ENOBUFS)
		;
	KT_EQ(sysfs_write("wake_spill", 0), 0);
	last = seq_of_next(&n);
	KT_EQ(last, first + (__u64)done + 1);
	nl_close(&n);
}

KT_MAIN()

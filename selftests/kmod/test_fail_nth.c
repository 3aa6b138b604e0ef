// SPDX-License-Identifier: GPL-2.0-only
/*
 * L04, L05: the n-th allocation or user copy fails, for each n, in each step of
 * a context's life: the step says so, nothing is left behind, and the same step
 * succeeds when it is tried again. A kernel without fault injection runs the
 * steps as they are, once.
 */
#include <sys/eventfd.h>

#include "fail.h"
#include "nl.h"

#define WORD	PULSE_PARK_WORD(8, PULSE_PARK_PARKING)

static struct dev d;
/*
 * Runs a step with each n until nothing fails in it any more, or until it was
 * done, when it can be done only once; how many failures there were.
 */
static int sweep(const char *what, int (*step)(void), bool once)
{
	int points = 0;

	for (int n = 1; n < 20000; n++) {
		int ret;

		failed = false;
		fail_at(n);
		failing = true;
		ret = step();
		stop_failing();
		points += failed;
		KT_CHECKF(ret >= 0 || (failed && (ret == -ENOMEM || ret == -EFAULT)),
			  "%s, failure %d%s: %d", what, n, failed ? "" : " not met",
			  ret);
		if (!failed || (once && ret >= 0))
			break;
	}
	KT_CHECKF(nth < 0 || points > 0, "%s: nothing failed", what);
	return points;
}

static struct pulse_info info;

/* There is no other worker, so what is well is ESRCH; 0 or -errno. */
static int to_nobody(int index)
{
	int ret = handoff(d.fd, index, index + 1, WORD, PULSE_NO_DEADLINE);

	if (ret == -ESRCH)
		ret = yield_to(d.fd, index + 1);
	return ret == -ESRCH ? 0 : ret;
}

/* All that a worker does for itself, once. */
static int use_all(int index)
{
	struct pulse_hint hint = {
		.size = sizeof(hint),
		.index = (__u32)index,
		.mask = PULSE_HINT_NICE,
		.nice = 1,
	};
	struct pulse_watch w = { .target = (__u32)index, .stuck_ns = NS_PER_SEC };
	int ret, id, efd;

	set_word(&d, index, WORD);
	ret = wake_one(d.fd, index);
	if (ret >= 0)
		ret = park(d.fd, index, WORD, PULSE_NO_DEADLINE);
	if (ret >= 0)
		ret = wake_node(d.fd, 0, 16, PULSE_WAKE_SPILL);
	if (ret >= 0)
		ret = to_nobody(index);
	if (ret >= 0)
		ret = dev_info(d.fd, &info);
	if (ret >= 0)
		ret = beat(d.fd, index, NS_PER_MS);
	if (ret >= 0)
		ret = dev_ioctl(d.fd, PULSE_IOC_HINT, &hint);
	efd = ret < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	if (efd >= 0) {
		ret = set_eventfd(d.fd, efd);
		close(efd);
	} else if (ret >= 0) {
		ret = -errno;
	}
	if (ret < 0)
		return ret;
	id = watch(d.fd, w);
	return id < 0 ? id : unwatch(d.fd, id);
}

/*
 * From the open to the last close. What failed is over with when the teardown
 * begins, but for WORKER_DEL, which is tried again.
 */
static int whole_life(void)
{
	int ret, index;

	ret = dev_begin_events(&d, 16, 4096, PULSE_CTX_SHARED);
	if (!ret) {
		index = dev_join(&d, PULSE_NODE_ANY);
		ret = index < 0 ? index : use_all(index);
	}
	if (d.self >= 0) {
		int gone = worker_del(d.fd, d.self);

		if (gone)
			ret = gone;
		else
			d.self = -1;
	}
	stop_failing();
	dev_end(&d);
	return ret;
}

KT_TEST(whatever_fails_in_the_life_of_a_context_leaves_nothing)
{
	long long contexts, workers;
	int points;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	fail_nth_open();
	points = sweep("life", whole_life, false);
	if (nth >= 0) {
		kt_note("%d points of failure", points);
		KT_CHECK(points > 100);
	}
	fail_nth_close();
	KT_EQ(whole_life(), 0);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	KT_EQ(sysfs_read("workers"), workers);
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
	fail_nth_close();
	dev_end(&d);
}

static int step_join(void)
{
	return dev_joins(d.fd);
}

/* The fault injection is that of a task: the child opens its own. */
static int join_and_add(void *arg)
{
	(void)arg;
	fail_nth_open();
	sweep("JOIN", step_join, true);
	if (step_join() != -EEXIST)
		return 1;
	sweep("WORKER_ADD of who joined", step_add, true);
	fail_nth_close();
	return worker_del(d.fd, 0) ? 2 : kt_failed ? 3 : 0;
}

KT_TEST(a_join_that_failed_can_be_tried_again)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
	KT_EQ(in_child(join_and_add, NULL), 0);
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
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_CHECK(step_dump() >= 2);
	fail_nth_open();
	failed = true;
	for (int i = 1; failed && i < 2000; i++) {
		int ret;

		failed = false;
		fail_at(i);
		failing = true;
		ret = step_dump();
		stop_failing();
		KT_CHECKF(ret >= 2 || (failed && (ret == -ENOMEM || ret == -ENOBUFS ||
						  ret == -EFAULT || ret == -ENFILE)),
			  "failure %d: %d", i, ret);
	}
	fail_nth_close();
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
		failing = true;
		ret = sysfs_write("wake_spill", 0);
		stop_failing();
		KT_CHECKF(ret == 0 || ret == -ENOMEM || ret == -EFAULT,
			  "failure %d: %d", i, ret);
		done += ret == 0;
	}
	fail_nth_close();
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

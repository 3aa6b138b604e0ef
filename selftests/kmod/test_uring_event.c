// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wait for events through io_uring, and where commands cannot be cancelled
 * the poll of the descriptor in its place.
 */
#include <poll.h>

#include "uring.h"

static struct dev d;
static struct uring u;

static bool has_uring(void)
{
	return d.info.features & PULSE_FEAT_URING;
}

static bool begin(__u32 event_bytes)
{
	return !uring_begin(&u, 0) && !dev_begin_events(&d, 4, event_bytes, 0);
}

static void end(void)
{
	uring_end(&u);
	dev_end(&d);
}

static void *add_and_exit(void *arg)
{
	*(int *)arg = worker_add(d.fd, PULSE_NODE_ANY);
	return NULL;
}

/* A worker dies, of which there is an event. */
static void one_event(void)
{
	pthread_t t;
	int index = -1;

	KT_REQUIRE(!pthread_create(&t, NULL, add_and_exit, &index));
	pthread_join(t, NULL);
	KT_CHECK(index >= 0);
}

static bool take_event(void)
{
	struct pulse_event_worker_death death;

	return event_take(&d, PULSE_EVENT_WORKER_DEATH, &death, sizeof(death));
}

KT_TEST(a_poll_through_io_uring_is_told_of_events)
{
	struct io_uring_sqe *sqe;

	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	for (int n = 0; n < 5; n++) {
		sqe = uring_sqe(&u, IORING_OP_POLL_ADD, d.fd);
		sqe->poll32_events = POLLIN;
		KT_EQ(uring_submit(&u, 0), 1);
		KT_CHECK(uring_quiet(&u));
		one_event();
		KT_CHECK(uring_result(&u, 0) & POLLIN);
		KT_CHECK(take_event());
	}
	end();
}

KT_TEST(an_event_ends_all_that_wait)
{
	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	if (!has_uring()) {
		KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, 0, 1)), -EOPNOTSUPP);
		end();
		return;
	}
	for (int n = 0; n < 20; n++) {
		for (__u64 i = 1; i <= 5; i++)
			uring_event_wait(&u, d.fd, i & 1 ? PULSE_NO_DEADLINE :
					 now_ns() + 3600 * NS_PER_SEC, i);
		KT_EQ(uring_submit(&u, 0), 5);
		KT_CHECK(uring_quiet(&u));
		one_event();
		for (__u64 i = 1; i <= 5; i++)
			KT_EQ(uring_result(&u, i), 0);
		/* the ring is not empty: no wait */
		KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 6)), 0);
		KT_CHECK(take_event());
	}
	KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, 0, 7)), -ETIMEDOUT);
	end();
}

/* One of a thread of io_uring's own, which waits no less. */
KT_TEST(a_wait_may_be_submitted_by_anybody)
{
	struct io_uring_sqe *sqe;

	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	for (int n = 0; has_uring() && n < 20; n++) {
		sqe = uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 3);
		sqe->flags = IOSQE_ASYNC;
		KT_EQ(uring_submit(&u, 0), 1);
		one_event();
		KT_EQ(uring_result(&u, 3), 0);
		KT_CHECK(take_event());
		sqe = uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 4);
		sqe->flags = IOSQE_ASYNC;
		KT_EQ(uring_submit(&u, 0), 1);
		if (n & 1)
			sleep_ms(5);
		uring_end(&u);
		KT_REQUIRE(!uring_begin(&u, 0));
	}
	KT_EQ(d.evprod->dropped, 0);
	end();
}

KT_TEST(each_wait_has_its_own_deadline)
{
	long long late, soon;

	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	if (has_uring()) {
		late = now_ns() + 60 * NS_PER_MS;
		soon = now_ns() + 20 * NS_PER_MS;
		uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 1);
		uring_event_wait(&u, d.fd, late, 2);
		uring_event_wait(&u, d.fd, soon, 3);
		KT_EQ(uring_submit(&u, 0), 3);
		KT_EQ(uring_result(&u, 3), -ETIMEDOUT);
		KT_CHECK(now_ns() >= soon);
		KT_EQ(uring_result(&u, 2), -ETIMEDOUT);
		KT_CHECK(now_ns() >= late);
		KT_CHECK(uring_quiet(&u));
		one_event();
		KT_EQ(uring_result(&u, 1), 0);
	}
	KT_EQ(sysfs_read("contexts") > 0, 1);
	end();
}

KT_TEST(what_waits_is_bounded)
{
	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	if (!has_uring()) {
		KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, 0, 1)), -EOPNOTSUPP);
		end();
		return;
	}
	for (__u64 i = 0; i < PULSE_MAX_EVENT_WAITS; i++)
		uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, i);
	KT_EQ(uring_submit(&u, 0), PULSE_MAX_EVENT_WAITS);
	KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 99)), -ENOSPC);
	/* a close of any descriptor ends them, in order */
	close(dup(d.fd));
	for (__u64 i = 0; i < PULSE_MAX_EVENT_WAITS; i++)
		KT_EQ(uring_result(&u, i), -ECANCELED);
	KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, 0, 99)), -ETIMEDOUT);
	end();
}

KT_TEST(what_a_wait_does_not_use_must_be_zero)
{
	struct pulse_uring_event_wait w = { .deadline_ns = 0 };
	int want = -EOPNOTSUPP;

	NEED_DEVICE();
	KT_REQUIRE(begin(4096));
	if (has_uring())
		want = -EINVAL;
	w.flags = 1;
	KT_EQ(uring_one(&u, uring_cmd(&u, d.fd, PULSE_URING_EVENT_WAIT, 1, &w)), want);
	w.flags = 0;
	w.reserved = 1U << 31;
	KT_EQ(uring_one(&u, uring_cmd(&u, d.fd, PULSE_URING_EVENT_WAIT, 1, &w)), want);
	KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, -1, 1)), want);
	end();
}

KT_TEST(without_an_event_ring_nobody_waits)
{
	NEED_DEVICE();
	KT_REQUIRE(begin(0));
	KT_EQ(uring_one(&u, uring_event_wait(&u, d.fd, PULSE_NO_DEADLINE, 1)),
	      has_uring() ? -ENODEV : -EOPNOTSUPP);
	end();
}

/* K20: also with a deadline far away, whose timer must not outlive the context. */
KT_TEST(a_ring_that_goes_takes_its_waits_along)
{
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	for (int n = 0; n < 20; n++) {
		KT_REQUIRE(begin(4096));
		for (__u64 i = 0; i < 3; i++)
			uring_event_wait(&u, d.fd, now_ns() + 3600 * NS_PER_SEC, i);
		KT_EQ(uring_submit(&u, 0), 3);
		if (n & 1) {
			uring_end(&u);
			dev_end(&d);
		} else {
			dev_end(&d);
			uring_end(&u);
		}
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event ring: sizes, the order and the content of deaths, a ring that is
 * full, a reader that writes nonsense, poll, epoll and eventfd.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "dev.h"

#define WORD	PULSE_PARK_WORD(5, PULSE_PARK_PARKING)
#define RECORD	(sizeof(struct pulse_event_hdr) + \
		 sizeof(struct pulse_event_worker_death))

static struct dev d;

KT_TEST(a_ring_is_a_power_of_two_of_pages)
{
	static const __u32 bad[] = {
		1, 8, 4095, 4097, 12288, PULSE_MAX_EVENT_BYTES * 2, 1U << 31,
		0xffffffff,
	};
	static const __u32 good[] = { 0, 4096, 8192, PULSE_MAX_EVENT_BYTES };

	NEED_DEVICE();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = dev_open(O_RDWR);

		KT_EQ(dev_setup_events(fd, 1, 16, 0, bad[i], 0), -EINVAL);
		close(fd);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		KT_REQUIRE(!dev_begin_events(&d, 1, good[i], 0));
		KT_EQ(d.info.event_bytes, good[i]);
		KT_EQ(d.info.limit_event_bytes, PULSE_MAX_EVENT_BYTES);
		KT_EQ(d.info.evcons_bytes, good[i] ? 4096 : 0);
		KT_EQ(d.info.evprod_bytes, good[i] ? 4096 + 2 * good[i] : 0);
		if (good[i]) {
			KT_EQ(d.evprod->data_bytes, good[i]);
			KT_EQ(d.evprod->data_off, 4096);
		}
		dev_end(&d);
	}
}

/* A worker that ends with a code, a job in hand. */
struct ender {
	int index, tid;
	__u64 job;
	int code;
};

static void *end_with_a_job(void *arg)
{
	struct ender *e = arg;
	struct pulse_worker_add a = {
		.size = sizeof(a),
		.node = PULSE_NODE_ANY,
		.cookie = ~e->job,
	};

	e->tid = (int)syscall(SYS_gettid);
	e->index = dev_ioctl(d.fd, PULSE_IOC_WORKER_ADD, &a);
	if (e->index)
		return NULL;
	e->index = (int)a.index;
	d.uwork[a.index].progress = e->job * 2;
	__atomic_store_n(&d.uwork[a.index].job, e->job, __ATOMIC_RELEASE);
	syscall(SYS_exit, e->code);
	return NULL;
}

static void end_one(struct ender *e)
{
	pthread_t t;

	KT_REQUIRE(!pthread_create(&t, NULL, end_with_a_job, e));
	pthread_join(t, NULL);
}

KT_TEST(a_death_is_told_with_all_that_is_known)
{
	struct ender e = { .job = 0x1122334455667788, .code = 42 };
	struct pulse_event_worker_death death;
	long long before = now_ns();

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 2, 4096, 0));
	KT_CHECK(!event_next(&d));
	end_one(&e);
	KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
			      sizeof(death)));
	KT_EQ(death.index, e.index);
	KT_EQ(death.incarnation, 1);
	KT_EQ(death.tid, e.tid);
	KT_EQ(death.pid, getpid());
	KT_EQ(death.exit_code, 42 << 8);
	KT_EQ(death.signal, 0);
	KT_EQ(death.job, e.job);
	KT_EQ(death.cookie, ~e.job);
	KT_EQ(death.progress, e.job * 2);
	KT_CHECK(death.last_state <= PULSE_STATE_PARKED);
	KT_CHECK(death.run_ns > 0);
	KT_CHECK((long long)death.time_ns > before &&
		 (long long)death.time_ns < now_ns());
	KT_CHECK(!event_next(&d));
	/* what it had in hand is still there */
	KT_EQ(d.uwork[e.index].job, e.job);
	dev_end(&d);
}

/* Goes round the ring some times, so that records lie over its end. */
KT_TEST(deaths_come_in_order_whole_and_each_once)
{
	struct pulse_event_worker_death death;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	for (__u64 n = 1; n <= 3 * 4096 / RECORD; n++) {
		struct ender e = { .job = n, .code = (int)(n & 0x7f) };

		end_one(&e);
		KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
				      sizeof(death)));
		KT_EQ(death.job, n);
		KT_EQ(death.exit_code, (n & 0x7f) << 8);
	}
	KT_EQ(d.evprod->dropped, 0);
	KT_EQ(d.evprod->pos, d.evcons->pos);
	dev_end(&d);
}

KT_TEST(a_full_ring_drops_and_counts)
{
	const unsigned int fit = 4096 / RECORD, more = 7;
	struct pulse_event_worker_death death;
	unsigned int n;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	for (n = 0; n < fit + more; n++) {
		struct ender e = { .job = n + 1 };

		end_one(&e);
		/* one after the other, so that the order is known */
		KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
	}
	KT_CHECK(EVENTUALLY(d.evprod->dropped == more));
	KT_EQ(d.evprod->pos, fit * RECORD);
	for (n = 0; n < fit; n++) {
		KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
				      sizeof(death)));
		KT_EQ(death.job, n + 1);
	}
	KT_CHECK(!event_next(&d));
	/* there is room again */
	end_one(&(struct ender){ .job = 99 });
	KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
			      sizeof(death)));
	KT_EQ(death.job, 99);
	dev_end(&d);
}

/* H01, H02: the reader's position is the one word that it can write */
KT_TEST(a_reader_that_lies_loses_its_own_events_only)
{
	static const __u64 lies[] = {
		1, 7, 8, 4096, 4097, 1ULL << 32, 1ULL << 63, ~0ULL, ~0ULL - 4095,
	};

	NEED_DEVICE();
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
		__atomic_store_n(&d.evcons->pos, lies[i], __ATOMIC_RELEASE);
		for (int n = 0; n < 60; n++) {
			end_one(&(struct ender){ .job = 1 });
			KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
		}
		KT_EQ(d.evprod->data_bytes, 4096);
		KT_CHECK(d.evprod->pos <= 60 * RECORD);
		KT_EQ(d.evprod->pos / RECORD + d.evprod->dropped, 60);
		dev_end(&d);
	}
}

static volatile bool scribble_end;

static void *scribble(void *arg)
{
	unsigned int seed = 7;

	(void)arg;
	while (!scribble_end)
		__atomic_store_n(&d.evcons->pos, (__u64)rand_r(&seed) * 8,
				 __ATOMIC_RELAXED);
	return NULL;
}

/* H03 */
KT_TEST(a_reader_that_scribbles_all_the_time_harms_nobody)
{
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	scribble_end = false;
	KT_REQUIRE(!pthread_create(&t, NULL, scribble, NULL));
	for (int n = 0; n < 100; n++) {
		end_one(&(struct ender){ .job = 1 });
		KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
	}
	scribble_end = true;
	pthread_join(t, NULL);
	KT_EQ(d.evprod->pos / RECORD + d.evprod->dropped, 100);
	dev_end(&d);
}

static int poll_in(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms);
}

KT_TEST(the_descriptor_is_readable_while_there_are_events)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pulse_event_worker_death death;
	int ep;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	ep = epoll_create1(EPOLL_CLOEXEC);
	KT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, d.fd, &ev), 0);
	KT_EQ(poll_in(d.fd, 0), 0);
	KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	end_one(&(struct ender){ .job = 1 });
	KT_EQ(poll_in(d.fd, 10000), 1);
	KT_EQ(epoll_wait(ep, &ev, 1, 10000), 1);
	KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
			      sizeof(death)));
	KT_EQ(poll_in(d.fd, 0), 0);
	KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	close(ep);
	dev_end(&d);
}

static void *end_later(void *arg)
{
	sleep_ms(50);
	end_with_a_job(arg);
	return NULL;
}

KT_TEST(who_polls_is_woken_by_an_event)
{
	struct ender e = { .job = 1 };
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	KT_REQUIRE(!pthread_create(&t, NULL, end_later, &e));
	KT_EQ(poll_in(d.fd, 10000), 1);
	pthread_join(t, NULL);
	dev_end(&d);
}

KT_TEST(an_eventfd_gets_one_for_each_event)
{
	__u64 count = 0;
	int efd, other, fds[2];

	NEED_DEVICE();
	efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	KT_REQUIRE(efd >= 0 && other >= 0 && !pipe(fds));
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(set_eventfd(d.fd, efd), -ENODEV);
	KT_EQ(set_eventfd(d.fd, -1), -ENODEV);
	dev_end(&d);

	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, 0));
	KT_EQ(set_eventfd(d.fd, fds[0]), -EINVAL);
	KT_EQ(set_eventfd(d.fd, d.fd), -EINVAL);
	KT_EQ(set_eventfd(d.fd, 1000), -EBADF);
	KT_EQ(set_eventfd(d.fd, -2), -EBADF);
	KT_EQ(set_eventfd(d.fd, other), 0);
	KT_EQ(set_eventfd(d.fd, efd), 0);
	for (int i = 0; i < 3; i++)
		end_one(&(struct ender){ .job = 1 });
	KT_EQ(poll_in(efd, 10000), 1);
	KT_CHECK(EVENTUALLY(d.evprod->pos == 3 * RECORD));
	for (__u64 sum = 0; sum < 3; sum += count)
		KT_REQUIRE(EVENTUALLY(read(efd, &count, 8) == 8));
	KT_CHECK(read(other, &count, 8) < 0 && errno == EAGAIN);
	KT_EQ(set_eventfd(d.fd, -1), 0);
	end_one(&(struct ender){ .job = 1 });
	KT_CHECK(EVENTUALLY(d.evprod->pos == 4 * RECORD));
	KT_CHECK(read(efd, &count, 8) < 0 && errno == EAGAIN);
	/* one that is left behind goes with the context */
	KT_EQ(set_eventfd(d.fd, efd), 0);
	dev_end(&d);
	close(efd);
	close(other);
	close(fds[0]);
	close(fds[1]);
}

/* The thread that reads is gone, the deaths go on. */
static int die_with_a_ring(void *arg)
{
	struct parker p[3] = { { .word = WORD }, { .word = WORD }, { .word = WORD } };

	(void)arg;
	if (dev_begin_events(&d, 8, 4096, 0) || dev_join(&d, PULSE_NODE_ANY) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		if (!parker_start(&p[i], &d, PULSE_NODE_ANY))
			return 2;
	kill(getpid(), SIGKILL);
	return 3;
}

KT_TEST(a_ring_ends_with_its_process_whatever_is_in_it)
{
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	for (int i = 0; i < 10; i++)
		KT_EQ(in_child(die_with_a_ring, NULL), -SIGKILL);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()

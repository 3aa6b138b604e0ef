// SPDX-License-Identifier: GPL-2.0-only
/*
 * K20: poll, epoll and io_uring on the descriptor, also when it is closed while
 * they wait. A context has nothing to read, so that it never becomes ready.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "dev.h"
#include "uring.h"

static struct dev d;

KT_TEST(a_context_is_never_ready)
{
	struct pollfd p = { .events = POLLIN | POLLOUT | POLLPRI };

	NEED_DEVICE();
	p.fd = dev_open(O_RDWR);
	KT_REQUIRE(p.fd >= 0);
	KT_EQ(poll(&p, 1, 0), 0);
	KT_EQ(dev_setup(p.fd, 4, 16, 0), 0);
	KT_EQ(poll(&p, 1, 10), 0);
	close(p.fd);
}

KT_TEST(read_write_and_seek_are_refused)
{
	char c = 0;
	int fd;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_CHECK(read(fd, &c, 1) < 0 && errno == EINVAL);
	KT_CHECK(write(fd, &c, 1) < 0 && errno == EINVAL);
	KT_CHECK(lseek(fd, 0, SEEK_SET) < 0 && errno == ESPIPE);
	close(fd);
}

KT_TEST(a_descriptor_closed_in_an_epoll_set_leaves_it)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
	long long contexts;
	int ep;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	for (int n = 0; n < 100; n++) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		KT_REQUIRE(ep >= 0);
		KT_REQUIRE(!dev_begin(&d, 4));
		KT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, d.fd, &ev), 0);
		KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
		if (n & 1)
			close(ep);
		dev_end(&d);
		if (!(n & 1)) {
			KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
			close(ep);
		}
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* A mapping or a worker holds the file after close: the set holds it no more. */
KT_TEST(an_epoll_set_may_outlive_descriptor_worker_and_mapping)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct parker p = { .word = 1, .end = 1 };
	long long contexts;
	int ep;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	ep = epoll_create1(EPOLL_CLOEXEC);
	KT_REQUIRE(ep >= 0);
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, d.fd, &ev), 0);
	close(d.fd);
	d.fd = -1;
	KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	pthread_join(p.thread, NULL);
	KT_EQ(p.last, -ECANCELED);
	KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	KT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	close(ep);
}

/* One POLL_ADD, submitted and not waited for. */
static int uring_poll(struct uring *u, int fd)
{
	struct io_uring_sqe *sqe = uring_sqe(u, IORING_OP_POLL_ADD, fd);

	sqe->poll32_events = POLLIN;
	return uring_submit(u, 0);
}

KT_TEST(an_io_uring_poll_ends_with_its_ring)
{
	long long contexts;
	struct uring u;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(!uring_begin(&u, 0));
	KT_EQ(uring_poll(&u, d.fd), 1);
	dev_end(&d);
	sleep_ms(10);
	/* the ring still polls the file */
	KT_EQ(sysfs_read("contexts"), contexts + 1);
	uring_end(&u);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * poller_epoll.c - waiting with epoll, woken through an eventfd.
 *
 * Level-triggered: a handler that takes only a part is called again, which
 * keeps many busy descriptors fair without a queue of our own.
 */
#include "io/poller_int.h"
#include "io/sys.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct epoll_sys {
	int epfd;
	int wakefd;
	struct epoll_event events[];
};

static uint32_t to_epoll(uint32_t events)
{
	return (events & PULSE_POLLER_IN ? EPOLLIN : 0U) |
	       (events & PULSE_POLLER_OUT ? EPOLLOUT : 0U);
}

static uint32_t from_epoll(uint32_t events)
{
	if (likely(events == EPOLLIN))
		return PULSE_POLLER_IN;
	return (events & EPOLLIN ? PULSE_POLLER_IN : 0U) |
	       (events & EPOLLOUT ? PULSE_POLLER_OUT : 0U) |
	       (events & (EPOLLERR | EPOLLHUP) ? PULSE_POLLER_ERR : 0U);
}

static int ctl(struct pulse_poller *p, int op, int fd, uint32_t events,
	       uint64_t token)
{
	struct epoll_sys *sys = p->sys;
	struct epoll_event ev = { .events = events, .data.u64 = token };

	return epoll_ctl(sys->epfd, op, fd, &ev) ? -errno : 0;
}

static int epoll_open(struct pulse_poller *p)
{
	struct epoll_sys *sys;
	int err;

	sys = pulse__calloc(1, sizeof(*sys) +
			    p->max_events * sizeof(sys->events[0]));
	if (!sys)
		return -ENOMEM;
	sys->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (sys->epfd < 0) {
		err = -errno;
		goto free_sys;
	}
	sys->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sys->wakefd < 0) {
		err = -errno;
		goto close_epoll;
	}
	p->sys = sys;
	err = ctl(p, EPOLL_CTL_ADD, sys->wakefd, EPOLLIN, PULSE__POLLER_WAKE);
	if (!err)
		return 0;
	close(sys->wakefd);
close_epoll:
	close(sys->epfd);
free_sys:
	pulse__free(sys);
	p->sys = NULL;
	return err;
}

static void epoll_close(struct pulse_poller *p)
{
	struct epoll_sys *sys = p->sys;

	close(sys->wakefd);
	close(sys->epfd);
	pulse__free(sys);
}

static int epoll_add(struct pulse_poller *p, int fd, uint32_t events,
		     uint64_t token)
{
	return ctl(p, EPOLL_CTL_ADD, fd, to_epoll(events), token);
}

static int epoll_mod(struct pulse_poller *p, int fd, uint32_t events,
		     uint64_t token)
{
	return ctl(p, EPOLL_CTL_MOD, fd, to_epoll(events), token);
}

static void epoll_del(struct pulse_poller *p, int fd)
{
	ctl(p, EPOLL_CTL_DEL, fd, 0, 0);
}

static int64_t to_ms(int64_t ns)
{
	return (int64_t)(((uint64_t)ns + PULSE__NSEC_PER_MSEC - 1) /
			 PULSE__NSEC_PER_MSEC);
}

/* None, near, or very far. */
static PULSE__NOINLINE int other_ms(int64_t deadline_ns)
{
	int64_t left;

	if (deadline_ns == PULSE_FOREVER)
		return -1;
	if (deadline_ns <= 0)
		return 0;
	left = deadline_ns - pulse__now_ns();
	if (left <= 0)
		return 0;
	left = to_ms(left);
	return left > INT_MAX ? INT_MAX : (int)left;
}

/*
 * A far deadline is reckoned from the turn's time, to spare a look at the clock. One
 * from the depths of the past wraps, and is very far.
 */
static inline int timeout_ms(const struct pulse_poller *p, int64_t deadline_ns)
{
	int64_t left = (int64_t)((uint64_t)deadline_ns - (uint64_t)p->now_ns);

	if (likely(left >= 100 * PULSE__NSEC_PER_MSEC)) {
		left = to_ms(left);
		if (likely(left <= INT_MAX))
			return (int)left;
	}
	return other_ms(deadline_ns);
}

static PULSE__NOINLINE int woken(const struct epoll_sys *sys)
{
	uint64_t count;
	ssize_t n = read(sys->wakefd, &count, sizeof(count));

	(void)n;	/* somebody may have read it in a child */
	return 0;
}

/* 1: a handler's; 0: a wake-up, or of a registration that is gone. */
static inline int handle(struct pulse_poller *p, const struct epoll_event *ev)
{
	if (unlikely(ev->data.u64 == PULSE__POLLER_WAKE))
		return woken(p->sys);
	return pulse__poller_event(p, ev->data.u64, from_epoll(ev->events));
}

/* Out of the way of a single event, which needs few registers saved. */
static PULSE__NOINLINE int handle_all(struct pulse_poller *p, int n)
{
	struct epoll_sys *sys = p->sys;
	int handled = 0;

	for (int i = 0; i < n; i++)
		handled += handle(p, &sys->events[i]);
	return handled;
}

static PULSE__NOINLINE int wait_cancellable(struct pulse_poller *p, int ms)
{
	struct epoll_sys *sys = p->sys;
	int n = epoll_wait(sys->epfd, sys->events, (int)p->max_events, ms);

	WRITE_ONCE(p->asleep, 0);
	p->now_ns = pulse__now_ns();
	if (unlikely(p->worker))
		pulse__poller_worker_awake(p, n > 1 ||
			(n == 1 && sys->events[0].data.u64 != PULSE__POLLER_WAKE));
	return handle_all(p, n);
}

static int epoll_wait_turn(struct pulse_poller *p, int64_t deadline_ns)
{
	struct epoll_sys *sys = p->sys;
	int ms = timeout_ms(p, deadline_ns);
	long n;

	if (unlikely(!p->uncancelled))	/* as a worker's is */
		return wait_cancellable(p, ms);
	n = pulse__sys_epoll_wait(sys->epfd, sys->events, (int)p->max_events, ms);
	WRITE_ONCE(p->asleep, 0);
	p->now_ns = pulse__now_ns();
	if (unlikely(n != 1))
		return handle_all(p, (int)n);
	sys = p->sys;
	return handle(p, sys->events);
}

static void epoll_wake(struct pulse_poller *p)
{
	struct epoll_sys *sys = p->sys;
	uint64_t one = 1;

	/* A counter that is full wakes as well. */
	while (write(sys->wakefd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int epoll_bell(struct pulse_poller *p)
{
	struct epoll_sys *sys = p->sys;

	return sys->wakefd;
}

static int epoll_fd(struct pulse_poller *p)
{
	struct epoll_sys *sys = p->sys;

	return sys->epfd;
}

const struct pulse__poller_ops pulse__poller_epoll = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.add = epoll_add,
	.mod = epoll_mod,
	.del = epoll_del,
	.wait = epoll_wait_turn,
	.wake = epoll_wake,
	.bell = epoll_bell,
	.fd = epoll_fd,
};

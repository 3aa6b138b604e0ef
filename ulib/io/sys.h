/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * sys.h - system calls without a cancellation point.
 *
 * The C library's recv() and send() let a thread be cancelled in them, which in a
 * program with threads is more instructions than all the rest of a call. Sockets of
 * a loop never block, and a loop has its cancellation point where it waits; unless
 * its thread is one that nobody can cancel. A sanitizer has to see the calls, and so
 * gets the C library's; a test of what the system takes of a send stands in for it
 * by pulse__sys_stand_in, before there is a loop.
 */
#ifndef PULSE__IO_SYS_H
#define PULSE__IO_SYS_H

#include "base/base.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(PULSE__TSAN) || defined(__SANITIZE_ADDRESS__) || \
	!defined(SYS_recvfrom) || !defined(SYS_sendto)
#define PULSE__SYS_PLAIN 1
#endif

/* SYS_sendto or SYS_sendmsg with its first arguments, or NULL; the result or -errno. */
extern long (*pulse__sys_stand_in)(long nr, int fd, const void *what, size_t bytes,
				   int flags);

#ifndef PULSE__SYS_PLAIN
/*
 * The result, or a negative errno. The kernel's convention, where it is known: the
 * C library's syscall() moves every argument to another register and looks for an
 * error to be put into errno.
 */
static inline long pulse__sys_call(long nr, long a, long b, long c, long d, long e,
				   long f)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile ("syscall" : "=a"(ret)
			  : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			  : "rcx", "r11", "memory");
	return ret;
#else
	long ret = syscall(nr, a, b, c, d, e, f);

	return ret < 0 ? -errno : ret;
#endif
}
#endif

static inline ssize_t pulse__sys_result(ssize_t n)
{
	return unlikely(n < 0) ? -errno : n;
}

/* Into one piece of memory, from a socket that does not block; or -errno. */
static inline ssize_t pulse__sys_recv(int fd, void *buf, size_t bytes)
{
#ifdef PULSE__SYS_PLAIN
	return pulse__sys_result(recv(fd, buf, bytes, 0));
#else
	return pulse__sys_call(SYS_recvfrom, fd, (long)buf, (long)bytes, 0, 0, 0);
#endif
}

/* One piece of memory; no SIGPIPE. Or -errno. Where nothing stands in for it. */
static inline ssize_t pulse__sys_send_real(int fd, const void *buf, size_t bytes)
{
#ifdef PULSE__SYS_PLAIN
	return pulse__sys_result(send(fd, buf, bytes, MSG_NOSIGNAL));
#else
	return pulse__sys_call(SYS_sendto, fd, (long)buf, (long)bytes, MSG_NOSIGNAL,
			       0, 0);
#endif
}

/* ... or what stands in for it. */
static inline ssize_t pulse__sys_send(int fd, const void *buf, size_t bytes)
{
#ifndef PULSE__SYS_PLAIN
	if (unlikely(pulse__sys_stand_in))
		return pulse__sys_stand_in(SYS_sendto, fd, buf, bytes, MSG_NOSIGNAL);
#endif
	return pulse__sys_send_real(fd, buf, bytes);
}

/* Several pieces; no SIGPIPE. Or -errno. */
static inline ssize_t pulse__sys_sendmsg(int fd, const struct iovec *iov, int nr)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)nr,
	};

#ifdef PULSE__SYS_PLAIN
	return pulse__sys_result(sendmsg(fd, &msg, MSG_NOSIGNAL));
#else
	if (unlikely(pulse__sys_stand_in))
		return pulse__sys_stand_in(SYS_sendmsg, fd, &msg, 0, MSG_NOSIGNAL);
	return pulse__sys_call(SYS_sendmsg, fd, (long)&msg, MSG_NOSIGNAL, 0, 0, 0);
#endif
}

/*
 * What a transport says for @err of a send. A shortage of the system's memory
 * passes, as a full socket does.
 */
static inline int pulse__sys_send_error(int err)
{
	return err == ENOBUFS || err == ENOMEM ? -EAGAIN : -err;
}

/* epoll_wait(); for a thread that nobody can cancel. Or -errno. */
static inline long pulse__sys_epoll_wait(int epfd, struct epoll_event *events,
					 int max, int timeout_ms)
{
#if defined(PULSE__SYS_PLAIN) || !defined(SYS_epoll_wait)
	return pulse__sys_result(epoll_wait(epfd, events, max, timeout_ms));
#else
	return pulse__sys_call(SYS_epoll_wait, epfd, (long)events, max, timeout_ms,
			       0, 0);
#endif
}

#endif /* PULSE__IO_SYS_H */

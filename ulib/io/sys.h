/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * sys.h - system calls without a cancellation point.
 *
 * The C library's recv() and send() let a thread be cancelled in them, which in a
 * program with threads is more instructions than all the rest of a call. Sockets of
 * a loop never block, and a loop has its cancellation point where it waits; unless
 * its thread is one that nobody can cancel. A sanitizer has to see the calls, and so
 * gets the C library's.
 */
#ifndef PULSE__IO_SYS_H
#define PULSE__IO_SYS_H

#include "base/base.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(PULSE__TSAN) || defined(__SANITIZE_ADDRESS__) || \
	!defined(SYS_recvfrom) || !defined(SYS_sendto)
#define PULSE__SYS_PLAIN 1
#endif

/* Into one piece of memory, from a socket that does not block; sets errno. */
static inline ssize_t pulse__sys_recv(int fd, void *buf, size_t bytes)
{
#ifdef PULSE__SYS_PLAIN
	return recv(fd, buf, bytes, 0);
#else
	return syscall(SYS_recvfrom, fd, buf, bytes, 0, NULL, NULL);
#endif
}

/* One piece of memory; no SIGPIPE. */
static inline ssize_t pulse__sys_send(int fd, const void *buf, size_t bytes)
{
#ifdef PULSE__SYS_PLAIN
	return send(fd, buf, bytes, MSG_NOSIGNAL);
#else
	return syscall(SYS_sendto, fd, buf, bytes, MSG_NOSIGNAL, NULL, 0);
#endif
}

/* Several pieces; no SIGPIPE. */
static inline ssize_t pulse__sys_sendmsg(int fd, const struct iovec *iov, int nr)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)nr,
	};

#ifdef PULSE__SYS_PLAIN
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
#else
	return syscall(SYS_sendmsg, fd, &msg, MSG_NOSIGNAL);
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

/* epoll_wait(); for a thread that nobody can cancel. */
static inline int pulse__sys_epoll_wait(int epfd, struct epoll_event *events,
					int max, int timeout_ms)
{
#if defined(PULSE__SYS_PLAIN) || !defined(SYS_epoll_wait)
	return epoll_wait(epfd, events, max, timeout_ms);
#else
	return (int)syscall(SYS_epoll_wait, epfd, events, max, timeout_ms);
#endif
}

#endif /* PULSE__IO_SYS_H */

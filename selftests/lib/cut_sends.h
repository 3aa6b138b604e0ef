/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cut_sends.h - what the system takes of each send, and what it says instead, as
 * a test wants it.
 *
 * The functions here stand before libc's and liburing's, and in for the calls that
 * the library makes without libc. Of a send by io_uring the request is made shorter, or something else,
 * just before it is submitted, and the completion tells what the test wants.
 *
 * Sends of threads that say cut_spared are not looked at.
 */
#ifndef PULSE_SELFTESTS_CUT_SENDS_H
#define PULSE_SELFTESTS_CUT_SENDS_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <liburing.h>

#include "io/sys.h"

struct cut {
	size_t at_most;		/* bytes of a send that are taken; 0: all */
	long at;		/* after so many bytes of all sends ... */
	int err;		/* ... this is said instead; 0: nothing */
	long times;		/* so often */
	long every;		/* instead of @at: to the first of every n sends; 0: to none */
};

static struct {
	pthread_mutex_t lock;
	struct cut how;
	long sent, calls;	/* since cut_begin() */
	long cuts, refusals;	/* what was done to them */
} cut = { .lock = PTHREAD_MUTEX_INITIALIZER };

static __thread bool cut_spared;

static inline void cut_begin(struct cut how)
{
	pthread_mutex_lock(&cut.lock);
	cut.how = how;
	cut.sent = cut.calls = cut.cuts = cut.refusals = 0;
	pthread_mutex_unlock(&cut.lock);
}

/* All is sent as it is; how many sends were not. */
static inline long cut_end(void)
{
	long n;

	pthread_mutex_lock(&cut.lock);
	cut.how = (struct cut){ 0 };
	n = cut.cuts + cut.refusals;
	pthread_mutex_unlock(&cut.lock);
	return n;
}

/* How many sends were refused since cut_begin(). */
static inline long cut_refused(void)
{
	long n;

	pthread_mutex_lock(&cut.lock);
	n = cut.refusals;
	pthread_mutex_unlock(&cut.lock);
	return n;
}

/* 0, and *@bytes is what may be taken; or the error. @whole: all or nothing. */
static inline int cut_verdict(size_t *bytes, bool whole)
{
	const struct cut *how = &cut.how;
	size_t room = SIZE_MAX;
	int err = 0;

	if (cut_spared)
		return 0;
	pthread_mutex_lock(&cut.lock);
	cut.calls++;
	if (how->err && how->every) {
		err = cut.calls % how->every == 1 ? how->err : 0;
	} else if (how->err && cut.how.times > 0) {
		if (cut.sent < how->at)
			room = (size_t)(how->at - cut.sent);
		else if (cut.how.times--)
			err = how->err;
	}
	if (how->at_most && how->at_most < room)
		room = how->at_most;
	if (err) {
		cut.refusals++;
	} else if (!whole && room < *bytes) {
		*bytes = room;
		cut.cuts++;
	}
	pthread_mutex_unlock(&cut.lock);
	return err;
}

static inline void cut_sent(ssize_t n)
{
	if (cut_spared || n <= 0)
		return;
	pthread_mutex_lock(&cut.lock);
	cut.sent += n;
	pthread_mutex_unlock(&cut.lock);
}

/* ---- calls ---------------------------------------------------------------------- */

static struct {
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*submit)(struct io_uring *);
	int (*submit_get)(struct io_uring *);
	int (*submit_wait)(struct io_uring *, struct io_uring_cqe **, unsigned int,
			   struct __kernel_timespec *, sigset_t *);
} cut_real;

static long cut_stand_in(long nr, int fd, const void *what, size_t bytes, int flags);

__attribute__((constructor)) static void cut_find(void)
{
	static const char *const names[] = {
		"send", "sendmsg", "io_uring_submit",
		"io_uring_submit_and_get_events", "io_uring_submit_and_wait_timeout",
	};
	void *found[sizeof(names) / sizeof(names[0])];

	_Static_assert(sizeof(found) == sizeof(cut_real), "one each");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		found[i] = dlsym(RTLD_NEXT, names[i]);
	memcpy(&cut_real, found, sizeof(found));
	pulse__sys_stand_in = cut_stand_in;
}

static inline ssize_t cut_one(int fd, const void *data, size_t len, int flags)
{
	int type = 0, err;
	socklen_t size = sizeof(type);
	ssize_t n;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	err = cut_verdict(&len, type != SOCK_STREAM);
	if (err) {
		errno = err;
		return -1;
	}
	n = cut_real.send(fd, data, len, flags);
	cut_sent(n);
	return n;
}

static inline ssize_t cut_many(int fd, const struct msghdr *msg, int flags)
{
	struct iovec iov[128];
	struct msghdr less = *msg;
	size_t all = 0, bytes, left;
	int type = 0, err;
	socklen_t size = sizeof(type);
	ssize_t n;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		all += msg->msg_iov[i].iov_len;
	bytes = all;
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	err = cut_verdict(&bytes, type != SOCK_STREAM);
	if (err) {
		errno = err;
		return -1;
	}
	if (bytes < all && msg->msg_iovlen <= 128) {
		left = bytes;
		less.msg_iov = iov;
		less.msg_iovlen = 0;
		for (size_t i = 0; left; i++) {
			iov[i] = msg->msg_iov[i];
			if (iov[i].iov_len > left)
				iov[i].iov_len = left;
			left -= iov[i].iov_len;
			less.msg_iovlen++;
		}
	}
	n = cut_real.sendmsg(fd, &less, flags);
	cut_sent(n);
	return n;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	return cut_one(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return cut_many(fd, msg, flags);
}

/* The library sends without libc's help where nobody looks at its calls. */
static long cut_stand_in(long nr, int fd, const void *what, size_t bytes, int flags)
{
	ssize_t n = nr == SYS_sendmsg ? cut_many(fd, what, flags) :
					cut_one(fd, what, bytes, flags);

	return n < 0 ? -errno : n;
}

/* ---- io_uring ------------------------------------------------------------------- */

struct cut_due {
	uint64_t data[64];
	int err[64];
	int nr;
};

static inline void cut_requests(struct io_uring *ring, struct cut_due *due)
{
	due->nr = 0;
	for (unsigned int i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[i & *ring->sq.kring_mask];
		size_t len = sqe->len;
		int err;

		if (sqe->opcode != IORING_OP_SEND || due->nr == 64)
			continue;
		err = cut_verdict(&len, false);
		if (err) {
			due->data[due->nr] = sqe->user_data;
			due->err[due->nr++] = -err;
			io_uring_prep_nop(sqe);
			sqe->user_data = due->data[due->nr - 1];
		} else {
			if (len < sqe->len)
				sqe->flags &= (uint8_t)~IOSQE_CQE_SKIP_SUCCESS;
			sqe->len = (uint32_t)len;
			cut_sent((ssize_t)len);
		}
	}
}

static inline void cut_results(struct io_uring *ring, const struct cut_due *due)
{
	unsigned int head = *ring->cq.khead;
	unsigned int n = io_uring_cq_ready(ring);

	for (unsigned int i = 0; due->nr && i < n; i++) {
		struct io_uring_cqe *cqe =
			&ring->cq.cqes[(head + i) & *ring->cq.kring_mask];

		for (int k = 0; k < due->nr; k++)
			if (cqe->user_data == due->data[k] && !cqe->res)
				cqe->res = due->err[k];
	}
}

int io_uring_submit(struct io_uring *ring)
{
	struct cut_due due;
	int n;

	cut_requests(ring, &due);
	n = cut_real.submit(ring);
	cut_results(ring, &due);
	return n;
}

int io_uring_submit_and_get_events(struct io_uring *ring)
{
	struct cut_due due;
	int n;

	cut_requests(ring, &due);
	n = cut_real.submit_get(ring);
	cut_results(ring, &due);
	return n;
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring,
				     struct io_uring_cqe **cqe, unsigned int nr,
				     struct __kernel_timespec *ts, sigset_t *mask)
{
	struct cut_due due;
	int n;

	cut_requests(ring, &due);
	n = cut_real.submit_wait(ring, cqe, nr, ts, mask);
	cut_results(ring, &due);
	return n;
}

#endif /* PULSE_SELFTESTS_CUT_SENDS_H */

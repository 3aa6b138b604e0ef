/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring.h - a ring of io_uring for module tests, by its system calls: entries of
 * 64 or 128 bytes, any flag of setup, and the commands of <linux/pulse_uring.h>.
 * For one thread a ring.
 */
#ifndef PULSE_SELFTESTS_URING_H
#define PULSE_SELFTESTS_URING_H

#include <linux/io_uring.h>

#include "dev.h"

#define URING_ENTRIES	128

struct uring {
	int fd;
	struct io_uring_params p;
	char *ring, *sqes;
	size_t ring_bytes, sqe_bytes;
	unsigned int queued;
};

static inline unsigned int *uring_word(struct uring *u, unsigned int off)
{
	return (unsigned int *)(void *)(u->ring + off);
}

static inline void uring_end(struct uring *u)
{
	if (u->ring)
		munmap(u->ring, u->ring_bytes);
	if (u->sqes)
		munmap(u->sqes, u->p.sq_entries * u->sqe_bytes);
	if (u->fd >= 0)
		close(u->fd);
	memset(u, 0, sizeof(*u));
	u->fd = -1;
}

/* 0 or -errno. */
static inline int uring_begin(struct uring *u, unsigned int flags)
{
	size_t sq, cq;
	void *r, *s;

	memset(u, 0, sizeof(*u));
	u->p.flags = flags;
	u->fd = (int)syscall(SYS_io_uring_setup, URING_ENTRIES, &u->p);
	if (u->fd < 0)
		return -errno;
	u->sqe_bytes = sizeof(struct io_uring_sqe) <<
		       !!(flags & IORING_SETUP_SQE128);
	sq = u->p.sq_off.array + u->p.sq_entries * 4;
	cq = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	u->ring_bytes = sq > cq ? sq : cq;
	r = mmap(NULL, u->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		 IORING_OFF_SQ_RING);
	s = mmap(NULL, u->p.sq_entries * u->sqe_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED, u->fd, IORING_OFF_SQES);
	u->ring = r == MAP_FAILED ? NULL : r;
	u->sqes = s == MAP_FAILED ? NULL : s;
	if (u->ring && u->sqes)
		return 0;
	uring_end(u);
	return -ENOMEM;
}

/* The next entry, all zero but for these; uring_submit() before the ring is full. */
static inline struct io_uring_sqe *uring_sqe(struct uring *u, int opcode, int fd)
{
	unsigned int tail = *uring_word(u, u->p.sq_off.tail) + u->queued++;
	unsigned int i = tail & (u->p.sq_entries - 1);
	struct io_uring_sqe *sqe = (void *)(u->sqes + i * u->sqe_bytes);

	memset(sqe, 0, u->sqe_bytes);
	sqe->opcode = (__u8)opcode;
	sqe->fd = fd;
	uring_word(u, u->p.sq_off.array)[i] = i;
	return sqe;
}

/* Submits all and waits for @wait completions; how many were taken, or -errno. */
static inline int uring_submit(struct uring *u, unsigned int wait)
{
	unsigned int *tail = uring_word(u, u->p.sq_off.tail);
	unsigned int n = u->queued;
	long ret;

	__atomic_store_n(tail, *tail + n, __ATOMIC_RELEASE);
	u->queued = 0;
	do {
		ret = syscall(SYS_io_uring_enter, u->fd, n, wait,
			      IORING_ENTER_GETEVENTS, NULL, 0);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : (int)ret;
}

/* Takes a completion, if one is there. */
static inline bool uring_take(struct uring *u, __u64 *user_data, int *res)
{
	unsigned int *head = uring_word(u, u->p.cq_off.head);
	struct io_uring_cqe *cqe;

	if (uring_submit(u, 0) < 0 || *head ==
	    __atomic_load_n(uring_word(u, u->p.cq_off.tail), __ATOMIC_ACQUIRE))
		return false;
	cqe = (struct io_uring_cqe *)(void *)(u->ring + u->p.cq_off.cqes) +
	      (*head & (u->p.cq_entries - 1));
	*user_data = cqe->user_data;
	*res = cqe->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

#define URING_NONE	12345	/* no result: nothing came */

/* The result of the next completion, which must be this command's. */
static inline int uring_result(struct uring *u, __u64 user_data)
{
	__u64 got = 0;
	int res = URING_NONE;

	if (!EVENTUALLY(uring_take(u, &got, &res)))
		return URING_NONE;
	if (got != user_data) {
		fprintf(stderr, "# a completion of %llu, not %llu: %d\n",
			(unsigned long long)got, (unsigned long long)user_data,
			res);
		return URING_NONE;
	}
	return res;
}

/* Submits this entry, the only one; its result. */
static inline int uring_one(struct uring *u, const struct io_uring_sqe *sqe)
{
	__u64 data = sqe->user_data;

	return uring_submit(u, 0) == 1 ? uring_result(u, data) : URING_NONE;
}

/* True when nothing has been completed. */
static inline bool uring_quiet(struct uring *u)
{
	__u64 data;
	int res;

	return !uring_take(u, &data, &res);
}

/* ----------------------------------------------------------------- commands */

static inline struct io_uring_sqe *uring_cmd(struct uring *u, int fd, __u32 op,
					     __u64 user_data, const void *arg)
{
	struct io_uring_sqe *sqe = uring_sqe(u, IORING_OP_URING_CMD, fd);

	sqe->cmd_op = op;
	sqe->user_data = user_data;
	memcpy(&sqe->addr3, arg, PULSE_URING_CMD_BYTES);
	return sqe;
}

static inline struct io_uring_sqe *uring_park(struct uring *u, int fd, int index,
					      __u32 word, long long deadline_ns,
					      __u64 user_data)
{
	struct pulse_uring_park p = {
		.index = (__u32)index,
		.word = word,
		.deadline_ns = deadline_ns,
	};

	return uring_cmd(u, fd, PULSE_URING_PARK, user_data, &p);
}

static inline struct io_uring_sqe *uring_event_wait(struct uring *u, int fd,
						    long long deadline_ns,
						    __u64 user_data)
{
	struct pulse_uring_event_wait w = { .deadline_ns = deadline_ns };

	return uring_cmd(u, fd, PULSE_URING_EVENT_WAIT, user_data, &w);
}

#endif /* PULSE_SELFTESTS_URING_H */

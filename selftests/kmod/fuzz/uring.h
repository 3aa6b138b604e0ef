/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring.h - the fuzzer's commands through io_uring: a ring a thread, made by its
 * first command, in which commands wait while the thread goes on. Where the kernel
 * has no such commands each is refused.
 */
#ifndef PULSE_SELFTESTS_FUZZ_URING_H
#define PULSE_SELFTESTS_FUZZ_URING_H

#include "../uring.h"
#include "state.h"

static __thread struct uring fuzz_ring = { .fd = -1 };
static __thread uint64_t fuzz_ring_asked;	/* the last command's name */

/* The pages may be gone. */
static void fuzz_set_word(struct pulse_uwork *uwork, int own, const void *from)
{
	uint32_t word;

	if (!uwork)
		return;
	memcpy(&word, from, sizeof(word));
	if (!sigsetjmp(fuzz_back, 1)) {
		fuzz_guarded = 1;
		__atomic_store_n(&uwork[own].park, word, __ATOMIC_SEQ_CST);
	}
	fuzz_guarded = 0;
}

/* Takes what is there; the error of the last one. */
static int fuzz_uring_reap(void)
{
	__u64 data;
	int res = 0, ret = 0;

	while (uring_take(&fuzz_ring, &data, &res))
		ret = res < 0 ? -res : 0;
	return ret;
}

/* bytes behind FUZZ_LIST_AT: flags of the ring, of the entry, another command */
static int fuzz_uring(const struct fuzz_op *op)
{
	static const uint32_t setups[] = {
		0, IORING_SETUP_SQE128, IORING_SETUP_CQE32, IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SQPOLL,
	};
	static const uint8_t flags[] = {
		0, 0, IOSQE_ASYNC, IOSQE_IO_LINK, IOSQE_IO_DRAIN, IOSQE_FIXED_FILE,
	};
	const uint8_t *extra = op->bytes + FUZZ_LIST_AT;
	uint32_t cmd = op->how & FUZZ_LIST ? PULSE_URING_EVENT_WAIT : PULSE_URING_PARK;
	int own = fuzz_own[op->thread][op->slot], ret;
	struct pulse_uring_park p;
	struct io_uring_sqe *sqe;

	if (fuzz_ring.fd < 0) {
		__atomic_store_n(&fuzz_has_ring, true, __ATOMIC_RELAXED);
		ret = uring_begin(&fuzz_ring, setups[extra[0] % 6]);
		if (ret)
			return -ret;
	}
	memcpy(&p, op->bytes, sizeof(p));
	if (cmd == PULSE_URING_PARK && own >= 0) {
		if (op->how & FUZZ_OWN)
			p.index = (uint32_t)own;
		if (op->how & FUZZ_MATCH)
			fuzz_set_word(fuzz_uwork[op->slot], own, &p.word);
	}
	if (op->how & FUZZ_SOON)
		p.deadline_ns = now_ns() + extra[1] * 100000LL;
	if (op->how & FUZZ_FIRST)
		cmd ^= 1U << extra[3] % 32;
	sqe = uring_cmd(&fuzz_ring, fuzz_fd[op->slot], cmd, ++fuzz_ring_asked, &p);
	sqe->flags = flags[extra[2] % 6];
	ret = uring_submit(&fuzz_ring, 0);
	return ret < 0 ? -ret : fuzz_uring_reap();
}

/* Cancel one or all, look for results, or let go of the ring with all in it. */
static int fuzz_uring_turn(const struct fuzz_op *op)
{
	struct io_uring_sqe *sqe;
	int ret;

	if (fuzz_ring.fd < 0)
		return EBADF;
	switch (op->bytes[0] % 5) {
	case 0:
	case 1:
		sqe = uring_sqe(&fuzz_ring, IORING_OP_ASYNC_CANCEL, -1);
		sqe->addr = fuzz_ring_asked;
		if (op->bytes[0] % 5)
			sqe->cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
		ret = uring_submit(&fuzz_ring, 0);
		return ret < 0 ? -ret : fuzz_uring_reap();
	case 2:
		uring_end(&fuzz_ring);
		return 0;
	default:
		return fuzz_uring_reap();
	}
}

#endif /* PULSE_SELFTESTS_FUZZ_URING_H */

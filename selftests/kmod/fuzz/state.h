/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * state.h - what a process of the fuzzer knows while it makes the calls of a program,
 * and the books, shared with the fuzzer: what the answers were, and what must never
 * be.
 */
#ifndef PULSE_SELFTESTS_FUZZ_STATE_H
#define PULSE_SELFTESTS_FUZZ_STATE_H

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "../dev.h"
#include "../nl.h"
#include "cover.h"
#include "prog.h"

#define FUZZ_MAPS	6
#define FUZZ_MAX_ERRNO	134	/* of user space; the kernel's own ones are above */
#define FUZZ_NOBODY	65534

/* Shared by the fuzzer and all processes. */
struct fuzz_totals {
	int family;				/* of netlink */
	uint64_t done[FUZZ_NR_CMDS];		/* by command */
	uint64_t refused[FUZZ_NR_CMDS];
	uint8_t errnos[FUZZ_NR_CMDS][FUZZ_MAX_ERRNO];
	uint64_t kinds[FUZZ_NR_KINDS];
	uint64_t killed, restarts;
	int bug;
	char bug_text[256];
};

/* Shared by the fuzzer and the processes of one box. */
struct fuzz_books {
	struct fuzz_prog prog;
	uint32_t nr_answers[FUZZ_THREADS];
	uint32_t answers[FUZZ_THREADS][FUZZ_OPS];
};

struct fuzz_map {
	char *at;
	size_t len;
	uint32_t region;
};

static struct fuzz_totals *totals;
static struct fuzz_books *books;
static struct fuzz_cover *cover;	/* NULL: the kernel tells nothing */
static int fuzz_fd[FUZZ_SLOTS];
static int fuzz_own[FUZZ_THREADS][FUZZ_SLOTS];
static struct fuzz_map fuzz_maps[FUZZ_MAPS];
static struct pulse_uwork *fuzz_uwork[FUZZ_SLOTS];
static int fuzz_mail[2];
static bool fuzz_made[FUZZ_OPS];	/* calls that were made */
static int fuzz_efd;		/* an eventfd */
static bool fuzz_has_ring;	/* a thread has made a ring of io_uring's */
static char *fuzz_edge;		/* where memory ends */

static __thread sigjmp_buf fuzz_back;
static __thread volatile sig_atomic_t fuzz_guarded;
static __thread bool fuzz_forked;

__attribute__((format(printf, 1, 2)))
static void fuzz_bug(const char *fmt, ...)
{
	va_list ap;

	if (__atomic_exchange_n(&totals->bug, 1, __ATOMIC_ACQ_REL))
		return;
	va_start(ap, fmt);
	vsnprintf(totals->bug_text, sizeof(totals->bug_text), fmt, ap);
	va_end(ap);
}

static void fuzz_answer(const struct fuzz_op *op, int err)
{
	uint32_t n = books->nr_answers[op->thread];

	if (n < FUZZ_OPS && !fuzz_forked) {
		books->answers[op->thread][n] =
			(uint32_t)op->kind << 16 | op->cmd << 8 | ((uint32_t)err & 0xff);
		books->nr_answers[op->thread] = n + 1;
	}
	__atomic_add_fetch(&totals->kinds[op->kind], 1, __ATOMIC_RELAXED);
	if (err >= FUZZ_MAX_ERRNO)
		fuzz_bug("call %d, command %s: errno %d, which is the kernel's own",
			 op->kind, fuzz_cmds[op->cmd].name, err);
}

#endif /* PULSE_SELFTESTS_FUZZ_STATE_H */

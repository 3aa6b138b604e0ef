/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * prog.h - what the fuzzer runs: short programs of calls to the module, made by
 * chance, with values that mean something in most of their fields, and changed by
 * chance. Nothing here calls anything.
 */
#ifndef PULSE_SELFTESTS_FUZZ_PROG_H
#define PULSE_SELFTESTS_FUZZ_PROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/pulse.h>
#include <linux/pulse_netlink.h>
#include <linux/pulse_uring.h>

#define FUZZ_OPS	24	/* calls a program */
#define FUZZ_BYTES	128	/* of argument a call, the longest struct and more */
#define FUZZ_LIST_AT	64	/* where in them a list of indices lies */
#define FUZZ_THREADS	3
#define FUZZ_SLOTS	3	/* descriptors a program can name */
#define FUZZ_KILL_US	20000U	/* a program that is killed early is killed before */
#define FUZZ_PATIENCE_US 10000000U	/* the time of one that is to come to its end */

enum fuzz_kind {
	FUZZ_IOCTL, FUZZ_RAW_IOCTL, FUZZ_OPEN, FUZZ_CLOSE, FUZZ_DUP, FUZZ_MMAP,
	FUZZ_MUNMAP, FUZZ_MPROTECT, FUZZ_MREMAP, FUZZ_MADVISE, FUZZ_TOUCH,
	FUZZ_SCRIBBLE, FUZZ_POLL, FUZZ_EPOLL, FUZZ_NETLINK, FUZZ_SYSFS, FUZZ_FORK,
	FUZZ_EXEC, FUZZ_SIGNAL, FUZZ_EXIT, FUZZ_PASS, FUZZ_MOVE, FUZZ_SPIN,
	FUZZ_SLEEP, FUZZ_UID, FUZZ_URING, FUZZ_URING_TURN, FUZZ_NR_KINDS
};

/* fuzz_op.how: what is filled in when the call is made */
#define FUZZ_SIZE	(1U << 0)	/* the struct's own size */
#define FUZZ_OWN	(1U << 1)	/* an index is the calling thread's worker */
#define FUZZ_SOON	(1U << 2)	/* a deadline is a moment from now */
#define FUZZ_MATCH	(1U << 3)	/* the park word is what PARK will say */
#define FUZZ_LIST	(1U << 4)	/* an address is that of the list */
#define FUZZ_EDGE	(1U << 5)	/* the argument ends where memory ends */
#define FUZZ_SELF	(1U << 6)	/* a target is this process */
#define FUZZ_FIRST	(1U << 7)	/* only the first version of the struct */

struct fuzz_op {
	uint8_t kind;
	uint8_t thread;
	uint8_t slot;
	uint8_t how;
	uint32_t cmd;		/* index into fuzz_cmds */
	uint8_t bytes[FUZZ_BYTES] __attribute__((aligned(8)));
};

struct fuzz_prog {
	uint32_t nr;
	uint32_t kill_us;	/* killed after that; 0: when its time is up */
	struct fuzz_op op[FUZZ_OPS];
};

/* ---------------------------------------------------------------- commands */

enum fuzz_field_kind {
	FUZZ_F_NONE, FUZZ_F_FLAGS, FUZZ_F_COUNT, FUZZ_F_POWER, FUZZ_F_BYTES,
	FUZZ_F_INDEX, FUZZ_F_TARGET, FUZZ_F_NODE, FUZZ_F_WORD, FUZZ_F_DEADLINE,
	FUZZ_F_ADDRESS, FUZZ_F_NS, FUZZ_F_FD, FUZZ_F_SMALL, FUZZ_F_ANY,
};

struct fuzz_field {
	uint8_t at, len, kind;
};

#define FUZZ_CMD_FIELDS	9

struct fuzz_cmd {
	const char *name;
	uint32_t nr, first, bytes;
	struct fuzz_field field[FUZZ_CMD_FIELDS];
};

#define FUZZ__FIELD(type, member, what)					\
	{ offsetof(struct type, member), sizeof(((struct type *)0)->member),	\
	  FUZZ_F_##what }
#define FUZZ__CMD(cmd, type)						\
	.name = #cmd, .nr = PULSE_IOC_##cmd, .first = PULSE_##cmd##_SIZE_VER0,	\
	.bytes = sizeof(struct type)

static const struct fuzz_cmd fuzz_cmds[] = {
	{ FUZZ__CMD(INFO, pulse_info), {} },
	{ FUZZ__CMD(SETUP, pulse_setup), {
		FUZZ__FIELD(pulse_setup, flags, FLAGS),
		FUZZ__FIELD(pulse_setup, max_workers, COUNT),
		FUZZ__FIELD(pulse_setup, ring_entries, POWER),
		FUZZ__FIELD(pulse_setup, heap_bytes, BYTES),
		FUZZ__FIELD(pulse_setup, event_bytes, BYTES) } },
	{ FUZZ__CMD(JOIN, pulse_join), { FUZZ__FIELD(pulse_join, flags, FLAGS) } },
	{ FUZZ__CMD(WORKER_ADD, pulse_worker_add), {
		FUZZ__FIELD(pulse_worker_add, node, NODE),
		FUZZ__FIELD(pulse_worker_add, cookie, ANY) } },
	{ FUZZ__CMD(WORKER_DEL, pulse_worker_del), {
		FUZZ__FIELD(pulse_worker_del, index, INDEX) } },
	{ FUZZ__CMD(PARK, pulse_park), {
		FUZZ__FIELD(pulse_park, index, INDEX),
		FUZZ__FIELD(pulse_park, word, WORD),
		FUZZ__FIELD(pulse_park, deadline_ns, DEADLINE) } },
	{ FUZZ__CMD(WAKE, pulse_wake), {
		FUZZ__FIELD(pulse_wake, indices, ADDRESS),
		FUZZ__FIELD(pulse_wake, nr, COUNT) } },
	{ FUZZ__CMD(WAKE_NODE, pulse_wake_node), {
		FUZZ__FIELD(pulse_wake_node, flags, FLAGS),
		FUZZ__FIELD(pulse_wake_node, node, NODE),
		FUZZ__FIELD(pulse_wake_node, nr, COUNT) } },
	{ FUZZ__CMD(HANDOFF, pulse_handoff), {
		FUZZ__FIELD(pulse_handoff, target, TARGET),
		FUZZ__FIELD(pulse_handoff, index, INDEX),
		FUZZ__FIELD(pulse_handoff, word, WORD),
		FUZZ__FIELD(pulse_handoff, deadline_ns, DEADLINE) } },
	{ FUZZ__CMD(YIELD_TO, pulse_yield_to), {
		FUZZ__FIELD(pulse_yield_to, index, TARGET) } },
	{ FUZZ__CMD(BEAT, pulse_beat), {
		FUZZ__FIELD(pulse_beat, index, INDEX),
		FUZZ__FIELD(pulse_beat, period_ns, NS) } },
	{ FUZZ__CMD(HINT, pulse_hint), {
		FUZZ__FIELD(pulse_hint, index, INDEX),
		FUZZ__FIELD(pulse_hint, mask, FLAGS),
		FUZZ__FIELD(pulse_hint, sched_class, SMALL),
		FUZZ__FIELD(pulse_hint, nice, SMALL),
		FUZZ__FIELD(pulse_hint, slice_ns, NS),
		FUZZ__FIELD(pulse_hint, uclamp_min, SMALL),
		FUZZ__FIELD(pulse_hint, uclamp_max, COUNT),
		FUZZ__FIELD(pulse_hint, node, NODE) } },
	{ FUZZ__CMD(WATCH, pulse_watch), {
		FUZZ__FIELD(pulse_watch, flags, FLAGS),
		FUZZ__FIELD(pulse_watch, kind, SMALL),
		FUZZ__FIELD(pulse_watch, target, TARGET),
		FUZZ__FIELD(pulse_watch, cookie, ANY),
		FUZZ__FIELD(pulse_watch, stuck_ns, NS),
		FUZZ__FIELD(pulse_watch, starved_ns, NS),
		FUZZ__FIELD(pulse_watch, blocked_ns, NS),
		FUZZ__FIELD(pulse_watch, rss_bytes, BYTES) } },
	{ FUZZ__CMD(UNWATCH, pulse_unwatch), {
		FUZZ__FIELD(pulse_unwatch, id, TARGET) } },
	{ FUZZ__CMD(EVENTFD, pulse_eventfd), { FUZZ__FIELD(pulse_eventfd, fd, FD) } },
};

#define FUZZ_NR_CMDS	(sizeof(fuzz_cmds) / sizeof(fuzz_cmds[0]))

static inline uint32_t fuzz_cmd_by_nr(uint32_t nr)
{
	uint32_t i = 0;

	while (i < FUZZ_NR_CMDS - 1 && fuzz_cmds[i].nr != nr)
		i++;
	return i;
}

/* ------------------------------------------------------------------- chance */

/* Marsaglia's xorshift64; never 0. */
static inline uint64_t fuzz_next(uint64_t *rnd)
{
	*rnd ^= *rnd << 13;
	*rnd ^= *rnd >> 7;
	*rnd ^= *rnd << 17;
	return *rnd;
}

/* Below @n. */
static inline uint32_t fuzz_roll(uint64_t *rnd, uint32_t n)
{
	return (uint32_t)((fuzz_next(rnd) >> 24) % n);
}

/* A value that a field of this kind may be given; mostly a good one. */
static inline uint64_t fuzz_value(uint64_t *rnd, int kind)
{
	static const uint64_t edge[] = {
		0, 1, 2, 0x7f, 0xff, 4095, 4096, 4097, 0xffff, 0x10000, 0x7fffffff,
		0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xffffffffffffffff, 0xffff888000000000,
	};
	static const uint64_t ns[] = {
		0, 1, 20000, 100000, 250000, 1000000, 5000000, 1000000000, 60000000000,
	};
	static const uint32_t bytes[] = {
		0, 0, 4096, 4096, 4096, 8192, 65536, 100, 1U << 20,
	};

	if (!fuzz_roll(rnd, 16))
		return fuzz_roll(rnd, 4) ? edge[fuzz_roll(rnd, sizeof(edge) / 8)] :
		       fuzz_next(rnd);
	switch (kind) {
	case FUZZ_F_FLAGS:
		return fuzz_roll(rnd, 2) ? 1ULL << fuzz_roll(rnd, 6) :
		       fuzz_roll(rnd, 32) & fuzz_roll(rnd, 32);
	case FUZZ_F_COUNT:
		return 1 + fuzz_roll(rnd, 8);
	case FUZZ_F_POWER:
		return 2ULL << fuzz_roll(rnd, 6);
	case FUZZ_F_BYTES:
		return bytes[fuzz_roll(rnd, sizeof(bytes) / 4)];
	case FUZZ_F_INDEX:
	case FUZZ_F_TARGET:
		return fuzz_roll(rnd, 4);
	case FUZZ_F_NODE:
		return (uint64_t)fuzz_roll(rnd, 4) - 1;
	case FUZZ_F_WORD:
		return PULSE_PARK_WORD(fuzz_roll(rnd, 3), fuzz_roll(rnd, 3));
	case FUZZ_F_DEADLINE:
		return fuzz_roll(rnd, 2) ? PULSE_NO_DEADLINE : 0;
	case FUZZ_F_NS:
		return ns[fuzz_roll(rnd, sizeof(ns) / 8)];
	case FUZZ_F_FD:
		return (uint64_t)fuzz_roll(rnd, 16) - 1;
	case FUZZ_F_SMALL:
		return (uint64_t)fuzz_roll(rnd, 5) - !fuzz_roll(rnd, 4);
	default:
		return fuzz_next(rnd);
	}
}

static inline void fuzz_set_field(uint64_t *rnd, struct fuzz_op *op,
				  const struct fuzz_field *f)
{
	uint64_t value = fuzz_value(rnd, f->kind);

	memcpy(op->bytes + f->at, &value, f->len);
}

/* ----------------------------------------------------------------- programs */

static inline struct fuzz_op *fuzz_add(struct fuzz_prog *p, int kind, uint32_t thread)
{
	struct fuzz_op *op = &p->op[p->nr < FUZZ_OPS ? p->nr++ : FUZZ_OPS - 1];

	memset(op, 0, sizeof(*op));
	op->kind = (uint8_t)kind;
	op->thread = (uint8_t)thread;
	return op;
}

/* A call of this command with good values in most of its fields. */
static inline void fuzz_fill_cmd(uint64_t *rnd, struct fuzz_op *op, uint32_t cmd)
{
	const struct fuzz_cmd *c = &fuzz_cmds[cmd];

	op->kind = FUZZ_IOCTL;
	op->cmd = cmd;
	op->how = FUZZ_SIZE | FUZZ_SOON | FUZZ_LIST;
	if (fuzz_roll(rnd, 8))
		op->how |= FUZZ_OWN;
	if (fuzz_roll(rnd, 4))
		op->how |= FUZZ_MATCH;
	if (!fuzz_roll(rnd, 4))
		op->how |= FUZZ_SELF;
	if (!fuzz_roll(rnd, 16))
		op->how |= FUZZ_FIRST;
	if (!fuzz_roll(rnd, 24))
		op->how ^= (uint8_t)(1U << fuzz_roll(rnd, 8));
	memset(op->bytes, 0, sizeof(op->bytes));
	for (uint32_t i = FUZZ_LIST_AT; i < FUZZ_BYTES && c->bytes <= FUZZ_LIST_AT; i += 4)
		op->bytes[i] = (uint8_t)fuzz_roll(rnd, 5);
	for (const struct fuzz_field *f = c->field;
	     f < c->field + FUZZ_CMD_FIELDS && f->kind; f++) {
		/* most calls want no flag, and no second threshold */
		bool seldom = f->kind == FUZZ_F_FLAGS && c->nr != PULSE_IOC_HINT;

		if (!seldom || !fuzz_roll(rnd, 3))
			fuzz_set_field(rnd, op, f);
	}
	/* what goes with one kind of watch does not go with the other */
	if (c->nr == PULSE_IOC_WATCH && fuzz_roll(rnd, 8)) {
		struct pulse_watch w;

		memcpy(&w, op->bytes, sizeof(w));
		w.kind = fuzz_roll(rnd, 2) ? PULSE_WATCH_PROCESS : PULSE_WATCH_WORKER;
		if (w.kind == PULSE_WATCH_PROCESS) {
			w.stuck_ns = w.starved_ns = w.blocked_ns = 0;
			op->how |= FUZZ_SELF;
		} else {
			w.rss_bytes = 0;
			op->how &= (uint8_t)~FUZZ_SELF;
		}
		memcpy(op->bytes, &w, sizeof(w));
	}
	if (!fuzz_roll(rnd, 40))
		op->bytes[fuzz_roll(rnd, c->bytes)] ^= (uint8_t)(1U << fuzz_roll(rnd, 8));
}

/*
 * A command through io_uring, mostly one that is right: its argument, how it is
 * asked for (fuzz_uring()), and what it is called.
 */
static inline void fuzz_fill_uring(uint64_t *rnd, struct fuzz_op *op)
{
	struct pulse_uring_park p = {
		.index = fuzz_roll(rnd, 4),
		.word = (uint32_t)fuzz_value(rnd, FUZZ_F_WORD),
		.deadline_ns = (int64_t)fuzz_value(rnd, FUZZ_F_DEADLINE),
	};
	struct pulse_uring_event_wait w = { .deadline_ns = p.deadline_ns };

	op->kind = FUZZ_URING;
	op->how = (uint8_t)(FUZZ_OWN | FUZZ_MATCH | (fuzz_roll(rnd, 2) ? FUZZ_SOON : 0) |
			    (fuzz_roll(rnd, 2) ? FUZZ_LIST : 0));
	if (!fuzz_roll(rnd, 8))
		op->how ^= (uint8_t)(1U << fuzz_roll(rnd, 8));
	memset(op->bytes, 0, sizeof(op->bytes));
	if (op->how & FUZZ_LIST)
		memcpy(op->bytes, &w, sizeof(w));
	else
		memcpy(op->bytes, &p, sizeof(p));
	for (uint32_t i = FUZZ_LIST_AT; i < FUZZ_LIST_AT + 4; i++)
		op->bytes[i] = (uint8_t)fuzz_roll(rnd, 6);
}

static inline void fuzz_fill_op(uint64_t *rnd, struct fuzz_op *op)
{
	op->thread = (uint8_t)fuzz_roll(rnd, FUZZ_THREADS);
	op->slot = (uint8_t)(fuzz_roll(rnd, 4) ? 0 : fuzz_roll(rnd, FUZZ_SLOTS));
	if (fuzz_roll(rnd, 3)) {
		fuzz_fill_cmd(rnd, op, fuzz_roll(rnd, FUZZ_NR_CMDS));
		return;
	}
	if (!fuzz_roll(rnd, 5)) {
		fuzz_fill_uring(rnd, op);
		return;
	}
	op->kind = (uint8_t)fuzz_roll(rnd, FUZZ_NR_KINDS);
	op->how = (uint8_t)fuzz_next(rnd);
	op->cmd = fuzz_roll(rnd, FUZZ_NR_CMDS);
	for (uint32_t i = 0; i < FUZZ_BYTES; i++)
		op->bytes[i] = (uint8_t)(fuzz_roll(rnd, 2) ? fuzz_roll(rnd, 6) :
					 fuzz_next(rnd));
}

/* What most programs begin with: a context that is set up, mapped, and has workers. */
static inline void fuzz_begin(uint64_t *rnd, struct fuzz_prog *p)
{
	struct fuzz_op *op;

	fuzz_add(p, FUZZ_OPEN, 0);
	op = fuzz_add(p, FUZZ_IOCTL, 0);
	fuzz_fill_cmd(rnd, op, fuzz_cmd_by_nr(PULSE_IOC_SETUP));
	if (fuzz_roll(rnd, 4)) {
		struct pulse_setup s = {
			.size = sizeof(s),
			.flags = fuzz_roll(rnd, 2) ? PULSE_CTX_SHARED : 0,
			.max_workers = 1 + fuzz_roll(rnd, 6),
			.ring_entries = 2U << fuzz_roll(rnd, 4),
			.event_bytes = fuzz_roll(rnd, 3) ? 4096 : 0,
		};

		memcpy(op->bytes, &s, sizeof(s));
	}
	/* UWORK and whatever, as a rule as the ABI wants it */
	fuzz_add(p, FUZZ_MMAP, 0)->bytes[0] = PULSE_REGION_UWORK;
	fuzz_add(p, FUZZ_MMAP, 0)->bytes[0] = (uint8_t)fuzz_roll(rnd, 7);
	for (uint32_t t = 0; t < FUZZ_THREADS; t++)
		if (fuzz_roll(rnd, 4))
			fuzz_fill_cmd(rnd, fuzz_add(p, FUZZ_IOCTL, t),
				      fuzz_cmd_by_nr(PULSE_IOC_WORKER_ADD));
}

/* What has to do with call @op, by the same thread or by another one. */
static inline void fuzz_follow(uint64_t *rnd, struct fuzz_prog *p, struct fuzz_op op)
{
	uint32_t other = (op.thread + 1U) % FUZZ_THREADS, cmd;
	struct fuzz_op *next;

	if (p->nr == FUZZ_OPS)
		return;
	if (op.kind == FUZZ_URING) {
		/* a permit for it, or a turn of its own ring */
		bool turn = fuzz_roll(rnd, 2);

		next = fuzz_add(p, turn ? FUZZ_URING_TURN : FUZZ_IOCTL,
				turn ? op.thread : other);
		if (turn)
			next->bytes[0] = (uint8_t)fuzz_roll(rnd, 6);
		else
			fuzz_fill_cmd(rnd, next, fuzz_cmd_by_nr(PULSE_IOC_WAKE));
		next->slot = op.slot;
		return;
	}
	if (op.kind != FUZZ_IOCTL)
		return;
	switch (fuzz_cmds[op.cmd].nr) {
	case PULSE_IOC_WATCH:
		cmd = PULSE_IOC_UNWATCH;
		other = op.thread;
		break;
	case PULSE_IOC_PARK:
	case PULSE_IOC_HANDOFF:
		cmd = fuzz_roll(rnd, 2) ? PULSE_IOC_WAKE : PULSE_IOC_WAKE_NODE;
		break;
	default:
		return;
	}
	next = fuzz_add(p, FUZZ_IOCTL, other);
	fuzz_fill_cmd(rnd, next, fuzz_cmd_by_nr(cmd));
	next->slot = op.slot;
}

static inline void fuzz_make(uint64_t *rnd, struct fuzz_prog *p)
{
	uint32_t nr = 2 + fuzz_roll(rnd, FUZZ_OPS - 2);

	memset(p, 0, sizeof(*p));
	if (fuzz_roll(rnd, 8))
		fuzz_begin(rnd, p);
	while (p->nr < nr) {
		struct fuzz_op *op = fuzz_add(p, FUZZ_SLEEP, 0);

		fuzz_fill_op(rnd, op);
		if (fuzz_roll(rnd, 2))
			fuzz_follow(rnd, p, *op);
	}
	if (!fuzz_roll(rnd, 4))
		p->kill_us = 1 + fuzz_roll(rnd, FUZZ_KILL_US);
}

/* ---------------------------------------------------------------- mutations */

static inline void fuzz_remove(uint64_t *rnd, struct fuzz_prog *p)
{
	uint32_t at = fuzz_roll(rnd, p->nr);

	if (p->nr < 2)
		return;
	memmove(&p->op[at], &p->op[at + 1], (--p->nr - at) * sizeof(p->op[0]));
}

static inline void fuzz_insert(uint64_t *rnd, struct fuzz_prog *p)
{
	uint32_t at;

	if (p->nr == FUZZ_OPS)
		fuzz_remove(rnd, p);
	at = fuzz_roll(rnd, p->nr + 1);
	memmove(&p->op[at + 1], &p->op[at], (p->nr - at) * sizeof(p->op[0]));
	p->nr++;
	memset(&p->op[at], 0, sizeof(p->op[at]));
	fuzz_fill_op(rnd, &p->op[at]);
}

/* The beginning of @p, and after it the end of @other. */
static inline void fuzz_splice(uint64_t *rnd, struct fuzz_prog *p,
			       const struct fuzz_prog *other)
{
	uint32_t from = fuzz_roll(rnd, other->nr);

	p->nr = 1 + fuzz_roll(rnd, p->nr);
	while (p->nr < FUZZ_OPS && from < other->nr)
		p->op[p->nr++] = other->op[from++];
}

static inline void fuzz_change_op(uint64_t *rnd, struct fuzz_op *op)
{
	const struct fuzz_cmd *c = &fuzz_cmds[op->cmd];
	const struct fuzz_field *f = &c->field[fuzz_roll(rnd, FUZZ_CMD_FIELDS)];

	switch (fuzz_roll(rnd, 6)) {
	case 0:
		op->how ^= (uint8_t)(1U << fuzz_roll(rnd, 8));
		break;
	case 1:
		op->bytes[fuzz_roll(rnd, FUZZ_BYTES)] ^=
			(uint8_t)(1U << fuzz_roll(rnd, 8));
		break;
	case 2:
		op->thread = (uint8_t)fuzz_roll(rnd, FUZZ_THREADS);
		break;
	case 3:
		op->slot = (uint8_t)fuzz_roll(rnd, FUZZ_SLOTS);
		break;
	default:
		if (op->kind == FUZZ_IOCTL && f->kind)
			fuzz_set_field(rnd, op, f);
		else
			op->bytes[fuzz_roll(rnd, 8)] = (uint8_t)fuzz_roll(rnd, 8);
	}
}

static inline void fuzz_mutate(uint64_t *rnd, struct fuzz_prog *p,
			       const struct fuzz_prog *other)
{
	if (p->kill_us > FUZZ_KILL_US)
		p->kill_us = 0;
	for (uint32_t n = 1 + fuzz_roll(rnd, 4); n; n--) {
		switch (fuzz_roll(rnd, 8)) {
		case 0:
		case 1:
			fuzz_insert(rnd, p);
			break;
		case 2:
			fuzz_remove(rnd, p);
			break;
		case 3:
			fuzz_splice(rnd, p, other);
			break;
		case 4:
			p->kill_us = fuzz_roll(rnd, 2) ? 1 + fuzz_roll(rnd, FUZZ_KILL_US) : 0;
			break;
		default:
			fuzz_change_op(rnd, &p->op[fuzz_roll(rnd, p->nr)]);
		}
	}
}

/* Of what came from a file: what the rest relies on. */
static inline bool fuzz_prog_ok(const struct fuzz_prog *p)
{
	if (!p->nr || p->nr > FUZZ_OPS || p->kill_us > FUZZ_PATIENCE_US)
		return false;
	for (uint32_t i = 0; i < p->nr; i++)
		if (p->op[i].kind >= FUZZ_NR_KINDS || p->op[i].cmd >= FUZZ_NR_CMDS ||
		    p->op[i].thread >= FUZZ_THREADS || p->op[i].slot >= FUZZ_SLOTS)
			return false;
	return true;
}

#endif /* PULSE_SELFTESTS_FUZZ_PROG_H */

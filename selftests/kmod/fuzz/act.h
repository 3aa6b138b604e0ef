/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * act.h - makes the calls of a program, in a process of its own that something may
 * end at any point.
 */
#ifndef PULSE_SELFTESTS_FUZZ_ACT_H
#define PULSE_SELFTESTS_FUZZ_ACT_H

#include "pages.h"
#include "uring.h"
#include "ways.h"

/* ----------------------------------------------------------------- commands */

static void fuzz_put_field(struct fuzz_op *op, const struct fuzz_field *f,
			   uint64_t value)
{
	memcpy(op->bytes + f->at, &value, f->len);
}

/* What can only be known when the call is made. */
static void fuzz_resolve(struct fuzz_op *op, uint32_t *list)
{
	const struct fuzz_cmd *c = &fuzz_cmds[op->cmd];
	uint32_t size = op->how & FUZZ_FIRST ? c->first : c->bytes;
	int own = fuzz_own[op->thread][op->slot];

	if (op->how & FUZZ_SIZE)
		memcpy(op->bytes, &size, sizeof(size));
	for (const struct fuzz_field *f = c->field;
	     f < c->field + FUZZ_CMD_FIELDS && f->kind; f++) {
		if (f->kind == FUZZ_F_INDEX && op->how & FUZZ_OWN && own >= 0)
			fuzz_put_field(op, f, (uint64_t)own);
		if (f->kind == FUZZ_F_TARGET && op->how & FUZZ_SELF)
			fuzz_put_field(op, f, (uint64_t)getpid());
		if (f->kind == FUZZ_F_FD && op->how & FUZZ_SELF)
			fuzz_put_field(op, f, (uint64_t)fuzz_efd);
		if (f->kind == FUZZ_F_DEADLINE && op->how & FUZZ_SOON)
			fuzz_put_field(op, f, (uint64_t)now_ns() +
				       op->bytes[FUZZ_LIST_AT] * 100000ULL);
		if (f->kind == FUZZ_F_ADDRESS && op->how & FUZZ_LIST)
			fuzz_put_field(op, f, (uint64_t)(uintptr_t)list);
		if (f->kind == FUZZ_F_WORD && op->how & FUZZ_MATCH && own >= 0)
			fuzz_set_word(fuzz_uwork[op->slot], own, op->bytes + f->at);
	}
}

static int fuzz_ioctl(const struct fuzz_op *from)
{
	const struct fuzz_cmd *c = &fuzz_cmds[from->cmd];
	uint32_t list[(FUZZ_BYTES - FUZZ_LIST_AT) / 4], index;
	struct fuzz_op op = *from;
	void *arg = op.bytes;
	int ret;

	memcpy(list, op.bytes + FUZZ_LIST_AT, sizeof(list));
	fuzz_resolve(&op, list);
	if (op.how & FUZZ_EDGE && fuzz_edge) {
		uint32_t size;

		memcpy(&size, op.bytes, sizeof(size));
		size = size > FUZZ_BYTES ? FUZZ_BYTES : size;
		/* half of them reach over it */
		arg = fuzz_edge - (op.bytes[FUZZ_BYTES - 1] & 1 ? size / 2 : size);
		memcpy(arg, op.bytes, (size_t)(fuzz_edge - (char *)arg));
	}
	ret = -dev_ioctl(fuzz_fd[op.slot], c->nr, arg);
	if (!ret && c->nr == PULSE_IOC_WORKER_ADD) {
		memcpy(&index, (char *)arg + offsetof(struct pulse_worker_add, index),
		       sizeof(index));
		fuzz_own[op.thread][op.slot] = (int)index;
	}
	__atomic_add_fetch(ret ? &totals->refused[op.cmd] : &totals->done[op.cmd], 1,
			   __ATOMIC_RELAXED);
	if (ret < FUZZ_MAX_ERRNO)
		totals->errnos[op.cmd][ret] = 1;
	return ret;
}

static int fuzz_raw_ioctl(const struct fuzz_op *op)
{
	struct fuzz_op copy = *op;
	uint32_t cmd;

	/* right, but for one of its bits; or any with our letter; or any */
	memcpy(&cmd, op->bytes + FUZZ_BYTES - 4, sizeof(cmd));
	switch (op->how & 3) {
	case 0:
		cmd = fuzz_cmds[op->cmd].nr ^ 1U << (cmd & 31);
		break;
	case 1:
	case 2:
		cmd = (cmd & ~0xff00U) | PULSE_IOC_MAGIC << 8;
		break;
	}
	return -dev_ioctl(fuzz_fd[op->slot], cmd, copy.bytes);
}

/* -------------------------------------------------------------------- all kinds */

static int fuzz_fork(void)
{
	pid_t pid = fuzz_forked ? -1 : fork();

	if (pid < 0)
		return EAGAIN;
	/* both go on with what this thread has left; the child ends with it */
	fuzz_forked |= !pid;
	return 0;
}

static int fuzz_act(const struct fuzz_op *op)
{
	int fd;

	switch (op->kind) {
	case FUZZ_IOCTL:
		return fuzz_ioctl(op);
	case FUZZ_RAW_IOCTL:
		return fuzz_raw_ioctl(op);
	case FUZZ_OPEN:
		fd = dev_open(op->how & 1 ? O_RDONLY : op->how & 2 ? O_PATH : O_RDWR);
		if (fd >= 0)
			fuzz_fd[op->slot] = fd;
		return fd < 0 ? -fd : 0;
	case FUZZ_CLOSE:
		return close(fuzz_fd[op->slot]) ? errno : 0;
	case FUZZ_DUP:
		fd = dup(fuzz_fd[op->slot]);
		if (fd >= 0)
			fuzz_fd[op->bytes[0] % FUZZ_SLOTS] = fd;
		return fd < 0 ? errno : 0;
	case FUZZ_MMAP:
		return fuzz_mmap(op);
	case FUZZ_MUNMAP:
		return munmap(fuzz_part(op).at, fuzz_part(op).len) ? errno : 0;
	case FUZZ_MPROTECT:
		return fuzz_mprotect(op);
	case FUZZ_MREMAP:
		return fuzz_mremap(op);
	case FUZZ_MADVISE:
		return fuzz_madvise(op);
	case FUZZ_TOUCH:
	case FUZZ_SCRIBBLE:
		return fuzz_touch(op, op->kind == FUZZ_SCRIBBLE);
	case FUZZ_POLL:
	case FUZZ_EPOLL:
		return fuzz_poll(op);
	case FUZZ_NETLINK:
		return fuzz_netlink(op);
	case FUZZ_SYSFS:
		return fuzz_sysfs(op);
	case FUZZ_FORK:
		return fuzz_fork();
	case FUZZ_EXEC:
		if (op->bytes[0] & 1)
			execl("/bin/true", "true", NULL);
		return ENOEXEC;
	case FUZZ_SIGNAL:
		return kill(getpid(), op->how & 7 ? SIGUSR1 : SIGKILL) ? errno : 0;
	case FUZZ_EXIT:
		if (op->bytes[0] & 1)
			syscall(op->bytes[1] & 1 ? SYS_exit : SYS_exit_group, op->bytes[2]);
		return 0;
	case FUZZ_PASS:
		return fuzz_pass(op);
	case FUZZ_MOVE:
		return -pin_to_cpu(op->bytes[0] & 3);
	case FUZZ_SPIN:
		for (volatile int i = op->bytes[0] * 500; i > 0; i--)
			;
		return 0;
	case FUZZ_SLEEP:
		usleep(op->bytes[0] * 20U);
		return 0;
	case FUZZ_URING:
		return fuzz_uring(op);
	case FUZZ_URING_TURN:
		return fuzz_uring_turn(op);
	case FUZZ_UID:
		/* this thread's alone, and for good */
		return op->bytes[0] == 5 && syscall(SYS_setresuid, FUZZ_NOBODY,
						    FUZZ_NOBODY, FUZZ_NOBODY) ? errno : 0;
	}
	return 0;
}

/* --------------------------------------------------------------- the process */

/* What the others need: nobody goes on before it is there. */
static bool fuzz_is_gate(const struct fuzz_op *op)
{
	uint32_t nr = op->kind == FUZZ_IOCTL ? fuzz_cmds[op->cmd].nr : 0;

	return op->kind == FUZZ_OPEN || op->kind == FUZZ_MMAP || nr == PULSE_IOC_SETUP ||
	       nr == PULSE_IOC_WORKER_ADD;
}

/* Waits for those gates before call @i that other threads have to open. */
static void fuzz_wait_for_gates(uint32_t i, uint32_t me)
{
	long long end = now_ns() + 20 * NS_PER_MS;

	for (uint32_t j = 0; j < i; j++)
		while (fuzz_is_gate(&books->prog.op[j]) && books->prog.op[j].thread != me &&
		       !__atomic_load_n(&fuzz_made[j], __ATOMIC_ACQUIRE) && now_ns() < end)
			usleep(100);
}

static void *fuzz_thread(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	bool covered = fuzz_cover_begin(cover, me);

	for (uint32_t i = 0; i < books->prog.nr; i++) {
		const struct fuzz_op *op = &books->prog.op[i];

		if (op->thread != me)
			continue;
		fuzz_wait_for_gates(i, me);
		fuzz_answer(op, fuzz_act(op));
		__atomic_store_n(&fuzz_made[i], true, __ATOMIC_RELEASE);
	}
	if (fuzz_forked)
		_exit(0);
	if (covered)
		fuzz_cover_end(cover, me);
	return NULL;
}

static void fuzz_nothing(int sig)
{
	(void)sig;
}

/* Runs the program in the books; does not return. */
static void fuzz_process(void)
{
	struct sigaction fault = { .sa_handler = fuzz_fault, .sa_flags = SA_NODEFER };
	struct sigaction usr = { .sa_handler = fuzz_nothing };
	pthread_t t[FUZZ_THREADS];

	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGUSR1, &usr, NULL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	fuzz_edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fuzz_edge == MAP_FAILED || munmap(fuzz_edge + 4096, 4096))
		fuzz_edge = NULL;
	else
		fuzz_edge += 4096;
	fuzz_efd = eventfd(0, EFD_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fuzz_mail))
		_exit(1);
	memset(fuzz_fd, -1, sizeof(fuzz_fd));
	memset(fuzz_own, -1, sizeof(fuzz_own));
	for (uint32_t i = 1; i < FUZZ_THREADS; i++)
		if (pthread_create(&t[i], NULL, fuzz_thread, (void *)(uintptr_t)i))
			_exit(1);
	fuzz_thread(NULL);
	for (uint32_t i = 1; i < FUZZ_THREADS; i++)
		pthread_join(t[i], NULL);
	_exit(0);
}

#endif /* PULSE_SELFTESTS_FUZZ_ACT_H */

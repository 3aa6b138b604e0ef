/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * act.h - makes the calls of a program, in a process of its own that something may
 * end at any point. What the answers were, and what must never be, goes into the
 * books, which the fuzzer shares with it.
 */
#ifndef PULSE_SELFTESTS_FUZZ_ACT_H
#define PULSE_SELFTESTS_FUZZ_ACT_H

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

/* ----------------------------------------------------------------- commands */

static void fuzz_put_field(struct fuzz_op *op, const struct fuzz_field *f,
			   uint64_t value)
{
	memcpy(op->bytes + f->at, &value, f->len);
}

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

/* --------------------------------------------------------------- mappings */

static bool fuzz_read_only(uint32_t region)
{
	return region == PULSE_REGION_HDR || region == PULSE_REGION_KSTATE ||
	       region == PULSE_REGION_EVPROD;
}

static void fuzz_check_prot(const char *how, uint32_t region, int prot)
{
	if (prot & PROT_EXEC || (prot & PROT_WRITE && fuzz_read_only(region)))
		fuzz_bug("%s let region %u have protection %d", how, region, prot);
}

static size_t fuzz_region_bytes(const struct pulse_info *info, uint32_t region)
{
	switch (region) {
	case PULSE_REGION_HDR: return info->hdr_bytes;
	case PULSE_REGION_KSTATE: return info->kstate_bytes;
	case PULSE_REGION_UWORK: return info->uwork_bytes;
	case PULSE_REGION_EVCONS: return info->evcons_bytes;
	case PULSE_REGION_EVPROD: return info->evprod_bytes;
	default: return info->nring_bytes;
	}
}

static int fuzz_mmap(const struct fuzz_op *op)
{
	static const uint32_t regions[] = { 0, 1, 2, 3, 4, 16, 17, 5, 15, 80 };
	uint32_t region = regions[op->bytes[0] % 10];
	int prot = op->how ? op->how & 7 : fuzz_read_only(region) ? PROT_READ :
		   PROT_READ | PROT_WRITE;
	int flags = op->bytes[2] == 5 ? MAP_PRIVATE : MAP_SHARED;
	uint64_t off = PULSE_REGION_OFFSET(region);
	struct pulse_info info = {};
	struct fuzz_map *m = &fuzz_maps[op->bytes[1] % FUZZ_MAPS];
	size_t len;
	char *at;

	dev_info(fuzz_fd[op->slot], &info);
	len = fuzz_region_bytes(&info, region);
	if (op->bytes[3] > 128)
		len += 4096 * (size_t)(op->bytes[3] & 7);
	if (op->bytes[4] > 128)
		off += 4096ULL * op->bytes[4];
	if (!len)
		len = 4096;
	at = mmap(NULL, len, prot, flags | (op->bytes[5] == 5 ? MAP_POPULATE : 0),
		  fuzz_fd[op->slot], (off_t)off);
	if (at == MAP_FAILED)
		return errno;
	fuzz_check_prot("mmap", region, prot);
	*m = (struct fuzz_map){ at, len, region };
	if (region == PULSE_REGION_UWORK && prot & PROT_WRITE)
		fuzz_uwork[op->slot] = (void *)at;
	return 0;
}

/* A mapping of the program's, or a part of it. */
static struct fuzz_map fuzz_part(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_maps[op->bytes[1] % FUZZ_MAPS];
	size_t pages = m.len / 4096, from;

	if (pages > 1 && op->bytes[2] & 1) {
		from = op->bytes[3] % pages;
		m.at += from * 4096;
		m.len = 4096 * (1 + op->bytes[4] % (pages - from));
	}
	return m;
}

static int fuzz_mprotect(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_part(op);

	if (!m.at || mprotect(m.at, m.len, op->how & 7))
		return m.at ? errno : ENOENT;
	fuzz_check_prot("mprotect", m.region, op->how & 7);
	return 0;
}

static int fuzz_mremap(const struct fuzz_op *op)
{
	struct fuzz_map m = fuzz_part(op);
	size_t want = m.len + 4096 * (size_t)(op->bytes[5] & 3);
	char *at;

	if (!m.at)
		return ENOENT;
	at = mremap(m.at, op->how & 1 ? 0 : m.len, op->how & 2 ? 4096 : want,
		    op->how & 4 ? MREMAP_MAYMOVE : 0);
	if (at == MAP_FAILED)
		return errno;
	fuzz_maps[op->bytes[6] % FUZZ_MAPS] = (struct fuzz_map){ at, 4096, m.region };
	return 0;
}

static int fuzz_madvise(const struct fuzz_op *op)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_DOFORK, MADV_DODUMP, MADV_MERGEABLE,
		MADV_HUGEPAGE, MADV_FREE, MADV_REMOVE, MADV_COLD, MADV_PAGEOUT,
	};
	struct fuzz_map m = fuzz_part(op);

	if (!m.at)
		return ENOENT;
	return madvise(m.at, m.len, advice[op->bytes[5] % 10]) ? errno : 0;
}

/* Reads or writes of a mapping, which another thread may be taking away. */
static int fuzz_touch(const struct fuzz_op *op, bool writes)
{
	struct fuzz_map m = fuzz_part(op);
	volatile uint32_t *words = (void *)m.at;
	uint32_t value, sum = 0, nr = (uint32_t)(m.len / 4), step = 1 + op->bytes[5] * 8U;

	if (!m.at)
		return ENOENT;
	if (sigsetjmp(fuzz_back, 1)) {
		fuzz_guarded = 0;
		return EFAULT;
	}
	fuzz_guarded = 1;
	memcpy(&value, op->bytes + 8, sizeof(value));
	for (uint32_t i = op->bytes[6], n = 0; i < nr && n < 64; i += step, n++) {
		if (writes)
			words[i] = value + (op->how & 1 ? i : 0);
		else
			sum += words[i];
	}
	fuzz_guarded = 0;
	return sum == value ? 1 : 0;
}

static void fuzz_fault(int sig)
{
	if (fuzz_guarded)
		siglongjmp(fuzz_back, 1);
	_exit(128 + sig);
}

/* ----------------------------------------------------------- other entrances */

/* A knob of the module, or of a context. */
static int fuzz_sysfs(const struct fuzz_op *op)
{
	static const char *const names[] = {
		"max_contexts_per_user", "max_workers_per_user", "max_pages_per_user",
		"beat_floor_us", "watch_interval_ms", "spin_us", "wake_spill", "contexts",
		"workers", "features", "uid", "pid", "pages", "watches", "events_dropped",
	};
	static const char *const texts[] = {
		"0", "1", "1\n", "100", "256\n", "-1", "", "4294967295", "0x10", "\n",
		"99999999999999999999",
	};
	const char *name = names[op->bytes[0] % (sizeof(names) / sizeof(names[0]))];
	const char *text = texts[op->bytes[1] % (sizeof(texts) / sizeof(texts[0]))];
	char path[320], line[64];
	struct dirent *e;
	DIR *dir;
	int fd, ret = 0;

	snprintf(path, sizeof(path), SYSFS_DIR "%s", name);
	dir = op->how & 1 ? opendir(SYSFS_DIR) : NULL;
	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "ctx", 3))
			snprintf(path, sizeof(path), SYSFS_DIR "%.32s/%s", e->d_name, name);
	if (dir)
		closedir(dir);
	fd = open(path, op->how & 2 ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return errno;
	if (op->how & 2)
		ret = read(fd, line, sizeof(line)) < 0 ? errno : 0;
	else if (op->how & 4)
		ret = write(fd, op->bytes + 2, op->bytes[2] % 100) < 0 ? errno : 0;
	else
		ret = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return ret;
}

/* A message to the family, with attributes that are mostly of the right form. */
static int fuzz_netlink(const struct fuzz_op *op)
{
	static const char *const names[] = {
		"spin_us", "wake_spill", "beat_floor_us", "max_contexts_per_user", "none",
	};
	struct nl *n = calloc(1, sizeof(*n));
	struct timeval limit = { 0, 20000 };
	int ret = ENOMEM;

	if (!n)
		return ret;
	n->family = totals->family;
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	nl_ask(n, op->bytes[0] % 15, op->how & 1 ? NL_DUMP : NL_ACK);
	for (int i = 0; i < (op->bytes[1] & 3); i++) {
		const uint8_t *b = op->bytes + 4 + 12 * i;
		const char *name = names[b[2] % 5];

		switch (b[0] & 7) {
		case 0:
		case 1:
		case 2:
			nl_put(n, b[1] & 7, b + 4, 4);
			break;
		case 3:
		case 4:
			nl_put_str(n, PULSE_NL_KNOB_NAME, name);
			break;
		case 5:
			nl_put(n, b[1], b + 2, b[2] % 8);
			break;
		case 6:
			nl_put(n, NLA_F_NESTED | b[1], b, 12);
			break;
		default:
			/* longer than the message */
			((struct nlattr *)(n->out + nl_put(n, b[1], b, 4)))->nla_len += b[3];
		}
	}
	ret = -nl_talk(n, NULL, NULL);
	close(n->fd);
	free(n);
	return ret;
}

static int fuzz_poll(const struct fuzz_op *op)
{
	struct epoll_event ev = { .events = EPOLLIN | (op->how & 1 ? EPOLLET : 0) };
	struct pollfd p = { fuzz_fd[op->slot], POLLIN, 0 };
	int ep, ret;

	if (op->kind == FUZZ_POLL)
		return poll(&p, 1, op->bytes[0] & 3) < 0 ? errno : p.revents;
	/* left open now and then: it is the descriptor that goes first */
	ep = epoll_create1(0);
	ret = epoll_ctl(ep, EPOLL_CTL_ADD, fuzz_fd[op->slot], &ev) ? errno :
	      epoll_wait(ep, &ev, 1, op->bytes[0] & 3) < 0 ? errno : 0;
	if (op->how & 2)
		close(ep);
	return ret;
}

/* The descriptor goes through a socket, and stays there if nobody takes it. */
static int fuzz_pass(const struct fuzz_op *op)
{
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (op->how & 1) {
		if (recvmsg(fuzz_mail[1], &msg, MSG_DONTWAIT) < 0)
			return errno;
		cmsg = CMSG_FIRSTHDR(&msg);
		if (cmsg)
			memcpy(&fuzz_fd[op->slot], CMSG_DATA(cmsg), sizeof(int));
		return 0;
	}
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fuzz_fd[op->slot], sizeof(int));
	return sendmsg(fuzz_mail[0], &msg, MSG_DONTWAIT) < 0 ? errno : 0;
}

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
	return op->kind == FUZZ_OPEN || op->kind == FUZZ_MMAP ||
	       (op->kind == FUZZ_IOCTL && fuzz_cmds[op->cmd].nr == PULSE_IOC_SETUP);
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

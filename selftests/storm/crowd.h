/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * crowd.h - what one process of the storm does until something ends it: threads
 * that come and go as workers of its own context or of one that it was handed,
 * and do whatever a worker can do, with bad words in every page they can write.
 */
#ifndef PULSE_SELFTESTS_CROWD_H
#define PULSE_SELFTESTS_CROWD_H

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../kmod/dev.h"
#include "../lib/fdpass.h"

#define CROWD_WORKERS	8
#define CROWD_EVENTS	4096
#define CROWD_BAD	99	/* exit status: a command said what it never says */

enum crowd_op {
	OP_PARK, OP_PARK2, OP_WAKE, OP_WAKE_LIST, OP_WAKE_NODE, OP_HANDOFF,
	OP_YIELD_TO, OP_BEAT, OP_HINT, OP_WATCH, OP_UNWATCH, OP_LEAVE, OP_EVENTFD,
	OP_PASS, OP_MMAP, OP_SCRIBBLE, OP_MOVE, OP_SPIN, OP_SLEEP, NR_OPS
};

/* Shared by all processes of the storm. */
struct crowd_books {
	unsigned long ops[NR_OPS], refused[NR_OPS];
	unsigned long own, joined, exits, execs, crashes, forks;
	int bad_op, bad_errno;
	int bad_fd, bad_flags, bad_phase;	/* what it was done to, and when */
	int faults;	/* allocations and copies fail at random */
};

static struct crowd_books *books;
static int crowd_mail[2];	/* contexts on their way to whoever takes them */
static struct dev cd;		/* the context of this process */
static int crowd_phase;		/* 1 threads are at work, 2 it ends beside them, 3 it ends */

#define note_one(field)	__atomic_add_fetch(&books->field, 1, __ATOMIC_RELAXED)

static unsigned int roll(unsigned long long *seed, unsigned int n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (unsigned int)(*seed >> 16) % n;
}

static int crowd_pass(void)
{
	return fd_send(crowd_mail[0], cd.fd, MSG_DONTWAIT) ? -EAGAIN : 0;
}

/* A context from the mail, or negative. */
static int crowd_take(void)
{
	return fd_receive(crowd_mail[1], MSG_DONTWAIT);
}

/* Nobody takes what is left. */
static inline void crowd_drain(void)
{
	int fd;

	while ((fd = crowd_take()) >= 0)
		close(fd);
}

static void crowd_scribble(unsigned long long *seed)
{
	__u32 *words = (__u32 *)cd.uwork;
	__u32 value = (__u32)(*seed >> 8);

	if (roll(seed, 3))
		words[roll(seed, CROWD_WORKERS * sizeof(*cd.uwork) / 4)] = value;
	else if (roll(seed, 2))
		cd.evcons->pos = value;
	else
		cd.evcons->pos = cd.evprod->pos;
}

/* An errno that a command may answer, whatever the others are doing. */
static bool may_say(int err)
{
	static const int known[] = {
		0, EPERM, ESRCH, EAGAIN, ETIMEDOUT, EINTR, ECANCELED, EINVAL,
		ENOSPC, EEXIST, EDQUOT, ENOMEM, EBUSY, ENOENT, EOPNOTSUPP, ERANGE,
		EACCES, EMFILE, ENFILE,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == err)
			return true;
	return err == EFAULT && books->faults;
}

static int crowd_hint(int index, unsigned long long *seed)
{
	struct pulse_hint h = {
		.size = sizeof(h),
		.index = (__u32)index,
		.mask = 1U << roll(seed, 5),
		.sched_class = roll(seed, 3),
		.nice = (__s32)roll(seed, 4),
		.slice_ns = 1000000ULL * (1 + roll(seed, 20)),
		.uclamp_max = roll(seed, 1024),
		.node = (__s32)roll(seed, 3),
	};

	return dev_ioctl(cd.fd, PULSE_IOC_HINT, &h);
}

/* One step of a worker; its index, which changes when it leaves and comes back. */
static int crowd_step(int index, unsigned long long *seed)
{
	unsigned int op = roll(seed, NR_OPS), other = roll(seed, CROWD_WORKERS);
	long long until = now_ns() + 1000LL * roll(seed, 3000);
	struct pulse_watch w = {
		.target = other,
		.flags = roll(seed, 8) ? 0 : PULSE_WATCH_KILL_HANG,
		.stuck_ns = 1000000ULL * (1 + roll(seed, 50)),
		.blocked_ns = 1000000ULL * (1 + roll(seed, 50)),
	};
	__u32 list[4] = { other, roll(seed, CROWD_WORKERS), ~0U, roll(seed, 64) };
	__u32 word = PULSE_PARK_WORD(op, PULSE_PARK_PARKING);
	int ret = 0, fd;

	switch (op) {
	case OP_PARK:
	case OP_PARK2:
		set_word(&cd, index, word);
		ret = park(cd.fd, index, word, until);
		break;
	case OP_WAKE:
		ret = wake_one(cd.fd, (int)other);
		break;
	case OP_WAKE_LIST:
		ret = wake_list(cd.fd, list, roll(seed, 5));
		break;
	case OP_WAKE_NODE:
		ret = wake_node(cd.fd, (int)roll(seed, 3), 1 + roll(seed, 8),
				roll(seed, 2) ? PULSE_WAKE_SPILL : 0);
		break;
	case OP_HANDOFF:
		set_word(&cd, index, word);
		ret = handoff(cd.fd, index, (int)other, word, until);
		break;
	case OP_YIELD_TO:
		ret = yield_to(cd.fd, (int)other);
		break;
	case OP_BEAT:
		ret = beat(cd.fd, index, roll(seed, 3) ?
			   100000ULL * (1 + roll(seed, 20)) : 0);
		break;
	case OP_HINT:
		ret = crowd_hint(index, seed);
		break;
	case OP_WATCH:
		ret = watch(cd.fd, w);
		break;
	case OP_UNWATCH:
		ret = unwatch(cd.fd, (int)roll(seed, 64));
		break;
	case OP_LEAVE:
		ret = worker_del(cd.fd, index);
		if (!ret)
			ret = index = worker_add(cd.fd, PULSE_NODE_ANY);
		break;
	case OP_EVENTFD:
		fd = eventfd(0, EFD_CLOEXEC);
		ret = set_eventfd(cd.fd, roll(seed, 2) ? fd : -1);
		if (fd >= 0)
			close(fd);
		break;
	case OP_PASS:
		ret = crowd_pass();
		break;
	case OP_MMAP:
		ret = try_mmap(cd.info.uwork_bytes, PROT_READ | PROT_WRITE,
			       MAP_SHARED, cd.fd,
			       PULSE_REGION_OFFSET(PULSE_REGION_UWORK));
		break;
	case OP_SCRIBBLE:
		crowd_scribble(seed);
		break;
	case OP_MOVE:
		ret = pin_to_cpu((int)roll(seed, 4));
		break;
	case OP_SPIN:
		for (volatile int i = 0; i < 20000; i++)
			;
		break;
	case OP_SLEEP:
		usleep(roll(seed, 2000));
		break;
	}
	note_one(ops[op]);
	if (ret < 0)
		note_one(refused[op]);
	if (ret < 0 && !may_say(-ret)) {
		books->bad_op = (int)op;
		books->bad_errno = -ret;
		books->bad_fd = cd.fd;
		books->bad_flags = fcntl(cd.fd, F_GETFL);
		books->bad_phase = crowd_phase;
		_exit(CROWD_BAD);
	}
	return index;
}

/* Some end without a word. */
static void *crowd_thread(void *arg)
{
	unsigned long long seed = (unsigned long long)(uintptr_t)arg | 1;
	int index, steps = (int)roll(&seed, 300);

	index = worker_add(cd.fd, PULSE_NODE_ANY);
	while (steps-- && index >= 0)
		index = crowd_step(index, &seed);
	if (index >= 0 && roll(&seed, 2))
		worker_del(cd.fd, index);
	if (!roll(&seed, 4))
		syscall(SYS_exit, 7);
	return NULL;
}

/* A context of its own, or somebody's; false where there is none to be had. */
static bool crowd_begin(unsigned long long *seed)
{
	int fd = roll(seed, 2) ? crowd_take() : -1;

	if (fd >= 0) {
		memset(&cd, 0, sizeof(cd));
		cd.self = -1;
		cd.fd = fd;
		if (dev_joins(fd) || dev_map(&cd)) {
			close(fd);
			return false;
		}
		note_one(joined);
		return true;
	}
	if (dev_begin_events(&cd, CROWD_WORKERS, CROWD_EVENTS, PULSE_CTX_SHARED))
		return false;
	note_one(own);
	return true;
}

/* The end of a context, or of the process with it, if threads are at work. */
static void crowd_end(unsigned long long *seed, bool at_work)
{
	char ms[16];

	crowd_phase = at_work ? 2 : 3;
	snprintf(ms, sizeof(ms), "%u", roll(seed, 50));
	switch (roll(seed, at_work ? 3 : 8)) {
	case 0:
		note_one(execs);
		if (roll(seed, 2))
			fcntl(cd.fd, F_SETFD, 0);
		/* as a worker, with threads that are workers */
		worker_add(cd.fd, PULSE_NODE_ANY);
		execl("/proc/self/exe", "storm", "--storm-exec", ms, NULL);
		_exit(1);
	case 1:
		note_one(crashes);
		worker_add(cd.fd, PULSE_NODE_ANY);
		raise(roll(seed, 2) ? SIGSEGV : SIGABRT);
		_exit(1);	/* with faults even that may fail */
	case 2:
		note_one(exits);
		_exit((int)roll(seed, 8));
	case 3:
		note_one(forks);
		if (!fork()) {
			/* no worker; may come in, if it is let */
			if (roll(seed, 2) && !dev_joins(cd.fd))
				worker_add(cd.fd, PULSE_NODE_ANY);
			usleep(roll(seed, 20000));
			_exit(0);
		}
		break;
	}
	dev_end(&cd);
}

/* Never returns. */
static void crowd_main(unsigned long long seed)
{
	struct timespec limit;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (books->faults)
		file_put("/proc/self/make-it-fail", "1");
	for (;;) {
		pthread_t t[4];
		int nr = 1 + (int)roll(&seed, 4), started = 0;

		if (!crowd_begin(&seed)) {
			usleep(1000);
			continue;
		}
		crowd_phase = 1;
		for (int i = 0; i < nr; i++)
			if (!pthread_create(&t[started], NULL, crowd_thread,
					    (void *)(uintptr_t)(seed + (unsigned int)i * 7919)))
				started++;
		/* sometimes it does not wait for them */
		if (!roll(&seed, 3))
			crowd_end(&seed, true);
		for (int i = 0; i < started; i++) {
			clock_gettime(CLOCK_REALTIME, &limit);
			limit.tv_sec += 30;
			if (pthread_timedjoin_np(t[i], NULL, &limit))
				_exit(0);
		}
		crowd_end(&seed, false);
	}
}

#endif /* PULSE_SELFTESTS_CROWD_H */

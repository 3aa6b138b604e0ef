/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * box.h - where the fuzzer's programs run: some pid namespaces, so that they can kill
 * nobody else, with a warden in each who forks a process for a program, ends it in
 * time, and waits until all of it is gone.
 */
#ifndef PULSE_SELFTESTS_FUZZ_BOX_H
#define PULSE_SELFTESTS_FUZZ_BOX_H

#include "act.h"
#include "engine.h"
#include "seeds.h"

#define FUZZ_RUN_US	1000000		/* a program's time, if it is not killed before */
#define FUZZ_RUN_MAX_US	16000000	/* ... where a machine is that slow */
#define FUZZ_LATE	4		/* so many in turn had too little */
#define FUZZ_GONE_S	60		/* after which a killed process is a hanging one */
#define FUZZ_KNOBS	7
#define FUZZ_BOXES	4		/* side by side */

struct fuzz_box {
	pid_t warden;
	int ask, hear;		/* the fuzzer's ends of two pipes */
	struct fuzz_books *books;
	struct fuzz_cover *cover;
	bool busy;
};

struct fuzz_crew {
	struct fuzz_engine *e;
	struct fuzz_box box[FUZZ_BOXES];
	struct fuzz_totals *totals;
	long long knobs[FUZZ_KNOBS];
	int last_fd;		/* where programs are left before they run, or -1 */
};

static const char *const fuzz_knob_names[FUZZ_KNOBS] = {
	"max_contexts_per_user", "max_workers_per_user", "max_pages_per_user",
	"beat_floor_us", "watch_interval_ms", "spin_us", "wake_spill",
};

/* Waits for a child of any kind to end, for @us at most. */
static bool fuzz_await(long long us)
{
	struct timespec limit = { us / 1000000, us % 1000000 * 1000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return sigtimedwait(&set, NULL, &limit) == SIGCHLD;
}

/*
 * A program's time, a warden's own. Few need all of it, for good: where many do,
 * one after the other, the machine is slow, and they have twice as much.
 */
static long long fuzz_run_us = FUZZ_RUN_US;

static void fuzz_took(long long us, bool late)
{
	static int in_turn;

	in_turn = late ? in_turn + 1 : 0;
	if (in_turn == FUZZ_LATE && fuzz_run_us < FUZZ_RUN_MAX_US) {
		fuzz_run_us *= 2;
		in_turn = 0;
	} else if (!late && us < fuzz_run_us / 8 && fuzz_run_us > FUZZ_RUN_US) {
		fuzz_run_us /= 2;
	}
}

static void fuzz_warden_run(void)
{
	long long began = now_ns();
	long long end = began + 1000LL * (books->prog.kill_us ?: fuzz_run_us);
	long long gone, left;
	pid_t child = fork(), pid;
	int status;

	if (!child) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		fuzz_process();
	}
	for (pid = 0; pid != child && (left = end - now_ns()) > 0;) {
		fuzz_await(left / 1000);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0 && pid != child)
			;
	}
	if (pid != child)
		__atomic_add_fetch(&totals->killed, 1, __ATOMIC_RELAXED);
	if (!books->prog.kill_us)
		fuzz_took((now_ns() - began) / 1000, pid != child);
	/* all that there is here, but for the warden */
	kill(-1, SIGKILL);
	gone = now_ns() + FUZZ_GONE_S * NS_PER_SEC;
	for (;;) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid < 0)
			return;
		if (!pid && now_ns() > gone) {
			fuzz_bug("a process lives %d s after SIGKILL", FUZZ_GONE_S);
			return;
		}
		if (!pid)
			fuzz_await(10000);
		kill(-1, SIGKILL);
	}
}

static void fuzz_warden(int hear, int say)
{
	sigset_t set;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (read(hear, &c, 1) == 1) {
		fuzz_warden_run();
		if (write(say, &c, 1) != 1)
			break;
	}
	_exit(0);
}

/* 0 or -errno. */
static int fuzz_box_start(struct fuzz_box *b)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	b->busy = false;
	b->warden = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!b->warden) {
		close(to[1]);
		close(from[0]);
		books = b->books;
		cover = b->cover;
		fuzz_warden(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	b->ask = to[1];
	b->hear = from[0];
	return b->warden < 0 ? -errno : 0;
}

static void fuzz_box_stop(struct fuzz_box *b)
{
	close(b->ask);
	close(b->hear);
	if (b->warden > 0) {
		kill(b->warden, SIGKILL);
		waitpid(b->warden, NULL, 0);
	}
}

static void *fuzz_share(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* 0 or -errno; as root, with the module there. */
static int fuzz_crew_begin(struct fuzz_crew *crew, struct fuzz_engine *e)
{
	struct nl *n = calloc(1, sizeof(*n));
	int ret = 0;

	memset(crew, 0, sizeof(*crew));
	crew->e = e;
	crew->last_fd = -1;
	crew->totals = totals = fuzz_share(sizeof(*totals));
	if (!n || !totals)
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN);
	if (!nl_open(n))
		totals->family = n->family;
	nl_close(n);
	free(n);
	for (int i = 0; i < FUZZ_KNOBS; i++)
		crew->knobs[i] = sysfs_read(fuzz_knob_names[i]);
	for (struct fuzz_box *b = crew->box; !ret && b < crew->box + FUZZ_BOXES; b++) {
		b->cover = fuzz_cover_open();
		b->books = fuzz_share(sizeof(*b->books));
		ret = b->books ? fuzz_box_start(b) : -ENOMEM;
	}
	return ret;
}

static void fuzz_knobs_back(const struct fuzz_crew *crew)
{
	for (int i = 0; i < FUZZ_KNOBS; i++)
		sysfs_write(fuzz_knob_names[i], crew->knobs[i]);
}

/* The totals stay until the crew is freed. */
static void fuzz_crew_end(struct fuzz_crew *crew)
{
	for (struct fuzz_box *b = crew->box; b < crew->box + FUZZ_BOXES; b++)
		fuzz_box_stop(b);
	fuzz_knobs_back(crew);
}

static void fuzz_crew_free(struct fuzz_crew *crew)
{
	for (struct fuzz_box *b = crew->box; b < crew->box + FUZZ_BOXES; b++) {
		munmap(b->books, sizeof(*b->books));
		fuzz_cover_close(b->cover);
	}
	munmap(crew->totals, sizeof(*crew->totals));
	totals = NULL;
}

static bool fuzz_touches_knobs(const struct fuzz_prog *p)
{
	for (uint32_t i = 0; i < p->nr; i++)
		if (p->op[i].kind == FUZZ_SYSFS || p->op[i].kind == FUZZ_NETLINK)
			return true;
	return false;
}

static void fuzz_box_ask(struct fuzz_crew *crew, struct fuzz_box *b)
{
	off_t at = (b - crew->box) * (off_t)sizeof(b->books->prog);
	char c = 'r';

	fuzz_choose(crew->e, &b->books->prog);
	memset(b->books->nr_answers, 0, sizeof(b->books->nr_answers));
	fuzz_cover_clear(b->cover);
	if (crew->last_fd >= 0 && pwrite(crew->last_fd, &b->books->prog,
					 sizeof(b->books->prog), at) < 0)
		fuzz_bug("the program cannot be left in its file: %s", strerror(errno));
	b->busy = write(b->ask, &c, 1) == 1;
}

/* Its program is over: what is to be learnt of it. */
static void fuzz_box_hear(struct fuzz_crew *crew, struct fuzz_box *b)
{
	struct fuzz_engine *e = crew->e;
	struct fuzz_books *from = b->books;
	char c;

	b->busy = false;
	if (read(b->hear, &c, 1) != 1) {
		/* a WATCH with a kill may end the warden, too */
		totals->restarts++;
		fuzz_box_stop(b);
		if (fuzz_box_start(b))
			fuzz_bug("a box does not start again");
		return;
	}
	for (uint32_t t = 0; t < FUZZ_THREADS; t++) {
		uint64_t was = t + 1;

		for (uint32_t i = 0; i < from->nr_answers[t]; i++) {
			uint32_t now = from->answers[t][i];

			/* what went well after what went well leads on */
			fuzz_signal(e, 0, now);
			if (!(now & 0xff)) {
				fuzz_signal(e, was, now);
				was = now;
			}
		}
	}
	fuzz_cover_collect(b->cover, e);
	fuzz_learn(e, &from->prog);
	if (fuzz_touches_knobs(&from->prog))
		fuzz_knobs_back(crew);
}

/* Some programs; false when something is wrong. */
static bool fuzz_crew_step(struct fuzz_crew *crew)
{
	struct pollfd p[FUZZ_BOXES];

	for (int i = 0; i < FUZZ_BOXES; i++) {
		if (!crew->box[i].busy)
			fuzz_box_ask(crew, &crew->box[i]);
		p[i] = (struct pollfd){ crew->box[i].hear, POLLIN, 0 };
	}
	if (poll(p, FUZZ_BOXES, 1000) > 0)
		for (int i = 0; i < FUZZ_BOXES; i++)
			if (p[i].revents)
				fuzz_box_hear(crew, &crew->box[i]);
	return !totals->bug;
}

/* Functions that any of the boxes has been in. */
static bool fuzz_crew_has(const struct fuzz_crew *crew, const char *name)
{
	for (int i = 0; i < FUZZ_BOXES; i++)
		if (fuzz_cover_has(crew->box[i].cover, name))
			return true;
	return false;
}

static int fuzz_crew_functions_seen(const struct fuzz_crew *crew)
{
	const struct fuzz_cover *c = crew->box[0].cover;
	int n = 0;

	for (int i = 0; c && i < c->nr; i++)
		n += fuzz_crew_has(crew, c->fn[i].name);
	return n;
}

#endif /* PULSE_SELFTESTS_FUZZ_BOX_H */

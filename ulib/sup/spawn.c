// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * spawn.c - the child's side of a process: sandbox, exec, and what a forked
 * function says.
 *
 * A program is started by vfork(): its cost does not grow with the parent, and
 * an error is written straight into the parent's memory. Between vfork() and
 * exec nothing but system calls may happen, and those that change the user are
 * raw ones: libc's would change all threads of the parent. A function needs a
 * whole process, hence fork(); its sandbox reports errors by a pipe.
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pulse.h>

#include "backend/backend.h"
#include "sup/sup_int.h"

#define FAILED	127		/* exit code of who did not get so far */

void pulse__set_priority(int priority, struct pulse_ctx *ctx, int worker)
{
	static const int nice_of[] = {
		[PULSE_CHILD_PRIO_NORMAL] = 0, [PULSE_CHILD_PRIO_CRITICAL] = -10,
		[PULSE_CHILD_PRIO_HIGH] = -5, [PULSE_CHILD_PRIO_LOW] = 5,
		[PULSE_CHILD_PRIO_BATCH] = 19,
	};
	struct sched_param none = { 0 };

	/* The module's, of a worker: class and nice value in one call. */
	if (priority != PULSE_CHILD_PRIO_NORMAL && worker >= 0 &&
	    !pulse__worker_hint(ctx, worker, nice_of[priority],
				priority == PULSE_CHILD_PRIO_BATCH ?
				PULSE_CLASS_BATCH : PULSE_CLASS_NORMAL))
		return;
	/* A hint: who may not raise it goes on without. 0 is this thread. */
	if (priority != PULSE_CHILD_PRIO_NORMAL)
		setpriority(PRIO_PROCESS, 0, nice_of[priority]);
	if (priority == PULSE_CHILD_PRIO_BATCH)
		sched_setscheduler(0, SCHED_BATCH, &none);
}

static int sandbox(const struct pulse__spawn *sp)
{
	const struct pulse_child_spec *s = sp->s;
	gid_t gid = s->gid - 1;

	if ((s->flags & PULSE_CHILD_GROUP) && setpgid(0, 0))
		return -errno;
	if (sp->cgroup_fd >= 0 && write(sp->cgroup_fd, "0", 1) != 1)
		return -errno;
	pulse__set_priority(s->priority, NULL, -1);
	for (uint32_t i = 0; i < s->nr_rlimits; i++) {
		struct rlimit64 lim = { s->rlimits[i].soft, s->rlimits[i].hard };

		if (syscall(SYS_prlimit64, 0, s->rlimits[i].resource, &lim, NULL))
			return -errno;
	}
	if (s->chdir && chdir(s->chdir))
		return -errno;
	if (s->gid && (syscall(SYS_setgroups, 1, &gid) ||
		       syscall(SYS_setresgid, gid, gid, gid)))
		return -errno;
	if (s->uid && syscall(SYS_setresuid, s->uid - 1, s->uid - 1, s->uid - 1))
		return -errno;
	if ((s->flags & PULSE_CHILD_NO_NEW_PRIVS) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* After the change of user, which clears it. The parent may be gone. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	return getppid() == sp->parent ? 0 : -ECHILD;
}

/* What a handler of ours has no business with in another program's image. */
static void default_signals(void)
{
	struct sigaction def = { .sa_handler = SIG_DFL }, now;

	for (int sig = 1; sig < NSIG; sig++) {
		if (!sigaction(sig, NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(sig, &def, NULL);
	}
}

/* The child's end of a report; only who could not go on says anything. */
static void __attribute__((noreturn))
tell_failure(const struct pulse__spawn *sp, int err)
{
	if (sp->report_fd >= 0 &&
	    write(sp->report_fd, &err, sizeof(err)) != sizeof(err))
		_exit(FAILED);
	_exit(FAILED);
}

/* Our end: what the child of @pid says, which has ended then; or 0. */
static int hear_failure(const int report[2], pid_t pid)
{
	int err = 0;
	ssize_t n;

	close(report[1]);
	if (pid > 0) {
		do {
			n = read(report[0], &err, sizeof(err));
		} while (n < 0 && errno == EINTR);
		if (n != (ssize_t)sizeof(err))
			err = 0;
	}
	close(report[0]);
	return err;
}

static void forget_child(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

pid_t pulse__spawn_program(struct pulse__spawn *sp)
{
	struct pulse__spawn *volatile shared = sp;
	int report[2] = { -1, -1 };
	pid_t pid;

	if (pulse__alloc_fault())
		return -EAGAIN;
#ifdef PULSE__TSAN
	/* Its vfork() is a fork(): no memory is shared. */
	if (pipe2(report, O_CLOEXEC))
		return -errno;
#endif
	sp->report_fd = report[1];
	/* All signals are blocked in this thread, so also in the child. */
	pid = vfork();
	if (!pid) {
		sp = shared;
		default_signals();
		sp->err = sandbox(sp);
		if (!sp->err && sp->inc->child_ctl >= 0)
			fcntl(sp->inc->child_ctl, F_SETFD, 0);
		if (!sp->err) {
			sigprocmask(SIG_SETMASK, &sp->mask, NULL);
			execve(sp->s->path, sp->argv, sp->envp);
			sp->err = -errno;
		}
		tell_failure(sp, sp->err);
	}
	sp = shared;
	if (pid < 0)
		sp->err = -errno;
	if (report[0] >= 0) {
		int err = hear_failure(report, pid);

		sp->err = err ? err : sp->err;
	}
	if (sp->err && pid > 0)
		forget_child(pid);
	return sp->err ? sp->err : pid;
}

/* ---- a forked function ---------------------------------------------------------------- */

static struct pulse_child *stop_me;

static void on_stop(int sig)
{
	(void)sig;
	/* stopping is a word of this process's own now */
	__atomic_store_n(&stop_me->stopping, PULSE__ASKED, __ATOMIC_RELEASE);
}

/*
 * A worker of the supervisor's context, where the module lets it in: it then
 * sees how the process hangs. Else (another user now, no locked memory left, no
 * place) missed beats say that it does. The parent finds the worker by its
 * thread's id.
 */
static void forked_worker(struct pulse_child *self)
{
	struct pulse__engine *e = self->e;

	if (!self->spec->s.hang_ms || !e->verdicts || !e->ctx ||
	    !e->ctx->shared || pulse_ctx_attach(e->ctx->fd, &self->child_ctx))
		return;
	self->worker = pulse_worker_register(self->child_ctx, -1, self->serial);
	if (self->worker >= 0)
		pulse__forked_say(self, 'W');
}

static void forked_main(struct pulse__spawn *sp)
{
	struct pulse_child *self = sp->inc;
	struct sigaction stop = { .sa_handler = on_stop };
	int ret;

	self->in_child = true;
	pulse__child_current = self;
	ret = sandbox(sp);
	if (ret)
		tell_failure(sp, ret);
	if (sp->s->flags & PULSE_CHILD_CATCH_STOP) {
		stop_me = self;
		sigaction(sp->s->stop_signal, &stop, NULL);
	}
	sigprocmask(SIG_SETMASK, &sp->mask, NULL);
	if (sp->report_fd >= 0)
		close(sp->report_fd);
	forked_worker(self);
	ret = sp->s->fn(self, sp->s->arg);
	_exit(ret == -ESHUTDOWN ? 0 : ret < 0 ? 255 : ret & 255);
}

/* Is there anything in the sandbox that can fail? */
static bool can_fail(const struct pulse__spawn *sp)
{
	const struct pulse_child_spec *s = sp->s;

	return s->nr_rlimits || s->uid || s->gid || s->chdir || s->cgroup ||
	       (s->flags & (PULSE_CHILD_GROUP | PULSE_CHILD_NO_NEW_PRIVS));
}

pid_t pulse__spawn_function(struct pulse__spawn *sp)
{
	int report[2] = { -1, -1 }, err = 0;
	pid_t pid;

	if (pulse__alloc_fault())
		return -EAGAIN;
	if (can_fail(sp) && pipe2(report, O_CLOEXEC))
		return -errno;
	sp->report_fd = report[1];
	pid = fork();
	if (!pid) {
		if (report[0] >= 0)
			close(report[0]);
		forked_main(sp);
	}
	if (pid < 0)
		err = -errno;
	if (report[0] >= 0) {
		int told = hear_failure(report, pid);

		if (told)
			forget_child(pid);
		err = err ? err : told;
	}
	return err ? err : pid;
}

int pulse__forked_say(struct pulse_child *self, char what)
{
	/* A pipe that is full has enough beats in it. */
	if (self->child_ctl >= 0 && write(self->child_ctl, &what, 1) < 0 &&
	    errno != EAGAIN)
		return -errno;
	return 0;
}

int pulse__forked_wait(struct pulse_child *self, int64_t deadline_ns)
{
	int64_t slice = self->spec->s.hang_ms * PULSE__NSEC_PER_MSEC / 4;
	struct timespec ts;
	sigset_t before, stop;

	sigemptyset(&stop);
	sigaddset(&stop, self->spec->s.stop_signal);
	sigprocmask(SIG_BLOCK, &stop, &before);
	while (!pulse_child_stopping(self)) {
		int64_t now = pulse_now_ns();
		int64_t left = deadline_ns == PULSE_FOREVER ? INT64_MAX :
			       deadline_ns - now;

		if (left <= 0)
			break;
		if (slice && left > slice)
			left = slice;
		if (left > 3600 * PULSE__NSEC_PER_SEC)
			left = 3600 * PULSE__NSEC_PER_SEC;
		pulse__ns_to_timespec(left, &ts);
		/* The signal is let in here and nowhere else: none is missed. */
		ppoll(NULL, 0, &ts, &before);
		pulse_child_beat(self);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pulse_child_stopping(self) ? 0 : -ETIMEDOUT;
}

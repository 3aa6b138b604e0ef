// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * process.c - children that are processes: the parent's side.
 *
 * All of them are forked by the engine's thread: PR_SET_PDEATHSIG goes off
 * when the *thread* that forked ends, and this one ends with the supervisor or
 * with the process, whatever kills that. Their end comes by pidfd, to the same
 * thread. A child that says things (PULSE_CHILD_READY, hang_ms) has a pipe.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sup/sup_int.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define UNTOLD_NS	(5 * PULSE__NSEC_PER_SEC)	/* many of the module's rounds */

/* A figure of the cgroup's memory.events; -1: there is none. */
static int64_t oom_kills(const char *cgroup)
{
	char path[512], line[128];
	long long n = -1;
	FILE *f;

	if (!cgroup)
		return -1;
	snprintf(path, sizeof(path), "%s/memory.events", cgroup);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f) && sscanf(line, "oom_kill %lld", &n) != 1)
		;
	fclose(f);
	return n;
}

uint64_t pulse__process_rss(const struct pulse_child *inc)
{
	char path[64];
	long long size, rss = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", inc->pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lld %lld", &size, &rss) != 2)
		rss = 0;
	fclose(f);
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- what it says and how it ends: handlers of the engine's poller ---------------- */

static void on_said(struct pulse_poller *poller, int fd, uint32_t events,
		    void *arg)
{
	struct pulse_child *inc = arg;
	char said[256];
	ssize_t n;

	(void)events;
	n = read(fd, said, sizeof(said));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {	/* it closed its end; its death comes by pidfd */
		pulse_poller_del(poller, inc->ctl_id);
		inc->ctl_id = 0;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (said[i] == 'B')
			pulse__add_relaxed(&inc->beats, 1);
		if (said[i] != 'R' && said[i] != 'W')
			continue;
		pthread_mutex_lock(&inc->e->lock);
		if (said[i] == 'R')
			pulse__post(inc, PULSE__POST_READY);
		else
			pulse__watch_forked(inc);
		pthread_mutex_unlock(&inc->e->lock);
	}
}

/* With the lock: why is known. */
static void process_over(struct pulse_child *inc)
{
	pulse__post(inc, PULSE__POST_EXIT);
	pulse__child_put(inc);		/* the process's reference */
}

void pulse__process_unwaited(struct pulse_child *inc)
{
	inc->unwaited = false;
	if (!inc->told)
		inc->why = (struct pulse_exit){ .kind = PULSE_EXIT_LOST };
	process_over(inc);
}

static void on_end(struct pulse_poller *poller, int fd, uint32_t events,
		   void *arg)
{
	struct pulse_child *inc = arg;
	struct pulse_exit why = { .kind = PULSE_EXIT_LOST };
	siginfo_t si = { 0 };

	(void)events;
	if (!waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG)) {
		if (!si.si_pid)
			return;
		if (si.si_code == CLD_EXITED) {
			why.kind = si.si_status ? PULSE_EXIT_CODE :
						  PULSE_EXIT_NORMAL;
			why.code = si.si_status;
		} else {
			why.kind = PULSE_EXIT_SIGNAL;
			why.signal = si.si_status;
			if (si.si_code == CLD_DUMPED)
				why.flags = PULSE_EXIT_CORE;
		}
	}
	if (why.signal == SIGKILL && inc->oom_kills >= 0 &&
	    READ_ONCE(inc->stopping) != PULSE__FORCED &&
	    oom_kills(inc->spec->s.cgroup) > inc->oom_kills)
		why.kind = PULSE_EXIT_OOM;
	/* What it said before it ended comes first. */
	if (inc->ctl_id)
		on_said(poller, inc->ctl, 0, inc);
	pulse_poller_del(poller, inc->pidfd_id);
	inc->pidfd_id = 0;
	pthread_mutex_lock(&inc->e->lock);
	if (why.kind == PULSE_EXIT_LOST && inc->watch) {
		inc->unwaited = true;
		if (inc->told)
			pulse__process_unwaited(inc);
		else if (inc->entry)	/* its event comes; or is lost */
			pulse__timer_arm(inc->e, &inc->entry->tick, UNTOLD_NS, 0);
	} else {
		inc->why = why;
		process_over(inc);
	}
	pthread_mutex_unlock(&inc->e->lock);
}

void pulse__process_reap(struct pulse_child *inc)
{
	if (inc->ctl_id)
		pulse_poller_del(inc->e->poller, inc->ctl_id);
	if (inc->pidfd_id)
		pulse_poller_del(inc->e->poller, inc->pidfd_id);
	inc->ctl_id = inc->pidfd_id = 0;
	if (inc->ctl >= 0)
		close(inc->ctl);
	if (inc->pidfd >= 0)
		close(inc->pidfd);
	inc->ctl = inc->pidfd = -1;
	pulse__watch_forget(inc);
}

/* ---- start, stop -------------------------------------------------------------------- */

static int open_cgroup(const char *cgroup)
{
	char path[512];
	int fd;

	if (!cgroup)
		return -1;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The environment with PULSE_CHILD_FD; one allocation, to be freed. */
static char **make_envp(char *const *from, int ctl, char text[32])
{
	size_t n = 0;
	char **to;

	if (!from)
		from = environ;
	while (from[n])
		n++;
	to = pulse__malloc((n + 2) * sizeof(*to));
	if (!to)
		return NULL;
	memcpy(to, from, n * sizeof(*to));
	if (ctl >= 0) {
		snprintf(text, 32, "PULSE_CHILD_FD=%d", ctl);
		to[n++] = text;
	}
	to[n] = NULL;
	return to;
}

static void kill_it(const struct pulse_child *inc, int sig)
{
	/* Not reaped yet, so neither number can be anybody else's. */
	if (inc->spec->s.flags & PULSE_CHILD_GROUP)
		kill(-inc->pid, sig);
	else
		syscall(SYS_pidfd_send_signal, inc->pidfd, sig, NULL, 0);
}

/* It runs: be told of its end and of what it says. */
static int look_after(struct pulse_child *inc, int said)
{
	struct pulse_poller *poller = inc->e->poller;
	int err;

	inc->ctl = said;
	inc->pidfd = pulse__alloc_fault() ? (errno = ENOMEM, -1) :
		     (int)syscall(SYS_pidfd_open, inc->pid, 0);
	if (inc->pidfd < 0)
		return -errno;
	err = pulse_poller_add(poller, inc->pidfd, PULSE_POLLER_IN, on_end, inc,
			       &inc->pidfd_id);
	if (!err && said >= 0)
		err = pulse_poller_add(poller, said, PULSE_POLLER_IN, on_said,
				       inc, &inc->ctl_id);
	return err;
}

static void take_back(struct pulse_child *inc)
{
	if (inc->pid > 0) {
		kill(inc->pid, SIGKILL);
		while (waitpid(inc->pid, NULL, 0) < 0 && errno == EINTR)
			;
		WRITE_ONCE(inc->pid, 0);
	}
	pulse__process_reap(inc);
}

static int process_start(struct pulse_child *inc, void *arg)
{
	const struct pulse_child_spec *s = &inc->spec->s;
	struct pulse__spawn sp = { .inc = inc, .s = s, .report_fd = -1,
				   .parent = inc->e->pid,
				   .argv = (char **)s->argv };
	int said[2] = { -1, -1 };
	char text[32];
	pid_t pid;
	int err;

	(void)arg;
	sigemptyset(&sp.mask);	/* whatever the starter has blocked */
	sp.cgroup_fd = open_cgroup(s->cgroup);
	if (sp.cgroup_fd < -1)
		return sp.cgroup_fd;
	inc->oom_kills = oom_kills(s->cgroup);
	if (((s->flags & PULSE_CHILD_READY) || s->hang_ms) &&
	    pipe2(said, O_CLOEXEC | O_NONBLOCK)) {
		err = -errno;
		goto out;
	}
	inc->child_ctl = said[1];
	err = -ENOMEM;
	if (s->path) {
		sp.envp = make_envp(s->envp, said[1], text);
		if (!sp.envp)
			goto out;
	}
	pid = s->path ? pulse__spawn_program(&sp) : pulse__spawn_function(&sp);
	err = pid < 0 ? pid : 0;
	WRITE_ONCE(inc->pid, pid < 0 ? 0 : pid);
	if (!err) {
		err = look_after(inc, said[0]);
		said[0] = -1;	/* closed with the rest */
	}
	if (err)
		take_back(inc);
out:
	inc->child_ctl = -1;
	pulse__free(sp.envp);
	for (int i = 0; i < 2; i++) {
		if (said[i] >= 0)
			close(said[i]);
	}
	if (sp.cgroup_fd >= 0)
		close(sp.cgroup_fd);
	return err;
}

static void process_stop(struct pulse_child *inc, void *arg)
{
	(void)arg;
	kill_it(inc, inc->spec->s.stop_signal);
}

static void process_kill(struct pulse_child *inc, void *arg)
{
	(void)arg;
	kill_it(inc, SIGKILL);
}

const struct pulse_child_ops pulse__process_ops = {
	.sz = sizeof(pulse__process_ops),
	.name = "process",
	.start = process_start,
	.stop = process_stop,
	.kill = process_kill,
};

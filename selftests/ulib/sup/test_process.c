// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that are processes: exact reasons (V11), hangs and limits, the
 * sandbox, programs, what is lacking (EMFILE, fork), and that they end with
 * whoever supervises them.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "helpers.h"

/* Stand before libc's; the library's calls come here too. */
static int fork_fails;

pid_t fork(void)
{
	static pid_t (*real)(void);

	if (!real) {
		void *sym = dlsym(RTLD_NEXT, "fork");

		memcpy(&real, &sym, sizeof(sym));
	}
	if (GET(fork_fails)) {
		__atomic_fetch_sub(&fork_fails, 1, __ATOMIC_SEQ_CST);
		errno = EAGAIN;
		return -1;
	}
	return real();
}

/* Shared with the children. */
static struct shared {
	int starts;
	int how;
	int go;
	int seen;
	pid_t pid;
	long value[4];
} *sh;

__attribute__((constructor)) static void share(void)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static struct pulse_sup *sup_of(int max)
{
	struct pulse_sup *sup = NULL;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = max, .period_ms = 600000);
	KT_EQ(pulse_sup_create(&o, &sup), 0);
	memset(sh, 0, sizeof(*sh));
	return sup;
}

/* Of the incarnation that runs; never 0, which kill() takes for a group. */
static pid_t pid_of(struct pulse_sup *sup, const char *id)
{
	pid_t pid = -1;

	KT_CHECK(EVENTUALLY(status_of(sup, id) == PULSE_CHILD_RUNNING &&
			    (pid = info_of(sup, id).pid) > 0));
	return pid > 0 ? pid : INT_MAX;
}

static int sleeps(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(sh->starts);
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

static int ends_somehow(struct pulse_child *self, void *arg)
{
	struct rlimit none = { 0, 0 };

	(void)arg;
	if (INC(sh->starts))
		return pulse_child_wait(self, PULSE_FOREVER);
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	switch (sh->how) {
	case 1:
		return 42;
	case 2:
		raise(SIGSEGV);
		break;
	case 3:
		raise(SIGKILL);
		break;
	case 4:
		raise(SIGABRT);
		break;
	case 5:
		return -ESHUTDOWN;
	case 6:
		raise(SIGTERM);	/* nobody asked it to */
		break;
	default:
		break;
	}
	return 0;
}

/* V11 */
KT_TEST(reasons_of_processes_are_exact)
{
	static const struct { uint32_t kind; int code, signal; } want[] = {
		{ PULSE_EXIT_NORMAL, 0, 0 }, { PULSE_EXIT_CODE, 42, 0 },
		{ PULSE_EXIT_SIGNAL, 0, SIGSEGV }, { PULSE_EXIT_SIGNAL, 0, SIGKILL },
		{ PULSE_EXIT_SIGNAL, 0, SIGABRT }, { PULSE_EXIT_NORMAL, 0, 0 },
		{ PULSE_EXIT_SIGNAL, 0, SIGTERM },
	};
	char text[80];

	for (int how = 0; how < 7; how++) {
		struct pulse_sup *sup = sup_of(5);
		PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = ends_somehow,
			   .kind = PULSE_CHILD_PROCESS);
		struct pulse_child_info i;

		sh->how = how;
		KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		KT_CHECK(EVENTUALLY(GET(sh->starts) == 2 &&
				    status_of(sup, "p") == PULSE_CHILD_RUNNING));
		i = info_of(sup, "p");
		KT_EQ(i.last_exit.kind, want[how].kind);
		KT_EQ(i.last_exit.code, want[how].code);
		KT_EQ(i.last_exit.signal, want[how].signal);
		if (how == 2) {
			KT_CHECK(pulse_exit_text(&i.last_exit, text, 80) > 0);
			KT_STREQ(text, "ended by SIGSEGV");
		}
		KT_CHECK(i.pid > 0);
		KT_EQ(pulse_sup_destroy(sup), 0);
		KT_EQ(kill(i.pid, 0), -1);
	}
}

KT_TEST(a_process_killed_from_outside_is_restarted)
{
	struct pulse_sup *sup = sup_of(50);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);
	PULSE_OPTS(pulse_child_spec, other, .id = "q", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);
	pid_t untouched;

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &other, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	untouched = pid_of(sup, "q");
	for (int i = 1; i <= 20; i++) {
		pid_t pid = pid_of(sup, "p");

		KT_EQ(kill(pid, SIGKILL), 0);
		KT_CHECK(EVENTUALLY(info_of(sup, "p").incarnation ==
				    (uint64_t)i + 1));
		KT_CHECK(pid_of(sup, "p") != pid);
		KT_EQ(info_of(sup, "p").last_exit.signal, SIGKILL);
		KT_EQ(info_of(sup, "p").last_exit.kind, PULSE_EXIT_SIGNAL);
	}
	KT_EQ(pid_of(sup, "q"), untouched);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int ignores_term(struct pulse_child *self, void *arg)
{
	(void)self;
	(void)arg;
	signal(SIGTERM, SIG_IGN);
	INC(sh->starts);
	pulse_child_ready(self);
	while (!GET(sh->go))
		pause();
	return 0;
}

static int catches_term(struct pulse_child *self, void *arg)
{
	(void)arg;
	INC(sh->starts);
	pulse_child_ready(self);
	if (!pulse_child_wait(self, PULSE_FOREVER))
		INC(sh->seen);
	return 5;
}

/* V09 */
KT_TEST(a_process_is_asked_then_killed)
{
	struct pulse_sup *sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, deaf, .id = "deaf", .fn = ignores_term,
		   .kind = PULSE_CHILD_PROCESS, .shutdown_ms = 30,
		   .flags = PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, plain, .id = "plain", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);
	PULSE_OPTS(pulse_child_spec, caught, .id = "caught", .fn = catches_term,
		   .kind = PULSE_CHILD_PROCESS,
		   .flags = PULSE_CHILD_CATCH_STOP | PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, brutal, .id = "brutal", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS,
		   .shutdown_ms = PULSE_SHUTDOWN_BRUTAL);

	KT_EQ(pulse_sup_start_child(sup, &deaf, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &plain, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &caught, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &brutal, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_terminate_child(sup, "deaf"), 0);
	KT_EQ(info_of(sup, "deaf").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(info_of(sup, "deaf").last_exit.signal, SIGKILL);
	KT_EQ(pulse_sup_terminate_child(sup, "plain"), 0);
	KT_EQ(info_of(sup, "plain").last_exit.kind, PULSE_EXIT_SHUTDOWN);
	KT_EQ(info_of(sup, "plain").last_exit.signal, SIGTERM);
	KT_EQ(pulse_sup_terminate_child(sup, "caught"), 0);
	KT_EQ(info_of(sup, "caught").last_exit.kind, PULSE_EXIT_CODE);
	KT_EQ(info_of(sup, "caught").last_exit.code, 5);
	KT_EQ(sh->seen, 1);
	KT_EQ(pulse_sup_terminate_child(sup, "brutal"), 0);
	KT_EQ(info_of(sup, "brutal").last_exit.kind, PULSE_EXIT_KILLED);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int beats_then_stops(struct pulse_child *self, void *arg)
{
	int n = INC(sh->starts);

	(void)arg;
	for (int i = 0; i < 10; i++) {
		pulse_child_beat(self);
		nap_ms(5);
	}
	while (!n)
		pause();
	return sleeps(self, arg);
}

/* V11: hang, and memory over its limit. */
KT_TEST(a_process_that_hangs_is_replaced)
{
	struct pulse_sup *sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = beats_then_stops,
		   .kind = PULSE_CHILD_PROCESS, .hang_ms = 1500);

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) == 3));
	KT_EQ(info_of(sup, "p").last_exit.kind, PULSE_EXIT_HANG);
	KT_EQ(info_of(sup, "p").last_exit.signal, SIGKILL);
	nap_ms(3000);
	KT_EQ(sh->starts, 3);	/* one that waits gets on */
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int eats(struct pulse_child *self, void *arg)
{
	size_t bytes = 256U << 20;
	char *p;

	if (INC(sh->starts))
		return sleeps(self, arg);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	for (;;) {
		if (p != MAP_FAILED)
			p[0]++;
		nap_ms(10);
	}
}

KT_TEST(a_process_over_its_memory_is_restarted)
{
	struct pulse_sup *sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = eats,
		   .kind = PULSE_CHILD_PROCESS, .health_interval_ms = 20,
		   .max_memory_bytes = 200U << 20);

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) >= 2));
	KT_EQ(info_of(sup, "p").last_exit.kind, PULSE_EXIT_MEMORY);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* V11: a folder that looks like a cgroup; the child is in it and gets killed. */
KT_TEST(the_oom_killer_of_a_cgroup_is_told_from_others)
{
	char dir[] = "/tmp/pulse-cgroup-XXXXXX", cmd[64], line[16] = "";
	char path[64];
	FILE *f;

	KT_REQUIRE(mkdtemp(dir));
	for (int oom = 0; oom < 2; oom++) {
		struct pulse_sup *sup = sup_of(5);
		PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
			   .kind = PULSE_CHILD_PROCESS, .cgroup = dir);

		put(dir, "cgroup.procs", "");
		put(dir, "memory.events", "low 0\nhigh 0\nmax 0\noom 3\noom_kill 3\n");
		KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
		KT_EQ(pulse_sup_start(sup), 0);
		if (oom)
			put(dir, "memory.events", "low 0\noom 4\noom_kill 4\n");
		KT_EQ(kill(pid_of(sup, "p"), SIGKILL), 0);
		KT_CHECK(EVENTUALLY(info_of(sup, "p").incarnation == 2));
		KT_EQ(info_of(sup, "p").last_exit.kind,
		      oom ? PULSE_EXIT_OOM : PULSE_EXIT_SIGNAL);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "r");
	KT_CHECK(f && fgets(line, sizeof(line), f) && *line == '0');
	if (f)
		fclose(f);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	KT_EQ(system(cmd), 0);
}

/* A cgroup with 50 MB, in a hierarchy that is there or can be mounted. */
static bool cgroup_with_memory(char *top, char *dir, size_t bytes)
{
	struct statfs fs;

	strcpy(top, "/tmp/pulse-cg2-XXXXXX");
	if (!mkdtemp(top))
		return false;
	if (mount("none", top, "cgroup2", 0, NULL)) {
		rmdir(top);
		strcpy(top, "/sys/fs/cgroup");
	}
	if (statfs(top, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return false;
	put(top, "cgroup.subtree_control", "+memory");
	snprintf(dir, bytes, "%s/pulse-sup-test", top);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return false;
	put(dir, "memory.max", "50000000");
	put(dir, "memory.swap.max", "0");
	snprintf(dir, bytes, "%s/pulse-sup-test/memory.max", top);
	if (access(dir, W_OK)) {
		*strrchr(dir, '/') = 0;
		rmdir(dir);
		return false;
	}
	*strrchr(dir, '/') = 0;
	return true;
}

static void no_cgroup(const char *top)
{
	if (!strncmp(top, "/tmp/", 5)) {
		umount(top);
		rmdir(top);
	}
}

/* V11: the real one, where there is a cgroup v2 to be had. */
KT_TEST(a_process_that_runs_its_cgroup_out_of_memory)
{
	char top[64], dir[128];
	struct pulse_sup *sup;

	if (!cgroup_with_memory(top, dir, sizeof(dir))) {
		no_cgroup(top);
		KT_SKIP("no cgroup v2 with a memory controller that may be written");
	}
	sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = eats,
		   .kind = PULSE_CHILD_PROCESS, .cgroup = dir);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) >= 2));
	KT_EQ(info_of(sup, "p").last_exit.kind, PULSE_EXIT_OOM);
	KT_EQ(info_of(sup, "p").last_exit.signal, SIGKILL);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_CHECK(EVENTUALLY(!rmdir(dir)));
	no_cgroup(top);
}

static int tells_sandbox(struct pulse_child *self, void *arg)
{
	struct rlimit lim;
	char cwd[64];

	sh->value[0] = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	sh->value[1] = getrlimit(RLIMIT_NOFILE, &lim) ? -1 : (long)lim.rlim_cur;
	sh->value[2] = getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/") &&
		       getpgrp() == getpid();
	sh->value[3] = getuid() * 100000L + getgid();
	return sleeps(self, arg);
}

KT_TEST(a_sandbox_is_what_was_asked_for_or_the_start_fails)
{
	const struct pulse_child_rlimit lim[] = {
		{ .resource = RLIMIT_NOFILE, .soft = 77, .hard = 99 },
	};
	const struct pulse_child_rlimit more[] = {
		{ .resource = RLIMIT_NOFILE, .soft = 1, .hard = 1ULL << 40 },
	};
	struct pulse_sup *sup = sup_of(5);
	bool root = !getuid();

	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = tells_sandbox,
		   .kind = PULSE_CHILD_PROCESS, .chdir = "/", .rlimits = lim,
		   .nr_rlimits = 1,
		   .flags = PULSE_CHILD_NO_NEW_PRIVS | PULSE_CHILD_GROUP);
	if (root) {
		spec.uid = 65534 + 1;
		spec.gid = 65533 + 1;
	}
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) == 1));
	KT_EQ(sh->value[0], 1);
	KT_EQ(sh->value[1], 77);
	KT_EQ(sh->value[2], 1);
	if (root)
		KT_EQ(sh->value[3], 65534L * 100000 + 65533);
	spec.id = "nowhere";
	spec.chdir = "/nonexistent";
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), -ENOENT);
	spec.fn = NULL;
	spec.path = "/bin/true";
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), -ENOENT);
	spec.chdir = NULL;
	spec.rlimits = more;
	KT_CHECK(pulse_sup_start_child(sup, &spec, NULL) == -EPERM ||
		 pulse_sup_start_child(sup, &spec, NULL) == -EALREADY || root);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(programs_with_arguments_environment_and_their_own_words)
{
	char *const argv[] = { "sh", "-c",
		"test \"$1\" = one && test \"$WORD\" = two || exit 9;"
		"echo -n R >&$PULSE_CHILD_FD; exec sleep 1000", "sh", "one", NULL };
	char *const envp[] = { "WORD=two", "PATH=/bin:/usr/bin", NULL };
	struct pulse_sup *sup = sup_of(5);

	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .path = "/bin/sh",
		   .argv = argv, .envp = envp, .kind = PULSE_CHILD_PROCESS,
		   .flags = PULSE_CHILD_READY);
	PULSE_OPTS(pulse_child_spec, none, .id = "none", .path = "/bin/nonexistent",
		   .kind = PULSE_CHILD_PROCESS);
	PULSE_OPTS(pulse_child_spec, ends, .id = "false", .path = "/bin/false",
		   .kind = PULSE_CHILD_PROCESS, .restart = PULSE_CHILD_TRANSIENT);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(status_of(sup, "p"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_start_child(sup, &none, NULL), -ENOENT);
	spec.id = "q";
	spec.envp = NULL;	/* WORD is missing: it ends before it is ready */
	KT_CHECK(pulse_sup_start_child(sup, &spec, NULL) < 0);
	KT_EQ(pulse_sup_start_child(sup, &ends, NULL), 0);
	KT_EQ(pulse_sup_wait(sup, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_sup_shutdown(sup, -1), -ENOTRECOVERABLE);
	KT_EQ(info_of(sup, "false").last_exit.code, 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_TEST(without_fork_or_descriptors_a_start_fails_and_is_tried_again)
{
	struct rlimit old, few;
	struct pulse_sup *sup = sup_of(50);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS, .flags = PULSE_CHILD_GROUP);
	PULSE_OPTS(pulse_child_spec, more, .id = "more", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);
	int fds;

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	fds = OPEN_FDS();
	SET(fork_fails, 1);
	KT_EQ(pulse_sup_start_child(sup, &more, NULL), -EAGAIN);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &few);
	KT_EQ(pulse_sup_start_child(sup, &more, NULL), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	KT_EQ(OPEN_FDS(), fds);
	SET(fork_fails, 5);
	KT_EQ(kill(pid_of(sup, "p"), SIGKILL), 0);
	/* A start under way counts as an incarnation until it has failed. */
	KT_CHECK(EVENTUALLY(!GET(fork_fails) &&
			    status_of(sup, "p") == PULSE_CHILD_RUNNING &&
			    info_of(sup, "p").incarnation == 2));
	KT_EQ(stats_of(sup).total_restarts, 6);
	KT_EQ(OPEN_FDS(), fds);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/* In a supervisor of its own each, where nothing is there from the one before. */
static bool start_fails_at(const struct pulse_child_spec *spec, long n)
{
	struct pulse_sup *sup = sup_of(5);
	bool failed;
	int fds, err;

	KT_EQ(pulse_sup_start(sup), 0);
	fds = OPEN_FDS();
	pulse__alloc_fail_at(n);
	err = pulse_sup_start_child(sup, spec, NULL);
	failed = pulse__alloc_failed();
	pulse__alloc_fail_at(0);
	KT_CHECKF(failed ? err == -ENOMEM || err == -EAGAIN : !err, "n = %ld: %d",
		  n, err);
	if (failed)
		KT_EQ(OPEN_FDS(), fds);
	KT_EQ(pulse_sup_destroy(sup), 0);
	return failed;
}

KT_TEST(each_failing_allocation_of_a_start_unwinds)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS, .hang_ms = 100000, .chdir = "/");
	PULSE_OPTS(pulse_child_spec, prog, .id = "q", .path = "/bin/sleep",
		   .kind = PULSE_CHILD_PROCESS, .hang_ms = 100000);
	char *const argv[] = { "sleep", "1000", NULL };

	prog.argv = argv;
	for (int k = 0; k < 2; k++) {
		long n = 1;

		while (n < 100 && start_fails_at(k ? &prog : &spec, n))
			n++;
		KT_CHECKF(n > 8 && n < 100, "%ld allocations", n - 1);
	}
}

/* The name of its cgroup is copied as well; that there is none is told after it. */
KT_TEST(each_failing_allocation_of_a_spec_with_a_cgroup_is_told)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps, .chdir = "/",
		   .kind = PULSE_CHILD_PROCESS, .cgroup = "/nowhere/at/all");
	struct pulse_sup *sup = sup_of(5);
	int err = -ENOMEM;
	long i = 1;

	KT_EQ(pulse_sup_start(sup), 0);
	for (; i < 100; i++) {
		pulse__alloc_fail_at(i);
		err = pulse_sup_start_child(sup, &spec, NULL);
		if (!pulse__alloc_failed())
			break;
		KT_CHECKF(err == -ENOMEM || err == -EAGAIN, "n = %ld: %d", i, err);
	}
	pulse__alloc_fail_at(0);
	KT_CHECKF(i > 4, "%ld allocations", i - 1);
	KT_EQ(err, -ENOENT);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int supervises(void)
{
	struct pulse_sup *sup;
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);

	if (pulse_sup_create(NULL, &sup) ||
	    pulse_sup_start_child(sup, &spec, NULL) || pulse_sup_start(sup))
		return 1;
	/* Who started it may end: the children are not that thread's. */
	SET(sh->pid, pid_of(sup, "p"));
	for (;;)
		pause();
}

/* V11 */
KT_TEST(children_end_with_a_supervisor_that_is_killed)
{
	pid_t pid;

	memset(sh, 0, sizeof(*sh));
	SET(fork_fails, 0);
	pid = fork();
	if (!pid)
		_exit(supervises());
	KT_REQUIRE(pid > 0);
	KT_CHECK(EVENTUALLY(GET(sh->pid) && GET(sh->starts)));
	KT_EQ(kill(sh->pid, 0), 0);
	KT_EQ(kill(pid, SIGKILL), 0);
	KT_EQ(waitpid(pid, NULL, 0), pid);
	/* Gone, or a zombie that nobody here can wait for. */
	KT_CHECK(EVENTUALLY(({
		char path[64], line[256] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", sh->pid);
		f = fopen(path, "r");
		if (f && !fgets(line, sizeof(line), f))
			line[0] = 0;
		if (f)
			fclose(f);
		!f || strstr(line, ") Z ") || strstr(line, ") X ");
	})));
}

static void *starts_it(void *arg)
{
	KT_EQ(pulse_sup_start(arg), 0);
	return NULL;
}

KT_TEST(the_thread_that_starts_a_supervisor_may_end)
{
	struct pulse_sup *sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS);
	pthread_t t;

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pthread_create(&t, NULL, starts_it, sup), 0);
	KT_EQ(pthread_join(t, NULL), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) == 1));
	nap_ms(50);
	KT_EQ(info_of(sup, "p").incarnation, 1);
	KT_EQ(status_of(sup, "p"), PULSE_CHILD_RUNNING);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int uses_what_it_inherited(struct pulse_child *self, void *arg)
{
	struct pulse_sup *sup = arg;
	struct pulse_sup_stats s = { .sz = sizeof(s) };

	sh->value[0] = pulse_sup_stats(sup, &s);
	sh->value[1] = pulse_sup_terminate_child(sup, "p");
	sh->value[2] = pulse_child_state(self) == sh;
	return sleeps(self, arg);
}

KT_TEST(a_child_cannot_use_the_supervisor_it_inherited_but_its_state)
{
	struct pulse_sup *sup = sup_of(5);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .arg = sup, .state = sh,
		   .fn = uses_what_it_inherited, .kind = PULSE_CHILD_PROCESS);

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(GET(sh->starts) == 1));
	KT_EQ(sh->value[0], -EOWNERDEAD);
	KT_EQ(sh->value[1], -EOWNERDEAD);
	KT_EQ(sh->value[2], 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int dies_often(struct pulse_child *self, void *arg)
{
	if (INC(sh->starts) < (long)arg)
		return 1;
	INC(sh->seen);
	return sleeps(self, arg);
}

KT_TEST(a_thousand_restarts_leave_nothing_behind)
{
	long n = kt_scale(1000);
	int fds = OPEN_FDS(), threads = THREADS();
	struct pulse_sup *sup = sup_of(65535);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = dies_often,
		   .arg = (void *)n, .kind = PULSE_CHILD_PROCESS,
		   .hang_ms = 100000);

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	for (long at = 0; at < n; at = GET(sh->starts))
		KT_REQUIRE(EVENTUALLY(GET(sh->starts) > at));
	KT_CHECK(EVENTUALLY(GET(sh->seen) == 1));
	KT_EQ(stats_of(sup).total_restarts, n);
	KT_EQ(info_of(sup, "p").last_exit.code, 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(OPEN_FDS(), fds);
	KT_CHECK(EVENTUALLY(THREADS() <= threads));
	KT_EQ(waitpid(-1, NULL, WNOHANG), -1);	/* no zombie of ours */
}

KT_MAIN()

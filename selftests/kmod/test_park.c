// SPDX-License-Identifier: GPL-2.0-only
/*
 * PARK and WAKE: permits, deadlines, signals, closing, dying.
 */
#include <sys/ptrace.h>

#include "dev.h"
#include "cgroup.h"

#define WORD	PULSE_PARK_WORD(7, PULSE_PARK_PARKING)

static struct dev d;

static int begin_as_worker(void)
{
	return dev_begin_worker(&d, 8, WORD);
}

/* P01 */
KT_TEST(a_wake_before_the_park_makes_it_return_at_once)
{
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), 0);
	KT_EQ(kstate_read(&d, i).n_park, 0);
	dev_end(&d);
}

KT_TEST(permits_do_not_add_up)
{
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(park(d.fd, i, WORD, 0), 0);
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	dev_end(&d);
}

KT_TEST(a_wake_ends_a_park)
{
	struct parker p = { .word = WORD };
	long long parks, wakes;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	parks = sysfs_read("parks");
	wakes = sysfs_read("wakes");
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	for (int n = 1; n <= 20; n++) {
		KT_EQ(wake_one(d.fd, p.index), 1);
		KT_CHECK(EVENTUALLY(parker_returns(&p) == n));
		KT_EQ(p.last, 0);
		KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	}
	parker_stop(&p);
	KT_CHECK(kstate_read(&d, p.index).n_park >= 21);
	KT_CHECK(sysfs_read("parks") >= parks + 21);
	KT_CHECK(sysfs_read("wakes") >= wakes + 21);
	dev_end(&d);
}

KT_TEST(a_park_word_that_moved_means_eagain)
{
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_EQ(park(d.fd, i, PULSE_PARK_WORD(8, PULSE_PARK_PARKING),
		   PULSE_NO_DEADLINE), -EAGAIN);
	set_word(&d, i, PULSE_PARK_WORD(7, PULSE_PARK_NOTIFIED));
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), -EAGAIN);
	/* a permit goes first */
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), 0);
	dev_end(&d);
}

/* P05 */
KT_TEST(a_deadline_in_the_past_does_not_sleep)
{
	struct pulse_kstate before, after;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	before = kstate_read(&d, i);
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	KT_EQ(park(d.fd, i, WORD, now_ns() - 1), -ETIMEDOUT);
	after = kstate_read(&d, i);
	KT_EQ(after.n_park, before.n_park);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(park(d.fd, i, WORD, 0), 0);
	dev_end(&d);
}

/* P05 */
KT_TEST(a_negative_deadline_is_refused)
{
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_EQ(park(d.fd, i, WORD, -1), -EINVAL);
	KT_EQ(park(d.fd, i, WORD, INT64_MIN), -EINVAL);
	dev_end(&d);
}

/* P05 */
KT_TEST(a_park_ends_at_its_deadline_and_not_before)
{
	long long end;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	end = now_ns() + 30 * NS_PER_MS;
	KT_EQ(park(d.fd, i, WORD, end), -ETIMEDOUT);
	KT_CHECK(now_ns() >= end);
	KT_EQ(kstate_read(&d, i).n_park, 1);
	dev_end(&d);
}

static int set_clock(long long offset_s)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += offset_s;
	return clock_settime(CLOCK_REALTIME, &ts) ? -errno : 0;
}

/* P05: a deadline is of the clock that nobody sets */
KT_TEST(setting_the_clock_moves_no_deadline)
{
	struct parker far = { .word = WORD };
	long long end;

	NEED_DEVICE();
	if (!in_vm())
		KT_SKIP("only in a machine of its own");
	for (int hour = 3600; hour >= -3600; hour -= 7200) {
		struct parker near = { .word = WORD, .end = 1 };

		KT_REQUIRE(!dev_begin(&d, 8));
		far.end = far.returns = 0;
		far.deadline_ns = now_ns() + 1800 * NS_PER_SEC;
		end = near.deadline_ns = now_ns() + 2 * NS_PER_SEC;
		KT_REQUIRE(parker_start(&far, &d, PULSE_NODE_ANY));
		KT_REQUIRE(parker_start(&near, &d, PULSE_NODE_ANY));
		KT_EQ(set_clock(hour), 0);
		pthread_join(near.thread, NULL);
		KT_EQ(near.last, -ETIMEDOUT);
		KT_CHECK(now_ns() >= end);
		KT_EQ(parker_returns(&far), 0);
		KT_EQ(set_clock(-hour), 0);
		KT_EQ(parker_returns(&far), 0);
		parker_stop(&far);
		KT_EQ(far.last, 0);
		dev_end(&d);
	}
}

/* P09: an index of this context is all that can be woken by it */
KT_TEST(a_thread_id_or_a_worker_of_another_context_cannot_be_woken)
{
	struct parker p = { .word = WORD };
	struct dev other;
	long long switches;
	__u32 list[3];

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&other, 8));
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	/* the same index as in d: nobody; a thread and a process by their ids */
	KT_REQUIRE(parker_start(&p, &other, PULSE_NODE_ANY));
	KT_EQ(worker_del(d.fd, 0), 0);
	d.self = -1;
	KT_EQ(p.index, 0);
	switches = voluntary_switches(p.tid);
	KT_CHECK(switches > 0);
	list[0] = (__u32)p.index;
	list[1] = (__u32)p.tid;
	list[2] = 1;
	for (int i = 0; i < 3; i++)
		KT_EQ(wake_one(d.fd, (int)list[i]), -ESRCH);
	KT_EQ(wake_list(d.fd, list, 3), -ESRCH);
	KT_EQ(yield_to(d.fd, p.tid), -ESRCH);
	KT_EQ(wake_node(d.fd, 0, 8, PULSE_WAKE_SPILL), 0);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(handoff(d.fd, 0, p.tid, WORD, 0), -ESRCH);
	KT_EQ(handoff(d.fd, 0, 1, WORD, 0), -ESRCH);
	sleep_ms(50);
	KT_EQ(parker_returns(&p), 0);
	KT_EQ(voluntary_switches(p.tid), switches);
	KT_EQ(state_of(&other, p.index), PULSE_STATE_PARKED);
	parker_stop(&p);
	dev_end(&d);
	dev_end(&other);
}

KT_TEST(a_park_of_another_thread_or_of_nobody_is_refused)
{
	struct parker p = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(park(d.fd, p.index, WORD, 0), -EPERM);
	KT_EQ(worker_del(d.fd, p.index), -EPERM);
	KT_EQ(park(d.fd, p.index + 1, WORD, 0), -ESRCH);
	KT_EQ(park(d.fd, 8, WORD, 0), -ESRCH);
	KT_EQ(park(d.fd, -1, WORD, 0), -ESRCH);
	KT_EQ(worker_del(d.fd, p.index + 1), -ESRCH);
	KT_EQ(worker_del(d.fd, INT32_MAX), -ESRCH);
	parker_stop(&p);
	dev_end(&d);
}

/* K14 */
KT_TEST(a_wake_list_follows_its_rules)
{
	static __u32 list[PULSE_MAX_WORKERS + 1];
	struct parker p = { .word = WORD }, q = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_REQUIRE(parker_start(&q, &d, PULSE_NODE_ANY));

	KT_EQ(wake_list(d.fd, NULL, 0), 0);
	KT_EQ(wake_list(d.fd, list, PULSE_MAX_WORKERS + 1), -E2BIG);
	KT_EQ(wake_list(d.fd, list, UINT32_MAX), -E2BIG);
	KT_EQ(wake_list(d.fd, list, 1U << 30), -E2BIG);
	KT_EQ(parker_returns(&p) + parker_returns(&q), 0);

	/* nobody there, and numbers that cannot be */
	for (int i = 0; i < 100; i++)
		list[i] = 2 + (__u32)i * 0x01234567U;
	KT_EQ(wake_list(d.fd, list, 100), -ESRCH);
	list[0] = UINT32_MAX;
	KT_EQ(wake_list(d.fd, list, 1), -ESRCH);

	/* each live worker counts once, however often it is named */
	for (int i = 0; i < PULSE_MAX_WORKERS; i++)
		list[i] = (__u32)(i & 1 ? p.index : q.index);
	KT_EQ(wake_list(d.fd, list, PULSE_MAX_WORKERS), 2);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1 && parker_returns(&q) == 1));

	list[0] = (__u32)p.index;
	list[1] = 7;
	KT_EQ(wake_list(d.fd, list, 2), 1);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 2));
	KT_EQ(parker_returns(&q), 1);
	parker_stop(&p);
	parker_stop(&q);
	dev_end(&d);
}

static volatile int signals;

static void count_signal(int sig)
{
	(void)sig;
	signals++;
}

/* Sends SIGUSR1 to the main thread until told to stop. */
static volatile int storm_end;

static void *storm(void *arg)
{
	while (!storm_end) {
		syscall(SYS_tgkill, getpid(), *(pid_t *)arg, SIGUSR1);
		usleep(100);
	}
	return NULL;
}

static int storm_begin(int sa_flags, pthread_t *t, pid_t *tid)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = sa_flags };

	sigaction(SIGUSR1, &sa, NULL);
	*tid = (pid_t)syscall(SYS_gettid);
	signals = 0;
	storm_end = 0;
	return pthread_create(t, NULL, storm, tid);
}

/* P04 */
KT_TEST(a_signal_storm_with_sa_restart_moves_no_deadline)
{
	pthread_t t;
	long long end;
	pid_t tid;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(!storm_begin(SA_RESTART, &t, &tid));
	end = now_ns() + 300 * NS_PER_MS;
	KT_EQ(park(d.fd, i, WORD, end), -ETIMEDOUT);
	KT_CHECK(now_ns() >= end);
	/* a deadline that began anew with each signal would never come */
	KT_CHECK(now_ns() < end + 20 * NS_PER_SEC);
	storm_end = 1;
	pthread_join(t, NULL);
	KT_CHECK(signals > 0);
	dev_end(&d);
}

/* P04 */
KT_TEST(a_signal_without_sa_restart_means_eintr)
{
	pthread_t t;
	pid_t tid;
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(!storm_begin(0, &t, &tid));
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), -EINTR);
	storm_end = 1;
	pthread_join(t, NULL);
	dev_end(&d);
}

/* P03 */
KT_TEST(sigkill_ends_a_park)
{
	int status, pipefd[2];
	long long workers;
	char c;
	pid_t pid;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	KT_REQUIRE(!pipe(pipefd));
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		int i = begin_as_worker();

		(void)!write(pipefd[1], "x", 1);
		_exit(park(d.fd, i, WORD, PULSE_NO_DEADLINE) ? 1 : 0);
	}
	KT_EQ(read(pipefd[0], &c, 1), 1);
	sleep_ms(20);
	kill(pid, SIGKILL);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
	close(pipefd[0]);
	close(pipefd[1]);
}

/* P12 */
KT_TEST(stop_and_continue_lose_neither_the_park_nor_its_permit)
{
	struct shared { int index; int ret; } *s;
	int status;
	pid_t pid;

	NEED_DEVICE();
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	KT_REQUIRE(s != MAP_FAILED);
	s->index = -1;
	s->ret = -1;
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		struct parker p = { .word = WORD };

		if (dev_begin(&d, 8) || !parker_start(&p, &d, PULSE_NODE_ANY))
			_exit(1);
		__atomic_store_n(&s->index, p.index, __ATOMIC_SEQ_CST);
		kill(getpid(), SIGSTOP);
		sleep_ms(10);
		if (parker_returns(&p))
			_exit(2);	/* it must have gone on sleeping */
		parker_stop(&p);
		_exit(p.last ? 3 : 0);
	}
	KT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	KT_CHECK(WIFSTOPPED(status));
	sleep_ms(20);
	kill(pid, SIGCONT);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECKF(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	munmap(s, 4096);
}

#define FREEZE	"pulse-freeze"

static bool cgroup_is_frozen(int yes)
{
	return file_number(CGROUPS FREEZE "/cgroup.events", "frozen ") == yes;
}

/* P12 */
KT_TEST(the_freezer_stops_a_parked_process_and_lets_it_go_on)
{
	struct { int ready, go, ret; } *s;
	int status;
	pid_t pid;

	NEED_DEVICE();
	if (mkdir(CGROUPS FREEZE, 0755) ||
	    access(CGROUPS FREEZE "/cgroup.freeze", F_OK)) {
		rmdir(CGROUPS FREEZE);
		KT_SKIP("no freezer of cgroup version 2 here");
	}
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	KT_REQUIRE(s != MAP_FAILED);
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		struct parker p = { .word = WORD };

		if (cgroup_enter(FREEZE) || dev_begin(&d, 8) ||
		    !parker_start(&p, &d, PULSE_NODE_ANY))
			_exit(1);
		__atomic_store_n(&s->ready, 1, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&s->go, __ATOMIC_SEQ_CST))
			sleep_ms(1);
		if (parker_returns(&p))
			_exit(2);
		parker_stop(&p);
		_exit(p.last ? 3 : 0);
	}
	KT_CHECK(EVENTUALLY(__atomic_load_n(&s->ready, __ATOMIC_SEQ_CST)));
	for (int n = 0; n < 5; n++) {
		KT_EQ(cgroup_put(FREEZE, "cgroup.freeze", "1"), 0);
		KT_CHECK(EVENTUALLY(cgroup_is_frozen(1)));
		KT_EQ(cgroup_put(FREEZE, "cgroup.freeze", "0"), 0);
		KT_CHECK(EVENTUALLY(cgroup_is_frozen(0)));
	}
	__atomic_store_n(&s->go, 1, __ATOMIC_SEQ_CST);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECKF(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	munmap(s, 4096);
	KT_CHECK(cgroup_end(FREEZE));
}

/* P12: somebody else's debugger comes and goes, and comes again */
KT_TEST(a_debugger_ends_no_park)
{
	struct { int go, tid; } *s;
	int status;
	pid_t pid;

	NEED_DEVICE();
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	KT_REQUIRE(s != MAP_FAILED);
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		struct parker p = { .word = WORD };

		if (dev_begin(&d, 8) || !parker_start(&p, &d, PULSE_NODE_ANY))
			_exit(1);
		__atomic_store_n(&s->tid, p.tid, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&s->go, __ATOMIC_SEQ_CST))
			sleep_ms(1);
		/* It may be on its way back into PARK from the last stop. */
		if (!EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED) ||
		    parker_returns(&p))
			_exit(2);
		parker_stop(&p);
		_exit(p.last ? 3 : 0);
	}
	KT_CHECK(EVENTUALLY(__atomic_load_n(&s->tid, __ATOMIC_SEQ_CST)));
	for (int n = 0; n < 5 && s->tid; n++) {
		long how = n & 1 ? PTRACE_SEIZE : PTRACE_ATTACH;

		KT_EQ(ptrace((enum __ptrace_request)how, s->tid, NULL, NULL), 0);
		if (n & 1)
			KT_EQ(ptrace(PTRACE_INTERRUPT, s->tid, NULL, NULL), 0);
		KT_EQ(waitpid(s->tid, &status, __WALL), s->tid);
		KT_CHECK(WIFSTOPPED(status));
		KT_EQ(ptrace(PTRACE_DETACH, s->tid, NULL, NULL), 0);
		sleep_ms(10);
	}
	__atomic_store_n(&s->go, 1, __ATOMIC_SEQ_CST);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECKF(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	munmap(s, 4096);
}

/* P06 */
KT_TEST(closing_a_descriptor_cancels_the_parks)
{
	struct parker p = { .word = WORD };
	int second;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	second = dup(d.fd);
	KT_REQUIRE(second >= 0);
	KT_EQ(parker_returns(&p), 0);
	close(second);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	KT_EQ(p.last, -ECANCELED);
	KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	parker_stop(&p);
	dev_end(&d);
}

/* P06: the close may come before the sleep; the cancel must not be lost */
KT_TEST(a_close_before_the_park_cancels_the_next_one)
{
	int i;

	NEED_DEVICE();
	i = begin_as_worker();
	KT_REQUIRE(i >= 0);
	close(dup(d.fd));
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), -ECANCELED);
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	/* a permit is not eaten by a cancel */
	close(dup(d.fd));
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), 0);
	KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), -ECANCELED);
	dev_end(&d);
}

static int close_and_end(void *arg)
{
	close(*(int *)arg);
	return 0;
}

KT_TEST(a_close_in_a_forked_child_is_no_concern_of_the_parks)
{
	struct parker p = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(in_child(close_and_end, &d.fd), 0);
	sleep_ms(20);
	KT_EQ(parker_returns(&p), 0);
	parker_stop(&p);
	KT_EQ(p.last, 0);
	dev_end(&d);
}

/* P06: the last descriptor, while mappings and the worker hold the file */
KT_TEST(closing_the_only_descriptor_cancels_the_parks)
{
	struct parker p = { .word = WORD, .end = 1 };
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	close(d.fd);
	pthread_join(p.thread, NULL);
	KT_EQ(p.last, -ECANCELED);
	d.fd = -1;
	dev_end(&d);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()

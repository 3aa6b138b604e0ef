// SPDX-License-Identifier: GPL-2.0-only
/*
 * WATCH: verdicts on workers that hang, processes that end, memory over a
 * limit; who may watch whom, and what ends a watch.
 */

#include "dev.h"

#define WORD	PULSE_PARK_WORD(5, PULSE_PARK_PARKING)

static struct dev d;

static void begin(void)
{
	KT_REQUIRE(!dev_begin_events(&d, 8, 8192, 0));
	KT_EQ(sysfs_write("watch_interval_ms", 5), 0);
}

static void end(void)
{
	KT_EQ(sysfs_write("watch_interval_ms", 100), 0);
	dev_end(&d);
}

static int pause_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg != NULL;
}

static int watch_process(pid_t pid, __u64 cookie)
{
	return watch(d.fd, (struct pulse_watch){ .kind = PULSE_WATCH_PROCESS,
						  .target = pid,
						  .cookie = cookie });
}

KT_TEST(what_cannot_be_watched_is_refused)
{
	struct pulse_watch w = { .kind = PULSE_WATCH_WORKER };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(watch_process(getpid(), 0), -ENODEV);
	dev_end(&d);

	begin();
	KT_CHECK(d.info.features & PULSE_FEAT_WATCH);
	KT_EQ(watch(d.fd, w), -ESRCH);			/* no worker yet */
	w.target = 8;
	KT_EQ(watch(d.fd, w), -ESRCH);
	w.target = -1;
	KT_EQ(watch(d.fd, w), -ESRCH);
	w.kind = 2;
	KT_EQ(watch(d.fd, w), -EINVAL);
	KT_EQ(watch_process(0, 0), -EINVAL);
	KT_EQ(watch_process(-1, 0), -EINVAL);
	KT_EQ(watch_process(0x3fffffff, 0), -ESRCH);
	w = (struct pulse_watch){ .kind = PULSE_WATCH_PROCESS,
				  .target = getpid(), .stuck_ns = 1 };
	KT_EQ(watch(d.fd, w), -EINVAL);
	w.stuck_ns = 0;
	w.flags = PULSE_WATCH_KILL_HANG;
	KT_EQ(watch(d.fd, w), -EINVAL);
	KT_EQ(unwatch(d.fd, 1), -ESRCH);
	end();
}

static int watch_init_as_user(void *arg)
{
	(void)arg;
	d.fd = dev_open(O_RDWR);
	if (setresuid(1000, 1000, 1000))
		return 1;
	if (dev_setup_events(d.fd, 4, 64, 0, 4096, 0))
		return 2;
	if (watch_process(1, 0) != -EPERM || watch_process(getppid(), 0) != -EPERM)
		return 3;
	return watch_process(getpid(), 0) > 0 ? 0 : 4;
}

/* P09 */
KT_TEST(another_users_process_is_not_watched_without_cap_kill)
{
	NEED_DEVICE();
	KT_EQ(in_child(watch_init_as_user, NULL), 0);
}

static int exit_as_told(void *arg)
{
	int how = *(int *)arg;

	sleep_ms(30);
	if (how < 0)
		kill(getpid(), -how);
	exit(how);
}

KT_TEST(the_end_of_a_process_is_told_with_its_reason)
{
	static const int ways[] = { 0, 1, 42, -SIGKILL, -SIGSEGV, -SIGTERM };

	NEED_DEVICE();
	begin();
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct pulse_event_process_death death;
		pid_t pid = start(exit_as_told, (void *)(uintptr_t)&ways[i]);
		int id = watch_process(pid, i + 1000), status;

		KT_REQUIRE(id > 0);
		/* reaped at once: the watch does not need the zombie */
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_REQUIRE(event_take(&d, PULSE_EVENT_PROCESS_DEATH, &death,
				      sizeof(death)));
		KT_EQ(death.watch, (__u32)id);
		KT_EQ(death.cookie, i + 1000);
		KT_EQ(death.pid, pid);
		KT_EQ(death.exit_code & 0xff7f, status & 0xff7f);
		KT_EQ(death.signal, ways[i] < 0 ? -ways[i] : 0);
		KT_EQ(unwatch(d.fd, id), -ESRCH);
	}
	KT_CHECK(!event_next(&d));
	end();
}

static void *end_thread(void *arg)
{
	sleep_ms(50);
	syscall(SYS_exit, 5);
	return arg;
}

static int leader_first(void *arg)
{
	pthread_t t;

	(void)arg;
	pthread_create(&t, NULL, end_thread, NULL);
	sleep_ms(20);
	syscall(SYS_exit, 3);
	return 0;
}

KT_TEST(a_process_ends_with_its_last_thread)
{
	struct pulse_event_process_death death;
	int status;
	pid_t pid;

	NEED_DEVICE();
	begin();
	pid = start(leader_first, NULL);
	KT_REQUIRE(watch_process(pid, 1) > 0);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_REQUIRE(event_take(&d, PULSE_EVENT_PROCESS_DEATH, &death,
			      sizeof(death)));
	KT_EQ(death.exit_code, status);
	KT_CHECK(!event_next(&d));
	end();
}

/* A worker that does as it is told until it is told to end. */
enum { SPIN, WORK, SLEEP, PARK, END };

static int order;

static void *obey(void *arg)
{
	int index = worker_add(d.fd, PULSE_NODE_ANY), now;

	if (index >= 0) {
		set_word(&d, index, WORD);
		d.uwork[index].job = 77;
	}
	__atomic_store_n((int *)arg, index, __ATOMIC_RELEASE);
	while ((now = __atomic_load_n(&order, __ATOMIC_ACQUIRE)) != END) {
		if (now == WORK)
			d.uwork[index].progress++;
		else if (now == SLEEP)
			sleep_ms(300);
		else if (now == PARK)
			park(d.fd, index, WORD, now_ns() + NS_PER_SEC);
	}
	worker_del(d.fd, index);
	return NULL;
}

static void tell(int what)
{
	__atomic_store_n(&order, what, __ATOMIC_RELEASE);
}

static pthread_t obedient;
static int start_obedient(int first)
{
	static int index;

	index = -1000;
	tell(first);
	if (pthread_create(&obedient, NULL, obey, &index))
		return -1;
	EVENTUALLY(__atomic_load_n(&index, __ATOMIC_ACQUIRE) != -1000);
	return index;
}

/* Long enough for a CPU below us that pauses, on a busy machine. */
#define STUCK_NS	NS_PER_SEC

KT_TEST(a_worker_that_runs_without_progress_is_stuck)
{
	struct pulse_event_hang hang;
	int index, id;

	NEED_DEVICE();
	begin();
	index = start_obedient(WORK);
	id = watch(d.fd, (struct pulse_watch){ .target = index, .cookie = 9,
					       .stuck_ns = STUCK_NS });
	KT_REQUIRE(index >= 0 && id > 0);
	sleep_ms(1200);
	KT_CHECK(!event_next(&d));		/* it gets on */
	tell(SPIN);
	KT_REQUIRE(event_take(&d, PULSE_EVENT_HANG, &hang, sizeof(hang)));
	KT_EQ(hang.verdict, PULSE_HANG_STUCK);
	KT_EQ(hang.watch, (__u32)id);
	KT_EQ(hang.index, (__u32)index);
	KT_EQ(hang.cookie, 9);
	KT_EQ(hang.job, 77);
	KT_CHECK(hang.for_ns >= STUCK_NS);
	sleep_ms(200);
	KT_CHECK(!event_next(&d));		/* told once */
	tell(WORK);
	sleep_ms(100);
	tell(SPIN);
	KT_CHECK(event_take(&d, PULSE_EVENT_HANG, &hang, sizeof(hang)));
	tell(END);
	pthread_join(obedient, NULL);
	/* and the watch ends with the worker */
	KT_CHECK(EVENTUALLY(unwatch(d.fd, id) == -ESRCH));
	end();
}

KT_TEST(a_worker_that_sleeps_and_does_not_park_is_blocked)
{
	struct pulse_event_hang hang;
	int index, id;

	NEED_DEVICE();
	begin();
	index = start_obedient(PARK);
	id = watch(d.fd, (struct pulse_watch){ .target = index,
					       .blocked_ns = 50 * NS_PER_MS });
	KT_REQUIRE(index >= 0 && id > 0);
	sleep_ms(300);
	KT_CHECK(!event_next(&d));		/* in PARK it may sleep */
	tell(SLEEP);
	wake_one(d.fd, index);
	KT_REQUIRE(event_take(&d, PULSE_EVENT_HANG, &hang, sizeof(hang)));
	KT_EQ(hang.verdict, PULSE_HANG_BLOCKED);
	KT_EQ(hang.state, PULSE_STATE_BLOCKED);
	KT_CHECK(hang.for_ns >= 50 * NS_PER_MS);
	KT_EQ(unwatch(d.fd, id), 0);
	KT_EQ(unwatch(d.fd, id), -ESRCH);
	tell(END);
	pthread_join(obedient, NULL);
	end();
}

static void *hog(void *arg)
{
	struct sched_param p = { .sched_priority = 1 };

	pin_to_cpu(0);
	sched_setscheduler(0, SCHED_FIFO, &p);
	/* However busy the machine is below us, the verdict has time to come. */
	for (long long until = now_ns() + 45000 * NS_PER_MS;
	     now_ns() < until && !__atomic_load_n((bool *)arg, __ATOMIC_RELAXED);)
		;
	return NULL;
}

static void *spin_on_cpu_0(void *arg)
{
	pin_to_cpu(0);
	return obey(arg);
}

/*
 * A worker whose CPU is taken by somebody of a higher class. It is the CPU that
 * the watch was asked for on, too: where softirqs are threads, those of that CPU
 * do not run now.
 */
KT_TEST(a_worker_that_could_run_and_has_no_cpu_is_starved)
{
	struct pulse_event_hang hang;
	bool enough = false;
	int index = -1000, id;
	pthread_t t, h;
	cpu_set_t all;

	NEED_DEVICE();
	if (nr_cpus() < 2)
		KT_SKIP("one CPU: nobody is left to look");
	begin();
	tell(SPIN);
	KT_REQUIRE(!pthread_create(&t, NULL, spin_on_cpu_0, &index));
	KT_REQUIRE(EVENTUALLY(__atomic_load_n(&index, __ATOMIC_ACQUIRE) != -1000));
	KT_REQUIRE(!sched_getaffinity(0, sizeof(all), &all));
	pin_to_cpu(0);
	id = watch(d.fd, (struct pulse_watch){ .target = index,
					       .starved_ns = 50 * NS_PER_MS });
	KT_REQUIRE(!sched_setaffinity(0, sizeof(all), &all));
	KT_REQUIRE(index >= 0 && id > 0);
	KT_REQUIRE(!pthread_create(&h, NULL, hog, &enough));
	KT_CHECK(event_take(&d, PULSE_EVENT_HANG, &hang, sizeof(hang)));
	KT_EQ(hang.verdict, PULSE_HANG_STARVED);
	KT_EQ(hang.state, PULSE_STATE_PREEMPTED);
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(h, NULL);
	tell(END);
	pthread_join(t, NULL);
	end();
}

static int eat_memory(void *arg)
{
	char *p = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sleep_ms(50);
	memset(p, 1, 32 << 20);
	return pause_for_ever(arg);
}

KT_TEST(memory_over_a_limit_is_told_and_kills_where_asked)
{
	struct pulse_event_process_death death;
	struct pulse_event_rss rss;

	NEED_DEVICE();
	begin();
	for (int deadly = 0; deadly < 2; deadly++) {
		pid_t pid = start(eat_memory, NULL);
		int status, id;

		id = watch(d.fd, (struct pulse_watch){
			.kind = PULSE_WATCH_PROCESS,
			.target = pid,
			.flags = deadly ? PULSE_WATCH_KILL_RSS : 0,
			.rss_bytes = 16 << 20,
		});
		KT_REQUIRE(id > 0);
		KT_REQUIRE(event_take(&d, PULSE_EVENT_RSS, &rss, sizeof(rss)));
		KT_EQ(rss.pid, pid);
		KT_EQ(rss.limit_bytes, 16 << 20);
		KT_CHECK(rss.rss_bytes > rss.limit_bytes);
		if (!deadly) {
			sleep_ms(50);
			KT_CHECK(!event_next(&d));
			kill(pid, SIGKILL);
		}
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		KT_CHECK(event_take(&d, PULSE_EVENT_PROCESS_DEATH, &death,
				    sizeof(death)));
		KT_EQ(death.signal, SIGKILL);
	}
	end();
}

static int hang_and_be_killed(void *arg)
{
	(void)arg;
	if (dev_begin_events(&d, 4, 4096, 0) || dev_join(&d, PULSE_NODE_ANY))
		return 1;
	if (watch(d.fd, (struct pulse_watch){ .stuck_ns = 50 * NS_PER_MS,
					      .flags = PULSE_WATCH_KILL_HANG }) < 1)
		return 2;
	for (;;)
		;
}

KT_TEST(a_hang_kills_where_asked)
{
	NEED_DEVICE();
	KT_EQ(in_child(hang_and_be_killed, NULL), -SIGKILL);
}

KT_TEST(so_many_watches_and_no_more)
{
	int id = 0, last = 0, n;

	NEED_DEVICE();
	begin();
	for (n = 0; (id = watch_process(getpid(), 0)) > 0; n++)
		last = id;
	KT_EQ(n, PULSE_MAX_WATCHES);
	KT_EQ(id, -ENOSPC);
	sleep_ms(50);
	KT_EQ(unwatch(d.fd, last), 0);
	KT_CHECK(watch_process(getpid(), 0) > 0);
	KT_CHECK(!event_next(&d));
	end();			/* with all of them */
}

static void *watch_and_unwatch(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	for (int n = 0; n < 1000; n++) {
		int id = watch_process(pid, 0);

		if (id > 0)
			unwatch(d.fd, id);
		else if (id != -ESRCH)
			return (void *)1;
	}
	return NULL;
}

KT_TEST(watches_come_and_go_while_rounds_are_made)
{
	pthread_t t[4];
	void *bad;
	pid_t pid;

	NEED_DEVICE();
	begin();
	KT_EQ(sysfs_write("watch_interval_ms", 1), 0);
	pid = start(pause_for_ever, NULL);
	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, watch_and_unwatch, &pid));
	sleep_ms(100);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		KT_CHECK(!bad);
	}
	end();
}

KT_TEST(the_interval_is_a_number_from_1_to_60000)
{
	NEED_DEVICE();
	KT_EQ(sysfs_read("watch_interval_ms"), 100);
	KT_EQ(sysfs_write("watch_interval_ms", 0), -ERANGE);
	KT_EQ(sysfs_write("watch_interval_ms", 60001), -ERANGE);
	KT_EQ(sysfs_write_bytes("watch_interval_ms", "x", 1), -EINVAL);
	KT_EQ(sysfs_read("watch_interval_ms"), 100);
}

KT_MAIN()

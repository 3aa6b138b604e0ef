// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting a pool where something is lacking: memory (U04), threads (U05),
 * CPUs (U06); and the CPU quota of cgroups.
 */
#include <dlfcn.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <pulse-u/shared_pool.h>
#include <pulse-u/task.h>

#include "helpers.h"
#include "pool/pool.h"

/* Sanitizers map terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KT_ADDRESS_SPACE_IS_OURS 0
#else
#define KT_ADDRESS_SPACE_IS_OURS 1
#endif

/* Stands before libc's; the library's calls come here too. */
static int create_fails_at;	/* 1 = the next one; 0 = never; -1 = each */
static int create_calls;

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
		   void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *,
			   void *(*)(void *), void *);

	if (!real) {
		void *sym = dlsym(RTLD_NEXT, "pthread_create");

		memcpy(&real, &sym, sizeof(sym));
	}
	ATOMIC_INC(create_calls);
	if (ATOMIC_GET(create_fails_at) < 0 ||
	    (ATOMIC_GET(create_fails_at) &&
	     !__atomic_sub_fetch(&create_fails_at, 1, __ATOMIC_SEQ_CST)))
		return EAGAIN;
	return real(t, attr, fn, arg);
}

static int gives_nothing(void *arg, void **value)
{
	(void)arg;
	(void)value;
	return 0;
}

static int threads_of_this_process(void)
{
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");
	int n = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Threads: %d", &n);
	if (f)
		fclose(f);
	return n;
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

/* U05 */
KT_TEST(a_thread_that_cannot_be_had_unwinds_the_rest)
{
	int before;

	pulse_pool_destroy(pool_of(1, 0));
	nap_us(100000);	/* a joined thread may still be counted */
	before = threads_of_this_process();
	for (int i = 1; i <= 5; i++) {
		struct pulse_pool *pool;

		PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 5);
		ATOMIC_SET(create_fails_at, i);
		KT_EQ(pulse_pool_create(&opts, &pool), -EAGAIN);
		KT_CHECK(!pool);
		KT_EQ(ATOMIC_GET(create_fails_at), 0);
		KT_CHECK(EVENTUALLY(threads_of_this_process() <= before));
	}
}

static void run_nothing(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
}

static int shared_pool_of(int workers, struct pulse_shared_pool **pool)
{
	static const struct pulse_shared_fn fn = { run_nothing, NULL, 1, 0 };
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = &fn,
		   .nr_functions = 1, .num_workers = workers, .entries = 64);

	return pulse_shared_pool_create(&opts, pool);
}

/* U05: workers, and the keeper before them. */
KT_TEST(a_shared_pool_without_threads_is_none)
{
	struct pulse_shared_pool *pool;
	int before = threads_of_this_process();

	for (int i = 1; i <= 4; i++) {
		ATOMIC_SET(create_fails_at, i);
		KT_EQ(shared_pool_of(3, &pool), -EAGAIN);
		KT_CHECK(!pool);
		KT_EQ(ATOMIC_GET(create_fails_at), 0);
		KT_CHECK(EVENTUALLY(threads_of_this_process() <= before));
	}
	KT_EQ(shared_pool_of(3, &pool), 0);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
}

/* U05 */
KT_TEST(a_shared_pool_without_descriptors_is_none)
{
	struct pulse_shared_pool *pool = NULL;
	struct rlimit was, limit;
	int err = -EMFILE;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = was;
	for (rlim_t n = 0; n < 64 && err; n++) {
		limit.rlim_cur = n;
		KT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = shared_pool_of(1, &pool);
		KT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
		KT_CHECKF(!err || err == -EMFILE, "%s", pulse_strerror(err));
	}
	KT_REQUIRE(!err);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
}

/* ---- little memory ---------------------------------------------------------- */

#define MANY	1000000

static struct pulse_pool *tight;
static long ran, accepted;

static void submit_many(void *arg)
{
	int err = 0;
	long in = 0;

	(void)arg;
	for (long i = 0; i < MANY; i++) {
		err = pulse_pool_submit(tight, count_task, &ran);
		if (err)
			break;
		in++;
	}
	/* Full, or all of them fit: nothing else. */
	KT_CHECKF(!err || err == -EAGAIN, "%s", pulse_strerror(err));
	__atomic_fetch_add(&accepted, in, __ATOMIC_SEQ_CST);
}

static void spawn_many(void)
{
	PULSE_OPTS(pulse_work, work, .fn = gives_nothing);
	struct pulse_future *f;
	int err = 0;

	for (long i = 0; i < MANY && !err; i++) {
		err = pulse_pool_spawn(tight, &work, &f);
		if (!err)
			pulse_future_put(f);
	}
	KT_CHECKF(err == -EAGAIN || err == -ENOMEM, "%s", pulse_strerror(err));
}

static void leave_room(rlim_t bytes)
{
	struct rlimit limit;
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	KT_CHECK(f && fscanf(f, "%ld", &pages) == 1);
	if (f)
		fclose(f);
	KT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
	KT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

static int in_32_mib(void *arg)
{
	const long had = kt_failed;
	struct gate g;

	tight = pool_of(2, *(uint32_t *)arg);
	if (!tight)
		return 1;
	leave_room(32UL << 20);
	/* From inside, where the deque would grow; then the queues, from outside. */
	if (pulse_pool_submit(tight, submit_many, NULL))
		return 2;
	pulse_pool_wait(tight);
	if (!gate_close(&g, tight))
		return 3;
	submit_many(NULL);
	spawn_many();
	gate_open(&g, tight);
	if (pulse_pool_wait(tight) || pulse_pool_destroy(tight))
		return 4;
	kt_note("%ld tasks at once were accepted", accepted);
	return kt_failed != had || ran != accepted ? 5 : 0;
}

/* U14, as far as an address space is a limit: a million are queued. */
KT_TEST(with_little_memory_a_million_tasks_meet_back_pressure)
{
	uint32_t sizes[] = { 1024, 1 << 20 };

	if (!KT_ADDRESS_SPACE_IS_OURS) {
		KT_CHECK(1);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		KT_EQ(in_child(in_32_mib, &sizes[i]), 0);
}

/* U05: not a worker, but who watches over them, and who keeps the time. */
KT_TEST(helpers_that_cannot_be_had_are_told)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .stall_ms = 1000);
	struct pulse_work w = { .sz = sizeof(w), .fn = gives_nothing,
				.timeout_ns = 1000000000 };
	struct pulse_pool *pool;

	ATOMIC_SET(create_fails_at, 3);
	KT_EQ(pulse_pool_create(&opts, &pool), -EAGAIN);
	KT_CHECK(!pool);
	KT_EQ(ATOMIC_GET(create_fails_at), 0);
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	ATOMIC_SET(create_fails_at, 1);
	KT_EQ(pulse_pool_spawn(pool, &w, NULL), -EAGAIN);
	KT_EQ(ATOMIC_GET(create_fails_at), 0);
	KT_EQ(pulse_pool_submit_wait(pool, &w, PULSE_FOREVER, NULL), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void ends_thread(void *arg)
{
	count_task(arg);
	pthread_exit(NULL);
}

static void spawns_and_ends_thread(void *arg)
{
	for (int i = 0; i < 10; i++)
		pulse_pool_submit(pulse_pool_current(), count_task, arg);
	pthread_exit(NULL);
}

static int log_lines;

static void count_log(int level, const char *line, void *arg)
{
	(void)line;
	(void)arg;
	if (level == PULSE_LOG_ERROR)
		ATOMIC_INC(log_lines);
}

KT_TEST(a_worker_that_cannot_be_replaced_leaves_its_tasks_to_the_others)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long n = 0;

	KT_REQUIRE(pool);
	pulse_log_set_sink(count_log, NULL);
	log_lines = 0;
	ATOMIC_SET(create_fails_at, 1);
	KT_EQ(pulse_pool_submit(pool, spawns_and_ends_thread, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 10);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(log_lines) == 1));
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 110);
	/* And the last one: nobody is left, so nobody is let in. */
	ATOMIC_SET(create_fails_at, 1);
	KT_EQ(pulse_pool_submit(pool, ends_thread, &n), 0);
	KT_CHECK(EVENTUALLY(pulse_pool_submit(pool, nothing_task, NULL) ==
			    -ESHUTDOWN));
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 111);
	KT_EQ(pulse_pool_destroy(pool), 0);
	pulse_log_set_sink(NULL, NULL);
}

/* Tasks in both deques, two threads that end, nobody to take over. */
struct last_two {
	struct pulse_pool *pool;
	int inside;
	long ran, cancelled;
};

static void ends_with_the_other(void *arg)
{
	struct last_two *l = arg;

	ATOMIC_INC(l->inside);
	while (ATOMIC_GET(l->inside) < 2)
		sched_yield();
	for (int i = 0; i < 10; i++)
		pulse_pool_submit(l->pool, count_task, &l->ran);
	pthread_exit(NULL);
}

static void count_cancelled(void *arg, pulse_task_fn fn, void *data)
{
	struct last_two *l = arg;

	(void)data;
	if (fn == count_task)
		ATOMIC_INC(l->cancelled);
}

KT_TEST(two_workers_that_are_lost_at_once_leave_no_task_behind)
{
	const long rounds = kt_scale(500);

	pulse_log_set_sink(count_log, NULL);
	for (long i = 0; i < rounds && !kt_failed; i++) {
		struct last_two l = { .inside = 0 };
		PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
			   .on_cancel = count_cancelled, .hook_arg = &l);

		KT_REQUIRE(pulse_pool_create(&opts, &l.pool) == 0);
		ATOMIC_SET(create_fails_at, -1);
		for (int k = 0; k < 2; k++)
			KT_EQ(pulse_pool_submit(l.pool, ends_with_the_other,
						&l), 0);
		KT_CHECK(EVENTUALLY(pulse_pool_submit(l.pool, nothing_task,
						      NULL) == -ESHUTDOWN));
		KT_EQ(pulse_pool_wait(l.pool), 0);
		KT_EQ(pulse_pool_destroy(l.pool), 0);
		KT_EQ(l.ran + l.cancelled, 20);
		ATOMIC_SET(create_fails_at, 0);
	}
	pulse_log_set_sink(NULL, NULL);
}

/* U04 */
KT_TEST(create_survives_each_failing_allocation)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3, .name = "frail");
	int failed = 0;

	for (long i = 1; i < 1000; i++) {
		struct pulse_pool *pool;
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_pool_create(&opts, &pool);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			KT_EQ(pulse_pool_destroy(pool), 0);
			kt_note("%ld places that can fail, %d did no harm",
				i - 1, (int)i - 1 - failed);
			break;
		}
		if (err) {
			KT_EQ(err, -ENOMEM);
			KT_CHECK(!pool);
			failed++;
		} else {	/* a wish that failed, such as a place */
			long n = 0;

			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
			KT_EQ(pulse_pool_destroy(pool), 0);
			KT_EQ(n, 1);
		}
	}
	KT_CHECK(failed > 10);
}

static void submit_each(void *arg)
{
	struct pulse_pool *pool = pulse_pool_current();
	bool went_off = false;

	/* More than a deque begins with: where it cannot grow, the queue does. */
	for (int i = 0; i < 200; i++) {
		pulse__alloc_fail_at(1);
		KT_EQ(pulse_pool_submit(pool, count_task, arg), 0);
		went_off |= pulse__alloc_failed();
		pulse__alloc_fail_at(0);
	}
	KT_CHECK(went_off);
}

/* U04: a submit needs no memory that it could not do without. */
KT_TEST(submit_does_not_need_an_allocation)
{
	struct pulse_pool *pool = pool_of(1, 0);
	long n = 0;

	KT_REQUIRE(pool);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 1);
	KT_EQ(pulse_pool_submit(pool, submit_each, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 201);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int on_one_cpu(void *arg)
{
	struct pulse_pool *pool;
	cpu_set_t set;
	long n = 0;

	(void)arg;
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return 1;
	if (pulse_pool_create(NULL, &pool))
		return 2;
	if (pulse_pool_num_workers(pool) != 1)
		return 3;
	if (((struct pulse_pool *)pool)->spin_ns)
		return 4;
	for (int i = 0; i < 500; i++)
		pulse_pool_submit(pool, count_task, &n);
	if (pulse_pool_destroy(pool))
		return 5;
	if (n != 500)
		return 6;
	/* More workers than CPUs are what was asked for. */
	pool = pool_of(4, 0);
	if (!pool || pulse_pool_num_workers(pool) != 4)
		return 7;
	for (int i = 0; i < 500; i++)
		pulse_pool_submit(pool, count_task, &n);
	return pulse_pool_destroy(pool) || n != 1000 ? 8 : 0;
}

/* U06 */
KT_TEST(with_one_cpu_allowed_there_is_one_worker)
{
	KT_EQ(in_child(on_one_cpu, NULL), 0);
}

/* U06 */
KT_TEST(many_more_workers_than_cpus)
{
	struct pulse_pool *pool = pool_of(200, 0);
	struct gate g;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_num_workers(pool), 200);
	KT_CHECK(gate_close(&g, pool));	/* all of them at once */
	KT_EQ(pulse_pool_active_workers(pool), 200);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static char root[64];

static void put(const char *name, const char *text)
{
	char path[256], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static unsigned int quota(const char *self)
{
	char path[128];

	put("self", self);
	snprintf(path, sizeof(path), "%s/self", root);
	return pulse__quota_cpus(path, root);
}

KT_TEST(the_tightest_cpu_quota_of_all_groups_counts)
{
	char cmd[128];

	strcpy(root, "/tmp/pulse-quota-XXXXXX");
	KT_REQUIRE(mkdtemp(root));
	put("a/b/c/cpu.max", "max 100000\n");
	KT_EQ(quota("0::/a/b/c\n"), 0);
	put("a/cpu.max", "350000 100000\n");
	KT_EQ(quota("0::/a/b/c\n"), 4);		/* rounded up */
	put("a/b/cpu.max", "50000 100000\n");
	KT_EQ(quota("0::/a/b/c\n"), 1);
	KT_EQ(quota("0::/a\n"), 4);
	KT_EQ(quota("0::/\n"), 0);
	KT_EQ(quota("0::/a/gone\n"), 4);	/* a namespace hides it */
	put("cpu.max", "200000 100000\n");
	KT_EQ(quota("0::/\n"), 2);
	put("cpu.max", "rubbish\n");
	KT_EQ(quota("0::/\n"), 0);
	put("cpu.max", "-5 0\n");
	KT_EQ(quota("0::/\n"), 0);
	put("cpu/x/cpu.cfs_quota_us", "250000\n");
	put("cpu/x/cpu.cfs_period_us", "100000\n");
	KT_EQ(quota("4:memory:/y\n3:cpu,cpuacct:/x\n0::/\n"), 3);
	put("cpu/x/cpu.cfs_quota_us", "-1\n");
	KT_EQ(quota("3:cpuacct,cpu:/x\n"), 0);
	KT_EQ(quota("3:cpuset:/x\n"), 0);
	KT_EQ(quota("no colons at all\n:\n::\n"), 0);
	KT_EQ(pulse__quota_cpus("/nonexistent", root), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	KT_EQ(system(cmd), 0);
}

KT_TEST(workers_are_spread_over_what_the_thread_may_use)
{
	struct pulse__place p[64];
	cpu_set_t may;

	KT_REQUIRE(!sched_getaffinity(0, sizeof(may), &may));
	for (int spread = 0; spread < 2; spread++) {
		KT_EQ(pulse__place(64, spread, p), 0);
		for (int i = 0; i < 64; i++) {
			KT_CHECK(CPU_ISSET(p[i].cpu, &may));
			/* All CPUs once before any of them twice. */
			for (int k = 0; k < i && i < CPU_COUNT(&may); k++)
				KT_CHECK(p[k].cpu != p[i].cpu);
		}
	}
}

KT_MAIN()

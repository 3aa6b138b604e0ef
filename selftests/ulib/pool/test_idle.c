// SPDX-License-Identifier: GPL-2.0-only
/* A pool without work: its threads sleep, and are small. */
#include <sys/prctl.h>

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pulse-u/fork.h>

#include "helpers.h"

#define WORKERS		4
#define MANY		64
#define WINDOW_US	3000000L
#define WINDOWS		4
#define WORKER_KIB	64

/* A thread's line of /proc/self/task/TID/status as a number; -1: it is gone. */
static long status_of(const char *tid, const char *key)
{
	char path[64 + 32], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", tid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			value = atol(line + strlen(key));
	}
	fclose(f);
	return value;
}

/* How often all threads but this one went to sleep so far: each wake ends so. */
static long sleeps(int *threads)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;
	long sum = 0, self = syscall(SYS_gettid);

	*threads = 0;
	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		long n;

		if (d->d_name[0] == '.' || atol(d->d_name) == self)
			continue;
		n = status_of(d->d_name, "voluntary_ctxt_switches:");
		if (n >= 0) {
			sum += n;
			++*threads;
		}
	}
	closedir(dir);
	return sum;
}

static void count_one(void *arg)
{
	ATOMIC_INC(*(int *)arg);
}

/* Many forks: hearts begin to beat. */
static void tree(void *arg)
{
	void *below = (void *)((intptr_t)arg - 1);

	if (arg)
		pulse_join2(tree, below, tree, below);
}

/*
 * All but this thread, hence also threads that beat or keep time. What is left
 * over from the work before may wake once more; what wakes regularly does so in
 * each window.
 */
KT_TEST(an_idle_pool_wakes_nobody)
{
	struct pulse_pool *pool = pool_of(WORKERS, 0);
	long before, after = -1;
	int ran = 0, threads = 0, again = 0;

#ifdef PULSE__TSAN
	pulse_pool_destroy(pool);
	KT_SKIP("TSan has a thread that wakes ten times a second");
#endif
	note_backend();
	KT_REQUIRE(pool != NULL);
	for (int i = 0; i < 1000; i++)
		KT_EQ(pulse_pool_submit(pool, count_one, &ran), 0);
	KT_EQ(pulse_fork_run(pool, tree, (void *)(intptr_t)16), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(ATOMIC_GET(ran), 1000);
	for (int i = 0; i < WINDOWS; i++) {
		before = sleeps(&threads);
		nap_us(WINDOW_US);
		after = sleeps(&again);
		if (after == before && again == threads)
			break;
		kt_note("window %d: %ld wake-ups of %d threads", i,
			after - before, threads);
	}
	KT_CHECK(threads >= WORKERS);
	KT_EQ(again, threads);
	KT_EQ(after, before);
	/* They sleep, and can be woken. */
	KT_EQ(pulse_pool_submit(pool, count_one, &ran), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(ATOMIC_GET(ran), 1001);
	KT_CHECK(EVENTUALLY(sleeps(&again) > after));
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Pages that this process alone has, written to: KiB. */
static long own_kib(void)
{
	char line[256];
	long value = -1;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Private_Dirty: %ld", &value) == 1)
			break;
	}
	fclose(f);
	return value;
}

static struct pulse_pool *pool_at_rest(uint32_t workers)
{
	struct pulse_pool *pool = pool_of(workers, 0);
	struct gate gate;

	/* Each ran a task: its stack, and all that is taken at first use. */
	if (pool && gate_close(&gate, pool)) {
		gate_open(&gate, pool);
		pulse_pool_wait(pool);
	}
	return pool;
}

KT_TEST(a_worker_takes_less_than_64_KiB)
{
	struct pulse_pool *warm, *pool;
	long before, after;

#if defined(__SANITIZE_ADDRESS__) || defined(PULSE__TSAN)
	KT_SKIP("a sanitizer's own memory is no worker's");
#endif
	before = own_kib();
	if (before < 0)
		KT_SKIP("no /proc/self/smaps_rollup");
	/* Old kernels give stacks huge pages by chance, whoever uses them. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	warm = pool_at_rest(1);
	before = own_kib();
	pool = pool_at_rest(MANY);
	KT_REQUIRE(warm && pool);
	after = own_kib();
	kt_note("%d workers: %ld KiB, %.1f KiB each", MANY, after - before,
		(double)(after - before) / MANY);
	KT_CHECK(after > before);
	KT_CHECKF(after - before < MANY * WORKER_KIB, "%ld KiB for %d workers",
		  after - before, MANY);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(pulse_pool_destroy(warm), 0);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_serve.c - how soon a pool runs what one thread outside gives it, beside
 * oneTBB, a mutex with a condition variable, and a bare futex. The loads stand
 * in pool_load.h; share and crowded run with a hog on each CPU and three threads
 * of the pool beside it. "threads" is what is fair there: as many plain threads
 * that count the work down.
 *
 * oneTBB comes from the program peer_pool beside this one, where libtbb-dev was
 * there to build it with; Go from peer_go, where golang-go was. (Taskflow is not
 * packaged by Debian.)
 *
 * usage: bench_serve [rounds [group]]
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include <pulse-u/backend.h>
#include <pulse-u/pool.h>

#include "base/base.h"
#include "contend.h"
#include "plain_pool.h"
#include "pool_load.h"

/* ---- hogs ------------------------------------------------------------------ */

static pthread_t hog[PLAIN_THREADS];
static int hogs, hogs_stop;

static void *hog_main(void *arg)
{
	load_bind((int)(intptr_t)arg);
	while (!__atomic_load_n(&hogs_stop, __ATOMIC_RELAXED))
		__builtin_ia32_pause();
	return NULL;
}

static void hogs_start(void)
{
	hogs_stop = 0;
	for (hogs = 0; hogs < load_cpus(); hogs++) {
		if (hogs == PLAIN_THREADS ||
		    pthread_create(&hog[hogs], NULL, hog_main,
				   (void *)(intptr_t)hogs))
			exit(1);
	}
}

static void hogs_end(void)
{
	__atomic_store_n(&hogs_stop, 1, __ATOMIC_RELAXED);
	while (hogs)
		pthread_join(hog[--hogs], NULL);
}

static bool wants_hogs(const char *what)
{
	return !strcmp(what, "share") || !strcmp(what, "crowded");
}

/* ---- contenders: @out are the figures of one round, or it is not to be had -- */

static int pulse_submit(void *pool, load_fn fn, void *arg)
{
	return pulse_pool_submit(pool, fn, arg);
}

static bool run_pulse(const char *what, double *out)
{
	PULSE_OPTS(pulse_pool_opts, opts,
		   .num_workers = (uint32_t)load_threads(what),
		   .pin = load_threads(what) == 1 ? PULSE_ON : PULSE_OFF);
	struct load l = { .submit = pulse_submit };
	struct pulse_pool *pool;

	if (pulse_pool_create(&opts, &pool))
		exit(1);
	if (opts.num_workers == 1)
		load_bind(1);
	l.pool = pool;
	load_run(&l, what, out);
	load_bind(-1);
	return !pulse_pool_destroy(pool);
}

/* Empty tasks, 32 at a time. */
static bool run_batch(const char *what, double *out)
{
	PULSE_OPTS(pulse_pool_opts, opts,
		   .num_workers = (uint32_t)load_threads(what));
	long before = load_ran();
	struct pulse_task tasks[32];
	struct pulse_pool *pool;
	double start;

	if (pulse_pool_create(&opts, &pool))
		exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		tasks[i] = (struct pulse_task){ .sz = sizeof(*tasks),
						.fn = empty_task };
	start = load_now();
	for (long i = 0; i < EMPTY_TASKS;) {
		int n = pulse_pool_submit_batch(pool, tasks,
						ARRAY_SIZE(tasks));

		if (n > 0)
			i += n;
		else
			sched_yield();
	}
	load_until(before + EMPTY_TASKS);
	out[0] = (load_now() - start) / EMPTY_TASKS;
	return !pulse_pool_destroy(pool);
}

static int mutex_submit(void *pool, load_fn fn, void *arg)
{
	return plain_submit(pool, fn, arg);
}

static bool run_mutex(const char *what, double *out)
{
	int threads = load_threads(what);
	struct load l = { .submit = mutex_submit };
	static struct plain plain;

	if (threads == 1)
		load_bind(0);
	plain_start(&plain, threads, 1024);
	if (threads == 1)
		load_bind(1);
	l.pool = &plain;
	load_run(&l, what, out);
	load_bind(-1);
	plain_end(&plain);
	return true;
}

/* One thread that sleeps on a word, and is woken. */
struct raw {
	uint32_t word;		/* 1: there is a task; 2: it is over */
	load_fn fn;
	void *arg;
};

static void *raw_main(void *arg)
{
	struct raw *r = arg;
	uint32_t word;

	while ((word = __atomic_load_n(&r->word, __ATOMIC_ACQUIRE)) != 2) {
		if (!word) {
			syscall(SYS_futex, &r->word, FUTEX_WAIT_PRIVATE, 0,
				NULL, NULL, 0);
			continue;
		}
		__atomic_store_n(&r->word, 0, __ATOMIC_RELEASE);
		r->fn(r->arg);
	}
	return NULL;
}

static int raw_set(struct raw *r, uint32_t word)
{
	__atomic_store_n(&r->word, word, __ATOMIC_RELEASE);
	syscall(SYS_futex, &r->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return 0;
}

static int raw_submit(void *pool, load_fn fn, void *arg)
{
	struct raw *r = pool;

	r->fn = fn;
	r->arg = arg;
	return raw_set(r, 1);
}

static bool run_futex(const char *what, double *out)
{
	struct raw raw = { .word = 0 };
	struct load l = { &raw, raw_submit };
	pthread_t t;

	load_bind(0);
	if (pthread_create(&t, NULL, raw_main, &raw))
		exit(1);
	load_bind(1);
	load_run(&l, what, out);
	load_bind(-1);
	raw_set(&raw, 2);
	pthread_join(t, NULL);
	return true;
}

struct part {
	long left, done;
};

static void *share_main(void *arg)
{
	struct part *p = arg;

	while (__atomic_fetch_sub(&p->left, 1, __ATOMIC_RELAXED) > 0)
		share_task(&p->done);
	return NULL;
}

static bool run_threads(const char *what, double *out)
{
	int threads = load_threads(what);
	struct part part = { .left = SHARE_TASKS };
	pthread_t t[PLAIN_THREADS];
	double start = load_now();

	for (int i = 0; i < threads; i++) {
		if (pthread_create(&t[i], NULL, share_main, &part))
			exit(1);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	out[0] = (load_now() - start) / SHARE_TASKS;
	return true;
}

/* A program beside this one. False: it is not there, or has no such load. */
static bool run_peer(const char *peer, const char *what, double *out)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	FILE *f;
	int got;

	if (n < 0)
		return false;
	path[n] = 0;
	snprintf(strrchr(path, '/'), 64, "/%s", peer);
	if (access(path, X_OK))
		return false;
	snprintf(strchr(path, 0), 32, " %s 2>/dev/null", what);
	f = popen(path, "r");
	if (!f)
		return false;
	got = fscanf(f, "%lf %lf", &out[0], &out[1]);
	return !pclose(f) && got == LOAD_FIGURES;
}

static bool run_tbb(const char *what, double *out)
{
	return run_peer("peer_pool", what, out);
}

static bool run_go(const char *what, double *out)
{
	return run_peer("peer_go", what, out);
}

/* ---- rounds ---------------------------------------------------------------- */

static double first_of(bool (*run)(const char *what, double *out),
		       const char *what, double *keep)
{
	double out[LOAD_FIGURES] = { -1, -1 };
	bool ok;

	if (wants_hogs(what))
		hogs_start();
	ok = run(what, out);
	if (wants_hogs(what))
		hogs_end();
	*keep = ok ? out[1] : -1;
	return ok ? out[0] : -1;
}

/* A contender of one figure, and one of two: the second says what it kept. */
#define RUN(who, what)							\
	static double what##_##who##_second;				\
	static double what##_##who(void)				\
	{								\
		return first_of(run_##who, #what,			\
				&what##_##who##_second);		\
	}
#define RUN_2(who, what)						\
	RUN(who, what)							\
	static double what##_##who##_99(void)				\
	{								\
		return what##_##who##_second;				\
	}

RUN_2(pulse, hot)
RUN_2(tbb, hot)
RUN_2(mutex, hot)
RUN_2(go, hot)
RUN_2(pulse, asleep)
RUN_2(futex, asleep)
RUN_2(tbb, asleep)
RUN_2(mutex, asleep)
RUN_2(go, asleep)
RUN_2(pulse, crowded)
RUN_2(tbb, crowded)
RUN_2(mutex, crowded)
RUN(pulse, empty)
RUN(batch, empty)
RUN(tbb, empty)
RUN(mutex, empty)
RUN(go, empty)
RUN(pulse, share)
RUN(threads, share)
RUN(tbb, share)
RUN(mutex, share)

#define OURS(what)	{ .name = "pulse", .run = what }
#define PEER(n, what)	{ .name = n, .run = what, .peer = true }

static struct group groups[] = {
	{ "hot", "submit -> run, worker looks around, p50", {
		OURS(hot_pulse), PEER("oneTBB", hot_tbb),
		PEER("mutex", hot_mutex), PEER("go", hot_go),
	} },
	{ "hot_p99", "the same, p99", {
		OURS(hot_pulse_99), PEER("oneTBB", hot_tbb_99),
		PEER("mutex", hot_mutex_99), PEER("go", hot_go_99),
	} },
	{ "asleep", "submit -> run, worker asleep, p50", {
		OURS(asleep_pulse), PEER("futex", asleep_futex),
		PEER("oneTBB", asleep_tbb), PEER("mutex", asleep_mutex),
		PEER("go", asleep_go),
	} },
	{ "asleep_p99", "the same, p99", {
		OURS(asleep_pulse_99), PEER("futex", asleep_futex_99),
		PEER("oneTBB", asleep_tbb_99), PEER("mutex", asleep_mutex_99),
		PEER("go", asleep_go_99),
	} },
	{ "empty", "an empty task of one thread outside", {
		OURS(empty_pulse),
		{ .name = "pulse_batch_32", .run = empty_batch },
		PEER("oneTBB", empty_tbb),
		PEER("mutex", empty_mutex), PEER("go", empty_go),
	} },
	{ "share", "0.3 ms of work, a hog on each CPU", {
		OURS(share_pulse), PEER("threads", share_threads),
		PEER("oneTBB", share_tbb), PEER("mutex", share_mutex),
	} },
	{ "crowded", "submit -> run, a hog on each CPU, p50", {
		OURS(crowded_pulse), PEER("oneTBB", crowded_tbb),
		PEER("mutex", crowded_mutex),
	} },
	{ "crowded_p99", "the same, p99", {
		OURS(crowded_pulse_99), PEER("oneTBB", crowded_tbb_99),
		PEER("mutex", crowded_mutex_99),
	} },
};

/* The group itself, or the second figure of that group. */
static bool chosen(const char *name, const char *only)
{
	return !only || (!strncmp(name, only, strlen(only)) &&
			 (!name[strlen(only)] || name[strlen(only)] == '_'));
}

int main(int argc, char **argv)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	int rounds = argc > 1 ? atoi(argv[1]) : 7;
	const char *only = argc > 2 ? argv[2] : NULL;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_serve [rounds, 1 to %d [group]]\n",
			MAX_ROUNDS);
		return 2;
	}
	if (load_cpus() > PLAIN_THREADS / THREADS_A_CPU ||
	    pulse_backend_info(&info)) {
		fprintf(stderr, "bench_serve: no backend, or more than %d CPUs: restrict it with taskset\n",
			PLAIN_THREADS / THREADS_A_CPU);
		return 1;
	}
	load_bind(-1);		/* what is all is asked for here */
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (!chosen(groups[g].name, only))
			memset(groups[g].c, 0, sizeof(groups[g].c));
	}
	run_rounds(groups, ARRAY_SIZE(groups), rounds, NULL);
	printf("%d CPUs, %s backend, median of %d (lowest to highest)\n",
	       load_cpus(), info.name, rounds);
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (groups[g].c[0].name)
			report("serve", &groups[g], rounds);
	}
	return 0;
}

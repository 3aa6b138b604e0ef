// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where steering by run times wins, and what it costs where it cannot: the same
 * stream of tasks through pulse_pool_run_or_submit() of a pool that learns, and
 * through pulse_pool_submit() of one that does not. Turn about in the same run;
 * median of the rounds, spread, and the ratio of the medians: below 1 it wins.
 * The last column is the same ratio of the CPU time of the whole program, which
 * says what it costs on a machine that others use too.
 *
 *	stream	one thread gives tasks of so many ns without a pause, then waits
 *	sparse	the same with pauses in which the pool falls asleep; what is
 *		measured is the giver's time in the call and the task
 *	mixed	a stream of two kinds: 31 of 50 ns, one of 100 us
 *	nested	a task gives two of 50 ns down to depth 14
 *
 * usage: bench_predict [rounds [workers]]
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <pulse-u/pool.h>
#include <pulse-u/task.h>

#include "by_value.h"

#define MAX_ROUNDS	99
#define STREAM_NS	8000000L	/* of work in a stream */
#define SPARSE		50
#define DEPTH		14

static struct pulse_pool *plain, *learning;
static double loops_per_ns;
static long done;

static void spin(long ns)
{
	for (long i = (long)((double)ns * loops_per_ns); i > 0; i--)
		__asm__ volatile("" ::: "memory");
}

/* The best of some: the others were interrupted. */
static void calibrate(void)
{
	const long loops = 500000;

	for (int n = 0; n < 50; n++) {
		int64_t t = pulse_now_ns();
		double speed;

		for (long i = loops; i > 0; i--)
			__asm__ volatile("" ::: "memory");
		speed = (double)loops / (double)(pulse_now_ns() - t);
		if (speed > loops_per_ns)
			loops_per_ns = speed;
	}
}

static void work(void *arg)
{
	spin((long)(intptr_t)arg);
	__atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
}

static void give(struct pulse_pool *pool, unsigned int type, pulse_task_fn fn,
		 void *arg)
{
	int err;

	do {
		err = pool == learning ?
			pulse_pool_run_or_submit(pool, type, fn, arg) :
			pulse_pool_submit(pool, fn, arg);
		if (err == -EAGAIN)
			sched_yield();
	} while (err == -EAGAIN);
	if (err < 0) {
		fprintf(stderr, "bench_predict: %s\n", pulse_strerror(err));
		exit(1);
	}
}

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct point {
	const char *name;
	double (*run)(struct pulse_pool *pool, long ns);
	long ns;
	unsigned int type;
};

static const struct point *now_at;

static double stream(struct pulse_pool *pool, long ns)
{
	long n = STREAM_NS / (ns + 100);
	int64_t t = pulse_now_ns();

	for (long i = 0; i < n; i++)
		give(pool, now_at->type, work, (void *)(intptr_t)ns);
	pulse_pool_wait(pool);
	return (double)(pulse_now_ns() - t) / (double)n;
}

static double sparse(struct pulse_pool *pool, long ns)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	int64_t in = 0;

	for (long i = 0; i < SPARSE; i++) {
		int64_t t;
		long before = __atomic_load_n(&done, __ATOMIC_RELAXED);

		nanosleep(&pause, NULL);
		t = pulse_now_ns();
		give(pool, now_at->type, work, (void *)(intptr_t)ns);
		while (__atomic_load_n(&done, __ATOMIC_RELAXED) == before)
			;
		in += pulse_now_ns() - t;
	}
	pulse_pool_wait(pool);
	return (double)in / SPARSE;
}

static double mixed(struct pulse_pool *pool, long ns)
{
	const long n = STREAM_NS / 4000;
	int64_t t = pulse_now_ns();

	for (long i = 0; i < n; i++)
		give(pool, now_at->type + !(i % 32), work,
		     (void *)(intptr_t)(i % 32 ? ns : 100000L));
	pulse_pool_wait(pool);
	return (double)(pulse_now_ns() - t) / (double)n;
}

static struct pulse_pool *tree_pool;

static void tree(void *arg)
{
	intptr_t depth = (intptr_t)arg;

	spin(50);
	for (int i = 0; depth && i < 2; i++)
		give(tree_pool, now_at->type + (unsigned int)depth - 1, tree,
		     (void *)(depth - 1));
}

static double nested(struct pulse_pool *pool, long depth)
{
	int64_t t = pulse_now_ns();

	tree_pool = pool;
	give(pool, now_at->type + (unsigned int)depth, tree,
	     (void *)(intptr_t)depth);
	pulse_pool_wait(pool);
	return (double)(pulse_now_ns() - t) / (double)((2L << depth) - 1);
}

static const struct point points[] = {
	{ "stream of 0 ns", stream, 0, 0 },
	{ "stream of 100 ns", stream, 100, 1 },
	{ "stream of 300 ns", stream, 300, 2 },
	{ "stream of 1 us", stream, 1000, 3 },
	{ "stream of 3 us", stream, 3000, 4 },
	{ "stream of 10 us", stream, 10000, 5 },
	{ "stream of 100 us", stream, 100000, 6 },
	{ "stream of 500 us", stream, 500000, 7 },
	{ "sparse of 100 ns", sparse, 100, 8 },
	{ "sparse of 1 us", sparse, 1000, 9 },
	{ "sparse of 10 us", sparse, 10000, 10 },
	{ "mixed", mixed, 50, 11 },
	{ "nested", nested, DEPTH, 20 },
};

struct figures {
	double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];
};

static void one_round(struct figures *f, int r, struct pulse_pool *pool)
{
	double cpu = cpu_ns();

	f->wall[r] = now_at->run(pool, now_at->ns);
	f->cpu[r] = cpu_ns() - cpu;
}

static void sort(struct figures *f, int rounds)
{
	qsort(f->wall, (size_t)rounds, sizeof(double), by_value);
	qsort(f->cpu, (size_t)rounds, sizeof(double), by_value);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 31;
	PULSE_OPTS(pulse_pool_opts, opts,
		   .num_workers = argc > 2 ? (uint32_t)atoi(argv[2]) : 0,
		   .task_queue_size = 1 << 16);
	static struct figures a, b;

	if (rounds < 1 || rounds > MAX_ROUNDS || pulse_pool_create(&opts, &plain)) {
		fprintf(stderr, "usage: bench_predict [rounds [workers]]\n");
		return 2;
	}
	opts.enable_predictive = PULSE_ON;
	if (pulse_pool_create(&opts, &learning))
		return 1;
	calibrate();
	printf("%-18s %12s %12s %9s %8s %8s   (%d rounds, %d workers)\n",
	       "ns a task", "steered", "submitted", "spread %", "ratio", "CPU",
	       rounds, pulse_pool_num_workers(plain));
	for (size_t p = 0; p < sizeof(points) / sizeof(points[0]); p++) {
		const int mid = rounds / 2;
		double ratio, cpu;

		now_at = &points[p];
		/* Once to warm up, and to learn. */
		now_at->run(plain, now_at->ns);
		now_at->run(learning, now_at->ns);
		for (int r = 0; r < rounds; r++) {
			one_round(&a, r, learning);
			one_round(&b, r, plain);
		}
		sort(&a, rounds);
		sort(&b, rounds);
		ratio = a.wall[mid] / b.wall[mid];
		cpu = a.cpu[mid] / b.cpu[mid];
		printf("%-18s %12.1f %12.1f %9.1f %8.3f %8.3f\n", now_at->name,
		       a.wall[mid], b.wall[mid],
		       100 * (b.wall[rounds * 3 / 4] - b.wall[rounds / 4]) / b.wall[mid],
		       ratio, cpu);
		printf("JSON {\"bench\":\"predict\",\"case\":\"%s\",\"steered_ns\":%.1f,\"submitted_ns\":%.1f,\"ratio\":%.4f,\"cpu_ratio\":%.4f,\"rounds\":%d}\n",
		       now_at->name, a.wall[mid], b.wall[mid], ratio, cpu, rounds);
	}
	pulse_pool_destroy(plain);
	pulse_pool_destroy(learning);
	return 0;
}

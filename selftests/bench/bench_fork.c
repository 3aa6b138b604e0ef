// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_fork.c - fork and join beside the plain recursion, oneTBB and libgomp.
 *
 *	fib	fib without a cut-off, nanoseconds a fork
 *	tree	the sum of a balanced tree of ten million nodes, a node
 *	small	of a thousand nodes, from outside, a node
 *	beat	plain code in a task while the worker's heart beats at 100 us: CPU
 *		time of the whole process, so the thread that beats counts too
 *
 * Each round measures every contender, one after the other, each as the least of
 * many short repeats: a machine that does other things too is quiet now and
 * then. Workers are bound to their CPUs: on a busy machine Linux wakes a second
 * one on the first one's CPU, and they take turns. Figures are the median of the
 * rounds. oneTBB and libgomp come from the program peer_fork beside this one,
 * as far as they were there to build it with.
 *
 * With a number of nodes the tree has so many, and only trees are measured.
 *
 * usage: bench_fork [rounds [nodes]]
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pulse-u/backend.h>
#include <pulse-u/fork.h>

#include "by_value.h"
#include "bench_fork.h"

#define MAX_ROUNDS	99
#define THREADS		2

struct fib {
	long n, result;
};

struct sum {
	const struct node *t;
	long result;
};

static struct pulse_pool *pools[THREADS + 1];	/* of so many workers */
static struct node *big, *medium, *small;
static long big_nodes = TREE_NODES;
static int big_repeats = 30;

/* ---- contenders ------------------------------------------------------------ */

static void fib(void *arg)
{
	struct fib *f = arg, a, b;

	if (f->n < 2) {
		f->result = f->n;
		return;
	}
	a.n = f->n - 1;
	b.n = f->n - 2;
	pulse_join2(fib, &a, fib, &b);
	f->result = a.result + b.result;
}

static long __attribute__((noinline)) fib_plain(long n)
{
	return n < 2 ? n : fib_plain(n - 1) + fib_plain(n - 2);
}

static void sum(void *arg)
{
	struct sum *s = arg, a, b;
	const struct node *t = s->t;
	long value = t->value;

	a.t = t->left;
	b.t = t->right;
	if (a.t && b.t) {
		pulse_join2(sum, &a, sum, &b);
		value += a.result + b.result;
	} else if (a.t || b.t) {
		a.t = a.t ? a.t : b.t;
		sum(&a);
		value += a.result;
	}
	s->result = value;
}

/* What the pool runs, repeated inside one task, so that no wake-up counts. */
struct repeat {
	pulse_task_fn fn;
	void *arg;
	int nr;
	double ns;		/* out: of the shortest */
	bool cpu;		/* not time: CPU time of all threads */
};

static double clock_ns(bool cpu)
{
	struct timespec ts;

	if (!cpu)
		return (double)pulse_now_ns();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void repeat(void *arg)
{
	struct repeat *r = arg;
	double t;

	r->ns = 1e18;
	for (int i = 0; i < r->nr; i++) {
		t = clock_ns(r->cpu);
		r->fn(r->arg);
		t = clock_ns(r->cpu) - t;
		if (t < r->ns)
			r->ns = t;
	}
}

static double in_pool(int threads, pulse_task_fn fn, void *arg, int nr)
{
	struct repeat r = { fn, arg, nr, 0, false };

	if (pulse_fork_run(pools[threads], repeat, &r))
		exit(1);
	return r.ns;
}

static double pulse_fib(int threads)
{
	int n = threads > 1 ? FIB_WIDE : FIB_SERIAL;
	struct fib f = { n, 0 };
	double ns = in_pool(threads, fib, &f, threads > 1 ? 30 : 200);

	if (f.result != fib_plain(n))
		exit(1);
	return ns / fib_forks(n);
}

/* One worker on what two workers are measured with. */
static double pulse_fib_wide(int threads)
{
	struct fib f = { FIB_WIDE, 0 };

	(void)threads;
	return in_pool(1, fib, &f, 30) / fib_forks(FIB_WIDE);
}

static double pulse_tree(int threads)
{
	struct sum s = { big, 0 };
	double ns = in_pool(threads, sum, &s, big_repeats);

	if (s.result != tree_sum(big))
		exit(1);
	return ns / (double)big_nodes;
}

static double pulse_tree_medium(int threads)
{
	struct sum s = { medium, 0 };

	return in_pool(threads, sum, &s, 100) / TREE_PEER_NODES;
}

/* From outside, one after the other: the wake-up is what it costs, too. */
static double pulse_small(int threads)
{
	double least = 1e18, t;

	for (int i = 0; i < 2000; i++) {
		struct sum s = { small, 0 };

		t = (double)pulse_now_ns();
		if (pulse_fork_run(pools[threads], sum, &s))
			exit(1);
		t = (double)pulse_now_ns() - t;
		least = t < least ? t : least;
	}
	return least / SMALL_NODES;
}

/* The same from inside a task, where only the tree is measured. */
static double pulse_small_in(int threads)
{
	struct sum s = { small, 0 };

	return in_pool(threads, sum, &s, 5000) / SMALL_NODES;
}

static volatile long sink;

static double plain_fib(int threads)
{
	double least = 1e18, t;

	(void)threads;
	for (int i = 0; i < 200; i++) {
		t = (double)pulse_now_ns();
		sink = fib_plain(FIB_SERIAL);
		t = (double)pulse_now_ns() - t;
		least = t < least ? t : least;
	}
	return least / fib_forks(FIB_SERIAL);
}

static double plain_tree(int threads)
{
	double least = 1e18, t;

	(void)threads;
	for (int i = 0; i < big_repeats; i++) {
		t = (double)pulse_now_ns();
		sink = tree_sum(big);
		t = (double)pulse_now_ns() - t;
		least = t < least ? t : least;
	}
	return least / (double)big_nodes;
}

/* Some 20 ms of plain code, 200 beats if it listened. Its heart beats if it forked before. */
static void spin(void *arg)
{
	uint64_t x = 1;

	for (long i = 0; i < 20000000; i++)
		__asm__ __volatile__("imul $3, %0, %0" : "+r"(x));
	*(uint64_t *)arg = x;
}

static void spin_forking(void *arg)
{
	struct fib f = { 15, 0 };
	struct repeat *r = arg;

	if (r->nr)
		fib(&f);
	r->nr = 4;
	repeat(r);
}

static double beating(int threads, bool on)
{
	uint64_t x;
	struct repeat r = { spin, &x, on, 0, true };

	if (!on)
		usleep(20000);	/* for hearts to stop */
	if (pulse_fork_run(pools[threads], spin_forking, &r))
		exit(1);
	return r.ns / 1e6;
}

static double with_beats;

/* In turns, for a CPU's speed changes from one second to the next. */
static double beat_off(int threads)
{
	double least = 1e18, ms;

	with_beats = 1e18;
	for (int i = 0; i < 10; i++) {
		ms = beating(threads, false);
		least = ms < least ? ms : least;
		ms = beating(threads, true);
		with_beats = ms < with_beats ? ms : with_beats;
	}
	return least;
}

static double beat_on(int threads)
{
	(void)threads;
	return with_beats;
}

/* Nanoseconds as peer_fork measures them; negative: it is not to be had. */
static double peer(const char *who, const char *what, int threads)
{
	char path[4096], line[64] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	FILE *f;

	if (n < 0)
		return -1;
	path[n] = 0;
	*strrchr(path, '/') = 0;
	strcat(path, "/peer_fork");
	if (access(path, X_OK))
		return -1;
	snprintf(strchr(path, 0), 48, " %s %s %d 2>/dev/null", who, what,
		 threads);
	f = popen(path, "r");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		strcpy(line, "-1");
	return pclose(f) ? -1 : atof(line);
}

static double tbb_fib(int threads)
{
	return peer("tbb", "fib", threads);
}

static double tbb_tree(int threads)
{
	return peer("tbb", "tree", threads);
}

static double omp_fib(int threads)
{
	return peer("omp", "fib", threads);
}

static double omp_tree(int threads)
{
	return peer("omp", "tree", threads);
}

/* ---- rounds and their figures ------------------------------------------ */

struct contender {
	const char *name, *unit;
	double (*run)(int threads);
	int threads;
	double v[MAX_ROUNDS];
};

enum {
	PLAIN_FIB, FIB_1, TBB_FIB_1, FIB_WIDE_1, FIB_2, TBB_FIB_2,
	PLAIN_TREE, TREE_1, TREE_2, MEDIUM_1, MEDIUM_2, TBB_TREE_1, TBB_TREE_2,
	OMP_FIB_1, OMP_FIB_2, OMP_TREE_1, OMP_TREE_2,
	SMALL_1, SMALL_2, SMALL_IN_1, SMALL_IN_2, BEAT_OFF, BEAT_ON,
};

static struct contender all[] = {
	[PLAIN_FIB] = { "fib, plain", "ns a fork", plain_fib, 1, { 0 } },
	[FIB_1] = { "fib, pulse 1", "ns a fork", pulse_fib, 1, { 0 } },
	[TBB_FIB_1] = { "fib, oneTBB 1", "ns a fork", tbb_fib, 1, { 0 } },
	[FIB_WIDE_1] = { "fib long, pulse 1", "ns a fork", pulse_fib_wide, 1, { 0 } },
	[FIB_2] = { "fib long, pulse 2", "ns a fork", pulse_fib, 2, { 0 } },
	[TBB_FIB_2] = { "fib, oneTBB 2", "ns a fork", tbb_fib, 2, { 0 } },
	[PLAIN_TREE] = { "big tree, plain", "ns a node", plain_tree, 1, { 0 } },
	[TREE_1] = { "big tree, pulse 1", "ns a node", pulse_tree, 1, { 0 } },
	[TREE_2] = { "big tree, pulse 2", "ns a node", pulse_tree, 2, { 0 } },
	[MEDIUM_1] = { "tree 1e5, pulse 1", "ns a node", pulse_tree_medium, 1, { 0 } },
	[MEDIUM_2] = { "tree 1e5, pulse 2", "ns a node", pulse_tree_medium, 2, { 0 } },
	[TBB_TREE_1] = { "tree 1e5, oneTBB 1", "ns a node", tbb_tree, 1, { 0 } },
	[TBB_TREE_2] = { "tree 1e5, oneTBB 2", "ns a node", tbb_tree, 2, { 0 } },
	[OMP_FIB_1] = { "fib, libgomp 1", "ns a fork", omp_fib, 1, { 0 } },
	[OMP_FIB_2] = { "fib, libgomp 2", "ns a fork", omp_fib, 2, { 0 } },
	[OMP_TREE_1] = { "tree 1e5, libgomp 1", "ns a node", omp_tree, 1, { 0 } },
	[OMP_TREE_2] = { "tree 1e5, libgomp 2", "ns a node", omp_tree, 2, { 0 } },
	[SMALL_1] = { "tree 1e3, outside, pulse 1", "ns a node", pulse_small, 1, { 0 } },
	[SMALL_2] = { "tree 1e3, outside, pulse 2", "ns a node", pulse_small, 2, { 0 } },
	[SMALL_IN_1] = { "tree 1e3, inside, pulse 1", "ns a node", pulse_small_in, 1, { 0 } },
	[SMALL_IN_2] = { "tree 1e3, inside, pulse 2", "ns a node", pulse_small_in, 2, { 0 } },
	[BEAT_OFF] = { "plain code, no heart", "CPU ms", beat_off, 2, { 0 } },
	[BEAT_ON] = { "plain code, 100 us heart", "CPU ms", beat_on, 2, { 0 } },
};

#define NR_ALL (sizeof(all) / sizeof(all[0]))

/* What is compared with what; over: how many of ours fit into one of theirs. */
static const struct {
	const char *name;
	int ours, theirs;
} figures[] = {
	{ "fib_1_oneTBB", FIB_1, TBB_FIB_1 },
	{ "fib_1_plain", FIB_1, PLAIN_FIB },
	{ "fib_2_oneTBB", FIB_2, TBB_FIB_2 },
	{ "fib_2_over_1", FIB_2, FIB_WIDE_1 },
	{ "tree_1_plain", TREE_1, PLAIN_TREE },
	{ "tree_2_over_1", TREE_2, TREE_1 },
	{ "tree_1_oneTBB", MEDIUM_1, TBB_TREE_1 },
	{ "tree_2_oneTBB", MEDIUM_2, TBB_TREE_2 },
	{ "fib_1_libgomp", FIB_1, OMP_FIB_1 },
	{ "fib_2_libgomp", FIB_2, OMP_FIB_2 },
	{ "tree_1_libgomp", MEDIUM_1, OMP_TREE_1 },
	{ "tree_2_libgomp", MEDIUM_2, OMP_TREE_2 },
	{ "small_outside_2_over_1", SMALL_2, SMALL_1 },
	{ "small_inside_2_over_1", SMALL_IN_2, SMALL_IN_1 },
	{ "heart", BEAT_ON, BEAT_OFF },
};

static void report(int rounds, const char *backend)
{
	for (size_t i = 0; i < NR_ALL; i++) {
		double *v = all[i].v;

		qsort(v, (size_t)rounds, sizeof(*v), by_value);
		if (v[0] < 0)
			printf("  %-28s not to be had\n", all[i].name);
		else
			printf("  %-28s %9.3f %-10s (%.3f to %.3f)\n",
			       all[i].name, v[rounds / 2], all[i].unit, v[0],
			       v[rounds - 1]);
	}
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		const struct contender *a = &all[figures[i].ours];
		const struct contender *b = &all[figures[i].theirs];
		double x = a->v[rounds / 2], y = b->v[rounds / 2];

		if (a->v[0] < 0 || b->v[0] < 0)
			continue;
		printf("  %s / %s: %.4f (%.2f times as fast)\n", a->name,
		       b->name, x / y, y / x);
		printf("JSON {\"bench\":\"fork\",\"figure\":\"%s\",\"unit\":\"%s\",\"name\":\"%s\",\"value\":%.4f,\"low\":%.4f,\"high\":%.4f,\"peer\":\"%s\",\"peer_value\":%.4f,\"peer_low\":%.4f,\"peer_high\":%.4f,\"ratio\":%.4f,\"rounds\":%d,\"backend\":\"%s\"}\n",
		       figures[i].name, a->unit, a->name, x, a->v[0],
		       a->v[rounds - 1], b->name, y, b->v[0], b->v[rounds - 1],
		       x / y, rounds, backend);
	}
}

static bool of_a_tree(size_t i)
{
	return i >= PLAIN_TREE && i <= TBB_TREE_2;
}

int main(int argc, char **argv)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	int rounds = argc > 1 ? atoi(argv[1]) : 7;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_fork [rounds, 1 to %d [nodes]]\n",
			MAX_ROUNDS);
		return 2;
	}
	if (argc > 2) {
		big_nodes = atol(argv[2]);
		big_repeats = 3;
	}
	big = tree_grow(big_nodes);
	medium = tree_grow(TREE_PEER_NODES);
	small = tree_grow(SMALL_NODES);
	if (!big || !medium || !small || pulse_backend_info(&info))
		return 1;
	for (int n = 1; n <= THREADS; n++) {
		PULSE_OPTS(pulse_pool_opts, opts, .num_workers = (uint32_t)n,
			   .pin = PULSE_ON);

		if (pulse_pool_create(&opts, &pools[n]))
			return 1;
	}
	for (int r = 0; r < rounds; r++) {
		for (size_t i = 0; i < NR_ALL; i++)
			all[i].v[r] = argc > 2 && !of_a_tree(i) ? -1 :
				      all[i].run(all[i].threads);
	}
	printf("%s backend, median of %d (lowest to highest)\n", info.name,
	       rounds);
	report(rounds, info.name);
	for (int n = 1; n <= THREADS; n++) {
		if (pulse_pool_destroy(pools[n]))
			return 1;
	}
	return 0;
}

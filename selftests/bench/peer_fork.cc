// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_fork.cc - oneTBB's task_group and the tasks of OpenMP (libgomp) on the
 * trees of bench_fork.c, which starts it. Says nanoseconds, or fails where the
 * peer was not there at build time.
 *
 * usage: peer_fork tbb|omp fib|tree threads
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if __has_include(<oneapi/tbb/task_group.h>)
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#define HAVE_TBB 1
#endif

#include "bench_fork.h"

static double now_ns()
{
	return (double)std::chrono::duration_cast<std::chrono::nanoseconds>(
		std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename F> static double best(F f)
{
	double least = 1e18, t;

	for (int i = 0; i < PEER_REPEATS; i++) {
		t = now_ns();
		f();
		t = now_ns() - t;
		if (t < least)
			least = t;
	}
	return least;
}

#ifdef HAVE_TBB
struct Tbb {
	static long fib(long n)
	{
		long a, b;

		if (n < 2)
			return n;
		tbb::task_group g;
		g.run([&] { b = fib(n - 2); });
		a = fib(n - 1);
		g.wait();
		return a + b;
	}

	static long sum(const struct node *t)
	{
		long a = 0, b = 0;

		tbb::task_group g;
		if (t->right)
			g.run([&] { b = sum(t->right); });
		if (t->left)
			a = sum(t->left);
		g.wait();
		return t->value + a + b;
	}

	template <typename F> static double run(int threads, F f)
	{
		tbb::global_control limit(
			tbb::global_control::max_allowed_parallelism, threads);
		tbb::task_arena arena(threads);

		return best([&] { arena.execute(f); });
	}
};
#endif

#ifdef _OPENMP
struct Omp {
	static long fib(long n)
	{
		long a, b;

		if (n < 2)
			return n;
#pragma omp task shared(b)
		b = fib(n - 2);
		a = fib(n - 1);
#pragma omp taskwait
		return a + b;
	}

	static long sum(const struct node *t)
	{
		long a = 0, b = 0;

		if (t->right) {
#pragma omp task shared(b)
			b = sum(t->right);
		}
		if (t->left)
			a = sum(t->left);
#pragma omp taskwait
		return t->value + a + b;
	}

	template <typename F> static double run(int threads, F f)
	{
		double ns = 0;

#pragma omp parallel num_threads(threads)
#pragma omp single
		ns = best(f);
		return ns;
	}
};
#endif

template <class Peer> static int measure(const char *what, int threads)
{
	volatile long result;
	double ns;

	if (!std::strcmp(what, "fib")) {
		ns = Peer::run(threads, [&] { result = Peer::fib(FIB_PEER); });
		ns /= fib_forks(FIB_PEER);
	} else if (!std::strcmp(what, "tree")) {
		struct node *t = tree_grow(TREE_PEER_NODES);

		ns = Peer::run(threads, [&] { result = Peer::sum(t); });
		if (result != tree_sum(t))
			return 1;
		ns /= (double)TREE_PEER_NODES;
	} else {
		return 2;
	}
	std::printf("%.3f\n", ns);
	return 0;
}

int main(int argc, char **argv)
{
	int threads = argc == 4 ? std::atoi(argv[3]) : 0;

	if (threads < 1)
		return 2;
#ifdef HAVE_TBB
	if (!std::strcmp(argv[1], "tbb"))
		return measure<Tbb>(argv[2], threads);
#endif
#ifdef _OPENMP
	if (!std::strcmp(argv[1], "omp"))
		return measure<Omp>(argv[2], threads);
#endif
	std::fprintf(stderr, "peer_fork: built without %s\n", argv[1]);
	return 1;
}

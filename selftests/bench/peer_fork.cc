// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_fork.cc - oneTBB's task_group on the trees of bench_fork.c, which starts
 * it. Says nanoseconds, or fails without oneTBB.
 *
 * usage: peer_fork fib|tree|small threads
 */
#include <cstdio>

#if __has_include(<oneapi/tbb/task_group.h>)
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "bench_fork.h"

static double now_ns()
{
	return (double)std::chrono::duration_cast<std::chrono::nanoseconds>(
		std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

template <typename F> static double best(tbb::task_arena &arena, F f)
{
	double least = 1e18, t;

	for (int i = 0; i < PEER_REPEATS; i++) {
		t = now_ns();
		arena.execute(f);
		t = now_ns() - t;
		if (t < least)
			least = t;
	}
	return least;
}

int main(int argc, char **argv)
{
	int threads = argc == 3 ? std::atoi(argv[2]) : 0;
	volatile long result;
	double ns;

	if (threads < 1)
		return 2;
	tbb::global_control limit(
		tbb::global_control::max_allowed_parallelism, threads);
	tbb::task_arena arena(threads);
	if (!std::strcmp(argv[1], "fib")) {
		ns = best(arena, [&] { result = fib(FIB_PEER); });
		ns /= fib_forks(FIB_PEER);
	} else {
		long nr = std::strcmp(argv[1], "tree") ? SMALL_NODES :
							 TREE_PEER_NODES;
		struct node *t = tree_grow(nr);

		ns = best(arena, [&] { result = sum(t); });
		if (result != tree_sum(t))
			return 1;
		ns /= (double)nr;
	}
	std::printf("%.3f\n", ns);
	return 0;
}
#else
int main()
{
	std::fprintf(stderr, "peer_fork: built without libtbb-dev\n");
	return 1;
}
#endif

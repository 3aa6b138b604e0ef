// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_pool.cc - oneTBB's task_arena::enqueue under the loads of pool_load.h,
 * for bench_serve.c, which starts it. Says the figures of one round, or fails
 * without oneTBB.
 *
 * usage: peer_pool have|hot|asleep|empty|share|crowded
 */
#include <cstdio>

#if __has_include(<oneapi/tbb/task_arena.h>)
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include "pool_load.h"

static int submit(void *pool, load_fn fn, void *arg)
{
	static_cast<tbb::task_arena *>(pool)->enqueue([=] { fn(arg); });
	return 0;
}

int main(int argc, char **argv)
{
	double out[LOAD_FIGURES];
	struct ping p = {};

	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "have"))
		return 0;
	int threads = load_threads(argv[1]);
	bool bound = threads == 1;

	/* One of its places is for a master; who enqueues is none. */
	tbb::global_control limit(
		tbb::global_control::max_allowed_parallelism, threads + 1);
	tbb::task_arena arena(threads, 0);
	struct load l = { &arena, submit };

	/* Its threads are bound as is the one that has them made. */
	if (bound)
		load_bind(0);
	submit(&arena, ping_task, &p);
	ping_wait(&p);
	if (bound)
		load_bind(1);
	if (!load_run(&l, argv[1], out))
		return 2;
	std::printf("%.2f %.2f\n", out[0], out[1]);
	return 0;
}
#else
int main()
{
	std::fprintf(stderr, "peer_pool: built without libtbb-dev\n");
	return 1;
}
#endif

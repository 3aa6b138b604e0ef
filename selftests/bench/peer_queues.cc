// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_queues.cc - boost::lockfree::queue under the same loops as
 * bench_queues.c, which starts it. Says nanoseconds, or fails without boost.
 *
 * usage: peer_queues pair|crowd
 */
#include <cstdio>
#include <cstring>

#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#include <chrono>
#include <cstdint>
#include <sched.h>
#include <thread>
#include <vector>

static const unsigned pairs = 2000000, transfers = 1000000;
static boost::lockfree::queue<void *, boost::lockfree::capacity<1024>> queue;

static double now_ns()
{
	return (double)std::chrono::duration_cast<std::chrono::nanoseconds>(
		std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void wait_a_bit(unsigned &misses)
{
	if (++misses % 64)
		__builtin_ia32_pause();
	else
		sched_yield();
}

static double run_pair()
{
	double start = now_ns();
	void *item;

	for (uintptr_t i = 1; i <= pairs; i++) {
		queue.push((void *)i);
		queue.pop(item);
		__asm__ __volatile__("" ::: "memory");
	}
	return (now_ns() - start) / pairs;
}

static void produce()
{
	unsigned misses = 0;

	for (uintptr_t i = 1; i <= transfers / 2; i++)
		while (!queue.push((void *)i))
			wait_a_bit(misses);
}

static void consume()
{
	unsigned misses = 0, got = 0;
	void *item;

	while (got < transfers / 2) {
		if (queue.pop(item))
			got++;
		else
			wait_a_bit(misses);
	}
}

static double run_crowd()
{
	double start = now_ns();
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++)
		threads.emplace_back(i & 1 ? produce : consume);
	for (auto &t : threads)
		t.join();
	return (now_ns() - start) / transfers;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	std::printf("%.3f\n", std::strcmp(argv[1], "pair") ? run_crowd() :
							     run_pair());
	return 0;
}
#else
int main()
{
	std::fprintf(stderr, "peer_queues: built without libboost-dev\n");
	return 1;
}
#endif

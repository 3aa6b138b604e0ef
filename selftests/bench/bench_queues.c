// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_queues.c - queues, deque and slab beside what else one would take.
 *
 * Each round runs every contender once, one after the other, so that what
 * disturbs the machine disturbs them alike; the figure is the median of the
 * rounds. boost::lockfree comes from the program peer_queues beside this one,
 * where libboost-dev was there to build it with.
 *
 * usage: bench_queues [rounds]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pulse-u/deque.h>
#include <pulse-u/memory.h>
#include <pulse-u/ring.h>

#include "lockfree/deque_inline.h"
#include "lockfree/ring_inline.h"

#define ENTRIES		1024U
#define PAIRS		2000000U	/* a measurement of one thread */
#define TRANSFERS	1000000U	/* a measurement of four */
#define MAX_ROUNDS	101

/* ---- the contenders ---------------------------------------------------- */

/* What one writes who writes no queue: a mutex around an array. */
struct mutex_queue {
	pthread_mutex_t lock;
	uint64_t head, tail;
	void *item[ENTRIES];
};

static struct mutex_queue mutexed = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct pulse__mpmc mpmc;
static struct pulse_ring *ring;
static struct pulse__deque deque;
static struct pulse_deque *deque_handle;
static struct pulse_slab *slab;

static bool mutex_push(void *item)
{
	bool room;

	pthread_mutex_lock(&mutexed.lock);
	room = mutexed.tail - mutexed.head < ENTRIES;
	if (room)
		mutexed.item[mutexed.tail++ % ENTRIES] = item;
	pthread_mutex_unlock(&mutexed.lock);
	return room;
}

static void *mutex_pop(void)
{
	void *item = NULL;

	pthread_mutex_lock(&mutexed.lock);
	if (mutexed.head != mutexed.tail)
		item = mutexed.item[mutexed.head++ % ENTRIES];
	pthread_mutex_unlock(&mutexed.lock);
	return item;
}

/* The last in, first out: the mutex's answer to a deque's owner. */
static void *mutex_take(void)
{
	void *item = NULL;

	pthread_mutex_lock(&mutexed.lock);
	if (mutexed.head != mutexed.tail)
		item = mutexed.item[--mutexed.tail % ENTRIES];
	pthread_mutex_unlock(&mutexed.lock);
	return item;
}

static bool mpmc_push(void *item)
{
	return !pulse__mpmc_push(&mpmc, item);
}

static void *mpmc_pop(void)
{
	return pulse__mpmc_pop(&mpmc);
}

static bool ring_push(void *item)
{
	return !pulse_ring_push(ring, &item, sizeof(item));
}

static void *ring_pop(void)
{
	void *item;

	return pulse_ring_pop(ring, &item, NULL) ? NULL : item;
}

/* ---- one thread -------------------------------------------------------- */

/* Times PAIRS of an expression; gives nanoseconds a pair. */
#define TIME_PAIRS(pair)						\
	({								\
		int64_t start_ = pulse_now_ns();			\
									\
		for (uintptr_t i = 1; i <= PAIRS; i++) {		\
			pair;						\
			__asm__ __volatile__("" ::: "memory");		\
		}							\
		(double)(pulse_now_ns() - start_) / PAIRS;		\
	})

static double pair_mutex(void)
{
	return TIME_PAIRS(mutex_push((void *)i); mutex_pop());
}

static double pair_mpmc(void)
{
	return TIME_PAIRS(mpmc_push((void *)i); mpmc_pop());
}

static double pair_ring(void)
{
	return TIME_PAIRS(ring_push((void *)i); ring_pop());
}

static double lifo_mutex(void)
{
	return TIME_PAIRS(mutex_push((void *)i); mutex_take());
}

static double lifo_deque(void)
{
	return TIME_PAIRS(pulse__deque_push(&deque, (void *)i);
			  pulse__deque_take(&deque));
}

static double lifo_deque_handle(void)
{
	return TIME_PAIRS(pulse_deque_push(deque_handle, (void *)i);
			  pulse_deque_take(deque_handle));
}

static double object_slab(void)
{
	void *p;

	return TIME_PAIRS(pulse_slab_alloc(slab, &p);
			  pulse_slab_free(slab, p));
}

static double object_malloc(void)
{
	return TIME_PAIRS(void *volatile p = malloc(128); free(p));
}

/* ---- two producers, two consumers -------------------------------------- */

struct crowd {
	bool (*push)(void *item);
	void *(*pop)(void);
	pthread_barrier_t start;
	uint64_t popped;
};

static void wait_a_bit(unsigned int *misses)
{
	if (++*misses % 64)
		cpu_relax();
	else
		sched_yield();
}

static void *crowd_produce(void *arg)
{
	struct crowd *c = arg;
	unsigned int misses = 0;

	pthread_barrier_wait(&c->start);
	for (uintptr_t i = 1; i <= TRANSFERS / 2; i++) {
		while (!c->push((void *)i))
			wait_a_bit(&misses);
	}
	return NULL;
}

static void *crowd_consume(void *arg)
{
	struct crowd *c = arg;
	unsigned int misses = 0, got = 0;

	pthread_barrier_wait(&c->start);
	while (got < TRANSFERS / 2) {
		if (c->pop())
			got++;
		else
			wait_a_bit(&misses);
	}
	return NULL;
}

/* Each consumer takes its half: nothing but the queue is shared. */
static double crowd_run(bool (*push)(void *item), void *(*pop)(void))
{
	struct crowd c = { .push = push, .pop = pop };
	pthread_t t[4];
	int64_t start;

	pthread_barrier_init(&c.start, NULL, 5);
	for (int i = 0; i < 4; i++) {
		if (pthread_create(&t[i], NULL,
				   i & 1 ? crowd_produce : crowd_consume, &c))
			abort();
	}
	pthread_barrier_wait(&c.start);
	start = pulse_now_ns();
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&c.start);
	return (double)(pulse_now_ns() - start) / TRANSFERS;
}

static double crowd_mutex(void)
{
	return crowd_run(mutex_push, mutex_pop);
}

static double crowd_mpmc(void)
{
	return crowd_run(mpmc_push, mpmc_pop);
}

static double crowd_ring(void)
{
	return crowd_run(ring_push, ring_pop);
}

/* ---- boost, in its own program ----------------------------------------- */

/* Nanoseconds as peer_queues measures them; negative: it is not to be had. */
static double boost_run(const char *what)
{
	char path[4096], line[64] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	FILE *f;

	if (n < 0)
		return -1;
	path[n] = 0;
	*strrchr(path, '/') = 0;
	strcat(path, "/peer_queues");
	if (access(path, X_OK))
		return -1;
	strcat(path, " ");
	strcat(path, what);
	f = popen(path, "r");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		strcpy(line, "-1");
	return pclose(f) ? -1 : atof(line);
}

static double pair_boost(void)
{
	return boost_run("pair");
}

static double crowd_boost(void)
{
	return boost_run("crowd");
}

/* glibc leaves locks out as long as there was one thread only: not fair. */
static void *nothing(void *arg)
{
	return arg;
}

static void end_single_thread(void)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, nothing, NULL))
		pthread_join(t, NULL);
}

/* ---- rounds and their figures ------------------------------------------ */

struct contender {
	const char *name;
	double (*run)(void);
	bool peer;
	double ns[MAX_ROUNDS];
};

struct group {
	const char *name, *title;
	struct contender c[4];
};

static struct group groups[] = {
	{ "pair", "push and pop, one thread", {
		{ .name = "pulse_mpmc", .run = pair_mpmc },
		{ .name = "pulse_ring", .run = pair_ring },
		{ .name = "mutex", .run = pair_mutex, .peer = true },
		{ .name = "boost", .run = pair_boost, .peer = true },
	} },
	{ "2p2c", "a transfer, two producers and two consumers", {
		{ .name = "pulse_mpmc", .run = crowd_mpmc },
		{ .name = "pulse_ring", .run = crowd_ring },
		{ .name = "mutex", .run = crowd_mutex, .peer = true },
		{ .name = "boost", .run = crowd_boost, .peer = true },
	} },
	{ "deque", "push and take of the owner", {
		{ .name = "pulse_deque_inline", .run = lifo_deque },
		{ .name = "pulse_deque", .run = lifo_deque_handle },
		{ .name = "mutex", .run = lifo_mutex, .peer = true },
	} },
	{ "slab", "allocate and free 128 bytes", {
		{ .name = "pulse_slab", .run = object_slab },
		{ .name = "malloc", .run = object_malloc, .peer = true },
	} },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(struct group *g, int rounds)
{
	printf("%s\n", g->title);
	for (size_t i = 0; i < ARRAY_SIZE(g->c) && g->c[i].name; i++) {
		struct contender *c = &g->c[i];

		qsort(c->ns, (size_t)rounds, sizeof(c->ns[0]), by_value);
		if (c->ns[0] < 0)
			printf("  %-20s not to be had\n", c->name);
		else
			printf("  %-20s %8.1f ns   (%.1f to %.1f)\n", c->name,
			       c->ns[rounds / 2], c->ns[0],
			       c->ns[rounds - 1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(g->c) && g->c[i].name; i++) {
		for (size_t p = 0; p < ARRAY_SIZE(g->c) && g->c[p].name; p++) {
			const struct contender *c = &g->c[i], *peer = &g->c[p];
			double ns = c->ns[rounds / 2];

			if (c->peer || !peer->peer || peer->ns[0] < 0)
				continue;
			printf("  %s / %s: %.2f\n", c->name, peer->name,
			       ns / peer->ns[rounds / 2]);
			printf("JSON {\"bench\":\"queues\",\"figure\":\"%s\",\"unit\":\"ns\",\"name\":\"%s\",\"value\":%.2f,\"low\":%.2f,\"high\":%.2f,\"peer\":\"%s\",\"peer_value\":%.2f,\"peer_low\":%.2f,\"peer_high\":%.2f,\"ratio\":%.3f,\"rounds\":%d}\n",
			       g->name, c->name, ns, c->ns[0],
			       c->ns[rounds - 1], peer->name,
			       peer->ns[rounds / 2], peer->ns[0],
			       peer->ns[rounds - 1],
			       ns / peer->ns[rounds / 2], rounds);
		}
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 7;

	PULSE_OPTS(pulse_slab_opts, slab_opts, .object_bytes = 128);
	PULSE_OPTS(pulse_ring_opts, ring_opts, .entries = ENTRIES);
	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_queues [rounds, 1 to %d]\n",
			MAX_ROUNDS);
		return 2;
	}
	if (pulse__mpmc_init(&mpmc, ENTRIES, 0) ||
	    pulse__deque_init(&deque, ENTRIES, ENTRIES, 0) ||
	    pulse_deque_create(NULL, &deque_handle) ||
	    pulse_ring_create(&ring_opts, &ring) ||
	    pulse_slab_create(&slab_opts, &slab)) {
		fprintf(stderr, "bench_queues: out of memory\n");
		return 1;
	}
	end_single_thread();
	for (int r = 0; r < rounds; r++) {
		for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
			struct contender *c = groups[g].c;

			for (size_t i = 0; i < ARRAY_SIZE(groups[g].c) &&
			     c[i].name; i++)
				c[i].ns[r] = c[i].run();
		}
	}
	printf("median of %d (lowest to highest)\n", rounds);
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		report(&groups[g], rounds);
	return 0;
}

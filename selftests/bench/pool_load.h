/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pool_load.h - what a pool is loaded with, for bench_serve.c and its peers in
 * C and C++ alike: each names its way to submit, and how many threads it has.
 *
 *	hot	submit -> run while workers look around for work
 *	asleep	the same, 200 us after the last task
 *	empty	a task that does nothing, out of many from one thread outside
 *	share	work that more threads share a CPU for: how much of it they get
 *
 * The submitting thread is bound to one CPU, the only worker of hot and asleep
 * to another where there is one.
 */
#ifndef BENCH_POOL_LOAD_H
#define BENCH_POOL_LOAD_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "by_value.h"

#define HOT_PINGS	3000
#define HOT_GAP_NS	3000	/* shorter than anybody looks around for */
#define ASLEEP_PINGS	1000
#define ASLEEP_GAP_NS	200000
#define EMPTY_TASKS	200000L
#define SHARE_TASKS	400L
#define SHARE_LOOPS	300000L	/* 0.3 ms at 3 GHz */
#define THREADS_A_CPU	3	/* and one that hogs it */

typedef void (*load_fn)(void *arg);

struct load {
	void *pool;
	/* 0, or it has no room at the moment */
	int (*submit)(void *pool, load_fn fn, void *arg);
};

static inline double load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static inline int load_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

/* Binds the calling thread to the n-th CPU of those it began with; -1: to all. */
static inline void load_bind(int n)
{
	static cpu_set_t all;
	static int known;
	cpu_set_t one;

	if (!known)
		known = !sched_getaffinity(0, sizeof(all), &all);
	if (!known)
		return;
	if (n < 0) {
		sched_setaffinity(0, sizeof(all), &all);
		return;
	}
	n %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all) && !n--)
			CPU_SET(cpu, &one);
	}
	sched_setaffinity(0, sizeof(one), &one);
}

static inline void load_submit(const struct load *l, load_fn fn, void *arg)
{
	while (l->submit(l->pool, fn, arg))
		sched_yield();
}

/* ---- submit -> run -------------------------------------------------------- */

/* Each has a place of its own: who runs it writes what nobody else does. */
struct ping {
	double run __attribute__((aligned(128)));	/* when it did */
	int done;
};

static inline void ping_task(void *arg)
{
	struct ping *p = (struct ping *)arg;

	p->run = load_now();
	__atomic_store_n(&p->done, 1, __ATOMIC_RELEASE);
}

static inline void ping_wait(struct ping *p)
{
	for (unsigned int n = 1; !__atomic_load_n(&p->done, __ATOMIC_ACQUIRE);
	     n++) {
		if (n % 1024)
			__builtin_ia32_pause();
		else
			sched_yield();
	}
}

static inline void load_gap(double ns)
{
	struct timespec ts = { 0, (long)ns };
	double end = load_now() + ns;

	if (ns >= 100000) {
		nanosleep(&ts, NULL);
		return;
	}
	while (load_now() < end)
		__builtin_ia32_pause();
}

/* @out: p50 and p99 of @nr, @gap_ns apart. */
static inline void load_pings(const struct load *l, int nr, double gap_ns,
			      double *out)
{
	int warm = nr / 10;
	size_t all = (size_t)(nr + warm);
	struct ping *p = (struct ping *)aligned_alloc(128, all * sizeof(*p));
	double *took = (double *)calloc((size_t)nr, sizeof(*took));

	if (!p || !took)
		exit(1);
	memset(p, 0, all * sizeof(*p));
	for (int i = 0; i < nr + warm; i++) {
		double sent;

		load_gap(gap_ns);
		sent = load_now();
		load_submit(l, ping_task, &p[i]);
		ping_wait(&p[i]);
		if (i >= warm)
			took[i - warm] = p[i].run - sent;
	}
	qsort(took, (size_t)nr, sizeof(*took), by_value);
	out[0] = took[nr / 2];
	out[1] = took[nr * 99 / 100];
	free(took);
	free(p);
}

/* ---- tasks that do nothing ------------------------------------------------- */

/* Each thread counts for itself: a common count would be all that is measured. */
#define TALLIES 8192

static struct {
	long nr __attribute__((aligned(128)));
} tally[TALLIES];
static int tallies;

static inline void empty_task(void *arg)
{
	static __thread long *mine;
	int n;

	(void)arg;
	if (!mine) {
		n = __atomic_fetch_add(&tallies, 1, __ATOMIC_RELAXED);
		if (n >= TALLIES)
			abort();
		mine = &tally[n].nr;
	}
	__atomic_store_n(mine, *mine + 1, __ATOMIC_RELEASE);
}

static inline long load_ran(void)
{
	long sum = 0;

	for (int i = __atomic_load_n(&tallies, __ATOMIC_ACQUIRE); i > 0; i--)
		sum += __atomic_load_n(&tally[i - 1].nr, __ATOMIC_ACQUIRE);
	return sum;
}

static inline void load_until(long ran)
{
	while (load_ran() < ran)
		sched_yield();
}

/* @out: nanoseconds a task, to the end of the last. */
static inline void load_empty(const struct load *l, double *out)
{
	long before = load_ran();
	double start = load_now();

	for (long i = 0; i < EMPTY_TASKS; i++)
		load_submit(l, empty_task, NULL);
	load_until(before + EMPTY_TASKS);
	out[0] = (load_now() - start) / EMPTY_TASKS;
}

/* ---- work, beside a hog on each CPU --------------------------------------- */

static inline void share_task(void *arg)
{
	uint64_t x = 1;

	for (long i = 0; i < SHARE_LOOPS; i++)
		__asm__ __volatile__("imul $3, %0, %0" : "+r"(x));
	__atomic_fetch_add((long *)arg, 1, __ATOMIC_RELEASE);
}

/* @out: nanoseconds a task of all SHARE_TASKS; all are there from the start. */
static inline void load_share(const struct load *l, double *out)
{
	const struct timespec nap = { 0, 500000 };
	static long done __attribute__((aligned(128)));
	double start = load_now();

	done = 0;
	for (long i = 0; i < SHARE_TASKS; i++)
		load_submit(l, share_task, &done);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < SHARE_TASKS)
		nanosleep(&nap, NULL);
	out[0] = (load_now() - start) / SHARE_TASKS;
}

/* ---- all of them ----------------------------------------------------------- */

#define LOAD_FIGURES 2

/* Threads that the pool of a load is to have. */
static inline int load_threads(const char *what)
{
	if (!strcmp(what, "hot") || !strcmp(what, "asleep"))
		return 1;
	return load_cpus() * (strcmp(what, "empty") ? THREADS_A_CPU : 1);
}

/* Figures of one round. False: there is no such load. */
static inline int load_run(const struct load *l, const char *what, double *out)
{
	out[0] = out[1] = 0;
	if (!strcmp(what, "hot"))
		load_pings(l, HOT_PINGS, HOT_GAP_NS, out);
	else if (!strcmp(what, "asleep") || !strcmp(what, "crowded"))
		load_pings(l, ASLEEP_PINGS, ASLEEP_GAP_NS, out);
	else if (!strcmp(what, "empty"))
		load_empty(l, out);
	else if (!strcmp(what, "share"))
		load_share(l, out);
	else
		return 0;
	return 1;
}

#endif /* BENCH_POOL_LOAD_H */

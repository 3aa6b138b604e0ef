// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool beside a plain one: a ring under a mutex, workers on a condition
 * variable, one signal a task. Same number of workers, same room, same run,
 * turn about; median of the rounds, spread, and the ratio of the medians.
 *
 *	external	one thread outside submits empty tasks, then waits
 *	batch		the same, 32 at a time where the pool can
 *	nested		a task submits two, down to a tree of empty leaves; room
 *			for all of them
 *	latency		from submit to the task's first instruction, pool asleep
 *
 * usage: bench_pool [rounds [workers]]
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <pulse-u/backend.h>
#include <pulse-u/pool.h>

#include "by_value.h"
#include "plain_pool.h"

#define MAX_ROUNDS	99
#define ROOM		1024U		/* for what comes from outside */
#define DEEP_ROOM	(1U << 18)	/* for the tree */
#define TASKS		200000L
#define DEPTH		16
#define PINGS		400

/* ---- both behind one face ------------------------------------------------ */

struct both {
	struct pulse_pool *pulse;
	struct plain *plain;
};

static void submit(const struct both *b, pulse_task_fn fn, void *arg)
{
	while ((b->pulse ? pulse_pool_submit(b->pulse, fn, arg) :
			   plain_submit(b->plain, fn, arg)) == -EAGAIN)
		sched_yield();
}

static void wait_all(const struct both *b)
{
	if (b->pulse)
		pulse_pool_wait(b->pulse);
	else
		plain_wait(b->plain);
}

static double now_ns(void)
{
	return (double)pulse_now_ns();
}

static double cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return ((double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec) * 1e9 +
	       ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) * 1e3;
}

static void empty(void *arg)
{
	(void)arg;
}

/* ---- cases: each gives wall and CPU nanoseconds a task ------------------- */

static void run_external(const struct both *b)
{
	for (long i = 0; i < TASKS; i++)
		submit(b, empty, NULL);
	wait_all(b);
}

static void run_batch(const struct both *b)
{
	struct pulse_task tasks[32];

	if (!b->pulse) {
		run_external(b);
		return;
	}
	for (int i = 0; i < 32; i++)
		tasks[i] = (struct pulse_task){ .sz = sizeof(*tasks),
						.fn = empty };
	for (long i = 0; i < TASKS;) {
		unsigned int n = TASKS - i < 32 ? (unsigned int)(TASKS - i) : 32;
		int got = pulse_pool_submit_batch(b->pulse, tasks, n);

		if (got > 0)
			i += got;
		else
			sched_yield();
	}
	wait_all(b);
}

struct node {
	const struct both *b;
	int depth;
};

static struct node levels[DEPTH + 1];

static void grow(void *arg)
{
	struct node *n = arg;

	for (int i = 0; n->depth && i < 2; i++)
		submit(n->b, grow, &levels[n->depth - 1]);
}

static void run_nested(const struct both *b)
{
	for (int i = 0; i <= DEPTH; i++)
		levels[i] = (struct node){ b, i };
	submit(b, grow, &levels[DEPTH]);
	wait_all(b);
}

static double ping_at;

static void ping(void *arg)
{
	*(double *)arg = now_ns() - ping_at;
}

static void run_latency(const struct both *b, double *p50, double *p99)
{
	const struct timespec nap = { 0, 200000 };
	static double took[PINGS];

	for (int i = 0; i < PINGS; i++) {
		nanosleep(&nap, NULL);	/* long enough to fall asleep */
		ping_at = now_ns();
		submit(b, ping, &took[i]);
		wait_all(b);
	}
	qsort(took, PINGS, sizeof(*took), by_value);
	*p50 = took[PINGS / 2];
	*p99 = took[PINGS * 99 / 100];
}

/* ---- table --------------------------------------------------------------- */

struct series {
	double v[MAX_ROUNDS];
	int nr;
};

static double median(struct series *s)
{
	qsort(s->v, (size_t)s->nr, sizeof(*s->v), by_value);
	return s->v[s->nr / 2];
}

/* Half of the way between the quarters, in per cent of the median. */
static double spread(struct series *s)
{
	double m = median(s);

	return 50 * (s->v[s->nr * 3 / 4] - s->v[s->nr / 4]) / m;
}

static void row(const char *name, const char *unit, struct series *pulse,
		struct series *plain, int workers, const char *backend)
{
	double a = median(pulse), b = median(plain);

	printf("%-18s %10.0f +-%3.0f%% %10.0f +-%3.0f%% %8.2f   %s\n", name, a,
	       spread(pulse), b, spread(plain), b / a, unit);
	printf("JSON {\"bench\":\"pool\",\"case\":\"%s\",\"unit\":\"%s\",\"pulse\":%.1f,\"pulse_spread_pct\":%.1f,\"peer\":\"mutex+condvar\",\"peer_value\":%.1f,\"peer_spread_pct\":%.1f,\"ratio\":%.3f,\"rounds\":%d,\"workers\":%d,\"backend\":\"%s\"}\n",
	       name, unit, a, spread(pulse), b, spread(plain), b / a, pulse->nr,
	       workers, backend);
}

static void add(struct series *s, double v)
{
	s->v[s->nr++] = v;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const struct both *b);
		double tasks;
	} cases[] = {
		{ "external", run_external, TASKS },
		{ "batch", run_batch, TASKS },
		{ "nested", run_nested, (1 << (DEPTH + 1)) - 1 },
	};
	int rounds = argc > 1 ? atoi(argv[1]) : 7;
	PULSE_OPTS(pulse_pool_opts, opts, .task_queue_size = ROOM);
	PULSE_OPTS(pulse_pool_opts, deep_opts, .task_queue_size = DEEP_ROOM);
	struct pulse_backend_info info = { .sz = sizeof(info) };
	static struct plain plain, deep_plain;
	static struct series wall[2][3], cpu[2][3], lat[2][2];
	struct both b[2] = { { .pulse = NULL }, { .plain = &plain } };
	struct both deep[2] = { { .pulse = NULL }, { .plain = &deep_plain } };
	int workers;

	if (rounds < 1 || rounds > MAX_ROUNDS)
		rounds = 7;
	if (argc > 2)
		opts.num_workers = (uint32_t)atoi(argv[2]);
	deep_opts.num_workers = opts.num_workers;
	if (pulse_backend_info(&info) ||
	    pulse_pool_create(&opts, &b[0].pulse) ||
	    pulse_pool_create(&deep_opts, &deep[0].pulse))
		return 1;
	workers = pulse_pool_num_workers(b[0].pulse);
	if (workers > PLAIN_THREADS)
		return 1;
	plain_start(&plain, workers, ROOM);
	plain_start(&deep_plain, workers, DEEP_ROOM);

	for (int r = -1; r < rounds; r++) {	/* one to warm up */
		for (int c = 0; c < 3; c++) {
			for (int k = 0; k < 2; k++) {
				int who = (r + k) & 1;
				double w = now_ns(), u = cpu_ns();

				cases[c].run(cases[c].run == run_nested ?
					     &deep[who] : &b[who]);
				w = now_ns() - w;
				u = cpu_ns() - u;
				if (r < 0)
					continue;
				add(&wall[who][c], w / cases[c].tasks);
				add(&cpu[who][c], u / cases[c].tasks);
			}
		}
		for (int k = 0; k < 2; k++) {
			int who = (r + k) & 1;
			double p50, p99;

			run_latency(&b[who], &p50, &p99);
			if (r < 0)
				continue;
			add(&lat[who][0], p50);
			add(&lat[who][1], p99);
		}
	}
	printf("%d workers, %s backend, median of %d\n", workers, info.name,
	       rounds);
	printf("%-18s %16s %16s %8s\n", "", "pulse", "mutex+condvar", "ratio");
	for (int c = 0; c < 3; c++) {
		char name[32];

		row(cases[c].name, "ns a task", &wall[0][c], &wall[1][c],
		    workers, info.name);
		snprintf(name, sizeof(name), "%s cpu", cases[c].name);
		row(name, "CPU ns a task", &cpu[0][c], &cpu[1][c], workers,
		    info.name);
	}
	row("latency p50", "ns", &lat[0][0], &lat[1][0], workers, info.name);
	row("latency p99", "ns", &lat[0][1], &lat[1][1], workers, info.name);
	plain_end(&plain);
	plain_end(&deep_plain);
	return pulse_pool_destroy(b[0].pulse) ||
	       pulse_pool_destroy(deep[0].pulse) ? 1 : 0;
}

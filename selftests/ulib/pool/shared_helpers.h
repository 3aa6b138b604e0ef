/* SPDX-License-Identifier: GPL-2.0-only */
/* shared_helpers.h - processes, their board and their tasks, for shared pools. */
#ifndef POOL_SHARED_HELPERS_H
#define POOL_SHARED_HELPERS_H

#include <pulse-u/shared_pool.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "helpers.h"
#include "pool/shared.h"

#define PEERS	4

/* What all processes of a test see, whoever dies. */
struct board {
	int fd;
	uint32_t stop;
	uint32_t ready[PEERS];
	uint32_t entered, gate;
	uint32_t attempt;
	uint64_t sum;
	uint64_t next;			/* the next task to be submitted */
	uint64_t accepted;
	uint64_t by[PEERS + 1];		/* tasks run by each process */
	uint64_t reruns;
	struct {
		uint32_t accepted;
		uint32_t ran;
	} task[];
};

static struct board *b;
static size_t board_bytes;
static struct pulse_shared_pool *pool;
static int me = PEERS;

static inline void board_new(size_t tasks)
{
	board_bytes = sizeof(*b) + tasks * sizeof(b->task[0]);
	b = mmap(NULL, board_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_CHECK(b != MAP_FAILED);
}

static inline void board_end(void)
{
	munmap(b, board_bytes);
}

/* ---- functions ------------------------------------------------------------- */

enum { ADD = 1, MARK, HANG, DIE, GATE, EXIT, SPAWN, ORDER };

static inline void do_add(void *arg, const struct pulse_shared_run *run)
{
	uint64_t v;

	(void)arg;
	memcpy(&v, run->payload, sizeof(v));
	__atomic_fetch_add(&b->sum, v, __ATOMIC_SEQ_CST);
}

static inline void do_mark(void *arg, const struct pulse_shared_run *run)
{
	uint64_t i;

	(void)arg;
	memcpy(&i, run->payload, sizeof(i));
	if (run->attempt > 1)
		ATOMIC_INC(b->reruns);
	/* Some are long enough to be killed in. */
	if (i % 32 == 0)
		nap_us(300);
	ATOMIC_INC(b->task[i].ran);
	ATOMIC_INC(b->by[me]);
}

static inline void do_hang(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	ATOMIC_SET(b->attempt, run->attempt);
	ATOMIC_INC(b->entered);
	while (run->attempt == 1)
		pause();
}

static inline void do_die(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	kill(getpid(), SIGKILL);
}

static inline void do_gate(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	while (!ATOMIC_GET(b->gate))
		nap_us(200);
}

static inline void do_exit(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	pthread_exit(NULL);
}

static inline int put(uint32_t id, uint64_t value, int prio)
{
	struct pulse_shared_task t = {
		.sz = sizeof(t),
		.payload = &value,
		.bytes = sizeof(value),
		.id = id,
		.priority = prio,
	};

	return pulse_shared_pool_submit(pool, &t);
}

/* Submits two more, so many levels down. */
static inline void do_spawn(void *arg, const struct pulse_shared_run *run)
{
	uint64_t depth;

	(void)arg;
	memcpy(&depth, run->payload, sizeof(depth));
	ATOMIC_INC(b->entered);
	for (int i = 0; depth && i < 2; i++)
		KT_EQ(put(SPAWN, depth - 1, 0), 0);
	if (!depth)
		KT_EQ(pulse_shared_pool_wait(pool, 0), -EDEADLK);
	KT_EQ(pulse_shared_pool_destroy(pool), -EDEADLK);
}

/* The order in which tasks ran, as base-4 digits. */
static inline void do_order(void *arg, const struct pulse_shared_run *run)
{
	uint64_t v;

	(void)arg;
	memcpy(&v, run->payload, sizeof(v));
	b->sum = b->sum * 4 + v;
}

static const struct pulse_shared_fn functions[] = {
	{ do_mark, NULL, MARK, 0 },	{ do_add, NULL, ADD, 0 },
	{ do_hang, NULL, HANG, 0 },	{ do_die, NULL, DIE, 0 },
	{ do_gate, NULL, GATE, 0 },	{ do_exit, NULL, EXIT, 0 },
	{ do_spawn, NULL, SPAWN, 0 },	{ do_order, NULL, ORDER, 0 },
};

/* A test may bring a table of its own. */
static const struct pulse_shared_fn *table = functions;
static uint32_t table_nr = ARRAY_SIZE(functions);

static inline int make(int workers, uint32_t entries, uint32_t attempts)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = table_nr, .num_workers = workers,
		   .entries = entries, .max_attempts = attempts);
	int err = pulse_shared_pool_create(&opts, &pool);

	if (!err && b)
		b->fd = pulse_shared_pool_fd(pool);
	return err;
}

static inline int come(int workers)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = table_nr, .num_workers = workers);

	return pulse_shared_pool_attach(b->fd, &opts, &pool);
}

static inline struct pulse_shared_pool_stats shared_stats(void)
{
	struct pulse_shared_pool_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_shared_pool_stats(pool, &s), 0);
	return s;
}

static inline pid_t child(int (*fn)(void), int number)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		me = number;
		alarm(120);
		_exit(fn());
	}
	return pid;
}

static inline int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A process that works until it is told to stop. */
static inline int work(void)
{
	if (come(2))
		return 1;
	ATOMIC_SET(b->ready[me], 1);
	while (!ATOMIC_GET(b->stop))
		nap_us(1000);
	return pulse_shared_pool_destroy(pool) ? 2 : 0;
}

static inline void wait_all(void)
{
	KT_EQ(pulse_shared_pool_wait(pool, pulse_now_ns() + 40000000000LL), 0);
}

#endif /* POOL_SHARED_HELPERS_H */

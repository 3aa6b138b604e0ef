// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of several processes: tasks cross them, and survive the death of any.
 * The same tests run over the module's node rings and over a memfd.
 */
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

static void board_new(size_t tasks)
{
	board_bytes = sizeof(*b) + tasks * sizeof(b->task[0]);
	b = mmap(NULL, board_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_CHECK(b != MAP_FAILED);
}

static void board_end(void)
{
	munmap(b, board_bytes);
}

/* ---- functions ------------------------------------------------------------- */

enum { ADD = 1, MARK, HANG, DIE, GATE, EXIT, SPAWN, ORDER };

static void do_add(void *arg, const struct pulse_shared_run *run)
{
	uint64_t v;

	(void)arg;
	memcpy(&v, run->payload, sizeof(v));
	__atomic_fetch_add(&b->sum, v, __ATOMIC_SEQ_CST);
}

static void do_mark(void *arg, const struct pulse_shared_run *run)
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

static void do_hang(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	ATOMIC_SET(b->attempt, run->attempt);
	ATOMIC_INC(b->entered);
	while (run->attempt == 1)
		pause();
}

static void do_die(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	kill(getpid(), SIGKILL);
}

static void do_gate(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	while (!ATOMIC_GET(b->gate))
		nap_us(200);
}

static void do_exit(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
	ATOMIC_INC(b->entered);
	pthread_exit(NULL);
}

static int put(uint32_t id, uint64_t value, int prio)
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
static void do_spawn(void *arg, const struct pulse_shared_run *run)
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
static void do_order(void *arg, const struct pulse_shared_run *run)
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

static int make(int workers, uint32_t entries, uint32_t attempts)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = table_nr, .num_workers = workers,
		   .entries = entries, .max_attempts = attempts);
	int err = pulse_shared_pool_create(&opts, &pool);

	if (!err && b)
		b->fd = pulse_shared_pool_fd(pool);
	return err;
}

static int come(int workers)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = table_nr, .num_workers = workers);

	return pulse_shared_pool_attach(b->fd, &opts, &pool);
}

static struct pulse_shared_pool_stats shared_stats(void)
{
	struct pulse_shared_pool_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_shared_pool_stats(pool, &s), 0);
	return s;
}

static pid_t child(int (*fn)(void), int number)
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

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A process that works until it is told to stop. */
static int work(void)
{
	if (come(2))
		return 1;
	ATOMIC_SET(b->ready[me], 1);
	while (!ATOMIC_GET(b->stop))
		nap_us(1000);
	return pulse_shared_pool_destroy(pool) ? 2 : 0;
}

static void wait_all(void)
{
	KT_EQ(pulse_shared_pool_wait(pool, pulse_now_ns() + 40000000000LL), 0);
}

/* ---- one process -------------------------------------------------------------- */

KT_TEST(tasks_run_and_are_waited_for)
{
	struct pulse_shared_pool_stats s;

	board_new(0);
	KT_REQUIRE(!make(2, 64, 0));
	s = shared_stats();
	kt_note("memory: %s", s.kernel ? "node rings" : "memfd");
	for (uint64_t i = 1; i <= 1000; i++) {
		int err;

		do
			err = put(ADD, i, (int)(i % 3) - 1);
		while (err == -EAGAIN);
		KT_EQ(err, 0);
	}
	wait_all();
	KT_EQ(b->sum, 500500);
	KT_CHECK(EVENTUALLY(shared_stats().completed == 1000));
	s = shared_stats();
	KT_EQ(s.submitted, 1000);
	KT_EQ(s.queued, 0);
	KT_EQ(s.running, 0);
	KT_EQ(s.errors, 0);
	KT_EQ(s.processes, 1);
	KT_EQ(s.num_workers, 2);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(a_full_pool_says_eagain_and_loses_nothing)
{
	uint64_t room, in = 0;

	board_new(0);
	KT_REQUIRE(!make(1, 64, 0));
	room = shared_stats().capacity;
	KT_EQ(put(GATE, 0, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 1));
	while (!put(ADD, 1, 0))
		in++;
	KT_EQ(in, room - 1);
	KT_EQ(put(ADD, 1, PULSE_PRIO_HIGH), -EAGAIN);
	KT_EQ(pulse_shared_pool_wait(pool, pulse_now_ns() + 1000000), -ETIMEDOUT);
	KT_EQ(shared_stats().queued, room - 1);
	KT_EQ(shared_stats().running, 1);
	ATOMIC_SET(b->gate, 1);
	wait_all();
	KT_EQ(b->sum, in);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(a_higher_priority_comes_first)
{
	board_new(0);
	KT_REQUIRE(!make(1, 64, 0));
	KT_EQ(put(GATE, 0, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 1));
	KT_EQ(put(ORDER, 1, PULSE_PRIO_LOW), 0);
	KT_EQ(put(ORDER, 2, PULSE_PRIO_NORMAL), 0);
	KT_EQ(put(ORDER, 3, PULSE_PRIO_HIGH), 0);
	ATOMIC_SET(b->gate, 1);
	wait_all();
	KT_EQ(b->sum, 3 * 16 + 2 * 4 + 1);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* What is low goes in first, and high ones never end until it was run. */
KT_TEST(a_low_priority_does_not_starve)
{
	board_new(1);
	KT_REQUIRE(!make(1, 64, 0));
	KT_EQ(put(GATE, 0, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 1));
	KT_EQ(put(MARK, 0, PULSE_PRIO_LOW), 0);
	while (!put(ADD, 1, PULSE_PRIO_HIGH))
		;
	ATOMIC_SET(b->gate, 1);
	for (long i = 0; i < 10000000 && !ATOMIC_GET(b->task[0].ran); i++)
		put(ADD, 1, PULSE_PRIO_HIGH);
	KT_EQ(ATOMIC_GET(b->task[0].ran), 1);
	wait_all();
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(tasks_submit_tasks)
{
	board_new(0);
	KT_REQUIRE(!make(2, 1024, 0));
	KT_EQ(put(SPAWN, 7, 0), 0);
	wait_all();
	KT_EQ(b->entered, 255);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* U07 */
KT_TEST(a_task_that_ends_its_thread_is_done)
{
	board_new(0);
	KT_REQUIRE(!make(1, 64, 0));
	for (int i = 0; i < 10; i++)
		KT_EQ(put(EXIT, 0, 0), 0);
	KT_EQ(put(ADD, 5, 0), 0);
	wait_all();
	KT_EQ(b->entered, 10);
	KT_EQ(b->sum, 5);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

static void *park_by_task(void *arg)
{
	uint64_t n = (uintptr_t)arg;

	for (uint64_t i = 0; i < n; i++) {
		while (put(ADD, 1, 0) == -EAGAIN)
			;
		if (i % 64 == 0)
			KT_EQ(pulse_shared_pool_wait(pool, PULSE_FOREVER), 0);
	}
	return NULL;
}

KT_TEST(no_wake_up_is_lost_among_submitters_and_waiters)
{
	const uint64_t n = (uint64_t)kt_scale(20000);
	pthread_t t[3];

	board_new(0);
	KT_REQUIRE(!make(2, 64, 0));
	for (int i = 0; i < 3; i++)
		KT_EQ(pthread_create(&t[i], NULL, park_by_task, (void *)(uintptr_t)n), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	wait_all();
	KT_EQ(b->sum, 3 * n);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* ---- what is refused ------------------------------------------------------------- */

/* U01, U02 */
KT_TEST(bad_input_is_refused_in_words)
{
	struct pulse_shared_fn twice[2] = { { do_add, NULL, 7, 0 },
					    { do_add, NULL, 7, 0 } };
	struct pulse_shared_fn nobody = { NULL, NULL, 7, 0 };
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = functions,
		   .nr_functions = ARRAY_SIZE(functions), .num_workers = PULSE_OFF);
	struct pulse_shared_pool_opts o = opts;
	struct pulse_shared_task t = { .sz = sizeof(t), .id = ADD };
	struct pulse_shared_pool_stats s = { .sz = sizeof(s) };
	char much[200] = { 0 };

	board_new(0);
	pool = (void *)1;
	KT_EQ(pulse_shared_pool_create(NULL, &pool), -EINVAL);
	KT_CHECK(!pool);
	KT_EQ(pulse_shared_pool_create(&opts, NULL), -EINVAL);
#define BAD(member, value) ({ o = opts; o.member = (value);		\
	KT_EQ(pulse_shared_pool_create(&o, &pool), -EINVAL); })
	BAD(sz, 8);
	BAD(functions, NULL);
	BAD(nr_functions, 0);
	BAD(nr_functions, PULSE_SHARED_FUNCTIONS_MAX + 1);
	BAD(functions, &nobody);
	BAD(num_workers, -2);
	BAD(num_workers, 1025);
	BAD(entries, 63);
	BAD(entries, 96);
	BAD(entries, 131072);
	BAD(payload_bytes, PULSE_SHARED_PAYLOAD_MAX + 1);
	BAD(max_workers, 4097);
	o = opts;
	o.functions = twice;
	o.nr_functions = 2;
	KT_EQ(pulse_shared_pool_create(&o, &pool), -EINVAL);
	/* 64 MiB are exceeded. */
	o = opts;
	o.entries = 65536;
	o.payload_bytes = 2000;
	KT_EQ(pulse_shared_pool_create(&o, &pool), -EINVAL);

	KT_REQUIRE(!pulse_shared_pool_create(&opts, &pool));
	b->fd = pulse_shared_pool_fd(pool);
	KT_EQ(pulse_shared_pool_submit(NULL, &t), -EINVAL);
	KT_EQ(pulse_shared_pool_submit(pool, NULL), -EINVAL);
	t.id = 99;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -ENOENT);
	t.id = ADD;
	t.priority = 2;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	t.priority = -2;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	t.priority = 0;
	t.node = -1;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	t.node = 0;
	t.reserved = 1;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	t.reserved = 0;
	t.bytes = 1;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	t.payload = much;
	t.bytes = sizeof(much);
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EMSGSIZE);
	t.sz = 8;
	KT_EQ(pulse_shared_pool_submit(pool, &t), -EINVAL);
	KT_EQ(pulse_shared_pool_wait(NULL, 0), -EINVAL);
	KT_EQ(pulse_shared_pool_wait(pool, -1), -EINVAL);
	KT_EQ(pulse_shared_pool_wait(pool, 0), 0);
	KT_EQ(pulse_shared_pool_stats(NULL, &s), -EINVAL);
	KT_EQ(pulse_shared_pool_stats(pool, NULL), -EINVAL);
	s.sz = 4;
	KT_EQ(pulse_shared_pool_stats(pool, &s), -EINVAL);
	KT_EQ(pulse_shared_pool_fd(NULL), -EINVAL);
	KT_EQ(pulse_shared_pool_destroy(NULL), -EINVAL);
	KT_EQ(pulse_shared_pool_shutdown(NULL), -EINVAL);
	/* U08 */
	KT_EQ(pulse_shared_pool_shutdown(pool), 0);
	KT_EQ(put(ADD, 1, 0), -ESHUTDOWN);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);

	KT_EQ(pulse_shared_fn_id(NULL), 0);
	KT_CHECK(pulse_shared_fn_id("") && pulse_shared_fn_id("a") !=
		 pulse_shared_fn_id("b"));
	board_end();
}

static int attach_otherwise(void)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = functions,
		   .nr_functions = ARRAY_SIZE(functions), .num_workers = 1);
	struct pulse_shared_pool *inherited = pool;
	struct pulse_shared_pool_opts o = opts;
	int pipes[2];

	/* U09 */
	if (pulse_shared_pool_fd(pool) != -EOWNERDEAD || put(ADD, 1, 0) != -EOWNERDEAD)
		return 1;
	o.nr_functions--;
	if (pulse_shared_pool_attach(b->fd, &o, &pool) != -EINVAL || pool)
		return 3;
	o = opts;
	o.entries = 128;
	if (pulse_shared_pool_attach(b->fd, &o, &pool) != -EINVAL)
		return 4;
	o.entries = 64;
	o.payload_bytes = 100;
	if (pulse_shared_pool_attach(b->fd, &o, &pool) != -EINVAL)
		return 5;
	o.payload_bytes = 0;
	o.max_attempts = 9;
	if (pulse_shared_pool_attach(b->fd, &o, &pool) != -EINVAL)
		return 6;
	if (pulse_shared_pool_attach(-1, &opts, &pool) != -EBADF || pipe(pipes) ||
	    pulse_shared_pool_attach(pipes[0], &opts, &pool) >= 0)
		return 7;
	o.max_attempts = 0;
	if (pulse_shared_pool_attach(b->fd, &o, &pool))
		return 8;
	if (pulse_shared_pool_destroy(pool))
		return 9;
	return pulse_shared_pool_destroy(inherited) == -EOWNERDEAD ? 0 : 10;
}

KT_TEST(who_does_not_fit_may_not_attach)
{
	board_new(0);
	KT_REQUIRE(!make(1, 64, 0));
	KT_EQ(status_of(child(attach_otherwise, 0)), 0);
	KT_EQ(shared_stats().processes, 1);
	KT_EQ(put(ADD, 1, 0), 0);
	wait_all();
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* W08: memory that can shrink, or holds nonsense */
KT_TEST(a_memfd_that_cannot_be_trusted_is_refused)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = functions,
		   .nr_functions = ARRAY_SIZE(functions), .num_workers = PULSE_OFF);
	struct pulse__shm *shm;
	int fd;

	fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	KT_REQUIRE(fd >= 0 && !ftruncate(fd, 1 << 20));
	KT_EQ(pulse_shared_pool_attach(fd, &opts, &pool), -EPROTO);
	KT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	KT_EQ(pulse_shared_pool_attach(fd, &opts, &pool), -EINVAL);
	shm = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	KT_REQUIRE(shm != MAP_FAILED);
	shm->magic = PULSE__SHARED_MAGIC;
	shm->entries = 65536;
	shm->payload_bytes = 96;
	KT_EQ(pulse_shared_pool_attach(fd, &opts, &pool), -EPROTO);
	shm->entries = 63;
	KT_EQ(pulse_shared_pool_attach(fd, &opts, &pool), -EPROTO);
	shm->entries = 64;
	shm->payload_bytes = UINT32_MAX;
	KT_EQ(pulse_shared_pool_attach(fd, &opts, &pool), -EPROTO);
	munmap(shm, 1 << 20);
	close(fd);
}

/* U04, U05 */
KT_TEST(every_allocation_may_fail)
{
	int err = -ENOMEM;

	board_new(0);
	for (long n = 1; n < 1000; n++) {
		pulse__alloc_fail_at(n);
		err = make(2, 64, 0);
		pulse__alloc_fail_at(0);
		if (!err)
			break;
		KT_CHECKF(err == -ENOMEM, "allocation %ld: %s", n,
			  pulse_strerror(err));
		KT_CHECK(!pool);
	}
	KT_REQUIRE(!err);
	/* Nothing is allocated to submit or to run. */
	pulse__alloc_fail_at(1);
	KT_EQ(put(ADD, 2, 0), 0);
	wait_all();
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(b->sum, 2);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* ---- several processes -------------------------------------------------------------- */

KT_TEST(tasks_cross_processes)
{
	const uint64_t n = (uint64_t)kt_scale(20000);
	pid_t pid[PEERS];

	board_new(n);
	KT_REQUIRE(!make(PULSE_OFF, 256, 0));
	for (int i = 0; i < PEERS; i++)
		pid[i] = child(work, i);
	for (int i = 0; i < PEERS; i++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[i])));
	KT_EQ(shared_stats().processes, PEERS + 1);
	for (uint64_t i = 0; i < n; i++) {
		while (put(MARK, i, 0) == -EAGAIN)
			nap_us(50);
	}
	wait_all();
	for (uint64_t i = 0; i < n; i++)
		KT_EQ(b->task[i].ran, 1);
	ATOMIC_SET(b->stop, 1);
	for (int i = 0; i < PEERS; i++)
		KT_EQ(status_of(pid[i]), 0);
	KT_EQ(shared_stats().processes, 1);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(what_a_killed_process_was_running_is_run_again)
{
	pid_t pid;

	board_new(0);
	KT_REQUIRE(!make(PULSE_OFF, 64, 0));
	pid = child(work, 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[0])));
	KT_EQ(put(HANG, 0, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 1));
	KT_EQ(b->attempt, 1);
	/* One that is there already, and idle, takes it over. */
	ATOMIC_SET(b->ready[1], 0);
	child(work, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[1])));
	kill(pid, SIGKILL);
	KT_EQ(status_of(pid), -SIGKILL);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 2));
	KT_EQ(b->attempt, 2);
	wait_all();
	ATOMIC_SET(b->stop, 1);
	KT_EQ(status_of(-1), -1000);
	while (wait(NULL) > 0)
		;
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(who_comes_after_all_died_finds_their_tasks)
{
	pid_t pid;

	board_new(0);
	KT_REQUIRE(!make(PULSE_OFF, 64, 0));
	pid = child(work, 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[0])));
	KT_EQ(put(HANG, 0, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 1));
	kill(pid, SIGKILL);
	KT_EQ(status_of(pid), -SIGKILL);
	for (uint64_t i = 0; i < 10; i++)
		KT_EQ(put(ADD, 1, 0), 0);
	pid = child(work, 1);
	wait_all();
	KT_EQ(b->attempt, 2);
	KT_EQ(b->sum, 10);
	ATOMIC_SET(b->stop, 1);
	KT_EQ(status_of(pid), 0);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_TEST(a_task_that_kills_is_dropped_after_max_attempts)
{
	pid_t pid[3];

	board_new(0);
	KT_REQUIRE(!make(PULSE_OFF, 64, 2));
	for (int i = 0; i < 3; i++) {
		pid[i] = child(work, i);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[i])));
	}
	KT_EQ(put(DIE, 0, 0), 0);
	wait_all();
	KT_EQ(b->entered, 2);
	KT_EQ(put(ADD, 3, 0), 0);
	wait_all();
	KT_EQ(b->sum, 3);
	ATOMIC_SET(b->stop, 1);
	for (int i = 0; i < 3; i++)
		status_of(pid[i]);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

static int make_and_hand_over(void)
{
	if (make(1, 64, 0))
		return 1;
	/* The peer comes with the descriptor that it inherits from here. */
	child(work, 0);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[0])))
		return 2;
	child(work, 1);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[1])))
		return 3;
	if (put(GATE, 0, 0) || put(GATE, 0, 0) || put(GATE, 0, 0) ||
	    put(GATE, 0, 0) || put(GATE, 0, 0))
		return 4;
	if (!EVENTUALLY(ATOMIC_GET(b->entered) == 5))
		return 5;
	for (int i = 0; i < 20; i++) {
		if (put(ADD, 1, 0))
			return 6;
	}
	kill(getpid(), SIGKILL);
	return 7;
}

KT_TEST(the_pool_outlives_the_process_that_made_it)
{
	board_new(0);
	KT_EQ(status_of(child(make_and_hand_over, PEERS)), -SIGKILL);
	/* The maker's own gate is run again, by one of the peers. */
	ATOMIC_SET(b->gate, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->entered) == 6));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b->sum) == 20));
	ATOMIC_SET(b->stop, 1);
	nap_us(20000);
	board_end();
}

/* ---- a storm of kills ---------------------------------------------------------------- */

/* Submits from one count that all share; which were accepted is written down. */
static void submit_some(uint64_t n)
{
	uint64_t i = __atomic_fetch_add(&b->next, 1, __ATOMIC_SEQ_CST);
	int err;

	if (i >= n)
		return;
	while ((err = put(MARK, i, (int)(i % 3) - 1)) == -EAGAIN)
		nap_us(50);
	if (!err) {
		ATOMIC_SET(b->task[i].accepted, 1);
		ATOMIC_INC(b->accepted);
	}
}

static uint64_t storm_tasks;

static int work_and_submit(void)
{
	if (come(2))
		return 1;
	ATOMIC_SET(b->ready[me], 1);
	while (!ATOMIC_GET(b->stop)) {
		if (ATOMIC_GET(b->next) < storm_tasks)
			submit_some(storm_tasks);
		else
			nap_us(1000);
	}
	return pulse_shared_pool_destroy(pool) ? 2 : 0;
}

/*
 * 100,000 tasks, submitted and run by all; 20 kills at any moment, each of them
 * followed by a new process. What a process that was killed had begun to submit
 * and never heard of again may be run or not.
 */
KT_TEST(no_task_is_lost_in_twenty_kills)
{
	const uint64_t n = (uint64_t)kt_scale(100000);
	uint64_t lost = 0, again = 0, runs = 0;
	unsigned int seed = 1;
	pid_t pid[PEERS];

	board_new(n);
	storm_tasks = n;
	KT_REQUIRE(!make(1, 1024, 0));
	for (int i = 0; i < PEERS; i++)
		pid[i] = child(work_and_submit, i);
	for (int k = 0; k < 20; k++) {
		int i = rand_r(&seed) % PEERS;
		uint64_t until = n * (uint64_t)k / 20;

		while (ATOMIC_GET(b->next) < until && ATOMIC_GET(b->next) < n)
			submit_some(n);
		/* Anywhere, also while it attaches. */
		nap_us(rand_r(&seed) % 3000);
		kill(pid[i], SIGKILL);
		KT_EQ(status_of(pid[i]), -SIGKILL);
		ATOMIC_SET(b->ready[i], 0);
		pid[i] = child(work_and_submit, i);
	}
	while (ATOMIC_GET(b->next) < n)
		submit_some(n);
	for (int i = 0; i < PEERS; i++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(b->ready[i])));
	/* All have submitted; then all is run. */
	ATOMIC_SET(b->stop, 1);
	for (int i = 0; i < PEERS; i++)
		KT_EQ(status_of(pid[i]), 0);
	wait_all();
	for (uint64_t i = 0; i < n; i++) {
		lost += b->task[i].accepted && !b->task[i].ran;
		again += b->task[i].ran > 1;
		runs += b->task[i].ran;
	}
	kt_note("%llu accepted, %llu runs, %llu of them after a death, %llu tasks done twice",
		(unsigned long long)b->accepted, (unsigned long long)runs,
		(unsigned long long)b->reruns, (unsigned long long)again);
	KT_EQ(lost, 0);
	/* At most what two threads of each that was killed had in hand. */
	KT_CHECK(again <= 40);
	KT_CHECK(b->accepted + 40 >= n);
	KT_EQ(shared_stats().processes, 1);
	KT_EQ(shared_stats().errors, 0);
	KT_EQ(shared_stats().queued + shared_stats().running, 0);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

/* ---- a hostile process ------------------------------------------------------------------ */

/* Scribbles over every word there is, for a while. H08 */
static int scribble(void)
{
	unsigned int seed = (unsigned int)getpid();
	uint64_t *words;
	size_t nr;

	if (come(PULSE_OFF))
		return 1;
	ATOMIC_SET(b->ready[me], 1);
	words = (uint64_t *)(void *)pool->arena[0].shm;
	nr = (size_t)((unsigned char *)pulse__splace(pool, &pool->arena[0],
						     pool->entries) -
		      (unsigned char *)words) / 8;
	while (!ATOMIC_GET(b->stop)) {
		uint64_t v = (uint64_t)rand_r(&seed) << 32 | (uint64_t)rand_r(&seed);

		switch (rand_r(&seed) % 4) {
		case 0:
			v = 0;
			break;
		case 1:
			v = ~0ULL;
			break;
		case 2:
			v %= 4;
			break;
		}
		WRITE_ONCE(words[(size_t)rand_r(&seed) % nr], v);
	}
	return 0;
}

static int scribbled_pool(void)
{
	pid_t pid;

	if (make(2, 64, 0))
		return 1;
	pid = child(scribble, 0);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[0])))
		return 2;
	for (long i = 0; i < kt_scale(20000); i++) {
		/* Whatever it answers, it answers. */
		put(ADD, 1, 0);
		if (i % 1000 == 0)
			pulse_shared_pool_wait(pool, pulse_now_ns() + 1000000);
		if (i % 1000 == 500) {
			struct pulse_shared_pool_stats s = { .sz = sizeof(s) };

			pulse_shared_pool_stats(pool, &s);
		}
	}
	ATOMIC_SET(b->stop, 1);
	if (status_of(pid))
		return 3;
	/* It leaves in peace, whatever the words say. */
	return pulse_shared_pool_destroy(pool) ? 4 : 0;
}

KT_TEST(a_process_that_scribbles_hurts_nothing_but_the_tasks)
{
	/* What a task is told is as hostile as its sender: only one that bears it. */
	table = functions + 1;
	table_nr = 1;
	board_new(0);
	KT_EQ(status_of(child(scribbled_pool, PEERS)), 0);
	board_end();
	/* A new pool is untouched. */
	board_new(0);
	KT_REQUIRE(!make(1, 64, 0));
	KT_EQ(put(ADD, 1, 0), 0);
	wait_all();
	KT_EQ(b->sum, 1);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	board_end();
}

KT_MAIN()

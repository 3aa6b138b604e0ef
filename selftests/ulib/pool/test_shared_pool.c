// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of several processes: tasks cross them, and survive the death of any.
 * The same tests run over the module's node rings and over a memfd.
 */
#include "shared_helpers.h"

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
	KT_REQUIRE(!make(PULSE_OFF, 64, 0));
	KT_EQ(status_of(child(attach_otherwise, 0)), 0);
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
	if (make(PULSE_OFF, 64, 0))
		return 1;
	/* The peer comes with the descriptor that it inherits from here. */
	child(work, 0);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[0])))
		return 2;
	child(work, 1);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[1])))
		return 3;
	if (put(GATE, 0, 0) || put(GATE, 0, 0) || put(GATE, 0, 0) ||
	    put(GATE, 0, 0))
		return 4;
	if (!EVENTUALLY(ATOMIC_GET(b->entered) == 4))
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
	ATOMIC_SET(b->gate, 1);
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
	KT_REQUIRE(!make(PULSE_OFF, 1024, 0));
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
	/* Who comes last finds what they left queued. */
	ATOMIC_SET(b->stop, 0);
	pid[0] = child(work, 0);
	wait_all();
	ATOMIC_SET(b->stop, 1);
	KT_EQ(status_of(pid[0]), 0);
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
	pid_t pid[2];

	if (make(PULSE_OFF, 64, 0))
		return 1;
	pid[1] = child(work, 1);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[1])))
		return 2;
	pid[0] = child(scribble, 0);
	if (!EVENTUALLY(ATOMIC_GET(b->ready[0])))
		return 3;
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
	/* They leave in peace, whatever the words say. */
	if (status_of(pid[0]))
		return 4;
	if (status_of(pid[1]))
		return 5;
	return pulse_shared_pool_destroy(pool) ? 6 : 0;
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

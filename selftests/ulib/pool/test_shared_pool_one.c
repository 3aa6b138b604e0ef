// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shared pool as one process sees it: tasks, priorities, back-pressure, and
 * what is refused.
 */
#include "shared_helpers.h"

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

/* U12, as far as a process can do it to itself */
KT_TEST(a_lost_descriptor_does_not_stop_a_shared_pool)
{
	board_new(0);
	KT_REQUIRE(!make(2, 64, 0));
	nap_us(2000);
	close(pulse_shared_pool_fd(pool));
	for (int i = 0; i < 500; i++) {
		while (put(ADD, 1, 0) == -EAGAIN)
			nap_us(50);
		if (i % 50 == 0)
			wait_all();
	}
	wait_all();
	KT_EQ(b->sum, 500);
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
	BAD(num_workers, -2);
	BAD(num_workers, 1025);
	BAD(entries, 63);
	BAD(entries, 96);
	BAD(entries, 131072);
	BAD(payload_bytes, PULSE_SHARED_PAYLOAD_MAX + 1);
	BAD(max_workers, 4097);
	o = opts;
	o.functions = &nobody;
	o.nr_functions = 1;
	KT_EQ(pulse_shared_pool_create(&o, &pool), -EINVAL);
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

/* Threads of all processes: the kernel backend counts them, the other does not. */
KT_TEST(the_threads_that_there_may_be)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = functions,
		   .nr_functions = ARRAY_SIZE(functions), .num_workers = 3,
		   .max_workers = 4);
	bool counts;

	board_new(0);
	KT_EQ(pulse_shared_pool_create(&opts, &pool), 0);
	counts = pool->ctx;
	for (uint64_t i = 0; i < 100; i++)
		KT_EQ(put(ADD, i, 0), 0);
	wait_all();
	KT_EQ(b->sum, 4950);
	KT_EQ(pulse_shared_pool_destroy(pool), 0);
	opts.max_workers = 2;
	KT_EQ(pulse_shared_pool_create(&opts, &pool), counts ? -ENOSPC : 0);
	if (!counts)
		KT_EQ(pulse_shared_pool_destroy(pool), 0);
	opts.max_workers = PULSE_MAX_WORKERS + 1;
	KT_EQ(pulse_shared_pool_create(&opts, &pool), -EINVAL);
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

KT_MAIN()

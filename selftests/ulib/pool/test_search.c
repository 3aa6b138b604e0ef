// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers that look around for work: how many, where, and where not; and whom
 * they steal from. Those of the first tests never give up by themselves, as the
 * time for it is an hour.
 */
#include <sched.h>

#include "backend/backend.h"
#include "helpers.h"
#include "pool/pool.h"

#define HOUR_NS (3600LL * 1000000000)

static int bound_to = -1;

static void bind_to(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	KT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void worker_start(void *arg, int worker)
{
	(void)arg;
	(void)worker;
	if (bound_to >= 0)
		bind_to(bound_to);
}

static struct pulse_pool *patient(uint32_t workers)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .spin_us = PULSE_OFF, .spin_ns = HOUR_NS,
		   .on_worker_start = worker_start);
	struct pulse_pool *pool = NULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	return pool;
}

static int searching(const struct pulse_pool *pool)
{
	return (int)(READ_ONCE(pool->search) & 0xffff);
}

static int parked(struct pulse_pool *pool)
{
	int n = 0;

	for (int i = 0; i < pulse_pool_num_workers(pool); i++)
		n += worker_of(pool, i).state == PULSE_STATE_PARKED;
	return n;
}

/* The first two of the CPUs that we may use; false: there is one. */
static bool two_cpus(cpu_set_t *all, int *cpu)
{
	int n = 0;

	KT_EQ(sched_getaffinity(0, sizeof(*all), all), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++) {
		if (CPU_ISSET(i, all))
			cpu[n++] = i;
	}
	return n == 2;
}

/* spin_ns comes before spin_us, too: who does not look around at all parks. */
KT_TEST(no_more_than_half_of_the_workers_look_around)
{
	bound_to = -1;
	for (int workers = 1; workers <= 6; workers++) {
		struct pulse_pool *pool = patient((uint32_t)workers);
		int half = workers > 1 ? workers / 2 : 1;
		long n = 0;

		KT_REQUIRE(pool);
		KT_CHECKF(EVENTUALLY(parked(pool) == workers - half &&
				     searching(pool) == half),
			  "of %d workers %d are parked, %d look around", workers,
			  parked(pool), searching(pool));
		/* They find what comes. Nobody else is woken for it. */
		for (int i = 0; i < 100; i++) {
			KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
			KT_EQ(pulse_pool_wait(pool), 0);
		}
		KT_EQ(n, 100);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* Seen by the parks of the only worker: from elsewhere it does not. */
KT_TEST(a_worker_does_not_look_around_where_its_submitter_would_run)
{
	struct pulse_pool *pool;
	cpu_set_t all;
	int cpu[2];
	long n = 0;

	if (!two_cpus(&all, cpu))
		KT_SKIP("one CPU");
	bound_to = cpu[0];
	pool = patient(1);
	KT_REQUIRE(pool);
	bind_to(cpu[1]);
	for (int i = 0; i < 20; i++) {
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(worker_of(pool, 0).parks, 0);
	bind_to(cpu[0]);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_CHECK(EVENTUALLY(parked(pool) == 1));
	/* It is woken, and looks around again for who comes from elsewhere. */
	bind_to(cpu[1]);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(parked(pool), 0);
	KT_EQ(n, 22);
	KT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* All on one CPU, tasks so short that who finds no more makes way. */
KT_TEST(workers_that_make_way_lose_no_task)
{
	long want = kt_scale(100000), n = 0;
	struct pulse_pool *pool;
	cpu_set_t all;
	int cpu[2];

	if (!two_cpus(&all, cpu))
		KT_SKIP("one CPU");
	bound_to = cpu[0];
	pool = patient(2);
	KT_REQUIRE(pool);
	for (int where = 0; where < 2; where++) {
		bind_to(cpu[where]);
		for (long i = 0; i < want; i++) {
			while (pulse_pool_submit(pool, count_task, &n))
				sched_yield();
			if (!(i & 1023))
				KT_EQ(pulse_pool_wait(pool), 0);
		}
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(n, want * (where + 1));
	}
	KT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- whom it steals from ------------------------------------------------------ */

struct hoard {
	struct gate gate;
	sem_t go, ready;
	int loot;
};

static int first_stolen;

static void stolen(void *arg)
{
	int none = 0;

	__atomic_compare_exchange_n(&first_stolen, &none, ((struct hoard *)arg)->loot,
				    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Once nobody is free to take it, has a task in its deque, and does not go on. */
static void hoards(void *arg)
{
	struct hoard *h = arg;

	h->loot = pulse_pool_current_worker() + 1;
	sem_post(&h->gate.inside);
	sem_wait_all(&h->go, 1);
	KT_EQ(pulse_pool_submit(pulse_pool_current(), stolen, h), 0);
	sem_post(&h->ready);
	sem_wait_all(&h->gate.open, 1);
}

static bool of_the_user_backend(void)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	return !pulse_backend_info(&info) && info.kind == PULSE_BACKEND_USER;
}

/* Where the kernel says it we cannot: here its word is ours to write. */
KT_TEST(who_lost_the_cpu_is_stolen_from_first)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 4);
	struct hoard hoard[3];
	struct gate thief;
	struct pulse_pool *pool;
	int other = 0;

	if (!of_the_user_backend())
		KT_SKIP("the module writes the states of workers");
	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	for (int round = 0; round < 24; round++) {
		struct pulse__worker *stuck;

		ATOMIC_SET(first_stolen, 0);
		gate_init(&thief);
		KT_EQ(pulse_pool_submit(pool, gate_task, &thief), 0);
		sem_wait_all(&thief.inside, 1);
		for (int i = 0; i < 3; i++) {
			gate_init(&hoard[i].gate);
			sem_init(&hoard[i].go, 0, 0);
			sem_init(&hoard[i].ready, 0, 0);
			KT_EQ(pulse_pool_submit(pool, hoards, &hoard[i]), 0);
		}
		for (int i = 0; i < 3; i++)
			sem_wait_all(&hoard[i].gate.inside, 1);
		for (int i = 0; i < 3; i++) {
			sem_post(&hoard[i].go);
			sem_wait_all(&hoard[i].ready, 1);
		}
		stuck = pool->worker[hoard[round % 3].loot - 1];
		WRITE_ONCE(pool->ctx->kstate[stuck->index].state,
			   PULSE_STATE_PREEMPTED);
		sem_post(&thief.open);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(first_stolen)));
		other += ATOMIC_GET(first_stolen) != (int)stuck->number + 1;
		WRITE_ONCE(pool->ctx->kstate[stuck->index].state,
			   PULSE_STATE_RUNNING);
		for (int i = 0; i < 3; i++)
			sem_post(&hoard[i].gate.open);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(other, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

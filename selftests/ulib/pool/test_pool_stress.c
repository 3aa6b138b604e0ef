// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each task exactly once, whatever happens at the same time: many producers,
 * tasks that submit tasks, waiters, sleepers; each proved by a bitmap of what
 * ran.
 */
#include <sched.h>

#include "helpers.h"

static unsigned char *ran;	/* a byte a task: how often it ran */

static void mark(void *arg)
{
	__atomic_fetch_add(&ran[(uintptr_t)arg], 1, __ATOMIC_RELAXED);
}

static void check_ran(long n)
{
	long never = 0, twice = 0;

	for (long i = 0; i < n; i++) {
		never += ran[i] == 0;
		twice += ran[i] > 1;
	}
	KT_CHECKF(!never && !twice, "%ld never, %ld more than once", never,
		  twice);
}

static void submit_or_yield(struct pulse_pool *pool, pulse_task_fn fn,
			    void *arg)
{
	int err;

	while ((err = pulse_pool_submit(pool, fn, arg)) == -EAGAIN)
		sched_yield();
	if (err)
		KT_FAIL("submit: %s", pulse_strerror(err));
}

struct producer {
	struct pulse_pool *pool;
	pthread_t thread;
	long first, nr;
	int style;
};

static void *producer_main(void *arg)
{
	struct producer *p = arg;
	struct pulse_task batch[16];
	long i = 0;

	while (i < p->nr) {
		unsigned int n = p->style == 2 ? 16 : 1;

		if ((long)n > p->nr - i)
			n = (unsigned int)(p->nr - i);
		for (unsigned int k = 0; k < n; k++)
			batch[k] = (struct pulse_task){
				.sz = sizeof(*batch), .fn = mark,
				.data = (void *)(p->first + i + (long)k),
				.priority = (int)((i + (long)k) % 3) - 1,
				.node = (int)(i % 3),
			};
		if (p->style == 0) {
			submit_or_yield(p->pool, mark, batch[0].data);
		} else {
			int got = pulse_pool_submit_batch(p->pool, batch, n);

			if (got < 0) {
				KT_CHECK(got == -EAGAIN);
				sched_yield();
				continue;
			}
			n = (unsigned int)got;
		}
		i += n;
		/* Let the pool fall asleep now and then. */
		if (i % 4096 < n && p->style == 1)
			nap_us(300);
	}
	return NULL;
}

static void many_producers_in(struct pulse_pool *pool, int producers, long total)
{
	struct producer p[8];
	long each = total / producers;
	struct pulse_pool_stats s;

	KT_REQUIRE(pool && producers <= 8);
	ran = calloc((size_t)(each * producers), 1);
	KT_REQUIRE(ran);
	for (int i = 0; i < producers; i++) {
		p[i] = (struct producer){ .pool = pool, .first = i * each,
					  .nr = each, .style = i % 3 };
		KT_REQUIRE(!pthread_create(&p[i].thread, NULL, producer_main,
					   &p[i]));
	}
	for (int i = 0; i < producers; i++)
		pthread_join(p[i].thread, NULL);
	KT_EQ(pulse_pool_wait(pool), 0);
	check_ran(each * producers);
	s = stats_of(pool);
	KT_EQ(s.submitted, each * producers);
	KT_EQ(s.completed, each * producers);
	KT_EQ(pulse_pool_destroy(pool), 0);
	free(ran);
}

static void many_producers(uint32_t workers, int producers, long total)
{
	many_producers_in(pool_of(workers, 256), producers, total);
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

KT_TEST(one_producer_one_worker)
{
	many_producers(1, 1, kt_scale(300000));
}

KT_TEST(many_producers_many_workers)
{
	many_producers(4, 6, kt_scale(600000));
}

KT_TEST(many_producers_one_worker)
{
	many_producers(1, 4, kt_scale(300000));
}

struct chain {
	struct pulse_pool *pool;
	long left;
	long ran;
};

static void chain_task(void *arg)
{
	struct chain *c = arg;

	c->ran++;
	if (--c->left)
		submit_or_yield(c->pool, chain_task, c);
}

/* U07: a million submits deep, and neither stack nor queue grows. */
KT_TEST(a_chain_of_nested_submits)
{
	struct chain c[3];
	struct pulse_pool *pool = pool_of(2, 64);
	long n = kt_scale(1000000);
	int64_t t0 = pulse_now_ns();

	KT_REQUIRE(pool);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct chain){ .pool = pool, .left = n / 3 };
		KT_EQ(pulse_pool_submit(pool, chain_task, &c[i]), 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	for (int i = 0; i < 3; i++)
		KT_EQ(c[i].ran, n / 3);
	kt_note("%ld links, %.0f ns each", n,
		(double)(pulse_now_ns() - t0) / (double)n);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct spread {
	struct pulse_pool *pool;
	uintptr_t first, nr;
};

/* Splits its range in two until a leaf marks its byte. */
static void spread_task(void *arg)
{
	struct spread *s = arg, *half;

	while (s->nr > 1) {
		half = malloc(sizeof(*half));
		*half = (struct spread){ s->pool, s->first + s->nr / 2,
					 s->nr - s->nr / 2 };
		s->nr /= 2;
		submit_or_yield(s->pool, spread_task, half);
	}
	mark((void *)s->first);
	free(s);
}

static void trees_in(struct pulse_pool *pool, long rounds)
{
	long n = 4096;

	KT_REQUIRE(pool);
	for (long round = 0; round < rounds; round++) {
		struct spread *s = malloc(sizeof(*s));

		ran = calloc((size_t)n, 1);
		KT_REQUIRE(ran && s);
		*s = (struct spread){ pool, 0, (uintptr_t)n };
		KT_EQ(pulse_pool_submit(pool, spread_task, s), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		check_ran(n);
		free(ran);
	}
	kt_note("%llu of %llu stolen",
		(unsigned long long)stats_of(pool).stolen,
		(unsigned long long)stats_of(pool).completed);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(trees_of_tasks_while_others_wait)
{
	trees_in(pool_of(4, 1024), kt_scale(50));
}

/* ---- not lock-free --------------------------------------------------------- */

static struct pulse_pool *locked_pool(uint32_t workers, uint32_t queue)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .task_queue_size = queue, .enable_lock_free = PULSE_OFF);
	struct pulse_pool *pool = NULL;

	return pulse_pool_create(&opts, &pool) ? NULL : pool;
}

KT_TEST(many_producers_of_a_locked_pool)
{
	many_producers_in(locked_pool(4, 256), 6, kt_scale(300000));
}

/* Nothing lies in a deque: there is room for a whole tree. */
KT_TEST(trees_of_tasks_in_a_locked_pool)
{
	trees_in(locked_pool(3, 8192), kt_scale(20));
}

#define SIBLINGS 100

static struct {
	uintptr_t seen[SIBLINGS];
	int nr;
} queue_up;

static void sibling(void *arg)
{
	queue_up.seen[queue_up.nr++] = (uintptr_t)arg;
}

static void give_siblings(void *arg)
{
	for (uintptr_t i = 0; i < SIBLINGS; i++)
		KT_EQ(pulse_pool_submit(arg, sibling, (void *)i), 0);
	/* One more than there is room for. */
	for (int i = SIBLINGS; i < 128; i++)
		KT_EQ(pulse_pool_submit(arg, nothing_task, NULL), 0);
	KT_EQ(pulse_pool_submit(arg, nothing_task, NULL), -EAGAIN);
}

/* What a lock-free pool's worker gives itself comes out last in, first out. */
KT_TEST(a_locked_pool_is_first_in_first_out)
{
	struct pulse_pool *pool = locked_pool(1, 128);

	KT_REQUIRE(pool);
	queue_up.nr = 0;
	KT_EQ(pulse_pool_submit(pool, give_siblings, pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(queue_up.nr, SIBLINGS);
	for (uintptr_t i = 0; i < SIBLINGS; i++)
		KT_CHECK(queue_up.seen[i] == i);
	KT_EQ(stats_of(pool).stolen, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct waiting {
	struct pulse_pool *pool;
	long rounds;
};

/* Each waits for its own tasks only, and must never return too early. */
static void *waiting_main(void *arg)
{
	struct waiting *w = arg;
	long mine;

	for (long i = 0; i < w->rounds; i++) {
		mine = 0;
		for (int k = 0; k < 10; k++)
			submit_or_yield(w->pool, count_task, &mine);
		KT_EQ(pulse_pool_wait(w->pool), 0);
		/* Plain: the wait makes what the tasks wrote visible. */
		KT_EQ(mine, 10);
	}
	return NULL;
}

KT_TEST(many_waiters_each_see_their_own_tasks_done)
{
	struct pulse_pool *pool = pool_of(3, 0);
	struct waiting w = { .pool = pool, .rounds = kt_scale(3000) };
	pthread_t t[4];

	KT_REQUIRE(pool);
	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, waiting_main, &w));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* One task at a time into a sleeping pool: each must wake somebody. */
KT_TEST(a_task_for_a_sleeping_pool_is_never_left_lying)
{
	struct pulse_pool *pool = pool_of(3, 0);
	long n = 0, rounds = kt_scale(20000);

	KT_REQUIRE(pool);
	for (long i = 1; i <= rounds; i++) {
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		/* Not pulse_pool_wait(): nothing but the wake may help. */
		if (!EVENTUALLY(__atomic_load_n(&n, __ATOMIC_RELAXED) == i)) {
			KT_FAIL("task %ld was left lying", i);
			break;
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct crowd {
	struct pulse_pool *pool;
	struct gate *gate;
	pthread_barrier_t *go;
	int nr;
};

static void *crowd_main(void *arg)
{
	struct crowd *c = arg;

	pthread_barrier_wait(c->go);
	for (int i = 0; i < c->nr; i++)
		submit_or_yield(c->pool, gate_task, c->gate);
	return NULL;
}

/*
 * As many tasks as workers, and none ends before all have begun: each of them
 * needs a worker of its own, however the submits and the workers' falling
 * asleep meet. One wake too few and it hangs.
 */
static void crowd_rounds(int workers, int threads, long rounds, int spin_us)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = (uint32_t)workers,
		   .spin_us = spin_us);
	pthread_barrier_t go;
	struct pulse_pool *pool;
	struct crowd c[8];
	pthread_t t[8];
	struct gate g;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	gate_init(&g);
	for (long round = 0; round < rounds; round++) {
		pthread_barrier_init(&go, NULL, (unsigned int)threads);
		for (int i = 0; i < threads; i++) {
			c[i] = (struct crowd){ pool, &g, &go, workers / threads };
			KT_REQUIRE(!pthread_create(&t[i], NULL, crowd_main,
						   &c[i]));
		}
		sem_wait_all(&g.inside, workers / threads * threads);
		for (int i = 0; i < workers; i++)
			sem_post(&g.open);
		for (int i = 0; i < threads; i++)
			pthread_join(t[i], NULL);
		KT_EQ(pulse_pool_wait(pool), 0);
		while (workers % threads == 0 && !sem_trywait(&g.open))
			;
		pthread_barrier_destroy(&go);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(tasks_that_block_get_a_worker_each)
{
	crowd_rounds(32, 1, kt_scale(100), PULSE_DEFAULT);
	crowd_rounds(32, 4, kt_scale(100), PULSE_DEFAULT);
	crowd_rounds(8, 4, kt_scale(1000), PULSE_OFF);
	crowd_rounds(4, 4, kt_scale(2000), PULSE_OFF);
	crowd_rounds(200, 2, kt_scale(20), PULSE_OFF);
}

struct pingpong {
	struct pulse_pool *to[2];
	long left;
	int done;
};

static void pong(void *arg)
{
	struct pingpong *p = arg;
	long left = __atomic_sub_fetch(&p->left, 1, __ATOMIC_RELAXED);

	if (left <= 0)
		ATOMIC_SET(p->done, 1);
	else
		submit_or_yield(p->to[left & 1], pong, p);
}

/* From one pool into the other and back: each hop wakes a parked worker. */
KT_TEST(a_task_goes_to_and_fro_between_two_pools)
{
	struct pingpong p = { .left = kt_scale(50000) };

	p.to[0] = pool_of(1, 0);
	p.to[1] = pool_of(1, 0);
	KT_REQUIRE(p.to[0] && p.to[1]);
	KT_EQ(pulse_pool_submit(p.to[0], pong, &p), 0);
	for (long last = -1; !ATOMIC_GET(p.done);) {
		long now = __atomic_load_n(&p.left, __ATOMIC_RELAXED);

		nap_us(5000);
		if (now != last)
			alarm(60);
		last = now;
	}
	KT_EQ(pulse_pool_destroy(p.to[0]), 0);
	KT_EQ(pulse_pool_destroy(p.to[1]), 0);
	KT_CHECK(ATOMIC_GET(p.done));
}

struct hostage {
	int freed, over;
};

static void free_hostage(void *arg)
{
	ATOMIC_SET(((struct hostage *)arg)->freed, 1);
}

static void await_freedom(void *arg)
{
	struct hostage *h = arg;

	KT_CHECK(EVENTUALLY(ATOMIC_GET(h->freed)));
	ATOMIC_SET(h->over, 1);
}

/*
 * Where tasks are short a worker takes several along at a time. One that waits
 * for the next of them is not in its way: somebody else comes and takes that.
 */
KT_TEST(a_task_is_not_kept_by_the_one_before_it)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long rounds = kt_scale(300), n = 0;

	KT_REQUIRE(pool);
	for (long i = 0; i < rounds && !kt_failed; i++) {
		struct hostage h = { .freed = 0 };

		for (int k = 0; k < 100; k++)
			submit_or_yield(pool, count_task, &n);
		submit_or_yield(pool, await_freedom, &h);
		submit_or_yield(pool, free_hostage, &h);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(h.over)));
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, rounds * 100);
}

KT_TEST(pools_come_and_go)
{
	long n = 0, rounds = kt_scale(200);

	for (long i = 0; i < rounds; i++) {
		struct pulse_pool *pool = pool_of(1 + (uint32_t)(i % 4), 0);

		KT_REQUIRE(pool);
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
	KT_EQ(n, rounds);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pollers of a pool's workers: one sleep for tasks and descriptors. On epoll, and
 * once more on io_uring where there is one.
 */
#include <sys/eventfd.h>

#include "../pool/helpers.h"
#include "watch.h"

#define WORKERS		3
#define LAST_WORD	1000000000	/* a handler that reads it ends its thread */

static int kind;

/* What a worker serves: one eventfd, of which it counts. */
struct served {
	struct pulse_poller *poller;
	int fd;
	uint64_t id;
	long heard;		/* the worker's; others read it */
	int err;
	bool ended;
};

static struct served served[WORKERS];
static struct pulse_pool *the_pool;

static void on_count(struct pulse_poller *p, int fd, uint32_t events, void *arg)
{
	struct served *s = arg;
	eventfd_t n = 0;

	(void)p;
	(void)events;
	if (eventfd_read(fd, &n))
		return;
	if (n == LAST_WORD)
		pthread_exit(NULL);
	else
		__atomic_fetch_add(&s->heard, (long)n, __ATOMIC_SEQ_CST);
}

static int serve(struct served *s)
{
	PULSE_OPTS(pulse_poller_opts, o, .kind = kind);
	struct pulse_poller *p;
	int err = pulse_poller_of_worker(&o, &p);

	if (err)
		return err;
	ATOMIC_SET(s->poller, p);
	return pulse_poller_add(p, s->fd, PULSE_POLLER_IN, on_count, s, &s->id);
}

static void started(void *arg, int worker)
{
	(void)arg;
	if (worker < WORKERS)
		ATOMIC_SET(served[worker].err, serve(&served[worker]));
}

static void stopped(void *arg, int worker)
{
	(void)arg;
	ATOMIC_SET(served[worker].poller, NULL);
	ATOMIC_SET(served[worker].ended, true);
}

static void pool_begin(int workers)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = (uint32_t)workers,
		   .max_workers = (uint32_t)workers, .on_worker_start = started,
		   .on_worker_stop = stopped);

	for (int i = 0; i < workers; i++) {
		served[i] = (struct served){
			.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .err = 1,
		};
		KT_CHECK(served[i].fd >= 0);
	}
	KT_EQ(pulse_pool_create(&o, &the_pool), 0);
	for (int i = 0; i < workers; i++)
		KT_EQ(ATOMIC_GET(served[i].err), 0);
}

static void pool_end(int workers)
{
	KT_EQ(pulse_pool_destroy(the_pool), 0);
	for (int i = 0; i < workers; i++) {
		KT_CHECK(served[i].ended);
		close(served[i].fd);
	}
}

/* The worker is in its one sleep: it has parked, and so it stays for a while. */
static bool asleep(int worker)
{
	struct pulse_pool_worker_stats a = worker_of(the_pool, worker), b;

	nap_us(20000);
	b = worker_of(the_pool, worker);
	return a.parks == b.parks && (b.state == PULSE_STATE_PARKED ||
				      b.state == PULSE_STATE_BLOCKED);
}

/* ---- each test for each kind ---------------------------------------------- */

static bool kind_begin(int k)
{
	PULSE_OPTS(pulse_poller_opts, o, .kind = k);
	struct pulse_poller *p;

	kind = k;
	if (pulse_poller_create(&o, &p))
		return false;
	pulse_poller_destroy(p);
	return true;
}

#define BOTH(name)							\
	static void name(void);						\
	KT_TEST(name##_with_epoll)					\
	{								\
		KT_CHECK(kind_begin(PULSE_POLLER_EPOLL));		\
		name();							\
	}								\
	KT_TEST(name##_with_io_uring)					\
	{								\
		if (!kind_begin(PULSE_POLLER_IO_URING))			\
			KT_SKIP("io_uring is not to be had");		\
		name();							\
	}								\
	static void name(void)

BOTH(a_worker_that_sleeps_is_woken_by_a_task_and_by_a_descriptor)
{
	long tasks = 0;

	pool_begin(1);
	note_backend();
	for (long i = 1; i <= 20; i++) {
		if (i <= 3)
			KT_CHECK(EVENTUALLY(asleep(0)));
		KT_EQ(pulse_pool_submit(the_pool, count_task, &tasks), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(tasks) == i));
		if (i <= 3)
			KT_CHECK(EVENTUALLY(asleep(0)));
		KT_EQ(eventfd_write(served[0].fd, 1), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == i));
	}
	KT_EQ(pulse_pool_wait(the_pool), 0);
	KT_CHECK(stats_of(the_pool).wakes >= 1);
	pool_end(1);
}

/* ---- everything at once --------------------------------------------------- */

static long ran, posted, submitted_inside;

static void work(void *arg)
{
	(void)arg;
	ATOMIC_INC(ran);
}

struct stormer {
	pthread_t thread;
	uint32_t seed;
	int rounds;
	long tasks, counts[WORKERS], posts;
};

static uint32_t draw(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 16;
}

static void on_post(struct pulse_poller *p, void *arg)
{
	(void)p;
	(void)arg;
	ATOMIC_INC(posted);
	/* What a handler submits is as good as anybody's. */
	if (!pulse_pool_submit(the_pool, work, NULL))
		ATOMIC_INC(submitted_inside);
}

/* Now and then it is quiet for so long that all may fall asleep. */
static void *storm(void *arg)
{
	struct stormer *s = arg;

	for (int i = 0; i < s->rounds; i++) {
		uint32_t what = draw(&s->seed) % 8, who = draw(&s->seed) % WORKERS;

		if (what < 4) {
			while (pulse_pool_submit(the_pool, work, NULL) == -EAGAIN)
				nap_us(50);
			s->tasks++;
		} else if (what < 6) {
			if (!eventfd_write(served[who].fd, 1))
				s->counts[who]++;
		} else if (!pulse_poller_post(served[who].poller, on_post, NULL)) {
			s->posts++;
		}
		if (draw(&s->seed) % 16 == 0)
			nap_us(draw(&s->seed) % 200);
	}
	return NULL;
}

BOTH(tasks_posts_and_descriptors_at_random_each_once)
{
	struct stormer s[3];
	long tasks = 0, counts[WORKERS] = { 0 }, posts = 0;

	ran = posted = submitted_inside = 0;
	pool_begin(WORKERS);
	for (int i = 0; i < 3; i++) {
		s[i] = (struct stormer){ .seed = (uint32_t)i * 77 + 1,
					 .rounds = (int)kt_scale(4000) };
		KT_EQ(pthread_create(&s[i].thread, NULL, storm, &s[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(s[i].thread, NULL);
		tasks += s[i].tasks;
		posts += s[i].posts;
		for (int k = 0; k < WORKERS; k++)
			counts[k] += s[i].counts[k];
	}
	for (int k = 0; k < WORKERS; k++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[k].heard) == counts[k]));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(posted) == posts));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(ran) == tasks +
			    ATOMIC_GET(submitted_inside)));
	/* The queue may be full: a handler does not wait for it. */
	KT_CHECK(submitted_inside <= posts);
	KT_EQ(pulse_pool_wait(the_pool), 0);
	pool_end(WORKERS);
	for (int k = 0; k < WORKERS; k++)
		KT_EQ(served[k].heard, counts[k]);
	KT_EQ(posted, posts);
	KT_EQ(ran, tasks + submitted_inside);
}

/* One after the other, each from sleep: a wake-up that is lost is seen at once. */
BOTH(no_wake_up_is_lost_one_at_a_time)
{
	long tasks = 0, heard[2] = { 0 };
	uint32_t seed = 5;

	pool_begin(2);
	for (long i = 0, n = kt_scale(3000); i < n && !kt_failed; i++) {
		uint32_t what = draw(&seed) % 3;

		if (what == 2) {
			long want = ATOMIC_GET(tasks) + 1;

			KT_EQ(pulse_pool_submit(the_pool, count_task, &tasks), 0);
			KT_CHECK(EVENTUALLY(ATOMIC_GET(tasks) == want));
		} else {
			heard[what]++;
			KT_EQ(eventfd_write(served[what].fd, 1), 0);
			KT_CHECK(EVENTUALLY(ATOMIC_GET(served[what].heard) ==
					    heard[what]));
		}
		if (draw(&seed) % 4 == 0)
			nap_us(draw(&seed) % 100);
	}
	pool_end(2);
}

static bool flood_on;
static long flood_n;

static void flood(void *arg)
{
	ATOMIC_INC(flood_n);
	if (ATOMIC_GET(flood_on))
		KT_EQ(pulse_pool_submit(the_pool, flood, arg), 0);
}

BOTH(a_worker_that_never_runs_out_of_tasks_looks_at_its_poller_too)
{
	pool_begin(1);
	ATOMIC_SET(flood_on, true);
	KT_EQ(pulse_pool_submit(the_pool, flood, NULL), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(flood_n) > 100));
	for (long i = 1; i <= 5; i++) {
		KT_EQ(eventfd_write(served[0].fd, 1), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == i));
	}
	ATOMIC_SET(flood_on, false);
	KT_EQ(pulse_pool_wait(the_pool), 0);
	pool_end(1);
}

static int fired;

static void on_timer(struct pulse_poller *p, struct pulse_poller_timer *t)
{
	(void)p;
	(void)t;
	ATOMIC_INC(fired);
}

static struct pulse_poller_timer the_timer = { .fn = on_timer };

/* In a task: the worker's poller is the task's to use, and no other one is. */
static void use_it(void *arg)
{
	struct pulse_poller *p = NULL, *q = NULL, *other = make();
	int fd;
	int64_t at;

	(void)arg;
	KT_EQ(pulse_poller_of_worker(NULL, &p), 0);
	KT_EQ(pulse_poller_of_worker(NULL, &q), 0);
	KT_CHECK(p == q && p);
	KT_EQ(pulse_poller_run(p), -EBUSY);
	KT_EQ(pulse_poller_run_once(p, 0), -EBUSY);
	KT_EQ(pulse_poller_prepare(p, &fd, &at), -EBUSY);
	KT_EQ(pulse_poller_destroy(p), -EBUSY);
	KT_EQ(pulse_poller_run_once(other, 0), -EDEADLK);
	KT_EQ(pulse_poller_destroy(other), 0);
	KT_EQ(pulse_poller_timer_arm(p, &the_timer, pulse_now_ns() + 1000000), 0);
	/* A stop that nothing is there to be stopped by does no harm. */
	KT_EQ(pulse_poller_stop(p), 0);
}

BOTH(a_task_uses_its_workers_poller_and_others_may_not)
{
	PULSE_OPTS(pulse_poller_opts, spins, .spin_us = 5);
	struct pulse_poller *p = NULL;
	uint64_t id;

	KT_EQ(pulse_poller_of_worker(NULL, NULL), -EINVAL);
	KT_EQ(pulse_poller_of_worker(&spins, &p), -EINVAL);
	KT_EQ(pulse_poller_of_worker(NULL, &p), -ESRCH);
	fired = 0;
	pool_begin(1);
	KT_EQ(pulse_pool_submit(the_pool, use_it, NULL), 0);
	KT_EQ(pulse_pool_wait(the_pool), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(fired) == 1));
	p = ATOMIC_GET(served[0].poller);
	KT_EQ(pulse_poller_add(p, 0, PULSE_POLLER_IN, on_count, NULL, &id), -EPERM);
	KT_EQ(pulse_poller_run_once(p, 0), -EBUSY);
	KT_EQ(pulse_poller_destroy(p), -EBUSY);
	KT_EQ(eventfd_write(served[0].fd, 1), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == 1));
	pool_end(1);
}

BOTH(a_worker_that_is_resized_away_ends_with_its_poller)
{
	struct pulse_poller *last;

	posted = submitted_inside = ran = 0;
	pool_begin(2);
	last = ATOMIC_GET(served[1].poller);
	KT_CHECK(last != NULL);
	KT_EQ(pulse_pool_resize(the_pool, 1), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[1].ended)));
	KT_EQ(eventfd_write(served[0].fd, 1), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == 1));
	/* And comes back with another one. */
	served[1].ended = false;
	ATOMIC_SET(served[1].err, 1);
	KT_EQ(pulse_pool_resize(the_pool, 2), 0);
	KT_CHECK(EVENTUALLY(!ATOMIC_GET(served[1].err)));
	KT_EQ(eventfd_write(served[1].fd, 1), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[1].heard) == 1));
	pool_end(2);
}

static void end_thread(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

BOTH(a_worker_whose_thread_ends_in_a_task_leaves_with_its_poller)
{
	pool_begin(1);
	for (long i = 1; i <= 3; i++) {
		served[0].ended = false;
		ATOMIC_SET(served[0].err, 1);
		KT_EQ(pulse_pool_submit(the_pool, end_thread, NULL), 0);
		/* The successor's on_worker_start makes its own. */
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].ended) &&
				    !ATOMIC_GET(served[0].err)));
		KT_EQ(eventfd_write(served[0].fd, 1), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == i));
	}
	KT_EQ(pulse_pool_wait(the_pool), 0);
	pool_end(1);
}

static int seeded_err;

static void try_seeded(void *arg)
{
	struct pulse_poller *p;

	(void)arg;
	seeded_err = pulse_poller_of_worker(NULL, &p);
}

BOTH(a_worker_whose_thread_ends_in_a_handler_is_replaced_too)
{
	pool_begin(2);
	for (int i = 0; i < 2; i++) {
		served[1].ended = false;
		ATOMIC_SET(served[1].err, 1);
		KT_EQ(eventfd_write(served[1].fd, LAST_WORD), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(served[1].ended) &&
				    !ATOMIC_GET(served[1].err)));
	}
	KT_EQ(eventfd_write(served[1].fd, 1), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[1].heard) == 1));
	KT_EQ(pulse_pool_submit(the_pool, nothing_task, NULL), 0);
	KT_EQ(pulse_pool_wait(the_pool), 0);
	pool_end(2);
}

/* Idle for longer than keep_alive_ms, and more of them than need be. */
BOTH(adaptive_sizing_keeps_workers_that_have_a_poller)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = 2, .min_workers = 1,
		   .max_workers = 3, .enable_adaptive_sizing = PULSE_ON,
		   .keep_alive_ms = 1, .on_worker_start = started,
		   .on_worker_stop = stopped);
	struct gate g;

	for (int i = 0; i < 3; i++)
		served[i] = (struct served){
			.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .err = 1,
		};
	KT_EQ(pulse_pool_create(&o, &the_pool), 0);
	gate_init(&g);
	/* Two that block bring a third one. */
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_pool_submit(the_pool, gate_task, &g), 0);
	sem_wait_all(&g.inside, 3);
	for (int i = 0; i < 3; i++)
		sem_post(&g.open);
	KT_EQ(pulse_pool_wait(the_pool), 0);
	for (long n = 1; n <= 5; n++) {
		nap_us(10000);
		for (int i = 0; i < 3; i++) {
			KT_EQ(eventfd_write(served[i].fd, 1), 0);
			KT_CHECK(EVENTUALLY(ATOMIC_GET(served[i].heard) == n));
			KT_CHECK(!ATOMIC_GET(served[i].ended));
		}
	}
	pool_end(3);
}

KT_TEST(a_deterministic_pool_has_no_pollers)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = 1, .seed = 7);
	struct pulse_pool *pool;

	KT_EQ(pulse_pool_create(&o, &pool), 0);
	KT_EQ(pulse_pool_submit(pool, try_seeded, NULL), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(seeded_err, -EOPNOTSUPP);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Workers with a poller and without, in one context: each is woken in its way. */
KT_TEST(two_pools_of_one_context_one_of_them_with_pollers)
{
	PULSE_OPTS(pulse_ctx_opts, co, .max_workers = 8);
	PULSE_OPTS(pulse_pool_opts, with, .num_workers = 2,
		   .on_worker_start = started, .on_worker_stop = stopped);
	PULSE_OPTS(pulse_pool_opts, without, .num_workers = 2);
	struct pulse_pool *plain;
	struct pulse_ctx *ctx;
	long n = 0, want = 0;

	KT_CHECK(kind_begin(PULSE_POLLER_EPOLL));
	KT_EQ(pulse_ctx_create(&co, &ctx), 0);
	with.ctx = without.ctx = ctx;
	for (int i = 0; i < 2; i++)
		served[i] = (struct served){
			.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		};
	KT_EQ(pulse_pool_create(&with, &the_pool), 0);
	KT_EQ(pulse_pool_create(&without, &plain), 0);
	for (int i = 0; i < 200 && !kt_failed; i++) {
		KT_EQ(pulse_pool_submit(i & 1 ? plain : the_pool, count_task,
					&n), 0);
		want++;
		/* Whoever of the context is woken by a node looks and sleeps again. */
		KT_CHECK(pulse_worker_wake_node(ctx, 0, 4, true) >= 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(n) == want));
		KT_EQ(eventfd_write(served[i & 1].fd, 1), 0);
	}
	KT_CHECK(EVENTUALLY(ATOMIC_GET(served[0].heard) == 100 &&
			    ATOMIC_GET(served[1].heard) == 100));
	KT_EQ(pulse_pool_destroy(plain), 0);
	KT_EQ(pulse_pool_destroy(the_pool), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	close(served[0].fd);
	close(served[1].fd);
}

KT_MAIN()

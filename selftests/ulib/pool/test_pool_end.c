// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a pool ends and what a task may do to it: wait, shutdown, stop, destroy,
 * from outside and inside, in parallel (U08); tasks that end their thread (U07);
 * fork (U09).
 */
#include <unwind.h>

#include "helpers.h"

static long cancelled_n;

static void on_cancel(void *hook_arg, pulse_task_fn fn, void *data)
{
	KT_EQ((intptr_t)hook_arg, 42);
	KT_CHECK(fn == count_task && data);
	__atomic_fetch_add(&cancelled_n, 1, __ATOMIC_RELAXED);
}

static struct pulse_pool *pool_with_hook(uint32_t workers)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = workers,
		   .on_cancel = on_cancel, .hook_arg = (void *)42);
	struct pulse_pool *pool = NULL;

	cancelled_n = 0;
	pulse_pool_create(&opts, &pool);
	return pool;
}

KT_TEST(which_backend)
{
	note_backend();
	KT_CHECK(1);
}

KT_TEST(wait_returns_when_all_so_far_are_done_not_later)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct gate later;
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_wait(pool), 0);	/* nothing so far */
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 100);
	gate_init(&later);
	KT_EQ(pulse_pool_submit(pool, gate_task, &later), 0);
	sem_wait_all(&later.inside, 1);
	KT_EQ(pulse_pool_wait_until(pool, 0), -ETIMEDOUT);
	KT_EQ(pulse_pool_wait_until(pool, pulse_now_ns() + 10000000),
	      -ETIMEDOUT);
	/* Leaderless now; the next waiter goes on. */
	KT_EQ(pulse_pool_wait_until(pool, pulse_now_ns() + 10000000),
	      -ETIMEDOUT);
	sem_post(&later.open);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_pool_active_workers(pool), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct waiter {
	struct pulse_pool *pool;
	int done, ret;
};

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	w->ret = pulse_pool_wait(w->pool);
	ATOMIC_SET(w->done, 1);
	return NULL;
}

/* One task ends after the wait began; one that came later never does. */
KT_TEST(wait_does_not_wait_for_what_came_later)
{
	struct waiter w = { .pool = pool_of(2, 0) };
	struct gate early, late;
	pthread_t t;

	KT_REQUIRE(w.pool);
	gate_init(&early);
	gate_init(&late);
	KT_EQ(pulse_pool_submit(w.pool, gate_task, &early), 0);
	sem_wait_all(&early.inside, 1);
	KT_REQUIRE(pthread_create(&t, NULL, waiter_main, &w) == 0);
	nap_us(50000);	/* likely inside by now; right either way */
	KT_EQ(pulse_pool_submit(w.pool, gate_task, &late), 0);
	sem_wait_all(&late.inside, 1);
	KT_EQ(ATOMIC_GET(w.done), 0);
	sem_post(&early.open);
	pulse_pool_submit(w.pool, nothing_task, NULL);
	/* The waiter may have begun late; then it needs the late one too. */
	nap_us(100000);
	kt_note("wait returned %s the later task ended",
		ATOMIC_GET(w.done) ? "before" : "after");
	sem_post(&late.open);
	pthread_join(t, NULL);
	KT_EQ(w.ret, 0);
	KT_EQ(pulse_pool_destroy(w.pool), 0);
}

struct tree {
	struct pulse_pool *pool;
	long leaves;
	int depth;
};

static void tree_task(void *arg)
{
	struct tree *t = arg, *kid;

	if (!t->depth) {
		free(t);
		return;
	}
	for (int i = 0; i < 2; i++) {
		kid = malloc(sizeof(*kid));
		*kid = *t;
		kid->depth--;
		while (pulse_pool_submit(t->pool, tree_task, kid) == -EAGAIN)
			sched_yield();
	}
	free(t);
}

KT_TEST(wait_covers_what_tasks_submit_in_their_turn)
{
	struct pulse_pool *pool = pool_of(4, 4096);
	struct tree *root;

	KT_REQUIRE(pool);
	for (int round = 0; round < 20; round++) {
		root = malloc(sizeof(*root));
		*root = (struct tree){ .pool = pool, .depth = 8 };
		KT_EQ(pulse_pool_submit(pool, tree_task, root), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(stats_of(pool).completed, (round + 1) * 511);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(shutdown_drains_and_then_refuses)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 500; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), 0);
	KT_EQ(n, 500);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), -ESHUTDOWN);
	KT_EQ(pulse_pool_is_running(pool), 0);
	KT_EQ(pulse_pool_shutdown(pool, 0), 0);
	KT_EQ(pulse_pool_stop(pool), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(stats_of(pool).submitted, 500);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 500);
}

KT_TEST(a_grace_that_is_over_cancels_what_is_queued)
{
	struct pulse_pool *pool = pool_with_hook(2);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	for (int i = 0; i < 20; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_shutdown(pool, 20000000), -ETIMEDOUT);
	KT_EQ(cancelled_n, 20);
	KT_EQ(stats_of(pool).cancelled, 20);
	KT_EQ(pulse_pool_queue_length(pool), 0);
	KT_EQ(pulse_pool_submit(pool, count_task, &n), -ESHUTDOWN);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), -ECANCELED);
	KT_EQ(n, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(stop_cancels_what_is_queued_anywhere)
{
	struct pulse_pool *pool = pool_with_hook(1);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool && gate_close(&g, pool));
	for (int i = 0; i < 30; i++) {
		struct pulse_task task = { .sz = sizeof(task), .fn = count_task,
					   .data = &n, .priority = i % 3 - 1 };

		KT_EQ(pulse_pool_submit_task(pool, &task), 0);
	}
	KT_EQ(pulse_pool_stop(pool), 30);
	KT_EQ(pulse_pool_stop(pool), 0);
	KT_EQ(cancelled_n, 30);
	gate_open(&g, pool);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 0);
}

/* Fills its own deque, and stops the pool under it. */
static void stops_the_pool(void *arg)
{
	struct pulse_pool *pool = pulse_pool_current();

	for (int i = 0; i < 5; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, arg), 0);
	KT_CHECK(pulse_pool_stop(pool) == 5);
	KT_EQ(pulse_pool_submit(pool, count_task, arg), -ESHUTDOWN);
}

KT_TEST(stop_from_inside_a_task)
{
	struct pulse_pool *pool = pool_with_hook(1);
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit(pool, stops_the_pool, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(cancelled_n, 5);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 0);
}

static void shuts_down(void *arg)
{
	struct pulse_pool *pool = pulse_pool_current();

	KT_EQ(pulse_pool_submit(pool, count_task, arg), 0);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), -EINPROGRESS);
	KT_EQ(pulse_pool_submit(pool, count_task, arg), -ESHUTDOWN);
}

/* U08 */
KT_TEST(shutdown_from_inside_a_task_begins_it)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long n = 0;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit(pool, shuts_down, &n), 0);
	KT_CHECK(EVENTUALLY(pulse_pool_is_running(pool) == 0));
	KT_EQ(pulse_pool_submit(pool, count_task, &n), -ESHUTDOWN);
	KT_EQ(pulse_pool_shutdown(pool, PULSE_FOREVER), 0);
	KT_EQ(n, 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct ender {
	struct pulse_pool *pool;
	pthread_barrier_t *go;
	int ret;
};

static void *ender_main(void *arg)
{
	struct ender *e = arg;

	pthread_barrier_wait(e->go);
	e->ret = pulse_pool_shutdown(e->pool, PULSE_FOREVER);
	return NULL;
}

/* U08 */
KT_TEST(shutdowns_in_parallel_all_get_their_answer)
{
	for (long round = 0; round < kt_scale(100); round++) {
		struct pulse_pool *pool = pool_of(2, 0);
		struct ender e[3];
		pthread_barrier_t go;
		pthread_t t[3];
		long n = 0;
		int in = 0;

		KT_REQUIRE(pool);
		pthread_barrier_init(&go, NULL, 4);
		for (int i = 0; i < 3; i++) {
			e[i] = (struct ender){ pool, &go, 1 };
			KT_REQUIRE(!pthread_create(&t[i], NULL, ender_main,
						   &e[i]));
		}
		pthread_barrier_wait(&go);
		/* And submits race with it: accepted means done. */
		while (pulse_pool_submit(pool, count_task, &n) != -ESHUTDOWN) {
			in++;
			if (in > 100000)
				break;
		}
		for (int i = 0; i < 3; i++) {
			pthread_join(t[i], NULL);
			KT_EQ(e[i].ret, 0);
		}
		KT_EQ(stats_of(pool).submitted, stats_of(pool).completed);
		KT_EQ(stats_of(pool).submitted, n);
		KT_EQ(pulse_pool_destroy(pool), 0);
		pthread_barrier_destroy(&go);
	}
}

struct pusher {
	struct pulse_pool *pool;
	long ran, accepted;
};

static void *pusher_main(void *arg)
{
	struct pusher *p = arg;
	int err;

	for (;;) {
		err = pulse_pool_submit(p->pool, count_task, &p->ran);
		if (err == -ESHUTDOWN)
			return NULL;
		if (!err)
			p->accepted++;
		else
			sched_yield();
	}
}

KT_TEST(stop_amid_submits_runs_or_cancels_each_once)
{
	for (long round = 0; round < kt_scale(100); round++) {
		struct pulse_pool *pool = pool_with_hook(2);
		struct pusher p[2] = { { .pool = pool }, { .pool = pool } };
		pthread_t t[2];
		struct pulse_pool_stats s;

		KT_REQUIRE(pool);
		for (int i = 0; i < 2; i++)
			KT_REQUIRE(!pthread_create(&t[i], NULL, pusher_main,
						   &p[i]));
		nap_us(round % 7 * 100);
		KT_CHECK(pulse_pool_stop(pool) >= 0);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		KT_EQ(pulse_pool_wait(pool), 0);
		s = stats_of(pool);
		KT_EQ(s.submitted, p[0].accepted + p[1].accepted);
		KT_EQ(s.completed, p[0].ran + p[1].ran);
		KT_EQ(s.cancelled, cancelled_n);
		KT_EQ(s.submitted, s.completed + s.cancelled);
		KT_EQ(s.queued, 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

KT_TEST(destroy_runs_what_was_accepted)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long n = 0;

	KT_REQUIRE(pool);
	for (int i = 0; i < 300; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 300);
}

static long started, ended;

static void hook_start(void *arg, int worker)
{
	KT_EQ((intptr_t)arg, 7);
	KT_CHECK(worker >= 0 && worker < 3);
	KT_EQ(pulse_pool_current_worker(), worker);
	ATOMIC_INC(started);
}

static void hook_stop(void *arg, int worker)
{
	KT_EQ((intptr_t)arg, 7);
	KT_EQ(pulse_pool_current_worker(), worker);
	ATOMIC_INC(ended);
}

KT_TEST(hooks_are_called_in_each_worker)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3,
		   .on_worker_start = hook_start, .on_worker_stop = hook_stop,
		   .hook_arg = (void *)7);
	struct pulse_pool *pool;

	started = ended = 0;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(ATOMIC_GET(started), 3);
	KT_EQ(ATOMIC_GET(ended), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(ATOMIC_GET(started), 3);
	KT_EQ(ATOMIC_GET(ended), 3);
}

static void exits_its_thread(void *arg)
{
	count_task(arg);
	pthread_exit(NULL);
}

/* U07 */
KT_TEST(a_task_that_exits_its_thread_is_done_and_its_worker_goes_on)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2,
		   .on_worker_start = hook_start, .on_worker_stop = hook_stop,
		   .hook_arg = (void *)7);
	struct pulse_pool *pool;
	long n = 0;

	started = ended = 0;
	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	for (int i = 0; i < 20; i++) {
		KT_EQ(pulse_pool_submit(pool, exits_its_thread, &n), 0);
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
		if (i % 5 == 0)
			KT_EQ(pulse_pool_wait(pool), 0);
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 40);
	KT_EQ(stats_of(pool).completed, 40);
	/* A successor starts after its predecessor's task is done. */
	KT_CHECK(EVENTUALLY(ATOMIC_GET(started) == 22));
	KT_EQ(pulse_pool_submit(pool, exits_its_thread, &n), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(n, 41);
	KT_EQ(ATOMIC_GET(started), ATOMIC_GET(ended));
	KT_CHECK(ATOMIC_GET(started) >= 22);
}

static void throws(void *arg)
{
	static struct _Unwind_Exception exception;

	/* Comes back where nobody would catch it; C++ then ends the process. */
	*(int *)arg = (int)_Unwind_RaiseException(&exception);
}

/* U07 */
KT_TEST(nobody_catches_what_a_task_throws)
{
	struct pulse_pool *pool = pool_of(1, 0);
	int how = -1;

	KT_REQUIRE(pool);
	KT_EQ(pulse_pool_submit(pool, throws, &how), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(how, _URC_END_OF_STACK);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static void leaves_behind(void *arg)
{
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pulse_pool_current(), count_task, arg),
		      0);
	pthread_exit(NULL);
}

KT_TEST(what_such_a_task_submitted_is_run)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 1,
		   .enable_work_stealing = PULSE_OFF);
	struct pulse_pool *pool;
	long n = 0;

	KT_REQUIRE(pulse_pool_create(&opts, &pool) == 0);
	KT_EQ(pulse_pool_submit(pool, leaves_behind, &n), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(n, 10);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int exits_the_process(void *arg)
{
	struct pulse_pool *pool = pool_of(2, 0);

	(void)arg;
	if (!pool)
		return 1;
	pulse_pool_submit(pool, (pulse_task_fn)(void (*)(void))exit, NULL);
	for (;;)
		pause();
}

/* U07 */
KT_TEST(a_task_may_exit_the_process)
{
	KT_EQ(in_child(exits_the_process, NULL), 0);
}

/* U07 */
KT_TEST(a_task_that_blocks_holds_up_nobody_else)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct gate g;
	long n = 0;

	KT_REQUIRE(pool);
	gate_init(&g);
	KT_EQ(pulse_pool_submit(pool, gate_task, &g), 0);
	sem_wait_all(&g.inside, 1);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_pool_submit(pool, count_task, &n), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&n, __ATOMIC_RELAXED) == 100));
	sem_post(&g.open);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static struct pulse_pool *inherited;

static int child_of_a_pool(void *arg)
{
	struct pulse_pool_worker_stats ws = { .sz = sizeof(ws) };
	struct pulse_pool_stats st = { .sz = sizeof(st) };
	struct pulse_pool *pool = inherited;
	struct pulse_task task = { .sz = sizeof(task), .fn = nothing_task };
	int bad = 0;

	bad += pulse_pool_submit(pool, nothing_task, NULL) != -EOWNERDEAD;
	bad += pulse_pool_submit_task(pool, &task) != -EOWNERDEAD;
	bad += pulse_pool_submit_batch(pool, &task, 1) != -EOWNERDEAD;
	bad += pulse_pool_wait(pool) != -EOWNERDEAD;
	bad += pulse_pool_shutdown(pool, 0) != -EOWNERDEAD;
	bad += pulse_pool_stop(pool) != -EOWNERDEAD;
	bad += pulse_pool_is_running(pool) != -EOWNERDEAD;
	bad += pulse_pool_queue_length(pool) != -EOWNERDEAD;
	bad += pulse_pool_active_workers(pool) != -EOWNERDEAD;
	bad += pulse_pool_num_workers(pool) != -EOWNERDEAD;
	bad += pulse_pool_stats(pool, &st) != -EOWNERDEAD;
	bad += pulse_pool_worker_stats(pool, 0, &ws) != -EOWNERDEAD;
	bad += pulse_pool_destroy(pool) != -EOWNERDEAD;
#ifndef PULSE__TSAN	/* which allows no threads after a fork with threads */
	{
		long n = 0;

		pool = pool_of(2, 0);
		bad += !pool || pulse_pool_submit(pool, count_task, &n) ||
		       pulse_pool_destroy(pool) || n != 1;
	}
#endif
	(void)arg;
	return bad;
}

/* U09 */
KT_TEST(a_forked_child_gets_eownerdead_and_can_begin_anew)
{
	long n = 0;

	inherited = pool_of(2, 0);
	KT_REQUIRE(inherited);
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(inherited, count_task, &n), 0);
	KT_EQ(in_child(child_of_a_pool, NULL), 0);
	KT_EQ(pulse_pool_wait(inherited), 0);
	KT_EQ(n, 10);
	KT_EQ(pulse_pool_destroy(inherited), 0);
}

static void drop_log(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
}

static void forks_and_returns(void *arg)
{
	pid_t *pid = arg;

	*pid = fork();
}

KT_TEST(a_child_that_returns_from_the_task_ends_there)
{
	struct pulse_pool *pool = pool_of(1, 0);
	int status = 0;
	pid_t pid = -1;

	KT_REQUIRE(pool);
	pulse_log_set_sink(drop_log, NULL);
	fflush(stdout);
	KT_EQ(pulse_pool_submit(pool, forks_and_returns, &pid), 0);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_CHECK(pid > 0);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

#ifdef PULSE_DEBUG
static int destroys_twice(void *arg)
{
	struct pulse_pool *pool;

	(void)arg;
	if (!freopen("/dev/null", "w", stderr))
		return 0;
	pool = pool_of(1, 0);
	pulse_pool_destroy(pool);
	pulse_pool_destroy(pool);
	return 0;
}

/* U03 */
KT_TEST(a_second_destroy_aborts_a_debug_build)
{
	KT_CHECK(in_child(destroys_twice, NULL) != 0);
}
#endif

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Graphs of steps: each step once and after those it waits for, branches and
 * loops, failures, the ends of pools and threads, and one seed, one history.
 */
#include <stdlib.h>

#include <pulse-u/graph.h>

#include "pool/graph.h"
#include "works.h"

#define GRAPH_OPTS(name, ...) PULSE_OPTS(pulse_graph_opts, name, __VA_ARGS__)

static struct pulse_graph *graph_new(void)
{
	struct pulse_graph *g = NULL;

	KT_EQ(pulse_graph_create(&g), 0);
	return g;
}

static int step(struct pulse_graph *g, pulse_step_fn fn, void *arg)
{
	int n = pulse_graph_step(g, fn, arg, 0);

	KT_CHECKF(n >= 0, "step: %d", n);
	return n;
}

static int choice(struct pulse_graph *g, pulse_step_fn fn, void *arg)
{
	int n = pulse_graph_step(g, fn, arg, PULSE_STEP_CHOICE);

	KT_CHECKF(n >= 0, "choice: %d", n);
	return n;
}

static int counts(void *arg)
{
	ATOMIC_INC(*(long *)arg);
	return 0;
}

static int fails(void *arg)
{
	(void)arg;
	return -EIO;
}

/* ---- what is refused -------------------------------------------------------- */

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g;
	struct pulse_future *f;
	long n = 0;
	char big[sizeof(struct pulse_graph_opts) + 8] = { 0 };
	GRAPH_OPTS(opts);

	KT_REQUIRE(pool);
	KT_EQ(pulse_graph_create(NULL), -EINVAL);
	KT_EQ(pulse_graph_destroy(NULL), -EINVAL);
	g = graph_new();
	KT_EQ(pulse_graph_step(NULL, counts, &n, 0), -EINVAL);
	KT_EQ(pulse_graph_step(g, NULL, &n, 0), -EINVAL);
	KT_EQ(pulse_graph_step(g, counts, &n, 2), -EINVAL);
	KT_EQ(step(g, counts, &n), 0);
	KT_EQ(pulse_graph_edge(NULL, 0, 0), -EINVAL);
	KT_EQ(pulse_graph_edge(g, 0, 1), -EINVAL);
	KT_EQ(pulse_graph_edge(g, -1, 0), -EINVAL);
	KT_EQ(pulse_graph_run(NULL, pool, NULL), -EINVAL);
	KT_EQ(pulse_graph_run(g, NULL, NULL), -EINVAL);
	opts.priority = 2;
	KT_EQ(pulse_graph_start(g, pool, &opts, &f), -EINVAL);
	KT_CHECK(!f);
	opts.priority = 0;
	opts.flags = 2;
	KT_EQ(pulse_graph_run(g, pool, &opts), -EINVAL);
	opts.flags = 0;
	opts.sz = 0;
	KT_EQ(pulse_graph_run(g, pool, &opts), -EINVAL);
	((struct pulse_graph_opts *)(void *)big)->sz = sizeof(big);
	KT_EQ(pulse_graph_run(g, pool, (void *)big), 0);
	big[sizeof(big) - 1] = 1;
	KT_EQ(pulse_graph_run(g, pool, (void *)big), -E2BIG);
	KT_EQ(n, 1);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(circles_are_refused_and_can_be_mended)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	long n = 0;
	int a, b, c;

	KT_REQUIRE(pool && g);
	KT_EQ(pulse_graph_run(g, pool, NULL), 0);	/* empty */
	a = step(g, counts, &n);
	KT_EQ(pulse_graph_edge(g, a, a), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), -ELOOP);
	KT_EQ(pulse_graph_destroy(g), 0);

	g = graph_new();
	a = step(g, counts, &n);
	b = step(g, counts, &n);
	c = step(g, counts, &n);
	KT_EQ(pulse_graph_edge(g, a, b), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), 0);
	KT_EQ(n, 3);
	KT_EQ(pulse_graph_edge(g, b, c), 0);
	KT_EQ(pulse_graph_edge(g, c, b), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), -ELOOP);
	KT_EQ(n, 3);
	KT_EQ(pulse_graph_destroy(g), 0);

	/* Nobody begins: each is led to, if only by a choice. */
	g = graph_new();
	a = choice(g, counts, &n);
	b = choice(g, counts, &n);
	KT_EQ(pulse_graph_edge(g, a, b), 0);
	KT_EQ(pulse_graph_edge(g, b, a), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), -ELOOP);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int waits_for_gate(void *arg)
{
	gate_task(arg);
	return 0;
}

KT_TEST(a_graph_that_runs_is_left_alone)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	struct pulse_future *f, *none;
	struct gate gate;
	int a;

	KT_REQUIRE(pool && g);
	gate_init(&gate);
	a = step(g, waits_for_gate, &gate);
	KT_EQ(pulse_graph_start(g, pool, NULL, &f), 0);
	sem_wait_all(&gate.inside, 1);
	KT_EQ(pulse_graph_start(g, pool, NULL, &none), -EBUSY);
	KT_EQ(pulse_graph_run(g, pool, NULL), -EBUSY);
	KT_EQ(pulse_graph_step(g, counts, NULL, 0), -EBUSY);
	KT_EQ(pulse_graph_edge(g, a, a), -EBUSY);
	KT_EQ(pulse_graph_destroy(g), -EBUSY);
	KT_EQ(pulse_task_status(f), PULSE_TASK_RUNNING);
	sem_post(&gate.open);
	KT_EQ(pulse_future_get(f, NULL), 0);
	KT_EQ(pulse_task_status(f), PULSE_TASK_COMPLETED);
	pulse_future_put(f);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- each step once, after those it waits for -------------------------------- */

#define MESH 600

static struct mesh {
	struct pulse_graph *g;
	int nr;
	struct spot {
		int before[4], nr_before;
		long ran, early;
	} spot[MESH];
} mesh;

static int mesh_step(void *arg)
{
	struct spot *s = arg;
	long ran = s->ran;	/* plain: edges order runs, TSan looks */

	for (int i = 0; i < s->nr_before; i++)
		s->early += mesh.spot[s->before[i]].ran != ran + 1;
	s->ran = ran + 1;
	return 0;
}

static void mesh_make(unsigned int seed, int nr)
{
	memset(&mesh, 0, sizeof(mesh));
	mesh.g = graph_new();
	mesh.nr = nr;
	for (int i = 0; i < nr; i++) {
		struct spot *s = &mesh.spot[i];

		KT_EQ(step(mesh.g, mesh_step, s), i);
		while (i && s->nr_before < (int)(seed >> 28) % 5) {
			seed = seed * 1664525 + 1013904223;
			s->before[s->nr_before] = (int)((seed >> 8) % (unsigned)i);
			KT_EQ(pulse_graph_edge(mesh.g,
					       s->before[s->nr_before++], i), 0);
		}
		seed = seed * 1664525 + 1013904223;
	}
}

static void mesh_check(long runs)
{
	long wrong = 0, early = 0;

	for (int i = 0; i < mesh.nr; i++) {
		wrong += mesh.spot[i].ran != runs;
		early += mesh.spot[i].early;
	}
	KT_EQ(wrong, 0);
	KT_EQ(early, 0);
}

KT_TEST(each_step_runs_once_and_after_those_it_waits_for)
{
	long runs = kt_scale(60);

	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		for (unsigned int seed = 1; seed <= 3; seed++) {
			mesh_make(seed * 2654435761U, MESH);
			for (long i = 0; i < runs; i++)
				KT_EQ(pulse_graph_run(mesh.g, pool, NULL), 0);
			mesh_check(runs);
			KT_EQ(pulse_graph_destroy(mesh.g), 0);
		}
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* Queues of two: nearly all of it goes by the backlog. */
KT_TEST(steps_that_find_no_room_are_not_lost)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3, .task_queue_size = 2);
	struct pulse_pool *pool;
	long runs = kt_scale(60);

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	mesh_make(77, MESH);
	for (long i = 0; i < runs; i++)
		KT_EQ(pulse_graph_run(mesh.g, pool, NULL), 0);
	mesh_check(runs);
	KT_EQ(pulse_graph_destroy(mesh.g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct meet {
	struct gate mine;
	sem_t *other;
};

static int meets(void *arg)
{
	struct meet *m = arg;

	sem_post(m->other);
	sem_wait_all(&m->mine.inside, 1);
	return 0;
}

KT_TEST(steps_that_do_not_wait_for_each_other_run_at_the_same_time)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	struct meet a, b;
	long n = 0;
	int root;

	KT_REQUIRE(pool && g);
	gate_init(&a.mine);
	gate_init(&b.mine);
	a.other = &b.mine.inside;
	b.other = &a.mine.inside;
	root = step(g, counts, &n);
	KT_EQ(pulse_graph_edge(g, root, step(g, meets, &a)), 0);
	KT_EQ(pulse_graph_edge(g, root, step(g, meets, &b)), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), 0);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int runs_a_graph(void *arg)
{
	struct pulse_graph *g = graph_new();
	int first = step(g, counts, arg), err;

	for (int i = 0; i < 9; i++)
		KT_EQ(pulse_graph_edge(g, first, step(g, counts, arg)), 0);
	err = pulse_graph_run(g, pulse_pool_current(), NULL);
	KT_EQ(pulse_graph_destroy(g), 0);
	return err;
}

KT_TEST(a_step_may_run_a_graph)
{
	for (uint32_t workers = 1; workers <= 3; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);
		struct pulse_graph *g = graph_new();
		long n = 0;

		KT_REQUIRE(pool && g);
		for (int i = 0; i < 20; i++)
			step(g, runs_a_graph, &n);
		KT_EQ(pulse_graph_run(g, pool, NULL), 0);
		KT_EQ(n, 200);
		KT_EQ(pulse_graph_destroy(g), 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* ---- choices ------------------------------------------------------------------- */

static int says(void *arg)
{
	return *(int *)arg;
}

KT_TEST(a_choice_begins_the_one_it_names)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	long n[3] = { 0 }, behind = 0;
	int which, c, last;

	KT_REQUIRE(pool && g);
	c = choice(g, says, &which);
	last = step(g, counts, &behind);
	for (int i = 0; i < 3; i++) {
		int s = step(g, counts, &n[i]);

		KT_EQ(pulse_graph_edge(g, c, s), 0);
		if (!i)
			KT_EQ(pulse_graph_edge(g, s, last), 0);
	}
	for (which = 0; which < 4; which++)	/* 3: none */
		KT_EQ(pulse_graph_run(g, pool, NULL), 0);
	for (int i = 0; i < 3; i++)
		KT_EQ(n[i], 1);
	KT_EQ(behind, 1);
	which = -ENOENT;
	KT_EQ(pulse_graph_run(g, pool, NULL), -ENOENT);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

struct round {
	long left, a, b, sum;
};

static int counts_a(void *arg)
{
	((struct round *)arg)->a++;
	return 0;
}

static int counts_b(void *arg)
{
	((struct round *)arg)->b++;
	return 0;
}

/* Waits for both of its round, each time anew. */
static int sums_up(void *arg)
{
	struct round *r = arg;

	r->sum += r->a == r->b;
	return --r->left ? 0 : 1;
}

KT_TEST(a_choice_that_leads_back_is_a_loop)
{
	long rounds = kt_scale(2000) + 1;

	for (uint32_t workers = 1; workers <= 3; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);
		struct pulse_graph *g = graph_new();
		struct round r = { .left = rounds };
		long begun = 0, ended = 0;
		int start, body, a, b, c;

		KT_REQUIRE(pool && g);
		start = step(g, counts, &begun);
		body = step(g, counts, &begun);
		a = step(g, counts_a, &r);
		b = step(g, counts_b, &r);
		c = choice(g, sums_up, &r);
		KT_EQ(pulse_graph_edge(g, start, body), 0);
		KT_EQ(pulse_graph_edge(g, body, a), 0);
		KT_EQ(pulse_graph_edge(g, body, b), 0);
		KT_EQ(pulse_graph_edge(g, a, c), 0);
		KT_EQ(pulse_graph_edge(g, b, c), 0);
		KT_EQ(pulse_graph_edge(g, c, body), 0);
		KT_EQ(pulse_graph_edge(g, c, step(g, counts, &ended)), 0);
		KT_EQ(pulse_graph_run(g, pool, NULL), 0);
		KT_EQ(begun, rounds + 1);
		KT_EQ(r.sum, rounds);
		KT_EQ(r.a, rounds);
		KT_EQ(r.b, rounds);
		KT_EQ(ended, 1);
		KT_EQ(pulse_graph_destroy(g), 0);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* ---- failures -------------------------------------------------------------------- */

static int fails_from_the_depth(void *arg)
{
	(void)arg;
	return pulse_task_fail(-EDOM);
}

static int too_much(void *arg)
{
	(void)arg;
	return 7;
}

static int aborts(void *arg)
{
	(void)arg;
	abort();
}

static int loses_its_thread(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static int run_with(struct pulse_pool *pool, pulse_step_fn bad, uint32_t flags)
{
	GRAPH_OPTS(opts, .flags = flags, .task_id = 42);
	struct pulse_graph *g = graph_new();
	long before = 0, after = 0;
	int a = step(g, counts, &before), x = step(g, bad, NULL), err;

	KT_EQ(pulse_graph_edge(g, a, x), 0);
	KT_EQ(pulse_graph_edge(g, x, step(g, counts, &after)), 0);
	for (int i = 0; i < 3; i++) {	/* and it can be run again */
		err = pulse_graph_run(g, pool, &opts);
		KT_EQ(before, i + 1);
		KT_EQ(after, 0);
	}
	KT_EQ(pulse_graph_destroy(g), 0);
	return err;
}

KT_TEST(a_step_that_fails_ends_the_run)
{
	struct told told;
	struct pulse_pool *pool = told_pool(2, &told, 0);

	KT_REQUIRE(pool);
	KT_EQ(run_with(pool, fails, 0), -EIO);
	KT_EQ(pulse_pool_wait(pool), 0);	/* who waited for a run may be first */
	KT_EQ(told.completed, 3);
	KT_EQ(told.errors, 3);
	KT_EQ(told.err, -EIO);
	KT_EQ(told.err_id, 42);
	KT_EQ(run_with(pool, too_much, 0), -EINVAL);
	KT_EQ(run_with(pool, fails_from_the_depth, 0), -EDOM);
	KT_EQ(run_with(pool, loses_its_thread, 0), PULSE_ETASK_LOST);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(told.completed, 12);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
static void *volatile nowhere;

static int crashes(void *arg)
{
	(void)arg;
	return *(volatile int *)nowhere;
}
#endif

KT_TEST(a_fatal_signal_is_contained_where_it_is_asked_for)
{
	struct pulse_pool *pool = pool_of(2, 0);

	KT_REQUIRE(pool);
#if !defined(__SANITIZE_ADDRESS__) && !defined(PULSE__TSAN)
	KT_EQ(run_with(pool, crashes, PULSE_WORK_CONTAIN), PULSE_ETASK_PANICKED);
#endif
	/* An abort() is the task's own doing too. */
	KT_EQ(run_with(pool, aborts, PULSE_WORK_CONTAIN), PULSE_ETASK_PANICKED);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int waits_to_be_cancelled(void *arg)
{
	void *value;

	return until_cancelled(arg, &value);
}

KT_TEST(a_run_is_cancelled_by_its_future_and_by_its_token)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_token *token;
	struct pulse_future *f;
	GRAPH_OPTS(opts);

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	for (int how = 0; how < 2; how++) {
		struct pulse_graph *g = graph_new();
		int inside = 0;
		long after = 0;
		int a = step(g, waits_to_be_cancelled, &inside);

		KT_EQ(pulse_graph_edge(g, a, step(g, counts, &after)), 0);
		opts.token = how ? token : NULL;
		KT_EQ(pulse_graph_start(g, pool, &opts, &f), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(inside)));
		if (how)
			KT_EQ(pulse_token_cancel(token, -ESTALE), 0);
		else
			KT_EQ(pulse_future_cancel(f, 0), -EINPROGRESS);
		KT_EQ(pulse_future_get(f, NULL), how ? -ESTALE : -ECANCELED);
		pulse_future_put(f);
		KT_EQ(after, 0);
		if (how)
			KT_EQ(pulse_graph_run(g, pool, &opts), -ESTALE);
		KT_EQ(inside, 1);
		KT_EQ(pulse_graph_destroy(g), 0);
	}
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- the ends of pools ------------------------------------------------------------- */

KT_TEST(a_stopped_pool_ends_the_run_and_a_draining_one_finishes_it)
{
	for (int stop = 0; stop < 2; stop++) {
		struct pulse_pool *pool = pool_of(1, 0);
		struct pulse_graph *g = graph_new();
		struct pulse_future *f, *queued;
		struct pulse_graph *other = graph_new();
		struct gate gate;
		long n = 0, m = 0;
		int a;

		KT_REQUIRE(pool && g && other);
		gate_init(&gate);
		a = step(g, waits_for_gate, &gate);
		for (int i = 0; i < 50; i++)
			KT_EQ(pulse_graph_edge(g, a, step(g, counts, &n)), 0);
		step(other, counts, &m);
		KT_EQ(pulse_graph_start(g, pool, NULL, &f), 0);
		sem_wait_all(&gate.inside, 1);
		KT_EQ(pulse_graph_start(other, pool, NULL, &queued), 0);
		if (stop)
			KT_EQ(pulse_pool_stop(pool), 1);
		else
			KT_EQ(pulse_pool_shutdown(pool, 0), -ETIMEDOUT);
		sem_post(&gate.open);
		KT_EQ(pulse_future_get(f, NULL), -ECANCELED);
		KT_EQ(pulse_future_get(queued, NULL), -ECANCELED);
		KT_EQ(n, 0);
		KT_EQ(m, 0);
		pulse_future_put(f);
		pulse_future_put(queued);
		KT_EQ(pulse_graph_run(g, pool, NULL), -ESHUTDOWN);
		KT_EQ(pulse_pool_destroy(pool), 0);
		KT_EQ(pulse_graph_destroy(g), 0);
		KT_EQ(pulse_graph_destroy(other), 0);
	}
}

static void *shuts_down(void *pool)
{
	return (void *)(intptr_t)pulse_pool_shutdown(pool, PULSE_FOREVER);
}

static bool not_running(struct pulse_pool *pool)
{
	return !pulse_pool_is_running(pool);
}

KT_TEST(a_pool_that_is_shut_down_finishes_the_run)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	struct pulse_future *f;
	struct gate gate;
	pthread_t t;
	long n = 0;
	int a;

	KT_REQUIRE(pool && g);
	gate_init(&gate);
	a = step(g, waits_for_gate, &gate);
	for (int i = 0; i < 50; i++)
		KT_EQ(pulse_graph_edge(g, a, step(g, counts, &n)), 0);
	KT_EQ(pulse_graph_start(g, pool, NULL, &f), 0);
	sem_wait_all(&gate.inside, 1);
	KT_EQ(pthread_create(&t, NULL, shuts_down, pool), 0);
	KT_CHECK(EVENTUALLY(not_running(pool)));
	sem_post(&gate.open);
	KT_EQ(pulse_future_get(f, NULL), 0);
	pthread_join(t, NULL);
	KT_EQ(n, 50);
	pulse_future_put(f);
	KT_EQ(pulse_pool_destroy(pool), 0);
	KT_EQ(pulse_graph_destroy(g), 0);
}

KT_TEST(waiting_for_the_pool_waits_for_the_run)
{
	struct pulse_pool *pool = pool_of(2, 0);
	long runs = kt_scale(200);

	KT_REQUIRE(pool);
	mesh_make(5, 100);
	for (long i = 0; i < runs; i++) {
		KT_EQ(pulse_graph_start(mesh.g, pool, NULL, NULL), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
	}
	mesh_check(runs);
	KT_EQ(pulse_graph_destroy(mesh.g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(a_full_pool_says_so_and_the_graph_is_free_again)
{
	struct pulse_pool *pool = pool_of(1, 2);
	struct pulse_graph *g = graph_new();
	struct gate gate;
	long n = 0, m = 0;

	KT_REQUIRE(pool && g);
	KT_REQUIRE(gate_close(&gate, pool));
	while (!pulse_pool_submit(pool, count_task, &m))
		;
	step(g, counts, &n);
	KT_EQ(pulse_graph_run(g, pool, NULL), -EAGAIN);
	gate_open(&gate, pool);
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(pulse_graph_run(g, pool, NULL), 0);
	KT_EQ(n, 1);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- one seed, one history ----------------------------------------------------------- */

static struct {
	int step[MESH];
	int nr;
} told_order;

static int tells(void *arg)
{
	told_order.step[told_order.nr++] = (int)(intptr_t)arg;
	return 0;
}

static uint64_t order_with(uint64_t seed)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 3, .seed = seed);
	struct pulse_graph *g = graph_new();
	struct pulse_pool *pool;
	uint64_t hash = 14695981039346656037ULL;

	KT_EQ(pulse_pool_create(&opts, &pool), 0);
	for (int i = 0; i < 24; i++) {
		KT_EQ(step(g, tells, (void *)(intptr_t)i), i);
		if (i >= 8)
			KT_EQ(pulse_graph_edge(g, i - 8, i), 0);
	}
	told_order.nr = 0;
	KT_EQ(pulse_graph_run(g, pool, NULL), 0);
	KT_EQ(told_order.nr, 24);
	for (int i = 0; i < told_order.nr; i++)
		hash = (hash ^ (uint64_t)told_order.step[i]) * 1099511628211ULL;
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
	return hash;
}

KT_TEST(the_same_seed_runs_steps_in_the_same_order)
{
	uint64_t first[10];
	int same = 0;

	for (uint64_t s = 0; s < 10; s++)
		first[s] = order_with(s + 1);
	for (uint64_t s = 0; s < 10; s++)
		KT_CHECK(order_with(s + 1) == first[s]);
	for (int i = 0; i < 10; i++)
		for (int k = 0; k < i; k++)
			same += first[i] == first[k];
	KT_EQ(same, 0);
}

/* ---- memory, children -------------------------------------------------------------- */

/* U04 */
KT_TEST(each_failing_allocation_unwinds)
{
	struct pulse_pool *pool = pool_of(2, 0);
	bool failed = true;

	KT_REQUIRE(pool);
	for (long nth = 1; failed; nth++) {
		struct pulse_graph *g = NULL;
		long n = 0;
		int err;

		pulse__alloc_fail_at(nth);
		err = pulse_graph_create(&g);
		for (int i = 0; i < 40 && !err; i++) {
			err = pulse_graph_step(g, counts, &n, 0);
			if (err == i)
				err = i ? pulse_graph_edge(g, i - 1, i) : 0;
		}
		if (!err)
			err = pulse_graph_run(g, pool, NULL);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		/* A worker may have had the failure, and have done without. */
		KT_CHECK(!err || (err == -ENOMEM && failed));
		KT_EQ(n, err ? 0 : 40);
		if (g) {
			/* Whole as it was: what is there can be run. */
			KT_EQ(pulse_graph_run(g, pool, NULL), 0);
			KT_EQ(pulse_graph_destroy(g), 0);
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int child_of_a_run(void *arg)
{
	struct pulse_graph *g = arg;

	return pulse_graph_destroy(g);
}

/* U09 */
KT_TEST(a_forked_child_gives_a_running_graph_back)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_graph *g = graph_new();
	struct pulse_future *f;
	struct gate gate;

	KT_REQUIRE(pool && g);
	gate_init(&gate);
	step(g, waits_for_gate, &gate);
	KT_EQ(pulse_graph_start(g, pool, NULL, &f), 0);
	sem_wait_all(&gate.inside, 1);
	KT_EQ(in_child(child_of_a_run, g), 0);
	sem_post(&gate.open);
	KT_EQ(pulse_future_get(f, NULL), 0);
	pulse_future_put(f);
	KT_EQ(pulse_graph_destroy(g), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Park and wake, case by case, on whichever backend there is; the random
 * storm is test_park_stress.
 */
#include <sched.h>

#include "helpers.h"
#include "base/base.h"

static struct pulse_ctx *new_ctx(void)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 16, .ring_entries = 2);
	struct pulse_ctx *ctx = NULL;

	pulse_ctx_create(&opts, &ctx);
	return ctx;
}

KT_TEST(which_backend)
{
	kt_note("backend: %s", backend_name());
	KT_CHECK(on_kernel() || !strcmp(backend_name(), "user"));
}

struct early {
	struct pulse_ctx *ctx;
	uint32_t index;
	int woken;
	bool found;
};

/* The waker comes between the announcement and the sleep. */
static bool wake_myself(void *arg)
{
	struct early *e = arg;

	e->woken = pulse_worker_wake(e->ctx, &e->index, 1);
	return e->found;
}

/* P01 */
KT_TEST(a_wake_before_the_sleep_ends_the_park_at_once)
{
	struct early e = { .ctx = new_ctx() };
	int i;

	KT_REQUIRE(e.ctx);
	i = pulse_worker_register(e.ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	e.index = (uint32_t)i;
	for (int round = 0; round < 1000; round++) {
		/* With and without work found: the permit is taken. */
		e.found = round & 1;
		KT_EQ(pulse_worker_park(e.ctx, i, PULSE_FOREVER, wake_myself,
					&e), 0);
		KT_EQ(e.woken, 1);
	}
	KT_EQ(pulse_worker_unregister(e.ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(e.ctx), 0);
}

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

KT_TEST(work_that_the_recheck_finds_ends_the_park)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_ctx *ctx = new_ctx();
	uint32_t index;
	int i;

	KT_REQUIRE(ctx);
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	index = (uint32_t)i;
	for (int round = 0; round < 1000; round++)
		KT_EQ(pulse_worker_park(ctx, i, PULSE_FOREVER, yes, NULL), 1);
	/* Awake: nobody to wake, and nothing is remembered. */
	KT_EQ(pulse_worker_wake(ctx, &index, 1), 0);
	KT_EQ(pulse_worker_wake_node(ctx, 0, 1, true), 0);
	KT_EQ(pulse_worker_park(ctx, i, pulse_now_ns() + 1000000, NULL, NULL),
	      -ETIMEDOUT);
	KT_EQ(pulse_worker_state(ctx, i, &st), 0);
	/* None of the thousand slept; the last one, if it came in time. */
	KT_CHECK(st.n_park <= 1);
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* P05 */
KT_TEST(deadlines_past_negative_and_near)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_ctx *ctx = new_ctx();
	int64_t until;
	int i;

	KT_REQUIRE(ctx);
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_EQ(pulse_worker_park(ctx, i, -1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_worker_park(ctx, i, INT64_MIN, NULL, NULL), -EINVAL);
	KT_EQ(pulse_worker_park(ctx, i, 0, NULL, NULL), -ETIMEDOUT);
	KT_EQ(pulse_worker_park(ctx, i, 1, NULL, NULL), -ETIMEDOUT);
	KT_EQ(pulse_worker_park(ctx, i, pulse_now_ns() - 1, NULL, NULL),
	      -ETIMEDOUT);
	KT_EQ(pulse_worker_state(ctx, i, &st), 0);
	KT_EQ(st.n_park, 0);	/* without sleeping */
	until = pulse_now_ns() + 20000000;
	KT_EQ(pulse_worker_park(ctx, i, until, NULL, NULL), -ETIMEDOUT);
	KT_CHECK(pulse_now_ns() >= until);
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(one_call_wakes_many)
{
	struct sleeper s[8] = { 0 };
	struct pulse_ctx *ctx = new_ctx();
	uint32_t index[10];

	KT_REQUIRE(ctx);
	for (int i = 0; i < 8; i++) {
		s[i].node = -1;
		KT_REQUIRE(sleeper_start(&s[i], ctx));
		index[i] = (uint32_t)s[i].index;
	}
	for (int i = 0; i < 8; i++)
		KT_CHECK(sleeper_parked(&s[i]));
	index[8] = 15;		/* nobody */
	index[9] = index[0];	/* twice */
	KT_EQ(pulse_worker_wake(ctx, index, 10), 8);
	for (int i = 0; i < 8; i++)
		KT_CHECK(EVENTUALLY(__atomic_load_n(&s[i].returns,
						    __ATOMIC_SEQ_CST) >= 1));
	for (int i = 0; i < 8; i++)
		sleeper_end(&s[i]);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static long returns_of(struct sleeper *s, int n)
{
	long sum = 0;

	for (int i = 0; i < n; i++)
		sum += __atomic_load_n(&s[i].returns, __ATOMIC_SEQ_CST);
	return sum;
}

KT_TEST(wake_node_begins_at_home_and_spills_where_it_may)
{
	struct sleeper s[8] = { 0 };
	struct pulse_ctx *ctx = new_ctx();
	int nodes[16], n, per;
	long home;

	KT_REQUIRE(ctx);
	n = pulse_ctx_nodes(ctx, nodes, 16);
	KT_REQUIRE(n >= 1);
	n = n > 2 ? 2 : n;
	per = 8 / n;
	KT_EQ(pulse_worker_wake_node(ctx, nodes[0], 1, true), 0);
	for (int i = 0; i < 8; i++) {
		s[i].node = nodes[i / per];
		KT_REQUIRE(sleeper_start(&s[i], ctx));
	}
	for (int i = 0; i < 8; i++)
		KT_CHECK(sleeper_parked(&s[i]));

	KT_EQ(pulse_worker_wake_node(ctx, nodes[0], 1, false), 1);
	KT_CHECK(EVENTUALLY(returns_of(s, per) == 1));
	for (int i = 0; i < per; i++)
		KT_CHECK(sleeper_parked(&s[i]));
	/* No more than there are at home without spill, all with it. */
	KT_EQ(pulse_worker_wake_node(ctx, nodes[0], 100, false), per);
	KT_CHECK(EVENTUALLY(returns_of(s, per) == per + 1));
	KT_EQ(returns_of(s + per, 8 - per), 0);
	for (int i = 0; i < 8; i++)
		KT_CHECK(sleeper_parked(&s[i]));
	home = returns_of(s, per);
	KT_EQ(pulse_worker_wake_node(ctx, nodes[n - 1], 8, true), 8);
	KT_CHECK(EVENTUALLY(returns_of(s, 8) == home + 8));
	for (int i = 0; i < 8; i++)
		sleeper_end(&s[i]);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static int parks_for_ever(void *arg)
{
	struct pulse_ctx *ctx = new_ctx();
	int i = ctx ? pulse_worker_register(ctx, -1, 0) : -1;

	if (i < 0 || write(*(int *)arg, "x", 1) != 1)
		return 1;
	for (;;)
		pulse_worker_park(ctx, i, PULSE_FOREVER, NULL, NULL);
}

/* P03 */
KT_TEST(sigkill_ends_a_parked_process)
{
	int status, fds[2];
	pid_t pid, got = 0;
	char c;

	for (int round = 0; round < 5; round++) {
		KT_REQUIRE(pipe(fds) == 0);
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(parks_for_ever(&fds[1]));
		KT_EQ(read(fds[0], &c, 1), 1);
		nap_us(1000 * round);
		kill(pid, SIGKILL);
		KT_CHECK(EVENTUALLY((got = waitpid(pid, &status, WNOHANG))));
		KT_EQ(got, pid);
		KT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(fds[0]);
		close(fds[1]);
	}
}

static int signals_seen;

static void on_signal(int sig)
{
	(void)sig;
	__atomic_fetch_add(&signals_seen, 1, __ATOMIC_RELAXED);
}

struct storm {
	pthread_t target;
	int stop;
};

static void *storm_main(void *arg)
{
	struct storm *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		pthread_kill(s->target, SIGUSR1);
		nap_us(50);
	}
	return NULL;
}

/* P04 */
static void under_a_storm(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
	struct storm storm = { .target = pthread_self() };
	struct pulse_ctx *ctx = new_ctx();
	int64_t until;
	long eintr = 0;
	pthread_t t;
	int i, ret;

	KT_REQUIRE(ctx);
	sigaction(SIGUSR1, &sa, NULL);
	__atomic_store_n(&signals_seen, 0, __ATOMIC_RELAXED);
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(pthread_create(&t, NULL, storm_main, &storm) == 0);
	until = pulse_now_ns() + 200000000;
	do {
		ret = pulse_worker_park(ctx, i, until, NULL, NULL);
		eintr += ret == -EINTR;
	} while (ret == -EINTR || ret == 0);
	/* However often it was interrupted, the deadline stayed where it was. */
	KT_EQ(ret, -ETIMEDOUT);
	KT_CHECK(pulse_now_ns() >= until);
	__atomic_store_n(&storm.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	KT_CHECK(__atomic_load_n(&signals_seen, __ATOMIC_RELAXED) > 0);
	kt_note("%d signals, %ld times EINTR", signals_seen, eintr);
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	signal(SIGUSR1, SIG_DFL);
}

KT_TEST(a_storm_of_signals_does_not_move_the_deadline)
{
	under_a_storm(0);
}

KT_TEST(nor_does_one_that_restarts)
{
	under_a_storm(SA_RESTART);
}

/* P06 */
KT_TEST(closing_the_descriptor_under_a_parked_worker_ends_or_spares_it)
{
	struct sleeper s = { .node = -1, .once = true };
	struct pulse_ctx *ctx = new_ctx();
	uint32_t index;

	KT_REQUIRE(ctx);
	KT_REQUIRE(sleeper_start(&s, ctx));
	KT_CHECK(sleeper_parked(&s));
	index = (uint32_t)s.index;
	close(pulse_ctx_fd(ctx));
	if (on_kernel()) {
		KT_CHECK(EVENTUALLY(__atomic_load_n(&s.returns,
						    __ATOMIC_SEQ_CST)));
		KT_EQ(s.last, -ECANCELED);
	} else {
		/* The memfd's pages are all it needs. */
		KT_EQ(pulse_worker_wake(ctx, &index, 1), 1);
		KT_CHECK(EVENTUALLY(__atomic_load_n(&s.returns,
						    __ATOMIC_SEQ_CST)));
		KT_EQ(s.last, 0);
	}
	pthread_join(s.thread, NULL);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static int closes_its_copy(void *arg)
{
	return close(*(int *)arg) ? 1 : 0;
}

KT_TEST(a_childs_close_of_its_copy_does_not_cancel)
{
	struct sleeper s = { .node = -1 };
	struct pulse_ctx *ctx = new_ctx();
	int fd;

	KT_REQUIRE(ctx);
	KT_REQUIRE(sleeper_start(&s, ctx));
	KT_CHECK(sleeper_parked(&s));
	fd = pulse_ctx_fd(ctx);
	KT_EQ(in_child(closes_its_copy, &fd), 0);
	KT_CHECK(sleeper_parked(&s));
	KT_CHECK(s.last != -ECANCELED);
	sleeper_end(&s);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* Two workers and one word of work, each waking the other. */
struct pair {
	struct pulse_ctx *ctx;
	int turn;		/* whose it is */
	int index[2];
	pthread_barrier_t ready;
	long rounds;
};

struct half {
	struct pair *p;
	int me;
};

static bool my_turn(void *arg)
{
	struct half *h = arg;

	return __atomic_load_n(&h->p->turn, __ATOMIC_ACQUIRE) == h->me;
}

static void *half_main(void *arg)
{
	struct half *h = arg;
	struct pair *p = h->p;
	uint32_t other;

	p->index[h->me] = pulse_worker_register(p->ctx, -1, 0);
	pthread_barrier_wait(&p->ready);
	other = (uint32_t)p->index[!h->me];
	for (long i = 0; i < p->rounds; i++) {
		while (!my_turn(h))
			pulse_worker_park(p->ctx, p->index[h->me],
					  PULSE_FOREVER, my_turn, h);
		__atomic_store_n(&p->turn, !h->me, __ATOMIC_RELEASE);
		pulse_worker_wake(p->ctx, &other, 1);
	}
	pulse_worker_unregister(p->ctx, p->index[h->me]);
	return NULL;
}

KT_TEST(a_ball_goes_to_and_fro_without_being_dropped)
{
	struct pair p = { .ctx = new_ctx(), .rounds = kt_scale(100000) };
	struct half h[2] = { { &p, 0 }, { &p, 1 } };
	pthread_t t[2];
	int64_t t0 = pulse_now_ns();

	KT_REQUIRE(p.ctx);
	pthread_barrier_init(&p.ready, NULL, 2);
	for (int i = 0; i < 2; i++)
		KT_REQUIRE(pthread_create(&t[i], NULL, half_main, &h[i]) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	KT_EQ(p.turn, 0);
	kt_note("%ld round trips, %.2f us each", p.rounds,
		(double)(pulse_now_ns() - t0) / 1e3 / (double)p.rounds);
	pthread_barrier_destroy(&p.ready);
	KT_EQ(pulse_ctx_destroy(p.ctx), 0);
}

KT_MAIN()

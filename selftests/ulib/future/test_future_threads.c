// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for a future: wake-ups, cancelling, races of setters, fork. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "pair.h"

struct waiter {
	pthread_t thread;
	struct pulse_future *f;
	struct pulse_token *token;
	int err;
	void *value;
};

static void *wait_main(void *arg)
{
	struct waiter *w = arg;

	if (w->token)
		w->err = pulse_future_wait(w->f, w->token, PULSE_FOREVER);
	else
		w->err = pulse_future_get(w->f, &w->value);
	return NULL;
}

static void start_waiters(struct waiter *w, int nr, struct pulse_token *token)
{
	for (int i = 0; i < nr; i++) {
		w[i] = (struct waiter){ .f = f, .token = token, .err = 1 };
		KT_EQ(pthread_create(&w[i].thread, NULL, wait_main, &w[i]), 0);
	}
}

KT_TEST(all_waiters_wake)
{
	struct waiter w[4];
	int value;

	pair();
	start_waiters(w, 4, NULL);
	nap(10 * MS);
	KT_EQ(pulse_promise_set(p, &value), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(w[i].thread, NULL);
		KT_EQ(w[i].err, 0);
		KT_CHECK(w[i].value == &value);
	}
	unpair();
}

/* U11 */
KT_TEST(cancelling_wakes_the_waiters)
{
	struct waiter w[3];

	pair();
	start_waiters(w, 3, NULL);
	nap(10 * MS);
	KT_EQ(pulse_future_cancel(f, 0), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		KT_EQ(w[i].err, -ECANCELED);
	}
	unpair();
}

/* U11 */
KT_TEST(a_waiter_can_be_cancelled_and_the_future_lives_on)
{
	struct pulse_token *token = NULL;
	struct waiter w[3];

	for (long i = kt_scale(200); i > 0; i--) {
		pair();
		KT_EQ(pulse_token_create(NULL, &token), 0);
		start_waiters(w, 3, token);
		if (i % 3)
			nap(i * 1000);
		KT_EQ(pulse_token_cancel(token, -EINTR), 0);
		for (int k = 0; k < 3; k++) {
			pthread_join(w[k].thread, NULL);
			KT_EQ(w[k].err, -EINTR);
		}
		KT_EQ(pulse_future_done(f), 0);
		KT_EQ(pulse_promise_set(p, NULL), 0);
		/* Set is set, whatever the token says. */
		KT_EQ(pulse_future_wait(f, token, 0), 0);
		pulse_token_put(token);
		unpair();
	}
}

KT_TEST(a_tokens_deadline_ends_a_wait)
{
	PULSE_OPTS(pulse_token_opts, o, .deadline_ns = pulse_now_ns() + 5 * MS);
	struct pulse_token *token = NULL;

	pair();
	KT_EQ(pulse_token_create(&o, &token), 0);
	KT_EQ(pulse_future_wait(f, token, PULSE_FOREVER), -ETIMEDOUT);
	KT_CHECK(pulse_now_ns() >= o.deadline_ns);
	pulse_token_put(token);
	unpair();
}

/* A turn: one thread sets, the other waits, with all the luck of timing. */
struct turns {
	struct pulse_promise **p;
	long nr;
	long taken;
	int plain;	/* written before, read after: ordered by the future */
};

static void *set_all(void *arg)
{
	struct turns *t = arg;

	for (long i = 0; i < t->nr; i++) {
		t->plain = (int)i;
		pulse_promise_set(t->p[i], (void *)(uintptr_t)(i + 1));
		pulse_promise_put(t->p[i]);
		/* Not ahead of the reader. */
		while (__atomic_load_n(&t->taken, __ATOMIC_ACQUIRE) <= i)
			sched_yield();
	}
	return NULL;
}

KT_TEST(no_wake_up_is_lost)
{
	long nr = kt_scale(30000);
	struct pulse_promise **ps = calloc((size_t)nr, sizeof(*ps));
	struct pulse_future **fs = calloc((size_t)nr, sizeof(*fs));
	struct turns t = { .p = ps, .nr = nr };
	pthread_t setter;
	long bad = 0;

	KT_REQUIRE(ps && fs);
	for (long i = 0; i < nr; i++)
		bad += pulse_future_create(NULL, &ps[i], &fs[i]) != 0;
	KT_REQUIRE(!bad);
	KT_REQUIRE(!pthread_create(&setter, NULL, set_all, &t));
	for (long i = 0; i < nr; i++) {
		void *v = NULL;

		bad += pulse_future_get(fs[i], &v) != 0;
		bad += v != (void *)(uintptr_t)(i + 1);
		bad += t.plain != i;
		pulse_future_put(fs[i]);
		__atomic_store_n(&t.taken, i + 1, __ATOMIC_RELEASE);
	}
	pthread_join(setter, NULL);
	KT_EQ(bad, 0);
	free(ps);
	free(fs);
}

#define RACERS 3

static struct {
	struct pulse_promise *p;
	struct pulse_future *f;
	int wins;
	int round;
	int arrived;
	long rounds;
} duel;

/* Each round all try to be the one that sets, cancels or drops. */
static void *duel_main(void *arg)
{
	long me = (long)(intptr_t)arg;

	for (long n = 1; n <= duel.rounds; n++) {
		int ret;

		while (__atomic_load_n(&duel.round, __ATOMIC_ACQUIRE) < n)
			sched_yield();
		switch ((me + n) % 4) {
		case 0:
			ret = pulse_promise_set(duel.p, &duel);
			break;
		case 1:
			ret = pulse_promise_set_error(duel.p, -EIO);
			break;
		case 2:
			ret = pulse_future_cancel(duel.f, -EINTR);
			break;
		default:
			ret = -EALREADY;
			pulse_promise_start(duel.p);
		}
		KT_CHECK(!ret || ret == -EALREADY || ret == -EINPROGRESS);
		if (!ret)
			__atomic_fetch_add(&duel.wins, 1, __ATOMIC_RELAXED);
		pulse_promise_put(duel.p);
		pulse_future_put(duel.f);
		__atomic_fetch_add(&duel.arrived, 1, __ATOMIC_ACQ_REL);
	}
	return NULL;
}

KT_TEST(of_many_setters_one_wins)
{
	pthread_t t[RACERS];

	memset(&duel, 0, sizeof(duel));
	duel.rounds = kt_scale(5000);
	for (long i = 0; i < RACERS; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, duel_main,
					   (void *)(intptr_t)i));
	for (long n = 1; n <= duel.rounds; n++) {
		struct pulse_future *mine = NULL;
		int err;

		pulse_future_create(NULL, &duel.p, &mine);
		duel.f = mine;
		for (int i = 1; i < RACERS; i++)
			pulse_promise_get(duel.p);
		for (int i = 0; i < RACERS; i++)
			pulse_future_ref(mine);
		duel.wins = 0;
		duel.arrived = 0;
		__atomic_store_n(&duel.round, (int)n, __ATOMIC_RELEASE);
		err = pulse_future_get(mine, NULL);
		while (__atomic_load_n(&duel.arrived, __ATOMIC_ACQUIRE) < RACERS)
			sched_yield();
		KT_CHECK(duel.wins == 1 || (!duel.wins && err == -EPIPE));
		pulse_future_put(mine);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(t[i], NULL);
}

/* U09 */
KT_TEST(a_forked_child_does_not_wait_for_ever)
{
	int status = 0;
	pid_t pid;

	pair();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok = pulse_future_get(f, NULL) == -EOWNERDEAD;

		unpair();
		_exit(ok ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	unpair();
}

KT_MAIN()

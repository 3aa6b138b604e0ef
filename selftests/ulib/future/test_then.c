// SPDX-License-Identifier: GPL-2.0-only
/* What comes after a future: continuations, executors, chains of any length. */
#include <pthread.h>

#include "base/base.h"
#include "ktap.h"
#include "small_stack.h"

#include <pulse-u/future.h>

static struct pulse_promise *p;
static struct pulse_future *f;

static void pair(struct pulse_promise **pp, struct pulse_future **ff)
{
	*pp = NULL;
	*ff = NULL;
	KT_EQ(pulse_future_create(NULL, pp, ff), 0);
}

static void *num(long n)
{
	return (void *)(intptr_t)n;
}

static int plus_one(const struct pulse_result *in, void *arg, void **value)
{
	if (arg)
		++*(int *)arg;
	if (in->err)
		return in->err;
	*value = (char *)in->value + 1;
	return 0;
}

/* U01, U02, U04 */
KT_TEST(bad_arguments_and_no_memory_leave_the_future_as_it_is)
{
	struct pulse_future *out = num(1), *list[2];
	PULSE_OPTS(pulse_then_opts, o);
	int calls = 0;

	pair(&p, &f);
	list[0] = f;
	list[1] = NULL;
	KT_EQ(pulse_future_then(NULL, plus_one, &calls, NULL, &out), -EINVAL);
	KT_CHECK(!out);
	KT_EQ(pulse_future_then(f, NULL, &calls, NULL, &out), -EINVAL);
	o.sz = 1;
	KT_EQ(pulse_future_then(f, plus_one, &calls, &o, &out), -EINVAL);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_future_then(f, plus_one, &calls, &o, &out), -E2BIG);
	KT_EQ(pulse_future_all(NULL, 2, 0, &out), -EINVAL);
	KT_EQ(pulse_future_all(list, 2, 0, &out), -EINVAL);
	KT_EQ(pulse_future_all(list, 1, 2, &out), -EINVAL);
	KT_EQ(pulse_future_all(list, 1, 0, NULL), -EINVAL);
	KT_EQ(pulse_future_any(NULL, 1, &out), -EINVAL);
	KT_EQ(pulse_future_any(list, 0, &out), -EINVAL);
	KT_EQ(pulse_future_any(list, 2, &out), -EINVAL);
	KT_EQ(pulse_future_any(list, 1, NULL), -EINVAL);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_future_then(f, plus_one, &calls, NULL, &out), -ENOMEM);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_future_all(list, 1, 0, &out), -ENOMEM);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_future_any(list, 1, &out), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_CHECK(!out);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(calls, 0);
	pulse_promise_put(p);
	pulse_future_put(f);
}

KT_TEST(a_continuation_gets_the_value_and_makes_the_next)
{
	struct pulse_future *g = NULL, *h = NULL;
	void *v = NULL;

	/* Added before, and after, it is set. */
	for (int late = 0; late < 2; late++) {
		pair(&p, &f);
		if (late)
			KT_EQ(pulse_promise_set(p, num(10)), 0);
		KT_EQ(pulse_future_then(f, plus_one, NULL, NULL, &g), 0);
		KT_EQ(pulse_future_then(g, plus_one, NULL, NULL, &h), 0);
		KT_EQ(pulse_future_done(h), late);
		if (!late)
			KT_EQ(pulse_promise_set(p, num(10)), 0);
		KT_EQ(pulse_future_try(h, &v), 0);
		KT_CHECK(v == num(12));
		pulse_promise_put(p);
		pulse_future_put(f);
		pulse_future_put(g);
		pulse_future_put(h);
	}
}

static int odd_return(const struct pulse_result *in, void *arg, void **value)
{
	(void)in;
	*value = arg;
	return (int)(intptr_t)arg;
}

KT_TEST(errors_are_handed_on_and_wild_ones_are_tamed)
{
	struct pulse_future *g = NULL;
	int calls = 0;

	pair(&p, &f);
	KT_EQ(pulse_future_then(f, plus_one, &calls, NULL, &g), 0);
	pulse_promise_put(p);
	KT_EQ(pulse_future_get(g, NULL), -EPIPE);
	KT_EQ(calls, 1);
	pulse_future_put(g);
	KT_EQ(pulse_future_then(f, odd_return, num(7), NULL, &g), 0);
	KT_EQ(pulse_future_get(g, NULL), -EINVAL);
	pulse_future_put(g);
	KT_EQ(pulse_future_then(f, odd_return, num(-99999), NULL, &g), 0);
	KT_EQ(pulse_future_get(g, NULL), -EINVAL);
	pulse_future_put(g);
	pulse_future_put(f);
}

static int order[16], order_nr;

static int note_order(const struct pulse_result *in, void *arg, void **value)
{
	(void)in;
	(void)value;
	order[order_nr++] = (int)(intptr_t)arg;
	return 0;
}

KT_TEST(continuations_begin_in_the_order_they_were_added)
{
	pair(&p, &f);
	order_nr = 0;
	for (long i = 0; i < 16; i++)
		KT_EQ(pulse_future_then(f, note_order, num(i), NULL, NULL), 0);
	pulse_promise_put(p);
	pulse_future_put(f);
	KT_EQ(order_nr, 16);
	for (int i = 0; i < 16; i++)
		KT_EQ(order[i], i);
}

KT_TEST(a_cancelled_continuation_is_not_called)
{
	struct pulse_future *g = NULL, *h = NULL;
	int calls = 0;

	pair(&p, &f);
	KT_EQ(pulse_future_then(f, plus_one, &calls, NULL, &g), 0);
	KT_EQ(pulse_future_then(g, plus_one, &calls, NULL, &h), 0);
	KT_EQ(pulse_future_cancel(g, -EINTR), 0);
	/* What comes after it is told; what comes before it is not. */
	KT_EQ(pulse_future_get(h, NULL), -EINTR);
	KT_EQ(calls, 1);
	KT_EQ(pulse_future_done(f), 0);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(calls, 1);
	pulse_promise_put(p);
	pulse_future_put(f);
	pulse_future_put(g);
	pulse_future_put(h);
}

/* ---- chains -------------------------------------------------------------- */

static void *long_chain(void *unused)
{
	struct pulse_future *at, *next = NULL;
	void *v = NULL;

	/* Set at its head; its head broken; every link there is set already. */
	for (int how = 0; how < 3; how++) {
		pair(&p, &f);
		if (how == 2)
			KT_EQ(pulse_promise_set(p, NULL), 0);
		at = f;
		for (long i = 0; i < CHAIN; i++) {
			if (pulse_future_then(at, plus_one, NULL, NULL, &next)) {
				KT_FAIL("link %ld", i);
				return unused;
			}
			pulse_future_put(at);
			at = next;
		}
		if (!how)
			KT_EQ(pulse_promise_set(p, NULL), 0);
		pulse_promise_put(p);
		KT_EQ(pulse_future_try(at, &v), how == 1 ? -EPIPE : 0);
		if (how != 1)
			KT_CHECK(v == num(CHAIN));
		pulse_future_put(at);
	}
	return unused;
}

/* U11 */
KT_TEST(a_chain_of_100000_needs_no_stack)
{
	on_small_stack(long_chain);
}

static struct {
	struct pulse_promise *p;
	struct pulse_future *f;
	long left;
} self_made;

static int set_next(const struct pulse_result *in, void *arg, void **value)
{
	struct pulse_promise *mine = self_made.p;

	(void)in;
	(void)arg;
	(void)value;
	if (!self_made.left--)
		return 0;
	/* A new pair, whose continuation is this again: set from within. */
	pulse_promise_put(mine);
	pulse_future_put(self_made.f);
	pair(&self_made.p, &self_made.f);
	pulse_future_then(self_made.f, set_next, NULL, NULL, NULL);
	return pulse_promise_set(self_made.p, NULL);
}

static void *from_within(void *unused)
{
	self_made.left = CHAIN;
	pair(&self_made.p, &self_made.f);
	pulse_future_then(self_made.f, set_next, NULL, NULL, NULL);
	KT_EQ(pulse_promise_set(self_made.p, NULL), 0);
	KT_EQ(self_made.left, -1);
	pulse_promise_put(self_made.p);
	pulse_future_put(self_made.f);
	return unused;
}

KT_TEST(setting_from_within_a_continuation_does_not_nest)
{
	on_small_stack(from_within);
}

/* ---- waiting inside ------------------------------------------------------ */

static struct pulse_future *waited_for;
static int waited;

static int wait_inside(const struct pulse_result *in, void *arg, void **value)
{
	(void)in;
	(void)arg;
	(void)value;
	waited = pulse_future_wait(waited_for, NULL, PULSE_FOREVER);
	return 0;
}

/* U11 */
KT_TEST(a_continuation_that_waits_for_itself_is_refused)
{
	pair(&p, &f);
	KT_EQ(pulse_future_then(f, wait_inside, NULL, NULL, &waited_for), 0);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(waited, -EDEADLK);
	KT_EQ(pulse_future_get(waited_for, NULL), 0);
	pulse_future_put(waited_for);
	pulse_promise_put(p);
	pulse_future_put(f);
}

KT_TEST(a_wait_runs_first_what_it_would_hold_up)
{
	waited = 1;
	pair(&p, &f);
	KT_EQ(pulse_future_then(f, wait_inside, NULL, NULL, NULL), 0);
	/* Behind it in the queue of the very same thread. */
	KT_EQ(pulse_future_then(f, plus_one, NULL, NULL, &waited_for), 0);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(waited, 0);
	pulse_future_put(waited_for);
	pulse_promise_put(p);
	pulse_future_put(f);
}

/* ---- executors ----------------------------------------------------------- */

struct box {
	struct { void (*fn)(void *arg); void *arg; } job[8];
	int nr;
	int refuse;
};

static int box_submit(void *self, void (*fn)(void *arg), void *arg)
{
	struct box *b = self;

	if (b->refuse)
		return b->refuse;
	b->job[b->nr].fn = fn;
	b->job[b->nr++].arg = arg;
	return 0;
}

KT_TEST(an_executor_decides_where_and_when)
{
	struct box b = { .nr = 0 };
	PULSE_OPTS(pulse_then_opts, o, .on = { box_submit, &b }, .task_id = 9);
	struct pulse_future *g = NULL;
	struct pulse_result r;
	int calls = 0;

	pair(&p, &f);
	KT_EQ(pulse_future_then(f, plus_one, &calls, &o, &g), 0);
	KT_EQ(pulse_promise_set(p, num(1)), 0);
	pulse_promise_put(p);
	pulse_future_put(f);
	KT_EQ(calls, 0);
	KT_EQ(b.nr, 1);
	KT_EQ(pulse_future_done(g), 0);
	b.job[0].fn(b.job[0].arg);
	KT_EQ(pulse_future_result(g, &r), 0);
	KT_CHECK(r.value == num(2) && r.task_id == 9);
	pulse_future_put(g);
	KT_EQ(calls, 1);
}

KT_TEST(a_refusal_of_the_executor_is_the_error)
{
	static const int refusals[][2] = { { -EAGAIN, -EAGAIN },
		{ -ESHUTDOWN, -ESHUTDOWN }, { 5, -EINVAL } };
	struct box b = { .nr = 0 };
	PULSE_OPTS(pulse_then_opts, o, .on = { box_submit, &b });
	struct pulse_future *g = NULL;
	int calls = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(refusals); i++) {
		pair(&p, &f);
		b.refuse = refusals[i][0];
		KT_EQ(pulse_future_then(f, plus_one, &calls, &o, &g), 0);
		KT_EQ(pulse_promise_set(p, NULL), 0);
		KT_EQ(pulse_future_get(g, NULL), refusals[i][1]);
		pulse_promise_put(p);
		pulse_future_put(f);
		pulse_future_put(g);
	}
	KT_EQ(calls, 0);
}

static int freed;

static void count_free(void *value)
{
	freed++;
	free(value);
}

static int make_value(const struct pulse_result *in, void *arg, void **value)
{
	/* What came in is alive although nobody else holds it. */
	memset(in->value, 1, 8);
	(void)arg;
	*value = malloc(8);
	return 0;
}

KT_TEST(values_live_as_long_as_they_are_looked_at)
{
	PULSE_OPTS(pulse_future_opts, fo, .value_free = count_free);
	struct box b = { .nr = 0 };
	PULSE_OPTS(pulse_then_opts, o, .on = { box_submit, &b },
		   .value_free = count_free);

	freed = 0;
	KT_REQUIRE(!pulse_future_create(&fo, &p, &f));
	KT_EQ(pulse_future_then(f, make_value, NULL, &o, NULL), 0);
	KT_EQ(pulse_promise_set(p, malloc(8)), 0);
	pulse_promise_put(p);
	pulse_future_put(f);
	KT_EQ(freed, 0);
	b.job[0].fn(b.job[0].arg);
	KT_EQ(freed, 2);
}

/* ---- races --------------------------------------------------------------- */

static struct pulse_promise **race_p;
static struct pulse_future **race_f;
static long race_nr;
static int race_at;

static void *race_set(void *unused)
{
	for (long i = 0; i < race_nr; i++) {
		while (__atomic_load_n(&race_at, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		pulse_promise_set(race_p[i], num(i));
		pulse_promise_put(race_p[i]);
	}
	return unused;
}

static int count_atomic(const struct pulse_result *in, void *arg, void **value)
{
	(void)value;
	KT_CHECK(!in->err);
	__atomic_fetch_add((long *)arg, 1, __ATOMIC_RELAXED);
	return 0;
}

KT_TEST(each_continuation_is_called_once_while_the_future_is_being_set)
{
	struct pulse_future *all = NULL;
	pthread_t t;
	long calls = 0;

	race_nr = kt_scale(20000);
	race_p = calloc((size_t)race_nr, sizeof(*race_p));
	race_f = calloc((size_t)race_nr, sizeof(*race_f));
	KT_REQUIRE(race_p && race_f);
	for (long i = 0; i < race_nr; i++)
		pair(&race_p[i], &race_f[i]);
	KT_EQ(pulse_future_all(race_f, (size_t)race_nr, 0, &all), 0);
	race_at = -1;
	KT_REQUIRE(!pthread_create(&t, NULL, race_set, NULL));
	for (long i = 0; i < race_nr; i++) {
		__atomic_store_n(&race_at, (int)i, __ATOMIC_RELEASE);
		for (int k = 0; k < 5; k++)
			pulse_future_then(race_f[i], count_atomic, &calls, NULL,
					  NULL);
	}
	KT_EQ(pulse_future_get(all, NULL), 0);
	pthread_join(t, NULL);
	KT_EQ(calls, 5 * race_nr);
	for (long i = 0; i < race_nr; i++)
		pulse_future_put(race_f[i]);
	pulse_future_put(all);
	free(race_p);
	free(race_f);
}

KT_MAIN()

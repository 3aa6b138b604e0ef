// SPDX-License-Identifier: GPL-2.0-only
/* One future of many: all, any, and groups of groups. */
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

static int freed;

static void count_free(void *value)
{
	freed++;
	free(value);
}

static void *long_nest(void *unused)
{
	struct pulse_future *at, *next = NULL;

	/* Groups of groups: their ends must not nest either. */
	pair(&p, &f);
	at = f;
	for (long i = 0; i < CHAIN; i++) {
		if (i & 1 ? pulse_future_all(&at, 1, 0, &next) :
			    pulse_future_any(&at, 1, &next)) {
			KT_FAIL("group %ld", i);
			return unused;
		}
		pulse_future_put(at);
		at = next;
	}
	KT_EQ(pulse_promise_set(p, NULL), 0);
	pulse_promise_put(p);
	KT_EQ(pulse_future_try(at, NULL), 0);
	pulse_future_put(at);
	return unused;
}

KT_TEST(groups_of_groups_need_no_stack)
{
	on_small_stack(long_nest);
}

#define NR 5

static struct pulse_promise *ps[NR];
static struct pulse_future *fs[NR];

static void pairs(void)
{
	for (int i = 0; i < NR; i++)
		pair(&ps[i], &fs[i]);
}

static void unpair(struct pulse_future *group)
{
	for (int i = 0; i < NR; i++) {
		pulse_promise_put(ps[i]);
		pulse_future_put(fs[i]);
	}
	pulse_future_put(group);
}

KT_TEST(all_is_set_when_the_last_one_is)
{
	struct pulse_future *all = NULL;

	KT_EQ(pulse_future_all(NULL, 0, 0, &all), 0);
	KT_EQ(pulse_future_get(all, NULL), 0);
	pulse_future_put(all);
	pairs();
	KT_EQ(pulse_future_all(fs, NR, 0, &all), 0);
	for (int i = NR; i-- > 0; ) {
		KT_EQ(pulse_future_done(all), 0);
		KT_EQ(pulse_promise_set(ps[i], num(i)), 0);
	}
	KT_EQ(pulse_future_get(all, NULL), 0);
	unpair(all);
}

KT_TEST(all_has_the_error_that_came_first)
{
	struct pulse_future *all = NULL, *fast = NULL, *same[3];

	pairs();
	KT_EQ(pulse_future_all(fs, NR, 0, &all), 0);
	KT_EQ(pulse_future_all(fs, NR, PULSE_ALL_FAST, &fast), 0);
	KT_EQ(pulse_promise_set(ps[0], NULL), 0);
	KT_EQ(pulse_promise_set_error(ps[3], -EIO), 0);
	KT_EQ(pulse_future_try(fast, NULL), -EIO);
	KT_EQ(pulse_promise_set_error(ps[1], -ENOENT), 0);
	KT_EQ(pulse_promise_set(ps[2], NULL), 0);
	KT_EQ(pulse_future_done(all), 0);
	KT_EQ(pulse_promise_set(ps[4], NULL), 0);
	KT_EQ(pulse_future_try(all, NULL), -EIO);
	pulse_future_put(fast);
	unpair(all);
	/* The same one several times. */
	pair(&p, &f);
	same[0] = same[1] = same[2] = f;
	KT_EQ(pulse_future_all(same, 3, 0, &all), 0);
	pulse_future_put(f);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(pulse_future_try(all, NULL), 0);
	pulse_promise_put(p);
	pulse_future_put(all);
}

KT_TEST(any_has_the_first_value_and_says_whose)
{
	struct pulse_future *any = NULL;
	struct pulse_result r;

	pairs();
	KT_EQ(pulse_future_any(fs, NR, &any), 0);
	KT_EQ(pulse_promise_set_error(ps[0], -EIO), 0);
	KT_EQ(pulse_future_done(any), 0);
	KT_EQ(pulse_promise_set(ps[3], num(33)), 0);
	KT_EQ(pulse_promise_set(ps[2], num(22)), 0);
	KT_EQ(pulse_future_result(any, &r), 0);
	KT_CHECK(!r.err && r.value == num(33) && r.task_id == 3);
	unpair(any);
	/* None has a value: the error that came last. */
	pairs();
	KT_EQ(pulse_future_any(fs, NR, &any), 0);
	for (int i = 0; i < NR; i++)
		KT_EQ(pulse_promise_set_error(ps[i], i == NR - 1 ? -ENOENT :
					      -EIO), 0);
	KT_EQ(pulse_future_try(any, NULL), -ENOENT);
	unpair(any);
}

KT_TEST(a_group_keeps_the_values_of_its_members)
{
	PULSE_OPTS(pulse_future_opts, fo, .value_free = count_free);
	struct pulse_future *any = NULL;
	void *v = NULL;

	freed = 0;
	KT_REQUIRE(!pulse_future_create(&fo, &p, &f));
	KT_EQ(pulse_future_any(&f, 1, &any), 0);
	pulse_future_put(f);
	KT_EQ(pulse_promise_set(p, malloc(8)), 0);
	pulse_promise_put(p);
	KT_EQ(pulse_future_get(any, &v), 0);
	memset(v, 0, 8);
	KT_EQ(freed, 0);
	pulse_future_put(any);
	KT_EQ(freed, 1);
}

KT_MAIN()

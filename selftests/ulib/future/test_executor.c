// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contract of executors, kept by one of a program's own: what is asked of it
 * comes through as it was asked, and what it cannot do is said.
 */
#include <pulse-u/executor.h>
#include <pulse-u/future.h>

#include "base/base.h"
#include "ktap.h"

struct queue {
	struct { void (*fn)(void *arg); void *arg; int node; } job[16];
	int nr, workers;
	int64_t deadline_ns, grace_ns;
	bool closed;
};

static int own_submit(void *self, void (*fn)(void *arg), void *arg, int node)
{
	struct queue *q = self;

	if (q->closed)
		return -ESHUTDOWN;
	if (q->nr == 4)
		return -EAGAIN;
	q->job[q->nr].fn = fn;
	q->job[q->nr].arg = arg;
	q->job[q->nr++].node = node;
	return 0;
}

static int own_resize(void *self, unsigned int num_workers)
{
	if (num_workers > 8)
		return -ERANGE;
	((struct queue *)self)->workers = (int)num_workers;
	return 0;
}

static int own_num_workers(void *self)
{
	return ((struct queue *)self)->workers;
}

static int own_pending(void *self)
{
	return ((struct queue *)self)->nr;
}

static int own_drain(void *self, int64_t deadline_ns)
{
	struct queue *q = self;

	q->deadline_ns = deadline_ns;
	if (!deadline_ns && q->nr)
		return -ETIMEDOUT;
	for (int i = 0; i < q->nr; i++)
		q->job[i].fn(q->job[i].arg);
	q->nr = 0;
	return 0;
}

static int own_shutdown(void *self, int64_t grace_ns)
{
	((struct queue *)self)->grace_ns = grace_ns;
	((struct queue *)self)->closed = true;
	return 0;
}

static const struct pulse_executor_ops own = {
	.sz = sizeof(own), .submit = own_submit, .resize = own_resize,
	.num_workers = own_num_workers, .pending = own_pending,
	.drain = own_drain, .shutdown = own_shutdown,
};

static void count(void *arg)
{
	++*(int *)arg;
}

static int twice(void *arg, void **value)
{
	*value = (void *)((intptr_t)arg * 2);
	return 0;
}

KT_TEST(what_is_asked_comes_through_as_it_was_asked)
{
	struct queue q = { .workers = 1 };
	struct pulse_executor ex = { &own, &q };
	struct pulse_future *f;
	struct pulse_submitter s;
	void *value = NULL;
	int calls = 0;

	KT_EQ(pulse_executor_num_workers(&ex), 1);
	KT_EQ(pulse_executor_resize(&ex, 8), 0);
	KT_EQ(q.workers, 8);
	KT_EQ(pulse_executor_resize(&ex, 9), -ERANGE);
	KT_EQ(pulse_executor_submit(&ex, count, &calls), 0);
	KT_EQ(q.job[0].node, -1);
	KT_EQ(pulse_executor_submit_on(&ex, count, &calls, 1), 0);
	KT_EQ(q.job[1].node, 1);
	s = pulse_executor_submitter(&ex);
	KT_REQUIRE(s.submit);
	KT_EQ(s.submit(s.self, count, &calls), 0);
	KT_EQ(pulse_executor_call(&ex, twice, (void *)21, NULL, &f), 0);
	KT_EQ(pulse_executor_pending(&ex), 4);
	/* Full: nothing is left behind of what it did not take. */
	KT_EQ(pulse_executor_submit(&ex, count, &calls), -EAGAIN);
	{
		struct pulse_future *none = (void *)1;

		KT_EQ(pulse_executor_call(&ex, twice, NULL, NULL, &none), -EAGAIN);
		KT_CHECK(!none);
	}
	KT_EQ(pulse_executor_drain(&ex, 0), -ETIMEDOUT);
	KT_EQ(calls, 0);
	KT_EQ(pulse_executor_drain(&ex, 12345), 0);
	KT_EQ(q.deadline_ns, 12345);
	KT_EQ(calls, 3);
	KT_EQ(pulse_future_get(f, &value), 0);
	KT_EQ((intptr_t)value, 42);
	pulse_future_put(f);
	KT_EQ(pulse_executor_shutdown(&ex, 777), 0);
	KT_EQ(q.grace_ns, 777);
	KT_EQ(pulse_executor_submit(&ex, count, &calls), -ESHUTDOWN);
	KT_EQ(calls, 3);
}

KT_TEST(what_it_cannot_do_is_said)
{
	/* An older table ends before what it did not know. */
	const struct pulse_executor_ops few = { .sz = sizeof(few),
						.submit = own_submit };
	struct pulse_executor_ops old = own;
	struct pulse_executor_ops none = { .sz = sizeof(none) };
	struct queue q = { .workers = 3 };
	struct pulse_executor ex = { &few, &q };
	int calls = 0;

	KT_EQ(pulse_executor_submit(&ex, count, &calls), 0);
	old.sz = offsetof(struct pulse_executor_ops, resize);
	for (int i = 0; i < 2; i++) {
		ex.ops = i ? &old : &few;
		KT_EQ(pulse_executor_resize(&ex, 2), -EOPNOTSUPP);
		KT_EQ(pulse_executor_num_workers(&ex), 0);
		KT_EQ(pulse_executor_pending(&ex), 0);
		KT_EQ(pulse_executor_drain(&ex, 1), -EOPNOTSUPP);
		KT_EQ(pulse_executor_shutdown(&ex, 1), -EOPNOTSUPP);
	}
	KT_EQ(q.workers, 3);
	ex.ops = &none;
	KT_EQ(pulse_executor_submit(&ex, count, &calls), -EINVAL);
}

KT_MAIN()

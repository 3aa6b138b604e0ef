// SPDX-License-Identifier: GPL-2.0-only
/* A value that comes later: set once, waited for, cancelled, broken. */

#include "pair.h"

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_cancelable c;
	struct pulse_result r;
	void *v = &r;

	f = (void *)1;
	KT_EQ(pulse_future_create(NULL, NULL, &f), -EINVAL);
	KT_CHECK(!f);
	p = (void *)1;
	KT_EQ(pulse_future_create(NULL, &p, NULL), -EINVAL);
	KT_CHECK(!p);
	KT_CHECK(!pulse_promise_get(NULL));
	KT_CHECK(!pulse_future_ref(NULL));
	pulse_promise_put(NULL);
	pulse_future_put(NULL);
	KT_EQ(pulse_promise_future(NULL, &f), -EINVAL);
	KT_EQ(pulse_promise_start(NULL), -EINVAL);
	KT_EQ(pulse_promise_cancelled(NULL), -EINVAL);
	KT_EQ(pulse_promise_set(NULL, NULL), -EINVAL);
	KT_EQ(pulse_promise_set_error(NULL, -EIO), -EINVAL);
	KT_EQ(pulse_future_done(NULL), -EINVAL);
	KT_EQ(pulse_future_result(NULL, &r), -EINVAL);
	KT_EQ(pulse_future_wait(NULL, NULL, 0), -EINVAL);
	KT_EQ(pulse_future_get(NULL, &v), -EINVAL);
	KT_EQ(pulse_future_get_until(NULL, &v, 0), -EINVAL);
	KT_EQ(pulse_future_try(NULL, &v), -EINVAL);
	KT_EQ(pulse_future_cancel(NULL, 0), -EINVAL);
	c = pulse_future_cancelable(NULL);
	KT_EQ(pulse_cancelable_cancel(&c, 0), -EINVAL);
	pair();
	KT_EQ(pulse_promise_future(p, NULL), -EINVAL);
	KT_EQ(pulse_future_result(f, NULL), -EINVAL);
	KT_EQ(pulse_promise_set_error(p, 0), -EINVAL);
	KT_EQ(pulse_promise_set_error(p, EIO), -EINVAL);
	KT_EQ(pulse_promise_set_error(p, -5000), -EINVAL);
	KT_EQ(pulse_future_cancel(f, EIO), -EINVAL);
	KT_EQ(pulse_future_done(f), 0);
	unpair();
}

/* U02, U04 */
KT_TEST(bad_options_and_no_memory_make_no_pair)
{
	struct { struct pulse_future_opts o; uint64_t more; } big = {
		.o.sz = sizeof(big) };
	PULSE_OPTS(pulse_future_opts, o);

	o.sz = 0;
	KT_EQ(pulse_future_create(&o, &p, &f), -EINVAL);
	KT_CHECK(!p && !f);
	o.sz = 1;
	KT_EQ(pulse_future_create(&o, &p, &f), -EINVAL);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_future_create(&o, &p, &f), -E2BIG);
	KT_EQ(pulse_future_create(&big.o, &p, &f), 0);
	unpair();
	big.more = 1;
	KT_EQ(pulse_future_create(&big.o, &p, &f), -E2BIG);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_future_create(NULL, &p, &f), -ENOMEM);
	KT_CHECK(!p && !f);
	/* Two calls for a pair would go off here: one is all. */
	pulse__alloc_fail_at(2);
	KT_EQ(pulse_future_create(NULL, &p, &f), 0);
	KT_EQ(pulse_promise_set(p, &p), 0);
	KT_EQ(pulse_future_get(f, NULL), 0);
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	unpair();
}

/* U11 */
KT_TEST(a_future_is_set_once)
{
	int one, two;
	void *v = NULL;

	pair();
	KT_EQ(pulse_future_try(f, &v), -EAGAIN);
	KT_EQ(pulse_promise_set(p, &one), 0);
	KT_EQ(pulse_promise_set(p, &two), -EALREADY);
	KT_EQ(pulse_promise_set_error(p, -EIO), -EALREADY);
	KT_EQ(pulse_future_cancel(f, 0), -EALREADY);
	KT_EQ(pulse_promise_start(p), -EALREADY);
	KT_EQ(pulse_future_try(f, &v), 0);
	KT_CHECK(v == &one);
	unpair();
	pair();
	KT_EQ(pulse_promise_set_error(p, -EIO), 0);
	KT_EQ(pulse_promise_set(p, &two), -EALREADY);
	KT_EQ(pulse_future_get(f, &v), -EIO);
	KT_CHECK(!v);
	unpair();
}

/* U11 */
KT_TEST(a_past_deadline_only_looks)
{
	static const int64_t past[] = { INT64_MIN, -1, 0, 1 };
	void *v;

	pair();
	for (unsigned int i = 0; i < ARRAY_SIZE(past); i++)
		KT_EQ(pulse_future_get_until(f, &v, past[i]), -ETIMEDOUT);
	KT_EQ(pulse_future_get_until(f, &v, pulse_now_ns() + MS), -ETIMEDOUT);
	KT_EQ(pulse_promise_set(p, &v), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(past); i++)
		KT_EQ(pulse_future_get_until(f, &v, past[i]), 0);
	unpair();
}

/* U11 */
KT_TEST(a_promise_that_nobody_keeps_is_broken)
{
	struct pulse_promise *second;

	pair();
	second = pulse_promise_get(p);
	pulse_promise_put(p);
	KT_EQ(pulse_future_done(f), 0);
	pulse_promise_put(second);
	KT_EQ(pulse_future_done(f), 1);
	KT_EQ(pulse_future_get(f, NULL), -EPIPE);
	pulse_future_put(f);
	/* Nobody waits for it: it just goes. */
	pair();
	pulse_future_put(f);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	pulse_promise_put(p);
}

KT_TEST(a_result_tells_duration_and_task)
{
	PULSE_OPTS(pulse_future_opts, o, .task_id = 77);
	struct pulse_result r = { .err = 1 };
	int value;

	KT_REQUIRE(!pulse_future_create(&o, &p, &f));
	KT_EQ(pulse_future_result(f, &r), -EAGAIN);
	KT_EQ(pulse_promise_start(p), 0);
	KT_EQ(pulse_promise_start(p), -EALREADY);
	nap(2 * MS);
	KT_EQ(pulse_promise_set(p, &value), 0);
	KT_EQ(pulse_future_result(f, &r), 0);
	KT_EQ(r.err, 0);
	KT_CHECK(r.value == &value);
	KT_EQ(r.task_id, 77);
	KT_CHECK(r.duration_ns >= 2 * MS);
	unpair();
	pair();
	KT_EQ(pulse_promise_set(p, &value), 0);
	KT_EQ(pulse_future_result(f, &r), 0);
	KT_EQ(r.duration_ns, 0);
	unpair();
	r = pulse_result_ok(&value);
	KT_CHECK(r.value == &value && !r.err && !r.task_id);
	r = pulse_result_error(-EIO);
	KT_CHECK(!r.value && r.err == -EIO);
	KT_EQ(pulse_result_error(5).err, -EINVAL);
	KT_EQ(pulse_result_error(0).err, -EINVAL);
}

static int freed;

static void count_free(void *value)
{
	freed++;
	free(value);
}

KT_TEST(a_value_goes_with_the_last_handle)
{
	PULSE_OPTS(pulse_future_opts, o, .value_free = count_free);
	struct pulse_future *other = NULL;
	void *v = NULL;

	freed = 0;
	KT_REQUIRE(!pulse_future_create(&o, &p, &f));
	KT_EQ(pulse_promise_future(p, &other), 0);
	KT_EQ(pulse_promise_set(p, malloc(10)), 0);
	pulse_promise_put(p);
	KT_EQ(pulse_future_get(f, &v), 0);
	pulse_future_put(f);
	KT_EQ(freed, 0);
	memset(v, 0, 10);
	pulse_future_put(other);
	KT_EQ(freed, 1);
	/* No value, nothing to free. */
	KT_REQUIRE(!pulse_future_create(&o, &p, &f));
	unpair();
	KT_EQ(freed, 1);
}

/* ---- cancelling ---------------------------------------------------------- */

KT_TEST(work_that_has_not_begun_is_cancelled_at_once)
{
	pair();
	KT_EQ(pulse_promise_cancelled(p), 0);
	KT_EQ(pulse_future_cancel(f, -ESHUTDOWN), 0);
	KT_EQ(pulse_future_cancel(f, 0), -EALREADY);
	KT_EQ(pulse_promise_cancelled(p), -ESHUTDOWN);
	KT_EQ(pulse_promise_start(p), -ESHUTDOWN);
	KT_EQ(pulse_promise_set(p, NULL), -EALREADY);
	KT_EQ(pulse_future_get(f, NULL), -ESHUTDOWN);
	unpair();
	pair();
	KT_EQ(pulse_future_cancel(f, 0), 0);
	KT_EQ(pulse_future_get(f, NULL), -ECANCELED);
	unpair();
}

KT_TEST(work_that_has_begun_is_asked_and_decides)
{
	int v;

	pair();
	KT_EQ(pulse_promise_start(p), 0);
	KT_EQ(pulse_future_cancel(f, -EINTR), -EINPROGRESS);
	KT_EQ(pulse_future_cancel(f, 0), -EALREADY);
	KT_EQ(pulse_future_done(f), 0);
	KT_EQ(pulse_promise_cancelled(p), -EINTR);
	KT_EQ(pulse_promise_set_error(p, pulse_promise_cancelled(p)), 0);
	KT_EQ(pulse_future_get(f, NULL), -EINTR);
	unpair();
	pair();
	KT_EQ(pulse_promise_start(p), 0);
	KT_EQ(pulse_future_cancel(f, 0), -EINPROGRESS);
	KT_EQ(pulse_promise_set(p, &v), 0);
	KT_EQ(pulse_future_get(f, NULL), 0);
	unpair();
}

/* The Cancelable contract: cancel once, done after. */
KT_TEST(a_future_keeps_the_contract_of_cancelables)
{
	struct pulse_cancelable c;

	pair();
	c = pulse_future_cancelable(f);
	KT_EQ(pulse_cancelable_done(&c), 0);
	KT_EQ(pulse_cancelable_err(&c), -EINPROGRESS);
	KT_EQ(pulse_cancelable_cancel(&c, 5), -EINVAL);
	KT_EQ(pulse_cancelable_cancel(&c, 0), 0);
	KT_EQ(pulse_cancelable_done(&c), 1);
	KT_EQ(pulse_cancelable_err(&c), -ECANCELED);
	KT_EQ(pulse_cancelable_cancel(&c, 0), -EALREADY);
	unpair();
	pair();
	c = pulse_future_cancelable(f);
	KT_EQ(pulse_promise_set(p, NULL), 0);
	KT_EQ(pulse_cancelable_err(&c), 0);
	KT_EQ(pulse_cancelable_cancel(&c, 0), -EALREADY);
	unpair();
	KT_EQ(pulse_cancelable_done(NULL), -EINVAL);
	KT_EQ(pulse_cancelable_err(NULL), -EINVAL);
}

KT_MAIN()

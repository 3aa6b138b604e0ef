// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * executor.c - the executor contract: what is the same whoever is behind it, and
 * the executor that has nobody behind it.
 */
#include <pulse-u/executor.h>

#include "future/future.h"

/* The member was there when the implementation was built, and is set. */
#define PULSE__CAN(ex, op)						\
	((ex)->ops->sz >= pulse__size_to(struct pulse_executor_ops, op) && \
	 (ex)->ops->op)

static int pulse__executor_check(const struct pulse_executor *ex)
{
	return ex && ex->ops && PULSE__CAN(ex, submit) ? 0 : -EINVAL;
}

int pulse_executor_submit_on(const struct pulse_executor *ex,
			     void (*fn)(void *arg), void *arg, int node)
{
	if (pulse__executor_check(ex) || !fn || node < -1)
		return -EINVAL;
	return ex->ops->submit(ex->self, fn, arg, node);
}

int pulse_executor_submit(const struct pulse_executor *ex,
			  void (*fn)(void *arg), void *arg)
{
	return pulse_executor_submit_on(ex, fn, arg, -1);
}

int pulse_executor_resize(const struct pulse_executor *ex, unsigned int nr)
{
	if (pulse__executor_check(ex) || !nr)
		return -EINVAL;
	return PULSE__CAN(ex, resize) ? ex->ops->resize(ex->self, nr) :
	       -EOPNOTSUPP;
}

int pulse_executor_num_workers(const struct pulse_executor *ex)
{
	if (pulse__executor_check(ex))
		return -EINVAL;
	return PULSE__CAN(ex, num_workers) ? ex->ops->num_workers(ex->self) : 0;
}

int pulse_executor_pending(const struct pulse_executor *ex)
{
	if (pulse__executor_check(ex))
		return -EINVAL;
	return PULSE__CAN(ex, pending) ? ex->ops->pending(ex->self) : 0;
}

int pulse_executor_drain(const struct pulse_executor *ex, int64_t deadline_ns)
{
	if (pulse__executor_check(ex) || deadline_ns < 0)
		return -EINVAL;
	return PULSE__CAN(ex, drain) ? ex->ops->drain(ex->self, deadline_ns) :
	       -EOPNOTSUPP;
}

int pulse_executor_shutdown(const struct pulse_executor *ex, int64_t grace_ns)
{
	if (pulse__executor_check(ex) || grace_ns < 0)
		return -EINVAL;
	return PULSE__CAN(ex, shutdown) ?
	       ex->ops->shutdown(ex->self, grace_ns) : -EOPNOTSUPP;
}

static int pulse__executor_as_submitter(void *self, void (*fn)(void *arg),
					void *arg)
{
	return pulse_executor_submit(self, fn, arg);
}

struct pulse_submitter pulse_executor_submitter(const struct pulse_executor *ex)
{
	struct pulse_submitter s = { NULL, NULL };

	if (!pulse__executor_check(ex)) {
		s.submit = pulse__executor_as_submitter;
		s.self = (void *)(uintptr_t)ex;
	}
	return s;
}

/* ---- calls with a result ---------------------------------------------------- */

struct pulse__call {
	struct pulse_promise *promise;
	pulse_call_fn fn;
	void *arg;
};

static void pulse__call_run(void *arg)
{
	struct pulse__call *c = arg;
	struct pulse_promise *p = c->promise;
	void (*value_free)(void *value) = p->future.value_free;
	void *value = NULL;
	int err;

	if (!pulse_promise_start(p)) {
		err = c->fn(c->arg, &value);
		if (err > 0 || err < -4095)
			err = -EINVAL;
		if (err)
			pulse_promise_set_error(p, err);
		else if (pulse_promise_set(p, value) && value && value_free)
			value_free(value);
	}
	pulse_promise_put(p);
	pulse__free(c);
}

int pulse_executor_call(const struct pulse_executor *ex, pulse_call_fn fn,
			void *arg, const struct pulse_future_opts *opts,
			struct pulse_future **out)
{
	struct pulse__call *c;
	int err;

	if (out)
		*out = NULL;
	if (pulse__executor_check(ex) || !fn || !out)
		return -EINVAL;
	c = pulse__calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	err = pulse_future_create(opts, &c->promise, out);
	if (err) {
		pulse__free(c);
		return err;
	}
	c->fn = fn;
	c->arg = arg;
	err = pulse_executor_submit(ex, pulse__call_run, c);
	if (err) {
		pulse_promise_put(c->promise);
		pulse_future_put(*out);
		*out = NULL;
		pulse__free(c);
	}
	return err;
}

/* ---- at once, in the caller ---------------------------------------------------- */

static int pulse__inline_submit(void *self, void (*fn)(void *arg), void *arg,
				int node)
{
	(void)self;
	(void)node;
	fn(arg);
	return 0;
}

static int pulse__inline_num_workers(void *self)
{
	(void)self;
	return 1;
}

static int pulse__inline_pending(void *self)
{
	(void)self;
	return 0;
}

static int pulse__inline_until(void *self, int64_t ns)
{
	(void)self;
	(void)ns;
	return 0;
}

struct pulse_executor pulse_executor_inline(void)
{
	static const struct pulse_executor_ops ops = {
		.sz = sizeof(ops),
		.submit = pulse__inline_submit,
		.num_workers = pulse__inline_num_workers,
		.pending = pulse__inline_pending,
		.drain = pulse__inline_until,
		.shutdown = pulse__inline_until,
	};
	struct pulse_executor ex = { &ops, NULL };

	return ex;
}

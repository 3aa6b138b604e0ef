/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * executor.h - whoever runs functions for others, whatever is behind it.
 *
 * The contract of a pool of workers, an event loop, or a test's own: code that
 * is given a struct pulse_executor need not know. pulse_pool_executor() of
 * <pulse-u/task.h> makes one of a pool; pulse_executor_inline() runs everything
 * at once, in the caller.
 */
#ifndef PULSE_U_EXECUTOR_H
#define PULSE_U_EXECUTOR_H

#include <pulse-u/base.h>
#include <pulse-u/future.h>
#include <pulse-u/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_executor_ops - the contract
 * @sz: sizeof(struct pulse_executor_ops)
 * @submit: have @fn called with @arg, once, from whatever thread; @node: a NUMA
 *	node where that would be best, or -1. 0; -EAGAIN full; -ESHUTDOWN;
 *	where it is not 0, @fn is not called.
 * @resize: have so many workers from now on; NULL: it cannot
 * @num_workers: workers there are
 * @pending: functions that were accepted and have not begun
 * @drain: until all that was accepted is done. 0; -ETIMEDOUT; -EDEADLK from
 *	inside.
 * @shutdown: accept no more; what has not begun after @grace_ns is dropped.
 *	May be called again. 0; -ETIMEDOUT something was dropped or still runs.
 */
struct pulse_executor_ops {
	size_t sz;
	int (*submit)(void *self, void (*fn)(void *arg), void *arg, int node);
	int (*resize)(void *self, unsigned int num_workers);
	int (*num_workers)(void *self);
	int (*pending)(void *self);
	int (*drain)(void *self, int64_t deadline_ns);
	int (*shutdown)(void *self, int64_t grace_ns);
};

/**
 * struct pulse_executor - an executor
 * @ops: how
 * @self: what; the view holds no reference to it
 */
struct pulse_executor {
	const struct pulse_executor_ops *ops;
	void *self;
};

/**
 * pulse_executor_submit() - have a function called
 * @ex: the executor
 * @fn: the function
 * @arg: its argument
 *
 * Return: as struct pulse_executor_ops says; -EINVAL.
 */
PULSE_API int pulse_executor_submit(const struct pulse_executor *ex,
				    void (*fn)(void *arg), void *arg);

/**
 * pulse_executor_submit_on() - have a function called on a NUMA node
 * @ex: the executor
 * @fn: the function
 * @arg: its argument
 * @node: where it would be best
 *
 * Return: as pulse_executor_submit().
 */
PULSE_API int pulse_executor_submit_on(const struct pulse_executor *ex,
				       void (*fn)(void *arg), void *arg,
				       int node);

/**
 * typedef pulse_call_fn - a function with a result
 * @arg: as it was given
 * @value: where to put its value
 *
 * Return: 0, or a negative errno.
 */
typedef int (*pulse_call_fn)(void *arg, void **value);

/**
 * pulse_executor_call() - have a function called, and get its result
 * @ex: the executor
 * @fn: the function
 * @arg: its argument
 * @opts: of the future, or NULL for the defaults
 * @out: one reference. Cancelled before it begins, @fn is not called.
 *
 * Return: 0; -ENOMEM; or as pulse_executor_submit().
 */
PULSE_API int pulse_executor_call(const struct pulse_executor *ex,
				  pulse_call_fn fn, void *arg,
				  const struct pulse_future_opts *opts,
				  struct pulse_future **out);

/**
 * pulse_executor_resize() - have so many workers from now on
 * @ex: the executor
 * @num_workers: at least 1
 *
 * Return: 0; -EOPNOTSUPP; -ERANGE more than it can have; -EINVAL; or why not.
 */
PULSE_API int pulse_executor_resize(const struct pulse_executor *ex,
				    unsigned int num_workers);

/**
 * pulse_executor_num_workers() - workers there are
 * @ex: the executor
 *
 * Return: that; -EINVAL.
 */
PULSE_API int pulse_executor_num_workers(const struct pulse_executor *ex);

/**
 * pulse_executor_pending() - functions that wait
 * @ex: the executor
 *
 * Return: that, about; -EINVAL.
 */
PULSE_API int pulse_executor_pending(const struct pulse_executor *ex);

/**
 * pulse_executor_drain() - until all that was accepted is done
 * @ex: the executor
 * @deadline_ns: absolute, or PULSE_FOREVER
 *
 * Return: as struct pulse_executor_ops says; -EINVAL.
 */
PULSE_API int pulse_executor_drain(const struct pulse_executor *ex,
				   int64_t deadline_ns);

/**
 * pulse_executor_shutdown() - accept no more, finish what there is
 * @ex: the executor
 * @grace_ns: how long that may take, or PULSE_FOREVER
 *
 * Return: as struct pulse_executor_ops says; -EINVAL.
 */
PULSE_API int pulse_executor_shutdown(const struct pulse_executor *ex,
				      int64_t grace_ns);

/**
 * pulse_executor_submitter() - an executor where only submit is asked for
 * @ex: the executor; must last as long as what is returned
 *
 * For struct pulse_then_opts.on, say.
 *
 * Return: it; with no submit where @ex is NULL.
 */
PULSE_API struct pulse_submitter
pulse_executor_submitter(const struct pulse_executor *ex);

/**
 * pulse_executor_inline() - an executor that calls at once, in the caller
 *
 * Return: it; there is nothing to give back.
 */
PULSE_API struct pulse_executor pulse_executor_inline(void);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_EXECUTOR_H */

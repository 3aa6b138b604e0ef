/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * future.h - a value that comes later.
 *
 * One object, two handles. The promise is the side of whoever makes the value,
 * the future that of whoever wants it; each is reference counted on its own,
 * and the object goes with the last of both. Making the pair is the only
 * allocation; setting, waiting and looking take none.
 *
 * A future is set once, with a value or an error, and never changes after.
 * When the last promise is put before that, it is set to -EPIPE.
 *
 * Everything may be done from any thread. What the setter wrote before it set
 * the future is seen by whoever finds it set.
 *
 * Cycles: then, all and any make a new future out of ones that are there, so
 * that futures cannot depend on each other in a circle. Waiting can: a
 * continuation that waits for its own future is answered -EDEADLK; one that
 * waits for a future that depends on its own in a longer way waits until its
 * deadline.
 */
#ifndef PULSE_U_FUTURE_H
#define PULSE_U_FUTURE_H

#include <pulse-u/base.h>
#include <pulse-u/result.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_future;
struct pulse_promise;

/**
 * struct pulse_future_opts - options of pulse_future_create()
 * @sz: sizeof(struct pulse_future_opts)
 * @value_free: gets the value when the last handle is put, unless there is
 *	none (an error) or it is NULL. Default: the value is not the future's.
 * @task_id: for the result; default 0
 */
struct pulse_future_opts {
	size_t sz;
	void (*value_free)(void *value);
	uint64_t task_id;
};

/**
 * pulse_future_create() - make a promise and its future
 * @opts: or NULL for the defaults
 * @promise: one reference
 * @future: one reference
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_future_create(const struct pulse_future_opts *opts,
				  struct pulse_promise **promise,
				  struct pulse_future **future);

/* ---- the side that makes the value --------------------------------------- */

/**
 * pulse_promise_get() - take a reference
 * @promise: the promise
 *
 * Return: @promise.
 */
PULSE_API struct pulse_promise *pulse_promise_get(struct pulse_promise *promise);

/**
 * pulse_promise_put() - give a reference back
 * @promise: the promise; NULL does nothing. The last one sets a future that is
 *	not set to -EPIPE.
 */
PULSE_API void pulse_promise_put(struct pulse_promise *promise);

/**
 * pulse_promise_future() - another future of a promise
 * @promise: the promise
 * @out: one reference
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_promise_future(struct pulse_promise *promise,
				   struct pulse_future **out);

/**
 * pulse_promise_start() - the work begins
 * @promise: the promise
 *
 * From here on cancelling is asking: the work goes on until it looks. Also
 * starts the clock for the result's duration. Optional.
 *
 * Return: 0; the reason where it was cancelled before it began, and need not
 * begin; -EALREADY it has begun or is set; -EINVAL.
 */
PULSE_API int pulse_promise_start(struct pulse_promise *promise);

/**
 * pulse_promise_cancelled() - has the other side asked to stop?
 * @promise: the promise
 *
 * Return: 0, or the reason: set it as the error. -EINVAL.
 */
PULSE_API int pulse_promise_cancelled(const struct pulse_promise *promise);

/**
 * pulse_promise_set() - set the value
 * @promise: the promise; the reference stays the caller's
 * @value: the value, NULL included. When the call fails it stays the caller's.
 *
 * Wakes who waits, and runs continuations that have no executor before it
 * returns; inside a continuation they run after it.
 *
 * Return: 0; -EALREADY it is set or was cancelled; -EINVAL.
 */
PULSE_API int pulse_promise_set(struct pulse_promise *promise, void *value);

/**
 * pulse_promise_set_error() - set an error in place of a value
 * @promise: the promise; the reference stays the caller's
 * @err: a negative errno
 *
 * Return: as pulse_promise_set().
 */
PULSE_API int pulse_promise_set_error(struct pulse_promise *promise, int err);

/* ---- the side that wants it ---------------------------------------------- */

/**
 * pulse_future_ref() - take a reference
 * @future: the future
 *
 * Return: @future.
 */
PULSE_API struct pulse_future *pulse_future_ref(struct pulse_future *future);

/**
 * pulse_future_put() - give a reference back
 * @future: the future; NULL does nothing. Does not cancel it.
 */
PULSE_API void pulse_future_put(struct pulse_future *future);

/**
 * pulse_future_done() - is it set?
 * @future: the future
 *
 * Return: 1 or 0; -EINVAL.
 */
PULSE_API int pulse_future_done(const struct pulse_future *future);

/**
 * pulse_future_result() - look at all there is to know
 * @future: the future
 * @out: the result; its value lives as long as the caller's reference
 *
 * Return: 0 @out is filled in, with a value or an error; -EAGAIN not set yet;
 * -EINVAL.
 */
PULSE_API int pulse_future_result(const struct pulse_future *future,
				  struct pulse_result *out);

/**
 * pulse_future_wait() - sleep until it is set
 * @future: the future
 * @token: give up when this is cancelled; NULL: nobody does that
 * @deadline_ns: when to give up, absolute; 0 or past: only look;
 *	PULSE_FOREVER
 *
 * In a continuation, other continuations that this thread has to run are run
 * first, so that it does not wait for what it holds up.
 *
 * Return: 0 it is set, with a value or an error; -ETIMEDOUT; the reason of
 * @token; -EDEADLK a continuation waits for its own future; -EOWNERDEAD in a
 * forked child, where nobody will set it; -EINVAL.
 */
PULSE_API int pulse_future_wait(struct pulse_future *future,
				struct pulse_token *token, int64_t deadline_ns);

/**
 * pulse_future_get() - wait for the value
 * @future: the future
 * @value: out, or NULL; lives as long as the caller's reference
 *
 * Return: 0; the error the future was set to; or as pulse_future_wait().
 */
PULSE_API int pulse_future_get(struct pulse_future *future, void **value);

/**
 * pulse_future_get_until() - wait for the value, not for ever
 * @future: the future
 * @value: as for pulse_future_get()
 * @deadline_ns: absolute; 0 or past: only look
 *
 * A future may have been set to -ETIMEDOUT too; pulse_future_done() tells.
 *
 * Return: as pulse_future_get(); -ETIMEDOUT.
 */
PULSE_API int pulse_future_get_until(struct pulse_future *future, void **value,
				     int64_t deadline_ns);

/**
 * pulse_future_try() - the value, if it is there
 * @future: the future
 * @value: as for pulse_future_get()
 *
 * Return: 0; the error the future was set to; -EAGAIN not set yet; -EINVAL.
 */
PULSE_API int pulse_future_try(struct pulse_future *future, void **value);

/**
 * pulse_future_cancel() - the value is not wanted any more
 * @future: the future
 * @reason: a negative errno; 0 means -ECANCELED
 *
 * Work that has not begun (pulse_promise_start()) does not have to: the future
 * is set to @reason here and now, and who waits wakes. Work that has begun is
 * asked to stop, and sets the future itself, perhaps to a value after all.
 * Futures that this one was made from are not cancelled.
 *
 * Return: 0 it is set to @reason; -EINPROGRESS the work was asked; -EALREADY
 * it is set, or was asked before; -EINVAL.
 */
PULSE_API int pulse_future_cancel(struct pulse_future *future, int reason);

/**
 * pulse_future_cancelable() - a future as something that can be cancelled
 * @future: the future; the caller keeps its reference
 *
 * Return: the view.
 */
PULSE_API struct pulse_cancelable
pulse_future_cancelable(struct pulse_future *future);

/* ---- what comes after ----------------------------------------------------- */

/**
 * typedef pulse_then_fn - a continuation
 * @in: what the future was set to, value or error; valid during the call
 * @arg: as given to pulse_future_then()
 * @value: where to put the value for the next future
 *
 * Must return: no longjmp() and no pthread_exit() out of it.
 *
 * Return: 0: the next future is set to *@value; a negative errno: to that.
 */
typedef int (*pulse_then_fn)(const struct pulse_result *in, void *arg,
			     void **value);

/**
 * struct pulse_then_opts - options of pulse_future_then()
 * @sz: sizeof(struct pulse_then_opts)
 * @on: where the continuation runs; default: on the thread that sets the
 *	future or, if it is set, on the caller's. When the executor refuses it,
 *	the continuation is not called and the next future has the refusal as
 *	its error.
 * @value_free: as in struct pulse_future_opts, for the next future
 * @task_id: likewise
 */
struct pulse_then_opts {
	size_t sz;
	struct pulse_submitter on;
	void (*value_free)(void *value);
	uint64_t task_id;
};

/**
 * pulse_future_then() - have a function called with the result
 * @future: the future; may be set already
 * @fn: called once, unless the next future is cancelled before
 * @arg: for @fn
 * @opts: or NULL for the defaults
 * @out: the next future, one reference; or NULL where nobody wants it
 *
 * Continuations of one future begin in the order they were added. They never
 * nest: one that sets a future finishes before the continuations of that one
 * begin, so that a chain of any length takes no more stack than one.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM. When it fails, @fn will
 * not be called.
 */
PULSE_API int pulse_future_then(struct pulse_future *future, pulse_then_fn fn,
				void *arg, const struct pulse_then_opts *opts,
				struct pulse_future **out);

/* Flags of pulse_future_all(). */
#define PULSE_ALL_FAST	(1U << 0) /* be set at the first error, do not wait */

/**
 * pulse_future_all() - a future of many: set when all are
 * @futures: the futures; each may be there more than once
 * @nr: how many; 0 makes a future that is set
 * @flags: PULSE_ALL_* or 0
 * @out: one reference
 *
 * Set to NULL when all have values; else to the error that came first. It
 * holds references to @futures, so that their values live as long as it does.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_future_all(struct pulse_future *const *futures, size_t nr,
			       unsigned int flags, struct pulse_future **out);

/**
 * pulse_future_any() - a future of many: set to the first value
 * @futures: the futures
 * @nr: how many, at least 1
 * @out: one reference; the task_id of its result is the index in @futures of
 *	the one that won
 *
 * Set to an error, the one that came last, when none has a value. It holds
 * references to @futures, so that their values live as long as it does.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_future_any(struct pulse_future *const *futures, size_t nr,
			       struct pulse_future **out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_FUTURE_H */

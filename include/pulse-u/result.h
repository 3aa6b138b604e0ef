/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * result.h - how work ends: results, what can be cancelled, cancel tokens.
 *
 * Everything here may be used from any thread.
 */
#ifndef PULSE_U_RESULT_H
#define PULSE_U_RESULT_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_result - the outcome of one piece of work: a value or an error
 * @value: the value; NULL where @err is set. Who owns it is said by whoever
 *	gives the result.
 * @err: 0 or a negative errno
 * @reserved: 0
 * @duration_ns: how long the work ran, without what it waited before; 0 where
 *	nobody measured
 * @task_id: which work it was; 0 where it has no number
 *
 * Copied by value; its layout does not change.
 */
struct pulse_result {
	void *value;
	int32_t err;
	uint32_t reserved;
	int64_t duration_ns;
	uint64_t task_id;
};

/**
 * pulse_result_ok() - a result with a value
 * @value: the value, NULL included
 *
 * Return: the result; its duration and task are 0.
 */
PULSE_API struct pulse_result pulse_result_ok(void *value);

/**
 * pulse_result_error() - a result with an error
 * @err: a negative errno; anything else counts as -EINVAL
 *
 * Return: the result; its duration and task are 0.
 */
PULSE_API struct pulse_result pulse_result_error(int err);

/**
 * struct pulse_submitter - the little that is asked of an executor: run this
 * @submit: have @fn called with @arg, once, by a thread of the executor's
 *	choice; 0, or a negative errno and @fn is not called
 * @self: first argument of @submit
 *
 * Thread pools, event loops and actors can all be one.
 */
struct pulse_submitter {
	int (*submit)(void *self, void (*fn)(void *arg), void *arg);
	void *self;
};

/* ---- what can be cancelled ---------------------------------------------- */

/**
 * struct pulse_cancelable_ops - the contract of whatever can be cancelled
 * @sz: sizeof(struct pulse_cancelable_ops)
 * @cancel: ask it to end, for @reason (a negative errno). 0 it has ended;
 *	-EINPROGRESS it was asked and will end; -EALREADY it has ended or was
 *	asked before: cancelling counts once.
 * @done: 1 it has ended, in whatever way; 0 not yet. Stays 1.
 * @err: -EINPROGRESS not yet; 0 it ended well; or why it did not
 */
struct pulse_cancelable_ops {
	size_t sz;
	int (*cancel)(void *self, int reason);
	int (*done)(void *self);
	int (*err)(void *self);
};

/**
 * struct pulse_cancelable - something that can be cancelled
 * @ops: how
 * @self: what; the view holds no reference to it
 */
struct pulse_cancelable {
	const struct pulse_cancelable_ops *ops;
	void *self;
};

/**
 * pulse_cancelable_cancel() - ask it to end
 * @c: what
 * @reason: a negative errno; 0 means -ECANCELED
 *
 * Return: as struct pulse_cancelable_ops says; -EINVAL.
 */
PULSE_API int pulse_cancelable_cancel(const struct pulse_cancelable *c,
				      int reason);

/**
 * pulse_cancelable_done() - has it ended?
 * @c: what
 *
 * Return: 1 or 0; -EINVAL.
 */
PULSE_API int pulse_cancelable_done(const struct pulse_cancelable *c);

/**
 * pulse_cancelable_err() - how did it end?
 * @c: what
 *
 * Return: -EINPROGRESS not yet; 0; or why it ended; -EINVAL.
 */
PULSE_API int pulse_cancelable_err(const struct pulse_cancelable *c);

/* ---- cancel tokens ------------------------------------------------------- */

/**
 * struct pulse_token - "stop what you do for me", handed down to where work
 * is done
 *
 * Tokens form a tree: cancelling one cancels all below it, never one above.
 * A token is cancelled at most once, and stays so. It may have a deadline; its
 * effective one is the earliest from itself up to the root.
 *
 * A deadline that passes makes err and done say so, and ends waits; nothing
 * else happens by itself, because there is no thread here. To have hooks
 * called in time, arm a timer for pulse_token_deadline() that calls
 * pulse_token_cancel() with -ETIMEDOUT.
 *
 * Reference counted; a token holds a reference to its parent.
 */
struct pulse_token;

/**
 * struct pulse_token_opts - options of pulse_token_create()
 * @sz: sizeof(struct pulse_token_opts)
 * @parent: the token above; default none, which makes a root
 * @deadline_ns: absolute CLOCK_MONOTONIC; default 0: none of its own
 */
struct pulse_token_opts {
	size_t sz;
	struct pulse_token *parent;
	int64_t deadline_ns;
};

/**
 * pulse_token_create() - make a cancel token
 * @opts: or NULL for the defaults
 * @out: the token, with one reference
 *
 * Below a parent that is cancelled it is born cancelled, for the same reason.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_token_create(const struct pulse_token_opts *opts,
				 struct pulse_token **out);

/**
 * pulse_token_get() - take a reference
 * @token: the token
 *
 * Return: @token.
 */
PULSE_API struct pulse_token *pulse_token_get(struct pulse_token *token);

/**
 * pulse_token_put() - give a reference back
 * @token: the token; NULL does nothing. The last one frees it, and does not
 *	cancel it.
 */
PULSE_API void pulse_token_put(struct pulse_token *token);

/**
 * pulse_token_cancel() - cancel a token and all below it
 * @token: the token
 * @reason: a negative errno; 0 means -ECANCELED. Where the deadline of a
 *	token has passed, its reason is -ETIMEDOUT all the same.
 *
 * Hooks are called before it returns, by this thread, without any lock held.
 *
 * Return: 0; -EALREADY it was cancelled before; -EINVAL.
 */
PULSE_API int pulse_token_cancel(struct pulse_token *token, int reason);

/**
 * pulse_token_err() - why should one stop?
 * @token: the token; NULL is a token that nobody cancels
 *
 * Cheap: a load, and a look at the clock where there is a deadline.
 *
 * Return: 0: go on; else the reason, -ETIMEDOUT after the deadline.
 */
PULSE_API int pulse_token_err(const struct pulse_token *token);

/**
 * pulse_token_done() - should one stop?
 * @token: as for pulse_token_err(), NULL too
 *
 * Return: 1 or 0.
 */
PULSE_API int pulse_token_done(const struct pulse_token *token);

/**
 * pulse_token_deadline() - a token's effective deadline
 * @token: as for pulse_token_err(), NULL too
 *
 * Return: absolute nanoseconds; PULSE_FOREVER where there is none.
 */
PULSE_API int64_t pulse_token_deadline(const struct pulse_token *token);

/**
 * pulse_token_wait() - sleep until a token is cancelled
 * @token: the token
 * @deadline_ns: when to give up, absolute; 0 or past: only look
 *
 * Return: 0 it is cancelled or its own deadline has passed (ask
 * pulse_token_err()); -ETIMEDOUT given up; -EINVAL.
 */
PULSE_API int pulse_token_wait(struct pulse_token *token, int64_t deadline_ns);

/**
 * struct pulse_token_hook - a function to be called when a token is cancelled
 * @next: the library's
 * @link: the library's
 * @token: the library's
 * @runner: the library's
 * @fn: the function: must return, and must not free the hook
 * @arg: for @fn
 * @state: the library's; 0 while it is not set
 * @reserved: 0
 *
 * In memory of the caller, zero but for @fn and @arg to begin with.
 */
struct pulse_token_hook {
	struct pulse_token_hook *next;
	struct pulse_token_hook **link;
	struct pulse_token *token;
	const void *runner;
	void (*fn)(int reason, void *arg);
	void *arg;
	uint32_t state;
	uint32_t reserved;
};

/**
 * pulse_token_on() - have a function called when a token is cancelled
 * @token: the token
 * @hook: fn is set; it is not set on any token
 *
 * The hook holds a reference to the token. Hooks are called in no certain
 * order, by the thread that cancels.
 *
 * Return: 0; -EALREADY the token is cancelled, and the hook is not called;
 * -EBUSY the hook is set; -EINVAL.
 */
PULSE_API int pulse_token_on(struct pulse_token *token,
			     struct pulse_token_hook *hook);

/**
 * pulse_token_off() - do not have it called any more
 * @token: the token the hook is set on
 * @hook: the hook
 *
 * When its function runs just now in another thread, waits for it; inside the
 * function itself it does not. Afterwards the hook's memory is the caller's.
 *
 * Return: 1 it was set and will not be called; 0 it was called or was not set;
 * -EINVAL.
 */
PULSE_API int pulse_token_off(struct pulse_token *token,
			      struct pulse_token_hook *hook);

/**
 * pulse_token_cancelable() - a token as something that can be cancelled
 * @token: the token; the caller keeps its reference
 *
 * Return: the view. Its err is the reason once the token is cancelled.
 */
PULSE_API struct pulse_cancelable
pulse_token_cancelable(struct pulse_token *token);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_RESULT_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * call.c - functions in a pool that somebody waits for: pulse_fork_run() and
 * pulse_pcall().
 *
 * One word tells all, moved by compare-exchange: QUEUED -> BEGUN by the worker
 * or by who joins a deferred call, -> DONE or LOST by who began it; QUEUED ->
 * LOST where the pool's end cancels the task. Who waits adds WAITED, and who
 * ends the call wakes where it finds that. After the word says DONE the call may
 * be gone, or has another reference.
 */
#include "pool/det.h"
#include "pool/pool.h"

enum {
	PULSE__CALL_QUEUED,
	PULSE__CALL_BEGUN,
	PULSE__CALL_DONE,
	PULSE__CALL_LOST,
	PULSE__CALL_STATE = 3,
	PULSE__CALL_WAITED = 4,
};

struct pulse__call {
	pulse_task_fn fn;
	void *arg;
	uint32_t word;
	uint32_t refs;		/* of a deferred call; 0: on its waiter's stack */
	uint32_t fork_gen;
};

struct pulse_pcall {
	struct pulse__call call;
};

static void pulse__call_put(struct pulse__call *call)
{
	/* Acquire and release: all of the others' touches, before the free. */
	if (__atomic_fetch_sub(&call->refs, 1, __ATOMIC_ACQ_REL) == 1)
		pulse__free(container_of(call, struct pulse_pcall, call));
}

static bool pulse__call_begin(struct pulse__call *call)
{
	uint32_t word = READ_ONCE(call->word);

	while ((word & PULSE__CALL_STATE) == PULSE__CALL_QUEUED) {
		if (pulse__cas(&call->word, &word, word | PULSE__CALL_BEGUN,
			       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static void pulse__call_end(struct pulse__call *call, uint32_t state)
{
	bool counted = call->refs;
	uint32_t *at = &call->word;

	/* Release: pairs with pulse__call_wait. */
	if (__atomic_exchange_n(at, state, __ATOMIC_ACQ_REL) &
	    PULSE__CALL_WAITED)
		pulse__futex_wake(at, INT_MAX);
	if (counted)
		pulse__call_put(call);
}

void pulse__call_task(void *data)
{
	struct pulse__worker *w = pulse__pool_self;
	struct pulse__call *call = data;

	if (!pulse__call_begin(call)) {
		pulse__call_put(call);	/* who joined it was first */
		return;
	}
	w->call = call;
	call->fn(call->arg);
	w->call = NULL;
	/* A child that the function forked ends in worker.c. */
	if (likely(!pulse__forked(call->fork_gen)))
		pulse__call_end(call, PULSE__CALL_DONE);
}

void pulse__call_cancel(void *data)
{
	struct pulse__call *call = data;

	if (pulse__call_begin(call))
		pulse__call_end(call, PULSE__CALL_LOST);
	else
		pulse__call_put(call);
}

void pulse__call_unwound(struct pulse__worker *w)
{
	struct pulse__call *call = w->call;

	w->call = NULL;
	if (call)
		pulse__call_end(call, PULSE__CALL_LOST);
}

static int pulse__call_wait(struct pulse__call *call)
{
	/* Acquire: pairs with pulse__call_end. */
	uint32_t word = pulse__load_acquire(&call->word);

	while ((word & PULSE__CALL_STATE) < PULSE__CALL_DONE) {
		if (!(word & PULSE__CALL_WAITED) &&
		    !pulse__cas(&call->word, &word, word | PULSE__CALL_WAITED,
				__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			continue;
		pulse__futex_wait(&call->word, word | PULSE__CALL_WAITED,
				  PULSE_FOREVER);
		word = pulse__load_acquire(&call->word);
	}
	return word == PULSE__CALL_DONE ? 0 : -ECANCELED;
}

int pulse_fork_run(struct pulse_pool *pool, pulse_task_fn fn, void *arg)
{
	struct pulse__call call = { .fn = fn, .arg = arg };
	const struct pulse__worker *w;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!fn)
		return -EINVAL;
	w = pulse__pool_self_in(pool);
	if (w) {
		if (!w->in_task)
			return -EDEADLK;
		fn(arg);
		return 0;
	}
	call.fork_gen = pool->fork_gen;
	err = pulse_pool_submit(pool, pulse__call_task, &call);
	if (err)
		return err;
	if (pool->det)
		pulse__det_drive(pool, true);
	err = pulse__call_wait(&call);
	if (pool->det)
		pulse__det_drive(pool, false);
	return err;
}

int pulse_pcall(struct pulse_pool *pool, pulse_task_fn fn, void *arg,
		struct pulse_pcall **out)
{
	const struct pulse__worker *w;
	struct pulse_pcall *pcall;
	int err = pulse__pool_check(pool);

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (err)
		return err;
	if (!fn)
		return -EINVAL;
	w = pulse__pool_self_in(pool);
	if (pulse__pool_state(pool) != PULSE__POOL_RUNNING) {
		if (!w || !w->in_task)
			return -ESHUTDOWN;
	} else if (pulse__pool_hungry(pool)) {
		pcall = pulse__malloc(sizeof(*pcall));
		if (pcall) {
			pcall->call = (struct pulse__call){
				.fn = fn, .arg = arg, .refs = 2,
				.fork_gen = pool->fork_gen,
			};
			err = pulse_pool_submit(pool, pulse__call_task,
						&pcall->call);
			if (!err) {
				*out = pcall;
				return 0;
			}
			pulse__free(pcall);
			if (err == -ESHUTDOWN && (!w || !w->in_task))
				return err;
		}
	}
	fn(arg);
	return 0;
}

int pulse_pcall_join(struct pulse_pcall *pcall)
{
	struct pulse__call *call;
	pulse_task_fn fn;
	void *arg;
	int err;

	if (!pcall)
		return 0;
	call = &pcall->call;
	if (pulse__forked(call->fork_gen)) {
		pulse__free(pcall);
		return -EOWNERDEAD;
	}
	if (pulse__call_begin(call)) {
		fn = call->fn;
		arg = call->arg;
		/* The task that is still queued finds it begun, and has the rest. */
		pulse__call_put(call);
		fn(arg);
		return 0;
	}
	err = pulse__call_wait(call);
	pulse__call_put(call);
	return err;
}

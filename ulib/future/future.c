// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * future.c - promise and future: life, setting, cancelling. The protocol of
 * the state word stands in future.h.
 */
#include "backend/backend.h"
#include "future/future.h"

/* ---- references --------------------------------------------------------- */

/*
 * A future that goes may hold the last reference to others (all, any), and so
 * on: they are taken from this list one after the other, not in each other's
 * frames.
 */
static __thread struct pulse_future *dead;
static __thread bool burying;

static void bury(struct pulse_future *f)
{
	f->next_dead = dead;
	dead = f;
	if (burying)
		return;
	burying = true;
	while ((f = dead)) {
		dead = f->next_dead;
		if (f->value_free && f->result.value && !f->result.err)
			f->value_free(f->result.value);
		f->magic = PULSE__MAGIC_DEAD;
		if (f->release)
			f->release(f);
		pulse__free(f);
	}
	burying = false;
}

struct pulse_future *pulse_future_ref(struct pulse_future *f)
{
	if (f) {
		pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_ref");
		pulse__add_relaxed(&f->refs, 1);
	}
	return f;
}

void pulse_future_put(struct pulse_future *f)
{
	if (!f)
		return;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_put");
	/* pairs with itself: the last one sees all that the others did */
	if (__atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) == 1)
		bury(f);
}

struct pulse_promise *pulse_promise_get(struct pulse_promise *p)
{
	if (p) {
		pulse__obj_check(&p->future, PULSE__FUTURE_MAGIC,
				 "pulse_promise_get");
		pulse__add_relaxed(&p->future.producers, 1);
	}
	return p;
}

void pulse_promise_put(struct pulse_promise *p)
{
	struct pulse_future *f;

	if (!p)
		return;
	f = pulse__future_of(p);
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_promise_put");
	/* pairs with itself: the last one sees whether another has set it */
	if (__atomic_fetch_sub(&f->producers, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pulse__future_set(f, NULL, -EPIPE, NULL);
	pulse_future_put(f);
}

int pulse_promise_future(struct pulse_promise *p, struct pulse_future **out)
{
	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!p)
		return -EINVAL;
	*out = pulse_future_ref(pulse__future_of(p));
	return 0;
}

void pulse__future_init(struct pulse_future *f)
{
	f->magic = PULSE__FUTURE_MAGIC;
	f->fork_gen = pulse__fork_generation();
	f->producers = 1;
	f->refs = 2;
}

int pulse_future_create(const struct pulse_future_opts *opts,
			struct pulse_promise **promise,
			struct pulse_future **future)
{
	struct pulse_future_opts o;
	struct pulse_promise *p;
	int err;

	if (promise)
		*promise = NULL;
	if (future)
		*future = NULL;
	if (!promise || !future)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), task_id),
			       opts);
	if (err)
		return err;
	p = pulse__calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	pulse__future_init(&p->future);
	p->future.value_free = o.value_free;
	p->future.result.task_id = o.task_id;
	*promise = p;
	*future = &p->future;
	return 0;
}

/* ---- setting ------------------------------------------------------------ */

/*
 * Moves the phase on from one of PENDING .. @last to @to, and keeps the other
 * bits. Return: 0, or -EALREADY with the state seen in *@seen.
 */
static int move_phase(struct pulse_future *f, uint32_t last, uint32_t to,
		      uint32_t *seen)
{
	*seen = READ_ONCE(f->state);
	do {
		if ((*seen & PULSE__FUTURE_PHASE) > last)
			return -EALREADY;
		/* pairs with itself: who finds it moved finds "asked" */
	} while (!pulse__cas(&f->state, seen,
			     (*seen & ~PULSE__FUTURE_PHASE) | to,
			     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return 0;
}

/* The caller has moved the phase to SETTING. */
static void finish(struct pulse_future *f, void *value, int err)
{
	int64_t start = READ_ONCE(f->start_ns);
	uint32_t old;

	f->result.value = err ? NULL : value;
	f->result.err = err;
	if (start)
		f->result.duration_ns = pulse_now_ns() - start;
	/*
	 * release: pairs with pulse__future_is_done, for the result.
	 * The exchange pairs with pulse_future_wait: see future.h.
	 */
	old = __atomic_exchange_n(&f->state, PULSE__FUTURE_DONE,
				  __ATOMIC_ACQ_REL);
	if (old & PULSE__FUTURE_WAITERS)
		pulse__futex_wake(&f->state, INT_MAX);
	pulse__future_fire(f);
}

int pulse__future_set(struct pulse_future *f, void *value, int err,
		      const uint64_t *task_id)
{
	uint32_t seen;

	if (move_phase(f, PULSE__FUTURE_RUNNING, PULSE__FUTURE_SETTING, &seen))
		return -EALREADY;
	if (task_id)
		f->result.task_id = *task_id;
	finish(f, value, err);
	return 0;
}

static bool is_error(int err)
{
	return err < 0 && err >= -4095;
}

int pulse_promise_set(struct pulse_promise *p, void *value)
{
	struct pulse_future *f;

	if (!p)
		return -EINVAL;
	f = pulse__future_of(p);
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_promise_set");
	return pulse__future_set(f, value, 0, NULL);
}

int pulse_promise_set_error(struct pulse_promise *p, int err)
{
	struct pulse_future *f;

	if (!p || !is_error(err))
		return -EINVAL;
	f = pulse__future_of(p);
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_promise_set_error");
	return pulse__future_set(f, NULL, err, NULL);
}

int pulse_promise_start(struct pulse_promise *p)
{
	struct pulse_future *f;
	int64_t now;
	uint32_t seen;
	int asked;

	if (!p)
		return -EINVAL;
	f = pulse__future_of(p);
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_promise_start");
	now = pulse_now_ns();
	if (move_phase(f, PULSE__FUTURE_PENDING, PULSE__FUTURE_RUNNING, &seen)) {
		/* pairs with move_phase of who cancelled it: asked is there */
		asked = READ_ONCE(f->asked);
		return (seen & PULSE__FUTURE_PHASE) != PULSE__FUTURE_RUNNING &&
		       asked ? asked : -EALREADY;
	}
	/* A figure for who sets it, thus after this as a rule: relaxed. */
	WRITE_ONCE(f->start_ns, now);
	return 0;
}

/* ---- cancelling --------------------------------------------------------- */

int pulse_promise_cancelled(const struct pulse_promise *p)
{
	/* A wish, without anything that has to be seen with it: relaxed. */
	return p ? READ_ONCE(p->future.asked) : -EINVAL;
}

int pulse_future_cancel(struct pulse_future *f, int reason)
{
	int32_t nobody = 0;
	uint32_t seen;

	if (!reason)
		reason = -ECANCELED;
	if (!f || !is_error(reason))
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_cancel");
	if (pulse__future_is_done(f))
		return -EALREADY;
	/* Before the phase moves: who finds it moved finds the reason. */
	if (!pulse__cas(&f->asked, &nobody, reason, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED))
		return -EALREADY;
	if (!move_phase(f, PULSE__FUTURE_PENDING, PULSE__FUTURE_SETTING,
			&seen)) {
		finish(f, NULL, reason);
		return 0;
	}
	return (seen & PULSE__FUTURE_PHASE) == PULSE__FUTURE_RUNNING ?
	       -EINPROGRESS : -EALREADY;
}

static int future_op_cancel(void *self, int reason)
{
	return pulse_future_cancel(self, reason);
}

static int future_op_done(void *self)
{
	return pulse_future_done(self);
}

static int future_op_err(void *self)
{
	struct pulse_result r;
	int err = pulse_future_result(self, &r);

	if (err == -EAGAIN)
		return -EINPROGRESS;
	return err ? err : r.err;
}

struct pulse_cancelable pulse_future_cancelable(struct pulse_future *f)
{
	static const struct pulse_cancelable_ops ops = {
		.sz = sizeof(ops),
		.cancel = future_op_cancel,
		.done = future_op_done,
		.err = future_op_err,
	};
	struct pulse_cancelable c = { f ? &ops : NULL, f };

	return c;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * then.c - what happens after a future is set.
 *
 * Continuations are not called by the one who sets the future but put into a
 * queue of its thread, and called from there by the outermost of us on the
 * stack. So a chain of them is a loop, not a recursion.
 *
 * A continuation that waits would hold up what stands behind it in the queue,
 * which may be what it waits for: pulse_future_wait() calls that first.
 */
#include "future/future.h"

/* A continuation of the user's being called, by this thread. */
struct frame {
	struct frame *outer;
	const struct pulse_future *sets;
};

static __thread struct {
	struct pulse__cont *first;
	struct pulse__cont **last;	/* where the next one is put; NULL: first */
	bool running;
	struct frame *frame;
} owed;

static void owe(struct pulse__cont *cont)
{
	cont->next = NULL;
	if (!owed.first)
		owed.last = &owed.first;
	*owed.last = cont;
	owed.last = &cont->next;
}

bool pulse__future_help(void)
{
	struct pulse__cont *cont = owed.first;

	if (!cont)
		return false;
	owed.first = cont->next;
	cont->run(cont);
	return true;
}

static void pay(void)
{
	if (owed.running)
		return;
	owed.running = true;
	while (pulse__future_help())
		;
	owed.running = false;
}

bool pulse__future_inside(const struct pulse_future *f)
{
	for (struct frame *fr = owed.frame; fr; fr = fr->outer) {
		if (fr->sets == f)
			return true;
	}
	return false;
}

void pulse__future_after(struct pulse_future *f, struct pulse__cont *cont)
{
	/* acquire, also below: pairs with pulse__future_fire, for the result */
	struct pulse__cont *top = pulse__load_acquire(&f->conts);

	while (top != PULSE__CONT_CLOSED) {
		cont->next = top;
		/* release: pairs with pulse__future_fire, which runs @cont */
		if (pulse__cas(&f->conts, &top, cont, __ATOMIC_RELEASE,
			       __ATOMIC_ACQUIRE))
			return;
	}
	owe(cont);
	pay();
}

void pulse__future_fire(struct pulse_future *f)
{
	struct pulse__cont *stack, *cont, *in_order = NULL;

	/*
	 * acquire: pairs with the push of each.
	 * release: pairs with who finds it closed, for the result.
	 */
	stack = __atomic_exchange_n(&f->conts, PULSE__CONT_CLOSED,
				    __ATOMIC_ACQ_REL);
	while ((cont = stack)) {
		stack = cont->next;
		cont->next = in_order;
		in_order = cont;
	}
	while ((cont = in_order)) {
		in_order = cont->next;
		owe(cont);
	}
	pay();
}

/* ---- then --------------------------------------------------------------- */

struct then {
	struct pulse_promise promise;	/* the next future; we are its producer */
	struct pulse__cont cont;
	struct pulse_future *src;	/* a reference, until we have been called */
	pulse_then_fn fn;
	void *arg;
	struct pulse_submitter on;
};

static void then_end(struct then *t)
{
	struct pulse_future *src = t->src;

	pulse_promise_put(&t->promise);
	pulse_future_put(src);
}

static void then_call(void *arg)
{
	struct then *t = arg;
	struct frame frame = { owed.frame, &t->promise.future };
	void *value = NULL;
	int err;

	/* Cancelled before it began: then it is set, and does not begin. */
	if (!pulse_promise_start(&t->promise)) {
		owed.frame = &frame;
		err = t->fn(&t->src->result, t->arg, &value);
		owed.frame = frame.outer;
		if (err > 0 || err < -4095)
			err = -EINVAL;
		if (err)
			pulse_promise_set_error(&t->promise, err);
		else
			pulse_promise_set(&t->promise, value);
	}
	then_end(t);
}

static void then_run(struct pulse__cont *cont)
{
	struct then *t = container_of(cont, struct then, cont);
	int err;

	if (!t->on.submit) {
		then_call(t);
		return;
	}
	err = t->on.submit(t->on.self, then_call, t);
	if (!err)
		return;		/* it may be called, and gone, by now */
	pulse_promise_set_error(&t->promise,
				err < 0 && err >= -4095 ? err : -EINVAL);
	then_end(t);
}

int pulse_future_then(struct pulse_future *f, pulse_then_fn fn, void *arg,
		      const struct pulse_then_opts *opts,
		      struct pulse_future **out)
{
	struct pulse_then_opts o;
	struct then *t;
	int err;

	if (out)
		*out = NULL;
	if (!f || !fn)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_future_then");
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), task_id),
			       opts);
	if (err)
		return err;
	t = pulse__calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	pulse__future_init(&t->promise.future);
	t->promise.future.value_free = o.value_free;
	t->promise.future.result.task_id = o.task_id;
	t->cont.run = then_run;
	t->src = pulse_future_ref(f);
	t->fn = fn;
	t->arg = arg;
	t->on = o.on;
	if (out)
		*out = &t->promise.future;
	else
		pulse_future_put(&t->promise.future);
	pulse__future_after(f, &t->cont);
	return 0;
}

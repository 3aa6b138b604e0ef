// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * graph_run.c - a graph is run. graph.h says who may touch what.
 *
 * The run as a whole is a task with a handle (work.h) that no queue ever holds:
 * its promise is kept by the graph, and set by whoever ends the last step.
 */
#include <sched.h>

#include "pool/graph.h"
#include "pool/measure.h"
#include "pool/work.h"

static void pulse__graph_fail(struct pulse_graph *g, int err)
{
	int none = 0;

	pulse__cas(&g->err, &none, err < -4095 ? -EINVAL : err,
		   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* From here on the graph may be gone, or run again. */
static void pulse__graph_end(struct pulse_graph *g)
{
	struct pulse__work *work = g->work;
	int err = READ_ONCE(g->err);

	/* pairs with graph.c:pulse__graph_runs and pulse_graph_start */
	pulse__store_release(&g->running, 0);
	pulse__work_finish(work, NULL, err);
	pulse_promise_put(&work->promise);
}

/* ---- a step ---------------------------------------------------------------- */

/* On its own, so that no local of another function is lost by the jump. */
static PULSE__NOINLINE int pulse__step_call(const struct pulse__step *s,
					    struct pulse__frame *frame)
{
	if (_setjmp(frame->env))
		return frame->err;
	return s->fn(s->arg);
}

/* Why no more steps are to begin. */
static int pulse__graph_over(struct pulse_graph *g)
{
	int err = READ_ONCE(g->err);

	if (!err)
		err = READ_ONCE(g->work->promise.future.asked);
	if (!err)
		err = pulse_token_err(g->work->token);
	if (!err && pulse__pool_state(g->pool) == PULSE__POOL_STOPPING)
		err = -ECANCELED;
	return err;
}

/* What it returned, or why it was passed over. */
static int pulse__step_do(struct pulse_graph *g, struct pulse__step *s)
{
	struct pulse__worker *w = pulse__pool_self;
	struct pulse__frame frame;
	int ret = pulse__graph_over(g);

	if (unlikely(!ret && (g->work->flags & PULSE_WORK_CONTAIN)))
		ret = pulse__contain_thread();
	if (unlikely(ret))
		return ret;
	__atomic_store_n(&s->left, s->needs, __ATOMIC_RELAXED);
	if (unlikely(READ_ONCE(g->pool->odd) & PULSE__ODD_NAME))
		pulse__name_work(w, (pulse_work_fn)(void (*)(void))s->fn,
				 g->work->promise.future.result.task_id);
	pulse__frame_begin(w, &frame);
	pulse__work_top = g->work;
	ret = pulse__step_call(s, &frame);
	pulse__work_top = NULL;
	w->frame = NULL;
	if (unlikely(frame.sig))
		pulse__frame_tell(g->work, &frame);
	return ret > 0 && !(s->flags & PULSE_STEP_CHOICE) ? -EINVAL : ret;
}

/* ---- who is next ------------------------------------------------------------ */

static void pulse__graph_later(struct pulse_graph *g, struct pulse__step *s)
{
	pthread_mutex_lock(&g->lock);
	if (!s->waiting++) {
		s->next = g->backlog;
		WRITE_ONCE(g->backlog, s);
	}
	pthread_mutex_unlock(&g->lock);
}

static struct pulse__step *pulse__graph_backlog(struct pulse_graph *g)
{
	struct pulse__step *s;

	if (likely(!READ_ONCE(g->backlog)))
		return NULL;
	pthread_mutex_lock(&g->lock);
	s = g->backlog;
	if (s && !--s->waiting)
		WRITE_ONCE(g->backlog, s->next);
	pthread_mutex_unlock(&g->lock);
	return s;
}

/* Others may take it; it has a count already. */
static void pulse__graph_submit(struct pulse_graph *g, struct pulse__step *s)
{
	const struct pulse_task task = {
		.sz = sizeof(task), .fn = pulse__graph_task, .data = s,
		.priority = g->priority,
	};

	if (unlikely(g->priority ? pulse_pool_submit_task(g->pool, &task) :
				   pulse_pool_submit(g->pool, task.fn, s)))
		pulse__graph_later(g, s);
}

/*
 * A step is ready. The first is the caller's *@next, with the caller's count;
 * where the seed draws who is next, each is a task.
 */
static void pulse__graph_ready(struct pulse_graph *g, struct pulse__step *s,
			       struct pulse__step **next)
{
	if (!*next && !g->pool->det) {
		*next = s;
		return;
	}
	__atomic_fetch_add(&g->flying, 1, __ATOMIC_RELAXED);
	pulse__graph_submit(g, s);
}

static struct pulse__step *pulse__graph_behind(struct pulse_graph *g,
					       struct pulse__step *s, int ret)
{
	struct pulse__step *next = NULL;
	const uint32_t *behind = g->behind + s->first;

	if (unlikely(ret < 0)) {
		pulse__graph_fail(g, ret);
		return NULL;
	}
	if (s->flags & PULSE_STEP_CHOICE) {
		if ((uint32_t)ret < s->nr)
			pulse__graph_ready(g, &g->steps[behind[ret]], &next);
		return next;
	}
	for (uint32_t i = 0; i < s->nr; i++) {
		struct pulse__step *to = &g->steps[behind[i]];

		/* pairs with itself: the last sees all that the others did */
		if (__atomic_fetch_sub(&to->left, 1, __ATOMIC_ACQ_REL) == 1)
			pulse__graph_ready(g, to, &next);
	}
	return next;
}

/* @s, with its count, and what it leads to; NULL: the count alone. */
static void pulse__graph_go(struct pulse_graph *g, struct pulse__step *s)
{
	struct pulse__step *next = s;
	int ret;

	do {
		while ((s = next)) {
			ret = pulse__step_do(g, s);
			if (unlikely(pulse__forked(g->fork_gen)))
				return;	/* the child ends in worker.c */
			next = pulse__graph_behind(g, s, ret);
		}
		next = pulse__graph_backlog(g);
		/* pairs with itself: the last sees all that the others did */
		if (__atomic_fetch_sub(&g->flying, 1, __ATOMIC_ACQ_REL) == 1)
			pulse__graph_end(g);
	} while (next);
}

void pulse__graph_task(void *data)
{
	struct pulse__step *s = data;

	pulse__graph_go(s->graph, s);
}

void pulse__graph_root(void *data)
{
	struct pulse__step *next = NULL;
	struct pulse_graph *g = data;

	for (uint32_t i = 0; i < g->nr_steps; i++) {
		if (g->steps[i].begins)
			pulse__graph_ready(g, &g->steps[i], &next);
	}
	pulse__graph_go(g, next);
}

void pulse__graph_cancel(void *data)
{
	struct pulse__step *s = data;

	pulse__graph_fail(s->graph, -ECANCELED);
	pulse__graph_go(s->graph, s);
}

void pulse__graph_cancel_root(void *data)
{
	pulse__graph_fail(data, -ECANCELED);
	pulse__graph_go(data, NULL);
}

void pulse__graph_lost(struct pulse_graph *g)
{
	pulse__graph_fail(g, PULSE_ETASK_LOST);
	pulse__graph_go(g, NULL);
}

/* ---- runs ------------------------------------------------------------------- */

/* The graph is ours. 0 or -errno: it is to be given back. */
static int pulse__graph_begin(struct pulse_graph *g, struct pulse_pool *pool,
			      const struct pulse_graph_opts *o,
			      struct pulse_future **out)
{
	const struct pulse_work how = {
		.task_id = o->task_id, .token = o->token, .flags = o->flags,
		.timeout_ns = PULSE_FOREVER,
	};
	struct pulse_task task = { .sz = sizeof(task), .fn = pulse__graph_root,
				   .data = g, .priority = o->priority };
	struct pulse__work *work;
	int err = pulse__graph_seal(g);

	if (!err)
		err = pulse_token_err(o->token);
	if (err)
		return err;
	work = pulse__work_new(pool, &how);
	if (!work)
		return -ENOMEM;
	work->graph = g;
	/* It is asked to end, not ended: steps may be under way. */
	pulse_promise_start(&work->promise);
	for (uint32_t i = 0; i < g->nr_steps; i++)
		g->steps[i].left = g->steps[i].needs;
	g->fork_gen = pool->fork_gen;
	g->pool = pool;
	g->work = work;
	g->priority = o->priority;
	g->flying = 1;
	g->err = 0;
	err = pulse__work_enter(work, &task);
	if (!err)
		*out = &work->promise.future;
	return err;
}

static int pulse__graph_start(struct pulse_graph *g, struct pulse_pool *pool,
			      const struct pulse_graph_opts *how,
			      struct pulse_future **out)
{
	struct pulse_graph_opts o = { .sz = sizeof(o) };
	int err = pulse__pool_check(pool);
	uint32_t none = 0;

	if (err)
		return err;
	if (!g)
		return -EINVAL;
	pulse__obj_check(g, PULSE__GRAPH_MAGIC, "pulse_graph_start");
	if (how)
		err = pulse__opts_load(&o, sizeof(o),
				       PULSE__END(struct pulse_graph_opts,
						  flags), how);
	if (err)
		return err;
	if (o.priority < PULSE_PRIO_LOW || o.priority > PULSE_PRIO_HIGH ||
	    (o.flags & ~PULSE_WORK_CONTAIN))
		return -EINVAL;
	/* pairs with pulse__graph_end: what the run before it did is over */
	if (!pulse__cas(&g->running, &none, 1, __ATOMIC_ACQUIRE,
			__ATOMIC_RELAXED))
		return -EBUSY;
	err = pulse__graph_begin(g, pool, &o, out);
	if (err)
		pulse__store_release(&g->running, 0);
	return err;
}

int pulse_graph_start(struct pulse_graph *g, struct pulse_pool *pool,
		      const struct pulse_graph_opts *how,
		      struct pulse_future **out)
{
	struct pulse_future *f;
	int err;

	if (out)
		*out = NULL;
	err = pulse__graph_start(g, pool, how, &f);
	if (err)
		return err;
	if (out)
		*out = f;
	else
		pulse_future_put(f);
	return 0;
}

int pulse_graph_run(struct pulse_graph *g, struct pulse_pool *pool,
		    const struct pulse_graph_opts *how)
{
	struct pulse_future *f;
	int err = pulse__graph_start(g, pool, how, &f);

	if (err)
		return err;
	/* What steps use is perhaps the caller's: whatever the answer, not before. */
	while (pulse__work_wait(pool, f, PULSE_FOREVER) &&
	       !pulse__future_is_done(f))
		sched_yield();
	err = f->result.err;
	pulse_future_put(f);
	return err;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * pipeline.c - items go through stages.
 *
 * A *carrier* takes an item from stage to stage, then goes back for another one;
 * there are as many as there may be items under way. A stage that is called for one
 * item at a time has a gate: whoever finds it taken, or finds that it is not yet
 * the turn of its item, is left there, and the worker does something else. Who
 * leaves a gate gives it to the next carrier and submits that.
 *
 * Ordered gates wait for numbers. Items that have not passed one are each with a
 * carrier, and without a gap from the gate's next number on, as none passes before
 * its turn; so they are no more than there are carriers, and each has a place.
 *
 * flying counts carriers that run or are submitted, as in graph.h: who takes it to
 * 0 is the last, and ends the run. Those at gates do not count; somebody who does
 * is inside the gate, or has the number that it waits for.
 *
 * An item that a stage made nothing of goes on as an empty one, so that numbers
 * have no gaps. So does what is under way when the pipeline has failed.
 */
#include <sched.h>

#include "pool/det.h"
#include "pool/measure.h"
#include "pool/pipeline.h"
#include "pool/work.h"

struct pulse__carrier {
	struct pulse__pipe *pipe;
	void *item;
	uint64_t number;		/* of the item, from 0 */
	uint32_t stage;
	bool granted;			/* the gate was given to it */
	bool serial;			/* it is inside a gate */
	const void *inside;		/* atomic: the worker that runs a stage for it */
	struct pulse__carrier *next;	/* in a queue, under that one's lock */
};

struct pulse__gate {
	pthread_mutex_t lock;
	bool busy;
	uint64_t next;			/* ordered: whose turn it is */
	struct pulse__carrier **place;	/* ordered: by number, as many as carriers */
	struct pulse__carrier *first, **last;	/* others: a queue */
};

struct pulse__pipe {
	struct pulse_pipeline how;
	struct pulse_pool *pool;
	struct pulse__work *work;
	uint32_t fork_gen;
	struct pulse__gate *gate;	/* one a stage */
	struct pulse__carrier *carrier;
	size_t started;			/* so many of them are; the first gate's lock */
	uint64_t made;			/* items; who is inside the first gate */
	bool ended;			/* no more of them; likewise */
	pthread_mutex_t lock;
	struct pulse__carrier *backlog;	/* there was no room for them in the pool */

	uint32_t flying PULSE__PAIR_ALIGNED;	/* atomic */
	int err;				/* atomic: the first */
};

static void pulse__pipe_fail(struct pulse__pipe *p, int err)
{
	int none = 0;

	pulse__cas(&p->err, &none, err < -4095 || err > 0 ? -EINVAL : err,
		   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Why no more stages are to be called. */
static int pulse__pipe_over(struct pulse__pipe *p)
{
	int err = READ_ONCE(p->err);

	if (!err)
		err = READ_ONCE(p->work->promise.future.asked);
	if (!err)
		err = pulse_token_err(p->work->token);
	if (!err && pulse__pool_state(p->pool) == PULSE__POOL_STOPPING)
		err = -ECANCELED;
	return err;
}

/* ---- gates ------------------------------------------------------------------ */

static bool pulse__gate_ordered(const struct pulse__pipe *p, uint32_t stage)
{
	return stage && p->how.stages[stage].order == PULSE_STAGE_ORDERED;
}

static bool pulse__gate_there(const struct pulse__pipe *p,
			      const struct pulse__carrier *c)
{
	return !c->stage || pulse__gate_ordered(p, c->stage) ||
	       (c->item && p->how.stages[c->stage].order == PULSE_STAGE_SINGLE);
}

/* False: it was left there, and may be somebody else's by now. */
static bool pulse__gate_enter(struct pulse__pipe *p, struct pulse__carrier *c)
{
	struct pulse__gate *g = &p->gate[c->stage];
	bool ordered = pulse__gate_ordered(p, c->stage), mine;

	pthread_mutex_lock(&g->lock);
	mine = !g->busy && (!ordered || c->number == g->next);
	if (mine) {
		g->busy = true;
	} else if (ordered) {
		g->place[c->number % p->how.limit] = c;
	} else {
		c->next = NULL;
		*g->last = c;
		g->last = &c->next;
	}
	pthread_mutex_unlock(&g->lock);
	return mine;
}

/* Who is to be submitted: the next one there, or one that has not started yet. */
static struct pulse__carrier *pulse__gate_leave(struct pulse__pipe *p,
						uint32_t stage)
{
	struct pulse__gate *g = &p->gate[stage];
	struct pulse__carrier *c, **place;

	pthread_mutex_lock(&g->lock);
	if (pulse__gate_ordered(p, stage)) {
		place = &g->place[++g->next % p->how.limit];
		c = *place;
		*place = NULL;
	} else {
		c = g->first;
		if (c)
			g->first = c->next;
		if (!g->first)
			g->last = &g->first;
	}
	g->busy = c;
	if (c)
		c->granted = true;
	else if (!stage && p->started < p->how.limit)
		c = &p->carrier[p->started++];
	pthread_mutex_unlock(&g->lock);
	return c;
}

/* No more items: whoever waits for one is through. */
static void pulse__gate_close(struct pulse__pipe *p)
{
	struct pulse__gate *g = &p->gate[0];

	pthread_mutex_lock(&g->lock);
	g->first = NULL;
	g->last = &g->first;
	g->busy = false;
	pthread_mutex_unlock(&g->lock);
}

/* ---- a stage is called ------------------------------------------------------- */

/* On its own, so that no local of another function is lost by the jump. */
static PULSE__NOINLINE int pulse__stage_run(const struct pulse_stage *stage,
					    struct pulse__carrier *c,
					    struct pulse__frame *frame)
{
	if (_setjmp(frame->env))
		return frame->err;
	return stage->fn(stage->arg, &c->item);
}

static int pulse__stage_call(struct pulse__pipe *p, struct pulse__carrier *c)
{
	const struct pulse_stage *stage = &p->how.stages[c->stage];
	struct pulse__worker *w = pulse__pool_self;
	struct pulse__frame frame;
	int err = pulse__pipe_over(p);

	if (!err && (p->how.flags & PULSE_WORK_CONTAIN))
		err = pulse__contain_thread();
	if (unlikely(err))
		return err;
	if (unlikely(p->pool->det))
		pulse__det_point(w);
	if (unlikely(READ_ONCE(p->pool->odd) & PULSE__ODD_NAME))
		pulse__name_work(w, (pulse_work_fn)(void (*)(void))stage->fn,
				 p->how.task_id);
	pulse__frame_begin(w, &frame);
	pulse__work_top = p->work;
	WRITE_ONCE(c->inside, w);
	err = pulse__stage_run(stage, c, &frame);
	WRITE_ONCE(c->inside, NULL);
	pulse__work_top = NULL;
	w->frame = NULL;
	if (unlikely(frame.sig))
		pulse__frame_tell(p->work, &frame);
	return err;
}

/* ---- carriers ------------------------------------------------------------------ */

static void pulse__pipe_submit(struct pulse__pipe *p, struct pulse__carrier *c)
{
	const struct pulse_task task = {
		.sz = sizeof(task), .fn = pulse__pipe_task, .data = c,
		.priority = p->how.priority,
	};

	/* Before it can end. */
	__atomic_fetch_add(&p->flying, 1, __ATOMIC_RELAXED);
	if (likely(!pulse_pool_submit_task(p->pool, &task)))
		return;
	pthread_mutex_lock(&p->lock);
	c->next = p->backlog;
	WRITE_ONCE(p->backlog, c);
	pthread_mutex_unlock(&p->lock);
}

/* Whose count is its own. */
static struct pulse__carrier *pulse__pipe_backlog(struct pulse__pipe *p)
{
	struct pulse__carrier *c;

	if (likely(!READ_ONCE(p->backlog)))
		return NULL;
	pthread_mutex_lock(&p->lock);
	c = p->backlog;
	if (c)
		WRITE_ONCE(p->backlog, c->next);
	pthread_mutex_unlock(&p->lock);
	return c;
}

/* The stage is done with it. @c, one stage on; or NULL, it is through. */
static struct pulse__carrier *pulse__pipe_after(struct pulse__pipe *p,
						struct pulse__carrier *c,
						int err)
{
	struct pulse__carrier *next = NULL;

	if (unlikely(err)) {
		pulse__pipe_fail(p, err);
		if (c->item && p->how.drop)
			p->how.drop(p->how.drop_arg, c->item);
		c->item = NULL;
	}
	if (!c->stage) {
		if (!c->item)
			p->ended = true;
		if (p->ended) {
			pulse__gate_close(p);
			return NULL;
		}
		c->number = p->made++;
	}
	if (c->serial)
		next = pulse__gate_leave(p, c->stage);
	if (++c->stage == p->how.nr) {
		c->stage = 0;
		c->item = NULL;
	}
	if (next)
		pulse__pipe_submit(p, next);
	return c;
}

/* @c until it is left at a gate or through. False: in a child, to be left alone. */
static bool pulse__carrier_go(struct pulse__pipe *p, struct pulse__carrier *c)
{
	int err;

	while (c) {
		c->serial = pulse__gate_there(p, c);
		if (c->serial && !c->granted && !pulse__gate_enter(p, c))
			return true;
		c->granted = false;
		err = 0;
		if (c->stage ? c->item != NULL : !p->ended)
			err = pulse__stage_call(p, c);
		if (unlikely(pulse__forked(p->fork_gen)))
			return false;
		c = pulse__pipe_after(p, c, err);
	}
	return true;
}

/* From here on the pipeline may be gone. */
static void pulse__pipe_end(struct pulse__pipe *p)
{
	struct pulse__work *work = p->work;

	pulse__work_finish(work, NULL, READ_ONCE(p->err));
	pulse_promise_put(&work->promise);
}

/* @c, whose count is the caller's, or NULL for the count alone. */
static void pulse__pipe_go(struct pulse__pipe *p, struct pulse__carrier *c)
{
	do {
		if (!pulse__carrier_go(p, c))
			return;
		c = pulse__pipe_backlog(p);
		/* pairs with itself: the last sees all that the others did */
		if (__atomic_fetch_sub(&p->flying, 1, __ATOMIC_ACQ_REL) == 1)
			pulse__pipe_end(p);
	} while (c);
}

void pulse__pipe_task(void *data)
{
	struct pulse__carrier *c = data;

	pulse__pipe_go(c->pipe, c);
}

void pulse__pipe_cancel(void *data)
{
	struct pulse__carrier *c = data;

	pulse__pipe_fail(c->pipe, -ECANCELED);
	pulse__pipe_go(c->pipe, c);
}

void pulse__pipe_lost(struct pulse__pipe *p)
{
	const struct pulse__worker *w = pulse__pool_self;
	struct pulse__carrier *c = p->carrier;

	/* Of several that it is inside of, each has its turn here. */
	while (READ_ONCE(c->inside) != w)
		c++;
	WRITE_ONCE(c->inside, NULL);
	/* What became of it only the thread knew. */
	c->item = NULL;
	pulse__pipe_go(p, pulse__pipe_after(p, c, PULSE_ETASK_LOST));
}

/* ---- runs ------------------------------------------------------------------------ */

static void pulse__pipe_free(struct pulse__pipe *p)
{
	for (size_t i = 0; p->gate && i < p->how.nr; i++) {
		pthread_mutex_destroy(&p->gate[i].lock);
		pulse__free(p->gate[i].place);
	}
	pthread_mutex_destroy(&p->lock);
	pulse__free(p->gate);
	pulse__free(p->carrier);
}

static int pulse__pipe_new(struct pulse__pipe *p)
{
	const struct pulse_pipeline *how = &p->how;
	bool ok;

	pthread_mutex_init(&p->lock, NULL);
	p->gate = pulse__calloc(how->nr, sizeof(*p->gate));
	p->carrier = pulse__calloc(how->limit, sizeof(*p->carrier));
	ok = p->gate && p->carrier;
	for (size_t i = 0; ok && i < how->limit; i++)
		p->carrier[i].pipe = p;
	for (size_t i = 0; p->gate && i < how->nr; i++) {
		struct pulse__gate *g = &p->gate[i];

		pthread_mutex_init(&g->lock, NULL);
		g->last = &g->first;
		if (ok && pulse__gate_ordered(p, (uint32_t)i)) {
			g->place = pulse__calloc(how->limit, sizeof(*g->place));
			ok = g->place;
		}
	}
	return ok ? 0 : -ENOMEM;
}

static int pulse__pipe_load(struct pulse_pool *pool, struct pulse_pipeline *how,
			    const struct pulse_pipeline *user)
{
	int err = user ? pulse__opts_load(how, sizeof(*how),
					  PULSE__END(struct pulse_pipeline,
						     flags), user) : -EINVAL;

	if (err)
		return err;
	if (!how->stages || !how->nr || how->nr > INT_MAX ||
	    how->limit > PULSE_PIPELINE_LIMIT ||
	    how->priority < PULSE_PRIO_LOW || how->priority > PULSE_PRIO_HIGH ||
	    (how->flags & ~PULSE_WORK_CONTAIN))
		return -EINVAL;
	for (size_t i = 0; i < how->nr; i++) {
		const struct pulse_stage *s = &how->stages[i];

		if (!s->fn || s->order > PULSE_STAGE_SINGLE || s->reserved)
			return -EINVAL;
	}
	if (!how->limit)
		how->limit = 2 * (size_t)READ_ONCE(pool->live);
	how->limit = how->limit ? how->limit : 1;
	return pulse_token_err(how->token);
}

static int pulse__pipe_run(struct pulse__pipe *p)
{
	const struct pulse_work how = {
		.task_id = p->how.task_id, .token = p->how.token,
		.flags = p->how.flags, .timeout_ns = PULSE_FOREVER,
	};
	const struct pulse_task task = {
		.sz = sizeof(task), .fn = pulse__pipe_task, .data = p->carrier,
		.priority = p->how.priority,
	};
	struct pulse__work *work = pulse__work_new(p->pool, &how);
	struct pulse_future *f;
	int err;

	if (!work)
		return -ENOMEM;
	f = &work->promise.future;
	work->pipe = p;
	/* It is asked to end, not ended: stages may be under way. */
	pulse_promise_start(&work->promise);
	p->work = work;
	p->fork_gen = p->pool->fork_gen;
	p->started = 1;
	p->flying = 1;
	err = pulse__work_enter(work, &task);
	if (err)
		return err;
	/* It is on our stack: whatever the answer, not before. */
	while (pulse__work_wait(p->pool, f, PULSE_FOREVER) &&
	       !pulse__future_is_done(f))
		sched_yield();
	err = f->result.err;
	pulse_future_put(f);
	return err;
}

int pulse_pipeline_run(struct pulse_pool *pool,
		       const struct pulse_pipeline *line)
{
	struct pulse__pipe p = { .pool = pool };
	int err = pulse__pool_check(pool);

	if (!err)
		err = pulse__pipe_load(pool, &p.how, line);
	if (err)
		return err;
	err = pulse__pipe_new(&p);
	if (!err)
		err = pulse__pipe_run(&p);
	pulse__pipe_free(&p);
	return err;
}

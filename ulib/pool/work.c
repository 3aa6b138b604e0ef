// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * work.c - tasks with a handle: how they get in, run, and come to their end.
 */
#include <sched.h>

#include "base/usdt.h"
#include "pool/det.h"
#include "pool/graph.h"
#include "pool/measure.h"
#include "pool/pipeline.h"
#include "pool/work.h"

#define PULSE__WORK_VER0	PULSE__END(struct pulse_work, reserved)

__thread struct pulse__work *pulse__work_top
	__attribute__((tls_model("initial-exec")));

/* ---- who is told --------------------------------------------------------- */

int pulse__report_new(struct pulse_pool *pool)
{
	struct pulse__report *r = pulse__calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->refs = 1;
	r->on_complete = pool->on_complete;
	r->on_error = pool->on_error;
	r->hook_arg = pool->hook_arg;
	pool->report = r;
	return 0;
}

void pulse__report_put(struct pulse__report *r)
{
	/* pairs with itself: the last one sees all that the others did */
	if (r && __atomic_fetch_sub(&r->refs, 1, __ATOMIC_ACQ_REL) == 1)
		pulse__free(r);
}

/* ---- the end of a task ---------------------------------------------------- */

static bool pulse__was_cancelled(const struct pulse_future *f, int err)
{
	return err == -ECANCELED || (err && err != -ETIMEDOUT &&
				     err == READ_ONCE(f->asked));
}

/* Once, whoever set the future; with a reference of its own. */
static void pulse__work_ended(struct pulse__cont *cont)
{
	struct pulse__work *work = container_of(cont, struct pulse__work, ended);
	struct pulse_future *f = &work->promise.future;
	struct pulse__report *r = work->report;
	int err = f->result.err;

	PULSE__PROBE2(task_end, f->result.task_id, err);
	pulse__add_relaxed(!err ? &r->done : pulse__was_cancelled(f, err) ?
			   &r->cancelled : &r->failed, 1);
	if (err && r->on_error)
		r->on_error(r->hook_arg, f->result.task_id, err);
	if (r->on_complete)
		r->on_complete(r->hook_arg, &f->result);
	if (work->batch)
		pulse__results_push(work->batch, work);
	pulse_future_put(f);
}

static void pulse__work_release(struct pulse_future *f)
{
	struct pulse__work *work = pulse__work_of(f);

	pulse_token_put(work->token);
	pulse__report_put(work->report);
	if (work->batch)
		pulse__results_put(work->batch);
}

static void pulse__work_overdue(struct pulse_timer *timer, void *arg)
{
	struct pulse__work *work = arg;
	struct pulse_future *f = &work->promise.future;

	(void)timer;
	pulse_future_cancel(f, -ETIMEDOUT);	/* so that it sees it */
	pulse__future_set(f, NULL, -ETIMEDOUT, NULL);
	pulse_future_put(f);
}

/* Where time limits are kept, made when the first is. 0 or -errno. */
static int pulse__pool_timers(struct pulse_pool *pool)
{
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	if (!pool->timers)
		err = pulse_timer_service_create(NULL, &pool->timers);
	if (err)
		pool->timers = NULL;
	pthread_mutex_unlock(&pool->lock);
	return err;
}

static void pulse__work_time(struct pulse__work *work)
{
	/* Made when the task was accepted. */
	struct pulse_timer_service *svc = work->pool->timers;
	int64_t until = pulse__deadline_after(pulse_now_ns(), work->timeout_ns);

	pulse_timer_init(&work->timer, pulse__work_overdue, work);
	pulse_future_ref(&work->promise.future);
	work->timed = !pulse_timer_service_arm(svc, &work->timer, until, 0);
	if (!work->timed)
		pulse_future_put(&work->promise.future);
}

static void pulse__work_untime(struct pulse__work *work)
{
	if (work->timed &&
	    pulse_timer_service_cancel(work->pool->timers, &work->timer) == 1)
		pulse_future_put(&work->promise.future);
	work->timed = false;
}

void pulse__work_finish(struct pulse__work *work, void *value, int err)
{
	struct pulse_future *f = &work->promise.future;

	if (err > 0 || err < -4095)
		err = -EINVAL;
	if (err)
		pulse__future_set(f, NULL, err, NULL);
	else if (pulse__future_set(f, value, 0, NULL) && value && f->value_free)
		f->value_free(value);	/* too late: nobody will have it */
}

/* ---- running -------------------------------------------------------------- */

/* On its own, so that no local of another function is lost by the jump. */
static PULSE__NOINLINE int pulse__work_call(struct pulse__work *work,
					    struct pulse__frame *frame)
{
	if (_setjmp(frame->env))
		return frame->err;
	return work->fn(work->arg, &frame->value);
}

void pulse__frame_tell(const struct pulse__work *work,
		       const struct pulse__frame *frame)
{
	pulse_log(PULSE_LOG_ERROR,
		  "task %llu: %s at %p was contained; what it held is lost",
		  (unsigned long long)work->promise.future.result.task_id,
		  pulse__contain_name(frame->sig), frame->addr);
}

void pulse__work_run(void *data)
{
	struct pulse__work *work = data;
	struct pulse__frame frame;
	struct pulse__worker *w = pulse__pool_self;
	int err;

	if (pulse_promise_start(&work->promise))
		goto out;
	err = pulse_token_err(work->token);
	if (!err && (work->flags & PULSE_WORK_CONTAIN))
		err = pulse__contain_thread();
	if (err) {
		pulse__work_finish(work, NULL, err);
		goto out;
	}
	if (work->timeout_ns != PULSE_FOREVER)
		pulse__work_time(work);
	if (unlikely(READ_ONCE(work->pool->odd) & PULSE__ODD_NAME))
		pulse__name_work(w, work->fn,
				 work->promise.future.result.task_id);
	pulse__frame_begin(w, &frame);
	pulse__work_top = work;
	err = pulse__work_call(work, &frame);
	pulse__work_top = NULL;
	w->frame = NULL;
	if (unlikely(frame.sig))
		pulse__frame_tell(work, &frame);
	if (unlikely(pulse__forked(work->pool->fork_gen)))
		return;		/* the child ends in pulse__job_run() */
	pulse__work_untime(work);
	pulse__work_finish(work, frame.value, err);
out:
	pulse_promise_put(&work->promise);
}

void pulse__work_cancel(void *data)
{
	struct pulse__work *work = data;

	pulse__future_set(&work->promise.future, NULL, -ECANCELED, NULL);
	pulse_promise_put(&work->promise);
}

void pulse__work_unwound(struct pulse__work *work)
{
	if (!work)
		return;
	if (work->graph) {
		pulse__graph_lost(work->graph);
		return;
	}
	if (work->pipe) {
		pulse__pipe_lost(work->pipe);
		return;
	}
	pulse__work_untime(work);
	pulse_promise_put(&work->promise);	/* sets -EPIPE */
}

/* ---- getting in ------------------------------------------------------------ */

static int pulse__work_load(const void *user, struct pulse_work *o)
{
	int err;

	if (!user)
		return -EINVAL;
	err = pulse__opts_load(o, sizeof(*o), PULSE__WORK_VER0, user);
	if (err)
		return err;
	if (!o->fn || o->timeout_ns < 0 || o->reserved ||
	    (o->flags & ~PULSE_WORK_CONTAIN))
		return -EINVAL;
	return pulse_token_err(o->token);
}

struct pulse__work *pulse__work_new(struct pulse_pool *pool,
				    const struct pulse_work *o)
{
	struct pulse__work *work = pulse__calloc(1, sizeof(*work));
	struct pulse_future *f;

	if (!work)
		return NULL;
	f = &work->promise.future;
	pulse__future_init(f);
	f->value_free = o->value_free;
	f->result.task_id = o->task_id;
	f->release = pulse__work_release;
	work->pool = pool;
	work->fn = o->fn;
	work->arg = o->arg;
	work->flags = o->flags;
	work->token = pulse_token_get(o->token);
	work->report = pool->report;
	pulse__add_relaxed(&work->report->refs, 1);
	work->timeout_ns = o->timeout_ns ? o->timeout_ns :
			   pool->task_timeout_ns ? pool->task_timeout_ns :
			   PULSE_FOREVER;
	return work;
}

/* Nobody has seen it. */
static void pulse__work_drop(struct pulse__work *work)
{
	pulse_promise_put(&work->promise);
	pulse_future_put(&work->promise.future);
}

int pulse__work_enter(struct pulse__work *work, const struct pulse_task *task)
{
	struct pulse_future *f = &work->promise.future;
	int err;

	/* Before anybody can set it. */
	work->ended.run = pulse__work_ended;
	pulse_future_ref(f);
	pulse__future_after(f, &work->ended);
	err = pulse_pool_submit_task(work->pool, task);
	if (err) {
		/* Nobody saw it, so nobody is told. */
		f->conts = NULL;
		pulse_future_put(f);
		pulse__work_drop(work);
	}
	return err;
}

int pulse__work_spawn(struct pulse_pool *pool, const void *user,
		      struct pulse_results *batch, uint32_t index,
		      struct pulse_future **out)
{
	struct pulse_task task = { .sz = sizeof(task), .fn = pulse__work_run };
	struct pulse_future *f;
	struct pulse__work *work;
	struct pulse_work o;
	int err;

	err = pulse__work_load(user, &o);
	if (err)
		return err;
	work = pulse__work_new(pool, &o);
	if (!work)
		return -ENOMEM;
	f = &work->promise.future;
	if (work->timeout_ns != PULSE_FOREVER) {
		err = pulse__pool_timers(pool);
		if (err) {
			pulse__work_drop(work);
			return err;
		}
	}
	task.data = work;
	task.priority = o.priority;
	task.node = o.node;
	if (batch) {
		pulse__results_get(batch);
		work->batch = batch;
		work->index = index;
	}
	err = pulse__work_enter(work, &task);
	if (err)
		return err;
	if (out)
		*out = f;
	else
		pulse_future_put(f);
	return 0;
}

int pulse_pool_spawn(struct pulse_pool *pool, const struct pulse_work *work,
		     struct pulse_future **out)
{
	int err = pulse__pool_check(pool);

	if (out)
		*out = NULL;
	return err ? err : pulse__work_spawn(pool, work, NULL, 0, out);
}

/* ---- waiting ---------------------------------------------------------------- */

static int pulse__work_wait_inside(struct pulse__worker *w,
				   struct pulse_future *f, int64_t deadline_ns)
{
	while (!pulse__future_is_done(f)) {
		if (deadline_ns != PULSE_FOREVER &&
		    pulse_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (w->pool->det)
			pulse__det_point(w);
		else if (!pulse__worker_help(w))
			return pulse_future_wait(f, NULL, deadline_ns);
	}
	return 0;
}

int pulse__work_wait(struct pulse_pool *pool, struct pulse_future *f,
		     int64_t deadline_ns)
{
	struct pulse__worker *w = pulse__pool_self_in(pool);
	int err;

	if (w && w->in_task) {
		w->held = f;
		err = pulse__work_wait_inside(w, f, deadline_ns);
		w->held = NULL;
		return err;
	}
	if (pool->det)
		pulse__det_drive(pool, true);
	err = pulse_future_wait(f, NULL, deadline_ns);
	if (pool->det)
		pulse__det_drive(pool, false);
	return err;
}

void pulse__work_result(struct pulse_future *f, struct pulse_result *out)
{
	*out = f->result;
	/*
	 * It is set, and who may still put a reference does so after this:
	 * pairs with the count of references in pulse_future_put().
	 */
	if (!out->err)
		f->value_free = NULL;
}

int pulse_pool_submit_wait(struct pulse_pool *pool,
			   const struct pulse_work *work, int64_t deadline_ns,
			   struct pulse_result *out)
{
	struct pulse_future *f;
	int err = pulse__pool_check(pool);

	if (out)
		memset(out, 0, sizeof(*out));
	if (err)
		return err;
	if (deadline_ns < 0)
		return -EINVAL;
	err = pulse__work_spawn(pool, work, NULL, 0, &f);
	if (err)
		return err;
	err = pulse__work_wait(pool, f, deadline_ns);
	if (err && pulse_future_cancel(f, err) == -EALREADY &&
	    pulse__future_is_done(f))
		err = 0;		/* it came in the last moment */
	if (!err) {
		err = f->result.err;
		if (out)
			pulse__work_result(f, out);
	} else if (out) {
		out->err = err;
	}
	pulse_future_put(f);
	return err;
}

/* ---- inside and outside ------------------------------------------------------ */

int pulse_task_status(const struct pulse_future *f)
{
	if (!f)
		return -EINVAL;
	pulse__obj_check(f, PULSE__FUTURE_MAGIC, "pulse_task_status");
	/* pairs with pulse__future_set: the result is there */
	switch (pulse__load_acquire(&f->state) & PULSE__FUTURE_PHASE) {
	case PULSE__FUTURE_PENDING:
		return PULSE_TASK_PENDING;
	case PULSE__FUTURE_DONE:
		if (!f->result.err)
			return PULSE_TASK_COMPLETED;
		return pulse__was_cancelled(f, f->result.err) ?
		       PULSE_TASK_CANCELLED : PULSE_TASK_FAILED;
	default:
		return PULSE_TASK_RUNNING;
	}
}

const char *pulse_task_status_name(int status)
{
	static const char *const name[] = {
		[PULSE_TASK_PENDING] = "pending",
		[PULSE_TASK_RUNNING] = "running",
		[PULSE_TASK_COMPLETED] = "completed",
		[PULSE_TASK_FAILED] = "failed",
		[PULSE_TASK_CANCELLED] = "cancelled",
	};

	if (status < 0 || (size_t)status >= ARRAY_SIZE(name))
		return "unknown";
	return name[status];
}

int pulse_task_cancelled(void)
{
	struct pulse__work *work = pulse__work_top;
	int err;

	if (!work)
		return 0;
	err = READ_ONCE(work->promise.future.asked);
	return err ? err : pulse_token_err(work->token);
}

uint64_t pulse_task_id(void)
{
	struct pulse__work *work = pulse__work_top;

	return work ? work->promise.future.result.task_id : 0;
}

int pulse_task_fail(int err)
{
	struct pulse__worker *w = pulse__pool_self;

	if (err > 0)
		return -EINVAL;
	if (!err)
		err = PULSE_ETASK_PANICKED;
	if (pulse__frame_of(w))
		pulse__frame_fail(w, err < -4095 ? -EINVAL : err);
	if (!w || !w->in_task)
		return -ESRCH;
	pulse_log(PULSE_LOG_ERROR,
		  "pool %s: a task without a handle failed: %s; its thread is replaced",
		  w->pool->name, pulse_strerror(err));
	pthread_exit(NULL);
}

void pulse_task_yield(void)
{
	struct pulse__worker *w = pulse__pool_self;

	if (w && w->pool->det && w->in_task)
		pulse__det_point(w);
	else
		sched_yield();
}

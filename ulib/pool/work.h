/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * work.h - the inside of a task with a handle.
 *
 * The object is a future with more around it. References: one for whoever has
 * the handle, one for the promise, which the job in the queue (and then its
 * runner) owns, one for the continuation that sees it end, and one for a timer
 * that is armed. Whoever ends it first (runner, canceller, timer) sets the
 * future; the continuation runs once, and tells the hooks and the batch.
 */
#ifndef PULSE__POOL_WORK_H
#define PULSE__POOL_WORK_H

#include <setjmp.h>

#include <pulse-u/task.h>
#include <pulse-u/timer.h>

#include "future/future.h"
#include "pool/pool.h"

struct pulse__work {
	struct pulse_promise promise;	/* first */
	struct pulse__cont ended;
	struct pulse__report *report;	/* of the pool; a reference */
	struct pulse_pool *pool;	/* while it is queued or runs */
	pulse_work_fn fn;
	void *arg;
	struct pulse_token *token;
	struct pulse_timer timer;
	int64_t timeout_ns;
	uint32_t flags;
	bool timed;
	struct pulse_results *batch;	/* or NULL; a reference */
	uint32_t index;			/* there */
	struct pulse__work *next;	/* in the batch's queue */
	struct pulse_graph *graph;	/* it is a run of that, or NULL */
	struct pulse__pipe *pipe;	/* likewise */
};

/*
 * Who is told how tasks end. Outlives the pool where the last to end a task is
 * somebody else.
 */
struct pulse__report {
	uint32_t refs;
	pulse_pool_complete_fn on_complete;
	pulse_pool_error_fn on_error;
	void *hook_arg;
	uint64_t done, failed, cancelled;	/* atomic */
};

/*
 * Where pulse_task_fail() and contained signals jump to; on the stack, of a task,
 * of a job that was taken, or of pulse_task_contain(). The newest is w->frame; of a
 * thread that is no worker pulse__frame_lone.
 */
struct pulse__frame {
	void *value;
	struct pulse_job *tail, *shared;	/* what was forked before */
	int err;
	bool contains;			/* signals, whatever its task has asked for */
	volatile int sig;
	void *volatile addr;
	jmp_buf env;
};

/*
 * The task with a handle that this thread is in; NULL in others. Not in the
 * frame: when a thread ends, the stack with the frame goes before it.
 */
extern __thread struct pulse__work *pulse__work_top
	__attribute__((tls_model("initial-exec")));

extern __thread struct pulse__frame *pulse__frame_lone
	__attribute__((tls_model("initial-exec")));

static inline struct pulse__work *pulse__work_of(struct pulse_future *f)
{
	return container_of(f, struct pulse__work, promise.future);
}

static inline void pulse__frame_begin(struct pulse__worker *w,
				      struct pulse__frame *frame)
{
	struct pulse_fork_self *self = pulse__fork_self();

	frame->value = NULL;
	frame->tail = self->tail;
	frame->shared = self->shared;
	frame->err = 0;
	frame->contains = false;
	frame->sig = 0;
	frame->addr = NULL;
	w->frame = frame;
}

/* The newest of the calling thread, of worker @w or of none; NULL. */
static inline struct pulse__frame *pulse__frame_of(struct pulse__worker *w)
{
	return w ? w->frame : pulse__frame_lone;
}

/* Goes there. What was forked since lies on frames that are still whole. */
static inline __attribute__((noreturn))
void pulse__frame_fail(struct pulse__worker *w, int err)
{
	struct pulse__frame *frame = pulse__frame_of(w);

	frame->err = err;
	if (w)
		pulse__fork_drop(w, frame->shared, frame->tail);
	longjmp(frame->env, 1);
}

/* A signal was contained. */
void pulse__frame_tell(const struct pulse__work *work,
		       const struct pulse__frame *frame);

int pulse__report_new(struct pulse_pool *pool);
void pulse__report_put(struct pulse__report *r);

/* A job that is run; that will not be run; whose thread ends in it. */
void pulse__work_run(void *data);
void pulse__work_cancel(void *data);
void pulse__work_unwound(struct pulse__work *work);
/*
 * One reference each for the promise, which the caller has, and the handle. NULL:
 * no memory.
 */
struct pulse__work *pulse__work_new(struct pulse_pool *pool,
				    const struct pulse_work *o);
/* @task, on its behalf. 0; or -errno and it is gone. */
int pulse__work_enter(struct pulse__work *work, const struct pulse_task *task);
/* It came to its end, unless somebody was first. */
void pulse__work_finish(struct pulse__work *work, void *value, int err);
/* As pulse_pool_spawn(), as a member of a batch. */
int pulse__work_spawn(struct pulse_pool *pool, const void *work,
		      struct pulse_results *batch, uint32_t index,
		      struct pulse_future **out);
/*
 * Until *@f is set, with the pool getting on meanwhile where that is up to the
 * caller. As pulse_future_wait(). Where the caller's thread ends beneath it, the
 * reference is put.
 */
int pulse__work_wait(struct pulse_pool *pool, struct pulse_future *f,
		     int64_t deadline_ns);
/* Takes the value out of a future that is set and whose handle is ours. */
void pulse__work_result(struct pulse_future *f, struct pulse_result *out);

/* ---- results.c ----------------------------------------------------------- */

void pulse__results_push(struct pulse_results *r, struct pulse__work *work);
void pulse__results_get(struct pulse_results *r);
void pulse__results_put(struct pulse_results *r);

/* ---- contain.c ----------------------------------------------------------- */

/* From here on fatal signals of the calling thread's tasks are caught. */
int pulse__contain_thread(void);
const char *pulse__contain_name(int sig);

#endif /* PULSE__POOL_WORK_H */

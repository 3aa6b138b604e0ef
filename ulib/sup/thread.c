// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * thread.c - children that are threads.
 *
 * A thread ends by returning, by pthread_exit() or by being cancelled; each
 * leads through at_end(), which reports it. A bare exit system call does not:
 * the module tells of that, and without it a look now and then.
 *
 * The reporter never drives: to restart the child its thread is joined, which
 * would be itself.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pulse-u/events.h>

#include "backend/backend.h"
#include "sup/sup_int.h"

struct run {
	struct pulse_child *self;
	int ret;
};

static void become_worker(struct pulse_child *self)
{
	struct pulse__engine *e = self->e;
	int index;

	if (!e->ctx)
		return;
	index = pulse_worker_register(e->ctx, -1, self->serial);
	if (index < 0) {
		pulse__warn_once("supervisor: a thread cannot become a worker: %s; its end and hangs are not told by the module",
				 pulse_strerror(index));
		return;
	}
	pthread_mutex_lock(&e->lock);
	WRITE_ONCE(self->worker, index);
	pulse__list_add_tail(&e->watched, &self->watched);
	pthread_mutex_unlock(&e->lock);
	pulse__watch_hangs(self, index);
}

static void at_end(void *arg)
{
	struct run *run = arg;
	struct pulse_child *self = run->self;
	struct pulse__engine *e = self->e;
	int old, index;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pulse__engine_get(e);
	pthread_mutex_lock(&e->lock);
	index = self->worker;
	WRITE_ONCE(self->worker, -1);
	pulse__list_del(&self->watched);
	pthread_mutex_unlock(&e->lock);
	if (index >= 0)
		pulse_worker_unregister(e->ctx, index);
	pthread_mutex_lock(&e->lock);
	self->why.code = run->ret;
	self->why.kind = !run->ret ? PULSE_EXIT_NORMAL :
			 run->ret == -ESHUTDOWN ? PULSE_EXIT_SHUTDOWN :
			 PULSE_EXIT_CODE;
	pulse__post(self, PULSE__POST_EXIT);
	pulse__engine_kick(e);
	pthread_mutex_unlock(&e->lock);
	pulse__child_put(self);
	pulse__engine_put(e);
}

static void *thread_main(void *arg)
{
	struct run run = { .self = arg, .ret = -ECANCELED };
	struct pulse_child *self = run.self;
	const struct pulse_child_spec *s = &self->spec->s;
	bool may_cancel = s->flags & PULSE_CHILD_CANCEL;
	char name[16];
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pulse__child_current = self;
	snprintf(name, sizeof(name), "%s", s->id);
	prctl(PR_SET_NAME, name);
	WRITE_ONCE(self->tid, (int32_t)syscall(SYS_gettid));
	become_worker(self);
	pulse__set_priority(s->priority, self->e->ctx, READ_ONCE(self->worker));
	pthread_cleanup_push(at_end, &run);
	if (may_cancel)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	run.ret = s->fn(self, s->arg);
	if (may_cancel)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_cleanup_pop(1);
	return NULL;
}

static int thread_start(struct pulse_child *self, void *arg)
{
	pthread_attr_t attr;
	int err;

	(void)arg;
	if (pulse__alloc_fault() || pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setsigmask_np(&attr, &self->e->mask);
	self->joinable = true;
	err = pthread_create(&self->thread, &attr, thread_main, self);
	if (err)
		self->joinable = false;
	pthread_attr_destroy(&attr);
	return -err;
}

/* stopping is set; whoever sleeps looks at it again. */
static void thread_stop(struct pulse_child *self, void *arg)
{
	int index = READ_ONCE(self->worker);
	uint32_t worker = (uint32_t)index;

	(void)arg;
	pulse__futex_wake(&self->stopping, INT_MAX);
	if (index >= 0)
		pulse_worker_wake(self->e->ctx, &worker, 1);
}

static void thread_kill(struct pulse_child *self, void *arg)
{
	if (self->joinable && (self->spec->s.flags & PULSE_CHILD_CANCEL))
		pthread_cancel(self->thread);
	thread_stop(self, arg);
}

void pulse__thread_reap(struct pulse_child *inc, bool gone)
{
	struct pulse__engine *e = inc->e;

	inc->joinable = false;
	if (!gone) {
		pthread_detach(inc->thread);
		return;
	}
	pthread_mutex_unlock(&e->lock);
	pthread_join(inc->thread, NULL);
	pthread_mutex_lock(&e->lock);
}

bool pulse__thread_vanished(struct pulse_child *inc)
{
	if (!inc->joinable || inc->exited ||
	    pthread_tryjoin_np(inc->thread, NULL))
		return false;
	inc->joinable = false;
	pulse__list_del(&inc->watched);
	WRITE_ONCE(inc->worker, -1);
	inc->why.kind = PULSE_EXIT_LOST;
	pulse__post(inc, PULSE__POST_EXIT);
	pulse__child_put(inc);		/* the thread's reference */
	return true;
}

const struct pulse_child_ops pulse__thread_ops = {
	.sz = sizeof(pulse__thread_ops),
	.name = "thread",
	.start = thread_start,
	.stop = thread_stop,
	.kill = thread_kill,
};

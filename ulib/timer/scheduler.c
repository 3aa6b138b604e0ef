// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * scheduler.c - the scheduler contract, thin, over a service, a wheel or a
 * table of functions.
 *
 * job->state decides between the call and its cancellation: both try to move
 * it on from PENDING and one wins. Whoever cancelled then makes sure that the
 * implementation is done with the job before its memory is the caller's again.
 */
#include "timer/timer.h"

#define SCHEDULER_MAGIC	0x53434845U	/* "SCHE" */
#define JOB_OURS	1U	/* flags: allocated here, freed at its end */

struct pulse_scheduler {
	uint32_t magic;
	bool own_service;
	void *impl;
	struct pulse_scheduler_ops ops;
	uint64_t live;		/* atomic: jobs pending or running */
};

static void job_fire(struct pulse_timer *timer, void *arg)
{
	(void)timer;
	pulse_scheduler_job_run(arg);
}

/* ---- the implementations that come with it ------------------------------ */

static int on_service_schedule(void *impl, struct pulse_scheduler_job *job,
			       int64_t delay_ns)
{
	int64_t now = pulse_timer_service_now(impl);

	pulse_timer_init(&job->timer, job_fire, job);
	return pulse_timer_service_arm(impl, &job->timer,
				       pulse__deadline_after(now, delay_ns), 0);
}

static int on_service_cancel(void *impl, struct pulse_scheduler_job *job)
{
	/* Sync: the thread may have the job in hand, about to see it cancelled. */
	int ret = pulse_timer_service_cancel_sync(impl, &job->timer);

	return ret < 0 ? ret : 0;
}

static int64_t on_service_now(void *impl)
{
	return pulse_timer_service_now(impl);
}

static const struct pulse_scheduler_ops on_service = {
	.sz = sizeof(on_service),
	.schedule = on_service_schedule,
	.cancel = on_service_cancel,
	.now = on_service_now,
};

static int on_wheel_schedule(void *impl, struct pulse_scheduler_job *job,
			     int64_t delay_ns)
{
	int64_t now = pulse_timers_now(impl);

	pulse_timer_init(&job->timer, job_fire, job);
	return pulse_timers_arm(impl, &job->timer,
				pulse__deadline_after(now, delay_ns), 0);
}

static int on_wheel_cancel(void *impl, struct pulse_scheduler_job *job)
{
	int ret = pulse_timers_cancel(impl, &job->timer);

	return ret < 0 ? ret : 0;
}

static int64_t on_wheel_now(void *impl)
{
	return pulse_timers_now(impl);
}

static const struct pulse_scheduler_ops on_wheel = {
	.sz = sizeof(on_wheel),
	.schedule = on_wheel_schedule,
	.cancel = on_wheel_cancel,
	.now = on_wheel_now,
};

/* ---- life --------------------------------------------------------------- */

static int scheduler_stand_on(struct pulse_scheduler *s,
			      const struct pulse_scheduler_opts *o)
{
	struct pulse_timer_service_opts so = { .sz = sizeof(so) };
	struct pulse_timer_service *svc;
	int err;

	if (o->ops) {
		err = pulse__opts_load(&s->ops, sizeof(s->ops),
				       pulse__size_to(typeof(s->ops), now),
				       o->ops);
		s->impl = o->impl;
		if (!err && (!s->ops.schedule || !s->ops.cancel || !s->ops.now))
			err = -EINVAL;
		return err;
	}
	if (o->timers) {
		s->ops = on_wheel;
		s->impl = o->timers;
		return 0;
	}
	s->ops = on_service;
	s->impl = o->service;
	if (o->service)
		return 0;
	so.resolution_ns = o->resolution_ns;
	err = pulse_timer_service_create(&so, &svc);
	s->impl = svc;
	s->own_service = true;
	return err;
}

int pulse_scheduler_create(const struct pulse_scheduler_opts *opts,
			   struct pulse_scheduler **out)
{
	struct pulse_scheduler_opts o;
	struct pulse_scheduler *s;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), resolution_ns), opts);
	if (err)
		return err;
	if (!!o.service + !!o.timers + !!o.ops > 1)
		return -EINVAL;
	s = pulse__calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->magic = SCHEDULER_MAGIC;
	err = scheduler_stand_on(s, &o);
	if (err) {
		pulse__free(s);
		return err;
	}
	*out = s;
	return 0;
}

/* A job has come to its end: the last that is done with it. */
static void job_end(struct pulse_scheduler_job *job, uint32_t state)
{
	/*
	 * pairs with pulse_scheduler_destroy. Before the state: who saw all jobs
	 * done may destroy the scheduler.
	 */
	__atomic_fetch_sub(&job->scheduler->live, 1, __ATOMIC_RELEASE);
	if (job->flags & JOB_OURS)
		pulse__free(job);
	else
		/* pairs with pulse_scheduler_job_done, _err, job_claim */
		pulse__store_release(&job->state, state);
}

int pulse_scheduler_destroy(struct pulse_scheduler *s)
{
	struct pulse_timers *wheel;
	struct pulse_timer *t;
	int err, nr = 0;

	if (!s)
		return -EINVAL;
	pulse__obj_check(s, SCHEDULER_MAGIC, "pulse_scheduler_destroy");
	if (s->own_service) {
		err = pulse__timer_service_stop(s->impl);
		if (err == -EDEADLK)
			return err;
		wheel = pulse__timer_service_wheel(s->impl);
		/* In a forked child the jobs are not ours to touch. */
		while (!err && (t = pulse__timers_drain(wheel))) {
			job_end(t->arg, PULSE_JOB_CANCELLED);
			nr += nr < INT_MAX;
		}
		pulse_timer_service_destroy(s->impl);
	} else if (pulse__load_acquire(&s->live)) {
		/* pairs with job_end */
		return -EBUSY;
	}
	s->magic = PULSE__MAGIC_DEAD;
	pulse__free(s);
	return nr;
}

/* ---- jobs --------------------------------------------------------------- */

/*
 * Makes the job ours; -EBUSY it is on its way already. RUNNING, though no
 * function runs, until it may be seen as PENDING.
 */
static int job_claim(struct pulse_scheduler_job *job)
{
	uint32_t state = READ_ONCE(job->state);

	do {
		if (state == PULSE_JOB_PENDING || state == PULSE_JOB_RUNNING)
			return -EBUSY;
		/* acquire: pairs with job_end, which touched the job last */
	} while (!pulse__cas(&job->state, &state, PULSE_JOB_RUNNING,
			     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return 0;
}

int pulse_scheduler_schedule(struct pulse_scheduler *s, int64_t delay_ns,
			     void (*fn)(void *arg), void *arg,
			     struct pulse_scheduler_job *job)
{
	uint32_t flags = 0;
	int err;

	if (!s || !fn)
		return -EINVAL;
	pulse__obj_check(s, SCHEDULER_MAGIC, "pulse_scheduler_schedule");
	if (!job) {
		job = pulse__calloc(1, sizeof(*job));
		if (!job)
			return -ENOMEM;
		flags = JOB_OURS;
	}
	err = job_claim(job);
	if (err)
		return err;
	WRITE_ONCE(job->scheduler, s);
	job->fn = fn;
	job->arg = arg;
	job->flags = flags;
	pulse__add_relaxed(&s->live, 1);
	/* pairs with pulse_scheduler_job_run and _cancel */
	pulse__store_release(&job->state, PULSE_JOB_PENDING);
	err = s->ops.schedule(s->impl, job, delay_ns > 0 ? delay_ns : 0);
	if (err)
		job_end(job, PULSE_JOB_IDLE);
	return err;
}

int pulse_scheduler_job_run(struct pulse_scheduler_job *job)
{
	uint32_t state = PULSE_JOB_PENDING;

	if (!job)
		return -EINVAL;
	/*
	 * pairs with pulse_scheduler_cancel, of which one moves it on, and with
	 * pulse_scheduler_schedule, which filled it in
	 */
	if (!pulse__cas(&job->state, &state, PULSE_JOB_RUNNING,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return 0;
	job->fn(job->arg);
	job_end(job, PULSE_JOB_DONE);
	return 1;
}

int pulse_scheduler_cancel(struct pulse_scheduler *s,
			   struct pulse_scheduler_job *job)
{
	uint32_t state = PULSE_JOB_PENDING;
	int err;

	if (!s || !job)
		return -EINVAL;
	pulse__obj_check(s, SCHEDULER_MAGIC, "pulse_scheduler_cancel");
	if (READ_ONCE(job->scheduler) != s && READ_ONCE(job->state))
		return -EINVAL;
	/*
	 * pairs with pulse_scheduler_job_run. RUNNING for a moment, though no
	 * function runs: nobody may schedule it before it is off the wheel.
	 */
	if (!pulse__cas(&job->state, &state, PULSE_JOB_RUNNING,
			__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
		if (state == PULSE_JOB_RUNNING)
			return -EINPROGRESS;
		return state == PULSE_JOB_IDLE ? -ENOENT : -EALREADY;
	}
	err = s->ops.cancel(s->impl, job);
	job_end(job, PULSE_JOB_CANCELLED);
	return err;
}

int64_t pulse_scheduler_now(struct pulse_scheduler *s)
{
	return s ? s->ops.now(s->impl) : -EINVAL;
}

int pulse_scheduler_job_done(const struct pulse_scheduler_job *job)
{
	uint32_t state;

	if (!job)
		return -EINVAL;
	/* pairs with job_end */
	state = pulse__load_acquire(&job->state);
	return state == PULSE_JOB_DONE || state == PULSE_JOB_CANCELLED;
}

int pulse_scheduler_job_err(const struct pulse_scheduler_job *job)
{
	if (!job)
		return -EINVAL;
	/* pairs with job_end */
	switch (pulse__load_acquire(&job->state)) {
	case PULSE_JOB_DONE:
		return 0;
	case PULSE_JOB_CANCELLED:
		return -ECANCELED;
	case PULSE_JOB_IDLE:
		return -ENOENT;
	}
	return -EINPROGRESS;
}

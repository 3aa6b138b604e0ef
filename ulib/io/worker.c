// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * worker.c - a poller that belongs to a pool's worker, which sleeps in it.
 *
 * The worker's thread is all its life the one that runs the poller: whatever is
 * the loop thread's may be done by its tasks, and by nobody else. When it looks,
 * and how a sleep is ended for a task, stands in pool/sleep.c; the bell is the
 * eventfd by which posters end the wait of any poller.
 */
#include "io/poller_int.h"
#include "pool/pool.h"

struct pulse__poller_worker {
	struct pulse__sleeper sleeper;
	struct pulse_poller *poller;
};

static struct pulse_poller *poller_of(struct pulse__sleeper *s)
{
	return container_of(s, struct pulse__poller_worker, sleeper)->poller;
}

void pulse__poller_worker_awake(struct pulse_poller *p, bool events)
{
	pulse__sleeper_awake(&p->worker->sleeper,
			     events || pulse__poller_posted(p) ||
			     pulse__wheel_next(&p->wheel) <= p->now_ns);
}

static bool turn(struct pulse_poller *p, int64_t deadline_ns)
{
	bool handled = pulse__poller_turn(p, deadline_ns);

	/* There is no run that it could end. */
	__atomic_store_n(&p->stop, 0, __ATOMIC_RELAXED);
	return handled;
}

static void worker_prepare(struct pulse__sleeper *s)
{
	pulse__poller_hooks(poller_of(s));
}

static bool worker_look(struct pulse__sleeper *s)
{
	worker_prepare(s);
	return turn(poller_of(s), 0);
}

static void worker_sleep(struct pulse__sleeper *s, int64_t deadline_ns)
{
	turn(poller_of(s), deadline_ns);
}

/* What handlers or the task before have prepared is not to wait for the next. */
static void worker_busy(struct pulse__sleeper *s)
{
	struct pulse_poller *p = poller_of(s);

	if (p->ops->leave)
		p->ops->leave(p);
}

static void worker_leave(struct pulse__sleeper *s)
{
	struct pulse__poller_worker *pw =
		container_of(s, struct pulse__poller_worker, sleeper);
	struct pulse_poller *p = pw->poller;

	p->worker = NULL;
	if (pulse__poller_current == p)	/* else this is a forked child */
		pulse__poller_leave(p);
	pulse_poller_destroy(p);
	pulse__free(pw);
}

static int worker_new(struct pulse__worker *w, const struct pulse_poller_opts *o,
		      struct pulse_poller **out)
{
	struct pulse__poller_worker *pw = pulse__calloc(1, sizeof(*pw));
	struct pulse_poller *p;
	int err;

	if (!pw)
		return -ENOMEM;
	err = pulse_poller_create(o, &p);
	if (err)
		goto free_pw;
	pw->poller = p;
	pw->sleeper = (struct pulse__sleeper){
		.look = worker_look,
		.prepare = worker_prepare,
		.sleep = worker_sleep,
		.busy = worker_busy,
		.leave = worker_leave,
	};
	err = pulse__poller_enter(p);
	if (err)
		goto destroy;
	err = pulse__sleeper_set(w, &pw->sleeper, p->ops->bell(p));
	if (err)
		goto leave;
	p->worker = pw;
	*out = p;
	return 0;
leave:
	pulse__poller_leave(p);
destroy:
	pulse_poller_destroy(p);
free_pw:
	pulse__free(pw);
	return err;
}

int pulse_poller_of_worker(const struct pulse_poller_opts *opts,
			   struct pulse_poller **out)
{
	struct pulse__worker *w = pulse__pool_self;
	struct pulse_poller_opts o;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), buffer_bytes), opts);
	if (err)
		return err;
	/* It is a worker of the pool's context, and spins as the pool says. */
	if (o.ctx || o.cookie || o.spin_us)
		return -EINVAL;
	if (!w)
		return -ESRCH;
	if (w->sleeper) {
		*out = poller_of(w->sleeper);
		return 0;
	}
	return worker_new(w, &o, out);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * health.c - the thread that asks children how they are.
 *
 * One for a tree, so that a check may take its time without anybody waiting
 * for it; checks come one after another. Where one does not come back, its
 * thread is left behind with it and another one takes over the rest.
 *
 * Lock order: the engine's, then the doctor's.
 */
#include <sys/prctl.h>

#include "sup/sup_int.h"

struct pulse__doctor {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct pulse__list queue;	/* incarnations, each with a reference */
	struct pulse_child *at;		/* whom it is asking */
	bool stuck;			/* it is given up, with no one to take over yet */
	bool left;			/* nobody waits for it any more */
	bool end;
	pthread_t thread;
	struct pulse__engine *e;
};

static void doctor_free(struct pulse__doctor *d)
{
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	pulse__free(d);
}

static void *doctor_main(void *arg)
{
	struct pulse__doctor *d = arg;
	bool left;

	prctl(PR_SET_NAME, "pulse-health");
	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct pulse__list *l = pulse__list_pop(&d->queue);
		struct pulse_child *inc;
		bool healthy;

		if (!l) {
			if (d->end || d->left)
				break;
			pthread_cond_wait(&d->work, &d->lock);
			continue;
		}
		inc = container_of(l, struct pulse_child, check);
		d->at = inc;
		pthread_mutex_unlock(&d->lock);
		healthy = inc->spec->s.health(inc, inc->spec->s.arg);
		pthread_mutex_lock(&d->lock);
		d->at = NULL;
		d->stuck = false;
		left = d->left;
		pthread_mutex_unlock(&d->lock);
		if (!left) {
			struct pulse__engine *e = inc->e;

			pthread_mutex_lock(&e->lock);
			inc->healthy = healthy;
			pulse__post(inc, PULSE__POST_HEALTH);
			pulse__drive(e);
			pthread_mutex_unlock(&e->lock);
		}
		pulse__child_put(inc);
		pthread_mutex_lock(&d->lock);
	}
	left = d->left;
	pthread_mutex_unlock(&d->lock);
	if (left)
		doctor_free(d);
	return NULL;
}

static struct pulse__doctor *doctor_create(struct pulse__engine *e)
{
	struct pulse__doctor *d = pulse__calloc(1, sizeof(*d));
	sigset_t all, mask;
	int err;

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pulse__list_init(&d->queue);
	d->e = e;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	err = pthread_create(&d->thread, NULL, doctor_main, d);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (err) {
		pulse__warn_once("supervisor: no thread for health checks: %s",
				 pulse_strerror(err));
		doctor_free(d);
		return NULL;
	}
	return d;
}

int pulse__health_submit(struct pulse__engine *e, struct pulse_child *inc)
{
	struct pulse__doctor *d;

	if (!e->doctor)
		e->doctor = doctor_create(e);
	d = e->doctor;
	if (!d)
		return -EAGAIN;
	pulse__child_get(inc);
	pthread_mutex_lock(&d->lock);
	pulse__list_add_tail(&d->queue, &inc->check);
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

bool pulse__health_stuck(struct pulse__engine *e, struct pulse_child *inc)
{
	struct pulse__doctor *d = e->doctor, *next;
	bool waits;

	if (!d)
		return true;
	pthread_mutex_lock(&d->lock);
	waits = !pulse__list_empty(&inc->check);
	if (d->at == inc)
		d->stuck = true;
	/* Where there was no memory for another one: who waits tries again. */
	next = d->stuck ? doctor_create(e) : NULL;
	if (next) {
		pthread_mutex_lock(&next->lock);
		pulse__list_splice_tail(&next->queue, &d->queue);
		pthread_cond_signal(&next->work);
		pthread_mutex_unlock(&next->lock);
		d->left = true;
		pthread_detach(d->thread);
		e->doctor = next;
	}
	pthread_mutex_unlock(&d->lock);
	return !waits;
}

void pulse__health_close(struct pulse__engine *e)
{
	struct pulse__doctor *d = e->doctor;
	struct pulse__list *l;
	bool asking;

	if (!d)
		return;
	e->doctor = NULL;
	pthread_mutex_lock(&d->lock);
	d->end = true;
	asking = d->at;
	if (asking) {
		d->left = true;
		pthread_detach(d->thread);
	}
	while ((l = pulse__list_pop(&d->queue)))
		pulse__child_put(container_of(l, struct pulse_child, check));
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	if (asking)
		return;
	pthread_join(d->thread, NULL);
	doctor_free(d);
}

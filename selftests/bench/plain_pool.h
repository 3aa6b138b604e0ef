/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * plain_pool.h - the pool that one writes in an afternoon: a ring under a mutex,
 * workers on a condition variable, one signal a task.
 */
#ifndef BENCH_PLAIN_POOL_H
#define BENCH_PLAIN_POOL_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_THREADS 64

struct plain {
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct { void (*fn)(void *arg); void *arg; } *ring;
	unsigned int head, tail, busy, room;
	int stop, nr;
	pthread_t thread[PLAIN_THREADS];
};

static inline void *plain_main(void *arg)
{
	struct plain *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		void (*fn)(void *arg);
		void *data;

		while (p->head == p->tail && !p->stop)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->head == p->tail)
			break;
		fn = p->ring[p->head & (p->room - 1)].fn;
		data = p->ring[p->head++ & (p->room - 1)].arg;
		p->busy++;
		pthread_mutex_unlock(&p->lock);
		fn(data);
		pthread_mutex_lock(&p->lock);
		if (!--p->busy && p->head == p->tail)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static inline int plain_submit(struct plain *p, void (*fn)(void *arg),
			void *arg)
{
	int err = -EAGAIN;

	pthread_mutex_lock(&p->lock);
	if (p->tail - p->head < p->room) {
		p->ring[p->tail & (p->room - 1)].fn = fn;
		p->ring[p->tail++ & (p->room - 1)].arg = arg;
		pthread_cond_signal(&p->work);
		err = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

static inline void plain_wait(struct plain *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->busy || p->head != p->tail)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static inline void plain_start(struct plain *p, int nr, unsigned int room)
{
	memset(p, 0, sizeof(*p));
	p->room = room;
	p->ring = calloc(room, sizeof(*p->ring));
	if (!p->ring)
		exit(1);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	p->nr = nr;
	for (int i = 0; i < nr; i++) {
		if (pthread_create(&p->thread[i], NULL, plain_main, p))
			exit(1);
	}
}

static inline void plain_end(struct plain *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = 1;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->nr; i++)
		pthread_join(p->thread[i], NULL);
	free(p->ring);
}

#endif /* BENCH_PLAIN_POOL_H */

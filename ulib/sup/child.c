// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * child.c - an incarnation, and what those who run it can say.
 *
 * Called by children of all kinds, from any thread, also by threads that were
 * given up, whose entry is gone; and in a forked child, where nothing but the
 * incarnation itself and its pipe may be touched.
 */
#include "backend/backend.h"
#include "sup/sup_int.h"

/* Memory of pulse_child_alloc(): the head of each piece. */
struct pulse__block {
	struct pulse__block *next;
	struct pulse__block **link;
	size_t bytes;
	uint64_t magic;
} PULSE__ALIGNED(16);

#define BLOCK_MAGIC	0x4b4c42504c555350ULL

__thread struct pulse_child *pulse__child_current;

struct pulse_child *pulse__child_create(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	/* acquire: whoever left it there is through with it */
	struct pulse_child *inc = __atomic_exchange_n(&e->spare, NULL,
						      __ATOMIC_ACQUIRE);

	if (inc)
		memset(inc, 0, sizeof(*inc));
	else
		inc = pulse__calloc(1, sizeof(*inc));
	if (!inc)
		return NULL;
	inc->refs = 2;
	inc->e = e;
	inc->spec = en->spec;
	inc->entry = en;
	inc->number = en->number + 1;
	inc->serial = ++inc->e->serial;
	inc->worker = inc->pidfd = inc->ctl = inc->child_ctl = -1;
	pthread_mutex_init(&inc->mem_lock, NULL);
	pulse__list_init(&inc->post);
	pulse__list_init(&inc->watched);
	pulse__list_init(&inc->check);
	pulse__spec_get(inc->spec);
	pulse__engine_get(inc->e);
	return inc;
}

void pulse__child_get(struct pulse_child *inc)
{
	pulse__add_relaxed(&inc->refs, 1);
}

void pulse__child_put(struct pulse_child *inc)
{
	struct pulse__engine *e = inc->e;

	/* The last one sees what all others did with it. */
	if (__atomic_sub_fetch(&inc->refs, 1, __ATOMIC_ACQ_REL))
		return;
	while (inc->blocks) {
		struct pulse__block *b = inc->blocks;

		inc->blocks = b->next;
		pulse__free(b);
	}
	if (inc->left && inc->left_free)
		inc->left_free(inc->left);
	pthread_mutex_destroy(&inc->mem_lock);
	pulse__spec_put(inc->spec);
#ifndef __SANITIZE_ADDRESS__	/* else its uses after this would not be seen */
	inc = __atomic_exchange_n(&e->spare, inc, __ATOMIC_ACQ_REL);
#endif
	pulse__free(inc);
	pulse__engine_put(e);
}

const char *pulse_child_id(const struct pulse_child *self)
{
	return self ? self->spec->s.id : NULL;
}

uint64_t pulse_child_incarnation(const struct pulse_child *self)
{
	return self ? self->number : 0;
}

bool pulse_child_stopping(const struct pulse_child *self)
{
	/* pairs with the release of stop() in thread.c */
	return self && pulse__load_acquire(&self->stopping) != PULSE__GO;
}

static bool told(void *arg)
{
	return pulse_child_stopping(arg);
}

int pulse_child_wait(struct pulse_child *self, int64_t deadline_ns)
{
	int err = 0;

	if (!self || deadline_ns < 0)
		return -EINVAL;
	if (self->in_child)
		return pulse__forked_wait(self, deadline_ns);
	WRITE_ONCE(self->waiting, 1);
	while (!pulse_child_stopping(self)) {
		/* A worker parks, so that the module knows why it sleeps. */
		if (pulse__child_current == self && self->worker >= 0)
			err = pulse_worker_park(self->e->ctx, self->worker,
						deadline_ns, told, self);
		else
			err = pulse__futex_wait(&self->stopping, PULSE__GO,
						deadline_ns);
		if (err == -ETIMEDOUT)
			break;
	}
	pulse_child_beat(self);
	WRITE_ONCE(self->waiting, 0);
	return pulse_child_stopping(self) ? 0 : -ETIMEDOUT;
}

int pulse_child_ready(struct pulse_child *self)
{
	if (!self)
		return -EINVAL;
	if (self->in_child)
		return pulse__forked_say(self, 'R');
	pulse__post_drive(self, PULSE__POST_READY);
	return 0;
}

int pulse_child_beat(struct pulse_child *self)
{
	struct pulse_ctx *ctx;
	int worker;

	if (!self)
		return -EINVAL;
	/* The module watches the worker's own word. */
	worker = READ_ONCE(self->worker);
	if (worker >= 0) {
		ctx = self->in_child ? self->child_ctx : self->e->ctx;
		pulse__add_relaxed(&ctx->uwork[worker].progress, 1);
	}
	if (self->in_child)
		return pulse__forked_say(self, 'B');
	pulse__add_relaxed(&self->beats, 1);
	return 0;
}

int pulse_child_exited(struct pulse_child *self, const struct pulse_exit *why)
{
	struct pulse__engine *e;

	if (!self || self->in_child || self->spec->s.kind != PULSE_CHILD_OPS)
		return -EINVAL;
	e = self->e;
	pthread_mutex_lock(&e->lock);
	if (self->exited) {
		pthread_mutex_unlock(&e->lock);
		return -EALREADY;
	}
	if (why)
		self->why = *why;
	if (!self->why.kind)
		self->why.kind = PULSE_EXIT_NORMAL;
	self->why.time_ns = pulse_now_ns();
	pulse__post(self, PULSE__POST_EXIT);
	pulse__drive_at(e, self->why.time_ns);
	pthread_mutex_unlock(&e->lock);
	/* The reference of who ran it, which has kept the engine. */
	pulse__child_put(self);
	return 0;
}

void *pulse_child_state(const struct pulse_child *self)
{
	void *state = NULL;

	if (!self)
		return NULL;
	if (self->in_child)	/* as it was at the fork */
		return self->entry ? self->entry->state : NULL;
	pthread_mutex_lock(&self->e->lock);
	state = self->entry ? self->entry->state : self->left;
	pthread_mutex_unlock(&self->e->lock);
	return state;
}

int pulse_child_keep(struct pulse_child *self, void *state,
		     void (*state_free)(void *state))
{
	void (*old_free)(void *state) = NULL;
	void *old = NULL;
	int err = 0;

	if (!self)
		return -EINVAL;
	if (self->in_child)
		return 0;
	pthread_mutex_lock(&self->e->lock);
	if (self->entry) {
		old = self->entry->state;
		old_free = self->entry->state_free;
		self->entry->state = state;
		self->entry->state_free = state_free;
	} else {
		err = -ESTALE;
	}
	pthread_mutex_unlock(&self->e->lock);
	if (!err && old && old != state && old_free)
		old_free(old);
	return err;
}

int pulse_child_set_data(struct pulse_child *self, void *data)
{
	if (!self)
		return -EINVAL;
	__atomic_store_n(&self->data, data, __ATOMIC_RELEASE);
	return 0;
}

void *pulse_child_data(const struct pulse_child *self)
{
	return self ? __atomic_load_n(&self->data, __ATOMIC_ACQUIRE) : NULL;
}

int pulse_child_alloc(struct pulse_child *self, size_t bytes, void **out)
{
	uint64_t limit, all;
	struct pulse__block *b;

	if (!self || !out)
		return -EINVAL;
	*out = NULL;
	if (bytes > SIZE_MAX - sizeof(*b))
		return -ENOMEM;
	limit = self->spec->s.kind == PULSE_CHILD_PROCESS ? 0 :
		self->spec->s.max_memory_bytes;
	pthread_mutex_lock(&self->mem_lock);
	if (limit && (pulse__add_overflow(self->mem_bytes, bytes, &all) ||
		      all > limit)) {
		pthread_mutex_unlock(&self->mem_lock);
		pulse__post_drive(self, PULSE__POST_MEMORY);
		return -EDQUOT;
	}
	b = pulse__aligned_alloc(16, sizeof(*b) + bytes);
	if (b) {
		b->bytes = bytes;
		b->magic = BLOCK_MAGIC;
		b->next = self->blocks;
		b->link = &self->blocks;
		if (b->next)
			b->next->link = &b->next;
		self->blocks = b;
		WRITE_ONCE(self->mem_bytes, self->mem_bytes + bytes);
		*out = b + 1;
	}
	pthread_mutex_unlock(&self->mem_lock);
	return b ? 0 : -ENOMEM;
}

int pulse_child_free(struct pulse_child *self, void *ptr)
{
	struct pulse__block *b = (struct pulse__block *)ptr - 1;

	if (!self)
		return -EINVAL;
	if (!ptr)
		return 0;
	if (b->magic != BLOCK_MAGIC)
		return -EINVAL;
	pthread_mutex_lock(&self->mem_lock);
	*b->link = b->next;
	if (b->next)
		b->next->link = b->link;
	WRITE_ONCE(self->mem_bytes, self->mem_bytes - b->bytes);
	pthread_mutex_unlock(&self->mem_lock);
	b->magic = 0;
	pulse__free(b);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* self.c - what an actor has for itself: state, memory, where it is. */
#include "actor/actor.h"

#define PULSE__ACTX_VER0	pulse__size_to(struct pulse_actor_context, handled)

int pulse_actor_context(const struct pulse_actor *self,
			struct pulse_actor_context *out)
{
	struct pulse_actor_context c = { .sz = sizeof(c) };
	int err = pulse__out_check(out, PULSE__ACTX_VER0);

	if (err || !self)
		return err ? err : -EINVAL;
	c.sys = self->sys;
	c.ref = self->ref;
	c.type = self->type->name;
	c.thread_id = pulse__actor_thread_id(self);
	c.node = self->node;
	c.handled = self->handled;
	pulse__out_store(out, &c, sizeof(c));
	return 0;
}

uint64_t pulse_actor_self(const struct pulse_actor *self)
{
	if (!self)
		self = pulse__actor_self;
	return self ? self->ref : PULSE_ACTOR_NONE;
}

struct pulse_actors *pulse_actor_system(const struct pulse_actor *self)
{
	return self ? self->sys : NULL;
}

void *pulse_actor_state(const struct pulse_actor *self)
{
	return self ? self->state : NULL;
}

int pulse_actor_set_state(struct pulse_actor *self, void *state,
			  void (*destroy)(void *state))
{
	if (!self)
		return -EINVAL;
	if (self->destroy && self->state && self->state != state)
		self->destroy(self->state);
	self->state = state;
	self->destroy = destroy;
	return 0;
}

int pulse_actor_reset_state(struct pulse_actor *self)
{
	return pulse_actor_set_state(self, NULL, NULL);
}

int pulse_actor_stash(struct pulse_actor *self)
{
	struct pulse__amsg *m;
	uint32_t limit;

	if (!self || self->batch)
		return -EINVAL;
	m = self->now;
	if (!m)
		return -ENOMSG;
	limit = self->type->opts.mailbox_limit;
	if (limit && self->stashed >= limit)
		return -ENOSPC;
	/* It has left the mailbox: who sends is not held back by it. */
	m->view.reserved = 0;	/* neither counted nor ahead */
	m->next = self->stash;
	self->stash = m;
	self->stashed++;
	self->now = NULL;
	return 0;
}

int pulse_actor_unstash(struct pulse_actor *self)
{
	struct pulse__amsg *m = self ? self->local : NULL;
	uint32_t nr, ahead;

	if (!self || self->batch)
		return -EINVAL;
	nr = self->stashed;
	/* The next urgent ones do not go before those that were before them. */
	ahead = m ? m->view.reserved & PULSE__AMSG_AHEAD : 0;
	/* The newest first, so that the oldest is first in the end. */
	while ((m = self->stash)) {
		self->stash = m->next;
		m->next = self->local;
		m->view.reserved |= ahead;
		self->local = m;
	}
	self->stashed = 0;
	return (int)nr;
}

/* ---- what handles its messages ------------------------------------------- */

int pulse_actor_become(struct pulse_actor *self, pulse_actor_fn receive)
{
	if (!self || !receive)
		return -EINVAL;
	self->receive = receive;
	return 0;
}

int pulse_actor_become_over(struct pulse_actor *self, pulse_actor_fn receive)
{
	const struct pulse__abehave *at;
	struct pulse__abehave *b;
	int depth = 0;

	if (!self || !receive)
		return -EINVAL;
	for (at = self->under; at; at = at->under)
		depth++;
	if (depth >= PULSE__BECOME_MAX)
		return -ENOSPC;
	b = pulse__malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->under = self->under;
	b->receive = self->receive;
	self->under = b;
	self->receive = receive;
	return 0;
}

int pulse_actor_unbecome(struct pulse_actor *self)
{
	struct pulse__abehave *b;
	pulse_actor_fn own;

	if (!self)
		return -EINVAL;
	b = self->under;
	own = self->type->opts.receive;
	if (!b && self->receive == own)
		return -EALREADY;
	self->receive = b ? b->receive : own;
	self->under = b ? b->under : NULL;
	pulse__free(b);
	return 0;
}

void *pulse_actor_alloc(struct pulse_actor *self, size_t bytes)
{
	struct pulse__amem *m;
	size_t limit, all;

	if (!self || pulse__add_overflow(bytes, sizeof(*m), &all))
		return NULL;
	limit = self->type->opts.memory_limit;
	if (limit && (bytes > limit || self->mem_bytes > limit - bytes))
		return NULL;
	m = pulse__calloc(1, all);
	if (!m)
		return NULL;
	m->bytes = bytes;
	pulse__list_add(&self->mem, &m->link);
	WRITE_ONCE(self->mem_bytes, self->mem_bytes + bytes);
	return m + 1;
}

void pulse_actor_free(struct pulse_actor *self, void *p)
{
	struct pulse__amem *m = p;

	if (!self || !p)
		return;
	m--;
	pulse__list_del(&m->link);
	WRITE_ONCE(self->mem_bytes, self->mem_bytes - m->bytes);
	pulse__free(m);
}

void pulse__actor_forget(struct pulse_actor *a)
{
	struct pulse__list *at;

	/* The state may lie in the memory. */
	pulse_actor_reset_state(a);
	while (a->under)
		pulse_actor_unbecome(a);
	while ((at = pulse__list_pop(&a->mem)))
		pulse__free(container_of(at, struct pulse__amem, link));
	WRITE_ONCE(a->mem_bytes, 0);
}

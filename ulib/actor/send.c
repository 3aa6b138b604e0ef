// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * send.c - messages into mailboxes.
 */
#include "actor/actor.h"

#define PULSE__MSG_MAX	(1U << 30)

static PULSE__NOINLINE struct pulse__amsg *
pulse__amsg_alloc(struct pulse_actors *sys, size_t bytes)
{
	void *mem = NULL;
	int err = 0;

	if (unlikely(pulse__alloc_fault()))
		return NULL;
	if (!bytes)
		err = pulse_slab_alloc(sys->tiny, &mem);
	else if (bytes <= PULSE__MSG_SMALL)
		err = pulse_slab_alloc(sys->small, &mem);
	else if (bytes <= PULSE__MSG_MIDDLE)
		err = pulse_slab_alloc(sys->middle, &mem);
	else
		mem = malloc(sizeof(struct pulse__amsg) + bytes);
	return err ? NULL : mem;
}

/* Which of a worker's spare ones. */
static inline unsigned int pulse__amsg_class(size_t bytes)
{
	return bytes != 0;
}

static PULSE__INLINE int pulse__amsg_make(struct pulse_actors *sys,
					  uint64_t target, int kind,
					  uint64_t tag, const void *data,
					  size_t bytes, struct pulse__amsg **out)
{
	struct pulse__arunner *r = pulse__arunner_self(sys);
	unsigned int k = pulse__amsg_class(bytes);
	struct pulse__amsg *m;

	if (unlikely(bytes && !data))
		return -EINVAL;
	if (unlikely(bytes > PULSE__MSG_MAX))
		return -EMSGSIZE;
	if (likely(r && r->spare[k] && bytes <= PULSE__MSG_SMALL)) {
		m = r->spare[k];
		r->spare[k] = m->next;
		r->nr_spare[k]--;
	} else {
		m = pulse__amsg_alloc(sys, bytes);
		if (unlikely(!m))
			return -ENOMEM;
	}
	m->target = target;
	m->call = NULL;
	m->view.from = pulse__actor_from(sys);
	m->view.tag = tag;
	m->view.data = bytes ? m->data : NULL;
	m->view.bytes = (uint32_t)bytes;
	m->view.kind = kind;
	m->view.reason = 0;
	m->view.reserved = 0;
	if (bytes)
		memcpy(m->data, data, bytes);
	*out = m;
	return 0;
}

int pulse__amsg_new(struct pulse_actors *sys, uint64_t target, int kind,
		    uint64_t tag, const void *data, size_t bytes,
		    struct pulse__amsg **out)
{
	return pulse__amsg_make(sys, target, kind, tag, data, bytes, out);
}

static PULSE__NOINLINE void pulse__amsg_release(struct pulse_actors *sys,
						struct pulse__amsg *m)
{
	if (!m->view.bytes)
		pulse_slab_free(sys->tiny, m);
	else if (m->view.bytes <= PULSE__MSG_SMALL)
		pulse_slab_free(sys->small, m);
	else if (m->view.bytes <= PULSE__MSG_MIDDLE)
		pulse_slab_free(sys->middle, m);
	else
		pulse__free(m);
}

void pulse__amsg_free(struct pulse_actors *sys, struct pulse__amsg *m, int err)
{
	struct pulse__arunner *r = pulse__arunner_self(sys);
	unsigned int k = pulse__amsg_class(m->view.bytes);

	if (unlikely(m->call))
		pulse__acall_end(sys, m->call, err, NULL, 0);
	if (unlikely(!r || m->view.bytes > PULSE__MSG_SMALL ||
		     r->nr_spare[k] >= PULSE__MSG_SPARE)) {
		pulse__amsg_release(sys, m);
		return;
	}
	m->next = r->spare[k];
	r->spare[k] = m;
	r->nr_spare[k]++;
}

static PULSE__INLINE int pulse__amsg_put(struct pulse_actor *a,
					 struct pulse__amsg *m)
{
	uintptr_t old = READ_ONCE(a->inbox), new;

	do {
		if (unlikely(old == PULSE__INBOX_CLOSED))
			return -ESRCH;
		if (old == PULSE__INBOX_REST) {
			m->next = NULL;
			new = (uintptr_t)m | PULSE__INBOX_QUEUED;
		} else {
			m->next = PULSE__INBOX_LIST(old);
			new = (uintptr_t)m | (old & (PULSE__INBOX_QUEUED |
						     PULSE__INBOX_KEPT));
		}
		/*
		 * release: pairs with the exchange of run.c:pulse__actor_fetch;
		 * acquire: who puts it to work sees what its last runner left
		 */
	} while (!pulse__cas(&a->inbox, &old, new, __ATOMIC_ACQ_REL,
			     __ATOMIC_RELAXED));
	if (old == PULSE__INBOX_REST)
		pulse__actor_place(a, false);
	return 0;
}

/* A of the head of actor.h: what it is put into, then a look at the mailbox. */
static int pulse__amsg_put_urgent(struct pulse_actor *a, struct pulse__amsg *m)
{
	struct pulse__amsg *old = READ_ONCE(a->urgent);

	do {
		if (unlikely(old == PULSE__URGENT_CLOSED))
			return -ESRCH;
		m->next = old;
		/* also a release: pairs with run.c:pulse__actor_ahead */
	} while (!pulse__cas(&a->urgent, &old, m, __ATOMIC_SEQ_CST,
			     __ATOMIC_RELAXED));
	pulse__actor_nudge(a);
	return 0;
}

int pulse__amsg_push(struct pulse_actors *sys, struct pulse_actor *a,
		     struct pulse__amsg *m)
{
	(void)sys;
	return pulse__amsg_put(a, m);
}

int pulse__amsg_signal(struct pulse_actor *a, struct pulse__amsg *m)
{
	return READ_ONCE(a->type)->opts.flags & PULSE_ACTOR_SIGNALS_FIRST ?
	       pulse__amsg_put_urgent(a, m) : pulse__amsg_put(a, m);
}

/* The one it is from has to wait until half is done; see run.c. */
static void pulse__actor_over(struct pulse_actor *a)
{
	struct pulse_actor *self = pulse__actor_self;

	if (self && self != a && self->sys == a->sys &&
	    /* Who is muted mutes nobody, lest they wait for each other. */
	    !__atomic_load_n(&a->waits, __ATOMIC_SEQ_CST))
		self->mute_on = a;
}

/* Does another worker run it? Its line was just written, this is no more. */
static PULSE__INLINE void pulse__actor_went(const struct pulse_actor *a)
{
	struct pulse__arunner *r = pulse__actor_runner;
	uint16_t home = READ_ONCE(a->home);

	if (likely(!r || home == r->home) || !home || r->sys != a->sys)
		return;
	r->abroad++;
	r->abroad_to = home;
}

static PULSE__INLINE int pulse__actor_post_to(struct pulse_actors *sys,
					      uint64_t ref,
					      struct pulse__acall *call,
					      uint64_t tag, const void *data,
					      size_t bytes, bool urgent)
{
	struct pulse_actor *a = pulse__actor_at(sys, ref);
	struct pulse__atype *t;
	struct pulse__amsg *m;
	uint64_t limit;
	uint32_t n;
	int err;

	if (unlikely(!a || !ref))
		return -ESRCH;
	/* To be written at once: a look first would fetch the line twice. */
	__builtin_prefetch(a, 1);
	/* pairs with the release in spawn.c */
	if (unlikely(pulse__load_acquire(&a->ref) != ref))
		return -ESRCH;
	err = pulse__amsg_make(sys, ref, call ? PULSE_ACTOR_CALL :
			       PULSE_ACTOR_SEND, tag, data, bytes, &m);
	if (unlikely(err))
		return err;
	m->call = call;
	t = READ_ONCE(a->type);
	if (t->counts) {
		m->view.reserved = PULSE__AMSG_COUNTED;
		limit = (uint64_t)t->opts.mailbox_limit << urgent;
		n = __atomic_add_fetch(&a->queued, 1, __ATOMIC_SEQ_CST);
		if (unlikely(limit && n > limit)) {
			if (!pulse__actor_from(sys)) {
				err = -EAGAIN;
				goto out;
			}
			pulse__actor_over(a);
		}
	}
	err = urgent ? pulse__amsg_put_urgent(a, m) : pulse__amsg_put(a, m);
	if (likely(!err)) {
		pulse__actor_went(a);
		return 0;
	}
out:
	if (t->counts)
		__atomic_fetch_sub(&a->queued, 1, __ATOMIC_SEQ_CST);
	m->call = NULL;
	pulse__amsg_free(sys, m, 0);
	return err;
}

int pulse__actor_post(struct pulse_actors *sys, uint64_t ref,
		      struct pulse__acall *call, uint64_t tag,
		      const void *data, size_t bytes)
{
	return pulse__actor_post_to(sys, ref, call, tag, data, bytes, false);
}

int pulse__actor_post_urgent(struct pulse_actors *sys, uint64_t ref,
			     struct pulse__acall *call, uint64_t tag,
			     const void *data, size_t bytes)
{
	return pulse__actor_post_to(sys, ref, call, tag, data, bytes, true);
}

int pulse_actor_send(struct pulse_actors *sys, uint64_t ref, uint64_t tag,
		     const void *data, size_t bytes)
{
	int err = pulse__actors_check(sys);

	return unlikely(err) ? err :
	       pulse__actor_post_to(sys, ref, NULL, tag, data, bytes, false);
}

int pulse_actor_send_urgent(struct pulse_actors *sys, uint64_t ref,
			    uint64_t tag, const void *data, size_t bytes)
{
	int err = pulse__actors_check(sys);

	return err ? err :
	       pulse__actor_post_urgent(sys, ref, NULL, tag, data, bytes);
}

int pulse_actor_send_type(struct pulse_actors *sys, const char *type,
			  uint64_t tag, const void *data, size_t bytes)
{
	uint64_t ref;
	int err;

	for (;;) {
		err = pulse_actor_find(sys, type, tag, &ref);
		if (err)
			return err;
		err = pulse__actor_post(sys, ref, NULL, tag, data, bytes);
		/* It ended just then: there may be another. */
		if (err != -ESRCH)
			return err;
	}
}

int pulse_actor_broadcast(struct pulse_actors *sys, const char *type,
			  uint64_t tag, const void *data, size_t bytes)
{
	int err = pulse__actors_check(sys), n = 0;
	struct pulse__atype *t;
	uint64_t *refs;
	uint32_t nr;

	if (err)
		return err;
	if (!type || (bytes && !data))
		return -EINVAL;
	t = pulse__atype_find(sys, type);
	if (!t)
		return -ENOENT;
	err = pulse__atype_lock(sys, t);
	if (err)
		return err;
	nr = t->nr;
	refs = nr ? pulse__malloc(nr * sizeof(*refs)) : NULL;
	if (refs)
		memcpy(refs, t->ref, nr * sizeof(*refs));
	pthread_mutex_unlock(&t->lock);
	if (nr && !refs)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr && err != -ENOMEM; i++) {
		err = pulse__actor_post(sys, refs[i], NULL, tag, data, bytes);
		n += !err;
	}
	pulse__free(refs);
	return err == -ENOMEM || err == -EMSGSIZE ? err : n;
}

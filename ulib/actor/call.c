// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * call.c - calls: a message that somebody waits for the answer to.
 *
 *   WAITING --> FILLING --> DONE		whoever answers, once
 *      `------> GIVEN_UP			the caller
 *
 * The answer is copied into the caller's own buffer, in FILLING only: a caller
 * whose time is over then waits for that copy. What is left of the call is
 * counted: the caller's reference and the message's.
 */
#include "actor/actor.h"
#include "backend/backend.h"

enum pulse__acall_state {
	PULSE__CALL_WAITING,
	PULSE__CALL_FILLING,
	PULSE__CALL_DONE,
	PULSE__CALL_GIVEN_UP,
};

/* How far a circle of calls is looked for. */
#define PULSE__CALL_DEPTH	64

static void pulse__acall_put(struct pulse_actors *sys, struct pulse__acall *c)
{
	/* release and acquire: the last one sees the other done */
	if (__atomic_fetch_sub(&c->refs, 1, __ATOMIC_ACQ_REL) == 1)
		pulse_slab_free(sys->tiny, c);
}

int pulse__acall_end(struct pulse_actors *sys, struct pulse__acall *c, int err,
		     const void *data, size_t bytes)
{
	uint32_t waiting = PULSE__CALL_WAITING;
	size_t fits;

	if (unlikely(c->answered)) {
		c->answered(c, err, data, bytes);
		return 0;
	}
	/* acquire: pairs with the caller's making of it, by way of the inbox */
	if (!pulse__cas(&c->state, &waiting, PULSE__CALL_FILLING,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		pulse__acall_put(sys, c);
		return -ECANCELED;
	}
	fits = bytes < c->room ? bytes : c->room;
	if (fits)
		memcpy(c->buf, data, fits);
	c->bytes = bytes;
	c->err = err;
	/* seq_cst: this and the look at sleeping; the caller's the other way */
	__atomic_store_n(&c->state, PULSE__CALL_DONE, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->sleeping, __ATOMIC_SEQ_CST))
		pulse__futex_wake(&c->state, 1);
	pulse__acall_put(sys, c);
	return 0;
}

static bool pulse__acall_done(struct pulse__acall *c)
{
	return __atomic_load_n(&c->state, __ATOMIC_SEQ_CST) == PULSE__CALL_DONE;
}

/* The caller's time is over. True: the answer came all the same. */
static bool pulse__acall_give_up(struct pulse__acall *c)
{
	uint32_t state = PULSE__CALL_WAITING;

	if (pulse__cas(&c->state, &state, PULSE__CALL_GIVEN_UP,
		       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	while (!pulse__acall_done(c))
		pulse__futex_wait(&c->state, PULSE__CALL_FILLING,
				  pulse_now_ns() + PULSE__NSEC_PER_MSEC);
	return true;
}

static bool pulse__acall_wait(struct pulse_actors *sys, struct pulse__acall *c,
			      uint64_t ref, int64_t deadline_ns)
{
	struct pulse_actor *a = pulse__actor_at(sys, ref);
	bool inside = pulse__actor_self && !pulse__actor_self->thread &&
		      !READ_ONCE(a->thread);

	/* Perhaps the worker that would run it is this one. */
	while (inside && !pulse__acall_done(c) && pulse__actor_run_here(a))
		;
	__atomic_store_n(&c->sleeping, 1, __ATOMIC_SEQ_CST);
	while (!pulse__acall_done(c)) {
		int64_t until = deadline_ns, soon;

		if (deadline_ns != PULSE_FOREVER &&
		    deadline_ns <= pulse_now_ns())
			return pulse__acall_give_up(c);
		/* It may be put to work later and wait for this worker. */
		soon = inside ? pulse_now_ns() + PULSE__NSEC_PER_MSEC : until;
		if (soon < until)
			until = soon;
		pulse__futex_wait(&c->state, PULSE__CALL_WAITING, until);
		if (inside && !pulse__acall_done(c))
			pulse__actor_run_here(a);
	}
	return true;
}

/*
 * Would they wait for each other? Each says whom it waits for before it looks
 * (both seq_cst), so of those in a circle at least the last one sees it.
 */
static bool pulse__acall_circle(struct pulse_actors *sys,
				const struct pulse_actor *self, uint64_t ref)
{
	for (int i = 0; i < PULSE__CALL_DEPTH; i++) {
		const struct pulse_actor *a = pulse__actor_of(sys, ref);

		if (!a)
			return false;
		if (a == self)
			return true;
		ref = __atomic_load_n(&a->calling, __ATOMIC_SEQ_CST);
		if (!ref)
			return false;
	}
	return false;
}

static int pulse__acall_new(struct pulse_actors *sys, void *reply, size_t room,
			    struct pulse__acall **out)
{
	void *mem;

	if (pulse__alloc_fault() || pulse_slab_alloc(sys->tiny, &mem))
		return -ENOMEM;
	*out = mem;
	memset(mem, 0, sizeof(**out));
	(*out)->refs = 2;
	(*out)->buf = reply;
	(*out)->room = room;
	return 0;
}

static int pulse__acall_do(struct pulse_actors *sys, uint64_t ref, uint64_t tag,
			   const void *data, size_t bytes, int64_t deadline_ns,
			   void *reply, size_t *reply_bytes, bool urgent)
{
	struct pulse__acall *c;
	int err;

	err = pulse__acall_new(sys, reply, reply_bytes ? *reply_bytes : 0, &c);
	if (err)
		return err;
	if (reply_bytes)
		*reply_bytes = 0;
	err = urgent ? pulse__actor_post_urgent(sys, ref, c, tag, data, bytes) :
		       pulse__actor_post(sys, ref, c, tag, data, bytes);
	if (err) {
		pulse_slab_free(sys->tiny, c);
		return err;
	}
	err = -ETIMEDOUT;
	if (pulse__acall_wait(sys, c, ref, deadline_ns)) {
		err = c->err;
		if (reply_bytes)
			*reply_bytes = c->bytes;
		if (!err && c->bytes > c->room && reply_bytes)
			err = -EMSGSIZE;
	}
	pulse__acall_put(sys, c);
	return err;
}

static int pulse__actor_call(struct pulse_actors *sys, uint64_t ref,
			     uint64_t tag, const void *data, size_t bytes,
			     int64_t deadline_ns, void *reply,
			     size_t *reply_bytes, bool urgent)
{
	struct pulse_actor *self = pulse__actor_self;
	int err = pulse__actors_check(sys);
	uint64_t before;

	if (err)
		return err;
	if (deadline_ns < 0 || (reply && !reply_bytes) ||
	    (reply_bytes && *reply_bytes && !reply))
		return -EINVAL;
	if (!self || self->sys != sys)
		return pulse__acall_do(sys, ref, tag, data, bytes, deadline_ns,
				       reply, reply_bytes, urgent);
	before = self->calling;
	__atomic_store_n(&self->calling, ref, __ATOMIC_SEQ_CST);
	err = -EDEADLK;
	if (!pulse__acall_circle(sys, self, ref))
		err = pulse__acall_do(sys, ref, tag, data, bytes, deadline_ns,
				      reply, reply_bytes, urgent);
	__atomic_store_n(&self->calling, before, __ATOMIC_SEQ_CST);
	return err;
}

int pulse_actor_call(struct pulse_actors *sys, uint64_t ref, uint64_t tag,
		     const void *data, size_t bytes, int64_t deadline_ns,
		     void *reply, size_t *reply_bytes)
{
	return pulse__actor_call(sys, ref, tag, data, bytes, deadline_ns,
				 reply, reply_bytes, false);
}

int pulse_actor_call_urgent(struct pulse_actors *sys, uint64_t ref,
			    uint64_t tag, const void *data, size_t bytes,
			    int64_t deadline_ns, void *reply,
			    size_t *reply_bytes)
{
	return pulse__actor_call(sys, ref, tag, data, bytes, deadline_ns,
				 reply, reply_bytes, true);
}

int pulse_actor_call_type(struct pulse_actors *sys, const char *type,
			  uint64_t tag, const void *data, size_t bytes,
			  int64_t deadline_ns, void *reply, size_t *reply_bytes)
{
	uint64_t ref;
	int err = pulse_actor_find(sys, type, tag, &ref);

	return err ? err : pulse_actor_call(sys, ref, tag, data, bytes,
					    deadline_ns, reply, reply_bytes);
}

/* ---- the other side --------------------------------------------------------- */

static int pulse__answer_now(struct pulse_actor *self, int err,
			     const void *data, size_t bytes)
{
	struct pulse__acall *c;

	if (!self || (bytes && !data))
		return -EINVAL;
	if (!self->now || !self->now->call)
		return -ENOTCONN;
	c = self->now->call;
	self->now->call = NULL;
	return pulse__acall_end(self->sys, c, err, data, bytes);
}

int pulse_actor_reply(struct pulse_actor *self, const void *data, size_t bytes)
{
	return pulse__answer_now(self, 0, data, bytes);
}

int pulse_actor_reply_error(struct pulse_actor *self, int err)
{
	return err >= 0 ? -EINVAL : pulse__answer_now(self, err, NULL, 0);
}

struct pulse_actor_later {
	struct pulse_actors *sys;
	struct pulse__acall *call;
};

int pulse_actor_defer(struct pulse_actor *self, struct pulse_actor_later **out)
{
	struct pulse_actor_later *later;

	if (!self || !out)
		return -EINVAL;
	*out = NULL;
	if (!self->now || !self->now->call)
		return -ENOTCONN;
	later = pulse__malloc(sizeof(*later));
	if (!later)
		return -ENOMEM;
	later->sys = self->sys;
	later->call = self->now->call;
	self->now->call = NULL;
	*out = later;
	return 0;
}

int pulse_actor_answer(struct pulse_actor_later *later, int err,
		       const void *data, size_t bytes)
{
	int ret;

	if (!later || err > 0 || (bytes && !data))
		return -EINVAL;
	ret = pulse__acall_end(later->sys, later->call, err, data, bytes);
	pulse__free(later);
	return ret;
}

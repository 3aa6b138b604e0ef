// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mesh_io.c - messages, calls and replies between processes: into the mailbox of
 * a place, and out of our own to actors.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "actor/mesh.h"
#include "backend/backend.h"
#include "lockfree/queue_int.h"
#include "mailbox/shmbox.h"

#define PULSE__MESH_LOOK_NS	(50 * PULSE__NSEC_PER_MSEC)
#define PULSE__MESH_PAUSE_NS	(PULSE__NSEC_PER_MSEC / 2)
#define PULSE__MESH_REPLY_NS	PULSE__NSEC_PER_SEC

static void pulse__mesh_pause(void)
{
	struct timespec ts = { .tv_nsec = PULSE__MESH_PAUSE_NS };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* ---- out ------------------------------------------------------------------------ */

/* With the peer's lock: a pidfd of who has the place, kept from call to call. */
static bool pulse__mesh_peer_alive(struct pulse__mesh_peer *p, uint64_t owner)
{
	struct pollfd pf = { .events = POLLIN };

	if (!owner)
		return false;
	if (p->owner != owner) {
		if (p->pidfd >= 0)
			close(p->pidfd);
		p->pidfd = pulse__owner_pidfd(owner);
		p->owner = p->pidfd < 0 ? 0 : owner;
		/* No descriptor to be had: asked each time. */
		if (p->pidfd < 0)
			return p->pidfd != -ESRCH && !pulse__owner_dead(owner);
	}
	pf.fd = p->pidfd;
	return poll(&pf, 1, 0) <= 0;
}

bool pulse__mesh_alive(struct pulse_mesh *mesh, uint32_t place, uint64_t life)
{
	const struct pulse__mesh_place *at = &mesh->shm->place[place];
	struct pulse__mesh_peer *p = &mesh->peer[place];
	bool alive;

	/* pairs with pulse__mesh_take */
	if (pulse__load_acquire(&at->life) != life ||
	    READ_ONCE(p->dead_life) == life)
		return false;
	if (mesh->place == (int)place)
		return true;
	pthread_mutex_lock(&p->lock);
	alive = pulse__mesh_peer_alive(p, READ_ONCE(at->owner));
	pthread_mutex_unlock(&p->lock);
	return alive;
}

int pulse__mesh_put(struct pulse_mesh *mesh, uint32_t place,
		    struct pulse__mesh_wire *w, const void *data, size_t bytes)
{
	bool inbox = w->what == PULSE__MESH_SEND || w->what == PULSE__MESH_CALL;
	struct pulse__mesh_peer *p = &mesh->peer[place];
	struct pulse_shmbox_tx **tx = inbox ? &p->to_inbox : &p->to_desk;
	struct pulse_message_opts o = { .sz = sizeof(o),
					.flags = PULSE_MESSAGE_UNTIMED };
	struct pulse_message *msg;
	char *at;
	int err;

	if (bytes > mesh->opts.slot_bytes - sizeof(*w))
		return -EMSGSIZE;
	o.payload_bytes = sizeof(*w) + bytes;
	err = pulse_message_create(&o, &msg);
	if (err)
		return err;
	w->from = (uint32_t)mesh->place;
	w->from_life = mesh->life;
	at = pulse_message_payload(msg, NULL);
	memcpy(at, w, sizeof(*w));
	if (bytes)
		memcpy(at + sizeof(*w), data, bytes);
	pthread_mutex_lock(&p->lock);
	if (!*tx)
		err = pulse_shmbox_tx_open(inbox ? p->inbox : p->desk, tx);
	if (!err)
		err = pulse_shmbox_send(*tx, msg);
	pthread_mutex_unlock(&p->lock);
	pulse_message_put(msg);
	return err;
}

int pulse__mesh_put_surely(struct pulse_mesh *mesh, uint32_t place,
			   uint64_t life, struct pulse__mesh_wire *w,
			   const void *data, size_t bytes)
{
	int64_t until = pulse_now_ns() + PULSE__MESH_REPLY_NS;
	int err;

	do {
		if (place >= mesh->opts.places ||
		    !pulse__mesh_alive(mesh, place, life))
			return -ESRCH;
		err = pulse__mesh_put(mesh, place, w, data, bytes);
		if (err != -EAGAIN && err != -ENOMEM)
			break;
		pulse__mesh_pause();
	} while (pulse_now_ns() < until);
	return err;
}

int pulse__mesh_put_owed(struct pulse_mesh *mesh, uint32_t place, uint64_t life,
			 struct pulse__mesh_wire *w, const void *data,
			 size_t bytes)
{
	int err;

	do {
		err = pulse__mesh_put_surely(mesh, place, life, w, data, bytes);
	} while (err == -ENOMEM && !READ_ONCE(mesh->stopping));
	return err;
}

static int pulse__mesh_post(struct pulse_mesh *mesh,
			    const struct pulse_mesh_addr *to, uint32_t what,
			    uint64_t number, uint64_t tag, const void *data,
			    size_t bytes)
{
	struct pulse__mesh_wire w = { .what = what, .number = number, .tag = tag,
				      .index = to->name,
				      .publication = to->publication };
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (!data && bytes)
		return -EINVAL;
	if (mesh->place < 0)
		return -ENOTCONN;
	if (to->place >= mesh->opts.places || to->name >= PULSE_MESH_NAMES)
		return -EINVAL;
	memcpy(w.name, mesh->shm->place[to->place].name[to->name].text,
	       sizeof(w.name));
	w.name[PULSE_MESH_NAME_MAX] = 0;
	/* After the copy: it is of this publication. */
	if (!pulse__mesh_is(mesh, to))
		return -ESRCH;
	return pulse__mesh_put(mesh, to->place, &w, data, bytes);
}

int pulse_mesh_send(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to,
		    uint64_t tag, const void *data, size_t bytes)
{
	return to ? pulse__mesh_post(mesh, to, PULSE__MESH_SEND, 0, tag, data,
				     bytes) : -EINVAL;
}

/* With mesh->lock. 0; -ETIMEDOUT; -ESRCH who was to answer is gone. */
static int pulse__mesh_wait(struct pulse_mesh *mesh,
			    const struct pulse_mesh_addr *to,
			    struct pulse__mesh_pending *c, int64_t deadline_ns)
{
	while (!c->done) {
		int64_t now = pulse_now_ns(), until = now + PULSE__MESH_LOOK_NS;
		struct timespec ts;
		bool alive;

		if (deadline_ns != PULSE_FOREVER && now >= deadline_ns)
			return -ETIMEDOUT;
		if (READ_ONCE(mesh->stopping))
			return -ENOTCONN;
		if (deadline_ns < until)
			until = deadline_ns;
		pulse__ns_to_timespec(until, &ts);
		if (!pthread_cond_timedwait(&mesh->answered, &mesh->lock, &ts) ||
		    c->done)
			continue;
		pthread_mutex_unlock(&mesh->lock);
		alive = pulse__mesh_alive(mesh, to->place, to->life);
		pthread_mutex_lock(&mesh->lock);
		/* What it had answered before is looked at once more. */
		if (!alive && !c->done) {
			pulse__ns_to_timespec(pulse_now_ns() +
					      PULSE__MESH_LOOK_NS, &ts);
			pthread_cond_timedwait(&mesh->answered, &mesh->lock, &ts);
			if (!c->done)
				return -ESRCH;
		}
	}
	return 0;
}

/* Somebody will wait for the answer to @number; 0: to a new one. */
static void pulse__mesh_pend(struct pulse_mesh *mesh,
			     struct pulse__mesh_pending *c, uint64_t number)
{
	pthread_mutex_lock(&mesh->lock);
	c->number = number ? number : ++mesh->number;
	pulse__list_add_tail(&mesh->pending, &c->link);
	pthread_mutex_unlock(&mesh->lock);
}

/* It was sent, or, with @err, not. 0: the answer is there. */
static int pulse__mesh_pended(struct pulse_mesh *mesh,
			      const struct pulse_mesh_addr *to,
			      struct pulse__mesh_pending *c,
			      int64_t deadline_ns, int err)
{
	pthread_mutex_lock(&mesh->lock);
	if (!err)
		err = pulse__mesh_wait(mesh, to, c, deadline_ns);
	pulse__list_del(&c->link);
	pthread_mutex_unlock(&mesh->lock);
	return err;
}

int pulse__mesh_ask(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to,
		    struct pulse__mesh_wire *w)
{
	struct pulse__mesh_pending c = { .err = 0 };
	int err;

	pulse__mesh_pend(mesh, &c, w->number);
	err = pulse__mesh_is(mesh, to) ?
	      pulse__mesh_put_surely(mesh, to->place, to->life, w, NULL, 0) :
	      -ESRCH;
	err = pulse__mesh_pended(mesh, to, &c, PULSE_FOREVER, err);
	return err ? err : c.err;
}

int pulse_mesh_call(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to,
		    uint64_t tag, const void *data, size_t bytes,
		    int64_t deadline_ns, void *reply, size_t *reply_bytes)
{
	struct pulse__mesh_pending c = {
		.buf = reply, .room = reply_bytes ? *reply_bytes : 0,
	};
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (!to || deadline_ns < 0 || (reply && !reply_bytes) ||
	    (c.room && !reply))
		return -EINVAL;
	if (!mesh->started)
		return -ENOTCONN;
	if (reply_bytes)
		*reply_bytes = 0;
	pulse__mesh_pend(mesh, &c, 0);
	err = pulse__mesh_post(mesh, to, PULSE__MESH_CALL, c.number, tag, data,
			       bytes);
	err = pulse__mesh_pended(mesh, to, &c, deadline_ns, err);
	if (err)
		return err;
	if (reply_bytes)
		*reply_bytes = c.bytes;
	if (!c.err && c.bytes > c.room && reply_bytes)
		return -EMSGSIZE;
	return c.err;
}

/* ---- in: to actors ---------------------------------------------------------------- */

/* A message that an actor of ours has. */
struct pulse__mesh_answer {
	struct pulse__acall call;
	struct pulse__list link;	/* mesh->answers */
	struct pulse_mesh *mesh;	/* NULL: it has left; answers_lock */
	uint32_t what;
	uint32_t place;
	uint64_t life, number;
	uint32_t refs;			/* SEND: the inbox's thread has one */
	uint32_t done;			/* atomic; err is there */
	int err;
};

static pthread_mutex_t answers_lock = PTHREAD_MUTEX_INITIALIZER;

static void pulse__mesh_answer_put(struct pulse__mesh_answer *a)
{
	/* release and acquire: the last one sees the other done */
	if (__atomic_fetch_sub(&a->refs, 1, __ATOMIC_ACQ_REL) == 1)
		pulse__free(a);
}

void pulse__mesh_forget_answers(struct pulse_mesh *mesh)
{
	struct pulse__mesh_answer *a;
	struct pulse__list *at;

	pthread_mutex_lock(&answers_lock);
	while ((at = pulse__list_pop(&mesh->answers))) {
		a = container_of(at, struct pulse__mesh_answer, link);
		pulse__list_init(&a->link);
		a->mesh = NULL;
	}
	pthread_mutex_unlock(&answers_lock);
	/* Who found it there is sending; see PULSE__MESH_REPLY_NS. */
	while (__atomic_load_n(&mesh->busy, __ATOMIC_ACQUIRE))
		pulse__mesh_pause();
}

void pulse__mesh_reply(struct pulse_mesh *mesh, uint32_t place, uint64_t life,
		       uint64_t number, int err, const void *data, size_t bytes)
{
	struct pulse__mesh_wire w = { .what = PULSE__MESH_REPLY, .err = err,
				      .number = number, .publication = life };

	if (pulse__mesh_put_owed(mesh, place, life, &w, data, bytes) ==
	    -EMSGSIZE) {
		w.err = -EMSGSIZE;
		pulse__mesh_put_owed(mesh, place, life, &w, NULL, 0);
	}
}

/* In the thread where the message's end came. */
static void pulse__mesh_answered(struct pulse__acall *call, int err,
				 const void *data, size_t bytes)
{
	struct pulse__mesh_answer *a =
		container_of(call, struct pulse__mesh_answer, call);
	struct pulse_mesh *mesh;

	pthread_mutex_lock(&answers_lock);
	mesh = a->mesh;
	if (mesh) {
		pulse__list_del(&a->link);
		__atomic_fetch_add(&mesh->busy, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&answers_lock);
	if (mesh && a->what == PULSE__MESH_CALL)
		pulse__mesh_reply(mesh, a->place, a->life, a->number, err, data,
				  bytes);
	a->err = err;
	/* pairs with pulse__mesh_handled */
	pulse__store_release(&a->done, 1);
	if (a->what == PULSE__MESH_SEND)
		pulse__futex_wake(&a->done, 1);
	pulse__mesh_answer_put(a);
	if (mesh)
		__atomic_fetch_sub(&mesh->busy, 1, __ATOMIC_RELEASE);
}

/* 0 it was handled; -ESRCH it was not; -EINTR we stop, and nobody knows. */
static int pulse__mesh_handled(struct pulse_mesh *mesh,
			       struct pulse__mesh_answer *a)
{
	int err = -EINTR;

	/* pairs with pulse__mesh_answered */
	while (!pulse__load_acquire(&a->done) && !READ_ONCE(mesh->stopping))
		pulse__futex_wait(&a->done, 0,
				  pulse_now_ns() + PULSE__MESH_LOOK_NS);
	if (pulse__load_acquire(&a->done))
		err = a->err == -ESRCH ? -ESRCH : 0;
	pulse__mesh_answer_put(a);
	return err;
}

/* One message to its actor. 0 done with it; -ESRCH a dead letter; -EINTR ours no more. */
static int pulse__mesh_deliver(struct pulse_mesh *mesh,
			       const struct pulse__mesh_wire *w,
			       const void *data, size_t bytes)
{
	bool handled = w->what == PULSE__MESH_CALL ||
		       mesh->opts.flags & PULSE_MESH_HANDLED;
	struct pulse__mesh_answer *a = NULL;
	uint64_t ref;
	int err;

	for (;;) {
		ref = pulse__mesh_target(mesh, w->name);
		if (ref && handled && !a) {
			a = pulse__calloc(1, sizeof(*a));
			if (a) {
				a->call.answered = pulse__mesh_answered;
				a->mesh = mesh;
				a->what = w->what;
				a->place = w->from;
				a->life = w->from_life;
				a->number = w->number;
				a->refs = w->what == PULSE__MESH_CALL ? 1 : 2;
				pthread_mutex_lock(&answers_lock);
				pulse__list_add_tail(&mesh->answers, &a->link);
				pthread_mutex_unlock(&answers_lock);
			}
		}
		err = !ref ? -ESRCH : handled && !a ? -ENOMEM :
		      pulse__actor_post(mesh->sys, ref, a ? &a->call : NULL,
					w->tag, data, bytes);
		/* Its mailbox is full, or there is no memory: others wait too. */
		if (err != -EAGAIN && err != -ENOMEM)
			break;
		if (READ_ONCE(mesh->stopping)) {
			err = -EINTR;
			break;
		}
		pulse__mesh_pause();
	}
	if (!err)
		return handled && w->what == PULSE__MESH_SEND ?
		       pulse__mesh_handled(mesh, a) : 0;
	if (a) {
		pthread_mutex_lock(&answers_lock);
		pulse__list_del(&a->link);
		pthread_mutex_unlock(&answers_lock);
		pulse__free(a);
	}
	if (w->what == PULSE__MESH_CALL && err != -EINTR) {
		pulse__mesh_reply(mesh, w->from, w->from_life, w->number, err,
				  NULL, 0);
		return 0;
	}
	return err == -EMSGSIZE ? 0 : err;
}

/* ---- in: the two threads ------------------------------------------------------------ */

/* A payload of at least a head. */
static bool pulse__mesh_parse(const struct pulse_message *msg,
			      struct pulse__mesh_wire *w, const void **data,
			      size_t *bytes)
{
	const char *at = pulse_message_payload(msg, bytes);

	if (*bytes < sizeof(*w))
		return false;
	memcpy(w, at, sizeof(*w));
	w->name[PULSE_MESH_NAME_MAX] = 0;
	*bytes -= sizeof(*w);
	*data = *bytes ? at + sizeof(*w) : NULL;
	return true;
}

/* The thread waits as a worker of the context, where the mesh lies in one. */
static int pulse__mesh_enter(struct pulse_mesh *mesh, struct pulse_shmbox_rx *rx)
{
	int index;

	if (!mesh->ctx)
		return -1;
	index = pulse_worker_register(mesh->ctx, -1, 0);
	if (index < 0) {
		pulse__warn_once("mesh: no worker of the context: %s; messages are looked for now and then",
				 pulse_strerror(index));
		return -1;
	}
	pulse__shmbox_rx_worker(rx, index);
	return index;
}

static void pulse__mesh_exit(struct pulse_mesh *mesh, struct pulse_shmbox_rx *rx,
			     int index)
{
	if (index < 0)
		return;
	pulse__shmbox_rx_worker(rx, -1);
	pulse_worker_unregister(mesh->ctx, index);
}

void *pulse__mesh_inbox_main(void *arg)
{
	struct pulse_mesh *mesh = arg;
	int index = pulse__mesh_enter(mesh, mesh->inbox), err = 0;
	struct pulse__mesh_wire w;
	struct pulse_message *msg;
	const void *data;
	size_t bytes;

	while (err != -EINTR && !READ_ONCE(mesh->stopping)) {
		err = pulse_shmbox_receive(mesh->inbox, pulse_now_ns() +
					   PULSE__MESH_LOOK_NS, &msg);
		if (err == -ENOMEM)
			pulse__mesh_pause();
		if (err)
			continue;
		err = -ESRCH;
		if (pulse__mesh_parse(msg, &w, &data, &bytes) &&
		    (w.what == PULSE__MESH_SEND || w.what == PULSE__MESH_CALL))
			err = pulse__mesh_deliver(mesh, &w, data, bytes);
		if (err == -ESRCH)
			pulse_shmbox_reject(mesh->inbox);
		else if (!err)
			pulse_shmbox_ack(mesh->inbox);
		pulse_message_put(msg);
	}
	pulse__mesh_exit(mesh, mesh->inbox, index);
	return NULL;
}

static void pulse__mesh_on_reply(struct pulse_mesh *mesh,
				 const struct pulse__mesh_wire *w,
				 const void *data, size_t bytes)
{
	struct pulse__mesh_pending *c;

	pthread_mutex_lock(&mesh->lock);
	pulse__list_for_each_entry(c, &mesh->pending, link) {
		if (c->number != w->number || c->done)
			continue;
		if (data && c->room)
			memcpy(c->buf, data, bytes < c->room ? bytes : c->room);
		c->bytes = bytes;
		c->err = w->err > 0 ? -EPROTO : w->err;
		c->done = true;
		pthread_cond_broadcast(&mesh->answered);
		break;
	}
	pthread_mutex_unlock(&mesh->lock);
}

void *pulse__mesh_desk_main(void *arg)
{
	struct pulse_mesh *mesh = arg;
	int index = pulse__mesh_enter(mesh, mesh->desk), err;
	struct pulse__mesh_wire w;
	struct pulse_message *msg;
	const void *data;
	size_t bytes;

	while (!READ_ONCE(mesh->stopping)) {
		err = pulse_shmbox_receive(mesh->desk, pulse_now_ns() +
					   PULSE__MESH_LOOK_NS, &msg);
		if (err == -ENOMEM)
			pulse__mesh_pause();
		if (err)
			continue;
		if (pulse__mesh_parse(msg, &w, &data, &bytes)) {
			/* Answers to who was here before are nobody's. */
			bool ours = w.publication == mesh->life;

			if (w.what == PULSE__MESH_REPLY && ours)
				pulse__mesh_on_reply(mesh, &w, data, bytes);
			else if (w.what == PULSE__MESH_WATCH)
				pulse__mesh_on_watch(mesh, &w);
			else if (w.what == PULSE__MESH_DOWN && ours)
				pulse__mesh_on_down(mesh, w.number, w.err);
		}
		pulse_shmbox_ack(mesh->desk);
		pulse_message_put(msg);
	}
	pulse__mesh_exit(mesh, mesh->desk, index);
	return NULL;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mesh.c - a mesh is made, opened, joined and left. What is where stands in
 * mesh.h.
 */
#include <unistd.h>

#include "actor/mesh.h"
#include "lockfree/queue_int.h"

#define PULSE__MESH_VER0 pulse__size_to(struct pulse_mesh_opts, reserved)

/* Senders of a mailbox: each place, and who delivers dead letters once more. */
static struct pulse_shmbox_opts
pulse__mesh_box_opts(const struct pulse_mesh_opts *o, bool inbox)
{
	return (struct pulse_shmbox_opts){
		.sz = sizeof(struct pulse_shmbox_opts),
		.slots = o->slots,
		.slot_bytes = o->slot_bytes,
		.senders = o->places + 1,
		.dead_letters = inbox && o->dead_letters > 0 ?
				(uint32_t)o->dead_letters : 0,
	};
}

static size_t pulse__mesh_box_bytes(const struct pulse_mesh_opts *o, bool inbox)
{
	struct pulse_shmbox_opts box = pulse__mesh_box_opts(o, inbox);

	return pulse__align_up(pulse_shmbox_bytes(&box), PULSE_CACHE_PAIR);
}

static size_t pulse__mesh_head(const struct pulse_mesh_opts *o)
{
	return sizeof(struct pulse__mesh_shm) +
	       o->places * sizeof(struct pulse__mesh_place);
}

static size_t pulse__mesh_need(const struct pulse_mesh_opts *o)
{
	return pulse__mesh_head(o) + o->places *
	       (pulse__mesh_box_bytes(o, true) + pulse__mesh_box_bytes(o, false));
}

/* Defaults are there already. 0 or -EINVAL. */
static int pulse__mesh_sane(const struct pulse_mesh_opts *o)
{
	struct pulse_shmbox_opts box = pulse__mesh_box_opts(o, true);

	return o->places < 1 || o->places > PULSE__MESH_PLACES ||
	       o->slot_bytes < 512 || o->slot_bytes > 65536 ||
	       o->dead_letters < 0 || o->flags & ~PULSE_MESH_HANDLED ||
	       o->reserved || !pulse_shmbox_bytes(&box) ? -EINVAL : 0;
}

static int pulse__mesh_opts(struct pulse_mesh_opts *o,
			    const struct pulse_mesh_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o), PULSE__MESH_VER0, opts);

	if (err)
		return err;
	if (!o->places)
		o->places = 8;
	if (!o->slots)
		o->slots = 64;
	if (!o->slot_bytes)
		o->slot_bytes = 1024;
	if (!o->dead_letters)
		o->dead_letters = 64;
	else if (o->dead_letters == PULSE_OFF)
		o->dead_letters = 0;
	return pulse__mesh_sane(o);
}

size_t pulse_mesh_bytes(const struct pulse_mesh_opts *opts)
{
	struct pulse_mesh_opts o;

	return pulse__mesh_opts(&o, opts) ? 0 : pulse__mesh_need(&o);
}

static void pulse__mesh_free(struct pulse_mesh *mesh)
{
	for (uint32_t i = 0; i < mesh->opts.places; i++) {
		struct pulse__mesh_peer *p = &mesh->peer[i];

		pulse_shmbox_tx_close(p->to_inbox);
		pulse_shmbox_tx_close(p->to_desk);
		pulse_shmbox_destroy(p->inbox);
		pulse_shmbox_destroy(p->desk);
		if (p->pidfd >= 0)
			close(p->pidfd);
		pthread_mutex_destroy(&p->lock);
	}
	pthread_mutex_destroy(&mesh->lock);
	pthread_cond_destroy(&mesh->answered);
	mesh->magic = PULSE__MAGIC_DEAD;
	pulse__memfd_end(&mesh->own);
	pulse__free(mesh);
}

/* A handle on memory whose sizes are checked; its mailboxes are made, or found. */
static int pulse__mesh_new(void *mem, const struct pulse_mesh_opts *o,
			   struct pulse_ctx *ctx, bool format,
			   struct pulse_mesh **out)
{
	unsigned char *at = (unsigned char *)mem + pulse__mesh_head(o);
	pthread_condattr_t attr;
	struct pulse_mesh *mesh;
	int err = 0;

	mesh = pulse__calloc(1, sizeof(*mesh));
	if (!mesh)
		return -ENOMEM;
	mesh->magic = PULSE__MESH_MAGIC;
	mesh->fork_gen = pulse__fork_generation();
	mesh->shm = mem;
	mesh->opts = *o;
	mesh->ctx = ctx;
	mesh->own.fd = -1;
	mesh->place = -1;
	pthread_mutex_init(&mesh->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mesh->answered, &attr);
	pthread_condattr_destroy(&attr);
	pulse__list_init(&mesh->pending);
	pulse__list_init(&mesh->monitors);
	pulse__list_init(&mesh->answers);
	for (int i = 0; i < PULSE_MESH_NAMES; i++)
		pulse__list_init(&mesh->mine[i].watchers);
	for (uint32_t i = 0; i < o->places; i++) {
		mesh->peer[i].pidfd = -1;
		pthread_mutex_init(&mesh->peer[i].lock, NULL);
	}
	for (uint32_t i = 0; i < 2 * o->places && !err; i++) {
		struct pulse__mesh_peer *p = &mesh->peer[i / 2];
		struct pulse_shmbox **box = i % 2 ? &p->desk : &p->inbox;
		struct pulse_shmbox_opts bo = pulse__mesh_box_opts(o, !(i % 2));
		size_t each = pulse__mesh_box_bytes(o, !(i % 2));

		err = format ? pulse_shmbox_format(at, each, &bo, box) :
			       pulse_shmbox_attach(at, each, box);
		if (!err)
			(*box)->ctx = ctx;
		at += each;
	}
	if (err) {
		pulse__mesh_free(mesh);
		return err;
	}
	*out = mesh;
	return 0;
}

static int pulse__mesh_format(void *mem, const struct pulse_mesh_opts *o,
			      struct pulse_ctx *ctx, struct pulse_mesh **out)
{
	struct pulse__mesh_shm *shm = mem;
	int err;

	memset(shm, 0, pulse__mesh_head(o));
	shm->places = o->places;
	shm->slots = o->slots;
	shm->slot_bytes = o->slot_bytes;
	shm->dead_letters = (uint32_t)o->dead_letters;
	shm->flags = o->flags;
	err = pulse__mesh_new(mem, o, ctx, true, out);
	/* pairs with pulse__mesh_attach: all of it is there */
	if (!err)
		pulse__store_release(&shm->magic, PULSE__MESH_SHM);
	return err;
}

static int pulse__mesh_attach(void *mem, size_t bytes, struct pulse_ctx *ctx,
			      struct pulse_mesh **out)
{
	const struct pulse__mesh_shm *shm = mem;
	struct pulse_mesh_opts o = { .sz = sizeof(o) };

	/* pairs with pulse__mesh_format */
	if (bytes < sizeof(*shm) ||
	    pulse__load_acquire(&shm->magic) != PULSE__MESH_SHM)
		return -EPROTO;
	/* Each word once: a peer may change it between check and use. */
	o.places = READ_ONCE(shm->places);
	o.slots = READ_ONCE(shm->slots);
	o.slot_bytes = READ_ONCE(shm->slot_bytes);
	o.dead_letters = (int32_t)READ_ONCE(shm->dead_letters);
	o.flags = READ_ONCE(shm->flags);
	if (!o.slots || pulse__mesh_sane(&o) || bytes < pulse__mesh_need(&o))
		return -EPROTO;
	return pulse__mesh_new(mem, &o, ctx, false, out);
}

/* ---- in a memfd, in a context -------------------------------------------------- */

int pulse_mesh_create(const struct pulse_mesh_opts *opts,
		      struct pulse_mesh **out)
{
	struct pulse_mesh_opts o;
	struct pulse__memfd m;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__mesh_opts(&o, opts);
	if (!err)
		err = pulse__memfd_make(&m, "pulse-mesh", pulse__mesh_need(&o));
	if (err)
		return err;
	err = pulse__mesh_format(m.mem, &o, NULL, out);
	return pulse__memfd_settle(&m, err, err ? NULL : &(*out)->own);
}

int pulse_mesh_fd(const struct pulse_mesh *mesh)
{
	return mesh && mesh->own.fd >= 0 ? mesh->own.fd : -EINVAL;
}

int pulse_mesh_open(int fd, struct pulse_mesh **out)
{
	struct pulse__memfd m;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__memfd_map(&m, fd);
	if (err)
		return err;
	err = pulse__mesh_attach(m.mem, m.bytes, NULL, out);
	return pulse__memfd_settle(&m, err, err ? NULL : &(*out)->own);
}

int pulse_mesh_format_on(struct pulse_ctx *ctx, int node,
			 const struct pulse_mesh_opts *opts,
			 struct pulse_mesh **out)
{
	struct pulse_mesh_opts o;
	size_t bytes;
	void *mem;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__mesh_opts(&o, opts);
	if (!err)
		err = pulse__shmbox_heap(ctx, node, &mem, &bytes);
	if (!err && bytes < pulse__mesh_need(&o))
		err = -EINVAL;
	return err ? err : pulse__mesh_format(mem, &o, ctx, out);
}

int pulse_mesh_attach_on(struct pulse_ctx *ctx, int node,
			 struct pulse_mesh **out)
{
	size_t bytes;
	void *mem;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__shmbox_heap(ctx, node, &mem, &bytes);
	return err ? err : pulse__mesh_attach(mem, bytes, ctx, out);
}

/* ---- joining, leaving ---------------------------------------------------------- */

static int pulse__mesh_take(struct pulse_mesh *mesh, uint32_t place)
{
	struct pulse__mesh_place *p = &mesh->shm->place[place];
	int err = pulse_shmbox_rx_open(mesh->peer[place].inbox, -1, &mesh->inbox);

	if (err)
		return err;
	err = pulse_shmbox_rx_open(mesh->peer[place].desk, -1, &mesh->desk);
	if (err) {
		pulse_shmbox_rx_close(mesh->inbox);
		mesh->inbox = NULL;
		return err;
	}
	/* Names of who was here before end with its life. */
	for (int i = 0; i < PULSE_MESH_NAMES; i++) {
		uint64_t was = READ_ONCE(p->name[i].publication);

		mesh->mine[i].publication = (was + 1) & ~1ULL;
		pulse__store_release(&p->name[i].publication,
				     mesh->mine[i].publication);
	}
	mesh->life = READ_ONCE(p->life) + 1;
	WRITE_ONCE(p->owner, pulse__owner_self());
	/* pairs with pulse__mesh_alive: the owner is that of this life */
	pulse__store_release(&p->life, mesh->life);
	return 0;
}

int pulse_mesh_join(struct pulse_mesh *mesh, struct pulse_actors *sys, int place)
{
	int err = pulse__mesh_check(mesh);

	if (!err)
		err = pulse__actors_check(sys);
	if (err)
		return err;
	if (place < -1 || place >= (int)mesh->opts.places)
		return -EINVAL;
	if (mesh->place >= 0)
		return -EALREADY;
	mesh->sys = sys;
	err = -EBUSY;
	for (uint32_t i = 0; i < mesh->opts.places && err == -EBUSY; i++) {
		if (place >= 0 && (uint32_t)place != i)
			continue;
		err = pulse__mesh_take(mesh, i);
		if (!err)
			mesh->place = (int)i;
	}
	if (err)
		return err;
	err = pulse__mesh_agent_begin(mesh);
	if (err) {
		pulse_mesh_leave(mesh);
		return err;
	}
	return mesh->place;
}

int pulse_mesh_start(struct pulse_mesh *mesh)
{
	void *(*const mains[])(void *) = { pulse__mesh_inbox_main,
					   pulse__mesh_desk_main };
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (mesh->place < 0)
		return -ENOTCONN;
	if (mesh->started)
		return -EALREADY;
	for (int i = 0; i < 2; i++) {
		err = pthread_create(&mesh->threads[i], NULL, mains[i], mesh);
		if (err) {
			WRITE_ONCE(mesh->stopping, 1);
			if (i)
				pthread_join(mesh->threads[0], NULL);
			WRITE_ONCE(mesh->stopping, 0);
			return -err;
		}
	}
	mesh->started = true;
	return 0;
}

/* The message in hand is the next receiver's. */
static void pulse__mesh_close_rx(struct pulse_shmbox_rx *rx)
{
	if (rx && rx->in_hand) {
		pulse_queue_release(rx->in_hand, 0);
		rx->in_hand = NULL;
	}
	pulse_shmbox_rx_close(rx);
}

int pulse_mesh_leave(struct pulse_mesh *mesh)
{
	struct pulse__mesh_place *p;
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (mesh->place < 0)
		return -ENOTCONN;
	p = &mesh->shm->place[mesh->place];
	__atomic_store_n(&mesh->stopping, 1, __ATOMIC_SEQ_CST);
	if (mesh->started) {
		pthread_join(mesh->threads[0], NULL);
		pthread_join(mesh->threads[1], NULL);
	}
	pulse__mesh_unpublish_all(mesh, -ESHUTDOWN);
	pulse__mesh_watch_end(mesh);
	if (mesh->agent) {
		pulse_actor_stop(mesh->sys, mesh->agent, 0);
		while (pulse_actor_alive(mesh->sys, mesh->agent) == 1)
			usleep(100);
	}
	pulse__mesh_forget_answers(mesh);
	WRITE_ONCE(p->owner, 0);
	pulse__store_release(&p->life, mesh->life + 1);
	pulse__mesh_close_rx(mesh->inbox);
	pulse__mesh_close_rx(mesh->desk);
	mesh->inbox = mesh->desk = NULL;
	mesh->agent = 0;
	mesh->place = -1;
	mesh->started = false;
	WRITE_ONCE(mesh->stopping, 0);
	return 0;
}

int pulse_mesh_destroy(struct pulse_mesh *mesh)
{
	if (!mesh)
		return -EINVAL;
	pulse__obj_check(mesh, PULSE__MESH_MAGIC, "pulse_mesh_destroy");
	pulse_mesh_leave(mesh);
	if (pulse__forked(mesh->fork_gen)) {
		pulse_shmbox_rx_close(mesh->inbox);
		pulse_shmbox_rx_close(mesh->desk);
	}
	pulse__mesh_free(mesh);
	return 0;
}

struct pulse_shmbox *pulse_mesh_box(struct pulse_mesh *mesh)
{
	return mesh && mesh->place >= 0 ? mesh->peer[mesh->place].inbox : NULL;
}

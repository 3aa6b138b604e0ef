// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mesh_name.c - names: who has them here, and where others do.
 *
 * An actor of the mesh's own, the agent, monitors what is published: when it
 * ends its name does, and who watches from elsewhere is told.
 */
#include <stdio.h>
#include <unistd.h>

#include "actor/mesh.h"

/* Times that the agent tries, a millisecond each. */
#define PULSE__MESH_TRIES	1000

/* ---- here -------------------------------------------------------------------- */

/* With mesh->lock. The watchers are the caller's to tell, without it. */
static void pulse__mesh_take_back(struct pulse_mesh *mesh,
				  struct pulse__mesh_mine *m,
				  struct pulse__list *watchers)
{
	struct pulse__mesh_name *n =
		&mesh->shm->place[mesh->place].name[m - mesh->mine];

	m->ref = PULSE_ACTOR_NONE;
	m->publication++;
	pulse__store_release(&n->publication, m->publication);
	pulse__list_splice_tail(watchers, &m->watchers);
}

static struct pulse__mesh_mine *pulse__mesh_find(struct pulse_mesh *mesh,
						 const char *name)
{
	for (int i = 0; i < PULSE_MESH_NAMES; i++)
		if (mesh->mine[i].ref && !strcmp(mesh->mine[i].name, name))
			return &mesh->mine[i];
	return NULL;
}

uint64_t pulse__mesh_target(struct pulse_mesh *mesh, const char *name)
{
	struct pulse__mesh_mine *m;
	uint64_t ref;

	pthread_mutex_lock(&mesh->lock);
	m = pulse__mesh_find(mesh, name);
	ref = m ? m->ref : PULSE_ACTOR_NONE;
	pthread_mutex_unlock(&mesh->lock);
	return ref;
}

/* With mesh->lock. */
static int pulse__mesh_give(struct pulse_mesh *mesh, const char *name,
			    uint64_t ref)
{
	struct pulse__mesh_mine *m = NULL;
	struct pulse__mesh_name *n;

	if (pulse__mesh_find(mesh, name))
		return -EEXIST;
	for (int i = 0; i < PULSE_MESH_NAMES && !m; i++)
		if (!mesh->mine[i].ref)
			m = &mesh->mine[i];
	if (!m)
		return -ENOSPC;
	n = &mesh->shm->place[mesh->place].name[m - mesh->mine];
	m->ref = ref;
	m->publication++;
	snprintf(m->name, sizeof(m->name), "%s", name);
	/* A: pairs with the fence of pulse__mesh_read: even, then the text */
	pulse__fence(__ATOMIC_RELEASE);
	memcpy(n->text, m->name, sizeof(n->text));
	/* pairs with pulse__mesh_read */
	pulse__store_release(&n->publication, m->publication);
	return 0;
}

int pulse_mesh_publish(struct pulse_mesh *mesh, const char *name, uint64_t ref)
{
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (!name || !*name || !ref)
		return -EINVAL;
	if (strlen(name) > PULSE_MESH_NAME_MAX)
		return -ENAMETOOLONG;
	if (mesh->place < 0)
		return -ENOTCONN;
	if (pulse_actor_alive(mesh->sys, ref) != 1)
		return -ESRCH;
	pthread_mutex_lock(&mesh->lock);
	err = pulse__mesh_give(mesh, name, ref);
	pthread_mutex_unlock(&mesh->lock);
	if (err)
		return err;
	/* The agent monitors it; where it has ended meanwhile it hears so. */
	err = pulse_actor_send(mesh->sys, mesh->agent, ref, NULL, 0);
	if (err)
		pulse_mesh_unpublish(mesh, name);
	return err;
}

int pulse_mesh_unpublish(struct pulse_mesh *mesh, const char *name)
{
	struct pulse__mesh_mine *m;
	struct pulse__list watchers;
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	if (!name)
		return -EINVAL;
	if (mesh->place < 0)
		return -ENOTCONN;
	pulse__list_init(&watchers);
	pthread_mutex_lock(&mesh->lock);
	m = pulse__mesh_find(mesh, name);
	if (m)
		pulse__mesh_take_back(mesh, m, &watchers);
	pthread_mutex_unlock(&mesh->lock);
	pulse__mesh_tell(mesh, &watchers, -ENOENT);
	return m ? 0 : -ENOENT;
}

/* All names of an actor, or with PULSE_ACTOR_NONE all names. */
static void pulse__mesh_ended(struct pulse_mesh *mesh, uint64_t ref, int reason)
{
	struct pulse__list watchers;

	pulse__list_init(&watchers);
	pthread_mutex_lock(&mesh->lock);
	for (int i = 0; i < PULSE_MESH_NAMES; i++) {
		struct pulse__mesh_mine *m = &mesh->mine[i];

		if (m->ref && (!ref || m->ref == ref))
			pulse__mesh_take_back(mesh, m, &watchers);
	}
	pthread_mutex_unlock(&mesh->lock);
	pulse__mesh_tell(mesh, &watchers, reason);
}

void pulse__mesh_unpublish_all(struct pulse_mesh *mesh, int reason)
{
	pulse__mesh_ended(mesh, PULSE_ACTOR_NONE, reason);
}

/* ---- the agent ------------------------------------------------------------------ */

static int pulse__mesh_agent_init(struct pulse_actor *self, void *mesh)
{
	return pulse_actor_set_state(self, mesh, NULL);
}

static void pulse__mesh_agent(struct pulse_actor *self,
			      const struct pulse_actor_msg *msg)
{
	struct pulse_mesh *mesh = pulse_actor_state(self);
	int err;

	if (msg->kind == PULSE_ACTOR_DOWN) {
		pulse__mesh_ended(mesh, msg->from, msg->reason);
		return;
	}
	err = pulse_actor_monitor(self, msg->tag, NULL);
	/* Who published it was told that it is there. */
	for (int i = 0; err == -ENOMEM && i < PULSE__MESH_TRIES; i++) {
		usleep(1000);
		err = pulse_actor_monitor(self, msg->tag, NULL);
	}
	/* No memory to hear of its end: it is not to be found. */
	if (err)
		pulse__mesh_ended(mesh, msg->tag, err);
}

int pulse__mesh_agent_begin(struct pulse_mesh *mesh)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "pulse-mesh",
		   .init = pulse__mesh_agent_init,
		   .receive = pulse__mesh_agent);
	PULSE_OPTS(pulse_actor_opts, opts, .type = type.name, .arg = mesh);
	int err = pulse_actor_register(mesh->sys, &type);

	if (err && err != -EEXIST)
		return err;
	return pulse_actor_spawn(mesh->sys, &opts, &mesh->agent);
}

/* ---- elsewhere -------------------------------------------------------------------- */

/* The text of a name that is published, and its publication; 0: it is not. */
static uint64_t pulse__mesh_read(const struct pulse__mesh_name *n,
				 char text[PULSE_MESH_NAME_MAX + 1])
{
	/* pairs with pulse__mesh_give */
	uint64_t publication = pulse__load_acquire(&n->publication);

	if (!(publication & 1))
		return 0;
	memcpy(text, n->text, sizeof(n->text));
	text[PULSE_MESH_NAME_MAX] = 0;
	/* pairs with A in pulse__mesh_give: what is half written is not believed */
	pulse__fence(__ATOMIC_ACQUIRE);
	return READ_ONCE(n->publication) == publication ? publication : 0;
}

bool pulse__mesh_is(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to)
{
	const struct pulse__mesh_place *p = &mesh->shm->place[to->place];

	pulse__fence(__ATOMIC_ACQUIRE);
	return to->publication & 1 &&
	       pulse__load_acquire(&p->name[to->name].publication) ==
	       to->publication &&
	       pulse__mesh_alive(mesh, to->place, to->life);
}

int pulse_mesh_lookup(struct pulse_mesh *mesh, const char *name,
		      struct pulse_mesh_addr *out)
{
	char text[PULSE_MESH_NAME_MAX + 1];
	int err = pulse__mesh_check(mesh);
	uint32_t turn;

	if (err)
		return err;
	if (!name || !*name || !out)
		return -EINVAL;
	turn = __atomic_fetch_add(&mesh->turn, 1, __ATOMIC_RELAXED);
	for (uint32_t k = 0; k < mesh->opts.places; k++) {
		uint32_t i = (turn + k) % mesh->opts.places;
		struct pulse__mesh_place *p = &mesh->shm->place[i];
		/* pairs with pulse__mesh_take */
		uint64_t life = pulse__load_acquire(&p->life), publication;

		for (uint32_t j = 0; life && j < PULSE_MESH_NAMES; j++) {
			publication = pulse__mesh_read(&p->name[j], text);
			if (!publication || strcmp(text, name) ||
			    !pulse__mesh_alive(mesh, i, life))
				continue;
			*out = (struct pulse_mesh_addr){
				.place = i, .name = j, .life = life,
				.publication = publication,
			};
			return 0;
		}
	}
	return -ESRCH;
}

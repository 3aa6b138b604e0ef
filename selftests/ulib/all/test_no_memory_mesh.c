// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of a mesh fails in turn, on either side of it: who calls or
 * monitors is told in the end, of the answer or of the memory. U04
 */
#include <pulse-u/mesh.h>

#include "../actor/helpers.h"
#include "no_memory.h"

enum {
	ADD,			/* a call: the number and one */
	COUNT,
	END,
};

struct side {
	struct pulse_actors *sys;
	struct pulse_mesh *mesh;
	uint64_t ref;
};

static uint64_t counted, downs, wrong;

static void works(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	uint64_t n = 0;

	if (msg->bytes == sizeof(n))
		memcpy(&n, msg->data, sizeof(n));
	if (msg->kind == PULSE_ACTOR_DOWN) {
		if (msg->reason != -EIO)
			ATOMIC_INC(wrong);
		ATOMIC_INC(downs);
	} else if (msg->tag == COUNT) {
		ATOMIC_INC(counted);
	} else if (msg->tag == END) {
		pulse_actor_exit(self, -EIO);
	} else {
		n++;
		pulse_actor_reply(self, &n, sizeof(n));
	}
}

/* Actors of its own, which other tests do without memory. */
static int side_actors(struct side *s)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "works", .receive = works);
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 1);
	PULSE_OPTS(pulse_actor_opts, spawn, .type = "works");
	int err = pulse_actors_create(&o, &s->sys);

	if (!err)
		err = pulse_actor_register(s->sys, &type);
	if (!err)
		err = pulse_actor_spawn(s->sys, &spawn, &s->ref);
	return err;
}

static int side_join(struct side *s, int place)
{
	int err = pulse_mesh_join(s->mesh, s->sys, place);

	return err < 0 ? err : pulse_mesh_start(s->mesh);
}

static void side_end(struct side *s)
{
	if (s->mesh)
		KT_EQ(pulse_mesh_destroy(s->mesh), 0);
	if (s->sys)
		KT_EQ(pulse_actors_destroy(s->sys), 0);
}

/* Sends, calls and monitors; what was said to be done comes. */
static int talk(struct side *a, struct side *b)
{
	struct pulse_mesh_addr to;
	uint64_t n = 6, reply = 0, monitor;
	size_t bytes = sizeof(reply);
	int err = pulse_mesh_publish(b->mesh, "works", b->ref);

	if (err)
		return err;
	err = pulse_mesh_lookup(a->mesh, "works", &to);
	if (!err)
		err = pulse_mesh_send(a->mesh, &to, COUNT, &n, sizeof(n));
	if (!err)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(counted) == 1));
	if (!err)
		err = pulse_mesh_call(a->mesh, &to, ADD, &n, sizeof(n),
				      PULSE_FOREVER, &reply, &bytes);
	if (!err)
		KT_CHECK(reply == n + 1 && bytes == sizeof(reply));
	if (!err)
		err = pulse_mesh_monitor(a->mesh, &to, a->ref, &monitor);
	if (err)
		return err;
	err = pulse_mesh_send(a->mesh, &to, END, NULL, 0);
	if (err)
		return err;
	KT_CHECK(EVENTUALLY(ATOMIC_GET(downs) == 1));
	KT_EQ(ATOMIC_GET(wrong), 0);
	return 0;
}

/* Two handles of one process: the allocations of both sides are in turn. */
static int life_of_a_mesh(int flags, bool all)
{
	PULSE_OPTS(pulse_mesh_opts, o, .places = 2, .slots = 8,
		   .flags = (uint32_t)flags);
	struct side a = { 0 }, b = { 0 };
	int err;

	counted = downs = wrong = 0;
	KT_EQ(side_actors(&a), 0);
	KT_EQ(side_actors(&b), 0);
	if (all)
		from_here();
	err = pulse_mesh_create(&o, &a.mesh);
	if (!err)
		err = pulse_mesh_open(pulse_mesh_fd(a.mesh), &b.mesh);
	if (!err)
		err = side_join(&a, 0);
	if (!err)
		err = side_join(&b, 1);
	if (!all) {
		from_here();
		err = talk(&a, &b);
	}
	side_end(&b);
	side_end(&a);
	return err;
}

static int life_from_its_beginning(void)
{
	return life_of_a_mesh(0, true);
}

static int life_that_talks(void)
{
	return life_of_a_mesh(0, false);
}

static int life_that_is_handled(void)
{
	return life_of_a_mesh(PULSE_MESH_HANDLED, false);
}

KT_TEST(a_mesh_from_its_beginning)
{
	each_may_fail("a mesh", life_from_its_beginning);
}

KT_TEST(messages_calls_and_monitors_between_processes)
{
	each_may_fail("a mesh's messages", life_that_talks);
}

KT_TEST(the_same_where_what_is_sent_is_handled)
{
	each_may_fail("handled messages", life_that_is_handled);
}

int main(int argc, char **argv)
{
	/* Each of many lives ends with waits of its threads. */
	setenv("KT_TIMEOUT", "900", 0);
	return kt_main(argc, argv);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * mesh.h - the inside of a mesh.
 *
 * In shared memory: the head, the places, then two mailboxes for each place: the
 * *inbox* for messages and calls, whose delivery may have to wait for an actor,
 * and the *desk* for replies and what monitors hear, which waits for nobody. Two
 * threads, so that who waits for a reply while the inbox is stuck gets it.
 *
 * A process has a place as long as it is the receiver of its inbox. It alone
 * writes the place's words (life, pid, names); the others read:
 *
 *   name, its process            name, others
 *   publication odd->even (A)    publication, acquire: odd?
 *   text                         text copied
 *   publication even->odd, rel.  fence; the same publication still?
 *
 * mesh->lock: names, calls, monitors of this process. peer->lock: its senders.
 * answers_lock (mesh_io.c): messages that actors have, which may outlive the
 * mesh. None of them is held while another one is taken.
 */
#ifndef PULSE__ACTOR_MESH_H
#define PULSE__ACTOR_MESH_H

#include <pulse-u/mesh.h>

#include "actor/actor.h"
#include "mailbox/shmbox.h"

#define PULSE__MESH_SHM		0x316873656d537550ULL	/* "PuSmesh1" */
#define PULSE__MESH_MAGIC	0x4d455348U		/* "MESH" */
#define PULSE__MESH_PLACES	64U

struct pulse__mesh_name {
	uint64_t publication;		/* untrusted; odd: published */
	char text[PULSE_MESH_NAME_MAX + 1];	/* untrusted */
};

/* Untrusted; the process at the place writes. */
struct pulse__mesh_place {
	uint64_t life PULSE__PAIR_ALIGNED;
	uint64_t owner;			/* who it is; 0 nobody */
	struct pulse__mesh_name name[PULSE_MESH_NAMES];
};

struct pulse__mesh_shm {
	/* Written by format, read once by attach. Untrusted. */
	uint64_t magic PULSE__PAIR_ALIGNED;
	uint32_t places;
	uint32_t slots;
	uint32_t slot_bytes;
	uint32_t dead_letters;
	uint32_t flags;
	struct pulse__mesh_place place[];
};

enum pulse__mesh_what {
	PULSE__MESH_SEND,
	PULSE__MESH_CALL,
	PULSE__MESH_REPLY,		/* number: of the call */
	PULSE__MESH_WATCH,		/* number: of the monitor */
	PULSE__MESH_DOWN,
};

/* A message's payload begins with it. Untrusted where it is read. */
struct pulse__mesh_wire {
	uint32_t what;
	int32_t err;
	uint32_t from;
	uint32_t index;			/* of the name */
	uint64_t from_life;
	uint64_t publication;		/* of it; REPLY, DOWN: life of who it is for */
	uint64_t number;
	uint64_t tag;
	char name[PULSE_MESH_NAME_MAX + 1];
};

/* What this process knows of a place. */
struct pulse__mesh_peer {
	pthread_mutex_t lock;
	struct pulse_shmbox *inbox, *desk;	/* attached with the mesh */
	struct pulse_shmbox_tx *to_inbox, *to_desk;
	uint64_t owner;			/* whose pidfd it is */
	int pidfd;			/* -1: none */
	uint64_t dead_life;		/* atomic; whose death was told */
};

/* A name of this process. */
struct pulse__mesh_mine {
	uint64_t ref;			/* 0: free */
	uint64_t publication;
	char name[PULSE_MESH_NAME_MAX + 1];
	struct pulse__list watchers;	/* of struct pulse__mesh_watcher */
};

struct pulse__mesh_watcher {
	struct pulse__list link;
	uint32_t place;
	uint64_t life, number;
};

/* Of an actor elsewhere. */
struct pulse__mesh_monitor {
	struct pulse__list link;
	struct pulse_mesh_addr to;
	uint64_t watcher, number;
};

struct pulse__mesh_pending {
	struct pulse__list link;
	uint64_t number;
	void *buf;
	size_t room, bytes;
	int err;
	bool done;
};

struct pulse_mesh {
	uint32_t magic;
	uint32_t fork_gen;
	struct pulse__mesh_shm *shm;
	struct pulse_mesh_opts opts;
	struct pulse_ctx *ctx;		/* NULL: futexes */
	struct pulse__memfd own;	/* or the memory is a context's */
	uint32_t turn;			/* of lookups; atomic */
	struct pulse__mesh_peer peer[PULSE__MESH_PLACES];

	/* Since it was joined. */
	struct pulse_actors *sys;
	int place;			/* -1: not */
	uint64_t life;
	uint64_t agent;			/* an actor that hears of ends */
	struct pulse_shmbox_rx *inbox, *desk;
	pthread_t threads[2];
	bool started;
	uint32_t stopping;		/* atomic */
	uint32_t failed;		/* atomic: why a thread could not begin */
	uint32_t busy;			/* atomic: answers that are being sent */
	struct pulse__list answers;	/* messages that actors have; answers_lock */

	pthread_mutex_t lock;
	pthread_cond_t answered;	/* a pending call is done; CLOCK_MONOTONIC */
	struct pulse__mesh_mine mine[PULSE_MESH_NAMES];
	struct pulse__list pending;
	struct pulse__list monitors;
	uint64_t number;		/* of calls and monitors; starts anew nowhere */

	/* Deaths of processes: from the first monitor on. */
	struct pulse_ctx *events;	/* NULL: only pidfds */
	uint64_t watched[PULSE__MESH_PLACES];	/* life that is watched, or 0 */
	pthread_t watcher;
	bool watching;
};

static inline int pulse__mesh_check(const struct pulse_mesh *mesh)
{
	if (unlikely(!mesh))
		return -EINVAL;
	pulse__obj_check(mesh, PULSE__MESH_MAGIC, "struct pulse_mesh");
	return pulse__forked(mesh->fork_gen) ? -EOWNERDEAD : 0;
}

/* ---- mesh_io.c --------------------------------------------------------------- */

/* Is the process that has this life at the place alive? */
bool pulse__mesh_alive(struct pulse_mesh *mesh, uint32_t place, uint64_t life);
/* Puts one in; to the desk what is neither SEND nor CALL. As pulse_shmbox_send(). */
int pulse__mesh_put(struct pulse_mesh *mesh, uint32_t place,
		    struct pulse__mesh_wire *w, const void *data, size_t bytes);
/* Answers that come from now on go nowhere. */
void pulse__mesh_forget_answers(struct pulse_mesh *mesh);
/* Replies and the like: waits, as their process takes them if it takes anything. */
int pulse__mesh_put_surely(struct pulse_mesh *mesh, uint32_t place,
			   uint64_t life, struct pulse__mesh_wire *w,
			   const void *data, size_t bytes);
/*
 * The same of what somebody waits for, who would wait for ever: where there is
 * no memory it is tried until there is, or the mesh is left.
 */
int pulse__mesh_put_owed(struct pulse_mesh *mesh, uint32_t place, uint64_t life,
			 struct pulse__mesh_wire *w, const void *data,
			 size_t bytes);
/* The answer to a call, or to WATCH. */
void pulse__mesh_reply(struct pulse_mesh *mesh, uint32_t place, uint64_t life,
		       uint64_t number, int err, const void *data, size_t bytes);
/* To the desk of a process, and what it replies; -ESRCH it is gone. */
int pulse__mesh_ask(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to,
		    struct pulse__mesh_wire *w);
void *pulse__mesh_inbox_main(void *mesh);
void *pulse__mesh_desk_main(void *mesh);

/* ---- mesh_name.c ------------------------------------------------------------- */

/* Publication of an address is the name's still. */
bool pulse__mesh_is(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to);
/* Who has the name of a message; PULSE_ACTOR_NONE nobody. */
uint64_t pulse__mesh_target(struct pulse_mesh *mesh, const char *name);
/* The end of all names, for @reason. */
void pulse__mesh_unpublish_all(struct pulse_mesh *mesh, int reason);
int pulse__mesh_agent_begin(struct pulse_mesh *mesh);

/* ---- mesh_watch.c ------------------------------------------------------------ */

/* What came to the desk: of a monitor elsewhere, and of one of ours. */
void pulse__mesh_on_watch(struct pulse_mesh *mesh,
			  const struct pulse__mesh_wire *w);
void pulse__mesh_on_down(struct pulse_mesh *mesh, uint64_t number, int reason);
/* Each watcher of a name that ended; frees them. */
void pulse__mesh_tell(struct pulse_mesh *mesh, struct pulse__list *watchers,
		      int reason);
void pulse__mesh_watch_end(struct pulse_mesh *mesh);

#endif /* PULSE__ACTOR_MESH_H */

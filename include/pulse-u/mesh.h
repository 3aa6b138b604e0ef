/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * mesh.h - actors in other processes of this machine.
 *
 * A *mesh* is memory that processes share: a memfd, or that of a context, which
 * the module keeps. It has so many *places*; a process that joins has one of
 * them, publishes actors of its system there under names, looks up those of
 * others, and sends to them, calls them and monitors them. Messages are copied.
 *
 *	pulse_mesh_create(NULL, &mesh);		pulse_mesh_open(fd, &mesh);
 *	pulse_mesh_join(mesh, actors, 0);	pulse_mesh_join(mesh, actors, 1);
 *	pulse_mesh_publish(mesh, "adder", ref);	pulse_mesh_start(mesh);
 *	pulse_mesh_start(mesh);			pulse_mesh_lookup(mesh, "adder", &to);
 *						pulse_mesh_call(mesh, &to, ...);
 *
 * A place has a mailbox (<pulse-u/mailbox_shared.h>) that outlives the process:
 * what it took lies there until a process that has the place has handed it to
 * the actor. Kill either side: what a dead sender had sent is delivered; what
 * waits for a dead receiver waits for who joins at its place next and publishes
 * the same name. An address, on the other hand, ends with the publication that
 * it was looked up from: sends to it say -ESRCH.
 *
 * What comes for a name that nobody has at that moment is a dead letter, see
 * pulse_mesh_box(); a call of it is answered -ESRCH.
 *
 * All shared words are untrusted: a hostile process in a mesh can lie to its
 * peers and lose or forge their messages; it can do no more.
 */
#ifndef PULSE_U_MESH_H
#define PULSE_U_MESH_H

#include <pulse-u/actor.h>
#include <pulse-u/child.h>
#include <pulse-u/mailbox_shared.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_mesh;

/* Longest name that is published, in bytes, and how many a process publishes. */
#define PULSE_MESH_NAME_MAX	31
#define PULSE_MESH_NAMES	48

/* pulse_mesh_opts.flags */
#define PULSE_MESH_HANDLED (1U << 0) /* a message is done once its actor handled it */

/**
 * struct pulse_mesh_opts - options of a mesh
 * @sz: sizeof(struct pulse_mesh_opts)
 * @places: processes that may be in it at a time, 1 to 64; default 8
 * @slots: messages that wait for a process from each other one: a power of two
 *	from 2 to 65536; default 64. Over it a send says -EAGAIN.
 * @slot_bytes: room for one message and 256 bytes of its own: 512 to 65536;
 *	default 1024
 * @dead_letters: kept for each process, as in struct pulse_shmbox_opts; default
 *	64; PULSE_OFF: none
 * @flags: PULSE_MESH_* or 0. With PULSE_MESH_HANDLED a process takes the next
 *	message of its mailbox when the one before was handled: one that was being
 *	handled when the process was killed comes again at the next; a handler
 *	must not wait then for what another message of the same process does.
 *	Without it what was handed to actors dies with the process, but for the
 *	last, which may come again.
 */
struct pulse_mesh_opts {
	size_t sz;
	uint32_t places;
	uint32_t slots;
	uint32_t slot_bytes;
	int32_t dead_letters;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * struct pulse_mesh_addr - an actor that is published
 * @place: of its process
 * @name: number of the name there
 * @life: of the process at that place
 * @publication: of the name
 *
 * A value: to be copied and compared; and sent to others of the mesh.
 */
struct pulse_mesh_addr {
	uint32_t place;
	uint32_t name;
	uint64_t life;
	uint64_t publication;
};

/**
 * pulse_mesh_bytes() - how much memory pulse_mesh_format_on() needs
 * @opts: or NULL for the defaults
 *
 * Return: bytes; 0 for options that cannot be.
 */
PULSE_API size_t pulse_mesh_bytes(const struct pulse_mesh_opts *opts);

/**
 * pulse_mesh_create() - make a mesh in a memfd
 * @opts: or NULL for the defaults
 * @out: the mesh
 *
 * Pages that are never used are never there.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EMFILE and the like.
 */
PULSE_API int pulse_mesh_create(const struct pulse_mesh_opts *opts,
				struct pulse_mesh **out);

/**
 * pulse_mesh_fd() - the memfd, to be inherited or sent to others
 * @mesh: a mesh of pulse_mesh_create() or pulse_mesh_open()
 *
 * Return: the descriptor, which stays the mesh's; -EINVAL also: it has none.
 */
PULSE_API int pulse_mesh_fd(const struct pulse_mesh *mesh);

/**
 * pulse_mesh_open() - use a mesh that another process made
 * @fd: its memfd; duplicated, the caller keeps its own
 * @out: the mesh
 *
 * Return: 0; -EINVAL @fd is no memfd; -EPERM it is not sealed against shrinking;
 * -EPROTO there is no mesh in it; -ENOMEM; -EMFILE and the like.
 */
PULSE_API int pulse_mesh_open(int fd, struct pulse_mesh **out);

/**
 * pulse_mesh_format_on() - make a mesh in the memory of a context's node
 * @ctx: the context, made with heap_bytes of at least pulse_mesh_bytes() and
 *	PULSE_CTX_OPT_SHARED; each process that joins needs two workers of it.
 *	Outlives the mesh.
 * @node: whose heap it takes, from its beginning
 * @opts: or NULL for the defaults
 * @out: the mesh
 *
 * Return: as pulse_mesh_create(); -EINVAL also: the heap is too small.
 */
PULSE_API int pulse_mesh_format_on(struct pulse_ctx *ctx, int node,
				   const struct pulse_mesh_opts *opts,
				   struct pulse_mesh **out);

/**
 * pulse_mesh_attach_on() - use a mesh in the memory of a context's node
 * @ctx: the context, in another process that of pulse_ctx_attach()
 * @node: the node
 * @out: the mesh
 *
 * Return: as pulse_mesh_open().
 */
PULSE_API int pulse_mesh_attach_on(struct pulse_ctx *ctx, int node,
				   struct pulse_mesh **out);

/**
 * pulse_mesh_destroy() - leave, and give the handle back
 * @mesh: the mesh; it goes on for the others
 *
 * Return: 0; -EINVAL. In a forked child only memory is given back.
 */
PULSE_API int pulse_mesh_destroy(struct pulse_mesh *mesh);

/**
 * pulse_mesh_join() - have a place
 * @mesh: the mesh
 * @sys: whose actors are published; outlives the mesh
 * @place: which, from 0; -1: any that nobody has, or whose process died. Who is
 *	to go on with what waits for a dead process names its place.
 *
 * Nothing is delivered before pulse_mesh_start().
 *
 * Return: the place, 0 or more; -EALREADY; -EBUSY a process that lives has it,
 * or all of them; -EPROTO; -EINVAL; -ENOMEM; -ENOSPC; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_mesh_join(struct pulse_mesh *mesh, struct pulse_actors *sys,
			      int place);

/**
 * pulse_mesh_start() - take messages
 * @mesh: a mesh that was joined, its first names published
 *
 * Return: 0; -ENOTCONN it was not joined; -EALREADY; -EAGAIN no thread; -EINVAL;
 * -EOWNERDEAD; or as pulse_worker_register().
 */
PULSE_API int pulse_mesh_start(struct pulse_mesh *mesh);

/**
 * pulse_mesh_leave() - give the place back
 * @mesh: the mesh; not inside of an actor
 *
 * All names are unpublished. What is in the mailbox stays.
 *
 * Return: 0; -ENOTCONN; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_leave(struct pulse_mesh *mesh);

/**
 * pulse_mesh_publish() - give an actor a name that others find
 * @mesh: a mesh that was joined
 * @name: 1 to PULSE_MESH_NAME_MAX bytes; once in a process, while others may
 *	have it too
 * @ref: the actor. When it ends its name does. Where there is no memory for a
 *	second to hear of its end the name is taken back.
 *
 * Return: 0; -EEXIST; -ENOSPC there are PULSE_MESH_NAMES; -ESRCH no such actor;
 * -ENAMETOOLONG; -ENOTCONN; -EINVAL; -ENOMEM; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_publish(struct pulse_mesh *mesh, const char *name,
				 uint64_t ref);

/**
 * pulse_mesh_unpublish() - take a name back
 * @mesh: the mesh
 * @name: the name
 *
 * Monitors of it hear of a reason -ENOENT.
 *
 * Return: 0; -ENOENT; -ENOTCONN; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_unpublish(struct pulse_mesh *mesh, const char *name);

/**
 * pulse_mesh_lookup() - find an actor
 * @mesh: the mesh; need not be joined
 * @name: its name. Where several processes have it, they take turns.
 * @out: its address
 *
 * Return: 0; -ESRCH nobody that lives has it; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_lookup(struct pulse_mesh *mesh, const char *name,
				struct pulse_mesh_addr *out);

/**
 * pulse_mesh_send() - send a message
 * @mesh: a mesh that was joined
 * @to: to whom
 * @tag: what it is about; for the actor
 * @data: copied; may be NULL where @bytes is 0
 * @bytes: of @data
 *
 * From any thread. What one thread sends to one process stays in order, calls
 * included. The actor sees it as from PULSE_ACTOR_NONE.
 *
 * Return: 0; -ESRCH the name is taken back, its actor ended or its process did;
 * -EAGAIN the process is behind, nothing was sent; -EMSGSIZE; -ENOTCONN;
 * -EPROTO; -EINVAL; -ENOMEM; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_send(struct pulse_mesh *mesh,
			      const struct pulse_mesh_addr *to, uint64_t tag,
			      const void *data, size_t bytes);

/**
 * pulse_mesh_call() - send a message and wait for the reply
 * @mesh: a mesh that was started
 * @to: to whom
 * @tag: what it is about
 * @data: copied
 * @bytes: of @data
 * @deadline_ns: when to give up, absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 * @reply: room for the reply, or NULL
 * @reply_bytes: in: how much; out: what the reply has; or NULL: none
 *
 * Return: as pulse_actor_call() and pulse_mesh_send(); -ESRCH also: the process
 * died meanwhile; -EMSGSIZE also: the reply does not fit into a slot.
 */
PULSE_API int pulse_mesh_call(struct pulse_mesh *mesh,
			      const struct pulse_mesh_addr *to, uint64_t tag,
			      const void *data, size_t bytes,
			      int64_t deadline_ns, void *reply,
			      size_t *reply_bytes);

/**
 * pulse_mesh_monitor() - be told when an actor of another process ends
 * @mesh: a mesh that was started
 * @to: the actor
 * @watcher: an actor of this process that gets a message of kind
 *	PULSE_ACTOR_DOWN, once; its data is a struct pulse_exit
 * @monitor: out: its number, which is the message's tag
 *
 * Waits until the other process knows of it: what ends from then on is told.
 *
 * What the message says: an actor that ended, reason as it ended, the exit of
 * kind PULSE_EXIT_NORMAL or PULSE_EXIT_CODE; a name that was taken back, -ENOENT;
 * a process that left, -ESHUTDOWN; a process that died, -EOWNERDEAD and the exit
 * with its code or signal. These are known with the module, and without it of
 * children of this process that nobody waited for; else the exit is
 * PULSE_EXIT_LOST. What was gone before: -ESRCH.
 *
 * Return: 0; -ESRCH no such @watcher; -ENOTCONN; -EAGAIN; -EINVAL; -ENOMEM;
 * -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_monitor(struct pulse_mesh *mesh,
				 const struct pulse_mesh_addr *to,
				 uint64_t watcher, uint64_t *monitor);

/**
 * pulse_mesh_demonitor() - do not be told
 * @mesh: the mesh
 * @monitor: of pulse_mesh_monitor()
 *
 * Return: 0; -ENOENT the message came or is on its way; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_mesh_demonitor(struct pulse_mesh *mesh, uint64_t monitor);

/**
 * pulse_mesh_box() - the mailbox of this process
 * @mesh: the mesh
 *
 * For its figures and its dead letters: their payload is not for programs, but
 * pulse_shmbox_redeliver() with a sender of this mailbox delivers them once more.
 *
 * Return: the mailbox, which stays the mesh's until it is left; NULL: not joined.
 */
PULSE_API struct pulse_shmbox *pulse_mesh_box(struct pulse_mesh *mesh);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MESH_H */

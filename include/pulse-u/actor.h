/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * actor.h - actors: state that only its owner touches, and messages to it.
 *
 * A *type* of actor is a name and functions; any number of *instances* of it
 * are spawned and known by a *reference*, a number that is never used again: a
 * message to an actor that is gone answers -ESRCH, whoever has its place.
 * Messages are copied. An actor handles one at a time, in the order in which
 * each sender sent them; while it has none it is 256 bytes and nothing else.
 *
 * Where an actor runs: as a task of a pool while it has messages, on whatever
 * worker; or, told so when it is spawned, on one of the *threads* of the system
 * (pulse_actors_thread_add()), which runs all that were put there.
 *
 * A handler may block and may take long: others go on, as long as the pool has
 * a worker for them; the system's own pool adds workers while some are blocked.
 */
#ifndef PULSE_U_ACTOR_H
#define PULSE_U_ACTOR_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_pool;
struct pulse_actors;
struct pulse_actor;

/* No actor: the sender of what no actor sent. */
#define PULSE_ACTOR_NONE	0ULL

/* ---- a system -------------------------------------------------------------- */

/**
 * struct pulse_actor_route - how a message to a type found its instance
 * @sz: sizeof(struct pulse_actor_route)
 * @type: name of the type
 * @ref: the instance
 * @thread: where it runs: number of a thread of the system, or -1 the pool
 * @option: which of the instances, from 0
 * @options: how many there were
 * @routing: enum pulse_actor_routing
 * @reserved: 0
 */
struct pulse_actor_route {
	size_t sz;
	const char *type;
	uint64_t ref;
	int32_t thread;
	uint32_t option;
	uint32_t options;
	int32_t routing;
	uint64_t reserved;
};

/**
 * typedef pulse_actor_trace_fn - a message to a type has been routed
 * @route: how; lent for the call
 * @arg: trace_arg of struct pulse_actors_opts
 *
 * In the thread that sends; must not call back.
 */
typedef void (*pulse_actor_trace_fn)(const struct pulse_actor_route *route,
				     void *arg);

/**
 * struct pulse_actors_opts - options of pulse_actors_create()
 * @sz: sizeof(struct pulse_actors_opts)
 * @name: of the pool's threads; copied; default "actors"
 * @pool: where actors run; it must outlive the system and is not to be stopped
 *	before it. NULL: the system makes one.
 * @num_workers: of that pool; default: the pool's own
 * @max_actors: alive at once; up to 16777216, the default
 * @seed: of that pool: not 0 is its deterministic mode, see <pulse-u/task.h>
 *	and pulse_actors_wait()
 * @trace: called for each message that is routed by type, or NULL
 * @trace_arg: for @trace
 */
struct pulse_actors_opts {
	size_t sz;
	const char *name;
	struct pulse_pool *pool;
	uint32_t num_workers;
	uint32_t max_actors;
	uint64_t seed;
	pulse_actor_trace_fn trace;
	void *trace_arg;
};

/**
 * pulse_actors_create() - make a system of actors
 * @opts: or NULL for the defaults
 * @out: the system
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; or as
 * pulse_pool_create().
 */
PULSE_API int pulse_actors_create(const struct pulse_actors_opts *opts,
				  struct pulse_actors **out);

/**
 * pulse_actors_destroy() - stop all actors and give a system back
 * @sys: the system; nobody else may use it any more
 *
 * Each actor ends with reason -ESHUTDOWN after the message it is at.
 *
 * Return: 0; -EDEADLK inside one of its actors (nothing was done); -EINVAL;
 * -EOWNERDEAD in a forked child (what its threads had in hand stays).
 */
PULSE_API int pulse_actors_destroy(struct pulse_actors *sys);

/**
 * pulse_actors_wait() - until the actors of the pool have nothing to do
 * @sys: the system
 * @deadline_ns: when to give up, absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 *
 * As pulse_pool_wait_until() of the pool: what others send meanwhile does not
 * count, and in its deterministic mode actors run only while somebody waits.
 *
 * Return: as pulse_pool_wait_until().
 */
PULSE_API int pulse_actors_wait(struct pulse_actors *sys, int64_t deadline_ns);

/**
 * struct pulse_actor_thread - options of a thread of the system
 * @sz: sizeof(struct pulse_actor_thread)
 * @name: of the thread, copied, at most 15 bytes; default "actor-" and a number
 * @cpu: bound to this CPU; -1 or PULSE_OFF: to none
 * @reserved: 0
 */
struct pulse_actor_thread {
	size_t sz;
	const char *name;
	int32_t cpu;
	uint32_t reserved;
};

/**
 * pulse_actors_thread_add() - start a thread that actors can be put on
 * @sys: the system
 * @opts: or NULL: bound to no CPU
 *
 * Return: its number, 0 or more; -EINVAL; -E2BIG; -ENOMEM; -EAGAIN no thread;
 * -ENOSPC there are 256; -ESHUTDOWN; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_actors_thread_add(struct pulse_actors *sys,
				      const struct pulse_actor_thread *opts);

/* ---- types ------------------------------------------------------------------- */

/* What a message is. */
enum pulse_actor_kind {
	PULSE_ACTOR_SEND = 0,		/* sent */
	PULSE_ACTOR_CALL = 1,		/* somebody waits for pulse_actor_reply() */
	PULSE_ACTOR_DOWN = 2,		/* an actor that is monitored ended */
	PULSE_ACTOR_EXIT = 3,		/* an actor that is linked ended, and traps are set */
	PULSE_ACTOR_TIMEOUT = 4,	/* no message for as long as was asked */
};

/**
 * struct pulse_actor_msg - a message as its actor sees it
 * @from: the actor that sent it, or that ended; or PULSE_ACTOR_NONE
 * @tag: as it was sent; of DOWN: the number of the monitor
 * @data: the copy, aligned to 8 bytes; NULL there is none
 * @bytes: of @data
 * @kind: enum pulse_actor_kind
 * @reason: of DOWN and EXIT: why it ended
 * @reserved: 0
 */
struct pulse_actor_msg {
	uint64_t from;
	uint64_t tag;
	void *data;
	uint32_t bytes;
	int32_t kind;
	int32_t reason;
	uint32_t reserved;
};

/**
 * typedef pulse_actor_init_fn - an instance begins
 * @self: the instance
 * @arg: of struct pulse_actor_opts
 *
 * In the thread that spawns it, before its first message.
 *
 * Return: 0; or a negative errno, which pulse_actor_spawn() then gives.
 */
typedef int (*pulse_actor_init_fn)(struct pulse_actor *self, void *arg);

/**
 * typedef pulse_actor_fn - a message has come
 * @self: the instance, to be used in this call only
 * @msg: lent for the call
 */
typedef void (*pulse_actor_fn)(struct pulse_actor *self,
			       const struct pulse_actor_msg *msg);

/**
 * typedef pulse_actor_batch_fn - messages have come
 * @self: the instance, to be used in this call only
 * @msgs: in their order; lent for the call. None is a call.
 * @nr: 1 or more
 */
typedef void (*pulse_actor_batch_fn)(struct pulse_actor *self,
				     const struct pulse_actor_msg *const *msgs,
				     unsigned int nr);

/**
 * typedef pulse_actor_stop_fn - an instance ends
 * @self: the instance, its state still there
 * @reason: why
 */
typedef void (*pulse_actor_stop_fn)(struct pulse_actor *self, int reason);

/* Which instance of a type a message goes to. */
enum pulse_actor_routing {
	PULSE_ROUTE_ROUND_ROBIN = 0,	/* one after the other; the default */
	PULSE_ROUTE_LEAST_LOADED = 1,	/* the shortest mailbox */
	PULSE_ROUTE_HASH = 2,		/* the same tag, the same one, as long as it lives */
	PULSE_ROUTE_NODE = 3,		/* one of the sender's NUMA node, if there is one */
};

/* pulse_actor_type.flags */
#define PULSE_ACTOR_TRAP_EXIT	(1U << 0) /* EXIT is a message, not an end */
#define PULSE_ACTOR_SIGNALS_FIRST (1U << 1) /* DOWN and EXIT are urgent: actor_handle.h */

/**
 * struct pulse_actor_type - a type of actors
 * @sz: sizeof(struct pulse_actor_type)
 * @name: by which it is known; copied
 * @init: or NULL
 * @receive: called for each message
 * @receive_batch: called for as many messages as there are, up to @budget, that
 *	were sent (calls and all else go to @receive); or NULL
 * @stop: or NULL
 * @mailbox_limit: messages that wait; default 0: no limit. Over it, a thread is
 *	told -EAGAIN, and an actor's message is taken but the actor itself is
 *	*muted*: it handles no more until half of them are done.
 * @budget: messages in a row before others have their turn; default 64. Of those
 *	that had piled up when its turn came it handles as many again, and more
 *	for up to 200 microseconds, so that it keeps up with many senders.
 * @routing: enum pulse_actor_routing
 * @flags: PULSE_ACTOR_* or 0
 * @memory_limit: bytes that pulse_actor_alloc() may give to an instance;
 *	default 0: no limit
 */
struct pulse_actor_type {
	size_t sz;
	const char *name;
	pulse_actor_init_fn init;
	pulse_actor_fn receive;
	pulse_actor_batch_fn receive_batch;
	pulse_actor_stop_fn stop;
	uint32_t mailbox_limit;
	uint32_t budget;
	int32_t routing;
	uint32_t flags;
	size_t memory_limit;
};

/**
 * pulse_actor_register() - make a type known
 * @sys: the system
 * @type: copied
 *
 * Return: 0; -EEXIST there is one of that name; -EINVAL; -E2BIG; -ENOMEM;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_actor_register(struct pulse_actors *sys,
				   const struct pulse_actor_type *type);

/* ---- instances ----------------------------------------------------------------- */

/**
 * struct pulse_actor_opts - options of pulse_actor_spawn()
 * @sz: sizeof(struct pulse_actor_opts)
 * @type: name of its type
 * @arg: for the type's init
 * @thread: PULSE_ACTOR_ON(n): on thread n of the system; 0: on the pool
 * @node: PULSE_TASK_NODE(n) of <pulse-u/pool.h>: for PULSE_ROUTE_NODE; 0: the
 *	node of who spawns it
 * @link: an actor to be linked with from the beginning, or PULSE_ACTOR_NONE
 */
struct pulse_actor_opts {
	size_t sz;
	const char *type;
	void *arg;
	int32_t thread;
	int32_t node;
	uint64_t link;
};

#define PULSE_ACTOR_ON(n)	((n) + 1)

/**
 * pulse_actor_spawn() - begin an instance of a type
 * @sys: the system
 * @opts: which
 * @ref: its reference, or NULL
 *
 * From anywhere.
 *
 * Return: 0; -ENOENT no such type or thread; -ESRCH @opts->link is gone;
 * -ENOSPC max_actors are alive; -ENOMEM; -ESHUTDOWN; -EINVAL; -E2BIG; what the
 * type's init says; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_actor_spawn(struct pulse_actors *sys,
				const struct pulse_actor_opts *opts,
				uint64_t *ref);

/**
 * pulse_actor_stop() - have an actor end
 * @sys: the system
 * @ref: the actor
 * @reason: 0 normal, or a negative errno
 *
 * It ends after the message it is at; those that wait are dropped, and who
 * calls it gets -ESRCH. Never fails for want of memory.
 *
 * Return: 0; -EALREADY it is ending; -ESRCH; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_stop(struct pulse_actors *sys, uint64_t ref,
			       int reason);

/**
 * pulse_actor_alive() - is there such an actor?
 * @sys: the system
 * @ref: the actor
 *
 * Return: 1 or 0; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_alive(struct pulse_actors *sys, uint64_t ref);

/* ---- messages ------------------------------------------------------------------- */

/**
 * pulse_actor_send() - send a message
 * @sys: the system
 * @ref: to whom
 * @tag: what it is about; for the actor
 * @data: copied; may be NULL where @bytes is 0
 * @bytes: up to 2^30
 *
 * From any thread; inside an actor it is from that actor. Never blocks.
 *
 * Return: 0; -ESRCH there is no such actor any more; -EAGAIN its mailbox is
 * full (inside an actor: never); -ENOMEM; -EMSGSIZE; -EINVAL; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_actor_send(struct pulse_actors *sys, uint64_t ref,
			       uint64_t tag, const void *data, size_t bytes);

/**
 * pulse_actor_call() - send a message and wait for the reply
 * @sys: the system
 * @ref: to whom
 * @tag: what it is about
 * @data: copied
 * @bytes: of @data
 * @deadline_ns: when to give up, absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 * @reply: room for the reply, or NULL
 * @reply_bytes: in: how much; out: what the reply has, though it was more; or
 *	NULL: none
 *
 * Inside an actor of the pool it runs, while it waits, the actor that it waits
 * for, where nobody else does.
 *
 * Return: 0; -ESRCH it is gone, or ended meanwhile; -ETIMEDOUT (what comes later
 * is dropped); -EDEADLK it is the caller itself, or waits for the caller in a
 * call of its own; -ENOMSG the handler gave no reply; -EMSGSIZE the reply is
 * longer than there is room (what fits is there); what
 * pulse_actor_reply_error() said; or as pulse_actor_send().
 */
PULSE_API int pulse_actor_call(struct pulse_actors *sys, uint64_t ref,
			       uint64_t tag, const void *data, size_t bytes,
			       int64_t deadline_ns, void *reply,
			       size_t *reply_bytes);

/**
 * pulse_actor_send_type() - send a message to an instance of a type
 * @sys: the system
 * @type: which; the type's routing says who of them
 * @tag: what it is about; with PULSE_ROUTE_HASH also the key
 * @data: copied
 * @bytes: of @data
 *
 * Return: 0; -ENOENT no such type; -ESRCH it has no instance; or as
 * pulse_actor_send().
 */
PULSE_API int pulse_actor_send_type(struct pulse_actors *sys, const char *type,
				    uint64_t tag, const void *data,
				    size_t bytes);

/**
 * pulse_actor_call_type() - call an instance of a type
 * @sys: the system
 * @type: which
 * @tag: what it is about; with PULSE_ROUTE_HASH also the key
 * @data: copied
 * @bytes: of @data
 * @deadline_ns: as for pulse_actor_call()
 * @reply: as there
 * @reply_bytes: as there
 *
 * Return: -ENOENT no such type; -ESRCH it has no instance; or as
 * pulse_actor_call().
 */
PULSE_API int pulse_actor_call_type(struct pulse_actors *sys, const char *type,
				    uint64_t tag, const void *data,
				    size_t bytes, int64_t deadline_ns,
				    void *reply, size_t *reply_bytes);

/**
 * pulse_actor_broadcast() - send a message to all instances of a type
 * @sys: the system
 * @type: which
 * @tag: what it is about
 * @data: copied for each
 * @bytes: of @data
 *
 * Return: how many got it; -ENOENT no such type; -ENOMEM some may have got it;
 * -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_broadcast(struct pulse_actors *sys, const char *type,
				    uint64_t tag, const void *data,
				    size_t bytes);

/**
 * pulse_actor_find() - the instance a message to a type would go to now
 * @sys: the system
 * @type: which
 * @tag: the key, with PULSE_ROUTE_HASH
 * @ref: the instance
 *
 * Return: 0; -ENOENT no such type; -ESRCH it has no instance; -EINVAL.
 */
PULSE_API int pulse_actor_find(struct pulse_actors *sys, const char *type,
			       uint64_t tag, uint64_t *ref);

/* ---- inside an actor --------------------------------------------------------------- */

/**
 * struct pulse_actor_context - where an actor is
 * @sz: sizeof(struct pulse_actor_context), set by the caller
 * @sys: its system
 * @ref: itself
 * @type: name of its type
 * @thread_id: of the system's threads: the number; of the pool's workers: the
 *	number after those of all threads that may ever be, 256 and up
 * @node: NUMA node it was spawned for
 * @handled: messages so far, with this one
 */
struct pulse_actor_context {
	size_t sz;
	struct pulse_actors *sys;
	uint64_t ref;
	const char *type;
	int32_t thread_id;
	int32_t node;
	uint64_t handled;
};

/**
 * pulse_actor_context() - where am I?
 * @self: the instance
 * @out: its sz is set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_actor_context(const struct pulse_actor *self,
				  struct pulse_actor_context *out);

/**
 * pulse_actor_self() - an actor's own reference
 * @self: the instance; NULL: the actor that the calling thread is inside of
 *
 * Return: the reference; PULSE_ACTOR_NONE outside of actors.
 */
PULSE_API uint64_t pulse_actor_self(const struct pulse_actor *self);

/**
 * pulse_actor_system() - an actor's system
 * @self: the instance
 *
 * Return: it; NULL where @self is.
 */
PULSE_API struct pulse_actors *
pulse_actor_system(const struct pulse_actor *self);

/**
 * pulse_actor_reply() - answer the call that is being handled
 * @self: the instance
 * @data: copied
 * @bytes: of @data
 *
 * Return: 0; -ENOTCONN this is no call, or it was answered; -ECANCELED the
 * caller has given up; -EINVAL.
 */
PULSE_API int pulse_actor_reply(struct pulse_actor *self, const void *data,
				size_t bytes);

/**
 * pulse_actor_reply_error() - answer it with an error
 * @self: the instance
 * @err: a negative errno, which pulse_actor_call() gives
 *
 * Return: as pulse_actor_reply().
 */
PULSE_API int pulse_actor_reply_error(struct pulse_actor *self, int err);

/* A call that is to be answered later. */
struct pulse_actor_later;

/**
 * pulse_actor_defer() - answer the call that is being handled later
 * @self: the instance
 * @out: to be used once, by any thread
 *
 * Return: 0; -ENOTCONN; -EINVAL.
 */
PULSE_API int pulse_actor_defer(struct pulse_actor *self,
				struct pulse_actor_later **out);

/**
 * pulse_actor_answer() - answer a call later
 * @later: of pulse_actor_defer(); the caller may not use it any more
 * @err: 0, or a negative errno in place of an answer
 * @data: copied
 * @bytes: of @data
 *
 * Return: 0; -ECANCELED the caller has given up; -EINVAL.
 */
PULSE_API int pulse_actor_answer(struct pulse_actor_later *later, int err,
				 const void *data, size_t bytes);

/**
 * pulse_actor_stash() - put the message that is being handled aside
 * @self: the instance
 *
 * Not now: it is handled once more after pulse_actor_unstash(). It stays valid
 * until the handler returns, and cannot be answered meanwhile; who called still
 * waits. As "stash" of Akka, and what selective receive is for in Erlang. What
 * is aside when the actor ends is a dead letter; who called gets -ESRCH.
 *
 * Return: 0; -ENOMSG there is none in hand, or it is aside already; -ENOSPC as
 * many as the type's mailbox_limit are; -EINVAL also: in receive_batch.
 */
PULSE_API int pulse_actor_stash(struct pulse_actor *self);

/**
 * pulse_actor_unstash() - have all that was put aside handled, after this message
 * @self: the instance
 *
 * In the order in which they came, before all that waits in the mailbox.
 *
 * Return: how many; -EINVAL also: in receive_batch.
 */
PULSE_API int pulse_actor_unstash(struct pulse_actor *self);

/**
 * pulse_actor_state() - an actor's state
 * @self: the instance
 *
 * Return: what pulse_actor_set_state() was given; NULL: nothing.
 */
PULSE_API void *pulse_actor_state(const struct pulse_actor *self);

/**
 * pulse_actor_set_state() - set it
 * @self: the instance
 * @state: anything
 * @destroy: called with it when another one is set, when it is reset and when
 *	the actor ends; or NULL
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_actor_set_state(struct pulse_actor *self, void *state,
				    void (*destroy)(void *state));

/**
 * pulse_actor_reset_state() - destroy it: there is none any more
 * @self: the instance
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_actor_reset_state(struct pulse_actor *self);

/**
 * pulse_actor_alloc() - memory that goes with the actor
 * @self: the instance
 * @bytes: how much; zeroed, aligned to 16
 *
 * Return: it; NULL there is none, or the type's memory_limit is reached.
 */
PULSE_API void *pulse_actor_alloc(struct pulse_actor *self, size_t bytes);

/**
 * pulse_actor_free() - give some of it back earlier
 * @self: the instance
 * @p: of pulse_actor_alloc() of the same instance; NULL does nothing
 */
PULSE_API void pulse_actor_free(struct pulse_actor *self, void *p);

/**
 * pulse_actor_exit() - end after this message
 * @self: the instance
 * @reason: 0 normal, or a negative errno
 *
 * Return: 0; -EALREADY it is ending; -EINVAL.
 */
PULSE_API int pulse_actor_exit(struct pulse_actor *self, int reason);

/* ---- monitors, links --------------------------------------------------------------- */

/**
 * pulse_actor_monitor() - be told when another actor ends
 * @self: the instance that gets a message of kind PULSE_ACTOR_DOWN, once
 * @ref: the other one. Where it is gone already, the message comes at once, with
 *	reason -ESRCH.
 * @monitor: its number, which is the message's tag; or NULL
 *
 * Return: 0; -ENOMEM; -EINVAL also: it is itself.
 */
PULSE_API int pulse_actor_monitor(struct pulse_actor *self, uint64_t ref,
				  uint64_t *monitor);

/**
 * pulse_actor_demonitor() - do not be told
 * @self: the instance
 * @ref: the other one
 * @monitor: of pulse_actor_monitor()
 *
 * Return: 0; -ENOENT it has ended, the message came or is on its way; -EINVAL.
 */
PULSE_API int pulse_actor_demonitor(struct pulse_actor *self, uint64_t ref,
				    uint64_t monitor);

/**
 * pulse_actor_link() - end together
 * @self: the instance
 * @ref: the other one
 *
 * When one of the two ends with a reason that is not 0, the other one ends with
 * the same reason; where its type says PULSE_ACTOR_TRAP_EXIT it gets a message
 * of kind PULSE_ACTOR_EXIT instead, for any reason.
 *
 * Return: 0, also if they are linked already; -ESRCH; -ENOMEM; -EINVAL also: it
 * is itself.
 */
PULSE_API int pulse_actor_link(struct pulse_actor *self, uint64_t ref);

/**
 * pulse_actor_unlink() - do not
 * @self: the instance
 * @ref: the other one
 *
 * Return: 0; -ENOENT they were not linked; -EINVAL.
 */
PULSE_API int pulse_actor_unlink(struct pulse_actor *self, uint64_t ref);

/* ---- time ---------------------------------------------------------------------------- */

struct pulse_actor_timer;

/**
 * pulse_actor_send_at() - send a message at a time
 * @sys: the system
 * @ref: to whom
 * @deadline_ns: when, absolute CLOCK_MONOTONIC
 * @period_ns: and then again and again; 0: once
 * @tag: what it is about
 * @data: copied, up to 256 bytes
 * @bytes: of @data
 * @out: to be given to pulse_actor_timer_cancel() once, or NULL: it cannot be
 *	cancelled (and is sent once)
 *
 * Inside an actor it is from that actor.
 *
 * Return: 0; -ESRCH; -ENOMEM; -EMSGSIZE; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_send_at(struct pulse_actors *sys, uint64_t ref,
				  int64_t deadline_ns, int64_t period_ns,
				  uint64_t tag, const void *data, size_t bytes,
				  struct pulse_actor_timer **out);

/**
 * pulse_actor_timer_cancel() - do not send it any more, and give the timer back
 * @timer: of pulse_actor_send_at(), also after it was sent, but before the
 *	system is destroyed
 *
 * Return: 1 it will not be sent; 0 it has been or is being; -EINVAL.
 */
PULSE_API int pulse_actor_timer_cancel(struct pulse_actor_timer *timer);

/**
 * pulse_actor_set_timeout() - be told when no message comes
 * @self: the instance that gets a message of kind PULSE_ACTOR_TIMEOUT
 * @timeout_ns: after so long without one, and again after each message; 0: no
 *	more
 *
 * One at a time is in the mailbox, and only one that still holds when the
 * instance comes to it is handed over: not behind a message, nor after the time
 * was set anew.
 *
 * Return: 0; -ENOMEM; -EINVAL.
 */
PULSE_API int pulse_actor_set_timeout(struct pulse_actor *self,
				      int64_t timeout_ns);

/* ---- looking at it --------------------------------------------------------------------- */

/**
 * struct pulse_actor_info - an instance
 * @sz: sizeof(struct pulse_actor_info); set in the first of an array
 * @ref: the reference
 * @thread: where it runs: number of a thread, or -1 the pool
 * @node: NUMA node it was spawned for
 * @queued: messages that wait, about; 0 where the type has neither a limit nor
 *	PULSE_ROUTE_LEAST_LOADED
 * @memory_bytes: that pulse_actor_alloc() gave and has not back, about
 */
struct pulse_actor_info {
	size_t sz;
	uint64_t ref;
	int32_t thread;
	int32_t node;
	uint64_t queued;
	uint64_t memory_bytes;
};

/**
 * pulse_actor_list() - the instances of a type
 * @sys: the system
 * @type: which
 * @out: room for @max, the sz of the first is set; may be NULL where @max is 0
 * @max: how many
 *
 * Return: how many there are; -ENOENT no such type; -EINVAL; -E2BIG;
 * -EOWNERDEAD.
 */
PULSE_API int pulse_actor_list(struct pulse_actors *sys, const char *type,
			       struct pulse_actor_info *out, int max);

/**
 * pulse_actor_types() - the types there are
 * @sys: the system
 * @names: room for @max; each lives as long as the system; may be NULL
 * @max: how many
 *
 * Return: how many there are; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_types(struct pulse_actors *sys, const char **names,
				int max);

/**
 * struct pulse_actors_stats - what a system has done
 * @sz: sizeof(struct pulse_actors_stats), set by the caller
 * @alive: actors now
 * @spawned: so far
 * @handled: messages
 * @dead_letters: messages that were sent and whose actor ended before
 * @muted: times that an actor was muted
 * @rescued: times that an actor was taken from a worker that was long in a
 *	handler
 * @actor_bytes: memory of an actor that has no state and no message
 */
struct pulse_actors_stats {
	size_t sz;
	uint64_t alive;
	uint64_t spawned;
	uint64_t handled;
	uint64_t dead_letters;
	uint64_t muted;
	uint64_t rescued;
	uint64_t actor_bytes;
};

/**
 * pulse_actors_stats() - read what a system has done
 * @sys: the system
 * @out: its sz is set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_actors_stats(struct pulse_actors *sys,
				 struct pulse_actors_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_ACTOR_H */

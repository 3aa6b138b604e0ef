/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * debug.h - probes: what a program tells about itself while it runs.
 *
 * A probe is a function with a name that writes values; a dump asks some or all
 * of them and is a JSON object with a member for each. One that fails is dumped
 * as its error, and the others follow. Probes may be added and taken out at any
 * time.
 *
 * A dump holds nobody up and waits for nobody: the probes that come with the library
 * read what is there without the threads that they tell of, however busy those are;
 * and of a probe that hangs in one dump the others say that it is busy.
 */
#ifndef PULSE_U_DEBUG_H
#define PULSE_U_DEBUG_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_actors;
struct pulse_bus;
struct pulse_control;
struct pulse_ctx;
struct pulse_debug;
struct pulse_dump;
struct pulse_mailbox;
struct pulse_metrics;
struct pulse_pool;
struct pulse_sup;
struct pulse_tracer;
struct pulse_ws_server;

#define PULSE_PROBE_NAME_MAX	64	/* bytes of a probe's name */
#define PULSE_DUMP_DEPTH_MAX	16	/* objects and lists in each other */

/* ---- writing, in a probe ------------------------------------------------------ */

/**
 * pulse_dump_i64() - write a number
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 * @value: the number
 *
 * A key where there must be none, or none where there must be one, is an error
 * of the probe, as for all of these.
 */
PULSE_API void pulse_dump_i64(struct pulse_dump *dump, const char *key,
			      int64_t value);

/**
 * pulse_dump_u64() - write a number
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 * @value: the number
 */
PULSE_API void pulse_dump_u64(struct pulse_dump *dump, const char *key,
			      uint64_t value);

/**
 * pulse_dump_f64() - write a number
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 * @value: the number; null where JSON has none for it
 */
PULSE_API void pulse_dump_f64(struct pulse_dump *dump, const char *key,
			      double value);

/**
 * pulse_dump_bool() - write true or false
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 * @value: which
 */
PULSE_API void pulse_dump_bool(struct pulse_dump *dump, const char *key,
			       bool value);

/**
 * pulse_dump_str() - write a text
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 * @value: any bytes: what is not UTF-8 becomes U+FFFD; NULL: null
 */
PULSE_API void pulse_dump_str(struct pulse_dump *dump, const char *key,
			      const char *value);

/**
 * pulse_dump_begin() - begin an object within
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 */
PULSE_API void pulse_dump_begin(struct pulse_dump *dump, const char *key);

/**
 * pulse_dump_begin_list() - begin a list within
 * @dump: as given to the probe
 * @key: its name; in a list NULL
 */
PULSE_API void pulse_dump_begin_list(struct pulse_dump *dump, const char *key);

/**
 * pulse_dump_end() - end what was begun last
 * @dump: as given to the probe
 */
PULSE_API void pulse_dump_end(struct pulse_dump *dump);

/* ---- probes -------------------------------------------------------------------- */

/**
 * typedef pulse_probe_fn - writes what is to be seen
 * @dump: an object that was begun, and is ended afterwards
 * @arg: as given with the function
 *
 * Called by the thread that dumps, by one at a time. It should not wait: dumps that
 * find it under way for a tenth of a second or more leave it out, with the error of
 * -EBUSY in its place. It must not add or remove probes of its registry, or dump it.
 *
 * Return: 0; a negative errno: what it wrote is dropped, the error stands there.
 */
typedef int (*pulse_probe_fn)(struct pulse_dump *dump, void *arg);

/**
 * pulse_debug_create() - make a registry without probes
 * @out: the registry
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_debug_create(struct pulse_debug **out);

/**
 * pulse_debug_destroy() - end a registry
 * @debug: nobody uses it any more
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_debug_destroy(struct pulse_debug *debug);

/**
 * pulse_debug_add() - add a probe
 * @debug: the registry
 * @name: unique; copied; 1 to PULSE_PROBE_NAME_MAX bytes
 * @fn: the probe
 * @arg: for @fn
 *
 * Return: 0; -EINVAL; -EEXIST; -ENOMEM; -EDEADLK from a probe.
 */
PULSE_API int pulse_debug_add(struct pulse_debug *debug, const char *name,
			      pulse_probe_fn fn, void *arg);

/**
 * pulse_debug_remove() - take a probe out
 * @debug: the registry
 * @name: its name
 *
 * When it returns the probe does not run, and will not; where it is under way, that
 * is waited for.
 *
 * Return: 0; -EINVAL; -ENOENT; -EDEADLK from a probe.
 */
PULSE_API int pulse_debug_remove(struct pulse_debug *debug, const char *name);

/**
 * pulse_debug_dump() - ask the probes
 * @debug: the registry
 * @prefix: only those whose names begin with it; NULL or "": all
 * @buf: out: a JSON object and a 0, cut if it does not fit; NULL where @len is 0
 * @len: room in @buf
 *
 * Return: bytes of the whole object, its 0 left out: if that is @len or more, it
 * was cut and is no JSON; -EINVAL; -EDEADLK from a probe.
 */
PULSE_API int64_t pulse_debug_dump(struct pulse_debug *debug,
				   const char *prefix, char *buf, size_t len);

/* ---- probes that come with the library ------------------------------------------ */

/**
 * pulse_debug_add_threads() - a probe of each thread of the process
 * @debug: the registry
 * @name: its name
 *
 * Name, state, CPU, times in user and kernel mode, and where in the kernel it
 * waits if that may be seen; from /proc.
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_threads(struct pulse_debug *debug,
				      const char *name);

/**
 * pulse_debug_add_ctx() - a probe of a context's workers
 * @debug: the registry
 * @name: its name
 * @ctx: the probe is removed before it is destroyed
 * @max_workers: indices to look at, from 0
 *
 * State, thread, CPU, node, times and counts of struct pulse_worker_state.
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_ctx(struct pulse_debug *debug, const char *name,
				  struct pulse_ctx *ctx, uint32_t max_workers);

/**
 * pulse_debug_add_pool() - a probe of a pool and each of its workers
 * @debug: the registry
 * @name: its name
 * @pool: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_pool(struct pulse_debug *debug, const char *name,
				   struct pulse_pool *pool);

/**
 * pulse_debug_add_ws() - a probe of a WebSocket server: figures and limits
 * @debug: the registry
 * @name: its name
 * @server: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_ws(struct pulse_debug *debug, const char *name,
				 struct pulse_ws_server *server);

/**
 * pulse_debug_add_metrics() - a probe of all series of a registry of metrics
 * @debug: the registry
 * @name: its name
 * @metrics: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_metrics(struct pulse_debug *debug,
				      const char *name,
				      struct pulse_metrics *metrics);

/**
 * pulse_debug_add_tracer() - a probe of a tracer's figures
 * @debug: the registry
 * @name: its name
 * @tracer: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_tracer(struct pulse_debug *debug,
				     const char *name,
				     struct pulse_tracer *tracer);

/**
 * pulse_debug_add_sup() - a probe of a supervisor and each of its children
 * @debug: the registry
 * @name: its name
 * @sup: the probe is removed before it is destroyed
 *
 * What each child is, whether it runs, since which incarnation, and in words how
 * the last one ended. A supervisor below is a child; one may add a probe of its
 * own for it.
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_sup(struct pulse_debug *debug, const char *name,
				  struct pulse_sup *sup);

/**
 * pulse_debug_add_actors() - a probe of actors: how many of each type there are
 * @debug: the registry
 * @name: its name
 * @actors: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_actors(struct pulse_debug *debug,
				     const char *name,
				     struct pulse_actors *actors);

/**
 * pulse_debug_add_bus() - a probe of a bus's figures
 * @debug: the registry
 * @name: its name
 * @bus: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_bus(struct pulse_debug *debug, const char *name,
				  struct pulse_bus *bus);

/**
 * pulse_debug_add_mailbox() - a probe of a mailbox's figures
 * @debug: the registry
 * @name: its name
 * @mailbox: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_mailbox(struct pulse_debug *debug,
				      const char *name,
				      struct pulse_mailbox *mailbox);

/**
 * pulse_debug_add_control() - a probe of a control: its knobs, as they are
 * @debug: the registry
 * @name: its name
 * @control: the probe is removed before it is destroyed
 *
 * Return: as pulse_debug_add().
 */
PULSE_API int pulse_debug_add_control(struct pulse_debug *debug,
				      const char *name,
				      struct pulse_control *control);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_DEBUG_H */

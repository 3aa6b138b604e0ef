/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * actor_child.h - actors as children of a supervisor: <pulse-u/supervisor.h>
 * starts them again when they fail.
 */
#ifndef PULSE_U_ACTOR_CHILD_H
#define PULSE_U_ACTOR_CHILD_H

#include <pulse-u/actor.h>
#include <pulse-u/child.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_actor_child - an actor that a supervisor starts and starts again
 *
 * Is the arg of a struct pulse_child_spec of kind PULSE_CHILD_OPS whose ops are
 * pulse_actor_child_ops(), see <pulse-u/supervisor.h>. An actor that ends with
 * 0 ended normally, with -ESHUTDOWN as asked, else it failed, and the reason is
 * the exit's code. The supervisor ends before the system of actors does.
 */
struct pulse_actor_child;

/**
 * pulse_actor_child_create() - describe an actor for a supervisor
 * @sys: its system
 * @opts: as for pulse_actor_spawn(), for each start; copied
 * @out: the supervisor's once it took the spec
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EOWNERDEAD.
 */
PULSE_API int pulse_actor_child_create(struct pulse_actors *sys,
				       const struct pulse_actor_opts *opts,
				       struct pulse_actor_child **out);

/**
 * pulse_actor_child_destroy() - give one back that no supervisor took
 * @child: of pulse_actor_child_create()
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_actor_child_destroy(struct pulse_actor_child *child);

/**
 * pulse_actor_child_ref() - the actor that it is now
 * @child: not deleted by its supervisor
 *
 * Return: its reference, another one after each start; PULSE_ACTOR_NONE before
 * the first.
 */
PULSE_API uint64_t pulse_actor_child_ref(const struct pulse_actor_child *child);

/**
 * pulse_actor_child_ops() - for struct pulse_child_spec.ops
 *
 * Return: the table; static.
 */
PULSE_API const struct pulse_child_ops *pulse_actor_child_ops(void);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_ACTOR_CHILD_H */

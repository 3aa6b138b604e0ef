/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * actor_handle.h - how an actor handles its messages: which of them first, and by
 * which function.
 *
 * *Urgent* messages overtake those that wait, and keep their order among each
 * other. While others wait, one of these has its turn after eight urgent ones, so
 * urgent ones delay them but do not stop them. As priority messages of Erlang/OTP
 * 28 and the two queues of CAF.
 *
 * What an actor *becomes* is the function that handles its messages from the next
 * one on: a protocol of several states without a switch in each. Together with
 * pulse_actor_stash() it puts aside what is for another state. As "become" of
 * Hewitt, Bishop, Steiger, "A Universal Modular Actor Formalism for Artificial
 * Intelligence", 1973, and of Akka.
 */
#ifndef PULSE_U_ACTOR_HANDLE_H
#define PULSE_U_ACTOR_HANDLE_H

#include <pulse-u/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * pulse_actor_send_urgent() - send a message that overtakes others
 * @sys: the system
 * @ref: to whom
 * @tag: what it is about; for the actor
 * @data: copied; may be NULL where @bytes is 0
 * @bytes: up to 2^30
 *
 * As pulse_actor_send(), but before all messages that wait and are not urgent.
 * It does not interrupt a handler, and what was put aside stays so. Of urgent
 * ones a mailbox takes more: up to twice the type's mailbox_limit wait in it, of
 * both kinds, so that it can be reached while it is full.
 *
 * DOWN and EXIT are urgent for instances of a type whose flags have
 * PULSE_ACTOR_SIGNALS_FIRST. Such a one may come before messages that the actor
 * that ended had sent.
 *
 * Return: as pulse_actor_send().
 */
PULSE_API int pulse_actor_send_urgent(struct pulse_actors *sys, uint64_t ref,
				      uint64_t tag, const void *data,
				      size_t bytes);

/**
 * pulse_actor_call_urgent() - call, before others that wait
 * @sys: the system
 * @ref: to whom
 * @tag: what it is about
 * @data: copied
 * @bytes: of @data
 * @deadline_ns: as for pulse_actor_call()
 * @reply: as there
 * @reply_bytes: as there
 *
 * Return: as pulse_actor_call().
 */
PULSE_API int pulse_actor_call_urgent(struct pulse_actors *sys, uint64_t ref,
				      uint64_t tag, const void *data,
				      size_t bytes, int64_t deadline_ns,
				      void *reply, size_t *reply_bytes);

/**
 * pulse_actor_become() - let another function handle what comes
 * @self: the instance
 * @receive: for each message after this one, of all kinds
 *
 * In place of the one that does so now, which is forgotten. A type's
 * receive_batch is not called meanwhile. Also in its init.
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_actor_become(struct pulse_actor *self,
				 pulse_actor_fn receive);

/**
 * pulse_actor_become_over() - likewise, until pulse_actor_unbecome()
 * @self: the instance
 * @receive: for each message after this one
 *
 * The one that handles them now lies under it, and is not forgotten.
 *
 * Return: 0; -ENOSPC 32 lie under it; -ENOMEM; -EINVAL.
 */
PULSE_API int pulse_actor_become_over(struct pulse_actor *self,
				      pulse_actor_fn receive);

/**
 * pulse_actor_unbecome() - let the one that lies under it handle what comes
 * @self: the instance
 *
 * Where none does: the type's own.
 *
 * Return: 0; -EALREADY it is the type's own; -EINVAL.
 */
PULSE_API int pulse_actor_unbecome(struct pulse_actor *self);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_ACTOR_HANDLE_H */

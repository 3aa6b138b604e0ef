/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * context.h - what is known about a piece of work, handed from layer to layer.
 *
 *	static const struct pulse_context_key user = {
 *		"user.id", PULSE_CONTEXT_U64 };
 *	...
 *	pulse_context_set_u64(ctx, &user, 42, NULL);
 *	if (!pulse_context_get_u64(ctx, &user, &id))
 *		...
 *
 * Values are typed by their key. One is local, seen in its own context alone, or
 * propagated, seen in all contexts below too; it may have an end in time, after
 * which it is as if it had never been set. A context carries a cancel token
 * (result.h): cancelling one, or its deadline, ends all below it.
 *
 * Everything may be called by any thread. Values are copied in and out, but for
 * pointers, which bring their own counting along.
 */
#ifndef PULSE_U_CONTEXT_H
#define PULSE_U_CONTEXT_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_context;
struct pulse_token;

/* What a key's values are. */
enum pulse_context_type {
	PULSE_CONTEXT_I64 = 1,
	PULSE_CONTEXT_U64 = 2,
	PULSE_CONTEXT_F64 = 3,
	PULSE_CONTEXT_BOOL = 4,
	PULSE_CONTEXT_STR = 5,
	PULSE_CONTEXT_PTR = 6,
};

#define PULSE_CONTEXT_NAME_MAX	64	/* bytes of a key's name */
#define PULSE_CONTEXT_STR_MAX	65536	/* bytes of a string, its 0 included */
#define PULSE_CONTEXT_KEYS_MAX	256	/* values set in one context */
#define PULSE_CONTEXT_DEPTH_MAX	64	/* contexts above each other */

/**
 * struct pulse_context_key - a name and the type of its values
 * @name: 1 to PULSE_CONTEXT_NAME_MAX bytes
 * @type: enum pulse_context_type
 *
 * Usually static and const; two keys of the same name and type are the same key.
 */
struct pulse_context_key {
	const char *name;
	int type;
};

/* Who sees a value. */
enum pulse_context_scope {
	PULSE_CONTEXT_PROPAGATED = 0,	/* this context and those below */
	PULSE_CONTEXT_LOCAL = 1,	/* this context alone */
};

/**
 * struct pulse_context_opts - options of pulse_context_create()
 * @sz: sizeof(struct pulse_context_opts)
 * @parent: the context above, which is kept as long as this one; default none
 * @token: for a context without a parent: a token above its own; default none
 * @deadline_ns: absolute CLOCK_MONOTONIC, after which pulse_context_err() says
 *	-ETIMEDOUT; an earlier one above holds too; default 0: none of its own
 */
struct pulse_context_opts {
	size_t sz;
	struct pulse_context *parent;
	struct pulse_token *token;
	int64_t deadline_ns;
};

/**
 * pulse_context_create() - make a context
 * @opts: or NULL for the defaults
 * @out: the context, with one reference
 *
 * Below one that is cancelled it is born cancelled.
 *
 * Return: 0; -EINVAL, also for a parent and a token together; -E2BIG unknown
 * options; -ELOOP too many above each other; -ENOMEM.
 */
PULSE_API int pulse_context_create(const struct pulse_context_opts *opts,
				   struct pulse_context **out);

/**
 * pulse_context_get() - take a reference
 * @ctx: the context
 *
 * Return: @ctx; NULL for NULL.
 */
PULSE_API struct pulse_context *pulse_context_get(struct pulse_context *ctx);

/**
 * pulse_context_put() - give a reference back
 * @ctx: the context, or NULL. The last one lets its values go; it is not
 *	cancelled by that.
 */
PULSE_API void pulse_context_put(struct pulse_context *ctx);

/**
 * pulse_context_clone() - make a context that begins as another one is
 * @ctx: the context
 * @out: its twin, with one reference
 *
 * It has the same parent (or token) and deadline, and a copy of each value that
 * is set in @ctx itself, local ones too, with what is left of its time; counted
 * pointers are got once more. From then on neither sees what is set, deleted or
 * cancelled in the other.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP a pointer is put but cannot be got again;
 * -ENOMEM.
 */
PULSE_API int pulse_context_clone(struct pulse_context *ctx,
				  struct pulse_context **out);

/* ---- set, get, delete, keys ---------------------------------------------- */

/**
 * struct pulse_context_set_opts - how a value is set
 * @sz: sizeof(struct pulse_context_set_opts)
 * @scope: enum pulse_context_scope; default propagated
 * @reserved: 0
 * @ttl_ns: it is gone so long from now; default 0: it stays
 * @deadline_ns: or at this time, absolute CLOCK_MONOTONIC; default 0: it stays.
 *	The earlier one of both counts
 */
struct pulse_context_set_opts {
	size_t sz;
	uint32_t scope;
	uint32_t reserved;
	int64_t ttl_ns;
	int64_t deadline_ns;
};

/**
 * struct pulse_context_ref - how a pointer is counted
 * @get: takes a reference for who reads the value; called under the context's
 *	lock, so it must not call into the context; NULL: nothing is counted
 * @put: gives one back: the context's own, when the value is replaced, deleted,
 *	has expired or goes with its context; NULL: nothing is done
 */
struct pulse_context_ref {
	void *(*get)(void *ptr);
	void (*put)(void *ptr);
};

/**
 * pulse_context_set_i64() - set a value of type PULSE_CONTEXT_I64
 * @ctx: the context
 * @key: of that type
 * @value: what it is from now on, in place of what it was in this context
 * @opts: or NULL: propagated, for good
 *
 * Return: 0; -EINVAL; -EPROTOTYPE the key is of another type, or the name stands
 * for another type in this context; -E2BIG unknown options; -ENOSPC too many
 * values; -ENOMEM.
 */
PULSE_API int pulse_context_set_i64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    int64_t value,
				    const struct pulse_context_set_opts *opts);

/**
 * pulse_context_set_u64() - as pulse_context_set_i64(), PULSE_CONTEXT_U64
 * @ctx: the context
 * @key: the key
 * @value: the value
 * @opts: or NULL
 *
 * Return: as pulse_context_set_i64().
 */
PULSE_API int pulse_context_set_u64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    uint64_t value,
				    const struct pulse_context_set_opts *opts);

/**
 * pulse_context_set_f64() - as pulse_context_set_i64(), PULSE_CONTEXT_F64
 * @ctx: the context
 * @key: the key
 * @value: the value
 * @opts: or NULL
 *
 * Return: as pulse_context_set_i64().
 */
PULSE_API int pulse_context_set_f64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    double value,
				    const struct pulse_context_set_opts *opts);

/**
 * pulse_context_set_bool() - as pulse_context_set_i64(), PULSE_CONTEXT_BOOL
 * @ctx: the context
 * @key: the key
 * @value: the value
 * @opts: or NULL
 *
 * Return: as pulse_context_set_i64().
 */
PULSE_API int pulse_context_set_bool(struct pulse_context *ctx,
				     const struct pulse_context_key *key,
				     bool value,
				     const struct pulse_context_set_opts *opts);

/**
 * pulse_context_set_str() - as pulse_context_set_i64(), PULSE_CONTEXT_STR
 * @ctx: the context
 * @key: the key
 * @value: copied
 * @opts: or NULL
 *
 * Return: as pulse_context_set_i64(); -EMSGSIZE longer than PULSE_CONTEXT_STR_MAX.
 */
PULSE_API int pulse_context_set_str(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    const char *value,
				    const struct pulse_context_set_opts *opts);

/**
 * pulse_context_set_ptr() - as pulse_context_set_i64(), PULSE_CONTEXT_PTR
 * @ctx: the context
 * @key: the key
 * @value: the caller's reference becomes the context's, if this succeeds
 * @ref: how it is counted, kept as long as the value; or NULL: not at all
 * @opts: or NULL
 *
 * Return: as pulse_context_set_i64().
 */
PULSE_API int pulse_context_set_ptr(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    void *value,
				    const struct pulse_context_ref *ref,
				    const struct pulse_context_set_opts *opts);

/**
 * pulse_context_get_i64() - read a value of type PULSE_CONTEXT_I64
 * @ctx: the context
 * @key: of that type
 * @out: the value of this context, else the nearest propagated one above
 *
 * Return: 0; -ENOENT there is none, or its time is over; -EPROTOTYPE it is of
 * another type; -EINVAL.
 */
PULSE_API int pulse_context_get_i64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    int64_t *out);

/**
 * pulse_context_get_u64() - as pulse_context_get_i64(), PULSE_CONTEXT_U64
 * @ctx: the context
 * @key: the key
 * @out: the value
 *
 * Return: as pulse_context_get_i64().
 */
PULSE_API int pulse_context_get_u64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    uint64_t *out);

/**
 * pulse_context_get_f64() - as pulse_context_get_i64(), PULSE_CONTEXT_F64
 * @ctx: the context
 * @key: the key
 * @out: the value
 *
 * Return: as pulse_context_get_i64().
 */
PULSE_API int pulse_context_get_f64(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    double *out);

/**
 * pulse_context_get_bool() - as pulse_context_get_i64(), PULSE_CONTEXT_BOOL
 * @ctx: the context
 * @key: the key
 * @out: the value
 *
 * Return: as pulse_context_get_i64().
 */
PULSE_API int pulse_context_get_bool(struct pulse_context *ctx,
				     const struct pulse_context_key *key,
				     bool *out);

/**
 * pulse_context_get_str() - as pulse_context_get_i64(), PULSE_CONTEXT_STR
 * @ctx: the context
 * @key: the key
 * @buf: out: a copy
 * @len: room in @buf
 *
 * Return: as pulse_context_get_i64(); -ENOSPC no room, @buf is "".
 */
PULSE_API int pulse_context_get_str(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    char *buf, size_t len);

/**
 * pulse_context_get_ptr() - as pulse_context_get_i64(), PULSE_CONTEXT_PTR
 * @ctx: the context
 * @key: the key
 * @out: the pointer, with a reference for the caller where it is counted
 *
 * Return: as pulse_context_get_i64().
 */
PULSE_API int pulse_context_get_ptr(struct pulse_context *ctx,
				    const struct pulse_context_key *key,
				    void **out);

/**
 * pulse_context_delete() - take a value out of a context
 * @ctx: the context
 * @key: the key
 *
 * One that is propagated from above is seen again.
 *
 * Return: 0; -ENOENT none is set here; -EPROTOTYPE; -EINVAL.
 */
PULSE_API int pulse_context_delete(struct pulse_context *ctx,
				   const struct pulse_context_key *key);

/**
 * typedef pulse_context_key_fn - is shown a key
 * @key: valid during the call
 * @scope: enum pulse_context_scope
 * @inherited: it is set in a context above
 * @arg: as given to pulse_context_keys()
 *
 * Called without a lock. Not 0 ends the walk.
 */
typedef int (*pulse_context_key_fn)(const struct pulse_context_key *key,
				    int scope, bool inherited, void *arg);

/**
 * pulse_context_keys() - the keys whose values are seen in a context
 * @ctx: the context
 * @fn: called for each of them once, those of the context first, in the order
 *	in which they were set; as they were when this was called
 * @arg: for @fn
 *
 * Return: 0, or what @fn ended the walk with; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_context_keys(struct pulse_context *ctx,
				 pulse_context_key_fn fn, void *arg);

/* ---- the end --------------------------------------------------------------- */

/**
 * pulse_context_cancel() - cancel a context and all below it
 * @ctx: the context
 * @reason: a negative errno; 0 means -ECANCELED
 *
 * Return: 0; -EALREADY; -EINVAL.
 */
PULSE_API int pulse_context_cancel(struct pulse_context *ctx, int reason);

/**
 * pulse_context_err() - why should one stop?
 * @ctx: the context; NULL is one that nobody cancels
 *
 * Return: 0: go on; else the reason, -ETIMEDOUT after the deadline.
 */
PULSE_API int pulse_context_err(const struct pulse_context *ctx);

/**
 * pulse_context_deadline() - a context's effective deadline
 * @ctx: the context, or NULL
 *
 * Return: absolute nanoseconds; PULSE_FOREVER where there is none.
 */
PULSE_API int64_t pulse_context_deadline(const struct pulse_context *ctx);

/**
 * pulse_context_token() - a context's cancel token
 * @ctx: the context
 *
 * Return: as long as @ctx, take a reference to keep it; NULL for NULL.
 */
PULSE_API struct pulse_token *
pulse_context_token(const struct pulse_context *ctx);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_CONTEXT_H */

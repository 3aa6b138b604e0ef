// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * context.c - typed values, propagated or local, with an end in time.
 *
 * A context has few values: they stand in an array that is searched from its
 * beginning. Each context has a lock of its own; a look upwards takes one after
 * the other, never two at once. What is counted is put after the lock is free,
 * because a put may do anything.
 */
#include "base/base.h"

#include <pthread.h>

#include <pulse-u/context.h>
#include <pulse-u/result.h>

struct value {
	char *name;
	int type;
	uint32_t scope;
	int64_t until_ns;		/* PULSE_FOREVER: it stays */
	struct pulse_context_ref ref;	/* of a pointer */
	union {
		int64_t i64;
		uint64_t u64;
		double f64;
		bool b;
		char *str;
		void *ptr;
	} v;
};

struct pulse_context {
	struct pulse_context *parent;
	struct pulse_token *token;
	uint32_t refs;			/* any thread */
	uint32_t depth;
	struct pulse_token *above;	/* of a root; held by its own token */
	int64_t deadline_ns;		/* its own, or 0 */
	pthread_mutex_t lock;		/* the words below */
	uint32_t nr, room;
	struct value *values;
};

/* ---- life ----------------------------------------------------------------- */

int pulse_context_create(const struct pulse_context_opts *opts,
			 struct pulse_context **out)
{
	PULSE_OPTS(pulse_token_opts, to);
	struct pulse_context_opts o;
	struct pulse_context *ctx;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), deadline_ns), opts);
	if (err)
		return err;
	if ((o.parent && o.token) || o.deadline_ns < 0)
		return -EINVAL;
	if (o.parent && o.parent->depth + 1 >= PULSE_CONTEXT_DEPTH_MAX)
		return -ELOOP;
	ctx = pulse__calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	to.parent = o.parent ? o.parent->token : o.token;
	to.deadline_ns = o.deadline_ns;
	err = pulse_token_create(&to, &ctx->token);
	if (err)
		goto free_ctx;
	err = -pthread_mutex_init(&ctx->lock, NULL);
	if (err)
		goto put_token;
	ctx->refs = 1;
	ctx->parent = pulse_context_get(o.parent);
	ctx->depth = o.parent ? o.parent->depth + 1 : 0;
	ctx->above = o.token;
	ctx->deadline_ns = o.deadline_ns;
	*out = ctx;
	return 0;
put_token:
	pulse_token_put(ctx->token);
free_ctx:
	pulse__free(ctx);
	return err;
}

struct pulse_context *pulse_context_get(struct pulse_context *ctx)
{
	if (ctx)
		__atomic_fetch_add(&ctx->refs, 1, __ATOMIC_RELAXED);
	return ctx;
}

/* Lets go what a value holds; without a lock. */
static void let_go(struct value *v)
{
	if (v->type == PULSE_CONTEXT_STR)
		pulse__free(v->v.str);
	else if (v->type == PULSE_CONTEXT_PTR && v->ref.put)
		v->ref.put(v->v.ptr);
}

void pulse_context_put(struct pulse_context *ctx)
{
	/* release: what this holder did; acquire: what the others did */
	while (ctx &&
	       __atomic_fetch_sub(&ctx->refs, 1, __ATOMIC_ACQ_REL) == 1) {
		struct pulse_context *parent = ctx->parent;

		for (uint32_t i = 0; i < ctx->nr; i++) {
			let_go(&ctx->values[i]);
			pulse__free(ctx->values[i].name);
		}
		pulse__free(ctx->values);
		pulse_token_put(ctx->token);
		pthread_mutex_destroy(&ctx->lock);
		pulse__free(ctx);
		ctx = parent;
	}
}

/* ---- values --------------------------------------------------------------- */

static int key_check(const struct pulse_context *ctx,
		     const struct pulse_context_key *key, int type)
{
	size_t len;

	if (!ctx || !key || !key->name)
		return -EINVAL;
	len = strnlen(key->name, PULSE_CONTEXT_NAME_MAX + 1);
	if (!len || len > PULSE_CONTEXT_NAME_MAX)
		return -EINVAL;
	return type && key->type != type ? -EPROTOTYPE : 0;
}

/* Under the lock; also one whose time is over. */
static struct value *find(const struct pulse_context *ctx, const char *name)
{
	for (uint32_t i = 0; i < ctx->nr; i++)
		if (!strcmp(ctx->values[i].name, name))
			return &ctx->values[i];
	return NULL;
}

/* Under the lock: takes a value out, what it holds to be let go by the caller. */
static void take_out(struct pulse_context *ctx, struct value *v,
		     struct value *gone)
{
	*gone = *v;
	ctx->nr--;
	memmove(v, v + 1, (size_t)(ctx->values + ctx->nr - v) * sizeof(*v));
}

static bool over(const struct value *v, int64_t now)
{
	return v->until_ns != PULSE_FOREVER && v->until_ns <= now;
}

/* Under the lock: room for one more, made of what is over if need be. */
static int make_room(struct pulse_context *ctx, int64_t now, struct value *gone)
{
	struct value *more;
	uint32_t room;

	if (ctx->nr < ctx->room)
		return 0;
	for (uint32_t i = 0; i < ctx->nr; i++)
		if (over(&ctx->values[i], now)) {
			take_out(ctx, &ctx->values[i], gone);
			return 0;
		}
	if (ctx->nr >= PULSE_CONTEXT_KEYS_MAX)
		return -ENOSPC;
	room = ctx->room ? ctx->room * 2 : 4;
	more = pulse__realloc(ctx->values, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	ctx->values = more;
	ctx->room = room;
	return 0;
}

/* Puts a value whose content is set under a name; takes it over if it is 0. */
static int set(struct pulse_context *ctx, const struct pulse_context_key *key,
	       struct value *new, const struct pulse_context_set_opts *opts)
{
	struct value gone = { 0 };
	struct pulse_context_set_opts o;
	int64_t now = pulse_now_ns();
	struct value *v;
	int err;

	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), deadline_ns), opts);
	if (err)
		return err;
	if (o.scope > PULSE_CONTEXT_LOCAL || o.reserved || o.ttl_ns < 0 ||
	    o.deadline_ns < 0)
		return -EINVAL;
	new->type = key->type;
	new->scope = o.scope;
	new->until_ns = o.ttl_ns ? pulse__deadline_after(now, o.ttl_ns) :
			PULSE_FOREVER;
	if (o.deadline_ns && o.deadline_ns < new->until_ns)
		new->until_ns = o.deadline_ns;
	new->name = pulse__strdup(key->name);
	if (!new->name)
		return -ENOMEM;
	pthread_mutex_lock(&ctx->lock);
	v = find(ctx, key->name);
	if (v && v->type != key->type && !over(v, now)) {
		err = -EPROTOTYPE;
	} else if (v) {
		gone = *v;
		*v = *new;
	} else {
		err = make_room(ctx, now, &gone);
		if (!err)
			ctx->values[ctx->nr++] = *new;
	}
	pthread_mutex_unlock(&ctx->lock);
	let_go(&gone);
	pulse__free(gone.name);
	if (err)
		pulse__free(new->name);
	return err;
}

#define SETTER(suffix, ctype, TYPE, member)				\
int pulse_context_set_##suffix(struct pulse_context *ctx,		\
			       const struct pulse_context_key *key,	\
			       ctype value,				\
			       const struct pulse_context_set_opts *opts)\
{									\
	struct value new = { .v.member = value };			\
	int err = key_check(ctx, key, TYPE);				\
									\
	return err ? err : set(ctx, key, &new, opts);			\
}

SETTER(i64, int64_t, PULSE_CONTEXT_I64, i64)
SETTER(u64, uint64_t, PULSE_CONTEXT_U64, u64)
SETTER(f64, double, PULSE_CONTEXT_F64, f64)
SETTER(bool, bool, PULSE_CONTEXT_BOOL, b)

int pulse_context_set_str(struct pulse_context *ctx,
			  const struct pulse_context_key *key,
			  const char *value,
			  const struct pulse_context_set_opts *opts)
{
	int err = key_check(ctx, key, PULSE_CONTEXT_STR);
	struct value new = { 0 };

	if (err || !value)
		return err ? err : -EINVAL;
	if (strnlen(value, PULSE_CONTEXT_STR_MAX) == PULSE_CONTEXT_STR_MAX)
		return -EMSGSIZE;
	new.v.str = pulse__strdup(value);
	if (!new.v.str)
		return -ENOMEM;
	err = set(ctx, key, &new, opts);
	if (err)
		pulse__free(new.v.str);
	return err;
}

int pulse_context_set_ptr(struct pulse_context *ctx,
			  const struct pulse_context_key *key, void *value,
			  const struct pulse_context_ref *ref,
			  const struct pulse_context_set_opts *opts)
{
	struct value new = { .v.ptr = value };
	int err = key_check(ctx, key, PULSE_CONTEXT_PTR);

	if (err)
		return err;
	if (ref)
		new.ref = *ref;
	return set(ctx, key, &new, opts);
}

/* A copy of the value that is seen, made by @copy under its context's lock. */
static int look(struct pulse_context *ctx, const struct pulse_context_key *key,
		int (*copy)(const struct value *v, void *to, size_t len),
		void *to, size_t len)
{
	int64_t now = pulse_now_ns();
	bool own = true;
	int err = -ENOENT;

	for (; ctx && err == -ENOENT; ctx = ctx->parent, own = false) {
		const struct value *v;

		pthread_mutex_lock(&ctx->lock);
		v = find(ctx, key->name);
		if (v && !over(v, now) &&
		    (own || v->scope == PULSE_CONTEXT_PROPAGATED))
			err = v->type == key->type ? copy(v, to, len) :
			      -EPROTOTYPE;
		pthread_mutex_unlock(&ctx->lock);
	}
	return err;
}

#define GETTER(suffix, ctype, TYPE, member)				\
static int copy_##suffix(const struct value *v, void *to, size_t len)	\
{									\
	(void)len;							\
	*(ctype *)to = v->v.member;					\
	return 0;							\
}									\
									\
int pulse_context_get_##suffix(struct pulse_context *ctx,		\
			       const struct pulse_context_key *key,	\
			       ctype *out)				\
{									\
	int err = key_check(ctx, key, TYPE);				\
									\
	if (!err && !out)						\
		err = -EINVAL;						\
	return err ? err : look(ctx, key, copy_##suffix, out, 0);	\
}

GETTER(i64, int64_t, PULSE_CONTEXT_I64, i64)
GETTER(u64, uint64_t, PULSE_CONTEXT_U64, u64)
GETTER(f64, double, PULSE_CONTEXT_F64, f64)
GETTER(bool, bool, PULSE_CONTEXT_BOOL, b)

static int copy_str(const struct value *v, void *to, size_t len)
{
	size_t bytes = strlen(v->v.str) + 1;

	if (bytes > len)
		return -ENOSPC;
	memcpy(to, v->v.str, bytes);
	return 0;
}

int pulse_context_get_str(struct pulse_context *ctx,
			  const struct pulse_context_key *key, char *buf,
			  size_t len)
{
	int err = key_check(ctx, key, PULSE_CONTEXT_STR);

	if (!err && (!buf || !len))
		err = -EINVAL;
	if (err)
		return err;
	*buf = 0;
	return look(ctx, key, copy_str, buf, len);
}

static int copy_ptr(const struct value *v, void *to, size_t len)
{
	(void)len;
	*(void **)to = v->ref.get ? v->ref.get(v->v.ptr) : v->v.ptr;
	return 0;
}

int pulse_context_get_ptr(struct pulse_context *ctx,
			  const struct pulse_context_key *key, void **out)
{
	int err = key_check(ctx, key, PULSE_CONTEXT_PTR);

	if (!err && !out)
		err = -EINVAL;
	return err ? err : look(ctx, key, copy_ptr, out, 0);
}

int pulse_context_delete(struct pulse_context *ctx,
			 const struct pulse_context_key *key)
{
	int err = key_check(ctx, key, 0);
	struct value gone = { 0 };
	struct value *v;

	if (err)
		return err;
	pthread_mutex_lock(&ctx->lock);
	v = find(ctx, key->name);
	if (v && over(v, pulse_now_ns())) {
		take_out(ctx, v, &gone);
		err = -ENOENT;
	} else if (!v) {
		err = -ENOENT;
	} else if (v->type != key->type) {
		err = -EPROTOTYPE;
	} else {
		take_out(ctx, v, &gone);
	}
	pthread_mutex_unlock(&ctx->lock);
	let_go(&gone);
	pulse__free(gone.name);
	return err;
}

/* ---- a twin --------------------------------------------------------------- */

/* Under the lock of who has @from. */
static int copy_value(const struct value *from, struct value *to)
{
	*to = *from;
	to->name = pulse__strdup(from->name);
	if (!to->name)
		return -ENOMEM;
	if (from->type == PULSE_CONTEXT_STR) {
		to->v.str = pulse__strdup(from->v.str);
		if (to->v.str)
			return 0;
		pulse__free(to->name);
		return -ENOMEM;
	}
	if (from->type == PULSE_CONTEXT_PTR && from->ref.get)
		to->v.ptr = from->ref.get(from->v.ptr);
	return 0;
}

int pulse_context_clone(struct pulse_context *ctx, struct pulse_context **out)
{
	PULSE_OPTS(pulse_context_opts, o);
	int64_t now = pulse_now_ns();
	struct pulse_context *twin;
	int err;

	if (out)
		*out = NULL;
	if (!ctx || !out)
		return -EINVAL;
	o.parent = ctx->parent;
	o.token = ctx->parent ? NULL : ctx->above;
	o.deadline_ns = ctx->deadline_ns;
	err = pulse_context_create(&o, &twin);
	if (err)
		return err;
	pthread_mutex_lock(&ctx->lock);
	twin->values = pulse__calloc(ctx->nr + 1, sizeof(*twin->values));
	if (!twin->values)
		err = -ENOMEM;
	else
		twin->room = ctx->nr + 1;
	for (uint32_t i = 0; i < ctx->nr && !err; i++) {
		const struct value *v = &ctx->values[i];

		if (over(v, now))
			continue;
		if (v->type == PULSE_CONTEXT_PTR && v->ref.put && !v->ref.get)
			err = -EOPNOTSUPP;
		else
			err = copy_value(v, &twin->values[twin->nr]);
		twin->nr += !err;
	}
	pthread_mutex_unlock(&ctx->lock);
	if (err) {
		pulse_context_put(twin);
		return err;
	}
	*out = twin;
	return 0;
}

/* ---- keys ----------------------------------------------------------------- */

struct seen {
	struct pulse_context_key key;
	int scope;
	bool inherited;
	char name[PULSE_CONTEXT_NAME_MAX + 1];
};

static bool is_seen(const struct seen *seen, size_t nr, const char *name)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(seen[i].name, name))
			return true;
	return false;
}

/* Adds what a context shows to those below it, or to itself. */
static int gather(struct pulse_context *ctx, bool own, struct seen **seen,
		  size_t *nr)
{
	int64_t now = pulse_now_ns();
	struct seen *more;
	int err = 0;

	pthread_mutex_lock(&ctx->lock);
	more = pulse__realloc(*seen, (*nr + ctx->nr + 1) * sizeof(*more));
	if (!more) {
		err = -ENOMEM;
		goto unlock;
	}
	*seen = more;
	for (uint32_t i = 0; i < ctx->nr; i++) {
		const struct value *v = &ctx->values[i];
		struct seen *s = &more[*nr];

		if (over(v, now) ||
		    (!own && v->scope != PULSE_CONTEXT_PROPAGATED) ||
		    is_seen(more, *nr, v->name))
			continue;
		strcpy(s->name, v->name);
		s->key.type = v->type;
		s->scope = (int)v->scope;
		s->inherited = !own;
		++*nr;
	}
unlock:
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

int pulse_context_keys(struct pulse_context *ctx, pulse_context_key_fn fn,
		       void *arg)
{
	struct seen *seen = NULL;
	size_t nr = 0;
	int err = 0;

	if (!ctx || !fn)
		return -EINVAL;
	for (struct pulse_context *c = ctx; c && !err; c = c->parent)
		err = gather(c, c == ctx, &seen, &nr);
	for (size_t i = 0; i < nr && !err; i++) {
		seen[i].key.name = seen[i].name;
		err = fn(&seen[i].key, seen[i].scope, seen[i].inherited, arg);
	}
	pulse__free(seen);
	return err;
}

/* ---- the end -------------------------------------------------------------- */

int pulse_context_cancel(struct pulse_context *ctx, int reason)
{
	return ctx ? pulse_token_cancel(ctx->token, reason) : -EINVAL;
}

int pulse_context_err(const struct pulse_context *ctx)
{
	return ctx ? pulse_token_err(ctx->token) : 0;
}

int64_t pulse_context_deadline(const struct pulse_context *ctx)
{
	return ctx ? pulse_token_deadline(ctx->token) : PULSE_FOREVER;
}

struct pulse_token *pulse_context_token(const struct pulse_context *ctx)
{
	return ctx ? ctx->token : NULL;
}

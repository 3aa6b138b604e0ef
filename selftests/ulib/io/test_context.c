// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: typed keys, who sees a value, its end, cancelling. */
#include "base/base.h"
#include "ktap.h"

#include <pthread.h>

#include <pulse-u/context.h>
#include <pulse-u/result.h>

static const struct pulse_context_key number = { "number", PULSE_CONTEXT_I64 };
static const struct pulse_context_key count = { "count", PULSE_CONTEXT_U64 };
static const struct pulse_context_key ratio = { "ratio", PULSE_CONTEXT_F64 };
static const struct pulse_context_key flag = { "flag", PULSE_CONTEXT_BOOL };
static const struct pulse_context_key text = { "text", PULSE_CONTEXT_STR };
static const struct pulse_context_key thing = { "thing", PULSE_CONTEXT_PTR };

static struct pulse_context *make(struct pulse_context *parent)
{
	PULSE_OPTS(pulse_context_opts, o, .parent = parent);
	struct pulse_context *ctx = NULL;

	KT_EQ(pulse_context_create(&o, &ctx), 0);
	return ctx;
}

static int64_t get(struct pulse_context *ctx, const struct pulse_context_key *key)
{
	int64_t v = 0;
	int err = pulse_context_get_i64(ctx, key, &v);

	return err ? err : v;
}

KT_TEST(each_type_comes_back_as_it_was_set)
{
	struct pulse_context *ctx = make(NULL);
	uint64_t u = 0;
	double d = 0;
	bool b = false;
	char s[16];
	void *p;

	KT_EQ(pulse_context_set_i64(ctx, &number, INT64_MIN, NULL), 0);
	KT_EQ(get(ctx, &number), INT64_MIN);
	KT_EQ(pulse_context_set_u64(ctx, &count, UINT64_MAX, NULL), 0);
	KT_EQ(pulse_context_get_u64(ctx, &count, &u), 0);
	KT_CHECK(u == UINT64_MAX);
	KT_EQ(pulse_context_set_f64(ctx, &ratio, 0.25, NULL), 0);
	KT_EQ(pulse_context_get_f64(ctx, &ratio, &d), 0);
	KT_CHECK(d == 0.25);
	KT_EQ(pulse_context_set_bool(ctx, &flag, true, NULL), 0);
	KT_EQ(pulse_context_get_bool(ctx, &flag, &b), 0);
	KT_CHECK(b);
	KT_EQ(pulse_context_set_str(ctx, &text, "words", NULL), 0);
	KT_EQ(pulse_context_get_str(ctx, &text, s, sizeof(s)), 0);
	KT_STREQ(s, "words");
	KT_EQ(pulse_context_get_str(ctx, &text, s, 5), -ENOSPC);
	KT_STREQ(s, "");
	KT_EQ(pulse_context_set_ptr(ctx, &thing, s, NULL, NULL), 0);
	KT_EQ(pulse_context_get_ptr(ctx, &thing, &p), 0);
	KT_CHECK(p == s);
	pulse_context_put(ctx);
}

KT_TEST(a_key_of_another_type_is_refused)
{
	static const struct pulse_context_key other = { "number",
							PULSE_CONTEXT_STR };
	struct pulse_context *ctx = make(NULL), *child = make(ctx);
	char s[8];

	KT_EQ(pulse_context_set_i64(ctx, &number, 1, NULL), 0);
	KT_EQ(pulse_context_set_i64(ctx, &text, 1, NULL), -EPROTOTYPE);
	KT_EQ(pulse_context_set_str(ctx, &other, "x", NULL), -EPROTOTYPE);
	KT_EQ(pulse_context_get_str(ctx, &other, s, sizeof(s)), -EPROTOTYPE);
	KT_EQ(pulse_context_get_str(child, &other, s, sizeof(s)), -EPROTOTYPE);
	KT_EQ(pulse_context_delete(ctx, &other), -EPROTOTYPE);
	KT_EQ(get(ctx, &number), 1);
	pulse_context_put(child);
	pulse_context_put(ctx);
}

KT_TEST(propagated_values_are_seen_below_and_local_ones_are_not)
{
	PULSE_OPTS(pulse_context_set_opts, local, .scope = PULSE_CONTEXT_LOCAL);
	struct pulse_context *top = make(NULL), *mid = make(top), *low = make(mid);

	pulse_context_set_i64(top, &number, 1, NULL);
	KT_EQ(get(low, &number), 1);
	pulse_context_set_i64(mid, &number, 2, &local);
	KT_EQ(get(mid, &number), 2);
	KT_EQ(get(low, &number), 1);	/* past the local one */
	pulse_context_set_i64(low, &number, 3, NULL);
	KT_EQ(get(low, &number), 3);
	KT_EQ(get(top, &number), 1);	/* never upwards */
	KT_EQ(pulse_context_delete(low, &number), 0);
	KT_EQ(get(low, &number), 1);	/* seen again */
	KT_EQ(pulse_context_delete(low, &number), -ENOENT);
	/* A parent lasts as long as those below it. */
	pulse_context_put(top);
	pulse_context_put(mid);
	KT_EQ(get(low, &number), 1);
	pulse_context_put(low);
}

static int note_key(const struct pulse_context_key *key, int scope,
		    bool inherited, void *arg)
{
	char *to = arg;

	sprintf(to + strlen(to), "%s:%d%s%s ", key->name, key->type,
		scope == PULSE_CONTEXT_LOCAL ? "l" : "p", inherited ? "i" : "");
	return 0;
}

static int stop_walk(const struct pulse_context_key *key, int scope,
		     bool inherited, void *arg)
{
	(void)key;
	(void)scope;
	(void)inherited;
	++*(int *)arg;
	return 7;
}

KT_TEST(keys_are_those_that_are_seen_each_once)
{
	PULSE_OPTS(pulse_context_set_opts, local, .scope = PULSE_CONTEXT_LOCAL);
	PULSE_OPTS(pulse_context_set_opts, gone, .deadline_ns = 1);
	struct pulse_context *top = make(NULL), *low = make(top);
	char seen[256] = "";
	int calls = 0;

	pulse_context_set_i64(top, &number, 1, NULL);
	pulse_context_set_u64(top, &count, 1, &local);
	pulse_context_set_bool(top, &flag, true, NULL);
	pulse_context_set_i64(low, &number, 2, NULL);
	pulse_context_set_str(low, &text, "", &local);
	pulse_context_set_f64(low, &ratio, 1, &gone);
	KT_EQ(pulse_context_keys(low, note_key, seen), 0);
	KT_STREQ(seen, "number:1p text:5l flag:4pi ");
	KT_EQ(pulse_context_keys(low, stop_walk, &calls), 7);
	KT_EQ(calls, 1);
	pulse_context_put(low);
	pulse_context_put(top);
}

KT_TEST(after_its_time_a_value_is_as_if_it_had_never_been)
{
	PULSE_OPTS(pulse_context_set_opts, soon, .ttl_ns = 1);
	PULSE_OPTS(pulse_context_set_opts, late, .ttl_ns = INT64_MAX - 1);
	struct pulse_context *top = make(NULL), *low = make(top);

	pulse_context_set_i64(top, &number, 1, NULL);
	pulse_context_set_i64(low, &number, 2, &late);
	KT_EQ(get(low, &number), 2);
	pulse_context_set_i64(low, &number, 3, &soon);
	while (pulse_now_ns() <= 1)
		;
	usleep(10);
	KT_EQ(get(low, &number), 1);
	KT_EQ(pulse_context_delete(low, &number), -ENOENT);
	/* One whose time is over makes room, also for another type. */
	pulse_context_set_i64(low, &number, 3, &soon);
	usleep(10);
	{
		static const struct pulse_context_key other = { "number",
			PULSE_CONTEXT_BOOL };

		KT_EQ(pulse_context_set_bool(low, &other, true, NULL), 0);
	}
	pulse_context_put(low);
	pulse_context_put(top);
}

static int refs;

static void *ref_get(void *p)
{
	__atomic_fetch_add(&refs, 1, __ATOMIC_RELAXED);
	return p;
}

static void ref_put(void *p)
{
	(void)p;
	__atomic_fetch_sub(&refs, 1, __ATOMIC_RELAXED);
}

static const struct pulse_context_ref counted = { ref_get, ref_put };

KT_TEST(a_counted_pointer_is_put_once_by_each_holder)
{
	PULSE_OPTS(pulse_context_set_opts, bad, .scope = 9);
	struct pulse_context *ctx = make(NULL);
	void *p;

	refs = 1;
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &counted, &bad), -EINVAL);
	KT_EQ(refs, 1);		/* still the caller's */
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &counted, NULL), 0);
	KT_EQ(pulse_context_get_ptr(ctx, &thing, &p), 0);
	KT_EQ(refs, 2);
	ref_put(p);
	refs++;
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &counted, NULL), 0);
	KT_EQ(refs, 1);		/* the one before was put */
	KT_EQ(pulse_context_delete(ctx, &thing), 0);
	KT_EQ(refs, 0);
	refs = 1;
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &counted, NULL), 0);
	pulse_context_put(ctx);
	KT_EQ(refs, 0);
}

KT_TEST(cancelling_goes_down_and_never_up)
{
	PULSE_OPTS(pulse_context_opts, o, .deadline_ns = 1);
	struct pulse_context *top = make(NULL), *mid = make(top), *low = make(mid);
	struct pulse_context *late;

	KT_EQ(pulse_context_err(low), 0);
	KT_CHECK(pulse_context_deadline(low) == PULSE_FOREVER);
	KT_EQ(pulse_context_cancel(mid, -EPIPE), 0);
	KT_EQ(pulse_context_err(low), -EPIPE);
	KT_EQ(pulse_context_err(top), 0);
	KT_EQ(pulse_context_cancel(mid, 0), -EALREADY);
	KT_EQ(pulse_token_err(pulse_context_token(low)), -EPIPE);
	o.parent = top;
	KT_EQ(pulse_context_create(&o, &late), 0);
	KT_EQ(pulse_context_err(late), -ETIMEDOUT);
	KT_CHECK(pulse_context_deadline(late) == 1);
	KT_EQ(pulse_context_err(NULL), 0);
	pulse_context_put(late);
	pulse_context_put(low);
	pulse_context_put(mid);
	pulse_context_put(top);
}

static void *no_get_needed(void *p)
{
	return p;
}

KT_TEST(a_clone_begins_as_the_other_is_and_goes_its_own_way)
{
	PULSE_OPTS(pulse_context_set_opts, local, .scope = PULSE_CONTEXT_LOCAL);
	PULSE_OPTS(pulse_context_set_opts, gone, .deadline_ns = 1);
	PULSE_OPTS(pulse_context_set_opts, late, .ttl_ns = INT64_MAX - 1);
	struct pulse_context *top = make(NULL), *ctx = make(top), *twin, *below;
	char seen[256] = "", s[16];
	void *p;

	pulse_context_set_i64(top, &number, 1, NULL);
	refs = 1;
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &counted, &local), 0);
	pulse_context_set_str(ctx, &text, "words", &late);
	pulse_context_set_u64(ctx, &count, 7, &gone);
	KT_EQ(pulse_context_clone(ctx, &twin), 0);
	KT_EQ(refs, 2);
	KT_EQ(pulse_context_keys(twin, note_key, seen), 0);
	KT_STREQ(seen, "thing:6l text:5p number:1pi ");
	KT_EQ(pulse_context_get_ptr(twin, &thing, &p), 0);
	KT_CHECK(p == &refs);
	ref_put(p);

	/* Neither sees what the other does. */
	KT_EQ(pulse_context_set_str(ctx, &text, "other", NULL), 0);
	KT_EQ(pulse_context_get_str(twin, &text, s, sizeof(s)), 0);
	KT_STREQ(s, "words");
	KT_EQ(pulse_context_set_i64(twin, &number, 3, NULL), 0);
	KT_EQ(get(ctx, &number), 1);
	KT_EQ(pulse_context_delete(twin, &text), 0);
	KT_EQ(pulse_context_get_str(ctx, &text, s, sizeof(s)), 0);
	KT_STREQ(s, "other");
	KT_EQ(pulse_context_delete(ctx, &thing), 0);
	KT_EQ(refs, 1);
	below = make(twin);
	KT_EQ(pulse_context_cancel(ctx, -EPIPE), 0);
	KT_EQ(pulse_context_err(twin), 0);
	KT_EQ(pulse_context_err(below), 0);
	KT_EQ(pulse_context_cancel(twin, -EIO), 0);
	KT_EQ(pulse_context_err(ctx), -EPIPE);
	KT_EQ(pulse_context_err(below), -EIO);
	KT_EQ(pulse_context_err(top), 0);
	pulse_context_put(below);
	pulse_context_put(twin);
	KT_EQ(refs, 0);
	/* Of one that is cancelled: only what is above counts. */
	KT_EQ(pulse_context_clone(ctx, &twin), 0);
	KT_EQ(pulse_context_err(twin), 0);
	KT_EQ(pulse_context_cancel(top, 0), 0);
	KT_EQ(pulse_context_err(twin), -ECANCELED);
	pulse_context_put(twin);
	pulse_context_put(ctx);
	pulse_context_put(top);
}

KT_TEST(a_clone_keeps_the_deadline_and_the_token_above)
{
	PULSE_OPTS(pulse_token_opts, to);
	PULSE_OPTS(pulse_context_opts, o, .deadline_ns = PULSE_FOREVER - 5);
	static const struct pulse_context_ref only_put = { NULL, ref_put };
	static const struct pulse_context_ref only_get = { no_get_needed, NULL };
	struct pulse_context *ctx, *twin;
	bool failed = true;

	KT_EQ(pulse_token_create(&to, &o.token), 0);
	KT_EQ(pulse_context_create(&o, &ctx), 0);
	KT_EQ(pulse_context_clone(ctx, &twin), 0);
	KT_CHECK(pulse_context_deadline(twin) == PULSE_FOREVER - 5);
	KT_EQ(pulse_token_cancel(o.token, -EINTR), 0);
	KT_EQ(pulse_context_err(twin), -EINTR);
	pulse_context_put(twin);
	pulse_token_put(o.token);

	KT_EQ(pulse_context_clone(NULL, &twin), -EINVAL);
	KT_EQ(pulse_context_clone(ctx, NULL), -EINVAL);
	refs = 1;
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &only_put, NULL), 0);
	KT_EQ(pulse_context_clone(ctx, &twin), -EOPNOTSUPP);
	KT_CHECK(!twin);
	KT_EQ(pulse_context_set_ptr(ctx, &thing, &refs, &only_get, NULL), 0);
	KT_EQ(refs, 0);
	pulse_context_set_str(ctx, &text, "words", NULL);
	for (long n = 1; failed; n++) {
		int err;

		pulse__alloc_fail_at(n);
		err = pulse_context_clone(ctx, &twin);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		KT_EQ(!twin, failed);
	}
	KT_CHECK(pulse_context_get(twin) == twin);
	KT_CHECK(!pulse_context_get(NULL));
	pulse_context_put(twin);
	pulse_context_put(twin);
	pulse_context_put(ctx);
}

KT_TEST(limits_are_errors)
{
	struct pulse_context *ctx = make(NULL), *deep[PULSE_CONTEXT_DEPTH_MAX];
	PULSE_OPTS(pulse_context_opts, o, .parent = ctx);
	char name[80], *big = malloc(PULSE_CONTEXT_STR_MAX + 1);
	struct pulse_context_key key = { name, PULSE_CONTEXT_I64 };
	struct pulse_context *more;

	for (int i = 0; i < PULSE_CONTEXT_KEYS_MAX; i++) {
		sprintf(name, "k%d", i);
		KT_REQUIRE(!pulse_context_set_i64(ctx, &key, i, NULL));
	}
	strcpy(name, "one more");
	KT_EQ(pulse_context_set_i64(ctx, &key, 0, NULL), -ENOSPC);
	strcpy(name, "k7");
	KT_EQ(get(ctx, &key), 7);
	memset(name, 'n', 65);
	name[65] = 0;
	KT_EQ(pulse_context_set_i64(ctx, &key, 0, NULL), -EINVAL);
	memset(big, 'x', PULSE_CONTEXT_STR_MAX);
	big[PULSE_CONTEXT_STR_MAX] = 0;
	KT_EQ(pulse_context_set_str(ctx, &text, big, NULL), -EMSGSIZE);
	deep[0] = ctx;
	for (int i = 1; i < PULSE_CONTEXT_DEPTH_MAX; i++)
		deep[i] = make(deep[i - 1]);
	o.parent = deep[PULSE_CONTEXT_DEPTH_MAX - 1];
	KT_EQ(pulse_context_create(&o, &more), -ELOOP);
	KT_EQ(get(o.parent, &(struct pulse_context_key){ "k9", PULSE_CONTEXT_I64 }), 9);
	for (int i = PULSE_CONTEXT_DEPTH_MAX; i--;)
		pulse_context_put(deep[i]);
	free(big);
}

KT_TEST(running_out_of_memory_leaves_it_as_it_was)
{
	for (long n = 1;; n++) {
		struct pulse_context *ctx = make(NULL);
		int err = 0;

		pulse_context_set_i64(ctx, &number, 1, NULL);
		pulse__alloc_fail_at(n);
		for (int i = 0; i < 6 && !err; i++) {
			char name[8];
			struct pulse_context_key key = { name, PULSE_CONTEXT_STR };

			sprintf(name, "s%d", i);
			err = pulse_context_set_str(ctx, &key, "v", NULL);
		}
		KT_CHECK(!err || err == -ENOMEM);
		err = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(get(ctx, &number), 1);
		pulse_context_put(ctx);
		if (!err)
			break;
	}
}

static struct pulse_context *shared;

static void *churn(void *arg)
{
	struct pulse_context *mine = make(shared);
	long rounds = (long)(intptr_t)arg;

	for (long i = 0; i < rounds; i++) {
		void *p;

		ref_get(NULL);
		if (pulse_context_set_ptr(shared, &thing, &refs, &counted, NULL))
			KT_FAIL("not set");
		if (!pulse_context_get_ptr(mine, &thing, &p)) {
			KT_CHECK(p == &refs);
			ref_put(p);
		}
		if (i % 3 == 0)
			pulse_context_delete(shared, &thing);
	}
	pulse_context_put(mine);
	return NULL;
}

KT_TEST(threads_that_set_and_read_lose_no_reference)
{
	long rounds = kt_scale(20000);
	pthread_t t[4];

	refs = 0;
	shared = make(NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, (void *)(intptr_t)rounds);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pulse_context_put(shared);
	KT_EQ(refs, 0);
}

KT_MAIN()

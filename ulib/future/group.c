// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * group.c - one future of many: all, any.
 *
 * A group is a future with a member for each input; a member is a continuation
 * of its input and holds a reference to it until the group goes. Each member
 * that has not been called holds a promise of the group, so that the group
 * stays until the last.
 */
#include "future/future.h"

struct member {
	struct pulse__cont cont;
	struct group *group;
	struct pulse_future *src;
};

struct group {
	struct pulse_promise promise;
	size_t left;			/* atomic: members not called yet */
	int32_t first_err;		/* atomic */
	bool fast;
	size_t nr;
	struct member member[];
};

static struct group *group_of(struct pulse_future *f)
{
	return container_of(f, struct group, promise.future);
}

static void group_release(struct pulse_future *f)
{
	struct group *g = group_of(f);

	for (size_t i = 0; i < g->nr; i++)
		pulse_future_put(g->member[i].src);
}

/* Is this the last member? It sees what all the others did. */
static bool is_last(struct group *g)
{
	/* pairs with itself */
	return __atomic_fetch_sub(&g->left, 1, __ATOMIC_ACQ_REL) == 1;
}

static void all_run(struct pulse__cont *cont)
{
	struct member *m = container_of(cont, struct member, cont);
	struct group *g = m->group;
	int err = m->src->result.err;
	int32_t none = 0;

	if (err) {
		/* Read by the last one, after is_last: relaxed. */
		pulse__cas(&g->first_err, &none, err, __ATOMIC_RELAXED,
			   __ATOMIC_RELAXED);
		if (g->fast)
			pulse__future_set(&g->promise.future, NULL, err, NULL);
	}
	if (is_last(g))
		pulse__future_set(&g->promise.future, NULL,
				  READ_ONCE(g->first_err), NULL);
	pulse_promise_put(&g->promise);
}

static void any_run(struct pulse__cont *cont)
{
	struct member *m = container_of(cont, struct member, cont);
	struct group *g = m->group;
	const struct pulse_result *r = &m->src->result;
	uint64_t index = (uint64_t)(m - g->member);

	if (!r->err)
		pulse__future_set(&g->promise.future, r->value, 0, &index);
	/* The last of all: when one has won, this comes too late. */
	if (is_last(g) && r->err)
		pulse__future_set(&g->promise.future, NULL, r->err, NULL);
	pulse_promise_put(&g->promise);
}

static int group_new(struct pulse_future *const *futures, size_t nr,
		     void (*run)(struct pulse__cont *cont), struct group **out)
{
	struct group *g;
	size_t bytes;

	for (size_t i = 0; i < nr; i++) {
		if (!futures[i])
			return -EINVAL;
		pulse__obj_check(futures[i], PULSE__FUTURE_MAGIC,
				 "pulse_future_all, _any");
	}
	if (pulse__mul_overflow(nr, sizeof(g->member[0]), &bytes) ||
	    pulse__add_overflow(bytes, sizeof(*g), &bytes) ||
	    nr >= UINT32_MAX)
		return -ENOMEM;
	g = pulse__calloc(1, bytes);
	if (!g)
		return -ENOMEM;
	pulse__future_init(&g->promise.future);
	g->promise.future.release = group_release;
	g->promise.future.producers = (uint32_t)nr + 1;
	g->left = nr;
	g->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		g->member[i].cont.run = run;
		g->member[i].group = g;
		g->member[i].src = pulse_future_ref(futures[i]);
	}
	*out = g;
	return 0;
}

/* From here on members are called. */
static void group_begin(struct group *g, struct pulse_future **out)
{
	*out = &g->promise.future;
	for (size_t i = 0; i < g->nr; i++)
		pulse__future_after(g->member[i].src, &g->member[i].cont);
	pulse_promise_put(&g->promise);
}

int pulse_future_all(struct pulse_future *const *futures, size_t nr,
		     unsigned int flags, struct pulse_future **out)
{
	struct group *g;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if ((nr && !futures) || flags & ~PULSE_ALL_FAST)
		return -EINVAL;
	err = group_new(futures, nr, all_run, &g);
	if (err)
		return err;
	g->fast = flags & PULSE_ALL_FAST;
	if (!nr)
		pulse__future_set(&g->promise.future, NULL, 0, NULL);
	group_begin(g, out);
	return 0;
}

int pulse_future_any(struct pulse_future *const *futures, size_t nr,
		     struct pulse_future **out)
{
	struct group *g;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!nr || !futures)
		return -EINVAL;
	err = group_new(futures, nr, any_run, &g);
	if (err)
		return err;
	group_begin(g, out);
	return 0;
}

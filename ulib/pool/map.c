// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * map.c - functions in parallel, and one function over an array, on top of
 * tasks with a handle.
 */
#include <sched.h>

#include "pool/work.h"

/* ---- parallel -------------------------------------------------------------- */

static struct pulse_work *pulse__parallel_works(const pulse_work_fn *fns,
						void *const *args, size_t nr,
						struct pulse_token *token)
{
	struct pulse_work *works = pulse__calloc(nr, sizeof(*works));

	for (size_t i = 0; works && i < nr; i++) {
		works[i].sz = sizeof(*works);
		works[i].fn = fns[i];
		works[i].arg = args ? args[i] : NULL;
		works[i].token = token;
		works[i].task_id = i;
	}
	return works;
}

int pulse_pool_parallel(struct pulse_pool *pool, const pulse_work_fn *fns,
			void *const *args, size_t nr,
			struct pulse_token *token, struct pulse_result *out)
{
	struct pulse_results *r;
	struct pulse_result one;
	struct pulse_work *works;
	size_t index;
	int err = pulse__pool_check(pool), first = 0;

	if (err)
		return err;
	if (!fns || !nr)
		return -EINVAL;
	works = pulse__parallel_works(fns, args, nr, token);
	if (!works)
		return -ENOMEM;
	err = pulse_pool_spawn_batch(pool, works, nr, &r);
	pulse__free(works);
	if (err)
		return err;
	while (!(err = pulse_results_next(r, PULSE_FOREVER, &one, &index))) {
		if (out)
			out[index] = one;
		if (one.err && !first) {
			first = one.err;
			pulse_results_cancel(r, -ECANCELED);
		}
	}
	pulse_results_destroy(r);
	return err == -ENODATA ? first : err;
}

/* ---- map -------------------------------------------------------------------- */

struct pulse__mapping {
	struct pulse_map map;
	size_t next;		/* atomic: the item that nobody has yet */
	int err;		/* atomic: the first one */
};

static int pulse__map_work(void *arg, void **value)
{
	struct pulse__mapping *m = arg;
	const struct pulse_map *map = &m->map;
	int none, err;
	size_t i;

	(void)value;
	while (!READ_ONCE(m->err)) {
		err = pulse_token_err(map->token);
		if (!err) {
			i = pulse__add_relaxed(&m->next, 1);
			if (i >= map->nr)
				break;
			err = map->fn(map->items ? (const char *)map->items +
				      i * map->item_bytes : NULL,
				      map->out ? (char *)map->out +
				      i * map->out_bytes : NULL, map->arg);
		}
		if (err > 0)
			err = -EINVAL;
		none = 0;
		if (err)
			pulse__cas(&m->err, &none, err, __ATOMIC_RELAXED,
				   __ATOMIC_RELAXED);
	}
	return 0;
}

/* Starts up to @nr that work. How many; 0 and why not in *@err. */
static size_t pulse__map_start(struct pulse_pool *pool,
			       struct pulse__mapping *m,
			       struct pulse_future **f, size_t nr, int *err)
{
	struct pulse_work work = {
		.sz = sizeof(work), .fn = pulse__map_work, .arg = m,
		.timeout_ns = PULSE_FOREVER, .token = m->map.token,
	};
	size_t n = 0;

	*err = 0;
	while (n < nr) {
		*err = pulse__work_spawn(pool, &work, NULL, 0, &f[n]);
		if (*err)
			break;
		n++;
	}
	return n;
}

int pulse_pool_map(struct pulse_pool *pool, const struct pulse_map *user)
{
	struct pulse__mapping m = { .next = 0 };
	struct pulse_future **f;
	struct pulse__worker *w;
	size_t nr, n;
	int err = pulse__pool_check(pool), why;

	if (!err)
		err = user ? pulse__opts_load(&m.map, sizeof(m.map),
					      PULSE__END(struct pulse_map,
							 token), user) :
			     -EINVAL;
	if (err)
		return err;
	if (!m.map.fn || (m.map.item_bytes && m.map.nr && !m.map.items))
		return -EINVAL;
	if (!m.map.nr)
		return 0;
	w = pulse__pool_self_in(pool);
	if (w && !w->in_task)
		w = NULL;
	nr = m.map.limit ? m.map.limit : READ_ONCE(pool->live);
	if (nr > m.map.nr)
		nr = m.map.nr;
	nr = nr ? nr : 1;
	f = pulse__calloc(nr, sizeof(*f));
	if (!f)
		return -ENOMEM;
	/* Inside a task the caller is one of them. */
	n = pulse__map_start(pool, &m, f, nr - (w ? 1 : 0), &why);
	if (w)
		pulse__map_work(&m, NULL);
	for (size_t i = 0; i < n; i++) {
		/* m is on our stack: whatever the answer, not before that. */
		while (pulse__work_wait(pool, f[i], PULSE_FOREVER) &&
		       !pulse__future_is_done(f[i]))
			sched_yield();
		/* A task of ours that was cancelled or lost its thread. */
		if (f[i]->result.err && !m.err)
			m.err = f[i]->result.err;
		pulse_future_put(f[i]);
	}
	pulse__free(f);
	if (!n && !w)
		return why;
	return m.err;
}

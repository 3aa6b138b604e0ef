// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * type.c - types, their instances, and which of them a message goes to.
 *
 * Types are never taken away, so they are looked up without a lock. The array
 * of a type's instances is under its lock, and is not kept before somebody asks
 * for them: that one looks at the whole table, once, and from then on each
 * instance comes and goes by the array.
 *
 *	who begins, or ends		who asks first, under the lock
 *	begun = true, or false		indexed = true
 *	barrier			(A)	barrier			(B)
 *	indexed? under the lock, is	of all places that are begun and of
 *	  it in the array?		  this type: is it in the array?
 *
 * A pairs with B (base/asym.h): one of them sees the other one. spin: actor_index
 */
#include <pulse-u/affinity.h>

#include "actor/actor.h"
#include "base/asym.h"

#define PULSE__ATYPE_VER0	pulse__size_to(struct pulse_actor_type, memory_limit)
#define PULSE__AINFO_VER0	pulse__size_to(struct pulse_actor_info, memory_bytes)

struct pulse__atype *pulse__atype_find(struct pulse_actors *sys,
				       const char *name)
{
	/* pairs with the release of pulse_actor_register */
	struct pulse__atype *t = pulse__load_acquire(&sys->types);

	while (t && (*t->name != *name || strcmp(t->name, name)))
		t = t->next;
	return t;
}

int pulse_actor_register(struct pulse_actors *sys,
			 const struct pulse_actor_type *type)
{
	struct pulse_actor_type o;
	struct pulse__atype *t;
	int err = pulse__actors_check(sys);

	if (err)
		return err;
	if (!type)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__ATYPE_VER0, type);
	if (err)
		return err;
	if (!o.name || !*o.name || !o.receive ||
	    o.flags & ~(PULSE_ACTOR_TRAP_EXIT | PULSE_ACTOR_SIGNALS_FIRST) || o.routing < 0 ||
	    o.routing > PULSE_ROUTE_NODE || o.mailbox_limit > INT_MAX)
		return -EINVAL;
	t = pulse__calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->name = pulse__strdup(o.name);
	if (!t->name) {
		pulse__free(t);
		return -ENOMEM;
	}
	t->opts = o;
	t->opts.name = t->name;
	if (!t->opts.budget)
		t->opts.budget = PULSE__ACTOR_BUDGET;
	t->counts = o.mailbox_limit || o.routing == PULSE_ROUTE_LEAST_LOADED;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_lock(&sys->lock);
	if (pulse__atype_find(sys, o.name)) {
		err = -EEXIST;
	} else {
		t->next = sys->types;
		pulse__store_release(&sys->types, t);
	}
	pthread_mutex_unlock(&sys->lock);
	if (err) {
		pthread_mutex_destroy(&t->lock);
		pulse__free(t->name);
		pulse__free(t);
	}
	return err;
}

/* Lock held. 0 or -ENOMEM. */
static int pulse__atype_put(struct pulse__atype *t, struct pulse_actor *a,
			    uint64_t is)
{
	uint32_t room;
	uint64_t *ref;

	if (a->place != PULSE__PLACE_NONE)
		return 0;
	if (t->nr == t->room) {
		room = t->room ? t->room * 2 : 8;
		ref = pulse__realloc(t->ref, room * sizeof(*ref));
		if (!ref)
			return -ENOMEM;
		t->ref = ref;
		t->room = room;
	}
	a->place = t->nr;
	t->ref[t->nr++] = is;
	return 0;
}

/* A of the head. */
static bool pulse__atype_indexed(struct pulse__atype *t, struct pulse_actor *a,
				 bool begun)
{
	__atomic_store_n(&a->begun, begun, __ATOMIC_RELEASE);
	if (likely(a->sys->asym))
		pulse__asym_light();
	else
		pulse__full_barrier();
	return __atomic_load_n(&t->indexed, __ATOMIC_ACQUIRE);
}

int pulse__atype_add(struct pulse__atype *t, struct pulse_actor *a)
{
	int err;

	if (likely(!pulse__atype_indexed(t, a, true)))
		return 0;
	pthread_mutex_lock(&t->lock);
	err = pulse__atype_put(t, a, a->ref);
	pthread_mutex_unlock(&t->lock);
	if (err)
		WRITE_ONCE(a->begun, false);
	return err;
}

void pulse__atype_del(struct pulse__atype *t, struct pulse_actor *a)
{
	if (likely(!pulse__atype_indexed(t, a, false)))
		return;
	pthread_mutex_lock(&t->lock);
	if (a->place != PULSE__PLACE_NONE) {
		/* The last one takes its place. */
		t->ref[a->place] = t->ref[--t->nr];
		if (a->place < t->nr)
			pulse__actor_at(a->sys, t->ref[a->place])->place = a->place;
		a->place = PULSE__PLACE_NONE;
	}
	pthread_mutex_unlock(&t->lock);
}

/* Everything that is in the table. Lock held. 0 or -ENOMEM. */
static PULSE__COLD int pulse__atype_index(struct pulse_actors *sys,
					  struct pulse__atype *t)
{
	uint32_t used;
	int err = 0;

	__atomic_store_n(&t->indexed, true, __ATOMIC_SEQ_CST);
	/* B of the head. */
	if (sys->asym)
		pulse__asym_heavy(PULSE__ASYM_LOCAL);
	else
		pulse__full_barrier();
	used = __atomic_load_n(&sys->used, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; !err && i < used; i++) {
		struct pulse_actor *a = pulse__actor_at(sys, i);
		/* The same before and after: all of one incarnation. */
		uint64_t ref = pulse__load_acquire(&a->ref);

		if (ref && pulse__load_acquire(&a->type) == t &&
		    pulse__load_acquire(&a->begun) && READ_ONCE(a->ref) == ref)
			err = pulse__atype_put(t, a, ref);
	}
	t->whole = !err;
	return err;
}

int pulse__atype_lock(struct pulse_actors *sys, struct pulse__atype *t)
{
	int err = 0;

	pthread_mutex_lock(&t->lock);
	if (unlikely(!t->whole))
		err = pulse__atype_index(sys, t);
	if (unlikely(err))
		pthread_mutex_unlock(&t->lock);
	return err;
}

/* splitmix64 */
static uint64_t pulse__mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* All under the type's lock, with at least one instance. Which one. */

static uint32_t pulse__route_least(struct pulse_actors *sys,
				   struct pulse__atype *t)
{
	/* From another one each time, so that equals share. */
	uint32_t first = (uint32_t)(t->turn++ % t->nr), best = first;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t k = first + i < t->nr ? first + i : first + i - t->nr;
		uint32_t n = READ_ONCE(pulse__actor_at(sys, t->ref[k])->queued);

		if (n < least) {
			least = n;
			best = k;
		}
		if (!n)
			break;
	}
	return best;
}

/*
 * D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates",
 * 1998: the instance whose hash with the key is the highest. Who comes or goes
 * moves only its own keys.
 */
static uint32_t pulse__route_hash(const struct pulse__atype *t, uint64_t key)
{
	uint64_t high = 0;
	uint32_t best = 0;

	for (uint32_t i = 0; i < t->nr; i++) {
		uint64_t h = pulse__mix(key ^ pulse__mix(t->ref[i]));

		if (h >= high) {
			high = h;
			best = i;
		}
	}
	return best;
}

static uint32_t pulse__route_node(struct pulse_actors *sys,
				  struct pulse__atype *t)
{
	uint32_t first = (uint32_t)(t->turn++ % t->nr);
	int node = pulse_node_current();

	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t k = first + i < t->nr ? first + i : first + i - t->nr;

		if (READ_ONCE(pulse__actor_at(sys, t->ref[k])->node) == node)
			return k;
	}
	return first;
}

int pulse_actor_find(struct pulse_actors *sys, const char *type, uint64_t tag,
		     uint64_t *ref)
{
	struct pulse_actor_route route = { .sz = sizeof(route) };
	struct pulse__atype *t;
	struct pulse__athread *thread;
	uint32_t k;
	int err = pulse__actors_check(sys);

	if (unlikely(err))
		return err;
	if (unlikely(!type || !ref))
		return -EINVAL;
	t = pulse__atype_find(sys, type);
	if (unlikely(!t))
		return -ENOENT;
	err = pulse__atype_lock(sys, t);
	if (unlikely(err))
		return err;
	if (unlikely(!t->nr)) {
		pthread_mutex_unlock(&t->lock);
		return -ESRCH;
	}
	switch (t->opts.routing) {
	case PULSE_ROUTE_LEAST_LOADED:
		k = pulse__route_least(sys, t);
		break;
	case PULSE_ROUTE_HASH:
		k = pulse__route_hash(t, tag);
		break;
	case PULSE_ROUTE_NODE:
		k = pulse__route_node(sys, t);
		break;
	default:
		k = (uint32_t)(t->turn++ % t->nr);
	}
	*ref = t->ref[k];
	if (unlikely(sys->trace)) {
		thread = READ_ONCE(pulse__actor_at(sys, *ref)->thread);
		route.type = t->name;
		route.ref = *ref;
		route.thread = thread ? thread->number : -1;
		route.option = k;
		route.options = t->nr;
		route.routing = t->opts.routing;
	}
	pthread_mutex_unlock(&t->lock);
	if (unlikely(sys->trace))
		sys->trace(&route, sys->trace_arg);
	return 0;
}

int pulse_actor_list(struct pulse_actors *sys, const char *type,
		     struct pulse_actor_info *out, int max)
{
	struct pulse_actor_info info = { .sz = sizeof(info) };
	size_t sz = max > 0 && out ? out->sz : 0;
	struct pulse__athread *thread;
	struct pulse__atype *t;
	struct pulse_actor *a;
	int err = pulse__actors_check(sys), nr;

	if (err)
		return err;
	if (!type || max < 0)
		return -EINVAL;
	err = max ? pulse__out_check(out, PULSE__AINFO_VER0) : 0;
	if (err)
		return err;
	t = pulse__atype_find(sys, type);
	if (!t)
		return -ENOENT;
	err = pulse__atype_lock(sys, t);
	if (err)
		return err;
	nr = (int)t->nr;
	for (int i = 0; i < nr && i < max; i++) {
		char *at = (char *)out + (size_t)i * sz;

		a = pulse__actor_at(sys, t->ref[i]);
		thread = READ_ONCE(a->thread);
		info.ref = t->ref[i];
		info.thread = thread ? thread->number : -1;
		info.node = READ_ONCE(a->node);
		info.queued = READ_ONCE(a->queued);
		info.memory_bytes = READ_ONCE(a->mem_bytes);
		memcpy(at, &sz, sizeof(sz));
		pulse__out_store(at, &info, sizeof(info));
	}
	pthread_mutex_unlock(&t->lock);
	return nr;
}

int pulse_actor_types(struct pulse_actors *sys, const char **names, int max)
{
	struct pulse__atype *t;
	int err = pulse__actors_check(sys), n = 0;

	if (err)
		return err;
	if (max < 0 || (max && !names))
		return -EINVAL;
	for (t = pulse__load_acquire(&sys->types); t; t = t->next) {
		if (n < max)
			names[n] = t->name;
		n++;
	}
	return n;
}

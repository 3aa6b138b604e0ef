// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * handler.c - chains of middleware.
 *
 * A version of a chain is an array of counted links that never changes; a run
 * holds a reference to the one it began with (base/snap.h). A link goes when
 * the last version that has it goes.
 */
#include "base/base.h"
#include "base/snap.h"

#include <pulse-u/handler.h>

#define NAME_MAX_BYTES 64

struct link {
	uint64_t refs;			/* versions that have it; any thread */
	char *name;
	pulse_middleware_fn fn;
	void *arg;
	void (*release)(void *arg);
	uint32_t flags;
	/* any thread */
	uint64_t runs, failed, skipped;
};

struct links {
	struct pulse__version version;
	size_t nr;
	struct link *link[];
};

struct pulse_chain {
	struct pulse_chain_opts o;
	struct pulse__snap snap;
};

/* One pulse_chain_run(), on its caller's stack. */
struct run {
	const struct pulse_chain *chain;
	const struct links *links;
	const char *who;		/* failed first; NULL: nobody */
};

struct pulse_next {
	struct run *run;
	size_t at;			/* the link to be called */
	bool ran;
	int result;			/* of the last time */
};

/* ---- links ---------------------------------------------------------------- */

static void link_put(struct link *link)
{
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&link->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (link->release)
		link->release(link->arg);
	pulse__free(link->name);
	pulse__free(link);
}

static void links_free(struct pulse__version *version)
{
	struct links *links = container_of(version, struct links, version);

	for (size_t i = 0; i < links->nr; i++)
		link_put(links->link[i]);
	pulse__free(links);
}

static struct links *links_new(size_t room)
{
	struct links *links = pulse__calloc(1, sizeof(*links) +
					    room * sizeof(links->link[0]));

	if (!links)
		return NULL;
	links->version.refs = 1;
	links->version.free = links_free;
	return links;
}

static void add(struct links *links, struct link *link)
{
	links->link[links->nr++] = link;
}

/* The same link in another version. */
static void add_again(struct links *links, struct link *link)
{
	__atomic_fetch_add(&link->refs, 1, __ATOMIC_RELAXED);
	add(links, link);
}

static size_t find(const struct links *links, const char *name)
{
	size_t i = 0;

	while (i < links->nr && strcmp(links->link[i]->name, name))
		i++;
	return i;
}

static int link_new(const struct pulse_link *user, struct link **out)
{
	struct pulse_link l;
	struct link *link;
	int err;

	if (!user)
		return -EINVAL;
	err = pulse__opts_load(&l, sizeof(l),
			       pulse__size_to(typeof(l), reserved), user);
	if (err)
		return err;
	if (!l.name || !*l.name || strlen(l.name) > NAME_MAX_BYTES || !l.fn ||
	    l.flags & ~PULSE_LINK_OPTIONAL || l.reserved)
		return -EINVAL;
	link = pulse__calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->name = pulse__strdup(l.name);
	if (!link->name) {
		pulse__free(link);
		return -ENOMEM;
	}
	link->refs = 1;
	link->fn = l.fn;
	link->arg = l.arg;
	link->release = l.release;
	link->flags = l.flags;
	*out = link;
	return 0;
}

/* A link that was never in the chain: its release is not called. */
static void link_drop(struct link *link)
{
	link->release = NULL;
	link_put(link);
}

/* ---- the chain ------------------------------------------------------------ */

static int no_handler(struct pulse_chain_event *event, void *arg)
{
	(void)event;
	(void)arg;
	return -ENOSYS;
}

int pulse_chain_create(const struct pulse_chain_opts *opts,
		       struct pulse_chain **out)
{
	struct pulse_chain *chain;
	struct pulse_chain_opts o;
	struct links *none;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), on_error), opts);
	if (err)
		return err;
	if (!o.handler)
		o.handler = no_handler;
	chain = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	none = links_new(0);
	err = none ? pulse__snap_init(&chain->snap, &none->version) : -ENOMEM;
	if (err) {
		pulse__free(none);
		pulse__free(chain);
		return err;
	}
	chain->o = o;
	*out = chain;
	return 0;
}

int pulse_chain_destroy(struct pulse_chain *chain)
{
	if (!chain)
		return -EINVAL;
	pulse__snap_end(&chain->snap);
	pulse__free(chain);
	return 0;
}

/* Under the writers' lock. */
static struct links *current(struct pulse_chain *chain)
{
	return container_of(chain->snap.cur, struct links, version);
}

int pulse_chain_use(struct pulse_chain *chain, const struct pulse_link *user,
		    const char *before)
{
	const struct links *old;
	struct links *new;
	struct link *link;
	size_t place;
	int err;

	if (!chain)
		return -EINVAL;
	err = link_new(user, &link);
	if (err)
		return err;
	pulse__snap_lock(&chain->snap);
	old = current(chain);
	place = before ? find(old, before) : old->nr;
	if (find(old, link->name) < old->nr)
		err = -EEXIST;
	else if (before && place == old->nr)
		err = -ENOENT;
	else if (old->nr >= PULSE_LINKS_MAX)
		err = -ENOSPC;
	new = err ? NULL : links_new(old->nr + 1);
	if (!new) {
		pulse__snap_unlock(&chain->snap);
		link_drop(link);
		return err ? err : -ENOMEM;
	}
	for (size_t i = 0; i < old->nr; i++) {
		if (i == place)
			add(new, link);
		add_again(new, old->link[i]);
	}
	if (place == old->nr)
		add(new, link);
	pulse__snap_swap(&chain->snap, &new->version);
	pulse__snap_unlock(&chain->snap);
	return 0;
}

int pulse_chain_remove(struct pulse_chain *chain, const char *name)
{
	const struct links *old;
	struct links *new = NULL;
	int err = 0;
	size_t place;

	if (!chain || !name)
		return -EINVAL;
	pulse__snap_lock(&chain->snap);
	old = current(chain);
	place = find(old, name);
	if (place == old->nr)
		err = -ENOENT;
	else
		new = links_new(old->nr);
	if (new) {
		for (size_t i = 0; i < old->nr; i++)
			if (i != place)
				add_again(new, old->link[i]);
		pulse__snap_swap(&chain->snap, &new->version);
	} else if (!err) {
		err = -ENOMEM;
	}
	pulse__snap_unlock(&chain->snap);
	return err;
}

int pulse_chain_set(struct pulse_chain *chain, const struct pulse_link *links,
		    size_t nr)
{
	struct links *new;
	int err = 0;

	if (!chain || (nr && !links))
		return -EINVAL;
	if (nr > PULSE_LINKS_MAX)
		return -ENOSPC;
	new = links_new(nr);
	if (!new)
		return -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++) {
		struct link *link;

		err = link_new(&links[i], &link);
		if (err)
			break;
		if (find(new, link->name) < new->nr)
			err = -EEXIST;
		add(new, link);
	}
	if (err) {
		for (size_t i = 0; i < new->nr; i++)
			new->link[i]->release = NULL;
		links_free(&new->version);
		return err;
	}
	pulse__snap_lock(&chain->snap);
	pulse__snap_swap(&chain->snap, &new->version);
	pulse__snap_unlock(&chain->snap);
	return 0;
}

/* ---- runs ----------------------------------------------------------------- */

static int run_at(struct run *run, size_t at, struct pulse_chain_event *event)
{
	struct pulse_next next = { .run = run, .at = at + 1 };
	struct link *link;
	int err;

	if (at == run->links->nr) {
		err = run->chain->o.handler(event, run->chain->o.arg);
		if (err < 0)
			run->who = "handler";
		return err;
	}
	link = run->links->link[at];
	pulse__add_relaxed(&link->runs, 1);
	err = link->fn(event, &next, link->arg);
	if (likely(err >= 0)) {
		run->who = NULL;
		return err;
	}
	pulse__add_relaxed(&link->failed, 1);
	if (link->flags & PULSE_LINK_OPTIONAL &&
	    !(next.ran && next.result == err)) {
		pulse__add_relaxed(&link->skipped, 1);
		return next.ran ? next.result : run_at(run, at + 1, event);
	}
	if (!run->who)
		run->who = link->name;
	return err;
}

int pulse_next_run(const struct pulse_next *next, struct pulse_chain_event *event)
{
	/* It lies on the stack of run_at(), which is ours. */
	struct pulse_next *n = (struct pulse_next *)next;

	if (!next || !event)
		return -EINVAL;
	n->run->who = NULL;
	n->result = run_at(n->run, n->at, event);
	n->ran = true;
	return n->result;
}

static int run_one(struct pulse_chain *chain, const struct links *links,
		   struct pulse_chain_event *event)
{
	struct run run = { .chain = chain, .links = links };
	int err = run_at(&run, 0, event);

	if (unlikely(err < 0) && chain->o.on_error)
		err = chain->o.on_error(event, err, run.who ? run.who : "",
					chain->o.arg);
	return err;
}

static int event_check(const struct pulse_chain_event *event)
{
	return event && event->sz >= pulse__size_to(struct pulse_chain_event, reply) ?
	       0 : -EINVAL;
}

int pulse_chain_run(struct pulse_chain *chain, struct pulse_chain_event *event)
{
	struct pulse__version *version;
	int err;

	if (!chain || event_check(event))
		return -EINVAL;
	version = pulse__snap_get(&chain->snap);
	err = run_one(chain, container_of(version, struct links, version), event);
	pulse__version_put(version);
	return err;
}

int pulse_chain_run_batch(struct pulse_chain *chain, struct pulse_chain_event *events,
			  size_t nr, int *results)
{
	struct pulse__version *version;
	int good = 0;

	if (!chain || (nr && !events) || nr > INT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++)
		if (event_check(&events[i]))
			return -EINVAL;
	version = pulse__snap_get(&chain->snap);
	for (size_t i = 0; i < nr; i++) {
		int err = run_one(chain, container_of(version, struct links,
						      version), &events[i]);

		good += err >= 0;
		if (results)
			results[i] = err;
	}
	pulse__version_put(version);
	return good;
}

int pulse_chain_link_stats(struct pulse_chain *chain, const char *name,
			   struct pulse_link_stats *out)
{
	struct pulse_link_stats s = { 0 };
	struct pulse__version *version;
	const struct links *links;
	size_t place;
	int err;

	if (!chain || !name)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), skipped));
	if (err)
		return err;
	version = pulse__snap_get(&chain->snap);
	links = container_of(version, struct links, version);
	place = find(links, name);
	if (place == links->nr) {
		err = -ENOENT;
	} else {
		s.runs = READ_ONCE(links->link[place]->runs);
		s.failed = READ_ONCE(links->link[place]->failed);
		s.skipped = READ_ONCE(links->link[place]->skipped);
		pulse__out_store(out, &s, sizeof(s));
	}
	pulse__version_put(version);
	return err;
}

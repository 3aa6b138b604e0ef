// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * table.c - the places of the table of actors: which are free.
 *
 * Each worker has a bin of free places, and those that are no workers share a
 * few; bins get places from the system's list, and give them back to it, so many
 * at a time. What travels between the CPUs of who spawns and of who ends is a
 * bunch of numbers, not a lock for each. There are never more places than
 * max_actors, so a place that is free is leave to spawn: who finds none anywhere
 * looks into the bins of the others.
 *
 * Who is alive is counted in the bins: so many began, so many ended. From
 * stopping on, which all look at inside the lock of their bin, these stay as they
 * are:
 *
 *	who ends an actor		who ends the system
 *	lock of its bin			stopping = 1
 *	stopping? under sys->lock:	lock of each bin: adds up what is alive
 *	  nr - 1, wakes at 0		under sys->lock: nr + that
 *	else ended + 1			waits until nr is 0
 *
 * Who got its place before, and says its reference late, looks at stopping after
 * that (spawn.c), as the other side looks at the references after stopping is
 * set. spin: actor_end
 */
#include "actor/actor.h"
#include "backend/backend.h"

/* The lines of a place that its beginning writes. */
static void pulse__place_fetch(const struct pulse_actors *sys, uint32_t n)
{
	const char *a = (const char *)&sys->chunk[n >> PULSE__CHUNK_SHIFT]
						  [n & (PULSE__CHUNK - 1)];

	for (size_t at = 0; at < sizeof(struct pulse_actor); at += PULSE_CACHE_LINE)
		pulse__fetch_to_write(a + at);
}

static struct pulse__abin *pulse__abin_self(struct pulse_actors *sys)
{
	struct pulse__arunner *r = pulse__arunner_self(sys);
	/* Threads' own words are far from each other. */
	uint64_t h = (uintptr_t)&pulse__actor_self * 0x9e3779b97f4a7c15ULL;

	return r ? &r->bin : &sys->bin[h >> 61];
}

/* The next of all bins; NULL: none. */
static struct pulse__abin *pulse__abin_at(struct pulse_actors *sys, uint32_t i)
{
	if (i < PULSE__ACTOR_BINS)
		return &sys->bin[i];
	i -= PULSE__ACTOR_BINS;
	return sys->runner && i < sys->nr_runners ? &sys->runner[i].bin : NULL;
}

void pulse__table_init(struct pulse_actors *sys)
{
	struct pulse__abin *bin;

	for (uint32_t i = 0; (bin = pulse__abin_at(sys, i)); i++)
		pthread_mutex_init(&bin->lock, NULL);
}

void pulse__table_fini(struct pulse_actors *sys)
{
	struct pulse__abin *bin;

	for (uint32_t i = 0; (bin = pulse__abin_at(sys, i)); i++)
		pthread_mutex_destroy(&bin->lock);
	for (uint32_t i = 0; i < ARRAY_SIZE(sys->chunk); i++)
		pulse__free(sys->chunk[i]);
	pulse__free(sys->free);
}

/* Places from @n on, and room in the list for all there are. */
static int pulse__table_chunk(struct pulse_actors *sys, uint32_t n)
{
	struct pulse_actor *chunk;
	uint32_t room = sys->free_room, *list;

	if (room < n + PULSE__CHUNK) {
		room = 2 * n + PULSE__CHUNK;
		list = pulse__realloc(sys->free, room * sizeof(*list));
		if (!list)
			return -ENOMEM;
		sys->free = list;
		sys->free_room = room;
	}
	chunk = pulse__aligned_alloc(PULSE_CACHE_LINE, PULSE__CHUNK * sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	for (uint32_t i = 0; i < PULSE__CHUNK; i++) {
		chunk[i].inbox = PULSE__INBOX_CLOSED;
		chunk[i].urgent = PULSE__URGENT_CLOSED;
		chunk[i].number = n + i;
		chunk[i].place = PULSE__PLACE_NONE;
		chunk[i].sys = sys;
		pulse__list_init(&chunk[i].bonds);
		pulse__list_init(&chunk[i].mem);
	}
	/* pairs with pulse__actor_at */
	pulse__store_release(&sys->chunk[n >> PULSE__CHUNK_SHIFT], chunk);
	return 0;
}

/* Both locks held. 0; -ENOMEM; -ENOSPC. */
static int pulse__abin_fill(struct pulse_actors *sys, struct pulse__abin *bin)
{
	uint32_t nr = PULSE__BIN_BATCH, n = sys->used, left;
	int err;

	if (sys->nr_free) {
		if (nr > sys->nr_free)
			nr = sys->nr_free;
		sys->nr_free -= nr;
		memcpy(bin->number, sys->free + sys->nr_free,
		       nr * sizeof(bin->number[0]));
		bin->nr = nr;
		return 0;
	}
	left = sys->max_actors - n;
	if (!left)
		return -ENOSPC;
	if (!(n & (PULSE__CHUNK - 1))) {
		err = pulse__table_chunk(sys, n);
		if (err)
			return err;
	}
	if (nr > left)
		nr = left;
	if (nr > PULSE__CHUNK - (n & (PULSE__CHUNK - 1)))
		nr = PULSE__CHUNK - (n & (PULSE__CHUNK - 1));
	/* The lowest one on top. */
	for (uint32_t i = 0; i < nr; i++)
		bin->number[i] = n + nr - 1 - i;
	bin->nr = nr;
	__atomic_store_n(&sys->used, n + nr, __ATOMIC_RELEASE);
	return 0;
}

/* A place out of a bin, whose lock is held. */
static uint32_t pulse__abin_pop(struct pulse__abin *bin)
{
	bin->spawned++;
	return bin->number[--bin->nr];
}

/* One that others have put away. */
static int pulse__table_scrape(struct pulse_actors *sys, uint32_t *n)
{
	struct pulse__abin *bin;
	bool found = false;

	for (uint32_t i = 0; !found && (bin = pulse__abin_at(sys, i)); i++) {
		pthread_mutex_lock(&bin->lock);
		found = bin->nr && !READ_ONCE(sys->stopping);
		if (found)
			*n = pulse__abin_pop(bin);
		pthread_mutex_unlock(&bin->lock);
	}
	return found ? 0 : READ_ONCE(sys->stopping) ? -ESHUTDOWN : -ENOSPC;
}

int pulse__table_take(struct pulse_actors *sys, struct pulse_actor **out)
{
	struct pulse__abin *bin = pulse__abin_self(sys);
	uint32_t n = 0;
	int err = 0;

	pthread_mutex_lock(&bin->lock);
	if (unlikely(READ_ONCE(sys->stopping))) {
		err = -ESHUTDOWN;
	} else if (!bin->nr) {
		pthread_mutex_lock(&sys->lock);
		err = pulse__abin_fill(sys, bin);
		pthread_mutex_unlock(&sys->lock);
	}
	if (!err) {
		n = pulse__abin_pop(bin);
		if (bin->nr > PULSE__BIN_AHEAD)
			pulse__place_fetch(sys, bin->number[bin->nr - 1 -
							    PULSE__BIN_AHEAD]);
	}
	pthread_mutex_unlock(&bin->lock);
	if (unlikely(err == -ENOSPC))
		err = pulse__table_scrape(sys, &n);
	if (!err)
		*out = &sys->chunk[n >> PULSE__CHUNK_SHIFT]
				  [n & (PULSE__CHUNK - 1)];
	return err;
}

/* Under sys->lock. */
static void pulse__table_list(struct pulse_actors *sys, const uint32_t *number,
			      uint32_t nr)
{
	memcpy(sys->free + sys->nr_free, number, nr * sizeof(*number));
	sys->nr_free += nr;
}

static PULSE__COLD void pulse__table_last(struct pulse_actors *sys, uint32_t n)
{
	pthread_mutex_lock(&sys->lock);
	pulse__table_list(sys, &n, 1);
	WRITE_ONCE(sys->nr, sys->nr - 1);
	/* Under the lock: who waits for the last frees the system after it. */
	if (!sys->nr)
		pulse__futex_wake(&sys->nr, INT_MAX);
	pthread_mutex_unlock(&sys->lock);
}

void pulse__table_give(struct pulse_actor *a)
{
	struct pulse_actors *sys = a->sys;
	struct pulse__abin *bin = pulse__abin_self(sys);
	const uint32_t half = PULSE__BIN_BATCH;

	pthread_mutex_lock(&bin->lock);
	if (unlikely(READ_ONCE(sys->stopping))) {
		pthread_mutex_unlock(&bin->lock);
		pulse__table_last(sys, a->number);
		return;
	}
	if (unlikely(bin->nr == PULSE__BIN)) {
		/* The older half; what was used last stays. */
		pthread_mutex_lock(&sys->lock);
		pulse__table_list(sys, bin->number, half);
		pthread_mutex_unlock(&sys->lock);
		bin->nr -= half;
		memmove(bin->number, bin->number + half,
			bin->nr * sizeof(bin->number[0]));
	}
	bin->number[bin->nr++] = a->number;
	bin->ended++;
	pthread_mutex_unlock(&bin->lock);
}

/*
 * Those that ended first, then those that began: what changes meanwhile makes
 * it more than there were, so that none that is alive is missed.
 */
void pulse__table_sum(struct pulse_actors *sys, uint64_t *alive,
		      uint64_t *spawned)
{
	struct pulse__abin *bin;
	uint64_t ended = 0;

	*spawned = 0;
	for (uint32_t i = 0; (bin = pulse__abin_at(sys, i)); i++) {
		pthread_mutex_lock(&bin->lock);
		ended += bin->ended;
		pthread_mutex_unlock(&bin->lock);
	}
	for (uint32_t i = 0; (bin = pulse__abin_at(sys, i)); i++) {
		pthread_mutex_lock(&bin->lock);
		*spawned += bin->spawned;
		pthread_mutex_unlock(&bin->lock);
	}
	*alive = *spawned - ended;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shared.c - making, attaching to and leaving a shared pool.
 *
 * What one node's memory holds: struct pulse__shm, the bitmaps, the places. On
 * the kernel backend it is the payload heap behind the node's ring, whose own
 * entries stay unused; elsewhere a memfd that cannot change its size.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/pool.h"
#include "pool/shared.h"

#define PULSE__SHARED_ENTRIES	1024U
#define PULSE__SHARED_PAYLOAD	96U
#define PULSE__SHARED_WORKERS	64U	/* of all processes */
#define PULSE__SHARED_THREADS	1024	/* of one */

int pulse__shared_check(const struct pulse_shared_pool *pool)
{
	if (!pool)
		return -EINVAL;
	pulse__obj_check(pool, PULSE__SHARED_OBJ, "pulse_shared_pool");
	return pulse__forked(pool->fork_gen) ? -EOWNERDEAD : 0;
}

uint32_t pulse_shared_fn_id(const char *name)
{
	uint32_t hash = 2166136261U;

	if (!name)
		return 0;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash ? hash : 1;
}

/* ---- options --------------------------------------------------------------- */

static int pulse__by_id(const void *a, const void *b)
{
	const struct pulse_shared_fn *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int pulse__shared_functions(struct pulse_shared_pool *pool,
				   const struct pulse_shared_pool_opts *o)
{
	if (!o->functions || !o->nr_functions ||
	    o->nr_functions > PULSE_SHARED_FUNCTIONS_MAX)
		return -EINVAL;
	pool->nr_fns = o->nr_functions;
	pool->fns = pulse__calloc(pool->nr_fns, sizeof(*pool->fns));
	if (!pool->fns)
		return -ENOMEM;
	memcpy(pool->fns, o->functions, pool->nr_fns * sizeof(*pool->fns));
	qsort(pool->fns, pool->nr_fns, sizeof(*pool->fns), pulse__by_id);
	for (uint32_t i = 0; i < pool->nr_fns; i++) {
		const struct pulse_shared_fn *fn = &pool->fns[i];

		if (!fn->fn || !fn->id || fn->reserved)
			return -EINVAL;
		if (i && fn->id == fn[-1].id) {
			pulse_log(PULSE_LOG_ERROR,
				  "shared pool %s: two functions have number %u",
				  pool->name, fn->id);
			return -EINVAL;
		}
	}
	return 0;
}

static uint64_t pulse__shared_digest(const struct pulse_shared_pool *pool)
{
	uint64_t hash = 14695981039346656037ULL ^ pool->nr_fns;

	for (uint32_t i = 0; i < pool->nr_fns; i++)
		hash = (hash ^ pool->fns[i].id) * 1099511628211ULL;
	return hash;
}

/* False: no such sizes. */
static bool pulse__shared_sizes(struct pulse_shared_pool *pool, uint32_t entries,
				uint32_t payload_bytes)
{
	const size_t line = PULSE_CACHE_LINE;

	if (entries < 64 || entries > 65536 || !pulse__is_pow2(entries) ||
	    !payload_bytes || payload_bytes > PULSE_SHARED_PAYLOAD_MAX)
		return false;
	pool->stride = (uint32_t)pulse__align_up(sizeof(struct pulse__splace) +
						 payload_bytes, line);
	pool->payload_bytes = pool->stride - (uint32_t)sizeof(struct pulse__splace);
	pool->entries = entries;
	pool->words = entries / 64;
	return true;
}

static size_t pulse__shared_places_at(const struct pulse_shared_pool *pool)
{
	return pulse__align_up(sizeof(struct pulse__shm) +
			       (1 + PULSE__SHARED_PRIOS) * pool->words *
			       sizeof(uint64_t), PULSE_CACHE_LINE);
}

static size_t pulse__shared_bytes(const struct pulse_shared_pool *pool)
{
	return pulse__shared_places_at(pool) +
	       (size_t)pool->entries * pool->stride;
}

static int pulse__shared_opts(struct pulse_shared_pool *pool,
			      const struct pulse_shared_pool_opts *o)
{
	int nr = o->num_workers;

	snprintf(pool->name, sizeof(pool->name), "%s",
		 o->name && *o->name ? o->name : "shared");
	if (nr < PULSE_OFF || nr > PULSE__SHARED_THREADS ||
	    o->max_workers > PULSE_MAX_WORKERS)
		return -EINVAL;
	if (nr == PULSE_DEFAULT)
		nr = pulse__place_default();
	if (nr < 0 && o->num_workers != PULSE_OFF)
		return nr;
	pool->nr_workers = nr > 0 ? (uint32_t)nr : 0;
	return pulse__shared_functions(pool, o);
}

/* ---- memory ------------------------------------------------------------------ */

static void pulse__sarena_set(struct pulse_shared_pool *pool, uint32_t n,
			      void *mem, int node)
{
	struct pulse__sarena *a = &pool->arena[n];

	a->shm = mem;
	a->node = node;
	a->free = a->shm->bits;
	for (uint32_t p = 0; p < PULSE__SHARED_PRIOS; p++)
		a->ready[p] = a->free + (size_t)(p + 1) * pool->words;
	a->places = (unsigned char *)mem + pulse__shared_places_at(pool);
}

static int pulse__shared_arenas(struct pulse_shared_pool *pool, uint32_t nr)
{
	pool->arena = pulse__calloc(nr, sizeof(*pool->arena));
	pool->nr_arenas = nr;
	return pool->arena ? 0 : -ENOMEM;
}

/* The heap of node @row's ring, or NULL where @room is more than it has. */
static void *pulse__shared_heap(const struct pulse_shared_pool *pool,
				uint32_t row, size_t room)
{
	size_t bytes = 0;
	void *mem;

	if (pulse_ctx_nring(pool->ctx, pool->ctx->nodes[row], &mem, &bytes) ||
	    bytes < PULSE__SHARED_SKIP || bytes - PULSE__SHARED_SKIP < room)
		return NULL;
	return (char *)mem + PULSE__SHARED_SKIP;
}

static int pulse__shared_in_ctx(struct pulse_shared_pool *pool)
{
	int err = pulse__shared_arenas(pool, pool->ctx->nr_nodes);

	pool->fd = pulse_ctx_fd(pool->ctx);
	for (uint32_t n = 0; !err && n < pool->nr_arenas; n++) {
		void *mem = pulse__shared_heap(pool, n, pulse__shared_bytes(pool));

		if (!mem)
			return -EPROTO;
		pulse__sarena_set(pool, n, mem, pool->ctx->nodes[n]);
	}
	return err;
}

static int pulse__shared_map(struct pulse_shared_pool *pool, size_t bytes)
{
	void *mem;

	if (pulse__alloc_fault())
		return -ENOMEM;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pool->fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	/* A child attaches itself; what it inherits would be its parent's. */
	madvise(mem, bytes, MADV_DONTFORK);
	madvise(mem, bytes, MADV_DONTDUMP);
	pool->mem = mem;
	pool->mem_bytes = bytes;
	return 0;
}

static int pulse__shared_in_memfd(struct pulse_shared_pool *pool)
{
	int err = pulse__shared_arenas(pool, 1);

	if (!err)
		pulse__sarena_set(pool, 0, pool->mem, 0);
	return err;
}

static int pulse__shared_create_memory(struct pulse_shared_pool *pool,
				       uint32_t max_workers)
{
	size_t room = pulse__shared_bytes(pool);
	PULSE_OPTS(pulse_ctx_opts, opts, .ring_entries = 2,
		   .heap_bytes = (uint32_t)room,
		   .flags = PULSE_CTX_OPT_SHARED,
		   .max_workers = max_workers ? max_workers : PULSE__SHARED_WORKERS);
	int err = pulse_ctx_create(&opts, &pool->ctx);

	if (!err)
		return pulse__shared_in_ctx(pool);
	if (err != -EOPNOTSUPP)
		return err;
	pool->fd = pulse__memfd((off_t)room);
	if (pool->fd < 0)
		return pool->fd;
	err = pulse__shared_map(pool, room);
	return err ? err : pulse__shared_in_memfd(pool);
}

static int pulse__shared_publish(struct pulse_shared_pool *pool)
{
	struct pulse__shm *shm = pool->shm = pool->arena[0].shm;

	pulse__shared_format(pool);
	shm->digest = pulse__shared_digest(pool);
	shm->entries = pool->entries;
	shm->payload_bytes = pool->payload_bytes;
	shm->nr_nodes = pool->nr_arenas;
	shm->max_attempts = pool->max_attempts;
	/* Last: pairs with pulse__shared_read. */
	pulse__store_release(&shm->magic, PULSE__SHARED_MAGIC);
	return 0;
}

/* The sizes of a pool in @mem of @room bytes, each read once. */
static int pulse__shared_read(struct pulse_shared_pool *pool, void *mem,
			      size_t room, const struct pulse_shared_pool_opts *o)
{
	struct pulse__shm *shm = mem;
	uint32_t entries, payload_bytes, max_attempts;

	if (room < sizeof(*shm) ||
	    pulse__load_acquire(&shm->magic) != PULSE__SHARED_MAGIC)
		return -EINVAL;
	entries = READ_ONCE(shm->entries);
	payload_bytes = READ_ONCE(shm->payload_bytes);
	max_attempts = READ_ONCE(shm->max_attempts);
	if (!pulse__shared_sizes(pool, entries, payload_bytes) ||
	    pulse__shared_bytes(pool) > room)
		return -EPROTO;
	pool->max_attempts = max_attempts;
	if (READ_ONCE(shm->digest) != pulse__shared_digest(pool)) {
		pulse_log(PULSE_LOG_ERROR,
			  "shared pool %s: the numbers of its functions are not those of the pool",
			  pool->name);
		return -EINVAL;
	}
	if ((o->entries && o->entries != entries) ||
	    (o->payload_bytes && o->payload_bytes > payload_bytes) ||
	    (o->max_attempts && o->max_attempts != max_attempts))
		return -EINVAL;
	pool->shm = shm;
	return 0;
}

static int pulse__shared_attach_ctx(struct pulse_shared_pool *pool, int fd,
				    const struct pulse_shared_pool_opts *o)
{
	size_t bytes;
	void *mem;
	int err;

	err = pulse_ctx_attach(fd, &pool->ctx);
	if (err)
		return err;
	err = pulse_ctx_nring(pool->ctx, pool->ctx->nodes[0], &mem, &bytes);
	if (err)
		return err;
	if (bytes < PULSE__SHARED_SKIP)
		return -EINVAL;
	err = pulse__shared_read(pool, (char *)mem + PULSE__SHARED_SKIP,
				 bytes - PULSE__SHARED_SKIP, o);
	return err ? err : pulse__shared_in_ctx(pool);
}

static int pulse__shared_attach_memory(struct pulse_shared_pool *pool, int fd,
				       const struct pulse_shared_pool_opts *o)
{
	struct stat st;
	int seals, err;

	if (fstat(fd, &st))
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return pulse__shared_attach_ctx(pool, fd, o);
	/* What can shrink could turn each access into SIGBUS. */
	if (!(seals & F_SEAL_SHRINK) || st.st_size <= 0)
		return -EPROTO;
	if ((uint64_t)st.st_size > PULSE__SHARED_ROOM)
		return -EINVAL;
	pool->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (pool->fd < 0)
		return -errno;
	err = pulse__shared_map(pool, (size_t)st.st_size);
	if (!err)
		err = pulse__shared_read(pool, pool->mem, pool->mem_bytes, o);
	return err ? err : pulse__shared_in_memfd(pool);
}

/* ---- from nothing to all of it, and back --------------------------------------- */

static int pulse__shared_workers_new(struct pulse_shared_pool *pool)
{
	if (!pool->nr_workers)
		return 0;
	pool->workers = pulse__calloc(pool->nr_workers, sizeof(*pool->workers));
	if (!pool->workers)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__sworker *w = &pool->workers[i];

		w->pool = pool;
		w->number = i;
		w->index = -1;
		w->payload = pulse__malloc(pool->payload_bytes);
		if (!w->payload)
			return -ENOMEM;
	}
	return 0;
}

static int pulse__shared_begin(struct pulse_shared_pool *pool)
{
	int err = pulse__shared_workers_new(pool);

	if (!err)
		err = pulse__shared_join(pool);
	/* Who runs nothing need not know who died. */
	if (!err && pool->nr_workers)
		err = pulse__shared_keeper_start(pool);
	if (!err)
		err = pulse__shared_workers_start(pool);
	return err;
}

static void pulse__shared_free(struct pulse_shared_pool *pool, bool forked)
{
	if (!forked) {
		pulse__shared_workers_stop(pool);
		pulse__shared_keeper_stop(pool);
		pulse__shared_leave(pool);
		pthread_cond_destroy(&pool->cond);
		pthread_mutex_destroy(&pool->lock);
		if (pool->mem)
			munmap(pool->mem, pool->mem_bytes);
	}
	if (pool->bell >= 0)
		close(pool->bell);
	if (pool->ctx)
		pulse_ctx_destroy(pool->ctx);
	else if (pool->fd >= 0)
		close(pool->fd);
	for (uint32_t i = 0; pool->workers && i < pool->nr_workers; i++)
		pulse__free(pool->workers[i].payload);
	pulse__free(pool->workers);
	pulse__free(pool->arena);
	pulse__free(pool->fns);
	pool->magic = PULSE__MAGIC_DEAD;
	pulse__free(pool);
}

static int pulse__shared_new(const struct pulse_shared_pool_opts *user,
			     struct pulse_shared_pool_opts *o,
			     struct pulse_shared_pool **out)
{
	struct pulse_shared_pool *pool;
	int err;

	err = pulse__opts_load(o, sizeof(*o),
			       pulse__size_to(struct pulse_shared_pool_opts,
					      max_attempts), user);
	if (err)
		return err;
	pool = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->magic = PULSE__SHARED_OBJ;
	pool->fork_gen = pulse__fork_generation();
	pool->fd = -1;
	pool->bell = -1;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->cond, NULL);
	*out = pool;
	return pulse__shared_opts(pool, o);
}

int pulse_shared_pool_create(const struct pulse_shared_pool_opts *user,
			     struct pulse_shared_pool **out)
{
	struct pulse_shared_pool *pool = NULL;
	struct pulse_shared_pool_opts o;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__shared_new(user, &o, &pool);
	if (!err && (!pulse__shared_sizes(pool, o.entries ? o.entries :
					  PULSE__SHARED_ENTRIES,
					  o.payload_bytes ? o.payload_bytes :
					  PULSE__SHARED_PAYLOAD) ||
		     pulse__shared_bytes(pool) > PULSE__SHARED_ROOM))
		err = -EINVAL;
	if (!err) {
		pool->max_attempts = o.max_attempts;
		err = pulse__shared_create_memory(pool, o.max_workers);
	}
	if (!err)
		err = pulse__shared_publish(pool);
	if (!err)
		err = pulse__shared_begin(pool);
	if (err) {
		if (pool)
			pulse__shared_free(pool, false);
		return err;
	}
	*out = pool;
	return 0;
}

int pulse_shared_pool_attach(int fd, const struct pulse_shared_pool_opts *user,
			     struct pulse_shared_pool **out)
{
	struct pulse_shared_pool *pool = NULL;
	struct pulse_shared_pool_opts o;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__shared_new(user, &o, &pool);
	if (!err)
		err = pulse__shared_attach_memory(pool, fd, &o);
	if (!err)
		err = pulse__shared_begin(pool);
	if (err) {
		if (pool)
			pulse__shared_free(pool, false);
		return err;
	}
	*out = pool;
	return 0;
}

int pulse_shared_pool_destroy(struct pulse_shared_pool *pool)
{
	int err = pulse__shared_check(pool);

	if (err == -EINVAL)
		return err;
	if (!err && pulse__shared_self && pulse__shared_self->pool == pool)
		return -EDEADLK;
	pulse__shared_free(pool, err);
	return err;
}

int pulse_shared_pool_fd(const struct pulse_shared_pool *pool)
{
	int err = pulse__shared_check(pool);

	return err ? err : pool->fd;
}

int pulse_shared_pool_shutdown(struct pulse_shared_pool *pool)
{
	int err = pulse__shared_check(pool);

	if (!err)
		__atomic_store_n(&pool->shm->closed, 1, __ATOMIC_SEQ_CST);
	return err;
}

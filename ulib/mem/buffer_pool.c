// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * buffer_pool.c - where buffers come from and go back to. How the parts hang
 * together stands in buffer_int.h. Each large class has a lock of its own, a
 * leaf; all else is the slabs' business.
 */
#include "mem/buffer_int.h"

#define DEFAULT_LARGEST	(1UL << 20)
#define MOST		(1UL << 30)
#define DEFAULT_KEEP	8
/* A CPU keeps so many bytes of a class to itself, roughly. */
#define MAGAZINE_BYTES	(128U << 10)

static size_t class_bytes(unsigned int class)
{
	return (size_t)1 << (PULSE__BUFFER_SHIFT + class);
}

static unsigned int class_of(size_t bytes)
{
	if (bytes <= class_bytes(0))
		return 0;
	return pulse__log2(pulse__pow2_up(bytes)) - PULSE__BUFFER_SHIFT;
}

/* ---- limits ------------------------------------------------------------- */

/* Adds to a counter unless it would pass the limit. */
static bool take_some(uint64_t *used, uint64_t some, uint64_t limit)
{
	uint64_t old = READ_ONCE(*used);

	do {
		if (some > limit || old > limit - some)
			return false;
		/* Counts and nothing else: relaxed. */
	} while (!pulse__cas(used, &old, old + some, __ATOMIC_RELAXED,
			     __ATOMIC_RELAXED));
	return true;
}

static bool limit_take(struct pulse_buffer_pool *pool, uint64_t bytes)
{
	if (likely(!pool->limited))
		return true;
	if (!take_some(&pool->used_buffers, 1, pool->limit_buffers))
		return false;
	if (take_some(&pool->used_bytes, bytes, pool->limit_bytes))
		return true;
	__atomic_fetch_sub(&pool->used_buffers, 1, __ATOMIC_RELAXED);
	return false;
}

static void limit_give(struct pulse_buffer_pool *pool, uint64_t bytes)
{
	if (likely(!pool->limited))
		return;
	__atomic_fetch_sub(&pool->used_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&pool->used_buffers, 1, __ATOMIC_RELAXED);
}

/* ---- large buffers ------------------------------------------------------ */

static int here(void)
{
	int cpu, node;

	pulse__here(&cpu, &node);
	return node < 0 ? 0 : node;
}

static int large_get(struct pulse_buffer_pool *pool, unsigned int class,
		     int node, struct pulse_buffer **out)
{
	struct pulse__buffer_large *l = &pool->large[class];
	size_t bytes = class_bytes(class) + PULSE_BUFFER_ALIGN;
	struct pulse_buffer **p, *buf;
	void *mem;
	int err;

	if (node == PULSE_NODE_HERE)
		node = here();
	pthread_mutex_lock(&l->lock);
	for (p = &l->kept; (buf = *p); p = &buf->next) {
		if (buf->node == node)
			break;
	}
	if (buf) {
		*p = buf->next;
		l->nr_kept--;
		l->hits++;
		l->gets++;
	}
	pthread_mutex_unlock(&l->lock);
	if (!buf) {
		err = pulse__map_on_node(bytes, 1, node, pool->map_flags, &mem);
		if (err)
			return err;
		buf = mem;
		buf->node = node;
		pthread_mutex_lock(&l->lock);
		l->gets++;
		l->bytes += bytes;
		pthread_mutex_unlock(&l->lock);
	}
	*out = buf;
	return 0;
}

static void large_put(struct pulse_buffer_pool *pool, struct pulse_buffer *buf)
{
	struct pulse__buffer_large *l = &pool->large[buf->kind];
	size_t bytes = class_bytes(buf->kind) + PULSE_BUFFER_ALIGN;
	bool remote = buf->node != here(), keep;

	pthread_mutex_lock(&l->lock);
	l->puts++;
	l->remote_puts += remote;
	keep = l->nr_kept < pool->keep;
	if (keep) {
		buf->next = l->kept;
		l->kept = buf;
		l->nr_kept++;
	} else {
		l->bytes -= bytes;
	}
	pthread_mutex_unlock(&l->lock);
	if (!keep)
		pulse_free_on_node(buf, bytes);
}

/* ---- get and return ----------------------------------------------------- */

int pulse_buffer_pool_get(struct pulse_buffer_pool *pool, size_t bytes,
			  int node, struct pulse_buffer **out)
{
	struct pulse_buffer *buf;
	unsigned int class;
	void *mem = NULL;
	int err;

	if (out)
		*out = NULL;
	if (!pool || !out || node < PULSE_NODE_HERE || node >= PULSE__MAX_NODES)
		return -EINVAL;
	pulse__obj_check(pool, PULSE__BUFPOOL_MAGIC, "pulse_buffer_pool_get");
	if (pulse__forked(pool->fork_gen))
		return -EOWNERDEAD;
	if (bytes > pool->largest_bytes)
		return -EMSGSIZE;
	class = class_of(bytes);
	if (!limit_take(pool, class_bytes(class))) {
		pulse__add_relaxed(&pool->exhausted, 1);
		return -ENOBUFS;
	}
	if (class < PULSE__BUFFER_SLABS) {
		err = pulse_slab_alloc_on(pool->slab[class], node, &mem);
		buf = mem;
		if (!err)
			buf->node = pulse_slab_node_of(pool->slab[class], buf);
	} else {
		err = large_get(pool, class, node, &buf);
	}
	if (err) {
		limit_give(pool, class_bytes(class));
		if (err == -ENOMEM)
			pulse__add_relaxed(&pool->failed, 1);
		return err;
	}
	buf->magic = PULSE__BUFFER_MAGIC;
	buf->refs = 1;
	buf->pool = pool;
	buf->root = NULL;
	buf->arg = NULL;
	buf->data = (unsigned char *)buf + PULSE_BUFFER_ALIGN;
	buf->len = (uint32_t)bytes;
	buf->capacity = (uint32_t)class_bytes(class);
	buf->kind = class;
	*out = buf;
	return 0;
}

void pulse__buffer_return(struct pulse_buffer *buf)
{
	struct pulse_buffer_pool *pool = buf->pool;
	unsigned int class = buf->kind;

	buf->magic = PULSE__MAGIC_DEAD;
	/* Nothing of a parent's process can be given back in a child. */
	if (pulse__forked(pool->fork_gen))
		return;
	if (class < PULSE__BUFFER_SLABS)
		pulse_slab_free(pool->slab[class], buf);
	else
		large_put(pool, buf);
	limit_give(pool, class_bytes(class));
}

/* ---- life --------------------------------------------------------------- */

static void pool_free(struct pulse_buffer_pool *pool)
{
	struct pulse_buffer *buf;

	for (unsigned int i = 0; i < PULSE__BUFFER_CLASSES; i++) {
		struct pulse__buffer_large *l = &pool->large[i];

		while ((buf = l->kept)) {
			l->kept = buf->next;
			pulse_free_on_node(buf, class_bytes(i) +
					   PULSE_BUFFER_ALIGN);
		}
		pthread_mutex_destroy(&l->lock);
	}
	for (unsigned int i = 0; i < PULSE__BUFFER_SLABS; i++) {
		if (pool->slab[i])
			pulse_slab_destroy(pool->slab[i]);
	}
	if (pool->views)
		pulse_slab_destroy(pool->views);
	pool->magic = PULSE__MAGIC_DEAD;
	pulse__free(pool);
}

static int pool_slabs(struct pulse_buffer_pool *pool)
{
	struct pulse_slab_opts o = {
		.sz = sizeof(o),
		.align = PULSE_BUFFER_ALIGN,
		.object_bytes = sizeof(struct pulse_buffer),
	};
	int err = pulse_slab_create(&o, &pool->views);

	if (pool->map_flags & PULSE_MEM_HUGE)
		o.flags = PULSE_SLAB_HUGE;
	for (unsigned int i = 0; !err && i < PULSE__BUFFER_SLABS; i++) {
		uint32_t nr = MAGAZINE_BYTES / (uint32_t)class_bytes(i);

		o.object_bytes = class_bytes(i) + PULSE_BUFFER_ALIGN;
		o.magazine = nr > 32 ? 32 : (int32_t)nr;
		err = pulse_slab_create(&o, &pool->slab[i]);
	}
	return err;
}

int pulse_buffer_pool_create(const struct pulse_buffer_pool_opts *opts,
			     struct pulse_buffer_pool **out)
{
	struct pulse_buffer_pool_opts o;
	struct pulse_buffer_pool *pool;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), flags),
			       opts);
	if (err)
		return err;
	if (o.largest_bytes > MOST || o.keep < PULSE_OFF || o.keep > 1024 ||
	    o.flags & ~PULSE_BUFFER_HUGE)
		return -EINVAL;
	pool = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->magic = PULSE__BUFPOOL_MAGIC;
	pool->fork_gen = pulse__fork_generation();
	pool->largest_bytes = o.largest_bytes ? o.largest_bytes :
			      DEFAULT_LARGEST;
	pool->keep = o.keep ? (uint32_t)(o.keep > 0 ? o.keep : 0) : DEFAULT_KEEP;
	pool->map_flags = o.flags & PULSE_BUFFER_HUGE ? PULSE_MEM_HUGE : 0;
	pool->limited = o.limit_bytes || o.limit_buffers;
	pool->limit_bytes = o.limit_bytes ? o.limit_bytes : UINT64_MAX;
	pool->limit_buffers = o.limit_buffers ? o.limit_buffers : UINT64_MAX;
	for (unsigned int i = 0; i < PULSE__BUFFER_CLASSES; i++)
		pthread_mutex_init(&pool->large[i].lock, NULL);
	err = pool_slabs(pool);
	if (err) {
		pool_free(pool);
		return err;
	}
	*out = pool;
	return 0;
}

/* ---- statistics --------------------------------------------------------- */

static void pool_sum(struct pulse_buffer_pool *pool,
		     struct pulse_buffer_stats *s)
{
	struct pulse_slab_stats slab = { .sz = sizeof(slab) };
	uint64_t hits = 0;

	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < PULSE__BUFFER_SLABS; i++) {
		pulse_slab_stats(pool->slab[i], &slab);
		s->gets += slab.allocations;
		s->puts += slab.frees;
		s->remote_puts += slab.remote_frees;
		s->bytes += slab.bytes;
		hits += slab.hits;
	}
	for (unsigned int i = 0; i < PULSE__BUFFER_CLASSES; i++) {
		struct pulse__buffer_large *l = &pool->large[i];

		pthread_mutex_lock(&l->lock);
		s->gets += l->gets;
		s->puts += l->puts;
		s->remote_puts += l->remote_puts;
		s->bytes += l->bytes;
		hits += l->hits;
		pthread_mutex_unlock(&l->lock);
	}
	pulse_slab_stats(pool->views, &slab);
	s->views = slab.in_use;
	s->bytes += slab.bytes;
	/* Puts may be seen before the gets they end. */
	if (s->gets > s->puts)
		s->in_use = s->gets - s->puts;
	s->exhausted = READ_ONCE(pool->exhausted);
	s->failed = READ_ONCE(pool->failed);
	if (s->gets)
		s->hit_percent = 100.0 * (double)hits / (double)s->gets;
}

int pulse_buffer_pool_stats(struct pulse_buffer_pool *pool,
			    struct pulse_buffer_stats *out)
{
	struct pulse_buffer_stats s;
	int err;

	if (!pool)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), hit_percent));
	if (err)
		return err;
	pool_sum(pool, &s);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

int pulse_buffer_pool_destroy(struct pulse_buffer_pool *pool)
{
	struct pulse_buffer_stats s;

	if (!pool)
		return -EINVAL;
	pulse__obj_check(pool, PULSE__BUFPOOL_MAGIC, "pulse_buffer_pool_destroy");
	/* In a child: a lock may be held by a thread that is not here. */
	if (!pulse__forked(pool->fork_gen)) {
		pool_sum(pool, &s);
		if (s.in_use || s.views)
			return -EBUSY;
	}
	pool_free(pool);
	return 0;
}

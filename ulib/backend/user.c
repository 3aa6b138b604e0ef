// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * user.c - the backend without the module: a memfd and futexes.
 *
 * The memfd holds what <linux/pulse.h> calls HDR, KSTATE, UWORK and one NRING a
 * node, in this order, each from a page boundary. Who plays the kernel: KSTATE
 * and the idle bits are written by the worker itself around its sleep, HDR
 * under ctx->lock. KSTATE holds only what a thread can know of itself; the rest
 * comes from /proc when it is asked for.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/events.h"

int pulse__memfd(off_t bytes)
{
	int fd, err = 0;

	if (pulse__alloc_fault())
		return -ENOMEM;
	fd = memfd_create("pulse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* A size that cannot change cannot turn a read into SIGBUS. */
	if (ftruncate(fd, bytes) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int pulse__map_at(struct pulse_ctx *ctx, off_t *off, size_t bytes,
			 void *out)
{
	void *mem;

	if (pulse__alloc_fault())
		return -ENOMEM;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->fd,
		   *off);
	if (mem == MAP_FAILED)
		return -errno;
	/* A child has no business with the words that our threads sleep on. */
	madvise(mem, bytes, MADV_DONTFORK);
	madvise(mem, bytes, MADV_DONTDUMP);
	*off += (off_t)bytes;
	memcpy(out, &mem, sizeof(mem));
	return 0;
}

/* A wish: a kernel or a sandbox without mbind gives memory all the same. */
static void pulse__bind(void *mem, size_t bytes, int node)
{
	unsigned long mask[PULSE__MAX_NODES / (8 * sizeof(long))] = { 0 };
	const unsigned int width = 8 * sizeof(long);

	if (node < 0 || node >= PULSE__MAX_NODES)
		return;
	mask[(unsigned int)node / width] |= 1UL << ((unsigned int)node % width);
	syscall(SYS_mbind, mem, bytes, MPOL_PREFERRED, mask,
		(unsigned long)PULSE__MAX_NODES, 0U);
}

static void pulse__hdr_fill(struct pulse_ctx *ctx)
{
	struct pulse_hdr *hdr = ctx->hdr;
	char *base = (char *)hdr;

	hdr->abi = PULSE_ABI_VERSION;
	hdr->hdr_bytes = sizeof(*hdr);
	hdr->features = ctx->features;
	hdr->max_workers = ctx->max_workers;
	hdr->nr_nodes = ctx->nr_nodes;
	hdr->ring_entries = ctx->ring_entries;
	hdr->heap_bytes = ctx->heap_bytes;
	hdr->nodes_off = sizeof(*hdr);
	hdr->dist_off = hdr->nodes_off + ctx->nr_nodes * 4;
	hdr->idle_off = (uint32_t)pulse__align_up(hdr->dist_off +
						  ctx->nr_nodes * ctx->nr_nodes,
						  PULSE_CACHE_PAIR);
	hdr->idle_words = ctx->idle_words;
	memcpy(base + hdr->nodes_off, ctx->sys->node, ctx->nr_nodes * 4);
	memcpy(base + hdr->dist_off, ctx->sys->dist,
	       (size_t)ctx->nr_nodes * ctx->nr_nodes);
	ctx->idle = (uint64_t *)(void *)(base + hdr->idle_off);
	/* Last: who maps the memfd waits for it. */
	pulse__store_release(&hdr->magic, PULSE_HDR_MAGIC);
}

static int pulse__user_open(struct pulse_ctx *ctx)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned int nr;
	off_t off = 0;
	int err;

	err = pulse__nodes_read("/sys/devices/system/node", &ctx->sys);
	if (err)
		return err;
	nr = ctx->nr_nodes = ctx->sys->nr;
	ctx->nodes = pulse__calloc(nr, sizeof(*ctx->nodes));
	ctx->nring = pulse__calloc(nr, sizeof(*ctx->nring));
	if (!ctx->nodes || !ctx->nring)
		return -ENOMEM;
	memcpy(ctx->nodes, ctx->sys->node, nr * sizeof(*ctx->nodes));
	err = pulse__ctx_order(ctx, ctx->sys->dist);
	if (err)
		return err;

	err = pulse__ctx_slots(ctx);
	if (err)
		return err;
	ctx->idle_words = (ctx->max_workers + 63) / 64;
	ctx->heap_bytes = (uint32_t)pulse__align_up(ctx->heap_bytes, page);
	ctx->hdr_bytes = pulse__align_up(sizeof(struct pulse_hdr) + nr * 4 +
					 (size_t)nr * nr + PULSE_CACHE_PAIR +
					 (size_t)nr * ctx->idle_words * 8, page);
	ctx->kstate_bytes = pulse__align_up(ctx->max_workers *
					    sizeof(struct pulse_kstate), page);
	ctx->uwork_bytes = pulse__align_up(ctx->max_workers *
					   sizeof(struct pulse_uwork), page);
	ctx->nring_bytes = pulse__align_up(sizeof(struct pulse_nring_hdr) +
					   (size_t)ctx->ring_entries *
					   sizeof(struct pulse_nring_entry),
					   page) + ctx->heap_bytes;

	ctx->fd = pulse__memfd((off_t)(ctx->hdr_bytes + ctx->kstate_bytes +
				       ctx->uwork_bytes +
				       nr * ctx->nring_bytes));
	if (ctx->fd < 0)
		return ctx->fd;
	err = pulse__map_at(ctx, &off, ctx->hdr_bytes, &ctx->hdr);
	if (!err)
		err = pulse__map_at(ctx, &off, ctx->kstate_bytes, &ctx->kstate);
	if (!err)
		err = pulse__map_at(ctx, &off, ctx->uwork_bytes, &ctx->uwork);
	for (unsigned int i = 0; i < nr && !err; i++) {
		err = pulse__map_at(ctx, &off, ctx->nring_bytes,
				    &ctx->nring[i]);
		if (!err && nr > 1)
			pulse__bind(ctx->nring[i], ctx->nring_bytes,
				    ctx->nodes[i]);
	}
	if (err)
		return err;
	pulse__hdr_fill(ctx);
	return 0;
}

static void pulse__user_close(struct pulse_ctx *ctx, bool forked)
{
	if (!forked) {
		if (ctx->hdr)
			munmap(ctx->hdr, ctx->hdr_bytes);
		if (ctx->kstate)
			munmap(ctx->kstate, ctx->kstate_bytes);
		if (ctx->uwork)
			munmap(ctx->uwork, ctx->uwork_bytes);
		for (unsigned int i = 0; ctx->nring && i < ctx->nr_nodes; i++) {
			if (ctx->nring[i])
				munmap(ctx->nring[i], ctx->nring_bytes);
		}
	}
	if (ctx->fd >= 0)
		close(ctx->fd);
	pulse__nodes_free(ctx->sys);
}

static void pulse__count_workers(struct pulse_ctx *ctx, int by)
{
	WRITE_ONCE(ctx->hdr->nr_workers,
		   ctx->hdr->nr_workers + (uint32_t)by);
	WRITE_ONCE(ctx->hdr->generation, ctx->hdr->generation + 1);
}

static int pulse__user_worker_add(struct pulse_ctx *ctx, int node,
				  uint64_t cookie, uint32_t *index,
				  uint32_t *row)
{
	unsigned int cpu = 0, here = 0;
	struct pulse_kstate *ks;
	uint32_t i = 0, n;
	int home;

	(void)cookie;
	getcpu(&cpu, &here);
	if (node >= 0) {
		home = pulse__ctx_row(ctx, node);
		if (home < 0)
			return -EINVAL;
	} else {
		home = pulse__ctx_row(ctx, (int)here);
		if (home < 0)
			home = 0;
	}

	pthread_mutex_lock(&ctx->lock);
	for (n = 0; n < ctx->max_workers; n++) {
		i = (ctx->rover + n) % ctx->max_workers;
		if (READ_ONCE(ctx->kstate[i].state) == PULSE_STATE_FREE)
			break;
	}
	if (n == ctx->max_workers) {
		pthread_mutex_unlock(&ctx->lock);
		return -ENOSPC;
	}
	ctx->rover = i + 1;
	ks = &ctx->kstate[i];
	WRITE_ONCE(ks->tid, (int32_t)syscall(SYS_gettid));
	WRITE_ONCE(ks->cpu, cpu);
	WRITE_ONCE(ks->node, ctx->nodes[home]);
	WRITE_ONCE(ks->n_park, 0);
	WRITE_ONCE(ks->beats, 0);
	WRITE_ONCE(ks->missed, 0);
	WRITE_ONCE(ks->incarnation, ks->incarnation + 1);
	WRITE_ONCE(ks->state, PULSE_STATE_RUNNING);
	pulse__count_workers(ctx, 1);
	pthread_mutex_unlock(&ctx->lock);
	*index = i;
	*row = (uint32_t)home;
	return 0;
}

/* Under ctx->lock. */
static void pulse__user_reclaim(struct pulse_ctx *ctx, uint32_t index)
{
	pulse__beat_end(&ctx->slots[index]);
	WRITE_ONCE(ctx->kstate[index].state, PULSE_STATE_FREE);
	pulse__count_workers(ctx, -1);
}

static void pulse__user_worker_del(struct pulse_ctx *ctx, uint32_t index)
{
	pthread_mutex_lock(&ctx->lock);
	pulse__user_reclaim(ctx, index);
	pthread_mutex_unlock(&ctx->lock);
}

/*
 * For a thread that ended by a bare exit system call, which runs no
 * destructors. A tid that was given out again hides such a death; the slot is
 * then found by a later look.
 */
static bool pulse__user_alive(struct pulse_ctx *ctx,
			      const struct pulse__slot *slot)
{
	int saved = errno;
	bool alive;

	(void)ctx;
	alive = syscall(SYS_tgkill, getpid(), slot->tid, 0) == 0 ||
		errno != ESRCH;
	errno = saved;
	return alive;
}

static int pulse__user_park(struct pulse_ctx *ctx, uint32_t index,
			    uint32_t word, int64_t deadline_ns)
{
	struct pulse_kstate *ks = &ctx->kstate[index];
	int err = pulse__futex_prepare(ctx, index, word, deadline_ns);

	if (err)
		return err;
	WRITE_ONCE(ks->state, PULSE_STATE_PARKED);
	err = pulse__futex_park(ctx, index, word, deadline_ns);
	WRITE_ONCE(ks->state, PULSE_STATE_RUNNING);
	/* The word moved on the way in: no sleep after all. */
	if (err != -EAGAIN)
		WRITE_ONCE(ks->n_park, ks->n_park + 1);
	return err;
}

static void pulse__user_outside(struct pulse_ctx *ctx, uint32_t index,
				bool begins)
{
	struct pulse_kstate *ks = &ctx->kstate[index];

	WRITE_ONCE(ks->state, begins ? PULSE_STATE_PARKED : PULSE_STATE_RUNNING);
	if (!begins)
		WRITE_ONCE(ks->n_park, ks->n_park + 1);
}

static int pulse__user_handoff(struct pulse_ctx *ctx, uint32_t index,
			       uint32_t target, uint32_t word,
			       int64_t deadline_ns)
{
	pulse__futex_unpark(ctx, &target, 1);
	return pulse__user_park(ctx, index, word, deadline_ns);
}

/* Nobody knows whether it would run now; whoever waits for a CPU may. */
static int pulse__user_yield_to(struct pulse_ctx *ctx, uint32_t index)
{
	(void)ctx;
	(void)index;
	sched_yield();
	return 0;
}

static int pulse__user_beat(struct pulse_ctx *ctx, struct pulse__slot *slot,
			    uint64_t period_ns, bool listens)
{
	(void)ctx;
	if (period_ns)
		return pulse__beat_begin(slot, period_ns, listens);
	pulse__beat_end(slot);
	return 0;
}

const struct pulse__backend_ops pulse__user_ops = {
	.name		= "user",
	.kind		= PULSE_BACKEND_USER,
	.open		= pulse__user_open,
	.close		= pulse__user_close,
	.worker_add	= pulse__user_worker_add,
	.worker_del	= pulse__user_worker_del,
	.alive		= pulse__user_alive,
	.reclaim	= pulse__user_reclaim,
	.park		= pulse__user_park,
	.handoff	= pulse__user_handoff,
	.yield_to	= pulse__user_yield_to,
	.wake		= pulse__futex_unpark,
	.outside	= pulse__user_outside,
	.state		= pulse__proc_state,
	.events_open	= pulse__user_events_open,
	.events_close	= pulse__user_events_close,
	.events_signal	= pulse__user_events_signal,
	.event_next	= pulse__user_event_next,
	.watch		= pulse__user_watch,
	.unwatch	= pulse__user_unwatch,
	.beat		= pulse__user_beat,
};

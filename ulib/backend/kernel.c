// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * kernel.c - the backend on /dev/pulse: commands and shared pages.
 *
 * The layout and each command's rules stand in <linux/pulse.h>. HDR and KSTATE
 * are the kernel's word and are believed; UWORK is everybody's.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/kernel.h"

/* Reads of KSTATE that were disturbed; the kernel writes for nanoseconds. */
#define PULSE__SEQ_TRIES 1000

int pulse__ioctl(int fd, unsigned long cmd, void *arg)
{
	int saved = errno, err;

	err = ioctl(fd, cmd, arg) < 0 ? -errno : 0;
	errno = saved;
	return err;
}

int pulse__map(struct pulse_ctx *ctx, uint32_t region, size_t bytes, int prot,
	       void *out)
{
	void *mem;

	if (pulse__alloc_fault())
		return -ENOMEM;
	mem = mmap(NULL, bytes, prot, MAP_SHARED, ctx->fd,
		   (off_t)PULSE_REGION_OFFSET(region));
	if (mem == MAP_FAILED)
		return -errno;
	memcpy(out, &mem, sizeof(mem));
	return 0;
}

static int pulse__map_all(struct pulse_ctx *ctx)
{
	const char *hdr;
	int err;

	err = pulse__map(ctx, PULSE_REGION_HDR, ctx->hdr_bytes, PROT_READ,
			 &ctx->hdr);
	if (!err)
		err = pulse__map(ctx, PULSE_REGION_KSTATE, ctx->kstate_bytes,
				 PROT_READ, &ctx->kstate);
	if (!err)
		err = pulse__map(ctx, PULSE_REGION_UWORK, ctx->uwork_bytes,
				 PROT_READ | PROT_WRITE, &ctx->uwork);
	if (err)
		return err;

	hdr = (const char *)ctx->hdr;
	if (ctx->hdr->magic != PULSE_HDR_MAGIC || !ctx->hdr->nr_nodes ||
	    ctx->hdr->nr_nodes > PULSE__MAX_NODES)
		return -EPROTO;
	ctx->nr_nodes = ctx->hdr->nr_nodes;
	ctx->nodes = pulse__calloc(ctx->nr_nodes, sizeof(*ctx->nodes));
	ctx->nring = pulse__calloc(ctx->nr_nodes, sizeof(*ctx->nring));
	/*
	 * The kernel's idle bits say who sleeps; wakers must also see who is on
	 * the way, so this process keeps bits of its own.
	 */
	ctx->idle_words = (ctx->max_workers + 63) / 64;
	ctx->idle = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*ctx->idle) *
					 ctx->nr_nodes * ctx->idle_words);
	if (!ctx->nodes || !ctx->nring || !ctx->idle)
		return -ENOMEM;
	for (unsigned int i = 0; i < ctx->nr_nodes; i++)
		ctx->nodes[i] = ((const int32_t *)
				 (const void *)(hdr + ctx->hdr->nodes_off))[i];
	err = pulse__ctx_order(ctx, (const uint8_t *)hdr + ctx->hdr->dist_off);
	for (unsigned int i = 0; i < ctx->nr_nodes && !err; i++)
		err = pulse__map(ctx,
				 PULSE_REGION_NRING((uint32_t)ctx->nodes[i]),
				 ctx->nring_bytes, PROT_READ | PROT_WRITE,
				 &ctx->nring[i]);
	return err;
}

/* The descriptor is set up, or joined: all that lies behind it. */
static int pulse__kernel_enter(struct pulse_ctx *ctx)
{
	struct pulse_info info = { .size = sizeof(info) };
	int err = pulse__ioctl(ctx->fd, PULSE_IOC_INFO, &info);

	if (err)
		return err;
	ctx->max_workers = info.max_workers;
	ctx->ring_entries = info.ring_entries;
	ctx->heap_bytes = info.heap_bytes;
	ctx->hdr_bytes = info.hdr_bytes;
	ctx->kstate_bytes = info.kstate_bytes;
	ctx->uwork_bytes = info.uwork_bytes;
	ctx->nring_bytes = info.nring_bytes;
	err = pulse__ctx_slots(ctx);
	return err ? err : pulse__map_all(ctx);
}

static int pulse__kernel_attach(struct pulse_ctx *ctx, int fd)
{
	struct pulse_join join = { .size = sizeof(join) };
	int err;

	if (!(ctx->features & PULSE_FEAT_SHARED))
		return -EOPNOTSUPP;
	ctx->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ctx->fd < 0)
		return -errno;
	ctx->shared = true;
	err = pulse__ioctl(ctx->fd, PULSE_IOC_JOIN, &join);
	if (err == -ENOTTY)
		return -EINVAL;		/* some other file */
	/* EEXIST: this process is in already, by another call of this. */
	return err && err != -EEXIST ? err : pulse__kernel_enter(ctx);
}

static int pulse__kernel_open(struct pulse_ctx *ctx)
{
	struct pulse_setup setup = {
		.size = sizeof(setup),
		.flags = ctx->shared ? PULSE_CTX_SHARED : 0,
		.max_workers = ctx->max_workers,
		.ring_entries = ctx->ring_entries,
		.heap_bytes = ctx->heap_bytes,
		.event_bytes = ctx->event_bytes,
	};
	int err;

	if (ctx->shared && !(ctx->features & PULSE_FEAT_SHARED))
		return -EOPNOTSUPP;
	if (ctx->event_bytes && !(ctx->features & PULSE_FEAT_EVENTS))
		return -EOPNOTSUPP;
	ctx->fd = open(PULSE_DEVICE_PATH, O_RDWR | O_CLOEXEC);
	if (ctx->fd < 0)
		return -errno;
	err = pulse__ioctl(ctx->fd, PULSE_IOC_SETUP, &setup);
	return err ? err : pulse__kernel_enter(ctx);
}

static void pulse__kernel_close(struct pulse_ctx *ctx, bool forked)
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
	pulse__free(ctx->idle);
}

static int pulse__kernel_worker_add(struct pulse_ctx *ctx, int node,
				    uint64_t cookie, uint32_t *index,
				    uint32_t *row)
{
	struct pulse_worker_add add = {
		.size = sizeof(add),
		.node = node,
		.cookie = cookie,
	};
	int err = pulse__ioctl(ctx->fd, PULSE_IOC_WORKER_ADD, &add);
	int home;

	if (err)
		return err;
	if (add.index >= ctx->max_workers)
		return -EPROTO;
	/* -1 was resolved by the kernel, to where it ran then or now. */
	home = pulse__ctx_row(ctx, node >= 0 ? node :
			      (int)READ_ONCE(ctx->kstate[add.index].node));
	*index = add.index;
	*row = home < 0 ? 0 : (uint32_t)home;
	return 0;
}

static void pulse__kernel_worker_del(struct pulse_ctx *ctx, uint32_t index)
{
	struct pulse_worker_del del = {
		.size = sizeof(del),
		.index = index,
	};

	pulse__ioctl(ctx->fd, PULSE_IOC_WORKER_DEL, &del);
}

static bool pulse__kernel_alive(struct pulse_ctx *ctx,
				const struct pulse__slot *slot)
{
	const struct pulse_kstate *ks = &ctx->kstate[slot->index];

	return pulse__kstate_lives(ks) &&
	       READ_ONCE(ks->incarnation) == slot->incarnation;
}

/* The kernel saw the thread die and took the slot back by itself. */
static void pulse__kernel_reclaim(struct pulse_ctx *ctx, uint32_t index)
{
	(void)ctx;
	(void)index;
}

static int pulse__kernel_park(struct pulse_ctx *ctx, uint32_t index,
			      uint32_t word, int64_t deadline_ns)
{
	struct pulse_park park = {
		.size = sizeof(park),
		.index = index,
		.word = word,
		.deadline_ns = deadline_ns,
	};

	if (unlikely(READ_ONCE(ctx->futex_only)))
		return pulse__futex_park(ctx, index, word, deadline_ns);
	return pulse__ioctl(ctx->fd, PULSE_IOC_PARK, &park);
}

static void pulse__kernel_wake(struct pulse_ctx *ctx, const uint32_t *indices,
			       unsigned int nr)
{
	struct pulse_wake wake = {
		.size = sizeof(wake),
		.indices = (uintptr_t)indices,
		.nr = nr,
	};
	int err = 0;

	if (likely(!READ_ONCE(ctx->futex_only)))
		err = pulse__ioctl(ctx->fd, PULSE_IOC_WAKE, &wake);
	/* ESRCH: they died meanwhile. Anything else: the descriptor is gone. */
	if (unlikely((err && err != -ESRCH) || READ_ONCE(ctx->futex_only)))
		pulse__futex_unpark(ctx, indices, nr);
}

static int pulse__kernel_handoff(struct pulse_ctx *ctx, uint32_t index,
				 uint32_t target, uint32_t word,
				 int64_t deadline_ns)
{
	struct pulse_handoff handoff = {
		.size = sizeof(handoff),
		.target = target,
		.index = index,
		.word = word,
		.deadline_ns = deadline_ns,
	};
	int err;

	if (likely(ctx->features & PULSE_FEAT_HANDOFF) &&
	    likely(!READ_ONCE(ctx->futex_only))) {
		err = pulse__ioctl(ctx->fd, PULSE_IOC_HANDOFF, &handoff);
		/* Any other answer comes before anybody was woken. */
		if (!err || err == -EAGAIN || err == -ETIMEDOUT ||
		    err == -EINTR || err == -ECANCELED || err == -ESRCH)
			return err;
	}
	pulse__kernel_wake(ctx, &target, 1);
	return pulse__kernel_park(ctx, index, word, deadline_ns);
}

static int pulse__kernel_yield_to(struct pulse_ctx *ctx, uint32_t index)
{
	struct pulse_yield_to yield = {
		.size = sizeof(yield),
		.index = index,
	};
	int err;

	if (!(ctx->features & PULSE_FEAT_YIELD_TO)) {
		sched_yield();
		return 0;
	}
	err = pulse__ioctl(ctx->fd, PULSE_IOC_YIELD_TO, &yield);
	/* EBADF, ENOTTY, ENXIO...: the descriptor is ours no more. */
	return !err || err == -ESRCH || err == -EINVAL ? err : -EAGAIN;
}

static int pulse__kernel_wake_node(struct pulse_ctx *ctx, uint32_t row,
				   unsigned int nr, bool spill)
{
	struct pulse_wake_node wake = {
		.size = sizeof(wake),
		.flags = spill ? PULSE_WAKE_SPILL : 0,
		.node = ctx->nodes[row],
		.nr = nr < ctx->max_workers ? nr : ctx->max_workers,
	};

	if (unlikely(!(ctx->features & PULSE_FEAT_WAKE_NODE)) ||
	    unlikely(READ_ONCE(ctx->futex_only)) ||
	    pulse__ioctl(ctx->fd, PULSE_IOC_WAKE_NODE, &wake))
		return (int)pulse__wake_set(ctx, NULL, row, nr, spill);
	return (int)wake.woken;
}

/* Fields that belong together; see struct pulse_kstate.seq. */
static void pulse__kstate_read(const struct pulse_kstate *ks,
			       struct pulse_worker_state *out)
{
	for (int i = 0; i < PULSE__SEQ_TRIES; i++) {
		/* Acquire: pairs with the kernel's write barriers, kmod/state.c. */
		uint32_t seq = pulse__load_acquire(&ks->seq);

		if (seq & 1) {
			cpu_relax();
			continue;
		}
		out->state = READ_ONCE(ks->state);
		out->tid = READ_ONCE(ks->tid);
		out->cpu = READ_ONCE(ks->cpu);
		out->node = READ_ONCE(ks->node);
		out->n_preempt = READ_ONCE(ks->n_preempt);
		out->n_block = READ_ONCE(ks->n_block);
		out->n_migrate = READ_ONCE(ks->n_migrate);
		out->n_park = READ_ONCE(ks->n_park);
		out->run_ns = READ_ONCE(ks->run_ns);
		out->wait_ns = READ_ONCE(ks->wait_ns);
		out->beats = READ_ONCE(ks->beats);
		out->missed = READ_ONCE(ks->missed);
		pulse__fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&ks->seq,
				    PULSE__FENCED(__ATOMIC_RELAXED)) == seq)
			return;
	}
	/* Written all the time: each word is still true, one by one. */
}

static int pulse__kernel_state(struct pulse_ctx *ctx,
			       const struct pulse__slot *slot,
			       struct pulse_worker_state *out)
{
	if (!(ctx->features & PULSE_FEAT_KSTATE))
		return READ_ONCE(slot->owner) ?
			pulse__proc_state(ctx, slot, out) : -ESRCH;
	pulse__kstate_read(&ctx->kstate[slot->index], out);
	return out->state == PULSE_STATE_FREE ? -ESRCH : 0;
}

static int pulse__kernel_beat(struct pulse_ctx *ctx, struct pulse__slot *slot,
			      uint64_t period_ns, bool listens)
{
	struct pulse_beat beat = {
		.size = sizeof(beat),
		.flags = listens && (ctx->features & PULSE_FEAT_BEAT_HEARD) ?
			 PULSE_BEAT_HEARD : 0,
		.index = slot->index,
		.period_ns = period_ns,
	};
	int err;

	if (!(ctx->features & PULSE_FEAT_BEAT))
		return -EOPNOTSUPP;
	err = pulse__ioctl(ctx->fd, PULSE_IOC_BEAT, &beat);
	/* EBADF, ENOTTY, ENXIO...: the descriptor is ours no more. */
	return !err || err == -EINVAL || err == -ESRCH || err == -EPERM ||
	       err == -EBUSY ? err : -ECANCELED;
}

static int pulse__kernel_hint(struct pulse_ctx *ctx, uint32_t index, int nice,
			      uint32_t sched_class)
{
	struct pulse_hint hint = {
		.size = sizeof(hint),
		.index = index,
		.mask = PULSE_HINT_CLASS | PULSE_HINT_NICE,
		.sched_class = sched_class,
		.nice = nice,
	};

	if (!(ctx->features & PULSE_FEAT_HINT))
		return -EOPNOTSUPP;
	return pulse__ioctl(ctx->fd, PULSE_IOC_HINT, &hint);
}

const struct pulse__backend_ops pulse__kernel_ops = {
	.name		= "kernel",
	.kind		= PULSE_BACKEND_KERNEL,
	.open		= pulse__kernel_open,
	.attach		= pulse__kernel_attach,
	.close		= pulse__kernel_close,
	.worker_add	= pulse__kernel_worker_add,
	.worker_del	= pulse__kernel_worker_del,
	.alive		= pulse__kernel_alive,
	.reclaim	= pulse__kernel_reclaim,
	.park		= pulse__kernel_park,
	.handoff	= pulse__kernel_handoff,
	.yield_to	= pulse__kernel_yield_to,
	.wake		= pulse__kernel_wake,
	.wake_node	= pulse__kernel_wake_node,
	.state		= pulse__kernel_state,
	.events_open	= pulse__kernel_events_open,
	.events_close	= pulse__kernel_events_close,
	.events_signal	= pulse__kernel_events_signal,
	.event_next	= pulse__kernel_event_next,
	.watch		= pulse__kernel_watch,
	.unwatch	= pulse__kernel_unwatch,
	.beat		= pulse__kernel_beat,
	.hint		= pulse__kernel_hint,
};

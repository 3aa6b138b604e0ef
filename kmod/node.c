// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA nodes of a context: the ring in the memory of each, the map and the
 * distances in HDR, who is at home where and who is idle, and WAKE_NODE.
 *
 * The nodes are those that were online at SETUP, and stay so for the life of
 * the context; a node that comes later is unknown to it.
 */
#include <linux/bitmap.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/topology.h>

#include "ctx.h"
#include "knob.h"
#include "node.h"
#include "park.h"
#include "registry.h"
#include "state.h"
#include "sysfs.h"
#include "trace.h"
#include "worker.h"

/* Rows of the idle bitmap begin on a pair of cache lines of their own. */
#define PULSE_ROW_BYTES		128

/**
 * pulse_nodes_plan() - which nodes the context has
 * @ctx: being set up
 *
 * Return: 0 or -ENOMEM.
 */
int pulse_nodes_plan(struct pulse_ctx *ctx)
{
	nodemask_t online = node_states[N_ONLINE];
	unsigned int m = 0;
	int nid;

	ctx->nr_nodes = nodes_weight(online);
	ctx->nodes = kvcalloc(ctx->nr_nodes, sizeof(*ctx->nodes),
			      GFP_KERNEL_ACCOUNT);
	if (!ctx->nodes)
		return -ENOMEM;
	for_each_node_mask(nid, online)
		ctx->nodes[m++].nid = nid;
	return 0;
}

/* HDR: the struct, node map, distances, idle rows. */
struct pulse_hdr_layout {
	u32 nodes_off;
	u32 dist_off;
	u32 idle_off;
	u32 idle_words;
	u64 bytes;
};

static struct pulse_hdr_layout pulse_hdr_layout(struct pulse_ctx *ctx)
{
	u32 n = ctx->nr_nodes;
	u32 row = ALIGN(BITS_TO_BYTES(ctx->max_workers), PULSE_ROW_BYTES);
	struct pulse_hdr_layout at;

	at.nodes_off = sizeof(struct pulse_hdr);
	at.dist_off = at.nodes_off + n * sizeof(s32);
	at.idle_off = ALIGN(at.dist_off + n * n, PULSE_ROW_BYTES);
	at.idle_words = row / sizeof(u64);
	at.bytes = (u64)at.idle_off + (u64)n * row;
	return at;
}

/**
 * pulse_hdr_bytes() - what HDR will need
 * @ctx: planned
 *
 * Return: bytes.
 */
u64 pulse_hdr_bytes(struct pulse_ctx *ctx)
{
	return pulse_hdr_layout(ctx).bytes;
}

/**
 * pulse_nring_pages() - what each node ring will need
 * @ctx: planned
 *
 * Return: pages of head, entries and payload heap.
 */
unsigned long pulse_nring_pages(struct pulse_ctx *ctx)
{
	u64 ring = sizeof(struct pulse_nring_hdr) +
		   (u64)ctx->ring_entries * sizeof(struct pulse_nring_entry);

	return (PAGE_ALIGN(ring) + ctx->heap_bytes) >> PAGE_SHIFT;
}

/* What the order of a node is sorted by. */
struct pulse_sight {
	const struct pulse_node *nodes;
	const struct pulse_node *from;
};

/* Itself, then the nearest; ties go by number. */
static int pulse_sight_cmp(const void *a, const void *b, const void *priv)
{
	const struct pulse_sight *sight = priv;
	const struct pulse_node *l = &sight->nodes[*(const u16 *)a];
	const struct pulse_node *r = &sight->nodes[*(const u16 *)b];
	int from = sight->from->nid;

	if (l == sight->from || r == sight->from)
		return (r == sight->from) - (l == sight->from);
	return node_distance(from, l->nid) - node_distance(from, r->nid) ?:
	       l->nid - r->nid;
}

static void pulse_node_sort(struct pulse_ctx *ctx, struct pulse_node *node)
{
	struct pulse_sight sight = { .nodes = ctx->nodes, .from = node };
	unsigned int i;

	for (i = 0; i < ctx->nr_nodes; i++)
		node->order[i] = i;
	sort_r(node->order, ctx->nr_nodes, sizeof(*node->order),
	       pulse_sight_cmp, NULL, &sight);
}

/**
 * pulse_nodes_bytes() - the kernel's own memory for the nodes
 * @ctx: planned
 *
 * Return: bytes of members and orders.
 */
u64 pulse_nodes_bytes(struct pulse_ctx *ctx)
{
	return (u64)ctx->nr_nodes * (BITS_TO_BYTES(ctx->max_workers) +
				     ctx->nr_nodes * sizeof(u16));
}

/**
 * pulse_nodes_alloc() - what the nodes need: rings, members, order
 * @ctx: planned and charged
 *
 * Return: 0, -ENOMEM, -EINTR. pulse_nodes_free() takes what there is.
 */
int pulse_nodes_alloc(struct pulse_ctx *ctx)
{
	unsigned int m;
	int ret;

	for (m = 0; m < ctx->nr_nodes; m++) {
		struct pulse_node *node = &ctx->nodes[m];

		node->members = bitmap_zalloc(ctx->max_workers,
					      GFP_KERNEL_ACCOUNT);
		node->order = kcalloc(ctx->nr_nodes, sizeof(*node->order),
				      GFP_KERNEL_ACCOUNT);
		if (!node->members || !node->order)
			return -ENOMEM;
		pulse_node_sort(ctx, node);
		ret = pulse_region_alloc(&node->ring, pulse_nring_pages(ctx),
					 node->nid);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * pulse_nodes_free() - free the nodes, also half made ones
 * @ctx: unused
 */
void pulse_nodes_free(struct pulse_ctx *ctx)
{
	unsigned int m;

	for (m = 0; ctx->nodes && m < ctx->nr_nodes; m++) {
		pulse_region_free(&ctx->nodes[m].ring);
		bitmap_free(ctx->nodes[m].members);
		kfree(ctx->nodes[m].order);
	}
	kvfree(ctx->nodes);
	ctx->nodes = NULL;
	ctx->nr_nodes = 0;
}

/**
 * pulse_hdr_fill() - write HDR for the first time
 * @ctx: allocated
 */
void pulse_hdr_fill(struct pulse_ctx *ctx)
{
	struct pulse_hdr_layout at = pulse_hdr_layout(ctx);
	void *base = ctx->hdr_pages.kaddr;
	s32 *nodes = base + at.nodes_off;
	u8 *dist = base + at.dist_off;
	unsigned long *idle = base + at.idle_off;
	unsigned int i, j;

	*ctx->hdr = (struct pulse_hdr) {
		.magic = PULSE_HDR_MAGIC,
		.abi = PULSE_ABI_VERSION,
		.hdr_bytes = sizeof(struct pulse_hdr),
		.features = pulse_features(),
		.max_workers = ctx->max_workers,
		.nr_nodes = ctx->nr_nodes,
		.ring_entries = ctx->ring_entries,
		.heap_bytes = ctx->heap_bytes,
		.nodes_off = at.nodes_off,
		.dist_off = at.dist_off,
		.idle_off = at.idle_off,
		.idle_words = at.idle_words,
	};
	for (i = 0; i < ctx->nr_nodes; i++) {
		struct pulse_node *node = &ctx->nodes[i];

		nodes[i] = node->nid;
		node->idle = idle + (size_t)i * at.idle_words;
		for (j = 0; j < ctx->nr_nodes; j++)
			*dist++ = min(node_distance(node->nid,
						    ctx->nodes[j].nid), U8_MAX);
		cond_resched();
	}
}

/**
 * pulse_hdr_count() - tell user space of a worker that came or went
 * @ctx: live, lock held
 */
void pulse_hdr_count(struct pulse_ctx *ctx)
{
	lockdep_assert_held(&ctx->lock);
	WRITE_ONCE(ctx->hdr->nr_workers, ctx->nr_workers);
	WRITE_ONCE(ctx->hdr->generation, ctx->hdr->generation + 1);
	pulse_registry_changed();
}

/**
 * pulse_node_find() - a node by its number
 * @ctx: live
 * @nid: any number, as user space says
 *
 * Return: the node or NULL.
 */
struct pulse_node *pulse_node_find(struct pulse_ctx *ctx, int nid)
{
	unsigned int m;

	for (m = 0; m < ctx->nr_nodes; m++)
		if (ctx->nodes[m].nid == nid)
			return &ctx->nodes[m];
	return NULL;
}

/**
 * pulse_node_nearest() - the node of a context that is nearest to one
 * @ctx: live
 * @nid: a node of the machine, maybe one that came after SETUP
 *
 * Return: a node.
 */
struct pulse_node *pulse_node_nearest(struct pulse_ctx *ctx, int nid)
{
	struct pulse_node *best = pulse_node_find(ctx, nid);
	unsigned int m;

	if (best)
		return best;
	best = &ctx->nodes[0];
	for (m = 1; m < ctx->nr_nodes; m++)
		if (node_distance(nid, ctx->nodes[m].nid) <
		    node_distance(nid, best->nid))
			best = &ctx->nodes[m];
	return best;
}

/**
 * pulse_node_join() - a worker becomes one that WAKE_NODE may choose
 * @w: live; its context's lock is held
 */
void pulse_node_join(struct pulse_worker *w)
{
	set_bit(w->index, w->ctx->nodes[w->node].members);
}

/**
 * pulse_node_leave() - and stops to be one
 * @w: dying; its context's lock is held
 */
void pulse_node_leave(struct pulse_worker *w)
{
	clear_bit(w->index, w->ctx->nodes[w->node].members);
	clear_bit(w->index, w->ctx->nodes[w->node].idle);
}

/**
 * pulse_node_move() - the calling worker is at home elsewhere from now on
 * @w: live, and so not in PARK
 * @node: of its context
 *
 * It is a member of both for a moment: too many permits harm nobody.
 */
void pulse_node_move(struct pulse_worker *w, struct pulse_node *node)
{
	struct pulse_ctx *ctx = w->ctx;
	u32 old = w->node;

	spin_lock(&ctx->lock);
	WRITE_ONCE(w->node, node - ctx->nodes);
	pulse_node_join(w);
	if (old != w->node)
		clear_bit(w->index, ctx->nodes[old].members);
	spin_unlock(&ctx->lock);
}

/**
 * pulse_node_idle() - the calling worker is about to sleep in PARK
 * @w: the worker
 */
void pulse_node_idle(struct pulse_worker *w)
{
	set_bit(w->index, w->ctx->nodes[w->node].idle);
}

/**
 * pulse_node_busy() - and has left it
 * @w: the worker
 */
void pulse_node_busy(struct pulse_worker *w)
{
	clear_bit(w->index, w->ctx->nodes[w->node].idle);
}

/* Does a worker sleep, or is it about to and could miss what was published? */
static bool pulse_may_sleep(struct pulse_node *node, struct pulse_worker *w)
{
	u32 word;

	if (test_bit(w->index, node->idle))
		return true;
	word = READ_ONCE(w->uwork->park);	/* untrusted, read once */
	return PULSE_PARK_STATE(word) == PULSE_PARK_PARKING;
}

/*
 * Give a permit to a worker that was just found live; false if it had one, or
 * left meanwhile. (H): the permit comes before the look at the slot. Pairs with
 * worker.c:pulse_worker_release(): either it finds the permit, or this finds
 * that the worker left; another incarnation is another worker. spin: leave
 */
static bool pulse_give_live(struct pulse_worker *w)
{
	u32 incarnation = READ_ONCE(w->kstate->incarnation);

	return pulse_give(w, PULSE_PERMIT) && pulse_worker_is_live(w) &&
	       READ_ONCE(w->kstate->incarnation) == incarnation;
}

/* Give up to @nr permits to workers of a node; how many were given. */
static u32 pulse_wake_members(struct pulse_ctx *ctx, struct pulse_node *node,
			      u32 nr)
{
	u32 woken = 0;
	unsigned int i;

	for_each_set_bit(i, node->members, ctx->max_workers) {
		struct pulse_worker *w = &ctx->workers[i];

		if (woken == nr)
			break;
		/* Has a permit: it is awake already, or as good as. */
		if (atomic_read(&w->wake_bits) & PULSE_PERMIT)
			continue;
		if (pulse_worker_is_live(w) && pulse_may_sleep(node, w) &&
		    pulse_give_live(w)) {
			pulse_count(wakes);
			woken++;
		}
		cond_resched();
	}
	return woken;
}

/* The same, also of the nodes after it, nearest first. One look at each worker. */
static u32 pulse_wake_from(struct pulse_ctx *ctx, struct pulse_node *home,
			   u32 nr, bool spill)
{
	u32 woken = 0;
	unsigned int k;

	/*
	 * (E): what the caller published comes before the looks at permits and
	 * park words; the system call is no barrier. Pairs with (B), the
	 * parker's xchg in user space, litmus: wake_node
	 */
	smp_mb();
	for (k = 0; k < ctx->nr_nodes && woken < nr; k++) {
		if (k && !spill)
			break;
		woken += pulse_wake_members(ctx, &ctx->nodes[home->order[k]],
					    nr - woken);
	}
	return woken;
}

/**
 * pulse_wake_node() - WAKE_NODE: wake up to nr workers of a node
 * @ctx: the context, live
 * @arg: of WAKE_NODE; gets the number of woken
 *
 * Bounded by one look at each worker of the context.
 *
 * Return: 0 or -EINVAL.
 */
int pulse_wake_node(struct pulse_ctx *ctx, struct pulse_wake_node *arg)
{
	struct pulse_node *home = pulse_node_find(ctx, arg->node);

	if (!home || arg->nr < 1 || arg->nr > PULSE_MAX_WORKERS)
		return -EINVAL;
	arg->woken = pulse_wake_from(ctx, home, arg->nr,
				     arg->flags & PULSE_WAKE_SPILL ||
				     pulse_knob_get(ctx, PULSE_KNOB_WAKE_SPILL));
	trace_wake(ctx, arg->node, arg->nr, arg->woken);
	return 0;
}

/**
 * pulse_node_pass_on() - wake another worker in place of one that left
 * @ctx: the context, live
 * @node: where it was at home, an index into the context's nodes
 *
 * A WAKE_NODE may have chosen the worker, and what it was to do is still to be
 * done. To be called when nobody can choose the worker any more. spin: leave
 */
void pulse_node_pass_on(struct pulse_ctx *ctx, u32 node)
{
	pulse_wake_from(ctx, &ctx->nodes[node], 1, true);
}

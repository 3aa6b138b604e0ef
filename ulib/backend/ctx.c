// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ctx.c - making and ending a context, and what it tells of itself.
 */
#include <unistd.h>

#include "backend/backend.h"

#define PULSE__CTX_OPTS_VER0	PULSE__END(struct pulse_ctx_opts, flags)

int pulse__ctx_order(struct pulse_ctx *ctx, const uint8_t *dist)
{
	const unsigned int nr = ctx->nr_nodes;

	ctx->order = pulse__calloc((size_t)nr * nr, sizeof(*ctx->order));
	if (!ctx->order)
		return -ENOMEM;
	for (unsigned int row = 0; row < nr; row++) {
		uint16_t *o = ctx->order + (size_t)row * nr;
		const uint8_t *d = dist + (size_t)row * nr;
		unsigned int n = 0;

		/* Itself first, whatever the table says; then by distance. */
		o[n++] = (uint16_t)row;
		for (unsigned int i = 0; i < nr; i++) {
			unsigned int k = n;

			if (i == row)
				continue;
			for (; k > 1 && d[o[k - 1]] > d[i]; k--)
				o[k] = o[k - 1];
			o[k] = (uint16_t)i;
			n++;
		}
	}
	return 0;
}

int pulse__ctx_row(const struct pulse_ctx *ctx, int node)
{
	/* Nearly always a node's number is its row. */
	if (node >= 0 && (unsigned int)node < ctx->nr_nodes &&
	    ctx->nodes[node] == node)
		return node;
	for (unsigned int i = 0; i < ctx->nr_nodes; i++) {
		if (ctx->nodes[i] == node)
			return (int)i;
	}
	return -1;
}

static void pulse__ctx_free(struct pulse_ctx *ctx, bool forked)
{
	pulse__events_close(ctx, forked);
	pulse__bells_close(ctx);
	ctx->ops->close(ctx, forked);
	pthread_mutex_destroy(&ctx->lock);
	pulse__free(ctx->slots);
	pulse__free(ctx->nring);
	pulse__free(ctx->nodes);
	pulse__free(ctx->order);
	ctx->magic = PULSE__MAGIC_DEAD;
	pulse__free(ctx);
}

static int pulse__ctx_sizes(struct pulse_ctx *ctx,
			    const struct pulse_ctx_opts *user)
{
	struct pulse_ctx_opts opts;
	int err = pulse__opts_load(&opts, sizeof(opts), PULSE__CTX_OPTS_VER0,
				   user);

	if (err)
		return err;
	ctx->max_workers = opts.max_workers ? opts.max_workers :
					      PULSE__CTX_WORKERS;
	ctx->ring_entries = opts.ring_entries ? opts.ring_entries :
						PULSE__CTX_ENTRIES;
	ctx->heap_bytes = opts.heap_bytes;
	ctx->event_bytes = opts.event_bytes;
	ctx->shared = opts.flags & PULSE_CTX_OPT_SHARED;
	if (ctx->event_bytes &&
	    (ctx->event_bytes < 4096 || !pulse__is_pow2(ctx->event_bytes) ||
	     ctx->event_bytes > PULSE_MAX_EVENT_BYTES))
		return -EINVAL;
	if (opts.flags & ~PULSE_CTX_OPT_SHARED || opts.reserved1 ||
	    ctx->max_workers > PULSE_MAX_WORKERS ||
	    ctx->ring_entries < 2 ||
	    ctx->ring_entries > PULSE_MAX_RING_ENTRIES ||
	    !pulse__is_pow2(ctx->ring_entries) ||
	    ctx->heap_bytes > PULSE_MAX_HEAP_BYTES)
		return -EINVAL;
	return 0;
}

int pulse__ctx_slots(struct pulse_ctx *ctx)
{
	ctx->slots = pulse__aligned_alloc(PULSE_CACHE_PAIR, ctx->max_workers *
					  sizeof(*ctx->slots));
	if (!ctx->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < ctx->max_workers; i++) {
		ctx->slots[i].ctx = ctx;
		ctx->slots[i].index = i;
	}
	return 0;
}

/* Nothing in it yet but the backend. */
static int pulse__ctx_new(struct pulse_ctx **out)
{
	const struct pulse__backend_ops *ops;
	struct pulse_ctx *ctx;
	uint64_t features;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__backend_ops(&ops, &features);
	if (err)
		return err;
	ctx = pulse__calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->magic = PULSE__CTX_MAGIC;
	ctx->fork_gen = pulse__fork_generation();
	ctx->ops = ops;
	ctx->features = features;
	ctx->fd = -1;
	pthread_mutex_init(&ctx->lock, NULL);
	*out = ctx;
	return 0;
}

int pulse_ctx_create(const struct pulse_ctx_opts *opts, struct pulse_ctx **out)
{
	struct pulse_ctx *ctx;
	int err = pulse__ctx_new(out);

	if (err)
		return err;
	ctx = *out;
	err = pulse__ctx_sizes(ctx, opts);
	if (!err && ctx->shared && !ctx->ops->attach)
		err = -EOPNOTSUPP;
	if (!err)
		err = ctx->ops->open(ctx);
	if (!err)
		err = pulse__events_open(ctx);
	if (err) {
		*out = NULL;
		pulse__ctx_free(ctx, false);
	}
	return err;
}

int pulse_ctx_attach(int fd, struct pulse_ctx **out)
{
	struct pulse_ctx *ctx;
	int err = pulse__ctx_new(out);

	if (err)
		return err;
	ctx = *out;
	err = fd < 0 ? -EBADF : -EOPNOTSUPP;
	if (fd >= 0 && ctx->ops->attach)
		err = ctx->ops->attach(ctx, fd);
	if (err) {
		*out = NULL;
		pulse__ctx_free(ctx, false);
	}
	return err;
}

int pulse_ctx_destroy(struct pulse_ctx *ctx)
{
	int err = pulse__ctx_check(ctx);

	if (err == -EOWNERDEAD) {
		pulse__ctx_free(ctx, true);
		return err;
	}
	if (err)
		return err;
	if (pulse__reap(ctx))
		return -EBUSY;
	pulse__ctx_free(ctx, false);
	return 0;
}

int pulse_ctx_fd(const struct pulse_ctx *ctx)
{
	int err = pulse__ctx_check(ctx);

	return err ? err : ctx->fd;
}

int pulse_ctx_nring(struct pulse_ctx *ctx, int node, void **mem, size_t *bytes)
{
	int row, err = pulse__ctx_check(ctx);

	if (err)
		return err;
	row = pulse__ctx_row(ctx, node);
	if (!mem || row < 0)
		return -EINVAL;
	*mem = ctx->nring[row];
	if (bytes)
		*bytes = ctx->nring_bytes;
	return 0;
}

int pulse_ctx_nodes(struct pulse_ctx *ctx, int *nodes, int max)
{
	int err = pulse__ctx_check(ctx);

	if (err)
		return err;
	if (max < 0 || (max && !nodes))
		return -EINVAL;
	for (int i = 0; i < max && (unsigned int)i < ctx->nr_nodes; i++)
		nodes[i] = ctx->nodes[i];
	return (int)ctx->nr_nodes;
}

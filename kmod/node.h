/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NODE_H
#define PULSE_NODE_H

#include "mmap.h"
#include "pulse.h"

/**
 * struct pulse_node - a NUMA node of a context
 * @nid: the kernel's number
 * @ring: region NRING of it; the kernel never looks inside
 * @members: bit i: worker i is live and at home here
 * @idle: its row in HDR: bit i: worker i sleeps in PARK
 * @order: indices of all nodes, nearest first, so beginning with itself
 *
 * @members is changed under pulse_ctx.lock, @idle by the worker itself, both
 * atomically, and both are read without a lock.
 */
struct pulse_node {
	int nid;
	struct pulse_region ring;
	unsigned long *members;
	unsigned long *idle;
	u16 *order;
};

int pulse_nodes_plan(struct pulse_ctx *ctx);
u64 pulse_hdr_bytes(struct pulse_ctx *ctx);
u64 pulse_nodes_bytes(struct pulse_ctx *ctx);
unsigned long pulse_nring_pages(struct pulse_ctx *ctx);
int pulse_nodes_alloc(struct pulse_ctx *ctx);
void pulse_nodes_free(struct pulse_ctx *ctx);
void pulse_hdr_fill(struct pulse_ctx *ctx);
void pulse_hdr_count(struct pulse_ctx *ctx);

struct pulse_node *pulse_node_find(struct pulse_ctx *ctx, int nid);
struct pulse_node *pulse_node_nearest(struct pulse_ctx *ctx, int nid);

void pulse_node_move(struct pulse_worker *w, struct pulse_node *node);
void pulse_node_join(struct pulse_worker *w);
void pulse_node_leave(struct pulse_worker *w);
void pulse_node_idle(struct pulse_worker *w);
void pulse_node_busy(struct pulse_worker *w);
int pulse_wake_node(struct pulse_ctx *ctx, struct pulse_wake_node *arg);
void pulse_node_pass_on(struct pulse_ctx *ctx, u32 node);

#endif /* PULSE_NODE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_CTX_H
#define PULSE_CTX_H

#include <linux/atomic.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "ctx_sysfs.h"
#include "event.h"
#include "knob.h"
#include "mmap.h"
#include "pulse.h"
#include "share.h"
#include "watch.h"

struct kobject;
struct mm_struct;
struct pid;
struct pid_namespace;

enum pulse_ctx_state {
	PULSE_CTX_NEW,
	PULSE_CTX_SETTING_UP,
	PULSE_CTX_LIVE,
};

/**
 * struct pulse_ctx - one open file of /dev/pulse
 * @state: enum pulse_ctx_state; release store of LIVE, acquire loads
 * @id: names the context in traces, sysfs and netlink; given by SETUP
 * @user: the account of whoever opened it
 * @poll_wait: who polls the file
 * @mm: of whoever set it up; compared, never used
 * @share: who else may use it
 * @pid_ns: of whoever set it up; thread ids in KSTATE are of it
 * @owner: the process that set it up; told, never used
 * @knobs: from PULSE_KNOB_FIRST_OF_CTX on; single words, set by anybody who may
 * @folder: in sysfs
 * @charged_pages: on the user's account
 * @locked_pages: of these, on the RLIMIT_MEMLOCK of each mm that may use it
 * @max_workers: slots
 * @ring_entries: entries a node ring
 * @heap_bytes: payload heap a node ring
 * @nr_nodes: length of @nodes
 * @nodes: the nodes that were online at SETUP, ascending
 * @workers: @max_workers slots
 * @hdr: the kernel's mapping of HDR
 * @hdr_pages: region HDR
 * @kstate_pages: region KSTATE
 * @uwork_pages: region UWORK, untrusted
 * @events: the event ring
 * @watches: what it watches
 * @lock: protects @slots, the state of slots up to LIVE, members of nodes, and
 *	@hdr's counts
 * @slots: bit i: slot i is not FREE; changed atomically, for who looks without
 *	the lock
 * @nr_workers: slots LIVE or DYING
 * @sweep_batch: the reaper's own
 *
 * Up to @poll_wait made by open; down to @uwork_pages made by SETUP and
 * constant when @state is LIVE; @events and @watches say for themselves.
 */
struct pulse_ctx {
	int state;
	u32 id;
	struct pulse_user *user;
	wait_queue_head_t poll_wait;

	struct mm_struct *mm;
	struct pulse_share share;
	struct pid_namespace *pid_ns;
	struct pid *owner;
	u32 knobs[PULSE_NR_CTX_KNOBS];
	struct pulse_ctx_folder folder;
	unsigned long charged_pages;
	unsigned long locked_pages;
	u32 max_workers;
	u32 ring_entries;
	u32 heap_bytes;
	unsigned int nr_nodes;
	struct pulse_node *nodes;
	struct pulse_worker *workers;
	struct pulse_hdr *hdr;
	struct pulse_region hdr_pages;
	struct pulse_region kstate_pages;
	struct pulse_region uwork_pages;
	struct pulse_events events;
	struct pulse_watches watches;

	spinlock_t lock;	/* protects what follows */
	unsigned long *slots;
	u32 nr_workers;
	u64 sweep_batch;
};

/**
 * pulse_ctx_is_live() - was the context set up
 * @ctx: the context
 *
 * (G): the acquire pairs with the release in ctx.c:pulse_cmd_setup; what SETUP
 * wrote is visible to who sees true.
 */
static inline bool pulse_ctx_is_live(struct pulse_ctx *ctx)
{
	/* (G) */
	return smp_load_acquire(&ctx->state) == PULSE_CTX_LIVE;
}

/**
 * pulse_ctx_knob() - the value of a knob that contexts have
 * @ctx: whose
 * @id: which
 */
static inline u32 pulse_ctx_knob(const struct pulse_ctx *ctx, enum pulse_knob_id id)
{
	return READ_ONCE(ctx->knobs[id - PULSE_KNOB_FIRST_OF_CTX]);
}

int pulse_ctx_check(struct pulse_ctx *ctx);

struct kobject *pulse_ctx_parent(void);
int pulse_ctx_init(void);
void pulse_ctx_exit(void);

#endif /* PULSE_CTX_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pulse, the kernel module: the map.
 *
 * Objects, and what keeps each of them alive
 *
 *	pulse_user	one a uid that has a context open; counts what it uses.
 *			Lives while it counts a context. (quota.c)
 *	  ^
 *	pulse_ctx	one open file of /dev/pulse. Lives as long as the file:
 *	  |		descriptors, mappings and workers all hold it. (ctx.c)
 *	  +- pulse_region	pages shared with user space: HDR, KSTATE,
 *	  |			UWORK, one ring a node. Freed with the context,
 *	  |			so no mapping is left when they go. (mmap.c)
 *	  +- pulse_ctx_folder	in sysfs. (ctx_sysfs.c)
 *	  +- pulse_share	the processes that may use it. (share.c)
 *	  +- pulse_events	what the kernel tells, in order. (event.c)
 *	  +- pulse_watched[]	workers and processes that are looked after.
 *	  |			(watch.c, hang.c)
 *	  +- pulse_node[]	a NUMA node as it was online at SETUP. (node.c)
 *	  +- pulse_worker[]	the slots; part of the context. A slot that is
 *				taken holds the file and the task. (worker.c)
 *
 * A context goes NEW -> SETTING_UP -> LIVE (or back to NEW where SETUP failed)
 * and stays LIVE. All that SETUP makes is written before the release store of
 * LIVE and constant after it.
 *
 * A slot goes FREE -> RESERVED -> LIVE -> DYING -> FREE. The step to DYING is
 * made by the worker's own thread (WORKER_DEL, exec, or its last switch), so
 * that it happens once; the step to FREE by the same thread or, when it died,
 * by the reaper.
 *
 * Locks, outer to inner; no lock is held across a sleep or a user access
 *
 *	pulse_ctx.lock		slots, members of nodes, counts in HDR.
 *				Process context only.
 *	pulse_watches.lock	(watch.c) the list of watches. A leaf.
 *	pulse_events.lock	(event.c) the event ring. Process context, a leaf.
 *	pulse_users_lock	(quota.c) users and what they use. A leaf.
 *	registry mutex		(registry.c) contexts by number; keeps what is found
 *				there from being released.
 *	pulse_news_lock		(nl_event.c) numbers of netlink events. A leaf.
 *	pulse_listeners_lock	(nl_listen.c) owners who listen. A leaf.
 *	pulse_pending.lock	(uring_park.c) the PARK that io_uring holds. A leaf,
 *				interrupts off: its timer takes it too.
 *	pulse_event_waits.lock	(uring_event.c) who waits for events. Likewise.
 *	uring_lock		io_uring's, held when it calls for a command; outside
 *				of the two before, never taken by us under them.
 *	mmap_lock of the mm	taken by account_locked_vm() with nothing held.
 *
 * A switch of a worker is told by its preempt notifier (notifier.c) or by a
 * probe of sched_switch (probe.c), as the module parameter state_source says,
 * under the run queue's lock, and takes no lock. It writes KSTATE (state.c),
 * which has one writer: the CPU that the worker is on, or whoever owns the slot
 * while no thread does. Heartbeats (beat.c) are written by that CPU too, from
 * its timer's interrupt or with interrupts off; they are single words, outside
 * KSTATE.seq.
 *
 * Barriers, by letter; the proof is at the head of park.c
 *
 *	(A) user: the waker's, between its work and its look at the park word
 *	(B) user: the parker's xchg of the word, before its look at the queues
 *	(C) park.c:pulse_park_sleep	state and sleeper | permit and word
 *	(D) park.c:pulse_give		permit | sleeper, pending command
 *	(E) node.c:pulse_wake_from	the caller's work | permits and words
 *	(F) state.c			KSTATE.seq | the fields it covers
 *	(G) ctx.c:pulse_cmd_setup	what SETUP made | state LIVE
 *	(H) node.c:pulse_give_live	permit | slot state; and worker.c:
 *	    pulse_worker_release	slot state | permit
 *	(I) event.c:pulse_event_write	record | position
 *	(J) event.c			the reader's position | room for a record
 *	(K) uring_park.c:pulse_pending_begin	pending command | permit and word
 *	(L) uring_park.c:pulse_pending_take	what the command changed | that it
 *	    is pending no more
 *
 *	(A)-(B) litmus park_wake, (C)-(D) and (K)-(D) park_permit, (B)-(E)
 *	wake_node, (I) event_record, (J) event_room; (F) pairs with the reader's
 *	acquires, (G) with
 *	pulse_ctx_is_live(), (L) with pulse_uring_parked().
 */
#ifndef PULSE_H
#define PULSE_H

#include <linux/types.h>
#include <linux/pulse.h>

#include "compat.h"

/* Of any build on this kernel; pulse_features() adds what load time decided. */
#define PULSE_FEATURES							\
	(PULSE_FEAT_KSTATE | PULSE_FEAT_PREEMPTED | PULSE_FEAT_NRING |	\
	 PULSE_FEAT_WAKE_NODE | PULSE_FEAT_DEATH | PULSE_FEAT_BEAT |	\
	 PULSE_FEAT_EVENTS | PULSE_FEAT_SHARED | PULSE_FEAT_WATCH |	\
	 PULSE_FEAT_HANDOFF | PULSE_FEAT_YIELD_TO |			\
	 PULSE_FEAT_HINT | PULSE_FEAT_BEAT_HEARD |			\
	 (PULSE_HAVE_URING ? PULSE_FEAT_URING : 0) |			\
	 (PULSE_HAVE_SLICE ? PULSE_FEAT_HINT_SLICE : 0) |		\
	 (IS_ENABLED(CONFIG_UCLAMP_TASK) ? PULSE_FEAT_HINT_UCLAMP : 0) | \
	 (PULSE_HAVE_HANDOFF_CPU ? PULSE_FEAT_HANDOFF_CPU : 0))

struct file;
struct pulse_ctx;
struct pulse_node;
struct pulse_region;
struct pulse_source;
struct pulse_tracked;
struct pulse_user;
struct pulse_worker;

#endif /* PULSE_H */

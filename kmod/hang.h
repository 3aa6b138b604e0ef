/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_HANG_H
#define PULSE_HANG_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/uidgid.h>

#include "pulse.h"

struct pid;
struct task_struct;

/**
 * struct pulse_watched - a worker or a process that is watched
 * @link: in pulse_watches.list
 * @refs: the list's and that of who looks
 * @ctx: whose watch it is
 * @id: names it in that context
 * @round: in which it was looked at last; under pulse_watches.lock
 * @flags: PULSE_WATCH_KILL_*
 * @cookie: the user's
 * @stuck_ns: running without progress for so long is a hang; 0: never
 * @starved_ns: likewise runnable without a CPU
 * @blocked_ns: likewise asleep, not in PARK
 * @rss_bytes: more than that is told; 0: never
 * @worker: the slot, or NULL: a process
 * @incarnation: of the slot
 * @tgid: the process
 * @task: its leader, referenced
 * @pid: of it in the context's namespace
 * @uid: of the watcher
 * @any_user: the watcher may watch anybody's processes
 * @progress: of UWORK at the last look
 * @n_park: of KSTATE at the last look
 * @base_run_ns: its run time when one of these moved last
 * @woken_ns: when it was first seen awake and not running, 0: it is not
 * @stuck_told: since then
 * @told_out_ns: the last_out_ns that a starved or blocked verdict was about
 * @rss_told: and still over the limit
 *
 * Constant up to @any_user but for @round and @task; the rest and @task are the
 * round's own.
 */
struct pulse_watched {
	struct list_head link;
	refcount_t refs;
	struct pulse_ctx *ctx;
	u32 id;
	u32 round;
	u32 flags;
	u64 cookie;
	u64 stuck_ns;
	u64 starved_ns;
	u64 blocked_ns;
	u64 rss_bytes;

	struct pulse_worker *worker;
	u32 incarnation;

	struct pid *tgid;
	struct task_struct *task;
	s32 pid;
	kuid_t uid;
	bool any_user;

	bool stuck_told;
	bool rss_told;
	u64 progress;
	u64 n_park;
	u64 base_run_ns;
	u64 woken_ns;
	u64 told_out_ns;
};

bool pulse_kstate_copy(const struct pulse_worker *w, struct pulse_kstate *copy);
bool pulse_look_worker(struct pulse_watched *p);
void pulse_look_rss(struct pulse_watched *p, struct task_struct *task);

#endif /* PULSE_HANG_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of the system "pulse". Contexts and workers go by number; no
 * pointer is told. sched_in and sched_out are emitted inside the scheduler.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pulse

#if !defined(PULSE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PULSE_TRACE_H

#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "ctx.h"
#include "node.h"
#include "worker.h"

#define pulse_show_state(state)						\
	__print_symbolic(state,						\
		{ PULSE_STATE_FREE,		"free" },		\
		{ PULSE_STATE_RUNNING,		"running" },		\
		{ PULSE_STATE_PREEMPTED,	"preempted" },		\
		{ PULSE_STATE_BLOCKED,		"blocked" },		\
		{ PULSE_STATE_PARKED,		"parked" },		\
		{ PULSE_STATE_DEAD,		"dead" })

DECLARE_EVENT_CLASS(pulse_worker_class,
	TP_PROTO(const struct pulse_worker *w),
	TP_ARGS(w),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(s32, tid)
		__field(s32, node)
		__field(u64, cookie)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->tid = w->kstate->tid;
		__entry->node = w->ctx->nodes[w->node].nid;
		__entry->cookie = w->cookie;
	),
	TP_printk("ctx=%u worker=%u tid=%d node=%d cookie=%#llx",
		  __entry->ctx, __entry->index, __entry->tid, __entry->node,
		  __entry->cookie)
);

DEFINE_EVENT(pulse_worker_class, worker_add,
	TP_PROTO(const struct pulse_worker *w), TP_ARGS(w));

DEFINE_EVENT(pulse_worker_class, worker_del,
	TP_PROTO(const struct pulse_worker *w), TP_ARGS(w));

TRACE_EVENT(death,
	TP_PROTO(const struct pulse_worker *w),
	TP_ARGS(w),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(s32, tid)
		__field(s32, exit_code)
		__field(u64, cookie)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->tid = w->kstate->tid;
		__entry->exit_code = w->kstate->exit_code;
		__entry->cookie = w->cookie;
	),
	TP_printk("ctx=%u worker=%u tid=%d exit_code=%#x cookie=%#llx",
		  __entry->ctx, __entry->index, __entry->tid,
		  __entry->exit_code, __entry->cookie)
);

TRACE_EVENT(sched_in,
	TP_PROTO(const struct pulse_worker *w, int cpu),
	TP_ARGS(w, cpu),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(s32, cpu)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->cpu = cpu;
	),
	TP_printk("ctx=%u worker=%u cpu=%d",
		  __entry->ctx, __entry->index, __entry->cpu)
);

TRACE_EVENT(sched_out,
	TP_PROTO(const struct pulse_worker *w, u32 state),
	TP_ARGS(w, state),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(u32, state)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->state = state;
	),
	TP_printk("ctx=%u worker=%u state=%s",
		  __entry->ctx, __entry->index,
		  pulse_show_state(__entry->state))
);

/* One heartbeat, and how many went without one before it. */
TRACE_EVENT(beat,
	TP_PROTO(const struct pulse_worker *w, u64 missed),
	TP_ARGS(w, missed),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(u64, missed)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->missed = missed;
	),
	TP_printk("ctx=%u worker=%u missed=%llu",
		  __entry->ctx, __entry->index, __entry->missed)
);

/* The end of a PARK. */
TRACE_EVENT(park,
	TP_PROTO(const struct pulse_worker *w, int ret, bool slept),
	TP_ARGS(w, ret, slept),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(s32, ret)
		__field(bool, slept)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->ret = ret;
		__entry->slept = slept;
	),
	TP_printk("ctx=%u worker=%u ret=%d slept=%d",
		  __entry->ctx, __entry->index, __entry->ret, __entry->slept)
);

/* A HANDOFF before it parks; the park comes with an event of its own. */
TRACE_EVENT(handoff,
	TP_PROTO(const struct pulse_worker *w, u32 target),
	TP_ARGS(w, target),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(u32, target)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->target = target;
	),
	TP_printk("ctx=%u worker=%u target=%u",
		  __entry->ctx, __entry->index, __entry->target)
);

/* A WAKE (node=-1) or a WAKE_NODE. */
TRACE_EVENT(wake,
	TP_PROTO(const struct pulse_ctx *ctx, int node, u32 nr, u32 woken),
	TP_ARGS(ctx, node, nr, woken),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(s32, node)
		__field(u32, nr)
		__field(u32, woken)
	),
	TP_fast_assign(
		__entry->ctx = ctx->id;
		__entry->node = node;
		__entry->nr = nr;
		__entry->woken = woken;
	),
	TP_printk("ctx=%u node=%d nr=%u woken=%u",
		  __entry->ctx, __entry->node, __entry->nr, __entry->woken)
);

/* A verdict of the watch. */
TRACE_EVENT(hang,
	TP_PROTO(const struct pulse_worker *w, u32 verdict, u64 for_ns),
	TP_ARGS(w, verdict, for_ns),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, index)
		__field(u32, verdict)
		__field(u64, for_ns)
	),
	TP_fast_assign(
		__entry->ctx = w->ctx->id;
		__entry->index = w->index;
		__entry->verdict = verdict;
		__entry->for_ns = for_ns;
	),
	TP_printk("ctx=%u worker=%u verdict=%s for_ns=%llu",
		  __entry->ctx, __entry->index,
		  __print_symbolic(__entry->verdict,
				   { PULSE_HANG_STUCK,		"stuck" },
				   { PULSE_HANG_STARVED,	"starved" },
				   { PULSE_HANG_BLOCKED,	"blocked" }),
		  __entry->for_ns)
);

/* An event that found no room in its ring. */
TRACE_EVENT(event_drop,
	TP_PROTO(const struct pulse_ctx *ctx, u32 type),
	TP_ARGS(ctx, type),
	TP_STRUCT__entry(
		__field(u32, ctx)
		__field(u32, type)
	),
	TP_fast_assign(
		__entry->ctx = ctx->id;
		__entry->type = type;
	),
	TP_printk("ctx=%u type=%u", __entry->ctx, __entry->type)
);

#endif /* PULSE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

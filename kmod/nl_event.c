// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events for who listens to the netlink group "events", and for owners who listen
 * to what happens to their own contexts (nl_listen.c). Who has a context's
 * descriptor has its event ring (event.c) and needs none of this.
 *
 * Called in process context, by commands, the reaper and the watch, with no
 * lock held, and waits for nobody: memory is taken if it is there, and a reader
 * whose socket is full loses the event and is told so by ENOBUFS. While nobody
 * listens an event costs one load.
 *
 * pulse_news_lock, a leaf, is held while an event is numbered and handed out, so
 * that numbers arrive in order and a gap is a loss.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>

#include <linux/pulse_netlink.h>

#include "ctx.h"
#include "hang.h"
#include "knob.h"
#include "netlink.h"
#include "nl_event.h"
#include "nl_listen.h"
#include "worker.h"

/* More than the longest event. */
#define PULSE_NEWS_BYTES	512

static DEFINE_SPINLOCK(pulse_news_lock);
static u64 pulse_news_seq;
static u64 pulse_news_dropped;

/**
 * struct pulse_news - an event that is being written
 * @ctx: what it is about, or NULL: the module
 * @skb: the message, or NULL: nobody listens, or it is lost
 * @hdr: its head
 * @seq: where its number goes
 * @bad: something did not fit
 */
struct pulse_news {
	struct pulse_ctx *ctx;
	struct sk_buff *skb;
	void *hdr;
	struct nlattr *seq;
	bool bad;
};

static void pulse_news_lost(struct pulse_ctx *ctx)
{
	pulse_listeners_lost(ctx);
	spin_lock(&pulse_news_lock);
	pulse_news_seq++;
	WRITE_ONCE(pulse_news_dropped, pulse_news_dropped + 1);
	spin_unlock(&pulse_news_lock);
}

static void pulse_news_u32(struct pulse_news *news, int type, u32 value)
{
	news->bad |= nla_put_u32(news->skb, type, value) < 0;
}

static void pulse_news_u64(struct pulse_news *news, int type, u64 value)
{
	news->bad |= nla_put_u64_64bit(news->skb, type, value,
				       PULSE_NL_EVENT_PAD) < 0;
}

/* False: there is nothing to write. */
static bool pulse_news_begin(struct pulse_news *news, struct pulse_ctx *ctx,
			     u8 cmd, u64 time_ns)
{
	if (!genl_has_listeners(&pulse_nl_family, &init_net, PULSE_NL_EVENTS) &&
	    !pulse_listeners_any(ctx))
		return false;
	news->ctx = ctx;
	news->bad = false;
	news->skb = genlmsg_new(PULSE_NEWS_BYTES, GFP_NOWAIT | __GFP_NOWARN);
	if (!news->skb) {
		pulse_news_lost(ctx);
		return false;
	}
	news->hdr = genlmsg_put(news->skb, 0, 0, &pulse_nl_family, 0, cmd);
	news->seq = nla_reserve_64bit(news->skb, PULSE_NL_EVENT_SEQ,
				      sizeof(u64), PULSE_NL_EVENT_PAD);
	news->bad = !news->hdr || !news->seq;
	pulse_news_u64(news, PULSE_NL_EVENT_TIME_NS, time_ns);
	if (ctx)
		pulse_news_u32(news, PULSE_NL_EVENT_CTX_ID, ctx->id);
	return true;
}

static void pulse_news_send(struct pulse_news *news)
{
	u64 seq;

	if (WARN_ON_ONCE(news->bad)) {
		nlmsg_free(news->skb);
		pulse_news_lost(news->ctx);
		return;
	}
	genlmsg_end(news->skb, news->hdr);
	pulse_listeners_tell(news->ctx, news->skb, nla_data(news->seq));
	spin_lock(&pulse_news_lock);
	seq = ++pulse_news_seq;
	memcpy(nla_data(news->seq), &seq, sizeof(seq));
	genlmsg_multicast(&pulse_nl_family, news->skb, 0, PULSE_NL_EVENTS,
			  GFP_NOWAIT | __GFP_NOWARN);
	spin_unlock(&pulse_news_lock);
}

/**
 * pulse_nl_drops() - events that nobody got for want of memory, or an owner for
 * want of room in his socket
 *
 * Return: since the module was loaded.
 */
u64 pulse_nl_drops(void)
{
	return READ_ONCE(pulse_news_dropped) + pulse_listeners_drops();
}

/**
 * pulse_nl_ctx_event() - a context came or goes
 * @ctx: it
 * @cmd: PULSE_NL_CMD_CTX_NEW or CTX_DEL
 */
void pulse_nl_ctx_event(struct pulse_ctx *ctx, u8 cmd)
{
	struct pulse_news news;

	if (!pulse_news_begin(&news, ctx, cmd, ktime_get_ns()))
		return;
	pulse_news_u32(&news, PULSE_NL_EVENT_UID,
		       from_kuid_munged(&init_user_ns, ctx->share.uid));
	pulse_news_u32(&news, PULSE_NL_EVENT_PID, pid_nr(ctx->owner));
	pulse_news_send(&news);
}

static bool pulse_news_of_worker(struct pulse_news *news,
				 struct pulse_worker *w,
				 struct task_struct *task, u8 cmd, u64 time_ns,
				 u64 cookie)
{
	if (!pulse_news_begin(news, w->ctx, cmd, time_ns))
		return false;
	pulse_news_u32(news, PULSE_NL_EVENT_INDEX, w->index);
	pulse_news_u32(news, PULSE_NL_EVENT_INCARNATION,
		       READ_ONCE(w->kstate->incarnation));
	pulse_news_u32(news, PULSE_NL_EVENT_TID, task_pid_nr(task));
	pulse_news_u32(news, PULSE_NL_EVENT_PID, task_tgid_nr(task));
	pulse_news_u64(news, PULSE_NL_EVENT_COOKIE, cookie);
	return true;
}

/**
 * pulse_nl_worker_event() - the calling thread became a worker, or is none now
 * @w: its slot, still its own
 * @cmd: PULSE_NL_CMD_WORKER_NEW or WORKER_DEL
 */
void pulse_nl_worker_event(struct pulse_worker *w, u8 cmd)
{
	struct pulse_news news;

	if (pulse_news_of_worker(&news, w, current, cmd, ktime_get_ns(),
				 w->cookie))
		pulse_news_send(&news);
}

/**
 * pulse_nl_death() - a worker's thread ended
 * @w: dead, its slot not yet free
 * @death: as the event ring has it
 */
void pulse_nl_death(struct pulse_worker *w,
		    const struct pulse_event_worker_death *death)
{
	struct pulse_news news;

	if (!pulse_news_of_worker(&news, w, w->task,
				  PULSE_NL_CMD_WORKER_DEATH, death->time_ns,
				  death->cookie))
		return;
	pulse_news_u32(&news, PULSE_NL_EVENT_EXIT_CODE, death->exit_code);
	pulse_news_u32(&news, PULSE_NL_EVENT_SIGNAL, death->signal);
	pulse_news_u32(&news, PULSE_NL_EVENT_STATE, death->last_state);
	pulse_news_u64(&news, PULSE_NL_EVENT_JOB, death->job);
	pulse_news_send(&news);
}

/**
 * pulse_nl_hang() - a watched worker does not get on
 * @p: the watch
 * @task: its thread, referenced
 * @hang: as the event ring has it
 */
void pulse_nl_hang(struct pulse_watched *p, struct task_struct *task,
		   const struct pulse_event_hang *hang)
{
	struct pulse_news news;

	if (!pulse_news_of_worker(&news, p->worker, task, PULSE_NL_CMD_HANG,
				  hang->time_ns, hang->cookie))
		return;
	pulse_news_u32(&news, PULSE_NL_EVENT_WATCH, hang->watch);
	pulse_news_u32(&news, PULSE_NL_EVENT_VERDICT, hang->verdict);
	pulse_news_u32(&news, PULSE_NL_EVENT_STATE, hang->state);
	pulse_news_u64(&news, PULSE_NL_EVENT_FOR_NS, hang->for_ns);
	pulse_news_u64(&news, PULSE_NL_EVENT_JOB, hang->job);
	pulse_news_send(&news);
}

/**
 * pulse_nl_rss() - a watched process has more memory than it should
 * @p: the watch
 * @task: a thread of it, referenced
 * @rss: as the event ring has it
 */
void pulse_nl_rss(struct pulse_watched *p, struct task_struct *task,
		  const struct pulse_event_rss *rss)
{
	struct pulse_news news;

	if (!pulse_news_begin(&news, p->ctx, PULSE_NL_CMD_RSS, rss->time_ns))
		return;
	pulse_news_u32(&news, PULSE_NL_EVENT_PID, task_tgid_nr(task));
	pulse_news_u32(&news, PULSE_NL_EVENT_WATCH, rss->watch);
	pulse_news_u64(&news, PULSE_NL_EVENT_COOKIE, rss->cookie);
	pulse_news_u64(&news, PULSE_NL_EVENT_RSS_BYTES, rss->rss_bytes);
	pulse_news_u64(&news, PULSE_NL_EVENT_LIMIT_BYTES, rss->limit_bytes);
	pulse_news_send(&news);
}

/**
 * pulse_nl_process_death() - a watched process ended
 * @p: the watch
 * @death: as the event ring has it
 */
void pulse_nl_process_death(struct pulse_watched *p,
			    const struct pulse_event_process_death *death)
{
	struct pulse_news news;

	if (!pulse_news_begin(&news, p->ctx, PULSE_NL_CMD_PROCESS_DEATH,
			      death->time_ns))
		return;
	pulse_news_u32(&news, PULSE_NL_EVENT_PID, pid_nr(p->tgid));
	pulse_news_u32(&news, PULSE_NL_EVENT_WATCH, death->watch);
	pulse_news_u64(&news, PULSE_NL_EVENT_COOKIE, death->cookie);
	pulse_news_u32(&news, PULSE_NL_EVENT_EXIT_CODE, death->exit_code);
	pulse_news_u32(&news, PULSE_NL_EVENT_SIGNAL, death->signal);
	pulse_news_send(&news);
}

/**
 * pulse_nl_knob_changed() - a knob was set
 * @ctx: whose, or NULL: the module's
 * @name: of the knob
 * @value: the new one
 */
void pulse_nl_knob_changed(struct pulse_ctx *ctx, const char *name, u32 value)
{
	struct pulse_news news;

	if (!pulse_news_begin(&news, ctx, PULSE_NL_CMD_KNOB_CHANGED,
			      ktime_get_ns()))
		return;
	news.bad |= nla_put_string(news.skb, PULSE_NL_EVENT_KNOB_NAME, name) < 0;
	pulse_news_u32(&news, PULSE_NL_EVENT_KNOB_VALUE, value);
	pulse_news_send(&news);
}

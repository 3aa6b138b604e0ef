// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the netlink family: who asks and what he may see, and how contexts,
 * workers and knobs are written. Used by requests (netlink.c) and dumps
 * (nl_dump.c), process context.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/user_namespace.h>
#include <net/sock.h>

#include <linux/pulse_netlink.h>

#include "compat.h"
#include "ctx.h"
#include "hang.h"
#include "knob.h"
#include "netlink.h"
#include "nl_msg.h"
#include "node.h"
#include "registry.h"
#include "worker.h"

/**
 * pulse_asker_of() - for whom a request is answered
 * @skb: the request
 *
 * The sender, as far as it also opened the socket: a setuid program can be brought
 * to write to somebody else's.
 *
 * Return: its namespaces are those of the calling process, not referenced.
 */
struct pulse_asker pulse_asker_of(struct sk_buff *skb)
{
	const struct file *file = NETLINK_CB(skb).sk->sk_socket->file;
	struct pulse_asker asker = {
		.uid = NETLINK_CREDS(skb)->uid,
		.all = netlink_capable(skb, CAP_SYS_ADMIN) ||
		       netlink_capable(skb, CAP_SYS_PTRACE),
		.user_ns = current_user_ns(),
		.pid_ns = task_active_pid_ns(current),
	};

	if (!file || !uid_eq(file->f_cred->uid, asker.uid))
		asker.uid = INVALID_UID;
	return asker;
}

/**
 * pulse_asker_sees() - is a context told of
 * @asker: to whom
 * @ctx: the context
 */
bool pulse_asker_sees(const struct pulse_asker *asker,
		      const struct pulse_ctx *ctx)
{
	return asker->all || uid_eq(asker->uid, ctx->share.uid);
}

/**
 * pulse_nl_once() - refuse an attribute that is given twice
 * @nlh: the request, checked by the core, which takes the last of two
 * @extack: gets what is wrong
 *
 * Return: 0 or -EINVAL.
 */
int pulse_nl_once(const struct nlmsghdr *nlh, struct netlink_ext_ack *extack)
{
	const struct nlattr *nla;
	u64 seen = 0;
	int rem;

	nlmsg_for_each_attr(nla, nlh, GENL_HDRLEN, rem) {
		u64 bit = BIT_ULL(nla_type(nla) & 63);

		if (seen & bit) {
			NL_SET_ERR_MSG_ATTR(extack, nla,
					    "attribute is given twice");
			return -EINVAL;
		}
		seen |= bit;
	}
	return 0;
}

/**
 * pulse_nl_find() - the context that an attribute names
 * @asker: who wants to see it
 * @nla: u32
 * @extack: gets what is wrong
 *
 * Return: the context, or NULL: none that is told of. The registry is locked.
 */
struct pulse_ctx *pulse_nl_find(const struct pulse_asker *asker,
				const struct nlattr *nla,
				struct netlink_ext_ack *extack)
{
	struct pulse_ctx *ctx = pulse_registry_find(nla_get_u32(nla));

	if (ctx && pulse_asker_sees(asker, ctx))
		return ctx;
	pulse_nl_err_attr(extack, nla, "no such context of yours",
			  "no context %u of yours", nla_get_u32(nla));
	return NULL;
}

static void *pulse_nl_begin(struct pulse_nl_msg *msg, u8 cmd)
{
	void *hdr = genlmsg_put(msg->skb, msg->portid, msg->seq,
				&pulse_nl_family, msg->cb ? NLM_F_MULTI : 0, cmd);

	if (hdr && msg->cb)
		genl_dump_check_consistent(msg->cb, hdr);
	return hdr;
}

static int pulse_nl_put_u64(struct sk_buff *skb, int type, u64 value, int pad)
{
	return nla_put_u64_64bit(skb, type, value, pad);
}

#define pulse_nl_ctx_u64(skb, type, value) \
	pulse_nl_put_u64(skb, PULSE_NL_CTX_##type, value, PULSE_NL_CTX_PAD)
#define pulse_nl_worker_u64(skb, type, value) \
	pulse_nl_put_u64(skb, PULSE_NL_WORKER_##type, value, \
			 PULSE_NL_WORKER_PAD)

/**
 * pulse_nl_put_ctx() - tell of a context
 * @msg: where
 * @asker: to whom
 * @ctx: it; the registry is locked
 *
 * Return: 0, or -EMSGSIZE with nothing written.
 */
int pulse_nl_put_ctx(struct pulse_nl_msg *msg, const struct pulse_asker *asker,
		     struct pulse_ctx *ctx)
{
	void *hdr = pulse_nl_begin(msg, PULSE_NL_CMD_CTX_GET);
	struct sk_buff *skb = msg->skb;

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, PULSE_NL_CTX_ID, ctx->id) ||
	    nla_put_u32(skb, PULSE_NL_CTX_UID,
			from_kuid_munged(asker->user_ns, ctx->share.uid)) ||
	    nla_put_u32(skb, PULSE_NL_CTX_PID,
			pid_nr_ns(ctx->owner, asker->pid_ns)) ||
	    nla_put_u32(skb, PULSE_NL_CTX_FLAGS,
			ctx->share.shared ? PULSE_CTX_SHARED : 0) ||
	    nla_put_u32(skb, PULSE_NL_CTX_MAX_WORKERS, ctx->max_workers) ||
	    nla_put_u32(skb, PULSE_NL_CTX_WORKERS,
			READ_ONCE(ctx->nr_workers)) ||
	    nla_put_u32(skb, PULSE_NL_CTX_NODES, ctx->nr_nodes) ||
	    nla_put_u32(skb, PULSE_NL_CTX_RING_ENTRIES, ctx->ring_entries) ||
	    nla_put_u32(skb, PULSE_NL_CTX_HEAP_BYTES, ctx->heap_bytes) ||
	    nla_put_u32(skb, PULSE_NL_CTX_EVENT_BYTES, ctx->events.bytes) ||
	    pulse_nl_ctx_u64(skb, PAGES, ctx->charged_pages) ||
	    nla_put_u32(skb, PULSE_NL_CTX_WATCHES,
			READ_ONCE(ctx->watches.nr)) ||
	    pulse_nl_ctx_u64(skb, DROPPED, READ_ONCE(ctx->events.dropped)) ||
	    nla_put_u32(skb, PULSE_NL_CTX_SPIN_US,
			pulse_knob_get(ctx, PULSE_KNOB_SPIN_US)) ||
	    nla_put_u32(skb, PULSE_NL_CTX_WAKE_SPILL,
			pulse_knob_get(ctx, PULSE_KNOB_WAKE_SPILL))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * pulse_nl_put_worker() - tell of a worker
 * @msg: where
 * @asker: to whom
 * @ctx: its context; the registry is locked
 * @index: any number
 *
 * Return: 0, or with nothing written -EMSGSIZE, or -ESRCH: there is none, or it
 * went meanwhile.
 */
int pulse_nl_put_worker(struct pulse_nl_msg *msg,
			const struct pulse_asker *asker, struct pulse_ctx *ctx,
			u32 index)
{
	struct task_struct *task = pulse_worker_task(ctx, index);
	struct sk_buff *skb = msg->skb;
	struct pulse_kstate ks;
	char comm[TASK_COMM_LEN];
	struct pulse_worker *w;
	u32 tid, pid;
	bool gone;
	void *hdr;

	if (!task)
		return -ESRCH;
	w = &ctx->workers[array_index_nospec(index, ctx->max_workers)];
	pulse_kstate_copy(w, &ks);
	get_task_comm(comm, task);
	gone = ks.tid != task_pid_nr_ns(task, ctx->pid_ns);
	tid = task_pid_nr_ns(task, asker->pid_ns);
	pid = task_tgid_nr_ns(task, asker->pid_ns);
	put_task_struct(task);
	if (gone)
		return -ESRCH;

	hdr = pulse_nl_begin(msg, PULSE_NL_CMD_WORKER_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, PULSE_NL_WORKER_CTX_ID, ctx->id) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_INDEX, index) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_TID, tid) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_PID, pid) ||
	    nla_put_string(skb, PULSE_NL_WORKER_COMM, comm) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_STATE, ks.state) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_CPU, ks.cpu) ||
	    nla_put_s32(skb, PULSE_NL_WORKER_HOME,
			ctx->nodes[READ_ONCE(w->node)].nid) ||
	    nla_put_u32(skb, PULSE_NL_WORKER_INCARNATION, ks.incarnation) ||
	    pulse_nl_worker_u64(skb, COOKIE, READ_ONCE(w->cookie)) ||
	    pulse_nl_worker_u64(skb, BEATS, ks.beats) ||
	    pulse_nl_worker_u64(skb, MISSED, ks.missed) ||
	    pulse_nl_worker_u64(skb, N_PREEMPT, ks.n_preempt) ||
	    pulse_nl_worker_u64(skb, N_BLOCK, ks.n_block) ||
	    pulse_nl_worker_u64(skb, N_MIGRATE, ks.n_migrate) ||
	    pulse_nl_worker_u64(skb, N_PARK, ks.n_park) ||
	    pulse_nl_worker_u64(skb, RUN_NS, ks.run_ns) ||
	    pulse_nl_worker_u64(skb, WAIT_NS, ks.wait_ns)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * pulse_nl_put_knob() - tell of a knob
 * @msg: where
 * @ctx: whose; the registry is locked; or NULL: the module's
 * @id: enum pulse_knob_id
 *
 * Return: 0, or -EMSGSIZE with nothing written.
 */
int pulse_nl_put_knob(struct pulse_nl_msg *msg, struct pulse_ctx *ctx, int id)
{
	void *hdr = pulse_nl_begin(msg, PULSE_NL_CMD_KNOB_GET);
	const struct pulse_knob *knob = &pulse_knobs[id];
	struct sk_buff *skb = msg->skb;

	if (!hdr)
		return -EMSGSIZE;
	if ((ctx && nla_put_u32(skb, PULSE_NL_KNOB_CTX_ID, ctx->id)) ||
	    nla_put_string(skb, PULSE_NL_KNOB_NAME, knob->name) ||
	    nla_put_u32(skb, PULSE_NL_KNOB_VALUE, pulse_knob_get(ctx, id)) ||
	    nla_put_u32(skb, PULSE_NL_KNOB_MIN, knob->min) ||
	    nla_put_u32(skb, PULSE_NL_KNOB_MAX_VALUE, knob->max)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

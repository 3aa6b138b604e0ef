// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "pulse": contexts, workers and knobs for tools. The
 * ABI stands in <linux/pulse_netlink.h>, events are sent by nl_event.c.
 *
 * The policies are strict, and the core applies them; what is left to check here
 * is who asks, and what a policy cannot say. Requests run in parallel. A context
 * that is looked at is kept by the registry's mutex, which is taken anew for
 * each message of a dump, and now and then on the way past contexts that are not
 * the asker's.
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
#include "node.h"
#include "registry.h"
#include "worker.h"

/* Contexts that are passed by before the registry is let go for a moment. */
#define PULSE_NL_STRETCH	256

/**
 * struct pulse_asker - for whom a request is answered
 * @uid: whose contexts it sees, or INVALID_UID: nobody's
 * @all: it sees everybody's
 * @user_ns: uids are told in it
 * @pid_ns: pids are told in it
 */
struct pulse_asker {
	kuid_t uid;
	bool all;
	struct user_namespace *user_ns;
	struct pid_namespace *pid_ns;
};

/**
 * struct pulse_nl_dump - where a dump is; lies in netlink_callback.ctx
 * @asker: holds its namespaces
 * @id: the next context
 * @next: the next of its workers, or the next knob
 * @only: no other context, 0: all
 */
struct pulse_nl_dump {
	struct pulse_asker asker;
	unsigned long id;
	u32 next;
	u32 only;
};

/* One message to write. */
struct pulse_nl_msg {
	struct sk_buff *skb;
	struct netlink_callback *cb;	/* of a dump, or NULL */
	u32 portid;
	u32 seq;
};

static const struct nla_policy pulse_nl_ctx_policy[] = {
	[PULSE_NL_CTX_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy pulse_nl_worker_policy[] = {
	[PULSE_NL_WORKER_CTX_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[PULSE_NL_WORKER_INDEX] = NLA_POLICY_MAX(NLA_U32, PULSE_MAX_WORKERS - 1),
};

static const struct nla_policy pulse_nl_knob_get_policy[] = {
	[PULSE_NL_KNOB_CTX_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[PULSE_NL_KNOB_NAME] = { .type = NLA_NUL_STRING,
				 .len = PULSE_NL_KNOB_NAME_BYTES - 1 },
};

static const struct nla_policy pulse_nl_knob_set_policy[] = {
	[PULSE_NL_KNOB_CTX_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[PULSE_NL_KNOB_NAME] = { .type = NLA_NUL_STRING,
				 .len = PULSE_NL_KNOB_NAME_BYTES - 1 },
	[PULSE_NL_KNOB_VALUE] = { .type = NLA_U32 },
};

/*
 * The sender of a request, as far as it also opened the socket: a setuid program
 * can be brought to write to somebody else's.
 */
static struct pulse_asker pulse_asker_of(struct sk_buff *skb)
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

static bool pulse_asker_sees(const struct pulse_asker *asker,
			     const struct pulse_ctx *ctx)
{
	return asker->all || uid_eq(asker->uid, ctx->share.uid);
}

/* The core takes the last of two attributes of a kind; here it is an error. */
static int pulse_nl_once(const struct nlmsghdr *nlh,
			 struct netlink_ext_ack *extack)
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

/* The context of an attribute; the registry is locked. */
static struct pulse_ctx *pulse_nl_find(const struct pulse_asker *asker,
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

/* A context that the asker sees; 0 or -EMSGSIZE with nothing written. */
static int pulse_nl_put_ctx(struct pulse_nl_msg *msg,
			    const struct pulse_asker *asker,
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

/* The same of a worker; -ESRCH: there is none, or it went meanwhile. */
static int pulse_nl_put_worker(struct pulse_nl_msg *msg,
			       const struct pulse_asker *asker,
			       struct pulse_ctx *ctx, u32 index)
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

/* The same of a knob, of a context or (NULL) the module. */
static int pulse_nl_put_knob(struct pulse_nl_msg *msg, struct pulse_ctx *ctx,
			     int id)
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

/* ---------------------------------------------------------------- answers */

static int pulse_nl_answer_begin(struct pulse_nl_msg *msg,
				 struct genl_info *info)
{
	*msg = (struct pulse_nl_msg) {
		.skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL),
		.portid = info->snd_portid,
		.seq = info->snd_seq,
	};
	return msg->skb ? 0 : -ENOMEM;
}

static int pulse_nl_answer_end(struct pulse_nl_msg *msg, int ret,
			       struct genl_info *info)
{
	if (!ret)
		return genlmsg_reply(msg->skb, info);
	nlmsg_free(msg->skb);
	return ret;
}

static int pulse_nl_ctx_get(struct sk_buff *skb, struct genl_info *info)
{
	struct pulse_asker asker = pulse_asker_of(skb);
	struct nlattr *id = info->attrs[PULSE_NL_CTX_ID];
	struct pulse_nl_msg msg;
	struct pulse_ctx *ctx;
	int ret;

	ret = pulse_nl_once(info->nlhdr, info->extack);
	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, PULSE_NL_CTX_ID)) {
		GENL_SET_ERR_MSG(info, "CTX_ID is missing");
		return -EINVAL;
	}
	ret = pulse_nl_answer_begin(&msg, info);
	if (ret)
		return ret;
	pulse_registry_lock();
	ctx = pulse_nl_find(&asker, id, info->extack);
	ret = ctx ? pulse_nl_put_ctx(&msg, &asker, ctx) : -ENOENT;
	pulse_registry_unlock();
	return pulse_nl_answer_end(&msg, ret, info);
}

static int pulse_nl_worker_get(struct sk_buff *skb, struct genl_info *info)
{
	struct pulse_asker asker = pulse_asker_of(skb);
	struct nlattr *id = info->attrs[PULSE_NL_WORKER_CTX_ID];
	struct nlattr *index = info->attrs[PULSE_NL_WORKER_INDEX];
	struct pulse_nl_msg msg;
	struct pulse_ctx *ctx;
	int ret;

	ret = pulse_nl_once(info->nlhdr, info->extack);
	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, PULSE_NL_WORKER_CTX_ID) ||
	    GENL_REQ_ATTR_CHECK(info, PULSE_NL_WORKER_INDEX)) {
		GENL_SET_ERR_MSG(info, "CTX_ID or INDEX is missing");
		return -EINVAL;
	}
	ret = pulse_nl_answer_begin(&msg, info);
	if (ret)
		return ret;
	pulse_registry_lock();
	ctx = pulse_nl_find(&asker, id, info->extack);
	ret = ctx ? pulse_nl_put_worker(&msg, &asker, ctx, nla_get_u32(index)) :
		    -ENOENT;
	pulse_registry_unlock();
	if (ret == -ESRCH)
		pulse_nl_err_attr(info->extack, index, "no such worker",
				  "no worker %u", nla_get_u32(index));
	return pulse_nl_answer_end(&msg, ret, info);
}

/* Which knob a request is about, or -ENOENT, -EINVAL. */
static int pulse_nl_which_knob(struct genl_info *info)
{
	struct nlattr *name = info->attrs[PULSE_NL_KNOB_NAME];
	int ret;

	ret = pulse_nl_once(info->nlhdr, info->extack);
	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, PULSE_NL_KNOB_NAME)) {
		GENL_SET_ERR_MSG(info, "NAME is missing");
		return -EINVAL;
	}
	ret = pulse_knob_find(nla_data(name), info->attrs[PULSE_NL_KNOB_CTX_ID]);
	if (ret < 0)
		pulse_nl_err_attr(info->extack, name, "no such knob",
				  "no knob %.31s", (char *)nla_data(name));
	return ret;
}

/* Whose knob a request is about, NULL: the module's. The registry is locked. */
static int pulse_nl_whose_knob(struct sk_buff *skb, struct genl_info *info,
			       struct pulse_ctx **ctx)
{
	struct nlattr *id = info->attrs[PULSE_NL_KNOB_CTX_ID];
	struct pulse_asker asker = pulse_asker_of(skb);

	*ctx = NULL;
	if (id)
		*ctx = pulse_nl_find(&asker, id, info->extack);
	return id && !*ctx ? -ENOENT : 0;
}

static int pulse_nl_knob_get(struct sk_buff *skb, struct genl_info *info)
{
	int which = pulse_nl_which_knob(info);
	struct pulse_nl_msg msg;
	struct pulse_ctx *ctx;
	int ret;

	if (which < 0)
		return which;
	ret = pulse_nl_answer_begin(&msg, info);
	if (ret)
		return ret;
	pulse_registry_lock();
	ret = pulse_nl_whose_knob(skb, info, &ctx) ?:
	      pulse_nl_put_knob(&msg, ctx, which);
	pulse_registry_unlock();
	return pulse_nl_answer_end(&msg, ret, info);
}

static int pulse_nl_knob_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *value = info->attrs[PULSE_NL_KNOB_VALUE];
	struct pulse_ctx *ctx;
	int which, ret;

	/* CAP_NET_ADMIN was checked by the core. */
	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		GENL_SET_ERR_MSG(info, "setting knobs needs CAP_SYS_ADMIN");
		return -EPERM;
	}
	which = pulse_nl_which_knob(info);
	if (which < 0)
		return which;
	if (GENL_REQ_ATTR_CHECK(info, PULSE_NL_KNOB_VALUE)) {
		GENL_SET_ERR_MSG(info, "VALUE is missing");
		return -EINVAL;
	}
	pulse_registry_lock();
	ret = pulse_nl_whose_knob(skb, info, &ctx);
	if (!ret)
		ret = pulse_knob_set(ctx, which, nla_get_u32(value));
	pulse_registry_unlock();
	if (ret == -ERANGE)
		pulse_nl_err_attr(info->extack, value, pulse_knobs[which].refusal,
				  "%s, not %u", pulse_knobs[which].refusal,
				  nla_get_u32(value));
	return ret;
}

/* ------------------------------------------------------------------ dumps */

static int pulse_nl_dump_start(struct netlink_callback *cb, int only)
{
	struct nlattr *id = pulse_genl_dump_attrs(cb)[only];
	struct pulse_nl_dump *dump = (void *)cb->ctx;
	int ret;

	BUILD_BUG_ON(sizeof(*dump) > sizeof(cb->ctx));
	ret = pulse_nl_once(cb->nlh, cb->extack);
	if (ret)
		return ret;
	dump->asker = pulse_asker_of(cb->skb);
	if (id) {
		pulse_registry_lock();
		if (!pulse_nl_find(&dump->asker, id, cb->extack))
			ret = -ENOENT;
		pulse_registry_unlock();
		if (ret)
			return ret;
		dump->only = nla_get_u32(id);
		dump->id = dump->only;
	}
	get_user_ns(dump->asker.user_ns);
	get_pid_ns(dump->asker.pid_ns);
	return 0;
}

static int pulse_nl_dump_done(struct netlink_callback *cb)
{
	struct pulse_nl_dump *dump = (void *)cb->ctx;

	put_user_ns(dump->asker.user_ns);
	put_pid_ns(dump->asker.pid_ns);
	return 0;
}

/* An attribute that a dump does not go by. */
static int pulse_nl_refuse(struct netlink_callback *cb, int type)
{
	struct nlattr *nla = pulse_genl_dump_attrs(cb)[type];

	if (!nla)
		return 0;
	NL_SET_ERR_MSG_ATTR(cb->extack, nla, "a dump does not go by this");
	return -EINVAL;
}

static int pulse_nl_ctx_start(struct netlink_callback *cb)
{
	return pulse_nl_refuse(cb, PULSE_NL_CTX_ID) ?:
	       pulse_nl_dump_start(cb, PULSE_NL_CTX_ID);
}

static int pulse_nl_worker_start(struct netlink_callback *cb)
{
	return pulse_nl_refuse(cb, PULSE_NL_WORKER_INDEX) ?:
	       pulse_nl_dump_start(cb, PULSE_NL_WORKER_CTX_ID);
}

static int pulse_nl_knob_start(struct netlink_callback *cb)
{
	struct pulse_nl_dump *dump = (void *)cb->ctx;
	int ret;

	ret = pulse_nl_refuse(cb, PULSE_NL_KNOB_NAME) ?:
	      pulse_nl_dump_start(cb, PULSE_NL_KNOB_CTX_ID);
	if (!ret && dump->only)
		dump->next = PULSE_KNOB_FIRST_OF_CTX;
	return ret;
}

/* Writes what there is of a context from dump->next on; 0 when that is all. */
typedef int (*pulse_nl_each_fn)(struct pulse_nl_msg *msg,
				struct pulse_nl_dump *dump,
				struct pulse_ctx *ctx);

static int pulse_nl_each_ctx(struct pulse_nl_msg *msg,
			     struct pulse_nl_dump *dump, struct pulse_ctx *ctx)
{
	return pulse_nl_put_ctx(msg, &dump->asker, ctx);
}

static int pulse_nl_each_worker(struct pulse_nl_msg *msg,
				struct pulse_nl_dump *dump,
				struct pulse_ctx *ctx)
{
	unsigned long i = dump->next;
	int ret;

	for_each_set_bit_from(i, ctx->slots, ctx->max_workers) {
		ret = pulse_nl_put_worker(msg, &dump->asker, ctx, i);
		if (ret && ret != -ESRCH)
			return ret;
		dump->next = i + 1;
		cond_resched();
	}
	return 0;
}

/* The context that the dump is at; another one begins with its first worker. */
static struct pulse_ctx *pulse_nl_dump_next(struct pulse_nl_dump *dump)
{
	unsigned long id = dump->id;
	struct pulse_ctx *ctx = pulse_registry_next(&id);

	if (!ctx || (dump->only && id != dump->only))
		return NULL;
	if (id != dump->id)
		dump->next = 0;
	dump->id = id;
	return ctx;
}

/*
 * Fills one message. The generation is looked at in its beginning, whenever the
 * registry was let go, and after the last context: a change in between shows in
 * what is written next, which at the end is the message that says so.
 */
static int pulse_nl_dump(struct sk_buff *skb, struct netlink_callback *cb,
			 pulse_nl_each_fn each)
{
	struct pulse_nl_dump *dump = (void *)cb->ctx;
	struct pulse_nl_msg msg = {
		.skb = skb,
		.cb = cb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
	};
	struct pulse_ctx *ctx;
	unsigned int n = 0;
	int ret = 0;

	pulse_registry_lock();
	cb->seq = pulse_registry_generation();
	while ((ctx = pulse_nl_dump_next(dump))) {
		if (pulse_asker_sees(&dump->asker, ctx))
			ret = each(&msg, dump, ctx);
		if (ret)
			break;
		dump->id++;
		dump->next = 0;
		if (++n % PULSE_NL_STRETCH)
			continue;
		pulse_registry_unlock();
		cond_resched();
		pulse_registry_lock();
		cb->seq = pulse_registry_generation();
	}
	cb->seq = pulse_registry_generation();
	pulse_registry_unlock();
	return ret && !skb->len ? ret : skb->len;
}

static int pulse_nl_ctx_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return pulse_nl_dump(skb, cb, pulse_nl_each_ctx);
}

static int pulse_nl_worker_dump(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	return pulse_nl_dump(skb, cb, pulse_nl_each_worker);
}

static int pulse_nl_knob_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct pulse_nl_dump *dump = (void *)cb->ctx;
	struct pulse_nl_msg msg = {
		.skb = skb,
		.cb = cb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
	};
	struct pulse_ctx *ctx = NULL;
	int ret = 0;

	pulse_registry_lock();
	if (dump->only)
		ctx = pulse_registry_find(dump->only);
	/* A context that went meanwhile has no knobs any more. */
	while ((!dump->only || ctx) && dump->next < PULSE_NR_KNOBS) {
		ret = pulse_nl_put_knob(&msg, ctx, dump->next);
		if (ret)
			break;
		dump->next++;
	}
	pulse_registry_unlock();
	return ret && !skb->len ? ret : skb->len;
}

static const struct genl_ops pulse_nl_ops[] = {
	{
		.cmd		= PULSE_NL_CMD_CTX_GET,
		.policy		= pulse_nl_ctx_policy,
		.maxattr	= ARRAY_SIZE(pulse_nl_ctx_policy) - 1,
		.doit		= pulse_nl_ctx_get,
		.start		= pulse_nl_ctx_start,
		.dumpit		= pulse_nl_ctx_dump,
		.done		= pulse_nl_dump_done,
	},
	{
		.cmd		= PULSE_NL_CMD_WORKER_GET,
		.policy		= pulse_nl_worker_policy,
		.maxattr	= ARRAY_SIZE(pulse_nl_worker_policy) - 1,
		.doit		= pulse_nl_worker_get,
		.start		= pulse_nl_worker_start,
		.dumpit		= pulse_nl_worker_dump,
		.done		= pulse_nl_dump_done,
	},
	{
		.cmd		= PULSE_NL_CMD_KNOB_GET,
		.policy		= pulse_nl_knob_get_policy,
		.maxattr	= ARRAY_SIZE(pulse_nl_knob_get_policy) - 1,
		.doit		= pulse_nl_knob_get,
		.start		= pulse_nl_knob_start,
		.dumpit		= pulse_nl_knob_dump,
		.done		= pulse_nl_dump_done,
	},
	{
		.cmd		= PULSE_NL_CMD_KNOB_SET,
		.flags		= GENL_ADMIN_PERM,
		.policy		= pulse_nl_knob_set_policy,
		.maxattr	= ARRAY_SIZE(pulse_nl_knob_set_policy) - 1,
		.doit		= pulse_nl_knob_set,
	},
};

/* Events tell of everybody's contexts. */
static const struct genl_multicast_group pulse_nl_groups[] = {
	[PULSE_NL_EVENTS] = {
		.name	= PULSE_NL_GROUP_EVENTS,
		.flags	= GENL_MCAST_CAP_NET_ADMIN,
	},
};

/*
 * Not in other network namespaces. No module alias: any user could have the
 * module loaded by asking for the family.
 */
struct genl_family pulse_nl_family __ro_after_init = {
	.name		= PULSE_NL_FAMILY,
	.version	= PULSE_NL_VERSION,
	.module		= THIS_MODULE,
	.netnsok	= false,
	.parallel_ops	= true,
	.ops		= pulse_nl_ops,
	.n_ops		= ARRAY_SIZE(pulse_nl_ops),
	.mcgrps		= pulse_nl_groups,
	.n_mcgrps	= ARRAY_SIZE(pulse_nl_groups),
};

/**
 * pulse_netlink_init() - let the family appear
 *
 * Return: 0 or what genl_register_family() says.
 */
int __init pulse_netlink_init(void)
{
	return genl_register_family(&pulse_nl_family);
}

/**
 * pulse_netlink_exit() - let it go; waits for requests that are under way
 */
void pulse_netlink_exit(void)
{
	genl_unregister_family(&pulse_nl_family);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "pulse": contexts, workers and knobs for tools. The
 * ABI stands in <linux/pulse_netlink.h>. Here are the family and the requests that
 * get one answer; dumps: nl_dump.c, what messages are made of: nl_msg.c, events:
 * nl_event.c.
 *
 * The policies are strict, and the core applies them; what is left to check is
 * who asks, and what a policy cannot say. Requests run in parallel.
 */
#include <linux/capability.h>

#include <linux/pulse_netlink.h>

#include "compat.h"
#include "ctx.h"
#include "knob.h"
#include "netlink.h"
#include "nl_dump.h"
#include "nl_listen.h"
#include "nl_msg.h"
#include "registry.h"

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

static int pulse_nl_cmd_listen(struct sk_buff *skb, struct genl_info *info)
{
	struct pulse_asker asker = pulse_asker_of(skb);

	if (nlmsg_attrlen(info->nlhdr, GENL_HDRLEN)) {
		GENL_SET_ERR_MSG(info, "LISTEN takes no attribute");
		return -EINVAL;
	}
	if (!uid_valid(asker.uid)) {
		GENL_SET_ERR_MSG(info, "the socket was opened by another user");
		return -EPERM;
	}
	return pulse_listeners_add(asker.uid, info->snd_portid);
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
	{
		.cmd		= PULSE_NL_CMD_LISTEN,
		.doit		= pulse_nl_cmd_listen,
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
 * Return: 0 or -errno.
 */
int __init pulse_netlink_init(void)
{
	int ret = pulse_listeners_init();

	if (ret)
		return ret;
	ret = genl_register_family(&pulse_nl_family);
	if (ret)
		pulse_listeners_exit();
	return ret;
}

/**
 * pulse_netlink_exit() - let it go; waits for requests that are under way
 */
void pulse_netlink_exit(void)
{
	genl_unregister_family(&pulse_nl_family);
	pulse_listeners_exit();
}

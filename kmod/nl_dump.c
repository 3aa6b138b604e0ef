// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dumps of the netlink family. A context that is looked at is kept by the
 * registry's mutex, which is taken anew for each message, and now and then on the
 * way past contexts that are not the asker's. Who asks is settled when the dump
 * begins; others may read its messages.
 */
#include <linux/pid_namespace.h>
#include <linux/user_namespace.h>

#include <linux/pulse_netlink.h>

#include "compat.h"
#include "ctx.h"
#include "knob.h"
#include "nl_dump.h"
#include "nl_msg.h"
#include "registry.h"

/* Contexts that are passed by before the registry is let go for a moment. */
#define PULSE_NL_STRETCH	256

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

/**
 * pulse_nl_dump_done() - end a dump
 * @cb: of the dump
 *
 * Return: 0.
 */
int pulse_nl_dump_done(struct netlink_callback *cb)
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

/**
 * pulse_nl_ctx_start() - begin a dump of contexts
 * @cb: of the dump
 *
 * Return: 0, -EINVAL, -ENOENT.
 */
int pulse_nl_ctx_start(struct netlink_callback *cb)
{
	return pulse_nl_refuse(cb, PULSE_NL_CTX_ID) ?:
	       pulse_nl_dump_start(cb, PULSE_NL_CTX_ID);
}

/**
 * pulse_nl_worker_start() - begin a dump of workers
 * @cb: of the dump
 *
 * Return: 0, -EINVAL, -ENOENT.
 */
int pulse_nl_worker_start(struct netlink_callback *cb)
{
	return pulse_nl_refuse(cb, PULSE_NL_WORKER_INDEX) ?:
	       pulse_nl_dump_start(cb, PULSE_NL_WORKER_CTX_ID);
}

/**
 * pulse_nl_knob_start() - begin a dump of knobs
 * @cb: of the dump
 *
 * Return: 0, -EINVAL, -ENOENT.
 */
int pulse_nl_knob_start(struct netlink_callback *cb)
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

/**
 * pulse_nl_ctx_dump() - go on with a dump of contexts
 * @skb: gets messages, as many as it holds
 * @cb: of the dump
 *
 * Return: bytes that were written, 0: that was all, or -EMSGSIZE.
 */
int pulse_nl_ctx_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return pulse_nl_dump(skb, cb, pulse_nl_each_ctx);
}

/**
 * pulse_nl_worker_dump() - go on with a dump of workers
 * @skb: gets messages, as many as it holds
 * @cb: of the dump
 *
 * Return: bytes that were written, 0: that was all, or -EMSGSIZE.
 */
int pulse_nl_worker_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return pulse_nl_dump(skb, cb, pulse_nl_each_worker);
}

/**
 * pulse_nl_knob_dump() - go on with a dump of knobs
 * @skb: gets messages, as many as it holds
 * @cb: of the dump
 *
 * Return: bytes that were written, 0: that was all, or -EMSGSIZE.
 */
int pulse_nl_knob_dump(struct sk_buff *skb, struct netlink_callback *cb)
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

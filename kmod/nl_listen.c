// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners who listen: sockets that said LISTEN, each of which gets a copy of what
 * happens to the contexts of its user. A multicast group would not do: it is
 * everybody's who may join it.
 *
 * A bounded table. A socket leaves it when it is closed, of which netlink tells.
 * Netlink tells of it after the port is free: who takes that very port in between
 * may get an event that was not for him, as with all that is sent to a port.
 * pulse_listeners_lock, a leaf, protects the
 * table, and is held while an event is numbered and handed out, so that each
 * listener's numbers arrive in order and a gap is a loss. Bottom halves are off
 * under it, which netlink goes by when it chooses how to allocate. Nobody is
 * waited for: a socket that is full is told of that by netlink (ENOBUFS), and
 * loses the event, which is counted.
 */
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <net/genetlink.h>

#include <linux/pulse_netlink.h>

#include "ctx.h"
#include "nl_listen.h"

/**
 * struct pulse_listener - a socket that listens
 * @portid: its port, or 0: nobody
 * @uid: whose contexts it is told of
 * @seq: number of its last event, lost ones included
 */
struct pulse_listener {
	u32 portid;
	kuid_t uid;
	u64 seq;
};

static DEFINE_SPINLOCK(pulse_listeners_lock);
static struct pulse_listener pulse_listeners[PULSE_NL_MAX_LISTENERS];
static unsigned int pulse_nr_listeners;
static u64 pulse_listeners_dropped;

#define for_each_pulse_listener(l)					\
	for (l = pulse_listeners;					\
	     l < pulse_listeners + ARRAY_SIZE(pulse_listeners); l++)

/**
 * pulse_listeners_add() - LISTEN
 * @uid: whose socket it is, and whose contexts it will be told of
 * @portid: its port
 *
 * Return: 0, -EEXIST, -EDQUOT, -ENOSPC.
 */
int pulse_listeners_add(kuid_t uid, u32 portid)
{
	struct pulse_listener *l, *place = NULL;
	unsigned int mine = 0;
	int ret = 0;

	spin_lock_bh(&pulse_listeners_lock);
	for_each_pulse_listener(l) {
		if (!l->portid)
			place = place ?: l;
		else if (l->portid == portid)
			ret = -EEXIST;
		else
			mine += uid_eq(l->uid, uid);
	}
	if (!ret && mine >= PULSE_NL_MAX_LISTENERS_PER_USER)
		ret = -EDQUOT;
	else if (!ret && !place)
		ret = -ENOSPC;
	if (!ret) {
		*place = (struct pulse_listener) {
			.portid = portid,
			.uid = uid,
		};
		WRITE_ONCE(pulse_nr_listeners, pulse_nr_listeners + 1);
	}
	spin_unlock_bh(&pulse_listeners_lock);
	return ret;
}

static void pulse_listeners_del(u32 portid)
{
	struct pulse_listener *l;

	spin_lock_bh(&pulse_listeners_lock);
	for_each_pulse_listener(l) {
		if (l->portid != portid)
			continue;
		l->portid = 0;
		WRITE_ONCE(pulse_nr_listeners, pulse_nr_listeners - 1);
		break;
	}
	spin_unlock_bh(&pulse_listeners_lock);
}

/**
 * pulse_listeners_any() - may an event be for an owner who listens
 * @ctx: what it is about, or NULL: the module, which is nobody's
 *
 * Return: false for certain; true maybe.
 */
bool pulse_listeners_any(const struct pulse_ctx *ctx)
{
	return ctx && READ_ONCE(pulse_nr_listeners);
}

/* Hand a copy of an event to a listener; false: lost. The lock is held. */
static bool pulse_listener_tell(struct pulse_listener *l,
				const struct sk_buff *skb, unsigned int seq_off)
{
	struct sk_buff *copy = skb_copy(skb, GFP_ATOMIC | __GFP_NOWARN);

	if (!copy)
		return false;
	memcpy(copy->data + seq_off, &l->seq, sizeof(l->seq));
	return !genlmsg_unicast(&init_net, copy, l->portid);
}

/**
 * pulse_listeners_tell() - tell the owner of a context
 * @ctx: the context; kept alive by the caller; NULL: there is no owner
 * @skb: the event, whole but for its number
 * @seq: where the number goes, in @skb
 */
void pulse_listeners_tell(const struct pulse_ctx *ctx,
			  const struct sk_buff *skb, const void *seq)
{
	unsigned int off = (const unsigned char *)seq - skb->data;
	struct pulse_listener *l;

	if (!pulse_listeners_any(ctx))
		return;
	spin_lock_bh(&pulse_listeners_lock);
	for_each_pulse_listener(l) {
		if (!l->portid || !uid_eq(l->uid, ctx->share.uid))
			continue;
		l->seq++;
		if (!pulse_listener_tell(l, skb, off))
			WRITE_ONCE(pulse_listeners_dropped,
				   pulse_listeners_dropped + 1);
	}
	spin_unlock_bh(&pulse_listeners_lock);
}

/**
 * pulse_listeners_lost() - there was no memory for an event
 * @ctx: what it was about, or NULL
 *
 * Who counts it: nl_event.c.
 */
void pulse_listeners_lost(const struct pulse_ctx *ctx)
{
	struct pulse_listener *l;

	if (!pulse_listeners_any(ctx))
		return;
	spin_lock_bh(&pulse_listeners_lock);
	for_each_pulse_listener(l)
		if (l->portid && uid_eq(l->uid, ctx->share.uid))
			l->seq++;
	spin_unlock_bh(&pulse_listeners_lock);
}

/**
 * pulse_listeners_drops() - events that a listener lost
 *
 * Return: since the module was loaded.
 */
u64 pulse_listeners_drops(void)
{
	return READ_ONCE(pulse_listeners_dropped);
}

static int pulse_listeners_notify(struct notifier_block *nb, unsigned long what,
				  void *arg)
{
	const struct netlink_notify *n = arg;

	if (what == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC &&
	    net_eq(n->net, &init_net))
		pulse_listeners_del(n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block pulse_listeners_nb = {
	.notifier_call = pulse_listeners_notify,
};

/**
 * pulse_listeners_init() - be told of sockets that are closed
 *
 * Return: 0 or what netlink_register_notifier() says.
 */
int __init pulse_listeners_init(void)
{
	return netlink_register_notifier(&pulse_listeners_nb);
}

/**
 * pulse_listeners_exit() - nobody can listen, and nothing is told any more
 */
void pulse_listeners_exit(void)
{
	netlink_unregister_notifier(&pulse_listeners_nb);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NL_MSG_H
#define PULSE_NL_MSG_H

#include <linux/uidgid.h>
#include <net/genetlink.h>

#include "pulse.h"

struct pid_namespace;
struct user_namespace;

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
 * struct pulse_nl_msg - what answers are written to
 * @skb: the buffer
 * @cb: of the dump that it is part of, or NULL
 * @portid: who asked
 * @seq: the number of his request
 */
struct pulse_nl_msg {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	u32 portid;
	u32 seq;
};

struct pulse_asker pulse_asker_of(struct sk_buff *skb);
bool pulse_asker_sees(const struct pulse_asker *asker,
		      const struct pulse_ctx *ctx);
int pulse_nl_once(const struct nlmsghdr *nlh, struct netlink_ext_ack *extack);
struct pulse_ctx *pulse_nl_find(const struct pulse_asker *asker,
				const struct nlattr *nla,
				struct netlink_ext_ack *extack);

int pulse_nl_put_ctx(struct pulse_nl_msg *msg, const struct pulse_asker *asker,
		     struct pulse_ctx *ctx);
int pulse_nl_put_worker(struct pulse_nl_msg *msg,
			const struct pulse_asker *asker, struct pulse_ctx *ctx,
			u32 index);
int pulse_nl_put_knob(struct pulse_nl_msg *msg, struct pulse_ctx *ctx, int id);

#endif /* PULSE_NL_MSG_H */

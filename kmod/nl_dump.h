/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NL_DUMP_H
#define PULSE_NL_DUMP_H

struct netlink_callback;
struct sk_buff;

int pulse_nl_ctx_start(struct netlink_callback *cb);
int pulse_nl_worker_start(struct netlink_callback *cb);
int pulse_nl_knob_start(struct netlink_callback *cb);
int pulse_nl_ctx_dump(struct sk_buff *skb, struct netlink_callback *cb);
int pulse_nl_worker_dump(struct sk_buff *skb, struct netlink_callback *cb);
int pulse_nl_knob_dump(struct sk_buff *skb, struct netlink_callback *cb);
int pulse_nl_dump_done(struct netlink_callback *cb);

#endif /* PULSE_NL_DUMP_H */

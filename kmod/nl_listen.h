/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NL_LISTEN_H
#define PULSE_NL_LISTEN_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include "pulse.h"

struct sk_buff;

int pulse_listeners_add(kuid_t uid, u32 portid);
bool pulse_listeners_any(const struct pulse_ctx *ctx);
void pulse_listeners_tell(const struct pulse_ctx *ctx,
			  const struct sk_buff *skb, const void *seq);
void pulse_listeners_lost(const struct pulse_ctx *ctx);
u64 pulse_listeners_drops(void);

int pulse_listeners_init(void);
void pulse_listeners_exit(void);

#endif /* PULSE_NL_LISTEN_H */

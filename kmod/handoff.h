/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_HANDOFF_H
#define PULSE_HANDOFF_H

#include "pulse.h"

int pulse_handoff(struct pulse_ctx *ctx, const struct pulse_handoff *arg);
int pulse_yield_to(struct pulse_ctx *ctx, u32 index);

#endif /* PULSE_HANDOFF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_HINT_H
#define PULSE_HINT_H

#include "pulse.h"

int pulse_hint(struct pulse_ctx *ctx, const struct pulse_hint *arg);

#endif /* PULSE_HINT_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_PARK_H
#define PULSE_PARK_H

#include "pulse.h"

struct mm_struct;

bool pulse_take(struct pulse_worker *w, int bit);
bool pulse_give(struct pulse_worker *w, int bit);
bool pulse_give_by(struct pulse_worker *w, int bit, int wake_flags);
int pulse_park_self(struct pulse_worker *w, const struct pulse_park *arg);
int pulse_park(struct pulse_ctx *ctx, const struct pulse_park *arg);
int pulse_wake(struct pulse_ctx *ctx, struct pulse_wake *arg);
void pulse_sweep(struct pulse_ctx *ctx);
void pulse_cancel_parks(struct pulse_ctx *ctx, const struct mm_struct *mm);

#endif /* PULSE_PARK_H */

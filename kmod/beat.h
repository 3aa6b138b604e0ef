/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_BEAT_H
#define PULSE_BEAT_H

#include "pulse.h"

int pulse_beat_set(struct pulse_ctx *ctx, const struct pulse_beat *arg);
void pulse_beat_stop(struct pulse_worker *w);
void pulse_beat_in(struct pulse_worker *w, u64 now);
void pulse_beat_out(struct pulse_worker *w, u64 now);

int pulse_beat_init(void);
void pulse_beat_exit(void);

#endif /* PULSE_BEAT_H */

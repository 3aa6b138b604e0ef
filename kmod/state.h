/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_STATE_H
#define PULSE_STATE_H

#include "pulse.h"

void pulse_state_arm(struct pulse_worker *w);
bool pulse_state_disarm(struct pulse_worker *w);
void pulse_state_free(struct pulse_worker *w);

#endif /* PULSE_STATE_H */

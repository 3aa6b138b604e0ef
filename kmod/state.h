/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_STATE_H
#define PULSE_STATE_H

#include "pulse.h"

struct task_struct;

void pulse_state_in(struct pulse_worker *w, struct task_struct *task, int cpu);
void pulse_state_out(struct pulse_worker *w, struct task_struct *task);
void pulse_state_execed(struct pulse_worker *w);

int pulse_state_prepare(struct pulse_worker *w);
void pulse_state_arm(struct pulse_worker *w);
bool pulse_state_disarm(struct pulse_worker *w);
void pulse_state_forget(struct pulse_worker *w);
void pulse_state_free(struct pulse_worker *w);

const char *pulse_state_source_name(void);
u64 pulse_features(void);

int pulse_state_init(void);
void pulse_state_exit(void);

#endif /* PULSE_STATE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NL_EVENT_H
#define PULSE_NL_EVENT_H

#include "pulse.h"

struct pulse_watched;
struct task_struct;

void pulse_nl_ctx_event(struct pulse_ctx *ctx, u8 cmd);
void pulse_nl_worker_event(struct pulse_worker *w, u8 cmd);
void pulse_nl_death(struct pulse_worker *w,
		    const struct pulse_event_worker_death *death);
void pulse_nl_hang(struct pulse_watched *p, struct task_struct *task,
		   const struct pulse_event_hang *hang);
void pulse_nl_rss(struct pulse_watched *p, struct task_struct *task,
		  const struct pulse_event_rss *rss);
void pulse_nl_process_death(struct pulse_watched *p,
			    const struct pulse_event_process_death *death);
void pulse_nl_knob_changed(struct pulse_ctx *ctx, const char *name, u32 value);

u64 pulse_nl_drops(void);

#endif /* PULSE_NL_EVENT_H */

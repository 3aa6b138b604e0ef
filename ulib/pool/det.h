/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* det.h - the deterministic mode: one worker at a time, drawn from a seed. */
#ifndef PULSE__POOL_DET_H
#define PULSE__POOL_DET_H

#include "pool/pool.h"

int pulse__det_new(struct pulse_pool *pool);
void pulse__det_free(struct pulse_pool *pool);
/* A thread that is no worker begins, or ends, to wait: tasks run meanwhile. */
void pulse__det_drive(struct pulse_pool *pool, bool begin);
/* In place of pushing into a queue; how many went in. */
unsigned int pulse__det_push(struct pulse_pool *pool, enum pulse__lane lane,
			     const struct pulse__job *jobs, unsigned int nr);
/* Inside a task: somebody else's turn, perhaps. */
void pulse__det_point(struct pulse__worker *w);
/* In place of the worker's loop; false. */
bool pulse__det_loop(struct pulse__worker *w);
/* The worker's thread ends inside a task. */
void pulse__det_unwound(struct pulse__worker *w);
/* Cancels what is queued; how many. */
uint64_t pulse__det_sweep(struct pulse_pool *pool);
uint64_t pulse__det_queued(const struct pulse_pool *pool);
/* The state changed. */
void pulse__det_wake(struct pulse_pool *pool);

#endif /* PULSE__POOL_DET_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* predict.h - steering by expected run times; predict.c. */
#ifndef PULSE__POOL_PREDICT_H
#define PULSE__POOL_PREDICT_H

#include <pulse-u/task.h>

#include "pool/pool.h"

int pulse__predict_new(struct pulse_pool *pool, bool on);
void pulse__predict_free(struct pulse_pool *pool);
void pulse__predict_sample(struct pulse_pool *pool, unsigned int type,
			   uint64_t ns);
void pulse__steered_run(void *arg);
void pulse__steered_cancel(struct pulse_pool *pool, void *arg);
/* submit.c: @shared: not into the own deque. As pulse_pool_submit(). */
int pulse__submit_steered(struct pulse_pool *pool, pulse_task_fn fn, void *data,
			  bool shared);

#endif /* PULSE__POOL_PREDICT_H */

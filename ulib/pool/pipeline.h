/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* pipeline.h - what the rest of the pool knows of pipelines. */
#ifndef PULSE__POOL_PIPELINE_H
#define PULSE__POOL_PIPELINE_H

#include <pulse-u/pipeline.h>

#include "pool/pool.h"

struct pulse__pipe;

/* A job of the pool, and what is done where it is not run. */
void pulse__pipe_task(void *data);
void pulse__pipe_cancel(void *data);
/* The calling thread ended inside a stage. */
void pulse__pipe_lost(struct pulse__pipe *p);

#endif /* PULSE__POOL_PIPELINE_H */

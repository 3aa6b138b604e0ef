/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_REGISTRY_H
#define PULSE_REGISTRY_H

#include <linux/atomic.h>
#include <linux/types.h>

struct pulse_ctx;

extern atomic_t pulse_registry_changes;

/**
 * pulse_registry_changed() - a context or a worker came or went
 */
static inline void pulse_registry_changed(void)
{
	atomic_inc(&pulse_registry_changes);
}

int pulse_registry_add(struct pulse_ctx *ctx);
void pulse_registry_del(struct pulse_ctx *ctx);
void pulse_registry_lock(void);
void pulse_registry_unlock(void);
struct pulse_ctx *pulse_registry_find(u32 id);
struct pulse_ctx *pulse_registry_next(unsigned long *id);
unsigned int pulse_registry_generation(void);

#endif /* PULSE_REGISTRY_H */

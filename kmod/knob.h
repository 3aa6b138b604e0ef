/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_KNOB_H
#define PULSE_KNOB_H

#include <linux/compiler.h>
#include <linux/types.h>

struct pulse_ctx;

/* In the order of pulse_knobs[]. */
enum pulse_knob_id {
	PULSE_KNOB_MAX_CONTEXTS,
	PULSE_KNOB_MAX_WORKERS,
	PULSE_KNOB_MAX_PAGES,
	PULSE_KNOB_BEAT_FLOOR_US,
	PULSE_KNOB_WATCH_INTERVAL_MS,
	PULSE_KNOB_SPIN_US,		/* a context has its own */
	PULSE_KNOB_WAKE_SPILL,		/* likewise */
	PULSE_NR_KNOBS,
};

#define PULSE_KNOB_FIRST_OF_CTX	PULSE_KNOB_SPIN_US
#define PULSE_NR_CTX_KNOBS	(PULSE_NR_KNOBS - PULSE_KNOB_FIRST_OF_CTX)

/**
 * struct pulse_knob - a number that an administrator may set
 * @name: in sysfs, netlink and as module parameter
 * @min: the least that it takes
 * @max: the most
 * @refusal: says so
 */
struct pulse_knob {
	const char *name;
	u32 min;
	u32 max;
	const char *refusal;
};

extern const struct pulse_knob pulse_knobs[PULSE_NR_KNOBS];
extern unsigned int pulse_knob_values[PULSE_NR_KNOBS];

/**
 * pulse_knob() - the value of a knob of the module
 * @id: which
 */
static inline u32 pulse_knob(enum pulse_knob_id id)
{
	return READ_ONCE(pulse_knob_values[id]);
}

u32 pulse_knob_get(const struct pulse_ctx *ctx, enum pulse_knob_id id);
int pulse_knob_set(struct pulse_ctx *ctx, enum pulse_knob_id id, u32 value);
int pulse_knob_find(const char *name, bool of_ctx);
int pulse_knob_parse(const char *buf, size_t count, unsigned int *value);
void pulse_knobs_inherit(struct pulse_ctx *ctx);
int pulse_knob_init(void);

#endif /* PULSE_KNOB_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Knobs: what an administrator may set, all in one table. Values come from
 * module parameters at load time, from sysfs (sysfs.c, ctx_sysfs.c) and netlink
 * (netlink.c) afterwards. Single words, read with READ_ONCE wherever they
 * matter; a new value takes nothing away from anybody.
 *
 * spin_us and wake_spill exist twice: the module's is what a context begins
 * with, and the context's own is the one that counts.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/time64.h>

#include "ctx.h"
#include "knob.h"
#include "nl_event.h"

#define PULSE_KNOB(least, most, knob)					\
	{								\
		.name = #knob,						\
		.min = (least),						\
		.max = (most),						\
		.refusal = #knob " takes " __stringify(least) " to "	\
			   __stringify(most),				\
	}

const struct pulse_knob pulse_knobs[PULSE_NR_KNOBS] = {
	[PULSE_KNOB_MAX_CONTEXTS] =
		PULSE_KNOB(1, 1048576, max_contexts_per_user),
	[PULSE_KNOB_MAX_WORKERS] =
		PULSE_KNOB(1, 4194304, max_workers_per_user),
	[PULSE_KNOB_MAX_PAGES] =
		PULSE_KNOB(1, 1073741824, max_pages_per_user),
	[PULSE_KNOB_BEAT_FLOOR_US] =
		PULSE_KNOB(20, 1000000, beat_floor_us),
	[PULSE_KNOB_WATCH_INTERVAL_MS] =
		PULSE_KNOB(1, 60000, watch_interval_ms),
	[PULSE_KNOB_SPIN_US] =
		PULSE_KNOB(0, 1000, spin_us),
	[PULSE_KNOB_WAKE_SPILL] =
		PULSE_KNOB(0, 1, wake_spill),
};

unsigned int pulse_knob_values[PULSE_NR_KNOBS] = {
	[PULSE_KNOB_MAX_CONTEXTS]	= 256,
	[PULSE_KNOB_MAX_WORKERS]	= 16384,
	[PULSE_KNOB_MAX_PAGES]		= 262144,
	[PULSE_KNOB_BEAT_FLOOR_US]	= 100,
	[PULSE_KNOB_WATCH_INTERVAL_MS]	= 100,
	[PULSE_KNOB_SPIN_US]		= 0,
	[PULSE_KNOB_WAKE_SPILL]		= 0,
};

static_assert(PULSE_MIN_BEAT_NS == 20 * NSEC_PER_USEC);

#define PULSE_PARAM(id, name, text)					\
	module_param_named(name, pulse_knob_values[id], uint, 0444);	\
	MODULE_PARM_DESC(name, text)

PULSE_PARAM(PULSE_KNOB_MAX_CONTEXTS, max_contexts_per_user,
	    "open contexts a user, at most");
PULSE_PARAM(PULSE_KNOB_MAX_WORKERS, max_workers_per_user,
	    "registered workers a user, at most");
PULSE_PARAM(PULSE_KNOB_MAX_PAGES, max_pages_per_user,
	    "pages of kernel memory a user, at most");
PULSE_PARAM(PULSE_KNOB_BEAT_FLOOR_US, beat_floor_us,
	    "shortest period of beats without CAP_SYS_NICE");
PULSE_PARAM(PULSE_KNOB_WATCH_INTERVAL_MS, watch_interval_ms,
	    "time between two looks at what is watched");
PULSE_PARAM(PULSE_KNOB_SPIN_US, spin_us,
	    "how long PARK looks for a permit before it sleeps");
PULSE_PARAM(PULSE_KNOB_WAKE_SPILL, wake_spill,
	    "1: WAKE_NODE goes on to other nodes also unasked");

static u32 *pulse_knob_of_ctx(struct pulse_ctx *ctx, enum pulse_knob_id id)
{
	return &ctx->knobs[id - PULSE_KNOB_FIRST_OF_CTX];
}

/**
 * pulse_knob_get() - the value of a knob
 * @ctx: whose, or NULL: the module's
 * @id: which; with @ctx, one that contexts have
 *
 * Return: as it is now.
 */
u32 pulse_knob_get(const struct pulse_ctx *ctx, enum pulse_knob_id id)
{
	return ctx ? pulse_ctx_knob(ctx, id) : pulse_knob(id);
}

/**
 * pulse_knob_set() - change a knob, and tell who listens
 * @ctx: whose, or NULL: the module's
 * @id: which; with @ctx, one that contexts have
 * @value: the new one
 *
 * Return: 0, or -ERANGE with the value as it was.
 */
int pulse_knob_set(struct pulse_ctx *ctx, enum pulse_knob_id id, u32 value)
{
	const struct pulse_knob *knob = &pulse_knobs[id];

	if (value < knob->min || value > knob->max)
		return -ERANGE;
	if (ctx)
		WRITE_ONCE(*pulse_knob_of_ctx(ctx, id), value);
	else
		WRITE_ONCE(pulse_knob_values[id], value);
	pulse_nl_knob_changed(ctx, knob->name, value);
	return 0;
}

/**
 * pulse_knob_find() - a knob by its name
 * @name: as user space says
 * @of_ctx: of those that contexts have
 *
 * Return: enum pulse_knob_id or -ENOENT.
 */
int pulse_knob_find(const char *name, bool of_ctx)
{
	int id = of_ctx ? PULSE_KNOB_FIRST_OF_CTX : 0;

	for (; id < PULSE_NR_KNOBS; id++)
		if (!strcmp(pulse_knobs[id].name, name))
			return id;
	return -ENOENT;
}

/**
 * pulse_knob_parse() - a number as it is written to sysfs
 * @buf: what was written, and a NUL
 * @count: its bytes
 * @value: gets it
 *
 * A decimal number, with a newline or without. kstrtouint() alone would take
 * "+5", and stop at a NUL byte in the middle.
 *
 * Return: 0, -EINVAL, -ERANGE.
 */
int pulse_knob_parse(const char *buf, size_t count, unsigned int *value)
{
	if (!isdigit(buf[0]) || strlen(buf) != count)
		return -EINVAL;
	return kstrtouint(buf, 10, value);
}

/**
 * pulse_knobs_inherit() - a context begins with the module's values
 * @ctx: being set up
 */
void pulse_knobs_inherit(struct pulse_ctx *ctx)
{
	int id;

	for (id = PULSE_KNOB_FIRST_OF_CTX; id < PULSE_NR_KNOBS; id++)
		*pulse_knob_of_ctx(ctx, id) = pulse_knob(id);
}

/**
 * pulse_knob_init() - refuse module parameters outside their range
 *
 * Return: 0, or -ERANGE, which fails the load.
 */
int pulse_knob_init(void)
{
	int id;

	for (id = 0; id < PULSE_NR_KNOBS; id++) {
		u32 value = pulse_knob(id);

		if (value < pulse_knobs[id].min || value > pulse_knobs[id].max) {
			pr_err("%s, not %u\n", pulse_knobs[id].refusal, value);
			return -ERANGE;
		}
	}
	return 0;
}

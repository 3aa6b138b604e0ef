/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_SOURCE_H
#define PULSE_SOURCE_H

#include "pulse.h"

/**
 * struct pulse_source - where the news of a switch comes from
 * @name: as the module parameter state_source has it
 * @feature: PULSE_FEAT_* that tells of it, or 0
 * @init: at load, with no worker there; may sleep. 0 or -errno
 * @exit: at unload, with no worker left; returns when no call of the source's
 *	can be under way
 * @prepare: the calling thread has reserved a slot; may sleep. 0 or -errno
 * @arm: the calling thread, preemption off: from its next switch on
 *	pulse_state_out() and pulse_state_in() are called for the worker
 * @disarm: the calling thread, preemption off: from here on they are not
 * @forget: undo @prepare, after @disarm, after the last switch of the thread, or
 *	without @arm; process context, and the slot's task is still referenced
 *
 * @prepare and @forget may be NULL. One source is chosen at load, state.c, and
 * stays.
 */
struct pulse_source {
	const char *name;
	u64 feature;
	int (*init)(void);
	void (*exit)(void);
	int (*prepare)(struct pulse_worker *w);
	void (*arm)(struct pulse_worker *w);
	void (*disarm)(struct pulse_worker *w);
	void (*forget)(struct pulse_worker *w);
};

extern const struct pulse_source pulse_source_notifier;
extern const struct pulse_source pulse_source_tracepoint;

#endif /* PULSE_SOURCE_H */

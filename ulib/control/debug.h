/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * debug.h - a dump under way, and probes with an end of their own.
 */
#ifndef PULSE__DEBUG_H
#define PULSE__DEBUG_H

#include "control/text.h"

#include <pulse-u/debug.h>

struct pulse_dump {
	struct pulse__text t;
	int depth;			/* objects and lists that are open */
	int floor;			/* those that the probe must not end */
	int err;			/* the probe broke a rule */
	bool first;			/* of what is open: nothing is in it yet */
	bool list[PULSE_DUMP_DEPTH_MAX + 1];
};

/* As pulse_debug_add(), with an end for @arg. */
int pulse__debug_add(struct pulse_debug *debug, const char *name,
		     pulse_probe_fn fn, void *arg, void (*release)(void *arg));

#endif /* PULSE__DEBUG_H */

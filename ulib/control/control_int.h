/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * control_int.h - knobs and configurations inside.
 *
 * A configuration is a version of a snap (base/snap.h): an array of values, the
 * i-th of the i-th knob. Knobs are only added, so that one serves for all
 * configurations that are long enough. A configuration holds a reference on its
 * control's memory, where the knobs are.
 *
 * Lock order: control->lock, then the snap's.
 */
#ifndef PULSE__CONTROL_INT_H
#define PULSE__CONTROL_INT_H

#include "base/base.h"
#include "base/list.h"
#include "base/snap.h"

#include <pulse-u/control.h>

struct pulse__knob {
	char *name, *doc, *unit;
	int type;
	int64_t min, max;
	int (*check)(const char *name, int64_t value, const char *text,
		     char *why, size_t len, void *arg);
	void *arg;
};

struct pulse__value {
	int64_t i;
	char *text;			/* of a TEXT; the configuration's own */
};

struct pulse_config {
	struct pulse__version version;
	struct pulse_control *control;
	uint64_t number;
	size_t nr;
	struct pulse__value value[];
};

struct pulse__on_reload {
	struct pulse__list link;
	pulse_reload_fn fn;
	void *arg;
	void (*release)(void *arg);	/* or NULL */
	int id;
};

struct pulse_control {
	struct pulse__snap snap;
	uint64_t refs;			/* any thread */
	uint32_t max_waiting;
	uint32_t waiting;		/* any thread */
	pthread_mutex_t lock;		/* the words below; reloads */
	struct pulse__list callbacks;
	int next_id;
	size_t nr_knobs;
	struct pulse__knob *knob[PULSE_KNOBS_MAX];
	struct pulse_control_stats n;	/* written under the lock, but for busy */
};

/* config.c */
/* A copy of @old with @nr values, of which the new ones are 0. */
struct pulse_config *pulse__config_copy(struct pulse_control *control,
					const struct pulse_config *old,
					size_t nr);
int pulse__config_set_text(struct pulse_config *config, size_t i,
			   const char *text);
bool pulse__config_same(const struct pulse_config *a,
			const struct pulse_config *b);
/* The knob's number, or -ENOENT. */
int pulse__config_find(const struct pulse_config *config, const char *name);
void pulse__control_put(struct pulse_control *control);

/* Under the lock: a value as text into @config; 0 or why not. */
int pulse__knob_parse(const struct pulse__knob *knob, const char *text,
		      struct pulse_config *config, size_t i, char *why,
		      size_t len);

/* control.c */
/* The lock, for a call that changes: 0, -EAGAIN too many, -EDEADLK. */
int pulse__control_enter(struct pulse_control *control);
void pulse__control_leave(struct pulse_control *control);
/* As pulse_control_on_reload(), with an end for @arg. */
int pulse__control_on_reload(struct pulse_control *control, pulse_reload_fn fn,
			     void *arg, void (*release)(void *arg));

#endif /* PULSE__CONTROL_INT_H */

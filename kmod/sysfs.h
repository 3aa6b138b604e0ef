/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_SYSFS_H
#define PULSE_SYSFS_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>

struct attribute_group;

/* What happened since the module was loaded, a part on each CPU. */
struct pulse_totals {
	u64 parks;	/* sleeps in PARK that ended */
	u64 wakes;	/* permits given by WAKE and WAKE_NODE */
	u64 deaths;	/* workers whose thread ended */
};

DECLARE_PER_CPU(struct pulse_totals, pulse_totals);

#define pulse_count(what)	this_cpu_inc(pulse_totals.what)

extern atomic_t pulse_nr_contexts;
extern atomic_t pulse_nr_workers;

extern const struct attribute_group *pulse_sysfs_groups[];

#endif /* PULSE_SYSFS_H */

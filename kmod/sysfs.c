// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/pulse/: totals to read, knobs to set. Described in
 * Documentation/ABI/testing/sysfs-class-misc-pulse.
 *
 * Totals are counted on each CPU and added up by the reader, who gets a sum
 * that may be a moment old. What a context has of its own: ctx_sysfs.c.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>

#include "knob.h"
#include "nl_event.h"
#include "pulse.h"
#include "quota.h"
#include "state.h"
#include "sysfs.h"

DEFINE_PER_CPU(struct pulse_totals, pulse_totals);

atomic_t pulse_nr_contexts = ATOMIC_INIT(0);
atomic_t pulse_nr_workers = ATOMIC_INIT(0);

static ssize_t abi_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	return sysfs_emit(buf, "%u\n", PULSE_ABI_VERSION);
}
static DEVICE_ATTR_RO(abi);

static ssize_t features_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%#llx\n", pulse_features());
}
static DEVICE_ATTR_RO(features);

static ssize_t state_source_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", pulse_state_source_name());
}
static DEVICE_ATTR_RO(state_source);

static ssize_t contexts_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&pulse_nr_contexts));
}
static DEVICE_ATTR_RO(contexts);

static ssize_t workers_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&pulse_nr_workers));
}
static DEVICE_ATTR_RO(workers);

#define PULSE_TOTAL(name)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	u64 sum = 0;							\
	int cpu;							\
									\
	for_each_possible_cpu(cpu)					\
		sum += per_cpu(pulse_totals, cpu).name;			\
	return sysfs_emit(buf, "%llu\n", sum);				\
}									\
static DEVICE_ATTR_RO(name)

PULSE_TOTAL(parks);
PULSE_TOTAL(wakes);
PULSE_TOTAL(deaths);

static ssize_t netlink_drops_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pulse_nl_drops());
}
static DEVICE_ATTR_RO(netlink_drops);

static enum pulse_knob_id pulse_knob_of(struct device_attribute *attr)
{
	return (uintptr_t)container_of(attr, struct dev_ext_attribute, attr)->var;
}

static ssize_t pulse_knob_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pulse_knob(pulse_knob_of(attr)));
}

static ssize_t pulse_knob_store(struct device *dev,
				struct device_attribute *attr, const char *buf,
				size_t count)
{
	unsigned int value;
	int ret = pulse_knob_parse(buf, count, &value);

	if (!ret)
		ret = pulse_knob_set(NULL, pulse_knob_of(attr), value);
	return ret ?: count;
}

#define PULSE_KNOB_ATTR(name, id)					\
static struct dev_ext_attribute dev_attr_##name = {			\
	__ATTR(name, 0644, pulse_knob_show, pulse_knob_store),		\
	(void *)(uintptr_t)(id)						\
}

PULSE_KNOB_ATTR(max_contexts_per_user, PULSE_KNOB_MAX_CONTEXTS);
PULSE_KNOB_ATTR(max_workers_per_user, PULSE_KNOB_MAX_WORKERS);
PULSE_KNOB_ATTR(max_pages_per_user, PULSE_KNOB_MAX_PAGES);
PULSE_KNOB_ATTR(beat_floor_us, PULSE_KNOB_BEAT_FLOOR_US);
PULSE_KNOB_ATTR(watch_interval_ms, PULSE_KNOB_WATCH_INTERVAL_MS);
PULSE_KNOB_ATTR(spin_us, PULSE_KNOB_SPIN_US);
PULSE_KNOB_ATTR(wake_spill, PULSE_KNOB_WAKE_SPILL);

static struct attribute *pulse_attrs[] = {
	&dev_attr_abi.attr,
	&dev_attr_features.attr,
	&dev_attr_state_source.attr,
	&dev_attr_contexts.attr,
	&dev_attr_workers.attr,
	&dev_attr_parks.attr,
	&dev_attr_wakes.attr,
	&dev_attr_deaths.attr,
	&dev_attr_netlink_drops.attr,
	&dev_attr_max_contexts_per_user.attr.attr,
	&dev_attr_max_workers_per_user.attr.attr,
	&dev_attr_max_pages_per_user.attr.attr,
	&dev_attr_beat_floor_us.attr.attr,
	&dev_attr_watch_interval_ms.attr.attr,
	&dev_attr_spin_us.attr.attr,
	&dev_attr_wake_spill.attr.attr,
	NULL,
};

static const struct attribute_group pulse_group = {
	.attrs = pulse_attrs,
};

/* Read by misc_register(): there when the device appears in user space. */
const struct attribute_group *pulse_sysfs_groups[] = {
	&pulse_group,
	NULL,
};

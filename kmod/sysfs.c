// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/pulse/: totals to read, limits to set. Described in
 * Documentation/ABI/testing/sysfs-class-misc-pulse.
 *
 * Totals are counted on each CPU and added up by the reader, who gets a sum
 * that may be a moment old. Limits are parsed strictly: a decimal number, with
 * a newline or without, and nothing else.
 */
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "beat.h"
#include "pulse.h"
#include "quota.h"
#include "state.h"
#include "sysfs.h"
#include "watch.h"

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

/* kstrtouint() alone would take "+5", and stop at a NUL byte in the middle. */
static int pulse_parse(const char *buf, size_t count, unsigned int *value)
{
	if (!isdigit(buf[0]) || strlen(buf) != count)
		return -EINVAL;
	return kstrtouint(buf, 10, value);
}

#define PULSE_LIMIT(name, what)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%u\n", pulse_quota_limit(what));	\
}									\
static ssize_t name##_store(struct device *dev,				\
			    struct device_attribute *attr,		\
			    const char *buf, size_t count)		\
{									\
	unsigned int value;						\
	int ret = pulse_parse(buf, count, &value);			\
									\
	if (!ret)							\
		ret = pulse_quota_set_limit(what, value);		\
	return ret ?: count;						\
}									\
static DEVICE_ATTR_RW(name)

PULSE_LIMIT(max_contexts_per_user, PULSE_QUOTA_CONTEXTS);
PULSE_LIMIT(max_workers_per_user, PULSE_QUOTA_WORKERS);
PULSE_LIMIT(max_pages_per_user, PULSE_QUOTA_PAGES);

static ssize_t beat_floor_us_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pulse_beat_floor_us());
}

static ssize_t beat_floor_us_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	unsigned int value;
	int ret = pulse_parse(buf, count, &value);

	if (!ret)
		ret = pulse_beat_set_floor_us(value);
	return ret ?: count;
}
static DEVICE_ATTR_RW(beat_floor_us);

static ssize_t watch_interval_ms_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pulse_watch_interval_ms());
}

static ssize_t watch_interval_ms_store(struct device *dev,
				       struct device_attribute *attr,
				       const char *buf, size_t count)
{
	unsigned int value;
	int ret = pulse_parse(buf, count, &value);

	if (!ret)
		ret = pulse_watch_set_interval_ms(value);
	return ret ?: count;
}
static DEVICE_ATTR_RW(watch_interval_ms);

static struct attribute *pulse_attrs[] = {
	&dev_attr_abi.attr,
	&dev_attr_features.attr,
	&dev_attr_state_source.attr,
	&dev_attr_contexts.attr,
	&dev_attr_workers.attr,
	&dev_attr_parks.attr,
	&dev_attr_wakes.attr,
	&dev_attr_deaths.attr,
	&dev_attr_max_contexts_per_user.attr,
	&dev_attr_max_workers_per_user.attr,
	&dev_attr_max_pages_per_user.attr,
	&dev_attr_beat_floor_us.attr,
	&dev_attr_watch_interval_ms.attr,
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

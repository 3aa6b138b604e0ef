// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * global.c - the bus of the process. Who uses it holds the lock for reading,
 * who replaces it for writing, so that the old one is nobody's afterwards.
 */
#include "bus/bus.h"

static pthread_rwlock_t pulse__global_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct pulse_bus *pulse__global;

int pulse_bus_global_init(const struct pulse_bus_opts *opts)
{
	int err = -EALREADY;

	pthread_rwlock_wrlock(&pulse__global_lock);
	if (!pulse__global)
		err = pulse_bus_create(opts, &pulse__global);
	pthread_rwlock_unlock(&pulse__global_lock);
	return err;
}

int pulse_bus_global_set(struct pulse_bus *bus, struct pulse_bus **old)
{
	if (!old)
		return -EINVAL;
	pthread_rwlock_wrlock(&pulse__global_lock);
	*old = pulse__global;
	pulse__global = bus;
	pthread_rwlock_unlock(&pulse__global_lock);
	return 0;
}

int pulse_bus_emit(struct pulse_bus_event *ev)
{
	int n = 0;

	if (!ev)
		return -EINVAL;
	pthread_rwlock_rdlock(&pulse__global_lock);
	if (pulse__global)
		n = pulse_bus_publish(pulse__global, ev);
	pthread_rwlock_unlock(&pulse__global_lock);
	return n;
}

int pulse_bus_emit_async(struct pulse_bus_event *ev)
{
	int err = 0;

	if (!ev)
		return -EINVAL;
	pthread_rwlock_rdlock(&pulse__global_lock);
	if (pulse__global)
		err = pulse_bus_publish_async(pulse__global, ev);
	pthread_rwlock_unlock(&pulse__global_lock);
	return err;
}

int pulse_bus_on(const char *type, const struct pulse_bus_sub_opts *opts,
		 struct pulse_bus_sub **out)
{
	int err;

	if (out)
		*out = NULL;
	if (!out || !type)
		return -EINVAL;
	for (;;) {
		pthread_rwlock_rdlock(&pulse__global_lock);
		if (pulse__global) {
			err = pulse_bus_subscribe(pulse__global, type, opts,
						  out);
			pthread_rwlock_unlock(&pulse__global_lock);
			return err;
		}
		pthread_rwlock_unlock(&pulse__global_lock);
		err = pulse_bus_global_init(NULL);
		if (err && err != -EALREADY)
			return err;
	}
}

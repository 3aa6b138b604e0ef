// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * carrier.c - from an address to the carrier that serves it.
 */
#include "io/poller_int.h"
#include "io/rdma.h"
#include "io/shm.h"
#include "io/stream.h"
#include "io/tls.h"
#include "io/udp.h"

/* All but tcp and unix, whose names are part of what addr.c reads. */
static const struct {
	const char *prefix;
	const struct pulse__carrier *carrier;
} carriers[] = {
	{ "tls:", &pulse__carrier_tls },
	{ "shm:", &pulse__carrier_shm },
	{ "udp:", &pulse__carrier_udp },
	{ "rdma:", &pulse__carrier_rdma },
};

const struct pulse__carrier *pulse__carrier_of(const char *address,
					       const char **rest)
{
	for (size_t i = 0; address && i < ARRAY_SIZE(carriers); i++) {
		size_t len = strlen(carriers[i].prefix);

		if (strncmp(address, carriers[i].prefix, len))
			continue;
		*rest = address + len;
		return carriers[i].carrier;
	}
	*rest = address;
	return &pulse__carrier_stream;
}

int pulse_transport_connect(struct pulse_poller *poller,
			    const struct pulse_connect_opts *opts,
			    pulse_transport_fn fn, void *arg,
			    struct pulse_transport **out)
{
	struct pulse_connect_opts o;
	const char *rest;
	int err;

	if (!poller || !opts || !fn || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), keepalive_s), opts);
	if (err)
		return err;
	if (!o.address || o.reserved)
		return -EINVAL;
	if (!pulse__poller_mine(poller))
		return -EPERM;
	if (!o.deadline_ns)
		o.deadline_ns = pulse_now_ns() + 30 * PULSE__NSEC_PER_SEC;
	return pulse__carrier_of(o.address, &rest)->connect(poller, &o, fn, arg,
							    out);
}

int pulse_listener_open(struct pulse_poller *poller,
			const struct pulse_listener_opts *opts,
			pulse_accept_fn fn, void *arg,
			struct pulse_listener **out)
{
	const struct pulse__carrier *carrier;
	struct pulse_listener_opts o;
	const char *rest;
	int err;

	if (!poller || !opts || !fn || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), opts);
	if (err)
		return err;
	if (!o.address || o.backlog > INT_MAX || o.reserved || o.reserved2)
		return -EINVAL;
	if (!pulse__poller_mine(poller))
		return -EPERM;
	carrier = pulse__carrier_of(o.address, &rest);
	if (o.proxy_from && carrier != &pulse__carrier_stream &&
	    carrier != &pulse__carrier_tls)
		return -EOPNOTSUPP;
	return carrier->listen(poller, &o, fn, arg, out);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * U04: each allocation of RDMA's listeners and connections may fail, on whichever
 * side of the meeting it is; by an engine without a device.
 */
#include "rdma_inside.h"

#include "../all/no_memory.h"

/* What the one who connects hears; a side that cannot take part refuses. */
static int meets(void)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	int err = dial();

	if (err)
		return err;
	if (!EVENTUALLY_BY(pulse_poller_run_once(poller, pulse_now_ns() + 1000000),
			   (client.seen & PULSE_TRANSPORT_OPEN && server.t) ||
			   client.broken))
		return -ETIMEDOUT;
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	if (!client.broken) {
		KT_EQ(ls.failed, 0);
		return 0;
	}
	if (client.err == -ENOMEM)
		return -ENOMEM;
	/* The listener's side had no memory, which the other is not told. */
	KT_EQ(client.err, -ECONNREFUSED);
	KT_EQ(ls.failed, 1);
	KT_EQ(accepted, 0);
	return -ENOMEM;
}

static int life_of_rdma(void)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "rdma:127.0.0.1:0");
	long bytes = 0;
	int err;

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = 0;
	listener = NULL;
	how = (struct pulse_connect_opts){ .sz = sizeof(how), .address = where };
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	from_here();
	err = pulse_listener_open(poller, &lo, on_accept, &server, &listener);
	if (!err) {
		KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
		err = meets();
	}
	if (!err) {
		bytes = send_some(&client, 0, 3000);
		KT_EQ(bytes, 3000);
		UNTIL(server.got == bytes || server.broken);
		err = server.broken ? server.err : 0;
	}
	if (server.t)
		KT_EQ(pulse_transport_close(server.t, false), 0);
	if (client.t)
		KT_EQ(pulse_transport_close(client.t, false), 0);
	if (listener)
		KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
	KT_CHECK(pulse__list_empty(&inside_all));
	return err;
}

KT_TEST(a_listener_and_its_peers)
{
	pulse__rdma_use(&inside_engine);
	each_may_fail("rdma", life_of_rdma);
}

KT_MAIN()

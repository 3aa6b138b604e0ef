// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* chain.c - messages through a chain of middleware. */
#include "ws/ws_int.h"

#include <pulse-u/ws_route.h>

int pulse_ws_chain_run(struct pulse_chain *chain, struct pulse_ws_conn *conn,
		       int opcode, const void *data, size_t len)
{
	static const char why[] = "handler failed";
	PULSE_OPTS(pulse_chain_event, event, .type = opcode, .data = data,
		   .len = len, .source = conn);
	int ret;

	if (!chain || !conn || (!data && len))
		return -EINVAL;
	ret = pulse_chain_run(chain, &event);
	/* It may be closing for another reason already, or be gone. */
	if (unlikely(ret < 0))
		(void)pulse_ws_close(conn, PULSE_WS_INTERNAL_ERROR, why,
				     sizeof(why) - 1);
	return ret;
}

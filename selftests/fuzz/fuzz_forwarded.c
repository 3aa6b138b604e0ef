// SPDX-License-Identifier: GPL-2.0-only
/*
 * X-Forwarded-For ("x") and Forwarded (anything else): whatever a client writes, the
 * trusted proxy's own words behind it are what counts; and without them it is an
 * address, or the peer.
 */
#include "io/stream.h"
#include "ws/forwarded.h"

#include <stdio.h>

#include <pulse-u/ws.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *leads_to(const uint8_t *data, size_t size, int by,
			    const char *last)
{
	static const char *const name[] = { "X-Forwarded-For", "Forwarded" };
	static char text[PULSE_ADDRESS_MAX];
	struct pulse__ws_head head;
	struct pulse__nets *nets;
	struct pulse__addr peer;
	char *all = malloc(size + 256);
	int n;

	if (!all || pulse__nets_parse("10.0.0.0/8", &nets) ||
	    pulse__addr_parse("10.0.0.1:5", &peer))
		abort();
	n = sprintf(all, "GET / HTTP/1.1\r\n%s: ", name[by]);
	memcpy(all + n, data, size);
	n += (int)size;
	n += sprintf(all + n, "\r\n");
	if (last)
		n += sprintf(all + n, "%s: %s\r\n", name[by], last);
	n += sprintf(all + n, "\r\n");
	pulse__ws_head_init(&head, 100000);
	text[0] = 0;
	if (pulse__ws_head_feed(&head, (uint8_t *)all, (size_t)n) == n &&
	    head.done) {
		pulse__ws_forwarded(&head, by, nets, &peer.sa);
		if (pulse__addr_format(&peer.sa, text, sizeof(text)))
			abort();
	}
	pulse__ws_head_free(&head);
	pulse__free(nets);
	free(all);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pulse__addr addr;
	const char *to;
	int by;

	if (!size || size > 4096)
		return 0;
	by = *data == 'x' ? PULSE_WS_FORWARDED_X : PULSE_WS_FORWARDED_RFC7239;
	to = leads_to(data + 1, size - 1, by, NULL);
	if (!*to)		/* no head at all */
		return 0;
	if (pulse__addr_parse(to, &addr))
		abort();
	/* As long as it does not end the field itself. */
	if (memchr(data, '\r', size) || memchr(data, '\n', size))
		return 0;
	to = leads_to(data + 1, size - 1, by, by == PULSE_WS_FORWARDED_X ?
		      "1.2.3.4" : "for=1.2.3.4");
	if (strcmp(to, "1.2.3.4:0"))
		abort();
	return 0;
}

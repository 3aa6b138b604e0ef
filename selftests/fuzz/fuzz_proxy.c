// SPDX-License-Identifier: GPL-2.0-only
/*
 * Headers of the PROXY protocol: what is one is so whatever follows it, no part of
 * it is, nor anything else than more to come; and whom it names has an address.
 */
#include "io/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t parse(const uint8_t *data, size_t n, struct pulse__addr *from)
{
	/* Exactly as long, so that a sanitizer sees a step beyond. */
	uint8_t *part = malloc(n + !n);
	ssize_t len;

	if (!part)
		abort();
	memcpy(part, data, n);
	len = pulse__proxy_parse(part, n, from);
	free(part);
	if (len != -EAGAIN && len != -EPROTO && (len <= 0 || (size_t)len > n))
		abort();
	if (len < 0 && from->len)
		abort();
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[PULSE_ADDRESS_MAX], again[PULSE_ADDRESS_MAX];
	struct pulse__addr from, part, back;
	ssize_t len = parse(data, size, &from), early;

	if (len > PULSE__PROXY_MAX || (len == -EAGAIN && size >= PULSE__PROXY_MAX))
		abort();
	for (size_t n = 0; n < size && n < 300; n++) {
		early = parse(data, n, &part);
		if (early == -EAGAIN)
			continue;
		if (early != len || (len > 0 && (size_t)len > n) ||
		    memcmp(&part, &from, sizeof(from)))
			abort();
		break;
	}
	if (len <= 0 || !from.len)
		return 0;
	if (pulse__addr_format_len(&from.sa, from.len, text, sizeof(text)))
		abort();
	if (strpbrk(text, "\r\n"))
		abort();
	if (from.sa.ss_family == AF_UNIX)
		return 0;
	if (pulse__addr_parse(text, &back) ||
	    pulse__addr_format(&back.sa, again, sizeof(again)) ||
	    strcmp(text, again))
		abort();
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a client gets for its request: read whole and in pieces it is the same.
 */
#include "ws/head.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t feed(struct pulse__ws_head *head, const uint8_t *data,
		    size_t size, size_t piece)
{
	size_t at = 0;

	pulse__ws_head_init_response(head, MAX);
	while (at < size && !head->done) {
		size_t n = piece < size - at ? piece : size - at;
		int64_t used = pulse__ws_head_feed(head, data + at, n);

		if (used < 0)
			return used;
		if ((size_t)used > n || ((size_t)used < n && !head->done))
			abort();
		at += (size_t)used;
	}
	return (int64_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pulse__ws_head whole, pieces;
	struct pulse__ws_field f = { 0 };
	int64_t a, b;

	if (!size)
		return 0;
	a = feed(&whole, data + 1, size - 1, SIZE_MAX);
	b = feed(&pieces, data + 1, size - 1, data[0] % 64 + 1);
	if (a != b || whole.done != pieces.done ||
	    (whole.done && whole.status != pieces.status))
		abort();
	if (whole.done) {
		if (whole.status < 100 || whole.status > 999)
			abort();
		while (pulse__ws_head_next(&whole, &f))
			if (!*f.name || strpbrk(f.value, "\r\n"))
				abort();
		pulse__ws_head_lists(&whole, "connection", "upgrade");
	}
	pulse__ws_head_free(&whole);
	pulse__ws_head_free(&pieces);
	return 0;
}

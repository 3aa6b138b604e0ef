// SPDX-License-Identifier: GPL-2.0-only
/*
 * The request head parser: pieces of any size give the same result, and what
 * was understood can be looked at.
 */
#include "ws/head.h"

#define MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t feed(struct pulse__ws_head *head, const uint8_t *data,
		    size_t size, size_t piece)
{
	size_t at = 0;

	pulse__ws_head_init(head, MAX);
	while (at < size && !head->done) {
		size_t n = piece < size - at ? piece : size - at;
		int64_t used = pulse__ws_head_feed(head, data + at, n);

		if (used < 0)
			return used;
		at += (size_t)used;
	}
	return (int64_t)at;
}

static void look(const struct pulse__ws_head *head)
{
	struct pulse__ws_field f = { 0 };
	struct pulse__ws_list list = { 0 };
	size_t fields = 0, len;
	const char *element;

	if (!*pulse__ws_head_method(head) || !*pulse__ws_head_target(head))
		abort();
	while (pulse__ws_head_next(head, &f)) {
		if (!*f.name || strpbrk(f.name, "ABCXYZ :\r\n") ||
		    strpbrk(f.value, "\r\n"))
			abort();
		if (*f.value == ' ' ||
		    (*f.value && f.value[strlen(f.value) - 1] == ' '))
			abort();
		fields++;
	}
	if (fields > MAX / 4)
		abort();
	pulse__ws_head_lists(head, "connection", "upgrade");
	while ((element = pulse__ws_head_list_next(head, "upgrade", &list, &len)))
		if (!len || memchr(element, ',', len) || memchr(element, 0, len))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pulse__ws_head whole, pieces;
	int64_t a, b;

	if (!size)
		return 0;
	a = feed(&whole, data + 1, size - 1, SIZE_MAX);
	b = feed(&pieces, data + 1, size - 1, data[0] % 64 + 1);
	if (a != b || whole.done != pieces.done)
		abort();
	if (whole.done) {
		if (whole.used != pieces.used ||
		    memcmp(whole.text, pieces.text, whole.used))
			abort();
		look(&whole);
	}
	pulse__ws_head_free(&whole);
	pulse__ws_head_free(&pieces);
	return 0;
}

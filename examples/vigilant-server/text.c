// SPDX-License-Identifier: GPL-2.0-only
/*
 * text.c - texts that grow.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int grow(struct text *t, size_t more)
{
	size_t size = 2 * t->size + more + 1024;
	char *at = realloc(t->at, size);

	if (!at) {
		t->cut = 1;
		return 0;
	}
	t->at = at;
	t->size = size;
	return 1;
}

void text_add(struct text *t, const char *fmt, ...)
{
	for (;;) {
		va_list ap;
		int n;

		va_start(ap, fmt);
		n = vsnprintf(t->at ? t->at + t->len : NULL, t->size - t->len,
			      fmt, ap);
		va_end(ap);
		if (n < 0)
			return;
		if ((size_t)n < t->size - t->len) {
			t->len += (size_t)n;
			return;
		}
		if (!grow(t, (size_t)n))
			return;
	}
}

void text_string(struct text *t, const char *s, size_t len)
{
	text_add(t, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			text_add(t, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			text_add(t, "\\u%04x", c);
		else
			text_add(t, "%c", c);
	}
	text_add(t, "\"");
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}

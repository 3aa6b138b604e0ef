/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * text.h - text into a caller's buffer, as snprintf() does it: what does not
 * fit is counted and left out, and the buffer always ends with a 0.
 */
#ifndef PULSE__TEXT_H
#define PULSE__TEXT_H

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

struct pulse__text {
	char *buf;
	size_t room;		/* bytes of buf; 0: only count */
	size_t len;		/* bytes so far, kept or not */
};

static inline void pulse__text_add(struct pulse__text *t, const char *s,
				   size_t bytes)
{
	if (t->len + 1 < t->room) {
		size_t fits = t->room - t->len - 1;

		if (fits > bytes)
			fits = bytes;
		memcpy(t->buf + t->len, s, fits);
		t->buf[t->len + fits] = 0;
	}
	t->len += bytes;
}

static inline void pulse__text_puts(struct pulse__text *t, const char *s)
{
	pulse__text_add(t, s, strlen(s));
}

/* For short pieces: up to 255 bytes. */
__attribute__((format(printf, 2, 3)))
static inline void pulse__text_printf(struct pulse__text *t, const char *fmt,
				      ...)
{
	char piece[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(piece))
		n = (int)sizeof(piece) - 1;
	if (n > 0)
		pulse__text_add(t, piece, (size_t)n);
}

static inline struct pulse__text pulse__text_on(char *buf, size_t room)
{
	if (buf && room)
		buf[0] = 0;
	return (struct pulse__text){ buf, buf ? room : 0, 0 };
}

/* A floating-point number, whatever the locale has for a point. */
static inline void pulse__text_f64(struct pulse__text *t, double v, int digits)
{
	char piece[40];

	/* The shortest that reads back as the same, within @digits. */
	for (int n = 1; n <= digits; n++) {
		snprintf(piece, sizeof(piece), "%.*g", n, v);
		if (strtod(piece, NULL) == v)
			break;
	}
	for (char *c = piece; *c; c++)
		if (*c == ',')
			*c = '.';
	pulse__text_puts(t, piece);
}

/* Why something was refused, for the caller. */
__attribute__((format(printf, 3, 4)))
static inline void pulse__why(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	if (!why || !len)
		return;
	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
}

#endif /* PULSE__TEXT_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_TEXT_H
#define VIGILANT_TEXT_H

#include <stddef.h>

/*
 * A text that grows. One thread at a time. Out of memory it is cut short, and
 * cut is set: who sends it looks.
 */
struct text {
	char *at;
	size_t len, size;
	int cut;
};

__attribute__((format(printf, 2, 3)))
void text_add(struct text *t, const char *fmt, ...);
/* As a JSON string; @s is UTF-8. */
void text_string(struct text *t, const char *s, size_t len);
void text_free(struct text *t);

#endif /* VIGILANT_TEXT_H */

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* topic.c - types of events, and patterns of them. */
#include "bus/bus.h"

/* FNV-1a */
uint32_t pulse__topic_hash(const char *type)
{
	uint32_t h = 2166136261U;

	while (*type)
		h = (h ^ (unsigned char)*type++) * 16777619U;
	return h ^ h >> 15;
}

int pulse__topic_check(const char *type)
{
	const char *word = type, *c;
	int pattern = 0;

	for (c = type;; c++) {
		size_t len = (size_t)(c - word);

		if ((size_t)(c - type) > PULSE_BUS_TYPE_MAX)
			return -EINVAL;
		if (*c && *c != '.') {
			if ((unsigned char)*c <= ' ' || *c == 0x7f)
				return -EINVAL;
			continue;
		}
		if (!len)
			return -EINVAL;
		if (memchr(word, '*', len) || memchr(word, '>', len)) {
			/* A word of its own, and ">" the last one. */
			if (len > 1 || (*word == '>' && *c))
				return -EINVAL;
			pattern = 1;
		}
		if (!*c)
			return pattern;
		word = c + 1;
	}
}

bool pulse__topic_match(const char *p, const char *t)
{
	for (;;) {
		if (*p == '>')
			return true;
		if (*p == '*') {
			p++;
			t += strcspn(t, ".");
		} else {
			while (*p && *p != '.' && *p == *t) {
				p++;
				t++;
			}
		}
		/* Both at the end of a word? */
		if (*p != *t)
			return false;
		if (!*p)
			return true;
		p++;
		t++;
	}
}

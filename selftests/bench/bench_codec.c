// SPDX-License-Identifier: GPL-2.0-only
/*
 * Masking and UTF-8 of WebSocket: each codec of this CPU beside the plain one,
 * in bytes a nanosecond, and how many times the plain one's speed that is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "by_value.h"
#include "ws/codec.h"

#define ROUNDS	9
#define BYTES	(64U << 10)

static uint8_t text[BYTES + 8];

/* Dense: hardly an ASCII byte, all lengths. */
static size_t dense(void)
{
	static const char *const chars[] = { "ä", "€", "漢", "😀", "ж", "字" };
	uint32_t x = 1;
	size_t n = 0;

	while (n + 4 <= BYTES) {
		const char *c = chars[(x = x * 1664525 + 1013904223) >> 16 & 3];

		memcpy(text + n, c, strlen(c));
		n += strlen(c);
	}
	return n;
}

static double rate(const struct pulse__ws_codec *codec, int what, size_t n)
{
	double r[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		int64_t begin = pulse_now_ns();
		int times = 0;

		for (; times < 200; times++) {
			uint32_t s = 0;

			if (!what)
				codec->mask(text, text, n, 0x12345678);
			else if (!codec->utf8(&s, text, n))
				abort();
		}
		r[i] = (double)n * times / (double)(pulse_now_ns() - begin);
	}
	qsort(r, ROUNDS, sizeof(r[0]), by_value);
	return r[ROUNDS / 2];
}

int main(void)
{
	const struct pulse__ws_codec *codec;
	double plain[3];

	printf("%-8s %-14s %10s %8s\n", "codec", "what", "bytes/ns", "ratio");
	for (int what = 0; what < 3; what++) {
		static const char *const names[] = { "mask", "UTF-8, ASCII",
						     "UTF-8, dense" };
		size_t n = BYTES;

		if (what == 2)
			n = dense();
		else
			memset(text, 'x', n);
		plain[what] = rate(&pulse__ws_codec_word, what, n);
		for (unsigned int i = 0; (codec = pulse__ws_codec_get(i)); i++) {
			double r = rate(codec, what, n);

			printf("%-8s %-14s %10.2f %8.2f\n", codec->name,
			       names[what], r, r / plain[what]);
		}
	}
	return 0;
}

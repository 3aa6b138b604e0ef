// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * codec_word.c - masking and UTF-8 in plain C, eight bytes at a time.
 */
#include "ws/codec.h"

static void word_mask(uint8_t *to, const uint8_t *p, size_t n, uint32_t key)
{
	uint64_t wide = (uint64_t)key << 32 | key, w;

	/* Unaligned words: memcpy becomes one load and one store. */
	for (; n >= 32; to += 32, p += 32, n -= 32)
		for (size_t i = 0; i < 32; i += 8) {
			memcpy(&w, p + i, 8);
			w ^= wide;
			memcpy(to + i, &w, 8);
		}
	for (; n >= 8; to += 8, p += 8, n -= 8) {
		memcpy(&w, p, 8);
		w ^= wide;
		memcpy(to, &w, 8);
	}
	if (n & 4) {
		uint32_t h;

		memcpy(&h, p, 4);
		h ^= key;
		memcpy(to, &h, 4);
		to += 4;
		p += 4;
	}
	for (size_t i = 0; i < (n & 3); i++)
		to[i] = p[i] ^ ((const uint8_t *)&key)[i];
}

/*
 * The state within a character: how many bytes are to come, and the range the
 * next one must be in, which rules out overlong forms, surrogates and what
 * lies above U+10FFFF (Unicode 15, table 3-7).
 */
#define STATE(left, lo, hi)	((uint32_t)(left) | (lo) << 8 | (hi) << 16)

static uint32_t begin_char(uint8_t c)
{
	if (c < 0x80)
		return 0;
	if (c < 0xc2 || c > 0xf4)
		return UINT32_MAX;
	if (c < 0xe0)
		return STATE(1, 0x80U, 0xbfU);
	if (c < 0xf0)
		return STATE(2, c == 0xe0 ? 0xa0U : 0x80U,
			     c == 0xed ? 0x9fU : 0xbfU);
	return STATE(3, c == 0xf0 ? 0x90U : 0x80U, c == 0xf4 ? 0x8fU : 0xbfU);
}

static bool word_utf8(uint32_t *state, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	uint32_t s = *state;

	while (p < end) {
		if (!s) {
			uint64_t w;

			while (end - p >= 8) {
				memcpy(&w, p, 8);
				if (w & 0x8080808080808080ULL)
					break;
				p += 8;
			}
			if (p == end)
				break;
			s = begin_char(*p++);
			if (s == UINT32_MAX)
				return false;
			continue;
		}
		if (*p < (s >> 8 & 0xff) || *p > (s >> 16 & 0xff))
			return false;
		p++;
		s &= 0xff;
		s = s == 1 ? 0 : STATE(s - 1, 0x80U, 0xbfU);
	}
	*state = s;
	return true;
}

const struct pulse__ws_codec pulse__ws_codec_word = {
	.name = "word",
	.mask = word_mask,
	.utf8 = word_utf8,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * codec.h - masking and UTF-8, behind a table, so that a loop can take the
 * fastest its CPU has.
 */
#ifndef PULSE__WS_CODEC_H
#define PULSE__WS_CODEC_H

#include "base/base.h"

struct pulse__ws_codec {
	const char *name;
	/* Can this CPU do it? NULL: any can. */
	bool (*usable)(void);
	/* XOR @bytes with the key's four bytes over and over, in place. */
	void (*mask)(uint8_t *data, size_t bytes, uint32_t key);
	/*
	 * Look at the next piece of a text. @state is 0 at the text's start, and
	 * 0 again wherever no character is cut in two. False: not UTF-8.
	 */
	bool (*utf8)(uint32_t *state, const uint8_t *data, size_t bytes);
};

/* Plain C, eight bytes at a time. */
extern const struct pulse__ws_codec pulse__ws_codec_word;
extern const struct pulse__ws_codec pulse__ws_codec_ssse3;
extern const struct pulse__ws_codec pulse__ws_codec_avx2;

/* The codecs that this CPU can use, the fastest is 0; NULL: no more. */
const struct pulse__ws_codec *pulse__ws_codec_get(unsigned int n);

/* A key is its four bytes as they lie in the frame, in native byte order. */
static inline uint32_t pulse__ws_key(const uint8_t bytes[4])
{
	uint32_t key;

	memcpy(&key, bytes, sizeof(key));
	return key;
}

/* The key as it stands after so many bytes of payload. */
static inline uint32_t pulse__ws_key_after(uint32_t key, size_t bytes)
{
	unsigned int shift = 8 * (bytes & 3);

	if (!shift)
		return key;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return key >> shift | key << (32 - shift);
#else
	return key << shift | key >> (32 - shift);
#endif
}

static inline uint64_t pulse__ws_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void pulse__ws_store64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * Masks what a codec's call would be the larger part of: 8 to 32 bytes as words
 * from both ends, which may overlap, for all are read before one is written.
 * False: of another length, nothing was done. *@seen: the bits that any of the
 * bytes has then; where none is over 0x7f it is ASCII.
 */
static inline bool pulse__ws_mask_short(uint8_t *p, size_t n, uint32_t key,
					uint64_t *seen)
{
	uint32_t end = pulse__ws_key_after(key, n);
	uint64_t k = (uint64_t)key << 32 | key, e = (uint64_t)end << 32 | end;
	uint64_t a, b, y, z;

	if (n - 8 > 24)
		return false;
	a = pulse__ws_load64(p) ^ k;
	z = pulse__ws_load64(p + n - 8) ^ e;
	*seen = a | z;
	if (n > 16) {
		b = pulse__ws_load64(p + 8) ^ k;
		y = pulse__ws_load64(p + n - 16) ^ e;
		pulse__ws_store64(p + 8, b);
		pulse__ws_store64(p + n - 16, y);
		*seen |= b | y;
	}
	pulse__ws_store64(p, a);
	pulse__ws_store64(p + n - 8, z);
	return true;
}

#endif /* PULSE__WS_CODEC_H */

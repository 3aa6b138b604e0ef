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

#endif /* PULSE__WS_CODEC_H */

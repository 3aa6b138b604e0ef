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
	/*
	 * XOR @bytes with the key's four bytes over and over. From where they lie to
	 * the same place, to one before it, which they may overlap, or to another.
	 */
	void (*mask)(uint8_t *to, const uint8_t *from, size_t bytes, uint32_t key);
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

	/* A rotation by one instruction, 0 being no case of its own. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return key >> shift | key << (-shift & 31);
#else
	return key << shift | key >> (-shift & 31);
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

/* Four words at once; the compiler makes of it what the CPU has. */
typedef uint32_t pulse__ws_quad __attribute__((vector_size(16)));

static inline pulse__ws_quad pulse__ws_load128(const uint8_t *p)
{
	pulse__ws_quad v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void pulse__ws_store128(uint8_t *p, pulse__ws_quad v)
{
	memcpy(p, &v, sizeof(v));
}

static inline bool pulse__ws_no_high_bit(pulse__ws_quad v)
{
#ifdef __SSE2__
	typedef char bytes __attribute__((vector_size(16)));

	return !__builtin_ia32_pmovmskb128((bytes)v);
#else
	return !((v[0] | v[1] | v[2] | v[3]) & 0x80808080U);
#endif
}

/*
 * Masks what a codec's call would be the larger part of, 8 to 32 bytes, as words
 * from both ends, which may overlap, for all are read before one is written.
 * False: of another length, nothing was done.
 */
static inline bool pulse__ws_mask_short(uint8_t *to, const uint8_t *p, size_t n,
					uint32_t key)
{
	uint32_t end = pulse__ws_key_after(key, n);

	if (unlikely(n - 8 > 24))
		return false;
	if (likely(n >= 16)) {
		pulse__ws_quad a = pulse__ws_load128(p) ^ key;
		pulse__ws_quad z = pulse__ws_load128(p + n - 16) ^ end;

		/* In this order, for what reads the beginning: see below. */
		pulse__ws_store128(to + n - 16, z);
		pulse__ws_store128(to, a);
	} else {
		uint64_t k = (uint64_t)key << 32 | key;
		uint64_t e = (uint64_t)end << 32 | end;
		uint64_t a = pulse__ws_load64(p) ^ k;
		uint64_t z = pulse__ws_load64(p + n - 8) ^ e;

		pulse__ws_store64(to, a);
		pulse__ws_store64(to + n - 8, z);
	}
	return true;
}

/* Are these 8 to 32 bytes ASCII? False: not, or of another length. */
static inline bool pulse__ws_ascii_short(const uint8_t *p, size_t n)
{
	if (unlikely(n - 8 > 24))
		return false;
	if (likely(n >= 16)) {
		pulse__ws_quad seen = pulse__ws_load128(p) |
				      pulse__ws_load128(p + n - 16);

		return pulse__ws_no_high_bit(seen);
	}
	return !((pulse__ws_load64(p) | pulse__ws_load64(p + n - 8)) &
		 0x8080808080808080ULL);
}

/*
 * Copies short pieces without a call; larger ones are memcpy()'s. Most have just been
 * written by pulse__ws_mask_short(), and a read that needs two writes which are
 * still under way waits for both, which is longer than all the rest: so each takes
 * what one of them wrote last, as far as the length allows.
 */
static inline void pulse__ws_copy_short(uint8_t *to, const uint8_t *from,
					size_t n)
{
	if (likely(n - 20 <= 12)) {
		pulse__ws_quad a = pulse__ws_load128(from);

		if (likely(n >= 24)) {
			uint64_t y = pulse__ws_load64(from + 16);
			uint64_t z = pulse__ws_load64(from + n - 8);

			pulse__ws_store64(to + 16, y);
			pulse__ws_store64(to + n - 8, z);
		} else {
			uint32_t y = pulse__ws_key(from + 16);
			uint32_t z = pulse__ws_key(from + n - 4);

			memcpy(to + 16, &y, sizeof(y));
			memcpy(to + n - 4, &z, sizeof(z));
		}
		pulse__ws_store128(to, a);
	} else if (n - 16 <= 4) {
		pulse__ws_quad a = pulse__ws_load128(from);
		pulse__ws_quad z = pulse__ws_load128(from + n - 16);

		pulse__ws_store128(to, a);
		pulse__ws_store128(to + n - 16, z);
	} else {
		memcpy(to, from, n);
	}
}

#endif /* PULSE__WS_CODEC_H */

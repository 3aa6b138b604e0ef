// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * codec_avx2.c - 32 bytes at a time, on x86 CPUs with AVX2; see codec_lookup.h.
 */
#ifdef __x86_64__

#include <immintrin.h>
#include <stdint.h>

#define TARGET	__attribute__((target("avx2")))
#define VECTOR	32
#define V	__m256i

#define v_load(p)	_mm256_loadu_si256((const __m256i *)(const void *)(p))
#define v_store(p, v)	_mm256_storeu_si256((__m256i *)(void *)(p), v)
#define v_all(c)	_mm256_set1_epi8((char)(c))
#define v_all_32(w)	_mm256_set1_epi32((int)(w))
#define v_and(a, b)	_mm256_and_si256(a, b)
#define v_or(a, b)	_mm256_or_si256(a, b)
#define v_xor(a, b)	_mm256_xor_si256(a, b)
#define v_sub_floor(a, b) _mm256_subs_epu8(a, b)
#define v_is_ascii(v)	(!_mm256_movemask_epi8(v))
#define v_is_zero(v)	_mm256_testz_si256(v, v)
#define v_high_half(v)	v_and(_mm256_srli_epi16(v, 4), v_all(0x0f))
#define v_last_three(x, y, z)						\
	_mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,	\
			 -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,	\
			 -1, -1, -1, -1, -1, (char)(x), (char)(y), (char)(z))

static inline TARGET V v_lookup(const uint8_t table[16], V index)
{
	__m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);

	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

/* @in moved up by so many bytes, the last ones of @before below it. */
#define shift_in(in, before, n)						\
	_mm256_alignr_epi8(in, _mm256_permute2x128_si256(before, in, 0x21),	\
			   16 - (n))
#define v_shift_in_1(in, before)	shift_in(in, before, 1)
#define v_shift_in_2(in, before)	shift_in(in, before, 2)
#define v_shift_in_3(in, before)	shift_in(in, before, 3)

#include "ws/codec_lookup.h"

static bool usable(void)
{
	return __builtin_cpu_supports("avx2");
}

const struct pulse__ws_codec pulse__ws_codec_avx2 = {
	.name = "avx2",
	.usable = usable,
	.mask = lookup_mask,
	.utf8 = lookup_utf8,
};

#endif /* __x86_64__ */

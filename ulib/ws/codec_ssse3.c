// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * codec_ssse3.c - 16 bytes at a time, on x86 CPUs since 2006; see codec_lookup.h.
 */
#ifdef __x86_64__

#include <stdint.h>
#include <tmmintrin.h>

#define TARGET	__attribute__((target("ssse3")))
#define VECTOR	16
#define V	__m128i

#define v_load(p)	_mm_loadu_si128((const __m128i *)(const void *)(p))
#define v_store(p, v)	_mm_storeu_si128((__m128i *)(void *)(p), v)
#define v_all(c)	_mm_set1_epi8((char)(c))
#define v_all_32(w)	_mm_set1_epi32((int)(w))
#define v_and(a, b)	_mm_and_si128(a, b)
#define v_or(a, b)	_mm_or_si128(a, b)
#define v_xor(a, b)	_mm_xor_si128(a, b)
#define v_sub_floor(a, b) _mm_subs_epu8(a, b)
#define v_is_ascii(v)	(!_mm_movemask_epi8(v))
#define v_is_zero(v)							\
	(_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128())) == 0xffff)
#define v_high_half(v)	v_and(_mm_srli_epi16(v, 4), v_all(0x0f))
#define v_last_three(x, y, z)						\
	_mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,	\
		      (char)(x), (char)(y), (char)(z))
#define v_lookup(table, index)	_mm_shuffle_epi8(v_load(table), index)
#define v_shift_in_1(in, before)	_mm_alignr_epi8(in, before, 15)
#define v_shift_in_2(in, before)	_mm_alignr_epi8(in, before, 14)
#define v_shift_in_3(in, before)	_mm_alignr_epi8(in, before, 13)

#include "ws/codec_lookup.h"

static bool usable(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct pulse__ws_codec pulse__ws_codec_ssse3 = {
	.name = "ssse3",
	.usable = usable,
	.mask = lookup_mask,
	.utf8 = lookup_utf8,
};

#endif /* __x86_64__ */

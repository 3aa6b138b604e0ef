/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * codec_lookup.h - masking and UTF-8 a vector at a time, for any width.
 *
 * UTF-8: J. Keiser, D. Lemire, "Validating UTF-8 in less than one instruction
 * per byte", Software: Practice and Experience 51 (2021), section 6. Whatever
 * can be wrong with a byte shows in it and the three before it: three tables of
 * 16, looked up by half bytes, say which errors each half allows, and what all
 * three allow is an error; that a third or fourth byte must be a continuation is
 * seen by comparing.
 *
 * Included by one file for each width, which defines V, VECTOR (its bytes),
 * TARGET and the operations below. Of what a call gives, the first whole
 * vectors are done so and the rest is left to plain C, which also takes up a
 * character that the last of them has cut.
 */
#include "ws/codec.h"

#define TOO_SHORT	(1 << 0)	/* no continuation where one must be */
#define TOO_LONG	(1 << 1)	/* a continuation of ASCII */
#define OVERLONG_3	(1 << 2)
#define TOO_LARGE	(1 << 3)	/* above U+10FFFF */
#define SURROGATE	(1 << 4)
#define OVERLONG_2	(1 << 5)
#define TOO_LARGE_1000	(1 << 6)
#define OVERLONG_4	(1 << 6)
#define TWO_CONTS	(1 << 7)	/* taken back where there must be two */
#define CARRY		(TOO_SHORT | TOO_LONG | TWO_CONTS)
#define LARGE		(CARRY | TOO_LARGE | TOO_LARGE_1000)

/* By the high half of the byte before, its low half, and our high half. */
static const uint8_t before_high[16] = {
	TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
	TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
	TWO_CONTS, TWO_CONTS, TWO_CONTS, TWO_CONTS,
	TOO_SHORT | OVERLONG_2, TOO_SHORT,
	TOO_SHORT | OVERLONG_3 | SURROGATE,
	TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
};

static const uint8_t before_low[16] = {
	CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, CARRY | OVERLONG_2,
	CARRY, CARRY, CARRY | TOO_LARGE, LARGE, LARGE, LARGE,
	LARGE, LARGE, LARGE, LARGE, LARGE, LARGE | SURROGATE, LARGE, LARGE,
};

#define CONT		(TOO_LONG | OVERLONG_2 | TWO_CONTS)
static const uint8_t our_high[16] = {
	TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
	TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
	CONT | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
	CONT | OVERLONG_3 | TOO_LARGE, CONT | SURROGATE | TOO_LARGE,
	CONT | SURROGATE | TOO_LARGE,
	TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
};

/* The errors of @in, with the vector before it. */
static inline TARGET V errors_of(V in, V before)
{
	const V low = v_all(0x0f);
	V b1 = v_shift_in_1(in, before);
	V special = v_and(v_and(v_lookup(before_high, v_high_half(b1)),
				v_lookup(before_low, v_and(b1, low))),
			  v_lookup(our_high, v_high_half(in)));
	/* 0x80 and more: two back a byte of E0 and more, three back of F0. */
	V third = v_sub_floor(v_shift_in_2(in, before), v_all(0xe0 - 0x80));
	V fourth = v_sub_floor(v_shift_in_3(in, before), v_all(0xf0 - 0x80));
	V must = v_and(v_or(third, fourth), v_all(0x80));

	return v_xor(must, special);
}

/* Not 0: the vector ends within a character. */
static inline TARGET V cut_of(V in)
{
	return v_sub_floor(in, v_last_three(0xf0 - 1, 0xe0 - 1, 0xc0 - 1));
}

/* Where the character that the bytes before @p have cut begins, or @p. */
static const uint8_t *begin_of_cut(const uint8_t *p)
{
	for (int i = 1; i <= 3; i++) {
		uint8_t c = p[-i];

		if (c < 0x80)
			return p;
		if (c >= 0xc0)
			return i < (c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4) ? p - i : p;
	}
	return p;
}

static TARGET bool lookup_utf8(uint32_t *state, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	V error = v_all(0), before = v_all(0), cut = v_all(0);

	if (n < 2 * VECTOR)
		return pulse__ws_codec_word.utf8(state, p, n);
	/* To the first byte that begins a character. */
	while (*state) {
		if (!pulse__ws_codec_word.utf8(state, p++, 1))
			return false;
		if (p == end)
			return true;
	}
	for (; (size_t)(end - p) >= VECTOR; p += VECTOR) {
		V in = v_load(p);

		if (v_is_ascii(in)) {
			error = v_or(error, cut);
			cut = v_all(0);
		} else {
			error = v_or(error, errors_of(in, before));
			cut = cut_of(in);
		}
		before = in;
	}
	if (!v_is_zero(error))
		return false;
	if (!v_is_zero(cut))
		p = begin_of_cut(p);
	return pulse__ws_codec_word.utf8(state, p, (size_t)(end - p));
}

/* From so many bytes on it pays to come to a vector's beginning first. */
#define PEEL_FROM	1024

static TARGET void lookup_mask(uint8_t *to, const uint8_t *p, size_t n,
			       uint32_t key)
{
	if (n >= 2 * VECTOR) {
		V wide;

		if (n >= PEEL_FROM) {	/* lines are written whole */
			size_t head = -(uintptr_t)to % VECTOR;

			pulse__ws_codec_word.mask(to, p, head, key);
			key = pulse__ws_key_after(key, head);
			to += head;
			p += head;
			n -= head;
		}
		wide = v_all_32(key);
		/* Forwards: what is written over was read before. */
		for (; n >= 4 * VECTOR;
		     to += 4 * VECTOR, p += 4 * VECTOR, n -= 4 * VECTOR) {
			v_store(to, v_xor(v_load(p), wide));
			v_store(to + VECTOR, v_xor(v_load(p + VECTOR), wide));
			v_store(to + 2 * VECTOR,
				v_xor(v_load(p + 2 * VECTOR), wide));
			v_store(to + 3 * VECTOR,
				v_xor(v_load(p + 3 * VECTOR), wide));
		}
		for (; n >= VECTOR; to += VECTOR, p += VECTOR, n -= VECTOR)
			v_store(to, v_xor(v_load(p), wide));
	}
	pulse__ws_codec_word.mask(to, p, n, key);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each codec that this CPU can use says and does what the plain one does, whose
 * answers test_parsers has looked at one by one.
 */
#include "ktap.h"
#include "ws/codec.h"

static const struct pulse__ws_codec *const plain = &pulse__ws_codec_word;

static uint32_t next(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

KT_TEST(there_is_one_and_the_plain_one_is_the_last)
{
	const struct pulse__ws_codec *codec;
	unsigned int n = 0;

	for (; (codec = pulse__ws_codec_get(n)); n++)
		kt_note("codec %u: %s", n, codec->name);
	KT_CHECK(n >= 1 && pulse__ws_codec_get(n - 1) == plain);
	KT_CHECK(!pulse__ws_codec_get(n + 1));
}

static void masks(const struct pulse__ws_codec *codec)
{
	static uint8_t raw[1200], a[1200], b[1200];
	uint32_t x = 7;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)next(&x);
	for (size_t len = 0; len < 700; len += 1 + len / 150) {
		size_t from = next(&x) % 67, cut = len ? next(&x) % len : 0;
		uint32_t key = next(&x) << 8 ^ next(&x);

		memcpy(a, raw, sizeof(a));
		memcpy(b, raw, sizeof(b));
		plain->mask(a + from, a + from, len, key);
		codec->mask(b + from, b + from, cut, key);
		codec->mask(b + from + cut, b + from + cut, len - cut,
			    pulse__ws_key_after(key, cut));
		KT_CHECK(!memcmp(a, b, sizeof(a)));
	}
}

/* To a place before, however near, and to one far away. */
static void masks_and_moves(const struct pulse__ws_codec *codec)
{
	static uint8_t raw[3000], a[3000], b[3000];
	uint32_t x = 11;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)next(&x);
	for (size_t len = 0; len < 2300; len += 1 + len / 50) {
		for (size_t back = 0; back < 150; back += 1 + back / 9) {
			size_t to = next(&x) % 67, from = to + back;
			uint32_t key = next(&x) << 8 ^ next(&x);
			size_t bad = 0;

			memcpy(a, raw, sizeof(a));
			memcpy(b, raw, sizeof(b));
			codec->mask(a + to, a + from, len, key);
			codec->mask(b + to, raw + from, len, key);
			for (size_t i = 0; i < len; i++)
				bad += a[to + i] != (raw[from + i] ^
						     ((uint8_t *)&key)[i & 3]);
			KT_EQ(bad, 0);
			KT_CHECK(!memcmp(a + to, b + to, len));
			KT_CHECK(!memcmp(b, raw, to) &&
				 !memcmp(b + to + len, raw + to + len,
					 sizeof(raw) - to - len));
			KT_CHECK(!memcmp(a, raw, to));
			if (len < 8 || len > 32)
				continue;
			memcpy(b, raw, sizeof(b));
			KT_CHECK(pulse__ws_mask_short(b + to, b + from, len, key));
			KT_CHECK(!memcmp(a, b, sizeof(a)));
		}
	}
}

KT_TEST(short_ascii_is_told_at_each_place)
{
	uint8_t text[42];

	for (size_t len = 0; len <= 40; len++) {
		size_t wrong = 0;

		memset(text, 0x80, sizeof(text));	/* around it */
		memset(text + 1, 0x7f, len);
		KT_EQ(pulse__ws_ascii_short(text + 1, len), len >= 8 && len <= 32);
		for (size_t at = 1; at <= len; at++) {
			text[at] |= 0x80;
			wrong += pulse__ws_ascii_short(text + 1, len);
			text[at] = 0x7f;
		}
		KT_EQ(wrong, 0);
	}
}

/* Both codecs over the text, in two pieces for the one; do they agree? */
static bool agree(const struct pulse__ws_codec *codec, const uint8_t *p,
		  size_t n, size_t cut)
{
	uint32_t s = 0, t = 0;
	bool a = plain->utf8(&s, p, n), b;

	b = codec->utf8(&t, p, cut) && codec->utf8(&t, p + cut, n - cut);
	return a == b && (!a || s == t);
}

/* Whatever four bytes may be, at each place that matters. */
static void four_bytes(const struct pulse__ws_codec *codec)
{
	static const uint8_t of[] = {
		0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
		0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xef, 0xf0, 0xf1, 0xf3, 0xf4,
		0xf5, 0xff,
	};
	static const uint8_t at[] = { 0, 13, 14, 28, 29, 30, 31, 32, 60, 92 };
	const size_t n = sizeof(of);
	uint8_t text[96];
	long bad = 0;

	for (size_t k = 0; k < sizeof(at); k++) {
		for (size_t i = 0; i < n * n * n * n; i++) {
			uint8_t *p = text + at[k];

			/* The whole of it at one place, samples at the others. */
			if (at[k] != 30 && i % 17)
				continue;
			memset(text, 'x', sizeof(text));
			p[0] = of[i % n];
			p[1] = of[i / n % n];
			p[2] = of[i / n / n % n];
			p[3] = of[i / n / n / n];
			bad += !agree(codec, text, sizeof(text), sizeof(text));
		}
	}
	KT_EQ(bad, 0);
}

static size_t a_char(uint32_t *x, uint8_t *p)
{
	uint32_t c;

	do {
		c = next(x);
		c %= c & 1 ? 0x80 : c & 2 ? 0x800 : c & 4 ? 0x10000 : 0x110000;
	} while (c >= 0xd800 && c < 0xe000);
	if (c < 0x80) {
		p[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (uint8_t)(0xc0 | c >> 6);
		p[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (uint8_t)(0xe0 | c >> 12);
		p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		p[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (uint8_t)(0xf0 | c >> 18);
	p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	p[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* Texts of any length, right ones and with a byte changed, cut anywhere. */
static void texts(const struct pulse__ws_codec *codec)
{
	uint8_t text[520];
	uint32_t x = 99, s;
	long bad = 0;

	for (int round = 0; round < 20000; round++) {
		size_t want = next(&x) % 512, n = 0;

		while (n < want) {
			/* runs of ASCII as texts have them */
			if (next(&x) % 4 == 0)
				for (uint32_t k = next(&x) % 70; k && n < want; k--)
					text[n++] = 'a';
			else
				n += a_char(&x, text + n);
		}
		s = 0;
		bad += !codec->utf8(&s, text, n) || s;
		bad += !agree(codec, text, n, n ? next(&x) % n : 0);
		if (n)
			text[next(&x) % n] = (uint8_t)next(&x);
		bad += !agree(codec, text, n, n ? next(&x) % n : 0);
		bad += !agree(codec, text, n - (n > 3 ? next(&x) % 4 : 0), 0);
	}
	KT_EQ(bad, 0);
}

KT_TEST(masking)
{
	for (unsigned int i = 0; pulse__ws_codec_get(i); i++) {
		masks(pulse__ws_codec_get(i));
		masks_and_moves(pulse__ws_codec_get(i));
	}
}

KT_TEST(utf8_of_any_four_bytes)
{
	for (unsigned int i = 0; pulse__ws_codec_get(i); i++)
		four_bytes(pulse__ws_codec_get(i));
}

KT_TEST(utf8_of_texts)
{
	for (unsigned int i = 0; pulse__ws_codec_get(i); i++)
		texts(pulse__ws_codec_get(i));
}

KT_MAIN()

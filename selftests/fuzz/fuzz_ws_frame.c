// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frame headers, masking and UTF-8 against the obvious way of doing it.
 */
#include "ws/codec.h"
#include "ws/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(const uint8_t *data, size_t size)
{
	const struct pulse__ws_rules rules = { .masked = true };
	struct pulse__ws_frame f, g;
	const char *why;
	int first = 0;

	/* More bytes never change the answer, once there is one. */
	for (size_t n = 0; n <= size && n <= 16; n++) {
		int r = pulse__ws_frame_read(data, n, &rules, &f, &why);

		if (first && r != first)
			abort();
		if (r && !first)
			first = r;
		if (r < 0 && !why)
			abort();
		if (r > (int)n || r > PULSE__WS_HEADER_MAX)
			abort();
	}
	if (first > 0) {
		const struct pulse__ws_rules bare = { .masked = false };
		uint8_t out[PULSE__WS_HEADER_MAX];
		size_t n = pulse__ws_frame_write(out, data[0], f.len);

		/* Written again without the mask, it is the same frame. */
		if (n + 4 != (size_t)first ||
		    pulse__ws_frame_read(out, n, &bare, &g, &why) != (int)n ||
		    g.len != f.len || g.op != f.op || g.fin != f.fin)
			abort();
	}
}

static void mask(const uint8_t *data, size_t size)
{
	uint8_t copy[512];
	size_t n = size < sizeof(copy) ? size : sizeof(copy), cut;
	uint32_t key;

	if (n < 6)
		return;
	key = pulse__ws_key(data);
	n -= 5;
	cut = data[4] % (n + 1);
	memcpy(copy, data + 5, n);
	pulse__ws_codec_word.mask(copy, copy, cut, key);
	pulse__ws_codec_word.mask(copy + cut, copy + cut, n - cut,
				  pulse__ws_key_after(key, cut));
	for (size_t i = 0; i < n; i++)
		if (copy[i] != (data[5 + i] ^ data[i & 3]))
			abort();
}

/* By decoding each character. */
static bool plain_utf8(const uint8_t *p, size_t n)
{
	while (n) {
		uint32_t v = *p;
		size_t len = v < 0x80 ? 1 : v < 0xc0 ? 0 : v < 0xe0 ? 2 :
			     v < 0xf0 ? 3 : v < 0xf8 ? 4 : 0;

		if (!len || len > n)
			return false;
		v &= len == 1 ? 0x7fU : 0x7fU >> len;
		for (size_t i = 1; i < len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			v = v << 6 | (p[i] & 0x3f);
		}
		if ((len == 2 && v < 0x80) || (len == 3 && v < 0x800) ||
		    (len == 4 && v < 0x10000) || v > 0x10ffff ||
		    (v >= 0xd800 && v <= 0xdfff))
			return false;
		p += len;
		n -= len;
	}
	return true;
}

static void utf8(const uint8_t *data, size_t size)
{
	uint32_t one = 0, two = 0;
	size_t cut = size ? data[0] % (size + 1) : 0;
	bool whole = pulse__ws_codec_word.utf8(&one, data, size) && !one;
	bool parts = pulse__ws_codec_word.utf8(&two, data, cut) &&
		     pulse__ws_codec_word.utf8(&two, data + cut, size - cut) &&
		     !two;

	if (whole != parts || whole != plain_utf8(data, size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	header(data, size);
	mask(data, size);
	utf8(data, size);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * key.c - the handshake's key and its answer: SHA-1 and base64.
 *
 * SHA-1 protects nothing here; it shows that the server has read the key.
 */
#include "ws/key.h"

#include <sys/random.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	uint32_t w[80];

	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		       (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20) {
			f = (b & c) | (~b & d);
			k = 0x5a827999;
		} else if (i < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1;
		} else if (i < 60) {
			f = (b & c) | (b & d) | (c & d);
			k = 0x8f1bbcdc;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6;
		}
		t = rol(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void pulse__sha1(const void *data, size_t bytes, uint8_t out[20])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
			  0xc3d2e1f0 };
	uint64_t bits = (uint64_t)bytes * 8;
	const uint8_t *p = data;
	uint8_t tail[128] = { 0 };
	size_t n;

	for (; bytes >= 64; p += 64, bytes -= 64)
		sha1_block(h, p);
	if (bytes)
		memcpy(tail, p, bytes);
	tail[bytes] = 0x80;
	n = bytes < 56 ? 64 : 128;
	for (int i = 0; i < 8; i++)
		tail[n - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
	for (size_t i = 0; i < n; i += 64)
		sha1_block(h, tail + i);
	for (int i = 0; i < 20; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool pulse__ws_key_valid(const char *key)
{
	const char *last;

	if (strlen(key) != PULSE__WS_KEY_LEN || strcmp(key + 22, "=="))
		return false;
	for (int i = 0; i < 22; i++)
		if (!strchr(alphabet, key[i]))
			return false;
	/* 16 bytes leave two bits of the 22nd digit, the others are 0. */
	last = strchr(alphabet, key[21]);
	return !((last - alphabet) & 15);
}

/* Whole groups of three bytes. */
static void base64(const uint8_t *data, int bytes, char *out)
{
	for (int i = 0; i < bytes; i += 3) {
		uint32_t v = (uint32_t)data[i] << 16 |
			     (uint32_t)data[i + 1] << 8 | data[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = alphabet[v >> shift & 63];
	}
}

int pulse__ws_key_make(char key[PULSE__WS_KEY_LEN + 1])
{
	uint8_t bytes[18] = { 0 };

	if (getrandom(bytes, 16, 0) != 16)
		return -EIO;
	base64(bytes, 18, key);
	memcpy(key + 22, "==", 3);
	return 0;
}

void pulse__ws_key_accept(const char *key, char out[PULSE__WS_ACCEPT_LEN + 1])
{
	char text[PULSE__WS_KEY_LEN + sizeof(GUID)];
	uint8_t sum[21] = { 0 };

	memcpy(text, key, PULSE__WS_KEY_LEN);
	memcpy(text + PULSE__WS_KEY_LEN, GUID, sizeof(GUID));
	pulse__sha1(text, sizeof(text) - 1, sum);
	base64(sum, 21, out);
	out[PULSE__WS_ACCEPT_LEN - 1] = '=';
	out[PULSE__WS_ACCEPT_LEN] = 0;
}

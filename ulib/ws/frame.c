// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * frame.c - reading a frame header and judging it; see frame.h.
 */
#include "ws/frame.h"
#include "ws/codec.h"

static const char *judge(const struct pulse__ws_frame *f, bool masked,
			 uint8_t len7, const struct pulse__ws_rules *rules)
{
	if (unlikely(f->rsv & ~rules->rsv))
		return "reserved bit set";
	if (unlikely(masked != rules->masked))
		return masked ? "frame from a server is masked" :
				"frame from a client is not masked";
	if (likely(f->op <= PULSE__WS_BINARY))
		return NULL;
	if (f->op < PULSE__WS_CLOSE || f->op > PULSE__WS_PONG)
		return "reserved opcode";
	if (!f->fin)
		return "fragmented control frame";
	if (len7 > PULSE__WS_CONTROL_MAX)
		return "control frame over 125 bytes";
	if (f->rsv)
		return "reserved bit set in a control frame";
	return NULL;
}

static uint64_t big_endian(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

int pulse__ws_frame_read(const uint8_t *p, size_t bytes,
			 const struct pulse__ws_rules *rules,
			 struct pulse__ws_frame *f, const char **why)
{
	uint8_t len7;
	bool masked;
	int n = 2;

	if (bytes < 2)
		return 0;
	masked = p[1] & 0x80;
	len7 = p[1] & 0x7f;
	f->fin = p[0] & PULSE__WS_FIN;
	f->rsv = p[0] & 0x70;
	f->op = p[0] & 0x0f;
	/* Told by two bytes, without waiting for the rest. */
	*why = judge(f, masked, len7, rules);
	if (unlikely(*why))
		return -EPROTO;
	f->len = len7;
	if (len7 >= 126) {
		n = len7 == 126 ? 4 : 10;
		if (bytes < (size_t)n)
			return 0;
		f->len = big_endian(p + 2, n - 2);
		if (f->len >> 63)
			*why = "length of 2^63 or more";
		else if (f->len < (len7 == 126 ? 126U : 65536U))
			*why = "length not in its shortest form";
		if (unlikely(*why))
			return -EPROTO;
	}
	f->key = 0;
	if (masked) {
		if (bytes < (size_t)n + 4)
			return 0;
		f->key = pulse__ws_key(p + n);
		n += 4;
	}
	return n;
}

bool pulse__ws_code_valid(unsigned int code)
{
	if (code < 1000 || code >= 5000)
		return false;
	if (code >= 3000)
		return true;
	/* 1004 is reserved; 1005, 1006 and 1015 are never on the wire. */
	return code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

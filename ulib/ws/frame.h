/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * frame.h - frame headers (RFC 6455, section 5.2), for either role.
 *
 * What a header says by itself is judged here; what depends on the frames
 * before it (continuations, sizes of messages) by the receiver.
 */
#ifndef PULSE__WS_FRAME_H
#define PULSE__WS_FRAME_H

#include "base/base.h"

enum pulse__ws_op {
	PULSE__WS_CONT = 0,
	PULSE__WS_TEXT = 1,
	PULSE__WS_BINARY = 2,
	PULSE__WS_CLOSE = 8,
	PULSE__WS_PING = 9,
	PULSE__WS_PONG = 10,
};

#define PULSE__WS_HEADER_MAX	14
#define PULSE__WS_CONTROL_MAX	125

/* Bits of the first byte. */
#define PULSE__WS_FIN		0x80U
#define PULSE__WS_RSV1		0x40U
#define PULSE__WS_RSV2		0x20U
#define PULSE__WS_RSV3		0x10U

struct pulse__ws_frame {
	uint64_t len;		/* of the payload */
	uint32_t key;		/* 0 without a mask */
	uint8_t op;
	uint8_t rsv;		/* PULSE__WS_RSV* */
	bool fin;
};

/* What the receiving side must insist on. */
struct pulse__ws_rules {
	bool masked;		/* a server's peer masks, a client's never */
	uint8_t rsv;		/* bits an extension has agreed on */
};

static inline bool pulse__ws_is_control(uint8_t op)
{
	return op & 8;
}

/*
 * Reads a header. Its length; 0: more bytes are needed; -EPROTO: against the
 * rules, and @why says how.
 */
int pulse__ws_frame_read(const uint8_t *data, size_t bytes,
			 const struct pulse__ws_rules *rules,
			 struct pulse__ws_frame *frame, const char **why);

/* The bytes of the header of a frame without a mask. */
static inline size_t pulse__ws_frame_head(uint64_t len)
{
	return len < 126 ? 2 : len < 65536 ? 4 : 10;
}

/*
 * Writes the header of a frame without a mask into up to 10 bytes; @first is
 * PULSE__WS_FIN and the like with the opcode. Returns its length.
 */
static inline size_t pulse__ws_frame_write(uint8_t *out, uint8_t first,
					   uint64_t len)
{
	out[0] = first;
	if (len < 126) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len < 65536) {
		out[1] = 126;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		return 4;
	}
	out[1] = 127;
	for (int i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(len >> (56 - 8 * i));
	return 10;
}

/* May this code stand in a close frame? */
bool pulse__ws_code_valid(unsigned int code);

#endif /* PULSE__WS_FRAME_H */

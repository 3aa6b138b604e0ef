/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * key.h - Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455, section 4).
 */
#ifndef PULSE__WS_KEY_H
#define PULSE__WS_KEY_H

#include "base/base.h"

#define PULSE__WS_KEY_LEN	24	/* base64 of 16 bytes */
#define PULSE__WS_ACCEPT_LEN	28	/* base64 of 20 bytes */

/* Is it the base64 of 16 bytes? */
bool pulse__ws_key_valid(const char *key);
/* One of 16 random bytes, with a 0 behind it; -EIO: the system has none. */
int pulse__ws_key_make(char key[PULSE__WS_KEY_LEN + 1]);
/* The answer to a valid key, with a 0 behind it. */
void pulse__ws_key_accept(const char *key, char out[PULSE__WS_ACCEPT_LEN + 1]);

/* SHA-1 (RFC 3174) of a short text; the handshake asks for it, nothing else may. */
void pulse__sha1(const void *data, size_t bytes, uint8_t out[20]);

#endif /* PULSE__WS_KEY_H */

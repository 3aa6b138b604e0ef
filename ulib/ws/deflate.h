/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * deflate.h - permessage-deflate (RFC 7692): what two sides agree on, and the
 * two streams of a connection.
 *
 * Agreeing costs a connection struct pulse__ws_pmd; a stream of zlib, some
 * 10 to 300 KiB, is made when the first compressed message goes its way. Where
 * a direction forgets between messages (no context takeover), all connections
 * of a loop use the loop's one.
 */
#ifndef PULSE__WS_DEFLATE_H
#define PULSE__WS_DEFLATE_H

#include "base/base.h"

#include <pulse-u/ws.h>

/* zlib's own raw streams do not go down to the 8 bits of the RFC. */
#define PULSE__WS_BITS_MIN	9
#define PULSE__WS_BITS_MAX	15

/* What holds in one direction. */
struct pulse__ws_window {
	uint8_t bits;		/* log2 of the window, 8 to 15 */
	bool forget;		/* after each message: no context takeover */
};

/* The server's wishes, from its options. */
struct pulse__ws_deflate_cfg {
	bool on;
	uint8_t level;
	struct pulse__ws_window tx, rx;
	uint32_t min_bytes;	/* shorter messages go as they are */
};

/* What was agreed on; begin with all 0: nothing. */
struct pulse__ws_agreed {
	bool on;
	bool tell_tx_bits;	/* the answer names server_max_window_bits */
	bool tell_rx_bits;	/* ... client_max_window_bits */
	struct pulse__ws_window tx, rx;
};

/* The longest answer of pulse__ws_deflate_answer(), with its 0. */
#define PULSE__WS_ANSWER_MAX	160

/*
 * Looks through one Sec-WebSocket-Extensions field for the first offer that
 * the server can take. -EPROTO: against the grammar of RFC 6455, section 9.1.
 */
int pulse__ws_deflate_offer(const struct pulse__ws_deflate_cfg *cfg,
			    const char *field, struct pulse__ws_agreed *out);
/* The value of the answer's field; its length. */
size_t pulse__ws_deflate_answer(const struct pulse__ws_agreed *agreed,
				char text[PULSE__WS_ANSWER_MAX]);

/* A client's side of it: what it offers, with the options' own names; length. */
size_t pulse__ws_deflate_ask(const struct pulse__ws_deflate_cfg *cfg,
			     char text[PULSE__WS_ANSWER_MAX]);
/*
 * What the server's one field says to that, from the client's side. -EPROTO:
 * something that was not offered.
 */
int pulse__ws_deflate_accept(const struct pulse__ws_deflate_cfg *cfg,
			     const char *field, struct pulse__ws_agreed *out);

struct z_stream_s;

/* Streams that forget, shared by a loop's connections; by bits. */
struct pulse__ws_shared {
	struct z_stream_s *tx[PULSE__WS_BITS_MAX + 1];
	struct z_stream_s *rx[PULSE__WS_BITS_MAX + 1];
	uint8_t *scratch;	/* compressed bytes on their way out */
	size_t room;
};

void pulse__ws_shared_free(struct pulse__ws_shared *shared);

/* A connection's. */
struct pulse__ws_pmd {
	struct pulse__ws_window tx, rx;
	uint8_t level;
	struct z_stream_s *ztx, *zrx;	/* own ones, made when needed */
	struct z_stream_s *now;		/* of the message under way */
	uint64_t bytes;		/* received of it, by whoever feeds them */
	bool ended;		/* its stream has, with the last byte fed */
	bool stale;		/* the peer's window has moved without ztx */
};

struct pulse__ws_pmd *pulse__ws_pmd_new(const struct pulse__ws_agreed *agreed,
					uint8_t level);
void pulse__ws_pmd_free(struct pulse__ws_pmd *pmd);

/*
 * Compresses a message into shared->scratch: its length there. -ENOMEM and
 * -E2BIG (it would not become shorter): send it as it is, the peer's window is
 * not concerned; -EPIPE: the stream is lost.
 */
int64_t pulse__ws_deflate(struct pulse__ws_pmd *pmd,
			  struct pulse__ws_shared *shared, const void *data,
			  size_t len);

/* Where the text of a message under way goes. */
struct pulse__ws_sink {
	/* Room for at least one byte more, and how much there is; or NULL. */
	uint8_t *(*room)(void *arg, size_t *bytes);
	/* So many bytes were written; false: stop. */
	bool (*wrote)(void *arg, size_t bytes);
	void *arg;
};

/*
 * Feeds compressed bytes; @last: the message ends with them. 0; -EBADMSG not
 * such a stream, or it ends within a block; -ENOMEM; -ECANCELED the sink said
 * so.
 */
int pulse__ws_inflate(struct pulse__ws_pmd *pmd,
		      struct pulse__ws_shared *shared, const uint8_t *data,
		      size_t len, bool last, const struct pulse__ws_sink *sink);

#endif /* PULSE__WS_DEFLATE_H */

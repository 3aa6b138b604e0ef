// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * deflate.c - the streams of permessage-deflate (RFC 7692, section 7.2); see
 * deflate.h. All of it is a loop thread's.
 *
 * A message's bytes are those of a raw deflate stream up to a sync flush, less
 * the four bytes 00 00 ff ff that end each of them. A peer may also end its
 * stream for good within a message (a block with BFINAL); what follows is a new
 * stream that still refers to the window of the old one.
 */
#include "ws/deflate.h"

#include <zlib.h>

/* A stored block of no bytes: what is cut off, and added again. */
static const uint8_t tail[4] = { 0x00, 0x00, 0xff, 0xff };

static void *z_alloc(void *opaque, unsigned int items, unsigned int size)
{
	(void)opaque;
	return pulse__calloc(items, size);
}

static void z_free(void *opaque, void *mem)
{
	(void)opaque;
	pulse__free(mem);
}

static struct z_stream_s *z_new(void)
{
	z_stream *z = pulse__calloc(1, sizeof(*z));

	if (z) {
		z->zalloc = z_alloc;
		z->zfree = z_free;
	}
	return z;
}

static void tx_free(z_stream *z)
{
	if (!z)
		return;
	deflateEnd(z);
	pulse__free(z);
}

static void rx_free(z_stream *z)
{
	if (!z)
		return;
	inflateEnd(z);
	pulse__free(z);
}

void pulse__ws_shared_free(struct pulse__ws_shared *shared)
{
	for (int i = 0; i <= PULSE__WS_BITS_MAX; i++) {
		tx_free(shared->tx[i]);
		rx_free(shared->rx[i]);
		shared->tx[i] = shared->rx[i] = NULL;
	}
	pulse__free(shared->scratch);
	shared->scratch = NULL;
	shared->room = 0;
}

struct pulse__ws_pmd *pulse__ws_pmd_new(const struct pulse__ws_agreed *agreed,
					uint8_t level)
{
	struct pulse__ws_pmd *pmd = pulse__calloc(1, sizeof(*pmd));

	if (!pmd)
		return NULL;
	pmd->tx = agreed->tx;
	pmd->rx = agreed->rx;
	pmd->level = level;
	return pmd;
}

void pulse__ws_pmd_free(struct pulse__ws_pmd *pmd)
{
	if (!pmd)
		return;
	tx_free(pmd->ztx);
	rx_free(pmd->zrx);
	pulse__free(pmd);
}

/* ---- out ------------------------------------------------------------------ */

static z_stream *tx_stream(struct pulse__ws_pmd *pmd,
			   struct pulse__ws_shared *shared)
{
	struct z_stream_s **at = pmd->tx.forget ? &shared->tx[pmd->tx.bits] :
						  &pmd->ztx;
	z_stream *z = *at;

	if (z) {
		/* What refers to nothing is right whatever the window holds. */
		if (pmd->tx.forget || pmd->stale)
			deflateReset(z);
		pmd->stale = false;
		return z;
	}
	z = z_new();
	if (!z)
		return NULL;
	/* Less memory for a smaller window: it is what such a peer asks for. */
	if (deflateInit2(z, pmd->level, Z_DEFLATED, -(int)pmd->tx.bits,
			 pmd->tx.bits < 12 ? 5 : 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		pulse__free(z);
		return NULL;
	}
	*at = z;
	return z;
}

static bool scratch_grow(struct pulse__ws_shared *shared, size_t room)
{
	uint8_t *mem;

	if (shared->room >= room)
		return true;
	mem = pulse__realloc(shared->scratch, room);
	if (!mem)
		return false;
	shared->scratch = mem;
	shared->room = room;
	return true;
}

int64_t pulse__ws_deflate(struct pulse__ws_pmd *pmd,
			  struct pulse__ws_shared *shared, const void *data,
			  size_t len)
{
	z_stream *z;
	size_t out = 0;

	/* zlib counts in 32 bits; before anything is fed, or both sides part. */
	if (len > UINT32_MAX / 2)
		return -E2BIG;
	z = tx_stream(pmd, shared);
	/* All that may come of it, and of the flush, so that nothing can fail. */
	if (!z || !scratch_grow(shared, deflateBound(z, len) + 64))
		return -ENOMEM;
	z->next_in = (void *)(uintptr_t)data;
	z->avail_in = (unsigned int)len;
	z->next_out = shared->scratch;
	z->avail_out = (unsigned int)shared->room;
	if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in || !z->avail_out)
		return -EPIPE;
	out = shared->room - z->avail_out - sizeof(tail);
	if (out >= len && pmd->tx.forget)
		return -E2BIG;
	return (int64_t)out;
}

/* ---- in ------------------------------------------------------------------- */

static z_stream *rx_stream(struct pulse__ws_pmd *pmd,
			   struct pulse__ws_shared *shared)
{
	z_stream *z = pmd->zrx;

	if (z)
		return z;
	if (pmd->rx.forget) {
		/* Taken while the message lasts: others may be under way, too. */
		z = shared->rx[pmd->rx.bits];
		shared->rx[pmd->rx.bits] = NULL;
	}
	if (z) {
		inflateReset(z);
		pmd->zrx = z;
		return z;
	}
	z = z_new();
	if (!z)
		return NULL;
	if (inflateInit2(z, -(int)pmd->rx.bits) != Z_OK) {
		pulse__free(z);
		return NULL;
	}
	pmd->zrx = z;
	return z;
}

/* The message is through: a stream that forgets goes back to the loop. */
static void rx_done(struct pulse__ws_pmd *pmd, struct pulse__ws_shared *shared)
{
	pmd->now = NULL;
	if (!pmd->rx.forget)
		return;
	if (shared->rx[pmd->rx.bits])
		rx_free(pmd->zrx);
	else
		shared->rx[pmd->rx.bits] = pmd->zrx;
	pmd->zrx = NULL;
}

/* A new stream behind one that has ended, with its window. */
static int go_on(z_stream *z)
{
	uint8_t window[1 << PULSE__WS_BITS_MAX];
	unsigned int len = 0;

	if (inflateGetDictionary(z, window, &len) != Z_OK ||
	    inflateReset(z) != Z_OK ||
	    (len && inflateSetDictionary(z, window, len) != Z_OK))
		return -EBADMSG;
	return 0;
}

/* Until all is fed and all that comes of it is out. *ended: so is the stream. */
static int feed(z_stream *z, const uint8_t *data, size_t len,
		const struct pulse__ws_sink *sink, bool *ended)
{
	z->next_in = (void *)(uintptr_t)data;
	z->avail_in = (unsigned int)len;
	*ended = false;
	for (;;) {
		size_t room;
		uint8_t *to = sink->room(sink->arg, &room);
		int r;

		if (!to)
			return -ENOMEM;
		if (room > UINT32_MAX)
			room = UINT32_MAX;
		z->next_out = to;
		z->avail_out = (unsigned int)room;
		r = inflate(z, Z_SYNC_FLUSH);
		room -= z->avail_out;
		if (room && !sink->wrote(sink->arg, room))
			return -ECANCELED;
		if (r == Z_STREAM_END) {
			*ended = true;
			return 0;
		}
		if (r == Z_MEM_ERROR)
			return -ENOMEM;
		if (r != Z_OK && r != Z_BUF_ERROR)
			return -EBADMSG;
		/* Room was left: nothing more comes of what was fed. */
		if (z->avail_out)
			return z->avail_in ? -EBADMSG : 0;
	}
}

static int feed_all(struct pulse__ws_pmd *pmd, const uint8_t *data, size_t len,
		    const struct pulse__ws_sink *sink)
{
	z_stream *z = pmd->now;

	while (len) {
		size_t piece = len < (1U << 30) ? len : 1U << 30;
		int err = feed(z, data, piece, sink, &pmd->ended);

		if (err)
			return err;
		len -= piece - z->avail_in;
		data += piece - z->avail_in;
		if (!pmd->ended)
			continue;
		err = go_on(z);
		if (err)
			return err;
	}
	return 0;
}

int pulse__ws_inflate(struct pulse__ws_pmd *pmd,
		      struct pulse__ws_shared *shared, const uint8_t *data,
		      size_t len, bool last, const struct pulse__ws_sink *sink)
{
	int err;

	if (!pmd->now) {
		pmd->ended = false;
		pmd->now = rx_stream(pmd, shared);
	}
	if (!pmd->now)
		return -ENOMEM;
	err = feed_all(pmd, data, len, sink);
	if (err || !last)
		return err;
	/* Where the stream has just ended for good there is no flush to end. */
	if (!pmd->ended) {
		err = feed_all(pmd, tail, sizeof(tail), sink);
		/* 128: between two blocks. Else the tail was taken for data. */
		if (!err && !pmd->ended && !(pmd->now->data_type & 128))
			err = -EBADMSG;
	}
	if (!err)
		rx_done(pmd, shared);
	return err;
}

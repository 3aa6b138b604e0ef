// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tx_ref.c - messages that go out from where they lie.
 *
 * A large one is given to the transport as it was given to us. One that a handler
 * sends back as it came is an answer already, but for its header, for which there
 * is room: a client's header is four bytes longer than the one that goes back.
 * Messages of a read are unmasked to where they close up with the answers before
 * them (loop->place), so that these are one piece, given to the transport at the
 * end of the read, once and without a copy:
 *
 *	| header answer | header answer |      | message in hand |  rest of the read
 *	^ ref[]                         ^ place
 *
 * What is not sent back is written over by the next. Whatever else is sent to the
 * connection meanwhile comes behind the answers: these are copied to the queue, or
 * sent if they are long, and where they were copied, so is all else that the read
 * brings. So is what a transport does not take.
 *
 * A long message that had come in part before lies in a buffer of its own, which is
 * kept until then: its answer goes out with those of what was read behind it.
 */
#include "ws/tx_quick.h"

/*
 * What the transport said to @queued bytes of the queue and the pieces behind it:
 * the rest of these is copied.
 */
static int pieces_left(struct pulse_ws_conn *conn, const struct iovec *pieces,
		       int nr_pieces, size_t queued, ssize_t n)
{
	int nr, err = 0;
	size_t skip;

	if (n == -EAGAIN)
		n = 0;
	if (n < 0) {
		pulse__ws_doom(conn, conn->end);
		return -EPIPE;
	}
	skip = (size_t)n > queued ? (size_t)n - queued : 0;
	pulse__ws_consume(conn, (size_t)n - skip);
	for (nr = 0; nr < nr_pieces && skip >= pieces[nr].iov_len; nr++)
		skip -= pieces[nr].iov_len;
	if (nr == nr_pieces)
		return 0;
	for (; nr < nr_pieces && !err; nr++, skip = 0)
		err = pulse__ws_put_raw(conn, (uint8_t *)pieces[nr].iov_base + skip,
					pieces[nr].iov_len - skip);
	if (err)	/* half a frame is out */
		pulse__ws_doom(conn, conn->end);
	else
		pulse__ws_block(conn);
	return err;
}

/* Sends what is queued and the pieces behind it, without copying them. */
static int send_pieces(struct pulse_ws_conn *conn, const struct iovec *pieces,
		       int nr_pieces)
{
	struct iovec iov[PULSE__WS_PIECES + PULSE__WS_REFS];
	size_t queued;
	int nr = pulse__ws_gather(conn, iov, &queued);

	memcpy(iov + nr, pieces, (size_t)nr_pieces * sizeof(*pieces));
	pulse__ws_count(conn->loop, sends, 1);
	return pieces_left(conn, pieces, nr_pieces, queued,
			   pulse_transport_send(conn->t, iov, nr + nr_pieces));
}

int pulse__ws_send_direct(struct pulse_ws_conn *conn, uint8_t op,
			  const void *data, size_t len)
{
	uint8_t hdr[PULSE__WS_HEADER_MAX];
	struct iovec pieces[2] = { { hdr, 0 }, { (void *)data, len } };

	pieces[0].iov_len = pulse__ws_frame_write(hdr, PULSE__WS_FIN ^ op, len);
	return send_pieces(conn, pieces, 2);
}

/* There are none any more, before they are looked at; how many there were. */
static uint32_t take_refs(struct pulse__ws_loop *loop, struct pulse__ws_msg **own)
{
	uint32_t nr = loop->nr_refs;

	*own = loop->ref_own;
	loop->ref_own = NULL;
	loop->span = NULL;
	loop->nr_refs = 0;
	loop->ref_bytes = 0;
	return nr;
}

void pulse__ws_flush_refs(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;
	struct pulse__ws_msg *own;
	uint32_t nr = take_refs(loop, &own);

	if (likely(!conn->doomed))
		(void)send_pieces(conn, loop->ref, (int)nr);
	if (own != loop->view_own)	/* its handler still has it, and then rx.c */
		pulse__ws_msg_free(loop, own);
}

void pulse__ws_refs_left(struct pulse_ws_conn *conn, ssize_t n)
{
	(void)pieces_left(conn, conn->loop->ref, 1, 0, n);
}

void pulse__ws_queue_refs(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;
	struct pulse__ws_msg *own;

	/* One that has a buffer of its own is long. */
	if (loop->ref_bytes >= PULSE__WS_DIRECT) {
		pulse__ws_flush_refs(conn);
		return;
	}
	take_refs(loop, &own);
	pulse__ws_no_place(conn);
	if (pulse__ws_put_raw(conn, loop->ref[0].iov_base, loop->ref[0].iov_len))
		pulse__ws_doom(conn, conn->end);
}

/* As pulse__ws_put_ref() for one that does not lie in the read. */
static void put_own(struct pulse__ws_loop *loop, uint8_t first, size_t len)
{
	size_t head = pulse__ws_frame_head(len);
	uint8_t *data = (uint8_t *)(uintptr_t)loop->view_msg;

	loop->ref_own = loop->view_own;
	loop->ref_bytes += head + len;
	loop->view_len = SIZE_MAX;
	if (loop->ref_own->skip >= head) {
		pulse__ws_frame_write(data - head, first, len);
		loop->ref[loop->nr_refs++] = (struct iovec){ data - head, head + len };
		return;
	}
	pulse__ws_frame_write(loop->ref_head, first, len);
	loop->ref[loop->nr_refs++] = (struct iovec){ loop->ref_head, head };
	loop->ref[loop->nr_refs++] = (struct iovec){ data, len };
}

bool pulse__ws_send_back(struct pulse_ws_conn *conn, uint8_t op,
			 const void *data, size_t len)
{
	struct pulse__ws_loop *loop = conn->loop;
	uint32_t n = 0;

	if (!pulse__ws_in_hand(loop, data, len) || conn != loop->view_conn)
		return false;
	for (struct pulse__ws_obuf *b = conn->out_first; b; b = b->next)
		if (++n > PULSE__WS_PIECES)
			return false;
	/* As much as may be unsent: what they are in excess of that is not kept. */
	if (loop->nr_refs && loop->ref_bytes + len >= pulse__ws_high(conn))
		pulse__ws_flush_refs(conn);
	if (unlikely(loop->view_len != len || conn->doomed))
		return false;
	if (unlikely(loop->view_own))
		put_own(loop, PULSE__WS_FIN ^ op, len);
	else
		pulse__ws_put_ref(loop, PULSE__WS_FIN ^ op, len);
	return true;
}

bool pulse__ws_direct(const struct pulse_ws_conn *conn, size_t len)
{
	int pieces = 0;

	if (likely(len < PULSE__WS_DIRECT) || conn->client || conn->blocked ||
	    conn->in_flight ||
	    pulse_transport_features(conn->t) & PULSE_TRANSPORT_ASYNC_SEND)
		return false;
	for (struct pulse__ws_obuf *b = conn->out_first; b; b = b->next)
		if (++pieces > PULSE__WS_PIECES)
			return false;
	return true;
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tx_ref.c - messages that go out from where they lie.
 *
 * A large one is given to the transport as it was given to us. One that a handler
 * sends back as it came lies in what the read brought, and has room for its header
 * in the place of the header it came with: those of a read are listed in loop->ref
 * and go out together, without being moved. What a transport does not take is
 * copied behind the queue.
 */
#include "ws/tx_int.h"

/*
 * Sends what is queued and the pieces behind it, without copying them. What the
 * transport leaves is copied behind.
 */
static int send_pieces(struct pulse_ws_conn *conn, const struct iovec *pieces,
		       int nr_pieces)
{
	struct iovec iov[PULSE__WS_PIECES + PULSE__WS_REFS];
	size_t queued, skip;
	int nr = pulse__ws_gather(conn, iov, &queued), err = 0;
	ssize_t n;

	memcpy(iov + nr, pieces, (size_t)nr_pieces * sizeof(*pieces));
	pulse__ws_count(conn->loop, sends, 1);
	n = pulse_transport_send(conn->t, iov, nr + nr_pieces);
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

int pulse__ws_send_direct(struct pulse_ws_conn *conn, uint8_t op,
			  const void *data, size_t len)
{
	uint8_t hdr[PULSE__WS_HEADER_MAX];
	struct iovec pieces[2] = { { hdr, 0 }, { (void *)data, len } };

	pieces[0].iov_len = pulse__ws_frame_write(hdr, PULSE__WS_FIN ^ op, len);
	return send_pieces(conn, pieces, 2);
}

void pulse__ws_flush_refs(struct pulse_ws_conn *conn)
{
	struct pulse__ws_loop *loop = conn->loop;
	uint32_t nr = loop->nr_refs;

	loop->nr_refs = 0;
	if (likely(!conn->doomed))
		(void)send_pieces(conn, loop->ref, (int)nr);
}

bool pulse__ws_send_back(struct pulse_ws_conn *conn, uint8_t op,
			 const void *data, size_t len)
{
	struct pulse__ws_loop *loop = conn->loop;
	uint8_t *hdr = (uint8_t *)data - (len < 65536 ? 4 : 10);
	uint32_t n = 0;

	if (data != loop->view_msg || len != loop->view_len ||
	    conn != loop->view_conn)
		return false;
	if (loop->nr_refs == PULSE__WS_REFS)
		pulse__ws_flush_refs(conn);
	if (conn->client || conn->blocked || conn->in_flight || conn->doomed ||
	    pulse_transport_features(conn->t) & PULSE_TRANSPORT_ASYNC_SEND)
		return false;
	for (struct pulse__ws_obuf *b = conn->out_first; b; b = b->next)
		if (++n > PULSE__WS_PIECES)
			return false;
	loop->view_msg = NULL;
	loop->quick = NULL;	/* what follows has to be behind it */
	pulse__ws_frame_write(hdr, PULSE__WS_FIN | op, len);
	loop->ref[loop->nr_refs++] = (struct iovec){
		hdr, len + (size_t)((const uint8_t *)data - hdr),
	};
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

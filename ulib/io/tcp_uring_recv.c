// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tcp_uring_recv.c - what the owners of TCP streams on an io_uring poller receive.
 *
 * Multishot requests are run for many streams in one enter, before the first handler
 * sees anything. Where each brings much, all of it together is more than a core's
 * cache, and handlers find none of it there. So a stream that has brought LONG bytes at
 * a time, a few times in a row, is direct from then on: its owner is told that there is
 * something, as with epoll, and each receive is a system call, into the loop's own
 * buffer or wherever the owner wants it, right before it is looked at. Streams that
 * bring little again go back.
 *
 * How much an owner takes at a time is what counts: who takes it in small pieces has
 * them without system calls from what a multishot request has brought.
 */
#include "io/sys.h"
#include "io/uring_stream.h"

#define LONG		(32U << 10)
#define LONG_IN_A_ROW	4
#define SHORT		(8U << 10)
#define SHORT_IN_A_ROW	16

/* @n bytes were taken, and there is something to be noted about that. */
static PULSE__NOINLINE void look_at_bytes(struct pulse__uring_stream *s, size_t n)
{
	bool fits = s->direct ? n >= SHORT : n < LONG;

	s->misfits = fits ? 0 : s->misfits + 1;
	if (s->misfits < (s->direct ? SHORT_IN_A_ROW : LONG_IN_A_ROW))
		return;
	s->misfits = 0;
	s->direct = !s->direct;
	/* A poll that is under way may as well end by itself. */
	if (s->receiving && !s->asking && !s->stopping)
		pulse__uring_stop_receiving(s);
}

static inline void note_bytes(struct pulse__uring_stream *s, size_t n)
{
	if (unlikely(s->misfits | s->direct | (n >= LONG)))
		look_at_bytes(s, n);
}

ssize_t pulse__uring_take_error(struct pulse__uring_stream *s)
{
	int err = s->err;

	s->err = 0;
	s->eof = true;
	return err;
}

/* Nothing is in hand: what the socket has, if nobody else is asked for it. */
static ssize_t receive_now(struct pulse__uring_stream *s,
			   const struct iovec *iov, int nr)
{
	ssize_t n;

	if (s->receiving && !s->asking) {
		/* It ends at the next turn; where nobody runs one, now. */
		if (!s->stopping || pulse__poller_current)
			return -EAGAIN;
		pulse__uring_retire(s->t.poller);
		if (s->spill || s->err || s->eof)
			return pulse__uring_recv(&s->t, iov, nr);
	}
	do {
		n = nr == 1 ? pulse__sys_recv(s->fd, iov->iov_base, iov->iov_len) :
		    pulse__sys_result(readv(s->fd, iov, nr));
	} while (unlikely(n == -EINTR));
	if (n < 0)
		return n;
	s->t.rx_bytes += (uint64_t)n;
	note_bytes(s, (size_t)n);
	return n;
}

ssize_t pulse__uring_view(struct pulse_transport *t, void **data)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	struct pulse__uring *u = pulse__uring_owner(s);
	struct iovec iov;
	size_t n;

	if (likely(s->now_bytes && !s->spill)) {
		*data = s->now;
		n = s->now_bytes;
		s->now_bytes = 0;
		t->rx_bytes += n;
		note_bytes(s, n);
		return (ssize_t)n;
	}
	if (s->spill) {
		struct pulse__spill *spill = s->spill;

		s->spill = spill->next;
		pulse__free(u->lent_spill);
		u->lent_spill = spill;
		*data = spill->data + spill->at;
		n = spill->len - spill->at;
		t->rx_bytes += n;
		return (ssize_t)n;
	}
	if (s->err)
		return pulse__uring_take_error(s);
	if (s->eof)
		return 0;
	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	*data = iov.iov_base;
	return receive_now(s, &iov, 1);
}

/* Fills the pieces from @p; returns how much. */
static size_t scatter(const struct iovec *iov, int nr, size_t skip,
		      const uint8_t *p, size_t n)
{
	size_t done = 0;

	for (int i = 0; i < nr && done < n; i++) {
		size_t len = iov[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len -= skip;
		if (len > n - done)
			len = n - done;
		memcpy((uint8_t *)iov[i].iov_base + skip, p + done, len);
		done += len;
		skip = 0;
	}
	return done;
}

ssize_t pulse__uring_recv(struct pulse_transport *t, const struct iovec *iov,
			  int nr)
{
	struct pulse__uring_stream *s = pulse__uring_to_stream(t);
	size_t done = 0;

	while (s->spill) {
		struct pulse__spill *spill = s->spill;
		size_t n = scatter(iov, nr, done, spill->data + spill->at,
				   spill->len - spill->at);

		done += n;
		spill->at += n;
		if (spill->at < spill->len)
			goto out;
		s->spill = spill->next;
		pulse__free(spill);
	}
	if (s->now_bytes) {
		size_t n = scatter(iov, nr, done, s->now, s->now_bytes);

		done += n;
		s->now += n;
		s->now_bytes -= n;
		note_bytes(s, n);
	}
out:
	if (done) {
		t->rx_bytes += done;
		return (ssize_t)done;
	}
	if (s->err)
		return pulse__uring_take_error(s);
	if (s->eof)
		return 0;
	return receive_now(s, iov, nr);
}

// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * uring_ops.c - what an io_uring poller does on behalf of sockets that are no
 * streams yet: it accepts (one multishot request a listener) and connects (one
 * request, linked with its time limit).
 *
 * An operation lives until the last completion of its request. Who gives it up
 * while a request is under way takes the request back and leaves it to that
 * completion; when the ring is given up (uring.h) there will be none, and what is
 * still wanted is armed anew in the next ring.
 */
#include "io/uring.h"

#include <poll.h>
#include <unistd.h>

struct pulse__uring_op {
	struct pulse__list link;	/* uring->ops */
	struct pulse_poller *poller;
	pulse__poller_op_fn fn;
	void *arg;
	int fd;
	bool dials;
	bool armed;
	bool held;			/* accepts nothing for now */
	bool ended;			/* nobody's any more */
	bool in_call;
	/* accepts: what the old ring had taken */
	int *kept;
	size_t nr_kept;
	/* dials */
	bool begun;			/* the request was made once */
	int64_t deadline_ns;
	struct __kernel_timespec ts;
	struct sockaddr_storage sa;
	socklen_t sa_len;
};

_Static_assert(_Alignof(struct pulse__uring_op) > PULSE__URING_TAGS,
	       "an operation's address leaves room for tags");

static uint64_t data_of(const struct pulse__uring_op *op)
{
	return (uint64_t)(uintptr_t)op | PULSE__URING_OP;
}

static struct pulse__uring_op *op_of(uint64_t data)
{
	return (struct pulse__uring_op *)(uintptr_t)(data & ~PULSE__URING_TAGS);
}

static bool maybe_free(struct pulse__uring_op *op)
{
	if (!op->ended || op->armed || op->in_call)
		return false;
	for (size_t i = 0; i < op->nr_kept; i++)
		close(op->kept[i]);
	pulse__list_del(&op->link);
	pulse__free(op->kept);
	pulse__free(op);
	return true;
}

/* ---- arming --------------------------------------------------------------- */

static void arm_accept(struct pulse__uring *u, struct pulse__uring_op *op)
{
	struct io_uring_sqe *sqe = pulse__uring_sqe(u);

	if (!sqe) {
		u->stale = true;
		return;
	}
	io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL,
				       SOCK_NONBLOCK | SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, data_of(op));
	op->armed = true;
}

/*
 * Begun in a ring that is gone, the connect goes on in the socket: then it is
 * asked when something has become of it.
 */
static void arm_dial(struct pulse__uring *u, struct pulse__uring_op *op)
{
	struct io_uring_sqe *sqe;

	/* A request and its time limit are submitted together. */
	if (io_uring_sq_space_left(&u->ring) < 2)
		io_uring_submit(&u->ring);
	if (io_uring_sq_space_left(&u->ring) < 2) {
		u->stale = true;
		return;
	}
	sqe = pulse__uring_sqe(u);
	if (op->begun)
		io_uring_prep_poll_add(sqe, op->fd, POLLOUT);
	else
		io_uring_prep_connect(sqe, op->fd,
				      (const struct sockaddr *)&op->sa,
				      op->sa_len);
	io_uring_sqe_set_data64(sqe, data_of(op));
	op->begun = true;
	op->armed = true;
	if (op->deadline_ns == PULSE_FOREVER)
		return;
	sqe->flags |= IOSQE_IO_LINK;
	sqe = pulse__uring_sqe(u);
	op->ts.tv_sec = op->deadline_ns / PULSE__NSEC_PER_SEC;
	op->ts.tv_nsec = op->deadline_ns % PULSE__NSEC_PER_SEC;
	io_uring_prep_link_timeout(sqe, &op->ts, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, PULSE__URING_NONE);
}

static void arm(struct pulse__uring_op *op)
{
	struct pulse__uring *u = pulse__uring_of(op->poller);

	if (op->armed || op->ended || op->held)
		return;
	if (!pulse__uring_mine(u))
		u->stale = true;
	else if (op->dials)
		arm_dial(u, op);
	else
		arm_accept(u, op);
}

void pulse__uring_arm_ops(struct pulse_poller *p)
{
	struct pulse__list *pos;

	pulse__list_for_each(pos, &pulse__uring_of(p)->ops)
		arm(pulse__list_entry(pos, struct pulse__uring_op, link));
}

void pulse__uring_disarm_ops(struct pulse_poller *p)
{
	struct pulse__list *pos, *tmp;

	pulse__list_for_each_safe(pos, tmp, &pulse__uring_of(p)->ops) {
		struct pulse__uring_op *op =
			pulse__list_entry(pos, struct pulse__uring_op, link);

		op->armed = false;
		maybe_free(op);
	}
}

/* ---- completions ---------------------------------------------------------- */

static void tell(struct pulse__uring_op *op, int res)
{
	op->in_call = true;
	op->fn(op->arg, res);
	op->in_call = false;
}

static bool accepted(struct pulse__uring_op *op, int res)
{
	bool told = res != -ECANCELED && res != -EAGAIN;

	if (op->ended) {
		if (res >= 0)
			close(res);
		told = false;
	} else if (told) {
		tell(op, res);
	}
	if (!maybe_free(op))
		arm(op);
	return told;
}

/* 0 it stands; -EAGAIN not yet; or why it never will. */
static int how_it_went(struct pulse__uring_op *op, int res)
{
	if (res == -ECANCELED || res == -ETIME)
		return -ETIMEDOUT;
	if (!res)
		return 0;
	if (res < 0 && res != -EAGAIN && res != -EINPROGRESS &&
	    res != -EALREADY && res != -EINTR)
		return res;
	/* Something became of a socket that was asked to connect. */
	if (!connect(op->fd, (const struct sockaddr *)&op->sa, op->sa_len) ||
	    errno == EISCONN)
		return 0;
	return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ?
	       -EAGAIN : -errno;
}

static bool dialled(struct pulse__uring_op *op, int res)
{
	int err;

	if (op->ended) {
		maybe_free(op);
		return false;
	}
	err = how_it_went(op, res);
	if (err == -EAGAIN) {
		arm(op);
		return false;
	}
	op->ended = true;	/* whoever is told forgets it */
	tell(op, err);
	maybe_free(op);
	return true;
}

bool pulse__uring_op_done(uint64_t data, int res, uint32_t flags)
{
	struct pulse__uring_op *op = op_of(data);

	if (!(flags & IORING_CQE_F_MORE))
		op->armed = false;
	return op->dials ? dialled(op, res) : accepted(op, res);
}

void pulse__uring_op_keep(uint64_t data, int res)
{
	struct pulse__uring_op *op = op_of(data);
	int *kept;

	if (op->dials || res < 0)	/* it is asked again, and says so again */
		return;
	kept = op->ended ? NULL :
	       pulse__realloc(op->kept, (op->nr_kept + 1) * sizeof(*kept));
	if (!kept) {
		close(res);
		return;
	}
	kept[op->nr_kept++] = res;
	op->kept = kept;
	pulse__uring_of(op->poller)->kept = true;
}

int pulse__uring_call_kept(struct pulse_poller *p)
{
	struct pulse__uring *u = pulse__uring_of(p);
	struct pulse__list *pos, *tmp;

	u->kept = false;
	pulse__list_for_each_safe(pos, tmp, &u->ops) {
		struct pulse__uring_op *op =
			pulse__list_entry(pos, struct pulse__uring_op, link);

		if (!op->nr_kept)
			continue;
		/* One a turn: a handler may end any other of the list. */
		u->kept = true;
		tell(op, op->kept[--op->nr_kept]);
		maybe_free(op);
		return 1;
	}
	return 0;
}

/* ---- who asks for them ---------------------------------------------------- */

static struct pulse__uring_op *op_new(struct pulse_poller *p, int fd,
				      pulse__poller_op_fn fn, void *arg)
{
	struct pulse__uring_op *op = pulse__calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->poller = p;
	op->fd = fd;
	op->fn = fn;
	op->arg = arg;
	pulse__list_add_tail(&pulse__uring_of(p)->ops, &op->link);
	return op;
}

int pulse__uring_accept(struct pulse_poller *p, int fd, pulse__poller_op_fn fn,
			void *arg, void **out)
{
	struct pulse__uring_op *op = op_new(p, fd, fn, arg);

	if (!op)
		return -ENOMEM;
	*out = op;
	arm(op);
	return 0;
}

int pulse__uring_dial(struct pulse_poller *p, int fd, const struct sockaddr *sa,
		      socklen_t len, int64_t deadline_ns, pulse__poller_op_fn fn,
		      void *arg, void **out)
{
	struct pulse__uring_op *op = op_new(p, fd, fn, arg);

	if (!op)
		return -ENOMEM;
	op->dials = true;
	op->deadline_ns = deadline_ns > 0 ? deadline_ns : 0;
	memcpy(&op->sa, sa, len);
	op->sa_len = len;
	*out = op;
	arm(op);
	return 0;
}

/* A request holds the file; when this returns it does not. */
static void take_back(struct pulse__uring_op *op)
{
	struct pulse__uring *u = pulse__uring_of(op->poller);

	if (!op->armed)
		return;
	if (pulse__uring_mine(u)) {
		pulse__uring_cancel(u, data_of(op));
		pulse__uring_flush(u);
	} else {
		pulse__uring_retire(op->poller);
	}
}

void pulse__uring_op_hold(void *arg, bool on)
{
	struct pulse__uring_op *op = arg;

	op->held = on;
	if (on)
		take_back(op);
	else
		arm(op);
}

void pulse__uring_op_end(void *arg)
{
	struct pulse__uring_op *op = arg;
	bool was_in_call = op->in_call;

	/* In its own call it is freed by whoever calls it. */
	op->ended = true;
	op->in_call = true;
	take_back(op);
	op->in_call = was_in_call;
	maybe_free(op);
}

void pulse__uring_drop_ops(struct pulse_poller *p)
{
	struct pulse__list *pos, *tmp;

	pulse__list_for_each_safe(pos, tmp, &pulse__uring_of(p)->ops) {
		struct pulse__uring_op *op =
			pulse__list_entry(pos, struct pulse__uring_op, link);

		op->ended = true;
		maybe_free(op);
	}
}

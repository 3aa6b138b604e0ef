// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mock.c - two transports connected by memory, with faults by script.
 *
 * What one end sends lies as parcels in the other's queue. A posted task tells
 * an end of what holds, as long as it is watched; delays count turns of the loop.
 */
#include "base/base.h"
#include "io/poller_int.h"

#include <pulse-u/testing.h>
#include <stdio.h>

#define FAULTS_MAX	64

struct parcel {
	struct parcel *next;
	size_t at, len;
	int64_t turns;		/* until it arrives */
	unsigned char data[];
};

struct mock {
	struct pulse_transport t;
	struct pulse_transport_ops ops;
	struct mock *peer;
	struct parcel *first, **last;	/* to be received */
	size_t queued;
	uint32_t room;
	uint32_t nr_faults;
	struct pulse_fault faults[FAULTS_MAX];
	uint64_t sends, recvs, sent;
	int64_t flying;			/* turns until the memory is given back */
	uint32_t watched, calls;
	int err;
	bool shut, end, posted, closed, told_err;
	struct pulse_poller_task task;
};

static struct mock *to_mock(struct pulse_transport *t)
{
	return container_of(t, struct mock, t);
}

static const struct pulse_fault *fault(const struct mock *m, uint32_t kind)
{
	for (uint32_t i = 0; i < m->nr_faults; i++)
		if (m->faults[i].kind == kind)
			return &m->faults[i];
	return NULL;
}

/* Each at-th time. */
static bool due(const struct mock *m, uint32_t kind, uint64_t count)
{
	const struct pulse_fault *f = fault(m, kind);

	return f && f->at && count % f->at == 0;
}

static int64_t value_of(const struct mock *m, uint32_t kind, int64_t otherwise)
{
	const struct pulse_fault *f = fault(m, kind);

	return f ? f->value : otherwise;
}

/* ---- telling -------------------------------------------------------------- */

static void maybe_free(struct mock *m)
{
	if (!m->closed || m->calls || m->posted)
		return;
	while (m->first) {
		struct parcel *p = m->first;

		m->first = p->next;
		pulse__free(p);
	}
	pulse__free(m);
}

static uint32_t ready(struct mock *m)
{
	bool arrived = m->first && m->first->turns <= 0;
	uint32_t events = 0;

	if (arrived || m->err || (m->end && !m->first))
		events |= PULSE_TRANSPORT_READ;
	if (m->err || !m->peer || m->peer->queued < m->room)
		events |= PULSE_TRANSPORT_WRITE;
	return events & m->watched;
}

static bool time_goes(const struct mock *m)
{
	return m->flying > 0 || (m->first && m->first->turns > 0);
}

static void post(struct mock *m)
{
	if (!m->posted && !m->closed &&
	    (ready(m) || time_goes(m) || (m->err && !m->told_err)) &&
	    !pulse_poller_post_task(m->t.poller, &m->task))
		m->posted = true;
}

static void run(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct mock *m = container_of(task, struct mock, task);
	uint32_t told = 0;

	(void)poller;
	m->posted = false;
	m->calls++;
	if (m->flying > 0 && !--m->flying)
		told |= PULSE_TRANSPORT_SENT;
	for (struct parcel *p = m->first; p; p = p->next)
		p->turns--;
	told |= ready(m);
	if (m->err && !m->told_err) {
		m->told_err = true;
		told |= PULSE_TRANSPORT_ERROR;
	}
	if (told && !m->closed && m->t.fn)
		m->t.fn(&m->t, told, m->t.arg);
	m->calls--;
	post(m);
	maybe_free(m);
}

static void cut(struct mock *m, int err)
{
	struct mock *both[2] = { m, m->peer };

	for (int i = 0; i < 2; i++) {
		if (!both[i])
			continue;
		if (err)
			both[i]->err = err;
		else
			both[i]->end = true;
		post(both[i]);
	}
	m->shut = true;
}

/* ---- sending -------------------------------------------------------------- */

static struct parcel *pack(const struct iovec *iov, int nr, size_t len)
{
	struct parcel *p = pulse__malloc(sizeof(*p) + len);
	size_t at = 0;

	if (!p)
		return NULL;
	*p = (struct parcel){ .len = len };
	for (int i = 0; i < nr && at < len; i++) {
		size_t n = iov[i].iov_len < len - at ? iov[i].iov_len : len - at;

		memcpy(p->data + at, iov[i].iov_base, n);
		at += n;
	}
	return p;
}

static void deliver(struct mock *from, struct parcel *p)
{
	struct mock *to = from->peer;

	p->turns = value_of(from, PULSE_FAULT_DELAY, 0);
	to->queued += p->len;
	if (due(from, PULSE_FAULT_SWAP, from->sends) && to->first) {
		struct parcel **at = &to->first;

		while ((*at)->next)
			at = &(*at)->next;
		p->next = *at;
		*at = p;
	} else {
		*to->last = p;
		to->last = &p->next;
	}
	post(to);
}

/* How much of @total a send takes: -errno, or bytes. */
static ssize_t allowed(struct mock *m, size_t total)
{
	const struct pulse_fault *f = fault(m, PULSE_FAULT_SEND_ERROR);
	bool stream = m->ops.features & PULSE_TRANSPORT_STREAM;
	int64_t max = value_of(m, PULSE_FAULT_SHORT_SEND, INT64_MAX);
	size_t room;

	if (m->shut)
		return m->err ? m->err : -EPIPE;
	if (m->err || !m->peer || m->peer->closed)
		return m->err ? m->err : -EPIPE;
	if (m->flying)
		return -EAGAIN;
	m->sends++;
	if (f && f->at == m->sends)
		return (ssize_t)f->value;
	room = m->peer->queued < m->room ? m->room - m->peer->queued : 0;
	if (due(m, PULSE_FAULT_REFUSE, m->sends) || !room)
		return -EAGAIN;
	if (!stream)
		return (ssize_t)total;
	if (!total)
		return -EAGAIN;
	if ((int64_t)total > max)
		total = (size_t)max;
	return (ssize_t)(total < room ? total : room);
}

static ssize_t mock_send(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	const struct pulse_fault *f;
	struct mock *m = to_mock(t);
	struct parcel *p, *twin = NULL;
	size_t total = 0;
	bool lost;
	ssize_t n;

	for (int i = 0; i < nr; i++)
		total += iov[i].iov_len;
	f = fault(m, PULSE_FAULT_ASYNC);
	n = allowed(m, total);
	if (n < 0)
		return n;
	if (f)			/* all of it is in flight */
		n = (ssize_t)total;
	lost = due(m, PULSE_FAULT_LOSE, m->sends);
	p = lost ? NULL : pack(iov, nr, (size_t)n);
	if (!lost && !p)
		return -ENOMEM;
	m->sent += (uint64_t)n;
	t->tx_bytes += (uint64_t)n;
	if (lost)
		return n;
	if (due(m, PULSE_FAULT_DOUBLE, m->sends))
		twin = pack(iov, nr, (size_t)n);
	deliver(m, p);
	if (twin)
		deliver(m, twin);
	if (f)
		m->flying = f->value > 0 ? f->value : 1;
	f = fault(m, PULSE_FAULT_CUT);
	if (f && m->sent >= f->at) {
		/* What lies beyond the cut never arrives. */
		size_t beyond = (size_t)(m->sent - f->at);

		p->len -= beyond < p->len ? beyond : p->len;
		m->peer->queued -= beyond < (size_t)n ? beyond : (size_t)n;
		cut(m, (int)f->value);
	}
	post(m);
	return m->flying ? -EINPROGRESS : n;
}

/* ---- receiving ------------------------------------------------------------ */

static size_t unpack(struct mock *m, const struct iovec *iov, int nr, size_t max)
{
	bool stream = m->ops.features & PULSE_TRANSPORT_STREAM;
	size_t got = 0;

	for (int i = 0; i < nr && m->first; i++) {
		size_t at = 0;

		while (m->first && m->first->turns <= 0 && got < max &&
		       at < iov[i].iov_len) {
			struct parcel *p = m->first;
			size_t n = p->len - p->at;

			n = n < iov[i].iov_len - at ? n : iov[i].iov_len - at;
			n = n < max - got ? n : max - got;
			memcpy((char *)iov[i].iov_base + at, p->data + p->at, n);
			p->at += n;
			at += n;
			got += n;
			if (p->at < p->len && stream)
				continue;
			if (!stream && p->at < p->len &&
			    (i + 1 < nr && at == iov[i].iov_len))
				break;
			m->queued -= p->len;
			m->first = p->next;
			if (!m->first)
				m->last = &m->first;
			pulse__free(p);
			if (!stream)
				return got;	/* one message, or its beginning */
		}
	}
	return got;
}

static ssize_t mock_recv(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	struct mock *m = to_mock(t);
	const struct pulse_fault *f = fault(m, PULSE_FAULT_RECV_ERROR);
	int64_t max = value_of(m, PULSE_FAULT_SHORT_RECV, INT64_MAX);
	size_t got;

	m->recvs++;
	if (f && f->at == m->recvs) {
		m->err = (int)f->value;
		return m->err;
	}
	if (!m->first || m->first->turns > 0) {
		if (m->first)
			return -EAGAIN;
		return m->err ? m->err : m->end ? 0 : -EAGAIN;
	}
	got = unpack(m, iov, nr, (size_t)max);
	t->rx_bytes += got;
	post(m);
	if (m->peer)
		post(m->peer);
	return got ? (ssize_t)got : -EAGAIN;
}

static ssize_t mock_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	*data = iov.iov_base;
	return t->ops->recv(t, &iov, 1);
}

/* ---- the rest ------------------------------------------------------------- */

static int mock_watch(struct pulse_transport *t, uint32_t events)
{
	to_mock(t)->watched = events;
	post(to_mock(t));
	return 0;
}

static int mock_shutdown(struct pulse_transport *t)
{
	struct mock *m = to_mock(t);

	m->shut = true;
	if (m->peer) {
		m->peer->end = true;
		post(m->peer);
	}
	return 0;
}

static void mock_close(struct pulse_transport *t, bool reset)
{
	struct mock *m = to_mock(t);

	if (m->peer) {
		if (reset)
			m->peer->err = -ECONNRESET;
		m->peer->end = true;
		m->peer->peer = NULL;
		post(m->peer);
	}
	m->peer = NULL;
	m->closed = true;
	maybe_free(m);
}

static int mock_error(struct pulse_transport *t)
{
	return to_mock(t)->err;
}

static int mock_address(struct pulse_transport *t, bool peer, char *buf,
			size_t len)
{
	int n = snprintf(buf, len, "mock:%s", peer ? "peer" : "own");

	(void)t;
	return (size_t)n < len ? 0 : -ENOSPC;
}

static const struct pulse_transport_ops mock_ops = {
	.sz = sizeof(mock_ops),
	.name = "mock",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE |
		    PULSE_TRANSPORT_RESET,
	.send = mock_send,
	.recv = mock_recv,
	.view = mock_view,
	.watch = mock_watch,
	.shutdown = mock_shutdown,
	.close = mock_close,
	.error = mock_error,
	.address = mock_address,
};

const struct pulse_transport_ops *pulse_mock_ops(void)
{
	return &mock_ops;
}

#define TAKE(member)							\
	do {								\
		if (own && own->member)					\
			m->ops.member = own->member;			\
	} while (0)

static int make(struct pulse_poller *poller, const struct pulse_mock_opts *opts,
		struct mock **out)
{
	const struct pulse_transport_ops *own;
	struct pulse_mock_opts o;
	struct mock *m;
	int err;

	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), ops),
			       opts);
	if (err)
		return err;
	if (o.nr_faults > FAULTS_MAX || (o.nr_faults && !o.faults) || o.reserved)
		return -EINVAL;
	m = pulse__calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	own = o.ops;
	m->ops = mock_ops;
	TAKE(name);
	TAKE(send);
	TAKE(recv);
	TAKE(view);
	TAKE(watch);
	TAKE(shutdown);
	TAKE(close);
	TAKE(error);
	TAKE(address);
	TAKE(move);
	TAKE(stats);
	TAKE(features);
	if (o.features)
		m->ops.features = o.features;
	m->nr_faults = o.nr_faults;
	if (o.nr_faults)
		memcpy(m->faults, o.faults, o.nr_faults * sizeof(*o.faults));
	if (fault(m, PULSE_FAULT_ASYNC))
		m->ops.features |= PULSE_TRANSPORT_ASYNC_SEND;
	m->room = o.room_bytes ? o.room_bytes : 64 << 10;
	m->last = &m->first;
	m->task.fn = run;
	m->t.ops = &m->ops;
	m->t.poller = poller;
	*out = m;
	return 0;
}

int pulse_mock_pair(struct pulse_poller *poller,
		    const struct pulse_mock_opts *a_opts,
		    const struct pulse_mock_opts *b_opts,
		    struct pulse_transport **a, struct pulse_transport **b)
{
	struct mock *x, *y;
	int err;

	if (!poller || !a || !b)
		return -EINVAL;
	err = make(poller, a_opts, &x);
	if (err)
		return err;
	err = make(poller, b_opts, &y);
	if (err) {
		pulse__free(x);
		return err;
	}
	x->peer = y;
	y->peer = x;
	*a = &x->t;
	*b = &y->t;
	return 0;
}

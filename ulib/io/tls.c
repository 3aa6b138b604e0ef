// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls.c - TLS over another transport: moves records, the plug-in makes them.
 *
 * Out: what a send gives becomes records in a queue of chunks, and the lower
 * transport takes them as it can. A send is refused while any are left, so the
 * queue holds one send's records and what the handshake says. With kTLS the
 * queue is by-passed: the lower transport gets the bytes themselves.
 *
 * In: a record may hold more than the handler has taken while the socket says
 * nothing any more; a posted task tells it again, as a level does. With kTLS the
 * session is by-passed once it has given all that it had read ahead, but for
 * records that are no data (-EIO) and for the end.
 *
 * close() leaves the queue to be sent: the object lingers without its owner
 * until it is empty, for some seconds, or until the loop goes. It is freed when
 * nobody is in it: no handler (calls), no posted task, no lingering.
 *
 * move() takes the session and the queue along as they are, and moves the lower
 * transport. A task that is posted stays behind without us. When the handler is
 * back that did it the object is another thread's: tell() says so.
 */
#include "io/tls_int.h"

/* ---- life ----------------------------------------------------------------- */

/* A socket that is closed with bytes unread is reset, and so is what it sent. */
static void drain(struct pulse__tls_end *tls)
{
	unsigned char buf[4096];
	struct iovec iov = { buf, sizeof(buf) };

	pulse_transport_shutdown(tls->lower);
	for (int i = 0; i < 64; i++)
		if (pulse_transport_recv(tls->lower, &iov, 1) <= 0)
			break;
}

void pulse__tls_drop_lower(struct pulse__tls_end *tls, bool reset)
{
	if (tls->lower && !reset && !tls->err && !tls->connecting)
		drain(tls);
	if (tls->lower)
		pulse_transport_close(tls->lower, reset);
	tls->lower = NULL;
	tls->lingers = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
}

void pulse__tls_maybe_free(struct pulse__tls_end *tls)
{
	if (!tls->closed || tls->calls || tls->posted || tls->lingers)
		return;
	pulse__tls_drop_lower(tls, false);
	pulse__poller_end_del(&tls->end);
	if (tls->session)
		pulse__tls_eng(tls)->session_free(tls->session);
	pulse__chunks_free(&tls->out);
	pulse__tls_rules_put(tls->rules);
	pulse__free(tls->again);
	pulse__free(tls);
}

/* False: its handler has moved it, and nobody here may touch it any more. */
static bool tell(struct pulse__tls_end *tls, uint32_t events)
{
	bool moved = false;

	if (tls->closed || !events)
		return true;
	tls->calls++;
	tls->moved = &moved;
	tls->t.fn(&tls->t, events, tls->t.arg);
	if (moved)
		return false;
	tls->moved = NULL;
	tls->calls--;
	return true;
}

/* ---- out ------------------------------------------------------------------ */

static int put(void *arg, const void *data, size_t len)
{
	struct pulse__tls_end *tls = arg;

	return pulse__chunks_put(&tls->out, tls->flying, data, len);
}

/* 0 all is out; -EAGAIN; broken. */
int pulse__tls_flush(struct pulse__tls_end *tls)
{
	while (tls->out.first && !tls->flying) {
		struct pulse__chunk *c = tls->out.first;
		struct iovec iov = { c->data + c->at, c->len - c->at };
		ssize_t n = pulse_transport_send(tls->lower, &iov, 1);

		if (n == -EINPROGRESS)
			tls->flying = true;
		else if (n < 0)
			return (int)n;
		else
			pulse__chunks_sent(&tls->out, (size_t)n);
	}
	if (tls->out.first)
		return -EAGAIN;
	if (tls->shut && !tls->shut_done) {
		tls->shut_done = true;
		pulse_transport_shutdown(tls->lower);
	}
	return 0;
}

static bool flushed(void *arg)
{
	return pulse__tls_flush(arg) == 0;
}

static ssize_t io_recv(void *arg, void *buf, size_t len)
{
	struct pulse__tls_end *tls = arg;
	struct iovec iov = { buf, len };

	return pulse_transport_recv(tls->lower, &iov, 1);
}

static int io_fd(void *arg)
{
	struct pulse__tls_end *tls = arg;

	/* What the kernel encrypts would be the owner's memory in flight. */
	if (pulse_transport_features(tls->lower) & PULSE_TRANSPORT_ASYNC_SEND)
		return -1;
	return pulse__stream_fd(tls->lower);
}

static const struct pulse__tls_io io = {
	.recv = io_recv, .put = put, .flushed = flushed, .fd = io_fd,
};

/* ---- what the lower transport is to tell --------------------------------- */

static bool has_more(const struct pulse__tls_end *tls)
{
	return !tls->dry && pulse__tls_eng(tls)->pending(tls->session);
}

static void post_again(struct pulse__tls_end *tls)
{
	if (!tls->posted &&
	    !pulse_poller_post_task(tls->t.poller, &tls->again->task))
		tls->posted = true;
}

/* Follows every change of what is wanted, and of what is left to do. */
void pulse__tls_settle(struct pulse__tls_end *tls)
{
	uint32_t want = 0;

	if (!tls->lower || tls->connecting)
		return;
	if (tls->shaking || tls->watched & PULSE_TRANSPORT_READ)
		want |= PULSE_TRANSPORT_READ;
	if ((tls->out.first && !tls->flying) ||
	    (!tls->out.first && tls->watched & PULSE_TRANSPORT_WRITE))
		want |= PULSE_TRANSPORT_WRITE;
	if (tls->err)
		want = 0;
	pulse_transport_watch(tls->lower, want);
	if (!tls->shaking && tls->watched && (tls->err ||
	    (tls->watched & PULSE_TRANSPORT_READ && has_more(tls))))
		post_again(tls);
}

static void run_again(struct pulse_poller *poller,
		      struct pulse_poller_task *task)
{
	struct pulse__tls_again *again = container_of(task,
						      struct pulse__tls_again,
						      task);
	struct pulse__tls_end *tls = again->tls;
	uint32_t told = 0;

	(void)poller;
	if (!tls) {
		pulse__free(again);
		return;
	}
	tls->posted = false;
	tls->calls++;
	if (tls->err && !tls->told_err) {
		tls->told_err = true;
		told = PULSE_TRANSPORT_ERROR;
	} else if (tls->err) {
		told = tls->watched;	/* each call says what it is */
	} else if (tls->session && has_more(tls)) {
		told = tls->watched & PULSE_TRANSPORT_READ;
	}
	if (!tell(tls, told))
		return;
	if (!tls->closed && !tls->err)
		pulse__tls_settle(tls);
	tls->calls--;
	pulse__tls_maybe_free(tls);
}

/* As the session says it, whoever looked at the record. */
static int reason(const struct pulse__tls_end *tls, int err)
{
	if (tls->kernel_receives &&
	    (err == -EBADMSG || err == -EMSGSIZE || err == -EINVAL))
		return -EPROTO;
	return err;
}

/* Nothing can come of it any more; its owner is told once. */
void pulse__tls_broken(struct pulse__tls_end *tls, int err)
{
	if (tls->err)
		return;
	tls->err = reason(tls, err);
	tls->shaking = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
	if (tls->lower && !tls->connecting)
		pulse_transport_watch(tls->lower, 0);
}

/* ---- handshake ------------------------------------------------------------ */

static bool shaken(struct pulse__tls_end *tls)
{
	struct pulse_tls_info info = { 0 };

	tls->shaking = false;
	pulse_poller_timer_cancel(tls->t.poller, &tls->timer);
	pulse__tls_eng(tls)->info(tls->session, &info);
	tls->kernel_sends = info.flags & PULSE_TLS_KERNEL_SENDS;
	tls->kernel_receives = info.flags & PULSE_TLS_KERNEL_RECEIVES;
	return tell(tls, PULSE_TRANSPORT_OPEN);
}

/* This and what else tells: false when the handler has moved it. */
static bool tell_broken(struct pulse__tls_end *tls)
{
	tls->told_err = true;
	return tell(tls, PULSE_TRANSPORT_ERROR);
}

static bool shake(struct pulse__tls_end *tls)
{
	char why[256] = "";
	int err = pulse__tls_eng(tls)->handshake(tls->session, why,
						 sizeof(why));
	int out = pulse__tls_flush(tls);	/* an alert, too */

	if (!err && out && out != -EAGAIN)
		err = out;
	if (err == -EAGAIN)
		return true;
	if (!err)
		return shaken(tls);
	if (*why)
		pulse_log(PULSE_LOG_DEBUG, "tls: %s", why);
	pulse__tls_broken(tls, err);
	return tell_broken(tls);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	struct pulse__tls_end *tls = container_of(timer, struct pulse__tls_end,
						  timer);

	(void)poller;
	tls->calls++;
	if (tls->closed) {
		pulse__tls_drop_lower(tls, true);
	} else {
		pulse__tls_broken(tls, -ETIMEDOUT);
		if (!tell_broken(tls))
			return;
	}
	tls->calls--;
	pulse__tls_maybe_free(tls);
}

/* ---- events --------------------------------------------------------------- */

/* Nobody's any more: only what is left has to go. */
static void linger_on(struct pulse__tls_end *tls)
{
	int err = pulse__tls_flush(tls);

	if (err != -EAGAIN)
		pulse__tls_drop_lower(tls, false);
	else
		pulse__tls_settle(tls);
}

static bool open_event(struct pulse__tls_end *tls, uint32_t events)
{
	uint32_t told = 0;
	int err = 0;

	if (events & PULSE_TRANSPORT_READ) {
		tls->dry = false;
		told |= tls->watched & PULSE_TRANSPORT_READ;
	}
	if (events & (PULSE_TRANSPORT_WRITE | PULSE_TRANSPORT_SENT))
		err = pulse__tls_flush(tls);
	if (!err && events & (PULSE_TRANSPORT_WRITE | PULSE_TRANSPORT_SENT))
		told |= tls->watched & PULSE_TRANSPORT_WRITE;
	if (err && err != -EAGAIN) {
		pulse__tls_broken(tls, err);
		told |= tls->watched;
	}
	return tell(tls, told);
}

static bool lower_error(struct pulse__tls_end *tls)
{
	int err = pulse_transport_error(tls->lower);

	if (tls->connecting || tls->shaking) {
		tls->connecting = false;
		pulse__tls_broken(tls, err ? err : -ECONNRESET);
		return tell_broken(tls);
	}
	/* There may be records before it; a read finds out. */
	tls->dry = false;
	if (err)
		pulse__tls_broken(tls, err);
	return tell_broken(tls);
}

static void lower_event(struct pulse_transport *lower, uint32_t events,
			void *arg)
{
	struct pulse__tls_end *tls = arg;
	bool here = true;

	(void)lower;
	tls->calls++;
	if (events & PULSE_TRANSPORT_SENT && tls->flying) {
		struct pulse__chunk *c = tls->out.first;

		tls->flying = false;
		pulse__chunks_sent(&tls->out, c->len - c->at);
	}
	if (events & PULSE_TRANSPORT_OPEN) {
		tls->connecting = false;
		tls->shaking = true;
	}
	if (tls->closed)
		linger_on(tls);
	else if (events & PULSE_TRANSPORT_ERROR)
		here = lower_error(tls);
	else if (tls->shaking)
		here = shake(tls);
	else
		here = open_event(tls, events);
	if (!here)
		return;
	if (!tls->closed)
		pulse__tls_settle(tls);
	tls->calls--;
	pulse__tls_maybe_free(tls);
}

/* ---- making one ----------------------------------------------------------- */

struct pulse__tls_again *pulse__tls_again_of(struct pulse__tls_end *tls)
{
	struct pulse__tls_again *again = pulse__malloc(sizeof(*again));

	if (again)
		*again = (struct pulse__tls_again){ .task.fn = run_again,
						    .tls = tls };
	return again;
}

int pulse__tls_wrap(struct pulse__tls_rules *rules,
		    struct pulse_transport *lower, bool open, const char *name,
		    int64_t deadline_ns, pulse_transport_fn fn, void *arg,
		    struct pulse_transport **out)
{
	struct pulse__tls_end *tls = pulse__calloc(1, sizeof(*tls));
	int err;

	if (!tls) {
		pulse__tls_rules_put(rules);
		return -ENOMEM;
	}
	tls->t.ops = pulse_transport_features(lower) & PULSE_TRANSPORT_RESET ?
		     &pulse__tls_over_tcp : &pulse__tls_over_unix;
	tls->t.poller = lower->poller;
	tls->t.fn = fn;
	tls->t.arg = arg;
	pulse__chunks_init(&tls->out);
	tls->timer.fn = too_late;
	tls->connecting = !open;
	tls->shaking = open;
	tls->rules = rules;
	pulse__list_init(&tls->link);
	pulse__list_init(&tls->end.link);
	tls->again = pulse__tls_again_of(tls);
	err = tls->again ? 0 : -ENOMEM;
	if (!err)
		err = pulse__tls_eng(tls)->session_new(rules->ctx, name, &io, tls,
						       &tls->session);
	if (!err)
		err = pulse_poller_timer_arm(lower->poller, &tls->timer,
					     deadline_ns);
	if (!err && open)
		err = pulse_transport_set_handler(lower, lower_event, tls) ?:
		      pulse_transport_watch(lower, PULSE_TRANSPORT_READ);
	if (err) {
		tls->closed = true;
		pulse__tls_maybe_free(tls);
		return err;
	}
	pulse_transport_set_handler(lower, lower_event, tls);
	tls->lower = lower;
	*out = &tls->t;
	return 0;
}

struct pulse__list *pulse__tls_link(struct pulse_transport *t)
{
	return &pulse__tls_of(t)->link;
}

struct pulse_transport *pulse__tls_of_link(struct pulse__list *link)
{
	return &container_of(link, struct pulse__tls_end, link)->t;
}


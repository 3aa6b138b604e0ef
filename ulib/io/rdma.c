// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rdma.c - RDMA connections as transports: slots, credits, messages. rdma.h has
 * the protocol.
 *
 * Each has queues and descriptors of its own, so that it moves to another loop by
 * being watched there: by the first watch() or close() after the move, which is
 * that loop's thread's. What was done meanwhile is still in the queues.
 */
#include "io/rdma.h"

#include <endian.h>
#include <sys/mman.h>

#define LINGER_NS	(10 * PULSE__NSEC_PER_SEC)
#define SLOT_MIN	1024U
#define SLOT_MAX	65536U
#define SLOTS_MIN	4U
#define SLOTS_MAX	4096U
#define HEAD		sizeof(struct pulse__rdma_head)

/* Tags of sends; those of receives are their slots. */
#define TAG_SEND	(1ULL << 32)

static struct pulse__rdma *to_rdma(struct pulse_transport *t)
{
	return container_of(t, struct pulse__rdma, t);
}

/* Of both directions' slots. */
static size_t memory_bytes(const struct pulse__rdma *r)
{
	return 2 * (size_t)r->slots * r->slot_bytes;
}

static unsigned char *slot(const struct pulse__rdma *r, uint32_t n)
{
	return r->memory + (size_t)n * r->slot_bytes;
}

void pulse__rdma_fail(struct pulse__rdma *r, int err)
{
	if (!r->err)
		r->err = err;
}

/* ---- sending ------------------------------------------------------------------ */

/* Credits and slots of its own; the last of each is for giving back. */
static bool can_send(const struct pulse__rdma *r, uint32_t spare)
{
	return r->open && !r->err && !r->gone && r->credits > spare &&
	       r->slots - (r->sent - r->done) > spare;
}

static int post_message(struct pulse__rdma *r, uint32_t bytes, uint16_t flags)
{
	uint32_t n = r->slots + r->sent % r->slots;
	struct pulse__rdma_head *head = (struct pulse__rdma_head *)slot(r, n);
	int err;

	*head = (struct pulse__rdma_head){
		.bytes = htole32(bytes),
		.credits = htole16((uint16_t)r->owed),
		.flags = htole16(flags),
	};
	err = r->engine->post_send(r->end, head, (uint32_t)HEAD + bytes,
				   TAG_SEND);
	if (err) {
		pulse__rdma_fail(r, err);
		return err;
	}
	r->owed = 0;
	r->sent++;
	r->credits--;
	return 0;
}

/* Gives credits back, and says that it ends when that is due and can be. */
static void push(struct pulse__rdma *r)
{
	if (r->end_due && can_send(r, 1) &&
	    !post_message(r, 0, PULSE__RDMA_END))
		r->end_due = false;
	if (r->owed >= r->slots / 2 && can_send(r, 0))
		post_message(r, 0, 0);
}

/* Fills one slot from where @iov stands, and moves it on. */
static uint32_t fill(struct pulse__rdma *r, const struct iovec **iov, int *nr,
		     size_t *at)
{
	unsigned char *to = slot(r, r->slots + r->sent % r->slots) + HEAD;
	uint32_t bytes = 0;

	while (*nr && bytes < r->room) {
		size_t n = (*iov)->iov_len - *at;

		if (n > r->room - bytes)
			n = r->room - bytes;
		if (n)
			memcpy(to + bytes,
			       (const unsigned char *)(*iov)->iov_base + *at, n);
		bytes += (uint32_t)n;
		*at += n;
		if (*at < (*iov)->iov_len)
			break;
		++*iov;
		--*nr;
		*at = 0;
	}
	return bytes;
}

/* ---- receiving ---------------------------------------------------------------- */

static void empty_slot(struct pulse__rdma *r, uint32_t n)
{
	int err = r->gone || r->err ? 0 :
		  r->engine->post_recv(r->end, slot(r, n), r->slot_bytes, n);

	if (err)
		pulse__rdma_fail(r, err);
	else
		r->owed++;
}

static void next_message(struct pulse__rdma *r)
{
	empty_slot(r, r->inbox[r->in_head++ % r->slots].slot);
	r->in_at = 0;
	r->held = false;
}

static void let_go(struct pulse__rdma *r)
{
	if (r->held)
		next_message(r);
}

static bool has_data(const struct pulse__rdma *r)
{
	return r->in_tail - r->in_head > r->held;
}

/* A message; -EPROTO when the peer breaks the rules. */
static int take(struct pulse__rdma *r, uint32_t n, uint32_t len)
{
	struct pulse__rdma_head head;
	uint32_t bytes, credits;

	if (n >= r->slots || len < HEAD || len > r->slot_bytes)
		return -EPROTO;
	memcpy(&head, slot(r, n), sizeof(head));
	bytes = le32toh(head.bytes);
	credits = le16toh(head.credits);
	if (bytes != len - HEAD || credits > r->peer_slots - r->credits ||
	    (r->ended && (bytes || head.flags)) ||
	    le16toh(head.flags) & ~PULSE__RDMA_END)
		return -EPROTO;
	r->credits += credits;
	if (head.flags)
		r->ended = true;
	if (!bytes || r->closed) {
		empty_slot(r, n);
		return 0;
	}
	r->inbox[r->in_tail++ % r->slots] =
		(struct pulse__rdma_message){ n, bytes };
	return 0;
}

static void was_done(struct pulse__rdma *r, const struct pulse__rdma_done *d)
{
	int err = 0;

	/* What was posted comes back when either side has left: no news. */
	if (d->err)
		err = r->gone || r->leaving ? 0 : d->err;
	else if (!d->received)
		r->done++;
	else
		err = take(r, (uint32_t)d->tag, d->len);
	if (err == -EPROTO)
		pulse__warn_once("rdma: a peer was dropped: it breaks the rules of the slots");
	if (err)
		pulse__rdma_fail(r, err);
}

/* Bounded: a peer that is quicker than this side gets its turn again later. */
void pulse__rdma_pull(struct pulse__rdma *r)
{
	struct pulse__rdma_done d[16];
	uint32_t total = 0;
	int n = 16;

	if (!r->done_id)
		return;
	while (n == 16 && total < 2 * r->slots) {
		n = r->engine->poll(r->end, d, 16);
		for (int i = 0; i < n; i++)
			was_done(r, &d[i]);
		if (n > 0)
			total += (uint32_t)n;
		push(r);
	}
	r->more = n == 16;
	if (n < 0)
		pulse__rdma_fail(r, n);
	if (r->gone && !r->ended && !r->more)
		pulse__rdma_fail(r, -ECONNRESET);
}

/* ---- telling ------------------------------------------------------------------ */

static uint32_t due(const struct pulse__rdma *r)
{
	uint32_t events = 0;

	if (r->closed || !r->open)
		return 0;
	if (has_data(r) || r->ended || r->err)
		events |= r->watched & PULSE_TRANSPORT_READ;
	if ((can_send(r, 1) && !r->shut) || r->err || r->gone)
		events |= r->watched & PULSE_TRANSPORT_WRITE;
	if (r->err && !r->err_told && !(r->watched & PULSE_TRANSPORT_READ))
		events |= PULSE_TRANSPORT_ERROR;
	return events;
}

static void post(struct pulse__rdma *r)
{
	if (!r->posted && (due(r) || (r->more && r->end)) &&
	    !pulse_poller_post_task(r->t.poller, &r->again->task))
		r->posted = true;
}

/* Gives everything back but the struct itself. */
static void drop(struct pulse__rdma *r)
{
	struct pulse_poller *poller = r->t.poller;

	pulse_poller_timer_cancel(poller, &r->timer);
	if (r->news_id)
		pulse_poller_del(poller, r->news_id);
	if (r->done_id)
		pulse_poller_del(poller, r->done_id);
	r->news_id = 0;
	r->done_id = 0;
	if (r->end)
		r->engine->free(r->end);
	r->end = NULL;
	pulse__poller_end_del(&r->loop_end);
	pulse__list_init(&r->loop_end.link);
	if (r->memory)
		munmap(r->memory, memory_bytes(r));
	pulse__free(r->inbox);
	r->memory = NULL;
	r->inbox = NULL;
}

static void maybe_free(struct pulse__rdma *r)
{
	if (r->closed && !r->end && !r->calls && !r->posted) {
		pulse__free(r->again);
		pulse__free(r);
	}
}

/* Closed, and still there: what comes next? */
static void settle(struct pulse__rdma *r)
{
	if (!r->closed || !r->end)
		return;
	if (r->err || r->gone) {
		drop(r);
	} else if (!r->leaving && !r->end_due && r->sent == r->done) {
		r->leaving = true;
		r->engine->disconnect(r->end);
	}
}

void pulse__rdma_tell(struct pulse__rdma *r, uint32_t more)
{
	uint32_t events = due(r) | (r->closed ? 0 : more);

	if (events & PULSE_TRANSPORT_ERROR)
		r->err_told = true;
	if (events) {
		bool moved = false;

		r->calls++;
		r->moved = &moved;
		r->t.fn(&r->t, events, r->t.arg);
		if (moved)
			return;		/* another thread's by now */
		r->moved = NULL;
		r->calls--;
	}
	settle(r);
	post(r);
	maybe_free(r);
}

static void run_again(struct pulse_poller *poller,
		      struct pulse_poller_task *task)
{
	struct pulse__rdma_again *again =
		container_of(task, struct pulse__rdma_again, task);
	struct pulse__rdma *r = again->rdma;

	(void)poller;
	if (!r) {		/* it has moved without this task */
		pulse__free(again);
		return;
	}
	r->posted = false;
	if (r->more && r->end)
		pulse__rdma_pull(r);
	pulse__rdma_tell(r, 0);
}

static void was_done_event(struct pulse_poller *poller, int fd, uint32_t events,
			   void *arg)
{
	struct pulse__rdma *r = arg;
	int err = r->engine->arm(r->end);

	(void)poller;
	(void)fd;
	(void)events;
	if (err)
		pulse__rdma_fail(r, err);
	pulse__rdma_pull(r);
	pulse__rdma_tell(r, 0);
}

static void too_late(struct pulse_poller *poller,
		     struct pulse_poller_timer *timer)
{
	struct pulse__rdma *r = container_of(timer, struct pulse__rdma, timer);

	(void)poller;
	if (r->closed) {
		drop(r);
		maybe_free(r);
		return;
	}
	pulse__rdma_fail(r, -ETIMEDOUT);
	r->err_told = true;
	pulse__rdma_tell(r, PULSE_TRANSPORT_ERROR);
}

static void loop_goes(struct pulse__poller_end *end)
{
	struct pulse__rdma *r = container_of(end, struct pulse__rdma, loop_end);

	if (r->closed)
		drop(r);
	maybe_free(r);
}

/* ---- ops ---------------------------------------------------------------------- */

static ssize_t why_not(const struct pulse__rdma *r)
{
	if (r->err)
		return r->err;
	if (r->shut)
		return -EPIPE;
	return r->gone ? -ECONNRESET : 0;
}

static ssize_t rdma_send(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	struct pulse__rdma *r = to_rdma(t);
	ssize_t total = why_not(r);
	bool pulled = false;
	uint32_t bytes = 1;
	size_t at = 0;

	if (total)
		return total;
	while (nr && bytes) {
		if (!can_send(r, 1)) {
			if (pulled || !r->open)
				break;
			pulled = true;
			pulse__rdma_pull(r);
			continue;
		}
		bytes = fill(r, &iov, &nr, &at);
		if (bytes && post_message(r, bytes, 0))
			break;
		total += bytes;
	}
	t->tx_bytes += (uint64_t)total;
	post(r);
	if (!total && nr)
		return why_not(r) ? : -EAGAIN;
	return total;
}

/* 0 there is a message; 1 the end; -EAGAIN; broken. */
static int look(struct pulse__rdma *r)
{
	let_go(r);
	if (!has_data(r) && r->open && !r->err)
		pulse__rdma_pull(r);
	push(r);
	if (has_data(r))
		return 0;
	if (r->ended)
		return 1;
	if (!r->err)
		return -EAGAIN;
	r->err_told = true;
	return r->err;
}

static ssize_t rdma_view(struct pulse_transport *t, void **data)
{
	struct pulse__rdma *r = to_rdma(t);
	struct pulse__rdma_message *m;
	int err = look(r);
	uint32_t bytes;

	if (err) {
		post(r);
		return err < 0 ? err : 0;
	}
	m = &r->inbox[r->in_head % r->slots];
	bytes = m->bytes - r->in_at;
	*data = slot(r, m->slot) + HEAD + r->in_at;
	r->held = true;
	t->rx_bytes += bytes;
	post(r);
	return bytes;
}

static ssize_t rdma_recv(struct pulse_transport *t, const struct iovec *iov,
			 int nr)
{
	struct pulse__rdma *r = to_rdma(t);
	int err = look(r);
	ssize_t total = 0;
	size_t at = 0;

	while (!err && nr && has_data(r)) {
		struct pulse__rdma_message *m = &r->inbox[r->in_head % r->slots];
		size_t n = m->bytes - r->in_at;

		if (n > iov->iov_len - at)
			n = iov->iov_len - at;
		if (n)
			memcpy((unsigned char *)iov->iov_base + at,
			       slot(r, m->slot) + HEAD + r->in_at, n);
		at += n;
		total += (ssize_t)n;
		r->in_at += (uint32_t)n;
		if (r->in_at == m->bytes)
			next_message(r);
		if (at == iov->iov_len) {
			iov++;
			nr--;
			at = 0;
		}
	}
	push(r);
	post(r);
	t->rx_bytes += (uint64_t)total;
	return err < 0 ? err : total;
}

static int watch_end(struct pulse__rdma *r)
{
	int err = 0;

	if (!r->news_id)
		err = pulse_poller_add(r->t.poller, r->news_fd, PULSE_POLLER_IN,
				       pulse__rdma_news, r, &r->news_id);
	if (!err && !r->done_id)
		err = pulse_poller_add(r->t.poller, r->done_fd, PULSE_POLLER_IN,
				       was_done_event, r, &r->done_id);
	return err;
}

/* The loop it has moved to takes it up. */
static int arrive(struct pulse__rdma *r)
{
	int err = r->away ? watch_end(r) : 0;

	if (err || !r->away)
		return err;
	r->away = false;
	pulse__poller_end_add(r->t.poller, &r->loop_end, loop_goes);
	pulse__rdma_pull(r);
	return 0;
}

static int rdma_watch(struct pulse_transport *t, uint32_t events)
{
	struct pulse__rdma *r = to_rdma(t);
	int err = arrive(r);

	if (err)
		return err;
	r->watched = events;
	post(r);
	return 0;
}

static struct pulse__rdma_again *again_of(struct pulse__rdma *r)
{
	struct pulse__rdma_again *again = pulse__malloc(sizeof(*again));

	if (again)
		*again = (struct pulse__rdma_again){ .task.fn = run_again,
						     .rdma = r };
	return again;
}

static int rdma_move(struct pulse_transport *t, struct pulse_poller *to)
{
	struct pulse__rdma *r = to_rdma(t);
	struct pulse__rdma_again *fresh;

	if (!r->open)
		return -EBUSY;
	if (r->posted) {
		fresh = again_of(r);
		if (!fresh)
			return -ENOMEM;
		r->again->rdma = NULL;
		r->again = fresh;
		r->posted = false;
	}
	if (r->news_id)
		pulse_poller_del(t->poller, r->news_id);
	if (r->done_id)
		pulse_poller_del(t->poller, r->done_id);
	r->news_id = 0;
	r->done_id = 0;
	pulse__poller_end_del(&r->loop_end);
	if (r->moved)
		*r->moved = true;
	r->moved = NULL;
	r->calls = 0;
	r->watched = 0;
	r->away = true;
	t->poller = to;
	return 0;
}

static int rdma_shutdown(struct pulse_transport *t)
{
	struct pulse__rdma *r = to_rdma(t);

	if (!r->open)
		return -ENOTCONN;
	if (r->shut)
		return 0;
	r->shut = true;
	r->end_due = true;
	push(r);
	return 0;
}

static void rdma_close(struct pulse_transport *t, bool reset)
{
	struct pulse__rdma *r = to_rdma(t);
	bool lost = arrive(r);

	pulse__list_del(&r->link);
	pulse__list_init(&r->link);
	pulse_poller_timer_cancel(t->poller, &r->timer);
	r->watched = 0;
	/* What nobody has read is in the way of what the peer has to say. */
	while (r->in_head != r->in_tail)
		next_message(r);
	if (r->open && !reset)
		rdma_shutdown(t);
	r->closed = true;
	if (r->open && reset && !r->err && !r->gone) {
		r->leaving = true;
		r->engine->disconnect(r->end);
	}
	if (!r->open || lost ||
	    pulse_poller_timer_arm(t->poller, &r->timer,
				   pulse_now_ns() + LINGER_NS))
		drop(r);
	settle(r);
	maybe_free(r);
}

static int rdma_error(struct pulse_transport *t)
{
	struct pulse__rdma *r = to_rdma(t);
	int err = r->err_taken ? 0 : r->err;

	r->err_told |= err != 0;
	r->err_taken |= err != 0;
	return err;
}

static int rdma_address(struct pulse_transport *t, bool peer, char *buf,
			size_t len)
{
	struct pulse__rdma *r = to_rdma(t);
	char text[PULSE_ADDRESS_MAX];
	struct sockaddr_storage sa;
	int err = r->engine->address(r->end, peer, &sa);

	if (!err)
		err = pulse__addr_format(&sa, text, sizeof(text));
	return err ? err : pulse__addr_rename(text, "", "rdma:", buf, len);
}

/* What the device has not said yet that the peer's side has: of whole slots. */
static void rdma_stats(const struct pulse_transport *t,
		       struct pulse_transport_stats *out)
{
	const struct pulse__rdma *r = container_of(t, struct pulse__rdma, t);

	for (uint32_t n = r->done; r->memory && n != r->sent; n++) {
		const struct pulse__rdma_head *head = (const void *)
			slot(r, r->slots + n % r->slots);

		out->unsent += le32toh(head->bytes);
	}
}

static const struct pulse_transport_ops ops = {
	.sz = sizeof(struct pulse_transport_ops),
	.name = "rdma",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE |
		    PULSE_TRANSPORT_ZERO_COPY | PULSE_TRANSPORT_RESET |
		    PULSE_TRANSPORT_MOVES,
	.send = rdma_send,
	.recv = rdma_recv,
	.view = rdma_view,
	.watch = rdma_watch,
	.shutdown = rdma_shutdown,
	.close = rdma_close,
	.error = rdma_error,
	.address = rdma_address,
	.move = rdma_move,
	.stats = rdma_stats,
};

/* ---- making one --------------------------------------------------------------- */

struct pulse__rdma *pulse__rdma_new(struct pulse_poller *poller,
				    const struct pulse__rdma_engine *engine)
{
	struct pulse__rdma *r = pulse__calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->t.ops = &ops;
	r->t.poller = poller;
	r->engine = engine;
	r->again = again_of(r);
	if (!r->again) {
		pulse__free(r);
		return NULL;
	}
	r->timer.fn = too_late;
	pulse__list_init(&r->link);
	pulse__poller_end_add(poller, &r->loop_end, loop_goes);
	return r;
}

/* Some thirty slots, none too small to be worth it. */
static void divide(struct pulse__rdma *r, uint32_t ring_bytes)
{
	uint32_t bytes = ring_bytes / 32;

	r->slot_bytes = bytes < SLOT_MIN ? SLOT_MIN :
			bytes > SLOT_MAX ? SLOT_MAX : bytes;
	r->slots = ring_bytes / r->slot_bytes;
}

/* Whole pages of its own: that is what a device is given. */
static unsigned char *map(size_t bytes)
{
	void *p = pulse__alloc_fault() ? MAP_FAILED :
		  mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int pulse__rdma_prepare(struct pulse__rdma *r, uint32_t ring_bytes)
{
	int err;

	divide(r, ring_bytes);
	r->memory = map(memory_bytes(r));
	r->inbox = pulse__calloc(r->slots, sizeof(*r->inbox));
	if (!r->memory || !r->inbox)
		return -ENOMEM;
	err = r->engine->prepare(r->end, r->memory, memory_bytes(r), r->slots,
				 r->slots, &r->news_fd, &r->done_fd);
	for (uint32_t i = 0; !err && i < r->slots; i++)
		err = r->engine->post_recv(r->end, slot(r, i), r->slot_bytes, i);
	return err ? err : watch_end(r);
}

void pulse__rdma_hello(const struct pulse__rdma *r,
		       struct pulse__rdma_hello *out)
{
	*out = (struct pulse__rdma_hello){
		.magic = htole32(PULSE__RDMA_MAGIC), .version = htole16(1),
		.slots = htole16((uint16_t)r->slots),
		.slot_bytes = htole32(r->slot_bytes),
	};
}

int pulse__rdma_meet(struct pulse__rdma *r, const void *data, size_t len)
{
	struct pulse__rdma_hello h;
	uint32_t bytes;

	if (len < sizeof(h))
		return -EPROTO;
	memcpy(&h, data, sizeof(h));
	r->peer_slots = le16toh(h.slots);
	bytes = le32toh(h.slot_bytes);
	if (le32toh(h.magic) != PULSE__RDMA_MAGIC || le16toh(h.version) != 1 ||
	    r->peer_slots < SLOTS_MIN || r->peer_slots > SLOTS_MAX ||
	    bytes < SLOT_MIN || bytes > SLOT_MAX)
		return -EPROTO;
	r->credits = r->peer_slots;
	r->room = (bytes < r->slot_bytes ? bytes : r->slot_bytes) -
		  (uint32_t)HEAD;
	return 0;
}

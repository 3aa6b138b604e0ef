// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shm.c - a shared-memory transport: bytes into one ring, bytes out of the other.
 *
 * Who sleeps, who rings and why nobody is missed stands in shm.h.
 */
#include "io/shm.h"

#include <unistd.h>

static struct pulse__shm *to_shm(struct pulse_transport *t)
{
	return container_of(t, struct pulse__shm, t);
}

static void broken(struct pulse__shm *shm, int err)
{
	if (!shm->err)
		shm->err = err;
}

/* A peer whose socket is full has been rung enough. */
static void ring_bell(struct pulse__shm *shm)
{
	char byte = 1;

	while (send(shm->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	       errno == EINTR)
		;
}

static void ring_if(struct pulse__shm *shm, uint32_t *flag)
{
	/* between our position and the peer's flag; pairs with fall_asleep() */
	pulse__full_barrier();
	if (unlikely(READ_ONCE(*flag)) &&
	    __atomic_exchange_n(flag, 0, __ATOMIC_RELAXED))
		ring_bell(shm);
}

/* ---- looking -------------------------------------------------------------- */

/* Bytes that can be taken; broken where the peer's word makes no sense. */
static uint32_t available(struct pulse__shm *shm)
{
	uint64_t have;

	/* (a), pairs with (A) of the peer's send: the bytes before it */
	have = pulse__load_acquire(&shm->rx->tail) - shm->rx_head;
	if (unlikely(have > shm->size)) {
		broken(shm, -EPROTO);
		return 0;
	}
	return (uint32_t)have;
}

static uint32_t room(struct pulse__shm *shm)
{
	uint64_t used;

	/* pairs with (B) of the peer's recv: it is done with those bytes */
	shm->tx_head = pulse__load_acquire(&shm->tx->head);
	used = shm->tx_tail - shm->tx_head;
	if (unlikely(used > shm->size)) {
		broken(shm, -EPROTO);
		return 0;
	}
	return shm->size - (uint32_t)used;
}

/* 0; -EAGAIN more may come; 1 the end; broken. Of a ring that is empty. */
static int end_of(struct pulse__shm *shm)
{
	/* pairs with the store of it behind the last (A) */
	uint32_t fin = pulse__load_acquire(&shm->rx->fin);

	if (fin == PULSE__SHM_RESET)
		broken(shm, -ECONNRESET);
	if (shm->err)
		return shm->err;
	if (fin == PULSE__SHM_END)
		return available(shm) ? 0 : shm->err ? shm->err : 1;
	if (!shm->hup)
		return -EAGAIN;
	/* It is dead; what it wrote before is still there. */
	if (available(shm))
		return 0;
	broken(shm, -ECONNRESET);
	return shm->err;
}

uint32_t pulse__shm_ready(struct pulse__shm *shm)
{
	uint32_t events = 0;

	if (shm->watched & PULSE_TRANSPORT_READ &&
	    (available(shm) || end_of(shm) != -EAGAIN))
		events |= PULSE_TRANSPORT_READ;
	if (shm->watched & PULSE_TRANSPORT_WRITE &&
	    (shm->err || shm->hup || room(shm)))
		events |= PULSE_TRANSPORT_WRITE;
	return events;
}

/* ---- life ----------------------------------------------------------------- */

static void maybe_free(struct pulse__shm *shm)
{
	if (shm->closed && !shm->calls)
		pulse__free(shm);
}

void pulse__shm_tell(struct pulse__shm *shm, uint32_t events)
{
	shm->calls++;
	shm->t.fn(&shm->t, events, shm->t.arg);
	shm->calls--;
	maybe_free(shm);
}

/* The bell: somebody rang, or the peer is gone. */
static void bell(struct pulse_poller *poller, int fd, uint32_t events, void *arg)
{
	struct pulse__shm *shm = arg;
	char bytes[64];
	bool rung = false;
	ssize_t n;

	(void)events;
	do {
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		rung |= n > 0;
	} while (n == (ssize_t)sizeof(bytes) || (n < 0 && errno == EINTR));
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		shm->hup = true;
		pulse_poller_del(poller, shm->id);
		shm->id = 0;
	}
	if (unlikely(shm->dial))
		pulse__shm_dialled(shm, rung);
	else if (shm->watched)
		pulse__shm_wake(shm);
}

int pulse__shm_watch_socket(struct pulse__shm *shm)
{
	return pulse_poller_add(shm->t.poller, shm->fd, PULSE_POLLER_IN, bell,
				shm, &shm->id);
}

/* ---- ops ------------------------------------------------------------------ */

static ssize_t shm_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct pulse__shm *shm = to_shm(t);
	uint32_t mask = shm->size - 1, left, taken = 0;

	if (unlikely(shm->shut))
		return -EPIPE;
	if (unlikely(shm->err || shm->hup))
		return shm->err ? shm->err : -EPIPE;
	if (unlikely(shm->dial))
		return -EAGAIN;
	/* As last seen, which was checked then; a lie only makes it less. */
	left = shm->tx_tail - shm->tx_head > shm->size ? 0 :
	       shm->size - (uint32_t)(shm->tx_tail - shm->tx_head);
	for (int i = 0; i < nr; i++) {
		const unsigned char *from = iov[i].iov_base;
		size_t n = iov[i].iov_len;
		uint32_t at, first;

		if (n > left) {
			/* The peer may have taken its word back meanwhile. */
			left = room(shm);
			left = left > taken ? left - taken : 0;
		}
		n = n < left ? n : left;
		at = (uint32_t)(shm->tx_tail + taken) & mask;
		first = shm->size - at < n ? shm->size - at : (uint32_t)n;
		memcpy(shm->tx_data + at, from, first);
		memcpy(shm->tx_data, from + first, n - first);
		taken += (uint32_t)n;
		left -= (uint32_t)n;
		if (n < iov[i].iov_len)
			break;
	}
	if (unlikely(shm->err))
		return shm->err;
	if (!taken)
		return -EAGAIN;
	shm->tx_tail += taken;
	pulse__store_release(&shm->tx->tail, shm->tx_tail);	/* (A) */
	ring_if(shm, &shm->tx->asleep);				/* (C) */
	t->tx_bytes += taken;
	return taken;
}

static ssize_t shm_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct pulse__shm *shm = to_shm(t);
	uint32_t mask = shm->size - 1, have, got = 0;
	int end;

	if (unlikely(shm->dial))
		return shm->err ? shm->err : -EAGAIN;
	have = available(shm);
	if (!have || unlikely(READ_ONCE(shm->rx->fin) == PULSE__SHM_RESET)) {
		end = end_of(shm);
		if (end)
			return end == 1 ? 0 : end;
		have = available(shm);
	}
	for (int i = 0; i < nr && got < have; i++) {
		unsigned char *to = iov[i].iov_base;
		size_t n = iov[i].iov_len;
		uint32_t at = (uint32_t)(shm->rx_head + got) & mask, first;

		n = n < have - got ? n : have - got;
		first = shm->size - at < n ? shm->size - at : (uint32_t)n;
		memcpy(to, shm->rx_data + at, first);
		memcpy(to + first, shm->rx_data, n - first);
		got += (uint32_t)n;
	}
	if (!got)
		return shm->err ? shm->err : -EAGAIN;
	shm->rx_head += got;
	pulse__store_release(&shm->rx->head, shm->rx_head);	/* (B) */
	ring_if(shm, &shm->rx->waits);				/* (D) */
	t->rx_bytes += got;
	return got;
}

static ssize_t shm_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	/* A copy: what the peer can still change is not looked at twice. */
	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (unlikely(!iov.iov_base))
		return -ENOMEM;
	*data = iov.iov_base;
	return shm_recv(t, &iov, 1);
}

static int shm_watch(struct pulse_transport *t, uint32_t events)
{
	struct pulse__shm *shm = to_shm(t);

	shm->watched = events;
	if (events && !shm->dial)
		pulse__shm_wake(shm);
	else
		pulse__shm_idle(shm);
	return 0;
}

static void say_end(struct pulse__shm *shm, uint32_t fin)
{
	shm->shut = true;
	pulse__store_release(&shm->tx->fin, fin);
	ring_if(shm, &shm->tx->asleep);
}

static int shm_shutdown(struct pulse_transport *t)
{
	struct pulse__shm *shm = to_shm(t);

	if (!shm->shut)
		say_end(shm, PULSE__SHM_END);
	return 0;
}

static void shm_close(struct pulse_transport *t, bool reset)
{
	struct pulse__shm *shm = to_shm(t);

	if (reset || !shm->shut)
		say_end(shm, reset ? PULSE__SHM_RESET : PULSE__SHM_END);
	if (shm->id)
		pulse_poller_del(t->poller, shm->id);
	pulse__shm_drop_dial(shm);
	pulse__shm_idle(shm);
	close(shm->fd);
	pulse__shm_unmap(&shm->map);
	shm->watched = 0;
	shm->closed = true;
	maybe_free(shm);
}

static int shm_error(struct pulse_transport *t)
{
	return to_shm(t)->err;
}

static int shm_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	char text[PULSE_ADDRESS_MAX];
	int err = pulse__addr_of(to_shm(t)->fd, peer, text, sizeof(text));

	if (err)
		return err;
	return pulse__addr_rename(text, "unix:", "shm:", buf, len);
}

/* What the peer has not taken out of its ring; its word, so within reason. */
static void shm_stats(const struct pulse_transport *t,
		      struct pulse_transport_stats *out)
{
	const struct pulse__shm *shm = container_of(t, struct pulse__shm, t);
	uint64_t used = shm->tx_tail - READ_ONCE(shm->tx->head);

	out->unsent = used > shm->size ? 0 : used;
}

static const struct pulse_transport_ops shm_ops = {
	.sz = sizeof(shm_ops),
	.name = "shm",
	.features = PULSE_TRANSPORT_STREAM | PULSE_TRANSPORT_RELIABLE |
		    PULSE_TRANSPORT_ORDERED | PULSE_TRANSPORT_HALF_CLOSE |
		    PULSE_TRANSPORT_RESET,
	.send = shm_send,
	.recv = shm_recv,
	.view = shm_view,
	.watch = shm_watch,
	.shutdown = shm_shutdown,
	.close = shm_close,
	.error = shm_error,
	.address = shm_address,
	.stats = shm_stats,
};

int pulse__shm_adopt(struct pulse_poller *poller, int fd,
		     const struct pulse__shm_map *map, bool connected,
		     int spin_us, struct pulse__shm **out)
{
	struct pulse__shm_loop *loop = pulse__shm_loop_get(poller, spin_us);
	struct pulse__shm *shm;
	int err = 0;

	shm = loop ? pulse__calloc(1, sizeof(*shm)) : NULL;
	if (!shm)
		return -ENOMEM;
	shm->t.ops = &shm_ops;
	shm->t.poller = poller;
	shm->loop = loop;
	pulse__list_init(&shm->link);
	shm->map = *map;
	shm->size = map->ring_bytes;
	shm->tx = &map->head->ring[!connected];
	shm->rx = &map->head->ring[connected];
	shm->tx_data = map->data[!connected];
	shm->rx_data = map->data[connected];
	shm->fd = fd;
	if (!connected)
		err = pulse__shm_watch_socket(shm);
	if (err) {
		pulse__free(shm);
		return err;
	}
	*out = shm;
	return 0;
}

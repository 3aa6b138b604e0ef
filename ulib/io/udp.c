// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * udp.c - datagrams as a transport: connected sockets, one for each peer.
 *
 * A listener has one socket that is not connected. A datagram of a new peer makes
 * a socket of the same address that is; what the first one still gets of that
 * peer meanwhile goes to it by hand (the stash). The address may be shared only
 * while such a socket is bound, so that nobody else can take it.
 *
 * "sequenced": each datagram carries a number and a checksum. Who receives takes
 * only what is newer than all before: nothing twice, nothing out of order,
 * nothing that was changed; what is missing is counted.
 */
#include "io/poller_int.h"
#include "io/sys.h"
#include "io/udp.h"

#include <endian.h>
#include <unistd.h>

#define DATAGRAM_MAX	65507U
#define STASH_MAX	64
#define PEERS		64	/* buckets of a listener */

struct seq_head {
	uint64_t number;	/* little-endian, from 1 */
	uint32_t sum;		/* CRC-32C of the number and the bytes */
	uint32_t reserved;
};

struct stashed {
	struct stashed *next;
	size_t len;
	unsigned char data[];
};

struct udp {
	struct pulse_transport t;
	uint64_t id;
	int fd, err;
	uint32_t watched, calls, nr_stash;
	bool sequenced, opening, closed, posted;
	uint64_t sent, seen, lost, late, corrupt;
	struct stashed *stash, **stash_last;
	struct pulse_poller_task again;
	struct pulse__list link;	/* of its listener's peers */
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

struct udp_listener {
	struct pulse_listener l;
	bool sequenced, reuse_port;
	struct pulse__list peers[PEERS];
};

static struct udp *to_udp(struct pulse_transport *t)
{
	return container_of(t, struct udp, t);
}

/* ---- numbers and sums ----------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const unsigned char *bytes = data;

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* Is it to be handed out? Counts what it is not. */
static bool in_order(struct udp *udp, const struct seq_head *head, uint32_t sum)
{
	uint64_t number = le64toh(head->number);

	if (le32toh(head->sum) != sum || !number) {
		udp->corrupt++;
		return false;
	}
	if (number <= udp->seen) {
		udp->late++;	/* if it was not there before, it counts as lost */
		return false;
	}
	udp->lost += number - udp->seen - 1;
	udp->seen = number;
	return true;
}

static uint32_t sum_of(const struct seq_head *head, const struct iovec *iov,
		       int nr, size_t len)
{
	uint32_t sum = crc32c(0, &head->number, sizeof(head->number));

	for (int i = 0; i < nr && len; i++) {
		size_t n = iov[i].iov_len < len ? iov[i].iov_len : len;

		sum = crc32c(sum, iov[i].iov_base, n);
		len -= n;
	}
	return sum;
}

/* ---- ops ------------------------------------------------------------------ */

static ssize_t udp_send(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct udp *udp = to_udp(t);
	struct seq_head head = { .number = htole64(udp->sent + 1) };
	struct iovec all[65] = { { &head, sizeof(head) } };
	struct msghdr msg = { .msg_iov = all + !udp->sequenced,
			      .msg_iovlen = (size_t)nr + udp->sequenced };
	size_t total = 0;
	ssize_t n;

	for (int i = 0; i < nr; i++) {
		all[i + 1] = iov[i];
		total += iov[i].iov_len;
	}
	if (total > DATAGRAM_MAX - (udp->sequenced ? sizeof(head) : 0))
		return -EMSGSIZE;
	if (udp->sequenced)
		head.sum = htole32(sum_of(&head, iov, nr, total));
	do {
		n = sendmsg(udp->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return pulse__sys_send_error(errno);
	udp->sent++;
	t->tx_bytes += total;
	return (ssize_t)total;
}

/* One datagram, of the stash or the socket; its bytes, head included. */
static ssize_t one(struct udp *udp, struct iovec *iov, int nr)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)nr };
	struct stashed *s = udp->stash;
	size_t at = 0;
	ssize_t n;

	if (!s) {
		do {
			n = recvmsg(udp->fd, &msg, MSG_DONTWAIT);
		} while (n < 0 && errno == EINTR);
		return n < 0 ? -errno : n;
	}
	for (int i = 0; i < nr && at < s->len; i++) {
		n = (ssize_t)(iov[i].iov_len < s->len - at ? iov[i].iov_len :
			      s->len - at);
		memcpy(iov[i].iov_base, s->data + at, (size_t)n);
		at += (size_t)n;
	}
	udp->stash = s->next;
	if (!udp->stash)
		udp->stash_last = &udp->stash;
	udp->nr_stash--;
	pulse__free(s);
	return (ssize_t)at;
}

static ssize_t udp_recv(struct pulse_transport *t, const struct iovec *iov,
			int nr)
{
	struct udp *udp = to_udp(t);
	struct seq_head head;
	struct iovec all[65] = { { &head, sizeof(head) } };
	ssize_t n;

	memcpy(all + 1, iov, (size_t)nr * sizeof(*iov));
	for (;;) {
		n = one(udp, all + !udp->sequenced, nr + udp->sequenced);
		if (n < 0)
			return n;
		if (!udp->sequenced)
			break;
		n -= (ssize_t)sizeof(head);
		if (n < 0)
			udp->corrupt++;
		else if (in_order(udp, &head,
				  sum_of(&head, iov, nr, (size_t)n)))
			break;
	}
	/* A message of nothing is no end: there is none here. */
	t->rx_bytes += (uint64_t)n;
	return n ? n : -EAGAIN;
}

static ssize_t udp_view(struct pulse_transport *t, void **data)
{
	struct iovec iov;

	iov.iov_base = pulse_poller_buffer(t->poller, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	*data = iov.iov_base;
	return udp_recv(t, &iov, 1);
}

static void maybe_free(struct udp *udp)
{
	struct stashed *s;

	if (!udp->closed || udp->posted || udp->calls)
		return;
	while ((s = udp->stash)) {
		udp->stash = s->next;
		pulse__free(s);
	}
	pulse__free(udp);
}

static void post(struct udp *udp)
{
	if (!udp->posted && udp->stash && udp->watched & PULSE_TRANSPORT_READ &&
	    !pulse_poller_post_task(udp->t.poller, &udp->again))
		udp->posted = true;
}

static void run_again(struct pulse_poller *poller,
		      struct pulse_poller_task *task)
{
	struct udp *udp = container_of(task, struct udp, again);

	(void)poller;
	udp->posted = false;
	udp->calls++;
	if (!udp->closed && udp->stash && udp->watched & PULSE_TRANSPORT_READ)
		udp->t.fn(&udp->t, PULSE_TRANSPORT_READ, udp->t.arg);
	udp->calls--;
	if (!udp->closed)
		post(udp);
	maybe_free(udp);
}

static uint32_t poller_events(const struct udp *udp)
{
	return (udp->watched & PULSE_TRANSPORT_READ ? PULSE_POLLER_IN : 0U) |
	       (udp->watched & PULSE_TRANSPORT_WRITE || udp->opening ?
		PULSE_POLLER_OUT : 0U);
}

/* An ICMP error is told once; the socket goes on. */
static void udp_event(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg)
{
	struct udp *udp = arg;
	socklen_t len = sizeof(udp->err);
	uint32_t told = 0;

	if (udp->opening && events & PULSE_POLLER_OUT) {
		udp->opening = false;
		pulse_poller_mod(poller, udp->id, poller_events(udp));
		told = PULSE_TRANSPORT_OPEN;
	} else if (events & PULSE_POLLER_OUT) {
		told |= udp->watched & PULSE_TRANSPORT_WRITE;
	}
	if (events & PULSE_POLLER_ERR) {
		int err = 0;

		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			udp->err = -err;
			told |= PULSE_TRANSPORT_ERROR;
		}
	}
	if (events & PULSE_POLLER_IN)
		told |= udp->watched & PULSE_TRANSPORT_READ;
	if (!told)
		return;
	udp->calls++;
	udp->t.fn(&udp->t, told, udp->t.arg);
	udp->calls--;
	maybe_free(udp);
}

static int udp_watch(struct pulse_transport *t, uint32_t events)
{
	struct udp *udp = to_udp(t);
	int err;

	udp->watched = events;
	if (udp->id)
		err = pulse_poller_mod(t->poller, udp->id, poller_events(udp));
	else
		err = pulse_poller_add(t->poller, udp->fd, poller_events(udp),
				       udp_event, udp, &udp->id);
	post(udp);
	return err;
}

static int udp_shutdown(struct pulse_transport *t)
{
	(void)t;
	return -EOPNOTSUPP;
}

static void udp_close(struct pulse_transport *t, bool reset)
{
	struct udp *udp = to_udp(t);

	(void)reset;
	if (udp->id)
		pulse_poller_del(t->poller, udp->id);
	pulse__list_del(&udp->link);
	close(udp->fd);
	udp->closed = true;
	maybe_free(udp);
}

static int udp_error(struct pulse_transport *t)
{
	struct udp *udp = to_udp(t);
	int err = udp->err;

	udp->err = 0;
	return err;
}

static int udp_address(struct pulse_transport *t, bool peer, char *buf,
		       size_t len)
{
	char text[PULSE_ADDRESS_MAX];
	int err = pulse__addr_of(to_udp(t)->fd, peer, text, sizeof(text));

	return err ? err : pulse__addr_rename(text, "", "udp:", buf, len);
}

static void udp_stats(const struct pulse_transport *t,
		      struct pulse_transport_stats *out)
{
	const struct udp *udp = container_of(t, struct udp, t);

	out->lost = udp->lost;
	out->late = udp->late;
	out->corrupt = udp->corrupt;
}

#define UDP_OPS(features_)						\
	{								\
		.sz = sizeof(struct pulse_transport_ops),		\
		.name = "udp",						\
		.features = features_,					\
		.send = udp_send,					\
		.recv = udp_recv,					\
		.view = udp_view,					\
		.watch = udp_watch,					\
		.shutdown = udp_shutdown,				\
		.close = udp_close,					\
		.error = udp_error,					\
		.address = udp_address,					\
		.stats = udp_stats,					\
	}

static const struct pulse_transport_ops plain_ops = UDP_OPS(0);
static const struct pulse_transport_ops sequenced_ops =
	UDP_OPS(PULSE_TRANSPORT_ORDERED);

static struct udp *udp_new(struct pulse_poller *poller, int fd, bool sequenced)
{
	struct udp *udp = pulse__calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	udp->t.ops = sequenced ? &sequenced_ops : &plain_ops;
	udp->t.poller = poller;
	udp->fd = fd;
	udp->sequenced = sequenced;
	udp->stash_last = &udp->stash;
	udp->again.fn = run_again;
	pulse__list_init(&udp->link);
	return udp;
}

static int udp_connect(struct pulse_poller *poller,
		       const struct pulse_connect_opts *o,
		       pulse_transport_fn fn, void *arg,
		       struct pulse_transport **out)
{
	struct pulse__addr addr;
	const char *rest;
	struct udp *udp;
	int err, fd;

	pulse__carrier_of(o->address, &rest);
	err = pulse__addr_parse(rest, &addr);
	if (err || addr.any || addr.sa.ss_family == AF_UNIX)
		return err ? err : -EINVAL;
	fd = socket(addr.sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr.sa, addr.len)) {
		err = -errno;
		close(fd);
		return err;
	}
	udp = udp_new(poller, fd, o->sequenced == PULSE_ON);
	if (!udp) {
		close(fd);
		return -ENOMEM;
	}
	pulse_transport_set_handler(&udp->t, fn, arg);
	udp->opening = true;
	err = udp_watch(&udp->t, 0);
	if (err) {
		udp_close(&udp->t, false);
		return err;
	}
	*out = &udp->t;
	return 0;
}

/* ---- listening ------------------------------------------------------------ */

static struct pulse__list *peers_of(struct udp_listener *ul,
				    const struct sockaddr_storage *sa,
				    socklen_t len)
{
	return &ul->peers[crc32c(0, sa, len) % PEERS];
}

static struct udp *find(struct udp_listener *ul,
			const struct sockaddr_storage *sa, socklen_t len)
{
	struct udp *udp;

	pulse__list_for_each_entry(udp, peers_of(ul, sa, len), link)
		if (udp->peer_len == len && !memcmp(&udp->peer, sa, len))
			return udp;
	return NULL;
}

static void stash(struct udp *udp, const void *data, size_t len)
{
	struct stashed *s;

	s = udp->nr_stash < STASH_MAX ? pulse__malloc(sizeof(*s) + len) : NULL;
	if (!s)
		return;		/* a datagram may be lost */
	s->next = NULL;
	s->len = len;
	memcpy(s->data, data, len);
	*udp->stash_last = s;
	udp->stash_last = &s->next;
	udp->nr_stash++;
	post(udp);
}

static void share(int fd, int on, bool port)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* A socket of the listener's address that is connected to @peer; or -errno. */
static int socket_for(struct udp_listener *ul,
		      const struct sockaddr_storage *peer, socklen_t len)
{
	struct sockaddr_storage own = { 0 };
	socklen_t own_len = sizeof(own);
	int fd, err = 0;

	if (getsockname(ul->l.fd, (struct sockaddr *)&own, &own_len))
		return -errno;
	fd = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	share(fd, 1, ul->reuse_port);
	share(ul->l.fd, 1, false);
	if (bind(fd, (struct sockaddr *)&own, own_len) ||
	    connect(fd, (const struct sockaddr *)peer, len))
		err = -errno;
	/* The listener's word counts: its address is shared with nobody else. */
	share(ul->l.fd, 0, false);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* 0; or why not: then the datagram is lost, and the next one tries again. */
static int new_peer(struct udp_listener *ul, const void *data, size_t len,
		    const struct sockaddr_storage *peer, socklen_t peer_len)
{
	struct udp *udp;
	int fd = socket_for(ul, peer, peer_len);

	if (fd < 0)
		return fd;
	udp = udp_new(ul->l.poller, fd, ul->sequenced);
	if (!udp) {
		close(fd);
		return -ENOMEM;
	}
	udp->peer = *peer;
	udp->peer_len = peer_len;
	pulse__list_add_tail(peers_of(ul, peer, peer_len), &udp->link);
	stash(udp, data, len);
	pulse__listener_hand_out(&ul->l, &udp->t);
	return 0;
}

static void can_accept(struct pulse_poller *poller, int fd, uint32_t events,
		       void *arg)
{
	struct udp_listener *ul = arg;
	size_t room;
	void *buf = pulse_poller_buffer(poller, &room);

	(void)events;
	for (uint32_t i = 0; buf && i < ul->l.batch; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		struct udp *udp;
		ssize_t n = recvfrom(fd, buf, room, MSG_DONTWAIT,
				     (struct sockaddr *)&peer, &len);
		int err = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		udp = find(ul, &peer, len);
		if (udp)
			stash(udp, buf, (size_t)n);
		else
			err = new_peer(ul, buf, (size_t)n, &peer, len);
		if (err) {
			pulse__listener_lost(&ul->l);
			pulse__listener_shortage(&ul->l, -err);
			return;
		}
	}
}

static void listener_close(struct pulse_listener *l)
{
	struct udp_listener *ul = container_of(l, struct udp_listener, l);

	for (int i = 0; i < PEERS; i++)
		while (!pulse__list_empty(&ul->peers[i]))
			pulse__list_init(pulse__list_pop(&ul->peers[i]));
	pulse__free(ul);
}

static const struct pulse__listener_ops listener_ops = {
	.close = listener_close, .prefix = "udp:",
};

static int udp_listen(struct pulse_poller *poller,
		      const struct pulse_listener_opts *o, pulse_accept_fn fn,
		      void *arg, struct pulse_listener **out)
{
	struct udp_listener *ul = pulse__calloc(1, sizeof(*ul));
	const char *rest;
	int err;

	if (!ul)
		return -ENOMEM;
	for (int i = 0; i < PEERS; i++)
		pulse__list_init(&ul->peers[i]);
	ul->l.ops = &listener_ops;
	ul->sequenced = o->sequenced == PULSE_ON;
	ul->reuse_port = o->reuse_port == PULSE_ON;
	pulse__carrier_of(o->address, &rest);
	err = pulse__listener_begin_udp(&ul->l, poller, o, rest, fn, arg,
					can_accept, ul);
	if (err)
		pulse__free(ul);
	else
		*out = &ul->l;
	return err;
}

const struct pulse__carrier pulse__carrier_udp = {
	.name = "udp", .connect = udp_connect, .listen = udp_listen,
};

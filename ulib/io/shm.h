/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * shm.h - the shared-memory carrier inside: two rings of bytes in a memfd.
 *
 * Whoever connects makes the memfd and hands it over through a unix socket. The
 * socket stays: its end says that the peer is gone, and a byte on it wakes a
 * peer that sleeps. Nothing in the memory is believed: positions are checked
 * against the ring's size, and each side keeps its own ones privately.
 *
 * One direction, producer and consumer:
 *
 *	copy bytes in				look at tail	(a)
 *	tail = ...		(A)		copy bytes out
 *	full barrier				head = ...	(B)
 *	asleep == 1 ? 0, ring	(C)		full barrier
 *						waits == 1 ? 0, ring (D)
 *
 * A pairs with a; B with the producer's look at head. Before it sleeps the
 * consumer sets asleep (E), passes a full barrier and looks at tail again: either
 * that look sees A, or C sees E. The same for the producer that waits for room.
 */
#ifndef PULSE__IO_SHM_H
#define PULSE__IO_SHM_H

#include "base/list.h"
#include "io/poller_int.h"
#include "io/stream.h"

#define PULSE__SHM_MAGIC	0x4d485350U	/* "PSHM" */
#define PULSE__SHM_RING_MIN	4096U
#define PULSE__SHM_RING_MAX	(64U << 20)
#define PULSE__SHM_HEADER	4096U

enum { PULSE__SHM_OPEN, PULSE__SHM_END, PULSE__SHM_RESET };

/* One direction; all of it untrusted but what this side writes. */
struct pulse__shm_ring {
	uint64_t tail PULSE__PAIR_ALIGNED;	/* producer: bytes ever put in */
	uint32_t fin;				/* producer: no more follow */
	uint64_t head PULSE__PAIR_ALIGNED;	/* consumer: bytes ever taken */
	uint32_t asleep PULSE__PAIR_ALIGNED;	/* consumer; the producer clears */
	uint32_t waits PULSE__PAIR_ALIGNED;	/* producer; the consumer clears */
};

/* The first page; ring 0 goes from who connected to who listened. */
struct pulse__shm_head {
	struct pulse__shm_ring ring[2];
};

_Static_assert(sizeof(struct pulse__shm_head) <= PULSE__SHM_HEADER,
	       "the rings' words fit their page");

/* What the connecting side says, with the memfd. */
struct pulse__shm_hello {
	uint32_t magic;
	uint32_t version;
	uint32_t ring_bytes;
	uint32_t reserved;
};

struct pulse__shm_map {
	struct pulse__shm_head *head;
	unsigned char *data[2];
	uint32_t ring_bytes;
};

/* ---- shm_map.c ------------------------------------------------------------ */

/* A new sealed memfd, mapped; the descriptor, or -errno. */
int pulse__shm_make(uint32_t ring_bytes, struct pulse__shm_map *map);
/* A peer's: 0; -EPROTO it could change under us, or is not what it says. */
int pulse__shm_take(int memfd, uint32_t ring_bytes, struct pulse__shm_map *map);
void pulse__shm_unmap(struct pulse__shm_map *map);
/* One message with one descriptor, or 0; -EAGAIN; -EPROTO; broken. */
int pulse__shm_send_fd(int sock, const struct pulse__shm_hello *hello, int fd);
int pulse__shm_recv_fd(int sock, struct pulse__shm_hello *hello, int *fd);

/* ---- shm_loop.c ----------------------------------------------------------- */

/* Rings that a loop looks at before it waits. Its thread's. */
struct pulse__shm_loop {
	struct pulse_poller *poller;
	struct pulse_poller_hook hook;
	struct pulse_poller_task task;	/* keeps the loop from sleeping */
	struct pulse__poller_end end;
	struct pulse__list awake;
	int64_t max_ns, now_ns;		/* of spinning: at most, at present */
	bool posted;
};

struct pulse__shm {
	struct pulse_transport t;
	struct pulse__shm_loop *loop;
	struct pulse__list link;	/* of loop->awake, or of nothing */
	struct pulse__shm_ring *tx, *rx;
	unsigned char *tx_data, *rx_data;
	uint32_t size;
	uint32_t watched;
	/* Our own positions, and what we last saw of the peer's. */
	uint64_t tx_tail, tx_head, rx_head;
	struct pulse__shm_dial *dial;	/* until the peer has agreed */
	struct pulse__shm_map map;
	uint64_t id;			/* of the socket at the poller */
	int fd;
	int err;			/* the peer broke the rules, or is gone */
	uint32_t calls;
	bool shut, hup, closed;
};

struct pulse__shm_loop *pulse__shm_loop_get(struct pulse_poller *poller,
					    int spin_us);
/* It is looked at from the next turn on; not any more. */
void pulse__shm_wake(struct pulse__shm *shm);
void pulse__shm_idle(struct pulse__shm *shm);

/* ---- shm.c ---------------------------------------------------------------- */

/* Of enum pulse_transport_event, what holds now of what is watched. */
uint32_t pulse__shm_ready(struct pulse__shm *shm);
/* Tells its handler; afterwards it may be gone. */
void pulse__shm_tell(struct pulse__shm *shm, uint32_t events);
/* Told of the socket while there is a dial: shm_meet.c. */
void pulse__shm_dialled(struct pulse__shm *shm, bool answered);
void pulse__shm_drop_dial(struct pulse__shm *shm);
/*
 * Owns @fd and the map from then on; on failure they stay the caller's. The
 * socket is at the poller unless it is still on its way (@connected).
 */
int pulse__shm_adopt(struct pulse_poller *poller, int fd,
		     const struct pulse__shm_map *map, bool connected,
		     int spin_us, struct pulse__shm **out);
int pulse__shm_watch_socket(struct pulse__shm *shm);

extern const struct pulse__carrier pulse__carrier_shm;

#endif /* PULSE__IO_SHM_H */
